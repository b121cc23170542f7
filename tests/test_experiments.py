"""The experiments' records, and the chapters that show them."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORDS = sorted((ROOT / "experiments/results").glob("*.json"))
CELLS = [
    cell.source
    for path in sorted((ROOT / "chapters").glob("*.ipynb"))
    for cell in nbformat.read(path, as_version=4).cells
    if cell.cell_type == "code"
]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_chapter_shows_what_was_recorded(path):
    address = f"# experiments/results/{path.name}"
    shown = [source for source in CELLS if address in source]
    assert len(shown) == 1, f"{address}: shown by {len(shown)} cells"
    (assigned,) = [n for n in ast.parse(shown[0]).body if isinstance(n, ast.Assign)]
    record = json.loads(path.read_text("utf-8"))
    assert ast.literal_eval(assigned.value) == record["results"], (
        f"{path.stem}: put what `experiments/{path.stem}.py --literal` prints into the chapter"
    )


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_says_how_it_was_made(path):
    record = json.loads(path.read_text("utf-8"))
    assert (ROOT / "experiments" / f"{path.stem}.py").is_file()
    assert {"date", "seconds", "device", "python", "versions"} <= set(record["setting"])
    assert record["setting"]["versions"]["numpy"]
    assert record["config"]["seeds"]


def test_a_literal_is_the_value_whatever_its_names_hold(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    import records

    found = {"a b": {"one name " * 3: list(range(60)), "c": None}, "d": [0.5, "two words " * 9]}
    text = records.written(found)
    assert ast.literal_eval(text) == found and max(map(len, text.splitlines())) < 140


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_program_prints_its_cell_and_names_its_published_scale(path):
    program = [sys.executable, ROOT / "experiments" / f"{path.stem}.py"]
    printed = subprocess.run([*program, "--literal"], capture_output=True, text=True)
    (assigned,) = [n for n in ast.parse(printed.stdout).body if isinstance(n, ast.Assign)]
    record = json.loads(path.read_text("utf-8"))
    assert ast.literal_eval(assigned.value) == record["results"]
    told = subprocess.run([*program, "--scale", "published"], capture_output=True, text=True)
    assert told.returncode == 2
    (name,) = re.findall(r"published/run\.py (\w+) --folder DATA", told.stderr)
    listed = ROOT / "experiments/published/settings.py"
    assert f"def {name}(" in listed.read_text("utf-8")
