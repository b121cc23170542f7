"""The page of conventions, read as programs: each column of each table is run, and compared.

A table stands below the lines that its columns share, and its cells are the rest of the program. The
column of a library must compute what the library does: torch runs here, Keras and Optax left golden
trajectories. Then each cell is put in its neighbour's place, and the agreement must end.
"""

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from cases import RECORDED, SEQUENCES, gradients, start

import adam_tutorial
from adam_tutorial import L2, SGD, Adam, AdamHat, Clipped, Maximize, Optimizer
from adam_tutorial.wrappers import settings_of

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
DEFAULTS = json.loads((GOLDEN / "conventions" / "defaults.json").read_text("utf-8"))
HYPER = ("lr", "rho", "momentum", "eps", "beta1, beta2", "momentum_decay", "dampening", "initial", "weight_decay")  # fmt: skip
OTHERS = {"beta1": 0.9, "eps": 1e-3, "initial": 0.0, "dampening": 0.3, "momentum_decay": 0.04}
MATHS = {name: getattr(np, name) for name in ("sqrt", "maximum", "minimum", "where", "abs")}
BOOK, FALL = "this book", 0.98
CANCELS = "rmsprop-centered"  # a difference of averages: on a constant gradient its digits are gone


@dataclass(frozen=True)
class Column:
    """One column: the shared lines, its cells by row, and where they come from."""

    table: str
    name: str
    lines: str
    cells: dict[str, str]
    extra: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.table}, {self.name}"

    @property
    def library(self) -> str:
        return self.name.partition(" ")[0].replace("PyTorch", "torch").lower()

    @property
    def constructor(self) -> str:
        return self.name.partition("`")[2].strip("`")

    @property
    def program(self) -> dict[str, str]:
        return {row: cell for row, cell in self.cells.items() if row not in (*HYPER, "write")}

    def written(self) -> Any:
        """The optimizer that the row `write` says."""
        return eval(self.cells["write"], vars(adam_tutorial.conventions) | public())

    def arguments(self) -> dict[str, dict[str, Any]]:
        """For each hyper-parameter row the library's argument names and defaults (... for none)."""
        found = {}
        for row in (row for row in HYPER if self.cells.get(row, "–") != "–"):
            call: Any = ast.parse(f"f({self.cells[row]})", mode="eval").body
            found[row] = {arg.id: ... for arg in call.args}
            for keyword in call.keywords:
                found[row][keyword.arg] = eval(ast.unparse(keyword.value), public())
        return found


def public() -> dict[str, Any]:
    return {name: getattr(adam_tutorial, name) for name in adam_tutorial.__all__}


def columns() -> list[Column]:
    """Every column of every table on the page."""
    page, found = nbformat.read(ROOT / "chapters" / "conventions.ipynb", as_version=4), []
    for cell in page.cells:
        if cell.cell_type == "markdown" and cell.id.endswith("-table"):
            lines = re.search(r"```python\n(.*?)```", cell.source, re.DOTALL)
            rows = [
                [part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]]
                for line in cell.source.splitlines()
                if line.startswith("|")
            ]
            assert lines and len(rows) > 2 and len({len(row) for row in rows}) == 1, cell.id
            for k, name in enumerate(rows[0][1:], start=1):
                cells = {row[0].strip("`"): row[k].strip("`") for row in rows[2:]}
                found.append(Column(cell.id.removesuffix("-table"), name, lines[1], cells))
    return found


COLUMNS = columns()
METHODS = [c for c in COLUMNS if c.table not in ("decay", "clipping")]
each_method = pytest.mark.parametrize("column", METHODS, ids=str)


def hyper_of(column: Column) -> dict[str, float]:
    """The numbers of a comparison: the golden trajectory's, or those of the line to write."""
    if column.library in ("keras", "optax"):
        with np.load(GOLDEN / f"{column.library}-{column.table}.npz") as golden:
            return OTHERS | json.loads(str(golden["hyper"])) | column.extra
    settings = {k: v for k, v in settings_of(column.written()).items() if not callable(v)}
    return OTHERS | settings | ({"dampening": 0.3} if column.library == "torch" else {})


def compiled(column: Column) -> Any:
    """The lines with the cells in their places."""
    lines = column.lines
    for row, cell in column.program.items():
        if row != "momentum(t)":
            lines = re.sub(rf"\b{row}\b", f"({cell})", lines)
    return compile(lines, str(column), "exec")


def run(column: Column, sequence: str, lr: Callable[[int], float] = lambda t: 1.0) -> Any:
    """The parameters after each step; the learning rate is multiplied by lr(t)."""
    code, theta = compiled(column), start(sequence)
    hyper = hyper_of(column)
    assigned = set(re.findall(r"(\w+)(?:, (\w+))? =", column.lines))
    names = {name for pair in assigned for name in pair if name} - {"theta"}
    env: dict[str, Any] = {**MATHS, **hyper, **{name: np.zeros(8) for name in names}}
    env |= {"a": np.full(8, hyper.get("initial", 0.0)), "product": 1.0, "theta": theta}
    if cell := column.cells.get("momentum(t)"):
        env["momentum"] = lambda t: eval(cell, {**hyper, "t": t})
    seen = []
    for t, g in enumerate(gradients(sequence), start=1):
        env |= {"t": t, "g": g, "lr": hyper["lr"] * lr(t)}
        with np.errstate(all="ignore"):
            exec(code, env)
        seen.append(np.array(env["theta"]))
    return np.array(seen)


def close(ours: Any, theirs: Any) -> bool:
    with np.errstate(invalid="ignore"):
        apart = np.max(np.abs(ours - theirs))
    return bool(apart <= 1e-12 * np.max(np.abs(theirs)))


# --- the libraries


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """Torch keeps some scalars in its default dtype."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def torch_run(make: Callable[[Any], Any], sequence: str, lr: Any = None, clip: float = 0) -> Any:
    import torch

    theta = torch.from_numpy(start(sequence)).requires_grad_()
    optimizer, seen = make([theta]), []
    rate = optimizer.param_groups[0]["lr"]
    for t, g in enumerate(gradients(sequence), start=1):
        theta.grad = torch.from_numpy(g.copy())
        if clip:
            torch.nn.utils.clip_grad_norm_([theta], clip)
        optimizer.param_groups[0]["lr"] = rate * lr(t) if lr else rate
        optimizer.step()
        seen.append(theta.detach().numpy().copy())
    return np.array(seen)


def in_torch(column: Column) -> Callable[[Any], Any]:
    """The constructor, with the column's own names for the numbers of the comparison."""
    import torch

    hyper, given = hyper_of(column), {}
    for row, arguments in column.arguments().items():
        values = [hyper[name] for name in row.split(", ")]
        given |= {name: tuple(values) if len(values) > 1 else values[0] for name in arguments}
    given |= {"nesterov": True, "momentum": 0.9} if column.table == "nesterov" else {}
    given |= {"lr": hyper["lr"]} if column.table == "nesterov" else {}
    given |= {"centered": True} if column.table == CANCELS else {}
    return lambda params: getattr(torch.optim, column.constructor)(params, **given)


def golden(name: str, sequence: str) -> Any:
    with np.load(GOLDEN / f"{name}.npz") as kept:
        return kept[sequence]


def sequences_of(column: Column) -> list[str]:
    return [s for s in SEQUENCES if (column.table, s) != (CANCELS, "constant")]


def agrees(column: Column, original: Column, sequence: str) -> bool:
    """Whether the program computes what the library of the original column does."""
    ours = run(replace(column, extra=hyper_of(original)), sequence)
    if original.library == "torch":
        return close(ours, torch_run(in_torch(original), sequence))
    if original.library == "this":
        return close(ours, ours_run(original.written(), sequence))
    theirs = golden(f"{original.library}-{original.table}", sequence)
    return close(ours[np.array(RECORDED) - 1], theirs)


def ours_run(optimizer: Optimizer, sequence: str) -> Any:
    theta = start(sequence)
    state, seen = optimizer.init(theta), []
    for g in gradients(sequence):
        optimizer.step(theta, g, state)
        seen.append(theta.copy())
    return np.array(seen)


# --- every cell of every method


def test_the_page_has_a_table_for_every_method() -> None:
    assert {c.table for c in METHODS} == {
        "momentum", "nesterov", "adagrad", "rmsprop", "rmsprop-momentum", "rmsprop-centered",
        "adadelta", "adam", "adamax", "nadam",
    }  # fmt: skip
    assert all(len([c for c in METHODS if c.table == t]) == 4 for t in {c.table for c in METHODS})


@each_method
def test_a_column_computes_what_its_library_does(column: Column) -> None:
    assert [s for s in sequences_of(column) if not agrees(column, column, s)] == []


# A cell that changes nothing there: mu is beta1 in Optax; where PyTorch adds eps, u is never 0; and
# Keras's schedule is PyTorch's with a decay of 1.
EQUIVALENT = {
    ("nadam", "optax", "memory", "mu"),
    ("adamax", "torch", "divisor", "where(u > 0, u, 1)"),
    ("adamax", "optax", "divisor", "where(u > 0, u, 1)"),
    ("nadam", "keras", "momentum(t)", "beta1 * (1 - 0.5 * 0.96 ** (momentum_decay * t))"),
}
SWAPS = [
    pytest.param(column, row, other.cells[row], id=f"{column}, {row} of {other.name}")
    for column in METHODS
    for other in METHODS
    if other.table == column.table
    for row in column.program
    if column.cells[row] != other.cells[row]
    and (column.table, column.library, row, other.cells[row]) not in EQUIVALENT
]


@pytest.mark.parametrize(("column", "row", "cell"), SWAPS)
def test_with_a_neighbours_cell_the_agreement_ends(column: Column, row: str, cell: str) -> None:
    changed = replace(column, cells={**column.cells, row: cell})
    assert not all(agrees(changed, column, s) for s in sequences_of(column))


@each_method
def test_the_line_to_write_gives_the_librarys_numbers(column: Column) -> None:
    written, program = column.written(), replace(column, extra={})
    settings = {k: v for k, v in settings_of(written).items() if not callable(v)}
    for sequence in sequences_of(column):
        expected = run(replace(program, name=BOOK), sequence)
        assert close(ours_run(written, sequence), expected), sequence
    theirs = column.arguments()
    for row in theirs:
        for name, default in zip(row.split(", "), flattened(theirs[row]), strict=True):
            assert default in (..., None, 0) or name not in settings or settings[name] == default


def flattened(arguments: dict[str, Any]) -> list[Any]:
    values = list(arguments.values())
    return list(values[0]) if len(values) == 1 and isinstance(values[0], tuple) else values


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_defaults_are_those_of_the_installed_or_recorded_version(column: Column) -> None:
    import torch

    for arguments in column.arguments().values():
        for name, default in arguments.items():
            if column.library == "torch":
                known = inspect.signature(getattr(torch.optim, column.constructor).__init__)
                assert known.parameters[name].default == default
            elif column.library in ("keras", "optax"):
                there = DEFAULTS[f"{column.library}.{column.constructor}"][name]
                assert there == ("REQUIRED" if default is ... else default)
            else:
                known = inspect.signature(type(column.written()))
                there = known.parameters[name].default
                assert there == (inspect.Parameter.empty if default is ... else default)


def signature_of(column: Column) -> set[str]:
    """The names of all arguments that the column's optimizer has."""
    import torch

    if column.library in ("keras", "optax"):
        return set(DEFAULTS[f"{column.library}.{column.constructor}"])
    torchs = column.library == "torch"
    make = getattr(torch.optim, column.constructor) if torchs else type(column.written())
    return set(inspect.signature(make).parameters)


@each_method
def test_an_argument_that_a_cell_says_is_missing_is_missing(column: Column) -> None:
    for row in (row for row in HYPER if column.cells.get(row) == "–"):
        called = {
            str(c): set(c.arguments().get(row, ())) for c in METHODS
        }  # its names on this page
        assert any(called[str(c)] for c in METHODS if c.table == column.table), "a row about nobody"
        assert not {row}.union(*called.values()) & signature_of(column)


def test_the_versions_are_those_that_were_compared() -> None:
    import torch

    page = nbformat.read(ROOT / "chapters" / "conventions.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in page.cells)
    keras, optax = DEFAULTS["versions"]["keras"], DEFAULTS["versions"]["optax"]
    assert f"PyTorch {torch.__version__.partition('+')[0]}, Keras {keras} and Optax {optax}" in text


# --- a learning rate that falls


def falling(t: int) -> float:
    return float(FALL ** (t - 1))


BUFFERED = [c for c in METHODS if c.table in ("momentum", "nesterov", "rmsprop-momentum")]


def agrees_while_lr_falls(column: Column, original: Column) -> bool:
    ours = run(replace(column, extra=hyper_of(original)), "random", falling)
    if original.library == "torch":
        return close(ours, torch_run(in_torch(original), "random", falling))
    theirs = golden(f"conventions/{original.library}-{original.table}-falling", "random")
    return close(ours[np.array(RECORDED) - 1], theirs)


@pytest.mark.parametrize("column", [c for c in BUFFERED if c.name != BOOK], ids=str)
def test_a_falling_rate_tells_inside_from_outside(column: Column) -> None:
    assert agrees_while_lr_falls(column, column)
    others = [c for c in BUFFERED if c.table == column.table and c.program != column.program]
    for other in others:
        assert not agrees_while_lr_falls(replace(column, cells=other.cells), column)


@pytest.mark.parametrize("column", BUFFERED, ids=str)
def test_the_line_to_write_falls_alike(column: Column) -> None:
    written = column.written()
    rate = written.lr
    ours = ours_run(replace(written, lr=lambda t: rate * falling(t)), "random")
    assert close(ours, run(replace(column, name=BOOK), "random", falling))


# --- weight decay


DECAY = [c for c in COLUMNS if c.table == "decay"]


def decayed(column: Column, cells: dict[str, str]) -> Any:
    """The table's program around the library's own Adam, at lr = 0.001 and weight decay 0.1."""
    inner: Optimizer = AdamHat(eps=1e-7) if column.library == "keras" else Adam()
    theta, zero = start("random"), np.zeros(8)
    state, seen = inner.init(zero), []
    for g in gradients("random"):
        known = {"lr": 1e-3, "weight_decay": 0.1}
        theta = theta - eval(cells["shrink"], known, {"theta": theta})
        pulled = g + eval(cells["pull"], known, {"theta": theta})
        move, state = inner.update(zero, pulled, state)
        theta = theta + move
        seen.append(theta)
    return np.array(seen)


def with_decay(column: Column) -> Any:
    import torch

    if column.library == "torch":
        make = getattr(torch.optim, column.constructor)
        steps = torch_run(lambda p: make(p, lr=1e-3, weight_decay=0.1), "random")
        return steps[np.array(RECORDED) - 1]
    name = {"Adam": "conventions/keras-adam-decayed", "AdamW": "keras-adamw", "adamw": "optax-adamw"}
    return golden(name[column.constructor], "random")


@pytest.mark.parametrize("column", DECAY, ids=str)
def test_decay_stands_where_the_table_says(column: Column) -> None:
    theirs, recorded = with_decay(column), np.array(RECORDED) - 1
    assert close(decayed(column, column.cells)[recorded], theirs)
    for other in DECAY:
        if other.program != column.program:
            assert not close(decayed(column, other.cells)[recorded], theirs)


def test_pytorchs_coupled_decay_is_l2_and_maximize_stands_outside_it() -> None:
    import torch

    for up, wrap in ((False, lambda m: m), (True, Maximize)):
        theirs = torch_run(
            lambda p, up=up: torch.optim.Adam(p, weight_decay=0.1, maximize=up), "random"
        )
        assert close(ours_run(wrap(L2(Adam(), weight_decay=0.1)), "random"), theirs)
    assert not close(ours_run(L2(Maximize(Adam()), weight_decay=0.1), "random"), theirs)


KERAS_METHODS = ["momentum", "adagrad", "rmsprop", "adadelta", "adamax", "nadam"]


@pytest.mark.parametrize("table", KERAS_METHODS)
def test_every_optimizer_of_keras_shrinks_by_the_rate_before_its_step(table: str) -> None:
    column = next(c for c in METHODS if c.table == table and c.library == "keras")
    inner: Optimizer = SGD(0.01) if table == "momentum" else replace(column.written(), lr=0.01)
    theta = start("random")
    state, seen = inner.init(theta), []
    for g in gradients("random"):
        theta -= 0.01 * 0.1 * theta
        inner.step(theta, g, state)
        seen.append(theta.copy())
    theirs = golden(f"conventions/keras-{column.constructor.lower()}-decayed", "random")
    assert close(np.array(seen)[np.array(RECORDED) - 1], theirs)


# --- what the sentences beside the tables say


def test_optax_adadelta_without_a_rate_climbs() -> None:
    (down,) = [c for c in METHODS if str(c) == "adadelta, Optax `adadelta`"]
    up = 2 * start("random") - ours_run(down.written(), "random")
    assert close(up[np.array(RECORDED) - 1], golden("conventions/optax-adadelta-bare", "random"))


def test_pytorchs_centred_rmsprop_ends_in_nan_on_a_constant_gradient_and_ours_does_not() -> None:
    import torch

    g = np.random.default_rng(0).uniform(0, 3, 1000).astype(np.float32)
    theta, ours = torch.zeros(1000, dtype=torch.float32, requires_grad=True), np.zeros_like(g)
    theirs = torch.optim.RMSprop([theta], centered=True)
    centred = adam_tutorial.CenteredRMSProp(lr=0.01, rho=0.99, eps=1e-8)
    state = centred.init(ours)
    for _ in range(2000):
        theta.grad = torch.from_numpy(g.copy())
        theirs.step()
        centred.step(ours, g, state)
    assert torch.isnan(theta).any() and np.isfinite(ours).all()


def test_lambda_lr_asks_for_step_0_first() -> None:
    import torch

    asked: list[int] = []
    theta = torch.zeros(1, requires_grad=True)
    sgd = torch.optim.SGD([theta], lr=1.0)
    torch.optim.lr_scheduler.LambdaLR(sgd, lambda t: asked.append(t) or 0.5 ** (t + 1))
    theta.grad = torch.ones(1)
    sgd.step()
    assert asked == [0] and theta.item() == -0.5


# --- clipping


CLIPPING = [c for c in COLUMNS if c.table == "clipping"]


def clipped(column: Column, cells: dict[str, str], sequence: str) -> Any:
    """SGD at 0.01 with the table's scale; an array of 3 coordinates and one of 5."""
    theta, seen = start(sequence), []
    together = [slice(0, 8)] if cells["arrays"] == "together" else [slice(0, 3), slice(3, 8)]
    for g in gradients(sequence):
        for part in together:
            known = {**MATHS, "norm": np.sqrt(np.sum(g[part] ** 2)), "max_norm": 2.0}
            with np.errstate(divide="ignore"):
                theta[part] -= 0.01 * eval(cells["scale"], known) * g[part]
        seen.append(theta.copy())
    return np.array(seen)


def with_clipping(column: Column, sequence: str) -> Any:
    import torch

    recorded = np.array(RECORDED) - 1
    if column.library == "torch":
        return torch_run(lambda p: torch.optim.SGD(p, lr=0.01), sequence, clip=2.0)[recorded]
    if column.library == "this":
        return ours_run(Clipped(SGD(0.01), max_norm=2.0), sequence)[recorded]
    apart = column.constructor == "clipnorm"
    return golden("conventions/keras-clipped-apart" if apart else f"{column.library}-clipped", sequence)  # fmt: skip


@pytest.mark.parametrize("column", CLIPPING, ids=str)
def test_clipping_is_what_the_table_says(column: Column) -> None:
    recorded = np.array(RECORDED) - 1
    sequences = ["random"] if column.constructor == "clipnorm" else list(SEQUENCES)
    for sequence in sequences:
        ours = clipped(column, column.cells, sequence)[recorded]
        assert close(ours, with_clipping(column, sequence)), sequence
    theirs = with_clipping(column, "random")
    apart = {"together": "apart", "apart": "together"}[column.cells["arrays"]]
    assert not close(clipped(column, {**column.cells, "arrays": apart}, "random")[recorded], theirs)
    shorter = "1e-6" in column.cells["scale"]  # the only scale that differs in value
    for other in CLIPPING:
        cells = {**column.cells, "scale": other.cells["scale"]}
        same = ("1e-6" in other.cells["scale"]) == shorter
        assert close(clipped(column, cells, "random")[recorded], theirs) == same
