"""Turn texts into features: the longest vocabulary n-gram that ends at each character.

The vocabulary is a trie over normalised characters. Its nodes are numbered: 0 is
"nothing", 1 to ``alphabet.size`` are the single characters, and the rest are longer
n-grams, each reached from its prefix by one more character. A step is the integer
``prefix * (alphabet.size + 1) + character``. All steps of a batch are looked up at once
in a perfect hash table ("hash and displace", Pagh 1999, with a seed for each bucket), with
one probe each. The next character is looked up only where a prefix was found. There is
no loop over characters, except inside `fraudscan.kernel` if it was built.
The steps themselves are compared, not only their hashes, so every match is exact.

A node stands for all the n-grams that end where it ends (its suffixes), because the
weights of a model are folded that way. A score therefore needs only one node per
character.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fraudscan import kernel, neighbours
from fraudscan.characters import (
    DROPPED,
    MARKUP,
    MARKUP_OPENERS,
    blocks_without_markup,
    code_points,
    concatenated,
    normalization_table,
    text_sizes,
)
from fraudscan.lazy import shared_property

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Bools, Codes, Ints, Marks, Words

__all__ = ["Matches", "Vocabulary"]

BUCKET_MULTIPLIER = np.uint32(2654435769)
"""2**32 divided by the golden ratio: Knuth's multiplicative hashing (The Art of Computer Programming, 6.4)."""

SLOT_MULTIPLIER = np.uint32(2246822519)
"""Another odd number with well-mixed bits (a prime of the xxHash family), so that slots do not follow buckets."""

NODE_BITS = np.uint32(16)
"""The number of low bits of an id that hold a character's node. They suffice: with 2**16 characters, steps would exceed
32 bits."""

NODE_MASK = np.uint32(0xFFFF)

OPENS = np.uint32(1 << 31)
"""The bit of an id that says that the code point may begin mark-up or is dropped: the kernel looks at both closely."""

DROPPED_ID = np.uint32(~OPENS)
"""The id of dropped code points, without `OPENS`: all other bits."""

MOST_MARKUP = 16
"""No mark-up has more characters (``_read.c``)."""

MARKUP_STRINGS = code_points("".join(markup.ljust(MOST_MARKUP, "\0") for markup in sorted(MARKUP)))
"""`MARKUP` as the kernel takes it, sorted and padded with zeros."""

MAX_NGRAM = 200
"""Maximum length of an n-gram, and so of a phrase of a list. The work on a vocabulary grows with its longest n-gram."""

REPEATS = 4
"""A group of up to this many characters is read at most this many times in a row; further repetitions are skipped. A
ruled line means no more when it is longer, and a line of dashes or of full stops must not outweigh a message. Digits,
which are all read as 0, do not count as repetitions of one another."""

TRIED = 1 << 13
"""About how many slots are tried at a time in the search for seeds."""


@dataclass(frozen=True)
class Matches:
    """The features of a batch of texts.

    Attributes:
        nodes: for each kept character of each text, the longest n-gram that ends there, as a vocabulary node
            (0 = none). Each text is followed by one separator, a 0.
        starts: the index in ``nodes`` at which each text begins.
        lengths: the number of kept characters of each text, without the separator.
        marked: which texts carry marks of disguise, as `marks_of` returns it.

    """

    nodes: Words
    starts: Ints
    lengths: Ints
    marked: Marks

    def nodes_of(self, texts: Ints) -> Words:
        """Return a copy of the nodes of the given texts, concatenated without separators."""
        bounds = zip(self.starts[texts].tolist(), self.lengths[texts].tolist(), strict=True)
        return np.concatenate([self.nodes[start : start + length] for start, length in bounds])


class Vocabulary:
    """A set of n-grams, closed under prefixes, that can be found in many texts at once.

    Args:
        alphabet: the distinct normalised code points that occur; ``alphabet[i]`` is node ``i + 1``.
        steps: for each longer n-gram ``prefix * (len(alphabet) + 1) + character``, both given as nodes. The
            n-gram of ``steps[i]`` is node ``len(alphabet) + 1 + i``.
        seeds: the attribute ``seeds`` of a vocabulary with the same steps. If not given, seeds are searched for,
            which takes longer than everything else.

    Raises:
        ValueError: if a step does not fit 32 bits, occurs twice, or uses a node that does not exist, or if the
            seeds belong to other steps.

    """

    repeats = REPEATS
    """`REPEATS`, or 0 in a subclass that reads all repetitions."""

    def __init__(self, alphabet: npt.ArrayLike, steps: npt.ArrayLike, seeds: npt.ArrayLike | None = None) -> None:
        self.alphabet: Words = np.array(alphabet, dtype=np.uint32)
        wide = np.array(steps, dtype=np.int64)
        if self.alphabet.ndim != 1 or wide.ndim != 1:
            raise ValueError("alphabet and steps must have one dimension each")
        self.steps: Words = wide.astype(np.uint32)
        self._width = self.alphabet.size + 1  # an int, which does not change the type of an array of steps
        if self.size * self._width >= 1 << 32 or (self.steps != wide).any():
            count = self.size - 1
            raise ValueError(f"{count} n-grams over {self.alphabet.size} characters do not fit 32-bit steps")
        self._check()
        self._bits = max(4, (3 * self.steps.size // 2).bit_length())
        self._slot_shift = np.uint32(32 - self._bits)
        self._bucket_shift = np.uint32(32 - self._bits + 2)
        self.seeds: Words = self._find_seeds() if seeds is None else np.array(seeds, dtype=np.uint32)
        if self.seeds.shape != (1 << self._bits - 2,):
            raise ValueError(f"{self.seeds.size} seeds do not fit a vocabulary of {self.size} nodes")
        slots = self._slots(self.steps)
        self._step_in = np.full(1 << self._bits, np.iinfo(np.uint32).max, dtype=np.uint32)
        self._step_in[slots] = self.steps
        self._node_in = np.zeros(1 << self._bits, dtype=np.uint32)
        self._node_in[slots] = np.arange(self._width, self.size)
        if np.count_nonzero(self._node_in) != self.steps.size:
            raise ValueError("the seeds put two n-grams in one slot")
        for array in (self.alphabet, self.steps, self.seeds, self._step_in, self._node_in):
            array.setflags(write=False)

    def __len__(self) -> int:
        """Return the number of nodes, excluding node 0."""
        return self.size - 1

    @staticmethod
    def table() -> Codes:
        """Return the character table; a subclass may return another, to read texts differently."""
        return normalization_table()

    @property
    def size(self) -> int:
        """The number of nodes including node 0, which is the number of rows of a weight matrix."""
        return self._width + self.steps.size

    @shared_property
    def prefixes(self) -> Ints:
        """For each node, the node of its n-gram without the last character; 0 for single characters."""
        return np.concatenate([np.zeros(self._width, np.int64), self.steps.astype(np.int64) // self._width])

    @shared_property
    def last_characters(self) -> Ints:
        """For each node, the node of its last character."""
        return np.concatenate([np.arange(self._width, dtype=np.int64), self.steps.astype(np.int64) % self._width])

    @shared_property
    def orders(self) -> Ints:
        """For each node, the number of its characters; 0 for node 0."""
        orders = np.zeros(self.size, dtype=np.int64)
        nodes = np.arange(self.size)
        for _ in range(MAX_NGRAM):
            orders += nodes > 0
            nodes = self.prefixes[nodes]
            if not nodes.any():
                return orders
        raise ValueError(f"the vocabulary has an n-gram of more than {MAX_NGRAM} characters")

    @shared_property
    def suffixes(self) -> Ints:
        """For each node, the longest other node that is a suffix of it; 0 if there is none."""
        suffixes = np.zeros(self.size, dtype=np.int64)
        # The suffix of "prefix + character" is the longest suffix of the prefix that can be followed by the character.
        for order in range(2, int(self.orders.max(initial=0)) + 1):
            nodes = np.flatnonzero(self.orders == order)
            characters = self.last_characters[nodes]
            candidates = suffixes[self.prefixes[nodes]]
            found = np.zeros(nodes.size, dtype=np.int64)
            pending = np.arange(nodes.size)
            while pending.size:
                at_root = candidates[pending] == 0
                found[pending[at_root]] = characters[pending[at_root]]
                pending = pending[~at_root]
                step = candidates[pending] * self._width + characters[pending]
                at, found_nodes = self._find(step.astype(np.uint32))
                found[pending[at]] = found_nodes
                pending = pending[found[pending] == 0]
                candidates[pending] = suffixes[candidates[pending]]
            suffixes[nodes] = found
        return suffixes

    def ngram(self, node: int) -> str:
        """Return the normalised n-gram of ``node``; empty for node 0."""
        characters = []
        while node:
            characters.append(chr(self.alphabet[self.last_characters[node] - 1]))
            node = int(self.prefixes[node])
        return "".join(reversed(characters))

    def match(self, texts: Sequence[str], sizes: Ints | None = None) -> Matches:
        """Find the longest n-gram that ends at each character of each text.

        Args:
            texts: a batch. Some ten thousand characters in total make the best use of the caches.
            sizes: the `text_sizes` of the texts, if the caller already has them.

        """
        sizes = text_sizes(texts) if sizes is None else sizes
        if kernel.compiled:
            ids = np.empty(int(sizes.sum()) + sizes.size, dtype=np.uint32)
            found = np.empty_like(sizes), np.empty_like(sizes), np.empty(sizes.size, dtype=np.uint8)
            near, known = neighbours, neighbours.tables()
            table = self._ids, normalization_table(), MARKUP_STRINGS
            pairs = known.pairs, known.evidence, known.cut, near.WIDTH, near.END, near.RARE, near.SIGNS
            limits = near.CROWDED, near.MOST_SIGNS, near.MIN_FILLED, near.FILLED_SHARE, near.FILLED_EVIDENCE
            marks = near.EVIDENCE, near.PART_EVIDENCE, near.PART_BLOCK, near.WHOLE, near.PART
            kept = kernel.compiled.read(texts, *table, *pairs, *limits, marks, self.repeats, near.DIGIT, ids, *found)
            return Matches(self._follow(ids[:kept]), *found)
        if not texts:
            return Matches(np.zeros(0, dtype=np.uint32), sizes, sizes, np.zeros(0, dtype=np.uint8))
        ids, _, ends = self._kept_ids(texts)
        starts = np.append(0, ends[:-1] + 1)
        marked = neighbours.marks_of(ids >> NODE_BITS, ends)
        ids &= NODE_MASK
        return Matches(self._follow(ids), starts, ends - starts, marked)

    def _kept_ids(self, texts: Sequence[str]) -> tuple[Words, Ints, Ints]:
        """Return the ids (see `_ids`) of the kept characters of texts, and of a separator after each text.

        Also return the offset of each in the joined texts, and the index of each separator. There is at least one text.
        """
        codes, ends = concatenated(texts)
        codes = codes.copy()
        codes[ends] = -1 - np.arange(ends.size)  # separators are known by position, and none repeats another
        ids = self._lookup(codes)
        ids[ends] = np.uint32(neighbours.END) << NODE_BITS
        kept = self._kept(ids, codes)
        return ids[kept], kept, kept.searchsorted(ends)  # separators are kept

    def match_blocks(self, text: str, size: int) -> Iterator[Words]:
        """Match one long text block by block, like `match`, in memory that does not grow with the text.

        Yields:
            The nodes of the kept characters of each block of ``text`` (see `blocks_without_markup`), in order and
            without separators.

        """
        before, read = np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.int32)
        for block in blocks_without_markup(text, size):
            codes = np.concatenate([read, code_points(block)])
            ids = self._lookup(codes)
            kept = self._kept(ids, codes)
            kept, codes = kept[kept >= read.size], codes[ids != DROPPED_ID]
            ids = np.concatenate([before, ids[kept] & NODE_MASK, [np.uint32(0)]])
            skip = before.size
            before = ids[-int(self.orders.max(initial=1)) : -1].copy()  # an n-gram may have begun in the last block …
            read = codes[max(codes.size - self.repeats**2, 0) :]  # … and a repetition
            yield self._follow(ids)[skip:-1]

    def locate(self, texts: Sequence[str]) -> tuple[Ints, Ints, Ints]:
        """Return where the kept characters of one or more texts are.

        Returns:
            For each kept character, one text after the other, its offset in its text and the node of the longest n-gram
            that ends there; and the number of kept characters of each text. All are int64.

        """
        ids, offsets, ends = self._kept_ids(texts)
        nodes = np.delete(self._follow(ids & NODE_MASK).astype(np.int64), ends)
        lengths = np.diff(ends, prepend=-1) - 1
        begins = np.append(0, offsets[ends[:-1]] + 1)
        return np.delete(offsets, ends) - begins.repeat(lengths), nodes, lengths

    def _lookup(self, codes: Codes) -> Words:
        """Return the id (see `_ids`) of each code point, without `OPENS`; arbitrary for other values."""
        ids = self._ids.take(codes, mode="clip")
        return np.bitwise_and(ids, DROPPED_ID, out=ids)

    def _kept(self, ids: Words, codes: Codes) -> Ints:
        """Return the offsets of the characters that are read: all but dropped ones and excess repetitions."""
        kept = (ids != DROPPED_ID).nonzero()[0]
        codes = np.where(ids[kept] >> NODE_BITS == neighbours.DIGIT, -1 - kept, codes[kept])
        repeated = np.zeros(kept.size, dtype=bool)
        for period in range(1, self.repeats + 1):
            places = np.arange(period, kept.size)
            differs = np.where(codes[period:] == codes[:-period], period - 1, places)
            repeated[period:] |= places - np.maximum.accumulate(differs) > (self.repeats - 1) * period
        read: Ints = kept[~repeated]
        return read

    def _follow(self, ids: Words) -> Words:
        """Return for each character, given as a node, the longest n-gram that ends there, perhaps in place.

        ``ids`` ends with a 0, and so does each text in it. No n-gram extends across a 0.
        """
        if kernel.compiled:
            nodes = np.empty(ids.size, dtype=np.uint32)
            kernel.compiled.follow(ids, *self._trie, nodes)
            return nodes
        if not ids.size:
            return ids
        characters = ids.copy()
        ends, nodes = self._find(ids[:-1] * self._width + ids[1:])
        while ends.size:
            ends += 1
            ids[ends] = nodes
            steps = nodes * self._width + characters.take(ends + 1)
            found, nodes = self._find(steps)
            ends = ends.take(found)
        return ids

    @shared_property
    def _trie(self) -> tuple[Words, Words, Words, int, int, int]:
        """The arrays and numbers with which the kernel finds steps as `_find` does."""
        numbers = self._width, int(BUCKET_MULTIPLIER), int(SLOT_MULTIPLIER)
        return self.seeds, self._step_in, self._node_in, *numbers

    def _find(self, steps: Words) -> tuple[Ints, Words]:
        """Return the indices of the steps that are in the vocabulary, and their nodes."""
        slots = self._slots(steps)
        found = (self._step_in.take(slots) == steps).nonzero()[0]
        nodes: Words = self._node_in.take(slots.take(found))
        return found, nodes

    def _slots(self, steps: Words) -> Words:
        """Return the slot that holds each step if it is in the vocabulary."""
        buckets = steps * BUCKET_MULTIPLIER
        buckets >>= self._bucket_shift
        slots: Words = self.seeds.take(buckets)
        slots ^= steps
        slots *= SLOT_MULTIPLIER
        slots >>= self._slot_shift
        return slots

    @shared_property
    def _ids(self) -> Words:
        """For each code point, an id: the node of its normalised character and its number in the table of neighbours.

        The node (0 = not in the alphabet) takes the low `NODE_BITS` bits, and the number the bits above them, so that
        one look-up returns both.
        """
        table = self.table()
        ids = np.zeros(table.size, dtype=np.uint32)
        ids[self.alphabet] = np.arange(1, self._width, dtype=np.uint32)
        ids[[ord(opener) for opener in MARKUP_OPENERS]] |= OPENS
        ids[DROPPED] = DROPPED_ID | OPENS
        ids = ids.take(table)
        ids |= np.left_shift(neighbours.tables().numbers, NODE_BITS, dtype=np.uint32)
        return ids

    def _find_seeds(self) -> Words:
        """Find a seed for each bucket so that no two steps share a slot, starting with the largest buckets.

        Small seeds keep consecutive steps in slots far apart, and large seeds separate steps that small ones leave in
        one slot, so the two kinds are tried in turn.
        """
        seeds = np.zeros(1 << self._bits - 2, dtype=np.uint32)
        buckets = self.steps * BUCKET_MULTIPLIER >> self._bucket_shift
        steps = self.steps[np.argsort(buckets, kind="stable")]
        sizes = np.bincount(buckets, minlength=seeds.size)
        begins = sizes.cumsum() - sizes
        taken = np.zeros(1 << self._bits, dtype=bool)
        together = 1 << self._bits // 2  # so many that about one of them wants a slot that an earlier one takes
        for size in range(int(sizes.max()), 0, -1):
            pending = np.flatnonzero(sizes == size)
            while pending.size:
                members = steps[begins[pending[:together], None] + np.arange(size)]
                found, slots = self._free_slots(members, taken)
                again = np.ones(slots.size, dtype=bool)
                again[np.unique(slots, return_index=True)[1]] = False
                settled = int(again.argmax()) // size if again.any() else len(members)  # those before such a bucket
                seeds[pending[:settled]] = found[:settled]
                taken[slots[:settled]] = True
                pending = pending[settled:]
        return seeds

    def _free_slots(self, members: Words, taken: Bools) -> tuple[Words, Words]:
        """Return the first seed for each row of steps that gives them different free slots, and these slots."""
        seeds, slots = np.zeros(len(members), dtype=np.uint32), np.zeros_like(members)
        pending, tried = np.arange(len(members)), 0
        while pending.size:
            if tried >= 1 << 20:
                raise ValueError("no perfect hash was found for these n-grams: leave some of them out")
            numbers = np.arange(tried, tried + max(2, TRIED // (pending.size * members.shape[1])), dtype=np.uint32)
            tried += numbers.size
            tries = np.where(numbers % 2, (numbers >> 1) * SLOT_MULTIPLIER, numbers >> 1)
            at = (members[pending, None] ^ tries[:, None]) * SLOT_MULTIPLIER >> self._slot_shift
            free = ~taken[at].any(axis=2) & (np.diff(np.sort(at, axis=2), axis=2) != 0).all(axis=2)
            known = free.any(axis=1)
            first = free[known].argmax(axis=1)
            seeds[pending[known]] = tries[first]
            slots[pending[known]] = at[known, first]
            pending = pending[~known]
        return seeds, slots

    def _check(self) -> None:
        characters = self.last_characters[self._width :]
        prefixes = self.prefixes[self._width :]
        own = np.arange(self._width, self.size)
        if not all((np.diff(np.sort(values)) != 0).all() for values in (self.alphabet, self.steps)):
            raise ValueError("the vocabulary has a character or an n-gram twice")
        if self.alphabet.size and (self.alphabet.max() >= self.table().size or DROPPED in self.alphabet):
            raise ValueError("the vocabulary has a character that is U+0000 or not a code point")
        if (characters == 0).any() or (prefixes == 0).any() or (prefixes >= own).any():
            raise ValueError("the vocabulary has an n-gram without its prefix")
        _ = self.orders  # raises ValueError for n-grams that are too long

    @classmethod
    def from_ngrams(cls, ngrams: Iterable[str]) -> Vocabulary:
        """Build the vocabulary of normalised ``ngrams`` and all their prefixes and characters.

        Nodes are numbered in the order given, prefixes first. Give frequent n-grams first, because rows that are
        used together should be close together in memory.
        """
        wanted = dict.fromkeys(ngrams)
        alphabet = dict.fromkeys(itertools.chain.from_iterable(wanted))
        characters = {c: i for i, c in enumerate(alphabet, 1)}
        width = len(alphabet) + 1
        nodes: dict[int, int] = {}  # by their steps
        for ngram in wanted:
            node = 0
            for character in map(characters.__getitem__, ngram):
                node = nodes.setdefault(node * width + character, width + len(nodes)) if node else character
        return cls(list(map(ord, alphabet)), list(nodes))
