"""Nadam: a plain loop beside it, the weights of its numerator, and the scalars in its state."""

import copy
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import prod
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cases import SEQUENCES, differing, gradients, random_like, start

from adam_tutorial import Adam, MasterWeights, Nadam, State, UnbiasedNadam, dozat_schedule
from adam_tutorial.trees import Array

both = pytest.mark.parametrize("make", [Nadam, UnbiasedNadam])
MOMENTA: dict[str, Any] = {
    "constant": 0.9,
    "none": 0.0,
    "Dozat's": dozat_schedule(),
    "falling": lambda t: 0.9 / t,
    "jumping": lambda t: (0.9, 0.1, 0.0)[t % 3],
}
each_momentum = pytest.mark.parametrize("beta1", MOMENTA.values(), ids=MOMENTA)


def mean_of(gs: Sequence[Any], mus: Sequence[Any]) -> Any:
    """A mean of gs with the weights that an average with the momenta mus gives them."""
    weights = [(1 - mu) * prod(mus[i + 1 :]) for i, mu in enumerate(mus)]
    return sum(w * g for w, g in zip(weights, gs, strict=True)) / sum(weights)


def numerator(make: Any, gs: Sequence[Any], mus: Sequence[Any]) -> Any:
    """What stands above the root at step len(gs), from means alone; mus has one momentum more."""
    if make is UnbiasedNadam:
        return mean_of([*gs, gs[-1]], mus)
    newest = [(1 - mu) / (1 - prod(mus[:t])) for t, mu in enumerate(mus, 1)]
    return newest[-2] * gs[-1] + (1 - newest[-1]) * mean_of(gs, mus[:-1])


def stepped(method: Any, gs: Any, theta: Array | None = None) -> tuple[list[Array], State]:
    """The change that each step makes, and the state in the end."""
    theta = np.zeros_like(gs[0]) if theta is None else theta.copy()
    state, changes = method.init(theta), []
    for g in gs:
        before = theta.copy()
        method.step(theta, g, state)
        changes.append(theta - before)
    return changes, state


@both
@each_momentum
def test_a_plain_loop_makes_the_same_path(make: Any, beta1: Any) -> None:
    mu, method = beta1 if callable(beta1) else lambda t: beta1, make(0.01, beta1, 0.99, 1e-6)
    for name in SEQUENCES:
        theta, gs = start(name), gradients(name)
        m, v, product = np.zeros(8), np.zeros(8), 1.0
        ours, state = theta.copy(), method.init(theta)
        for t, g in enumerate(gs, 1):
            m, v = mu(t) * m + (1 - mu(t)) * g, 0.99 * v + 0.01 * g * g
            product *= mu(t)
            own, ahead = (1 - product), (1 - product * mu(t + 1))
            share = (1 - mu(t)) / own if make is Nadam else (1 - mu(t + 1)) / ahead
            root = np.sqrt(v / (1 - 0.99**t)) + 1e-6
            theta = theta - 0.01 * (share * g + mu(t + 1) / ahead * m) / root
            method.step(ours, g, state)
            np.testing.assert_allclose(ours, theta, rtol=1e-11, atol=1e-12 * np.abs(theta).max())


@both
@each_momentum
def test_the_numerator_is_the_one_of_exact_means(make: Any, beta1: Any) -> None:
    """From weights in fractions, with no recursion. A large eps lets the numerator through."""
    mu = beta1 if callable(beta1) else lambda t: beta1
    gs = [Fraction(t * t % 7 - 3, 4) for t in range(1, 26)]
    mus = [Fraction(mu(t)) for t in range(1, 27)]
    method = make(lr=2.0**40, beta1=beta1, eps=2.0**40)  # the root hardly counts
    changes, _ = stepped(method, [np.array([float(g)]) for g in gs])
    exact = [-numerator(make, gs[:t], mus[: t + 1]) for t in range(1, 26)]
    np.testing.assert_allclose(np.ravel(changes), [float(e) for e in exact], rtol=1e-11, atol=1e-11)


def totals(make: Any, beta1: Any, steps: int) -> Array:
    """The numerators on a gradient of 1."""
    changes, _ = stepped(make(lr=1.0, beta1=beta1, eps=0.0), np.ones((steps, 1)))
    return -np.ravel(changes)


@each_momentum
def test_the_weights_of_the_unbiased_form_add_up_to_1(beta1: Any) -> None:
    np.testing.assert_allclose(totals(UnbiasedNadam, beta1, 100), 1, rtol=1e-12)


@each_momentum
def test_the_excess_weight_of_a_run_is_less_than_1(beta1: Any) -> None:
    mu = beta1 if callable(beta1) else lambda t: beta1
    mus = [mu(t) for t in range(1, 102)]
    last = (1 - mus[-1]) / (1 - prod(mus))  # the weight of the newest gradient, one step later
    excess = (totals(Nadam, beta1, 100) - 1).sum()
    assert excess == pytest.approx(1 - last, abs=1e-12) and excess < 1


@pytest.mark.parametrize("mu", [Fraction(1, 2), Fraction(9, 10), Fraction(99, 100)])
def test_the_total_weight_for_a_constant_momentum(mu: Fraction) -> None:
    found = totals(Nadam, float(mu), 60)
    exact = [1 + (1 - mu) ** 2 * mu**t / ((1 - mu**t) * (1 - mu ** (t + 1))) for t in range(1, 61)]
    np.testing.assert_allclose(found, [float(total) for total in exact], rtol=1e-12)
    ones = [1] * 60
    assert exact == [numerator(Nadam, ones[:t], [mu] * (t + 1)) for t in range(1, 61)]


def test_the_first_total_at_0_9_is_28_nineteenths() -> None:
    assert totals(Nadam, 0.9, 1)[0] == pytest.approx(28 / 19, rel=1e-14)


@both
def test_without_momentum_it_is_adam_without_momentum(make: Any) -> None:
    gs = gradients("random")
    ours, _ = stepped(make(0.01, beta1=0), gs)
    adams, _ = stepped(Adam(0.01, beta1=0), gs)
    np.testing.assert_allclose(ours, adams, rtol=1e-12)


def test_the_two_forms_agree_after_the_start() -> None:
    gs = np.repeat(gradients("random")[:1], 300, axis=0)
    one, other = (stepped(make(0.1, beta1=0.9), gs)[0] for make in (Nadam, UnbiasedNadam))
    assert np.abs(np.subtract(one, other)[0]).min() > 0.04
    np.testing.assert_allclose(one[299], other[299], rtol=1e-12)


def test_a_frozen_denominator_makes_it_nesterovs_look_ahead() -> None:
    """theta = phi + lr a_next m_hat / D goes Adam's way with the gradients of phi."""
    gs, lr, eps = gradients("random")[:50], 0.5, 1e12
    changes, _ = stepped(Nadam(lr * eps, beta1=0.9, eps=eps), gs)
    m_hats = [mean_of(list(gs[:t]), [0.9] * t) for t in range(1, 51)]
    ahead = [0.9 * (1 - 0.9**t) / (1 - 0.9 ** (t + 1)) for t in range(1, 51)]
    phi, theta = np.cumsum(changes, axis=0), -lr * np.cumsum(m_hats, axis=0)
    moved = theta - lr * np.array(ahead)[:, None] * np.array(m_hats)
    np.testing.assert_allclose(phi, moved, rtol=1e-10, atol=1e-10)


# --- the schedule and the scalars


def test_the_schedule_grows_from_half_of_mu_to_mu() -> None:
    schedule = dozat_schedule()
    assert schedule(0) == 0.99 / 2 and schedule(250) == pytest.approx(0.99 * 0.52)
    assert schedule(10**6) == pytest.approx(0.99)
    assert all(a < b for a, b in pairwise(map(schedule, range(1, 5000))))
    assert dozat_schedule(0.9, 1.0)(1) == pytest.approx(0.9 * 0.52)  # Keras's decay


def test_equal_schedules_are_equal_and_so_are_optimizers_that_hold_them() -> None:
    assert dozat_schedule(0.9) == dozat_schedule(mu=0.9, decay=0.004) != dozat_schedule(0.8)
    assert Nadam() == Nadam(beta1=dozat_schedule()) != UnbiasedNadam()
    assert hash(Nadam()) == hash(Nadam(beta1=dozat_schedule()))
    assert pickle.loads(pickle.dumps(Nadam())) == Nadam() == replace(Nadam())


def test_the_defaults_are_the_authors() -> None:
    for make in (Nadam, UnbiasedNadam):
        assert make() == make(lr=2e-3, beta1=dozat_schedule(0.99, 1 / 250), beta2=0.999, eps=1e-8)


@both
def test_the_scalars_are_the_momenta_and_their_product(make: Any) -> None:
    mus = [0.5, 0.75, 0.25, 0.125, 0.5]
    method = make(beta1=lambda t: mus[t - 1])
    theta = np.ones(3)
    state = method.init(theta)
    assert state.scalars == {}
    for t in range(1, 5):
        method.step(theta, np.ones(3), state)
        expected = {"mu": mus[t - 1], "mu_next": mus[t], "mu_product": prod(mus[:t])}
        assert state.scalars == expected and all(type(x) is float for x in state.scalars.values())


COPIES: dict[str, Callable[[State], State]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda state: pickle.loads(pickle.dumps(state)),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@both
def test_a_copied_state_goes_on_with_the_same_bits(
    make: Any, copied: Callable[[State], State]
) -> None:
    method, gs = make(), gradients("random")
    theta = start("random")
    state = method.init(theta)
    for g in gs[:20]:
        method.step(theta, g, state)
    other, kept = copied(state), theta.copy()
    assert other.scalars == state.scalars and other.scalars is not state.scalars
    for g in gs[20:40]:
        method.step(theta, g, state)
        method.step(kept, g, other)
    assert differing([theta, state.slots, state.scalars], [kept, other.slots, other.scalars]) == []


@both
@each_momentum
def test_step_is_update_with_a_schedule_and_its_scalars(make: Any, beta1: Any) -> None:
    method = make(lr=lambda t: 0.1 / t, beta1=beta1)
    params = random_like({"w": np.zeros((300, 400)), "b": np.zeros(())}, 0, np.float32)
    new, later = params, method.init(params)
    mine = copy.deepcopy(params)
    state = method.init(mine)
    for seed in range(1, 8):
        g = random_like(params, seed, np.float32)
        new, later = method.update(new, g, later)
        method.step(mine, g, state)
    assert differing([mine, state.slots, state.scalars], [new, later.slots, later.scalars]) == []


def test_update_leaves_the_scalars_of_the_old_state_alone() -> None:
    method = Nadam(beta1=0.5)
    theta, state = method.update(np.ones(3), np.ones(3), method.init(np.ones(3)))
    before = dict(state.scalars)
    method.update(theta, np.ones(3), state)
    assert state.scalars == before


@both
def test_beta1_is_asked_for_one_step_ahead_and_lr_is_not(make: Any) -> None:
    asked: dict[str, set[int]] = {"lr": set(), "beta1": set()}

    def schedule(name: str) -> Callable[[int], float]:
        return lambda t: asked[name].add(t) or 0.5

    method = make(lr=schedule("lr"), beta1=schedule("beta1"))
    stepped(method, np.ones((3, 2)))
    assert asked == {"lr": {1, 2, 3}, "beta1": {1, 2, 3, 4}}


@pytest.mark.parametrize("method", ["step", "update"])
@pytest.mark.parametrize("bad", [1.0, -0.1, np.nan])
@both
def test_a_bad_momentum_names_its_step_and_changes_nothing(
    make: Any, bad: float, method: str
) -> None:
    nadam = make(beta1=lambda t: 0.5 if t < 4 else bad)
    theta = np.ones(3)
    state = nadam.init(theta)
    nadam.step(theta, np.ones(3), state)
    nadam.step(theta, np.ones(3), state)
    before = copy.deepcopy([theta, state.slots, state.scalars, state.t])
    with pytest.raises(ValueError, match="^beta1 at step 4 must be"):
        getattr(nadam, method)(theta, np.ones(3), state)  # step 3 looks ahead
    assert differing([theta, state.slots, state.scalars, state.t], before) == []


def test_half_precision_weights_with_masters_keep_the_scalars() -> None:
    inner = Nadam(0.01)
    wide, narrow = np.ones(5, np.float32), np.ones(5, ml_dtypes.bfloat16)
    state, masters = inner.init(wide), MasterWeights(inner).init(narrow)
    for seed in range(5):
        g = random_like(wide, seed, np.float32)
        inner.step(wide, g, state)
        MasterWeights(inner).step(narrow, g, masters)
    assert masters.scalars == state.scalars
    assert masters.master.tolist() == wide.tolist()


# --- libraries


def test_torch_weighs_a_constant_gradient_otherwise() -> None:
    """With its defaults: 1.056, 0.784, 0.746, 0.843 at t = 1, 2, 5, 10, and least at t = 4."""
    torch = pytest.importorskip("torch")
    theta = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer, found = torch.optim.NAdam([theta], lr=1.0, eps=0.0), []
    for _ in range(200):
        before, theta.grad = theta.item(), torch.ones_like(theta)
        optimizer.step()
        found.append(before - theta.item())
    assert [round(found[t - 1], 3) for t in (1, 2, 5, 10)] == [1.056, 0.784, 0.746, 0.843]
    assert np.argmin(found) == 3 and found[3] == pytest.approx(0.7311, abs=5e-5)
    assert found[-1] == pytest.approx(1, abs=1e-4)  # 1 and the growth of its schedule
