"""Random small rules, from every operation that a program can hold."""

from types import SimpleNamespace
from typing import Any

import numpy as np

SIGNATURE = "def rule(theta, g, s, u, *, a, b, t):"
KNOWN = [{"a": 0.9, "b": 1e-3, "t": t} for t in (1, 2, 30)]
HOST = [
    "a",
    "b",
    "t",
    "(1 - a)",
    "(1 - a**t)",
    "(b / (1 - a))",
    "(-b)",
    "abs(a - 1)",
    "(1 - a)**0.5",
]
NUMBERS = ["0.0", "1", "-2", "0.1", "1e-8", "3.5"]


def method(seed: int) -> Any:
    """A stand-in for an optimizer, with a random rule and two slots."""
    source = rule_source(seed)
    names: dict[str, Any] = {"np": np}
    exec(source, names)
    names["rule"].__qualname__ = f"random{seed}.rule"
    return SimpleNamespace(rule=names["rule"], slots=("s", "u"), source=source)


def rule_source(seed: int) -> str:
    rng = np.random.default_rng(seed)
    elements = ["theta", "g", "s", "u"]
    lines = []
    for i in range(rng.integers(4, 12)):
        lines.append(f"    x{i} = {element(rng, elements, depth=2)}")
        elements.append(f"x{i}")
    new = [str(rng.choice(elements[1:])) for _ in range(3)]
    if rng.random() < 0.3:
        lines.append(f"    theta = theta - {new[0]}")
        new[0] = "theta"
    return "\n".join([SIGNATURE, *lines, f"    return {', '.join(new)}", ""])


def element(rng: Any, elements: list[str], depth: int) -> str:
    """An expression that has one value for each element."""
    if depth == 0:
        return str(rng.choice(elements))

    def deeper() -> str:
        return element(rng, elements, depth - int(rng.integers(1, 3)) if depth > 1 else 0)

    def other() -> str:
        return [deeper, lambda: str(rng.choice(HOST)), lambda: str(rng.choice(NUMBERS))][
            rng.integers(3)
        ]()

    form = rng.integers(11)
    if form < 5:
        sign, operands = rng.choice(list("+-*/")), [deeper(), other()]
        rng.shuffle(operands)
        return f"({operands[0]} {sign} {operands[1]})"
    if form == 5:
        return f"(-{deeper()})"
    if form in (6, 7):
        return f"{rng.choice(['abs', 'np.sqrt', 'np.sign'])}({deeper()})"
    if form in (8, 9):
        return f"np.{rng.choice(['maximum', 'minimum'])}({deeper()}, {other()})"
    compared = f"{deeper()} {rng.choice(['<', '<=', '>', '>=', '==', '!='])} {other()}"
    return f"np.where({compared}, {deeper()}, {other()})"
