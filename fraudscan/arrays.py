"""Type aliases for arrays, named after what the arrays contain."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Bools", "Codes", "Floats", "Ints", "Numbers", "Rows", "Single", "Words"]

Bools: TypeAlias = npt.NDArray[np.bool_]
Codes: TypeAlias = npt.NDArray[np.int32]
"""Code points, and indices into tables of code points."""
Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = npt.NDArray[np.uint16]
"""Character numbers: see `fraudscan.neighbours`."""
Rows: TypeAlias = npt.NDArray[np.intp]
"""Indices of rows."""
Single: TypeAlias = npt.NDArray[np.float32]
Words: TypeAlias = npt.NDArray[np.uint32]
