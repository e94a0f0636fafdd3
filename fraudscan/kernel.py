"""The compiled kernel, if it was built: the loops in which scoring and dumps spend their time.

The callers define in Python and NumPy what its functions compute. Those in ``_engine.c`` and ``_read.c`` are called by
methods of `Vocabulary`, `Engine`, `Noter` and `JsonLinesWriter`, those in ``_survey.c``, ``_lattice.c`` and
``_evidence.c`` by `fraudscan.survey`, `fraudscan.lattice` and `fraudscan.explain`. If the package was installed without
a C compiler, the callers compute it themselves, with the same result to the last bit. ``benchmarks/README.md`` compares
the speed.

A checkout that was updated may still have the kernel of the sources before. Its functions would refuse their arguments,
or compute something else, so it is not used.
"""

from __future__ import annotations

import hashlib
import importlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["compiled"]


def _is_current(module: ModuleType) -> bool:
    """Return whether a kernel was built from the sources beside this file; an installed package has none."""
    folder = Path(__file__).parent
    sources = [*sorted(folder.glob("_*.c")), *sorted(folder.glob("_*.h"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return not sources or getattr(module, "DIGEST", "") == f"sha256_{digest}"


compiled: ModuleType | None
try:
    compiled = importlib.import_module("fraudscan._engine")
except ImportError:
    compiled = None
if compiled and not _is_current(compiled):
    warnings.warn(
        f"{compiled.__file__} was built from other sources and is not used: run pip install -e . again", stacklevel=1
    )
    compiled = None
