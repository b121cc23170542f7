"""RMSProp and its relatives: a step in units of the gradient's recent size.

Adagrad divides by the root of all squares so far, and its steps die out. Here old squares fade, so
the steps follow a loss that changes. `CenteredRMSProp` divides by a standard deviation, computed
so that rounding cannot make it negative; `MomentumRMSProp` adds momentum after the division;
`Adadelta` replaces the learning rate by the recent size of the steps themselves.
"""

# Generated from chapters/rmsprop.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from adam_tutorial.optimizer import Optimizer, Schedule, State
from adam_tutorial.trees import Tree, map_leaves


# %% chapters/rmsprop.ipynb#rmsprop-rule
@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp [Hinton 2012, lecture 6e].

    Slot v, shaped like the parameter: the fading mean of g * g. A step has the unit of lr; eps has
    that of the gradient. PyTorch computes the same, with rho = 0.99 and lr = 0.01 by default. Keras
    and Optax put eps inside the root.
    """

    lr: Schedule = 1e-3  # alpha: about the length of one coordinate's moves
    rho: float = 0.9  # memory of the square, in [0, 1)
    eps: float = 1e-8  # outside the root
    slots = ("v",)

    @staticmethod
    def rule(
        theta: Any, g: Any, v: Any, *, lr: float, rho: float, eps: float
    ) -> tuple[Any, Any]:  # fmt: skip
        v = rho * v + (1 - rho) * (g * g)
        theta = theta - lr * g / (np.sqrt(v) + eps)
        return theta, v

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v) + eps) / lr, so that the step is H**-1 g."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda v: (np.sqrt(v) + self.eps) / lr, state.v)


# %% chapters/rmsprop.ipynb#centred-rule
@dataclass(frozen=True)
class CenteredRMSProp(Optimizer):
    """RMSProp divided by the standard deviation of recent gradients [Graves 2013].

    Slots, shaped like the parameter: `mean`, the fading mean of g, and `n`, the fading variance, kept
    as a sum of squares, so that rounding cannot make it negative. PyTorch subtracts two averages
    instead, which can give NaN where gradients are constant; its defaults are lr 0.01, rho 0.99 and
    eps 1e-8. The defaults here are Graves's, who has momentum as well.
    """

    lr: Schedule = 1e-4  # alpha: the length of a move of one standard deviation
    rho: float = 0.95  # memory of mean and variance, in [0, 1)
    eps: float = 1e-2  # outside the root; Graves's 1e-4 inside it is the same floor
    slots = ("mean", "n")

    @staticmethod
    def rule(
        theta: Any, g: Any, mean: Any, n: Any, *, lr: float, rho: float, eps: float
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        d = g - mean
        n = rho * n + rho * (1 - rho) * (d * d)
        mean = rho * mean + (1 - rho) * g
        theta = theta - lr * g / (np.sqrt(n) + eps)
        return theta, mean, n

    def metric(self, state: State) -> Tree:
        """H = (sqrt(n) + eps) / lr, so that the step is H**-1 g."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda n: (np.sqrt(n) + self.eps) / lr, state.n)


# %% chapters/rmsprop.ipynb#momentum-rmsprop-rule
@dataclass(frozen=True)
class MomentumRMSProp(Optimizer):
    """RMSProp with momentum on the divided gradient, as libraries have it.

    Graves [2013] centres v as well; the defaults are his. Slots, shaped like the parameter: v, the
    fading mean of g * g, and m, the move just made. The learning rate acts inside m, as in Keras and
    Optax; PyTorch's acts outside, which is the same while it is constant.
    """

    lr: Schedule = 1e-4  # alpha
    rho: float = 0.95  # memory of the square, in [0, 1)
    momentum: float = 0.9  # beta: the share of the last move that is made again, in [0, 1)
    eps: float = 1e-2  # outside the root; Graves's 1e-4 inside it is the same floor
    slots = ("v", "m")

    @staticmethod
    def rule(
        theta: Any, g: Any, v: Any, m: Any, *,
        lr: float, rho: float, momentum: float, eps: float,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        v = rho * v + (1 - rho) * (g * g)
        m = momentum * m + lr * g / (np.sqrt(v) + eps)
        theta = theta - m
        return theta, v, m

    def metric(self, state: State) -> float:
        """H = 1 / lr, so that the step is H**-1 (m / lr)."""
        lr = self.hyper(state.t)["lr"]
        return 1 / lr if lr else math.inf


# %% chapters/rmsprop.ipynb#adadelta-rule
@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Adadelta [Zeiler 2012, Algorithm 1].

    Slots, shaped like the parameter: v and x, the fading means of g * g and of the squared steps.
    The learning rate multiplies a step and never enters x. PyTorch has rho = 0.9 by default; Keras
    lr = 0.001, with which it hardly moves.
    """

    lr: Schedule = 1.0  # not in the paper
    rho: float = 0.95  # memory of both squares, in [0, 1)
    eps: float = 1e-6  # inside both roots; it also sets the length of the first steps
    slots = ("v", "x")

    @staticmethod
    def rule(
        theta: Any, g: Any, v: Any, x: Any, *, lr: float, rho: float, eps: float
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        v = rho * v + (1 - rho) * (g * g)
        d = np.sqrt(x + eps) / np.sqrt(v + eps) * g
        x = rho * x + (1 - rho) * (d * d)
        theta = theta - lr * d
        return theta, v, x

    def metric(self, state: State) -> Tree:
        """H = sqrt(v + eps) / lr, so that the step is H**-1 (sqrt(x + eps) g), x of the step before."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda v: np.sqrt(v + self.eps) / lr, state.v)
