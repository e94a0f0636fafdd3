"""What the sums of n-gram vectors say together: a layer of rectified units, and the heads on it.

One linear head for "is this fraud?" would have to give each n-gram one weight, whatever stands
beside it. The units see the text as a whole: the words of a loan count for little in what
looks like a bank's own notice, and for much in what looks like chat. Between the points
where a unit falls silent the layer is linear, so each n-gram's share in a decision is
exact, too (`Layer.gradient`).

Inputs, weights and hidden values are multiples of small powers of two and bounded.
Every product and every sum of them is a whole multiple below 2 ** 53, which float64
holds exactly: BLAS may add in any order and a text still has one score, in any batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["Layer"]

STEP = 2.0**-12
"""Weights and biases are multiples of it."""

SCALE = 1024.0
"""Inputs and hidden values are multiples of its inverse: far finer than what calibration can tell apart."""

BOUND = 32.0
"""Of inputs and weights. With 64 inputs a hidden value is below 2 ** 17, or 2 ** 27 steps; times a weight of 2 ** 17
steps and summed over 256 units that is below 2 ** 52."""

MAX_INPUTS, MAX_UNITS = 64, 256

BLOCK = 48
"""Texts multiplied at a time. Products of this size are too small for OpenBLAS to wake its threads for (it does from
2 ** 18 multiplications on), which would cost far more processor time than they save."""

STACK = 16
"""Blocks that go through the layer together: what lies between the products stays in the caches."""


class Layer:
    """One hidden layer of rectified linear units, and heads that are linear in them. Immutable.

    Args:
        hidden: shape (units, inputs + 1): the weights of each unit, and its bias last.
        output: shape (heads, units + 1): the weights of each head, and its bias last.

    Raises:
        ValueError: if the shapes do not fit, or if a value is not finite or beyond what can be summed exactly.

    """

    def __init__(self, hidden: npt.ArrayLike, output: npt.ArrayLike) -> None:
        self.hidden = _on_grid(hidden)
        self.output = _on_grid(output)
        if self.hidden.ndim != 2 or self.output.shape[1:] != (self.hidden.shape[0] + 1,):
            raise ValueError(
                f"a hidden layer of shape {self.hidden.shape} does not fit an output of shape {self.output.shape}"
            )
        if self.inputs > MAX_INPUTS or len(self.hidden) > MAX_UNITS:
            raise ValueError(f"a layer has at most {MAX_INPUTS} inputs and {MAX_UNITS} units")
        self._weights = np.ascontiguousarray(self.hidden[:, :-1])
        self._biases = self.hidden[:, -1:] * SCALE
        self._heads = np.ascontiguousarray(self.output[:, :-1])

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return int(self.hidden.shape[1]) - 1

    def __call__(self, inputs: Floats) -> Floats:
        """Return the heads' logits, shape (heads, texts), for inputs of shape (inputs, texts)."""
        count = inputs.shape[1]
        whole = count // BLOCK * BLOCK
        out = np.empty((len(self.output), count))
        for begin in range(0, whole, STACK * BLOCK):
            part = slice(begin, min(begin + STACK * BLOCK, whole))
            blocks = inputs[:, part].reshape(self.inputs, -1, BLOCK).transpose(1, 0, 2)
            out[:, part].reshape(len(out), -1, BLOCK)[:] = self._logits(blocks).transpose(1, 0, 2)
        if whole < count:
            out[:, whole:] = self._logits(inputs[:, whole:])
        return out

    def _logits(self, inputs: Floats) -> Floats:
        """Return the logits, shape (…, heads, texts), for inputs of shape (…, inputs, texts)."""
        hidden = self._hidden(inputs)
        np.maximum(hidden, 0, out=hidden)
        np.rint(hidden, out=hidden)
        out: Floats = self._heads @ hidden
        out /= SCALE
        out += self.output[:, -1:]
        return out

    def gradient(self, inputs: Floats, heads: Floats) -> Floats:
        """Return how much heads grow with each input near one text's ``inputs``.

        Args:
            inputs: shape (inputs,).
            heads: shape (heads,): how much each head counts.

        """
        active = self._hidden(inputs[:, None])[:, 0] > 0
        slopes: Floats = ((heads @ self._heads) * active) @ self._weights
        return slopes

    def _hidden(self, inputs: Floats) -> Floats:
        """Return what goes into the units, times `SCALE`."""
        steps = inputs * SCALE
        np.rint(steps, out=steps)
        np.minimum(steps, BOUND * SCALE, out=steps)  # np.clip is the same, and for one text half of the time
        np.maximum(steps, -BOUND * SCALE, out=steps)
        hidden: Floats = self._weights @ steps
        hidden += self._biases
        return hidden


def _on_grid(values: npt.ArrayLike) -> Floats:
    array: Floats = np.rint(np.asarray(values, dtype=np.float64) / STEP) * STEP
    if not (np.abs(array) <= BOUND).all():
        raise ValueError(f"weights of a layer must be finite and at most {BOUND:g}")
    array.setflags(write=False)
    return array
