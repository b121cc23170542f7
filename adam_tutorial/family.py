"""The family by its behaviour: what a method answers to, found by running it.

A method is given gradients, and its parameters are put back after each step. What is left are its
moves. They tell whether the scale of the loss counts, the units of the coordinates, the choice of
the axes, or the place where the parameters stand. Nothing here knows any method by name.
"""

# Generated from chapters/family.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from collections.abc import Sequence

import numpy as np

from adam_tutorial.optimizer import Optimizer
from adam_tutorial.trees import Array
from adam_tutorial.wrappers import settings_of, with_settings

# %% chapters/family.ipynb#family-imports
_RATE = 2.0**-10  # a power of two: dividing by it rounds nothing


# %% chapters/family.ipynb#family-moves
def moves(method: Optimizer, gradients: Array, start: Array) -> Array:
    """The moves along `gradients`, each from `start`: the parameters are put back after a step.

    gradients (steps, n) and start (n,) in float64. The moves have the shape of the gradients, and
    are in learning rates: whatever `lr` the method has, a small constant takes its place.
    """
    method = with_settings(method, {"lr": _RATE})
    state, found = method.init(start), np.empty(gradients.shape)
    for i, g in enumerate(gradients):
        theta, state = method.update(start, g, state)
        found[i] = (theta - start) / _RATE
    return found


def response(method: Optimizer, gradients: Sequence[float] | Array) -> Array:
    """How far one coordinate goes against its gradients, step by step, in learning rates.

    The coordinate stands at 0. A second one has no gradient and stands at 1, so that a method for
    unit vectors has one.
    """
    g = np.asarray(gradients, float)
    pairs = np.stack([g, np.zeros_like(g)], axis=1)
    return -moves(method, pairs, np.array([0.0, 1.0]))[:, 0]


# %% chapters/family.ipynb#family-probes
_START = np.array([1.0, 0.0, 0.0])  # a unit vector, for methods that need one
_TURN = np.array([[2.0, -1.0, 2.0], [2.0, 2.0, -1.0], [-1.0, 2.0, 2.0]]) / 3  # a rotation


def without(method: Optimizer, *names: str) -> Optimizer:
    """The method with these settings as good as off, at 1e-12, as far as it has them.

    An eps of exactly 0 would make 0 / 0 of a gradient that is 0.
    """
    return with_settings(method, {name: 1e-12 for name in names if name in settings_of(method)})


def _gradients() -> Array:
    """Forty gradients of three coordinates, of size 1; the first two are equal."""
    g = np.random.default_rng(0).standard_normal((40, 3))
    g[1] = g[0]  # so that a method that waits until two steps agree need not wait
    return g


def _alike(one: Array, other: Array) -> bool:
    return bool(np.abs(one - other).max() <= 1e-6 * np.abs(other).max())  # False where one is NaN


# %% chapters/family.ipynb#family-scale
def scale_factor(method: Optimizer, by: float = 1000.0, size: float = 1.0) -> float:
    """How much longer the moves become when gradients of about `size` are multiplied by `by`.

    1 for a method that ignores the scale of the loss, `by` for one that follows it.
    """
    small, large = (
        np.abs(moves(method, scale * _gradients(), _START)).sum() for scale in (size, by * size)
    )
    return float(large / small)


def ignores_units(method: Optimizer) -> bool:
    """Whether the moves stay when each coordinate's gradients get a scale of their own; eps is off."""
    method, g = without(method, "eps", "weight_decay"), _gradients()
    return _alike(moves(method, g * np.array([1.0, 1000.0, 0.1]), _START), moves(method, g, _START))


# %% chapters/family.ipynb#family-rotations
def follows_rotations(method: Optimizer) -> bool:
    """Whether the moves turn with the parameters and the gradients; eps is off."""
    method, g = without(method, "eps"), _gradients()
    turned = moves(method, g @ _TURN.T, _TURN @ _START)
    return _alike(turned, moves(method, g, _START) @ _TURN.T)


def ignores_place(method: Optimizer) -> bool:
    """Whether the same gradients make the same moves wherever the parameters stand: no decay."""
    elsewhere = moves(method, _gradients(), _TURN @ _START)
    return _alike(elsewhere, moves(method, _gradients(), _START))


def waits_for_gradients(method: Optimizer) -> bool:
    """Whether the host computes numbers from all gradients before a parameter can move."""
    found = []
    for scale in (1.0, 2.0):
        state = method.init(_START)
        for g in scale * _gradients():
            _, state = method.update(_START, g, state)
        found.append(state.scalars)
    return found[0] != found[1]


# %% chapters/family.ipynb#family-longest
def longest_move(method: Optimizer, sequences: Array) -> float:
    """The longest move of one coordinate along any of these sequences of gradients (steps, many).

    Below the longest possible, unless the longest possible is among them.
    """
    if method.elementwise and not waits_for_gradients(method):  # all of them at once
        found = moves(method, sequences, np.zeros(sequences.shape[1]))
    else:
        found = np.array([response(method, gradients) for gradients in sequences.T])
    return float(np.abs(found).max())
