"""Schedules: the learning rate, or the decay, as a function of the step t = 1, 2, ...

Each is a frozen dataclass that is called with t and returns a Python float. It has no state: the
value at step t follows from t alone, so a run that is resumed at step t goes on with the same
numbers. Two with equal fields are equal, and each can be pickled if its parts can. Settings that cannot be
meant are refused when a schedule is made, not in the middle of a run.
"""

# Generated from chapters/warm_restarts.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, inf, pi, sqrt
from operator import index
from typing import Any

from adam_tutorial.optimizer import Optimizer, Schedule, validated
from adam_tutorial.wrappers import settings_of, with_settings


# %% chapters/warm_restarts.ipynb#schedules-base
@dataclass(frozen=True)
class _OfStep(ABC):
    """A function of the step. A subclass says what it is worth at step t."""

    def __call__(self, t: int) -> float:
        """The value at step t = 1, 2, ...; raises ValueError for an earlier one."""
        if index(t) < 1:
            raise ValueError(
                f"a schedule is asked for the steps t = 1, 2, ..., and was asked for {t}. Where "
                "the first step is number 0, pass lambda count: schedule(count + 1)."
            )
        return self.value(index(t))

    @abstractmethod
    def value(self, t: int) -> float: ...

    def _keep(self, **fields: Any) -> None:
        """Replace fields by what their checks made of them."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)


# %% chapters/warm_restarts.ipynb#schedules-checks
def _count(name: str, value: Any) -> int:
    """A number of steps: an integer, at least 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} counts steps and must be an integer, got {value!r}")
    if index(value) < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return index(value)


def _amount(name: str, value: Any) -> float:
    """A rate, or another number that a schedule returns: finite, at least 0."""
    number = validated(name, value)
    if not 0 <= number < inf:
        raise ValueError(f"{name} must be finite and not negative, got {number}")
    return number


def _range(eta_min: Any, eta_max: Any) -> dict[str, float]:
    low, high = _amount("eta_min", eta_min), _amount("eta_max", eta_max)
    if low > high:
        raise ValueError(f"eta_min must not be above eta_max, got {low} and {high}")
    return {"eta_min": low, "eta_max": high}


def _boundaries(pieces: Sequence[Any], boundaries: Sequence[Any]) -> tuple[int, ...]:
    """The last step of each piece but the last, which has no end: increasing."""
    ends = tuple(_count("a boundary", end) for end in boundaries)
    if len(pieces) != len(ends) + 1:
        raise ValueError(
            f"expected one piece more than boundaries, got {len(pieces)} and {len(ends)}"
        )
    if list(ends) != sorted(set(ends)):
        raise ValueError(f"boundaries must increase, so that no piece is empty; got {ends}")
    return ends


# %% chapters/warm_restarts.ipynb#schedules-simple
@dataclass(frozen=True)
class constant(_OfStep):
    """The same value at every step: a number as a function."""

    number: float

    def __post_init__(self) -> None:
        self._keep(number=_amount("number", self.number))

    def value(self, t: int) -> float:
        return self.number


def _function(schedule: Schedule) -> Callable[[int], float]:
    return schedule if callable(schedule) else constant(schedule)


@dataclass(frozen=True)
class linear(_OfStep):
    """A straight line to `end`, reached at step `steps`, from `start`, where a step 0 would be.

    So `linear(0, lr, steps)` begins with lr / steps, and no step is lost.
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        self._keep(start=_amount("start", self.start), end=_amount("end", self.end))
        self._keep(steps=_count("steps", self.steps))

    def value(self, t: int) -> float:
        share = min(t, self.steps) / self.steps
        return (1 - share) * self.start + share * self.end


# %% chapters/warm_restarts.ipynb#schedules-cosine
def _cosine(eta_min: float, eta_max: float, T_cur: int, T: int) -> float:
    return eta_min + (eta_max - eta_min) * (1 + cos(pi * T_cur / T)) / 2


@dataclass(frozen=True)
class cosine(_OfStep):
    """Half a cosine over `steps` steps, from eta_max at step 1; eta_min from step `steps` + 1 on.

    One cycle of `warm_restarts` [Loshchilov & Hutter 2017, SGDR].
    """

    eta_max: float
    steps: int
    eta_min: float = 0.0

    def __post_init__(self) -> None:
        self._keep(**_range(self.eta_min, self.eta_max), steps=_count("steps", self.steps))

    def value(self, t: int) -> float:
        return _cosine(self.eta_min, self.eta_max, min(t - 1, self.steps), self.steps)


# %% chapters/warm_restarts.ipynb#schedules-restarts
@dataclass(frozen=True)
class warm_restarts(_OfStep):
    """Half a cosine again and again; cycle i = 0, 1, ... takes T_0 T_mult**i steps [SGDR, 2017].

    All in integers, so a restart comes at its step however late it is. T_mult is an integer. For
    cycles of other lengths, join cosines.
    """

    eta_max: float
    T_0: int  # steps in the first cycle
    T_mult: int = 1  # each cycle is so many times as long as the one before
    eta_min: float = 0.0

    def __post_init__(self) -> None:
        self._keep(**_range(self.eta_min, self.eta_max))
        self._keep(T_0=_count("T_0", self.T_0), T_mult=_count("T_mult", self.T_mult))

    def steps(self, cycles: int) -> int:
        """How many steps the first so many cycles take: the steps at which a cycle ends."""
        if self.T_mult == 1:
            return self.T_0 * cycles
        return self.T_0 * (int(self.T_mult**cycles) - 1) // (self.T_mult - 1)

    def cycle(self, t: int) -> tuple[int, int, int]:
        """Of step t: the cycle i, how many of its steps are done, T_cur, and its length T_i."""
        i = (t - 1) // self.T_0
        if self.T_mult > 1:
            i = _logarithm((t - 1) * (self.T_mult - 1) // self.T_0 + 1, self.T_mult)
        return i, t - 1 - self.steps(i), self.T_0 * int(self.T_mult**i)

    def value(self, t: int) -> float:
        _, T_cur, T_i = self.cycle(t)
        return _cosine(self.eta_min, self.eta_max, T_cur, T_i)


# %% chapters/warm_restarts.ipynb#schedules-logarithm
def _logarithm(n: int, base: int) -> int:
    """The largest i with base**i <= n. A logarithm in floats may be one off, just below a power."""
    i = 0
    while n >= base:
        n, i = n // base, i + 1
    return i


# %% chapters/warm_restarts.ipynb#schedules-inverse-root
@dataclass(frozen=True)
class inverse_root(_OfStep):
    """peak min(t / warmup, sqrt(warmup / t)): a linear rise, then the inverse root of the step.

    With warmup = 1 it is peak / sqrt(t), the rate of the regret bounds. The Transformer's
    d**-0.5 min(t**-0.5, t warmup**-1.5) has peak = (d warmup)**-0.5 [Vaswani et al. 2017].
    """

    peak: float  # the largest value, at step warmup
    warmup: int = 1

    def __post_init__(self) -> None:
        self._keep(peak=_amount("peak", self.peak), warmup=_count("warmup", self.warmup))

    def value(self, t: int) -> float:
        return self.peak * min(t / self.warmup, sqrt(self.warmup / t))


# %% chapters/warm_restarts.ipynb#schedules-combined
@dataclass(frozen=True)
class piecewise(_OfStep):
    """values[k] up to step boundaries[k], and the last value from there on."""

    values: tuple[float, ...]
    boundaries: tuple[int, ...]

    def __post_init__(self) -> None:
        self._keep(values=tuple(_amount("a value", value) for value in self.values))
        self._keep(boundaries=_boundaries(self.values, self.boundaries))

    def value(self, t: int) -> float:
        return self.values[bisect_left(self.boundaries, t)]


@dataclass(frozen=True)
class joined(_OfStep):
    """schedules[k] up to step boundaries[k], then the next; each counts its own steps from 1."""

    schedules: tuple[Schedule, ...]
    boundaries: tuple[int, ...]

    def __post_init__(self) -> None:
        self._keep(schedules=tuple(map(_function, self.schedules)))
        self._keep(boundaries=_boundaries(self.schedules, self.boundaries))

    def value(self, t: int) -> float:
        k = bisect_left(self.boundaries, t)
        return float(_function(self.schedules[k])(t - (0, *self.boundaries)[k]))


# %% chapters/warm_restarts.ipynb#schedules-scaled
@dataclass(frozen=True)
class scaled(_OfStep):
    """A schedule times a factor."""

    schedule: Schedule
    factor: float

    def __post_init__(self) -> None:
        self._keep(schedule=_function(self.schedule), factor=_amount("factor", self.factor))

    def value(self, t: int) -> float:
        return float(self.factor * _function(self.schedule)(t))


@dataclass(frozen=True)
class warmed_up(_OfStep):
    """A schedule times min(1, t / steps). For Adam 2 / (1 - beta2) steps [Ma & Yarats 2021].

    The schedule keeps its own clock. To start it after the rise instead, join it to `linear`.
    """

    schedule: Schedule
    steps: int

    def __post_init__(self) -> None:
        self._keep(schedule=_function(self.schedule), steps=_count("steps", self.steps))

    def value(self, t: int) -> float:
        return float(min(t, self.steps) / self.steps * _function(self.schedule)(t))


# %% chapters/warm_restarts.ipynb#schedules-decay
@dataclass(frozen=True)
class cycle_decay(_OfStep):
    """lambda_norm / sqrt(T_i), for all T_i steps of cycle i [Loshchilov & Hutter 2019, appendix].

    The paper's sqrt(b / (B T_i)) has batches of b, B examples and T_i in epochs: B T_i / b steps.
    """

    lambda_norm: float
    cycles: warm_restarts

    def __post_init__(self) -> None:
        self._keep(lambda_norm=_amount("lambda_norm", self.lambda_norm))
        if not isinstance(self.cycles, warm_restarts):
            raise TypeError(f"cycles must be warm_restarts(...), got {self.cycles!r}")

    def value(self, t: int) -> float:
        _, _, T_i = self.cycles.cycle(t)
        return self.lambda_norm / sqrt(T_i)


def with_restarts(
    method: Optimizer, T_0: int, T_mult: int = 1, lambda_norm: float = 0.05
) -> Optimizer:
    """The method with cosine restarts as its eta, and lambda_norm / sqrt(T_i) as its weight_decay.

    T_0 is the first cycle's length in steps; each cycle is T_mult times as long as the one before.
    Both fields are replaced, whatever they were; lr still multiplies. `with_restarts(PaperAdamW(lr),
    T_0, T_mult)` is AdamWR [Loshchilov & Hutter 2019]. Raises ValueError for a method that has no
    eta, such as `AdamW`: there use lr=warm_restarts(lr, T_0, T_mult).
    """
    if "eta" not in settings_of(method):
        raise ValueError(
            f"{type(method).__name__} has no eta: take PaperAdamW or SGDW, or give this one "
            "lr=warm_restarts(lr, T_0, T_mult)."
        )
    eta = warm_restarts(1.0, T_0, T_mult)
    decay = cycle_decay(lambda_norm, eta)
    return with_settings(method, {"eta": eta, "weight_decay": decay})
