"""The package is what the chapters make: books of a few cells, tangled in a temporary folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import v4

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import tangle  # noqa: E402

Cells = list[tuple[str, str]]  # (id, source)


def cell(module: str, name: str, body: str) -> tuple[str, str]:
    return name, f"# adam_tutorial/{module}.py\n{body}"


def doc(module: str, text: str = "What it is for.") -> tuple[str, str]:
    return cell(module, f"{module.replace('_', '-')}-docstring", f'"""{text}""";')


def demo(source: str, name: str = "demo") -> tuple[str, str]:
    return name, source


def write_chapter(root: Path, name: str, cells: Cells, tags: tuple[str, ...] = ()) -> None:
    made = [v4.new_code_cell(source, id=id, metadata={"tags": list(tags)}) for id, source in cells]
    path = root / "chapters" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    notebook = v4.new_notebook()
    notebook.cells = made  # as an argument, cells that share an id would be given new ones
    path.write_text(v4.writes(notebook), encoding="utf-8")


def write_book(root: Path, **chapters: Cells) -> Path:
    """A book with these chapters in this order, and the settings of the project."""
    for name, cells in chapters.items():
        write_chapter(root, name, cells)
    lines = ["root: index", "parts:", "  - chapters:", "      - file: index_of_part"]
    lines += [f"      - file: chapters/{name}" for name in chapters]
    (root / "_toc.yml").write_text("\n".join(lines))
    (root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    return root


def made(root: Path, module: str) -> str:
    return (root / "adam_tutorial" / f"{module}.py").read_text(encoding="utf-8")


def refusal(root: Path) -> str:
    """The sentence with which the book is refused; the package must stay as it was."""
    with pytest.raises(tangle.TangleError) as error:
        tangle.tangle(root)
    assert not (root / "adam_tutorial").exists()
    return str(error.value)


TREES = [
    doc("trees"),
    cell("trees", "trees-leaves", "def leaves(tree):\n    return list(tree)"),
]
ADAM = [
    doc("adam", "Adam.\n\nIts rule."),
    demo("import matplotlib"),
    cell(
        "adam",
        "adam-rule",
        "from typing import Any\n\nimport numpy as np  # the only hard import\n\n\n"
        "def rule(theta: Any, g: Any) -> Any:\n    # a reason\n    return theta - np.sqrt(g)",
    ),
    cell("adam", "adam-defaults", "LR = 1e-3  # alpha\n_hidden = [LR]"),
]


# ---- What a module looks like


def test_the_module_holds_the_readers_own_lines(tmp_path: Path) -> None:
    tangle.tangle(write_book(tmp_path, adam=ADAM))
    assert made(tmp_path, "adam") == (
        '"""Adam.\n\nIts rule."""\n\n'
        "# Generated from chapters/adam.ipynb by tools/tangle.py: edit the chapter, "
        "then run make tangle.\n\n"
        "from typing import Any\n\nimport numpy as np  # the only hard import\n\n\n"
        "# %% chapters/adam.ipynb#adam-rule\n"
        "def rule(theta: Any, g: Any) -> Any:\n    # a reason\n    return theta - np.sqrt(g)\n\n\n"
        "# %% chapters/adam.ipynb#adam-defaults\nLR = 1e-3  # alpha\n_hidden = [LR]\n"
    )
    assert (tmp_path / "adam_tutorial/py.typed").read_text() == ""


def test_what_is_made_is_clean_for_ruff(tmp_path: Path) -> None:
    tangle.tangle(write_book(tmp_path, trees=TREES, adam=ADAM))
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--select=I,F"], ["format", "--check"]):
        subprocess.run([*ruff, *command, "--no-cache", "adam_tutorial"], cwd=tmp_path, check=True)


def test_imports_are_gathered_merged_and_sorted(tmp_path: Path) -> None:
    cells = [
        doc("adam"),
        cell("adam", "one", "import numpy as np  # one\n\nX = np.pi"),
        cell("adam", "two", "from typing import Protocol\n\nP = Protocol"),
        cell("adam", "three", "import numpy as np  # one\nfrom typing import Any\n\nA: Any = 1"),
        cell("adam", "four", "from __future__ import annotations\n\nB: Any = X"),
    ]
    tangle.tangle(write_book(tmp_path, adam=cells))
    top = made(tmp_path, "adam").split("make tangle.\n\n")[1].split("\n# %%")[0]
    assert top == (
        "from __future__ import annotations\n\nfrom typing import Any, Protocol\n\n"
        "import numpy as np  # one\n"
    )


def test_a_type_checking_block_stays_in_its_cell(tmp_path: Path) -> None:
    block = "if TYPE_CHECKING:\n    from collections.abc import Callable"
    body = f'from typing import TYPE_CHECKING\n\n{block}\n\nF: "Callable[[int], int] | None" = None'
    tangle.tangle(write_book(tmp_path, adam=[doc("adam"), cell("adam", "types", body)]))
    assert f"#types\n{block}\n" in made(tmp_path, "adam")


def test_a_cell_of_imports_alone_has_no_marker(tmp_path: Path) -> None:
    cells = [doc("adam"), cell("adam", "imports", "import math"), cell("adam", "pi", "P = math.pi")]
    tangle.tangle(write_book(tmp_path, adam=cells))
    assert "import math\n\n# %% chapters/adam.ipynb#pi\n" in made(tmp_path, "adam")


def test_a_raw_docstring_keeps_its_backslashes(tmp_path: Path) -> None:
    cells = [cell("adam", "adam-docstring", 'r"""The root $\\sqrt{v}$; and so on."""; ')]
    tangle.tangle(write_book(tmp_path, adam=cells))
    assert made(tmp_path, "adam").startswith('r"""The root $\\sqrt{v}$; and so on."""\n')


def test_same_chapters_same_bytes(tmp_path: Path) -> None:
    files = []
    for folder, seed in ((tmp_path / "a", "1"), (tmp_path / "b", "2")):
        folder.mkdir()
        write_book(folder, trees=TREES, adam=ADAM)
        command = [sys.executable, str(ROOT / "tools/tangle.py"), "--root", str(folder)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        files.append({p.name: p.read_bytes() for p in (folder / "adam_tutorial").iterdir()})
    assert files[0] == files[1]


# ---- Several modules from one chapter: one namespace there, several here


def shared(tmp_path: Path, body: str, *more: tuple[str, str]) -> str:
    """The imports of module `use`, which follows `trees` in the same chapter."""
    use = [doc("use"), *more, cell("use", "use-it", body)]
    cells = [*TREES, cell("trees", "trees-more", "import math\n\n\nclass Tree:\n    a = math.pi")]
    tangle.tangle(write_book(tmp_path, descent=[*cells, *use]))
    text = made(tmp_path, "use")
    assert body.split("\n\n")[-1] in text
    return "\n".join(line for line in text.split("\n") if line.startswith(("import", "from")))


LEAVES = "from adam_tutorial.trees import leaves"


@pytest.mark.parametrize(
    "body",
    [
        "def f(tree):\n    return [leaves(t) for t in tree]",
        "def f(tree, go=leaves):\n    return go(tree)",
        "@leaves\ndef f():\n    return 1",
        "class C:\n    leaves = leaves",
        "class C:\n    leaves = 1\n\n    def m(self):\n        return leaves",
        "def f(x: leaves) -> None: ...",
        'def f(x: "leaves | None") -> None: ...',
        "def f():\n    def g():\n        return leaves\n\n    return g",
        "F = lambda t: leaves(t)  # noqa: E731",
        "def f(t):\n    return f'{leaves(t)}'".replace("'", '"'),
        "def f(leaf):\n    return lambda leaves=leaves: leaves",
    ],
)
def test_a_name_of_a_sister_module_is_imported(tmp_path: Path, body: str) -> None:
    assert shared(tmp_path, body) == LEAVES


@pytest.mark.parametrize(
    "body",
    [
        "def f(leaves):\n    return leaves",
        "def f(tree):\n    leaves = tree\n    return leaves",
        "X = [leaves for leaves in range(3)]",
        "class C:\n    leaves = 1\n    twice = leaves + leaves",
        "F = lambda leaves: leaves  # noqa: E731",
        "def f(x):\n    return x.leaves",
        "def f(x):\n    return dict(leaves=len(x))",
        "def f():\n    from json import loads as leaves\n\n    return leaves",
    ],
)
def test_a_local_name_is_not_imported(tmp_path: Path, body: str) -> None:
    assert shared(tmp_path, body) == ""


def test_one_import_for_each_module_sorted(tmp_path: Path) -> None:
    body = "def f(tree):\n    return leaves(Tree(tree))"
    assert shared(tmp_path, body) == "from adam_tutorial.trees import Tree, leaves"


def test_an_import_of_a_sister_module_is_copied(tmp_path: Path) -> None:
    assert shared(tmp_path, "def f(x):\n    return math.exp(x)") == "import math"


def test_only_the_needed_name_is_copied_with_its_comment(tmp_path: Path) -> None:
    imports = "from typing import Any as A, Protocol  # noqa: F401"
    first = [*TREES, cell("trees", "trees-type", f"{imports}\n\nT = A")]
    use = [doc("use"), cell("use", "use-it", "U = A")]
    tangle.tangle(write_book(tmp_path, descent=[*first, *use]))
    assert "\nfrom typing import Any as A  # noqa: F401\n" in made(tmp_path, "use")


def test_saying_the_import_oneself_is_allowed(tmp_path: Path) -> None:
    body = "from adam_tutorial.trees import leaves\n\nX = leaves([])"
    assert shared(tmp_path, body) == LEAVES


def test_another_chapter_shares_nothing(tmp_path: Path) -> None:
    adam = [doc("adam"), cell("adam", "use", "X = leaves([])")]
    text = refusal(write_book(tmp_path, trees=TREES, adam=adam))
    assert "`leaves`" in text and f"Add `{LEAVES}` to this cell" in text


# ---- Refusals: (chapters, where, what it says)

RULE = "def rule():\n    return 1"
OPTIMIZER = [doc("optimizer"), cell("optimizer", "step", "def step():\n    return 1")]


def adam(*cells: tuple[str, str]) -> dict[str, Cells]:
    return {"adam": [doc("adam"), *cells]}


def one(body: str, name: str = "rule") -> dict[str, Cells]:
    return adam(cell("adam", name, body))


def lazy(importer: str, target: str, body: str) -> dict[str, Cells]:
    return {
        importer: [doc(importer), cell(importer, "look-up", body)],
        target: [doc(target), cell(target, "thing", "def run():\n    return 1")],
    }


INSIDE = "def step():\n    from adam_tutorial.{} import run\n\n    return run()"
REFUSED = {
    "capital in the address": (adam(demo("# adam_tutorial/Adam.py\nX = 1")), "#demo", "Adam.py`"),
    "no space in the address": (adam(demo("#adam_tutorial/adam.py\nX = 1")), "#demo", "address"),
    "no suffix in the address": (adam(demo("# adam_tutorial/adam\nX = 1")), "#demo", "address"),
    "space behind the address": (adam(demo("# adam_tutorial/adam.py \nX = 1")), "#demo", "address"),
    "text behind the address": (adam(demo("# adam_tutorial/adam.py: X\nX = 1")), "#demo", "alone"),
    "folder in the address": (adam(demo("# adam_tutorial/a/adam.py\nX = 1")), "#demo", "address"),
    "hyphen in the address": (adam(demo("# adam-tutorial/adam.py\nX = 1")), "#demo", "address"),
    "address as an import path": (adam(demo("# adam_tutorial.adam\nX = 1")), "#demo", "address"),
    "blank line before it": (adam(demo("\n# adam_tutorial/adam.py\nX = 1")), "#demo", "first line"),
    "the face": (adam(cell("__init__", "face", "X = 1")), "#face", "such as `# adam_t"),
    "a keyword": (adam(cell("class", "klass", "X = 1")), "#klass", "such as `# adam_t"),
    "two addresses": (one(f"{RULE}\n# adam_tutorial/sgd.py\nX = 1"), "#rule, line 4", "address"),
    "a marker": (one("# %% chapters/a.ipynb#b\nX = 1"), "#rule, line 2", "one address"),
    "an ordinal id": (one(RULE, "cell-3"), "#cell-3", "Rename the cell"),
    "another ordinal id": (one(RULE, "code-12"), "#code-12", "Rename the cell"),
    "an id made by Jupyter": (one(RULE, "ab12cd34"), "#ab12cd34", "Rename the cell"),
    "a uuid": (one(RULE, "ab12cd34-ab12-4b12-8b12-ab12cd34ab12"), "#ab12cd34-", "Rename the cell"),
    "a capital id": (one(RULE, "Rule"), "#Rule", "Rename the cell"),
    "an underscore in the id": (one(RULE, "the_rule"), "#the_rule", "Rename the cell"),
    "an id twice": (adam(cell("adam", "x", RULE), demo("1", "x")), "adam.ipynb#x", "two cells"),
    "a line magic": (one(f"%matplotlib inline\n{RULE}"), "#rule, line 2", "magic"),
    "a shell escape": (one(f"{RULE}\n\n\n!ls"), "#rule, line 6", "magic"),
    "a captured shell escape": (one("files = !ls"), "#rule, line 2", "magic"),
    "a question": (one("print?"), "#rule, line 2", "magic"),
    "a doubtful escape": (one('X = "\\d"'), "#rule, line 2", "plain Python"),
    "no Python": (one("def rule(:\n    pass"), "#rule, line 2", "plain Python"),
    "return outside a function": (one("return 1"), "#rule, line 2", "plain Python"),
    "a star import": (one("from math import *\n\nX = pi"), "#rule, line 2", "by name"),
    "a nested star import": (one("try:\n    from math import *\nexcept ImportError:\n    X = 1"),
                             "#rule, line 3", "by name"),
    "an import below code": (one("X = 1\nimport math"), "#rule, line 3", "first in the cell"),
    "a comment above an import": (one("# why\nimport math\n\nX = 1"), "#rule, line 3", "comment"),
    "an import behind code": (one("X = 1; import math"), "#rule, line 2", "first in the cell"),
    "two imports on a line": (one("import math; import json\n\nX = 1"), "#rule, line 2", "line"),
    "a public name twice": (adam(cell("adam", "a", RULE), cell("adam", "b", RULE)),
                            "#b, line 2", "chapters/adam.ipynb#a, line 2"),
    "a private name twice": (one("_x = 1\n_x = 2"), "#rule, line 3", "`_x`"),
    "a name in two modules": (
        {"trees": TREES, **one("def leaves():\n    return 1")},
        "#rule, line 2", "in adam_tutorial"),
    "a private name in two modules of a chapter": (
        {"d": [doc("a"), cell("a", "x", "_k = 1"), doc("b"), cell("b", "y", "_k = 2")]},
        "#y, line 2", "`_k`"),
    "an import and a definition": (
        one("from math import exp\n\n\ndef exp():\n    return 1"), "#rule, line 5", "`exp`"),
    "a name imported from two places in a chapter": (
        {"d": [doc("a"), cell("a", "x", "from math import exp\n\nX = exp"),
               doc("b"), cell("b", "y", "from cmath import exp\n\nY = exp")]},
        "#y, line 2", "`exp`"),
    "two things imported by one name": (
        adam(cell("adam", "x", "from math import sin as f\n\nX = f"),
             cell("adam", "y", "from math import cos as f\n\nY = f")),
        "#y, line 2", "`f`"),
    "a name defined, imported, and defined again": (
        {"d": [doc("a"), cell("a", "x", "_k = 1"), doc("b"),
               cell("b", "y", "from adam_tutorial.a import _k\n\nY = _k"),
               cell("a", "z", "_k = 1")]},
        "#z, line 2", "`_k`"),
    "a builtin's name": (one("def sum():\n    return 1"), "#rule, line 2", "builtin"),
    "a module's name": (one("def adam():\n    return 1"), "#rule, line 2", "adam_tutorial.adam"),
    "a name of a demonstration": (
        adam(demo("import numpy as np"), cell("adam", "rule", "def f(x):\n    return np.sqrt(x)")),
        "#rule, line 3", "`np`"),
    "a name in an annotation": (one('def f(x: "Array") -> None: ...'), "#rule, line 2", "`Array`"),
    "a name of nobody, noqa": (one("X = Y  # noqa: F821"), "#rule, line 2", "`Y`"),
    "a name used too early": (one("X = Y\nY = 1"), "#rule, line 2", "before its definition"),
    "a global of another module": (
        {"d": [doc("a"), cell("a", "x", "_k = 1"), doc("b"),
               cell("b", "y", "def f():\n    global _k\n    _k = 2")]},
        "#y, line 3", "`global _k`"),
    "the whole package": (one("import adam_tutorial\n\nX = 1"), "#rule, line 2", "its module"),
    "from the package": (
        {"trees": TREES, **one("from adam_tutorial import leaves\n\nX = 1")},
        "#rule, line 2", "names its module"),
    "a relative import": (
        {"trees": TREES, **one("from .trees import leaves\n\nX = 1")},
        "#rule, line 2", "names its module"),
    "a module of nobody": (
        one("from adam_tutorial.tree import leaves\n\nX = 1"), "#rule, line 2", "no chapter makes"),
    "its own module": (
        one("from adam_tutorial.adam import rule\n\nX = 1"), "#rule, line 2", "begun before it"),
    "a later chapter": (
        {**one("from adam_tutorial.trees import leaves\n\nX = 1"), "trees": TREES},
        "#rule, line 2", "begun before it"),
    "a later chapter, inside a function": (
        lazy("adam", "executors", INSIDE.format("executors")),
        "#look-up, line 3", "begun before it"),
    "another later chapter, from the optimizer": (
        lazy("optimizer", "kernels", INSIDE.format("kernels")), "#look-up, line 3", "begun before"),
    "the executors at the top of the optimizer": (
        lazy("optimizer", "executors", "from adam_tutorial.executors import run\n\nX = run"),
        "#look-up, line 2", "begun before it"),
    "a module begun later in the chapter": (
        {"d": [doc("a"), doc("b"), cell("b", "y", "Y = 1"), cell("a", "x", "X = Y")]},
        "#x, line 2", "adam_tutorial/b.py"),
    "a sister's import of a module begun later": (
        {"d": [doc("a"), doc("b"), cell("b", "y", "Y = 1"), doc("c"),
               cell("c", "z", "import adam_tutorial.b\n\nZ = 1"),
               cell("a", "x", "X = adam_tutorial.b.Y")]},
        "#x, line 2", "adam_tutorial/b.py"),
    "a module made twice": ({**one(RULE), "other": [cell("adam", "more", "X = 1")]},
                            "chapters/other.ipynb#more", "chapters/adam.ipynb makes it"),
    "no docstring": ({"adam": [cell("adam", "rule", RULE)]}, "#rule, line 1", "docstring"),
    "a late docstring": ({"adam": [cell("adam", "rule", RULE), doc("adam")]}, "#rule", "docstring"),
    "two docstrings": (adam(cell("adam", "again", '"""More.""";')), "#again", "no other"),
    "a docstring that prints": (
        {"adam": [cell("adam", "adam-docstring", '"""Adam."""')]}, "#adam-docstring", "semicolon"),
    "a docstring with a comment": (
        {"adam": [cell("adam", "adam-docstring", '# why\n"""Adam.""";')]},
        "docstring", "nothing in"),
    "a cell out of format": (
        one("X = 'a'\nY = {  1:2 }"),
        "#rule, line 2", "-X = 'a'\n-Y = {  1:2 }\n+X = \"a\"\n+Y = {1: 2}"),
    "unsorted imports in a function": (
        one("def f():\n    import json\n    import ast\n\n    return json, ast"),
        "#rule", "-    import"),
    "a docstring out of format": (
        {"adam": [cell("adam", "adam-docstring", '"""  Adam.""";')]}, "docstring", '+"""Adam."""'),
}  # fmt: skip


@pytest.mark.parametrize(("chapters", "place", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(tmp_path: Path, chapters: dict[str, Cells], place: str, says: str) -> None:
    text = refusal(write_book(tmp_path, **chapters))
    assert text.startswith("chapters/")
    assert place in text.split(": ")[0]
    assert says in text


def test_a_tag_without_an_address_is_refused(tmp_path: Path) -> None:
    write_book(tmp_path, adam=ADAM)
    write_chapter(tmp_path, "adam", [demo("X = 1")], tags=("export",))
    assert "the tag `export`" in refusal(tmp_path)


def test_a_chapter_outside_the_table_of_contents_is_refused(tmp_path: Path) -> None:
    write_book(tmp_path, adam=ADAM)
    write_chapter(tmp_path, "lost", [demo("X = 1")])
    assert refusal(tmp_path).startswith("chapters/lost.ipynb: expected every chapter to stand in")


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    write_book(tmp_path, adam=ADAM)
    (tmp_path / "chapters/adam.ipynb").write_text("no JSON")
    assert refusal(tmp_path).startswith("chapters/adam.ipynb: expected a notebook")


@pytest.mark.parametrize("missing", ["_toc.yml", "pyproject.toml"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    (write_book(tmp_path, adam=ADAM) / missing).unlink()
    assert missing in refusal(tmp_path)


def test_a_refusal_changes_nothing(tmp_path: Path) -> None:
    tangle.tangle(write_book(tmp_path, trees=TREES, adam=ADAM))
    before = {p: p.read_bytes() for p in (tmp_path / "adam_tutorial").iterdir()}
    changed = [TREES[0], cell("trees", "trees-leaves", "def leaves():\n    return 2")]
    write_book(tmp_path, trees=changed, adam=[*ADAM, cell("adam", "bad", "X = unknown")])
    with pytest.raises(tangle.TangleError):
        tangle.tangle(tmp_path)
    assert before == {p: p.read_bytes() for p in (tmp_path / "adam_tutorial").iterdir()}


# ---- Allowed


@pytest.mark.parametrize(
    "chapters",
    [
        lazy("optimizer", "executors", INSIDE.format("executors")),
        {"trees": TREES, **one("from adam_tutorial.trees import leaves\n\nX = leaves([])")},
        adam(demo("# adam_tutorial is made from cells such as the next one"), demo("%pylab", "m")),
        one("from typing import overload\n\n\n@overload\ndef f(x: int) -> int: ...\n@overload\n"
            "def f(x: str) -> str: ...\ndef f(x):\n    return x"),
        {name: [doc(name), cell(name, "x", "try:\n    import np\nexcept ImportError:\n    np = None")]
         for name in ("adam", "sgd")},
        one("_count = 0\n\n\ndef tick():\n    global _count\n    _count += 1"),
        one("_, A = 1, 2\n_, B = 3, 4"),
        one("X = __name__, __file__, len([])"),
        one("import math"),
        adam(cell("adam", "nothing", "")),
        {"d": [doc("a"), cell("a", "x", "import math\n\nX = math"),
               doc("b"), cell("b", "y", "import math\n\nY = math")]},
    ],
)  # fmt: skip
def test_allowed(tmp_path: Path, chapters: dict[str, Cells]) -> None:
    tangle.tangle(write_book(tmp_path, **chapters))
    assert tangle.check(tmp_path).endswith("agree with the chapters.")
    for path in tangle.chapters(tmp_path):
        for cell_ in tangle.read_cells(path, f"chapters/{path.name}"):
            assert tangle.where(tmp_path, cell_.place).startswith("adam_tutorial/")


# ---- The face of the package


def run(root: Path, code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def test_the_face_is_lazy_and_complete(tmp_path: Path) -> None:
    tangle.tangle(write_book(tmp_path, trees=TREES, adam=ADAM))
    code = """
import sys, adam_tutorial as a
assert a.__all__ == ["LR", "leaves", "rule"], a.__all__
assert {"adam", "trees", "rule", "__version__"} <= set(dir(a)) and "_hidden" not in dir(a)
assert not {"numpy", "adam_tutorial.adam", "adam_tutorial.trees"} & set(sys.modules)
assert "rule" not in vars(a)
assert a.rule is a.adam.rule and vars(a)["rule"] is a.rule
assert "adam_tutorial.trees" not in sys.modules
from adam_tutorial import *
assert leaves((1, 2)) == [1, 2]
try:
    a.Adma
except AttributeError as error:
    print(a.__version__, error)
"""
    version = tangle.version(ROOT)
    expected = f"{version} module 'adam_tutorial' has no attribute 'Adma'\n"
    assert run(tmp_path, code) == expected


def test_a_module_is_an_attribute(tmp_path: Path) -> None:
    tangle.tangle(write_book(tmp_path, trees=TREES))
    assert run(tmp_path, "import adam_tutorial as a; print(a.trees.leaves('ab'))") == "['a', 'b']\n"


def test_optional_modules_are_reachable_not_advertised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tangle, "OPTIONAL", frozenset({"adam"}))
    tangle.tangle(write_book(tmp_path, trees=TREES, adam=ADAM))
    code = (
        "import adam_tutorial as a; print(a.__all__, {'adam', 'LR'} & set(dir(a)), a.LR, a.adam.LR)"
    )
    assert run(tmp_path, code) == "['leaves'] set() 0.001 0.001\n"


def test_the_face_is_typed(tmp_path: Path) -> None:
    typed = [doc("adam"), cell("adam", "lr", "LR: float = 1e-3")]
    tangle.tangle(write_book(tmp_path, adam=typed))
    (tmp_path / "right.py").write_text("import adam_tutorial\n\nx: float = adam_tutorial.adam.LR\n")
    (tmp_path / "wrong.py").write_text("import adam_tutorial\n\nx: str = adam_tutorial.LR\n"
                                       "y = adam_tutorial.RL\n")  # fmt: skip
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "adam_tutorial"]

    def errors(*more: str) -> str:
        return subprocess.run([*mypy, *more], cwd=tmp_path, capture_output=True, text=True).stdout

    assert errors("right.py").startswith("Success")
    wrong = errors("wrong.py")
    assert "wrong.py:3: error: Incompatible types" in wrong and 'no attribute "RL"' in wrong


# ---- What lies in the package already


def test_the_report_says_what_changed(tmp_path: Path) -> None:
    write_book(tmp_path, trees=TREES)
    files = [f"wrote adam_tutorial/{name}" for name in ("__init__.py", "py.typed", "trees.py")]
    assert tangle.tangle(tmp_path) == f"tangle: {', '.join(files)}."
    assert tangle.tangle(tmp_path) == "tangle: 3 files, nothing to change."


def test_stale_modules_are_deleted(tmp_path: Path) -> None:
    tangle.tangle(write_book(tmp_path, trees=TREES, adam=ADAM))
    (tmp_path / "adam_tutorial/empty.py").touch()
    (tmp_path / "chapters/adam.ipynb").unlink()
    report = tangle.tangle(write_book(tmp_path, trees=TREES))
    assert "deleted adam_tutorial/adam.py, deleted adam_tutorial/empty.py" in report
    left = {path.name for path in (tmp_path / "adam_tutorial").iterdir()}
    assert left == {"__init__.py", "py.typed", "trees.py"}


@pytest.mark.parametrize("name", ["trees.py", "mine.py", "deeper/mine.py"])
def test_a_file_written_by_hand_is_refused(tmp_path: Path, name: str) -> None:
    path = write_book(tmp_path, trees=TREES) / "adam_tutorial" / name
    path.parent.mkdir(parents=True)
    path.write_text("X = 1\n")
    with pytest.raises(tangle.TangleError, match=f"{name}: .* written by hand"):
        tangle.tangle(tmp_path)
    assert [p.name for p in (tmp_path / "adam_tutorial").rglob("*.*")] == [path.name]


def test_check_shows_every_difference_and_writes_nothing(tmp_path: Path) -> None:
    tangle.tangle(write_book(tmp_path, trees=TREES, adam=ADAM))
    package = tmp_path / "adam_tutorial"
    (package / "adam.py").write_text(made(tmp_path, "adam").replace("1e-3", "1e-2"))
    (package / "trees.py").unlink()
    (package / "old.py").touch()
    with pytest.raises(tangle.TangleError) as error:
        tangle.check(tmp_path)
    text = str(error.value)
    assert "adam.py is stale.\n" in text and "\n-LR = 1e-2  # alpha\n+LR = 1e-3  # alpha\n" in text
    assert "trees.py is missing.\n" in text and "\n+def leaves(tree):\n" in text
    assert "old.py is extra.\n" in text and "__init__" not in text
    assert text.endswith("Run `make tangle`.")
    assert not (package / "trees.py").exists() and (package / "old.py").exists()


# ---- From a line to its cell, and back


def test_every_line_of_a_module_leads_back_to_the_same_line(tmp_path: Path) -> None:
    tangle.tangle(write_book(tmp_path, trees=TREES, adam=ADAM))
    for module, cells in (("trees", TREES), ("adam", ADAM)):
        sources = dict(cells)
        for row, line in enumerate(made(tmp_path, module).split("\n")[:-1], 1):
            place = tangle.where(tmp_path, f"adam_tutorial/{module}.py:{row}")
            name, number = place.split("#")[1].removesuffix(" of the cell").split(", line ")
            came = sources[name].split("\n")[int(number) - 1]
            if line.startswith("# %%"):
                assert came == f"# adam_tutorial/{module}.py" and line.endswith(f"#{name}")
            elif line and "Generated" not in line:
                assert line == came.removesuffix(";")


def test_every_cell_leads_to_its_lines(tmp_path: Path) -> None:
    alone = cell("adam", "adam-imports", "import json\nimport math  # why")
    uses = cell("adam", "adam-uses", "X = json, math")
    tangle.tangle(write_book(tmp_path, adam=[ADAM[0], alone, *ADAM[2:], uses]))
    lines = made(tmp_path, "adam").split("\n")
    for name, source in [ADAM[0], alone, *ADAM[2:], uses]:
        path, _, rows = tangle.where(tmp_path, f"chapters/adam.ipynb#{name}").partition(":")
        first, last = map(int, rows.split("-"))
        assert path == "adam_tutorial/adam.py"
        shown = "\n".join(lines[first - 1 : last])
        assert shown and source.removesuffix(";").endswith(shown)


def test_a_traceback_may_be_pasted(tmp_path: Path) -> None:
    tangle.tangle(write_book(tmp_path, trees=TREES))
    place = tangle.where(tmp_path, f"{tmp_path}/adam_tutorial/trees.py:7")
    assert place == "chapters/trees.ipynb#trees-leaves, line 2 of the cell"


@pytest.mark.parametrize(
    "place",
    [
        "adam_tutorial/trees.py:99", "adam_tutorial/trees.py:0", "adam_tutorial/nobody.py:1",
        "chapters/trees.ipynb#demo", "trees", "adam_tutorial/__init__.py:3",
    ],
)  # fmt: skip
def test_an_unknown_place_is_refused(tmp_path: Path, place: str) -> None:
    tangle.tangle(write_book(tmp_path, trees=[*TREES, demo("X = 1")]))
    with pytest.raises(tangle.TangleError, match=f"^{place}: expected a line of a module"):
        tangle.where(tmp_path, place)


def test_lines_of_a_stale_module_are_not_guessed(tmp_path: Path) -> None:
    tangle.tangle(write_book(tmp_path, trees=TREES))
    (tmp_path / "adam_tutorial/trees.py").unlink()
    with pytest.raises(tangle.TangleError, match="Run `make tangle`"):
        tangle.where(tmp_path, "adam_tutorial/trees.py:7")


# ---- Command line and helpers


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--root", str(write_book(tmp_path, trees=TREES))]
    assert tangle.main([*root, "--check"]) == 1
    assert "Run `make tangle`." in capsys.readouterr().err
    assert not (tmp_path / "adam_tutorial").exists()
    assert tangle.main(root) == 0
    assert capsys.readouterr().out.startswith("tangle: wrote ")
    assert tangle.main([*root, "--check"]) == 0
    assert capsys.readouterr().out == "tangle: 3 files agree with the chapters.\n"
    assert tangle.main([*root, "where", "chapters/trees.ipynb#trees-leaves"]) == 0
    assert capsys.readouterr().out == "adam_tutorial/trees.py:7-8\n"


def test_a_refusal_on_the_command_line_is_no_traceback(tmp_path: Path) -> None:
    write_book(tmp_path, adam=[cell("adam", "rule", RULE)])
    command = [sys.executable, str(ROOT / "tools/tangle.py"), "--root", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith("chapters/adam.ipynb#rule, line 1: expected")


def test_chapters_come_in_the_order_of_the_table_of_contents(tmp_path: Path) -> None:
    write_book(tmp_path, adam=ADAM, trees=TREES, zeta=[demo("1")])
    (tmp_path / "chapters/text.md").touch()
    (tmp_path / "ledger.ipynb").touch()
    (tmp_path / "_toc.yml").write_text("""
format: jb-book
root: index
parts:
  - caption: One
    chapters:
      - file: chapters/zeta
        sections:
          - file: chapters/text
          - file: chapters/trees.ipynb
      - file: ledger
  - chapters:
      - file: chapters/adam
""")
    assert [path.stem for path in tangle.chapters(tmp_path)] == ["zeta", "trees", "adam"]


def test_jupyters_checkpoints_are_no_chapters(tmp_path: Path) -> None:
    write_book(tmp_path, adam=ADAM)
    copy = tmp_path / "chapters/.ipynb_checkpoints/adam-checkpoint.ipynb"
    copy.parent.mkdir()
    copy.write_text((tmp_path / "chapters/adam.ipynb").read_text())
    assert tangle.chapters(tmp_path) == [tmp_path / "chapters/adam.ipynb"]


def test_exported() -> None:
    assert tangle.exported(v4.new_code_cell("# adam_tutorial/adam.py\nX = 1")) == "adam"
    assert tangle.exported(v4.new_code_cell("X = 1\n# adam_tutorial/adam.py")) is None
    assert tangle.exported(v4.new_markdown_cell("# adam_tutorial/adam.py")) is None


def test_the_committed_package_is_what_the_chapters_make() -> None:
    assert tangle.check(ROOT).endswith("agree with the chapters.")
