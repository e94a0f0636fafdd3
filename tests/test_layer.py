"""The layer: exact in any batch, equal to its definition, and linear as long as no unit switches on or off."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan.layer import BOUND, MAX_INPUTS, MAX_UNITS, MOST, SCALE, Layer


def random_layer(seed, size=1.0):
    """Return a layer with random weights, and a random generator for its inputs."""
    rng = np.random.default_rng(seed)
    units, inputs, heads = rng.integers(1, 40), rng.integers(1, 50), rng.integers(1, 8)
    return Layer(rng.normal(0, size, (units, inputs + 1)), rng.normal(0, size, (heads, units + 1))), rng


def expected(layer, inputs):
    """Return the heads' logits for one text, in fractions. Only inputs and hidden values are rounded."""

    def rounded(value):
        return Fraction(int(np.rint(min(max(value, -BOUND), BOUND) * SCALE)), int(SCALE))

    def weighted_sum(weights, values):
        *weights, bias = map(Fraction, weights)
        return bias + sum(weight * value for weight, value in zip(weights, values, strict=True))

    values = [rounded(value) for value in inputs.tolist()]
    units = [weighted_sum(weights, values) for weights in layer.hidden.tolist()]
    units = [Fraction(round(min(max(unit, 0), int(MOST)) * int(SCALE)), int(SCALE)) for unit in units]
    return [float(weighted_sum(weights, units)) for weights in layer.output.tolist()]


@given(st.integers(0, 2**32), st.integers(0, 900), st.sampled_from([0.01, 1.0, 7.0]))
@settings(max_examples=100)
def test_output_equals_the_definition_alone_and_in_any_batch(seed, texts, spread):
    layer, rng = random_layer(seed)
    inputs = rng.normal(0, spread, (layer.inputs, texts))
    before = inputs.copy()
    together = layer(inputs)
    assert together.shape == (len(layer.output), texts)
    assert np.array_equal(inputs, before)
    assert np.array_equal(layer(np.asfortranarray(inputs)), together)
    order = rng.permutation(texts)
    assert np.array_equal(layer(inputs[:, order]), together[:, order])
    for i in range(texts):
        assert np.array_equal(layer(inputs[:, i : i + 1])[:, 0], together[:, i])
    assert together.T[:3].tolist() == [expected(layer, column) for column in inputs.T[:3]]


def test_the_largest_sums_are_exact():
    rng = np.random.default_rng(0)
    hidden = rng.choice([BOUND, BOUND - 8], (MAX_UNITS, MAX_INPUTS + 1))
    layer = Layer(hidden, rng.choice([BOUND, BOUND - 8], (2, MAX_UNITS + 1)))
    inputs = rng.choice([BOUND, BOUND - 1 / SCALE, 1e9], (MAX_INPUTS, 3))
    assert layer(inputs).T.tolist() == [expected(layer, column) for column in inputs.T]


@given(st.integers(0, 2**32))
@settings(max_examples=100)
def test_the_gradient_is_the_slope_of_a_linear_piece(seed):
    layer, rng = random_layer(seed, 0.5)
    at = np.rint(rng.normal(0, 3, layer.inputs) * SCALE) / SCALE
    step = 16 / SCALE
    heads = rng.normal(0, 1, len(layer.output))
    rounding = np.abs(heads @ layer.output[:, :-1]).sum() / SCALE / (2 * step)  # error from rounding the hidden values
    several = layer.gradient(at[:, None] * [1, 2, 1], heads[:, None] * [1, 1, 2])
    assert several.shape == (layer.inputs, 3)
    slopes = several[:, 0]
    assert several[:, 2] == pytest.approx(2 * slopes)
    for i, slope in enumerate(slopes.tolist()):
        ends = at[:, None] + step * np.eye(layer.inputs)[:, [i, i]] * [-1, 1]
        active = layer.hidden[:, :-1] @ ends + layer.hidden[:, -1:] > 0
        if (active[:, 0] == active[:, 1]).all():
            low, high = heads @ layer(ends)
            assert (high - low) / (2 * step) == pytest.approx(slope, abs=rounding)


def test_units_beyond_their_bounds_have_no_slope():
    layer = Layer([[4.0, 0.0]], [[1.0, 0.0]])
    assert layer(np.array([[-1.0, 1.0, 17.0, 18.0]])).tolist() == [[0.0, 4.0, MOST, MOST]]
    assert layer.gradient(np.array([[-1.0, 1.0, 17.0]]), np.ones((1, 3))).tolist() == [[0.0, 4.0, 0.0]]


@pytest.mark.parametrize(
    ("hidden", "output", "fault"),
    [
        ([1.0, 2.0], [[1.0, 2.0]], r"hidden layer of shape \(2,\) does not fit an output of shape \(1, 2\)"),
        ([[1.0, 2.0]], [[1.0]], r"shape \(1, 2\) does not fit an output of shape \(1, 1\)"),
        ([[1.0, 2.0]], [1.0, 2.0], r"does not fit an output of shape \(2,\)"),
        ([[1.0, float("nan")]], [[1.0, 0.0]], "must be finite"),
        ([[1.0, 2.0]], [[1.0, float("inf")]], "must be finite"),
        ([[1.0, -BOUND - 1]], [[1.0, 0.0]], "at most 32"),
        (np.zeros((1, MAX_INPUTS + 2)), np.zeros((1, 2)), "at most 64 inputs and 256 units"),
        (np.zeros((MAX_UNITS + 1, 2)), np.zeros((1, MAX_UNITS + 2)), "at most 64 inputs and 256 units"),
    ],
)
def test_invalid_layers_are_refused(hidden, output, fault):
    with pytest.raises(ValueError, match=fault):
        Layer(hidden, output)


def test_a_layer_cannot_be_changed():
    layer, _ = random_layer(0)
    for array in (layer.hidden, layer.output):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_unit_at_its_bound_has_no_slope():
    layer = Layer([[BOUND, 0.0], [1.0, 0.0]], [[1.0, 1.0, 0.0]])
    assert layer.gradient(np.array([[1.0, MOST / BOUND]]), np.ones((1, 2))).tolist() == [[BOUND + 1, 1]]


def test_sums_that_rounding_makes_larger_are_exact():
    layer = Layer([[0.06214887152975539, 1.933797957312987, 0.12970147696823903]], [[1.0, 0.0]])
    step = next(2.0**-n for n in range(60) if not (layer.hidden * 2.0**n % 1).any())  # all weights are multiples of it
    assert np.abs(layer.hidden) @ [BOUND * SCALE, BOUND * SCALE, SCALE] <= 2**24 * step


def test_errors_that_only_blas_reports_are_no_warnings():
    layer, _ = random_layer(0)
    inputs = np.zeros((layer.inputs, 3))
    for name in ("_weights", "_heads", "hidden", "output"):  # infinities, where some BLAS needs none
        setattr(layer, name, np.full_like(getattr(layer, name), np.inf))
    layer(inputs)
    layer.gradient(inputs, np.zeros((len(layer.output), 3)))
