"""The compiled kernel, if it was built: the loops in which scoring and dumps spend their time (``_engine.c``).

The callers of its functions define in Python and NumPy what the functions compute: methods of `Vocabulary`, `Engine`
and `Noter`, `fraudscan.lattice`, and in dumps `JsonLinesWriter`. If the package was installed without a C compiler,
the callers compute it themselves, with the same result to the last bit. They then run at a third to a half of the
speed, and on most disguised texts at a half to a sixth of it.
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
