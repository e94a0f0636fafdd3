"""The compiled kernel, where it was built: the three loops in which a scorer spends its time (``_engine.c``).

What its functions compute is defined in NumPy by the methods that call them, `Vocabulary` and `Scanner`, which do it
themselves where the package was installed without a C compiler: at half the speed, and with the same result to the
last bit.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["compiled"]

compiled: ModuleType | None
try:
    compiled = importlib.import_module("fraudscan._engine")
except ImportError:
    compiled = None
