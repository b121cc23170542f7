"""The toy problems: gradients are those of the losses, minima where they are said to be."""

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest
from cases import differing, random_like

from adam_tutorial import SGD, Adam
from adam_tutorial.backends import _CHOICE
from adam_tutorial.problems import (
    Digits,
    DriftingTarget,
    Ravine,
    Rosenbrock,
    Saddle,
    SparseFeatures,
    cross_entropy,
    cross_entropy_grad,
    digits,
    log_softmax,
    trace,
)
from adam_tutorial.trees import Array, Tree, leaves, map_leaves


@pytest.fixture(autouse=True)
def on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_CHOICE, "numpy")


def small_digits(rows: int = 12, batch: int = 12, seed: int = 0) -> Digits:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 10, rows)
    return Digits(rng.random((rows, 64)), np.eye(10)[labels], batch, seed)


SMOOTH = [Ravine(), Rosenbrock(), Saddle(), DriftingTarget(0.5), small_digits()]
each_problem = pytest.mark.parametrize("problem", SMOOTH, ids=lambda p: type(p).__name__)
EVERY = [*SMOOTH, SparseFeatures()]
every_problem = pytest.mark.parametrize("problem", EVERY, ids=lambda p: type(p).__name__)


def central_differences(problem: Any, params: Tree, t: int, h: float = 1e-6) -> list[Array]:
    """(f(x + h) - f(x - h)) / 2h in every coordinate of every leaf."""
    found = []
    for leaf in leaves(params):
        slopes = np.zeros(leaf.shape)
        for index in np.ndindex(leaf.shape):
            middle = leaf[index]
            leaf[index] = middle + h
            above = problem.loss(params, t)
            leaf[index] = middle - h
            slopes[index] = (above - problem.loss(params, t)) / (2 * h)
            leaf[index] = middle
        found.append(slopes)
    return found


@pytest.mark.parametrize("t", [1, 5])
@each_problem
def test_the_gradient_is_the_slope_of_the_loss(problem: Any, t: int) -> None:
    params = random_like(problem.start, 0)
    for g, slope in zip(
        leaves(problem.grad(params, t)), central_differences(problem, params, t), strict=True
    ):
        np.testing.assert_allclose(g, slope, rtol=1e-6, atol=1e-8)
        assert np.max(np.abs(g)) > 1e-3


def test_the_mean_of_the_sparse_gradients_is_the_slope_of_the_loss() -> None:
    problem, draws = SparseFeatures(words=4), 4000
    params = random_like(problem.start, 0)
    gs = np.array([problem.grad(params, t) for t in range(1, draws + 1)])
    (slope,) = central_differences(problem, params, 1)
    errors = gs.std(axis=0, ddof=1) / draws**0.5
    assert np.all(np.abs(gs.mean(axis=0) - slope) <= 4 * errors)


def test_one_word_appears_at_each_step() -> None:
    problem = SparseFeatures()
    for t in range(1, 30):
        g = problem.grad(problem.start, t)
        (word,) = np.flatnonzero(g)
        assert g[word] == -problem.weights[word]


def test_word_frequencies_fall_as_1_over_k() -> None:
    frequency = SparseFeatures(words=5).frequency
    np.testing.assert_allclose(frequency.sum(), 1, rtol=1e-15)
    np.testing.assert_allclose(frequency[0] / frequency, [1, 2, 3, 4, 5], rtol=1e-15)


@every_problem
def test_the_same_step_gives_the_same_draw(problem: Any) -> None:
    assert differing(problem.grad(problem.start, 3), problem.grad(problem.start, 3)) == []


def test_another_step_or_seed_gives_another_draw() -> None:
    words = [
        [int(np.flatnonzero(p.grad(p.start, t))[0]) for t in range(1, 30)]
        for p in (SparseFeatures(seed=0), SparseFeatures(seed=1))
    ]
    assert len(set(words[0])) > 5
    assert words[0] != words[1]


@every_problem
def test_the_gradient_leaves_the_parameters_alone(problem: Any) -> None:
    params = random_like(problem.start, 0)
    before = map_leaves(np.copy, params)
    g = problem.grad(params, 2)
    assert differing(params, before) == []
    for a, b in zip(leaves(g), leaves(params), strict=True):
        assert a.shape == b.shape and not np.shares_memory(a, b)


@every_problem
def test_the_loss_is_a_float(problem: Any) -> None:
    assert type(problem.loss(problem.start, 1)) is float


@pytest.mark.parametrize(
    ("problem", "place", "value"),
    [
        (Ravine(), [0, 0], 0),
        (Rosenbrock(), [1, 1], 0),
        (Saddle(), [0, 1], -0.25),
        (Saddle(), [0, -1], -0.25),
        (DriftingTarget(0.25), [0.75], 0),
    ],
)
def test_the_minimum_is_where_it_is_said_to_be(problem: Any, place: Any, value: float) -> None:
    place = np.array(place, float)
    assert problem.loss(place, 3) == value
    assert np.all(problem.grad(place, 3) == 0)
    for seed in range(20):
        assert problem.loss(place + 0.1 * random_like(place, seed), 3) > value


def test_the_minimum_of_the_sparse_features_is_at_their_weights() -> None:
    problem = SparseFeatures()
    assert problem.loss(problem.weights) == 0 < problem.loss(problem.start)
    assert not problem.grad(problem.weights, 1).any()


def test_the_saddle_is_at_0() -> None:
    saddle = Saddle()
    assert not saddle.grad(np.zeros(2)).any()
    assert (
        saddle.loss(np.array([0, 0.1])) < saddle.loss(np.zeros(2)) < saddle.loss(np.array([1, 0]))
    )


def test_the_losses_are_their_formulas() -> None:
    theta = np.array([3.0, 2.0])
    assert Ravine().loss(theta) == pytest.approx(0.1 * 9 + 2 * 4, rel=1e-15)
    assert Rosenbrock().loss(theta) == 4 + 100 * 49
    assert Saddle().loss(theta) == 4.5 - 2 + 4
    assert DriftingTarget(0.5).loss(theta, 4) == 0.5


def test_the_ravine_names_its_curvatures() -> None:
    slopes = [Ravine().grad(e).tolist() for e in np.eye(2)]
    assert slopes == [[Ravine.curvature[0], 0], [0, Ravine.curvature[1]]]


def test_starts_sizes_and_seeds_are_those_that_the_chapters_show() -> None:
    assert Ravine().start.tolist() == [-5.0, -2.0]
    assert Rosenbrock().start.tolist() == [-1.2, 1.0]
    assert Saddle().start.tolist() == [1.0, 1e-4]
    assert DriftingTarget().start.tolist() == [0.0] and DriftingTarget().speed == 0.01
    assert SparseFeatures() == SparseFeatures(words=50, seed=0)
    assert SparseFeatures().start.tolist() == [0.0] * 50
    few = Digits(np.ones((5, 64)), np.eye(10)[:5])
    assert (few.batch, few.seed) == (64, 0) and not any(np.any(a) for a in leaves(few.start))


def test_the_weights_of_the_words_are_plus_and_minus_1_in_turn() -> None:
    assert SparseFeatures(words=5).weights.tolist() == [1.0, -1.0, 1.0, -1.0, 1.0]


def test_the_word_of_step_t_is_drawn_with_the_seed_and_t() -> None:
    problem = SparseFeatures(seed=3)
    for t in range(1, 30):
        draws = np.random.default_rng((3, t))
        (word,) = np.flatnonzero(problem.grad(problem.start, t))
        assert word == draws.choice(50, p=problem.frequency)


@pytest.mark.parametrize(
    "problem",
    [DriftingTarget(0.5), SparseFeatures(), small_digits(rows=60, batch=12)],
    ids=lambda p: type(p).__name__,
)
def test_the_step_is_the_first_unless_told_otherwise(problem: Any) -> None:
    start = problem.start
    assert problem.loss(start) == problem.loss(start, 1)
    assert differing(problem.grad(start), problem.grad(start, 1)) == []
    assert differing(problem.grad(start), problem.grad(start, 2)) != []


MAKERS = [Ravine, Rosenbrock, Saddle, DriftingTarget, SparseFeatures, small_digits]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_every_problem_has_a_start_of_its_own(make: Any) -> None:
    for a, b in zip(leaves(make().start), leaves(make().start), strict=True):
        assert a.dtype == b.dtype == np.float64
        assert not np.shares_memory(a, b)


# --- the digits


def test_rows_of_log_probabilities_sum_to_1() -> None:
    scores = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    p = np.exp(log_softmax(scores))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(p[0] / p[0, 0], np.exp([0, 1, 2]), rtol=1e-14)


def test_log_softmax_is_taken_along_the_last_axis() -> None:
    scores = np.random.default_rng(1).standard_normal((2, 3, 3))
    apart = [log_softmax(run) for run in scores]
    assert np.array_equal(log_softmax(scores), apart)


def test_log_softmax_does_not_overflow() -> None:
    assert log_softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]])).tolist() == [
        [0.0, -1000.0],
        [-np.log(2.0), -np.log(2.0)],
    ]


def test_cross_entropy_is_the_mean_of_minus_log_p() -> None:
    params = {"W": np.zeros((64, 10)), "b": np.log(np.arange(1.0, 11.0))}
    targets = np.eye(10)[[0, 9]]
    expected = -(np.log(1 / 55) + np.log(10 / 55)) / 2
    assert cross_entropy(params, np.zeros((2, 64)), targets) == pytest.approx(expected, rel=1e-14)


def test_the_gradient_of_the_cross_entropy_is_a_mean_over_rows() -> None:
    problem = small_digits(2)
    params = random_like(problem.start, 0)
    both = cross_entropy_grad(params, problem.pixels, problem.targets)
    one, two = (
        cross_entropy_grad(params, problem.pixels[i : i + 1], problem.targets[i : i + 1])
        for i in (0, 1)
    )
    for name in ("W", "b"):
        np.testing.assert_allclose(both[name], (one[name] + two[name]) / 2, atol=1e-15)


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_the_batches_of_an_epoch_walk_every_row_once(epoch: int) -> None:
    problem = small_digits(rows=60, batch=12)
    rows = [problem.rows(5 * epoch + k) for k in (1, 2, 3, 4, 5)]
    assert [len(batch) for batch in rows] == [12] * 5
    assert sorted(np.concatenate(rows)) == list(range(60))


def test_the_rows_that_fill_no_batch_are_left_out() -> None:
    problem = small_digits(rows=31, batch=10)
    rows = np.concatenate([problem.rows(t) for t in (1, 2, 3)])
    assert len(set(rows.tolist())) == len(rows) == 30
    assert problem.rows(4).tolist() != problem.rows(1).tolist()


def test_each_epoch_and_each_seed_has_an_order_of_its_own() -> None:
    first = small_digits(rows=60, batch=60)
    assert first.rows(1).tolist() != first.rows(2).tolist()
    assert first.rows(1).tolist() != small_digits(rows=60, batch=60, seed=1).rows(1).tolist()


def test_the_gradient_of_a_batch_is_that_of_its_rows() -> None:
    problem = small_digits(rows=60, batch=12)
    params, rows = random_like(problem.start, 0), problem.rows(3)
    expected = cross_entropy_grad(params, problem.pixels[rows], problem.targets[rows])
    assert differing(problem.grad(params, 3), expected) == []


def test_the_accuracy_is_the_share_of_rows_that_are_right() -> None:
    problem = small_digits(rows=8)
    labels = problem.targets.argmax(axis=1)
    constant = {"W": np.zeros((64, 10)), "b": np.eye(10)[labels[0]]}
    assert problem.accuracy(constant) == np.mean(labels == labels[0])


needs_digits = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None, reason="the digits are scikit-learn's"
)


@needs_digits
def test_digits_are_scikit_learns() -> None:
    train, held_out = digits(batch=32, seed=3, dtype=np.float32)
    assert train.pixels.shape == (1437, 64) and held_out.pixels.shape == (360, 64)
    for part in (train, held_out):
        assert part.pixels.dtype == part.targets.dtype == np.float32
        assert part.pixels.min() == 0 and part.pixels.max() == 1
        assert np.all(part.targets.sum(axis=1) == 1) and set(np.unique(part.targets)) == {0, 1}
        assert (part.batch, part.seed) == (32, 3)
    assert train.targets[:10].argmax(axis=1).tolist() == list(range(10))
    assert {leaf.dtype for leaf in leaves(train.start)} == {np.dtype(np.float32)}


@needs_digits
def test_digits_are_float64_unless_told_otherwise() -> None:
    train, _ = digits()
    assert train.pixels.dtype == np.float64 and (train.batch, train.seed) == (64, 0)


@needs_digits
def test_adam_learns_the_digits() -> None:
    train, held_out = digits(seed=0)
    params = train.start
    state = Adam(lr=0.01).init(params)
    assert train.loss(params) == pytest.approx(np.log(10))
    for t in range(1, 101):
        Adam(lr=0.01).step(params, train.grad(params, t), state)
    assert train.loss(params) < 0.5
    assert held_out.accuracy(params) > 0.85


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install"):
        digits()


# --- the trace


def test_a_trace_holds_the_start_and_every_step() -> None:
    problem = Ravine()
    seen = trace(SGD(0.1), problem, 5)
    theta = problem.start.copy()
    assert seen.shape == (6, 2)
    for row in seen:
        np.testing.assert_array_equal(row, theta)
        theta = theta - 0.1 * problem.grad(theta)


def test_a_trace_gives_the_problem_the_step_from_1() -> None:
    asked = []

    class Asking(Ravine):
        def grad(self, theta: Array, t: int = 1) -> Array:
            asked.append(t)
            return super().grad(theta, t)

    trace(SGD(0.1), Asking(), 3)
    assert asked == [1, 2, 3]


def test_a_trace_leaves_the_start_alone() -> None:
    problem = Rosenbrock()
    trace(Adam(0.1), problem, 3)
    assert problem.start.tolist() == [-1.2, 1.0]


def test_a_trace_keeps_what_it_is_told_to_watch() -> None:
    problem = Ravine()
    losses = trace(SGD(0.1), problem, 4, watch=problem.loss)
    np.testing.assert_array_equal(losses, [problem.loss(p) for p in trace(SGD(0.1), problem, 4)])


def test_the_ravine_keeps_float32() -> None:
    assert Ravine().grad(np.ones(2, np.float32)).dtype == np.float32


def test_fewer_rows_than_a_batch_are_one_batch() -> None:
    few = Digits(np.ones((5, 64)), np.eye(10)[:5], batch=64)
    assert sorted(few.rows(1)) == sorted(few.rows(2)) == [0, 1, 2, 3, 4]
