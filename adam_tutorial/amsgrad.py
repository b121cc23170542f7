"""AMSGrad: Adam with a denominator that never falls, and what can be proved about it.

Adam divides by the root of an average, and an average forgets. AMSGrad divides by the root of the largest
average so far. Then the norm in which a proof measures distance only grows, its sum telescopes, and the
regret is at most a constant times the root of T. `amsgrad_bound` computes that constant for a game that
was played, and `amsgrad_proof` each line of the proof.
"""

# Generated from chapters/amsgrad.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adam_tutorial.bounds import (
    UNITS,
    Certificate,
    Line,
    Premise,
    Term,
    as_number,
    as_point,
    beyond_rounding,
    bounded,
    comes_back,
    convexity,
    domain_diameter,
    inside,
    largest,
    own_points,
    regret_of,
    rounding,
    steps_along,
    total,
)
from adam_tutorial.intervals import lower, upper
from adam_tutorial.online import Game
from adam_tutorial.optimizer import Optimizer, Schedule, State
from adam_tutorial.trees import Array, Tree, map_leaves


# %% chapters/amsgrad.ipynb#amsgrad-rule
@dataclass(frozen=True)
class AMSGrad(Optimizer):
    """AMSGrad [Reddi, Kale & Kumar 2018, Algorithm 2]: no bias correction.

    Slots m and v as in `Adam`, and v_max, the largest v so far. eps is not in the paper. With eps = 0
    the step is 0 while all gradients are 0.
    """

    lr: Schedule = 1e-3  # alpha: the theory asks for alpha / sqrt(t)
    beta1: Schedule = 0.9  # memory of the mean, in [0, 1); the theory asks that it never rises
    beta2: float = 0.999  # memory of the square, in [0, 1)
    eps: float = 1e-8  # outside the root
    slots = ("m", "v", "v_max")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, v_max: Any, *,
        lr: float, beta1: float, beta2: float, eps: float,
    ) -> tuple[Any, ...]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        v_max = np.maximum(v_max, v)
        root = np.sqrt(v_max) + eps
        theta = theta - lr * m / np.where(root > 0, root, 1.0)  # 0 / 1 before the first gradient
        return theta, m, v, v_max

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v_max) + eps) / lr, so that the step is H**-1 m."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda v_max: (np.sqrt(v_max) + self.eps) / lr, state.v_max)


# %% chapters/amsgrad.ipynb#amsgrad-torch
@dataclass(frozen=True)
class TorchAMSGrad(Optimizer):
    """What PyTorch's Adam computes with amsgrad=True: the largest v, corrected as if it were the newest.

    Fields and slots as in `AMSGrad`. Its denominator falls while v_max stands still.
    """

    lr: Schedule = 1e-3  # alpha
    beta1: float = 0.9  # memory of the mean, in [0, 1)
    beta2: float = 0.999  # memory of the square, in [0, 1)
    eps: float = 1e-8  # outside the root, after the correction
    slots = ("m", "v", "v_max")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, v_max: Any, *,
        lr: float, beta1: float, beta2: float, eps: float, t: int,
    ) -> tuple[Any, ...]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        v_max = np.maximum(v_max, v)
        m_hat = m / (1 - beta1**t)
        root = np.sqrt(v_max / (1 - beta2**t)) + eps
        theta = theta - lr * m_hat / np.where(root > 0, root, 1.0)
        return theta, m, v, v_max

    def metric(self, state: State) -> Tree:
        """H, with the correction of m in it, so that the step is H**-1 m."""
        scale = (1 - self.beta1**state.t) / self.hyper(state.t)["lr"]
        mass = 1 - self.beta2**state.t
        return map_leaves(lambda v_max: scale * (np.sqrt(v_max / mass) + self.eps), state.v_max)


# %% chapters/amsgrad.ipynb#amsgrad-optax
@dataclass(frozen=True)
class OptaxAMSGrad(TorchAMSGrad):
    """What Optax's amsgrad computes by default: the largest of the corrected v.

    Fields as in `TorchAMSGrad`; the slot v_max holds corrected values. Its denominator never falls.
    """

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, v_max: Any, *,
        lr: float, beta1: float, beta2: float, eps: float, t: int,
    ) -> tuple[Any, ...]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        v_max = np.maximum(v_max, v_hat)
        root = np.sqrt(v_max) + eps
        theta = theta - lr * m_hat / np.where(root > 0, root, 1.0)
        return theta, m, v, v_max

    def metric(self, state: State) -> Tree:
        """H, with the correction of m in it, so that the step is H**-1 m."""
        scale = (1 - self.beta1**state.t) / self.hyper(state.t)["lr"]
        return map_leaves(lambda v_max: scale * (np.sqrt(v_max) + self.eps), state.v_max)


# %% chapters/amsgrad.ipynb#amsgrad-run
def _over(a: Any, h: Any) -> Any:
    """a / h, and 0 where h is 0: a coordinate that has had no gradient yet."""
    moves = np.array(h > 0, bool)
    return np.where(moves, a, 0.0) / np.where(moves, h, 1.0)


# %% chapters/amsgrad.ipynb#amsgrad-numbers
class _Run:
    """What the proof speaks of, from a game of a method with an average m, against a fixed point u.

    off (T + 1, d) is x - u; rho (T + 1,) is beta1_t / (1 - beta1_t), and 0 at the end; before and after
    (T,) are the half squares of the distances to u in the norm of H_t; n (T,) that of m in the dual norm.
    """

    def __init__(self, game: Game, against: Any) -> None:
        if "m" not in game.slots or "beta1" not in game.method.hyper(1):
            raise TypeError(
                "expected a game of a method with a slot m and a beta1, such as AMSGrad; got one of "
                f"{type(game.method).__name__}."
            )
        self.game, self.regret = game, regret_of(game, against)
        self.u, self.m, self.h = as_point(game, self.regret.against), game.slots["m"], game.metric
        self.off = game.x - self.u
        self.lr, self.beta1 = (self.setting(name) for name in ("lr", "beta1"))
        self.rho = np.append(self.beta1 / (1 - self.beta1), 0.0)
        self.before, self.after = (
            np.sum(self.h * z * z, axis=1) / 2 for z in (self.off[:-1], self.off[1:])
        )
        self.n = np.sum(_over(self.m * self.m, self.h), axis=1)
        self.weight = (1 + self.rho[:-1] + self.rho[1:]) / 2  # of n_t in the end
        self.half = domain_diameter(game, math.inf) ** 2 * total(self.h[-1]) / 2

    def setting(self, name: str) -> Array:
        """(T,): a hyper-parameter in each round, as the game computes."""
        return np.array([as_number(self.game, value) for value in self.game.rates(name)])

    @property
    def error(self) -> float:
        """An estimate of what rounding did to the sums along the run."""
        g, x, h, grown = self.game.g, self.game.x[:-1], self.h, 1 + float(self.rho[0])
        reach = np.abs(x) + np.abs(self.u)
        return grown * rounding(g * reach, self.m * reach, h * reach * self.off[:-1], self.n)


# %% chapters/amsgrad.ipynb#amsgrad-premises
def _never_rises(name: str, values: Array, source: str = "the method") -> Premise:
    """A row of numbers, or each column of a table, does not rise, up to rounding."""
    over = beyond_rounding(values[1:] - values[:-1], values[:-1])
    return Premise(f"{name} never rises", over, 0.0, source)


def _averages(run: _Run) -> Premise:
    """m_t = beta1_t m_{t-1} + (1 - beta1_t) g_t, from m_0 = 0."""
    beta1, g = run.beta1[:, None], run.game.g
    old = np.concatenate([0 * run.m[:1], run.m[:-1]])
    off = beyond_rounding(np.abs(run.m - beta1 * old - (1 - beta1) * g), run.m, old, g)
    return Premise("m_t averages the gradients, m_0 = 0", off, 0.0, "the game")


def _premises(run: _Run) -> tuple[Premise, ...]:
    """What both theorems of this chapter ask for."""
    game, u = run.game, run.u
    return (
        convexity(game, u, *own_points(game)), inside(game), bounded(float(domain_diameter(game, math.inf))),
        _never_rises("beta1_t", run.beta1), _averages(run),
        replace(steps_along(game, run.m), name="each step is -m_t / H_t"),
        comes_back(game, u),
        replace(comes_back(game, game.x[:-1]), name="no move is longer than its step"),
        replace(_never_rises("", -run.h), name="H_t never falls"),
    )  # fmt: skip


# %% chapters/amsgrad.ipynb#amsgrad-reach
def _beta2(run: _Run) -> float:
    try:
        return float(run.game.method.hyper(1)["beta2"])
    except KeyError:
        name = type(run.game.method).__name__
        raise TypeError(f"expected a game of a method with a beta2; got one of {name}.") from None


def _reach(run: _Run) -> Any:
    """S = 1 / sqrt((1 - beta2) (1 - gamma)), gamma = beta1**2 / beta2; infinite unless gamma < 1."""
    beta1, beta2 = run.beta1[0], as_number(run.game, _beta2(run))
    room = beta2 - beta1 * beta1
    return np.sqrt(beta2 / ((1 - beta2) * room)) if room > 0 else math.inf


# %% chapters/amsgrad.ipynb#amsgrad-bound
def _length(run: _Run) -> Premise:
    """|m_t| <= (1 - beta1_t) S alpha_t H_t: what a denominator of at least the root of v gives."""
    share = ((1 - run.beta1) * run.lr)[:, None]
    limit = _reach(run) * share * run.h
    off = beyond_rounding(np.abs(run.m) - limit, run.m, limit)
    return Premise("|m_t| <= (1 - beta1_t) S alpha_t H_t", off, 0.0, "the game")


@np.errstate(all="ignore")  # H_t is infinite where lr is 0
def amsgrad_bound(game: Game, against: Any = None) -> Certificate:
    """The theorem of this chapter, for AMSGrad and for whatever else meets its premises.

    D is the widest coordinate of the domain, and S the longest |m_t| / sqrt(v_t), over 1 - beta1. TypeError
    for a method without m, beta1 and beta2.
    """
    run = _Run(game, against)
    beta1, beta2 = upper(run.beta1[0]), _beta2(run)
    steps = (1 + run.beta1[0]) / 2 * _reach(run) * total(run.lr[:, None] * np.abs(game.g))
    where = "the theorem on AMSGrad"
    terms = (
        Term("distance", (1 + run.rho[0]) * run.half, r"\frac{D^2}{2 (1 - \beta_1)} \sum_i H_{T,i}", where),
        Term("steps", steps, r"\frac{1 + \beta_1}{2} S \sum_i \sum_t \alpha_t |g_{t,i}|", where),
    )  # fmt: skip
    gamma = Premise("beta1^2 < beta2", beta1 * beta1 - beta2, -float(np.finfo(float).tiny), where)
    premises = (*_premises(run), gamma, _never_rises("alpha_t", run.lr), _length(run))
    error = run.regret.error + run.error + rounding([term.value for term in terms])
    return Certificate("AMSGrad", terms, premises, run.regret.value, error)


# %% chapters/amsgrad.ipynb#amsgrad-tightest
def _tightest(
    name: str, axes: str, latex: str, left: Array, right: Array, *sizes: Array
) -> list[Line]:
    """Of many inequalities the line with the smallest margin, which says where; none of none."""
    if left.size == 0:
        return []
    is_float = left.dtype != object
    errors = np.zeros(left.shape) + (UNITS * sum(np.abs(size) for size in sizes) if is_float else 0)
    margins = np.array(right - left, float) + errors
    k = np.unravel_index(int(np.argmin(margins)), left.shape)
    place = ", ".join(f"{axis} {i + 1}" for axis, i in zip(axes.split(), k, strict=True))
    return [Line(f"{name}, {place}", latex, left[k], right[k], float(errors[k]), "amsgrad")]


def _columns(table: Array) -> Array:
    """(d,): the sum of each column."""
    return np.array([total(column) for column in table.T])


# %% chapters/amsgrad.ipynb#amsgrad-first-lines
def _momentum_lines(run: _Run) -> list[Line]:
    """The first half of the proof, which holds for every H_t that never falls."""
    x, m, rho, n, half, error = run.game.x, run.m, run.rho, run.n, run.half, run.error
    linear, along = total(run.game.g * run.off[:-1]), np.sum(m * run.off[:-1], axis=1)
    moved = np.sum(m[:-1] * (x[:-2] - x[1:-1]), axis=1)  # <m_t, x_t - x_{t+1}>, t < T
    fallen, drop = run.before - run.after, rho[:-1] - rho[1:]
    gap = abs(linear - total((1 + drop) * along) - total(rho[1:-1] * moved))
    reach = np.abs(x[:-1]) + np.abs(run.u)
    far = np.abs(run.off[:-1]) + np.abs(run.off[1:])
    sizes = np.sum(np.abs(m) * reach + run.h * (reach + np.abs(x[1:])) * far, axis=1), n
    step_sizes = np.sum(np.abs(m[:-1]) * (np.abs(x[:-2]) + np.abs(x[1:-1])), axis=1), n[:-1]
    collected = (1 + rho[0]) * half + total(run.weight * n)
    return [
        Line("convexity", r"R(T) \le \sum_t \langle g_t, x_t - u \rangle", run.regret.value, linear, error + run.regret.error),
        Line("identity", r"\sum_t \langle g_t, x_t - u \rangle = \sum_t (1 + \rho_t - \rho_{t+1}) \langle m_t, x_t - u \rangle + \sum_{t<T} \rho_{t+1} \langle m_t, x_t - x_{t+1} \rangle", max(0.0, lower(gap) - error), 0.0),
        *_tightest("one round", "round", r"\langle m_t, x_t - u \rangle \le \tfrac12 \|x_t - u\|_t^2 - \tfrac12 \|x_{t+1} - u\|_t^2 + \tfrac12 n_t", along, fallen + n / 2, *sizes),
        Line("telescope", r"\sum_t (\tfrac12 \|x_t - u\|_t^2 - \tfrac12 \|x_{t+1} - u\|_t^2) \le \tfrac12 D^2 \operatorname{tr} H_T", total(fallen), half, error),
        Line("weights", r"\sum_t (\rho_t - \rho_{t+1}) (\tfrac12 \|x_t - u\|_t^2 - \tfrac12 \|x_{t+1} - u\|_t^2) \le \tfrac12 \rho_1 D^2 \operatorname{tr} H_T", total(drop * fallen), rho[0] * half, error),
        *_tightest("one move", "round", r"\langle m_t, x_t - x_{t+1} \rangle \le n_t", moved, n[:-1], *step_sizes),
        Line("collected", r"\sum_t \langle g_t, x_t - u \rangle \le \tfrac{1 + \rho_1}2 D^2 \operatorname{tr} H_T + \tfrac12 \sum_t (1 + \rho_t + \rho_{t+1}) n_t", linear, collected, error),
    ]  # fmt: skip


def _last_lines(run: _Run, bound: Certificate) -> list[Line]:
    linear = total(run.game.g * run.off[:-1])
    return [
        Line("bound", r"\sum_t \langle g_t, x_t - u \rangle \le \text{bound}", linear, bound.bound, bound.error),
        Line("regret", r"R(T) \le \text{bound}", bound.measured, bound.bound, bound.error),
    ]  # fmt: skip


# %% chapters/amsgrad.ipynb#amsgrad-proof
@np.errstate(all="ignore")  # H_t is infinite where lr is 0
def amsgrad_proof(game: Game, against: Any = None) -> list[Line]:
    """The proof of the theorem of this chapter on one game: its lines, in order.

    A line that is said of every round or coordinate stands for the one with the smallest margin.
    """
    run, bound = _Run(game, against), amsgrad_bound(game, against)
    reach, lr = _reach(run), run.lr[:, None]
    sizes, m_sizes = np.abs(game.g), np.abs(run.m)
    heard, told = _columns(lr * m_sizes), _columns(lr * sizes)
    limit = reach * ((1 - run.beta1) * run.lr)[:, None] * run.h
    share = (1 + run.beta1[0]) / 2 * reach * run.lr * np.sum(m_sizes, axis=1)
    norms = np.sqrt(total(run.lr * run.lr) * _columns(sizes * sizes))
    tallest = total(run.lr) * np.array([largest(column) for column in sizes.T])
    return [
        *_momentum_lines(run),
        *_tightest("length", "round coordinate", r"|m_{t,i}| \le (1 - \beta_{1t}) S \alpha_t H_{t,i}", m_sizes, limit, m_sizes, limit),
        *_tightest("price of a round", "round", r"\tfrac12 (1 + \rho_t + \rho_{t+1}) n_t \le \tfrac{1 + \beta_1}2 S \alpha_t \sum_i |m_{t,i}|", run.weight * run.n, share, share),
        *_tightest("memory", "coordinate", r"\sum_t \alpha_t |m_{t,i}| \le \sum_t \alpha_t |g_{t,i}|", heard, told, told),
        *_last_lines(run, bound),
        *_tightest("first form", "coordinate", r"\sum_t \alpha_t |g_{t,i}| \le (\sum_t \alpha_t^2)^{1/2} \|g_{1:T,i}\|", told, norms, norms),
        *_tightest("second form", "coordinate", r"\sum_t \alpha_t |g_{t,i}| \le G_i \sum_t \alpha_t", told, tallest, tallest),
    ]  # fmt: skip


# %% chapters/amsgrad.ipynb#adamx-rule
@dataclass(frozen=True)
class AdamX(AMSGrad):
    """AdamX [Tran & Phong 2019]: the old maximum grows as 1 - beta1 does.

    Fields and slots as in `AMSGrad`. With a number for beta1 it is AMSGrad; with a schedule that falls it
    divides by more, and root / (1 - beta1) never falls.
    """

    def known(self, t: int, scalars: dict[str, float]) -> dict[str, Any]:
        before = self.at("beta1", max(t - 1, 1))
        return {**super().known(t, scalars), "beta1_before": before}

    @staticmethod
    def rule(  # type: ignore[override]
        theta: Any, g: Any, m: Any, v: Any, v_max: Any, *,
        lr: float, beta1: float, beta1_before: float, beta2: float, eps: float,
    ) -> tuple[Any, ...]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        growth = (1 - beta1) / (1 - beta1_before)
        v_max = np.maximum(growth * growth * v_max, v)
        root = np.sqrt(v_max) + eps
        theta = theta - lr * m / np.where(root > 0, root, 1.0)
        return theta, m, v, v_max


# %% chapters/amsgrad.ipynb#adamnc-rule
@dataclass(frozen=True)
class AdamNC(Optimizer):
    """AdamNC with beta2_t = 1 - 1/t [Reddi, Kale & Kumar 2018]: v is the mean of all squares so far.

    Slots m and v. eps is not in the paper. With eps = 0 the step is 0 while all gradients are 0. With
    lr = alpha / sqrt(t) and beta1 = 0 it is Adagrad.
    """

    lr: Schedule = 1e-3  # alpha: the theory asks for alpha / sqrt(t)
    beta1: Schedule = 0.9  # memory of the mean, in [0, 1); the theory asks that it never rises
    eps: float = 1e-8  # outside the root
    slots = ("m", "v")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *, lr: float, beta1: float, eps: float, t: int
    ) -> tuple[Any, ...]:
        m = beta1 * m + (1 - beta1) * g
        v = (1 - 1 / t) * v + 1 / t * (g * g)
        root = np.sqrt(v) + eps
        theta = theta - lr * m / np.where(root > 0, root, 1.0)
        return theta, m, v

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v) + eps) / lr, so that the step is H**-1 m."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda v: (np.sqrt(v) + self.eps) / lr, state.v)


# %% chapters/amsgrad.ipynb#adamnc-bound
def _roots(game: Game) -> Array:
    """(T, d): the roots of g_1^2 + ... + g_t^2."""
    return np.sqrt(np.cumsum(game.g * game.g, axis=0))


@np.errstate(all="ignore")  # H_t is infinite where lr is 0
def adamnc_bound(game: Game, against: Any = None) -> Certificate:
    """The theorem on AdamNC: Adagrad's bound with the price of momentum, and without beta2.

    D is the widest coordinate of the domain, alpha the first learning rate. TypeError for a method without m
    and beta1.
    """
    run = _Run(game, against)
    roots, alpha = _roots(game), run.lr[0]
    where = "the theorem on AdamNC"
    terms = (
        Term("distance", (1 + run.rho[0]) * run.half, r"\frac{D^2}{2 (1 - \beta_1)} \sum_i H_{T,i}", where),
        Term("steps", (1 + 2 * run.rho[0]) * alpha * total(roots[-1]), r"\frac{1 + \beta_1}{1 - \beta_1} \alpha \sum_i \|g_{1:T,i}\|", where),
    )  # fmt: skip
    off = beyond_rounding(roots - alpha * run.h, roots)
    wide = Premise("alpha H_t >= sqrt(g_1^2 + ... + g_t^2)", off, 0.0, "the game")
    error = run.regret.error + run.error + rounding([term.value for term in terms])
    return Certificate("AdamNC", terms, (*_premises(run), wide), run.regret.value, error)


# %% chapters/amsgrad.ipynb#adamnc-proof
@np.errstate(all="ignore")  # H_t is infinite where lr is 0
def adamnc_proof(game: Game, against: Any = None) -> list[Line]:
    """The proof of the theorem on AdamNC on one game: its lines, in order."""
    run, bound, roots = _Run(game, against), adamnc_bound(game, against), _roots(game)
    squares, m2 = game.g * game.g, run.m * run.m
    rows, mean = [], 0 * squares[0]
    for beta1, square in zip(run.beta1, squares, strict=True):
        mean = beta1 * mean + (1 - beta1) * square
        rows.append(mean)
    means, ends = np.array(rows), 2 * roots[-1]
    heard, told = _columns(_over(means, roots)), _columns(_over(squares, roots))
    price, share = run.n, run.lr[0] * np.sum(_over(means, roots), axis=1)
    return [
        *_momentum_lines(run),
        *_tightest("mean of squares", "round coordinate", r"m_{t,i}^2 \le \sum_s w_{t,s} g_{s,i}^2", m2, means, means),
        *_tightest("price of a round", "round", r"n_t \le \alpha \sum_i \sum_s w_{t,s} g_{s,i}^2 / \|g_{1:t,i}\|", price, share, share),
        *_tightest("memory", "coordinate", r"\sum_t \sum_s w_{t,s} g_{s,i}^2 / \|g_{1:t,i}\| \le \sum_s g_{s,i}^2 / \|g_{1:s,i}\|", heard, told, told),
        *_tightest("sum of roots", "coordinate", r"\sum_s g_{s,i}^2 / \|g_{1:s,i}\| \le 2 \|g_{1:T,i}\|", told, ends, ends),
        *_last_lines(run, bound),
    ]  # fmt: skip
