"""Mutations: every small mistake that a formula of a module could hold, planted one at a time.

A wrong sign, operator, constant, exponent or index; a step too early or too late; a term, factor or
root left out; an epsilon on the other side of the root; one hyper-parameter, slot or argument in the
place of another; max for min, zeros for ones; an update from a value that is not yet, or no longer,
current. Words are left alone: messages, annotations, docstrings; and so is `strict=True`.
"""

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
BOUNDARY: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}  # fmt: skip
OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
PAIRS = [
    ("maximum", "minimum"), ("max", "min"), ("zeros_like", "ones_like"), ("zeros", "ones"),
    ("argmax", "argmin"), ("any", "all"), ("cos", "sin"), ("floor", "ceil"),
]  # fmt: skip
MISTAKEN = dict(PAIRS) | {two: one for one, two in PAIRS}  # a function taken for its neighbour
LEFT_OUT = {"sqrt", "abs", "sign", "square", "log", "exp", "maximum", "minimum", "max", "min"}
GUARDS = {"strict"}  # keywords that only watch over a formula
WORDS = {"annotation", "returns", "decorator_list", "bases", "type_params"}

Place = tuple[ast.AST, Any, Any, ast.expr]  # box[key], a list's item or a node's field, is the last


@dataclass(frozen=True)
class Mutant:
    """A module with one mistake in it: where, what the statement was, and what it is now."""

    module: str
    function: str
    line: int
    before: str
    after: str
    source: str = field(repr=False)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What names it in tests/equivalent_mutants.toml: no line numbers, which move."""
        return self.module, self.function, self.before, self.after


@dataclass(frozen=True)
class Scope:
    """Where a statement stands: the function's name, and which name may be mistaken for which."""

    name: str = ""
    bound: frozenset[str] = frozenset()  # names that have a value already
    names: dict[str, str] = field(default_factory=dict)  # arguments
    fields: dict[str, str] = field(default_factory=dict)  # hyper-parameters and slots of the class


def plant(module: str, source: str) -> list[Mutant]:
    """All mutants of a module's text, in the order of the text, each different from all others."""
    tree = ast.parse(source)
    found: dict[str, Mutant] = {source: Mutant(module, "", 0, "", "", ast.unparse(tree))}
    for mutant in _block(module, tree, tree.body, Scope()):
        found.setdefault(mutant.source, mutant)
    return [mutant for mutant in found.values() if mutant.source != found[source].source]


# ---- Statements


def _block(module: str, tree: ast.Module, body: list[Any], scope: Scope) -> Iterator[Mutant]:
    """The mutants of a list of statements."""
    for at, statement in enumerate(body):
        inner = _inside(statement, scope)
        own = inner if isinstance(statement, ast.FunctionDef) else scope  # of its default arguments
        yield from _statement(module, tree, body, at, own)
        for name in ("body", "orelse", "finalbody"):
            if isinstance(block := getattr(statement, name, None), list):
                yield from _block(module, tree, block, inner)
        for handler in getattr(statement, "handlers", []):
            yield from _block(module, tree, handler.body, scope)
        scope = Scope(scope.name, scope.bound | _assigned(statement), scope.names, scope.fields)


def _statement(
    module: str, tree: ast.Module, body: list[Any], at: int, scope: Scope
) -> Iterator[Mutant]:
    """The mutants of one statement, without those of the statements in it."""
    statement = body[at]
    if isinstance(statement, ast.Raise | ast.Import | ast.ImportFrom):
        return
    before, function = _headline(statement), scope.name or "(module)"

    def mutant(after: str, before: str = before) -> Mutant:
        return Mutant(module, function, statement.lineno, before, after, ast.unparse(tree))

    for parent, box, key, node in _own_places(statement):
        for wrong in variants(node, parent, scope):
            with _set(box, key, wrong):
                yield mutant(_headline(statement))
    for new in _instead(statement, scope):
        with _set(body, at, new):
            yield mutant("(left out)" if isinstance(new, ast.Pass) else _headline(new))
    if at + 1 < len(body) and _depends(statement, body[at + 1], scope):
        text, other = before, _headline(body[at + 1])
        with _set(body, slice(at, at + 2), [body[at + 1], statement]):
            yield mutant(f"{other}; {text}", f"{text}; {other}")


def _own_places(statement: ast.stmt) -> Iterable[Place]:
    """The expressions that are mutated: no slots' names, no default of an argument never read."""
    if "slots" in _assigned(statement):
        return []
    if isinstance(statement, ast.FunctionDef):
        read = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        names = [a.arg for a in (*statement.args.posonlyargs, *statement.args.args)][::-1]
        return [
            place
            for place in places(statement)
            if place[1] is not statement.args.defaults
            or names[len(statement.args.defaults) - 1 - place[2]] in read
        ]
    return places(statement)


def _instead(statement: ast.stmt, scope: Scope) -> Iterator[ast.stmt]:
    """What may stand in the place of a statement as a whole."""
    is_call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    if is_call or isinstance(statement, ast.AugAssign) or _assigned(statement) & scope.bound:
        yield ast.Pass()
    match statement:
        case ast.AugAssign(target, operator, value):
            if other := OPERATORS.get(type(operator)):
                yield ast.AugAssign(target, other(), value)
        case ast.If(test, body, orelse) if not isinstance(test, ast.Compare | ast.UnaryOp):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Assign([ast.Name("slots")] as targets, ast.Tuple([one, two, *others], load)):
            yield ast.Assign(targets, ast.Tuple([two, *others, one], load), lineno=0)


def _depends(one: ast.stmt, two: ast.stmt, scope: Scope) -> bool:
    """Whether the second statement would read an older value if it came first."""
    old = _assigned(one) & scope.bound
    reads = {node.id for node in ast.walk(two) if isinstance(node, ast.Name)}
    return bool(old & reads) and isinstance(two, ast.Assign | ast.Expr | ast.AugAssign)


def _assigned(statement: ast.stmt) -> frozenset[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return frozenset(node.id for node in targets if isinstance(node, ast.Name))


def _inside(statement: ast.stmt, scope: Scope) -> Scope:
    """The scope of the statements within a statement."""
    if isinstance(statement, ast.ClassDef):
        return Scope(statement.name, fields=_fields(statement))
    if isinstance(statement, ast.FunctionDef):
        every = [*statement.args.posonlyargs, *statement.args.args, *statement.args.kwonlyargs]
        known = frozenset(argument.arg for argument in every)
        kinds = [(a.arg, ast.unparse(a.annotation)) for a in every if a.annotation]
        name = f"{scope.name}.{statement.name}".lstrip(".")
        return Scope(name, known, _next_of_its_kind(kinds), scope.fields)
    return scope


def _fields(statement: ast.ClassDef) -> dict[str, str]:
    """Each number among a class's fields, and each of its slots, with the next of its kind."""
    kinds = []
    for node in statement.body:
        match node:
            case ast.AnnAssign(ast.Name(name), ast.Name("float" | "Schedule")):
                kinds.append((name, "number"))
            case ast.Assign([ast.Name("slots")], ast.Tuple(names)):
                kinds += [(ast.literal_eval(name), "slot") for name in names]
    return _next_of_its_kind(kinds)


def _next_of_its_kind(kinds: list[tuple[str, str]]) -> dict[str, str]:
    """Each name with the next name of the same kind; the last with the first."""
    groups: dict[str, list[str]] = {}
    for name, kind in kinds:
        groups.setdefault(kind, []).append(name)
    rings = [[*names, names[0]] for names in groups.values() if len(names) > 1]
    return dict(pair for ring in rings for pair in pairwise(ring))


def _headline(statement: ast.stmt) -> str:
    """The statement as text, in one line; of one that holds others, only its first line."""
    lines = ast.unparse(statement).split("\n")
    return next(line for line in lines if not line.startswith("@"))


@contextmanager
def _set(box: Any, key: Any, new: Any) -> Iterator[None]:
    old, box[key] = box[key], new
    yield
    box[key] = old


# ---- Expressions


def places(node: ast.AST) -> Iterator[Place]:
    """The expressions of a statement, without words and without the statements in it."""
    for name, value in ast.iter_fields(node):
        if name in WORDS or (isinstance(node, ast.ClassDef) and name == "keywords"):
            continue
        box = value if isinstance(value, list) else vars(node)
        for key, child in enumerate(value) if isinstance(value, list) else [(name, value)]:
            if isinstance(child, ast.JoinedStr | ast.stmt):
                continue
            if isinstance(child, ast.keyword) and child.arg in GUARDS:
                continue
            if isinstance(child, ast.expr):
                yield node, box, key, child
            if isinstance(child, ast.expr | ast.keyword | ast.comprehension | ast.arguments):
                yield from places(child)


def variants(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[ast.expr]:
    """What one might have written in the place of an expression, by mistake."""
    match node:
        case ast.BinOp(op=ast.BitOr()) if not scope.name:
            pass  # a type that is one of two
        case ast.BinOp():
            yield from _binary(node)
        case ast.UnaryOp(ast.USub() | ast.Not(), operand):
            yield operand
        case ast.Compare(left, operators, others):
            for at, operator in enumerate(operators):
                for table in (BOUNDARY, OPPOSITE):
                    if other := table.get(type(operator)):
                        changed = [*operators[:at], other(), *operators[at + 1 :]]
                        yield ast.Compare(left, changed, others)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Call():
            yield from _call(node)
        case ast.Constant(value):
            yield from _constant(value, parent, scope)
        case ast.Name(name, ast.Load()):
            yield from (ast.Name(other) for other in _mistaken(name, scope.names))
        case ast.Attribute(value, name, ast.Load()):
            yield from (ast.Attribute(value, other) for other in _mistaken(name, scope.fields))
    if isinstance(node, ast.Name | ast.Attribute) and _called(node) == "t":
        match parent:
            case ast.BinOp(op=ast.Add() | ast.Sub(), right=ast.Constant()):
                pass  # t - 1: the mutants of the 1 are these
            case _:
                yield ast.BinOp(node, ast.Add(), ast.Constant(1))
                yield ast.BinOp(node, ast.Sub(), ast.Constant(1))


def _binary(node: ast.BinOp) -> Iterator[ast.expr]:
    """The neighbouring operator; either term, the last factor, base or dividend alone."""
    left, operator, right = node.left, type(node.op), node.right
    if other := OPERATORS.get(operator):
        yield ast.BinOp(left, other(), right)
    if operator is ast.Mult:
        yield right
    else:
        yield left
    if operator is ast.Add:
        yield right
        yield from _into_the_root(left, right)
    if operator is ast.Sub and not isinstance(left, ast.Constant):
        yield ast.UnaryOp(ast.USub(), right)
    if isinstance(left, ast.BinOp) and (operator, type(left.op)) == (ast.Pow, ast.Add):
        yield ast.BinOp(ast.BinOp(left.left, ast.Pow(), right), ast.Add(), left.right)


def _into_the_root(left: ast.expr, right: ast.expr) -> Iterator[ast.expr]:
    """sqrt(v) + eps -> sqrt(v + eps), and the same for other functions and powers."""
    match left:
        case ast.Call(function, [*others, last]) if _called(function) in LEFT_OUT:
            yield ast.Call(function, [*others, ast.BinOp(last, ast.Add(), right)], left.keywords)
        case ast.BinOp(base, ast.Pow(), exponent):
            yield ast.BinOp(ast.BinOp(base, ast.Add(), right), ast.Pow(), exponent)


def _call(node: ast.Call) -> Iterator[ast.expr]:
    """The argument without its function, and sqrt(v + eps) -> sqrt(v) + eps."""
    name = _called(node.func)
    if name in LEFT_OUT:
        yield from node.args
        match node.args:
            case [*others, ast.BinOp(left, ast.Add(), right)]:
                call = ast.Call(node.func, [*others, left], node.keywords)
                yield ast.BinOp(call, ast.Add(), right)
    if name == "where" and len(node.args) == 3:
        yield ast.Call(node.func, [node.args[0], node.args[2], node.args[1]], node.keywords)


def _called(function: ast.expr) -> str:
    match function:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
    return ""


def _constant(value: Any, parent: ast.AST, scope: Scope) -> Iterator[ast.expr]:
    """An integer one off, a float twice as large, the other truth, the next name of its kind."""
    match value:
        case bool():
            yield ast.Constant(not value)
        case int():
            yield ast.Constant(value + 1)
            if not isinstance(parent, ast.BinOp | ast.UnaryOp):  # there, terms are left out already
                yield ast.Constant(value - 1)
        case float():
            yield ast.Constant(2 * value if value else 1.0)
        case str() if value in scope.fields:
            yield ast.Constant(scope.fields[value])


def _mistaken(name: str, kin: dict[str, str]) -> list[str]:
    """The next name of its kind, and the neighbouring function."""
    return [table[name] for table in (kin, MISTAKEN) if name in table]
