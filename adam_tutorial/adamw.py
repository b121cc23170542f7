"""AdamW and its relatives: weights that shrink beside the rule, not through it.

A penalty on the size of the weights adds to the gradient, and Adam divides it by the gradient's own
size. Decay takes a share of the weight itself, the same for every weight. Libraries take the share
`lr * weight_decay`, the paper the share `eta * weight_decay` without lr; both are here.
"""

# Generated from chapters/weight_decay.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any

import numpy as np

from adam_tutorial.optimizer import Optimizer, Schedule, State, keywords
from adam_tutorial.trees import Tree, map_leaves
from adam_tutorial.wrappers import Wrapper, settings_of


# %% chapters/weight_decay.ipynb#adamw-rule
@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled decay [Loshchilov & Hutter 2019], multiplied by lr as in the libraries.

    Slots m and v as in `Adam`. The share lr * weight_decay of the old theta is taken away; keep it
    between 0 and 1. The numbers of PyTorch and Optax; for Keras see `Decoupled`.
    """

    lr: Schedule = 1e-3  # alpha: the scale of one coordinate's moves
    beta1: float = 0.9  # memory of the mean, in [0, 1)
    beta2: float = 0.999  # memory of the square, in [0, 1)
    eps: float = 1e-8  # outside the root, after bias correction
    weight_decay: Schedule = 1e-2  # lambda, in units of 1 / theta; PyTorch's default
    slots = ("m", "v")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *,
        lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta = theta - lr * (m_hat / (np.sqrt(v_hat) + eps) + weight_decay * theta)
        return theta, m, v

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v_hat) + eps) / lr: the step is H**-1 m_hat, and the decay besides."""
        lr, mass = self.hyper(state.t)["lr"], 1 - self.beta2**state.t
        return map_leaves(lambda v: (np.sqrt(v / mass) + self.eps) / lr, state.v)


# %% chapters/weight_decay.ipynb#paper-adamw
@dataclass(frozen=True)
class PaperAdamW(Optimizer):
    """AdamW as published [Loshchilov & Hutter 2019, Algorithm 2]: lr does not multiply the decay.

    Slots as in `Adam`. The schedule is eta, which multiplies the step and the decay; the share
    eta * weight_decay of theta is taken away. `AdamW` with weight_decay / lr takes the same steps.
    """

    lr: Schedule = 1e-3  # alpha: a constant in the paper
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: Schedule = 1e-5  # lambda: the share of theta that a step takes away
    eta: Schedule = 1.0  # the schedule multiplier
    slots = ("m", "v")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *,
        lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, eta: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta = theta - eta * (lr * m_hat / (np.sqrt(v_hat) + eps) + weight_decay * theta)
        return theta, m, v

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v_hat) + eps) / (eta lr): the step is H**-1 m_hat, and the decay besides."""
        now, mass = self.hyper(state.t), 1 - self.beta2**state.t
        rate = now["eta"] * now["lr"]
        return map_leaves(lambda v: (np.sqrt(v / mass) + self.eps) / rate, state.v)


# %% chapters/weight_decay.ipynb#sgdw
@dataclass(frozen=True)
class SGDW(Optimizer):
    """Momentum with decoupled decay [Loshchilov & Hutter 2019, Algorithm 1].

    Slot m, shaped like the parameter and in its unit: the move just made, without the decay. eta
    multiplies the gradient, before it enters m, and the decay, which does not.
    """

    lr: Schedule  # alpha: no default, for the loss decides what is too large
    momentum: float = 0.9  # the paper's beta1: the share of the last move that is made again
    weight_decay: Schedule = 1e-4  # lambda: the share of theta that a step takes away
    eta: Schedule = 1.0  # the schedule multiplier
    slots = ("m",)

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, *, lr: float, momentum: float, weight_decay: float, eta: float
    ) -> tuple[Any, Any]:
        m = momentum * m + eta * lr * g
        theta = theta - m - eta * weight_decay * theta
        return theta, m

    def metric(self, state: State) -> float:
        """H = 1 / (eta lr): the step is H**-1 (m / (eta lr)), and the decay besides."""
        now = self.hyper(state.t)
        rate = now["eta"] * now["lr"]
        return 1 / rate if rate else math.inf


# %% chapters/weight_decay.ipynb#decoupled
@cache
def _shrunk(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule applied to a parameter that has lost the share lr * weight_decay of itself."""
    inner = keywords(rule)

    @wraps(rule)
    def shrunk(theta: Any, g: Any, *held: Any, **values: float) -> Any:
        theta = theta - values["lr"] * values["weight_decay"] * theta
        return rule(theta, g, *held, **{name: values[name] for name in inner})

    shrunk.asks = tuple(dict.fromkeys((*inner, "lr", "weight_decay")))  # type: ignore[attr-defined]
    return shrunk


@dataclass(frozen=True)
class Decoupled(Wrapper):
    """Decay beside any rule: theta loses lr * weight_decay of itself, then `inner` moves it.

    What Keras does with the `weight_decay` of every optimizer. Around `Adam` it is `AdamW`, up to
    rounding. Raises TypeError where `inner` has no lr, or moves a copy of the parameter.
    """

    weight_decay: Schedule  # lambda, in units of 1 / lr

    def __post_init__(self) -> None:
        super().__post_init__()
        if "lr" not in settings_of(self.inner) or "lr" not in keywords(self.inner.rule):
            raise TypeError(
                f"inner: {type(self.inner).__name__} has no lr in its rule to multiply the decay."
            )
        if "master" in self.inner.slots:
            raise TypeError("inner: the decay would miss the master weights. Put them outside.")

    @property
    def rule(self) -> Callable[..., tuple[Any, ...]]:  # type: ignore[override]
        return _shrunk(self.inner.rule)


# %% chapters/weight_decay.ipynb#normalised
def normalised_decay(weight_decay: float, batch: int, examples: int, epochs: float) -> float:
    """The decay of a step for a run of this length: weight_decay * sqrt(batch / (examples epochs)).

    In the paper's convention [Loshchilov & Hutter 2019]; divide it by lr for `AdamW`.
    """
    if not all(number > 0 for number in (batch, examples, epochs)):
        raise ValueError(
            f"batch, examples and epochs must be positive, got {batch}, {examples} and {epochs}."
        )
    return weight_decay * math.sqrt(batch / (examples * epochs))
