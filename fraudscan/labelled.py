"""Read a user's own labelled messages: any table that can be scored, with one more column for the label.

Labels can be any names. Several labels of one message are given as a list or joined by ``|``.
Unlike the project's corpus, such files come from elsewhere, so a row that cannot be used is
skipped and reported and does not end the job.
"""

from __future__ import annotations

import os
import re
import reprlib
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudscan.characters import fold, fold_for_lists
from fraudscan.columns import is_missing
from fraudscan.corpus import HONEST_NAMES, CorpusError, Row, find_honest, refuse_one
from fraudscan.decisions import checked_integer
from fraudscan.dump.detect import check_table_options, delimiter_of, make_reader
from fraudscan.dump.prepare import guesses
from fraudscan.dump.rows import DumpError
from fraudscan.dump.sources import expand
from fraudscan.dump.streams import Stream
from fraudscan.dump.tables import NULL, LinesReader
from fraudscan.dump.workbooks import WorkbookReader
from fraudscan.evaluate import ANY
from fraudscan.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from fraudscan.dump.readers import Reader
    from fraudscan.dump.workbooks import Sheet
    from fraudscan.model import Scanner
    from fraudscan.taxonomy import Scheme

__all__ = [
    "LABEL_COLUMNS",
    "Labelled",
    "add_to_corpus",
    "match_names",
    "read_labelled",
]

LABEL_COLUMNS = (
    *("是否涉诈", "研判结论", "诈骗类型", "案件类别"),
    *("label", "labels", "kind", "category", "class", "type", "标签", "类别", "类型", "分类"),
)
"""The column names that are searched for the label, in this order, ignoring case: first those that can be nothing
else, for 类型 may also be that of a message (短信, 电话)."""

FRAUD_NAMES = ("fraud", "scam", "spam", "1", "1.0", "true", "yes", "是", "诈骗", "欺诈", "涉诈")
"""Label names that mean "fraud" if all messages have the same label, ignoring case."""

SEPARATORS = re.compile(r"[、，,;；/／｜+＋&·\s]+|[和与及]")
"""What people write between several labels instead of ``|``."""

LIMIT = 1 << 24
"""The greatest size of a row, in bytes."""


@dataclass(frozen=True)
class Labelled:
    """The contents of a user's files.

    Attributes:
        rows: the messages; an honest message has no labels.
        taxonomy: the labels that occur, sorted by name, the honest one last.
        skipped: the place of each row that was skipped, and the reason.

    """

    rows: list[Row]
    taxonomy: Taxonomy
    skipped: list[str]


def read_labelled(  # noqa: PLR0913 - one argument for each choice
    paths: Iterable[str | os.PathLike[str]],
    text: str | None = None,
    label: str | None = None,
    honest: str | None = None,
    known: Sequence[str] = HONEST_NAMES,
    *,
    kind: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header_line: int | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> Labelled:
    """Read any sources that can be scored, compressed or not.

    Args:
        paths: files, folders, patterns, or ``-`` for standard input.
        text: the column with the text (default: found by its name).
        label: the column with the labels (default: found by its name).
        honest: the label of legitimate messages (default: the one of ``known`` that occurs); ``""`` if there is no such
            label. An empty list of labels, in JSON or Parquet, also marks a message as legitimate: none of the labels
            applies. Any other cell without a label does not say so, and its row is skipped.
        known: the names that may stand for legitimate messages (see `fraudscan.corpus.honest_names`).
        kind: the format, one of `fraudscan.dump.detect.FORMATS` (default: detected from the content and the name of
            each file).
        encoding: the encoding (default: detected from the content of each file).
        delimiter: the delimiter of CSV, one character (default: detected from the header of each file).
        header_line: the line of the header in CSV and workbooks; 0 for none (default: the first line).
        notify: called with notices for the user, about files that are skipped, guesses about the others, empty lists of
            labels, and names that differ only in script, width, case or blanks or look like several labels.

    Raises:
        CorpusError: if a file cannot be read, lacks a column or has it twice, if no row can be used, if ``honest`` does
            not occur, or is not given and several of ``known`` occur, or if a message is honest and has another label
            as well.
        TypeError: if ``paths`` is a single path and not an iterable of paths, or ``header_line`` is not an integer.

    """
    refuse_one(paths)
    header_line = header_line if header_line is None else checked_integer(header_line, "header_line")
    try:
        delimiter = delimiter if delimiter is None else delimiter_of(delimiter)
        named = {"kind": kind, "encoding": encoding, "delimiter": delimiter, "text": text, "header_line": header_line}
        found, skipped = _read_all([os.fspath(path) for path in paths], label, named, notify)
    except DumpError as error:
        raise CorpusError(str(error)) from None
    names = sorted({name for row in found for name in row.labels})
    for doubt in _doubts(names):
        notify(doubt)
    if honest is None and find_honest(names, None, known) is None and not all(row.labels for row in found):
        names.append(next(iter(known), HONEST_NAMES[0]))  # what an empty list means
    honest = find_honest(names, honest, known)
    for row in found:
        if honest is None and not row.labels:
            raise CorpusError(
                f"{row.id}: an empty list of labels means that the message is legitimate, but there is no label for "
                "legitimate messages"
            )
        if honest in row.labels and len(row.labels) > 1:
            raise CorpusError(
                f"{row.id}: the label {honest!r} stands for legitimate messages and cannot be combined with other "
                "labels"
            )
    if empty := sum(not row.labels for row in found):
        notify(
            f"the list of labels is empty in {empty:,} of {len(found):,} messages, which is taken to mean {honest!r}: "
            "leave out those whose labels are not known"
        )
    rows = [replace(row, labels=()) if honest in row.labels else row for row in found]
    names.sort(key=lambda name: name == honest)
    task = "multilabel" if any(len(row.labels) > 1 for row in rows) else "multiclass"
    return Labelled(rows, Taxonomy.from_names(names, honest, task), skipped)


def match_names(labelled: Labelled, taxonomy: Taxonomy) -> list[Row]:
    """Return the rows with their labels replaced by schemes of ``taxonomy``.

    A label can be any name of a scheme or a label, or a part of an official name. A label with several schemes becomes
    the first of them. If there is one label beside the honest one and ``taxonomy`` lacks it (``spam``, ``1``), it
    stands for all labels of the taxonomy that are not honest. So does one of `FRAUD_NAMES` if all messages have it.

    Raises:
        CorpusError: if the taxonomy lacks a name, if some messages are honest and it has no honest label, or if its
            honest label is not the one of the rows.

    """
    if labelled.taxonomy.honest is not None and taxonomy.honest is None:
        raise CorpusError("none of the model's labels stands for legitimate messages: leave --legitimate out")
    schemes = _schemes_by_name(taxonomy)
    lures = [scheme.name for scheme in labelled.taxonomy.schemes]
    either = len(lures) == 1 and (labelled.taxonomy.honest is not None or lures[0].casefold() in FRAUD_NAMES)
    if taxonomy.task == "fraud" and either and not _meant(schemes, lures[0]):
        return [replace(row, labels=(ANY,) * len(row.labels)) for row in labelled.rows]
    if taxonomy.honest in lures:
        raise CorpusError(
            f"the label {taxonomy.honest!r} stands for legitimate messages in the model: name it with --legitimate, or "
            "leave that option out"
        )
    if foreign := [s.name for s in labelled.taxonomy.schemes if not _meant(schemes, s.name)]:
        known = ", ".join(label.name for label in taxonomy.labels)
        if taxonomy.task == "fraud":
            known += ", and their schemes (fraudscan labels); to measure fraud of any kind, give all frauds one label"
        unnamed = labelled.taxonomy.honest is None and taxonomy.honest is not None
        how = ". Name the label of legitimate messages with --legitimate" if unnamed else ""
        raise CorpusError(f"the label {foreign[0]!r} is unknown; there are: {known}{how}")
    return [replace(row, labels=tuple(_meant(schemes, name)[0].name for name in row.labels)) for row in labelled.rows]


def add_to_corpus(labelled: Labelled, corpus: Sequence[Row], scanner: Scanner) -> tuple[list[Row], Taxonomy]:
    """Return the corpus followed by a user's rows, and the taxonomy extended by the labels that it lacked.

    Labels are matched by any name of a scheme or a label. A row whose label has several schemes gets the scheme that
    is the most probable according to ``scanner``, a model of the corpus.

    Raises:
        CorpusError: if a new label has a name that the taxonomy uses for something else.

    """
    taxonomy = scanner.taxonomy
    schemes = _schemes_by_name(taxonomy)
    new = [label for label in labelled.taxonomy.labels if label.schemes and not _meant(schemes, label.name)]
    labels = sorted([*taxonomy.labels, *new], key=lambda label: not label.schemes)  # the honest one stays last
    try:
        extended = replace(taxonomy, labels=tuple(labels))
    except ValueError as error:
        raise CorpusError(
            f"together with the names of the corpus, {error}: call that label something else in your files"
        ) from None
    schemes.update((label.name, label.schemes) for label in new)
    probabilities = scanner.predict_proba([row.text for row in labelled.rows])

    def scheme(name: str, row: int) -> str:
        candidates = _meant(schemes, name)
        if len(candidates) == 1:
            return candidates[0].name
        return max(candidates, key=lambda x: probabilities[row, scanner.names.index(x.name)]).name

    rows = [
        replace(row, labels=tuple(dict.fromkeys(scheme(name, i) for name in row.labels)))
        for i, row in enumerate(labelled.rows)
    ]
    return [*corpus, *rows], extended


def _schemes_by_name(taxonomy: Taxonomy) -> dict[str, tuple[Scheme, ...]]:
    """Return the schemes that each name means, for `_meant`: all schemes of a label, or the one scheme of that name.

    A part of an official name also means the schemes that have it, if they are of one label.
    """
    found: dict[str, tuple[Scheme, ...]] = {}
    parts: dict[str, list[Scheme]] = {}
    for label in taxonomy.labels:
        if label.schemes:
            found |= dict.fromkeys((label.name, label.zh), label.schemes)
    for scheme in taxonomy.schemes:
        for name in (scheme.name, scheme.zh, scheme.official):
            if name:
                found.setdefault(name, (scheme,))
        for part in _parts(scheme.official):
            parts.setdefault(part, []).append(scheme)
    found = {part: tuple(some) for part, some in parts.items() if len({each.label for each in some}) == 1} | found
    return {name.casefold(): schemes for name, schemes in found.items()} | found


def _parts(official: str) -> set[str]:
    """Return other forms of an official name: without brackets, in parts, without commas, and without 类 at the end.

    >>> sorted(_parts("虚假贷款类、虚假征信类")), sorted(_parts("网络钓鱼类（积分）"))
    (['虚假征信', '虚假征信类', '虚假贷款', '虚假贷款类'], ['网络钓鱼', '网络钓鱼类'])

    """
    parts = re.split("(?<=类)、", re.sub("（.*?）", "", official))
    names = {name for part in parts for name in (part, part.replace("、", ""))}
    return {form for name in names for form in (name, name.removesuffix("类")) if form}


def _meant(schemes: Mapping[str, tuple[Scheme, ...]], name: str) -> tuple[Scheme, ...]:
    """Return the schemes that ``name`` means, or none. The exact spelling is tried first, then any case."""
    return schemes.get(name) or schemes.get(name.casefold(), ())


def _read_all(
    names: Sequence[str], label: str | None, named: dict[str, Any], notify: Callable[[str], None]
) -> tuple[list[Row], list[str]]:
    """Return the rows that can be used, with their places as ids, and what `Labelled.skipped` holds.

    ``named`` are the arguments of `make_reader` that the user named.
    """
    found, skipped = list[Row](), list[str]()
    readers: list[Reader] = []
    files = expand(names, notify)
    for path in files:
        with Stream(path) as stream:
            readers.append(make_reader(stream, **named, limit=LIMIT))
            for row, problem in _read(stream, readers[-1], label, named, notify):
                if problem:
                    skipped.append(f"{row.id}: {problem}")
                else:
                    found.append(row)
    check_table_options(named["delimiter"], named["header_line"], readers)
    if not found:
        raise CorpusError(f"no labelled messages in {', '.join(files)}" + (f"; {skipped[0]}" if skipped else ""))
    return found, skipped


def _read(
    stream: Stream, reader: Reader, label: str | None, named: dict[str, Any], notify: Callable[[str], None]
) -> Iterator[tuple[Row, str]]:
    """Yield the rows of one file, and what is wrong with each that cannot be used.

    Their ids are their places, without the file's folder, because the model must not depend on that.

    If several sheets of a workbook are read, places have the name of the sheet.
    """
    path, column, others = reader.source, "", dict[str, str]()
    start = reader.prepare(stream)
    if isinstance(reader, LinesReader):
        how = "add --format csv" if named["delimiter"] else "name the text column with --text"
        raise CorpusError(f"{path} is not a table but plain lines: if its first line is a header, {how}")
    reader.rivals = [name for name in reader.rivals if name != label]  # that one is no text, the user says
    for guess in guesses(reader, named=named["text"] is not None):
        notify(guess)
    if reader.columns:
        sheets = reader.sheets if isinstance(reader, WorkbookReader) and not label else []
        column = _label_column(path, reader.columns, label or _shared(sheets))
        others = _labels_of_sheets(path, sheets, column, notify)
    stream.skip(start.offset if reader.by_line else 0)
    for block in reader.blocks(stream, start):
        if block.fatal:
            raise CorpusError(f"{path}:{block.start.line}: {block.problem}")
        batch = reader.batch([block])
        if batch.texts and not column:
            column = _label_column(path, list(dict.fromkeys(chain(*map(reader.as_dict, batch.raws)))), label)
        origin = reader.sheet_of(block) if isinstance(reader, WorkbookReader) and reader.origin else ""
        where = ":".join(filter(None, (Path(path).name, origin)))
        values = reader.values(batch, others.get(origin, column))
        rows = zip(batch.lines, batch.texts, values, strict=True)
        found = [(line, content, *_labels(value)) for line, content, value in rows]
        bad = [(reject.line, "", (), reject.reason) for reject in batch.rejects]
        for line, content, labels, problem in sorted([*found, *bad], key=itemgetter(0)):
            yield Row(f"{where}:{line}", content, labels), problem or ("" if content.strip() else "no text")


def _shared(sheets: Sequence[Sheet]) -> str | None:
    """Return the column that is the label by its name in most sheets, if there is one."""
    names = [name for sheet in sheets for name in dict.fromkeys(sheet.names)]
    return max(_usual(names), key=names.count, default=None)


def _labels_of_sheets(path: str, sheets: Sequence[Sheet], column: str, notify: Callable[[str], None]) -> dict[str, str]:
    """Return the label columns of the sheets that lack ``column``, by the name of the sheet, and report them."""
    others = {}
    for sheet in sheets:
        if column not in sheet.names and (usual := _usual(sheet.names)):
            others[sheet.name] = other = _label_column(f"{path}, sheet {sheet.name!r},", sheet.names, usual[0])
            notify(f"{path} has a sheet {sheet.name!r} whose labels are taken from {other!r}, not from {column!r}")
    return others


def _labels(value: Any) -> tuple[tuple[str, ...], str]:
    """Return the distinct labels of one row (none for an empty list), or none and why the row has no valid label."""
    values = value if isinstance(value, list) else value.split("|") if isinstance(value, str) else [value]
    if nested := [one for one in values if isinstance(one, (bytes, dict, list, tuple))]:
        return (), f"a label is a name, not {reprlib.repr(nested[0])}"
    names = (str(one).strip() for one in values if not is_missing(one) and one != NULL)
    labels = tuple(dict.fromkeys(name for name in names if name))
    return labels, "" if labels or value == [] else "no label"


def _usual(columns: Sequence[str]) -> list[str]:
    """Return the columns that may be the label by their names, the most usual name first."""
    return [column for name in LABEL_COLUMNS for column in columns if fold(column) == name]


def _doubts(names: Sequence[str]) -> Iterator[str]:
    """Yield what is doubtful about the names of labels: that some seem to be one label, or one seems to be several."""
    known = set(names)
    parts = {name: [part for part in SEPARATORS.split(name) if part] for name in names}
    joined = [name for name in names if parts[name] != [name] and known.issuperset(parts[name])]
    alike: dict[str, list[str]] = {}
    for name in names:
        if name not in joined:
            alike.setdefault(fold_for_lists(name), []).append(name)
    if same := [" and ".join(map(reprlib.repr, some)) for some in alike.values() if len(some) > 1]:
        yield f"different labels are written alike, {_shown(same)}: did you mean one?"
    if joined:
        examples, how = _shown(list(map(reprlib.repr, joined))), reprlib.repr("|".join(parts[joined[0]]))
        yield f"labels look like several in one, {examples}: to give several, write {how}"


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _label_column(path: str, columns: Sequence[str], label: str | None) -> str:
    there = f"{path} has the columns: {', '.join(columns) or '(none)'}"
    if label is None:
        label = next(iter(_usual(columns)), None)
        if label is None:
            raise CorpusError(f"no column looks like the label; {there}. Name it with --label COLUMN")
    if label not in columns:
        raise CorpusError(f"no column is called {label!r}; {there}")
    if columns.count(label) > 1:
        raise CorpusError(f"{path} has several columns called {label!r}: rename all but one")
    return label
