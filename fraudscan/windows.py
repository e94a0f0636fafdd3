"""One decisive phrase in a long text: which stretch of it is the most suspicious, and what all of them say together.

A lure of fifty characters drowns in a chat of two thousand. So a long text is also cut into windows, which are scored
by themselves. If it holds a lure, and any of them may be the one, the odds that it does are the mean of their odds:
many windows have many chances to alarm, and a single one must alarm the more, the more there are. What warnings and
news quote is a lure in each window: the surer it is that a text speaks of frauds, the less they say (`QUOTED`). A text
speaks through its windows where that says more than the whole. The longer it is, the less the whole says: in talk of
hours, all adds up that it has in common with frauds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fraudscan.arrays import Bools, Floats, Ints

__all__ = [
    "RAMP_END",
    "RAMP_START",
    "STRIDE",
    "WHOLE",
    "WINDOW",
    "Windows",
    "length_penalty",
    "logit_of_mean_odds",
    "most_suspicious",
    "pieces_of",
    "window_penalty",
    "window_sums",
    "windows_of",
]

WINDOW = 40
"""Kept characters of a window: what a lure says in a breath fills one. In larger ones it drowns as it does in the
whole, and in smaller ones an honest notice looks like a lure."""

STRIDE = WINDOW // 2
"""Kept characters from one window to the next, so that each lure lies in one for the most part. With a third instead of
a half no more are found."""

RAMP_START, RAMP_END = 128, 192
"""A text with more kept characters than the first has windows; from the second on they count in full. In shorter ones
they would make as many honest notices look like lures as they find lures."""

PENALTY = 4.0
"""What is taken off the logit of windows at `RAMP_START` characters; it falls to nothing at `RAMP_END`: they come in by
degrees."""

QUOTED = 2.0
"""Windows are taken for a quotation with a probability whose logit is this, times the one that the text speaks of
frauds. With one, one in seven of the clearest lures still alarms where the police quotes it (with two, one in three
hundred); with three, a third less is found in talk of anything, which seems to speak of frauds with a logit of about
one."""

WHOLE = 768
"""Kept characters up to which the whole text has no length penalty: frauds write letters of that length."""


class Windows(NamedTuple):
    """The most suspicious window of some texts.

    Attributes:
        texts: their places in the batch.
        logits: shape (heads, texts): the window's, but for the first: that of all windows together.
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


def length_penalty(lengths: Ints) -> Floats:
    """Return what is taken off the first head's logits of whole texts of ``lengths`` kept characters."""
    penalty: Floats = np.log(np.maximum(lengths / WHOLE, 1))
    return penalty


def window_penalty(lengths: Ints, quoting: Floats) -> Floats:
    """Return what is taken off the logit of their windows; ``quoting``: the logits that they speak of frauds."""
    penalty: Floats = PENALTY * np.clip((RAMP_END - lengths) / (RAMP_END - RAMP_START), 0, 1)
    penalty += np.logaddexp(0, QUOTED * quoting)
    return penalty


def pieces_of(lengths: Ints) -> tuple[Ints, Ints]:
    """Return the pieces of texts that stand one behind the other: where each begins, and the text it belongs to."""
    counts = -(lengths // -STRIDE)
    owners = np.arange(lengths.size).repeat(counts)
    within = np.arange(owners.size) - (counts.cumsum() - counts)[owners]
    return (lengths.cumsum() - lengths)[owners] + STRIDE * within, owners


def windows_of(owners: Ints) -> Ints:
    """Return the pieces at which windows begin: all but each text's last; ``owners`` are the texts of the pieces."""
    begins: Ints = np.flatnonzero(owners[:-1] == owners[1:])
    return begins


def window_sums(values: Ints, begins: Ints) -> Ints:
    """Return the sums of values, of shape (…, pieces), over the windows that begin at the pieces ``begins``."""
    sums: Ints = values[..., begins] + values[..., begins + 1]
    return sums


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


def logit_of_mean_odds(logits: Floats, owners: Ints) -> Floats:
    """Return the logit of the mean of each owner's odds; arguments as above."""
    begins = np.flatnonzero(np.diff(owners, prepend=-1))
    total: Floats = np.logaddexp.reduceat(logits, begins)  # one after the other, as `Engine` adds up those of blocks
    return total - np.log(np.diff(begins, append=owners.size))
