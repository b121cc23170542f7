"""The game: each round play a point, then see the loss; at the end compare with the best fixed point.

`play` records a whole game of any method on any problem, and `regret` measures it. Games on a line
whose start is a plain float are played in plain floats: a million rounds take seconds.
"""

# Generated from chapters/online.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import importlib
import math
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from adam_tutorial.optimizer import Hooks, Optimizer, State
from adam_tutorial.projections import EVERYWHERE, Domain
from adam_tutorial.trees import Array


# %% chapters/online.ipynb#online-losses
def _check_numbers(name: str, values: Any, shape: tuple[int, ...] = (-1,)) -> None:
    """An array of finite numbers, of this shape; -1 stands for any length of at least 1."""
    found = np.shape(values)
    fits = len(found) == len(shape) and all(
        n == m or (m < 0 and n) for n, m in zip(found, shape, strict=True)
    )
    if not fits or not np.all(np.isfinite(np.asarray(values, float))):
        wanted = " x ".join("any" if length < 0 else str(length) for length in shape)
        raise ValueError(f"{name}: expected finite numbers, {wanted}; got {found}: {values!r}.")


# %% chapters/online.ipynb#online-line
@dataclass(frozen=True)
class Cycle:
    """Slopes that come round again, on a line: f_t(x) = slopes[(t - 1) % len(slopes)] * x."""

    slopes: tuple[float, ...]
    start: float = 1.0

    def __post_init__(self) -> None:
        _check_numbers("slopes", self.slopes)

    def loss(self, x: Any, t: int = 1) -> Any:
        return self.slopes[(t - 1) % len(self.slopes)] * x

    def grad(self, x: Any, t: int = 1) -> Any:
        return self.slopes[(t - 1) % len(self.slopes)] + 0 * x

    def slope(self, rounds: int) -> Fraction:
        """The slope of the sum of all losses, exactly."""
        exact = [Fraction(slope) for slope in self.slopes]
        cycles, rest = divmod(rounds, len(exact))
        return cycles * sum(exact) + sum(exact[:rest], Fraction(0))

    def total(self, x: Any, rounds: int) -> Any:
        return float(self.slope(rounds)) * x

    def best(self, rounds: int, domain: Domain) -> Any:
        return domain.corner(float(self.slope(rounds)))


# %% chapters/online.ipynb#online-absolute
@dataclass(frozen=True)
class AbsoluteLosses:
    """f_t(x) = |x - targets[t - 1]|, on a line: guess a number, and pay the distance."""

    targets: tuple[float, ...]
    start: float = 0.0

    def __post_init__(self) -> None:
        _check_numbers("targets", self.targets)

    @property
    def rounds(self) -> int:
        return len(self.targets)

    def loss(self, x: Any, t: int = 1) -> Any:
        return abs(x - self.targets[t - 1])

    def grad(self, x: Any, t: int = 1) -> Any:
        """The sign of x - target: a subgradient, 0 at the kink."""
        return 1.0 * (x > self.targets[t - 1]) - 1.0 * (x < self.targets[t - 1])

    def best(self, rounds: int, domain: Domain) -> Any:
        """The median; in a domain that does not hold it, the point nearest to it."""
        return domain.project(np.atleast_1d(np.median(self.targets[:rounds])))


# %% chapters/online.ipynb#online-rows
class _Rows:
    """A problem with one row of numbers for each round: rows (rounds, d), start (d,)."""

    rows: Array
    start: Array
    answers = ""  # the name of what comes with each row, if anything does

    def __post_init__(self) -> None:
        for name in filter(None, ("rows", "start", self.answers)):
            value = getattr(self, name)
            kind = getattr(getattr(value, "dtype", None), "kind", "")
            if kind != "f":  # lists; whole numbers, which would overflow
                object.__setattr__(self, name, np.asarray(value, float))
        _check_numbers("rows", self.rows, (-1, -1))
        _check_numbers("start", self.start, self.rows.shape[1:])
        if self.answers:
            _check_numbers(self.answers, getattr(self, self.answers), self.rows.shape[:1])

    @property
    def rounds(self) -> int:
        return len(self.rows)


# %% chapters/online.ipynb#online-linear
@dataclass(frozen=True, eq=False)
class LinearLosses(_Rows):
    """f_t(x) = sum c_ti x_i, for the rows c_t of an array (rounds, d)."""

    rows: Array
    start: Array

    def loss(self, x: Any, t: int = 1) -> Any:
        return np.sum(self.rows[t - 1] * x)

    def grad(self, x: Any, t: int = 1) -> Any:
        return self.rows[t - 1] + 0 * x

    def total(self, x: Any, rounds: int) -> Any:
        return np.sum(self._sum(rounds) * x)

    def best(self, rounds: int, domain: Domain) -> Any:
        return domain.corner(self._sum(rounds))

    def _sum(self, rounds: int) -> Array:
        return np.array([math.fsum(column) for column in self.rows[:rounds].T])


# %% chapters/online.ipynb#online-examples
@dataclass(frozen=True, eq=False)
class SquareLosses(_Rows):
    """f_t(x) = (sum a_ti x_i - b_t)**2 / 2: one example a round, rows a_t (rounds, d), targets b_t."""

    rows: Array
    targets: Array
    start: Array
    answers = "targets"

    def loss(self, x: Any, t: int = 1) -> Any:
        return (np.sum(self.rows[t - 1] * x) - self.targets[t - 1]) ** 2 / 2

    def grad(self, x: Any, t: int = 1) -> Any:
        return (np.sum(self.rows[t - 1] * x) - self.targets[t - 1]) * self.rows[t - 1]

    def total(self, x: Any, rounds: int) -> Any:
        return math.fsum((self.rows[:rounds] @ x - self.targets[:rounds]) ** 2) / 2

    def total_grad(self, x: Any, rounds: int) -> Any:
        return (self.rows[:rounds] @ x - self.targets[:rounds]) @ self.rows[:rounds]

    def curvature(self, rounds: int) -> float:
        """The smallest eigenvalue of the sum of a_t a_t^T, less what rounding may have added to it."""
        values = np.linalg.eigvalsh(self.rows[:rounds].T @ self.rows[:rounds])
        return max(0.0, float(values[0] - 1e-13 * len(values) * values[-1]))


# %% chapters/online.ipynb#online-labels
@dataclass(frozen=True, eq=False)
class LogisticLosses(_Rows):
    """f_t(x) = log(1 + exp(-b_t sum a_ti x_i)): rows a_t (rounds, d), labels b_t of +1 or -1."""

    rows: Array
    labels: Array
    start: Array
    answers = "labels"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not np.all(np.abs(self.labels) == 1):
            raise ValueError(f"labels: expected +1 and -1, got {np.unique(self.labels)}.")

    def loss(self, x: Any, t: int = 1) -> Any:
        return np.logaddexp(0.0, -self.labels[t - 1] * np.sum(self.rows[t - 1] * x))

    def grad(self, x: Any, t: int = 1) -> Any:
        margin = self.labels[t - 1] * np.sum(self.rows[t - 1] * x)
        return -self.labels[t - 1] * np.exp(-np.logaddexp(0.0, margin)) * self.rows[t - 1]

    def total(self, x: Any, rounds: int) -> Any:
        margins = self.labels[:rounds] * (self.rows[:rounds] @ x)
        return math.fsum(np.logaddexp(0.0, -margins))

    def total_grad(self, x: Any, rounds: int) -> Any:
        margins = self.labels[:rounds] * (self.rows[:rounds] @ x)
        return -(self.labels[:rounds] * np.exp(-np.logaddexp(0.0, margins))) @ self.rows[:rounds]


# %% chapters/online.ipynb#online-played
class _Played:
    """How long a game is, and how it shows itself."""

    method: Optimizer
    problem: Any
    domain: Domain
    losses: Array

    @property
    def rounds(self) -> int:
        return len(self.losses)

    def __repr__(self) -> str:
        names = type(self.method).__name__, type(self.problem).__name__
        return f"<{type(self).__name__}: {self.rounds} rounds of {names[0]} on {names[1]}, {self.domain}>"


# %% chapters/online.ipynb#online-game
@dataclass(frozen=True, eq=False, repr=False)
class Game(_Played):
    """A game that was played: T rounds in d coordinates.

    x        (T + 1, d)  the points x_1 ... x_T that were played, and the next one
    y        (T, d)      where each step led before it was brought back to the domain
    g        (T, d)      the gradient of round t at x_t
    losses   (T,)        f_t(x_t)
    slots    name -> (T, d), what the method remembered after round t
    scalars  the method's running numbers after each round
    """

    method: Optimizer
    problem: Any
    domain: Domain
    x: Array
    y: Array
    g: Array
    losses: Array
    slots: dict[str, Array]
    scalars: tuple[dict[str, float], ...]

    @cached_property
    def metric(self) -> Array:
        """(T, d): the diagonal of H_t, in x_{t+1} = projection of x_t - H_t**-1 (direction)."""
        rows = np.empty_like(self.g)
        for i in range(self.rounds):
            slots = {name: values[i] for name, values in self.slots.items()}
            with np.errstate(divide="ignore"):  # infinite where lr is 0
                rows[i] = self.method.metric(State(i + 1, slots, self.scalars[i]))
        return rows

    def rates(self, name: str = "lr") -> Array:
        """(T,): a hyper-parameter of the method in each round."""
        return np.array([self.method.hyper(t)[name] for t in range(1, self.rounds + 1)])


# %% chapters/online.ipynb#online-play
def play(method: Optimizer, problem: Any, rounds: int, domain: Domain = EVERYWHERE) -> Game:
    """Play `rounds` rounds from problem.start, and bring every step back to `domain`.

    problem  has `start`, an array (d,) or a number, `loss(x, t)` and `grad(x, t)`, t = 1, 2, ...; x is
             an array of its own, or a float. Give them 64 bits: certificates know no rounding but theirs.
             If it also has `total(x, rounds)`, `total_grad(x, rounds)`, `best(rounds, domain)`,
             `curvature(rounds)` or `rounds`, `regret` uses them; of `total` it tries 100 rounds first.
    domain   a convex set, which the start must belong to; steps return in the norm of the method

    TypeError or ValueError says what is wrong with a game that cannot be played.
    """
    _check_game(method, problem, rounds, domain)
    if is_on_a_line(problem) and type(method).prepare is Hooks.prepare:
        step = importlib.import_module("adam_tutorial.executors").float_step(method)
        if step is not None and domain.separable:
            return _on_floats(method, problem, rounds, domain, step)
    return _on_arrays(method, problem, rounds, domain)


# %% chapters/online.ipynb#online-sizes
def is_on_a_line(problem: Any) -> bool:
    """Whether a problem starts at a number, so that `loss` and `grad` get floats."""
    return np.ndim(problem.start) == 0


def _has_size(domain: Domain, size: int) -> bool:
    """Whether a domain holds vectors of this length."""
    try:
        return bool(np.shape(domain.corner(np.ones(size))) == (size,))
    except ValueError:  # NumPy's, of shapes that do not fit
        return False


# %% chapters/online.ipynb#online-refusals
def _check_game(method: Any, problem: Any, rounds: Any, domain: Any) -> None:
    if not isinstance(method, Optimizer):
        raise TypeError(f"method: expected an optimizer, such as Adam(lr=0.1), got {method!r}.")
    if isinstance(problem, type):
        raise TypeError(f"problem: got the class {problem.__name__}; make one, with parentheses.")
    for name in ("start", "loss", "grad"):
        if not hasattr(problem, name):
            raise TypeError(f"problem: {type(problem).__name__} has no {name!r}; a game needs it.")
    if isinstance(rounds, bool) or not isinstance(rounds, (int, np.integer)) or rounds < 1:
        raise ValueError(f"rounds: expected a whole number of at least 1, got {rounds!r}.")
    most = getattr(problem, "rounds", math.inf)
    if not isinstance(most, (int, float, np.integer)):
        raise TypeError(f"problem.rounds: expected how many rounds it has, got {most!r}.")
    if rounds > most:
        raise ValueError(f"rounds: the problem has losses for {most} of them, not for {rounds}.")
    if not isinstance(domain, Domain):
        raise TypeError(f"domain: expected a Box, Ball or Simplex, got {domain!r}.")
    try:
        start = np.asarray(problem.start, float)
    except (TypeError, ValueError, OverflowError):
        start = np.empty(0)
    shown = reprlib.repr(problem.start)
    if start.ndim > 1 or start.size == 0:
        raise ValueError(f"problem.start: expected a number or a vector, got {shown}.")
    if not _has_size(domain, start.size):
        raise ValueError(f"problem.start: it has {start.size} coordinates, which {domain} has not.")
    if reason := domain.why_not(np.atleast_1d(start)):
        raise ValueError(f"problem.start: {reason}")


# %% chapters/online.ipynb#online-floats
def _refused(t: int, loss: Any, g: Any, y: Any) -> ValueError:
    """What is not finite in a round."""
    for what, value in (("the loss", loss), ("the gradient", g)):
        if not np.all(np.isfinite(value)):
            return ValueError(f"round {t}: {what} is not finite, but {value}.")
    return ValueError(
        f"round {t}: the step leads to {y}. Where the method divides by a root that is 0, give it a "
        "positive eps; where the points run away, a smaller lr."
    )


def _on_floats(method: Any, problem: Any, rounds: int, domain: Any, step: Any) -> Game:
    """A game on a line, in plain floats."""
    start, none, isfinite = float(problem.start), {}, math.isfinite  # type: ignore[var-annotated]

    def played() -> Iterator[tuple[float, ...]]:
        x, held = start, tuple(map(float, method.init_leaf(np.array(start))))
        for t in range(1, rounds + 1):
            loss, g = problem.loss(x, t), problem.grad(x, t)
            if not (isinstance(loss, float) and isinstance(g, float)):
                loss, (g,) = _checked(loss, g, 1, t)
            loss, g = float(loss), float(g)
            y, *held = step((x, g, *held), method.known(t, none))
            if not (isfinite(loss) and isfinite(g) and isfinite(y)):
                raise _refused(t, loss, g, y)
            yield x, y, g, loss, *held
            x = domain.project(y)

    width = 4 + len(method.slots)
    table = np.fromiter(chain.from_iterable(played()), float, rounds * width).reshape(-1, width)
    x, y, g, losses, *held = (np.ascontiguousarray(column) for column in table.T)
    points = np.append(x, domain.project(float(y[-1])))[:, None]
    slots = {name: values[:, None] for name, values in zip(method.slots, held, strict=True)}
    rest = (losses, slots, (none,) * rounds)
    return Game(method, problem, domain, points, y[:, None], g[:, None], *rest)


# %% chapters/online.ipynb#online-arrays
def _as_played(problem: Any, point: Array) -> Any:
    """A point as the problem takes it, a float or an array of its own, which it may spoil."""
    return float(point[0]) if is_on_a_line(problem) else np.array(point)


def _on_arrays(method: Any, problem: Any, rounds: int, domain: Domain) -> Game:
    """A game on arrays."""
    theta = np.atleast_1d(np.array(problem.start, float))
    state, scalars = method.init(theta), []
    x, (y, g) = np.empty((rounds + 1, theta.size)), np.empty((2, rounds, theta.size))
    losses, slots = np.empty(rounds), {name: np.empty_like(y) for name in method.slots}
    for t in range(1, rounds + 1):
        x[t - 1] = theta
        losses[t - 1], g[t - 1] = _seen(problem, theta, t)
        method.step(theta, g[t - 1], state)
        y[t - 1] = theta
        for name, values in slots.items():
            values[t - 1] = state.slots[name]
        if not (math.isfinite(losses[t - 1]) and np.all(np.isfinite([g[t - 1], y[t - 1]]))):
            raise _refused(t, losses[t - 1], g[t - 1], y[t - 1])
        scalars.append(dict(state.scalars))
        theta[...] = domain.project(theta, 1.0 if domain.separable else method.metric(state))
    x[rounds] = theta
    return Game(method, problem, domain, x, y, g, losses, slots, tuple(scalars))


# %% chapters/online.ipynb#online-seen
def _seen(problem: Any, theta: Array, t: int) -> tuple[float, Array]:
    """The loss and the gradient of round t at theta."""
    loss = problem.loss(_as_played(problem, theta), t)
    return _checked(loss, problem.grad(_as_played(problem, theta), t), theta.size, t)


def _checked(loss: Any, g: Any, size: int, t: int) -> tuple[float, Array]:
    """A loss as a float and a gradient as a vector of this size."""
    one, row = _real("loss", loss, t), _real("gradient", g, t)
    if one.size != 1 or row.size != size:
        raise ValueError(
            f"round {t}: expected one number for the loss and {size} for the gradient, got shapes "
            f"{one.shape} and {row.shape}."
        )
    return float(one.reshape(())), row.reshape(size)


def _real(what: str, value: Any, t: int) -> Array:
    """An array of floats; TypeError for what is no real number."""
    try:
        if np.asarray(value).dtype.kind not in "cSU":
            return np.asarray(value, float)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"round {t}: expected real numbers for the {what}, got {value!r}.")


# %% chapters/online.ipynb#online-regret
@dataclass(frozen=True)
class Regret:
    """How much more a game cost than the point `against`, and how far the value may be off.

    For the best fixed point in hindsight, `error` holds what the search for it may have missed, besides
    an estimate of rounding: for convex losses the regret lies in value - error ... value + error.
    """

    value: float
    error: float
    against: Array


def regret(game: Game, against: Any = None) -> Regret:
    """The losses of a game minus those of a fixed point: the best one in hindsight, or `against`.

    The error is infinite where one of some twenty other points costs less than the best that was found:
    then the losses are not convex, or `grad` is not their gradient. A finite error does not prove them
    convex.
    ValueError where the losses have no smallest sum, where the domain does not hold the point, or where
    `problem.total` is not their sum."""
    if against is None:
        point, missed = best_point(game.problem, game.rounds, game.domain, game.x[0])
    else:
        point, missed = fixed_point(game, against), 0.0
    _check_total(game, point)
    ours, theirs = float_sum(game.losses), total_loss(game.problem, point, game.rounds)
    sizes = float_sum(np.abs(game.losses)) + abs(theirs) + _summands(game, point, game.rounds)
    error = missed + 16 * float(np.finfo(float).eps) * sizes
    if against is None and _is_beaten(game, theirs - error):
        error = math.inf
    return Regret(ours - theirs, error, point)


# %% chapters/online.ipynb#online-judged
def _summands(game: Game, point: Array, rounds: int) -> float:
    """The sizes of all g_i x_i: each loss is a function of their sums, rounded to a few units of them."""
    g, x = game.g[:rounds], game.x[:rounds]
    return float(np.sum(np.abs(g) * (np.abs(x) + np.abs(point))))


def _is_beaten(game: Game, least: float) -> bool:
    """Whether a point costs less than any point should, so that the search was misled."""
    others = points_tried(game.x, game.domain)
    return any(total_loss(game.problem, u, game.rounds) < least for u in others)


def points_tried(x: Array, domain: Domain) -> list[Array]:
    """Points where losses that are not convex may show it: the first, the last and the mean point of a
    game x (T + 1, d), ends of the domain, and half the way from the mean to them.

    Ends are sought along the first five coordinates, both ways; where there is none, one unit away."""
    mean = np.mean(x, axis=0)
    slopes = [sign * row for row in np.eye(x.shape[1])[:5] for sign in (1.0, -1.0)]
    corners = [np.reshape(domain.corner(slope), mean.shape) for slope in slopes]
    ends = [
        np.where(np.isfinite(corner), corner, mean - slope)
        for corner, slope in zip(corners, slopes, strict=True)
    ]
    found = [x[0], x[-1], mean, *ends, *((mean + end) / 2 for end in ends)]
    return [u for u in found if not domain.why_not(u)]


# %% chapters/online.ipynb#online-fixed
def fixed_point(game: Game, against: Any) -> Array:
    """A point of the domain as an array (d,), where one number stands for d equal ones.

    ValueError for one of another size, or outside the domain."""
    size = game.x.shape[1]
    try:
        point = np.asarray(against, float)
    except (TypeError, ValueError):
        point = np.empty(0)
    if point.ndim > 1 or point.size not in (1, size):
        raise ValueError(f"against: expected one number or a vector of {size}, got {against!r}.")
    point = np.broadcast_to(point, size)
    if reason := game.domain.why_not(point):
        raise ValueError(f"against: {reason}")
    return point


def _check_total(game: Game, point: Array) -> None:
    """ValueError where problem.total is not the sum of the losses, tried on the first 100 rounds."""
    problem, rounds = game.problem, min(game.rounds, 100)
    if not hasattr(problem, "total"):
        return
    losses = [_seen(problem, point, t)[0] for t in range(1, rounds + 1)]
    summed, found = float_sum(losses), total_loss(problem, point, rounds)
    if abs(found - summed) > 1e-9 * (float_sum(np.abs(losses)) + _summands(game, point, rounds)):
        raise ValueError(
            f"problem.total: the losses of rounds 1 to {rounds} at {_as_played(problem, point)} add up to"
            f" {summed:.9g}, but it gives {found:.9g}. Correct it, or leave it out."
        )


# %% chapters/online.ipynb#online-totals
def float_sum(values: Any) -> float:
    """The sum of an array of floats, rounded once; NaN where a part of it leaves their range."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return math.nan


def total_loss(problem: Any, point: Array, rounds: int) -> float:
    """f_1(u) + ... + f_T(u) for a fixed point u: by problem.total where it has one, else term by term."""
    u = _as_played(problem, point)
    if hasattr(problem, "total"):
        return float(problem.total(u, rounds))
    each = [float(problem.loss(_as_played(problem, point), t)) for t in range(1, rounds + 1)]
    return float_sum(np.array(each))


def total_gradient(problem: Any, point: Array, rounds: int) -> Array:
    """The gradient of the sum of all losses at a fixed point."""
    u = _as_played(problem, point)
    if hasattr(problem, "total_grad"):
        found = problem.total_grad(u, rounds)
    else:
        rows = [
            np.array(problem.grad(_as_played(problem, point), t), float).ravel()
            for t in range(1, rounds + 1)
        ]
        found = [float_sum(column) for column in np.transpose(rows)]  # slopes may cancel
    return np.atleast_1d(np.asarray(found, float))


# %% chapters/online.ipynb#online-best
def best_point(problem: Any, rounds: int, domain: Domain, start: Array) -> tuple[Array, float]:
    """The best fixed point in hindsight, and by how much its total loss may miss the smallest.

    Exact where the problem has `best`; else searched, with a bound on the error that holds for
    convex losses. ValueError where the domain is unbounded and nothing bounds the error.
    """
    if hasattr(problem, "best"):
        point, missed = np.atleast_1d(np.asarray(problem.best(rounds, domain), float)), 0.0
    elif start.size == 1 and math.isfinite(domain.diameter()):
        point, missed = _bisected(problem, rounds, domain)
    else:
        point, missed = _polished(
            problem, rounds, domain, _searched(problem, rounds, domain, start)
        )
    if not (np.all(np.isfinite(point)) and missed < math.inf):
        raise ValueError(
            f"on {domain} the losses may have no smallest sum. Choose a bounded domain, or compare "
            "with a point: regret(game, against=...)."
        )
    return point, missed


def gap(domain: Domain, x: Array, slope: Array, curvature: float = 0.0) -> float:
    """How far below its value at x a convex function can be in a domain, given its slope at x.

    With curvature m > 0, for functions from which (m / 2) |u|**2 can be taken away.
    """
    best = domain.project(x - slope / curvature) if curvature > 0 else domain.corner(slope)
    with np.errstate(invalid="ignore"):
        fall = np.where(slope == 0, 0.0, slope * (x - best))
    bend = curvature / 2 * np.sum((x - best) ** 2) if curvature > 0 else 0.0
    return max(0.0, float(np.sum(fall) - bend))


# %% chapters/online.ipynb#online-bisected
def _bisected(problem: Any, rounds: int, domain: Domain) -> tuple[Array, float]:
    """On a line: halve the interval between a falling and a rising end until no float is inside."""
    ends = [np.reshape(domain.corner(np.array([sign])), 1) for sign in (1.0, -1.0)]
    slopes = [float(total_gradient(problem, end, rounds)[0]) for end in ends]
    if slopes[0] >= 0 or slopes[1] <= 0:
        return ends[0 if slopes[0] >= 0 else 1], 0.0
    while ends[0] < (middle := (ends[0] + ends[1]) / 2) < ends[1]:
        slope = float(total_gradient(problem, middle, rounds)[0])
        if slope == 0:
            return middle, 0.0
        ends[slope > 0], slopes[slope > 0] = middle, slope
    totals = [total_loss(problem, end, rounds) for end in ends]
    fall = min(-slopes[0], slopes[1]) * float((ends[1] - ends[0])[0])
    return ends[int(np.argmin(totals))], fall


# %% chapters/online.ipynb#online-search
def _searched(problem: Any, rounds: int, domain: Domain, start: Array) -> Array:
    """A point near the best one, by SciPy: L-BFGS-B where there are bounds alone, else SLSQP."""
    from scipy.optimize import minimize

    def value(u: Array) -> tuple[float, Array]:
        return total_loss(problem, u, rounds) / rounds, total_gradient(problem, u, rounds) / rounds

    limits, exact = domain.limits(start.size), {"ftol": 0.0, "maxiter": 10_000}
    method = "SLSQP" if "constraints" in limits else "L-BFGS-B"
    more = {"ftol": 1e-16} if method == "SLSQP" else {"gtol": 1e-14, "maxfun": 100_000}
    found = minimize(value, start, jac=True, method=method, options={**exact, **more}, **limits)
    return np.asarray(found.x, float)


def _polished(problem: Any, rounds: int, domain: Domain, x: Array) -> tuple[Array, float]:
    """A point with a smaller gap, by projected steps of Barzilai and Borwein's length; its gap."""
    curvature = problem.curvature(rounds) if hasattr(problem, "curvature") else 0.0
    x = domain.project(x)
    slope = total_gradient(problem, x, rounds)
    point, missed = x, gap(domain, x, slope, curvature)
    length = 1e-6 / max(1.0, float(np.linalg.norm(slope)))
    for _ in range(200):
        before, slope_before = x, slope
        x = domain.project(x - length * slope)
        slope = total_gradient(problem, x, rounds)
        if (now := gap(domain, x, slope, curvature)) < missed:
            point, missed = x, now
        if not (bend := float(np.sum((x - before) * (slope - slope_before)))) > 0:
            break
        length = float(np.sum((x - before) ** 2)) / bend
    return point, missed
