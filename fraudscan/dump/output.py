"""The files that a job writes: each grows under a temporary name until all of them are complete."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, TextIO

from fraudscan._version import __version__
from fraudscan.dump.checkpoint import NOT_OURS, files_of, is_ours, new_file, owners
from fraudscan.dump.rows import DumpError
from fraudscan.dump.sources import RESULT_ENDINGS
from fraudscan.dump.streams import ARCHIVES, STDIN
from fraudscan.folder import limited
from fraudscan.show import shown_name, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fraudscan.dump.rows import Reject

__all__ = [
    "CALLED",
    "SLICE",
    "Growing",
    "Names",
    "StandardError",
    "StandardOutput",
    "create",
    "encode_reject",
    "format_of",
    "now",
    "part_of",
    "publish",
    "to_standard_output",
    "write_summary",
    "write_whole",
    "written",
]

ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
"""The output format for each file ending."""

CALLED = {"jsonl": "JSON lines", "csv": "CSV", "parquet": "Parquet"}
"""What messages call these formats."""

SLICE = 1 << 20
"""Bytes written at a time: on Linux one call with several megabytes takes longer."""

NOT_WRITTEN = (
    *(*ARCHIVES, ".json", ".xml", ".xls", ".xlsx", ".xlsm", ".ods"),
    *(".arrow", ".feather", ".db", ".sqlite"),
)
"""Endings of formats that are not written: they are refused, so that no file has an ending that does not fit it."""


@contextlib.contextmanager
def written(path: Path, how: str = "written") -> Iterator[None]:
    """Turn operating-system errors while ``path`` is written into a `DumpError`."""
    try:
        yield
    except OSError as error:  # for example, the disk is full
        raise DumpError(f"{path} cannot be {how}: {error.strerror}; fix this, then continue with --resume") from None


def format_of(target: str) -> str | None:
    """Return the format that the target's ending names; ``None`` if it names none, as in ``out`` or ``out.txt``.

    Names of formats that are not written are refused.
    """
    name = target.lower()
    if other := next((ending for ending in NOT_WRITTEN if name.endswith(ending)), None):
        raise DumpError(f"{target}: {other} is not written; name a file that ends with {', '.join(ENDINGS)}")
    return next((kind for ending, kind in ENDINGS.items() if name.endswith(ending)), None)


class Names:
    """The names of a job's files. If the target is a link to a file, they lie beside that file."""

    def __init__(self, target: str) -> None:
        path, self._link = Path(target), target
        with contextlib.suppress(OSError):  # `check` reports it
            if path.is_symlink() and path.is_file():
                target = os.path.realpath(path)  # perhaps on a larger disk
        self.target = Path(target)
        self.rejects, self.conversations, self.summary = (Path(f"{target}{ending}") for ending in RESULT_ENDINGS)
        self.checkpoint = Path(f"{target}.checkpoint")

    @property
    def ending(self) -> str:
        """The name whose ending determines the format: that of the target or, if it names none, of a link to it."""
        target = str(self.target)
        return target if format_of(target) else self._link

    def results(self) -> tuple[Path, ...]:
        """Return the output and the result files that are kept beside it."""
        return self.target, self.rejects, self.conversations, self.summary

    def parts(self) -> tuple[Path, ...]:
        """Return the temporary names of the output and of its result files."""
        assembled = part_of(part_of(self.target))  # of Parquet
        return *map(part_of, self.results()), assembled

    def half_made(self) -> tuple[Path, ...]:
        """Return the files that an unfinished job may have."""
        return *files_of(self.checkpoint), *self.parts()

    def check_free(self, how: str) -> None:
        """Refuse to replace results that are there; ``how`` says what to do."""
        if there := next((path for path in self.results() if path.is_symlink() or path.exists()), None):
            raise DumpError(f"{there} {how}")

    def check(self, sources: Sequence[str]) -> None:
        """Refuse a target whose ending is not written, or that is not a regular file in a folder that can be accessed.

        So is one whose files would overwrite a source.
        """
        format_of(self.ending)
        try:
            if self.target.is_symlink() and not self.target.exists():  # what somebody else planted could lead anywhere
                raise DumpError(f"{self.target} is a link to nothing: remove it, or name the file itself")
            if self.target.exists() and not self.target.is_file():
                raise DumpError(f"{self.target} is not a regular file: name another output, or - for standard output")
            if not (folder := self.summary.parent).is_dir():  # "new" for "new/", which Path turns into "new"
                raise DumpError(f"{self.target} cannot be written: there is no folder {folder}")
            for source in sources:
                for path in (*self.results(), *self.half_made()):
                    if source != STDIN and path.exists() and Path(source).exists() and path.samefile(source):
                        raise DumpError(f"{path} is also the input: name another output")
        except OSError as error:  # the name is too long, or the folder is not accessible
            raise DumpError(f"{self.target} cannot be written: {error.strerror}") from None


def part_of(path: Path) -> Path:
    """Return the temporary name of a file that is not complete."""
    return path.with_name(path.name + ".part")


def create(path: Path) -> BinaryIO:
    """Make a file that nobody else can read, in place of what has its name: a link there may lead anywhere."""
    path.unlink(missing_ok=True)
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _reopen(path: Path) -> BinaryIO:
    """Open a file that `create` made, and nothing else."""
    ours = owners(path)
    if is_ours(path.lstat(), ours):
        no_link = getattr(os, "O_NOFOLLOW", 0)
        file = open(path, "r+b", opener=lambda name, flags: os.open(name, flags | no_link))  # noqa: SIM115
        if is_ours(os.fstat(file.fileno()), ours):
            return file
        file.close()
    raise DumpError(f"{path} {NOT_OURS}")


def publish(part: Path, path: Path) -> None:
    """Give a complete file its name, and the mode of any new file.

    A file that replaces another one gets no more permissions than that one had.
    """
    if sys.platform != "win32":  # its modes do not say who may read a file
        made = new_file(path.parent)
        mode = limited(made, path.stat()) if path.exists() else stat.S_IMODE(made.st_mode)
        with contextlib.suppress(OSError, DumpError), _reopen(part) as file:  # some disks have no modes
            os.fchmod(file.fileno(), mode)
    part.replace(path)


def write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file that gets its name only when it is complete; if that fails, nothing is left behind."""
    part = part_of(path)
    try:
        with create(part) as file:
            file.writelines(parts)
        publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def now() -> str:
    """Return the time as summaries have it: UTC in ISO 8601, in whole seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def write_summary(path: Path, report: Mapping[str, Any], began: str) -> None:
    """Write a summary, by which later runs also recognize the output beside it; the number of rows comes first.

    Names of files and options in it may have undecodable bytes, which are written as `shown_name` shows them.
    """
    report = {**report, "began": began, "ended": now(), "fraudscan": __version__}
    text = json.dumps(report, ensure_ascii=False, indent=1) + "\n"
    text = re.sub("[\udc80-\udcff]", lambda found: json.dumps(shown_name(found[0]))[1:-1], text)
    write_whole(path, [text.encode("utf-8", "backslashreplace")])


class Growing:
    """A file that is only appended to, under its ``.part`` name. Errors of the system become a `DumpError`.

    Args:
        path: its name when it is complete.
        size: the number of bytes known to be valid, to which the file is truncated; it must not be shorter.

    """

    def __init__(self, path: Path, size: int = 0) -> None:
        self.part = part_of(path)
        self.size = size
        try:
            self._file = _reopen(self.part) if size else create(self.part)
            there = self._file.seek(0, 2)
            if there < size:
                self._file.close()
                raise DumpError(f"{self.part} is shorter than its checkpoint says: start over with --force")
            if there > size:  # only then: some file systems flush a file when it is closed if it was once emptied
                self._file.truncate(size)
                self._file.seek(size)
        except OSError as error:
            if size and not self.part.exists():
                raise DumpError(f"{self.part} is gone: start over with --force") from None
            raise DumpError(f"{path} cannot be written: {error.strerror}") from None

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with written(self.part, "written to"):
            for at in range(0, len(data), SLICE):
                self._file.write(memoryview(data)[at : at + SLICE])
        self.size += len(data)

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        with written(self.part, "written to"):
            self._file.flush()

    def close(self) -> None:
        """Close the file, before it is renamed: Windows renames no open file, and some file systems write only now."""
        with written(self.part, "written to"):
            self._file.close()

    def abandon(self) -> None:
        """Close the file, unless it is closed, when another error may have been raised already."""
        with contextlib.suppress(OSError):
            self._file.close()


@contextlib.contextmanager
def to_standard_output() -> Iterator[None]:
    """Turn operating-system errors while standard output is written into a `DumpError`."""
    try:
        yield
    except BrokenPipeError:  # its reader closed the pipe, which ends a command quietly
        raise
    except OSError as error:
        raise DumpError(f"standard output cannot be written: {error.strerror}") from None


class StandardOutput:
    """Standard output in place of a file; it is refused if it takes no bytes."""

    called: ClassVar[str] = "standard output"

    def __init__(self, stream: TextIO) -> None:
        file = getattr(stream, "buffer", None)
        if file is None:
            raise DumpError(f"here, as in notebooks, {self.called} takes text only: name a file to write to")
        self._file: BinaryIO = file
        self.size = 0

    def write(self, data: bytes) -> None:
        """Write bytes at once, for whoever reads them."""
        with to_standard_output():
            self._file.write(data)
            self._file.flush()

    def flush(self) -> None:
        """Do nothing: `write` does."""

    def close(self) -> None:
        """Do nothing: standard output stays open."""

    abandon = close


class StandardError(StandardOutput):
    """Standard error, for rejects. They must not be lost, unlike notices that cannot be written there."""

    called: ClassVar[str] = "standard error (rejects go there)"

    def write(self, data: bytes) -> None:
        """Write bytes at once; also a closed pipe is an error."""
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            why = f"standard error cannot be written: {error.strerror}"
            raise DumpError(f"{why}; rejects go there: name an output file to get them in a file") from None


def encode_reject(source: str, reject: Reject) -> bytes:
    """Return a reject as a line of JSON."""
    row: dict[str, Any] = {"source": source, **reject._asdict()}
    return to_json(row).encode() + b"\n"
