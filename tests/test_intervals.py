"""Intervals: what they enclose, how narrow they are, what they decide, and games played in them."""

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import adam_tutorial
from adam_tutorial import (
    SGD,
    Adagrad,
    Adam,
    AdamNC,
    Ball,
    Box,
    Cycle,
    Interval,
    LinearLosses,
    Nadam,
    Optimizer,
    Projected,
    SquareLosses,
    in_intervals,
    play,
)
from adam_tutorial.bounds import losses_at
from adam_tutorial.intervals import (
    BITS,
    EnclosedGame,
    Undecided,
    in_box,
    larger,
    lower,
    smaller,
    upper,
)

THIRD, FIFTH = Fraction(1, 3), Fraction(1, 5)


def holds(number: Fraction, interval: Any, bits: int = BITS) -> bool:
    """The interval holds the number, and is no wider than a few units of its last place."""
    ends = [Fraction(*as_ratio(end)) for end in interval.ends]
    return ends[0] <= number <= ends[1] and ends[1] - ends[0] <= abs(number) * Fraction(2) ** (
        3 - bits
    )


def as_ratio(end: Any) -> tuple[int, int]:
    sign, man, exp, _ = end
    value = Fraction(int(man)) * Fraction(2) ** int(exp) * (-1 if sign else 1)
    return value.numerator, value.denominator


@pytest.mark.parametrize("bits", [20, 113, 160])
def test_the_operations_enclose_and_are_narrow(bits: int) -> None:
    for x, y in ((THIRD, FIFTH), (-THIRD, FIFTH), (Fraction(-22, 7), Fraction(-1, 9))):
        X, Y = Interval(x, bits=bits), Interval(y, bits=bits)
        for exact, found in (
            (x + y, X + Y), (x - y, X - Y), (x * y, X * Y), (x / y, X / Y), (x**3, X**3),
            (x**2, X**2), (-x, -X), (abs(x), abs(X)), (1 - x, 1 - X), (2 / x, 2 / X), (1 + x, 1 + X),
            (3 * x, 3 * X), (x - 1, X - 1), (x / 3, X / 3),
        ):  # fmt: skip
            assert holds(exact, found, bits), (x, y, exact)
            assert found.bits == bits
    root = Interval(2, bits=bits).sqrt()
    assert Fraction(lower(root)) ** 2 <= 2 <= Fraction(upper(root)) ** 2
    assert root.ends[0] != root.ends[1]


def test_thirds_have_two_ends_and_halves_one() -> None:
    third = Interval(THIRD)
    assert third.ends[0] != third.ends[1]
    for number in (0.5, np.float64(0.5), Fraction(1, 2)):
        assert lower(Interval(number)) == upper(Interval(number)) == 0.5
    assert lower(Interval(3)) == upper(Interval(np.int64(3))) == 3.0
    assert Interval(1, 2).ends == (Interval(1).ends[0], Interval(2).ends[1])
    assert BITS == 113
    assert Interval(1).bits == 113
    copied = Interval(third)
    assert copied.ends == third.ends


def test_what_is_no_interval_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a number, got str"):
        Interval("1")
    with pytest.raises(ValueError, match="expected low <= high, got 2 and 1"):
        Interval(2, 1)
    with pytest.raises(ValueError, match="holds negative numbers"):
        Interval(-1, 1).sqrt()
    assert lower(Interval(0).sqrt()) == 0.0


def test_comparisons_are_decided_or_refused() -> None:
    one, two, wide = Interval(1), Interval(2), Interval(0, 3)
    assert one < two
    assert one <= two
    assert two > one
    assert two >= one
    assert not one > two
    assert not one >= two
    assert not two < one
    assert not two <= one
    assert one < 1.5 < two
    assert Interval(1) <= 1
    assert Interval(1) >= 1
    assert not Interval(1) < 1
    assert not Interval(1) > 1
    for compare in ("__lt__", "__le__", "__gt__", "__ge__"):
        with pytest.raises(Undecided, match="overlap. Use more than 113 bits"):
            getattr(wide, compare)(one)
    assert repr(wide) == "[0.0, 3.0]"
    assert float(wide) == 1.5


def test_equality_is_decided_or_refused() -> None:
    assert Interval(1) == Interval(1) == 1 == Interval(Fraction(1))
    assert Interval(1) != 2 and Interval(0, 1) != Interval(1.5, 3) and Interval(0, 1) != 2.5
    assert Interval(1.5, 3) != Interval(0, 1) and Interval(np.float64(2)) == np.int64(2)
    assert Interval(1) != "1" and Interval(1) != None  # noqa: E711
    third = Interval(THIRD)
    for one, two in (
        (third, third),
        (third, THIRD),
        (Interval(0, 1), 1),
        (Interval(0, 1), Interval(1, 2)),
    ):
        for compare in ("__eq__", "__ne__"):
            with pytest.raises(Undecided):
                getattr(one, compare)(two)
    assert (Interval(1) == np.array([1.0, 2.0])).tolist() == [True, False]
    with pytest.raises(TypeError, match="unhashable"):
        hash(third)


def test_numpy_takes_them_as_numbers() -> None:
    row = np.array([Interval(1), Interval(2)], object)
    assert [float(z) for z in np.array([0.5, 0.25]) * row] == [0.5, 0.5]
    assert [float(z) for z in Interval(2) * np.array([1.0, 3.0])] == [2.0, 6.0]
    assert [float(z) for z in np.sqrt(row * row)] == [1.0, 2.0]
    assert (Interval(1) < np.array([2.0, 0.5])).tolist() == [True, False]
    assert float(np.sum(row)) == 3.0


def test_lower_and_upper_are_floats_on_their_own_side() -> None:
    for number in (
        THIRD,
        -THIRD,
        Fraction(2) ** 1100,
        -(Fraction(2) ** 1100),
        Fraction(1, 2**1080),
        -Fraction(1, 2**1080),
    ):
        X = Interval(number)
        below, above = lower(X), upper(X)
        assert below == -math.inf or Fraction(below) <= number
        assert above == math.inf or number <= Fraction(above)
        assert below < above
        assert math.nextafter(below, math.inf) >= above
    assert lower(2) == upper(2) == 2.0
    assert type(lower(np.float64(2))) is type(upper(np.float64(2))) is float


def test_larger_and_smaller_of_intervals_that_overlap() -> None:
    one, two = Interval(0, 2), Interval(1, 3)
    assert repr(larger(one, two)) == repr(larger(two, one)) == "[1.0, 3.0]"
    assert repr(smaller(one, two)) == "[0.0, 2.0]"
    assert repr(larger(one, 1.5)) == repr(larger(1.5, one)) == "[1.5, 2.0]"
    assert larger(Interval(1, bits=20), 0).bits == larger(0, Interval(1, bits=20)).bits == 20
    assert (larger(1, 2), smaller(1, 2)) == (2, 1)


def test_boxes() -> None:
    wide = Interval(-3, 3)
    assert repr(in_box(wide, Box(-1.0, 1.0))) == "[-1.0, 1.0]"
    assert repr(in_box(wide, Box(-math.inf, 1.0))) == "[-3.0, 1.0]"
    assert repr(in_box(wide, Box(-1.0, math.inf))) == "[-1.0, 3.0]"
    pair = in_box(np.array([wide, Interval(2)], object), Box((-1.0, 0.0), 1.0))
    assert [repr(z) for z in pair] == ["[-1.0, 1.0]", "[1.0, 1.0]"]


# ---- Games


def falling(t: int) -> float:
    return 0.3 / math.sqrt(t)


def exact_descent(c: list[list[int]], eta: Fraction) -> Iterator[list[Fraction]]:
    x = [Fraction(0.2)] * 2
    for row in c:
        yield x
        x = [min(Fraction(1), max(Fraction(-1), z - eta * s)) for z, s in zip(x, row, strict=True)]
    yield x


def test_a_game_is_enclosed() -> None:
    c = np.random.default_rng(0).integers(-3, 4, (30, 2))
    game = play(SGD(0.3), LinearLosses(c.astype(float), np.full(2, 0.2)), 30, Box(-1.0, 1.0))
    enclosed = in_intervals(game, bits=100)
    for row, exact in zip(enclosed.x, exact_descent(c.tolist(), Fraction(0.3)), strict=True):
        for X, x in zip(row, exact, strict=True):
            ends = [Fraction(*as_ratio(end)) for end in X.ends]
            assert ends[0] <= x <= ends[1]
            assert ends[1] - ends[0] <= Fraction(1, 2**90)
            assert X.bits == 100
    assert (enclosed.bits, enclosed.rounds, enclosed.g.shape) == (100, 30, (30, 2))
    assert (enclosed.method, enclosed.problem, enclosed.domain) == (
        game.method,
        game.problem,
        game.domain,
    )


@pytest.mark.parametrize(
    "method",
    [SGD(falling), Adagrad(0.5), Adam(falling, 0.8, 0.9), Adam(0.1, eps=1e-3)],
    ids=["SGD", "Adagrad", "Adam", "Adam, constant"],
)
def test_the_floats_are_near_all_that_a_game_holds(method: Optimizer) -> None:
    rng = np.random.default_rng(1)
    square = SquareLosses(rng.standard_normal((25, 3)), rng.standard_normal(25), np.full(3, 0.5))
    for problem in (square, Cycle((3.0, -1.0, -1.0), 0.5)):
        game = play(method, problem, 25, Box(-0.6, 0.7))
        enclosed = in_intervals(game)
        assert isinstance(enclosed, EnclosedGame)
        for name in ("x", "y", "g", "losses", "metric"):
            ours = getattr(enclosed, name)
            assert ours.dtype == object
            np.testing.assert_allclose(
                ours.astype(float), getattr(game, name), rtol=1e-9, atol=1e-12
            )
            width = max(upper(z) - lower(z) for z in np.ravel(ours))
            assert width <= 1e-9
        assert enclosed.slots.keys() == game.slots.keys()
        for name, values in enclosed.slots.items():
            np.testing.assert_allclose(
                values.astype(float), game.slots[name], rtol=1e-9, atol=1e-12
            )


def test_a_schedule_is_a_few_units_wide_and_a_number_is_not() -> None:
    game = play(SGD(falling), Cycle((1.0, -1.0), 0.5), 3, Box(-1.0, 1.0))
    h = in_intervals(game).metric[1, 0]
    exact = Fraction(falling(2))
    ends = [Fraction(*as_ratio(end)) for end in (1 / h).ends]
    assert ends[0] < exact * (1 - Fraction(2) ** -50 * Fraction(99, 100))
    assert exact * (1 + Fraction(2) ** -50 * Fraction(99, 100)) < ends[1]
    assert ends[1] - ends[0] < exact * Fraction(2) ** -48
    still = in_intervals(play(SGD(0.25), Cycle((1.0, -1.0), 0.5), 3, Box(-1.0, 1.0))).metric
    assert all(lower(z) == upper(z) == 4.0 for z in np.ravel(still))


@dataclass(frozen=True)
class Remembering(Optimizer):
    """A method with a first slot that is not zero, and a metric with a helper."""

    lr: float = 0.1
    slots = ("first", "count")

    def init_leaf(self, theta: Any) -> tuple[Any, ...]:
        return theta.copy(), 0 * theta + 1

    @staticmethod
    def rule(theta: Any, g: Any, first: Any, count: Any, *, lr: float, t: int) -> Any:
        return theta - lr * g * (first / first) / t, first, count + 1

    def scale(self) -> Any:
        return 3 * self.lr

    def metric(self, state: Any) -> Any:
        return state.first + self.scale()


def test_first_slots_and_the_metric_are_the_methods_own() -> None:
    game = play(Remembering(), Cycle((1.0, -1.0), 0.5), 4, Box(-1.0, 1.0))
    enclosed = in_intervals(game)
    assert [float(z) for z in enclosed.slots["first"][:, 0]] == [0.5] * 4
    assert [float(z) for z in enclosed.slots["count"][:, 0]] == [2.0, 3.0, 4.0, 5.0]
    exact = Fraction(0.5) + 3 * Fraction(0.1)
    assert all(holds(exact, z) for z in enclosed.metric[:, 0])
    np.testing.assert_allclose(enclosed.x.astype(float), game.x, rtol=1e-15)


def test_the_metric_knows_its_round() -> None:
    game = play(Adam(0.1, 0.8, 0.5, 0.0), Cycle((1.0, -2.0), 0.5), 4, Box(-1.0, 1.0))
    v, exact = Fraction(0), []
    for t, g in enumerate((1, -2, 1, -2), 1):
        v = Fraction(1, 2) * (v + g * g)
        exact.append(v / (1 - Fraction(1, 2**t)) / Fraction(0.1) ** 2)
    for z, square in zip(in_intervals(game).metric[:, 0], exact, strict=True):
        assert holds(square, z * z, BITS - 3)


def test_games_that_cannot_be_enclosed_are_refused() -> None:
    rows = LinearLosses(np.ones((3, 2)), np.zeros(2))
    for method, domain in (
        (SGD(0.1), Ball(1.0)),
        (Nadam(0.1), Box(-1.0, 1.0)),
        (Projected(SGD(0.1), Box(-1.0, 1.0)), Box(-1.0, 1.0)),
    ):
        with pytest.raises(TypeError, match="in_intervals replays methods of one elementwise rule"):
            in_intervals(play(method, rows, 3, domain))


@dataclass(frozen=True)
class Soft:
    """Losses by functions of math, which make an interval a float; `where` says in which place."""

    where: str
    start: float = 0.5

    def loss(self, x: Any, t: int = 1) -> Any:
        return math.exp(x) if self.where == "loss" else x * x

    def grad(self, x: Any, t: int = 1) -> Any:
        return (
            math.exp(x) if self.where == "loss" else 2 * (float(x) if self.where == "grad" else x)
        )


class ByFloats(SGD):
    @staticmethod
    def rule(theta: Any, g: Any, *, lr: Any) -> Any:
        return (theta - lr * (g if isinstance(g, float) else float(g)),)


@pytest.mark.parametrize("where", ["loss", "grad", "rule"])
def test_what_makes_an_interval_a_float_is_refused(where: str) -> None:
    """Else the ends are lost, and the replay is one in floats that calls itself an enclosure."""
    game = play(SGD(0.1), Soft(where), 3, Box(-1.0, 1.0))
    if where == "rule":
        game = replace(game, method=ByFloats(0.1))
    with pytest.raises(TypeError, match="an interval was made a float"):
        in_intervals(game)
    assert float(Interval(1, 2)) == 1.5  # again allowed
    upright = in_intervals(play(SGD(0.1), Soft("nowhere"), 3, Box(-1.0, 1.0)))
    assert float(upright.x[0, 0]) == 0.5


def test_a_loss_at_a_fixed_point_is_enclosed_as_well() -> None:
    game = in_intervals(play(SGD(0.1), Soft("nowhere"), 3, Box(-1.0, 1.0)))
    u = np.array([Interval(0.25)], object)
    assert all(holds(Fraction(1, 16), z) for z in losses_at(game, u))
    with pytest.raises(TypeError, match="an interval was made a float"):
        losses_at(replace(game, problem=Soft("loss")), u)


def test_truth_is_decided_or_refused() -> None:
    assert Interval(1) and Interval(-2, -1) and not Interval(0)
    for wide in (Interval(0, 1), Interval(-1, 1)):
        with pytest.raises(Undecided):
            bool(wide)
    game = play(SGD(0.1), Kinked(), 3, Box(-1.0, 1.0))
    assert [float(g) for g in in_intervals(game).g[:, 0]] == game.g[:, 0].tolist() == [0.0] * 3


class Kinked:
    """abs(x), with its kink told by `if x`."""

    start = 0.0

    def loss(self, x: Any, t: int = 1) -> Any:
        return abs(x)

    def grad(self, x: Any, t: int = 1) -> Any:
        return (1.0 if x > 0 else -1.0) if x else 0.0


def test_whole_numbers_and_powers() -> None:
    assert operator.index(Interval(7)) == 7 and operator.index(Interval(-3)) == -3
    assert list(range(Interval(2))) == [0, 1]
    for no in (Interval(1, 2), Interval(Fraction(1, 2)), Interval(0.5)):
        with pytest.raises(TypeError, match="expected a whole number"):
            operator.index(no)
    x = Interval(Fraction(3, 2))
    assert x**2 == x**2.0 == x ** Interval(2) == Fraction(9, 4)
    assert holds(Fraction(4, 9), x**-2)
    two = Interval(2) ** 0.5
    assert Fraction(lower(two)) ** 2 <= 2 <= Fraction(upper(two)) ** 2
    assert (Interval(9) ** Interval(0.5)) == 3
    for power in (1.5, Interval(1, 2), "2", None):
        with pytest.raises((TypeError, Undecided), match="whole powers|overlap|expected a number"):
            Interval(2) ** power


@pytest.mark.parametrize("name", ["AdamNC", "AdamHat", "AMSGrad", "AdaMax", "Adagrad", "RMSProp"])
def test_the_step_number_is_not_rounded(name: str) -> None:
    """The mean of squares by 1 / t, and the roots of 1 - beta**t, beside more bits."""
    settings = {"AdamNC": {"eps": 0.0}, "AdaMax": {}}.get(name, {})
    method = getattr(adam_tutorial, name)(0.25, **settings)
    slopes = Cycle((0.7, 0.3, -0.9, 0.1, 0.55), 0.125)
    game = play(method, slopes, 25, Box(-3.0, 3.0))
    rough, fine = in_intervals(game), in_intervals(game, bits=300)
    for few, many in (
        (rough.x, fine.x),
        (rough.metric, fine.metric),
        *zip(rough.slots.values(), fine.slots.values(), strict=True),
    ):
        for a, b in zip(few.ravel(), many.ravel(), strict=True):
            ends = [Fraction(*as_ratio(end)) for each in (a, b) for end in each.ends]
            assert ends[0] <= ends[2] <= ends[3] <= ends[1]
            assert ends[1] - ends[0] <= (abs(ends[0]) + 1) * Fraction(1, 2**90)


def test_the_mean_of_squares_is_enclosed() -> None:
    slopes = (0.7, 0.3, 0.9, 0.1, 0.55)
    game = in_intervals(play(AdamNC(0.5, 0.0, 0.0), Cycle(slopes, 0.0), 5, Box(-3.0, 3.0)))
    for t in range(1, 6):
        exact = sum((Fraction(g) ** 2 for g in slopes[:t]), Fraction(0)) / t
        low, high = (Fraction(*as_ratio(end)) for end in game.slots["v"][t - 1, 0].ends)
        assert low <= exact <= high


def test_rates_are_intervals_too() -> None:
    game = in_intervals(play(SGD(lambda t: 0.1 / t**0.5), Cycle((1.0, -1.0)), 4, Box(-1.0, 1.0)))
    assert len(game.rates()) == 4
    for t, rate in enumerate(game.rates(), 1):
        assert Fraction(lower(rate)) ** 2 <= Fraction(0.1) ** 2 / t <= Fraction(upper(rate)) ** 2
        assert upper(rate) - lower(rate) <= 2.0**-48 * upper(rate)
    still = in_intervals(play(SGD(0.1), Cycle((1.0, -1.0)), 4, Box(-1.0, 1.0)))
    assert all(rate == 0.1 for rate in still.rates("lr"))


class LookingAt(SGD):
    def metric(self, state: Any) -> Any:
        return 1 / self.at("lr", state.t)


def test_a_metric_may_look_at_a_rate() -> None:
    method = LookingAt(lambda t: 0.1 / t**0.5)
    game = in_intervals(play(method, Cycle((1.0, -1.0)), 4, Box(-1.0, 1.0)))
    for h, rate in zip(game.metric[:, 0], game.rates(), strict=True):
        assert repr(h) == repr(1 / rate) and lower(h) < upper(h)


class ByMath(SGD):
    def metric(self, state: Any) -> Any:
        return math.exp(math.log(1 / self.lr))  # type: ignore[operator]


def test_a_metric_that_makes_floats_is_refused() -> None:
    game = in_intervals(play(ByMath(0.1), Cycle((1.0, -1.0)), 4, Box(-1.0, 1.0)))
    with pytest.raises(TypeError, match="an interval was made a float"):
        game.metric  # noqa: B018


def test_progress_sees_each_round() -> None:
    seen: list[int] = []

    def watch(rounds: Any) -> Iterator[int]:
        for t in rounds:
            seen.append(t)
            yield t

    in_intervals(play(SGD(0.1), Cycle((1.0, -1.0), 0.5), 4, Box(-1.0, 1.0)), progress=watch)
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize("bits", [0, 1, -3, 2.5, "x"])
def test_intervals_need_a_whole_number_of_bits(bits):
    game = play(SGD(lr=0.1), Cycle((1.0, -1.0), 0.0), 3, Box(-1.0, 1.0))
    with pytest.raises(ValueError, match="bits: expected a whole number of at least 2"):
        in_intervals(game, bits=bits)


def test_two_bits_are_enough_to_play() -> None:
    game = play(SGD(lr=0.5), Cycle((1.0, -1.0), 0.0), 2, Box(-1.0, 1.0))
    assert np.array_equal([float(x) for x in in_intervals(game, bits=2).x[:, 0]], game.x[:, 0])
