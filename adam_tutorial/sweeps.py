"""Sweeps: many small networks trained at once, as one axis of every array.

An experiment needs many runs: a grid of settings, and some seeds for each. A rule is arithmetic on
plain values, so it takes an array of learning rates as readily as one number. Run r of all arrays
then belongs to setting r, and one product of matrices serves all runs, on the CPU or on a GPU.
"""

# Generated from chapters/marginal_value.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from adam_tutorial.backends import asarray, to
from adam_tutorial.optimizer import Optimizer, State, keywords
from adam_tutorial.problems import Digits, digits, log_softmax
from adam_tutorial.trees import Array, Tree, leaves, matched, paths, rebuild


# %% chapters/marginal_value.ipynb#sweeps-splits
def three_splits(noise: float = 0.0, dtype: Any = np.float32) -> tuple[Digits, Digits, Digits]:
    """The digits in the file's order: 1200 to train on, 237 to choose settings by, 360 to report on.

    noise  the share of training labels that are drawn anew, always the same ones
    """
    seen, test = digits(dtype=dtype)
    train, validation = slice(None, 1200), slice(1200, None)
    rng, targets = np.random.default_rng(0), seen.targets[train].copy()
    drawn = rng.permutation(1200)[: round(1200 * noise)]
    targets[drawn] = asarray(np.eye(10)[rng.integers(10, size=len(drawn))], dtype=dtype)
    return (
        Digits(seen.pixels[train], targets),
        Digits(seen.pixels[validation], seen.targets[validation]),
        test,
    )


# %% chapters/marginal_value.ipynb#sweeps-functions
def network_scores(params: Tree, pixels: Array) -> tuple[Array, Array]:
    """The scores (R, n, 10) of R networks for pixels (n, 64) or (R, n, 64), and the hidden layer."""
    hidden = np.maximum(pixels @ params["W1"] + params["b1"], 0)
    return hidden @ params["W2"] + params["b2"], hidden


def network_grad(params: Tree, pixels: Array, targets: Array) -> dict[str, Array]:
    """The gradient of each network's mean cross-entropy: pixels (R, n, 64), targets (R, n, 10)."""
    scores, hidden = network_scores(params, pixels)
    error = (np.exp(log_softmax(scores)) - targets) / pixels.shape[-2]
    back = (error @ params["W2"].swapaxes(1, 2)) * (hidden > 0)
    return {
        "W1": pixels.swapaxes(1, 2) @ back,
        "b1": back.sum(axis=1, keepdims=True),
        "W2": hidden.swapaxes(1, 2) @ error,
        "b2": error.sum(axis=1, keepdims=True),
    }


# %% chapters/marginal_value.ipynb#sweeps-networks
@lru_cache(maxsize=4096)
def _order(seed: int, epoch: int, examples: int) -> Array:
    order = np.random.default_rng((seed, epoch)).permutation(examples)
    order.setflags(write=False)  # every run of this seed gets the same
    return order


@dataclass(frozen=True)
class Networks:
    """A network with one hidden layer for each of R runs, all trained on the same digits.

    Run r has seeds[r], which draws its first weights and the order of its batches. The parameters
    are W1 (R, 64, hidden), b1 (R, 1, hidden), W2 (R, hidden, 10) and b2 (R, 1, 10).
    """

    data: Digits
    seeds: tuple[int, ...]
    hidden: int = 32
    batch: int = 64

    @property
    def start(self) -> dict[str, Array]:
        dtype, pixels = self.data.pixels.dtype, self.data.pixels.shape[1]
        drawn = {seed: _first_weights(seed, pixels, self.hidden) for seed in set(self.seeds)}
        names = ("W1", "b1", "W2", "b2")
        stacked = {name: np.stack([drawn[seed][name] for seed in self.seeds]) for name in names}
        return {name: asarray(values, dtype=dtype) for name, values in stacked.items()}

    def grad(self, params: Tree, t: int) -> dict[str, Array]:
        """Of each run's mean loss over its batch t = 1, 2, ...: an epoch takes each row at most once."""
        examples = len(self.data.pixels)
        epoch, place = divmod(t - 1, examples // self.batch)
        orders = np.stack([_order(seed, epoch, examples) for seed in self.seeds])
        rows = orders[:, place * self.batch : (place + 1) * self.batch]
        return network_grad(params, self.data.pixels[rows], self.data.targets[rows])


# %% chapters/marginal_value.ipynb#sweeps-measures
def _first_weights(seed: int, pixels: int, hidden: int) -> dict[str, Array]:
    """Normal weights of variance 2 / inputs [He et al. 2015], and biases of 0."""
    rng = np.random.default_rng(seed)
    shapes = {"W1": (pixels, hidden), "W2": (hidden, 10)}
    drawn = {k: rng.standard_normal(shape) * math.sqrt(2 / shape[0]) for k, shape in shapes.items()}
    return {**drawn, "b1": np.zeros((1, hidden)), "b2": np.zeros((1, 10))}


def losses(params: Tree, data: Digits) -> Array:
    """Each run's mean cross-entropy on `data`, (R,), on the host."""
    scores, _ = network_scores(params, data.pixels)
    return to(-(data.targets * log_softmax(scores)).sum(axis=-1).mean(axis=-1), "numpy")


def errors(params: Tree, data: Digits) -> Array:
    """The share of `data` that each run gets wrong, (R,), on the host; NaN where a run diverged."""
    scores, _ = network_scores(params, data.pixels)
    wrong = (scores.argmax(axis=-1) != data.targets.argmax(axis=-1)).mean(axis=-1)
    finite = np.isfinite(scores).all(axis=(1, 2))
    return to(np.where(finite, wrong, np.nan), "numpy")


# %% chapters/marginal_value.ipynb#sweeps-progress
def progress(steps: Iterable[int], what: str) -> Iterable[int]:
    """The steps, with tqdm's bar where tqdm is installed; TQDM_DISABLE=1 hides it."""
    try:
        from tqdm import tqdm
    except ImportError:
        return steps
    bar: Iterable[int] = tqdm(steps, desc=what, leave=False)
    return bar


# %% chapters/marginal_value.ipynb#sweeps-values
Setting = (
    Array | Callable[[int], Array]
)  # a number for each run, or a function of t that returns them


def _column(name: str, values: Any, theta: Array) -> Array:
    """One number for each run, shaped to meet the run's slice of every leaf, in its dtype."""
    column = asarray(np.asarray(values, float), dtype=theta.dtype)
    if column.shape != theta.shape[:1]:
        raise ValueError(
            f"{name}: expected one number for each of {theta.shape[0]} runs, got shape {column.shape}."
        )
    return column.reshape(len(column), *(1,) * (theta.ndim - 1))


def _alone(method: Optimizer, params: Tree, state: State) -> dict[str, float]:
    """The method's numbers for the next step, if they do not depend on the gradients."""
    try:
        return method.prepare(params, None, state)
    except (TypeError, ValueError, AttributeError) as looked:
        raise TypeError(
            f"{type(method).__name__} looks at all gradients before a step, and here they belong to "
            "different runs. Train its runs one by one."
        ) from looked


# %% chapters/marginal_value.ipynb#sweeps-train
def train(
    method: Optimizer,
    problem: Networks,
    steps: int,
    settings: Mapping[str, Setting],
    watch: Callable[[Tree], Any] = lambda params: None,
    every: int = 0,
) -> tuple[Tree, list[Any]]:
    """Train all runs at once, each with its own settings; the last parameters, and what was seen.

    settings  a hyper-parameter's name to its value for each run, (R,), or a function of t that
              returns them; what is not named here is the method's own, the same for all
    watch     called with the parameters after `every` steps, 2 `every`, ...; its results in a list

    Betas are used in the dtype of the digits. Raises TypeError for a method whose numbers depend on
    all gradients, ValueError for a setting that its rule does not ask for.
    """
    params = problem.start
    state, seen = method.init(params), []
    parts: Any = method.parts(paths(params), leaves(params))
    _check_settings(method, parts, settings)
    for t in progress(range(1, steps + 1), type(method).__name__):
        scalars = _alone(method, params, state)
        now = {name: s(t) if callable(s) else s for name, s in settings.items()}
        grads = matched(params, problem.grad(params, t), "grads")
        slots = [matched(params, state.slots[name], name) for name in method.slots]
        rows = [
            _ruled(part, theta, part.known(t, scalars), now, *rest)
            for part, theta, *rest in zip(parts, leaves(params), grads, *slots, strict=True)
        ]
        params, *new = (rebuild(params, column) for column in zip(*rows, strict=True))
        state = State(t, dict(zip(method.slots, new, strict=True)), scalars)
        if every and t % every == 0:
            seen.append(watch(params))
    return params, seen


# %% chapters/marginal_value.ipynb#sweeps-ruled
def _check_settings(method: Optimizer, parts: Any, settings: Mapping[str, Setting]) -> None:
    known = {name for part in parts for name in keywords(part.rule)}
    if strange := sorted(set(settings) - known):
        raise ValueError(
            f"settings: the rule of {type(method).__name__} does not ask for {strange[0]!r}; it asks "
            f"for {', '.join(sorted(known))}."
        )


def _ruled(part: Any, theta: Array, known: Mapping[str, Any], now: Any, *rest: Array) -> Any:
    """The rule on one leaf of all runs; an array of settings stands in for each number."""
    columns = {name: _column(name, values, theta) for name, values in now.items()}
    values = {name: columns.get(name, known.get(name)) for name in keywords(part.rule)}
    return part.rule(theta, *rest, **values)


# %% chapters/marginal_value.ipynb#sweeps-verdict
def interval(differences: Any, confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval for the mean of paired differences, one for each seed: (mean, half width)."""
    from scipy.stats import t as student

    values = np.asarray(differences, float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"expected the differences of at least 2 seeds, got {values.shape}")
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()), float(student.ppf((1 + confidence) / 2, len(values) - 1)) * error


def verdict(differences: Any, confidence: float = 0.95) -> str:
    """What paired differences say of the claim that they are positive.

    "agrees" or "does not" if the interval of their mean lies on one side of 0, else "cannot be told".
    """
    mean, half = interval(differences, confidence)
    return "agrees" if mean > half else "does not" if mean < -half else "cannot be told"
