"""Exponential averages: how long they remember, how much noise they leave, how late they are.

Adam keeps two of them for each parameter, of the gradient and of its square. Their memory is set
by one number, beta, and everything here is a function of it: the weights, the half-life, the mean
age, the number of independent draws that the average is worth, and what it does to a wave.
"""

# Generated from chapters/moments.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from collections.abc import Iterable
from typing import Any

import numpy as np


# %% chapters/moments.ipynb#moments-ema
def checked_beta(beta: Any) -> Any:
    """beta itself, a number or an array; ValueError where it is negative, 1 or more, or NaN."""
    if not np.all((beta >= 0) & (beta < 1)):
        raise ValueError(f"beta must be at least 0 and below 1, got {beta}")
    return beta


def ema(values: Iterable[Any], beta: Any) -> list[Any]:
    """The averages m_1, m_2, ... of `values`, from m_0 = 0: numbers, arrays or fractions.

    m_t has the unit of the values. It is not divided by its mass 1 - beta**t.
    """
    checked_beta(beta)
    m: Any = 0
    averages = []
    for g in values:
        m = beta * m + (1 - beta) * g
        averages.append(m)
    return averages


def ema_weights(beta: Any, t: int) -> list[Any]:
    """The weight of each of g_1 ... g_t in m_t, oldest first; they add up to 1 - beta**t."""
    return [(1 - checked_beta(beta)) * beta ** (t - i) for i in range(1, t + 1)]


# %% chapters/moments.ipynb#moments-memory
def half_life(beta: float) -> float:
    """The number of steps after which a gradient has half of its weight; 0 < beta < 1."""
    if not 0 < beta < 1:
        raise ValueError(f"a half-life needs beta above 0 and below 1, got {beta}")
    return math.log(0.5) / math.log(beta)


def mean_age(beta: Any, t: int | None = None) -> Any:
    """The mean age, in steps, of the gradients in the average of g_1 ... g_t; t = None: the limit.

    The weights are divided by their mass, so the age of a single gradient, t = 1, is 0.
    """
    limit = checked_beta(beta) / (1 - beta)
    return limit if t is None else limit - t * beta**t / (1 - beta**t)


# %% chapters/moments.ipynb#moments-size
def effective_size(beta: Any, t: int | None = None, rho: Any = 0) -> Any:
    """How many independent draws the average is worth: variance of one over variance of m_hat_t.

    rho is the correlation of successive gradients, which fades as rho**k with their distance k.
    With t = None the limit for long runs; with a t, rho must be 0.
    """
    limit = (1 + checked_beta(beta)) / (1 - beta)
    if t is None:
        return limit * (1 - beta * rho) / (1 + beta * rho)
    if rho:
        raise ValueError(f"the size after t = {t} steps is given for rho = 0 only, not rho = {rho}")
    return limit * (1 - beta**t) / (1 + beta**t)


# %% chapters/moments.ipynb#moments-gain
def gain(beta: float, omega: float) -> float:
    """What the average leaves of the height of a wave of frequency omega, in radians per step."""
    checked_beta(beta)
    return (1 - beta) / math.sqrt(1 - 2 * beta * math.cos(omega) + beta * beta)
