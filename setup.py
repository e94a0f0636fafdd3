"""The one thing that setup.cfg cannot say: a compiled kernel, which the package can do without."""

import hashlib
from pathlib import Path

from setuptools import Extension, setup

SOURCES = [f"fraudscan/_{name}.c" for name in ("engine", "evidence", "lattice", "read", "survey")]
HEADER = "fraudscan/_kernel.h"
DIGEST = hashlib.sha256(b"".join(Path(path).read_bytes() for path in [*SOURCES, HEADER])).hexdigest()

setup(
    ext_modules=[
        Extension(
            "fraudscan._engine",
            SOURCES,
            define_macros=[("DIGEST", f"sha256_{DIGEST}")],  # by which fraudscan.kernel tells that it is up to date
            depends=[HEADER],
            extra_compile_args=["-O3"],
            optional=True,
        ),
    ]
)
