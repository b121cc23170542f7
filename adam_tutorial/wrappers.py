"""Wrappers: what happens around a rule.

A wrapper is a method that holds another. It changes the gradient before the rule sees it, looks at
all gradients before a step, or gives some parameters other settings. The rule inside stays as it
is, and the two together are again a rule on plain values: traced and compiled like any other.
"""

# Generated from chapters/wrappers.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import cache, reduce, wraps
from typing import Any, ClassVar

import numpy as np

from adam_tutorial.optimizer import (
    Hooks,
    Optimizer,
    Schedule,
    SkipStep,
    State,
    asked,
    keywords,
    widen,
)
from adam_tutorial.trees import Array, Tree, leaves, map_leaves, matched, paths, rebuild


# %% chapters/wrappers.ipynb#wrappers-composed
@cache
def composed(gradient: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule that gets gradient(theta, g) for g; each takes the keywords that it asks for."""
    own, inner = keywords(gradient), keywords(rule)

    @wraps(rule)
    def around(theta: Any, g: Any, *held: Any, **values: float) -> Any:
        g = gradient(theta, g, **{name: values[name] for name in own})
        return rule(theta, g, *held, **{name: values[name] for name in inner})

    around.asks = tuple(dict.fromkeys((*inner, *own)))  # type: ignore[attr-defined]
    return around


# %% chapters/wrappers.ipynb#wrappers-settings
def settings_of(method: Optimizer) -> dict[str, Any]:
    """The hyper-parameters of a method, and of the method inside a wrapper, by name."""
    own = {f.name: getattr(method, f.name) for f in fields(method)}
    found = {name: value for name, value in own.items() if not isinstance(value, Optimizer)}
    for value in own.values():
        if isinstance(value, Optimizer):
            found = {**settings_of(value), **found}
    return found


def with_settings(method: Optimizer, settings: Mapping[str, Any]) -> Optimizer:
    """The same method with other hyper-parameters, each found by its name in whatever wrapper.

    Raises ValueError for a name that the method does not have.
    """
    if strange := sorted(set(settings) - set(settings_of(method))):
        raise ValueError(
            f"{type(method).__name__} has no hyper-parameter {strange[0]!r}; it has "
            f"{', '.join(settings_of(method)) or 'none'}."
        )
    own = {f.name: getattr(method, f.name) for f in fields(method)}
    new = {name: value for name, value in settings.items() if name in own}
    for name, value in own.items():
        if isinstance(value, Optimizer):
            inside = settings_of(value)
            theirs = {key: settings[key] for key in settings if key in inside and key not in own}
            new[name] = with_settings(value, theirs)
    return replace(method, **new)


# %% chapters/wrappers.ipynb#wrappers-checks
def _check_inner(wrapper: Any) -> None:
    """What is inside is a method, and has no setting of the same name."""
    inner, name = wrapper.inner, type(wrapper).__name__
    if not isinstance(inner, Optimizer):
        raise TypeError(f"inner: expected an optimizer, such as Adam(lr=1e-3), got {inner!r}.")
    own = {f.name for f in fields(wrapper)} - {*wrapper.no_numbers}
    if taken := sorted(own & set(settings_of(inner))):
        raise TypeError(
            f"inner: {type(inner).__name__} has {taken[0]} already, so {name} around it would make "
            f"two of them. Set the one inside, or leave {name} out."
        )


def _prepares(method: Any) -> bool:
    """Whether a method, or one inside it, computes numbers from all gradients."""
    prepare = type(method).prepare
    if getattr(prepare, "only_inside", False):
        return _prepares(method.inner)
    return prepare is not Hooks.prepare


def _only_inside(prepare: Any) -> Any:
    """Mark a `prepare` that has no numbers of its own."""
    prepare.only_inside = True
    return prepare


# %% chapters/wrappers.ipynb#wrappers-inside
@dataclass(frozen=True)
class _Holding(Optimizer):
    """A method inside, and what it says of itself."""

    inner: Optimizer
    no_numbers: ClassVar[tuple[str, ...]] = ("inner",)

    def __post_init__(self) -> None:
        _check_inner(self)
        super().__post_init__()

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.inner.slots

    @property
    def elementwise(self) -> bool:  # type: ignore[override]
        return self.inner.elementwise

    @property
    def eps(self) -> float:
        inner: Any = self.inner  # AttributeError where it has none
        return float(inner.eps)


# %% chapters/wrappers.ipynb#wrappers-around
@dataclass(frozen=True)
class _Around(_Holding):
    """What every wrapper hands on to the method inside."""

    def hyper(self, t: int) -> dict[str, float]:
        return {**self.inner.hyper(t), **super().hyper(t)}

    def known(self, t: int, scalars: dict[str, float]) -> dict[str, float]:
        return {**self.inner.known(t, scalars), **super().hyper(t), **scalars}

    def init_leaf(self, theta: Array) -> tuple[Array, ...]:
        return self.inner.init_leaf(theta)

    def slot_shapes(self, theta: Array) -> Sequence[tuple[int, ...]] | None:
        return self.inner.slot_shapes(theta)

    def inside(self, state: State, scalars: dict[str, float] | None = None) -> State:
        """The state as `inner` knows it."""
        slots = {name: state.slots[name] for name in self.inner.slots}
        return State(state.t, slots, state.scalars if scalars is None else scalars)

    def metric(self, state: State) -> Tree | float:
        return self.inner.metric(self.inside(state))


# %% chapters/wrappers.ipynb#wrappers-class
@dataclass(frozen=True)
class Wrapper(_Around):
    """A method around another, `inner`, with its slots and its hyper-parameters besides its own.

    A subclass states `gradient(theta, g, *, ...)`: what the rule of `inner` gets for g.
    """

    gradient: ClassVar[Callable[..., Any]] = staticmethod(lambda theta, g: g)

    @property
    def rule(self) -> Callable[..., tuple[Any, ...]]:  # type: ignore[override]
        return composed(type(self).gradient, self.inner.rule)

    @_only_inside
    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        return self.prepare_inside(params, grads, state, state.scalars)

    def prepare_inside(
        self, params: Tree, grads: Tree, state: State, scalars: dict[str, float]
    ) -> dict[str, float]:
        """What `inner` prepares from the gradients that its rule will see, besides these scalars."""
        if not _prepares(self.inner):
            return scalars
        own = asked(self.gradient, {**Hooks.hyper(self, state.t + 1), **scalars})
        seen = map_leaves(
            lambda theta, g: self.gradient(widen(theta), widen(g), **own), params, grads
        )
        return {**scalars, **self.inner.prepare(params, seen, self.inside(state, scalars))}

    def parts(self, names: list[str], thetas: list[Array]) -> Sequence[Hooks]:
        inner: Sequence[Any] = self.inner.parts(names, thetas)
        around = {
            id(part): self if part is self.inner else replace(self, inner=part) for part in inner
        }
        return [around[id(part)] for part in inner]


# %% chapters/wrappers.ipynb#wrappers-maximize
@dataclass(frozen=True)
class Maximize(Wrapper):
    """Climb instead of descend: the rule of `inner` gets -g."""

    @staticmethod
    def gradient(theta: Any, g: Any) -> Any:
        return -g


# %% chapters/wrappers.ipynb#wrappers-l2
@dataclass(frozen=True)
class L2(Wrapper):
    """The penalty (weight_decay / 2) |theta|**2 [Hoerl & Kennard 1970]: its gradient is added to g.

    What PyTorch calls `weight_decay`, in its optimizers that are not decoupled.
    """

    weight_decay: Schedule  # lambda, in units of the curvature

    @staticmethod
    def gradient(theta: Any, g: Any, *, weight_decay: float) -> Any:
        return g + weight_decay * theta


# %% chapters/wrappers.ipynb#wrappers-norm
@np.errstate(over="ignore", under="ignore", invalid="ignore")
def global_norm(tree: Tree) -> float:
    """The Euclidean length of all leaves together, computed in float64; 0 for no leaves.

    Neither overflows nor underflows where the length itself does not; infinity or NaN if a leaf
    holds one. With CuPy arrays the host waits for the GPU, once if the squares fit into float64.
    """
    float64 = np.dtype(np.float64)
    arrays = [a if a.dtype == float64 else a.astype(float64) for a in leaves(tree) if a.size]
    if not arrays:
        return 0.0
    square = float(
        sum(np.sum(array * array) for array in arrays)
    )  # added where they are, read once
    if sys.float_info.min / sys.float_info.epsilon < square < math.inf:
        return math.sqrt(square)
    largest = float(reduce(np.maximum, [np.max(np.abs(array)) for array in arrays]))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = [array / largest for array in arrays]
    length = largest * math.sqrt(float(sum(np.sum(array * array) for array in scaled)))
    return min(length, sys.float_info.max)


# %% chapters/wrappers.ipynb#wrappers-clipped
@dataclass(frozen=True)
class Clipped(Wrapper):
    """Gradients no longer than `max_norm`, all leaves together [Pascanu et al. 2013].

    A gradient of 0 stays 0. Of an infinite one the finite entries become 0 and the others NaN: look
    for those with `Guarded`. With CuPy arrays each step waits for the GPU, to read the length.
    """

    max_norm: float  # the greatest length, in units of the gradient

    @staticmethod
    def gradient(theta: Any, g: Any, *, clip: float) -> Any:
        return clip * g

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        norm = global_norm(grads)
        clip = 1.0 if norm <= self.max_norm else self.max_norm / norm
        return self.prepare_inside(params, grads, state, {**state.scalars, "clip": clip})


# %% chapters/wrappers.ipynb#wrappers-finite
def all_finite(tree: Tree) -> bool:
    """Whether no leaf holds infinity or NaN. With CuPy arrays the host waits for the GPU, once."""
    found = [np.all(np.isfinite(leaf)) for leaf in leaves(tree)]
    return not found or bool(reduce(np.logical_and, found))


def _where_not_finite(grads: Tree) -> str:
    """The leaves with such entries, and how many."""
    counts = [leaf.size - int(np.sum(np.isfinite(leaf))) for leaf in leaves(grads)]
    found = [
        f"{path} ({count} of {leaf.size})"
        for path, leaf, count in zip(paths(grads), leaves(grads), counts, strict=True)
        if count
    ]
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more leaves" if len(found) > 3 else "")


# %% chapters/wrappers.ipynb#wrappers-guarded
_POLICIES = ("raise", "skip", "propagate")


@dataclass(frozen=True)
class Guarded(Wrapper):
    """What to do where a gradient holds infinity or NaN.

    "raise" raises FloatingPointError and changes nothing. "skip" leaves the step out, and counts it
    in the scalar `skipped`. Both read all gradients before a step; with CuPy arrays the host waits
    for the GPU. "propagate" takes the step without looking.
    """

    nonfinite: str = "raise"
    no_numbers = ("inner", "nonfinite")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nonfinite not in _POLICIES:
            raise ValueError(f"nonfinite must be one of {_POLICIES}, got {self.nonfinite!r}")

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        if self.nonfinite == "propagate" or all_finite(grads):
            return self.prepare_inside(params, grads, state, state.scalars)
        if self.nonfinite == "skip":
            raise SkipStep({**state.scalars, "skipped": state.scalars.get("skipped", 0) + 1})
        raise FloatingPointError(
            f"step {state.t + 1}: not all gradients are finite: {_where_not_finite(grads)}. Look for "
            'a division by 0 or an overflow in the loss, or use Guarded(..., nonfinite="skip"). '
            "Nothing was changed."
        )


# %% chapters/wrappers.ipynb#wrappers-part
Selector = str | int | Callable[[str, Array], bool]


def _selects(selector: Selector, path: str, leaf: Array) -> bool:
    """Whether a pattern for the path, a number of dimensions, or a function chooses this leaf."""
    path = path.partition("/")[2]  # without the word "params"
    if isinstance(selector, str):
        return fnmatchcase(path, selector)
    if callable(selector):
        return bool(selector(path, leaf))
    return bool(leaf.ndim == selector)


@dataclass(frozen=True)
class _Part(_Around):
    """The method of one group. Its scalars carry the number of the group in the state's."""

    index: int = 0
    no_numbers = ("inner", "index")

    @property
    def rule(self) -> Callable[..., tuple[Any, ...]]:  # type: ignore[override]
        return self.inner.rule

    def known(self, t: int, scalars: dict[str, float]) -> dict[str, float]:
        return self.inner.known(t, self.own(scalars))

    def own(self, scalars: dict[str, float]) -> dict[str, float]:
        end = f"[{self.index}]"
        return {key.removesuffix(end): n for key, n in scalars.items() if key.endswith(end)}

    def named(self, scalars: dict[str, float]) -> dict[str, float]:
        return {f"{key}[{self.index}]": number for key, number in scalars.items()}


# %% chapters/wrappers.ipynb#wrappers-chosen
def chosen(
    groups: Mapping[Selector, Any], names: list[str], thetas: list[Array], field: str = "groups"
) -> list[int]:
    """For each leaf the number of the first selector that fits it, from 1; 0 where none does.

    ValueError, which names the field that holds the selectors, for one that fits no leaf.
    """
    fits = [
        [_selects(selector, *leaf) for selector in groups]
        for leaf in zip(names, thetas, strict=True)
    ]
    for selector, column in zip(groups, zip(*fits, strict=True), strict=False):
        if not any(column):
            raise ValueError(
                f"{field}: {selector!r} fits no leaf. The leaves are "
                f"{', '.join(name.partition('/')[2] or name for name in names[:20])}. A pattern is "
                "compared with a whole path, so write '*bias' for any leaf so called. Nothing was "
                "changed."
            )
    return [row.index(True) + 1 if True in row else 0 for row in fits]


def _unique(names: list[str]) -> list[str]:
    """The paths, made different: {"a/b": ...} and {"a": {"b": ...}} have the same."""
    return names if len(set(names)) == len(names) else [f"{n} ({i})" for i, n in enumerate(names)]


# %% chapters/wrappers.ipynb#wrappers-method-of
def check_selector(selector: Any, field: str = "groups") -> None:
    """TypeError, which names the field, for what cannot choose leaves."""
    if isinstance(selector, bool) or not (isinstance(selector, (str, int)) or callable(selector)):
        raise TypeError(
            f"{field}: a selector is a pattern, a number of dimensions, or a function of (path, "
            f"array); got {selector!r}."
        )


def _method_of(inner: Optimizer, selector: Any, settings: Any) -> Optimizer:
    """The method with the settings of one group, or an error that names the group."""
    check_selector(selector)
    if not isinstance(settings, Mapping):
        raise TypeError(
            f"group {selector!r}: expected a dict of settings, such as {{'lr': 1e-3}}, got {settings!r}."
        )
    try:
        return with_settings(inner, settings)
    except (TypeError, ValueError) as error:
        raise type(error)(f"group {selector!r}: {error}") from None


# %% chapters/wrappers.ipynb#wrappers-grouped
class _Grouped(_Around):
    """The hooks of `Groups`: each asks the method of a group about the leaves of that group."""

    def _split(self, params: Tree, state: State, *columns: Any) -> Iterator[Any]:
        """For each group its method, its state, and its share of each column, by path."""
        names, columns = _unique(paths(params)), (leaves(params), *columns)
        held = [matched(params, state.slots[name], f"state.{name}") for name in self.slots]
        parts: Sequence[Any] = self.parts(paths(params), leaves(params))
        for part in {id(part): part for part in parts}.values():
            at = [i for i, each in enumerate(parts) if each is part]
            slots, rest = (
                [{names[i]: column[i] for i in at} for column in columns]
                for columns in (held, columns)
            )
            own = dict(zip(self.slots, slots, strict=True))
            yield part, State(state.t, own, part.own(state.scalars)), *rest

    @_only_inside
    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        if not _prepares(self.inner):
            return state.scalars
        found, gs = dict(state.scalars), matched(params, grads, "grads")
        for part, inside, thetas, own in self._split(params, state, gs):
            try:
                found |= part.named(part.inner.prepare(thetas, own, inside))
            except SkipStep as skipped:
                raise SkipStep({**state.scalars, **part.named(skipped.scalars)}) from None
        return found

    def metric(self, state: State) -> Tree:
        if not self.slots:
            raise TypeError("metric: a state without slots does not say which leaves form groups.")
        like = state.slots[self.slots[0]]
        found: dict[str, Array] = {}
        for part, inside, held in self._split(like, state):
            h = part.inner.metric(inside)
            found |= h if isinstance(h, dict) else {k: np.full_like(a, h) for k, a in held.items()}
        return rebuild(like, [found[name] for name in _unique(paths(like))])


# %% chapters/wrappers.ipynb#wrappers-groups
@dataclass(frozen=True)
class Groups(_Grouped):
    """Other settings for some leaves: Groups(Adam(1e-3), {"*/bias": {"lr": 1e-4}, 1: {...}}).

    A key selects leaves: a pattern for the path ("encoder/*"), a number of dimensions, or a function
    of (path, array). The first that fits decides. The value names hyper-parameters of `inner`, and
    what they are for these leaves. `Clipped` inside looks at one group at a time, outside at all.
    Raises ValueError for an unknown name, and at `init` for a selector that fits no leaf.
    """

    groups: Mapping[Selector, Mapping[str, Any]] = field(hash=False)
    no_numbers = ("inner", "groups")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.elementwise:
            raise TypeError(
                f"inner: {type(self.inner).__name__} needs whole leaves, and chooses among them itself; "
                "Groups takes a method with an elementwise rule."
            )
        if not isinstance(self.groups, Mapping) or "groups" in settings_of(self.inner):
            raise TypeError(
                "groups: expected one dict of selectors and settings, not one in another"
            )
        others = [_method_of(self.inner, *group) for group in self.groups.items()]
        methods = [_Part(each, i) for i, each in enumerate([self.inner, *others])]
        object.__setattr__(self, "_methods", methods)

    @property
    def rule(self) -> Callable[..., tuple[Any, ...]]:  # type: ignore[override]
        return self.inner.rule

    def parts(self, names: list[str], thetas: list[Array]) -> Sequence[Hooks]:
        methods: list[_Part] = self.__dict__["_methods"]
        return [methods[i] for i in chosen(self.groups, names, thetas)]
