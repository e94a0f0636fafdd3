"""One decisive phrase in a long text: which stretch of it is the most suspicious.

A lure of fifty characters drowns in a chat of two thousand. So a long text is also cut into
windows, which are scored by themselves, and speaks through its most suspicious window where
that says more than the whole. Many windows have many chances to alarm: their number is held
against them. The one that was found is moved a little both ways, for the lure need not begin
where it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

__all__ = ["LONG", "MOVES", "REACH", "WINDOW", "Windows", "most_suspicious", "price", "windows_of"]

WINDOW = 32
"""Kept characters of a window: what a lure says in a breath fills one. In larger ones it drowns as it does in the
whole: of lures of 25 to 60 characters in chats of 2,000, windows of 128 find a quarter as many at 1 % false
alarms (`benchmarks/robustness.md` says how many these do)."""

REACH, STEP = 24, 8
"""Kept characters by which the most suspicious window is moved at most, and at a time. At 10 % false alarms that finds
5 to 10 percentage points more of the lures in such chats, nearly as many as a window at every eighth character at a
quarter of its cost; and the window lies at the lure more often."""

MOVES = np.array([0, *range(-REACH, 0, STEP), *range(STEP, REACH + 1, STEP)])
"""The ways to move it; of equals the first one counts."""

TIMES = 2
"""How many windows one counts for that may be moved: it leaves about as many honest chats above one half as windows do
that stand still."""

LONG = 512
"""A text with more kept characters has windows; up to here messages of the corpus taught the model to judge the
whole."""

PRICE = 1.0
"""How much of the logarithm of the number of windows is taken off a window's logit. One is what the odds come to if a
long text is no more often fraud than a short one and its windows are independent."""


class Windows(NamedTuple):
    """The most suspicious window of some texts.

    Attributes:
        texts: their places in the batch.
        logits: shape (heads, texts): the window's, the first with the price of `price` taken off.
        starts: the window's first kept character.
        ends: the one behind its last.

    """

    texts: Ints
    logits: Floats
    starts: Ints
    ends: Ints

    def of(self, chosen: Bools) -> Windows:
        """Return those of some of the texts; ``chosen`` has shape (texts,)."""
        return Windows(self.texts[chosen], self.logits[:, chosen], self.starts[chosen], self.ends[chosen])


def price(length: Ints) -> Floats:
    """Return what the logits of windows pay in texts of ``length`` kept characters."""
    logs: Floats = np.log(TIMES * np.maximum(-(length // -WINDOW), 1))
    return PRICE * logs


def windows_of(lengths: Ints) -> tuple[Ints, Ints]:
    """Return the windows of texts that stand one behind the other: where each begins, and the text it belongs to."""
    counts = -(lengths // -WINDOW)
    owners = np.arange(lengths.size).repeat(counts)
    within = np.arange(owners.size) - (counts.cumsum() - counts)[owners]
    return (lengths.cumsum() - lengths)[owners] + WINDOW * within, owners


def most_suspicious(logits: Floats, owners: Ints) -> Ints:
    """Return the place of each owner's window with the highest logit, the first one of equals.

    Args:
        logits: shape (windows,).
        owners: shape (windows,), ascending.

    """
    begins = np.flatnonzero(np.diff(owners, prepend=-1))
    highest = np.maximum.reduceat(logits, begins).repeat(np.diff(begins, append=owners.size))
    places = np.flatnonzero(logits == highest)
    return places[np.diff(owners[places], prepend=-1) > 0]
