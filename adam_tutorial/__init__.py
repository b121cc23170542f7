"""Adam and its family of optimizers, from the chapters of *Adam, from Moments to Regret*.

Every public name of every module can be imported from here. Its module is loaded on first use, so
that importing the package costs next to nothing and never loads what a program does not need.
"""

# Generated from chapters/ by tools/tangle.py: edit a chapter, then run make tangle.

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__: list[str] = [
    "Adam",
    "AdamHat",
    "Array",
    "CheckFailed",
    "Digits",
    "DriftingTarget",
    "Evidence",
    "Hooks",
    "KINDS",
    "Leaves",
    "Optimizer",
    "Ravine",
    "Rosenbrock",
    "SGD",
    "SLICE",
    "Saddle",
    "Schedule",
    "SparseFeatures",
    "State",
    "Tree",
    "asarray",
    "at_most",
    "available",
    "check",
    "checked_beta",
    "compute_dtype",
    "corrected_ema",
    "cross_entropy",
    "cross_entropy_grad",
    "default",
    "describe",
    "digits",
    "drift",
    "drift_limit",
    "effective_size",
    "ema",
    "ema_weights",
    "equal",
    "figure",
    "gain",
    "half_life",
    "leaves",
    "log_softmax",
    "map_leaves",
    "matched",
    "mean_age",
    "narrow",
    "of",
    "paths",
    "rebuild",
    "same_bits",
    "to",
    "trace",
    "validated",
    "widen",
    "within",
    "z_score",
]

_HOME: dict[str, str] = {
    "Adam": "adam",
    "AdamHat": "adam",
    "Array": "trees",
    "CheckFailed": "checks",
    "Digits": "problems",
    "DriftingTarget": "problems",
    "Evidence": "checks",
    "Hooks": "optimizer",
    "KINDS": "checks",
    "Leaves": "optimizer",
    "Optimizer": "optimizer",
    "Ravine": "problems",
    "Rosenbrock": "problems",
    "SGD": "sgd",
    "SLICE": "optimizer",
    "Saddle": "problems",
    "Schedule": "optimizer",
    "SparseFeatures": "problems",
    "State": "optimizer",
    "Tree": "trees",
    "asarray": "backends",
    "at_most": "checks",
    "available": "backends",
    "check": "checks",
    "checked_beta": "moments",
    "compute_dtype": "optimizer",
    "corrected_ema": "bias_correction",
    "cross_entropy": "problems",
    "cross_entropy_grad": "problems",
    "default": "backends",
    "describe": "backends",
    "digits": "problems",
    "drift": "bias_correction",
    "drift_limit": "bias_correction",
    "effective_size": "moments",
    "ema": "moments",
    "ema_weights": "moments",
    "equal": "checks",
    "figure": "figures",
    "gain": "moments",
    "half_life": "moments",
    "leaves": "trees",
    "log_softmax": "problems",
    "map_leaves": "trees",
    "matched": "trees",
    "mean_age": "moments",
    "narrow": "optimizer",
    "of": "backends",
    "paths": "trees",
    "rebuild": "trees",
    "same_bits": "checks",
    "to": "backends",
    "trace": "problems",
    "validated": "optimizer",
    "widen": "optimizer",
    "within": "checks",
    "z_score": "checks",
}
_MODULES: list[str] = [
    "adam",
    "backends",
    "bias_correction",
    "checks",
    "figures",
    "moments",
    "optimizer",
    "problems",
    "sgd",
    "trees",
]
_OPTIONAL: list[str] = []

if TYPE_CHECKING:
    from adam_tutorial import adam as adam
    from adam_tutorial import backends as backends
    from adam_tutorial import bias_correction as bias_correction
    from adam_tutorial import checks as checks
    from adam_tutorial import figures as figures
    from adam_tutorial import moments as moments
    from adam_tutorial import optimizer as optimizer
    from adam_tutorial import problems as problems
    from adam_tutorial import sgd as sgd
    from adam_tutorial import trees as trees
    from adam_tutorial.adam import Adam as Adam
    from adam_tutorial.adam import AdamHat as AdamHat
    from adam_tutorial.backends import asarray as asarray
    from adam_tutorial.backends import available as available
    from adam_tutorial.backends import default as default
    from adam_tutorial.backends import describe as describe
    from adam_tutorial.backends import of as of
    from adam_tutorial.backends import to as to
    from adam_tutorial.bias_correction import corrected_ema as corrected_ema
    from adam_tutorial.bias_correction import drift as drift
    from adam_tutorial.bias_correction import drift_limit as drift_limit
    from adam_tutorial.checks import KINDS as KINDS
    from adam_tutorial.checks import CheckFailed as CheckFailed
    from adam_tutorial.checks import Evidence as Evidence
    from adam_tutorial.checks import at_most as at_most
    from adam_tutorial.checks import check as check
    from adam_tutorial.checks import equal as equal
    from adam_tutorial.checks import same_bits as same_bits
    from adam_tutorial.checks import within as within
    from adam_tutorial.checks import z_score as z_score
    from adam_tutorial.figures import figure as figure
    from adam_tutorial.moments import checked_beta as checked_beta
    from adam_tutorial.moments import effective_size as effective_size
    from adam_tutorial.moments import ema as ema
    from adam_tutorial.moments import ema_weights as ema_weights
    from adam_tutorial.moments import gain as gain
    from adam_tutorial.moments import half_life as half_life
    from adam_tutorial.moments import mean_age as mean_age
    from adam_tutorial.optimizer import SLICE as SLICE
    from adam_tutorial.optimizer import Hooks as Hooks
    from adam_tutorial.optimizer import Leaves as Leaves
    from adam_tutorial.optimizer import Optimizer as Optimizer
    from adam_tutorial.optimizer import Schedule as Schedule
    from adam_tutorial.optimizer import State as State
    from adam_tutorial.optimizer import compute_dtype as compute_dtype
    from adam_tutorial.optimizer import narrow as narrow
    from adam_tutorial.optimizer import validated as validated
    from adam_tutorial.optimizer import widen as widen
    from adam_tutorial.problems import Digits as Digits
    from adam_tutorial.problems import DriftingTarget as DriftingTarget
    from adam_tutorial.problems import Ravine as Ravine
    from adam_tutorial.problems import Rosenbrock as Rosenbrock
    from adam_tutorial.problems import Saddle as Saddle
    from adam_tutorial.problems import SparseFeatures as SparseFeatures
    from adam_tutorial.problems import cross_entropy as cross_entropy
    from adam_tutorial.problems import cross_entropy_grad as cross_entropy_grad
    from adam_tutorial.problems import digits as digits
    from adam_tutorial.problems import log_softmax as log_softmax
    from adam_tutorial.problems import trace as trace
    from adam_tutorial.sgd import SGD as SGD
    from adam_tutorial.trees import Array as Array
    from adam_tutorial.trees import Tree as Tree
    from adam_tutorial.trees import leaves as leaves
    from adam_tutorial.trees import map_leaves as map_leaves
    from adam_tutorial.trees import matched as matched
    from adam_tutorial.trees import paths as paths
    from adam_tutorial.trees import rebuild as rebuild
else:  # hidden from type checkers, which would otherwise take any name for granted

    def __getattr__(name: str) -> object:
        """Load the module that a name belongs to, on the name's first use."""
        if name in _MODULES or name in _OPTIONAL:
            return import_module(f"{__name__}.{name}")
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
