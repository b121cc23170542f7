"""Where the project lives: every address that a page, notebook or badge shows is made here.

pyproject.toml holds the address of the repository, and nothing else does. A fork changes it there,
and its buttons, install cells, badges and citation follow.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

ROOT = Path(__file__).resolve().parents[1]
BRANCH = "main"


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

    def file(self, path: str) -> str:
        """The page that shows a file of the repository."""
        return f"{self.url}/blob/{BRANCH}/{quote(path)}"

    def page(self, document: str = "index", anchor: str = "") -> str:
        """A page of the published book."""
        fragment = f"#{anchor}" if anchor else ""
        return f"{self.site}{document}.html{fragment}"

    def colab(self, chapter: str) -> str:
        """The address that opens the plain notebook of a chapter in Colab."""
        path = f"colab/chapters/{chapter}.ipynb"
        tail = f"{self.owner}/{self.name}/blob/{BRANCH}/{path}"
        return f"https://colab.research.google.com/github/{tail}"

    def issue(self, title: str, body: str = "") -> str:
        """The form for a new issue, with its title filled in."""
        return f"{self.url}/issues/new?{urlencode({'title': title, 'body': body})}"


def read(root: Path = ROOT) -> Repository:
    """The repository that pyproject.toml names."""
    with (root / "pyproject.toml").open("rb") as file:
        return Repository(tomllib.load(file)["project"]["urls"]["Repository"].rstrip("/"))
