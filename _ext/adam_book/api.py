"""The API page: docstrings as they are written in the chapters, made fit for Sphinx.

Docstrings here are plain text: formulas such as beta**t and m_hat_t, names in single backticks, and
blocks of `name  what it is` lines. Sphinx would read the stars and underscores as markup. So the
text is escaped, and the blocks become parameter lists. Hyper-parameters of an optimizer are
documented beside their fields, as comments; they are listed too. And every entry links to the
chapter cell that defines it.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

MARKER = re.compile(r"^# %% (chapters/\w+)\.ipynb#([\w-]+)$")
ROW = re.compile(r"^(\w+(?:, \w+)*) {2,}(\S.*)$")  # name  what it is
LINKED = {"function", "class", "method", "property", "exception"}  # what has lines of its own
FIELD = re.compile(r"^    (\w+): .*?  # (.+)$")  # lr: Schedule = 1e-3  # what it is


def adapt(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Rewrite a docstring in place; Sphinx calls this for each one."""
    documented = [*parameters(lines)]
    if inspect.isclass(thing):
        documented += [f":param {field}: {marked(text)}" for field, text in commented(thing)]
    link = ["", defined_in(thing)] if what in LINKED else []
    lines[:] = ["", *documented, *link, ""]


def parameters(lines: list[str]) -> Iterator[str]:
    """The lines of a docstring, escaped, its `name  text` rows as a parameter list."""
    inside = False  # below a row, where a deeper line continues it
    for line in lines:
        row = ROW.match(line.strip())
        if row and not line.startswith("- "):
            if not inside:
                yield ""
            inside = True
            yield f":param {row[1]}: {marked(row[2])}"
        elif inside and line.startswith(" "):
            yield f"    {marked(line.strip())}"
        else:
            inside = False
            yield marked(line)


def marked(text: str) -> str:
    """Plain text as reStructuredText: `code` set as code, everything else as it stands."""
    pieces = re.split(r"`([^`]*)`", text)
    for place in range(0, len(pieces), 2):
        pieces[place] = re.sub(r"([\\*_|])", r"\\\1", pieces[place])
    for place in range(1, len(pieces), 2):
        pieces[place] = f"``{pieces[place]}``"
    return "".join(pieces)


def commented(thing: type) -> Iterator[tuple[str, str]]:
    """The fields of a dataclass with the comment behind each, inherited ones left out."""
    if not dataclasses.is_dataclass(thing):
        return
    for line in inspect.getsource(thing).splitlines():
        if found := FIELD.match(line):
            yield found[1], found[2]


def defined_in(thing: Any) -> str:
    """A link to the chapter cell that an object's lines come from."""
    behind = getattr(thing, "fget", None) or getattr(thing, "func", None)  # a (cached) property's
    thing = inspect.unwrap(behind or thing)
    file = Path(inspect.getsourcefile(thing) or "")
    first = inspect.getsourcelines(thing)[1]
    above = file.read_text(encoding="utf-8").splitlines()[: first - 1]
    chapter, cell = next(
        found.groups() for line in reversed(above) if (found := MARKER.match(line))
    )
    return f"Defined in `{chapter}.ipynb, {cell} <{chapter}.html#{cell}>`__."


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.viewcode")
    app.connect("autodoc-process-docstring", adapt)
