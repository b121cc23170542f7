"""Kernels: one launch for one leaf, reading and writing each number once.

A traced rule is printed as CUDA; CuPy compiles it the first time a dtype is met, and keeps it on
disk. Without fused multiply-adds a kernel rounds where NumPy does, so the bits are NumPy's.
"""

# Generated from chapters/kernels.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from adam_tutorial.dialects import Kernel, cuda
from adam_tutorial.tracing import Program, program_of
from adam_tutorial.trees import Array


# %% chapters/kernels.ipynb#kernels-kernel
def kernel_source(method: Any, dtype: str = "float32", gradient: str = "") -> str:
    """What CuPy is given for a step of `method`, which is an optimizer or its class.

    dtype     of the parameters: "float32", "float64", "float16" or "bfloat16"
    gradient  of the gradients: by default the same; float32 also fits half precision
    """
    text = cuda(program_of(method), dtype, gradient)
    return f"// in:  {text.inputs}\n// out: {text.outputs}\n{text.operation}\n"


OPTIONS = ("--fmad=false",)  # round every product: a * b + c in two roundings, as NumPy does


@cache
def elementwise(program: Program, dtype: str, gradient: str) -> tuple[Kernel, Any]:
    """The kernel's text, and CuPy's function for it: compiled at its first call on a device."""
    cupy = importlib.import_module("cupy")
    if cupy.cuda.runtime.is_hip:
        raise RuntimeError(
            "A step on a GPU is compiled for CUDA, and this CuPy is built for ROCm: use the pure "
            "`update`, which runs there. Nothing was changed."
        )
    text = cuda(program, dtype, gradient)
    function = cupy.ElementwiseKernel(
        text.inputs, text.outputs, text.operation, text.name, options=OPTIONS, no_return=True
    )
    return text, function


# %% chapters/kernels.ipynb#kernels-leaf
class GpuLeaf:
    """A leaf of CuPy's: one launch, on its own device and on CuPy's current stream."""

    def __init__(self, program: Program, theta: Array, held: Sequence[Array]) -> None:
        self.program, self.theta, self.held = program, theta, held

    def __call__(self, g: Array, constants: tuple[float, ...], known: dict[str, float]) -> None:
        refuse_capture()
        if self.theta.size == 0:
            return
        text, function = elementwise(self.program, self.theta.dtype.name, g.dtype.name)
        arrays = dict(
            zip(self.program.arrays, map(_bits, (self.theta, g, *self.held)), strict=True)
        )
        with self.theta.device:
            function(
                *(arrays[a] for a in text.reads), *constants, *(arrays[a] for a in text.writes)
            )

    def __str__(self) -> str:
        return f"CuPy, one kernel on {self.theta.device}"


def _bits(array: Array) -> Array:
    """bfloat16 as the 16-bit integers that a kernel takes it for; any other array as it is."""
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array


def refuse_capture() -> None:
    """RuntimeError while CuPy's current stream records a CUDA graph: constants depend on t."""
    cupy = importlib.import_module("cupy")
    if cupy.cuda.get_current_stream().is_capturing():
        raise RuntimeError(
            "A CUDA graph would repeat the constants of one step t for ever. Capture the forward "
            "and backward pass, and call `step` outside the graph. Nothing was changed."
        )
