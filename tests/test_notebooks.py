"""A chapter goes to text and back without loss, and its outputs are only those of its own code.

Every test works on a copy of the chapters in a temporary folder.
"""

import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import notebooks  # noqa: E402

CHAPTERS = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A small project of its own, with a copy of the chapters."""
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "TEXT", tmp_path / "_edit")
    monkeypatch.setenv("ADAM_TUTORIAL_BACKEND", "cupy")
    monkeypatch.setenv("MPLBACKEND", "agg")  # a run must overrule both
    shutil.copytree(ROOT / "chapters", tmp_path / "chapters")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def printed(source, text, cell_id, **metadata):
    output = new_output("stream", name="stdout", text=text)
    return new_code_cell(source, id=cell_id, execution_count=1, outputs=[output], metadata=metadata)


def small(*cells):
    """Store a chapter called `small`."""
    cells = [notebooks.link_cell("small"), new_markdown_cell("# Small", id="title"), *cells]
    notebooks.write(new_notebook(cells=cells), notebooks.notebook_path("small"))


def cells_of(name):
    """The cells that an author wrote; the first is the tools' own link."""
    return notebooks.written(notebooks.read(notebooks.notebook_path(name)))


def edit(old, new):
    """Change the text of the chapter `small`, and bring it back."""
    notebooks.to_text("small")
    text = notebooks.text_path("small").read_text("utf-8")
    assert old in text
    notebooks.text_path("small").write_text(text.replace(old, new), "utf-8")
    notebooks.apply_text("small")
    return cells_of("small")


def test_a_chapter_begins_with_its_link_once(root):
    small()
    for _ in range(2):
        edit("Small", "Small")
    first, *others = notebooks.read(notebooks.notebook_path("small")).cells
    assert first == notebooks.link_cell("small")
    assert [cell.id for cell in others] == ["title"]


# ---- There and back


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_comes_back_as_it_was(root, name):
    before = notebooks.notebook_path(name).read_bytes()
    notebooks.to_text(name)
    notebooks.apply_text(name)
    assert notebooks.notebook_path(name).read_bytes() == before


@pytest.mark.parametrize(
    "source",
    [
        "a = 1",
        "%matplotlib inline\na = 1",
        "!ls",
        '"""A docstring.""";',
        "# adam_tutorial/adam.py\na = 1",
        "def f():\n    pass\n\n\ndef g():\n    pass",
    ],
)
def test_code_comes_back_as_it_was(root, source):
    small(new_code_cell(source, id="a-cell"), new_code_cell("b = 2", id="b-cell"))
    before = notebooks.notebook_path("small").read_bytes()
    notebooks.to_text("small")
    notebooks.apply_text("small")
    assert notebooks.notebook_path("small").read_bytes() == before


@pytest.mark.parametrize(
    "source",
    [
        "$$ a = b $$ (a-eq)",
        "ends with a backslash \\",
        'ends with a quote "',
        "# %% [markdown]\nno cell of its own",
        "```{math}\n:label: a\n\\theta\n```",
        "| a | b |\n|---|---|",
    ],
)
def test_markdown_comes_back_as_it_was(root, source):
    small(new_markdown_cell(source, id="a-text"), new_code_cell("a = 1", id="a-cell"))
    before = notebooks.notebook_path("small").read_bytes()
    notebooks.to_text("small")
    notebooks.apply_text("small")
    assert notebooks.notebook_path("small").read_bytes() == before


@pytest.mark.parametrize("source", ['has """ inside', "blank lines at the end\n\n\n"])
def test_what_a_text_cannot_hold_is_refused_before_it_is_lost(root, source):
    small(new_markdown_cell(source, id="a-text"), new_code_cell("a = 1", id="a-cell"))
    with pytest.raises(notebooks.EditError, match="small.ipynb#a-text: a text cannot hold"):
        notebooks.to_text("small")
    assert not notebooks.text_path("small").exists()


def test_ids_and_metadata_are_kept(root):
    metadata = {"tags": ["hide-input"], "mystnb": {"image": {"alt": 'a "quoted" word, and ∇'}}}
    small(printed("a = 1", "", "a-cell", **metadata))
    cell = edit("a = 1", "a = 2")[1]
    assert (cell.id, cell.source, cell.metadata) == ("a-cell", "a = 2", metadata)


# ---- Outputs


def test_outputs_are_kept_where_the_code_is_the_same_and_dropped_where_it_changed(root):
    small(printed("print(1)", "1\n", "one"), printed("print(2)", "2\n", "two"))
    _, one, two = edit("print(2)", "print(3)")
    assert (one.outputs[0].text, one.execution_count) == ("1\n", 1)
    assert (two.outputs, two.execution_count) == ([], None)


def test_outputs_follow_a_cell_that_moves(root):
    small(printed("print(1)", "1\n", "one"), printed("print(2)", "2\n", "two"))
    notebooks.to_text("small")
    notebook = notebooks.from_text("small")
    notebook.cells[2:] = notebook.cells[:1:-1]
    notebooks.keep_outputs(notebook, notebooks.read(notebooks.notebook_path("small")))
    assert [cell.outputs[0].text for cell in notebook.cells[2:]] == ["2\n", "1\n"]


def test_outputs_do_not_follow_code_to_another_id(root):
    small(printed("print(1)", "1\n", "one"))
    assert edit('id="one"', 'id="uno"')[1].outputs == []


def test_code_is_formatted_where_it_stands(root):
    small(printed("a = 1", "", "a-cell"))
    assert edit("a = 1", "a=[ 1,2 ]")[1].source == "a = [1, 2]"


# ---- Refusals


def test_a_cell_without_an_id_is_refused(root):
    small(printed("a = 1", "", "a-cell"))
    with pytest.raises(notebooks.EditError, match='begins "a = 1" has no id'):
        edit(' id="a-cell"', "")


def test_an_id_twice_is_refused(root):
    small(printed("a = 1", "", "a-cell"), printed("b = 2", "", "b-cell"))
    with pytest.raises(notebooks.EditError, match="the id 'a-cell' again"):
        edit('id="b-cell"', 'id="a-cell"')


def test_a_refused_text_leaves_the_notebook_alone(root):
    small(printed("a = 1", "", "a-cell"))
    before = notebooks.notebook_path("small").read_bytes()
    with pytest.raises(notebooks.EditError):
        edit(' id="a-cell"', "")
    assert notebooks.notebook_path("small").read_bytes() == before


# ---- Running


def test_two_runs_with_different_outputs_are_refused(root):
    small(new_code_cell("import time\n\nprint(time.time())", id="the-time"))
    before = notebooks.notebook_path("small").read_bytes()
    with pytest.raises(notebooks.EditError, match="different outputs in the-time"):
        notebooks.run(notebooks.notebook_path("small"))
    assert notebooks.notebook_path("small").read_bytes() == before


def test_a_cell_that_fails_is_named(root):
    small(new_code_cell("1 / 0", id="a-cell"))
    with pytest.raises(notebooks.EditError, match=r"(?s)small.ipynb: a cell failed.*1 / 0"):
        notebooks.run(notebooks.notebook_path("small"))


def test_a_run_stores_outputs_that_travel_and_is_current(root):
    path = notebooks.notebook_path("small")
    source = 'print(os.environ["ADAM_TUTORIAL_BACKEND"], os.environ["MPLBACKEND"])'
    small(new_code_cell(f"import os\n\n{source}", id="one", metadata={"tags": ["hide-input"]}))
    assert notebooks.is_stale(path)
    notebooks.run(path)
    first = path.read_bytes()
    cell = cells_of("small")[1]
    assert cell.outputs[0].text == "numpy module://matplotlib_inline.backend_inline\n"
    assert cell.execution_count == 1
    assert cell.metadata == {"tags": ["hide-input"]}  # no times of execution
    assert not notebooks.is_stale(path)
    notebooks.run(path)
    assert path.read_bytes() == first


def test_a_chapter_is_stale_when_its_code_or_the_package_changes(root):
    path = notebooks.notebook_path("small")
    small(printed("print(1)", "1\n", "one"))
    notebook = notebooks.read(path)
    notebook.metadata["executed"] = notebooks.fingerprint(notebook)
    notebooks.write(notebook, path)
    assert not notebooks.is_stale(path)
    (root / "adam_tutorial").mkdir()
    (root / "adam_tutorial" / "adam.py").write_text("x = 1")
    assert notebooks.is_stale(path)
    notebook.cells[2].source = "print(2)"
    nbformat.write(notebook, path)
    assert notebooks.is_stale(path)


# ---- Two versions of one chapter


def change_notebook(name, old, new):
    path = notebooks.notebook_path(name)
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


def test_a_text_that_nobody_touched_follows_the_notebook(root):
    small(new_code_cell("a = 1", id="first", execution_count=1))
    notebooks.to_text("small")
    change_notebook("small", "a = 1", "a = 2")
    notebooks.refuse_two_versions("small")
    assert "a = 2" in notebooks.text_path("small").read_text("utf-8")


def test_two_versions_are_refused_and_neither_is_lost(root):
    small(new_code_cell("a = 1", id="first", execution_count=1))
    text = notebooks.to_text("small")
    text.write_text(text.read_text("utf-8").replace("a = 1", "a = 3"), "utf-8")
    change_notebook("small", "a = 1", "a = 2")
    with pytest.raises(notebooks.EditError, match="have changed since they last agreed"):
        notebooks.refuse_two_versions("small")
    assert "a = 3" in text.read_text("utf-8")
    assert cells_of("small")[1].source == "a = 2"


def test_a_text_with_a_syntax_error_leaves_the_notebook_alone(root):
    small(printed("a = 1", "1\n", "first"))
    before = notebooks.notebook_path("small").read_bytes()
    with pytest.raises(notebooks.EditError, match="ruff could not read"):
        edit("a = 1", "a = = 1")
    assert notebooks.notebook_path("small").read_bytes() == before
