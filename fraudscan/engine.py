"""The engine: from texts to the logits of heads.

A text that carries marks of disguise is repaired first (`fraudscan.disguise`). Each n-gram has a vector of
weights. What a text with L kept characters comes to is

    bias + scale * (sum of the vectors of its matches) / sqrt(L + 40)

and no text says more than one of 512 characters (`length_norms`). In the shipped model a small layer makes the heads'
logits of it (`fraudscan.layer`); a model of a user's own labels is linear, and these are the logits. A text of more
than 128 speaks through its windows where these say more (`fraudscan.windows`). For a user's own labels, whose texts
nobody knows beforehand, the root is that of the sum of the squared rarities of the matches, the last weight of each
vector: the length of the text's own vector.

Weights are integers and so are their sums: nothing is rounded before the scale, and a
text has the same score alone, in any batch and in any chunk. Where `fraudscan.kernel` was not
built, four weights are packed into each 64-bit integer, which makes NumPy alone as fast as a
sparse product of SciPy's.
"""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan import kernel
from fraudscan.disguise import MAX_REPAIRED, is_long, normalized, repaired
from fraudscan.features import text_sizes
from fraudscan.layer import Layer
from fraudscan.notes import Noter
from fraudscan.windows import (
    RAMP_START,
    STRIDE,
    WHOLE,
    WINDOW,
    Windows,
    length_penalty,
    logit_of_mean_odds,
    most_suspicious,
    pieces_of,
    window_penalty,
    window_sums,
    windows_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Bools, Floats, Ints, Words
    from fraudscan.features import Matches, Vocabulary

__all__ = ["Engine", "Judgement", "length_norms"]

SMOOTHING = 40
"""Added to the length under the root: the few matches of a short text count for less than the bias, so that a text of
which the model knows little stays what most texts are. From 0 to 40 held-out macro-F1 falls by a point, while false
alarms on short personal messages halve."""

MOST = 512
"""Kept characters from which on evidence is in proportion to the length (`length_norms`)."""

WEIGHT_LIMIT = 127
"""The largest weight, that of int8. From 6 to 12 bits the figures are the same."""

LARGEST = 1e9
"""The largest scale or bias: sums of weights by it stay finite, whatever the text."""

FIELDS = 4
"""How many weights share one 64-bit integer while they are added up."""

FIELD_BITS = 64 // FIELDS
"""Bits of a sum in it, the sign included."""

FIELD_SIZE = (1 << FIELD_BITS - 1) // (WEIGHT_LIMIT + 1)
"""How many weights are added up in such a field without overflow; longer texts are summed over pieces of this
length."""

HALF = 1 << FIELD_BITS - 1
SHIFTS = (FIELD_BITS * np.arange(FIELDS)).reshape(-1, 1, 1)
OFFSET = int((HALF << SHIFTS).sum())
"""Added to packed sums so that no field is negative and each can be cut out by itself."""

CHUNK = 1 << 17
"""Characters scored at a time: its arrays stay in the caches, and the calls are worth their cost."""

UNLIKELY = -1e-3
"""The first head's logit up to which fraud is less likely than not, whatever is rounded."""


class Judgement(NamedTuple):
    """What the engine says of texts.

    Attributes:
        logits: float64, shape (heads, texts).
        notes: int64, shape (texts,): as in `fraudscan.notes`; 0 where nobody asked for them.
        places: int64, shape (texts, 2): begin and end of the window that decided, in kept characters; 0 and 0 where the
            whole text did.
        readings: the texts that carry marks of disguise, by their index: repaired, or ``None`` where there is nothing
            to repair.

    """

    logits: Floats
    notes: Ints
    places: Ints
    readings: dict[int, str | None]


class _Reading(NamedTuple):
    """What texts come to before any is repaired, and before windows count.

    Attributes:
        logits: float64, shape (heads, texts): those of the whole texts.
        lengths: int64, shape (texts,): the numbers of kept characters.
        notes: int64, shape (texts,).
        marked: shape (texts,): which carry marks of disguise.
        windows: the most suspicious windows of long texts.

    """

    logits: Floats
    lengths: Ints
    notes: Ints
    marked: Bools
    windows: list[Windows]


class Engine:
    """Turns texts into logits. Immutable, as the scanner is that it belongs to.

    Args:
        vocabulary: the n-grams.
        weights: int8, shape (vocabulary.size, inputs): for each node the summed vectors of all n-grams that end
            where it ends; row 0 is zero. Where ``fraud`` is not set there is one more column, of squared rarities.
        scales: float64, shape (inputs,): what one unit of a weight is worth; one more as well.
        biases: float64, shape (inputs,).
        layer: makes the heads' logits of the inputs; without it these are the logits.
        nothing: float64, shape (heads,): the logits of a text without a character.
        fraud: the first head tells fraud: disguises are repaired, and long texts looked at window by window.
        quotes: has one head, which tells texts that speak of frauds, as warnings and news do: in these the windows
            count for less, for they are the words that are quoted.

    Raises:
        ValueError: if the shapes do not fit each other, or a weight is no whole number or cannot be added up.

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
        weights = np.asarray(weights)  # a cast would let what is too large wrap around
        if not (weights.max(initial=0) <= WEIGHT_LIMIT and weights.min(initial=0) >= -WEIGHT_LIMIT):
            raise ValueError(f"weights must be at most {WEIGHT_LIMIT}")
        self.weights = _frozen(weights, np.int8)
        if not (self.weights == weights).all():
            raise ValueError("weights must be whole numbers")
        self.scales = _frozen(scales, np.float64)
        self.biases = _frozen(biases, np.float64)
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

    @cached_property
    def _noter(self) -> Noter:
        return Noter(self.vocabulary)

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return the heads' logits, shape (heads, texts)."""
        return self.judge(texts).logits

    def judge(
        self, texts: Sequence[str], *, notes: bool = False, readings: bool = False, likely: bool = False
    ) -> Judgement:
        """Return what is to be said of texts.

        Args:
            texts: the texts.
            notes: whether notes are wanted.
            readings: whether those of texts with marks of disguise are wanted of a model of a user's own labels too,
                which scores texts as they are.
            likely: only the first head's logits matter where it says that fraud is unlikely: the others are not filled
                in there.

        """
        fill = self._heads_if_likely if likely else self._heads
        found = self._read_once(texts, fill, notes=notes)
        marked = found.marked.nonzero()[0] if self.fraud or readings else np.zeros(0, dtype=np.int64)
        marked = marked[[not is_long(texts[i]) for i in marked.tolist()]]
        read = repaired([texts[i] for i in marked.tolist()])  # at once: it takes half a millisecond, whatever it does
        windows = found.windows
        if self.fraud and read:
            changed = marked[list(read)]
            again = self._read_once(list(read.values()), fill, notes=notes)
            found.logits[:, changed], found.lengths[changed] = again.logits, again.lengths
            found.notes[changed] = again.notes
            # the windows of the texts as they were before the repair are nobody's
            windows = [part.of(~np.isin(part.texts, changed)) for part in windows]
            windows += [part._replace(texts=changed[part.texts]) for part in again.windows]
        if self.fraud and found.lengths.max(initial=0) > WHOLE:
            found.logits[0] -= length_penalty(found.lengths)
        places = np.zeros((len(texts), 2), dtype=np.int64)
        for part in windows:
            better = part.logits[0] > found.logits[0, part.texts]
            found.logits[:, part.texts[better]] = part.logits[:, better]
            places[part.texts[better]] = np.column_stack([part.starts, part.ends])[better]
        found.logits[:, found.lengths == 0] = self._nothing[:, None]
        return Judgement(
            found.logits, found.notes, places, {i: read.get(place) for place, i in enumerate(marked.tolist())}
        )

    def judge_one(self, text: str) -> tuple[Floats, slice, bool]:
        """Return what one text comes to.

        Returns:
            Its logits, shape (heads,); the kept characters that they are about, of the text as it is read: all, or a
            window's; and whether it is read repaired.

        """
        found = self.judge([text])
        begin, end = found.places[0].tolist()
        return found.logits[:, 0], slice(begin, end or None), self.fraud and found.readings.get(0) is not None

    def read(self, text: str, *, repaired: bool) -> tuple[Ints, Ints, Ints]:
        """Return the nodes of a text's kept characters, and where what each stands for begins and ends in the text.

        Args:
            text: the text.
            repaired: whether it is read so, as `judge_one` says: `normalize` may see marks of disguise in what repeats
                itself, which the model does not read.

        """
        if not repaired:
            kept, nodes = self.vocabulary.locate(text)
            return nodes, kept, kept + 1
        found = normalized(text, repair=True)
        kept, nodes = self.vocabulary.locate(found.text)
        return nodes, found.starts[kept], found.ends[kept]

    def heads_of(self, inputs: Floats) -> Floats:
        """Return the heads' logits, shape (heads, texts), for inputs of shape (inputs, texts)."""
        return inputs if self.layer is None else self.layer(inputs)

    def _heads(self, sums: Ints, lengths: Ints, logits: Floats) -> None:
        """Fill in the heads' logits, shape (heads, texts), for sums of weights."""
        logits[:] = self.heads_of(self.scaled(sums.astype(np.float64), lengths))

    def _heads_if_likely(self, sums: Ints, lengths: Ints, logits: Floats) -> None:
        """Do the same, but for the first head alone where it says that fraud is unlikely."""
        logits[0] = self._alarms(sums, lengths)
        likely = (logits[0] > UNLIKELY).nonzero()[0]
        logits[:, likely] = self.heads_of(self.scaled(sums[:, likely].astype(np.float64), lengths[likely]))

    def _alarms(self, sums: Ints, lengths: Ints) -> Floats:
        """Return the first head's logits, shape (texts,)."""
        if kernel.compiled and self.layer:
            logits = np.empty(lengths.size)
            known = self.scales, self.biases, *self.layer.first
            kernel.compiled.alarms(np.ascontiguousarray(sums.T), length_norms(lengths), *known, logits)
            return logits
        first: Floats = self._alarm(self.scaled(sums.astype(np.float64), lengths))[0]
        return first

    def _read_once(self, texts: Sequence[str], fill: Callable[[Ints, Ints, Floats], None], *, notes: bool) -> _Reading:
        """Return what texts come to as they stand; ``fill`` fills in logits for sums of weights and lengths."""
        found = _Reading(
            logits=np.empty((self._nothing.size, len(texts))),
            lengths=np.empty(len(texts), dtype=np.int64),
            notes=np.zeros(len(texts), dtype=np.int64),
            marked=np.zeros(len(texts), dtype=bool),
            windows=[],
        )
        sizes = text_sizes(texts)
        begin = 0
        for end in _cuts(sizes):
            part = slice(begin, end)
            if end - begin == 1 and sizes[begin] > CHUNK:
                total, found.lengths[begin], counts = self._long(texts[begin], begin, found.windows)
                sums = total[:, None]
                if notes:
                    found.notes[part] = self._noter.notes(counts, found.lengths[part], texts[part])
                if found.lengths[begin] <= MAX_REPAIRED:  # hardly anything of it is kept: it may be disguised
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
                    found.windows.append(self._windows(matches, sums, begin))
            fill(sums, found.lengths[part], found.logits[:, part])
            begin = end
        return found

    def scaled(self, sums: Floats, lengths: Ints) -> Floats:
        """Return what the heads are made of, shape (inputs, texts), for sums of weights, which it overwrites."""
        sums *= self.scales[:, None]
        norms = self.norms(sums, lengths)
        sums = sums[: len(self.biases)]
        sums /= norms
        sums += self.biases[:, None]
        return sums

    def norms(self, sums: Floats, lengths: Ints) -> Floats:
        """Return what the scaled sums of texts are divided by: float64, shape (texts,)."""
        if self.fraud:
            return length_norms(lengths)
        return np.sqrt(np.where(sums[-1] > 0, sums[-1], 1.0))

    def _long(self, text: str, place: int, windows: list[Windows]) -> tuple[Ints, int, Ints]:
        """Return the sums of the weights of a text of any length, its length, and what `Noter.count` says of it.

        The memory that it takes does not grow with the text.
        Its windows are those that a short text would have, wherever its blocks end.
        """
        total, length, counts = np.zeros(self._width, dtype=np.int64), 0, np.zeros((2, 1), dtype=np.int64)
        rest = np.zeros(0, dtype=np.uint32)  # nodes at which no window has begun yet
        highest, odds, number, best, window = -np.inf, -np.inf, 0, total, (0, 0)
        for nodes in itertools.chain(self.vocabulary.match_blocks(text, CHUNK), [None]):
            if nodes is not None and nodes.size:
                counts += self._noter.count(nodes, np.zeros(1, dtype=np.int64))
                rest = np.concatenate([rest, nodes])
            read = rest.size if nodes is None else rest.size // STRIDE * STRIDE
            if not read or (read < WINDOW and nodes is not None):
                continue
            starts, owners = pieces_of(np.array([read]))
            sums, begins = self._added_up(rest[:read], starts), windows_of(owners)
            if self.fraud and begins.size:
                each, sizes = window_sums(sums, begins), window_sums(np.diff(starts, append=read), begins)
                alarms = self._alarms(each, sizes)
                odds, number = np.logaddexp.reduce(alarms, initial=odds), number + alarms.size
                chosen = int(alarms.argmax())
                if alarms[chosen] > highest:
                    start = length + STRIDE * chosen
                    highest, best, window = alarms[chosen], each[:, chosen], (start, start + int(sizes[chosen]))
            done = starts.size if nodes is None else begins.size
            total += sums[:, :done].sum(axis=1)
            rest = rest[done * STRIDE :]
            length += min(done * STRIDE, read)
        if self.fraud and length > RAMP_START:
            begins, ends = np.array(window).reshape(2, 1)
            logits = self.heads_of(self.scaled(best[:, None].astype(np.float64), ends - begins))
            lengths = np.array([length])
            logits[0] = odds - np.log(number) - window_penalty(lengths, self._quoting(total[:, None], lengths))
            windows.append(Windows(np.array([place]), logits, begins, ends))
        return total, length, counts

    def _quoting(self, sums: Ints, lengths: Ints) -> Floats:
        """Return the logits that texts speak of frauds, by the sums of their weights."""
        if self.quotes is None:
            return np.full(lengths.size, -np.inf)
        quoting: Floats = self.quotes(self.scaled(sums.astype(np.float64), lengths))[0]
        return quoting

    def _windows(self, found: Matches, sums: Ints, begin: int) -> Windows:
        """Return the most suspicious windows of the long texts of a batch, which has some.

        Args:
            found: the texts' matches.
            sums: the sums of their weights, shape (sums, texts).
            begin: which text is the first of them.

        """
        long = (found.lengths > RAMP_START).nonzero()[0]
        lengths, nodes = found.lengths[long], found.nodes_of(long)
        starts, owners = pieces_of(lengths)
        begins = windows_of(owners)
        each = window_sums(self._added_up(nodes, starts), begins)
        sizes = window_sums(np.diff(starts, append=nodes.size), begins)
        alarms, owners = self._alarms(each, sizes), owners[begins]
        chosen = most_suspicious(alarms, owners)
        logits = self.heads_of(self.scaled(each[:, chosen].astype(np.float64), sizes[chosen]))
        logits[0] = logit_of_mean_odds(alarms, owners) - window_penalty(lengths, self._quoting(sums[:, long], lengths))
        within = starts[begins[chosen]]
        within -= lengths.cumsum() - lengths
        return Windows(long + begin, logits, within, within + sizes[chosen])

    @cached_property
    def _alarm(self) -> Callable[[Floats], Floats]:
        """What `heads_of` does, for the first head alone."""
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

        Without the kernel there may be `FIELD_SIZE` nodes at most between them.
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

    @cached_property
    def _packed(self) -> Ints:
        """The weights with several in one integer, so that one addition serves them all; shape (packs, nodes)."""
        packs = -(self._width // -FIELDS)
        packed = np.zeros((packs, self.vocabulary.size), dtype=np.int64)
        for place, weights in enumerate(self.weights.T.astype(np.int64)):
            packed[place % packs] += weights << (FIELD_BITS * (place // packs))
        return packed


def length_norms(lengths: Ints) -> Floats:
    """Return by what the sums over texts of so many characters are divided: float64, of the shape of ``lengths``.

    That is the root of the length and `SMOOTHING`, so that evidence grows with it as its error does. Beyond `MOST`,
    which hardly any message of the corpus reaches, it is in proportion to the length: no text says more than one of
    that.

    >>> length_norms(np.array([60, 512, 2000])).round(1).tolist()
    [10.0, 23.5, 86.8]

    """
    lengths = lengths + SMOOTHING
    norms: Floats = np.sqrt(np.minimum(lengths, MOST + SMOOTHING)) * np.maximum(lengths / (MOST + SMOOTHING), 1)
    return norms


def _frozen(values: npt.ArrayLike, dtype: type) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.array(values, dtype=dtype, order="C")
    array.setflags(write=False)
    return array


def _cuts(sizes: Ints) -> Iterator[int]:
    """Yield the ends of runs of texts that have at most `CHUNK` characters together (or one text that has more)."""
    if sizes.size and int(sizes.sum()) + sizes.size <= CHUNK:
        yield sizes.size
        return
    total = (sizes + 1).cumsum()
    begin = done = 0
    while begin < sizes.size:
        begin = max(begin + 1, int(total.searchsorted(done + CHUNK, side="right")))
        done = total[begin - 1]
        yield begin
