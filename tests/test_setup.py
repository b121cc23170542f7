"""The set-up says what is wrong in one sentence, and does nothing twice. Nothing is installed here."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import bootstrap  # noqa: E402

PYPROJECT = """
[build-system]
requires = ["hatchling"]
[project]
version = "0.1.0"
dependencies = ["numpy"]
[project.optional-dependencies]
bench = ["thinc>=8.3"]
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "requirements.txt").write_text("numpy==2.4.6\ntorch==2.13.0\n")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path


def script(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def fake_venv(root, body=""):
    """A .venv whose Python writes its arguments to `calls`, and then does as it is told."""
    return script(bootstrap.python(root), f'echo "$@" >> {root}/calls\n{body}')


def calls(root):
    lines = (root / "calls").read_text().splitlines() if (root / "calls").exists() else []
    return [line.split("--disable-pip-version-check ")[1] for line in lines if "-m pip" in line]


def said(capsys, code, *arguments):
    """The one sentence that a call prints on stderr."""
    assert bootstrap.main(list(map(str, arguments))) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.endswith(".\n") and "Traceback" not in error
    return error


# ---- Errors


def test_an_old_python(root, capsys, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    sentence = said(capsys, 1, "--root", root)
    assert "Python 3.11 or newer is needed" in sentence and "is Python 3.10.4" in sentence
    assert not (root / ".venv").exists()


def test_the_oldest_python_that_will_do(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 11, 0, "final", 0))
    bootstrap.check_interpreter()


def test_an_old_python_can_read_the_file():
    """The file keeps to the syntax of Python 3.8, and imports later modules only where needed."""
    text = (ROOT / "tools" / "bootstrap.py").read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    imported = {
        alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names
    }
    assert "tomllib" not in imported and "fcntl" not in imported


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv(root, capsys, monkeypatch, module):
    find = bootstrap.importlib.util.find_spec
    monkeypatch.setattr(
        bootstrap.importlib.util, "find_spec", lambda name: None if name == module else find(name)
    )
    sentence = said(capsys, 1, "--root", root)
    assert f"has no module {module}" in sentence
    assert re.search(r"sudo apt install python3\.\d+-venv`", sentence)


def test_a_venv_that_fails(root, capsys, monkeypatch):
    broken = script(root / "python", "echo noise\necho 'ensurepip is not available.'\nexit 1")
    monkeypatch.setattr(sys, "executable", str(broken))
    sentence = said(capsys, 1, "--root", root)
    assert "-m venv .venv` failed (ensurepip is not available)" in sentence


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("NewConnectionError: Temporary failure in name resolution", "could not reach"),
        ("ERROR: No matching distribution found for numpy", "failed"),
    ],
)
def test_a_pip_that_fails(root, capsys, output, reason):
    fake_venv(root, f'case "$*" in *" -r "*) echo "{output}"; exit 1;; esac')
    sentence = said(capsys, 1, "--root", root)
    assert f"pip {reason}" in sentence and ".venv/install.log" in sentence
    assert "`.venv/bin/python -m pip install -r requirements.txt`" in sentence
    assert output in (root / ".venv" / "install.log").read_text()
    assert not bootstrap.is_current(root, None)
    assert not bootstrap.unfinished(root).exists()  # pip ended, so what is there can be kept


def test_no_network(root, capsys, monkeypatch):
    """The real pip, with an index where nothing listens, and a package that nobody has."""
    (root / "requirements.txt").write_text("adam-tutorial-has-no-such-package==1\n")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    script(bootstrap.python(root), f'exec {sys.executable} "$@"')
    assert "pip could not reach the package index" in said(capsys, 1, "--root", root)


def test_an_unknown_extra(root, capsys):
    fake_venv(root)
    assert "no extra 'speed', only bench" in said(capsys, 1, "--root", root, "--extra", "speed")


# ---- The stamp


def test_a_second_call_does_nothing(root, capsys):
    fake_venv(root)
    bootstrap.bootstrap(root)
    assert capsys.readouterr().out.startswith("setting up .venv (about 2 GB")
    first = calls(root)
    assert first[-1] == "-r requirements.txt"
    bootstrap.bootstrap(root)
    assert capsys.readouterr().out == "" and calls(root) == first


def test_an_extra_has_a_stamp_of_its_own(root):
    fake_venv(root)
    bootstrap.bootstrap(root)
    bootstrap.bootstrap(root, "bench")
    assert calls(root)[-1] == "-r requirements.txt thinc>=8.3"
    installed = len(calls(root))
    bootstrap.bootstrap(root, "bench")
    bootstrap.bootstrap(root)
    assert len(calls(root)) == installed


@pytest.mark.parametrize(
    ("file", "old", "new", "again"),
    [
        ("requirements.txt", "2.4.6", "2.4.7", True),
        ("pyproject.toml", "thinc>=8.3", "thinc>=9", True),
        ("pyproject.toml", "hatchling", "setuptools", True),
        ("pyproject.toml", "0.1.0", "0.2.0", False),
    ],
)
def test_a_change_of_what_is_needed_installs_again(root, file, old, new, again):
    fake_venv(root)
    bootstrap.bootstrap(root)
    before = len(calls(root))
    path = root / file
    path.write_text(path.read_text().replace(old, new))
    bootstrap.bootstrap(root)
    assert (len(calls(root)) > before) == again


@pytest.mark.parametrize("content", ["", "[]", "not json", "{}"])
def test_a_spoiled_stamp_counts_as_none(root, content):
    fake_venv(root)
    bootstrap.stamp_path(root, None).write_text(content)
    assert not bootstrap.is_current(root, None)


# ---- What is kept and what is made again


def made_again(root, monkeypatch):
    """Whether a call makes .venv again; here a fake Python stands in for what venv would make."""
    made = []

    def make(root):
        made.append(root)
        shutil.rmtree(root / ".venv")
        fake_venv(root)

    monkeypatch.setattr(bootstrap, "make_venv", make)
    bootstrap.bootstrap(root)
    assert bootstrap.is_current(root, None)
    return bool(made)


def test_a_venv_that_someone_made_is_kept(root, monkeypatch):
    fake_venv(root)
    assert not made_again(root, monkeypatch)


@pytest.mark.parametrize("body", ["exit 1", "exec /does/not/exist"])
def test_a_venv_without_a_working_python_is_made_again(root, monkeypatch, body):
    fake_venv(root, body)
    assert made_again(root, monkeypatch)


def test_a_dangling_python_is_made_again(root, monkeypatch):
    bootstrap.python(root).parent.mkdir(parents=True)
    bootstrap.python(root).symlink_to("/does/not/exist")
    assert made_again(root, monkeypatch)


def test_an_interrupted_installation_is_made_again(root, monkeypatch):
    fake_venv(root)
    bootstrap.unfinished(root).touch()
    assert made_again(root, monkeypatch)


def test_a_clone_that_moved_is_made_again(root, monkeypatch):
    fake_venv(root)
    bootstrap.stamp_path(root, None).write_text(json.dumps({"root": "/old", "wanted": ""}))
    assert made_again(root, monkeypatch)


def test_make_venv_replaces_what_is_there(root, monkeypatch):
    """A folder is removed; a link is, too, but not what it leads to."""
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "precious").touch()
    (root / ".venv").symlink_to("elsewhere")
    monkeypatch.setattr(sys, "executable", str(script(root / "python", "mkdir $3")))
    bootstrap.make_venv(root)
    assert not (root / ".venv").is_symlink() and (root / "elsewhere" / "precious").exists()
    (root / ".venv" / "rest").touch()
    bootstrap.make_venv(root)
    assert list((root / ".venv").iterdir()) == []


# ---- Torch without CUDA


def test_the_cpu_wheel_is_tried_first_and_then_pytorchs_index(root, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    fake_venv(root, 'case "$*" in *torch==*) exit 1;; esac')
    bootstrap.bootstrap(root)
    near, far, rest = calls(root)
    assert near == "--no-deps --retries 1 --timeout 10 torch==2.13.0+cpu"
    assert far == f"{near} --extra-index-url https://download.pytorch.org/whl/cpu"
    assert rest == "-r requirements.txt"


def test_pytorchs_index_is_not_asked_where_the_wheel_is_at_hand(root, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    fake_venv(root)
    bootstrap.bootstrap(root)
    assert len(calls(root)) == 2


def test_a_mac_takes_the_plain_wheel(root, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    fake_venv(root)
    bootstrap.bootstrap(root)
    assert calls(root) == ["-r requirements.txt"]


def test_the_real_requirements_pin_torch():
    text = (ROOT / "requirements.txt").read_text("utf-8")
    assert re.search(r"^torch==[\d.]+$", text, re.MULTILINE)


# ---- The command, and the Makefile


def test_a_call_that_has_nothing_to_do_is_quick_and_silent(root):
    fake_venv(root)
    command = [sys.executable, str(ROOT / "tools" / "bootstrap.py"), "--root", str(root)]
    subprocess.run(command, check=True, capture_output=True)
    second = subprocess.run(command, check=True, capture_output=True, timeout=5)
    assert second.stdout == second.stderr == b""


def make(*arguments):
    """What make prints when it is called by hand, not by the make that runs these tests."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True)


def test_make_alone_lists_every_target():
    text = (ROOT / "Makefile").read_text("utf-8")
    declared = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    listed = {line.split()[1] for line in make().stdout.splitlines()}
    assert listed == declared - {"setup", "agree", "named"}


def test_make_edit_asks_which_chapter():
    assert (
        "Which chapter? Write make edit CHAPTER=adam."
        in make("edit", "CHAPTER=", "PYTHON=true").stderr
    )


def test_tests_and_book_check_package_and_claims_first():
    for target in ("test", "book"):
        planned = make("-n", target).stdout
        places = [
            planned.index(step) for step in ("bootstrap.py", "tangle.py --check", "ledger.py")
        ]
        last = planned.index("-m pytest" if target == "test" else "jupyter-book build -W -n")
        assert sorted(places) == places and places[-1] < last
