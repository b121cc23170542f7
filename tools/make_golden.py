"""Golden trajectories: what Optax and Keras compute, stored so that the tests need neither.

Each file `tests/golden/<library>-<optimizer>.npz` holds the parameters after the first ten steps
and after every tenth, for every gradient sequence of `tests/cases.py`, in float64, with the
hyper-parameters and the versions that made it. The same versions make the same bytes. To make
them again, in an environment of its own:

    pip install numpy==2.4.6 optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 keras==3.15.1
    python tools/make_golden.py
"""

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
}
KERAS: dict[str, tuple[Callable[..., Any], Hyper]] = {
    "sgd": (lambda lr: keras.optimizers.SGD(lr, momentum=0.0), {"lr": 0.01}),
    "adam": (
        lambda lr, beta1, beta2, eps: keras.optimizers.Adam(lr, beta1, beta2, eps),
        {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7},
    ),
}


def optax_run(optimizer: Any, theta: Any, gs: Any) -> Iterator[Any]:
    """The parameters after each step."""
    theta = jax.numpy.asarray(theta)
    state, update = optimizer.init(theta), jax.jit(optimizer.update)
    for g in gs:
        change, state = update(jax.numpy.asarray(g), state, theta)
        theta = optax.apply_updates(theta, change)
        yield theta


def keras_run(optimizer: Any, theta: Any, gs: Any) -> Iterator[Any]:
    """The parameters after each step."""
    variable = keras.Variable(theta)
    for g in gs:
        optimizer.apply([jax.numpy.asarray(g)], [variable])
        yield variable.value


def trajectory(run: Callable[..., Iterator[Any]], optimizer: Any, sequence: str) -> Any:
    """The parameters after the recorded steps, as an array (steps, coordinates) of float64."""
    seen = [np.asarray(theta) for theta in run(optimizer, start(sequence), gradients(sequence))]
    if any(theta.dtype != np.float64 for theta in seen):
        raise TypeError("a library left float64: is x64 on, and floatx float64?")
    return np.array([seen[t - 1] for t in RECORDED])


def main(folder: Path) -> None:
    keras.config.set_floatx("float64")
    libraries = ("numpy", "jax", "jaxlib", "optax", "keras")
    versions = {name: version(name) for name in libraries} | {"python": platform.python_version()}
    for library, table, run in (("optax", OPTAX, optax_run), ("keras", KERAS, keras_run)):
        for name, (make, hyper) in table.items():
            path = folder / f"{library}-{name}.npz"
            kept: dict[str, Any] = {s: trajectory(run, make(**hyper), s) for s in SEQUENCES}
            kept |= {"steps": np.array(RECORDED), "hyper": json.dumps(hyper)}
            np.savez(path, **kept, versions=json.dumps(versions))
            print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "golden")
