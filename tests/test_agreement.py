"""Our optimizers compute what torch.optim, Optax and Keras compute, in float64.

Torch runs beside ours. Optax and Keras left golden trajectories, made by `tools/make_golden.py`.
The distance allowed is rounding: 1e-12 of the largest parameter of the trajectory.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CASES, RECORDED, SEQUENCES, Case, gradients, start

from adam_tutorial import Optimizer

GOLDEN = Path(__file__).parent / "golden"
each_sequence = pytest.mark.parametrize("sequence", SEQUENCES)


# Where a library subtracts the square of a mean from a mean of squares, and the two are nearly equal,
# its own digits are gone; our class does not subtract.
CANCELLED = {("optax-rmsprop-centered-outside", "constant"): 1e-6}


def assert_close(ours: Any, theirs: Any, tolerance: float = 1e-12) -> None:
    assert ours.shape == theirs.shape
    assert np.max(np.abs(ours - theirs)) <= tolerance * np.max(np.abs(theirs))


def trajectory(optimizer: Optimizer, sequence: str) -> Any:
    """Our parameters after each step, by `step`."""
    theta = start(sequence)
    state = optimizer.init(theta)
    seen = []
    for g in gradients(sequence):
        optimizer.step(theta, g, state)
        seen.append(theta.copy())
    return np.array(seen)


@pytest.fixture
def torch() -> Iterator[Any]:
    """Torch with float64 as its default: some optimizers keep scalars in the default dtype."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


def torch_trajectory(torch: Any, case: Case, sequence: str) -> Any:
    theta = torch.from_numpy(start(sequence)).requires_grad_()
    optimizer = case.torch([theta])
    seen = []
    for g in gradients(sequence):
        theta.grad = torch.from_numpy(g.copy())
        optimizer.step()
        seen.append(theta.detach().numpy().copy())
    return np.array(seen)


@each_sequence
@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=str)
def test_torch_computes_the_same(torch: Any, case: Case, sequence: str) -> None:
    ours = trajectory(case.make(), sequence)
    assert_close(ours, torch_trajectory(torch, case, sequence))


GOLDEN_PAIRS = [pytest.param(case, name, id=name) for case in CASES for name in case.golden]


@each_sequence
@pytest.mark.parametrize(("case", "name"), GOLDEN_PAIRS)
def test_the_golden_trajectory_is_the_same(case: Case, name: str, sequence: str) -> None:
    with np.load(GOLDEN / f"{name}.npz") as golden:
        hyper = json.loads(str(golden["hyper"]))
        theirs = golden[sequence]
    ours = trajectory(case.make(**hyper), sequence)
    assert_close(ours[np.array(RECORDED) - 1], theirs, CANCELLED.get((name, sequence), 1e-12))


def test_every_golden_file_is_compared_with_some_optimizer() -> None:
    names = {path.stem for path in GOLDEN.glob("*.npz")}
    assert names == {name for case in CASES for name in case.golden}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.npz")), ids=lambda path: path.stem)
def test_a_golden_file_is_small_and_says_what_made_it(path: Path) -> None:
    assert path.stat().st_size < 100_000
    with np.load(path) as golden:
        assert golden["steps"].tolist() == list(RECORDED)
        versions = json.loads(str(golden["versions"]))
    assert set(versions) == {"numpy", "jax", "jaxlib", "optax", "keras", "python"}


def test_gradient_sequences_are_what_their_names_say() -> None:
    g = {name: gradients(name) for name in SEQUENCES}
    assert not g["zero"].any()
    assert 0 < np.count_nonzero(g["sparse"]) < 0.1 * g["sparse"].size
    assert np.median(np.abs(g["huge"])) > 1e29
    assert np.median(np.abs(g["tiny"])) < 1e-29
    assert np.max(np.abs(g["spiked"])) > 1e5 > 1e4 * np.median(np.abs(g["spiked"]))
    assert np.all(np.sign(g["sign-flipping"][1:]) == -np.sign(g["sign-flipping"][:-1]))
    assert np.all(g["constant"] == g["constant"][0]) and g["constant"].all()
