"""CuPy's ElementwiseKernel on the host: the same text, compiled by the C++ compiler.

It takes what the real one takes, for one-dimensional work: a list of inputs, a list of outputs that
are read and written, and the body of the loop. 16-bit floats are converted by the processor.
"""

import ctypes
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

CTYPES = {
    "float32": "float", "float64": "double", "float16": "float16", "uint16": "unsigned short",
}  # fmt: skip
NUMBERS = {"float32": ctypes.c_float, "float64": ctypes.c_double}
PREAMBLE = """
#include <immintrin.h>
#include <cmath>
#include <cstring>
using std::fabs; using std::sqrt;
struct float16 {
    unsigned short bits;
    explicit float16(float value) : bits(_cvtss_sh(value, 0)) {}
    operator float() const { return _cvtsh_ss(bits); }
};
static float __uint_as_float(unsigned int bits) { float f; std::memcpy(&f, &bits, 4); return f; }
static unsigned int __float_as_uint(float f) { unsigned int u; std::memcpy(&u, &f, 4); return u; }
"""


def missing() -> str:
    """Why a kernel cannot run on this host; "" where it can."""
    if shutil.which("g++") is None:
        return "no C++ compiler on this machine"
    return "" if platform.machine() in ("x86_64", "AMD64") else "16-bit floats need x86-64 here"


@cache
def built(text: str) -> Any:
    folder = Path(tempfile.mkdtemp())
    (folder / "kernel.cpp").write_text(text)
    flags = ["-O2", "-ffp-contract=off", "-mf16c", "-shared", "-fPIC"]
    subprocess.run(
        ["g++", *flags, str(folder / "kernel.cpp"), "-o", str(folder / "kernel.so")], check=True
    )
    return ctypes.CDLL(str(folder / "kernel.so")).step


class ElementwiseKernel:
    launches: list[str] = []  # the names of the kernels that ran

    def __init__(
        self, in_params: str, out_params: str, operation: str, name: str,
        options: tuple[str, ...], no_return: bool,
    ) -> None:  # fmt: skip
        assert options == ("--fmad=false",) and no_return
        self.name, self.operation, self.built = name, operation, {}
        self.inputs, self.outputs = (
            [tuple(each.split()) for each in params.split(", ") if each]
            for params in (in_params, out_params)
        )
        names = [n for _, n in self.inputs + self.outputs]
        assert not {"i", "n"} & set(names), "CuPy keeps these names for itself"

    def __call__(self, *args: Any) -> None:
        assert len(args) == len(self.inputs) + len(self.outputs)
        type(self).launches.append(self.name)
        is_array = [hasattr(arg, "hidden") for arg in args]
        sent, kept = [], []
        for (dtype, _), arg, array in zip(self.inputs + self.outputs, args, is_array, strict=True):
            if array:
                assert arg.dtype == dtype, f"{arg.dtype} for {dtype}: CuPy would convert it"
                kept.append(np.ascontiguousarray(arg.hidden))
                sent.append(ctypes.c_void_p(kept[-1].ctypes.data))
            else:
                sent.append(NUMBERS[dtype](arg))
        for arg in args[len(self.inputs) :]:
            assert arg.hidden.flags.c_contiguous
        if tuple(is_array) not in self.built:
            self.built[tuple(is_array)] = built(self.text(is_array))
        self.built[tuple(is_array)](ctypes.c_long(args[-1].size), *sent)

    def text(self, is_array: list[bool]) -> str:
        params, body = ["long n"], []
        for k, (dtype, name) in enumerate(self.inputs + self.outputs):
            const, ctype = "const " if k < len(self.inputs) else "", CTYPES[dtype]
            params.append(f"{const}{ctype} {f'*_{name}' if is_array[k] else name}")
            if is_array[k]:
                body.append(f"{const}{ctype} &{name} = _{name}[i];")
        body = "\n".join([*body, self.operation])
        signature = f'extern "C" void step({", ".join(params)})'
        return f"{PREAMBLE}{signature} {{ for (long i = 0; i < n; i++) {{\n{body}\n}} }}\n"
