"""The engine: from texts to the logits of heads.

A text that carries marks of disguise is repaired first (`fraudscan.disguise`). Each n-gram has a vector of
weights. The inputs of a text with L kept characters are

    bias + scale * (sum of the vectors of its matches) / sqrt(L + 40)

except that no text counts for more than one of 512 characters (`length_norms`). In the shipped model a small layer
computes the heads' logits from the inputs (`fraudscan.layer`). A model of a user's own labels is linear: the inputs are
the logits. If the windows of a text of more than 128 characters outweigh the whole text, they decide
(`fraudscan.windows`). For a user's own labels, whose texts are not known beforehand, the square root is instead that of
the sum of the squared rarities of the matches: the norm of the text's own vector. A squared rarity is the last weight
of an n-gram's vector.

Weights are integers and so are their sums: nothing is rounded before scaling, and a text
has the same score alone, in any batch and in any chunk. If `fraudscan.kernel` was not built,
four weights are packed into each 64-bit integer, which makes NumPy alone as fast as a sparse
product in SciPy.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan import kernel
from fraudscan.arrays import aligned, cuts, ranges
from fraudscan.characters import text_sizes
from fraudscan.contacts import unmarked
from fraudscan.disguise import MAX_REPAIRED, is_long, repaired
from fraudscan.layer import Layer
from fraudscan.lazy import shared_property
from fraudscan.notes import Noter
from fraudscan.windows import (
    RAMP_START,
    STRIDE,
    WHOLE,
    WINDOW,
    Windows,
    length_penalty,
    most_suspicious,
    window_penalty,
    window_sums,
    windows_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Floats, Ints, Marks, Words
    from fraudscan.disguise import Repaired
    from fraudscan.features import Matches, Vocabulary

__all__ = ["Engine", "Judgement", "Parts", "length_norms"]

SMOOTHING = 40
"""Added to the length under the square root. It makes the few matches of a short text count for less than the bias, so
a text of which the model knows little is judged as most texts are. When it is raised from 0 to 40, held-out macro-F1
falls by a point, while false alarms on short personal messages halve."""

CAP = 512
"""Kept characters from which on norms grow in proportion to the length, which caps evidence (`length_norms`)."""

WEIGHT_LIMIT = 127
"""The largest absolute value of a weight, the maximum of int8. The figures are the same from 6 to 12 bits."""

LARGEST = 1e9
"""The largest absolute value of a scale or bias. With it, scaled sums of weights are finite for any text."""

FIELDS = 4
"""The number of weights that share one 64-bit integer while they are summed."""

FIELD_BITS = 64 // FIELDS
"""The bits of each sum in that integer, including the sign."""

FIELD_SIZE = (1 << FIELD_BITS - 1) // (WEIGHT_LIMIT + 1)
"""The number of weights that can be summed in such a field without overflow. Longer texts are summed in pieces of this
length."""

HALF = 1 << FIELD_BITS - 1
"""Half the number of values of a field: added to a sum, it makes the sum positive."""

SHIFTS = (FIELD_BITS * np.arange(FIELDS, dtype=np.int64)).reshape(-1, 1, 1)
"""How many bits each field lies above the lowest, in a shape that fits packed sums."""

OFFSET = int((HALF << SHIFTS).sum())
"""`HALF` in each field: added to packed sums, it lets each field be extracted separately."""

CHUNK = 1 << 17
"""Characters scored at a time: few enough that arrays stay in the caches, and enough to be worth the calls' cost."""

UNLIKELY = -1e-3
"""The first head's logit up to which fraud is less likely than not, even after rounding."""


class Judgement(NamedTuple):
    """The engine's output for a batch of texts.

    Attributes:
        logits: float64, shape (heads, texts).
        notes: int64, shape (texts,): as in `fraudscan.notes`; 0 if they were not requested.
        places: int64, shape (texts, 2): begin and end of the window that decided, in kept characters; 0 and 0 if the
            whole text did.
        readings: for each text that carries marks of disguise, by its index, how it is read, or ``None`` if there is
            nothing to repair.

    """

    logits: Floats
    notes: Ints
    places: Ints
    readings: dict[int, Repaired | None]


class Parts(NamedTuple):
    """The parts of texts that decided: the whole text, or its most suspicious window.

    Attributes:
        nodes: int64, shape (characters,): for each kept character, one text after the other, the longest n-gram that
            ends there.
        starts: int64, shape (characters,): where what each character stands for begins in the original text.
        ends: int64, shape (characters,): where it ends there.
        lengths: int64, shape (texts,): the number of kept characters of each part.

    """

    nodes: Ints
    starts: Ints
    ends: Ints
    lengths: Ints

    def span(self, place: int) -> tuple[int, int]:
        """Return begin and end of a text's part in the original, for the text's index; the part must not be empty."""
        stop = int(self.lengths[: place + 1].sum())
        return int(self.starts[stop - self.lengths[place]]), int(self.ends[stop - 1])


class _Reading(NamedTuple):
    """The output for texts read as they stand, without repair.

    Attributes:
        logits: as in `Judgement`.
        lengths: int64, shape (texts,): the numbers of kept characters.
        notes: int64, shape (texts,): as in `Judgement`.
        marked: uint8, shape (texts,): which texts carry marks of disguise (see `fraudscan.neighbours.marks_of`).
        places: as in `Judgement`.

    """

    logits: Floats
    lengths: Ints
    notes: Ints
    marked: Marks
    places: Ints


class Engine:
    """Turns texts into logits. Immutable, like the scanner that it belongs to.

    Args:
        vocabulary, weights, scales, biases, layer: as for `fraudscan.model.Scanner`.
        nothing: float64, shape (heads,): the logits of a text without a kept character.
        fraud: whether the first head stands for fraud. If so, disguises are repaired, and long texts are also scored
            window by window. If not, weights and scales have one more column, of squared rarities.
        quotes: a layer with one head, which recognizes texts about fraud such as warnings and news. In these the
            windows count for less, because they are quotations.

    Raises:
        ValueError: if the shapes do not fit each other, if a weight is not a whole number or too large to be summed,
            if row 0 of the weights is not zero, or if a scale or bias is not finite or too large.

    """

    def __init__(  # noqa: PLR0913 - what a network consists of
        self,
        vocabulary: Vocabulary,
        weights: npt.ArrayLike,
        scales: npt.ArrayLike,
        biases: npt.ArrayLike,
        *,
        layer: Layer | None,
        nothing: npt.ArrayLike,
        fraud: bool,
        quotes: Layer | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.layer = layer
        self.quotes = quotes
        self.fraud = fraud
        weights = np.asarray(weights)  # a cast would make too large values wrap around
        if not (weights.max(initial=0) <= WEIGHT_LIMIT and weights.min(initial=0) >= -WEIGHT_LIMIT):
            raise ValueError(f"weights must be at most {WEIGHT_LIMIT}")
        self.weights: npt.NDArray[np.int8] = _frozen(weights, np.int8)
        if not (self.weights == weights).all():
            raise ValueError("weights must be whole numbers")
        self.scales: Floats = _frozen(scales, np.float64)
        self.biases: Floats = _frozen(biases, np.float64)
        self._nothing = _frozen(nothing, np.float64)
        heads = self._nothing.size
        inputs, outputs = (layer.inputs, len(layer.output)) if layer else (heads, heads)
        self._width = inputs + (not fraud)
        if (
            self.weights.shape != (vocabulary.size, self._width)
            or self.scales.shape != (self._width,)
            or self.biases.shape != (inputs,)
            or outputs != heads
        ):
            raise ValueError(
                f"{vocabulary.size} nodes and {heads} heads do not fit weights of shape "
                f"{self.weights.shape}, scales of {self.scales.shape}, biases of {self.biases.shape}"
                + (f" and a layer of {inputs} inputs and {outputs} heads" if layer else "")
            )
        if self.weights[0].any():
            raise ValueError("weights must be 0 in row 0")
        if not (np.abs(self.scales) <= LARGEST).all() or not (np.abs(self.biases) <= LARGEST).all():
            raise ValueError(f"scales and biases must be at most {LARGEST:g}")

    @shared_property
    def _noter(self) -> Noter:
        return Noter(self.vocabulary)

    def judge(
        self, texts: Sequence[str], *, notes: bool = False, readings: bool = False, likely: bool = False
    ) -> Judgement:
        """Return the logits of texts, and what else is requested about them.

        Args:
            texts: the texts.
            notes: whether to return notes.
            readings: whether to return readings of texts with marks of disguise for a model of a user's own labels,
                too, although it scores texts as they are.
            likely: whether to fill in the logits of all heads only where fraud is likely. Where the first head says
                that it is unlikely, the others are left undefined.

        """
        texts = unmarked(texts)
        found = self._read_once(texts, notes=notes, likely=likely)
        marked = found.marked.nonzero()[0].tolist() if self.fraud or readings else []
        marked = [i for i in marked if not is_long(texts[i])]
        written = [texts[i] for i in marked]
        read = repaired(written, found.marked[marked])  # in one call: each takes half a millisecond at least
        if self.fraud and read:
            changed = [marked[place] for place in read]
            again = self._read_once([each.text for each in read.values()], notes=notes, likely=likely)
            found.logits[:, changed], found.places[changed] = again.logits, again.places
            found.lengths[changed], found.notes[changed] = again.lengths, again.notes
        found.logits[:, found.lengths == 0] = self._nothing[:, None]
        readings_of = {i: read.get(place) for place, i in enumerate(marked)}
        return Judgement(found.logits, found.notes, found.places, readings_of)

    def parts(self, texts: Sequence[str], judged: Judgement) -> Parts:
        """Return the parts of one or more texts that decided, where ``judged`` is what `judge` returned for them."""
        found = {i: each for i, each in judged.readings.items() if each} if self.fraud else {}
        read = [found[i].text if i in found else text for i, text in enumerate(unmarked(texts))]
        starts, nodes, lengths = self.vocabulary.locate(read)
        ends = starts + 1
        begins = lengths.cumsum() - lengths
        for i, each in found.items():
            part = slice(begins[i], begins[i] + lengths[i])
            starts[part], ends[part] = each.starts[starts[part]], each.ends[starts[part]]
        first, last = judged.places.T
        last = np.where(last, last, lengths)
        kept, _ = ranges(begins + first, begins + last)
        return Parts(nodes[kept], starts[kept], ends[kept], last - first)

    def heads_of(self, inputs: Floats) -> Floats:
        """Return the heads' logits, shape (heads, texts), for inputs of shape (inputs, texts)."""
        return inputs if self.layer is None else self.layer(inputs)

    def _fill(self, logits: Floats, sums: Ints, lengths: Ints, *, likely: bool) -> None:
        """Fill in the heads' logits, shape (heads, texts), for sums of weights; ``likely`` is as for `judge`."""
        if not likely:
            logits[:] = self.heads_of(self.scaled(sums, lengths))
            return
        logits[0] = self._alarms(sums, lengths)
        places = (logits[0] > UNLIKELY).nonzero()[0]
        logits[:, places] = self.heads_of(self.scaled(sums[:, places], lengths[places]))

    def _alarms(self, sums: Ints, lengths: Ints, begins: Ints | None = None) -> Floats:
        """Return the first head's logits, shape (texts,); of windows if ``begins`` are those of `windows_of`."""
        if kernel.compiled and self.layer:
            logits, rows = np.empty(lengths.size), np.ascontiguousarray(sums.T)
            firsts = np.arange(lengths.size) if begins is None else begins
            pieces = firsts.astype(np.int64, copy=False), 1 if begins is None else 2
            known = self.scales, self.biases, *self.layer.first
            kernel.compiled.alarms(rows, *pieces, length_norms(lengths), *known, logits)
            return logits
        sums = sums if begins is None else window_sums(sums, begins)
        first: Floats = self._first_head(self.scaled(sums, lengths))[0]
        return first

    def _read_once(self, texts: Sequence[str], *, notes: bool, likely: bool) -> _Reading:
        """Return the output for texts as they stand; the options are those of `judge`."""
        found = _Reading(
            logits=np.empty((self._nothing.size, len(texts))),
            lengths=np.empty(len(texts), dtype=np.int64),
            notes=np.zeros(len(texts), dtype=np.int64),
            marked=np.zeros(len(texts), dtype=np.uint8),
            places=np.zeros((len(texts), 2), dtype=np.int64),
        )
        sizes = text_sizes(texts)
        for part in cuts(sizes, CHUNK):
            begin, windows = part.start, None
            if sizes[begin] > CHUNK:  # it is alone
                sums, found.lengths[begin], counts, windows = self._long(texts[begin])
                if notes:
                    found.notes[part] = self._noter.notes(counts, found.lengths[part], texts[part])
                if found.lengths[begin] <= MAX_REPAIRED:  # few characters are kept: it may be disguised
                    found.marked[begin] = self.vocabulary.match(texts[part]).marked[0]
            else:
                matches = self.vocabulary.match(texts[part], sizes[part])
                sums = self._sums(matches.nodes, matches.starts, matches.lengths)
                found.lengths[part] = matches.lengths
                if notes:
                    counts = self._noter.count(matches.nodes, matches.starts)
                    found.notes[part] = self._noter.notes(counts, matches.lengths, texts[part])
                found.marked[part] = matches.marked
                if self.fraud and matches.lengths.max() > RAMP_START:
                    windows = self._windows(matches, sums)
            logits, lengths = found.logits[:, part], found.lengths[part]
            self._fill(logits, sums, lengths, likely=likely)
            if self.fraud and lengths.max() > WHOLE:
                logits[0] -= length_penalty(lengths)
            if windows:
                self._decide(logits, found.places[part], windows)
        return found

    def _decide(self, logits: Floats, places: Ints, windows: Windows) -> None:
        """Let the most suspicious windows decide the texts that they make more suspicious than the whole text does."""
        better = windows.alarms > logits[0, windows.texts]
        texts = windows.texts[better]
        logits[:, texts] = self.heads_of(self.scaled(windows.sums[:, better], windows.lengths[better]))
        logits[0, texts] = windows.alarms[better]
        places[texts] = np.column_stack([windows.starts, windows.starts + windows.lengths])[better]

    def scaled(self, sums: Ints, lengths: Ints) -> Floats:
        """Return the inputs, shape (inputs, texts), for the sums of weights of texts."""
        inputs = sums[: len(self.biases)].astype(np.float64)
        inputs *= self.scales[: len(self.biases), None]
        inputs /= self.norms(sums, lengths)
        inputs += self.biases[:, None]
        return inputs

    def norms(self, sums: Ints, lengths: Ints) -> Floats:
        """Return the norms by which the scaled sums of texts are divided: float64, shape (texts,)."""
        if self.fraud:
            return length_norms(lengths)
        squares = sums[-1] * self.scales[-1]  # of the rarities
        return np.sqrt(np.where(squares > 0, squares, 1.0))

    def _long(self, text: str) -> tuple[Ints, int, Ints, Windows | None]:
        """Read a text of any length, in memory that does not grow with it, as if it were read in one block.

        Returns:
            The sums of its weights, shape (sums, 1), its length, what `Noter.count` returns for it, and its most
            suspicious window, if it has windows.

        """
        total, length, counts = np.zeros(self._width, dtype=np.int64), 0, np.zeros((2, 1), dtype=np.int64)
        rest = np.zeros(0, dtype=np.uint32)  # nodes from the start of the next window on
        odds, count = -np.inf, 0  # the logarithm of the summed odds of the windows so far, and their number
        highest, worst = -np.inf, total[:, None]  # the logit of the most suspicious one, and the sums of its weights
        begin = size = np.zeros(1, dtype=np.int64)  # where that one begins, and its size
        for nodes in itertools.chain(self.vocabulary.match_blocks(text, CHUNK), [None]):
            if nodes is not None and nodes.size:
                counts += self._noter.count(nodes, np.zeros(1, dtype=np.int64))
                rest = np.concatenate([rest, nodes])
            read = rest.size if nodes is None else rest.size // STRIDE * STRIDE
            if not read or (read < WINDOW and nodes is not None):
                continue
            starts, begins, _, sizes = windows_of(np.array([read], dtype=np.int64))
            sums = self._added_up(rest[:read], starts)
            if self.fraud and begins.size:
                alarms = self._alarms(sums, sizes, begins)
                odds, count = np.logaddexp.reduce(alarms, initial=odds), count + alarms.size
                chosen = alarms.argmax()
                if alarms[chosen] > highest:
                    highest, worst = alarms[chosen], window_sums(sums, begins[[chosen]])
                    begin, size = np.array([length + STRIDE * chosen]), sizes[[chosen]]
            done = starts.size if nodes is None else begins.size
            total += sums[:, :done].sum(axis=1)
            rest = rest[done * STRIDE :]
            length += min(done * STRIDE, read)
        sums, lengths, windows = total[:, None], np.array([length]), None
        if self.fraud and length > RAMP_START:
            alarms = odds - np.log(count) - window_penalty(lengths, self._quoting(sums, lengths))
            windows = Windows(np.zeros(1, dtype=np.int64), alarms, worst, begin, size)
        return sums, length, counts, windows

    def _quoting(self, sums: Ints, lengths: Ints) -> Floats:
        """Return the logits that texts are about fraud, shape (texts,), for the sums of their weights."""
        if self.quotes is None:
            return np.full(lengths.size, -np.inf)
        quoting: Floats = self.quotes(self.scaled(sums, lengths))[0]
        return quoting

    def _windows(self, found: Matches, sums: Ints) -> Windows:
        """Return the most suspicious windows of the long texts of a part of a batch, which must have some.

        Args:
            found: the texts' matches.
            sums: the sums of their weights, shape (sums, texts).

        """
        long = (found.lengths > RAMP_START).nonzero()[0]
        lengths, nodes = found.lengths[long], found.nodes_of(long)
        starts, begins, owners, sizes = windows_of(lengths)
        pieces = self._added_up(nodes, starts)
        chosen, alarms = most_suspicious(self._alarms(pieces, sizes, begins), owners)
        alarms -= window_penalty(lengths, self._quoting(sums[:, long], lengths))
        firsts = begins[chosen]
        within = starts[firsts]
        within -= lengths.cumsum() - lengths
        return Windows(long, alarms, window_sums(pieces, firsts), within, sizes[chosen])

    @shared_property
    def _first_head(self) -> Callable[[Floats], Floats]:
        """A function that does the same as `heads_of`, but for the first head alone."""
        return Layer(self.layer.hidden, self.layer.output[:1]) if self.layer else self.heads_of

    def _sums(self, nodes: Words, starts: Ints, lengths: Ints) -> Ints:
        """Return the exact sums of the weights of each text's nodes: int64, shape (sums, texts).

        A text has ``lengths + 1`` nodes, the last of which may be a separator.
        """
        if kernel.compiled or lengths.max() < FIELD_SIZE:
            return self._added_up(nodes, starts)
        counts = lengths // FIELD_SIZE + 1
        first = counts.cumsum() - counts
        pieces = (starts - FIELD_SIZE * first).repeat(counts)
        pieces += FIELD_SIZE * np.arange(pieces.size)
        return np.add.reduceat(self._added_up(nodes, pieces), first, axis=1)

    def _added_up(self, nodes: Words, starts: Ints) -> Ints:
        """Return the sums of weights from each start to the next: int64, shape (sums, starts).

        Without the kernel there may be at most `FIELD_SIZE` nodes from one start to the next.
        """
        if kernel.compiled:
            added = np.empty((starts.size, self._width), dtype=np.int64)
            kernel.compiled.add_up(nodes, starts, self.weights, self._width, added)
            return added.T
        packed = np.add.reduceat(self._packed.take(nodes, axis=1), starts, axis=1)
        packed += OFFSET
        fields = packed >> SHIFTS
        fields &= 2 * HALF - 1
        fields -= HALF
        sums: Ints = fields.reshape(-1, starts.size)[: self._width]
        return sums

    @shared_property
    def _packed(self) -> Ints:
        """The weights, several packed into each integer so that one addition sums all of them; shape (packs, nodes)."""
        packs = -(self._width // -FIELDS)
        packed = np.zeros((packs, self.vocabulary.size), dtype=np.int64)
        for place, weights in enumerate(self.weights.T.astype(np.int64)):
            packed[place % packs] += weights << (FIELD_BITS * (place // packs))
        return packed


def length_norms(lengths: Ints) -> Floats:
    """Return the norms by which the sums over texts of ``lengths`` kept characters are divided: float64, same shape.

    A norm is the square root of the length plus `SMOOTHING`, so that evidence grows with that root, as its error does.
    Beyond `CAP`, a length that hardly any message of the corpus reaches, the norm grows in proportion to the
    length, so that no text counts for more than one of that length.

    >>> length_norms(np.array([60, 512, 2000])).round(1).tolist()
    [10.0, 23.5, 86.8]

    """
    lengths = lengths + SMOOTHING
    norms: Floats = np.sqrt(np.minimum(lengths, CAP + SMOOTHING)) * np.maximum(lengths / (CAP + SMOOTHING), 1)
    return norms


def _frozen(values: npt.ArrayLike, dtype: type) -> npt.NDArray[Any]:
    array = aligned(values, dtype)
    array.setflags(write=False)
    return array
