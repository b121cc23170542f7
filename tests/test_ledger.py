"""The ledger must not be fooled: every way to lose a check is tried here once.

Each case is a tiny book, written to a temporary folder and read by `tools/ledger.py`. The last
tests build one such book with Sphinx, and compare what the ledger finds with Sphinx's own list of
labels, and the links of the ledger page with the anchors of the pages they lead to.
"""

import io
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "_ext")]

import ledger  # noqa: E402

EQUATION = "$$ a = b $$ (a-eq)"
CHECK = 'check("a-eq", "exact", "a is b")(True)'
LINE = "✓ exact       (a-eq) a is b\n"


def text(source, cell_id="text", tags=()):
    return new_markdown_cell(source, id=cell_id, metadata={"tags": list(tags)})


def code(source=CHECK, printed=LINE, cell_id="a-check", tags=()):
    outputs = [new_output("stream", name="stdout", text=printed)] if printed else []
    return new_code_cell(source, id=cell_id, outputs=outputs, metadata={"tags": list(tags)})


def write_book(root, *chapters):
    """A book in `root` with the project's own configuration; a chapter is a list of cells."""
    (root / "chapters").mkdir()
    names = [f"chapters/{'abc'[i]}" for i in range(len(chapters))]
    toc = {"format": "jb-book", "root": "index", "chapters": [{"file": name} for name in names]}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))
    (root / "_config.yml").write_text((ROOT / "_config.yml").read_text())
    for name, cells in zip(names, chapters, strict=True):
        language = {"name": "python"}
        book = new_notebook(cells=list(cells), metadata={"language_info": language})
        nbformat.write(book, root / f"{name}.ipynb")
    return root


def errors(root, *chapters):
    return ledger.read(write_book(root, *chapters)).errors


def labels(found):
    return [claim.label for claim in found.claims if claim.needs_check]


def test_claim_and_check_meet(tmp_path):
    found = ledger.read(write_book(tmp_path, [text("# Title", "title"), text(EQUATION), code()]))
    where = ("chapters/a.ipynb", "a-check", 2)
    assert found.errors == []
    assert found.claims == [ledger.Claim("a-eq", "equation", "chapters/a.ipynb", "text", 1)]
    assert found.checks == [ledger.Check("a-eq", "exact", "a is b", "", *where)]
    assert found.counts() == dict.fromkeys(ledger.KINDS, 0) | {"exact": 1}
    assert found.summary().startswith("ledger: 1 claims, 1 checks (exact 1, symbolic 0, ")
    assert found.titles == {"chapters/a.ipynb": "Title"}


@pytest.mark.parametrize(
    ("statement", "printed", "expected"),
    [
        ('"s"', "s [slack 0.1]", ("s", "slack 0.1")),
        ('"s [0, 1]"', "s [0, 1] [slack 0.1]", ("s [0, 1]", "slack 0.1")),
        ('"s [0, 1]"', "s [0, 1]", ("s [0, 1]", "")),
        ('f"s {t}"', "s 3 [slack 0.1]", ("s 3", "slack 0.1")),
        ('f"s {t}"', "s 3", ("s 3", "")),
        ('f"s {t}"', "s [0, 1] at 3", ("s [0, 1] at 3", "")),
    ],
)
def test_statement_and_note(tmp_path, statement, printed, expected):
    call = code(f'check("a-eq", "bound", {statement})(1)', f"✓ bound       (a-eq) {printed}\n")
    [check] = ledger.read(write_book(tmp_path, [text(EQUATION), call])).checks
    assert (check.statement, check.note) == expected


def test_quoted_and_loops_and_magics(tmp_path):
    source = (
        "%matplotlib inline\nfor t in (1, 2):\n"
        '    checks.check("a-eq", "exact", f"case {t}")(True)\n'
        'check("a-eq", "quoted", "so they say", source="They 2015")'
    )
    printed = "".join(f"✓ exact       (a-eq) case {t}\n" for t in (1, 2))
    printed += "some other line\n§ quoted      (a-eq) so they say [They 2015]\n"
    found = ledger.read(write_book(tmp_path, [text(EQUATION), code(source, printed)]))
    assert found.errors == []
    assert [check.statement for check in found.checks] == ["case 1", "case 2", "so they say"]
    assert found.checks[-1].note == "They 2015"


NESTED = """
:::{admonition} Look
:class: tip

````{dropdown} Proof
> - $$ quoted = listed $$ (deep-quote)

```{math}
:label: deep-math

x
```
````
:::

````{exercise} Bend it
:label: ex-bend

```{prf:lemma} Small
---
label: deep-lemma
---
$$ l $$ (deep-in-lemma)
```
````

````{solution} ex-bend
:class: dropdown

$$ s $$ (deep-solution)
````

:::plain
$$ d $$ (deep-div)
:::

::::{tip}
:::{prf:proposition}
:label: deep-first
True.
:::
::::

```{prf:proof}
Look:

$$ p $$ (deep-proof)
```

```{prf:theorem}
:label: unnumbered
:nonumber:

Also a claim.
```
"""
CLAIMS = (
    "deep-quote deep-math deep-lemma deep-in-lemma deep-solution deep-div deep-first deep-proof"
    " unnumbered"
)

NO_CLAIM = """
```{prf:definition} Mean
:label: a-mean

$$ m $$ (m-eq)
```

````{prf:algorithm} Adam
:label: an-algorithm

:::{note}
$$ deep $$ (alg-eq)
:::
````

```{prf:remark}
$$ r $$
```

$$ d $$ (def-d)

```{code-block} markdown
$$ c $$ (shown-only)
```

```latex
$$ c $$ (shown-too)
```

```{prf:theorem} Of no number
:nonumber:

True.
```

    $$ c $$ (indented)

\\begin{align*} a &= b \\end{align*}
"""


def test_claims_are_found_inside_directives(tmp_path):
    found = ledger.read(write_book(tmp_path, [text(NESTED)]))
    assert labels(found) == CLAIMS.split()
    assert len(found.errors) == len(CLAIMS.split())


def test_what_is_no_claim_needs_no_check(tmp_path):
    found = ledger.read(write_book(tmp_path, [text(NO_CLAIM)]))
    assert found.errors == [] and labels(found) == []
    named = {claim.label for claim in found.claims}
    assert named == {"a-mean", "m-eq", "an-algorithm", "alg-eq", "def-d"}


def test_labels_that_need_no_check_may_have_one(tmp_path):
    sources = [f'check("{label}", "exact", "s")(1)' for label in ("def-d", "ex-bend", "m-eq")]
    printed = [f"✓ exact       ({label}) s\n" for label in ("def-d", "ex-bend", "m-eq")]
    exercise = text("```{exercise}\n:label: ex-bend\n\nBend.\n```", "exercise")
    cells = [text(NO_CLAIM), exercise, code("\n".join(sources), "".join(printed))]
    assert errors(tmp_path, cells) == []


def test_package_cells_and_cells_meant_to_fail_check_nothing(tmp_path):
    package = code("# adam_tutorial/checks.py\nself.check(x)", "", "package")
    fails = code(CHECK.replace("True", "False"), "", "fails", ["raises-exception"])
    [error] = errors(tmp_path, [text(EQUATION), package, fails])
    assert error == "chapters/a.ipynb#text: the equation 'a-eq' has no check."


BROKEN = {
    "an equation without a check": ([text(EQUATION)], "text: the equation 'a-eq' has no check"),
    "a {math} equation without a check": (
        [text("```{math}\n:label: m\n\nx\n```")],
        "text: the equation 'm' has no check",
    ),
    "a theorem without a check": (
        [text("```{prf:theorem}\n:label: t\n\nTrue.\n```")],
        "text: the theorem 't' has no check",
    ),
    "a theorem without a label": (
        [text("````{note}\n```{prf:theorem} T\n\nTrue.\n```\n````")],
        "text: this theorem is numbered, but has no :label:",
    ),
    "a corollary without a label": (
        [text(":::{prf:corollary}\nTrue.\n:::")],
        "text: this corollary is numbered, but has no :label:",
    ),
    "a check of nothing": ([code()], "a-check: the check of 'a-eq' names a label that no chapter"),
    "a check that never ran": (
        [text(EQUATION), code(printed="")],
        "a-check: check('a-eq', 'exact') has no line in the stored output",
    ),
    "a check that was not called": (
        [text(EQUATION), code(CHECK + "\n" + CHECK.replace("a is b", "b is a"))],
        "a-check: check('a-eq', 'exact') has no line in the stored output",
    ),
    "a check whose output is of another kind": (
        [text(EQUATION), code(printed=LINE + LINE.replace("exact", "bound"))],
        "a-check: the output shows a check of 'a-eq' that this cell does not make",
    ),
    "a failed check": (
        [text(EQUATION), code(printed=LINE.replace("✓", "✗"))],
        "a-check: the check of 'a-eq' failed: ✗ a is b",
    ),
    "a quotation posing as a proof": (
        [text(EQUATION), code(printed=LINE.replace("✓", "§"))],
        "a-check: the check of 'a-eq' failed: § a is b",
    ),
    "a computed label": (
        [text(EQUATION), code(), code('check(f"a-{x}", "exact", "s")(1)', "", "b-check")],
        "b-check: line 1: label and kind of a check must be string literals",
    ),
    "a computed kind": (
        [text(EQUATION), code(), code('c.check("a-eq", kind, "s")(1)', "", "b-check")],
        "b-check: line 1: label and kind of a check must be string literals",
    ),
    "an unknown kind": (
        [text(EQUATION), code(), code('check("a-eq", "proved", "s")(1)', "", "b-check")],
        "b-check: check('a-eq', 'proved'): the kinds are exact, symbolic",
    ),
    "a cell that is not Python": (
        [text(EQUATION), code(), code("check(", "", "b-check")],
        "b-check: line 1 is not Python",
    ),
    "an amsmath environment": (
        [text("\\begin{align}\na &= b \\label{x}\n\\end{align}")],
        "text: \\begin{align} is numbered, but has no label that a check can name",
    ),
    "a \\label inside dollars": (
        [text("$$ a = b \\label{x} $$")],
        "text: \\label{...} inside a formula is a label that no check can name",
    ),
    "a \\label inside {math}": (
        [text("```{math}\na = b \\label{x}\n```")],
        "text: \\label{...} inside a formula is a label that no check can name",
    ),
    "a label given twice": (
        [text(EQUATION), code(), text("```{prf:lemma}\n:label: a-eq\n\nTrue.\n```", "again")],
        "again: the label 'a-eq' is already taken in chapters/a.ipynb#text",
    ),
    "a check before its claim": (
        [code(), text(EQUATION)],
        "a-check: the check of 'a-eq' stands before its claim, which is in chapters/a.ipynb#text",
    ),
    "a check that no page shows": (
        [text(EQUATION), code(tags=["remove-cell"])],
        "a-check: check('a-eq', 'exact') is in a cell that no page shows",
    ),
    "a proof that Sphinx would garble": (
        [text("```{prf:proof}\n$$ a $$\n```")],
        "text: a proof must begin with words",
    ),
    "reStructuredText": (
        [text("```{eval-rst}\n.. math:: x\n   :label: y\n```")],
        "text: {eval-rst} hides its content from the ledger",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_every_error_is_found(tmp_path, case):
    cells, expected = BROKEN[case]
    [error] = errors(tmp_path, cells)
    assert error.startswith(f"chapters/a.ipynb#{expected}") and error.endswith((".", "is b"))


@pytest.mark.parametrize("printed", ["a is bogus", "a", "b is a [slack 1]"])
def test_stale_output_is_not_the_checks(tmp_path, printed):
    found = errors(tmp_path, [text(EQUATION), code(printed=f"✓ exact       (a-eq) {printed}\n")])
    assert [error.rpartition(" ")[2] for error in found] == ["make.", "output."]


def test_only_stdout_counts(tmp_path):
    cell = code(printed="")
    cell.outputs = [new_output("stream", name="stderr", text=LINE)]
    [error] = errors(tmp_path, [text(EQUATION), cell])
    assert error.endswith("has no line in the stored output.")


@pytest.mark.parametrize("check_first", [True, False])
def test_a_check_in_another_chapter_is_an_error(tmp_path, check_first):
    claim, check = [text(EQUATION)], [code()]
    chapters = (check, claim) if check_first else (claim, check)
    [error] = errors(tmp_path, *chapters)
    assert "the check of 'a-eq' is in another chapter than its claim, which is in" in error


def test_a_removed_equation_is_no_claim(tmp_path):
    assert errors(tmp_path, [text(EQUATION, tags=["remove-cell"])]) == []


def test_command_line(tmp_path, capsys):
    write_book(tmp_path, [text(EQUATION)])
    assert ledger.main(["--check", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().out == "chapters/a.ipynb#text: the equation 'a-eq' has no check.\n"
    assert ledger.main(["--root", str(tmp_path)]) == 0
    (tmp_path / "_toc.yml").unlink()
    assert ledger.main(["--check", "--root", str(tmp_path)]) == 1


def test_this_book_has_a_clean_ledger():
    assert ledger.read(ROOT).errors == []


# --- beside Sphinx -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The ledger of a small book, and the Sphinx application that built its pages."""
    root = tmp_path_factory.mktemp("book")
    first = [text("# A\n\n" + EQUATION), code(), code("1", "", "last", ["hide-input"])]
    second = [text("# B\n\n" + NESTED), text(NO_CLAIM, "no-claim")]
    for label in CLAIMS.split():
        line = f"✓ measured    ({label}) s [within 1]\n"
        second.append(code(f'check("{label}", "measured", "s")(1)', line, f"{label}-check"))
    write_book(root, first, second)
    contents = "```{toctree}\nchapters/a\nchapters/b\n```\n\n```{ledger}\n```\n"
    (root / "index.md").write_text("# Ledger\n\n" + contents)
    return ledger.read(root), build(root)


def build(root):
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    extensions = ["myst_nb", "sphinx_proof", "sphinx_exercise", "sphinx_design", "adam_book"]
    settings = {
        "extensions": extensions,
        "myst_enable_extensions": config["parse"]["myst_enable_extensions"],
        "nb_execution_mode": "off",
        "html_theme": "basic",
        "page_descriptions": {
            path.relative_to(root).with_suffix("").as_posix(): f"{path.stem}, described " * 5
            for path in [*root.glob("*.md"), *root.glob("chapters/*.ipynb")]
        },
    }
    warnings, out = io.StringIO(), root / "_out"
    with patch_docutils(), docutils_namespace():
        app = Sphinx(root, None, out, out / "trees", "html", settings, None, warnings)
        app.build()
    assert warnings.getvalue() == ""
    return app


third_party = pytest.mark.filterwarnings("default")


@third_party
def test_the_labels_are_sphinxs_own(built):
    found, app = built
    equations = set(app.env.domaindata["math"]["objects"])
    unnamed = ("remark-", "theorem-")  # Sphinx numbers what has no label
    statements = {label for label in app.env.proof_list if not label.startswith(unnamed)}
    assert found.errors == []
    assert {c.label for c in found.claims if c.kind_of_claim == "equation"} == equations
    of_proof = {name.removeprefix("prf:") for name in app.env.get_domain("prf").directives}
    assert {c.label for c in found.claims if c.kind_of_claim in of_proof} == statements


class Anchors(HTMLParser):
    """The ids of a page, with the classes of their elements, and its links."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.links = {}, []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.ids[given["id"]] = given.get("class", "")
        self.links += [given["href"]] if tag == "a" and "href" in given else []


@third_party
def test_every_ledger_entry_leads_to_its_cell(built):
    found, app = built
    page = Anchors(Path(app.outdir, "index.html").read_text())
    links = [urlsplit(link) for link in page.links]
    targets = [(link.path, link.fragment) for link in links if link.fragment.endswith("-check")]
    expected = [(c.chapter.replace(".ipynb", ".html"), c.cell_id) for c in found.checks]
    assert targets == expected
    for path, cell_id in targets:
        assert "cell" in Anchors(Path(app.outdir, path).read_text()).ids[cell_id].split()


@third_party
def test_a_cell_id_that_is_also_a_label_is_refused(tmp_path):
    theorem = text("# A\n\n```{prf:theorem}\n:label: same\n\nTrue.\n```")
    write_book(tmp_path, [theorem, code("1", "", "same")])
    (tmp_path / "index.md").write_text("# Index\n\n```{toctree}\nchapters/a\n```\n")
    with pytest.raises(AssertionError, match="'same' is also the id of something else"):
        build(tmp_path)
