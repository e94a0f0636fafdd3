"""Are probabilities what they say? Predicted and observed shares, and how far they lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fraudscan.arrays import Bools, Floats

__all__ = ["BINS", "prior_weights", "reliability"]

BINS = 15
"""How many bins of equal mass: as many as in Guo et al. 2017, where they have equal width and most stay empty."""


def prior_weights(positive: Bools, prior: float) -> Floats:
    """Return weights with which ``prior`` of all messages are positive, as the probabilities take for granted."""
    share = positive.mean()
    if not 0 < share < 1:
        return np.ones(positive.size)
    weights: Floats = np.where(positive, prior / share, (1 - prior) / (1 - share))
    return weights


def reliability(probabilities: Floats, positive: Bools, weights: Floats | None = None) -> dict[str, Any]:
    """Return the expected calibration error, and for each bin of equal mass what was predicted and what was.

    Args:
        probabilities: shape (messages,).
        positive: the same shape: which of them they should be high for.
        weights: how often each message counts (default: once).

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
