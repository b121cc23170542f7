"""Beyond convexity: the enumeration, the theorem's numbers, and each line of its proof."""

from dataclasses import dataclass
from itertools import product
from math import log, sqrt

import numpy as np
import pytest

from adam_tutorial.adagrad import Adagrad
from adam_tutorial.adam import Adam
from adam_tutorial.beyond_convexity import (
    Outcomes,
    _tightest,
    _worst,
    critical_rate,
    defossez_bound,
    defossez_certificate,
    defossez_proof,
    outcomes,
)
from adam_tutorial.bounds import Line, first_false
from adam_tutorial.nadam import Nadam
from adam_tutorial.rmsprop import RMSProp

LINES = ["almost downhill", "denominators", "smoothness", "faded sum", "all steps", "theorem"]


@dataclass(frozen=True, eq=False)
class Bowl:
    """sum of h_i x_i**2 / 2, with examples that shift the gradient."""

    noise: np.ndarray
    start: np.ndarray
    h: np.ndarray
    smoothness: float
    least: float = 0.0

    def value(self, x):
        return np.sum(self.h * x * x, axis=-1) / 2

    def slopes(self, x):
        return (self.h * x)[:, None, :] + self.noise


def bowl(noise=((2.0, -0.5), (-1.0, 0.0), (-1.0, 0.5)), smoothness=3.0, least=-0.25):
    return Bowl(np.array(noise), np.array([0.7, -0.4]), np.array([1.0, 3.0]), smoothness, least)


METHODS = [Adam(0.2, 0.0, 0.8, 0.05), Adagrad(0.2, 0.05)]


# ---- the enumeration -----------------------------------------------------------------------


@pytest.mark.parametrize("method", [Adam(0.2, 0.5, 0.8, 0.05), Nadam(0.1), *METHODS])
def test_the_rows_are_all_histories_in_order(method) -> None:
    problem = bowl()
    runs = outcomes(method, problem, 4)
    assert isinstance(runs, Outcomes) and runs.steps == 4 and runs.method is method
    assert runs.problem is problem
    assert [x.shape for x in runs.x] == [(3**t, 2) for t in range(5)]
    assert [g.shape for g in runs.g] == [(3**t, 3, 2) for t in range(4)]
    largest, squares = 0.0, np.zeros(4)
    for row, draws in enumerate(product(range(3), repeat=4)):
        x, state = problem.start, method.init(problem.start)
        for t, k in enumerate(draws):
            slope = problem.h * x
            squares[t] += np.sum(slope**2) / 81
            g = slope + problem.noise[k]
            largest = max(largest, float(np.max(np.abs(g))))
            x, state = method.update(x, g, state)
        assert np.array_equal(x, runs.x[-1][row])
        for name in method.slots:
            assert np.array_equal(state.slots[name], runs.slots[-1][name][row])
    assert runs.largest == largest
    assert runs.mean_squares() == pytest.approx(squares, rel=1e-12)


@dataclass(frozen=True)
class Wide:
    examples: int
    start = np.zeros(1)

    def slopes(self, x):
        return np.zeros((len(x), self.examples, 1))


def test_the_limit_is_four_million_numbers() -> None:
    assert outcomes(METHODS[0], Wide(2**22), 1).x[-1].shape == (2**22, 1)
    with pytest.raises(
        ValueError, match=r"1 draws of 4194305 examples: too many outcomes to list\."
    ):
        outcomes(METHODS[0], Wide(2**22 + 1), 1)


# ---- the promise ---------------------------------------------------------------------------


def test_the_promise_of_adam_is_the_formula() -> None:
    lr, b, eps, T, d, G, L, gap = 0.3, 0.9, 0.01, 50, 4, 2.0, 1.5, 0.8
    R = G + eps
    C = 2 * d * R**2 / sqrt(1 - b) + lr * d * R * L / (1 - b)
    terms = defossez_bound(Adam(lr, 0.0, b, eps), T, size=d, largest=G, smoothness=L, gap=gap)
    assert [term.name for term in terms] == ["start", "memory", "floor"]
    assert [term.value for term in terms] == pytest.approx(
        [2 * R * gap / (lr * T), C / T * log(1 + R**2 / ((1 - b) * eps**2)), -C * log(b)], rel=1e-12
    )
    assert all("Defossez" in term.source and term.latex for term in terms)


def test_the_promise_of_adagrad_is_the_formula() -> None:
    lr, eps, T, d, G, L, gap = 0.3, 0.01, 50, 4, 2.0, 1.5, 0.8
    R = G + eps
    terms = defossez_bound(Adagrad(lr, eps), T, size=d, largest=G, smoothness=L, gap=gap)
    C = 2 * d * R**2 + lr * d * R * L
    assert [term.value for term in terms] == pytest.approx(
        [2 * R * gap / (lr * sqrt(T)), C * log(1 + T * R**2 / eps**2) / sqrt(T), 0.0], rel=1e-12
    )


@pytest.mark.parametrize("method", [RMSProp(0.1), Nadam(0.1)])
def test_other_methods_are_refused(method) -> None:
    with pytest.raises(TypeError, match=r"expected Adam\(beta1=0\) or Adagrad, got"):
        defossez_bound(method, 5, size=1, largest=1.0, smoothness=1.0, gap=1.0)


# ---- the certificate -----------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_certificate_holds_on_all_outcomes(method) -> None:
    runs = outcomes(method, bowl(), 5)
    certificate = defossez_certificate(runs)
    x = runs.problem.start
    given = dict(size=2, largest=runs.largest, smoothness=3.0)
    gap = float(np.sum(runs.problem.h * x * x) / 2 + 0.25)
    assert certificate.holds and not certificate.void
    assert certificate.terms == defossez_bound(method, 5, **given, gap=gap)
    assert certificate.measured == pytest.approx(runs.mean_squares().mean(), rel=1e-14)
    sizes = certificate.measured + certificate.bound
    assert certificate.error == pytest.approx(32 * np.finfo(float).eps * sizes, rel=1e-9, abs=0)
    assert [premise.name for premise in certificate.premises] == ["beta1 = 0", "lr is constant"]


def test_momentum_or_a_schedule_makes_it_void() -> None:
    heavy = defossez_certificate(outcomes(Adam(0.2, 0.5, 0.8, 0.05), bowl(), 3))
    falling = defossez_certificate(outcomes(Adagrad(lambda t: 0.2 / t, 0.05), bowl(), 3))
    late = defossez_certificate(outcomes(Adagrad(lambda t: 0.3 if t > 2 else 0.2, 0.05), bowl(), 3))
    assert [heavy.broken[0].name, falling.broken[0].name] == ["beta1 = 0", "lr is constant"]
    assert heavy.void and falling.void and late.void
    assert late.broken[0].value == pytest.approx(0.1)


def test_all_rates_that_are_used_count_and_no_other() -> None:
    first = Adagrad(lambda t: 0.3 if t < 2 else 0.2, 0.05)
    beyond = Adagrad(lambda t: 0.3 if t > 3 else 0.2, 0.05)
    assert defossez_certificate(outcomes(first, bowl(), 3)).void
    assert defossez_certificate(outcomes(beyond, bowl(), 3)).holds


def test_the_promise_is_for_the_first_rate() -> None:
    given = dict(size=2, largest=1.0, smoothness=1.0, gap=1.0)
    falling, fixed = Adagrad(lambda t: 0.3 / t, 0.1), Adagrad(0.3, 0.1)
    assert defossez_bound(falling, 9, **given) == defossez_bound(fixed, 9, **given)


# ---- the proof -----------------------------------------------------------------------------


def by_hand(method, problem, steps):
    """All cases of each line, in scalar loops: name -> list of (left, right, size of its terms)."""
    adam = isinstance(method, Adam)
    b, eps = method.beta2 if adam else 1.0, method.eps
    rates = [method.hyper(t)["lr"] for t in range(1, steps + 1)]
    lr, K, L = rates[0], len(problem.noise), problem.smoothness
    rows = [(problem.start, np.zeros(2), np.zeros(2))]  # x, s, shares
    pasts, largest = [], 0.0
    for t in range(1, steps + 1):
        mass = sum(b**j for j in range(t))
        root = sqrt(mass) if adam else 1.0
        new = []
        for x, s, shares in rows:
            gs = [problem.h * x + xi for xi in problem.noise]
            largest = max(largest, *(float(np.max(np.abs(g))) for g in gs))
            after = [b * s + g * g for g in gs]
            D = [np.sqrt(each) + eps * root for each in after]
            G, square = sum(gs) / K, sum(g * g for g in gs) / K
            fixed = np.sqrt(b * s + square) + eps * root
            toward = sum(G * g / d for g, d in zip(gs, D, strict=True)) / K
            latest = sum((g / d) ** 2 for g, d in zip(gs, D, strict=True)) / K
            next_x = [x - rates[t - 1] * root * g / d for g, d in zip(gs, D, strict=True)]
            sizes = abs(G) * sum(abs(g) / d for g, d in zip(gs, D, strict=True)) / K
            pasts.append((t, mass, root, x, G, square, fixed, toward, latest, next_x, sizes))
            new += [
                (y, each, shares + g * g / (eps**2 + each))
                for y, each, g in zip(next_x, after, gs, strict=True)
            ]
        rows = new
    R = largest + eps
    share = 1 - b if adam else 1.0
    F = problem.value
    cases = {name: [] for name in LINES}
    squares = 0.0
    for t, mass, root, x, G, square, fixed, toward, latest, next_x, sizes in pasts:
        rate = rates[t - 1] * root
        for i in range(2):
            kept, lost = G[i] ** 2 / (2 * fixed[i]), sqrt(square[i]) * latest[i]
            cases["almost downhill"].append((kept - lost, toward[i], kept + lost + sizes[i]))
            cases["denominators"].append((fixed[i], R * sqrt(mass), fixed[i]))
        moved, bent = -rate * sum(toward), rate**2 * L / 2 * sum(latest)
        size = F(x) + abs(moved) + bent + 1
        cases["smoothness"].append((sum(F(y) for y in next_x) / K, F(x) + moved + bent, size))
        squares += np.sum(G**2) / K ** (t - 1)
    for _, s, shares in rows:
        for i in range(2):
            limit, fading = log(1 + s[i] / eps**2), -steps * log(b)
            cases["faded sum"].append((shares[i], limit + fading, shares[i] + limit + fading))
    reach = 1.0 if adam else sqrt(steps)
    cost = lr * R / sqrt(share) + lr**2 * L / (2 * share)
    gap = F(problem.start) - problem.least
    total = sum(np.sum(shares) for _, _, shares in rows) / len(rows)
    gained = lr / (2 * R * reach) * squares
    cases["all steps"].append((gained, gap + cost * total, gained + gap + cost * total))
    terms = defossez_bound(method, steps, size=2, largest=largest, smoothness=L, gap=gap)
    bound = sum(term.value for term in terms)
    cases["theorem"].append((squares / steps, bound, bound))
    return cases


SCHEDULED = [
    Adam(lambda t: 0.2 / (t + 1), 0.0, 0.8, 0.05),
    Adagrad(lambda t: 0.2 / (t + 1), 0.05),
]
HALF = Bowl(
    np.array([[2.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]), np.array([0.7, 0.0]), np.ones(2), 2.0, -0.25
)  # one coordinate never moves


@pytest.mark.parametrize("method", [*METHODS, *SCHEDULED])
@pytest.mark.parametrize(("problem", "steps"), [(bowl(), 4), (bowl(), 1), (HALF, 3)])
def test_each_line_is_its_tightest_case(method, problem, steps) -> None:
    runs = outcomes(method, problem, steps)
    lines, cases = defossez_proof(runs), by_hand(method, problem, steps)
    assert [line.name for line in lines] == LINES
    for line in lines:
        real = [case for case in cases[line.name] if case[2] > 0]
        left, right, size = min(real, key=lambda case: (case[1] - case[0]) / case[2])
        assert (line.left, line.right) == pytest.approx((left, right), rel=1e-11), line.name
        assert line.error == pytest.approx(2.0**-46 * size, rel=1e-10, abs=0), line.name
        assert line.verdict == "holds" and "\\" in line.latex and "Defossez" in line.source
    assert first_false(lines) is None


def test_the_tightest_case_is_judged_by_the_size_of_its_terms() -> None:
    assert _tightest("", "", 0.0, 1.0, -2.0, 1.0).error == 3 * 2.0**-46
    assert _tightest("", "", np.array([5.0, 0.0]), np.array([6.0, 5.0]), 1.0).left == 5
    assert _tightest("", "", np.zeros(2), np.array([2.0, 1.0]), 0.5).right == 1
    assert _tightest("", "", np.zeros(2), np.array([1.0, 2.0]), np.array([1.0, 9.0])).right == 2


def test_the_worst_line_is_violated_then_undecided_then_tight() -> None:
    def line(slack, error):
        return Line("", "", 0.0, slack, error)

    violated, unsure, tight, wide = line(-1.0, 0.5), line(-2.0, 4.0), line(3.0, 1.0), line(2.0, 0.1)
    empty = line(0.0, 0.0)
    assert _worst([empty, wide, tight, unsure, violated]) is violated
    assert _worst([violated, unsure]) is violated
    assert _worst([tight, wide, unsure, empty]) is unsure
    assert _worst([wide, empty, tight]) is tight
    assert _worst([line(0.5, 4.0), line(0.6, 8.0)]).error == 8.0
    assert _worst([empty, wide]) is wide


def test_a_loss_that_is_rougher_than_it_says_breaks_one_line() -> None:
    lines = defossez_proof(outcomes(Adam(1.0, 0.0, 0.8, 0.05), bowl(smoothness=0.01), 4))
    assert first_false(lines).name == "smoothness"
    assert [line.name for line in lines if line.verdict == "violated"] == ["smoothness"]


def test_momentum_breaks_the_proof_where_the_step_is_used() -> None:
    lines = defossez_proof(outcomes(Adam(1.0, 0.9, 0.8, 0.05), bowl(), 4))
    assert first_false(lines).name == "smoothness"


def test_a_wrong_least_value_breaks_the_sum() -> None:
    lines = defossez_proof(
        outcomes(Adam(0.01, 0.0, 0.999, 0.5), bowl(((0.0, 0.0),), least=50.0), 30)
    )
    assert first_false(lines).name == "all steps"


def test_at_rest_nothing_is_violated() -> None:
    still = Bowl(np.zeros((1, 2)), np.zeros(2), np.ones(2), 1.0)
    lines = defossez_proof(outcomes(METHODS[1], still, 3))
    assert first_false(lines) is None and all(line.slack >= 0 for line in lines)


# ---- coming to rest ------------------------------------------------------------------------


def test_the_critical_rate_is_the_formula() -> None:
    assert critical_rate(1.0) == pytest.approx(38e-8, rel=1e-12)
    assert critical_rate(2.0, 0.0, 0.5) == pytest.approx(0.5)
    assert critical_rate(4.0, 0.5, 0.1) == pytest.approx(0.15)
    assert critical_rate(1.0, 0.9, 0.0) == 0


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9])
def test_runs_settle_below_and_not_above(beta1: float) -> None:
    rate = critical_rate(3.0, beta1, 1e-3)
    for share in (0.98, 1.02):
        adam, x = Adam(share * rate, beta1, 0.9, 1e-3), np.array([1e-150])
        state, seen = adam.init(x), []
        for _ in range(400):
            adam.step(x, 3 * x, state)
            seen.append(abs(float(x[0])))
        assert (max(seen[-100:]) < max(seen[-200:-100])) == (share < 1)


@pytest.mark.parametrize(
    "wrong", [(0.0,), (-1.0,), (1.0, 1.0), (1.0, -0.1), (1.0, 0.9, -1e-8), (np.nan,)]
)
def test_what_has_no_critical_rate_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match="expected curvature > 0"):
        critical_rate(*wrong)
