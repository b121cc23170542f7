"""SWATS: the paper's algorithm as a plain loop beside it, the decision, and both of its phases."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf, isnan, nan, sqrt
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cases import SEQUENCES, differing, gradients, random_like, start

from adam_tutorial import (
    L2,
    SLICE,
    SWATS,
    AdamHat,
    Clipped,
    Groups,
    Guarded,
    MasterWeights,
    Maximize,
    Momentum,
    State,
    program_of,
    projected_rate,
)
from adam_tutorial.trees import Array, Tree, leaves

EARLY = 1e6  # a tolerance that lets the second update decide


@dataclass
class Printed:
    """Algorithm 1 of Keskar & Socher 2017, written again in plain NumPy, line by line.

    counted: the correction's exponent is the number of updates, and not k.
    positive: a rate below 0 is not taken.
    """

    alpha: float
    beta1: float
    beta2: float
    eps: float
    tolerance: float
    counted: bool = True
    positive: bool = True

    def run(self, w: Array, gs: Any) -> "Printed":
        self.path, self.switched, self.rate, updates = [], 0, 0.0, 0
        m, a, v, lam = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), 0.0
        for k, g in enumerate(gs, 1):
            if self.switched:
                v = self.beta1 * v + g
                w = w - (1 - self.beta1) * self.rate * v
                self.path.append(w)
                continue
            m = self.beta1 * m + (1 - self.beta1) * g
            a = self.beta2 * a + (1 - self.beta2) * g**2
            p = -self.alpha * sqrt(1 - self.beta2**k) / (1 - self.beta1**k) * m
            p = p / (np.sqrt(a) + self.eps)
            w = w + p
            if p @ g != 0:
                gamma, updates = (p @ p) / -(p @ g), updates + 1
                lam = self.beta2 * lam + (1 - self.beta2) * gamma
                mean = lam / (1 - self.beta2 ** (updates if self.counted else k))
                late = updates > 1 if self.counted else k > 1
                if late and abs(mean - gamma) < self.tolerance and (mean > 0 or not self.positive):
                    self.switched, self.rate, v = k, mean, np.zeros_like(w)
            self.path.append(w)
        return self


def stepped(method: Any, gs: Any, theta: Any) -> tuple[list[Array], State]:
    theta = copy.deepcopy(theta)
    state, path = method.init(theta), []
    for g in gs:
        method.step(theta, g, state)
        path.append(copy.deepcopy(theta))
    return path, state


# --- the paper's loop


@pytest.mark.parametrize("tolerance", [0.0, 1e-9, 1e-5, 1e-3, EARLY])
@pytest.mark.parametrize("name", SEQUENCES)
def test_a_plain_loop_makes_the_same_path(name: str, tolerance: float) -> None:
    theta, gs = start(name), gradients(name)
    hyper = (0.003, 0.8, 0.98, 1e-6, tolerance)
    loop = Printed(*hyper).run(theta, gs)
    path, state = stepped(SWATS(*hyper), gs, theta)
    scale = np.abs(loop.path).max()
    np.testing.assert_allclose(path, loop.path, rtol=0, atol=1e-12 * scale)
    assert state.switched == loop.switched
    assert state.lr_sgd == pytest.approx(loop.rate, rel=1e-9)


def test_the_loop_was_compared_in_both_phases() -> None:
    switched = {
        (name, tolerance): stepped(
            SWATS(0.003, 0.8, 0.98, 1e-6, tolerance), gradients(name), start(name)
        )[1].switched
        for name in SEQUENCES
        for tolerance in (1e-9, 1e-5, 1e-3, EARLY)
    }
    assert switched["constant", 1e-5] == 2 == switched["random", EARLY]
    assert switched["random", 1e-9] == 0 < 2 < switched["random", 1e-3] < 200
    assert switched["zero", EARLY] == 0 < 2 < switched["sparse", EARLY]


@pytest.mark.parametrize("name", ["random", "constant", "spiked", "huge"])
def test_the_printed_algorithm_agrees_where_no_step_is_skipped(name: str) -> None:
    hyper = (0.003, 0.8, 0.98, 1e-6, 1e-3)
    printed = Printed(*hyper, counted=False, positive=False).run(start(name), gradients(name))
    path, state = stepped(SWATS(*hyper), gradients(name), start(name))
    assert state.switched == printed.switched
    scale = np.abs(printed.path).max()
    np.testing.assert_allclose(path, printed.path, rtol=0, atol=1e-12 * scale)


def test_the_exponent_is_the_number_of_updates() -> None:
    """After 50 gradients of 0 the printed exponent takes the first rate for a fortieth of itself."""
    gs = np.repeat([0.0, 2.0], [50, 3])[:, None]
    hyper = (0.1, 0.9, 0.99, 1e-6, EARLY)
    _, one = stepped(SWATS(*hyper), gs[:51], np.zeros(1))
    _, two = stepped(SWATS(*hyper), gs, np.zeros(1))
    assert one.switched == 0 and one.updates == 1 and two.switched == 52
    rates = [one.gamma, two.gamma]
    assert two.lr_sgd == pytest.approx((0.99 * rates[0] + rates[1]) / 1.99, rel=1e-14)
    printed = Printed(*hyper, counted=False).run(np.zeros(1), gs)
    assert printed.switched == 51
    assert printed.rate == pytest.approx(rates[0] * 0.01 / (1 - 0.99**51), rel=1e-12)
    assert printed.rate < rates[0] / 39


THREE = [1.0, -0.01, -0.015385697690222931]  # the third makes the newest rate the mean


def test_three_gradients_make_the_printed_algorithm_climb() -> None:
    gs = np.array(THREE)[:, None]
    hyper = (1e-3, 0.9, 0.999, 1e-9, 1e-9)
    printed = Printed(*hyper, counted=False, positive=False).run(np.zeros(1), gs)
    assert printed.switched == 3 and printed.rate == pytest.approx(-0.0326458, abs=1e-7)
    _, state = stepped(SWATS(*hyper), gs, np.zeros(1))
    assert state.switched == 0 and state.updates == 3
    assert state.gamma == pytest.approx(-0.0326458, abs=1e-7)  # it stays in the average
    assert state.average / (1 - 0.999**3) == pytest.approx(state.gamma, abs=1e-9)


# --- the two phases are methods of their own


def test_before_the_switch_it_is_adam_in_the_reordered_form() -> None:
    for name in SEQUENCES:
        ours, _ = stepped(SWATS(0.003, 0.8, 0.98, 1e-6, 0.0), gradients(name), start(name))
        theirs, _ = stepped(AdamHat(0.003, 0.8, 0.98, 1e-6), gradients(name), start(name))
        np.testing.assert_array_equal(ours, theirs)


def test_after_the_switch_it_is_momentum_from_rest() -> None:
    gs = gradients("random")
    path, state = stepped(SWATS(0.003, 0.8, 0.98, 1e-6, EARLY), gs, start("random"))
    assert state.switched == 2
    momentum = Momentum(lr=(1 - 0.8) * state.lr_sgd, momentum=0.8)
    theirs, _ = stepped(momentum, gs[2:], path[1])
    np.testing.assert_allclose(path[2:], theirs, rtol=1e-12)


def test_the_slot_m_is_the_velocity_scaled() -> None:
    gs = gradients("random")
    _, state = stepped(SWATS(0.003, 0.75, 0.98, 1e-6, EARLY), gs[:12], start("random"))
    v = np.zeros(8)
    for g in gs[2:12]:
        v = 0.75 * v + g
    np.testing.assert_allclose(state.m, 0.25 * v, rtol=1e-13)


def test_in_the_second_phase_no_gradient_is_looked_at_before_the_step() -> None:
    method = SWATS(tolerance=EARLY)
    _, state = stepped(method, gradients("random")[:4], start("random"))
    assert method.prepare(start("random"), None, state) == state.scalars


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_square_that_overflows_does_not_reach_the_second_phase(dtype: Any) -> None:
    g = np.array([1.0, 2.0, 10 * sqrt(float(np.finfo(dtype).max))], dtype)
    method, theta = SWATS(0.1, tolerance=EARLY), np.ones(3, dtype)
    state = method.init(theta)
    with np.errstate(over="ignore"):
        method.step(theta, g, state)
        method.step(theta, g, state)
        assert state.switched == 2 and np.isinf(state.v[2])
        for _ in range(3):
            method.step(theta, np.ones(3, dtype), state)
    assert np.isfinite(theta).all() and np.isfinite(state.m).all()
    np.testing.assert_allclose(state.m, 1 - 0.9**3, rtol=1e-6)


def test_a_gradient_of_0_moves_nothing_at_the_start_of_the_second_phase() -> None:
    method = SWATS(eps=0.0, tolerance=EARLY)
    path, state = stepped(method, [np.ones(2), np.ones(2), np.zeros(2), np.zeros(2)], np.ones(2))
    assert state.switched == 2
    assert path[3].tolist() == path[2].tolist() == path[1].tolist()


def test_the_rule_is_one_program_for_both_phases() -> None:
    """The mask is of the elements' kind, so the rule can be traced."""
    assert [expr.op for expr in program_of(SWATS).operations].count("where") == 1


def test_without_scalars_the_phase_is_adams() -> None:
    for t in (1, 2, 5):
        known = SWATS().known(t, {})
        assert known["adam"] > 0 and known["keep"] == 0.9


# --- the projected rate


def test_the_projected_rate_in_fractions() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        p, g = rng.integers(-9, 10, (2, 6))
        inner = sum(int(a) * int(b) for a, b in zip(p, g, strict=True))
        if inner:
            exact = Fraction(sum(int(a) ** 2 for a in p), -inner)
            assert projected_rate([p * 1.0], [g * 1.0]) == pytest.approx(float(exact), rel=1e-15)
            halves = ([p[:2] * 1.0, p[2:] * 1.0], [g[:2] * 1.0, g[2:] * 1.0])
            assert projected_rate(*halves) == pytest.approx(float(exact), rel=1e-15)


def test_the_projected_rate_is_nan_where_there_is_none() -> None:
    one = np.ones(2)
    assert isnan(projected_rate([], []))
    assert isnan(projected_rate([one], [np.array([1.0, -1.0])]))
    for bad in (nan, inf, -inf):
        assert isnan(projected_rate([one], [np.array([1.0, bad])]))
    assert isnan(projected_rate([1e300 * one], [1e300 * one]))
    with pytest.raises(ValueError, match="shorter|longer"):
        projected_rate([one], [])


def test_the_projected_rate_is_added_up_in_float64_and_in_one_order() -> None:
    rng = np.random.default_rng(1)
    p, g = rng.standard_normal((2, 300, 411))
    found = projected_rate([p], [g])
    assert found == projected_rate([np.asfortranarray(p)], [np.asfortranarray(g)])
    assert found == projected_rate([p], [np.asfortranarray(g)])
    tiny, one = np.full(3, 1e-30, np.float32), np.ones(3, np.float32)
    assert projected_rate([tiny], [-one]) == pytest.approx(1e-30, rel=1e-6)
    half = np.full(3, 300, np.float16)
    assert projected_rate([half], [-half]) == 1.0


def test_the_first_projected_rate_is_lr_over_the_mean_gradient() -> None:
    g = gradients("random")[0]
    for lr in (0.5, 1e-3):
        _, state = stepped(SWATS(lr, eps=0.0), [g], np.zeros(8))
        assert state.gamma == pytest.approx(lr * 8 / np.abs(g).sum(), rel=1e-12)


def test_the_decision_is_made_for_all_leaves_together() -> None:
    method, gs = SWATS(0.003, 0.8, 0.98, 1e-6, 1e-3), gradients("random")
    whole, one = stepped(method, gs, start("random"))
    split = [{"a": g[:3], "b": (g[3:4], g[4:])} for g in gs]
    theta = start("random")
    parts, other = stepped(
        method, split, {"a": theta[:3].copy(), "b": (theta[3:4].copy(), theta[4:].copy())}
    )
    assert one.switched == other.switched > 2
    assert one.lr_sgd == pytest.approx(other.lr_sgd, rel=1e-12)
    np.testing.assert_allclose(whole[-1], np.concatenate(leaves(parts[-1])), rtol=1e-11)


# --- when it switches


def test_a_constant_gradient_switches_at_the_second_step() -> None:
    for g in (2.0, -0.25):
        _, state = stepped(SWATS(lr=0.1, eps=0.0), np.full((5, 1), g), np.zeros(1))
        assert state.switched == 2 and state.lr_sgd == pytest.approx(0.1 / abs(g), rel=1e-12)


def test_it_never_switches_at_the_first_update() -> None:
    for gs in ([[1.0], [1.0]], [[0.0], [1.0], [1.0]]):
        _, state = stepped(SWATS(tolerance=EARLY), np.array(gs[:-1]), np.zeros(1))
        assert state.switched == 0 and state.updates == 1
        _, state = stepped(SWATS(tolerance=EARLY), np.array(gs), np.zeros(1))
        assert state.switched == len(gs) and state.updates == 2


def test_the_step_that_decides_is_still_adams() -> None:
    gs = gradients("random")[:2]
    path, state = stepped(SWATS(0.1, tolerance=EARLY), gs, np.zeros(8))
    adams, _ = stepped(SWATS(0.1, tolerance=0.0), gs, np.zeros(8))
    assert state.switched == 2
    np.testing.assert_array_equal(path, adams)


def test_the_tolerance_itself_is_not_close_enough() -> None:
    """With beta2 = 0 the mean is the newest rate, so their distance is exactly 0."""
    assert stepped(SWATS(beta2=0.0, tolerance=0.0), np.ones((5, 1)), np.zeros(1))[1].switched == 0
    assert stepped(SWATS(beta2=0.0), gradients("random"), np.zeros(8))[1].switched == 2


def test_a_rate_of_0_is_not_taken() -> None:
    """The square of a move can underflow where the move does not."""
    method = SWATS(lr=1e-200, tolerance=1.0)
    _, state = stepped(method, np.ones((5, 2)), np.zeros(2))
    assert state.updates == 5 and state.gamma == 0 and state.switched == 0


NOTHING = {"gamma": 0.0, "average": 0.0, "updates": 0.0, "switched": 0.0, "lr_sgd": 0.0}


@pytest.mark.parametrize("g", [0.0, nan, inf])
def test_a_step_without_a_rate_leaves_the_average_alone(g: float) -> None:
    method = SWATS(tolerance=EARLY)
    with np.errstate(invalid="ignore"):
        _, state = stepped(method, np.full((3, 2), g), np.zeros(2))
    rate = 1e-3 * sqrt(1 - 0.999**3) / (1 - 0.9**3)
    assert state.scalars == {**NOTHING, "lr_then": 1e-3, "rate": pytest.approx(rate, rel=1e-14)}
    assert all(type(x) is float for x in state.scalars.values())


def test_scaling_the_loss_and_eps_and_the_tolerance_changes_nothing() -> None:
    """By a power of two: the same path bit for bit, and rates divided by it."""
    gs, c = gradients("random"), 2.0**10
    one, a = stepped(SWATS(0.003, eps=1e-6, tolerance=1e-3), gs, start("random"))
    two, b = stepped(SWATS(0.003, eps=1e-6 * c, tolerance=1e-3 / c), c * gs, start("random"))
    assert differing(one, two) == [] and a.switched == b.switched > 2
    assert a.lr_sgd == c * b.lr_sgd
    _, same = stepped(SWATS(0.003, eps=1e-6 * c, tolerance=1e-3), c * gs, start("random"))
    assert same.switched == 2


# --- schedules


def test_a_schedule_scales_the_rate_of_the_second_phase() -> None:
    gs = gradients("random")[:8]

    def lr(t: int) -> float:
        return 0.1 / t

    method, theta = SWATS(lr, eps=1e-6, tolerance=EARLY), np.zeros(8)
    state = method.init(theta)
    for t, g in enumerate(gs, 1):
        method.step(theta, g, state)
        adams, sgds = lr(t) * sqrt(1 - 0.999**t) / (1 - 0.9**t), state.lr_sgd * 2 / t
        assert state.rate == pytest.approx(adams if t <= 2 else sgds, rel=1e-14)
        assert state.lr_then == lr(min(t, 2))
    assert state.switched == 2


def test_a_schedule_may_end_at_0() -> None:
    method = SWATS(lambda t: 0.1 if t < 4 else 0.0, tolerance=EARLY)
    path, state = stepped(method, gradients("random")[:5], np.zeros(8))
    assert path[4].tolist() == path[2].tolist() and method.metric(state) == inf
    stopped = SWATS(lr=0.0, tolerance=EARLY)
    path, state = stepped(stopped, gradients("random")[:5], np.zeros(8))
    assert not np.any(path) and state.updates == 0


# --- the metric


def test_the_metric_is_one_number_in_the_second_phase() -> None:
    method, gs = SWATS(0.1, tolerance=EARLY), gradients("random")
    theta, states = np.zeros(8), method.init(np.zeros(8))
    kinds = []
    for g in gs[:4]:
        before = theta.copy()
        method.step(theta, g, states)
        kinds.append(type(method.metric(states)))
        np.testing.assert_allclose(theta, before - states.m / method.metric(states), rtol=1e-12)
    assert kinds == [np.ndarray, np.ndarray, float, float]
    assert method.metric(states) == 1 / states.lr_sgd


# --- states, steps and updates


MIXED = {"w": np.zeros((3, SLICE // 2)), "b": (np.zeros(()), np.zeros(0), np.zeros(5))}


@pytest.mark.parametrize(
    "dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16], ids=lambda d: d.__name__
)
def test_step_is_update_across_the_switch(dtype: Any) -> None:
    method = SWATS(lr=lambda t: 0.1 / t, tolerance=EARLY)
    new = random_like(MIXED, 0, dtype)
    mine = copy.deepcopy(new)
    state, later = method.init(mine), method.init(new)
    for seed in range(1, 7):
        g = random_like(MIXED, seed, dtype)
        new, later = method.update(new, g, later)
        method.step(mine, g, state)
        assert (
            differing([mine, state.slots, state.scalars], [new, later.slots, later.scalars]) == []
        )
    assert state.switched == 2


COPIES: dict[str, Callable[[State], State]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda state: pickle.loads(pickle.dumps(state)),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("stop", [1, 2, 3, 20])
def test_a_copied_state_goes_on_with_the_same_bits(
    stop: int, copied: Callable[[State], State]
) -> None:
    method, gs = SWATS(tolerance=EARLY), gradients("random")
    theta = start("random")
    state = method.init(theta)
    for g in gs[:stop]:
        method.step(theta, g, state)
    other, kept = copied(state), theta.copy()
    for g in gs[stop : stop + 10]:
        method.step(theta, g, state)
        method.step(kept, g, other)
    assert differing([theta, state.slots, state.scalars], [kept, other.slots, other.scalars]) == []


def test_update_leaves_the_old_state_alone() -> None:
    method = SWATS(tolerance=EARLY)
    theta, state = method.update(np.ones(3), np.ones(3), method.init(np.ones(3)))
    before = copy.deepcopy([state.slots, state.scalars])
    method.update(theta, np.ones(3), state)
    assert differing([state.slots, state.scalars], before) == []


def test_the_defaults_are_the_papers() -> None:
    assert SWATS() == SWATS(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-9, tolerance=1e-9)
    assert hash(SWATS()) == hash(replace(SWATS())) and SWATS() != SWATS(tolerance=1e-3)


@pytest.mark.parametrize("bad", [-1e-9, inf, nan])
def test_a_bad_tolerance_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="^tolerance must be finite and not negative, got"):
        SWATS(tolerance=bad)


# --- wrappers


def test_the_decision_sees_the_gradients_that_the_rule_sees() -> None:
    gs, inner = gradients("random"), SWATS(0.003, 0.8, 0.98, 1e-6, 1e-4)
    theta = start("random")
    climbing, up = stepped(Maximize(inner), -gs, theta)
    plain, down = stepped(inner, gs, theta)
    assert up.scalars == down.scalars and differing(climbing, plain) == []
    decayed, state = [], inner.init(theta)
    now = theta.copy()
    for g in gs:
        inner.step(now, g + 0.5 * now, state)
        decayed.append(now.copy())
    path, other = stepped(L2(inner, weight_decay=0.5), gs, theta)
    assert other.switched == state.switched > 2
    np.testing.assert_allclose(path, decayed, rtol=1e-9)


def test_clipped_gradients_make_larger_rates() -> None:
    gs = np.full((4, 2), 30.0)
    _, state = stepped(Clipped(SWATS(0.1, eps=0.0), max_norm=1.0), gs, np.zeros(2))
    assert state.switched == 2 and state.lr_sgd == pytest.approx(0.1 * sqrt(2), rel=1e-12)


def test_a_skipped_step_is_no_step_of_the_decision() -> None:
    gs = gradients("random")[:6]
    with_nan = np.insert(gs, [1, 2, 4], nan, axis=0)
    method = SWATS(tolerance=EARLY)
    path, state = stepped(method, gs, np.zeros(8))
    other, guarded = stepped(Guarded(method, nonfinite="skip"), with_nan, np.zeros(8))
    assert guarded.t == 6 and guarded.switched == state.switched == 2 and guarded.skipped == 3
    assert differing(path[-1], other[-1]) == []


def test_each_group_decides_for_itself() -> None:
    gs: list[Tree] = [{"w": np.full(2, 2.0), "b": np.array([g])} for g in (1.0, -3.0, 0.5, 2.0)]
    method = Groups(SWATS(0.1, tolerance=1e-9), {"b": {"lr": 0.2}})
    _, state = stepped(method, gs, {"w": np.zeros(2), "b": np.zeros(1)})
    assert state.scalars["switched[0]"] == 2 and state.scalars["switched[1]"] == 0
    alone, own = stepped(SWATS(0.2), [g["b"] for g in gs], np.zeros(1))
    assert state.scalars["gamma[1]"] == own.gamma


def test_master_weights_keep_the_scalars() -> None:
    inner = SWATS(0.01, tolerance=EARLY)
    wide, narrow = np.ones(5, np.float32), np.ones(5, ml_dtypes.bfloat16)
    state, masters = inner.init(wide), MasterWeights(inner).init(narrow)
    for seed in range(5):
        g = random_like(wide, seed, np.float32)
        inner.step(wide, g, state)
        MasterWeights(inner).step(narrow, g, masters)
    assert masters.scalars == state.scalars and state.switched == 2
    assert masters.master.tolist() == wide.tolist()
