r"""Patterns of allow and deny lists: regular expressions that cannot hang, however hostile the text.

A pattern may use characters, sets, groups, alternatives, anchors and bounded repetitions. It may be
tried in at most `WAYS` ways from each position, and a match may be at most `LONGEST` characters
long. If google-re2 is installed, repetitions need no bounds. ``\d`` and ``\w`` match ASCII only.
Characters may be written in any script, width and case, as in phrases: ``/加LINE|加賴/``.
"""

from __future__ import annotations

import importlib
import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

from fraudscan.characters import MARKUP, fold_for_lists, without_markup
from fraudscan.errors import FraudscanError
from fraudscan.features import MAX_NGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HAS_MARKUP", "LONGEST", "WAYS", "PatternError", "compile_pattern", "needed_by"]

PARSER: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|N\{([^}]+)\}|.)", re.DOTALL)
"""Finds escapes; the groups are what RE2 does not know: code points in hexadecimal digits, and names of characters."""

SET_OR_BOUND = re.compile(r"\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\{,(?=\d+\})|\\(?:N\{[^}]*\}|.)", re.DOTALL)
"""Finds sets, the starts of repetitions without a lower bound, and escapes, in which neither of them begins."""

TOKEN = re.compile(
    r"\\(?:N\{[^}]*\}|.)|(\[\^?\]?)((?:\\.|\[:\w+:\]|[^\]\\])*)\]|\(\?(?:P?<\w*>?|[\w-]*[:)]?)|.", re.DOTALL
)
"""Finds escapes, sets (the groups are the beginning and the members), the heads of groups, and characters."""

MEMBER = re.compile(r"\\(?:N\{[^}]*\}|.)|\[:\w+:\]|([^\\])-([^\\])|.", re.DOTALL)
"""Finds the escapes, classes, ranges (the groups are their ends) and characters of a set."""

HAS_MARKUP = "lists match texts without mark-up such as <br>, \\n and [玫瑰]: leave it out"
"""The error in a pattern or a phrase with mark-up."""

KNOWN = 4 * max(map(len, MARKUP))
"""How many characters before an item show whether it completes mark-up, also after beginnings of other mark-up."""

WAYS = 500
"""The maximum number of ways to try a pattern from one position. Two repetitions of up to 20 take 441."""

LONGEST = MAX_NGRAM
"""The maximum length of a match in characters: the length of a message. With `WAYS` it limits the work to 100,000 steps
per character; what people write takes only a few."""


class PatternError(FraudscanError, ValueError):
    """A pattern cannot be used; the message says why."""


def compile_pattern(pattern: str) -> Any:
    """Compile a regular expression that cannot hang: with RE2 if it is installed, otherwise with `re` within limits.

    Raises:
        PatternError: if it is not a regular expression, uses a construct that is not supported, could hang, matches
            every text, or has characters that no folded text has.

    """
    pattern = _folded(pattern)
    try:
        parsed = PARSER.parse(pattern, re.ASCII)
    except (re.error, ValueError, OverflowError, RecursionError) as error:  # ValueError: flags that exclude each other
        raise PatternError(f"not a regular expression: {error}") from None
    re2 = _re2()
    ways, _, shortest = _bounds(parsed, bounded=re2 is None)
    if shortest == 0:
        raise PatternError("it matches every text")
    if re2 is None:
        if ways > WAYS:
            raise PatternError(f"it could be tried in {ways:,} ways from each position; the limit is {WAYS:,}")
        return re.compile(pattern, re.ASCII)
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(_for_re2(pattern), options)
    except UnicodeEncodeError:
        raise PatternError("half of a surrogate pair occurs in it") from None
    except re2.error as error:
        reason = error.args[0]
        reason = reason.decode() if isinstance(reason, bytes) else reason
        raise PatternError(f"RE2 does not accept it: {reason}") from None


def _folded(pattern: str) -> str:
    """Return a pattern with its characters as lists read them."""
    return TOKEN.sub(_fold_token, pattern)


def _fold_token(token: re.Match[str]) -> str:
    written, beginning, members = token.group(0, 1, 2)
    if beginning:
        return f"{beginning}{MEMBER.sub(_fold_member, members)}]"
    return _fold_character(written) if len(written) == 1 else written


def _fold_member(member: re.Match[str]) -> str:
    written, first, last = member.group(0, 1, 2)
    if first is None:
        return _fold_character(written) if len(written) == 1 else written
    if ord(_folded_form(last)) - ord(_folded_form(first)) != ord(last) - ord(first):
        return written  # what lies between the folded ends is something else
    return f"{_fold_character(first)}-{_fold_character(last)}"


def _fold_character(character: str) -> str:
    """Return the folded form of a character, as a pattern writes it: a bracket in full width is no operator."""
    form = _folded_form(character)
    return character if form == character else re.escape(form)


def _folded_form(character: str) -> str:
    return fold_for_lists(character) or character  # what is dropped is refused


def _for_re2(pattern: str) -> str:
    """Return a pattern of `re` as RE2 writes it."""
    bounded = SET_OR_BOUND.sub(lambda found: "{0," if found[0] == "{," else found[0], pattern)
    return ESCAPE.sub(_escape_for_re2, bounded)


def _escape_for_re2(escape: re.Match[str]) -> str:
    kind, digits, name = escape[0][1], escape[1] or escape[2], escape[3]
    if digits or name:
        return f"\\x{{{int(digits, 16) if digits else ord(unicodedata.lookup(name)):x}}}"
    if kind == "Z":
        return r"\z"
    return escape[0] if kind.isascii() else kind


def needed_by(pattern: str) -> frozenset[str]:
    """Return characters that occur in every match of a pattern, so that few patterns need to be tried on a text.

    >>> sorted(needed_by("加.{0,3}微信?"))
    ['加', '微']

    """
    parsed = PARSER.parse(_folded(pattern), re.ASCII)
    if parsed.state.flags & re.IGNORECASE or "[:" in pattern:  # `re` parses RE2's [[:alpha:]] as a set and a bracket
        return frozenset()
    return frozenset(_needed(parsed))


def _needed(items: Any) -> Iterator[str]:
    for operation, value in items:
        if str(operation) == "LITERAL":
            yield chr(value)
        elif str(operation) == "SUBPATTERN":
            yield from _needed(value[3])
        elif str(operation) in {"MAX_REPEAT", "MIN_REPEAT"} and value[0]:
            yield from _needed(value[2])


def _re2() -> Any:
    try:
        return importlib.import_module("re2")
    except ImportError:
        return None


def _bounds(items: Any, *, bounded: bool, before: str = "") -> tuple[int, int, int]:
    """Return the number of ways to try a sequence from one position, and the lengths of its longest and shortest match.

    Ways multiply along a sequence and add up over alternatives and repetitions. So not only nested and adjacent
    repetitions count, but all that could be tried one after the other. ``before`` is what is known of the text before
    the sequence; mark-up is refused.
    """
    ways, longest, shortest, written = 1, 0, 0, before
    for operation, value in items:
        more, long, short = _item(str(operation), value, bounded=bounded, before=written)
        known, new = written[-KNOWN:], _shortest(str(operation), value)
        written = known + new
        if without_markup(written)[len(known) :] != new:
            raise PatternError(HAS_MARKUP)
        ways, longest, shortest = ways * more, longest + long, shortest + short
        if bounded and longest > LONGEST:
            raise PatternError(f"a match could be longer than {LONGEST:,} characters")
        ways = min(ways, WAYS**2)  # enough for a refusal
    return ways, longest, shortest


def _shortest(operation: str, value: Any) -> str:
    """Return the shortest text that an item matches, with U+FFFD for what is not known."""
    if operation == "LITERAL":
        return chr(value)
    if operation in {"MAX_REPEAT", "MIN_REPEAT"}:
        low, _, items = value
        return "".join(_shortest(str(inner), each) for inner, each in items) if low else ""
    return "\ufffd"


def _item(operation: str, value: Any, *, bounded: bool, before: str) -> tuple[int, int, int]:
    if operation in {"LITERAL", "NOT_LITERAL", "IN", "ANY"}:
        _check_set(value if operation == "IN" else [(operation, value)])
        return 1, 1, 1
    if operation == "AT":
        return 1, 0, 0
    if operation == "SUBPATTERN" and not value[1] and not value[2]:
        return _bounds(value[3], bounded=bounded, before=before)
    if operation == "BRANCH":
        each = [_bounds(branch, bounded=bounded, before=before) for branch in value[1]]
        ways, longest, shortest = zip(*each, strict=True)
        return sum(ways), max(longest), min(shortest)
    if operation in {"MAX_REPEAT", "MIN_REPEAT"}:
        return _repetition(*value, bounded=bounded)
    names = {"GROUPREF": "a back reference", "ASSERT": "a look-around", "ASSERT_NOT": "a look-around"}
    raise PatternError(
        f"{names.get(operation, 'this construct')} is not supported: use characters, sets, groups, | and {{}}"
    )


def _repetition(low: int, high: Any, items: Any, *, bounded: bool) -> tuple[int, int, int]:
    if low == 0 and len(items) == 1 and str(items[0][0]) == "IN" and _is_space(items[0][1]):
        return 1, 0, 0  # folded texts have no white space
    ways, longest, shortest = _bounds(items, bounded=bounded)
    if int(high) > LONGEST:
        if bounded and int(high) == int(PARSER.MAXREPEAT):
            raise PatternError("* and + have no bound: write {0,20} or {1,20}, or install google-re2")
        if bounded:
            raise PatternError(f"a match could be longer than {LONGEST:,} characters")
        high = max(low, LONGEST)
    total = sum(min(ways ** min(count, 32), WAYS**2) if ways > 1 else 1 for count in range(low, int(high) + 1))
    return max(1, total), longest * int(high), shortest * low


def _check_set(members: Any) -> None:
    """Refuse a set with a character or range that never occurs in a folded text."""
    if _is_space(members):
        raise PatternError("lists match texts without their white space: leave \\s out")
    for kind, member in members:
        if str(kind) in {"LITERAL", "NOT_LITERAL", "RANGE"}:
            _check_characters(*(member if str(kind) == "RANGE" else (member, member)))


def _is_space(members: Any) -> bool:
    return {str(member) for _, member in members} == {"CATEGORY_SPACE"}


def _check_characters(first: int, last: int) -> None:
    """Refuse a range of characters, none of which can occur in a folded text."""
    if any(fold_for_lists(chr(code)) == chr(code) for code in range(first, last + 1)):
        return
    advice = f"write {fold_for_lists(chr(first))}" if fold_for_lists(chr(first)) else "leave it out"
    raise PatternError(f"{chr(first)!r} never occurs in a text as lists match it: {advice}")
