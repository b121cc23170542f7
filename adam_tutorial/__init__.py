"""Adam and its family of optimizers, from the chapters of *Adam, from Moments to Regret*.

Every public name of every module can be imported from here. Its module is loaded on first use, so
that importing the package costs next to nothing and never loads what a program does not need.
"""

# Generated from chapters/ by tools/tangle.py: edit a chapter, then run make tangle.

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__: list[str] = [
    "AMSGrad",
    "ARITHMETIC",
    "AbsoluteLosses",
    "AdaMax",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamHat",
    "AdamNC",
    "AdamW",
    "AdamX",
    "AnnealedAdam",
    "Array",
    "AsWritten",
    "Axes",
    "BITS",
    "Ball",
    "Box",
    "COMPARISONS",
    "COMPILE_AFTER",
    "COMPILE_SIZE",
    "CenteredRMSProp",
    "Certificate",
    "CheckFailed",
    "CheckpointError",
    "Clipped",
    "CpuLeaf",
    "Cycle",
    "Decoupled",
    "Dialect",
    "Digits",
    "DirectionNetworks",
    "Domain",
    "DriftingTarget",
    "EVERYWHERE",
    "EnclosedGame",
    "Equation",
    "Evidence",
    "Expr",
    "Game",
    "GpuLeaf",
    "Groups",
    "Guarded",
    "HalfLeaf",
    "Hooks",
    "Interval",
    "KINDS",
    "KerasAdaMax",
    "KerasAdagrad",
    "KerasCenteredRMSProp",
    "KerasMomentumRMSProp",
    "KerasRMSProp",
    "Kernel",
    "L2",
    "Leaves",
    "Line",
    "LinearLosses",
    "LogisticLosses",
    "MARKS",
    "MasterWeights",
    "Maximize",
    "Momentum",
    "MomentumRMSProp",
    "NDAdam",
    "Nadam",
    "Nesterov",
    "Networks",
    "OPTIONS",
    "OptaxAMSGrad",
    "Optimizer",
    "Outcomes",
    "PARALLEL",
    "PaperAdamW",
    "Plan",
    "Plans",
    "Premise",
    "Program",
    "Projected",
    "READINGS",
    "RMSProp",
    "Ravine",
    "Recorder",
    "Regret",
    "Rosenbrock",
    "SGD",
    "SGDW",
    "SLICE",
    "SOURCE",
    "SWATS",
    "Saddle",
    "Schedule",
    "Selector",
    "Setting",
    "Simplex",
    "SkipStep",
    "SparseFeatures",
    "SquareLosses",
    "State",
    "Symbol",
    "Term",
    "TorchAMSGrad",
    "TorchAdaMax",
    "TorchMomentum",
    "TorchMomentumRMSProp",
    "TorchNAdam",
    "TorchNesterov",
    "TraceError",
    "Tree",
    "UNITS",
    "UnbiasedNadam",
    "UncorrectedAdam",
    "Undecided",
    "WalledCycle",
    "Wrapper",
    "adagrad_bound",
    "adagrad_proof",
    "adamnc_bound",
    "adamnc_proof",
    "all_finite",
    "amsgrad_bound",
    "amsgrad_proof",
    "any_step_bound",
    "as_number",
    "as_point",
    "asarray",
    "asked",
    "at_most",
    "available",
    "best_point",
    "beyond_rounding",
    "bounded",
    "bytes_per_parameter",
    "c_source",
    "certified",
    "chained",
    "check",
    "check_leaf",
    "check_selector",
    "checked_beta",
    "chosen",
    "column_norms",
    "comes_back",
    "compared",
    "compiled",
    "composed",
    "compute_dtype",
    "confirmed",
    "constant",
    "constant_rate",
    "constants_of",
    "convexity",
    "corrected_ema",
    "cosine",
    "critical_rate",
    "cross_entropy",
    "cross_entropy_grad",
    "cuda",
    "cycle_decay",
    "cycle_drift",
    "default",
    "defossez_bound",
    "defossez_certificate",
    "defossez_proof",
    "describe",
    "digits",
    "domain_diameter",
    "dozat_schedule",
    "draw_proof",
    "drift",
    "drift_limit",
    "dual_adagrad_bound",
    "effective_size",
    "elementwise",
    "ema",
    "ema_weights",
    "enclosing",
    "equal",
    "equation",
    "errors",
    "explain",
    "falling_rates",
    "figure",
    "first_false",
    "first_rounds",
    "fixed_point",
    "float_step",
    "float_sum",
    "follows_rotations",
    "gain",
    "game_rates",
    "gammas",
    "gap",
    "get_threads",
    "global_norm",
    "gpu_problem",
    "gradient_descent_bound",
    "gradient_descent_proof",
    "half_life",
    "has_metric",
    "host",
    "ignores_place",
    "ignores_units",
    "in_box",
    "in_intervals",
    "in_parts",
    "inner_products",
    "inside",
    "interval",
    "inverse_root",
    "is_on_a_line",
    "javascript",
    "joined",
    "judged",
    "kernel_source",
    "keywords",
    "kingma_ba_average",
    "kingma_ba_bound",
    "kingma_ba_proof",
    "known_horizon_bound",
    "larger",
    "largest",
    "largest_norm",
    "leaves",
    "linear",
    "load",
    "log_softmax",
    "long_cycle_proof",
    "longest_move",
    "losses",
    "losses_at",
    "lower",
    "map_leaves",
    "master_bound",
    "master_proof",
    "matched",
    "mean_age",
    "measured",
    "memory_owner",
    "memory_span",
    "most_fall",
    "moves",
    "narrow",
    "network_grad",
    "network_scores",
    "normalised",
    "normalised_decay",
    "numba_missing",
    "of",
    "on_floats",
    "outcomes",
    "own_points",
    "pack",
    "packed_alike",
    "paths",
    "phase_map",
    "piecewise",
    "plain",
    "plan_of",
    "play",
    "play_together",
    "points_tried",
    "program_of",
    "progress",
    "projected_rate",
    "rebuild",
    "reddi",
    "reddi_proof",
    "refuse_capture",
    "regret",
    "regret_of",
    "repaired_proof",
    "replay",
    "response",
    "rounding",
    "run_error",
    "same_bits",
    "save",
    "scalar_python",
    "scale_factor",
    "scaled",
    "set_threads",
    "settings_of",
    "settled",
    "slots_of",
    "smaller",
    "smallest_C",
    "steps_along",
    "symbolic",
    "three_splits",
    "to",
    "total",
    "total_gradient",
    "total_loss",
    "trace",
    "train",
    "turn",
    "unknown_keyword",
    "upper",
    "validated",
    "vector_of",
    "vector_rule",
    "verdict",
    "waits_for_gradients",
    "warm_restarts",
    "warmed_up",
    "widen",
    "with_buffers",
    "with_restarts",
    "with_settings",
    "within",
    "without",
    "z_score",
]

_HOME: dict[str, str] = {
    "AMSGrad": "amsgrad",
    "ARITHMETIC": "tracing",
    "AbsoluteLosses": "online",
    "AdaMax": "adamax",
    "Adadelta": "rmsprop",
    "Adagrad": "adagrad",
    "Adam": "adam",
    "AdamHat": "adam",
    "AdamNC": "amsgrad",
    "AdamW": "adamw",
    "AdamX": "amsgrad",
    "AnnealedAdam": "theorem_of_2015",
    "Array": "trees",
    "AsWritten": "executors",
    "Axes": "nd_adam",
    "BITS": "intervals",
    "Ball": "projections",
    "Box": "projections",
    "COMPARISONS": "tracing",
    "COMPILE_AFTER": "executors",
    "COMPILE_SIZE": "executors",
    "CenteredRMSProp": "rmsprop",
    "Certificate": "bounds",
    "CheckFailed": "checks",
    "CheckpointError": "checkpoints",
    "Clipped": "wrappers",
    "CpuLeaf": "executors",
    "Cycle": "online",
    "Decoupled": "adamw",
    "Dialect": "dialects",
    "Digits": "problems",
    "DirectionNetworks": "weight_norm",
    "Domain": "projections",
    "DriftingTarget": "problems",
    "EVERYWHERE": "projections",
    "EnclosedGame": "intervals",
    "Equation": "dialects",
    "Evidence": "checks",
    "Expr": "tracing",
    "Game": "online",
    "GpuLeaf": "kernels",
    "Groups": "wrappers",
    "Guarded": "wrappers",
    "HalfLeaf": "executors",
    "Hooks": "optimizer",
    "Interval": "intervals",
    "KINDS": "checks",
    "KerasAdaMax": "conventions",
    "KerasAdagrad": "conventions",
    "KerasCenteredRMSProp": "conventions",
    "KerasMomentumRMSProp": "conventions",
    "KerasRMSProp": "conventions",
    "Kernel": "dialects",
    "L2": "wrappers",
    "Leaves": "optimizer",
    "Line": "bounds",
    "LinearLosses": "online",
    "LogisticLosses": "online",
    "MARKS": "theorem_of_2015",
    "MasterWeights": "precision",
    "Maximize": "wrappers",
    "Momentum": "momentum",
    "MomentumRMSProp": "rmsprop",
    "NDAdam": "nd_adam",
    "Nadam": "nadam",
    "Nesterov": "momentum",
    "Networks": "sweeps",
    "OPTIONS": "kernels",
    "OptaxAMSGrad": "amsgrad",
    "Optimizer": "optimizer",
    "Outcomes": "beyond_convexity",
    "PARALLEL": "executors",
    "PaperAdamW": "adamw",
    "Plan": "executors",
    "Plans": "executors",
    "Premise": "bounds",
    "Program": "tracing",
    "Projected": "projections",
    "READINGS": "theorem_of_2015",
    "RMSProp": "rmsprop",
    "Ravine": "problems",
    "Recorder": "tracing",
    "Regret": "online",
    "Rosenbrock": "problems",
    "SGD": "sgd",
    "SGDW": "adamw",
    "SLICE": "executors",
    "SOURCE": "theorem_of_2015",
    "SWATS": "swats",
    "Saddle": "problems",
    "Schedule": "optimizer",
    "Selector": "wrappers",
    "Setting": "sweeps",
    "Simplex": "projections",
    "SkipStep": "optimizer",
    "SparseFeatures": "problems",
    "SquareLosses": "online",
    "State": "optimizer",
    "Symbol": "tracing",
    "Term": "bounds",
    "TorchAMSGrad": "amsgrad",
    "TorchAdaMax": "conventions",
    "TorchMomentum": "conventions",
    "TorchMomentumRMSProp": "conventions",
    "TorchNAdam": "conventions",
    "TorchNesterov": "conventions",
    "TorchOptimizer": "torch_adapter",
    "TraceError": "tracing",
    "Tree": "trees",
    "UNITS": "bounds",
    "UnbiasedNadam": "nadam",
    "UncorrectedAdam": "counterexamples",
    "Undecided": "intervals",
    "WalledCycle": "theorem_of_2015",
    "Wrapper": "wrappers",
    "adagrad_bound": "bounds",
    "adagrad_proof": "bounds",
    "adamnc_bound": "amsgrad",
    "adamnc_proof": "amsgrad",
    "all_finite": "wrappers",
    "amsgrad_bound": "amsgrad",
    "amsgrad_proof": "amsgrad",
    "any_step_bound": "bounds",
    "array_view": "torch_adapter",
    "as_number": "bounds",
    "as_point": "bounds",
    "asarray": "backends",
    "asked": "optimizer",
    "at_most": "checks",
    "available": "backends",
    "best_point": "online",
    "beyond_rounding": "bounds",
    "bounded": "bounds",
    "bytes_per_parameter": "roofline",
    "c_source": "dialects",
    "certified": "counterexamples",
    "chained": "weight_norm",
    "check": "checks",
    "check_leaf": "optimizer",
    "check_selector": "wrappers",
    "checked_beta": "moments",
    "chosen": "wrappers",
    "column_norms": "bounds",
    "comes_back": "bounds",
    "compared": "bounds",
    "compiled": "executors",
    "composed": "wrappers",
    "compute_dtype": "optimizer",
    "confirmed": "bounds",
    "constant": "schedules",
    "constant_rate": "bounds",
    "constants_of": "dialects",
    "convexity": "bounds",
    "corrected_ema": "bias_correction",
    "cosine": "schedules",
    "critical_rate": "beyond_convexity",
    "cross_entropy": "problems",
    "cross_entropy_grad": "problems",
    "cuda": "dialects",
    "cycle_decay": "schedules",
    "cycle_drift": "counterexamples",
    "default": "backends",
    "defossez_bound": "beyond_convexity",
    "defossez_certificate": "beyond_convexity",
    "defossez_proof": "beyond_convexity",
    "describe": "backends",
    "digits": "problems",
    "domain_diameter": "bounds",
    "dozat_schedule": "nadam",
    "draw_proof": "theorem_of_2015",
    "drift": "bias_correction",
    "drift_limit": "bias_correction",
    "dual_adagrad_bound": "bounds",
    "effective_size": "moments",
    "elementwise": "kernels",
    "ema": "moments",
    "ema_weights": "moments",
    "enclosing": "intervals",
    "equal": "checks",
    "equation": "dialects",
    "errors": "sweeps",
    "explain": "executors",
    "falling_rates": "bounds",
    "figure": "figures",
    "first_false": "bounds",
    "first_rounds": "bounds",
    "fixed_point": "online",
    "float_step": "executors",
    "float_sum": "online",
    "follows_rotations": "family",
    "gain": "moments",
    "game_rates": "bounds",
    "gammas": "theorem_of_2015",
    "gap": "online",
    "get_threads": "executors",
    "global_norm": "wrappers",
    "gpu_problem": "backends",
    "gradient_descent_bound": "bounds",
    "gradient_descent_proof": "bounds",
    "half_life": "moments",
    "has_metric": "bounds",
    "host": "dialects",
    "ignores_place": "family",
    "ignores_units": "family",
    "in_box": "intervals",
    "in_intervals": "intervals",
    "in_parts": "executors",
    "inner_products": "nd_adam",
    "inside": "bounds",
    "interval": "sweeps",
    "inverse_root": "schedules",
    "is_on_a_line": "online",
    "javascript": "dialects",
    "joined": "schedules",
    "judged": "swats",
    "kernel_source": "kernels",
    "keywords": "optimizer",
    "kingma_ba_average": "theorem_of_2015",
    "kingma_ba_bound": "theorem_of_2015",
    "kingma_ba_proof": "theorem_of_2015",
    "known_horizon_bound": "bounds",
    "larger": "intervals",
    "largest": "bounds",
    "largest_norm": "bounds",
    "leaves": "trees",
    "linear": "schedules",
    "load": "checkpoints",
    "log_softmax": "problems",
    "long_cycle_proof": "counterexamples",
    "longest_move": "family",
    "losses": "sweeps",
    "losses_at": "bounds",
    "lower": "intervals",
    "map_leaves": "trees",
    "master_bound": "bounds",
    "master_proof": "bounds",
    "matched": "trees",
    "mean_age": "moments",
    "measured": "roofline",
    "memory_owner": "optimizer",
    "memory_span": "optimizer",
    "most_fall": "counterexamples",
    "moves": "family",
    "narrow": "optimizer",
    "network_grad": "sweeps",
    "network_scores": "sweeps",
    "normalised": "nd_adam",
    "normalised_decay": "adamw",
    "numba_missing": "executors",
    "of": "backends",
    "on_floats": "dialects",
    "outcomes": "beyond_convexity",
    "own_points": "bounds",
    "pack": "packing",
    "packed_alike": "executors",
    "paths": "trees",
    "phase_map": "counterexamples",
    "piecewise": "schedules",
    "plain": "weight_norm",
    "plan_of": "executors",
    "play": "online",
    "play_together": "counterexamples",
    "points_tried": "online",
    "program_of": "tracing",
    "progress": "sweeps",
    "projected_rate": "swats",
    "rebuild": "trees",
    "reddi": "counterexamples",
    "reddi_proof": "counterexamples",
    "refuse_capture": "kernels",
    "regret": "online",
    "regret_of": "bounds",
    "repaired_proof": "theorem_of_2015",
    "replay": "executors",
    "response": "family",
    "rounding": "bounds",
    "run_error": "bounds",
    "same_bits": "checks",
    "save": "checkpoints",
    "scalar_python": "dialects",
    "scale_factor": "family",
    "scaled": "schedules",
    "set_threads": "executors",
    "settings_of": "wrappers",
    "settled": "counterexamples",
    "slots_of": "optimizer",
    "smaller": "intervals",
    "smallest_C": "counterexamples",
    "steps_along": "bounds",
    "symbolic": "dialects",
    "three_splits": "sweeps",
    "to": "backends",
    "total": "bounds",
    "total_gradient": "online",
    "total_loss": "online",
    "trace": "problems",
    "train": "sweeps",
    "turn": "counterexamples",
    "unknown_keyword": "optimizer",
    "upper": "intervals",
    "validated": "optimizer",
    "vector_of": "packing",
    "vector_rule": "nd_adam",
    "verdict": "sweeps",
    "waits_for_gradients": "family",
    "warm_restarts": "schedules",
    "warmed_up": "schedules",
    "widen": "optimizer",
    "with_buffers": "dialects",
    "with_restarts": "schedules",
    "with_settings": "wrappers",
    "within": "checks",
    "without": "family",
    "z_score": "checks",
}
_MODULES: list[str] = [
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "amsgrad",
    "backends",
    "beyond_convexity",
    "bias_correction",
    "bounds",
    "checkpoints",
    "checks",
    "conventions",
    "counterexamples",
    "dialects",
    "executors",
    "family",
    "figures",
    "intervals",
    "kernels",
    "moments",
    "momentum",
    "nadam",
    "nd_adam",
    "online",
    "optimizer",
    "packing",
    "precision",
    "problems",
    "projections",
    "rmsprop",
    "roofline",
    "schedules",
    "sgd",
    "swats",
    "sweeps",
    "theorem_of_2015",
    "tracing",
    "trees",
    "weight_norm",
    "wrappers",
]
_OPTIONAL: list[str] = ["torch_adapter"]

if TYPE_CHECKING:
    from adam_tutorial import adagrad as adagrad
    from adam_tutorial import adam as adam
    from adam_tutorial import adamax as adamax
    from adam_tutorial import adamw as adamw
    from adam_tutorial import amsgrad as amsgrad
    from adam_tutorial import backends as backends
    from adam_tutorial import beyond_convexity as beyond_convexity
    from adam_tutorial import bias_correction as bias_correction
    from adam_tutorial import bounds as bounds
    from adam_tutorial import checkpoints as checkpoints
    from adam_tutorial import checks as checks
    from adam_tutorial import conventions as conventions
    from adam_tutorial import counterexamples as counterexamples
    from adam_tutorial import dialects as dialects
    from adam_tutorial import executors as executors
    from adam_tutorial import family as family
    from adam_tutorial import figures as figures
    from adam_tutorial import intervals as intervals
    from adam_tutorial import kernels as kernels
    from adam_tutorial import moments as moments
    from adam_tutorial import momentum as momentum
    from adam_tutorial import nadam as nadam
    from adam_tutorial import nd_adam as nd_adam
    from adam_tutorial import online as online
    from adam_tutorial import optimizer as optimizer
    from adam_tutorial import packing as packing
    from adam_tutorial import precision as precision
    from adam_tutorial import problems as problems
    from adam_tutorial import projections as projections
    from adam_tutorial import rmsprop as rmsprop
    from adam_tutorial import roofline as roofline
    from adam_tutorial import schedules as schedules
    from adam_tutorial import sgd as sgd
    from adam_tutorial import swats as swats
    from adam_tutorial import sweeps as sweeps
    from adam_tutorial import theorem_of_2015 as theorem_of_2015
    from adam_tutorial import torch_adapter as torch_adapter
    from adam_tutorial import tracing as tracing
    from adam_tutorial import trees as trees
    from adam_tutorial import weight_norm as weight_norm
    from adam_tutorial import wrappers as wrappers
    from adam_tutorial.adagrad import Adagrad as Adagrad
    from adam_tutorial.adam import Adam as Adam
    from adam_tutorial.adam import AdamHat as AdamHat
    from adam_tutorial.adamax import AdaMax as AdaMax
    from adam_tutorial.adamw import SGDW as SGDW
    from adam_tutorial.adamw import AdamW as AdamW
    from adam_tutorial.adamw import Decoupled as Decoupled
    from adam_tutorial.adamw import PaperAdamW as PaperAdamW
    from adam_tutorial.adamw import normalised_decay as normalised_decay
    from adam_tutorial.amsgrad import AdamNC as AdamNC
    from adam_tutorial.amsgrad import AdamX as AdamX
    from adam_tutorial.amsgrad import AMSGrad as AMSGrad
    from adam_tutorial.amsgrad import OptaxAMSGrad as OptaxAMSGrad
    from adam_tutorial.amsgrad import TorchAMSGrad as TorchAMSGrad
    from adam_tutorial.amsgrad import adamnc_bound as adamnc_bound
    from adam_tutorial.amsgrad import adamnc_proof as adamnc_proof
    from adam_tutorial.amsgrad import amsgrad_bound as amsgrad_bound
    from adam_tutorial.amsgrad import amsgrad_proof as amsgrad_proof
    from adam_tutorial.backends import asarray as asarray
    from adam_tutorial.backends import available as available
    from adam_tutorial.backends import default as default
    from adam_tutorial.backends import describe as describe
    from adam_tutorial.backends import gpu_problem as gpu_problem
    from adam_tutorial.backends import of as of
    from adam_tutorial.backends import to as to
    from adam_tutorial.beyond_convexity import Outcomes as Outcomes
    from adam_tutorial.beyond_convexity import critical_rate as critical_rate
    from adam_tutorial.beyond_convexity import defossez_bound as defossez_bound
    from adam_tutorial.beyond_convexity import defossez_certificate as defossez_certificate
    from adam_tutorial.beyond_convexity import defossez_proof as defossez_proof
    from adam_tutorial.beyond_convexity import outcomes as outcomes
    from adam_tutorial.bias_correction import corrected_ema as corrected_ema
    from adam_tutorial.bias_correction import drift as drift
    from adam_tutorial.bias_correction import drift_limit as drift_limit
    from adam_tutorial.bounds import UNITS as UNITS
    from adam_tutorial.bounds import Certificate as Certificate
    from adam_tutorial.bounds import Line as Line
    from adam_tutorial.bounds import Premise as Premise
    from adam_tutorial.bounds import Term as Term
    from adam_tutorial.bounds import adagrad_bound as adagrad_bound
    from adam_tutorial.bounds import adagrad_proof as adagrad_proof
    from adam_tutorial.bounds import any_step_bound as any_step_bound
    from adam_tutorial.bounds import as_number as as_number
    from adam_tutorial.bounds import as_point as as_point
    from adam_tutorial.bounds import beyond_rounding as beyond_rounding
    from adam_tutorial.bounds import bounded as bounded
    from adam_tutorial.bounds import column_norms as column_norms
    from adam_tutorial.bounds import comes_back as comes_back
    from adam_tutorial.bounds import compared as compared
    from adam_tutorial.bounds import confirmed as confirmed
    from adam_tutorial.bounds import constant_rate as constant_rate
    from adam_tutorial.bounds import convexity as convexity
    from adam_tutorial.bounds import domain_diameter as domain_diameter
    from adam_tutorial.bounds import dual_adagrad_bound as dual_adagrad_bound
    from adam_tutorial.bounds import falling_rates as falling_rates
    from adam_tutorial.bounds import first_false as first_false
    from adam_tutorial.bounds import first_rounds as first_rounds
    from adam_tutorial.bounds import game_rates as game_rates
    from adam_tutorial.bounds import gradient_descent_bound as gradient_descent_bound
    from adam_tutorial.bounds import gradient_descent_proof as gradient_descent_proof
    from adam_tutorial.bounds import has_metric as has_metric
    from adam_tutorial.bounds import inside as inside
    from adam_tutorial.bounds import known_horizon_bound as known_horizon_bound
    from adam_tutorial.bounds import largest as largest
    from adam_tutorial.bounds import largest_norm as largest_norm
    from adam_tutorial.bounds import losses_at as losses_at
    from adam_tutorial.bounds import master_bound as master_bound
    from adam_tutorial.bounds import master_proof as master_proof
    from adam_tutorial.bounds import own_points as own_points
    from adam_tutorial.bounds import regret_of as regret_of
    from adam_tutorial.bounds import rounding as rounding
    from adam_tutorial.bounds import run_error as run_error
    from adam_tutorial.bounds import steps_along as steps_along
    from adam_tutorial.bounds import total as total
    from adam_tutorial.checkpoints import CheckpointError as CheckpointError
    from adam_tutorial.checkpoints import load as load
    from adam_tutorial.checkpoints import save as save
    from adam_tutorial.checks import KINDS as KINDS
    from adam_tutorial.checks import CheckFailed as CheckFailed
    from adam_tutorial.checks import Evidence as Evidence
    from adam_tutorial.checks import at_most as at_most
    from adam_tutorial.checks import check as check
    from adam_tutorial.checks import equal as equal
    from adam_tutorial.checks import same_bits as same_bits
    from adam_tutorial.checks import within as within
    from adam_tutorial.checks import z_score as z_score
    from adam_tutorial.conventions import KerasAdagrad as KerasAdagrad
    from adam_tutorial.conventions import KerasAdaMax as KerasAdaMax
    from adam_tutorial.conventions import KerasCenteredRMSProp as KerasCenteredRMSProp
    from adam_tutorial.conventions import KerasMomentumRMSProp as KerasMomentumRMSProp
    from adam_tutorial.conventions import KerasRMSProp as KerasRMSProp
    from adam_tutorial.conventions import TorchAdaMax as TorchAdaMax
    from adam_tutorial.conventions import TorchMomentum as TorchMomentum
    from adam_tutorial.conventions import TorchMomentumRMSProp as TorchMomentumRMSProp
    from adam_tutorial.conventions import TorchNAdam as TorchNAdam
    from adam_tutorial.conventions import TorchNesterov as TorchNesterov
    from adam_tutorial.counterexamples import UncorrectedAdam as UncorrectedAdam
    from adam_tutorial.counterexamples import certified as certified
    from adam_tutorial.counterexamples import cycle_drift as cycle_drift
    from adam_tutorial.counterexamples import long_cycle_proof as long_cycle_proof
    from adam_tutorial.counterexamples import most_fall as most_fall
    from adam_tutorial.counterexamples import phase_map as phase_map
    from adam_tutorial.counterexamples import play_together as play_together
    from adam_tutorial.counterexamples import reddi as reddi
    from adam_tutorial.counterexamples import reddi_proof as reddi_proof
    from adam_tutorial.counterexamples import settled as settled
    from adam_tutorial.counterexamples import smallest_C as smallest_C
    from adam_tutorial.counterexamples import turn as turn
    from adam_tutorial.dialects import Dialect as Dialect
    from adam_tutorial.dialects import Equation as Equation
    from adam_tutorial.dialects import Kernel as Kernel
    from adam_tutorial.dialects import c_source as c_source
    from adam_tutorial.dialects import constants_of as constants_of
    from adam_tutorial.dialects import cuda as cuda
    from adam_tutorial.dialects import equation as equation
    from adam_tutorial.dialects import host as host
    from adam_tutorial.dialects import javascript as javascript
    from adam_tutorial.dialects import on_floats as on_floats
    from adam_tutorial.dialects import scalar_python as scalar_python
    from adam_tutorial.dialects import symbolic as symbolic
    from adam_tutorial.dialects import with_buffers as with_buffers
    from adam_tutorial.executors import COMPILE_AFTER as COMPILE_AFTER
    from adam_tutorial.executors import COMPILE_SIZE as COMPILE_SIZE
    from adam_tutorial.executors import PARALLEL as PARALLEL
    from adam_tutorial.executors import SLICE as SLICE
    from adam_tutorial.executors import AsWritten as AsWritten
    from adam_tutorial.executors import CpuLeaf as CpuLeaf
    from adam_tutorial.executors import HalfLeaf as HalfLeaf
    from adam_tutorial.executors import Plan as Plan
    from adam_tutorial.executors import Plans as Plans
    from adam_tutorial.executors import compiled as compiled
    from adam_tutorial.executors import explain as explain
    from adam_tutorial.executors import float_step as float_step
    from adam_tutorial.executors import get_threads as get_threads
    from adam_tutorial.executors import in_parts as in_parts
    from adam_tutorial.executors import numba_missing as numba_missing
    from adam_tutorial.executors import packed_alike as packed_alike
    from adam_tutorial.executors import plan_of as plan_of
    from adam_tutorial.executors import replay as replay
    from adam_tutorial.executors import set_threads as set_threads
    from adam_tutorial.family import follows_rotations as follows_rotations
    from adam_tutorial.family import ignores_place as ignores_place
    from adam_tutorial.family import ignores_units as ignores_units
    from adam_tutorial.family import longest_move as longest_move
    from adam_tutorial.family import moves as moves
    from adam_tutorial.family import response as response
    from adam_tutorial.family import scale_factor as scale_factor
    from adam_tutorial.family import waits_for_gradients as waits_for_gradients
    from adam_tutorial.family import without as without
    from adam_tutorial.figures import figure as figure
    from adam_tutorial.intervals import BITS as BITS
    from adam_tutorial.intervals import EnclosedGame as EnclosedGame
    from adam_tutorial.intervals import Interval as Interval
    from adam_tutorial.intervals import Undecided as Undecided
    from adam_tutorial.intervals import enclosing as enclosing
    from adam_tutorial.intervals import in_box as in_box
    from adam_tutorial.intervals import in_intervals as in_intervals
    from adam_tutorial.intervals import larger as larger
    from adam_tutorial.intervals import lower as lower
    from adam_tutorial.intervals import smaller as smaller
    from adam_tutorial.intervals import upper as upper
    from adam_tutorial.kernels import OPTIONS as OPTIONS
    from adam_tutorial.kernels import GpuLeaf as GpuLeaf
    from adam_tutorial.kernels import elementwise as elementwise
    from adam_tutorial.kernels import kernel_source as kernel_source
    from adam_tutorial.kernels import refuse_capture as refuse_capture
    from adam_tutorial.moments import checked_beta as checked_beta
    from adam_tutorial.moments import effective_size as effective_size
    from adam_tutorial.moments import ema as ema
    from adam_tutorial.moments import ema_weights as ema_weights
    from adam_tutorial.moments import gain as gain
    from adam_tutorial.moments import half_life as half_life
    from adam_tutorial.moments import mean_age as mean_age
    from adam_tutorial.momentum import Momentum as Momentum
    from adam_tutorial.momentum import Nesterov as Nesterov
    from adam_tutorial.nadam import Nadam as Nadam
    from adam_tutorial.nadam import UnbiasedNadam as UnbiasedNadam
    from adam_tutorial.nadam import dozat_schedule as dozat_schedule
    from adam_tutorial.nd_adam import Axes as Axes
    from adam_tutorial.nd_adam import NDAdam as NDAdam
    from adam_tutorial.nd_adam import inner_products as inner_products
    from adam_tutorial.nd_adam import normalised as normalised
    from adam_tutorial.nd_adam import vector_rule as vector_rule
    from adam_tutorial.online import AbsoluteLosses as AbsoluteLosses
    from adam_tutorial.online import Cycle as Cycle
    from adam_tutorial.online import Game as Game
    from adam_tutorial.online import LinearLosses as LinearLosses
    from adam_tutorial.online import LogisticLosses as LogisticLosses
    from adam_tutorial.online import Regret as Regret
    from adam_tutorial.online import SquareLosses as SquareLosses
    from adam_tutorial.online import best_point as best_point
    from adam_tutorial.online import fixed_point as fixed_point
    from adam_tutorial.online import float_sum as float_sum
    from adam_tutorial.online import gap as gap
    from adam_tutorial.online import is_on_a_line as is_on_a_line
    from adam_tutorial.online import play as play
    from adam_tutorial.online import points_tried as points_tried
    from adam_tutorial.online import regret as regret
    from adam_tutorial.online import total_gradient as total_gradient
    from adam_tutorial.online import total_loss as total_loss
    from adam_tutorial.optimizer import Hooks as Hooks
    from adam_tutorial.optimizer import Leaves as Leaves
    from adam_tutorial.optimizer import Optimizer as Optimizer
    from adam_tutorial.optimizer import Schedule as Schedule
    from adam_tutorial.optimizer import SkipStep as SkipStep
    from adam_tutorial.optimizer import State as State
    from adam_tutorial.optimizer import asked as asked
    from adam_tutorial.optimizer import check_leaf as check_leaf
    from adam_tutorial.optimizer import compute_dtype as compute_dtype
    from adam_tutorial.optimizer import keywords as keywords
    from adam_tutorial.optimizer import memory_owner as memory_owner
    from adam_tutorial.optimizer import memory_span as memory_span
    from adam_tutorial.optimizer import narrow as narrow
    from adam_tutorial.optimizer import slots_of as slots_of
    from adam_tutorial.optimizer import unknown_keyword as unknown_keyword
    from adam_tutorial.optimizer import validated as validated
    from adam_tutorial.optimizer import widen as widen
    from adam_tutorial.packing import pack as pack
    from adam_tutorial.packing import vector_of as vector_of
    from adam_tutorial.precision import MasterWeights as MasterWeights
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
    from adam_tutorial.projections import EVERYWHERE as EVERYWHERE
    from adam_tutorial.projections import Ball as Ball
    from adam_tutorial.projections import Box as Box
    from adam_tutorial.projections import Domain as Domain
    from adam_tutorial.projections import Projected as Projected
    from adam_tutorial.projections import Simplex as Simplex
    from adam_tutorial.rmsprop import Adadelta as Adadelta
    from adam_tutorial.rmsprop import CenteredRMSProp as CenteredRMSProp
    from adam_tutorial.rmsprop import MomentumRMSProp as MomentumRMSProp
    from adam_tutorial.rmsprop import RMSProp as RMSProp
    from adam_tutorial.roofline import bytes_per_parameter as bytes_per_parameter
    from adam_tutorial.roofline import measured as measured
    from adam_tutorial.schedules import constant as constant
    from adam_tutorial.schedules import cosine as cosine
    from adam_tutorial.schedules import cycle_decay as cycle_decay
    from adam_tutorial.schedules import inverse_root as inverse_root
    from adam_tutorial.schedules import joined as joined
    from adam_tutorial.schedules import linear as linear
    from adam_tutorial.schedules import piecewise as piecewise
    from adam_tutorial.schedules import scaled as scaled
    from adam_tutorial.schedules import warm_restarts as warm_restarts
    from adam_tutorial.schedules import warmed_up as warmed_up
    from adam_tutorial.schedules import with_restarts as with_restarts
    from adam_tutorial.sgd import SGD as SGD
    from adam_tutorial.swats import SWATS as SWATS
    from adam_tutorial.swats import judged as judged
    from adam_tutorial.swats import projected_rate as projected_rate
    from adam_tutorial.sweeps import Networks as Networks
    from adam_tutorial.sweeps import Setting as Setting
    from adam_tutorial.sweeps import errors as errors
    from adam_tutorial.sweeps import interval as interval
    from adam_tutorial.sweeps import losses as losses
    from adam_tutorial.sweeps import network_grad as network_grad
    from adam_tutorial.sweeps import network_scores as network_scores
    from adam_tutorial.sweeps import progress as progress
    from adam_tutorial.sweeps import three_splits as three_splits
    from adam_tutorial.sweeps import train as train
    from adam_tutorial.sweeps import verdict as verdict
    from adam_tutorial.theorem_of_2015 import MARKS as MARKS
    from adam_tutorial.theorem_of_2015 import READINGS as READINGS
    from adam_tutorial.theorem_of_2015 import SOURCE as SOURCE
    from adam_tutorial.theorem_of_2015 import AnnealedAdam as AnnealedAdam
    from adam_tutorial.theorem_of_2015 import WalledCycle as WalledCycle
    from adam_tutorial.theorem_of_2015 import draw_proof as draw_proof
    from adam_tutorial.theorem_of_2015 import gammas as gammas
    from adam_tutorial.theorem_of_2015 import kingma_ba_average as kingma_ba_average
    from adam_tutorial.theorem_of_2015 import kingma_ba_bound as kingma_ba_bound
    from adam_tutorial.theorem_of_2015 import kingma_ba_proof as kingma_ba_proof
    from adam_tutorial.theorem_of_2015 import repaired_proof as repaired_proof
    from adam_tutorial.torch_adapter import TorchOptimizer as TorchOptimizer
    from adam_tutorial.torch_adapter import array_view as array_view
    from adam_tutorial.tracing import ARITHMETIC as ARITHMETIC
    from adam_tutorial.tracing import COMPARISONS as COMPARISONS
    from adam_tutorial.tracing import Expr as Expr
    from adam_tutorial.tracing import Program as Program
    from adam_tutorial.tracing import Recorder as Recorder
    from adam_tutorial.tracing import Symbol as Symbol
    from adam_tutorial.tracing import TraceError as TraceError
    from adam_tutorial.tracing import program_of as program_of
    from adam_tutorial.trees import Array as Array
    from adam_tutorial.trees import Tree as Tree
    from adam_tutorial.trees import leaves as leaves
    from adam_tutorial.trees import map_leaves as map_leaves
    from adam_tutorial.trees import matched as matched
    from adam_tutorial.trees import paths as paths
    from adam_tutorial.trees import rebuild as rebuild
    from adam_tutorial.weight_norm import DirectionNetworks as DirectionNetworks
    from adam_tutorial.weight_norm import chained as chained
    from adam_tutorial.weight_norm import plain as plain
    from adam_tutorial.wrappers import L2 as L2
    from adam_tutorial.wrappers import Clipped as Clipped
    from adam_tutorial.wrappers import Groups as Groups
    from adam_tutorial.wrappers import Guarded as Guarded
    from adam_tutorial.wrappers import Maximize as Maximize
    from adam_tutorial.wrappers import Selector as Selector
    from adam_tutorial.wrappers import Wrapper as Wrapper
    from adam_tutorial.wrappers import all_finite as all_finite
    from adam_tutorial.wrappers import check_selector as check_selector
    from adam_tutorial.wrappers import chosen as chosen
    from adam_tutorial.wrappers import composed as composed
    from adam_tutorial.wrappers import global_norm as global_norm
    from adam_tutorial.wrappers import settings_of as settings_of
    from adam_tutorial.wrappers import with_settings as with_settings
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
