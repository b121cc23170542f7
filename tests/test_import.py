"""Importing the package loads nothing that is optional, and every public name is there."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import adam_tutorial

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("cupy", "torch", "numba", "matplotlib", "dask", "sklearn")
MADE = sorted(path.stem for path in Path(adam_tutorial.__file__).parent.glob("[!_]*.py"))
OPTIONAL = adam_tutorial._OPTIONAL  # modules that may load what the package must not
MODULES = [name for name in MADE if name not in OPTIONAL]


def imported_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after running `code`."""
    code += "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    run = [sys.executable, "-W", "error", "-c", code]
    found = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(found.stdout.split())


@pytest.mark.parametrize("module", ["", *(f".{name}" for name in MODULES)])
def test_an_import_loads_nothing_heavy(module: str) -> None:
    found = imported_by(f"import adam_tutorial{module}")
    assert "adam_tutorial" in found
    assert found.isdisjoint(HEAVY)


def test_the_package_alone_does_not_load_its_modules() -> None:
    assert "numpy" not in imported_by("import adam_tutorial")


def test_every_public_name_loads_nothing_heavy() -> None:
    assert imported_by("from adam_tutorial import *").isdisjoint(HEAVY)


def test_an_optimizer_is_used_without_loading_anything_heavy() -> None:
    code = "import numpy, adam_tutorial as a; o = a.Adam(); p = numpy.ones(3); s = o.init(p)"
    assert imported_by(f"{code}; o.step(p, numpy.ones(3), s)").isdisjoint(HEAVY)


@pytest.mark.parametrize("name", adam_tutorial.__all__)
def test_a_public_name_is_that_of_its_module(name: str) -> None:
    found = getattr(adam_tutorial, name)
    homes = [import_module(f"adam_tutorial.{module}") for module in MODULES]
    assert any(vars(home).get(name) is found for home in homes)


def test_all_is_sorted_and_without_duplicates() -> None:
    assert adam_tutorial.__all__ == sorted(set(adam_tutorial.__all__))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_an_attribute_of_the_package(module: str) -> None:
    code = f"import adam_tutorial; print(adam_tutorial.{module}.__name__)"
    run = [sys.executable, "-c", code]
    found = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout == f"adam_tutorial.{module}\n"
    assert isinstance(getattr(adam_tutorial, module), ModuleType)


def test_dir_lists_the_public_names_and_the_modules() -> None:
    assert {*adam_tutorial.__all__, *MODULES, "__version__"} <= set(dir(adam_tutorial))


def test_optional_modules_are_no_part_of_the_public_names() -> None:
    assert OPTIONAL == ["torch_adapter"] and set(OPTIONAL) <= set(MADE)
    homes = {adam_tutorial._HOME[name] for name in adam_tutorial.__all__}
    assert homes.isdisjoint(OPTIONAL)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'adam_tutorial' has no attribute 'Adamm'"):
        adam_tutorial.Adamm  # noqa: B018


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert adam_tutorial.__version__ == project["version"]
