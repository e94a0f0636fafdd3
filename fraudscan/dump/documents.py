"""Readers of documents: JSON arrays here, chat exports in `chats`.

A document cannot be entered in its middle: to go on at a place, all before it is read
again and passed over. Its elements are cut out one by one, so that neither a document's
length nor a bomb in it fills the memory; where it is broken, what follows is one reject.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from fraudscan.dump.readers import BLOCK, TOO_LONG, JsonLinesReader, Reader
from fraudscan.dump.rows import Batch, Block, Place, Reject
from fraudscan.dump.sources import Head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fraudscan.dump.sources import Stream

__all__ = ["STEP", "Broken", "DocumentReader", "Element", "Frame", "JsonArrayReader"]

STEP = 1 << 16
"""Bytes of a document looked at together."""


class Element(NamedTuple):
    """One element of a document."""

    start: Place
    data: Any
    context: tuple[str, ...] = ()


class Broken(Exception):  # noqa: N818 - says what the document is
    """A document that cannot be read on; its arguments are the place, the reason, and what there is of the rest."""


@dataclass
class DocumentReader(Reader):
    """One document with many elements."""

    seeks: ClassVar[bool] = False

    def elements(self, stream: Stream) -> Iterator[Element]:
        """Yield the elements in order; raise `Broken` at the end of what can be read."""
        raise NotImplementedError

    def blocks(self, stream: Stream, start: Place) -> Iterator[Block]:
        """Yield the blocks that begin at ``start`` or later. The stream stands at its beginning."""
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
        """Return the stream as one of UTF-8: the syntax of documents is looked for in their bytes."""
        return stream if self.encoding == "utf-8" else _Transcoded(stream, self.encoding)


class _Transcoded:
    """A stream in UTF-8. What cannot be decoded becomes a surrogate, which no reader of UTF-8 lets pass."""

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
"""A line end in JSON, with the indents around it: never within a string. It is looked for where white space begins and
nowhere else, or a million blanks would be gone through from each of them."""
BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]|"', re.DOTALL)


@dataclass
class JsonArrayReader(DocumentReader, JsonLinesReader):
    """An array of objects, or objects one after the other that take several lines each."""

    name: ClassVar[str] = "json"
    holder: ClassVar[bytes] = b""
    """How arrays of rows are called, with quotes; nothing where they need no name."""

    def prepare(self, stream: Stream) -> Place:
        """Find the columns in the elements of the first block that can be read."""
        rows = (self.parse(element.data)[0] for element in self._peek(stream))
        self.find(row for row in rows if row is not None)
        return Place(0, 1)

    def _peek(self, stream: Stream) -> Iterator[Element]:
        try:
            yield from self.elements(self.utf8(Head(stream.peek(BLOCK))))
        except Broken:
            return

    def wanted(self, stack: list[Frame], token: bytes) -> bool:
        """Return whether the value that ``token`` begins, in the innermost of the open containers, is a row."""
        return len(stack) == 1 and stack[0].kind == b"[" if stack else token == b"{"

    def context(self, stack: list[Frame]) -> tuple[str, ...]:  # noqa: ARG002 - others have some
        """Return what the elements of the container on top of the stack have in common."""
        return ()

    def elements(self, stream: Stream) -> Iterator[Element]:
        """Yield the elements; strings, brackets and commas tell where they end."""
        cursor = _Cursor(stream, self.limit)
        stack: list[Frame] = []
        held = not self.holder
        while token := cursor.token():
            if token not in CLOSING and token != b"," and self.wanted(stack, token):
                yield Element(cursor.place(), cursor.value(token), self.context(stack))
            elif token in OPENING:
                if len(stack) == 100:
                    cursor.broken("nested too deeply")
                stack.append(Frame(token, stack[-1].key if stack else b""))
                held |= stack[-1].name == self.holder
            elif token in CLOSING and stack:
                stack.pop()
            elif stack:
                stack[-1].take(token)
            elif token not in (b",", codecs.BOM_UTF8):
                cursor.broken("not JSON")
        missing = "" if held else f"no {self.name} export: nothing in it is called {self.holder.decode()}"
        if reason := "the document ends too early" if stack else stream.damage or missing:
            cursor.broken(reason)

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the elements."""
        for element in block.data:
            row, problem = self.parse(element.data)
            if row is not None:
                raw = LINE_END.sub(b" ", element.data)
                problem = self.row(batch, row, raw, element)
            if problem:
                shown = element.data.decode("utf-8", "backslashreplace")
                batch.rejects.append(Reject(element.start.line, element.start.offset, problem, shown))

    def row(self, batch: Batch, row: dict[str, Any], raw: bytes, element: Element) -> str:
        """Add a row, or return what is wrong with it."""
        return self.add(batch, row, raw, element.start.line)


@dataclass
class Frame:
    """An open object or array: what opened it, the key it is the value of, and its plain fields so far."""

    kind: bytes
    name: bytes
    fields: dict[bytes, bytes] = field(default_factory=dict)
    key: bytes = b""
    _last: bytes = b""

    def take(self, token: bytes) -> None:
        """Take in a token that opens and closes nothing."""
        if token == b":":
            self.key = self._last
        elif token == b",":
            self.key = b""
        else:
            self._last = token
            if self.key:
                self.fields[self.key] = token[:1000]


class _Cursor:
    """A place in a stream of JSON text, from which tokens and whole values are taken."""

    def __init__(self, stream: Stream, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._held = b""
        self._base = 0
        self._line = 1
        self._at = self._start = self._counted = 0

    def place(self) -> Place:
        """Return where the last token begins."""
        self._line += self._held.count(b"\n", self._counted, self._start)
        self._counted = self._start
        return Place(self._base + self._start, self._line)

    def broken(self, reason: str) -> None:
        """Say that the document cannot be read on after the last token."""
        raise Broken(self.place(), self._stream.damage or reason, self._held[self._start :])

    def token(self) -> bytes:
        """Return the next token; nothing at the end."""
        while True:
            match = TOKEN.search(self._held, self._at)
            # a string or word at the end of what is held may go on
            if match and (match[0] in b"[]{},:" or (match[0] != b'"' and match.end() < len(self._held))):
                self._start, self._at = match.span()
                return match[0]
            self._start = match.start() if match else len(self._held)
            if len(self._held) - self._start > self._limit:
                self.broken(TOO_LONG)
            if not self._more():
                if match and match[0] == b'"':
                    self.broken("the document ends within a string")
                if match:
                    self._at = len(match[0])  # what is held begins with it now
                return match[0] if match else b""

    def value(self, token: bytes) -> bytes:
        """Return the whole value that the last token begins."""
        if token not in OPENING:
            return token
        depth, at = 1, self._at - self._start
        while True:
            for match in BRACKET.finditer(self._held, self._start + at):
                found = match[0]
                if found in OPENING:
                    depth += 1
                elif found in CLOSING:
                    depth -= 1
                    if not depth:
                        self._at = match.end()
                        return self._held[self._start : self._at]
                elif found == b'"':
                    break
                at = match.end() - self._start
            if len(self._held) - self._start > self._limit:
                self.broken(TOO_LONG)
            if not self._more():
                self.broken("the document ends within an element")

    def _more(self) -> bool:
        """Read on; what lies before the last token is given up."""
        data = self._stream.read(STEP)
        self._base = self.place().offset
        self._held, self._at = self._held[self._start :] + data, max(self._at - self._start, 0)
        self._start = self._counted = 0
        return bool(data)
