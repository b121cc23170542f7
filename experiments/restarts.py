"""Adam, AdamW and SGD, at a constant rate, down a cosine, and with restarts, with equal tuning.

python experiments/restarts.py --record
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import records

from adam_tutorial import L2, Adam, Momentum, Optimizer, PaperAdamW
from adam_tutorial.schedules import constant, cosine, cycle_decay, warm_restarts
from adam_tutorial.sweeps import Networks, errors, three_splits, train


@dataclass(frozen=True)
class Config:
    factor: float = 2.0  # between neighbouring learning rates
    rates: int = 9  # learning rates tried for each method, each with each decay
    adam: float = 0.016  # the middle of the grids of rates
    sgd: float = 0.05
    penalties: tuple[float, ...] = (0.0, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)  # L2, in the gradient
    decays: tuple[float, ...] = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)  # lambda_norm, decoupled
    tuning_seeds: int = 5
    seeds: int = 16  # other ones, for the report
    epoch: int = 18  # steps
    T_0: int = 7  # epochs; T_mult = 2 and three cycles make 49
    hidden: int = 32
    batch: int = 64
    noises: tuple[float, ...] = (0.0, 0.2)  # shares of training labels drawn anew

    @property
    def cycles(self) -> warm_restarts:
        return warm_restarts(1.0, self.T_0 * self.epoch, 2)


Setting = Any
Made = tuple[Optimizer, dict[str, Setting]]


def penalised(inner: Optimizer, eta: Callable[[int], float]) -> Callable[..., Made]:
    """A method with an L2 penalty in its gradient; the schedule multiplies the learning rate."""
    return lambda lr, decay: (
        L2(inner, 0.0),
        {"lr": lambda t: lr * eta(t), "weight_decay": decay},
    )


def decoupled(eta: Callable[[int], float], length: Callable[[int], float]) -> Callable[..., Made]:
    """AdamW as published: eta multiplies step and decay, lambda_norm times `length` is the decay."""
    return lambda lr, decay: (
        PaperAdamW(1.0, weight_decay=0.0, eta=eta),
        {"lr": lr, "weight_decay": lambda t: decay * length(t)},
    )


def methods(config: Config) -> dict[str, tuple[Callable[..., Made], float, tuple[float, ...]]]:
    """Name -> how it is made of a rate and a decay, the middle of its rates, its decays."""
    cycles, steps = config.cycles, config.cycles.steps(3)
    once, always, each = cosine(1.0, steps), constant(1.0), cycle_decay(1.0, cycles)
    whole = constant(steps**-0.5)
    sgd, adam = Momentum(1.0, 0.9), Adam(1.0)
    return {
        "Adam": (penalised(adam, always), config.adam, config.penalties),
        "AdamW": (decoupled(always, whole), config.adam, config.decays),
        "AdamW, cosine": (decoupled(once, whole), config.adam, config.decays),
        "AdamWR": (decoupled(cycles, each), config.adam, config.decays),
        "SGD": (penalised(sgd, always), config.sgd, config.penalties),
        "SGD, cosine": (penalised(sgd, once), config.sgd, config.penalties),
        "SGDR": (penalised(sgd, cycles), config.sgd, config.penalties),
    }


def grid(middle: float, config: Config) -> np.ndarray:
    return middle * config.factor ** np.arange(-(config.rates // 2), config.rates // 2 + 1)


def tuned(
    make: Callable[..., Made], rates: np.ndarray, decays: np.ndarray, noise: float, config: Config
) -> tuple[float, float]:
    """The rate and the decay with the smallest mean validation error after the last step."""
    data, validation, _ = three_splits(noise)
    each = np.repeat([(lr, decay) for lr in rates for decay in decays], config.tuning_seeds, axis=0)
    seeds = tuple(range(config.tuning_seeds)) * (len(rates) * len(decays))
    runs = Networks(data, seeds, config.hidden, config.batch)
    params, _ = train_with(make, each[:, 0], each[:, 1], runs, config)
    found = np.nan_to_num(errors(params, validation), nan=1.0)
    means = found.reshape(-1, config.tuning_seeds).mean(axis=1)
    best = each[means.argmin() * config.tuning_seeds]
    return float(best[0]), float(best[1])


def train_with(
    make: Callable[..., Made], lr: Any, decay: Any, runs: Networks, config: Config, **watch: Any
) -> Any:
    method, settings = make(np.asarray(lr), np.asarray(decay))
    return train(method, runs, config.cycles.steps(3), settings, **watch)


def reported(
    make: Callable[..., Made], lr: float, decay: float, noise: float, config: Config
) -> dict[str, Any]:
    """Digits that each seed gets wrong after 2 cycles and after 3, and the mean every T_0 epochs."""
    data, _, test = three_splits(noise)
    seeds = tuple(range(100, 100 + config.seeds))
    runs = Networks(data, seeds, config.hidden, config.batch)
    watch = lambda params: np.round(errors(params, test) * len(test.pixels))  # noqa: E731
    every, many = config.T_0 * config.epoch, (np.full(len(seeds), lr), np.full(len(seeds), decay))
    _, seen = train_with(make, *many, runs, config, watch=watch, every=every)
    wrong = np.array(seen).astype(int)  # a row for each T_0 epochs
    return {
        "set": [lr, decay],
        "mean": wrong.mean(axis=1).round(1),
        "after 2": wrong[2],
        "after 3": wrong[6],
    }


def experiment(config: Config) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for noise in config.noises:
        found = results[f"noise {noise:g}"] = {}
        for name, (make, middle, decays) in methods(config).items():
            rates = grid(middle, config)
            lr, decay = tuned(make, rates, np.array(decays), noise, config)
            found[name] = reported(make, lr, decay, noise, config)
    return results


if __name__ == "__main__":
    records.run("restarts", Config(), experiment, "warm_restarts", __doc__)
