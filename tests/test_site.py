"""The built pages as files: links that lead somewhere, and what stands around each chapter."""

import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build/html"
sys.path.insert(0, str(ROOT / "tools"))

import repository  # noqa: E402
import tangle  # noqa: E402

HOME = repository.read()
CHAPTERS = [path.stem for path in tangle.chapters(ROOT)]
CITED = ("https://doi.org/", "https://arxiv.org/", "https://jmlr.org/", "https://openreview.net/",
         "https://karpathy.medium.com/", "https://towardsdatascience.com/", "https://proceedings.mlr.press/",
         "https://medium.com/", "https://www.cs.toronto.edu/", "https://cs231n.github.io/")  # fmt: skip
TOOLS = (
    "https://sphinx-book-theme.readthedocs.io",
    "https://jupyterbook.org",
    "https://ebp.jupyterbook.org",
)


class Page(HTMLParser):
    """The anchors, links, titles and descriptions of one page."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.meta: dict[str, str] = {}
        self.title = ""
        self._in_title = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag == "meta":
            self.meta[values.get("name") or values.get("property") or ""] = values.get(
                "content", ""
            )
        self._in_title = tag == "title" or (self._in_title and tag == "svg")

    def handle_data(self, data):
        if self._in_title:
            self.title += data
            self._in_title = False


def pages() -> list[str]:
    found = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    return [name for name in found if not name.startswith(("_static", "vendor"))]


@cache
def page(name: str) -> Page:
    return Page(SITE / name)


@pytest.fixture(scope="module", autouse=True)
def book():
    if not (SITE / "index.html").exists():
        pytest.fail("There is no book in _build/html to look at: run `make book` first.")


TEXTS = [name for name in pages() if not name.startswith(("_modules", "search"))]


@pytest.mark.parametrize("name", pages())
def test_every_link_leads_somewhere(name):
    lost = []
    for link in page(name).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (SITE / name).parent / unquote(parts.path) if parts.path else SITE / name
        inside = target.resolve().relative_to(SITE.resolve()).as_posix()
        if not target.exists() or (
            parts.fragment
            and target.suffix == ".html"
            and parts.fragment not in page(inside).anchors
        ):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("name", pages())
def test_links_to_other_sites_are_to_sources_and_to_the_repository(name):
    ours = (HOME.url, "https://colab.research.google.com/github/", *CITED, *TOOLS)
    outside = [link for link in page(name).links if urlsplit(link).scheme]
    assert [link for link in outside if not link.startswith(ours)] == []


@pytest.mark.parametrize("name", TEXTS)
def test_it_has_a_title_and_a_description(name):
    assert len(page(name).title) > 3
    described = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    texts = described["sphinx"]["config"]["page_descriptions"]
    assert page(name).meta["description"] == texts[name.removesuffix(".html")]
    assert page(name).meta["og:title"] in page(name).title


@pytest.mark.parametrize("name", pages())
def test_every_page_has_a_description(name):
    assert len(page(name).meta["description"]) >= 30
    assert page(name).meta["og:url"] == HOME.page(name.removesuffix(".html"))


@pytest.mark.parametrize("name", [name for name in pages() if name != "search.html"])
def test_a_mistake_can_be_reported(name):
    reports = [
        link for link in page(name).links if link.startswith(f"{HOME.url}/issues/new?title=")
    ]
    assert len(reports) == 1 and name.removesuffix(".html").replace("/", "%2F") in reports[0]


@pytest.mark.parametrize("name", TEXTS)
def test_chapters_alone_open_in_colab(name):
    opens = [link for link in page(name).links if "colab.research.google.com" in link]
    stem = name.removesuffix(".html").removeprefix("chapters/")
    assert opens == ([HOME.colab(stem)] if stem in CHAPTERS else [])


def test_exported_cells_link_to_their_lines():
    cells = [cell for module in tangle.read_modules(ROOT) for cell in module.cells]
    for chapter in CHAPTERS:
        linked = [link for link in page(f"chapters/{chapter}.html").links if "_modules/" in link]
        made = [cell.module for cell in cells if cell.chapter == f"chapters/{chapter}.ipynb"]
        found = [re.search(r"adam_tutorial/(\w+)\.html", link)[1] for link in linked]
        assert sorted(found) == sorted(made)
    adam = page("chapters/adam.html").links
    assert "../_modules/adam_tutorial/adam.html#Adam" in adam


API = ("api", "api_regret", "api_practice")


def test_the_api_page_has_every_public_name_and_its_cell():
    import adam_tutorial

    names = {name for name in adam_tutorial.__all__ if callable(getattr(adam_tutorial, name))}
    anchors = {anchor.rpartition(".")[2] for name in API for anchor in page(f"{name}.html").anchors}
    assert names - anchors <= {
        "Array",
        "Tree",
        "Schedule",
        "Axes",
    }  # aliases, not objects of their own
    links = [link for name in API for link in page(f"{name}.html").links]
    cells = [link for link in links if link.startswith("chapters/")]
    assert "chapters/adam.html#adam-rule" in cells
    for link in cells:
        document, _, cell = link.partition("#")
        assert not cell or cell in page(document).anchors


def test_the_api_page_follows_the_reading_order():
    text = "".join((ROOT / f"{name}.md").read_text(encoding="utf-8") for name in API)
    shown = re.findall(r"automodule:: adam_tutorial\.(\w+)", text)
    assert shown == [module.name for module in tangle.read_modules(ROOT)]


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_cell_that_is_to_be_folded_is_folded(name):
    """The link to the module must not stand between a cell and its fold."""
    chapter = nbformat.read(ROOT / f"chapters/{name}.ipynb", as_version=4)
    tagged = [cell for cell in chapter.cells if "hide-input" in cell.metadata.get("tags", [])]
    text = (SITE / f"chapters/{name}.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<details class="[^"]*above-input', text)) == len(tagged)
    exported = [cell for cell in chapter.cells if tangle.exported(cell)]
    assert text.count('<p class="exported-to">') == len(exported)
