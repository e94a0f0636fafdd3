"""The curve of thresholds: false-alarm rate and recall by score, as measured on held-out messages."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from decimal import ROUND_UP, Context
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.decisions import STEPS, checked_number
from fraudscan.errors import FraudscanError

if TYPE_CHECKING:
    from fraudscan.arrays import Bools, Floats

__all__ = ["Curve", "CurveError"]

POINTS = 40
"""The number of tabulated shares of false alarms, and as many of misses. They are evenly spaced on a logarithmic scale:
each is about a fourth smaller than the next."""

ROUND_SHARES = tuple(digit * 10.0**-power for power in (5, 4, 3, 2, 1) for digit in (1, 2, 5))
"""Shares that users ask for. They are in the table, as exactly as the number of messages allows."""

LEAST_COUNT = 5
"""The smallest number of honest messages that a share may correspond to. The standard error of a count is its square
root; for a smaller count it is half of the count or more."""

COLUMNS = ("scores", "false_alarms", "recall")
"""The names of the table's columns, as stored."""


class CurveError(FraudscanError, ValueError):
    """The model has no valid curve, or no threshold for the requested share of false alarms."""


@dataclass(frozen=True)
class Curve:
    """A table of thresholds in ascending order.

    Attributes:
        scores: the thresholds.
        false_alarms: for each threshold the share of legitimate messages with a score of at least that.
        recall: the same share of all other messages.
        honest: the number of legitimate messages.

    """

    scores: tuple[float, ...]
    false_alarms: tuple[float, ...]
    recall: tuple[float, ...]
    honest: int

    @classmethod
    def from_scores(cls, scores: Floats, fraud: Bools) -> Curve:
        """Tabulate held-out scores; ``fraud`` is the mask of the messages that are not honest."""
        honest, lures = np.sort(scores[~fraud]), np.sort(scores[fraud])
        found = {1.0}
        for values in (honest, lures[::-1]):  # few honest messages above a threshold; few lures below it
            spread = np.rint(np.geomspace(1, max(1, values.size), POINTS))
            ranks = np.unique(np.concatenate([spread, np.floor(np.array(ROUND_SHARES) * values.size) + 1])).astype(int)
            found.update(values[-ranks[ranks <= values.size]].tolist())
        steps = np.ceil(np.array(sorted(found)) * STEPS + 1e-3)  # the next step, also for a score that lies on one
        table = np.unique([0.0, *np.minimum(steps, STEPS) / STEPS])

        def share(values: Floats) -> tuple[float, ...]:
            above = values.size - np.searchsorted(values, table)
            return tuple(np.round(above / max(1, values.size), 6).tolist())

        return cls(tuple(table.tolist()), share(honest), share(lures), int(honest.size))

    def threshold(self, max_false_alarms: float) -> float:
        """Return the lowest score of the table with at most this share of false alarms.

        Raises:
            CurveError: if the share is not above 0 and at most 1, if it is too small to be measured on the held-out
                messages, or if every threshold has a larger share.
            TypeError: if it is not a number.

        """
        max_false_alarms = checked_number(max_false_alarms, "the share of false alarms")
        if not 0 < max_false_alarms <= 1:
            raise CurveError(
                "the share of false alarms among legitimate messages must be above 0 and at most 1, "
                f"not {max_false_alarms}"
            )
        if max_false_alarms * self.honest < LEAST_COUNT:
            least = Context(2, ROUND_UP).create_decimal(repr(LEAST_COUNT / max(1, self.honest)))
            how = f"ask for {float(least):g} or more, or " if least <= 1 else ""
            raise CurveError(
                f"the model was measured on {self.honest:,} legitimate messages, too few for a share of "
                f"{max_false_alarms:g}: {how}set the threshold directly"
            )
        for score, share in zip(self.scores, self.false_alarms, strict=True):
            if share <= max_false_alarms:
                return score
        raise CurveError(
            f"{self.false_alarms[-1]:.2%} of the legitimate messages have a score of 1: no threshold helps"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as plain data, which `from_dict` reads."""
        return {"honest": self.honest, **{name: list(getattr(self, name)) for name in COLUMNS}}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Curve:
        """Build the curve that ``data`` describes.

        Raises:
            KeyError, TypeError: if ``data`` lacks something.
            ValueError: if it is not a table of shares that fall while the scores rise.

        """
        scores, false_alarms, recall = (_checked_shares(data[name], name) for name in COLUMNS)
        honest = data["honest"]
        if isinstance(honest, bool) or not isinstance(honest, int) or not 0 <= honest < 1 << 63:
            raise ValueError(f"honest must be a number of messages, not {honest!r}")
        if not scores or not len(scores) == len(false_alarms) == len(recall):
            raise ValueError("its columns are empty, or of different lengths")
        if any(low >= high for low, high in itertools.pairwise(scores)):
            raise ValueError("its scores do not rise")
        if any(high < low for shares in (false_alarms, recall) for high, low in itertools.pairwise(shares)):
            raise ValueError("its shares do not fall")
        return cls(scores, false_alarms, recall, honest)


def _checked_shares(values: Any, name: str) -> tuple[float, ...]:
    shares = tuple(values)
    for share in shares:
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ValueError(f"{name} must lie between 0 and 1, not at {share!r}")
    return shares
