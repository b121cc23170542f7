"""AdamW, its paper's form, SGDW, and decay beside any rule: plain loops, the box, and what is refused."""

import math
import pickle
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from cases import SEQUENCES, differing, gradients, random_like, start

from adam_tutorial import (
    L2,
    SGD,
    SGDW,
    SWATS,
    Adam,
    AdamW,
    Clipped,
    Decoupled,
    Groups,
    Guarded,
    MasterWeights,
    Maximize,
    Momentum,
    Nadam,
    Nesterov,
    Optimizer,
    PaperAdamW,
    equation,
    normalised_decay,
)


def path(method: Optimizer, gs: Any, theta: Any) -> Any:
    theta = np.array(theta, float)
    state, seen = method.init(theta), []
    for g in gs:
        method.step(theta, g, state)
        seen.append(theta.copy())
    return np.array(seen)


def falling(t: int) -> float:
    return 0.5 / t**0.5


def growing(t: int) -> float:
    return 0.02 * t / (t + 5)


def adam_moves(gs: Any, eps: float) -> Any:
    """Adam's m_hat / (sqrt(v_hat) + eps) by a plain loop, betas 0.9 and 0.99."""
    m, v, moves = 0.0, 0.0, []
    for t, g in enumerate(gs, 1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        moves.append(m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.99**t)) + eps))
    return moves


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_plain_loop_makes_the_same_paths(name: str) -> None:
    gs = gradients(name)
    theta = paper = start(name)
    moves = adam_moves(gs, 1e-6)
    libraries = path(AdamW(falling, 0.9, 0.99, 1e-6, growing), gs, theta)
    papers = path(PaperAdamW(0.03, 0.9, 0.99, 1e-6, growing, eta=falling), gs, theta)
    for t, move in enumerate(moves, 1):
        theta = theta - falling(t) * move - falling(t) * growing(t) * theta
        paper = paper - falling(t) * 0.03 * move - falling(t) * growing(t) * paper
        np.testing.assert_allclose(libraries[t - 1], theta, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(papers[t - 1], paper, rtol=1e-9, atol=1e-12)


def test_sgdw_keeps_the_decay_out_of_the_momentum() -> None:
    gs = gradients("random")
    theta, m = start("random"), 0.0
    ours = path(SGDW(0.1, 0.7, weight_decay=growing, eta=falling), gs, theta)
    for t, g in enumerate(gs, 1):
        m = 0.7 * m + falling(t) * 0.1 * g
        theta = theta - m - falling(t) * growing(t) * theta
        np.testing.assert_allclose(ours[t - 1], theta, rtol=1e-11)


def test_without_decay_they_are_adam_and_momentum() -> None:
    gs, theta = gradients("random"), start("random")
    for method, plain in (
        (AdamW(0.01, weight_decay=0), Adam(0.01)),
        (PaperAdamW(0.01, weight_decay=0), Adam(0.01)),
        (SGDW(0.01, weight_decay=0), Momentum(0.01)),
    ):
        np.testing.assert_allclose(path(method, gs, theta), path(plain, gs, theta), rtol=1e-13)


@pytest.mark.parametrize("rate", [0.05, falling])
def test_the_papers_form_is_the_libraries_with_the_decay_over_lr(rate: Any) -> None:
    gs, theta = gradients("random"), start("random")
    at = rate if callable(rate) else lambda t: rate
    papers = path(PaperAdamW(2.0, weight_decay=0.3, eta=rate), gs, theta)
    ours = path(AdamW(lambda t: 2.0 * at(t), weight_decay=0.15), gs, theta)
    np.testing.assert_allclose(papers, ours, rtol=1e-10)


INNER: list[Optimizer] = [
    SGD(falling),
    Momentum(falling),
    Nesterov(0.1),
    Nadam(falling),
    Adam(falling),
]


@pytest.mark.parametrize("inner", INNER, ids=lambda method: type(method).__name__)
def test_decoupled_shrinks_and_then_takes_the_step(inner: Any) -> None:
    theta, gs = start("random"), gradients("random")
    ours, state = path(Decoupled(inner, growing), gs, theta), inner.init(theta)
    for t, g in enumerate(gs, 1):
        theta = theta - inner.at("lr", t) * growing(t) * theta
        inner.step(theta, g, state)
        np.testing.assert_allclose(ours[t - 1], theta, rtol=1e-12)


def test_decoupled_around_adam_is_adamw() -> None:
    gs, theta = gradients("random"), start("random")
    around = path(Decoupled(Adam(falling), weight_decay=0.3), gs, theta)
    np.testing.assert_allclose(
        around, path(AdamW(falling, weight_decay=0.3), gs, theta), rtol=1e-11
    )


def test_wrappers_around_and_inside() -> None:
    theta, g = np.array([2.0]), np.array([4.0])
    for method, expected in (
        (Maximize(Decoupled(SGD(0.25), 0.5)), 2 - 0.25 + 1),  # climbs, and still shrinks
        (Decoupled(Maximize(SGD(0.25)), 0.5), 2 - 0.25 + 1),
        (Decoupled(Clipped(SGD(0.25), max_norm=1.0), 0.5), 2 - 0.25 - 0.25),
        (Guarded(Decoupled(SGD(0.25), 0.5)), 2 - 0.25 - 1),
    ):
        assert path(method, [g], theta).item() == expected


def test_it_travels() -> None:
    method = Groups(Decoupled(Nadam(0.1), growing), {"b": {"weight_decay": 0.0}})
    params = {"w": random_like(np.zeros(3), 0), "b": random_like(np.zeros(3), 1)}
    grads = {"w": np.zeros(3), "b": np.zeros(3)}
    one, other = {k: v.copy() for k, v in params.items()}, pickle.loads(pickle.dumps(params))
    again = pickle.loads(pickle.dumps(method))
    method.step(one, grads, method.init(one))
    again.step(other, grads, again.init(other))
    assert not differing(one, other)
    np.testing.assert_array_equal(one["b"], params["b"])
    np.testing.assert_allclose(one["w"], params["w"] * (1 - 0.1 * growing(1)), rtol=1e-14)


@dataclass(frozen=True)
class Rateless(Optimizer):
    eps: float = 0.0

    @staticmethod
    def rule(theta: Any, g: Any) -> tuple[Any]:
        return (theta - g,)


def test_what_decoupled_refuses() -> None:
    with pytest.raises(
        TypeError, match="inner: Rateless has no lr in its rule to multiply the decay"
    ):
        Decoupled(Rateless(), 0.1)
    with pytest.raises(TypeError, match="miss the master weights. Put them outside"):
        Decoupled(MasterWeights(SGD(0.1)), 0.1)
    for taken in (AdamW(), L2(SGD(0.1), 0.1), Decoupled(SGD(0.1), 0.1)):
        with pytest.raises(TypeError, match="weight_decay already"):
            Decoupled(taken, 0.1)


def test_master_weights_stand_outside() -> None:
    theta = np.ones(4, np.float16)
    method = MasterWeights(Decoupled(SGD(0.5), weight_decay=1e-4))
    state = method.init(theta)
    for _ in range(100):
        method.step(theta, np.zeros(4, np.float16), state)
    np.testing.assert_allclose(state.slots["master"], (1 - 5e-5) ** 100, rtol=1e-5)
    assert (theta < 1).all()


@pytest.mark.parametrize("setting", ["weight_decay", "eta"])
@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_a_decay_or_a_multiplier_below_0_is_refused(setting: str, bad: float) -> None:
    with pytest.raises(ValueError, match=f"{setting} must be finite and not negative"):
        PaperAdamW(**{setting: bad})
    with pytest.raises(ValueError, match=f"{setting} must be finite and not negative"):
        SGDW(0.1, **{setting: bad})


def test_defaults() -> None:
    assert (AdamW().lr, AdamW().beta1, AdamW().beta2, AdamW().eps) == (1e-3, 0.9, 0.999, 1e-8)
    assert AdamW().weight_decay == 1e-2 and PaperAdamW().eta == SGDW(1.0).eta == 1.0
    paper, ours = PaperAdamW(), AdamW()
    assert (paper.lr, paper.beta1, paper.beta2, paper.eps) == (ours.lr, 0.9, 0.999, 1e-8)
    assert paper.weight_decay == pytest.approx(ours.lr * ours.weight_decay)
    assert (SGDW(1.0).momentum, SGDW(1.0).weight_decay) == (0.9, 1e-4)


def test_the_metric_of_sgdw() -> None:
    method = SGDW(lambda t: 0.5 * t, eta=lambda t: 0.25 * t)
    _, state = method.update(np.ones(2), np.ones(2), method.init(np.ones(2)))
    _, state = method.update(np.ones(2), np.ones(2), state)
    assert method.metric(state) == 2.0  # lr 1, eta 1/2
    resting = SGDW(0.0)
    assert resting.metric(resting.init(np.ones(2))) == math.inf


@pytest.mark.parametrize(
    "method",
    [
        AdamW(lambda t: 0.1 * t * t),
        PaperAdamW(lambda t: 0.1 * t),
        PaperAdamW(0.1, eta=lambda t: 0.1 * t),
    ],
    ids=["lr of AdamW", "lr of PaperAdamW", "eta"],
)
def test_the_metric_is_that_of_the_step_just_taken(method: Any) -> None:
    theta, state = np.zeros(3), method.init(np.zeros(3))  # at 0 there is no decay
    theta, state = method.update(theta, np.array([1.0, -2.0, 3.0]), state)
    for g in random_like(np.zeros((4, 3)), 5):
        held = method.init(np.zeros(3))
        held.t, held.slots = state.t, state.slots
        move, state = method.update(np.zeros(3), g, held)
        m_hat = state.m / (1 - 0.9**state.t)
        np.testing.assert_allclose(move, -m_hat / method.metric(state), rtol=1e-12)


# --- the box


def wall(beta1: float, beta2: float, decay: float) -> float:
    return (1 - beta1) / math.sqrt((1 - beta2) * (1 - beta1**2 / beta2)) / decay


@pytest.mark.parametrize("rate", [0.3, falling, 2.0])
def test_no_gradient_leaves_the_box(rate: Any) -> None:
    R, method = wall(0.9, 0.99, 0.5), AdamW(rate, 0.9, 0.99, 0.0, weight_decay=0.5)
    gs = np.hstack([*(gradients(name) for name in SEQUENCES if name not in ("zero", "sparse"))])
    theta = np.random.default_rng(0).uniform(-3 * R, 3 * R, gs.shape[1])
    seen = [np.abs(theta), *np.abs(path(method, gs, theta))]
    for t, (before, after) in enumerate(pairwise(seen), 1):
        kept = 1 - method.at("lr", t) * 0.5
        assert np.all(after - R <= kept * (before - R) + 1e-12)


def test_growing_gradients_reach_the_wall_and_constant_ones_1_over_the_decay() -> None:
    method = AdamW(0.3, 0.9, 0.99, 0.0, weight_decay=0.5)
    for gs, end in ((1.1 ** np.arange(1500.0), wall(0.9, 0.99, 0.5)), (np.ones(1500), 2.0)):
        assert path(method, gs[:, None], [0.0])[-1, 0] == pytest.approx(-end, rel=1e-5)


def test_a_share_above_1_breaks_the_box() -> None:
    method = AdamW(1.5, 0.0, 0.5, 0.0, weight_decay=1.0)
    swing = path(method, (-1.0) ** np.arange(100)[:, None], [0.0])[-1, 0]
    assert abs(swing) == pytest.approx(3.0) and wall(0.0, 0.5, 1.0) == pytest.approx(2**0.5)


# --- the normalised decay


def test_the_normalised_decay() -> None:
    assert normalised_decay(0.05, 128, 50_000, 100) == pytest.approx(2.5298e-4, rel=1e-4)
    assert normalised_decay(3.0, 4, 9, 4.0) == 1.0  # nine updates
    assert normalised_decay(1.0, 1, 1, 0.25) == 2.0


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-1, -1, 1), (1, 1, math.nan)])
def test_a_run_without_updates_has_no_normalised_decay(bad: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="batch, examples and epochs must be positive"):
        normalised_decay(0.1, *bad)


def test_the_equations_say_lambda_and_eta() -> None:
    assert r"\eta" in equation(PaperAdamW) and r"\lambda" in equation(AdamW)


def test_decay_beside_swats_is_refused_when_it_is_made():
    with pytest.raises(TypeError, match="SWATS has no lr in its rule"):
        Decoupled(SWATS(), 0.1)
