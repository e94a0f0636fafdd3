"""The files that a job writes: each grows under another name until all of them are whole."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from fraudscan._version import __version__
from fraudscan.dump.checkpoint import journal_of
from fraudscan.dump.rows import DumpError
from fraudscan.dump.sources import ARCHIVES
from fraudscan.show import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fraudscan.dump.rows import Reject

__all__ = [
    "Growing",
    "Names",
    "StandardOutput",
    "encode_reject",
    "format_of",
    "part_of",
    "standard_output",
    "write_summary",
    "write_whole",
    "written",
]

ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
"""What is written to a file of such a name."""

OTHERS = (*ARCHIVES, ".zip", ".json", ".xml", ".xls", ".xlsx", ".ods", ".arrow", ".feather", ".db", ".sqlite")
"""What is not written, so that no file is another thing than its name says."""


@contextlib.contextmanager
def written(path: Path, how: str = "written") -> Iterator[None]:
    """Turn errors of the system while ``path`` is written into sentences.

    Raises:
        DumpError: if ``path`` cannot be written to its end.

    """
    try:
        yield
    except OSError as error:  # the disk is full, say
        raise DumpError(f"{path} cannot be {how}: {error.strerror}; then go on with --resume") from None


def format_of(target: str) -> str | None:
    """Return the format that the target's ending names; ``None`` where it names none, as of ``out`` or ``out.txt``.

    Raises:
        DumpError: if it names one that is not written.

    """
    name = target.lower()
    if other := next((ending for ending in OTHERS if name.endswith(ending)), None):
        raise DumpError(f"{target}: {other} is not written; name a file that ends with {', '.join(ENDINGS)}")
    return next((kind for ending, kind in ENDINGS.items() if name.endswith(ending)), None)


class Names:
    """The names of a job's files."""

    def __init__(self, target: str) -> None:
        self.target = Path(target)
        self.rejects = Path(f"{target}.rejects.jsonl")
        self.conversations = Path(f"{target}.conversations.jsonl")
        self.summary = Path(f"{target}.summary.json")
        self.checkpoint = Path(f"{target}.checkpoint")

    def results(self) -> tuple[Path, ...]:
        """Return the files that stay beside the output."""
        return self.rejects, self.conversations, self.summary

    def parts(self) -> tuple[Path, ...]:
        """Return the files that are not whole yet."""
        return tuple(map(part_of, (self.target, *self.results())))

    def half_made(self) -> tuple[Path, ...]:
        """Return the files of a job that is not done."""
        return self.checkpoint, journal_of(self.checkpoint), *self.parts()

    def check(self, sources: Sequence[str]) -> None:
        """Refuse to write what the name does not say, over a folder, pipe or device, or over a source.

        Raises:
            DumpError: if that is what the target would be, or one of these files is a source.

        """
        format_of(str(self.target))
        try:
            if self.target.exists() and not self.target.is_file():
                raise DumpError(f"{self.target} is no regular file: name another output, or - for standard output")
            if not (folder := self.summary.parent).is_dir():  # of "new/", which Path takes for "new", this is "new"
                raise DumpError(f"{self.target} cannot be written: there is no folder {folder}")
            for source in sources:
                for path in (self.target, *self.results(), *self.half_made()):
                    if source != "-" and path.exists() and Path(source).exists() and path.samefile(source):
                        raise DumpError(f"{path} is also the input: name another output")
        except OSError as error:  # a name that is too long, a folder that is closed to us
            raise DumpError(f"{self.target} cannot be written: {error.strerror}") from None


def part_of(path: Path) -> Path:
    """Return the name of a file that is not whole."""
    return path.with_name(path.name + ".part")


def write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file that has its name only when it is whole; nothing is left of one that cannot be written."""
    part = part_of(path)
    try:
        with part.open("wb") as file:
            file.writelines(parts)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_summary(path: Path, report: Mapping[str, Any]) -> None:
    """Write a summary, which also tells later runs whose the output beside it is; the number of rows stands first."""
    text = json.dumps({**report, "fraudscan": __version__}, ensure_ascii=False, indent=1) + "\n"
    write_whole(path, [text.encode("utf-8", "backslashreplace")])


class Growing:
    """A file that only grows, under its ``.part`` name.

    Args:
        path: its name when it is whole.
        size: how many bytes of it are known to be right; what follows them is cut.

    Raises:
        DumpError: if it cannot be written, or is shorter.

    """

    def __init__(self, path: Path, size: int = 0) -> None:
        self.path = path
        self.part = part_of(path)
        self.size = size
        try:
            self._file: BinaryIO = self.part.open("r+b" if size else "wb")
            there = self._file.seek(0, 2)
            if there < size:
                self._file.close()
                raise DumpError(f"{self.part} is shorter than its checkpoint says: start anew with --force")
            if there > size:  # never in vain: some file systems flush at its close what was once cut to nothing
                self._file.truncate(size)
                self._file.seek(size)
        except OSError as error:
            if size and not self.part.exists():
                raise DumpError(f"{self.part} is gone: start anew with --force") from None
            raise DumpError(f"{path} cannot be written: {error.strerror}") from None

    def write(self, data: bytes) -> None:
        """Add bytes."""
        with written(self.part, "written on"):
            self._file.write(data)
        self.size += len(data)

    def flush(self) -> None:
        """Hand what was written to the system."""
        with written(self.part, "written on"):
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()


@contextlib.contextmanager
def _standard() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # its reader has had enough, which ends a command quietly
        raise
    except OSError as error:
        raise DumpError(f"standard output cannot be written: {error.strerror}") from None


class StandardOutput:
    """Standard output in place of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add bytes; ``DumpError`` if it takes none."""
        with _standard():
            self._file.write(data)

    def flush(self) -> None:
        """Hand what was written to the system; ``DumpError`` if it takes none."""
        with _standard():
            self._file.flush()

    def close(self) -> None:
        """Leave it open."""


class StandardError(StandardOutput):
    """Standard error, for rejects, which must not be lost; remarks that could not be written there may be."""

    def write(self, data: bytes) -> None:
        """Write bytes.

        Raises:
            DumpError: if that fails.

        """
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            why = f"standard error cannot be written: {error.strerror}"
            raise DumpError(f"{why}; rejects go there: name an output to have a file of them") from None

    def flush(self) -> None:
        """Do nothing: `write` does."""


def standard_output() -> tuple[StandardOutput, StandardOutput]:
    """Return where rows and rejects go if the target is ``-``."""
    return StandardOutput(sys.stdout.buffer), StandardError(sys.stderr.buffer)


def encode_reject(source: str, reject: Reject) -> bytes:
    """Return a reject as a line of JSON."""
    row: dict[str, Any] = {"source": source, **reject._asdict()}
    return to_json(row).encode() + b"\n"
