"""Five methods with equal tuning budgets on the digits: does an adaptive one generalise worse?

python experiments/marginal_value.py --record
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import records

from adam_tutorial import SGD, Adagrad, Adam, Momentum, Optimizer, RMSProp
from adam_tutorial.sweeps import Networks, errors, three_splits, train

METHODS: dict[str, tuple[Optimizer, float]] = {  # and the middle of its grid of learning rates
    "SGD": (SGD(1.0), 0.3),
    "Momentum": (Momentum(1.0, 0.9), 0.03),
    "Adagrad": (Adagrad(1.0), 0.03),
    "RMSProp": (RMSProp(1.0), 0.003),
    "Adam": (Adam(1.0), 0.003),
}


@dataclass(frozen=True)
class Config:
    factor: float = 2.0  # between neighbouring learning rates
    rates: int = 13  # learning rates tried for each method
    tuning_seeds: int = 10
    seeds: int = 20  # other ones, for the report
    steps: int = 900  # 50 epochs
    hidden: int = 32
    batch: int = 64
    noises: tuple[float, ...] = (0.0, 0.2)  # shares of training labels drawn anew


def grid(middle: float, config: Config) -> np.ndarray:
    return middle * config.factor ** np.arange(-(config.rates // 2), config.rates // 2 + 1)


def tuned(
    method: Optimizer, rates: np.ndarray, noise: float, config: Config
) -> tuple[float, list[float]]:
    """The learning rate with the smallest mean validation error after the last step, and all of them."""
    data, validation, _ = three_splits(noise)
    seeds = tuple(range(config.tuning_seeds)) * len(rates)
    runs = Networks(data, seeds, config.hidden, config.batch)
    params, _ = train(method, runs, config.steps, {"lr": np.repeat(rates, config.tuning_seeds)})
    found = errors(params, validation).reshape(len(rates), -1).mean(axis=1)
    found = np.where(np.isnan(found), 1.0, found)
    return float(rates[found.argmin()]), list(found)


def reported(method: Optimizer, rate: float, noise: float, config: Config) -> dict[str, Any]:
    """How many of the 360 test digits each of the other seeds gets wrong at this learning rate."""
    data, _, test = three_splits(noise)
    seeds = tuple(range(100, 100 + config.seeds))
    runs = Networks(data, seeds, config.hidden, config.batch)
    params, _ = train(method, runs, config.steps, {"lr": np.full(len(seeds), rate)})
    wrong = np.round(errors(params, test) * len(test.pixels)).astype(int)
    missed = errors(params, data).mean()  # of the labels as they are, drawn ones too
    return {"missed": missed, "wrong": wrong}


def experiment(config: Config) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for noise in config.noises:
        found = results[f"noise {noise:g}"] = {}
        for name, (method, middle) in METHODS.items():
            rates = grid(middle, config)
            best, validation = tuned(method, rates, noise, config)
            found[name] = {"lr": best, "validation": min(validation)}
            found[name] |= reported(method, best, noise, config)
    return results


if __name__ == "__main__":
    records.run("marginal_value", Config(), experiment, "marginal_value", __doc__)
