"""SWATS: begin with Adam, and go over to SGD at a rate that Adam's own steps suggest.

At each step the optimizer asks which learning rate would have let plain gradient descent make
Adam's move, as far as the two point the same way. When the running mean of these rates and the
newest agree, SGD with momentum takes over with that mean, for good. The one decision is taken for
all parameters together, on the host.
"""

# Generated from chapters/swats.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from adam_tutorial.optimizer import Optimizer, Schedule, State, asked, slots_of, widen
from adam_tutorial.trees import Array, Tree, map_leaves, matched


# %% chapters/swats.ipynb#projected-rate
def _product(one: Array, other: Array) -> Any:
    """The inner product of two arrays in float64, added up in C order whatever their layout."""
    return np.sum(np.ravel(one * other))


@np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore")
def projected_rate(moves: Iterable[Array], gs: Iterable[Array]) -> float:
    """The learning rate gamma at which -gamma g, projected onto the move p, is p itself.

    gamma = p.p / -(p.g), all arrays together, in float64 [Keskar & Socher 2017]. It is negative
    where p goes up the gradient, and NaN where p.g is 0 or not finite. With CuPy arrays the host
    waits for the GPU.
    """
    p_p = p_g = 0.0
    for p, g in zip(moves, gs, strict=True):
        p, g = p.astype(np.float64), g.astype(np.float64)
        p_p, p_g = p_p + _product(p, p), p_g + _product(p, g)  # added where they are
    squares, product = float(p_p), float(p_g)
    return squares / -product if product != 0 and math.isfinite(product) else math.nan


# %% chapters/swats.ipynb#swats-judged
_BEFORE = {"gamma": 0.0, "average": 0.0, "updates": 0.0, "switched": 0.0, "lr_sgd": 0.0}


def judged(
    scalars: dict[str, float], gamma: float, t: int, beta2: float, tolerance: float
) -> dict[str, float]:
    """The scalars after the projected rate of step t: its running mean, and whether that is SGD's.

    The correction counts the updates of the average, which is t unless a step had no rate.
    """
    if not math.isfinite(gamma):
        return scalars
    average = beta2 * scalars["average"] + (1 - beta2) * gamma
    updates = scalars["updates"] + 1
    mean = average / (1 - beta2**updates)
    now = {**scalars, "gamma": gamma, "average": average, "updates": updates}
    if updates > 1 and mean > 0 and abs(mean - gamma) < tolerance:
        now |= {"switched": float(t), "lr_sgd": mean}
    return now


def _is_adams(t: int, scalars: dict[str, float]) -> bool:
    """Whether step t is Adam's: SGD begins with the step after the one that decided."""
    switched = scalars.get("switched", 0)
    return not switched or t <= switched


def _check_tolerance(tolerance: float) -> None:
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be finite and not negative, got {tolerance}")


# %% chapters/swats.ipynb#swats-phases
class _TwoPhases(Optimizer):
    """The hooks of `SWATS`: what its rule is given in each phase, and the decision between them."""

    beta1: float
    beta2: float
    eps: float
    tolerance: float

    def known(self, t: int, scalars: dict[str, float]) -> dict[str, float]:
        """The numbers of the rule: Adam's up to the step that decides, SGD's from then on."""
        adams, before = _is_adams(t, scalars), _is_adams(t - 1, scalars)
        own = {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}
        own |= {"keep": self.beta1 if adams == before else 0.0, "adam": 1.0 if adams else -1.0}
        return own | scalars

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        t, scalars = state.t + 1, {**_BEFORE, **state.scalars}
        lr = self.at("lr", t)
        if scalars["switched"]:
            return {**scalars, "rate": scalars["lr_sgd"] * (lr / scalars["lr_then"])}
        rate = lr * (1 - self.beta2**t) ** 0.5 / (1 - self.beta1**t)
        scalars |= {"rate": rate, "lr_then": lr}
        gs = matched(params, grads, "grads")
        rows = zip(map(widen, gs), *slots_of(self, params, state), strict=True)
        values = asked(self.rule, self.known(t, scalars))
        moves = (self.rule(0.0, *row, **values)[0] for row in rows)  # from 0: the move alone
        return judged(scalars, projected_rate(moves, gs), t, self.beta2, self.tolerance)


# %% chapters/swats.ipynb#swats-rule
@dataclass(frozen=True)
class SWATS(_TwoPhases):
    """Adam, then SGD with momentum beta1 [Keskar & Socher 2017, Algorithm 1].

    Slots m and v as in `AdamHat`; in SGD's phase m is (1 - beta1) times the velocity, v unused.
    It switches when the corrected mean of the projected rates, average / (1 - beta2**updates), is
    within `tolerance` of the newest, gamma; never to a rate below 0, unlike the paper. Scalars:
    `switched`, the step that decided, or 0; `lr_sgd`, SGD's rate. Before it, `prepare` looks at all
    gradients: that costs many times the step, and with CuPy the host waits.
    """

    lr: Schedule = 1e-3  # alpha; a schedule goes on after the switch, and scales SGD's rate
    beta1: float = 0.9  # memory of the mean, in [0, 1), and SGD's momentum
    beta2: float = 0.999  # memory of the square, and of the projected rates
    eps: float = 1e-9  # outside the root, before bias correction; in units of the gradient
    tolerance: float = 1e-9  # in units of SGD's rate; the paper's, and noisy runs may need 1e-3
    slots = ("m", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_tolerance(self.tolerance)

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *,
        keep: float, beta1: float, beta2: float, eps: float, rate: float, adam: float,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = keep * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        is_adam = adam * (v + 1) > 0  # the sign of adam, 1 or -1, as a mask shaped like v
        theta = theta - rate * m / np.where(is_adam, np.sqrt(v) + eps, 1.0)
        return theta, m, v

    def metric(self, state: State) -> Tree | float:
        """H, so that the step is H**-1 m: (sqrt(v) + eps) / rate, and 1 / rate in SGD's phase."""
        rate = state.scalars["rate"]
        if _is_adams(state.t, state.scalars):
            return map_leaves(lambda v: (np.sqrt(v) + self.eps) / rate, state.v)
        return 1 / rate if rate else math.inf
