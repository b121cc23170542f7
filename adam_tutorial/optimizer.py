"""The optimizer: a rule for one array, lifted to trees, with its state outside.

A subclass states its hyper-parameters as frozen fields, names its slots (the arrays it remembers
for each parameter) and writes its `rule` on plain values. Everything else is here, once:

- `update` is the equation: it takes values and returns new ones.
- `step` is the fast path: in place, with the same bits, by the fastest executor there is.

All arrays are checked before the first is written, so a refusal changes nothing. No code here
asks for a backend: `np.sqrt` goes where the array it is given lives.
"""

# Generated from chapters/descent.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import importlib
import inspect
import math
import reprlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar

import numpy as np

from adam_tutorial.trees import Array, Tree, leaves, map_leaves, matched, paths, rebuild

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


# %% chapters/descent.ipynb#optimizer-skip
class SkipStep(Exception):
    """Raised by `prepare`: this step changes nothing, except that it leaves these scalars."""

    def __init__(self, scalars: dict[str, float]) -> None:
        super().__init__("this step is left out")
        self.scalars = scalars


# %% chapters/descent.ipynb#optimizer-hyper
_FRACTIONS = {"momentum", "rho", "beta1", "beta2", "dampening"}  # shares, in [0, 1)
_AMOUNTS = {"lr", "eta", "eps", "weight_decay", "max_norm", "initial", "momentum_decay"}  # >= 0


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


def _is_schedule(method: Any, f: Any) -> bool:
    return callable(getattr(method, f.name)) and f.type in (Schedule, "Schedule")


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


# %% chapters/descent.ipynb#optimizer-settings
@dataclass(frozen=True)
class _Settings:
    """Frozen fields that are hyper-parameters: validated once, and resolved at each step."""

    no_numbers: ClassVar[tuple[str, ...]] = ()  # fields that are not hyper-parameters
    _hyper: ClassVar[tuple[dict[str, float], dict[str, Callable[[int], float]]]]

    def __post_init__(self) -> None:
        schedules = {f.name: getattr(self, f.name) for f in fields(self) if _is_schedule(self, f)}
        numbers = [f.name for f in fields(self) if f.name not in {*schedules, *self.no_numbers}]
        fixed = {name: validated(name, getattr(self, name)) for name in numbers}
        for name, value in {**fixed, "_hyper": (fixed, schedules)}.items():
            object.__setattr__(self, name, value)

    def hyper(self, t: int) -> dict[str, float]:
        """The hyper-parameters of step t as Python floats; a schedule is called with t."""
        fixed, schedules = self._hyper
        now = {"t": t, **fixed}
        for name, schedule in schedules.items():
            value = schedule(t)
            usual = type(value) is float and 0 <= value < 1  # in range whatever the name
            now[name] = value if usual else validated(name, value, f" at step {t}")
        return now

    def at(self, name: str, t: int) -> float:
        """One hyper-parameter at step t, for a method that looks ahead."""
        fixed, schedules = self._hyper
        return (
            validated(name, schedules[name](t), f" at step {t}")
            if name in schedules
            else fixed[name]
        )


# %% chapters/descent.ipynb#optimizer-hooks
@dataclass(frozen=True)
class Hooks(_Settings):
    """What a method states: its fields, its slots, its rule; and the hooks that it may replace."""

    slots: ClassVar[tuple[str, ...]] = ()  # names of the arrays remembered for each parameter
    elementwise: ClassVar[bool] = True  # False: the rule needs a whole leaf
    rule: ClassVar[Callable[..., tuple[Any, ...]]]

    def init_leaf(self, theta: Array) -> tuple[Array, ...]:
        """The first slots of one leaf: zeros, unless a method says otherwise."""
        dtype = compute_dtype(theta.dtype)
        return tuple(np.zeros_like(theta, dtype=dtype, order="C") for _ in self.slots)

    def slot_shapes(self, theta: Array) -> Sequence[tuple[int, ...]] | None:
        """The shapes of the slots of one leaf; None where a method of whole leaves does not say."""
        return [theta.shape] * len(self.slots) if self.elementwise else None

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        """Host numbers for step state.t + 1, kept in its scalars and offered to the rule by name."""
        return state.scalars

    def known(self, t: int, scalars: dict[str, float]) -> dict[str, float]:
        """All that the rule may ask for at step t, by name."""
        return self.hyper(t) | scalars if scalars else self.hyper(t)

    def parts(self, names: list[str], thetas: list[Array]) -> Sequence["Hooks"]:
        """The method of each leaf, given their paths: this one, unless leaves form groups."""
        return [self] * len(thetas)

    def metric(self, state: State) -> Tree | float:
        """The diagonal of H in theta -> theta - H**-1 (direction), for the step that made `state`.

        For gradient descent the direction is g and H = 1 / lr, one float for all coordinates. A
        method that divides by a root has a tree of arrays."""
        return 1.0


# %% chapters/descent.ipynb#optimizer-leaf-checks
def check_leaf(path: str, leaf: Any) -> None:
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
    check_leaf(f"the gradient of {path}", g)
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
            f"g.astype({_written(compute_dtype(theta.dtype))}). Nothing was changed."
        )


def _written(dtype: Any) -> str:
    """A dtype as one writes it in a program."""
    return f"np.{dtype}" if dtype.isnative else repr(dtype.str)


def _home(array: Array) -> str:
    """The library and the device an array belongs to, for comparing and for error messages."""
    library = "numpy" if isinstance(array, np.ndarray) else type(array).__module__.partition(".")[0]
    return f"{library} ({getattr(array, 'device', 'cpu')})"


# %% chapters/descent.ipynb#optimizer-memory
def memory_span(array: Array) -> tuple[int, int] | None:
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


def memory_owner(array: Any) -> Any:
    """The object whose memory a view looks at: the array itself where it owns its memory."""
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return array


# %% chapters/descent.ipynb#optimizer-layout
def _owns(owner: Any) -> bool:
    """Whether NumPy itself allocated this memory. Memory borrowed from others has no single owner."""
    return type(owner) is np.ndarray and owner.flags.owndata


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


def _after(tree: Tree, arrays: list[Array], at: int) -> int:
    """Where `arrays` goes on after the leaves of `tree`, which must stand there from `at`; else -1."""
    if 0 <= at < len(arrays) and tree is arrays[at]:
        return at + 1
    if not isinstance(tree, (dict, list, tuple)):
        return -1
    for branch in tree.values() if isinstance(tree, dict) else tree:
        at = _after(branch, arrays, at)
    return at


def _spans(names: list[str], arrays: list[Array]) -> list[tuple[tuple[int, int], str]]:
    """Address ranges in order; a view with gaps may share its range honestly, and is left out."""
    spans = [
        (memory_span(array), name)
        for name, array in zip(names, arrays, strict=True)
        if _is_contiguous(array)
    ]
    return sorted((span, name) for span, name in spans if span is not None)


# %% chapters/descent.ipynb#optimizer-targets-class
class _Targets:
    """The arrays a step writes: checked once, and trusted while they are the same objects."""

    def __init__(self, method: Hooks, params: Tree, state: State) -> None:
        names, self.thetas = paths(params), leaves(params)
        held = slots_of(method, params, state)
        _check_leaves(method, names, self.thetas, held)
        self.method, self.rows = method, [list(row) for row in zip(self.thetas, *held, strict=True)]
        self.arrays = [*self.thetas, *(array for column in held for array in column)]
        self.names = [
            *names,
            *(f"state.{slot} of {name}" for slot in method.slots for name in names),
        ]
        for name, array in zip(self.names, self.arrays, strict=True):
            _check_contiguous(name, array)
            _check_writable(name, array)
        owners = [memory_owner(array) for array in self.arrays]
        self.owners = {id(owner) for owner in owners} if all(map(_owns, owners)) else None
        self.spans = _spans(self.names, self.arrays)
        self.starts = [low for (low, _), _ in self.spans]
        _refuse_overlap(self.spans)
        self.plan: Any = None  # who runs the step on each leaf

    def refuse_shared(self, gs: list[Array]) -> None:
        """A gradient must not lie in memory that the step is about to write."""
        for name, g in zip(self.names, gs, strict=False):  # the parameters' names come first
            owner = g if type(g) is np.ndarray and g.base is None else memory_owner(g)
            # two owners of memory never share it, and asking for addresses is slow
            if self.owners is not None and id(owner) not in self.owners and _owns(owner):
                continue
            span = memory_span(g)
            # the targets are sorted and disjoint: only the last that begins before g ends can reach g
            at = bisect_left(self.starts, span[1]) - 1 if span else -1
            if span and at >= 0 and self.spans[at][0][1] > span[0]:
                raise ValueError(
                    f"{name}: the gradient shares memory with {self.spans[at][1]}, which the step "
                    "overwrites. Pass a copy. Nothing was changed."
                )


# %% chapters/descent.ipynb#optimizer-leaf
class Leaves(Hooks):
    """The rule on one leaf: its new values, or the same written in place."""

    def update_leaf(
        self, theta: Array, g: Array, held: Sequence[Array], values: dict[str, float]
    ) -> tuple[Array, ...]:
        """The rule's new (theta, *slots), in the dtypes of the old."""
        old, new = (theta, *held), self.rule(widen(theta), widen(g), *held, **values)
        _check_results(self, old, new)
        return tuple(narrow(b, a.dtype) for a, b in zip(old, new, strict=True))

    def step_leaf(
        self, theta: Array, g: Array, held: Sequence[Array], values: dict[str, float]
    ) -> None:
        """The same numbers in place. This runs where no faster executor can."""
        new = self.update_leaf(theta, g, held, values)
        for target, value in zip((theta, *held), new, strict=True):
            target[...] = value


def _check_results(method: Hooks, old: tuple[Array, ...], new: Any) -> None:
    """A rule returns a tuple of arrays that are shaped as theta and the slots were."""
    found = (
        [getattr(a, "shape", None) for a in new] if isinstance(new, tuple) else type(new).__name__
    )
    if found != [array.shape for array in old]:
        raise TypeError(
            f"{type(method).__name__}.rule must return a tuple of ({', '.join(['theta', *method.slots])}), "
            f"arrays of shape {old[0].shape}; it returned {found}."
        )


# %% chapters/descent.ipynb#optimizer-gather
def slots_of(optimizer: Hooks, params: Tree, state: State) -> list[list[Array]]:
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
    if not all(map(_alike, thetas, gs)):  # something is wrong, or odd and allowed
        for each in zip(paths(params), thetas, gs, strict=True):
            _check_gradient(*each)
    return gs


def _alike(theta: Array, g: Any) -> bool:
    if type(g) is not type(theta) or g.shape != theta.shape or g.dtype != theta.dtype:
        return False
    return type(g) is np.ndarray or getattr(g, "device", 0) == getattr(theta, "device", 0)


# %% chapters/descent.ipynb#optimizer-values
@cache
def keywords(rule: Callable[..., Any]) -> tuple[str, ...]:
    """The hyper-parameters that a rule asks for: its keyword-only arguments, or what it says."""
    if (said := getattr(rule, "asks", None)) is not None:  # a rule made of others
        return tuple(said)
    code = inspect.unwrap(rule).__code__
    names: tuple[str, ...] = code.co_varnames
    return names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]


def asked(rule: Callable[..., Any], known: dict[str, float]) -> dict[str, float]:
    """What a rule's keyword arguments ask for, of all that the host knows."""
    try:
        return {name: known[name] for name in keywords(rule)}
    except KeyError as missing:
        raise unknown_keyword(rule, missing) from None


def unknown_keyword(rule: Callable[..., Any], missing: KeyError) -> TypeError:
    """The error for a rule that asks for what nobody knows."""
    return TypeError(
        f"{inspect.unwrap(rule).__qualname__} asks for {missing}, which is no field of its class, no "
        "number of `prepare`, and not t. Fields are annotated, as in `lr: float`, in a class that is "
        "decorated with @dataclass(frozen=True)."
    )


# %% chapters/descent.ipynb#optimizer-check
def _check_params(optimizer: Hooks, names: list[str], thetas: list[Array]) -> None:
    """Every leaf is a floating array, and epsilon survives in the dtype the rule computes in."""
    for name, theta in zip(names, thetas, strict=True):
        check_leaf(name, theta)
    for name, theta, part in zip(names, thetas, optimizer.parts(names, thetas), strict=True):
        eps, dtype = getattr(part, "eps", 0.0), compute_dtype(theta.dtype)
        if eps > 0 and dtype.type(eps) == 0:
            raise ValueError(
                f"{name}: eps = {eps:g} rounds to 0 in {dtype}, so it would guard nothing. Choose "
                f"a larger one, or eps=0 on purpose. Nothing was changed."
            )


def _check_slots(
    optimizer: Hooks, names: list[str], thetas: list[Array], held: list[list[Array]]
) -> None:
    """Every slot array is what init made: the shape for its leaf, the leaf's home, the compute dtype."""
    parts = optimizer.parts(names, thetas)
    shapes = [part.slot_shapes(theta) for part, theta in zip(parts, thetas, strict=True)]
    for i, (slot, arrays) in enumerate(zip(optimizer.slots, held, strict=True)):
        for name, theta, array, shape in zip(names, thetas, arrays, shapes, strict=True):
            where = f"state.{slot} of {name}"
            check_leaf(where, array)
            expected = (shape[i] if shape else None, compute_dtype(theta.dtype), _home(theta))
            came = (array.shape, array.dtype, _home(array))
            if shape is not None and came != expected:
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


def _are_checked(known: _Targets, method: Hooks, params: Tree, state: State) -> bool:
    """Whether a step would write the arrays that were checked (a flag may have changed since)."""
    if known.method is not method or len(state.slots) != len(method.slots):
        return False
    at = _after(params, known.arrays, 0)
    for slot in method.slots:
        at = _after(state.slots.get(slot), known.arrays, at)
    if at != len(known.arrays):
        return False
    for array in known.arrays:
        if type(array) is np.ndarray and not array.flags.writeable:
            return False  # to be refused by name
    return True


def _targets(method: "Optimizer", params: Tree, state: State) -> _Targets:
    """The arrays this step writes, checked now or on an earlier step."""
    known = state._checked if isinstance(state, State) else None
    if known is None or not _are_checked(known, method, params, state):
        known = _Targets(method, params, state)
        parts = method.parts(known.names[: len(known.rows)], known.thetas)
        known.plan = _executors().plan_of(method, parts, known.rows)
        state._checked = known
    return known


def _executors() -> Any:
    """The module that runs steps fast, from the last part of the book; loaded when a step needs it."""
    return importlib.import_module("adam_tutorial.executors")


# %% chapters/descent.ipynb#optimizer-updated
def _updated(
    parts: Sequence[Any], columns: Sequence[list[Array]], t: int, scalars: dict[str, float]
) -> list[tuple[Array, ...]]:
    """For each leaf its new (theta, *slots), by the method of its part."""
    each = {id(part): part for part in parts}.values()  # a schedule is asked once, for all leaves
    values = {id(part): asked(part.rule, part.known(t, scalars)) for part in each}
    leaves_of = zip(parts, *columns, strict=True)
    return [part.update_leaf(theta, g, row, values[id(part)]) for part, theta, g, *row in leaves_of]


# %% chapters/descent.ipynb#optimizer-first
def _first_slots(
    method: Hooks, params: Tree, names: list[str], thetas: list[Array]
) -> dict[str, Tree]:
    """The slots before the first step; packed into vectors if the parameters are."""
    rows = []
    for name, theta, part in zip(names, thetas, method.parts(names, thetas), strict=True):
        try:
            rows.append(part.init_leaf(theta))
        except ValueError as refused:  # a method that does not take every array
            raise ValueError(f"{name}: {refused}") from None
    slots = {name: rebuild(params, (row[i] for row in rows)) for i, name in enumerate(method.slots)}
    if method.elementwise and len(thetas) > 1:
        slots = _executors().packed_alike(thetas, slots)
    return slots


def _prepared(
    method: Hooks, params: Tree, grads: Tree, state: State
) -> tuple[dict[str, float], bool]:
    """The scalars of the next step, and whether it is left out."""
    try:
        return method.prepare(params, grads, state), False
    except SkipStep as skipped:
        return skipped.scalars, True


def _unchanged(params: Tree, state: State, scalars: dict[str, float]) -> tuple[Tree, State]:
    """The same values in arrays of their own: what `update` returns for a step left out."""
    slots = {name: map_leaves(lambda leaf: leaf.copy(), tree) for name, tree in state.slots.items()}
    return map_leaves(lambda leaf: leaf.copy(), params), State(state.t, slots, scalars)


# %% chapters/descent.ipynb#optimizer-class
class Optimizer(Leaves):
    """A method applied to a tree of arrays: `init` once, then `update` (pure) or `step` (in place).

    `params` and `grads` are floating arrays, or nested dicts, lists and tuples of them. What does
    not fit raises TypeError or ValueError, which names the leaf, and changes nothing."""

    def init(self, params: Tree) -> State:
        """The state before the first step: t = 0, and fresh slots for each parameter."""
        names, thetas = paths(params), leaves(params)
        _check_params(self, names, thetas)
        _refuse_overlap(_spans(names, thetas))
        slots = _first_slots(self, params, names, thetas)
        return State(0, slots, {})

    def update(self, params: Tree, grads: Tree, state: State) -> tuple[Tree, State]:
        """New parameters and a new state, the old ones untouched: the equation on whole arrays."""
        names, thetas, held = paths(params), leaves(params), slots_of(self, params, state)
        _check_leaves(self, names, thetas, held)
        gs = _gradients(params, thetas, grads)
        scalars, skipped = _prepared(self, params, grads, state)
        if skipped:
            return _unchanged(params, state, scalars)
        rows = _updated(self.parts(names, thetas), (thetas, gs, *held), state.t + 1, scalars)
        new = [rebuild(params, (row[i] for row in rows)) for i in range(1 + len(held))]
        return new[0], State(state.t + 1, dict(zip(self.slots, new[1:], strict=True)), scalars)

    def step(self, params: Tree, grads: Tree, state: State) -> None:
        """The same numbers, bit for bit, in place; one thread at a time."""
        targets = _targets(self, params, state)
        gs = _gradients(params, targets.thetas, grads)
        targets.refuse_shared(gs)
        scalars, skipped = _prepared(self, params, grads, state)
        if not skipped:
            targets.plan(gs, state.t + 1, scalars)
        state.t, state.scalars = state.t + (not skipped), scalars
