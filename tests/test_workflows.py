"""The workflows name what exists, and what they run works."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SCRIPTS = sorted((ROOT / ".github/scripts").glob("*"))
sys.path.insert(0, str(ROOT / ".github/scripts"))

from release_notes import notes  # noqa: E402


def steps(path):
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_is_run_exists(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for step in steps(path):
        for target in re.findall(r"^make (\w+)", step.get("run", ""), re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for script in re.findall(r"(?<![\w/])\.(?:github/scripts|ci)/[\w.-]+", step.get("run", "")):
            assert (ROOT / script).exists(), script


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_to_a_commit(path):
    used = re.findall(r"uses: (\S+)(.*)", path.read_text(encoding="utf-8"))
    for action, comment in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)


def test_the_same_action_has_the_same_commit_everywhere():
    used = [
        uses for path in WORKFLOWS for uses in re.findall(r"uses: (\S+)@(\w+)", path.read_text())
    ]
    assert len({name for name, _ in used}) == len(set(used))


def test_the_oldest_python_is_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tests = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    tested = tests["jobs"]["unit"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={tested[0]}"
    assert tested == sorted(tested, key=lambda version: int(version.partition(".")[2]))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_read(path):
    if path.suffix == ".sh":
        subprocess.run(["bash", "-n", path], check=True)
        assert path.stat().st_mode & 0o100


def fake(folder, name, script):
    """A command of this name that runs a script instead."""
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)


def run(script, *arguments, path):
    environment = {"PATH": f"{path}:/usr/bin:/bin"}
    command = ["bash", ROOT / ".github/scripts" / script, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_every_notebook_is_run_and_a_failure_is_named(tmp_path):
    (tmp_path / "notebooks").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / f"notebooks/{name}.ipynb").touch()
    fake(
        tmp_path,
        "jupyter",
        'echo "ran ${@: -1} in $(ls | wc -l) files"; [[ ${@: -1} != *b.ipynb ]]',
    )
    done = run("run-notebooks.sh", str(tmp_path / "notebooks"), path=tmp_path)
    assert done.returncode == 1 and done.stdout.endswith("failed: b.ipynb\n")
    assert [f"{name}.ipynb in 1 files" in done.stdout for name in "abc"] == [True] * 3


@pytest.mark.parametrize(
    ("open_issue", "command"), [("", "issue create"), ("7", "issue comment 7")]
)
def test_a_failure_is_reported_once(tmp_path, open_issue, command):
    fake(tmp_path, "gh", f'[ "$2" = list ] && echo "{open_issue}" || echo "$@" >> {tmp_path}/asked')
    assert run("report-failure.sh", "It fails", "https://run", path=tmp_path).returncode == 0
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith(command) and "https://run" in asked


LOG = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2026-11-01\n\nOld.\n"


def test_a_tag_gets_its_own_section():
    assert notes("v0.2.0", "0.2.0", LOG) == "### Added\n\n- A thing."
    assert notes("v0.1.0", "0.1.0", LOG) == "Old."


@pytest.mark.parametrize(
    ("tag", "version", "words"),
    [
        ("v0.2.0", "0.3.0", "the tag is v0.2.0"),
        ("0.2.0", "0.2.0", "the tag"),
        ("v9", "9", "no section"),
    ],
)
def test_a_tag_that_does_not_fit_is_refused(tag, version, words):
    with pytest.raises(ValueError, match=words):
        notes(tag, version, LOG)
