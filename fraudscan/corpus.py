"""Read labelled messages: JSON lines, one message per line. Every line is checked.

The fields are ``id``, ``text``, ``labels`` (scheme names, the leading one first; empty = legitimate),
``targets``, ``channel``, ``scenario`` and, where a lure and its honest twin belong together,
``pair``. See ``corpus/README.md``.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.characters import fold
from fraudscan.errors import FraudscanError
from fraudscan.taxonomy import TAXONOMY, Taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fraudscan.arrays import Floats, Ints

__all__ = [
    "CHANNELS",
    "HONEST_NAMES",
    "CorpusError",
    "Row",
    "default_corpus",
    "digest",
    "find_honest",
    "honest_names",
    "is_corpus",
    "join",
    "near_duplicates",
    "numbered_lines",
    "read_corpus",
    "refuse_one",
]

CHANNELS = ("sms", "chat", "group", "call", "post", "dialogue")

HONEST_NAMES = tuple(
    "legitimate legit honest normal benign ham none non-fraud not_fraud no "
    "正常 正常短信 合法 非诈骗 非欺诈 非涉诈 不涉诈 未涉诈 无风险 否 0 0.0 false".split()
)
"""Names of labels that mean "legitimate", ignoring case. ``0.0`` is included because pandas turns 0 into it if some
labels of the column are missing."""

EXAMINED = 20
"""Lines of a file that are examined to see whether it is a corpus. Some may be empty or damaged."""

BLOCK = 1 << 20
"""The number of pairs of texts that are compared at a time."""


class CorpusError(FraudscanError, ValueError):
    """Labelled messages are invalid or too few. The error names the fault, and the file and line of a bad one."""


@dataclass(frozen=True)
class Row:
    """One labelled message; a user's own has no more than an id, a text and labels."""

    id: str
    text: str
    labels: tuple[str, ...]
    targets: tuple[str, ...] = ()
    channel: str = ""
    scenario: str = ""
    pair: str | None = None

    @property
    def kind(self) -> str:
        """The kind of an honest message of the corpus, taken from the beginning of its id.

        Empty for lures, and for messages without a channel, which are not of the corpus.
        """
        return "" if self.labels or not self.channel else self.id.split("-")[0]


def read_corpus(paths: Iterable[str | os.PathLike[str]], taxonomy: Taxonomy = TAXONOMY) -> list[Row]:
    """Read files in the order given; a folder stands for all ``*.jsonl`` files in it, sorted by name.

    Raises:
        CorpusError: at the first fault: a missing file, invalid JSON, a missing or unknown field, a wrong type, an
            unknown name, an empty text, a duplicate id.
        TypeError: if ``paths`` is a single path and not an iterable of paths.

    """
    refuse_one(paths)
    paths = list(paths)
    rows: list[Row] = []
    seen: dict[str, str] = {}
    for path in _files(paths):
        for number, line in numbered_lines(path):
            place = f"{path}:{number}"
            row = _parse(line, place, taxonomy)
            if row.id in seen:
                raise CorpusError(f"{place}: the id {row.id!r} is already used at {seen[row.id]}")
            seen[row.id] = place
            rows.append(row)
    if not rows:
        raise CorpusError(f"no messages in {', '.join(map(str, paths))}: expected *.jsonl with one message per line")
    return rows


def is_corpus(path: str | os.PathLike[str]) -> bool:
    """Return whether one of a file's first lines is an object with fields that only messages of a corpus have.

    Pipes and devices, which cannot be read again, do not count as corpora.
    """
    if not Path(path).is_file():
        return False
    with contextlib.suppress(OSError), Path(path).open("rb") as file:
        for line in itertools.islice(iter(lambda: file.readline(BLOCK), b""), EXAMINED):
            with contextlib.suppress(ValueError, RecursionError):
                row = json.loads(line)
                if isinstance(row, dict) and {"channel", "scenario"}.intersection(row) and "labels" in row:
                    return True
    return False


def refuse_one(paths: Any) -> None:
    """Raise a TypeError if ``paths`` is a single path: iterating over it would yield its characters."""
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise TypeError(f"paths is one {type(paths).__name__}, not several: pass a list, [path]")


def default_corpus() -> Path:
    """Return the folder of the project's corpus.

    Raises:
        CorpusError: if there is none, as in an installed package.

    """
    folder = Path(__file__).resolve().parent.parent / "corpus"
    if not (folder / "README.md").is_file():
        raise CorpusError(
            "the installed package has no corpus: get the folder corpus/ of this version from the repository "
            "(source distributions have none), and name it: --with-default-corpus FOLDER"
        )
    return folder


def digest(rows: Sequence[Row]) -> str:
    """Return the SHA-256 digest of everything that training reads from the rows, in their order."""
    sha = hashlib.sha256()
    for row in rows:
        fields = [row.id, row.text, row.labels, row.targets, row.channel, row.scenario, row.pair]
        sha.update(json.dumps(fields, ensure_ascii=True).encode() + b"\n")
    return sha.hexdigest()


def _files(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(path.rglob("*.jsonl"))
        elif path.is_file():
            yield path
        else:
            raise CorpusError(f"{path}: no such file or folder")


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number and the text of each line that is not blank.

    Raises:
        CorpusError: at the first line that is not valid UTF-8.

    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode()
            except UnicodeDecodeError as error:
                raise CorpusError(f"{path}:{number}: not UTF-8: {error}") from None
            if line.strip():
                yield number, line


FIELDS = {"id": str, "text": str, "labels": list, "targets": list, "channel": str, "scenario": str, "pair": str}
"""The fields of a message and their types. All are required except ``pair``."""


def _parse(line: str, place: str, taxonomy: Taxonomy) -> Row:
    try:
        data = json.loads(line)
        fault = _fault(data, taxonomy)
    except ValueError as error:
        fault = f"not JSON: {error}"
    except RecursionError:
        fault = "not JSON: nested too deeply"
    if fault:
        raise CorpusError(f"{place}: {fault}")
    labels, targets = tuple(data["labels"]), tuple(data["targets"])
    return Row(data["id"], data["text"], labels, targets, data["channel"], data["scenario"], data.get("pair"))


def _fault(data: Any, taxonomy: Taxonomy) -> str | None:
    """Return what is wrong with one row, or ``None``."""
    if not isinstance(data, dict):
        return f"expected an object with the message's fields, found {type(data).__name__}"
    data = {"pair": "", **data}
    other = "; if these are messages of your own, name the column with their labels: --label COLUMN"
    for name, kind in FIELDS.items():
        if not isinstance(data.get(name), kind):
            hint = "" if data.keys() >= FIELDS.keys() else other
            return f"{name!r} must be a {kind.__name__}, found {reprlib.repr(data.get(name))}{hint}"
    if foreign := sorted(data.keys() - FIELDS.keys()):
        return f"unknown field {foreign[0]!r}"
    if not data["text"].strip():
        return "the text is empty"
    if data["channel"] not in CHANNELS:
        return f"unknown channel {data['channel']!r}; known: {', '.join(CHANNELS)}"
    schemes, targets = [x.name for x in taxonomy.schemes], [x.name for x in taxonomy.targets]
    return _unknown("labels", data["labels"], schemes) or _unknown("targets", data["targets"], targets)


def _unknown(field: str, names: list[Any], known: Sequence[str]) -> str | None:
    for name in names:
        if name not in known:
            return f"unknown name {reprlib.repr(name)} in {field!r}; known: {', '.join(known)}"
    return f"{field!r} contains a name twice" if len(set(names)) < len(names) else None


def find_honest(names: Sequence[str], honest: str | None = None, known: Sequence[str] = HONEST_NAMES) -> str | None:
    """Return the name that stands for legitimate messages: ``honest``, or the one of ``known`` that occurs.

    Raises:
        CorpusError: if ``honest`` is not in ``names``, or if it is ``None`` and several of ``names`` are in ``known``.

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
    """Return the names that files are likely to use for the model's honest label, its own name first.

    Names of the model's other labels are left out. The result is empty if the model has no honest label.

    >>> honest_names(Taxonomy.from_names(["坏", "好人"], "好人", "multiclass"))[:2]
    ('好人', 'legitimate')
    >>> honest_names(Taxonomy.from_names(["ham", "spam"], None, "multiclass"))
    ()

    """
    if taxonomy.honest is None:
        return ()
    others = {label.name.casefold() for label in taxonomy.labels if label.schemes}
    return (taxonomy.honest, *(name for name in HONEST_NAMES if name not in others))


def near_duplicates(texts: Sequence[str], threshold: float = 0.6) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield the pairs of texts whose sets of character trigrams have a Jaccard similarity of at least ``threshold``.

    Texts are normalised first, so differences in digits and script are ignored. A text of which nothing is read, such
    as one of stickers, resembles none. The result is exact: every pair is compared. If all texts are filled from one
    template, the number of pairs grows with the square of the number of texts, so the pairs are yielded block by block.

    Yields:
        Arrays of i, j and similarity, with ``i < j``, ordered by i and j.

    """
    from scipy import sparse

    column: dict[str, int] = {}
    sets = []
    for text in map(fold, texts):
        trigrams = {text[i : i + 3] for i in range(max(bool(text), len(text) - 2))}
        sets.append([column.setdefault(trigram, len(column)) for trigram in trigrams])
    sizes = np.array([len(s) for s in sets])
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    flat = np.fromiter((c for s in sets for c in s), dtype=np.int64, count=int(bounds[-1]))
    matrix = sparse.csr_array((np.ones(flat.size, dtype=np.int32), flat, bounds), shape=(len(sets), len(column)))
    transposed = matrix.T.tocsr()
    # for each text, an upper bound on the number of texts that share a trigram with it
    most = np.minimum(matrix @ np.diff(transposed.indptr).astype(np.int64), len(sets))
    starts = np.unique(np.cumsum(most) // BLOCK, return_index=True)[1]
    for start, end in itertools.pairwise([*starts.tolist(), len(sets)]):
        shared = (matrix[start:end] @ transposed).tocoo()
        i, j = shared.row + start, shared.col
        similarity = shared.data / (sizes[i] + sizes[j] - shared.data)
        near = np.flatnonzero((similarity >= threshold) & (i < j))
        near = near[np.lexsort((j[near], i[near]))]
        yield i[near], j[near], similarity[near]


def join(groups: Ints, i: Ints, j: Ints) -> Ints:
    """Return the group number of each row after merging the groups of rows ``i`` with those of rows ``j``.

    Groups are numbered in the order of their first rows, as ``np.arange`` numbers rows that are groups of their own.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    a, b = groups[i], groups[j]
    new = a != b
    if new.any():
        graph = sparse.coo_array((new[new], (a[new], b[new])), shape=(groups.size, groups.size))
        groups = connected_components(graph, directed=False)[1][groups]
    return groups
