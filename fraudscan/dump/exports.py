"""Readers of exports that are one document: JSON arrays, Telegram Desktop, SMS Backup & Restore; and WhatsApp.

A document cannot be entered in its middle: to go on at a place, all before it is read
again and passed over. Its elements are cut out one by one, so that neither a document's
length nor a bomb in it fills the memory; where it is broken, what follows is one reject.

Chat exports get the columns ``conversation``, ``sender``, ``time`` and ``text`` before
their own, as JSON objects.
"""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from xml.parsers import expat  # noqa: S407 - entities and document types are refused by the handlers below

from fraudscan.dump.encodings import cut_lines
from fraudscan.dump.readers import BLOCK, JsonLinesReader, Reader, dump_json
from fraudscan.dump.rows import Batch, Block, Place, Reject
from fraudscan.dump.sources import Head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fraudscan.dump.sources import Stream

__all__ = ["JsonArrayReader", "SmsXmlReader", "TelegramReader", "WhatsAppReader"]

STEP = 1 << 16
"""Bytes of a document looked at together."""

CHAT_COLUMNS = ["conversation", "sender", "time", "text"]


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


TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s"\[\]{},:]+|"', re.DOTALL)
LINE_END = re.compile(rb"[ \t\r]*[\n\r][ \t\r\n]*")
"""A line end in JSON, with the indents around it: never within a string."""
BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]|"', re.DOTALL)


@dataclass
class JsonArrayReader(DocumentReader, JsonLinesReader):
    """An array of objects, or objects one after the other that take several lines each."""

    name: ClassVar[str] = "json"

    def prepare(self, stream: Stream) -> Place:
        """Find the text column in the first element that can be read."""
        for element in self._peek(stream):
            row, _ = self.parse(element.data)
            if row is not None:
                self.find(list(row))
                break
        return Place(0, 1)

    def _peek(self, stream: Stream) -> Iterator[Element]:
        try:
            yield from self.elements(self.utf8(Head(stream.peek(BLOCK))))
        except Broken:
            return

    def wanted(self, stack: list[_Frame]) -> bool:
        """Return whether the elements of the container on top of the stack are rows."""
        return len(stack) == 1 and stack[0].kind == b"["

    def context(self, stack: list[_Frame]) -> tuple[str, ...]:  # noqa: ARG002 - others have some
        """Return what the elements of the container on top of the stack have in common."""
        return ()

    def elements(self, stream: Stream) -> Iterator[Element]:
        """Yield the elements; strings, brackets and commas tell where they end."""
        cursor = _Cursor(stream, self.limit)
        stack: list[_Frame] = []
        inside = False
        while token := cursor.token():
            top = stack[-1] if stack else None
            if inside and token not in b",]":
                start = cursor.place()
                context = self.context(stack)
                yield Element(start, cursor.value(token), context)
            elif token in (b"{", b"["):
                if top is None and not inside and token == b"{" and self.name == "json":
                    start = cursor.place()
                    yield Element(start, cursor.value(token))
                    continue
                stack.append(_Frame(token, top.key if top else b"", {}))
                if len(stack) > 100:
                    cursor.broken("nested too deeply")
                inside = self.wanted(stack)
            elif token in (b"}", b"]"):
                if not stack:
                    cursor.broken("more brackets are closed than opened")
                stack.pop()
                inside = False
            elif top is None:
                if token != b"," and token != b"\xef\xbb\xbf":
                    cursor.broken("not JSON")
            elif token == b":":
                top.key, top.last = top.last, b""
            elif token == b",":
                top.key = b""
            else:
                top.last = token
                if top.key:
                    top.fields[top.key] = token[:1000]
        if stack:
            cursor.broken("the document ends too early")
        if stream.damage:
            cursor.broken(stream.damage)

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
class _Frame:
    """An open object or array: what opened it, the key it is the value of, and its plain fields so far."""

    kind: bytes
    parent_key: bytes
    fields: dict[bytes, bytes]
    key: bytes = b""
    last: bytes = b""


class _Cursor:
    """A place in a stream of JSON text, from which tokens and whole values are taken."""

    def __init__(self, stream: Stream, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._held = b""
        self._base = Place(0, 1)
        self._at = self._start = 0

    def place(self) -> Place:
        """Return where the last token begins."""
        return Place(self._base.offset + self._start, self._base.line + self._held.count(b"\n", 0, self._start))

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
                self.broken("longer than --max-message")
            if not self._more():
                if match and match[0] == b'"':
                    self.broken("the document ends within a string")
                if match:
                    self._start, self._at = match.span()
                return match[0] if match else b""

    def value(self, token: bytes) -> bytes:
        """Return the whole value that the last token begins."""
        if token not in (b"{", b"["):
            return token
        depth, at = 1, self._at - self._start
        while True:
            for match in BRACKET.finditer(self._held, self._start + at):
                found = match[0]
                if found in (b"{", b"["):
                    depth += 1
                elif found in (b"}", b"]"):
                    depth -= 1
                    if not depth:
                        self._at = match.end()
                        return self._held[self._start : self._at]
                elif found == b'"':
                    break
                at = match.end() - self._start
            if len(self._held) - self._start > self._limit:
                self.broken("longer than --max-message")
            if not self._more():
                self.broken("the document ends within an element")

    def _more(self) -> bool:
        """Read on; what lies before the last token is given up."""
        data = self._stream.read(STEP)
        self._base, self._at = self.place(), self._at - self._start
        self._held, self._start = self._held[self._start :] + data, 0
        self._at = max(self._at, 0)
        return bool(data)


def _json_text(token: bytes) -> str:
    """Return a scalar of JSON as a text."""
    try:
        value = json.loads(token.decode())
    except ValueError:
        return ""
    return value if isinstance(value, str) else "" if value is None else str(value)


@dataclass
class TelegramReader(JsonArrayReader):
    """Telegram Desktop's ``result.json``: of one chat, or of all."""

    name: ClassVar[str] = "telegram"

    def prepare(self, stream: Stream) -> Place:  # noqa: ARG002 - all exports have the same columns
        """Say which columns there are."""
        self.find([*CHAT_COLUMNS, "conversation_name", "id", "type", "from_id"])
        return Place(0, 1)

    def wanted(self, stack: list[_Frame]) -> bool:
        """Rows are in the arrays that are called ``messages``."""
        return stack[-1].kind == b"[" and stack[-1].parent_key == b'"messages"'

    def context(self, stack: list[_Frame]) -> tuple[str, ...]:
        """Return the chat's number and name, which stand before its messages."""
        fields = stack[-2].fields if len(stack) > 1 else {}
        return tuple(_json_text(fields.get(key, b'""')) for key in (b'"id"', b'"name"'))

    def row(self, batch: Batch, row: dict[str, Any], raw: bytes, element: Element) -> str:  # noqa: ARG002
        """Add a message; its text may be a list of plain and marked parts."""
        if row.get("type", "message") != "message":
            return "a notice by Telegram itself"
        parts = row.get("text")
        parts = parts if isinstance(parts, list) else [parts]
        texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
        text = "".join(part for part in texts if isinstance(part, str))
        if not text and not any(isinstance(part, str) for part in texts):
            return "'text' is missing"
        chat, name = element.context or ("", "")
        ours = {"conversation": chat or name, "sender": row.get("from"), "time": row.get("date"), "text": text}
        row = {**ours, "conversation_name": name, **{key: value for key, value in row.items() if key not in ours}}
        return self.add(batch, row, dump_json(row), element.start.line)


PAIR = re.compile(rb"&#(5[56]\d{3});&#(5[67]\d{3});")
BAD_REFERENCE = re.compile(rb"&#(?:5[5-7]\d{3}|[0-8]|1[124-9]|2\d|3[01]|x[dD][89a-fA-F][0-9a-fA-F]{2});")


def _mend(data: bytes) -> bytes:
    """Return XML with the app's surrogate pairs as one character, and references to what XML forbids as ``?``.

    The app writes an emoji as two references to surrogates, which no XML may hold. Sizes stay what they are.

    >>> _mend(b"&#55357;&#56832;"), _mend(b"&#0;&#55357;")
    (b'&#0000000128512;', b'????????????')

    """

    def join(match: re.Match[bytes]) -> bytes:
        high, low = int(match[1]), int(match[2])
        if not (0xD800 <= high < 0xDC00 <= low < 0xE000):
            return match[0]
        return b"&#%013d;" % (0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)

    return BAD_REFERENCE.sub(lambda match: b"?" * len(match[0]), PAIR.sub(join, data))


@dataclass
class SmsXmlReader(DocumentReader, JsonLinesReader):
    """Android's "SMS Backup & Restore": the sms and mms elements of ``smses``."""

    name: ClassVar[str] = "sms-xml"

    def prepare(self, stream: Stream) -> Place:  # noqa: ARG002 - all exports have the same columns
        """Say which columns there are."""
        self.find([*CHAT_COLUMNS, "kind", "address", "date", "type", "contact_name"])
        return Place(0, 1)

    def elements(self, stream: Stream) -> Iterator[Element]:
        """Yield the attributes of each message, of an mms with its parts' texts."""
        parser = _XmlMessages()
        held = b""
        offset = 0
        while True:
            data = stream.read(STEP)
            held += data
            cut = _safe_cut(held) if data else len(held)
            try:
                parser.feed(_mend(held[:cut]), final=not data)
            except (expat.ExpatError, ValueError) as error:
                yield from parser.take()
                at = parser.place()
                rest = held[max(0, at.offset - offset) :]
                raise Broken(at, stream.damage or f"not XML: {error}", rest) from None
            yield from parser.take()
            if not data:
                break
            offset += cut
            held = held[cut:]
            if offset - parser.last > self.limit + STEP:
                raise Broken(parser.place(), "longer than --max-message", held)
        if stream.damage:
            raise Broken(parser.place(), stream.damage, b"")

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the messages."""
        for element in block.data:
            row = _sms_row(element.data)
            problem = "'body' is missing" if row["text"] is None else ""
            problem = problem or self.add(batch, row, dump_json(row), element.start.line)
            if problem:
                raw = json.dumps(element.data, ensure_ascii=False)
                batch.rejects.append(Reject(element.start.line, element.start.offset, problem, raw))


def _sms_row(attributes: dict[str, str]) -> dict[str, Any]:
    """Return a message as a row: type 1 was received, others were sent from the phone."""
    sent = attributes.get("msg_box" if attributes["kind"] == "mms" else "type") != "1"
    try:
        time = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=int(attributes.get("date", "")))
        moment = time.isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        moment = None
    address = attributes.get("address") or None
    ours = {
        "conversation": address,
        "sender": "me" if sent else address,
        "time": moment,
        "text": attributes.get("body"),
    }
    return {**ours, **{key: value for key, value in attributes.items() if key not in ours and key != "body"}}


def _safe_cut(data: bytes) -> int:
    """Return where XML can be cut so that no reference, and no pair of them, is in both parts."""
    cut = data.find(b"&", max(0, len(data) - 16))
    if cut < 0:
        return len(data)
    return cut - 8 if re.match(rb"&#5[56]\d{3};", data[max(0, cut - 8) : cut]) else cut


class _XmlMessages:
    """Messages out of XML that is fed piece by piece."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = False
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse
        self._found: list[Element] = []
        self._open: tuple[str, Place, dict[str, str]] | None = None
        self._root = ""
        self.last = 0
        """Where the last element began or ended."""

    def feed(self, data: bytes, *, final: bool) -> None:
        self._parser.Parse(data, final)

    def take(self) -> list[Element]:
        found, self._found = self._found, []
        return found

    def place(self) -> Place:
        return Place(max(self._parser.CurrentByteIndex, 0), self._parser.CurrentLineNumber)

    def _refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type or entities, which no export does")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.last = self._parser.CurrentByteIndex
        self._root = self._root or name
        if self._root != "smses":
            raise ValueError(f"its root is {name!r}, not 'smses'")
        if name in ("sms", "mms"):
            self._open = name, self.place(), {"kind": name, **attributes}
        elif name == "part" and self._open and attributes.get("ct") == "text/plain":
            fields = self._open[2]
            fields["body"] = "\n".join(filter(None, [fields.get("body"), attributes.get("text")]))

    def _end(self, name: str) -> None:
        self.last = self._parser.CurrentByteIndex
        if self._open and name == self._open[0]:
            self._found.append(Element(self._open[1], self._open[2]))
            self._open = None


DATE = r"\[?\d{1,4}[./年-]\d{1,2}[./月-]\d{1,4}日?,?[ \u202f]+(?:[上下]午|凌晨|早上|中午|晚上)?\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[ \u202f]?[AaPp]\.?[Mm]\.?)?\]?"
WHATSAPP_START = re.compile(rf"[\u200e\u200f\ufeff]*({DATE})(?: [-–])? ")
WHATSAPP = re.compile(rf"[\u200e\u200f\ufeff]*({DATE})(?: [-–])? ([^:：\n]{{1,100}}?)[:：] (.*)", re.DOTALL)
CHAT_NAME = re.compile(r"^(?:WhatsApp Chat (?:with|-) |与|與|和)?(.+?)(?:的 ?WhatsApp ?(?:聊天|對話|对话).*)?$")


@dataclass
class WhatsAppReader(Reader):
    """WhatsApp's text export: a message goes on until the next line that begins with a date."""

    name: ClassVar[str] = "whatsapp"

    def prepare(self, stream: Stream) -> Place:
        """Say which columns there are."""
        self.header = CHAT_COLUMNS
        self.find(self.header)
        return super().prepare(stream)

    @property
    def conversation(self) -> str:
        """The other side's name, which stands in the file's."""
        name = PurePath(self.source).name.split(".")[0] if self.source != "-" else "-"
        match = CHAT_NAME.match(name)
        return match[1] if match else name

    def _starts(self, lines: list[bytes]) -> list[int]:
        return [i for i, line in enumerate(lines) if WHATSAPP_START.match(line[:200].decode(self.encoding, "replace"))]

    def cut(self, held: bytes, *, final: bool) -> int:
        """Cut before the last message, which may go on."""
        if final:
            return len(held)
        lines = cut_lines(held, self.encoding)
        last = max(self._starts(lines[:-1]), default=0)  # whether the line without its end is a start is not known
        return sum(map(len, lines[:last])) + last * len("\n".encode(self.encoding))

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the messages; lines before the first one are rejects."""
        lines = cut_lines(block.data, self.encoding)
        starts = self._starts(lines)
        if not starts or starts[0] > 0:
            starts.insert(0, 0)
        for begin, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            try:
                message = "\n".join(line.decode(self.encoding) for line in lines[begin:end])
            except UnicodeDecodeError:
                batch.rejects.append(self.reject(block, lines, begin, end, self.not_encoded))
                continue
            match = WHATSAPP.match(message.replace("\r\n", "\n").rstrip("\r\n"))
            if match:
                row = [self.conversation, match[2], match[1].strip("[]"), match[3]]
                batch.texts.append(row[CHAT_COLUMNS.index(self.text or "text")])
                batch.raws.append(row)
                if self.by is not None:
                    batch.keys.append(row[CHAT_COLUMNS.index(self.by)] or None)
                    batch.lines.append(block.start.line + begin)
            elif message.strip():
                reason = "no sender: a notice by WhatsApp itself"
                if not WHATSAPP_START.match(message):
                    reason = "no message begins here"
                batch.rejects.append(self.reject(block, lines, begin, end, reason))
