"""The one thing that setup.cfg cannot say: a compiled kernel, which the package can do without."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "fraudscan._engine",
            ["fraudscan/_engine.c", "fraudscan/_survey.c", "fraudscan/_lattice.c", "fraudscan/_evidence.c"],
            depends=["fraudscan/_kernel.h"],
            extra_compile_args=["-O3"],
            optional=True,
        ),
    ]
)
