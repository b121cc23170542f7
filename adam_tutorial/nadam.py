"""Nadam: Adam that takes the next step's momentum now.

Nesterov's look-ahead, in the form that needs no gradient elsewhere: of the two parts of Adam's
numerator, the gradient's stays, and the momentum's is the one of step t + 1. With a momentum that
changes from step to step the mass of the average is 1 minus the product of all of them, so that
product is kept in the state, and computed on the host.
"""

# Generated from chapters/nadam.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from dataclasses import dataclass
from typing import Any

import numpy as np

from adam_tutorial.optimizer import Optimizer, Schedule, State
from adam_tutorial.trees import Tree, map_leaves


# %% chapters/nadam.ipynb#nadam-schedule-code
@dataclass(frozen=True)
class dozat_schedule:
    """Momentum that grows from mu / 2 towards mu: mu_t = mu (1 - 0.96**(decay t) / 2) [Dozat 2016].

    Call it with t. Two with equal numbers are equal, so optimizers that hold them can be compared
    and pickled. The gap to mu halves in about 17 / decay steps.
    """

    mu: float = 0.99  # where the momentum goes
    decay: float = 0.004  # PyTorch's momentum_decay; 1 / 250

    def __call__(self, t: int) -> float:
        return self.mu * (1 - 0.5 * float(0.96 ** (self.decay * t)))


# %% chapters/nadam.ipynb#nadam-rule
@dataclass(frozen=True)
class Nadam(Optimizer):
    """Nadam [Dozat 2016]; with a number for beta1 it is what Optax computes.

    Slots m and v as in `Adam`. The scalars mu, mu_next and mu_product are beta1 at steps t and
    t + 1, and its product up to t. PyTorch and Keras average with another momentum than they
    correct with.
    """

    lr: Schedule = 2e-3  # alpha: the scale of one coordinate's moves
    beta1: Schedule = dozat_schedule()  # mu: memory of the mean, in [0, 1); also asked for t + 1
    beta2: float = 0.999  # memory of the square, in [0, 1)
    eps: float = 1e-8  # outside the root, after bias correction
    slots = ("m", "v")

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        mu, mu_next = self.at("beta1", state.t + 1), self.at("beta1", state.t + 2)
        product = state.scalars.get("mu_product", 1.0) * mu
        return {"mu": mu, "mu_next": mu_next, "mu_product": product}

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *,
        lr: float, mu: float, mu_next: float, mu_product: float, beta2: float, eps: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = mu * m + (1 - mu) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        m_bar = (1 - mu) * g / (1 - mu_product) + mu_next * m / (1 - mu_product * mu_next)
        v_hat = v / (1 - beta2**t)
        theta = theta - lr * m_bar / (np.sqrt(v_hat) + eps)
        return theta, m, v

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v_hat) + eps) / lr, so that the step is H**-1 m_bar."""
        lr, mass = self.hyper(state.t)["lr"], 1 - self.beta2**state.t
        return map_leaves(lambda v: (np.sqrt(v / mass) + self.eps) / lr, state.v)


# %% chapters/nadam.ipynb#unbiased-rule
@dataclass(frozen=True)
class UnbiasedNadam(Nadam):
    """Nadam with weights that add up to 1: Adam's next numerator, were the next gradient like this.

    Fields, slots and scalars as in `Nadam`; not from a paper. It differs by the gradient's term,
    which has mu_next and the mass of step t + 1.
    """

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *,
        lr: float, mu: float, mu_next: float, mu_product: float, beta2: float, eps: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = mu * m + (1 - mu) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        m_bar = (mu_next * m + (1 - mu_next) * g) / (1 - mu_product * mu_next)
        v_hat = v / (1 - beta2**t)
        theta = theta - lr * m_bar / (np.sqrt(v_hat) + eps)
        return theta, m, v
