"""The model card: a model's intended use, measured quality and known failures. It is generated, never edited."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.characters import NORMALIZATION_VERSION
from fraudscan.corpus import CorpusError, numbered_lines
from fraudscan.decisions import VERDICTS
from fraudscan.evaluate import ANY, detection, prior_weights, reliability
from fraudscan.folder import CARD, DIAGRAM
from fraudscan.model import is_shipped

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from fraudscan.arrays import Bools
    from fraudscan.decisions import Decisions
    from fraudscan.model import Scanner

__all__ = ["diagram", "model_digest", "read_sets", "sections", "write_card"]

FALSE_ALARM_RATES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""The false-alarm rates whose thresholds are shown. A rate is left out if the curve has too few honest messages
to resolve it."""

SHOWN = 100
"""Characters of a message that are shown."""

USE = """\
**Intended use**: finding messages that deserve a person's attention. This includes ranking, counting and sorting dumps
of Chinese SMS, chats, transcribed calls and posts, warning the reader of a message, and choosing what to read first.

**Not intended** for automatic decisions about a person: no account, number or claim should be closed, blocked or
refused on a score alone. A score says what a text resembles, not who wrote it, whether it is true, or whether a crime
took place; victims, witnesses and the police write the same words. The model is not intended for other languages
either. The notes of a result say whether a text has no Chinese, has hardly any words that the model knows, or is too
short to judge.

**Misuse** to expect: monitoring people's private messages without a legal basis; rewriting lures until they pass (the
model is open, so it must not be the only line of defence); rating people or places by how often they are flagged.
"""

LIMITS = """\
The model is based on words, not meaning: a lure in words that were not in its training data may pass, and honest talk
in the words of lures is taken for a lure{how_often}. Each message is
judged by itself, without its sender, what its links lead to, or the messages before it.{authors}
"""

HOW_OFTEN = " (`benchmarks/reading.md` says how often, by kind and length)"
"""What `LIMITS` adds for the shipped model."""

AUTHORS = """ One project wrote the whole corpus, so the
held-out messages have the same authors as the training messages. The external sets, which nobody in the project wrote,
are the better estimate of the quality on other people's messages."""
"""What `LIMITS` adds for the shipped model."""


def write_card(scanner: Scanner, folder: Path, sets: Sequence[dict[str, Any]], checkout: Path | None) -> list[Path]:
    """Write a model's card and reliability diagram into its folder; return the paths of both files.

    What is known only about the shipped model (who wrote its data, and the figures in ``benchmarks``) is left out of
    the cards of others.

    Args:
        scanner: the model.
        folder: its folder.
        sets: external labelled messages, from `read_sets`; only their figures go into the card.
        checkout: the folder that holds ``tests/cases`` and ``benchmarks``, or None if there is none.

    Raises:
        CorpusError: if the model has no held-out figures, or none for its present thresholds.

    """
    parts = sections(scanner, folder, checkout)
    external = [_external(scanner, sets)] if sets else []
    text = "\n".join([*parts[:-1], *external, parts[-1]])
    (folder / CARD).write_text(text, "utf-8", newline="\n")
    (folder / DIAGRAM).write_text(diagram(scanner), "utf-8", newline="\n")
    return [folder / CARD, folder / DIAGRAM]


def model_digest(folder: Path) -> str:
    """Return the SHA-256 of the manifest, which in turn contains the SHA-256 of every array."""
    return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def read_sets(paths: Iterable[str | os.PathLike[str]]) -> list[dict[str, Any]]:
    """Read external sets: JSON lines with ``text``, ``labels``, ``set`` and ``source``.

    ``labels`` is a list of label names, with at least one; ``"fraud"`` stands for any label except the honest one.

    Raises:
        CorpusError: at the first missing file or invalid line.

    """
    rows = []
    for path in map(Path, paths):
        files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            raise CorpusError(f"{path}: no such file, or a folder without *.jsonl")
        for file in files:
            rows += [_set_row(line, f"{file}:{number}") for number, line in numbered_lines(file)]
    return rows


def _set_row(line: str, place: str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = json.loads(line)
        names = isinstance(row["labels"], list) and row["labels"]
        valid = names and all(isinstance(value, str) for value in (row["text"], row["set"], row["source"], *names))
    except (ValueError, KeyError, TypeError, RecursionError):
        valid = False
    if not valid:
        raise CorpusError(
            f"{place}: expected an object with text, labels, set and source: strings, and labels a list "
            "with at least one name, also for legitimate messages"
        )
    return row


def sections(scanner: Scanner, folder: Path, checkout: Path | None) -> list[str]:
    """Return the sections of the card that depend only on the model and the checkout, not on external sets.

    Raises:
        CorpusError: as `write_card` does.

    """
    figures = scanner.manifest.get("figures", {})
    if "calibration" not in figures:
        raise CorpusError(f"{folder} has no held-out figures for a card: train it again, on the project's corpus")
    if not {"flag", "review"}.issubset(figures):
        raise CorpusError(
            f"{folder} has other thresholds than those it was measured with: restore the original ones to write a card"
        )
    shipped = is_shipped(scanner)
    whose = "shipped" if shipped else "model's"
    limits = LIMITS.format(how_often=HOW_OFTEN if shipped else "", authors=AUTHORS if shipped else "")
    title = "# Model card\n\nGenerated by `fraudscan evaluate --card`; do not edit. SHA-256 of `manifest.json`:\n"
    return [
        f"{title}`{model_digest(folder)}`\n",
        f"## Use and misuse\n\n{USE}",
        _data(scanner, shipped=shipped),
        _held_out(scanner.manifest, whose),
        _thresholds(scanner, whose),
        _calibration(figures["calibration"]),
        *_robustness(checkout if shipped else None),
        *_cases(scanner, checkout),
        f"## Limits\n\n{limits}",
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table; columns of numbers are right-aligned, and missing numbers are dashes."""
    rule = [
        "---:" if rows and all(isinstance(row[i], (int, float, type(None))) for row in rows) else "---"
        for i in range(len(header))
    ]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in [header, rule, *rows])


def _cell(value: Any) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|").replace("\n", " ")


def _data(scanner: Scanner, *, shipped: bool) -> str:
    corpus, taxonomy = scanner.manifest["corpus"], scanner.taxonomy
    counts = scanner.manifest["figures"]["labels"]
    rows = [
        (label.name, label.zh, counts[label.name]["n"], " / ".join(s.official for s in label.schemes) or "–")
        for label in taxonomy.labels
    ]
    origin = ", all written for this project (`corpus/README.md`): no third-party text,\nno real person's data"
    return (
        "## Data and labels\n\n"
        f"{corpus['rows']:,} messages{origin if shipped else ''}. SHA-256 of the training data: `{corpus['sha256']}`.\n"
        "A label names the pretence of a message, and is divided into schemes:\n\n"
        + _table(("label", "Chinese", "messages", "schemes (official categories)"), rows)
        + "\nA message with several labels counts for the predicted one if that is among them, else for the first.\n"
        f"\nTarget groups: {', '.join(f'{target.name} ({target.zh})' for target in taxonomy.targets)}.\n"
    )


FIGURES = ("messages", "macro-F1", "AUC", "recall", "false alarms", "flagged lures", "flagged honest")
REVIEWED = ("reviewed lures", "reviewed honest")


def _figure_row(name: str, found: dict[str, Any]) -> tuple[Any, ...]:
    return (name, found["messages"], found["macro_f1"], *_detected(found))


def _detected(found: dict[str, Any]) -> tuple[float | None, ...]:
    """Return the `FIGURES` from the AUC on."""
    flag = found["flag"]
    return found["auc"], found["recall"], found["false_alarms"], flag["recall"], flag["false_alarms"]


HELD_OUT = """\
Every message was scored by models that were fitted without it, its pair and its near-duplicates; the vocabulary, the
calibration and the thresholds were chosen on all of them, which flatters the figures a little. "Recall" and "false
alarms" are the shares of lures and of honest messages with a score of 0.5 or more. "Flagged" is the share that is
flagged at the {whose} thresholds, "reviewed" the share that is reviewed or flagged.
"""


OLDER = """
The weights were trained, and these figures, the thresholds and the calibration measured, with version {version} of the
normalization. The model reads texts with version {now} now; the figures on other messages are of that.
"""


def _held_out(manifest: dict[str, Any], whose: str) -> str:
    figures, version = manifest["figures"], manifest.get("trained_normalization_version", NORMALIZATION_VERSION)
    older = OLDER.format(version=version, now=NORMALIZATION_VERSION) if version != NORMALIZATION_VERSION else ""
    labels = [(name, row["precision"], row["recall"], row["f1"], row["n"]) for name, row in figures["labels"].items()]
    reviewed = (figures["review"]["recall"], figures["review"]["false_alarms"])
    parts = [
        f"## Held-out folds\n\n{HELD_OUT.format(whose=whose)}{older}",
        _table(("label", "precision", "recall", "F1", "messages"), labels),
        _table(("", *FIGURES, *REVIEWED), [(*_figure_row("all", figures), *reviewed)]),
    ]
    for by, found in figures["slices"].items():
        parts.append(
            _table((by, *FIGURES), [_figure_row(name or "none", found[name]) for name in sorted(found, key=_rank)])
        )
    return "\n".join(parts)


def _rank(name: str) -> tuple[bool, int, str]:
    """Return a sort key: ranges of lengths are ordered by their first number, other names alphabetically."""
    number = re.search("[0-9]+", name)
    return name.startswith("over"), int(number[0]) if number else 0, name


def _thresholds(scanner: Scanner, whose: str) -> str:
    curve, now = scanner.curve, scanner.thresholds
    rows = []
    for rate in FALSE_ALARM_RATES:
        try:
            score = curve.threshold(rate)
        except ValueError:
            continue
        if score < 0.5:  # no text whose label is legitimate is flagged (`Scanner.with_false_alarms`)
            continue
        at = curve.scores.index(score)
        rows.append((f"{rate:.2%}", score, curve.false_alarms[at], curve.recall[at]))
    return (
        "## Thresholds\n\n"
        f"The {whose} thresholds are {now.flag:g} for flag and {now.review:g} for review. `--max-false-alarms`,\n"
        "`--flag` and `--review` choose others, such as these from the curve in `manifest.json`, which was measured\n"
        f"on {curve.honest:,} held-out honest messages:\n\n"
        + _table(("false alarms at most", "flag from", "false alarms", "recall"), rows)
    )


def _calibration(found: dict[str, Any]) -> str:
    bins = [(row["predicted"], row["observed"], row["messages"]) for row in found["bins"]]
    labels = ", ".join(f"{name} {ece:.4f}" for name, ece in found["labels"].items())
    return (
        "## Calibration\n\n"
        f"Measured on held-out messages, weighted so that {found['prior']:.0%} of them are fraud. The expected\n"
        f"calibration error of the score is **{found['ece']:.4f}** (in {len(found['bins'])} bins of equal mass). For\n"
        "the probability of each label, which is that of its likeliest scheme and so seldom too high, it is:\n"
        f"{labels}.\n\n![Reliability diagram]({DIAGRAM})\n\n"
        f"{_table(('predicted', 'observed', 'messages'), bins)}"
    )


ROBUSTNESS = """\
Messages unchanged, disguised, and with text added around them (`benchmarks/robustness.py`). "Known" are the marks that
repair was built for, "unknown" those that no part of the package knows. `corpus` is a held-out fold; `script` and `fbs`
are two of the external sets below.
"""


def _robustness(checkout: Path | None) -> list[str]:
    """Return the table in ``benchmarks/robustness.json``: its ``card`` is a list of flat objects, one per row."""
    path = checkout / "benchmarks" / "robustness.json" if checkout else None
    if not path or not path.is_file():
        return []
    rows = json.loads(path.read_text("utf-8"))["card"]
    table = _table(list(rows[0]), [list(row.values()) for row in rows])
    return [f"## Robustness\n\n{ROBUSTNESS}\n{table}"]


CASES = """\
The messages in `tests/cases` were written for this project and are not in the corpus. Those in `lures.jsonl` and
`honest.jsonl` grew with the model. All others were written by authors who had seen neither the corpus nor the model,
before any of them was scored, and neither may be fitted to them. Many are deliberately close to the other class. Like
the corpus, they were drafted with the help of language models; third-party messages are harder.
"""


def _cases(scanner: Scanner, checkout: Path | None) -> list[str]:
    """Return the figures for each file in ``tests/cases``, and the messages that the model gets wrong."""
    folder = checkout / "tests" / "cases" if checkout else None
    if not folder or not folder.is_dir():
        return []
    files = sorted(folder.glob("*.jsonl"))
    rows = {path.name: [json.loads(line) for line in path.read_text("utf-8").splitlines()] for path in files}
    found = {name: scanner.decide([row["text"] for row in part]) for name, part in rows.items()}
    figures = [(name, *_measured(scanner, found[name], part)) for name, part in rows.items()]
    failing = [
        (row["id"], ", ".join(row["labels"]), _shortened(row["text"]))
        for name, part in rows.items()
        for row, labels, verdict in zip(part, found[name].labels, found[name].verdict, strict=True)
        if _is_wrong(row["labels"], labels, verdict, scanner.taxonomy.honest)
    ]
    count = sum(map(len, rows.values()))
    header = ("file", "frauds", "honest", *FIGURES[2:], "right label")
    wrong = (
        f"The model gets {len(failing)} of the {count:,} test messages wrong: a label that is not expected, a fraud\n"
        "that is clear, or an honest message that is flagged."
    )
    return [
        f"## Test messages\n\n{CASES}\n{_table(header, figures)}",
        f"## Known failures\n\n{wrong}\n\n{_table(('case', 'expected label', 'text'), failing)}",
    ]


def _is_wrong(expected: list[str], labels: Sequence[str], verdict: str, honest: str | None) -> bool:
    return not set(expected).intersection(labels) or verdict == VERDICTS[-1 if expected == [honest] else 0]


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _measured(scanner: Scanner, found: Decisions, rows: Sequence[dict[str, Any]]) -> tuple[Any, ...]:
    """Return the figures of messages with ``labels``, as `_cases` shows them."""
    fraud = _is_fraud(scanner, rows)
    right = [label in row["labels"] for row, label in zip(rows, found.label, strict=True)]
    counts = int(fraud.sum()), int((~fraud).sum())
    return *counts, *_detected(detection(found.scores, fraud, scanner.thresholds)), float(np.mean(right))


def _is_fraud(scanner: Scanner, rows: Sequence[dict[str, Any]]) -> Bools:
    return np.array([scanner.taxonomy.honest not in row["labels"] for row in rows], dtype=bool)


FOREIGN = """\
Messages that nobody in the project wrote. No model is trained on them, and they are not in the repository. Some
hyperparameters (`fraudscan/network.py`, `fraudscan/train.py`) were chosen with regard to them, so on other messages the
model may do a little worse. The figures also depend on the seed (`TrainingOptions.seed` says by how much).

"""

DIFFERENCE = """\
It differs from the held-out error because these sets were not sampled like the corpus: a whole set comes from one
trade or one era, and its lures are clearer, or its honest messages more unusual, than those of any mixture of ours.
No rescaling of the scores corrects all sets at once.
"""


def _external(scanner: Scanner, rows: Sequence[dict[str, Any]]) -> str:
    found, shipped = scanner.decide([row["text"] for row in rows]), is_shipped(scanner)
    honest = scanner.taxonomy.honest or ""
    fraud = _is_fraud(scanner, rows)
    right = [
        guess in row["labels"] or (ANY in row["labels"] and guess != honest)
        for row, guess in zip(rows, found.label, strict=True)
    ]
    alarms, flagged = found.scores >= 0.5, found.verdicts == len(VERDICTS) - 1
    sets = defaultdict(list)
    for i, row in enumerate(rows):
        sets[row["set"]].append(i)
    names = []
    for name, members in sorted(sets.items()):
        share = [float(np.mean(values[members])) for values in (np.array(right), alarms, flagged)]
        source = rows[members[0]]["source"].partition(":")[0]  # the row's position in the source follows the colon
        names.append((name, source, ", ".join(sorted(set(rows[members[0]]["labels"]))), len(members), *share))
    plain, shifted = (
        reliability(found.scores, fraud, weights)
        for weights in (None, prior_weights(fraud, scanner.manifest["figures"]["calibration"]["prior"]))
    )
    totals = (len(rows), *_detected(detection(found.scores, fraud, scanner.thresholds)))
    return (
        f"## External sets\n\n{FOREIGN if shipped else ''}"
        + _table(("messages", *FIGURES[2:]), [totals])
        + f"\nThe expected calibration error is {plain['ece']:.4f} on these messages ({fraud.mean():.0%} fraud), and "
        f"{shifted['ece']:.4f} if they are\n"
        f"weighted to the share of fraud for which scores are calibrated.\n{DIFFERENCE if shipped else ''}\n"
        + _table(("set", "source", "label", "messages", "right label", "score ≥ 0.5", "flagged"), names)
    )


def diagram(scanner: Scanner) -> str:
    """Return the reliability diagram as SVG: the observed share of fraud against the predicted probability."""
    bins = scanner.manifest["figures"]["calibration"]["bins"]
    size, edge = 300, 40

    def at(x: float, y: float) -> str:
        return f"{edge + x * size:.1f},{edge + (1 - y) * size:.1f}"

    points = [at(row["predicted"], row["observed"]) for row in bins]
    dots = "".join('<circle cx="{}" cy="{}" r="4" fill="#0b5394"/>\n'.format(*point.split(",")) for point in points)
    ticks = "".join(
        f'<text x="{edge + t * size:.0f}" y="{edge + size + 18}" text-anchor="middle">{t:g}</text>\n'
        f'<text x="{edge - 8}" y="{edge + (1 - t) * size + 4:.0f}" text-anchor="end">{t:g}</text>\n'
        for t in (0, 0.25, 0.5, 0.75, 1)
    )
    whole = size + 2 * edge
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {whole}" '
        'font-family="sans-serif" font-size="12" role="img">\n'
        "<title>Reliability diagram: observed share of fraud over predicted probability</title>\n"
        f'<rect width="{whole}" height="{whole}" fill="#fff"/>\n'
        f'<rect x="{edge}" y="{edge}" width="{size}" height="{size}" fill="none" stroke="#999"/>\n'
        f'<polyline points="{at(0, 0)} {at(1, 1)}" stroke="#999" stroke-dasharray="4"/>\n'
        f'<polyline points="{" ".join(points)}" fill="none" stroke="#0b5394" stroke-width="2"/>\n{dots}{ticks}'
        f'<text x="{edge + size / 2:.0f}" y="{whole - 6}" text-anchor="middle">predicted</text>\n'
        f'<text x="12" y="{edge + size / 2:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 12 {edge + size / 2:.0f})">observed</text>\n</svg>\n'
    )
