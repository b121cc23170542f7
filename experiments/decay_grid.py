"""Learning rate against decay, for Adam with an L2 penalty and for AdamW: does one spoil the other?

python experiments/decay_grid.py --record
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import records

from adam_tutorial import L2, Adam, Optimizer, PaperAdamW
from adam_tutorial.sweeps import Networks, errors, three_splits, train
from adam_tutorial.trees import Tree

METHODS: dict[str, Optimizer] = {"Adam + L2": L2(Adam(), 0.0), "AdamW": PaperAdamW()}


@dataclass(frozen=True)
class Config:
    rates: tuple[int, ...] = tuple(range(-10, -3))  # log2 of lr
    decays: tuple[int, ...] = tuple(
        range(-14, -2)
    )  # log2 of weight_decay, in the paper's convention
    tuning_seeds: int = 10
    seeds: int = 20  # other ones, for the report
    steps: int = 1440  # 80 epochs, the learning rate and the decay falling along half a cosine
    hidden: int = 32
    batch: int = 64
    noise: float = 0.2  # share of training labels drawn anew
    gain: float = 0.01  # a learning rate counts for the slope if decay saves it this much error


def trained(
    method: Optimizer, lr: Any, decay: Any, seeds: Any, steps: int, config: Any
) -> tuple[Tree, Any]:
    """One network for each element of lr, decay and seeds; eta falls, or lr where there is none."""
    data, _, _ = three_splits(config.noise)
    runs = Networks(data, tuple(int(seed) for seed in seeds), config.hidden, config.batch)

    def multiplier(t: int) -> float:
        return float(1 + np.cos(np.pi * (t - 1) / steps)) / 2

    falling: Any = {"lr": lambda t: lr * multiplier(t)}
    if isinstance(method, PaperAdamW):
        falling = {"lr": lr, "eta": lambda t: np.full(len(lr), multiplier(t))}
    return train(method, runs, steps, {**falling, "weight_decay": decay})


def wrong(params: Tree, data: Any, shape: tuple[int, ...]) -> Any:
    """The share that each run gets wrong; all, where it diverged."""
    return np.nan_to_num(errors(params, data), nan=1.0).reshape(shape)


def grid(
    method: Optimizer, rates: Any, decays: Any, seeds: Any, steps: int, config: Any
) -> tuple[Any, Any]:
    """Validation and test errors, (rates, decays, seeds)."""
    axes = np.meshgrid(2.0 ** np.array(rates), 2.0 ** np.array(decays), seeds, indexing="ij")
    lr, decay, seed = (axis.ravel() for axis in axes)
    params, _ = trained(method, lr, decay, seed, steps, config)
    _, validation, test = three_splits(config.noise)
    return wrong(params, validation, axes[0].shape), wrong(params, test, axes[0].shape)


def best_decays(found: Any, decays: Any) -> Any:
    """For each row of (rates, decays) the log2 of the best decay, by a parabola through the smoothed
    errors about the least."""
    padded = np.pad(found, ((0, 0), (1, 1)), mode="edge")
    smooth, best = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4, []
    for row in smooth:
        k = int(np.clip(row.argmin(), 1, len(row) - 2))
        left, middle, right = row[k - 1 : k + 2]
        bend = left - 2 * middle + right
        best.append(decays[k] + (np.clip((left - right) / 2 / bend, -1, 1) if bend > 0 else 0))
    return np.array(best)


def jackknife(statistic: Any, found: Any) -> Any:
    """One value for each seed (the last axis), with the mean and the spread of the statistic."""
    seeds = found.shape[-1]
    whole = statistic(found.mean(axis=-1))
    without = [statistic(np.delete(found, k, axis=-1).mean(axis=-1)) for k in range(seeds)]
    return seeds * whole - (seeds - 1) * np.array(without)


def coupling(validation: Any, config: Config) -> tuple[list[bool], Any]:
    """Which rates count, and the slope of log2 best decay against log2 rate, a value a seed."""
    mean = validation.mean(axis=-1)
    counts = mean[:, 0] - mean.min(axis=1) >= config.gain
    x = np.array(config.rates)[counts]
    slope = lambda e: np.polyfit(x, best_decays(e, config.decays)[counts], 1)[0]  # noqa: E731
    return list(counts), jackknife(slope, validation)


def experiment(config: Config) -> dict[str, Any]:
    results: dict[str, Any] = {"rates": config.rates, "decays": config.decays}
    for name, method in METHODS.items():
        args = (config.rates, config.decays, range(config.tuning_seeds), config.steps, config)
        validation, test = grid(method, *args)
        mean = validation.mean(axis=-1)
        i, j = np.unravel_index(mean.argmin(), mean.shape)
        chosen = config.rates[i], config.decays[j]
        fresh = range(100, 100 + config.seeds)
        _, reported = grid(method, chosen[:1], chosen[1:], fresh, config.steps, config)
        counts, slopes = coupling(validation, config)
        results[name] = {
            "test error": np.round(100 * test.mean(axis=-1), 1),
            "best decay": np.round(best_decays(mean, config.decays), 2),
            "counts": counts,
            "slope": np.round(slopes, 2),
            "chosen": chosen,
            "test error of the chosen": np.round(100 * reported.ravel(), 1),
            "slice": np.round(100 * validation[4, ::3, :2].mean(axis=1), 1),  # lr 2**-6, seeds 0, 1
        }
    return results


if __name__ == "__main__":
    records.run("decay_grid", Config(), experiment, "weight_decay", __doc__)
