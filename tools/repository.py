"""Where the project lives: every address that a page, notebook or badge shows is made here.

pyproject.toml holds the address of the repository, and nothing else decides it. `set` writes a new
one there and into all that derives from it: README, citation, the plain notebooks and the link that
each chapter begins with. So a fork needs one command, and the Pages workflow gives it on its own.

    python tools/repository.py set https://github.com/OWNER/NAME
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

ROOT = Path(__file__).resolve().parents[1]
BRANCH = "main"
FORM = re.compile(r"https://github\.com/[A-Za-z0-9][\w.-]*/[\w.-]+")
NAMING = ("pyproject.toml", "README.md", "CITATION.cff", "CONTRIBUTING.md", "CHANGELOG.md")


@dataclass(frozen=True)
class Repository:
    """The addresses that follow from one: https://github.com/OWNER/NAME."""

    url: str

    @property
    def owner(self) -> str:
        return self.url.split("/")[-2]

    @property
    def name(self) -> str:
        return self.url.split("/")[-1]

    @property
    def site(self) -> str:
        """Where GitHub Pages publishes the book."""
        return f"https://{self.owner.lower()}.github.io/{self.name}/"

    @property
    def notebooks(self) -> str:
        """What the address of every notebook in Colab begins with."""
        return f"https://colab.research.google.com/github/{self.owner}/{self.name}/blob/{BRANCH}/"

    def page(self, document: str = "index", anchor: str = "") -> str:
        """A page of the published book."""
        fragment = f"#{anchor}" if anchor else ""
        return f"{self.site}{quote(document)}.html{fragment}"

    def colab(self, chapter: str) -> str:
        """The address that opens the plain notebook of a chapter in Colab."""
        return f"{self.notebooks}colab/chapters/{quote(chapter)}.ipynb"

    def issue(self, title: str, body: str = "") -> str:
        """The form for a new issue, with its title filled in."""
        return f"{self.url}/issues/new?{urlencode({'title': title, 'body': body})}"


def read(root: Path = ROOT) -> Repository:
    """The repository that pyproject.toml names."""
    with (root / "pyproject.toml").open("rb") as file:
        return Repository(tomllib.load(file)["project"]["urls"]["Repository"].rstrip("/"))


def moved(text: str, old: Repository, new: Repository) -> str:
    """A text with every address of the old repository turned into one of the new."""
    for before, after in (
        (old.notebooks, new.notebooks),
        (old.site, new.site),
        (old.url, new.url),
    ):
        text = text.replace(before, after)
    return text


def settle(root: Path, url: str) -> list[str]:
    """Write a new address wherever the old one stands; the files that changed."""
    url = url.rstrip("/").removesuffix(".git")
    if not FORM.fullmatch(url):
        raise ValueError(
            f"expected an address like https://github.com/OWNER/NAME, got {url!r}. Nothing was "
            "changed."
        )
    old, new, changed = read(root), Repository(url), []
    for name in NAMING:
        text = (root / name).read_text(encoding="utf-8")
        if (now := moved(text, old, new)) != text:
            (root / name).write_text(now, encoding="utf-8")
            changed.append(name)
    return changed


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] != "set":
        print("Write: make url URL=https://github.com/OWNER/NAME", file=sys.stderr)
        return 2
    try:
        changed = settle(ROOT, sys.argv[2])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print("changed:", *(changed or ["nothing"]), flush=True)
    return subprocess.run([sys.executable, str(ROOT / "tools/colab.py")], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
