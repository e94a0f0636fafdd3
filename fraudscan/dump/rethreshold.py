"""Give a scored dump the verdicts of other thresholds, from the scores in it: nothing is scored again."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import json
import re
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from fraudscan.decisions import VERDICTS, Thresholds
from fraudscan.dump.checkpoint import Checkpoint
from fraudscan.dump.foreign import MAGIC, WORKBOOK, foreign
from fraudscan.dump.jsontext import WRITTEN, dump_written
from fraudscan.dump.output import (
    CALLED,
    Names,
    create,
    format_of,
    now,
    part_of,
    publish,
    to_standard_output,
    write_summary,
)
from fraudscan.dump.parquet import ParquetReader, with_column
from fraudscan.dump.rows import DumpError
from fraudscan.dump.sources import fingerprint, is_file
from fraudscan.dump.streams import STDIN, from_start
from fraudscan.dump.tables import find_delimiter

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from io import BufferedReader

__all__ = ["Known", "rethreshold", "scored_with"]

SCORE, VERDICT, RULE = "fraud_score", "fraud_verdict", "fraud_rule"

SCORED_WITH = "scored_with"
"""The key of a summary with the thresholds of the scanner, if the verdicts have others."""

KEPT = "options", "model_name", "model", "lists"
"""The keys of a summary that tell how a dump was scored, besides the thresholds."""

UTF16 = SCORE.encode("utf-16-le")[:-1]
"""Found in a scored dump that was converted to UTF-16, with either byte order, unless a long text comes first."""

OURS_IN_CSV = re.compile('fraud_label"?(.)"?fraud_scheme')
"""Matches two of our columns in a header, whatever the others are called; its group is the delimiter between them."""

IN_JSON = re.compile(rf'("{VERDICT}": ?")(?:{"|".join(VERDICTS)})(")'.encode())


def rethreshold(source: str, target: str, thresholds: Thresholds, *, force: bool = False) -> Counter[str]:
    """Copy a scored dump, in its own format, with the verdicts of other thresholds; everything else stays as it is.

    ``TARGET.summary.json`` is written beside it, with the number of rows by verdict, the thresholds, and what the dump
    was scored with if that is known.

    Verdicts made by an entry of an allow or deny list (``fraud_rule``) are kept. All others equal those that scoring
    again would give, if the thresholds have no more decimals than scores in files (six).

    Args:
        source: a file that ``fraudscan score`` wrote, or ``-`` for standard input.
        target: a file, or ``-`` for standard output.
        thresholds: the new ones.
        force: whether to replace a target that exists.

    Returns:
        The number of rows by verdict.

    Raises:
        DumpError: if a row has no score, the source cannot be read, the target exists or is the source, or the ending
            of the target's name is that of another format.

    """
    counts: Counter[str] = Counter()
    began, sources = now(), [fingerprint(source)]
    with _source(source) as file, contextlib.ExitStack() as stack:
        names = _names(target, source, force=force)
        kind = _kind(file, source)
        if names and format_of(names.ending) not in (None, kind):
            raise DumpError(f"{target}: {source} is {CALLED[kind]}, and the output must have the same format")
        if kind == "parquet":
            if not is_file(source):
                raise DumpError(f"{source}: Parquet is read from a plain file only; save it first")
            _check_columns(source, ParquetReader.open(source).schema_arrow.names)
            out = stack.enter_context(_target(names, source, force=force))
            _copy_parquet(source, out, thresholds, counts)
        else:
            read = _json_rows if kind == "jsonl" else _csv_rows
            rows = stack.enter_context(contextlib.closing(read(file, source, thresholds)))  # closed before the file
            first = list(itertools.islice(rows, 1))  # raises before anything is replaced if this is no scored dump
            out = stack.enter_context(_target(names, source, force=force))
            for line, verdict in itertools.chain(first, rows):
                counts[verdict] += 1
                out.write(line)
        out.flush()  # no summary may describe an output that cannot be written
        counts.pop("", None)  # the header of a CSV file
        if names:
            if not force:
                names.check_free("has appeared in the meantime: name another output, or replace it with --force")
            report = {"rows": counts.total(), "verdicts": counts, **asdict(thresholds), "sources": sources}
            if known := scored_with(source):
                report |= {**known.how, SCORED_WITH: asdict(known.original)}
            write_summary(names.summary, report, began)
    return counts


def _kind(file: BufferedReader, source: str) -> str:
    """Return the format of a scored dump."""
    head = file.peek(MAGIC)
    if head.startswith(b"PAR1"):
        return "parquet"
    if what := foreign(head):
        how = "; rethreshold needs the file that score wrote" if what == WORKBOOK else ""
        raise DumpError(f"{source} is {what}{how}")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or UTF16 in head:
        raise DumpError(f"{source} is in UTF-16: convert it to UTF-8, as score wrote it (iconv -f UTF-16 -t UTF-8)")
    # an empty file is JSON lines, because CSV has a header
    return "jsonl" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or not head else "csv"


class Known(NamedTuple):
    """What a dump was scored with.

    Attributes:
        thresholds: those of its verdicts.
        original: those that the scanner had.
        how: `KEPT` and their values, as far as they are known. The digest of the model covers ``original``.

    """

    thresholds: Thresholds
    original: Thresholds
    how: dict[str, Any]


def scored_with(source: str) -> Known | None:
    """Return what a dump was scored with, from its summary; ``None`` if there is no summary that can be read."""
    if source == STDIN:
        return None
    try:
        path = Names(source).summary
        if not path.is_file():  # reading a named pipe would block
            return None
        summary = json.loads(path.read_bytes())
        current = {name: summary[name] for name in ("flag", "review")}
        how = {name: summary[name] for name in KEPT if name in summary}
        return Known(Thresholds(**current), Thresholds(**summary.get(SCORED_WITH, current)), how)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


@contextlib.contextmanager
def _source(source: str) -> Iterator[BufferedReader]:
    if source == STDIN:
        yield from_start(sys.stdin.buffer, io.DEFAULT_BUFFER_SIZE)
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - closed below; only errors of opening are caught
    except OSError as error:
        raise DumpError(f"{source} cannot be read: {error.strerror}") from None
    with file:
        yield from_start(file, io.DEFAULT_BUFFER_SIZE)


def _names(target: str, source: str, *, force: bool) -> Names | None:
    """Return the names of the files to write; ``None`` for standard output. Without ``force`` none of them exists."""
    if target == STDIN:
        return None
    names = Names(target)
    names.check([source])
    if not force and (there := [path for path in (*names.results(), *names.half_made()) if path.exists()]):
        raise DumpError(f"{there[0]} exists: name another output, or replace it with --force")
    return names


@contextlib.contextmanager
def _target(names: Names | None, source: str, *, force: bool) -> Iterator[BinaryIO]:
    """Open the target under its ``.part`` name; rename it when everything is written, and delete it otherwise."""
    if names is None:
        with to_standard_output():
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    checkpoint = Checkpoint.lock(names.checkpoint, force=force)
    part = part_of(names.target)
    try:
        for path in names.parts():  # left by an unfinished job
            path.unlink(missing_ok=True)
        with create(part) as file:
            yield file
        publish(part, names.target)
        for path in (names.rejects, names.conversations):  # those of the previous output
            path.unlink(missing_ok=True)
    except OSError as error:  # the disk is full, say
        raise DumpError(f"{names.target} cannot be made from {source}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
        checkpoint.remove()


def _verdict(score: Any, place: str, thresholds: Thresholds) -> str:
    try:
        return thresholds.verdict(float(score))
    except (TypeError, ValueError, OverflowError):
        what = "missing" if score is None else "no probability"  # it is not quoted: it may be a message
        raise DumpError(f"{place}: {SCORE!r} is {what}: is this a file that fraudscan score wrote?") from None


def _check_columns(source: str, names: Sequence[str]) -> None:
    """Refuse a table that lacks one of our columns or has it several times."""
    if lacking := [repr(name) for name in (SCORE, VERDICT) if name not in names]:
        what = f"no column{'s' * (len(lacking) > 1)} {' and '.join(lacking)}"
        raise DumpError(f"{source} has {what}: is it a file that fraudscan score wrote?")
    if twice := [name for name in (SCORE, VERDICT, RULE) if names.count(name) > 1]:
        raise DumpError(f"{source} has several columns called {twice[0]!r}: is it a file that fraudscan score wrote?")


def _copy_parquet(source: str, out: BinaryIO, thresholds: Thresholds, counts: Counter[str]) -> None:
    def verdict(row: dict[str, Any], number: int) -> str:
        found = row[VERDICT] if row.get(RULE) else _verdict(row[SCORE], f"{source}, row {number}", thresholds)
        counts[found] += 1
        return str(found)

    with_column(source, out, VERDICT, (SCORE, VERDICT, RULE), verdict)


def _json_rows(file: BinaryIO, source: str, thresholds: Thresholds) -> Generator[tuple[bytes, str], None, None]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        place = f"{source}:{number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            row = json.loads(text)
        except (ValueError, RecursionError):
            raise DumpError(f"{place}: not JSON: is this a file that fraudscan score wrote?") from None
        if not isinstance(row, dict):
            raise DumpError(f"{place}: not a JSON object: is this a file that fraudscan score wrote?")
        if isinstance(row.get("messages"), int) and "verdicts" in row:
            raise DumpError(
                f"{source} has conversations, whose verdicts depend on all their messages: score the messages again"
            )
        verdict = _verdict(row.get(SCORE), place, thresholds)
        if row.get(RULE):
            verdict = str(row.get(VERDICT))
        elif len(IN_JSON.findall(line)) == 1 and row.get(VERDICT) in VERDICTS:
            line = IN_JSON.sub(rb"\g<1>" + verdict.encode() + rb"\g<2>", line)  # noqa: PLW2901 - all else stays as it is
        else:
            written = dump_written({**WRITTEN.decode(text), VERDICT: verdict}) + "\n"
            line = written.encode("utf-8", "backslashreplace")  # noqa: PLW2901 - as `dump_json` has lone surrogates
        yield line, verdict


def _csv_rows(file: BinaryIO, source: str, thresholds: Thresholds) -> Generator[tuple[bytes, str], None, None]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    lines = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
    try:
        first = lines.readline()
        mark = "\ufeff" if first.startswith("\ufeff") else ""
        ours = OURS_IN_CSV.search(first)
        delimiter = ours[1] if ours else find_delimiter(first)  # our columns may be in a later line of the header
        ahead, copy = itertools.tee(itertools.chain([first.removeprefix(mark)], lines))
        rows = csv.reader(ahead, delimiter=delimiter)
        names = next(rows, [])
        header = mark + "".join(itertools.islice(copy, rows.line_num))  # unchanged, with line breaks in names
        del copy  # otherwise `tee` would keep all lines for it
        _check_columns(source, names)
        ending = "\r\n" if header.endswith("\r\n") else "\n"
        score, verdict_at = names.index(SCORE), names.index(VERDICT)
        rule = names.index(RULE) if RULE in names else None
        yield header.encode("utf-8", "surrogateescape"), ""
        for row in rows:
            if not row:
                continue
            place = f"{source}:{rows.line_num}"
            if len(row) != len(names):
                raise DumpError(f"{place}: {len(row)} fields where the header has {len(names)}")
            verdict = _verdict(row[score], place, thresholds)
            if rule is not None and row[rule]:
                verdict = row[verdict_at]
            row[verdict_at] = verdict
            out = io.StringIO()
            csv.writer(out, delimiter=delimiter).writerow(row)  # its line end is CR LF, so it quotes fields with either
            yield (out.getvalue().removesuffix("\r\n") + ending).encode("utf-8", "surrogateescape"), verdict
    except csv.Error as error:  # Python 3.10 refuses NUL
        raise DumpError(f"{source}:{rows.line_num}: not CSV: {error}") from None
    finally:
        lines.detach()  # the file is not ours to close
