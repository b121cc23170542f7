"""Momentum: the heavy ball and Nesterov's method, their two forms, and what they share with SGD."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cases import gradients

from adam_tutorial import SGD, Momentum, Nesterov, Optimizer, Ravine, Saddle, trace

both = pytest.mark.parametrize("make", [Momentum, Nesterov])
G = np.array([3.0, -1.0, 0.5, -1024.0])
LR = [0.5, 0.25, 0.125, 0.5, 1.0, 0.0, 0.25]  # powers of two, or 0: nothing here is rounded
BETA = [0.5, 0.75, 0.25, 0.5, 0.875, 0.0, 0.75, 0.5]


def lr_of(t: int) -> float:
    return LR[t - 1]


def beta_of(t: int) -> float:
    return BETA[t - 1]


def run(optimizer: Optimizer, theta: Any, grad: Callable[[Any], Any], steps: int) -> Any:
    """The parameters after each step, from 0 to `steps`, and the last state."""
    theta = np.array(theta)
    state, seen = optimizer.init(theta), [theta.copy()]
    for _ in range(steps):
        optimizer.step(theta, grad(theta), state)
        seen.append(theta.copy())
    return np.array(seen), state


# --- the rules


def test_the_heavy_ball_keeps_its_last_move_with_the_learning_rate_inside() -> None:
    theta, state = np.zeros(4), Momentum(lr_of, 0.5).init(np.zeros(4))
    m = np.zeros(4)
    for t in range(1, 8):
        before = theta.copy()
        Momentum(lr_of, 0.5).step(theta, t * G, state)
        m = 0.5 * m + LR[t - 1] * t * G
        assert state.m.tolist() == m.tolist()
        assert (before - theta).tolist() == m.tolist()


def test_the_velocity_form_is_the_two_step_form() -> None:
    theta, before = Fraction(3), Fraction(3)
    x, m, beta = Fraction(3), Fraction(0), Fraction(3, 5)
    for t in range(1, 7):  # the number of digits doubles with each square
        lr = Fraction(1 + t % 3, 10)
        theta, before = theta - lr * theta**2 / 9 + beta * (theta - before), theta
        x, m = Momentum.rule(x, x**2 / 9, m, lr=lr, momentum=beta)
        assert x == theta


def test_nesterov_is_the_look_ahead_form_seen_from_where_it_takes_gradients() -> None:
    theta = np.array([1.0, -2.0])
    nesterov = Nesterov(lr_of, beta_of)
    phi, state, m = theta.copy(), nesterov.init(theta), np.zeros(2)
    for t in range(1, 8):
        assert phi.tolist() == (theta - BETA[t - 1] * m).tolist()
        nesterov.step(phi, 0.25 * phi, state)
        m = BETA[t - 1] * m + LR[t - 1] * 0.25 * (theta - BETA[t - 1] * m)
        theta = theta - m
        assert state.m.tolist() == m.tolist()
        assert (phi + state.momentum_next * state.m).tolist() == theta.tolist()


def test_nesterov_asks_for_the_momentum_of_this_step_and_the_next() -> None:
    asked = []

    def momentum(t: int) -> float:
        asked.append(t)
        return 0.5

    theta = np.ones(1)
    nesterov = Nesterov(0.1, momentum)
    state = nesterov.init(theta)
    for t in range(1, 5):
        asked.clear()
        nesterov.step(theta, np.ones(1), state)
        assert sorted(asked) == [t, t + 1]


def test_nesterov_keeps_the_next_momentum_in_its_scalars() -> None:
    for method, expected in ((Nesterov(0.1, 0.75), 0.75), (Nesterov(0.1, beta_of), BETA[1])):
        assert method.init(np.ones(1)).scalars == {}
        _, state = method.update(np.ones(1), np.ones(1), method.init(np.ones(1)))
        assert state.scalars == {"momentum_next": expected}


def test_the_first_momentum_of_nesterov_does_not_matter() -> None:
    ends = []
    for first in (0.0, 0.9):
        schedule = Nesterov(0.1, lambda t, first=first: first if t == 1 else 0.5)
        ends.append(run(schedule, G, lambda x: 0.5 * x, 5)[0][-1].tolist())
    assert ends[0] == ends[1]


@both
def test_without_momentum_it_is_gradient_descent(make: Any) -> None:
    gs = gradients("random")
    seen = [
        run(method, gs[0], lambda x: np.sin(x), 50)[0]
        for method in (make(0.3, momentum=0.0), SGD(0.3))
    ]
    np.testing.assert_array_equal(*seen)


# --- steady gradients, alternating gradients, none


@both
@pytest.mark.parametrize(("sign", "gain"), [(1, 10.0), (-1, 1 / 1.9)])
def test_the_velocity_under_a_steady_and_an_alternating_gradient(
    make: Any, sign: int, gain: float
) -> None:
    theta, method = np.zeros(4), make(0.1, 0.9)
    state = method.init(theta)
    for t in range(400):
        method.step(theta, sign**t * G, state)
    np.testing.assert_allclose(state.m, sign**399 * 0.1 * gain * G, rtol=1e-12)


def test_the_ball_rolls_on_without_a_gradient() -> None:
    theta, ball = np.zeros(1), Momentum(1.0, 0.5)
    state = ball.init(theta)
    moves = []
    for g in (8.0, 0.0, 0.0, 0.0):
        before = theta[0]
        ball.step(theta, np.array([g]), state)
        moves.append(before - theta[0])
    assert moves == [8.0, 4.0, 2.0, 1.0]


def test_a_learning_rate_of_zero_stops_the_push_and_not_the_ball() -> None:
    for make, moves in ((Momentum, [8.0, 4.0]), (Nesterov, [12.0, 2.0])):
        seen, _ = run(make(lambda t: 1.0 if t == 1 else 0.0, 0.5), [0.0], lambda x: 8 + 0 * x, 2)
        assert (-np.diff(seen[:, 0])).tolist() == moves


# --- rates on quadratics


def rate(path: Any) -> float:
    """The factor per step, by the largest of twenty values in a row, early and late."""
    size = np.abs(path[:, 0])
    return float((size[480:500].max() / size[80:100].max()) ** (1 / 400))


@pytest.mark.parametrize("s", [0.05, 0.3, 1.0, 2.0, 2.9, 3.2])
@pytest.mark.parametrize("beta", [0.36, 0.64, 0.81])
def test_the_heavy_ball_shrinks_by_the_root_of_beta_inside_the_band(s: float, beta: float) -> None:
    a = 1 + beta - s
    inside = (1 - s**0.5) ** 2 < beta
    expected = beta**0.5 if inside else (abs(a) + (a * a - 4 * beta) ** 0.5) / 2
    seen, _ = run(Momentum(1.0, beta), [1.0], lambda x: s * x, 500)
    assert rate(seen) == pytest.approx(expected, abs=3e-3)


@pytest.mark.parametrize("s", [0.05, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("beta", [0.36, 0.81])
def test_nesterov_is_a_heavy_ball_with_less_momentum(s: float, beta: float) -> None:
    seen, _ = run(Nesterov(1.0, beta), [1.0], lambda x: s * x, 60)
    ball, _ = run(Momentum(1.0, beta * (1 - s)), [1.0], lambda x: s * x, 60)
    ahead = ball[1:] + beta * np.diff(ball, axis=0)  # phi = theta - beta m
    np.testing.assert_allclose(seen[1:], ahead, atol=1e-14)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("make", [Momentum, Nesterov])
def test_the_stable_steps_end_where_the_chapter_says(make: Any, beta: float) -> None:
    limit = 2 * (1 + beta) if make is Momentum else (2 + 2 * beta) / (1 + 2 * beta)
    for factor, grows in ((0.99, False), (1.01, True)):
        seen, _ = run(make(1.0, beta), [1.0], lambda x, s=limit * factor: s * x, 3000)
        assert (abs(seen[-1, 0]) > 1) == grows


def test_the_best_pair_leaves_its_rate_on_the_ravine() -> None:
    mu, L = Ravine.curvature
    root = (L**0.5 - mu**0.5) / (L**0.5 + mu**0.5)
    ball = trace(Momentum((2 / (L**0.5 + mu**0.5)) ** 2, root**2), Ravine(), 60)
    t, start = np.arange(61), Ravine().start
    expected = [(1 + (1 - root) * t) * root**t, (1 + (1 + root) * t) * (-root) ** t]
    np.testing.assert_allclose(ball, start * np.array(expected).T, rtol=1e-6, atol=1e-12)


def test_memory_leaves_the_saddle_sooner() -> None:
    left = [
        int(np.argmax(trace(method, Saddle(), 200)[:, 1] > 0.5))
        for method in (SGD(0.1), Momentum(0.1), Nesterov(0.1))
    ]
    assert left == [91, 33, 29]


def kinked(x: Any) -> Any:
    return np.where(x < 1, 25 * x, np.where(x < 2, x + 24, 25 * x - 24))


def test_the_heavy_ball_cycles_where_nesterov_arrives() -> None:
    ball, _ = run(Momentum(1 / 9, 4 / 9), [3.3], kinked, 300)
    np.testing.assert_allclose(ball[-3:], ball[-6:-3], atol=1e-9)
    cycle = np.array([-2208, 792, 2592]) / 1225
    np.testing.assert_allclose(np.sort(ball[-3:, 0]), cycle, atol=1e-9)
    nesterov, _ = run(Nesterov(1 / 25, 2 / 3), [3.3], kinked, 300)
    assert abs(nesterov[-1, 0]) < 1e-12


# --- hyper-parameters


@both
def test_lr_has_no_default_and_momentum_has(make: Any) -> None:
    assert make(0.1).momentum == 0.9
    with pytest.raises(TypeError, match="lr"):
        make()


@both
def test_momentum_is_at_least_0_and_below_1(make: Any) -> None:
    for wrong in (1.0, -0.1, np.nan):
        with pytest.raises(ValueError, match="momentum must be at least 0 and below 1"):
            make(0.1, momentum=wrong)


def test_a_scheduled_momentum_out_of_range_names_its_step_and_changes_nothing() -> None:
    nesterov, theta = Nesterov(0.1, lambda t: 0.5 if t < 3 else 1.0), np.ones(2)
    state = nesterov.init(theta)
    nesterov.step(theta, theta.copy(), state)
    before = theta.copy()
    with pytest.raises(ValueError, match=r"^momentum at step 3 must be .* below 1, got 1\.0"):
        nesterov.step(theta, theta.copy(), state)  # step 2 looks one step ahead
    assert theta.tolist() == before.tolist() and state.t == 1


def test_the_momentum_of_the_heavy_ball_is_no_schedule() -> None:
    with pytest.raises(TypeError, match="^momentum must be a number"):
        Momentum(0.1, lambda t: 0.9)  # type: ignore[arg-type]


@both
def test_the_metric_is_1_over_lr(make: Any) -> None:
    _, state = make(0.25).update(np.ones(1), np.ones(1), make(0.25).init(np.ones(1)))
    assert make(0.25).metric(state) == 4.0
    assert make(0.0).metric(state) == np.inf
