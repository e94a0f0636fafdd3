"""Type aliases for arrays, named after what the arrays contain, and the alignment of arrays for the kernel."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Bools", "Codes", "Floats", "Ints", "Numbers", "Single", "Words", "aligned"]

Bools: TypeAlias = npt.NDArray[np.bool_]
Codes: TypeAlias = npt.NDArray[np.int32]
"""Code points, and indices into tables of code points."""
Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = npt.NDArray[np.uint16]
"""Character numbers: see `fraudscan.neighbours`."""
Single: TypeAlias = npt.NDArray[np.float32]
Words: TypeAlias = npt.NDArray[np.uint32]

CACHE_LINE = 64
"""Bytes per cache line of common processors."""


def aligned(values: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a C-contiguous copy of ``values`` that begins at a cache line.

    Rows of half a line then never lie across two lines, and neither do the vectors that the kernel loads from the
    hidden layer.
    """
    source = np.asarray(values, dtype=dtype)
    memory = np.empty(source.nbytes + CACHE_LINE, dtype=np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    array = memory[start : start + source.nbytes].view(source.dtype).reshape(source.shape)
    array[...] = source
    return array
