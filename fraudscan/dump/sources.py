"""Expand the sources named on the command line into files, and tell whether a source has changed."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import re
from collections import Counter
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.dump.encodings import bom_size, detect
from fraudscan.dump.foreign import PROLOG, WORKBOOK, foreign, is_binary
from fraudscan.dump.rows import DumpError
from fraudscan.dump.streams import FORMAT_OF_ENDING, HIDDEN, STDIN, Stream, may_be_dump, plain_name
from fraudscan.show import shown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["RESULT_ENDINGS", "expand", "fingerprint", "is_file"]

TELEGRAM_PAGE = "messages.html"
"""The first page of a default export of Telegram Desktop. It is reported by name; the other pages are only counted."""

MOST_ENDINGS = 9
"""How many endings are reported, the most frequent first. The files of a phone have many different ones."""

RESULT_ENDINGS = (".rejects.jsonl", ".conversations.jsonl", ".summary.json")
"""Endings of the files that jobs write beside their output."""

LOGS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}
"""The folders of logs that tables of data lakes have, and what these are called."""

ICEBERG = re.compile(r"(?:v\d+|\d+-[0-9a-f-]{36})(?:\.gz)?\.metadata\.json(?:\.gz)?")
"""The names of the logs of tables of Iceberg, in their folder ``metadata``."""

SUMMARY = b'{\n "rows": ', b'"fraudscan": '
"""How a summary written by a job begins, and what its last bytes contain."""


def expand(names: Sequence[str], notify: Callable[[str], None], exclude: Sequence[str] = ()) -> list[str]:
    """Return the files that ``names`` stand for: files, folders (searched recursively), patterns, ``-``.

    A file that is named or found more than once, by whatever path, is returned once, in its first place. Of several
    files, empty ones are skipped; if all are empty, the first is returned. Among the files found in a folder or by a
    pattern, those that ``exclude`` matches (as with `pathlib.PurePath.match`) are left out, and empty files and results
    of earlier runs are skipped. In a folder, links, pipes, hidden files and files whose names or first bytes are not
    those of dumps are skipped as well. ``notify`` reports all that are skipped; if that is because of their names, they
    are only counted. Names that stand for nothing, and files and folders that cannot be read, are errors.
    """
    if not all(exclude):
        raise DumpError('--exclude needs the name of a file or folder, or a pattern such as "*.log"')
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

    Notify about pipes, about links, which may lead out of a seized folder, and about tables of data lakes: only their
    logs say which rows of their files still count.
    """

    def refuse(error: OSError) -> None:
        raise error

    for root, folders, files in os.walk(folder, onerror=refuse):
        kinds = [LOGS[name] for name in folders if name in LOGS]
        if Path(root).name == "metadata" and any(map(ICEBERG.fullmatch, files)):
            kinds.append("Iceberg")
        for kind in kinds:
            notify(
                f"{root} is part of a table ({kind}), whose files also hold rows that were replaced or deleted: export "
                "the rows that it has now to have only these scored"
            )
        for path in (Path(root, name) for name in sorted(folders + files)):
            if path.is_symlink():
                notify(f"{path} is skipped: it is a link; name it to read it")
            elif path.is_file():
                yield path
            elif not path.is_dir():
                notify(f"{path} is skipped: it is not a regular file; name it to read it")


def _report_endings(folder: str, found: list[str], notify: Callable[[str], None]) -> None:
    """Report how many files, per ending, have names that are not those of dumps: some of them may contain chats."""
    names = (Path(plain_name(file)) for file in found if not may_be_dump(Path(file)))
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


def _is_dump(file: Path, notify: Callable[[str], None]) -> bool:
    named = may_be_dump(file)
    if not named and plain_name(file.name) != TELEGRAM_PAGE:
        return False
    with Stream(str(file)) as stream:
        head = stream.peek(PROLOG)
        what = foreign(head, office=stream.office) if head or stream.damage else "empty"
        if not what and file.suffix.lower() == ".zip" and not stream.packed:
            what = "no ZIP archive, in spite of its name"
        if not what and is_binary(head):
            what = "no dump, in spite of its name: it has too many control characters for text"
    if what == WORKBOOK:
        return named
    if what:
        notify(f"{file} is skipped: it is {what}")
    return named and not what


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
