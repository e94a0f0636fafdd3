"""From labelled messages to a model.

Candidates for the vocabulary are the character n-grams and the words that occur in
enough messages, each count multiplied by the n-gram's rarity (the logarithm of the share
of rows that have it, inverse document frequency). A first L2-regularised logistic
regression for each head tells which n-grams have influence; a second one sets the weights
of those. A small layer over the heads' logits gives the fraud score; it is fitted on rows
that the heads were not fitted on. Each probability is calibrated on folds that nothing
behind it has seen; messages that resemble each other or form a `pair` are never parted by a fold. The same
rows give the same model, byte for byte, on the same machine and versions.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.augment import disguise
from fraudscan.corpus import CorpusError, Row, digest, near_duplicates
from fraudscan.curve import Curve
from fraudscan.disguise import undisguise
from fraudscan.evaluate import label_figures, thresholds_for
from fraudscan.features import Vocabulary
from fraudscan.layer import Layer
from fraudscan.model import SHORT, WEIGHT_LIMIT, Scanner, Thresholds
from fraudscan.normalize import fold
from fraudscan.taxonomy import TAXONOMY, Taxonomy
from fraudscan.tokenize import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from fraudscan.model import Floats

__all__ = [
    "TrainingOptions",
    "calibrate",
    "closure",
    "compile_heads",
    "features_of",
    "folds_of",
    "groups",
    "sorted_indices",
    "train",
]

LATIN = re.compile("[a-z]+")

KIND_SIZE = 50
"""How many honest rows of a kind there must be for an aspect of its own."""

NETS, UNITS, DECAY = 4, 32, 0.03
"""The layer is the mean of some small networks, of which each alone depends on where it starts. From 16 to 64 units
and from 0.003 to 0.3 for the weight decay, held-out figures are the same."""


@dataclass(frozen=True)
class TrainingOptions:
    """What can be tuned. The defaults were chosen on held-out folds of the project's corpus, where most are flat.

    Attributes:
        order: the longest character n-gram among the candidates.
        word_length: the longest word among them.
        min_ngram: the number of messages in which an n-gram must occur to be a candidate.
        min_word: the same for words.
        size: how many of the candidates are kept: those with the largest weights in any head of a first fit, times the
            root of the number of rows that they stand in.
        strength: liblinear's ``C``, the inverse of the L2 penalty.
        prior: the share of fraud among the messages that probabilities are meant for. The corpus has far more of it
            than any dump; a suspicious dump has more than a phone.
        min_token: in how many messages a run of Latin letters must occur for n-grams with it to be candidates: most
            letters are parts of links and names, of which none comes back.
        disguised: of which share of the messages a disguised copy is learned from, too.
        folds: how many folds calibrate the probabilities.
        jobs: processes that fit heads side by side.

    """

    order: int = 3
    word_length: int = 6
    min_ngram: int = 5
    min_word: int = 3
    size: int = 36_000
    strength: float = 1.0
    prior: float = 0.3
    min_token: int = 10
    folds: int = 5
    disguised: float = 0.5
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
    names, aspects = _aspects(rows, taxonomy)
    labels = np.hstack([gold, aspects])
    used = np.ones(labels.shape, dtype=bool)
    used[:, 1 : gold.shape[1]] = gold[:, :1]  # schemes and targets are fitted on lures alone: they answer "given fraud"
    texts = undisguise([row.text for row in rows])
    vocabulary = Vocabulary.from_ngrams(_candidates([fold(text) for text in texts], options))
    # disguised copies stand behind the messages, in the same fold as theirs
    rng = random.Random(0)  # noqa: S311 - a fixed choice, not a secret
    copied = np.flatnonzero([rng.random() < options.disguised for _ in rows])
    disguised = undisguise([disguise(rows[i].text, rng) for i in copied.tolist()])
    source = np.concatenate([np.arange(len(rows)), copied])
    features = features_of(vocabulary, [*texts, *disguised]) @ closure(vocabulary)
    folds = [
        (np.flatnonzero(~np.isin(source, outside)), np.flatnonzero(np.isin(source, outside)))
        for _, outside in folds_of(rows, options.folds)
    ]
    coefficients, biases, held_out = _fit(features, labels[source], used[source], folds, options)
    plain = held_out[: len(rows)]
    scaling = [calibrate(plain[used[:, h], h], labels[used[:, h], h]) for h in range(labels.shape[1])]
    slopes, intercepts = np.array(scaling).T
    held_out = held_out * slopes + intercepts
    vocabulary, weights, scales = compile_heads(vocabulary, coefficients, slopes)
    layer, fraud = _fit_layer(held_out, gold[source, 0], folds, len(rows), options)

    logits = held_out[: len(rows), : gold.shape[1]]
    logits[:, 0] = fraud
    probabilities = 1 / (1 + np.exp(-logits))
    probabilities[:, 1:] *= probabilities[:, :1]
    thresholds = thresholds_for(probabilities[:, 0], gold[:, 0])
    manifest: dict[str, Any] = {
        "corpus": {"rows": len(rows), "sha256": digest(rows)},
        "training": {k: v for k, v in vars(options).items() if k != "jobs"},
        "figures": label_figures(rows, taxonomy, gold, probabilities, thresholds, options.prior),
        "curve": Curve.from_scores(probabilities[:, 0], gold[:, 0]).to_dict(),
    }
    return Scanner(
        taxonomy,
        vocabulary,
        weights,
        scales,
        biases * slopes + intercepts,
        thresholds=Thresholds(*thresholds),
        aspects=names,
        layer=layer,
        manifest=manifest,
    )


def _aspects(rows: Sequence[Row], taxonomy: Taxonomy) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """Return what the layer is told besides the heads, and which row is of which, shape (rows, aspects).

    For each label, and for each kind of honest messages: is it one of these? An honest row's id begins with its kind;
    kinds with few rows are left out, as where ids tell nothing.
    """
    kinds = ["" if row.labels else row.id.split("-")[0] for row in rows]
    frequent = sorted(kind for kind, count in Counter(kinds).items() if kind and count >= KIND_SIZE)
    labels = [{taxonomy.scheme(name).label for name in row.labels} for row in rows]
    names = [label.name for label in taxonomy.labels if label.schemes]
    columns = [[name in own for own in labels] for name in names]
    columns += [[kind == name for kind in kinds] for name in frequent]
    return [*names, *frequent], np.array(columns, dtype=bool).T


def _gold(rows: Sequence[Row], taxonomy: Taxonomy, folds: int) -> npt.NDArray[np.bool_]:
    """Return which heads each row belongs to, shape (rows, heads)."""
    names = [scheme.name for scheme in taxonomy.schemes]
    groups = [target.name for target in taxonomy.targets]
    gold = np.array(
        [
            [bool(row.labels), *(name in row.labels for name in names), *(name in row.targets for name in groups)]
            for row in rows
        ],
        dtype=bool,
    ).reshape(len(rows), -1)
    for name, count in zip(["fraud", *names, *groups], gold.sum(axis=0), strict=True):
        if count < folds:
            raise CorpusError(f"{name!r} has {count} messages; training needs at least {folds} of each")
    if (~gold[:, 0]).sum() < folds:
        raise CorpusError(f"there are {(~gold[:, 0]).sum()} legitimate messages; training needs at least {folds}")
    return gold


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


def _fit_layer(
    held_out: Floats, fraud: npt.NDArray[np.bool_], folds: Sequence[Any], plain: int, options: TrainingOptions
) -> tuple[Layer, Floats]:
    """Return the layer over the linear heads, calibrated, and its output on plain rows that neither it nor they saw.

    Args:
        held_out: the linear heads' logits on rows that they were not fitted on, shape (rows, heads).
        fraud: what the layer should answer, shape (rows,).
        folds: the rows inside and outside of each fold.
        plain: how many rows, the first ones, are not disguised: on these it is calibrated.
        options: the prior and the number of processes.

    """
    from joblib import Parallel, delayed

    everything = np.arange(len(fraud))
    parts = [*folds, (everything, everything[:0])]
    with Parallel(n_jobs=options.jobs) as parallel:
        found = parallel(
            delayed(_fit_units)(held_out[inside], fraud[inside], seed) for inside, _ in parts for seed in range(NETS)
        )
    layers = [_joined(found[i * NETS : (i + 1) * NETS]) for i in range(len(parts))]
    logits = np.zeros(len(fraud))
    for layer, (_, outside) in zip(layers, folds, strict=False):
        logits[outside] = layer(held_out[outside].T)
    logits = logits[:plain]
    slope, intercept = calibrate(logits, fraud[:plain])
    share = fraud[:plain].mean()
    intercept += np.log(options.prior / (1 - options.prior)) - np.log(share / (1 - share))
    output = layers[-1].output * slope
    output[-1] += intercept
    return Layer(layers[-1].hidden, output), logits * slope + intercept


def _fit_units(inputs: Floats, gold: npt.NDArray[np.bool_], seed: int) -> tuple[Floats, Floats]:
    """Return the arrays of a `Layer` of `UNITS` units."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    center, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    network = MLPClassifier((UNITS,), alpha=DECAY, batch_size=512, learning_rate_init=5e-3, max_iter=20)
    with warnings.catch_warnings():  # it stops early on purpose
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.set_params(random_state=seed).fit((inputs - center) / spread, gold)
    weights = network.coefs_[0].T / spread
    hidden = np.column_stack([weights, network.intercepts_[0] - weights @ center])
    return hidden, np.append(network.coefs_[1][:, 0], network.intercepts_[1])


def _joined(parts: Sequence[tuple[Floats, Floats]]) -> Layer:
    """Return the layer that gives the mean of several layers' outputs."""
    outputs = [output / len(parts) for _, output in parts]
    bias = sum(output[-1] for output in outputs)
    return Layer(np.vstack([hidden for hidden, _ in parts]), np.append(np.concatenate([o[:-1] for o in outputs]), bias))


def features_of(vocabulary: Vocabulary, texts: Sequence[str], *, by_length: bool = True) -> Any:
    """Return the longest matches of each text, counted and divided by the root of its length: sparse float64."""
    from scipy import sparse

    blocks = []
    for start in range(0, len(texts), 256):
        found = vocabulary.match(texts[start : start + 256])
        bounds = np.append(found.starts, found.nodes.size)
        scale = 1 / np.sqrt(found.lengths + SHORT) if by_length else np.ones(found.lengths.size)
        block = sparse.csr_array(
            (np.repeat(scale, found.lengths + 1), found.nodes.astype(np.int32), bounds.astype(np.int32)),
            shape=(found.lengths.size, vocabulary.size),
        )
        block.sum_duplicates()
        blocks.append(block)
    return sparse.csr_array(sparse.vstack(blocks))


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


def folds_of(rows: Sequence[Row], count: int) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Yield the row numbers inside and outside of each of ``count`` folds that part no `groups`."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    labels = [row.labels[0] if row.labels else "" for row in rows]
    frequent = {label for label, size in Counter(labels).items() if size >= count}
    yield from splitter.split(np.zeros(len(rows)), [x if x in frequent else "rare" for x in labels], groups(rows))


def groups(rows: Sequence[Row]) -> npt.NDArray[np.intp]:
    """Return a number for each row; rows that form a pair or are near-duplicates have the same one."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    links = [(i, j) for i, j, _ in near_duplicates([row.text for row in rows])]
    first: dict[str, int] = {}
    links += [(first.setdefault(row.pair, i), i) for i, row in enumerate(rows) if row.pair is not None]
    ends = np.array(links, dtype=np.int64).reshape(-1, 2)
    graph = sparse.coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(rows), len(rows)))
    numbers: npt.NDArray[np.intp] = connected_components(graph, directed=False)[1]
    return numbers


def _fit(
    features: Any,
    gold: npt.NDArray[np.bool_],
    used: npt.NDArray[np.bool_],
    folds: Sequence[Any],
    options: TrainingOptions,
) -> tuple[Floats, Floats, Floats]:
    """Return the heads' coefficients and biases, and their logits on the rows that they were not fitted on.

    ``gold`` and ``used`` have shape (rows, heads): what each head should answer, and which rows it is fitted on.
    """
    from joblib import Parallel

    rows_with = np.bincount(features.indices, minlength=features.shape[1])
    rarity = np.log(gold.shape[0] / np.maximum(rows_with, 1))
    scaled = _scaled(features, rarity)
    held_out = np.zeros(gold.shape)
    everything = np.arange(gold.shape[0])
    with Parallel(n_jobs=options.jobs) as parallel:
        for inside, outside in [*folds, (everything, everything[:0])]:
            nodes, values, biases = _fit_rows(parallel, scaled[inside], gold[inside], used[inside], options)
            held_out[outside] = scaled[outside][:, nodes] @ values + biases
    coefficients = np.zeros((features.shape[1], gold.shape[1]))
    coefficients[nodes] = values * rarity[nodes, None]
    return coefficients, biases, held_out


def _fit_rows(
    parallel: Any,
    features: Any,
    gold: npt.NDArray[np.bool_],
    used: npt.NDArray[np.bool_],
    options: TrainingOptions,
) -> tuple[npt.NDArray[np.intp], Floats, Floats]:
    """Return the nodes that were kept, and the heads' coefficients for them and biases."""

    def fit(columns: Any) -> tuple[Floats, Floats]:
        columns = sorted_indices(columns)
        heads = range(gold.shape[1])
        fitted = parallel(delayed(_fit_head)(columns, gold[:, h], used[:, h], options.strength) for h in heads)
        return np.array([c for c, _ in fitted]).T, np.array([bias for _, bias in fitted])

    from joblib import delayed

    nodes = np.arange(features.shape[1])
    if nodes.size > options.size:
        coefficients, _ = fit(features)
        rows_with = np.bincount(features.indices, minlength=nodes.size)
        influence = np.abs(coefficients).max(axis=1) * np.sqrt(rows_with)
        nodes = np.sort(np.argsort(-influence, kind="stable")[: options.size])
        features = features[:, nodes]
    return (nodes, *fit(features))


def _scaled(features: Any, factors: Floats) -> Any:
    """Return the features with each column multiplied by its factor."""
    from scipy import sparse

    scaled = sparse.csr_matrix(features, copy=True)
    scaled.data *= factors[scaled.indices]
    return sorted_indices(scaled)


def sorted_indices(matrix: Any) -> Any:
    """Sort a matrix's indices now: the processes that share it can only read it."""
    matrix.sort_indices()
    return matrix


def _fit_head(features: Any, gold: Any, used: Any, strength: float) -> tuple[Floats, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, solver="liblinear", tol=1e-2, random_state=0)
    model.fit(features[used], gold[used])
    return model.coef_[0], float(model.intercept_[0])


def calibrate(logits: Floats, gold: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and intercept of Platt's scaling (Platt 1999), with his targets that never reach 0 or 1."""
    from scipy.optimize import minimize

    positives = int(gold.sum())
    target = np.where(gold, (positives + 1) / (positives + 2), 1 / (gold.size - positives + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = parameters[0] * logits + parameters[1]
        error = 1 / (1 + np.exp(-z)) - target
        return float((np.logaddexp(0, z) - target * z).sum()), np.array([(error * logits).sum(), error.sum()])

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x
    return max(float(slope), 1e-3), float(intercept)


def compile_heads(
    vocabulary: Vocabulary, coefficients: Floats, slopes: Floats
) -> tuple[Vocabulary, npt.NDArray[np.int16], Floats]:
    """Keep the nodes with a weight, fold the weights of suffixes in, and round them to integers."""
    kept = [vocabulary.ngram(int(node)) for node in np.flatnonzero(coefficients.any(axis=1))]
    own = dict(zip(kept, coefficients[coefficients.any(axis=1)], strict=True))
    small = Vocabulary.from_ngrams(kept)  # in the order of the candidates: by frequency
    weights = np.zeros((small.size, coefficients.shape[1]))
    for node in np.argsort(small.orders, kind="stable")[1:]:
        weights[node] = weights[small.suffixes[node]] + own.get(small.ngram(int(node)), 0.0)
    largest = np.maximum(np.abs(weights).max(axis=0), 1e-9)
    integers = np.rint(weights * (WEIGHT_LIMIT / largest)).astype(np.int16)
    return small, integers, largest / WEIGHT_LIMIT * slopes
