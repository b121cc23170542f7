"""Checks can fail: each kind of evidence is shown to hold, to fail, and to fit only its kind."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from adam_tutorial.checks import (
    KINDS,
    CheckFailed,
    Evidence,
    at_most,
    check,
    equal,
    same_bits,
    within,
    z_score,
)

DRAWS = np.random.default_rng(0).standard_normal(1000)
HOLDS = {
    "exact": equal(Fraction(1, 2), Fraction(2, 4)),
    "bound": at_most([1.0, 2.0], [2.0, 2.5]),
    "statistical": z_score(DRAWS, 0.0),
    "measured": within(1.0, 1.05, 0.1),
}
FAILS = {
    "exact": equal(1, 2),
    "symbolic": False,
    "bound": at_most(2.0, 1.0),
    "statistical": z_score(DRAWS, 1.0),
    "measured": within(1.0, 1.2, 0.1),
}


# --- the line that a check prints


@pytest.mark.parametrize(
    ("kind", "evidence", "line"),
    [
        ("exact", equal([1, 2], [1, 2]), "✓ exact       (lab) a is b [2 cases]\n"),
        ("exact", True, "✓ exact       (lab) a is b\n"),
        ("symbolic", True, "✓ symbolic    (lab) a is b\n"),
        (
            "bound",
            at_most([1.0, 3.0], [2.0, 4.0]),
            "✓ bound       (lab) a is b [smallest slack 0.25 over 2 cases]\n",
        ),
        ("statistical", None, "✓ statistical (lab) a is b [z = +0.0, n = 100]\n"),
        ("measured", within(1, 1, 1e-9), "✓ measured    (lab) a is b [within 1e-09]\n"),
    ],
)
def test_a_check_that_holds_prints_one_line(
    capsys: pytest.CaptureFixture[str], kind: str, evidence: Any, line: str
) -> None:
    if evidence is None:
        evidence = z_score([-1.0, 1.0] * 50, 0.0)
    assert check("lab", kind, "a is b")(evidence) is None
    assert capsys.readouterr().out == line


def test_a_quoted_claim_prints_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    check("lab", "quoted", "a is b", "Kingma & Ba 2015, eq. 3")
    assert capsys.readouterr().out == "§ quoted      (lab) a is b [Kingma & Ba 2015, eq. 3]\n"


@pytest.mark.parametrize("kind", FAILS)
def test_a_check_that_fails_raises_its_line_and_prints_nothing(
    capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    with pytest.raises(CheckFailed) as caught:
        check("lab", kind, "a is b")(FAILS[kind])
    assert str(caught.value).startswith(f"✗ {kind:<11} (lab) a is b")
    assert capsys.readouterr().out == ""


def test_a_failed_check_is_an_assertion_error() -> None:
    assert issubclass(CheckFailed, AssertionError)


def test_a_claim_alone_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    check("lab", "exact", "a is b")
    assert capsys.readouterr().out == ""


# --- kinds


@pytest.mark.parametrize("promised", [kind for kind in KINDS if kind != "quoted"])
@pytest.mark.parametrize("came", HOLDS)
def test_evidence_is_accepted_for_its_own_kind_alone(promised: str, came: str) -> None:
    run = check("lab", promised, "a is b")
    if promised == came:
        run(HOLDS[came])
    else:
        with pytest.raises(TypeError, match=rf"\(lab\).* of kind '{promised}'"):
            run(HOLDS[came])


@pytest.mark.parametrize("truth", [True, False, np.True_, np.False_])
@pytest.mark.parametrize("kind", ["bound", "statistical", "measured"])
def test_a_bare_truth_value_is_not_evidence_of_a_measurement(kind: str, truth: Any) -> None:
    with pytest.raises(TypeError, match=f"not evidence for a claim of kind '{kind}'"):
        check("lab", kind, "a is b")(truth)


@pytest.mark.parametrize("kind", ["exact", "symbolic"])
def test_a_bare_truth_value_is_enough_for_algebra(kind: str) -> None:
    check("lab", kind, "a is b")(np.True_)
    with pytest.raises(CheckFailed):
        check("lab", kind, "a is b")(np.False_)


@pytest.mark.parametrize("found", [1, 1.0, None, "yes", [True], np.array([True])])
def test_what_only_looks_true_is_not_evidence(found: Any) -> None:
    with pytest.raises(TypeError, match="not evidence"):
        check("lab", "exact", "a is b")(found)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(lab\): unknown kind 'proved'; the kinds are exact, "):
        check("lab", "proved", "a is b")


def test_a_quoted_claim_needs_its_source() -> None:
    with pytest.raises(ValueError, match=r"\(lab\): a quoted claim names its source"):
        check("lab", "quoted", "a is b")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "quoted"])
def test_only_a_quoted_claim_has_a_source(kind: str) -> None:
    with pytest.raises(ValueError, match="and only a quoted one"):
        check("lab", kind, "a is b", "Kingma & Ba 2015")


@pytest.mark.parametrize("evidence", [True, *HOLDS.values()])
def test_a_quoted_claim_takes_no_evidence(evidence: Any) -> None:
    run = check("lab", "quoted", "a is b", "Kingma & Ba 2015")
    with pytest.raises(TypeError, match="of kind 'quoted'"):
        run(evidence)


# --- at_most


@pytest.mark.parametrize("small, large", [(1, 2), (2, 2), (-3, -2), (0, 0), ([[1], [2]], [2, 3])])
def test_at_most_holds(small: Any, large: Any) -> None:
    assert at_most(small, large).holds


@pytest.mark.parametrize(
    "small, large",
    [(2, 1), (-1, -2), (1e-300, 0), ([1, 3], [2, 2]), ([[1], [3]], [2, 4]), (1 + 1e-15, 1)],
)
def test_at_most_fails_where_one_case_fails(small: Any, large: Any) -> None:
    assert not at_most(small, large).holds


@pytest.mark.parametrize(
    "small, large", [(np.nan, 1), (1, np.nan), ([1, np.nan], 2), (np.inf, np.inf), (np.inf, 1)]
)
def test_at_most_fails_on_nan_and_on_infinity(small: Any, large: Any) -> None:
    assert not at_most(small, large).holds


def test_at_most_forgives_as_much_rounding_as_it_is_told() -> None:
    assert at_most(100.0 + 1e-10, 100.0, rounding=1e-11).holds
    assert not at_most(100.0 + 1e-10, 100.0, rounding=1e-13).holds
    assert not at_most(100.0 + 1e-10, 100.0).holds


@pytest.mark.parametrize(
    ("small", "large", "note"),
    [
        (1.0, 1.0, "smallest slack 0 over 1 case"),
        (3.0, 4.0, "smallest slack 0.25 over 1 case"),
        (-1.0, 0.0, "smallest slack 1 over 1 case"),
        ([9.99, 5.0], 10.0, "smallest slack 1.0e-03 over 2 cases"),
        (np.zeros(1234), 1.0, "smallest slack 1 over 1,234 cases"),
    ],
)
def test_at_most_notes_the_smallest_relative_slack(small: Any, large: Any, note: str) -> None:
    assert at_most(small, large).note == note


def test_at_most_notes_by_how_much_it_failed() -> None:
    assert at_most([1.0, 3.0], 2.0).note == "smallest slack -0.5 over 2 cases"


def test_a_bound_can_claim_to_be_attained() -> None:
    assert at_most([1.0, 2.0], 2.0, attained=1e-9).holds
    assert (
        at_most([1.0, 2.0], 2.0, attained=1e-9).note == "smallest slack at most 1e-09 over 2 cases"
    )
    assert not at_most([1.0, 1.9], 2.0, attained=1e-9).holds
    assert not at_most([1.0, 2.1], 2.0, attained=1e-9).holds


# --- same_bits


def test_same_bits_tells_equal_values_with_other_bits_apart() -> None:
    assert same_bits([0.0, np.nan], [0.0, np.nan]).holds
    assert same_bits([0.0, 1.0], [0.0, 1.0]).note == "2 cases"
    assert not same_bits([0.0], [-0.0]).holds
    assert not same_bits([1.0, 2.0], [1.0, np.nextafter(2.0, 3.0)]).holds
    assert same_bits([1.0, 2.0], [1.0, 3.0]).note == "1 of 2 differ"


def test_same_bits_needs_the_same_dtype_and_shape() -> None:
    assert not same_bits(np.ones(2), np.ones(2, np.float32)).holds
    assert not same_bits(np.ones(2), np.ones((1, 2))).holds


def test_same_bits_is_exact_evidence_only() -> None:
    check("lab", "exact", "a is b")(same_bits(np.ones(2), np.ones(2)))
    with pytest.raises(TypeError, match="not evidence"):
        check("lab", "measured", "a is b")(same_bits(np.ones(2), np.ones(2)))


# --- within


@pytest.mark.parametrize("measured", [1.1, 0.9, [1.0, 1.05]])
def test_within_holds(measured: Any) -> None:
    assert within(measured, 1.0, 0.11).holds


@pytest.mark.parametrize("measured", [1.2, 0.8, [1.0, 1.2], np.nan, [1.0, np.nan], np.inf])
def test_within_fails_where_one_case_fails(measured: Any) -> None:
    assert not within(measured, 1.0, 0.11).holds


def test_within_includes_its_tolerance() -> None:
    assert within(1.5, 1.0, 0.5).holds
    assert not within(np.nextafter(1.5, 2), 1.0, 0.5).holds


def test_within_notes_the_tolerance_or_the_distance() -> None:
    assert within([1.0, 1.2], 1.0, 0.5).note == "within 0.5"
    assert within([1.0, 1.25], 1.0, 0.125).note == "off by 0.25, more than 0.125"


# --- z_score


def test_z_score_is_the_distance_in_standard_errors() -> None:
    samples = np.array([-1.0, 1.0] * 50)  # mean 0, standard error sqrt(100 / 99) / 10
    assert z_score(samples, -0.3).note == "z = +3.0, n = 100"
    assert z_score(samples, 0.3).note == "z = -3.0, n = 100"


def test_z_score_holds_within_its_limit() -> None:
    samples = np.array([-1.0, 1.0] * 50)
    assert z_score(samples, 0.3).holds and z_score(samples, -0.3).holds
    for expected in (0.3, -0.3):  # z is 0.3 / 0.1005 = 2.985: the standard error divides by n - 1
        assert z_score(samples, expected, limit=2.99).holds
        assert not z_score(samples, expected, limit=2.98).holds
    assert not z_score(samples, 0.5).holds


def test_z_score_fails_on_nan_and_on_samples_that_do_not_vary() -> None:
    assert not z_score([*DRAWS, np.nan], 0.0).holds
    assert not z_score(np.ones(100), 1.0).holds


def test_z_score_needs_a_hundred_samples() -> None:
    with pytest.raises(ValueError, match="needs at least 100 cases, and got 99"):
        z_score(np.arange(99), 0.0)


# --- equal


@pytest.mark.parametrize(
    "left, right",
    [(1, 1), (Fraction(1, 3), Fraction(2, 6)), ([1, 2], (1, 2)), (range(3), [0, 1, 2])],
)
def test_equal_holds(left: Any, right: Any) -> None:
    assert equal(left, right).holds


@pytest.mark.parametrize("left, right", [(1, 2), (Fraction(1, 3), 0), ([1, 2, 3], [1, 5, 3])])
def test_equal_fails(left: Any, right: Any) -> None:
    assert not equal(left, right).holds


def test_equal_notes_the_first_difference() -> None:
    assert equal([1, Fraction(1, 2), 3], [1, 2, 4]).note == "1/2 is not 2"


@pytest.mark.parametrize("value", [1.0, True, np.float64(1), "1", 1j, None])
def test_equal_refuses_what_is_not_exact(value: Any) -> None:
    with pytest.raises(TypeError, match="compares integers and fractions"):
        equal(1, value)
    with pytest.raises(TypeError, match="compares integers and fractions"):
        equal([value], [1])


@pytest.mark.parametrize(
    "compare", [lambda: at_most([], []), lambda: within([], [], 1.0), lambda: equal([], [])]
)
def test_no_cases_prove_nothing(compare: Any) -> None:
    with pytest.raises(ValueError, match="needs at least 1 cases, and got 0"):
        compare()


def test_evidence_is_frozen() -> None:
    with pytest.raises(AttributeError):
        HOLDS["bound"].holds = False  # type: ignore[misc]


def test_evidence_of_ones_own_is_accepted_for_its_kinds() -> None:
    check("lab", "measured", "a is b")(Evidence(True, "by hand", ("measured",)))
    with pytest.raises(CheckFailed, match="by hand"):
        check("lab", "measured", "a is b")(Evidence(False, "by hand", ("measured",)))


def test_a_quoted_claim_with_an_empty_source_is_refused() -> None:
    with pytest.raises(ValueError, match="names its source"):
        check("lab", "quoted", "a is b", source="")


def test_equal_counts_before_it_compares() -> None:
    assert not equal([1], [1, 2]).holds
    assert equal([1], [1, 2]).note == "1 values against 2"
