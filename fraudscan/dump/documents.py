"""Readers of documents: JSON arrays here, chat exports in `chats`.

A document cannot be entered in its middle: to go on at a place, all before it is read
again and passed over. Its elements are cut out one by one, so that neither a document's
length nor a bomb in it fills the memory. One that is too long is passed over, and is one
reject; where a document is broken, all that follows is one.
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
"""Bytes of a document looked at together."""


class Element(NamedTuple):
    """One element of a document; of one with a ``problem``, ``data`` is what there is of it."""

    start: Place
    data: Any
    context: tuple[str, ...] = ()
    problem: str = ""


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
    """A stream in UTF-8. What cannot be decoded becomes a surrogate, which no reader of UTF-8 lets pass.

    Places in it are not those in the source: nothing remembers how long each character was there.
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
"""A line end in JSON, with the indents around it: never within a string. It is looked for where white space begins and
nowhere else, or a million blanks would be gone through from each of them."""
BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]|"', re.DOTALL)
WITHIN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


@dataclass
class JsonArrayReader(DocumentReader, JsonLinesReader):
    """An array of objects, or objects one after the other that take several lines each."""

    name: ClassVar[str] = "json"
    holder: ClassVar[bytes] = b""
    """How arrays of rows are called, with quotes; nothing where they need no name."""

    def prepare(self, stream: Stream) -> Place:
        """Find the columns in the elements of the first block that can be read."""
        rows = (self.parse(element.data)[0] for element in self._peek(stream))
        array = stream.peek(BLOCK).decode(self.encoding, "replace").lstrip("\ufeff \t\r\n").startswith("[")
        self.find((row for row in rows if row is not None), ".[]" if array else "")
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
                yield Element(cursor.place(), cursor.value(token), self.context(stack), cursor.problem)
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
            row, problem = (None, element.problem) if element.problem else self.parse(element.data)
            if row is not None:
                raw = LINE_END.sub(b" ", element.data)
                problem = self.row(batch, row, raw, element)
            if problem:
                shown = element.data.decode("utf-8", "backslashreplace")
                batch.rejects.append(Reject(element.start.line, element.start.offset, problem, shown))

    def row(self, batch: Batch, row: dict[str, Any], raw: bytes, element: Element) -> str:
        """Add a row, or return what is wrong with it."""
        return self.add(batch, row, raw, element.start.line)


NAMES = (b'"id"', b'"name"')
"""The fields of an object that rows within it may need."""


@dataclass
class Frame:
    """An open object or array: what opened it, the key it is the value of, and those of `NAMES` it has so far."""

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
            if self.key in NAMES:
                self.fields[self.key] = token[:1000]


class _Cursor:
    """A place in a stream of JSON text, from which tokens and whole values are taken.

    Attributes:
        problem: what is wrong with the last token or value; of one that is too long, the first bytes are returned.

    """

    def __init__(self, stream: Stream, limit: int) -> None:
        self.problem = ""
        self._stream = stream
        self._limit = limit
        self._held = b""
        self._base = 0
        self._line = 1
        self._at = self._start = self._counted = 0
        self._begin = Place(0, 1)
        """Where what is too long begins: it may have been passed over."""

    def place(self) -> Place:
        """Return where the last token begins."""
        return self._begin if self.problem else self._here()

    def _here(self) -> Place:
        self._line += self._held.count(b"\n", self._counted, self._start)
        self._counted = self._start
        return Place(self._base + self._start, self._line)

    def broken(self, reason: str) -> None:
        """Say that the document cannot be read on after the last token."""
        raise Broken(self.place(), self._stream.damage or reason, self._held[self._start :])

    def token(self) -> bytes:
        """Return the next token; nothing at the end."""
        self.problem = ""
        while True:
            match = TOKEN.search(self._held, self._at)
            # a word at the end of what is held may go on, as a string that is a quote alone does
            if match and match[0] != b'"' and (match[0][-1:] in b'[]{},:"' or match.end() < len(self._held)):
                self._start, self._at = match.span()
                return match[0]
            self._start = match.start() if match else len(self._held)
            if len(self._held) - self._start > self._limit:
                if match and match[0] == b'"':
                    return self._pass_over(0, match.end())
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
                        too_long = self._at - self._start > self._limit
                        return self._shown() if too_long else self._held[self._start : self._at]
                elif found == b'"':
                    break
                at = match.end() - self._start
            if len(self._held) - self._start > self._limit:
                return self._pass_over(depth, self._start + at)
            if not self._more():
                self.broken("the document ends within an element")

    def _shown(self) -> bytes:
        """Return the first bytes of what the last token begins, and say that it is too long."""
        self._begin, self.problem = self._here(), TOO_LONG
        return self._held[self._start : self._start + SHOWN]

    def _pass_over(self, depth: int, at: int) -> bytes:
        """Return the first bytes of what the last token begins, which is too long, and go behind its end.

        Args:
            depth: how many brackets are open at ``at``; with none, it is within a string.
            at: where to go on in what is held.

        """
        shown = self._shown()
        within = not depth
        while True:
            if within:
                at = WITHIN_STRING.match(self._held, at).end()  # type: ignore[union-attr] # which may be nothing
                within = self._held[at : at + 1] != b'"'  # nothing, or a backslash, follows what is held of the string
                at += not within
            while depth and not within and (match := BRACKET.search(self._held, at)):
                at, within = match.end(), match[0] == b'"'
                depth += (match[0] in OPENING) - (match[0] in CLOSING)
            if not depth and not within:
                self._start = self._at = at
                return shown
            self._start = at if within else len(self._held)
            if not self._more():
                raise Broken(self._begin, self._stream.damage or "the document ends within an element", shown)
            at = 0

    def _more(self) -> bool:
        """Read on; what lies before the last token is given up."""
        data = self._stream.read(STEP)
        self._base = self._here().offset
        self._held, self._at = self._held[self._start :] + data, max(self._at - self._start, 0)
        self._start = self._counted = 0
        return bool(data)
