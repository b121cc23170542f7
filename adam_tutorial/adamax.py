"""AdaMax: Adam with a maximum that fades, where Adam has the root of an average.

Average the p-th powers of the gradients instead of the squares, let the weights fade as
beta2**p, and let p grow: what is left is the largest gradient so far, each faded by beta2 a step.
It needs no bias correction, no root and no epsilon, and it squares nothing, so gradients
from 1e-38 to 3e38 are welcome in single precision.
"""

# Generated from chapters/adamax.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from dataclasses import dataclass
from typing import Any

import numpy as np

from adam_tutorial.optimizer import Optimizer, Schedule, State
from adam_tutorial.trees import Tree, map_leaves


# %% chapters/adamax.ipynb#adamax-rule
@dataclass(frozen=True)
class AdaMax(Optimizer):
    """AdaMax [Kingma & Ba 2015, Algorithm 2].

    Slots m and u, shaped like the parameter: the running mean of g, and the fading maximum of
    |g|. A step has the unit of lr, that of the parameter. The step is 0 while all gradients are
    0. There is no eps; PyTorch and Optax add one to |g|, Keras to u.
    """

    lr: Schedule = 2e-3  # alpha: the scale of one coordinate's moves
    beta1: float = 0.9  # memory of the mean, in [0, 1)
    beta2: float = 0.999  # what a step leaves of the maximum, in [0, 1)
    slots = ("m", "u")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, u: Any, *,
        lr: float, beta1: float, beta2: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        u = np.maximum(beta2 * u, abs(g))
        m_hat = m / (1 - beta1**t)
        theta = theta - lr * m_hat / np.where(u > 0, u, 1.0)  # 0 / 1 before the first gradient
        return theta, m, u

    def metric(self, state: State) -> Tree:
        """H = u / lr, so that the step is H**-1 m_hat; 1 / lr where all gradients were 0."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda u: np.where(u > 0, u, 1.0) / lr, state.u)
