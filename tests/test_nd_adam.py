"""ND-Adam against a transcription in plain Python, what it keeps, and what it refuses."""

import math
import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from adam_tutorial import (
    L2,
    Adam,
    Clipped,
    Groups,
    MasterWeights,
    Maximize,
    NDAdam,
    normalised,
)
from adam_tutorial.executors import explain
from adam_tutorial.nd_adam import inner_products

RNG = np.random.default_rng(0)


def transcribed(w: list[float], gs: list[list[float]], rate: float, b1: float, b2: float, eps: float) -> Any:  # fmt: skip
    """Algorithm 1 of Zhang et al. 2017 for one vector, number by number: w, m and v after each step."""
    n, m, v, seen = len(w), [0.0] * len(w), 0.0, []
    for t, raw in enumerate(gs, start=1):
        along = sum(raw[i] * w[i] for i in range(n))
        g = [raw[i] - along * w[i] for i in range(n)]
        m = [b1 * m[i] + (1.0 - b1) * g[i] for i in range(n)]
        v = b2 * v + (1.0 - b2) * sum(x * x for x in g)
        root = math.sqrt(v / (1.0 - math.pow(b2, t))) + eps
        bar = [w[i] - rate * (m[i] / (1.0 - math.pow(b1, t))) / root for i in range(n)]
        length = math.sqrt(sum(x * x for x in bar))
        w = [x / length for x in bar]
        seen.append((w, m, v))
    return seen


def run(optimizer: Any, params: Any, gs: Any) -> tuple[Any, Any]:
    state = optimizer.init(params)
    for g in gs:
        params, state = optimizer.update(params, g, state)
    return params, state


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_each_column_is_the_transcription(eps: float) -> None:
    w, gs = normalised(RNG.standard_normal((7, 3)), {"*": 0}), RNG.standard_normal((12, 7, 3))
    nd = NDAdam({"*": 0}, 0.004, 20.0, 0.8, 0.95, eps)
    new, state = run(nd, w, gs)
    for j in range(3):
        u, m, v = transcribed(w[:, j].tolist(), gs[:, :, j].tolist(), 0.08, 0.8, 0.95, eps)[-1]
        np.testing.assert_allclose(new[:, j], u, rtol=1e-12)
        np.testing.assert_allclose(state.m[:, j], m, rtol=1e-12)
        np.testing.assert_allclose(state.v[0, j], v, rtol=1e-12)


@pytest.mark.parametrize(
    ("axis", "shape"),
    [(0, (1, 3, 4, 5)), ((1, 2, 3), (2, 1, 1, 1)), (-1, (2, 3, 4, 1)), ([0, -2], (1, 3, 1, 5))],
)
def test_any_axes_are_the_transcription(axis: Any, shape: Any) -> None:
    along = tuple(np.atleast_1d(axis) % 4)
    w = normalised(RNG.standard_normal((2, 3, 4, 5)), {4: axis})
    gs = RNG.standard_normal((3, 2, 3, 4, 5))
    new, state = run(NDAdam({4: axis}, 0.01, 10.0, eps=0), w, gs)
    assert state.v.shape == shape
    rest = [i for i in range(4) if i not in along]

    def flat(a: Any) -> Any:
        return a.transpose(*rest, *along).reshape(-1, math.prod(a.shape[i] for i in along))

    for j, row in enumerate(flat(w)):
        u, _, v = transcribed(row.tolist(), [flat(g)[j].tolist() for g in gs], 0.1, 0.9, 0.999, 0)[-1]  # fmt: skip
        np.testing.assert_allclose(flat(new)[j], u, rtol=1e-12)
        np.testing.assert_allclose(state.v.ravel()[j], v, rtol=1e-12)


def test_the_defaults_are_the_papers() -> None:
    nd = NDAdam({"*": 0})
    assert (nd.lr, nd.ratio, nd.lr * nd.ratio) == (1e-3, 50.0, 0.05)
    assert (nd.beta1, nd.beta2, nd.eps) == (0.9, 0.999, 1e-8)


def test_all_that_is_no_vector_gets_adam_to_the_bit() -> None:
    params = normalised({"w": RNG.standard_normal((4, 3)), "b": RNG.standard_normal(3)}, {"w": 0})
    gs = [{"w": RNG.standard_normal((4, 3)), "b": RNG.standard_normal(3)} for _ in range(9)]
    new, state = run(NDAdam({"w": 0}, 0.01, 3.0, 0.7, 0.9, 0.1), params, gs)
    alone, its = run(Adam(0.01, 0.7, 0.9, 0.1), params["b"], [g["b"] for g in gs])
    assert new["b"].tolist() == alone.tolist() and state.v["b"].tolist() == its.v.tolist()
    everything, _ = run(NDAdam({}, 0.01), params, gs)
    assert everything["w"].tolist() == run(Adam(0.01), params, gs)[0]["w"].tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_lengths_stay_1_for_a_hundred_thousand_steps(dtype: Any) -> None:
    pool = RNG.standard_normal((100, 64, 4)).astype(dtype)
    nd, w = NDAdam({"*": 0}), normalised(pool[0], {"*": 0})
    state = nd.init(w)
    for t in range(100_000 if dtype is np.float32 else 1000):
        nd.step(w, pool[t % 100], state)
    lengths = np.sqrt((w.astype(np.longdouble) ** 2).sum(axis=0))
    assert np.abs(lengths - 1).max() <= 4 * np.finfo(dtype).eps


def test_the_first_turn_is_the_arc_tangent_of_the_rate() -> None:
    w = normalised(RNG.standard_normal((9, 50)), {"*": 0})
    new, state = run(NDAdam({"*": 0}, 0.02, 10.0, eps=0), w, [1e6 * RNG.standard_normal((9, 50))])
    np.testing.assert_allclose((w * new).sum(axis=0), math.cos(math.atan(0.2)), rtol=1e-13)
    np.testing.assert_allclose((state.m * w).sum(axis=0), 0, atol=1e-9)


def test_the_average_points_backwards_later() -> None:
    w, gs = normalised(RNG.standard_normal((9, 50)), {"*": 0}), RNG.standard_normal((40, 9, 50))
    nd = NDAdam({"*": 0}, 0.1, 1.0, eps=0)
    state = nd.init(w)
    for t, g in enumerate(gs):
        before, (w, state) = w, nd.update(w, g, state)
        assert t == 0 or np.all((state.m * before).sum(axis=0) < 0)


def test_the_last_vector_is_in_the_span_of_the_gradients() -> None:
    gs = RNG.standard_normal((4, 30))
    w = normalised(RNG.standard_normal(30), {"*": 0})
    for method, inside in ((NDAdam({"*": 0}), True), (Adam(0.05), False)):
        new, _ = run(method, w, gs)
        basis = np.linalg.qr(np.array([w, *gs]).T)[0]
        assert (np.linalg.norm(new - basis @ (basis.T @ new)) < 1e-14) == inside


def test_l2_around_it_decays_only_the_rest() -> None:
    params = normalised({"w": RNG.standard_normal((5, 2)), "b": np.ones(2)}, {"w": 0})
    gs = [{"w": RNG.standard_normal((5, 2)), "b": np.zeros(2)} for _ in range(5)]
    new, _ = run(L2(NDAdam({"w": 0}), 0.5), params, gs)
    plain, _ = run(NDAdam({"w": 0}), params, gs)
    np.testing.assert_allclose(new["w"], plain["w"], rtol=1e-12)
    assert np.all(new["b"] < plain["b"])


def test_wrappers_change_the_gradient_of_vectors_too() -> None:
    w, g = normalised(RNG.standard_normal(6), {"*": 0}), RNG.standard_normal(6)
    up, _ = run(Maximize(NDAdam({"*": 0})), w, [g])
    down, _ = run(NDAdam({"*": 0}), w, [-g])
    assert up.tolist() == down.tolist()
    _, state = run(Clipped(NDAdam({"*": 0}), 1e-3), w, [g])
    assert state.clip < 1e-2 and np.linalg.norm(state.m) <= 1e-4


def test_a_master_copy_keeps_what_half_precision_loses() -> None:
    w = normalised(RNG.standard_normal((50, 3)).astype(np.float16), {"*": 0})
    gs = RNG.standard_normal((30, 50, 3)).astype(np.float16)
    new, state = run(MasterWeights(NDAdam({"*": 0})), w, gs)
    np.testing.assert_allclose(np.linalg.norm(state.master, axis=0), 1, atol=1e-6)
    assert new.dtype == np.float16 and new.tolist() == state.master.astype(np.float16).tolist()


def test_the_metric_divides_the_mean_before_the_division_by_the_length() -> None:
    params = normalised({"w": RNG.standard_normal((5, 2)), "b": np.ones(2)}, {"w": 0})
    gs = [{"w": RNG.standard_normal((5, 2)), "b": RNG.standard_normal(2)} for _ in range(3)]
    nd = NDAdam(
        {lambda path, leaf: leaf.shape == (5, 2): 0}, lambda t: 0.03 / t, 7.0, 0.8, 0.95, 0.1
    )
    before, _ = run(nd, params, gs[:2])
    new, state = run(nd, params, gs)
    state.slots["v"] = dict(reversed(state.v.items()))
    h, mass = nd.metric(state), 1 - 0.8**3
    bar = before["w"] - state.m["w"] / mass / h["w"]
    np.testing.assert_allclose(bar / np.linalg.norm(bar, axis=0), new["w"], rtol=1e-12)
    expected = (np.sqrt(state.v["w"] / (1 - 0.95**3)) + 0.1) / 0.07
    np.testing.assert_allclose(h["w"], expected, rtol=1e-14)
    np.testing.assert_allclose(before["b"] - state.m["b"] / mass / h["b"], new["b"], rtol=1e-12)
    maximal = Maximize(nd)
    assert maximal.metric(state)["w"].tolist() == h["w"].tolist()


def test_sums_do_not_depend_on_the_order_in_memory() -> None:
    a, b = RNG.standard_normal((2, 1000, 7)).astype(np.float32)
    for axis in (0, 1, (0, 1)):
        one = inner_products(a, b, axis)
        other = inner_products(np.asfortranarray(a), np.asfortranarray(b), axis)
        assert one.tobytes() == other.tobytes()


# --- what it asks for


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_normalised_vectors_are_accepted(dtype: Any) -> None:
    w = normalised(RNG.standard_normal((1000, 3)).astype(dtype), {"*": 0})
    assert w.dtype == dtype
    state = NDAdam({"*": 0}).init(w)
    assert state.m.shape == (1000, 3) and state.v.shape == (1, 3)
    assert not state.m.any() and not state.v.any()


@pytest.mark.parametrize(
    ("dtype", "length", "accepted"),
    [
        (np.float64, 1.00009, True), (np.float64, 0.99991, True),
        (np.float64, 1.00011, False), (np.float64, 0.99989, False),
        (np.float16, 1.009, True), (np.float16, 0.991, True),
        (np.float16, 1.012, False), (np.float16, 0.988, False),
    ],
)  # fmt: skip
def test_lengths_are_1_as_nearly_as_the_dtype_allows(dtype: Any, length: float, accepted: bool) -> None:  # fmt: skip
    w = np.array([[length, 0.6], [0.0, 0.8]]).astype(dtype)
    if accepted:
        NDAdam({"*": 0}).init(w)
    else:
        with pytest.raises(
            ValueError, match="^params: its vectors along axis 0 should have length 1"
        ):
            NDAdam({"*": 0}).init(w)


def test_other_lengths_are_refused_with_the_leaf_and_the_lengths() -> None:
    params = {"enc": {"w": np.array([[3.0, 0.5], [4.0, 0.0]]), "b": np.zeros(2)}}
    with pytest.raises(ValueError, match=r"^params/enc/w: .* axis 0 should .* have 0\.5 to 5\. Start from normalised"):  # fmt: skip
        NDAdam({"*w": 0}).init(params)
    with pytest.raises(ValueError, match=r"^params: .* axes \(0, 1\) should"):
        Maximize(NDAdam({"*": (0, 1)})).init(np.ones((2, 2)))


def test_a_vector_of_zeros_is_refused_without_a_warning() -> None:
    with np.errstate(all="raise"):
        with pytest.raises(ValueError, match="has no direction"):
            normalised(np.zeros((3, 2)), {"*": 0})
        with pytest.raises(ValueError, match="have 0 to 0"):
            NDAdam({"*": 0}).init(np.zeros((3, 2)))


def test_a_length_just_at_the_limit_is_accepted() -> None:
    for length in (1 - 1e-4, 1 + 1e-4):
        assert NDAdam({"*": -1}).init(np.array([length])).v.shape == (1,)


def test_the_first_axis_may_be_counted_from_the_end() -> None:
    assert NDAdam({"*": -2}).init(np.eye(2)).v.shape == (1, 2)


def test_whole_leaves_are_stepped_as_written() -> None:
    nd = NDAdam({2: 0})
    text = explain(nd, np.eye(2), nd.init(np.eye(2)))
    assert text.endswith("it needs whole leaves")


def test_the_axes_are_kept_as_tuples_of_their_own() -> None:
    given = {"w": 0}
    nd = NDAdam(given)
    given["w"] = 1
    assert nd.axes == {"w": (0,)}


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_vectors_without_a_direction_are_refused(bad: float) -> None:
    w = np.array([[1.0, bad], [0.0, 0.0]])
    with pytest.raises(ValueError, match="^params/w: .* length 1"), np.errstate(invalid="ignore"):
        NDAdam({"*": 0}).init({"w": w})
    words = "^params/w: a vector along axis 0 is 0, or not finite"
    with pytest.raises(ValueError, match=words), np.errstate(invalid="ignore"):
        normalised({"w": w}, {"w": 0})


@pytest.mark.parametrize("axis", [2, -3, (0, 2)])
def test_axes_that_a_leaf_does_not_have_are_refused(axis: Any) -> None:
    for refuse in (NDAdam({"w": axis}).init, lambda tree: normalised(tree, {"w": axis})):
        with pytest.raises(
            ValueError, match=r"^params/w: its vectors should lie along ax.*\(2, 2\)"
        ):
            refuse({"w": np.eye(2)})


def test_a_selector_that_fits_no_leaf_is_refused() -> None:
    with pytest.raises(ValueError, match="^axes: 'v' fits no leaf. The leaves are w"):
        NDAdam({"v": 0}).init({"w": np.eye(2)})
    with pytest.raises(ValueError, match="^axes: 'v' fits no leaf"):
        normalised({"w": np.eye(2)}, {"v": 0})


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (0, "^axes: expected a dict of selectors and axes"),
        ({True: 0}, "^axes: a selector is a pattern"),
        ({"w": "0"}, "^axes: for 'w' expected an axis"),
        ({"w": True}, "^axes: for 'w' expected an axis"),
        ({"w": ()}, "^axes: for 'w' expected an axis"),
        ({"w": (0, 0)}, "^axes: for 'w' expected an axis"),
        ({"w": (0, "1")}, "^axes: for 'w' expected an axis"),
        ({"w": 1.0}, "^axes: for 'w' expected an axis"),
    ],
)
def test_axes_that_are_none_are_refused(axes: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        NDAdam(axes)


@pytest.mark.parametrize("ratio", [-1.0, math.inf, math.nan])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="^ratio must be finite and not negative"):
        NDAdam({"*": 0}, ratio=ratio)
    assert NDAdam({"*": 0}, ratio=0.0).ratio == 0


def test_the_first_selector_that_fits_decides() -> None:
    nd = NDAdam({"a": 0, 2: 1})
    params = normalised(
        {"a": RNG.standard_normal((4, 3)), "b": RNG.standard_normal((4, 3))}, nd.axes
    )
    state = nd.init(params)
    assert state.v["a"].shape == (1, 3) and state.v["b"].shape == (4, 1)
    other = pickle.loads(pickle.dumps(nd))
    assert other == nd and hash(other) == hash(nd) and nd != NDAdam({"a": 1, 2: 1})


def test_groups_of_it_are_refused() -> None:
    with pytest.raises(TypeError, match="^inner: NDAdam needs whole leaves"):
        Groups(NDAdam({"*": 0}), {"*": {"lr": 0.1}})


# --- normalised


def test_normalised_copies_and_divides() -> None:
    params = {
        "w": np.array([[3.0, 0.0], [4.0, -2.0]]),
        "b": np.array([5.0]),
        "none": np.zeros((0, 2)),
    }
    new = normalised(params, {"w": 0, "none": 0})
    assert new["w"].tolist() == [[0.6, 0.0], [0.8, -1.0]] and new["b"].tolist() == [5.0]
    assert not any(np.shares_memory(new[name], params[name]) for name in params)
    assert new["none"].shape == (0, 2)
    assert NDAdam({"w": 0, "none": 0}).init(new).v["none"].shape == (1, 2)


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e200, 1.7e308])
def test_neither_squares_nor_lengths_overflow(scale: float) -> None:
    w = normalised(np.full(4, scale), {"*": 0})
    assert w.tolist() == [0.5] * 4
