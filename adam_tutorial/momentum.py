"""Momentum: repeat a share of the last move, so that steps that agree add up.

Along a steady slope the moves grow to lr / (1 - momentum) times the gradient; across a ravine they
cancel. On a quadratic this replaces the condition number by its root. `Momentum` is the heavy
ball; `Nesterov` takes the gradient where the momentum is about to carry the parameters.
"""

# Generated from chapters/momentum.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from dataclasses import dataclass
from typing import Any

from adam_tutorial.optimizer import Optimizer, Schedule, State, validated
from adam_tutorial.trees import Tree


# %% chapters/momentum.ipynb#momentum-rule
@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with momentum, the heavy ball [Polyak 1964].

    Slot m, shaped like the parameter and in its unit: the move just made. The learning rate acts
    inside m, as in Keras. In PyTorch and Optax it acts outside, which is the same while it is
    constant. Their momentum is 0 by default.
    """

    lr: Schedule  # alpha: no default, for the loss decides what is too large
    momentum: float = 0.9  # beta: the share of the last move that is made again, in [0, 1)
    slots = ("m",)

    @staticmethod
    def rule(theta: Any, g: Any, m: Any, *, lr: float, momentum: float) -> tuple[Any, Any]:
        m = momentum * m + lr * g
        theta = theta - m
        return theta, m

    def metric(self, state: State) -> float:
        """H = 1 / lr, so that the step is H**-1 (m / lr)."""
        lr = self.hyper(state.t)["lr"]
        return 1 / lr if lr else math.inf


# %% chapters/momentum.ipynb#nesterov-rule
@dataclass(frozen=True)
class Nesterov(Optimizer):
    """Nesterov's accelerated gradient [Nesterov 1983], kept at the point where it takes gradients.

    Slot m as in `Momentum`. The parameters are the look-ahead point; theta of the original form is
    params + state.momentum_next * state.m. A schedule of the momentum is asked for one step ahead.
    The same as in PyTorch and Optax while lr and momentum are constant.
    """

    lr: Schedule  # alpha: no default, for the loss decides what is too large
    momentum: Schedule = 0.9  # beta_t: the share of the last move that is made again, in [0, 1)
    slots = ("m",)

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, *, lr: float, momentum: float, momentum_next: float
    ) -> tuple[Any, Any]:  # fmt: skip
        m = momentum * m + lr * g
        theta = theta - (momentum_next * m + lr * g)
        return theta, m

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        """The momentum of the step after this one."""
        t = state.t + 2
        after = self.momentum(t) if callable(self.momentum) else self.momentum
        return {"momentum_next": validated("momentum", after, f" at step {t}")}

    def metric(self, state: State) -> float:
        """H = 1 / lr, so that the step is H**-1 (momentum_next * m / lr + g)."""
        lr = self.hyper(state.t)["lr"]
        return 1 / lr if lr else math.inf
