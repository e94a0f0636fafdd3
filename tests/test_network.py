"""The network: its gradients, what it learns, what it is shown, and that the same rows give the same network."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from fraudscan import network as module
from fraudscan.layer import Layer
from fraudscan.network import Network, NetworkOptions, fit

SMALL = NetworkOptions(inputs=6, units=12, dropout=0.5, min_steps=500, batch_size=16, learning_rate=0.02)


def toy(rows=80, cues=4, seed=0):
    """Texts with a cue for each of two heads, beside n-grams that tell nothing; the answers; how much they count."""
    rng = np.random.default_rng(seed)
    gold = rng.random((rows, 2)) < 0.5
    features = (rng.random((rows, 40)) < 0.3).astype(np.float32)
    for head in range(2):
        features[:, head * cues : (head + 1) * cues] = gold[:, head : head + 1]
    return sparse.csr_matrix(features), gold, np.ones(gold.shape)


def bytes_of(network):
    return [part.tobytes() for part in vars(network).values()]


def test_the_same_seed_gives_the_same_network():
    features, gold, weights = toy()
    features.data.setflags(write=False)
    first = fit(features, gold, weights, SMALL, seed=3)
    assert bytes_of(fit(features, gold, weights, SMALL, seed=3)) == bytes_of(first)
    assert bytes_of(fit(features, gold, weights, SMALL, seed=4)) != bytes_of(first)


def test_answers_that_do_not_count_do_not_matter():
    features, gold, weights = toy()
    weights[::3, 1] = 0
    other = gold.copy()
    other[::3, 1] ^= True
    assert bytes_of(fit(features, other, weights, SMALL)) == bytes_of(fit(features, gold, weights, SMALL))


def test_it_learns_what_can_be_learned_and_survives_what_cannot():
    features, gold, _weights = toy(rows=200)
    gold = np.column_stack([gold, np.ones(len(gold), dtype=bool), np.zeros(len(gold), dtype=bool)])
    network = fit(features, gold, np.ones(gold.shape), SMALL)
    logits = network(features)
    assert np.isfinite(logits).all()
    assert ((logits > 0) == gold).mean() > 0.95


def test_it_knows_a_text_by_any_of_its_words():
    """Each cue alone is enough, though in all texts that it was fitted on they stand together."""
    features, gold, weights = toy(rows=300)
    network = fit(features, gold, weights, SMALL)
    for cue in range(4):
        alone = features.toarray()
        alone[:, [other for other in range(4) if other != cue]] = 0
        logits = network(sparse.csr_matrix(alone))[:, 0]
        assert logits[gold[:, 0]].mean() > logits[~gold[:, 0]].mean() + 1


@given(st.integers(0, 2**32), st.floats(0, 0.9))
@settings(max_examples=20)
def test_what_is_shown_is_a_share_of_the_entries_and_as_large_on_average(seed, dropout):
    features = sparse.csr_matrix(np.random.default_rng(seed).random((50, 80), dtype=np.float32))
    shown = module._dropped_out(features, dropout, np.random.default_rng(seed)).toarray()
    kept = shown != 0
    assert kept.mean() == pytest.approx(1 - dropout, abs=0.06)
    assert shown[kept] == pytest.approx(features.toarray()[kept] / (1 - dropout), rel=1e-4)


def test_gradients_are_those_of_the_cross_entropy():
    """A wrong factor would still learn, and worse."""
    options = NetworkOptions(inputs=5, units=7, dropout=0, unit_dropout=0.25)
    rng = np.random.default_rng(1)
    features = sparse.csr_matrix(rng.random((9, 11)) * (rng.random((9, 11)) < 0.5))
    gold, weights = rng.random((9, 3)) < 0.5, rng.random((9, 3))
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
    found = module._gradients(network, features.astype(np.float32), silent, gold, weights, options)
    for part, gradient in zip(parts, found, strict=True):
        assert gradient.shape == part.shape
        for place in np.ndindex(part.shape):
            before = part[place]
            ends = []
            for step in (1e-5, -1e-5):
                part[place] = before + step
                ends.append(loss())
            part[place] = before
            assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-3)


def test_standardized_says_the_same_and_fits_a_layer():
    features, gold, weights = toy()
    network = fit(features, gold, weights, SMALL)
    hidden = network.hidden.copy()
    hidden[2] = -1e-7  # a unit that is hardly ever heard
    hidden[3, :-1], hidden[3, -1] = 0, -1  # and one that never is
    network = Network(network.vectors, network.biases, hidden, network.output)
    same = network.standardized(features)
    assert same(features) == pytest.approx(network(features), abs=1e-4)
    assert same.inputs(features).std(axis=0) == pytest.approx(1, abs=1e-3)
    Layer(same.hidden, same.output)


@pytest.mark.parametrize("rows", [1, 15, 16, 17])
def test_few_rows_make_enough_steps(rows):
    features, gold, weights = toy(rows=17)
    before = fit(features[:rows], gold[:rows], weights[:rows], NetworkOptions(inputs=2, units=3, epochs=1, min_steps=1))
    after = fit(features[:rows], gold[:rows], weights[:rows], NetworkOptions(inputs=2, units=3, epochs=1, min_steps=90))
    assert np.isfinite(after(features)).all()
    assert np.abs(after.vectors).max() > np.abs(before.vectors).max()


def test_no_rows_are_refused():
    features, gold, weights = toy()
    with pytest.raises(ValueError, match="no text"):
        fit(features[:0], gold[:0], weights[:0], SMALL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputs": 0},
        {"inputs": 65},
        {"units": 257},
        {"dropout": 1.0},
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
