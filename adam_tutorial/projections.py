"""Projections: the nearest point of a convex set, in a norm that weighs each coordinate.

A method with a rate for each coordinate measures distance in its own norm, the root of
sum h_i x_i**2, and comes back to the set by the shortest way in that norm. For a box the norm does
not matter; for a ball and a simplex it does.
"""

# Generated from chapters/online.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, ClassVar

import numpy as np

from adam_tutorial.optimizer import State, asked, keywords
from adam_tutorial.trees import Array, Tree, leaves
from adam_tutorial.wrappers import Wrapper


# %% chapters/online.ipynb#projections-domain
class Domain:
    """A closed convex set of points, each an array.

    `project(y, h)` is its point nearest to y in the norm sqrt(sum h_i x_i**2); `corner(c)` its point
    where sum c_i x_i is smallest; `diameter(norm)` the largest distance of two points, in the Euclidean norm (2) or the largest
    coordinate's (math.inf); `limits(size)` what SciPy's `minimize` needs to stay inside.
    `separable`: the projection acts on each coordinate by itself.
    """

    separable: ClassVar[bool] = False

    def project(self, y: Any, h: Any = 1.0) -> Any:
        raise NotImplementedError

    def corner(self, c: Any) -> Any:
        raise NotImplementedError

    def diameter(self, norm: float = 2, size: int = 1) -> float:
        raise NotImplementedError

    def limits(self, size: int) -> dict[str, Any]:
        raise NotImplementedError

    def excess(self, x: Any) -> float:
        """How far x is outside: the longest coordinate of its way back, 0 inside, in units of x."""
        x = _double(_floats(x))
        return float(np.max(abs(x - self.project(x)), initial=0.0))

    def why_not(self, x: Any) -> str:
        """Why x is no point of it, for more than rounding; "" where it is one."""
        x = _floats(x)
        largest = float(np.max(abs(_double(x)), initial=0.0))
        if not largest < math.inf:
            return "it should be finite."
        if (outside := self.excess(x)) <= _ROUNDING.get(x.dtype.itemsize, 1e-12) * (1 + largest):
            return ""
        return f"it lies outside {self}, by {outside:.3g}. Start inside: domain.project(...)."


# %% chapters/online.ipynb#projections-points
_ROUNDING = {4: 1e-5, 2: 1e-2}  # how far outside 4 or 2 bytes may put a point, relatively


def _floats(y: Any) -> Any:
    """A point as an array of floats, in the library and precision that it has."""
    is_list = getattr(getattr(y, "dtype", None), "kind", "i") in "iub"  # or one of whole numbers
    return np.asarray(y, float) if is_list else y


def _double(y: Any) -> Any:
    """The same in double precision, where squares of single precision fit."""
    return y if y.dtype == np.float64 else y.astype(np.float64)


def _like(side: Any, y: Any) -> Any:
    """A number as it is; several as an array beside y."""
    return np.asarray(side, like=y) if isinstance(side, tuple) and np.ndim(y) else side


def _numbers(name: str, side: Any) -> Any:
    """A float, or a tuple of floats."""
    try:
        values = np.asarray(side, float)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if values.ndim > 1 or np.any(np.isnan(values)):
        raise ValueError(f"{name}: expected a number, or one for each coordinate, got {side!r}.")
    return tuple(values.tolist()) if values.ndim else float(values)


def _number(name: str, value: Any) -> float:
    """A float."""
    try:
        return float(np.asarray(value, float).reshape(()))
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected one number, got {value!r}.") from None


# %% chapters/online.ipynb#projections-weights
_LEAST = 1e-30  # weights that are smaller still, relative to the largest, count as this


def _weights(h: Any, y: Array) -> Array:
    """The weights of a diagonal norm, the largest 1, one for each coordinate of y.

    ValueError unless they are positive and finite. All infinite, as at a learning rate of 0, they
    are alike.
    """
    h = np.asarray(h, float) if isinstance(h, (list, tuple)) else h
    smallest, largest = float(np.min(h)), float(np.max(h))
    if smallest == math.inf:
        return np.ones_like(y)
    if not 0 < smallest <= largest < math.inf:
        raise ValueError(
            f"h: the weights of a norm must be positive and finite, got {smallest:g} to {largest:g}."
            " Where a method divides by a root that is 0, give it a positive eps."
        )
    spread = np.ones_like(y) * (h / largest)
    if spread.shape != y.shape:
        raise ValueError(f"h: expected {y.shape} weights, or one, got {np.shape(h)}.")
    return np.maximum(spread, _LEAST)


# %% chapters/online.ipynb#projections-box
@dataclass(frozen=True)
class Box(Domain):
    """All points between `low` and `high`, coordinate by coordinate; either may be infinite.

    A bound is a number, or a tuple of numbers, one for each coordinate. ValueError for an empty box.
    """

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    separable = True

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        low, high = np.asarray(self.low), np.asarray(self.high)
        if low.size == 0 or (low.ndim and high.ndim and low.shape != high.shape):
            raise ValueError(f"low, high: expected one length, got {self.low} and {self.high}.")
        if not np.all((low <= high) & (low < math.inf) & (high > -math.inf)):
            raise ValueError(
                f"expected low <= high in each coordinate, got low = {self.low}, high = {self.high}:"
                " the set would be empty."
            )

    def project(self, y: Any, h: Any = 1.0) -> Any:
        if isinstance(y, float) and isinstance(self.low, float) and isinstance(self.high, float):
            return min(max(y, self.low), self.high)
        return np.minimum(np.maximum(y, _like(self.low, y)), _like(self.high, y))

    def corner(self, c: Any) -> Any:
        c = np.asarray(c, float)
        inner = np.clip(0.0, self.low, self.high)
        return np.where(c > 0, self.low, np.where(c < 0, self.high, inner))

    def diameter(self, norm: float = 2, size: int = 1) -> float:
        return float(np.linalg.norm(np.subtract(self.high, self.low) + np.zeros(size), norm))

    def limits(self, size: int) -> dict[str, Any]:
        sides = [np.broadcast_to(side, size) for side in (self.low, self.high)]
        return {"bounds": list(zip(*sides, strict=True))}


# %% chapters/online.ipynb#projections-everywhere
EVERYWHERE = Box(-math.inf, math.inf)  # the whole space


# %% chapters/online.ipynb#projections-ball
@dataclass(frozen=True)
class Ball(Domain):
    """All points within `radius` of `center` (a number stands for a point with equal coordinates)."""

    radius: float
    center: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", _number("radius", self.radius))
        object.__setattr__(self, "center", _numbers("center", self.center))
        if not (0 <= self.radius < math.inf and np.all(np.isfinite(self.center))):
            raise ValueError(
                "expected a finite center, and a radius that is finite and not negative, got "
                f"radius = {self.radius}, center = {self.center}."
            )

    def project(self, y: Any, h: Any = 1.0) -> Any:
        y = _floats(y)
        center = _like(self.center, y)
        z = _double(y) - center
        if not float(np.linalg.norm(z)) > self.radius:  # inside, or NaN
            return y
        x = _shortened(z / self.radius, _weights(h, z)) if self.radius else np.zeros_like(z)
        return (self.radius * x + center).astype(y.dtype)

    def corner(self, c: Any) -> Any:
        length = np.linalg.norm(c)
        return self.center - (self.radius / length if length else 0.0) * np.asarray(c, float)

    def diameter(self, norm: float = 2, size: int = 1) -> float:
        return 2 * self.radius

    def limits(self, size: int) -> dict[str, Any]:
        inside = {
            "type": "ineq",  # not negative
            "fun": lambda x: self.radius**2 - float(np.sum((x - self.center) ** 2)),
            "jac": lambda x: -2 * (x - self.center),
        }
        return {"constraints": [inside]}


# %% chapters/online.ipynb#projections-newton
def _shortened(z: Array, h: Array) -> Array:
    """The point of length 1 that is nearest to z, which is longer, in the norm of the weights h.

    It is x(pull) = h z / (h + pull) for the one pull at which its length is 1. Newton's method on
    1 - 1 / |x(pull)| comes from below, since 1 / |x| rises and is concave.
    """
    pull = 0.0
    for _ in range(100):
        x = h * z / (h + pull)
        length = float(np.linalg.norm(x))
        change = (length - 1) * length**2 / float(np.sum(x * x / (h + pull)))
        pull += change
        if not change > 1e-15 * pull:
            break
    x = h * z / (h + pull)
    return x / float(np.linalg.norm(x))


# %% chapters/online.ipynb#projections-simplex
@dataclass(frozen=True)
class Simplex(Domain):
    """All points with coordinates of at least 0 that add up to `total`: shares of a whole."""

    total: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", _number("total", self.total))
        if not 0 < self.total < math.inf:
            raise ValueError(f"total must be positive and finite, got {self.total}.")

    def project(self, y: Any, h: Any = 1.0) -> Any:
        y = _floats(y)
        if y.size == 0:  # nothing to share
            return y
        z = np.ravel(_double(y)) / self.total
        h = np.ravel(_weights(h, _double(y)))
        for _ in range(2):  # again, since large numbers lost the digits of what is left of them
            order = np.argsort(-(z * h))
            pulls = (np.cumsum(np.take(z, order)) - 1) / np.cumsum(1 / np.take(h, order))
            z = z - np.max(pulls) / h  # has the same nearest point
        x = np.maximum(z, 0.0)
        return np.reshape(self.total * x, y.shape).astype(y.dtype)

    def corner(self, c: Any) -> Any:
        return self.total * np.eye(np.size(c))[np.argmin(c)]

    def diameter(self, norm: float = 2, size: int = 2) -> float:
        return 0.0 if size < 2 else self.total * (1.0 if norm == math.inf else math.sqrt(2))

    def limits(self, size: int) -> dict[str, Any]:
        whole = {"type": "eq", "fun": lambda x: np.sum(x) - self.total, "jac": np.ones_like}
        return {"constraints": [whole], "bounds": [(0, None)] * size}


# %% chapters/online.ipynb#projections-rules
@cache
def _clipped(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule, and then back into the box [low, high]."""
    inner = keywords(rule)

    @wraps(rule)
    def around(theta: Any, g: Any, *held: Any, low: float, high: float, **values: float) -> Any:
        theta, *held = rule(theta, g, *held, **values)
        theta = np.minimum(np.maximum(theta, low), high)
        return theta, *held

    around.asks = (*inner, "low", "high")  # type: ignore[attr-defined]
    return around


@cache
def _brought_back(method: Any, domain: Domain) -> Callable[..., Any]:
    """The rule of a method, and then the nearest point of the domain in the method's own norm."""

    @wraps(method.rule)
    def around(theta: Any, g: Any, *held: Any, t: int, scalars: Any, **values: float) -> Any:
        known = {"t": t, **scalars, **values}
        theta, *held = method.rule(theta, g, *held, **asked(method.rule, known))
        state = State(t, dict(zip(method.slots, held, strict=True)), scalars)
        h = 1.0 if domain.separable else method.metric(state)
        return domain.project(theta, h), *held

    around.asks = tuple(dict.fromkeys((*keywords(method.rule), "t", "scalars")))  # type: ignore[attr-defined]
    return around


# %% chapters/online.ipynb#projections-refusals
def _check_projected(inner: Any, domain: Any) -> None:
    """A domain, and a method inside that neither has one nor moves a copy."""
    if not isinstance(domain, Domain):
        raise TypeError(f"domain: expected a Box, Ball or Simplex, got {domain!r}.")
    if "master" in inner.slots:
        raise TypeError("inner: the domain would miss the master weights. Put them outside.")
    while inner is not None:
        if isinstance(inner, Projected):
            raise TypeError("inner: it is Projected already, and one domain is all there can be.")
        inner = getattr(inner, "inner", None)


# %% chapters/online.ipynb#projections-whole-step
class _WholeStep(Wrapper):
    """A step of all leaves or of none, where the way back may refuse one."""

    def step(self, params: Tree, grads: Tree, state: State) -> None:
        if self.elementwise:
            return super().step(params, grads, state)
        new, then = self.update(params, grads, state)
        for old, now in zip(
            [params, *state.slots.values()], [new, *then.slots.values()], strict=True
        ):
            for array, values in zip(leaves(old), leaves(now), strict=True):
                array[...] = values
        state.t, state.scalars = then.t, then.scalars
        return None


# %% chapters/online.ipynb#projections-projected
@dataclass(frozen=True)
class Projected(_WholeStep):
    """After each step of `inner`, the nearest point of `domain`: in the method's own norm, leaf by leaf.

    The norm is that of `inner.metric`, in which the step was shortest [Duchi, Hazan & Singer 2011].
    A box with plain numbers as bounds stays one compiled rule. ValueError where the first
    parameters lie outside.
    """

    domain: Domain = EVERYWHERE
    no_numbers = ("inner", "domain")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_projected(self.inner, self.domain)

    @property
    def elementwise(self) -> bool:  # type: ignore[override]
        bounds = [getattr(self.domain, name, None) for name in ("low", "high")]
        return self.inner.elementwise and all(isinstance(bound, float) for bound in bounds)

    @property
    def rule(self) -> Callable[..., tuple[Any, ...]]:  # type: ignore[override]
        if self.elementwise:
            return _clipped(self.inner.rule)
        return _brought_back(self.inner, self.domain)

    def init_leaf(self, theta: Array) -> tuple[Array, ...]:
        if reason := self.domain.why_not(theta):
            raise ValueError(reason)
        return super().init_leaf(theta)

    def known(self, t: int, scalars: dict[str, float]) -> dict[str, Any]:
        found: dict[str, Any] = super().known(t, scalars)
        if self.elementwise:
            box: Any = self.domain
            return {**found, "low": box.low, "high": box.high}
        return {**found, "scalars": found}
