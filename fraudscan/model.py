"""The model: weights on matches, calibrated to probabilities, and the decisions taken on them.

The first head answers "is this not legitimate?"; one for each scheme and each target
group answers "if so, is it this one?". A scheme's probability is the product of both, so
none is more probable than fraud itself. The logit of a head on a text with L kept
characters is

    bias + scale * (sum of the weights of its matches) / sqrt(L + 10)

Weights are integers and so are their sums: nothing is rounded before the scale, and a
text has the same score alone, in any batch and in any chunk. Three heads are packed into
each 64-bit integer, which makes NumPy alone nearly as fast as a sparse product of SciPy's.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.disguise import LONGEST, repaired
from fraudscan.features import Vocabulary, text_sizes
from fraudscan.normalize import NORMALIZATION_VERSION
from fraudscan.taxonomy import Taxonomy

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from fraudscan.explain import Span
    from fraudscan.features import Ints, Words

    Floats = npt.NDArray[np.float64]
    Single = npt.NDArray[np.float32]

__all__ = ["FORMAT_VERSION", "ModelError", "Result", "Scanner", "Thresholds", "load"]

FORMAT_VERSION = 1
"""The version of the model folder. A reader takes its own version and all older ones."""

SHORT = 10
"""Added to the length under the root: the few matches of a short text count for less than the bias, so that a text of
which the model knows little stays what most texts are. From 0 to 40 held-out macro-F1 falls by a point, while false
alarms on short personal messages halve."""

FIELDS = 3
"""How many heads share one 64-bit integer while their weights are added up."""

FIELD_BITS = 64 // FIELDS
"""Bits of a sum in it, the sign included."""

PIECE = 128
"""How many weights are added up in such a field; longer texts are summed over pieces of this length."""

WEIGHT_LIMIT = (1 << FIELD_BITS - 1) // PIECE - 1
"""The largest weight: `PIECE` of them cannot overflow a field."""

HALF = 1 << FIELD_BITS - 1
SHIFTS = (FIELD_BITS * np.arange(FIELDS)).reshape(-1, 1, 1)
OFFSET = int((HALF << SHIFTS).sum())
"""Added to packed sums so that no field is negative and each can be cut out by itself."""

CHUNK = 1 << 16
"""Characters scored at a time: its arrays stay in the caches, and the calls are worth their cost."""

GROUP = 1 << 12
"""Texts taken from an iterable at a time."""

VERDICTS = np.array(["clear", "review", "flag"], dtype=object)

ARRAYS = ("alphabet", "steps", "seeds", "weights", "scales", "biases")


class ModelError(Exception):
    """A model folder is missing, damaged, or of a version that this package does not read."""


@dataclass(frozen=True)
class Thresholds:
    """From which score on a text is flagged, and from which one it is worth a look.

    Raises:
        ValueError: unless ``0 <= review <= flag <= 1``.

    """

    flag: float
    review: float

    def __post_init__(self) -> None:
        if not 0 <= self.review <= self.flag <= 1:
            raise ValueError(f"thresholds need 0 <= review <= flag <= 1, not review={self.review}, flag={self.flag}")


class Result:
    """What a scanner says of one text.

    Attributes:
        text: the text.
        label: the most probable label: the honest one where ``score`` is below one half, else the pretence with the
            highest probability.
        scheme: the label's most probable scheme; ``None`` for honest texts.
        labels: every label with a probability of at least one half, ``label`` first.
        score: the calibrated probability that the text is not legitimate.
        verdict: ``"flag"``, ``"review"`` or ``"clear"``, by the scanner's thresholds.
        targets: the groups at whom the text is aimed.

    """

    __slots__ = ("_probabilities", "_scanner", "label", "labels", "scheme", "score", "targets", "text", "verdict")

    def __init__(
        self,
        scanner: Scanner,
        text: str,
        probabilities: Single,
        decision: tuple[str, str | None, tuple[str, ...], float, str, tuple[str, ...]],
    ) -> None:
        self.text = text
        self.label, self.scheme, self.labels, self.score, self.verdict, self.targets = decision
        self._scanner = scanner
        self._probabilities = probabilities

    @property
    def scores(self) -> dict[str, float]:
        """The probability of every label, scheme and target group by name."""
        return dict(zip(self._scanner.names, self._probabilities.tolist(), strict=True))

    def explain(self) -> list[Span]:
        """Return the spans of the text that carried the decision, the strongest first (see `fraudscan.explain`)."""
        from fraudscan.explain import explain

        return explain(self._scanner, self.text, self.label)

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 40 else self.text[:39] + "…"
        return f"Result({text!r}, label={self.label!r}, scheme={self.scheme!r}, score={self.score:.3f})"


@dataclass(frozen=True)
class Decisions:
    """Columns of decisions, one entry a text: what `Result` holds, for those who want no objects."""

    label: list[str]
    scheme: list[str | None]
    labels: list[tuple[str, ...]]
    score: list[float]
    verdict: list[str]
    targets: list[tuple[str, ...]]
    probabilities: Single


class Scanner:
    """Scores texts. Immutable: share one among threads, or pickle it for other processes.

    Args:
        taxonomy: the labels, schemes and target groups.
        vocabulary: the n-grams.
        weights: int16, shape (vocabulary.size, heads): for each node the summed weights of all n-grams that end
            where it ends; row 0 is zero.
        scales: float64, shape (heads,): what one unit of a weight is worth.
        biases: float64, shape (heads,).
        thresholds: where verdicts change.
        manifest: what the model says of itself.

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
        manifest: dict[str, Any] | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.vocabulary = vocabulary
        self.thresholds = thresholds
        self.manifest = manifest or {}
        self.weights = _frozen(weights, np.int16)
        self.scales = _frozen(scales, np.float64)
        self.biases = _frozen(biases, np.float64)
        heads = len(self.heads)
        if (
            self.weights.shape != (vocabulary.size, heads)
            or self.scales.shape != (heads,)
            or self.biases.shape != (heads,)
        ):
            raise ValueError(
                f"{vocabulary.size} nodes and {heads} heads do not fit weights of shape {self.weights.shape}, "
                f"scales of {self.scales.shape} and biases of {self.biases.shape}"
            )
        if self.weights[0].any() or np.abs(self.weights.astype(np.int32)).max(initial=0) > WEIGHT_LIMIT:
            raise ValueError(f"weights must be 0 in row 0 and at most {WEIGHT_LIMIT}")
        if not (np.isfinite(self.scales).all() and np.isfinite(self.biases).all()):
            raise ValueError("scales and biases must be finite")

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The heads: "fraud" stands for "not legitimate", then come schemes and target groups, given fraud."""
        schemes = tuple(scheme.name for scheme in self.taxonomy.schemes)
        return ("fraud", *schemes, *(target.name for target in self.taxonomy.targets))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns of `predict_proba`: labels, then schemes, then target groups.

        A scheme that has its label's name shares its column.
        """
        names = [label.name for label in self.taxonomy.labels]
        names += [name for name in self.heads[1:] if name not in names]
        return tuple(names)

    def classify(self, text: str) -> Result:
        """Score one text.

        Raises:
            TypeError: if ``text`` is not a string.

        """
        if not isinstance(text, str):
            hint = "; for several texts call classify_many" if isinstance(text, (list, tuple)) else ""
            raise TypeError(f"classify takes one text as str, not {type(text).__name__}{hint}")
        return next(self._results([text]))

    def classify_many(self, texts: Iterable[str]) -> Iterator[Result]:
        """Score texts as they come, in order.

        Raises:
            TypeError: if ``texts`` is a string itself or one of its items is none.

        """
        return itertools.chain.from_iterable(map(self._results, _groups(texts)))

    def predict_proba(self, texts: Iterable[str]) -> Single:
        """Return the probabilities of texts.

        Returns:
            float32, shape (number of texts, ``len(scanner.names)``); columns as in ``scanner.names``.

        Raises:
            TypeError: if ``texts`` is a string itself or one of its items is none.

        """
        parts = [self._probabilities(group) for group in _groups(texts)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.names)), dtype=np.float32)

    def decide(self, texts: Sequence[str]) -> Decisions:
        """Score a list of texts into columns."""
        probabilities = self._probabilities(texts)
        score = 1 - probabilities[:, self._honest_column].astype(np.float64)
        honest = self.taxonomy.honest.name
        found = Decisions(
            label=[honest] * len(texts),
            scheme=[None] * len(texts),
            labels=[(honest,)] * len(texts),
            score=score.tolist(),
            verdict=np.take(VERDICTS, (score >= self.thresholds.review) + (score >= self.thresholds.flag) * 1).tolist(),
            targets=[()] * len(texts),
            probabilities=probabilities,
        )
        for row in np.flatnonzero(score >= 0.5).tolist():  # few, in a real dump
            p = dict(zip(self.names, probabilities[row].tolist(), strict=True))
            pretences = sorted((x for x in self.taxonomy.labels if x.schemes), key=lambda x: -p[x.name])
            found.label[row] = pretences[0].name
            found.scheme[row] = max(pretences[0].schemes, key=lambda x: p[x.name]).name
            found.labels[row] = (pretences[0].name, *(x.name for x in pretences[1:] if p[x.name] >= 0.5))
        groups = [target.name for target in self.taxonomy.targets]
        aimed = probabilities[:, [self.names.index(name) for name in groups]] >= 0.5
        for row in np.flatnonzero(aimed.any(axis=1)).tolist():
            found.targets[row] = tuple(name for name, hit in zip(groups, aimed[row], strict=True) if hit)
        return found

    def _results(self, texts: Sequence[str]) -> Iterator[Result]:
        found = self.decide(texts)
        columns = zip(found.label, found.scheme, found.labels, found.score, found.verdict, found.targets, strict=True)
        return map(Result, itertools.repeat(self), texts, found.probabilities, columns)

    def _probabilities(self, texts: Sequence[str]) -> Single:
        """Return what `predict_proba` returns, for a list."""
        heads = self._logits(texts).clip(-LOGIT_LIMIT, LOGIT_LIMIT).astype(np.float32)
        np.negative(heads, out=heads)
        np.exp(heads, out=heads)
        heads += 1
        np.reciprocal(heads, out=heads)
        heads[1:] *= heads[0]
        out = heads.take(self._columns, axis=0)
        columns, first = self._labels
        out[columns] = np.maximum.reduceat(heads[: first[-1]], first[:-1], axis=0)
        out[self._honest_column] = 1 - heads[0]
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
    def _honest_column(self) -> int:
        return self.names.index(self.taxonomy.honest.name)

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return the heads' logits, float64, shape (number of texts, number of heads), for a list of texts."""
        return np.ascontiguousarray(self._logits(texts).T)

    def _logits(self, texts: Sequence[str]) -> Floats:
        sums = np.empty((len(self.heads), len(texts)))
        lengths = np.empty(len(texts), dtype=np.int64)
        sizes = text_sizes(texts)
        begin = 0
        for end in _cuts(sizes):
            if end - begin == 1 and sizes[begin] > CHUNK:
                sums[:, begin], lengths[begin] = self._long(texts[begin])
            if end - begin > 1 or sizes[begin] <= CHUNK or lengths[begin] <= LONGEST:
                found = self.vocabulary.match(texts[begin:end], sizes[begin:end])
                sums[:, begin:end] = self._sums(found.nodes, found.starts, found.lengths)
                lengths[begin:end] = found.lengths
                marked = (found.marked & (found.lengths <= LONGEST)).nonzero()[0] + begin
                if marked.size:
                    found = self.vocabulary.match(repaired([texts[i] for i in marked.tolist()]))
                    sums[:, marked] = self._sums(found.nodes, found.starts, found.lengths)
                    lengths[marked] = found.lengths
            begin = end
        sums *= self.scales[:, None]
        sums /= np.sqrt(lengths + SHORT)
        sums += self.biases[:, None]
        if not lengths.all():
            sums[:, lengths == 0] = NOTHING  # a text without a single character says nothing at all
        return sums

    def _long(self, text: str) -> tuple[Ints, int]:
        total, length = np.zeros(len(self.heads), dtype=np.int64), 0
        for nodes in self.vocabulary.match_blocks(text, CHUNK):
            if nodes.size:
                total += self._sums(nodes, np.zeros(1, dtype=np.int64), np.array([nodes.size - 1]))[:, 0]
                length += nodes.size
        return total, length

    def _sums(self, nodes: Words, starts: Ints, lengths: Ints) -> Ints:
        """Return the exact sums of the weights of each text's nodes: int64, shape (heads, texts).

        A text has ``lengths + 1`` nodes, the last of which may be a separator.
        """
        pieces = starts
        if lengths.max() >= PIECE:
            counts = lengths // PIECE + 1
            first = counts.cumsum() - counts
            pieces = (starts - PIECE * first).repeat(counts)
            pieces += PIECE * np.arange(pieces.size)
        packed = np.add.reduceat(self._packed.take(nodes, axis=1), pieces, axis=1)
        packed += OFFSET
        fields = packed >> SHIFTS
        fields &= 2 * HALF - 1
        fields -= HALF
        sums: Ints = fields.reshape(-1, pieces.size)[: len(self.heads)]
        return sums if pieces is starts else np.add.reduceat(sums, first, axis=1)

    @cached_property
    def _packed(self) -> Ints:
        """The weights with several heads in one integer, so that one addition serves them all; (packs, nodes)."""
        packs = -(len(self.heads) // -FIELDS)
        packed = np.zeros((packs, self.vocabulary.size), dtype=np.int64)
        for head, weights in enumerate(self.weights.T.astype(np.int64)):
            packed[head % packs] += weights << (FIELD_BITS * (head // packs))
        return packed

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model folder: all of it or nothing; a model that stands there is replaced.

        Raises:
            ModelError: if ``folder`` exists and is not a model.

        """
        folder = Path(folder)
        if folder.exists() and not (folder / "manifest.json").is_file() and any(folder.iterdir()):
            raise ModelError(f"{folder} exists and is not a model: name a new or an empty folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            digests = {}
            for name, array in zip(ARRAYS, self._arrays(), strict=True):
                np.save(new / f"{name}.npy", array, allow_pickle=False)
                digests[name] = _digest(new / f"{name}.npy")
            manifest = {
                **self.manifest,
                "format_version": FORMAT_VERSION,
                "normalization_version": NORMALIZATION_VERSION,
                "thresholds": {"flag": self.thresholds.flag, "review": self.thresholds.review},
                "arrays": digests,
                "taxonomy": self.taxonomy.to_dict(),
            }
            text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
            (new / "manifest.json").write_text(text, "utf-8", newline="\n")
            new.chmod(0o755)
            if folder.exists():
                old = new.with_name(new.name + "-old")
                folder.rename(old)
                new.rename(folder)
                shutil.rmtree(old)
            else:
                new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _arrays(self) -> tuple[npt.NDArray[Any], ...]:
        vocabulary = self.vocabulary
        return (
            vocabulary.alphabet,
            vocabulary.steps,
            vocabulary.seeds,
            self.weights,
            self.scales,
            self.biases,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.taxonomy, self._arrays(), self.thresholds, self.manifest)


LOGIT_LIMIT = 60.0
"""Beyond it a probability is 0 or 1 in float32, and well before the exponential overflows."""

NOTHING = -20.0
"""The logit of every head for a text without a character: a probability of 2e-9."""


def _restore(
    taxonomy: Taxonomy, arrays: tuple[npt.NDArray[Any], ...], thresholds: Thresholds, manifest: dict[str, Any]
) -> Scanner:
    alphabet, steps, seeds, weights, scales, biases = arrays
    vocabulary = Vocabulary(alphabet, steps, seeds)
    return Scanner(taxonomy, vocabulary, weights, scales, biases, thresholds=thresholds, manifest=manifest)


def _frozen(values: npt.ArrayLike, dtype: type) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    """Return the texts in lists of `GROUP`; refuse what is no iterable of strings, a single string first of all."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"texts is one {type(texts).__name__}, not several texts: pass a list, [text]")

    def checked() -> Iterator[list[str]]:
        source, start = iter(texts), 0
        while group := list(itertools.islice(source, GROUP)):
            if set(map(type, group)) != {str}:
                for index, item in enumerate(group, start):
                    if not isinstance(item, str):
                        kind = "None" if item is None else f"of type {type(item).__name__}"
                        raise TypeError(
                            f"texts[{index}] is {kind}, not a string: leave out missing values, and decode bytes "
                            "first (data.decode('gb18030'), say)"
                        )
            yield group
            start += len(group)

    return checked()


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


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
        ModelError: if the folder is missing, damaged, or of a newer version.

    >>> load().classify("").label
    'legitimate'

    """
    return _load_default() if folder is None else _read(Path(folder))


@lru_cache(maxsize=1)
def _load_default() -> Scanner:
    return _read(default_folder())


def _read(folder: Path) -> Scanner:
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        version = manifest["format_version"]
        if version > FORMAT_VERSION:
            raise ModelError(f"{folder} has format version {version}; this fraudscan reads up to {FORMAT_VERSION}")
        if manifest["normalization_version"] != NORMALIZATION_VERSION:
            raise ModelError(
                f"{folder} was trained with normalization version {manifest['normalization_version']}, this fraudscan "
                f"has {NORMALIZATION_VERSION}: train it anew, or install the fraudscan that wrote it"
            )
        arrays = [_read_array(folder / f"{name}.npy", manifest["arrays"][name]) for name in ARRAYS]
        taxonomy = Taxonomy.from_dict(manifest["taxonomy"])
        return _restore(taxonomy, tuple(arrays), Thresholds(**manifest["thresholds"]), manifest)
    except FileNotFoundError as error:
        raise ModelError(f"{folder} is no model: {Path(error.filename).name} is missing") from None
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:  # what a damaged manifest gives
        raise ModelError(f"{folder} is damaged: {type(error).__name__}: {error}") from error
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error}") from error


def _read_array(path: Path, digest: str) -> npt.NDArray[Any]:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ModelError(f"{path} is damaged: its SHA-256 is not the one that the manifest names")
    array: npt.NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    return array
