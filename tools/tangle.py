"""Turn the chapters into the package: `chapters/*.ipynb` -> `adam_tutorial/*.py`.

The chapters are the only source. A code cell whose first line is `# adam_tutorial/<module>.py`
belongs to that module, which holds the reader's own lines in reading order, with only the imports
gathered at its top. The modules of a chapter share its notebook's namespace, so the imports between
them are added here. What would run in the notebook but not in the package is refused, in a
sentence, and nothing is written unless every chapter passed.
"""

import argparse
import ast
import builtins
import copy
import difflib
import json
import keyword
import re
import subprocess
import symtable
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
import yaml  # type: ignore[import-untyped]

PACKAGE = "adam_tutorial"
OPTIONAL = frozenset({"torch_adapter"})  # modules that need more than NumPy: not in __all__
LAZY = {("optimizer", "executors")}  # (importer, imported): inside a function, in any order

HEADER = "# Generated from {} by tools/tangle.py: edit the chapter, then run make tangle."
GENERATED = re.compile(r"^# Generated from .* by tools/tangle\.py", re.MULTILINE)
ADDRESS = re.compile(rf"# {PACKAGE}/([a-z_][a-z0-9_]*)\.py")
NEARLY_ADDRESS = re.compile(r"\s*#+\s*adam[_-]?tutorial\s*([/\\]|\.\w)", re.IGNORECASE)
MARKER = re.compile(r"# %% chapters/.+\.ipynb#\S+")
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NOT_A_NAME = re.compile(r"(cell|code|block|chunk|input)-?\d+|[0-9a-f]{8}(-[0-9a-f]{4,12})*")
DOCSTRING = re.compile(r'r?"""(.|\n)*""";')
MAGIC = re.compile(r"\s*[%!?]|.*\?\s*$|[^#'\"]*=\s*[%!]")

Import = ast.Import | ast.ImportFrom
Files = dict[str, str]  # path, from the root of the repository -> text


class TangleError(Exception):
    """A sentence for the author: where, what was expected, what came, what to do."""


@dataclass(frozen=True)
class Cell:
    """An exported cell: where it stands, its lines, and what Python reads in them."""

    chapter: str
    id: str
    module: str
    lines: list[str]
    tree: ast.Module

    @property
    def place(self) -> str:
        return f"{self.chapter}#{self.id}"

    @property
    def marker(self) -> str:
        return f"# %% {self.place}"

    def at(self, line: int) -> str:
        return f"{self.place}, line {line}"

    @cached_property
    def imports(self) -> list[Import]:
        return [node for node in self.tree.body if isinstance(node, Import)]

    @cached_property
    def is_docstring(self) -> bool:
        return len(self.tree.body) == 1 and ast.get_docstring(self.tree) is not None

    @cached_property
    def first(self) -> int:
        """The line of the cell, counted from 1, where its share of the module's text begins."""
        line = last_line(self.imports[-1]) if self.imports else 1
        while line < len(self.lines) and not self.lines[line].strip():
            line += 1
        return line + 1

    @cached_property
    def own(self) -> list[str]:
        """The lines that the module shows: no address, no imports, no blank edges."""
        text = "\n".join(self.lines[self.first - 1 :]).rstrip()
        return text.removesuffix(";" if self.is_docstring else "").split("\n") if text else []


@dataclass(frozen=True)
class Binding:
    """A top-level name, the one thing it means, and the import that gives it to other modules."""

    name: str
    origin: str
    statement: str
    where: str
    defines: bool


@dataclass(frozen=True)
class Module:
    """A module: the cells of one chapter that carry its address, its docstring first."""

    name: str
    chapter: str
    cells: list[Cell] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"{PACKAGE}/{self.name}.py"

    @property
    def header(self) -> str:
        return HEADER.format(self.chapter)

    @cached_property
    def shown(self) -> list[Cell]:
        return [cell for cell in self.cells[1:] if cell.own]

    @cached_property
    def bindings(self) -> list[Binding]:
        return [b for cell in self.cells for node in cell.tree.body for b in bindings(cell, node)]

    @cached_property
    def public(self) -> list[str]:
        return sorted({b.name for b in self.bindings if b.defines and not b.name.startswith("_")})


# ---- Reading the chapters


def chapters(root: Path) -> list[Path]:
    """The notebooks of the book, in reading order."""
    try:
        listed = toc_files(yaml.safe_load((root / "_toc.yml").read_text("utf-8")))
    except (OSError, yaml.YAMLError) as error:
        message = f"_toc.yml: expected a table of contents, but met: {error}. Write one."
        raise TangleError(message) from None
    ordered = [root / f"{file.removesuffix('.ipynb')}.ipynb" for file in listed]
    ordered = [path for path in ordered if root / "chapters" in path.parents and path.is_file()]
    for path in sorted((root / "chapters").rglob("*.ipynb")):
        if path not in ordered and ".ipynb_checkpoints" not in path.parts:
            name = path.relative_to(root).with_suffix("").as_posix()
            raise TangleError(
                f"{name}.ipynb: expected every chapter to stand in _toc.yml, but this one does "
                f"not. Add `file: {name}` there, or move the notebook out of chapters/."
            )
    return ordered


def toc_files(node: object) -> Iterator[str]:
    """Every `root:` and `file:` of a table of contents, in the order of reading."""
    if isinstance(node, dict):
        yield from (str(node[key]) for key in ("root", "file") if key in node)
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from toc_files(child)


def exported(cell: Mapping[str, Any]) -> str | None:
    """The module to which a notebook's cell belongs; None where the cell only demonstrates."""
    address = ADDRESS.fullmatch(cell["source"].split("\n")[0])
    return address[1] if address and cell["cell_type"] == "code" else None


def read_modules(root: Path) -> list[Module]:
    """All modules, in the order in which a reader meets them."""
    modules: dict[str, Module] = {}
    for path in chapters(root):
        for cell in read_cells(path, path.relative_to(root).as_posix()):
            module = modules.setdefault(cell.module, Module(cell.module, cell.chapter))
            if module.chapter != cell.chapter:
                raise TangleError(
                    f"{cell.at(1)}: expected {module.path} to come from one chapter, but "
                    f"{module.chapter} makes it already. Give this cell another address."
                )
            module.cells.append(cell)
    for module in modules.values():
        check_docstring(module)
    return list(modules.values())


def read_cells(path: Path, chapter: str) -> Iterator[Cell]:
    """The exported cells of a chapter, each checked on its own."""
    seen: set[str] = set()
    for number, cell in enumerate(read_notebook(path, chapter), 1):
        name = cell.get("id", f"(cell {number}, without an id)")
        if name in seen:
            raise TangleError(f"{chapter}#{name}: two cells have this id. Rename one of them.")
        seen.add(name)
        check_address(cell, f"{chapter}#{name}, line 1")
        if module := exported(cell):
            yield read_cell(chapter, name, module, cell["source"])


def read_notebook(path: Path, chapter: str) -> list[Mapping[str, Any]]:
    # nbformat.read would validate, and quietly give new ids to cells that share one.
    try:
        notebook: Any = nbformat.v4.reads(path.read_text("utf-8"))  # type: ignore[no-untyped-call]
        return list(notebook.cells)
    except (ValueError, AttributeError) as error:
        raise TangleError(f"{chapter}: expected a notebook of format 4, but {error}.") from None


def read_cell(chapter: str, name: str, module: str, source: str) -> Cell:
    if not SLUG.fullmatch(name) or NOT_A_NAME.fullmatch(name):
        raise TangleError(
            f"{chapter}#{name}: expected the id of an exported cell to say what it holds, such as "
            f"`adam-rule` (lower case, hyphens), but it is `{name}`. Rename the cell."
        )
    cell = Cell(chapter, name, module, source.split("\n"), parse(source, f"{chapter}#{name}"))
    check_lines(cell)
    check_imports(cell)
    return cell


def parse(source: str, where: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # "\\d" and its like, too
            compile(source, where, "exec", dont_inherit=True)  # refuses more than the parser alone
            return ast.parse(source)
    except SyntaxError as error:
        line = error.lineno or 1
        text = source.split("\n")[line - 1]
        came = "an IPython magic or shell escape" if MAGIC.match(text) else error.msg
        raise TangleError(
            f"{where}, line {line}: expected plain Python in an exported cell, but found {came}: "
            f"`{text.strip()}`. Correct the line, or move it to a demonstration cell."
        ) from None


# ---- What a cell, or the cells of a module, must look like


def check_address(cell: Mapping[str, Any], where: str) -> None:
    module, first = exported(cell), cell["source"].lstrip("\n").split("\n")[0]
    broken = cell["cell_type"] == "code" and module is None and NEARLY_ADDRESS.match(first)
    tagged = module is None and "export" in cell.get("metadata", {}).get("tags", ())
    reserved = module and (module.startswith("__") or keyword.iskeyword(module))
    if broken or tagged or reserved:
        raise TangleError(
            f"{where}: expected an address such as `# {PACKAGE}/adam.py`, alone on the first line "
            f"of a code cell, but the cell begins with `{first}`. Correct it; or, if the cell only "
            "demonstrates, remove the address and the tag `export`."
        )


def check_lines(cell: Cell) -> None:
    """Refuse what merging two cells leaves behind."""
    for number, line in enumerate(cell.lines[1:], 2):
        if ADDRESS.fullmatch(line) or MARKER.fullmatch(line):
            raise TangleError(
                f"{cell.at(number)}: expected one address in a cell, on its first line, but found "
                f"`{line}`. Split the cell there, or remove the line."
            )


def check_imports(cell: Cell) -> None:
    """Imports leave the cell for the top of the module: they must come off it without loss."""
    for found in ast.walk(cell.tree):
        if isinstance(found, ast.ImportFrom) and found.names[0].name == "*":
            raise TangleError(
                f"{cell.at(found.lineno)}: expected imports by name, but found "
                f"`{ast.unparse(found)}`. Name what the module needs."
            )
    previous = 1
    for statement, node in zip(cell.tree.body, cell.imports, strict=False):
        above = any(line.strip() for line in cell.lines[previous : node.lineno - 1])
        shares_line = comment_behind(cell, node)[:1] not in ("", "#")
        if statement is not node or above or shares_line:
            raise TangleError(
                f"{cell.at(node.lineno)}: expected the imports first in the cell, one to a line, "
                f"comments only behind them, but `{ast.unparse(node)}` stands otherwise. Move it, "
                "or move its comment to the end of its line."
            )
        previous = last_line(node)


def check_docstring(module: Module) -> None:
    for cell in module.cells:
        written = DOCSTRING.fullmatch("\n".join(cell.lines[1:]).strip())
        if (cell is module.cells[0]) != cell.is_docstring or (cell.is_docstring and not written):
            raise TangleError(
                f"{cell.at(1)}: expected {module.path} to begin with its docstring, and to have no "
                'other: one cell, with nothing in it but its address and """..."""; (the semicolon '
                f"keeps Jupyter quiet). But this is cell {module.cells.index(cell) + 1} of the "
                "module, and it is otherwise. Write the docstring so, in the module's first cell."
            )


def last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def comment_behind(cell: Cell, node: Import) -> str:
    line = cell.lines[last_line(node) - 1]
    return line.encode()[node.end_col_offset :].decode().strip()


# ---- Names: what holds in the notebook must hold in the modules


def bindings(cell: Cell, node: ast.stmt) -> Iterator[Binding]:
    """The top-level names that a statement binds; an import is another way to the same origin."""
    where = cell.at(node.lineno)
    if isinstance(node, Import):
        stem = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        comment = comment_behind(cell, node) if node.lineno == node.end_lineno else ""
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            alone = copy.copy(node)
            alone.names = [alias]
            line = f"{ast.unparse(alone)}  {comment}".rstrip()
            yield Binding(name, stem + (alias.name if alias.asname else name), line, where, False)
    else:
        home = f"{PACKAGE}.{cell.module}"
        for name in definitions(node):
            yield Binding(name, f"{home}.{name}", f"from {home} import {name}", where, True)


def definitions(node: ast.stmt) -> list[str]:
    """The names a top-level statement defines, as Python counts; an overload defines none."""
    decorators = getattr(node, "decorator_list", [])
    if any(ast.unparse(decorator).endswith("overload") for decorator in decorators):
        return []
    symbols = symtable.symtable(ast.unparse(node), "cell", "exec").get_symbols()
    names = [s.get_name() for s in symbols if s.is_assigned() and not s.is_imported()]
    return [name for name in names if name != "_"]


def check_names(modules: list[Module]) -> None:
    """One name, one meaning: in a chapter, whose modules share a namespace, and in the package."""
    made = {module.name for module in modules}
    known: dict[tuple[str, str], Binding] = {}
    for module in modules:
        for new in module.bindings:
            if hasattr(builtins, new.name) or (new.defines and new.name in made):
                raise TangleError(
                    f"{new.where}: expected a name of its own, but `{new.name}` would hide a "
                    f"Python builtin or the module {PACKAGE}.{new.name}. Rename it."
                )
            for scope in [module.chapter] + [PACKAGE] * (new.defines and new.name in module.public):
                check_meaning(known.get((scope, new.name)), new, scope)
                known[scope, new.name] = new


def check_meaning(old: Binding | None, new: Binding, scope: str) -> None:
    if old and (old.origin != new.origin or (old.defines and new.defines)):
        raise TangleError(
            f"{new.where}: expected `{new.name}` to mean one thing in {scope}, but it is bound at "
            f"{old.where} already. Rename one of the two, or remove it."
        )


def check_order(modules: list[Module]) -> None:
    """Reading order is dependency order, inside functions as well."""
    names = [module.name for module in modules]
    for module in modules:
        for cell in module.cells:
            check_globals(module, cell)
            for node, target in package_imports(cell):
                lazy = (module.name, target) in LAZY and in_function(cell, node)
                check_earlier(names, module.name, target, cell.at(node.lineno), lazy)


def in_function(cell: Cell, node: ast.AST) -> bool:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return any(isinstance(f, functions) and node in ast.walk(f) for f in ast.walk(cell.tree))


def check_globals(module: Module, cell: Cell) -> None:
    own = {binding.name for binding in module.bindings}
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.Global) and (strange := sorted(set(node.names) - own)):
            raise TangleError(
                f"{cell.at(node.lineno)}: expected `global {strange[0]}` to name something defined "
                f"at the top level of {module.path}, but it is not. Define it there."
            )


def package_imports(cell: Cell) -> Iterator[tuple[Import, str]]:
    """The imports of a cell, at any depth, with the modules of the package that they name."""
    for node in ast.walk(cell.tree):
        if isinstance(node, Import):
            stem = [f"{'.' * node.level}{node.module}"] if isinstance(node, ast.ImportFrom) else []
            for name in stem or [alias.name for alias in node.names]:
                if name == PACKAGE or name.startswith("."):
                    raise TangleError(
                        f"{cell.at(node.lineno)}: expected an import that names its module, as in "
                        f"`from {PACKAGE}.trees import leaves`, but found `{ast.unparse(node)}`. "
                        "Name the module."
                    )
                if name.startswith(f"{PACKAGE}."):
                    yield node, name.split(".")[1]


def check_earlier(names: list[str], importer: str, target: str, where: str, lazy: bool) -> None:
    if target not in names:
        raise TangleError(
            f"{where}: expected an import from a module that a chapter makes, but no chapter makes "
            f"{PACKAGE}/{target}.py. Correct the name, or export that module from a chapter."
        )
    if names.index(target) >= names.index(importer) and not lazy:
        raise TangleError(
            f"{where}: expected {PACKAGE}/{importer}.py to need only modules begun before it, but "
            f"it needs {PACKAGE}/{target}.py. Move code, so that reading order is dependency order."
        )


def missing_imports(modules: list[Module]) -> dict[str, list[str]]:
    """Module -> imports it needs because its chapter has one namespace and it has its own."""
    by_path = {module.path: module for module in modules}
    drafts = {path: draft(module) for path, module in by_path.items()}
    added: dict[str, list[str]] = {module.name: [] for module in modules}
    for path, row, name in undefined_names(drafts):
        module = by_path[path]
        where = locate(module, drafts[path], row)
        added[module.name] += imports_of(name, module, modules, where)
    return added


def imports_of(name: str, module: Module, modules: list[Module], where: str) -> list[str]:
    """The import of a name from the rest of the chapter; several for `import a.b, a.c`."""
    if any(b.name == name for b in module.bindings):
        raise TangleError(f"{where}: `{name}` is used before its definition. Define it earlier.")
    others = [m for m in modules if m.chapter == module.chapter]
    found = [b for m in others for b in m.bindings if b.name == name]
    if not found:
        homes = [f"`from {PACKAGE}.{m.name} import {name}`" for m in modules if name in m.public]
        raise TangleError(
            f"{where}: expected an exported cell of the chapter to define `{name}`, or to import "
            "it at its top level, but none does (a demonstration cell does not count). Add "
            f"{homes[0] if homes else 'its import'} to this cell, or define it in an exported one."
        )
    for binding in found:
        if target := re.match(rf"(?:from|import) {PACKAGE}\.(\w+)", binding.statement):
            check_earlier([m.name for m in modules], module.name, target[1], where, False)
    return [b.statement for b in found]


# ---- Making the modules


def build(root: Path) -> tuple[list[Module], Files]:
    """Every module, and every file of the package, checked and formatted; nothing is written."""
    modules = read_modules(root)
    check_names(modules)
    check_order(modules)
    added = missing_imports(modules)
    files = {module.path: draft(module, added[module.name]) for module in modules}
    files[f"{PACKAGE}/__init__.py"] = face(modules, version(root))
    config = f"--config={(root / 'pyproject.toml').resolve()}"
    _, files = ruff(files, "check", "--select=I", "--fix", "--exit-zero", config)
    _, files = ruff(files, "format", config)
    for module in modules:
        check_format(module, files[module.path])
    return modules, {**files, f"{PACKAGE}/py.typed": ""}


def draft(module: Module, added: Iterable[str] = ()) -> str:
    """The module's text, not yet sorted or formatted."""
    imports = [
        "\n".join(cell.lines[node.lineno - 1 : last_line(node)])
        for cell in module.cells
        for node in cell.imports
    ]
    lines = [*module.cells[0].own, "", module.header, ""]
    lines += dict.fromkeys([*imports, *added])
    for cell in module.shown:
        lines += ["", "", cell.marker, *cell.own]
    return "\n".join(lines) + "\n"


def ruff(files: Files, *arguments: str) -> tuple[str, Files]:
    """Run ruff on files in a folder of their own: what it printed, what it made of them."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", *files]
        run = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
        if run.returncode:
            raise TangleError(f"ruff {arguments[0]} failed: {run.stdout}{run.stderr}")
        return run.stdout, {path: Path(folder, path).read_text("utf-8") for path in files}


def undefined_names(files: Files) -> Iterator[tuple[str, int, str]]:
    """(path, row, name) of names without a meaning. Ruff knows scopes and quoted annotations."""
    options = ("--isolated", "--ignore-noqa", "--exit-zero", "--output-format=json")
    printed, _ = ruff(files, "check", "--select=F821", *options)
    for found in json.loads(printed):
        path = f"{PACKAGE}/{Path(found['filename']).name}"
        if found["code"] != "F821":
            raise TangleError(f"{path}: ruff cannot read what its chapter makes: {found}.")
        yield path, found["location"]["row"], found["message"].split("`")[1]


def layout(module: Module, text: str) -> list[tuple[Cell, int]]:
    """The cells that the text shows, each with the row, counted from 1, of its first line."""
    lines = text.split("\n")
    rows = [(cell, lines.index(cell.marker) + 2) for cell in module.shown]
    return [(module.cells[0], 1), *rows]


def check_format(module: Module, text: str) -> None:
    """A cell is formatted where it stands, so that reader and module see the same lines."""
    stops = {module.header, *(cell.marker for cell in module.shown)}
    for cell, row in layout(module, text):
        formatted: list[str] = []
        for line in text.split("\n")[row - 1 :]:
            if line in stops:
                break
            formatted.append(line)
        if "\n".join(formatted).rstrip().split("\n") != cell.own:
            changes = diff(cell.own, formatted, cell.place, f"{cell.place} (formatted)")
            raise TangleError(
                f"{cell.at(cell.first)}: expected the cell as ruff formats it, but it differs:\n"
                f"{changes}Make these changes in the chapter."
            )


def diff(old: list[str], new: list[str], old_name: str, new_name: str) -> str:
    lines = difflib.unified_diff(old, new, old_name, new_name, lineterm="")
    return "".join(f"{line}\n" for line in lines)


# ---- The package's face

FACE = '''"""Adam and its family of optimizers, from the chapters of *Adam, from Moments to Regret*.

Every public name of every module can be imported from here. Its module is loaded on first use, so
that importing the package costs next to nothing and never loads what a program does not need.
"""

{header}

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "{version}"

__all__: list[str] = {names}

_HOME: dict[str, str] = {homes}
_MODULES: list[str] = {modules}
_OPTIONAL: list[str] = {optional}

if TYPE_CHECKING:
    {imports}
else:  # hidden from type checkers, which would otherwise take any name for granted

    def __getattr__(name: str) -> object:
        """Load the module that a name belongs to, on the name's first use."""
        if name in _MODULES or name in _OPTIONAL:
            return import_module(f"{{__name__}}.{{name}}")
        if name not in _HOME:
            raise AttributeError(f"module {{__name__!r}} has no attribute {{name!r}}")
        value = getattr(import_module(f"{{__name__}}.{{_HOME[name]}}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({{*globals(), *__all__, *_MODULES}})
'''


def face(modules: list[Module], number: str) -> str:
    """`__init__.py`: lazy for programs (PEP 562), plain imports for type checkers, editors."""
    usual = [module for module in modules if module.name not in OPTIONAL]
    homes = {name: module.name for module in modules for name in module.public}
    imports = [f"from {PACKAGE} import {module.name} as {module.name}" for module in modules]
    imports += [f"from {PACKAGE}.{home} import {name} as {name}" for name, home in homes.items()]
    return FACE.format(
        header=HEADER.format("chapters/").replace("the chapter,", "a chapter,"),
        version=number,
        names=sorted(name for module in usual for name in module.public),
        homes=dict(sorted(homes.items())),
        modules=sorted(module.name for module in usual),
        optional=sorted(module.name for module in modules if module not in usual),
        imports="\n    ".join(imports or ["pass"]),
    )


def version(root: Path) -> str:
    try:
        return str(
            tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
        )
    except (OSError, ValueError, KeyError) as error:
        message = f"pyproject.toml: expected a version in [project], but met {error!r}. Add it."
        raise TangleError(message) from None


# ---- The package on disk


def on_disk(root: Path) -> Files:
    """What adam_tutorial/ holds; a file that a person wrote there is refused, not overwritten."""
    paths = [*(root / PACKAGE).rglob("*.py"), *(root / PACKAGE).glob("py.typed")]
    files = {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in paths}
    for path, text in files.items():
        if text.strip() and not GENERATED.search(text):
            raise TangleError(
                f"{path}: expected only generated files in {PACKAGE}/, but this one was written by "
                "hand. Move its code to a chapter, then delete it."
            )
    return files


def changes(root: Path, files: Files) -> dict[str, str]:
    """Path -> stale, missing or extra, for each file that is not what the chapters make."""
    found = on_disk(root)
    state = {path: "stale" if path in files else "extra" for path in found}
    state |= {path: "missing" for path in files.keys() - found.keys()}
    return {path: state[path] for path in sorted(state) if found.get(path) != files.get(path)}


def write(root: Path, files: Mapping[str, str | None]) -> None:
    """Write each text to its path; None deletes the file."""
    for name, text in files.items():
        path = root / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")


def tangle(root: Path) -> str:
    """Write what changed; say what, in one line."""
    _, files = build(root)
    changed = changes(root, files)
    write(root, {path: files.get(path) for path in changed})
    done = [f"{'deleted' if how == 'extra' else 'wrote'} {path}" for path, how in changed.items()]
    return f"tangle: {', '.join(done) or f'{len(files)} files, nothing to change'}."


def check(root: Path) -> str:
    """Raise, with the differences, unless the package is what the chapters make."""
    _, files = build(root)
    found, report = on_disk(root), ""
    for path, how in changes(root, files).items():
        old, new = found.get(path, "").split("\n"), files.get(path, "").split("\n")
        report += f"{path} is {how}.\n{diff(old, new, path, f'{path} (from the chapters)')}"
    if report:
        raise TangleError(f"{report}The package differs from the chapters. Run `make tangle`.")
    return f"tangle: {len(files)} files agree with the chapters."


# ---- From a line of the package to its cell, and back


def where(root: Path, place: str) -> str:
    """`adam_tutorial/adam.py:57` -> cell and line; `chapters/adam.ipynb#adam-rule` -> rows."""
    modules, files = build(root)
    if changes(root, files):
        raise TangleError("The package differs from the chapters. Run `make tangle` first.")
    line = re.search(rf"(?:^|/){PACKAGE}/(\w+)\.py:([1-9]\d*)$", place)
    for module in modules:
        text = files[module.path]
        if line and line[1] == module.name and int(line[2]) <= text.count("\n"):
            return locate(module, text, int(line[2])) + " of the cell"
        for cell in module.cells:
            if place == cell.place:
                first, last = rows(module, cell, text)
                return f"{module.path}:{first}-{last}"
    raise TangleError(
        f"{place}: expected a line of a module, such as {PACKAGE}/adam.py:57, or an exported cell, "
        "such as chapters/adam.ipynb#adam-rule, but the chapters make no such place. Correct it."
    )


def locate(module: Module, text: str, row: int) -> str:
    """The cell, and the line in it, behind a row of the module's text."""
    cell, start = [place for place in layout(module, text) if place[1] - 1 <= row][-1]
    if row < start:
        return cell.at(1)  # the marker stands for the address
    if cell is module.cells[0] and row > len(cell.own):
        stated = [c.at(line) for at, c, line in gathered(module, text) if at == row]
        return stated[0] if stated else cell.at(1)  # written by this tool
    return cell.at(cell.first + min(row - start, len(cell.own) - 1))


def rows(module: Module, cell: Cell, text: str) -> tuple[int, int]:
    """The first and the last row of a cell's lines, or of its imports if it has nothing else."""
    for shown, start in layout(module, text):
        if shown is cell:
            return start, start + len(cell.own) - 1
    found = [row for row, source, _ in gathered(module, text) if source is cell] or [1]
    return found[0], found[-1]


def gathered(module: Module, text: str) -> Iterator[tuple[int, Cell, int]]:
    """(row, cell, line) of every import at the top of a module that one of its cells states."""
    lines = text.split("\n")
    for row in range(lines.index(module.header), len(lines)):
        if MARKER.fullmatch(lines[row]):
            return
        words = set(re.findall(r"[\w.]+", lines[row].split("#")[0]))
        for cell in module.cells:
            for node in cell.imports:
                if words & {alias.asname or alias.name for alias in node.names}:
                    yield row + 1, cell, node.lineno


# ---- Command line


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make adam_tutorial/ from chapters/.")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--check", action="store_true", help="write nothing, show the changes")
    commands = parser.add_subparsers(dest="command")
    finder = commands.add_parser("where", help="the cell of a line, or the lines of a cell")
    finder.add_argument("place", help="adam_tutorial/adam.py:57 or chapters/adam.ipynb#adam-rule")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    try:
        if options.command == "where":
            print(where(root, options.place))
        else:
            print(check(root) if options.check else tangle(root))
    except TangleError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
