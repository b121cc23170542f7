"""Nanoseconds per parameter of one Adam step, beside what one would use instead.

Every contestant holds its own float32 parameters and gradient. A gradient is refilled before each
call, outside the clock, because Thinc sets it to zero. Rounds are interleaved, so that a busy
moment of the machine meets all alike; shown is the median over rounds of the median call. Before the clock
starts, all contestants must agree after three steps.

    make bench        or: python benchmarks/step.py [--sizes 1000 100000] [--rounds 9]
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from adam_tutorial import Adam

LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
SIZES = [10**3, 10**4, 10**5, 10**6, 10**7]
SECONDS = 0.02  # a contestant's share of a round, at least one call

Array = Any


@dataclass
class Contestant:
    """A parameter vector, its gradient, and a call that makes one step."""

    name: str
    theta: Array
    g: Array
    step: Callable[[], None]
    threads: int | None = None  # torch's; None leaves them as they are


# ---- Contestants


def ours(theta: Array, g: Array) -> Contestant:
    adam = Adam(lr=LR, beta1=BETA1, beta2=BETA2, eps=EPS)
    state = adam.init(theta)
    return Contestant("Adam.step", theta, g, lambda: adam.step(theta, g, state))


def textbook(theta: Array, g: Array) -> Contestant:
    """Algorithm 1 as people write it in NumPy: whole arrays, a new one for every operation."""
    m, v, t = np.zeros_like(theta), np.zeros_like(theta), 0

    def step() -> None:
        nonlocal m, v, t
        t += 1
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * g**2
        m_hat = m / (1 - BETA1**t)
        v_hat = v / (1 - BETA2**t)
        theta[:] = theta - LR * m_hat / (np.sqrt(v_hat) + EPS)

    return Contestant("textbook", theta, g, step)


def torch_adam(theta: Array, g: Array, fused: bool | None, threads: int) -> Contestant:
    import torch

    parameter = torch.nn.Parameter(torch.from_numpy(theta))
    parameter.grad = torch.from_numpy(g)
    adam = torch.optim.Adam([parameter], lr=LR, betas=(BETA1, BETA2), eps=EPS, fused=fused)
    name = f"torch {'fused' if fused else 'default'}, {threads} thread{'s' * (threads > 1)}"
    return Contestant(name, theta, g, lambda: adam.step() and None, threads)


def thinc_adam(theta: Array, g: Array) -> Contestant:
    from thinc.api import Adam as ThincAdam

    adam = ThincAdam(
        LR, beta1=BETA1, beta2=BETA2, eps=EPS, L2=0.0, grad_clip=0.0, use_averages=False
    )
    return Contestant("Thinc", theta, g, lambda: adam((0, "theta"), theta, g) and None)


def contestants(size: int) -> list[Contestant]:
    """Everything that is installed here, each with the same start and memory of its own."""
    makers: list[Callable[[Array, Array], Contestant]] = [ours, textbook]
    if installed("torch"):
        for threads in sorted({default_threads(), 1}, reverse=True):
            for fused in (None, True):
                makers.append(lambda a, g, f=fused, n=threads: torch_adam(a, g, f, n))  # type: ignore[misc]
    if installed("thinc"):
        makers.append(thinc_adam)
    return [make(np.zeros(size, np.float32), np.zeros(size, np.float32)) for make in makers]


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def default_threads() -> int:
    """Torch's own choice, asked once, before the rounds begin to change it."""
    import torch

    return torch.get_num_threads()


# ---- Timing


def timed(contestant: Contestant, gradient: Array) -> float:
    """Seconds of one step on a fresh copy of the gradient."""
    np.copyto(contestant.g, gradient)
    start = time.perf_counter()
    contestant.step()
    return time.perf_counter() - start


def use_threads(contestant: Contestant) -> None:
    if contestant.threads:
        import torch

        torch.set_num_threads(contestant.threads)


def agree(entered: list[Contestant], gradient: Array) -> None:
    """Three steps each, which also warms everything up; then all must stand at one point."""
    for contestant in entered:
        use_threads(contestant)
        for _ in range(3):
            timed(contestant, gradient)
    for contestant in entered:
        if not np.allclose(contestant.theta, entered[0].theta, rtol=1e-3, atol=1e-3 * LR):
            raise SystemExit(f"{contestant.name} computes something else: it cannot be compared.")


def calls_for(contestant: Contestant, gradient: Array) -> int:
    use_threads(contestant)
    return max(1, round(SECONDS / min(timed(contestant, gradient) for _ in range(3))))


def measure(size: int, rounds: int, progress: Callable[[], None]) -> dict[str, float]:
    """Median nanoseconds per parameter of every contestant, rounds interleaved."""
    # Away from zero, where Thinc's place of epsilon (before bias correction) would show.
    gradient = np.random.default_rng(0).uniform(0.5, 1.5, size).astype(np.float32)
    entered = contestants(size)
    agree(entered, gradient)
    calls = {c.name: calls_for(c, gradient) for c in entered}
    found: dict[str, list[float]] = {c.name: [] for c in entered}
    for _ in range(rounds):
        for c in entered:
            use_threads(c)
            timed(c, gradient)  # torch makes its threads anew in the first call after a change
            seconds = statistics.median(timed(c, gradient) for _ in range(calls[c.name]))
            found[c.name].append(1e9 * seconds / size)
        progress()
    return {name: statistics.median(values) for name, values in found.items()}


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


# ---- Report


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def setting() -> str:
    packages = ("numpy", "torch", "thinc", "adam-tutorial")
    found = [f"{name} {installed(name) or 'not installed'}" for name in packages]
    threads = f", torch threads {default_threads()}" if installed("torch") else ""
    load, cores = os.getloadavg()[0], os.cpu_count()
    return (
        f"Python {platform.python_version()}, {', '.join(found)}\n"
        f"{cpu_model()}, {cores} cores{threads}; NumPy and Thinc use one thread\n"
        f"load before the start {load:.1f}: above 0.5, other programs take part in what is timed"
    )


def table(results: dict[int, dict[str, float]]) -> str:
    """One row for each contestant: ns per parameter, and how many times Adam.step that is."""
    names = list(next(iter(results.values())))
    lines = ["ns per parameter (times Adam.step)".ljust(36)]
    lines[0] += "".join(f"{size:>16.0e}" for size in results).replace("e+0", "e")
    for name in names:
        line = name.ljust(36)
        for found in results.values():
            ratio = found[name] / found["Adam.step"]
            line += f"{found[name]:8.2f} ({ratio:4.2f}x)".rjust(16)
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one step of Adam, in float32.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(setting(), flush=True)
    progress = Progress(len(options.sizes) * options.rounds)
    results = {size: measure(size, options.rounds, progress) for size in options.sizes}
    print(f"\n{table(results)}")


if __name__ == "__main__":
    main()
