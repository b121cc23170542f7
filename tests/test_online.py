"""The game: played as the methods step, on floats as on arrays; regret beside brute force; refusals."""

import itertools
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case

from adam_tutorial import (
    EVERYWHERE,
    SGD,
    AbsoluteLosses,
    Adam,
    Ball,
    Box,
    Cycle,
    Game,
    LinearLosses,
    LogisticLosses,
    Nadam,
    NDAdam,
    Projected,
    Simplex,
    SquareLosses,
    best_point,
    gap,
    in_intervals,
    play,
    regret,
    total_gradient,
    total_loss,
)
from adam_tutorial.online import _check_numbers, float_sum, points_tried

RNG = np.random.default_rng(0)
ROWS, ANSWERS = RNG.standard_normal((40, 3)), RNG.standard_normal(40)
START = np.array([0.25, 0.25, 0.5])
PROBLEMS = [
    LinearLosses(ROWS, START),
    SquareLosses(ROWS, ANSWERS, START),
    LogisticLosses(ROWS, np.sign(ANSWERS), START),
]
DOMAINS = [Box(-0.5, 0.6), Ball(0.7), Simplex(), Box((-1.0, 0.0, 0.0), (0.3, 2.0, 0.5))]
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: type(p).__name__)
each_domain = pytest.mark.parametrize("domain", DOMAINS, ids=str)
INTERVAL = Box(-1.0, 1.0)


@dataclass(frozen=True)
class Bare:
    """A convex problem with only what a game needs: |x - 0.3| + (x - 1)**2 / 4 + t x / 100."""

    start: Any = 0.0

    def loss(self, x: Any, t: int) -> Any:
        return abs(x - 0.3) + (x - 1) ** 2 / 4 + t * x / 100

    def grad(self, x: Any, t: int) -> Any:
        return 1.0 * (x > 0.3) - 1.0 * (x < 0.3) + (x - 1) / 2 + t / 100


# --- the losses


@each_problem
def test_gradients_are_those_of_the_losses(problem: Any) -> None:
    for t in (1, 2, 40):
        for _ in range(5):
            x, v = RNG.standard_normal(3), RNG.standard_normal(3)
            slope = (problem.loss(x + 1e-5 * v, t) - problem.loss(x - 1e-5 * v, t)) / 2e-5
            assert np.sum(problem.grad(x, t) * v) == pytest.approx(slope, rel=1e-6, abs=1e-8)


@each_problem
@pytest.mark.parametrize("rounds", [1, 7, 40])
def test_totals_are_sums(problem: Any, rounds: int) -> None:
    x, ts = RNG.standard_normal(3), range(1, rounds + 1)
    expected = math.fsum(problem.loss(x, t) for t in ts)
    assert total_loss(problem, x, rounds) == pytest.approx(expected, rel=1e-12)
    expected = np.sum([problem.grad(x, t) for t in ts], axis=0)
    np.testing.assert_allclose(total_gradient(problem, x, rounds), expected, rtol=1e-10)


def test_losses_by_hand() -> None:
    a = np.array([[1.0, 2.0], [3.0, -1.0]])
    x = np.array([2.0, 0.5])
    assert LinearLosses(a, x).loss(x, 2) == 5.5
    assert SquareLosses(a, np.array([1.0, 0.5]), x).loss(x, 2) == 12.5
    assert LogisticLosses(a, np.array([1.0, -1.0]), x).loss(x, 1) == pytest.approx(
        math.log(1 + math.exp(-3)), rel=1e-15
    )
    assert [AbsoluteLosses((1.0, 4.0)).loss(3.0, t) for t in (1, 2)] == [2, 1]
    assert [AbsoluteLosses((1.0, 4.0, 3.0)).grad(3.0, t) for t in (1, 2, 3)] == [1, -1, 0]
    assert AbsoluteLosses((1.0,)).start == 0 and Cycle((1.0,)).start == 1
    assert [Cycle((3.0, -1.0, -2.0)).loss(2.0, t) for t in (1, 2, 3, 4)] == [6, -2, -4, 6]
    assert [Cycle((3.0, -1.0, -2.0)).grad(2.0, t) for t in (1, 2, 3, 4)] == [3, -1, -2, 3]
    defaults = (
        Cycle((3.0, 1.0, 2.0)),
        AbsoluteLosses((5.0, -4.0, 0.0)),
        LinearLosses(a, x),
        SquareLosses(a, x, x),
    )
    for problem in (*defaults, LogisticLosses(a, np.sign(x), x)):
        assert problem.loss(problem.start) == problem.loss(problem.start, 1)
        assert np.all(problem.grad(problem.start) == problem.grad(problem.start, 1))


def test_a_cycle_knows_its_slope_exactly() -> None:
    cycle = Cycle((0.1, -0.3, 1e-20))
    for rounds in range(1, 12):
        exact = sum((Fraction(cycle.slopes[t % 3]) for t in range(rounds)), Fraction(0))
        assert cycle.slope(rounds) == exact
        assert cycle.total(2.0, rounds) == float(exact) * 2
    assert cycle.grad(np.ones(2)).tolist() == [0.1, 0.1]


def test_large_logits_neither_overflow_nor_lose_their_slope() -> None:
    problem = LogisticLosses(np.array([[1000.0], [-1000.0]]), np.array([1.0, 1.0]), np.ones(1))
    x = np.ones(1)
    assert problem.loss(x, 1) == 0 and problem.loss(x, 2) == 1000
    assert problem.grad(x, 1).tolist() == [0] and problem.grad(x, 2).tolist() == [1000]
    assert problem.total(x, 2) == 1000 and problem.total_grad(x, 2).tolist() == [1000]


def test_the_curvature_of_squares_is_a_lower_bound() -> None:
    for seed in range(20):
        rows = np.random.default_rng(seed).standard_normal((9, 3))
        problem = SquareLosses(rows, np.zeros(9), np.zeros(3))
        for rounds in (1, 2, 3, 9):
            least = np.linalg.svd(rows[:rounds], compute_uv=False)[-1] ** 2 if rounds > 2 else 0
            assert problem.curvature(rounds) <= least + 1e-15
            assert problem.curvature(rounds) == pytest.approx(least, rel=1e-9, abs=1e-12)
    rows = np.full((2, 2), 1 / 3)
    assert SquareLosses(rows, np.zeros(2), np.zeros(2)).curvature(2) == 0
    rows = np.diag([1.0, 1e-6])
    assert SquareLosses(rows, np.zeros(2), np.zeros(2)).curvature(2) == pytest.approx(
        8e-13, rel=1e-3
    )


def test_totals_without_help_count_from_1() -> None:
    problem = Bare(np.zeros(2))  # type: ignore[arg-type]
    x = np.array([0.5, 0.25])
    slopes = [[1 - 0.25 + t / 100, -1 - 0.375 + t / 100] for t in (1, 2, 3)]
    assert total_gradient(problem, x, 3) == pytest.approx(np.sum(slopes, axis=0), rel=1e-14)
    expected = 3 * (0.2 + 0.25 / 4) + (1 + 2 + 3) * 0.5 / 100
    assert total_loss(Bare(), np.array([0.5]), 3) == pytest.approx(expected, rel=1e-14)
    found = total_gradient(Bare(), np.array([0.5]), 3)
    assert found.shape == (1,) and found[0] == pytest.approx(3 * 0.75 + 0.06, rel=1e-14)


def test_each_round_has_a_number_of_its_own() -> None:
    targets = (1.0, 4.0, -2.0, 2.5)
    guesses = AbsoluteLosses(targets)
    for t, b in enumerate(targets, 1):
        for x in (b - 0.25, b, b + 0.25):
            assert guesses.loss(x, t) == abs(x - b) and guesses.grad(x, t) == 4 * (x - b)
    a = np.array([[1.0, 2.0], [3.0, -1.0], [5.0, 0.5], [-4.0, 7.0]])
    b, labels, x = np.array([1.0, 0.5, -3.0, 2.0]), np.array([1.0, -1.0, -1.0, 1.0]), a[1] / 8
    for t in (1, 2, 3, 4):
        inner = float(a[t - 1, 0] * x[0] + a[t - 1, 1] * x[1])
        assert LinearLosses(a, x).loss(x, t) == inner
        assert LinearLosses(a, x).grad(x, t).tolist() == a[t - 1].tolist()
        assert SquareLosses(a, b, x).loss(x, t) == (inner - b[t - 1]) ** 2 / 2
        assert SquareLosses(a, b, x).grad(x, t).tolist() == ((inner - b[t - 1]) * a[t - 1]).tolist()
        margin, logistic = labels[t - 1] * inner, LogisticLosses(a, labels, x)
        assert logistic.loss(x, t) == pytest.approx(math.log1p(math.exp(-margin)), rel=1e-14)
        slope = -labels[t - 1] / (1 + math.exp(margin)) * a[t - 1]
        assert logistic.grad(x, t) == pytest.approx(slope, rel=1e-14)


def test_a_gradient_is_no_view_of_the_problem() -> None:
    rows = ROWS.copy()
    LinearLosses(rows, START).grad(START, 2)[...] = 9.0
    assert np.array_equal(rows, ROWS)


def test_the_rounding_of_a_curvature_is_that_of_the_largest_eigenvalue() -> None:
    problem = SquareLosses(np.diag([1.0, 1e-3, 1e-6]), np.zeros(3), np.zeros(3))
    assert problem.curvature(3) == pytest.approx(1e-12 - 3 * 1e-13, rel=1e-3, abs=0)


# --- the play


@each_domain
@each_problem
@pytest.mark.parametrize(
    "method", [SGD(0.1), Adam(0.1), Nadam(0.1)], ids=lambda m: type(m).__name__
)
def test_a_game_is_the_methods_steps_and_the_way_back(
    problem: Any, domain: Any, method: Any
) -> None:
    game = play(method, problem, 15, domain)
    theta, state = START.copy(), method.init(START)
    for t in range(1, 16):
        assert np.array_equal(game.x[t - 1], theta)
        g = problem.grad(theta, t)
        assert game.losses[t - 1] == problem.loss(theta, t) and np.array_equal(game.g[t - 1], g)
        theta, state = method.update(theta, g, state)
        assert np.array_equal(game.y[t - 1], theta)
        for name in method.slots:
            assert np.array_equal(game.slots[name][t - 1], state.slots[name])
        assert game.scalars[t - 1] == state.scalars
        h = method.metric(state)
        assert np.array_equal(game.metric[t - 1], np.broadcast_to(h, 3))
        theta = domain.project(theta, h)
    assert np.array_equal(game.x[15], theta) and game.x.shape == (16, 3) and game.rounds == 15
    assert game.method is method and game.problem is problem and game.domain is domain


@pytest.mark.parametrize("domain", [EVERYWHERE, Box(-0.5, 0.75)], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_floats_play_as_arrays_to_the_bit(case: Case, domain: Box) -> None:
    method = case.make(lr=0.05) if case.name != "Adadelta" else case.make()
    slopes = (3.0, -1.0, 0.0, -1.5, 1e-9)
    on_floats = play(method, Cycle(slopes, 0.5), 60, domain)
    on_arrays = play(method, Lines(slopes, np.array([0.5])), 60, domain)
    for name in ("x", "y", "g", "losses"):
        one, other = getattr(on_floats, name), getattr(on_arrays, name)
        assert one.shape == other.shape and one.tobytes() == other.tobytes()
    assert on_floats.slots.keys() == on_arrays.slots.keys()
    for name, values in on_floats.slots.items():
        assert values.shape == (60, 1) and values.tobytes() == on_arrays.slots[name].tobytes()
    assert on_floats.scalars == on_arrays.scalars
    assert on_floats.metric.tobytes() == on_arrays.metric.tobytes()


class Lines(Cycle):
    """The same losses from an array of one coordinate."""


@pytest.mark.parametrize(
    ("method", "domain", "floats"),
    [
        (Adam(), Box(-1, 1), True),
        (SGD(lambda t: 1 / t), EVERYWHERE, True),
        (Nadam(), Box(-1, 1), False),  # it prepares numbers
        (Adam(), Ball(1.0), False),
        (NDAdam({}), Box(-1, 1), False),  # no program
    ],
)
def test_who_plays_in_floats(method: Any, domain: Any, floats: bool, monkeypatch: Any) -> None:
    import adam_tutorial.online as online

    seen = []
    monkeypatch.setattr(online, "_on_floats", lambda *a: seen.append(True))
    monkeypatch.setattr(online, "_on_arrays", lambda *a: seen.append(False))
    play(method, Cycle((1.0,)), 2, domain)
    play(method, Cycle((1.0,), np.ones(1)), 2, domain)  # type: ignore[arg-type]
    assert seen == [floats, False]


def test_a_start_may_be_a_numpy_float_and_is_left_alone() -> None:
    game = play(Adam(), Cycle((1.0,), np.float64(0.5)), 3)  # type: ignore[arg-type]
    assert game.x.dtype == float and game.x[0, 0] == 0.5
    start = np.ones(3)
    play(Adam(0.5), LinearLosses(ROWS, start), 5)
    assert start.tolist() == [1, 1, 1]


def test_problems_see_what_they_start_with() -> None:
    seen = []

    class Spy(Cycle):
        def loss(self, x: Any, t: int = 1) -> Any:
            seen.append(type(x))
            return super().loss(x, t)

    for method in (SGD(1.0), Nadam()):
        play(method, Spy((1.0,)), 1, INTERVAL)
    play(SGD(1.0), Spy((1.0,), np.ones(1)), 1, INTERVAL)  # type: ignore[arg-type]
    assert seen == [float, float, np.ndarray]


def test_a_problem_may_keep_or_spoil_the_point_that_it_gets() -> None:
    class Spoils(LinearLosses):
        def loss(self, x: Any, t: int = 1) -> Any:
            value = super().loss(x, t)
            x[...] = 0.0
            return value

    game = play(SGD(0.1), Spoils(ROWS, START), 5)
    assert np.array_equal(game.x, play(SGD(0.1), LinearLosses(ROWS, START), 5).x)


def test_a_million_rounds_need_no_room_for_objects() -> None:
    game = play(Adam(0.1, 0.0, 0.1, 0.0), Cycle((3.0, -1.0, -1.0)), 20_000, INTERVAL)
    assert all(a.flags.c_contiguous for a in (game.losses, game.slots["m"], game.slots["v"]))
    assert game.x.shape == (20_001, 1) and len(game.scalars) == 20_000


def test_rates_are_those_of_each_round() -> None:
    game = play(Adam(lambda t: 1 / t, beta1=0.5), Cycle((1.0,)), 4)
    assert game.rates().tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert game.rates("beta1").tolist() == [0.5] * 4


def test_a_projected_method_plays_the_same_game() -> None:
    for domain in DOMAINS:
        one = play(Adam(0.3), PROBLEMS[0], 20, domain)
        other = play(Projected(Adam(0.3), domain), PROBLEMS[0], 20)
        assert np.array_equal(one.x, other.x)


def test_slots_of_one_number_fill_a_row() -> None:
    start = np.array([0.6, 0.8])
    problem = LinearLosses(ROWS[:, :2], start)
    game = play(NDAdam({lambda path, leaf: True: 0}, lr=0.1), problem, 4)
    assert game.slots["v"].shape == (4, 2) and np.all(np.ptp(game.slots["v"], axis=1) == 0)


# --- regret


def games(problem: Any, count: int = 4) -> Any:
    for domain in DOMAINS:
        start = domain.project(START)
        yield play(Adam(0.2), replace(problem, start=start), 8 * count, domain)


@each_problem
def test_no_point_beats_the_best_by_more_than_the_error(problem: Any) -> None:
    for game in games(problem):
        found = regret(game)
        assert 0 <= found.error < 1e-11
        assert game.domain.why_not(found.against) == ""
        ours = math.fsum(game.losses)
        assert found.value == ours - total_loss(game.problem, found.against, game.rounds)
        rng = np.random.default_rng(1)
        for _ in range(300):
            u = game.domain.project(rng.standard_normal(3))
            near = game.domain.project(found.against + 1e-4 * rng.standard_normal(3))
            for point in (u, near, game.domain.corner(u)):
                value = ours - total_loss(game.problem, point, game.rounds)
                assert value <= found.value + found.error


def test_the_regret_of_lines_and_distances_is_exact_beside_brute_force() -> None:
    grid = [Fraction(k, 8) for k in range(-8, 9)]
    for slopes in itertools.product((-2.0, -1.0, 0.5, 3.0), repeat=3):
        game = play(SGD(0.25), Cycle(slopes, 0.5), 7, INTERVAL)
        exact = [sum(Fraction(slopes[t % 3]) * u for t in range(7)) for u in grid]
        ours = sum(map(Fraction, game.losses.tolist()))
        assert regret(game).value == float(ours - min(exact))
    for targets in itertools.product((-1.5, -0.25, 0.5, 0.75), repeat=4):
        game = play(SGD(0.25), AbsoluteLosses(targets), 4, INTERVAL)
        exact = [sum(abs(u - Fraction(b)) for b in targets) for u in grid]
        ours = sum(map(Fraction, game.losses.tolist()))
        assert regret(game).value == float(ours - min(exact))
        assert regret(game).error < 1e-13


def test_the_best_points_of_linear_losses_are_corners() -> None:
    for domain in DOMAINS:
        point, missed = best_point(PROBLEMS[0], 11, domain, START)
        c = np.sum(ROWS[:11], axis=0)
        np.testing.assert_allclose(point, domain.corner(c), rtol=0, atol=1e-14)
        assert missed == 0
    tiny = LinearLosses(np.array([[1e16], [1.0], [-1e16]]), np.zeros(1))
    assert best_point(tiny, 3, INTERVAL, tiny.start)[0].tolist() == [-1]
    assert best_point(tiny, 2, INTERVAL, tiny.start)[0].tolist() == [-1]


def test_the_median_is_brought_into_the_domain() -> None:
    problem = AbsoluteLosses((5.0, 1.0, 9.0, 7.0))
    for rounds, domain, best in (
        (1, EVERYWHERE, 5), (2, EVERYWHERE, 3), (3, EVERYWHERE, 5), (4, EVERYWHERE, 6),
        (3, Box(-1, 1), 1), (3, Ball(1.0, 9.0), 8), (3, Simplex(2.0), 2),
    ):  # fmt: skip
        assert best_point(problem, rounds, domain, np.zeros(1))[0].tolist() == [best]


def test_regret_against_a_point() -> None:
    game = play(SGD(0.25), Cycle((3.0, -1.0, -1.0), 0.5), 6, INTERVAL)
    total = math.fsum(game.losses)
    assert regret(game, 0.25).value == total - 2 * 0.25 and regret(game, 0).value == total
    assert regret(game).against.tolist() == [-1] and regret(game).value == total + 2
    assert regret(game, [0.25]).against.tolist() == [0.25]
    game = play(SGD(0.25), PROBLEMS[1], 6, DOMAINS[0])
    for u in (0.1, [0.1, 0.1, 0.1]):
        point = np.full(3, 0.1)
        expected = math.fsum(game.losses) - total_loss(PROBLEMS[1], point, 6)
        assert regret(game, u).value == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("rounds", "tried", "slope"), [(3, 3, 5), (250, 100, 100)])
def test_a_total_that_is_not_the_sum_of_the_losses_is_refused(rounds: int, tried: int, slope: int):
    class Wrong(Cycle):
        def total(self, x: Any, rounds: int) -> Any:
            return super().total(x, rounds) + 1e-8 * rounds

    right, wrong = (play(SGD(0.25), make((3.0, -1.0)), rounds, INTERVAL) for make in (Cycle, Wrong))
    assert regret(right).error < 1e-9
    for against, at in ((None, -1.0), (0.5, 0.5)):
        with pytest.raises(ValueError) as refused:
            regret(wrong, against)
        said = (
            f"problem.total: the losses of rounds 1 to {tried} at {at} add up to {at * slope:.9g}"
        )
        assert str(refused.value).startswith(said)


def test_a_total_is_refused_on_either_side_and_taken_for_negative_losses() -> None:
    class Constant(Cycle):
        def loss(self, x: Any, t: int = 1) -> Any:
            return -1e8 + 0 * x

        def total(self, x: Any, rounds: int) -> Any:
            return rounds * -1e8 * (1 + self.start * 1e-8)

    def played(start: float) -> Game:
        return play(SGD(0.1), Constant((0.0,), start), 4, INTERVAL)

    assert regret(played(0.0)).value == 0
    for start in (0.5, -0.5):
        with pytest.raises(ValueError, match="problem.total"):
            regret(played(start))


@pytest.mark.parametrize("against", [[0.1, 0.2], [[0.1, 0.2, 0.3]], [[0.1]], [0.1] * 4])
def test_a_point_of_another_size_is_refused(against: Any) -> None:
    game = play(SGD(0.25), PROBLEMS[0], 6, DOMAINS[0])
    with pytest.raises(ValueError, match="against: expected one number or a vector of 3, got"):
        regret(game, against)


def test_a_formula_may_round_otherwise_than_the_losses() -> None:
    """Residuals that are rounding alone: the two sums share no digit, and nothing is wrong."""
    rows = np.random.default_rng(0).standard_normal((20, 3))
    best = np.array([0.1, 0.2, 0.3])
    problem = SquareLosses(rows, rows @ best, best)
    game = play(SGD(0.1), problem, 20, Box(-1.0, 1.0))
    assert regret(game).error < 1e-12 and abs(regret(game, best).value) < 1e-20


def test_the_points_that_are_tried() -> None:
    x = np.array([[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]])
    found = {tuple(u.tolist()) for u in points_tried(x, Box((-1.0, -np.inf), 2.0))}
    own, ends = (
        {(0.0, 0.5), (1.0, 0.5), (0.5, 0.5)},
        {(-1.0, 0.0), (2.0, 0.0), (0.0, -0.5), (0.0, 2.0)},
    )
    half = {((0.5 + a) / 2, (0.5 + b) / 2) for a, b in ends}
    assert found == own | ends | half
    ball = points_tried(x[:, :1], Ball(0.75))
    assert [u.tolist() for u in ball] == [[0.0], [0.5], [-0.75], [0.75], [-0.125], [0.625]]
    far = points_tried(np.zeros((2, 9)), EVERYWHERE)
    assert len(far) == 3 + 20 and {float(abs(u).sum()) for u in far} == {0.0, 0.5, 1.0}
    assert all(not np.any(u[5:]) for u in far)


def test_slopes_that_cancel_are_summed_exactly() -> None:
    rows = np.array([[1e16, 0.0], [-1.0, 0.0], [-1e16, 0.0]])
    problem = _WithoutTotal(LinearLosses(rows, np.zeros(2)))
    assert total_gradient(problem, np.zeros(2), 3).tolist() == [-1.0, 0.0]
    assert regret(play(SGD(1e-30), problem, 3, Box(-1e3, 1e3))).against[0] == 1e3


def test_what_is_no_real_number_is_refused() -> None:
    class Odd(Cycle):
        def grad(self, x: Any, t: int = 1) -> Any:
            return self.odd if t == 2 else 1.0  # type: ignore[attr-defined]

    for start in (0.5, np.array([0.5])):
        for method in (SGD(0.1), Nadam(0.1)):
            for value in (1j, "0.5", np.array([1j]), [None, {}], object()):
                problem = type("Odder", (Odd,), {"odd": value})((1.0,), start)
                with pytest.raises((TypeError, ValueError), match="round 2: expected"):
                    play(method, problem, 3)
            one = type("One", (Odd,), {"odd": np.array([[2.0]])})((1.0,), start)
            assert play(method, one, 3).g[:, 0].tolist() == [1.0, 2.0, 1.0]


@pytest.mark.parametrize("start", [0.5, np.full(3, 0.5)], ids=["line", "vector"])
def test_a_loss_that_is_no_number_is_refused_in_its_round(start: Any) -> None:
    class Odd(Cycle):
        def loss(self, x: Any, t: int = 1) -> Any:
            return "1.0" if t == 2 else np.sum(x)

    with pytest.raises(TypeError, match="round 2: expected real numbers for the loss, got '1.0'"):
        play(SGD(0.1), Odd((1.0,), start), 5)


def test_lists_and_small_integers_are_rows() -> None:
    problem = SquareLosses([[3, 86], [1, 2]], [1, 2], [0, 0])  # type: ignore[arg-type]
    small = SquareLosses(
        np.array([[3, 86], [1, 2]], np.uint8), np.array([1, 2], np.int8), np.zeros(2)
    )
    for each in (problem, small):
        assert each.rows.dtype == each.targets.dtype == each.start.dtype == np.float64
        assert each.curvature(1) == 0.0 and each.loss(np.ones(2), 1) == 88.0**2 / 2
    half = np.ones((2, 2), np.float32)
    assert LinearLosses(half, half[0]).rows is half


def test_the_words_of_a_refusal_name_what_is_wrong() -> None:
    class Rounds(Cycle):
        def rounds(self) -> int:
            return 3

    with pytest.raises(TypeError, match="problem.rounds: expected how many rounds it has"):
        play(SGD(0.1), Rounds((1.0,)), 3)
    for start in (1j, "ab", 10**400, [[0.0]], []):
        with pytest.raises(ValueError, match="problem.start: expected a number or a vector, got"):
            play(SGD(0.1), Cycle((1.0,), start), 3)  # type: ignore[arg-type]
    game = play(SGD(0.1), Cycle((1.0,), 0.0), 3)
    for against in ("x", 1j, None, [None, {}]):
        with pytest.raises(ValueError, match="against: "):
            regret(game, against=[against])


def test_a_game_shows_itself_in_a_line() -> None:
    game = play(SGD(0.25), Cycle((3.0, -1.0)), 6, INTERVAL)
    assert repr(game) == f"<Game: 6 rounds of SGD on Cycle, {INTERVAL}>"
    assert repr(in_intervals(game)).startswith("<EnclosedGame: 6 rounds of SGD on Cycle")


def test_sums_beyond_the_floats_are_no_numbers() -> None:
    assert float_sum(np.array([1e308, -1e308, 0.5])) == 0.5
    for values in ([1e308] * 4, [math.inf, -math.inf], [math.nan, 1.0]):
        assert math.isnan(float_sum(np.array(values)))
    steep = LinearLosses(np.full((4, 2), 1e308), np.array([0.5, 1.0]))
    assert math.isnan(total_loss(_WithoutTotal(steep), steep.start, 4))


class _WithoutTotal:
    """The losses of a problem alone."""

    def __init__(self, problem: Any) -> None:
        self.start, self.loss, self.grad = problem.start, problem.loss, problem.grad


def test_the_error_covers_rounding() -> None:
    """Fractions say what the regret of the points played really is."""
    for scale in (1.0, 1e9):
        rows = scale * np.random.default_rng(2).standard_normal((50, 3))
        game = play(SGD(1e-3 / scale), LinearLosses(rows, START), 50, Box(-1, 1))
        found = regret(game)
        exact = Fraction(0)
        for row, x in zip(rows, game.x, strict=False):
            for c, a, u in zip(row, x, found.against, strict=True):
                exact += Fraction(c) * (Fraction(a) - Fraction(u))
        size = float(np.sum(np.abs(game.g)))
        assert 0 < abs(float(exact - Fraction(found.value))) <= found.error < 1e-13 * size


def test_the_error_counts_what_cancels() -> None:
    """Losses of 0, each the difference of two large numbers."""
    rows = np.array([[1e8, -1e8]])
    game = play(SGD(0.0), LinearLosses(rows, np.ones(2)), 1, Box(-1, 1))
    assert game.losses.tolist() == [0] and regret(game, 0).value == 0
    assert regret(game, 0).error == pytest.approx(16 * 2.0**-52 * 2e8, rel=1e-12)
    assert regret(game, 1).error == pytest.approx(16 * 2.0**-52 * 4e8, rel=1e-12)
    game = play(SGD(0.0), Cycle((2.0,), 0.25), 3, Box(-1, 1))  # |losses| 1.5, of the point 6
    assert regret(game).error == pytest.approx(16 * 2.0**-52 * (1.5 + 6 + 1.5 + 6), rel=1e-12)


@pytest.mark.parametrize("against", [None, (0.25, -0.5), (-0.75, 0.125)], ids=str)
def test_the_error_is_what_was_missed_and_sixteen_units_of_all_sizes(
    against: Any, monkeypatch: Any
) -> None:
    import adam_tutorial.online as online

    point, missed, asked = np.array([-0.5, 0.75]), 1e-13, []

    def found(*arguments: Any) -> Any:
        asked.append(arguments)
        return point, missed

    monkeypatch.setattr(online, "best_point", found)
    rows = np.array([[3.0, -5.0], [-1.0, 2.0], [0.5, -7.0], [2.0, 1.0]])
    game = play(SGD(0.125), LinearLosses(rows, np.array([0.5, -0.25])), 4, INTERVAL)
    u, lacking = (point, missed) if against is None else (np.array(against), 0.0)
    ours = math.fsum(float(row @ x) for row, x in zip(rows, game.x, strict=False))
    theirs = math.fsum(float(row @ u) for row in rows)
    sizes = [abs(float(row @ x)) for row, x in zip(rows, game.x, strict=False)] + [abs(theirs)]
    sizes += [
        abs(row[i]) * (abs(x[i]) + abs(u[i]))
        for row, x in zip(rows, game.x, strict=False)
        for i in (0, 1)
    ]
    result = regret(game, against)
    assert result.value == pytest.approx(ours - theirs, rel=1e-12, abs=0)
    expected = lacking + 16 * 2.0**-52 * math.fsum(sizes)
    assert result.error == pytest.approx(expected, rel=1e-12, abs=0)
    assert result.against.tolist() == u.tolist() and len(asked) == (against is None)
    for problem, rounds, domain, start in asked:
        assert (problem, rounds, domain) == (game.problem, 4, INTERVAL)
        assert start.tolist() == [0.5, -0.25]


# --- the search


def test_on_a_line_halving_finds_kinks_and_ends() -> None:
    for rounds, domain in ((1, INTERVAL), (50, INTERVAL), (200, INTERVAL), (9, Ball(1.0))):
        problem = Bare()
        point, missed = best_point(problem, rounds, domain, np.zeros(1))
        grid = np.linspace(-1, 1, 20_001)
        totals = sum(problem.loss(grid, t) for t in range(1, rounds + 1))
        assert total_loss(problem, point, rounds) <= totals.min() + 1e-9 and missed < 1e-12
        assert abs(point[0] - grid[totals.argmin()]) < 2e-4
    assert best_point(Bare(), 1, INTERVAL, np.zeros(1))[0][0] == pytest.approx(0.3, abs=1e-15)
    for low, high, best in ((-1, -0.5, -0.5), (0.7, 2, 0.7)):
        found = best_point(Bare(), 1, Box(low, high), np.zeros(1))
        assert found[0].tolist() == [best] and found[1] == 0


def test_a_slope_of_0_ends_the_search() -> None:
    @dataclass
    class Parabola:
        at: float
        start: float = 0.0

        def loss(self, x: Any, t: int) -> Any:
            return (x - self.at) ** 2

        def grad(self, x: Any, t: int) -> Any:
            return 2 * (x - self.at)

    for at in (0.0, 0.5, -1.0, 1.0, 0.375):
        assert best_point(Parabola(at), 3, INTERVAL, np.zeros(1)) == (np.array([at]), 0.0)


def test_what_halving_missed_is_bounded_from_both_sides() -> None:
    """A kink between two floats: its two slopes, and a last interval that is one unit wide."""

    @dataclass
    class Kink:
        steep: tuple[float, float]
        at: float
        start: float = 0.0

        def loss(self, x: Any, t: int) -> Any:
            return max(self.steep[0] * (x - self.at), self.steep[1] * (x - self.at))

        def grad(self, x: Any, t: int) -> Any:
            return self.steep[1] if x - self.at > 0 else self.steep[0]

    for at in (0.1, 0.3, 0.7, 0.9):
        for steep in ((-1.0, 3.0), (-3.0, 1.0), (-2.0, 5.0), (-5.0, 2.0), (-0.5, 0.75)):
            point, missed = best_point(Kink(steep, at), 1, INTERVAL, np.zeros(1))
            width = math.nextafter(at, 1) - at
            assert point[0] == at and missed == min(-steep[0], steep[1]) * width


@dataclass
class Bowl:
    """steep (x - at)**2 / 2 in each round, on a line; it notes where its slope is asked for."""

    at: float
    steep: float = 1.0
    start: float = 0.0

    def __post_init__(self) -> None:
        self.asked: list[float] = []

    def loss(self, x: Any, t: int) -> Any:
        return self.steep * (x - self.at) ** 2 / 2

    def grad(self, x: Any, t: int) -> Any:
        self.asked.append(float(x))
        return self.steep * (x - self.at)


@pytest.mark.parametrize("steep", [0.125, 1.0, 8.0])
@pytest.mark.parametrize("at", [-2.0, -1.0, -0.3, -0.125, 0.0, 0.125, 0.3, 1.0, 2.0])
def test_halving_asks_at_the_ends_and_then_in_the_middle(at: float, steep: float) -> None:
    problem = Bowl(at, steep)
    point, missed = best_point(problem, 1, INTERVAL, np.zeros(1))
    middles, low, high = [], -1.0, 1.0
    while -1 < at < 1 and low < (middle := (low + high) / 2) < high:
        middles.append(middle)
        if middle == at:
            break
        low, high = (middle, high) if middle < at else (low, middle)
    assert problem.asked == [-1, 1, *middles]
    assert point.tolist() == [min(max(at, -1), 1)] and 0 <= missed < 1e-31


@pytest.mark.parametrize("at", [-0.5, 0.5])
def test_only_a_slope_of_0_ends_the_search(at: float) -> None:
    assert best_point(Bowl(at), 1, INTERVAL, np.zeros(1)) == (np.array([at]), 0.0)
    assert best_point(Bowl(at, 2.0), 1, INTERVAL, np.zeros(1)) == (np.array([at]), 0.0)


@pytest.mark.parametrize(
    ("domain", "method", "options"),
    [
        (
            Box(-0.5, 0.6),
            "L-BFGS-B",
            {"ftol": 0.0, "maxiter": 10_000, "gtol": 1e-14, "maxfun": 100_000},
        ),
        (Ball(0.7), "SLSQP", {"ftol": 1e-16, "maxiter": 10_000}),
        (Simplex(), "SLSQP", {"ftol": 1e-16, "maxiter": 10_000}),
    ],
    ids=str,
)
def test_scipy_gets_the_mean_loss_and_its_slope(
    domain: Any, method: str, options: Any, monkeypatch: Any
) -> None:
    import scipy.optimize

    import adam_tutorial.online as online

    calls = []

    def minimize(value: Any, start: Any, **settings: Any) -> Any:
        calls.append((value, start, settings))
        return scipy.optimize.OptimizeResult(x=[1, 2, 3])

    monkeypatch.setattr(scipy.optimize, "minimize", minimize)
    problem = PROBLEMS[2]
    found = online._searched(problem, 7, domain, START)
    assert found.dtype == float and found.tolist() == [1, 2, 3]
    ((value, start, settings),) = calls
    assert start is START
    loss, slope = value(np.array([0.5, -1.0, 2.0]))
    x, ts = np.array([0.5, -1.0, 2.0]), range(1, 8)
    assert loss == pytest.approx(sum(problem.loss(x, t) for t in ts) / 7, rel=1e-12)
    assert slope == pytest.approx(sum(problem.grad(x, t) for t in ts) / 7, rel=1e-12)
    limits = domain.limits(3)
    assert settings.keys() == {"jac", "method", "options"} | limits.keys()
    assert settings["jac"] is True and settings["method"] == method
    assert settings["options"] == options


@dataclass
class Slopes:
    """A problem that is only the slope of its total, by the point and how often it was asked."""

    slope: Any
    start: Any = ()

    def __post_init__(self) -> None:
        self.seen: list[Any] = []

    def total_grad(self, x: Any, rounds: int) -> Any:
        self.seen.append(x.copy())
        return self.slope(x, len(self.seen) - 1)


@dataclass
class Curved(Slopes):
    """The same, with a curvature."""

    def curvature(self, rounds: int) -> float:
        return 0.25


@pytest.mark.parametrize("kind", [Slopes, Curved])
@pytest.mark.parametrize("scale", [0.01, 0.3, 0.6, 5.0])
@pytest.mark.parametrize("domain", [Box(-1.0, 0.75), Ball(1.0), EVERYWHERE], ids=str)
def test_the_steps_of_polishing_by_hand(domain: Any, scale: float, kind: Any) -> None:
    import adam_tutorial.online as online

    steep, at = scale * np.array([1.0, 3.0, 0.5]), np.array([0.25, 1.5, -0.5])
    problem = kind(lambda x, k: steep * (x - at))
    start = np.array([0.5, 0.75, -1.5])  # outside of the bounded ones
    point, missed = online._polished(problem, 9, domain, start)
    x = problem.seen
    slopes = [steep * (u - at) for u in x]
    assert len(x) > 3 and x[0] == pytest.approx(domain.project(start), rel=1e-15)
    length = 1e-6 / max(1.0, math.sqrt(float(np.sum(slopes[0] ** 2))))
    for k in range(len(x) - 1):
        np.testing.assert_allclose(
            x[k + 1], domain.project(x[k] - length * slopes[k]), rtol=1e-14, atol=1e-16
        )
        moved, turned = x[k + 1] - x[k], slopes[k + 1] - slopes[k]
        bend = float(np.sum(moved * turned))
        assert (bend > 0) == (k + 2 < len(x))  # it goes on as long as the slope changes
        length = float(np.sum(moved**2)) / bend if bend > 0 else 0.0
    curvature = 0.25 if kind is Curved else 0.0
    gaps = [gap(domain, u, g, curvature) for u, g in zip(x, slopes, strict=True)]
    assert missed == min(gaps) and np.array_equal(point, x[gaps.index(missed)])


def test_polishing_ends_after_200_steps() -> None:
    import adam_tutorial.online as online

    problem = Slopes(lambda x, k: np.array([0.5**k]))  # so each step has the same length
    point, missed = online._polished(problem, 1, EVERYWHERE, np.ones(1))
    steps = np.diff(np.ravel(problem.seen))
    assert len(steps) == 200 and steps == pytest.approx(-1e-6, rel=1e-8)
    assert missed == math.inf and point.tolist() == [1]  # none was better: the first stays


@pytest.mark.parametrize("domain", [EVERYWHERE, *DOMAINS], ids=str)
def test_least_squares_are_found_on_any_domain(domain: Any) -> None:
    problem = PROBLEMS[1]
    point, missed = best_point(problem, 40, domain, domain.project(START))
    assert missed < 1e-20
    if domain is EVERYWHERE:
        expected = np.linalg.lstsq(ROWS, ANSWERS, rcond=None)[0]
        np.testing.assert_allclose(point, expected, rtol=0, atol=1e-12)


@each_domain
def test_the_gap_bounds_what_a_convex_function_can_fall(domain: Any) -> None:
    rng = np.random.default_rng(3)
    for problem in PROBLEMS[1:]:
        best, _ = best_point(problem, 40, domain, domain.project(START))
        least = total_loss(problem, best, 40)
        for _ in range(40):
            x = domain.project(rng.standard_normal(3))
            slope, above = total_gradient(problem, x, 40), total_loss(problem, x, 40) - least
            wide = gap(domain, x, slope)
            assert above <= wide * (1 + 1e-12) + 1e-12
            if problem is PROBLEMS[1]:
                m = problem.curvature(40)
                assert above - 1e-12 <= gap(domain, x, slope, m) <= wide * (1 + 1e-12)
                assert gap(domain, x, slope, 1e-9 * m) == pytest.approx(wide, rel=1e-6)


def test_gaps_by_hand() -> None:
    x, slope = np.array([0.5, 0.0]), np.array([2.0, -1.0])
    assert gap(INTERVAL, x, slope) == 2 * 1.5 + 1
    assert gap(INTERVAL, x, slope, 4.0) == pytest.approx(5 / 8, rel=1e-15)  # |slope|**2 / (2 m)
    assert gap(INTERVAL, x, slope, 1.0) == 2 * 1.5 + 1 - (1.5**2 + 1) / 2  # at the corner
    assert gap(EVERYWHERE, x, np.zeros(2)) == 0 and gap(EVERYWHERE, x, slope) == math.inf
    assert gap(Box(-1, math.inf), x, np.array([2.0, 0.0])) == 3
    assert gap(Ball(1.0), x, np.array([0.0, 0.0]), 1.0) == 0
    assert gap(INTERVAL, np.array([-2.0]), np.array([1.0])) == 0  # never below 0
    for scale in (0.25, 1.0, -0.25, -1.0):
        fall = scale * (0.5 + math.copysign(1.0, scale))
        assert gap(INTERVAL, np.array([0.5]), np.array([scale])) == fall
        for m in (0.25, 0.5):  # to the corner, 1.5 or 0.5 away, or a shorter way
            way = min(abs(scale) / m, 0.5 + (scale > 0))
            expected = abs(scale) * way - m / 2 * way**2
            assert gap(INTERVAL, np.array([0.5]), np.array([scale]), m) == expected


@each_domain
@each_problem
def test_polishing_leaves_a_gap_of_rounding_alone(problem: Any, domain: Any) -> None:
    for rounds in (3, 40):
        assert best_point(problem, rounds, domain, domain.project(START))[1] < 1e-12


def test_polishing_never_gives_a_larger_gap(monkeypatch: Any) -> None:
    import adam_tutorial.online as online

    for domain in DOMAINS:
        x = domain.project(np.array([0.3, -0.1, 0.2]))
        before = gap(domain, x, total_gradient(PROBLEMS[2], x, 40))
        point, missed = online._polished(PROBLEMS[2], 40, domain, x)
        assert missed < 1e-9 * before
        assert missed == gap(domain, point, total_gradient(PROBLEMS[2], point, 40))
    flat = LinearLosses(np.ones((5, 3)), START)  # no bend: the first point stays
    point, missed = online._polished(flat, 5, DOMAINS[0], START)
    assert np.all(point <= START) and missed <= gap(DOMAINS[0], START, np.full(3, 5.0))


# --- refusals


def spoilt(**changes: Any) -> Any:
    """A problem of which one thing is wrong."""
    return type("Spoilt", (), {"start": 0.5, "loss": lambda s, x, t: x, "grad": lambda s, x, t: 1.0} | changes)()  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1.0, Cycle((1.0,)), 3), "method: expected an optimizer, such as Adam"),
        ((Adam, Cycle((1.0,)), 3), "method: expected an optimizer"),
        ((SGD(1.0), object(), 3), "object has no 'start'; a game needs it"),
        ((SGD(1.0), type("A", (), {"start": 1.0})(), 3), "A has no 'loss'"),
        ((SGD(1.0), type("A", (), {"start": 1.0, "loss": 1})(), 3), "A has no 'grad'"),
        ((SGD(1.0), Cycle((1.0,)), 3, (-1, 1)), "domain: expected a Box, Ball or Simplex"),
    ],
)
def test_what_is_no_game_is_refused(arguments: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        play(*arguments)


@pytest.mark.parametrize("rounds", [0, -1, 2.0, True, None, math.inf])
def test_rounds_are_counted_from_1(rounds: Any) -> None:
    with pytest.raises(ValueError, match="rounds: expected a whole number of at least 1, got"):
        play(SGD(1.0), Cycle((1.0,)), rounds)
    assert play(SGD(1.0), Cycle((1.0,)), np.int64(1)).rounds == 1  # type: ignore[arg-type]


def test_no_more_rounds_than_losses() -> None:
    for problem in (*PROBLEMS, AbsoluteLosses((1.0,) * 40)):
        assert play(SGD(0.01), problem, 40).rounds == problem.rounds == 40
        with pytest.raises(ValueError, match="losses for 40 of them, not for 41"):
            play(SGD(0.01), problem, 41)


@pytest.mark.parametrize(
    ("start", "domain", "words"),
    [
        (2.0, INTERVAL, r"problem.start: it lies outside Box\(low=-1.0, high=1.0\), by 1"),
        (np.array([0.8, 0.8]), Ball(1.0), "problem.start: it lies outside Ball"),
        (np.array([0.8, 0.8]), Simplex(), "problem.start: it lies outside Simplex"),
        (math.nan, EVERYWHERE, "problem.start: it should be finite"),
        (np.array([math.inf]), EVERYWHERE, "problem.start: it should be finite"),
        (np.zeros((2, 2)), EVERYWHERE, "problem.start: expected a number or a vector"),
        (np.zeros(0), EVERYWHERE, "problem.start: expected a number or a vector"),
        (np.zeros(1), Box((0.0, 0.0), 1.0), "it has 1 coordinates, which Box"),
        (0.0, Ball(2.0, (0.0, 1.0)), "it has 1 coordinates, which Ball"),
        (np.zeros(3), Box((0.0, 0.0), 1.0), "it has 3 coordinates, which Box"),
        (np.zeros(3), Ball(2.0, (0.0, 1.0)), "it has 3 coordinates, which Ball"),
    ],
)
def test_a_start_that_is_no_point_of_the_domain_is_refused(
    start: Any, domain: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        play(SGD(1.0), spoilt(start=start), 3, domain)


@pytest.mark.parametrize("start", [0.5, np.array([0.5])], ids=["float", "array"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("what", ["loss", "grad"])
def test_what_is_not_finite_stops_the_game(what: str, bad: float, start: Any) -> None:
    name = {"loss": "the loss", "grad": "the gradient"}[what]
    problem = spoilt(start=start, **{what: lambda self, x, t: bad if t == 3 else 0.5})
    with pytest.raises(ValueError, match=f"round 3: {name} is not finite, but"):
        play(SGD(1.0), problem, 5)


@dataclass(frozen=True)
class Signs(SGD):
    """Steps of one length, whatever the gradient."""

    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float) -> Any:
        return (theta - lr * np.sign(g),)


@pytest.mark.parametrize("start", [0.5, np.array([0.5])], ids=["float", "array"])
@pytest.mark.parametrize("when", [1, 2, 5])
def test_a_gradient_that_is_not_finite_stops_even_a_finite_step(when: int, start: Any) -> None:
    problem = spoilt(start=start, grad=lambda self, x, t: math.inf if t == when else 1.0)
    with pytest.raises(ValueError, match=f"round {when}: the gradient is not finite, but"):
        play(Signs(0.25), problem, 5)


def test_one_coordinate_that_is_not_finite_stops_the_game() -> None:
    problem = spoilt(
        start=np.ones(3),
        loss=lambda self, x, t: 1.0,
        grad=lambda self, x, t: np.array([0.0, math.inf, 0.0]),
    )
    with pytest.raises(ValueError, match="round 1: the gradient is not finite, but .*inf"):
        play(SGD(1.0), problem, 2)


@pytest.mark.parametrize("start", [0.5, np.array([0.5])], ids=["float", "array"])
def test_a_step_that_leads_nowhere_stops_the_game(start: Any) -> None:
    problem = spoilt(start=start, grad=lambda self, x, t: 0.0)
    with (
        pytest.raises(ValueError, match="round 1: the step leads to .*nan.*positive eps"),
        np.errstate(invalid="ignore"),
    ):
        play(Adam(eps=0.0), problem, 5, INTERVAL)
    problem = spoilt(start=start, grad=lambda self, x, t: 1e300)
    with (
        pytest.raises(ValueError, match="round 1: the step leads to .*inf.*a smaller lr"),
        np.errstate(over="ignore"),
    ):
        play(SGD(1e300), problem, 5, INTERVAL)


def test_losses_and_gradients_have_their_shapes() -> None:
    with pytest.raises(ValueError, match=r"expected one number for the loss and 3 .*\(3,\) and"):
        play(SGD(0.1), Cycle((1.0,), np.ones(3)), 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"3 for the gradient, got shapes \(\) and \(2,\)"):
        problem = spoilt(
            start=np.ones(3), loss=lambda s, x, t: 1.0, grad=lambda s, x, t: np.ones(2)
        )
        play(SGD(0.1), problem, 2)
    column = spoilt(
        start=np.ones(3), loss=lambda s, x, t: np.ones((1, 1)), grad=lambda s, x, t: np.ones((3, 1))
    )
    assert play(SGD(0.1), column, 2).losses.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Cycle(()), r"slopes: expected finite numbers, any; got \(0,\)"),
        (lambda: Cycle((1.0, math.nan)), "slopes: expected finite numbers"),
        (lambda: Cycle(3.0), "slopes: expected finite numbers"),  # type: ignore[arg-type]
        (lambda: AbsoluteLosses(()), "targets: expected finite"),
        (
            lambda: LinearLosses(np.zeros(3), np.zeros(3)),
            "rows: expected finite numbers, any x any",
        ),
        (lambda: LinearLosses(np.zeros((0, 3)), np.zeros(3)), "rows: expected"),
        (lambda: LinearLosses(np.zeros((3, 0)), np.zeros(0)), "rows: expected"),
        (lambda: LinearLosses(ROWS, np.zeros(2)), r"start: expected finite numbers, 3; got \(2,\)"),
        (lambda: LinearLosses(np.full((2, 3), math.inf), START), "rows: expected finite"),
        (lambda: SquareLosses(ROWS, ANSWERS[:9], START), "targets: expected finite numbers, 40"),
        (lambda: SquareLosses(ROWS, ROWS, START), r"targets: .* got \(40, 3\)"),
        (lambda: LogisticLosses(ROWS, ANSWERS, START), r"labels: expected \+1 and -1, got"),
        (lambda: LogisticLosses(ROWS, np.ones(2), START), "labels: expected finite numbers, 40"),
        (lambda: LogisticLosses(ROWS[:2], np.array([1.0, 0.5]), START), r"labels: expected \+1"),
        (lambda: _check_numbers("some", np.zeros(3), (0,)), r"some: .* numbers, 0; got \(3,\)"),
    ],
)
def test_problems_that_do_not_fit_together_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_a_comparator_outside_is_refused() -> None:
    game = play(SGD(0.25), Cycle((1.0,), 0.5), 6, INTERVAL)
    with pytest.raises(ValueError, match="against: it lies outside Box.*by 1"):
        regret(game, 2.0)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="against: it should be finite"):
            regret(play(SGD(0.25), Cycle((1.0,), 0.5), 6), bad)


@pytest.mark.parametrize(
    "problem", [Cycle((1.0,), 0.5), PROBLEMS[0], PROBLEMS[2]], ids=lambda p: type(p).__name__
)
def test_without_a_smallest_sum_there_is_no_regret(problem: Any) -> None:
    game = play(SGD(0.01), problem, 9)
    with pytest.raises(ValueError, match="may have no smallest sum. Choose a bounded domain, or"):
        regret(game)
    assert math.isfinite(regret(game, 0.5).value)
    assert regret(play(SGD(0.01), Cycle((1.0, -1.0), 0.5), 2)).value == pytest.approx(0.01)


def test_one_coordinate_without_end_is_enough_to_have_no_regret() -> None:
    game = play(SGD(0.01), LinearLosses(np.ones((3, 2)), np.zeros(2)), 3, Box((-1.0, -math.inf), 1))
    with pytest.raises(ValueError, match="may have no smallest sum"):
        regret(game)


def test_a_game_is_made_of_what_it_says() -> None:
    names = [f.name for f in Game.__dataclass_fields__.values()]
    assert names == ["method", "problem", "domain", "x", "y", "g", "losses", "slots", "scalars"]


# --- what a game must not be misled by


class _Upside:
    """A convex loss whose `grad` has the wrong sign."""

    start = 0.1

    def loss(self, x, t=1):
        return (x - 0.5) ** 2

    def grad(self, x, t=1):
        return -2 * (x - 0.5)


class _Squares:
    """(x - c_t)**2 / 2 in three coordinates."""

    start = np.full(3, 0.5)
    rows = np.random.default_rng(1).standard_normal((50, 3))

    def loss(self, x, t=1):
        return float(np.sum((x - self.rows[t - 1]) ** 2)) / 2

    def grad(self, x, t=1):
        return x - self.rows[t - 1]


class _OneBuffer(_Squares):
    buffer = np.zeros(3)

    def grad(self, x, t=1):
        self.buffer[:] = x - self.rows[t - 1]
        return self.buffer


class _InPlace(_Squares):
    def grad(self, x, t=1):
        x -= self.rows[t - 1]
        return x


def test_a_search_that_a_wrong_gradient_misled_has_no_error_bound():
    game = play(SGD(lr=lambda t: 0.2 / t**0.5), _Upside(), 50, Box(-1.0, 1.0))
    assert regret(game).error == math.inf
    assert regret(game, against=0.5).value > 0 and regret(game, against=0.5).error < 1e-9


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_each_of_three_points_of_a_game_can_show_that_the_search_was_misled(place):
    game = play(SGD(lr=0.0), _Upside(), 4, Box(-1.0, 1.0))  # stands still
    x = {"first": [0.5, 0, 0, 0, -0.9], "middle": [1, 0, 0.5, 0, 1], "last": [0, 0, 0, 0, 0.5]}
    moved = replace(game, x=np.array(x[place], float)[:, None])

    class Best(_Upside):
        def best(self, rounds, domain):
            return 0.51 if place == "middle" else 0.49

        def loss(self, x, t=1):
            return (x - 0.5) ** 2 if place != "middle" else abs(x - 0.5)

    assert regret(replace(moved, problem=Best())).error == math.inf


def test_gradients_in_one_buffer_and_points_worked_on_in_place():
    method, box = SGD(lr=lambda t: 0.2 / t**0.5), Box(-1.0, 1.0)
    plain, buffered = (play(method, problem, 50, box) for problem in (_Squares(), _OneBuffer()))
    assert regret(buffered).value == regret(plain).value
    spoilt = play(method, _InPlace(), 50, box)
    assert spoilt.x.tobytes() == plain.x.tobytes() and regret(spoilt).value == regret(plain).value


@pytest.mark.parametrize("start", [0, np.float32(0), np.array(0.0), np.int64(0)])
def test_any_number_is_a_start_on_a_line(start):
    losses = AbsoluteLosses((0.3, -0.2, 0.4), 0.0)
    problem = replace(losses, start=start)
    games = [play(SGD(lr=0.1), each, 3, Box(-1.0, 1.0)) for each in (losses, problem)]
    assert games[0].x.tobytes() == games[1].x.tobytes()
    assert regret(games[0]).value == regret(games[1]).value


def test_a_class_is_no_problem():
    with pytest.raises(TypeError, match="got the class _Upside; make one, with parentheses"):
        play(SGD(lr=0.1), _Upside, 3)


def test_a_point_within_the_error_does_not_spoil_the_search() -> None:
    class Offset(Cycle):
        """Losses of 1e8, and a best point that is worse than the start by less than rounding."""

        def loss(self, x: Any, t: int = 1) -> Any:
            return 1e8 + 0 * x

        def total(self, x: Any, rounds: int) -> Any:
            return rounds * 1e8 + (1e-7 if x == 0.5 else 0.0)

        def best(self, rounds: int, domain: Any) -> Any:
            return 0.5

    assert regret(play(SGD(0.1), Offset((0.0,), 0.0), 4, INTERVAL)).error < 1
    nothing = regret(play(SGD(0.1), Cycle((0.0,), 0.0), 4, INTERVAL))
    assert (nothing.value, nothing.error) == (0, 0)
