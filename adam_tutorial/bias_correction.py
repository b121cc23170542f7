"""Bias correction: an average divided by the weight it has gathered, and what that leaves undone.

An exponential average starts at zero, and the zero keeps the weight beta**t. Dividing by the rest
makes it a weighted mean of what was seen. The error left over comes from the drift of the mean;
`drift` is that error, exactly, and `drift_limit` the largest it can be.
"""

# Generated from chapters/bias_correction.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from collections.abc import Iterable, Sequence
from typing import Any

from adam_tutorial.moments import checked_beta


# %% chapters/bias_correction.ipynb#bias-correction-corrected
def corrected_ema(values: Iterable[Any], betas: Iterable[Any]) -> list[Any]:
    """m_hat_1, m_hat_2, ...: the averages of `values`, each divided by its mass.

    betas holds one beta for each value. The mass after t steps is 1 - beta_1 beta_2 ... beta_t,
    which is 1 - beta**t where they are equal. ValueError if the lengths differ.
    """
    m: Any = 0
    missing: Any = 1  # the weight that is still on the zero at the start
    averages = []
    for g, beta in zip(values, betas, strict=True):
        m = checked_beta(beta) * m + (1 - beta) * g
        missing = beta * missing
        averages.append(m / (1 - missing))
    return averages


def drift(means: Sequence[Any], beta: Any) -> list[Any]:
    """zeta_1, zeta_2, ...: by how much E m_t differs from (1 - beta**t) E g_t, given all E g_i."""
    checked_beta(beta)
    zetas: list[Any] = [0 * means[0]] if len(means) else []
    for t in range(2, len(means) + 1):
        delta = means[t - 1] - means[t - 2]
        zetas.append(beta * zetas[-1] - beta * (1 - beta ** (t - 1)) * delta)
    return zetas


# %% chapters/bias_correction.ipynb#bias-correction-limit
def drift_limit(beta: Any, t: int, speed: Any = 1) -> Any:
    """The largest possible |zeta_t| if the mean moves by at most `speed` a step; it is attained."""
    return speed * (checked_beta(beta) * (1 - beta**t) / (1 - beta) - t * beta**t)
