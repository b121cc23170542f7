"""Bounds: what a theorem promises for a game that was played, term by term, and whether it keeps it.

A `Certificate` holds the terms of a bound, the premises of its theorem, and what was measured. A broken
premise makes it void, not false. A `Line` is one inequality of a proof, its two sides computed from the
game; a proof is a list of them, and `first_false` names the first that does not hold.
"""

# Generated from chapters/bounds.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from adam_tutorial.intervals import (
    BITS,
    EnclosedGame,
    Interval,
    enclosing,
    in_box,
    in_intervals,
    larger,
    lower,
    upper,
)
from adam_tutorial.online import (
    Game,
    Regret,
    best_point,
    fixed_point,
    float_sum,
    is_on_a_line,
    points_tried,
    regret,
)
from adam_tutorial.projections import Box
from adam_tutorial.trees import Array


# %% chapters/bounds.ipynb#bounds-certificate
@dataclass(frozen=True)
class Term:
    """One summand of a bound: its value in this game, its formula, and where it is printed."""

    name: str
    value: Any
    latex: str
    source: str


@dataclass(frozen=True)
class Premise:
    """A hypothesis of a theorem: `value`, measured in the game, must not exceed `limit`."""

    name: str
    value: float
    limit: float
    source: str

    @property
    def holds(self) -> bool:
        return bool(self.value <= self.limit)  # NaN does not

    def __str__(self) -> str:
        return f"{self.name}; {self.value:.3g} is above {self.limit:.3g}"


# %% chapters/bounds.ipynb#bounds-verdict
class _Judged:
    """What has one of the four verdicts, and so is neither true nor false."""

    @property
    def verdict(self) -> str:
        raise NotImplementedError

    @property
    def holds(self) -> bool:
        return self.verdict == "holds"

    @property
    def void(self) -> bool:
        return self.verdict == "void"

    def __bool__(self) -> bool:
        raise TypeError("a certificate is not true or false. Ask for .holds, .void or .verdict.")


# %% chapters/bounds.ipynb#bounds-theorem
@dataclass(frozen=True)
class Certificate(_Judged):
    """A theorem applied to a game: is `measured` at most the sum of `terms`, given `premises`?

    error  how far rounding may have moved the comparison; 0 for intervals, which carry their own"""

    theorem: str
    terms: tuple[Term, ...]
    premises: tuple[Premise, ...]
    measured: Any
    error: float = 0.0

    @property
    def bound(self) -> Any:
        return sum(term.value for term in self.terms)

    @property
    def slack(self) -> Any:
        return self.bound - self.measured

    @property
    def broken(self) -> tuple[Premise, ...]:
        return tuple(premise for premise in self.premises if not premise.holds)

    @property
    def verdict(self) -> str:
        """ "void" where a premise is broken, "holds", "violated", or "undecided" within the error."""
        return "void" if self.broken else compared(self.measured, self.bound, self.error)

    def __str__(self) -> str:
        return _table(self)


# %% chapters/bounds.ipynb#bounds-compared
_unheard = np.errstate(all="ignore")  # warnings of an infinite H_t, which breaks a premise anyway


@_unheard
def compared(left: Any, right: Any, error: float) -> str:
    """Whether left <= right: "holds", "violated", or "undecided" where `error` could turn it."""
    slack = right - left
    if lower(slack) >= error and error < math.inf:
        return "holds"
    return "violated" if upper(slack) < -error else "undecided"


def total(values: Any) -> Any:
    """The sum of an array: rounded once for floats, enclosed for intervals."""
    flat = np.ravel(values)
    return sum(flat) if flat.dtype == object else float_sum(flat)


# %% chapters/bounds.ipynb#bounds-rounding
UNITS = 32 * float(np.finfo(float).eps)  # what a few operations may add, relative to their operands


def rounding(*summands: Any) -> float:
    """An estimate of what rounding did to sums of these numbers, each computed in a few operations.

    32 units of the last place of the sum of their sizes; 0 for intervals, which carry their own."""
    sizes = [np.abs(np.ravel(each)) for each in summands]
    if any(each.dtype == object for each in sizes):
        return 0.0
    return UNITS * sum(float(np.sum(each)) for each in sizes)


def beyond_rounding(over: Any, *sizes: Any) -> float:
    """The largest number of `over` that is certainly above 0, or 0 if none is; NaN if one is NaN.

    sizes  the operands that each number was computed from, which say what rounding may have done
    """
    if over.dtype == object:
        certain = np.array([lower(each) for each in np.ravel(over)])
    else:
        certain = over - UNITS * sum(np.abs(size) for size in sizes)
    return float(np.max(certain, initial=0.0))


# %% chapters/bounds.ipynb#bounds-table
def _table(certificate: Certificate) -> str:
    """The verdict, and a line for each number and each broken premise."""
    rows = [("regret", certificate.measured), ("bound", certificate.bound)]
    rows += [(f"  {term.name}", term.value) for term in certificate.terms]
    lines = [f"{certificate.theorem}: {certificate.verdict}"]
    lines += [f"  {name:<28}{float(value):>12.6g}" for name, value in rows]
    return "\n".join([*lines, *(f"  broken: {premise}" for premise in certificate.broken)])


# %% chapters/bounds.ipynb#bounds-line
@dataclass(frozen=True)
class Line:
    """One line of a proof, left <= right, computed from a game."""

    name: str
    latex: str
    left: Any
    right: Any
    error: float = 0.0
    source: str = ""

    @property
    def slack(self) -> Any:
        return self.right - self.left

    @property
    def verdict(self) -> str:
        """ "holds", "violated", or "undecided" within the error."""
        return compared(self.left, self.right, self.error)

    def __str__(self) -> str:
        return f"{self.name}: {float(self.left):.6g} <= {float(self.right):.6g}, {self.verdict}"


def first_false(lines: Iterable[Line]) -> Line | None:
    """The first line of a proof that is violated."""
    return next((line for line in lines if line.verdict == "violated"), None)


# %% chapters/bounds.ipynb#bounds-numbers
def as_number(game: Game, value: float) -> Any:
    """A number as the game computes: a float, or the interval that holds it."""
    return Interval(value, bits=game.bits) if isinstance(game, EnclosedGame) else float(value)


def as_point(game: Game, point: Any) -> Array:
    """`fixed_point`, as an array (d,) of the game's numbers."""
    return np.array([as_number(game, value) for value in fixed_point(game, point)])


# %% chapters/bounds.ipynb#bounds-regret
def losses_at(game: Game, u: Array) -> Array:
    """(T,): f_t(u) for a point u of `as_point`."""
    one = u[0] if is_on_a_line(game.problem) else None
    one = float(one) if isinstance(one, np.floating) else one
    with enclosing():  # each call has a point of its own, which it may spoil
        rounds = range(1, game.rounds + 1)
        losses = [game.problem.loss(u.copy() if one is None else one, t) for t in rounds]
        return np.array(losses, u.dtype).reshape(game.rounds)


def regret_of(game: Game, against: Any = None) -> Regret:
    """`regret`, for a game in intervals too, where the value is an interval.

    The error of the best point in hindsight then holds only what the search for it may have missed.
    """
    if not isinstance(game, EnclosedGame):
        return regret(game, against)
    point, missed = _hindsight(game) if against is None else (against, 0.0)
    u = as_point(game, point)
    value = total(game.losses) - total(losses_at(game, u))
    return Regret(value, missed, np.array(u, float))


def _hindsight(game: Game) -> tuple[Array, float]:
    return best_point(game.problem, game.rounds, game.domain, np.array(game.x[0], float))


# %% chapters/bounds.ipynb#bounds-convexity
def convexity(game: Game, *points: Any) -> Premise:
    """f_t(x_t) - f_t(u) <= <g_t, x_t - u> in each round, for each point u: what convexity gives.

    The value is the largest excess of the left side, beyond rounding. Above 0, the loss is not convex,
    or the gradient is none.
    """
    excess = []
    for point in points:
        u = as_point(game, point)
        theirs = losses_at(game, u)
        linear = np.sum(game.g * (game.x[:-1] - u), axis=1)
        sizes = np.sum(np.abs(game.g) * (np.abs(game.x[:-1]) + np.abs(u)), axis=1)
        over = game.losses - theirs - linear
        excess.append(beyond_rounding(over, game.losses, theirs, sizes))
    return Premise("f_t convex, g_t its subgradient", float(np.max(excess)), 0.0, "the game")


def own_points(game: Game) -> list[Array]:
    """`points_tried` of a game, as floats.

    A wrong gradient misleads the search for the best point as well, so convexity is tried at these too.
    """
    return points_tried(np.array(game.x, float), game.domain)


def inside(game: Game) -> Premise:
    """All points played lie in the domain, up to rounding."""
    points = np.array([lower(each) for each in np.ravel(game.x)]).reshape(game.x.shape)
    tables = [points] if isinstance(game.domain, Box) else points
    outside = float(np.max([game.domain.excess(table) for table in tables]))
    return Premise("x_t in F", outside, UNITS * float(np.max(np.abs(points))), "the game")


# %% chapters/bounds.ipynb#bounds-rates
def bounded(diameter: float) -> Premise:
    """The domain has a diameter."""
    return Premise("F bounded", diameter, float(np.finfo(float).max), "the domain")


def falling_rates(game: Game) -> Premise:
    """alpha_t = alpha / sqrt(t): the largest relative difference, and a few units of the last place."""
    rates = game_rates(game)
    t = np.array([as_number(game, n) for n in range(1, game.rounds + 1)])
    off = _off(rates * np.sqrt(t) / rates[0])
    return Premise("alpha_t = alpha / sqrt(t)", off, _allowed(game, 1e-14), "the method's lr")


def constant_rate(game: Game) -> Premise:
    """alpha_t = alpha: the largest relative difference."""
    rates = game_rates(game)
    return Premise("alpha_t = alpha", _off(rates / rates[0]), 0.0, "the method's lr")


def _off(ratios: Array) -> float:
    """How far from 1 the farthest ratio is; of intervals, how far it is for sure."""
    return float(np.max([lower(each) for each in np.ravel(np.abs(ratios - 1))]))


def _allowed(game: Game, rounding: float) -> float:
    """What rounding may do, relatively: nothing in intervals, which carry it."""
    return 0.0 if isinstance(game, EnclosedGame) else rounding


# %% chapters/bounds.ipynb#bounds-rates-of
def game_rates(game: Game) -> Array:
    """(T,): the learning rate of each round; NaN, which breaks every premise, where there is none."""
    try:
        return game.rates()
    except KeyError:
        return np.full(game.rounds, np.nan)


def _first_rate(game: Game) -> Any:
    """The learning rate of round 1, as the game computes; NaN for 0, by which bounds would divide."""
    rate = game_rates(game)[0]
    return as_number(game, rate if rate else math.nan)


def has_metric(game: Game, expected: Any, formula: str) -> Premise:
    """H_t is what the theorem says: the largest difference to `expected` (T, 1) or (T, d), relative."""
    with np.errstate(all="ignore"):
        off = _off(game.metric / expected)
    return Premise(f"H_t = {formula}", off, _allowed(game, 1e-12), "the method")


# %% chapters/bounds.ipynb#bounds-steps
def steps_along(game: Game, direction: Array) -> Premise:
    """y_t = x_t - H_t**-1 (direction): the largest |direction - H_t (x_t - y_t)| beyond rounding."""
    h, x, y = game.metric, game.x[:-1], game.y
    over = np.abs(direction - h * (x - y))
    off = beyond_rounding(over, direction, h * x, h * y)
    return Premise("each step is -g_t / H_t", off, 0.0, "the game")


def comes_back(game: Game, u: Array) -> Premise:
    """The way back to the domain leads no farther from u, in the norm of H_t: what projections do."""
    h, x, y = game.metric, game.x[1:], game.y
    after, before = h * (x - u) * (x - u), h * (y - u) * (y - u)
    over = np.sum(after - before, axis=1)
    sizes = (after, before, h * np.abs(y - u) * (np.abs(y) + np.abs(u)))
    off = beyond_rounding(over, *(np.sum(size, axis=1) for size in sizes))
    return Premise("x_{t+1} projected in the norm of H_t", off, 0.0, "the game")


# %% chapters/bounds.ipynb#bounds-errors
def _certificate(
    theorem: str, game: Game, compared_with: Regret, terms: Any, premises: Any, *summands: Array
) -> Certificate:
    """A certificate with its error: of the regret, of the run, and of the summands of the terms."""
    u = as_point(game, compared_with.against)
    parts = summands or tuple(np.array([term.value]) for term in terms)
    error = compared_with.error + run_error(game, u) + rounding(*parts)
    return Certificate(theorem, tuple(terms), tuple(premises), compared_with.value, float(error))


def run_error(game: Game, u: Array) -> float:
    """An estimate of what rounding did along the whole run, to inequalities about <g_t, x_t - u>."""
    h, g, x = game.metric, game.g, game.x[:-1]
    off = x - u
    return rounding(g * x, g * u, h * off * x, h * off * off, g * g / h)


# %% chapters/bounds.ipynb#bounds-expansion
def _expansion(game: Game, u: Array, d: Array) -> dict[str, Array]:
    """The four parts of the master inequality, as arrays of summands, for steps -d_t / H_t."""
    h, off = game.metric, game.x - u
    return {
        "start": h[:1] * off[:1] * off[:1] / 2,
        "change": (h[1:] - h[:-1]) * off[1:-1] * off[1:-1] / 2,
        "end": -h[-1:] * off[-1:] * off[-1:] / 2,
        "steps": d * d / h / 2,
    }


_MASTER = "the master inequality"
_LATEX = {
    "start": r"\tfrac12 \lVert x_1 - u \rVert_{H_1}^2",
    "change": r"\tfrac12 \sum_{t=2}^T \lVert x_t - u \rVert_{H_t - H_{t-1}}^2",
    "end": r"-\tfrac12 \lVert x_{T+1} - u \rVert_{H_T}^2",
    "steps": r"\tfrac12 \sum_{t=1}^T \lVert d_t \rVert_{H_t^{-1}}^2",
    "direction": r"\sum_{t=1}^T \langle g_t - d_t, x_t - u \rangle",
}


def _against(game: Game, against: Any) -> tuple[Array, Regret]:
    """The fixed point as the game's numbers, and the regret against that very point."""
    u = as_point(game, _hindsight(game)[0] if against is None else against)
    return u, regret_of(game, np.array(u, float))


def _positive(game: Game) -> Premise:
    h = np.ravel(game.metric)
    most = float(np.max([-lower(each) for each in h]))
    most = most if all(upper(each) < math.inf for each in h) else math.inf  # where lr is 0
    return Premise("0 < H_t < inf", most, -float(np.finfo(float).tiny), "the method")


# %% chapters/bounds.ipynb#bounds-master
@_unheard
def master_bound(game: Game, against: Any = None) -> Certificate:
    """The master inequality for steps -g_t / H_t, whatever the positive H_t, against a fixed point.

    No premise is made on the rates, on the size of the gradients or on the domain, and H_t may rise and
    fall. Void for a method that does not follow the newest gradient: see `any_step_bound`.
    """
    u, compared_with = _against(game, against)
    parts = _expansion(game, u, game.g)
    terms = [Term(k, total(v), _LATEX[k].replace("d_t", "g_t"), _MASTER) for k, v in parts.items()]
    premises = (
        convexity(game, u, *own_points(game)), _positive(game), steps_along(game, game.g), comes_back(game, u)
    )  # fmt: skip
    return _certificate(
        "master inequality", game, compared_with, terms, premises, *parts.values()
    )  # fmt: skip


# %% chapters/bounds.ipynb#bounds-lines
_LINES = {
    "convexity": r"f_t(x_t) - f_t(u) \le \langle g_t, x_t - u \rangle",
    "way back": r"\tfrac12 \|x_{t+1} - u\|_{H_t}^2 \le \tfrac12 \|y_t - u\|_{H_t}^2",
    "one round": r"\langle g_t, x_t - u \rangle \le \tfrac12 \|x_t - u\|_{H_t}^2"
    r" - \tfrac12 \|x_{t+1} - u\|_{H_t}^2 + \tfrac12 \|g_t\|_{H_t^{-1}}^2",
    "all rounds": r"\sum_t \langle g_t, x_t - u \rangle \le \text{start + change - end + steps}",
    "distance": r"\text{start + change} \le \tfrac12 \sum_i D_i^2 h_{T,i}",
    "steps": r"\text{steps} \le \text{their bound}",
    "rates": r"\tfrac12 G^2 \sum_t \alpha_t \le \eta G^2 (\sqrt T - \tfrac12)",
    "regret": r"R(T) \le \text{bound}",
}


# %% chapters/bounds.ipynb#bounds-proof
def _worst(name: str, left: Array, right: Array, *sizes: Array) -> Line:
    """The line that holds by the smallest margin, of one for each round; its error is of that round."""
    errors = np.array([rounding(*row) for row in zip(*sizes, strict=True)])
    margins = np.array([upper(slack) for slack in right - left]) + errors
    t = int(np.argmin(margins))
    return Line(f"{name}, round {t + 1}", _LINES[name], left[t], right[t], float(errors[t]))


@_unheard
def master_proof(game: Game, against: Any = None) -> list[Line]:
    """The proof of the master inequality on one game, for steps -g_t / H_t: its lines, in order."""
    u, compared_with = _against(game, against)
    h, g, x, y = game.metric, game.g, game.x, game.y
    off, parts = x - u, _expansion(game, u, g)
    linear, step = np.sum(g * off[:-1], axis=1), np.sum(parts["steps"], axis=1)
    gap = game.losses - losses_at(game, u)
    before, after, at_y = (
        np.sum(h * z * z, axis=1) / 2 for z in (off[:-1], off[1:], y - u)
    )  # fmt: skip
    sizes = (
        np.abs(h) * (np.abs(x[:-1]) + np.abs(y) + np.abs(u)) * (np.abs(off[:-1]) + np.abs(y - u))
    )
    sizes = np.sum(sizes, axis=1), np.sum(np.abs(g) * (np.abs(x[:-1]) + np.abs(u)), axis=1), step
    bound, error = total([total(part) for part in parts.values()]), run_error(game, u)
    error += rounding(*parts.values())
    rounds = before - after + step
    return [
        _worst("convexity", gap, linear, game.losses, gap, *sizes[1:]),
        _worst("way back", after, at_y, *sizes),
        _worst("one round", linear, rounds, *sizes),
        Line("all rounds", _LINES["all rounds"], total(linear), bound, error),
        Line("regret", _LINES["regret"], compared_with.value, bound, error + compared_with.error),
    ]


# %% chapters/bounds.ipynb#bounds-any-step
@_unheard
def any_step_bound(game: Game, against: Any = None) -> Certificate:
    """The master inequality for any step at all: of a method with momentum, or of one not thought of.

    d_t = H_t (x_t - y_t) is the direction the step took. What it owes to the gradient of its round is
    the fifth term, <g_t - d_t, x_t - u>, which no theorem makes small by itself.
    """
    u, compared_with = _against(game, against)
    d = game.metric * (game.x[:-1] - game.y)
    parts = _expansion(game, u, d)
    parts["direction"] = (game.g - d) * (game.x[:-1] - u)
    terms = [Term(name, total(part), _LATEX[name], _MASTER) for name, part in parts.items()]
    premises = convexity(game, u, *own_points(game)), _positive(game), comes_back(game, u)
    return _certificate("any step", game, compared_with, terms, premises, *parts.values())


# %% chapters/bounds.ipynb#bounds-sizes
def largest(values: Any) -> Any:
    """The maximum of an array; of intervals, all that it can be."""
    return reduce(larger, np.ravel(values))


def largest_norm(game: Game) -> Any:
    """G: the largest Euclidean norm of a gradient in the game."""
    return np.sqrt(largest(np.sum(game.g * game.g, axis=1)))


def domain_diameter(game: Game, norm: float) -> Any:
    """The diameter of the domain, as the game computes; a box in intervals."""
    d = game.x.shape[1]
    if not isinstance(game, EnclosedGame) or not np.isfinite(game.domain.diameter(norm, d)):
        return as_number(game, game.domain.diameter(norm, d))
    box: Any = game.domain
    ends = [np.broadcast_to(np.asarray(side, float), d) for side in (box.low, box.high)]
    low, high = (np.array([as_number(game, value) for value in side]) for side in ends)
    sides = high - low
    return largest(sides) if norm == math.inf else np.sqrt(np.sum(sides * sides))


# %% chapters/bounds.ipynb#bounds-descent
@_unheard
def gradient_descent_bound(game: Game, against: Any = None) -> Certificate:
    """Zinkevich's bound for gradient descent with the rate eta / sqrt(t), in a bounded domain.

    D is the diameter of the domain, G the largest norm of a gradient in this game. At the best rate,
    eta = D / (sqrt(2) G), the bound is sqrt(2) D G sqrt(T) less a constant [Zinkevich 2003].
    """
    compared_with = regret_of(game, against)
    u, root = as_point(game, compared_with.against), np.sqrt(as_number(game, game.rounds))
    D, G, rates = domain_diameter(game, 2), largest_norm(game), game_rates(game)
    eta, where = _first_rate(game), "Zinkevich 2003 (Theorem 1, as recalled)"
    terms = (
        Term("distance", D * D * root / (2 * eta), r"\frac{D^2 \sqrt T}{2 \eta}", where),
        Term("steps", eta * G * G * (root - 0.5), r"\eta G^2 (\sqrt T - \tfrac12)", where),
    )
    premises = (
        convexity(game, u, *own_points(game)), inside(game), bounded(float(D)), falling_rates(game),
        *_descends(game, u, rates),
    )  # fmt: skip
    return _certificate("gradient descent", game, compared_with, terms, premises)


def _descends(game: Game, u: Array, rates: Array) -> tuple[Premise, ...]:
    """Each step is -alpha_t g_t, brought back by the shortest way."""
    metric = has_metric(game, 1 / rates[:, None], "1 / alpha_t in each coordinate")
    return metric, steps_along(game, game.g), comes_back(game, u)


# %% chapters/bounds.ipynb#bounds-horizon
@_unheard
def known_horizon_bound(game: Game, against: Any = None) -> Certificate:
    """Gradient descent with one rate eta for all T rounds, which needs no bounded domain.

    G is the largest norm of a gradient in this game. At eta = |x_1 - u| / (G sqrt(T)), for which one must
    know T, G and |x_1 - u| beforehand, the bound is |x_1 - u| G sqrt(T).
    """
    u, compared_with = _against(game, against)
    G, rates, off = largest_norm(game), game_rates(game), game.x[0] - u
    eta, where = _first_rate(game), "the master inequality with H_t = I / eta"
    terms = (
        Term("distance", np.sum(off * off) / (2 * eta), r"\frac{\|x_1 - u\|^2}{2 \eta}", where),
        Term("steps", eta * G * G * game.rounds / 2, r"\tfrac12 \eta G^2 T", where),
    )
    premises = (
        convexity(game, u, *own_points(game)),
        constant_rate(game),
        *_descends(game, u, rates),
    )
    return _certificate("known horizon", game, compared_with, terms, premises)


# %% chapters/bounds.ipynb#bounds-descent-proof
@_unheard
def gradient_descent_proof(game: Game, against: Any = None) -> list[Line]:
    """The proof of Zinkevich's bound on one game: the lines of the master inequality, and three more."""
    u = as_point(game, regret_of(game, against).against)
    *lines, last = master_proof(game, u)
    D, G, h = domain_diameter(game, 2), largest_norm(game), game.metric
    eta, root = _first_rate(game), np.sqrt(as_number(game, game.rounds))
    parts = {name: total(part) for name, part in _expansion(game, u, game.g).items()}
    far, rates = D * D * h[-1, 0] / 2, G * G * total(1 / h[:, 0]) / 2
    whole = far + eta * G * G * (root - 0.5)
    return [
        *lines,
        _line("distance", game, u, parts["start"] + parts["change"], far),
        _line("steps", game, u, parts["steps"], rates),
        _line("rates", game, u, rates, whole - far),
        Line("regret", _LINES["regret"], last.left, whole, last.error + rounding(whole)),
    ]


def _line(name: str, game: Game, u: Array, left: Any, right: Any) -> Line:
    return Line(name, _LINES[name], left, right, run_error(game, u) + rounding(left, right))


# %% chapters/bounds.ipynb#bounds-adagrad
def column_norms(game: Game) -> Array:
    """(d,): for each coordinate the root of the sum of its squared gradients."""
    return np.sqrt(np.sum(game.g * game.g, axis=0))


def _eps(game: Game) -> Any:
    return as_number(game, game.method.hyper(1).get("eps", 0.0))


def _roots(game: Game) -> Array:
    """(T, d): the root of the sum of the squares so far, and eps."""
    return np.sqrt(np.cumsum(game.g * game.g, axis=0)) + _eps(game)


@_unheard
def adagrad_bound(game: Game, against: Any = None) -> Certificate:
    """The bound of diagonal Adagrad, in a bounded domain, for any lr and eps.

    D is the largest distance of two points in one coordinate. At lr = D / sqrt(2) and eps = 0 the bound
    is sqrt(2) D times the sum of the column norms [Duchi, Hazan & Singer 2011].
    """
    compared_with = regret_of(game, against)
    u, norms, d = as_point(game, compared_with.against), total(column_norms(game)), game.x.shape[1]
    D, eta = domain_diameter(game, math.inf), _first_rate(game)
    where = "Duchi, Hazan & Singer 2011 (Theorem 5, as recalled)"
    half = D * D / (2 * eta)
    terms = (
        Term("distance", half * norms, r"\frac{D_\infty^2}{2 \eta} \sum_i \|g_{1:T,i}\|", where),
        Term("steps", eta * norms, r"\eta \sum_i \|g_{1:T,i}\|", where),
        Term("eps", half * _eps(game) * d, r"\frac{D_\infty^2}{2 \eta} d\,\epsilon", "eps in H_T"),
    )
    premises = (
        convexity(game, u, *own_points(game)), inside(game), bounded(float(D)), constant_rate(game),
        has_metric(game, _roots(game) / eta, "(sqrt(g_1^2 + ... + g_t^2) + eps) / lr"),
        steps_along(game, game.g), comes_back(game, u),
    )  # fmt: skip
    return _certificate("Adagrad", game, compared_with, terms, premises)


# %% chapters/bounds.ipynb#bounds-adagrad-proof
@_unheard
def adagrad_proof(game: Game, against: Any = None) -> list[Line]:
    """The proof of Adagrad's bound on one game: the lines of the master inequality, and two more."""
    u = as_point(game, regret_of(game, against).against)
    *lines, last = master_proof(game, u)
    D, h, norms = domain_diameter(game, math.inf), game.metric, total(column_norms(game))
    steps = _first_rate(game) * norms
    parts = {name: total(part) for name, part in _expansion(game, u, game.g).items()}
    far = D * D * total(h[-1]) / 2
    return [
        *lines,
        _line("distance", game, u, parts["start"] + parts["change"], far),
        _line("steps", game, u, parts["steps"], steps),
        Line("regret", _LINES["regret"], last.left, far + steps, last.error + rounding(far, steps)),
    ]


def first_rounds(game: Game, rounds: int) -> Game:
    """The same game, as if it had ended after so many rounds."""
    slots = {name: values[:rounds] for name, values in game.slots.items()}
    columns = {name: getattr(game, name)[:rounds] for name in ("y", "g", "losses", "scalars")}
    return replace(game, x=game.x[: rounds + 1], slots=slots, **columns)


# %% chapters/bounds.ipynb#bounds-leader
@_unheard
def dual_adagrad_bound(game: Game, against: Any = None) -> Certificate:
    """The bound of Adagrad's primal-dual form, a regularised leader, against a fixed point.

    x_{t+1} is the projection of x_1 - (g_1 + ... + g_t) / H_t with H_t = (eps + root) / lr, where root is
    that of g_1^2 + ... + g_t^2. Round t is paid with H_{t-1}, so eps must be at least each |g_{t,i}|.
    """
    u, compared_with = _against(game, against)
    norms, eta, eps = column_norms(game), _first_rate(game), _eps(game)
    far = (game.x[0] - u) * (game.x[0] - u) / (2 * eta)
    terms = (
        Term("eps", eps * np.sum(far), r"\frac{\epsilon}{2 \eta} \|x_1 - u\|^2", _LEADER),
        Term("distance", total(far * norms), _LEADERS_DISTANCE, _LEADER),
        Term("steps", eta * total(norms), r"\eta \sum_i \|g_{1:T,i}\|", _LEADER),
    )  # fmt: skip
    least = Premise("eps >= |g_t|", upper(largest(np.abs(game.g))), lower(eps), "the method's eps")
    premises = (
        convexity(game, u, *own_points(game)), constant_rate(game), least, _leads(game),
        has_metric(game, _roots(game) / eta, "(eps + sqrt(g_1^2 + ... + g_t^2)) / lr"),
    )  # fmt: skip
    return _certificate("regularised leader", game, compared_with, terms, premises)


_LEADER = "the leader's inequality"
_LEADERS_DISTANCE = r"\frac1{2 \eta} \sum_i (x_{1,i} - u_i)^2 \|g_{1:T,i}\|"


# %% chapters/bounds.ipynb#bounds-leads
def _leads(game: Game) -> Premise:
    """x_{t+1} is the point of the domain nearest to x_1 - (g_1 + ... + g_t) / H_t, in the norm of H_t."""
    sums, sizes = np.cumsum(game.g, axis=0), np.cumsum(np.abs(game.g), axis=0)
    h, start = game.metric, game.x[0]
    off = beyond_rounding(np.abs(h * (start - game.y) - sums), sizes, h * game.y, h * start)
    nearest = np.array([_nearest(game, *row) for row in zip(game.y, h, strict=True)])
    away = beyond_rounding(np.abs(game.x[1:] - nearest), game.y, nearest)
    name = "x_{t+1} nearest to x_1 - (g_1 + ... + g_t) / H_t"
    return Premise(name, float(np.maximum(off, away)), 0.0, "the game")


def _nearest(game: Game, y: Array, h: Array) -> Any:
    if isinstance(game, EnclosedGame):
        return in_box(y, game.domain)
    return game.domain.project(y, h)


# %% chapters/bounds.ipynb#bounds-confirmed
def confirmed(
    certificate: Callable[..., Certificate],
    game: Game,
    bits: int = BITS,
    against: Any = None,
    progress: Callable[[Any], Any] = iter,
) -> Certificate:
    """A certificate whose numbers are intervals, against the same fixed point: rounding has no say.

    The game is played again, and its regret and its bound computed again, with outward rounding. What
    this certificate calls "violated" is. TypeError for a game that `in_intervals` cannot play.
    """
    point = regret_of(game, against).against
    return certificate(in_intervals(game, bits, progress), np.array(point, float))
