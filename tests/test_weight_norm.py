"""Networks of directions: the functions they start from, and their gradients by differences."""

import numpy as np
import pytest

from adam_tutorial.sweeps import Networks, losses, network_scores, three_splits
from adam_tutorial.weight_norm import DirectionNetworks, chained, plain

DATA = three_splits(dtype=np.float64)[0]


def test_they_start_as_the_ordinary_networks_whatever_the_lengths() -> None:
    ordinary = Networks(DATA, (3, 4), hidden=5).start
    direction = DirectionNetworks(DATA, (3, 4), hidden=5, lengths=(0.1, 100.0)).start
    lengths = np.linalg.norm(direction["w"], axis=1)
    np.testing.assert_allclose(lengths, [[0.1] * 5, [100.0] * 5], rtol=1e-12)
    for name, leaf in plain(direction).items():
        np.testing.assert_allclose(leaf, ordinary[name], rtol=1e-12)
    ones = DirectionNetworks(DATA, (3, 4), hidden=5).start
    np.testing.assert_allclose(np.linalg.norm(ones["w"], axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("name", ["w", "gain", "b1", "W2", "b2"])
def test_the_gradient_is_that_of_the_loss(name: str) -> None:
    problem = DirectionNetworks(DATA, (0, 1), hidden=4, batch=len(DATA.pixels), lengths=(0.5, 3.0))
    params, rng = problem.start, np.random.default_rng(0)
    params["gain"] = params["gain"] * rng.uniform(0.5, 1.5, params["gain"].shape)
    g = problem.grad(params, 1)[name]
    direction = rng.standard_normal(params[name].shape)
    h = 1e-6
    ahead, back = (
        losses(plain({**params, name: params[name] + sign * h * direction}), DATA)
        for sign in (1, -1)
    )
    np.testing.assert_allclose(
        (ahead - back) / (2 * h), (g * direction).sum(axis=(1, 2)), rtol=1e-5
    )


def test_the_gradient_of_a_direction_is_orthogonal_and_shrinks_with_the_length() -> None:
    near, far = (DirectionNetworks(DATA, (0,), hidden=4, lengths=(c,)) for c in (1.0, 8.0))
    g, g_far = near.grad(near.start, 1)["w"], far.grad(far.start, 1)["w"]
    np.testing.assert_allclose((g * near.start["w"]).sum(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(g_far * 8, g, rtol=1e-9)


def test_the_network_is_weight_normalised() -> None:
    params = DirectionNetworks(DATA, (0,), hidden=4, lengths=(7.0,)).start
    scores, _ = network_scores(plain(params), DATA.pixels[:3])
    unit = params["w"] / np.linalg.norm(params["w"], axis=1, keepdims=True)
    hidden = np.maximum(params["gain"] * (DATA.pixels[:3] @ unit) + params["b1"], 0)
    np.testing.assert_allclose(scores, hidden @ params["W2"] + params["b2"], rtol=1e-12)


def test_step_t_takes_the_batch_of_the_ordinary_networks() -> None:
    ours, ordinary = (make(DATA, (0, 1), hidden=4) for make in (DirectionNetworks, Networks))
    params = ours.start
    for t in (1, 2, 20):
        expected = chained(params, ordinary.grad(plain(params), t))
        for name, leaf in ours.grad(params, t).items():
            np.testing.assert_array_equal(leaf, expected[name])
