"""The one thing that setup.cfg cannot say: a compiled kernel, which the package can do without."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "fraudscan._engine",
            [f"fraudscan/_{name}.c" for name in ("engine", "read", "survey", "lattice", "evidence")],
            depends=["fraudscan/_kernel.h"],
            extra_compile_args=["-O3"],
            optional=True,
        ),
    ]
)
