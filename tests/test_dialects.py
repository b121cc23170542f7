"""Dialects: every machine gives the bits of the rule itself, on hostile numbers and random rules."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from cases import CASES, SEQUENCES, Case, gradients, known, start
from machines import (
    NO_COMPILER,
    NO_NODE,
    NO_NUMBA,
    OPEN_ZEROS,
    HostC,
    as_written,
    constants,
    hostile,
    javascript,
    numba,
    numpy_buffers,
    same,
)
from random_rules import KNOWN
from random_rules import method as random_method

from adam_tutorial import SGD, Adam, AdamHat, AnnealedAdam, program_of
from adam_tutorial.dialects import equation, on_floats, symbolic, with_buffers
from adam_tutorial.executors import float_step

each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
needs_numba = pytest.mark.skipif(bool(NO_NUMBA), reason=NO_NUMBA)
needs_compiler = pytest.mark.skipif(bool(NO_COMPILER), reason=NO_COMPILER)
fixed_zeros = pytest.mark.skipif(bool(OPEN_ZEROS), reason=OPEN_ZEROS or "-")
needs_node = pytest.mark.skipif(bool(NO_NODE), reason=NO_NODE)
MACHINES = [
    pytest.param("buffers"),
    pytest.param("numba", marks=needs_numba),
    pytest.param("c", marks=needs_compiler),
]
STEPS = (1, 2, 3, 10, 1000, 100_000)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        "buffers": numpy_buffers,
        "numba": numba,
        "c": HostC(tmp_path_factory.mktemp("c")),
    }


def known_at(method: Any, t: int) -> dict[str, float]:
    """What the host knows at step t of some run."""
    theta = np.ones(3)
    state = method.init(theta)
    state.t = t - 1
    return known(method, theta, theta, state)


@pytest.mark.parametrize("machine", MACHINES)
@each_dtype
@each_case
def test_a_machine_gives_the_bits_of_the_rule_on_hostile_numbers(
    case: Case, dtype: Any, machine: str, machines: dict[str, Any]
) -> None:
    method = case.make()
    arrays = hostile(2 + len(method.slots), dtype)
    for t in STEPS:
        known = known_at(method, t)
        assert same(machines[machine](method, arrays, known), as_written(method, arrays, known))


@each_case
def test_floats_give_the_bits_of_the_rule_on_hostile_numbers(case: Case) -> None:
    """Divisions by 0 and roots of negative numbers raise in Python; then the rule itself is asked."""
    method = case.make()
    arrays = [array[:600] for array in hostile(2 + len(method.slots), np.float64)]
    step = float_step(method)
    assert step is not None
    for t in STEPS:
        known, columns = known_at(method, t), [array.tolist() for array in arrays]
        found = [step(values, known) for values in zip(*columns, strict=True)]
        assert all(type(number) is float for row in found for number in row)
        new = [np.array(column) for column in zip(*found, strict=True)]
        assert same(new, as_written(method, arrays, known))


@fixed_zeros
@pytest.mark.parametrize("seed", range(60))
def test_random_rules_are_the_same_on_floats(seed: int) -> None:
    method = random_method(seed)
    program = program_of(method)
    names: dict[str, Any] = {"sqrt": math.sqrt, "inf": math.inf, "nan": math.nan}
    exec(on_floats(program), names)
    arrays, raised = [array[:97] for array in hostile(4, np.float64, seed)], []
    expected = as_written(method, arrays, KNOWN[1])
    for i, values in enumerate(zip(*(array.tolist() for array in arrays), strict=True)):
        try:
            new = names["step"](*values, *constants(program, KNOWN[1]))
        except (ZeroDivisionError, ValueError, OverflowError):
            raised.append(i)
        else:
            wanted = [array[i : i + 1] for array in expected]
            assert same([np.array([float(x)]) for x in new], wanted), method.source
    assert len(raised) < 97 or "/ 0.0" in method.source


@needs_node
@each_case
def test_javascript_gives_the_bits_of_the_rule_on_hostile_numbers(case: Case) -> None:
    method = case.make()
    theta, g, *held = hostile(2 + len(method.slots), np.float64)
    known = [known_at(method, t) for t in STEPS]
    found = javascript([(method, [theta, *held], [g], [each]) for each in known])
    for new, each in zip(found, known, strict=True):
        assert same(new, as_written(method, [theta, g, *held], each))


@needs_node
@each_case
def test_javascript_follows_numpy_for_200_steps(case: Case) -> None:
    """With constants of its own: its powers are rounded once, and Python's hardly ever otherwise."""
    method, jobs, expected = case.make(), [], []
    for sequence in SEQUENCES:
        theta, gs = start(sequence), gradients(sequence)
        state = method.init(theta)
        held = [state.slots[name].copy() for name in method.slots]
        numbers = []
        jobs.append((method, [theta.copy(), *held], list(gs), numbers))
        for g in gs:
            numbers.append(known(method, theta, g, state))
            theta, state = method.update(theta, g, state)
        expected.append([theta, *(state.slots[name] for name in method.slots)])
    for new, want in zip(javascript(jobs), expected, strict=True):
        assert same(new, want)


@fixed_zeros
@pytest.mark.parametrize("machine", MACHINES)
@each_dtype
@pytest.mark.parametrize("seed", range(12))
def test_random_rules_are_the_same_on_every_machine(
    seed: int, dtype: Any, machine: str, machines: dict[str, Any]
) -> None:
    method = random_method(seed)
    arrays = hostile(4, dtype, seed)
    for numbers in KNOWN:
        expected = as_written(method, arrays, numbers)
        assert same(machines[machine](method, arrays, numbers), expected), method.source


@fixed_zeros
@pytest.mark.parametrize("seed", range(12, 400))
def test_many_random_rules_are_the_same_with_buffers(seed: int) -> None:
    """The dialect whose text is hardest to get right: it reuses the places of results."""
    method = random_method(seed)
    arrays = [array[:97] for array in hostile(4, np.float64, seed)]
    expected = as_written(method, arrays, KNOWN[2])
    assert same(numpy_buffers(method, arrays, KNOWN[2]), expected), method.source


@fixed_zeros
@needs_node
def test_random_rules_are_the_same_in_javascript() -> None:
    methods = [random_method(seed) for seed in range(120)]
    arrays = [hostile(4, np.float64, seed) for seed in range(120)]
    jobs = [(m, [a[0], *a[2:]], [a[1]], KNOWN[1:2]) for m, a in zip(methods, arrays, strict=True)]
    for found, method, each in zip(javascript(jobs), methods, arrays, strict=True):
        assert same(found, as_written(method, each, KNOWN[1])), method.source


def test_a_result_goes_into_its_own_array_as_soon_as_it_may() -> None:
    text, buffers, masks = with_buffers(program_of(Adam))
    assert (buffers, masks) == (2, 0)
    assert "add(b0, b1, out=m)" in text and "subtract(theta, b1, out=theta)" in text


@needs_node
def test_a_power_in_javascript_is_rounded_once() -> None:
    """V8's own power differs from the exact one in the last bit at these, and more."""
    from fractions import Fraction
    from types import SimpleNamespace

    def rule(theta, g, *, a, t):  # type: ignore[no-untyped-def]
        return (theta + a**t,)

    bases = [float(base) for base in np.random.default_rng(0).uniform(0.5, 1, 40)]
    cases = [(base, t) for base in [0.9, 0.999, *bases] for t in (1, 2, 4, 23, 200, 999)]
    known = [{"a": base, "t": t} for base, t in cases]
    method, zero = SimpleNamespace(rule=rule, slots=()), np.zeros(1)
    found = javascript([(method, [zero], [zero], [each]) for each in known])
    assert [new[0][0] for new in found] == [float(Fraction(base) ** t) for base, t in cases]


# --- equations


def test_the_equation_of_adam() -> None:
    lines = str(equation(Adam)).split(r" \\ ")
    assert lines[0] == r"\begin{aligned} m_{t} &= \beta_1 \, m_{t-1} + (1 - \beta_1) \, g_{t}"
    assert lines[2] == r"\hat m_{t} &= \frac{m_{t}}{1 - \beta_1^{t}}"
    assert lines[4] == (
        r"\theta_{t} &= \theta_{t-1} - \frac{\alpha \, \hat m_{t}}{\sqrt{\hat v_{t}} + \epsilon} "
        r"\end{aligned}"
    )
    assert equation(Adam)._repr_latex_().startswith("$$")


def test_a_rate_that_the_host_computes_has_a_line_of_its_own() -> None:
    first = str(equation(AdamHat)).split(r" \\ ")[0]
    assert (
        first
        == r"\begin{aligned} \alpha_{t} &= \frac{\alpha \, \sqrt{1 - \beta_2^{t}}}{1 - \beta_1^{t}}"
    )


def test_equations_of_the_other_operations() -> None:
    from types import SimpleNamespace

    def rule(theta, g, v_max, *, rho, t):  # type: ignore[no-untyped-def]
        v_max = np.maximum(rho * v_max, abs(g))
        up = np.where(g >= 0, 2 * g, g - (-theta))
        return theta - np.sign(g) * 0.5 + up * 2, v_max

    assert str(equation(SimpleNamespace(rule=rule, slots=("v_max",)))) == (
        r"\begin{aligned} v^{\mathrm{max}}_{t} &= \max(\rho \, v^{\mathrm{max}}_{t-1}, \lvert g_{t} "
        r"\rvert) \\ \mathrm{up}_{t} &= \begin{cases} 2 \, g_{t} & \text{if } g_{t} \ge 0 \\ "
        r"g_{t} - (-\theta_{t-1}) & \text{otherwise} \end{cases} \\ \theta_{t} &= \theta_{t-1} - "
        r"\mathrm{sign}(g_{t}) \cdot 0.5 + \mathrm{up}_{t} \cdot 2 \end{aligned}"
    )


def test_the_symbolic_rule_of_sgd_and_of_adam() -> None:
    theta, g, m, v = sympy.symbols("theta g m v", real=True)
    lr, b1, b2, eps, t = sympy.symbols("lr beta1 beta2 eps t", real=True)
    assert symbolic(SGD) == {"theta": theta - lr * g}
    m_new, v_new = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    step = lr * m_new / (1 - b1**t) / (sympy.sqrt(v_new / (1 - b2**t)) + eps)
    found = symbolic(Adam)
    assert found.keys() == {"theta", "m", "v"}
    assert [sympy.simplify(found[k] - want) for k, want in
            {"theta": theta - step, "m": m_new, "v": v_new}.items()] == [0, 0, 0]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_the_symbolic_rule_has_the_values_of_the_rule(seed: int) -> None:
    method = random_method(seed)
    rng = np.random.default_rng(seed)
    values = dict(zip(("theta", "g", "s", "u"), rng.uniform(0.5, 2, 4).tolist(), strict=True))
    with np.errstate(all="ignore"):
        new = method.rule(*map(np.float64, values.values()), **KNOWN[1])
    known = {
        sympy.Symbol(k, real=True): sympy.Rational(v) for k, v in {**values, **KNOWN[1]}.items()
    }
    for array, value in zip(("theta", "s", "u"), new, strict=True):
        expr = symbolic(method).get(array, sympy.Symbol(array, real=True))
        found = complex(sympy.N(expr.subs(known), 30)) if np.isfinite(value) else None
        assert found is None or found == pytest.approx(value, rel=1e-9, abs=1e-9), method.source


def test_the_c_dialect_needs_no_double_for_float(tmp_path: Path) -> None:
    from adam_tutorial.dialects import c_source

    text = c_source(program_of(random_method(3)), "float")
    assert "double" not in text and "(float)" in text


def test_a_letter_with_a_number_has_one_index() -> None:
    """The momentum of step t is beta_{1,t}: TeX refuses a second index behind the first."""
    shown = str(equation(AnnealedAdam))
    assert r"\beta_{1,t} &= \beta_1 \, \mathrm{decay}" in shown
    assert r"\beta_1_" not in shown
