"""The README's examples run as they stand, and its promises are kept."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from adam_tutorial import Adam, available

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE-TEXT.md", "benchmarks/README.md"]

(
    on_numpy, on_schedules, on_cupy, on_more, on_torch, on_wrappers, on_rule, on_regret, on_saving,
) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)  # fmt: skip


def run(example):
    """The names that the example leaves behind."""
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    return names


def check_first_step(names, array_type):
    """From zero, with a gradient of ones, Adam's first step is lr to the left everywhere."""
    for leaf in names["params"].values():
        assert isinstance(leaf, array_type) and leaf.dtype == np.float32
        assert abs(leaf + 1e-3).max() < 1e-9
    assert isinstance(names["adam"], Adam) and names["state"].t == 1


def test_the_numpy_example():
    check_first_step(run(on_numpy), np.ndarray)


def test_the_cupy_example():
    """Run where a GPU answers; elsewhere it must compile, and be the NumPy one, renamed."""
    compile(on_cupy, "README.md", "exec")
    assert on_cupy == on_numpy.replace("numpy as np", "cupy as cp").replace("np.", "cp.")
    if "cupy" in available():
        check_first_step(run(on_cupy), sys.modules["cupy"].ndarray)


def test_step_and_update_agree_as_the_text_says():
    names = run(on_numpy)
    start = {name: np.zeros_like(leaf) for name, leaf in names["params"].items()}
    adam = names["adam"]
    new, _ = adam.update(start, names["grads"], adam.init(start))
    assert all(np.array_equal(new[name], names["params"][name]) for name in new)


def test_the_example_of_saving(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_first_step(run(on_saving), np.ndarray)
    assert capsys.readouterr().out == "{'epoch': 1}\n"


def test_the_example_of_regret_prints_what_the_text_shows(capsys):
    names = run(on_regret)
    assert f"```\n{capsys.readouterr().out}```" in README
    assert names["gradient_descent_bound"](names["game"]).holds


def test_the_example_of_wrappers(capsys):
    names = run(on_wrappers)
    assert capsys.readouterr().out == "0 1\n"
    assert not any(leaf.any() for leaf in names["params"].values())


def test_the_example_of_packing_and_half_precision(capsys):
    names = run(on_more)
    assert capsys.readouterr().out.startswith("2 leaves in one vector, if the gradients are packed")
    assert all(leaf.dtype == np.float16 for leaf in names["params"].values())
    assert np.allclose(names["state"].master["w"], -1e-3) and np.all(names["params"]["w"] < 0)


def test_the_torch_example():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    names = run(on_torch)
    states = names["optimizer"].state.values()
    assert len(states) == 2 and {kept["step"] for kept in states} == {1}


def test_the_example_of_a_method(capsys):
    names = run(on_rule)
    printed = capsys.readouterr().out
    assert r"\mathrm{sign}(m_{t})" in printed and "const float m_new = beta1 * m" in printed
    theta, method = np.zeros(3), names["SignMomentum"]()
    method.step(theta, np.array([2.0, 0.0, -1.0]), method.init(theta))
    assert theta.tolist() == [-1e-3, 0, 1e-3]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8")):
        assert target.startswith("https://") or (path.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_commands_named_in_the_text_exist(page):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert set(named) <= targets


def test_python_version_is_the_one_stated():
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    stated = re.search(r"Python (3\.\d+) or newer", README)[1]
    assert f'requires-python = ">={stated}"' in pyproject


def test_every_page_names_the_same_version():
    """pyproject.toml has the version; the citation and the changelog repeat it."""
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    number = re.search(r'^version = "(.+)"', pyproject, re.MULTILINE)[1]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert str(citation["version"]) == number
    assert f"Version {number}" in README
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(
        rf"^## \[({re.escape(number)}\] - \d{{4}}-|Unreleased\]\n\n###)", changes, re.MULTILINE
    )


def test_the_citation_has_what_its_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0" and all("name" in who for who in citation["authors"])


def test_hooks_run_the_projects_own_tools():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]
    for hook in hooks["repos"][0]["hooks"]:
        for word in hook["entry"].split():
            assert not word.endswith(".py") or (ROOT / word).is_file()


def test_the_example_of_schedules_climbs_to_its_rate_and_restarts(capsys):
    shown = run(on_schedules)
    rate, eta = map(float, capsys.readouterr().out.split())
    assert rate == pytest.approx(1e-3, rel=0.03) and eta == 1.0
    assert shown["method"].hyper(1001)["lr"] == 0.0
