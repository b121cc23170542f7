"""The optimizer: a rule for one array, lifted to trees, with its state outside.

A subclass states its hyper-parameters as frozen fields, names its slots (the arrays it remembers
for each parameter) and writes its `rule` on plain values. Everything else is here, once:

- `update` is the equation: it takes values and returns new ones.
- `step` is the fast path: the same rule on cache-sized slices, in place, with the same bits.

All arrays are checked before the first is written, so a refusal changes nothing. No code here
asks for a backend: `np.sqrt` goes where the array it is given lives.
"""

# Generated from chapters/descent.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
import reprlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from adam_tutorial.trees import Array, Tree, leaves, matched, paths, rebuild

# %% chapters/descent.ipynb#optimizer-state
Schedule = float | Callable[[int], float]  # a constant, or a function of the step t = 1, 2, ...


@dataclass(eq=False)
class State:
    """What an optimizer remembers between two steps.

    t        steps taken so far; the first step is t = 1, as in the papers
    slots    for each slot name a tree of arrays, shaped like the parameters
    scalars  running numbers that are not arrays
    """

    t: int
    slots: dict[str, Tree]
    scalars: dict[str, float]
    _checked: "_Targets | None" = field(default=None, init=False, repr=False)

    def __getattr__(self, name: str) -> Any:
        """state.m is state.slots["m"]; state.mu_product is state.scalars["mu_product"]."""
        for names in ("slots", "scalars"):
            if name in (known := self.__dict__.get(names, {})):
                return known[name]
        raise AttributeError(f"the state has no slot or scalar {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_checked": None}  # a copy's arrays are other arrays


# %% chapters/descent.ipynb#optimizer-hyper
_FRACTIONS = {"momentum", "rho", "beta1", "beta2"}  # averages remember a fraction, in [0, 1)
_AMOUNTS = {"lr", "eps", "weight_decay"}  # finite, and not negative


def validated(name: str, value: Any, where: str = "") -> float:
    """A hyper-parameter as a Python float, or an error that says what was expected.

    A Python float takes on the dtype of the array it meets; a NumPy scalar would widen float32.
    """
    shown = f"{name}{where}"
    no_number = (str, bytes, bool, np.bool_, np.complexfloating)
    is_array = getattr(value, "shape", ()) != ()
    if isinstance(value, no_number) or is_array or not hasattr(value, "__float__"):
        raise TypeError(f"{shown} must be a number, got {reprlib.repr(value)}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond the largest float
        number = math.inf
    if name in _FRACTIONS and not 0 <= number < 1:
        raise ValueError(f"{shown} must be at least 0 and below 1, got {number}")
    if name in _AMOUNTS and not 0 <= number < math.inf:
        raise ValueError(f"{shown} must be finite and not negative, got {number}")
    return number


# %% chapters/descent.ipynb#optimizer-dtype
def _is_half(dtype: Any) -> bool:
    return dtype.itemsize == 2 and dtype.name in ("float16", "bfloat16")  # the name is slow to ask


def compute_dtype(dtype: Any) -> Any:
    """The dtype a rule computes in: float32 for the half precisions, else the array's own."""
    return np.dtype(np.float32) if _is_half(dtype) else dtype


def widen(array: Array) -> Array:
    """A half-precision array in float32, any other as it is."""
    return array.astype(np.float32) if _is_half(array.dtype) else array


def narrow(value: Any, dtype: Any) -> Array:
    """A rule's result as an array of `dtype`: NumPy turns 0-d results into scalars."""
    array = np.asarray(value) if isinstance(value, np.generic) else value
    return array if array.dtype == dtype else array.astype(dtype)


# %% chapters/descent.ipynb#optimizer-hooks
@dataclass(frozen=True)
class Hooks:
    """What a method states: its fields, its slots, its rule; and the hooks that it may replace."""

    slots: ClassVar[tuple[str, ...]] = ()  # names of the arrays remembered for each parameter
    elementwise: ClassVar[bool] = True  # False: the rule needs a whole leaf at once
    rule: ClassVar[Callable[..., tuple[Any, ...]]]

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not (callable(value) and f.type in (Schedule, "Schedule")):
                object.__setattr__(self, f.name, validated(f.name, value))

    def hyper(self, t: int) -> dict[str, float]:
        """The hyper-parameters of step t as Python floats; a schedule is called with t."""
        now: dict[str, float] = {"t": t}
        for f in fields(self):
            value = getattr(self, f.name)
            now[f.name] = validated(f.name, value(t), f" at step {t}") if callable(value) else value
        return now

    def init_leaf(self, theta: Array) -> tuple[Array, ...]:
        """The first slots of one leaf: zeros, unless a method says otherwise."""
        dtype = compute_dtype(theta.dtype)
        return tuple(np.zeros_like(theta, dtype=dtype, order="C") for _ in self.slots)

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        """Host numbers for step state.t + 1, kept in its scalars and offered to the rule by name."""
        return state.scalars

    def metric(self, state: State) -> Tree | float:
        """The diagonal of H in theta -> theta - H**-1 (direction), for the step that made `state`.

        For gradient descent the direction is g and H = 1 / lr, a float that stands for all
        coordinates. A method that divides by a root has a tree of arrays.
        """
        return 1.0


# %% chapters/descent.ipynb#optimizer-leaf-checks
def _check_leaf(path: str, leaf: Any) -> None:
    """A leaf is a floating array of a plain type; a subclass may give `*` another meaning."""
    if isinstance(leaf, np.generic) or not hasattr(leaf, "__array_ufunc__"):
        raise TypeError(
            f"{path}: expected a NumPy or CuPy array, got {type(leaf).__name__}. Wrap numbers "
            "in np.asarray; where there is no gradient, pass zeros. Nothing was changed."
        )
    if isinstance(leaf, np.ndarray) and type(leaf) not in (np.ndarray, np.memmap):
        raise TypeError(
            f"{path}: {type(leaf).__name__} redefines array arithmetic. Pass a plain array: "
            "leaf.view(np.ndarray). Nothing was changed."
        )
    if leaf.dtype.kind != "f" and not _is_half(leaf.dtype):
        raise TypeError(
            f"{path}: expected floating-point numbers, got {leaf.dtype}. Convert with "
            "array.astype, to the parameter's own dtype. Nothing was changed."
        )


# %% chapters/descent.ipynb#optimizer-gradient-checks
def _check_gradient(path: str, theta: Array, g: Any) -> None:
    """A gradient has its parameter's shape, device and dtype (float32 also fits half precision)."""
    _check_leaf(f"the gradient of {path}", g)
    if g.shape != theta.shape:
        raise ValueError(
            f"{path}: the gradient has shape {g.shape}, the parameter {theta.shape}."
            f"{' Did a transpose go missing?' if g.shape == theta.shape[::-1] else ''} "
            "Nothing was changed."
        )
    if _home(g) != _home(theta):
        raise TypeError(
            f"{path}: the gradient is on {_home(g)}, the parameter on {_home(theta)}. Move one "
            "with adam_tutorial.backends.to. Nothing was changed."
        )
    if g.dtype not in (theta.dtype, compute_dtype(theta.dtype)):
        raise TypeError(
            f"{path}: the gradient is {g.dtype}, the parameter {theta.dtype}. Convert it with "
            f"g.astype(np.{compute_dtype(theta.dtype)}). Nothing was changed."
        )


def _home(array: Array) -> str:
    """The library and the device an array belongs to, for comparing and for error messages."""
    library = "numpy" if isinstance(array, np.ndarray) else type(array).__module__.partition(".")[0]
    return f"{library} ({getattr(array, 'device', 'cpu')})"


# %% chapters/descent.ipynb#optimizer-memory
def _span(array: Array) -> tuple[int, int] | None:
    """The addresses of an array's first byte and past its last, or None where it has none."""
    view = getattr(array, "__cuda_array_interface__", None) or getattr(
        array, "__array_interface__", None
    )
    if view is None or 0 in array.shape:
        return None
    low = high = view["data"][0]
    for size, stride in zip(array.shape, array.strides, strict=True):
        low, high = low + min(0, (size - 1) * stride), high + max(0, (size - 1) * stride)
    return low, high + array.dtype.itemsize


def _owner(array: Any) -> Any:
    """The object whose memory a view looks at: the array itself where it owns its memory."""
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return array


# %% chapters/descent.ipynb#optimizer-layout
def _owns(owner: Any) -> bool:
    """Whether NumPy itself allocated this memory. Memory borrowed from others has no single owner."""
    return isinstance(owner, np.ndarray) and owner.flags.owndata


def _is_contiguous(array: Array) -> bool:
    return bool(getattr(getattr(array, "flags", None), "c_contiguous", True))


def _check_contiguous(path: str, array: Array) -> None:
    if not _is_contiguous(array):
        raise ValueError(
            f"{path}: a step in place needs a C-contiguous array. Before init, store "
            "np.ascontiguousarray(...) in the tree, or use the pure `update`. Nothing was changed."
        )


def _check_writable(path: str, array: Array) -> None:
    if not getattr(getattr(array, "flags", None), "writeable", True):
        raise ValueError(
            f"{path}: the array is read-only, and a step writes in place. Pass a copy, or use "
            "the pure `update`. Nothing was changed."
        )


# %% chapters/descent.ipynb#optimizer-targets
def _refuse_overlap(spans: list[tuple[tuple[int, int], str]]) -> None:
    """Spans sorted by address: an overlap shows between neighbours, so no pair need be tried."""
    for (one, first), (two, second) in zip(spans, spans[1:], strict=False):
        if two[0] < one[1]:
            raise ValueError(
                f"{first} and {second} share memory, so a step would write it twice. For tied "
                "weights keep one leaf, use it twice in the model and add the two gradients. "
                "Nothing was changed."
            )


def _spans(names: list[str], arrays: list[Array]) -> list[tuple[tuple[int, int], str]]:
    """Address ranges in order; a view with gaps may share its range honestly, and is left out."""
    spans = [
        (_span(array), name)
        for name, array in zip(names, arrays, strict=True)
        if _is_contiguous(array)
    ]
    return sorted((span, name) for span, name in spans if span is not None)


# %% chapters/descent.ipynb#optimizer-targets-class
class _Targets:
    """The arrays a step writes: checked once, and trusted while they are the same objects."""

    def __init__(self, names: list[str], arrays: list[Array], checked_for: object) -> None:
        for name, array in zip(names, arrays, strict=True):
            _check_contiguous(name, array)
            _check_writable(name, array)
        self.names, self.arrays, self.checked_for = names, arrays, checked_for
        owners = [_owner(array) for array in arrays]
        self.owners = {id(owner) for owner in owners} if all(map(_owns, owners)) else None
        self.spans = _spans(names, arrays)
        self.starts = [low for (low, _), _ in self.spans]
        _refuse_overlap(self.spans)

    def are(self, arrays: list[Array]) -> bool:
        """Whether these are the arrays that were checked (a flag may have changed since)."""
        if len(arrays) != len(self.arrays):
            return False
        for name, old, new in zip(self.names, self.arrays, arrays, strict=True):
            if old is not new:
                return False
            _check_writable(name, new)
        return True

    def refuse_shared(self, gs: list[Array]) -> None:
        """A gradient must not lie in memory that the step is about to write."""
        for name, g in zip(self.names, gs, strict=False):  # the parameters' names come first
            owner = _owner(g)
            if self.owners is not None and _owns(owner) and id(owner) not in self.owners:
                continue  # two owners of memory never share it; asking for addresses is slow
            span = _span(g)
            # the targets are sorted and disjoint: only the last that begins before g ends can reach g
            at = bisect_left(self.starts, span[1]) - 1 if span else -1
            if span and at >= 0 and self.spans[at][0][1] > span[0]:
                raise ValueError(
                    f"{name}: the gradient shares memory with {self.spans[at][1]}, which the step "
                    "overwrites. Pass a copy. Nothing was changed."
                )


# %% chapters/descent.ipynb#optimizer-leaf
SLICE = 2**15  # elements: small enough for the cache, large enough to hide the cost of a call


class Leaves(Hooks):
    """The rule on one leaf: on whole arrays, and in place on slices."""

    def update_leaf(
        self, theta: Array, g: Array, held: Sequence[Array], values: dict[str, float]
    ) -> tuple[Array, ...]:
        """The rule's new (theta, *slots), in the dtypes of the old."""
        new = self.rule(widen(theta), widen(g), *held, **values)
        old = (theta, *held)
        return tuple(narrow(b, a.dtype) for a, b in zip(old, new, strict=True))

    def step_leaf(
        self, theta: Array, g: Array, held: Sequence[Array], values: dict[str, float]
    ) -> None:
        """The same numbers in place. Slices keep NumPy's temporaries in the cache."""
        if not (self.elementwise and isinstance(theta, np.ndarray) and theta.size > SLICE):
            _write((theta, *held), self.update_leaf(theta, g, held, values))
            return
        flat = [array.reshape(-1) for array in (theta, g, *held)]
        for start in range(0, theta.size, SLICE):
            here, g_here, *held_here = (array[start : start + SLICE] for array in flat)
            _write((here, *held_here), self.update_leaf(here, g_here, held_here, values))


def _write(old: Sequence[Array], new: Sequence[Array]) -> None:
    for target, value in zip(old, new, strict=True):
        target[...] = value


# %% chapters/descent.ipynb#optimizer-gather
def _slots_of(optimizer: Hooks, params: Tree, state: State) -> list[list[Array]]:
    """For each slot its leaves, in the order of the parameters."""
    if not isinstance(state, State):
        raise TypeError(
            f"state: expected what init returned, got {type(state).__name__}. The arguments are "
            "(params, grads, state). Nothing was changed."
        )
    if set(state.slots) != set(optimizer.slots):
        raise ValueError(
            f"state: expected the slots {sorted(optimizer.slots)}, got {sorted(state.slots)}. Make "
            f"the state with {type(optimizer).__name__}.init. Nothing was changed."
        )
    return [matched(params, state.slots[name], f"state.{name}") for name in optimizer.slots]


def _gradients(params: Tree, thetas: list[Array], grads: Tree) -> list[Array]:
    """The gradients in the order of the parameters; what is unlike its parameter is looked at."""
    gs = matched(params, grads, "grads")
    unlike = [i for i, pair in enumerate(zip(thetas, gs, strict=True)) if not _alike(*pair)]
    names = paths(params) if unlike else []  # only errors and odd cases need the names
    for i in unlike:
        _check_gradient(names[i], thetas[i], gs[i])
    return gs


def _alike(theta: Array, g: Any) -> bool:
    return (
        type(g) is type(theta)
        and g.shape == theta.shape
        and g.dtype == theta.dtype
        and getattr(g, "device", None) == getattr(theta, "device", None)
    )


# %% chapters/descent.ipynb#optimizer-values
def _values(
    optimizer: Hooks, params: Tree, grads: Tree, state: State
) -> tuple[dict[str, float], dict[str, float]]:
    """What the rule's keyword arguments ask for, and the scalars that go into the next state."""
    scalars = optimizer.prepare(params, grads, state)
    known = {**optimizer.hyper(state.t + 1), **scalars}
    code = optimizer.rule.__code__
    first = code.co_argcount
    asked = code.co_varnames[first : first + code.co_kwonlyargcount]
    return {name: known[name] for name in asked}, scalars


# %% chapters/descent.ipynb#optimizer-check
def _check_params(optimizer: Hooks, names: list[str], thetas: list[Array]) -> None:
    """Every leaf is a floating array, and epsilon survives in the dtype the rule computes in."""
    eps = getattr(optimizer, "eps", 0.0)
    for name, theta in zip(names, thetas, strict=True):
        _check_leaf(name, theta)
        dtype = compute_dtype(theta.dtype)
        if eps > 0 and dtype.type(eps) == 0:
            raise ValueError(
                f"{name}: eps = {eps:g} rounds to 0 in {dtype}, so it would guard nothing. Choose "
                f"a larger one, or eps=0 on purpose. Nothing was changed."
            )


def _check_slots(
    optimizer: Hooks, names: list[str], thetas: list[Array], held: list[list[Array]]
) -> None:
    """Every slot array is what init made: the parameter's shape and home, the compute dtype."""
    for slot, arrays in zip(optimizer.slots, held, strict=True):
        for name, theta, array in zip(names, thetas, arrays, strict=True):
            where = f"state.{slot} of {name}"
            _check_leaf(where, array)
            expected = (theta.shape, compute_dtype(theta.dtype), _home(theta))
            came = (array.shape, array.dtype, _home(array))
            if optimizer.elementwise and came != expected:
                raise ValueError(
                    f"{where}: expected shape {expected[0]}, {expected[1]} on {expected[2]}; got "
                    f"shape {came[0]}, {came[1]} on {came[2]}. Nothing was changed."
                )


# %% chapters/descent.ipynb#optimizer-check-targets
def _check_leaves(
    optimizer: Hooks, names: list[str], thetas: list[Array], held: list[list[Array]]
) -> None:
    _check_params(optimizer, names, thetas)
    _check_slots(optimizer, names, thetas, held)


def _targets(
    optimizer: Hooks, params: Tree, thetas: list[Array], held: list[list[Array]], state: State
) -> _Targets:
    """The arrays this step writes, checked now or on an earlier step."""
    arrays = [*thetas, *(array for column in held for array in column)]
    known = state._checked
    if known is not None and known.checked_for is optimizer and known.are(arrays):
        return known
    names = paths(params)
    _check_leaves(optimizer, names, thetas, held)
    names = [*names, *(f"state.{slot} of {name}" for slot in optimizer.slots for name in names)]
    state._checked = _Targets(names, arrays, optimizer)
    return state._checked


# %% chapters/descent.ipynb#optimizer-class
class Optimizer(Leaves):
    """A method applied to a tree of arrays: `init` once, then `update` (pure) or `step` (in place).

    `params` is a floating array, or nested dicts, lists and tuples of them; `grads` is alike. What
    does not fit raises TypeError or ValueError, which names the leaf, and changes nothing.
    """

    def init(self, params: Tree) -> State:
        """The state before the first step: t = 0, and fresh slots for each parameter."""
        names, thetas = paths(params), leaves(params)
        _check_params(self, names, thetas)
        _refuse_overlap(_spans(names, thetas))
        rows = [self.init_leaf(theta) for theta in thetas]
        slots = {
            name: rebuild(params, (row[i] for row in rows)) for i, name in enumerate(self.slots)
        }
        return State(0, slots, {})

    def update(self, params: Tree, grads: Tree, state: State) -> tuple[Tree, State]:
        """New parameters and a new state, the old ones untouched: the equation on whole arrays."""
        names, thetas, held = paths(params), leaves(params), _slots_of(self, params, state)
        _check_leaves(self, names, thetas, held)
        gs = _gradients(params, thetas, grads)
        values, scalars = _values(self, params, grads, state)
        columns = zip(thetas, gs, *held, strict=True)
        rows = [self.update_leaf(theta, g, row, values) for theta, g, *row in columns]
        new = [rebuild(params, (row[i] for row in rows)) for i in range(1 + len(held))]
        return new[0], State(state.t + 1, dict(zip(self.slots, new[1:], strict=True)), scalars)

    def step(self, params: Tree, grads: Tree, state: State) -> None:
        """The same numbers as `update`, bit for bit, written into `params` and `state`."""
        thetas, held = leaves(params), _slots_of(self, params, state)
        targets = _targets(self, params, thetas, held, state)
        gs = _gradients(params, thetas, grads)
        targets.refuse_shared(gs)
        values, scalars = _values(self, params, grads, state)
        for theta, g, *row in zip(thetas, gs, *held, strict=True):
            self.step_leaf(theta, g, row, values)
        state.t, state.scalars = state.t + 1, scalars
