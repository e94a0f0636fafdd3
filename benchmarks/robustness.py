"""How much quality is left when messages are disguised: ``make robustness``.

The first table has a row for each kind of disguise in `perturb` (and one for two kinds at once) and for each half of
its marks, those that the tables were built for and those that nothing in the package knows. It gives the share of lures
that are still found (a score of at least one half), the share of lures that still get a right label, and the share of
honest messages that are taken for fraud. They are measured on folds of the corpus from which neither the model nor the
tables of ordinary neighbours were built and, if they are beside the checkout, on the evaluation sets ``script`` and
``fbs``. Further rows give the same figures for messages with text around them that says nothing about
them (`perturb.WRAPPINGS`). ``robustness.json`` contains the figures of this table for the model card.

The second table shows how well a lure of 25 to 60 characters is found in a chat of 2,000. Chats are made either of
honest lines of chat and talk that are not twins, many of them written because they are hard, or of stretches of
third-party conversations (see `reading`). The lines and the lures come from a fold that the model was not trained on.
The third table does the same for lures that are split into several messages of a conversation of such lines, scored
as by ``fraudscan score --by``. Models are cached in ``benchmarks/.cache``.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import json
import math
import random
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import perturb
import reading

from fraudscan import load, neighbours
from fraudscan.corpus import Row, digest, read_corpus
from fraudscan.taxonomy import TAXONOMY
from fraudscan.train import TrainingOptions, folds_of, train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fraudscan import Scanner
    from fraudscan.decisions import Decisions

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "benchmarks" / ".cache"
TRAINING = sorted((ROOT / "fraudscan").glob("*.py"))
"""The code that trains models, and more; models that other code trained are not taken from `CACHE`."""
EVALUATION = ROOT.parent / "shared" / "eval" / "dev"
SHOWN = ("recall", "right label", "false alarms")
"""The names of the `Figures` in tables."""

HEAD = """# Robustness

Written by `make robustness` (`benchmarks/robustness.py`, which describes the method). Do not edit.

Percentage of lures found (a score of at least one half), of lures with a right label, and of honest messages taken for
fraud. "Known" marks are those that the tables were built for; "unknown" marks are not known to any part of the package.

"""
CHATS_HEAD = """
A lure of 25 to 60 characters in a chat of 2,000: the percentage of chats with a higher score than 99 % or 90 % of the
honest chats, with a score above one half, and with a score above the threshold to flag; and, of the chats above 90 % of
the honest ones, the percentage in which the deciding window overlaps the lure.

| | above 99 % of honest chats | above 90 % | above one half | flagged | decided at the lure |
| --- | ---: | ---: | ---: | ---: | ---: |
"""
CHATS, LENGTH = 1500, 2000
STRETCH = 20
"""The number of consecutive third-party utterances that a chat takes at a time."""
CONVERSATIONS_HEAD = """
A lure of 60 to 400 characters, split into several messages of a conversation of about a hundred lines, with other
messages in between: the percentage of conversations with a higher score than 99 % or 95 % of the honest ones, with a
score above one half, and with the verdict `flag`.

| | above 99 % of honest ones | above 95 % | above one half | flagged |
| --- | ---: | ---: | ---: | ---: |
"""
MESSAGES, BETWEEN = 100, 0.4
"""The number of honest lines in a conversation, and the probability that one of them follows a message of the lure."""
HONEST = TAXONOMY.honest
FOLDS = 5

sys.path.insert(0, str(ROOT / "tools"))


class Message(NamedTuple):
    """A text and its right labels."""

    text: str
    labels: set[str]


class Figures(NamedTuple):
    """Percentages: lures found, lures with a right label, honest messages taken for fraud (NaN if there are none)."""

    recall: float
    accuracy: float
    false_alarms: float


def from_corpus(rows: list[Row]) -> list[Message]:
    """Return corpus rows as messages."""
    return [Message(row.text, {TAXONOMY.scheme(name).label for name in row.labels} or {HONEST}) for row in rows]


def from_evaluation(name: str) -> list[Message]:
    """Return an evaluation set; empty if there is none."""
    path = EVALUATION / f"{name}.jsonl"
    if not path.is_file():
        return []
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    return [Message(row["text"], set(row["labels"])) for row in rows]


def measure(
    scanner: Scanner, messages: list[Message], change: Callable[[str, random.Random], str], seed: str = ""
) -> Figures:
    """Return the figures for the messages after ``change``, whose random choices ``seed`` determines."""
    rng = random.Random(seed)  # noqa: S311 - a fixed choice, not a secret
    found = scanner.decide([change(message.text, rng) for message in messages])
    lure = np.array([HONEST not in message.labels for message in messages])
    fraud = found.scores >= 0.5
    right = [
        label in message.labels or ("fraud" in message.labels and label != HONEST)
        for label, message in zip(found.label, messages, strict=True)
    ]

    def share(hits: np.ndarray, among: np.ndarray) -> float:
        return 100 * float(hits[among].mean()) if among.any() else float("nan")

    return Figures(share(fraud, lure), share(np.array(right), lure), share(fraud, ~lure))


def model_without(rows: list[Row], inside: list[int], disguised: float) -> tuple[Scanner, neighbours.Tables]:
    """Return the model and the tables built from the rows ``inside``; the model is cached."""
    from build_disguise import tables

    part = [rows[i] for i in inside]
    arrays = tables(part)
    layout = neighbours.Tables(arrays)
    made_of = digest(part).encode(), *(a.tobytes() for a in arrays.values()), *(file.read_bytes() for file in TRAINING)
    key = hashlib.sha256(b"".join(made_of)).hexdigest()[:16]
    folder = CACHE / f"{key}-{disguised:g}"
    with neighbours.other_tables(layout):
        if not folder.is_dir():
            train(part, options=TrainingOptions(disguised=disguised, folds=3)).save(folder)
        return load(folder), layout


def figures(scanner: Scanner, sets: dict[str, list[Message]]) -> dict[str, dict[str, Figures]]:
    """Return, for each row of the table, the figures of each set of messages."""
    table = {"clean": {k: measure(scanner, v, lambda text, _: text) for k, v in sets.items()}}
    for kind, known in itertools.product([*perturb.KINDS, "mixed"], (True, False)):
        change = functools.partial(perturb.disguise, kind=kind, known=known)
        row = {k: measure(scanner, v, change, f"{kind} {known}") for k, v in sets.items()}
        table[f"{kind}, {'known' if known else 'unknown'}"] = row
        print(
            f"{kind} {known}: " + "; ".join(f"{k} " + " ".join(f"{x:.1f}" for x in v) for k, v in row.items()),
            flush=True,
        )
    for kind, wrap in perturb.WRAPPINGS.items():
        table[f"with {kind}"] = {k: measure(scanner, v, wrap, kind) for k, v in sets.items()}
    return table


def long_chats(scanner: Scanner, rows: list[Row]) -> dict[str, list[float]]:
    """Return the table of lures in long chats (see `CHATS_HEAD`), for rows that the model has not seen."""
    lures = [r.text for r in rows if r.labels and 25 <= len(r.text) <= 60]
    stretches = {
        "lines of the corpus": [[line] for line in honest_lines(rows)],
        "third-party talk": [part for talk in reading.talks() for part in _cut(talk)],
        "a shop's chats": [part for chat in reading.chats() for part in _cut(chat)],
    }
    return {
        f"{name}: {line}": x for name in stretches for line, x in _lures_in(scanner, stretches[name], lures).items()
    }


def _cut(turns: list[str]) -> list[list[str]]:
    return [turns[i : i + STRETCH] for i in range(0, len(turns), STRETCH)]


def _lures_in(scanner: Scanner, stretches: Sequence[list[str]], lures: Sequence[str]) -> dict[str, list[float]]:
    """Return the rows of the table for chats that are made of stretches of messages."""
    rng = random.Random(0)  # noqa: S311 - a fixed choice, not a secret

    def chat() -> list[str]:
        chosen: list[str] = []
        while sum(map(len, chosen)) + len(chosen) < LENGTH:
            chosen += rng.choice(stretches)
        return chosen

    chats = [chat() for _ in range(CHATS)]
    honest = scanner.decide(["\n".join(chat) for chat in chats])
    limits = [*np.quantile(honest.scores, [0.99, 0.9]), 0.5, scanner.thresholds.flag]
    table = {"honest chats": [_above(honest, limit) for limit in limits]}
    for name, between in (("the lure is a message of its own", True), ("the lure is at a random place", False)):
        texts, places = [], []
        for chat in chats:
            text, lure = "\n".join(chat), rng.choice(lures)
            begins = [0, *itertools.accumulate(len(line) + 1 for line in chat[:-1])]
            at = rng.choice(begins) if between else rng.randrange(len(text))
            texts.append(text[:at] + lure + "\n" * between + text[at:])
            places.append((at, at + len(lure)))
        found = scanner.decide(texts)
        hits = [
            (window := scanner.classify(text).window) is not None and window[0] < end and begin < window[1]
            for text, (begin, end), score in zip(texts, places, found.scores, strict=True)
            if score > limits[1]
        ]
        table[name] = [*(_above(found, limit) for limit in limits), 100 * float(np.mean(hits))]
    return table


def conversations(scanner: Scanner, rows: list[Row]) -> dict[str, list[float]]:
    """Return the table of lures in conversations (see `CONVERSATIONS_HEAD`), for rows that the model has not seen."""
    rng = random.Random(0)  # noqa: S311 - a fixed choice, not a secret
    lines = [line for line in honest_lines(rows) if len(line) <= 60]
    lures = [told for r in rows if r.labels and 60 <= len(r.text) <= 400 and len(told := messages_of(r.text)) > 1]
    chats: list[list[str]] = [rng.choices(lines, k=MESSAGES) for _ in range(CHATS)]
    with_lures = []
    for chat in chats:
        at = rng.randrange(MESSAGES)
        told, rest = chat[:at], chat[at:]
        for message in rng.choice(lures):
            told.append(message)
            if rest and rng.random() < BETWEEN:
                told.append(rest.pop(0))
        with_lures.append(told + rest)
    honest, found = (reading.scored_as_conversations(scanner, some) for some in (chats, with_lures))
    limits = [*np.quantile([row["fraud_score"] for row in honest], [0.99, 0.95]), 0.5]
    return {
        name: [
            *(100 * float(np.mean([row["fraud_score"] > limit for row in some])) for limit in limits),
            100 * float(np.mean([row["fraud_verdict"] == "flag" for row in some])),
        ]
        for name, some in (("honest conversations", honest), ("with a lure", found))
    }


def messages_of(text: str) -> list[str]:
    """Split a text into the messages that somebody would send it in: one sentence each, or several short ones."""
    told = [""]
    for sentence in re.findall(r"[^。！？!?\n；;]+[。！？!?\n；;]*", text):
        if len(told[-1]) < 12:
            told[-1] += sentence
        else:
            told.append(sentence)
    return [message.strip() for message in told if message.strip()]


def honest_lines(rows: list[Row]) -> list[str]:
    """Return the chat and talk that is not a twin."""
    return [r.text for r in rows if not r.pair and r.kind in {"chat", "talk"}]


def _above(found: Decisions, limit: float) -> float:
    return 100 * float((found.scores > limit).mean())


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=1, help="how many of the five folds to measure (default: 1)")
    parser.add_argument("--disguised", type=float, default=TrainingOptions.disguised, help="as in TrainingOptions")
    options = parser.parse_args()
    reading.fetch()
    rows = read_corpus([ROOT / "corpus"])
    evaluation = {name: messages for name in ("script", "fbs") if (messages := from_evaluation(name))}
    tables, chats, talks = [], [], []
    for inside, outside in list(folds_of(rows, FOLDS))[: options.folds]:
        scanner, layout = model_without(rows, inside.tolist(), options.disguised)
        with neighbours.other_tables(layout):
            unseen = [rows[i] for i in outside]
            chats.append(long_chats(scanner, unseen))
            talks.append(conversations(scanner, unseen))
            tables.append(figures(scanner, {"corpus": from_corpus(unseen), **evaluation}))
    write(
        {row: {k: Figures(*np.mean([t[row][k] for t in tables], axis=0)) for k in tables[0][row]} for row in tables[0]},
        *(
            {row: np.mean([each[row] for each in found], axis=0).tolist() for row in found[0]}
            for found in (chats, talks)
        ),
    )


def write(table: dict[str, dict[str, Figures]], chats: dict[str, list[float]], talks: dict[str, list[float]]) -> None:
    """Write all tables to ``benchmarks/robustness.md``, and the first one to ``robustness.json`` for the card."""
    names = list(table["clean"])
    lines = ["| | " + " | ".join(f"{name}: {what}" for name in names for what in SHOWN) + " |"]
    lines.append("| --- " + "| ---: " * 3 * len(names) + "|")
    for row, sets in table.items():
        cells = [f"{x:.1f}" if x == x else "" for name in names for x in sets[name]]  # noqa: PLR0124 - NaN
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    for head, found in ((CHATS_HEAD, chats), (CONVERSATIONS_HEAD, talks)):
        lines += head.rstrip().split("\n")
        width = max(map(len, found.values()))
        lines += [
            f"| {row} | " + " | ".join([f"{x:.1f}" for x in cells] + [""] * (width - len(cells))) + " |"
            for row, cells in found.items()
        ]
    print("\n".join(lines))
    (ROOT / "benchmarks" / "robustness.md").write_text(HEAD + "\n".join(lines) + "\n", "utf-8")
    card = []
    for row, sets in table.items():
        cells = {f"{name}: {what}": x for name in names for what, x in zip(SHOWN, sets[name], strict=True)}
        card.append({"messages": row, **{name: round(x / 100, 3) for name, x in cells.items() if not math.isnan(x)}})
    (ROOT / "benchmarks" / "robustness.json").write_text(json.dumps({"card": card}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
