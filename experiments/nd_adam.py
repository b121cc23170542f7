"""SGD with momentum, Adam and ND-Adam with equal tuning budgets, on networks that know only directions.

python experiments/nd_adam.py --record
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import records

from adam_tutorial import L2, Adam, Momentum, NDAdam, Optimizer
from adam_tutorial.sweeps import errors, losses, three_splits, train
from adam_tutorial.weight_norm import DirectionNetworks, plain

# The method, the middle of its grid of learning rates, and its second setting with four values.
METHODS: dict[str, tuple[Optimizer, float, str, tuple[float, ...]]] = {
    "Momentum": (L2(Momentum(1.0, 0.9), 0.0), 0.03, "weight_decay", (0.0, 1e-4, 1e-3, 1e-2)),
    "Adam": (L2(Adam(1.0), 0.0), 0.01, "weight_decay", (0.0, 1e-4, 1e-3, 1e-2)),
    "NDAdam": (NDAdam({"w": 1}, 1.0), 0.003, "ratio", (0.5, 2.0, 10.0, 50.0)),
}


@dataclass(frozen=True)
class Config:
    factor: float = 2.0  # between neighbouring learning rates
    rates: int = 9  # learning rates tried, with each of four values of the second setting
    tuning_seeds: int = 5
    seeds: int = 20  # other ones, for the report
    steps: int = 900  # 50 epochs
    hidden: int = 32
    batch: int = 64
    noises: tuple[float, ...] = (0.0, 0.2)  # shares of training labels drawn anew
    lengths: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0)  # of the first weight vectors


def runs(noise: float, seeds: Any, config: Config, lengths: Any = ()) -> DirectionNetworks:
    data, _, _ = three_splits(noise)
    return DirectionNetworks(data, tuple(seeds), config.hidden, config.batch, tuple(lengths))


def tuned(name: str, noise: float, config: Config) -> dict[str, float]:
    """The pair of settings with the smallest mean validation error after the last step."""
    method, middle, second, values = METHODS[name]
    rates = middle * config.factor ** np.arange(-(config.rates // 2), config.rates // 2 + 1)
    pairs = np.array([(rate, value) for rate in rates for value in values])
    each = np.repeat(pairs, config.tuning_seeds, axis=0)
    seeds = tuple(range(config.tuning_seeds)) * len(pairs)
    settings = {"lr": each[:, 0], second: each[:, 1]}
    params, _ = train(method, runs(noise, seeds, config), config.steps, settings)
    found = errors(plain(params), three_splits(noise)[1]).reshape(len(pairs), -1).mean(axis=1)
    found = np.where(np.isnan(found), 1.0, found)
    best = pairs[found.argmin()]
    return {"lr": best[0], second: best[1], "validation": found.min()}


def reported(name: str, best: dict[str, float], noise: float, config: Config) -> dict[str, Any]:
    """How many of the 360 test digits each of the other seeds gets wrong at these settings."""
    method, _, second, _ = METHODS[name]
    data, _, test = three_splits(noise)
    settings = {key: np.full(config.seeds, best[key]) for key in ("lr", second)}
    problem = runs(noise, range(100, 100 + config.seeds), config)
    params, lengths = train(method, problem, config.steps, settings, length, config.steps)
    wrong = np.round(errors(plain(params), test) * len(test.pixels)).astype(int)
    return {"wrong": wrong, "train_loss": losses(plain(params), data).mean(), "length": lengths[-1]}


def length(params: Any) -> float:
    """The mean length of all hidden units' vectors."""
    return float(np.sqrt((params["w"] ** 2).sum(axis=1)).mean())


def lengths_matter(name: str, best: dict[str, float], config: Config) -> list[Any]:
    """Test errors, seed by seed, for each length of the first vectors, at the tuned settings."""
    method, _, second, _ = METHODS[name]
    found = []
    for first in config.lengths:
        problem = runs(0.0, range(100, 100 + config.seeds), config, [first] * config.seeds)
        settings = {key: np.full(config.seeds, best[key]) for key in ("lr", second)}
        params, _ = train(method, problem, config.steps, settings)
        test = three_splits()[2]
        found.append(np.round(errors(plain(params), test) * len(test.pixels)).astype(int))
    return found


def experiment(config: Any) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for noise in config.noises:
        found = results[f"noise {noise:g}"] = {}
        for name in METHODS:
            best = tuned(name, noise, config)
            found[name] = {**best, **reported(name, best, noise, config)}
    for name in ("Momentum", "Adam"):  # the vectors of ND-Adam have length 1
        results[f"lengths {name}"] = lengths_matter(name, results["noise 0"][name], config)
    return results


if __name__ == "__main__":
    records.run("nd_adam", Config(), experiment, "nd_adam", __doc__)
