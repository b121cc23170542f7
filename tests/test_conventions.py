"""The libraries' variants as classes: defaults, first steps by hand, and a learning rate that changes.

That they compute the libraries' numbers is in test_agreement.py; what the page says, cell by cell, in
test_conventions_page.py.
"""

from typing import Any

import numpy as np
import pytest
from cases import gradients

from adam_tutorial import (
    KerasAdagrad,
    KerasAdaMax,
    KerasCenteredRMSProp,
    KerasMomentumRMSProp,
    KerasRMSProp,
    Optimizer,
    State,
    TorchAdaMax,
    TorchMomentum,
    TorchMomentumRMSProp,
    TorchNAdam,
    TorchNesterov,
)

G = np.array([3.0, -1.0, 0.5, -1024.0])


def moves(optimizer: Optimizer, gs: Any) -> Any:
    """The way down of each step from 0."""
    theta = np.zeros_like(gs[0])
    state, seen = optimizer.init(theta), []
    for g in gs:
        before = theta.copy()
        optimizer.step(theta, g, state)
        seen.append(before - theta)
    return np.array(seen)


def rate(t: int) -> float:
    return 0.5**t


def test_the_defaults_are_the_libraries() -> None:
    assert TorchMomentum(0.1) == TorchMomentum(lr=0.1, momentum=0.9, dampening=0.0)
    assert TorchNesterov(0.1) == TorchNesterov(lr=0.1, momentum=0.9)
    assert KerasAdagrad() == KerasAdagrad(lr=1e-3, initial=0.1, eps=1e-7)
    assert KerasRMSProp() == KerasRMSProp(lr=1e-3, rho=0.9, eps=1e-7)
    assert KerasCenteredRMSProp() == KerasCenteredRMSProp(lr=1e-3, rho=0.9, eps=1e-7)
    assert KerasMomentumRMSProp() == KerasMomentumRMSProp(1e-3, rho=0.9, momentum=0.9, eps=1e-7)
    assert TorchMomentumRMSProp() == TorchMomentumRMSProp(1e-2, rho=0.99, momentum=0.9, eps=1e-8)
    assert TorchAdaMax() == TorchAdaMax(lr=2e-3, beta1=0.9, beta2=0.999, eps=1e-8)
    assert KerasAdaMax() == KerasAdaMax(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-7)
    assert TorchNAdam() == TorchNAdam(2e-3, 0.9, 0.999, eps=1e-8, momentum_decay=0.004)


def test_the_first_gradient_is_not_dampened() -> None:
    found = moves(TorchMomentum(lr=1.0, momentum=0.5, dampening=0.75), [G, G, G])
    assert found.tolist() == [G.tolist(), (0.75 * G).tolist(), (0.625 * G).tolist()]


@pytest.mark.parametrize("make", [TorchMomentum, TorchNesterov, TorchMomentumRMSProp])
def test_a_new_rate_acts_on_old_gradients(make: Any) -> None:
    gs = gradients("random")[:30]
    changing, constant = moves(make(lr=rate), gs), moves(make(lr=1.0), gs)
    scale = np.array([rate(t) for t in range(1, 31)])[:, None]
    np.testing.assert_allclose(changing, scale * constant, rtol=1e-6, atol=1e-14)


def test_keras_keeps_old_moves_as_they_were() -> None:
    gs = [G, 0 * G, 0 * G]
    found = moves(KerasMomentumRMSProp(lr=rate, rho=0.75, momentum=0.5, eps=0.0), gs)
    assert found.tolist() == [(f * np.sign(G)).tolist() for f in (1.0, 0.5, 0.25)]


def test_the_two_memories_of_keras_are_not_mixed_up() -> None:
    gs, v, m, expected = gradients("random")[:20], 0.0, 0.0, []
    for g in gs:
        v = 0.25 * v + 0.75 * g * g
        m = 0.5 * m + 0.125 * g / np.sqrt(v + 2)
        expected.append(m)
    found = moves(KerasMomentumRMSProp(lr=0.125, rho=0.25, momentum=0.5, eps=2.0), gs)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_eps_stands_inside_the_root_in_keras() -> None:
    expected = G / np.sqrt(0.25 * G * G + 2)
    for make in (KerasRMSProp, KerasMomentumRMSProp):
        np.testing.assert_allclose(moves(make(lr=1.0, rho=0.75, eps=2.0), [G])[0], expected)
    found = moves(KerasAdagrad(lr=1.0, initial=0.25, eps=2.0), [G])[0]
    np.testing.assert_allclose(found, G / np.sqrt(G * G + 2.25))


def test_the_two_epsilons_of_adamax() -> None:
    torch_, keras_ = TorchAdaMax(1.0, 0.5, 0.5, eps=1.0), KerasAdaMax(1.0, 0.5, 0.5, eps=1.0)
    np.testing.assert_allclose(moves(torch_, [G])[0], G / (np.abs(G) + 1), rtol=1e-15)
    np.testing.assert_allclose(moves(keras_, [G])[0], G / (np.abs(G) + 1), rtol=1e-15)
    third = np.sign(G) / 3  # of the mean, after a gradient of 0
    faded = third * np.abs(G) / np.maximum((np.abs(G) + 1) / 2, 1)
    np.testing.assert_allclose(moves(torch_, [G, 0 * G])[1], faded, rtol=1e-15)
    beside = third * np.abs(G) / (np.abs(G) / 2 + 1)
    np.testing.assert_allclose(moves(keras_, [G, 0 * G])[1], beside, rtol=1e-15)


def test_a_centred_variance_below_0_counts_as_0() -> None:
    g = np.random.default_rng(0).uniform(0, 3, 300).astype(np.float32)
    found = moves(KerasCenteredRMSProp(lr=1e-6, eps=1e-12), [g] * 600)
    assert np.all(np.isfinite(found))
    keras = KerasCenteredRMSProp(lr=0.5, eps=0.25)
    state = State(1, {"v": np.array([1.0]), "n": np.array([1.25])}, {})
    assert keras.metric(state).tolist() == [1.0]


def test_nadam_weighs_a_constant_gradient_as_torch_does() -> None:
    found = moves(TorchNAdam(lr=1.0, eps=0.0), [np.ones(1)] * 10)[:, 0]
    np.testing.assert_allclose(found[[0, 1, 4, 9]], [1.056, 0.784, 0.746, 0.843], atol=5e-4)


@pytest.mark.parametrize("make", [TorchMomentum, TorchNesterov, TorchMomentumRMSProp])
def test_a_rate_of_0_has_an_infinite_metric(make: Any) -> None:
    optimizer = make(lr=0.0)
    assert optimizer.metric(optimizer.init(np.ones(2))) == np.inf
