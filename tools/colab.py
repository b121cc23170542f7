"""The chapters as plain notebooks, for Colab and for those who teach.

A chapter's text is MyST, which Colab and GitHub show raw. So each chapter is written out again with
what every notebook viewer understands: statements as bold headings with the numbers that the site
shows, tags inside the formulas, references as links to the site. `colab/chapters` holds the whole
text, `colab/exercises` the same without solutions. Neither holds outputs: the reader makes them. A
piece of MyST that has no translation here is an error, so that none reaches a reader.

    python tools/colab.py [--check]
"""

from __future__ import annotations

import argparse
import ast
import difflib
import posixpath
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
import repository
import yaml  # type: ignore[import-untyped]
from docutils.parsers.rst.directives.misc import TestDirective  # type: ignore[import-untyped]
from ledger import markdown_parser
from markdown_it import MarkdownIt
from markdown_it.token import Token
from myst_parser.parsers.directives import parse_directive_text
from notebooks import LINK, Notebook, link_cell
from pybtex.database import Person, parse_file
from tangle import chapters

ROOT = Path(__file__).resolve().parents[1]
STATEMENTS = ("definition", "theorem", "lemma", "proposition", "corollary", "remark", "example")
NOTES = {"note": "Note", "tip": "Tip", "warning": "Warning", "important": "Important"}
STANDARD = sys.stdlib_module_names
WITH_DIGITS = "sklearn"  # problems.digits() needs it, and imports it when it is called

INSTALL = """# Installs the package of this book if it is missing, and says where the arrays will live.
import importlib.util
import subprocess
import sys

sources = ("{index}", "{source}")
if importlib.util.find_spec("adam_tutorial") is None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
    if all(subprocess.run([*pip, source]).returncode for source in sources):
        raise RuntimeError("pip could not install adam_tutorial; its messages are above.")
needed = {needed}
if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
    print("Please install first:", *missing)
from adam_tutorial import describe

print("This notebook computes with", describe())"""


class ColabError(Exception):
    """A sentence for the author: which cell has something that a plain notebook cannot show."""


# ---- What the site calls things


@dataclass
class Book:
    """The chapters in order, and the names that the site gives to labels, pages and papers."""

    root: Path
    numbers: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # label: name, page, id
    titles: dict[str, str] = field(default_factory=dict)  # of every page, by its path

    @cached_property
    def parser(self) -> MarkdownIt:
        return markdown_parser(self.root)

    @cached_property
    def home(self) -> repository.Repository:
        return repository.read(self.root)

    @cached_property
    def papers(self) -> Any:
        return parse_file(str(self.root / "references.bib")).entries

    def link(self, label: str, where: str) -> str:
        """A numbered thing by its name on the site, as a link to it."""
        if label not in self.numbers:
            raise ColabError(f"{where}: there is no label {label!r} in the book.")
        name, page, anchor = self.numbers[label]
        return f"[{name}]({self.home.page(page, anchor)})"

    def cited(self, key: str, where: str) -> str:
        """(Kingma and Ba, 2015): the authors and the year, as the site prints them."""
        if key not in self.papers:
            raise ColabError(f"{where}: there is no {key!r} in references.bib.")
        entry = self.papers[key]
        return f"{authors(entry.persons['author'])}, {entry.fields['year']}"


def authors(persons: list[Person]) -> str:
    names = [" ".join([*person.prelast_names, *person.last_names]) for person in persons]
    if len(names) > 2:
        return f"{names[0]} et al."
    return " and ".join(names).replace("{", "").replace("}", "")


def read_book(root: Path) -> Book:
    """Number every equation, statement and exercise as the site does."""
    book, counts = Book(root), Counter[tuple[str, str]]()
    for path, number in numbered(root):
        page = path.relative_to(root).with_suffix("").as_posix()
        for cell in read(path).cells:
            if cell.cell_type == "markdown" and cell.id != LINK:
                enter(book, counts, cell.source, page, number)
    for page in ("ledger", "api", "api_regret", "api_practice", "bibliography"):
        book.titles[page] = first_heading((root / f"{page}.md").read_text(encoding="utf-8"))
    return book


def numbered(root: Path) -> Iterator[tuple[Path, str]]:
    """The chapters, each with its number: "" in a part that is not numbered."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    known, count = set(chapters(root)), 0
    for part in toc["parts"]:
        for entry in part["chapters"]:
            path = root / f"{entry['file']}.ipynb"
            if path in known:
                count += bool(part.get("numbered"))
                yield path, str(count) if part.get("numbered") else ""


def enter(book: Book, counts: Counter[tuple[str, str]], text: str, page: str, number: str) -> None:
    """Give numbers to the labelled things of a piece of Markdown, in reading order."""
    if page not in book.titles and (heading := first_heading(text)):
        book.titles[page] = heading
    for token in book.parser.parse(text):
        if token.type == "math_block_label":
            name = f"({counted(counts, number, 'equation')})"
            book.numbers[token.info] = (name, page, f"equation-{token.info}")
        elif token.type in ("fence", "colon_fence") and token.info.startswith("{"):
            directive = Directive.read(token)
            label = directive.options.get("label", "")
            if directive.kind in (*STATEMENTS, "exercise"):
                name = f"{directive.kind.capitalize()} {counted(counts, number, directive.kind)}"
                book.numbers[label] = (name, page, label)
            if directive.kind in (*STATEMENTS, "proof", "exercise", *NOTES):
                enter(book, counts, directive.body, page, number)


def counted(counts: Counter[tuple[str, str]], number: str, kind: str) -> str:
    counts[number, kind] += 1
    return f"{number}.{counts[number, kind]}".lstrip(".")


def first_heading(text: str) -> str:
    return next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), "")


@dataclass(frozen=True)
class Directive:
    """A fenced directive: its name without the domain, its title, its options and its body."""

    kind: str
    title: str
    options: dict[str, str]
    body: str

    @classmethod
    def read(cls, token: Token) -> Directive:
        name, _, title = token.info.strip().partition(" ")
        parsed = parse_directive_text(TestDirective, title, token.content)
        body = "\n".join(parsed.body)
        return cls(name[1:-1].removeprefix("prf:"), title.strip(), parsed.options, body)


# ---- From MyST to plain Markdown


@dataclass(frozen=True)
class Translator:
    """The text of one chapter, cell by cell; `where` names the cell in errors."""

    book: Book
    page: str
    where: str = ""

    def text(self, source: str) -> str:
        """A piece of Markdown without any MyST; blocks are found by the book's own parser."""
        lines, pieces, done = source.splitlines(), list[str](), 0
        for token in self.book.parser.parse(source):
            if token.level == 0 and token.map and (block := self.block(token)) is not None:
                first, last = token.map
                pieces += [self.inline("\n".join(lines[done:first])), block]
                done = last
        pieces.append(self.inline("\n".join(lines[done:])))
        text = re.sub(
            r"\n{3,}", "\n\n", "\n\n".join(piece.strip("\n") for piece in pieces if piece)
        )
        self.refuse_rest(text)
        return text.strip("\n")

    def block(self, token: Token) -> str | None:
        """The translation of a block that plain Markdown does not know; None for any other."""
        if token.type == "math_block_label":
            number = self.book.numbers[token.info][0].strip("()")
            return f"$$\n{token.content.strip()} \\tag{{{number}}}\n$$"
        if token.type == "math_block":
            return f"$$\n{token.content.strip()}\n$$"
        if token.type in ("fence", "colon_fence") and token.info.startswith("{"):
            return self.directive(Directive.read(token))
        return "" if token.type in ("myst_line_comment", "myst_target") else None

    def directive(self, directive: Directive) -> str:
        kind, body = directive.kind, directive.body
        if kind in (*STATEMENTS, "exercise"):
            name = self.book.numbers[directive.options["label"]][0]
            title = f" ({directive.title})" if directive.title else ""
            return f"**{name}{title}.**\n\n{self.text(body)}"
        if kind == "proof":
            return f"*Proof.* {self.text(body)} ∎"
        if kind in NOTES:
            return f"**{NOTES[kind]}.** {self.text(body)}"
        if kind in ("solution-start", "solution-end"):
            return "**Solution.**" if kind == "solution-start" else ""
        raise ColabError(f"{self.where}: tools/colab.py has no plain form for {{{kind}}}.")

    def inline(self, source: str) -> str:
        """Roles and links inside a text, each replaced where it stands."""
        pieces, done = list[str](), 0
        for old, new in self.replacements(source):
            place = source.index(old, done)
            pieces += [source[done:place], new]
            done = place + len(old)
        return "".join([*pieces, source[done:]])

    def replacements(self, source: str) -> Iterator[tuple[str, str]]:
        for token in self.book.parser.parse(source):
            children = token.children or []
            for child, after in zip(children, [*children, None][1:], strict=True):
                if child.type == "myst_role":
                    name = child.meta["name"]
                    yield f"{{{name}}}`{child.content}`", self.role(name, child.content)
                elif child.type == "link_open":
                    yield from self.link(str(child.attrs["href"]), after)

    def role(self, name: str, content: str) -> str:
        if name in ("eq", "prf:ref"):
            return self.book.link(content, self.where)
        if name in ("cite:p", "cite:t"):
            listed = self.book.home.page("bibliography")
            text = "; ".join(self.book.cited(key.strip(), self.where) for key in content.split(","))
            return f"([{text}]({listed}))" if name == "cite:p" else f"[{text}]({listed})"
        raise ColabError(f"{self.where}: tools/colab.py has no plain form for the role {{{name}}}.")

    def link(self, target: str, text: Token | None) -> Iterator[tuple[str, str]]:
        """A link to another page of the book leads to the site."""
        if re.match(r"[a-z]+:|#", target):
            return
        path, _, anchor = target.partition("#")
        page = posixpath.normpath(posixpath.join(posixpath.dirname(self.page), path))
        page = page.rpartition(".")[0]
        if page not in self.book.titles:
            raise ColabError(f"{self.where}: the link to {target} leads to no page of the book.")
        title = "" if text and text.type != "link_close" else self.book.titles[page]
        yield f"]({target})", f"{title}]({self.book.home.page(page, anchor)})"

    def refuse_rest(self, text: str) -> None:
        """Nothing that only MyST understands may be left."""
        plain = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`", "", text, flags=re.DOTALL)
        for pattern in (r"\{[a-z][\w:+-]*\}", r"^:::", r"^\([\w-]+\)=", r"^%", r"^```\{", r"\{\{"):
            if left := re.search(pattern, plain, re.MULTILINE):
                raise ColabError(f"{self.where}: {left[0]!r} would be shown as it is.")


# ---- Notebooks


def read(path: Path) -> Notebook:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def plain(book: Book, path: Path, solutions: bool) -> str:
    """A chapter as the text of a plain notebook."""
    page = path.relative_to(book.root).with_suffix("").as_posix()
    notebook = read(path)
    cells = [head(book, page), install_cell(book, notebook)]
    for cell in without_solutions(notebook.cells) if not solutions else notebook.cells:
        if cell.id != LINK:
            cells += translated(book, page, cell)
    metadata = {**notebook.metadata, "colab": {"provenance": []}, "accelerator": "GPU"}
    metadata.pop("executed", None)
    made = nbformat.v4.new_notebook(cells=cells, metadata=metadata)  # type: ignore[no-untyped-call]
    made.nbformat_minor = 5
    nbformat.validate(made)
    return f"{nbformat.writes(made)}\n"  # type: ignore[no-untyped-call]


def markdown(cell_id: str, source: str) -> Any:
    return nbformat.v4.new_markdown_cell(source, id=cell_id)  # type: ignore[no-untyped-call]


def code(cell_id: str, source: str, folded: bool = False) -> Any:
    metadata = {"jupyter": {"source_hidden": True}} if folded else {}
    return nbformat.v4.new_code_cell(source, id=cell_id, metadata=metadata)  # type: ignore[no-untyped-call]


def head(book: Book, page: str) -> Any:
    text = f"From the book [Adam, from Moments to Regret]({book.home.page()}). "
    return markdown(
        "about", f"{text}This chapter on the site: [{book.titles[page]}]({book.home.page(page)})."
    )


def install_cell(book: Book, notebook: Notebook) -> Any:
    with (book.root / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    index = f"{project['name']}=={project['version']}"
    source = f"git+{book.home.url}@{repository.BRANCH}"
    return code("install", INSTALL.format(index=index, source=source, needed=needed(notebook)))


def needed(notebook: Notebook) -> str:
    """The libraries that a chapter imports, as a Python list."""
    names = {"matplotlib"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            names |= set(imported(ast.parse(cell.source)))
    others = sorted(name for name in names if name not in STANDARD and name != "adam_tutorial")
    return "[" + ", ".join(f'"{name}"' for name in others) + "]"


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]
            if any(alias.name == "digits" for alias in node.names):
                yield WITH_DIGITS


def translated(book: Book, page: str, cell: Any) -> Iterator[Any]:
    """The cell in plain form; a figure's caption follows it. A cell that says nothing is left out."""
    translate = Translator(book, page, f"{page}.ipynb#{cell.id}")
    if cell.cell_type == "markdown":
        if text := translate.text(cell.source):
            yield markdown(cell.id, text)
        return
    yield code(cell.id, cell.source, "hide-input" in cell.metadata.get("tags", []))
    caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption")
    if caption:
        yield markdown(f"{cell.id}-caption", f"*{translate.text(caption)}*")


def without_solutions(cells: list[Any]) -> Iterator[Any]:
    """The cells, with an empty one to write in where a solution stood."""
    inside = False
    for cell in cells:
        if cell.cell_type != "markdown":
            if not inside:
                yield cell
            continue
        before, opened, rest = cell.source.partition("```{solution-start}")
        _, closed, after = cell.source.partition("```{solution-end}\n```")
        if closed:
            inside, before = False, after.partition("```{solution-start}")[0]
        if opened:
            inside = True
        elif not closed:
            before = "" if inside else before + rest
        if before.strip():
            yield markdown(cell.id, before.strip("\n"))
        if opened:
            yield code(f"{cell.id}-answer", "# your answer")


# ---- Files


def build(root: Path) -> dict[str, str]:
    """Every generated file by its path, and the chapters with their first cell brought up to date."""
    book, files = read_book(root), dict[str, str]()
    for path in chapters(root):
        files[f"colab/chapters/{path.name}"] = plain(book, path, solutions=True)
        files[f"colab/exercises/{path.name}"] = plain(book, path, solutions=False)
        files[path.relative_to(root).as_posix()] = with_link(path)
    return files


def with_link(path: Path) -> str:
    """The chapter itself, beginning with the link to its plain form."""
    notebook = read(path)
    notebook.cells = [link_cell(path.stem), *(c for c in notebook.cells if c.id != LINK)]
    return f"{nbformat.writes(notebook)}\n"  # type: ignore[no-untyped-call]


def stale(root: Path, files: dict[str, str]) -> list[Path]:
    """Generated notebooks that no chapter stands for any more."""
    return [
        path
        for path in sorted((root / "colab").rglob("*.ipynb"))
        if path.relative_to(root).as_posix() not in files
    ]


def differences(root: Path, files: dict[str, str]) -> Iterator[str]:
    for name, text in files.items():
        path = root / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old != text:
            lines = difflib.unified_diff(
                old.splitlines(), text.splitlines(), name, f"{name} (generated)", lineterm="", n=1
            )
            yield "\n".join([*list(lines)[:20], ""])
    for path in stale(root, files):
        yield f"{path.relative_to(root).as_posix()}: there is no such chapter\n"


def write(root: Path, files: dict[str, str]) -> int:
    """Write what changed, delete what is stale; the number of files touched."""
    touched = 0
    for name, text in files.items():
        path = root / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            touched += 1
    for path in stale(root, files):
        path.unlink()
        touched += 1
    return touched


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the chapters as plain notebooks for Colab.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if anything would"
    )
    asked = parser.parse_args(arguments)
    try:
        files = build(ROOT)
    except ColabError as error:
        print(error, file=sys.stderr)
        return 1
    if asked.check:
        found = list(differences(ROOT, files))
        print("".join(found) + "Run `make colab`." if found else "colab: up to date")
        return bool(found)
    print(f"colab: {len(files)} notebooks, {write(ROOT, files)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
