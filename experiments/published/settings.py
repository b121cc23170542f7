"""The published experiments of part IV, as data: every number that decides a run is here.

| name | paper | what is compared |
|---|---|---|
| weight_decay | Loshchilov & Hutter 2019, figures 1 and 2 | L2 and decoupled decay on a grid |
| warm_restarts | Loshchilov & Hutter 2019, figure 4 | one cosine and warm restarts |
| swats | Keskar & Socher 2017, table 1 | SGD, Adam, and Adam that turns into SGD |
| nd_adam | Zhang et al. 2017, table 1, upper half | SGD, Adam, ND-Adam |
| marginal_value | Wilson et al. 2017, figure 1, appendix D | two plain and three adaptive methods |
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, pi, sqrt
from typing import Literal

EPOCH = 391  # updates in an epoch of CIFAR: 50,000 images in batches of 128


@dataclass(frozen=True)
class Run:
    """One training run."""

    method: str  # a class of adam_tutorial; see methods.py
    lr: float  # the largest learning rate
    decay: float = 0.0  # lambda: a penalty, or decoupled where the method's name ends in W
    normalised: bool = False  # `decay` is lambda_norm, divided by the root of a cycle's updates
    only_weights: bool = False  # `decay` spares biases and batch normalisation
    shape: Literal["drops", "cosine"] = "cosine"  # of the learning rate
    at: tuple[int, ...] = ()  # updates after which it drops to a tenth, or starts anew
    drop: float = 0.1
    steps: int = 100 * EPOCH
    network: str = "Shake-Shake"
    depth: int = 26
    width: float = 64
    data: str = "cifar10"
    batch: int = 128
    held_out: int = 0  # training images kept for validation; the papers kept none
    library: str = "adam_tutorial"  # or "torch": its own optimizers
    precision: str = "float32"  # or "bfloat16": mixed, the weights stay in float32
    seed: int = 0

    def __str__(self) -> str:
        kind = self.shape if self.at or self.shape == "cosine" else "fixed"
        restarts = " with restarts" if self.shape == "cosine" and self.at else ""
        special = {
            "torch's own": self.library == "torch",
            self.precision: self.precision != "float32",
            f"{self.held_out} held out": self.held_out,
        }
        words = [
            self.data,
            self.method,
            kind + restarts,
            f"lr {self.lr:.4g}",
            f"decay {self.decay:.4g}",
        ]
        return ", ".join(words + [word for word, true in special.items() if true])


@dataclass(frozen=True)
class Experiment:
    runs: tuple[Run, ...]
    seeds: int
    published: dict[str, float]  # test errors in percent that the paper prints, by str(run)


def cycle(run: Run, t: int) -> tuple[int, int]:
    """The updates before the cycle of update t = 1, 2, ..., and those at its end."""
    edges = (0, *run.at, run.steps)
    i = bisect_left(run.at, t)
    return edges[i], edges[i + 1]


def multiplier(run: Run) -> Callable[[int], float]:
    """eta_t, between 0 and 1: what the learning rate of update t = 1, 2, ... is multiplied by."""

    def eta(t: int) -> float:
        if run.shape == "drops":
            return run.drop ** bisect_left(run.at, t)
        start, end = cycle(run, t)
        return (1 + cos(pi * (t - 1 - start) / (end - start))) / 2

    return eta


def decay_at(run: Run, t: int) -> float:
    """lambda of update t, before eta_t; lambda_norm / sqrt(updates of the cycle) if normalised."""
    start, end = cycle(run, t)
    return run.decay / sqrt(end - start) if run.normalised else run.decay


def epochs(*numbers: int) -> tuple[int, ...]:
    return tuple(EPOCH * number for number in numbers)


def weight_decay() -> Experiment:
    """Grids in factors of 2; the figures' axes are multiples of 0.1 and 0.001.

    Their lower ends, and the zero, are read off the text (1/1024; lambda = 0); the others are ours.
    """
    rates = [0.1 * 2.0**-k for k in range(11)]
    decays = [0.0, *(0.001 * 2.0**-k for k in range(7))]
    shapes = {"Adam": 3, "AdamW": 3, "Momentum": 1, "SGDW": 1}  # figure 2 has the cosine only
    kinds = (
        Run("", 0),
        Run("", 0, shape="drops", at=epochs(30, 60, 80)),
        Run("", 0, shape="drops"),
    )
    runs = [
        replace(kind, method=method, lr=lr, decay=decay)
        for method, count in shapes.items()
        for kind in kinds[:count]
        for lr in rates
        for decay in decays
    ]
    return Experiment(tuple(runs), seeds=1, published={})


def warm_restarts() -> Experiment:
    """T_0 = 100 epochs, T_mult = 2, to the end of the fourth cycle; rates and decay of their README.

    Their Adam has a penalty instead, of a size that they do not print: without one here.
    """
    long = Run("", 0, width=96, steps=1500 * EPOCH, decay=0.025, normalised=True)
    runs = [
        replace(long, method=method, lr=lr, at=at)
        for method, lr in (("AdamW", 0.001), ("SGDW", 0.05))
        for at in ((), epochs(100, 300, 700))
    ]
    adam = replace(long, method="Adam", lr=0.001, decay=0.0, normalised=False)
    return Experiment((adam, *runs), seeds=3, published={})


def swats() -> Experiment:
    """300 epochs, a tenth of the rate after 150, 225 and 262; batch and decay as He et al. have them.

    Best were 0.1 or 0.3 for SGD, 0.001 or 0.002 for Adam and SWATS (CIFAR-10 or -100). SWATS became
    SGD after 1.37 or 10.42 epochs, with a rate of 0.52 or 1.22.
    """
    drops = Run(
        "", 0, decay=1e-4, shape="drops", at=epochs(150, 225, 262), steps=300 * EPOCH,
        network="ResNet", depth=32, width=1,
    )  # fmt: skip
    grid = (0.0005, 0.0007, 0.001, 0.002, 0.003, 0.004, 0.005)
    coarse = (0.01, 0.03, 0.1, 0.3, 1.0)  # theirs goes from 0.001 to 100, and then finer
    rates = {"Momentum": coarse, "Adam": grid, "SWATS": grid}
    runs = [
        replace(drops, method=method, lr=lr, data=data)
        for data in ("cifar10", "cifar100")
        for method, some in rates.items()
        for lr in some
    ]
    return Experiment(tuple(runs), seeds=5, published={})


def nd_adam() -> Experiment:
    """80,000 updates; ND-Adam's vectors turn at 50 times the rate of its other parameters."""
    wide = Run("", 0, steps=80_000, network="Wide ResNet", depth=22, width=7.5, only_weights=True)
    rates = {"Momentum": (0.1, 0.001), "Adam": (0.001, 0.0), "NDAdam": (0.001, 0.0)}
    errors = {"cifar10": (4.61, 6.14, 4.53), "cifar100": (20.60, 25.51, 21.45)}
    found = {
        replace(wide, method=method, lr=lr, decay=decay, data=data): error
        for data, row in errors.items()
        for (method, (lr, decay)), error in zip(rates.items(), row, strict=True)
    }
    return Experiment(tuple(found), 3, {str(run): error for run, error in found.items()})


def marginal_value() -> Experiment:
    """The rates that appendix D marks as best. The paper gives no decay, no epochs and no factor.

    Those here are of the program that its network comes from, Zagoruyko's cifar.torch.
    """
    halves = Run(
        "", 0, decay=5e-4, shape="drops", drop=0.5, at=epochs(*range(25, 300, 25)),
        steps=300 * EPOCH, network="VGG", depth=16, width=1,
    )  # fmt: skip
    rates = {"SGD": 0.5, "Momentum": 0.5, "Adagrad": 0.01, "RMSProp": 0.0003, "Adam": 0.0003}
    runs = {method: replace(halves, method=method, lr=lr) for method, lr in rates.items()}
    published = {str(runs["SGD"]): 7.65, str(runs["RMSProp"]): 9.60}
    return Experiment(tuple(runs.values()), seeds=5, published=published)


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    each.__name__: each for each in (weight_decay, warm_restarts, swats, nd_adam, marginal_value)
}
