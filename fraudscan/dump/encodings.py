"""Detect the encoding of a source, and cut its bytes into lines."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from typing import TYPE_CHECKING

from fraudscan.dump.rows import DumpError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "MULTIBYTE",
    "bom_size",
    "canonical",
    "cut_lines",
    "decodes",
    "detect",
    "last_line_end",
    "line_end",
    "utf8_lines",
]

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

BIG5 = "cp950-hkscs"
"""The codec for what is called Big5: code page 950 of Windows, and Big5-HKSCS at the codes that it leaves free."""

OF_WINDOWS = bytes.fromhex("A145 A14E A1C2 A1E3 A1F2 A1F3 A241 A242 A244 A246 A247 A3E1 F9FE")
WINDOWS = {code: code.decode("cp950") for code in re.findall(b"..", OF_WINDOWS)}
"""The characters of Windows that Big5-HKSCS lacks (€) or has others for (∼ for ～), by their codes. From C6A1 to C8FE
Windows has only characters that users define, whatever Python's cp950 has there."""

WINDOWS_CODE = re.compile(b"|".join(map(re.escape, WINDOWS)))
HKSCS = codecs.lookup("big5hkscs")

MULTIBYTE, UTF16 = ("gb18030", BIG5), ("utf-16-le", "utf-16-be")
"""Candidates for bytes that have no byte order mark and are not UTF-8, the likelier first."""

UTF8_HAN = re.compile(rb"[\xe4-\xe9][\x80-\xbf]{2} ?[\xe2-\xef][\x80-\xbf]{2}")
"""A Chinese character in UTF-8, and another character after it or after a blank. A line that contains this and is valid
UTF-8 is in no other encoding: no message of the corpus, nor any part of one between punctuation marks, is such a line
in GB18030 or Big5."""

FREQUENT_IN_UTF16 = 0.1
"""Minimum share of frequent characters in text decoded as UTF-16. Bytes in any other encoding stay below it in 999 of
1,000 messages; bytes in UTF-16 exceed it in 99 of 100."""

FREQUENT = frozenset(
    "的一是不了在人有我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于"
    "起还发成事只作当想看文无开手用主行方又如前所本见经头面公同三已老从动两长知样现分将外但身些与高意进把法此实回二理美点月明其"
    "這來個國說們為時得會著過學對後麼還發當開無經頭動兩長樣現將與進實點請您謝請号銀號碼戶电話话服务務款訂单單费費元微信加"
)
"""Some of the most frequent characters of both scripts. Decoding with a wrong encoding gives other characters."""


def _decode_big5(data: Buffer, errors: str = "strict", final: bool = True) -> tuple[str, int]:
    """Decode `BIG5`: as Big5-HKSCS, from one code of Windows to the next. Return the text and the size of its bytes."""
    if final and not WINDOWS_CODE.search(data):
        return HKSCS.decode(data, errors)
    data, hkscs = bytes(data), codecs.getincrementaldecoder("big5hkscs")(errors)
    parts, at = [], 0
    for found in WINDOWS_CODE.finditer(data):
        parts.append(hkscs.decode(data[at : found.start() + 1]))
        at = found.start() + 1
        if hkscs.getstate()[0]:  # else that byte is the second one of another character
            hkscs.reset()
            parts.append(WINDOWS[found[0]])
            at = found.end()
    parts.append(hkscs.decode(data[at:], final))
    return "".join(parts), len(data) - len(hkscs.getstate()[0])


class _Big5Decoder(codecs.BufferedIncrementalDecoder):
    def _buffer_decode(self, data: Buffer, errors: str, final: bool) -> tuple[str, int]:
        return _decode_big5(data, errors, final)


CODEC = codecs.CodecInfo(codecs.ascii_encode, _decode_big5, incrementaldecoder=_Big5Decoder, name=BIG5)
"""It encodes ASCII only: the line feeds that the readers look for."""

codecs.register({BIG5.replace("-", "_"): CODEC}.get)


def canonical(name: str) -> str:
    """Return the name that the readers use for an encoding that a user named, if they can read it.

    >>> canonical("GBK"), canonical("UTF16"), canonical("big5")
    ('gb18030', 'utf-16-le', 'cp950-hkscs')

    """
    wider = {"gbk": "gb18030", "gb2312": "gb18030", "big5": BIG5, "cp950": BIG5}
    plain = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}
    try:
        found = codecs.lookup(name).name
        found = {**wider, **plain}.get(found, found)
        feed = "\n".encode(found)
        b"\n".decode(found, "backslashreplace")  # idna and similar codecs cannot skip what they cannot decode
    except (LookupError, UnicodeError):
        raise DumpError(f"no encoding is called {name!r}; try utf-8, utf-16, gb18030 or big5") from None
    if feed != b"\n" and not found.startswith("utf-16-"):
        raise DumpError(f"{name} is not supported; convert the dump to UTF-8 (iconv -f {name} -t UTF-8)")
    return found


def bom_size(data: bytes, encoding: str) -> int:
    """Return the size in bytes of the encoding's byte order mark at the start of ``data``; 0 if it is not there."""
    return next((len(bom) for bom, name in BOMS if name == encoding and data.startswith(bom)), 0)


def detect(data: bytes) -> str:
    r"""Return the encoding of the start of a source.

    A byte order mark decides. Without one, bytes that are valid as UTF-8 are UTF-8, unless so many of them are zero
    that they must be ASCII characters in UTF-16. Otherwise the best candidate is the one that gives the most frequent
    characters and the fewest undecodable ones. UTF-16 is also recognized by the zero bytes of the ASCII characters in
    it. UTF-8 may have some damaged bytes: it is chosen if more characters of three bytes, as those of Chinese are, can
    be decoded than cannot, or if more than four in five of all characters beyond ASCII can. In GB18030, no message of
    the corpus looks like that, except for the few that are valid UTF-8 as well.

    >>> detect("到楼下了，下来拿快递".encode("gb18030"))
    'gb18030'
    >>> detect("您的包裹已經到了，請來取".encode("big5"))
    'cp950-hkscs'
    >>> detect("一起吃饭吗\n明天一早走".encode("utf-16-be"))
    'utf-16-be'

    """
    for bom, name in BOMS:
        if data.startswith(bom):
            return name
    utf16, zeros = _zeros(data)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)  # a character may be cut in two at the end
    except UnicodeDecodeError:
        return _detect_foreign(data, utf16 if zeros > len(data) // 100 else "")
    return utf16 if zeros > len(data) // 3 else "utf-8"  # ASCII encoded as UTF-16 is valid UTF-8


def _zeros(data: bytes) -> tuple[str, int]:
    """Return the variant of UTF-16 that the zero bytes suggest, and their number.

    The number is 0 if zero bytes are frequent at both even and odd offsets.
    """
    even, odd = data[::2].count(0), data[1::2].count(0)
    name, fewer, more = ("utf-16-be", odd, even) if even > odd else ("utf-16-le", even, odd)
    return name, more if more > 10 * fewer else 0


def _detect_foreign(data: bytes, utf16: str) -> str:
    """Return the encoding of bytes that are not entirely UTF-8.

    Lines in UTF-8 do not count when GB18030 and Big5 are compared: more of their bytes are undecodable in Big5.

    ``utf16`` is the variant of UTF-16 that zero bytes suggest; empty if there is none.
    """
    odd = utf8_lines(data)
    rest = b"\n".join(line for at, line in enumerate(data.split(b"\n")) if at not in odd) if odd else data
    shares = {name: _plausibility(rest if name in MULTIBYTE else data, name) for name in (*MULTIBYTE, *UTF16)}
    likeliest = max(shares, key=shares.__getitem__)
    if likeliest in UTF16 and shares[likeliest] >= FREQUENT_IN_UTF16:
        return likeliest
    if utf16:
        return utf16
    beyond = [char for char in data.decode("utf-8", "replace") if char > "\x7f"]
    damaged = beyond.count("\ufffd")
    chinese = sum(char > "\u07ff" for char in beyond) - damaged
    if damaged < chinese or 5 * damaged < len(beyond):
        return "utf-8"
    return max(MULTIBYTE, key=shares.__getitem__)


def _plausibility(data: bytes, name: str) -> float:
    counts = Counter(data.decode(name, "replace"))
    beyond = sum(count for char, count in counts.items() if char > "\x7f")
    return (sum(counts[char] for char in FREQUENT) - 5 * counts["\ufffd"]) / max(beyond, 1)


def utf8_lines(data: bytes) -> set[int]:
    r"""Return the indices of those lines of GB18030 or Big5 that are UTF-8 beyond doubt.

    Many of them can be decoded in these encodings too, as other characters.

    >>> utf8_lines("到楼下了\n".encode("gb18030") + "到楼下了\nok\n".encode())
    {1}

    """
    if not UTF8_HAN.search(data):  # this saves nearly all the time
        return set()
    return {at for at, line in enumerate(data.split(b"\n")) if UTF8_HAN.search(line) and decodes(line, "utf-8")}


def decodes(data: bytes, encoding: str) -> bool:
    """Return whether bytes are valid in an encoding."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def line_end(data: bytes, encoding: str, start: int = 0) -> int:
    """Return the offset after the line feed of the line that begins at ``start``; 0 if it does not end in ``data``."""
    feed = "\n".encode(encoding)
    at = data.find(feed, start)
    while at != -1 and at % len(feed):
        at = data.find(feed, at + 1)
    return at + len(feed) if at != -1 else 0


def last_line_end(data: bytes, encoding: str) -> int:
    """Return the offset after the line feed of the last whole line of ``data``; 0 if there is none."""
    feed = "\n".encode(encoding)
    at = data.rfind(feed)
    while at != -1 and at % len(feed):
        at = data.rfind(feed, 0, at + len(feed) - 1)
    return at + len(feed) if at != -1 else 0


def cut_lines(data: bytes, encoding: str) -> list[bytes]:
    """Return the lines of ``data`` without their line feeds; the bytes after the last line feed are a line too.

    In every encoding except UTF-16, a byte 0A is always a line feed.
    """
    if not encoding.startswith("utf-16"):
        return data.split(b"\n")
    lines, start = [], 0
    while end := line_end(data, encoding, start):
        lines.append(data[start : end - 2])
        start = end
    return [*lines, data[start:]]
