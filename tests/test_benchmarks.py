"""The benchmarks run, count and record as they say. No test here depends on a time."""

import json
import os
import re
import subprocess
import sys
import time
from math import prod
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pretend_gpu import Array, stand_in

from adam_tutorial import executors, kernels

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import common  # noqa: E402
import compile_time  # noqa: E402
import contestants  # noqa: E402
import gpu  # noqa: E402
import many_leaves  # noqa: E402
import play  # noqa: E402
import step  # noqa: E402

needs_numba = pytest.mark.skipif(bool(executors.numba_missing()), reason="needs Numba")
GRADIENT = np.linspace(0.5, 1.5, 64, dtype=np.float32)


@pytest.fixture(autouse=True)
def threads():
    """A contestant sets the number of threads; the next test finds it as it was."""
    before = executors.get_threads()
    yield
    executors.set_threads(before)


def run(program, *options, **environment):
    command = [sys.executable, BENCHMARKS / program, *map(str, options)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )


# ---- Programs, at sizes that take no time


def test_step_runs_and_records(tmp_path):
    path = tmp_path / "cpu.json"
    done = run("step.py", "--sizes", 100, 200, "--rounds", 1, "--record", path)
    assert done.returncode == 0, done.stderr
    part = json.loads(path.read_text())["step"]
    assert list(part["ratios"]) == ["1e2", "2e2"]
    assert part["nanoseconds per parameter"]["1e2"][step.REPLAYED] > 0
    assert f"{step.REPLAYED} / textbook" in part["ratios"]["2e2"]
    assert part["setting"]["versions"]["numpy"] == np.__version__


def test_many_leaves_runs_and_records(tmp_path):
    path = tmp_path / "cpu.json"
    path.write_text('{"step": 1}')
    sizes = ("--width", 2, "--vocabulary", 5, "--context", 3)
    done = run("many_leaves.py", *sizes, "--rounds", 1, "--record", path)
    assert done.returncode == 0, done.stderr
    assert "148 arrays, width 2" in done.stdout
    parts = json.loads(path.read_text())
    assert list(parts) == ["step", "many_leaves, width 2"]  # the other part stays
    assert parts["many_leaves, width 2"]["arrays"] == 148


@needs_numba
def test_compile_time_runs_and_nothing_is_compiled_twice(tmp_path):
    path = tmp_path / "cpu.json"
    done = run("compile_time.py", "--dtypes", "float32", "--runs", 1, "--record", path)
    assert done.returncode == 0, done.stderr
    seconds = json.loads(path.read_text())["compile_time"]["seconds"]
    empty, filled = seconds["float32, empty folder"], seconds["float32, filled folder"]
    assert empty["files written by it"] > 0
    assert filled["files written by it"] == 0
    assert empty["files written later"] == filled["files written later"] == 0


def test_checkpoints_runs_and_records(tmp_path):
    path = tmp_path / "cpu.json"
    options = ("--sizes", 100, "--width", 0, "--rounds", 1, "--folder", tmp_path, "--record", path)
    done = run("checkpoints.py", *options)
    assert done.returncode == 0, done.stderr
    part = json.loads(path.read_text())["checkpoints"]
    assert part["parameters"] == {"1e2": 100}
    assert list(part["ratios"]["1e2"])[0] == "save without the wait / np.savez"
    assert os.listdir(tmp_path) == ["cpu.json"]


def test_play_runs_and_records(tmp_path):
    path = tmp_path / "cpu.json"
    done = run("play.py", "--game", 200, "--rounds", 2, "--record", path)
    assert done.returncode == 0, done.stderr
    part = json.loads(path.read_text())["play"]
    assert part["rounds"] == {
        play.PLAYED: 200, play.BY_HAND: 200, play.STEPPED: 4, play.ON_ARRAYS: 4
    }  # fmt: skip
    assert list(part["ratios"]) == [f"play / {other}" for _, other in play.PAIRS]
    assert "200 rounds" in done.stdout and "us a round" in done.stdout


def test_players_must_end_at_one_point(monkeypatch):
    play.agree(50)
    monkeypatch.setattr(play, "stepped", lambda rounds: 0.25)
    with pytest.raises(SystemExit, match="a loop of adam.step ends at 0.25, and play at"):
        play.agree(50)


# ---- Contestants


@needs_numba
def test_a_small_leaf_is_compiled_before_the_clock_starts():
    assert loop(contestants.ours([GRADIENT], "")) is not loop(contestants.replayed([GRADIENT], ""))


@pytest.mark.parametrize("size", [100, executors.COMPILE_SIZE])
def test_the_contestant_without_numba_is_replayed(size):
    contestant = contestants.replayed([np.ones(size, np.float32)], "")
    for _ in range(executors.COMPILE_AFTER + 2):
        contestant.step()
    assert loop(contestant) in replays(contestant)


def test_many_leaves_are_packed():
    shapes = many_leaves.gpt2_shapes(2, 5, 3)
    packed = contestants.ours(many_leaves.gradients_for(shapes), "", packed=True)
    state = packed.step.args[2]
    assert state._checked.plan.whole is not None and len(packed.gradients) == 148


def loop(contestant):
    return contestant.step.args[2]._checked.plan.leaves[0].loop


def replays(contestant):
    return [executors.replay(contestant.step.args[2]._checked.plan.program)]


def test_contestants_start_at_their_first_step():
    contestant = contestants.ours([GRADIENT], "")
    assert contestant.step.args[2].t == 0 and not contestant.theta().any()
    common.timed(contestant, [GRADIENT])
    assert np.allclose(contestant.theta(), -common.LR, rtol=1e-5)


def test_contestants_must_agree():
    wrong = contestants.textbook([GRADIENT])
    wrong.step = lambda: None
    with pytest.raises(SystemExit, match="textbook computes something else"):
        common.agree([contestants.ours([GRADIENT], "ours"), wrong], [GRADIENT])


# ---- Counts


def test_gpt2_small_has_its_148_arrays():
    shapes = many_leaves.gpt2_shapes()
    assert len(shapes) == 148 and sum(map(prod, shapes)) == 124_439_808
    tenth = many_leaves.gpt2_shapes(many_leaves.TENTH)
    assert len(tenth) == 148 and sum(map(prod, tenth)) == 4_814_579
    stated = many_leaves.__doc__
    assert "124,439,808" in stated and "4,814,579" in stated


def test_bandwidth_counts_every_byte_once():
    """A copy of n numbers moves 8 n bytes, a step 28 n: at 3.5 times the time, equal rates."""
    found = {gpu.COPY: [0.008], gpu.STEP: [0.028]}
    rates = gpu.bandwidth(10**9, found)
    assert rates["GB/s"] == pytest.approx({gpu.COPY: 1000, gpu.STEP: 1000})
    assert rates["of copy"] == pytest.approx({gpu.COPY: 1, gpu.STEP: 1})


# ---- Reports


def test_a_table_has_a_row_for_each_name():
    found = common.table("ns", {"1e3": {"a": 1.0, "bcd": 22.222}, "1e4": {"a": 3}})
    assert found.split("\n") == [
        "ns         1e3        1e4",
        "a         1.00       3.00",
        "bcd      22.22           ",
    ]


def test_ratios_are_taken_in_each_round():
    found = {"one": [1.0, 20.0, 3.0], "other": [2.0, 10.0, 6.0]}
    assert common.ratios(found, [("one", "other"), ("one", "absent")]) == {"one / other": 0.5}


def test_disturbed_contestants_are_named():
    calm, wild = [1.0, 1.1, 1.0, 1.2], [1.0, 9.0, 1.0, 9.0]
    found = {"a, 1 thread": calm, "a, 2 threads": [4 * x for x in calm], "b": wild, "c": [1.0]}
    assert common.disturbed(found) == ["a, 2 threads", "b"]
    assert common.notice({"1e3": found}).endswith("1e3: do not believe a, 2 threads; b")
    assert common.notice({"1e3": {"c": calm}}) == ""


def test_a_size_is_written_as_a_power():
    assert [common.power(size) for size in (100, 20000, 10**7, 12345)] == [
        *("1e2", "2e4", "1e7", "12345")
    ]


def test_every_pair_that_is_compared_exists():
    for program, names in ((step, "Adam.step"), (many_leaves, "Adam.step")):
        assert all(one.startswith(names) for one, _ in program.pairs())
        assert (len(set(program.pairs()))) == len(program.pairs())


def test_a_record_says_nothing_of_the_machine_but_its_kind():
    about = json.dumps(common.setting())
    assert os.sep not in re.sub(r'"cpu": "[^"]*"', "", about)
    assert set(common.setting()) == {
        *("date", "cpu", "cores", "threads", "load", "python", "versions")
    }


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("results/*.json")), ids=lambda p: p.name)
def test_stored_records_can_be_read(path):
    text = path.read_text("utf-8")
    parts = json.loads(text)
    settings = [parts["setting"]] if "setting" in parts else [p["setting"] for p in parts.values()]
    assert all({"date", "cpu", "versions"} <= set(each) for each in settings)
    assert "NaN" not in text and "Infinity" not in text


# ---- The GPU's program, where there is no GPU


def test_without_cupy_the_gpu_program_says_what_to_install(tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError")
    found = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = run("gpu.py", PYTHONPATH=found)
    assert done.returncode == 1 and not done.stdout
    assert re.fullmatch(r"CuPy is not installed here: [^.]*cupy-cuda12x[^.]*\.\n", done.stderr)


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    absent = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "cupy", absent)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    assert gpu.main() == 1
    assert capsys.readouterr().err.startswith("CuPy finds no GPU here: this benchmark needs")


class Leaf:
    """What a kernel does, on what the stand-in's arrays hide."""

    def __init__(self, program, theta, held):
        self.loop, self.arrays = executors.replay(program), [theta, *held]

    def __call__(self, g, constants, known):
        theta, *held = self.arrays
        self.loop([a.hidden.reshape(-1) for a in (theta, g, *held)], constants)


def pretended():
    """The stand-in for CuPy, with the parts of CUDA that are asked for here."""
    cupy = stand_in()
    cupy.__version__ = "14.2.0"
    cupy.zeros = lambda size, dtype=float: Array(np.zeros(size, dtype))
    cupy.get_default_memory_pool = lambda: SimpleNamespace(free_all_blocks=int)
    runtime = cupy.cuda.runtime
    runtime.deviceSynchronize, runtime.getDevice = int, int
    runtime.driverGetVersion, runtime.runtimeGetVersion = (lambda: 13000), (lambda: 12090)
    cupy.cuda.Event = Event
    cupy.cuda.get_elapsed_time = lambda one, other: 1e3 * (other.at - one.at)
    return cupy


class Event:
    def record(self):
        self.at = time.perf_counter()

    def synchronize(self):
        pass


def memory(array):
    """What cupy.ndarray.data can do; it copies bytes, as the real one does."""

    def copy(source, count):
        array.hidden.view(np.uint8)[:count] = source.array.hidden.view(np.uint8)[:count]

    return SimpleNamespace(copy_from_device_async=copy, array=array)


def test_the_gpu_program_runs_on_a_stand_in(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "cupy", pretended())
    monkeypatch.setattr(Array, "data", property(memory), raising=False)
    monkeypatch.setattr(Array, "nbytes", property(lambda self: self.hidden.nbytes), raising=False)
    monkeypatch.setattr(kernels, "GpuLeaf", Leaf)
    monkeypatch.setattr(gpu, "RESULTS", tmp_path)
    monkeypatch.setattr(gpu, "torch_has_gpu", lambda: False)
    monkeypatch.setattr(gpu, "optax_has_gpu", lambda: False)
    monkeypatch.setattr(gpu, "SECONDS", 1e-4)
    monkeypatch.setattr(gpu, "HOST_CALLS", 2)
    options = ["--sizes", "100", "300", "--width", "2", "--vocabulary", "5", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *options, "--runs", "0"])
    assert gpu.main() == 0
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "gpu-a-stand-in-for-a-gpu.json").read_text())
    assert record["setting"]["gpu"] == "a stand-in for a GPU"
    assert record["setting"]["CUDA of the driver"] == "13.0"
    assert record["setting"]["CUDA of CuPy"] == "12.9"
    assert record["setting"]["versions"]["cupy"] == "14.2.0"
    assert set(record["bandwidth at 3e2"]) == {"GB/s", "of copy"}
    assert set(record["microseconds"]["1e2"]) == {gpu.COPY, gpu.STEP}
    assert "written to benchmarks/results/gpu-a-stand-in-for-a-gpu.json" in printed


def test_the_first_step_on_a_stand_in(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cupy", pretended())
    monkeypatch.setattr(kernels, "GpuLeaf", Leaf)
    for name in compile_time.FOLDERS:
        monkeypatch.setenv(name, str(tmp_path))
    row = compile_time.child("cupy", "float32")
    assert list(row) == [
        *("import CuPy", "start of the GPU", "first step", "files written by it"),
        *("second step", "other learning rate, first step", "files written later"),
    ]


def test_what_the_gpu_program_asks_of_cupy_exists():
    pytest.importorskip("cupy", exc_type=ImportError)
    cupy = gpu.cuda()
    for name in ("Event", "get_elapsed_time", "is_available"):
        assert hasattr(cupy.cuda, name)
    for name in ("driverGetVersion", "runtimeGetVersion", "getDevice", "getDeviceProperties"):
        assert hasattr(cupy.cuda.runtime, name)
    assert hasattr(cupy.cuda.runtime, "deviceSynchronize")
    assert hasattr(cupy.cuda.MemoryPointer, "copy_from_device_async")
    assert hasattr(cupy, "get_default_memory_pool")
