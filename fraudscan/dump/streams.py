"""Open sources as streams of bytes. Archives are unpacked as they are read."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import select
import sys
import time
import zipfile
import zlib
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, BinaryIO

from fraudscan.dump.foreign import BZIP2, GZIP, XZ, ZIP, ZSTD, office_of
from fraudscan.dump.rows import DumpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

__all__ = [
    "ARCHIVES",
    "FORMAT_OF_ENDING",
    "HIDDEN",
    "STDIN",
    "Head",
    "Stream",
    "from_start",
    "may_be_dump",
    "plain_name",
]

STDIN = "-"

FORMAT_OF_ENDING = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "lines",
    ".xml": "sms-xml",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "csv",  # what many systems call a text table
    ".et": "csv",
}
"""The file endings that a folder is searched for, and the format that each implies unless the content shows another."""

ARCHIVES = (".gz", ".bz2", ".xz", ".zst", ".zip")

HIDDEN = ".", "~$"
"""How the names of hidden files begin, and those of the files by which Excel locks a workbook."""

PACKED = max(map(len, (GZIP, BZIP2, XZ, *ZSTD)))
"""How many bytes identify such an archive."""

WHATSAPP = "_chat.txt"
"""What WhatsApp calls the chat in the ZIP archive that an iPhone exports; other dumps in it were sent in the chat."""

XZ_MEMORY = 1 << 28
"""Maximum memory in bytes that an .xz file may ask for. 64 MiB are enough for `xz -9`."""

ZSTD_WINDOW = 1 << 27
"""Maximum window of a .zst file in bytes: the one that `zstd --long` uses."""

WAIT = 0.2
"""Seconds after which what has come from a live source is returned. Fast ones fill a block in less time."""


def plain_name(source: str) -> str:
    """Return the name in lower case, without an archive ending."""
    name = source.lower()
    return next((name.removesuffix(ending) for ending in ARCHIVES if name.endswith(ending)), name)


def may_be_dump(path: PurePath) -> bool:
    """Return whether a file in a folder or ZIP archive has the name of a dump, or of a ZIP archive, which may hold one.

    What macOS adds to ZIP archives (``__MACOSX/._dump.csv``) is hidden.
    """
    name = path.name.lower()
    return not name.startswith(HIDDEN) and (plain_name(name).endswith(tuple(FORMAT_OF_ENDING)) or name.endswith(".zip"))


class Stream:
    """The unpacked bytes of a source, read from front to back.

    A damaged archive ends where the damage begins; ``damage`` is then the reason. ``name`` is the one that may imply a
    format: that of the source, or of the file in a ZIP archive. ``office`` is what `foreign` calls the source if it is
    an Office document, else empty; ``None`` if it is packed, so that only its first bytes tell. If ``live`` is set and
    the source is a pipe or a terminal, bytes are returned `WAIT` seconds after the first of them has come; ``paused``
    is whether the last call returned fewer than it was asked for because of that, and not because the source has ended.
    """

    damage = ""
    live = paused = _ended = False
    _ahead = memoryview(b"")

    def __init__(self, source: str) -> None:
        self.source = self.name = source
        with contextlib.ExitStack() as failed:  # closes the file
            try:
                self._opened: Any = sys.stdin.buffer if source == STDIN else Path(source).open("rb")  # noqa: SIM115
                failed.callback(self.close)
                self._raw = from_start(self._opened, PACKED)
                office = office_of(self._raw)
                self._file: Any = self._raw if office else _unpacked(self._raw, source)
            except OSError as error:
                raise DumpError(f"{source} cannot be read: {error.strerror or error}") from None
            except zipfile.BadZipFile as error:
                self._file = None
                self.damage = f"the ZIP archive cannot be opened: {error}"
            failed.pop_all()
        self.office = None if self.packed else office
        if isinstance(self._file, _Member):
            self.name = self._file.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.source != STDIN:
            self._opened.close()

    @property
    def size(self) -> int:
        """The bytes of the file itself."""
        return os.fstat(self._opened.fileno()).st_size

    @property
    def packed(self) -> bool:
        """Whether the source is an archive."""
        return self._file is not self._raw

    def done(self) -> int:
        """Return how many bytes of the file itself have been read."""
        try:
            return int(self._raw.tell())
        except (OSError, ValueError):  # standard input
            return 0

    def peek(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer at the end or if `paused`, without consuming them."""
        if size > len(self._ahead):
            ahead = bytes(self._ahead)
            self._ahead = memoryview(ahead + self._fill(size - len(ahead), begun=bool(ahead)))
        return bytes(self._ahead[:size])

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end or if `paused`, but at least one before the end."""
        if not self._ahead:
            return self._fill(size)
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return bytes(data) + self._fill(size - len(data), begun=True)

    def skip(self, size: int) -> None:
        """Skip ``size`` bytes; in an archive or a pipe, by reading them."""
        if not self.packed and not self._ahead and self._raw.seekable():
            self._raw.seek(size, io.SEEK_CUR)
            return
        while size > 0 and (data := self.read(min(size, 1 << 20))):
            size -= len(data)

    def _fill(self, size: int, *, begun: bool = False) -> bytes:
        """Read ``size`` bytes; of a live source, those that come in time. If it has ``begun``, that counts from now."""
        parts: list[bytes] = []
        self.paused = False
        due = time.monotonic() + WAIT if begun else None
        try:
            while size > 0 and not (self.damage or self._ended):
                if self.live and due and not self._comes(due - time.monotonic()):
                    self.paused = True
                    break
                if not (data := self._file.read1(size)):
                    self._ended = self.live  # a terminal might go on
                    break
                parts.append(data)
                size -= len(data)
                due = due or time.monotonic() + WAIT
        except EOFError:
            self.damage = "the archive is cut short"
        except (OSError, zlib.error, lzma.LZMAError, ValueError) as error:
            self.damage = f"the {'archive' if self.packed else 'file'} cannot be read any further: {error}"
        return b"".join(parts)

    def _comes(self, seconds: float) -> bool:
        """Return whether a live source has bytes, or ends, within so many seconds; true where this cannot be known."""
        if self.packed or self._raw.seekable():
            return True
        try:
            return seconds > 0 and bool(select.select([self._opened], [], [], seconds)[0])
        except (OSError, ValueError):  # it is no file of the system, or no socket on Windows
            return True


class Head(Stream):
    """A stream of bytes in memory: the first ones of another stream."""

    def __init__(self, data: bytes) -> None:  # nothing is opened
        self.source = self.name = ""
        self._opened = self._raw = self._file = io.BufferedReader(io.BytesIO(data))
        self.office = None


def from_start(file: Any, size: int) -> Any:
    """Return the file, or a wrapper for it, whose first bytes can be peeked at: a slow pipe may give only one byte."""
    if file.seekable() or len(file.peek(size)) >= size:
        return file
    return io.BufferedReader(_Rest(file.read(size), file))


class _Rest(io.RawIOBase):
    """All bytes of a pipe of which the first ones have been read already."""

    def __init__(self, head: bytes, pipe: Any) -> None:
        self._head = head
        self._pipe = pipe

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or self._pipe.read1(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _unpacked(raw: Any, source: str) -> Any:
    """Return a file of the unpacked bytes; the first bytes show whether it is an archive."""
    magic = raw.peek(PACKED)[:PACKED]
    if magic.startswith(ZIP) and raw.seekable():
        return _from_zip(raw)
    if magic.startswith(GZIP):
        return gzip.GzipFile(fileobj=raw)
    if magic.startswith(BZIP2):
        return _Unpacked(raw, bz2.BZ2Decompressor)
    if magic.startswith(XZ):
        return _Unpacked(raw, partial(lzma.LZMADecompressor, memlimit=XZ_MEMORY))
    if magic.startswith(ZSTD):
        try:
            import zstandard
        except ImportError:
            raise DumpError(f'{source} is a .zst archive: pip install "fraudscan[zstd]"') from None
        return _Unpacked(raw, partial(_Zstd, zstandard), _Zstd.STEP)
    return raw


def _from_zip(raw: Any) -> Any:
    """Return a file of the dump in a ZIP archive, or the archive itself if it holds none or several.

    Raises:
        zipfile.BadZipFile: if the archive, or the dump in it, cannot be opened, for whatever reason.

    """
    if not zipfile.is_zipfile(raw):
        raise zipfile.BadZipFile("it is cut short: copy it again")
    try:
        archive = zipfile.ZipFile(raw)
        files = (member for member in archive.infolist() if not member.is_dir())
        found = [member for member in files if may_be_dump(PurePath(member.filename))]
        found = [member for member in found if PurePath(member.filename).name == WHATSAPP] or found
        if len(found) == 1:
            return _Member(archive, found[0])
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - damaged archives raise nearly every kind of error
        raise zipfile.BadZipFile(str(error)) from None
    raw.seek(0)
    return raw


class _Member:
    """A file in a ZIP archive. Its checksum is compared after its last bytes were read, so that these are not lost."""

    STEP = 1 << 13
    """Bytes unpacked at a time. Where an archive is damaged, up to that many before the damage are lost."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        if member.flag_bits & 1:
            raise ValueError("it has a password: unpack it")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others may take any memory
            raise ValueError("it is not compressed by DEFLATE: unpack it")
        self.name = member.filename
        self._expected, self._found = member.CRC, 0
        del member.CRC  # with it, zipfile compares them before it returns the last bytes
        self._file: Any = archive.open(member)

    def read1(self, size: int) -> bytes:
        data: bytes = self._file.read1(min(size, self.STEP))
        self._found = zlib.crc32(data, self._found)
        if not data and self._found != self._expected:
            raise ValueError("its checksum is wrong")
        return data


class _Unpacked:
    """A file of one or more concatenated compressed streams, which are unpacked only as far as bytes are asked for.

    ``step`` is how many compressed bytes are read at a time.
    """

    def __init__(self, raw: BinaryIO, make: Callable[[], Any], step: int = 1 << 16) -> None:
        self._raw = raw
        self._make = make
        self._step = step
        self._one: Any = None
        self._packed = self._data = b""

    def read1(self, size: int) -> bytes:
        while not self._data:
            if self._one is None or self._one.eof:
                packed = (self._one.unused_data if self._one else b"") or self._raw.read(self._step)
                if not packed:
                    return b""
                self._one, self._packed = None, packed.lstrip(b"\0")  # streams may be padded
                if not self._packed:
                    continue
                self._one = self._make()
            elif self._one.needs_input and not self._packed:
                self._packed = self._raw.read(self._step)
                if not self._packed:
                    raise EOFError
            self._data = self._one.decompress(self._packed, size)
            self._packed = b""
        data, self._data = self._data[:size], self._data[size:]
        return data


class _Zstd:
    """zstandard's decompressor with the interface of bz2's, except that it unpacks all that it is given."""

    STEP = 1024
    """Compressed bytes to give it at a time. In the worst case they expand to 32 MiB."""

    needs_input = True

    def __init__(self, zstandard: Any) -> None:
        self._object = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
        self._error = zstandard.ZstdError

    def __getattr__(self, name: str) -> Any:  # eof, unused_data
        return getattr(self._object, name)

    def decompress(self, packed: bytes, _: int) -> bytes:
        try:
            data: bytes = self._object.decompress(packed)
        except self._error as error:
            if "not enough memory" in str(error):
                raise MemoryError from None
            raise ValueError(str(error)) from None
        return data
