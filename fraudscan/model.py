"""The model: logits calibrated to probabilities, and the decisions taken on them.

The first head answers "is this not legitimate?"; one for each scheme and each target
group answers "if so, is it this one?". A scheme's probability is the product of both, so
none is more probable than fraud itself. A model of a user's own labels has a head for each
label instead: the probabilities add up to one if a message has exactly one label, and are
independent if it may have several (`Taxonomy.task`).

The engine (`fraudscan.engine`) computes the logits of the heads.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from fraudscan.curve import Curve, CurveError
from fraudscan.decisions import Decider, Decisions, Thresholds, checked_number
from fraudscan.engine import Engine
from fraudscan.features import Vocabulary
from fraudscan.folder import VERSIONS, ModelError, check_versions, read_folder, write_folder
from fraudscan.layer import Layer
from fraudscan.lazy import cached_property, shared
from fraudscan.result import DECIDED, Result
from fraudscan.taxonomy import TAXONOMY, Taxonomy

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Floats, Ints, Single
    from fraudscan.lists import Lists

__all__ = [
    "Decisions",
    "ModelError",
    "Scanner",
    "Thresholds",
    "default_folder",
    "is_shipped",
    "items_of",
    "listed",
    "load",
]

Item = TypeVar("Item")

GROUP = 1 << 13
"""The number of texts taken from an iterable at a time. The disguised ones among them are repaired together."""

ARRAYS = ("alphabet", "steps", "seeds", "weights", "scales", "biases", "hidden", "output", "quotes")


class Scanner:
    """Scores texts. Immutable: share one among threads, or pickle it for other processes.

    `load` and `fraudscan.sklearn.FraudClassifier.to_scanner` return one. The arguments are what a model consists of.

    Args:
        taxonomy: the labels, schemes and target groups.
        vocabulary: the n-grams.
        weights: int8, shape (vocabulary.size, inputs): for each node the summed vectors of all n-grams that end
            where it ends; row 0 is zero. For other tasks than "fraud" there is one more column, of squared rarities.
        scales: float64, shape (inputs,): the value of one unit of a weight in each column. For other tasks than
            "fraud" there is one more scale, too.
        biases: float64, shape (inputs,).
        thresholds: the scores at which the verdict changes.
        layer: computes the heads' logits from the inputs; without it the inputs are the logits.
        quotes: shape (units + 1,): the weights of one more head of the layer, then its bias. The head recognizes texts
            about fraud, in which windows count for less (see `fraudscan.windows`).
        manifest: the metadata of the model.

    Attributes:
        taxonomy, thresholds: the arguments.
        manifest: a copy of the metadata.
        engine: computes logits from texts; it has the vocabulary, the weights and the layer.
        lists: the allow and deny lists that overrule verdicts, if there are any (see `with_lists`).
        folder_name: that of the folder that the model was read from; empty if it was not read from any.

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
        quotes: npt.ArrayLike | None = None,
        manifest: dict[str, Any] | None = None,
    ) -> None:
        if not taxonomy.schemes:
            raise ValueError("no label has a scheme: a model needs at least one label with a scheme to predict")
        self.taxonomy: Final = taxonomy
        self.thresholds: Final = thresholds
        self._manifest: Final = dict(manifest or {})
        self._manifest.setdefault("thresholds", asdict(thresholds))
        self.lists: Final[Lists | None] = None
        self.folder_name: Final[str] = ""
        fraud = taxonomy.task == "fraud"
        nothing = np.full(len(self.heads), EMPTY_LOGIT)  # a text without a kept character is honest
        if self._honest is None:
            nothing = np.asarray(biases)  # without an honest label it has the logits that any text starts from
        elif not fraud:
            nothing[self._honest] = -EMPTY_LOGIT  # among a user's own labels, the honest one has a head
        if quotes is not None and layer is None:
            raise ValueError("quotes are the weights of a head of a layer: pass the layer, too")
        quoting = Layer(layer.hidden, np.asarray(quotes)[None]) if layer and quotes is not None else None
        self.engine: Final = Engine(
            vocabulary, weights, scales, biases, layer=layer, nothing=nothing, fraud=fraud, quotes=quoting
        )

    if not TYPE_CHECKING:  # type checkers would take any attribute for settable

        def __setattr__(self, name: str, value: Any) -> None:
            """Refuse to change a scanner once it is built: results are computed from it, in other threads too."""
            if "engine" in vars(self):
                raise AttributeError(
                    f"{name} cannot be set: scanners are immutable; the with_… methods return changed copies"
                )
            super().__setattr__(name, value)

        def __delattr__(self, name: str) -> None:
            """Refuse to delete attributes, for the same reason."""
            raise AttributeError(f"{name} cannot be deleted: scanners are immutable")

    def __copy__(self) -> Scanner:
        """Return the scanner itself, because it is immutable."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Scanner:
        """Return the scanner itself, because it is immutable."""
        return self

    def __repr__(self) -> str:
        labels = ", ".join(label.name for label in self.taxonomy.labels)
        lists = f", {self.lists!r}" if self.lists else ""
        return f"Scanner({labels}; flag={self.thresholds.flag}, review={self.thresholds.review}{lists})"

    @property
    def manifest(self) -> dict[str, Any]:
        """The metadata of the model: the corpus, the options and the figures of its training.

        It has no figures for a threshold that was changed (by `with_thresholds`, for example), because they were
        measured with the original one.
        """
        found = copy.deepcopy(self._manifest)
        now = asdict(self.thresholds)
        for name, value in now.items():
            if found["thresholds"][name] != value and isinstance(found.get("figures"), dict):
                found["figures"].pop(name, None)
        return {**found, "thresholds": now}

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The names of the heads: "fraud" for "not legitimate", then schemes and target groups, each given fraud.

        For other tasks than "fraud" each label has one head, including the legitimate one.
        """
        if self.taxonomy.task != "fraud":
            return tuple(label.name for label in self.taxonomy.labels)
        schemes = tuple(scheme.name for scheme in self.taxonomy.schemes)
        return ("fraud", *schemes, *(target.name for target in self.taxonomy.targets))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns of `predict_proba`: labels, then schemes, then target groups.

        A scheme with the same name as its label shares the label's column.
        """
        names = [label.name for label in self.taxonomy.labels]
        names += [name for name in self.heads[1:] if name not in names]
        return tuple(names)

    def with_thresholds(self, *, flag: float | None = None, review: float | None = None) -> Scanner:
        """Return a scanner with other thresholds that shares everything else.

        Args:
            flag: the score from which on a text is flagged. Defaults to the current threshold.
            review: the score from which on a text is worth a look. Defaults to the current threshold, or to ``flag``
                if that is lower.

        Raises:
            ValueError: unless ``0 <= review <= flag <= 1``.
            TypeError: if a threshold is not a number.

        >>> load().with_thresholds(flag=0.3).thresholds.flag
        0.3

        """
        flag = self.thresholds.flag if flag is None else checked_number(flag, "flag")
        review = min(self.thresholds.review, flag) if review is None else checked_number(review, "review")
        return self._with(thresholds=Thresholds(flag=flag, review=review))

    def with_false_alarms(self, share: float) -> Scanner:
        """Return a scanner that flags at most ``share`` of legitimate messages, by the model's held-out curve.

        The threshold is at least one half, so that no text whose label is legitimate is flagged. A model of a user's
        own labels may still flag such a text, because that label may be the likeliest with less than one half.

        Raises:
            CurveError: a ValueError, if the model has no valid curve, or no threshold for ``share`` (see
                `Curve.threshold`).
            TypeError: if ``share`` is not a number.

        """
        return self.with_thresholds(flag=max(0.5, self.curve.threshold(share)))

    @cached_property
    def curve(self) -> Curve:
        """False alarms and recall by threshold, as measured on held-out messages.

        Raises:
            CurveError: if the model has no curve, because it is of an earlier version or none of its labels is
                legitimate, or if its curve is damaged.

        """
        if "curve" not in self._manifest:
            if self.taxonomy.honest is None:
                raise CurveError("none of the model's labels stands for legitimate messages: there are no false alarms")
            raise CurveError("the model has no curve of false alarms: train it again, or set the threshold directly")
        try:
            return Curve.from_dict(self._manifest["curve"])
        except (KeyError, TypeError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            raise CurveError(
                f"the model's curve is damaged: {why}; train it again, or set the threshold directly"
            ) from None

    def with_lists(self, lists: Lists | None) -> Scanner:
        """Return a scanner whose verdicts are overruled by allow and deny lists and that shares everything else.

        >>> from fraudscan.lists import Entry, Lists
        >>> result = load().with_lists(Lists([Entry("deny", "暗号三号")])).classify("暗 號三號，老地方见")
        >>> result.verdict, result.rule
        ('flag', 'deny 暗号三号')

        Raises:
            TypeError: if ``lists`` is anything else, such as the name of a file.

        """
        from fraudscan.lists import Lists

        if not (lists is None or isinstance(lists, Lists)):
            raise TypeError(f"lists must be Lists, not {type(lists).__name__}: fraudscan.lists.read_lists reads files")
        return self._with(lists=lists)

    def _with(self, **changes: Any) -> Scanner:
        """Return a copy with ``changes`` that shares everything else."""
        new = object.__new__(type(self))
        new.__dict__.update({**self.__dict__, **changes})
        for name in ("_decider", "digest"):
            new.__dict__.pop(name, None)
        return new

    def classify(self, text: str, sender: Any = None) -> Result:
        """Score one text.

        Args:
            text: the text.
            sender: who sent it, a text or a number. Without it, list entries that are bound to a sender are ignored.

        Raises:
            TypeError: if ``text`` is not a string, or ``sender`` cannot name a sender.

        """
        if not isinstance(text, str):
            hint = "; for several texts call classify_many" if isinstance(text, (list, tuple)) else ""
            raise TypeError(f"classify takes one text as str, not {type(text).__name__}{hint}")
        if sender is not None:
            from fraudscan.lists import check_sender

            check_sender(sender, "sender")
        return next(self._results([str.__str__(text)], [sender] if self.lists else None))

    def classify_many(self, texts: Iterable[str], senders: Iterable[Any] | None = None) -> Iterator[Result]:
        """Score texts in order, in groups of 8,192 (`GROUP`); the iterator can be read once.

        A group is read whole before it is scored: call `classify` if each text must be answered as soon as it arrives.
        If a text cannot be read, because of an error in its source for example, the results of all texts before it are
        yielded first.

        Args:
            texts: the texts.
            senders: who sent each text, a text or a number; ``None`` or NaN where the sender is not known. They are
                needed for list entries that are bound to a sender.

        Raises:
            TypeError: if ``texts`` or ``senders`` is itself a string or a table; during iteration, if a text is not a
                string, or a sender cannot name a sender.
            ValueError: if list entries are bound to senders and no senders are given; during iteration, if there are
                more or fewer senders than texts.

        """
        items = iter(items_of(texts))
        self._check_bound(senders)
        if senders is None:
            return itertools.chain.from_iterable(map(self._results, _groups_of_texts(items)))
        pairs = _pairs(_checked(items), iter(items_of(senders, "senders")))
        return itertools.chain.from_iterable(self._results(*zip(*group, strict=True)) for group in _groups(pairs))

    def predict_proba(self, texts: Iterable[str]) -> Single:
        """Return the probabilities of texts.

        Returns:
            float32, shape (number of texts, ``len(scanner.names)``); columns as in ``scanner.names``.

        Raises:
            TypeError: if ``texts`` is itself a string or a table, or one of its items is not a string.

        """
        parts = [self._probabilities(self.engine.judge(group).logits) for group in _groups_of_texts(items_of(texts))]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.names)), dtype=np.float32)

    def decide(self, texts: Iterable[str], senders: Iterable[Any] | None = None, *, proba: bool = True) -> Decisions:
        """Score a list of texts into columns.

        Args:
            texts: the texts.
            senders: who sent each text, as for `classify_many`; other values that tables may hold name no sender.
            proba: whether to fill in ``probabilities``, too. Without them, batches of mostly legitimate texts are
                faster.

        Returns:
            A `fraudscan.model.Decisions`: lists with the names of the attributes of a `Result` (``label``, ``verdict``
            and so on), and arrays such as ``scores`` and ``probabilities``.

        Raises:
            TypeError: if ``texts`` or ``senders`` is itself a string or a table, or a text is not a string.
            ValueError: if there are more or fewer senders than texts, or list entries are bound to senders and no
                senders are given.

        >>> found = load().decide(["您有一张法院传票未领取，请按9", "晚上吃什么"])
        >>> found.label, found.scores.shape
        (['other_fraud', 'legitimate'], (2,))

        """
        texts = listed(texts)
        self._check_bound(senders)
        senders = None if senders is None else list(items_of(senders, "senders"))
        if senders is not None and len(senders) != len(texts):
            raise ValueError(f"{len(senders)} senders do not fit {len(texts)} texts: pass one for each, or None")
        quick = not proba and self.taxonomy.task == "fraud"
        denies = self.lists is not None and self.lists.denies
        judged = self.engine.judge(texts, notes=True, readings=denies, likely=quick)
        if quick:
            honest = 1 - _sigmoid(judged.logits[0])
            likely = (honest <= 0.5).nonzero()[0]
            found = self._decider.among(honest, likely, self._probabilities(judged.logits[:, likely]), judged.notes)
        else:
            found = self._decider(self._probabilities(judged.logits), judged.notes)
        if self.lists is None:
            return found
        return self.lists.overrule(found, texts, senders, judged.readings if denies else None)

    def _check_bound(self, senders: Iterable[Any] | None) -> None:
        if senders is None and self.lists and self.lists.bound:
            raise ValueError("the lists have entries for certain senders: pass senders=, None where one is not known")

    @cached_property
    def _decider(self) -> Decider:
        return Decider(self.taxonomy, self.names, self.thresholds)

    def annotate(
        self,
        frame: Any,
        text: str = "text",
        *,
        sender: str | None = None,
        proba: bool = False,
        explain: bool = False,
    ) -> Any:
        """Return a copy of a data frame with the decisions on its texts in columns after its own.

        The new columns are `fraudscan.columns.COLUMNS`, which ``README.md`` describes. ``fraud_notes`` also says why a
        row has no decision: ``"no text"``, ``"not a text: int"``. In pandas the lists are tuples. A scanner with lists
        adds ``fraud_rule``. Order, index and all other columns are kept.

        Args:
            frame: a pandas or polars DataFrame, or a pyarrow Table, RecordBatch or RecordBatchReader. For the latter
                two, a Table is returned, and a reader is read to its end.
            text: the column with the texts.
            sender: the column with the sender of each text; required if entries of the lists are bound to senders.
            proba: whether to add a column ``fraud_p_`` plus the name for every label, scheme and target group.
            explain: whether to add a column ``fraud_evidence`` with the strongest spans, as ``score --explain`` does.

        Raises:
            TypeError: if ``frame`` is none of these.
            fraudscan.columns.ColumnError: a ValueError, if there is no such column, one of the new columns exists
                already, or ``sender`` is needed and missing.

        """
        from fraudscan.frames import annotate

        return annotate(self, frame, text, sender=sender, proba=proba, explain=explain)

    def _results(self, texts: Sequence[str], senders: Sequence[Any] | None = None) -> Iterator[Result]:
        found = self.decide(texts, senders)
        columns = zip(*(getattr(found, name) for name in DECIDED), strict=True)
        size = found.probabilities.itemsize * len(self.names)
        rows = found.probabilities.view(f"V{size}")[:, 0].tolist()  # copies: a view would keep the whole array alive
        return map(Result, itertools.repeat(self), texts, rows, columns)

    def _probabilities(self, logits: Floats) -> Single:
        """Return the probabilities, as `predict_proba` does, for the heads' logits, shape (heads, texts)."""
        if self.taxonomy.task == "multiclass":
            return _softmax(logits)
        heads = _sigmoid(logits)
        if self.taxonomy.task == "multilabel":
            return np.ascontiguousarray(heads.T)
        heads[1:] *= heads[0]
        out = heads.take(self._columns, axis=0)
        columns, first = self._labels
        out[columns] = np.maximum.reduceat(heads[: 1 + len(self.taxonomy.schemes)], first, axis=0)
        out[self._honest] = 1 - heads[0]
        return np.ascontiguousarray(out.T)

    @cached_property
    def _columns(self) -> Ints:
        """For each name the index of the head of its probability; 0 for labels, which `_labels` covers."""
        return np.array([self.heads.index(name) if name in self.heads else 0 for name in self.names])

    @cached_property
    def _labels(self) -> tuple[Ints, list[int]]:
        """The columns of the labels with schemes, and the indices of the heads at which each label's schemes begin.

        A label is as probable as its likeliest scheme.
        """
        labels = [label for label in self.taxonomy.labels if label.schemes]
        first = [self.heads.index(label.schemes[0].name) for label in labels]
        return np.array([self.names.index(label.name) for label in labels]), first

    @cached_property
    def _honest(self) -> int | None:
        """The column of the honest label; ``None`` if there is none."""
        return None if self.taxonomy.honest is None else self.names.index(self.taxonomy.honest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the scanner's arrays, taxonomy, thresholds and lists, and of the tables that texts are read with.

        Together with the version of a released ``fraudscan`` it identifies everything that decisions depend on.
        """
        listed = self.lists.entries if self.lists else ()
        names = {source: Path(source).name for source in {entry.source for entry in listed}}  # without the folder
        entries = [(entry.kind, entry.pattern, entry.sender, names[entry.source], entry.line) for entry in listed]
        digest = hashlib.sha256(repr((_tables(), self.taxonomy, self.thresholds, entries)).encode())
        for array in self._arrays():
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def logits(self, texts: Iterable[str]) -> Floats:
        """Return the heads' logits, float64, shape (number of texts, number of heads), for a list of texts."""
        return np.ascontiguousarray(self.engine.judge(listed(texts)).logits.T)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model folder completely or not at all, replacing an existing model.

        A process that loads the folder meanwhile gets either the old model or the new one.

        Lists are not saved: add them to the loaded scanner with `with_lists`.

        Raises:
            ModelError: if ``folder`` contains anything that is not part of a model, or cannot be written.

        """
        manifest = {**self.manifest, "taxonomy": self.taxonomy.to_dict()}
        write_folder(Path(folder), dict(zip(ARRAYS, self._arrays(), strict=True)), manifest)

    def _arrays(self) -> tuple[npt.NDArray[Any], ...]:
        engine, layer = self.engine, self.engine.layer
        return (
            engine.vocabulary.alphabet,
            engine.vocabulary.steps,
            engine.vocabulary.seeds,
            engine.weights,
            engine.scales,
            engine.biases,
            layer.hidden if layer else np.zeros((0, len(engine.biases) + 1)),
            layer.output if layer else np.zeros((len(engine.biases), 1)),
            engine.quotes.output if engine.quotes else np.zeros((0, layer.hidden.shape[0] + 1 if layer else 1)),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"lists": self.lists, "folder_name": self.folder_name}
        return _restore, (VERSIONS, self.taxonomy, self._arrays(), self.thresholds, self._manifest), state


@cache
def _tables() -> str:
    """Return the SHA-256 of the tables that texts are read with."""
    digest = hashlib.sha256(repr(VERSIONS).encode())
    for table in sorted(resources.files("fraudscan.data").iterdir(), key=lambda file: file.name):
        if table.name.endswith(".npz"):
            digest.update(table.read_bytes())
    return digest.hexdigest()


LOGIT_LIMIT = 60.0
"""Logits are clipped to this absolute value. Beyond it a probability is 1 in float32, or less than 1e-26; up to it
the exponential does not overflow."""

EMPTY_LOGIT = -20.0
"""The logit of every head except the honest one for a text without a kept character: a probability of 2e-9."""


def _sigmoid(logits: Floats) -> Single:
    heads = logits.clip(-LOGIT_LIMIT, LOGIT_LIMIT).astype(np.float32)
    np.negative(heads, out=heads)
    np.exp(heads, out=heads)
    heads += 1
    np.reciprocal(heads, out=heads)
    return heads


def _softmax(logits: Floats) -> Single:
    """Return the probabilities of exclusive classes, shape (texts, heads), for logits, shape (heads, texts)."""
    heads = (logits - logits.max(axis=0)).astype(np.float32)  # the largest is 0, so none overflows
    np.exp(heads, out=heads)
    heads /= heads.sum(axis=0)
    return np.ascontiguousarray(heads.T)


def _restore(
    versions: dict[str, int],
    taxonomy: Taxonomy,
    arrays: tuple[npt.NDArray[Any], ...],
    thresholds: Thresholds,
    manifest: dict[str, Any],
) -> Scanner:
    check_versions("the pickled scanner", versions)
    alphabet, steps, seeds, weights, scales, biases, hidden, output, quotes = arrays
    vocabulary = Vocabulary(alphabet, steps, seeds)
    layer = Layer(hidden, output) if len(hidden) else None
    if len(quotes) > 1 or quotes.shape[1:] != output.shape[1:]:
        raise ValueError(f"quotes of shape {quotes.shape} do not fit an output of {output.shape}")
    return Scanner(
        taxonomy,
        vocabulary,
        weights,
        scales,
        biases,
        thresholds=thresholds,
        layer=layer,
        quotes=quotes[0] if len(quotes) else None,
        manifest=manifest,
    )


def items_of(texts: Any, what: str = "texts") -> Iterable[Any]:
    """Return the items as an iterable.

    Refuse a string, whose characters would be scored, tables, whose column names would be, and sets, which have no
    order.
    """
    if isinstance(texts, (str, bytes, bytearray)) or not (hasattr(texts, "__iter__") or hasattr(texts, "__getitem__")):
        raise TypeError(f"{what} is one {type(texts).__name__}, not several {what}: pass a list, [{what[:-1]}]")
    if isinstance(texts, (Mapping, AbstractSet)):
        how = f"one of its columns, {what}['{what[:-1]}']" if isinstance(texts, Mapping) else "a list"
        raise TypeError(f"{what} is a {type(texts).__name__}, which has no order of {what}: pass {how}")
    if (dimensions := len(getattr(texts, "shape", (0,)))) != 1:
        kind = type(texts).__name__
        raise TypeError(f"{what} is a {kind} of {dimensions} dimensions: pass a column, frame['{what[:-1]}']")
    items: Iterable[Any] = texts.to_pylist() if hasattr(texts, "to_pylist") else texts  # Arrow scalars are not strings
    return items


def listed(texts: Iterable[str]) -> list[str]:
    """Return the texts as a list, because pandas columns are indexed by label, not by position; refuse other items."""
    texts = texts if isinstance(texts, list) else list(items_of(texts))
    return texts if set(map(type, texts)) <= {str} else list(_checked(texts))


def _groups(source: Iterator[Item]) -> Iterator[list[Item]]:
    """Yield lists of up to `GROUP` items. If the source raises an error, the items before it are yielded first."""
    while True:
        group: list[Item] = []
        try:
            group.extend(itertools.islice(source, GROUP))
        except Exception:
            if group:
                yield group
            raise
        if not group:
            return
        yield group


def _groups_of_texts(items: Iterable[str]) -> Iterator[list[str]]:
    """Yield the texts in lists, as `_groups` does; refuse anything that is not a string, after all texts before it."""
    begin = 0
    for group in _groups(iter(items)):
        if set(map(type, group)) <= {str}:  # the usual case, without a loop
            yield group
        else:
            yield from _groups(_checked(group, begin))
        begin += len(group)


def _pairs(texts: Iterator[str], senders: Iterator[Any]) -> Iterator[tuple[str, Any]]:
    """Yield each text with its sender; refuse too few or too many senders, and anything that cannot name a sender."""
    from fraudscan.lists import check_sender

    nothing: Any = object()
    for index, pair in enumerate(itertools.zip_longest(texts, senders, fillvalue=nothing)):
        text, sender = pair
        if sender is nothing:
            raise ValueError("there are fewer senders than texts: pass one for each, None where it is not known")
        if not (sender is None or isinstance(sender, str)):
            check_sender(sender, f"senders[{index}]")
        if text is nothing:
            raise ValueError("there are more senders than texts")
        yield pair


def _checked(texts: Iterable[str], begin: int = 0) -> Iterator[str]:
    """Yield the texts as plain strings; refuse anything that is not a string. ``begin`` is the index of the first."""
    for index, text in enumerate(texts, begin):
        if not isinstance(text, str):
            kind = "None" if text is None else f"of type {type(text).__name__}"
            raise TypeError(
                f"texts[{index}] is {kind}, not a string: leave out missing values, and decode bytes first "
                "(data.decode('gb18030'), say)"
            )
        yield str.__str__(text)  # NumPy strings and enumeration members are subclasses


def default_folder() -> Path:
    """Return the folder of the shipped model: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "models" / "default"
    return inside if inside.is_dir() else package.parent / "models" / "default"


def load(folder: str | os.PathLike[str] | None = None) -> Scanner:
    """Load a model folder, or without an argument the shipped model, which all threads of a process share.

    Args:
        folder: a folder written by ``fraudscan train`` or `Scanner.save`.

    Raises:
        ModelError: if the folder is missing, damaged, or of another version.

    >>> load().classify("").label
    'legitimate'

    """
    return _shipped() if folder is None else _read(Path(folder))


def is_shipped(scanner: Scanner) -> bool:
    """Return whether a scanner decides like the one that `load` returns, as an unpickled copy in another process does.

    The shipped model is loaded for the comparison, unless the scanner has a user's own labels.
    """
    try:
        return scanner.taxonomy.task == TAXONOMY.task and scanner.digest == load().digest
    except ModelError:  # no model is shipped, so this one is from elsewhere
        return False


def _read(folder: Path) -> Scanner:
    scanner = read_folder(folder, ARRAYS, _from_manifest)
    vars(scanner)["folder_name"] = folder.resolve().name  # it has no other user yet
    return scanner


@shared
def _shipped() -> Scanner:
    folder = default_folder()
    try:
        return _read(folder)
    except ModelError:
        if folder.is_dir():
            raise
        raise ModelError(
            f"the shipped model is missing from {Path(__file__).parent}: install fraudscan again, as files (it cannot "
            "be read inside an archive on the module search path)"
        ) from None


def _from_manifest(arrays: Sequence[npt.NDArray[Any]], manifest: dict[str, Any]) -> Scanner:
    taxonomy = Taxonomy.from_dict(manifest["taxonomy"])
    return _restore(manifest, taxonomy, tuple(arrays), Thresholds(**manifest["thresholds"]), manifest)
