"""Results for people: text with its evidence in colour, for notebooks and terminals.

Both are built from the data that `Result` provides. The text is escaped: markup is shown as it
was written, and control characters, which could move a terminal's cursor or reverse the
direction of writing, are shown as their code points.
"""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import unicodedata
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fraudscan.explain import Span
    from fraudscan.result import Result

__all__ = ["coloured", "printable", "quoted", "shown_name", "to_ansi", "to_html", "to_json"]

FOR, AGAINST = ("#ffd9a0", "#cfe3ff")
"""Background colours of evidence for and against: orange and blue, which colour-blind readers can distinguish. Black
text on them has a contrast of at least 15 to 1; WCAG 2 asks for 7. Evidence for is underlined as well."""

ANSI = {True: "\x1b[30;43m", False: "\x1b[30;46m"}
"""Black on yellow for, black on cyan against: the closest of the 8 colours of terminals."""

UNSEEN = re.compile("[\\x7f-\\x9f\\xad\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ud800-\\udfff]")
"""Control and format characters that a terminal obeys and JSON does not escape, and halves of surrogate pairs."""

UNDECODED = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}
"""The lone surrogates by which Python represents bytes of file names that it cannot decode, and what is shown for them.
Strict readers of JSON refuse surrogates."""

WEAKEST = 0.25
"""Spans that move the log-odds by less are not coloured."""


WINDOWS = os.name == "nt"


def to_html(result: Result) -> str:
    """Return a result as an HTML fragment, for notebooks."""

    def mark(span: Span) -> str:
        colour, line = (FOR, "underline") if span.weight > 0 else (AGAINST, "none")
        style = f"background:{colour};color:#000;text-decoration:{line};padding:0 1px"
        return f'<mark style="{style}" title="{span.weight:+.2f}">{_escaped(span.text)}</mark>'

    spans = result.explain()
    looks = f"looks like {spans.label}" if spans.label != result.label and spans.strongest() else None
    facts = [result.label, *filter(None, [result.scheme, f"{result.score:.3f}", *result.notes, result.rule, looks])]
    head = " · ".join(map(_escaped, facts))
    body = _highlighted(result.text, spans, mark, _escaped)
    return f"<div><strong>{_escaped(result.verdict)}</strong> {head}<p>{body}</p></div>"


def to_ansi(text: str, spans: Iterable[Span]) -> str:
    """Return ``text`` with its evidence in terminal colours."""
    return _highlighted(text, spans, lambda span: f"{ANSI[span.weight > 0]}{printable(span.text)}\x1b[0m", printable)


def printable(text: str) -> str:
    r"""Return ``text`` with control and format characters and surrogates as their code points; line breaks are kept.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'

    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character in "\n\t\u3000" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def shown_name(name: str) -> str:
    r"""Return the name of a file with its undecodable bytes as ``\xNN``.

    >>> shown_name(b"\xba\xda.txt".decode(errors="surrogateescape"))
    '\\xba\\xda.txt'

    """
    return name.translate(UNDECODED)


def to_json(data: Any, **options: Any) -> str:
    r"""Return data as JSON, with characters that a terminal would obey escaped; it decodes to the same data.

    >>> to_json({"好": "\x9b2J"})
    '{"好": "\\u009b2J"}'

    """
    return UNSEEN.sub(lambda match: json.dumps(match[0])[1:-1], json.dumps(data, ensure_ascii=False, **options))


def quoted(argument: str) -> str:
    """Return an argument of a command as it is typed in a shell: in single quotes, or in double ones on Windows."""
    plain = shlex.quote(argument)
    if plain == argument or not WINDOWS:
        return plain
    from subprocess import list2cmdline  # takes time to import

    escaped = list2cmdline([argument])
    if escaped.startswith('"'):
        return escaped
    backslashes = argument[len(argument.rstrip("\\")) :]  # of which two stand for one before a quotation mark
    return f'"{escaped}{backslashes}"'


def coloured(file: TextIO) -> bool:
    """Return whether ``file`` is a terminal whose user wants colours (https://no-color.org)."""
    return file.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _escaped(text: str) -> str:
    return html.escape(printable(text)).replace("\n", "<br>")


def _highlighted(text: str, spans: Iterable[Span], mark: Callable[[Span], str], plain: Callable[[str], str]) -> str:
    parts, done = [], 0
    for span in sorted(spans, key=lambda span: span.start):
        if abs(span.weight) >= WEAKEST:
            parts += [plain(text[done : span.start]), mark(span)]
            done = span.end
    return "".join([*parts, plain(text[done:])])
