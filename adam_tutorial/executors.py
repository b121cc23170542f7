"""Executors: where a step in place runs, chosen for each leaf by the array it is.

NumPy replays the traced rule on cache-sized slices. Numba, where it is installed, compiles it to a
loop that reads and writes each number once. CuPy gets one kernel. All of them give the bits of
`update`. A rule that cannot be traced runs as it is written.
"""

# Generated from chapters/executors.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import hashlib
import importlib
import math
import operator
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from adam_tutorial.dialects import host, on_floats, scalar_python, with_buffers
from adam_tutorial.optimizer import Leaves, State, asked, compute_dtype, slots_of, unknown_keyword
from adam_tutorial.packing import pack, vector_of
from adam_tutorial.tracing import Program, TraceError, program_of
from adam_tutorial.trees import Array, Tree, leaves, paths

# %% chapters/executors.ipynb#executors-loops
_Loop = Callable[[list[Array], tuple[float, ...]], None]  # flat (theta, g, *slots), constants
SLICE = 2**15  # elements: small enough for the cache, large enough to hide the cost of a call
_scratch = threading.local()  # buffers that all leaves of a thread share


@cache
def replay(program: Program) -> _Loop:
    """The program as NumPy calls, each with a place for its result, on cache-sized slices."""
    text, *counts = with_buffers(program)
    names: dict[str, Any] = dict(vars(np))
    exec(compile(text, f"<{program.where} with buffers>", "exec"), names)
    step = names["step"]

    def loop(arrays: list[Array], constants: tuple[float, ...]) -> None:
        size, dtype = arrays[0].size, arrays[0].dtype
        numbers, buffers = [np.array(c, dtype) for c in constants], _buffers(dtype, *counts)
        for start in range(0, size, SLICE):
            here = [array[start : start + SLICE] for array in arrays]
            step(*here, *numbers, *(buffer[: here[0].size] for buffer in buffers))

    return loop


# %% chapters/executors.ipynb#executors-scratch
def _buffers(dtype: Any, count: int, masks: int) -> list[Array]:
    held = _scratch.__dict__
    key = dtype.str
    for kind, need, of in ((key, count, dtype), ("mask", masks, np.bool_)):
        found = held.setdefault(kind, [])
        found += [np.empty(SLICE, of) for _ in range(need - len(found))]
    return [*held[key][:count], *held["mask"][:masks]]


# %% chapters/executors.ipynb#executors-compiled
@cache
def numba_missing() -> str:
    """Why Numba is not used, in a few words; "" where it is."""
    try:
        import numba
    except Exception as problem:  # a Numba that does not fit this NumPy raises many kinds
        return f"no Numba ({type(problem).__name__})"
    return "Numba is switched off" if getattr(numba.config, "DISABLE_JIT", 0) else ""


# %% chapters/executors.ipynb#executors-loop
@cache
def compiled(program: Program, dtype: str, plain: bool = False) -> _Loop:
    """The program as one loop, compiled by Numba once for each dtype, and kept on disk if possible.

    In float32 a division by a constant is a product, unless `plain` is asked for.
    """
    import numba

    products = dtype == "float32" and not plain
    text = scalar_python(program, dtype, products)
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    digest = hashlib.sha256(f"{text}{options}".encode()).hexdigest()[:16]
    name = f"{program.where.replace('.', '_')}_{dtype}_{digest}"
    path = _stored(f"{name}.py", text)
    names: dict[str, Any] = {"__name__": __name__}  # a module that a later process can import
    exec(compile(text, path or f"<{program.where}, {dtype}>", "exec"), names)
    function = names["step"]
    function.__name__ = function.__qualname__ = name
    step = numba.njit(**options, cache=path is not None)(function)

    def loop(arrays: list[Array], constants: tuple[float, ...]) -> None:
        size = arrays[0].size
        if size < PARALLEL:
            done = step(*arrays, 0, size, *constants)
        else:
            done = in_parts(size, lambda start, stop: step(*arrays, start, stop, *constants))
        if not done:  # a divisor is larger than 1
            compiled(program, dtype, plain=True)(arrays, constants)

    return loop


# %% chapters/executors.ipynb#executors-stored
_CACHE = "ADAM_TUTORIAL_CACHE"  # the environment variable that names another folder for it


def _stored(name: str, text: str) -> str | None:
    """The path of a file with this text in the user's cache; None where nothing can be written."""
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adam_tutorial"
        path = Path(os.environ.get(_CACHE) or home) / name
        if not path.is_file() or path.read_text("utf-8") != text:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as new:
                new.write(text)
            os.replace(new.name, path)
    except (OSError, RuntimeError):  # no home, no permission, no space
        return None
    return str(path)


# %% chapters/executors.ipynb#executors-threads
PARALLEL = 2**19  # elements from which a second thread pays for its start
_THREADS = "ADAM_TUTORIAL_THREADS"  # the environment variable that overrules the number of cores
_chosen: list[int] = []


def get_threads() -> int:
    """How many threads a compiled step on a large leaf uses: by default the cores of this process."""
    if not _chosen:
        asked = os.environ.get(_THREADS)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        set_threads(asked or cores or 1)
    return _chosen[0]


def set_threads(count: Any) -> None:
    """Use `count` threads from now on; ValueError unless it is a whole number, 1 or more."""
    if not str(count).isdecimal() or int(count) < 1:
        raise ValueError(
            f"the number of threads must be a whole number, 1 or more, not {count!r} (set_threads, "
            f"or the environment variable {_THREADS})"
        )
    _chosen[:] = [int(count)]


# %% chapters/executors.ipynb#executors-parts
def in_parts(size: int, run: Callable[[int, int], Any]) -> Any:
    """Call run(start, stop) for the parts of range(size), on as many threads as pay; a last result.

    `run` should let go of Python's lock: NumPy's short calls do not for long enough to gain.
    """
    count = get_threads() if size >= PARALLEL else 1
    share = max(-(-size // count // 64) * 64, 64)  # whole cache lines
    others = [
        _pool(count).submit(copy_context().run, run, start, min(start + share, size))
        for start in range(share, size, share)
    ]
    try:
        result = run(0, min(share, size))
    finally:
        wait(others)  # no part is left running behind an error
    return [result, *(other.result() for other in others)][-1]


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count - 1, thread_name_prefix="adam_tutorial")


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


# %% chapters/executors.ipynb#executors-leaf
COMPILE_SIZE = 2**12  # elements from which a leaf is compiled for at its first step
COMPILE_AFTER = 1000  # steps after which a smaller leaf is


class CpuLeaf:
    """A leaf of NumPy's: replayed, and compiled as soon as that pays. The bits are the same."""

    def __init__(self, program: Program, theta: Array, held: Sequence[Array]) -> None:
        self.program, self.loop = program, replay(program)
        self.theta, *self.held = (np.asarray(array).reshape(-1) for array in (theta, *held))
        self.patience = COMPILE_AFTER
        if self.theta.size >= COMPILE_SIZE:
            self.compile()

    def compile(self) -> None:
        """Take the compiled loop, where Numba is installed and knows the dtype."""
        self.patience, dtype = 0, compute_dtype(self.theta.dtype)
        if not _foreign(dtype) and not numba_missing():
            self.loop = compiled(self.program, dtype.name)

    def __call__(self, g: Array, constants: tuple[float, ...], known: dict[str, float]) -> None:
        if self.patience:
            self.patience -= 1
            if not self.patience:
                self.compile()
        self.run(g.ravel(), constants)

    def run(self, g: Array, constants: tuple[float, ...]) -> None:
        self.loop([self.theta, g, *self.held], constants)

    def __str__(self) -> str:
        dtype = compute_dtype(self.theta.dtype)
        if self.loop is not replay(self.program):
            count = get_threads() if self.theta.size >= PARALLEL else 1
            return f"Numba, {dtype}, {count} thread{'s' * (count > 1)}"
        reason = _foreign(dtype) or numba_missing()
        later = f", compiled after {self.patience} more step{'s' * (self.patience != 1)}"
        return f"NumPy, slices of {SLICE} elements{f': {reason}' if reason else later}"


# %% chapters/executors.ipynb#executors-foreign
def _foreign(dtype: Any) -> str:
    """Why Numba is not asked for this dtype; "" where it is."""
    return "" if dtype in (np.float32, np.float64) else f"Numba has no {dtype}"


# %% chapters/executors.ipynb#executors-choice
def _executor(
    method: Leaves, program: Program | None, reason: str, theta: Array, *held: Array
) -> Any:
    """Who steps a leaf, told from the array that it is."""
    library = type(theta).__module__.partition(".")[0]
    if program is None:
        return AsWritten(method, theta, held, reason)
    if isinstance(theta, np.ndarray):
        is_half = compute_dtype(theta.dtype) != theta.dtype
        return (HalfLeaf if is_half else CpuLeaf)(program, theta, held)
    if library == "cupy":
        return importlib.import_module("adam_tutorial.kernels").GpuLeaf(program, theta, held)
    return AsWritten(method, theta, held, f"{library} arrays have no executor")


# %% chapters/executors.ipynb#executors-plan
class Plan:
    """Who steps each leaf, decided once. Leaves that fill one vector, as `pack` lays them, are stepped
    as one, if the gradients do too."""

    def __init__(self, method: Leaves, rows: list[list[Array]]) -> None:
        get_threads()  # refuses a number that is none before anything is written
        self.method = method
        self.program, self.reason = _program(method)
        self.constants = _constants_of(method, self.program)
        self.leaves = [_executor(method, self.program, self.reason, *row) for row in rows]
        self.whole: Any = None
        self.packed: tuple[list[Array], Array | None] = ([], None)  # gradients that filled a vector
        vectors = [vector_of(list(column)) for column in zip(*rows, strict=True)]
        if self.program and len(rows) > 1 and all(vector is not None for vector in vectors):
            self.whole = _executor(method, self.program, self.reason, *vectors)

    def __call__(self, gs: list[Array], t: int, scalars: dict[str, float]) -> None:
        self.run(gs, *self.numbers(t, scalars))

    def numbers(self, t: int, scalars: dict[str, float]) -> tuple[Any, dict[str, float]]:
        """The program's constants, and all that they were computed from."""
        known = self.method.known(t, scalars)
        return self.constants(known), known

    def run(self, gs: list[Array], constants: Any, known: dict[str, float]) -> None:
        if self.whole is not None and (vector := self.vector(gs)) is not None:
            self.whole(vector, constants, known)
            return
        for leaf, g in zip(self.leaves, gs):  # noqa: B905 (as many as were checked; strict is slow)
            leaf(g, constants, known)

    def vector(self, gs: list[Array]) -> Array | None:
        """The vector that the gradients fill; the same arrays are not looked at twice."""
        known, vector = self.packed
        if len(known) != len(gs) or not all(map(operator.is_, known, gs)):
            vector = vector_of(gs)
            self.packed = (gs if vector is not None else [], vector)
        return vector


# %% chapters/executors.ipynb#executors-plan-of
def plan_of(method: Leaves, parts: Sequence[Any], rows: list[list[Array]]) -> Any:
    """One plan where all leaves have one method, else a plan for each method among them."""
    several = any(part is not parts[0] for part in parts)
    return Plans(parts, rows) if several else Plan(parts[0] if parts else method, rows)


def _constants_of(method: Leaves, program: Program | None) -> Any:
    """The function from what the host knows to the program's constants."""
    if program is None:
        return lambda known: ()
    function = _host(program)

    def constants(known: dict[str, float]) -> Any:
        try:
            return function(known)
        except KeyError as missing:
            raise unknown_keyword(method.rule, missing) from None

    return constants


# %% chapters/executors.ipynb#executors-plans
class Plans:
    """A plan for each group of leaves; all numbers are computed before the first leaf is written."""

    whole = None

    def __init__(self, parts: Sequence[Any], rows: list[list[Array]]) -> None:
        groups: dict[int, list[int]] = {}
        for i, part in enumerate(parts):
            groups.setdefault(id(part), []).append(i)
        self.groups = [(Plan(parts[at[0]], [rows[i] for i in at]), at) for at in groups.values()]
        places = {
            i: leaf for plan, at in self.groups for i, leaf in zip(at, plan.leaves, strict=True)
        }
        self.leaves = [places[i] for i in range(len(rows))]

    def __call__(self, gs: list[Array], t: int, scalars: dict[str, float]) -> None:
        ready = [plan.numbers(t, scalars) for plan, _ in self.groups]
        for (plan, at), numbers in zip(self.groups, ready, strict=True):
            plan.run([gs[i] for i in at], *numbers)


# %% chapters/executors.ipynb#executors-programs
def _program(method: Leaves) -> tuple[Program | None, str]:
    """A method's program, or None and the reason why there is none."""
    if not method.elementwise:
        return None, "it needs whole leaves"
    if (type(method).step_leaf, type(method).update_leaf) != (Leaves.step_leaf, Leaves.update_leaf):
        return None, f"{type(method).__name__} steps its leaves itself"
    try:
        return program_of(method), ""
    except TraceError as problem:
        return None, str(problem)


@cache
def _host(program: Program) -> Any:
    """The function that computes a program's constants from what the host knows at a step."""
    constants = eval(host(program), {"inf": math.inf, "nan": math.nan})
    if len(program.hyper) < 2:  # itemgetter makes no tuple of one
        return lambda known: constants(*(known[name] for name in program.hyper))
    asked = operator.itemgetter(*program.hyper)
    return lambda known: constants(*asked(known))


def packed_alike(thetas: list[Array], slots: dict[str, Tree]) -> dict[str, Tree]:
    """The slots, packed as well if the parameters are."""
    return (
        slots if vector_of(thetas) is None else {name: pack(tree) for name, tree in slots.items()}
    )


# %% chapters/executors.ipynb#executors-floats
@cache
def _float_step(program: Program) -> Any:
    space: dict[str, Any] = {"sqrt": math.sqrt, "inf": math.inf, "nan": math.nan}
    exec(on_floats(program), space)
    return space["step"]


def float_step(method: Leaves) -> Callable[[tuple[float, ...], dict[str, float]], Any] | None:
    """A step of one coordinate in Python floats, with the bits of the rule; None without a program.

    The function takes (theta, g, *slots) and what the host knows, and returns (theta, *slots).
    """
    program, _ = _program(method)
    if program is None:
        return None
    step, constants = _float_step(program), _constants_of(method, program)

    def run(values: tuple[float, ...], known: dict[str, float]) -> Any:
        try:
            return step(*values, *constants(known))
        except (ZeroDivisionError, ValueError, OverflowError):  # what NumPy has numbers for
            with np.errstate(all="ignore"):
                new = method.rule(*map(np.float64, values), **asked(method.rule, known))
            return tuple(map(float, new))

    return run


# %% chapters/executors.ipynb#executors-explain
def explain(method: Leaves, params: Tree, state: State) -> str:
    """One line for each leaf: who steps it, and why not a faster executor."""
    columns = [leaves(params), *slots_of(method, params, state)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    known, arrays = state._checked, [array for column in columns for array in column]
    is_known = known is not None and list(map(id, known.arrays)) == list(map(id, arrays))
    plan = (
        known.plan
        if known is not None and is_known
        else plan_of(method, method.parts(paths(params), columns[0]), rows)
    )
    if plan.whole is not None:
        return f"{len(rows)} leaves in one vector, if the gradients are packed too: {plan.whole}"
    return "\n".join(
        f"{path}: {leaf}" for path, leaf in zip(paths(params), plan.leaves, strict=True)
    )


# %% chapters/executors.ipynb#executors-half
class HalfLeaf(CpuLeaf):
    """float16 and bfloat16: widened slice by slice, computed in float32, rounded once on the way back."""

    def run(self, g: Array, constants: tuple[float, ...]) -> None:
        for start in range(0, self.theta.size, SLICE):
            here = slice(start, start + SLICE)
            theta = self.theta[here].astype(np.float32)
            wide = g[here].astype(np.float32, copy=False)
            self.loop([theta, wide, *(slot[here] for slot in self.held)], constants)
            self.theta[here] = theta

    def __str__(self) -> str:
        return f"{super().__str__()}; {self.theta.dtype.name} is widened and rounded by NumPy"


class AsWritten:
    """A leaf stepped by the rule itself, on whole arrays: what is no program, and what is neither NumPy's nor CuPy's."""

    def __init__(self, method: Leaves, theta: Array, held: Sequence[Array], reason: str) -> None:
        self.method, self.theta, self.held, self.reason = method, theta, held, reason

    def __call__(self, g: Array, constants: tuple[float, ...], known: dict[str, float]) -> None:
        self.method.step_leaf(self.theta, g, self.held, asked(self.method.rule, known))

    def __str__(self) -> str:
        return f"the rule as it is written, on whole arrays: {self.reason}"
