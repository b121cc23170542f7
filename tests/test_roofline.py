"""The roofline: bytes that follow from the program, times that are taken, and the record in the book."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from adam_tutorial import SGD, Adam, MasterWeights
from adam_tutorial.roofline import bytes_per_parameter, measured

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("method", "dtype", "gradient", "bytes"),
    [
        (Adam, "float32", "", 28),
        (Adam(), "float64", "", 56),
        (Adam, "float16", "", 22),
        (Adam, "bfloat16", "float32", 24),
        (SGD, "float32", "", 12),
        (SGD(lr=0.1), "float16", "", 6),
        (MasterWeights(Adam()), "float16", "float16", 28),
    ],
)
def test_the_bytes_of_a_step(method, dtype, gradient, bytes):
    assert bytes_per_parameter(method, dtype, gradient) == bytes


def test_a_step_and_a_copy_are_timed():
    step, copy = measured(Adam(), 10_000, rounds=3)
    assert 0 < step < 1 and 0 < copy < 1


def test_measuring_takes_real_steps(monkeypatch):
    taken = []
    monkeypatch.setattr(Adam, "step", lambda self, theta, g, state: taken.append(theta.size))
    measured(Adam(), 77, rounds=1)
    assert set(taken) == {77} and len(taken) > 2


def test_the_record_in_the_chapter_is_the_committed_one():
    """The chapter runs where there is no repository, so it holds the numbers; these are they."""
    pytest.importorskip("nbformat")
    cells = json.loads((ROOT / "chapters/roofline.ipynb").read_text("utf-8"))["cells"]
    source = next("".join(c["source"]) for c in cells if c["id"] == "recorded")
    names: dict = {}
    exec(source.partition("for name")[0], {"np": np}, names)
    stored = json.loads((ROOT / "benchmarks/results/cpu.json").read_text("utf-8"))
    times = stored["step"]["nanoseconds per parameter"]
    assert [float(head) for head in times] == list(names["sizes"])
    for name, row in names["recorded"].items():
        full = name if name in times["1e3"] else f"{name}, 1 thread"
        assert list(row) == [column[full] for column in times.values()], name
    text = " ".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    ratios = next(v for k, v in stored.items() if k.startswith("many_leaves"))["ratios"]
    said = [float(x) for x in re.findall(r"\b[01]\.\d\d\b", text.partition("## Many leaves")[2])][
        :4
    ]
    ours = ("packed, 1", "unpacked, 1", "packed, 2", "unpacked, 2")
    rows = [f"Adam.step {kind} thread" for kind in ours]
    rows = [row + "s" * row.endswith("2 thread") for row in rows]
    found = [ratios[f"{row} / torch fused, {row.partition(', ')[2]}"] for row in rows]
    assert said == [round(ratio, 2) for ratio in found]
