"""The network: its gradients, what it learns, the examples it is given, and reproducibility."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from fraudscan import network as module
from fraudscan.engine import length_norms
from fraudscan.layer import Layer
from fraudscan.network import Examples, Network, NetworkOptions, fit

SMALL = NetworkOptions(inputs=6, units=12, dropout=0.5, min_steps=500, batch_size=16, learning_rate=0.02)


def toy(rows=80, cues=4, seed=0):
    """Return texts with cues for each of two heads, among n-grams that carry no information."""
    rng = np.random.default_rng(seed)
    gold = rng.random((rows, 2)) < 0.5
    features = (rng.random((rows, 40)) < 0.3).astype(np.float32)
    for head in range(2):
        features[:, head * cues : (head + 1) * cues] = gold[:, head : head + 1]
    return Examples(
        sparse.csr_matrix(features), np.full(rows, 30), gold.astype(np.float32), np.ones(gold.shape), gold[:, 0] >= 0
    )


def bytes_of(network):
    return [part.tobytes() for part in vars(network).values()]


def test_the_same_seed_gives_the_same_network():
    examples = toy()
    examples.features.data.setflags(write=False)
    first = fit(examples, SMALL, seed=3)
    assert bytes_of(fit(examples, SMALL, seed=3)) == bytes_of(first)
    assert bytes_of(fit(examples, SMALL, seed=4)) != bytes_of(first)


def test_targets_of_weight_zero_are_ignored():
    examples = toy()
    examples.weights[::3, 1] = 0
    other = examples.gold.copy()
    other[::3, 1] = 1 - other[::3, 1]
    assert bytes_of(fit(examples._replace(gold=other), SMALL)) == bytes_of(fit(examples, SMALL))


def test_it_learns_cues_and_survives_targets_that_are_all_alike():
    examples = toy(rows=200)
    rows = len(examples.gold)
    gold = np.column_stack([examples.gold, np.ones(rows), np.zeros(rows)]).astype(np.float32)
    logits = fit(examples._replace(gold=gold, weights=np.ones(gold.shape)), SMALL)(examples.features)
    assert np.isfinite(logits).all()
    assert ((logits > 0) == gold).mean() > 0.95


def test_it_recognises_a_text_by_any_single_cue():
    """Each cue alone is enough, although the cues always occur together in the training texts."""
    examples = toy(rows=300)
    network, lures = fit(examples, SMALL), examples.gold[:, 0] > 0
    for cue in range(4):
        alone = examples.features.toarray()
        alone[:, [other for other in range(4) if other != cue]] = 0
        logits = network(sparse.csr_matrix(alone))[:, 0]
        assert logits[lures].mean() > logits[~lures].mean() + 1


@pytest.mark.parametrize("joined", [0, 0.5])
def test_frauds_among_harmless_words_are_recognised_only_if_trained_on_joined_texts(joined):
    """Here lures are short, so honest texts are recognised by their many words as well as by the lack of a cue."""
    rng = np.random.default_rng(0)
    gold = np.arange(200) % 2 == 0
    features = (rng.random((200, 60)) < 0.4).astype(np.float32)
    features[gold, 4:], features[gold, :4], features[~gold, :4] = 0, 1, 0
    everything = np.ones(200, dtype=bool)
    examples = Examples(
        sparse.csr_matrix(features), np.full(200, 30), gold[:, None].astype(np.float32), np.ones((200, 1)), everything
    )
    network = fit(examples, replace(SMALL, joined=joined))
    wrapped = np.array([1] * 4 + [0.4] * 56, dtype=np.float32)[None]
    assert (network(sparse.csr_matrix(wrapped))[0, 0] > 0) == (joined > 0)
    assert ((network(examples.features)[:, 0] > 0) == gold).all()


def with_wrappings(examples, column):
    """Return the examples and ten wrappings. Each has one n-gram, and targets that must not be learned."""
    features = np.zeros((10, examples.features.shape[1]), dtype=np.float32)
    features[:, column] = 1
    gold, weights = examples.gold[:10] + 1, np.ones((10, examples.gold.shape[1]))
    parts = (features, np.full(10, 5), gold, weights, np.zeros(10, dtype=bool))
    dense = examples._replace(features=examples.features.toarray())
    joined = Examples(*(np.concatenate(pair) for pair in zip(dense, parts, strict=True)))
    return joined._replace(features=sparse.csr_matrix(joined.features))


def test_wrappings_are_not_trained_on_alone():
    examples = toy()
    options = replace(SMALL, wrapped=0)
    assert bytes_of(fit(with_wrappings(examples, 39), options)) == bytes_of(fit(examples, options))


@pytest.mark.parametrize("wrapped", [0, 0.9])
def test_ngrams_of_wrappings_are_evidence_for_neither_class(wrapped):
    """An n-gram that occurs in honest texts only outweighs a fraud's cue, unless it is trained on as a wrapping."""
    examples = toy(rows=300)
    features = examples.features.toarray()
    features[:, 1:8], features[:, 38] = 0, 3 * (1 - examples.gold[:, 0])
    examples = examples._replace(features=sparse.csr_matrix(features))
    network = fit(with_wrappings(examples, 38), replace(SMALL, wrapped=wrapped, joined=0, repeated=0))
    lures = features[examples.gold[:, 0] > 0]
    lures[:, 38] = 3
    assert ((network(sparse.csr_matrix(lures))[:, 0] > 0).mean() > 0.9) == (wrapped > 0)


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_joined_texts_have_the_features_of_all_and_the_targets_of_the_first(seed):
    rng = np.random.default_rng(seed)
    counts, lengths = rng.integers(0, 3, (10, 20)), rng.integers(0, 800, 10)
    gold, weights = rng.random((10, 3), dtype=np.float32), rng.integers(0, 2, (10, 3)).astype(float)
    counts[9], lengths[9] = 0, 0  # an empty text, which changes nothing
    features = sparse.csr_matrix((counts / length_norms(lengths)[:, None]).astype(np.float32))
    texts = Examples(features, lengths, gold, weights, lengths >= 0).joined(
        np.array([3, 5, 0, 8]), np.array([0, 3, 0]), np.array([7, 8, 6])
    )
    first, second, third = [3, 5, 0, 8], [7, 9, 9, 8], [6, 9, 9, 9]
    assert texts.lengths.tolist() == (lengths[first] + lengths[second] + lengths[third]).tolist()
    norms = length_norms(texts.lengths)[:, None]
    assert texts.features.toarray() == pytest.approx((counts[first] + counts[second] + counts[third]) / norms, abs=1e-5)
    assert (texts.gold.tolist(), texts.weights.tolist()) == (gold[first].tolist(), weights[first].tolist())


def test_labels_are_tempered_by_a_network_that_was_fitted_on_labels_alone():
    examples, plain = toy(), replace(SMALL, distilled=0)
    examples.gold[:8] = 1 - examples.gold[:8]  # wrong labels, which no feature of these texts supports
    teacher = fit(examples, plain, seed=8)
    tempered = examples.tempered(teacher, 0.3)
    answers = 1 / (1 + np.exp(-teacher(examples.features)))
    wrong = (answers[:, 0] >= 0.5) != (examples.gold[:, 0] == 1)
    assert wrong[:8].all()
    assert not wrong[8:].any()
    assert tempered.gold[8:] == pytest.approx(0.7 * examples.gold[8:] + 0.3 * answers[8:], abs=1e-6)
    assert tempered.gold[:8].tolist() == examples.gold[:8].tolist()  # hard texts keep their labels
    twice = fit(examples, replace(SMALL, distilled=0.3), seed=7)
    assert bytes_of(twice) == bytes_of(fit(tempered, plain, seed=7))
    assert bytes_of(twice) != bytes_of(fit(examples, plain, seed=7))


@given(st.integers(0, 2**32), st.floats(0, 0.9))
@settings(max_examples=20)
def test_dropout_keeps_a_share_of_the_entries_and_scales_them_up(seed, dropout):
    features = sparse.csr_matrix(np.random.default_rng(seed).random((50, 80), dtype=np.float32))
    ngrams, columns = module._dropped_out(features, dropout, np.random.default_rng(seed))
    shown = np.zeros(features.shape)
    shown[:, ngrams] = columns.toarray()
    kept = shown != 0
    assert kept.mean() == pytest.approx(1 - dropout, abs=0.06)
    assert shown[kept] == pytest.approx(features.toarray()[kept] / (1 - dropout), rel=1e-4)


def test_gradients_are_those_of_the_cross_entropy():
    """With a wrong factor, a network would still learn, but worse."""
    options = NetworkOptions(inputs=5, units=7, dropout=0, unit_dropout=0.25)
    rng = np.random.default_rng(1)
    features = sparse.csr_matrix(rng.random((9, 11)) * (rng.random((9, 11)) < 0.5))
    gold, weights = rng.random((9, 3)), rng.random((9, 3))
    silent = rng.random((9, 7)) < options.unit_dropout
    shapes = ((11, 5), (5,), (7, 6), (3, 8))
    parts = [rng.normal(size=shape) for shape in shapes]

    def loss():
        vectors, biases, hidden, output = parts
        units = np.maximum((features @ vectors + biases) @ hidden[:, :-1].T + hidden[:, -1], 0)
        units = np.where(silent, 0, units / (1 - options.unit_dropout))
        logits = units @ output[:, :-1].T + output[:, -1]
        return float((weights * (np.logaddexp(0, logits) - gold * logits)).sum())

    network = Network(*(part.astype(np.float32) for part in parts))
    gradients = module._gradients(network, features.astype(np.float32), silent, gold, weights, options)
    for part, gradient in zip(parts, gradients, strict=True):
        assert gradient.shape == part.shape
        for place in np.ndindex(part.shape):
            before = part[place]
            losses = []
            for step in (1e-5, -1e-5):
                part[place] = before + step
                losses.append(loss())
            part[place] = before
            assert gradient[place] == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-3)


def test_the_learning_rate_rises_and_falls_along_a_cosine(monkeypatch):
    assert module._cycle(0) == pytest.approx(module.FIRST_RATE)
    assert module._cycle(module.WARM_UP / 2) == pytest.approx((1 + module.FIRST_RATE) / 2)
    assert module._cycle(module.WARM_UP) == 1
    assert module._cycle((1 + module.WARM_UP) / 2) == pytest.approx(0.5)
    assert module._cycle(1) == pytest.approx(0)
    rates, step = [], module._Adam.step

    def spied(self, gradient, rate, *rows):
        rates.append(rate)
        step(self, gradient, rate, *rows)

    monkeypatch.setattr(module._Adam, "step", spied)
    fit(toy(), replace(SMALL, distilled=0, epochs=4, min_steps=1))
    expected = [SMALL.learning_rate * module._cycle(step / 20) for step in range(20)]
    assert rates == pytest.approx(np.repeat(expected, 4))  # each part of the network takes every step


def test_steps_are_of_the_size_of_the_rate_from_the_start():
    """However small a gradient is, and although the moving averages start at zero."""
    adam = module._Adam(np.zeros(3, dtype=np.float32))
    for steps in range(1, 4):
        adam.step(np.array([1e-3, -20, 4], dtype=np.float32), 0.1)
        assert adam.values == pytest.approx(np.array([-0.1, 0.1, -0.1]) * steps, rel=1e-3)


def test_places_are_a_random_share_repeated_up_to_the_maximum():
    places = module._places(10_000, 0.3, 4, np.random.default_rng(0))
    counts = np.bincount(np.bincount(places, minlength=10_000))
    assert counts.size == 5
    assert counts == pytest.approx([7000, 750, 750, 750, 750], abs=120)


def test_shares_of_repeated_texts_and_silent_units_match_the_options(monkeypatch):
    joined, gradients = Examples.joined, module._gradients
    repeated, silenced = [], []

    def joining(self, rows, at, others):
        assert (others == rows[at]).all()
        repeated.append(np.unique(at).size / rows.size)
        return joined(self, rows, at, others)

    def spied(network, shown, silent, *arguments):
        silenced.append(silent.mean())
        return gradients(network, shown, silent, *arguments)

    monkeypatch.setattr(Examples, "joined", joining)
    monkeypatch.setattr(module, "_gradients", spied)
    fit(toy(), replace(SMALL, joined=0, repeated=0.4, unit_dropout=0.25))
    assert np.mean(repeated) == pytest.approx(0.4, abs=0.02)
    assert np.mean(silenced) == pytest.approx(0.25, abs=0.01)


def test_the_standardized_network_is_equivalent_and_fits_a_layer():
    examples = toy()
    features, network = examples.features, fit(examples, SMALL)
    hidden = network.hidden.copy()
    hidden[2] = -1e-7  # a unit that is hardly ever active
    hidden[3, :-1], hidden[3, -1] = 0, -1  # and one that never is
    network = Network(network.vectors, network.biases, hidden, network.output)
    same = network.standardized(features)
    assert same(features) == pytest.approx(network(features), abs=1e-4)
    assert same.inputs(features).std(axis=0) == pytest.approx(1, abs=1e-3)
    Layer(same.hidden, same.output)


@pytest.mark.parametrize("rows", [1, 15, 16, 17])
def test_few_rows_are_trained_on_for_the_minimum_of_steps(rows):
    examples = toy(rows=17).of(np.arange(rows))
    before, after = (fit(examples, NetworkOptions(2, 3, epochs=1, min_steps=steps)) for steps in (1, 90))
    assert np.isfinite(after(examples.features)).all()
    assert np.abs(after.vectors).max() > np.abs(before.vectors).max()


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="no text"):
        fit(toy().of(np.arange(0)), SMALL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputs": 0},
        {"inputs": 65},
        {"units": 257},
        {"dropout": 1.0},
        {"joined": 1.1},
        {"wrapped": 5.0},
        {"repeated": -0.1},
        {"most_wrapped": 0},
        {"most_repeated": -3},
        {"distilled": 1.1},
        {"unit_dropout": -0.1},
        {"epochs": 0},
        {"min_steps": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be|a network has"):
        NetworkOptions(**wrong)
