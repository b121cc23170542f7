"""Schedules: their values from definitions, PyTorch's beside them, boundaries, clocks and refusals."""

import copy
import math
import pickle
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import count, islice, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as theirs

from adam_tutorial import L2, SGD, Adam, AdamW, Groups, Optimizer, PaperAdamW, Schedule
from adam_tutorial.schedules import (
    constant,
    cosine,
    cycle_decay,
    inverse_root,
    joined,
    linear,
    piecewise,
    scaled,
    warm_restarts,
    warmed_up,
    with_restarts,
)
from adam_tutorial.trees import map_leaves

EVERY: list[Any] = [
    constant(0.1),
    linear(0.1, 0.7, 9),
    inverse_root(0.3, 4),
    cosine(0.5, 12, 0.1),
    warm_restarts(0.5, 3, 2, 0.1),
    piecewise((0.1, 0.01, 0.001), (3, 7)),
    joined((linear(0, 0.5, 4), cosine(0.5, 9), 0.01), (4, 13)),
    scaled(cosine(1, 10), 0.3),
    warmed_up(inverse_root(0.3), 5),
    cycle_decay(0.05, warm_restarts(1, 4, 3)),
]
every = pytest.mark.parametrize("schedule", EVERY, ids=lambda s: type(s).__name__)


def values(schedule: Callable[[int], float], steps: int) -> list[float]:
    return [schedule(t) for t in range(1, steps + 1)]


# ---- All of them


@every
def test_a_value_is_a_python_float(schedule: Any) -> None:
    assert all(type(value) is float for value in values(schedule, 30))
    assert schedule(np.int64(7)) == schedule(7) and type(schedule(np.int64(7))) is float


@every
def test_the_first_step_is_1(schedule: Any) -> None:
    schedule(1)
    for t in (0, -3):
        with pytest.raises(ValueError, match=f"asked for the steps t = 1, 2, ..., .* for {t}. "):
            schedule(t)
    with pytest.raises(TypeError):
        schedule(1.5)


@every
def test_it_is_compared_copied_and_pickled_by_its_fields(schedule: Any) -> None:
    for other in (pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule), replace(schedule)):
        assert other == schedule and hash(other) == hash(schedule)
        assert values(other, 30) == values(schedule, 30)
    assert all(schedule != other for other in EVERY if other is not schedule)
    with pytest.raises(AttributeError):
        setattr(schedule, fields(schedule)[0].name, 1)


@every
def test_it_remembers_nothing(schedule: Any) -> None:
    forwards = values(schedule, 40)
    assert [schedule(t) for t in range(40, 0, -1)] == forwards[::-1]


@every
def test_a_resumed_run_goes_on_with_the_same_bits(schedule: Any) -> None:
    gs = np.random.default_rng(5).standard_normal((20, 4))
    whole, adam = np.zeros(4), Adam(lr=schedule)
    state = adam.init(whole)
    for g in gs[:9]:
        adam.step(whole, g, state)
    part, held, again = pickle.loads(pickle.dumps((whole, state, adam)))
    for g in gs[9:]:
        adam.step(whole, g, state)
        again.step(part, g, held)
    assert whole.tobytes() == part.tobytes()


@dataclass(frozen=True)
class Asked:
    """Notes the steps that a schedule is asked for."""

    steps: list[int]

    def __call__(self, t: int) -> float:
        self.steps.append(t)
        return 0.1


@pytest.mark.parametrize("call", ["step", "update"])
@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: L2(m, 0.1)], ids=["bare", "wrapped"])
def test_the_rate_is_asked_once_a_step_in_order(call: str, wrap: Any) -> None:
    asked = Asked([])
    method, params = wrap(Adam(lr=asked)), {"a": np.zeros(3), "b": [np.zeros(2), np.zeros((2, 2))]}
    state, grads = method.init(params), map_leaves(np.ones_like, params)
    for _ in range(4):
        if call == "step":
            method.step(params, grads, state)
        else:
            params, state = method.update(params, grads, state)
    assert asked.steps == [1, 2, 3, 4]


def test_each_group_has_its_own_schedule() -> None:
    slow, fast = Asked([]), Asked([])
    method = Groups(SGD(slow), {"b": {"lr": fast}})
    params = {"a": np.zeros(2), "b": np.zeros(2)}
    state = method.init(params)
    method.step(params, {"a": np.ones(2), "b": np.ones(2)}, state)
    assert slow.steps == fast.steps == [1]


# ---- Their values


def test_a_constant() -> None:
    assert values(constant(3), 3) == [3.0] * 3


def test_a_line() -> None:
    exact = [Fraction(1, 10) + Fraction(6, 10) * Fraction(min(t, 9), 9) for t in range(1, 14)]
    np.testing.assert_allclose(values(linear(0.1, 0.7, 9), 13), [float(e) for e in exact], 1e-15)
    assert linear(0.3, 0.1, 7)(7) == 0.1 == linear(0.3, 0.1, 7)(100)
    assert linear(0, 1e-3, 2000)(1) == 1e-3 / 2000  # no step is lost
    assert values(linear(5, 2, 1), 3) == [2.0] * 3


def test_an_inverse_root() -> None:
    root = values(inverse_root(0.5), 1000)
    np.testing.assert_allclose(root, 0.5 / np.sqrt(np.arange(1, 1001)), rtol=1e-15)
    d, warmup, t = 512, 4000, np.arange(1, 20_001)
    transformer = d**-0.5 * np.minimum(t**-0.5, t * warmup**-1.5)
    ours = values(inverse_root((d * warmup) ** -0.5, warmup), 20_000)
    np.testing.assert_allclose(ours, transformer, rtol=1e-14)
    assert max(ours) == ours[warmup - 1] == (d * warmup) ** -0.5


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.1, 0.5), (0.2, 0.2)])
def test_half_a_cosine(low: float, high: float) -> None:
    found = values(cosine(high, 12, low), 30)
    exact = [low + 0.5 * (high - low) * (1 + math.cos(math.pi * k / 12)) for k in range(12)]
    np.testing.assert_allclose(found[:12], exact, rtol=1e-15)
    assert found[0] == high and found[12:] == [low] * 18
    assert found[6] == pytest.approx((low + high) / 2)
    mean = (low + high) / 2 + (high - low) / 24
    assert np.mean(found[:12]) == pytest.approx(mean, rel=1e-14)
    assert values(cosine(high, 1, low), 3) == [high, low, low]


def test_the_lower_end_is_0_unless_said() -> None:
    assert cosine(1, 5)(6) == 0 and cosine(1, 5) == cosine(1, 5, 0)
    assert warm_restarts(1, 5) == warm_restarts(1, 5, 1, 0)


def test_pieces() -> None:
    schedule = piecewise([0.1, 0.01, 0.001], [3, 7])
    assert values(schedule, 9) == [0.1] * 3 + [0.01] * 4 + [0.001] * 2
    assert schedule == piecewise((0.1, 0.01, 0.001), (3, 7)) and hash(schedule)
    assert values(piecewise((2,), ()), 3) == [2.0] * 3


def test_each_part_of_a_joined_schedule_counts_from_1() -> None:
    first, second, third = Asked([]), Asked([]), Asked([])
    schedule = joined([first, second, third], [2, 5])
    values(schedule, 7)
    assert (first.steps, second.steps, third.steps) == ([1, 2], [1, 2, 3], [1, 2])
    parts = values(linear(0, 0.5, 4), 4) + values(cosine(0.5, 9), 9) + [0.01] * 5
    assert values(EVERY[6], 18) == parts
    assert joined((0.1, lambda t: 3), (1,))(2) == 3.0


def test_a_factor_and_a_rise() -> None:
    inner = cosine(1, 10)
    assert values(scaled(inner, 0.3), 12) == [0.3 * value for value in values(inner, 12)]
    assert values(scaled(2, 3), 2) == [6.0, 6.0]
    rise = [min(1.0, t / 5) * value for t, value in enumerate(values(inner, 12), 1)]
    assert values(warmed_up(inner, 5), 12) == rise
    assert values(warmed_up(2, 4), 5) == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert type(scaled(lambda t: 2, 3)(1)) is type(warmed_up(lambda t: 2, 1)(1)) is float


# ---- Restarts


def cycles(T_0: int, T_mult: int) -> Iterator[tuple[int, int, int]]:
    """(cycle, steps done, length) step by step, as a program that counts would have them."""
    length = T_0
    for i in count():
        for done in range(length):
            yield i, done, length
        length *= T_mult


@pytest.mark.parametrize("T_mult", [1, 2, 3, 10])
@pytest.mark.parametrize("T_0", [1, 2, 7])
def test_cycles_are_those_of_a_count(T_0: int, T_mult: int) -> None:
    schedule = warm_restarts(0.5, T_0, T_mult, 0.1)
    for t, (i, done, length) in enumerate(islice(cycles(T_0, T_mult), 3000), 1):
        assert schedule.cycle(t) == (i, done, length)
        expected = 0.1 + 0.4 * (1 + math.cos(math.pi * done / length)) / 2
        assert schedule(t) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("T_mult", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("T_0", [1, 3, 1000, 781 * 100])
def test_restarts_are_exact_beyond_a_billion_steps(T_0: int, T_mult: int) -> None:
    schedule, i = warm_restarts(1, T_0, T_mult), 0
    ends = [0]
    while ends[-1] <= 10**9:
        ends.append(ends[-1] + T_0 * T_mult**i)
        i += 1
        if T_mult == 1 and i == 200:  # the others are alike; go on with the last
            break
    for i, (before, end) in enumerate(pairwise(ends)):
        assert (schedule.steps(i), schedule.steps(i + 1)) == (before, end)
        length = end - before
        assert schedule.cycle(before + 1) == (i, 0, length) and schedule(before + 1) == 1
        assert schedule.cycle(end) == (i, length - 1, length)
    far = 10**9 // T_0
    if T_mult == 1:
        assert schedule.cycle(far * T_0) == (far - 1, T_0 - 1, T_0)
        assert schedule.cycle(far * T_0 + 1) == (far, 0, T_0)
    assert schedule.cycle(10**30)[1] < schedule.cycle(10**30)[2]


def test_the_decay_of_a_cycle_is_over_the_root_of_its_length() -> None:
    """The paper's lambda_norm sqrt(b / (B T_i)): b = 128, B = 50_000, T_i = 100, 200, 400 epochs."""
    per_epoch = Fraction(50_000, 128)
    T_0 = int(100 * per_epoch)  # 39062.5 steps, rounded down
    decay = cycle_decay(0.05, warm_restarts(1, T_0, 2))
    for T_i, t in ((100, 1), (100, T_0), (200, T_0 + 1), (200, 3 * T_0), (400, 3 * T_0 + 1)):
        assert decay(t) == pytest.approx(0.05 * math.sqrt(128 / (50_000 * T_i)), rel=1e-4)
    assert decay(1) == pytest.approx(2.5298e-4, rel=1e-4)
    assert decay(T_0) == 0.05 / math.sqrt(T_0)


@dataclass(frozen=True)
class Decayed(Optimizer):
    """theta - eta (lr g + weight_decay theta), as the paper multiplies."""

    lr: Schedule = 0.1
    weight_decay: Schedule = 0.01
    eta: Schedule = 1.0

    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float, weight_decay: float, eta: float) -> tuple[Any, ...]:
        return (theta - eta * (lr * g + weight_decay * theta),)


def test_restarts_of_a_method_keep_its_other_settings() -> None:
    made, eta = with_restarts(Decayed(lr=0.3), 50, 2, 0.1), warm_restarts(1, 50, 2)
    assert made == Decayed(0.3, cycle_decay(0.1, eta), eta)
    assert with_restarts(Decayed(), 50) == Decayed(
        eta=warm_restarts(1, 50, 1), weight_decay=cycle_decay(0.05, warm_restarts(1, 50))
    )
    theta, state = np.ones(1), made.init(np.ones(1))
    expected = 1.0
    for t, (_, done, length) in enumerate(islice(cycles(50, 2), 200), 1):
        multiplier = 0.5 + 0.5 * math.cos(math.pi * done / length)
        expected -= multiplier * (0.3 * math.sin(t) + 0.1 / math.sqrt(length) * expected)
        made.step(theta, np.array([math.sin(t)]), state)
    assert theta[0] == pytest.approx(expected, rel=1e-13)


def test_adamwr_is_adamw_with_two_schedules() -> None:
    eta = warm_restarts(1, 100, 2)
    made = with_restarts(PaperAdamW(0.01), 100, 2, 0.03)
    assert made == PaperAdamW(0.01, eta=eta, weight_decay=cycle_decay(0.03, eta))
    assert made.hyper(101) == {**PaperAdamW(0.01).hyper(101), "weight_decay": 0.03 / 200**0.5}


def test_restarts_need_a_method_with_a_multiplier() -> None:
    with pytest.raises(ValueError, match="SGD has no eta: take PaperAdamW"):
        with_restarts(SGD(0.1), 50)


# ---- Refusals


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: constant(-1), ValueError, "number must be finite and not negative"),
        (lambda: constant(math.inf), ValueError, "number must be finite"),
        (lambda: constant(math.nan), ValueError, "number must be finite"),
        (lambda: constant("0.1"), TypeError, "number must be a number"),
        (lambda: linear(-0.1, 1, 3), ValueError, "start must be finite and not negative"),
        (lambda: linear(0.1, -1, 3), ValueError, "end must be finite and not negative"),
        (lambda: linear(0, 1, 0), ValueError, "steps must be at least 1, got 0"),
        (lambda: linear(0, 1, 2.0), TypeError, "steps counts steps and must be an integer"),
        (lambda: linear(0, 1, True), TypeError, "steps counts steps and must be an integer"),
        (lambda: inverse_root(-1), ValueError, "peak must be finite"),
        (lambda: inverse_root(1, 0), ValueError, "warmup must be at least 1"),
        (lambda: cosine(1, -5), ValueError, "steps must be at least 1, got -5"),
        (lambda: cosine(0.1, 5, 0.2), ValueError, "eta_min must not be above eta_max, got 0.2 and"),
        (lambda: cosine(0.1, 5, -0.2), ValueError, "eta_min must be finite and not negative"),
        (lambda: cosine(-0.1, 5), ValueError, "eta_max must be finite and not negative"),
        (lambda: warm_restarts(0.1, 5, 2, 0.2), ValueError, "eta_min must not be above eta_max"),
        (lambda: warm_restarts(0.1, 0), ValueError, "T_0 must be at least 1"),
        (lambda: warm_restarts(0.1, 5, 0), ValueError, "T_mult must be at least 1"),
        (lambda: warm_restarts(0.1, 5, 1.5), TypeError, "T_mult counts steps and must be an int"),
        (lambda: piecewise((), ()), ValueError, "one piece more than boundaries, got 0 and 0"),
        (lambda: piecewise((1, 2), (3, 4)), ValueError, "one piece more than boundaries"),
        (lambda: piecewise((1, 2, 3), (4, 4)), ValueError, "boundaries must increase"),
        (lambda: piecewise((1, 2, 3), (4, 3)), ValueError, "boundaries must increase"),
        (lambda: piecewise((1, 2), (0,)), ValueError, "a boundary must be at least 1"),
        (lambda: piecewise((1, -2), (3,)), ValueError, "a value must be finite"),
        (lambda: joined((1, 2, 3), (4, 3)), ValueError, "boundaries must increase"),
        (lambda: joined((1,), (4,)), ValueError, "one piece more than boundaries, got 1 and 1"),
        (lambda: joined((1, -1), (4,)), ValueError, "number must be finite and not negative"),
        (lambda: scaled(1, -1), ValueError, "factor must be finite and not negative"),
        (lambda: warmed_up(1, 0), ValueError, "steps must be at least 1"),
        (lambda: cycle_decay(-1, warm_restarts(1, 5)), ValueError, "lambda_norm must be"),
        (lambda: cycle_decay(1, cosine(1, 5)), TypeError, "cycles must be warm_restarts"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(make: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_what_can_be_meant_is_not() -> None:
    assert constant(0)(1) == 0 and linear(0, 0, 1)(1) == 0 and cosine(0, 1, 0)(1) == 0
    assert piecewise((1, 2), (1,))(2) == 2 and scaled(1, 0)(1) == 0
    assert warm_restarts(1, np.int64(5), np.int64(2)) == warm_restarts(1, 5, 2)
    assert type(warm_restarts(1, np.int64(5)).T_0) is int


# ---- PyTorch


def torch_values(make: Callable[[Any], Any], steps: int, lr: float = 0.5) -> list[float]:
    """The rate of each step: their schedulers are moved on *after* a step, and so begin with 0."""
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler, found = make(sgd), []
    for _ in range(steps):
        found.append(sgd.param_groups[0]["lr"])
        sgd.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SequentialLR warns of a call of its own
            scheduler.step()
    return found


# Step t here is their count t - 1. Only LinearLR differs by more: it spends a step at its start.
SAME: dict[str, tuple[Any, Any, float]] = {
    "CosineAnnealingLR": (
        cosine(0.5, 20, 0.1),
        lambda o: theirs.CosineAnnealingLR(o, T_max=20, eta_min=0.1),
        21,
    ),
    "CosineAnnealingWarmRestarts": (
        warm_restarts(0.5, 7, 1, 0.1),
        lambda o: theirs.CosineAnnealingWarmRestarts(o, T_0=7, eta_min=0.1),
        100,
    ),
    "CosineAnnealingWarmRestarts, T_mult = 3": (
        warm_restarts(0.5, 2, 3),
        lambda o: theirs.CosineAnnealingWarmRestarts(o, T_0=2, T_mult=3),
        300,
    ),
    "LinearLR": (
        joined((0.1, linear(0.1, 0.5, 8)), (1,)),
        lambda o: theirs.LinearLR(o, start_factor=0.2, total_iters=8),
        20,
    ),
    "MultiStepLR": (
        piecewise((0.5, 0.05, 0.005, 0.0005), (30, 60, 80)),
        lambda o: theirs.MultiStepLR(o, milestones=[30, 60, 80]),
        100,
    ),
    "SequentialLR": (
        joined((joined((0.05, linear(0.05, 0.5, 5)), (1,)), cosine(0.5, 20)), (5,)),
        lambda o: theirs.SequentialLR(
            o,
            [theirs.LinearLR(o, 0.1, total_iters=5), theirs.CosineAnnealingLR(o, T_max=20)],
            milestones=[5],
        ),
        26,
    ),
    "LambdaLR": (
        inverse_root(0.5, 10),
        lambda o: theirs.LambdaLR(o, lambda e: min((e + 1) / 10, math.sqrt(10 / (e + 1)))),
        100,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_pytorch_has_the_same_rate_at_each_step(name: str) -> None:
    ours, make, steps = SAME[name]
    expected = torch_values(make, int(steps))
    np.testing.assert_allclose(values(ours, int(steps)), expected, rtol=0, atol=1e-14)
    shifted = [ours(t) for t in range(2, int(steps) + 2)]
    assert not np.allclose(shifted, expected, atol=1e-6)  # a step too early


def test_restarts_have_the_same_bits_as_pytorch() -> None:
    ours, make, steps = SAME["CosineAnnealingWarmRestarts, T_mult = 3"]
    assert values(ours, int(steps)) == torch_values(make, int(steps))


def test_pytorch_asked_for_a_number_may_be_a_cycle_late() -> None:
    """log(243, 3) is just below 5 in floats: at count 121 T_0 the rate is 0, not the largest."""
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = theirs.CosineAnnealingWarmRestarts(sgd, T_0=10, T_mult=3)
    scheduler.step(1210)
    ours = warm_restarts(0.5, 10, 3)
    assert ours.cycle(1211) == (5, 0, 2430) and ours(1211) == 0.5
    if sgd.param_groups[0]["lr"] != 0.5:  # until they repair it
        assert sgd.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_restarts_need_an_eta_and_say_who_has_one():
    with pytest.raises(ValueError, match=r"AdamW has no eta: take PaperAdamW or SGDW"):
        with_restarts(AdamW(), 10)
