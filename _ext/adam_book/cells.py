"""Cells on a page: an anchor for each, a link from exported code to its module, borrowed figures.

The cell id is the address that the ledger, the module and the API use, so it must be an anchor of
the page. An exported cell says where its lines live in the package. The directive `{cell-figure}`
shows on another page the figure that a cell has drawn, with its own description, so that a figure
exists once.
"""

from __future__ import annotations

import ast
import base64
import posixpath
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from tangle import exported

logger = logging.getLogger(__name__)


def read(path: Path) -> list[nbformat.NotebookNode]:
    return list(nbformat.v4.reads(path.read_text(encoding="utf-8")).cells)


def is_chapter(app: Sphinx, document: str) -> bool:
    return app.env.doc2path(document, base=False).endswith(".ipynb")


def mark_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Give each code cell its id as anchor, and note which module its code is part of."""
    if not is_chapter(app, app.env.docname):
        return
    cells = read(Path(app.env.doc2path(app.env.docname)))
    # not doctree.ids: sphinx-proof and sphinx-exercise do not register their labels there
    taken = {name for node in doctree.findall(nodes.Element) for name in node["ids"]}
    for node in list(doctree.findall(nodes.container)):
        if node.get("nb_element") == "cell_code":
            cell = cells[node["cell_index"]]
            anchor(node, cell["id"], taken)
            if module := exported(cell):
                node["module"], node["first_name"] = module, first_public_name(cell["source"])


def anchor(node: nodes.Element, cell_id: str, taken: set[str]) -> None:
    """Make `cell_id` an id of this node, unless something else on the page has it."""
    if cell_id in taken:
        what = f"the cell id {cell_id!r} is also the id of something else here: rename the cell"
        logger.warning(what, location=node)
    else:
        node["ids"].append(cell_id)
        taken.add(cell_id)


class ModuleLinks(SphinxPostTransform):
    """A line above each exported cell: the module that its code is part of, linked to that code.

    It comes after MyST-NB has folded what is to be folded (its priority is 199): a fold must find
    the code as the first thing in the cell.
    """

    default_priority = 250
    formats = ("html",)

    def run(self, **options: Any) -> None:
        for node in list(self.document.findall(nodes.container)):
            if node.get("module"):
                node.insert(0, self.link(node["module"], node["first_name"]))

    def link(self, module: str, public: str | None) -> nodes.paragraph:
        page = f"_modules/adam_tutorial/{module}"
        address = posixpath.relpath(page, posixpath.dirname(self.env.docname)) + ".html"
        target = f"{address}#{public}" if public else address
        link = nodes.reference("", f"adam_tutorial/{module}.py", refuri=target)
        return nodes.paragraph("", "Part of ", link, classes=["exported-to"])


def first_public_name(source: str) -> str | None:
    """The first function or class that a cell defines for users; its source page has an anchor."""
    for statement in ast.parse(source).body:
        named = isinstance(statement, (ast.FunctionDef, ast.ClassDef))
        if named and not statement.name.startswith("_") and ast.get_docstring(statement):
            return str(statement.name)
    return None


class CellFigure(SphinxDirective):
    """`{cell-figure} chapters/adam.ipynb#step-bound-figure`, with the caption as content."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        chapter, _, cell_id = self.arguments[0].partition("#")
        path = Path(self.env.srcdir) / chapter
        drawn = figure_of(path, cell_id)
        if drawn is None:
            what = f"{self.arguments[0]}: no such cell, or it has drawn no figure"
            logger.warning(what, location=self.get_location())
            return []
        self.env.note_dependency(str(path))
        picture, alt = drawn
        document = chapter.removesuffix(".ipynb")
        target = self.env.app.builder.get_relative_uri(self.env.docname, document)
        link = nodes.reference("", "How it is made", refuri=f"{target}#{cell_id}", internal=True)
        caption = nodes.caption("", "")
        caption += self.parse_inline(" ".join(self.content), lineno=self.lineno)[0]
        caption += [nodes.Text(" "), link, nodes.Text(".")]
        image = nodes.image(uri=self.stored(cell_id, picture), alt=alt)
        return [nodes.figure("", image, caption, classes=["cell-figure"])]

    def stored(self, cell_id: str, picture: bytes) -> str:
        """Where the picture lies for Sphinx to copy it, as a path from the root of the sources."""
        folder = Path(self.env.app.outdir).parent / "cell-figures"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{cell_id}.png"
        file.write_bytes(picture)
        return f"/{posixpath.relpath(file.as_posix(), Path(self.env.srcdir).as_posix())}"


def figure_of(path: Path, cell_id: str) -> tuple[bytes, str] | None:
    """The PNG that a cell of a notebook has stored, and its description."""
    for cell in read(path) if path.exists() else []:
        if cell["id"] == cell_id:
            for output in cell.get("outputs", []):
                if png := output.get("data", {}).get("image/png"):
                    return base64.b64decode(png), cell.metadata["mystnb"]["image"]["alt"]
    return None


def setup(app: Sphinx) -> None:
    app.add_directive("cell-figure", CellFigure)
    app.add_post_transform(ModuleLinks)
    app.connect("doctree-read", mark_cells)
