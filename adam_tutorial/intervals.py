"""Intervals: a rule run on bounds for its numbers, so that rounding cannot decide a comparison.

Every operation rounds outwards, so the true number lies between the two ends. A comparison is decided
only where the intervals do not overlap. `in_intervals` plays a game again in this arithmetic.
"""

# Generated from chapters/intervals.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from operator import index
from typing import Any

import numpy as np

from adam_tutorial.online import Game
from adam_tutorial.optimizer import Hooks, State, asked
from adam_tutorial.projections import Box
from adam_tutorial.trees import Array

# %% chapters/intervals.ipynb#intervals-ends
BITS = 113  # of the significand: quadruple precision


# %% chapters/intervals.ipynb#intervals-undecided
class Undecided(ArithmeticError):
    """Two intervals overlap, so neither number is known to be the larger."""


_LOST = (
    "an interval was made a float, by float() or a function of math, so its ends are lost. "
    "Write the loss, gradient or rule with + - * / ** abs and np.sqrt."
)
_ENCLOSING: ContextVar[bool] = ContextVar("enclosing", default=False)


@contextmanager
def enclosing() -> Iterator[None]:
    """Within it no interval becomes a float: what is computed from a middle encloses nothing."""
    token = _ENCLOSING.set(True)
    try:
        yield
    finally:
        _ENCLOSING.reset(token)


def _libmp() -> Any:
    try:
        from mpmath import libmp
    except ImportError as missing:
        raise ImportError('intervals need mpmath: pip install "adam-tutorial[regret]"') from missing
    return libmp


# %% chapters/intervals.ipynb#intervals-numbers
def _ends(number: Any, bits: int) -> Any:
    """The ends of the smallest interval that holds a number."""
    if isinstance(number, Interval):
        return number.ends
    mp = _libmp()
    if isinstance(number, (int, np.integer)):
        return (mp.from_int(int(number)),) * 2
    if isinstance(number, (float, np.floating)):
        return (mp.from_float(float(number)),) * 2
    if isinstance(number, Fraction):
        ratio = number.numerator, number.denominator
        return mp.from_rational(*ratio, bits, "f"), mp.from_rational(*ratio, bits, "c")
    raise TypeError(f"expected a number, got {type(number).__name__}")


def _whole(power: Any) -> int:
    if isinstance(power, float) and power.is_integer():
        return int(power)
    try:
        return index(power)
    except TypeError:
        raise TypeError(f"an interval has whole powers and the power 0.5, got {power!r}") from None


# %% chapters/intervals.ipynb#intervals-enclosed
class _Enclosed:
    """Two binary fractions, the ends of an interval, and how they meet mpmath's functions."""

    __slots__ = ("bits", "ends")

    def __init__(self, low: Any, high: Any = None, bits: int = BITS) -> None:
        first, last = _ends(low, bits), _ends(low if high is None else high, bits)
        self.bits, self.ends = bits, (first[0], last[1])
        if _libmp().mpf_gt(*self.ends):
            raise ValueError(f"expected low <= high, got {low!r} and {high!r}")

    def _made(self, function: str, *arguments: Any) -> Any:
        made: Any = Interval.__new__(Interval)
        made.bits, made.ends = self.bits, getattr(_libmp(), function)(*arguments, self.bits)
        return made

    def _with(self, function: str, other: Any, swapped: bool = False) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented  # NumPy comes back with each element
        pair = self.ends, _ends(other, self.bits)
        return self._made(function, *(reversed(pair) if swapped else pair))

    def _decided(self, function: str, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        found = getattr(_libmp(), function)(self.ends, _ends(other, self.bits))
        if found is None:
            raise Undecided(f"{self!r} and {other!r} overlap. Use more than {self.bits} bits.")
        return bool(found)

    def __float__(self) -> float:
        if _ENCLOSING.get():
            raise TypeError(_LOST)
        return float(_libmp().to_float(_libmp().mpi_mid(self.ends, self.bits)))

    def __repr__(self) -> str:
        return f"[{lower(self)!r}, {upper(self)!r}]"


# %% chapters/intervals.ipynb#intervals-operations
class _Arithmetic(_Enclosed):
    """The four operations, rounded outwards."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return self._with("mpi_add", other)

    def __sub__(self, other: Any) -> Any:
        return self._with("mpi_sub", other)

    def __rsub__(self, other: Any) -> Any:
        return self._with("mpi_sub", other, swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._with("mpi_mul", other)

    def __truediv__(self, other: Any) -> Any:
        return self._with("mpi_div", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with("mpi_div", other, swapped=True)

    __radd__, __rmul__ = __add__, __mul__

    def __index__(self) -> int:
        low, high = (Fraction(*_libmp().to_rational(end)) for end in self.ends)
        if low != high or low.denominator != 1:
            raise TypeError(f"expected a whole number, got {self!r}")
        return int(low)


# %% chapters/intervals.ipynb#intervals-compared
class _Compared(_Arithmetic):
    """Comparisons, which raise Undecided where the intervals overlap."""

    __slots__ = ()

    def __lt__(self, other: Any) -> Any:
        return self._decided("mpi_lt", other)

    def __le__(self, other: Any) -> Any:
        return self._decided("mpi_le", other)

    def __gt__(self, other: Any) -> Any:
        return self._decided("mpi_gt", other)

    def __ge__(self, other: Any) -> Any:
        return self._decided("mpi_ge", other)

    def __eq__(self, other: object) -> Any:
        """Decided between single points, and where the two do not meet; else Undecided."""
        if isinstance(other, (Interval, int, float, Fraction, np.number)):
            return self <= other and self >= other
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self != 0)


# %% chapters/intervals.ipynb#intervals-interval
class Interval(_Compared):
    """All numbers between two ends; arithmetic with `bits` bits encloses every result.

    Takes a float, an integer, a fraction, or both ends. NumPy's functions work on arrays of them. A
    comparison of two that overlap raises Undecided.
    """

    __slots__ = ()

    def __pow__(self, power: Any) -> Any:
        if power == 0.5:
            return self.sqrt()
        return self._made("mpi_pow_int", self.ends, _whole(power))

    def __neg__(self) -> Any:
        return self._made("mpi_neg", self.ends)

    def __abs__(self) -> Any:
        return self._made("mpi_abs", self.ends)

    def sqrt(self) -> Any:
        """What np.sqrt calls. ValueError where a number of the interval is negative."""
        if lower(self) < 0:
            raise ValueError(f"the root of {self!r}, which holds negative numbers")
        return self._made("mpi_sqrt", self.ends)


# %% chapters/intervals.ipynb#intervals-clipped
def lower(number: Any) -> float:
    """A float that is not above the number: the lower end of an interval, or the number itself."""
    return _outward(number, 0, -np.inf) if isinstance(number, Interval) else float(number)


def upper(number: Any) -> float:
    """A float that is not below the number: the upper end of an interval, or the number itself."""
    return _outward(number, 1, np.inf) if isinstance(number, Interval) else float(number)


def _outward(number: Any, end: int, beyond: float) -> float:
    mp = _libmp()
    value = float(mp.to_float(number.ends[end], rnd="fc"[end]))
    pair = mp.from_float(value), number.ends[end]
    is_inside = mp.mpf_gt(*(reversed(pair) if end else pair))  # at the ends of the floats' range
    return float(np.nextafter(value, beyond)) if is_inside else value


def larger(one: Any, two: Any) -> Any:
    """The maximum of two numbers; of intervals, undecided ones too: all that it can be."""
    if not isinstance(one, Interval) and not isinstance(two, Interval):
        return max(one, two)
    bits = one.bits if isinstance(one, Interval) else two.bits
    pairs, mp = (_ends(one, bits), _ends(two, bits)), _libmp()
    made = Interval(0, bits=bits)
    made.ends = tuple(a if mp.mpf_ge(a, b) else b for a, b in zip(*pairs, strict=True))
    return made


def smaller(one: Any, two: Any) -> Any:
    """The minimum of two numbers; of intervals, undecided ones too: all that it can be."""
    return -larger(-one, -two)


# %% chapters/intervals.ipynb#intervals-hyper
def _hyper(method: Any, t: int, bits: int) -> dict[str, Any]:
    """The hyper-parameters of step t as intervals. A schedule's value was rounded when it was
    computed, so its interval reaches 2**-50 of it to either side: enough for a formula of one or two
    operations, not for one that subtracts nearly equal numbers."""
    fixed, schedules = method._hyper
    known = {name: Interval(value, bits=bits) for name, value in fixed.items()}
    for name, schedule in schedules.items():
        value = float(schedule(t))
        known[name] = Interval(value, bits=bits) * Interval(1 - 2.0**-50, 1 + 2.0**-50, bits=bits)
    return {**known, "t": Interval(t, bits=bits)}  # so that 1 / t is not rounded


def _standing(method: Any, bits: int) -> Any:
    """The method with intervals for its hyper-parameters, for its own `metric`."""
    standing = copy(method)
    for name, value in vars(method).items():
        if isinstance(value, float):
            object.__setattr__(standing, name, Interval(value, bits=bits))
    object.__setattr__(standing, "hyper", lambda t: _hyper(method, index(t), bits))
    object.__setattr__(standing, "at", lambda name, t: _hyper(method, index(t), bits)[name])
    return standing


# %% chapters/intervals.ipynb#intervals-enclosed-game
@dataclass(frozen=True, eq=False, repr=False)
class EnclosedGame(Game):
    """A game in interval arithmetic: each entry of its arrays, and of its metric, is an Interval."""

    bits: int = BITS

    @cached_property
    def metric(self) -> Array:
        """(T, d): intervals that hold the diagonal of H_t."""
        rows, method = np.empty_like(self.g), _standing(self.method, self.bits)
        for i in range(self.rounds):
            slots = {name: values[i] for name, values in self.slots.items()}
            t: Any = Interval(i + 1, bits=self.bits)
            with enclosing():
                rows[i] = method.metric(State(t, slots, {}))
        return rows

    def rates(self, name: str = "lr") -> Array:
        rounds = range(1, self.rounds + 1)
        return np.array([_hyper(self.method, t, self.bits)[name] for t in rounds], object)


# %% chapters/intervals.ipynb#intervals-game
def in_intervals(
    game: Game, bits: int = BITS, progress: Callable[[Any], Any] = iter
) -> EnclosedGame:
    """The same game in interval arithmetic: its points, gradients and losses as arrays of Interval.

    For a method whose rule is elementwise, in a box, on a problem whose `loss` and `grad` take
    intervals and do not make them floats. TypeError for any other; Undecided where `bits` are too few
    for a branch.
    """
    method, problem, domain = game.method, game.problem, game.domain
    _check_enclosable(method, domain, bits)
    x: Any = _as_intervals(problem.start, bits)
    first = method.init_leaf(np.array(problem.start, float))
    held: Any = tuple(_as_intervals(slot, bits) for slot in first)
    rows: list[Any] = []
    for t in progress(range(1, game.rounds + 1)):
        with enclosing():  # each call has a point of its own, which it may spoil
            loss, g = problem.loss(_own(x), t), _own(problem.grad(_own(x), t))
            y, *held = method.rule(x, g, *held, **asked(method.rule, _hyper(method, t, bits)))
        rows.append((x, y, g, loss, held))
        x = in_box(y, domain)
    return _recorded(game, rows, x, bits)


def _check_enclosable(method: Any, domain: Any, bits: Any) -> None:
    if not isinstance(bits, int) or bits < 2:
        raise ValueError(f"bits: expected a whole number of at least 2, got {bits!r}.")
    kind = type(method)
    plain = kind.prepare is Hooks.prepare and kind.known is Hooks.known and method.elementwise
    if not plain or not isinstance(domain, Box):
        raise TypeError(
            f"in_intervals replays methods of one elementwise rule, in a box; got {kind.__name__}"
            f" in {domain}. Unwrap the method, or compare in floats."
        )


# %% chapters/intervals.ipynb#intervals-recorded
def _as_intervals(values: Any, bits: int) -> Any:
    if np.ndim(values) == 0:
        return Interval(float(values), bits=bits)
    return np.array([Interval(float(value), bits=bits) for value in values], object)


def _own(values: Any) -> Any:
    return values.copy() if isinstance(values, np.ndarray) else values


def in_box(y: Any, box: Any) -> Any:
    """A number or vector of intervals, brought back to a box."""
    if np.ndim(y) == 0:
        return smaller(larger(y, float(box.low)), float(box.high))
    sides = (np.broadcast_to(side, np.shape(y)) for side in (box.low, box.high))
    rows = zip(y, *sides, strict=True)
    return np.array([in_box(value, Box(float(a), float(b))) for value, a, b in rows], object)


def _recorded(game: Game, rows: list[Any], last: Any, bits: int) -> EnclosedGame:
    """The rounds as arrays of intervals, shaped as those of the game."""
    x, y, g, losses, held = zip(*rows, strict=True)
    size = game.x.shape[1]

    def table(values: Any) -> Array:
        return np.array(values, object).reshape(len(values), size)

    slots = {name: table([row[i] for row in held]) for i, name in enumerate(game.method.slots)}
    points = table([*x, last]), table(y), table(g), np.array(losses, object)
    return EnclosedGame(game.method, game.problem, game.domain, *points, slots, (), bits)
