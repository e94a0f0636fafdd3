"""The network behind a model's heads, and how it is fitted.

Each n-gram has a short vector; the sum of those of a text, by the root of its length, goes
through one layer of rectified units to the heads. All of it is fitted together. In each
step a text is seen with a small share of its n-grams only, drawn anew each time: the
network must recognise a fraud by whatever words of it are there, and what it learns holds
on texts whose words are others. Some texts are seen joined to honest ones: a fraud must
be recognised in whatever it is wrapped in, and a long text is no more often one than a short
text. Some are joined to scraps that say nothing (`fraudscan.wrappings`), and some to themselves. And all of it is
done twice: the answers of a first network temper the labels that the second one learns from, for not every line of a
fraud can be told from an honest one. Those that the first network takes for the other kind keep their label: they are
hard, and are not to be given up.
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
"""The share of the steps in which the learning rate rises, and where it begins; then it falls along a cosine to zero
("one cycle", Smith 2018)."""

FLAT = 1e-3
"""Inputs and units that vary less than this hardly take part, and keep their scale."""

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Of Adam (Kingma and Ba 2015), as its authors chose them. It is a lazy one: an n-gram that a step does not show stays
as it is. Frauds are found as well as with the full one, in less than half of the time."""


@dataclass(frozen=True)
class NetworkOptions:
    """What can be tuned.

    Attributes:
        inputs: the length of an n-gram's vector. Half as much again is no better.
        units: the number of rectified units. Half as many detect as much fraud, but name the
            right label less often.
        dropout: which share of a text's n-grams it is not shown in a step. From a half on, more of it costs a little on
            the corpus's held-out messages and brings much on those of others; it was chosen with a look at both.
        unit_dropout: the same for the units.
        joined: which share of the texts is shown joined to honest ones. With half of it, and one honest text to each,
            a sixth to a half more of the long talks of strangers are taken for fraud; with half as much again, up to
            three times as many texts that hold several advertisements.
        most_joined: to how many honest ones at most.
        wrapped: which share is shown joined to wrappings. Without them times, names and tags hide 4 % of strangers'
            frauds, with them 1.7 %.
        most_wrapped: to how many at most.
        repeated: which share is shown joined to itself. With a third of it, more of what is said twice is taken for
            fraud, and more of long talks.
        most_repeated: how often at most.
        distilled: how much the answer of a network that was fitted without this counts in what a text should be
            answered; its label counts for the rest ("self-distillation", Furlanello and others 2018), and alone where
            that network takes a fraud for honest or the reverse. The more, the more frauds among strangers' messages
            are found at few false alarms, and the fewer of the corpus's shortest ones.
        epochs: about how often each text is shown: an epoch leaves out what fills no batch.
        min_steps: more often where that would make fewer steps than this.
        batch_size: how many texts share a step. Twice as many are a little worse.
        learning_rate: the highest one.

    Raises:
        ValueError: if one is out of its range.

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
            raise ValueError("what is distilled must be at least 0 and at most 1")
        most = min(self.most_joined, self.most_wrapped, self.most_repeated)
        if min(self.epochs, self.min_steps, self.batch_size, most) < 1 or not self.learning_rate > 0:
            raise ValueError("epochs, steps, batch size, what is joined at most and learning rate must be positive")


@dataclass(frozen=True)
class Network:
    """A fitted network.

    Attributes:
        vectors: float32, shape (n-grams, inputs).
        biases: float32, shape (inputs,): added to the sum of a text's vectors.
        hidden: float32, shape (units, inputs + 1): the weights of each unit, and its bias last.
        output: float32, shape (heads, units + 1): the weights of each head, and its bias last.

    """

    vectors: Single
    biases: Single
    hidden: Single
    output: Single

    def inputs(self, features: Any) -> Single:
        """Return what goes into the units, shape (texts, inputs), for a sparse matrix of shape (texts, n-grams)."""
        inputs: Single = features @ self.vectors + self.biases
        return inputs

    def units(self, features: Any) -> Single:
        """Return what the units put out, shape (texts, units)."""
        units: Single = np.maximum(self.inputs(features) @ self.hidden[:, :-1].T + self.hidden[:, -1], 0)
        return units

    def __call__(self, features: Any) -> Single:
        """Return the heads' logits, shape (texts, heads)."""
        logits: Single = self.units(features) @ self.output[:, :-1].T + self.output[:, -1]
        return logits

    def standardized(self, features: Any) -> Network:
        """Return the same network with inputs and units of a standard deviation of one on these texts.

        What a unit puts out can be made smaller by as much as the heads' weights for it are made larger. A unit that
        hardly ever speaks stays as low as a `Layer` wants its weights.
        """
        spread = _spread(self.inputs(features))
        hidden = self.hidden * np.append(spread, np.float32(1))
        size: Single = np.maximum(_spread(self.units(features)), np.abs(hidden).max(axis=1) / np.float32(BOUND))
        output = self.output * np.append(size, np.float32(1))
        return Network(self.vectors / spread, self.biases / spread, hidden / size[:, None], output)


def sigmoid(logits: Any) -> Any:
    """Return the probabilities of logits, in the same precision; no logit is too large for it."""
    return 0.5 + 0.5 * np.tanh(logits / 2)


def _spread(values: Single) -> Single:
    deviations: Single = values.std(axis=0)
    return np.where(deviations < FLAT, np.float32(1), deviations)


class Examples(NamedTuple):
    """Texts to learn from.

    Attributes:
        features: sparse float32, shape (texts, n-grams): sums over each text, divided by what
            `length_norms` says of its length.
        lengths: shape (texts,).
        gold: shape (texts, heads): what each head should answer, from 0 to 1; the first, if the text is not honest.
        weights: shape (texts, heads): how much each answer counts; 0 where a head is not asked.
        learned: shape (texts,): which are learned from; the others are wrappings.

    """

    features: Any
    lengths: Ints
    gold: Single
    weights: Floats
    learned: Bools

    def of(self, rows: Ints) -> Examples:
        """Return those in ``rows``."""
        features, lengths, gold, weights, learned = self
        return Examples(features[rows], lengths[rows], gold[rows], weights[rows], learned[rows])

    def joined(self, rows: Ints, at: Ints, others: Ints) -> Examples:
        """Return those in ``rows``, at the places ``at`` with one of ``others`` behind each; a place may come again.

        The others leave what a text should be answered as it is. (Where answers are tempered, the larger of two was the
        other's often enough to teach that long texts are frauds.)
        """
        from scipy import sparse

        places, texts = np.concatenate([np.arange(rows.size), at]), np.concatenate([rows, others])
        lengths = np.bincount(places, self.lengths[texts])
        shares = (length_norms(self.lengths[texts]) / length_norms(lengths[places])).astype(np.float32)
        join = sparse.csr_matrix((shares, (places, texts)), shape=(rows.size, self.features.shape[0]))
        return Examples(join @ self.features, lengths, self.gold[rows], self.weights[rows], self.learned[rows])

    def tempered(self, teacher: Network, share: float) -> Examples:
        """Return them with answers of which a share is the teacher's, where it knows a fraud from an honest text.

        What it takes for the other kind is hard, and would be given up for its answer.
        """
        answers: Single = sigmoid(teacher(self.features))
        right = (answers[:, :1] >= 0.5) == (self.gold[:, :1] >= 0.5)
        return self._replace(gold=self.gold + np.where(right, np.float32(share), 0) * (answers - self.gold))


def fit(examples: Examples, options: NetworkOptions, seed: int = 0) -> Network:
    """Fit a network; ``seed`` says where it starts, and what it is shown when.

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
    network, adam = Network(*parts), [_Adam(part) for part in parts]  # which moves the network's arrays
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
    """Return a share of the places up to ``size``, chosen at random, each up to ``most`` times."""
    chosen = np.flatnonzero(rng.random(size) < share)
    return chosen.repeat(rng.integers(1, most + 1, chosen.size))


def _gradients(  # noqa: PLR0913, PLR0917 - a step's random choices, and what is right
    network: Network, shown: Any, silent: Bools, gold: Single, weights: Floats, options: NetworkOptions
) -> tuple[Single, ...]:
    """Return the gradient of the weighted cross-entropy for each part of the network."""
    inputs = network.inputs(shown)
    before = inputs @ network.hidden[:, :-1].T + network.hidden[:, -1]
    off = silent | (before <= 0)
    units = before / np.float32(1 - options.unit_dropout)
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
    """Return the features without a share of their entries, the others larger by as much, and which n-grams are left.

    Returns:
        The n-grams, and a sparse matrix with a column for each of them.

    """
    from scipy import sparse

    kept = rng.random(features.nnz, dtype=np.float32) >= dropout
    bounds = np.concatenate([[0], kept.cumsum()])[features.indptr].astype(np.int32)
    values = features.data[kept] / np.float32(1 - dropout)
    ngrams, columns = np.unique(features.indices[kept], return_inverse=True)
    return ngrams, sparse.csr_matrix((values, columns.astype(np.int32), bounds), shape=(len(bounds) - 1, ngrams.size))


def _uniform(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Return weights and a bias for each row, drawn between plus and minus one by the root of the inputs."""
    weights: Floats = rng.uniform(-1, 1, (rows, columns + 1)) / np.sqrt(columns)
    return weights


def _batches(count: int, options: NetworkOptions, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield the rows of each step."""
    size = min(options.batch_size, count)
    for _ in range(max(options.epochs, -(options.min_steps // -(count // size)))):
        order = rng.permutation(count)
        yield from order[: count // size * size].reshape(-1, size)


def _cycle(done: float) -> float:
    """Return the share of the highest learning rate when ``done``, from 0 to 1, of the steps are taken."""
    if done < WARM_UP:
        return float(FIRST_RATE + (1 - FIRST_RATE) / 2 * (1 - np.cos(np.pi * done / WARM_UP)))
    return float(0.5 * (1 + np.cos(np.pi * (done - WARM_UP) / (1 - WARM_UP))))


class _Adam:
    """Moves one array of the network along its gradients, in place."""

    def __init__(self, values: Single) -> None:
        self.values = values
        self.mean = np.zeros_like(values)
        self.square = np.zeros_like(values)
        self.steps = 0

    def step(self, gradient: Single, rate: float, rows: Ints | slice = slice(None)) -> None:
        """Take a step with some rows; the others, and what is remembered of them, stay as they are."""
        self.steps += 1
        first, second = BETAS
        mean, square = self.mean[rows], self.square[rows]
        mean = first * mean + (1 - first) * gradient
        square = second * square + (1 - second) * gradient**2
        self.mean[rows], self.square[rows] = mean, square
        root = np.sqrt(square / (1 - second**self.steps)) + EPSILON
        self.values[rows] -= rate / (1 - first**self.steps) * mean / root
