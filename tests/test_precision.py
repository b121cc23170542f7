"""Half precision: computed in float32 and rounded once, and master weights that lose nothing."""

import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cases import CASES, Case, differing, known

from adam_tutorial import SGD, SLICE, Adam, MasterWeights, executors
from adam_tutorial.executors import HalfLeaf

HALVES = [np.float16, np.dtype(ml_dtypes.bfloat16)]
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_half = pytest.mark.parametrize("half", HALVES, ids=["float16", "bfloat16"])
SIZES = [1, 100, executors.COMPILE_SIZE, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE + 5]


@pytest.mark.parametrize("size", SIZES)
@each_half
@each_case
def test_half_precision_is_float32_rounded_once(case: Case, half: Any, size: int) -> None:
    """Each step alone: the parameter after it is the float32 result, rounded."""
    method, rng = case.make(), np.random.default_rng(size)
    theta = rng.standard_normal(size).astype(half)
    state = method.init(theta)
    for _ in range(3):
        g = rng.standard_normal(size).astype(half)
        held = [state.slots[name].copy() for name in method.slots]
        numbers = known(method, theta, g, state)
        names = executors.program_of(method).hyper
        wide = theta.astype(np.float32), g.astype(np.float32)
        new, *slots = method.rule(*wide, *held, **{name: numbers[name] for name in names})
        method.step(theta, g, state)
        assert differing(theta, new.astype(half)) == []
        assert differing(list(state.slots.values()), slots) == []
    assert type(state._checked.plan.leaves[0]) is HalfLeaf


@each_half
def test_a_float32_gradient_is_not_rounded(half: Any) -> None:
    theta, g = np.zeros(5, half), np.full(5, 1 + 2**-20, np.float32)
    state = Adam().init(theta)
    Adam().step(theta, g, state)
    assert np.all(state.m == np.float32(1 - 0.9) * g)


# --- master weights


@each_half
def test_small_steps_are_lost_without_a_master_copy(half: Any) -> None:
    plain, kept = np.ones(3, half), np.ones(3, half)
    sgd = SGD(lr=1.0)
    master = MasterWeights(sgd)
    g, state = np.full(3, 1e-5, np.float32), master.init(kept)
    for _ in range(2000):
        sgd.step(plain, g, sgd.init(plain))
        master.step(kept, g, state)
    assert np.all(plain == 1)
    assert np.allclose(state.master, 0.98, atol=1e-3)
    assert np.all(kept == state.master.astype(half))


@each_half
@each_case
def test_the_master_copy_moves_as_float32_parameters_do(case: Case, half: Any) -> None:
    inner = case.make()
    if isinstance(inner, MasterWeights):
        inner = inner.inner
    master, rng = MasterWeights(inner), np.random.default_rng(0)
    theta = rng.standard_normal(50).astype(half)
    wide = theta.astype(np.float32)
    state, wide_state = master.init(theta), inner.init(wide)
    for _ in range(20):
        g = rng.standard_normal(50).astype(np.float32)
        master.step(theta, g, state)
        inner.step(wide, g, wide_state)
    assert differing(state.master, wide) == []
    assert differing([state.slots[s] for s in inner.slots], list(wide_state.slots.values())) == []
    assert differing(theta, wide.astype(half)) == []


def test_the_copy_begins_at_the_parameters_and_is_no_view() -> None:
    theta = np.array([[1.5, -2.0]], np.float32)
    state = MasterWeights(SGD(lr=0.1)).init(theta)
    assert state.master.tolist() == theta.tolist() and not np.shares_memory(state.master, theta)


def test_it_shows_what_it_wraps_and_may_be_pickled() -> None:
    master = MasterWeights(Adam(lr=0.5))
    assert master.slots == ("master", "m", "v")
    assert repr(master) == f"MasterWeights(inner={master.inner!r})"
    assert pickle.loads(pickle.dumps(master)) == master
    assert master.hyper(3) == master.inner.hyper(3)


def test_an_epsilon_that_rounds_away_is_refused_through_it() -> None:
    with pytest.raises(ValueError, match="eps = 1e-60 rounds to 0 in float32"):
        MasterWeights(Adam(eps=1e-60)).init(np.zeros(2, np.float16))


@pytest.mark.parametrize("inner", [3.0, Adam], ids=["number", "class"])
def test_what_it_cannot_wrap_is_refused(inner: Any) -> None:
    with pytest.raises(TypeError, match="inner: expected an optimizer, such as"):
        MasterWeights(inner)


def test_master_weights_of_master_weights_are_refused() -> None:
    with pytest.raises(TypeError, match="the parameters have master weights already"):
        MasterWeights(MasterWeights(Adam()))


def test_explain_says_who_converts() -> None:
    theta = np.zeros(executors.COMPILE_SIZE, np.float16)
    found = executors.explain(Adam(), theta, Adam().init(theta))
    assert found.endswith("; float16 is widened and rounded by NumPy")
