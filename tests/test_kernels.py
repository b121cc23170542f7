"""Kernels: their text, what the CUDA compiler makes of it, and what they compute.

No GPU is needed. The text is compared with the committed one in `tests/kernels`; it is compiled to
PTX inside the very function that CuPy wraps around it, where nvcc or NVRTC is on the machine; and
it runs on the host, through a stand-in for CuPy, with the bits of NumPy. `test_gpu.py` repeats
that on a GPU, where there is one. After a change that is meant:

    python tests/test_kernels.py        writes tests/kernels again
"""

import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import host_kernel
import ml_dtypes
import numpy as np
import pytest
from cases import CASES, Case, differing, random_like
from machines import OPEN_ZEROS, as_written, constants, hostile, same
from pretend_gpu import Array, asarray, stand_in
from random_rules import KNOWN
from random_rules import method as random_method

from adam_tutorial import SLICE, Adam, MasterWeights, executors, kernels, pack, program_of
from adam_tutorial.dialects import cuda
from adam_tutorial.kernels import kernel_source
from adam_tutorial.trees import Tree, leaves, map_leaves

FOLDER = Path(__file__).parent / "kernels"
DTYPES = ("float32", "float64", "float16", "bfloat16")
NUMPY = {name: np.dtype(getattr(ml_dtypes, name, name)) for name in DTYPES}
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
on_host = pytest.mark.skipif(bool(host_kernel.missing()), reason=host_kernel.missing() or "-")


# --- the text


def golden(case: Case) -> str:
    return "\n".join(f"// {dtype}\n{kernel_source(case.make(), dtype)}" for dtype in DTYPES)


@each_case
def test_the_text_is_the_committed_one(case: Case) -> None:
    assert (FOLDER / f"{case}.cu").read_text() == golden(case)


def test_no_committed_text_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.cu")} == {str(case) for case in CASES}


def test_a_float32_gradient_of_half_precision_parameters_is_not_converted() -> None:
    text = kernel_source(Adam, "bfloat16", "float32")
    assert text.startswith("// in:  float32 g, float32 beta1") and "g_16" not in text


@pytest.mark.parametrize("dtype", ["int32", "float31", np.float32])
def test_a_dtype_that_has_no_kernel_is_refused(dtype: Any) -> None:
    for asked in ((dtype, ""), ("float32", dtype)):
        with pytest.raises(ValueError, match="a kernel is for float32, float64, float16, bfloat16"):
            kernel_source(Adam, *asked)


# --- compiled, without a GPU


def compiler() -> str:
    """ "nvcc", "nvrtc", or "" where this machine can compile no kernel."""
    if shutil.which("nvcc"):
        return "nvcc"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from cupy.cuda import nvrtc

            nvrtc.getVersion()
    except Exception:
        return ""
    return "nvrtc"


def has_cupy() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a CUDA that is only half there
        try:
            import cupy  # noqa: F401
        except ImportError:
            return False
    return True


COMPILER = compiler() if has_cupy() else ""
compiles = pytest.mark.skipif(
    not COMPILER, reason="needs CuPy's headers, and nvcc or NVRTC (nvidia-cuda-nvrtc-cu12)"
)


def cupy_source(method: Any, dtype: str) -> str:
    """The whole CUDA function that CuPy compiles for a step on contiguous arrays."""
    import cupy
    from cupy._core import _carray, _kernel

    text = cuda(program_of(method), dtype)
    made = cupy.ElementwiseKernel(
        text.inputs, text.outputs, text.operation, text.name, options=kernels.OPTIONS
    )
    *params, _ = made.params
    arrays = [*range(len(text.reads)), *range(len(params) - len(text.writes), len(params))]
    info = []
    for k, param in enumerate(params):
        kind = param.dtype.type
        array, number = (1, cupy.ndarray, kind, 1, True, True), (3, kind, kind, 0, True, True)
        info.append(_kernel._ArgInfo(*(array if k in arrays else number)))
    info.append(_kernel._ArgInfo(2, _carray.Indexer, None, 1, True, True))
    code = _kernel._get_elementwise_kernel_code(
        tuple(info), _kernel._TypeMap(()), made.params, made.operation, made.name, "", "", "", ()
    )
    return str(code)


def ptx(source: str, folder: Path) -> str:
    import cupy

    home = Path(cupy.__file__).parent / "_core/include"
    parts = ["", "cupy/_cccl/libcudacxx", "cupy/_cccl/thrust", "cupy/_cccl/cub"]
    include = [f"-I{home / part}" for part in parts]
    options = ["-std=c++17", "-arch=compute_90", *kernels.OPTIONS, *include]
    if COMPILER == "nvcc":
        (folder / "step.cu").write_text(source)
        command = ["nvcc", "-ptx", *options, "step.cu", "-o", "step.ptx"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return (folder / "step.ptx").read_text()
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(source, "step.cu", [], [])
    nvrtc.compileProgram(program, tuple(options))
    return str(nvrtc.getPTX(program))


RANDOM = range(6)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The PTX of every kernel by name, from one run of the compiler."""
    methods = {f"{case}_{dtype}": (case.make(), dtype) for case in CASES for dtype in DTYPES}
    methods |= {f"random{seed}": (random_method(seed), "float32") for seed in RANDOM}
    headers = ("complex.cuh", "carray.cuh", "atomics.cuh", "math_constants.h")
    source = [f"#include <cupy/{header}>" for header in headers]
    for name, (method, dtype) in methods.items():
        source.append(re.sub(r"void \w+\(", f"void {name}(", cupy_source(method, dtype), count=1))
    text = ptx("\n".join(source), tmp_path_factory.mktemp("ptx"))
    found = re.split(r"\.entry (\w+)", text)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


@compiles
@each_dtype
@each_case
def test_a_kernel_loads_and_stores_each_number_once(
    case: Case, dtype: str, compiled: dict[str, str]
) -> None:
    program, text = program_of(case.make()), compiled[f"{case}_{dtype}"]
    assert len(re.findall(r"\bld\.global", text)) == len(program.read)
    assert len(re.findall(r"\bst\.global", text)) == len(program.outputs)
    assert ".f64" not in text or dtype == "float64"
    assert "fma." not in text and "approx" not in text and ".ftz" not in text


@compiles
@pytest.mark.parametrize("seed", RANDOM)
def test_random_rules_are_cuda(seed: int, compiled: dict[str, str]) -> None:
    program, text = program_of(random_method(seed)), compiled[f"random{seed}"]
    assert len(re.findall(r"\bld\.global", text)) == len(program.read)
    assert len(re.findall(r"\bst\.global", text)) == len(program.outputs)
    assert ".f64" not in text and "fma." not in text


# --- computed, through a stand-in for CuPy


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in, in the place of CuPy."""
    module = stand_in()
    monkeypatch.setitem(sys.modules, "cupy", module)
    kernels.elementwise.cache_clear()
    host_kernel.ElementwiseKernel.launches.clear()
    yield module
    kernels.elementwise.cache_clear()


TREE = {"w": np.zeros((3, 4)), "rest": (np.zeros(()), [np.zeros(SLICE + 1), np.zeros(0)])}


def there(tree: Tree) -> Tree:
    return map_leaves(lambda leaf: asarray(leaf), tree)


def here(tree: Tree) -> Tree:
    assert all(type(leaf) is Array for leaf in leaves(tree))
    return map_leaves(lambda leaf: leaf.hidden, tree)


@on_host
@pytest.mark.usefixtures("cupy")
@each_dtype
@each_case
def test_a_kernel_gives_the_bits_of_numpy(case: Case, dtype: str) -> None:
    method, kind = case.make(), NUMPY[dtype]
    params, *grads = (random_like(TREE, seed, kind) for seed in range(4))
    gpu, state, gpu_state = there(params), method.init(params), method.init(there(params))
    for g in grads:
        method.step(params, g, state)
        method.step(gpu, there(g), gpu_state)
    assert differing(here([gpu, gpu_state.slots]), [params, state.slots]) == []
    assert len(host_kernel.ElementwiseKernel.launches) == 3 * 3  # none for the empty leaf


@on_host
@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_float32_gradients_of_half_parameters_stay_float32(dtype: str) -> None:
    theta = random_like(np.zeros(50), 0, NUMPY[dtype])
    g = random_like(theta, 1, np.float32)
    gpu, adam = asarray(theta), Adam()
    adam.step(gpu, asarray(g), adam.init(gpu))
    adam.step(theta, g, adam.init(theta))
    assert differing(gpu.hidden, theta) == []


@pytest.mark.skipif(bool(OPEN_ZEROS), reason=OPEN_ZEROS or "-")
@on_host
@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("seed", range(8))
def test_random_rules_give_the_bits_of_numpy(seed: int) -> None:
    method = random_method(seed)
    theta, g, *held = hostile(4, np.float32, seed)
    expected = as_written(method, [theta, g, *held], KNOWN[1])
    arrays = [asarray(array) for array in (theta, g, *held)]
    leaf = kernels.GpuLeaf(program_of(method), arrays[0], arrays[2:])
    leaf(arrays[1], constants(program_of(method), KNOWN[1]), {})
    assert same([a.hidden for a in (arrays[0], *arrays[2:])], expected), method.source


@on_host
@pytest.mark.usefixtures("cupy")
def test_packed_leaves_are_one_launch() -> None:
    params, adam = pack(there(random_like(TREE, 0))), Adam()
    state, grads = adam.init(params), pack(there(random_like(TREE, 1)))
    adam.step(params, grads, state)
    assert host_kernel.ElementwiseKernel.launches == ["Adam_rule"]
    found = executors.explain(adam, params, state)
    assert found == (
        "4 leaves in one vector, if the gradients are packed too: CuPy, one kernel on <CUDA Device 0>"
    )


@on_host
def test_a_step_inside_a_cuda_graph_is_refused(cupy: Any) -> None:
    cupy.cuda.get_current_stream().is_capturing = lambda: True
    theta, adam = asarray(np.zeros(3)), Adam()
    state = adam.init(theta)
    with pytest.raises(RuntimeError, match="A CUDA graph would repeat the constants of one step"):
        adam.step(theta, asarray(np.ones(3)), state)
    assert state.t == 0 and theta.hidden.tolist() == [0, 0, 0]


def test_rocm_is_refused(cupy: Any) -> None:
    cupy.cuda.runtime.is_hip = True
    theta, adam = asarray(np.zeros(3)), Adam()
    with pytest.raises(RuntimeError, match="this CuPy is built for ROCm: use the pure `update`"):
        adam.step(theta, asarray(np.ones(3)), adam.init(theta))


@on_host
@pytest.mark.usefixtures("cupy")
def test_the_parameter_of_master_weights_is_written_and_not_read() -> None:
    text = cuda(program_of(MasterWeights(Adam())), "float16")
    assert text.writes == ("theta", "master", "m", "v") and text.reads == ("g",)
    assert "(float)theta_16" not in text.operation


if __name__ == "__main__":
    for case in CASES:
        (FOLDER / f"{case}.cu").write_text(golden(case))
