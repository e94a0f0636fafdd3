"""Expand the sources named on the command line into files, and open them. Archives are unpacked as they are read."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import glob
import gzip
import hashlib
import io
import lzma
import os
import re
import select
import sys
import time
import zipfile
import zlib
from collections import Counter
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from fraudscan.dump.encodings import bom_size, detect
from fraudscan.dump.rows import DumpError
from fraudscan.show import shown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Self

__all__ = [
    "ARCHIVES",
    "FORMAT_OF_ENDING",
    "MAGIC",
    "RESULT_ENDINGS",
    "STDIN",
    "TEXTS",
    "WORKBOOK",
    "Head",
    "Stream",
    "expand",
    "fingerprint",
    "foreign",
    "from_start",
    "is_file",
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
}
"""The file endings that a folder is searched for, and the format that each implies unless the content shows another."""

ARCHIVES = (".gz", ".bz2", ".xz", ".zst", ".zip")

GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + i]) + b"\x2a\x4d\x18" for i in range(16)))
"""The first bytes of supported archives. Output of pzstd begins with a skippable frame, of which there are 16 kinds."""

PACKED = max(map(len, (GZIP, BZIP2, XZ, *ZSTD)))
"""How many bytes identify such an archive."""

ZIP, EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
"""The first bytes of a ZIP archive, and of one without files."""

WHATSAPP = "_chat.txt"
"""What WhatsApp calls the chat in the ZIP archive that an iPhone exports; other dumps in it were sent in the chat."""

FOREIGN = {
    **dict.fromkeys((GZIP, BZIP2, XZ, *ZSTD), "an archive that is still packed: unpack it first"),
    **dict.fromkeys(
        (ZIP, EMPTY_ZIP),
        "a ZIP archive, as are .ods and .numbers files; score reads a file that holds exactly one dump: unpack it, or "
        "save the table as .xlsx",
    ),
    **dict.fromkeys((b"\x04\x22\x4d\x18", b"\x1f\x9d"), "an archive of an unsupported kind (.lz4, .Z): unpack it"),
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it",
    b"Rar!\x1a\x07": "a RAR archive: unpack it",
    b"\xd0\xcf\x11\xe0": "an old Office document (.xls), or one with a password: save it as .xlsx without a password",
    b"SQLite format 3\0": "an SQLite database: export the table as CSV",
    **dict.fromkeys((b"%PDF-", b"{\\rtf"), "a document (PDF, RTF): export its text"),
    **dict.fromkeys((b"\xff\xd8\xff", b"\x89PNG"), "an image: extract its text (OCR)"),
    **dict.fromkeys((b"ARROW1\0\0", b"FEA1", b"Obj\1"), "an Arrow, Feather or Avro file: write it as Parquet"),
    **dict.fromkeys(
        (b"\x93NUMPY", b"\x80\4\x95", b"\x80\5\x95", b"\x89HDF"),
        "a file of arrays or objects (NumPy, pickle, HDF5): write the table as Parquet",
    ),
    b"ANDROID BACKUP\n": "a backup of an Android device: extract it, and export the messages as CSV or JSON",
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "text in UTF-32: convert it (iconv -t UTF-8)"),
}
"""Files that people mistake for dumps, by their first bytes after unpacking: what each is, and what to do with it."""

WORKBOOK = "an Excel workbook (.xlsx)"
OFFICE = re.compile(
    rb"PK\x03\x04.{26}(?:\[Content_Types\]\.xml|(?:_rels|docProps|customXml|xl|word|ppt)[/\\])", re.DOTALL
)
"""How the ZIP archives begin that Office documents are, and what `foreign` calls them; `workbooks` reads them."""

OFFICE_TYPES = "[Content_Types].xml"
"""The file by which such an archive is told from others, if its list of files can be read."""

OTHER_OFFICE = {
    "xl/workbook.bin": "a binary workbook (.xlsb): save it as .xlsx",
    "word/document.xml": "a Word document: export its text",
    "ppt/presentation.xml": "a presentation: export its text",
}
"""What `foreign` calls such an archive if it is no workbook that can be read, by its main file."""

BINARY = re.compile(rb"[\x04-\x08\x0e-\x1a\x7f]")
"""Control characters that are no white space and hardly ever delimit anything. Texts have next to none of them, and
except in UTF-16 they are no part of other characters. Of random bytes, more than seven per cent are such characters."""

MARKUP = re.compile(
    rb"[\xef\xbb\xbf\xff\xfe\s]*(?:<\?xml[^>]*>\s*|<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|meta|table)\b",
    re.IGNORECASE | re.DOTALL,
)
WEB_PAGE = 'a web page (HTML): export the messages as CSV or JSON, in Telegram Desktop as "Machine-readable JSON"'
"""How HTML begins, including a table saved under the name of an Excel file, and what `foreign` calls it."""

MARK = rb"[\xef\xbb\xbf\xff\xfe]*"

MAIL = re.compile(MARK + rb"(?:[A-Za-z-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?MIME-Version:", re.IGNORECASE)
"""How emails begin, and the files that QQ exports by default."""

CARD = re.compile(MARK + rb"BEGIN:V(?:MSG|CARD)")

OTHER_XML = "XML other than the messages (<smses>) of SMS Backup & Restore: export the messages as CSV"
XML = re.compile(
    MARK + rb"\s*<\?xml\s[^>]*>\s*(?:<\?[^>]*>\s*|<![A-Z][^>]*>\s*|<!--(?:(?!-->).)*-->\s*)*<(?!smses[\s/>])[A-Za-z]",
    re.DOTALL,
)
"""How XML with an unsupported root element begins (a list of calls, for example), after any comments, style sheets or
DOCTYPE."""

SQL = re.compile(
    MARK
    + rb"(?:\s|--[^\n]*\n|/\*(?:(?!\*/).)*\*/;?|(?:SET|USE|PRAGMA)\s[^;\n]*;)*"
    + rb"(?:-- *(?:MySQL|MariaDB|PostgreSQL database|phpMyAdmin SQL) dump\b|BEGIN TRANSACTION;\s*\n"
    + rb"|DROP TABLE IF EXISTS\s|CREATE TABLE (?:IF NOT EXISTS )?[^\s(]+\s*\("
    + rb"|(?:INSERT|REPLACE) (?:IGNORE )?INTO [^\s(]+\s*(?:\([^()]*\)\s*)?VALUES\s*\()",
    re.IGNORECASE | re.DOTALL,
)
"""How the SQL that databases export begins, after comments and settings: with the name of the program that wrote it, or
with a statement that makes or fills a table. One line of it may hold many messages."""

WEB_MAIL = "an email, or a web archive such as QQ's .mht: save its text; QQ also exports text (*.txt)"
CARDS = "a file of vMessages or vCards: export CSV or XML from the phone instead"
DATABASE = "an SQL dump: load it into a database and export the table as CSV"
TEXTS = WEB_PAGE, WEB_MAIL, CARDS, OTHER_XML, DATABASE
"""What `foreign` calls kinds of text, which can be read as lines if the user asks for that format."""

HIDDEN = ".", "~$"
"""How the names of hidden files begin, and those of the files by which Excel locks a workbook."""

TELEGRAM_PAGE = "messages.html"
"""The first page of a default export of Telegram Desktop. It is reported by name; the other pages are only counted."""

TAR = b"ustar"
MAGIC = 257 + len(TAR)
"""How many bytes identify most of what `foreign` recognizes. A tar archive begins with a file name; its magic number
comes later."""

PROLOG = 4096
"""Maximum bytes of comments and style sheets before the root element of XML, and of comments and settings in SQL."""

MOST_ENDINGS = 9
"""How many endings are reported, the most frequent first. The files of a phone have many different ones."""

RESULT_ENDINGS = (".rejects.jsonl", ".conversations.jsonl", ".summary.json")
"""Endings of the files that jobs write beside their output."""

SUMMARY = b'{\n "rows": ', b'"fraudscan": '
"""How a summary written by a job begins, and what its last bytes contain."""

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


def foreign(head: bytes, *, office: str | None = None) -> str:
    """Return what kind of file begins with ``head`` if that kind has no rows to read, else an empty string.

    ``office`` is what kind of Office document it is, if any; ``None`` if only its first bytes tell.
    """
    if head[MAGIC - len(TAR) : MAGIC] == TAR:
        return "a tar archive: unpack it"
    if office is None and OFFICE.match(head):
        return WORKBOOK
    if office:
        return office
    plain = head.replace(b"\0", b"")  # in UTF-16 as well
    for text, what, size in (
        (MARKUP, WEB_PAGE, MAGIC),
        (MAIL, WEB_MAIL, len(plain)),
        (CARD, CARDS, len(plain)),
        (XML, OTHER_XML, PROLOG),
        (SQL, DATABASE, PROLOG),
    ):
        if text.match(plain, 0, size):
            return what
    return next((what for magic, what in FOREIGN.items() if head.startswith(magic)), "")


def expand(names: Sequence[str], notify: Callable[[str], None], exclude: Sequence[str] = ()) -> list[str]:
    """Return the files that ``names`` stand for: files, folders (searched recursively), patterns, ``-``.

    A file that is named or found more than once, by whatever path, is returned once, in its first place. Of several
    files, empty ones are skipped; if all are empty, the first is returned. Among the files found in a folder or by a
    pattern, empty files and results of earlier runs are skipped. In a folder, links, pipes, hidden files and files
    whose names or first bytes are not those of dumps are skipped as well. ``notify`` reports all of them; files that
    are skipped because of their names are only counted. A subfolder that cannot be opened is an error and is not
    skipped.

    Args:
        names: files, folders and patterns to read; ``-`` is standard input.
        notify: called with notices for the user.
        exclude: patterns, as for `pathlib.PurePath.match`, of the found files and folders to leave out.

    Raises:
        DumpError: if a name stands for nothing, a file or folder cannot be read, or an ``exclude`` pattern is empty.

    """
    if not all(exclude):
        raise DumpError("--exclude needs the name of a file or folder, or a pattern such as '*.log'")
    used = dict.fromkeys(exclude, False)
    files = _expand_all(names, notify, used)
    if len(files) > 1:
        first, *others = files
        others = [file for file in others if not _is_empty(file, notify)]
        files = others if others and _is_empty(first, notify) else [first, *others]
    for pattern, left_out in used.items():
        if not left_out:
            notify(f"--exclude {pattern} leaves nothing out: no file or folder that is found has that name")
    return files


def _is_excluded(path: PurePath, used: dict[str, bool]) -> bool:
    """Return whether a pattern matches a file, or a folder that contains it; note the patterns that do as used."""
    places = [place for place in (path, *path.parents) if place.name]
    matching = [pattern for pattern in used if any(place.match(pattern) for place in places)]
    used.update(dict.fromkeys(matching, True))
    return bool(matching)


def _expand_all(names: Sequence[str], notify: Callable[[str], None], used: dict[str, bool]) -> list[str]:
    """Return the files, each once, in the order in which they are named or found; ``used`` are the exclude patterns."""
    found: dict[str, str] = {}
    try:
        for file in (file for name in names for file in _expand(name, notify, used)):
            found.setdefault(file if file == STDIN else os.path.realpath(file), file)
    except OSError as error:
        raise DumpError(f"{error.filename} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise DumpError(f"{', '.join(names)}: folders are nested too deeply: name folders further down") from None
    return list(found.values())


def _expand(name: str, notify: Callable[[str], None], used: dict[str, bool]) -> list[str]:
    path = Path(name)
    if name not in {STDIN, ""} and path.is_dir():  # an empty name is an unset shell variable, not this folder
        wanted = (file for file in _files(path, notify) if not _is_excluded(file.relative_to(path), used))
        found = _without_results(sorted(map(str, wanted)), notify)
        _report_endings(name, found, notify)
        files = [file for file in found if _is_dump(Path(file), notify)]
        if not files:
            endings = ", ".join(FORMAT_OF_ENDING)
            raise DumpError(f"{name} holds no dump: no file that ends with {endings} (.gz, …) has rows to read")
        return files
    if name == STDIN or os.path.lexists(name):  # a file, a pipe, a device, or a broken link
        return [name]
    if matches := sorted(_matching(name)):
        kept = [match for match in matches if not _is_excluded(PurePath(match), used)]
        if not (files := _without_results(kept, notify)):
            left = " or --exclude leaves out" if len(kept) < len(matches) else ""
            raise DumpError(f"{name} matches only files that earlier runs wrote{left}: name the files to read them")
        if not (full := [file for file in files if not _is_empty(file, notify)]):
            raise DumpError(f"{name} matches only empty files")
        return _expand_all(full, notify, used)
    raise DumpError(f"{name or 'an empty name'} cannot be read: No such file or folder")


def _matching(pattern: str) -> Iterator[str]:
    """Yield the paths that a shell pattern matches; ``**`` descends into folders but does not follow links."""
    parts = PurePath(pattern).parts
    if "**" not in parts:
        yield from glob.iglob(pattern)  # noqa: PTH207 - pathlib refuses absolute patterns
        return
    parts = tuple(part if part == "**" else re.sub(r"\*\*+", "*", part) for part in parts)
    root = Path(PurePath(pattern).anchor)
    wanted = PurePath(*parts, *(["*"] if parts[-1] == "**" else []))
    hidden = any(part.startswith(".") and part.strip(".") for part in parts)  # matched if named, as in a shell
    for path in root.glob(str(wanted.relative_to(root))):
        if hidden or not any(part.startswith(".") and part.strip(".") for part in path.parts):
            yield str(path)


def _without_results(found: list[str], notify: Callable[[str], None]) -> list[str]:
    """Leave out the results of earlier runs, which would be scored again along with their sources; notify once."""
    results = list(filter(_is_result, found))
    if len(results) == 1:
        notify(f"{results[0]} is skipped: an earlier run wrote it; name it to read it")
    elif results:
        more = f"{results[0]} and {len(results) - 1:,} more"
        notify(f"{more} are skipped: earlier runs wrote them; name them to read them")
    return sorted(set(found).difference(results))


def _is_result(file: str) -> bool:
    """Return whether a job wrote a file: beside it is the job's summary, or the checkpoint of a job almost done."""
    file = os.path.realpath(file)  # a job that writes to a link puts its other files beside the real one
    beside = next((ending for ending in RESULT_ENDINGS if file.endswith(ending)), "")
    target = file.removesuffix(beside)
    if beside and os.path.lexists(f"{target}.checkpoint"):
        return True
    if not os.path.isfile(path := f"{target}.summary.json"):  # noqa: PTH113 - a long name is no error
        return False  # opening a named pipe would block
    try:
        with Path(path).open("rb") as summary:
            begins = summary.read(len(SUMMARY[0])) == SUMMARY[0]
            summary.seek(max(0, summary.seek(0, io.SEEK_END) - 64))
            return begins and SUMMARY[1] in summary.read()
    except OSError:
        return False


def _files(folder: Path, notify: Callable[[str], None]) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders.

    Notify about pipes, and about links, which may lead out of a seized folder.
    """

    def refuse(error: OSError) -> None:
        raise error

    for root, folders, files in os.walk(folder, onerror=refuse):
        for path in (Path(root, name) for name in sorted(folders + files)):
            if path.is_symlink():
                notify(f"{path} is skipped: it is a link; name it to read it")
            elif path.is_file():
                yield path
            elif not path.is_dir():
                notify(f"{path} is skipped: it is not a regular file; name it to read it")


def _report_endings(folder: str, found: list[str], notify: Callable[[str], None]) -> None:
    """Report how many files, per ending, have names that are not those of dumps: some of them may contain chats."""
    names = (Path(plain_name(file)) for file in found if not _may_be_dump(Path(file)))
    endings = Counter(
        "hidden" if name.name.startswith(HIDDEN) else name.suffix or "without an ending" for name in names
    )
    if endings:
        most = [f"{count:,} {ending}" for ending, count in endings.most_common(MOST_ENDINGS)]
        most += ["…"] if len(endings) > MOST_ENDINGS else []
        notify(f"{folder}: files are skipped because of their names: {', '.join(most)}")


def _is_empty(file: str, notify: Callable[[str], None]) -> bool:
    """Return whether a file is empty or has only a byte order mark; notify if so."""
    if not is_file(file):
        return False
    with Stream(file) as stream:
        head = stream.peek(4)
        empty = not stream.damage and len(head) == bom_size(head, detect(head))
    if empty:
        notify(f"{file} is skipped: it is empty")
    return empty


def _may_be_dump(path: PurePath) -> bool:
    """Return whether a file in a folder or ZIP archive has the name of a dump, or of a ZIP archive, which may hold one.

    What macOS adds to ZIP archives (``__MACOSX/._dump.csv``) is hidden.
    """
    name = path.name.lower()
    return not name.startswith(HIDDEN) and (plain_name(name).endswith(tuple(FORMAT_OF_ENDING)) or name.endswith(".zip"))


def _is_dump(file: Path, notify: Callable[[str], None]) -> bool:
    named = _may_be_dump(file)
    if not named and plain_name(file.name) != TELEGRAM_PAGE:
        return False
    with Stream(str(file)) as stream:
        head = stream.peek(PROLOG)
        what = foreign(head, office=stream.office) if head or stream.damage else "empty"
        if not what and file.suffix.lower() == ".zip" and not stream.packed:
            what = "no ZIP archive, in spite of its name"
        if not what and _is_binary(head):
            what = "no dump, in spite of its name: it has too many control characters for text"
    if what == WORKBOOK:
        return named
    if what:
        notify(f"{file} is skipped: it is {what}")
    return named and not what


def _is_binary(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` is neither text nor Parquet.

    What is UTF-8 is text, whatever delimits its values. UTF-16 has such bytes in its characters.
    """
    if len(BINARY.findall(head)) <= 2 + len(head) // 50:
        return False
    return not head.startswith(b"PAR1") and not detect(head).startswith("utf-")


def is_file(source: str) -> bool:
    """Return whether a source can be read more than once."""
    return source != STDIN and Path(source).is_file()


def fingerprint(source: str) -> dict[str, Any]:
    """Return what shows whether a source has changed, as summaries have it; only the name if it is read only once.

    The digest is one of the first bytes, and the modification time stands for the rest: a digest of all bytes would
    take another pass.
    """
    if not is_file(source):
        return {"name": shown_name(source)}
    path = Path(source)
    try:
        status = path.stat()
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(1 << 16)).hexdigest()
    except OSError as error:
        raise DumpError(f"{source} cannot be read: {error.strerror}") from None
    seconds, rest = divmod(status.st_mtime_ns, 10**9)
    modified = f"{np.datetime64(seconds, 's')}.{rest:09}Z"  # of any year, unlike with datetime
    found = {"name": shown_name(source), "bytes": status.st_size, "modified": modified}
    return {**found, "sha256_of_first_64_kib": digest}


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
                office = _office(self._raw)
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
        except (OSError, zlib.error, lzma.LZMAError, ValueError, MemoryError) as error:
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


def _office(raw: Any) -> str:
    """Return what kind of Office document a file is; empty if it is none.

    Its list of files tells; if that cannot be read, as in an archive that is cut short, the first file does.
    """
    head = raw.peek(MAGIC)
    if head.startswith(ZIP) and raw.seekable():
        try:
            files = zipfile.ZipFile(raw).namelist()
        except Exception:  # noqa: BLE001 - damaged archives raise nearly every kind of error
            files = []
        finally:
            raw.seek(0)
        if files:
            kind = next((what for file, what in OTHER_OFFICE.items() if file in files), WORKBOOK)
            return kind if OFFICE_TYPES in files else ""
    return WORKBOOK if OFFICE.match(head) else ""


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
            raise DumpError(f"{source} is a .zst archive: pip install 'fraudscan[zstd]'") from None
        return _Unpacked(raw, partial(_Zstd, zstandard))
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
        found = [member for member in files if _may_be_dump(PurePath(member.filename))]
        found = [member for member in found if PurePath(member.filename).name == WHATSAPP] or found
        if len(found) == 1:
            return _Member(archive, found[0])
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
    """A file of one or more concatenated compressed streams, which are unpacked only as far as bytes are asked for."""

    def __init__(self, raw: BinaryIO, make: Callable[[], Any]) -> None:
        self._raw = raw
        self._make = make
        self._one: Any = None
        self._packed = b""

    def read1(self, size: int) -> bytes:
        while True:
            if self._one is None or self._one.eof:
                packed = (self._one.unused_data if self._one else b"") or self._raw.read(1 << 16)
                if not packed:
                    return b""
                self._one, self._packed = None, packed.lstrip(b"\0")  # streams may be padded
                if not self._packed:
                    continue
                self._one = self._make()
            elif self._one.needs_input and not self._packed:
                self._packed = self._raw.read(1 << 16)
                if not self._packed:
                    raise EOFError
            data: bytes = self._one.decompress(self._packed, size)
            self._packed = b""
            if data:
                return data


class _Zstd:
    """zstandard's decompressor with the interface of bz2's."""

    STEP = 1024
    """Compressed bytes unpacked at a time. In the worst case they expand to 32 MiB."""

    def __init__(self, zstandard: Any) -> None:
        self._object = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
        self._error = zstandard.ZstdError
        self._packed = self._data = b""

    @property
    def eof(self) -> bool:
        return self._object.eof and not self._data

    @property
    def needs_input(self) -> bool:
        return not self._packed and not self._data

    @property
    def unused_data(self) -> bytes:
        unused: bytes = self._object.unused_data
        return unused + self._packed

    def decompress(self, packed: bytes, size: int) -> bytes:
        self._packed += packed
        while not self._data and self._packed and not self._object.eof:
            step, self._packed = self._packed[: self.STEP], self._packed[self.STEP :]
            try:
                self._data = self._object.decompress(step)
            except self._error as error:
                raise ValueError(str(error)) from None
        data, self._data = self._data[:size], self._data[size:]
        return data
