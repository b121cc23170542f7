"""Dialects: one traced program, printed in the languages that run it.

Each spells the same operations in the same order, so where arithmetic rounds as IEEE 754 says, all
give the same bits. They differ in how they write a number, a root and a choice.
"""

# Generated from chapters/tracing.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from adam_tutorial.tracing import ARITHMETIC, COMPARISONS, Expr, Program, program_of


# %% chapters/tracing.ipynb#dialects-dialect
@dataclass(frozen=True)
class Dialect:
    """How a language writes a number, and what is no infix: {0}, {1}, {2} stand for arguments."""

    number: Callable[[float], str]
    calls: dict[str, str]
    by_constant: str = ""  # a division by a constant, if not written as a quotient


_CHOICES = {
    "sign": "({0} > 0 ? 1 : {0} < 0 ? -1 : {0} == 0 ? 0 : {0})",
    "maximum": "({0} > {1} || {0} != {0} ? {0} : {1})",
    "minimum": "({0} < {1} || {0} != {0} ? {0} : {1})",
    "where": "({0} ? {1} : {2})",
}
_JAVASCRIPT = Dialect(
    repr,
    {"sqrt": "Math.sqrt({0})", "absolute": "Math.abs({0})", "power": "power({0}, {1})"} | _CHOICES,
)
_PYTHON = Dialect(repr, {"absolute": "abs({0})"})


# %% chapters/tracing.ipynb#dialects-numba
_NUMBA = Dialect(
    "T({!r})".format,
    {
        "sqrt": "sqrt({0})",
        "absolute": "abs({0})",
        "sign": "(T(1) if {0} > 0 else T(-1) if {0} < 0 else T(0) if {0} == 0 else {0})",
        "maximum": "({0} if {0} > {1} or {0} != {0} else {1})",
        "minimum": "({0} if {0} < {1} or {0} != {0} else {1})",
        "where": "({1} if {0} else {2})",
    },
)
_NUMBA_PRODUCTS = replace(_NUMBA, by_constant="T(D({0}) * {1}_inverse)")


# %% chapters/tracing.ipynb#dialects-c-like
def _c_like(ctype: str) -> Dialect:
    """C and CUDA, where a number must not make a float expression a double one."""
    return Dialect(
        lambda number: f"({ctype}){number!r}",
        {"sqrt": "sqrt({0})", "absolute": "fabs({0})"} | _CHOICES,
    )


# %% chapters/tracing.ipynb#dialects-printed
_LEVELS = dict.fromkeys(COMPARISONS, 1) | {
    "add": 2, "subtract": 2, "multiply": 3, "divide": 3, "negative": 2, "power": 5,
}  # fmt: skip
_SIGNS = {op: f" {sign} " for op, sign in (ARITHMETIC | COMPARISONS).items()} | {"power": "**"}


def _printed(expr: Expr, dialect: Dialect, names: dict[Expr, str], least: int = 0) -> str:
    """An expression in a dialect, with the parentheses that keep the order of its operations.

    An expression that has a name is printed as its name; `least` is the level of what stands around.
    """
    if expr in names:
        return names[expr]
    if expr.op in ("hyper", "array"):
        return str(expr.value)
    if expr.op == "number":
        text = dialect.number(expr.value)
        return f"({text})" if text.startswith("-") else text
    if expr.op == "positive":
        return _printed(expr.args[0], dialect, names, least)
    if expr.op in dialect.calls:
        return dialect.calls[expr.op].format(*(_printed(arg, dialect, names) for arg in expr.args))
    if expr.op == "divide" and dialect.by_constant and _is_constant(expr.args[1]):
        above, below = (_printed(arg, dialect, names) for arg in expr.args)
        return dialect.by_constant.format(above, below)
    level = _LEVELS[expr.op]
    if expr.op == "negative":
        text = f"-{_printed(expr.args[0], dialect, names, 6)}"
    else:
        first = _printed(expr.args[0], dialect, names, level + (expr.op == "power"))
        text = f"{first}{_SIGNS[expr.op]}{_printed(expr.args[1], dialect, names, level + 1)}"
    return f"({text})" if level < least else text


# %% chapters/tracing.ipynb#dialects-line
def _is_constant(expr: Expr) -> bool:
    return expr.kind == "host" and expr.op != "number"


def _line(program: Program, name: str, dialect: Dialect) -> str:
    """The right-hand side of one line of a program."""
    expr = program.lines[name]
    others = {e: n for e, n in program.names.items() if e is not expr}
    return _printed(expr, dialect, others)


# %% chapters/tracing.ipynb#dialects-host
def host(program: Program) -> str:
    """A Python function from the hyper-parameters to the program's constants, in order."""
    asked = f" {', '.join(program.hyper)}" if program.hyper else ""
    constants = [_printed(expr, _PYTHON, {}) for expr in program.constants.values()]
    return f"lambda{asked}: ({''.join(f'{text}, ' for text in constants)})"


def constants_of(program: Program, dialect: Dialect = _PYTHON) -> dict[str, str]:
    """What the constants that are no hyper-parameters stand for."""
    constants = program.constants.items()
    return {n: _printed(expr, dialect, {}) for n, expr in constants if expr.op != "hyper"}


# %% chapters/tracing.ipynb#dialects-places
class _Places:
    """Where each result of a program goes: into its own array as soon as nobody needs the old
    values, else into a buffer, which is taken again when it is free.
    """

    def __init__(self, program: Program) -> None:
        self.program, self.operations = program, program.operations
        self.last = {arg: i for i, expr in enumerate(self.operations) for arg in expr.args}
        self.of = {expr: name for expr, name in program.names.items() if name not in program.lines}
        self.goal = {program.lines[new]: a for a, new in reversed(program.outputs.items())}
        self.old = {expr.value: expr for expr in program.names if expr.op == "array"}
        self.free: dict[str, list[str]] = {"element": [], "mask": []}
        self.made: dict[str, list[str]] = {"element": [], "mask": []}

    def release(self, i: int) -> None:
        """Free the buffers that operation i is the last to read."""
        for arg in dict.fromkeys(self.operations[i].args):
            if arg.args and arg.kind != "host" and self.last[arg] == i and arg not in self.goal:
                self.free[arg.kind].append(self.of[arg])

    def take(self, i: int) -> str:
        """The place of the result of operation i."""
        expr = self.operations[i]
        old = self.old.get(self.goal.get(expr))
        if old and self.last.get(old, -1) <= i and not (expr.op == "where" and old in expr.args):
            self.of[expr] = self.program.arrays[old.value]
        elif self.free[expr.kind]:
            self.of[expr] = self.free[expr.kind].pop()
        else:
            made = self.made[expr.kind]
            made.append(f"{'b' if expr.kind == 'element' else 'k'}{len(made)}")
            self.of[expr] = made[-1]
        return self.of[expr]


# %% chapters/tracing.ipynb#dialects-buffers
def with_buffers(program: Program) -> tuple[str, int, int]:
    """NumPy calls that each name the place of their result: a function's text, and how many buffers
    and how many masks it takes after the arrays and the constants.
    """
    places, out = _Places(program), []
    for i, expr in enumerate(places.operations):
        if expr.op == "where":  # two writes: the place must not be one that the second reads
            mask, yes, no = (_argument(arg, places) for arg in expr.args)
            place = places.take(i)
            out += [f"copyto({place}, {no})", f"copyto({place}, {yes}, where={mask})"]
            places.release(i)
        else:
            arguments = [_argument(arg, places) for arg in expr.args]
            places.release(i)
            out.append(f"{expr.op}({', '.join([*arguments, f'out={places.take(i)}'])})")
    for array, new in program.outputs.items():
        if (found := places.of[program.lines[new]]) != program.arrays[array]:
            out.append(f"copyto({program.arrays[array]}, {found})")
    buffers, masks = places.made["element"], places.made["mask"]
    names = [*program.arrays.values(), *program.constants, *buffers, *masks]
    text = "\n".join([f"def step({', '.join(names)}):", *(f"    {line}" for line in out), ""])
    return text, len(buffers), len(masks)


def _argument(expr: Expr, places: _Places) -> str:
    return repr(expr.value) if expr.op == "number" else places.of[expr]


# %% chapters/tracing.ipynb#dialects-scalar
def scalar_python(program: Program, dtype: str, products: bool = False) -> str:
    """A loop over elements in plain Python, for Numba to compile; dtype "float32" or "float64".

    The function takes the arrays, the first index, the last plus one, and the constants. With
    `products` (float32 only) it divides by a constant c through a product in double precision,
    which is exact for |c| <= 1; it returns False, and does nothing, where a divisor is larger.
    """
    arrays = [f"_{name}" for name in program.arrays.values()]
    signature = ", ".join([*arrays, "start", "stop", *program.constants])
    dialect, divisors = _NUMBA, []
    if products:
        dialect, divisors = _NUMBA_PRODUCTS, _divisors(program)
    safe = " and ".join(f"abs({name}) <= 1" for name in divisors)
    lines = [
        *(f"{name} = T({name})" for name in program.constants),
        *([f"if not ({safe}):", "    return False"] if divisors else []),
        *(f"{name}_inverse = 1.0 / D({name})" for name in divisors),
        *(f"{array} = {array}[start:stop]" for array in arrays),
        "for i in range(stop - start):",
        *(f"    {program.arrays[a]} = _{program.arrays[a]}[i]" for a in program.read),
        *(f"    {name} = {_line(program, name, dialect)}" for name in program.lines),
        *(f"    _{program.arrays[a]}[i] = {new}" for a, new in program.outputs.items()),
        "return True",
    ]
    imports = f"from math import sqrt\n\nfrom numba import {dtype} as T, float64 as D\n\n\n"
    return imports + "\n".join([f"def step({signature}):", *(f"    {line}" for line in lines), ""])


# %% chapters/tracing.ipynb#dialects-divisors
def _divisors(program: Program) -> list[str]:
    """The constants that elements are divided by."""
    found = [op.args[1] for op in program.operations if op.op == "divide"]
    return list(dict.fromkeys(program.names[e] for e in found if e in program.constants.values()))


# %% chapters/tracing.ipynb#dialects-floats
_FLOATS = replace(
    _NUMBA,
    number=repr,
    calls=_NUMBA.calls
    | {"sign": "(1.0 if {0} > 0 else -1.0 if {0} < 0 else 0.0 if {0} == 0 else {0})"},
)


def on_floats(program: Program) -> str:
    """A Python function from floats to a tuple of floats: theta, g, slots, constants to theta, slots.

    Where NumPy gives infinity or NaN, Python's own division and root raise.
    """
    arguments = [*program.arrays.values(), *program.constants]
    new = [program.outputs.get(a, name) for a, name in program.arrays.items() if a != "g"]
    lines = [
        *(f"{name} = {_line(program, name, _FLOATS)}" for name in program.lines),
        f"return ({', '.join(new)},)",
    ]
    return "\n".join([f"def step({', '.join(arguments)}):", *(f"    {line}" for line in lines), ""])


# %% chapters/tracing.ipynb#dialects-c
def c_source(program: Program, ctype: str) -> str:
    """A C function `step` over n elements; ctype "float" or "double". Arrays are written in place."""
    dialect = _c_like(ctype)
    pointers = [f"{ctype} *_{name}" for name in program.arrays.values()]
    numbers = [f"{ctype} {name}" for name in program.constants]
    return "\n".join(
        [
            "#include <tgmath.h>\n",
            f"void step({', '.join(['long size', *pointers, *numbers])}) {{",
            "    for (long i = 0; i < size; i++) {",
            *(
                f"        const {ctype} {program.arrays[a]} = _{program.arrays[a]}[i];"
                for a in program.read
            ),
            *(
                f"        const {ctype} {name} = {_line(program, name, dialect)};"
                for name in program.lines
            ),
            *(f"        _{program.arrays[a]}[i] = {new};" for a, new in program.outputs.items()),
            "    }\n}\n",
        ]
    )


# %% chapters/tracing.ipynb#dialects-cuda
@dataclass(frozen=True)
class Kernel:
    """What `cupy.ElementwiseKernel` is made of, and the arrays it takes: `reads` before the
    constants, `writes` (which it also reads) after them.
    """

    name: str
    inputs: str
    outputs: str
    operation: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


_CTYPES = {"float32": "float", "float64": "double"}
_HALVES = {  # how 16 bits are stored, widened and rounded
    "float16": ("float16", "(float){0}", "float16({0})"),
    "bfloat16": (
        "uint16",
        "__uint_as_float((unsigned int){0} << 16)",
        "{0} != {0} ? 0x7fc0 : "
        "(__float_as_uint({0}) + 0x7fff + (__float_as_uint({0}) >> 16 & 1)) >> 16",
    ),
}


# %% chapters/tracing.ipynb#dialects-cuda-source
def cuda(program: Program, dtype: str, gradient: str = "") -> Kernel:
    """The kernel of one step: parameters of `dtype`, gradients of `gradient` (by default the same).

    Half precision is widened to float on the way in, and rounded once on the way out.
    """
    for name in (dtype, gradient or dtype):
        if name not in {*_CTYPES, *_HALVES}:
            raise ValueError(f"a kernel is for {', '.join([*_CTYPES, *_HALVES])}; got {name!r}.")
    compute = dtype if dtype in _CTYPES else "float32"
    ctype, dialect = _CTYPES[compute], _c_like(_CTYPES[compute])
    kind = {a: compute for a in program.arrays} | {"theta": dtype, "g": gradient or dtype}
    halves = {a: _HALVES[k] for a, k in kind.items() if k in _HALVES}
    place = {a: f"{n}_16" if a in halves else n for a, n in program.arrays.items()}
    params = {a: f"{halves[a][0] if a in halves else kind[a]} {place[a]}" for a in place}
    body = [
        f"const {ctype} {program.arrays[a]} = {halves[a][1].format(place[a])};"
        for a in program.read
        if a in halves
    ]
    body += [f"const {ctype} {n} = {_line(program, n, dialect)};" for n in program.lines]
    for a, new in program.outputs.items():
        body.append(f"{place[a]} = {halves[a][2].format(new) if a in halves else new};")
    reads = tuple(a for a in program.read if a not in program.outputs)
    return Kernel(
        "".join(c if c.isalnum() else "_" for c in program.where),
        ", ".join([*(params[a] for a in reads), *(f"{compute} {c}" for c in program.constants)]),
        ", ".join(params[a] for a in program.outputs),
        "\n".join(body),
        reads,
        tuple(program.outputs),
    )


# %% chapters/tracing.ipynb#dialects-javascript
_POWER = """// x to a whole power, rounded once: two numbers carry each product's error along
function power(x, exponent) {
  if (exponent === 0.5) return Math.sqrt(x);
  if (!Number.isInteger(exponent) || exponent < 0) return x ** exponent;
  const halves = (a) => { const b = 134217729 * a, high = b - (b - a); return [high, a - high]; };
  const times = ([a, a2], [b, b2]) => {
    const p = a * b, [ah, al] = halves(a), [bh, bl] = halves(b);
    const error = ((ah * bh - p) + ah * bl + al * bh) + al * bl + (a * b2 + a2 * b);
    return [p + error, error - ((p + error) - p)];
  };
  let result = [1, 0], square = [x, 0];
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2) result = times(result, square);
    square = times(square, square);
  }
  return result[0];
}
"""


def javascript(program: Program) -> str:
    """A JavaScript function `step(arrays, hyper)` over Float64Arrays, which it writes in place."""
    arrays, constants = (
        ", ".join(f"{a}: _{n}" for a, n in program.arrays.items()),
        constants_of(program, _JAVASCRIPT),
    )
    power = _POWER if any("power(" in text for text in constants.values()) else ""
    return power + "\n".join(
        [
            f"function step({{{arrays}}}, {{{', '.join(program.hyper)}}}) {{",
            *(f"  const {name} = {text};" for name, text in constants.items()),
            "  for (let i = 0; i < _theta.length; i++) {",
            *(f"    const {program.arrays[a]} = _{program.arrays[a]}[i];" for a in program.read),
            *(f"    const {name} = {_line(program, name, _JAVASCRIPT)};" for name in program.lines),
            *(f"    _{program.arrays[a]}[i] = {new};" for a, new in program.outputs.items()),
            "  }\n}\n",
        ]
    )


# %% chapters/tracing.ipynb#dialects-latex
class Equation(str):
    """LaTeX that a notebook shows as mathematics."""

    def _repr_latex_(self) -> str:
        return f"$$ {self} $$"

    def __repr__(self) -> str:
        return str(self)


_LETTERS = {
    "theta": r"\theta", "lr": r"\alpha", "beta1": r"\beta_1", "beta2": r"\beta_2", "rho": r"\rho",
    "eps": r"\epsilon", "momentum": r"\beta", "weight_decay": r"\lambda", "eta": r"\eta", "mu": r"\mu",
}  # fmt: skip
_ACCENTS = {"hat": r"\hat", "bar": r"\bar", "tilde": r"\tilde"}
_LATEX = Dialect(
    "{:g}".format,
    {
        "divide": r"\frac{{{0}}}{{{1}}}",
        "sqrt": r"\sqrt{{{0}}}",
        "absolute": r"\lvert {0} \rvert",
        "sign": r"\mathrm{{sign}}({0})",
        "maximum": r"\max({0}, {1})",
        "minimum": r"\min({0}, {1})",
        "where": r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
        "less_equal": r"{0} \le {1}",
        "greater_equal": r"{0} \ge {1}",
        "equal": "{0} = {1}",
        "not_equal": r"{0} \ne {1}",
    },
)


# %% chapters/tracing.ipynb#dialects-symbol
def _symbol(name: str, time: str = "") -> str:
    """A name of the code in mathematical letters: m_hat at time t is \\hat m_t."""
    base, *rest = name.split("_") if name not in _LETTERS else [name]
    text = _LETTERS.get(base, base if len(base) == 1 else rf"\mathrm{{{base}}}")
    for word in rest:
        text = f"{_ACCENTS[word]} {text}" if word in _ACCENTS else text
    above = ",".join(word for word in rest if word not in (*_ACCENTS, "t", "new"))
    letter, _, number = text.partition("_") if time else (text, "", "")  # beta_1 at t is beta_{1,t}
    index = ",".join(part for part in (number, time) if part)
    return (
        letter + (rf"^{{\mathrm{{{above}}}}}" if above else "") + (f"_{{{index}}}" if index else "")
    )


# %% chapters/tracing.ipynb#dialects-equation
def equation(method: Any) -> Equation:
    """The rule of an optimizer (or of its class) as mathematics, read off its code."""
    program = program_of(method)
    names = {
        e: _symbol(e.value, "t" if e.value == "g" else "t-1")
        for e in program.names
        if e.op == "array"
    }
    named = {
        n: e for n, e in program.constants.items() if e.op != "hyper" and not _is_numbered(n, "c")
    }
    rows = []
    for name, expr in [*named.items(), *program.lines.items()]:
        if _is_numbered(name, "x"):
            continue
        left = _symbol(next((a for a, new in program.outputs.items() if new == name), name), "t")
        rows.append(f"{left} &= {_latex(expr, names)}")
        names[expr] = left
    return Equation(r"\begin{aligned} " + r" \\ ".join(rows) + r" \end{aligned}")


def _is_numbered(name: str, letter: str) -> bool:
    return name[:1] == letter and name[1:].isdigit()


# %% chapters/tracing.ipynb#dialects-latex-text
def _latex(expr: Expr, names: dict[Expr, str], least: int = 0) -> str:
    """`printed`, with powers raised, products set side by side and roots for the power of a half."""
    if expr not in names and expr.op == "hyper":
        return _symbol(expr.value) if expr.value != "t" else "t"
    if expr in names or expr.op not in ("power", "multiply", "add", "subtract", "negative"):
        inner = {arg: _latex(arg, names) for arg in expr.args}
        return _printed(
            expr, _LATEX, names | {a: t for a, t in inner.items() if expr not in names}, least
        )
    left, right = expr.args[0], expr.args[-1]
    if expr.op == "power" and right.value == 0.5:
        return rf"\sqrt{{{_latex(left, names)}}}"
    if expr.op == "power" or (expr.op == "multiply" and left is right):
        above = "2" if expr.op == "multiply" else _latex(right, names)
        return f"{_latex(left, names, 6)}^{{{above}}}"
    level = _LEVELS[expr.op]
    first, second = _latex(left, names, level), _latex(right, names, level + 1)
    product = r" \cdot " if second[0].isdigit() else r" \, "
    sign = {"multiply": product, "add": " + ", "subtract": " - "}.get(expr.op, "")
    text = f"-{_latex(right, names, 3)}" if expr.op == "negative" else f"{first}{sign}{second}"
    return f"({text})" if level < least else text


# %% chapters/tracing.ipynb#dialects-symbolic
def symbolic(method: Any) -> dict[str, Any]:
    """The new value of each array as a SymPy expression in the old ones and the hyper-parameters.

    Raises ImportError without SymPy.
    """
    try:
        import sympy
    except ImportError as missing:
        raise ImportError("symbolic() needs SymPy: pip install sympy") from missing

    program = program_of(method)
    calls: dict[str, Callable[..., Any]] = {
        "sqrt": sympy.sqrt, "absolute": sympy.Abs, "sign": sympy.sign, "maximum": sympy.Max,
        "minimum": sympy.Min, "less": sympy.Lt, "less_equal": sympy.Le, "greater": sympy.Gt,
        "greater_equal": sympy.Ge, "equal": sympy.Eq, "not_equal": sympy.Ne, "positive": lambda x: x,
        "negative": operator.neg, "add": operator.add, "subtract": operator.sub,
        "multiply": operator.mul, "divide": operator.truediv, "power": operator.pow,
        "where": lambda mask, yes, no: sympy.Piecewise((yes, mask), (no, True)),
    }  # fmt: skip

    def value(expr: Expr) -> Any:
        if expr.op == "number":
            return sympy.Rational(repr(expr.value))
        if not expr.args:
            return sympy.Symbol(expr.value, real=True)
        return calls[expr.op](*map(value, expr.args))

    return {array: value(program.lines[new]) for array, new in program.outputs.items()}
