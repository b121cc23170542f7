"""The table that drives the tests: one row per optimizer, and the gradients that every row meets.

A test that holds for any optimizer runs over `CASES`, so a new optimizer is tested by adding its
row. Nothing here needs more than NumPy: torch is imported by the rows that are asked for it, and
`tools/make_golden.py` reads the same gradients where torch is not installed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from adam_tutorial import (
    L2,
    SGD,
    Adam,
    AdamHat,
    Clipped,
    Groups,
    Guarded,
    MasterWeights,
    Maximize,
    Optimizer,
)
from adam_tutorial.trees import Array, Tree, leaves, map_leaves, matched, paths
from adam_tutorial.wrappers import with_settings

STEPS, COORDINATES = 200, 8
SEQUENCES = ("random", "zero", "sparse", "huge", "tiny", "spiked", "sign-flipping", "constant")
RECORDED = (*range(1, 11), *range(20, STEPS + 1, 10))  # the steps a golden trajectory keeps


def gradients(sequence: str) -> Array:
    """200 gradients of 8 coordinates in float64, the same on every machine."""
    rng = np.random.default_rng(SEQUENCES.index(sequence))
    shape = (STEPS, COORDINATES)
    g = rng.standard_normal(shape)
    t = np.arange(STEPS)[:, None]
    return {
        "random": g,
        "zero": np.zeros(shape),
        "sparse": g * (rng.random(shape) < 0.05),
        "huge": 1e30 * g,
        "tiny": 1e-30 * g,
        "spiked": g * np.where(t % 50 == 20, 1e6, 1.0),
        "sign-flipping": np.abs(g) * (-1.0) ** t,
        "constant": np.repeat(g[:1], STEPS, axis=0),
    }[sequence]


def start(sequence: str) -> Array:
    """Where a trajectory starts: at 0 for tiny gradients, which would drown in anything larger."""
    rng = np.random.default_rng(100 + SEQUENCES.index(sequence))
    return np.zeros(COORDINATES) if sequence == "tiny" else rng.standard_normal(COORDINATES)


@dataclass(frozen=True)
class Case:
    """One optimizer, and what it must agree with."""

    name: str
    make: Callable[..., Optimizer]  # with the row's hyper-parameters; keywords replace some
    moment: Callable[[Any, Any, Array], Array]  # (optimizer, state, g): what the metric divides
    torch: Callable[[list[Any]], Any] | None = None  # the equal torch.optim optimizer of tensors
    golden: tuple[str, ...] = ()  # trajectories in tests/golden equal to it
    across: bool = False  # looks at all gradients, so what happens to one concerns the others
    pulls: bool = False  # moves parameters whose gradient is 0
    ulps: int = 0  # how far a GPU may be from NumPy: 0 for a rule of + - * / sqrt alone

    def __str__(self) -> str:
        return self.name


def torch_optim(name: str, **hyper: Any) -> Callable[[list[Any]], Any]:
    """Build torch.optim's optimizer; torch is imported when a test asks, not before."""

    def build(tensors: list[Any]) -> Any:
        import torch

        return getattr(torch.optim, name)(tensors, **hyper)

    return build


def gradient(optimizer: Any, state: Any, g: Array) -> Array:
    return g


def corrected_mean(optimizer: Any, state: Any, g: Array) -> Array:
    return state.m / (1 - optimizer.beta1**state.t)


def mean_inside(wrapper: Any, state: Any, g: Array) -> Array:
    return corrected_mean(wrapper.inner, state, g)


def around(wrapper: Callable[..., Optimizer], inner: Optimizer) -> Callable[..., Optimizer]:
    """Make a wrapper around `inner`; keywords replace the settings of either."""

    def make(**hyper: Any) -> Optimizer:
        return with_settings(wrapper(inner), hyper)

    return make


CASES = (
    Case(
        "SGD",
        partial(SGD, lr=0.05),
        gradient,
        torch=torch_optim("SGD", lr=0.05),
        golden=("optax-sgd", "keras-sgd"),
    ),
    Case(
        "Adam",
        partial(Adam, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6),
        corrected_mean,
        torch=torch_optim("Adam", lr=0.003, betas=(0.8, 0.98), eps=1e-6),
        golden=("optax-adam",),
    ),
    Case(
        "AdamHat",
        partial(AdamHat, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6),
        corrected_mean,
        golden=("keras-adam",),
    ),
    Case(
        "MasterWeights",
        around(MasterWeights, Adam(0.003, 0.8, 0.98, 1e-6)),
        mean_inside,
        torch=torch_optim("Adam", lr=0.003, betas=(0.8, 0.98), eps=1e-6),
    ),
    Case(
        "L2",
        around(partial(L2, weight_decay=5e-4), Adam(0.003, 0.8, 0.98, 1e-6)),
        mean_inside,
        torch=torch_optim("Adam", lr=0.003, betas=(0.8, 0.98), eps=1e-6, weight_decay=5e-4),
        pulls=True,
    ),
    Case(
        "Maximize",
        around(Maximize, Adam(0.003, 0.8, 0.98, 1e-6)),
        mean_inside,
        torch=torch_optim("Adam", lr=0.003, betas=(0.8, 0.98), eps=1e-6, maximize=True),
    ),
    Case(
        "Clipped",
        around(partial(Clipped, max_norm=1.0), SGD(lr=0.05)),
        lambda optimizer, state, g: state.clip * g,
        across=True,
        ulps=8,  # a GPU adds the squares in another order
    ),
    Case("Guarded", around(Guarded, Adam(0.003, 0.8, 0.98, 1e-6)), mean_inside, across=True),
    Case(
        "Groups",  # one group, which holds every leaf
        around(partial(Groups, groups={"*": {"beta1": 0.8}}), Adam(0.003, 0.1, 0.98, 1e-6)),
        lambda optimizer, state, g: state.m / (1 - 0.8**state.t),
        torch=torch_optim("Adam", lr=0.003, betas=(0.8, 0.98), eps=1e-6),
    ),
)


def known(method: Any, theta: Array, g: Array, state: Any) -> dict[str, float]:
    """All that the rule may ask for at the next step of a single array."""
    (part,) = method.parts(["params"], [theta])
    return part.known(state.t + 1, method.prepare(theta, g, state))


def differing(one: Tree, other: Tree) -> list[str]:
    """The paths of the leaves whose type, dtype, shape or bits differ: [] where none does."""
    pairs = zip(paths(one), leaves(one), matched(one, other), strict=True)
    return [path for path, a, b in pairs if _bits(a) != _bits(b)]


def _bits(leaf: Any) -> tuple[Any, ...]:
    if not isinstance(leaf, np.ndarray):
        return type(leaf), leaf
    return type(leaf), leaf.dtype, leaf.shape, leaf.tobytes()


def random_like(tree: Tree, seed: int, dtype: Any = np.float64) -> Tree:
    """A tree of the same shape with normal random numbers in its leaves."""
    rng = np.random.default_rng(seed)
    return map_leaves(lambda leaf: np.array(rng.standard_normal(leaf.shape)).astype(dtype), tree)
