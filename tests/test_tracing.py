"""Tracing: what a program is, and what a rule that cannot be one is told."""

import inspect
import math
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case
from random_rules import method as random_method

from adam_tutorial import Adam, AdamHat, MasterWeights, TraceError, program_of
from adam_tutorial.dialects import constants_of, scalar_python, with_buffers

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def made(rule: Any, slots: tuple[str, ...] = ()) -> Any:
    """A stand-in for an optimizer with this rule."""
    return SimpleNamespace(rule=rule, slots=slots)


@each_case
def test_every_rule_is_a_program_that_is_traced_once(case: Case) -> None:
    method = case.make()
    program = program_of(method)
    assert list(program.arrays) == ["theta", "g", *method.slots]
    assert set(program.outputs) <= {"theta", *method.slots}
    assert program_of(case.make()) is program


def test_the_program_of_adam() -> None:
    program = program_of(Adam)
    assert program_of(Adam(lr=0.5)) is program  # of the class or of any instance
    assert program.where == "Adam.rule"
    assert list(program.lines) == ["m_new", "v_new", "m_hat", "v_hat", "theta_new"]
    assert list(program.constants) == ["beta1", "c1", "beta2", "c2", "c3", "c4", "lr", "eps"]
    assert constants_of(program) == {
        "c1": "1 - beta1", "c2": "1 - beta2", "c3": "1 - beta1**t", "c4": "1 - beta2**t",
    }  # fmt: skip


def test_a_number_that_the_rule_names_keeps_its_name() -> None:
    found = constants_of(program_of(AdamHat))
    assert found["lr_t"] == "lr * (1 - beta2**t)**0.5 / (1 - beta1**t)"


def test_what_is_computed_twice_is_one_expression() -> None:
    def rule(theta, g, *, lr):  # type: ignore[no-untyped-def]
        return (theta - lr * (g * g) - lr * (g * g),)

    program = program_of(made(rule))
    assert len(program.operations) == 4  # g * g, lr * _, and two differences
    assert scalar_python(program, "float32").count("g * g") == 1


def test_what_a_choice_repeats_is_computed_once() -> None:
    def rule(theta, g):  # type: ignore[no-untyped-def]
        return (np.maximum(theta * g, g) + np.sign(theta - g),)

    text = scalar_python(program_of(made(rule)), "float64")
    assert text.count("theta * g") == text.count("theta - g") == 1


def test_what_nobody_needs_is_left_out() -> None:
    def rule(theta, g, m, *, lr):  # type: ignore[no-untyped-def]
        unused = np.sqrt(g) / lr  # noqa: F841
        return theta - g, m

    program = program_of(made(rule, ("m",)))
    assert list(program.lines) == ["theta_new"] and program.outputs == {"theta": "theta_new"}
    assert program.constants == {} and program.read == ["theta", "g"]


def test_zero_and_minus_zero_are_two_numbers() -> None:
    def rule(theta, g):  # type: ignore[no-untyped-def]
        return (np.maximum(g, 0.0) + np.maximum(g, -0.0),)

    assert len([op for op in program_of(made(rule)).operations if op.op == "maximum"]) == 2


def test_names_that_mean_something_elsewhere_are_changed() -> None:
    def rule(theta, g, n, *, double):  # type: ignore[no-untyped-def]
        int = n * double  # noqa: A001
        T = int - g
        i = T * g
        return theta - i / int, n + g

    program = program_of(made(rule, ("n",)))
    assert program.arrays["n"] == "n_" and list(program.constants) == ["double_"]
    assert "int_" in program.lines and "n_new" in program.lines
    assert not {"T", "i", "int", "n", "double"} & {*program.lines, *program.arrays.values()}


def test_arrays_may_change_places() -> None:
    def rule(theta, g, m):  # type: ignore[no-untyped-def]
        return m, theta

    program = program_of(made(rule, ("m",)))
    assert set(program.outputs) == {"theta", "m"}


def test_a_profiler_that_runs_is_left_as_it_was() -> None:
    def profiler(*event: Any) -> None:
        pass

    def rule(theta, g):  # type: ignore[no-untyped-def]
        return (theta - g,)

    sys.setprofile(profiler)
    try:
        program_of(made(rule))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_a_wrapped_rule_is_asked_for_what_its_inner_rule_asks() -> None:
    assert program_of(MasterWeights(Adam())).hyper == program_of(Adam).hyper


# --- refusals


def branches(theta, g):  # type: ignore[no-untyped-def]
    return (theta - g if g > 0 else theta,)


def branches_on_host(theta, g, *, lr):  # type: ignore[no-untyped-def]
    return (theta - g if lr > 0 else theta,)


def clips(theta, g):  # type: ignore[no-untyped-def]
    return (theta - max(g, -1.0),)


def exponent(theta, g):  # type: ignore[no-untyped-def]
    return (theta - np.exp(g),)


def power(theta, g):  # type: ignore[no-untyped-def]
    return (theta - g**2,)


def square(theta, g):  # type: ignore[no-untyped-def]
    return (theta - np.square(g),)


def total(theta, g):  # type: ignore[no-untyped-def]
    return (theta - g.sum(),)


def norm(theta, g):  # type: ignore[no-untyped-def]
    return (theta - np.linalg.norm(g),)


def product(theta, g):  # type: ignore[no-untyped-def]
    return (theta - g @ g,)


def host_root(theta, g, *, lr):  # type: ignore[no-untyped-def]
    return (theta - np.sqrt(lr) * g,)


def scalar(theta, g):  # type: ignore[no-untyped-def]
    return (theta - np.float64(0.5) * g,)


def an_array(theta, g):  # type: ignore[no-untyped-def]
    return (theta - np.ones(3) * g,)


def mask(theta, g):  # type: ignore[no-untyped-def]
    return (theta - g * (g > 0),)


def two_numbers(theta, g):  # type: ignore[no-untyped-def]
    return (theta - g * np.where(g > 0, 1.0, 0.0),)


def out(theta, g):  # type: ignore[no-untyped-def]
    return (np.add(theta, g, out=theta),)


def reduces(theta, g):  # type: ignore[no-untyped-def]
    return (theta - np.add.reduce(g),)


def zeros(theta, g):  # type: ignore[no-untyped-def]
    return (np.zeros_like(theta, dtype=float),)


def no_tuple(theta, g):  # type: ignore[no-untyped-def]
    return theta - g


def too_many(theta, g):  # type: ignore[no-untyped-def]
    return theta, g


def number(theta, g):  # type: ignore[no-untyped-def]
    return (0.0,)


def condition(theta, g):  # type: ignore[no-untyped-def]
    return (theta > g,)


def in_place(theta, g):  # type: ignore[no-untyped-def]
    theta -= g
    return (theta,)


def item(theta, g):  # type: ignore[no-untyped-def]
    theta[...] = g
    return (theta,)


def widened(theta, g, *, lr):  # type: ignore[no-untyped-def]
    return (theta - np.float64(lr) * g,)


def of_math(theta, g, *, t):  # type: ignore[no-untyped-def]
    return (theta - g / math.sqrt(t),)


def fails(theta, g):  # type: ignore[no-untyped-def]
    return (theta - g * (1 / 0),)


REFUSED = {
    branches: "branches on the traced value g > 0. Use np.where(condition, this, that)",
    branches_on_host: "branches on the traced value lr > 0. One program serves all hyper-parameters",
    clips: "branches on the traced value g < -1.0. Use np.where(condition, this, that), or np.maximum",
    exponent: "uses np.exp, for which there is no dialect. A rule may use",
    power: "uses np.power, for which there is no dialect. Write x * x for a square",
    square: "uses np.square, for which there is no dialect. Write x * x.",
    total: "uses the attribute .sum, for which there is no dialect. A rule may use",
    norm: "uses np.norm, for which there is no dialect. A rule may use",
    product: "uses np.matmul, for which there is no dialect. A rule may use",
    host_root: "uses np.sqrt of numbers alone, for which there is no dialect. It would make a 64-bit",
    scalar: "meets float64 np.float64(0.5): expected arrays, hyper-parameters, or Python's own int",
    an_array: "meets ndarray array([1., 1., 1.]): expected arrays, hyper-parameters, or Python's",
    mask: "uses np.multiply of a comparison, for which there is no dialect. Use a comparison as",
    two_numbers: "uses np.where of numbers alone, for which there is no dialect. It would make a 64-bit array. Use np.sign",
    in_place: "uses an operation in place, for which there is no dialect. A rule is pure: write m = m",
    item: "cannot run on symbols: 'Symbol' object does not support item assignment. A rule may use",
    widened: "uses float() or a function of math, for which there is no dialect. It would make",
    of_math: "uses float() or a function of math, for which there is no dialect. It would make",
    fails: "cannot run on symbols: division by zero. A rule may use",
    out: "uses an operation in place, for which there is no dialect. A rule is pure: write m = m + g",
    reduces: "uses np.add with options, for which there is no dialect. A rule may use",
    zeros: "uses np.zeros_like with options, for which there is no dialect. A rule may use",
    no_tuple: "returns Symbol: expected a tuple of (theta).",
    too_many: "returns 2 values: expected a tuple of (theta).",
    number: "returns a host value for theta: expected an array.",
    condition: "returns a mask value for theta: expected an array.",
}  # fmt: skip


@pytest.mark.parametrize("rule", REFUSED, ids=lambda rule: rule.__name__)
def test_a_rule_that_is_no_program_is_told_what_to_use(rule: Any) -> None:
    with pytest.raises(TraceError) as caught:
        program_of(made(rule))
    assert f"{rule.__name__} {REFUSED[rule]}" in str(caught.value)


@pytest.mark.parametrize("method", [3, "Adam", Adam.rule, MasterWeights, object])
def test_what_is_no_method_is_refused(method: Any) -> None:
    with pytest.raises(TypeError, match="expected an optimizer, or a class with a rule of its own"):
        program_of(method)


def test_random_rules_use_every_operation() -> None:
    found = {op.op for seed in range(60) for op in program_of(random_method(seed)).operations}
    assert found == {
        "add", "subtract", "multiply", "divide", "negative", "absolute", "sqrt", "sign", "maximum",
        "minimum", "where", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal",
        "positive",
    }  # fmt: skip


def test_a_random_rule_shows_its_source() -> None:
    method = random_method(0)
    assert "return" in method.source and inspect.isfunction(method.rule)
    assert with_buffers(program_of(method))[0].startswith("def step(theta, g, s, u")
