"""Run a chapter as on a machine with a GPU: with a stand-in for CuPy as the default backend.

The stand-in is as strict as CuPy where a chapter could go wrong: its arrays are never made NumPy
arrays behind one's back, and they meet no NumPy array in arithmetic. It runs on the CPU, with
NumPy's own arithmetic and with kernels compiled for the host, so a chapter must print what it has
stored.

    python tests/pretend_gpu.py chapters/adam.ipynb
"""

import contextlib
import io
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from host_kernel import ElementwiseKernel

NAME = "a stand-in for a GPU"
REFUSED = "Implicit conversion to a NumPy array is not allowed. Please use `.get()`."
METHODS = [
    "sum",
    "mean",
    "max",
    "min",
    "argmax",
    "argmin",
    "copy",
    "swapaxes",
    "reshape",
    "astype",
    "all",
    "any",
    "view",
    "ravel",
]


class Device:
    """A context manager, which CuPy's devices are."""

    id = 0

    def __enter__(self) -> "Device":
        return self

    def synchronize(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        pass

    def __repr__(self) -> str:
        return "<CUDA Device 0>"


class Array(np.lib.mixins.NDArrayOperatorsMixin):
    """What cupy.ndarray is to a chapter."""

    __module__ = "cupy"
    device = Device()

    def __init__(self, hidden: np.ndarray, base: "Array | None" = None) -> None:
        self.hidden, self.base = hidden, base
        self.dtype, self.shape, self.strides = hidden.dtype, hidden.shape, hidden.strides
        self.size, self.ndim = hidden.size, hidden.ndim

    @property
    def T(self) -> "Array":
        return Array(self.hidden.T, self)

    @property
    def flags(self) -> SimpleNamespace:
        flags = self.hidden.flags
        return SimpleNamespace(c_contiguous=flags.c_contiguous, owndata=self.base is None)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"data": (self.hidden.ctypes.data, False), "shape": self.shape}

    def get(self) -> np.ndarray:
        return self.hidden.copy()

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(REFUSED)

    def __float__(self) -> float:
        return float(self.hidden)

    def __bool__(self) -> bool:
        return bool(self.hidden)

    def __len__(self) -> int:
        return len(self.hidden)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return call(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return call(function, args, kwargs)

    def __getitem__(self, key: Any) -> "Array":  # CuPy takes an index array from the host
        return Array(np.asarray(self.hidden[getattr(key, "hidden", key)]), self)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.hidden[getattr(key, "hidden", key)] = bare(value)


def bare(value: Any) -> Any:
    """What an argument hides; a NumPy array is refused, as CuPy refuses it."""
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (list, tuple)):
        return type(value)(map(bare, value))
    return value.hidden if isinstance(value, Array) else value


def call(function: Any, args: Any, kwargs: Any) -> Any:
    found = function(*map(bare, args), **{name: bare(value) for name, value in kwargs.items()})
    return Array(np.asarray(found)) if isinstance(found, (np.ndarray, np.generic)) else found


def method(name: str) -> Any:
    def made(self: Array, *args: Any, **kwargs: Any) -> Any:
        found = call(getattr(self.hidden, name), args, kwargs)
        if isinstance(found, Array) and found.hidden.base is not None:
            found.base = self  # a view, as CuPy's is
        return found

    return made


for each in METHODS:
    setattr(Array, each, method(each))


def asarray(values: Any, dtype: Any = None) -> Array:
    if isinstance(values, Array):
        return values if dtype in (None, values.dtype) else values.astype(dtype)
    return Array(np.array(values, dtype=dtype))


def stand_in() -> ModuleType:
    cupy = ModuleType("cupy")
    cupy.__spec__ = ModuleSpec("cupy", None)
    properties = SimpleNamespace(
        getDeviceProperties=lambda number: {"name": NAME.encode()}, is_hip=False
    )
    stream = SimpleNamespace(is_capturing=lambda: False)
    cupy.cuda = SimpleNamespace(
        is_available=lambda: True, runtime=properties, get_current_stream=lambda: stream
    )
    cupy.ndarray, cupy.asarray, cupy.ElementwiseKernel = Array, asarray, ElementwiseKernel
    return cupy


def run(path: Path) -> list[str]:
    """Run a chapter's cells in order; a sentence for each that fails or prints something else."""
    import IPython.display
    import nbformat

    IPython.display.display = lambda *shown: None  # no text, as in a notebook
    faults, names = [], {"__name__": "__main__"}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            printed = io.StringIO()
            try:
                with contextlib.redirect_stdout(printed):
                    exec(compile(cell.source, cell.id, "exec"), names)
            except Exception as error:
                faults.append(f"{cell.id}: {type(error).__name__}: {error}")
                continue
            stored = "".join(output.get("text", "") for output in cell.outputs)
            if printed.getvalue() != stored and NAME not in printed.getvalue():
                faults.append(f"{cell.id} printed {printed.getvalue()!r}, and not {stored!r}")
    return faults


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "Agg"
    os.environ.pop("ADAM_TUTORIAL_BACKEND", None)
    sys.modules["cupy"] = stand_in()
    found = run(Path(sys.argv[1]))
    print("\n".join(found) or f"{NAME} ran it")
    sys.exit(bool(found))
