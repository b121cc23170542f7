"""Adagrad: a rate for each coordinate, from the squares of all gradients it has seen.

In hindsight the best scaling of a coordinate is the root of its sum of squares; Adagrad uses the
sum so far. Rare and small coordinates take steps as long as frequent and large ones. The sum never
shrinks, so the steps do: on a constant gradient step t has the length lr / sqrt(t).
"""

# Generated from chapters/adagrad.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from dataclasses import dataclass
from typing import Any

import numpy as np

from adam_tutorial.optimizer import Optimizer, Schedule, State
from adam_tutorial.trees import Tree, map_leaves


# %% chapters/adagrad.ipynb#adagrad-rule
@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Adagrad with a diagonal matrix [Duchi, Hazan & Singer 2011].

    Slot a, shaped like the parameter: the sum of g * g. No move of a coordinate is longer than lr,
    which has the unit of the parameter; eps, the paper's delta, has the unit of the gradient. The
    paper leaves both open. Keras and Optax start a at 0.1 and put eps inside the root.
    """

    lr: Schedule  # alpha: the longest move of a coordinate; no default, for it is a distance
    eps: float = 1e-10  # outside the root; the value is PyTorch's
    slots = ("a",)

    @staticmethod
    def rule(theta: Any, g: Any, a: Any, *, lr: float, eps: float) -> tuple[Any, Any]:
        a = a + g * g
        theta = theta - lr * g / (np.sqrt(a) + eps)
        return theta, a

    def metric(self, state: State) -> Tree:
        """H = (sqrt(a) + eps) / lr, so that the step is H**-1 g."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda a: (np.sqrt(a) + self.eps) / lr, state.a)
