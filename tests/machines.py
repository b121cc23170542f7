"""Every machine that a traced rule runs on here, with one interface, so that all can be compared.

A machine takes a method, the arrays (theta, g, and the slots) and the hyper-parameters of a step,
and returns new values of theta and the slots. The first, `as_written`, is the rule itself.
"""

import base64
import ctypes
import json
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adam_tutorial import dialects, executors
from adam_tutorial.executors import numba_missing
from adam_tutorial.tracing import Program, program_of

Array = Any
Known = dict[str, float]
CTYPES = {"float32": "float", "float64": "double"}

# What arithmetic finds hard: both zeros, subnormals, the largest and smallest, infinities, NaN.
HOSTILE = (0.0, -0.0, 1e-45, -1e-40, 5e-324, 1.5e-154, 1e-30, -1e-5, 0.5, 1.0, -2.0, 3.0, 1e5, 1e30)
HOSTILE += (-1e30, 3e38, 1.7e308, np.inf, -np.inf, np.nan)


def hostile(count: int, dtype: Any, seed: int = 0) -> list[Array]:
    """`count` arrays in which hostile numbers meet each other and ordinary ones."""
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        pool = np.array([*HOSTILE, *rng.standard_normal(len(HOSTILE))]).astype(dtype)
    return [rng.choice(pool, 4099) for _ in range(count)]  # no multiple of any vector's width


def as_written(method: Any, arrays: Sequence[Array], known: Known) -> list[Array]:
    program = program_of(method)
    with np.errstate(all="ignore"):
        new = method.rule(*arrays, **{name: known[name] for name in program.hyper})
    return [np.asarray(array) for array in new]


def in_place(loop: Any, method: Any, arrays: Sequence[Array], known: Known) -> list[Array]:
    copies = [array.copy() for array in arrays]
    with np.errstate(all="ignore"):
        loop(copies, constants(program_of(method), known))
    del copies[1]  # the gradient
    return copies


def constants(program: Program, known: Known) -> tuple[float, ...]:
    return executors._host(program)(known)


def numpy_buffers(method: Any, arrays: Sequence[Array], known: Known) -> list[Array]:
    return in_place(executors.replay(program_of(method)), method, arrays, known)


def numba(method: Any, arrays: Sequence[Array], known: Known) -> list[Array]:
    return in_place(
        executors.compiled(program_of(method), arrays[0].dtype.name), method, arrays, known
    )


class HostC:
    """The C dialect, compiled by the host's compiler; one library for each program and dtype."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.built = folder, {}

    def __call__(self, method: Any, arrays: Sequence[Array], known: Known) -> list[Array]:
        program, dtype = program_of(method), arrays[0].dtype.name
        copies = [array.copy() for array in arrays]
        number = ctypes.c_float if dtype == "float32" else ctypes.c_double
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in copies]
        numbers = [number(value) for value in constants(program, known)]
        self.step(program, dtype)(ctypes.c_long(copies[0].size), *pointers, *numbers)
        del copies[1]
        return copies

    def step(self, program: Program, dtype: str) -> Any:
        if (program, dtype) not in self.built:
            path = self.folder / f"step{len(self.built)}.c"
            path.write_text(dialects.c_source(program, CTYPES[dtype]))
            # Vectors and all, but no contraction of a product and a sum into one rounding.
            flags = ["-O3", "-ffp-contract=off", "-shared", "-fPIC", "-lm"]
            subprocess.run(
                [compiler(), str(path), *flags, "-o", str(path.with_suffix(".so"))], check=True
            )
            self.built[program, dtype] = ctypes.CDLL(str(path.with_suffix(".so"))).step
        return self.built[program, dtype]


def compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


DRIVER = """
const fs = require('fs');
const jobs = JSON.parse(fs.readFileSync(0));
const decoded = (text) => {
  const bytes = Buffer.from(text, 'base64');
  return new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
const encoded = (array) => Buffer.from(array.buffer).toString('base64');
const results = jobs.map(({source, arrays, gradients, known}) => {
  const step = new Function(source + '; return step;')();
  const held = Object.fromEntries(Object.entries(arrays).map(([k, v]) => [k, decoded(v)]));
  known.forEach((each, i) => step({...held, g: decoded(gradients[i])}, each));
  return Object.fromEntries(Object.entries(held).map(([k, v]) => [k, encoded(v)]));
});
process.stdout.write(JSON.stringify(results));
"""


def javascript(
    jobs: list[tuple[Any, Sequence[Array], list[Array], list[Known]]],
) -> list[list[Array]]:
    """(method, [theta, *slots], a gradient for each step, what is known at each) -> new values."""
    sent = []
    for method, held, gradients, known in jobs:
        program = program_of(method)
        names = [name for name in program.arrays if name != "g"]
        sent.append(
            {
                "source": dialects.javascript(program),
                "arrays": {name: encoded(array) for name, array in zip(names, held, strict=True)},
                "gradients": [encoded(g) for g in gradients],
                "known": [{name: each[name] for name in program.hyper} for each in known],
            }
        )
    ran = subprocess.run(
        ["node", "-e", DRIVER], input=json.dumps(sent), capture_output=True, text=True, check=True
    )
    return [
        [np.frombuffer(base64.b64decode(text)) for text in found.values()]
        for found in json.loads(ran.stdout)
    ]


def encoded(array: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(array, np.float64).tobytes()).decode()


def same(found: list[Array], expected: list[Array]) -> bool:
    """The same bits, and NaN where NaN is: IEEE 754 leaves a NaN's payload open."""
    for a, b in zip(found, expected, strict=True):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if np.where(a == a, a, 0).tobytes() != np.where(b == b, b, 0).tobytes():
            return False
        if not np.array_equal(a != a, b != b):
            return False
    return True


NO_NUMBA = numba_missing()
# IEEE 754 and NumPy leave open which zero is the maximum of two; on x86-64 NumPy takes the second.
OPEN_ZEROS = (
    ""
    if platform.machine() in ("x86_64", "AMD64")
    else "here NumPy may take another of two equal zeros as their maximum"
)
NO_COMPILER = "" if compiler() else "no C compiler on this machine"
NO_NODE = "" if shutil.which("node") else "no node on this machine"
Machine = Callable[[Any, Sequence[Array], Known], list[Array]]
