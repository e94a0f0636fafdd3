"""Readers of chat exports that are plain text: WhatsApp's, QQ's and WeChat's.

A message goes on until the next line that begins one. The columns are those of `chats`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from fraudscan.dump.chats import CHAT_COLUMNS
from fraudscan.dump.encodings import cut_lines, last_line_end
from fraudscan.dump.readers import BLOCK, SHOWN, TOO_LONG, Lines, Reader
from fraudscan.dump.rows import Block
from fraudscan.dump.sources import ARCHIVES

if TYPE_CHECKING:
    from fraudscan.dump.rows import Batch, Place
    from fraudscan.dump.sources import Stream

__all__ = ["QqReader", "WeChatReader", "WhatsAppReader", "transcript"]

ENDING = re.compile(rf"(?:\.txt)?(?:{'|'.join(map(re.escape, ARCHIVES))})?$", re.IGNORECASE)

LINE = 200
"""Characters of a line that tell whether a message begins with it."""

NO_MESSAGE = "no message begins here"


@dataclass
class TranscriptReader(Reader):
    """Messages, each of which begins with a line that says who sent it, and when."""

    whole: ClassVar[bool] = True
    start: re.Pattern[str] = re.compile("")
    """Matches a line that begins a message, or a heading between messages."""

    heading: ClassVar[re.Pattern[str] | None] = None
    """Matches a heading; its group is what the messages below it have in common, and do not say."""

    def prepare(self, stream: Stream) -> Place:
        """Say which columns there are."""
        self.header = CHAT_COLUMNS
        self.find([self.header])
        return super().prepare(stream)

    @property
    def conversation(self) -> str:
        """What the file is called."""
        name = PurePath(self.source).name
        return ENDING.sub("", name) or name

    def row(self, message: str, heading: str) -> list[str] | str:
        """Return the columns of a message, or why it is none: nothing, if it is no more than a heading."""
        raise NotImplementedError

    def _starts(self, lines: list[bytes]) -> list[int]:
        heads = (line[: 4 * LINE].decode(self.encoding, "replace")[:LINE].rstrip("\r") for line in lines)
        return [i for i, head in enumerate(heads) if self.start.match(head)]

    def cut(self, held: bytes, *, final: bool) -> int:
        """Cut before the last message, which may go on."""
        if final:
            return len(held)
        lines = cut_lines(held, self.encoding)
        starts = self._starts(lines[:-1])  # whether the line without its end is a start is not known
        last = max(starts, default=len(lines) - 1 if len(held) >= self.limit else 0)
        return self._size(lines[:last])

    def _cut_off(self, stream: Stream, at: Place, held: bytes, *, final: bool) -> Block:  # noqa: ARG002 - it never is
        """Return the message that ``held`` begins with as a block: it is too long, unless the next one begins in it."""
        size = last_line_end(held, self.encoding)
        if size and self._starts(cut_lines(held[size:] + stream.peek(4 * LINE), self.encoding)[:1]):
            return self._block(at, held[:size])
        line = at.line + self._lines(held[:size])
        size, within = len(held), True
        starts: list[int] = []
        while not starts and (data := stream.peek(1 << 16)):
            lines = cut_lines(data, self.encoding)
            known = len(lines) - 1 if len(data) == 1 << 16 else len(lines)
            starts = [i for i in self._starts(lines[:known]) if i or not within]
            whole = self._size(lines[: starts[0]]) if starts else last_line_end(data, self.encoding)
            within = not whole
            passed = whole if whole or starts else len(data)
            line += self._lines(data[:passed])
            stream.skip(passed)
            size += passed
        return Block(at, at._replace(offset=at.offset + size, line=line, vain=0), held[:SHOWN], TOO_LONG)

    def _block(self, at: Place, data: bytes, problem: str = "") -> Block:
        block = super()._block(at, data, problem)
        headings = self.heading.findall(_unix(data.decode(self.encoding, "replace"))) if self.heading else []
        return block._replace(end=block.end._replace(heading=headings[-1] if headings else at.heading))

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the messages; what stands before the first one and is no heading is a reject."""
        lines = Lines(block, self.encoding)
        heading = block.start.heading
        starts = self._starts(lines.raw)
        if not starts or starts[0] > 0:
            starts.insert(0, 0)
        for begin, end in zip(starts, [*starts[1:], len(lines.raw)], strict=True):
            try:
                message = _unix("\n".join(line.decode(self.encoding) for line in lines.raw[begin:end])).strip("\r\n")
            except UnicodeDecodeError:
                batch.rejects.append(lines.reject(begin, end, self.not_encoded))
                continue
            if self.heading and (match := self.heading.match(message)):
                heading = match[1]
            row = self.row(message, heading)
            if isinstance(row, list):
                batch.texts.append(row[CHAT_COLUMNS.index(self.text or "text")])
                batch.raws.append(row)
                if self.by is not None:
                    batch.keys.append(row[CHAT_COLUMNS.index(self.by)] or None)
                    batch.lines.append(block.start.line + begin)
            elif row and message.strip():
                batch.rejects.append(lines.reject(begin, end, row))


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


DATE = (
    r"\[?\d{1,4}[./年-]\d{1,2}[./月-]\d{1,4}日?,?[ \u202f]*"  # the order of its parts is that of the phone's language
    r"(?:[上中下正]午|[凌清]晨|早[上晨]|傍晚|晚上|[午半深]夜)?[ \u202f]?\d{1,2}[:.]\d{2}(?:[:.]\d{2})?"
    r"(?:[ \u202f\xa0]?[^\W\d_](?:[. \u202f\xa0]{0,2}[^\W\d_]){0,3}\.?(?=\]| [-–] ))?\]?"  # PM, p. m., 下午
)
WHATSAPP_START = re.compile(rf"[\u200e\u200f\ufeff]*({DATE})(?: [-–])? ")
WHATSAPP = re.compile(rf"{WHATSAPP_START.pattern}([^:：\n]{{1,100}}?)[:：] (.*)", re.DOTALL)
CHAT_NAMES = (
    re.compile(r"WhatsApp Chat (?:with|-) (.+)"),
    re.compile(r"(?:与|與|和)?(.+?)的 ?WhatsApp ?(?:聊天|對話|对话).*"),
)


@dataclass
class WhatsAppReader(TranscriptReader):
    """WhatsApp's export of a chat: a message follows its time and sender in the same line."""

    name: ClassVar[str] = "whatsapp"
    start: re.Pattern[str] = WHATSAPP_START

    @property
    def conversation(self) -> str:
        """The other side's name, which stands in the file's; in its folder's where iPhones call the file ``_chat``."""
        name = super().conversation
        if name == "_chat":
            name = PurePath(self.source).parent.name or name
        return next((match[1] for pattern in CHAT_NAMES if (match := pattern.fullmatch(name))), name)

    def row(self, message: str, heading: str) -> list[str] | str:  # noqa: ARG002 - there is none
        """Return the columns of a message, or why it is none."""
        if match := WHATSAPP.match(message):
            return [self.conversation, match[2], match[1].strip("[]"), match[3]]
        return "no sender: a notice by WhatsApp itself" if WHATSAPP_START.match(message) else NO_MESSAGE


MOMENT = r"\d{{4}}[-/]\d{{1,2}}[-/]\d{{1,2}} +(?:[上下]午 ?)?\d{{1,2}}:\d{{2}}{seconds}(?: [AP]M)?"
WHO = r"\S.{0,60}[(<][^()<>\n]{3,60}[)>]|[^\s，。！？][^，。！？\n]{0,60}"
"""A name, with the number or address behind it in groups; a bare one has no sentences in it, lest a line of a message
be taken for one."""
SHORT_WHO = r"[^\s，。！？：:【】][^，。！？：:【】\n]{0,30}"
"""A name beside a time without seconds, which people write in messages, too."""


class HeadStyle(NamedTuple):
    """How a head above messages looks: with a time and a name, and any line that begins or ends with such a time."""

    message: re.Pattern[str]
    stamped: re.Pattern[str]

    @classmethod
    def of(cls, seconds: str, who: str) -> HeadStyle:
        """Return the heads whose times have these seconds, and names like that."""
        moment = MOMENT.format(seconds=seconds)
        message = re.compile(rf"(?:({moment}) +({who})|({who}) +({moment})) *(?:\n|$)")
        return cls(message, re.compile(rf"{moment} +\S|.*\S +{moment} *$"))


HEAD_STYLES = HeadStyle.of(r":\d{2}", WHO), HeadStyle.of("", SHORT_WHO)
RULE = "={64}"
NAME = 200
"""Characters of a chat's name that are kept: each of its messages has it."""

QQ_HEADING = re.compile(rf"消息记录（.*|{RULE}(?:\n消息(?:分组|对象):.*)?")
QQ_START = rf"消息记录（|{RULE}$"


@dataclass
class QqReader(TranscriptReader):
    """QQ's export of one chat or of all, and others that have time and name in a line of their own above a message."""

    name: ClassVar[str] = "qq"
    heading: ClassVar[re.Pattern[str] | None] = re.compile(rf"^{RULE}\n消息对象:(.{{,{NAME}}})", re.MULTILINE)
    head: HeadStyle = HEAD_STYLES[0]

    def prepare(self, stream: Stream) -> Place:
        """Find out whether times have seconds: the first head tells."""
        lines = stream.peek(BLOCK).decode(self.encoding, "replace").lstrip("\ufeff").splitlines()
        found = (head for line in lines for head in HEAD_STYLES if head.message.match(line.rstrip()))
        self.head = next(found, self.head)
        self.start = re.compile(f"{QQ_START}|{self.head.message.pattern}")
        return super().prepare(stream)

    def row(self, message: str, heading: str) -> list[str] | str:
        """Return the columns of a message, or why it is none."""
        match = self.head.message.match(message)
        if not match:
            return "" if QQ_HEADING.fullmatch(message.rstrip()) else NO_MESSAGE
        sender, time = (match[2], match[1]) if match[1] else (match[3], match[4])
        if sender.startswith("系统消息("):
            return "a notice by QQ itself"
        return [heading or self.conversation, sender.strip(), time, message[match.end() :].strip("\n")]


WECHAT_DAY = re.compile(r"^[—–-]{3,} *(\d{4}[-/年]\d{1,2}[-/月]\d{1,2}日?) *[—–-]{3,} *$", re.MULTILINE)
WECHAT_MESSAGE = re.compile(r"(\S.{0,60}?) {2,}(\d{1,2}:\d{2}) *(?:\n|$)")
WECHAT_CHATS = (
    re.compile(rf'微信群["“](.{{1,{NAME}}}?)["”]的聊天记录如下'),
    re.compile(rf"^(.{{1,{NAME}}}?) ?在微信上的聊天记录如下", re.MULTILINE),
)


@dataclass
class WeChatReader(TranscriptReader):
    """Messages that were sent from WeChat to a mailbox: name and time above each, the day above all of a day."""

    name: ClassVar[str] = "wechat"
    start: re.Pattern[str] = re.compile(f"{WECHAT_DAY.pattern}|{WECHAT_MESSAGE.pattern}")
    heading: ClassVar[re.Pattern[str] | None] = WECHAT_DAY
    chat: str | None = None

    def prepare(self, stream: Stream) -> Place:
        """Look for whose chat it is."""
        head = stream.peek(4096).decode(self.encoding, "replace")
        self.chat = next((match[1] for pattern in WECHAT_CHATS if (match := pattern.search(head))), None)
        return super().prepare(stream)

    def row(self, message: str, heading: str) -> list[str] | str:
        """Return the columns of a message, or why it is none."""
        if match := WECHAT_MESSAGE.match(message):
            time = f"{heading} {match[2]}".strip()
            return [self.chat or self.conversation, match[1], time, message[match.end() :].strip("\n")]
        known = WECHAT_DAY.fullmatch(message) or any(pattern.search(message) for pattern in WECHAT_CHATS)
        return "" if known else NO_MESSAGE


def transcript(text: str) -> str | None:
    """Return the format of the chat that a text which begins so holds; ``None`` if it is none."""
    lines = [line.rstrip("\r ") for line in text.split("\n", 50)[:50]]
    if _whatsapp(lines):
        return WhatsAppReader.name
    if WECHAT_DAY.search("\n".join(lines)) and any(map(WECHAT_MESSAGE.match, lines)):
        return WeChatReader.name
    chat = text.startswith("消息记录（") or any(_headed(lines, head) for head in HEAD_STYLES)
    return QqReader.name if chat else None


def _whatsapp(lines: list[str]) -> bool:
    """Tell a chat, which may begin with a title and notices, from lines of which some begin with a time."""
    heads = [match[0].rstrip() for line in lines if (match := WHATSAPP_START.match(line))]
    if not any(map(WHATSAPP_START.match, lines[:5])) or not any(map(WHATSAPP.match, lines)):
        return False
    if not any(head[-1] in "]-–" for head in heads):  # as anybody may write a time
        return 2 * len(heads) >= sum(map(bool, lines))
    return len(heads) > 1 or bool(WHATSAPP_START.match(lines[0]))


def _headed(lines: list[str], head: HeadStyle) -> bool:
    """Tell heads above messages from lines that begin or end with a time, and a single one that looks so."""
    begins = [bool(head.message.match(line)) for line in lines]
    crowded = any(begin and head.stamped.match(line) for begin, line in zip(begins, lines[1:], strict=False))
    return begins[0] and sum(begins) > 1 and not crowded
