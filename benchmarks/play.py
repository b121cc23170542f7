"""A game of a million rounds on a line: `play`, beside loops that people write.

Adam with the step lr / sqrt(t) plays the slopes 3, -1, -1 in [-1, 1]. The loop in plain Python is
written by hand for this one game, and remembers nothing but where it is; `play` records points,
gradients, losses and averages, and takes any method. The loop of `adam.step` moves an array of one
number. It and `play` on arrays are slower, so they play fewer rounds. All must end at the same point,
to the bit, after as many rounds.

    make bench        or: python benchmarks/play.py [--rounds 5] [--record]
"""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Progress, arguments, disturbed, heading, notice, ratios, record, setting, table

from adam_tutorial import Adam, Box, Cycle, play

PLAYED, BY_HAND = "play", "a loop in plain Python"
STEPPED, ON_ARRAYS = "a loop of adam.step", "play on arrays of one number"
PAIRS = [(PLAYED, BY_HAND), (PLAYED, STEPPED), (PLAYED, ON_ARRAYS)]
SLOPES, LR, BETA1, BETA2, EPS = (3.0, -1.0, -1.0), 0.5, 0.9, 0.99, 1e-8
GAME, FEWER = 10**6, 50  # rounds, and how many times fewer the slow ones play
BOX = Box(-1.0, 1.0)


def falling(t: int) -> float:
    return LR / math.sqrt(t)


ADAM = Adam(falling, BETA1, BETA2, EPS)


def played(rounds: int) -> float:
    return float(play(ADAM, Cycle(SLOPES), rounds, BOX).x[-1, 0])


def on_arrays(rounds: int) -> float:
    start: Any = np.ones(1)
    return float(play(ADAM, Cycle(SLOPES, start), rounds, BOX).x[-1, 0])


def by_hand(rounds: int) -> float:
    x, m, v, paid = 1.0, 0.0, 0.0, 0.0
    for t in range(1, rounds + 1):
        g = SLOPES[(t - 1) % 3]
        paid += g * x
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * (g * g)
        m_hat, v_hat = m / (1 - BETA1**t), v / (1 - BETA2**t)
        x = x - LR / math.sqrt(t) * m_hat / (math.sqrt(v_hat) + EPS)
        x = min(max(x, -1.0), 1.0)
    return x


def stepped(rounds: int) -> float:
    theta = np.ones(1)
    state = ADAM.init(theta)
    for t in range(1, rounds + 1):
        ADAM.step(theta, np.array([SLOPES[(t - 1) % 3]]), state)
        np.clip(theta, -1.0, 1.0, out=theta)
    return float(theta[0])


def entered(rounds: int) -> dict[str, tuple[Callable[[int], float], int]]:
    """Each contestant, and how many rounds it plays."""
    fewer = max(1, rounds // FEWER)
    return {
        PLAYED: (played, rounds),
        BY_HAND: (by_hand, rounds),
        STEPPED: (stepped, fewer),
        ON_ARRAYS: (on_arrays, fewer),
    }


def agree(rounds: int) -> None:
    """The same last point, to the bit, after a small game; this also warms everything up."""
    ends = {name: function(rounds) for name, (function, _) in entered(rounds).items()}
    for name, end in ends.items():
        if end != ends[PLAYED]:
            raise SystemExit(f"{name} ends at {end!r}, and {PLAYED} at {ends[PLAYED]!r}.")


def timed(function: Callable[[int], float], rounds: int) -> float:
    """Seconds of one round."""
    start = time.perf_counter()
    function(rounds)
    return (time.perf_counter() - start) / rounds


def main() -> None:
    parser = arguments("Time a game on a line.", rounds=5)
    parser.add_argument("--game", type=int, default=GAME, help="rounds of the game")
    options = parser.parse_args()
    about = setting()
    print(heading(about), flush=True)
    agree(min(options.game, 1000))
    progress, contestants = Progress(options.rounds), entered(options.game)
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(options.rounds):  # interleaved, as in the other programs
        for name, (function, rounds) in contestants.items():
            found[name].append(timed(function, rounds))
        progress()
    microseconds = {name: 1e6 * statistics.median(values) for name, values in found.items()}
    seconds = {name: microseconds[name] * options.game / 1e6 for name in microseconds}
    compared = ratios(found, PAIRS)
    columns = {"us a round": microseconds, "s a game": seconds}
    print(f"\n{table(f'{options.game:,} rounds', columns)}")
    print(f"\n{table('ratio of times', {'': compared})}{notice({'play': found})}")
    if options.record:
        parts: dict[str, Any] = {
            "rounds": {name: rounds for name, (_, rounds) in contestants.items()},
            "microseconds of a round": microseconds,
            "ratios": compared,
            "disturbed": disturbed(found),
        }
        record(options.record, "play", about, parts)


if __name__ == "__main__":
    main()
