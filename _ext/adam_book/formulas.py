"""Formulas, set in the reader's browser by KaTeX, from the book's own files.

Sphinx's usual renderer, MathJax, is five times as heavy: with it a chapter would weigh half a megabyte
before its figures. KaTeX needs a third, works from a folder, and gives screen readers MathML as well.
What Sphinx writes into the page is the same; only pages with formulas load what sets them.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.ext.mathjax import html_visit_displaymath, html_visit_math

# Named from _static, where Sphinx looks for scripts and styles; the files lie beside it (see _config.yml).
STYLE = "../vendor/katex/katex.min.css"
SCRIPTS = ("../vendor/katex/katex.min.js", "../js/formulas.js")


def load(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let a page that has formulas load KaTeX."""
    if doctree is not None and next(doctree.findall(is_formula), None) is not None:
        app.add_css_file(STYLE)
        for script in SCRIPTS:
            app.add_js_file(script, loading_method="defer")


def is_formula(node: nodes.Node) -> bool:
    return isinstance(node, (nodes.math, nodes.math_block))


def setup(app: Sphinx) -> None:
    visitors = (html_visit_math, None), (html_visit_displaymath, None)
    app.add_html_math_renderer("katex", *visitors)
    app.connect("html-page-context", load)
