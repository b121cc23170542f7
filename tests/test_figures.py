"""A stored figure and a new one are compared by looking, within a tolerance tested here.

The first tests compare pictures; the last run nbval on a small notebook, to see that a wrong
figure, a missing one and a cell that was never run fail there.
"""

import base64
import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
from adam_tutorial.figures import figure  # noqa: E402

# by its path, for other folders have a conftest, too
spec = importlib.util.spec_from_file_location("strict", ROOT / "conftest.py")
strict = importlib.util.module_from_spec(spec)
spec.loader.exec_module(strict)
SHARE, STEP, difference = strict.SHARE, strict.STEP, strict.difference

PICTURE = np.random.default_rng(0).integers(0, 200, (100, 120, 3), dtype=np.uint8)
DRAW = """
import base64
from IPython.display import Image, display
display(Image(base64.b64decode("{}")))
"""
ENVIRONMENT = """
import os
print(os.environ["ADAM_TUTORIAL_BACKEND"], os.environ["MPLBACKEND"])
"""


def png(pixels, level=6):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png", compress_level=level)
    return stream.getvalue()


def changed(rows, columns, by):
    """The picture with a block of pixels changed by so much."""
    pixels = PICTURE.copy()
    pixels[:rows, :columns] += np.uint8(by)
    return png(pixels)


def test_equal_pictures_look_the_same():
    assert difference(png(PICTURE), png(PICTURE)) is None
    assert difference(png(PICTURE, level=0), png(PICTURE, level=9)) is None  # not the same bytes


def test_a_little_noise_everywhere_is_tolerated():
    assert difference(changed(100, 120, by=STEP), png(PICTURE)) is None


def test_more_than_a_little_noise_everywhere_is_not():
    assert "100.00%" in difference(changed(100, 120, by=STEP + 1), png(PICTURE))


def test_few_pixels_may_differ_and_one_more_may_not():
    few = int(SHARE * PICTURE.shape[0] * PICTURE.shape[1])
    assert difference(changed(1, few, by=50), png(PICTURE)) is None
    assert difference(changed(1, few + 1, by=50), png(PICTURE)) is not None


def test_one_channel_is_enough_to_differ():
    pixels = PICTURE.copy()
    pixels[:10, :10, 2] += np.uint8(50)
    assert difference(png(pixels), png(PICTURE)) is not None


def test_a_flipped_block_differs():
    pixels = PICTURE.copy()
    pixels[20:40, 20:40] = pixels[20:40, 20:40][::-1]
    assert "pixels differ" in difference(png(pixels), png(PICTURE))


def test_another_size_differs():
    assert "measures (119, 100)" in difference(png(PICTURE[:, 1:]), png(PICTURE))


def test_transparency_counts():
    opaque = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    clear = opaque.copy()
    clear[:10, :10, 3] = 0
    assert difference(png(opaque), png(PICTURE)) is None
    assert difference(png(clear), png(opaque)) is not None


# ---- In nbval


def stored(*pictures):
    """The outputs that a notebook keeps of these figures."""
    text = "<IPython.core.display.Image object>"
    return [
        new_output(
            "display_data", {"image/png": base64.b64encode(picture).decode(), "text/plain": text}
        )
        for picture in pictures
    ]


def draws(picture, outputs):
    source = DRAW.format(base64.b64encode(picture).decode())
    return new_code_cell(source, execution_count=1, outputs=outputs)


def prints(source, line):
    output = new_output("stream", name="stdout", text=line)
    return new_code_cell(source, execution_count=1, outputs=[output])


ONE = stored(png(PICTURE))
CASES = {
    "the same figure": (draws(png(PICTURE), ONE), None),
    "a little noise": (draws(changed(1, 20, by=50), ONE), None),
    "another block": (draws(changed(20, 20, by=50), ONE), "Figure 1 of the cell: 3.33% of its"),
    "another size": (draws(png(PICTURE[1:]), ONE), "it measures (120, 99) pixels"),
    "one too many": (draws(png(PICTURE), []), "Unexpected output fields"),
    "one too few": (draws(png(PICTURE), ONE * 2), "dissimilar number of outputs"),
    "none at all": (new_code_cell("pass", execution_count=1, outputs=ONE), "Missing output fields"),
    "never run": (new_code_cell("pass"), "the stored cell was never run"),
    "another line": (prints("print(1)", "2\n"), "mismatch 'stdout'"),
    "quiet": (new_code_cell('"""text""";  # why', execution_count=1), None),
    "not quiet": (new_code_cell('"""text"""', execution_count=1), "Unexpected output fields"),
    "the environment": (
        prints(ENVIRONMENT, "numpy module://matplotlib_inline.backend_inline\n"),
        None,
    ),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What nbval says of each case: nothing, or why it fails."""
    folder = tmp_path_factory.mktemp("nbval")
    cells = [cell for cell, _ in CASES.values()]
    nbformat.write(new_notebook(cells=cells), folder / "cases.ipynb")
    (folder / "conftest.py").write_bytes((ROOT / "conftest.py").read_bytes())
    nbval = ["--nbval", "--nbval-current-env", "-W", "error", "--junitxml=report.xml", "--color=no"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *nbval, "cases.ipynb"],
        cwd=folder,
        env={**os.environ, "ADAM_TUTORIAL_BACKEND": "cupy", "MPLBACKEND": "agg"},
        stdout=subprocess.DEVNULL,
    )
    found = ElementTree.parse(folder / "report.xml").iter("testcase")
    return ["".join(case.itertext()) for case in found]


@pytest.mark.parametrize("case", CASES)
def test_nbval(verdicts, case):
    said, expected = verdicts[list(CASES).index(case)], CASES[case][1]
    assert expected in said if expected else not said


def test_a_figure_without_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="figure\\(\\) needs Matplotlib: pip install"):
        figure("a claim", "x", "y")
