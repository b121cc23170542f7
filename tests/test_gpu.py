"""On a GPU: the same optimizers on CuPy arrays, with the bits that NumPy gives.

The rules use + - * / and the square root, which IEEE 754 rounds in one way only. `update` runs each
as a kernel of its own, and `step` the whole rule as one, compiled without fusing products and sums;
so the bits must agree. A row of the table whose rule needs another function says with `ulps` how far
it may be.
"""

import copy
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cases import CASES, Case, random_like
from machines import as_written, constants, hostile, same
from random_rules import KNOWN
from random_rules import method as random_method

from adam_tutorial import SGD, SLICE, Adam, backends, kernels, load, pack, program_of, save
from adam_tutorial.packing import vector_of
from adam_tutorial.trees import Tree, leaves, matched

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # CuPy warns of a half-installed CUDA as it is imported
    HAS_GPU = "cupy" in backends.available()
pytestmark = pytest.mark.skipif(not HAS_GPU, reason="needs CuPy and an NVIDIA GPU")

TREE = {"w": np.zeros((3, 4)), "rest": (np.zeros(()), [np.zeros(SLICE + 1), np.zeros(0)])}
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
BITS = {2: np.int16, 4: np.int32, 8: np.int64}


def assert_near(found: Tree, expected: Tree, ulps: int) -> None:
    """Equal dtypes and shapes, and bits at most `ulps` apart."""
    for a, b in zip(leaves(backends.to(found, "numpy")), matched(found, expected), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        integer = BITS[a.dtype.itemsize]
        apart = np.atleast_1d(a).view(integer) - np.atleast_1d(b).view(integer)
        assert np.all(np.abs(apart) <= ulps)


@each_dtype
@each_case
def test_step_on_the_gpu_is_numpys(case: Case, dtype: Any) -> None:
    params, *grads = (random_like(TREE, seed, dtype) for seed in range(4))
    there = backends.to(params, "cupy")
    state, there_state = case.make().init(params), case.make().init(there)
    for g in grads:
        case.make().step(params, g, state)
        case.make().step(there, backends.to(g, "cupy"), there_state)
    assert {backends.of(leaf) for leaf in leaves([there, there_state.slots])} == {"cupy"}
    assert_near([there, there_state.slots], [params, state.slots], case.ulps)


@each_dtype
@each_case
def test_step_is_update_on_the_gpu(case: Case, dtype: Any) -> None:
    params = backends.to(random_like(TREE, 0, dtype), "cupy")
    g = backends.to(random_like(TREE, 1, dtype), "cupy")
    state = case.make().init(params)
    new, new_state = case.make().update(params, g, copy.deepcopy(state))
    case.make().step(params, g, state)
    expected = backends.to([new, new_state.slots], "numpy")
    assert_near([params, state.slots], expected, 0)


@each_case
def test_a_numpy_gradient_for_a_gpu_parameter_is_refused(case: Case) -> None:
    theta = backends.asarray(np.ones(3), "cupy")
    with pytest.raises(TypeError, match=r"the gradient is on numpy \(cpu\), .* on cupy"):
        case.make().step(theta, np.ones(3), case.make().init(theta))


@each_case
def test_tied_weights_on_the_gpu_are_refused(case: Case) -> None:
    theta = backends.asarray(np.ones(6), "cupy")
    with pytest.raises(ValueError, match="params/0 and params/1 share memory"):
        case.make().init([theta[:4], theta[3:]])


@each_case
def test_a_gradient_that_is_a_view_of_a_gpu_parameter_is_refused(case: Case) -> None:
    theta = backends.asarray(np.ones(6), "cupy")
    with pytest.raises(ValueError, match="the gradient shares memory with params"):
        case.make().step(theta, theta[::-1], case.make().init(theta))


@each_case
def test_a_gradient_made_from_a_gpu_parameter_by_dlpack_is_refused(case: Case) -> None:
    cupy = pytest.importorskip("cupy")
    theta = backends.asarray(np.ones(6), "cupy")
    with pytest.raises(ValueError, match="the gradient shares memory with params"):
        case.make().step(theta, cupy.from_dlpack(theta), case.make().init(theta))


def test_backends_sees_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(backends._CHOICE, raising=False)
    assert backends.default() == "cupy"
    assert backends.describe().startswith("CuPy on ")
    there = backends.asarray([1.0, 2.0], dtype=np.float32)
    assert backends.of(there) == "cupy" and there.dtype == np.float32
    assert backends.to(there, "numpy").tolist() == [1.0, 2.0]


# --- kernels


def stepped(method: Any, params: Tree, grads: list[Tree]) -> list[Tree]:
    """Parameters and slots after a step for each gradient."""
    state = method.init(params)
    for g in grads:
        method.step(params, g, state)
    return [params, state.slots]


@each_case
def test_bfloat16_on_the_gpu_is_numpys(case: Case) -> None:
    cupy, kind = pytest.importorskip("cupy"), np.dtype(ml_dtypes.bfloat16)
    theta, g = random_like(np.zeros(500), 0, kind), random_like(np.zeros(500), 1, kind)
    try:
        there = [cupy.asarray(array.view(np.uint16)).view(kind) for array in (theta, g)]
        there[0].astype(np.float32)
    except Exception as problem:  # CuPy before 14 has no bfloat16
        pytest.skip(f"this CuPy has no bfloat16: {problem}")
    found = stepped(case.make(), there[0], [there[1]])[0]
    expected = stepped(case.make(), theta, [g])[0]
    assert found.view(np.uint16).get().tolist() == expected.view(np.uint16).tolist()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_rules_on_hostile_numbers_are_numpys(seed: int, dtype: Any) -> None:
    method = random_method(seed)
    theta, g, *held = hostile(4, dtype, seed)
    expected = as_written(method, [theta, g, *held], KNOWN[1])
    there = [backends.asarray(array, "cupy") for array in (theta, g, *held)]
    leaf = kernels.GpuLeaf(program_of(method), there[0], there[2:])
    leaf(there[1], constants(program_of(method), KNOWN[1]), {})
    assert same([array.get() for array in (there[0], *there[2:])], expected), method.source


@each_case
def test_a_packed_step_on_the_gpu_is_the_step(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    params, *grads = (random_like(TREE, seed, np.float32) for seed in range(3))
    expected = stepped(case.make(), params, grads)
    launches, launch = [], kernels.GpuLeaf.__call__
    monkeypatch.setattr(
        kernels.GpuLeaf, "__call__", lambda *args: launches.append(1) or launch(*args)
    )
    there = pack(backends.to(random_like(TREE, 0, np.float32), "cupy"))
    found = stepped(case.make(), there, [pack(backends.to(g, "cupy")) for g in grads])
    assert_near(found, expected, case.ulps)
    assert len(launches) == 2


@each_case
def test_a_strided_gradient_on_the_gpu(case: Case) -> None:
    theta, g = random_like(np.zeros((40, 30)), 0), random_like(np.zeros((30, 40)), 1)
    there, g_there = backends.to(theta, "cupy"), backends.to(g, "cupy").T
    assert_near(stepped(case.make(), there, [g_there]), stepped(case.make(), theta, [g.T]), 0)


def test_a_step_runs_on_the_current_stream_and_waits_for_nothing() -> None:
    cupy = pytest.importorskip("cupy")
    adam, theta = Adam(lr=1.0), cupy.zeros(1000, cupy.float32)
    g, state = cupy.ones(1000, cupy.float32), adam.init(theta)
    adam.step(theta, g, state)  # compiles
    busy = cupy.ones((4096, 4096), cupy.float32)
    cupy.cuda.Device().synchronize()
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        for _ in range(20):
            busy = busy @ busy / 4096
        adam.step(theta, g, state)
        assert not stream.done  # the host is ahead of the GPU
    stream.synchronize()
    assert np.all(theta.get() == -2)


def test_a_step_is_not_recorded_into_a_cuda_graph() -> None:
    cupy = pytest.importorskip("cupy")
    adam, theta = Adam(), cupy.zeros(10, cupy.float32)
    g, state = cupy.ones(10, cupy.float32), adam.init(theta)
    adam.step(theta, g, state)
    before, stream = theta.get(), cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            with pytest.raises(RuntimeError, match="A CUDA graph would repeat the constants"):
                adam.step(theta, g, state)
        finally:
            stream.end_capture()
    assert state.t == 1 and np.array_equal(theta.get(), before)


@each_case
def test_a_checkpoint_goes_to_the_gpu_and_back(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    method, params, *grads = (
        case.make(),
        *(random_like(TREE, seed, np.float32) for seed in range(3)),
    )
    state = method.init(params)
    method.step(params, grads[0], state)
    save("here", method, params, state)
    there = backends.to(random_like(TREE, 9, np.float32), "cupy")
    there_state, held = method.init(there), leaves(there)[0]
    load("here", method, there, there_state)
    assert_near([there, there_state.slots], [params, state.slots], 0)
    assert leaves(there)[0] is held and there_state.scalars == state.scalars
    save("there", method, there, there_state)
    assert Path("there").read_bytes() == Path("here").read_bytes()
    method.step(params, grads[1], state)
    method.step(there, backends.to(grads[1], "cupy"), there_state)
    assert_near([there, there_state.slots], [params, state.slots], case.ulps)


def test_a_checkpoint_of_bfloat16_and_of_a_packed_vector_on_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cupy, adam = pytest.importorskip("cupy"), Adam()
    packed = pack(backends.to(random_like(TREE, 0, np.float32), "cupy"))
    state = adam.init(packed)
    adam.step(packed, pack(backends.to(random_like(TREE, 1, np.float32), "cupy")), state)
    save("packed", adam, packed, state)
    again = pack(backends.to(random_like(TREE, 2, np.float32), "cupy"))
    again_state, vector = adam.init(again), vector_of(leaves(again))
    load("packed", adam, again, again_state)
    assert_near(again, backends.to(packed, "numpy"), 0)
    assert vector_of(leaves(again)) is vector and vector is not None
    theta = random_like(np.zeros(500), 0, np.dtype(ml_dtypes.bfloat16))
    try:
        there = cupy.zeros(500, np.uint16).view(theta.dtype)
        there.astype(np.float32)
    except Exception as problem:  # CuPy before 14 has no bfloat16
        pytest.skip(f"this CuPy has no bfloat16: {problem}")
    sgd = SGD(lr=1.0)
    save("half", sgd, theta, sgd.init(theta))
    load("half", sgd, there, sgd.init(there))
    assert there.view(np.uint16).get().tolist() == theta.view(np.uint16).tolist()


def test_leaves_on_two_gpus() -> None:
    cupy = pytest.importorskip("cupy")
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two GPUs")
    params, grads = [], []
    for device in (0, 1):
        with cupy.cuda.Device(device):
            params.append(cupy.zeros(10, cupy.float32))
            grads.append(cupy.ones(10, cupy.float32))
    stepped(Adam(lr=1.0), params, [grads])
    assert all(np.all(theta.get() == -1) for theta in params)
    with pytest.raises(TypeError, match="the gradient is on cupy .*1.*, the parameter on cupy .*0"):
        Adam().step(params[0], grads[1], Adam().init(params[0]))
