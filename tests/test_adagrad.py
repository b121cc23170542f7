"""Adagrad: the longest step, the lemma on root sums, what it does not notice, and how it stalls."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cases import gradients

from adam_tutorial import Adagrad

G = np.array([3.0, -1.0, 0.5, -1024.0])


def moves(gs: Any, **hyper: Any) -> Any:
    """The way down of each step from 0, for lr = 1 unless another is asked for."""
    optimizer, theta = Adagrad(**{"lr": 1.0, **hyper}), np.zeros_like(gs[0])
    state, seen = optimizer.init(theta), []
    for g in gs:
        before = theta.copy()
        optimizer.step(theta, g, state)
        seen.append(before - theta)
    return np.array(seen)


def test_lr_has_no_default_and_eps_is_pytorchs() -> None:
    with pytest.raises(TypeError, match="lr"):
        Adagrad()  # type: ignore[call-arg]
    assert Adagrad(0.5) == Adagrad(lr=0.5, eps=1e-10)


def test_the_first_step_without_eps_is_the_sign() -> None:
    assert moves([G], eps=0).tolist() == [np.sign(G).tolist()]


def test_eps_stands_outside_the_root() -> None:
    np.testing.assert_allclose(moves([G], eps=2.0), [G / (np.abs(G) + 2)], rtol=1e-15)


def test_the_slot_is_the_sum_of_the_squares() -> None:
    gs, optimizer, theta = gradients("random"), Adagrad(lr=0.5), np.zeros(8)
    state = optimizer.init(theta)
    for g in gs:
        optimizer.step(theta, g, state)
    np.testing.assert_allclose(state.a, (gs**2).sum(axis=0), rtol=1e-13)
    root = np.sqrt((gs**2).sum(axis=0))
    np.testing.assert_allclose(optimizer.metric(state), (root + 1e-10) / 0.5, rtol=1e-13)


@pytest.mark.parametrize("sequence", ["random", "sparse", "spiked", "constant", "huge", "tiny"])
def test_no_step_is_longer_than_lr(sequence: str) -> None:
    assert np.max(np.abs(moves(gradients(sequence), lr=0.25))) <= 0.25 * (1 + 1e-12)


def test_a_constant_gradient_moves_as_the_root_of_the_step() -> None:
    t = np.arange(1, 101)[:, None]
    np.testing.assert_allclose(moves([G] * 100, eps=0), np.sign(G) / np.sqrt(t), rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_cost_of_the_steps_is_at_most_twice_the_best(seed: int) -> None:
    gs = np.random.default_rng(seed).standard_cauchy((200, 6))
    cost = (gs * moves(gs, eps=0)).cumsum(axis=0)  # the sum of g**2 / sqrt(a)
    root = np.sqrt((gs**2).cumsum(axis=0))
    assert np.all(cost <= (2 * root - np.abs(gs[0])) * (1 + 1e-12))
    assert np.all(cost >= root * (1 - 1e-12))


def test_one_large_gradient_freezes_a_coordinate() -> None:
    gs = np.array([[1000.0], *[[1.0]] * 500])
    later = np.arange(1, 501)[:, None]
    np.testing.assert_allclose(moves(gs, eps=0)[1:], 1 / np.sqrt(1e6 + later), rtol=1e-12)


@pytest.mark.parametrize("sequence", ["random", "spiked", "sign-flipping", "constant", "huge"])
def test_the_way_is_bounded_by_the_root_of_the_steps(sequence: str) -> None:
    gs = gradients(sequence)
    t, a = np.arange(1, len(gs) + 1)[:, None], (gs**2).cumsum(axis=0)
    limit = np.sqrt(t * (1 + np.log(a / a[0])))
    assert np.all(np.abs(moves(gs, eps=0)).cumsum(axis=0) <= limit * (1 + 1e-12))


def test_a_target_that_walks_away_is_lost() -> None:
    optimizer, theta = Adagrad(lr=0.1, eps=0), np.zeros(1)
    state = optimizer.init(theta)
    for t in range(1, 20_001):
        optimizer.step(theta, theta - 0.05 * t, state)
    assert theta[0] == pytest.approx(0.1 * (12 * 20_000) ** 0.5, rel=0.1)  # the target is at 1000


def test_eps_holds_a_coordinate_that_has_seen_no_gradient() -> None:
    assert not moves(np.zeros((3, 4))).any()
    with np.errstate(invalid="ignore"):
        assert np.isnan(moves(np.zeros((1, 4)), eps=0)).all()


def test_a_first_gradient_of_the_size_of_eps_moves_half_as_far() -> None:
    assert moves([np.array([2.0**-20, -(2.0**-20)])], eps=2.0**-20).tolist() == [[0.5, -0.5]]


def test_lr_follows_its_schedule_and_leaves_the_sum_alone() -> None:
    gs, falling = gradients("random"), moves(gradients("random"), lr=lambda t: 1 / t)
    t = np.arange(1, len(gs) + 1)[:, None]
    np.testing.assert_allclose(falling, moves(gs) / t, rtol=1e-9, atol=1e-15)


def test_the_scale_of_each_coordinate_does_not_matter() -> None:
    gs, scale = gradients("random"), 2.0 ** np.arange(-4, 4)
    assert moves(gs, eps=0).tolist() == moves(gs * scale, eps=0).tolist()


def test_a_rotation_of_the_axes_does_matter() -> None:
    along, across = moves([np.array([1.0, 0.0])]), moves([np.full(2, 0.5**0.5)])
    assert np.linalg.norm(across) == pytest.approx(2**0.5 * np.linalg.norm(along))


def test_the_rule_in_rational_numbers() -> None:
    """3, 4 and 12 are the legs of right triangles, so the roots are whole."""
    a, theta = Fraction(0), Fraction(0)
    for g, root in ((3, 3), (4, 5), (12, 13)):
        a = a + Fraction(g) * g
        assert a == root**2
        theta -= Fraction(g, root)
    gs = [np.array([float(g)]) for g in (3, 4, 12)]
    assert -moves(gs, eps=0).sum() == pytest.approx(float(theta), rel=1e-15)
