"""The ledger: every claim of the book, beside the checks that stand for it.

A displayed claim (a labelled equation, a numbered theorem, lemma, proposition or corollary) must be
followed, in its own chapter, by a check that can fail. Nothing in a notebook enforces that, so this
tool reads the chapters as the book's own parser reads them, takes the check calls from the code and
what they printed from the stored outputs, and names every claim without a check, every check
without a claim, and every check that did not run or did not hold.

    python tools/ledger.py --check [--root DIR]
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import yaml  # type: ignore[import-untyped]
from docutils.parsers.rst.directives.misc import TestDirective  # type: ignore[import-untyped]
from IPython.core.inputtransformer2 import TransformerManager
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.directives import parse_directive_text
from myst_parser.parsers.mdit import create_md_parser
from tangle import TangleError, chapters, exported

KINDS = ("exact", "symbolic", "bound", "statistical", "measured", "quoted")
MARKS = {kind: "✓" for kind in KINDS} | {"quoted": "§"}

# Statements that say what words mean, or what is assumed or illustrated: nothing in them to prove.
EXEMPT = {"prf:definition", "prf:algorithm", "prf:example", "prf:remark", "prf:assumption"}
# Directives whose body is not Markdown, so that an equation in it is not the book's.
LITERAL = {
    "code", "code-block", "code-cell", "sourcecode", "parsed-literal", "literalinclude",
    "raw", "math", "mermaid", "toctree", "bibliography", "comment",
}  # fmt: skip

# Tags of cells that myst-nb leaves out of the page.
REMOVED = {"remove-cell", "remove_cell"}


@dataclass(frozen=True)
class Claim:
    """A labelled place of the book; `kind_of_claim` is equation, theorem, exercise, ..."""

    label: str
    kind_of_claim: str
    chapter: str
    cell_id: str
    cell: int = 0  # position in the chapter, to tell before from after
    needs_check: bool = True


@dataclass(frozen=True)
class Check:
    """One line that a check printed: what was checked, and what it found (`note`)."""

    label: str
    kind: str
    statement: str
    note: str
    chapter: str
    cell_id: str
    cell: int = 0


@dataclass
class Ledger:
    """All claims and checks in the book's order, and what is wrong with them, as sentences."""

    claims: list[Claim] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)  # of every chapter, in order
    called: set[str] = field(default_factory=set)  # labels of all check calls, run or not

    def counts(self) -> dict[str, int]:
        """Number of checks of each kind, in the order of `KINDS`."""
        found = Counter(check.kind for check in self.checks)
        return {kind: found[kind] for kind in KINDS}

    def summary(self) -> str:
        """One line: how many claims, how many checks, of which kinds."""
        claims = sum(claim.needs_check for claim in self.claims)
        kinds = ", ".join(f"{kind} {number}" for kind, number in self.counts().items())
        return f"ledger: {claims} claims, {len(self.checks)} checks ({kinds})"


def read(root: Path) -> Ledger:
    """Read every chapter of the book in `root`, and judge it."""
    ledger, parser = Ledger(), markdown_parser(root)
    for path in chapters(root):
        read_chapter(ledger, parser, path, path.relative_to(root).as_posix())
    ledger.errors += duplicates(ledger) + unchecked(ledger) + misplaced(ledger)
    return ledger


def markdown_parser(root: Path) -> MarkdownIt:
    """The book's own Markdown parser, with the extensions that `_config.yml` enables."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    extensions = set(config["parse"]["myst_enable_extensions"])
    return create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)


def read_chapter(ledger: Ledger, parser: MarkdownIt, path: Path, chapter: str) -> None:
    """Add the claims, checks and errors of one notebook."""
    # nbformat.read would quietly give new ids to cells that share one
    notebook = nbformat.v4.reads(path.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
    ledger.titles[chapter] = title(parser, notebook.cells) or chapter
    for index, cell in enumerate(notebook.cells):
        place = Place(ledger, chapter, cell["id"], index)
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown" and not tags & REMOVED:
            read_markdown(place, parser, cell.source)
        # a cell of the package makes no checks, and one that is meant to fail proves nothing
        elif cell.cell_type == "code" and not exported(cell) and "raises-exception" not in tags:
            read_code(place, cell, bool(tags & REMOVED))


def title(parser: MarkdownIt, cells: list[Any]) -> str | None:
    """The text of a notebook's first heading."""
    sources = (cell.source for cell in cells if cell.cell_type == "markdown")
    for before, token in pairwise(token for source in sources for token in parser.parse(source)):
        if before.type == "heading_open":
            return token.content
    return None


@dataclass(frozen=True)
class Place:
    """A cell of a chapter, to which findings are attributed."""

    ledger: Ledger
    chapter: str
    cell_id: str
    cell: int

    def claim(self, label: str, kind: str, needs_check: bool) -> None:
        needs_check = needs_check and not label.startswith("def-")
        where = (self.chapter, self.cell_id, self.cell)
        self.ledger.claims.append(Claim(label, kind, *where, needs_check))

    def check(self, label: str, kind: str, statement: str, note: str) -> None:
        where = (self.chapter, self.cell_id, self.cell)
        self.ledger.checks.append(Check(label, kind, statement, note, *where))

    def error(self, sentence: str) -> None:
        self.ledger.errors.append(f"{self.chapter}#{self.cell_id}: {sentence}")


# --- claims, from Markdown ---------------------------------------------------------------------


def read_markdown(place: Place, parser: MarkdownIt, text: str, exempt: bool = False) -> None:
    """Collect the claims of a piece of Markdown; directives are followed into their bodies."""
    for token in parser.parse(text):
        if token.type == "math_block_label":
            place.claim(token.info, "equation", not exempt)
        elif token.type == "amsmath" and token.meta["numbered"] != "*":
            place.error(
                f"\\begin{{{token.meta['environment']}}} is numbered, but has no label that a check"
                " can name: write $$ ... $$ (label), with aligned or gathered inside."
            )
        elif token.type in ("fence", "colon_fence"):
            read_fence(place, parser, token, exempt)
        if token.type.startswith("math_block"):
            refuse_label(place, token.content)


def read_fence(place: Place, parser: MarkdownIt, token: Token, exempt: bool) -> None:
    """Collect the claims of a fenced block: a directive, a div, or code, which has none."""
    name, _, argument = token.info.strip().partition(" ")
    content = token.content
    if name.startswith("{") and name.endswith("}"):
        if token.type == "colon_fence" and content.startswith(":::"):
            content = "\n" + content  # as myst-parser does, lest the inner fence pass for options
        read_directive(place, parser, name[1:-1], argument, content, exempt)
    elif token.type == "colon_fence":
        read_markdown(place, parser, content, exempt)


def read_directive(
    place: Place, parser: MarkdownIt, name: str, argument: str, content: str, exempt: bool
) -> None:
    """Collect the claim that a directive is, and those in its body."""
    if name == "eval-rst":
        return place.error("{eval-rst} hides its content from the ledger: write it in MyST.")
    # docutils' test directive takes any option, so the real classes need not be loaded
    parsed = parse_directive_text(TestDirective, argument, content)
    read_label(place, name, parsed.options, exempt)
    if name == "math":
        refuse_label(place, content)
    if name == "prf:proof":
        refuse_bare_proof(place, "".join(parsed.body[:1]))
    if name not in LITERAL:
        read_markdown(place, parser, "\n".join(parsed.body), exempt or name in EXEMPT)
    return None


def read_label(place: Place, name: str, options: dict[str, str], exempt: bool) -> None:
    """Enter a directive's label; a numbered statement must have one."""
    kind = "equation" if name == "math" else name.removeprefix("prf:")
    statement = name.startswith("prf:") and name not in EXEMPT | {"prf:proof"}
    label = options.get("label") or options.get("name")
    if label:
        place.claim(label, kind, (statement or name == "math") and not exempt)
    elif statement and "nonumber" not in options:
        place.error(f"this {kind} is numbered, but has no :label: that a check can name.")


def refuse_bare_proof(place: Place, first_line: str) -> None:
    """sphinx-proof writes "Proof. " in front of the first line, whatever it is."""
    if first_line.lstrip().startswith(("$$", "```", ":::")):
        place.error('a proof must begin with words: "Proof. " before this line breaks it.')


def refuse_label(place: Place, latex: str) -> None:
    if "\\label{" in latex:
        place.error(
            "\\label{...} inside a formula is a label that no check can name:"
            " write $$ ... $$ (label), with aligned or gathered inside."
        )


# --- checks, from code and its output ----------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A check call; `statement` is None unless it is a string literal."""

    label: str
    kind: str
    statement: str | None


@dataclass(frozen=True)
class Line:
    """A line that a check printed: `✓ exact       (label) statement [note]`."""

    mark: str
    kind: str
    label: str
    text: str


def read_code(place: Place, cell: Any, removed: bool) -> None:
    """Collect the checks that a code cell calls, as its stored output shows them."""
    calls, lines = list(check_calls(place, cell.source)), list(printed_lines(cell))
    for line in lines:
        enter_line(place, line, calls)
    place.ledger.called.update(call.label for call in calls)
    for call in calls:
        if not any(prints(call, line) for line in lines):
            place.error(f"check({call.label!r}, {call.kind!r}) has no line in the stored output.")
        if removed:
            place.error(f"check({call.label!r}, {call.kind!r}) is in a cell that no page shows.")


def enter_line(place: Place, line: Line, calls: list[Call]) -> None:
    """Enter one printed line as a check, if a call of this cell made it and it holds."""
    call = next((call for call in calls if prints(call, line)), None)
    if call is None:
        place.error(f"the output shows a check of {line.label!r} that this cell does not make.")
    elif line.mark != MARKS[line.kind]:
        place.error(f"the check of {line.label!r} failed: {line.mark} {line.text}")
    else:
        place.check(line.label, line.kind, *split_note(line.text, call.statement))


def check_calls(place: Place, source: str) -> Iterator[Call]:
    """The calls of `check` in a cell; what is wrong with their arguments is an error."""
    for node in ast.walk(python_tree(place, source)):
        if not isinstance(node, ast.Call) or called_name(node.func) != "check":
            continue
        label, kind, statement = (*map(literal, node.args[:3]), None, None, None)[:3]
        if label is None or kind is None:
            place.error(f"line {node.lineno}: label and kind of a check must be string literals.")
        elif kind not in KINDS:
            place.error(f"check({label!r}, {kind!r}): the kinds are {', '.join(KINDS)}.")
        else:
            yield Call(label, kind, statement)


def python_tree(place: Place, source: str) -> ast.Module:
    """The cell's syntax tree, as IPython reads it: magics are Python calls there."""
    try:
        manager = TransformerManager()  # type: ignore[no-untyped-call]
        return ast.parse(manager.transform_cell(source))
    except SyntaxError as error:
        place.error(f"line {error.lineno} is not Python: {error.msg}.")
        return ast.Module([], [])


def called_name(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def literal(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def printed_lines(cell: Any) -> Iterator[Line]:
    """The lines of a cell's stored stdout that have the form of a check."""
    outputs = [out for out in cell.outputs if out.output_type == "stream" and out.name == "stdout"]
    for text in "".join(out.text for out in outputs).splitlines():
        mark, _, rest = text.partition(" ")
        kind, _, rest = rest.partition(" ")
        label, closing, statement = rest.lstrip().removeprefix("(").partition(") ")
        if len(mark) == 1 and kind in KINDS and closing and rest.lstrip().startswith("("):
            yield Line(mark, kind, label, statement)


def prints(call: Call, line: Line) -> bool:
    """Whether this call can have printed this line."""
    if (call.label, call.kind) != (line.label, line.kind):
        return False
    statement = call.statement
    return statement is None or line.text == statement or line.text.startswith(statement + " [")


def split_note(text: str, statement: str | None) -> tuple[str, str]:
    """Split `statement [note]`; where the statement is computed, the last bracket is the note."""
    if statement is None:
        statement = text.rpartition(" [")[0] if text.endswith("]") else text
        statement = statement or text
    return statement, text[len(statement) :].strip().removeprefix("[").removesuffix("]")


# --- judging -----------------------------------------------------------------------------------


def duplicates(ledger: Ledger) -> list[str]:
    """Labels that are given twice: a check could not tell which it is for."""
    first: dict[str, Claim] = {}
    return [
        f"{at(claim)}: the label {claim.label!r} is already taken in {at(first[claim.label])}."
        for claim in ledger.claims
        if first.setdefault(claim.label, claim) is not claim
    ]


def unchecked(ledger: Ledger) -> list[str]:
    """Claims that no check names."""
    return [
        f"{at(claim)}: the {claim.kind_of_claim} {claim.label!r} has no check."
        for claim in ledger.claims
        if claim.needs_check and claim.label not in ledger.called
    ]


def misplaced(ledger: Ledger) -> list[str]:
    """Checks that no claim of their own chapter precedes."""
    claims = {claim.label: claim for claim in reversed(ledger.claims)}
    sentences = (misplacement(check, claims.get(check.label)) for check in ledger.checks)
    return [sentence for sentence in sentences if sentence]


def misplacement(check: Check, claim: Claim | None) -> str | None:
    """What is wrong with the place of a check, if anything."""
    subject = f"{at(check)}: the check of {check.label!r}"
    if claim is None:
        return f"{subject} names a label that no chapter has."
    if claim.chapter != check.chapter:
        return f"{subject} is in another chapter than its claim, which is in {at(claim)}."
    if check.cell <= claim.cell:
        return f"{subject} stands before its claim, which is in {at(claim)}."
    return None


def at(entry: Claim | Check) -> str:
    return f"{entry.chapter}#{entry.cell_id}"


def main(arguments: list[str] | None = None) -> int:
    """Print the summary, or with --check what is wrong, and say by the exit status which."""
    parser = argparse.ArgumentParser(description="Lists the claims of the book and their checks.")
    parser.add_argument("--check", action="store_true", help="exit 1 if a claim has no check")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    options = parser.parse_args(arguments)
    try:
        ledger = read(options.root.resolve())
    except TangleError as error:
        print(error)
        return 1
    print("\n".join(ledger.errors) if ledger.errors else ledger.summary())
    return int(bool(ledger.errors) and options.check)


if __name__ == "__main__":
    sys.exit(main())
