"""Exponential averages against sums and simulations made without them."""

from fractions import Fraction

import numpy as np
import pytest

from adam_tutorial.moments import effective_size, ema, ema_weights, gain, half_life, mean_age

BETAS = (Fraction(0), Fraction(1, 2), Fraction(9, 10), Fraction(999, 1000))


def weighted_sum(values, beta):
    t = len(values)
    return sum((1 - beta) * beta ** (t - 1 - i) * g for i, g in enumerate(values))


@pytest.mark.parametrize("beta", BETAS)
def test_ema_is_its_weighted_sum(beta):
    values = [Fraction(k * k % 7 - 3) for k in range(12)]
    assert ema(values, beta) == [weighted_sum(values[: t + 1], beta) for t in range(12)]


def test_ema_takes_arrays_and_keeps_their_dtype():
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    averages = ema(rows, 0.5)
    assert [a.dtype for a in averages] == [np.float32] * 4
    np.testing.assert_allclose(averages[-1], weighted_sum(rows, 0.5), rtol=1e-6)


def test_ema_of_nothing_is_nothing():
    assert ema([], 0.9) == []


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("t", [1, 2, 7])
def test_weights_are_oldest_first_and_add_up_to_the_mass(beta, t):
    weights = ema_weights(beta, t)
    assert len(weights) == t and weights[-1] == 1 - beta
    assert weights == sorted(weights)
    assert sum(weights) == 1 - beta**t


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("t", [1, 2, 7])
def test_mean_age_and_size_are_sums_over_the_weights(beta, t):
    shares = [w / (1 - beta**t) for w in ema_weights(beta, t)]
    assert mean_age(beta, t) == sum((t - 1 - i) * w for i, w in enumerate(shares))
    assert effective_size(beta, t) == 1 / sum(w * w for w in shares)


def test_limits_are_the_values_for_large_t():
    assert mean_age(0.9) == pytest.approx(mean_age(0.9, 2000)) == pytest.approx(9)
    assert effective_size(0.9) == pytest.approx(effective_size(0.9, 2000)) == pytest.approx(19)
    assert effective_size(0.999) == pytest.approx(1999)


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.6])
def test_size_under_correlation_is_a_double_sum(rho):
    weights = np.array(ema_weights(0.8, 200))
    places = np.arange(200)
    covariance = rho ** np.abs(places[:, None] - places[None, :])
    assert effective_size(0.8, rho=rho) == pytest.approx(1 / (weights @ covariance @ weights))


def test_size_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="rho = 0 only, not rho = 0.5"):
        effective_size(0.9, 10, rho=0.5)


def test_half_life_halves():
    assert 0.95 ** half_life(0.95) == pytest.approx(0.5)
    assert half_life(2 ** (-1 / 22)) == pytest.approx(22)


@pytest.mark.parametrize("beta", [0, 1, 1.5, -0.1, float("nan")])
def test_half_life_says_which_beta_it_needs(beta):
    with pytest.raises(ValueError, match="above 0 and below 1, got"):
        half_life(beta)


@pytest.mark.parametrize("omega", [0.0, 0.3, 2.0, np.pi])
def test_gain_is_the_height_of_a_filtered_wave(omega):
    wave = np.exp(1j * omega * np.arange(600))
    assert gain(0.9, omega) == pytest.approx(abs(ema(wave, 0.9)[-1]))


BAD = [1, 1.0, -0.1, 2, float("nan"), np.array([0.5, 1.0])]


@pytest.mark.parametrize("beta", BAD, ids=str)
@pytest.mark.parametrize(
    "function",
    [
        lambda beta: ema([1.0], beta),
        lambda beta: ema_weights(beta, 3),
        mean_age,
        effective_size,
        lambda beta: gain(beta, 1.0),
    ],
)
def test_a_beta_out_of_range_is_named(function, beta):
    with pytest.raises(ValueError, match="beta must be at least 0 and below 1, got"):
        function(beta)
