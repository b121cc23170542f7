"""One step on the 148 arrays of GPT-2 small, packed in one vector or as they are.

The shapes are those of the model with tied embeddings: a vocabulary of 50257, a context of 1024,
12 layers, and width 768, which makes 124,439,808 parameters. By default the width is 77, a tenth,
with the other numbers as they are: 4,814,579 parameters in as many arrays.

    make bench        or: python benchmarks/many_leaves.py [--full] [--rounds 9] [--record]
"""

from math import prod
from typing import Any

import numpy as np
from common import (
    Array,
    Contestant,
    Progress,
    Seconds,
    all_threads,
    arguments,
    disturbed,
    heading,
    installed,
    medians,
    notice,
    race,
    ratios,
    record,
    setting,
    table,
    thread_counts,
)
from contestants import named, optax_adam, ours, replayed, torch_adam

from adam_tutorial import executors

VOCABULARY, CONTEXT, LAYERS, WIDTH = 50257, 1024, 12, 768
TENTH = 77
PACKED, UNPACKED, REPLAYED = "Adam.step packed", "Adam.step unpacked", "Adam.step without Numba"
Shapes = list[tuple[int, ...]]


def gpt2_shapes(width: int = WIDTH, vocabulary: int = VOCABULARY, context: int = CONTEXT) -> Shapes:
    """The parameters' shapes in the order of the published weights; a linear map is (in, out)."""
    norm: Shapes = [(width,), (width,)]
    layer: Shapes = [
        *norm,
        *((width, 3 * width), (3 * width,)),  # queries, keys and values
        *((width, width), (width,)),
        *norm,
        *((width, 4 * width), (4 * width,)),
        *((4 * width, width), (width,)),
    ]
    return [(vocabulary, width), (context, width), *(LAYERS * layer), *norm]


def gradients_for(shapes: Shapes) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 1.5, shape).astype(np.float32) for shape in shapes]


def contestants(gradients: list[Array], threads: int) -> list[Contestant]:
    """Those with this number of threads; those with none to choose stand beside their likes."""
    entered = []
    if not executors.numba_missing():
        entered.append(ours(gradients, PACKED, threads, packed=True))
        entered.append(ours(gradients, UNPACKED, threads))
    if installed("torch"):
        kinds = ("default", "foreach", "fused")
        entered += [torch_adam(gradients, kind, threads) for kind in kinds]
    if threads == 1:
        entered.append(replayed(gradients, REPLAYED))
    if threads == all_threads() and installed("optax"):
        entered.append(optax_adam(gradients))
    return entered


def pairs() -> list[tuple[str, str]]:
    """What is compared: equal numbers of threads, and this package first, so below 1 is faster."""
    others = ("torch fused", "torch foreach", "torch default")
    counts = thread_counts()
    return [
        *((named(PACKED, n), named(other, n)) for other in others for n in counts),
        *((named(UNPACKED, n), named("torch fused", n)) for n in counts),
        *((named(PACKED, n), named(UNPACKED, n)) for n in counts),
        (named(PACKED, counts[-1]), "Optax jit"),
        (REPLAYED, named("torch default", 1)),
    ]


def main() -> None:
    parser = arguments("Time one step of Adam on the arrays of GPT-2 small, in float32.")
    parser.add_argument("--full", action="store_true", help="the whole width, not a tenth")
    parser.add_argument("--width", type=int, default=TENTH)
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY)
    parser.add_argument("--context", type=int, default=CONTEXT)
    options = parser.parse_args()
    width = WIDTH if options.full else options.width
    shapes = gpt2_shapes(width, options.vocabulary, options.context)
    about, size = setting(), sum(map(prod, shapes))
    print(f"{heading(about)}\n{len(shapes)} arrays, width {width}, {size:,} parameters", flush=True)
    gradients = gradients_for(shapes)
    progress = Progress(options.rounds * len(thread_counts()))
    found: Seconds = {}
    for threads in thread_counts():  # one after the other, so that half the memory is enough
        entered = contestants(gradients, threads)
        found |= race(entered, gradients, options.rounds, progress)
        del entered
    milliseconds = {name: 1e3 * seconds for name, seconds in medians(found).items()}
    per_parameter = {name: 1e9 * seconds / size for name, seconds in medians(found).items()}
    shown = {"ms": milliseconds, "ns/param": per_parameter}
    compared = ratios(found, pairs())
    print(f"\n{table('one step', shown)}\n\n{table('ratio of times', {'': compared})}")
    print(notice({"one step": found}))
    if options.record:
        sizes = {"width": width, "arrays": len(shapes), "parameters": size}
        parts: dict[str, Any] = {**sizes, "milliseconds": milliseconds, "ratios": compared}
        parts["disturbed"] = disturbed(found)
        record(options.record, f"many_leaves, width {width}", about, parts)


if __name__ == "__main__":
    main()
