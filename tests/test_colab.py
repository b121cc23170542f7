"""The plain notebooks: nothing of MyST is left, and every number is the one that the site shows."""

import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import repository  # noqa: E402
import tangle  # noqa: E402

import colab  # noqa: E402

SITE = repository.read().site
CHAPTERS = tangle.chapters(ROOT)
MADE = sorted((ROOT / "colab").rglob("*.ipynb"))


@pytest.fixture(scope="module")
def book():
    return colab.read_book(ROOT)


@pytest.fixture
def plain(book):
    return colab.Translator(book, "chapters/adam", "here").text


def test_the_committed_notebooks_are_those_of_the_chapters():
    assert list(colab.differences(ROOT, colab.build(ROOT))) == []


def test_a_changed_a_missing_and_a_stale_file_are_found(tmp_path):
    files = {"colab/chapters/a.ipynb": "new\n", "colab/chapters/b.ipynb": "b\n"}
    (tmp_path / "colab/chapters").mkdir(parents=True)
    (tmp_path / "colab/chapters/a.ipynb").write_text("old\n")
    (tmp_path / "colab/chapters/c.ipynb").write_text("c\n")
    changed, missing, gone = colab.differences(tmp_path, files)
    assert "-old\n+new" in changed and "+b" in missing
    assert gone == "colab/chapters/c.ipynb: there is no such chapter\n"
    assert colab.write(tmp_path, files) == 3
    assert list(colab.differences(tmp_path, files)) == []


def test_every_chapter_is_there_twice():
    names = {f"colab/{kind}/{path.name}" for kind in ("chapters", "exercises") for path in CHAPTERS}
    assert {path.relative_to(ROOT).as_posix() for path in MADE} == names


@pytest.mark.parametrize("path", MADE, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_nothing_but_plain_markdown_is_left(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            continue
        text = re.sub(r"`[^`\n]*`", "", cell.source)
        assert not re.search(r"\{(eq|prf:ref|cite:\w|doc|ref|numref)\}|```|:::|\(\w[\w-]*\)=", text)
        assert not re.search(r"^%|\$\$ *\([\w-]+\)", text, re.MULTILINE)
        assert not re.search(r"\]\((?!https://|#)", text)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_begins_with_a_link_that_the_book_leaves_out(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert repository.read().colab(path.stem) in first.source
    assert first.metadata["tags"] == ["remove-cell"]


def test_the_numbers_are_those_of_the_site(book):
    """Every label of the book, in the pages that Sphinx has made."""
    for label, (name, page, anchor) in book.numbers.items():
        html = (ROOT / f"_build/html/{page}.html").read_text(encoding="utf-8")
        place = html.index(f'id="{anchor}"')
        shown = re.sub(r"<[^>]+>", "", html[place : place + 700].partition("\\[")[0])
        assert name in shown, label


def test_the_exercises_have_no_solutions():
    for path in CHAPTERS:
        whole, without = (
            nbformat.read(ROOT / f"colab/{kind}/{path.name}", as_version=4)
            for kind in ("chapters", "exercises")
        )
        solutions = sum("**Solution.**" in cell.source for cell in whole.cells)
        assert sum(cell.source == "# your answer" for cell in without.cells) == solutions
        assert not any("**Solution.**" in cell.source for cell in without.cells)
        assert sum(cell.source.count("**Exercise ") for cell in without.cells) == solutions
        solved = {cell.id for cell in whole.cells} - {cell.id for cell in without.cells}
        assert all("exercise" in name for name in solved)


TRANSLATIONS = {
    "an equation": ("$$ a $$ (adam-metric)", r"$$" "\n" r"a \\tag\{\d+.\d+\}" "\n" r"\$\$"),
    "a reference": ("see {eq}`step-sup`", rf"see \[\(\d+\.\d+\)\]\({SITE}chapters/adam.html#equation-step-sup\)"),
    "a theorem by name": ("{prf:ref}`longest-step`", r"\[Theorem \d+\.1\]\(https.*#longest-step\)"),
    "a citation": ("{cite:p}`kingma2015adam`", r"\(\[Kingma and Ba, 2015\]\(https.*\)\)"),
    "a citation of many": ("{cite:t}`liu2020variance`", r"\[Liu et al\., 2020\]"),
    "a page": ("[there](descent.ipynb#a)", rf"\[there\]\({SITE}chapters/descent.html#a\)"),
    "a page by its title": ("[](../ledger.md)", rf"\[Ledger of checks\]\({SITE}ledger.html\)"),
    "a proof": ("```{prf:proof}\nAs {eq}`step-sup`.\n```", r"\*Proof\.\* As \[\(\d+\.\d+\)\].* ∎"),
    "a note": ("```{note}\nMind.\n```", r"\*\*Note\.\*\* Mind\."),
    "code is left alone": ("`{eq}` and `x_*`", r"`\{eq\}` and `x_\*`"),
    "a link elsewhere": ("[a](https://b.org)", r"\[a\]\(https://b\.org\)"),
}  # fmt: skip


@pytest.mark.parametrize(("myst", "shown"), TRANSLATIONS.values(), ids=TRANSLATIONS)
def test_what_becomes_of(plain, myst, shown):
    shown = shown if not shown.startswith("$$") else shown.replace("$$", r"\$\$", 1)
    assert re.search(shown, plain(myst))


REFUSED = {
    "an unknown directive": ("```{mermaid}\na\n```", "no plain form for {mermaid}"),
    "an unknown role": ("{abbr}`a`", "no plain form for the role {abbr}"),
    "an unknown label": ("{eq}`nowhere`", "no label 'nowhere'"),
    "an unknown paper": ("{cite:p}`nobody`", "no 'nobody' in references.bib"),
    "a substitution": ("version {{ version }}", "would be shown as it is"),
    "a link to nothing": ("[a](nothing.ipynb)", "leads to no page"),
}


@pytest.mark.parametrize(("myst", "words"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_plain_form_is_refused_with_its_place(plain, myst, words):
    with pytest.raises(colab.ColabError, match="^here: ") as refused:
        plain(myst)
    assert words in str(refused.value)


def test_authors_are_named_as_on_the_site(book):
    html = (ROOT / "_build/html/chapters/adam.html").read_text(encoding="utf-8")
    for key in ("kingma2015adam", "liu2020variance", "duchi2011adaptive"):
        assert book.cited(key, "here").replace("et al.", "<em>et al.</em>") in html
