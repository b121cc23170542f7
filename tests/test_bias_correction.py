"""Bias correction against weighted means and exact expectations made without it."""

from fractions import Fraction

import numpy as np
import pytest

from adam_tutorial.bias_correction import corrected_ema, drift, drift_limit
from adam_tutorial.moments import ema

BETAS = (Fraction(0), Fraction(1, 2), Fraction(9, 10))
VALUES = [Fraction(k * k % 7 - 3) for k in range(12)]


@pytest.mark.parametrize("beta", BETAS)
def test_it_is_the_weighted_mean(beta):
    for t, seen in enumerate(corrected_ema(VALUES, [beta] * 12), 1):
        weights = [beta ** (t - 1 - i) for i in range(t)]
        mean = sum(w * g for w, g in zip(weights, VALUES[:t], strict=True)) / sum(weights)
        assert seen == mean


@pytest.mark.parametrize("betas", [[Fraction(9, 10)] * 5, [Fraction(k, 9) for k in range(3, 8)]])
def test_ones_average_to_one_for_any_betas(betas):
    assert corrected_ema([1] * 5, betas) == [1] * 5


def test_it_takes_arrays():
    rows = np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(
        corrected_ema(rows, [0.5] * 3)[-1], (rows[0] + 2 * rows[1] + 4 * rows[2]) / 7
    )


def test_a_missing_beta_is_an_error():
    with pytest.raises(ValueError, match="shorter"):
        corrected_ema([1, 2, 3], [0.9, 0.9])


@pytest.mark.parametrize("beta", BETAS)
def test_drift_is_what_the_mass_leaves_unexplained(beta):
    unexplained = [
        m - (1 - beta**t) * mean
        for t, (m, mean) in enumerate(zip(ema(VALUES, beta), VALUES, strict=True), 1)
    ]
    assert drift(VALUES, beta) == unexplained


def test_drift_of_nothing_and_of_a_constant():
    assert drift([], 0.9) == []
    assert drift([Fraction(4)], Fraction(9, 10)) == [0]
    assert drift([Fraction(4)] * 6, Fraction(9, 10)) == [0] * 6


@pytest.mark.parametrize("beta", BETAS)
def test_the_limit_is_the_drift_of_a_straight_line(beta):
    line = [Fraction(3) * k for k in range(12)]
    assert [-zeta for zeta in drift(line, beta)] == [drift_limit(beta, t, 3) for t in range(1, 13)]


def test_the_limit_is_for_a_speed_of_1_unless_told_otherwise():
    assert drift_limit(0.9, 5) == drift_limit(0.9, 5, 1) != drift_limit(0.9, 5, 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda beta: corrected_ema([1.0, 2.0], [0.9, beta]),
        lambda beta: drift([1.0, 2.0], beta),
        lambda beta: drift_limit(beta, 3),
    ],
)
@pytest.mark.parametrize("beta", [1, -0.5, float("nan")])
def test_a_beta_out_of_range_is_named(call, beta):
    with pytest.raises(ValueError, match="beta must be at least 0 and below 1, got"):
        call(beta)
