"""RMSProp and its relatives: how long a step can be, what cannot become NaN, who sets the first step."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cases import gradients

from adam_tutorial import Adadelta, CenteredRMSProp, MomentumRMSProp, Optimizer, RMSProp

G = np.array([3.0, -1.0, 0.5, -1024.0])


def steps(optimizer: Optimizer, gs: Any) -> Iterator[tuple[Any, Any]]:
    """The change of the parameters, and the state, after each step from 0."""
    theta = np.zeros_like(gs[0])
    state = optimizer.init(theta)
    for g in gs:
        before = theta.copy()
        optimizer.step(theta, g, state)
        yield theta - before, state


def test_the_defaults_are_those_of_the_sources() -> None:
    assert RMSProp() == RMSProp(lr=1e-3, rho=0.9, eps=1e-8)
    assert CenteredRMSProp() == CenteredRMSProp(lr=1e-4, rho=0.95, eps=1e-2)
    assert MomentumRMSProp() == MomentumRMSProp(lr=1e-4, rho=0.95, momentum=0.9, eps=1e-2)
    assert Adadelta() == Adadelta(lr=1.0, rho=0.95, eps=1e-6)


# --- RMSProp


def test_a_first_step_is_lr_over_the_root_of_1_minus_rho() -> None:
    ((change, _),) = steps(RMSProp(lr=0.25, rho=0.75, eps=0), [G])
    assert change.tolist() == (-0.5 * np.sign(G)).tolist()  # nothing here is rounded


def test_eps_stands_outside_the_root() -> None:
    ((change, state),) = steps(RMSProp(lr=1.0, rho=0.75, eps=1.0), [G])
    np.testing.assert_allclose(change, -G / (0.5 * np.abs(G) + 1), rtol=1e-15)
    np.testing.assert_allclose(RMSProp(lr=2.0, rho=0.75, eps=1.0).metric(state), (0.5 * np.abs(G) + 1) / 2)  # fmt: skip


@pytest.mark.parametrize("sequence", ["random", "spiked", "sparse", "sign-flipping"])
def test_no_step_is_longer_than_the_bound(sequence: str) -> None:
    longest = [np.max(np.abs(c)) for c, _ in steps(RMSProp(lr=1.0, rho=0.9), gradients(sequence))]
    assert max(longest) <= 0.1**-0.5 * (1 + 1e-12)


def test_the_slot_is_the_fading_mean_of_the_squares() -> None:
    gs = gradients("random")[:20]
    *_, (_, state) = steps(RMSProp(rho=0.8), gs)
    age = np.arange(19.0, -1, -1)[:, None]
    np.testing.assert_allclose(state.v, (0.2 * 0.8**age * gs**2).sum(axis=0), rtol=1e-12)


def test_the_scale_of_the_loss_does_not_matter_without_eps() -> None:
    gs = gradients("random")
    pairs = zip(steps(RMSProp(eps=0), gs), steps(RMSProp(eps=0), 2.0**40 * gs), strict=True)
    assert all(one.tolist() == other.tolist() for (one, _), (other, _) in pairs)


# --- the centred form


def test_the_variance_is_the_mean_of_squares_less_the_square_of_the_mean() -> None:
    rho, v, mean, n = Fraction(4, 5), Fraction(0), Fraction(0), Fraction(0)
    for k in range(30):
        g = Fraction((5 * k) % 7 - 2, 3)
        n = rho * n + rho * (1 - rho) * (g - mean) * (g - mean)
        v, mean = rho * v + (1 - rho) * g * g, rho * mean + (1 - rho) * g
        assert n == v - mean * mean
    gs = gradients("random")[:40]
    *_, (_, state) = steps(CenteredRMSProp(rho=0.8), gs)
    weights = 0.2 * 0.8 ** np.arange(39.0, -1, -1)[:, None]
    mean_of = (weights * gs).sum(axis=0)
    np.testing.assert_allclose(state.slots["mean"], mean_of, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(state.n, (weights * gs**2).sum(axis=0) - mean_of**2, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_a_constant_gradient_never_gives_nan(dtype: Any) -> None:
    g = np.random.default_rng(0).uniform(0, 3, 300).astype(dtype)
    centred, theta = CenteredRMSProp(lr=1e-6, eps=1e-4), np.zeros_like(g)
    state = centred.init(theta)
    for _ in range(3000):
        centred.step(theta, g, state)
    assert np.all(np.isfinite(theta.astype(np.float64))) and np.all(state.n >= 0)


def test_the_difference_of_averages_does_give_nan() -> None:
    """What the class avoids: PyTorch's own arithmetic, on the same gradients."""
    torch = pytest.importorskip("torch")
    g = torch.from_numpy(np.random.default_rng(0).uniform(0, 3, 1000).astype(np.float32))
    theta = torch.zeros(1000, requires_grad=True)
    optimizer = torch.optim.RMSprop([theta], centered=True, alpha=0.9)
    for _ in range(400):
        theta.grad = g.clone()
        optimizer.step()
    assert bool(torch.isnan(theta).any())


def test_the_variance_of_a_constant_gradient_fades_as_derived() -> None:
    for t, (_, state) in enumerate(steps(CenteredRMSProp(rho=0.75), [G] * 12), start=1):
        np.testing.assert_allclose(state.n, 0.75**t * (1 - 0.75**t) * G * G, rtol=1e-12)


# --- momentum after the division


def test_momentum_repeats_the_divided_gradient() -> None:
    method = MomentumRMSProp(lr=0.25, rho=0.75, momentum=0.5, eps=0)
    (first, _), (second, state) = steps(method, [G, 0 * G])
    assert first.tolist() == (-0.5 * np.sign(G)).tolist()
    assert second.tolist() == (-0.25 * np.sign(G)).tolist()
    assert state.m.tolist() == (0.25 * np.sign(G)).tolist()


def test_without_momentum_it_is_rmsprop() -> None:
    gs = gradients("random")
    pairs = zip(
        steps(MomentumRMSProp(1e-3, 0.9, momentum=0, eps=1e-8), gs),
        steps(RMSProp(), gs),
        strict=True,
    )
    assert all(one.tolist() == other.tolist() for (one, _), (other, _) in pairs)


def test_an_old_step_keeps_the_rate_of_its_time() -> None:
    method = MomentumRMSProp(lr=lambda t: 1.0 if t == 1 else 0.0, rho=0.75, momentum=0.5, eps=0)
    *_, (third, _) = steps(method, [G, G, G])
    assert third.tolist() == (-0.5 * np.sign(G)).tolist()


# --- Adadelta


@pytest.mark.parametrize("rho", [Fraction(1, 2), Fraction(19, 20)])
def test_steps_on_a_constant_gradient_are_the_formulas(rho: Fraction) -> None:
    gs = np.full((200, 1), 1e6)  # far above the root of eps
    moves = [change.item() for change, _ in steps(Adadelta(rho=float(rho), eps=1e-6), gs)]
    total = 1 / (1 - rho)
    for t, move in enumerate(moves, start=1):
        total += (1 - rho) / (1 - rho**t) if t > 1 else 0
        assert -move == pytest.approx(float(total * Fraction(1, 10**6)) ** 0.5, rel=1e-9)


def test_eps_stands_in_both_roots_and_x_lags() -> None:
    (first, state), (second, _) = steps(Adadelta(lr=1.0, rho=0.5, eps=1.0), [G, G])
    v = 0.5 * G * G
    d = G / np.sqrt(v + 1)
    np.testing.assert_allclose(first, -d, rtol=1e-15)
    x, v = 0.5 * d * d, 0.5 * v + 0.5 * G * G
    np.testing.assert_allclose(second, -np.sqrt(x + 1) / np.sqrt(v + 1) * G, rtol=1e-12)


def test_the_learning_rate_of_adadelta_never_enters_its_memory() -> None:
    gs = gradients("random")
    *_, (one, state) = steps(Adadelta(lr=1.0), gs)
    *_, (half, other) = steps(Adadelta(lr=0.5), gs)
    assert state.x.tolist() == other.x.tolist()
    np.testing.assert_allclose(half, one / 2, rtol=1e-9)
