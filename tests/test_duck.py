"""Where arrays live: the optimizers follow NumPy's protocols, and `backends` chooses.

`Duck` stands in for CuPy on machines without a GPU. It answers NumPy's protocols and nothing else:
it cannot be made a NumPy array, and meets no NumPy array in arithmetic, so a rule that left its
device on the way would fail here as it would there.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case, differing, random_like

from adam_tutorial import SLICE, Optimizer, backends
from adam_tutorial.trees import Tree, leaves, map_leaves


class Duck(np.lib.mixins.NDArrayOperatorsMixin):
    """An array on another device."""

    device = "pond:0"

    def __init__(self, hidden: Any, base: "Duck | None" = None) -> None:
        assert isinstance(hidden, np.ndarray)
        self.hidden, self.base = hidden, base
        self.dtype, self.shape, self.strides = (hidden.dtype, hidden.shape, hidden.strides)
        self.size, self.ndim = hidden.size, hidden.ndim

    @property
    def flags(self) -> SimpleNamespace:
        flags = self.hidden.flags  # CuPy's have no `writeable`
        return SimpleNamespace(c_contiguous=flags.c_contiguous, owndata=self.base is None)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"data": (self.hidden.ctypes.data, False), "shape": self.shape}

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a duck is not made a NumPy array behind its back")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        for value in inputs:
            if not isinstance(value, (Duck, int, float)) or isinstance(value, np.generic):
                raise TypeError(f"a duck does not meet {type(value).__name__}")
        return self._call(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self._call(function, args, kwargs)

    def _call(self, function: Any, args: Any, kwargs: Any) -> "Duck":
        bare = [arg.hidden if isinstance(arg, Duck) else arg for arg in args]
        return Duck(np.asarray(function(*bare, **kwargs)))

    def __getitem__(self, key: Any) -> "Duck":
        return Duck(np.asarray(self.hidden[key]), base=self)

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(value, (Duck, int, float)):
            raise TypeError(f"a duck does not hold {type(value).__name__}")
        self.hidden[key] = value.hidden if isinstance(value, Duck) else value

    def __float__(self) -> float:
        return float(self.hidden)

    def __bool__(self) -> bool:
        return bool(self.hidden)

    def astype(self, dtype: Any) -> "Duck":
        return Duck(self.hidden.astype(dtype))


TREE = {"w": np.zeros((3, 4)), "rest": (np.zeros(()), [np.zeros(SLICE + 1), np.zeros(0)])}
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])


def ducks(tree: Tree) -> Tree:
    return map_leaves(lambda leaf: Duck(leaf.copy()), tree)


def hidden(tree: Tree) -> Tree:
    """What ducks hide; anything else among the leaves fails."""
    assert all(type(leaf) is Duck for leaf in leaves(tree))
    return map_leaves(lambda leaf: leaf.hidden, tree)


def run(optimizer: Optimizer, method: str, params: Tree, grads: list[Tree]) -> list[Tree]:
    """Parameters and slots after some updates or steps."""
    state = optimizer.init(params)
    for g in grads:
        if method == "step":
            optimizer.step(params, g, state)
        else:
            params, state = optimizer.update(params, g, state)
    return [params, state.slots]


@each_dtype
@pytest.mark.parametrize("method", ["step", "update"])
@each_case
def test_ducks_get_the_bits_of_numpy(case: Case, method: str, dtype: Any) -> None:
    params, *grads = (random_like(TREE, seed, dtype) for seed in range(4))
    found = run(case.make(), method, ducks(params), [ducks(g) for g in grads])
    assert differing(hidden(found), run(case.make(), method, params, grads)) == []


@each_case
def test_the_slots_of_ducks_are_ducks(case: Case) -> None:
    state = case.make().init(ducks(random_like(TREE, 0)))
    assert all(type(leaf) is Duck for leaf in leaves(state.slots))


@each_case
def test_the_metric_of_ducks_is_that_of_numpy(case: Case) -> None:
    params, g = random_like(TREE, 0), random_like(TREE, 1)
    metrics = []
    for make in (ducks, lambda tree: tree):
        _, state = case.make().update(make(params), make(g), case.make().init(make(params)))
        metrics.append(case.make().metric(state))
    if isinstance(metrics[0], float):
        assert metrics[0] == metrics[1]
    else:
        for duck, array in zip(leaves(metrics[0]), leaves(metrics[1]), strict=True):
            assert np.array_equal(duck.hidden, array)


@pytest.mark.parametrize("method", ["step", "update"])
@each_case
def test_a_numpy_gradient_for_a_duck_is_refused(case: Case, method: str) -> None:
    theta = Duck(np.ones(3))
    state = case.make().init(theta)
    with pytest.raises(TypeError) as caught:
        getattr(case.make(), method)(theta, np.ones(3), state)
    assert str(caught.value) == (
        "params: the gradient is on numpy (cpu), the parameter on test_duck (pond:0). Move one "
        "with adam_tutorial.backends.to. Nothing was changed."
    )
    assert state.t == 0 and theta.hidden.tolist() == [1, 1, 1]


@pytest.mark.parametrize("method", ["step", "update"])
@each_case
def test_a_gradient_on_another_device_is_refused(case: Case, method: str) -> None:
    theta, g = Duck(np.ones(3)), Duck(np.ones(3))
    g.device = "pond:1"
    with pytest.raises(TypeError, match=r"on test_duck \(pond:1\), .* on test_duck \(pond:0\)"):
        getattr(case.make(), method)(theta, g, case.make().init(theta))


@pytest.mark.parametrize("case", [case for case in CASES if case.make().slots], ids=str)
def test_a_state_on_another_device_is_refused(case: Case) -> None:
    state = case.make().init(np.ones(3))
    theta = Duck(np.ones(3))
    with pytest.raises(ValueError, match=r"on test_duck \(pond:0\); got .* on numpy \(cpu\)"):
        case.make().step(theta, Duck(np.ones(3)), state)


@each_case
def test_overlapping_ducks_are_refused(case: Case) -> None:
    pond = Duck(np.ones(6))
    with pytest.raises(ValueError, match="params/0 and params/1 share memory"):
        case.make().init([pond[:4], pond[3:]])


@each_case
def test_a_gradient_that_is_a_view_of_a_duck_is_refused(case: Case) -> None:
    theta = Duck(np.ones(3))
    with pytest.raises(ValueError, match="params: the gradient shares memory with params"):
        case.make().step(theta, theta[:], case.make().init(theta))


@each_case
def test_a_gradient_that_shares_memory_with_a_duck_by_address_alone_is_refused(case: Case) -> None:
    theta = Duck(np.ones(3))
    same = Duck(theta.hidden)  # as CuPy's from_dlpack makes it: no base, so it seems to own
    with pytest.raises(ValueError, match="params: the gradient shares memory with params"):
        case.make().step(theta, same, case.make().init(theta))


@each_case
def test_a_duck_that_is_not_contiguous_is_refused_in_place(case: Case) -> None:
    theta = Duck(np.ones((3, 4)))[:, ::2]
    with pytest.raises(ValueError, match="params: a step in place needs a C-contiguous array"):
        case.make().step(theta, Duck(np.ones((3, 2))), case.make().init(theta))


# --- backends, with a CuPy that is a fake


class FakeArray:
    """What `backends` needs to see of a CuPy array."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def get(self) -> Any:
        return self.values


FakeArray.__module__ = "cupy._core.core"


def fake_cupy(gpu: Any) -> ModuleType:
    """A module that says what `gpu()` says about its GPU."""
    cupy = ModuleType("cupy")
    cupy.__spec__ = ModuleSpec("cupy", None)
    cupy.ndarray = FakeArray
    cupy.cuda = SimpleNamespace(
        is_available=gpu,
        runtime=SimpleNamespace(getDeviceProperties=lambda i: {"name": b"Fake GPU %d" % i}),
    )

    def asarray(values: Any, dtype: Any = None) -> FakeArray:
        if isinstance(values, FakeArray) and dtype is None:
            return values
        bare = values.values if isinstance(values, FakeArray) else values
        return FakeArray(np.array(bare, dtype=dtype))

    cupy.asarray = asarray
    return cupy


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(backends._CHOICE, raising=False)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(lambda: True))


@pytest.fixture
def without_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)


def broken() -> bool:
    raise RuntimeError("cudaErrorInsufficientDriver")


@pytest.fixture(
    params=[None, fake_cupy(lambda: False), fake_cupy(broken)],
    ids=["not installed", "no GPU", "broken CUDA"],
)
def without_gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way to have no GPU."""
    monkeypatch.setitem(sys.modules, "cupy", request.param)


@pytest.mark.usefixtures("with_gpu")
def test_cupy_is_the_default_where_a_gpu_answers() -> None:
    assert backends.available() == ("numpy", "cupy")
    assert backends.default() == "cupy"
    assert backends.describe() == "CuPy on Fake GPU 0"


@pytest.mark.usefixtures("without_gpu")
def test_numpy_is_the_default_where_no_gpu_answers() -> None:
    assert backends.available() == ("numpy",)
    assert backends.default() == "numpy"
    assert backends.describe() == "NumPy on the CPU"


@pytest.mark.usefixtures("with_gpu")
def test_the_environment_variable_overrules_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAM_TUTORIAL_BACKEND", "numpy")
    assert backends.default() == "numpy"
    assert backends.describe() == "NumPy on the CPU"
    assert type(backends.asarray([1.0])) is np.ndarray


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize(("value", "found"), [("cupy", "cupy"), ("", "cupy")])
def test_the_environment_variable_may_ask_for_what_there_is(
    monkeypatch: pytest.MonkeyPatch, value: str, found: str
) -> None:
    monkeypatch.setenv("ADAM_TUTORIAL_BACKEND", value)
    assert backends.default() == found


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize("value", ["CuPy", "torch", "gpu"])
def test_an_environment_variable_with_another_word_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ADAM_TUTORIAL_BACKEND", value)
    expected = f'ADAM_TUTORIAL_BACKEND must be "numpy" or "cupy", not \'{value}\''
    with pytest.raises(ValueError, match=expected):
        backends.default()


@pytest.mark.usefixtures("without_gpu")
def test_an_environment_variable_that_asks_for_a_missing_gpu_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ADAM_TUTORIAL_BACKEND", "cupy")
    with pytest.raises(RuntimeError, match="ADAM_TUTORIAL_BACKEND is cupy, and no GPU .*cuda12"):
        backends.default()


def cuda_versions(driver: int, wheel: int) -> ModuleType:
    """A CuPy whose GPU does not answer, with versions as CUDA writes them: 12090 is 12.9."""
    cupy = fake_cupy(broken)
    cupy.cuda.runtime.driverGetVersion = lambda: driver
    cupy.cuda.runtime.runtimeGetVersion = lambda: wheel
    return cupy


@pytest.mark.parametrize(
    ("cupy", "reason"),
    [
        (None, "CuPy is not installed"),
        (fake_cupy(lambda: False), "CuPy finds no NVIDIA GPU"),
        (fake_cupy(broken), "CuPy does not work (cudaErrorInsufficientDriver)"),
        (cuda_versions(0, 12090), "there is no NVIDIA driver"),
        (cuda_versions(12020, 13000), "CuPy is made for CUDA 13, the driver for CUDA 12"),
        (cuda_versions(13000, 12090), "CuPy does not work (cudaErrorInsufficientDriver)"),
    ],
)
def test_the_reason_why_no_gpu_answers(
    monkeypatch: pytest.MonkeyPatch, cupy: Any, reason: str
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert backends.gpu_problem() == reason
    with pytest.raises(RuntimeError) as caught:
        backends.asarray([1.0], "cupy")
    assert f"no GPU answers here: {reason}. On a machine" in str(caught.value)
    assert "adam-tutorial[cuda12]" in str(caught.value)


@pytest.mark.usefixtures("without_gpu")
def test_a_missing_gpu_is_refused_by_name() -> None:
    with pytest.raises(RuntimeError, match="no GPU answers here.*pip install"):
        backends.asarray([1.0], "cupy")
    with pytest.raises(RuntimeError, match="no GPU answers here"):
        backends.to({"w": np.ones(2)}, "cupy")


def test_a_backend_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match='must be "numpy" or "cupy", not \'jax\''):
        backends.asarray([1.0], "jax")
    with pytest.raises(ValueError, match="not 'jax'"):
        backends.to(np.ones(2), "jax")


@pytest.mark.usefixtures("with_gpu")
def test_asarray_makes_arrays_on_the_default_backend() -> None:
    array = backends.asarray([1, 2], dtype=np.float32)
    assert type(array) is FakeArray
    assert array.values.dtype == np.float32 and array.values.tolist() == [1.0, 2.0]


@pytest.mark.usefixtures("without_cupy")
def test_asarray_returns_a_numpy_array_as_it_is() -> None:
    array = np.ones(3)
    assert backends.asarray(array) is array
    assert backends.asarray(array, dtype=np.float32).dtype == np.float32
    assert backends.asarray([[1, 2]], dtype=np.float64).tolist() == [[1.0, 2.0]]


@pytest.mark.usefixtures("with_gpu")
def test_asarray_brings_an_array_back_from_the_gpu() -> None:
    array = backends.asarray(FakeArray(np.arange(3)), "numpy", dtype=np.float32)
    assert type(array) is np.ndarray and array.dtype == np.float32 and array.tolist() == [0, 1, 2]


@pytest.mark.usefixtures("with_gpu")
def test_to_moves_every_leaf_of_a_tree_there_and_back() -> None:
    tree = random_like({"w": [np.zeros(2), (np.zeros(()), np.zeros((1, 2)))]}, 0)
    there = backends.to(tree, "cupy")
    assert [type(leaf) for leaf in leaves(there)] == [FakeArray] * 3
    assert differing(backends.to(there, "numpy"), tree) == []


@pytest.mark.usefixtures("with_gpu")
def test_to_returns_an_array_that_is_there_already() -> None:
    array, far = np.ones(2), FakeArray(np.ones(2))
    assert backends.to(array, "numpy") is array
    assert backends.to(far, "cupy") is far


@pytest.mark.parametrize("leaf", [1.0, "w", None, [1.0]])
def test_to_refuses_a_leaf_that_is_no_array(leaf: Any) -> None:
    with pytest.raises(TypeError, match="expected a NumPy or CuPy array, got"):
        backends.to({"w": leaf}, "numpy")


@pytest.mark.usefixtures("without_cupy")
def test_of_tells_the_backend_without_importing_it() -> None:
    assert backends.of(np.ones(2)) == backends.of(np.float32(1)) == "numpy"
    assert backends.of(FakeArray(None)) == "cupy"


def test_of_refuses_what_is_no_array() -> None:
    with pytest.raises(TypeError, match="expected a NumPy or CuPy array, got Duck"):
        backends.of(Duck(np.ones(2)))
