"""Executors: who steps a leaf, that all give the bits of `update`, and that nobody is in the way."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CASES, SEQUENCES, Case, differing, gradients, known, random_like, start
from machines import same

from adam_tutorial import SGD, SLICE, Adam, Ball, Optimizer, Projected, executors, program_of
from adam_tutorial.executors import (
    AsWritten,
    CpuLeaf,
    explain,
    float_step,
    get_threads,
    set_threads,
)

ROOT = Path(__file__).resolve().parents[1]
needs_numba = pytest.mark.skipif(
    bool(executors.numba_missing()), reason=executors.numba_missing() or "-"
)
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


MANY = 2**15 + 2**14  # elements from which several threads work, in these tests


@pytest.fixture(autouse=True)
def threads_as_before(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(executors, "PARALLEL", MANY)
    before = list(executors._chosen)
    yield
    executors._chosen[:] = before


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "numba_missing", lambda: "no Numba (ImportError)")


def run(method: Optimizer, name: str, size: int, dtype: Any, steps: int = 3) -> list[Any]:
    """Parameters and slots after some updates or steps."""
    params = {"a": random_like(np.zeros(size), 0, dtype), "b": random_like(np.zeros(()), 1, dtype)}
    state = method.init(params)
    for seed in range(steps):
        g = random_like(params, seed, dtype)
        if name == "step":
            method.step(params, g, state)
        else:
            params, state = method.update(params, g, state)
    return [params, state.slots]


SIZES = [0, 1, executors.COMPILE_SIZE, SLICE + 1, MANY + 77]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("size", SIZES)
@each_dtype
@each_case
def test_a_step_is_an_update_with_any_number_of_threads(
    case: Case, dtype: Any, size: int, threads: int
) -> None:
    set_threads(threads)
    assert (
        differing(run(case.make(), "step", size, dtype), run(case.make(), "update", size, dtype))
        == []
    )


@pytest.mark.usefixtures("without_numba")
@pytest.mark.parametrize("size", SIZES)
@each_dtype
@each_case
def test_a_step_is_an_update_without_numba(case: Case, dtype: Any, size: int) -> None:
    assert (
        differing(run(case.make(), "step", size, dtype), run(case.make(), "update", size, dtype))
        == []
    )


@needs_numba
def test_a_large_leaf_is_compiled_at_once_and_a_small_one_later(monkeypatch: Any) -> None:
    monkeypatch.setattr(executors, "COMPILE_AFTER", 3)
    params = {
        "large": np.zeros(executors.COMPILE_SIZE, np.float32),
        "small": np.zeros(9, np.float32),
    }
    adam = Adam()
    state, twin = adam.init(params), {name: leaf.copy() for name, leaf in params.items()}
    twin_state = adam.init(twin)
    seen = []
    for seed in range(5):
        g = random_like(params, seed, np.float32)
        twin, twin_state = adam.update(twin, g, twin_state)
        adam.step(params, g, state)
        seen.append(explain(adam, params, state).splitlines())
    assert {lines[0] for lines in seen} == {"params/large: Numba, float32, 1 thread"}
    assert [lines[1].split(": ")[1] for lines in seen] == [
        "NumPy, slices of 32768 elements, compiled after 2 more steps",
        "NumPy, slices of 32768 elements, compiled after 1 more step",
        "Numba, float32, 1 thread",
        "Numba, float32, 1 thread",
        "Numba, float32, 1 thread",
    ]
    assert differing([params, state.slots], [twin, twin_state.slots]) == []


@needs_numba
def test_compilation_is_paid_once_for_a_dtype() -> None:
    """Not for a learning rate, nor for an instance, nor for a size."""
    program = program_of(Adam)
    loops = {id(executors.compiled(program_of(Adam(lr=lr)), "float32")) for lr in (0.1, 0.2)}
    assert len(loops) == 1
    compiled = executors.compiled(program, "float32").__closure__
    step = next(c.cell_contents for c in compiled or () if hasattr(c.cell_contents, "signatures"))
    for size in (5000, 6000, 200_000):
        for lr in (1, 1e-3, 0):
            run(Adam(lr=lr), "step", size, np.float32)
    assert len(step.signatures) == 1


@dataclass(frozen=True)
class Quotient(Optimizer):
    """Divides by a constant that may be larger than 1, where a product would not be exact."""

    lr: float = 0.1

    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float, t: int) -> tuple[Any]:
        return (theta - g / (lr * t),)


@needs_numba
@pytest.mark.parametrize("lr", [0.3, 1.0, 3.0, 98.0, 0.0, 1e-45])
def test_a_division_by_a_constant_keeps_its_bits(lr: float) -> None:
    """Also where quotients are subnormal, and there are ties between two of them."""
    bits = np.arange(2**22, dtype=np.uint32)
    g = np.concatenate([bits, bits + (90 << 23), bits + (253 << 23)]).view(np.float32)
    method, theta = Quotient(lr), np.zeros_like(g)
    with np.errstate(all="ignore"):
        new, _ = method.update(theta, g, method.init(theta))
    method.step(theta, g, method.init(theta))
    assert same([theta], [new])
    assert explain(method, theta, method.init(theta)).startswith("params: Numba, float32")


# --- what has no compiled loop


@dataclass(frozen=True)
class Exponent(Optimizer):
    """A rule that is no program."""

    lr: float = 0.1

    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float) -> tuple[Any]:
        return (theta - lr * np.exp(-g * g) * g,)


class Whole(SGD):
    elementwise = False


class Own(SGD):
    def step_leaf(self, theta: Any, g: Any, held: Any, values: dict[str, float]) -> None:
        theta -= values["lr"] * g


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (Exponent(), "Exponent.rule uses np.exp, for which there is no dialect."),
        (Whole(lr=0.1), "it needs whole leaves"),
        (Own(lr=0.1), "Own steps its leaves itself"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_rule_that_is_no_program_runs_as_it_is_written(method: Any, reason: str) -> None:
    found = explain(method, np.zeros(3), method.init(np.zeros(3)))
    assert found.startswith(f"params: the rule as it is written, on whole arrays: {reason}")
    for size in (3, SLICE + 1):
        pairs = [run(method, name, size, np.float32) for name in ("step", "update")]
        assert differing(*pairs) == []


@dataclass(frozen=True)
class Normalised(Optimizer):
    """Not elementwise, though nobody says so: on slices it would compute something else."""

    lr: float = 0.1

    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float) -> tuple[Any]:
        return (theta - np.float64(lr) * g / np.sqrt(np.sum(g * g)),)


@dataclass(frozen=True)
class OneArray(SGD):
    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float) -> Any:
        return theta - lr * g


@dataclass(frozen=True)
class Narrow(SGD):
    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float) -> Any:
        return (np.mean(theta) - lr,)


@dataclass(frozen=True)
class Unknown(SGD):
    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float, speed: float) -> Any:
        return (theta - speed * g,)


class NoDataclass(Optimizer):
    lr: float = 0.1

    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float) -> Any:
        return (theta - lr * g,)


def test_a_rule_with_a_reduction_gives_the_numbers_of_update() -> None:
    for size in (7, SLICE + 1, MANY + 5):
        pairs = [run(Normalised(), name, size, np.float64) for name in ("step", "update")]
        assert differing(*pairs) == []


@pytest.mark.parametrize("name", ["step", "update"])
@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            OneArray(0.1),
            r"OneArray.rule must return a tuple of \(theta\), arrays of shape \(3,\); it re",
        ),
        (Narrow(0.1), r"Narrow.rule must return a tuple of .* it returned \[\(\)\]"),
        (
            Unknown(0.1),
            "Unknown.rule asks for 'speed', which is no field of its class, no number of",
        ),
        (NoDataclass(), "NoDataclass.rule asks for 'lr', which is no field .*@dataclass"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_rule_that_is_wrong_is_named(method: Any, message: str, name: str) -> None:
    theta = np.zeros(3)
    with pytest.raises(TypeError, match=message):
        getattr(method, name)(theta, np.ones(3), method.init(theta))
    assert theta.tolist() == [0, 0, 0]


def test_explain_refuses_the_state_of_another_method() -> None:
    with pytest.raises(ValueError, match=r"state: expected the slots \['m', 'v'\], got \[\]"):
        explain(Adam(), np.zeros(3), SGD(0.1).init(np.zeros(3)))


def test_a_wrong_number_of_threads_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executors._chosen.clear()
    monkeypatch.setenv("ADAM_TUTORIAL_THREADS", "many")
    params = {"small": np.zeros(3), "large": np.zeros(MANY)}
    adam, grads = Adam(), {"small": np.ones(3), "large": np.ones(MANY)}
    state = adam.init(params)
    with pytest.raises(ValueError, match="ADAM_TUTORIAL_THREADS"):
        adam.step(params, grads, state)
    assert not params["small"].any() and not state.m["small"].any() and state.t == 0


class Refusing(SGD):
    def update_leaf(self, theta: Any, g: Any, held: Any, values: dict[str, float]) -> tuple[Any]:
        raise ZeroDivisionError


def test_a_method_with_its_own_update_is_not_compiled_behind_its_back() -> None:
    method, theta = Refusing(lr=0.1), np.zeros(3)
    with pytest.raises(ZeroDivisionError):
        method.step(theta, np.ones(3), method.init(theta))


@pytest.mark.parametrize("dtype", [">f4", ">f8", np.longdouble])
def test_numbers_that_numba_does_not_know_are_replayed(dtype: Any) -> None:
    theta = np.zeros(executors.COMPILE_SIZE, dtype)
    state, g = Adam().init(theta), np.ones_like(theta)
    new, _ = Adam().update(theta, g, Adam().init(theta))
    Adam().step(theta, g, state)
    assert np.array_equal(theta, new)
    assert "Numba has no" in explain(Adam(), theta, state)


@pytest.mark.usefixtures("without_numba")
def test_explain_says_what_is_missing() -> None:
    theta = np.zeros(executors.COMPILE_SIZE)
    found = explain(Adam(), theta, Adam().init(theta))
    assert found == "params: NumPy, slices of 32768 elements: no Numba (ImportError)"


def test_explain_names_threads_for_large_leaves_only() -> None:
    if executors.numba_missing():
        pytest.skip(executors.numba_missing())
    set_threads(2)
    params = [np.zeros(MANY, np.float32), np.zeros(MANY - 1, np.float32)]
    assert explain(Adam(), params, Adam().init(params)).splitlines() == [
        "params/0: Numba, float32, 2 threads",
        "params/1: Numba, float32, 1 thread",
    ]


# --- gradients of every layout


@pytest.mark.parametrize("size", [60, 120_000])
@pytest.mark.parametrize(
    "layout",
    [
        lambda g: np.asfortranarray(g),
        lambda g: np.repeat(g, 2, axis=1)[:, ::2],
        lambda g: g[::-1][::-1],
        lambda g: np.broadcast_to(g[:1, :1], g.shape),
    ],
    ids=["fortran", "strided", "reversed twice", "broadcast, read-only"],
)
@each_case
def test_a_gradient_of_any_layout(case: Case, layout: Any, size: int) -> None:
    theta = random_like(np.zeros((size // 6, 6)), 0, np.float32)
    method, g = case.make(), layout(random_like(theta, 1, np.float32))
    new, _ = method.update(theta.copy(), g, method.init(theta))
    method.step(theta, g, method.init(theta))
    assert differing(theta, new) == []


def test_a_memory_map_is_stepped_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "theta.bin"
    theta = np.memmap(path, np.float32, "w+", shape=(5000,))
    Adam(lr=1.0).step(theta, np.ones(5000, np.float32), Adam().init(theta))
    theta.flush()
    assert np.all(np.fromfile(path, np.float32) == -1)


# --- threads


@pytest.mark.parametrize("count", [0, -1, 1.5, "two", ""])
def test_a_number_of_threads_that_is_none_is_refused(count: Any) -> None:
    with pytest.raises(ValueError, match="the number of threads must be a whole number, 1 or more"):
        set_threads(count)


def test_the_default_is_the_cores_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADAM_TUTORIAL_THREADS", raising=False)
    executors._chosen.clear()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert get_threads() == cores


def test_the_environment_variable_overrules_it(monkeypatch: pytest.MonkeyPatch) -> None:
    executors._chosen.clear()
    monkeypatch.setenv("ADAM_TUTORIAL_THREADS", "7")
    assert get_threads() == 7
    executors._chosen.clear()
    monkeypatch.setenv("ADAM_TUTORIAL_THREADS", "many")
    with pytest.raises(ValueError, match="ADAM_TUTORIAL_THREADS"):
        get_threads()


def test_two_threads_of_the_user_step_at_once() -> None:
    """Their buffers are their own: neither disturbs the other's numbers."""
    expected = run(Adam(), "update", SLICE + 9, ">f8", steps=20)
    found: list[Any] = []
    users = [
        threading.Thread(
            target=lambda: found.append(run(Adam(), "step", SLICE + 9, ">f8", steps=20))
        )
        for _ in range(4)
    ]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert all(differing(each, expected) == [] for each in found) and len(found) == 4


FORKED = """
import os, sys, numpy as np
from adam_tutorial import Adam
from adam_tutorial.executors import set_threads
set_threads(2)
theta = np.zeros(600_000, np.float32)
state, g = Adam(lr=1.0).init(theta), np.ones_like(theta)
Adam(lr=1.0).step(theta, g, state)
child = os.fork()
Adam(lr=1.0).step(theta, g, Adam(lr=1.0).init(theta))
if child == 0:
    os._exit(0 if np.all(theta == -2) else 1)
sys.exit(os.waitpid(child, 0)[1])
"""


@needs_numba
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_steps_too() -> None:
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], check=True, timeout=120, cwd=ROOT
    )


# --- the folder that keeps compiled loops

COMPILING = """
import numpy as np
from adam_tutorial import Adam
theta = np.zeros(5000, np.float32)
Adam(lr=1.0).step(theta, np.ones_like(theta), Adam().init(theta))
assert np.all(theta == -1)
"""


def compiling(folder: Path) -> None:
    env = {**os.environ, "ADAM_TUTORIAL_CACHE": str(folder)}
    subprocess.run([sys.executable, "-c", COMPILING], check=True, env=env, cwd=ROOT)


@needs_numba
def test_a_compiled_loop_is_kept_and_used_again(tmp_path: Path) -> None:
    compiling(tmp_path / "cache")
    kept = sorted(path.name for path in (tmp_path / "cache").rglob("*.nbc"))
    (source,) = (tmp_path / "cache").glob("*.py")
    before = source.stat().st_mtime_ns
    compiling(tmp_path / "cache")
    assert sorted(path.name for path in (tmp_path / "cache").rglob("*.nbc")) == kept != []
    assert source.stat().st_mtime_ns == before


@needs_numba
def test_a_file_that_was_changed_is_not_believed(tmp_path: Path) -> None:
    compiling(tmp_path)
    (source,) = tmp_path.glob("*.py")
    source.write_text("raise SystemExit(1)\n")
    compiling(tmp_path)
    assert "def step(" in source.read_text()


@needs_numba
def test_a_folder_that_cannot_be_made_costs_only_the_keeping(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    compiling(tmp_path / "file" / "cache")


@needs_numba
def test_numba_that_is_switched_off_is_not_used() -> None:
    program = (
        COMPILING + "from adam_tutorial.executors import numba_missing; print(numba_missing())"
    )
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, env=env, cwd=ROOT, capture_output=True
    )
    assert done.stdout == b"Numba is switched off\n"


def test_who_steps_what() -> None:
    theta = np.zeros(3)
    plan = executors.Plan(Adam(), [[theta, np.zeros(3), np.zeros(3)]])
    assert type(plan.leaves[0]) is CpuLeaf
    plan = executors.Plan(Exponent(), [[theta]])
    assert type(plan.leaves[0]) is AsWritten


# --- a step in plain floats


@each_case
def test_200_steps_in_floats_have_the_bits_of_the_rule(case: Case) -> None:
    method, step = case.make(), float_step(case.make())
    for sequence in SEQUENCES:
        theta, gs = start(sequence)[:1], gradients(sequence)[:, :1]
        state = method.init(theta)
        values = (float(theta[0]), *(float(state.slots[name][0]) for name in method.slots))
        for g in gs:
            numbers = known(method, theta, g, state)
            values = step((values[0], float(g[0]), *values[1:]), numbers)
            theta, state = method.update(theta, g, state)
            arrays = [theta, *(state.slots[name] for name in method.slots)]
            assert same([np.array([value]) for value in values], arrays)


@dataclass(frozen=True)
class Careless(Optimizer):
    """Divides, takes roots and asks, without care."""

    lr: float = 1.0
    slots = ("v",)

    @staticmethod
    def rule(theta: Any, g: Any, v: Any, *, lr: float) -> Any:
        return theta - lr * g / v, np.sqrt(g)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 4.0, 2.0), (-1.0, 2.0)),
        ((1.0, 1.0, 0.0), (-np.inf, 1.0)),
        ((1.0, 1.0, -0.0), (np.inf, 1.0)),
        ((1.0, 0.0, 0.0), (np.nan, 0.0)),
        ((1.0, -4.0, 2.0), (3.0, np.nan)),
        ((1.0, np.nan, 2.0), (np.nan, np.nan)),
        ((np.nan, np.inf, 2.0), (np.nan, np.inf)),
        ((1e308, -1e308, 0.5), (np.inf, np.nan)),
    ],
)
def test_where_python_raises_floats_get_numpys_numbers(values: Any, expected: Any) -> None:
    step = float_step(Careless())
    with np.errstate(all="raise"):  # none of them is a warning
        found = step(values, {"lr": 1.0})
    assert all(type(value) is float for value in found)
    assert same([np.array(found)], [np.array(expected)])


def test_a_step_in_floats_needs_a_program_and_its_numbers() -> None:
    assert float_step(Projected(Adam(), Ball(1.0))) is None
    assert float_step(Exponent()) is None
    with pytest.raises(TypeError, match="lr"):
        float_step(SGD(1.0))((1.0, 1.0), {})
