"""Readers of documents: JSON arrays here, chat exports in `chats`.

A document cannot be entered in the middle: to resume at a place, a reader reads and skips
everything before it. Elements are cut out one by one, so that neither a long document nor a
bomb in it fills the memory. An element that is too long is skipped and becomes one reject.
If a document is broken, everything from there on becomes one reject.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from fraudscan.dump.readers import BLOCK, SHOWN, TOO_LONG, JsonLinesReader, Reader
from fraudscan.dump.rows import Batch, Block, Place, Reject
from fraudscan.dump.sources import Head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fraudscan.dump.sources import Stream

__all__ = ["NAMES", "STEP", "Broken", "DocumentReader", "Element", "Frame", "JsonArrayReader"]

STEP = 1 << 16
"""Bytes of a document read at a time."""


class Element(NamedTuple):
    """One element of a document. If it has a ``problem``, ``data`` is the available part of it."""

    start: Place
    data: Any
    context: tuple[str, ...] = ()
    problem: str = ""


class Broken(Exception):  # noqa: N818 - says what the document is
    """A document cannot be read any further. The arguments are the place, the reason, and the available rest of it."""


@dataclass
class DocumentReader(Reader):
    """Reads one document with many elements."""

    seeks: ClassVar[bool] = False
    joins: ClassVar[bool] = False  # a line may have any number of elements

    def elements(self, stream: Stream) -> Iterator[Element]:
        """Yield the elements in order; raise `Broken` at the end of what can be read."""
        raise NotImplementedError

    def blocks(self, stream: Stream, start: Place) -> Iterator[Block]:
        """Yield the blocks that begin at ``start`` or later. The stream must be at its beginning."""
        elements = self.elements(self.utf8(stream))
        block: list[Element] = []
        end = Place(0, 1)
        while True:
            problem: tuple[Any, ...] = ()
            try:
                element = next(elements, None)
            except Broken as broken:
                element, problem = None, broken.args
            if element:
                block.append(element)
                end = Place(element.start.offset + 1, element.start.line)
                if end.offset - block[0].start.offset < min(BLOCK, self.limit):
                    continue
            if block and block[0].start >= start:
                yield Block(block[0].start, end, block)
            block = []
            if problem:
                at, reason, rest = problem
                at = max(at, end)
                if at >= start:
                    yield Block(at, Place(at.offset + 1, at.line), rest[:BLOCK], reason, fatal=True)
            if element is None:
                return

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
TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s"\[\]{},:]+|"', re.DOTALL)
LINE_END = re.compile(rb"(?<![ \t\r])[ \t\r]*[\n\r][ \t\r\n]*")
"""A line end in JSON, which is never within a string, and the indentation around it. Only the start of white space is
tried; otherwise a run of a million blanks would be scanned from each of them."""
BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]|"', re.DOTALL)
WITHIN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


@dataclass
class JsonArrayReader(DocumentReader, JsonLinesReader):
    """Reads an array of objects, or consecutive objects over several lines each."""

    name: ClassVar[str] = "json"
    holder: ClassVar[bytes] = b""
    """The key of arrays of rows, with its quotes; empty if they need none."""

    def prepare(self, stream: Stream) -> Place:
        """Find the columns in those elements of the first block that can be read."""
        rows = (self.parse(element.data)[0] for element in self._peek(stream))
        array = stream.peek(BLOCK).decode(self.encoding, "replace").lstrip("\ufeff \t\r\n").startswith("[")
        self.look_at((row for row in rows if row is not None), ".[]" if array else "")
        return Place(0, 1)

    def _peek(self, stream: Stream) -> Iterator[Element]:
        try:
            yield from self.elements(self.utf8(Head(stream.peek(BLOCK))))
        except Broken:
            return

    def wanted(self, stack: list[Frame], token: bytes) -> bool:
        """Return whether the value that begins with ``token``, in the innermost open container, is a row."""
        if not stack:
            return token == b"{"
        return len(stack) == 1 and stack[0].kind == b"["

    def context(self, stack: list[Frame]) -> tuple[str, ...]:  # noqa: ARG002 - subclasses use it
        """Return what all elements of the container on top of the stack have in common."""
        return ()

    def elements(self, stream: Stream) -> Iterator[Element]:
        """Yield the elements; strings, brackets and commas show where they end."""
        cursor = _Cursor(stream, self.limit)
        stack: list[Frame] = []
        found = not self.holder
        while token := cursor.token():
            if token not in CLOSING and token != b"," and self.wanted(stack, token):
                yield Element(cursor.place(), cursor.value(token), self.context(stack), cursor.problem)
            elif token in OPENING:
                if len(stack) == 100:
                    cursor.broken("nested too deeply")
                stack.append(Frame(token, stack[-1].key if stack else b""))
                found |= stack[-1].name == self.holder
            elif token in CLOSING and stack:
                stack.pop()
            elif stack:
                stack[-1].take(token)
            elif token not in (b",", codecs.BOM_UTF8):
                cursor.broken("not JSON")
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
        return self.add(batch, row, LINE_END.sub(b" ", element.data), element.start.line)


NAMES = (b'"id"', b'"name"')
"""The fields of an object that the rows in it may need."""


@dataclass
class Frame:
    """An open object or array: its opening bracket, the key whose value it is, and its fields in `NAMES` so far."""

    kind: bytes
    name: bytes
    fields: dict[bytes, bytes] = field(default_factory=dict)
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

    """

    def __init__(self, stream: Stream, limit: int) -> None:
        self.problem = ""
        self._stream = stream
        self._limit = limit
        self._buffer = b""
        self._base = 0
        self._line = 1
        self._at = self._start = self._counted = 0
        self._begin = Place(0, 1)
        """Where a token or value that is too long begins. The buffer may no longer contain it."""

    def place(self) -> Place:
        """Return where the last token begins."""
        return self._begin if self.problem else self._here()

    def _here(self) -> Place:
        self._line += self._buffer.count(b"\n", self._counted, self._start)
        self._counted = self._start
        return Place(self._base + self._start, self._line)

    def broken(self, reason: str) -> None:
        """Raise `Broken`, because the document cannot be read further after the last token."""
        raise Broken(self.place(), self._stream.damage or reason, self._buffer[self._start :])

    def token(self) -> bytes:
        """Return the next token; empty at the end."""
        self.problem = ""
        while True:
            match = TOKEN.search(self._buffer, self._at)
            # a word at the end of the buffer may continue, and a quote alone begins a string that does continue
            if match and match[0] != b'"' and (match[0][-1:] in b'[]{},:"' or match.end() < len(self._buffer)):
                self._start, self._at = match.span()
                return match[0]
            self._start = match.start() if match else len(self._buffer)
            if len(self._buffer) - self._start > self._limit:
                if match and match[0] == b'"':
                    return self._skip_value(0, match.end())
                self.broken(TOO_LONG)
            if not self._more():
                if match and match[0] == b'"':
                    self.broken("the document ends within a string")
                if match:
                    self._at = len(match[0])  # the buffer begins with it now
                return match[0] if match else b""

    def value(self, token: bytes) -> bytes:
        """Return the whole value that begins with the last token."""
        if token not in OPENING:
            return token
        depth, at = 1, self._at - self._start
        while True:
            for match in BRACKET.finditer(self._buffer, self._start + at):
                found = match[0]
                if found in OPENING:
                    depth += 1
                elif found in CLOSING:
                    depth -= 1
                    if not depth:
                        self._at = match.end()
                        too_long = self._at - self._start > self._limit
                        return self._mark_too_long() if too_long else self._buffer[self._start : self._at]
                elif found == b'"':
                    break
                at = match.end() - self._start
            if len(self._buffer) - self._start > self._limit:
                return self._skip_value(depth, self._start + at)
            if not self._more():
                self.broken("the document ends within an element")

    def _mark_too_long(self) -> bytes:
        """Return the first bytes of the value that begins with the last token, and report it as too long."""
        self._begin, self.problem = self._here(), TOO_LONG
        return self._buffer[self._start : self._start + SHOWN]

    def _skip_value(self, depth: int, at: int) -> bytes:
        """Skip the value that begins with the last token, because it is too long, and return its first bytes.

        Args:
            depth: how many brackets are open at ``at``. If none is, ``at`` is within a string.
            at: where to continue in the buffer.

        """
        shown = self._mark_too_long()
        within = not depth
        while True:
            if within:
                at = WITHIN_STRING.match(self._buffer, at).end()  # type: ignore[union-attr] # may match nothing
                within = self._buffer[at : at + 1] != b'"'  # the buffer ends here, or with a backslash
                at += not within
            while depth and not within and (match := BRACKET.search(self._buffer, at)):
                at, within = match.end(), match[0] == b'"'
                depth += (match[0] in OPENING) - (match[0] in CLOSING)
            if not depth and not within:
                self._start = self._at = at
                return shown
            self._start = at if within else len(self._buffer)
            if not self._more():
                raise Broken(self._begin, self._stream.damage or "the document ends within an element", shown)
            at = 0

    def _more(self) -> bool:
        """Read more bytes into the buffer, and discard those before the last token; return whether there were any."""
        data = self._stream.read(STEP)
        self._base = self._here().offset
        self._buffer, self._at = self._buffer[self._start :] + data, max(self._at - self._start, 0)
        self._start = self._counted = 0
        return bool(data)
