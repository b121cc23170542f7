"""One place holds the address of the repository, and everything else follows it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import repository  # noqa: E402

HOME = repository.read()
FORK = "https://github.com/Some-One/a.fork"
ADDRESS = re.compile(
    r"https://(?:github\.com/[\w.-]+/[\w.-]+|[\w-]+\.github\.io/[\w.-]+|colab\.research\.google\.com/github/[\w.-]+/[\w.-]+)"
)
# Other people's: what they are for.
OTHERS = {
    "https://github.com/jupyter-book/jupyter-book",
    "https://github.com/psf/black",
}


def files():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        mine = not name.startswith(
            ("assets/vendor/", "tests/browser/vendor/", "tests/test_repository")
        )
        if (
            mine
            and path.is_file()
            and path.suffix in {".md", ".toml", ".cff", ".yml", ".ipynb", ".py", ".html"}
        ):
            yield path


def ours(address):
    return address.startswith(
        (HOME.url, HOME.site.rstrip("/"), HOME.notebooks.partition("/blob")[0])
    )


def test_no_file_names_another_repository():
    example = re.compile(r"OWNER|Some-One|ROOT|\{")
    stray = {
        (path.relative_to(ROOT).as_posix(), found)
        for path in files()
        for found in ADDRESS.findall(path.read_text(encoding="utf-8"))
        if not ours(found) and not example.search(found)
    }
    assert {
        entry for entry in stray if entry[1] not in OTHERS and "pre-commit" not in entry[0]
    } == set()


def test_the_addresses_follow_from_one():
    fork = repository.Repository(FORK)
    assert (
        fork.page("chapters/adam", "rule")
        == "https://some-one.github.io/a.fork/chapters/adam.html#rule"
    )
    assert fork.colab("adam") == (
        "https://colab.research.google.com/github/Some-One/a.fork/blob/main/colab/chapters/adam.ipynb"
    )
    assert fork.issue("A & b") == f"{FORK}/issues/new?title=A+%26+b&body="


@pytest.fixture
def copy(tmp_path):
    for name in repository.NAMING:
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_a_new_address_is_written_everywhere_and_back(copy):
    before = {name: (copy / name).read_text() for name in repository.NAMING}
    changed = repository.settle(copy, f"{FORK}.git")
    assert "pyproject.toml" in changed and "README.md" in changed and "CITATION.cff" in changed
    assert repository.read(copy).url == FORK
    assert not any(HOME.url in (copy / name).read_text() for name in repository.NAMING)
    assert not any(HOME.site in (copy / name).read_text() for name in repository.NAMING)
    repository.settle(copy, HOME.url)
    assert {name: (copy / name).read_text() for name in repository.NAMING} == before


@pytest.mark.parametrize(
    "url", ["", "github.com/a/b", "https://gitlab.com/a/b", f"{FORK}/tree/main"]
)
def test_a_bad_address_changes_nothing(copy, url):
    before = (copy / "pyproject.toml").read_bytes()
    with pytest.raises(ValueError, match="expected an address like .* Nothing was changed"):
        repository.settle(copy, url)
    assert (copy / "pyproject.toml").read_bytes() == before


def test_nothing_large_is_committed():
    """A wheel or a build that slipped into a commit stays in every clone for ever."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert [path.name for path in files if path.is_file() and path.stat().st_size >= 2**20] == []
