"""AdaMax: a maximum that fades, the exact bound on its steps, and what happens before any gradient."""

from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cases import gradients

from adam_tutorial import AdaMax

G = np.array([3.0, -1.0, 0.5, -1024.0])
DTYPES = [np.float64, np.float32, np.float16, np.dtype(ml_dtypes.bfloat16)]


def run(gs: Any, **hyper: Any) -> tuple[Any, Any]:
    """The way down of each step from 0, for lr = 1 unless another is asked for, and the last state."""
    optimizer, theta = AdaMax(**{"lr": 1.0, **hyper}), np.zeros_like(gs[0])
    state, seen = optimizer.init(theta), []
    for g in gs:
        before = theta.copy()
        optimizer.step(theta, g, state)
        seen.append(before - theta)
    return np.array(seen), state


def exact(gs: list[Fraction], beta1: Fraction, beta2: Fraction) -> list[Fraction]:
    """The moves of the rule itself in rational numbers, lr = 1."""
    theta, m, u, seen = Fraction(0), Fraction(0), Fraction(0), []
    for t, g in enumerate(gs, start=1):
        new, m, u = AdaMax.rule(theta, g, m, u, lr=1, beta1=beta1, beta2=beta2, t=t)
        seen.append(theta - new)
        theta = new
    return seen


def longest(t: int, beta1: Fraction, beta2: Fraction) -> Fraction:
    """A_t, the least upper bound of |m_hat| / u."""
    r = beta1 / beta2
    return (1 - beta1) * (1 - r**t) / ((1 - beta1**t) * (1 - r))


def test_the_defaults_are_the_papers() -> None:
    assert AdaMax() == AdaMax(lr=2e-3, beta1=0.9, beta2=0.999)


def test_the_maximum_is_the_largest_faded_gradient() -> None:
    gs = gradients("spiked")
    _, state = run(gs, beta2=0.9)
    age = np.arange(199.0, -1, -1)[:, None]
    np.testing.assert_allclose(state.u, (0.9**age * np.abs(gs)).max(axis=0), rtol=1e-12)


def test_the_average_is_corrected_and_the_maximum_is_not() -> None:
    moves, state = run([G, 0 * G], beta1=0.5, beta2=0.5)
    assert moves[0].tolist() == np.sign(G).tolist()
    # m = g/4, corrected by 3/4; u = |g|/2
    np.testing.assert_allclose(moves[1], np.sign(G) * (1 / 3) / 0.5, rtol=1e-15)
    assert state.u.tolist() == (np.abs(G) / 2).tolist()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nothing_moves_and_nothing_warns_before_the_first_gradient(dtype: Any) -> None:
    zero = np.zeros(5, dtype)
    with np.errstate(all="raise"):
        moves, state = run([zero] * 20)
    assert not np.any(moves.astype(float)) and not state.u.any()


def test_a_late_first_gradient_is_corrected_by_all_steps() -> None:
    moves, _ = run([np.zeros(1)] * 9 + [np.ones(1)], beta1=0.5)
    assert moves[-1] == pytest.approx(0.5 / (1 - 0.5**10), rel=1e-15)


def test_the_metric_is_the_maximum_over_lr_and_1_over_lr_before() -> None:
    optimizer, theta = AdaMax(lr=0.5), np.zeros(2)
    state = optimizer.init(theta)
    optimizer.step(theta, np.array([0.0, -4.0]), state)
    assert optimizer.metric(state).tolist() == [2.0, 8.0]


BETAS = [
    (Fraction(9, 10), Fraction(999, 1000)),
    (Fraction(1, 2), Fraction(3, 4)),
    (Fraction(0), Fraction(1, 2)),
]


@pytest.mark.parametrize(("beta1", "beta2"), BETAS)
def test_the_bound_is_attained_exactly(beta1: Fraction, beta2: Fraction) -> None:
    for t in (1, 2, 5, 20):
        gs = [beta2 ** (i - t) for i in range(1, t + 1)]
        assert exact(gs, beta1, beta2)[-1] == longest(t, beta1, beta2)


@pytest.mark.parametrize(("beta1", "beta2"), BETAS)
def test_no_other_sequence_goes_beyond(beta1: Fraction, beta2: Fraction) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        gs = [Fraction(int(k), 8) for k in rng.integers(-40, 41, 12)]
        for t, move in enumerate(exact(gs, beta1, beta2), start=1):
            assert abs(move) <= longest(t, beta1, beta2)


def test_the_bound_rises_to_111_over_110_and_passes_1_at_the_second_step() -> None:
    bounds = [longest(t, *BETAS[0]) for t in range(1, 60)]
    assert bounds[0] == 1 and all(a < b for a, b in zip(bounds, bounds[1:], strict=False))
    limit = BETAS[0][1] * (1 - BETAS[0][0]) / (BETAS[0][1] - BETAS[0][0])
    assert limit == Fraction(111, 110) > bounds[-1]


def test_equal_memories_have_no_bound() -> None:
    beta = Fraction(9, 10)
    gs = [beta**i for i in range(1, 101)]
    assert float(exact(gs, beta, beta)[-1]) == pytest.approx(10.0, rel=1e-3)


def test_it_is_the_limit_of_powers_that_fade_together() -> None:
    gs, p = np.abs(gradients("random")[:30]), 20_000
    age = np.arange(29.0, -1, -1)[:, None]
    u = (0.9**age * gs).max(axis=0)
    _, state = run(gs, beta2=0.9)
    average = u * ((1 - 0.9**p) * ((0.9**age * gs / u) ** p).sum(axis=0)) ** (1 / p)
    np.testing.assert_allclose(state.u, average, rtol=1e-3)


def test_an_outlier_fades_by_beta2_a_step_whatever_its_size() -> None:
    for size in (10.0, 1e6):
        _, state = run(np.array([[size], *[[0.0]] * 50]), beta2=0.9)
        assert state.u.item() == pytest.approx(size * 0.9**50, rel=1e-12)
