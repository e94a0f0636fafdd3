"""Readers of documents: JSON arrays here, chat exports in `chats`.

A document cannot be entered in the middle: to resume at a place, a reader reads and skips
everything before it. Elements are cut out one by one, so that neither a long document nor a
bomb in it fills the memory. An element that is too long is skipped and becomes one reject. So
is one of an array that is no JSON: the next element is found by the line breaks or brackets between
elements. If a document is broken in another way, everything from there on becomes one reject.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from fraudscan.dump.readers import BLOCK, PATIENCE, SHOWN, TOO_LONG, JsonLinesReader, Reader
from fraudscan.dump.rows import Batch, Block, Place, Reject
from fraudscan.dump.streams import Head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fraudscan.dump.streams import Stream

__all__ = ["STEP", "Broken", "DocumentReader", "Element", "JsonArrayReader"]

STEP = 1 << 16
"""Bytes of a document read at a time."""


class Element(NamedTuple):
    """One element of a document. If it has a ``problem``, ``data`` is the available part of it.

    In exports, ``fields`` are those in `NAMES` of the object that holds its array, as JSON.
    """

    start: Place
    data: Any
    problem: str = ""
    fields: tuple[bytes, ...] = ()


class Broken(Exception):  # noqa: N818 - says what the document is
    """A document cannot be read any further. The arguments are the place, the reason, and the available rest of it."""


@dataclass
class DocumentReader(Reader):
    """Reads one document with many elements."""

    by_line: ClassVar[bool] = False

    def elements(self, stream: Stream) -> Iterator[Element]:
        """Yield the elements in order; raise `Broken` at the end of what can be read."""
        raise NotImplementedError

    def blocks(self, stream: Stream, start: Place) -> Iterator[Block]:
        """Yield the blocks that begin at ``start`` or later. The stream must be at its beginning."""
        return (block for block in self._blocks(self.utf8(stream)) if block.start >= start)

    def _blocks(self, stream: Stream) -> Iterator[Block]:
        elements: list[Element] = []
        end, rest = Place(0, 1), None
        try:
            for element in self.elements(stream):
                elements.append(element)
                end = Place(element.start.offset + 1, element.start.line)
                if end.offset - elements[0].start.offset >= min(BLOCK, self.limit):
                    yield Block(elements[0].start, end, elements)
                    elements = []
        except Broken as broken:
            at, reason, data = broken.args
            at = max(at, end)
            rest = Block(at, Place(at.offset + 1, at.line), data[:BLOCK], reason, fatal=True)
        if elements:
            yield Block(elements[0].start, end, elements)
        if rest:
            yield rest

    def utf8(self, stream: Any) -> Any:
        """Return the stream converted to UTF-8, because the syntax of documents is matched in its bytes."""
        return stream if self.encoding == "utf-8" else _Transcoded(stream, self.encoding)


class _Transcoded:
    """A stream converted to UTF-8. Undecodable bytes become surrogates, which every reader of UTF-8 rejects.

    Offsets in it differ from those in the source, because the original length of each character is not recorded.
    """

    def __init__(self, stream: Any, encoding: str) -> None:
        codecs.register_error("fraudscan", lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("fraudscan")

    @property
    def damage(self) -> str:
        return str(self._stream.damage)

    def read(self, size: int) -> bytes:
        while data := self._stream.read(size):
            if text := self._decoder.decode(data):
                return text.encode("utf-8", "surrogatepass")
        return self._decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


OPENING, CLOSING = (b"{", b"["), (b"}", b"]")
CLOSED_BY = dict(zip(OPENING, CLOSING, strict=True))
STRING = rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*'
"""A string without its end. JSON has no line end in a string, so a string ends there at the latest."""
TOKEN = re.compile(rb'(\n[ \t]{0,99})?(%b(?:"|(?=\n))|[\[\]{},:]|[^\s"\[\]{},:]+)|(")' % STRING, re.DOTALL)
"""A token, after the line end and the indentation directly before it, or a quote that begins an incomplete string."""
LINE_END = re.compile(rb"(?<![ \t\r])[ \t\r]*[\n\r][ \t\r\n]*")
"""A line end in JSON, which is never within a string, and the indentation around it. Only the start of white space is
tried; otherwise a run of a million blanks would be scanned from each of them."""
GAP = rb'[^"\[\]{}:]*(?::(?!\s*[\[{])[^"\[\]{}:]*)*'
INNER = re.compile(
    rb'(?:%b"(?=\s*[:,\]}])(%b)){1,99}|%b(\n|"\s*[^\s:,\]}])|(:\s*)?([\[\]{}])%b|(")' % (STRING, GAP, STRING, GAP),
    re.DOTALL,
)
"""Strings in an object or array, in one match because that is fast, and what follows them (group 1); a string that is
not closed in its line or not followed by what JSON requires (2); a bracket (4) and the colon before it (3); a quote
that begins an incomplete string (5)."""
GAP_AFTER, FAULT, COLON, BRACKET, INCOMPLETE = range(1, 6)
SKIPPED = re.compile(rb'%b["\n]|[\[\]{}]|"' % STRING, re.DOTALL)
WITHIN_STRING = re.compile(STRING[1:], re.DOTALL)
FIRST_KEY = re.compile(rb'\{\s{0,99}("[^"\\\n]{0,200}"\s{0,99}:)')
LAST_BRACKET = re.compile(rb"(?=\]\s*\Z)")
LONGEST_GAP = 1000
"""More bytes than what is searched for between elements has."""


@dataclass
class JsonArrayReader(DocumentReader, JsonLinesReader):
    """Reads an array of objects, or consecutive objects over several lines each."""

    name: ClassVar[str] = "json"
    holder: ClassVar[bytes] = b""
    """The key of arrays of rows, with its quotes; empty if they need none."""

    def prepare(self, stream: Stream) -> Place:
        """Find the columns in those elements of the first block that can be read."""
        head = stream.peek(BLOCK)
        rows = (self.parse(element.data)[0] for element in self._peek(head))
        array = head.decode(self.encoding, "replace").lstrip("\ufeff \t\r\n").startswith("[")
        self.look_at((row for row in rows if row is not None), ".[]" if array else "")
        self.rowless &= len(head) < BLOCK  # rows may follow
        return Place(0, 1)

    def _peek(self, head: bytes) -> Iterator[Element]:
        with contextlib.suppress(Broken):
            yield from self.elements(self.utf8(Head(head)))

    def _is_row(self, stack: list[Frame], token: bytes) -> bool:
        """Return whether the value that begins with ``token``, in the innermost open container, is a row."""
        if not stack:
            return token == b"{" and not self.holder
        return stack[-1].kind == b"[" and (stack[-1].name == self.holder if self.holder else len(stack) == 1)

    def elements(self, stream: Stream) -> Iterator[Element]:
        """Yield the elements; strings, brackets and commas show where they end."""
        cursor = _Cursor(stream, self.limit)
        stack: list[Frame] = []
        found, ended = not self.holder, False
        while token := cursor.token():
            if token not in CLOSING and token != b"," and self._is_row(stack, token):
                place = cursor.place()
                left = ended and token not in OPENING  # of an element that a stray bracket has ended
                data = cursor.left_over() if left else cursor.value(token)
                yield Element(place, data, cursor.problem, tuple(stack[-2].fields.values()) if self.holder else ())
                ended = True
                continue
            ended = False
            if token in OPENING:
                if len(stack) == 100:
                    cursor.broken("nested too deeply")
                stack.append(Frame(token, stack[-1].key if stack else b""))
                found |= stack[-1].name == self.holder
            elif token in CLOSING and (stack or cursor.faulty):
                if stack and token == CLOSED_BY[stack[-1].kind]:  # any other is left over from a broken element
                    stack.pop()
            elif stack:
                stack[-1].take(token)
            elif token not in (b",", codecs.BOM_UTF8):
                yield Element(cursor.place(), cursor.left_over("not JSON"), cursor.problem)
        missing = "" if found else f"not a {self.name} export: it has no key {self.holder.decode()}"
        if reason := "the document ends too early" if stack else stream.damage or missing:
            cursor.broken(reason)

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the elements."""
        for element in block.data:
            row, problem = ({}, element.problem) if element.problem else self.parse(element.data)
            if problem := problem or self.add_element(batch, row, element):
                shown = element.data.decode("utf-8", "backslashreplace")
                batch.rejects.append(Reject(element.start.line, element.start.offset, problem, shown))

    def add_element(self, batch: Batch, row: dict[str, Any], element: Element) -> str:
        """Add a parsed element as a row, or return what is wrong with it."""
        raw = element.data
        if b"\n" in raw or b"\r" in raw:  # most elements have none, and looking for `LINE_END` is slower
            raw = LINE_END.sub(b" ", raw)
        return self.add(batch, row, raw, element.start.line)


NAMES = (b'"id"', b'"name"')
"""The fields of an object that the rows in it may need."""


@dataclass
class Frame:
    """An open object or array: its opening bracket, the key whose value it is, and its fields in `NAMES` so far."""

    kind: bytes
    name: bytes
    fields: dict[bytes, bytes] = field(default_factory=lambda: dict.fromkeys(NAMES, b'""'))
    key: bytes = b""
    _last: bytes = b""

    def take(self, token: bytes) -> None:
        """Process a token that is not a bracket."""
        if token == b":":
            self.key = self._last
        elif token == b",":
            self.key = b""
        else:
            self._last = token
            if self.key in NAMES:
                self.fields[self.key] = token[:1000]


class _Cursor:
    """A position in a stream of JSON text, from which tokens and whole values are read.

    Attributes:
        problem: what is wrong with the last token or value. If it is too long, only its first bytes were returned.
        faulty: whether a value was no JSON, so that brackets may be missing or left over.

    """

    def __init__(self, stream: Stream, limit: int) -> None:
        self.problem = ""
        self.faulty = False
        self._stream = stream
        self._limit = limit
        self._buffer = b""
        self._base = 0
        self._line = 1
        self._at = self._start = self._counted = 0
        self._margin = b""
        """The line end and the indentation directly before the last token, if it begins a line."""
        self._value = b"", b""
        """The margin of the last value, and the bytes at which it begins."""
        self._patience = PATIENCE
        """How many values may still be read again from their second line on."""
        self._begin = Place(0, 1)
        """Where a token or value that is too long begins. The buffer may no longer contain it."""

    def place(self) -> Place:
        """Return where the last token begins."""
        return self._begin if self.problem else self._here()

    def _here(self) -> Place:
        self._line += self._buffer.count(b"\n", self._counted, self._start)
        self._counted = self._start
        return Place(self._base + self._start, self._line)

    def broken(self, reason: str, shown: bytes = b"") -> None:
        """Raise `Broken`, because the document cannot be read further after the last token.

        Args:
            reason: why, unless the source is damaged.
            shown: the first bytes of the rest if the buffer no longer contains them.

        """
        raise Broken(self.place(), self._stream.damage or reason, shown or self._buffer[self._start :])

    def token(self) -> bytes:
        """Return the next token; empty at the end."""
        self.problem = ""
        while True:
            match = TOKEN.search(self._buffer, self._at)
            # a word at the end of the buffer may continue
            if match and (token := match[2]) and (token[-1:] in b'[]{},:"' or match.end() < len(self._buffer)):
                self._margin = match[1] or b""
                self._start, self._at = match.span(2)
                return token
            # a margin may begin before the end of the buffer
            self._start = match.start(match.lastindex or 0) if match else max(self._at, len(self._buffer) - 100)
            if len(self._buffer) - self._start > self._limit:
                if match and match[3]:
                    return self._skip_value(0, match.end())
                self.broken(TOO_LONG)
            if not self._more():
                if match and match[3]:
                    self.broken("the document ends within a string")
                self._start, self._at = 0 if match else len(self._buffer), len(self._buffer)
                return match[2] if match else b""

    def value(self, token: bytes) -> bytes:
        """Return the whole value that begins with the last token. If it is no JSON, it may have any end."""
        if token not in OPENING:
            return token
        closing, at = [CLOSED_BY[token]], self._at - self._start
        while True:
            at, fault = self._scan(closing, at)
            self._value = self._margin, self._buffer[self._start : self._start + SHOWN]
            if fault:
                return self._broken_value(self._start + at)
            if not closing:
                self._at = self._start + at
                return self._buffer[self._start : self._at]
            too_long = len(self._buffer) - self._start > self._limit
            if too_long or not self._more():
                # an array that has no end seems to contain the elements after it
                end = self._start + self._limit
                if self._margin and self._patience and self._next_value().search(self._buffer, self._start, end):
                    self._patience -= 1
                    return self._broken_value(self._start)
                if too_long:
                    return self._skip_value(len(closing), self._start + at)
                self.broken("the document ends within an element")

    def left_over(self, reason: str = "") -> bytes:
        """Return what begins with the last token, which begins no value, up to where a value seems to begin.

        Args:
            reason: why the document is broken if no value before it was no JSON.

        """
        if reason and not self.faulty:
            self.broken(reason)
        return self._broken_value(self._at)

    def _scan(self, closing: list[bytes], at: int) -> tuple[int, bool]:
        """Read on in the value that begins with the last token, as far as the buffer and the limit allow.

        Args:
            closing: the closing brackets that are due, the outermost first; updated, and empty at the value's end.
            at: where to continue, from the beginning of the value.

        Returns:
            Where to continue from there, and whether something that is no JSON follows.

        """
        start = self._start
        for match in INNER.finditer(self._buffer, start + at):
            kind = match.lastindex or 0
            if kind == GAP_AFTER:
                at = match.start(GAP_AFTER) - start
                continue
            if kind == INCOMPLETE or match.end(kind) - start > self._limit:
                break
            bracket = match[BRACKET]
            if bracket not in OPENING:
                if kind == FAULT or closing.pop() != bracket:
                    return at, True
            elif match[COLON] or closing[-1] == b"]":
                closing.append(CLOSED_BY[bracket])
            else:  # in an object, where a key must be
                return at, True
            at = match.end(BRACKET) - start
            if not closing:
                break
        return at, False

    def _next_value(self) -> re.Pattern[bytes]:
        """Return a pattern that ends where a value like the last one, or the bracket after all of them, begins.

        Values that begin a line have the same indentation, perhaps after a comma, and what is within them has more.
        Others follow a bracket, and a comma in an array, and have the same first key.
        """
        margin, begin = self._value
        if margin:
            most = len(margin) - 1  # blanks and tabs
            comma = rb"\n[ \t]{0,%d},[ \t]{0,99}(?=\{)" % most
            return re.compile(rb"(?=%b\{|\n[ \t]{0,%d}\])|%b" % (margin, most, comma))
        key = FIRST_KEY.match(begin)
        return re.compile(rb"\}\s{0,99},?\s{0,99}(?=\{\s{0,99}%b)" % (re.escape(key[1]) if key else b'"'))

    def _broken_value(self, at: int, shown: bytes = b"") -> bytes:
        """Return what begins with the last token and is no JSON, or its first bytes, and skip it.

        Args:
            at: where to look for the next value in the buffer.
            shown: the first bytes of the value if the buffer no longer contains them.

        """
        self.faulty = True
        following = self._next_value()
        while not (match := following.search(self._buffer, at)):
            at = max(at, len(self._buffer) - LONGEST_GAP)
            if not shown and len(self._buffer) - self._start > self._limit:
                shown = self._mark("not JSON")
            if shown:
                self._start = at
            at -= self._start
            if not self._more():
                if match := LAST_BRACKET.search(self._buffer, at):
                    break
                self.broken("the document ends within an element", shown)
        self._at = match.end()
        if shown:
            self.problem = "not JSON"
        return shown or self._buffer[self._start : self._at].rstrip(b", \t\r\n")

    def _mark(self, problem: str) -> bytes:
        """Return the first bytes of the value that begins with the last token, and report its problem."""
        self._begin, self.problem = self._here(), problem
        return self._buffer[self._start : self._start + SHOWN]

    def _skip_value(self, depth: int, at: int) -> bytes:
        """Skip the value that begins with the last token, because it is too long, and return its first bytes.

        Args:
            depth: how many brackets are open at ``at``. If none is, ``at`` is within a string.
            at: where to continue in the buffer.

        """
        shown = self._mark(TOO_LONG)
        within = not depth
        while True:
            if within:
                at = WITHIN_STRING.match(self._buffer, at).end()  # type: ignore[union-attr] # may match nothing
                end = self._buffer[at : at + 1]
                if end == b"\n" and depth:
                    return self._broken_value(at, shown)
                within = end not in (b'"', b"\n")  # the buffer ends here, or with a backslash
                at += end == b'"'
            while depth and not within and (match := SKIPPED.search(self._buffer, at)):
                if match[0][-1:] == b"\n":
                    return self._broken_value(at, shown)
                at, within = match.end(), match[0] == b'"'
                depth += (match[0] in OPENING) - (match[0] in CLOSING)
            if not depth and not within:
                self._start = self._at = at
                return shown
            self._start = at if within else len(self._buffer)
            if not self._more():
                self.broken("the document ends within an element", shown)
            at = 0

    def _more(self) -> bool:
        """Read more bytes into the buffer, and discard those before the last token; return whether there were any."""
        data = self._stream.read(STEP)
        self._base = self._here().offset
        self._buffer, self._at = self._buffer[self._start :] + data, max(self._at - self._start, 0)
        self._start = self._counted = 0
        return bool(data)
