"""Stochastic gradient descent: move against the gradient, in proportion to it.

The ancestor of every method in this book. Its step is measured in units of the gradient, so the
right learning rate depends on the scale of the loss: on a quadratic, below 2 / L.
"""

# Generated from chapters/descent.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from dataclasses import dataclass
from typing import Any

from adam_tutorial.optimizer import Optimizer, Schedule, State


# %% chapters/descent.ipynb#sgd-rule
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent [Robbins & Monro 1951].

    With full gradients it converges on a quadratic of largest curvature L if 0 < lr < 2 / L.
    """

    lr: Schedule  # alpha: no default, for the loss decides what is too large

    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float) -> tuple[Any]:
        theta = theta - lr * g
        return (theta,)

    def metric(self, state: State) -> float:
        lr = self.hyper(state.t)["lr"]
        return 1 / lr if lr else math.inf
