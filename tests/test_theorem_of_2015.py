"""The theorem of 2015: its method beside a plain loop, its bound and both proofs beside plain sums."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import gradients

from adam_tutorial import (
    Adam,
    AnnealedAdam,
    RMSProp,
    WalledCycle,
    draw_proof,
    gammas,
    kingma_ba_average,
    kingma_ba_bound,
    kingma_ba_proof,
    play,
    repaired_proof,
    settings_of,
)
from adam_tutorial import theorem_of_2015 as module
from adam_tutorial.bounds import Line, Premise, first_false, run_error
from adam_tutorial.intervals import Interval, Undecided, in_intervals, lower, upper
from adam_tutorial.online import Cycle, LinearLosses, SquareLosses, points_tried, regret
from adam_tutorial.projections import Ball, Box
from adam_tutorial.theorem_of_2015 import READINGS

ADAM = AnnealedAdam(lambda t: 0.5 / t**0.5, beta1=0.25, beta2=0.125, decay=0.5)
OPENING = ("convexity", "the step, squared", "Young's inequality")


def named(lines: list[Line]) -> dict[str, Line]:
    return {line.name: line for line in lines}


# ---- The method


def plain(gs: Any, lr: Any, beta1: float, beta2: float, eps: float, decay: float) -> Any:
    """Algorithm 1 with the two schedules, by weights: no recursion."""
    theta = 0.0
    for t in range(1, len(gs) + 1):
        momenta = [beta1 * decay**i for i in range(t)]
        m = sum((1 - momenta[i]) * math.prod(momenta[i + 1 : t]) * gs[i] for i in range(t))
        v = sum((1 - beta2) * beta2 ** (t - 1 - i) * gs[i] ** 2 for i in range(t))
        root = (v / (1 - beta2**t)) ** 0.5 + eps
        theta -= lr(t) * m / (1 - beta1**t) / root if root else 0.0
    return theta


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_the_method_is_algorithm_1_with_its_schedules(eps: float) -> None:
    gs = gradients("random")[:12, 0]
    method = AnnealedAdam(lambda t: 0.1 / t**0.5, 0.8, 0.7, eps, 0.6)
    theta, expected = np.zeros(1), plain(gs, lambda t: 0.1 / t**0.5, 0.8, 0.7, eps, 0.6)
    state = method.init(theta)
    for g in gs:
        method.step(theta, np.array([g]), state)
    assert theta[0] == pytest.approx(expected, rel=1e-12)


def test_the_defaults() -> None:
    assert AnnealedAdam() == AnnealedAdam(1e-3, 0.9, 0.999, 0.0, 0.999)


def test_decay_1_is_adam_in_every_bit() -> None:
    thetas = []
    for method in (Adam(0.01), AnnealedAdam(0.01, eps=1e-8, decay=1.0)):
        theta = np.zeros(8)
        state = method.init(theta)
        for g in gradients("spiked"):
            method.step(theta, g, state)
        thetas.append(theta.tobytes())
    assert thetas[0] == thetas[1]


def test_nothing_moves_before_the_first_gradient_and_the_metric_is_1_over_lr() -> None:
    method, theta = AnnealedAdam(0.5, 0.9, 0.75), np.ones(2)
    state = method.init(theta)
    with np.errstate(all="raise"):
        method.step(theta, np.array([0.0, 0.0]), state)
        assert theta.tolist() == [1, 1] and method.metric(state).tolist() == [2, 2]
        method.step(theta, np.array([0.0, 4.0]), state)
    v_hat = 0.25 * 16 / (1 - 0.75**2)
    np.testing.assert_allclose(method.metric(state), [2, v_hat**0.5 / 0.5], rtol=1e-14)
    state.slots["v"][...] = 0
    assert AnnealedAdam(0.5, eps=0.25).metric(state).tolist() == [0.5, 0.5]
    tiny = np.zeros(2)
    method.step(tiny, np.full(2, 1e-200), method.init(tiny))  # its square is 0
    assert tiny == pytest.approx(-0.5e-200, rel=1e-12, abs=0)


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.5, math.nan])
def test_a_decay_that_is_none_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="decay must be above 0 and at most 1"):
        AnnealedAdam(decay=decay)
    AnnealedAdam(decay=1.0)


# ---- The game


def test_the_walled_cycle() -> None:
    problem = WalledCycle()
    assert (problem.slopes, problem.start, problem.steepest) == ((3, -1, -1), 0.875, 4)
    assert WalledCycle((1.0, -5.0)).steepest == 6
    assert [problem.loss(x, 1) for x in (-3.0, -1.0, 0.5, 1.0, 2.0)] == [-7, -3, 1.5, 3, 7]
    assert [problem.grad(x, 2) for x in (-3.0, -1.0, 0.5, 1.0, 2.0)] == [-2, -1, -1, -1, 0]
    assert problem.grad(2.0) == 4 and problem.loss(2.0) == 7
    enclosed = problem.grad(Interval(2.0), 1)
    assert isinstance(enclosed, Interval) and lower(enclosed) == upper(enclosed) == 4
    with pytest.raises(Undecided):
        problem.grad(Interval(0.5, 1.5), 1)


@pytest.mark.parametrize(
    ("rounds", "best"), [(1, -7.0), (3, -1.0), (5, -1.0), (6, -1.0), (2, -1.0)]
)
def test_its_best_point(rounds: int, best: float) -> None:
    problem, domain = WalledCycle(), Box(-7.0, 7.0)
    assert problem.best(rounds, domain) == best
    sums = {
        x: sum(problem.loss(x, t) for t in range(1, rounds + 1)) for x in (-7.0, -1.0, 1.0, 3.0)
    }
    assert sums == {x: problem.total(x, rounds) for x in sums}
    assert min(sums.values()) == sums[best]
    assert problem.best(rounds, Box(-0.5, 0.5)) == -0.5


def test_the_best_point_where_the_slopes_add_up_to_something_else() -> None:
    assert WalledCycle((1.0, -2.0)).best(2, Box(-7.0, 7.0)) == 1
    assert WalledCycle((1.0, -1.0)).best(2, Box(-7.0, 7.0)) == 0
    assert WalledCycle((-5.0,)).best(1, Box(-7.0, 7.0)) == 7


# ---- The bound and the proofs, beside plain sums


class Sums:
    """Everything that the proofs add up, in loops over rounds and coordinates."""

    def __init__(self, game: Any, u: Any, G: float | None = None) -> None:
        method = game.method
        self.b1, self.b2, self.lam, self.eps = method.beta1, method.beta2, method.decay, method.eps
        self.a, self.T, self.n = game.rates()[0], game.rounds, game.x.shape[1]
        self.g, self.m, self.v = game.g, game.slots["m"], game.slots["v"]
        self.x, self.u, self.game = game.x, np.broadcast_to(u, game.x[0].shape), game
        self.G = G or float(np.max(np.abs(game.g)))
        self.kappa = self.b1**2 / self.b2**0.5
        self.pairs = [(t, i) for t in range(1, self.T + 1) for i in range(self.n)]

    def rate(self, t: int) -> float:
        return float(self.game.method.hyper(t)["lr"])

    def d(self, t: int, i: int) -> float:
        return float(self.x[t - 1, i] - self.u[i])

    def root(self, t: int, i: int) -> float:
        return float(math.sqrt(self.v[t - 1, i] / (1 - self.b2**t)) + self.eps)

    def s(self, t: int, i: int) -> float:
        return self.root(t, i) / self.rate(t) if t else 0.0

    def m_hat(self, t: int, i: int) -> float:
        return float(self.m[t - 1, i] / (1 - self.b1**t))

    def old(self, t: int, i: int) -> float:
        return float(self.m[t - 2, i]) if t > 1 else 0.0

    def momentum(self, t: int) -> float:
        return float(self.b1 * self.lam ** (t - 1))

    def rho(self, t: int) -> float:
        return self.momentum(t) / (1 - self.momentum(t))

    def c(self, t: int) -> float:
        return (1 - self.b1**t) / (1 - self.momentum(t)) if t else 0.0

    def over(self, square: float, weight: float) -> float:
        return square / weight if weight else 0.0

    def sum(self, term: Any) -> float:
        return math.fsum(term(t, i) for t, i in self.pairs)

    def norm(self, i: int) -> float:
        return math.sqrt(sum(self.g[t - 1, i] ** 2 for t in range(1, self.T + 1)))

    def side(self, i: int, reach: bool) -> float:
        points = [*self.x[:-1, i], *([self.u[i]] if reach else [])]
        return float(max(points) - min(points))

    def apart(self, reach: bool) -> float:
        return math.sqrt(sum(self.side(i, reach) ** 2 for i in range(self.n)))

    @property
    def widest(self) -> float:
        return max(self.side(i, True) for i in range(self.n))

    def regret(self) -> float:
        at = float(self.u[0]) if isinstance(self.game.problem.start, float) else self.u
        theirs = [self.game.problem.loss(at, t) for t in range(1, self.T + 1)]
        return math.fsum(self.game.losses) - math.fsum(theirs)

    def linear(self) -> float:
        return self.sum(lambda t, i: self.g[t - 1, i] * self.d(t, i))

    def drift(self, weight: Any) -> float:
        return self.sum(lambda t, i: weight(t, i) * (self.d(t, i) ** 2 - self.d(t + 1, i) ** 2))

    def cross(self) -> float:
        return -self.sum(lambda t, i: self.rho(t) * self.old(t, i) * self.d(t, i))

    def step(self, weight: Any) -> float:
        return self.sum(lambda t, i: weight(t) * self.over(self.m_hat(t, i) ** 2, self.s(t, i)))

    def pull(self) -> float:
        return self.sum(lambda t, i: self.rho(t) * self.s(t - 1, i) * self.d(t, i) ** 2)

    def push(self) -> float:
        return self.sum(lambda t, i: self.rho(t) * self.over(self.old(t, i) ** 2, self.s(t - 1, i)))

    def terms(self, reading: str) -> list[float]:
        b1, lam = self.b1, self.lam
        first = (
            self.apart(True) ** 2 / (2 * (1 - b1)) * sum(self.s(self.T, i) for i in range(self.n))
        )
        bracket = (1 - b1) * math.sqrt(1 - self.b2) * (1 - self.kappa) ** 2
        second = self.a * (1 + b1) * self.G / bracket * sum(self.norm(i) for i in range(self.n))
        below = 2 * self.a * (b1 if reading == "appendix" else 1 - b1) * (1 - lam) ** 2
        third = self.n * self.widest**2 * self.G * math.sqrt(1 - self.b2) / below
        return [first, second, third]

    def worst(self, left: Any, right: Any, pairs: Any = None) -> tuple[float, float]:
        return max(((left(*p), right(*p)) for p in pairs or self.pairs), key=lambda q: q[0] - q[1])

    def steps_of(self, i: int) -> float:
        return math.fsum(
            self.over(self.m_hat(t, i) ** 2, self.s(t, i)) / self.a for t in range(1, self.T + 1)
        )

    def sizes_of(self, i: int) -> float:
        return math.fsum(abs(self.g[t - 1, i]) / math.sqrt(t) for t in range(1, self.T + 1))

    def left_of(self, t: int) -> float:
        return math.prod(self.momentum(k) for k in range(1, t + 1))

    def opening(self) -> dict[str, tuple[float, float]]:
        squared = self.drift(lambda t, i: self.c(t) * self.s(t, i)) / 2 + self.step(self.c) / 2
        return {
            "convexity": (self.regret(), self.linear()),
            "the step, squared": (self.linear(), squared + self.cross()),
            "Young's inequality": (self.cross(), (self.pull() + self.push()) / 2),
            "the two sums of steps": (
                self.push() + self.step(self.c),
                (1 + self.b1) / (1 - self.b1) * self.step(lambda t: 1.0),
            ),
        }

    def printed(self) -> dict[str, tuple[float, float]]:
        def gamma(t: int, i: int) -> float:
            return self.s(t, i) - self.s(t - 1, i)

        columns = [(i,) for i in range(self.n)]
        rounds = [(t,) for t in range(1, self.T + 1)]
        weighted = self.sum(lambda t, i: gamma(t, i) * self.d(t, i) ** 2)
        root, gap = math.sqrt(1 - self.b2), 1 - self.kappa
        last = sum(self.s(self.T, i) for i in range(self.n))
        return {
            **self.opening(),
            "1/(1 − β₁ₜ) out of the sum": (
                self.drift(lambda t, i: self.c(t) * self.s(t, i)),
                self.drift(self.s) / (1 - self.b1),
            ),
            "summation by parts": (self.drift(self.s), weighted),
            "Γₜ ≥ 0 in each round": self.worst(lambda t, i: -gamma(t, i), lambda t, i: 0.0),
            "θ* within D of the iterates": self.worst(
                lambda t: math.sqrt(sum(self.d(t, i) ** 2 for i in range(self.n))),
                lambda t: self.apart(False), rounds,
            ),
            "the sum of Γₜ dₜ²": (weighted, self.apart(True) ** 2 * last),
            "the weights of m̂ₜ add up to 1": self.worst(
                lambda t: (1 - self.left_of(t)) / (1 - self.b1**t), lambda t: 1.0, rounds
            ),
            "Lemma 10.3": self.worst(self.sizes_of, lambda i: 2 * self.G * self.norm(i), columns),
            "Lemma 10.4, as stated": self.worst(
                self.steps_of, lambda i: 2 / (gap * root) * self.norm(i), columns
            ),
            "Lemma 10.4, as used": self.worst(
                self.steps_of, lambda i: 2 * self.G / (gap**2 * root) * self.norm(i), columns
            ),
            "the momentum's distances": (
                self.pull(), self.widest**2 * self.sum(lambda t, i: self.rho(t) * self.s(t, i))
            ),
            "the size of √v̂ₜ": self.worst(self.root, lambda t, i: self.G * root),
            "the series in λ": (
                sum(self.rho(t) * math.sqrt(t) for (t,) in rounds),
                1 / ((1 - self.b1) * (1 - self.lam) ** 2),
            ),
            "the theorem": (self.regret(), sum(self.terms("section"))),
        }  # fmt: skip

    def repaired(self) -> dict[str, tuple[float, float]]:
        def change(t: int, i: int) -> float:
            return self.c(t) * self.s(t, i) - self.c(t - 1) * self.s(t - 1, i)

        columns = [(i,) for i in range(self.n)]
        weighted = self.sum(lambda t, i: change(t, i) * self.d(t, i) ** 2)
        rises = self.widest**2 * self.sum(lambda t, i: max(0.0, change(t, i)))
        harmonic = math.sqrt(sum(1 / t for t in range(1, self.T + 1)))
        S = 1 / math.sqrt((1 - self.b2) * (1 - self.b1**2 / self.b2))
        norms = sum(self.norm(i) for i in range(self.n))
        high = self.G + self.eps
        momentum = self.n * self.widest**2 * high * self.b1 * self.lam
        momentum /= self.a * (1 - self.b1) * (1 - self.lam) ** 2
        steps = self.a * (1 + self.b1) / 2 / (1 - self.b1) ** 2 * S * harmonic * norms
        return {
            **self.opening(),
            "by parts, the factors inside": (
                self.drift(lambda t, i: self.c(t) * self.s(t, i)), weighted
            ),
            "rises counted, falls left out": (weighted, rises),
            "in place of Lemma 10.3": self.worst(
                self.sizes_of, lambda i: harmonic * self.norm(i), columns
            ),
            "in place of Lemma 10.4": self.worst(
                self.steps_of, lambda i: S / (1 - self.b1) * self.sizes_of(i), columns
            ),
            "the true mean": self.worst(
                lambda t, i: abs(self.m[t - 1, i]) / (1 - self.left_of(t)), lambda t, i: self.G
            ),
            "the size of √v̂ₜ": self.worst(self.root, lambda t, i: high),
            "the momentum's distances": (self.pull(), momentum),
            "what remains": (self.regret(), rises / 2 + steps + momentum / 2),
        }  # fmt: skip


def two_lines(eps: float = 0.0, domain: Any = None, alpha: float = 0.4) -> Any:
    """A game in two coordinates, the second without gradients in its first round."""
    rows = np.array([[0.5, 0.0], [-2.0, 0.3], [0.7, -0.2], [0.1, 0.9], [-0.4, 0.1], [1.1, -0.6]])
    method = AnnealedAdam(lambda t: alpha / t**0.5, 0.6, 0.7, eps, 0.8)
    problem = SquareLosses(rows, np.array([0.3, -1.0, 0.2, 0.8, 0.1, -0.5]), np.array([0.2, -0.1]))
    return play(method, problem, 6, domain or Box(-9.0, 9.0))


GAMES = {
    "free": two_lines(),
    "eps": two_lines(0.2),
    "box": two_lines(0.0, Box(-0.3, 0.3)),
    "ball": two_lines(0.1, Ball(0.36)),
    "long": two_lines(0.0, None, 3.0),
    "walls": play(ADAM, WalledCycle(), 40),
}
each_game = pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)


@each_game
def test_the_printed_proof_is_its_sums(game: Any) -> None:
    u = np.full(game.x.shape[1], -0.25)
    sums, lines = Sums(game, u, 4.0 if game is GAMES["walls"] else None), kingma_ba_proof(game, u)
    expected = sums.printed()
    assert {line.name for line in lines} == expected.keys()
    for line in lines:
        assert (line.left, line.right) == pytest.approx(expected[line.name], rel=1e-9, abs=1e-12)
        assert 0 <= line.error < 1e-10 and line.latex and line.source.startswith("Kingma & Ba 2015")


@each_game
def test_the_repaired_proof_is_its_sums_and_holds(game: Any) -> None:
    u = np.full(game.x.shape[1], -0.25)
    sums, lines = Sums(game, u, 4.0 if game is GAMES["walls"] else None), repaired_proof(game, u)
    expected = sums.repaired()
    assert {line.name for line in lines} == expected.keys()
    for line in lines:
        assert (line.left, line.right) == pytest.approx(expected[line.name], rel=1e-9, abs=1e-12)
        assert 0 <= line.error < 1e-10 and line.latex
    assert first_false(lines) is None


@each_game
@pytest.mark.parametrize("reading", READINGS)
def test_the_bound_is_its_three_terms(game: Any, reading: str) -> None:
    u = np.full(game.x.shape[1], -0.25)
    sums, found = (
        Sums(game, u, 4.0 if game is GAMES["walls"] else None),
        kingma_ba_bound(game, u, reading),
    )
    assert [term.value for term in found.terms] == pytest.approx(sums.terms(reading), rel=1e-9)
    assert [term.name for term in found.terms] == ["distance", "steps", "momentum"]
    assert found.measured == pytest.approx(sums.regret(), rel=1e-9)
    assert 0 < found.error < 1e-10
    third = found.terms[2].latex
    assert (r"\alpha \beta_1 (1" in third) is (reading == "appendix") and r"D_\infty" in third
    average = kingma_ba_average(game, u, reading)
    corollary = [
        sums.apart(True) ** 2 / (2 * (1 - sums.b1)) * sums.n * sums.G * math.sqrt(sums.T) / sums.a,
        sums.terms(reading)[1] / sum(sums.norm(i) for i in range(sums.n)) * sums.n * sums.G * math.sqrt(sums.T),
        sums.terms(reading)[2],
    ]  # fmt: skip
    assert [term.value * game.rounds for term in average.terms] == pytest.approx(
        corollary, rel=1e-9
    )
    assert average.measured == pytest.approx(sums.regret() / game.rounds, rel=1e-9)
    assert average.premises == found.premises and 0 < average.error < 1e-10


def test_gammas_are_the_differences() -> None:
    game = GAMES["free"]
    sums = Sums(game, 0.0)
    expected = [[sums.s(t, i) - sums.s(t - 1, i) for i in (0, 1)] for t in range(1, 7)]
    np.testing.assert_allclose(gammas(game), expected, rtol=1e-12)


def test_the_worst_is_where_left_exceeds_right_most_and_no_weight_divides_by_1() -> None:
    left, right = np.array([1.0, 5.0, 3.0]), np.array([0.5, 5.5, 1.0])
    assert module._worst(left, right) == (3.0, 1.0, 4 * 32 * 2.0**-52)
    assert module._per(np.array([6.0, 0.0, 3.0]), np.array([2.0, 0.0, 0.0])).tolist() == [3, 0, 3]


# ---- Premises


def broken(game: Any, **settings: Any) -> list[str]:
    return [premise.name for premise in kingma_ba_bound(game, **settings).broken]


def lines_game(method: Any, domain: Any = None) -> Any:
    rows = np.array([[1.0], [-0.5], [0.25], [-2.0]])
    return play(method, LinearLosses(rows, np.zeros(1)), 4, domain or Box(-50.0, 50.0))


def test_each_premise_can_break() -> None:
    def falling(t: int) -> float:
        return 0.5 / t**0.5

    assert broken(lines_game(AnnealedAdam(falling, 0.5, 0.5, decay=0.5))) == []
    assert broken(lines_game(AnnealedAdam(0.5, 0.5, 0.5, decay=0.5))) == [
        "alpha_t = alpha / sqrt(t)"
    ]
    lam = "beta_{1,t} = beta1 lambda**(t-1), lambda < 1"
    assert broken(lines_game(AnnealedAdam(falling, 0.5, 0.5, decay=1.0))) == [lam]
    assert broken(lines_game(Adam(falling, 0.5, 0.5, 0.0))) == [lam]
    assert kingma_ba_bound(lines_game(Adam(falling, 0.5, 0.5, 0.0))).bound == math.inf
    gamma = "beta1**2 / sqrt(beta2) < 1"
    assert broken(lines_game(AnnealedAdam(falling, 0.9, 0.5, decay=0.5))) == [gamma]
    assert broken(lines_game(AnnealedAdam(falling, 0.5, 0.0625, decay=0.5))) == [gamma]  # it is 1
    assert broken(lines_game(AnnealedAdam(falling, 0.5, 0.07, decay=0.5))) == []
    assert broken(lines_game(AnnealedAdam(falling, 0.5, 0.0, decay=0.5))) == [gamma]
    assert broken(lines_game(AnnealedAdam(falling, 0.5, 0.5, 1e-8, 0.5))) == ["no epsilon"]
    boxed = lines_game(AnnealedAdam(falling, 0.5, 0.5, decay=0.5), Box(-0.1, 0.1))
    assert broken(boxed) == ["no projection"] and kingma_ba_bound(boxed).void


def test_the_premises_reach_the_start_and_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    up = play(
        AnnealedAdam(lambda t: 0.5 / t**0.5, 0.5, 0.5, decay=0.5),
        LinearLosses(np.array([[1.0], [2.0], [0.5]]), np.zeros(1)), 3, Box(-0.25, 9.0),
    )  # fmt: skip
    premises = {premise.name: premise.value for premise in kingma_ba_bound(up).premises}
    assert premises["no projection"] == np.max(up.x[1:] - up.y) > 0
    seen: list[Any] = []

    def watched(game: Any, *points: Any) -> Premise:
        seen.extend(points)
        return Premise("", 0.0, 0.0, "")

    monkeypatch.setattr(module, "convexity", watched)
    kingma_ba_bound(GAMES["free"], np.array([0.5, 0.25]))
    point, *own = seen
    assert point.tolist() == [0.5, 0.25] and own[0].tolist() == [0.2, -0.1]
    np.testing.assert_array_equal(own, points_tried(GAMES["free"].x, GAMES["free"].domain))


def test_a_gradient_above_the_stated_bound_and_a_loss_that_is_not_convex() -> None:
    class Steeper(WalledCycle):
        steepest = 2.5  # type: ignore[assignment]

    class Hills:
        start = 0.5

        def loss(self, x: Any, t: int = 1) -> Any:
            return -x * x

        def grad(self, x: Any, t: int = 1) -> Any:
            return -2 * x

        def best(self, rounds: int, domain: Any) -> Any:
            return 2.0

    assert broken(play(ADAM, Steeper(), 5)) == ["|g_t| <= G_inf"]
    assert kingma_ba_bound(play(ADAM, WalledCycle(), 5)).terms[1].value == pytest.approx(
        Sums(play(ADAM, WalledCycle(), 5), -1.0, 4.0).terms("section")[1]
    )
    assert broken(play(ADAM, Hills(), 3)) == ["f_t convex, g_t its subgradient"]


def test_the_settings_at_their_edges() -> None:
    none = lines_game(AnnealedAdam(lambda t: 0.5 / t**0.5, 0.0, 0.5, decay=0.5))
    assert kingma_ba_bound(none, reading="appendix").bound == math.inf
    assert math.isfinite(kingma_ba_bound(none).bound)
    still = lines_game(AnnealedAdam(lambda t: 0.5 / t**0.5, 0.5, 0.5, decay=1.0))
    lines = named(kingma_ba_proof(still))
    assert lines["the series in λ"].right == lines["the theorem"].right == math.inf
    heavy = lines_game(AnnealedAdam(lambda t: 0.5 / t**0.5, 0.9, 0.5, decay=0.5))
    lines = named(kingma_ba_proof(heavy))
    assert lines["Lemma 10.4, as used"].right == lines["Lemma 10.4, as stated"].right == math.inf
    assert named(repaired_proof(heavy))["what remains"].right == math.inf
    a_little = play(AnnealedAdam(0.1, 0.6, 0.3, decay=0.5), Cycle((3.0, -1.0)), 9, Box(-1.0, 1.0))
    for game in (a_little, in_intervals(a_little)):  # beta1**2 / beta2 is 1.2: no root of 1 - that
        assert named(repaired_proof(game))["what remains"].right == math.inf


def test_only_games_of_the_method_and_known_readings() -> None:
    game = lines_game(RMSProp(0.1))
    for function in (kingma_ba_bound, kingma_ba_average, kingma_ba_proof, repaired_proof, gammas):
        with pytest.raises(TypeError, match="AnnealedAdam.*Got one of RMSProp"):
            function(game)
    with pytest.raises(ValueError, match="reading: expected one of"):
        kingma_ba_bound(GAMES["free"], reading="footnote")


# ---- What the chapter found


def test_the_theorem_is_false_with_every_hypothesis_met() -> None:
    enclosed = in_intervals(play(ADAM, WalledCycle(), 1191))
    for reading in READINGS:
        found = kingma_ba_bound(enclosed, reading=reading)
        assert found.verdict == "violated" and lower(found.measured) > upper(found.bound)
        assert not found.broken


def test_floats_and_intervals_agree_and_an_interval_encloses() -> None:
    game = play(ADAM, WalledCycle(), 60)
    enclosed = in_intervals(game)
    for function in (kingma_ba_proof, repaired_proof):
        for line, sure in zip(function(game), function(enclosed), strict=True):
            assert line.name == sure.name
            assert float(sure.left) == pytest.approx(float(line.left), rel=1e-9, abs=1e-10)
            assert float(sure.right) == pytest.approx(float(line.right), rel=1e-9, abs=1e-10)
            if line.verdict != "undecided" and sure.verdict != "undecided":
                assert line.verdict == sure.verdict
    assert kingma_ba_average(enclosed).bound is not None


def test_the_first_false_line_of_reddis_game_is_gamma() -> None:
    method = AnnealedAdam(lambda t: 0.9 * 0.9**0.5 / t**0.5, 0.0, 0.1, decay=0.5)
    game = play(method, Cycle((3.0, -1.0, -1.0)), 3000, Box(-1.0, 1.0))
    gamma = gammas(game)[1:]
    assert (np.sum(gamma < 0), len(gamma)) == (2000, 2999)
    line = first_false(kingma_ba_proof(game))
    assert line is not None and line.name == "Γₜ ≥ 0 in each round"
    lines = named(kingma_ba_proof(game))["the sum of Γₜ dₜ²"]
    assert (lines.left, lines.right) == pytest.approx((7024.38, 265.69), abs=0.01)


@pytest.mark.parametrize(("name", "last"), [("Lemma 10.3", 30), ("Lemma 10.4, as stated", 52)])
def test_the_lemmas_fail_for_fading_gradients(name: str, last: int) -> None:
    method = AnnealedAdam(lambda t: 0.5 / t**0.5, 0.0, 0.1, decay=0.5)
    verdicts = []
    for rounds in (last, last + 1):
        rows = 1 / np.sqrt(np.arange(1, rounds + 1.0))[:, None]
        game = play(method, LinearLosses(rows, np.ones(1)), rounds, Box(-1.0, 1.0))
        verdicts.append(named(kingma_ba_proof(game))[name].verdict)
    assert verdicts == ["holds", "violated"]


# ---- The figure


def test_the_figure_shows_each_line_with_its_mark() -> None:
    lines = [
        Line("first", "a", 1.0, 2.0),
        Line("second", "a", 3.0, 3.0, 0.1),
        Line("third", "a", 12345.6, 4.0),
        Line("fourth", "a", -2000.0, 0.75),
        Line("fifth", "a", 999.96, 1000.0),
    ]
    fig, axes = draw_proof(lines, "One line is false")
    drawn = [
        (text.get_text(), *text.get_position(), text.get_ha(), text.get_va(), text.get_color(),
         text.get_fontsize(), text.get_fontweight())
        for text in axes.texts
    ]  # fmt: skip
    expected: list[tuple[Any, ...]] = [
        ("line", 0.0, -1, "left", "center", "0.35", 9, "normal"),
        ("left side", 0.76, -1, "right", "center", "0.35", 9, "normal"),
        ("right side", 0.98, -1, "right", "center", "0.35", 9, "normal"),
    ]
    shown = [
        ("✓", "#009E73", "normal", "0.0", "1", "≤", "2"),
        ("=", "#0072B2", "normal", "0.0", "3", "=", "3"),
        ("✗", "#D55E00", "bold", "0.0", "12,346", ">", "4"),
        ("✓", "#009E73", "normal", "0.45", "-2,000", "≤", "0.75"),
        ("✓", "#009E73", "normal", "0.45", "1000", "≤", "1,000"),
    ]
    for row, (mark, colour, weight, tone, left, sign, right) in enumerate(shown):
        expected += [
            (mark, 0.0, row, "left", "center", colour, 13, "bold"),
            (lines[row].name, 0.05, row, "left", "center", tone, 9, weight),
            (left, 0.76, row, "right", "center", tone, 9, "normal"),
            (sign, 0.79, row, "left", "center", tone, 9, "normal"),
            (right, 0.98, row, "right", "center", tone, 9, "normal"),
        ]
    assert drawn == expected
    assert fig._suptitle.get_text() == "One line is false" and not axes.axison
    assert fig.get_size_inches()[1] == pytest.approx(0.7 + 0.27 * 5, rel=1e-12)
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (4.6, -1.4))


def test_one_round_is_one_point_and_one_overshoot() -> None:
    square = SquareLosses(np.ones((1, 1)), np.zeros(1), np.array([0.1]))
    lines = named(kingma_ba_proof(play(AnnealedAdam(1.0, 0.9, decay=0.5), square, 1), 0.0))
    assert lines["θ* within D of the iterates"].right == 0
    pulled = lines["1/(1 − β₁ₜ) out of the sum"]
    assert (pulled.left, pulled.right) == pytest.approx((-0.08, -0.8))
    assert pulled.verdict == "violated"


@each_game
def test_the_errors_are_32_units_of_what_was_added(game: Any) -> None:
    u, unit = np.full(game.x.shape[1], -0.25), 32 * np.finfo(float).eps
    sums = Sums(game, u, 4.0 if game is GAMES["walls"] else None)
    printed, safe = named(kingma_ba_proof(game, u)), named(repaired_proof(game, u))

    def drift(weight: Any) -> float:
        return unit * sums.sum(
            lambda t, i: (
                weight(t, i)
                * (
                    sums.d(t, i) ** 2
                    + sums.d(t + 1, i) ** 2
                    + abs(sums.d(t + 1, i)) * abs(sums.x[t, i])
                )
            )
        )

    def weight(t: int, i: int) -> float:
        return sums.c(t) * sums.s(t, i)

    inner, outer = drift(weight), drift(sums.s)
    linear = unit * sums.sum(lambda t, i: abs(sums.g[t - 1, i] * sums.d(t, i)))
    cross = unit * sums.sum(lambda t, i: abs(sums.rho(t) * sums.old(t, i) * sums.d(t, i)))
    parts = unit * sums.sum(lambda t, i: sums.s(t, i) * sums.d(t, i) ** 2)
    kept = unit * sums.sum(lambda t, i: weight(t, i) * sums.d(t, i) ** 2)
    weights = unit * sums.sum(weight) * sums.widest**2
    most = sums.widest**2 * sums.sum(lambda t, i: sums.rho(t) * sums.s(t, i))
    roots = sum(sums.rho(t) * math.sqrt(t) for t in range(1, sums.T + 1))
    cost, pull = regret(game, u).error, unit * sums.pull()
    whole = cost + run_error(game, u) + unit * sum(sums.terms("section"))
    both = {
        "convexity": cost + linear,
        "the step, squared": inner / 2 + linear + cross + unit * sums.step(sums.c),
        "Young's inequality": cross + pull + unit * sums.push(),
        "the two sums of steps": unit * sum(sums.opening()["the two sums of steps"]),
    }
    expected = {
        **both,
        "1/(1 − β₁ₜ) out of the sum": inner + outer / (1 - sums.b1),
        "summation by parts": 2 * parts,
        "the sum of Γₜ dₜ²": parts,
        "the momentum's distances": pull + unit * most,
        "the series in λ": unit * roots,
        "the theorem": whole,
    }
    repaired = {
        **both,
        "by parts, the factors inside": inner + kept,
        "rises counted, falls left out": kept + weights,
        "the momentum's distances": pull,
        "what remains": cost,
    }
    for lines, errors in ((printed, expected), (safe, repaired)):
        for name, line in lines.items():
            sizes = unit * (abs(line.left) + abs(line.right))  # of the round that is shown
            assert line.error == pytest.approx(errors.get(name, sizes), rel=1e-9, abs=0), name
    assert kingma_ba_bound(game, u).error == pytest.approx(whole, rel=1e-9, abs=0)
    average = kingma_ba_average(game, u)
    terms = sum(term.value for term in average.terms)
    assert average.error == pytest.approx(whole / sums.T + unit * terms, rel=1e-9, abs=0)


@each_game
def test_the_premises_are_measured(game: Any) -> None:
    u, below = np.full(game.x.shape[1], -0.25), 1 - 2.0**-53
    sums = Sums(game, u, 4.0 if game is GAMES["walls"] else None)
    met, moved = float(np.max(np.abs(game.g))), float(np.max(np.abs(game.y - game.x[1:])))
    side = max(sums.side(i, False) for i in range(sums.n))
    expected = {
        "f_t convex, g_t its subgradient": (0.0, 0.0),
        "|g_t| <= G_inf": (met, sums.G),
        "iterates within D_inf": (side, sums.widest),
        "D_inf finite": (sums.widest, float(np.finfo(float).max)),
        "beta1**2 / sqrt(beta2) < 1": (sums.kappa, below),
        "alpha_t = alpha / sqrt(t)": (0.0, 1e-14),
        "m_t averages the gradients": (0.0, 0.0),
        "v_t averages their squares": (0.0, 0.0),
        "H_t = sqrt(v_hat_t) / alpha_t": (0.0, 0.0),
        "each step is -m_hat_t / H_t": (0.0, 0.0),
        "beta_{1,t} = beta1 lambda**(t-1), lambda < 1": (sums.lam, below),
        "no epsilon": (sums.eps, 0.0),
        "no projection": (moved, 0.0),
    }
    found = kingma_ba_bound(game, u).premises
    assert [premise.name for premise in found] == list(expected)
    for premise in found:
        value, limit = expected[premise.name]
        assert premise.value == pytest.approx(value, rel=1e-12, abs=1e-15), premise.name
        assert premise.limit == limit or premise.name == "iterates within D_inf"
        assert premise.limit == pytest.approx(limit, rel=1e-12, abs=0)


@pytest.mark.parametrize("zero", [1, 4])
def test_a_rate_of_zero_in_one_round_makes_the_theorem_void(zero: int) -> None:
    method = AnnealedAdam(lambda t: 0.1 * (t != zero), 0.5, 0.5, decay=0.5)
    game = play(method, Cycle((3.0, -1.0, -1.0)), 9, Box(-1.0, 1.0))
    assert kingma_ba_bound(game).void and kingma_ba_average(game).void
    assert kingma_ba_proof(game)[0].verdict != "violated"  # and nothing warns


class Still(AnnealedAdam):
    """It averages as Adam does, and never moves."""

    @staticmethod
    def rule(  # type: ignore[override]
        theta: Any,
        g: Any,
        m: Any,
        v: Any,
        *,
        lr: Any,
        beta1: Any,
        beta2: Any,
        eps: Any,
        decay: Any,
        t: Any,
    ) -> Any:
        known = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "decay": decay, "t": t}
        return theta, *AnnealedAdam.rule(theta, g, m, v, **known)[1:]


@pytest.mark.parametrize("enclosed", [False, True])
def test_what_is_not_the_theorems_method_makes_it_void(enclosed: bool) -> None:
    method = AnnealedAdam(lambda t: 0.5 / t**0.5, 0.5, 0.5, decay=0.5)
    problem = Cycle((3.0, -1.0, -1.0))
    of = in_intervals if enclosed else (lambda game: game)
    good = of(play(method, problem, 9, Box(-1e3, 1e3)))
    assert not kingma_ba_bound(good).broken
    m, v = good.slots["m"], good.slots["v"]
    nudge = np.array([[1e-9 * (t == 8)] for t in range(9)])
    still = of(play(Still(**settings_of(method)), problem, 9, Box(-1e3, 1e3)))
    for name, game in (
        ("each step is -m_hat_t / H_t", still),
        ("m_t averages the gradients", replace(good, slots={"m": m + nudge, "v": v})),
        ("m_t averages the gradients", replace(good, slots={"m": m - nudge, "v": v})),
        ("v_t averages their squares", replace(good, slots={"m": m, "v": v + nudge})),
    ):
        assert name in {premise.name for premise in kingma_ba_bound(game).broken}

    class Other(AnnealedAdam):
        def metric(self, state: Any) -> Any:
            return super().metric(state) * 1.5

    other = of(play(Other(**settings_of(method)), problem, 9, Box(-1e3, 1e3)))
    assert "H_t = sqrt(v_hat_t) / alpha_t" in {p.name for p in kingma_ba_bound(other).broken}
