"""Train a model on labelled messages.

Candidates for the vocabulary are the character n-grams and the words that occur in
enough messages. Each count is multiplied by the inverse document frequency of the n-gram: the
logarithm of the inverse of the share of training texts that contain it. A first, small network shows which
n-grams have influence, and a second one is fitted on those (`fraudscan.network`). Each probability is
calibrated on held-out folds, which the network behind it was not fitted on. Messages that resemble each
other or form a `pair` are always in the same fold. Thresholds and figures take the windows of long texts
into account. The same rows give the same model, byte for byte, on the same machine with the same library versions.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.arrays import cuts, ranges
from fraudscan.augment import vary
from fraudscan.background import background
from fraudscan.characters import NORMALIZATION_VERSION, fold, text_sizes
from fraudscan.corpus import CHANNELS, CorpusError, Row, digest, join, near_duplicates
from fraudscan.curve import Curve
from fraudscan.disguise import undisguise
from fraudscan.engine import WEIGHT_LIMIT, length_norms
from fraudscan.evaluate import held_out_figures, thresholds_for
from fraudscan.features import Vocabulary
from fraudscan.layer import Layer
from fraudscan.model import Scanner
from fraudscan.network import Examples, Network, NetworkOptions, fit, sigmoid
from fraudscan.taxonomy import TAXONOMY, Taxonomy
from fraudscan.tokenize import words
from fraudscan.windows import RAMP_START, length_penalty, most_suspicious, window_penalty, windows_of
from fraudscan.wrappings import clauses, wrappings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Bools, Floats, Ints, Single

__all__ = [
    "TrainingOptions",
    "calibrate",
    "compile_weights",
    "features_of",
    "folds_of",
    "frequent_ngrams",
    "groups",
    "train",
]

LATIN = re.compile("[a-z]+")

KIND_SIZE = 50
"""The number of honest rows a kind needs to get an auxiliary head of its own (see `_auxiliary`)."""

REST = 1 / 3
"""The weight in the fit of each head except "is this fraud?", whose weight is one. With half of it fewer labels are
right; with more of it a network of fewer units misses frauds."""

QUOTING = {"warning", "article"}
"""The kinds of honest messages that speak of frauds and quote them."""

NO_QUOTING = -30.0
"""The logit that a text speaks of frauds if the corpus has no such kinds. It is so low that no window is penalized."""

UNREPAIRED = 4
"""One in this many disguised copies is trained on without repair, because repair does not know every disguise."""

BLOCK = 1 << 16
"""Characters that are matched with the vocabulary at a time."""

SELECTION: dict[str, Any] = {"inputs": 16, "epochs": 3, "distilled": 0, "learning_rate": 1e-2}
"""Options of the network that selects the n-grams, where they differ from those of the final one. A larger network
selects no better. The learning rate is high because rare n-grams must move away from their initial vectors in few
steps."""


@dataclass(frozen=True)
class TrainingOptions:
    """The hyperparameters of training.

    Except for those of the network, the defaults were chosen on held-out folds, where most make little difference.

    Attributes:
        order: the length of the longest character n-grams among the candidates.
        word_length: the length of the longest words among the candidates.
        min_ngram: the number of messages in which an n-gram must occur to be a candidate.
        min_word: the same for words.
        size: the number of candidates to keep. The candidates with the most influence in a first fit are kept: the
            influence is the sum, over the texts, of the square of what the n-gram's vector added to each text.
        network: see `NetworkOptions`.
        seed: determines the initial weights and all random choices of the fits. On the open evaluation sets two seeds
            differ by up to .002 in AUC and .05 in recall at 1 % false alarms. The default is the first that was tried
            with the present disguises.
        prior: the share of fraud among the messages that the probabilities are meant for. The corpus has far more
            fraud than any dump; a suspicious dump has more than a phone.
        min_token: the number of messages in which a run of Latin letters must occur for n-grams with it to be
            candidates. Most letters are parts of links and names that never recur.
        further: the target, from 0 to 1, of a scheme's head for a lure that names the scheme after another one. A
            target below one makes the leading scheme the most probable, so that more labels are right. Calibration
            restores the probabilities of the other schemes.
        twin_weight: the weight of an honest message that belongs to a lure and resembles it (a twin). In the corpus
            one honest message in seven is a twin, in life hardly any. The larger the weight, the more the network
            distrusts the very words of a fraud. With a weight of 0, no fewer lures score above their twins, 98 of 100,
            and more frauds are found among third-party messages. Like the network's options, this weight was chosen
            with regard to the open evaluation sets.
        folds: the number of folds on which the probabilities are calibrated.
        scenarios: whether all messages of a scenario are kept in one fold as well. The figures then show how the model
            does on plots that it has never seen.
        disguised: the share of messages of which a copy is trained on as well, disguised or with other links or masked
            numbers (`fraudscan.augment.vary`). With a copy of every message, instead of every other one, more disguised
            frauds are found, and no fewer undisguised ones.
        wrappings: the number of scraps per message. Texts are joined to them in training (see `fraudscan.wrappings`).
        clauses: the number of further scraps per message that are clauses of honest messages. With these, and with
            more scraps that say nothing, "see the official app" after a fraud hides 24 of 100 third-party frauds
            instead of 36. Clauses of held-out messages are included, because they are joined to lures and honest
            messages alike.
        background: the number of background texts per message that are trained on as honest messages (see
            `fraudscan.background`). With four times as many, fewer frauds are found (AUC .979 instead of .982 on the
            open sets), and only a few more long texts are spared a false alarm.
        jobs: the number of processes that fit folds in parallel.

    """

    order: int = 3
    word_length: int = 6
    min_ngram: int = 5
    min_word: int = 3
    size: int = 36_000
    network: NetworkOptions = field(default_factory=NetworkOptions)
    seed: int = 7
    prior: float = 0.3
    min_token: int = 10
    further: float = 0.3
    twin_weight: float = 0.0
    folds: int = 5
    scenarios: bool = False
    disguised: float = 1.0
    wrappings: float = 0.03
    clauses: float = 0.03
    background: float = 0.03
    jobs: int = 2

    def __post_init__(self) -> None:
        if min(self.order, self.word_length, self.min_ngram, self.min_word, self.min_token, self.size, self.jobs) < 1:
            raise ValueError("order, word_length, min_ngram, min_word, min_token, size and jobs must be at least 1")
        if self.folds < 2:
            raise ValueError("folds must be at least 2")
        if not 0 < self.prior < 1:
            raise ValueError("prior must be a share between 0 and 1")
        if not (0 <= self.further <= 1 and 0 <= self.disguised <= 1):
            raise ValueError("further and disguised must be at least 0 and at most 1")
        if not all(share >= 0 for share in (self.twin_weight, self.wrappings, self.clauses, self.background)):
            raise ValueError("twin_weight, wrappings, clauses and background must not be negative")


def train(rows: Sequence[Row], taxonomy: Taxonomy = TAXONOMY, options: TrainingOptions | None = None) -> Scanner:
    """Fit, calibrate and return a model.

    Args:
        rows: the labelled messages, as `fraudscan.corpus.read_corpus` returns them.
        taxonomy: the labels, schemes and target groups.
        options: see `TrainingOptions`.

    Raises:
        CorpusError: if a scheme, a target group or the honest label has fewer messages than there are folds.

    """
    options = options or TrainingOptions()
    gold = _gold(rows, taxonomy, options.folds)
    heads = gold.shape[1]
    unrelated = background(round(options.background * len(rows)), random.Random(0))  # noqa: S311 - a fixed choice
    shown = [*rows, *(Row("", text, ()) for text in unrelated)]  # honest, without a kind or a channel
    answers = np.hstack([_answers(_gold(shown, taxonomy, 0), shown, taxonomy, options), _auxiliary(shown, taxonomy)])
    weights = _weights(shown, answers.shape[1], heads, options)
    texts = undisguise([row.text for row in rows])
    vocabulary = Vocabulary.from_ngrams(_candidates([fold(text) for text in texts], options))
    examples, source, rarity = _examples(shown, texts, vocabulary, answers, weights, options)
    parts = folds_of(rows, options.folds, scenarios=options.scenarios)
    folds = [np.flatnonzero(np.isin(source, outside)) for _, outside in parts]  # the background is in none
    everything = np.arange(source.size)
    *others, (nodes, network) = _fitted(examples, [*(np.setdiff1d(everything, f) for f in folds), everything], options)
    held_out = _held_out(others, examples.features, everything, folds)[: len(rows)].astype(np.float64)
    network = network.standardized(examples.features[:, nodes])
    slopes, intercepts = _scaling(held_out[:, :heads], gold, options.prior)
    logits = held_out[:, :heads] * slopes + intercepts
    quoting, (slope, intercept) = _quoting(held_out[:, heads], rows, options)
    pieces, owners, lengths = _windows(texts, vocabulary, rarity)
    windows = _held_out(others, pieces, owners, folds)[:, :heads] * slopes + intercepts
    logits = _with_windows(logits, windows, owners, lengths, quoting)

    output = network.output[:heads] * slopes[:, None]
    output[:, -1] += intercepts
    coefficients = np.zeros((vocabulary.size, network.vectors.shape[1]))
    coefficients[nodes] = network.vectors * rarity[nodes, None]
    vocabulary, vectors, scales = compile_weights(vocabulary, coefficients)
    probabilities = sigmoid(logits)
    probabilities[:, 1:] *= probabilities[:, :1]
    thresholds = thresholds_for(probabilities[:, 0], gold[:, 0])
    manifest: dict[str, Any] = {
        "corpus": {"rows": len(rows), "sha256": digest(rows)},
        "training": {k: v for k, v in asdict(options).items() if k != "jobs"},
        "trained_normalization_version": NORMALIZATION_VERSION,
        "figures": held_out_figures(rows, taxonomy, gold, probabilities, thresholds, options.prior),
        "curve": Curve.from_scores(probabilities[:, 0], gold[:, 0]).to_dict(),
    }
    return Scanner(
        taxonomy,
        vocabulary,
        vectors,
        scales,
        network.biases,
        thresholds=thresholds,
        layer=Layer(network.hidden, output),
        quotes=network.output[heads] * slope + np.append(np.zeros(len(network.hidden)), intercept),
        manifest=manifest,
    )


def _auxiliary(rows: Sequence[Row], taxonomy: Taxonomy) -> Bools:
    """Return the targets of the auxiliary heads, shape (rows, auxiliary heads).

    The first answers whether a text speaks of frauds (see `QUOTING`). The others are fitted, but the model does not use
    them: one for each label, for each kind of honest messages, and for the lures and the honest messages of each
    channel. Each answers whether a text is one of these. Kinds with few rows are left out.
    """
    kinds = [row.kind for row in rows]
    frequent = sorted(kind for kind, count in Counter(kinds).items() if kind and count >= KIND_SIZE)
    labels = [{taxonomy.scheme(name).label for name in row.labels} for row in rows]
    columns = [[kind in QUOTING for kind in kinds]]
    columns += [[label.name in own for own in labels] for label in taxonomy.labels if label.schemes]
    columns += [[kind == name for kind in kinds] for name in frequent]
    columns += [[r.channel == name and bool(r.labels) == lure for r in rows] for name in CHANNELS for lure in (0, 1)]
    return np.array(columns, dtype=bool).T


def _weights(rows: Sequence[Row], columns: int, heads: int, options: TrainingOptions) -> Floats:
    """Return the weight of each answer, shape (rows, columns); the first ``heads`` columns are the heads of the model.

    Schemes and targets are fitted on lures alone, because their probabilities are conditional on fraud.
    """
    weights = np.full((len(rows), columns), REST)
    weights[:, 0] = 1
    honest = np.array([not row.labels for row in rows])
    weights[honest, 1:heads] = 0
    weights[honest & [row.pair is not None for row in rows]] *= options.twin_weight
    return weights


def _gold(rows: Sequence[Row], taxonomy: Taxonomy, least: int) -> Bools:
    """Return the gold labels as a mask, shape (rows, heads): fraud, schemes, target groups.

    Raises:
        CorpusError: if a head or the honest label has fewer than ``least`` messages.

    """
    names = [scheme.name for scheme in taxonomy.schemes]
    groups = [target.name for target in taxonomy.targets]
    gold = np.array(
        [
            [bool(row.labels), *(name in row.labels for name in names), *(name in row.targets for name in groups)]
            for row in rows
        ],
        dtype=bool,
    ).reshape(len(rows), 1 + len(names) + len(groups))
    for name, count in zip(["fraud", *names, *groups], gold.sum(axis=0), strict=True):
        if count < least:
            raise CorpusError(f"{name!r} has {count} messages; training needs at least {least} of each")
    if (~gold[:, 0]).sum() < least:
        raise CorpusError(f"there are {(~gold[:, 0]).sum()} legitimate messages; training needs at least {least}")
    return gold


def _answers(gold: Bools, rows: Sequence[Row], taxonomy: Taxonomy, options: TrainingOptions) -> Single:
    """Return the target of each head, shape (rows, heads): the gold label, but ``further`` for schemes after the first.

    See `TrainingOptions`.
    """
    answers = gold.astype(np.float32)
    column = {scheme.name: head for head, scheme in enumerate(taxonomy.schemes, 1)}
    for answer, row in zip(answers, rows, strict=True):
        answer[[column[name] for name in row.labels[1:]]] = options.further
    return answers


def _candidates(texts: Sequence[str], options: TrainingOptions) -> Iterator[str]:
    """Yield the n-grams and words that occur in enough texts, most frequent first."""
    tokens = Counter(word for text in texts for word in set(words(text)) if 1 < len(word) <= options.word_length)
    latin = Counter(run for text in texts for run in set(LATIN.findall(text)))
    found = frequent_ngrams(texts, options.order, options.min_ngram)
    found.update((word, count) for word, count in tokens.items() if count >= options.min_word)
    for ngram in sorted(found, key=lambda ngram: (-found[ngram], ngram)):
        if all(latin[run] >= options.min_token for run in LATIN.findall(ngram)):
            yield ngram


def frequent_ngrams(texts: Sequence[str], longest: int, least: int) -> dict[str, int]:
    """Return the n-grams of at most ``longest`` characters that occur in at least ``least`` texts, and in how many.

    An n-gram is counted only if the two n-grams one character shorter, at its beginning and its end, are frequent.
    Otherwise it must be rare as well.
    """
    frequent: dict[str, int] = {}
    for order in range(1, longest + 1):
        found: Counter[str] = Counter()
        for text in texts:
            ngrams = {text[i : i + order] for i in range(len(text) - order + 1)}
            if order > 1:
                ngrams = {ngram for ngram in ngrams if ngram[:-1] in frequent and ngram[1:] in frequent}
            found.update(ngrams)
        frequent.update((ngram, count) for ngram, count in found.items() if count >= least)
    return frequent


def features_of(vocabulary: Vocabulary, texts: Sequence[str], *, by_length: bool = True) -> tuple[Any, Ints]:
    """Return how often each text has each n-gram, and the lengths of the texts.

    The counts are divided by the text's length norm (see `length_norms`) if ``by_length`` is true.

    Returns:
        A sparse float64 array of shape (texts, vocabulary.size), and the number of kept characters of each text.

    """
    nodes, lengths = [], []
    for part in cuts(text_sizes(texts), BLOCK):
        found = vocabulary.match(texts[part])
        nodes.append(found.nodes.astype(np.int32))
        lengths.append(found.lengths)
    sizes = np.concatenate(lengths)
    scale = 1 / length_norms(sizes) if by_length else np.ones(sizes.size)
    return _counts(np.concatenate(nodes), sizes + 1, scale, vocabulary), sizes  # a separator follows each text


def _counts(nodes: npt.NDArray[np.int32], sizes: Ints, scale: Floats, vocabulary: Vocabulary) -> Any:
    """Return how often each row has each n-gram, times ``scale``; ``nodes`` has all rows, ``sizes`` nodes each."""
    from scipy import sparse

    bounds = np.append(0, sizes.cumsum()).astype(np.int32)
    counts = sparse.csr_array((scale.repeat(sizes), nodes, bounds), shape=(sizes.size, vocabulary.size))
    counts.sum_duplicates()
    return counts @ _closure(vocabulary)


def _closure(vocabulary: Vocabulary) -> Any:
    """Return the square matrix that counts are multiplied by so that each node also counts for all its suffixes."""
    from scipy import sparse

    nodes = np.arange(1, vocabulary.size)
    starts, ends = [nodes], [nodes]
    at, suffixes = nodes, vocabulary.suffixes[nodes]
    while at.size:
        at, suffixes = at[suffixes > 0], suffixes[suffixes > 0]
        starts.append(at)
        ends.append(suffixes)
        suffixes = vocabulary.suffixes[suffixes]
    row, column = np.concatenate(starts).astype(np.int32), np.concatenate(ends).astype(np.int32)
    return sparse.csr_array((np.ones(row.size), (row, column)), shape=(vocabulary.size, vocabulary.size))


def folds_of(rows: Sequence[Row], count: int, *, scenarios: bool = False) -> Iterator[tuple[Ints, Ints]]:
    """Yield the training rows and the held-out rows of each of ``count`` folds. No fold splits one of the `groups`."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    labels = [row.labels[0] if row.labels else "" for row in rows]
    frequent = {label for label, size in Counter(labels).items() if size >= count}
    strata = [x if x in frequent else "rare" for x in labels]
    yield from splitter.split(np.zeros(len(rows)), strata, groups(rows, scenarios=scenarios))


def groups(rows: Sequence[Row], *, scenarios: bool = False) -> Ints:
    """Return the group number of each row; rows that form a pair or are near-duplicates are in the same group.

    If ``scenarios`` is true, so are the rows of one scenario.
    """
    first: dict[tuple[str, str], int] = {}
    links = [[first.setdefault(("pair", row.pair), i), i] for i, row in enumerate(rows) if row.pair is not None]
    if scenarios:
        links += [[first.setdefault(("scenario", row.scenario), i), i] for i, row in enumerate(rows)]
    numbers = join(np.arange(len(rows)), *np.array(links, dtype=np.intp).reshape(-1, 2).T)
    for i, j, _ in near_duplicates([row.text for row in rows]):
        numbers = join(numbers, i, j)
    return numbers


def _examples(  # noqa: PLR0913, PLR0917 - all that examples are made of
    rows: Sequence[Row],
    texts: list[str],
    vocabulary: Vocabulary,
    answers: Single,
    weights: Floats,
    options: TrainingOptions,
) -> tuple[Examples, Ints, Floats]:
    """Return the training examples, the row of each, and the factor that each n-gram's counts were multiplied by.

    The examples are, in this order, the texts of the corpus, copies of some of its rows (`fraudscan.augment.vary`), the
    background, and the wrappings. Wrappings belong to no row; their row number is ``len(rows)``.

    Args:
        rows: the rows of the corpus, then those of the background.
        texts: the repaired texts of the corpus.
        vocabulary: the candidates.
        answers: the targets of the heads for ``rows``.
        weights: the weights of the answers for ``rows``.
        options: see `TrainingOptions`.

    """
    rng = random.Random(0)  # noqa: S311 - a fixed choice, not a secret
    own = len(texts)
    copied = np.flatnonzero([rng.random() < options.disguised for _ in texts])
    copies = [vary(rows[i].text, rng) for i in copied.tolist()]
    repaired = undisguise(copies)
    repaired[::UNREPAIRED] = copies[::UNREPAIRED]
    honest = [row.text for row in rows[:own] if not row.labels and row.pair is None and row.kind not in QUOTING]
    scraps = wrappings(round(options.wrappings * own), rng) + clauses(honest, round(options.clauses * own), rng)
    source = np.concatenate([np.arange(own), copied, np.arange(own, len(rows)), np.full(len(scraps), len(rows))])
    texts = texts + repaired + undisguise([row.text for row in rows[own:]] + scraps)
    features, lengths = features_of(vocabulary, texts)
    rarity = np.log(len(texts) / np.maximum(np.bincount(features.indices, minlength=features.shape[1]), 1))
    features.data *= rarity[features.indices]
    zeros = np.zeros((1, answers.shape[1]), np.float32)
    gold, weights = np.concatenate([answers, zeros])[source], np.concatenate([weights, zeros])[source]
    return Examples(features.astype(np.float32), lengths, gold, weights, source < len(rows)), source, rarity


def _fitted(examples: Examples, parts: Sequence[Ints], options: TrainingOptions) -> list[tuple[Ints, Network]]:
    """Return the selected nodes, and the network fitted on them, for each part of the examples."""
    from joblib import Parallel, delayed

    found: list[tuple[Ints, Network]] = Parallel(n_jobs=options.jobs)(
        delayed(_fit)(examples.of(rows), options) for rows in parts
    )
    return found


def _held_out(fitted: Sequence[tuple[Ints, Network]], features: Any, owners: Ints, folds: Sequence[Ints]) -> Single:
    """Return the logits of examples, or of windows, from the network fitted without the fold of their owner.

    Args:
        fitted: the nodes and the network of each fold.
        features: the features of the examples or windows.
        owners: the example that each row of ``features`` belongs to.
        folds: the held-out examples of each fold.

    """
    held_out = np.zeros((owners.size, len(fitted[0][1].output)), dtype=np.float32)
    for (nodes, network), rows in zip(fitted, folds, strict=True):
        own = np.flatnonzero(np.isin(owners, rows))
        held_out[own] = network(features[own][:, nodes])
    return held_out


def _scaling(logits: Floats, gold: Bools, prior: float) -> tuple[Floats, Floats]:
    """Return the slopes and intercepts that calibrate the heads' logits.

    The first head is calibrated for messages of which the share ``prior`` is fraud. All others are calibrated on lures
    alone, because their probabilities are conditional on fraud.
    """
    masks = [gold[:, 0] | (head == 0) for head in range(gold.shape[1])]
    found = [calibrate(logits[mask, head], gold[mask, head]) for head, mask in enumerate(masks)]
    slopes, intercepts = np.array(found).T
    intercepts[0] += _shift(gold[:, 0], prior)
    return slopes, intercepts


def _shift(gold: Bools, prior: float) -> float:
    """Return what to add to logits if the share of positive messages is ``prior`` and not that of ``gold``."""
    share = gold.mean()
    return float(np.log(prior / (1 - prior)) - np.log(share / (1 - share)))


def _quoting(logits: Floats, rows: Sequence[Row], options: TrainingOptions) -> tuple[Floats, tuple[float, float]]:
    """Return the calibrated logits that rows speak of frauds, shape (rows,), and the slope and intercept used."""
    gold = np.array([row.kind in QUOTING for row in rows])
    if not gold.any() or gold.all():
        return np.full(len(rows), NO_QUOTING), (0.0, NO_QUOTING)  # nothing to calibrate on: assume that none does
    slope, intercept = calibrate(logits, gold)
    intercept += _shift(gold, options.prior)
    return logits * slope + intercept, (slope, intercept)


def _windows(texts: Sequence[str], vocabulary: Vocabulary, rarity: Floats) -> tuple[Any, Ints, Ints]:
    """Return the features of the windows of long texts, the text number of each window, and the lengths of all texts.

    See `fraudscan.windows`.
    """
    nodes = [np.zeros(0, dtype=np.uint32)]
    owners, sizes, lengths = ([np.zeros(0, dtype=np.int64)] for _ in range(3))
    for part in cuts(text_sizes(texts), BLOCK):
        found = vocabulary.match(texts[part])
        lengths.append(found.lengths)
        long = np.flatnonzero(found.lengths > RAMP_START)
        if not long.size:
            continue
        starts, begins, rows, size = windows_of(found.lengths[long])
        places, _ = ranges(starts[begins], starts[begins] + size)
        nodes.append(found.nodes_of(long)[places])
        owners.append(part.start + long[rows])
        sizes.append(size)
    counts = np.concatenate(sizes)
    features = _counts(np.concatenate(nodes).astype(np.int32), counts, 1 / length_norms(counts), vocabulary)
    features.data *= rarity[features.indices]
    return features.astype(np.float32), np.concatenate(owners), np.concatenate(lengths)


def _with_windows(logits: Floats, windows: Floats, owners: Ints, lengths: Ints, quoting: Floats) -> Floats:
    """Return the logits of texts with their windows taken into account, as `fraudscan.engine.Engine.judge` does."""
    logits = logits.copy()
    logits[:, 0] -= length_penalty(lengths)
    texts = np.unique(owners)
    if texts.size:
        chosen, alarms = most_suspicious(windows[:, 0], owners)
        found = windows[chosen]
        found[:, 0] = alarms - window_penalty(lengths[texts], quoting[texts])
        better = found[:, 0] > logits[texts, 0]
        logits[texts[better]] = found[better]
    return logits


def _fit(examples: Examples, options: TrainingOptions) -> tuple[Ints, Network]:
    """Return the selected nodes, and the network fitted on them."""
    nodes = np.arange(examples.features.shape[1])
    if nodes.size > options.size:
        network = fit(examples, replace(options.network, **SELECTION), options.seed)
        squares = np.square(network.vectors).sum(axis=1)
        features = examples.features
        influence = squares * np.bincount(features.indices, features.data**2, minlength=nodes.size)
        nodes = np.sort(np.argsort(-influence, kind="stable")[: options.size])
        examples = examples._replace(features=features[:, nodes])
    return nodes, fit(examples, options.network, options.seed)


def calibrate(logits: Floats, gold: Bools) -> tuple[float, float]:
    """Return the slope and intercept of Platt scaling (Platt 1999), fitted to his targets, which never reach 0 or 1."""
    from scipy.optimize import minimize

    positives = int(gold.sum())
    target = np.where(gold, (positives + 1) / (positives + 2), 1 / (gold.size - positives + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = parameters[0] * logits + parameters[1]
        error = sigmoid(z) - target
        return float((np.logaddexp(0, z) - target * z).sum()), np.array([(error * logits).sum(), error.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)])
    slope, intercept = found.x
    return float(slope), float(intercept)


def compile_weights(vocabulary: Vocabulary, coefficients: Floats) -> tuple[Vocabulary, npt.NDArray[np.int8], Floats]:
    """Keep the nodes with nonzero weights, add the weights of their suffixes, and round the sums to integers.

    Returns:
        The vocabulary of these nodes, their integer weights, and the value of one unit of weight in each column.

    """
    used = np.flatnonzero(coefficients.any(axis=1))
    kept = [vocabulary.ngram(node) for node in used.tolist()]
    own = dict(zip(kept, coefficients[used], strict=True))
    small = Vocabulary.from_ngrams(kept)  # keeps the order of the candidates, by frequency
    weights = np.zeros((small.size, coefficients.shape[1]))
    for node in np.argsort(small.orders, kind="stable")[1:]:
        weights[node] = weights[small.suffixes[node]] + own.get(small.ngram(int(node)), 0.0)
    largest = np.maximum(np.abs(weights).max(axis=0), 1e-9)
    integers = np.rint(weights * (WEIGHT_LIMIT / largest)).astype(np.int8)
    return small, integers, largest / WEIGHT_LIMIT
