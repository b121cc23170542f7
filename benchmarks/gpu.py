"""One Adam step on a GPU, beside a copy of as many numbers, torch and Optax.

A step reads theta, g, m and v and writes theta, m and v: 28 bytes for each float32 parameter. No
step can be faster than the memory, so the measure is the bandwidth of a copy from device to
device on the same GPU. CUDA events time a row of calls; Optax, which has streams of its own, is
timed by the host's clock until its result is there. The numbers are kept in benchmarks/results/.

    make bench-gpu        or: python benchmarks/gpu.py [--sizes 100 1000000] [--rounds 9]
"""

import argparse
import gc
import importlib
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from math import prod
from typing import Any

import compile_time
import numpy as np
from common import (
    RESULTS,
    SECONDS,
    Array,
    Contestant,
    Progress,
    Seconds,
    agree,
    heading,
    installed,
    interleaved,
    medians,
    power,
    ratios,
    setting,
    table,
    write,
)
from contestants import optax_adam, ours, torch_adam
from many_leaves import Shapes, gpt2_shapes, gradients_for

SIZES = [10**n for n in range(2, 9)]
BYTES_OF_A_STEP = 7 * 4  # read theta, g, m, v; write theta, m, v
BYTES_OF_A_COPY = 2 * 4  # read and write
HOST_CALLS = 200  # fewer than a stream queues before it makes the host wait
STEP, COPY = "Adam.step", "copy of one array"
PACKED, UNPACKED = "Adam.step packed", "Adam.step unpacked"
OTHERS = ("torch fused", "torch default", "Optax jit")


# ---- What is here


def trouble() -> str:
    """Why nothing can be timed here, and what to install, in a sentence; "" where a GPU answers."""
    needs = (
        "this benchmark needs an NVIDIA GPU with its driver, and CuPy for its CUDA version "
        "(pip install cupy-cuda12x, or cupy-cuda13x)"
    )
    try:
        cupy = cuda()
    except ImportError:
        return f"CuPy is not installed here: {needs}."
    return "" if cupy.cuda.is_available() else f"CuPy finds no GPU here: {needs}."


def cuda() -> Any:
    """CuPy, without its warnings of a CUDA that is half installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("cupy")


def torch_has_gpu() -> bool:
    return bool(installed("torch") and importlib.import_module("torch").cuda.is_available())


def optax_has_gpu() -> bool:
    if not installed("optax"):
        return False
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # others need memory as well
    return bool(importlib.import_module("jax").default_backend() == "gpu")


def driver() -> str:
    """The driver's version as nvidia-smi names it, of the first GPU."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.strip().splitlines()[0]


def dotted(version: int) -> str:
    """CUDA's numbers: 12090 is 12.9."""
    return f"{version // 1000}.{version % 1000 // 10}"


def gpu_setting() -> dict[str, Any]:
    cupy = cuda()
    about = setting(("adam-tutorial", "numpy", "torch", "jax", "optax"))
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())
    about["versions"]["cupy"] = cupy.__version__
    torch_cuda = importlib.import_module("torch").version.cuda if installed("torch") else None
    return {
        "gpu": properties["name"].decode(),
        "driver": driver(),
        "CUDA of the driver": dotted(cupy.cuda.runtime.driverGetVersion()),
        "CUDA of CuPy": dotted(cupy.cuda.runtime.runtimeGetVersion()),
        "CUDA of torch": torch_cuda,
        **about,
    }


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


# ---- Contestants


def on_gpu(gradients: list[Array], name: str, *, packed: bool = False) -> Contestant:
    there = [cuda().asarray(g) for g in gradients]
    contestant = ours(there, name, packed=packed)
    for own, g in zip(contestant.gradients, there, strict=True):
        own[...] = g
    contestant.gradients = []  # nothing here overwrites them
    return contestant


def others(gradients: list[Array]) -> list[Contestant]:
    entered = []
    if torch_has_gpu():
        entered += [torch_adam(gradients, kind, None, "cuda") for kind in ("fused", "default")]
    if optax_has_gpu():
        entered.append(optax_adam(gradients, wait=False))
    return entered


def copy_of(size: int) -> Contestant:
    """The yardstick: one array of `size` numbers copied to another."""
    source, target = (cuda().zeros(size, np.float32) for _ in range(2))
    copy, bytes_ = target.data.copy_from_device_async, source.nbytes
    return Contestant(COPY, lambda: copy(source.data, bytes_), lambda: target)


# ---- The clock


def synchronize() -> None:
    cuda().cuda.runtime.deviceSynchronize()


def device_seconds(contestant: Contestant, calls: int) -> float:
    """Seconds of one call in a row of them, on the GPU's own clock."""
    synchronize()
    if contestant.finish:  # its streams know nothing of the events below
        begin = time.perf_counter()
        for _ in range(calls):
            contestant.step()
        contestant.finish()
        return (time.perf_counter() - begin) / calls
    cupy = cuda()
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    for _ in range(calls):
        contestant.step()
    end.record()
    end.synchronize()
    return 1e-3 * float(cupy.cuda.get_elapsed_time(start, end)) / calls


def host_seconds(contestant: Contestant) -> float:
    """Seconds until a call returns, while the GPU works on: what a step costs the program."""
    synchronize()
    start = time.perf_counter()
    for _ in range(HOST_CALLS):
        contestant.step()
    seconds = (time.perf_counter() - start) / HOST_CALLS
    if contestant.finish:
        contestant.finish()
    synchronize()
    return seconds


def race(entered: list[Contestant], rounds: int, progress: Callable[[], None]) -> Seconds:
    """Each contestant's seconds per step; as many calls in a row as its share of a round allows."""
    calls = {}
    for contestant in entered:
        device_seconds(contestant, 3)  # warm
        estimate = device_seconds(contestant, 3)
        calls[contestant.name] = max(3, min(1000, round(SECONDS / max(estimate, 1e-9))))
    return interleaved(entered, rounds, lambda c: device_seconds(c, calls[c.name]), progress)


# ---- Measurements


def one_array(size: int, rounds: int, progress: Callable[[], None]) -> tuple[Seconds, Seconds]:
    """Seconds on the device and on the host, for one array."""
    gradient = np.random.default_rng(0).random(size, np.float32) + np.float32(0.5)
    entered = [on_gpu([gradient], STEP), *others([gradient])]
    agree(entered, [])
    on_device = race([copy_of(size), *entered], rounds, progress)
    on_host = interleaved(entered, rounds, host_seconds, lambda: None) if size <= 1000 else {}
    release()
    return on_device, on_host


def many_leaves(shapes: Shapes, rounds: int, progress: Callable[[], None]) -> Seconds:
    gradients = gradients_for(shapes)
    entered = [
        on_gpu(gradients, PACKED, packed=True),
        on_gpu(gradients, UNPACKED),
        *others(gradients),
    ]
    agree(entered, [])
    found = race(entered, rounds, progress)
    release()
    return found


def release() -> None:
    """Give back what the last contestants held, so that the next ones fit."""
    gc.collect()
    cuda().get_default_memory_pool().free_all_blocks()
    if torch_has_gpu():
        importlib.import_module("torch").cuda.empty_cache()


def bandwidth(size: int, found: Seconds) -> dict[str, dict[str, float]]:
    """Gigabytes a second that each step moves, and its share of what the copy moves."""
    copy = BYTES_OF_A_COPY * size / medians(found)[COPY]
    moved = {
        name: (BYTES_OF_A_COPY if name == COPY else BYTES_OF_A_STEP) * size / seconds
        for name, seconds in medians(found).items()
    }
    return {
        "GB/s": {name: rate / 1e9 for name, rate in moved.items()},
        "of copy": {name: rate / copy for name, rate in moved.items()},
    }


# ---- Report


def in_units(found: Seconds, unit: float) -> dict[str, float]:
    return {name: seconds / unit for name, seconds in medians(found).items()}


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, printed as it is found, and returned for the record."""
    sizes, shapes = options.sizes, gpt2_shapes(options.width, options.vocabulary)
    progress = Progress(options.rounds * (len(sizes) + 1) + (2 if options.runs else 0))
    both = {size: one_array(size, options.rounds, progress) for size in sizes}
    device = {size: on_device for size, (on_device, _) in both.items()}
    leaves = many_leaves(shapes, options.rounds, progress)
    pairs = [(STEP, other) for other in OTHERS]
    packed = [(one, other) for one in (PACKED, UNPACKED) for other in OTHERS]
    found: dict[str, Any] = {
        "microseconds": {power(size): in_units(each, 1e-6) for size, each in device.items()},
        "ratio of times": {power(size): ratios(each, pairs) for size, each in device.items()},
        f"bandwidth at {power(max(sizes))}": bandwidth(max(sizes), device[max(sizes)]),
        "microseconds of the host": {
            power(size): in_units(on_host, 1e-6) for size, (_, on_host) in both.items() if on_host
        },
        f"{len(shapes)} arrays, {sum(map(prod, shapes)):,} parameters": {
            "ms": in_units(leaves, 1e-3)
        },
        "ratio of times, many arrays": {"": ratios(leaves, packed)},
    }
    if options.runs:
        found["seconds of the first step"] = compile_time.first_calls(
            "cupy", ["float32", "float64"], options.runs, progress
        )
    return found


def report(found: dict[str, Any]) -> str:
    parts = []
    for title, columns in found.items():
        if title == "seconds of the first step":
            parts.append(compile_time.shown(columns))
        elif any(columns.values()):
            parts.append(table(title, columns))
    return "\n\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time one step of Adam on a GPU, in float32.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--runs", type=int, default=1, help="fresh interpreters; 0 for none")
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--vocabulary", type=int, default=50257)
    options = parser.parse_args()
    if reason := trouble():
        print(reason, file=sys.stderr)
        return 1
    about = gpu_setting()
    print(f"{about['gpu']}, driver {about['driver']}\n{heading(about)}", flush=True)
    if not torch_has_gpu():
        print("torch is left out: it is not installed here, or built without CUDA")
    if not optax_has_gpu():
        print("Optax is left out: it is not installed here, or its JAX has no CUDA")
    found = measured(options)
    print(f"\n{report(found)}")
    path = RESULTS / f"gpu-{slug(about['gpu'])}.json"
    write(path, {"setting": about, **found})
    print(f"\nwritten to benchmarks/results/{path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
