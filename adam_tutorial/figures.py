"""One look for every figure: the claim as its title, labelled axes, lines told apart without colour.

Matplotlib is imported when a figure is made, not before, so the package does not depend on it.
"""

# Generated from chapters/how_to_read.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from typing import Any

import numpy as np

# %% chapters/how_to_read.ipynb#figures-figure
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")  # Okabe & Ito
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 3)), (0, (8, 2)))


def figure(claim: str, x: str, y: str, columns: int = 1, height: float = 3.4) -> tuple[Any, Any]:
    """A Matplotlib figure titled with its claim, and its axes (an array, for several columns)."""
    try:
        import matplotlib.pyplot as plt
        from cycler import cycler
    except ImportError as missing:
        raise ImportError(
            'figure() needs Matplotlib: pip install "adam-tutorial[plot]"'
        ) from missing

    look: Any = {
        "figure.dpi": 150,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=_COLOURS, linestyle=_DASHES),
    }
    with plt.rc_context(look):
        fig, axes = plt.subplots(1, columns, figsize=(7.2, height), layout="constrained")
    fig.suptitle(claim, x=0.01, ha="left", fontsize=11, fontweight="bold")
    for panel in np.atleast_1d(axes):
        panel.set(xlabel=x, ylabel=y)
    return fig, axes
