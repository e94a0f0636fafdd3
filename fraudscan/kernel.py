"""The compiled kernel, where it was built: the loops in which scoring and dumps spend their time (``_engine.c``).

What its functions compute is defined in Python and NumPy by what calls them: methods of `Vocabulary`, `Engine` and
`Noter`, `fraudscan.lattice`, and in dumps `JsonLinesWriter`. They do it themselves where the package was installed
without a C compiler: at a third to a half of the speed, disguised texts at a half to a sixth of it, and with the same
result to the last bit.
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
