"""ND-Adam: Adam for the directions of weight vectors.

Behind a normalisation the length of a unit's weight vector changes nothing but the size of the
next steps. So the length is fixed to 1. The gradient loses its part along the vector, one second
moment serves the whole vector, so that a step does not leave the span of the gradients, and after
each step the vector is brought back to length 1. All other parameters get Adam.
"""

# Generated from chapters/nd_adam.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adam_tutorial.adam import Adam
from adam_tutorial.optimizer import Hooks, Optimizer, Schedule, State, compute_dtype, narrow, widen
from adam_tutorial.trees import Array, Tree, leaves, matched, paths, rebuild
from adam_tutorial.wrappers import Selector, check_selector, chosen


# %% chapters/nd_adam.ipynb#nd-adam-rule
def inner_products(a: Any, b: Any, axis: Any) -> Any:
    """The inner products of the vectors that lie along `axis`; the axes stay, with length 1.

    The order in memory does not matter: sums are taken in one order, so that bits agree.
    """
    in_order = np.reshape(np.ravel(a * b), a.shape)
    return np.sum(in_order, axis=axis, keepdims=True)


def vector_rule(
    w: Any, g: Any, m: Any, v: Any, *,
    lr: float, ratio: float, beta1: float, beta2: float, eps: float, t: int, axis: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """One step of ND-Adam for the unit vectors along `axis` [Zhang et al. 2017, Algorithm 1]."""
    g = g - inner_products(g, w, axis) * w
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * inner_products(g, g, axis)
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    w = w - ratio * lr * m_hat / (np.sqrt(v_hat) + eps)
    w = w / np.sqrt(inner_products(w, w, axis))
    return w, m, v


# %% chapters/nd_adam.ipynb#nd-adam-vectors
@dataclass(frozen=True)
class _Vectors(Optimizer):
    """What `NDAdam` does with the leaves whose vectors lie along `axis`."""

    axis: tuple[int, ...]
    lr: Schedule
    ratio: float
    beta1: float
    beta2: float
    eps: float
    slots = ("m", "v")
    elementwise = False
    no_numbers = ("axis",)
    rule = staticmethod(vector_rule)

    def known(self, t: int, scalars: dict[str, float]) -> dict[str, Any]:
        return {**super().known(t, scalars), "axis": self.axis}

    def slot_shapes(self, theta: Array) -> Sequence[tuple[int, ...]]:
        along = {axis % theta.ndim for axis in _within(self.axis, theta)}
        return theta.shape, tuple(1 if i in along else n for i, n in enumerate(theta.shape))

    def init_leaf(self, theta: Array) -> tuple[Array, ...]:
        dtype, shapes = compute_dtype(theta.dtype), self.slot_shapes(theta)
        _check_lengths(theta, self.axis)
        return tuple(np.zeros_like(theta, dtype=dtype, order="C", shape=shape) for shape in shapes)


# %% chapters/nd_adam.ipynb#nd-adam-parts
def _parts_of(nd: Any, axes: Mapping[Any, tuple[int, ...]]) -> list[Hooks]:
    """Adam for all that is no vector, and a part for the axes of each selector."""
    if not 0 <= nd.ratio < math.inf:
        raise ValueError(f"ratio must be finite and not negative, got {nd.ratio}")
    one = nd.lr, nd.ratio, nd.beta1, nd.beta2, nd.eps
    vectors = [_Vectors(axis, *one) for axis in axes.values()]
    return [Adam(nd.lr, nd.beta1, nd.beta2, nd.eps), *vectors]


def _divisors(nd: Any, state: State) -> Tree:
    """(sqrt(v_hat) + eps) / rate, in a tree like slot v."""
    m, vs = state.slots["m"], matched(state.slots["m"], state.slots["v"], "state.v")
    lr, mass = nd.hyper(state.t)["lr"], 1 - nd.beta2**state.t
    rates = [lr * getattr(part, "ratio", 1.0) for part in nd.parts(paths(m), leaves(m))]
    divisors = [(np.sqrt(v / mass) + nd.eps) / rate for v, rate in zip(vs, rates, strict=True)]
    return rebuild(m, divisors)


# %% chapters/nd_adam.ipynb#nd-adam-lengths
def _within(axis: tuple[int, ...], theta: Array) -> tuple[int, ...]:
    """The axes, if the array has them."""
    if not all(-theta.ndim <= each < theta.ndim for each in axis):
        raise ValueError(
            f"its vectors should lie along {_shown(axis)}, and it has the shape {theta.shape}. Let "
            "`axes` choose other axes, or other leaves. Nothing was changed."
        )
    return axis


def _scaled(theta: Array, axis: tuple[int, ...]) -> tuple[Array, Array]:
    """Each vector divided by its largest entry, so that no square overflows, and that entry."""
    wide = widen(theta)
    largest = np.max(np.abs(wide), axis=axis, keepdims=True)
    return wide / np.where(largest == 0, np.ones_like(largest), largest), largest


def _check_lengths(theta: Array, axis: tuple[int, ...]) -> None:
    """Every vector has length 1, as nearly as 16 bits or 32 allow."""
    if not theta.size:
        return
    scaled, largest = _scaled(theta, axis)
    lengths = largest * np.sqrt(inner_products(scaled, scaled, axis))
    low, high = float(np.min(lengths)), float(np.max(lengths))
    near = _NEAR[theta.dtype.itemsize == 2]
    if not 1 - near <= low <= high <= 1 + near:
        raise ValueError(
            f"its vectors along {_shown(axis)} should have length 1, and have {low:.3g} to {high:.3g}. "
            "Start from normalised(params, axes), or let `axes` choose other axes or leaves. Nothing "
            "was changed."
        )


_NEAR = {True: 1e-2, False: 1e-4}  # how far from 1 a length may be: in 16 bits, in more


def _shown(axis: tuple[int, ...]) -> str:
    return f"axis {axis[0]}" if len(axis) == 1 else f"axes {axis}"


# %% chapters/nd_adam.ipynb#nd-adam-axes
Axes = Mapping[Selector, int | tuple[int, ...]]


def _as_tuples(axes: Any) -> dict[Any, tuple[int, ...]]:
    """The axes of each selector as a tuple, or an error that says what was expected."""
    if not isinstance(axes, Mapping):
        raise TypeError(
            f"axes: expected a dict of selectors and axes, such as {{'hidden/W': 0}}, got {axes!r}."
        )
    found = {}
    for selector, axis in axes.items():
        check_selector(selector, "axes")
        axis = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
        whole = all(isinstance(each, int) and not isinstance(each, bool) for each in axis)
        if not (axis and whole and len({*axis}) == len(axis)):
            raise TypeError(
                f"axes: for {selector!r} expected an axis or a tuple of different axes, got {axis!r}."
            )
        found[selector] = axis
    return found


# %% chapters/nd_adam.ipynb#nd-adam-class
@dataclass(frozen=True)
class NDAdam(Optimizer):
    """ND-Adam [Zhang et al. 2017, Algorithm 1]: vectors of length 1, and Adam for all else.

    `axes` says which leaves hold vectors, and along which axes: {"hidden/W": 0} for one vector per
    column of a matrix (inputs, units), {2: 1, 4: (1, 2, 3)} for torch's layers. The keys are those
    of `Groups`, the first that fits decides, and leaves that none fits get Adam. The vectors must
    have length 1 at `init`: see `normalised`. Slot m is shaped like the parameter; slot v too, but
    for a vector it holds one number. ValueError at `init` for other lengths, for a selector that
    fits no leaf, and for axes that a leaf does not have.
    """

    axes: Axes = field(hash=False)
    lr: Schedule = 1e-3  # alpha, of Adam, for the parameters that are no vectors
    ratio: float = 50.0  # alpha_v / alpha: vectors turn by about ratio * lr, in radians
    beta1: float = 0.9  # memory of the mean, in [0, 1)
    beta2: float = 0.999  # memory of the square, in [0, 1)
    eps: float = 1e-8  # outside the root, after bias correction
    slots = ("m", "v")
    elementwise = False
    no_numbers = ("axes",)
    rule = staticmethod(vector_rule)

    def __post_init__(self) -> None:
        axes = _as_tuples(self.axes)
        object.__setattr__(self, "axes", axes)
        super().__post_init__()
        object.__setattr__(self, "_parts", _parts_of(self, axes))

    def parts(self, names: list[str], thetas: list[Array]) -> Sequence[Hooks]:
        parts: list[Hooks] = self.__dict__["_parts"]
        return [parts[i] for i in chosen(self.axes, names, thetas, "axes")]

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v_hat) + eps) / rate: the step is H**-1 m_hat, before the division by the length.

        One number for a vector. Selectors that are functions are asked about slot m."""
        return _divisors(self, state)


# %% chapters/nd_adam.ipynb#nd-adam-normalised
def normalised(params: Tree, axes: Axes) -> Tree:
    """New arrays: the vectors along `axes` divided by their lengths, all other leaves copied.

    `axes` is that of `NDAdam`. Raises ValueError for a vector of zeros, which has no direction, and
    for one that is not finite.
    """
    found, names, thetas = _as_tuples(axes), paths(params), leaves(params)
    choices, new = [None, *found.values()], []
    for i, name, theta in zip(chosen(found, names, thetas, "axes"), names, thetas, strict=True):
        new.append(theta.copy() if not (axis := choices[i]) else _unit(name, theta, axis))
    return rebuild(params, new)


def _unit(name: str, theta: Array, axis: tuple[int, ...]) -> Array:
    try:
        _within(axis, theta)
    except ValueError as refused:
        raise ValueError(f"{name}: {refused}") from None
    if not theta.size:
        return theta.copy()
    scaled, largest = _scaled(theta, axis)
    if not bool(np.all((largest > 0) & np.isfinite(largest))):
        raise ValueError(
            f"{name}: a vector along {_shown(axis)} is 0, or not finite, and has no direction. Start "
            "from random weights. Nothing was changed."
        )
    return narrow(scaled / np.sqrt(inner_products(scaled, scaled, axis)), theta.dtype)
