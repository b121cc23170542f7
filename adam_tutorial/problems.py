"""The toy problems every method of the book is tried on, and one real one.

A problem has a `start`, and `loss(params, t)` and `grad(params, t)` that return a float and a
tree like `start`. The step t = 1, 2, ... matters where the problem moves or is sampled; the same
t gives the same draw on every machine, so that two methods can be compared step by step.
"""

# Generated from chapters/descent.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from adam_tutorial.backends import asarray
from adam_tutorial.optimizer import Optimizer
from adam_tutorial.trees import Array, Tree, map_leaves


# %% chapters/descent.ipynb#problems-plane
@dataclass(frozen=True)
class Ravine:
    """0.1 x1**2 + 2 x2**2: flat along one axis, twenty times steeper across. Minimum 0 at 0."""

    curvature: ClassVar[tuple[float, float]] = (0.2, 4.0)  # the Hessian's eigenvalues, mu and L
    start: Array = field(default_factory=lambda: np.array([-5.0, -2.0]))

    def loss(self, theta: Array, t: int = 1) -> float:
        return float(0.1 * theta[0] ** 2 + 2.0 * theta[1] ** 2)

    def grad(self, theta: Array, t: int = 1) -> Array:
        return theta * np.array(self.curvature, theta.dtype)


@dataclass(frozen=True)
class Rosenbrock:
    """(1 - x)**2 + 100 (y - x**2)**2: a curved valley with a flat floor. Minimum 0 at (1, 1)."""

    start: Array = field(default_factory=lambda: np.array([-1.2, 1.0]))

    def loss(self, theta: Array, t: int = 1) -> float:
        x, y = theta
        return float((1 - x) ** 2 + 100 * (y - x * x) ** 2)

    def grad(self, theta: Array, t: int = 1) -> Array:
        x, y = theta
        return np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])


# %% chapters/descent.ipynb#problems-saddle
@dataclass(frozen=True)
class Saddle:
    """x**2 / 2 - y**2 / 2 + y**4 / 4: a saddle at 0, minima of -1/4 at (0, 1) and (0, -1)."""

    start: Array = field(default_factory=lambda: np.array([1.0, 1e-4]))

    def loss(self, theta: Array, t: int = 1) -> float:
        x, y = theta
        return float(x * x / 2 - y * y / 2 + y**4 / 4)

    def grad(self, theta: Array, t: int = 1) -> Array:
        x, y = theta
        return np.array([x, y**3 - y])


@dataclass(frozen=True)
class DriftingTarget:
    """(theta - speed t)**2 / 2 in each coordinate: the minimum walks away at a steady speed."""

    speed: float = 0.01
    start: Array = field(default_factory=lambda: np.zeros(1))

    def loss(self, theta: Array, t: int = 1) -> float:
        return float(np.sum((theta - self.speed * t) ** 2) / 2)

    def grad(self, theta: Array, t: int = 1) -> Array:
        return theta - self.speed * t


# %% chapters/descent.ipynb#problems-trace
def trace(
    optimizer: Optimizer, problem: Any, steps: int, watch: Callable[[Tree], Any] = np.copy
) -> Array:
    """Run an optimizer from the problem's start; what `watch` saw of the parameters, t = 0..steps."""
    params = map_leaves(lambda leaf: leaf.copy(), problem.start)
    state = optimizer.init(params)
    seen = [watch(params)]
    for t in range(1, steps + 1):
        optimizer.step(params, problem.grad(params, t), state)
        seen.append(watch(params))
    return np.array(seen)


# %% chapters/descent.ipynb#problems-sparse
@dataclass(frozen=True)
class SparseFeatures:
    """Regression on words: at each step one word appears, the k-th in proportion to 1/k.

    The example is a unit vector, the target the word's weight, so the gradient has one entry
    that is not zero. Of fifty words, the first is seen every 4.5 steps, the last every 225.
    """

    words: int = 50
    seed: int = 0

    @property
    def start(self) -> Array:
        return np.zeros(self.words)

    @property
    def weights(self) -> Array:
        """The true weights: plus and minus 1 in turn. The minimum is 0, here."""
        return np.resize([1.0, -1.0], self.words)

    @property
    def frequency(self) -> Array:
        share = 1 / np.arange(1, self.words + 1)
        return share / share.sum()

    def loss(self, theta: Array, t: int = 1) -> float:
        return float(np.sum(self.frequency * (theta - self.weights) ** 2) / 2)

    def grad(self, theta: Array, t: int = 1) -> Array:
        word = np.random.default_rng((self.seed, t)).choice(self.words, p=self.frequency)
        g = np.zeros_like(theta)
        g[word] = theta[word] - self.weights[word]
        return g


# %% chapters/descent.ipynb#problems-softmax
def log_softmax(scores: Array) -> Array:
    """Scores (..., k) to log-probabilities along the last axis; the largest score is taken off first."""
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def cross_entropy(params: Tree, pixels: Array, targets: Array) -> float:
    """Mean of -log p(label): pixels (n, 64), targets (n, 10) with a single 1 in each row."""
    log_p = log_softmax(pixels @ params["W"] + params["b"])
    return float(-(targets * log_p).sum() / len(pixels))


def cross_entropy_grad(params: Tree, pixels: Array, targets: Array) -> Tree:
    """Its gradient: X^T (p - y) / n for the weights, the column means of p - y for the bias."""
    log_p = log_softmax(pixels @ params["W"] + params["b"])
    error = (np.exp(log_p) - targets) / len(pixels)
    return {"W": pixels.T @ error, "b": error.sum(axis=0)}


# %% chapters/descent.ipynb#problems-digits
@dataclass(frozen=True)
class Digits:
    """Softmax regression on 8 x 8 digits: pixels (n, 64) in [0, 1], targets (n, 10) one-hot.

    `grad` is the mean over mini-batch t, `loss` and `accuracy` are over all n rows.
    """

    pixels: Array
    targets: Array
    batch: int = 64
    seed: int = 0

    @property
    def start(self) -> dict[str, Array]:
        shapes = {"W": (self.pixels.shape[1], 10), "b": (10,)}
        return {name: np.zeros_like(self.pixels, shape=shape) for name, shape in shapes.items()}

    def rows(self, t: int) -> Array:
        """The rows of mini-batch t = 1, 2, ...: each epoch walks the digits in a new order."""
        n = len(self.pixels)
        epoch, place = divmod(t - 1, max(1, n // self.batch))
        order = np.random.default_rng((self.seed, epoch)).permutation(n)
        return order[place * self.batch : (place + 1) * self.batch]

    def loss(self, params: Tree, t: int = 1) -> float:
        return cross_entropy(params, self.pixels, self.targets)

    def grad(self, params: Tree, t: int = 1) -> Tree:
        rows = self.rows(t)
        return cross_entropy_grad(params, self.pixels[rows], self.targets[rows])

    def accuracy(self, params: Tree) -> float:
        scores = self.pixels @ params["W"] + params["b"]
        return float((scores.argmax(axis=1) == self.targets.argmax(axis=1)).mean())


# %% chapters/descent.ipynb#problems-load
def digits(batch: int = 64, seed: int = 0, dtype: Any = np.float64) -> tuple[Digits, Digits]:
    """scikit-learn's digits: the first 1437 to train on, the last 360 held out.

    The arrays are made on the default backend. Raises ImportError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as missing:
        raise ImportError(
            'digits() needs scikit-learn: pip install "adam-tutorial[plot]"'
        ) from missing
    pixels, labels = load_digits(return_X_y=True)
    pixels, targets = asarray(pixels / 16, dtype=dtype), asarray(np.eye(10)[labels], dtype=dtype)
    train, held_out = slice(None, 1437), slice(1437, None)
    return (
        Digits(pixels[train], targets[train], batch, seed),
        Digits(pixels[held_out], targets[held_out], batch, seed),
    )
