"""What the linear heads say together: a layer of rectified units over their logits.

One linear head for "is this fraud?" must give each n-gram one weight, whatever stands
beside it. The units weigh what the other heads have found instead: the words of a loan
count for little in what looks like a bank's own notice, and for much in what looks like
chat. Between the points where a unit falls silent the layer is linear, so each n-gram's
share in a decision is exact, too (`Layer.gradient`).

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


class Layer:
    """One hidden layer of rectified linear units with one output. Immutable.

    Args:
        hidden: shape (units, inputs + 1): the weights of each unit, and its bias last.
        output: shape (units + 1,): the weight of each unit, and the bias last.

    Raises:
        ValueError: if the shapes do not fit, or if a value is not finite or beyond what can be summed exactly.

    """

    def __init__(self, hidden: npt.ArrayLike, output: npt.ArrayLike) -> None:
        self.hidden = _on_grid(hidden)
        self.output = _on_grid(output)
        if self.hidden.ndim != 2 or self.output.shape != (self.hidden.shape[0] + 1,):
            raise ValueError(
                f"a hidden layer of shape {self.hidden.shape} does not fit an output of shape {self.output.shape}"
            )
        if self.inputs > MAX_INPUTS or len(self.hidden) > MAX_UNITS:
            raise ValueError(f"a layer has at most {MAX_INPUTS} inputs and {MAX_UNITS} units")
        self._weights = np.ascontiguousarray(self.hidden[:, :-1])
        self._biases = self.hidden[:, -1:] * SCALE

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return int(self.hidden.shape[1]) - 1

    def __call__(self, logits: Floats) -> Floats:
        """Return the output, shape (texts,), for the logits of linear heads, shape (inputs, texts)."""
        whole = logits.shape[1] // BLOCK * BLOCK
        blocks = logits[:, :whole].reshape(self.inputs, -1, BLOCK).transpose(1, 0, 2)
        return np.concatenate(
            [self._outputs(part).ravel() for part in (blocks, logits[None, :, whole:]) if part.size] or [np.zeros(0)]
        )

    def _outputs(self, logits: Floats) -> Floats:
        """Do so for blocks: return shape (blocks, texts) for (blocks, inputs, texts)."""
        hidden = self._hidden(logits)
        np.maximum(hidden, 0, out=hidden)
        np.rint(hidden, out=hidden)
        out: Floats = self.output[:-1] @ hidden
        out /= SCALE
        out += self.output[-1]
        return out

    def gradient(self, logits: Floats) -> Floats:
        """Return how much the output grows with each input near one text's ``logits``; both of shape (inputs,)."""
        active = self._hidden(logits[:, None])[:, 0] > 0
        slopes: Floats = (self.output[:-1] * active) @ self._weights
        return slopes

    def _hidden(self, logits: Floats) -> Floats:
        """Return what goes into the units, times `SCALE`."""
        steps = logits * SCALE
        np.rint(steps, out=steps)
        np.clip(steps, -BOUND * SCALE, BOUND * SCALE, out=steps)
        hidden: Floats = self._weights @ steps
        hidden += self._biases
        return hidden


def _on_grid(values: npt.ArrayLike) -> Floats:
    array: Floats = np.rint(np.asarray(values, dtype=np.float64) / STEP) * STEP
    if not (np.abs(array) <= BOUND).all():
        raise ValueError(f"weights of a layer must be finite and at most {BOUND:g}")
    array.setflags(write=False)
    return array
