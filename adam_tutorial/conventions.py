"""What PyTorch, Keras and Optax compute, where it is not what the articles print.

One class for each difference: where the learning rate enters, where epsilon stands, what an
average starts from. With the same hyper-parameters each gives its library's numbers, to rounding.
The chapter has a table for every method, from a library's line to the class that equals it.
"""

# Generated from chapters/conventions.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from adam_tutorial.nadam import dozat_schedule
from adam_tutorial.optimizer import Optimizer, Schedule, State, compute_dtype
from adam_tutorial.trees import Array, Tree, map_leaves


# %% chapters/conventions.ipynb#torch-momentum
@dataclass(frozen=True)
class TorchMomentum(Optimizer):
    """Momentum as torch.optim.SGD and optax.sgd have it: lr is outside what is remembered.

    Slot m, shaped like the parameter: a sum of gradients, so a new lr acts on old gradients too.
    The first gradient enters whole, later ones times 1 - dampening; Optax has no dampening.
    """

    lr: Schedule
    momentum: float = 0.9  # memory, in [0, 1); 0 in the libraries
    dampening: float = 0.0  # the share of later gradients that is left out
    slots = ("m",)

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, *, lr: float, momentum: float, share: float
    ) -> tuple[Any, Any]:
        m = momentum * m + share * g
        theta = theta - lr * m
        return theta, m

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        """The share of the gradient that is remembered: all of the first."""
        return {"share": 1.0 if state.t == 0 else 1 - self.dampening}

    def metric(self, state: State) -> float:
        """H = 1 / lr, so that the step is H**-1 m."""
        lr = self.hyper(state.t)["lr"]
        return 1 / lr if lr else math.inf


# %% chapters/conventions.ipynb#torch-nesterov
@dataclass(frozen=True)
class TorchNesterov(Optimizer):
    """Nesterov's momentum as torch.optim.SGD and optax.sgd have it (nesterov=True): lr is outside.

    Slot m, shaped like the parameter: a sum of gradients, so a new lr acts on old gradients too.
    """

    lr: Schedule
    momentum: float = 0.9  # memory, in [0, 1); 0 in the libraries
    slots = ("m",)

    @staticmethod
    def rule(theta: Any, g: Any, m: Any, *, lr: float, momentum: float) -> tuple[Any, Any]:
        m = momentum * m + g
        theta = theta - lr * (g + momentum * m)
        return theta, m

    def metric(self, state: State) -> float:
        """H = 1 / lr, so that the step is H**-1 (g + momentum * m)."""
        lr = self.hyper(state.t)["lr"]
        return 1 / lr if lr else math.inf


# %% chapters/conventions.ipynb#keras-adagrad
@dataclass(frozen=True)
class KerasAdagrad(Optimizer):
    """Adagrad as keras.optimizers.Adagrad and optax.adagrad have it: the sum starts above zero.

    Slot a, shaped like the parameter: `initial` plus the sum of g * g. Both `initial` and eps have
    the unit of g * g, since eps is inside the root.
    """

    lr: Schedule = 1e-3
    initial: float = 0.1  # where the sum starts
    eps: float = 1e-7  # inside the root
    slots = ("a",)

    @staticmethod
    def rule(theta: Any, g: Any, a: Any, *, lr: float, eps: float) -> tuple[Any, Any]:
        a = a + g * g
        theta = theta - lr * g / np.sqrt(a + eps)
        return theta, a

    def init_leaf(self, theta: Array) -> tuple[Array, ...]:
        dtype = compute_dtype(theta.dtype)
        return (np.full_like(theta, self.initial, dtype=dtype, order="C"),)

    def metric(self, state: State) -> Tree:
        """H = sqrt(a + eps) / lr, so that the step is H**-1 g."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda a: np.sqrt(a + self.eps) / lr, state.a)


# %% chapters/conventions.ipynb#keras-rmsprop
@dataclass(frozen=True)
class KerasRMSProp(Optimizer):
    """RMSProp as keras.optimizers.RMSprop and optax.rmsprop have it: eps is inside the root.

    Slot v, shaped like the parameter: the running mean of g * g. eps has the unit of g * g.
    Optax: eps = 1e-8, and lr has no default.
    """

    lr: Schedule = 1e-3
    rho: float = 0.9  # memory of the square, in [0, 1)
    eps: float = 1e-7  # inside the root
    slots = ("v",)

    @staticmethod
    def rule(theta: Any, g: Any, v: Any, *, lr: float, rho: float, eps: float) -> tuple[Any, Any]:
        v = rho * v + (1 - rho) * (g * g)
        theta = theta - lr * g / np.sqrt(v + eps)
        return theta, v

    def metric(self, state: State) -> Tree:
        """H = sqrt(v + eps) / lr, so that the step is H**-1 g."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda v: np.sqrt(v + self.eps) / lr, state.v)


# %% chapters/conventions.ipynb#torch-momentum-rmsprop
@dataclass(frozen=True)
class TorchMomentumRMSProp(Optimizer):
    """RMSProp with momentum as torch.optim.RMSprop has it: eps outside the root, lr outside m.

    Slots v and m, shaped like the parameter: the running mean of g * g, and a sum of rescaled
    gradients, so a new lr acts on old gradients too.
    """

    lr: Schedule = 1e-2
    rho: float = 0.99  # memory of the square, in [0, 1); alpha in PyTorch
    momentum: float = 0.9  # memory of the rescaled gradients, in [0, 1); 0 in PyTorch
    eps: float = 1e-8  # outside the root
    slots = ("v", "m")

    @staticmethod
    def rule(
        theta: Any, g: Any, v: Any, m: Any, *, lr: float, rho: float, momentum: float, eps: float
    ) -> tuple[Any, Any, Any]:
        v = rho * v + (1 - rho) * (g * g)
        m = momentum * m + g / (np.sqrt(v) + eps)
        theta = theta - lr * m
        return theta, v, m

    def metric(self, state: State) -> float:
        """H = 1 / lr, so that the step is H**-1 m."""
        lr = self.hyper(state.t)["lr"]
        return 1 / lr if lr else math.inf


# %% chapters/conventions.ipynb#keras-momentum-rmsprop
@dataclass(frozen=True)
class KerasMomentumRMSProp(Optimizer):
    """RMSProp with momentum as Keras and Optax have it: eps inside the root, lr inside m.

    Slots v and m, shaped like the parameter: the running mean of g * g, and the last step.
    """

    lr: Schedule = 1e-3
    rho: float = 0.9  # memory of the square, in [0, 1)
    momentum: float = 0.9  # memory of the steps, in [0, 1); 0 in the libraries
    eps: float = 1e-7  # inside the root
    slots = ("v", "m")

    @staticmethod
    def rule(
        theta: Any, g: Any, v: Any, m: Any, *, lr: float, rho: float, momentum: float, eps: float
    ) -> tuple[Any, Any, Any]:
        v = rho * v + (1 - rho) * (g * g)
        m = momentum * m + lr * g / np.sqrt(v + eps)
        theta = theta - m
        return theta, v, m


# %% chapters/conventions.ipynb#keras-centered-rmsprop
@dataclass(frozen=True)
class KerasCenteredRMSProp(Optimizer):
    """RMSProp with centered=True as Keras and Optax have it: eps is inside the root.

    Slots v and n, shaped like the parameter: the running means of g * g and of g. Where rounding
    makes v - n * n negative it counts as 0; the libraries go on with it, to NaN if eps is smaller.
    """

    lr: Schedule = 1e-3
    rho: float = 0.9  # memory of both means, in [0, 1)
    eps: float = 1e-7  # inside the root
    slots = ("v", "n")

    @staticmethod
    def rule(
        theta: Any, g: Any, v: Any, n: Any, *, lr: float, rho: float, eps: float
    ) -> tuple[Any, Any, Any]:
        v = rho * v + (1 - rho) * (g * g)
        n = rho * n + (1 - rho) * g
        theta = theta - lr * g / np.sqrt(np.maximum(v - n * n, 0.0) + eps)
        return theta, v, n

    def metric(self, state: State) -> Tree:
        """H = sqrt(max(v - n * n, 0) + eps) / lr, so that the step is H**-1 g."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(
            lambda v, n: np.sqrt(np.maximum(v - n * n, 0.0) + self.eps) / lr, state.v, state.n
        )


# %% chapters/conventions.ipynb#torch-adamax
@dataclass(frozen=True)
class TorchAdaMax(Optimizer):
    """AdaMax as torch.optim.Adamax and optax.adamax have it: eps joins each new size.

    Slots m and u, shaped like the parameter: the running mean of g, and the largest of the faded
    sizes |g| + eps. eps is inside the maximum, and fades with the rest. In Optax lr has no default.
    """

    lr: Schedule = 2e-3
    beta1: float = 0.9  # memory of the mean, in [0, 1)
    beta2: float = 0.999  # memory of the largest size, in [0, 1)
    eps: float = 1e-8  # added to the size of each gradient
    slots = ("m", "u")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, u: Any, *,
        lr: float, beta1: float, beta2: float, eps: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        u = np.maximum(beta2 * u, abs(g) + eps)
        m_hat = m / (1 - beta1**t)
        theta = theta - lr * m_hat / u
        return theta, m, u

    def metric(self, state: State) -> Tree:
        """H = u / lr, so that the step is H**-1 m_hat."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda u: u / lr, state.u)


# %% chapters/conventions.ipynb#keras-adamax
@dataclass(frozen=True)
class KerasAdaMax(Optimizer):
    """AdaMax as keras.optimizers.Adamax has it: eps is added to the divisor.

    Slots m and u, shaped like the parameter: the running mean of g, and the largest faded |g|.
    """

    lr: Schedule = 1e-3
    beta1: float = 0.9  # memory of the mean, in [0, 1)
    beta2: float = 0.999  # memory of the largest size, in [0, 1)
    eps: float = 1e-7  # outside the maximum
    slots = ("m", "u")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, u: Any, *,
        lr: float, beta1: float, beta2: float, eps: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        u = np.maximum(beta2 * u, abs(g))
        m_hat = m / (1 - beta1**t)
        theta = theta - lr * m_hat / (u + eps)
        return theta, m, u

    def metric(self, state: State) -> Tree:
        """H = (u + eps) / lr, so that the step is H**-1 m_hat."""
        lr = self.hyper(state.t)["lr"]
        return map_leaves(lambda u: (u + self.eps) / lr, state.u)


# %% chapters/conventions.ipynb#torch-nadam
@dataclass(frozen=True)
class TorchNAdam(Optimizer):
    """Nadam as torch.optim.NAdam has it, and Keras: the mean has a constant memory.

    Slots m and v, the running means of g and g * g. Only the weights of the step follow the
    schedule mu_t = beta1 (1 - 0.96**(t momentum_decay) / 2). Keras is the case momentum_decay = 1.
    """

    lr: Schedule = 2e-3
    beta1: float = 0.9  # memory of the mean, in [0, 1), and the limit of mu
    beta2: float = 0.999  # memory of the square, in [0, 1)
    eps: float = 1e-8  # outside the root, after bias correction
    momentum_decay: float = 0.004  # how fast mu approaches beta1
    slots = ("m", "v")

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *, lr: float, beta1: float, beta2: float, eps: float,
        mu: float, mu_next: float, mu_product: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        m_bar = (1 - mu) * g / (1 - mu_product) + mu_next * m / (1 - mu_product * mu_next)
        v_hat = v / (1 - beta2**t)
        theta = theta - lr * m_bar / (np.sqrt(v_hat) + eps)
        return theta, m, v

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        """mu_t, mu_{t+1}, and the product of mu_1 to mu_t, which is kept."""
        momentum = dozat_schedule(self.beta1, self.momentum_decay)
        mu, mu_next = momentum(state.t + 1), momentum(state.t + 2)
        product = mu * state.scalars.get("mu_product", 1.0)
        return {"mu": mu, "mu_next": mu_next, "mu_product": product}

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v_hat) + eps) / lr, so that the step is H**-1 m_bar."""
        lr, mass = self.hyper(state.t)["lr"], 1 - self.beta2**state.t
        return map_leaves(lambda v: (np.sqrt(v / mass) + self.eps) / lr, state.v)
