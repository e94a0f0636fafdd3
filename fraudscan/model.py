"""The model: weights on matches, calibrated to probabilities, and the decisions taken on them.

The first head answers "is this not legitimate?"; one for each scheme and each target
group answers "if so, is it this one?". A scheme's probability is the product of both, so
none is more probable than fraud itself. A model of a user's own labels has a head for each
label instead: they share one probability where a message has exactly one label, and are
independent where it may have several (`Taxonomy.task`).

A text that carries marks of disguise is repaired first (`fraudscan.disguise`). Each n-gram has a vector of
weights. What a text with L kept characters comes to is

    bias + scale * (sum of the vectors of its matches) / sqrt(L + 40)

In the shipped model a small layer makes the heads' logits of it (`fraudscan.layer`); a model of a user's own labels
is linear, and these are the logits. A long text speaks through its most suspicious window where that says more
(`fraudscan.windows`). For a user's own labels, whose texts nobody knows beforehand, the root is that of the sum of the
squared rarities of the matches, the last weight of each vector: the length of the text's own vector.

Weights are integers and so are their sums: nothing is rounded before the scale, and a
text has the same score alone, in any batch and in any chunk. Where `fraudscan.kernel` was not
built, four weights are packed into each 64-bit integer, which makes NumPy alone as fast as a
sparse product of SciPy's.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan import kernel
from fraudscan.curve import Curve, CurveError
from fraudscan.decisions import Decider, Decisions, Thresholds
from fraudscan.disguise import LONGEST, normalize, repaired
from fraudscan.features import Vocabulary, text_sizes
from fraudscan.folder import FORMAT_VERSION, ModelError, read_folder, write_folder
from fraudscan.layer import Layer
from fraudscan.notes import Noter
from fraudscan.result import Result
from fraudscan.taxonomy import Taxonomy
from fraudscan.windows import LONG, MOVES, REACH, WINDOW, Windows, most_suspicious, price, windows_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from fraudscan.features import Bools, Ints, Matches, Words
    from fraudscan.lists import Lists

    Floats = npt.NDArray[np.float64]
    Single = npt.NDArray[np.float32]

__all__ = ["FORMAT_VERSION", "Decisions", "ModelError", "Scanner", "Thresholds", "load"]

SHORT = 40
"""Added to the length under the root: the few matches of a short text count for less than the bias, so that a text of
which the model knows little stays what most texts are. From 0 to 40 held-out macro-F1 falls by a point, while false
alarms on short personal messages halve."""

WEIGHT_LIMIT = 127
"""The largest weight, that of int8. From 6 to 12 bits the figures are the same."""

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

GROUP = 1 << 13
"""Texts taken from an iterable at a time: the disguised ones among them are repaired together."""

ARRAYS = ("alphabet", "steps", "seeds", "weights", "scales", "biases", "hidden", "output")


class Scanner:
    """Scores texts. Immutable: share one among threads, or pickle it for other processes.

    Args:
        taxonomy: the labels, schemes and target groups.
        vocabulary: the n-grams.
        weights: int8, shape (vocabulary.size, inputs): for each node the summed vectors of all n-grams that end
            where it ends; row 0 is zero. For other tasks than "fraud" there is one more column, of squared rarities.
        scales: float64, shape (inputs,): what one unit of a weight is worth; one more as well.
        biases: float64, shape (inputs,).
        thresholds: where verdicts change.
        layer: makes the heads' logits of the inputs; without it these are the logits.
        manifest: what the model says of itself.

    Attributes:
        lists: the allow and deny lists that overrule verdicts, if there are any (see `with_lists`).

    """

    def __init__(  # noqa: PLR0913 - what a model consists of
        self,
        taxonomy: Taxonomy,
        vocabulary: Vocabulary,
        weights: npt.ArrayLike,
        scales: npt.ArrayLike,
        biases: npt.ArrayLike,
        *,
        thresholds: Thresholds,
        layer: Layer | None = None,
        manifest: dict[str, Any] | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.vocabulary = vocabulary
        self.thresholds = thresholds
        self.layer = layer
        self.manifest = manifest or {}
        self.lists: Lists | None = None
        weights = np.asarray(weights)  # a cast would let what is too large wrap around
        if weights.max(initial=0) > WEIGHT_LIMIT or weights.min(initial=0) < -WEIGHT_LIMIT:
            raise ValueError(f"weights must be at most {WEIGHT_LIMIT}")
        self.weights = _frozen(weights, np.int8)
        self.scales = _frozen(scales, np.float64)
        self.biases = _frozen(biases, np.float64)
        inputs, heads = (layer.inputs, len(layer.output)) if layer else (len(self.heads),) * 2
        if (
            self.weights.shape != (vocabulary.size, self._width)
            or self.scales.shape != (self._width,)
            or self.biases.shape != (inputs,)
            or heads != len(self.heads)
        ):
            raise ValueError(
                f"{vocabulary.size} nodes and {len(self.heads)} heads do not fit weights of shape "
                f"{self.weights.shape}, scales of {self.scales.shape}, biases of {self.biases.shape}"
                + (f" and a layer of {inputs} inputs and {heads} heads" if layer else "")
            )
        if self.weights[0].any():
            raise ValueError("weights must be 0 in row 0")
        if not (np.isfinite(self.scales).all() and np.isfinite(self.biases).all()):
            raise ValueError("scales and biases must be finite")

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to change what is set: results are computed of it, in other threads too."""
        if name in vars(self):
            raise AttributeError(f"{name} cannot be set: scanners stay as they are; with_… methods return others")
        super().__setattr__(name, value)

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The heads: "fraud" stands for "not legitimate", then come schemes and target groups, given fraud.

        For other tasks than "fraud" each label has one head, the honest one as well.
        """
        if self.taxonomy.task != "fraud":
            return tuple(label.name for label in self.taxonomy.labels)
        schemes = tuple(scheme.name for scheme in self.taxonomy.schemes)
        return ("fraud", *schemes, *(target.name for target in self.taxonomy.targets))

    @cached_property
    def _width(self) -> int:
        """The number of sums of a text: one for each input, and for a user's labels the square of its root."""
        return (self.layer.inputs if self.layer else len(self.heads)) + (self.taxonomy.task != "fraud")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns of `predict_proba`: labels, then schemes, then target groups.

        A scheme that has its label's name shares its column.
        """
        names = [label.name for label in self.taxonomy.labels]
        names += [name for name in self.heads[1:] if name not in names]
        return tuple(names)

    def with_thresholds(self, *, flag: float | None = None, review: float | None = None) -> Scanner:
        """Return a scanner with other thresholds and everything else shared.

        Args:
            flag: from which score on a text is flagged (default: as now).
            review: from which score on it is worth a look (default: as now, or ``flag`` if that is lower).

        Raises:
            ValueError: unless ``0 <= review <= flag <= 1``.

        >>> load().with_thresholds(flag=0.3).thresholds.flag
        0.3

        """
        flag = self.thresholds.flag if flag is None else flag
        review = min(self.thresholds.review, flag) if review is None else review
        return self._with(thresholds=Thresholds(flag=float(flag), review=float(review)))

    def with_false_alarms(self, share: float) -> Scanner:
        """Return a scanner that flags at most ``share`` of honest messages, by the model's held-out curve.

        A text whose label is the honest one is not flagged: the threshold is one half at least.

        Raises:
            CurveError: a ValueError, if the model has no curve, or its curve cannot tell so small a share.

        """
        return self.with_thresholds(flag=max(0.5, self.curve.threshold(share)))

    @cached_property
    def curve(self) -> Curve:
        """What thresholds cost and bring on held-out messages.

        Raises:
            CurveError: if the model has none: it is of an earlier version, or none of its labels is honest.

        """
        if "curve" not in self.manifest:
            raise CurveError("the model has no curve of false alarms: train it anew, or set the threshold itself")
        try:
            return Curve.from_dict(self.manifest["curve"])
        except (KeyError, TypeError, ValueError) as error:
            raise CurveError(f"the model's curve is damaged: {type(error).__name__}: {error}") from None

    def with_lists(self, lists: Lists | None) -> Scanner:
        """Return a scanner whose verdicts are overruled by allow and deny lists, with everything else shared.

        >>> from fraudscan.lists import Entry, Lists
        >>> result = load().with_lists(Lists([Entry("deny", "暗号三号")])).classify("暗 號三號，老地方见")
        >>> result.verdict, result.rule
        ('flag', 'deny 暗号三号')

        Raises:
            TypeError: if ``lists`` is something else, the name of a file say.

        """
        from fraudscan.lists import Lists

        if not (lists is None or isinstance(lists, Lists)):
            raise TypeError(f"lists are Lists, not {type(lists).__name__}: fraudscan.lists.read_lists reads files")
        return self._with(lists=lists)

    def _with(self, **changes: Any) -> Scanner:
        """Return a copy that shares all that is not changed."""
        new = object.__new__(type(self))
        new.__dict__.update({**self.__dict__, **changes})
        for name in ("_decider", "digest"):
            new.__dict__.pop(name, None)
        return new

    def classify(self, text: str, sender: str | None = None) -> Result:
        """Score one text; ``sender`` is for entries of lists that are bound to one.

        Raises:
            TypeError: if ``text`` is not a string.

        """
        if not isinstance(text, str):
            hint = "; for several texts call classify_many" if isinstance(text, (list, tuple)) else ""
            raise TypeError(f"classify takes one text as str, not {type(text).__name__}{hint}")
        return next(self._results([text], None if sender is None else [sender]))

    def classify_many(self, texts: Iterable[str]) -> Iterator[Result]:
        """Score texts as they come, in order.

        Raises:
            TypeError: if ``texts`` is a string itself or a table; later, if one of its items is no string.

        """
        return itertools.chain.from_iterable(map(self._results, _groups(texts)))

    def predict_proba(self, texts: Iterable[str]) -> Single:
        """Return the probabilities of texts.

        Returns:
            float32, shape (number of texts, ``len(scanner.names)``); columns as in ``scanner.names``.

        Raises:
            TypeError: if ``texts`` is a string itself or a table, or one of its items is no string.

        """
        parts = [self._probabilities(self._logits(group)) for group in _groups(texts)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.names)), dtype=np.float32)

    def decide(self, texts: Sequence[str], senders: Sequence[Any] | None = None, *, proba: bool = True) -> Decisions:
        """Score a list of texts into columns.

        Args:
            texts: the texts.
            senders: who sent each of them, for entries of lists that are bound to a sender.
            proba: fill in ``probabilities``; where most texts are honest, all the rest takes less time.

        Raises:
            TypeError: if ``texts`` is a string itself or a table, or one of its items is no string.

        """
        texts = _listed(texts)
        doubts = np.zeros(len(texts), dtype=np.int64)
        if proba or self.taxonomy.task != "fraud":
            found = self._decider(self._probabilities(self._logits(texts, doubts)), doubts)
        else:
            logits = self._logits(texts, doubts, first=True)
            honest = 1 - _sigmoid(logits[0])
            likely = (honest <= 0.5).nonzero()[0]
            found = self._decider.among(honest, likely, self._probabilities(logits[:, likely]), doubts)
        return found if self.lists is None else self.lists.overrule(found, texts, senders)

    @cached_property
    def _noter(self) -> Noter:
        return Noter(self.vocabulary)

    @cached_property
    def _decider(self) -> Decider:
        return Decider(self.taxonomy, self.names, self.thresholds)

    def annotate(self, frame: Any, text: str = "text", *, proba: bool = False) -> Any:
        """Return a copy of a data frame with the decisions on its texts behind its own columns.

        Added are ``fraud_label``, ``fraud_scheme``, ``fraud_labels`` (a list), ``fraud_score``, ``fraud_verdict``,
        ``fraud_targets`` (a list) and ``fraud_notes``, a list that says why a decision is to be doubted, as
        `Result.notes` does, or why there is none: ``"no text"``, ``"not a text: int"``. A scanner with lists adds
        ``fraud_rule``; entries that are bound to a sender do not fire. Order, index and all other columns are kept.

        Args:
            frame: a pandas or polars DataFrame, or a pyarrow Table.
            text: the column with the texts.
            proba: add ``fraud_p_`` and the name for every label, scheme and target group.

        Raises:
            TypeError: if ``frame`` is none of these.
            fraudscan.columns.ColumnError: a ValueError, if there is no such column, or one of ours exists already.

        """
        from fraudscan.frames import annotate

        return annotate(self, frame, text, proba=proba)

    def _results(self, texts: Sequence[str], senders: Sequence[str] | None = None) -> Iterator[Result]:
        found = self.decide(texts, senders)
        names = ("label", "scheme", "labels", "score", "verdict", "targets", "notes", "rule")
        columns = zip(*(getattr(found, name) for name in names), strict=True)
        size = found.probabilities.itemsize * len(self.names)
        rows = found.probabilities.view(f"V{size}")[:, 0].tolist()  # copies: a row of the array would keep all of it
        return map(Result, itertools.repeat(self), texts, rows, columns)

    def _probabilities(self, logits: Floats) -> Single:
        """Return what `predict_proba` returns, for the heads' logits of a list, shape (heads, texts)."""
        if self.taxonomy.task == "multiclass":
            return _softmax(_bounded(logits))
        heads = _sigmoid(logits)
        if self.taxonomy.task == "multilabel":
            return np.ascontiguousarray(heads.T)
        heads[1:] *= heads[0]
        out = heads.take(self._columns, axis=0)
        columns, first = self._labels
        out[columns] = np.maximum.reduceat(heads[: first[-1]], first[:-1], axis=0)
        out[self._honest] = 1 - heads[0]
        return np.ascontiguousarray(out.T)

    @cached_property
    def _columns(self) -> Ints:
        """For each name the head that gives its probability; 0 for labels, which `_labels` serves."""
        return np.array([self.heads.index(name) if name in self.heads else 0 for name in self.names])

    @cached_property
    def _labels(self) -> tuple[Ints, list[int]]:
        """The columns of the labels that have schemes, and the heads at which each one's schemes begin (and all end).

        A label is as probable as its likeliest scheme.
        """
        labels = [label for label in self.taxonomy.labels if label.schemes]
        first = [self.heads.index(label.schemes[0].name) for label in labels]
        return np.array([self.names.index(label.name) for label in labels]), [*first, 1 + len(self.taxonomy.schemes)]

    @cached_property
    def _honest(self) -> int | None:
        """The column of the honest label."""
        return self.names.index(self.taxonomy.honest.name) if self.taxonomy.honest else None

    @cached_property
    def _nothing(self) -> Floats:
        """The logits of a text without a character, shape (heads, 1): it is honest, or as likely as any other."""
        logits = np.full((len(self.heads), 1), NOTHING)
        if self.taxonomy.task != "fraud" and self._honest is None:
            return self.biases[:, None]
        if self.taxonomy.task != "fraud":
            logits[self._honest] = -NOTHING
        return logits

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides: arrays, taxonomy, thresholds, lists."""
        entries = list(map(str, self.lists.entries)) if self.lists else []  # by name: the folder decides nothing
        digest = hashlib.sha256(repr((self.taxonomy, self.thresholds, entries)).encode())
        for array in self._arrays():
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return the heads' logits, float64, shape (number of texts, number of heads), for a list of texts."""
        return np.ascontiguousarray(self._logits(_listed(texts)).T)

    def _logits(
        self,
        texts: Sequence[str],
        doubts: Ints | None = None,
        places: Ints | None = None,
        *,
        first: bool = False,
    ) -> Floats:
        """Return the heads' logits, shape (heads, texts).

        Args:
            texts: the texts.
            doubts: shape (texts,); is filled with the notes on each text.
            places: shape (texts, 2); gets begin and end of the windows that decided, in kept characters.
            first: only the first head's matter where it says that fraud is unlikely: the others are not filled in.

        """
        fill = self._heads_if_likely if first else self._heads
        logits = np.empty((len(self.heads), len(texts)))
        lengths = np.empty(len(texts), dtype=np.int64)
        windows: list[Windows] = []
        marked = self._judge(texts, fill, logits, lengths, doubts=doubts, windows=windows).nonzero()[0]
        mended = repaired([texts[i] for i in marked.tolist()])  # at once: it takes half a millisecond, whatever it does
        if mended:
            changed = marked[list(mended)]
            found: list[Windows] = []
            again, kept = np.empty((len(self.heads), changed.size)), np.empty(changed.size, dtype=np.int64)
            self._judge(list(mended.values()), fill, again, kept, doubts=None, windows=found)
            logits[:, changed], lengths[changed] = again, kept
            # the windows of the texts as they were before the repair are nobody's
            windows[:] = [part.of(~np.isin(part.texts, changed)) for part in windows]
            windows += [part._replace(texts=changed[part.texts]) for part in found]
        for part in windows:
            better = part.logits[0] > logits[0, part.texts]
            logits[:, part.texts[better]] = part.logits[:, better]
            if places is not None:
                places[part.texts[better]] = np.column_stack([part.starts, part.ends])[better]
        if not lengths.all():
            logits[:, lengths == 0] = self._nothing
        return logits

    def judged(self, text: str) -> tuple[Floats, slice]:
        """Return a text's logits, shape (heads,), and the kept characters that they are about: all, or a window's."""
        places = np.zeros((1, 2), dtype=np.int64)
        logits = self._logits([text], places=places)[:, 0]
        begin, end = places[0].tolist()
        return logits, slice(begin, end or None)

    def read(self, text: str) -> tuple[Ints, Ints, Ints]:
        """Return the nodes of a text's kept characters, and where what each stands for begins and ends in the text."""
        if self.taxonomy.task != "fraud":
            kept, nodes = self.vocabulary.locate(text)
            return nodes, kept, kept + 1
        found = normalize(text)
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
            kernel.compiled.alarms(np.ascontiguousarray(sums.T), self.roots(sums, lengths), *known, logits)
            return logits
        first: Floats = self._alarm(self.scaled(sums.astype(np.float64), lengths))[0]
        return first

    def _judge(  # noqa: PLR0913 - what is known of many texts
        self,
        texts: Sequence[str],
        fill: Callable[[Ints, Ints, Floats], None],
        logits: Floats,
        lengths: Ints,
        *,
        doubts: Ints | None,
        windows: list[Windows],
    ) -> Bools:
        """Fill in the heads' logits and the lengths of texts; return which of them carry marks of disguise.

        Args:
            texts: the texts.
            fill: fills in logits for sums and lengths.
            logits: shape (heads, texts); is filled.
            lengths: shape (texts,); is filled with the numbers of kept characters.
            doubts: shape (texts,); is filled with the notes on each text.
            windows: gets the most suspicious windows of long texts.

        """
        sizes = text_sizes(texts)
        fraud = self.taxonomy.task == "fraud"
        marked = np.zeros(len(texts), dtype=bool)
        begin = 0
        for end in _cuts(sizes):
            part = slice(begin, end)
            if end - begin == 1 and sizes[begin] > CHUNK:
                total, lengths[begin] = self._long(texts[begin], begin, windows)
                sums = total[:, None]
                if doubts is not None:  # its beginning is enough
                    doubts[part] = self._noter(self.vocabulary.match([texts[begin][:CHUNK]]), texts[part])
                if fraud and lengths[begin] <= LONGEST:  # hardly anything of it is kept: it may be disguised
                    marked[begin] = self.vocabulary.match(texts[part]).marked[0]
            else:
                found = self.vocabulary.match(texts[part], sizes[part])
                sums = self._sums(found.nodes, found.starts, found.lengths)
                lengths[part] = found.lengths
                if doubts is not None:
                    doubts[part] = self._noter(found, texts[part])
                if fraud:
                    marked[part] = found.marked & (found.lengths <= LONGEST)
                if fraud and found.lengths.max() > LONG:
                    windows.append(self._windows(found, begin))
            fill(sums, lengths[part], logits[:, part])
            begin = end
        return marked

    def scaled(self, sums: Floats, lengths: Ints) -> Floats:
        """Return what the heads are made of, shape (inputs, texts), for sums of weights, which it overwrites."""
        sums *= self.scales[:, None]
        roots = self.roots(sums, lengths)
        sums = sums[: len(self.biases)]
        sums /= roots
        sums += self.biases[:, None]
        return sums

    def roots(self, sums: Floats | Ints, lengths: Ints) -> Floats:
        """Return what the scaled sums of texts are divided by: float64, shape (texts,)."""
        if self.taxonomy.task == "fraud":
            return np.sqrt(lengths + SHORT)
        return np.sqrt(np.where(sums[-1] > 0, sums[-1], 1.0))

    def _long(self, text: str, place: int, windows: list[Windows]) -> tuple[Ints, int]:
        """Return the sums of the weights of a text of any length, and its length, in memory that does not grow with it.

        Its windows are those that a short text would have, wherever its blocks end.
        """
        look = self.taxonomy.task == "fraud"
        total, length = np.zeros(self._width, dtype=np.int64), 0
        rest = np.zeros(0, dtype=np.uint32)  # nodes that fill no window yet, or have too few behind them
        before = rest  # as many of those in front of them as a window may be moved
        highest, around, at, first = -np.inf, rest, 0, 0
        for nodes in itertools.chain(self.vocabulary.match_blocks(text, CHUNK), [None]):
            rest = rest if nodes is None else np.concatenate([rest, nodes])
            size = rest.size if nodes is None else max(rest.size - REACH, 0) // WINDOW * WINDOW
            if not size:
                continue
            starts, owners = windows_of(np.array([size]))
            sums = self._added_up(rest[:size], starts)
            total += sums.sum(axis=1)
            known = np.concatenate([before, rest])
            if look:
                alarms = self._alarms(sums, np.diff(starts, append=size))
                chosen = most_suspicious(alarms, owners)[0]
                if alarms[chosen] > highest:
                    begin = int(starts[chosen]) + before.size
                    highest, first = alarms[chosen], max(begin - REACH, 0)
                    around, at = known[first : begin + WINDOW + REACH], begin - first
                    first += length - before.size
            before, rest = known[max(before.size + size - REACH, 0) : before.size + size], rest[size:]
            length += size
        if look and length > LONG:
            best = self._moved(around, *np.array([[at], [0], [around.size]]))
            best.logits[0] -= price(np.array([length]))
            windows.append(Windows(np.array([place]), best.logits, best.starts + first, best.ends + first))
        return total, length

    def _windows(self, found: Matches, begin: int) -> Windows:
        """Return the most suspicious windows of the long texts of a batch, the first of whose texts is ``begin``."""
        long = (found.lengths > LONG).nonzero()[0]
        lengths = found.lengths[long]
        ends = (found.starts[long] + lengths).tolist()
        nodes = np.concatenate([found.nodes[end - n : end] for end, n in zip(ends, lengths.tolist(), strict=True)])
        starts, owners = windows_of(lengths)
        alarms = self._alarms(self._added_up(nodes, starts), np.diff(starts, append=nodes.size))
        firsts = lengths.cumsum() - lengths
        best = self._moved(nodes, starts[most_suspicious(alarms, owners)], firsts, firsts + lengths)
        best.logits[0] -= price(lengths)
        return Windows(long + begin, best.logits, best.starts - firsts, best.ends - firsts)

    def _moved(self, nodes: Words, starts: Ints, firsts: Ints, ends: Ints) -> Windows:
        """Return the most suspicious of the windows at some places and a little before and behind them.

        Args:
            nodes: the nodes of some texts, one behind the other.
            starts: shape (texts,): where a window of each begins.
            firsts: shape (texts,): where each text begins.
            ends: shape (texts,): where each ends.

        Returns:
            Places among the nodes, and logits whose price is not paid yet.

        """
        tried = np.clip(starts[:, None] + MOVES, firsts[:, None], np.maximum(ends - WINDOW, starts)[:, None])
        sizes = np.minimum(ends[:, None] - tried, WINDOW)
        pieces = sizes.ravel().cumsum() - sizes.ravel()
        each = np.arange(sizes.sum()) + (tried.ravel() - pieces).repeat(sizes.ravel())
        sums = self._added_up(nodes[each], pieces)
        chosen = self._alarms(sums, sizes.ravel()).reshape(tried.shape).argmax(axis=1)
        texts = np.arange(starts.size)
        begins, lengths = tried[texts, chosen], sizes[texts, chosen]
        sums = sums[:, texts * MOVES.size + chosen]
        return Windows(texts, self.heads_of(self.scaled(sums.astype(np.float64), lengths)), begins, begins + lengths)

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

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model folder: all of it or nothing; a model that stands there is replaced.

        Raises:
            ModelError: if ``folder`` holds what is no part of a model, or cannot be written.

        """
        manifest = {
            **self.manifest,
            "thresholds": {"flag": self.thresholds.flag, "review": self.thresholds.review},
            "taxonomy": self.taxonomy.to_dict(),
        }
        write_folder(Path(folder), dict(zip(ARRAYS, self._arrays(), strict=True)), manifest)

    def _arrays(self) -> tuple[npt.NDArray[Any], ...]:
        vocabulary = self.vocabulary
        return (
            vocabulary.alphabet,
            vocabulary.steps,
            vocabulary.seeds,
            self.weights,
            self.scales,
            self.biases,
            self.layer.hidden if self.layer else np.zeros((0, len(self.biases) + 1)),
            self.layer.output if self.layer else np.zeros((len(self.biases), 1)),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"lists": self.lists}
        return _restore, (self.taxonomy, self._arrays(), self.thresholds, self.manifest), state


LOGIT_LIMIT = 60.0
"""Beyond it a probability is 0 or 1 in float32, and well before the exponential overflows."""

UNLIKELY = -1e-3
"""The first head's logit up to which fraud is less likely than not, whatever is rounded."""

NOTHING = -20.0
"""The logit of every head but the honest one for a text without a character: a probability of 2e-9."""


def _bounded(logits: Floats) -> Single:
    return logits.clip(-LOGIT_LIMIT, LOGIT_LIMIT).astype(np.float32)


def _sigmoid(logits: Floats) -> Single:
    heads = _bounded(logits)
    np.negative(heads, out=heads)
    np.exp(heads, out=heads)
    heads += 1
    np.reciprocal(heads, out=heads)
    return heads


def _softmax(heads: Single) -> Single:
    """Return the probabilities of classes one of which holds, shape (texts, heads), for logits (heads, texts)."""
    heads -= heads.max(axis=0)
    np.exp(heads, out=heads)
    heads /= heads.sum(axis=0)
    return np.ascontiguousarray(heads.T)


def _restore(
    taxonomy: Taxonomy,
    arrays: tuple[npt.NDArray[Any], ...],
    thresholds: Thresholds,
    manifest: dict[str, Any],
) -> Scanner:
    alphabet, steps, seeds, weights, scales, biases, hidden, output = arrays
    vocabulary = Vocabulary(alphabet, steps, seeds)
    layer = Layer(hidden, output) if len(hidden) else None
    return Scanner(
        taxonomy,
        vocabulary,
        weights,
        scales,
        biases,
        thresholds=thresholds,
        layer=layer,
        manifest=manifest,
    )


def _frozen(values: npt.ArrayLike, dtype: type) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.array(values, dtype=dtype, order="C")
    array.setflags(write=False)
    return array


def _several(texts: Iterable[str]) -> Iterator[str]:
    """Refuse what is no column of texts, a single string first of all."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"texts is one {type(texts).__name__}, not several texts: pass a list, [text]")
    if getattr(texts, "ndim", 1) != 1:  # of a data frame the names of the columns would be scored
        raise TypeError(f"texts is a {type(texts).__name__} of {texts.ndim} dimensions: pass a column, frame['text']")  # type: ignore[attr-defined]
    return iter(texts)


def _listed(texts: Iterable[str]) -> list[str]:
    """Return the texts as a list (a column of pandas, say, may be numbered in another way); refuse what is no text."""
    listed = texts if isinstance(texts, list) else list(_several(texts))
    _check(listed, 0)
    return listed


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    """Return the texts in lists of `GROUP`; refuse what is no text."""
    source = _several(texts)

    def checked() -> Iterator[list[str]]:
        start = 0
        while group := list(itertools.islice(source, GROUP)):
            _check(group, start)
            yield group
            start += len(group)

    return checked()


def _check(texts: list[str], start: int) -> None:
    """Refuse what is no string; ``start`` is the number of the first of them."""
    if set(map(type, texts)) <= {str}:
        return
    for index, item in enumerate(texts, start):
        if not isinstance(item, str):
            kind = "None" if item is None else f"of type {type(item).__name__}"
            raise TypeError(
                f"texts[{index}] is {kind}, not a string: leave out missing values, and decode bytes first "
                "(data.decode('gb18030'), say)"
            )


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


def default_folder() -> Path:
    """Return the folder of the shipped model: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "models" / "default"
    return inside if inside.is_dir() else package.parent / "models" / "default"


def load(folder: str | os.PathLike[str] | None = None) -> Scanner:
    """Load a model folder; without an argument the shipped model, which is read once a process.

    Args:
        folder: a folder written by ``fraudscan train`` or `Scanner.save`.

    Raises:
        ModelError: if the folder is missing, damaged, or of another version.

    >>> load().classify("").label
    'legitimate'

    """
    return _load_default() if folder is None else _read(Path(folder))


@lru_cache(maxsize=1)
def _load_default() -> Scanner:
    return _read(default_folder())


def _read(folder: Path) -> Scanner:
    return read_folder(folder, ARRAYS, _from_manifest)


def _from_manifest(arrays: Sequence[npt.NDArray[Any]], manifest: dict[str, Any]) -> Scanner:
    taxonomy = Taxonomy.from_dict(manifest["taxonomy"])
    return _restore(taxonomy, tuple(arrays), Thresholds(**manifest["thresholds"]), manifest)
