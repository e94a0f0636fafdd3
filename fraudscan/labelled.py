"""Read a user's own labelled messages: any table that can be scored, with one column more, the label.

Labels are any names; several for one message stand in a list or are joined by ``|``.
Unlike the project's corpus such files come from elsewhere: a row that cannot be used is
left out and told of, and does not end the job.
"""

from __future__ import annotations

import os
import reprlib
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudscan.characters import fold
from fraudscan.columns import is_missing
from fraudscan.corpus import CorpusError, Row, refuse_one
from fraudscan.dump.detect import make_reader
from fraudscan.dump.readers import NULL, LinesReader
from fraudscan.dump.rows import DumpError
from fraudscan.dump.sources import Stream
from fraudscan.dump.writers import as_dict
from fraudscan.evaluate import ANY
from fraudscan.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fraudscan.model import Scanner
    from fraudscan.taxonomy import Scheme

__all__ = [
    "HONEST_NAMES",
    "LABEL_COLUMNS",
    "Labelled",
    "add_to_corpus",
    "find_honest",
    "honest_names",
    "match_names",
    "read_labelled",
]

LABEL_COLUMNS = ("label", "labels", "kind", "category", "class", "type", "标签", "类别", "类型", "分类")
"""Where the label is looked for, in this order, whatever the case."""

HONEST_NAMES = (
    "legitimate",
    "legit",
    "honest",
    "normal",
    "benign",
    "ham",
    "none",
    "non-fraud",
    "not_fraud",
    "no",
    "正常",
    "正常短信",
    "合法",
    "非诈骗",
    "非欺诈",
    "非涉诈",
    "无风险",
    "否",
    "0",
    "0.0",
    "false",
)
"""Names of labels that are taken for "legitimate", whatever the case. pandas makes ``0.0`` of 0 where a label is
missing."""

FRAUD_NAMES = ("fraud", "scam", "spam", "1", "1.0", "true", "yes", "是", "诈骗", "欺诈", "涉诈")
"""Names of the one label of a file of frauds alone, whatever the case."""

LIMIT = 1 << 24
"""Bytes that a row may have."""


@dataclass(frozen=True)
class Labelled:
    """What a user's files hold.

    Attributes:
        rows: the messages; an honest one has no labels.
        taxonomy: the labels that occur, in the order of their names, the honest one last.
        skipped: place and reason of each row that was left out.

    """

    rows: list[Row]
    taxonomy: Taxonomy
    skipped: list[str]


def read_labelled(
    paths: Iterable[str | os.PathLike[str]],
    text: str | None = None,
    label: str | None = None,
    honest: str | None = None,
    known: Sequence[str] = HONEST_NAMES,
) -> Labelled:
    """Read files of any format and encoding that can be scored, packed or not: which one is told by content and name.

    Args:
        paths: the files.
        text: the column with the text; found by its name without it.
        label: the column with the labels; found by its name without it.
        honest: the label of legitimate messages; the one of ``known`` that occurs without it, and ``""`` if there is
            none. In JSON an empty list of labels says the same.
        known: names that are taken for it (see `honest_names`).

    Raises:
        CorpusError: if a file cannot be read, lacks a column or has it twice, no row can be used, ``honest`` does not
            occur, several of ``known`` do without it, or a message is honest and something else as well.
        TypeError: if ``paths`` is one path, not several.

    """
    refuse_one(paths)
    found: list[tuple[str, str, tuple[str, ...]]] = []
    skipped: list[str] = []
    files = [Path(path) for path in paths]
    for path in files:
        for line, content, labels in _read(path, text, label):
            place = f"{path.name}:{line}"  # it goes into the model, which is the same wherever the file lies
            if isinstance(labels, str):
                skipped.append(f"{place}: {labels}")
            elif not content.strip():
                skipped.append(f"{place}: no text")
            else:
                found.append((place, content, labels))
    names = sorted({name for _, _, labels in found for name in labels})
    if not found:
        places = ", ".join(map(str, files))
        raise CorpusError(f"no labelled messages in {places}" + (f"; {skipped[0]}" if skipped else ""))
    if honest is None and find_honest(names, None, known) is None and not all(labels for _, _, labels in found):
        names.append(next(iter(known), HONEST_NAMES[0]))  # it is what an empty list says
    honest = find_honest(names, honest, known)
    rows = []
    for place, content, labels in found:
        if honest is None and not labels:
            raise CorpusError(f"{place}: an empty list of labels says that it is legitimate, and no label does")
        if honest in labels and len(labels) > 1:
            raise CorpusError(
                f"{place}: the label {honest!r} stands for legitimate messages; it cannot have others beside it"
            )
        rows.append(Row(place, content, () if honest in labels else labels, (), "", ""))
    names.sort(key=lambda name: name == honest)
    task = "multilabel" if any(len(row.labels) > 1 for row in rows) else "multiclass"
    return Labelled(rows, Taxonomy.from_names(names, honest, task), skipped)


def find_honest(names: Sequence[str], honest: str | None = None, known: Sequence[str] = HONEST_NAMES) -> str | None:
    """Return the name that stands for legitimate messages: ``honest``, or the one of ``known`` that occurs.

    Raises:
        CorpusError: if ``honest`` is not among the names, or without it several are known.

    >>> find_honest(["Ham", "spam"])
    'Ham'

    """
    if honest == "":
        return None
    if honest is not None and honest not in names:
        raise CorpusError(f"no message has the label {honest!r}; there are: {', '.join(names)}")
    folded = {name.casefold() for name in known}
    found = [honest] if honest else [name for name in names if name.casefold() in folded]
    if len(found) > 1:
        raise CorpusError(
            f"{found[0]!r} and {found[1]!r} could both stand for legitimate messages: give these one name, or say "
            "which one does with --legitimate, in Python legitimate= ('' for none)"
        )
    return found[0] if found else None


def honest_names(taxonomy: Taxonomy) -> tuple[str, ...]:
    """Return what messages that a model calls honest are likely to be called elsewhere, its own name first.

    What others of its labels are called is not among these.

    >>> honest_names(Taxonomy.from_names(["坏", "好人"], "好人", "multiclass"))[:2]
    ('好人', 'legitimate')
    >>> honest_names(Taxonomy.from_names(["ham", "spam"], None, "multiclass"))
    ()

    """
    if taxonomy.honest is None:
        return ()
    others = {label.name.casefold() for label in taxonomy.labels if label.schemes}
    return (taxonomy.honest.name, *(name for name in HONEST_NAMES if name not in others))


def match_names(labelled: Labelled, taxonomy: Taxonomy) -> list[Row]:
    """Return the rows with their labels as schemes of ``taxonomy``, whatever name of a scheme or label they are called.

    A label that has several schemes becomes the first of them. Where there is one label beside the honest one, and
    ``taxonomy`` lacks it, it stands for all of the taxonomy's that are not honest: ``spam``, ``1``. So does one of
    `FRAUD_NAMES` where all messages have it.

    Raises:
        CorpusError: if the taxonomy lacks a name, or an honest label where some messages are honest.

    """
    if labelled.taxonomy.honest and not taxonomy.honest:
        raise CorpusError("none of the model's labels stands for legitimate messages: leave --legitimate out")
    schemes = _schemes_by_name(taxonomy)
    lures = [scheme.name for scheme in labelled.taxonomy.schemes]
    either = len(lures) == 1 and (labelled.taxonomy.honest or lures[0].casefold() in FRAUD_NAMES)
    if taxonomy.task == "fraud" and either and not _meant(schemes, lures[0]):
        return [replace(row, labels=(ANY,) * len(row.labels)) for row in labelled.rows]
    if foreign := [s.name for s in labelled.taxonomy.schemes if not _meant(schemes, s.name)]:
        known = ", ".join(label.name for label in taxonomy.labels)
        how = "" if labelled.taxonomy.honest else ". Name the one of legitimate messages with --legitimate"
        raise CorpusError(f"the label {foreign[0]!r} is unknown; there are: {known}{how}")
    return [replace(row, labels=tuple(_meant(schemes, name)[0].name for name in row.labels)) for row in labelled.rows]


def add_to_corpus(labelled: Labelled, corpus: Sequence[Row], scanner: Scanner) -> tuple[list[Row], Taxonomy]:
    """Return the corpus with a user's rows behind it, and the taxonomy with the labels that it lacked.

    Labels are matched by any name of a scheme or label. A row whose label has several schemes gets the one that
    ``scanner``, a model of the corpus, finds the most probable.

    Raises:
        CorpusError: if a new label has the name of something else.

    """
    taxonomy = scanner.taxonomy
    schemes = _schemes_by_name(taxonomy)
    new = [label for label in labelled.taxonomy.labels if label.schemes and not _meant(schemes, label.name)]
    labels = sorted([*taxonomy.labels, *new], key=lambda label: not label.schemes)  # the honest one stays the last
    try:
        extended = replace(taxonomy, labels=tuple(labels))
    except ValueError as error:
        raise CorpusError(f"beside the corpus's names {error}: call that label something else in your files") from None
    schemes.update((label.name, label.schemes) for label in new)
    probabilities = scanner.predict_proba([row.text for row in labelled.rows])

    def scheme(name: str, row: int) -> str:
        among = _meant(schemes, name)
        if len(among) == 1:
            return among[0].name
        return max(among, key=lambda x: probabilities[row, scanner.names.index(x.name)]).name

    rows = [
        replace(row, labels=tuple(dict.fromkeys(scheme(name, i) for name in row.labels)))
        for i, row in enumerate(labelled.rows)
    ]
    return [*corpus, *rows], extended


def _schemes_by_name(taxonomy: Taxonomy) -> dict[str, tuple[Scheme, ...]]:
    """Return the schemes meant by each name: those of a label, or a scheme's own. `_meant` looks them up."""
    found: dict[str, tuple[Scheme, ...]] = {}
    for label in taxonomy.labels:
        if label.schemes:
            found |= dict.fromkeys((label.name, label.zh), label.schemes)
    for scheme in taxonomy.schemes:
        for name in (scheme.name, scheme.zh, scheme.official):
            if name:
                found.setdefault(name, (scheme,))
    return {name.casefold(): schemes for name, schemes in found.items()} | found


def _meant(schemes: Mapping[str, tuple[Scheme, ...]], name: str) -> tuple[Scheme, ...]:
    """Return the schemes meant by ``name``: as it is written, else in any case; nothing if it is unknown."""
    return schemes.get(name) or schemes.get(name.casefold(), ())


def _read(
    path: str | os.PathLike[str], text: str | None, label: str | None
) -> Iterator[tuple[int, str, tuple[str, ...] | str]]:
    """Yield line, text and labels of each row; in place of labels the reason why the row cannot be used."""
    column = ""
    try:
        with Stream(os.fspath(path)) as stream:
            reader = make_reader(stream, None, None, text=text, limit=LIMIT)
            start = reader.prepare(stream)
            if isinstance(reader, LinesReader):
                how = "if its first line is a header, name the text's column with --text"
                raise CorpusError(f"{path} is no table but lines: {how}")
            if reader.columns:
                column = reader.sender = _label_column(path, reader.columns, label)  # senders may be bytes
            reader.by = reader.text or "text"  # rows have line numbers where they are of conversations
            stream.skip(start.offset if reader.seeks else 0)
            for block in reader.blocks(stream, start):
                if block.fatal:
                    raise CorpusError(f"{path}:{block.start.line}: {block.problem}")
                batch = reader.batch(block)
                rows = [as_dict(reader, raw) for raw in batch.raws]
                column = column or (_label_column(path, list(dict.fromkeys(chain(*rows))), label) if rows else "")
                found = zip(batch.lines, batch.texts, (_labels(row.get(column)) for row in rows), strict=True)
                bad = [(reject.line, "", reject.reason) for reject in batch.rejects]
                yield from sorted([*found, *bad], key=itemgetter(0))
    except DumpError as error:
        raise CorpusError(str(error)) from None


def _labels(value: Any) -> tuple[str, ...] | str:
    """Return the different labels of one row, of an empty list none; where nothing or no name is there, the reason."""
    values = value if isinstance(value, list) else value.split("|") if isinstance(value, str) else [value]
    if nested := [one for one in values if isinstance(one, (dict, list))]:
        return f"a label is a name, not {reprlib.repr(nested[0])}"
    names = (str(one).strip() for one in values if not is_missing(one) and one != NULL)
    return tuple(dict.fromkeys(name for name in names if name)) or (() if value == [] else "no label")


def _label_column(path: str | os.PathLike[str], columns: Sequence[str], label: str | None) -> str:
    known = (label,) if label is not None else LABEL_COLUMNS
    found = [column for name in known for column in columns if column == label or (not label and fold(column) == name)]
    if not found:
        there = f"{path} has the columns: {', '.join(columns) or '(none)'}"
        if label is not None:
            raise CorpusError(f"no column is called {label!r}; {there}")
        raise CorpusError(f"no column looks like the label; {there}. Name it with --label COLUMN")
    if columns.count(found[0]) > 1:
        raise CorpusError(f"{path} has several columns called {found[0]!r}: rename all but one")
    return found[0]
