"""Weight normalisation: networks whose hidden units know only the directions of their weights.

A unit's weight vector is used as gain * w / |w| [Salimans & Kingma 2016], so the loss does not
depend on the length of w. The networks are those of `sweeps` with one more parameter.
"""

# Generated from chapters/nd_adam.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from dataclasses import dataclass

import numpy as np

from adam_tutorial.backends import asarray
from adam_tutorial.sweeps import Networks
from adam_tutorial.trees import Array, Tree


# %% chapters/nd_adam.ipynb#weight-norm-code
def _directions(w: Array) -> tuple[Array, Array]:
    length = np.sqrt((w * w).sum(axis=1, keepdims=True))
    return w / length, length


def plain(params: Tree) -> dict[str, Array]:
    """The ordinary network that computes the same: W1 = gain * w / |w|, for each hidden unit."""
    unit, _ = _directions(params["w"])
    return {"W1": params["gain"] * unit, **{name: params[name] for name in ("b1", "W2", "b2")}}


def chained(params: Tree, grads: Tree) -> dict[str, Array]:
    """The gradients of w and gain, given those of the ordinary network. That of w is orthogonal to w."""
    unit, length = _directions(params["w"])
    along = (grads["W1"] * unit).sum(axis=1, keepdims=True)
    w = params["gain"] * (grads["W1"] - along * unit) / length
    return {"w": w, "gain": along, **{name: grads[name] for name in ("b1", "W2", "b2")}}


# %% chapters/nd_adam.ipynb#weight-norm-networks
@dataclass(frozen=True)
class DirectionNetworks(Networks):
    """`Networks` whose hidden units are weight-normalised: w (R, 64, hidden), gain (R, 1, hidden).

    Each starts as the function that `Networks` starts from with the same seed. The vectors of run r
    first have the length lengths[r], or 1 if no lengths are given.
    """

    lengths: tuple[float, ...] = ()

    @property
    def start(self) -> dict[str, Array]:
        first = super().start
        unit, gain = _directions(first["W1"])
        lengths = asarray(np.array(self.lengths or 1.0), dtype=unit.dtype).reshape(-1, 1, 1)
        return {"w": lengths * unit, "gain": gain, **{k: first[k] for k in ("b1", "W2", "b2")}}

    def grad(self, params: Tree, t: int) -> dict[str, Array]:
        return chained(params, super().grad(plain(params), t))
