"""The table that drives the tests: one row per optimizer, and the gradients that every row meets.

A test that holds for any optimizer runs over `CASES`, so a new optimizer is tested by adding its
row. Methods that need whole leaves have a table of their own, `WHOLE`, and the tests of
`test_whole_leaf.py`: no machine compiles them, and they may ask something of their parameters. Nothing here needs more than NumPy: torch is imported by the rows that are asked for it, and
`tools/make_golden.py` reads the same gradients where torch is not installed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from adam_tutorial import (
    L2,
    SGD,
    SGDW,
    SWATS,
    Adadelta,
    Adagrad,
    Adam,
    AdaMax,
    AdamHat,
    AdamNC,
    AdamW,
    AdamX,
    AMSGrad,
    AnnealedAdam,
    Ball,
    Box,
    CenteredRMSProp,
    Clipped,
    Decoupled,
    Groups,
    Guarded,
    MasterWeights,
    Maximize,
    Momentum,
    MomentumRMSProp,
    Nadam,
    NDAdam,
    Nesterov,
    OptaxAMSGrad,
    Optimizer,
    PaperAdamW,
    Projected,
    RMSProp,
    Simplex,
    TorchAMSGrad,
    UnbiasedNadam,
    UncorrectedAdam,
    dozat_schedule,
    normalised,
)
from adam_tutorial.conventions import (
    KerasAdagrad,
    KerasAdaMax,
    KerasCenteredRMSProp,
    KerasMomentumRMSProp,
    KerasRMSProp,
    TorchAdaMax,
    TorchMomentum,
    TorchMomentumRMSProp,
    TorchNAdam,
    TorchNesterov,
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
    shrink: Callable[[Any, int], float] = lambda optimizer, t: 0.0  # the share of theta taken away
    fit: Callable[[Tree], Tree] = lambda tree: tree  # parameters such as the method accepts
    still: bool = False  # stands still where its rule divides 0 by 0
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


def velocity(optimizer: Any, state: Any, g: Array) -> Array:
    """The move in units of the gradient: momentum keeps it in units of the parameter."""
    return state.m / optimizer.hyper(state.t)["lr"]


def velocity_ahead(optimizer: Any, state: Any, g: Array) -> Array:
    return state.momentum_next * velocity(optimizer, state, g) + g


def corrected_mean(optimizer: Any, state: Any, g: Array) -> Array:
    return state.m / (1 - optimizer.beta1**state.t)


def buffer(optimizer: Any, state: Any, g: Array) -> Array:
    return state.m


def look_ahead(optimizer: Any, state: Any, g: Array) -> Array:
    return g + optimizer.momentum * state.m


def mean_ahead(optimizer: Any, state: Any, g: Array) -> Array:
    now, ahead = 1 - state.mu_product, 1 - state.mu_product * state.mu_next
    return (1 - state.mu) * g / now + state.mu_next * state.m / ahead


def unbiased_mean_ahead(optimizer: Any, state: Any, g: Array) -> Array:
    ahead = 1 - state.mu_product * state.mu_next
    return (state.mu_next * state.m + (1 - state.mu_next) * g) / ahead


def shrink_by_lr(optimizer: Any, t: int) -> float:
    now = optimizer.hyper(t)
    return float(now["lr"] * now["weight_decay"])


def shrink_by_eta(optimizer: Any, t: int) -> float:
    now = optimizer.hyper(t)
    return float(now["eta"] * now["weight_decay"])


def velocity_of_eta(optimizer: Any, state: Any, g: Array) -> Array:
    return velocity(optimizer, state, g) / optimizer.hyper(state.t)["eta"]


def mean_inside(wrapper: Any, state: Any, g: Array) -> Array:
    return corrected_mean(wrapper.inner, state, g)


def around(wrapper: Callable[..., Optimizer], inner: Optimizer) -> Callable[..., Optimizer]:
    """Make a wrapper around `inner`; keywords replace the settings of either."""

    def make(**hyper: Any) -> Optimizer:
        return with_settings(wrapper(inner), hyper)

    return make


def adadelta_step(optimizer: Any, state: Any, g: Array) -> Array:
    """sqrt(x + eps) g with the x of the step before, which x and v give back."""
    eps, rho = optimizer.eps, optimizer.rho
    share = (1 - rho) * (g * g) / (state.v + eps)  # x = rho * old + share * (old + eps)
    old = (state.x - share * eps) / (rho + share)
    return np.sqrt(old + eps) * g


def shrinking(t: int) -> float:
    """A beta1 that never rises, as the theory of AMSGrad asks."""
    return 0.8 / t


CASES = (
    Case(
        "SGD",
        partial(SGD, lr=0.05),
        gradient,
        torch=torch_optim("SGD", lr=0.05),
        golden=("optax-sgd", "keras-sgd"),
    ),
    Case(
        "Momentum",
        partial(Momentum, lr=0.05, momentum=0.8),
        velocity,
        torch=torch_optim("SGD", lr=0.05, momentum=0.8),
        golden=("optax-momentum", "keras-momentum"),
    ),
    Case(
        "Nesterov",
        partial(Nesterov, lr=0.05, momentum=0.8),
        velocity_ahead,
        torch=torch_optim("SGD", lr=0.05, momentum=0.8, nesterov=True),
        golden=("optax-nesterov", "keras-nesterov"),
    ),
    Case(
        "Adagrad",
        partial(Adagrad, lr=0.05, eps=1e-6),
        gradient,
        torch=torch_optim("Adagrad", lr=0.05, eps=1e-6),
    ),
    Case(
        "RMSProp",
        partial(RMSProp, lr=0.003, rho=0.8, eps=1e-6),
        gradient,
        torch=torch_optim("RMSprop", lr=0.003, alpha=0.8, eps=1e-6),
        golden=("optax-rmsprop-outside",),
    ),
    Case(
        "CenteredRMSProp",  # a long memory: what torch subtracts then loses few digits
        partial(CenteredRMSProp, lr=0.003, rho=0.98, eps=1e-3),
        gradient,
        torch=torch_optim("RMSprop", lr=0.003, alpha=0.98, eps=1e-3, centered=True),
        golden=("optax-rmsprop-centered-outside",),
    ),
    Case(
        "MomentumRMSProp",
        partial(MomentumRMSProp, lr=0.003, rho=0.8, momentum=0.7, eps=1e-6),
        velocity,
        torch=torch_optim("RMSprop", lr=0.003, alpha=0.8, momentum=0.7, eps=1e-6),
        golden=("optax-rmsprop-momentum-outside",),
    ),
    Case(
        "Adadelta",
        partial(Adadelta, lr=0.5, rho=0.8, eps=1e-4),
        adadelta_step,
        torch=torch_optim("Adadelta", lr=0.5, rho=0.8, eps=1e-4),
        golden=("keras-adadelta", "optax-adadelta"),
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
        "UncorrectedAdam",
        partial(UncorrectedAdam, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6),
        buffer,
        still=True,
    ),
    Case(
        "Nadam",
        partial(Nadam, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6),
        mean_ahead,
        golden=("optax-nadam",),
    ),
    Case(
        "NadamWarming",
        partial(Nadam, lr=0.003, beta1=dozat_schedule(0.95, 0.1), beta2=0.98, eps=1e-6),
        mean_ahead,
    ),
    Case(
        "UnbiasedNadam",
        partial(UnbiasedNadam, lr=0.003, beta1=dozat_schedule(0.95, 0.1), beta2=0.98, eps=1e-6),
        unbiased_mean_ahead,
    ),
    Case(
        "SWATS",  # Adam to the end: no two rates agree this closely
        partial(SWATS, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6, tolerance=0.0),
        buffer,
        across=True,
        ulps=8,  # a GPU may take another power of beta
    ),
    Case(
        "SWATSSwitched",  # SGD from the third step on, if the mean rate is positive
        partial(SWATS, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6, tolerance=1e6),
        buffer,
        across=True,
        ulps=8,  # a GPU adds the products in another order
    ),
    Case(
        "AdaMax",
        partial(AdaMax, lr=0.003, beta1=0.8, beta2=0.98),
        corrected_mean,
        torch=torch_optim("Adamax", lr=0.003, betas=(0.8, 0.98), eps=1e-300),
    ),
    Case(
        "AnnealedAdam",
        partial(AnnealedAdam, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6, decay=0.99),
        corrected_mean,
        still=True,
    ),
    Case(
        "AMSGrad",
        partial(AMSGrad, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6),
        buffer,
        still=True,
        golden=("optax-amsgrad-uncorrected",),
    ),
    Case(
        "AMSGradShrinking",
        partial(AMSGrad, lr=0.003, beta1=shrinking, beta2=0.98, eps=1e-6),
        buffer,
        still=True,
    ),
    Case(
        "TorchAMSGrad",
        partial(TorchAMSGrad, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6),
        buffer,
        still=True,
        torch=torch_optim("Adam", lr=0.003, betas=(0.8, 0.98), eps=1e-6, amsgrad=True),
    ),
    Case(
        "OptaxAMSGrad",
        partial(OptaxAMSGrad, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6),
        buffer,
        still=True,
        golden=("optax-amsgrad",),
    ),
    Case(
        "AdamX",
        partial(AdamX, lr=0.003, beta1=shrinking, beta2=0.98, eps=1e-6),
        buffer,
        still=True,
    ),
    Case("AdamNC", partial(AdamNC, lr=0.003, beta1=0.8, eps=1e-6), buffer, still=True),
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
        golden=("optax-l2",),
        pulls=True,
    ),
    Case(
        "AdamW",
        partial(AdamW, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6, weight_decay=0.2),
        corrected_mean,
        torch=torch_optim("AdamW", lr=0.003, betas=(0.8, 0.98), eps=1e-6, weight_decay=0.2),
        golden=("optax-adamw",),
        pulls=True,
        shrink=shrink_by_lr,
    ),
    Case(
        "PaperAdamW",  # torch gets what is multiplied by its lr
        partial(
            PaperAdamW, lr=0.006, beta1=0.8, beta2=0.98, eps=1e-6, weight_decay=0.0012, eta=0.5
        ),
        corrected_mean,
        torch=torch_optim("AdamW", lr=0.003, betas=(0.8, 0.98), eps=1e-6, weight_decay=0.2),
        golden=("optax-paper-adamw",),
        pulls=True,
        shrink=shrink_by_eta,
    ),
    Case(
        "SGDW",
        partial(SGDW, lr=0.1, momentum=0.8, weight_decay=0.002, eta=0.5),
        velocity_of_eta,
        golden=("optax-sgdw", "keras-sgdw"),
        pulls=True,
        shrink=shrink_by_eta,
    ),
    Case(
        "Decoupled",  # AdamW of Keras
        around(partial(Decoupled, weight_decay=0.2), AdamHat(0.003, 0.8, 0.98, 1e-6)),
        mean_inside,
        golden=("keras-adamw",),
        pulls=True,
        shrink=shrink_by_lr,
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
        golden=("optax-clipped", "keras-clipped"),
        across=True,
        ulps=8,  # a GPU adds the squares in another order
    ),
    Case("Guarded", around(Guarded, Adam(0.003, 0.8, 0.98, 1e-6)), mean_inside, across=True),
    Case(
        "Projected",  # the trajectories stay inside, and hostile numbers do not
        around(partial(Projected, domain=Box(-8, 8)), Adam(0.003, 0.8, 0.98, 1e-6)),
        mean_inside,
        torch=torch_optim("Adam", lr=0.003, betas=(0.8, 0.98), eps=1e-6),
        golden=("optax-adam",),
    ),
    Case(
        "Groups",  # one group, which holds every leaf
        around(partial(Groups, groups={"*": {"beta1": 0.8}}), Adam(0.003, 0.1, 0.98, 1e-6)),
        lambda optimizer, state, g: state.m / (1 - 0.8**state.t),
        torch=torch_optim("Adam", lr=0.003, betas=(0.8, 0.98), eps=1e-6),
    ),
    Case(
        "TorchMomentum",
        partial(TorchMomentum, lr=0.05, momentum=0.8, dampening=0.3),
        buffer,
        torch=torch_optim("SGD", lr=0.05, momentum=0.8, dampening=0.3),
    ),
    Case(
        "TorchNesterov",
        partial(TorchNesterov, lr=0.05, momentum=0.8),
        look_ahead,
        torch=torch_optim("SGD", lr=0.05, momentum=0.8, nesterov=True),
        golden=("optax-nesterov",),
    ),
    Case(
        "KerasAdagrad",
        partial(KerasAdagrad, lr=0.05, initial=0.2, eps=1e-3),
        gradient,
        golden=("keras-adagrad", "optax-adagrad"),
    ),
    Case(
        "KerasRMSProp",
        partial(KerasRMSProp, lr=0.003, rho=0.8, eps=1e-4),
        gradient,
        golden=("keras-rmsprop", "optax-rmsprop"),
    ),
    Case(
        "KerasCenteredRMSProp",
        partial(KerasCenteredRMSProp, lr=0.003, rho=0.8, eps=1e-4),
        gradient,
        golden=("keras-rmsprop-centered", "optax-rmsprop-centered"),
    ),
    Case(
        "KerasMomentumRMSProp",
        partial(KerasMomentumRMSProp, lr=0.003, rho=0.8, momentum=0.7, eps=1e-4),
        buffer,
        golden=("keras-rmsprop-momentum", "optax-rmsprop-momentum"),
    ),
    Case(
        "TorchMomentumRMSProp",
        partial(TorchMomentumRMSProp, lr=0.003, rho=0.8, momentum=0.7, eps=1e-4),
        buffer,
        torch=torch_optim("RMSprop", lr=0.003, alpha=0.8, momentum=0.7, eps=1e-4),
    ),
    Case(
        "TorchAdaMax",
        partial(TorchAdaMax, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-3),
        corrected_mean,
        torch=torch_optim("Adamax", lr=0.003, betas=(0.8, 0.98), eps=1e-3),
        golden=("optax-adamax",),
    ),
    Case(
        "KerasAdaMax",
        partial(KerasAdaMax, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-3),
        corrected_mean,
        golden=("keras-adamax",),
    ),
    Case(
        "TorchNAdam",
        partial(TorchNAdam, lr=0.003, beta1=0.8, beta2=0.98, eps=1e-6, momentum_decay=0.04),
        mean_ahead,
        torch=torch_optim("NAdam", lr=0.003, betas=(0.8, 0.98), eps=1e-6, momentum_decay=0.04),
        golden=("keras-nadam",),
    ),
)


def has_axes(path: str, leaf: Array) -> bool:
    return bool(leaf.ndim > 0)


def unit(tree: Tree) -> Tree:
    """The same with vectors of length 1 along the last axis of each leaf that has one."""
    return normalised(tree, {has_axes: -1})


def shares(tree: Tree) -> Tree:
    """The same, positive, and adding up to 2 in each leaf."""

    def shared(leaf: Array) -> Array:
        positive = np.exp(leaf.astype(float))
        return np.asarray(2 * positive / np.sum(positive)).astype(leaf.dtype)

    return map_leaves(shared, tree)


def in_ball(tree: Tree) -> Tree:
    return map_leaves(BALL.project, tree)


BALL = Ball(5.0, 0.1)
IN_DOMAIN = (
    Case(
        "InBall",
        around(partial(Projected, domain=BALL), Adam(0.003, 0.8, 0.98, 1e-6)),
        mean_inside,
        fit=in_ball,
    ),
    Case(
        "InSimplex",
        around(partial(Projected, domain=Simplex(2.0)), Nadam(0.003, 0.8, 0.98, 1e-6)),
        mean_inside,
        fit=shares,
    ),
)

ND_ADAM = NDAdam({has_axes: -1}, lr=0.003, ratio=20.0, beta1=0.8, beta2=0.98, eps=1e-6)

WHOLE = (
    Case("NDAdam", partial(replace, ND_ADAM), corrected_mean, fit=unit),
    Case("L2", around(partial(L2, weight_decay=5e-4), ND_ADAM), mean_inside, pulls=True, fit=unit),
    Case("Maximize", around(Maximize, ND_ADAM), mean_inside, fit=unit),
    Case("Clipped", around(partial(Clipped, max_norm=1.0), ND_ADAM), mean_inside, across=True, fit=unit),
    Case("Guarded", around(Guarded, ND_ADAM), mean_inside, across=True, fit=unit),
    Case("MasterWeights", around(MasterWeights, ND_ADAM), mean_inside, fit=unit),
    *IN_DOMAIN,
)  # fmt: skip


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
