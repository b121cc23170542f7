"""The glue between the chapters and their HTML pages.

Sphinx knows nothing of notebook cells, so this extension gives every code cell its cell id as an
anchor, and builds the ledger page from the chapters themselves: nothing on that page is written by
hand, and each entry leads to the cell that does the checking. It also unplugs sphinx-thebe, which
Jupyter Book always loads: this book starts no remote kernels, and its pages name no other site.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import ledger as book  # noqa: E402

logger = logging.getLogger(__name__)


def anchor_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Give each code cell of a notebook page its cell id as HTML anchor."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    cells = nbformat.v4.reads(path.read_text(encoding="utf-8")).cells
    # not doctree.ids: sphinx-proof and sphinx-exercise do not register their labels there
    taken = {name for node in doctree.findall(nodes.Element) for name in node["ids"]}
    for node in doctree.findall(nodes.container):
        if node.get("nb_element") == "cell_code":
            anchor(node, cells[node["cell_index"]]["id"], taken)


def anchor(node: nodes.Element, cell_id: str, taken: set[str]) -> None:
    """Make `cell_id` an id of this node, unless something else on the page has it."""
    if cell_id in taken:
        what = f"the cell id {cell_id!r} is also the id of something else here: rename the cell"
        logger.warning(what, location=node)
    else:
        node["ids"].append(cell_id)
        taken.add(cell_id)


class LedgerDirective(SphinxDirective):
    """`{ledger}`: how many checks of each kind, then every check, chapter by chapter."""

    def run(self) -> list[nodes.Node]:
        ledger = book.read(Path(self.env.srcdir))
        self.report(ledger.errors)
        for chapter in ledger.titles:
            self.env.note_dependency(str(Path(self.env.srcdir) / chapter))
        return [counts(ledger), *(self.chapter(ledger, chapter) for chapter in ledger.titles)]

    def report(self, errors: list[str]) -> None:
        if errors:
            what = f"the ledger has {len(errors)} errors; the first: {errors[0]}"
            logger.warning(what, location=self.get_location())

    def chapter(self, ledger: book.Ledger, chapter: str) -> nodes.Node:
        """The checks of one chapter, under its title; nothing where it has none."""
        checks = [check for check in ledger.checks if check.chapter == chapter]
        if not checks:
            return nodes.comment()
        title = nodes.title("", ledger.titles[chapter])
        grid = table(HEADER, [self.row(check) for check in checks])
        return nodes.section("", title, grid, ids=[f"ledger-{Path(chapter).stem}"])

    def row(self, check: book.Check) -> list[nodes.Node]:
        label = self.link(check, nodes.literal("", check.label))
        return [label, *map(nodes.Text, (check.kind, check.statement, check.note))]

    def link(self, check: book.Check, content: nodes.Node) -> nodes.reference:
        """A link to the code cell that makes this check."""
        document = check.chapter.removesuffix(".ipynb")
        uri = self.env.app.builder.get_relative_uri(self.env.docname, document)
        return nodes.reference("", "", content, internal=True, refuri=f"{uri}#{check.cell_id}")


HEADER = ("Claim", "Kind", "What is checked", "What it found, or its source")


def counts(ledger: book.Ledger) -> nodes.paragraph:
    claims = sum(claim.needs_check for claim in ledger.claims)
    kinds = ", ".join(f"{number} {kind}" for kind, number in ledger.counts().items())
    return nodes.paragraph("", f"{claims} claims, {len(ledger.checks)} checks: {kinds}.")


def table(header: tuple[str, ...], rows: list[list[nodes.Node]]) -> nodes.table:
    """A table whose columns are as wide as their contents ask."""
    columns = [nodes.colspec(colwidth=1) for _ in header]
    head = nodes.thead("", table_row([nodes.Text(text) for text in header]))
    body = nodes.tbody("", *map(table_row, rows))
    group = nodes.tgroup("", *columns, head, body, cols=len(header))
    return nodes.table("", group, classes=["ledger", "colwidths-auto"])


def table_row(cells: list[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def unplug_thebe(app: Sphinx) -> None:
    """Disconnect sphinx-thebe and leave out its files.

    It writes the address of a CDN and of a placeholder repository into the pages, and browsers
    report that its constant THEBE_JS_URL is declared twice.
    """
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)
    app.registry.css_files = [
        file for file in app.registry.css_files if file[0] != "sphinx-thebe.css"
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    unplug_thebe(app)
    app.add_directive("ledger", LedgerDirective)
    app.connect("doctree-read", anchor_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
