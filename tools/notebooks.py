"""Edit chapters as text, run them in place, and tell which ones must run again.

A notebook is awkward to edit and a text file cannot show outputs, so a chapter is both: `text`
writes `_edit/NAME.py` in jupytext's percent format, with every cell's id and tags in its header;
`apply` brings the text back, and keeps the outputs of each cell whose code is the same. `run`
executes in place, without timestamps or machine names, so that two runs give the same bytes.

    python tools/notebooks.py edit adam      text -> notebook -> package -> run -> ledger
    python tools/notebooks.py text adam      chapters/adam.ipynb -> _edit/adam.py
    python tools/notebooks.py apply adam     _edit/adam.py -> chapters/adam.ipynb
    python tools/notebooks.py run [adam]     run in place, twice, and compare (all that changed)
"""

import argparse
import copy
import hashlib
import os
import shlex
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import repository
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tangle import TangleError, chapters

ROOT = Path(__file__).resolve().parents[1]
TEXT = ROOT / "_edit"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
NEW_CHAPTER = '''# %% [markdown] id="title"
"""
# {title}

Why: a problem the reader can see.
"""

# %% id="{name}-why"
# adam_tutorial/{name}.py
"""One sentence: what this module is and why so.""";
'''

LINK = "open-in-colab"  # the id of the first cell, which the tools write and the book leaves out

Notebook = Any


class EditError(Exception):
    """A sentence for the author: what is wrong with the text, and what to do."""


def notebook_path(name: str) -> Path:
    return ROOT / "chapters" / f"{name}.ipynb"


def text_path(name: str) -> Path:
    return TEXT / f"{name}.py"


def base_path(name: str) -> Path:
    """The text as it was when it and the notebook last agreed."""
    return TEXT / f".{name}.base"


def read(path: Path) -> Notebook:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def write(notebook: Notebook, path: Path) -> None:
    """Write only what a reader needs: no editor's state, no machine's names."""
    digest = notebook.metadata.get("executed")
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    if digest:
        notebook.metadata["executed"] = digest
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    path.write_text(f"{text}\n", encoding="utf-8")


# text and notebook


def to_text(name: str) -> Path:
    """Write a chapter as text; a chapter that does not exist yet starts from a few lines."""
    TEXT.mkdir(exist_ok=True)
    source, target = notebook_path(name), text_path(name)
    if not source.exists():
        title = name.replace("_", " ").capitalize()
        target.write_text(NEW_CHAPTER.format(title=title, name=name), encoding="utf-8")
        return target
    notebook = read(source)
    text = as_text(notebook)
    for cell, back in zip_longest(written(notebook), from_percent(text).cells):
        if cell is None or back is None or cell.source != back.source:
            raise no_text(name, cell or back)
    target.write_text(text, encoding="utf-8")
    base_path(name).write_text(text, encoding="utf-8")
    return target


def link_cell(name: str) -> Any:
    """The first cell of every chapter: where it reads better, and where it runs at once."""
    home = repository.read()
    text = (
        f"[Open this chapter in Colab]({home.colab(name)}), as a plain notebook, or "
        f"[read it on the site]({home.page(f'chapters/{name}')})."
    )
    tags = {"tags": ["remove-cell"]}
    return nbformat.v4.new_markdown_cell(text, id=LINK, metadata=tags)  # type: ignore[no-untyped-call]


def written(notebook: Notebook) -> list[Any]:
    """The cells that an author writes."""
    return [cell for cell in notebook.cells if cell.id != LINK]


def as_text(notebook: Notebook) -> str:
    """The percent format, where every cell's id stands in its header."""
    shown = copy.deepcopy(notebook)
    shown.cells = written(shown)
    for cell in shown.cells:
        cell.metadata = {"id": cell.id, **cell.metadata}
        cell.source = cell.source or "\n"  # jupytext cannot write an empty cell
    shown.metadata = {"jupytext": {"cell_markers": '"""', "notebook_metadata_filter": "-all"}}
    return str(jupytext.writes(shown, fmt="py:percent"))


def from_percent(text: str) -> Notebook:
    """What jupytext reads in a text, without what it notes for its own use."""
    notebook = jupytext.reads(text, fmt="py:percent")
    for cell in notebook.cells:
        for note in ("cell_marker", "lines_to_next_cell"):
            cell.metadata.pop(note, None)
    return notebook


def no_text(name: str, cell: Any) -> EditError:
    return EditError(
        f"chapters/{name}.ipynb#{cell.id}: a text cannot hold this cell as it is (empty, blank "
        'lines at an edge, or """ in Markdown). Change it in Jupyter first.'
    )


def from_text(name: str) -> Notebook:
    """The notebook that a text describes, with the outputs of the cells whose code is the same."""
    notebook = from_percent(text_path(name).read_text(encoding="utf-8"))
    seen: set[str] = set()
    for cell in notebook.cells:
        cell.id = cell.metadata.pop("id", "")
        if not cell.id or cell.id in seen:
            first = (cell.source.splitlines() or ["an empty cell"])[0]
            problem = f"the id {cell.id!r} again" if cell.id else "no id"
            raise EditError(
                f'_edit/{name}.py: the cell that begins "{first}" has {problem}. Give it a name of '
                'its own in the header: # %% id="adam-rule".'
            )
        seen.add(cell.id)
    notebook.cells.insert(0, link_cell(name))
    return notebook


def keep_outputs(new: Notebook, old: Notebook) -> None:
    before = {cell.id: cell for cell in old.cells if cell.cell_type == "code"}
    for cell in new.cells:
        same = before.get(cell.id)
        if cell.cell_type == "code" and same is not None and same.source == cell.source:
            cell.outputs, cell.execution_count = same.outputs, same.execution_count
    new.metadata["executed"] = old.metadata.get("executed")


def apply_text(name: str) -> None:
    """Bring the text back into the notebook, its code formatted where it stands."""
    target, draft = notebook_path(name), TEXT / f"{name}.ipynb"
    write(from_text(name), draft)
    ruff = [sys.executable, "-m", "ruff", "format", "--quiet", str(draft)]
    formatted = subprocess.run(ruff, check=False, cwd=ROOT).returncode == 0
    notebook = read(draft)
    draft.unlink()
    if not formatted:
        raise EditError(f"_edit/{name}.py: ruff could not read the code (its message is above).")
    if target.exists():
        keep_outputs(notebook, read(target))
    target.parent.mkdir(exist_ok=True)
    write(notebook, target)
    to_text(name)


def refuse_two_versions(name: str) -> None:
    """A text left from an earlier edit must not undo what has since been done to the notebook."""
    if not (base_path(name).exists() and notebook_path(name).exists()):
        return
    base, text = base_path(name).read_text("utf-8"), text_path(name).read_text("utf-8")
    if as_text(read(notebook_path(name))) == base:
        return
    if text != base:
        raise EditError(
            f"Both _edit/{name}.py and chapters/{name}.ipynb have changed since they last agreed. "
            f"Move the text away, run `make edit CHAPTER={name}` again, and put your changes in."
        )
    to_text(name)  # only the notebook changed


# running


def fingerprint(notebook: Notebook) -> str:
    """What the outputs depend on: the chapter's code, and the package that it imports."""
    digest = hashlib.sha256()
    for module in sorted((ROOT / "adam_tutorial").glob("*.py")):
        digest.update(module.read_bytes())
    for cell in notebook.cells:
        if cell.cell_type == "code":
            digest.update(cell.source.encode())
    return digest.hexdigest()[:16]


def is_stale(path: Path) -> bool:
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    never = any(cell.execution_count is None for cell in code)
    return never or notebook.metadata.get("executed") != fingerprint(notebook)


def executed(notebook: Notebook) -> Notebook:
    """A copy of the notebook, run from the first cell to the last in a fresh kernel."""
    fresh = copy.deepcopy(notebook)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    where = {"metadata": {"path": str(ROOT / "chapters")}}
    # The stored outputs are NumPy's, by Jupyter's own figure backend, without progress bars.
    os.environ["ADAM_TUTORIAL_BACKEND"] = "numpy"
    os.environ["TQDM_DISABLE"] = "1"
    os.environ.pop("MPLBACKEND", None)
    client = NotebookClient(
        fresh, timeout=600, record_timing=False, coalesce_streams=True, resources=where
    )
    client.extra_arguments = ["--IPKernelApp.log_level=40"]  # its warnings are not the chapter's
    client.execute()
    for cell in fresh.cells:
        cell.metadata.pop("execution", None)
    return fresh


def differing(one: Notebook, two: Notebook) -> list[str]:
    pairs = zip(one.cells, two.cells, strict=True)
    return [a.id for a, b in pairs if a.get("outputs") != b.get("outputs") and not is_timed(a)]


def is_timed(cell: Any) -> bool:
    """Whether a cell shows a measurement of the machine: its output is not compared."""
    return "nbval-ignore-output" in cell.metadata.get("tags", [])


def run(path: Path) -> None:
    """Execute twice and store the outputs; outputs that differ between two runs are refused."""
    notebook = read(path)
    try:
        first, second = executed(notebook), executed(notebook)
    except CellExecutionError as error:
        raise EditError(f"chapters/{path.name}: a cell failed.\n{error}") from None
    if cells := differing(first, second):
        raise EditError(
            f"chapters/{path.name}: two runs gave different outputs in {', '.join(cells)}. Seed "
            "the random numbers, and print rounded values."
        )
    first.metadata["executed"] = fingerprint(notebook)
    write(first, path)


def run_chapters(names: list[str]) -> None:
    paths = [notebook_path(name) for name in names]
    stale = paths or [path for path in chapters(ROOT) if is_stale(path)]
    for path in stale:
        print(f"running chapters/{path.name} twice ...", flush=True)
        run(path)
    if not stale:
        print("every chapter's outputs are current")


# one command


def edit(name: str) -> None:
    """Open the text in the editor, or take it as it stands; then bring everything up to date."""
    target = text_path(name)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not target.exists():
        to_text(name)
        if not editor:
            print(f"wrote _edit/{name}.py: edit it, then run the same command again")
            return
    refuse_two_versions(name)
    if editor and sys.stdin.isatty():
        subprocess.run([*shlex.split(editor), str(target)], check=True)
    apply_text(name)
    subprocess.run([sys.executable, str(ROOT / "tools/tangle.py")], check=True)
    if is_stale(notebook_path(name)):
        run_chapters([name])
    subprocess.run([sys.executable, str(ROOT / "tools/colab.py")], check=True)
    subprocess.run([sys.executable, str(ROOT / "tools/ledger.py"), "--check"], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Edit chapters as text, and run them in place.")
    parser.add_argument("command", choices=["edit", "text", "apply", "run"])
    parser.add_argument("names", nargs="*", metavar="CHAPTER")
    asked = parser.parse_args()
    if asked.command != "run" and len(asked.names) != 1:
        parser.error(f"{asked.command} takes one chapter: make {asked.command} CHAPTER=adam")
    try:
        if asked.command == "run":
            run_chapters(asked.names)
        else:
            {"edit": edit, "text": to_text, "apply": apply_text}[asked.command](asked.names[0])
    except (EditError, TangleError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode  # the tool has said why
    return 0


if __name__ == "__main__":
    sys.exit(main())
