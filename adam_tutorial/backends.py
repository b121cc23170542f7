"""NumPy and CuPy, made visible and choosable.

The optimizers never ask where an array lives: NumPy's own protocols carry `np.sqrt` to whatever
array it is given. This module serves the code around them, which has to make arrays somewhere.
CuPy is imported only when somebody asks for it, so a machine without a GPU never notices.
"""

# Generated from chapters/how_to_read.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import importlib
import importlib.util
import os
from typing import Any

import numpy as np

# %% chapters/how_to_read.ipynb#backends-available
_CHOICE = "ADAM_TUTORIAL_BACKEND"  # the environment variable that overrules default()


def available() -> tuple[str, ...]:
    """The backends that work on this machine: "numpy", and "cupy" where a GPU answers."""
    return ("numpy",) if gpu_problem() else ("numpy", "cupy")


def gpu_problem() -> str:
    """Why no GPU answers, in a few words; "" where one does."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed"
    try:
        cuda = importlib.import_module("cupy").cuda
        return "" if cuda.is_available() else "CuPy finds no NVIDIA GPU"
    except Exception as problem:  # a broken CUDA install raises many kinds, and all of them mean no
        return _driver_problem() or f"CuPy does not work ({problem})"


def _driver_problem() -> str:
    """What is wrong between driver and CuPy, where their versions tell; else ""."""
    try:
        runtime = importlib.import_module("cupy").cuda.runtime
        driver, wheel = runtime.driverGetVersion() // 1000, runtime.runtimeGetVersion() // 1000
    except Exception:
        return ""
    if driver == 0:
        return "there is no NVIDIA driver"
    return f"CuPy is made for CUDA {wheel}, the driver for CUDA {driver}" if driver < wheel else ""


def default() -> str:
    """The environment variable ADAM_TUTORIAL_BACKEND, else "cupy" where a GPU answers, else "numpy"."""
    choice = os.environ.get(_CHOICE)
    return _usable(choice, f"the environment variable {_CHOICE}") if choice else available()[-1]


# %% chapters/how_to_read.ipynb#backends-move
def of(array: Any) -> str:
    """The backend an array lives on, told from its type, without importing anything."""
    if isinstance(array, (np.ndarray, np.generic)):
        return "numpy"
    if type(array).__module__.partition(".")[0] == "cupy":
        return "cupy"
    raise TypeError(f"expected a NumPy or CuPy array, got {type(array).__qualname__}")


def asarray(values: Any, backend: str | None = None, dtype: Any = None) -> Any:
    """An array of `values` (numbers, nested lists, an array) on `backend`, by default `default()`.

    An array that is there already, with that dtype, comes back as it is.
    """
    where = default() if backend is None else _usable(backend, "the backend")
    if where == "cupy":
        return importlib.import_module("cupy").asarray(values, dtype=dtype)
    return np.asarray(_to_host(values), dtype=dtype)


def to(tree: Any, backend: str) -> Any:
    """The same array, or the same dicts, lists and tuples of arrays, on `backend`."""
    if isinstance(tree, dict):
        return {key: to(branch, backend) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        branches = [to(branch, backend) for branch in tree]
        return type(tree)(*branches) if hasattr(tree, "_fields") else type(tree)(branches)
    of(tree)  # refuses what is not an array
    return asarray(tree, backend)


def describe() -> str:
    """One line on where arrays made by `asarray` live: the CPU, or the GPU by its name."""
    if default() == "numpy":
        return "NumPy on the CPU"
    gpu = importlib.import_module("cupy").cuda.runtime.getDeviceProperties(0)
    return f"CuPy on {gpu['name'].decode()}"


# %% chapters/how_to_read.ipynb#backends-refuse
def _usable(backend: str, where: str) -> str:
    """Refuse a backend that does not exist, or that cannot run here, before anything moves."""
    if backend not in ("numpy", "cupy"):
        raise ValueError(f'{where} must be "numpy" or "cupy", not {backend!r}')
    if backend not in available():
        raise RuntimeError(
            f"{where} is cupy, and no GPU answers here: {gpu_problem()}. On a machine with an NVIDIA "
            'GPU, install CuPy for its CUDA version: pip install "adam-tutorial[cuda12]" or "[cuda13]".'
        )
    return backend


def _to_host(values: Any) -> Any:
    return values.get() if type(values).__module__.partition(".")[0] == "cupy" else values
