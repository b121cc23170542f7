"""Checks: a claim, its kind, and code that could prove it wrong.

A chapter states a claim under a label. The next cell calls `check` with that label and runs the
claim. A check that fails stops the cell, and with it the build. A check that holds prints one
line, and the ledger page of the book collects these lines.

The kind says what a passing check is worth, so each kind accepts only the evidence it promises:
a `bound` needs the smallest slack, a `statistical` claim its z-score, an `exact` one no floats.
"""

# Generated from chapters/how_to_read.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

# %% chapters/how_to_read.ipynb#checks-kinds
KINDS = {
    "exact": "integers, fractions, or the same bits: nothing is rounded away",
    "symbolic": "algebra, for every value of its symbols",
    "bound": "an inequality, case by case, with the smallest slack",
    "statistical": "random draws, with the distance from the claim in standard errors",
    "measured": "an experiment, with its tolerance",
    "quoted": "stated by its source, not checked here",
}


class CheckFailed(AssertionError):
    """A claim of the book that its own check found to be false."""


@dataclass(frozen=True)
class Evidence:
    """What a comparison found: whether it holds, and the figure that says by how much."""

    holds: bool
    note: str
    kinds: tuple[str, ...]


# %% chapters/how_to_read.ipynb#checks-check
def check(
    label: str, kind: str, statement: str, source: str | None = None
) -> Callable[[Evidence | bool], None]:
    """State a claim; call the result with what should be true of it.

    label      the label of the equation or theorem that the claim belongs to
    kind       one of `KINDS`
    statement  the claim in words
    source     where a `quoted` claim is printed; such a claim is not called

    Raises CheckFailed where the evidence is against the claim, TypeError where the evidence is
    not of the kind that was promised.
    """
    if kind not in KINDS:
        raise ValueError(f"({label}): unknown kind {kind!r}; the kinds are {', '.join(KINDS)}")
    if (kind == "quoted") != bool(source):
        raise ValueError(f"({label}): a quoted claim names its source, and only a quoted one")
    if source:
        print(_line("§", kind, label, statement, source))

    def run(evidence: Evidence | bool) -> None:
        found = _evidence(label, kind, evidence)
        if not found.holds:
            raise CheckFailed(_line("✗", kind, label, statement, found.note))
        print(_line("✓", kind, label, statement, found.note))

    return run


# %% chapters/how_to_read.ipynb#checks-evidence
def at_most(
    small: Any, large: Any, rounding: float = 0.0, attained: float | None = None
) -> Evidence:
    """small <= large in every case; the note gives the smallest slack, relative to `large`.

    rounding  the relative error that the arithmetic may have made (0: none is forgiven)
    attained  if given, the smallest slack must not be larger: the bound is reached

    Arrays broadcast; NaN anywhere fails.
    """
    small, large = np.broadcast_arrays(np.asarray(small, float), np.asarray(large, float))
    _need_cases(small)
    scale = np.where(large == 0, 1.0, np.abs(large))
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, and NaN fails
        slack = float(np.min((large - small) / scale))
    holds = slack >= -rounding and (attained is None or slack <= attained)
    shown = f"at most {attained:g}" if attained else _short(max(slack, 0.0))
    found = f"smallest slack {shown if holds else f'{slack:.3g}'} over {_cases(small.size)}"
    return Evidence(holds, found, ("bound",))


# %% chapters/how_to_read.ipynb#checks-measure
def within(measured: Any, expected: Any, tolerance: float) -> Evidence:
    """|measured - expected| <= tolerance in every case; the note gives the tolerance."""
    off = np.abs(np.asarray(measured, float) - np.asarray(expected, float))
    _need_cases(off)
    holds = bool(np.all(off <= tolerance))
    note = (
        f"within {tolerance:g}" if holds else f"off by {np.max(off):.3g}, more than {tolerance:g}"
    )
    return Evidence(holds, note, ("measured",))


def z_score(samples: Any, expected: float, limit: float = 4.0) -> Evidence:
    """The mean of independent samples is `expected`, within `limit` standard errors."""
    samples = np.asarray(samples, float)
    _need_cases(samples, least=100)
    error = float(samples.std(ddof=1)) / samples.size**0.5
    z = (float(samples.mean()) - expected) / error if error else np.inf
    return Evidence(bool(abs(z) <= limit), f"z = {z:+.1f}, n = {samples.size}", ("statistical",))


# %% chapters/how_to_read.ipynb#checks-equal
def equal(left: Any, right: Any) -> Evidence:
    """left == right, element by element, in integers and fractions; a float is refused."""
    lefts, rights = _flat(left), _flat(right)
    if len(lefts) != len(rights):
        return Evidence(False, f"{len(lefts)} values against {len(rights)}", ("exact",))
    pairs = list(zip(lefts, rights, strict=True))
    _need_cases(np.empty(len(pairs)))
    wrong = [f"{a} is not {b}" for a, b in pairs if a != b]
    return Evidence(not wrong, wrong[0] if wrong else _cases(len(pairs)), ("exact",))


# %% chapters/how_to_read.ipynb#checks-bits
def same_bits(left: Any, right: Any) -> Evidence:
    """Two arrays of the same dtype and shape that agree in every bit."""
    left, right = np.asarray(left), np.asarray(right)
    kinds = [(array.dtype, array.shape) for array in (left, right)]
    if kinds[0] != kinds[1]:
        return Evidence(False, f"{kinds[0]} is not {kinds[1]}", ("exact",))
    _need_cases(left)
    holds = left.tobytes() == right.tobytes()
    found = _cases(left.size) if holds else f"{np.sum(left != right)} of {left.size} differ"
    return Evidence(holds, found, ("exact",))


# %% chapters/how_to_read.ipynb#checks-helpers
def _need_cases(values: Any, least: int = 1) -> None:
    if values.size < least:
        raise ValueError(f"a check needs at least {least} cases, and got {values.size}")


def _cases(count: int) -> str:
    return f"{count:,} case" + ("s" if count != 1 else "")


def _short(value: float) -> str:
    """Two digits, so that another machine's last bits hardly ever change the line."""
    return "0" if value < 1e-12 else f"{value:.1e}" if value < 1e-3 else f"{value:.2g}"


def _flat(values: Any) -> list[int | Fraction]:
    items = list(values) if isinstance(values, (list, tuple, range)) else [values]
    for item in items:
        if isinstance(item, bool) or not isinstance(item, (int, Fraction)):
            raise TypeError(f"equal compares integers and fractions, and got {item!r}")
    return items


# %% chapters/how_to_read.ipynb#checks-line
def _line(mark: str, kind: str, label: str, statement: str, note: str) -> str:
    return f"{mark} {kind:<11} ({label}) {statement}" + (f" [{note}]" if note else "")


def _evidence(label: str, kind: str, found: Evidence | bool) -> Evidence:
    """A bare truth value is enough where there is nothing to measure: exact and symbolic."""
    if isinstance(found, (bool, np.bool_)):
        found = Evidence(bool(found), "", ("exact", "symbolic"))
    if not isinstance(found, Evidence) or kind not in found.kinds:
        raise TypeError(f"({label}): this is not evidence for a claim of kind {kind!r}: {found!r}")
    return found
