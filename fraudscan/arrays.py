"""Type aliases for arrays, named after what the arrays contain, and functions for arrays of any content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Bools",
    "Codes",
    "Floats",
    "Ints",
    "Marks",
    "Numbers",
    "Single",
    "Words",
    "aligned",
    "cuts",
    "differences",
    "ranges",
    "runs_of",
]

Bools: TypeAlias = npt.NDArray[np.bool_]
Codes: TypeAlias = npt.NDArray[np.int32]
"""Code points, and indices into tables of code points."""
Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Marks: TypeAlias = npt.NDArray[np.uint8]
"""How much of a text carries marks of disguise: see `fraudscan.neighbours.marks_of`."""
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


def runs_of(places: Ints) -> tuple[Ints, Ints]:
    """Return the begins and ends of the runs of consecutive numbers in ``places``, which is sorted."""
    breaks = places[1:] - places[:-1] > 1
    first = np.ones(places.size, dtype=bool)
    last = first.copy()
    first[1:] = last[:-1] = breaks
    return places[first], places[last] + 1


def ranges(begins: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Return the concatenated ranges of integers from each begin to its end (excluded), and the size of each range."""
    sizes = ends - begins
    return np.arange(sizes.sum()) + (begins - sizes.cumsum() + sizes).repeat(sizes), sizes


def differences(values: Ints) -> Ints:
    """Return the differences of consecutive values, preceded by the first value; np.diff is slower for few values."""
    found = values.copy()
    found[1:] -= values[:-1]
    return found


def cuts(sizes: Ints, limit: int) -> Iterator[slice]:
    """Yield the runs of texts that have at most ``limit`` characters in total, or of one text that has more.

    Each text counts for one character more than its size.
    """
    if sizes.size and int(sizes.sum()) + sizes.size <= limit:
        yield slice(0, sizes.size)
        return
    total = (sizes + 1).cumsum()
    begin = done = 0
    while begin < sizes.size:
        end = max(begin + 1, int(total.searchsorted(done + limit, side="right")))
        yield slice(begin, end)
        begin, done = end, total[end - 1]
