"""What the first step costs: importing Numba, and compiling the rule once for each dtype.

Each measurement is a fresh interpreter. The first finds an empty folder of compiled code, the
second the folder that the first has filled. Then a second step and a second learning rate are
timed in the same process, and the files in the folder are counted: they compile nothing.

    make bench        or: python benchmarks/compile_time.py [--dtypes float32] [--runs 3] [--record]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import Array, Progress, arguments, heading, record, setting, table

from adam_tutorial import Adam, executors

SIZE = executors.COMPILE_SIZE  # the smallest leaf that is compiled for at its first step
FOLDERS = ("ADAM_TUTORIAL_CACHE", "CUPY_CACHE_DIR")  # where NumPy's and CuPy's steps are kept
EMPTY, FILLED = "empty folder", "filled folder"
Row = dict[str, float]


# ---- In a fresh interpreter


def clocked(call: Callable[[], object], finish: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    finish()
    return time.perf_counter() - start


def prepared(library: str) -> tuple[Row, Callable[[Array], Array], Callable[[], object]]:
    """Seconds of the imports, how an array is put in place, and how to wait for its device."""
    if library == "cupy":
        seconds = clocked(lambda: __import__("cupy"), lambda: None)
        import cupy

        start = clocked(lambda: cupy.zeros(1), cupy.cuda.runtime.deviceSynchronize)
        return (
            {"import CuPy": seconds, "start of the GPU": start},
            cupy.asarray,
            cupy.cuda.runtime.deviceSynchronize,
        )
    return {"import Numba": clocked(lambda: __import__("numba"), lambda: None)}, np.copy, int


def files() -> int:
    """How many files lie in the folders of compiled code."""
    folders = {Path(os.environ[name]) for name in FOLDERS}
    return sum(path.is_file() for folder in folders for path in folder.rglob("*"))


def child(library: str, dtype: str) -> Row:
    """Seconds of the first step, the second, and the first with another learning rate."""
    row, place, finish = prepared(library)
    theta, g = (place(np.ones(SIZE, dtype)) for _ in range(2))
    for number, lr in (("first", 1e-3), ("other learning rate, first", 2e-3)):
        adam = Adam(lr=lr)
        state = adam.init(theta)
        row[f"{number} step"] = clocked(lambda: adam.step(theta, g, state), finish)  # noqa: B023
        if number == "first":
            row["files written by it"] = files()
            row["second step"] = clocked(lambda: adam.step(theta, g, state), finish)  # noqa: B023
    row["files written later"] = files() - row["files written by it"]
    return row


# ---- Here


def fresh(library: str, dtype: str, folder: str) -> Row:
    command = [sys.executable, __file__, "--child", library, dtype]
    environment = {**os.environ, **dict.fromkeys(FOLDERS, folder)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def one_run(library: str, dtype: str) -> dict[str, Row]:
    """The same program twice: first with an empty folder, then with what it left there."""
    with tempfile.TemporaryDirectory() as folder:
        rows = {EMPTY: fresh(library, dtype, folder)}
        before = rows[EMPTY]["files written by it"]
        rows[FILLED] = fresh(library, dtype, folder)
        rows[FILLED]["files written by it"] -= before
    return rows


def first_calls(
    library: str, dtypes: list[str], runs: int, progress: Callable[[], None]
) -> dict[str, Row]:
    """The medians, by dtype and folder."""
    found: dict[str, list[Row]] = {}
    for _ in range(runs):
        for dtype in dtypes:
            for folder, row in one_run(library, dtype).items():
                found.setdefault(f"{dtype}, {folder}", []).append(row)
            progress()
    return {
        head: {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        for head, rows in found.items()
    }


def shown(found: dict[str, Row]) -> str:
    """The names of the measurements are long, so each is a row and the values are columns."""
    return "\n\n".join(table(head, {"seconds": row}, ".4f") for head, row in found.items())


def main() -> None:
    parser = arguments("Time the first step of Adam in fresh interpreters.")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(*options.child)))
        return
    if reason := executors.numba_missing():
        print(f"Nothing is compiled here: {reason}.")
        return
    about = setting()
    print(heading(about), flush=True)
    progress = Progress(options.runs * len(options.dtypes))
    found = first_calls("numpy", options.dtypes, options.runs, progress)
    print(f"\n{shown(found)}")
    if options.record:
        record(options.record, "compile_time", about, {"seconds": dict(found)})


if __name__ == "__main__":
    main()
