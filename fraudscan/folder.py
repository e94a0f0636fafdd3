"""The model folder: arrays that cannot run code, and ``manifest.json``, which says what they are.

The manifest names the SHA-256 of each array. A folder is written whole or not at all, and
replaced only if all that it holds is a model's; one that is damaged or foreign is refused
with one exception, whatever is wrong with it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fraudscan.characters import NORMALIZATION_VERSION
from fraudscan.errors import FraudscanError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

__all__ = ["CARD", "DIAGRAM", "VERSIONS", "ModelError", "check_target", "check_versions", "read_folder", "write_folder"]

FORMAT_VERSION = 6
"""The version of the model folder: what the arrays are, and what is computed with them. A reader takes its own only."""

VERSIONS = {"format_version": FORMAT_VERSION, "normalization_version": NORMALIZATION_VERSION}
"""What a model must have been written with."""

MANIFEST = "manifest.json"

LARGEST = 1 << 30
"""Bytes of a model's file: no vocabulary whose steps fit 32 bits needs more."""

CARD, DIAGRAM = "MODEL_CARD.md", "reliability.svg"
"""What `fraudscan.card` writes beside a model."""

Made = TypeVar("Made")


class ModelError(FraudscanError):
    """A model folder is missing, damaged, of a version that this package does not read, or cannot be written."""


def check_target(folder: Path) -> Path:
    """Return the resolved path of a folder that a model can be written to, and make its parents.

    Raises:
        ModelError: if ``folder`` holds what is no part of a model, or cannot be written or replaced.

    """
    target = folder.resolve()
    try:
        if target.exists():
            ours = _files(target)
            if foreign := sorted(path.name for path in target.iterdir() if path.name not in ours):
                raise ModelError(
                    f"{folder} holds {foreign[0]!r}, which is no part of a model: name a new or an empty folder"
                )
            if target == Path.cwd() or os.path.ismount(target):
                raise ModelError(f"{folder} is in use and cannot be replaced: name a folder in it")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent):
            return target
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error}") from error


def _files(folder: Path) -> set[str]:
    """Return the names of the files that belong to the model in a folder; none if there is no model of ours."""
    try:
        manifest = json.loads(_read_file(folder / MANIFEST))
        arrays, _ = manifest["arrays"], manifest["format_version"]  # which other programs' manifests lack
        return {MANIFEST, CARD, DIAGRAM, *(f"{name}.npy" for name in arrays)}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return set()


def write_folder(folder: Path, arrays: Mapping[str, npt.NDArray[Any]], manifest: Mapping[str, Any]) -> None:
    """Write a model: all of it or nothing; one that stands there is replaced.

    Args:
        folder: its name.
        arrays: each becomes a file of its name.
        manifest: what the model says of itself; versions and digests are added.

    Raises:
        ModelError: see `check_target`.

    """
    target = check_target(folder)
    try:
        _replace(target, arrays, manifest)
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error}") from error


def _replace(folder: Path, arrays: Mapping[str, npt.NDArray[Any]], manifest: Mapping[str, Any]) -> None:
    place = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    new, old = place / "new", place / "old"
    try:
        new.mkdir()  # for whom the user's mask says; the temporary one is nobody else's
        digests = {}
        for name, array in arrays.items():
            np.save(new / f"{name}.npy", array, allow_pickle=False)
            digests[name] = hashlib.sha256((new / f"{name}.npy").read_bytes()).hexdigest()
        text = json.dumps({**manifest, **VERSIONS, "arrays": digests}, ensure_ascii=False, indent=1) + "\n"
        (new / MANIFEST).write_bytes(text.encode("utf-8", "backslashreplace"))  # half a surrogate pair: JSON's escape
        if folder.exists():
            folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                old.rename(folder)
                raise
        else:
            new.rename(folder)
    finally:
        kept = old.exists() and not folder.exists()  # it could not be put back
        shutil.rmtree(new if kept else place, ignore_errors=True)


def read_folder(
    folder: Path, names: Sequence[str], make: Callable[[list[npt.NDArray[Any]], dict[str, Any]], Made]
) -> Made:
    """Read a model and return what ``make`` makes of it.

    Args:
        folder: its name.
        names: those of the arrays that it must have.
        make: takes the arrays, in the order of ``names``, and the manifest.

    Raises:
        ModelError: if the folder is missing, damaged, or of another version, or if ``make`` stumbles over it.

    """
    try:
        manifest = json.loads(_read_file(folder / MANIFEST))
        check_versions(folder, manifest)
        return make([_read_array(folder / f"{name}.npy", manifest["arrays"][name]) for name in names], manifest)
    except ModelError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = (
            f"{Path(error.filename).name} is missing" if folder.is_dir() or not folder.exists() else "it is a file"
        )
        raise ModelError(f"{folder} is no model: {missing}; name the folder that fraudscan train wrote") from None
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error}") from error
    except Exception as error:  # there is no telling how damage shows
        raise ModelError(f"{folder} is damaged: {type(error).__name__}: {error}") from error


def check_versions(what: Path | str, manifest: Mapping[str, Any]) -> None:
    """Refuse a model that is not meant for this version of the package.

    Raises:
        ModelError: if it was written by another one.

    """
    version = manifest["format_version"]
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{what} has format version {version}, this fraudscan reads {FORMAT_VERSION}: train it anew, or install "
            "the fraudscan that wrote it"
        )
    if manifest["normalization_version"] != NORMALIZATION_VERSION:
        raise ModelError(
            f"{what} was trained with normalization version {manifest['normalization_version']}, this fraudscan has "
            f"{NORMALIZATION_VERSION}: train it anew, or install the fraudscan that wrote it"
        )


def _read_file(path: Path) -> bytes:
    """Return what a file holds, but nothing of a pipe, which would be waited for, or of a device, which has no end."""
    if path.exists() and not path.is_file():
        raise ModelError(f"{path} is no regular file")
    if path.stat().st_size > LARGEST:
        raise ModelError(f"{path} has more than {LARGEST:,} bytes, and is no part of a model")
    return path.read_bytes()


def _read_array(path: Path, digest: str) -> npt.NDArray[Any]:
    data = _read_file(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise ModelError(f"{path} is damaged: its SHA-256 is not the one that the manifest names")
    array: npt.NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.kind not in "iuf":  # a cast would make numbers of dates and texts
        raise ModelError(f"{path} is damaged: its values are {array.dtype}, neither integers nor floats")
    return array
