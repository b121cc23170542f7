"""Chapters run where CuPy is the default, as in Colab with a GPU; a strict stand-in shows it."""

import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from pretend_gpu import NAME, Array

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))


def makes_arrays(path):
    """Whether a chapter makes arrays that follow the default backend."""
    cells = nbformat.read(path, as_version=4).cells
    makers = ("digits(", "three_splits(", "asarray(")
    return any(maker in cell.source for cell in cells for maker in makers)


@pytest.mark.parametrize("path", [*filter(makes_arrays, CHAPTERS)], ids=lambda path: path.stem)
def test_a_chapter_runs_where_cupy_is_the_default(path):
    command = [sys.executable, "-W", "ignore", ROOT / "tests/pretend_gpu.py", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == f"{NAME} ran it\n", done.stderr


def test_the_stand_in_is_strict():
    array = Array(np.ones(3))
    for mixed in (
        lambda: array + np.ones(3),
        lambda: np.add(np.ones(3), array),
        lambda: np.asarray(array),
    ):
        with pytest.raises(TypeError, match="Unsupported type|not allowed"):
            mixed()
    with pytest.raises(TypeError, match="Unsupported type"):
        array[0] = np.ones(())
    assert float((np.sqrt(array * 4) @ array).sum()) == 6.0
