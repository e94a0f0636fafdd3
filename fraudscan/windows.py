"""Windows of long texts: which one is the most suspicious, and what all of them together say about the text.

A lure of fifty characters is diluted in a chat of two thousand. Therefore a long text is also cut into windows, which
are scored separately. If any window is as likely as the others to hold the lure, the odds that the text holds one are
the mean of the windows' odds. Many windows have many chances to raise an alarm, so the more windows there are, the
higher the odds of a single window must be for an alarm. In a window, a lure that warnings or news quote looks like any
other lure; so the more likely a text is to be about fraud, the less its windows count (`QUOTING_SLOPE`). The windows
decide on a text if their logit is higher than that of the whole text. The longer the text, the less the whole counts,
because everything that hours of talk have in common with frauds adds up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fraudscan.arrays import Floats, Ints

__all__ = [
    "RAMP_END",
    "RAMP_START",
    "STRIDE",
    "WHOLE",
    "WINDOW",
    "Windows",
    "length_penalty",
    "most_suspicious",
    "window_penalty",
    "window_sums",
    "windows_of",
]

WINDOW = 40
"""Kept characters per window, about the length of one sentence of a lure. In larger windows a lure is diluted as it is
in the whole text; in smaller ones honest notices start to look like lures."""

STRIDE = WINDOW // 2
"""Kept characters from the start of one window to the start of the next. Windows overlap by half, so most of each lure
lies in one of them. With a stride of a third of a window no more lures are found."""

RAMP_START, RAMP_END = 128, 192
"""Texts with more than `RAMP_START` kept characters have windows, which count in full from `RAMP_END` on. In shorter
texts they would make as many honest notices look like lures as they would find lures."""

PENALTY = 4.0
"""Subtracted from the window logit of a text of `RAMP_START` characters. It decreases linearly to zero at `RAMP_END`,
so windows take effect gradually."""

QUOTING_SLOPE = 2.0
"""The logit of the probability that a text's windows are quotations is this factor times the logit that the text is
about fraud. With a slope of one, one in seven of the clearest lures still raises an alarm where the police quote it
(with two, one in three hundred). With three, a third fewer lures are found in talk about arbitrary subjects, which
seems to be about fraud with a logit of about one."""

WHOLE = 768
"""Kept characters up to which the whole text has no length penalty, because some frauds are letters of that length."""


class Windows(NamedTuple):
    """The most suspicious window of each of some texts.

    Attributes:
        texts: int64, shape (texts,): the indices of the texts in their part of the batch.
        alarms: float64, shape (texts,): the first head's logit of all windows of the text together.
        sums: int64, shape (sums, texts): the sums of the weights of the window.
        starts: int64, shape (texts,): the index of the window's first kept character.
        lengths: int64, shape (texts,): its number of kept characters.

    """

    texts: Ints
    alarms: Floats
    sums: Ints
    starts: Ints
    lengths: Ints


def length_penalty(lengths: Ints) -> Floats:
    """Return the penalty on the first head's logit of whole texts of ``lengths`` kept characters, shape (texts,)."""
    penalty: Floats = np.log(np.maximum(lengths / WHOLE, 1))
    return penalty


def window_penalty(lengths: Ints, quoting: Floats) -> Floats:
    """Return the penalty on the window logit of texts, shape (texts,).

    Args:
        lengths: shape (texts,): their numbers of kept characters.
        quoting: shape (texts,): the logits that they are about fraud.

    """
    penalty: Floats = PENALTY * np.clip((RAMP_END - lengths) / (RAMP_END - RAMP_START), 0, 1)
    penalty += np.logaddexp(0, QUOTING_SLOPE * quoting)
    return penalty


def windows_of(lengths: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Cut concatenated texts of ``lengths`` kept characters into pieces of `STRIDE`, half a window, and pair these.

    Returns:
        For each piece the index of its first character; for each window the index of its first piece, the index of its
        text, and its number of kept characters.

    """
    counts = -(lengths // -STRIDE)
    owners = np.arange(lengths.size).repeat(counts)
    within = np.arange(owners.size) - (counts.cumsum() - counts)[owners]
    starts = (lengths.cumsum() - lengths)[owners] + STRIDE * within
    begins = np.flatnonzero(owners[:-1] == owners[1:])
    return starts, begins, owners[begins], window_sums(np.diff(starts, append=lengths.sum()), begins)


def window_sums(values: Ints, begins: Ints) -> Ints:
    """Return the sums of ``values``, shape (…, pieces), over the windows that begin at the pieces ``begins``."""
    sums: Ints = values[..., begins] + values[..., begins + 1]
    return sums


def most_suspicious(logits: Floats, owners: Ints) -> tuple[Ints, Floats]:
    """Return the index of each text's window with the highest logit, and the logit of the mean odds of its windows.

    If several windows have the highest logit, it is the first of them.

    Args:
        logits: shape (windows,).
        owners: shape (windows,), ascending: the index of each window's text.

    """
    begins = np.flatnonzero(np.diff(owners, prepend=-1))
    counts = np.diff(begins, append=owners.size)
    highest = np.maximum.reduceat(logits, begins).repeat(counts)
    places = np.flatnonzero(logits == highest)
    odds = np.logaddexp.reduceat(logits, begins)  # sequentially, as `Engine` accumulates blocks
    return places[np.diff(owners[places], prepend=-1) > 0], odds - np.log(counts)
