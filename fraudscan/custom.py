"""Train a model on a user's own labels, with one head for each label, fitted on all messages.

Candidates for the vocabulary are the character n-grams; a linear support vector machine
(L2 penalty, squared hinge loss) weights them for each label. The greatest length and the least
frequency of n-grams, the influence of their rarity, the strength of the penalty, and whether small
labels count as much as large ones, are chosen on held-out folds. Messages that resemble each other
are always in the same fold. The same rows give the same model on the same machine with the same library versions, also
while other threads train.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import reprlib
import sys
import threading
import warnings
from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from fraudscan.characters import fold
from fraudscan.corpus import CorpusError, digest, join, near_duplicates
from fraudscan.curve import Curve
from fraudscan.decisions import Decider, Thresholds
from fraudscan.evaluate import figures_of, thresholds_for
from fraudscan.features import MAX_NGRAM, Vocabulary
from fraudscan.model import Scanner
from fraudscan.train import calibrate, compile_weights, features_of, frequent_ngrams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fraudscan.arrays import Bools, Floats, Ints
    from fraudscan.corpus import Row
    from fraudscan.taxonomy import Taxonomy

__all__ = ["Settings", "doubts_of", "train_custom"]

FOLDS = 5
"""The number of folds for the figures and the calibration, and the default for the number of messages that each label
needs. If a label has fewer messages, there are fewer folds."""

SEARCH_FOLDS = 3
"""The number of these folds that are used to choose the settings."""

SEARCH_CHARACTERS = 1_000_000
"""About how many characters of text are used to choose the settings. More text rarely changes the choice and takes
long."""

CANDIDATES = 400_000
"""The greatest number of candidate n-grams; the most frequent are taken."""

EVEN = Thresholds(0.5, 0.5)
"""The thresholds of a model for which none were measured."""

_locks: dict[int, threading.Lock] = {}
"""The lock of `_alone`, by process: one that was forked must not wait for a thread of its parent."""


@dataclass(frozen=True)
class Settings:
    """The hyperparameters that are chosen on held-out folds. The search starts from the defaults.

    Attributes:
        max_n: the length of the longest n-grams; all shorter n-grams are used as well.
        min_df: the number of messages in which an n-gram must occur.
        idf_power: counts are multiplied by this power of the inverse document frequency (the logarithm of a quotient:
            the number of rows plus one, divided by the number of rows with the n-gram); with 0 they are left as they
            are.
        C: liblinear's ``C``, the inverse of the penalty, for rows whose mean squared norm is 1.
        balanced: whether all labels have the same weight, however many messages they have.

    Raises:
        ValueError: if a value is not a number, too small or too large, or if ``balanced`` is not True or False.

    """

    max_n: int = 3
    min_df: int = 2
    idf_power: float = 0.75
    C: float = 3.0
    balanced: bool = True

    def __post_init__(self) -> None:
        for name in ("max_n", "min_df"):
            value = getattr(self, name)
            if not (_is(value, Integral) and int(value) >= 1):
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        if self.max_n > MAX_NGRAM:
            raise ValueError(f"max_n must be at most {MAX_NGRAM}, not {self.max_n!r}")
        if not (_is(self.idf_power, Real) and 0 <= self.idf_power <= 10):  # the square of the factor must not overflow
            raise ValueError(f"idf_power must be a number from 0 to 10, not {self.idf_power!r}")
        if not (_is(self.C, Real) and 0 < self.C <= sys.float_info.max):
            raise ValueError(f"C must be a finite number above 0, not {self.C!r}")
        if self.balanced not in (True, False):
            raise ValueError(f"balanced must be True or False, not {self.balanced!r}")


def _is(value: Any, kind: type) -> bool:
    """Return whether a value is a number of the given kind; True and False do not count as numbers."""
    return isinstance(value, kind) and not isinstance(value, bool)


CHOICES: tuple[dict[str, Sequence[Any]], ...] = (
    {"max_n": (3, 4, 5), "idf_power": (0.5, 0.75, 1.0)},
    {"min_df": (2, 5)},
    {"C": (0.1, 0.3, 1.0, 3.0, 10.0), "balanced": (True, False)},
)
"""The search grid: all combinations of the first entry, then with the best of them all of the second, and so on."""


def train_custom(
    rows: Sequence[Row],
    taxonomy: Taxonomy,
    *,
    fixed: dict[str, Any] | None = None,
    least: int = FOLDS,
    jobs: int = 2,
) -> Scanner:
    """Fit, calibrate and return a model of a user's own labels.

    The manifest of the model holds the settings (``training``) and the figures of the held-out folds (``figures``): a
    table by label, the pairs of labels that are confused, messages that resemble each other but have different
    labels, and the labels that could only be held out as a whole (``unlearned``). The settings are chosen on the same
    folds, which flatters the figures a little.

    Args:
        rows: the messages, as `fraudscan.labelled.read_labelled` returns them.
        taxonomy: the taxonomy of their labels; its task is "multiclass" or "multilabel".
        fixed: settings that are given and not chosen, by name.
        least: the number of messages that each label must have. A label with a single message is ``unlearned``. If
            fewer than two labels have more than one, nothing can be held out: the settings that are not ``fixed`` are
            the defaults, and the probabilities are not calibrated.
        jobs: the number of processes that fit in parallel.

    Raises:
        CorpusError: if there is only one label, a label has too few messages, or all messages resemble each other.

    """
    gold = _gold(rows, taxonomy, least)
    texts = [fold(row.text) for row in rows]
    # the manifest is JSON, which has no NumPy numbers; a parameter grid may contain some
    fixed = {k: value.item() if isinstance(value, np.generic) else value for k, value in (fixed or {}).items()}
    first = replace(Settings(), **fixed)
    longest = fixed.get("max_n", max(CHOICES[0]["max_n"]))
    rarest = fixed.get("min_df", min(CHOICES[1]["min_df"]))
    frequent = frequent_ngrams(texts, longest, rarest)
    candidates = sorted(frequent, key=lambda ngram: (-frequent[ngram], ngram))[:CANDIDATES]
    vocabulary = Vocabulary.from_ngrams(candidates)
    features = features_of(vocabulary, [row.text for row in rows], by_length=False)[0]
    features.sort_indices()  # now, because the processes that share the array can only read it
    fitter = _Fitter(features, vocabulary.orders, gold, taxonomy.task == "multiclass", jobs)
    groups, resembling = _resembling(rows, taxonomy, texts, gold)
    counts = gold.sum(axis=0)
    several = counts > 1
    folds = _folds(gold[:, several], groups, min(FOLDS, int(counts[several].min()))) if several.sum() > 1 else []
    settings = _choose(fitter, first, fixed, folds, _sample(texts)) if folds else first
    *held_out, (nodes, values, squares, biases) = fitter.fit(
        [*((settings, inside) for inside, _ in folds), (settings, np.arange(len(rows)))]
    )
    slopes, intercepts = np.ones(gold.shape[1]), np.zeros(gold.shape[1])
    thresholds = EVEN
    measured: dict[str, Any] = {}
    if folds:
        logits = np.zeros(gold.shape)
        for (_, outside), fitted in zip(folds, held_out, strict=True):
            logits[outside] = fitter.logits(fitted, outside)
        learned = np.all([gold[inside].any(axis=0) for inside, _ in folds], axis=0)  # not labels all in one fold
        slopes, intercepts = _calibration(logits, gold, taxonomy.task, learned)
        thresholds, measured = _figures(rows, taxonomy, gold, logits * slopes + intercepts)
        measured["figures"]["resembling"] = resembling
        measured["figures"]["unlearned"] = [taxonomy.labels[at].name for at in np.flatnonzero(~learned)]
    coefficients = np.zeros((vocabulary.size, gold.shape[1] + 1))
    coefficients[nodes] = np.column_stack([values, squares])
    vocabulary, weights, scales = compile_weights(vocabulary, coefficients)
    manifest: dict[str, Any] = {
        "corpus": {"rows": len(rows), "sha256": digest(rows)},
        "training": asdict(settings),
        **measured,
    }
    return Scanner(
        taxonomy,
        vocabulary,
        weights,
        scales * np.append(slopes, 1.0),
        biases * slopes + intercepts,
        thresholds=thresholds,
        manifest=manifest,
    )


def _gold(rows: Sequence[Row], taxonomy: Taxonomy, least: int) -> Bools:
    """Return the labels of each row as a mask, shape (rows, labels)."""
    names = [label.name for label in taxonomy.labels]
    gold = _mask(rows, taxonomy)
    if len(names) < 2:
        raise CorpusError(
            f"all messages are of one class, {names[0]!r}: a model needs at least two labels to distinguish"
        )
    few = [f"{reprlib.repr(name)} ({n})" for name, n in zip(names, gold.sum(axis=0), strict=True) if n < least]
    if few:
        more = f" and {len(few) - 10:,} more" if len(few) > 10 else ""
        raise CorpusError(
            f"labels with too few messages: {', '.join(few[:10])}{more}; label at least {least} of each, or leave them "
            "out"
        )
    return gold


def _mask(rows: Sequence[Row], taxonomy: Taxonomy) -> Bools:
    """Return the labels of each row as `_gold` does, however few there are."""
    honest = () if taxonomy.honest is None else (taxonomy.honest,)
    return np.array([[label.name in (row.labels or honest) for label in taxonomy.labels] for row in rows], dtype=bool)


def doubts_of(rows: Sequence[Row], taxonomy: Taxonomy) -> dict[str, Any]:
    """Return what looks wrong with a user's labels without training on them, for users who train on a corpus as well.

    Args:
        rows: the messages, as `fraudscan.labelled.read_labelled` returns them.
        taxonomy: the taxonomy of their labels.

    Returns:
        As in the figures of `train_custom`: ``resembling`` (the number of copies; the number of pairs of messages that
        resemble each other but have different labels, and examples) and ``unlearned`` (the labels whose messages all
        resemble each other).

    """
    gold = _mask(rows, taxonomy)
    groups, resembling = _resembling(rows, taxonomy, [fold(row.text) for row in rows], gold)
    alone = [label.name for label, own in zip(taxonomy.labels, gold.T, strict=True) if np.unique(groups[own]).size == 1]
    return {"resembling": resembling, "unlearned": alone}


def _resembling(
    rows: Sequence[Row], taxonomy: Taxonomy, texts: Sequence[str], gold: Bools
) -> tuple[Ints, dict[str, Any]]:
    """Return the group number of each row, where near-duplicates share a group, and the manifest's ``resembling``.

    That is the number of messages that are copies of others (``copies``), the number of pairs that resemble each other
    but have no label in common, and the first three of them. Of equal texts only the pairs of each text with the first
    one are counted, not all pairs.
    """

    def described(row: Row) -> dict[str, str]:
        return {"row": row.id, "label": "|".join(sorted(set(row.labels) or {taxonomy.honest or ""}))}

    labels = np.packbits(gold, axis=1)
    first: dict[str, int] = {}
    equal = np.array([first.setdefault(text, row) for row, text in enumerate(texts)])
    of = np.array(list(first.values()))
    groups: Ints = np.arange(len(texts))
    count = 0
    examples: list[tuple[int, int]] = []
    alike = ((of[i], of[j]) for i, j, _ in near_duplicates(list(first)))
    for a, b in itertools.chain([(equal, groups)], alike):
        groups = join(groups, a, b)
        conflicts = np.flatnonzero(~(labels[a] & labels[b]).any(axis=1))
        count += conflicts.size
        examples += zip(a[conflicts[:3]].tolist(), b[conflicts[:3]].tolist(), strict=True)
    copies = len(texts) - len(first)
    return groups, {
        "copies": copies,
        "pairs": count,
        "examples": [[described(rows[i]) for i in pair] for pair in examples[:3]],
    }


def _folds(gold: Bools, groups: Ints, count: int) -> list[tuple[Ints, Ints]]:
    """Return the training rows and the held-out rows of each fold; no fold splits one of the ``groups``."""
    from sklearn.model_selection import StratifiedGroupKFold

    if not groups.any():
        raise CorpusError("all messages resemble each other, so none can be held out: add different ones")
    splitter = StratifiedGroupKFold(min(count, int(groups.max()) + 1), shuffle=True, random_state=0)
    with _alone(UserWarning):  # a label whose messages all resemble each other is in one fold
        return list(splitter.split(gold, gold.argmax(axis=1), groups))


def _sample(texts: Sequence[str]) -> Bools:
    """Return a mask of the rows used to choose the settings: a random sample of about `SEARCH_CHARACTERS`."""
    order = np.random.default_rng(0).permutation(len(texts))
    total = np.cumsum([len(texts[row]) for row in order])
    chosen = np.zeros(len(texts), dtype=bool)
    chosen[order[: int(total.searchsorted(SEARCH_CHARACTERS)) + 1]] = True
    return chosen


def _choose(
    fitter: _Fitter, first: Settings, fixed: dict[str, Any], folds: Sequence[tuple[Ints, Ints]], sample: Bools
) -> Settings:
    """Return the settings with the highest macro-F1 on held-out rows.

    In each step, the best settings so far are replaced only by settings that are better by more than half a standard
    error: a smaller difference is chance.
    """
    parts = [(inside[sample[inside]], outside[sample[outside]]) for inside, outside in folds[:SEARCH_FOLDS]]
    gold = np.concatenate([fitter.gold[outside] for _, outside in parts])
    best = first
    scores: dict[Settings, float] = {}
    for choice in CHOICES:
        names = [name for name in choice if name not in fixed]
        values = itertools.product(*(choice[name] for name in names))
        trials = dict.fromkeys([best, *(replace(best, **dict(zip(names, value, strict=True))) for value in values)])
        new = [trial for trial in trials if trial not in scores]
        guesses = fitter.guess([(trial, inside, outside) for trial in new for inside, outside in parts])
        for trial, at in zip(new, range(0, len(guesses), len(parts)), strict=True):
            scores[trial] = _macro_f1(gold, np.concatenate(guesses[at : at + len(parts)]))
        likely = max(trials, key=scores.__getitem__)
        margin = np.sqrt(scores[best] * (1 - scores[best]) / len(gold)) / 2
        if scores[likely] > scores[best] + margin:
            best = likely
    return best


def _macro_f1(gold: Bools, guessed: Bools) -> float:
    hits = (gold & guessed).sum(axis=0)
    return float((2 * hits / np.maximum(1, gold.sum(axis=0) + guessed.sum(axis=0))).mean())


Fitted = tuple["Ints", "Floats", "Floats", "Floats"]
"""The nodes that were used, the coefficients of each head, the squared rarities of the nodes, and the biases."""


SMALL = 300_000
"""Up to so many counts of n-grams a search takes less time in one process than it takes to start others."""


@dataclass
class _Fitter:
    """Fits heads on parts of the rows; its fields are shared by the processes."""

    features: Any
    orders: Ints
    gold: Bools
    multiclass: bool
    jobs: int

    def fit(self, tasks: Sequence[tuple[Settings, Ints]]) -> list[Fitted]:
        """Fit the heads for each task: settings, and the rows to fit on."""
        from joblib import Parallel, delayed

        jobs = self.jobs if self.features.nnz > SMALL else 1
        done: list[Fitted] = Parallel(n_jobs=jobs)(delayed(self._fit)(*task) for task in tasks)
        return done

    def _fit(self, settings: Settings, rows: Ints) -> Fitted:
        """Fit the heads on ``rows``.

        A text's vector holds counts times rarities. It is divided by the square root of the sum of counts times squared
        rarities. That is its Euclidean norm unless an n-gram occurs in it twice, and it can be added up n-gram by
        n-gram.
        """
        from scipy import sparse

        chosen = self.features[rows]
        found = np.bincount(chosen.indices, minlength=self.orders.size)
        used = (self.orders > 0) & (self.orders <= settings.max_n) & (found >= settings.min_df)
        nodes = np.flatnonzero(used)
        factors = np.log((1 + rows.size) / found[nodes]) ** settings.idf_power
        chosen = sparse.csr_matrix(chosen[:, nodes])
        chosen.data *= factors[chosen.indices] / np.repeat(_roots(chosen, factors**2), np.diff(chosen.indptr))
        norm = np.sqrt((chosen.data**2).sum() / rows.size) or 1.0
        chosen.data /= norm
        values, biases = _fit_heads(chosen, self.gold[rows], settings, self.multiclass)
        return nodes, values * (factors / norm)[:, None], factors**2, biases

    def guess(self, tasks: Sequence[tuple[Settings, Ints, Ints]]) -> list[Bools]:
        """Fit the heads for each task, and predict the labels of other rows.

        A task holds the settings, the rows to fit on, and the rows to predict.
        """
        fitted = self.fit([(settings, inside) for settings, inside, _ in tasks])
        return [self._labels(self.logits(f, outside)) for f, (_, _, outside) in zip(fitted, tasks, strict=True)]

    def logits(self, fitted: Fitted, rows: Ints) -> Floats:
        nodes, values, squares, biases = fitted
        counts = self.features[rows][:, nodes]
        logits: Floats = (counts @ values) / _roots(counts, squares)[:, None] + biases
        return logits

    def _labels(self, logits: Floats) -> Bools:
        return np.eye(logits.shape[1], dtype=bool)[logits.argmax(axis=1)] if self.multiclass else logits > 0


def _roots(counts: Any, squares: Floats) -> Floats:
    """Return the norms of the texts' vectors; 1 where a text has no n-gram."""
    sums = counts @ squares
    return np.sqrt(np.where(sums > 0, sums, 1.0))


def _fit_heads(features: Any, gold: Bools, settings: Settings, multiclass: bool) -> tuple[Floats, Floats]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    values = np.zeros((features.shape[1], gold.shape[1]))
    biases = np.where(gold.all(axis=0), 1.0, -1.0)  # of heads that see one answer only
    weights = "balanced" if settings.balanced else None
    targets: list[tuple[Ints, Any]] = [(np.flatnonzero(gold.any(axis=0)), gold.argmax(axis=1))]
    if not multiclass:
        targets = [(np.array([head]), gold[:, head]) for head in range(gold.shape[1])]
    with _alone(ConvergenceWarning):  # slow with a weak penalty, but no label changes
        for heads, target in targets:
            if features.shape[1] and (target != target[0]).any():
                model = LinearSVC(C=settings.C, class_weight=weights, dual=True, tol=1e-2, random_state=0)
                model.fit(features, target)
                coefficients, intercepts = model.coef_, model.intercept_
                if heads.size == 2:  # for two classes scikit-learn fits the second one only
                    coefficients = np.concatenate([-coefficients, coefficients])
                    intercepts = np.concatenate([-intercepts, intercepts])
                values[:, heads], biases[heads] = coefficients.T, intercepts
    return values, biases


@contextlib.contextmanager
def _alone(ignored: type[Warning]) -> Iterator[None]:
    """Let one thread at a time fit, and ignore its warnings of one category.

    The filters of warnings and liblinear's generator of random numbers belong to the whole process. Threads that change
    them at the same time would leave filters behind, and get another model each time.
    """
    with _locks.setdefault(os.getpid(), threading.Lock()), warnings.catch_warnings():
        warnings.simplefilter("ignore", ignored)
        yield


def _calibration(logits: Floats, gold: Bools, task: str, learned: Bools) -> tuple[Floats, Floats]:
    """Return the slopes and intercepts that calibrate the heads' logits.

    Independent labels are calibrated one by one (Platt scaling). Classes share one slope ("temperature", Guo et al.
    2017), which leaves their order unchanged. Its targets never reach 0 or 1 either, because with classes that are
    never confused the slope would have no bound. Messages of labels that are not ``learned`` are ignored: a model that
    has seen no such message is bound to be wrong about it. Independent labels that are not learned get the mean slope
    and intercept of the others. If fewer than two labels are learned, all logits are left as they are.
    """
    slopes, intercepts = np.ones(learned.size), np.zeros(learned.size)
    if learned.sum() < 2:
        return slopes, intercepts
    used = ~gold[:, ~learned].any(axis=1)
    logits, gold = logits[used], gold[used]
    if task == "multilabel":
        found = np.array([calibrate(logits[:, h], gold[:, h]) for h in range(gold.shape[1])])
        found[~learned] = found[learned].mean(axis=0)
        slopes, intercepts = found.T
        return slopes, intercepts
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    doubt = 1 / (len(gold) + 2)
    targets = gold * (1 - doubt) + doubt / gold.shape[1]

    def loss(exponent: float) -> float:
        return -float((targets * log_softmax(np.exp(exponent) * logits, axis=1)).sum(axis=1).mean())

    return slopes * np.exp(minimize_scalar(loss, bounds=(-3, 4), method="bounded").x), intercepts


def _figures(rows: Sequence[Row], taxonomy: Taxonomy, gold: Bools, logits: Floats) -> tuple[Thresholds, dict[str, Any]]:
    """Return thresholds and manifest entries from held-out logits: figures, and a curve if several texts are honest."""
    from scipy.special import expit, softmax

    names = [label.name for label in taxonomy.labels]
    honest = taxonomy.honest
    probabilities = softmax(logits, axis=1) if taxonomy.task == "multiclass" else expit(logits)
    guessed = Decider(taxonomy, names, EVEN)(probabilities.astype(np.float32))
    scores, thresholds = np.ones(len(rows)), EVEN
    curve = {}
    if honest is not None:
        at = names.index(honest)
        scores, fraud = 1 - probabilities[:, at], ~gold[:, at]
        if len(rows) - fraud.sum() > 1:  # a single honest message was never learned when held out
            thresholds = thresholds_for(scores, fraud)
            curve = {"curve": Curve.from_scores(scores, fraud).to_dict()}
    right = [set(row.labels) or {honest or ""} for row in rows]
    several = taxonomy.task == "multilabel"
    figures = figures_of(right, guessed.labels, scores, thresholds, names, honest, several=several)
    figures["confused"] = _confused(names, gold, np.array([names.index(label) for label in guessed.label]))
    return thresholds, {"figures": figures, **curve}


def _confused(names: Sequence[str], gold: Bools, guessed: Ints) -> list[dict[str, Any]]:
    """Return the five most confused pairs of labels.

    They are sorted by the number of messages of either label taken for the other, as a share of the smaller label.
    """
    counts = np.zeros((len(names), len(names)), dtype=int)
    wrong = np.flatnonzero(~gold[np.arange(len(gold)), guessed])
    np.add.at(counts, (gold[wrong].argmax(axis=1), guessed[wrong]), 1)
    counts += counts.T
    sizes = gold.sum(axis=0)
    pairs = [
        {
            "labels": [names[a], names[b]],
            "messages": int(counts[a, b]),
            "share": round(counts[a, b] / min(sizes[a], sizes[b]), 4),
        }
        for a, b in itertools.combinations(range(len(names)), 2)
        if counts[a, b]
    ]
    return sorted(pairs, key=lambda pair: -pair["share"])[:5]
