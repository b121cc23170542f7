"""Make nbval strict about figures, and about cells that were never run.

nbval executes the chapters and compares what they print with what they store. By default it leaves
out figures, and it passes a cell without an execution count unchecked. Here a figure must look
like the stored one: another machine may move a few edge pixels, but not a curve. And a `;` at the
end of a cell keeps it quiet, as in Jupyter. Without nbval these hooks meet no notebook.
"""

import base64
import io
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

try:
    from nbval.plugin import IPyNbCell, IPyNbFile  # type: ignore[import-untyped]
except ImportError:  # other Pythons run the unit tests only
    IPyNbCell = IPyNbFile = ()

PNG = "image/png"
STEP = 16  # of 255: a channel may change this much before its pixel counts as different
SHARE = 0.002  # of the pixels: as many may differ


def pytest_configure(config: pytest.Config) -> None:
    """The stored outputs are NumPy's, drawn by Jupyter's own figure backend, without progress bars."""
    os.environ["TQDM_DISABLE"] = "1"
    if config.getoption("nbval", False):
        os.environ["ADAM_TUTORIAL_BACKEND"] = "numpy"
        os.environ.pop("MPLBACKEND", None)


def pytest_collectstart(collector: pytest.Collector) -> None:
    if isinstance(collector, IPyNbFile):
        collector.skip_compare = tuple(key for key in collector.skip_compare if key != PNG)


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell):
        item.compare_outputs = partial(compare_strictly, item, item.compare_outputs)


def pytest_runtest_call(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell) and item.cell.execution_count is None:
        item.raise_cell_error(
            "the stored cell was never run, so there is nothing to compare: run `make chapters`, "
            "or delete the cell if it is empty."
        )


def compare_strictly(
    cell: Any, compare: Callable[..., bool], new: list[Any], stored: list[Any]
) -> bool:
    """nbval's comparison, after each new figure that looks like the stored one is taken as equal.

    It still sees a figure too many, one that is missing, and one that looks different.
    """
    if is_quiet(cell.cell.source):
        new = [out for out in new if out["output_type"] != "execute_result"]
    problems: list[str] = []
    pairs = list(zip(figures(new), figures(stored), strict=False))
    for number, (one, other) in enumerate(pairs, 1):
        if problem := difference(decoded(one[PNG]), decoded(other[PNG])):
            problems.append(f"Figure {number} of the cell: {problem}.")
        else:
            one[PNG] = other[PNG]
    equal = compare(new, stored)
    cell.comparison_traceback += problems
    return equal


def is_quiet(source: str) -> bool:
    """IPython finds the `;` in its history, which nbval tells it not to write."""
    from IPython.core.displayhook import DisplayHook

    return bool(DisplayHook.semicolon_at_end_of_expression(source))  # type: ignore[no-untyped-call]


def figures(outputs: list[Any]) -> list[Any]:
    """The mime bundles, in order, that hold a figure."""
    return [out["data"] for out in outputs if PNG in out.get("data", {})]


def decoded(data: str) -> bytes:
    return base64.b64decode(data)


def difference(one: bytes, other: bytes) -> str | None:
    """What tells two PNG images apart, or None if they look the same."""
    import numpy as np
    from PIL import Image

    if one == other:
        return None
    with Image.open(io.BytesIO(one)) as new, Image.open(io.BytesIO(other)) as stored:
        if new.size != stored.size:
            return f"it measures {new.size} pixels, the stored one {stored.size}"
        a, b = (np.asarray(image.convert("RGBA"), dtype=int) for image in (new, stored))
    share = float((abs(a - b) > STEP).any(axis=-1).mean())
    if share > SHARE:
        return f"{share:.2%} of its pixels differ from the stored one's, and {SHARE:.1%} may"
    return None
