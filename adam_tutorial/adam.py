"""Adam: a step measured in units of the gradient's own size.

Two running averages, of the gradient and of its square, each divided by the weight it has
gathered so far. Their ratio has no unit and is seldom far above 1, so the learning rate is the
usual scale of a move, whatever the scale of the loss. With the default betas no move is longer
than 7.28 times that.
"""

# Generated from chapters/adam.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from dataclasses import dataclass
from typing import Any

import numpy as np

from adam_tutorial.optimizer import Optimizer, Schedule, State
from adam_tutorial.trees import Tree, map_leaves


# %% chapters/adam.ipynb#adam-rule
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam [Kingma & Ba 2015, Algorithm 1].

    Slots m and v, shaped like the parameter: the running means of g and of g * g. A step has the
    unit of lr, that of the parameter; eps has the unit of the gradient.
    """

    lr: Schedule = 1e-3  # alpha: the scale of one coordinate's moves
    beta1: float = 0.9  # memory of the mean, in [0, 1)
    beta2: float = 0.999  # memory of the square, in [0, 1)
    eps: float = 1e-8  # outside the root, after bias correction
    slots = ("m", "v")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *,
        lr: float, beta1: float, beta2: float, eps: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta = theta - lr * m_hat / (np.sqrt(v_hat) + eps)
        return theta, m, v

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v_hat) + eps) / lr, so that the step is H**-1 m_hat."""
        now = self.hyper(state.t)
        mass = 1 - self.beta2**state.t
        return map_leaves(lambda v: (np.sqrt(v / mass) + self.eps) / now["lr"], state.v)


# %% chapters/adam.ipynb#adam-hat
@dataclass(frozen=True)
class AdamHat(Optimizer):
    """Adam in the reordered form that ends section 2 of Kingma & Ba 2015; Keras computes this.

    Slots as in `Adam`. It equals `Adam` with an eps of its own for each step, that of
    Adam being eps / sqrt(1 - beta2**t).
    """

    lr: Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8  # epsilon-hat: outside the root, before bias correction
    slots = ("m", "v")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *,
        lr: float, beta1: float, beta2: float, eps: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        lr_t = lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
        theta = theta - lr_t * m / (np.sqrt(v) + eps)
        return theta, m, v

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v) + eps) / (lr sqrt(1 - beta2**t)), so that the step is H**-1 m_hat."""
        scale = self.hyper(state.t)["lr"] * (1 - self.beta2**state.t) ** 0.5
        return map_leaves(lambda v: (np.sqrt(v) + self.eps) / scale, state.v)
