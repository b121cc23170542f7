"""Master weights: parameters in 16 bits, and a copy in 32 that remembers what rounding would lose.

A step that is smaller than half the distance between two 16-bit numbers changes nothing, however
often it is taken. The copy adds such steps up.
"""

# Generated from chapters/executors.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any

import numpy as np

from adam_tutorial.optimizer import State, compute_dtype, widen
from adam_tutorial.trees import Array, Tree
from adam_tutorial.wrappers import Wrapper


# %% chapters/executors.ipynb#precision-master
@dataclass(frozen=True)
class MasterWeights(Wrapper):
    """Any method, on a float32 copy of half-precision parameters.

    The slot `master` holds the copy [Micikevicius et al. 2018]. Each step moves it by the rule of
    `inner`; the parameters are the copy, rounded. float32 and float64 are copied as they are.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.inner, MasterWeights):
            raise TypeError("inner: the parameters have master weights already.")

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("master", *self.inner.slots)

    @property
    def rule(self) -> Callable[..., tuple[Any, ...]]:  # type: ignore[override]
        return _on_master(self.inner.rule)

    def init_leaf(self, theta: Array) -> tuple[Array, ...]:
        master = np.zeros_like(theta, dtype=compute_dtype(theta.dtype), order="C")
        master[...] = widen(theta)
        return (master, *self.inner.init_leaf(theta))

    def slot_shapes(self, theta: Array) -> Sequence[tuple[int, ...]] | None:
        inner = self.inner.slot_shapes(theta)
        return None if inner is None else [theta.shape, *inner]

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        return self.inner.prepare(state.slots["master"], grads, self.inside(state))


# %% chapters/executors.ipynb#precision-rule
@cache
def _on_master(rule: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """The rule applied to the copy; the new parameter is the new copy."""

    @wraps(rule)
    def on_master(theta: Any, g: Any, master: Any, *held: Any, **values: float) -> tuple[Any, ...]:
        new = rule(master, g, *held, **values)
        return (new[0], *new)

    return on_master
