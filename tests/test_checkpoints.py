"""Checkpoints: the same bits back, whatever happens while saving, and nothing believed while loading."""

import errno
import itertools
import json
import math
import os
import signal
import stat
import struct
import subprocess
import sys
import zipfile
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cases import CASES, Case, differing, random_like
from pretend_gpu import Array as PretendedArray
from pretend_gpu import stand_in

from adam_tutorial import (
    L2,
    SGD,
    Adam,
    AdamHat,
    CheckpointError,
    Clipped,
    Groups,
    Guarded,
    MasterWeights,
    Nadam,
    Optimizer,
    checkpoints,
    dozat_schedule,
    load,
    pack,
    save,
)
from adam_tutorial.packing import vector_of
from adam_tutorial.trees import Tree, leaves, map_leaves

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(__file__).parent / "golden/checkpoints/version-1.npz"
TREE = {"w": np.zeros((3, 4)), "rest": (np.zeros(()), [np.zeros(7), np.zeros((0, 2))])}
MODEL = {"w": np.zeros((3, 2)), "b": np.zeros(2)}
CURE = "Nothing was changed."
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(method: Optimizer, params: Tree, state: Any, first: int, last: int) -> None:
    for t in range(first, last + 1):
        dtype = leaves(params)[0].dtype
        method.step(params, random_like(params, t, dtype), state)


def trained(method: Optimizer | None = None, seed: int = 0) -> tuple[Optimizer, Tree, Any]:
    """A method, and parameters and state after three steps."""
    method, params = method or Adam(), random_like(MODEL, seed)
    state = method.init(params)
    run(method, params, state, 1, 3)
    return method, params, state


def bits(params: Tree, state: Any) -> list[Any]:
    return [state.t, repr(sorted(state.scalars.items())), leaves(params), state.slots]


def same(one: tuple[Tree, Any], other: tuple[Tree, Any]) -> bool:
    trees = [[params, state.slots] for params, state in (one, other)]
    numbers = [
        (s.t, {k: (type(v), repr(v)) for k, v in s.scalars.items()}) for _, s in (one, other)
    ]
    return differing(*trees) == [] and numbers[0] == numbers[1]


def copy_of(params: Tree, state: Any) -> tuple[Tree, Any]:
    import copy

    return copy.deepcopy((params, state))


def refused(
    path: Any, method: Optimizer, params: Tree, state: Any, error: type[Exception] = CheckpointError
) -> str:
    """What load says, after it was seen that nothing has changed."""
    before = copy_of(params, state)
    with pytest.raises(error) as caught:
        load(path, method, params, state)
    assert same((params, state), before)
    return str(caught.value)


# ---- Resumed is never stopped


def never_stopped(method: Optimizer, start: Callable[[], Tree]) -> None:
    one, other, again = start(), start(), start()
    states = [method.init(params) for params in (one, other, again)]
    run(method, one, states[0], 1, 10)
    run(method, other, states[1], 1, 5)
    save("half", method, other, states[1])
    load("half", method, again, states[2])
    assert same((again, states[2]), (other, states[1]))
    run(method, again, states[2], 6, 10)
    assert same((again, states[2]), (one, states[0]))
    save("one", method, one, states[0])
    save("again", method, again, states[2])
    assert Path("one").read_bytes() == Path("again").read_bytes()


@each_dtype
@each_case
def test_resumed_is_never_stopped(case: Case, dtype: Any) -> None:
    never_stopped(case.make(), lambda: random_like(TREE, 0, dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("method", [MasterWeights(Adam(0.1)), Nadam(0.1)], ids=["master", "nadam"])
def test_a_packed_run_is_never_stopped(method: Optimizer, dtype: Any) -> None:
    never_stopped(method, lambda: pack(random_like(TREE, 0, np.dtype(dtype))))


def test_groups_with_scalars_of_their_own_are_never_stopped() -> None:
    groups = {"w": {"lr": 0.1, "beta1": dozat_schedule()}, 0: {"beta2": 0.5}}
    never_stopped(Groups(Nadam(0.01), groups), lambda: random_like(TREE, 0))


def test_a_skipped_step_is_counted_on() -> None:
    method, params, state = trained(Guarded(Adam(), nonfinite="skip"))
    method.step(params, map_leaves(lambda x: x * np.nan, params), state)
    save("run", method, params, state)
    _, again, there = trained(method, seed=1)
    load("run", method, again, there)
    assert (there.t, there.scalars) == (3, {"skipped": 1}) and type(there.skipped) is int


@dataclass(frozen=True)
class Rows(Optimizer):
    """Slots of another shape than the parameter's, and a phase among the scalars, as SWATS has."""

    lr: float = 0.1
    slots = ("length",)
    elementwise = False

    def init_leaf(self, theta: Any) -> tuple[Any, ...]:
        return (np.zeros(theta.shape[:1]),)

    def prepare(self, params: Tree, grads: Tree, state: Any) -> dict[str, float]:
        rate = state.scalars.get("rate", 1.0) * 0.9
        return {"rate": rate, **({"phase": 1} if state.t >= 5 else {})}

    def update_leaf(self, theta: Any, g: Any, held: Any, values: Any) -> Any:
        length = 0.9 * held[0] + np.abs(g).reshape(len(g), -1).sum(axis=1)
        return theta - values["rate"] * g, length

    @staticmethod
    def rule(theta: Any, g: Any, length: Any, *, rate: float) -> Any:
        raise NotImplementedError


def test_slots_of_other_shapes_and_a_phase() -> None:
    never_stopped(Rows(), lambda: random_like(MODEL, 0))


def test_a_run_of_update_goes_on_as_well() -> None:
    method, params, state = trained()
    save("run", method, params, state)
    _, again, there = trained(seed=1)
    load("run", method, again, there)
    g = random_like(MODEL, 9)
    assert same(method.update(params, g, state), method.update(again, g, there))


# ---- Bits


def back(array: Any, like: Any = None) -> Any:
    """The array after a file, in zeros laid out like `like`."""
    zeros = np.zeros_like(array if like is None else like)
    method = SGD(1.0)
    save("bits", method, array, method.init(array))
    load("bits", method, zeros, method.init(zeros))
    return zeros


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_every_number_of_16_bits(dtype: Any) -> None:
    every = np.arange(2**16, dtype=np.uint16).view(dtype)
    assert back(every).view(np.uint16).tolist() == list(range(2**16))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_patterns_of_bits_in_both_orders(dtype: str, order: str) -> None:
    drawn = np.random.default_rng(0).integers(0, 2**64, 10000, dtype=np.uint64)
    signalling = {"f4": [0x7F800001, 0xFF800001, 1], "f8": [0x7FF0000000000001, 1 << 63, 1]}[dtype]
    own = np.array(signalling, order + dtype.replace("f", "u")).view(order + dtype)
    for array in (drawn.view(order + dtype), own):
        assert back(array).tobytes() == array.tobytes()


@pytest.mark.parametrize(("saved", "here"), [("<f4", ">f4"), (">f4", "<f4"), (">f2", "<f2")])
def test_the_order_of_bytes_belongs_to_the_machine(saved: str, here: str) -> None:
    array = np.array([1.5, -0.0, np.inf, 1e-7, 2.0**-24]).astype(saved)
    found = back(array, np.zeros(5, here))
    assert found.dtype.str == here and found.astype(saved).tobytes() == array.tobytes()


def test_the_widest_float() -> None:
    array = np.array([1, np.nan, -0.0], np.longdouble) / 3
    assert back(array).tobytes() == array.tobytes()
    if array.dtype.itemsize > 8:
        save("bits", SGD(1.0), array, SGD(1.0).init(array))
        assert f"float128 of {np.finfo(np.longdouble).nmant} bits" in header_of("bits")["arrays"][0]


ODD = {
    "0-d": np.array(-0.0),
    "empty": np.zeros((3, 0, 2)),
    "Fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "backwards": np.arange(10.0)[::-3],
    "transposed": np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
    "broadcast": np.broadcast_to(np.arange(3.0), (2, 3)),
    "bfloat16, strided": np.arange(9.0).astype(ml_dtypes.bfloat16)[::2],
    "bfloat16, 0-d": np.array(1.5, ml_dtypes.bfloat16),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_arrays(name: str) -> None:
    found = back(ODD[name], np.zeros(ODD[name].shape, ODD[name].dtype))
    assert found.shape == ODD[name].shape and found.tobytes() == ODD[name].tobytes()


def test_the_places_to_load_into_may_have_strides() -> None:
    room = np.zeros((4, 6))
    save("bits", SGD(1.0), np.arange(6.0).reshape(2, 3), SGD(1.0).init(np.zeros((2, 3))))
    load("bits", SGD(1.0), room[::2, ::2], SGD(1.0).init(room))
    assert room[::2, ::2].tolist() == [[0, 1, 2], [3, 4, 5]] and room.sum() == 15


# ---- In place


def test_views_and_packed_vectors_stay_what_they_are() -> None:
    method = Adam()
    params = pack(random_like(MODEL, 0))
    state = method.init(params)
    run(method, params, state, 1, 2)
    save("run", method, params, state)
    again = pack(random_like(MODEL, 1))
    there, vector, view = method.init(again), vector_of(leaves(again)), leaves(again)[1]
    method.step(again, random_like(MODEL, 2), there)
    checked, slots = there._checked, there.slots
    load("run", method, again, there)
    assert vector_of(leaves(again)) is vector and leaves(again)[1] is view
    assert vector_of(leaves(there.m)) is not None
    run(method, params, state, 3, 3)
    run(method, again, there, 3, 3)
    assert (
        there._checked is checked and there.slots is slots and same((params, state), (again, there))
    )


def test_the_same_keys_in_another_order() -> None:
    method, params, state = trained()
    save("run", method, params, state)
    again = {"b": np.zeros(2), "w": np.zeros((3, 2))}
    there = method.init(again)
    load("run", method, again, there)
    assert all(np.array_equal(again[key], params[key]) for key in params)
    assert all(np.array_equal(there.v[key], state.v[key]) for key in params)


def test_a_read_only_place_is_refused() -> None:
    method, params, state = trained()
    save("run", method, params, state)
    state.m["b"].flags.writeable = False
    assert "state.m/b: the array is read-only" in refused("run", method, params, state, ValueError)


# ---- Names

Point = namedtuple("Point", "x y")
NAMES: list[Tree] = [
    {"a/b": 1, "a": {"b": 2}},
    {"": 1, " ": 2, "/": 3, "//": {"": 4}},
    {0: 1, "0": 2, "#0": 3, "%30": 4, "00": 5, -1: 6, "-1": 7},
    {".": 1, "..": {"..": 2}, "...": 3, "%2E.": 4},
    {"\u00e9": 1, "e\u0301": 2, "\ud800": 3, "\0": 4, "\u0664": 5, "'\n\\": 6},
    [1, (2, [3]), {"1": 4}, Point(5, 6)],
    {"x" * 5000: 1},
    1,
    [],
    {"only": {}, "empty": ()},
]


@pytest.mark.parametrize("tree", NAMES, ids=range(len(NAMES)))
def test_every_name_is_another(tree: Tree) -> None:
    params = map_leaves(lambda n: np.full(2, float(n)), tree)
    names = checkpoints._addresses(params)
    assert len(set(names)) == len(names) and all(name.isascii() for name in names)
    assert not any({".", ".."} & set(name.split("/")) for name in names)
    again, method = map_leaves(np.zeros_like, params), Adam()
    save("run", method, params, method.init(params))
    load("run", method, again, method.init(again))
    assert differing(params, again) == []


def test_trees_that_look_alike_are_not_the_same() -> None:
    looks = [[np.ones(2)], {"0": np.ones(2)}, {0: np.ones(2)}]
    for one, other in itertools.permutations(looks, 2):
        save("run", SGD(1.0), one, SGD(1.0).init(one))
        assert "the file lacks params/" in refused("run", SGD(1.0), other, SGD(1.0).init(other))


@pytest.mark.parametrize("key", [True, None, 1.5, (1, 2), b"w"])
def test_other_keys_are_refused(key: Any) -> None:
    params = {"enc": {key: np.ones(2)}}
    with pytest.raises(TypeError, match=r"params/enc: expected keys that are str or int, got"):
        save("run", SGD(1.0), params, SGD(1.0).init(params))
    assert not os.listdir()


def test_a_name_too_long_for_a_zip_is_refused() -> None:
    longest = "x" * (2**16 - 1 - len("params/.npy"))
    params = {longest + "x": np.ones(2)}
    with pytest.raises(ValueError, match="too long"):
        save("run", SGD(1.0), params, SGD(1.0).init(params))
    assert not os.listdir()
    params = {longest: np.ones(2)}
    save("run", SGD(1.0), params, SGD(1.0).init(params))
    load("run", SGD(1.0), params, SGD(1.0).init(params))


# ---- Numbers in the header


@pytest.mark.parametrize(
    "number",
    [0.1, -0.0, 5e-324, sys.float_info.max, math.inf, -math.inf, 1 / 3, 7, 2**70, 1.0],
)
def test_scalars_come_back_exactly(number: Any) -> None:
    method, params, state = trained()
    state.scalars = {"x": number, "odd name / \u00e9": 1.0}
    save("run", method, params, state)
    load("run", method, params, state)
    assert type(state.x) is type(number) and repr(state.x) == repr(number)


@pytest.mark.parametrize("pattern", [0x7FF8000000000000, 0xFFF8000000000001, 0x7FFC0000DEADBEEF])
def test_a_nan_keeps_its_payload(pattern: int) -> None:
    method, params, state = trained()
    (state.scalars["x"],) = struct.unpack(">d", struct.pack(">Q", pattern))
    save("run", method, params, state)
    state.scalars = {}
    extras = load("run", method, params, state)
    assert struct.pack(">d", state.x) == struct.pack(">Q", pattern) and extras == {}


@pytest.mark.parametrize("number", [np.float64(1), np.float32(1), "1", True, None, [1.0]])
def test_scalars_that_would_come_back_as_something_else_are_refused(number: Any) -> None:
    method, params, state = trained()
    state.scalars = {"x": number}
    with pytest.raises(TypeError, match=r"scalars?.*x.*: expected"):
        save("run", method, params, state)
    assert not os.listdir()


@pytest.mark.parametrize("t", [np.int64(3), 3.0, True, -1])
def test_a_step_that_is_no_count_is_refused(t: Any) -> None:
    method, params, state = trained()
    state.t = t
    with pytest.raises((TypeError, ValueError), match="t: expected"):
        save("run", method, params, state)


EXTRAS: list[dict[str, Any]] = [
    {},
    {"epoch": 3, "loss": math.nan, "best": [math.inf, -math.inf], "done": False, "note": None},
    {"rng": np.random.default_rng(5).bit_generator.state, "": {"": []}, "\ud800\0": "\ud800\0"},
    {"deep": [[[[[{"x": [[1.5]]}]]]]], "int": 2**200, "format": "other", "float64 ": "7ff8"},
]


@pytest.mark.parametrize("extras", EXTRAS, ids=range(len(EXTRAS)))
def test_extras_come_back(extras: dict[str, Any]) -> None:
    method, params, state = trained()
    save("run", method, params, state, extras)
    assert repr(load("run", method, params, state)) == repr(extras)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ((1, 2), "['a']"),
        ({1: 2}, "['a']"),
        ([0, [np.float64(1)]], "['a'][1][0]"),
        (np.ones(2), "['a']"),
        ({"b": {1}}, "['a']['b']"),
        ({"float64": "7ff8000000000000"}, "['a']"),
        (1j, "['a']"),
    ],
    ids=range(7),
)
def test_extras_that_would_come_back_otherwise_are_refused(value: Any, where: str) -> None:
    method, params, state = trained()
    with pytest.raises(TypeError) as caught:
        save("run", method, params, state, {"a": value})
    assert f"['extras']{where}: expected" in str(caught.value)
    assert str(caught.value).endswith("Nothing was written.") and not os.listdir()


def test_the_largest_header_is_refused_when_it_is_written() -> None:
    method, params, state = trained()
    with pytest.raises(ValueError, match="16777216 bytes"):
        save("run", method, params, state, {"x": "y" * 2**24})
    assert not os.listdir()


def test_a_header_as_large_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained()
    save("run", *run)
    with zipfile.ZipFile("run") as archive:
        size = archive.infolist()[0].file_size
    monkeypatch.setattr(checkpoints, "_HEADER_LIMIT", size)
    save("run", *run)
    load("run", *run)
    monkeypatch.setattr(checkpoints, "_HEADER_LIMIT", size - 1)
    assert "does not begin" in refused("run", *run)
    with pytest.raises(ValueError, match=f"the header has {size} bytes"):
        save("run", *run)


def test_generators_go_on() -> None:
    method, params, state = trained()
    for name in ("PCG64", "PCG64DXSM"):
        rng = np.random.Generator(getattr(np.random, name)(3))
        rng.standard_normal(7)
        save("run", method, params, state, {"rng": rng.bit_generator.state})
        again = np.random.Generator(getattr(np.random, name)(4))
        again.bit_generator.state = load("run", method, params, state)["rng"]
        assert again.standard_normal(5).tolist() == rng.standard_normal(5).tolist()


# ---- The method


METHODS = [
    (Adam(), AdamHat(), "the file was saved with Adam, and here is AdamHat"),
    (Adam(), Guarded(Adam()), "with Adam, and here is Guarded(Adam, nonfinite='raise')"),
    (Guarded(Adam(), "skip"), Guarded(Adam()), "Guarded(Adam, nonfinite='skip'), and here is"),
    (Clipped(Adam(), 1.0), Clipped(AdamHat(), 1.0), "Clipped(Adam), and here is Clipped(AdamHat)"),
]


@pytest.mark.parametrize(("saved", "here", "said"), METHODS, ids=range(len(METHODS)))
def test_another_method_is_refused(saved: Optimizer, here: Optimizer, said: str) -> None:
    save("run", *trained(saved))
    message = refused("run", *trained(here, seed=1))
    assert said in message and message.endswith(f"then go on with any other. {CURE}")


def test_a_method_is_shown_as_one_writes_it() -> None:
    assert checkpoints._shown({"class": "Own", "mode": "fast", "n": 2}) == "Own(mode='fast', n=2)"
    assert checkpoints._few(["a", "b", "c"]) == "a, b, c"
    assert checkpoints._few(["a", "b", "c", "d"]) == "a, b, c and 1 more"


NUMBERS = [
    (Adam(), Adam(lr=0.1), "lr of params/w was 0.001 at step 3, and is 0.1 here"),
    (Adam(), Adam(eps=0), "eps of params/w was 1e-08"),
    (L2(Adam(), 0.1), L2(Adam(), 0.2), "weight_decay of params/w was 0.1"),
    (Adam(), Adam(lr=lambda t: 1e-3 / t), "lr of params/w was 0.001 at step 3, and is 0.00033"),
    (
        Groups(Adam(), {"b": {"lr": 1}}),
        Groups(Adam(), {"w": {"lr": 1}}),
        "lr of params/w was 0.001",
    ),
    (Groups(Adam(), {"b": {"lr": 1}}), Groups(Adam(), {"b": {"lr": 2}}), "lr of params/b was 1.0"),
]


@pytest.mark.parametrize(("saved", "here", "said"), NUMBERS, ids=range(len(NUMBERS)))
def test_other_numbers_are_refused(saved: Optimizer, here: Optimizer, said: str) -> None:
    save("run", *trained(saved))
    message = refused("run", *trained(here, seed=1))
    assert said in message and message.endswith(f"the value that you want. {CURE}")


def test_a_schedule_is_its_value_at_the_last_step() -> None:
    rates = [0.3, 0.2, 0.1]
    method, params, state = trained(Adam(lr=lambda t: rates[t - 1]))  # there is no rate 4
    save("run", method, params, state)
    load("run", Adam(lr=0.1), params, state)
    assert "lr of params/w was 0.1" in refused("run", Adam(lr=0.2), params, state)


def test_before_the_first_step_a_schedule_is_asked_for_step_1() -> None:
    method, params = Adam(lr=lambda t: 1 / t), random_like(MODEL, 0)
    save("run", method, params, method.init(params))
    load("run", Adam(lr=1.0), params, method.init(params))


def test_settings_are_kept_once() -> None:
    save("run", *trained(Groups(Adam(), {"b": {"lr": 1}})))
    header = header_of("run")
    assert [each["lr"] for each in header["settings"]] == [0.001, 1.0]
    assert header["settings of"] == [0, 1]


# ---- Other runs


def test_another_tree_is_refused() -> None:
    method, params, state = trained()
    save("run", method, params, state)
    here = {"w": params["w"], "c": np.ones(2)}
    message = refused("run", method, here, method.init(here))
    assert "the file lacks params/c, state.m/c, state.v/c; only the file has params/b" in message
    here = {**params, **{f"x{i}": np.ones(1) for i in range(4)}}
    message = refused("run", method, here, method.init(here))
    assert "the file lacks params/x0, params/x1, params/x2 and 9 more. Build" in message
    message = refused("run", method, {"w": params["w"]}, method.init({"w": params["w"]}))
    assert "only the file has params/b, state.m/b, state.v/b. Build" in message


def test_other_shapes_and_dtypes_are_refused() -> None:
    method, params, state = trained()
    save("run", method, params, state)
    here = {"w": np.zeros((2, 3)), "b": np.zeros(2)}
    message = refused("run", method, here, method.init(here))
    assert (
        "params/w is float64 of shape (3, 2) in the file, and float64 of shape (2, 3) here"
        in message
    )
    here = map_leaves(lambda x: x.astype(np.float32), params)
    assert "and float32 of shape (3, 2) here" in refused("run", method, here, method.init(here))


def test_what_is_no_run_is_refused_before_anything_is_written() -> None:
    method, params, state = trained()
    other = method.init({"w": np.ones(1)})
    for wrong, error in [
        ((method, params, {}), TypeError),
        ((SGD(1.0), params, state), ValueError),
        ((method, params, other), ValueError),
        ((method, {"w": 1.0, "b": params["b"]}, state), TypeError),
        ((method, {"w": np.ma.ones(2), "b": params["b"]}, state), TypeError),
        ((method, {"w": np.ones(2, int), "b": params["b"]}, state), TypeError),
    ]:
        with pytest.raises(error):
            save("run", *wrong)
        assert not os.listdir()


def test_an_array_of_another_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_written_whole", lambda *args: pytest.fail("too late"))
    theta = PretendedArray(np.ones(2))
    theta.__class__ = type("Other", (PretendedArray,), {"__module__": "other"})
    with pytest.raises(TypeError, match="expected a NumPy or CuPy array, got Other"):
        save("run", SGD(1.0), theta, SGD(1.0).init(theta))


# ---- The file


def header_of(path: Any) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("checkpoint.json"))


def golden_run() -> tuple[Optimizer, Tree, Any]:
    """What the golden file holds; nothing here may depend on the last bits of a step."""
    method = Guarded(MasterWeights(Nadam(lr=0.5)))
    half = {"enc/w": np.arange(6.0).reshape(2, 3), "": [np.array(-0.0), np.zeros(0)]}
    params = map_leaves(lambda x: x.astype(np.float16), half)
    state = method.init(params)
    state.t, state.scalars = 7, {"mu_product": 0.1, "mu": math.inf, "skipped": 2}
    for i, leaf in enumerate(leaves([state.slots[slot] for slot in method.slots])):
        leaf[...] = i + 0.25
    return method, params, state


def test_a_file_of_version_1_can_be_read_for_ever() -> None:
    method, params, state = golden_run()
    found, there = map_leaves(np.zeros_like, params), method.init(params)
    assert load(GOLDEN, method, found, there) == {"epoch": 3}
    assert same((found, there), (params, state))


def test_version_1_is_written_byte_for_byte() -> None:
    save("run", *golden_run(), extras={"epoch": 3})
    with zipfile.ZipFile("run") as one, zipfile.ZipFile(GOLDEN) as other:
        assert one.namelist() == other.namelist()
        assert all(one.read(name) == other.read(name) for name in one.namelist())
        assert {info.date_time[0] for info in one.infolist()} == {1980}


def test_numpy_opens_it() -> None:
    params = {"a/b": np.arange(6.0).reshape(2, 3), "h": np.ones(2), "e": np.zeros((0, 2))}
    params["half"] = np.array([1.5, 2], ml_dtypes.bfloat16)
    save("run", SGD(1.0), params, SGD(1.0).init(params))
    with np.load("run", allow_pickle=False) as file:
        assert file["params/a%2Fb"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert file["params/half"].view(ml_dtypes.bfloat16).tolist() == [1.5, 2]
        assert file["params/e"].shape == (0, 2)
        assert json.loads(file["checkpoint.json"])["t"] == 0


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3, 4), (10**5, 0, 7), (1,) * 30])
def test_the_first_bytes_of_an_array_are_numpys(shape: tuple[int, ...]) -> None:
    import io

    ours = checkpoints._npy(np.zeros(shape, np.float32))
    assert len(ours) % 64 == 0
    found = np.load(io.BytesIO(ours + b"\0" * np.zeros(shape, "<f4").nbytes))
    assert found.shape == shape and found.dtype == np.float32


def test_what_the_header_says_of_arrays() -> None:
    params = {"w": np.zeros((3, 2)), "h": np.zeros((), np.float32)}
    save("run", SGD(1.0), params, SGD(1.0).init(params))
    assert header_of("run")["arrays"] == [
        ["params/w", "float64", [3, 2]],
        ["params/h", "float32", []],
    ]


def test_arrays_beyond_what_a_small_zip_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)  # for 2 GiB
    method, params, state = trained()
    save("run", method, params, state)
    _, again, there = trained(seed=1)
    load("run", method, again, there)
    assert same((again, there), (params, state))


def test_json_stays_valid() -> None:
    method, params, state = trained()
    state.scalars["x"] = math.nan
    save("run", method, params, state, {"loss": math.inf})
    with zipfile.ZipFile("run") as archive:
        text = archive.read("checkpoint.json").decode("ascii")
    json.loads(text, parse_constant=lambda name: pytest.fail(name))


# ---- Paths


def test_a_path_is_taken_as_it_is() -> None:
    run = trained()
    for path in ("plain", Path("run.npz"), "dir.d", "run.npz.bak", "unfinished"):
        save(path, *run)
        load(path, *run)
    assert set(os.listdir()) == {"plain", "run.npz", "dir.d", "run.npz.bak", "unfinished"}


def test_a_name_as_long_as_the_system_allows() -> None:
    run = trained()
    save("x" * 255, *run)
    load("x" * 255, *run)


def test_missing_folders_and_files() -> None:
    run = trained()
    with pytest.raises(FileNotFoundError, match=r"no/such/run\.npz: its folder does not exist"):
        save("no/such/run.npz", *run)
    with pytest.raises(FileNotFoundError):
        load("run.npz", *run)


def test_what_is_no_file_is_not_replaced() -> None:
    os.mkdir("folder")
    os.mkfifo("pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(OSError, match=f"{name}: expected the name of a file"):
            save(name, *trained())
    assert sorted(os.listdir()) == ["folder", "pipe"]


def test_a_link_stays_a_link() -> None:
    run = trained()
    os.mkdir("real")
    for target in ("real/run.npz", "real/dangling.npz"):
        Path("link").unlink(missing_ok=True)
        os.symlink(target, "link")
        if "dangling" not in target:
            Path(target).write_bytes(b"old")
        save("link", *run)
        assert os.readlink("link") == target and not Path(target).is_symlink()
        load(target, *run)
    assert sorted(os.listdir()) == ["link", "real"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions(umask: int) -> None:
    run, before = trained(), os.umask(umask)
    try:
        save("run", *run)
        assert stat.S_IMODE(os.stat("run").st_mode) == 0o666 & ~umask
        os.chmod("run", 0o640)
        save("run", *run)
        assert stat.S_IMODE(os.stat("run").st_mode) == 0o640
    finally:
        os.umask(before)


# ---- Saves that fail, or are killed


class Full:
    """A file on a disk that is full after so many bytes."""

    def __init__(self, file: Any, room: int, error: BaseException) -> None:
        self.file, self.room, self.error = file, room, error

    def write(self, data: Any) -> int:
        self.room -= memoryview(data).nbytes
        if self.room < 0:
            raise self.error
        return self.file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *error: Any) -> None:
        self.file.close()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("room", [0, 10, 500, 1000, 2000])
def test_a_full_disk_leaves_the_old_file(
    room: int, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("run", *trained(seed=1))
    before = Path("run").read_bytes()
    assert len(before) > 2000

    def opened(path: Any, mode: str) -> Any:
        return Full(open(path, mode), room, error)

    monkeypatch.setattr(checkpoints, "open", opened, raising=False)
    with pytest.raises(type(error)) as caught:
        save("run", *trained())
    assert Path("run").read_bytes() == before and os.listdir() == ["run"]
    assert any("what it held before is still there" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_call_that_fails_leaves_the_old_file(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    save("run", *trained(seed=1))
    before = Path("run").read_bytes()

    def fails(*args: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(checkpoints.os, call, fails)
    with pytest.raises(OSError, match="Input/output"):
        save("run", *trained())
    assert Path("run").read_bytes() == before and os.listdir() == ["run"]


def test_a_real_limit_on_the_size_of_files() -> None:
    program = """if True:
        import resource, signal, numpy as np
        from adam_tutorial import SGD, save
        theta = np.ones(10**5)
        save("run", SGD(1.0), theta, SGD(1.0).init(theta))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, resource.RLIM_INFINITY))
        try:
            save("run", SGD(1.0), 2 * theta, SGD(1.0).init(theta))
        except OSError as error:
            print(error.errno)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == f"{errno.EFBIG}\n", done.stderr
    found = np.zeros(10**5)
    load("run", SGD(1.0), found, SGD(1.0).init(found))
    assert np.all(found == 1) and os.listdir() == ["run"]


def test_the_bytes_are_on_the_disk_before_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("folder" if folder else f"{os.fstat(descriptor).st_size} bytes")

    rename = os.replace
    monkeypatch.setattr(checkpoints.os, "fsync", fsync)
    monkeypatch.setattr(
        checkpoints.os, "replace", lambda *names: done.append("rename") or rename(*names)
    )
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    save("run", *trained())
    assert done == [f"{os.path.getsize('run')} bytes", "rename", "folder"]
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_folder_that_cannot_be_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems refuse it; the file is there, and whole."""
    fsync = os.fsync

    def refuses(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(checkpoints.os, "fsync", refuses)
    run = trained()
    save("run", *run)
    load("run", *run)
    assert os.listdir() == ["run"]


def test_a_system_without_permissions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all files have one mode, and a change of it is refused, nothing is changed."""
    monkeypatch.setattr(checkpoints.shutil, "copymode", lambda *paths: pytest.fail("asked"))
    for _ in range(2):
        save("run", *trained())


def test_an_unfinished_file_is_recognisable(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[Path] = []
    rename = os.replace
    monkeypatch.setattr(
        checkpoints.os, "replace", lambda one, other: names.append(Path(one)) or rename(one, other)
    )
    os.mkdir("runs")
    for _ in range(2):
        save("runs/run.npz", *trained())
    assert names[0] != names[1] and {name.parent.name for name in names} == {"runs"}
    assert all(name.name.startswith("unfinished-checkpoint-") for name in names)


# ---- Files that others wrote


def rewritten(
    change: Callable[[dict[str, Any]], Any] = lambda header: None, **options: Any
) -> None:
    """The file "run" again as "bad": with a changed header, or other members."""
    with zipfile.ZipFile("run") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    header = json.loads(members["checkpoint.json"])
    text = change(header)
    members["checkpoint.json"] = text if isinstance(text, bytes) else json.dumps(header).encode()
    members |= options.get("members", {})
    for name in options.get("without", ()):
        del members[name]
    with zipfile.ZipFile("bad", "w", options.get("compression", zipfile.ZIP_STORED)) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def put(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda header: header.update({key: value})


def pickled() -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, np.array([print]), allow_pickle=True)
    return file.getvalue()


def an_npz(array: Any) -> None:
    np.savez("other.npz", w=array)
    os.rename("other.npz", "bad")


def nested(depth: int) -> bytes:
    return b'{"format": ' + b"[" * depth + b"]" * depth + b"}"


HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    "the future": (partial(rewritten, put("version", 2)), "Upgrade adam_tutorial"),
    "another version": (partial(rewritten, put("version", None)), "version None of the format"),
    "another format": (partial(rewritten, put("format", "x")), "not that of a checkpoint"),
    "no object": (partial(rewritten, lambda h: b"[1]"), "not that of a checkpoint"),
    "a negative step": (partial(rewritten, put("t", -1)), "no step"),
    "half a step": (partial(rewritten, put("t", 1.0)), "no step"),
    "a true step": (partial(rewritten, put("t", True)), "no step"),
    "no extras": (partial(rewritten, put("extras", [])), "no step or no extras"),
    "scalars, no dict": (partial(rewritten, put("scalars", [1])), "AttributeError"),
    "scalars, no numbers": (partial(rewritten, put("scalars", {"x": "1"})), "scalars that are no"),
    "a true scalar": (partial(rewritten, put("scalars", {"x": True})), "scalars that are no"),
    "no arrays": (partial(rewritten, lambda h: h.pop("arrays")), "KeyError"),
    "no settings": (partial(rewritten, put("settings", [])), "IndexError"),
    "too few settings": (partial(rewritten, put("settings of", [0])), "ValueError"),
    "no method": (partial(rewritten, put("method", None)), "no whole checkpoint"),
    "a shape that is none": (
        partial(rewritten, lambda h: h["arrays"][0].__setitem__(2, 5)),
        "no whole checkpoint",
    ),
    "a huge shape": (
        partial(rewritten, lambda h: h["arrays"][0].__setitem__(2, [10**18])),
        "of shape (1000",
    ),
    "NaN": (partial(rewritten, lambda h: json.dumps({**h, "x": math.nan}).encode()), "NaN is not"),
    "twice": (
        partial(rewritten, lambda h: json.dumps(h).encode()[:-1] + b', "t": 5}'),
        "stands twice",
    ),
    "no JSON": (partial(rewritten, lambda h: b"{"), "JSONDecodeError"),
    "no ASCII": (partial(rewritten, lambda h: "\u00e9".encode()), "UnicodeDecodeError"),
    "deep": (partial(rewritten, lambda h: nested(10**6)), "no whole checkpoint"),
    "a long number": (partial(rewritten, lambda h: b'{"t": ' + b"9" * 5000 + b"}"), "no whole"),
    "wrong bits": (
        partial(rewritten, put("extras", {"x": {"float64": "7ff8"}})),
        "no whole checkpoint",
    ),
    "a header too large": (partial(rewritten, lambda h: b" " * (2**24 + 1)), "does not begin"),
    "no header": (partial(rewritten, without=["checkpoint.json"]), "does not begin"),
    "one member too many": (partial(rewritten, members={"../evil": b"x"}), "header names"),
    "one too few": (partial(rewritten, without=["state.v/b.npy"]), "header names"),
    "a pickle": (partial(rewritten, members={"params/w.npy": pickled()}), "params/w has"),
    "too long": (
        partial(rewritten, members={"params/b.npy": b"x" * 145}),
        "params/b has 145 bytes",
    ),
    "no array": (partial(rewritten, members={"params/b.npy": b"x" * 144}), "begin as it must"),
    "compressed": (partial(rewritten, compression=zipfile.ZIP_DEFLATED), "is compressed"),
    "nothing": (lambda: Path("bad").write_bytes(b""), "BadZipFile"),
    "text": (lambda: Path("bad").write_text("hello" * 100), "BadZipFile"),
    "an empty zip": (lambda: zipfile.ZipFile("bad", "w").close(), "does not begin"),
    "an npz": (partial(an_npz, np.ones(2)), "does not begin"),
    "a pickled npz": (partial(an_npz, np.array([print])), "does not begin"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained()
    save("run", *run)
    make, said = HOSTILE[name]
    make()
    message = refused("bad", *trained(seed=1))
    assert said in message and message.startswith("bad: ") and message.endswith(CURE)
    assert capsys.readouterr().out == ""


def test_a_member_twice_is_refused() -> None:
    save("run", *trained())

    def twice(header: dict[str, Any]) -> None:
        header["arrays"].append(header["arrays"][-1])

    rewritten(twice)
    with zipfile.ZipFile("bad", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("state.v/b.npy", b"x" * 144)
    assert "header names" in refused("bad", *trained(seed=1))


def test_two_sizes_of_one_member_are_refused() -> None:
    save("run", *trained())
    data = bytearray(Path("run").read_bytes())
    entry = data.rindex(b"params/w.npy") - 46  # in the directory at the end of the zip
    assert data[entry : entry + 4] == b"PK\x01\x02"
    data[entry + 20] ^= 1  # the size of what is stored
    Path("bad").write_bytes(data)
    assert "params/w.npy is compressed" in refused("bad", *trained(seed=1))


def test_a_file_rewritten_without_change_is_read() -> None:
    run = trained()
    save("run", *run)
    rewritten()
    _, params, state = trained(seed=1)
    load("bad", run[0], params, state)
    assert same((params, state), run[1:])


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    save("run", *trained())
    rewritten(members={"params/w.npy": b"\0" * 10**7}, compression=zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *args: pytest.fail("it was read"))
    assert "is compressed" in refused("bad", *trained(seed=1))


def outcome(data: bytes, run: tuple[Any, ...], before: tuple[Any, ...]) -> str:
    """What becomes of a file with these bytes; fails if anything but the file's own bits was read."""
    Path("bad").write_bytes(data)
    method, params, state = before[0], *copy_of(*before[1:])
    try:
        load("bad", method, params, state)
    except CheckpointError as error:
        assert str(error).endswith(CURE)
        assert same((params, state), before[1:])
        return "refused"
    assert same((params, state), run[1:])
    return "read"


def fuzzed(changes: Any) -> set[str]:
    run, before = trained(), trained(seed=1)
    save("run", *run)
    data = Path("run").read_bytes()
    return {outcome(change(data), run, before) for change in changes(len(data))}


def test_every_byte_changed() -> None:
    rng = np.random.default_rng(0)

    def changes(n: int) -> Any:
        for i in range(n):
            mask = int(rng.integers(1, 256))
            yield lambda data, i=i, m=mask: data[:i] + bytes([data[i] ^ m]) + data[i + 1 :]

    assert fuzzed(changes) == {"refused", "read"}  # some bytes mean nothing, as dates do


def test_every_length() -> None:
    assert fuzzed(lambda n: [lambda data, i=i: data[:i] for i in range(0, n, 5)]) == {"refused"}


def test_blocks_lost_doubled_and_overwritten() -> None:
    rng = np.random.default_rng(1)

    def changes(n: int) -> Any:
        for _ in range(400):
            i, j, k = sorted(rng.integers(0, n, 3).tolist())
            noise = rng.bytes(j - i)
            yield lambda data, i=i, j=j: data[:i] + data[j + 1 :]
            yield lambda data, i=i, j=j, k=k: data[:j] + data[i:k] + data[j:]
            yield lambda data, i=i, j=j, noise=noise: data[:i] + noise + data[j:]
            yield lambda data, i=i, j=j: data[:i] + bytes(j - i + 1) + data[j + 1 :]

    assert "refused" in fuzzed(changes)


# ---- On another device, pretended


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = stand_in()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16])
def test_from_one_device_to_the_other_and_back(dtype: Any, cupy: Any) -> None:
    method, params = Adam(), random_like(MODEL, 0, np.dtype(dtype))
    state = method.init(params)
    run(method, params, state, 1, 2)
    save("run", method, params, state)

    def there_of(tree: Tree) -> Tree:
        return map_leaves(lambda x: PretendedArray(np.zeros_like(x)), tree)

    there = there_of(params)
    there_state = replace_slots(method.init(params), there_of)
    held = leaves(there)[0]
    load("run", method, there, there_state)
    assert leaves(there)[0] is held and isinstance(held, PretendedArray)
    save("back", method, there, there_state)
    assert Path("back").read_bytes() == Path("run").read_bytes()


def replace_slots(state: Any, function: Callable[[Tree], Tree]) -> Any:
    state.slots = {name: function(tree) for name, tree in state.slots.items()}
    return state


def test_each_copy_is_made_on_the_device_of_its_array(cupy: Any) -> None:
    inside: list[str] = []

    class Device:
        def __enter__(self) -> None:
            inside.append("here")

        def __exit__(self, *error: Any) -> None:
            inside.pop()

    def asarray(values: Any, dtype: Any = None) -> Any:
        assert inside == ["here"]
        return PretendedArray(np.array(values, dtype))

    theta, target = np.arange(3.0), PretendedArray(np.zeros(3))
    save("run", SGD(1.0), theta, SGD(1.0).init(theta))
    target.device, cupy.asarray = Device(), asarray
    write = target.hidden
    load("run", SGD(1.0), target, SGD(1.0).init(target))
    assert write.tolist() == [0, 1, 2] and inside == []


# ---- Kill -9 (the slow ones)

KILLER = """
import itertools, os, random, signal, sys, time
import numpy as np
from adam_tutorial import Adam, load, save

adam, params, chance = Adam(), np.zeros(2**15, np.float32), random.Random(1)
state, count, savers = adam.init(params), int(sys.argv[1]), int(sys.argv[2])

def write_for_ever(start):
    for k in itertools.count(start):
        params[:], state.m[:], state.v[:], state.t, state.scalars["x"] = k, k, k, k, float(k)
        save("run.npz", adam, params, state, {"k": k})

save("run.npz", adam, params, state, {"k": 0})
for i in range(count):
    children = []
    for j in range(savers):
        child = os.fork()
        if child == 0:
            write_for_ever(1000 * i + 100000 * j)
        children.append(child)
    time.sleep(chance.uniform(0.0, 0.025))
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    extras = load("run.npz", adam, params, state)
    found = {*np.unique(params), *np.unique(state.m), *np.unique(state.v), state.t, extras["k"]}
    assert len(found) == 1, found
print("whole")
"""


def killed(kills: int, savers: int) -> list[str]:
    command = [sys.executable, "-c", KILLER, str(kills), str(savers)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "whole\n", done.stderr
    return os.listdir()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_at_any_moment_leaves_a_whole_file() -> None:
    left = killed(kills=300, savers=1)
    unfinished = [name for name in left if name.startswith("unfinished-checkpoint-")]
    assert {*left} == {"run.npz", *unfinished}
    assert len(unfinished) > 20  # so it was killed in the middle of a save, often


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_two_programs_that_save_to_one_name() -> None:
    assert "run.npz" in killed(kills=30, savers=3)


if __name__ == "__main__":  # writes the golden file, once for each version of the format
    GOLDEN.parent.mkdir(exist_ok=True)
    save(GOLDEN, *golden_run(), extras={"epoch": 3})


@pytest.mark.parametrize("extras", [[], [1], 0, 7, "", "e", True, 2.5], ids=repr)
def test_extras_are_a_dict(tmp_path, extras):
    adam, params = Adam(), np.ones(3)
    with pytest.raises(TypeError, match="extras: expected a dict such as"):
        save(tmp_path / "a.npz", adam, params, adam.init(params), extras)
    assert list(tmp_path.iterdir()) == []


def test_the_method_comes_second(tmp_path):
    adam, params = Adam(), np.ones(3)
    with pytest.raises(
        TypeError, match=r"method: expected an optimizer, got PosixPath.*\(path, method"
    ):
        save(adam, tmp_path / "a.npz", params, adam.init(params))


def test_all_bytes_are_with_the_system_before_it_is_asked_to_keep_them(tmp_path, monkeypatch):
    kept, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: kept.append(os.fstat(fd)) or fsync(fd))
    adam, params = Adam(), np.ones(3)
    save(tmp_path / "a.npz", adam, params, adam.init(params))
    files = [found.st_size for found in kept if stat.S_ISREG(found.st_mode)]
    assert files == [(tmp_path / "a.npz").stat().st_size]
