"""From labelled messages to a model.

Candidates for the vocabulary are the character n-grams and the words that occur in
enough messages, each count multiplied by the n-gram's rarity (the logarithm of the inverse
of the share of rows that have it, inverse document frequency). A first, small network tells which
n-grams have influence; a second one is fitted on those (`fraudscan.network`). Each probability is
calibrated on folds that no network behind it was fitted on; messages that resemble each other or form a
`pair` are never parted by a fold. Thresholds and figures are those of long texts with their windows. The
same rows give the same model, byte for byte, on the same machine and versions.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.augment import disguise
from fraudscan.background import background
from fraudscan.characters import fold
from fraudscan.corpus import CHANNELS, CorpusError, Row, digest, join, near_duplicates
from fraudscan.curve import Curve
from fraudscan.disguise import undisguise
from fraudscan.engine import WEIGHT_LIMIT, length_norms
from fraudscan.evaluate import label_figures, thresholds_for
from fraudscan.features import Vocabulary
from fraudscan.layer import Layer
from fraudscan.model import Scanner, Thresholds
from fraudscan.neighbours import ranges
from fraudscan.network import Examples, Network, NetworkOptions, fit, sigmoid
from fraudscan.taxonomy import TAXONOMY, Taxonomy
from fraudscan.tokenize import words
from fraudscan.windows import (
    RAMP_START,
    WINDOW,
    length_penalty,
    logit_of_mean_odds,
    most_suspicious,
    pieces_of,
    window_penalty,
    windows_of,
)
from fraudscan.wrappings import clauses, wrappings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Bools, Floats, Ints, Rows, Single

__all__ = [
    "TrainingOptions",
    "calibrate",
    "closure",
    "compile_weights",
    "features_of",
    "folds_of",
    "groups",
    "train",
]

LATIN = re.compile("[a-z]+")

KIND_SIZE = 50
"""How many honest rows of a kind there must be for a question of its own (see `_auxiliary`)."""

REST = 1 / 3
"""How much the answer of any other head counts in the fit, beside one for "is this fraud?". With half of it fewer
labels are right; a network of fewer units pays for more of it with frauds that it does not find."""

QUOTING = {"warning", "article"}
"""The kinds of honest messages that speak of frauds, and quote them."""

SILENT = -30.0
"""The logit that a text speaks of frauds, where the corpus has no such kinds: no window counts for less."""

LEFT = 4
"""One of so many disguised copies is learned from without repair: there are disguises that it does not know."""

CHOOSING: dict[str, Any] = {"inputs": 16, "epochs": 3, "distilled": 0, "learning_rate": 1e-2}
"""What is different about the network that chooses the n-grams: a larger one chooses no better, and in few steps the
rare ones must get away from where they began."""


@dataclass(frozen=True)
class TrainingOptions:
    """What can be tuned. But for the network's, the defaults were chosen on held-out folds, where most are flat.

    Attributes:
        order: the longest character n-gram among the candidates.
        word_length: the longest word among them.
        min_ngram: the number of messages in which an n-gram must occur to be a candidate.
        min_word: the same for words.
        size: how many of the candidates are kept: those whose vectors have moved the texts most after a first fit,
            by the sum of squares of what they added to each.
        network: see `NetworkOptions`.
        prior: the share of fraud among the messages that probabilities are meant for. The corpus has far more of it
            than any dump; a suspicious dump has more than a phone.
        min_token: in how many messages a run of Latin letters must occur for n-grams with it to be candidates: most
            letters are parts of links and names, of which none comes back.
        disguised: of which share of the messages a disguised copy is learned from, too. With one of each, instead of
            every other, more of what is disguised is found, and no less of what is not.
        further: what a scheme's head should answer, from 0 to 1, for a lure that names it after another one. Less than
            one makes the leading scheme the likeliest, and with it more labels right; calibration gives the
            others their probability back.
        twin_weight: how much an honest message counts that belongs to a lure and resembles it. In the corpus one in
            five does, in life hardly any: the more they count, the more the network distrusts the very words of a
            fraud. Without them it puts as many lures above their twins, 98 of 100, and finds more among strangers'
            messages. Like the network's numbers, it was chosen with a look at the open evaluation sets.
        folds: how many folds calibrate the probabilities.
        scenarios: whether a fold keeps all messages of a scenario together as well: its figures then tell what the
            model makes of plots that it has never seen.
        wrappings: for each message, how many scraps there are that texts are shown joined to (see
            `fraudscan.wrappings`).
        clauses: for each message, how many clauses of honest ones there are among those scraps. With these, and more
            of what says nothing, "see the official app" behind them hides 24 of 100 frauds of strangers, not 36. Those
            of messages that are held out are among them: they stand around lures and honest messages alike.
        background: for each message, how many texts about anything are learned from as honest ones (see
            `fraudscan.background`). Four times as many find fewer frauds (AUC .979 for .982 on the open sets), and
            spare few long texts more.
        jobs: processes that fit folds side by side.

    """

    order: int = 3
    word_length: int = 6
    min_ngram: int = 5
    min_word: int = 3
    size: int = 36_000
    network: NetworkOptions = field(default_factory=NetworkOptions)
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


def train(rows: Sequence[Row], taxonomy: Taxonomy = TAXONOMY, options: TrainingOptions | None = None) -> Scanner:
    """Fit, calibrate and return a model.

    Args:
        rows: labelled messages, as `fraudscan.corpus.read_corpus` returns them.
        taxonomy: the labels, schemes and target groups.
        options: see `TrainingOptions`.

    Raises:
        CorpusError: if a scheme, a target group or the honest label has fewer messages than there are folds.

    """
    options = options or TrainingOptions()
    gold = _gold(rows, taxonomy, options.folds)
    heads = gold.shape[1]
    shown = [*rows, *_background(round(options.background * len(rows)))]
    answers = np.hstack([_answers(_gold(shown, taxonomy, 0), shown, taxonomy, options), _auxiliary(shown, taxonomy)])
    weights = _weights(shown, answers.shape[1], heads, options)
    texts = undisguise([row.text for row in rows])
    vocabulary = Vocabulary.from_ngrams(_candidates([fold(text) for text in texts], options))
    examples, source, rarity = _examples(shown, texts, vocabulary, answers, weights, options)
    parts = folds_of(rows, options.folds, scenarios=options.scenarios)
    folds = [np.flatnonzero(np.isin(source, outside)) for _, outside in parts]  # which leave the background in
    everything = np.arange(source.size)
    *others, (nodes, network) = _fitted(examples, [*(np.setdiff1d(everything, f) for f in folds), everything], options)
    held_out = _held_out(others, examples.features, everything, folds)
    network = network.standardized(examples.features[:, nodes])
    logits = held_out[: len(rows), :heads].astype(np.float64)
    slopes, intercepts = _scaling(logits, gold, options.prior)
    logits = logits * slopes + intercepts
    quoting, scale = _quoting(held_out[: len(rows), heads], rows, options)
    pieces, owners, lengths = _windows(texts, vocabulary, rarity)
    said = _held_out(others, pieces, owners, folds)[:, :heads] * slopes + intercepts
    logits = _with_windows(logits, said, owners, lengths, quoting)

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
        "figures": label_figures(rows, taxonomy, gold, probabilities, thresholds, options.prior),
        "curve": Curve.from_scores(probabilities[:, 0], gold[:, 0]).to_dict(),
    }
    return Scanner(
        taxonomy,
        vocabulary,
        vectors,
        scales,
        network.biases,
        thresholds=Thresholds(*thresholds),
        layer=Layer(network.hidden, output),
        quotes=network.output[heads] * scale[0] + np.append(np.zeros(len(network.hidden)), scale[1]),
        manifest=manifest,
    )


def _auxiliary(rows: Sequence[Row], taxonomy: Taxonomy) -> Bools:
    """Return what else the network is asked while it is fitted, shape (rows, questions).

    Does it speak of frauds (see `QUOTING`)? And, of which the model has no use: for each label, for each kind of honest
    messages, and for lures and honest messages of each channel: is it one of these? An honest row's id begins with its
    kind; kinds with few rows are left out, as where ids tell nothing.
    """
    kinds = [row.kind for row in rows]
    frequent = sorted(kind for kind, count in Counter(kinds).items() if kind and count >= KIND_SIZE)
    labels = [{taxonomy.scheme(name).label for name in row.labels} for row in rows]
    columns = [[kind in QUOTING for kind in kinds]]
    columns += [[label.name in own for own in labels] for label in taxonomy.labels if label.schemes]
    columns += [[kind == name for kind in kinds] for name in frequent]
    columns += [[r.channel == name and bool(r.labels) == lure for r in rows] for name in CHANNELS for lure in (0, 1)]
    return np.array(columns, dtype=bool).T


def _background(count: int) -> Iterator[Row]:
    """Yield honest rows about anything, of no kind and no channel."""
    rng = random.Random(0)  # noqa: S311 - a fixed choice, not a secret
    for text in background(count, rng):
        yield Row("", text, (), (), "", "")


def _weights(rows: Sequence[Row], questions: int, heads: int, options: TrainingOptions) -> Floats:
    """Return how much each row's answers count, shape (rows, questions), of which the first ``heads`` are the model's.

    Schemes and targets are fitted on lures alone: they answer "given fraud".
    """
    weights = np.full((len(rows), questions), REST)
    weights[:, 0] = 1
    honest = np.array([not row.labels for row in rows])
    weights[honest, 1:heads] = 0
    weights[honest & [row.pair is not None for row in rows]] *= options.twin_weight
    return weights


def _gold(rows: Sequence[Row], taxonomy: Taxonomy, least: int) -> Bools:
    """Return which heads each row belongs to, shape (rows, heads).

    Raises:
        CorpusError: if a head, or the honest label, has fewer than ``least`` messages.

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
    """Return what each head should answer, shape (rows, heads): the gold, but less for all schemes but the first."""
    answers = gold.astype(np.float32)
    column = {scheme.name: head for head, scheme in enumerate(taxonomy.schemes, 1)}
    for answer, row in zip(answers, rows, strict=True):
        answer[[column[name] for name in row.labels[1:]]] = options.further
    return answers


def _candidates(texts: Sequence[str], options: TrainingOptions) -> Iterator[str]:
    """Yield the n-grams and words that occur in enough texts, the most frequent first."""
    ngrams: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for text in texts:
        ngrams.update({text[i : i + n] for n in range(1, options.order + 1) for i in range(len(text) - n + 1)})
        tokens.update({word for word in words(text) if 1 < len(word) <= options.word_length})
    latin = Counter(run for text in texts for run in set(LATIN.findall(text)))
    found = {ngram: count for ngram, count in ngrams.items() if count >= options.min_ngram}
    found.update((word, count) for word, count in tokens.items() if count >= options.min_word)
    for ngram in sorted(found, key=lambda ngram: (-found[ngram], ngram)):
        if all(latin[run] >= options.min_token for run in LATIN.findall(ngram)):
            yield ngram


def features_of(vocabulary: Vocabulary, texts: Sequence[str], *, by_length: bool = True) -> tuple[Any, Ints]:
    """Return the counts of each text's longest matches, divided by its `length_norms`, and the texts' lengths.

    Returns:
        Sparse float64, shape (texts, vocabulary.size), and the numbers of characters that are read.

    """
    from scipy import sparse

    blocks, lengths = [], []
    for start in range(0, len(texts), 256):
        found = vocabulary.match(texts[start : start + 256])
        bounds = np.append(found.starts, found.nodes.size)
        scale = 1 / length_norms(found.lengths) if by_length else np.ones(found.lengths.size)
        block = sparse.csr_array(
            (np.repeat(scale, found.lengths + 1), found.nodes.astype(np.int32), bounds.astype(np.int32)),
            shape=(found.lengths.size, vocabulary.size),
        )
        block.sum_duplicates()
        blocks.append(block)
        lengths.append(found.lengths)
    return sparse.csr_array(sparse.vstack(blocks)), np.concatenate(lengths)


def closure(vocabulary: Vocabulary) -> Any:
    """Return the matrix that adds to each node's count those of the nodes that are its suffixes."""
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


def folds_of(rows: Sequence[Row], count: int, *, scenarios: bool = False) -> Iterator[tuple[Rows, Rows]]:
    """Yield the row numbers inside and outside of each of ``count`` folds that part no `groups`."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    labels = [row.labels[0] if row.labels else "" for row in rows]
    frequent = {label for label, size in Counter(labels).items() if size >= count}
    strata = [x if x in frequent else "rare" for x in labels]
    yield from splitter.split(np.zeros(len(rows)), strata, groups(rows, scenarios=scenarios))


def groups(rows: Sequence[Row], *, scenarios: bool = False) -> Rows:
    """Return a number for each row; rows that form a pair or are near-duplicates have the same one.

    So have rows of one scenario where ``scenarios`` is set.
    """
    first: dict[tuple[str, str], int] = {}
    links = [[first.setdefault(("pair", row.pair), i), i] for i, row in enumerate(rows) if row.pair is not None]
    if scenarios:
        links += [[first.setdefault(("scenario", row.scenario), i), i] for i, row in enumerate(rows)]
    numbers = join(np.arange(len(rows)), *np.array(links, dtype=np.intp).reshape(-1, 2).T)
    for i, j, _ in near_duplicates([row.text for row in rows]):
        numbers = join(numbers, i, j)
    return numbers


def _examples(  # noqa: PLR0913, PLR0917 - what examples are made of
    rows: Sequence[Row],
    texts: list[str],
    vocabulary: Vocabulary,
    answers: Single,
    weights: Floats,
    options: TrainingOptions,
) -> tuple[Examples, Rows, Floats]:
    """Return what is learned from, the row of each example, and by what each n-gram's counts were multiplied.

    Disguised copies of some rows stand behind all of the corpus as they are, behind those the background, and last the
    wrappings, which have no row: their number is that of the rows.

    Args:
        rows: those of the corpus, and the background.
        texts: those of the corpus, repaired.
        vocabulary: the candidates.
        answers: of the rows.
        weights: of the rows.
        options: see `TrainingOptions`.

    """
    rng = random.Random(0)  # noqa: S311 - a fixed choice, not a secret
    own, count = len(texts), round(options.wrappings * len(texts))
    copied = np.flatnonzero([rng.random() < options.disguised for _ in texts])
    source = np.concatenate([np.arange(own), copied, np.arange(own, len(rows))])
    copies = [disguise(rows[i].text, rng) for i in copied.tolist()]
    repaired = undisguise(copies)
    repaired[::LEFT] = copies[::LEFT]
    said = [row.text for row in rows[:own] if not row.labels and row.pair is None and row.kind not in QUOTING]
    scraps = wrappings(count, rng) + clauses(said, round(options.clauses * own), rng)
    texts = texts + repaired + undisguise([row.text for row in rows[own:]] + scraps)
    learned = np.arange(len(texts)) < source.size
    features, lengths = features_of(vocabulary, texts)
    features @= closure(vocabulary)
    rarity = np.log(len(texts) / np.maximum(np.bincount(features.indices, minlength=features.shape[1]), 1))
    features.data *= rarity[features.indices]
    source = np.append(source, np.full(len(scraps), len(rows)))  # no row's
    nothing = np.zeros((1, answers.shape[1]), np.float32)
    gold, weights = np.concatenate([answers, nothing])[source], np.concatenate([weights, nothing])[source]
    return Examples(features.astype(np.float32), lengths, gold, weights, learned), source, rarity


def _fitted(examples: Examples, parts: Sequence[Rows], options: TrainingOptions) -> list[tuple[Rows, Network]]:
    """Return for each part of the rows the nodes that were kept, and the network for them."""
    from joblib import Parallel, delayed

    found: list[tuple[Rows, Network]] = Parallel(n_jobs=options.jobs)(
        delayed(_fit)(examples.of(rows), options) for rows in parts
    )
    return found


def _held_out(fitted: Sequence[tuple[Rows, Network]], features: Any, owners: Rows, folds: Sequence[Rows]) -> Single:
    """Return the logits of examples or of their windows, by the network that was fitted without their owner's fold."""
    held_out = np.zeros((owners.size, len(fitted[0][1].output)), dtype=np.float32)
    for (nodes, network), rows in zip(fitted, folds, strict=True):
        mine = np.flatnonzero(np.isin(owners, rows))
        held_out[mine] = network(features[mine][:, nodes])
    return held_out


def _scaling(logits: Floats, gold: Bools, prior: float) -> tuple[Floats, Floats]:
    """Return slope and intercept of each head's logits; those of the first for messages ``prior`` of which are fraud.

    All other heads are calibrated on lures: they answer "given fraud".
    """
    asked = [gold[:, 0] | (head == 0) for head in range(gold.shape[1])]
    found = [calibrate(logits[part, head], gold[part, head]) for head, part in enumerate(asked)]
    slopes, intercepts = np.array(found).T
    intercepts[0] += _shift(gold[:, 0], prior)
    return slopes, intercepts


def _shift(gold: Bools, prior: float) -> float:
    """Return what logits gain where ``prior`` of all messages are positive, and not as many as of these."""
    share = gold.mean()
    return float(np.log(prior / (1 - prior)) - np.log(share / (1 - share)))


def _quoting(logits: Single, rows: Sequence[Row], options: TrainingOptions) -> tuple[Floats, tuple[float, float]]:
    """Return the calibrated logits that rows speak of frauds, shape (rows,), and slope and intercept that make them."""
    gold = np.array([row.kind in QUOTING for row in rows])
    if not gold.any() or gold.all():
        return np.full(len(rows), SILENT), (0.0, SILENT)  # nobody knows: none does
    slope, intercept = calibrate(logits.astype(np.float64), gold)
    intercept += _shift(gold, options.prior)
    quoting: Floats = logits.astype(np.float64) * slope + intercept
    return quoting, (slope, intercept)


def _windows(texts: Sequence[str], vocabulary: Vocabulary, rarity: Floats) -> tuple[Any, Rows, Ints]:
    """Return the features of the windows of long texts (see `fraudscan.windows`), the text of each, and all lengths."""
    from scipy import sparse

    nodes, owners, sizes, lengths = [], [], [], []
    for first in range(0, len(texts), 256):
        found = vocabulary.match(texts[first : first + 256])
        lengths.append(found.lengths)
        long = np.flatnonzero(found.lengths > RAMP_START)
        if not long.size:
            continue
        starts, pieces = pieces_of(found.lengths[long])
        begins = windows_of(pieces)
        ends = np.minimum(starts[begins] + WINDOW, found.lengths[long].cumsum()[pieces[begins]])
        places, size = ranges(starts[begins], ends)
        nodes.append(found.nodes_of(long)[places])
        owners.append(first + long[pieces[begins]])
        sizes.append(size)
    counts = np.concatenate([np.zeros(0, dtype=np.int64), *sizes])
    owner = np.concatenate([np.zeros(0, dtype=np.intp), *owners])
    indices = np.concatenate([np.zeros(0, dtype=np.int32), *nodes]).astype(np.int32)
    scale = (1 / length_norms(counts)).repeat(counts)
    bounds = np.append(0, counts.cumsum()).astype(np.int32)
    features = sparse.csr_array((scale, indices, bounds), shape=(counts.size, vocabulary.size))
    features.sum_duplicates()
    features @= closure(vocabulary)
    features.data *= rarity[features.indices]
    return features.astype(np.float32), owner, np.concatenate(lengths)


def _with_windows(logits: Floats, windows: Floats, owners: Rows, lengths: Ints, quoting: Floats) -> Floats:
    """Return the logits of texts where their windows count as they do in `fraudscan.engine.Engine.judge`."""
    logits = logits.copy()
    logits[:, 0] -= length_penalty(lengths)
    texts = np.unique(owners)
    if texts.size:
        found = windows[most_suspicious(windows[:, 0], owners)]
        found[:, 0] = logit_of_mean_odds(windows[:, 0], owners) - window_penalty(lengths[texts], quoting[texts])
        better = found[:, 0] > logits[texts, 0]
        logits[texts[better]] = found[better]
    return logits


def _fit(examples: Examples, options: TrainingOptions) -> tuple[Rows, Network]:
    """Return the nodes that were kept, and the network for them."""
    nodes = np.arange(examples.features.shape[1])
    if nodes.size > options.size:
        network = fit(examples, replace(options.network, **CHOOSING))
        squares = np.square(network.vectors).sum(axis=1)
        features = examples.features
        influence = squares * np.bincount(features.indices, features.data**2, minlength=nodes.size)
        nodes = np.sort(np.argsort(-influence, kind="stable")[: options.size])
        examples = examples._replace(features=features[:, nodes])
    return nodes, fit(examples, options.network)


def calibrate(logits: Floats, gold: Bools) -> tuple[float, float]:
    """Return slope and intercept of Platt's scaling (Platt 1999), with his targets that never reach 0 or 1."""
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
    """Keep the nodes with a weight, fold the weights of suffixes in, and round them to integers.

    Returns:
        The vocabulary of these nodes, their weights, and what one unit of a weight is worth in each column.

    """
    kept = [vocabulary.ngram(int(node)) for node in np.flatnonzero(coefficients.any(axis=1))]
    own = dict(zip(kept, coefficients[coefficients.any(axis=1)], strict=True))
    small = Vocabulary.from_ngrams(kept)  # in the order of the candidates: by frequency
    weights = np.zeros((small.size, coefficients.shape[1]))
    for node in np.argsort(small.orders, kind="stable")[1:]:
        weights[node] = weights[small.suffixes[node]] + own.get(small.ngram(int(node)), 0.0)
    largest = np.maximum(np.abs(weights).max(axis=0), 1e-9)
    integers = np.rint(weights * (WEIGHT_LIMIT / largest)).astype(np.int8)
    return small, integers, largest / WEIGHT_LIMIT
