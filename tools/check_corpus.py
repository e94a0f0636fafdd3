"""Check that the corpus keeps its promises, and print the table of its datasheet.

``make corpus-check`` runs this. With ``--write`` the table in ``corpus/README.md`` is
updated; without it a stale table is a fault. Every fault is printed, and the exit status
is 1 if there are any.

In addition to the loader's checks, this checks the size of every label and kind, the
number of rows in pairs, the share of excerpts and of lures with several schemes, near-duplicates,
twins without their counterpart, lures with hardly any text, and numbers, domains and
names that could belong to somebody, also in ``tests/cases``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from fraudscan.characters import fold
from fraudscan.corpus import CHANNELS, Row, near_duplicates, read_corpus
from fraudscan.taxonomy import TAXONOMY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from test_cases import read_cases  # noqa: E402 - needs the path

CORPUS = ROOT / "corpus"
DATASHEET = CORPUS / "README.md"
BEGIN, END = "<!-- table: tools/check_corpus.py --write -->\n", "<!-- end of table -->\n"

KINDS = ("chat", "notice", "ad", "warning", "talk", "article")
"""The kinds of honest messages; their files are named after them."""

# Minimum sizes: of a pretence, of each scheme of the pretences that have many, and of each honest kind.
LABEL_SIZE = 700
SCHEME_SIZES = {"other_fraud": 250, "related_crime": 150}
KIND_SIZES = {"chat": 1500, "notice": 1500, "ad": 1500, "warning": 500, "talk": 500, "article": 2000}
PAIRED = 1500  # rows that belong to a pair of a lure and its honest twin
SEVERAL_LABELS = 1 / 8  # share of lures that have two schemes or more
SHORTEST = 3  # characters of a lure
EXCERPTS = 1 / 5  # number of excerpts of conversations, as a share of the messages that are not SMS or posts

MOBILE = re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d(?:[- ]?\d{4}){2}(?!\d)")
CARD = re.compile(r"(?<![\d*])\d(?:[ -]?\d){14,18}(?![\d*])")
DOMAIN = re.compile(
    r"(?<![a-z0-9.-])((?:[a-z0-9_-]+\.)+"
    r"(?:com|cn|net|org|cc|top|vip|xyz|info|io|me|co|tv|site|shop|club|app|gov|edu|hk|tw|biz|in|la|ru|us|ltd|online|fun))"
    r"(?![a-z0-9_-]|\.[a-z])",
    re.IGNORECASE,
)

TELEGRAM = re.compile(r"(?<![\w.@+-])@([A-Za-z][A-Za-z0-9_]{4,31})(?![A-Za-z0-9_.-]*[A-Za-z0-9-])")
"""The names that Telegram allows: five to 32 letters, digits and underscores, beginning with a letter."""

WECHAT = re.compile(
    r"(?:微信|威信|薇信|(?<![A-Za-z0-9])VX|[微薇威])[号:：\s是]{0,3}([A-Za-z][A-Za-z0-9_-]{5,19})(?![A-Za-z0-9_.-])",
    re.IGNORECASE,
)
"""The names that WeChat allows: six to twenty letters, digits, underscores and hyphens, beginning with a letter."""

NOT_PERSONAL = {"spambot", "deprecated", "csrf_exempt", "betway", "verification"}
"""Words that look like a person's name but are not: a service, programming terms, a brand."""


def luhn(digits: str) -> bool:
    """Return whether the last digit is the check digit of a bank card (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * (1 + place % 2)
        total += doubled - 9 * (doubled > 9)
    return total % 10 == 0


def free_domain(domain: str) -> bool:
    """Return whether nobody can own ``domain``.

    Labels with hyphens in positions three and four are reserved (RFC 5891, 4.2.3.1; only "xn--" is in use). No label
    may begin or end with a hyphen or contain an underscore (RFC 1123, 2.1). Three domains are reserved for examples
    (RFC 2606, 3).
    """
    labels = domain.lower().split(".")
    return labels[-2:] in (["example", "com"], ["example", "net"], ["example", "org"]) or any(
        "_" in label or label.startswith("-") or label.endswith("-") or (label[2:4] == "--" and label[:2] != "xn")
        for label in labels
    )


def forbidden(text: str) -> Iterator[str]:
    """Yield the numbers, domains and names in ``text`` that could belong to somebody."""
    yield from (f"phone number {m.group()}" for m in MOBILE.finditer(text))
    yield from (f"card number {m.group()}" for m in CARD.finditer(text) if luhn(re.sub(r"\D", "", m.group())))
    yield from (f"domain {m.group(1)}" for m in DOMAIN.finditer(text) if not free_domain(m.group(1)))
    names = (m.group(1) for pattern in (TELEGRAM, WECHAT) for m in pattern.finditer(text))
    yield from (f"name {name}" for name in names if name.lower() not in NOT_PERSONAL)


def part_of(row: Row) -> str:
    """Return the label of a lure, or the kind of an honest message (the first part of its id)."""
    return TAXONOMY.scheme(row.labels[0]).label if row.labels else row.kind


def duplicates(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a fault for each pair of near-duplicates within a label. Names of stickers count as they are written."""
    by_label = defaultdict(list)
    for row in rows:
        by_label[part_of(row) if row.labels else "legitimate"].append(row)
    for group in by_label.values():
        for block in near_duplicates([row.text.replace("[", "【") for row in group]):
            for i, j, similarity in zip(*block, strict=True):
                yield f"{group[i].id} and {group[j].id} are near-duplicates ({similarity:.2f})"


def sizes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a fault for each count that is smaller than promised."""
    labels, schemes = Counter(map(part_of, rows)), Counter(row.labels[0] for row in rows if row.labels)
    wanted = [(name, labels[name], size) for name, size in KIND_SIZES.items()]
    for label in TAXONOMY.labels:
        if label.name in SCHEME_SIZES:
            wanted += [(scheme.name, schemes[scheme.name], SCHEME_SIZES[label.name]) for scheme in label.schemes]
        elif label.schemes:
            wanted.append((label.name, labels[label.name], LABEL_SIZE))
    lures = [row for row in rows if row.labels]
    several = sum(len(row.labels) > 1 for row in lures)
    talk = [row for row in rows if row.channel not in ("sms", "post")]
    wanted += [
        ("rows in pairs", sum(row.pair is not None for row in rows), PAIRED),
        ("lures with several schemes", several, round(len(lures) * SEVERAL_LABELS)),
        ("conversations", sum(map(is_excerpt, rows)), round(len(talk) * EXCERPTS)),
    ]
    yield from (f"{name}: {count}, promised {size}" for name, count, size in wanted if count < size)


def broken(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a fault for each lure that is too short, and for each row whose twin is missing."""
    sides = defaultdict(set)
    for row in rows:
        sides[row.pair].add(bool(row.labels))
        if row.labels and len(row.text) < SHORTEST:
            yield f"{row.id}: {row.text!r} is too short for a lure: use {SHORTEST} characters or more"
    yield from (f"{row.id} has no twin" for row in rows if row.pair is not None and len(sides[row.pair]) == 1)


def is_excerpt(row: Row) -> bool:
    """Return whether the message contains both speakers of a conversation."""
    return (
        row.channel == "dialogue" or len(re.findall(r"(?:^|[\n】/—\s])[^\s：:]{1,8}[：:]|【\w{1,4}】", row.text)) >= 2
    )


def table(rows: Sequence[Row]) -> str:
    """Return the counts as Markdown."""
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[row.labels[0] if row.labels else part_of(row)].append(row)
    lines = [
        f"| label | scheme or kind | messages | {' | '.join(CHANNELS)} | median length | plots | 4-grams | similar |",
        "| --- | --- | " + "---: | " * (len(CHANNELS) + 5),
    ]
    names = [(s.label, s.name) for s in TAXONOMY.schemes] + [("legitimate", kind) for kind in KINDS]
    for label, name in names:
        group = parts[name]
        texts = [fold(row.text) for row in group]
        grams = {text[i : i + 4] for text in texts for i in range(len(text) - 3)}
        alike = {k for i, j, _ in near_duplicates(texts, 0.4) for k in (*i.tolist(), *j.tolist())}
        channels = Counter(row.channel for row in group)
        lengths = sorted(len(row.text) for row in group)
        cells = [len(group), *(channels[c] for c in CHANNELS), lengths[len(lengths) // 2] if lengths else 0]
        cells += [len({row.scenario for row in group}), len(grams)]
        share = len(alike) / max(1, len(group))
        lines.append(f"| {label} | {name} | " + " | ".join(f"{cell:,}" for cell in cells) + f" | {share:.1%} |")
    lures = sum(bool(row.labels) for row in rows)
    several = sum(len(row.labels) > 1 for row in rows)
    paired = sum(row.pair is not None for row in rows)
    lines.append(f"""
{len(rows):,} messages, {lures:,} of them lures. {several:,} lures have several schemes; {paired:,} messages
belong to pairs of a lure and its honest twin; {sum(map(is_excerpt, rows)):,} are excerpts of conversations. A message
is counted under its first scheme. "Similar" is the share of messages whose Jaccard similarity of trigrams to another
message in the same row of the table is 0.4 or more. It measures how many messages follow a template.""")
    return "\n".join(lines) + "\n"


def with_table(begin: str, found: str, end: str) -> str:
    """Return the datasheet with the table ``found`` between the marks ``begin`` and ``end``."""
    before, _, rest = DATASHEET.read_text("utf-8").partition(begin)
    return f"{before}{begin}\n{found}\n{end}{rest.partition(end)[2]}"


def main() -> int:
    """Print the table and the faults; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="update the table in the datasheet")
    arguments = parser.parse_args()
    rows = read_corpus([CORPUS])
    found = table(rows)
    print(found)
    faults = [*sizes(rows), *broken(rows), *duplicates(rows)]
    texts = {row.id: row.text for row in rows} | {case["id"]: case["text"] for case in read_cases()}
    faults += [f"{name}: {what} could belong to somebody" for name, text in texts.items() for what in forbidden(text)]
    sheet = with_table(BEGIN, found, END)
    if arguments.write:
        DATASHEET.write_text(sheet, "utf-8")
    elif sheet != DATASHEET.read_text("utf-8"):
        faults.append("the table in corpus/README.md is out of date: run tools/check_corpus.py --write")
    for fault in faults:
        print(f"FAULT {fault}", file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
