"""Figures: how well probabilities agree with gold labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fraudscan.corpus import Row
    from fraudscan.model import Scanner
    from fraudscan.taxonomy import Taxonomy

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

__all__ = ["auc", "evaluate", "f1_table", "figures_of", "label_figures", "thresholds_for"]

FALSE_ALARMS = 0.005
"""The share of legitimate messages that may be flagged: more, and people turn the tool off. A choice of the design."""

RECALL = 0.98
"""The share of fraud that must be at least reviewed. A choice of the design."""


def thresholds_for(scores: Floats, fraud: Bools) -> tuple[float, float]:
    """Return the thresholds (flag, review) that keep `FALSE_ALARMS` and `RECALL` on these scores.

    A text whose label is legitimate is never flagged: flag is at least one half.
    """
    flag = max(0.5, float(np.quantile(scores[~fraud], 1 - FALSE_ALARMS, method="higher")))
    review = float(np.quantile(scores[fraud], 1 - RECALL, method="lower"))
    return round(flag, 4), round(min(flag, review), 4)


def auc(scores: Floats, positive: Bools) -> float:
    """Return the area under the ROC curve: how often a positive outranks a negative, ties counted half."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    positives = int(positive.sum())
    negatives = positive.size - positives
    if not positives or not negatives:
        return float("nan")
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def f1_table(gold: Sequence[set[str]], predicted: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 and the number of messages by label.

    A prediction that is one of a message's gold labels is right; else the message counts as a miss of its first
    gold label (in the order of ``names``).
    """
    true = [
        guess if guess in right else min(right, key=names.index) for right, guess in zip(gold, predicted, strict=True)
    ]
    table = {}
    for name in names:
        hits = sum(t == name == p for t, p in zip(true, predicted, strict=True))
        guesses, support = list(predicted).count(name), true.count(name)
        table[name] = {
            "precision": hits / max(1, guesses),
            "recall": hits / max(1, support),
            "f1": 2 * hits / max(1, guesses + support),
            "n": support,
        }
    return table


def label_figures(
    taxonomy: Taxonomy, gold: Bools, probabilities: Floats, thresholds: tuple[float, float]
) -> dict[str, Any]:
    """Return the figures of held-out predictions, rounded, for a manifest.

    Args:
        taxonomy: names the columns.
        gold: shape (messages, heads): fraud, schemes, targets.
        probabilities: the same shape.
        thresholds: flag and review.

    """
    schemes = taxonomy.schemes
    names = [label.name for label in taxonomy.labels]
    honest = taxonomy.honest.name if taxonomy.honest else ""
    right = [{s.label for s, yes in zip(schemes, row[1:], strict=False) if yes} or {honest} for row in gold]
    best = probabilities[:, 1 : 1 + len(schemes)].argmax(axis=1)
    predicted = [schemes[b].label if p >= 0.5 else honest for b, p in zip(best, probabilities[:, 0], strict=True)]
    return figures_of(right, predicted, probabilities[:, 0], thresholds, names, honest)


def figures_of(  # noqa: PLR0913, PLR0917 - what both ways of evaluating have in common
    gold: Sequence[set[str]],
    predicted: Sequence[str],
    scores: Floats,
    thresholds: tuple[float, float],
    names: Sequence[str],
    honest: str | None,
) -> dict[str, Any]:
    """Return the figures of predictions, rounded.

    Args:
        gold: the labels of each message.
        predicted: the label predicted for each.
        scores: shape (messages,): the probabilities that they are not legitimate.
        thresholds: flag and review.
        names: all labels, in the order of the table.
        honest: the one that is legitimate, if there is one.

    """
    fraud = np.array([honest not in right for right in gold], dtype=bool)
    table = f1_table(gold, predicted, names)
    present = [row["f1"] for row in table.values() if row["n"]]
    flagged, reviewed = scores >= thresholds[0], scores >= thresholds[1]

    def share(chosen: Bools, among: Bools) -> float:
        return round(float(chosen[among].mean()), 4) if among.any() else 0.0

    return {
        "messages": len(gold),
        "macro_f1": round(float(np.mean(present)), 4),
        "auc": round(auc(scores, fraud), 4) if honest else None,
        "recall": share(scores >= 0.5, fraud),
        "false_alarms": share(scores >= 0.5, ~fraud),
        "flag": {"recall": share(flagged, fraud), "false_alarms": share(flagged, ~fraud)},
        "review": {"recall": share(reviewed, fraud), "false_alarms": share(reviewed, ~fraud)},
        "labels": {name: {k: round(v, 4) for k, v in row.items()} for name, row in table.items()},
    }


def evaluate(scanner: Scanner, rows: Sequence[Row]) -> dict[str, Any]:
    """Score labelled rows and return their figures: macro-F1, AUC, recall and false alarms, and a table by label."""
    found = scanner.decide([row.text for row in rows])
    taxonomy = scanner.taxonomy
    honest = taxonomy.honest.name if taxonomy.honest else None
    gold = [{taxonomy.scheme(name).label for name in row.labels} or {honest or ""} for row in rows]
    thresholds = (scanner.thresholds.flag, scanner.thresholds.review)
    names = [label.name for label in taxonomy.labels]
    return figures_of(gold, found.label, np.array(found.score), thresholds, names, honest)
