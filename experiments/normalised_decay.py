"""AdamW at three training budgets: does the best decay move, and the best normalised decay not?

python experiments/normalised_decay.py --record
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import records
from decay_grid import best_decays, grid, jackknife

from adam_tutorial import PaperAdamW


@dataclass(frozen=True)
class Config:
    epochs: tuple[int, ...] = (20, 80, 320)
    rates: tuple[int, ...] = (-6, -5)  # log2 of lr
    decays: tuple[int, ...] = tuple(
        range(-13, -2)
    )  # log2 of weight_decay, in the paper's convention
    seeds: int = 10
    hidden: int = 32
    batch: int = 64
    noise: float = 0.2  # share of training labels drawn anew


def experiment(config: Config) -> dict[str, Any]:
    x = np.log2(config.epochs)
    runs = [
        grid(PaperAdamW(), config.rates, config.decays, range(config.seeds), 18 * n, config)
        for n in config.epochs
    ]
    validation, test = (np.array(part) for part in zip(*runs, strict=True))  # (epochs, rates, ...)
    results: dict[str, Any] = {"epochs": config.epochs, "decays": config.decays}
    for k, rate in enumerate(config.rates):
        slope = lambda e: np.polyfit(x, best_decays(e, config.decays), 1)[0]  # noqa: E731
        best = best_decays(validation[:, k].mean(axis=-1), config.decays)
        middle = int(validation[1, k].mean(axis=-1).argmin())
        carried = {}
        for budget, shift in ((0, 1), (2, -1)):  # the same normalised decay is twice, or half
            same, scaled = test[budget, k, middle], test[budget, k, middle + shift]
            carried[f"to {config.epochs[budget]}"] = np.round(100 * (same - scaled), 1)
        results[f"lr 2**{rate}"] = {
            "validation error": np.round(100 * validation[:, k].mean(axis=-1), 1),
            "best decay": np.round(best, 2),
            "slope": np.round(jackknife(slope, validation[:, k]), 2),
            "carried": carried,
        }
    return results


if __name__ == "__main__":
    records.run("normalised_decay", Config(), experiment, "weight_decay", __doc__)
