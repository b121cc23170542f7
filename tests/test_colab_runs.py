"""Every plain notebook, run from an empty folder with the wheel and nothing of the repository."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
OFFLINE = ["--no-deps", "--no-index"]
MADE = sorted((ROOT / "colab").rglob("*.ipynb"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package as the wheel installs it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", folder, ROOT]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*PIP, "install", *OFFLINE, "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.mark.parametrize("path", MADE, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_it_runs_from_an_empty_folder(path, installed, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(
        nbformat.v4.new_code_cell("import adam_tutorial; print(adam_tutorial.__file__)")
    )
    environment = os.environ | {
        "PYTHONPATH": os.fspath(installed),
        "ADAM_TUTORIAL_BACKEND": "numpy",
    }
    environment.pop("MPLBACKEND", None)
    client = NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": os.fspath(tmp_path)}}
    )
    client.extra_arguments = ["--IPKernelApp.log_level=40"]
    client.execute(env=environment)
    where = notebook.cells[-1].outputs[0].text
    assert Path(where.strip()).is_relative_to(installed)
    (install,) = (cell for cell in notebook.cells if cell.id == "install")
    assert install.outputs[0].text == "This notebook computes with NumPy on the CPU\n"
    assert list(tmp_path.iterdir()) == []


def first_cell() -> str:
    notebook = nbformat.read(ROOT / "colab/chapters/adam.ipynb", as_version=4)
    return next(cell.source for cell in notebook.cells if cell.id == "install")


class Pip:
    """Stands in for subprocess.run; the listed sources cannot be had."""

    def __init__(self, *missing):
        self.missing, self.asked = missing, []

    def __call__(self, command):
        self.asked.append(command[-1])
        failed = any(command[-1].startswith(start) for start in self.missing)
        return subprocess.CompletedProcess(command, int(failed))


def run_first_cell(monkeypatch, pip, there=()):
    """Run the install cell where the package cannot be found, unless it is in `there`."""
    find = lambda name: object() if name in there or name != "adam_tutorial" else None  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", find)
    monkeypatch.setattr(subprocess, "run", pip)
    exec(compile(ast.parse(first_cell()), "install", "exec"), {})


def test_it_installs_nothing_where_the_package_is(monkeypatch):
    pip = Pip()
    run_first_cell(monkeypatch, pip, there=["adam_tutorial"])
    assert pip.asked == []


def test_it_asks_the_index_first(monkeypatch):
    pip = Pip()
    run_first_cell(monkeypatch, pip)
    assert len(pip.asked) == 1 and pip.asked[0].startswith("adam-tutorial==")


def test_it_falls_back_to_the_repository(monkeypatch):
    pip = Pip("adam-tutorial==")
    run_first_cell(monkeypatch, pip)
    assert len(pip.asked) == 2 and pip.asked[1].startswith("git+https://github.com/")


def test_it_says_when_nothing_helps(monkeypatch):
    with pytest.raises(RuntimeError, match="pip could not install adam_tutorial"):
        run_first_cell(monkeypatch, Pip("adam-tutorial==", "git+"))
