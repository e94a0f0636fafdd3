"""The network behind a model's heads, and how it is fitted.

Each n-gram has a short vector. The sum of a text's vectors, divided by its length norm
(`fraudscan.engine.length_norms`), goes through one layer of rectified units to the heads. All
of it is fitted together. In each step only a small random share of a text's n-grams is shown,
so the network must recognise a fraud by any of its words, and what it learns carries
over to texts with other words. Some texts are shown joined to honest ones, because a fraud must
be recognised whatever surrounds it, and a long text is no more likely to be a fraud than a short
one. Some are joined to scraps that say nothing (`fraudscan.wrappings`), and some to themselves. The fit is done twice:
the second network is trained on labels mixed with the answers of the first one, because not every line of a fraud can
be distinguished from an honest one. Texts that the first network takes for the other kind keep their labels: they are
hard, and must not be given up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.engine import length_norms
from fraudscan.layer import BOUND, MAX_INPUTS, MAX_UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fraudscan.arrays import Bools, Floats, Ints, Single

__all__ = ["Examples", "Network", "NetworkOptions", "fit", "sigmoid"]

WARM_UP, FIRST_RATE = 0.2, 0.04
"""The share of the steps in which the learning rate rises, and the share of the highest rate at which it begins. Both
the rise and the later fall to zero follow a cosine ("one cycle", Smith 2018)."""

FLAT = 1e-3
"""Inputs and units whose standard deviation is less than this have hardly any influence, and keep their scale."""

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""The parameters of Adam (Kingma and Ba 2015), with its authors' values. It is lazy: n-grams that a step does not show
are not updated. Frauds are found as well as with full Adam, in less than half the time."""


@dataclass(frozen=True)
class NetworkOptions:
    """The hyperparameters of the network.

    Attributes:
        inputs: the length of an n-gram's vector. Vectors half as long again are no better.
        units: the number of rectified units. Half as many detect as much fraud, but predict the
            right label less often.
        dropout: the share of a text's n-grams that are dropped in a step. From a half on, more dropout costs a little
            on the held-out messages of the corpus and gains much on third-party messages. The value was chosen with
            regard to both.
        unit_dropout: the same for the units.
        joined: the share of texts shown joined to honest ones. With half this share, and one honest text each, a sixth
            to a half more of the long third-party conversations are taken for fraud. With one and a half times this
            share, up to three times as many texts that contain several advertisements are taken for fraud.
        most_joined: the highest number of honest texts to join to one text.
        wrapped: the share of texts shown joined to wrappings. Times, names and tags hide more than twice as many
            third-party frauds if no wrappings are shown in training.
        most_wrapped: the highest number of wrappings to join to one text.
        repeated: the share of texts shown joined to themselves. With a third of this share, more texts that say
            something twice are taken for fraud, and so are more long conversations.
        most_repeated: the highest number of copies to append to one text.
        distilled: the weight, in the target of a text, of the answer of a network that was fitted without distillation
            ("self-distillation", Furlanello and others 2018). The label has the rest of the weight, or all of it where
            that network takes a fraud for honest or the reverse. With a higher weight more frauds among third-party
            messages are found at a low false-alarm rate, and fewer of the shortest frauds in the corpus.
        epochs: about how many times each text is shown. An epoch leaves out the texts that do not fill a batch.
        min_steps: the least number of steps. If ``epochs`` would make fewer, there are more epochs.
        batch_size: the number of texts per step. Twice as many are a little worse.
        learning_rate: the highest learning rate.

    Raises:
        ValueError: if a value is out of its range.

    """

    inputs: int = 32
    units: int = 256
    dropout: float = 0.8
    unit_dropout: float = 0.2
    joined: float = 0.3
    most_joined: int = 8
    wrapped: float = 0.75
    most_wrapped: int = 3
    repeated: float = 0.15
    most_repeated: int = 4
    distilled: float = 0.5
    epochs: int = 12
    min_steps: int = 600
    batch_size: int = 128
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        if not (1 <= self.inputs <= MAX_INPUTS and 1 <= self.units <= MAX_UNITS):
            raise ValueError(f"a network has 1 to {MAX_INPUTS} inputs and 1 to {MAX_UNITS} units")
        if not (0 <= self.dropout < 1 and 0 <= self.unit_dropout < 1):
            raise ValueError("a dropout must be at least 0 and less than 1")
        if not all(0 <= share <= 1 for share in (self.joined, self.wrapped, self.repeated)):
            raise ValueError("the shares of joined, wrapped and repeated texts must be at least 0 and at most 1")
        if not 0 <= self.distilled <= 1:
            raise ValueError("distilled must be at least 0 and at most 1")
        most = min(self.most_joined, self.most_wrapped, self.most_repeated)
        if min(self.epochs, self.min_steps, self.batch_size, most) < 1 or not self.learning_rate > 0:
            raise ValueError(
                "epochs, min_steps, batch_size, most_joined, most_wrapped, most_repeated and learning_rate must be "
                "positive"
            )


@dataclass(frozen=True)
class Network:
    """A fitted network.

    Attributes:
        vectors: float32, shape (n-grams, inputs).
        biases: float32, shape (inputs,): added to the sum of a text's vectors.
        hidden: float32, shape (units, inputs + 1): the weights of each unit, followed by its bias.
        output: float32, shape (heads, units + 1): the weights of each head, followed by its bias.

    """

    vectors: Single
    biases: Single
    hidden: Single
    output: Single

    def inputs(self, features: Any) -> Single:
        """Return the inputs of the units, shape (texts, inputs), for a sparse matrix of shape (texts, n-grams)."""
        inputs: Single = features @ self.vectors + self.biases
        return inputs

    def units(self, features: Any) -> Single:
        """Return the outputs of the units, shape (texts, units)."""
        units: Single = np.maximum(self.inputs(features) @ self.hidden[:, :-1].T + self.hidden[:, -1], 0)
        return units

    def __call__(self, features: Any) -> Single:
        """Return the heads' logits, shape (texts, heads)."""
        logits: Single = self.units(features) @ self.output[:, :-1].T + self.output[:, -1]
        return logits

    def standardized(self, features: Any) -> Network:
        """Return an equivalent network whose inputs and units have a standard deviation of one on these texts.

        The output of a unit can be divided by any factor if the heads' weights for it are multiplied by it. A unit that
        is hardly ever active is scaled up only until its weights reach the bound that a `Layer` sets.
        """
        spread = _spread(self.inputs(features))
        hidden = self.hidden * np.append(spread, np.float32(1))
        size: Single = np.maximum(_spread(self.units(features)), np.abs(hidden).max(axis=1) / np.float32(BOUND))
        output = self.output * np.append(size, np.float32(1))
        return Network(self.vectors / spread, self.biases / spread, hidden / size[:, None], output)


def sigmoid(logits: Any) -> Any:
    """Return the probabilities for logits, in the same precision; no logit overflows."""
    return 0.5 + 0.5 * np.tanh(logits / 2)


def _spread(values: Single) -> Single:
    deviations: Single = values.std(axis=0)
    return np.where(deviations < FLAT, np.float32(1), deviations)


class Examples(NamedTuple):
    """Texts to train on.

    Attributes:
        features: sparse float32, shape (texts, n-grams): the sums over each text, divided by the text's
            length norm (see `length_norms`).
        lengths: shape (texts,): the lengths of the texts.
        gold: shape (texts, heads): the target of each head, from 0 to 1. The first head's is 1 if the text is not
            honest.
        weights: shape (texts, heads): the weight of each target; 0 where the head is not trained on the text.
        learned: shape (texts,): a mask of the texts that are trained on; the others are wrappings.

    """

    features: Any
    lengths: Ints
    gold: Single
    weights: Floats
    learned: Bools

    def of(self, rows: Ints) -> Examples:
        """Return the examples in ``rows``."""
        return Examples._make(part[rows] for part in self)

    def joined(self, rows: Ints, at: Ints, others: Ints) -> Examples:
        """Return the examples in ``rows``, with one of ``others`` appended at each of the places ``at``.

        A place may occur more than once. The appended texts do not change the targets. (With tempered targets, the
        larger of the two was the appended text's often enough to teach the network that long texts are frauds.)
        """
        from scipy import sparse

        places, texts = np.concatenate([np.arange(rows.size), at]), np.concatenate([rows, others])
        lengths = np.bincount(places, self.lengths[texts])
        shares = (length_norms(self.lengths[texts]) / length_norms(lengths[places])).astype(np.float32)
        join = sparse.csr_matrix((shares, (places, texts)), shape=(rows.size, self.features.shape[0]))
        return Examples(join @ self.features, lengths, self.gold[rows], self.weights[rows], self.learned[rows])

    def tempered(self, teacher: Network, share: float) -> Examples:
        """Return the examples with targets moved by ``share`` towards the teacher's answers.

        Texts that the teacher takes for the other kind (fraud or honest) keep their targets: they are hard, and with
        the teacher's answers they would be given up.
        """
        answers: Single = sigmoid(teacher(self.features))
        right = (answers[:, :1] >= 0.5) == (self.gold[:, :1] >= 0.5)
        return self._replace(gold=self.gold + np.where(right, np.float32(share), 0) * (answers - self.gold))


def fit(examples: Examples, options: NetworkOptions, seed: int = 0) -> Network:
    """Fit a network; ``seed`` determines the initial weights and all random choices of the fit.

    Raises:
        ValueError: if there is no text.

    """
    if not len(examples.gold):
        raise ValueError("there is no text to fit a network on")
    if options.distilled:
        teacher = fit(examples, replace(options, distilled=0), seed + 1)
        examples = examples.tempered(teacher, options.distilled)
    rng = np.random.default_rng(seed)
    starts = (
        rng.normal(0, 0.02, (examples.features.shape[1], options.inputs)),
        np.zeros(options.inputs),
        _uniform(rng, options.units, options.inputs),
        _uniform(rng, examples.gold.shape[1], options.units),
    )
    parts = [start.astype(np.float32) for start in starts]
    network, adam = Network(*parts), [_Adam(part) for part in parts]  # _Adam updates the arrays in place
    learned, wrappings = np.flatnonzero(examples.learned), np.flatnonzero(~examples.learned)
    honest = learned[examples.gold[learned, 0] < 0.5]
    batches = [learned[places] for places in _batches(learned.size, options, rng)]
    for step, rows in enumerate(batches):
        rate = options.learning_rate * _cycle(step / len(batches))
        joined, wrapped, repeated = (
            _places(rows.size, share, most, rng)
            for share, most in (
                (options.joined * bool(honest.size), options.most_joined),
                (options.wrapped * bool(wrappings.size), options.most_wrapped),
                (options.repeated, options.most_repeated),
            )
        )
        others = rng.choice(honest, joined.size), rng.choice(wrappings, wrapped.size), rows[repeated]
        batch = examples.joined(rows, np.concatenate([joined, wrapped, repeated]), np.concatenate(others))
        ngrams, shown = _dropped_out(batch.features, options.dropout, rng)
        silent = rng.random((rows.size, options.units), dtype=np.float32) < options.unit_dropout
        seen = replace(network, vectors=network.vectors[ngrams])
        gradients = _gradients(seen, shown, silent, batch.gold, batch.weights / rows.size, options)
        adam[0].step(gradients[0], rate, ngrams)
        for part, gradient in zip(adam[1:], gradients[1:], strict=True):
            part.step(gradient, rate)
    return network


def _places(size: int, share: float, most: int, rng: np.random.Generator) -> Ints:
    """Return a random share of the places below ``size``, each repeated 1 to ``most`` times."""
    chosen = np.flatnonzero(rng.random(size) < share)
    return chosen.repeat(rng.integers(1, most + 1, chosen.size))


def _gradients(  # noqa: PLR0913, PLR0917 - a step's random choices, and its targets
    network: Network, shown: Any, silent: Bools, gold: Single, weights: Floats, options: NetworkOptions
) -> tuple[Single, ...]:
    """Return the gradient of the weighted cross-entropy for each part of the network."""
    inputs = network.inputs(shown)
    sums = inputs @ network.hidden[:, :-1].T + network.hidden[:, -1]
    off = silent | (sums <= 0)
    units = sums / np.float32(1 - options.unit_dropout)
    units[off] = 0
    logits = units @ network.output[:, :-1].T + network.output[:, -1]
    errors = ((sigmoid(logits) - gold) * weights).astype(np.float32)
    back = errors @ network.output[:, :-1] / np.float32(1 - options.unit_dropout)
    back[off] = 0
    into = back @ network.hidden[:, :-1]
    return (
        shown.T @ into,
        into.sum(axis=0),
        np.column_stack([back.T @ inputs, back.sum(axis=0)]),
        np.column_stack([errors.T @ units, errors.sum(axis=0)]),
    )


def _dropped_out(features: Any, dropout: float, rng: np.random.Generator) -> tuple[Ints, Any]:
    """Drop a random share of the entries of the features, and scale the others up to compensate.

    Returns:
        The n-grams that are left, and a sparse matrix with a column for each of them.

    """
    from scipy import sparse

    kept = rng.random(features.nnz, dtype=np.float32) >= dropout
    bounds = np.concatenate([[0], kept.cumsum()])[features.indptr].astype(np.int32)
    values = features.data[kept] / np.float32(1 - dropout)
    ngrams, columns = np.unique(features.indices[kept], return_inverse=True)
    return ngrams, sparse.csr_matrix((values, columns.astype(np.int32), bounds), shape=(len(bounds) - 1, ngrams.size))


def _uniform(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Return random weights and a bias for each row, uniform between ±1 / sqrt(columns)."""
    weights: Floats = rng.uniform(-1, 1, (rows, columns + 1)) / np.sqrt(columns)
    return weights


def _batches(count: int, options: NetworkOptions, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield the row numbers of each step's batch."""
    size = min(options.batch_size, count)
    for _ in range(max(options.epochs, -(options.min_steps // -(count // size)))):
        order = rng.permutation(count)
        yield from order[: count // size * size].reshape(-1, size)


def _cycle(done: float) -> float:
    """Return the learning rate, as a share of the highest, after the share ``done`` (from 0 to 1) of the steps."""
    if done < WARM_UP:
        return float(FIRST_RATE + (1 - FIRST_RATE) / 2 * (1 - np.cos(np.pi * done / WARM_UP)))
    return float(0.5 * (1 + np.cos(np.pi * (done - WARM_UP) / (1 - WARM_UP))))


class _Adam:
    """Adam for one array of the network, which it updates in place."""

    def __init__(self, values: Single) -> None:
        self.values = values
        self.mean = np.zeros_like(values)
        self.square = np.zeros_like(values)
        self.steps = 0

    def step(self, gradient: Single, rate: float, rows: Ints | slice = slice(None)) -> None:
        """Update some rows; the other rows and their moving averages are left unchanged."""
        self.steps += 1
        first, second = BETAS
        mean, square = self.mean[rows], self.square[rows]
        mean = first * mean + (1 - first) * gradient
        square = second * square + (1 - second) * gradient**2
        self.mean[rows], self.square[rows] = mean, square
        root = np.sqrt(square / (1 - second**self.steps)) + EPSILON
        self.values[rows] -= rate / (1 - first**self.steps) * mean / root
