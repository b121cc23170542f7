"""Nanoseconds per parameter of one Adam step, beside what one would use instead.

One float32 array, from a thousand to ten million numbers. Every contestant holds its own
parameters and gradient. A gradient is refilled before each call, outside the clock, because Thinc
sets it to zero.

    make bench        or: python benchmarks/step.py [--sizes 1000 100000] [--rounds 9] [--record]
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from common import (
    PACKAGES,
    Contestant,
    Progress,
    Seconds,
    arguments,
    disturbed,
    heading,
    installed,
    medians,
    notice,
    power,
    race,
    ratios,
    record,
    setting,
    table,
    thread_counts,
)
from contestants import (
    copy_of_as_many_bytes,
    named,
    optax_adam,
    ours,
    replayed,
    textbook,
    thinc_adam,
    torch_adam,
)

from adam_tutorial import executors

SIZES = [10**3, 10**4, 10**5, 10**6, 10**7]
COMPILED, REPLAYED = "Adam.step compiled", "Adam.step without Numba"


def contestants(gradients: list[Any]) -> list[Contestant]:
    """Everything that is installed here, each with the same start and memory of its own."""
    entered = [replayed(gradients, REPLAYED), textbook(gradients)]
    for threads in thread_counts():
        entered.append(copy_of_as_many_bytes(gradients, threads))
        if not executors.numba_missing():
            entered.append(ours(gradients, COMPILED, threads))
        if installed("torch"):
            entered += [torch_adam(gradients, kind, threads) for kind in ("default", "fused")]
    if installed("thinc"):
        entered.append(thinc_adam(gradients))
    if installed("optax"):
        entered.append(optax_adam(gradients))
    return sorted(entered, key=lambda contestant: not contestant.name.startswith("Adam.step"))


def pairs() -> list[tuple[str, str]]:
    """What is compared: equal numbers of threads, and this package first, so below 1 is faster."""
    return [
        *((named(COMPILED, n), named("torch fused", n)) for n in thread_counts()),
        *((named(COMPILED, n), named("torch default", n)) for n in thread_counts()),
        (REPLAYED, named("torch default", 1)),
        (REPLAYED, "textbook"),
        (REPLAYED, "Thinc"),
        *((named(COMPILED, n), "Optax jit") for n in thread_counts()[-1:]),
        *((named(COMPILED, n), named("a copy of 28 bytes", n)) for n in thread_counts()),
    ]


def measure(size: int, rounds: int, progress: Callable[[], None]) -> Seconds:
    # Away from zero, where Thinc's place of epsilon (before bias correction) would show.
    gradient = np.random.default_rng(0).uniform(0.5, 1.5, size).astype(np.float32)
    return race(contestants([gradient]), [gradient], rounds, progress)


def main() -> None:
    parser = arguments("Time one step of Adam, in float32.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    about = setting(PACKAGES)
    print(heading(about), flush=True)
    progress = Progress(len(options.sizes) * options.rounds)
    found = {power(size): measure(size, options.rounds, progress) for size in options.sizes}
    per_parameter = {
        head: {name: 1e9 * s / size for name, s in medians(found[head]).items()}
        for head, size in zip(found, options.sizes, strict=True)
    }
    compared = {head: ratios(each, pairs()) for head, each in found.items()}
    print(f"\n{table('ns per parameter', per_parameter)}")
    print(f"\n{table('ratio of times', compared)}")
    print(notice(found))
    if options.record:
        parts = {
            "nanoseconds per parameter": per_parameter,
            "ratios": compared,
            "disturbed": {head: disturbed(each) for head, each in found.items()},
        }
        record(options.record, "step", about, parts)


if __name__ == "__main__":
    main()
