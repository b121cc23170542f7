"""The questions of the chapter on the family, asked of methods whose answers are known; and its page."""

import ast
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

import nbformat
import numpy as np
import pytest

import adam_tutorial
from adam_tutorial import (
    L2,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdaMax,
    Clipped,
    Momentum,
    Nadam,
    Nesterov,
    Optimizer,
    RMSProp,
    family,
)
from adam_tutorial.family import (
    follows_rotations,
    ignores_place,
    ignores_units,
    longest_move,
    moves,
    response,
    scale_factor,
    waits_for_gradients,
    without,
)
from adam_tutorial.wrappers import settings_of

LINEAR = [SGD(1.0), Momentum(1.0), Nesterov(1.0)]
FREE = [Adagrad(1.0), RMSProp(), Adam(), AdaMax(), Nadam(), Adadelta()]


@dataclass(frozen=True)
class Quadratic(Optimizer):
    """Moves by g + g |g|: not of one degree."""

    lr: float = 1.0

    @staticmethod
    def rule(theta, g, *, lr):
        return (theta - lr * (g + g * abs(g)),)


@dataclass(frozen=True)
class Normalised(Optimizer):
    """Divides by the length of the whole gradient."""

    lr: float = 1.0
    elementwise: ClassVar[bool] = False

    @staticmethod
    def rule(theta, g, *, lr):
        return (theta - lr * g / np.sqrt(np.sum(g * g)),)


@dataclass(frozen=True)
class OnSphere(Optimizer):
    """Gradient descent with unit vectors; refuses others."""

    lr: float = 1.0
    elementwise: ClassVar[bool] = False

    def init_leaf(self, theta):
        if abs(np.sum(theta * theta) - 1) > 1e-12:
            raise ValueError("expected a unit vector")
        return ()

    @staticmethod
    def rule(theta, g, *, lr):
        theta = theta - lr * (g - np.sum(g * theta) * theta)
        return (theta / np.sqrt(np.sum(theta * theta)),)


# ---- Moves


def test_a_move_of_gradient_descent_is_the_gradient_whatever_the_rate():
    g = np.random.default_rng(0).integers(-8, 9, (5, 3)) / 4
    start = np.array([1.0, 0.0, -2.0])
    for lr in (1.0, 1e-3, lambda t: 1 / t):
        assert np.array_equal(moves(SGD(lr), g, start), -g)
    assert np.array_equal(start, [1.0, 0.0, -2.0])


def test_the_parameters_are_put_back_and_the_state_is_not():
    g = np.ones((3, 2))
    start = np.array([2.0, 0.0])
    assert np.allclose(moves(L2(SGD(1.0), weight_decay=0.5), g, start), [[-2, -1]] * 3, atol=1e-12)
    assert np.allclose(
        moves(Momentum(1.0, momentum=0.5), g, np.zeros(2)), [[-1] * 2, [-1.5] * 2, [-1.75] * 2]
    )


@dataclass(frozen=True)
class FirstRate(Optimizer):
    """Moves by the rate that it had when its state was made."""

    lr: float = 1.0
    slots: ClassVar[tuple[str, ...]] = ("first",)

    def init_leaf(self, theta):
        return (np.full_like(theta, self.lr),)

    @staticmethod
    def rule(theta, g, first):
        return theta - first * g, first


def test_the_state_is_made_with_the_rate_that_the_steps_have():
    assert moves(FirstRate(), np.ones((2, 1)), np.zeros(1)).tolist() == [[-1], [-1]]


def test_a_response_is_against_the_gradient():
    assert response(SGD(1.0), [1.0, -3.0, 0.0]).tolist() == [1.0, -3.0, 0.0]
    assert np.allclose(response(Momentum(1.0, 0.5), [1, 0, 0]), [1, 0.5, 0.25])


def test_a_response_has_a_unit_vector_for_those_who_need_one():
    (move,) = response(OnSphere(), [3.0])
    assert np.isclose(move, 3 / np.sqrt(1 + (3 * 2.0**-10) ** 2), rtol=1e-12)


def test_the_second_coordinate_has_no_gradient():
    assert np.isclose(response(Normalised(), [5.0])[0], 1)


# ---- What is switched off


def test_without_switches_off_what_is_there():
    held = without(L2(Adam(beta1=0.5), weight_decay=0.1), "eps", "weight_decay", "momentum")
    expected = {"lr": 1e-3, "beta1": 0.5, "beta2": 0.999, "eps": 1e-12, "weight_decay": 1e-12}
    assert {name: settings_of(held)[name] for name in expected} == expected
    assert without(Adam(), "weight_decay") == Adam()
    assert without(SGD(1.0), "eps") == SGD(1.0)


def test_the_gradients_have_size_one_and_begin_with_two_that_agree():
    g = family._gradients()
    assert g.shape == (40, 3) and 0.8 < g.std() < 1.2
    assert np.array_equal(g[0], g[1]) and len(np.unique(g[1:], axis=0)) == 39


def test_alike_allows_rounding_and_no_nan():
    one = np.array([100.0, 1.0])
    assert family._alike(one + np.array([0, 0.99e-4]), one)
    assert not family._alike(one - np.array([0, 1.01e-4]), one)
    assert not family._alike(np.array([100.0, np.nan]), one)
    assert family._alike(-one, -one) and not family._alike(-one, one)
    assert family._alike(np.zeros(2), np.zeros(2))
    assert not family._alike(np.array([1 + 1.0000005e-6]), np.ones(1))  # a share of the second


# ---- The questions


@pytest.mark.parametrize("method", LINEAR, ids=lambda m: type(m).__name__)
def test_linear_methods(method):
    assert np.isclose(scale_factor(method), 1000, rtol=1e-9)
    assert np.isclose(scale_factor(method, by=7.0), 7, rtol=1e-9)
    assert not ignores_units(method) and follows_rotations(method)
    assert ignores_place(method) and not waits_for_gradients(method)


@pytest.mark.parametrize("method", FREE, ids=lambda m: type(m).__name__)
def test_methods_that_ignore_the_scale(method):
    assert np.isclose(scale_factor(without(method, "eps")), 1, rtol=1e-5)
    assert ignores_units(method) and not follows_rotations(method)
    assert ignores_place(method) and not waits_for_gradients(method)


def test_the_scale_factor_is_a_ratio_of_all_moves():
    g = np.abs(family._gradients())
    linear, square = g.sum(), (g * g).sum()
    for by, size in ((1000.0, 1.0), (10.0, 1.0), (10.0, 0.1), (0.5, 3.0)):
        scales = by * size, size
        above, below = (s * linear + s * s * square for s in scales)
        assert np.isclose(scale_factor(Quadratic(), by, size), above / below, rtol=1e-9)
    assert scale_factor(Quadratic()) == scale_factor(Quadratic(), by=1000.0, size=1.0)


def test_epsilon_and_decay_do_not_hide_what_a_method_ignores():
    assert ignores_units(Adam(eps=0.1)) and not follows_rotations(Adam(eps=0.1))
    assert ignores_units(L2(Adam(), weight_decay=0.1))
    assert follows_rotations(Adam(beta1=0.0, beta2=0.0, eps=1e9)) is False


def test_the_length_of_the_whole_gradient_follows_rotations():
    assert follows_rotations(Normalised()) and follows_rotations(OnSphere())
    assert not ignores_units(Normalised())
    assert np.isclose(scale_factor(Normalised()), 1)
    assert not follows_rotations(Quadratic())


def test_decay_turns_with_the_parameters_and_sees_their_place():
    decayed = L2(SGD(1.0), weight_decay=0.1)
    assert follows_rotations(decayed) and not ignores_place(decayed)
    assert not ignores_place(OnSphere())


def test_who_waits_for_all_gradients():
    assert waits_for_gradients(Clipped(SGD(1.0), max_norm=1.0))
    assert not waits_for_gradients(Nadam())  # numbers of the host, but from t alone


# ---- Long moves


def test_the_longest_of_many_sequences():
    sequences = np.array([[1.0, 0.0, -1.0], [1.0, 0.0, -1.0], [1.0, 3.0, 1.0]])
    assert longest_move(SGD(1.0), sequences) == 3
    assert np.isclose(longest_move(Momentum(1.0, momentum=0.5), sequences[:2]), 1.5)
    assert np.isclose(longest_move(Momentum(1.0, momentum=0.5), sequences[:, 2:]), 1.5)
    assert longest_move(L2(SGD(1.0), weight_decay=0.5), sequences) == 3  # at 0, where decay rests
    assert np.isclose(longest_move(RMSProp(rho=0.75, eps=1e-12), np.array([[1.0]])), 2)


def test_sequences_do_not_see_each_other():
    sequences = np.array([[3.0, 4.0]])
    assert np.isclose(longest_move(Normalised(), sequences), 1)
    assert np.isclose(longest_move(Clipped(SGD(1.0), max_norm=1.0), sequences), 1)


# ---- The page

ROOT = Path(__file__).resolve().parents[1]
PAGE = nbformat.read(ROOT / "chapters/family.ipynb", as_version=4)
CELLS = {cell.id: cell for cell in PAGE.cells}


def literal(cell, name):
    """What a cell assigns to a name, or adds to it."""
    for node in ast.parse(CELLS[cell].source).body:
        target = getattr(node, "targets", [getattr(node, "target", None)])[0]
        if getattr(target, "id", None) == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"{cell} assigns nothing to {name}")


TREE = literal("tree-table", "TREE")
USE = {
    name: line
    for cell in ("use-linear", "use-adam", "use-amsgrad", "use-decay")
    for name, line in literal(cell, "USE").items()
}
REDUCED = [
    [cell.strip() for cell in line.split("|")]
    for line in literal("reductions-table", "REDUCTIONS").strip().splitlines()
]


def members():
    """The public methods that are neither wrappers nor a library's form of another."""
    public = [getattr(adam_tutorial, name) for name in adam_tutorial.__all__]
    found = [
        x for x in public if isinstance(x, type) and issubclass(x, Optimizer) and hasattr(x, "rule")
    ]
    return {
        method.__name__
        for method in found
        if method.__module__ != "adam_tutorial.conventions"
        and "inner" not in [field.name for field in fields(method)]
    }


def test_every_public_method_has_its_lines_and_no_other_has():
    assert members() >= {"SGD", "Adam", "UnbiasedNadam"} and "L2" not in members()
    for table in (TREE, USE):
        assert members() == table.keys()
    assert all(len(when) > 20 and len(when_not) > 20 for when, when_not in USE.values())


def test_the_page_shows_every_public_method_in_every_table():
    for cell in ("cost-table", "symmetry-table", "response-table", "longest-table", "use-shown"):
        (output,) = CELLS[cell].outputs
        for name in members():
            assert (
                f"| {name} |" in output.data["text/markdown"]
                or f"[{name}](" in (output.data["text/markdown"])
            )
    shown = "".join(
        output.data.get("text/markdown", "") for output in CELLS["rules-as-equations"].outputs
    )
    assert all(f"**{name}**" in shown for name in members())


@pytest.mark.parametrize("table", ["TREE", "USE"])
def test_the_page_stops_without_a_line(table):
    cell = {"TREE": "tree-table", "USE": "use-shown"}[table]
    names = {"methods": {"Adam": Adam(), "Unheard": Adam()}, "USE": USE}
    with pytest.raises(LookupError, match="Unheard"):
        exec(CELLS[cell].source, names)


def test_ancestors_come_first_and_their_changes_are_undone():
    seen = {""}
    for name, (ancestor, change) in TREE.items():
        assert ancestor in seen and change
        seen.add(name)
    undone = {left for left, *_ in REDUCED}
    assert TREE.keys() - undone <= {"SGD", "NDAdam"}
    assert {how for *_, how in REDUCED} == {"bits", "rounding"}
