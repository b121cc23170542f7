"""The wheel holds the package and nothing else, and needs NumPy and nothing else."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy
import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
OFFLINE = ["--no-deps", "--no-index"]

# Without site-packages (-S), only the wheel and NumPy are on the path.
PROGRAM = """
import sys
sys.path += sys.argv[1:]
import numpy as np
import adam_tutorial
from adam_tutorial import Adam

params, adam = {"w": np.ones(3)}, Adam(lr=0.1)
state = adam.init(params)
adam.step(params, {"w": np.ones(3)}, state)
print(adam_tutorial.__file__, adam_tutorial.__version__)
print(np.allclose(params["w"], 0.9))
print(*sorted({"cupy", "torch", "numba", "matplotlib", "dask", "scipy"} & sys.modules.keys()))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", folder, ROOT]
    subprocess.run(build, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_it_holds_the_package_only(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {f"adam_tutorial/{path.name}" for path in (ROOT / "adam_tutorial").glob("*.py")}
    assert {name for name in names if ".dist-info/" not in name} == package | {
        "adam_tutorial/py.typed"
    }
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_it_is_pure_python_and_needs_numpy_only(wheel):
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        lines = archive.read(name).decode().splitlines()
    needed = [
        line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line
    ]
    assert needed == ["Requires-Dist: numpy>=2.0"]
    assert "Requires-Python: >=3.11" in lines


def test_it_works_beside_numpy_alone(wheel, tmp_path):
    subprocess.run([*PIP, "install", *OFFLINE, "--target", tmp_path / "wheel", wheel], check=True)
    installed = Path(numpy.__file__).parents[1]
    (tmp_path / "numpy").mkdir()
    for path in installed.glob("numpy*"):
        (tmp_path / "numpy" / path.name).symlink_to(path)
    program = [sys.executable, "-I", "-S", "-c", PROGRAM, tmp_path / "wheel", tmp_path / "numpy"]
    run = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    assert run.stderr == ""
    place, verdict, loaded = run.stdout.split("\n")[:3]
    assert place.startswith(os.fspath(tmp_path / "wheel" / "adam_tutorial"))
    assert verdict == "True" and loaded == ""


def test_the_source_archive_holds_the_package_its_chapters_and_both_licences(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"LICENSE", "LICENSE-TEXT.md", "README.md", "adam_tutorial/py.typed"} <= names
    assert {f"chapters/{path.name}" for path in (ROOT / "chapters").glob("*.ipynb")} <= names
    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert folders == {"adam_tutorial", "chapters"}
