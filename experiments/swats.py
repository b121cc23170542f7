"""Adam, SGD with momentum, and SWATS on the digits: an early lead, saturation, catching up?

The decision of SWATS looks at all gradients of one run, so its runs are made one by one.

python experiments/swats.py --record
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import records
from records import rounded

from adam_tutorial import SWATS, Adam, Momentum, Optimizer
from adam_tutorial.sweeps import Networks, errors, losses, progress, three_splits, train

BATCHED: dict[str, tuple[Optimizer, float]] = {  # and the middle of its grid of learning rates
    "Adam": (Adam(1.0), 0.01),
    "Momentum": (Momentum(1.0, 0.9), 0.03),
}


@dataclass(frozen=True)
class Config:
    factor: float = 2.0  # between neighbouring learning rates
    rates: int = 9  # learning rates tried for each method
    middle: float = 0.01  # of the grid of SWATS, as Adam's
    tolerance: float = 1e-3  # chosen before, for a switch in the first epochs at lr = 1e-3
    tuning_seeds: int = 5
    seeds: int = 10  # other ones, for the report
    epochs: int = 100
    early: int = 3  # the epochs after which an early lead is looked for
    hidden: int = 32
    batch: int = 64
    noises: tuple[float, ...] = (0.0, 0.2)  # shares of training labels drawn anew
    watched_lr: float = 1e-3  # of the run whose projected rates are kept
    shown: tuple[int, ...] = (1, 2, 3, 5, 10, 20, 50, 100)  # epochs


TOLERANCES = (1e-9, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Setting:
    """The data at one share of noise, and what is measured on it after each epoch."""

    config: Config
    noise: float

    def networks(self, seeds: tuple[int, ...]) -> Networks:
        data, _, _ = three_splits(self.noise)
        return Networks(data, seeds, self.config.hidden, self.config.batch)

    @property
    def an_epoch(self) -> int:
        return 1200 // self.config.batch

    def measured(self, params: Any) -> np.ndarray:
        """Validation error, test error and training loss of each run, (3, R)."""
        data, validation, test = three_splits(self.noise)
        return np.stack([errors(params, validation), errors(params, test), losses(params, data)])

    def batched(self, method: Optimizer, rates: Any, seeds: tuple[int, ...]) -> np.ndarray:
        """What was measured, (epochs, 3, rates, seeds)."""
        columns = np.repeat(rates, len(seeds))
        runs = self.networks(seeds * len(rates))
        steps = self.config.epochs * self.an_epoch
        _, seen = train(method, runs, steps, {"lr": columns}, self.measured, self.an_epoch)
        return np.array(seen).reshape(self.config.epochs, 3, len(rates), len(seeds))

    def alone(self, method: Optimizer, seed: int) -> tuple[np.ndarray, list[dict[str, float]]]:
        """What was measured in one run, (epochs, 3), and its scalars after each step."""
        problem = self.networks((seed,))
        params, seen, scalars = problem.start, [], []
        state = method.init(params)
        for t in range(1, self.config.epochs * self.an_epoch + 1):
            method.step(params, problem.grad(params, t), state)
            scalars.append(state.scalars)
            if t % self.an_epoch == 0:
                seen.append(self.measured(params)[:, 0])
        return np.array(seen), scalars


def counted(shares: Any) -> list[int]:
    """How many of the 360 test digits are wrong."""
    return [round(360 * float(share)) for share in shares]


def reported(setting: Setting, rates: Any, tuning: np.ndarray, run: Any) -> dict[str, Any]:
    """The rates that validation chooses for the end and for the early epochs, and what they give."""
    config, seeds = setting.config, tuple(range(100, 100 + setting.config.seeds))
    means = np.nan_to_num(tuning[:, 0].mean(axis=-1), nan=1.0)  # (epochs, rates)
    last, early = rates[means[-1].argmin()], rates[means[config.early - 1].argmin()]
    at = np.array(config.shown) - 1
    found, more = run(last, seeds)  # (epochs, 3, seeds)
    wrong = 100 * found[:, 1]  # percent of the test digits
    return {
        "lr": [last, early],
        "error": np.round(wrong[at].mean(axis=-1), 1),
        "spread": np.round(wrong[at].std(axis=-1, ddof=1), 1),
        "last": counted(found[-1, 1]),
        "early": counted(run(early, seeds)[0][config.early - 1, 1]),
        **more,
    }


def batched(setting: Setting, method: Optimizer, rates: Any) -> dict[str, Any]:
    tuning = setting.batched(method, rates, tuple(range(setting.config.tuning_seeds)))

    def run(rate: float, seeds: tuple[int, ...]) -> tuple[np.ndarray, dict[str, Any]]:
        return setting.batched(method, np.array([rate]), seeds)[:, :, 0], {}

    return reported(setting, rates, tuning, run)


def switching(setting: Setting, rates: Any) -> dict[str, Any]:
    config = setting.config

    def run(rate: float, seeds: tuple[int, ...]) -> tuple[np.ndarray, dict[str, Any]]:
        runs = [setting.alone(SWATS(rate, tolerance=config.tolerance), seed) for seed in seeds]
        more = {
            "switched": [int(scalars[-1]["switched"]) for _, scalars in runs],
            "lr_sgd": rounded([scalars[-1]["lr_sgd"] for _, scalars in runs], 3),
        }
        return np.stack([seen for seen, _ in runs], axis=-1), more

    seeds = tuple(range(config.tuning_seeds))
    tuning = np.stack([run(rate, seeds)[0] for rate in progress(rates, "SWATS")], axis=2)
    found = reported(setting, rates, tuning, run)
    stays = SWATS(found["lr"][0], tolerance=0.0)
    report = range(100, 100 + config.seeds)
    found["unswitched"] = counted([setting.alone(stays, seed)[0][-1, 1] for seed in report])
    return found


def watched(setting: Setting) -> dict[str, Any]:
    """The projected rates of runs that never switch: how often each tolerance would pass."""
    rows = []
    for seed in range(100, 100 + setting.config.seeds):
        _, scalars = setting.alone(SWATS(setting.config.watched_lr, tolerance=0.0), seed)
        gamma, average, n = (
            np.array([each[name] for each in scalars]) for name in ("gamma", "average", "updates")
        )
        rows.append((gamma, average / (1 - SWATS().beta2 ** n)))
    gamma, mean = np.array(rows).swapaxes(0, 1)
    apart = np.abs(mean - gamma)[:, 1:]  # from the second step on
    return {
        "steps": apart.size,
        "passes": [int((apart < tolerance).sum()) for tolerance in TOLERANCES],
        "runs": [int((apart < tolerance).any(axis=1).sum()) for tolerance in TOLERANCES],
        "negative": float((gamma < 0).mean()),
    }


def experiment(config: Config) -> dict[str, Any]:
    results: dict[str, Any] = {}
    powers = config.factor ** np.arange(-(config.rates // 2), config.rates // 2 + 1)
    for noise in config.noises:
        setting = Setting(config, noise)
        found = results[f"noise {noise:g}"] = {}
        for name, (method, middle) in BATCHED.items():
            found[name] = batched(setting, method, middle * powers)
        found["SWATS"] = switching(setting, config.middle * powers)
        found["watched"] = watched(setting)
    return results


if __name__ == "__main__":
    records.run("swats", Config(), experiment, "swats", __doc__)
