"""Golden trajectories: what Optax and Keras compute, stored so that the tests need neither.

Each file `tests/golden/<library>-<optimizer>.npz` holds the parameters after the first ten steps
and after every tenth, for every gradient sequence of `tests/cases.py`, in float64, with the
hyper-parameters and the versions that made it. `tests/golden/conventions` holds what only the
chapter on conventions compares: the random sequence under a learning rate that falls, weight
decay, clipping; and `defaults.json`, the signatures of the two libraries. The same versions make
the same bytes. To make them again, in an environment of its own:

    pip install numpy==2.4.6 optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 keras==3.15.1
    python tools/make_golden.py
"""

import inspect
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.update(KERAS_BACKEND="jax", JAX_ENABLE_X64="true", JAX_PLATFORMS="cpu")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import jax  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from cases import RECORDED, SEQUENCES, gradients, start  # noqa: E402

Hyper = dict[str, float]

OPTAX: dict[str, tuple[Callable[..., Any], Hyper]] = {
    "sgd": (lambda lr: optax.sgd(lr), {"lr": 0.01}),
    "adam": (
        lambda lr, beta1, beta2, eps: optax.adam(lr, beta1, beta2, eps, eps_root=0.0),
        {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    ),
    "momentum": (
        lambda lr, momentum: optax.sgd(lr, momentum),
        {"lr": 0.01, "momentum": 0.9},
    ),
    "nesterov": (
        lambda lr, momentum: optax.sgd(lr, momentum, nesterov=True),
        {"lr": 0.01, "momentum": 0.9},
    ),
    "adagrad": (
        lambda lr, initial, eps: optax.adagrad(lr, initial, eps),
        {"lr": 0.01, "initial": 0.1, "eps": 1e-7},
    ),
    "rmsprop": (
        lambda lr, rho, eps: optax.rmsprop(lr, rho, eps),
        {"lr": 0.01, "rho": 0.9, "eps": 1e-8},
    ),
    "rmsprop-outside": (
        lambda lr, rho, eps: optax.rmsprop(lr, rho, eps, eps_in_sqrt=False),
        {"lr": 0.01, "rho": 0.9, "eps": 1e-8},
    ),
    "rmsprop-centered": (
        lambda lr, rho, eps: optax.rmsprop(lr, rho, eps, centered=True),
        {"lr": 0.01, "rho": 0.9, "eps": 1e-8},
    ),
    "rmsprop-centered-outside": (
        lambda lr, rho, eps: optax.rmsprop(lr, rho, eps, centered=True, eps_in_sqrt=False),
        {"lr": 0.01, "rho": 0.9, "eps": 1e-8},
    ),
    "rmsprop-momentum": (
        lambda lr, rho, momentum, eps: optax.rmsprop(lr, rho, eps, momentum=momentum),
        {"lr": 0.01, "rho": 0.9, "momentum": 0.9, "eps": 1e-8},
    ),
    "rmsprop-momentum-outside": (
        lambda lr, rho, momentum, eps: optax.rmsprop(
            lr, rho, eps, momentum=momentum, eps_in_sqrt=False
        ),
        {"lr": 0.01, "rho": 0.9, "momentum": 0.9, "eps": 1e-8},
    ),
    "adadelta": (
        lambda lr, rho, eps: optax.adadelta(lr, rho, eps),
        {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
    ),
    "adamax": (
        lambda lr, beta1, beta2, eps: optax.adamax(lr, beta1, beta2, eps),
        {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    ),
    "nadam": (
        lambda lr, beta1, beta2, eps: optax.nadam(lr, beta1, beta2, eps),
        {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    ),
    "amsgrad": (
        lambda lr, beta1, beta2, eps: optax.amsgrad(lr, beta1, beta2, eps),
        {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    ),
    "amsgrad-uncorrected": (
        lambda lr, beta1, beta2, eps: optax.amsgrad(
            lr, beta1, beta2, eps, bias_correction_mu=False, bias_correction_nu=False
        ),
        {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    ),
    "clipped": (
        lambda lr, max_norm: optax.chain(optax.clip_by_global_norm(max_norm), optax.sgd(lr)),
        {"lr": 0.01, "max_norm": 2.0},
    ),
    "l2": (
        lambda lr, beta1, beta2, eps, weight_decay: optax.chain(
            optax.add_decayed_weights(weight_decay), optax.adam(lr, beta1, beta2, eps)
        ),
        {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.1},
    ),
    "adamw": (
        lambda lr, beta1, beta2, eps, weight_decay: optax.adamw(
            lr, beta1, beta2, eps, weight_decay=weight_decay
        ),
        {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.1},
    ),
    "paper-adamw": (  # the paper's decay is not multiplied by lr
        lambda lr, beta1, beta2, eps, weight_decay, eta: optax.adamw(
            eta * lr, beta1, beta2, eps, weight_decay=weight_decay / lr
        ),
        {"lr": 2e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 2e-4, "eta": 0.5},
    ),
    "sgdw": (  # decayed after the momentum, so that the decay does not enter it
        lambda lr, momentum, weight_decay, eta: optax.chain(
            optax.sgd(eta * lr, momentum), optax.add_decayed_weights(-eta * weight_decay)
        ),
        {"lr": 0.02, "momentum": 0.9, "weight_decay": 2e-3, "eta": 0.5},
    ),
}
KERAS: dict[str, tuple[Callable[..., Any], Hyper]] = {
    "sgd": (lambda lr: keras.optimizers.SGD(lr, momentum=0.0), {"lr": 0.01}),
    "adam": (
        lambda lr, beta1, beta2, eps: keras.optimizers.Adam(lr, beta1, beta2, eps),
        {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7},
    ),
    "momentum": (
        lambda lr, momentum: keras.optimizers.SGD(lr, momentum),
        {"lr": 0.01, "momentum": 0.9},
    ),
    "nesterov": (
        lambda lr, momentum: keras.optimizers.SGD(lr, momentum, nesterov=True),
        {"lr": 0.01, "momentum": 0.9},
    ),
    "adagrad": (
        lambda lr, initial, eps: keras.optimizers.Adagrad(lr, initial, eps),
        {"lr": 1e-3, "initial": 0.1, "eps": 1e-7},
    ),
    "rmsprop": (
        lambda lr, rho, eps: keras.optimizers.RMSprop(lr, rho, epsilon=eps),
        {"lr": 1e-3, "rho": 0.9, "eps": 1e-7},
    ),
    "rmsprop-centered": (
        lambda lr, rho, eps: keras.optimizers.RMSprop(lr, rho, epsilon=eps, centered=True),
        {"lr": 1e-3, "rho": 0.9, "eps": 1e-7},
    ),
    "rmsprop-momentum": (
        lambda lr, rho, momentum, eps: keras.optimizers.RMSprop(lr, rho, momentum, eps),
        {"lr": 1e-3, "rho": 0.9, "momentum": 0.9, "eps": 1e-7},
    ),
    "adadelta": (
        lambda lr, rho, eps: keras.optimizers.Adadelta(lr, rho, eps),
        {"lr": 1e-3, "rho": 0.95, "eps": 1e-7},
    ),
    "adamax": (
        lambda lr, beta1, beta2, eps: keras.optimizers.Adamax(lr, beta1, beta2, eps),
        {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7},
    ),
    "nadam": (
        lambda lr, beta1, beta2, eps, momentum_decay: keras.optimizers.Nadam(lr, beta1, beta2, eps),
        {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7, "momentum_decay": 1.0},
    ),
    "adamw": (
        lambda lr, beta1, beta2, eps, weight_decay: keras.optimizers.AdamW(
            lr, weight_decay, beta1, beta2, eps
        ),
        {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7, "weight_decay": 0.1},
    ),
    "sgdw": (  # Keras multiplies the decay by its rate, eta * lr
        lambda lr, momentum, weight_decay, eta: keras.optimizers.SGD(
            eta * lr, momentum, weight_decay=weight_decay / lr
        ),
        {"lr": 0.02, "momentum": 0.9, "weight_decay": 2e-3, "eta": 0.5},
    ),
    "clipped": (
        lambda lr, max_norm: keras.optimizers.SGD(lr, global_clipnorm=max_norm),
        {"lr": 0.01, "max_norm": 2.0},
    ),
}
DECAY = 0.98  # the factor of a falling learning rate: both libraries call a schedule with 0 first
ADAM: Hyper = {"lr": 1e-3, "weight_decay": 0.1}


class Falling(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """lr * DECAY**step as Keras takes it."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def __call__(self, step: Any) -> Any:
        return self.lr * DECAY ** jax.numpy.asarray(step, float)


def falling(make: Callable[..., Any], schedule: Callable[[float], Any]) -> Callable[..., Any]:
    """A constructor whose learning rate falls."""
    return lambda lr, **hyper: make(schedule(lr), **hyper)


def decayed(name: str) -> Callable[..., Any]:
    """A constructor of Keras that takes a weight decay, with all else at its default."""
    make = getattr(keras.optimizers, name)
    return lambda lr, weight_decay: make(lr, weight_decay=weight_decay)


BUFFERED = ("momentum", "nesterov", "rmsprop-momentum")  # what remembers steps, not gradients alone
OPTAX_CONVENTIONS = {
    f"{name}-falling": (
        falling(OPTAX[name][0], lambda lr: lambda count: lr * DECAY**count),
        OPTAX[name][1],
    )
    for name in BUFFERED
} | {
    "adadelta-bare": (optax.adadelta, {}),  # without a learning rate
}
DECAYED = ("SGD", "Adagrad", "RMSprop", "Adadelta", "Adamax", "Nadam")  # Adam has its own row
KERAS_CONVENTIONS = (
    {f"{name}-falling": (falling(KERAS[name][0], Falling), KERAS[name][1]) for name in BUFFERED}
    | {
        "adam-decayed": (
            lambda lr, weight_decay: keras.optimizers.Adam(lr, weight_decay=weight_decay),
            ADAM,
        ),
        "clipped-apart": (
            lambda lr, max_norm: keras.optimizers.SGD(lr, clipnorm=max_norm),
            KERAS["clipped"][1],
        ),
    }
    | {
        f"{name.lower()}-decayed": (decayed(name), {"lr": 0.01, "weight_decay": 0.1})
        for name in DECAYED
    }
)
SIGNATURES = {
    "keras": ["SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW", "Adamax", "Nadam"],
    "optax": ["sgd", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "adamax", "nadam"],
}


def optax_run(optimizer: Any, theta: Any, gs: Any) -> Iterator[Any]:
    """The parameters after each step."""
    theta = jax.numpy.asarray(theta)
    state, update = optimizer.init(theta), jax.jit(optimizer.update)
    for g in gs:
        change, state = update(jax.numpy.asarray(g), state, theta)
        theta = optax.apply_updates(theta, change)
        yield theta


def optax_run_uncompiled(optimizer: Any, theta: Any, gs: Any) -> Iterator[Any]:
    """The same, each operation rounded by itself. Compiled, a multiplication may be fused with an
    addition: where mean(g**2) - mean(g)**2 nearly cancels, only eight digits would agree."""
    with jax.disable_jit():
        yield from optax_run(optimizer, theta, gs)


def keras_run(optimizer: Any, theta: Any, gs: Any) -> Iterator[Any]:
    """The parameters after each step."""
    variable = keras.Variable(theta)
    for g in gs:
        optimizer.apply([jax.numpy.asarray(g)], [variable])
        yield variable.value


def keras_run_of_two(optimizer: Any, theta: Any, gs: Any) -> Iterator[Any]:
    """The same with the first three coordinates and the rest in variables of their own."""
    variables = [keras.Variable(theta[:3]), keras.Variable(theta[3:])]
    for g in gs:
        optimizer.apply([jax.numpy.asarray(g[:3]), jax.numpy.asarray(g[3:])], variables)
        yield np.concatenate([variable.value for variable in variables])


def defaults() -> dict[str, Any]:
    """The arguments of every optimizer and their defaults; REQUIRED where there is none."""
    homes = {"keras": keras.optimizers, "optax": optax}
    empty = inspect.Parameter.empty
    return {
        f"{library}.{name}": {
            p.name: "REQUIRED" if p.default is empty else p.default
            for p in inspect.signature(getattr(homes[library], name)).parameters.values()
            if p.kind is not inspect.Parameter.VAR_KEYWORD
        }
        for library, names in SIGNATURES.items()
        for name in names
    }


def trajectory(run: Callable[..., Iterator[Any]], optimizer: Any, sequence: str) -> Any:
    """The parameters after the recorded steps, as an array (steps, coordinates) of float64."""
    seen = [np.asarray(theta) for theta in run(optimizer, start(sequence), gradients(sequence))]
    if any(theta.dtype != np.float64 for theta in seen):
        raise TypeError("a library left float64: is x64 on, and floatx float64?")
    return np.array([seen[t - 1] for t in RECORDED])


def write(path: Path, run: Any, row: Any, sequences: tuple[str, ...], versions: Any) -> None:
    make, hyper = row
    kept: dict[str, Any] = {s: trajectory(run, make(**hyper), s) for s in sequences}
    kept |= {"steps": np.array(RECORDED), "hyper": json.dumps(hyper)}
    np.savez(path, **kept, versions=json.dumps(versions))
    print(f"{path.name}: {path.stat().st_size} bytes")


def main(folder: Path) -> None:
    keras.config.set_floatx("float64")
    libraries = ("numpy", "jax", "jaxlib", "optax", "keras")
    versions = {name: version(name) for name in libraries} | {"python": platform.python_version()}
    for library, table, run in (("optax", OPTAX, optax_run), ("keras", KERAS, keras_run)):
        for name, row in table.items():
            apart = library == "optax" and "centered" in name
            how = optax_run_uncompiled if apart else run
            write(folder / f"{library}-{name}.npz", how, row, SEQUENCES, versions)
    folder /= "conventions"
    folder.mkdir(exist_ok=True)
    for name, row in OPTAX_CONVENTIONS.items():
        write(folder / f"optax-{name}.npz", optax_run, row, ("random",), versions)
    for name, row in KERAS_CONVENTIONS.items():
        run = keras_run_of_two if name == "clipped-apart" else keras_run
        write(folder / f"keras-{name}.npz", run, row, ("random",), versions)
    text = json.dumps({"versions": versions, **defaults()}, indent=1)
    (folder / "defaults.json").write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "golden")
