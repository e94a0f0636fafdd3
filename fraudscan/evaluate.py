"""Compute the figures of a model: how well its probabilities agree with gold labels."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.characters import code_points, normalization_table
from fraudscan.decisions import Thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Bools, Floats
    from fraudscan.corpus import Row
    from fraudscan.model import Scanner
    from fraudscan.taxonomy import Taxonomy

__all__ = [
    "ANY",
    "BINS",
    "LENGTHS",
    "auc",
    "detection",
    "evaluate",
    "f1_table",
    "figures_of",
    "held_out_figures",
    "prior_weights",
    "reliability",
    "script_of",
    "thresholds_for",
]

ANY = "fraud"
"""The label of a message that is known to be a fraud, but whose real label is not known."""

FALSE_ALARMS = 0.005
"""The share of legitimate messages that may be flagged. With more, people turn the tool off. A choice of the design."""

RECALL = 0.98
"""The share of frauds that must have at least the verdict "review". A choice of the design."""

LENGTHS = (20, 60, 150)
"""The greatest length, in characters, of each band except the longest. The bands hold single lines, short messages,
long messages and conversations."""

BINS = 15
"""The number of bins of equal mass. Guo et al. 2017 use as many bins of equal width, most of which stay empty."""


def thresholds_for(scores: Floats, fraud: Bools) -> Thresholds:
    """Return the thresholds, to four decimals, that meet `FALSE_ALARMS` and `RECALL` on these scores.

    The flag threshold is at least one half, because a message with a lower score has the label legitimate (see
    `Scanner.with_false_alarms`).
    """
    honest, lures = np.sort(scores[~fraud]), np.sort(scores[fraud])
    spared = honest[-1 - int(FALSE_ALARMS * honest.size)]  # the highest score that must not be flagged
    flag = min(1.0, max(0.5, (np.floor(spared * 1e4 + 1e-6) + 1) / 1e4))
    review = np.floor(lures[int((1 - RECALL) * lures.size)] * 1e4) / 1e4
    return Thresholds(flag=float(flag), review=float(min(flag, review)))


def auc(scores: Floats, positive: Bools) -> float | None:
    """Return the area under the ROC curve: how often a positive outranks a negative, where a tie counts half.

    The area is ``None`` if all messages are positive, or none is.
    """
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    positives = int(positive.sum())
    negatives = positive.size - positives
    if not positives or not negatives:
        return None
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def f1_table(
    gold: Sequence[set[str]], predicted: Sequence[Sequence[str]], names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 and the number of messages of each label."""
    hits = Counter(name for right, guess in zip(gold, predicted, strict=True) for name in guess if name in right)
    guesses, support = (Counter(itertools.chain.from_iterable(labels)) for labels in (predicted, gold))
    return {
        name: {
            "precision": hits[name] / max(1, guesses[name]),
            "recall": hits[name] / max(1, support[name]),
            "f1": 2 * hits[name] / max(1, guesses[name] + support[name]),
            "n": support[name],
        }
        for name in names
    }


def held_out_figures(  # noqa: PLR0913, PLR0917 - predictions, gold labels, and what slices them
    rows: Sequence[Row],
    taxonomy: Taxonomy,
    gold: Bools,
    probabilities: Floats,
    thresholds: Thresholds,
    prior: float,
) -> dict[str, Any]:
    """Return the rounded figures of held-out predictions for a manifest, overall and by channel, script and length.

    Args:
        rows: the messages.
        taxonomy: the taxonomy that names the columns.
        gold: shape (messages, heads): fraud, schemes, targets.
        probabilities: the same shape.
        thresholds: the thresholds for flag and review.
        prior: the share of fraud that the probabilities are meant for. Their calibration is measured at this share.

    """
    schemes = taxonomy.schemes
    names = [label.name for label in taxonomy.labels]
    honest = taxonomy.honest or ""
    right = [{s.label for s, yes in zip(schemes, row[1:], strict=False) if yes} or {honest} for row in gold]
    best = probabilities[:, 1 : 1 + len(schemes)].argmax(axis=1)
    predicted = [schemes[b].label if p >= 0.5 else honest for b, p in zip(best, probabilities[:, 0], strict=True)]
    scores = probabilities[:, 0]

    def figures(chosen: Sequence[int]) -> dict[str, Any]:
        some = [right[i] for i in chosen], [(predicted[i],) for i in chosen], scores[list(chosen)]
        return figures_of(*some, thresholds, names, honest)

    weights = prior_weights(gold[:, 0], prior)
    errors = {}
    for label in taxonomy.labels:
        if own := [1 + schemes.index(scheme) for scheme in label.schemes]:
            positive = np.logical_or.reduce(gold[:, own], axis=1)
            errors[label.name] = reliability(probabilities[:, own].max(axis=1), positive, weights)["ece"]
    return {
        **figures(range(len(rows))),
        "slices": {
            by: {name: _short(figures(chosen)) for name, chosen in parts.items()} for by, parts in _parts(rows).items()
        },
        "calibration": {"prior": prior, **reliability(scores, gold[:, 0], weights), "labels": errors},
    }


def _parts(rows: Sequence[Row]) -> dict[str, dict[str, list[int]]]:
    """Return the row numbers of each channel, script and length band."""
    parts: dict[str, dict[str, list[int]]] = {"channel": {}, "script": {}, "length": {}}
    bands = [(last, f"{first + 1}–{last}") for first, last in itertools.pairwise([0, *LENGTHS])]
    for i, row in enumerate(rows):
        length = next((name for last, name in bands if len(row.text) <= last), f"over {LENGTHS[-1]}")
        for by, name in (("channel", row.channel), ("script", script_of(row.text)), ("length", length)):
            parts[by].setdefault(name, []).append(i)
    return parts


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    names = ("messages", "macro_f1", "auc", "recall", "false_alarms", "flag")
    return {name: figures[name] for name in names}


@cache
def _scripts() -> npt.NDArray[np.int8]:
    """Return for each code point -1 if it is only a simplified character, 1 if it is only a traditional one, else 0."""
    table = normalization_table()
    codes = np.arange(0x4E00, 0xA000)
    changed = codes[(table[codes] != codes) & (table[codes] >= 0x4E00)]
    changed = changed[[not chr(code).encode("big5", "ignore") for code in table[changed].tolist()]]  # 嘅 is read as 的
    scripts = np.zeros(table.size, dtype=np.int8)
    scripts[table[changed]] = -1
    scripts[changed] = 1
    return scripts


def script_of(text: str) -> str:
    """Return the script of a text, judged by the characters that occur in one script only.

    >>> script_of("轉帳給老師"), script_of("转账给老师"), script_of("我的不在")
    ('traditional', 'simplified', 'either')

    """
    balance = int(_scripts()[code_points(text)].sum())
    return "traditional" if balance > 0 else "simplified" if balance < 0 else "either"


def figures_of(  # noqa: PLR0913, PLR0917 - gold labels, predictions, and what they are measured with
    gold: Sequence[set[str]],
    predicted: Sequence[Sequence[str]],
    scores: Floats,
    thresholds: Thresholds,
    names: Sequence[str],
    honest: str | None,
    *,
    several: bool = False,
) -> dict[str, Any]:
    """Return the rounded figures of predictions.

    Args:
        gold: the labels of each message.
        predicted: the labels predicted for each message, most probable first.
        scores: shape (messages,): the probability that each message is not legitimate.
        thresholds: the thresholds for flag and review.
        names: all labels, in the order of the table.
        honest: the label of legitimate messages, if there is one.
        several: whether each label is measured by itself, whatever other labels a message has. Otherwise a message
            counts once, for the first predicted label. If that is one of its gold labels, the prediction is right; if
            not, it is a miss of the first gold label (in the order of ``names``).

    """
    fraud = np.array([honest not in right for right in gold], dtype=bool)
    if not several:
        predicted = [guess[:1] for guess in predicted]
        gold = [
            {guess if guess in right else min(right, key=names.index)}
            for right, (guess,) in zip(gold, predicted, strict=True)
        ]
    table = f1_table(gold, predicted, names)
    present = [row["f1"] for row in table.values() if row["n"]]
    if honest is None:  # false alarms need legitimate messages, and recall others
        scores, fraud = scores[:0], fraud[:0]
    return {
        "messages": len(gold),
        "macro_f1": round(float(np.mean(present)), 4) if present else None,
        **detection(scores, fraud, thresholds),
        "labels": {name: {k: round(v, 4) for k, v in row.items()} for name, row in table.items()},
    }


def detection(scores: Floats, fraud: Bools, thresholds: Thresholds) -> dict[str, Any]:
    """Return the rounded AUC, and recall and false alarms at one half and at the thresholds.

    A figure is ``None`` if the messages that it is measured on are missing.

    Args:
        scores: shape (messages,): the probability that each message is not legitimate.
        fraud: shape (messages,): the mask of those that are not.
        thresholds: the thresholds for flag and review.

    """

    def shares(threshold: float) -> dict[str, float | None]:
        found = {"recall": scores[fraud] >= threshold, "false_alarms": scores[~fraud] >= threshold}
        return {name: round(float(hits.mean()), 4) if hits.size else None for name, hits in found.items()}

    area = auc(scores, fraud)
    return {
        "auc": None if area is None else round(area, 4),
        **shares(0.5),
        "flag": shares(thresholds.flag),
        "review": shares(thresholds.review),
    }


def prior_weights(positive: Bools, prior: float) -> Floats:
    """Return message weights under which the share of positives is ``prior``, as the probabilities assume."""
    share = positive.mean()
    if not 0 < share < 1:
        return np.ones(positive.size)
    weights: Floats = np.where(positive, prior / share, (1 - prior) / (1 - share))
    return weights


def reliability(probabilities: Floats, positive: Bools, weights: Floats | None = None) -> dict[str, Any]:
    """Return the expected calibration error, and the predicted and observed shares in each bin of equal mass.

    Args:
        probabilities: shape (messages,).
        positive: the same shape: a mask of the positive messages.
        weights: the weight of each message (default: 1).

    """
    weights = np.ones(positive.size) if weights is None else weights
    order = np.argsort(probabilities, kind="stable")
    mass = weights[order].cumsum()
    bins = np.minimum(((mass - weights[order] / 2) * BINS / mass[-1]).astype(int), BINS - 1)
    totals = np.bincount(bins, weights[order], BINS)
    predicted = np.bincount(bins, weights[order] * probabilities[order], BINS)
    observed = np.bincount(bins, weights[order] * positive[order], BINS)
    counts = np.bincount(bins, minlength=BINS)
    table = [
        {"predicted": round(p / t, 4), "observed": round(o / t, 4), "messages": n}
        for p, o, t, n in zip(predicted.tolist(), observed.tolist(), totals.tolist(), counts.tolist(), strict=True)
        if n
    ]
    return {"ece": round(float(np.abs(predicted - observed).sum() / mass[-1]), 4), "bins": table}


def evaluate(scanner: Scanner, rows: Sequence[Row]) -> dict[str, Any]:
    """Score labelled rows and return their figures: macro-F1, AUC, recall and false alarms, and a table by label.

    A figure that cannot be measured, such as recall without frauds, is ``None``.

    Args:
        scanner: the scanner. Its allow and deny lists are ignored.
        rows: the messages. Their labels are schemes of the scanner's taxonomy; legitimate messages have none. A user's
            own labels are their own schemes. If a row has the label `ANY`, the table has two rows: frauds and honest
            messages. A model of a user's own labels does not know `ANY`.

    Raises:
        KeyError: if a label is not a scheme.

    """
    # lists change only verdicts
    found = scanner.with_lists(None).decide([row.text for row in rows])
    taxonomy = scanner.taxonomy
    honest = taxonomy.honest
    names = [label.name for label in taxonomy.labels]
    predicted: list[tuple[str, ...]] = found.labels
    if honest is not None and taxonomy.task == "fraud" and any(ANY in row.labels for row in rows):
        names = [ANY, honest]
        gold = [{ANY if row.labels else honest} for row in rows]
        predicted = [(ANY if label != honest else honest,) for label in found.label]
    else:
        gold = [{taxonomy.scheme(name).label for name in row.labels} or {honest or ""} for row in rows]
    several = taxonomy.task == "multilabel"
    return figures_of(gold, predicted, found.scores, scanner.thresholds, names, honest, several=several)
