"""Readers of chat exports that are plain text: WhatsApp's, QQ's, WeChat's and LINE's.

A message extends to the next line that begins one. The columns are ``CHAT_COLUMNS`` of `chats`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate, pairwise, takewhile
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from fraudscan.dump.chats import CHAT_COLUMNS
from fraudscan.dump.encodings import cut_lines, last_line_end
from fraudscan.dump.readers import BLOCK, SAMPLE, SHOWN, TOO_LONG, Lines, Reader
from fraudscan.dump.rows import Block
from fraudscan.dump.streams import ARCHIVES
from fraudscan.show import shown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fraudscan.dump.rows import Batch, Place
    from fraudscan.dump.streams import Stream

__all__ = ["TRANSCRIPTS", "TranscriptReader", "transcript"]

ENDING = re.compile(rf"(?:\.txt)?(?:{'|'.join(map(re.escape, ARCHIVES))})?$", re.IGNORECASE)

PREFIX = 200
"""Characters at the start of a line that decide whether a message begins there."""

NO_MESSAGE = "no message begins here"


@dataclass
class TranscriptReader(Reader):
    """Base class for exports in which each message begins with a line that gives its sender and time."""

    whole: ClassVar[bool] = True
    chat: str = ""
    """The name of the chat; `prepare` sets it."""
    start: re.Pattern[str] = re.compile("")
    """Matches a line that begins a message, or a heading between messages."""

    heading: ClassVar[re.Pattern[str] | None] = None
    """Matches a heading; its group is the part that the messages below it share: the chat's name, or the day."""
    reach: int = 0
    """How many bytes below a line may show that it is part of a message."""

    def prepare(self, stream: Stream) -> Place:
        """Set the columns and the name of the chat, and return where the rows begin."""
        start = super().prepare(stream)
        self.learn(stream.peek(BLOCK)[start.offset :])
        self.chat = self.chat or shown_name(self.conversation)
        self.header = CHAT_COLUMNS
        self.find([self.header])
        if self.detected:
            self.doubts.append(f"is read as a chat ({self.name}); if each line is a message, add --format lines")
        return start

    def learn(self, head: bytes) -> None:
        """Set what differs between exports of the same program, by the first block."""
        raise NotImplementedError

    @property
    def conversation(self) -> str:
        """The name of the file, without its ending."""
        name = PurePath(self.source).name
        return ENDING.sub("", name) or name

    def row(self, message: str, heading: str) -> list[str] | str:
        """Return the columns of a message, or the reason why it is none, which is empty if it is just a heading."""
        raise NotImplementedError

    def begins(self, heads: Sequence[str], at: int) -> bool:  # noqa: ARG002 - subclasses use them
        """Return whether a line begins a message or a heading, and is not a similar line within a message.

        Args:
            heads: the starts of lines; the first line begins a message or is the first of the source.
            at: the index of a line that `start` matches.

        """
        return True

    def last_heading(self, data: bytes) -> str | None:
        """Return the group of the last heading in a block that is not part of a message, or ``None``."""
        if self.heading and self.heading.search(self._decode([data])):
            lines = cut_lines(data, self.encoding)
            heads = self._heads(lines)
            for at in reversed(range(len(heads))):
                if self.heading.match("\n".join(heads[at : at + HEADING])) and self.begins(heads, at):
                    match = self.heading.match(self._decode(lines[at : at + HEADING]).rstrip("\r"))
                    return match[1] if match else None
        return None

    def _decode(self, lines: Sequence[bytes], errors: str = "replace") -> str:
        return "\n".encode(self.encoding).join(lines).decode(self.encoding, errors).replace("\r\n", "\n")

    def _heads(self, lines: list[bytes]) -> list[str]:
        """Return the first `PREFIX` characters of each line."""
        try:
            texts = self._decode(lines, "strict").split("\n")
        except UnicodeDecodeError:
            texts = []
        if len(texts) != len(lines):  # decoding lines one by one is slower, but damage in one leaves the others alone
            texts = [line[: 4 * PREFIX].decode(self.encoding, "replace") for line in lines]
        return [text[:PREFIX].rstrip("\r") for text in texts]

    def _starts(self, lines: list[bytes]) -> list[int]:
        heads = self._heads(lines)
        return [at for at, head in enumerate(heads) if self.start.match(head) and self.begins(heads, at)]

    def cut(self, held: bytes, *, final: bool) -> int:
        """Cut before the last message, which may continue; even a heading below it may turn out to be part of it.

        A start with less than `reach` bytes below may turn out to be part of a message, too. If there is no other, cut
        below the first message when no more can be read.
        """
        if final:
            return len(held)
        lines = cut_lines(held, self.encoding)
        starts = self._starts(lines[:-1])  # the last line is incomplete: it may or may not be a start
        if self.heading and starts[1:] and self.heading.match(self._decode(lines[starts[-1] :])):
            starts.pop()
        if not starts:
            return self._size(lines[:-1]) if len(held) >= self.limit else 0
        sizes = accumulate(self._size([line]) for line in reversed(lines))
        sure = len(lines) - 1 - sum(1 for _ in takewhile(self.reach.__gt__, sizes))
        later = [at for at in starts if at]
        known = [at for at in later if at <= sure] or (later[:1] if len(held) >= self.limit else [])
        return self._size(lines[: known[-1]]) if known else 0

    def _cut_off(self, stream: Stream, at: Place, held: bytes, *, final: bool) -> Block:  # noqa: ARG002 - never true here
        """Return the first message of ``held`` as a block. It is too long, unless the next one begins in ``held``."""
        size = last_line_end(held, self.encoding)
        if size and 0 in self._starts(cut_lines(held[size:] + stream.peek(4 * PREFIX), self.encoding)):
            return self._block(at, held[:size])
        line = at.line + self._count_lines(held[:size])
        size, within = len(held), True
        starts: list[int] = []
        while not starts and (data := stream.peek(1 << 16)):
            lines = cut_lines(data, self.encoding)
            known = len(lines) - 1 if len(data) == 1 << 16 else len(lines)
            starts = [i for i in self._starts(lines[:known]) if i or not within]
            whole = self._size(lines[: starts[0]]) if starts else last_line_end(data, self.encoding)
            within = not whole
            passed = whole if whole or starts else len(data)
            line += self._count_lines(data[:passed])
            stream.skip(passed)
            size += passed
        return Block(at, at._replace(offset=at.offset + size, line=line, rescanned=0), held[:SHOWN], TOO_LONG)

    def _block(self, at: Place, data: bytes, problem: str = "") -> Block:
        block, heading = super()._block(at, data, problem), self.last_heading(data)
        return block._replace(end=block.end._replace(heading=at.heading if heading is None else heading))

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the messages; text before the first one is a reject, unless it is a heading."""
        lines = Lines(block, self.encoding)
        heading = block.start.heading
        starts = self._starts(lines.raw)
        if not starts or starts[0] > 0:
            starts.insert(0, 0)
        for begin, end in zip(starts, [*starts[1:], len(lines.raw)], strict=True):
            message = self.decoded(batch, lines, begin, end).replace("\r\n", "\n").strip("\r\n")
            # damage below a heading does not hide it
            written = message or self._decode(lines.raw[begin:end]).strip("\r\n")
            if self.heading and (match := self.heading.match(written)):
                heading = match[1]
            row = self.row(message, heading)
            if isinstance(row, list):
                batch.texts.append(row[CHAT_COLUMNS.index(self.text or "text")])
                batch.lines.append(block.start.line + begin)
                batch.raws.append(row)
                if self.by is not None:
                    batch.keys.append(row[CHAT_COLUMNS.index(self.by)] or None)
            elif row and message.strip():
                batch.rejects.append(lines.reject(begin, end, row))


def _count(head: re.Pattern[str], lines: Sequence[str]) -> int:
    """Return how many lines a pattern matches at their beginning."""
    return sum(map(bool, map(head.match, lines)))


PERIOD = "(?:[上中下正]午|午[前後]|[凌清]晨|早[上晨]|傍晚|晚上|[午半深]夜)"
"""A part of the day, before a time."""
DATE = (
    r"\[?\d{1,4}[./年-]\d{1,2}[./月-]\d{1,4}日?,?[ \u202f]*"  # the phone's language decides the order of the parts
    rf"{PERIOD}?[ \u202f]?\d{{1,2}}[:.]\d{{2}}(?:[:.]\d{{2}})?"
    r"(?:[ \u202f\xa0]?[^\W\d_](?:[. \u202f\xa0]{0,2}[^\W\d_]){0,3}\.?(?=\]| [-–] ))?\]?"  # PM, p. m., 下午
)
MARKS = r"[\u200e\u200f\ufeff]*"
WHATSAPP_START = re.compile(rf"{MARKS}({DATE})(?: [-–])? ")
WHATSAPP_STYLES = re.compile(rf"{MARKS}(?=\[)({DATE})(?<=\]) "), re.compile(rf"{MARKS}({DATE}) [-–] ")
"""How messages begin in exports of iPhones, and of Android."""
WHATSAPP_MARKED = re.compile(rf"{MARKS}({DATE})(?:(?<=\])| [-–]) ")
RARE = 0.1
"""If fewer than this share of the messages begin in a style, lines in that style are within messages."""
WHATSAPP_SAID = re.compile(r"([^\n]{1,100}?)[:：] (.*)", re.DOTALL)
WHATSAPP_NOTICE = re.compile(
    r"\u200e+(?:"
    r"消息和通话[已都]进行端到端加密。(?: ?只有此(?:聊天|对话)中的成员可以(?:查看|阅读)、收听或分享。"
    r"|对话之外的任何人，甚至包含 WhatsApp，? ?都无法读取或收听。)?"
    r"|訊息和通話經端對端加密。(?:(?:此對話|對話)以外的任何人 \(即使是 WhatsApp\) 均無法查看或聆聽那些內容。)?"
    r"|Messages and calls are end-to-end encrypted\.(?: Only people in this chat can read, listen to, or share them\."
    r"| No one outside of this chat, not even WhatsApp, can read or listen to them\.)?"
    r")\s*"
)
"""A notice that iPhones attribute to the other side at the head of a chat, in the wordings known from exports. It must
be the whole message, because anybody may write it before a lure."""
QUOTES = (("“", "”"), ("「", "」"))
OPEN_QUOTE = re.compile(r'(?:^|\s)"[^"]*$')
"""A straight quote that opens a quotation, unlike the one in 5", which follows a character."""
CHAT_NAMES = (
    re.compile(r"WhatsApp Chat (?:with|-) (.+)"),
    re.compile(r"(?:与|與|和)?(.+?)的 ?WhatsApp ?(?:聊天|對話|对话).*"),
)

NOTICE = "\u200e"
"""The mark with which the notices of iPhones begin, if they name no sender."""

SECONDS = re.compile(r":\d\d:\d\d")
"""Finds times with seconds, which the messages of iPhones have, and those of logs."""


@dataclass
class WhatsAppReader(TranscriptReader):
    """Reads WhatsApp's export of a chat, in which a message follows its time and sender on the same line."""

    name: ClassVar[str] = "whatsapp"
    start: re.Pattern[str] = WHATSAPP_START

    def learn(self, head: bytes) -> None:
        """Learn from the majority how messages begin; lines with a bare time or a rare style are within messages."""
        lines = self._decode([head]).split("\n")
        counts = {style: _count(style, lines) for style in WHATSAPP_STYLES}
        marked, most = sum(counts.values()), max(counts, key=counts.__getitem__)
        if 2 * marked >= _count(WHATSAPP_START, lines) > 0:
            self.start = most if marked - counts[most] < RARE * marked else WHATSAPP_MARKED

    @property
    def conversation(self) -> str:
        """The name of the other side, from the name of the file, or of its folder if an iPhone called it ``_chat``."""
        name = super().conversation
        if name == "_chat":
            name = Path(self.source).absolute().parent.name or name
        return next((match[1] for pattern in CHAT_NAMES if (match := pattern.fullmatch(name))), name)

    def row(self, message: str, heading: str) -> list[str] | str:  # noqa: ARG002 - there are no headings
        """Return the columns of a message, or the reason why it is none."""
        if not (head := WHATSAPP_START.match(message)):  # text before the first message
            return NO_MESSAGE
        said = WHATSAPP_SAID.match(message, head.end())
        if not said or _within_quotes(said[1], said[2].partition("\n")[0]):
            return "no sender: a notice by WhatsApp itself"
        if WHATSAPP_NOTICE.fullmatch(said[2]):
            return "a notice by WhatsApp itself"
        return [self.chat, said[1], head[1].strip("[]"), said[2]]


def _within_quotes(before: str, behind: str) -> bool:
    """Return whether the colon between two parts of a line is in quotes, as in a group's name within a notice."""
    if '"' in behind and OPEN_QUOTE.search(before):
        return True
    return any(closing in behind and before.rfind(opening) > before.rfind(closing) for opening, closing in QUOTES)


MOMENT = rf"\d{{4}}[-/]\d{{1,2}}[-/]\d{{1,2}} +(?:{PERIOD} ?)?\d{{1,2}}:\d{{2}}%s(?: [AaPp][Mm])?"
"""A time; %s stands for its seconds."""
WHO = r"\S.{0,60}[(<][^()<>\n]{3,60}[)>]|[^\s，。！？][^，。！？\n]{0,60}"
"""A name, which in groups is followed by the number or address. A bare name has no sentence punctuation, so that a line
of a message is not taken for a name."""
ANYBODY = r"\S[^\n]{0,60}"
"""A name that may have sentence punctuation. Only the empty line before its head distinguishes it from a message."""
SHORT_WHO = r"[^\s，。！？：:【】][^，。！？：:【】\n]{0,30}"
"""A name beside a time without seconds; it is stricter, because people write such times in messages too."""


class HeadStyle(NamedTuple):
    """Patterns of a head, the line above a message.

    Attributes:
        message: a time and a name, or a name and a time.
        nameless: as ``message``, or a time alone, which stands for a sender with a blank name.
        anyone: as ``nameless``; after a time with seconds, the name may have sentence punctuation.
        stamped: any line that begins or ends with such a time.

    """

    message: re.Pattern[str]
    nameless: re.Pattern[str]
    anyone: re.Pattern[str]
    stamped: re.Pattern[str]

    @classmethod
    def of(cls, seconds: str, who: str) -> HeadStyle:
        """Return the style whose times end with the pattern ``seconds`` and whose names match ``who``."""
        moment = MOMENT % seconds
        names = (who, f"(?:{who})?", rf"(?:{who}|{ANYBODY})?" if seconds else f"(?:{who})?")
        message, nameless, anyone = (
            re.compile(rf"(?:({moment}) +({name})|({who}) +({moment})) *(?:\n|$)") for name in names
        )
        return cls(message, nameless, anyone, re.compile(rf"{moment} +\S|.*\S +{moment} *$"))

    def spaced(self, lines: Sequence[str]) -> bool:
        """Return whether an empty line precedes nearly every head except the first."""
        for head in (self.message, self.anyone):  # the second if all names have sentence punctuation
            if heads := [at for at, line in enumerate(lines) if head.match(line)][1:]:
                return 10 * sum(bool(lines[at - 1].strip()) for at in heads) < len(heads)
        return False


HEAD_STYLES = HeadStyle.of(r":\d{2}", WHO), HeadStyle.of("", SHORT_WHO)
RULE = "={64}"
TITLE = 5
"""The first message of a chat begins within this many lines."""

NAME = 200
"""Characters of a chat's name that are kept, because each message of the chat repeats it."""

QQ_TITLE = re.compile("消息记录（.*")
"""The first line of QQ's own exports."""
QQ_HEADING = re.compile(rf"^{RULE}\n(?:消息分组:.*\n{RULE}\n)?消息对象:(.{{,{NAME}}}).*\n{RULE}$", re.MULTILINE)
HEADING = 5
"""Maximum lines of a heading."""


@dataclass
class QqReader(TranscriptReader):
    """Reads QQ's export of one chat or all, and other exports with time and name on a line above each message."""

    name: ClassVar[str] = "qq"
    heading: ClassVar[re.Pattern[str] | None] = QQ_HEADING
    style: HeadStyle = HEAD_STYLES[0]
    head: re.Pattern[str] = HEAD_STYLES[0].message
    """The pattern of a head."""
    spaced: bool = False
    """Whether an empty line precedes each head. A head without one is then part of a message that quotes a chat."""
    names: frozenset[str] = frozenset()
    """Names with sentence punctuation that are in several heads. Text beside only one time is a line of a plan."""

    def learn(self, head: bytes) -> None:
        """Learn the style of heads from the majority of them."""
        lines = self._decode([head]).split("\n")
        self.style = max(HEAD_STYLES, key=lambda style: _count(style.anyone, lines))
        self.spaced = self.style.spaced(lines)
        self.head = self.style.anyone if self.spaced else self.style.message
        names = Counter(name for line in lines if (name := self._odd_name(line)))
        self.names = frozenset(name for name, count in names.items() if count > 1)
        self.start = re.compile(f"{RULE}$|{self.head.pattern}")

    def begins(self, heads: Sequence[str], at: int) -> bool:
        """Return whether a line is a head, or the rule that begins a heading.

        A quoted head is part of a message: it has neither an empty line nor a message without text before it.
        """
        if not self.head.match(heads[at]):
            return self._is_heading(heads, at)
        if not self.spaced or not at:
            return True
        if (name := self._odd_name(heads[at])) and name not in self.names:
            return False
        return not heads[at - 1].strip() or bool(
            self.head.match(heads[at - 1]) and self.style.nameless.match(heads[at])
        )

    def _is_heading(self, heads: Sequence[str], at: int) -> bool:
        """Return whether a rule begins a heading, and is not part of a message.

        Anybody may write rules in a message, and text below a heading would not be scored. A heading is therefore
        complete, its names are not longer than its rules, and it has an empty line before it and a message below it
        (unless nothing comes before or after it). Below the title, before any message, it only has to be complete.
        """
        match = QQ_HEADING.match("\n".join(heads[at : at + HEADING]))
        if not match:
            return False
        if at < TITLE and QQ_TITLE.fullmatch("\n".join(heads[:at]).strip()):
            return True
        size = match[0].count("\n") + 1
        below = next((i for i in range(at + size, len(heads)) if heads[i].strip()), None)
        return (
            not (at and heads[at - 1].strip())
            and all(len(line) <= len(heads[at]) for line in heads[at : at + size])
            and (below is None or (self.head.match(heads[below]) is not None and self.begins(heads, below)))
        )

    def _odd_name(self, line: str) -> str:
        """Return the name in a head if it has sentence punctuation, else an empty string."""
        match = None if self.style.nameless.match(line) else self.style.anyone.match(line)
        return (match[2] or match[3]).strip() if match else ""

    def row(self, message: str, heading: str) -> list[str] | str:
        """Return the columns of a message, or the reason why it is none."""
        match = self.head.match(message)
        if not match:
            known = QQ_TITLE.fullmatch(message.rstrip()) or QQ_HEADING.fullmatch(message.rstrip())
            return "" if known else NO_MESSAGE
        sender, time = (match[2], match[1]) if match[1] else (match[3], match[4])
        if sender.startswith("系统消息("):
            return "a notice by QQ itself"
        return [heading or self.chat, sender.strip(), time, message[match.end() :].strip("\n")]


WECHAT_DAY = re.compile(r"^[—–-]{3,} *(\d{4}[-/年]\d{1,2}[-/月]\d{1,2}日?) *[—–-]{3,} *$", re.MULTILINE)
WECHAT_MESSAGE = re.compile(
    rf"(\S(?:.{{,59}}?\S)??) {{2,}}((?:{PERIOD} ?)?\d{{1,2}}:\d{{2}}(?: [AaPp][Mm])?) *(?:\n|$)"
)
WECHAT = "(?:微信|WeChat) ?"
WECHAT_CHATS = (
    re.compile(rf'{WECHAT}群[組组]?["“「](.{{1,{NAME}}}?)["”」]的聊天[记記][录錄]如下'),
    re.compile(rf"^ *(\S.{{,{NAME - 1}}}?) ?(?:在 ?{WECHAT}上|{WECHAT}群[組组上])的聊天[记記][录錄]如下", re.MULTILINE),
)
"""The title, in both scripts and the wordings of several versions."""


@dataclass
class WeChatReader(TranscriptReader):
    """Reads chats sent from WeChat to a mailbox: name and time are above each message, the date is above each day.

    Attributes:
        spaced: whether an empty line is before the first head. If so, lines like heads without one are in messages.

    """

    name: ClassVar[str] = "wechat"
    start: re.Pattern[str] = re.compile(f"{WECHAT_DAY.pattern}|{WECHAT_MESSAGE.pattern}")
    heading: ClassVar[re.Pattern[str] | None] = WECHAT_DAY
    spaced: bool = False

    def learn(self, head: bytes) -> None:
        """Find the name of the chat, and whether empty lines separate its messages."""
        lines = self._decode([head]).split("\n")
        first = next((at for at, line in enumerate(lines) if WECHAT_MESSAGE.match(line)), 0)
        self.spaced = first > 0 and not lines[first - 1].strip()
        title = self._decode([head[:4096]])
        self.chat = next((match[1] for pattern in WECHAT_CHATS if (match := pattern.search(title))), "")

    def begins(self, heads: Sequence[str], at: int) -> bool:
        """Return whether a line is a head or a day; those within a message have no empty line before them."""
        return not (self.spaced and at and heads[at - 1].strip())

    def row(self, message: str, heading: str) -> list[str] | str:
        """Return the columns of a message, or the reason why it is none."""
        if match := WECHAT_MESSAGE.match(message):
            time = f"{heading} {match[2]}".strip()
            return [self.chat, match[1], time, message[match.end() :].strip("\n")]
        known = WECHAT_DAY.fullmatch(message) or any(pattern.search(message) for pattern in WECHAT_CHATS)
        return "" if known else NO_MESSAGE


LINE_DAY = re.compile(
    r"(?:\A|(?<=\n\n))"  # after an empty line: other dates are in messages
    r"((?:[A-Z][a-z]{2}, |R|民國 ?)?\d{1,4}[./年]\d{1,2}[./月]\d{1,4}日?)"  # R and 民國 name an era
    r"(?: ?(?:[（(][^（）()\n]{1,4}[）)]|(?:星期|[週周]).|[A-Z][a-z]{2,5}day))? *$",
    re.MULTILINE,
)
LINE_TIME = rf"({PERIOD}? ?\d{{1,2}}:\d{{2}}(?:[ \u202f]?[AaPp]\.?[Mm]\.?)?)\t"
LINE_MESSAGE = re.compile(rf"{LINE_TIME}([^\t\n]*)\t(.*)", re.DOTALL)
LINE_SAID = re.compile(rf"(?:[^\t\n]+\n)?{LINE_TIME}([^\t\n]+)\t")
"""A message with a sender, or a day and the first message below it."""
LINE_QUOTED = re.compile(rf'{LINE_TIME}[^\t\n]*\t"')
"""The beginning of a text of several lines, which LINE puts in quotes, or of one that happens to begin with a quote."""
LINE_LONGEST = 1 << 15
"""Maximum bytes of a text in quotes: LINE allows 10,000 characters."""
LINE_TITLE = re.compile(
    r"\[LINE\] *(?:[與与]?(.+?)的聊天(?:[記记紀纪][錄录])?\s*$|(.+?)と?のトーク(?:履歴)?\s*$"
    r"|Chat history (?:with|in) (.+)|(.+))",
    re.MULTILINE,
)
"""The first line: of a chat with one person, with 與 or と; of a group's, without."""


@dataclass
class LineChatReader(TranscriptReader):
    """Reads LINE's export: time, name and text of a message are separated by tabs, the date is above each day."""

    name: ClassVar[str] = "line-chat"
    start: re.Pattern[str] = re.compile(f"{LINE_DAY.pattern}|{LINE_TIME}", re.MULTILINE)
    heading: ClassVar[re.Pattern[str] | None] = LINE_DAY
    names: frozenset[str] = frozenset()
    """The senders at the beginning of the chat."""

    def learn(self, head: bytes) -> None:
        """Find the name of the chat, and its senders."""
        self.reach = min(LINE_LONGEST, self.limit // 2)
        title = LINE_TITLE.match(self._decode([head[:4096]]))
        self.chat = next(filter(None, title.groups()))[:NAME] if title else ""
        lines = cut_lines(head, self.encoding)
        self.names = frozenset(name for at in self._starts(lines) if (name := self._sender(lines, at)))

    def begins(self, heads: Sequence[str], at: int) -> bool:
        """Return whether a line begins a message or a day, as far as one can tell without looking for quotes.

        Anybody may write a date in a message, and text below a day is not scored. A day therefore has an empty line
        before it and a message below it (unless nothing comes before or after it).
        """
        if not LINE_DAY.match(heads[at]):
            return True
        below = next((i for i in range(at + 1, len(heads)) if heads[i].strip()), None)
        return not (at and heads[at - 1].strip()) and (below is None or re.match(LINE_TIME, heads[below]) is not None)

    def last_heading(self, data: bytes) -> str | None:
        """Return the last day that is not part of a message; one above a known sender's message never is."""
        text = self._decode([data])
        days = list(LINE_DAY.finditer(text))
        if days and (said := LINE_SAID.match(text, days[-1].start())) and said[2] in self.names:
            return days[-1][1]
        lines = cut_lines(data, self.encoding) if days else []
        starts = (self._decode([lines[at]]).rstrip("\r") for at in reversed(self._starts(lines)))
        return next((match[1] for start in starts if (match := LINE_DAY.match(start))), None)

    def _starts(self, lines: list[bytes]) -> list[int]:
        """Return the lines that begin messages or days.

        Within quotes, only the messages of known senders count, and days above them: a quote that one message opens
        may happen to be closed by another.
        """
        starts, end = [], 0
        quoted = self._quoted(lines)
        for at in super()._starts(lines):
            if at >= end or self._sender(lines, at) in self.names:
                starts.append(at)
                if at in quoted:
                    end = max(end, quoted[at])
        return starts

    def _sender(self, lines: list[bytes], at: int) -> str:
        """Return who sent the message that a line begins, or the first one of the day that it begins, if known."""
        match = LINE_SAID.match(self._decode(lines[at : at + 2]))
        return match[2] if match else ""

    def _quoted(self, lines: list[bytes]) -> dict[int, int]:
        """Return of each line that seems to begin a text in quotes the number of the line below that text.

        Quotes within such a text are doubled or, in some versions of LINE, left alone. Usually their number is even, so
        the text ends with the first line at whose end there is a quote and an even number of quotes since its
        beginning. If there is none within `reach`, the text just begins with a quote.
        """
        quote, feed = (char.encode(self.encoding) for char in '"\n')
        found: list[tuple[int, str, int, int]] = []
        total = 0
        for at in [at for at, line in enumerate(lines) if quote in line]:
            text, before = lines[at].decode(self.encoding, "replace").rstrip("\r"), total
            total += text.count('"')
            found.append((at, text, before % 2, total % 2))
        sizes = list(accumulate(map(len, lines))) if found else []
        ends: dict[int, int] = {}
        last: dict[int, int] = {}
        for at, text, before, after in reversed(found):
            if before != after and before in last and LINE_QUOTED.match(text):
                end = last[before]
                if sizes[end] - sizes[at] + (end - at) * len(feed) <= self.reach:
                    ends[at] = end + 1
            if text.endswith('"'):
                last[after] = at
        return ends

    def row(self, message: str, heading: str) -> list[str] | str:
        """Return the columns of a message, or the reason why it is none; a text of several lines is in quotes."""
        if match := LINE_MESSAGE.match(message):
            text = match[3].rstrip("\n")
            if len(text) > 1 and text[0] == '"' == text[-1] and "\n" in text:
                text = text[1:-1].replace('""', '"')
            return [self.chat, match[2], f"{heading} {match[1]}".strip(), text]
        if re.match(LINE_TIME, message):
            return "a notice by LINE itself"
        return "" if LINE_DAY.fullmatch(message) or LINE_TITLE.match(message) else NO_MESSAGE


TRANSCRIPTS = (WhatsAppReader, QqReader, WeChatReader, LineChatReader)


def transcript(text: str) -> str | None:
    """Return the format of the chat that begins with ``text``; ``None`` if it is not a chat."""
    lines = [line.rstrip("\r ") for line in text.split("\n", SAMPLE)[:SAMPLE]]
    if _whatsapp(lines):
        return WhatsAppReader.name
    if LINE_TITLE.match(lines[0]) and any(map(LINE_MESSAGE.match, lines)):
        return LineChatReader.name
    heads = (line for before, line in pairwise(lines) if not before)
    if WECHAT_DAY.search("\n".join(lines)) and any(map(WECHAT_MESSAGE.match, heads)):
        return WeChatReader.name
    chat = QQ_TITLE.match(text) or any(_headed(lines, style) for style in HEAD_STYLES)
    return QqReader.name if chat else None


def _whatsapp(lines: list[str]) -> bool:
    """Return whether lines are a chat, which may begin with a title and notices, and not just lines with some times."""
    found = [(match[0].rstrip(), line[match.end() :]) for line in lines if (match := WHATSAPP_START.match(line))]
    heads, rests = [head for head, _ in found], [rest for _, rest in found]
    said = _count(WHATSAPP_SAID, rests)
    if not said or not _count(WHATSAPP_START, lines[:TITLE]):
        return False
    said += sum(rest.startswith(NOTICE) for rest in rests)
    if not any(head[-1] in "]-–" for head in heads):  # bare times, which anybody may write
        return 2 * len(heads) >= sum(map(bool, lines)) and 2 * said >= len(heads)
    # Android's notices have no mark, and a chat may begin with many, but its times have no seconds, as those of logs
    if any(head[-1] == "]" or SECONDS.search(head) for head in heads) and 4 * said < len(heads):
        return False
    return len(heads) > 1 or bool(WHATSAPP_START.match(lines[0]))


def _headed(lines: list[str], style: HeadStyle) -> bool:
    """Return whether lines have several heads above messages, and not just times at their beginnings or ends.

    A title may come before the first head, if empty lines follow it and precede all other heads. There is at least one
    line of text per two heads. Names may have sentence punctuation if each has two different texts below it on average:
    in a log, such a "name" is the text itself, or always has the same line below it.
    """
    begins = [bool(style.message.match(line)) for line in lines]
    if style.spaced(lines):
        heads = [(match, below) for line, below in pairwise(lines) if (match := style.anyone.match(line))]
        said = {(match[2] or match[3], below) for match, below in heads if below}
        if said and 2 * len({who for who, _ in said}) <= len(said):
            begins = [bool(style.anyone.match(line)) for line in lines]
    texts = sum(bool(line) and not style.stamped.match(line) for line in lines)
    crowded = any(begin and style.stamped.match(line) for begin, line in zip(begins, lines[1:], strict=False))
    first = next((at for at, begin in enumerate(begins[:TITLE]) if begin), TITLE)
    titled = 0 < first < TITLE and not lines[first - 1] and style.spaced(lines)
    return (first == 0 or titled) and 2 * texts >= sum(begins) > 1 and not crowded
