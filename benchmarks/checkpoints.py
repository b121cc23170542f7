"""Saving and loading a run of Adam, beside NumPy's savez and torch.save, on the same arrays.

Parameters, m and v, in float32: three arrays of one size, and then the 148 arrays of GPT-2 small at a
tenth of its width, three times. `save` waits until the disk holds the file; the others do not. So both
sides are timed twice: with the wait, and without. Files lie in a temporary folder, or in --folder:
a disk and a folder in memory differ most in the wait.

    make bench        or: python benchmarks/checkpoints.py [--rounds 9] [--record]
"""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from common import (
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
)
from many_leaves import TENTH, Shapes, gpt2_shapes

from adam_tutorial import Adam, load, save
from adam_tutorial.trees import leaves

OURS, OURS_WAITS = "save without the wait", "save"
NUMPY, NUMPY_WAITS = "np.savez", "np.savez and fsync"
TORCH, TORCH_WAITS = "torch.save", "torch.save and fsync"
OUR_LOAD, NUMPY_LOAD, TORCH_LOAD = "load", "np.load into the arrays", "torch.load into the tensors"
PAIRS = [
    *((OURS, NUMPY), (OURS, TORCH)),
    *((OURS_WAITS, NUMPY_WAITS), (OURS_WAITS, TORCH_WAITS)),
    *((OUR_LOAD, NUMPY_LOAD), (OUR_LOAD, TORCH_LOAD)),
]
SIZES = (10**4, 10**6, 10**7)


def run_of(shapes: Shapes) -> tuple[Adam, list[Any], Any]:
    """A method, parameters and a state that no zeros make easy."""
    rng, adam = np.random.default_rng(0), Adam()
    params = [rng.standard_normal(shape, np.float32) for shape in shapes]
    state = adam.init(params)
    for array in leaves(list(state.slots.values())):
        array[...] = rng.standard_normal(array.shape, np.float32)
    return adam, params, state


def and_waits(write: Callable[[], None], path: Path) -> None:
    """What a program does that wants to be as sure as `save` is."""
    write()
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def without_the_wait(write: Callable[[], None]) -> None:
    with mock.patch.object(os, "fsync", lambda descriptor: None):
        write()


def numpys(arrays: list[Any], path: Path) -> list[Contestant]:
    def write() -> None:
        np.savez(path, *arrays)

    def read() -> None:
        with np.load(path) as file:
            for i, array in enumerate(arrays):
                array[...] = file[f"arr_{i}"]

    return [
        Contestant(NUMPY, write, None),
        Contestant(NUMPY_WAITS, partial(and_waits, write, path), None),
        Contestant(NUMPY_LOAD, read, None),
    ]


def torchs(arrays: list[Any], path: Path) -> list[Contestant]:
    import torch

    tensors = [torch.from_numpy(array) for array in arrays]

    def write() -> None:
        torch.save(tensors, path)

    def read() -> None:
        for tensor, found in zip(tensors, torch.load(path, weights_only=True), strict=True):
            tensor.copy_(found)

    return [
        Contestant(TORCH, write, None),
        Contestant(TORCH_WAITS, partial(and_waits, write, path), None),
        Contestant(TORCH_LOAD, read, None),
    ]


def contestants(shapes: Shapes, folder: Path) -> list[Contestant]:
    """All write the same arrays, each to a file of its own."""
    run, path = run_of(shapes), folder / "ours.npz"
    arrays = leaves([run[1], *run[2].slots.values()])
    entered = [
        Contestant(OURS, lambda: without_the_wait(lambda: save(path, *run)), None),
        Contestant(OURS_WAITS, lambda: save(path, *run), None),
        Contestant(OUR_LOAD, lambda: load(path, *run), None),
        *numpys(arrays, folder / "numpy.npz"),
    ]
    return entered + (torchs(arrays, folder / "torch.pt") if installed("torch") else [])


def timed(shapes: Shapes, rounds: int, folder: str | None, progress: Any) -> Seconds:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return race(contestants(shapes, Path(place)), [], rounds, progress)


def main() -> None:
    parser = arguments("Time saving and loading a run of Adam, in float32.")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--width", type=int, default=TENTH, help="of GPT-2 small; 0 leaves it out")
    parser.add_argument("--folder", help="where the files are written")
    options = parser.parse_args()
    cases: dict[str, Shapes] = {power(size): [(size,)] for size in options.sizes}
    if options.width:
        cases["GPT-2"] = gpt2_shapes(options.width)
    about = setting()
    print(heading(about), flush=True)
    progress = Progress(options.rounds * len(cases))
    found = {
        name: timed(shapes, options.rounds, options.folder, progress)
        for name, shapes in cases.items()
    }
    milliseconds = {
        head: {name: 1e3 * seconds for name, seconds in medians(each).items()}
        for head, each in found.items()
    }
    compared = {head: ratios(each, PAIRS) for head, each in found.items()}
    print(f"\n{table('milliseconds', milliseconds)}\n\n{table('ratio of times', compared)}")
    print(notice(found))
    if options.record:
        parts: dict[str, Any] = {
            "parameters": {head: sum(map(prod, shapes)) for head, shapes in cases.items()},
            "milliseconds": milliseconds,
            "ratios": compared,
            "disturbed": {head: disturbed(each) for head, each in found.items()},
        }
        record(options.record, "checkpoints", about, parts)


if __name__ == "__main__":
    main()
