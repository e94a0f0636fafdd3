"""From labelled messages to a model.

Candidates for the vocabulary are the character n-grams and the words that occur in
enough messages. An L1-regularised logistic regression for each head keeps those that
matter to it; an L2-regularised one then sets the weights of all that were kept by any
head. Each head's probability is calibrated on folds that it was not fitted on;
messages that resemble each other or form a `pair` are never parted by a fold. The same
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
from fraudscan.disguise import undisguise
from fraudscan.evaluate import label_figures, thresholds_for
from fraudscan.features import Vocabulary
from fraudscan.model import SHORT, WEIGHT_LIMIT, Scanner, Thresholds
from fraudscan.normalize import fold
from fraudscan.taxonomy import TAXONOMY, Taxonomy
from fraudscan.tokenize import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from fraudscan.model import Floats

__all__ = ["TrainingOptions", "folds_of", "groups", "train"]

LATIN = re.compile("[a-z]+")


@dataclass(frozen=True)
class TrainingOptions:
    """What can be tuned. The defaults were chosen on held-out folds of the project's corpus, where most are flat.

    Attributes:
        order: the longest character n-gram among the candidates.
        word_length: the longest word among them.
        min_ngram: the number of messages in which an n-gram must occur to be a candidate.
        min_word: the same for words.
        selection: liblinear's ``C``, the inverse of the penalty, of the L1 fit that selects.
        strength: the same of the L2 fit that sets the weights.
        prior: the share of fraud among the messages that probabilities are meant for. The corpus has far more of it
            than any dump; a suspicious dump has more than a phone.
        min_token: in how many messages a run of Latin letters must occur for n-grams with it to be candidates: most
            letters are parts of links and names, of which none comes back.
        rarity: counts are multiplied by the inverse document frequency (the logarithm of rows by rows with the
            n-gram) in the selection, and by this power of it in the final fit.
        disguises: how many disguised copies of each message are learned from, too.
        folds: how many folds calibrate the probabilities.
        jobs: processes that fit heads side by side.

    """

    order: int = 3
    word_length: int = 6
    min_ngram: int = 5
    min_word: int = 3
    selection: float = 10.0
    strength: float = 1.0
    prior: float = 0.3
    min_token: int = 10
    rarity: float = 1.0
    folds: int = 5
    disguises: int = 1
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
    texts = undisguise([row.text for row in rows])
    vocabulary = Vocabulary.from_ngrams(_candidates([fold(text) for text in texts], options))
    rng = random.Random(0)  # noqa: S311 - a fixed choice, not a secret
    disguised = undisguise([disguise(row.text, rng) for _ in range(options.disguises) for row in rows])
    features = _features(vocabulary, [*texts, *disguised]) @ _closure(vocabulary)
    gold = np.tile(gold, (1 + options.disguises, 1))
    used = np.where(np.arange(gold.shape[1]) == 0, True, gold[:, :1])  # heads but the first are fitted on lures alone
    copies = len(rows) * np.arange(1 + options.disguises)[:, None]
    folds = [((copies + inside).ravel(), outside) for inside, outside in folds_of(rows, options.folds)]
    coefficients, biases, held_out = _fit(features, gold, used, folds, options)
    gold, used, held_out = gold[: len(rows)], used[: len(rows)], held_out[: len(rows)]
    scaling = [_calibrate(held_out[used[:, h], h], gold[used[:, h], h]) for h in range(gold.shape[1])]
    slopes, intercepts = np.array(scaling).T
    share = gold[:, 0].mean()
    intercepts[0] += np.log(options.prior / (1 - options.prior)) - np.log(share / (1 - share))
    vocabulary, weights, scales = _compile(vocabulary, coefficients, slopes)
    held_out = held_out * slopes + intercepts

    probabilities = 1 / (1 + np.exp(-held_out))
    probabilities[:, 1:] *= probabilities[:, :1]
    thresholds = thresholds_for(probabilities[:, 0], gold[:, 0])
    manifest: dict[str, Any] = {
        "corpus": {"rows": len(rows), "sha256": digest(rows)},
        "training": {k: v for k, v in vars(options).items() if k != "jobs"},
        "figures": label_figures(taxonomy, gold, probabilities, thresholds),
    }
    return Scanner(
        taxonomy,
        vocabulary,
        weights,
        scales,
        biases * slopes + intercepts,
        thresholds=Thresholds(*thresholds),
        manifest=manifest,
    )


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


def _features(vocabulary: Vocabulary, texts: Sequence[str]) -> Any:
    """Return the longest matches of each text, counted and divided by the root of its length: sparse float64."""
    from scipy import sparse

    blocks = []
    for start in range(0, len(texts), 256):
        found = vocabulary.match(texts[start : start + 256])
        bounds = np.append(found.starts, found.nodes.size)
        scale = np.repeat(1 / np.sqrt(found.lengths + SHORT), found.lengths + 1)
        block = sparse.csr_array(
            (scale, found.nodes.astype(np.int32), bounds.astype(np.int32)), shape=(found.lengths.size, vocabulary.size)
        )
        block.sum_duplicates()
        blocks.append(block)
    return sparse.csr_array(sparse.vstack(blocks))


def _closure(vocabulary: Vocabulary) -> Any:
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
    select_on, fit_on = _scaled(features, rarity), _scaled(features, rarity**options.rarity)
    held_out = np.zeros(gold.shape)
    everything = np.arange(gold.shape[0])
    with Parallel(n_jobs=options.jobs) as parallel:
        for inside, outside in [*folds, (everything, everything[:0])]:
            inputs = select_on[inside], fit_on[inside], gold[inside], used[inside]
            nodes, values, biases = _fit_rows(parallel, *inputs, options)
            held_out[outside] = fit_on[outside][:, nodes] @ values + biases
    coefficients = np.zeros((features.shape[1], gold.shape[1]))
    coefficients[nodes] = values * (rarity[nodes] ** options.rarity)[:, None]
    return coefficients, biases, held_out


def _fit_rows(  # noqa: PLR0913, PLR0917 - two views of the same rows, and their labels
    parallel: Any,
    select_on: Any,
    fit_on: Any,
    gold: npt.NDArray[np.bool_],
    used: npt.NDArray[np.bool_],
    options: TrainingOptions,
) -> tuple[npt.NDArray[np.intp], Floats, Floats]:
    """Return the nodes that were kept, and the heads' coefficients for them and biases."""
    from joblib import delayed

    heads = range(gold.shape[1])
    selection = (delayed(_fit_head)(select_on, gold[:, h], used[:, h], options.selection, **_l1()) for h in heads)
    nodes = np.flatnonzero(np.any([coefficients for coefficients, _ in parallel(selection)], axis=0))
    kept = _sorted(fit_on[:, nodes])
    fitted = parallel(delayed(_fit_head)(kept, gold[:, h], used[:, h], options.strength) for h in heads)
    return nodes, np.array([c for c, _ in fitted]).T, np.array([bias for _, bias in fitted])


def _scaled(features: Any, factors: Floats) -> Any:
    """Return the features with each column multiplied by its factor."""
    from scipy import sparse

    scaled = sparse.csr_matrix(features, copy=True)
    scaled.data *= factors[scaled.indices]
    return _sorted(scaled)


def _sorted(matrix: Any) -> Any:
    """Sort a matrix's indices now: the processes that share it can only read it."""
    matrix.sort_indices()
    return matrix


def _fit_head(features: Any, gold: Any, used: Any, strength: float, **penalty: Any) -> tuple[Floats, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, solver="liblinear", tol=1e-2, random_state=0, **penalty)
    model.fit(features[used], gold[used])
    return model.coef_[0], float(model.intercept_[0])


def _l1() -> dict[str, Any]:
    """Return how this scikit-learn is asked for an L1 penalty: 1.8 renamed the argument."""
    from sklearn import __version__

    return {"l1_ratio": 1.0} if tuple(map(int, __version__.split(".")[:2])) >= (1, 8) else {"penalty": "l1"}


def _calibrate(logits: Floats, gold: npt.NDArray[np.bool_]) -> tuple[float, float]:
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


def _compile(
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
