"""The model folder: arrays, which cannot run code, and ``manifest.json``, which describes them.

The manifest contains the SHA-256 of each array. A folder is written completely or not at all,
and is replaced only if everything in it belongs to a model. If it is replaced while it is read, the new model is read.
A damaged or foreign folder is refused with the same exception, whatever is wrong with it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fraudscan.characters import NORMALIZATION_VERSION
from fraudscan.errors import FraudscanError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

__all__ = [
    "CARD",
    "DIAGRAM",
    "VERSIONS",
    "ModelError",
    "check_target",
    "check_versions",
    "limited",
    "read_folder",
    "write_folder",
]

FORMAT_VERSION = 6
"""The version of the model folder: what the arrays are and how they are used. Only this version is read."""

VERSIONS = {"format_version": FORMAT_VERSION, "normalization_version": NORMALIZATION_VERSION}
"""The versions that a model must have been written with."""

MANIFEST = "manifest.json"

MAX_FILE_SIZE = 1 << 30
"""The largest size in bytes of a file of a model. No vocabulary whose steps fit 32 bits needs more."""

MAX_MANIFEST_SIZE = 1 << 23
"""The largest size in bytes of a manifest, which takes up to 30 times as much memory when it is parsed."""

PAUSE = 0.05
"""Seconds after which a missing folder is looked for again: for a moment, a model that is being replaced has none."""

CARD, DIAGRAM = "MODEL_CARD.md", "reliability.svg"
"""The files that `fraudscan.card` writes into a model folder."""

Made = TypeVar("Made")


class ModelError(FraudscanError):
    """A model folder is missing, damaged, of a version that this package does not read, or cannot be written."""


def check_target(folder: Path) -> Path:
    """Return the resolved path of a folder that a model can be written to, and create its parents.

    Raises:
        ModelError: if ``folder`` contains anything that is not part of a model, or cannot be written or replaced.

    """
    target = folder.resolve()
    try:
        if target.exists():
            ours = _files(target)
            if foreign := sorted(path.name for path in target.iterdir() if path.name not in ours):
                raise ModelError(
                    f"{folder} holds {foreign[0]!r}, which is not part of a model: name a new or an empty folder"
                )
            if target == Path.cwd().resolve() or os.path.ismount(target):
                raise ModelError(f"{folder} is in use and cannot be replaced: name a folder in it")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent):
            return target
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror or error}") from error


def _files(folder: Path) -> set[str]:
    """Return the names of the files that belong to the model in a folder; none if it has no model of this package."""
    try:
        manifest = json.loads(_read_file(folder / MANIFEST, MAX_MANIFEST_SIZE))
        arrays, _ = manifest["arrays"], manifest["format_version"]  # other programs' manifests lack these
        return {MANIFEST, CARD, DIAGRAM, *(f"{name}.npy" for name in arrays)}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return set()


def write_folder(folder: Path, arrays: Mapping[str, npt.NDArray[Any]], manifest: Mapping[str, Any]) -> None:
    """Write a model completely or not at all, replacing an existing model.

    Args:
        folder: the folder to write.
        arrays: the arrays by name; each becomes a file of that name.
        manifest: the metadata of the model; versions and digests are added.

    Raises:
        ModelError: see `check_target`.

    """
    target = check_target(folder)
    try:
        _replace(target, arrays, manifest)
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror or error}") from error


def _replace(folder: Path, arrays: Mapping[str, npt.NDArray[Any]], manifest: Mapping[str, Any]) -> None:
    place = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    new, old = place / "new", place / "old"
    try:
        new.mkdir()  # with the user's umask; the temporary folder is private
        digests = {}
        for name, array in arrays.items():
            np.save(new / f"{name}.npy", array, allow_pickle=False)
            digests[name] = hashlib.sha256((new / f"{name}.npy").read_bytes()).hexdigest()
        text = json.dumps({**manifest, **VERSIONS, "arrays": digests}, ensure_ascii=False, indent=1) + "\n"
        data = text.encode("utf-8", "backslashreplace")  # lone surrogates become JSON escapes
        if len(data) > MAX_MANIFEST_SIZE:
            raise ModelError(f"{folder} cannot be written: its manifest would exceed {MAX_MANIFEST_SIZE:,} bytes")
        (new / MANIFEST).write_bytes(data)
        if folder.exists():
            _keep_private(new, folder)
            folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                old.rename(folder)
                raise
        else:
            new.rename(folder)
    finally:
        kept = old.exists() and not folder.exists()  # the old model could not be put back
        shutil.rmtree(new if kept else place, ignore_errors=True)


def _keep_private(new: Path, old: Path) -> None:
    """Give a model no more permissions for others than the one that it replaces has."""
    for path in (*new.iterdir(), new):
        with suppress(OSError):  # some disks have no modes
            before = old / path.relative_to(new)
            made, known = path.stat(), (before if before.exists() else old / MANIFEST).stat()
            path.chmod(limited(made, known) | made.st_mode & (stat.S_IRWXU | stat.S_ISGID))


def limited(made: os.stat_result, before: os.stat_result) -> int:
    """Return the mode of a new file or folder without permissions that the one which it replaces does not give.

    The members of another group were among the others before.
    """
    theirs = before.st_mode
    if before.st_gid != made.st_gid:
        theirs = theirs & ~stat.S_IRWXG | (theirs & stat.S_IRWXO) << 3
    return stat.S_IMODE(made.st_mode & theirs)


def read_folder(
    folder: Path, names: Sequence[str], make: Callable[[list[npt.NDArray[Any]], dict[str, Any]], Made]
) -> Made:
    """Read a model and return what ``make`` builds from it; the new model, if another process replaces it meanwhile.

    Args:
        folder: the folder to read.
        names: the names of the arrays that it must have.
        make: a function of the arrays, in the order of ``names``, and the manifest.

    Raises:
        ModelError: if the folder is missing, damaged, or of another version, or if ``make`` raises an exception.

    """
    while True:
        before = _identity(folder)
        try:
            return _read(folder, names, make)
        except ModelError:
            if _identity(folder) is None:
                time.sleep(PAUSE)
            if _identity(folder) == before:
                raise


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from one that replaces it; ``None`` if there is no folder."""
    with suppress(OSError, ValueError):
        found = folder.stat()
        return found.st_ino, found.st_mtime_ns  # the number of a deleted folder may be used again
    return None


def _read(folder: Path, names: Sequence[str], make: Callable[[list[npt.NDArray[Any]], dict[str, Any]], Made]) -> Made:
    try:
        manifest = json.loads(_read_file(folder / MANIFEST, MAX_MANIFEST_SIZE))
        check_versions(folder, manifest)
        return make([_read_array(folder / f"{name}.npy", manifest["arrays"][name]) for name in names], manifest)
    except ModelError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = (
            f"{Path(error.filename).name} is missing" if folder.is_dir() or not folder.exists() else "it is a file"
        )
        raise ModelError(f"{folder} is not a model: {missing}; name the folder that fraudscan train wrote") from None
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error}") from error
    except Exception as error:  # damage can raise any exception
        raise ModelError(f"{folder} is damaged: {type(error).__name__}: {error}") from error


def check_versions(what: Path | str, manifest: Mapping[str, Any]) -> None:
    """Refuse a model that is not meant for this version of the package.

    Raises:
        ModelError: if the model was written with another format or normalization version.

    """
    version = manifest["format_version"]
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{what} has format version {version}, but this fraudscan reads {FORMAT_VERSION}: train it again, or "
            "install the fraudscan that wrote it"
        )
    if manifest["normalization_version"] != NORMALIZATION_VERSION:
        raise ModelError(
            f"{what} was trained with normalization version {manifest['normalization_version']}, but this fraudscan "
            f"has {NORMALIZATION_VERSION}: train it again, or install the fraudscan that wrote it"
        )


def _read_file(path: Path, limit: int = MAX_FILE_SIZE) -> bytes:
    """Return the contents of a regular file; refuse a pipe, which would block, and a device, which has no end."""
    if path.exists() and not path.is_file():
        raise ModelError(f"{path} is not a regular file")
    if path.stat().st_size > limit:
        raise ModelError(f"{path} has more than {limit:,} bytes, so it is not part of a model")
    return path.read_bytes()


def _read_array(path: Path, digest: str) -> npt.NDArray[Any]:
    data = _read_file(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise ModelError(f"{path} is damaged: its SHA-256 is not the one in the manifest")
    array: npt.NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.kind not in "iuf":  # a cast would turn dates and strings into numbers
        raise ModelError(f"{path} is damaged: its values are {array.dtype}, neither integers nor floats")
    return array
