"""Tracing: run a rule once on symbols, and keep the program that it was.

A rule is written for anything that does arithmetic. A symbol does none: it writes down what it was
asked for. What comes out is a straight-line program for one element, and every fast form of the
rule is printed from it. What depends on hyper-parameters alone is the same for all elements; the
program keeps it apart, as constants that the host computes once a step, in Python's own floats.
"""

# Generated from chapters/tracing.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from adam_tutorial.optimizer import keywords


# %% chapters/tracing.ipynb#tracing-expr
@dataclass(frozen=True, eq=False)
class Expr:
    """One operation of a program, or one of the leaves that operations begin with.

    op     "array", "hyper" or "number" for a leaf, else the name of the operation
    args   what the operation acts on
    value  of a leaf: the name of the array or hyper-parameter, or the number itself
    kind   "element" (one for each element), "mask" (true or false for each), "host" (one for all)
    """

    op: str
    args: tuple["Expr", ...] = ()
    value: Any = None
    kind: str = "host"


class TraceError(TypeError):
    """A rule does what no program can hold. The message names the rule, and says what to use."""


# %% chapters/tracing.ipynb#tracing-symbol
class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array or a number while a rule is traced, and records what it meets."""

    def __init__(self, expr: Expr, record: "Recorder") -> None:
        self._expr, self._record = expr, record

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> "Symbol":
        if "out" in options:
            raise self._record.unsupported("an operation in place", _NEW_VALUE)
        if method != "__call__" or options:
            raise self._record.unsupported(f"np.{ufunc.__name__} with options")
        return self._record.operation(ufunc.__name__, inputs)

    def __array_function__(
        self, function: Any, types: Any, args: Any, options: dict[str, Any]
    ) -> "Symbol":
        if options:
            raise self._record.unsupported(f"np.{function.__name__} with options")
        return self._record.operation(function.__name__, args)

    def __bool__(self) -> bool:
        raise self._record.branch(self._expr)

    def __float__(self) -> float:
        raise self._record.unsupported("float() or a function of math", _WIDENS)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # a protocol that a symbol does not have
            raise AttributeError(name)
        raise self._record.unsupported(f"the attribute .{name}")


# %% chapters/tracing.ipynb#tracing-operations
ARITHMETIC = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
COMPARISONS = {
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
    "equal": "==", "not_equal": "!=",
}  # fmt: skip
_ON_HOST = {*ARITHMETIC, *COMPARISONS, "power", "negative", "positive", "absolute"}
_FUNCTIONS = {"negative", "positive", "absolute", "sqrt", "sign", "maximum", "minimum", "where"}
_ON_ELEMENTS = {*ARITHMETIC, *COMPARISONS, *_FUNCTIONS}

_SUPPORTED = "A rule may use + - * /, comparisons, abs, np.sqrt, np.sign, np.maximum, np.minimum and np.where."
_INSTEAD = {"power": "Write x * x for a square, np.sqrt(x) for a root.", "square": "Write x * x."}
_WIDENS = (
    "It would make a 64-bit NumPy scalar, and float32 arrays wide. Use Python's operators, as in "
    "x ** 0.5, or compute the number in `prepare`."
)
_TWO_NUMBERS = (
    "It would make a 64-bit array. Use np.sign for a sign, or let one of the two be an array."
)
_NEW_VALUE = "A rule is pure: write m = m + g, not m += g or m[...] = g."
_IN_WHERE = "Use a comparison as the first argument of np.where, and nowhere else."
_CHOOSE = "Use np.where(condition, this, that), or np.maximum and np.minimum."
_ONE_PROGRAM = "One program serves all hyper-parameters: compute the number in `prepare`, or write another class."


# %% chapters/tracing.ipynb#tracing-recorder
class Recorder:
    """The operations of one rule, each kept once: what is computed twice is one expression."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.known: dict[tuple[Any, ...], Expr] = {}

    def expr(
        self, op: str, args: tuple[Expr, ...] = (), value: Any = None, kind: str = "host"
    ) -> Expr:
        key = (op, *map(id, args), type(value), repr(value))  # repr tells -0.0 from 0.0
        if key not in self.known:
            self.known[key] = Expr(op, args, value, kind)
        return self.known[key]

    def lifted(self, value: Any) -> Expr:
        """A symbol's expression, or a number as a leaf."""
        if isinstance(value, Symbol):
            return value._expr
        if isinstance(value, (bool, np.generic)) or not isinstance(value, (int, float)):
            raise TraceError(
                f"{self.where} meets {type(value).__name__} {value!r}: expected arrays, "
                "hyper-parameters, or Python's own int and float, which take on an array's dtype."
            )
        return self.expr("number", value=value)

    def operation(self, op: str, values: tuple[Any, ...]) -> Symbol:
        op = {"fabs": "absolute"}.get(op, op)
        args = tuple(map(self.lifted, values))
        return Symbol(self.expr(op, args, kind=_kind(self, op, args)), self)

    def unsupported(self, what: str, instead: str = _SUPPORTED) -> TraceError:
        return TraceError(f"{self.where} uses {what}, for which there is no dialect. {instead}")

    def branch(self, condition: Expr) -> TraceError:
        instead = _ONE_PROGRAM if condition.kind == "host" else _CHOOSE
        return TraceError(
            f"{self.where} branches on the traced value {_shown(condition)}. {instead}"
        )


# %% chapters/tracing.ipynb#tracing-kinds
def _kind(record: Recorder, op: str, args: tuple[Expr, ...]) -> str:
    """The kind of a result; TraceError where the operation does not fit its arguments."""
    kinds = [arg.kind for arg in args]
    if set(kinds) == {"host"} and op in _ON_HOST:
        return "host"
    if op not in _ON_ELEMENTS:
        raise record.unsupported(f"np.{op}", _INSTEAD.get(op, _SUPPORTED))
    if set(kinds[op == "where" :]) == {"host"}:
        instead = _TWO_NUMBERS if op == "where" else _WIDENS
        raise record.unsupported(f"np.{op} of numbers alone", instead)
    if (op == "where") != (kinds[0] == "mask") or "mask" in kinds[1:]:
        what = "of a comparison" if "mask" in kinds else "without a comparison"
        raise record.unsupported(f"np.{op} {what}", _IN_WHERE)
    return "mask" if op in COMPARISONS else "element"


def _shown(expr: Expr) -> str:
    """An expression in short, for messages."""
    if not expr.args:
        return str(expr.value)
    inner = [_shown(arg) if not arg.args else "(...)" for arg in expr.args]
    sign = (ARITHMETIC | COMPARISONS | {"power": "**"}).get(expr.op)
    return f" {sign} ".join(inner) if sign else f"{expr.op}({', '.join(inner)})"


# %% chapters/tracing.ipynb#tracing-program
@dataclass(frozen=True, eq=False)
class Program:
    """A rule as a straight-line program for one element.

    where      the rule it was traced from, as in "Adam.rule"
    arrays     theta, g, then the slots: for each the name of an element in the program
    hyper      the keyword arguments of the rule, which the host knows
    constants  numbers for all elements, by name; the host computes them once a step
    lines      an assignment for each name, in an order that can be computed
    outputs    for each array that changes, the name of its new value
    names      what an expression is called, where it has a name
    """

    where: str
    arrays: dict[str, str]
    hyper: tuple[str, ...]
    constants: dict[str, Expr]
    lines: dict[str, Expr]
    outputs: dict[str, str]
    names: dict[Expr, str]

    @property
    def operations(self) -> list[Expr]:
        """The operations on elements, each after what it needs."""
        found: dict[Expr, None] = {}
        for expr in self.lines.values():
            _visit(expr, found)
        return list(found)

    @property
    def read(self) -> list[str]:
        """The arrays whose old values are used."""
        used = {arg.value for expr in self.operations for arg in expr.args if arg.op == "array"}
        return [name for name in self.arrays if name in used]


# %% chapters/tracing.ipynb#tracing-visit
def _visit(expr: Expr, found: dict[Expr, None]) -> None:
    """Add the operations of an expression, each after what it needs."""
    if expr.kind != "host" and expr.args and expr not in found:
        for arg in expr.args:
            _visit(arg, found)
        found[expr] = None


# %% chapters/tracing.ipynb#tracing-trace
def program_of(method: Any) -> Program:
    """The program of a method's rule; `method` is an optimizer, or its class.

    Raises TraceError where the rule does what no program can hold.
    """
    rule = getattr(method, "rule", None)
    if not callable(rule):
        raise TypeError(
            f"expected an optimizer, or a class with a rule of its own, got {method!r}."
        )
    return _traced(rule, ("theta", "g", *method.slots))


# %% chapters/tracing.ipynb#tracing-traced
@cache
def _traced(rule: Callable[..., Any], arrays: tuple[str, ...]) -> Program:
    record = Recorder(inspect.unwrap(rule).__qualname__.rpartition("<locals>.")[2])
    symbols = [Symbol(record.expr("array", value=name, kind="element"), record) for name in arrays]
    hyper = {name: Symbol(record.expr("hyper", value=name), record) for name in keywords(rule)}
    results, local = _traced_run(record.where, rule, symbols, hyper)
    return _program(record, _outputs(record, arrays, results), tuple(hyper), local)


def _run(
    rule: Callable[..., Any], symbols: list[Symbol], hyper: dict[str, Symbol]
) -> tuple[Any, dict[str, Any]]:
    """What the rule returns, and its local variables: the names that its author chose."""
    local: dict[str, Any] = {}
    code = inspect.unwrap(rule).__code__

    def watch(frame: Any, event: str, result: Any) -> None:
        if event == "return" and frame.f_code is code:
            local.update(frame.f_locals)

    if sys.getprofile() is not None:  # somebody measures, and a profiler cannot always be put back
        return rule(*symbols, **hyper), local
    sys.setprofile(watch)
    try:
        return rule(*symbols, **hyper), local
    finally:
        sys.setprofile(None)


# %% chapters/tracing.ipynb#tracing-run-guarded
def _traced_run(
    where: str, rule: Callable[..., Any], symbols: list[Symbol], hyper: dict[str, Symbol]
) -> tuple[Any, dict[str, Any]]:
    """`_run`; whatever a rule does that no symbol can follow becomes a TraceError."""
    try:
        return _run(rule, symbols, hyper)
    except TraceError:
        raise
    except Exception as problem:
        raise TraceError(f"{where} cannot run on symbols: {problem}. {_SUPPORTED}") from problem


# %% chapters/tracing.ipynb#tracing-outputs
def _outputs(record: Recorder, arrays: tuple[str, ...], results: Any) -> dict[str, Expr]:
    """For each array but the gradient its new value."""
    targets = [name for name in arrays if name != "g"]
    if not isinstance(results, tuple) or len(results) != len(targets):
        came = f"{len(results)} values" if isinstance(results, tuple) else type(results).__name__
        raise TraceError(
            f"{record.where} returns {came}: expected a tuple of ({', '.join(targets)})."
        )
    new = {name: record.lifted(result) for name, result in zip(targets, results, strict=True)}
    for name, expr in new.items():
        if expr.op == "array" and expr.value != name:  # arrays that change places
            new[name] = record.expr("positive", (expr,), kind="element")
        if expr.kind != "element":
            raise TraceError(
                f"{record.where} returns a {expr.kind} value for {name}: expected an array."
            )
    return new


# %% chapters/tracing.ipynb#tracing-names
# Words that mean something in one of the languages a program is printed in.
_TAKEN = {
    "T", "auto", "break", "case", "char", "const", "continue", "default", "delete", "do", "double",
    "else", "enum", "extern", "float", "for", "function", "goto", "i", "if", "inline", "int", "let",
    "long", "n", "new", "register", "restrict", "return", "short", "signed", "size", "sizeof", "start",
    "static", "stop", "struct", "switch", "this", "typedef", "union", "unsigned", "var", "void",
    "volatile", "while",
}  # fmt: skip


def _program(
    record: Recorder, new: dict[str, Expr], hyper: tuple[str, ...], local: dict[str, Any]
) -> Program:
    """Name what the rule named and what is used twice; the rest stays inside its line."""
    order = _reached(record, new)
    chosen = {value._expr: name for name, value in local.items() if isinstance(value, Symbol)}
    chosen |= {expr: f"{name}_new" for name, expr in reversed(new.items()) if expr.op != "array"}
    taken = set(_TAKEN)
    names = {e: _name(e.value, taken) for e in order if e.op == "array"}
    arrays = {e.value: name for e, name in names.items()}
    constants: dict[str, Expr] = {}
    for expr in order:
        for arg in expr.args:
            if expr.kind != "host" == arg.kind and arg.op != "number" and arg not in names:
                names[arg] = _name(arg.value or chosen.get(arg, "c"), taken)
                constants[names[arg]] = arg
    lines: dict[str, Expr] = {}
    for expr in order:
        if expr.kind == "element" and expr.args and (expr in chosen or _needs_name(expr, order)):
            names[expr] = _name(chosen.get(expr, "x"), taken)
            lines[names[expr]] = expr
    outputs = {name: names[expr] for name, expr in new.items() if expr.value != name}
    return Program(record.where, arrays, hyper, constants, lines, outputs, names)


# %% chapters/tracing.ipynb#tracing-reached
def _reached(record: Recorder, new: dict[str, Expr]) -> list[Expr]:
    """The expressions that an output needs, in the order in which the rule made them."""
    found: set[Expr] = set()
    waiting = list(new.values())
    while waiting:
        expr = waiting.pop()
        if expr not in found:
            found.add(expr)
            waiting += expr.args
    leaves = (e for e in record.known.values() if e.op == "array")  # an unused array keeps its name
    return [*leaves, *(e for e in record.known.values() if e in found and e.op != "array")]


def _needs_name(expr: Expr, order: list[Expr]) -> bool:
    """Whether the value is used twice: by two expressions, or by one that repeats its arguments."""
    users = [user for user in order for arg in user.args if arg is expr]
    return len(users) > 1 or any(user.op in ("maximum", "minimum", "sign") for user in users)


def _name(wish: str, taken: set[str]) -> str:
    """A name that nothing else has: the wish itself, or with a number or an underscore after it."""
    tries = (
        (f"{wish}{i}" for i in range(1, 1000))
        if wish in ("c", "x")
        else (wish + "_" * i for i in range(99))
    )
    name = next(name for name in tries if name not in taken)
    taken.add(name)
    return name
