"""On a GPU: the same optimizers on CuPy arrays, with the bits that NumPy gives.

The rules use + - * / and the square root, which IEEE 754 rounds in one way only, and CuPy runs
each as a kernel of its own, so nothing is fused and the bits must agree. A row of the table whose
rule needs another function says with `ulps` how far it may be.
"""

import copy
import warnings
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case, random_like

from adam_tutorial import SLICE, backends
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
