"""Adam: the first step, the limits in which it is something simpler, epsilon's places."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cases import gradients, random_like

from adam_tutorial import SGD, Adam, AdamHat, Optimizer

both = pytest.mark.parametrize("make", [Adam, AdamHat])
G = np.array([3.0, -1.0, 0.5, -1024.0])


def steps(optimizer: Optimizer, gs: Any) -> Iterator[tuple[Any, Any]]:
    """The change of the parameters, and the state, after each step from 0."""
    theta = np.zeros_like(gs[0])
    state = optimizer.init(theta)
    for g in gs:
        before = theta.copy()
        optimizer.step(theta, g, state)
        yield theta - before, state


@both
def test_the_first_step_without_eps_is_lr_times_the_sign(make: Any) -> None:
    ((change, _),) = steps(make(lr=2**-7, beta1=0.5, beta2=0.75, eps=0), [G])
    assert change.tolist() == (-(2**-7) * np.sign(G)).tolist()  # nothing here is rounded


@both
def test_the_first_step_with_the_defaults_is_lr_times_the_sign_within_rounding(make: Any) -> None:
    ((change, _),) = steps(make(eps=0), [gradients("random")[0]])
    np.testing.assert_allclose(change, -1e-3 * np.sign(gradients("random")[0]), rtol=1e-14)


@both
def test_without_memory_it_is_sign_descent(make: Any) -> None:
    gs, sign_sgd = gradients("random"), make(lr=2**-7, beta1=0, beta2=0, eps=0)
    theta = np.zeros_like(gs[0])
    state = sign_sgd.init(theta)
    for g in gs:
        sign_sgd.step(theta, g, state)
    assert theta.tolist() == (-(2**-7) * np.sign(gs).sum(axis=0)).tolist()


@both
def test_the_slots_are_the_two_running_means(make: Any) -> None:
    gs = gradients("random")[:20]
    *_, (_, state) = steps(make(beta1=0.8, beta2=0.9), gs)
    age = np.arange(19.0, -1, -1)[:, None]
    m, v = (0.2 * 0.8**age * gs).sum(axis=0), (0.1 * 0.9**age * gs**2).sum(axis=0)
    np.testing.assert_allclose(state.m, m, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(state.v, v, rtol=1e-12)


@both
def test_a_constant_gradient_moves_every_step_by_lr(make: Any) -> None:
    gs = np.tile(G, (100, 1))
    for change, _ in steps(make(lr=0.1, eps=0), gs):
        np.testing.assert_allclose(change, -0.1 * np.sign(G), rtol=1e-12)


@both
def test_the_scale_of_the_gradient_does_not_matter_without_eps(make: Any) -> None:
    gs = gradients("random")
    for (one, _), (other, _) in zip(
        steps(make(eps=0), gs), steps(make(eps=0), 2.0**40 * gs), strict=True
    ):
        assert one.tolist() == other.tolist()  # a power of two changes no mantissa


@pytest.mark.parametrize("t", [1, 2, 10, 1000])
def test_adam_is_adam_hat_with_eps_times_the_root_of_the_mass(t: int) -> None:
    theta, g, m = (random_like(np.zeros(50), seed) for seed in range(3))
    v = random_like(np.zeros(50), 3) ** 2
    hyper = {"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "t": t}
    ours = Adam.rule(theta, g, m, v, eps=0.1, **hyper)
    hat = AdamHat.rule(theta, g, m, v, eps=0.1 * (1 - 0.999**t) ** 0.5, **hyper)
    np.testing.assert_allclose(hat[0] - theta, ours[0] - theta, rtol=1e-12)
    assert hat[1].tolist() == ours[1].tolist() and hat[2].tolist() == ours[2].tolist()


def test_eps_is_outside_the_root_after_the_correction_in_adam() -> None:
    ((change, _),) = steps(Adam(lr=1.0, beta1=0.5, beta2=0.75, eps=1.0), [G])
    np.testing.assert_allclose(change, -G / (np.abs(G) + 1), rtol=1e-15)


def test_eps_is_outside_the_root_before_the_correction_in_adam_hat() -> None:
    ((change, _),) = steps(AdamHat(lr=1.0, beta1=0.5, beta2=0.75, eps=1.0), [G])
    np.testing.assert_allclose(change, -0.5 * G / (0.5 * np.abs(G) + 1), rtol=1e-15)


def test_a_large_eps_makes_adam_a_slow_momentum_method() -> None:
    ((change, _),) = steps(Adam(lr=1e12, eps=1e12), [G])
    ((expected, _),) = steps(SGD(lr=1.0), [G])
    np.testing.assert_allclose(change, expected, rtol=1e-8)


def test_the_defaults_are_the_papers() -> None:
    assert Adam() == Adam(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8)
    assert AdamHat() == AdamHat(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8)


def test_the_metric_of_adam_is_the_denominator_over_lr() -> None:
    *_, (_, state) = steps(Adam(lr=0.5, beta2=0.75, eps=1.0), [G])
    np.testing.assert_allclose(Adam(lr=0.5, beta2=0.75, eps=1.0).metric(state), 2 * (np.abs(G) + 1))
