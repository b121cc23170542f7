"""What the benchmarks share: contestants, the clock, the setting, tables and records.

Rounds are interleaved, so that a busy moment of the machine meets all contestants alike. Shown is
the median over rounds; a ratio is taken within each round first. Before the clock starts, all
contestants must agree after three steps.
"""

import argparse
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from adam_tutorial import executors

LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
SECONDS = 0.02  # a contestant's share of a round, at least one call
SAMPLE = 10**6  # numbers at which two contestants are compared
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("adam-tutorial", "numpy", "numba", "torch", "thinc", "jax", "optax")

Array = Any
Seconds = dict[str, list[float]]  # a contestant's name -> its seconds per step, one for each round


@dataclass
class Contestant:
    """A call that makes one step, and where its parameters stand."""

    name: str
    step: Callable[[], object]
    theta: Callable[[], Array] | None  # its first parameters, flat, on the host; None: no optimizer
    gradients: list[Array] = field(default_factory=list)  # refilled before each call, if any
    threads: int | None = None  # ours and torch's; None: it has its own
    finish: Callable[[], object] | None = None  # waits for a device that has a stream of its own


# ---- What is here


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def all_threads() -> int:
    """Torch's own choice where it is installed, asked before the rounds change it; else ours."""
    if not installed("torch"):
        return executors.get_threads()
    import torch

    return torch.get_num_threads()


def thread_counts() -> list[int]:
    return sorted({1, all_threads()})


def use_threads(contestant: Contestant) -> None:
    if contestant.threads is None:
        return
    executors.set_threads(contestant.threads)
    if installed("torch"):
        import torch

        torch.set_num_threads(contestant.threads)


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def setting(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """The machine and the versions, with no name of a host and no path."""
    return {
        "date": date.today().isoformat(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": all_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in packages},
    }


def heading(about: dict[str, Any]) -> str:
    found = [f"{name} {number or 'not installed'}" for name, number in about["versions"].items()]
    return (
        f"Python {about['python']}, {', '.join(found)}\n"
        f"{about['cpu']}, {about['cores']} cores, {about['threads']} threads where all are used\n"
        f"load before the start {about['load']}: above 0.5, other programs take part in what is timed"
    )


# ---- The clock


def refill(contestant: Contestant, gradients: list[Array]) -> None:
    for own, g in zip(contestant.gradients, gradients, strict=False):
        np.copyto(own, g)


def timed(contestant: Contestant, gradients: list[Array]) -> float:
    """Seconds of one step on a fresh copy of the gradients, which are copied outside the clock."""
    refill(contestant, gradients)
    start = time.perf_counter()
    contestant.step()
    return time.perf_counter() - start


def agree(entered: list[Contestant], gradients: list[Array]) -> None:
    """Three steps each, which also warms everything up; then all must stand at one point."""
    for contestant in entered:
        use_threads(contestant)
        for _ in range(3):
            timed(contestant, gradients)
    stand = {contestant.name: contestant.theta() for contestant in entered if contestant.theta}
    for name, theta in stand.items():
        first = next(iter(stand.values()))
        if not np.allclose(theta, first, rtol=1e-3, atol=1e-3 * LR):
            raise SystemExit(f"{name} computes something else: it cannot be compared.")


def calls_for(contestant: Contestant, gradients: list[Array]) -> int:
    use_threads(contestant)
    return max(1, round(SECONDS / min(timed(contestant, gradients) for _ in range(3))))


def interleaved(
    entered: list[Contestant],
    rounds: int,
    seconds: Callable[[Contestant], float],
    progress: Callable[[], None],
) -> Seconds:
    """Each contestant's seconds per step, in each round."""
    found: Seconds = {contestant.name: [] for contestant in entered}
    for _ in range(rounds):
        for contestant in entered:
            found[contestant.name].append(seconds(contestant))
        progress()
    return found


def race(
    entered: list[Contestant],
    gradients: list[Array],
    rounds: int,
    progress: Callable[[], None],
) -> Seconds:
    """On the CPU: in each round the median call of each contestant."""
    agree(entered, gradients)
    calls = {c.name: calls_for(c, gradients) for c in entered}

    def seconds(contestant: Contestant) -> float:
        use_threads(contestant)
        timed(contestant, gradients)  # torch makes its threads anew after a change
        return statistics.median(
            timed(contestant, gradients) for _ in range(calls[contestant.name])
        )

    return interleaved(entered, rounds, seconds, progress)


class Progress:
    """A bar on stderr, where there is someone to see it."""

    def __init__(self, total: int) -> None:
        self.done, self.total = 0, total

    def __call__(self) -> None:
        self.done += 1
        if sys.stderr.isatty():
            filled = "#" * (30 * self.done // self.total)
            end = "\n" if self.done == self.total else ""
            print(
                f"\r[{filled:<30}] {self.done}/{self.total}", end=end, file=sys.stderr, flush=True
            )


# ---- Reports


def medians(found: Seconds) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in found.items()}


def ratios(found: Seconds, pairs: Iterable[tuple[str, str]]) -> dict[str, float]:
    """One contestant's time over another's, the median of the rounds' ratios."""
    return {
        f"{one} / {other}": statistics.median(
            a / b for a, b in zip(found[one], found[other], strict=True)
        )
        for one, other in pairs
        if one in found and other in found
    }


def disturbed(found: Seconds) -> list[str]:
    """Whom other programs disturbed: half of its rounds lie far apart, or more threads slow it.

    Threads that wait for each other wait for the slowest, so a busy core costs them most.
    """
    names = []
    for name, values in found.items():
        low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else 3 * values
        alone = found.get(re.sub(r", \d+ threads$", ", 1 thread", name), values)
        if high > 1.5 * low or middle > 2 * statistics.median(alone):
            names.append(name)
    return names


def notice(found: dict[str, Seconds]) -> str:
    """A line for each column with numbers that should not be believed; "" where there is none."""
    lines = [
        f"{head}: do not believe {'; '.join(names)}"
        for head, names in ((head, disturbed(each)) for head, each in found.items())
        if names
    ]
    return "\n".join(["\nother programs disturbed what was timed", *lines]) if lines else ""


def table(title: str, columns: dict[str, dict[str, float]], form: str = ".2f") -> str:
    """A row for each name that any column has; a blank where a column has it not."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    width = max(map(len, [title, *names]))
    lines = [title.ljust(width) + "".join(f"{head:>11}" for head in columns)]
    for name in names:
        shown = (f"{c[name]:{form}}" if name in c else "" for c in columns.values())
        lines.append(name.ljust(width) + "".join(f"{value:>11}" for value in shown))
    return "\n".join(lines)


def power(size: int) -> str:
    """A size as the head of a column: 100000 is 1e5."""
    return (
        f"{size:.0e}".replace("e+0", "e") if size % 10 ** (len(str(size)) - 1) == 0 else str(size)
    )


def rounded(value: Any) -> Any:
    """Four digits of every float, which is more than a clock can promise."""
    if isinstance(value, dict):
        return {str(name): rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def write(path: Path, parts: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rounded(parts), indent=1) + "\n", "utf-8")


def record(path: Path, part: str, about: dict[str, Any], found: dict[str, Any]) -> None:
    """Write one part of a record; the parts that other programs wrote stay."""
    parts = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    write(path, {**parts, part: {"setting": about, **found}})


def arguments(description: str, rounds: int = 9) -> argparse.ArgumentParser:
    """The options that the CPU programs share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument(
        "--record",
        nargs="?",
        type=Path,
        const=RESULTS / "cpu.json",
        help="also write the numbers to this file (by default benchmarks/results/cpu.json)",
    )
    return parser
