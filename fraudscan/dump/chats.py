"""Readers of chat exports that are documents: Telegram Desktop and Android's SMS Backup & Restore.

Rows have the columns ``conversation``, ``sender``, ``time`` and ``text``, followed by those of the export.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar
from xml.parsers import expat

from fraudscan.dump.documents import STEP, Broken, DocumentReader, Element, JsonArrayReader
from fraudscan.dump.jsontext import DEPTH, dump_json
from fraudscan.dump.readers import BLOCK, SHOWN, TOO_LONG, JsonLinesReader, key_of, no_text
from fraudscan.dump.rows import Batch, Block, Place, Reject
from fraudscan.lists import COUNTRY_CODE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fraudscan.dump.streams import Stream

__all__ = ["CHAT_COLUMNS", "SmsXmlReader", "TelegramReader"]

CHAT_COLUMNS = ["conversation", "sender", "time", "text"]


def _json_text(token: bytes) -> str:
    """Return a JSON scalar as text."""
    try:
        value = json.loads(token.decode())
    except ValueError:
        return ""
    return value if isinstance(value, str) else "" if value is None else str(value)


@dataclass
class TelegramReader(JsonArrayReader):
    """Reads Telegram Desktop's ``result.json``, the export of one chat or of all chats."""

    name: ClassVar[str] = "telegram"
    naming: ClassVar[str] = "conversation_name"
    whole: ClassVar[bool] = True
    holder: ClassVar[bytes] = b'"messages"'

    def prepare(self, stream: Stream) -> Place:  # noqa: ARG002 - all exports have the same columns
        """Set the columns, and return where the rows begin."""
        self.find([[*CHAT_COLUMNS, "conversation_name", "id", "type", "from_id"]])
        return Place(0, 1)

    def add_element(self, batch: Batch, row: dict[str, Any], element: Element) -> str:
        """Add a message; its text may be a list of plain and formatted parts."""
        if (kind := row.get("type", "message")) != "message":
            return "a notice by Telegram itself" if kind == "service" else "'type' is not 'message'"
        if (text := _joined(row.get("text"))) is None:
            return f"{no_text(row, 'text')}; if this is not an export of Telegram, add --format json"
        text = text or _poll(row.get("poll"))
        chat, name = map(_json_text, element.fields)  # they come before the messages
        sender = row.get("from") or key_of(row.get("from_id"))  # a deleted account has no name
        ours = {"conversation": chat or name, "sender": sender, "time": row.get("date"), "text": text}
        row = {**ours, "conversation_name": name, **{key: value for key, value in row.items() if key not in ours}}
        return self.add(batch, row, dump_json(row), element.start.line)


def _joined(parts: Any) -> str | None:
    """Return a text, which may be a list of plain and formatted parts; ``None`` if there is no text."""
    parts = parts if isinstance(parts, list) else [parts]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    known = [text for text in texts if isinstance(text, str)]
    return "".join(known) if known else None


def _poll(poll: Any) -> str:
    """Return the question and the answers of a poll, one per line; an empty text if it is no poll."""
    if not isinstance(poll, dict) or not isinstance(answers := poll.get("answers"), list):
        return ""
    lines = [poll.get("question"), *(answer.get("text") for answer in answers if isinstance(answer, dict))]
    return "\n".join(filter(None, map(_joined, lines)))


HIGH = rb"&#(5529[6-9]|55[3-9]\d\d|56[0-2]\d\d|563[01]\d);"
LOW = rb"&#(563[2-9]\d|56[4-9]\d\d|57[0-2]\d\d|573[0-3]\d|5734[0-3]);"
PAIR = re.compile(HIGH + LOW)
NO_CHARACTER = rb"&#(?:6553[45]|x0*(?:[dD][89a-fA-F][0-9a-fA-F]{2}|[fF]{3}[eEfF]));"
HALF = re.compile(HIGH + b"|" + LOW + b"|" + NO_CHARACTER)
CONTROL = re.compile(
    rb"&#0*(?:[0-8]|1[124-9]|2\d|3[01]);|&#x0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]);|[\0-\x08\x0b\x0c\x0e-\x1f]"
)


def _mend(data: bytes) -> bytes:
    """Return XML with each of the app's surrogate pairs as one character, and without characters that XML forbids.

    The app writes an emoji as two references to surrogates, which XML does not allow. Unpaired surrogates, U+FFFE and
    U+FFFF become U+FFFD; control characters become white space. The number of bytes stays the same.

    >>> _mend(b"&#55357;&#56832;"), _mend(b"&#0;&#55357;")
    (b'&#0000000128512;', b'&#9;&#65533;')

    """

    def reference(match: re.Match[bytes], code: int) -> bytes:
        return b"&#%0*d;" % (len(match[0]) - len("&#;"), code)

    def pair(match: re.Match[bytes]) -> bytes:
        return reference(match, 0x10000 + ((int(match[1]) - 0xD800) << 10) + int(match[2]) - 0xDC00)

    data = HALF.sub(lambda match: reference(match, 0xFFFD), PAIR.sub(pair, data))
    data = re.sub(b"\xef\xbf[\xbe\xbf]", "\ufffd".encode(), data)
    return CONTROL.sub(lambda match: reference(match, ord("\t")) if len(match[0]) > 1 else b" ", data)


@dataclass
class SmsXmlReader(DocumentReader, JsonLinesReader):
    """Reads the sms and mms elements of ``smses``, the export of Android's "SMS Backup & Restore"."""

    name: ClassVar[str] = "sms-xml"
    naming: ClassVar[str] = "contact_name"
    whole: ClassVar[bool] = True

    def prepare(self, stream: Stream) -> Place:  # noqa: ARG002 - all exports have the same columns
        """Set the columns, and return where the rows begin."""
        self.find([[*CHAT_COLUMNS, "kind", "address", "date", "type", "contact_name"]])
        return Place(0, 1)

    def elements(self, stream: Stream) -> Iterator[Element]:
        """Yield the attributes of each message, with the texts of the parts of an mms."""
        parser = _XmlMessages(self.limit)
        held = b""
        while True:
            data = stream.read(STEP)
            held += data
            cut = held.rfind(b"<") if data else -1  # so that no tag or reference is split
            cut = len(held) if cut < 0 else cut
            try:
                parser.feed(held[:cut], final=not data)
            except (expat.ExpatError, ValueError) as error:
                if str(error).startswith(expat.errors.XML_ERROR_NO_MEMORY):
                    raise MemoryError from None
                yield from parser.take()
                raise parser.broken(stream.damage or f"not XML: {error}", held) from None
            yield from parser.take()
            if not data:
                break
            held = held[cut:]
            if len(held) > self.limit:
                held = parser.shorten(held)
            if max(parser.fed - parser.next, len(held)) > self.limit + STEP:
                raise parser.broken(TOO_LONG, held)
        if stream.damage:
            raise Broken(parser.place(), stream.damage, b"")

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the messages."""
        for element in block.data:
            row = _sms_row(element.data)
            missing = "'body' is missing" if row["text"] is None else ""
            if problem := element.problem or missing or self.add(batch, row, dump_json(row), element.start.line):
                raw = json.dumps(element.data, ensure_ascii=False)[: SHOWN if problem == TOO_LONG else None]
                batch.rejects.append(Reject(element.start.line, element.start.offset, problem, raw))


MISSING = {"contact_name": ("null", "(Unknown)")}
"""What the app writes for an attribute without a value, by attribute; ``null`` for all others."""


def _sms_row(written: dict[str, str]) -> dict[str, Any]:
    """Return a message as a row. Messages of type 1 were received; all others were sent from the phone.

    The app writes ``null`` for a missing value. The subject of an mms is put above its text.
    """
    attributes = {key: None if value in MISSING.get(key, ("null",)) else value for key, value in written.items()}
    sent = attributes.get("msg_box" if attributes["kind"] == "mms" else "type") != "1"
    try:
        time = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=int(attributes.get("date") or ""))
        moment = time.isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        moment = None
    address = attributes.get("address") or None
    if subject := attributes.get("sub"):
        attributes["sub"] = subject = _subject(subject, attributes.get("sub_cs"))
    body = attributes.get("body")
    ours = {
        "conversation": address and "~".join(map(_number, address.split("~"))),  # several in a group
        "sender": "me" if sent else attributes.get("from") or address,
        "time": moment,
        "text": "\n".join(filter(None, (subject, body))) if subject or body is not None else None,
    }
    return {**ours, **{key: value for key, value in attributes.items() if key not in ours and key != "body"}}


def _subject(subject: str, charset: str | None) -> str:
    """Return the subject of an mms. If ``sub_cs`` says UTF-8, Android has stored its bytes as if they were Latin-1."""
    if charset == "106":  # IANA's number of UTF-8
        with contextlib.suppress(UnicodeError):
            return subject.encode("latin-1").decode()
    return subject


def _number(address: str) -> str:
    """Return a telephone number in one form, because sent and received messages may differ; anything else unchanged.

    >>> _number("+86 120 1380 0138"), _number("12013800138"), _number("招商银行"), _number("+1 555 0100")
    ('12013800138', '12013800138', '招商银行', '+15550100')

    """
    digits = re.sub(r"[\s().\xa0-]", "", address)
    return COUNTRY_CODE.sub("", digits) if re.fullmatch(r"\+?\d+", digits) else address


VALUE = re.compile(rb"\"[^\"]*\"?|'[^']*'?")
TAG = re.compile(b"<(?!/)")
"""Where the tag of an element begins, or a comment."""
LAST = re.compile(rb"(?:[\"']|[\xc0-\xff][\x80-\xbf]*)?\Z")
"""The quote that ends a value, or the first bytes of a character at the end of incomplete data."""


def _short(value: re.Match[bytes]) -> bytes:
    """Return the first bytes of a quoted value, cut between characters and references, and what `LAST` matches."""
    if len(value[0]) <= SHOWN:
        return value[0]
    begin = value[0][:SHOWN].decode("utf-8", "ignore").encode()
    return re.sub(rb"&[^;&]*\Z", b"", begin) + LAST.search(value[0][-4:])[0]  # type: ignore[index] # it always matches


class _XmlMessages:
    """Parses messages from XML that is fed in pieces, which must not split a tag.

    The limit applies to the bytes that the row of a message keeps, its attributes and the texts of its parts. Pictures
    do not count.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse  # entities are declared nowhere else
        self._found: list[Element] = []
        self._open: tuple[str, Place, dict[str, str]] | None = None
        self._parts: list[str] = []
        self._size = 0
        """Bytes kept of the open message."""
        self._depth = 0
        self._left_out = self._shortened = Place(0, 0)
        """Bytes and lines that were cut out and not fed: before the next tag, and within it."""
        self.fed = self.next = 0
        """How many bytes were fed, and the offset among them at or after which the tag of the next element begins."""
        self._begin = 0
        """Byte offset in the fed data of the open message."""
        self._kept, self._kept_from = b"", 0
        """The first bytes of the open message, or else those from the last tag on, and their offset in the fed data."""

    def feed(self, data: bytes, *, final: bool) -> None:
        self._parser.Parse(_mend(data), final)
        self._keep(data)
        self.fed += len(data)

    def take(self) -> list[Element]:
        found, self._found = self._found, []
        return found

    def place(self) -> Place:
        index = max(self._parser.CurrentByteIndex, 0)
        return Place(index + self._left_out.offset, self._parser.CurrentLineNumber + self._left_out.line)

    def _keep(self, data: bytes) -> None:
        """Keep what `broken` needs of the bytes after those that were fed before."""
        begin = self._begin if self._open else self.next
        self._kept = self._kept[begin - self._kept_from :]
        if len(self._kept) < BLOCK:
            self._kept += data[max(begin - self.fed, 0) :]
        self._kept_from = begin

    def broken(self, reason: str, data: bytes) -> Broken:
        """Return the error that the document is broken; ``data`` follows what was fed.

        The error has the place and the available bytes of what breaks the document: the open message if there is one,
        else a tag, or what else follows the last one.
        """
        self._keep(data)
        if self._open:
            return Broken(self._open[1], reason, self._kept)
        end = max(self._parser.CurrentByteIndex - self._kept_from, 0)  # it may be anywhere in a tag
        tag = TAG.search(self._kept, 0, end)
        begin = tag.start() if tag else self._kept.rfind(b">", 0, end) + 1
        begin = end - len(self._kept[begin:end].lstrip())
        offset, line, *_ = self.place()
        place = Place(offset - (end - begin), line - self._kept.count(b"\n", begin, end))
        return Broken(place, reason, self._kept[begin:])

    def shorten(self, tag: bytes) -> bytes:
        """Return the beginning of the next tag, with each value cut to its first bytes."""
        if not tag[1:2].isalpha():  # a comment, for example
            return tag
        short = VALUE.sub(_short, tag)
        offset = self._shortened.offset + len(tag) - len(short)
        self._shortened = Place(offset, self._shortened.line + tag.count(b"\n") - short.count(b"\n"))
        return short

    def _refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type or entities, which no export does")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        place, shortened = self.place(), self._shortened
        size = 0
        if shortened.offset:
            size = self._limit + 1  # or more
            before = self._left_out
            self._left_out = Place(before.offset + shortened.offset, before.line + shortened.line)
            self._shortened = Place(0, 0)
        if not self._depth and name != "smses":
            raise ValueError(f"its root is {name!r}, not 'smses'")
        self._depth += 1
        if self._depth > DEPTH:
            raise ValueError("nested too deeply")
        if name in ("sms", "mms"):
            self._open, self._parts = (name, place, {"kind": name, **attributes}), []
            self._begin = self._parser.CurrentByteIndex
            self._size = size + len("".join(attributes.values()).encode())
        elif name == "addr" and self._open and attributes.get("type") == "137":  # the sender in a group (3GPP: From)
            self._open[2]["from"] = attributes.get("address", "")
        elif name == "part" and self._open and attributes.get("ct") == "text/plain":
            text = attributes.get("text", "")
            text = "" if text == "null" else text
            self._size += size + len(text.encode()) + 1  # a line feed
            if self._size <= self._limit:
                self._parts.append(text)
        self.next = self._parser.CurrentByteIndex + 1

    def _end(self, name: str) -> None:
        self.next = self._parser.CurrentByteIndex
        self._depth -= 1
        if self._open and name == self._open[0]:
            if self._parts:
                self._open[2]["body"] = "\n".join(filter(None, self._parts))
            problem = TOO_LONG if self._size > self._limit else ""
            self._found.append(Element(self._open[1], self._open[2], problem))
            self._open = None
