"""Measure how well probabilities are calibrated: compare predicted with observed shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fraudscan.arrays import Bools, Floats

__all__ = ["BINS", "prior_weights", "reliability"]

BINS = 15
"""The number of bins of equal mass. Guo et al. 2017 use as many bins of equal width, most of which stay empty."""


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
