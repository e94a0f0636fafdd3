"""The hidden layer: rectified linear units over the sums of n-gram vectors, and the heads on top of them.

A single linear head for "is this fraud?" would have to give each n-gram one weight, whatever
its context. The units see the text as a whole: the words of a loan count for little in what
looks like a bank's own notice, and for much in what looks like chat. The layer is linear
between the points where a unit becomes inactive, so each n-gram's share in a decision is
exact, too (`Layer.gradient`).

Inputs and hidden values are bounded multiples of a small power of two, and so are the weights
of a row. Each of their products, and each sum of products, is such a power times a whole
number of at most 2 ** 24, which float32 represents exactly. So BLAS may add in any order, and a
text has the same score in any batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.arrays import aligned
from fraudscan.lazy import shared_property

if TYPE_CHECKING:
    import numpy.typing as npt

    from fraudscan.arrays import Floats, Single

__all__ = ["Layer"]

SCALE = 64.0
"""Inputs and hidden values are multiples of its inverse, which is far finer than calibration can resolve."""

BOUND = 32.0
"""The largest absolute value of inputs and weights; inputs have a standard deviation of 1 (`Network.standardized`)."""

MOST = 64.0
"""The largest hidden value. In the shipped model hardly any text has a larger one."""

MAX_EXACT = 2.0**24
"""All whole numbers up to it are exact in float32."""

MAX_INPUTS, MAX_UNITS = 64, 256

THREADING_LIMIT = 2**18
"""The number of multiplications in a matrix product from which on OpenBLAS uses its threads, which would cost far more
processor time than they save. Texts are multiplied in blocks that stay below it."""

STACK = 16
"""Blocks that pass through the layer together, few enough that intermediate results stay in the caches."""


class Layer:
    """One hidden layer of rectified linear units, and heads that are linear in them. Immutable.

    Args:
        hidden: shape (units, inputs + 1): for each unit its weights, then its bias.
        output: shape (heads, units + 1): for each head its weights, then its bias.

    Raises:
        ValueError: if the shapes do not fit, if there are more than `MAX_INPUTS` inputs or `MAX_UNITS` units, or if a
            weight is not finite or its absolute value exceeds `BOUND`.

    """

    def __init__(self, hidden: npt.ArrayLike, output: npt.ArrayLike) -> None:
        shapes = np.shape(hidden), np.shape(output)
        if len(shapes[0]) != 2 or shapes[1][1:] != (shapes[0][0] + 1,):
            raise ValueError(f"a hidden layer of shape {shapes[0]} does not fit an output of shape {shapes[1]}")
        units, self.inputs = shapes[0][0], shapes[0][1] - 1
        if self.inputs > MAX_INPUTS or units > MAX_UNITS:
            raise ValueError(f"a layer has at most {MAX_INPUTS} inputs and {MAX_UNITS} units")
        self.hidden: Floats = _on_grid(hidden, BOUND)
        self.output: Floats = _on_grid(output, MOST)
        self._weights = aligned(self.hidden.T, np.float32)
        self._heads = np.ascontiguousarray(self.output[:, :-1].T / SCALE, dtype=np.float32)
        self._biases = self.output[:, -1].astype(np.float32)
        self._block = max(1, (THREADING_LIMIT - 1) // max(1, units * max(self.inputs, len(self.output))))

    @shared_property
    def first(self) -> tuple[Single, Single, float, float, float]:
        """The arrays and constants from which the kernel computes the first head's logit."""
        output = np.append(self._heads[:, 0], self._biases[0])
        return self._weights, output, SCALE, BOUND * SCALE, MOST * SCALE

    def __call__(self, inputs: Floats) -> Floats:
        """Return the heads' logits, shape (heads, texts), for inputs of shape (inputs, texts)."""
        texts = inputs.T
        count = len(texts)
        whole = count // self._block * self._block
        out = np.empty((count, len(self.output)))
        for begin in range(0, whole, STACK * self._block):
            part = slice(begin, min(begin + STACK * self._block, whole))
            blocks = texts[part].reshape(-1, self._block, self.inputs)
            out[part] = self._logits(blocks).reshape(-1, len(self.output))
        if whole < count:
            out[whole:] = self._logits(texts[whole:])
        return out.T

    def _logits(self, inputs: Floats) -> Single:
        """Return the logits, shape (…, texts, heads), for inputs of shape (…, texts, inputs)."""
        hidden = self._hidden(inputs)
        np.rint(hidden, out=hidden)
        np.clip(hidden, np.float32(0), np.float32(MOST * SCALE), out=hidden)
        out: Single = _product(hidden, self._heads)
        out += self._biases
        return out

    def gradient(self, inputs: Floats, heads: Floats) -> Floats:
        """Return the gradient of a weighted sum of the heads with respect to the inputs, shape (inputs, texts).

        Args:
            inputs: shape (inputs, texts): where the gradient is taken.
            heads: shape (heads, texts): the weight of each head in the sum.

        """
        slopes = np.empty((inputs.shape[1], self.inputs))
        for begin in range(0, len(slopes), self._block):
            part = slice(begin, begin + self._block)
            hidden = self._hidden(inputs.T[part])
            active = (hidden > 0) & (hidden < MOST * SCALE)
            slopes[part] = _product(_product(heads.T[part], self.output[:, :-1]) * active, self.hidden[:, :-1])
        return slopes.T

    def _hidden(self, inputs: Floats) -> Single:
        """Return the units' values before rectification, times `SCALE`."""
        rounded = inputs * SCALE
        np.rint(rounded, out=rounded)
        np.minimum(rounded, BOUND * SCALE, out=rounded)  # for one text in half the time of np.clip
        np.maximum(rounded, -BOUND * SCALE, out=rounded)
        steps = np.empty((*inputs.shape[:-1], self.inputs + 1), dtype=np.float32)
        steps[..., :-1] = rounded
        steps[..., -1] = SCALE  # for the biases
        hidden: Single = _product(steps, self._weights)
        return hidden


def _on_grid(values: npt.ArrayLike, largest: float) -> Floats:
    """Round each row to multiples of the smallest power of two for which the sums of the row are exact.

    Args:
        values: shape (rows, weights + 1): for each row its weights, then its bias.
        largest: the largest value that a weight is multiplied by.

    """
    array = np.asarray(values, dtype=np.float64)
    if not (np.abs(array) <= BOUND).all():
        raise ValueError(f"weights of a layer must be finite and at most {BOUND:g}")
    reach = np.append(np.full(array.shape[1] - 1, largest * SCALE), SCALE)
    step = np.exp2(np.ceil(np.log2(np.maximum(_product(np.abs(array), reach), 1) / MAX_EXACT)))
    step[_product(np.abs(_rounded(array, step)), reach) > MAX_EXACT * step] *= 2  # rounding may increase the sum
    array = _rounded(array, step)
    array.setflags(write=False)
    return array


def _rounded(values: Floats, step: Floats) -> Floats:
    rounded: Floats = np.rint(values / step[:, None]) * step[:, None]
    return rounded


def _product(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the matrix product without warnings: on new ARM processors BLAS reports errors for any numbers.

    Apple's does, and OpenBLAS where it uses SME (https://github.com/numpy/numpy/issues/28687).
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        product: npt.NDArray[Any] = left @ right
    return product
