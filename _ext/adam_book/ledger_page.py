"""The ledger page: every check of the book, chapter by chapter, with a link to its cell.

Nothing on that page is written by hand; it is read from the chapters each time the book is built.
"""

from __future__ import annotations

from pathlib import Path

import ledger as book
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)


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
