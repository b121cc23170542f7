"""The roofline of a step: how many bytes it must move, and how it compares with a copy of them.

A step on large arrays is limited by memory. So its measure is a plain copy of as many bytes, made
in the same minute on the same machine.
"""

# Generated from chapters/roofline.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from adam_tutorial.backends import asarray, default
from adam_tutorial.tracing import program_of

# %% chapters/roofline.ipynb#roofline-bytes
_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


def bytes_per_parameter(method: Any, dtype: str = "float32", gradient: str = "") -> int:
    """What a step must read and write for each parameter; `method` is an optimizer or its class.

    dtype     of the parameters; slots of half-precision parameters have 4 bytes
    gradient  of the gradients: by default the same
    """
    program = program_of(method)
    sizes = {name: max(_BYTES[dtype], 4) for name in program.arrays}
    sizes |= {"theta": _BYTES[dtype], "g": _BYTES[gradient or dtype]}
    return sum(sizes[name] for name in (*program.read, *program.outputs))


# %% chapters/roofline.ipynb#roofline-measure
def measured(method: Any, size: int, rounds: int = 7) -> tuple[float, float]:
    """Seconds of a float32 step on `size` parameters, and of a copy that moves as many bytes.

    On the default backend. The two take turns, so that a busy moment meets both; medians.
    """
    theta = asarray(np.zeros(size, np.float32))
    g, state = theta + 1, method.init(theta)
    source = asarray(np.ones(size * bytes_per_parameter(method) // 8, np.float32))
    target = source + 1

    def copy() -> None:
        target[...] = source

    found: list[list[float]] = [[], []]
    for turn in range(rounds + 1):
        for times, call in zip(found, (lambda: method.step(theta, g, state), copy), strict=True):
            seconds = _seconds(call, theta)
            if turn:  # the first warms up, and compiles
                times.append(seconds)
    return median(found[0]), median(found[1])


def _seconds(call: Callable[[], None], array: Any, least: float = 0.01) -> float:
    """Seconds of one call, from as many as take `least` together; waits for a GPU before and after."""
    calls, taken = 1, 0.0
    while taken < least:
        _wait(array)
        start = time.perf_counter()
        for _ in range(calls):
            call()
        _wait(array)
        taken = time.perf_counter() - start
        calls *= 1 if taken >= least else 2
    return taken / calls


def _wait(array: Any) -> None:
    if default() == "cupy":
        array.device.synchronize()
