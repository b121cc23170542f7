"""The lost games: exact averages, the drift against games that are played, proofs that name a false line."""

from dataclasses import replace
from fractions import Fraction
from math import inf, log, sqrt
from typing import Any

import numpy as np
import pytest
from cases import SEQUENCES, gradients, start

from adam_tutorial import (
    SGD,
    Adam,
    Box,
    Cycle,
    Interval,
    RMSProp,
    State,
    UncorrectedAdam,
    certified,
    cycle_drift,
    first_false,
    in_intervals,
    long_cycle_proof,
    most_fall,
    phase_map,
    play,
    play_together,
    reddi,
    reddi_proof,
    regret,
    rounding,
    settled,
    smallest_C,
    turn,
)

SIDE = Box(-1.0, 1.0)


def falling(alpha: float) -> Any:
    return lambda t: alpha / t**0.5


def setting(C: float, share: float = 0.9) -> RMSProp:
    """The method of theorem 1, alpha being a share of its limit."""
    beta2 = 1 / (1 + C**2)
    return RMSProp(falling(share * sqrt(1 - beta2)), beta2, 0.0)


# ---- The game and the method


def test_the_game() -> None:
    assert reddi(3) == Cycle((3.0, -1.0, -1.0), 1.0)
    assert reddi(2.5, 5) == Cycle((2.5, -1.0, -1.0, -1.0, -1.0), 1.0)
    assert all(isinstance(slope, float) for slope in reddi(3, 4).slopes)


def test_a_plain_loop_makes_the_same_path() -> None:
    method = UncorrectedAdam(0.01, 0.9, 0.99, 1e-6)
    for name in SEQUENCES:
        theta, gs = start(name), gradients(name)
        m, v = np.zeros(8), np.zeros(8)
        ours, state = theta.copy(), method.init(theta)
        for g in gs:
            m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
            theta = theta - 0.01 * m / (np.sqrt(v) + 1e-6)
            method.step(ours, g, state)
            np.testing.assert_allclose(ours, theta, rtol=1e-11, atol=1e-12 * np.abs(theta).max())


def test_its_defaults_are_adams_without_eps() -> None:
    method, adam = UncorrectedAdam(), Adam()
    assert (method.lr, method.beta1, method.beta2) == (adam.lr, adam.beta1, adam.beta2)
    assert method.eps == 0.0
    theta = method.update(np.zeros(1), np.ones(1), method.init(np.zeros(1)))[0]
    assert theta[0] == pytest.approx(-1e-3 * 0.1 / sqrt(0.001), rel=1e-12)


def test_without_momentum_it_is_rmsprop() -> None:
    g = gradients("random")
    one, two = UncorrectedAdam(0.01, 0.0, 0.9, 1e-6), RMSProp(0.01, 0.9, 1e-6)
    a, b = start("random"), start("random")
    states = one.init(a), two.init(b)
    for row in g:
        one.step(a, row, states[0])
        two.step(b, row, states[1])
    np.testing.assert_array_equal(a, b)


def test_with_zeros_alone_it_stands_still() -> None:
    theta = np.ones(2)
    state = UncorrectedAdam().init(theta)
    for g in ([0.0, 0.0], [0.0, 2.0]):
        theta, state = UncorrectedAdam().update(theta, np.array(g), state)
    assert theta[0] == 1.0 and theta[1] < 1.0
    tiny = UncorrectedAdam().update(
        np.zeros(1), np.array([1e-200]), UncorrectedAdam().init(np.zeros(1))
    )
    assert tiny[0][0] == pytest.approx(-1e-204, rel=1e-12, abs=0)  # g * g is 0
    np.testing.assert_array_equal(
        UncorrectedAdam(0.5).metric(State(1, {"v": np.zeros(2)}, {})), 2.0
    )


def test_its_metric() -> None:
    method = UncorrectedAdam(falling(0.3), 0.9, 0.99, 0.1)
    h = method.metric(State(4, {"m": np.ones(1), "v": np.array([4.0])}, {}))
    np.testing.assert_allclose(h, 2.1 / 0.15, rtol=1e-14)


# ---- The drift


@pytest.mark.parametrize("beta1", [Fraction(0), Fraction(9, 10)])
def test_settled_averages_come_round(beta1: Fraction) -> None:
    slopes, beta2 = [Fraction(n) for n in (5, -1, 2, -7)], Fraction(3, 4)
    found = settled(slopes, beta1, beta2)
    m, v = found[-1]
    for g, (m_next, v_next) in zip(slopes, found, strict=True):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        assert (m, v) == (m_next, v_next)
    assert len(found) == 4


def test_the_drift_is_what_a_late_cycle_moves() -> None:
    slopes, method = (4.0, -1.0, 2.0, -3.0), UncorrectedAdam(1e-3, 0.6, 0.8)
    x = play(method, Cycle(slopes, 0.0), 400).x[:, 0]
    moved = (x[400] - x[396]) / 1e-3
    assert cycle_drift(slopes, 0.6, 0.8) == pytest.approx(moved, rel=1e-9)


def test_the_drift_takes_arrays_and_intervals() -> None:
    C, beta2 = np.array([2.5, 3.0, 9.0]), np.array([0.1, 0.5, 0.9])
    found = cycle_drift((C, -1.0, -1.0), 0.0, beta2)
    alone = [cycle_drift((c, -1.0, -1.0), 0.0, b) for c, b in zip(C, beta2, strict=True)]
    np.testing.assert_allclose(found, alone, rtol=1e-14)
    enclosed = cycle_drift([Interval(3), Interval(-1), Interval(-1)], Interval(0), Interval(0.5))
    assert float(enclosed) == pytest.approx(found[1], rel=1e-14)


# ---- Many games at once


@pytest.mark.parametrize(
    "method",
    [Adam(falling(0.5)), UncorrectedAdam(falling(0.5)), SGD(0.1)],
    ids=["Adam", "UncorrectedAdam", "SGD"],
)
def test_together_is_one_by_one(method: Any) -> None:
    C, rounds = np.array([2.5, 4.0, 7.0]), 50
    x, regrets, kept = play_together(
        method, lambda t: C if t % 3 == 1 else -1.0, range(1, rounds + 1), np.ones(3), every=20
    )
    for i, c in enumerate(C):
        game = play(method, reddi(float(c)), rounds, SIDE)
        assert x[i] == pytest.approx(game.x[-1, 0], abs=1e-12)
        assert regrets[i] == pytest.approx(regret(game).value, abs=1e-11)
        assert [row[i] for row in kept] == pytest.approx([game.x[20, 0], game.x[40, 0]], abs=1e-12)


def test_together_with_settings_of_their_own() -> None:
    beta2 = np.array([0.1, 0.9])
    x, _, kept = play_together(
        RMSProp(falling(0.8), 0.5, 0.0), lambda t: 3.0 if t % 3 == 1 else -1.0,
        range(1, 31), np.ones(2), rho=beta2,
    )  # fmt: skip
    alone = [play(RMSProp(falling(0.8), b, 0.0), reddi(3), 30, SIDE).x[-1, 0] for b in beta2]
    np.testing.assert_allclose(x, alone, atol=1e-12)
    assert kept == []


def test_together_the_regret_of_rising_losses() -> None:
    """Losses whose sum falls: the best point is then +1."""
    _, regrets, _ = play_together(
        SGD(0.0), lambda t: np.array([-2.0, 3.0]), range(1, 6), np.zeros(2)
    )
    np.testing.assert_allclose(regrets, [10.0, 15.0])


def test_the_map_has_a_column_for_each_slope() -> None:
    C, beta2 = np.array([2.5, 3.0, 8.0]), np.array([0.1, 0.9])
    found = phase_map(C, beta2, range(1, 41), lr=falling(0.8))
    assert found.shape == (2, 3)
    for i, b in enumerate(beta2):
        for j, c in enumerate(C):
            game = replace(reddi(c), start=0.0)
            alone = play(RMSProp(falling(0.8), b, 0.0), game, 40, SIDE).x[-1, 0]
            assert found[i, j] == pytest.approx(alone, abs=1e-12)


def test_the_map_with_momentum_and_a_period_for_each_slope() -> None:
    C = np.array([4.0, 7.0])
    found = phase_map(C, np.array([0.9]), range(1, 31), period=C, beta1=0.8, lr=0.05)
    for j, c in enumerate(C):
        game = replace(reddi(c, int(c)), start=0.0)
        alone = play(UncorrectedAdam(0.05, 0.8, 0.9), game, 30, SIDE).x[-1, 0]
        assert found[0, j] == pytest.approx(alone, abs=1e-12)
    first = phase_map(C, np.array([0.75]), range(1, 2))
    np.testing.assert_allclose(first, -1.0)  # the rate is 1, and the first step 1 / sqrt(0.25)
    second = phase_map(C, np.array([0.75]), range(1, 3))
    np.testing.assert_allclose(second, [[-1 + 1 / sqrt(0.75 * 0.25 * c * c + 0.25) for c in C]])
    slow = phase_map(C, np.array([0.75]), range(1, 2), lr=0.25)
    np.testing.assert_allclose(slow, -0.5)  # one step of lr / sqrt(1 - beta2)


# ---- The constants of theorem 2


def test_the_constants() -> None:
    for C, beta1, beta2 in ((7, 0.5, 0.64), (40, 0.9, 0.99)):
        series = sum((beta1 / sqrt(beta2)) ** j for j in range(100_000))
        K = (1 - beta1 + beta1**C) / sqrt(1 - beta2) * series
        assert most_fall(C, beta1, beta2) == pytest.approx(K, rel=1e-9)
        J = turn(C, beta1, beta2)
        assert beta1**J * (4 * C + 2) <= 1 and beta2**J * C**2 <= 1
        assert beta1 ** (J - 1) * (4 * C + 2) > 1 or beta2 ** (J - 1) * C**2 > 1
    assert turn(50, 0.9, 0.85) == int(np.ceil(log(202) / -log(0.9)))  # here the mean is the slower
    assert turn(3, 0.0, 0.9) == int(np.ceil(2 * log(3) / -log(0.9)))
    assert turn(1, 0.0, 0.5) == 1


@pytest.mark.parametrize(
    ("beta1", "beta2"), [("0", "0.9"), ("0.9", "0.85"), ("0.9", "0.99"), ("0.5", "0.3")]
)
def test_the_turn_is_the_first_round_that_will_do(beta1: str, beta2: str) -> None:
    b1, b2 = Fraction(beta1), Fraction(beta2)
    for C in (*range(2, 60), 977):
        J = 1
        while b1**J * (4 * C + 2) > 1 or b2**J * C**2 > 1:
            J += 1
        assert turn(C, float(b1), float(b2)) == J


def test_the_smallest_cycles() -> None:
    assert [smallest_C(*b) for b in ((0.0, 0.9), (0.9, 0.99))] == [96, 1484]
    assert certified(96, 0.0, 0.9) and not certified(95, 0.0, 0.9)
    assert certified(19_875, 0.9, 0.999) and not certified(19_874, 0.9, 0.999)
    assert (smallest_C(0.9, 0.85), smallest_C(0.8, 0.66)) == (87, 91)  # here the mean is the slower
    assert certified(73, 0.0, 0.875)  # the two sides are equal, sqrt(8)
    assert smallest_C(0.0, 0.01) == next(C for C in range(2, 99) if certified(C, 0.0, 0.01)) == 4
    for beta1, beta2 in ((0.9, 0.81), (0.9, 0.5), (-0.1, 0.5), (0.5, 1.0)):
        with pytest.raises(ValueError, match="0 <= beta1 < sqrt"):
            smallest_C(beta1, beta2)


# ---- The proofs


def verdicts(lines: Any) -> dict[str, str]:
    return {line.name: line.verdict for line in lines}


FIRST = [
    "fall",
    "positive",
    "small v",
    "rise",
    "first cycle",
    "later cycles",
    "back at 1",
    "regret",
]


@pytest.mark.parametrize("C", [2.05, 3.0, 30.0])
@pytest.mark.parametrize("share", [0.2, 0.999])
def test_the_proof_of_theorem_1(C: float, share: float) -> None:
    game = play(setting(C, share), reddi(C), 302, SIDE)
    lines = reddi_proof(game)
    assert [line.name for line in lines] == FIRST and first_false(lines) is None
    assert set(verdicts(reddi_proof(in_intervals(game))).values()) - {"undecided"} == {"holds"}
    assert (game.x[::3, 0] == 1).all()
    assert lines[-1].left == pytest.approx(200 * (C - 2))
    assert lines[-1].right == pytest.approx(regret(play(game.method, reddi(C), 300, SIDE)).value)


def test_the_sides_of_theorem_1() -> None:
    """Each side again, from the play of four rounds and from six."""
    game = play(setting(3.0), reddi(3), 6, SIDE)
    alpha, beta2 = 0.9 * sqrt(0.9), 0.1
    x, y, v = game.x[:, 0], game.y[:, 0], game.slots["v"][:, 0]
    lines = {line.name: line for line in reddi_proof(game)}
    tight = {
        "fall": [(x[t - 1] - y[t - 1], alpha / sqrt((1 - beta2) * t)) for t in (1, 4)],
        "positive": [(alpha / sqrt((1 - beta2) * t), 1.0) for t in (1, 4)],
        "small v": [(v[t - 1], 2 * (1 - beta2)) for t in (2, 3, 5, 6)],
        "rise": [(alpha / sqrt(2 * (1 - beta2) * t), y[t - 1] - x[t - 1]) for t in (2, 3, 5, 6)],
        "first cycle": [(x[0] - y[0], y[1] - x[1] + y[2] - x[2])],
        "later cycles": [(alpha / sqrt(0.9 * 4), alpha * (1 / sqrt(1.8 * 5) + 1 / sqrt(1.8 * 6)))],
        "back at 1": [(1.0, 1.0)],
        "regret": [(4.0, game.losses.sum() + 2)],
    }
    for name, sides in tight.items():
        left, right = min(sides, key=lambda pair: pair[1] - pair[0])
        assert lines[name].slack == pytest.approx(right - left, abs=1e-12), name
        assert (lines[name].left, lines[name].right) in [pytest.approx(pair) for pair in sides], (
            name
        )


def test_theorem_1_for_one_cycle_only() -> None:
    lines = reddi_proof(play(setting(3.0), reddi(3), 5, SIDE))
    assert [line.name for line in lines] == [name for name in FIRST if name != "later cycles"]
    two = reddi_proof(play(setting(3.0), reddi(3), 6, SIDE))
    assert [line.name for line in two] == FIRST


@pytest.mark.parametrize(
    ("method", "C", "missing"),
    [
        (RMSProp(falling(0.9), 0.999, 0.0), 3.0, "positive"),
        (RMSProp(falling(0.01), 0.999, 0.0), 3.0, "small v"),
        (RMSProp(falling(1.2), 0.1, 0.0), 3.0, "positive"),
        (RMSProp(falling(0.4), 0.2, 0.0), 3.0, "small v"),
        (RMSProp(falling(0.4), 0.1, 0.5), 3.0, "rise"),
    ],
    ids=["long memory", "long memory, short steps", "large alpha", "another beta2", "an epsilon"],
)
def test_the_first_false_line_says_what_is_missing(method: Any, C: float, missing: str) -> None:
    line = first_false(reddi_proof(play(method, reddi(C), 300, SIDE)))
    assert line is not None and line.name == missing


SECOND = ["mean", "square", "falls", "mean turned", "square faded", "rise", "rises make up", "back at 1", "regret"]  # fmt: skip


@pytest.mark.parametrize(
    ("beta1", "beta2", "C"), [(0.0, 0.9, 96), (0.5, 0.8, 80), (0.9, 0.99, 1484)]
)
def test_the_proof_of_theorem_2(beta1: float, beta2: float, C: int) -> None:
    game = play(UncorrectedAdam(0.01, beta1, beta2), reddi(C, C), 3 * C + 1, SIDE)
    lines = long_cycle_proof(game)
    assert [line.name for line in lines] == SECOND and first_false(lines) is None
    assert (game.x[::C, 0] == 1).all() and lines[-1].left == 6.0
    assert lines[-1].right == pytest.approx(
        regret(play(game.method, reddi(C, C), 3 * C, SIDE)).value
    )


def test_the_sides_of_theorem_2() -> None:
    beta1, beta2, C = 0.5, 0.8, 40
    game = play(UncorrectedAdam(0.02, beta1, beta2), reddi(C, C), 2 * C, SIDE)
    lines = {line.name: line for line in long_cycle_proof(game)}
    J, K = turn(C, beta1, beta2), most_fall(C, beta1, beta2)
    moves = (game.y - game.x[:-1]).reshape(2, C)
    m, v = (game.slots[name].reshape(2, C) for name in "mv")
    j = np.arange(C)
    tight = {
        "mean": np.min(beta1**j * C * (beta1**C + 1 - beta1) - 1 + beta1**j - m),
        "square": np.min(v - (1 - beta2) * beta2**j * C**2),
        "falls": np.min(0.02 * K + np.minimum(moves, 0).sum(axis=1)),
        "mean turned": np.min(-0.5 - m[:, J:]),
        "square faded": np.min(2 - v[:, J:]),
        "rise": np.min(moves[:, J:] - 0.02 / sqrt(8)),
        "rises make up": (C - J) / sqrt(8) - K,
        "back at 1": 0.0,
        "regret": game.losses.sum() + 2 - 4,
    }
    for name, slack in tight.items():
        assert lines[name].slack == pytest.approx(slack, abs=1e-12), name
    assert lines["falls"].right == 0.02 * K and lines["mean turned"].right == -0.5
    owed = lines["regret"]
    assert owed.error == rounding(owed.left, owed.right) and owed.latex.startswith("2k")
    falls = replace(game.method, lr=falling(0.02))
    assert long_cycle_proof(play(falls, reddi(C, C), 2 * C, SIDE))[2].right == 0.02 * K


def test_the_mean_is_bounded_in_every_round_of_a_cycle() -> None:
    """At first m starts from 0; in the limit it starts from what the proof allows, but for the -1."""
    game = play(UncorrectedAdam(0.02, 0.9, 0.95), reddi(30, 30), 60, SIDE)
    line = long_cycle_proof(game)[0]
    assert 0 <= line.slack < 0.9**30 * (1 + 30 * 0.9**29)
    assert line.right == pytest.approx(0.9**29 * 30 * (0.9**30 + 0.1) - (1 - 0.9**29))


def test_a_cycle_that_turns_only_as_it_ends() -> None:
    assert turn(20, 0.0, 0.7355) == 20
    lines = long_cycle_proof(play(UncorrectedAdam(0.01, 0.0, 0.7355), reddi(20, 20), 40, SIDE))
    assert [line.name for line in lines] == [*SECOND[:3], *SECOND[6:]]


def test_a_short_cycle_lacks_only_that_the_rises_make_up() -> None:
    lines = long_cycle_proof(play(UncorrectedAdam(0.01, 0.0, 0.9), reddi(95, 95), 190, SIDE))
    assert [name for name, found in verdicts(lines).items() if found == "violated"] == [
        "rises make up"
    ]
    lines = long_cycle_proof(play(UncorrectedAdam(0.01, 0.0, 0.9), reddi(20, 20), 40, SIDE))
    assert [line.name for line in lines] == [*SECOND[:3], *SECOND[6:]]


def test_the_proof_of_theorem_2_in_intervals() -> None:
    game = play(UncorrectedAdam(0.01, 0.0, 0.9), reddi(96, 96), 192, SIDE)
    assert set(verdicts(long_cycle_proof(in_intervals(game))).values()) - {"undecided"} == {"holds"}


@pytest.mark.parametrize("proof", [reddi_proof, long_cycle_proof])
def test_other_games_are_refused(proof: Any) -> None:
    method: Any = setting(3.0) if proof is reddi_proof else UncorrectedAdam(0.01)
    for problem, rounds in (
        (Cycle((3.0, -1.0, -2.0)), 6),
        (reddi(3), 2),
        (Cycle((3.0, -1.0, -1.0), 0.5), 6),
    ):
        with pytest.raises(ValueError, match="whole cycle of reddi"):
            proof(play(method, problem, rounds, SIDE))
    assert proof(play(method, reddi(3), 3, SIDE))[-1].right < inf
