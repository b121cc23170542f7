"""Games that Adam loses: short cycles of linear losses, and what decides where it ends.

A rare large slope points to the best point, many small ones away from it. A method that divides each
slope by its recent size turns that into one slope, one vote. `cycle_drift` is the net move of a cycle once the
averages have settled; its sign decides. Reddi, Kale and Kumar's proofs run line by line, and
`play_together` plays a whole map of games at once.
"""

# Generated from chapters/counterexamples.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adam_tutorial.backends import asarray
from adam_tutorial.bounds import Line, rounding, total
from adam_tutorial.intervals import lower
from adam_tutorial.online import Cycle, Game
from adam_tutorial.optimizer import Optimizer, Schedule, State, asked
from adam_tutorial.trees import Array, Tree, map_leaves


# %% chapters/counterexamples.ipynb#counterexamples-reddi
def reddi(C: float, period: int = 3) -> Cycle:
    """f_t(x) = C x in the first of every `period` rounds, and -x in the others, from x_1 = 1.

    Where C > period - 1 the best point of [-1, 1] is -1 [Reddi, Kale & Kumar 2018, theorems 1, 2].
    """
    return Cycle((float(C),) + (-1.0,) * (period - 1), 1.0)


# %% chapters/counterexamples.ipynb#counterexamples-lines
def _line(name: str, latex: str, left: Any, right: Any) -> Line:
    """left <= right in many rounds as one line: where it has the least room."""
    left, right = (np.ravel(side) for side in np.broadcast_arrays(left, right))
    i = int(np.argmin([lower(room) for room in right - left]))
    return Line(name, latex, left[i], right[i], rounding(left[i], right[i]))


def _by_cycle(game: Game, slot: str) -> tuple[Array, Array, Array]:
    """The points x_1, x_{N+1}, ..., and for each whole cycle of N rounds the moves before clipping
    and a slot. ValueError for another game than reddi(C, N)."""
    period = len(game.problem.slopes)
    n = game.rounds // period
    if n < 1 or game.problem != reddi(game.problem.slopes[0], period):
        raise ValueError("expected at least one whole cycle of reddi(C, period), from x_1 = 1.")
    both = game.y - game.x[:-1], game.slots[slot]
    moves, held = (each[: n * period].reshape(n, period) for each in both)
    return game.x[::period].ravel(), moves, held


def _regret_of_cycles(game: Game, cycles: int) -> Any:
    """The regret of the first cycles against -1, which pays minus the sum of the slopes."""
    slopes = game.problem.slopes
    return total(game.losses[: cycles * len(slopes)]) + cycles * math.fsum(slopes)


# %% chapters/counterexamples.ipynb#counterexamples-reddi-proof
def reddi_proof(game: Game) -> list[Line]:
    """Theorem 1 line by line, for RMSProp with eps = 0 and alpha / sqrt(t) on reddi(C).

    True where beta2 = 1 / (1 + C**2) and alpha < sqrt(1 - beta2); in another game the first false
    line says what is missing there. Source: Reddi, Kale & Kumar 2018, theorem 1; k = 0 is ours.
    """
    x, moves, v = _by_cycle(game, "v")
    n, C, alpha = len(moves), game.problem.slopes[0], game.rates()[0]
    method: Any = game.method
    fresh, t = 1 - method.rho, np.arange(1, 3 * n + 1).reshape(n, 3)
    fall, rises = -moves[:, 0], moves[:, 1:]
    most, least = alpha / np.sqrt(fresh * t[:, 0]), alpha / np.sqrt(2 * fresh * t[:, 1:])
    lines = [
        _line("fall", r"x_t - y_{t+1} \le \alpha / \sqrt{(1-\beta_2)\,t}", fall, most),
        _line("positive", r"\alpha / \sqrt{(1-\beta_2)\,t} < 1", most, 1.0),
        _line("small v", r"v_{3k+2},\ v_{3k+3} \le 2(1-\beta_2)", v[:, 1:], 2 * fresh),
        _line("rise", r"\alpha / \sqrt{2(1-\beta_2)\,t} \le y_{t+1} - x_t", least, rises),
        _line("first cycle", r"\text{fall} \le \text{rises},\ k = 0", fall[0], np.sum(rises[0])),
    ]
    if n > 1:
        bound, rest = np.sum(least, axis=1), r"\text{fall} \le \text{rises},\ k \ge 1"
        lines.append(_line("later cycles", rest, most[1:], bound[1:]))
    owed = 2 * n * (C - 2)
    return [
        *lines,
        _line("back at 1", r"1 \le x_{3k+1}", 1.0, x),
        _line("regret", r"2n(C-2) \le R(3n)", owed, _regret_of_cycles(game, n)),
    ]


# %% chapters/counterexamples.ipynb#uncorrected-rule
@dataclass(frozen=True)
class UncorrectedAdam(Optimizer):
    """Adam without bias correction, as Reddi, Kale & Kumar [2018] analyse it.

    Slots m and v as in `Adam`. Theirs has no eps; the step is 0 where sqrt(v) + eps is 0 and m is.
    With the default betas the first step is 0.1 / sqrt(0.001) = 3.16 rates long.
    """

    lr: Schedule = 1e-3  # alpha
    beta1: float = 0.9  # memory of the mean, in [0, 1)
    beta2: float = 0.999  # memory of the square, in [0, 1)
    eps: float = 0.0  # outside the root
    slots = ("m", "v")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *,
        lr: float, beta1: float, beta2: float, eps: float,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        root = np.sqrt(v) + eps
        theta = theta - lr * m / np.where(root > 0, root, 1.0)  # 0 / 1 before the first gradient
        return theta, m, v

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v) + eps) / lr, so that the step is H**-1 m; 1 / lr where that is 0."""
        lr = self.hyper(state.t)["lr"]
        roots = map_leaves(lambda v: np.sqrt(v) + self.eps, state.v)
        return map_leaves(lambda root: np.where(root > 0, root, 1.0) / lr, roots)


# %% chapters/counterexamples.ipynb#counterexamples-drift
def settled(slopes: Sequence[Any], beta1: Any, beta2: Any) -> list[tuple[Any, Any]]:
    """Adam's averages (m, v) after each slope of a cycle that has come round for ever.

    Slopes and betas are numbers, fractions, intervals, or arrays with one entry for each game.
    """

    def once(m: Any, v: Any) -> Iterable[tuple[Any, Any]]:
        for g in slopes:
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * (g * g)
            yield m, v

    *_, (m, v) = once(0, 0)
    return list(once(m / (1 - beta1 ** len(slopes)), v / (1 - beta2 ** len(slopes))))


def cycle_drift(slopes: Sequence[Any], beta1: Any, beta2: Any) -> Any:
    """The net move of one cycle, in units of alpha, once the averages have settled; eps = 0.

    Positive: the steps lead to the right. For RMSProp beta1 = 0. Takes what `settled` takes.
    """
    return -sum(m / np.sqrt(v) for m, v in settled(slopes, beta1, beta2))


# %% chapters/counterexamples.ipynb#counterexamples-together
def play_together(
    method: Optimizer,
    slope: Callable[[int], Any],
    rounds: Iterable[int],
    start: Any,
    every: int = 0,
    **values: Any,
) -> tuple[Any, Any, list[Any]]:
    """Many games on [-1, 1] at once, with losses slope(t) * x: arrays with one entry for each game.

    slope   round t -> the slopes, numbers or arrays
    rounds  1, 2, ... T, such as range(1, T + 1)
    start   the first points; all is computed where this array lives
    every   keep the points after every so many rounds
    values  hyper-parameters that differ from game to game: arrays, in place of the method's own

    The last points, the regrets against the best fixed points, and the points that were kept.
    """
    x, held = start, [0 * start for _ in method.slots]
    paid, steepness, kept = 0 * start, 0 * start, []
    for t in rounds:
        g = slope(t)
        paid, steepness = paid + g * x, steepness + g
        x, *held = method.rule(x, g, *held, **asked(method.rule, {**method.hyper(t), **values}))
        x = np.minimum(np.maximum(x, -1.0), 1.0)
        if every and t % every == 0:
            kept.append(x)
    return x, paid + abs(steepness), kept  # the best fixed point pays -|steepness|


# %% chapters/counterexamples.ipynb#counterexamples-phase
def phase_map(
    C: Any,
    beta2: Any,
    rounds: Iterable[int],
    period: Any = 3,
    beta1: float = 0.0,
    lr: Schedule = 1.0,
) -> Any:
    """The last points of Adam without bias correction on reddi(C, period) from 0: a grid of games.

    C      (n,)  and `period`, a number or (n,): one game for each column
    beta2  (k,)  one for each row
    """
    steep, memory = np.meshgrid(C, beta2)
    C, beta2, start = asarray(steep), asarray(memory), asarray(np.zeros(steep.shape))
    cycle = asarray(np.broadcast_to(period, steep.shape).astype(float))
    method = UncorrectedAdam(lr, beta1)

    def slope(t: int) -> Any:
        return np.where((t - 1) % cycle == 0, C, -1.0)

    x, _, _ = play_together(method, slope, rounds, start, beta2=beta2)
    return x


# %% chapters/counterexamples.ipynb#counterexamples-chain
def most_fall(C: float, beta1: Any, beta2: Any) -> Any:
    """K: no cycle of reddi(C, C) moves Adam down by more than alpha * K; beta1**2 < beta2 < 1."""
    return ((1 - beta1) + beta1**C) / (np.sqrt(1 - beta2) * (1 - beta1 / np.sqrt(beta2)))


def turn(C: float, beta1: float, beta2: float) -> int:
    """J: from position J of a cycle on (the first is 0), each step rises by alpha / sqrt(8) or more."""
    ages = [1.0, 2 * math.log(C) / -math.log(beta2)]
    if beta1:
        ages.append(math.log(4 * C + 2) / -math.log(beta1))
    return math.ceil(max(ages))


def certified(C: int, beta1: float, beta2: float) -> bool:
    """Whether the rises of a cycle make up for its falls, by the bounds of the proof."""
    return (C - turn(C, beta1, beta2)) / math.sqrt(8) >= float(most_fall(C, beta1, beta2))


def smallest_C(beta1: float, beta2: float) -> int:
    """The smallest C for which the proof shows that Adam stays at the worst point of reddi(C, C)."""
    if not 0 <= beta1 < math.sqrt(beta2) < 1:
        raise ValueError(
            f"expected 0 <= beta1 < sqrt(beta2) < 1, got beta1 = {beta1} and beta2 = {beta2}: the falls"
            " of a cycle are a geometric series of ratio beta1 / sqrt(beta2)."
        )
    C = 2
    while not certified(C, beta1, beta2):
        C += 1
    return C


# %% chapters/counterexamples.ipynb#counterexamples-long-proof
def long_cycle_proof(game: Game) -> list[Line]:
    """Theorem 2 line by line, for UncorrectedAdam with eps = 0 and a constant rate on reddi(C, C).

    All but "rises make up" hold for every C; that one needs C to be large enough.
    """
    x, moves, m = _by_cycle(game, "m")
    v = _by_cycle(game, "v")[2]
    n, C = moves.shape
    method: Any = game.method
    alpha, beta1, beta2 = game.rates()[0], method.beta1, method.beta2
    K, J, j = most_fall(C, beta1, beta2), turn(C, beta1, beta2), np.arange(C)
    mean = beta1**j * C * (beta1**C + 1 - beta1) - (1 - beta1**j)
    square = (1 - beta2) * beta2**j * C**2
    falls = -np.sum(np.minimum(moves, 0 * moves), axis=1)
    lines = [
        _line("mean", r"m_j \le \beta_1^j C\,(\beta_1^C+1-\beta_1) - (1-\beta_1^j)", m, mean),
        _line("square", r"(1-\beta_2)\,\beta_2^j C^2 \le v_j", square, v),
        _line("falls", r"\text{all falls of a cycle} \le \alpha K", falls, alpha * K),
    ]
    if J < C:
        lines += [
            _line("mean turned", r"m_j \le -1/2,\ j \ge J", m[:, J:], -0.5),
            _line("square faded", r"v_j \le 2,\ j \ge J", v[:, J:], 2.0),
            _line(
                "rise", r"\alpha / \sqrt 8 \le y_{t+1} - x_t", alpha / math.sqrt(8), moves[:, J:]
            ),
        ]
    up = (C - J) / math.sqrt(8)
    return [
        *lines,
        _line("rises make up", r"K \le (C-J) / \sqrt 8", K, up),
        _line("back at 1", r"1 \le x_{kC+1}", 1.0, x),
        _line("regret", r"2k \le R(kC)", 2.0 * n, _regret_of_cycles(game, n)),
    ]
