"""The laws of a chapter: what a reader, another machine and the tools may take for granted.

A law is a function from a chapter to sentences, one for each breach. Every law is tried on every
chapter, and on a good small chapter with one thing wrong, so that a law that has lost its teeth
shows here as well.
"""

import ast
import copy
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from markdown_it import MarkdownIt
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import ledger  # noqa: E402
import tangle  # noqa: E402
from notebooks import LINK  # noqa: E402

CHAPTERS = tangle.chapters(ROOT)
MEGABYTE = 2**20
DEMONSTRATION, EXPORTED = 12, 40  # lines
FOLDED = {"hide-input", "hide-cell"}
LAZY = ("optimizer", "executors")  # this import may point forwards, inside a function

# Cells whose output is not compared, as "adam#a-cell": stored measurements, each with its reason.
NOT_COMPARED = {
    "kernels#timed-shown": "the time of a step on the machine that runs it",
    "roofline#measured-here": "the time of a step beside that of a copy, on the same machine",
}


def code_cells(chapter):
    return [cell for cell in chapter.cells if cell.cell_type == "code"]


def tags(cell):
    return set(cell.metadata.get("tags", []))


def bundles(cell):
    """The mime bundles of a cell's outputs; a stream is plain text."""
    for output in cell.outputs:
        yield output.get("data", {"text/plain": output.get("text", "")})


def texts(cell):
    for bundle in bundles(cell):
        for mime, data in bundle.items():
            if not mime.startswith("image/") or mime == "image/svg+xml":
                yield data if isinstance(data, str) else json.dumps(data)


# ---- Laws


def runs_in_order(chapter):
    counts = [cell.execution_count for cell in code_cells(chapter)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"expected the code cells to be numbered 1 to {len(counts)}, but they are {counts}"


def has_no_error(chapter):
    for cell in code_cells(chapter):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"{cell.id} stores an error"
            if output.get("name") == "stderr":
                yield f"{cell.id} stores a message on stderr"


FOREIGN = {
    "a default repr": re.compile(r"\bat 0x[0-9a-fA-F]+>"),
    "an absolute path": re.compile(r"(?<![\w.:/<~])/[\w.-]+/[\w.-]+|\b[A-Za-z]:\\\w|/ipykernel_"),
}


def travels(chapter):
    """What another machine would print otherwise."""
    for cell in code_cells(chapter):
        for text in texts(cell):
            for what, pattern in FOREIGN.items():
                if found := pattern.search(text):
                    yield f"{cell.id} prints {what}: {found[0]}"


def is_small(chapter):
    size = len(nbformat.writes(chapter).encode())
    if size >= MEGABYTE:
        yield f"the notebook has {size} bytes, and {MEGABYTE} are too many"


def describes_figures(chapter):
    for cell in code_cells(chapter):
        if any("image/png" in bundle for bundle in bundles(cell)):
            mystnb = cell.metadata.get("mystnb", {})
            if len(mystnb.get("image", {}).get("alt", "")) < 40:
                yield f"{cell.id} needs mystnb.image.alt, of 40 characters or more"
            if not (mystnb.get("figure", {}).get("caption") or draws_title(cell.source)):
                yield f"{cell.id} needs mystnb.figure.caption, or a title in the figure"


def draws_title(source):
    """Whether a call that gives a figure its title has a text for it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            text = isinstance(node.args[0], ast.JoinedStr) or getattr(node.args[0], "value", "")
            if name in {"figure", "set_title", "suptitle", "title"} and text:
                return True
    return False


def fits_the_screen(chapter):
    for cell in code_cells(chapter):
        short = not tangle.exported(cell) and not tags(cell) & FOLDED
        limit, lines = DEMONSTRATION if short else EXPORTED, len(cell.source.splitlines())
        if lines > limit:
            yield f"{cell.id} has {lines} lines, and at most {limit} are read with ease"


def begins_with_its_title(chapter):
    first = next(cell for cell in chapter.cells if cell.id != LINK)
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell must be Markdown and begin with `# ` and the title"


def ends_with_what_to_remember(chapter):
    sections = [title for level, title in headings(chapter) if level == "h2"]
    if sections[-1:] == ["References"]:
        sections.pop()
    if sections[-1:] != ["What to remember"]:
        yield f"the last section must be `What to remember`, but it is {sections[-1:]}"


def headings(chapter):
    """(level, text) of each heading; a `#` in code is none."""
    for cell in chapter.cells:
        if cell.cell_type == "markdown":
            tokens = MarkdownIt().parse(cell.source)
            for opening, text in zip(tokens, tokens[1:], strict=False):
                if opening.type == "heading_open":
                    yield opening.tag, text.content


def names_its_cells(chapter):
    for cell in code_cells(chapter):
        if not tangle.SLUG.fullmatch(cell.id) or tangle.NOT_A_NAME.fullmatch(cell.id):
            yield f"{cell.id} is no name for a cell: say what it holds, as in `adam-rule`"


def is_compared(chapter):
    for cell in code_cells(chapter):
        if any(tag.startswith("nbval-") for tag in tags(cell) - {"nbval-ignore-output"}):
            yield f"{cell.id} has a tag that keeps nbval from running it or comparing it"
        if re.search(r"^\s*#+\s*(NBVAL|PYTEST_VALIDATE)_", cell.source, re.MULTILINE):
            yield f"{cell.id} has a comment that steers nbval"
        place = f"{chapter.metadata.get('name')}#{cell.id}"
        if "nbval-ignore-output" in tags(cell) and place not in NOT_COMPARED:
            yield f"{place} is not compared, and NOT_COMPARED does not allow it"


LAWS = [
    runs_in_order,
    has_no_error,
    travels,
    is_small,
    describes_figures,
    fits_the_screen,
    begins_with_its_title,
    ends_with_what_to_remember,
    names_its_cells,
    is_compared,
]


def read(path):
    """A chapter as it is stored: nbformat.read would mend what a law should see."""
    chapter = nbformat.v4.reads(path.read_text(encoding="utf-8"))
    chapter.metadata["name"] = path.stem
    return chapter


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_law(law, path):
    assert list(law(read(path))) == []


def test_the_size_of_the_file_itself():
    assert [path.name for path in CHAPTERS if path.stat().st_size >= MEGABYTE] == []


def test_every_exception_is_still_needed():
    chapters = {path.stem: read(path) for path in CHAPTERS}
    ignored = {
        f"{name}#{cell.id}"
        for name, chapter in chapters.items()
        for cell in code_cells(chapter)
        if "nbval-ignore-output" in tags(cell)
    }
    assert ignored >= NOT_COMPARED.keys()


# ---- The laws bite


def good_chapter():
    alt = "Line chart: two curves that meet after about a hundred steps."
    figure = new_output("display_data", {"image/png": "iVBORw0K", "text/plain": "<Figure 640x480>"})
    result = new_output("stream", name="stdout", text="params/enc/w: 1/2, a / b, http://a.b/c/d\n")
    return new_notebook(
        metadata={"name": "good"},
        cells=[
            new_markdown_cell("# Good", id="title"),
            new_code_cell("print(1)", id="a-line", execution_count=1, outputs=[result]),
            new_code_cell(
                'fig, axes = figure("They meet")',
                id="a-figure",
                execution_count=2,
                outputs=[figure],
                metadata={"mystnb": {"image": {"alt": alt}}, "tags": ["hide-input"]},
            ),
            new_code_cell("# adam_tutorial/good.py\nx = 1", id="good-rule", execution_count=3),
            new_markdown_cell("## What to remember\n\n```\n## not a heading\n```", id="remember"),
            new_markdown_cell("## References", id="references"),
        ],
    )


def prints(text, **kind):
    kind = {"output_type": "stream", "name": "stdout", **kind}
    return lambda cells: cells[1].update(outputs=[nbformat.from_dict({**kind, "text": text})])


def source(index, text):
    return lambda cells: cells[index].update(source=text)


def tagged(index, *names):
    return lambda cells: cells[index].metadata.update(tags=list(names))


def error(cells):
    cells[1].outputs = [new_output("error", ename="ValueError", evalue="no", traceback=[])]


def html(cells):
    cells[1].outputs = [new_output("display_data", {"text/html": "<b>/home/me/adam.py</b>"})]


SPOILED = {
    "runs_in_order": [
        lambda cells: cells[1].update(execution_count=None),
        lambda cells: cells[2].update(execution_count=1),
        lambda cells: cells[3].update(execution_count=4),
    ],
    "has_no_error": [error, prints("careful", name="stderr")],
    "travels": [
        prints("<__main__.Adam at 0x7f4c05>"),
        prints("<function f.<locals>.g at 0x7F>"),
        prints("saved in /tmp/adam.npz"),
        prints("File '/home/me/adam.py'"),
        prints("C:\\Users\\me"),
        prints("ipython-input /ipykernel_123"),
        html,
    ],
    "is_small": [prints("x" * MEGABYTE)],
    "describes_figures": [
        lambda cells: cells[2].metadata.pop("mystnb"),
        lambda cells: cells[2].metadata.mystnb.image.update(alt="A chart."),
        source(2, "fig, axes = figure()"),
        source(2, 'fig, axes = figure("")'),
        source(2, 'axes.plot("They meet")'),
    ],
    "fits_the_screen": [
        source(1, "x = 1\n" * 13),
        source(2, "x = 1\n" * 41),
        source(3, "# adam_tutorial/good.py\n" + "x = 1\n" * 40),
    ],
    "begins_with_its_title": [
        source(0, "Good"),
        source(0, "## Good"),
        lambda cells: cells.pop(0),
    ],
    "ends_with_what_to_remember": [
        source(4, "```\n## What to remember\n```"),
        source(5, "## References\n\n## One more thing"),
        source(5, "## Exercises"),
    ],
    "names_its_cells": [
        lambda cells: cells[1].update(id="cell-3"),
        lambda cells: cells[1].update(id="1f3a9c2e"),
        lambda cells: cells[1].update(id="A_Line"),
    ],
    "is_compared": [
        tagged(1, "nbval-ignore-output"),
        tagged(1, "nbval-skip"),
        source(1, "# NBVAL_IGNORE_OUTPUT\nprint(1)"),
        source(1, "#PYTEST_VALIDATE_IGNORE_OUTPUT\nprint(1)"),
    ],
}
CASES = [(law, number) for law in LAWS for number in range(len(SPOILED[law.__name__]))]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_good_chapter_keeps_the_law(law):
    assert list(law(good_chapter())) == []


@pytest.mark.parametrize(("law", "number"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_the_law_bites(law, number):
    chapter = copy.deepcopy(good_chapter())
    SPOILED[law.__name__][number](chapter.cells)
    assert list(law(chapter))


# ---- Chapters and package


def test_the_package_is_what_the_chapters_make():
    tangle.check(ROOT)


def test_every_claim_has_its_check():
    assert ledger.read(ROOT).errors == []


def reading_order() -> list[str]:
    """The modules in the order in which a reader meets them."""
    found = [tangle.exported(cell) for path in CHAPTERS for cell in code_cells(read(path))]
    return list(dict.fromkeys(module for module in found if module))


def package_imports(tree: ast.AST, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """(module of the package, whether in a function) for every import below a node."""
    for node in ast.iter_child_nodes(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            stem = node.module or ""
            names = (
                [f"{stem}.{alias.name}" for alias in node.names]
                if stem == "adam_tutorial"
                else [stem]
            )
        for name in names:
            if name.startswith("adam_tutorial."):
                yield name.split(".")[1], inside
        deeper = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from package_imports(node, deeper)


def forward_imports(order: list[str], module: str, text: str) -> list[str]:
    """The modules that a module imports although the reader has not met them yet."""
    earlier = set(order[: order.index(module)])
    return [
        target
        for target, inside in package_imports(ast.parse(text))
        if target not in earlier and not (inside and (module, target) == LAZY)
    ]


def test_reading_order_is_dependency_order():
    order = reading_order()
    modules = {path.stem: path for path in (ROOT / "adam_tutorial").glob("*.py")}
    assert set(order) == modules.keys() - {"__init__"}
    for module in order:
        assert forward_imports(order, module, modules[module].read_text("utf-8")) == [], module


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from adam_tutorial.trees import leaves", []),
        ("import numpy, adam_tutorial.adam", ["adam"]),
        ("from adam_tutorial import trees, adam", ["adam"]),
        ("from adam_tutorial.optimizer import Optimizer", ["optimizer"]),
        ("def f():\n    from adam_tutorial.adam import Adam", ["adam"]),
        ("from adam_tutorial.executors import run", ["executors"]),
        ("def f():\n    from adam_tutorial.executors import run", []),
    ],
)
def test_a_forward_import_is_found(line, expected):
    order = ["trees", "optimizer", "adam", "executors"]
    assert forward_imports(order, "optimizer", line) == expected


# ---- The reading times that how_to_read prints


def reading_minutes(chapter) -> float:
    """120 words a minute, half a minute for each display, 40 lines of unfolded code a minute."""
    prose = " ".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")
    *pairs, rest = prose.split("$$")
    words = len(" ".join([*pairs[::2], rest]).split())
    unfolded = [cell.source for cell in code_cells(chapter) if not tags(cell) & FOLDED]
    lines = sum(len(source.splitlines()) for source in unfolded)
    return words / 120 + len(pairs) / 2 / 2 + lines / 40


def test_the_reading_times_are_those_of_the_chapters():
    text = read(ROOT / "chapters/how_to_read.ipynb")
    source = "\n".join(cell.source for cell in text.cells)
    stated = dict(re.findall(r"^\| \[.*\]\((\w+)\.ipynb\) \| (\d+) \|$", source, re.MULTILINE))
    assert list(stated) == [path.stem for path in CHAPTERS]
    for path in CHAPTERS:
        assert int(stated[path.stem]) == pytest.approx(reading_minutes(read(path)), rel=0.2), path
