"""Certificates and proofs: each term against its formula, each premise broken by itself, each verdict."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from adam_tutorial import (
    SGD,
    Adagrad,
    Adam,
    AdaMax,
    Ball,
    Box,
    Certificate,
    Cycle,
    Interval,
    Line,
    LinearLosses,
    Momentum,
    Nadam,
    Optimizer,
    Premise,
    RMSProp,
    Simplex,
    SquareLosses,
    Term,
    adagrad_bound,
    adagrad_proof,
    any_step_bound,
    confirmed,
    dual_adagrad_bound,
    first_false,
    first_rounds,
    gradient_descent_bound,
    gradient_descent_proof,
    in_intervals,
    known_horizon_bound,
    master_bound,
    master_proof,
    play,
    regret,
    regret_of,
)
from adam_tutorial import bounds as module
from adam_tutorial.intervals import lower, upper
from adam_tutorial.online import Game, points_tried
from adam_tutorial.optimizer import Schedule
from adam_tutorial.trees import map_leaves

RNG = np.random.default_rng(5)
T, D = 12, 2
ROWS, TARGETS, START = RNG.standard_normal((T, D)), RNG.standard_normal(T), np.array([0.2, -0.4])
LINEAR, SQUARE = LinearLosses(ROWS, START), SquareLosses(ROWS, TARGETS, START)
BOX, BALL = Box((-1.0, -0.5), (1.0, 2.0)), Ball(0.9)
CONVEX, INSIDE, BOUNDED = "f_t convex, g_t its subgradient", "x_t in F", "F bounded"
POSITIVE = "0 < H_t < inf"
STEP, BACK = "each step is -g_t / H_t", "x_{t+1} projected in the norm of H_t"


def falling(t: int) -> float:
    return 0.7 / math.sqrt(t)


@dataclass(frozen=True)
class Dual(Optimizer):
    lr: Schedule
    eps: float
    slots = ("start", "s", "a")

    def init_leaf(self, theta: Any) -> tuple[Any, ...]:
        return theta.copy(), 0 * theta, 0 * theta

    @staticmethod
    def rule(theta: Any, g: Any, start: Any, s: Any, a: Any, *, lr: float, eps: float) -> Any:
        s, a = s + g, a + g * g
        return start - lr * s / (np.sqrt(a) + eps), start, s, a

    def metric(self, state: Any) -> Any:
        return map_leaves(lambda a: (np.sqrt(a) + self.eps) / self.hyper(state.t)["lr"], state.a)


def parts(game: Game, u: Any, d: Any) -> dict[str, float]:
    """The terms of the master inequality, by loops."""
    h, x = game.metric, game.x
    found = {"start": 0.0, "change": 0.0, "end": 0.0, "steps": 0.0, "direction": 0.0}
    for i in range(x.shape[1]):
        for t in range(game.rounds):
            before = h[t - 1, i] if t else 0.0
            found["change" if t else "start"] += (h[t, i] - before) * (x[t, i] - u[i]) ** 2 / 2
            found["steps"] += d[t, i] ** 2 / h[t, i] / 2
            found["direction"] += (game.g[t, i] - d[t, i]) * (x[t, i] - u[i])
        found["end"] -= h[-1, i] * (x[-1, i] - u[i]) ** 2 / 2
    return found


def run_error(game: Game, u: Any) -> float:
    h, g, x, off = game.metric, game.g, game.x[:-1], game.x[:-1] - u
    sizes = abs(g * x) + abs(g * u) + abs(h * off * x) + h * off**2 + g * g / h
    return 32 * 2.0**-52 * float(sizes.sum())


def values(certificate: Certificate) -> dict[str, float]:
    return {term.name: float(term.value) for term in certificate.terms}


def broken(certificate: Certificate) -> list[str]:
    return [premise.name for premise in certificate.broken]


def games(method: Optimizer, *problems: Any) -> list[Game]:
    return [play(method, problem, T, F) for problem in problems or (LINEAR,) for F in (BOX, BALL)]


# ---- Verdicts


@pytest.mark.parametrize(
    ("measured", "error", "verdict"),
    [
        (1.0, 0.0, "holds"), (1.5, 0.5, "holds"), (2.0, 0.0, "holds"), (1.6, 0.5, "undecided"),
        (2.4, 0.5, "undecided"), (2.5, 0.5, "undecided"), (2.6, 0.5, "violated"),
        (2.1, 0.0, "violated"), (math.nan, 0.0, "undecided"), (-math.inf, math.inf, "undecided"),
        (0.0, math.inf, "undecided"), (Interval(1, 2), 0.0, "holds"),
        (Interval(1, 3), 0.0, "undecided"), (Interval(3, 4), 0.0, "violated"),
    ],
)  # fmt: skip
def test_a_verdict_is_given_beyond_the_error(measured: Any, error: float, verdict: str) -> None:
    terms = (Term("one", 0.5, "", ""), Term("two", 1.5, "", ""))
    kept = Premise("kept", 1.0, 1.0, "")
    certificate = Certificate("theorem", terms, (kept,), measured, error)
    assert certificate.verdict == verdict
    assert certificate.holds == (verdict == "holds")
    assert not certificate.void
    assert Line("line", "", measured, 2.0, error).verdict == verdict
    for value in (1.01, math.nan):
        off = replace(certificate, premises=(kept, Premise("off", value, 1.0, "")))
        assert off.verdict == "void"
        assert off.void
        assert not off.holds
        assert broken(off) == ["off"]
    assert certificate.bound == 2.0


def test_slacks_and_errors_have_defaults() -> None:
    certificate = Certificate("theorem", (Term("one", 5.0, "", ""),), (), 3.0)
    assert (certificate.slack, certificate.error) == (2.0, 0.0)
    line = Line("line", "", 3.0, 5.0)
    assert (line.slack, line.error, line.source) == (2.0, 0.0, "")


def test_the_first_false_line() -> None:
    lines = [Line("a", "", 1.0, 2.0), Line("b", "", 2.0, 2.0, 1.0), Line("c", "", 3.0, 2.0)]
    assert first_false(lines) is lines[2]
    assert first_false(lines[:2]) is None
    assert first_false([*lines, Line("d", "", 9.0, 2.0)]) is lines[2]


def test_a_certificate_prints_as_a_table() -> None:
    terms = (Term("one", 0.5, "", ""), Term("two", Interval(1), "", ""))
    text = str(Certificate("theorem", terms, (Premise("p", 2.0, 1.0, ""),), 0.25))
    assert text.splitlines() == [
        "theorem: void",
        "  regret                              0.25",
        "  bound                                1.5",
        "    one                                0.5",
        "    two                                  1",
        "  broken: p; 2 is above 1",
    ]


def test_sums_and_sizes() -> None:
    assert module.total([1e100, 1.0, -1e100]) == 1.0
    assert module.total(np.zeros((0, 2))) == 0.0
    pair = np.array([[Interval(1, 2)], [Interval(3)]], object)
    assert repr(module.total(pair)) == "[4.0, 5.0]"
    assert module.UNITS == 32 * 2.0**-52
    assert module.rounding(np.array([1.0, -2.0]), 4.0) == 7 * 32 * 2.0**-52
    assert module.rounding(pair, np.array([1.0])) == module.rounding(1.0, pair) == 0.0
    assert module.largest(np.array([[1.0, 3.0], [2.0, -4.0]])) == 3.0
    assert repr(module.largest(pair)) == "[3.0, 3.0]"


def test_what_is_beyond_rounding() -> None:
    unit = module.UNITS
    over = np.array([-1.0, 2 * unit, 5 * unit])
    assert module.beyond_rounding(over, np.ones(3)) == pytest.approx(4 * unit)
    assert module.beyond_rounding(over, np.ones(3), -2 * np.ones(3)) == pytest.approx(2 * unit)
    assert module.beyond_rounding(over, 6 * np.ones(3)) == 0.0
    assert math.isnan(module.beyond_rounding(np.array([1.0, math.nan]), np.ones(2)))
    assert module.beyond_rounding(np.array([Interval(-1, 4), Interval(2, 3)], object)) == 2.0
    assert module.beyond_rounding(np.array([Interval(-1, 4)], object), np.ones(1)) == 0.0


# ---- The terms, by their formulas


@pytest.mark.parametrize("against", [None, -0.3])
def test_the_master_inequality(against: Any) -> None:
    for method in (SGD(falling), SGD(lambda t: 0.01 * t), Adagrad(0.5, 0.3), RMSProp(falling, 0.8)):
        for game in games(method, LINEAR, *([SQUARE] if against else [])):
            found, u = master_bound(game, against), regret(game, against).against
            expected = parts(game, u, game.g)
            assert values(found) == pytest.approx(
                {k: v for k, v in expected.items() if k != "direction"}
            )
            assert found.verdict in ("holds", "undecided"), broken(found)
            against_u = regret(game, u)
            assert found.measured == pytest.approx(against_u.value, abs=1e-12)
            rough = sum_of_sizes(game, u) + run_error(game, u) + against_u.error
            assert found.error == pytest.approx(rough, rel=1e-9, abs=0)
            assert found.theorem == "master inequality"


def sum_of_sizes(game: Game, u: Any, d: Any = None) -> float:
    h, off, x = game.metric, game.x - u, game.g if d is None else d
    sizes = np.abs(h[0] * off[0] ** 2).sum() + np.abs(np.diff(h, axis=0) * off[1:-1] ** 2).sum()
    sizes += (h[-1] * off[-1] ** 2).sum() + (x * x / h).sum()
    own = 0.0 if d is None else np.abs((game.g - d) * off[:-1]).sum()
    return 32 * 2.0**-52 * float(sizes / 2 + own)


def test_any_step() -> None:
    for method in (Momentum(0.1, 0.9), Adam(0.1, 0.5, 0.9), AdaMax(0.1), Nadam(0.1), SGD(falling)):
        for game in games(method):
            found = any_step_bound(game)
            u = regret(game).against
            d = game.metric * (game.x[:-1] - game.y)
            assert values(found) == pytest.approx(parts(game, u, d), abs=1e-12)
            assert found.verdict in ("holds", "undecided"), broken(found)
            against_u = regret(game, u)
            rough = sum_of_sizes(game, u, d) + run_error(game, u) + against_u.error
            assert found.error == pytest.approx(rough, rel=1e-9, abs=0)
    assert broken(master_bound(play(Adam(0.1), LINEAR, T, BOX))) == [STEP]


@pytest.mark.parametrize(("domain", "diameter"), [(BOX, math.hypot(2, 2.5)), (BALL, 1.8)])
def test_gradient_descent(domain: Any, diameter: float) -> None:
    for problem in (LINEAR, SQUARE):
        game = play(SGD(falling), problem, T, domain)
        found, r = gradient_descent_bound(game), regret(game)
        G = max(math.hypot(*g) for g in game.g)
        expected = {
            "distance": diameter**2 * math.sqrt(T) / (2 * 0.7),
            "steps": 0.7 * G**2 * (math.sqrt(T) - 0.5),
        }
        assert values(found) == pytest.approx(expected)
        assert found.verdict == "holds", broken(found)
        assert found.measured == r.value
        rough = module.rounding(*expected.values()) + run_error(game, r.against) + r.error
        assert found.error == pytest.approx(rough, rel=1e-9, abs=0)
        assert found.theorem == "gradient descent"
        corner = gradient_descent_bound(game, domain.corner(np.ones(2)))
        assert corner.bound == found.bound
        assert corner.measured == pytest.approx(regret(game, domain.corner(np.ones(2))).value)


def test_the_known_horizon() -> None:
    for game in games(SGD(0.3)):
        for against in (None, 0.25):
            found = known_horizon_bound(game, against)
            u = regret(game, against).against
            G = max(math.hypot(*g) for g in game.g)
            expected = {
                "distance": math.hypot(*(START - u)) ** 2 / 0.6, "steps": 0.3 * G**2 * T / 2
            }  # fmt: skip
            assert values(found) == pytest.approx(expected)
            assert found.verdict == "holds", broken(found)
            assert found.measured == pytest.approx(regret(game, u).value, abs=1e-12)
    assert known_horizon_bound(play(SGD(0.3), LINEAR, T), 0.5).holds  # needs no limits


@pytest.mark.parametrize(("domain", "side"), [(BOX, 2.5), (BALL, 1.8), (Box(-1.0, 1.0), 2.0)])
def test_adagrad(domain: Any, side: float) -> None:
    for problem in (LINEAR, SQUARE):
        game = play(Adagrad(0.7, 0.3), problem, T, domain)
        found, norms = adagrad_bound(game), np.linalg.norm(game.g, axis=0)
        expected = {
            "distance": side**2 / 1.4 * norms.sum(), "steps": 0.7 * norms.sum(),
            "eps": side**2 / 1.4 * 2 * 0.3,
        }  # fmt: skip
        assert values(found) == pytest.approx(expected)
        assert found.verdict == "holds", broken(found)
        assert found.measured == regret(game).value
        assert found.theorem == "Adagrad"
        corner = adagrad_bound(game, domain.corner(np.ones(2)))
        assert corner.measured == pytest.approx(regret(game, domain.corner(np.ones(2))).value)
        np.testing.assert_allclose(module.column_norms(game), norms)


def test_the_leader() -> None:
    for domain in (BOX, BALL, Box(-math.inf, math.inf)):
        for against in (-0.3, START):
            game = play(Dual(0.7, 4.0), LINEAR, T, domain)
            found = dual_adagrad_bound(game, against)
            far, norms = (START - against) ** 2 / 1.4, np.linalg.norm(game.g, axis=0)
            expected = {
                "eps": 4 * far.sum(), "distance": (far * norms).sum(), "steps": 0.7 * norms.sum()
            }  # fmt: skip
            assert values(found) == pytest.approx(expected)
            assert found.verdict == "holds", broken(found)
            assert found.measured == pytest.approx(regret(game, against).value, abs=1e-12)
    game = play(Dual(0.7, 4.0), LINEAR, T, BOX)
    assert dual_adagrad_bound(game).measured == pytest.approx(regret(game).value)
    most = np.abs(ROWS).max()
    assert dual_adagrad_bound(play(Dual(0.7, most), LINEAR, T, BOX)).holds
    early = dual_adagrad_bound(play(Dual(0.7, 0.99 * most), LINEAR, T, BOX))
    assert broken(early) == ["eps >= |g_t|"]
    (premise,) = early.broken
    assert (premise.value, premise.limit) == (most, 0.99 * most)
    leads = "x_{t+1} nearest to x_1 - (g_1 + ... + g_t) / H_t"
    assert broken(dual_adagrad_bound(play(Adagrad(0.7, 4.0), LINEAR, T, BOX))) == [leads]
    for name in ("x", "y"):
        values_now = getattr(game, name).copy()
        values_now[5] += 1e-9
        assert leads in broken(dual_adagrad_bound(replace(game, **{name: values_now})))
    ball = play(Dual(0.7, 4.0), LINEAR, T, BALL)
    moved = ball.x.copy()
    moved[-1] *= 1 - 1e-9
    assert leads in broken(dual_adagrad_bound(replace(ball, x=moved)))


# ---- Premises, each broken by itself


CASES: list[tuple[Callable[..., Certificate], Optimizer, list[str]]] = [
    (master_bound, SGD(falling), []),
    (any_step_bound, SGD(falling), []),
    (gradient_descent_bound, SGD(falling), []),
    (gradient_descent_bound, SGD(0.3), ["alpha_t = alpha / sqrt(t)"]),
    (gradient_descent_bound, Adagrad(falling), ["H_t = 1 / alpha_t in each coordinate"]),
    (gradient_descent_bound, Momentum(falling, 0.9), [STEP]),
    (known_horizon_bound, SGD(0.3), []),
    (known_horizon_bound, SGD(falling), ["alpha_t = alpha"]),
    (known_horizon_bound, Adagrad(0.3), ["H_t = 1 / alpha_t in each coordinate"]),
    (known_horizon_bound, Momentum(0.3, 0.9), [STEP]),
    (adagrad_bound, Adagrad(0.3), []),
    (adagrad_bound, RMSProp(0.3), ["H_t = (sqrt(g_1^2 + ... + g_t^2) + eps) / lr"]),
    (dual_adagrad_bound, Dual(0.3, 5.0), []),
]


@pytest.mark.parametrize(("certificate", "method", "expected"), CASES)
def test_a_premise_about_the_method(
    certificate: Callable[..., Certificate], method: Optimizer, expected: list[str]
) -> None:
    found = certificate(play(method, LINEAR, T, BOX))
    assert broken(found) == expected
    assert found.void == bool(expected)
    assert found.verdict != "violated"


def test_rates_that_the_theorems_do_not_know() -> None:
    adagrad = adagrad_bound(play(Adagrad(falling), LINEAR, T, BOX))
    assert "alpha_t = alpha" in broken(adagrad)
    for ratio, holds in ((1 + 1e-15, True), (1 + 1e-13, False)):
        late = ratio
        rates = SGD(lambda t: falling(t) * (late if t > 3 else 1))  # noqa: B023
        found = module.falling_rates(play(rates, LINEAR, T, BOX))
        assert found.holds == holds
        assert found.limit == 1e-14
    bent = SGD(lambda t: 0.3 if t < 5 else 0.3 * (1 + 2e-16))
    found = module.constant_rate(play(bent, LINEAR, T, BOX))
    assert not found.holds
    assert found.value == pytest.approx(2e-16, rel=0.2)
    assert module.falling_rates(play(SGD(0.3), LINEAR, T, BOX)).value == pytest.approx(
        math.sqrt(T) - 1
    )
    half = SGD(lambda t: 0.3 if t < 5 else 0.15)
    assert module.constant_rate(play(half, LINEAR, T, BOX)).value == 0.5


@dataclass(frozen=True)
class Rateless(Optimizer):
    size: float = 0.1

    @staticmethod
    def rule(theta: Any, g: Any, *, size: float) -> Any:
        return (theta - size * g,)

    def metric(self, state: Any) -> float:
        return 1 / self.size


def test_a_method_without_a_rate() -> None:
    game = play(Rateless(), LINEAR, T, BOX)
    assert not master_bound(game).void
    assert not any_step_bound(game).void
    for certificate in (
        gradient_descent_bound,
        known_horizon_bound,
        adagrad_bound,
        dual_adagrad_bound,
    ):
        assert certificate(game).void
    assert np.isnan(module.game_rates(game)).tolist() == [True] * T


class Wave:
    start = 0.5

    def loss(self, x: Any, t: int = 1) -> Any:
        return np.cos(3 * x)

    def grad(self, x: Any, t: int = 1) -> Any:
        return -3 * np.sin(3 * x)


class Upwards(LinearLosses):
    def grad(self, x: Any, t: int = 1) -> Any:
        return -super().grad(x, t)


ALL = [
    (master_bound, SGD(falling)), (any_step_bound, SGD(falling)),
    (gradient_descent_bound, SGD(falling)), (known_horizon_bound, SGD(0.3)),
    (adagrad_bound, Adagrad(0.3)), (dual_adagrad_bound, Dual(0.3, 5.0)),
]  # fmt: skip


@pytest.mark.parametrize(("certificate", "method"), ALL)
def test_losses_that_are_not_convex_and_gradients_that_are_none(
    certificate: Callable[..., Certificate], method: Optimizer
) -> None:
    assert broken(certificate(play(method, Wave(), T, Box(-1.0, 1.0)), -1.0)) == [CONVEX]
    assert broken(certificate(play(method, Upwards(ROWS, START), T, BOX), -0.3)) == [CONVEX]


def test_how_far_from_convex() -> None:
    game = play(SGD(0.01), Wave(), 5, Box(-1.0, 1.0))
    x, g = game.x[:-1, 0], game.g[:, 0]
    for u in (-1.0, 0.7):
        expected = max(0.0, np.max(np.cos(3 * x) - np.cos(3 * u) - g * (x - u)))
        found = module.convexity(game, u)
        assert found.value == pytest.approx(expected, abs=1e-12)
        assert found.limit == 0.0
    two = module.convexity(game, 0.7, -1.0).value
    assert two == max(module.convexity(game, u).value for u in (0.7, -1.0))
    # the excess of rounding is forgiven, by the sizes of what was subtracted
    exact = play(SGD(0.01), LINEAR, T, BOX)
    losses = exact.losses.copy()
    scale = abs(losses[0]) + abs(ROWS[0] @ [0.5, 0.5]) + abs(ROWS[0]) @ (abs(START) + 0.5)
    for share, holds in ((0.9, True), (1.1, False)):
        losses[0] = exact.losses[0] + share * module.UNITS * scale
        assert module.convexity(replace(exact, losses=losses), 0.5).holds == holds


@pytest.mark.parametrize(("certificate", "method"), ALL)
def test_points_outside_steps_of_another_length_and_other_ways_back(
    certificate: Callable[..., Certificate], method: Optimizer
) -> None:
    game = play(method, LINEAR, T, BALL)
    x, y = game.x.copy(), game.y.copy()
    x[-1] = 0.9 * np.array([0.6, 0.8]) * (1 + 1e-9)
    y[-1] = x[-1]
    outside = broken(certificate(replace(game, x=x, y=y), 0.0))
    bounded = certificate in (gradient_descent_bound, adagrad_bound)
    assert (INSIDE in outside) == bounded
    y = game.y.copy()
    y[3] += 1e-9 * np.sign(game.x[4] - y[3] + 1e-300)
    steps = broken(certificate(replace(game, y=y), 0.0))
    assert (STEP in steps) == (certificate not in (any_step_bound, dual_adagrad_bound))
    x = game.x.copy()
    x[-1] = -x[-1]
    if certificate is not dual_adagrad_bound:
        assert BACK in broken(certificate(replace(game, x=x), game.x[-1]))


def test_unbounded_domains() -> None:
    everywhere = Box(-math.inf, math.inf)
    for certificate, method in (
        (gradient_descent_bound, SGD(falling)),
        (adagrad_bound, Adagrad(0.3)),
    ):
        assert broken(certificate(play(method, LINEAR, T, everywhere), 0.5)) == [BOUNDED]
    assert module.bounded(1.7e308).holds


def test_the_limits_of_the_premises() -> None:
    game = play(SGD(falling), LINEAR, T, BOX)
    found = module.inside(game)
    assert (found.value, found.limit) == (0.0, module.UNITS * np.abs(game.x).max())
    far = game.x.copy()
    far[4, 1] = 2.25
    assert module.inside(replace(game, x=far)).value == 0.25
    ball = play(SGD(falling), LINEAR, T, BALL)
    far = ball.x.copy()
    far[0] = (1.9, 0.0)
    assert module.inside(replace(ball, x=far)).value == pytest.approx(1.0)
    h = game.metric * (1 + np.eye(T, D) * 1e-9)
    found = module.has_metric(game, h, "x")
    assert found.value == pytest.approx(1e-9, rel=1e-5)
    assert found.limit == 1e-12
    assert (found.name, module.has_metric(game, game.metric, "x").value) == ("H_t = x", 0.0)


def test_the_sizes_of_steps_and_ways_back() -> None:
    game = play(SGD(falling), LINEAR, T, BOX)
    h, x, y = game.metric, game.x[:-1], game.y
    assert module.steps_along(game, game.g).value == 0.0
    off = game.g.copy()
    off[2, 1] += 0.5
    expected = 0.5 - module.UNITS * (abs(off) + abs(h * x) + abs(h * y))[2, 1]
    assert module.steps_along(game, off).value == pytest.approx(expected, abs=1e-14)
    u = np.array([-0.8, 0.3])
    moved = game.x.copy()
    moved[3] += (0.2, 0.1)
    after, before = h * (moved[1:] - u) ** 2, h * (y - u) ** 2
    sizes = after + before + h * abs(y - u) * (abs(y) + abs(u))
    over = (after - before).sum(axis=1) - module.UNITS * sizes.sum(axis=1)
    found = module.comes_back(replace(game, x=moved), u).value
    assert found == pytest.approx(max(0.0, over.max()), abs=1e-13)
    assert found > 0.0
    assert module.comes_back(game, u).value == 0.0


@dataclass(frozen=True)
class Sinking(SGD):
    def metric(self, state: Any) -> float:
        return 1.0 if state.t < T else self.lr - 0.3  # type: ignore[operator]


def test_a_norm_must_be_positive() -> None:
    game = play(Sinking(0.3), LINEAR, T, BOX)
    with np.errstate(all="ignore"):
        for certificate in (master_bound, any_step_bound):
            assert POSITIVE in broken(certificate(game))
    ok = module._positive(play(SGD(0.3), LINEAR, T, BOX))
    assert (ok.value, ok.limit) == (-1 / 0.3, -float(np.finfo(float).tiny))


@pytest.mark.parametrize("zero", [1, 5, T])
def test_a_rate_of_zero_in_one_round_makes_a_certificate_void(zero: int) -> None:
    """There H_t is infinite. No certificate warns, and none fails."""
    game = play(SGD(lambda t: 0.0 if t == zero else 0.3), LINEAR, T, BOX)
    assert math.isinf(game.metric[zero - 1, 0]) and np.sum(np.isinf(game.metric)) == D
    for certificate in (master_bound, any_step_bound):
        assert POSITIVE in broken(certificate(game))
        assert math.isnan(certificate(game).bound) and "void" in str(certificate(game))
    for certificate in (gradient_descent_bound, known_horizon_bound, adagrad_bound):
        assert certificate(game).void
    for proof in (master_proof, gradient_descent_proof, adagrad_proof):
        assert not any(line.verdict == "violated" for line in proof(game))
    assert dual_adagrad_bound(play(Dual(lambda t: 0.1 * (t != zero), 9.0), LINEAR, T, BOX)).void


def test_a_certificate_is_neither_true_nor_false() -> None:
    certificate = master_bound(play(SGD(0.3), LINEAR, T, BOX))
    with pytest.raises(TypeError, match="Ask for .holds, .void or .verdict"):
        bool(certificate)


def test_a_line_prints_itself() -> None:
    assert str(Line("a name", "", 1.5, Interval(2))) == "a name: 1.5 <= 2, holds"
    assert str(Line("more", "", 1e9, 2.0)) == "more: 1e+09 <= 2, violated"


@pytest.mark.parametrize("against", [[0.1], [0.1, 0.2], [[0.1, 0.2, 0.3]], [0.1] * 4])
def test_a_point_of_another_size_is_refused(against: Any) -> None:
    game = play(SGD(0.3), LinearLosses(np.ones((2, 3)), np.zeros(3)), 2, Box(-1.0, 1.0))
    if against == [0.1]:  # one number stands for three
        assert master_bound(game, against).measured == master_bound(game, 0.1).measured
        return
    for of in (regret, regret_of, master_bound, any_step_bound, gradient_descent_bound):
        with pytest.raises(ValueError, match=r"against: expected one number or a vector of 3, got"):
            of(game, against)


# ---- Proofs


def assert_lines(lines: list[Line], expected: dict[str, tuple[float, float]]) -> None:
    found = {line.name: (float(line.left), float(line.right)) for line in lines}
    assert {name: found[name] for name in expected} == {
        name: pytest.approx(sides, abs=1e-11) for name, sides in expected.items()
    }


@pytest.mark.parametrize("domain", [BOX, Simplex(0.7)])
def test_the_lines_of_the_master_inequality(domain: Any) -> None:
    problem = SquareLosses(ROWS, TARGETS, np.array([0.3, 0.4]))
    for method in (SGD(falling), RMSProp(falling, 0.8), Adagrad(0.3)):
        game = play(method, problem, T, domain)
        for against in (None, np.array([0.7, 0.0])):
            u = regret(game, against).against
            lines = master_proof(game, against)
            assert [line.name.partition(",")[0] for line in lines] == [
                "convexity", "way back", "one round", "all rounds", "regret",
            ]  # fmt: skip
            h, g, x, y = game.metric, game.g, game.x, game.y
            linear = (g * (x[:-1] - u)).sum(axis=1)
            half = [(h * (z - u) ** 2).sum(axis=1) / 2 for z in (x[:-1], x[1:], y)]
            steps = (g * g / h).sum(axis=1) / 2
            gap = game.losses - [problem.loss(u, t) for t in range(1, T + 1)]
            sides = [(gap, linear), (half[1], half[2]), (linear, half[0] - half[1] + steps)]
            for line, (left, right) in zip(lines, sides, strict=False):
                t = int(line.name.rpartition(" ")[2]) - 1
                assert (line.left, line.right) == (pytest.approx(left[t]), pytest.approx(right[t]))
                assert line.slack <= np.min(right - left) + 1e-12
            bound = sum(v for k, v in parts(game, u, g).items() if k != "direction")
            assert_lines(lines, {"all rounds": (linear.sum(), bound), "regret": (gap.sum(), bound)})
            assert first_false(lines) is None
            rough = sum_of_sizes(game, u) + run_error(game, u)
            assert lines[3].error == pytest.approx(rough, rel=1e-9, abs=0)
            assert lines[4].error == pytest.approx(rough + regret(game, u).error, rel=1e-9, abs=0)
    adam = play(Adam(0.3, 0.9, 0.9), problem, T, domain)
    false = first_false(master_proof(adam))
    assert false is not None
    assert false.name.startswith("one round")


@pytest.mark.parametrize("rounds", [1, T])
def test_the_errors_of_the_rounds(rounds: int) -> None:
    game = first_rounds(play(SGD(falling), SQUARE, T, BOX), rounds)
    for u in (np.array([0.5, 0.5]), np.array([-0.9, 1.7])):
        h, g, x, y = game.metric, game.g, game.x[:-1], game.y
        sizes = (h * (abs(x) + abs(y) + abs(u)) * (abs(x - u) + abs(y - u))).sum(axis=1)
        sizes += (g * g / h).sum(axis=1) / 2
        linear = (abs(g) * (abs(x) + abs(u))).sum(axis=1)
        gap = game.losses - [SQUARE.loss(u, t) for t in range(1, rounds + 1)]
        loss = abs(game.losses) + abs(gap) + (g * g / h).sum(axis=1) / 2
        lines = master_proof(game, u)[:3]
        for line, size in zip(lines, (loss, sizes, sizes), strict=True):
            t = int(line.name.rpartition(" ")[2]) - 1
            rough = 32 * 2.0**-52 * (size + linear)[t]
            assert line.error == pytest.approx(rough, rel=1e-9, abs=0)


def test_the_errors_of_all_rounds_even_where_a_norm_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    game, u = play(SGD(falling), SQUARE, T, BOX), np.array([0.5, 0.6])
    vars(game)["metric"] = h = game.metric * (1, -1.5)
    g, x, y, errors = game.g, game.x[:-1], game.y, []

    def watched(name: str, left: Any, right: Any, *sizes: Any) -> Line:
        errors.append(sum(abs(size) for size in sizes))
        return Line(name, "", 0.0, 0.0)

    monkeypatch.setattr(module, "_worst", watched)
    master_proof(game, u)
    sizes = (abs(h) * (abs(x) + abs(y) + abs(u)) * (abs(x - u) + abs(y - u))).sum(axis=1)
    rest = (abs(g) * (abs(x) + abs(u))).sum(axis=1) + abs((g * g / h).sum(axis=1)) / 2
    gap = game.losses - [SQUARE.loss(u, t) for t in range(1, T + 1)]
    expected = [abs(game.losses) + abs(gap) + rest, sizes + rest, sizes + rest]
    np.testing.assert_allclose(errors, expected, rtol=1e-12)


def test_the_lines_of_gradient_descent() -> None:
    for domain, D2 in ((BOX, 2**2 + 2.5**2), (BALL, 1.8**2)):
        game = play(SGD(falling), SQUARE, T, domain)
        u, lines = regret(game).against, gradient_descent_proof(game)
        p, G2 = parts(game, u, game.g), np.max(np.sum(game.g**2, axis=1))
        far, rates = D2 * math.sqrt(T) / 1.4, G2 * sum(falling(t) for t in range(1, T + 1)) / 2
        whole = far + 0.7 * G2 * (math.sqrt(T) - 0.5)
        expected = {
            "distance": (p["start"] + p["change"], far), "steps": (p["steps"], rates),
            "rates": (rates, whole - far), "regret": (regret(game).value, whole),
        }  # fmt: skip
        assert_lines(lines, expected)
        assert [line.name for line in lines[3:]] == ["all rounds", *expected]
        assert first_false(lines) is None
        for line in lines[4:7]:
            rough = run_error(game, u) + module.rounding(line.left, line.right)
            assert line.error == pytest.approx(rough, rel=1e-9, abs=0)
        assert lines[7].error == pytest.approx(
            master_proof(game)[4].error + module.rounding(whole), rel=1e-9, abs=0
        )
        there = gradient_descent_proof(game, u)
        assert [line.left for line in there] == [line.left for line in lines]
    rising = play(
        SGD(lambda t: 0.3 * math.sqrt(t)), Cycle((3.0, -1.0, -1.0), 0.2), 200, Box(-1.0, 1.0)
    )
    false = first_false(gradient_descent_proof(rising))
    assert false is not None
    assert false.name == "distance"


def test_the_lines_of_adagrad() -> None:
    for domain, side in ((BOX, 2.5), (BALL, 1.8)):
        game = play(Adagrad(0.7, 0.3), SQUARE, T, domain)
        u, lines = regret(game).against, adagrad_proof(game)
        p, norms = parts(game, u, game.g), np.linalg.norm(game.g, axis=0)
        far, steps = side**2 * game.metric[-1].sum() / 2, 0.7 * norms.sum()
        expected = {
            "distance": (p["start"] + p["change"], far), "steps": (p["steps"], steps),
            "regret": (regret(game).value, far + steps),
        }  # fmt: skip
        assert_lines(lines, expected)
        assert [line.name for line in lines[3:]] == ["all rounds", *expected]
        assert first_false(lines) is None
        assert lines[-1].right == pytest.approx(adagrad_bound(game).bound)
        for line in lines[4:6]:
            rough = run_error(game, u) + module.rounding(line.left, line.right)
            assert line.error == pytest.approx(rough, rel=1e-9, abs=0)
        assert lines[6].error == pytest.approx(
            master_proof(game)[4].error + module.rounding(far, steps), rel=1e-9, abs=0
        )


def test_the_worst_round_is_chosen_beyond_its_own_error() -> None:
    left, right = np.array([0.0, 1.0, 0.0]), np.array([1.0, 1.5, 0.75])
    line = module._worst("regret", left, right, np.array([0.0, 2.0, 0.0]))
    assert (line.name, line.latex, line.left, line.right) == (
        "regret, round 2",
        module._LINES["regret"],
        1.0,
        1.5,
    )
    assert line.error == 2 * module.UNITS
    big = np.array([0.0, 1 / module.UNITS, 0.0])
    assert module._worst("regret", left, right, big).name == "regret, round 3"


# ---- Prefixes, other points, intervals


def test_a_game_that_ended_earlier() -> None:
    game = play(Adam(falling), LINEAR, T, BOX)
    short, again = first_rounds(game, 5), play(Adam(falling), LINEAR, 5, BOX)
    for name in ("x", "y", "g", "losses", "metric"):
        np.testing.assert_array_equal(getattr(short, name), getattr(again, name))
    assert short.slots.keys() == again.slots.keys()
    for name in short.slots:
        np.testing.assert_array_equal(short.slots[name], again.slots[name])
    assert short.scalars == again.scalars


def test_points_outside_are_refused() -> None:
    game = play(SGD(falling), LINEAR, T, BOX)
    for certificate in (master_bound, gradient_descent_bound, known_horizon_bound):
        with pytest.raises(ValueError, match="against: it lies outside"):
            certificate(game, 2.5)
    with pytest.raises(ValueError, match="against: it lies outside"):
        regret_of(in_intervals(game), 2.5)


def test_regret_in_intervals() -> None:
    for problem in (LINEAR, SQUARE):
        game = play(SGD(0.25), problem, T, BOX)
        enclosed = in_intervals(game, bits=90)
        for against in (None, 0.3):
            ours, sure = regret(game, against), regret_of(enclosed, against)
            assert float(sure.value) == pytest.approx(ours.value, rel=1e-12)
            assert upper(sure.value) - lower(sure.value) < 1e-14
            assert sure.value.bits == 90  # type: ignore[attr-defined]
            assert sure.error == pytest.approx(module._hindsight(game)[1] if against is None else 0)
            np.testing.assert_array_equal(sure.against, ours.against)
            assert regret_of(game, against).value == ours.value
            assert regret_of(game, against).error == ours.error
    line = in_intervals(play(SGD(0.25), Cycle((3.0, -1.0, -1.0), 0.2), 30, Box(-1.0, 1.0)))
    assert float(regret_of(line).value) == pytest.approx(
        regret(play(SGD(0.25), Cycle((3.0, -1.0, -1.0), 0.2), 30, Box(-1.0, 1.0))).value
    )


@pytest.mark.parametrize(("certificate", "method"), ALL)
def test_certificates_are_confirmed(
    certificate: Callable[..., Certificate], method: Optimizer
) -> None:
    for problem, box in (
        (SQUARE, BOX),
        (LINEAR, BOX),
        (Cycle((3.0, -1.0, -1.0), 0.2), Box(-1.0, 1.0)),
    ):
        game = play(method, problem, T, box)
        ours, sure = certificate(game), confirmed(certificate, game)
        assert sure.verdict in ("holds", "undecided"), broken(sure)
        assert sure.error == 0.0
        for mine, true in zip(ours.terms, sure.terms, strict=True):
            assert upper(true.value) - lower(true.value) <= 1e-12 * (1 + abs(float(true.value)))
            assert float(true.value) == pytest.approx(mine.value, rel=1e-12)
        assert float(sure.measured) == pytest.approx(ours.measured, rel=1e-9, abs=0)
        assert abs(float(sure.slack) - ours.slack) <= 1e-9
    assert confirmed(certificate, game, against=0.5).measured.bits == 113
    assert confirmed(certificate, game, bits=70, against=0.5).measured.bits == 70
    there = float(confirmed(certificate, game, against=0.5).measured)
    assert there == pytest.approx(regret(game, 0.5).value)
    seen: list[Any] = []

    def watch(rounds: Any) -> Any:
        seen.extend(rounds)
        return rounds

    confirmed(certificate, game, progress=watch)
    assert seen == list(range(1, T + 1))


def test_intervals_find_broken_premises_too() -> None:
    game = play(SGD(falling), Upwards(ROWS, START), T, BOX)
    for certificate in (master_bound, gradient_descent_bound):
        assert broken(confirmed(certificate, game, against=-0.3)) == [CONVEX]
    momentum = play(Momentum(falling, 0.9), LINEAR, T, BOX)
    assert broken(confirmed(gradient_descent_bound, momentum)) == [STEP]
    stray = in_intervals(play(SGD(falling), LINEAR, T, BOX))
    x = stray.x.copy()
    x[3, 0] = Interval(2)
    assert INSIDE in broken(gradient_descent_bound(replace(stray, x=x)))
    half_space = play(SGD(falling), LINEAR, T, Box(-1.0, math.inf))
    assert broken(confirmed(gradient_descent_bound, half_space, against=0.5)) == [BOUNDED]


def test_a_false_theorem_is_violated_for_sure() -> None:
    def hopeful(game: Game, against: Any = None) -> Certificate:
        real = gradient_descent_bound(game, against)
        return replace(real, terms=(Term("hope", real.bound / 8, "", ""),))

    game = play(SGD(lambda t: math.sqrt(2 / t)), Cycle((-1.0, 1.0), 0.0), 400, Box(-1.0, 1.0))
    assert gradient_descent_bound(game).holds
    assert hopeful(game).verdict == confirmed(hopeful, game).verdict == "violated"


def test_nothing_holds_or_fails_by_rounding() -> None:
    """An identity: the linear losses of an unconstrained game leave no slack at all."""
    for rate in (falling, 0.3):
        game = play(SGD(rate), LINEAR, T)
        found = master_bound(game, against=0.5)
        assert abs(found.slack) <= found.error
        assert found.verdict == "undecided"
        assert first_false(master_proof(game, 0.5)) is None


def test_certificates_of_one_round() -> None:
    for certificate, method in ALL:
        for game in (play(method, LINEAR, 1, BOX), first_rounds(play(method, LINEAR, T, BOX), 1)):
            assert certificate(game).verdict in ("holds", "undecided")


# ---- Estimates of rounding, made large to be seen


@pytest.fixture
def rough(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(module, "UNITS", 1e-3)
    return 1e-3


def test_the_rough_sizes_of_convexity(rough: float) -> None:
    game = play(SGD(falling), SQUARE, T, BOX)
    u = np.array([-0.6, 0.5])
    theirs = np.array([SQUARE.loss(u, t) for t in range(1, T + 1)])
    for shift in (np.arange(T) / T, *50 * np.eye(T)):
        losses = game.losses + shift
        over = losses - theirs - (game.g * (game.x[:-1] - u)).sum(axis=1)
        sizes = abs(losses) + abs(theirs)
        sizes += (abs(game.g) * (abs(game.x[:-1]) + abs(u))).sum(axis=1)
        expected = max(0.0, (over - rough * sizes).max())
        found = module.convexity(replace(game, losses=losses), u).value
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert found > 0


def test_the_rough_sizes_of_steps(rough: float) -> None:
    game = play(SGD(falling), LINEAR, T, BOX)
    h, x, y = game.metric, game.x[:-1], game.y
    for shift in (0.5, -0.5):
        d = game.g + shift * (np.arange(D) == 1)
        expected = (0.5 - rough * (abs(d) + abs(h * x) + abs(h * y)))[:, 1].max()
        found = module.steps_along(game, d)
        assert found.value == pytest.approx(expected, rel=1e-9, abs=0)
        assert found.limit == 0.0


def test_the_rough_sizes_of_the_way_back(rough: float) -> None:
    game = play(SGD(falling), LINEAR, T, BOX)
    h, y = game.metric, game.y
    for u in (np.array([-0.8, 0.3]), np.array([0.9, 1.5])):
        for t in range(1, T + 1):
            moved = game.x.copy()
            moved[t] -= 0.4 * np.sign(u)
            after, before = h * (moved[1:] - u) ** 2, h * (y - u) ** 2
            sizes = after + before + h * abs(y - u) * (abs(y) + abs(u))
            over = (after - before).sum(axis=1) - rough * sizes.sum(axis=1)
            found = module.comes_back(replace(game, x=moved), u)
            assert found.value == pytest.approx(max(0.0, over.max()), rel=1e-9, abs=1e-15)
            assert found.limit == 0.0


def test_the_rough_sizes_of_leading(rough: float) -> None:
    game = play(Dual(0.7, 4.0), LINEAR, T, BOX)
    h, start, sums = game.metric, game.x[0], np.cumsum(np.abs(game.g), axis=0)
    for shift in (0.5, -0.5):
        for t in range(T):
            y = game.y.copy()
            y[t, 1] += shift
            away = np.clip(y, (-1.0, -0.5), (1.0, 2.0))
            off = abs(h * (start - y) - np.cumsum(game.g, axis=0))
            first = off - rough * (sums + abs(h * y) + abs(h * start))
            second = abs(game.x[1:] - away) - rough * (abs(y) + abs(away))
            expected = max(0.0, first.max(), second.max())
            found = module._leads(replace(game, y=y)).value
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)
    far = game.x.copy()
    for shift in (0.9, -0.9):
        far[-1] = game.x[-1] + 10 * shift
        size = abs(game.y[-1]) + abs(np.clip(game.y[-1], (-1.0, -0.5), (1.0, 2.0)))
        found = module._leads(replace(game, x=far)).value
        assert found == pytest.approx((9 - rough * size).max(), rel=1e-3)


def test_a_leader_on_a_ball_comes_back_in_its_own_norm() -> None:
    game = play(Dual(5.0, 4.0), LINEAR, T, BALL)
    assert np.any(np.linalg.norm(game.y, axis=1) > 1.0)
    assert dual_adagrad_bound(game).holds


def test_the_limit_of_points_inside_knows_both_signs() -> None:
    game = play(SGD(falling), LinearLosses(np.abs(ROWS), -np.abs(START)), T, Box(-5.0, 0.0))
    assert game.x.max() <= 0
    assert module.inside(game).limit == module.UNITS * np.abs(game.x).max()


def test_rates_that_fall_too_fast() -> None:
    game = play(SGD(lambda t: 0.7 / t), LINEAR, T, BOX)
    assert module.falling_rates(game).value == pytest.approx(1 - 1 / math.sqrt(T))


def test_a_problem_on_a_line_sees_plain_floats() -> None:
    class Typed(Cycle):
        def loss(self, x: Any, t: int = 1) -> Any:
            assert type(x) is float
            return super().loss(x, t)

    game = play(SGD(falling), Typed((3.0, -1.0, -1.0), 0.2), T, Box(-1.0, 1.0))
    assert gradient_descent_bound(game).holds


def test_the_points_of_the_convexity_premise(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def watched(game: Game, *points: Any) -> Premise:
        seen.append(points)
        return Premise("", 0, 0, "")

    monkeypatch.setattr(module, "convexity", watched)
    for certificate, method in ALL:
        game = play(method, LINEAR, T, BOX)
        certificate(game, 0.5)
        point, *own = seen.pop()
        assert np.all(point == 0.5)
        np.testing.assert_array_equal(own, points_tried(game.x, BOX))
        np.testing.assert_array_equal(own[:3], [START, game.x[T], game.x.mean(axis=0)])
    outside = replace(game, x=np.vstack([game.x[:-1], [[9.0, 0.0]]]))
    assert len(module.own_points(outside)) == len(own) - 1


@dataclass(frozen=True)
class Saddle:
    """x_1**2 - x_2**2: the play finds the resting point, where nothing of it is seen."""

    start: Any

    def loss(self, x: Any, t: int = 1) -> Any:
        return x[0] * x[0] - x[1] * x[1]

    def grad(self, x: Any, t: int = 1) -> Any:
        return 2 * x * np.array([1.0, -1.0])


class Flat(Saddle):
    """A gradient of zeros that is none."""

    def loss(self, x: Any, t: int = 1) -> Any:
        return np.sum(abs(x - 0.5))

    def grad(self, x: Any, t: int = 1) -> Any:
        return 0 * x


@pytest.mark.parametrize("domain", [Box(-1.0, 1.0), Ball(1.0)], ids=str)
@pytest.mark.parametrize("kind", [Saddle, Flat])
def test_losses_that_look_convex_along_the_play_alone(kind: Any, domain: Any) -> None:
    for method, certificate in (
        (SGD(falling), gradient_descent_bound),
        (Adagrad(0.3, 0.1), adagrad_bound),
    ):
        game = play(method, kind(np.array([0.3, 0.0])), 60, domain)
        assert CONVEX in broken(certificate(game)) and CONVEX in broken(any_step_bound(game))
        assert regret(game).error == math.inf
    if domain == Box(-1.0, 1.0):
        assert confirmed(gradient_descent_bound, play(SGD(falling), game.problem, 60, domain)).void


def test_a_loss_may_spoil_the_point_that_it_gets() -> None:
    class InPlace(SquareLosses):
        def loss(self, x: Any, t: int = 1) -> Any:
            value = super().loss(x, t)
            x += 7.0
            return value

        def grad(self, x: Any, t: int = 1) -> Any:
            x -= super().grad(x.copy(), t)
            x *= -1.0
            return x

    class Copying(SquareLosses):
        def grad(self, x: Any, t: int = 1) -> Any:
            return -(x - super().grad(x, t))

    games = [play(SGD(falling), kind(ROWS, TARGETS, START), T, BOX) for kind in (InPlace, Copying)]
    for both in (games, [in_intervals(game) for game in games]):
        for u in (module.as_point(game, 0.25) for game in both[:1]):
            assert [repr(each) for each in module.losses_at(both[0], u)] == [
                repr(each) for each in module.losses_at(both[1], u)
            ]
        assert repr(both[0].x.tolist()) == repr(both[1].x.tolist())
        assert repr(both[0].g.tolist()) == repr(both[1].g.tolist())


@dataclass(frozen=True)
class Nearly(SGD):
    """Steps that are shorter by 5e-13 of themselves, and a norm to match."""

    @staticmethod
    def rule(theta: Any, g: Any, *, lr: Any) -> Any:
        return (theta - lr * (1 - 5e-13) * g,)

    def metric(self, state: Any) -> Any:
        return 1 / (self.hyper(state.t)["lr"] * (1 - 5e-13))


def test_intervals_see_a_premise_that_is_broken_by_little() -> None:
    game = play(Nearly(0.125), LinearLosses(np.ones((20, 1)), np.zeros(1)), 20, Box(-9.0, 9.0))
    assert not known_horizon_bound(game, game.x[-1]).void  # within what rounding is allowed
    sure = confirmed(known_horizon_bound, game, against=game.x[-1])
    assert broken(sure) == ["H_t = 1 / alpha_t in each coordinate"]
    for off, floats, intervals in ((0.0, True, True), (5e-15, True, False), (1e-12, False, False)):
        method = SGD(lambda t, off=off: 0.125 * (1 + off * (t > 5)) / t**0.5)
        later = play(method, LINEAR, T, BOX)
        assert module.falling_rates(later).holds is floats
        assert module.falling_rates(in_intervals(later)).holds is intervals


@pytest.mark.parametrize("bits", [12, 40, 113])
def test_few_bits_break_no_premise(bits: int) -> None:
    game = play(SGD(falling), Cycle((3.0, -1.0, -1.0)), 60, Box(-1.0, 1.0))
    assert confirmed(gradient_descent_bound, game, bits=bits).verdict == "holds"
    adagrad = play(Adagrad(0.5, 0.25), Cycle((3.0, -1.0, -1.0)), 60, Box(-1.0, 1.0))
    assert confirmed(adagrad_bound, adagrad, bits=bits).verdict == "holds"


def test_the_first_rate_and_the_first_coordinate_count() -> None:
    """In games that the theorems do not cover; in theirs, all are equal."""
    game, other = play(SGD(falling), LINEAR, T, BOX), play(Adagrad(falling), LINEAR, T, BOX)
    off = np.sum((START - 0.5) ** 2)
    assert values(known_horizon_bound(game, 0.5))["distance"] == pytest.approx(off / 1.4)
    norms = module.column_norms(other).sum()
    assert values(adagrad_bound(other))["steps"] == pytest.approx(0.7 * norms)
    steps = {line.name: line.right for line in adagrad_proof(other)}["steps"]
    assert steps == pytest.approx(0.7 * norms)
    leader = play(Dual(falling, 5.0), LINEAR, T, BOX)
    assert values(dual_adagrad_bound(leader, 0.5))["steps"] == pytest.approx(
        0.7 * module.column_norms(leader).sum()
    )
    lines = {line.name: line for line in gradient_descent_proof(other)}
    h, G2 = other.metric[:, 0], np.max(np.sum(other.g**2, axis=1))
    assert lines["distance"].right == pytest.approx((4 + 2.5**2) * h[-1] / 2)
    assert lines["rates"].left == pytest.approx(G2 * np.sum(1 / h) / 2)
    assert module._eps(game) == 0.0


def test_each_line_has_its_formula() -> None:
    for proof, method in ((gradient_descent_proof, SGD(falling)), (adagrad_proof, Adagrad(0.7))):
        for line in proof(play(method, LINEAR, T, BOX)):
            assert line.latex == module._LINES[line.name.partition(",")[0]]


def test_diameters_are_enclosed() -> None:
    game = play(SGD(0.1), LinearLosses(ROWS, np.zeros(2)), T, Box(-0.1, (0.2, 0.7)))
    sides = [Fraction(0.2) + Fraction(0.1), Fraction(0.7) + Fraction(0.1)]
    enclosed = in_intervals(game, bits=90)
    for D, square in (
        (module.domain_diameter(enclosed, math.inf), sides[1] ** 2),
        (module.domain_diameter(enclosed, 2), sides[0] ** 2 + sides[1] ** 2),
    ):
        gap = D * D - Interval(square, bits=90)
        assert lower(gap) <= 0 <= upper(gap)
        assert upper(gap) - lower(gap) < 1e-24


class _Upside:
    """A convex loss whose `grad` has the wrong sign: the search for the best point is misled too."""

    start = 0.1

    def loss(self, x, t=1):
        return (x - 0.5) ** 2

    def grad(self, x, t=1):
        return -2 * (x - 0.5)


@pytest.mark.parametrize("bound_of", [master_bound, any_step_bound, gradient_descent_bound])
def test_a_gradient_of_the_wrong_sign_makes_every_certificate_void(bound_of):
    game = play(SGD(lr=lambda t: 0.2 / t**0.5), _Upside(), 50, Box(-1.0, 1.0))
    assert bound_of(game).verdict == "void"
    assert confirmed(bound_of, game).verdict == "void"
