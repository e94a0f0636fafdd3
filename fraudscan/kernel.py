"""The compiled kernel, if it was built: the loops in which scoring and dumps spend their time.

The callers define in Python and NumPy what its functions compute. Those in ``_engine.c`` and ``_read.c`` are called by
methods of `Vocabulary`, `Engine`, `Noter` and `JsonLinesWriter`, those in ``_survey.c``, ``_lattice.c`` and
``_evidence.c`` by `fraudscan.survey`, `fraudscan.lattice` and `fraudscan.explain`. If the package was installed without
a C compiler, the callers compute it themselves, with the same result to the last bit. ``benchmarks/README.md`` compares
the speed.
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
