r"""Allow and deny lists: the user's own phrases and patterns, which overrule the verdict.

A file has one entry per line::

    # comments and empty lines are ignored
    [deny]
    稳赚不赔
    /加.{0,3}微信/
    sender=106*: 提现
    [allow]
    sender=95588:

An entry is a phrase, or a regular expression between slashes. The prefix ``sender=NAME:`` binds an
entry to messages from that sender (with ``*`` at the end of the name, from all senders whose names
begin with it). With nothing after the colon the entry matches all messages from that sender. A
number matches with and without the country code (``+86`` or ``0086``; before a mobile number also
``86``), the hyphens of a telephone number, and ``.0``, and as Excel protects it (``="95588"``). So
``106*`` also matches ``+8610 6...``, a landline in Beijing; ``1069*`` does not. A masked number
(``138****8000``) matches only itself. Sender names can be forged: allow a sender only if your
network vouches for it. An entry that allows does not match a name, or the beginning of one, with
other letters, digits or marks that only look like its own (``ІСВС`` in Cyrillic, ``🅸🅲🅱🅲`` or
``ÍCBC`` for ``ICBC``); one that denies does. Allow wins over deny. If several entries of one kind
match, the first one is reported. A line that is unlikely to be meant as a phrase, such as
``[Deny]``, ``sender=106``, ``/加微信/i``, ``/加.{0,3}微信`` or ``“内部票”``, is refused. The command line
reports a number that allows all texts that mention it (``95588``; in a deny list ``106*``), and a
phrase with the end of a sentence (``内部票。``).

Phrases and patterns are matched against the text without white space, accents and mark-up, in lower
case, in simplified characters and in half width, with Latin letters for those of other alphabets that
look like them (`fold_for_lists`), and may be written in any of these forms. They cannot contain
mark-up, such as ``<br>`` or a sticker (``[玫瑰]``); the name of a sender can have stickers, and is the
same only with them. What Taiwan and the mainland write with different characters matches as well:
``帳戶`` and ``账户``, ``回覆`` and ``回复``, ``瞭解``, ``妳``. Emoji, Cantonese characters, cheque numerals, and
characters that stand for several (``⑩``, ``㎏``) match only themselves. Deny entries are also matched
against the text with emoji read as the Chinese characters that they stand for, so that ``加微信`` is
found in ``➕微信``. If a text carries marks of disguise, they are also matched against the repaired text
(`fraudscan.normalize` returns that for any text), whether or not the model scores it repaired, and
against the written and the repaired text without punctuation and symbols, so that ``微信`` is found in
``微·信``. Texts of more than 4,096 characters, not counting dropped ones and long repetitions, are
matched as they are written. Allow entries always are, so that a disguise cannot gain trust. A
disguised word in an otherwise plain text may leave no such marks: list the forms that you meet
(``微.信``). All phrases are found in one pass, with the same kind of vocabulary as the model's. It
holds a few hundred thousand phrases of all files together, fewer if they are long or use many
different characters. The number of senders is not limited.

What a pattern may contain is described in `fraudscan.patterns`.
"""

from __future__ import annotations

import codecs
import functools
import hashlib
import itertools
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral, Number
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.arrays import cuts
from fraudscan.characters import (
    DROPPED,
    code_points,
    concatenated,
    fold_for_lists,
    is_han,
    normalization_table,
    table_for_lists,
    table_with_digits,
    text_of,
    text_sizes,
    without_markup,
)
from fraudscan.columns import FLOATS, is_missing
from fraudscan.contacts import CONTACT
from fraudscan.decisions import VERDICTS
from fraudscan.disguise import is_long
from fraudscan.errors import FraudscanError
from fraudscan.features import Vocabulary
from fraudscan.lazy import shared
from fraudscan.patterns import HAS_MARKUP, LONGEST, PatternError, compile_pattern, needed_by
from fraudscan.show import shown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fraudscan.arrays import Bools, Codes, Ints, Words
    from fraudscan.decisions import Decisions
    from fraudscan.disguise import Repaired

__all__ = ["COUNTRY_CODE", "KINDS", "Entry", "ListError", "ListFile", "Lists", "check_sender", "read_lists"]

KINDS = ("allow", "deny")
"""The kinds of entries, in order of precedence."""

SECTIONS = {f"{left}{kind}{right}": kind for kind in KINDS for left, right in ("[]", "［］", "【】")}
"""Lines that set the kind of the entries below them, also with the brackets that Chinese keyboards write."""

COUNTRY_CODE = re.compile(r"^(?:(?:\+|00)86(?=(?:\d{5,}\*?|\d+\*)$)|86(?=1\d{10}$))")
"""The country code of China, which a number may have or lack. A ``*`` ends the start of a number in a list."""

NUMBER = re.compile(r"(?=(?:-?\d){7})(?=[\d-]*\d{3})\d+(?:-\d+)+|\+\d+(?:-\d+)+|(?:0\d{2,3}|[48]00)-[\d-]*\*|\d+\.0")
"""A telephone number with hyphens, its beginning in a list, or a number that pandas or Excel made a decimal one. Names
of senders may have hyphens, too: 955-88 is not 95588."""

ROUNDED = re.compile(r"[+-]?\d(?:\.\d+)?e\+?\d+", re.IGNORECASE)
"""A number as Excel shows it, of which most digits are lost."""

PROTECTED = re.compile(r'="(.*)"')
"""How Excel exports a number that is to remain text."""

BOUND = re.compile(r"sender=([^:：]*)[:：](.*)")

MISPLACED = re.compile(r"(?<!\*)\*(?!\*|\Z)|\*\*\Z")
"""A ``*`` in a sender that neither ends it nor is one of several that mask digits."""

BRACKETS = str.maketrans("[［﹇]］﹈", "【【【】】】")
"""What brackets in senders are read as. Names of stickers are not dropped there: they tell senders apart."""

LINE_BREAK = re.compile(r"\r\n?|\n")

SIGNS = re.compile(r"[\W_]+")
"""Characters that may separate those of a denied phrase in a text that carries marks of disguise."""

SHOWN = 60
"""The maximum number of characters of an entry in an error message."""

LARGEST = 1 << 26
"""The maximum size of a file in bytes: millions of senders, and more phrases than can be searched together."""

BLOCK = 1 << 16
"""Characters searched at a time, so that the arrays stay in the caches."""

Files = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None
"""The type of one or several files."""

Pattern = tuple[int, Any, frozenset[str]]
"""The index of an entry, its compiled pattern, and characters that a text must have to match."""

BUILT_IN = {str, int, type(None)}
"""The types of the values of most entries, of which there may be millions."""


class ListError(FraudscanError, ValueError):
    """A list cannot be used; the message names the file, the line and the error."""


@dataclass(frozen=True)
class Entry:
    """One line of a list.

    Attributes:
        kind: ``"allow"`` or ``"deny"``.
        pattern: the phrase, or the regular expression with its slashes; empty to match all messages from the sender.
        sender: the sender whose messages it applies to, as written; ``None`` for all messages.
        source: the file.
        line: its line number in the file.

    """

    kind: str
    pattern: str
    sender: str | None = None
    source: str = ""
    line: int = 0

    def __post_init__(self) -> None:
        if {type(self.kind), type(self.pattern), type(self.sender), type(self.source), type(self.line)} <= BUILT_IN:
            return
        for name in ("kind", "pattern", "sender", "source"):
            if isinstance(value := getattr(self, name), str):  # NumPy strings would change the scanner's digest
                object.__setattr__(self, name, str.__str__(value))
        if isinstance(self.line, Integral):
            object.__setattr__(self, "line", int(self.line))

    def __str__(self) -> str:
        """Return the entry's name as results show it."""
        bound = f"sender={_name(self.sender)}: " if self.sender is not None else ""
        place = f" ({shown_name(Path(self.source).name)}:{self.line})" if self.source else ""
        name = f"{self.kind} {bound}{_name(self.pattern)}".rstrip() + place
        return name.encode("utf-8", "backslashreplace").decode()  # an entry need not be Unicode; our output must


class ListFile(NamedTuple):
    """A file that entries were read from, for the record.

    Attributes:
        name: its path, relative or absolute as it was given.
        kind: the kind of the entries above its first section.
        sha256: the digest of its content.

    """

    name: str
    kind: str
    sha256: str


def _fold_all(texts: Sequence[str], table: Codes) -> list[str]:
    """Fold texts by a table in one pass, separated by line breaks, which folded texts do not contain."""
    raw, ends = concatenated(texts)
    codes = table[raw]
    codes[ends] = ord("\n")
    return text_of(codes[codes != DROPPED]).split("\n")[:-1]


@shared
def _pictures() -> Bools:
    """Return a mask of the code points that are emoji and stand for a Chinese character, such as ➕ for 加."""
    return is_han(normalization_table()) & ~is_han(table_for_lists())


@shared
def _table_with_pictures() -> Codes:
    """Return the table for lists, but with such emoji as the characters that they stand for."""
    return np.where(_pictures(), normalization_table(), table_for_lists())


def _pictured(texts: Sequence[str]) -> list[int]:
    """Return the indices of the texts with such emoji, except texts that are too long to be repaired."""
    rows: list[int] = []
    for part in cuts(text_sizes(texts), BLOCK):
        raw, ends = concatenated(["" if is_long(text) else text for text in texts[part]])
        counts = np.bincount(ends.searchsorted(_pictures()[raw].nonzero()[0]))
        rows += (part.start + counts.nonzero()[0]).tolist()
    return rows


def _read_otherwise(
    texts: Sequence[str], repaired: Mapping[int, Repaired | None]
) -> Iterator[tuple[list[int], list[str]]]:
    """Yield the other readings that deny entries are matched against: the indices of some texts, and their readings."""
    if rows := _pictured(texts):
        yield rows, _fold_all([texts[row] for row in rows], _table_with_pictures())
    if repaired:
        rows = list(repaired)
        marked = [texts[row] for row in rows]
        plain = _fold_all(marked, table_with_digits())
        both = zip(marked, repaired.values(), plain, strict=True)
        read = [_read(text, found) if found else folded for text, found, folded in both]
        yield rows, read
        for each in (read, _fold_all(marked, table_for_lists())):
            yield rows, [SIGNS.sub("", text) for text in each]


def _read(text: str, repaired: Repaired) -> str:
    """Return the repaired reading of a text, without contact marks and with the digits that the text has there."""
    codes = code_points(repaired.text).copy()
    digits = (codes == ord("0")).nonzero()[0]
    codes[digits] = table_for_lists()[code_points(text)[repaired.sources[digits]]]
    return text_of(codes).replace(CONTACT, "")


class _Phrases(Vocabulary):
    """A vocabulary that reads texts as lists do and does not skip repetitions."""

    table = staticmethod(table_for_lists)
    repeats = 0


def read_lists(*, allow: Files = (), deny: Files = (), notify: Callable[[str], None] = lambda _: None) -> Lists:
    """Read files of entries; a line ``[allow]`` or ``[deny]`` in any file sets the kind of the entries below it.

    The documentation of this module describes the syntax.

    Args:
        allow: a file of allow entries, or several.
        deny: a file of deny entries, or several.
        notify: called with notices for the user, about phrases that may not do what was meant.

    Raises:
        ListError: at the first error.
        TypeError: if no file is given.

    """
    files = [(path, kind) for kind, given in zip(KINDS, (allow, deny), strict=True) for path in _paths(kind, given)]
    if not files:
        raise TypeError("no file is given: pass allow=, deny= or both")
    entries: list[Entry] = []
    known: list[ListFile] = []
    for path, kind in files:
        data = _content(path)
        known.append(ListFile(str(path), kind, hashlib.sha256(data).hexdigest()))
        entries += _entries(path, kind, data)
    lists = Lists(entries, known)
    for doubt in _doubts(lists.entries):
        notify(doubt)
    return lists


NUMBER_ALONE = {"allow": re.compile(r"[+＋]?\d[\d-]{2,}[*＊]?"), "deny": re.compile(r"[+＋]?\d[\d-]{2,}[*＊]")}
"""Phrases that are numbers, or beginnings of numbers, by the kind of the entry. Numbers in texts are often denied."""

ENDED = re.compile("[^。；，、;,]+[。；，、;,]")
"""A phrase that ends as one that was copied from a sentence or an enumeration."""


def _doubts(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield notices of phrases that may have been meant otherwise: numbers, and what ends like a part of a sentence."""
    phrases = [entry for entry in entries if entry.pattern and not _is_pattern(entry.pattern)]
    alone = [entry for entry in phrases if entry.sender is None and NUMBER_ALONE[entry.kind].fullmatch(entry.pattern)]
    for kind, done in zip(KINDS, ("cleared", "flagged"), strict=True):
        if numbers := [entry for entry in alone if entry.kind == kind]:
            what = f"a phrase, so texts that mention it are {done}, whoever sent them: for all messages from it, write "
            yield f"{_first(numbers)} is {what}sender={numbers[0].pattern}:"
    if ended := [entry for entry in phrases if ENDED.fullmatch(entry.pattern)]:
        end = ended[0].pattern[-1]
        yield f"{_first(ended)} is found only with the {end} at its end: leave that out unless it is part of the phrase"


def _first(entries: Sequence[Entry]) -> str:
    """Return the place and the phrase of the first of some entries, and how many there are."""
    more = f" (like {len(entries) - 1:,} more)" if len(entries) > 1 else ""
    return f"{entries[0].source}:{entries[0].line}: {_shown(entries[0].pattern)}{more}"


def _paths(kind: str, given: Files) -> list[Path]:
    """Return one or several files as a list."""
    if given is None:
        return []
    if isinstance(given, (str, os.PathLike)):
        given = [given]
    if not isinstance(given, Iterable):
        raise TypeError(f"{kind} must be a file or several files, not {type(given).__name__}")
    paths = list(given)
    if "" in paths:
        raise ListError(f"the name of the {kind} list is empty")
    return list(map(Path, paths))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ListError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise ListError(f"{path} has more than {LARGEST:,} bytes: pass a shorter list; a list of senders can be split")
    return data


def _entries(path: Path, kind: str, data: bytes) -> Iterator[Entry]:
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        lines = LINE_BREAK.split(data.decode())
    except UnicodeDecodeError as error:
        number = len(LINE_BREAK.split(data[: error.start].decode()))
        raise ListError(f"{path}:{number}: not UTF-8: save the list in UTF-8") from None
    source = str(path)
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if line in SECTIONS:
            kind = SECTIONS[line]
        elif line and not line.startswith("#"):
            bound = BOUND.fullmatch(line)
            sender, pattern = map(str.strip, bound.groups()) if bound else (None, line)
            if fault := _slip(pattern):
                raise ListError(f"{source}:{number}: {_shown(line)}: {fault}")
            yield Entry(kind, pattern, sender, source, number)


KIND = "|".join(KINDS)
IN_CHINESE = "[白黑]名[单單]|允[许許]|放行|信任|拒[绝絕]|禁止|阻止|[拦攔]截"
"""What sections are called in Chinese."""
LINES = [f"[{kind}]" for kind in KINDS]
SLIPS = {
    rf"\[[a-zA-Z ]*\]|[\[【]\s*(?:(?i:{KIND})|{IN_CHINESE})\s*[\]】]|[\[【]({KIND})[\]】].*": "the only "
    f"sections are {' and '.join(LINES)}; write a phrase in brackets as a pattern",
    r"(?i:sender\s*[=:].*)": "an entry for a sender is written sender=NAME: PHRASE, or sender=NAME: alone",
    rf"(?i:({KIND}|[白黑]名[单單])\s*:.*)": "an entry has no such prefix: a line "
    f"{' or '.join(LINES)} above it sets its kind",
    "//?": "a pattern has something between its slashes",
    "/.+/": "the slashes of a pattern are of half width, /…/; if these are part of a phrase, write it as a pattern",
    r"/[^/]+/[aimsux]{1,3}": "a pattern takes no flags after its last slash; it matches letters of either case",
    r"/(?:\^|.*(?:\\|\[|\{[\d,]|\.[*+?]|\([^(|]*\|)).*": "a pattern ends with a slash, too; if the "
    "slash is part of a phrase, write it as a pattern",
    r"[^\W\d_]{2,}\*": "a phrase is found anywhere in a text, without *; if the * is part of it, write it as a pattern",
    r"""["“”'‘’「『][^"“”'‘’「」『』]*["“”'’」』]""": "a phrase has no quotation marks around it; if they are part of "
    "it, write it as a pattern",
    r"[^#]*\s#[^#]*": "a comment needs a line of its own; if the # is part of the phrase, write it as a pattern",
}
"""Regular expressions of lines that are unlikely to be meant as phrases, in half width, and the error messages."""

HALF_WIDTH = {0xFEE0 + code: code for code in range(ord("!"), ord("~") + 1)}
"""The characters of ASCII that Chinese keyboards also write in full width."""

ANY_SLIP = re.compile("|".join(f"(?:{slip})" for slip in SLIPS))


def _slip(pattern: str) -> str:
    """Return the error in an entry; an empty string if it is a pattern, or may have been meant as a phrase."""
    half = pattern.translate(HALF_WIDTH)
    if _is_pattern(pattern) or not ANY_SLIP.fullmatch(half):
        return ""
    return next((why for slip, why in SLIPS.items() if re.fullmatch(slip, half)), "")


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _is_pattern(pattern: str) -> bool:
    return len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/")


class Lists:
    """Entries that can be searched for in texts. Immutable: share it among threads.

    Args:
        entries: the entries, in any order.
        files: the files that they were read from.

    Raises:
        TypeError: if ``entries`` is not an iterable of `Entry` objects.
        ListError: if a kind is not one of `KINDS`, a pattern or sender is not a string, a sender is empty or has a
            single ``*`` before its end or several at its end, a phrase has no character that counts or more than
            `LONGEST`, or a pattern is not one that `fraudscan.patterns` allows.

    >>> lists = Lists([Entry("deny", "稳赚不赔"), Entry("allow", "/退订回[tn]/")])
    >>> [str(lists.entries[place]) for place in lists.find(["穩賺 不賠", "稳赚不赔，退订回T"])]
    ['deny 稳赚不赔', 'allow /退订回[tn]/']

    """

    def __init__(self, entries: Iterable[Entry], files: Iterable[ListFile] = ()) -> None:
        if not isinstance(entries, Iterable):
            kind = type(entries).__name__
            raise TypeError(f"Lists takes an iterable of Entry objects, not one {kind}: pass a list, [entry]")
        entries = list(entries)
        if strange := [type(entry).__name__ for entry in entries if not isinstance(entry, Entry)]:
            raise TypeError(f"Lists takes Entry objects, not {strange[0]}: use read_lists for files")
        if foreign := [entry.kind for entry in entries if entry.kind not in KINDS]:
            raise ListError(f"an entry's kind must be {' or '.join(KINDS)}, not {foreign[0]!r}")
        self.entries: tuple[Entry, ...] = tuple(entry for kind in KINDS for entry in entries if entry.kind == kind)
        self.files: tuple[ListFile, ...] = tuple(files)
        self._allowing = sum(entry.kind == "allow" for entry in entries)
        phrases: dict[str, list[int]] = defaultdict(list)
        self._patterns: list[Pattern] = []  # those for all senders
        self._bound_patterns: dict[int, Pattern] = {}
        self._senders: set[int] = set()  # entries that match all messages from a sender
        self._named: dict[str, int] = {}  # the first entry of each sender, and the others; most of millions have one
        self._named_again: dict[str, list[int]] = defaultdict(list)
        patterns = _folded(entry.pattern for entry in self.entries)
        senders = _folded(_bracketed(entry.sender) for entry in self.entries)
        for place, (pattern, sender) in enumerate(zip(patterns, senders, strict=True)):
            self._add(place, pattern, sender, phrases)
        self._cuts = sorted({len(name) - 1 for name in self._named if name.endswith("*")})
        self._first: dict[int, Ints] = {}  # by the index from which on entries count: for each node the first of them
        self._also: dict[int, frozenset[int]] = {}
        self._bound_at = np.zeros(0, dtype=np.bool_)
        self._vocabulary = self._index(phrases) if phrases else None

    @property
    def bound(self) -> bool:
        """Whether any entry is bound to a sender, so that decisions need the senders."""
        return bool(self._named)

    def __reduce__(self) -> tuple[Any, ...]:
        return Lists, (self.entries, self.files)

    def __eq__(self, other: object) -> bool:
        return self.entries == other.entries if isinstance(other, Lists) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.entries)

    def __repr__(self) -> str:
        return f"Lists({self._allowing} that allow, {len(self.entries) - self._allowing} that deny)"

    def _add(self, place: int, phrase: str, sender: str, phrases: dict[str, list[int]]) -> None:
        """Add an entry, with its pattern and its sender as lists read them."""
        entry = self.entries[place]
        try:
            _check_types(entry)
            if entry.sender is not None:
                for name in _names(entry.sender, sender):
                    if self._named.setdefault(name, place) != place:
                        self._named_again[name].append(place)
            if not entry.pattern and entry.sender is not None:
                self._senders.add(place)
            elif _is_pattern(entry.pattern):
                pattern = entry.pattern[1:-1]
                found = place, compile_pattern(pattern), needed_by(pattern)
                if entry.sender is None:
                    self._patterns.append(found)
                else:
                    self._bound_patterns[place] = found
            else:
                _check_phrase(entry.pattern, phrase)
                phrases[phrase].append(place)
        except (ListError, PatternError, RecursionError) as error:
            where = f"{entry.source}:{entry.line}: " if entry.source else ""
            name = _shown(str(entry.pattern).strip()) or entry.kind
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
            raise ListError(f"{where}{name}: {reason}") from None

    def _index(self, phrases: dict[str, list[int]]) -> Vocabulary:
        """Build the vocabulary, and for each node the entries that match where it is found."""
        try:
            vocabulary = _Phrases.from_ngrams(phrases)
        except ValueError as error:
            how = "shorten them or leave some out"
            raise ListError(f"{len(phrases):,} phrases cannot be searched together: {error}; {how}") from None
        found = vocabulary.match(list(phrases))
        nodes = found.nodes[found.starts + found.lengths - 1].astype(np.int64)
        places = np.array(list(itertools.chain.from_iterable(phrases.values())))
        nodes = nodes.repeat(list(map(len, phrases.values())))
        bound = np.array([self.entries[place].sender is not None for place in places.tolist()])
        for least in {0, self._allowing}:
            wanted = ~bound & (places >= least)
            self._first[least] = np.full(vocabulary.size, len(self.entries), dtype=np.int64)
            np.minimum.at(self._first[least], nodes[wanted], places[wanted])
        self._bound_at = np.zeros(vocabulary.size, dtype=np.bool_)
        self._bound_at[nodes[bound]] = True
        own: dict[int, list[int]] = defaultdict(list)
        for node, place in zip(nodes[bound].tolist(), places[bound].tolist(), strict=True):
            own[node].append(place)
        for order in range(1, int(vocabulary.orders.max()) + 1):  # a node has what its suffix has, which is shorter
            longer = np.flatnonzero(vocabulary.orders == order)
            suffixes = vocabulary.suffixes[longer]
            for first in self._first.values():
                first[longer] = np.minimum(first[longer], first[suffixes])
            self._bound_at[longer] |= self._bound_at[suffixes]
            for node in longer[self._bound_at[longer]].tolist():
                self._also[node] = self._also.get(int(vocabulary.suffixes[node]), frozenset()).union(own.get(node, ()))
        return vocabulary

    def find(self, texts: Sequence[str], senders: Sequence[Any] | None = None) -> Ints:
        """Return for each text the index in ``entries`` of the entry that decides, or ``len(entries)`` if none does.

        Args:
            texts: the texts.
            senders: the sender of each text: a string, UTF-8 bytes or a number; ``None`` or NaN if it is unknown. Any
                other value names no sender. Without ``senders``, entries bound to a sender are ignored.

        Raises:
            ValueError: if the numbers of senders and texts differ.

        """
        if senders is not None and len(senders) != len(texts):
            raise ValueError(f"{len(senders)} senders do not fit {len(texts)} texts")
        return self._find(texts, senders, least=0)

    def _find(self, texts: Sequence[str], senders: Sequence[Any] | None, *, least: int) -> Ints:
        """Do the same, given the index of the first entry that counts: 0, or that of the first one that denies."""
        best = np.full(len(texts), len(self.entries), dtype=np.int64)
        sent = [frozenset[int]()] * len(texts)
        if senders is not None and self.bound:
            sent = self._sent(senders, least)
        common = [pattern for pattern in self._patterns if pattern[0] >= least]
        patterns = {own: self._patterns_of(own, common) for own in set(sent)}
        for part in cuts(text_sizes(texts), BLOCK):
            self._find_phrases(texts[part], best[part], sent[part], least)
            folded = _fold_all(texts[part], table_for_lists()) if any(patterns.values()) else ()
            for row, text in enumerate(folded, part.start):
                self._find_patterns(text, row, best, patterns[sent[row]])
        if self._senders:
            for row, own in enumerate(sent):
                best[row] = min([best[row], *(own & self._senders)])
        return best

    @property
    def denies(self) -> bool:
        """Whether any entry denies."""
        return self._allowing < len(self.entries)

    def overrule(
        self,
        found: Decisions,
        texts: Sequence[str],
        senders: Sequence[Any] | None,
        readings: Mapping[int, Repaired | None] | None = None,
    ) -> Decisions:
        """Return the decisions with the verdicts of the entries that matched; labels and scores stay the model's.

        Args:
            found: the decisions.
            texts: the texts.
            senders: the sender of each text, as for `find`.
            readings: the repaired reading of each text that carries marks of disguise, by its index; ``None`` if there
                is nothing to repair. It is needed if any entry denies.

        """
        rules = self.find(texts, senders)
        if readings is not None:
            for rows, read in _read_otherwise(texts, readings):
                sent = None if senders is None else [senders[row] for row in rows]
                rules[rows] = np.minimum(rules[rows], self._find(read, sent, least=self._allowing))
        by_list = [rules < self._allowing, rules < len(self.entries)]
        verdicts = np.select(by_list, [0, len(VERDICTS) - 1], found.verdicts)
        return replace(found, verdicts=verdicts, rules=rules, entries=self.entries)

    def _sent(self, senders: Sequence[Any], least: int) -> list[frozenset[int]]:
        """Return for each sender the entries that are bound to it; ``least`` is as for `_find`."""

        @functools.lru_cache(maxsize=1 << 12)
        def entries(sender: str) -> frozenset[int]:
            names = _spellings(fold_for_lists(_bracketed(sender)))
            wanted = [*names, *(f"{name[:cut]}*" for name in names for cut in self._cuts if cut <= len(name))]
            known = [name for name in wanted if name in self._named]
            again = (place for name in known for place in self._named_again.get(name, ()))
            return frozenset(
                place
                for place in (*map(self._named.__getitem__, known), *again)
                if place >= least and (place >= self._allowing or _is_allowed(sender, self.entries[place].sender or ""))
            )

        return [entries(_name(sender)) if _is_named(sender) else frozenset() for sender in senders]

    def _find_phrases(self, texts: Sequence[str], best: Ints, sent: Sequence[frozenset[int]], least: int) -> None:
        if self._vocabulary is None:
            return
        if len(texts[0]) > BLOCK:  # it is alone
            for nodes in self._vocabulary.match_blocks(texts[0], BLOCK):
                if nodes.size:
                    self._take(nodes, np.zeros(1, dtype=np.int64), best, sent, self._first[least])
            return
        found = self._vocabulary.match(texts)
        self._take(found.nodes, found.starts, best, sent, self._first[least])

    def _take(self, nodes: Words, starts: Ints, best: Ints, sent: Sequence[frozenset[int]], first: Ints) -> None:
        np.minimum(best, np.minimum.reduceat(first.take(nodes), starts), out=best)
        if not self._also:
            return
        for at in self._bound_at.take(nodes).nonzero()[0].tolist():
            row = int(starts.searchsorted(at, side="right")) - 1
            best[row] = min([best[row], *(sent[row] & self._also[int(nodes[at])])])

    def _patterns_of(self, own: frozenset[int], common: list[Pattern]) -> list[Pattern]:
        """Return ``common`` patterns and those of a sender, whose entries are ``own``; thousands may be for others."""
        bound = own & self._bound_patterns.keys()
        return sorted([*common, *map(self._bound_patterns.__getitem__, bound)]) if bound else common

    def _find_patterns(self, text: str, row: int, best: Ints, patterns: Sequence[Pattern]) -> None:
        first, characters = int(best[row]), set(text)
        for place, pattern, needed in patterns:
            if place >= first:
                return
            if needed <= characters and pattern.search(text):
                best[row] = place
                return


def _folded(values: Iterable[Any]) -> list[str]:
    """Fold values as lists read them; those that are no strings become empty."""
    return _fold_all([value if isinstance(value, str) else "" for value in values], table_for_lists())


def _check_types(entry: Entry) -> None:
    if not isinstance(entry.pattern, str):  # a number from a table, for example
        raise ListError(f"a pattern must be a string, not {type(entry.pattern).__name__}")
    if entry.sender is not None and not isinstance(entry.sender, str):
        raise ListError(f"a sender must be a string, not {type(entry.sender).__name__}")


def _names(sender: str, folded: str) -> set[str]:
    """Return the spellings of an entry's sender, or refuse it."""
    if not folded.strip("*"):
        raise ListError("the name of the sender is missing")
    names = _spellings(folded)
    if ROUNDED.fullmatch(_unprotected(folded).rstrip("*")):
        raise ListError(f"sender={_shown(sender)}: a spreadsheet has rounded this number: write it with all its digits")
    if "*" in folded and any(map(MISPLACED.search, names)):
        what = "only one * may be in a sender, at its end, besides several that mask digits (138****8000)"
        raise ListError(f"sender={_shown(sender)}: {what}")
    return names


def _check_phrase(written: str, folded: str) -> None:
    if without_markup(written) != written:
        raise ListError(HAS_MARKUP)
    if not 0 < len(folded) <= LONGEST:
        raise ListError(f"a phrase must have 1 to {LONGEST} characters that count; this one has {len(folded)}")


def check_sender(sender: Any, what: str) -> None:
    """Refuse a value that neither names a sender nor is missing; ``what`` is its name in the message.

    Raises:
        TypeError: if it is not missing, and neither a string, bytes nor a number.

    """
    if not (_is_named(sender) or is_missing(sender)):
        kind = type(sender).__name__
        raise TypeError(f"{what} is of type {kind}: pass a string or a number, or None if it is unknown")


def _is_named(sender: Any) -> bool:
    """Return whether a value names a sender."""
    known = isinstance(sender, (str, bytes, bytearray, Number)) and not is_missing(sender)
    return known and not isinstance(sender, bool)


def _name(sender: Any) -> str:
    """Return a sender or a phrase as a string. Whole floats lose ``.0``: gaps in a table turn integers into floats."""
    if isinstance(sender, str):
        return str.__str__(sender)  # str() of an enumeration's member is not its value
    if isinstance(sender, (bytes, bytearray)):
        return sender.decode("utf-8", "replace")
    whole = isinstance(sender, FLOATS) and sender.is_integer()
    return str(int(sender) if whole else sender)


def _is_allowed(sender: str, listed: str) -> bool:
    """Return whether a sender that lists read as one that an entry allows has its letters, digits and marks, too.

    >>> _is_allowed("ІСВС", "ICBC"), _is_allowed("ＩＣＢＣ", "ICBC"), _is_allowed("ICBC Café", "ICBC*")
    (False, True, True)

    """
    if sender.isascii() and listed.isascii():
        return True
    return any(_is_named_by(*both) for both in itertools.product(_own_spellings(sender), _own_spellings(listed)))


def _is_named_by(name: str, listed: str) -> bool:
    """Return whether a name is the listed one or begins with it; marks belong to the character before them."""
    if not listed.endswith("*"):
        return name == listed
    return name.startswith(listed[:-1]) and not any(map(_is_mark, name[len(listed) - 1 :][:1]))


@functools.lru_cache(maxsize=1 << 12)
def _own_spellings(sender: str) -> frozenset[str]:
    """Return the spellings of a sender as lists read it, but with the letters, digits and marks that it is written in.

    >>> sorted(_own_spellings("＋８６ 9٥588")), *_own_spellings("І🅲ＢＣ 商銀")
    (['+869٥588', '9٥588'], 'і🅲bc商银')

    """
    written = unicodedata.normalize("NFKD", without_markup(_bracketed(sender))).casefold()
    read = text_of(table_for_lists()[code_points(written)])
    own = (c if _is_mark(c) or (to.isascii() and to > "\0") else to for c, to in zip(written, read, strict=True))
    return frozenset(_spellings("".join(own).replace("\0", "")))


def _bracketed(sender: Any) -> Any:
    """Return a sender with other brackets (see `BRACKETS`); what is no string is left as it is."""
    return sender.translate(BRACKETS) if isinstance(sender, str) else sender


def _is_mark(character: str) -> bool:
    """Return whether a character is a mark over or around another one. What selects a variant of that is none."""
    return unicodedata.category(character) in {"Mn", "Me"} and "VARIATION SELECTOR" not in unicodedata.name(character)


def _unprotected(sender: str) -> str:
    protected = PROTECTED.fullmatch(sender)
    return protected[1] if protected else sender


def _spellings(sender: str) -> set[str]:
    """Return a folded sender in the form that is compared, and a number also without hyphens and the country code.

    >>> sorted(_spellings('="+8695588"')), sorted(_spellings("0086106*")), _spellings("+8525588")
    (['+8695588', '95588'], ['0086106*', '106*'], {'+8525588'})
    >>> sorted(_spellings("400-820-8820")), sorted(_spellings("95588.0")), _spellings("张三-1")
    (['400-820-8820', '4008208820'], ['95588', '95588.0'], {'张三-1'})

    """
    name = _unprotected(sender)
    number = name.removesuffix(".0").replace("-", "") if NUMBER.fullmatch(name) else name
    return {name, number, COUNTRY_CODE.sub("", number)}
