"""The glue between the chapters and their HTML pages.

Sphinx knows nothing of notebook cells, of the package that they make, or of the repository that
they live in. This extension adds what follows from the chapters themselves, so that no page has to
repeat it by hand: an anchor on every cell and a link from its code to its module (`cells`), the
ledger of checks (`ledger_page`), the API from docstrings and comments (`api`), and what stands
around a page: its description, its Colab button, the link to report a mistake (`page`). And it sets
formulas with KaTeX (`formulas`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from . import api, cells, formulas, ledger_page, page  # noqa: E402


def setup(app: Sphinx) -> dict[str, Any]:
    page.setup(app)
    cells.setup(app)
    api.setup(app)
    formulas.setup(app)
    app.add_directive("ledger", ledger_page.LedgerDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
