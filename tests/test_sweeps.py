"""Sweeps: many networks at once are the same networks alone, and verdicts follow the interval."""

import numpy as np
import pytest
from cases import differing

from adam_tutorial import L2, SGD, Adam, Clipped, Groups, Nadam, Nesterov, sweeps
from adam_tutorial.problems import Digits
from adam_tutorial.sweeps import (
    Networks,
    errors,
    interval,
    losses,
    network_grad,
    network_scores,
    progress,
    three_splits,
    train,
    verdict,
)

pytest.importorskip("sklearn")


def small(seeds=(3, 5), examples=50, **more):
    data, _, _ = three_splits(dtype=np.float64)
    return Networks(Digits(data.pixels[:examples], data.targets[:examples]), seeds, 8, 20, **more)


def test_splits_keep_the_order_and_share_no_digit():
    train_on, validation, test = three_splits()
    assert [len(split.pixels) for split in (train_on, validation, test)] == [1200, 237, 360]
    assert train_on.pixels.dtype == np.float32 and train_on.targets.dtype == np.float32
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    together = np.vstack([split.pixels for split in (train_on, validation, test)])
    assert np.array_equal(together, (pixels / 16).astype(np.float32))
    targets = np.vstack([split.targets for split in (train_on, validation, test)])
    assert np.array_equal(targets.argmax(axis=1), labels) and (targets.sum(axis=1) == 1).all()


def test_noise_draws_so_many_training_labels_anew():
    clean, noisy = three_splits(), three_splits(noise=0.2)
    changed = (clean[0].targets != noisy[0].targets).any(axis=1).sum()
    assert 190 <= changed <= 240  # of 240 drawn, a tenth meets its own label
    assert differing(noisy[0].targets, three_splits(noise=0.2)[0].targets) == []
    assert (noisy[0].targets.sum(axis=1) == 1).all()
    rng = np.random.default_rng(0)
    rows, drawn = rng.permutation(1200)[:240], rng.integers(10, size=240)
    assert np.array_equal(noisy[0].targets.argmax(axis=1)[rows], drawn)
    most = three_splits(noise=0.999)[0].targets.argmax(axis=1)
    assert (
        most == clean[0].targets.argmax(axis=1)
    ).sum() == 107  # one kept, and a tenth of the others
    for one, other in zip(clean[1:], noisy[1:], strict=True):
        assert np.array_equal(one.targets, other.targets)
    assert np.array_equal(clean[0].pixels, noisy[0].pixels)


def test_a_seed_draws_the_same_weights_wherever_it_stands():
    start, other = small((3, 5, 3)).start, small((5,)).start
    for name in start:
        assert np.array_equal(start[name][0], start[name][2])
        assert np.array_equal(start[name][1], other[name][0])
    assert {name: leaf.shape for name, leaf in start.items()} == {
        "W1": (3, 64, 8), "b1": (3, 1, 8), "W2": (3, 8, 10), "b2": (3, 1, 10),
    }  # fmt: skip
    assert not np.allclose(start["W1"][0], start["W1"][1])
    assert (Networks.hidden, Networks.batch) == (32, 64)
    assert not start["b1"].any() and not start["b2"].any()


def test_first_weights_have_variance_two_over_inputs():
    data, _, _ = three_splits(dtype=np.float64)
    start = Networks(data, (0,), hidden=2000).start
    assert start["W1"].var() == pytest.approx(2 / 64, rel=0.02)
    assert start["W2"].var() == pytest.approx(2 / 2000, rel=0.03)


def test_an_epoch_takes_each_row_at_most_once_in_a_new_order_for_each_seed_and_epoch(monkeypatch):
    taken = []
    monkeypatch.setattr(
        "adam_tutorial.sweeps.network_grad", lambda params, pixels, targets: taken.append(pixels)
    )
    runs = small()  # 50 examples, batches of 20: two a epoch
    for t in (1, 2, 3, 4):
        runs.grad(runs.start, t)
    rows = {row.tobytes(): at for at, row in enumerate(runs.data.pixels)}
    found = [[[rows[p.tobytes()] for p in run] for run in pixels] for pixels in taken]
    for run in (0, 1):
        assert all(len(step[run]) == 20 for step in found)
        first, second = found[0][run] + found[1][run], found[2][run] + found[3][run]
        assert len(set(first)) == len(set(second)) == 40 and first != second
    assert found[0][0] != found[0][1]
    assert found[0][0] == list(np.random.default_rng((3, 0)).permutation(50)[:20])


def test_the_order_that_all_runs_of_a_seed_share_cannot_be_changed():
    order = sweeps._order(3, 0, 50)
    assert sweeps._order(3, 0, 50) is order
    with pytest.raises(ValueError, match="read-only"):
        order[0] = 1


def test_the_gradient_is_the_slope_of_the_loss():
    runs = small()
    data, params = runs.data, runs.start
    rng = np.random.default_rng(0)
    params = {name: leaf + 0.3 * rng.standard_normal(leaf.shape) for name, leaf in params.items()}
    stack = np.stack([data.pixels] * 2), np.stack([data.targets] * 2)
    grads = network_grad(params, *stack)
    for name, leaf in params.items():
        for place in rng.choice(leaf[0].size, 8):
            at = (0, *np.unravel_index(place, leaf[0].shape))
            moved = [dict(params), dict(params)]
            for sign, copy in zip((1, -1), moved, strict=True):
                copy[name] = leaf.copy()
                copy[name][at] += sign * 1e-6
            up, down = (losses(copy, data) for copy in moved)
            assert (up[0] - down[0]) / 2e-6 == pytest.approx(grads[name][at], abs=1e-6)
            assert up[1] == down[1]  # the other run does not notice


def test_losses_and_errors_are_those_of_the_definition():
    runs = small()
    params = runs.start
    hidden = np.maximum(runs.data.pixels @ params["W1"][1], 0)
    scores = hidden @ params["W2"][1]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    label = runs.data.targets.argmax(axis=1)
    expected = -np.log(p[np.arange(50), label]).mean()
    assert losses(params, runs.data)[1] == pytest.approx(expected)
    assert errors(params, runs.data)[1] == pytest.approx((scores.argmax(axis=1) != label).mean())
    params, _ = train(Adam(0.02), runs, 100, {})
    assert errors(params, runs.data).max() < 0.1 and losses(params, runs.data).max() < 0.5
    params = runs.start
    found, layer = network_scores(params, runs.data.pixels)
    assert np.allclose(found[1], scores) and np.allclose(layer[1], hidden)


def test_large_scores_do_not_overflow_and_a_diverged_run_has_no_error():
    runs = small()
    large = {name: 1e4 * leaf for name, leaf in runs.start.items()}
    assert np.isfinite(losses(large, runs.data)).all()
    params = runs.start
    params["b2"][1, 0, 3] = np.inf
    found = errors(params, runs.data)
    assert np.isfinite(found[0]) and np.isnan(found[1])


@pytest.mark.parametrize(
    "method",
    [SGD(0.3), Adam(0.01), Nadam(0.01), Nesterov(0.1), L2(Adam(0.01), 1e-3),
     Groups(Adam(0.01), {"b*": {"lr": 0.1}}), Adam(lambda t: 0.1 / t)],
    ids=lambda method: type(method).__name__,
)  # fmt: skip
def test_many_runs_are_each_alone(method):
    runs = small((3, 5, 4))
    together, _ = train(method, runs, 7, {})
    for run, seed in enumerate(runs.seeds):
        alone = small((seed,))
        params = alone.start
        state = method.init(params)
        for t in range(1, 8):
            method.step(params, alone.grad(params, t), state)
        for name, leaf in params.items():
            assert np.allclose(together[name][run], leaf[0], rtol=1e-11, atol=1e-13)


def test_settings_are_one_number_for_each_run_or_a_function_of_the_step():
    rates = np.array([0.1, 0.02])
    one, _ = train(Adam(), small(), 5, {"lr": rates})
    falling, _ = train(Adam(), small(), 5, {"lr": lambda t: rates / t})
    for run, rate in enumerate(rates):
        alone, _ = train(Adam(rate), small((small().seeds[run],)), 5, {})
        lower, _ = train(Adam(lambda t: rate / t), small((small().seeds[run],)), 5, {})  # noqa: B023
        for name in alone:
            assert np.allclose(one[name][run], alone[name][0], rtol=1e-10)
            assert np.allclose(falling[name][run], lower[name][0], rtol=1e-10)


def test_watch_sees_the_parameters_every_so_many_steps():
    last, seen = train(SGD(0.1), small(), 6, {}, lambda params: params["W1"].copy(), every=3)
    assert len(seen) == 2 and np.array_equal(seen[1], last["W1"])
    third, none = train(SGD(0.1), small(), 3, {})
    assert np.array_equal(seen[0], third["W1"]) and none == []


def test_float32_stays_float32():
    data, _, _ = three_splits()
    runs = Networks(data, (0, 1), 8)
    settings = {"lr": np.array([0.1, 0.2]), "weight_decay": np.array([1e-3, 1e-4])}
    params, _ = train(L2(Adam(), 0.0), runs, 3, settings)
    assert {leaf.dtype.name for leaf in params.values()} == {"float32"}
    assert errors(params, data).shape == losses(params, data).shape == (2,)


def test_a_method_that_looks_across_runs_is_refused():
    with pytest.raises(TypeError, match="Clipped looks at all gradients before a step"):
        train(Clipped(SGD(0.1), max_norm=1.0), small(), 1, {})


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="SGD does not ask for 'beta1'; it asks for lr"):
        train(SGD(0.1), small(), 1, {"beta1": np.zeros(2)})
    with pytest.raises(ValueError, match=r"lr: expected one number for each of 2 runs, got .*3"):
        train(SGD(0.1), small(), 1, {"lr": np.zeros(3)})


def test_progress_hands_on_the_steps_with_and_without_tqdm(monkeypatch):
    assert list(progress(range(3), "a")) == [0, 1, 2]
    asked = {}
    monkeypatch.setattr("tqdm.tqdm", lambda steps, **options: asked.update(options) or steps)
    assert list(progress(range(3), "a")) == [0, 1, 2] and asked == {"desc": "a", "leave": False}
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    assert list(progress(range(3), "a")) == [0, 1, 2]


def test_the_interval_is_students():
    from scipy.stats import ttest_1samp

    values = np.random.default_rng(0).standard_normal(7) + 0.4
    mean, half = interval(values)
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((low, high))
    low, high = ttest_1samp(values, 0).confidence_interval(0.8)
    assert interval(values, 0.8)[1] == pytest.approx((high - low) / 2)
    with pytest.raises(ValueError, match="at least 2 seeds"):
        interval([1.0])


@pytest.mark.parametrize(
    "differences, expected",
    [([1.0, 1.1, 0.9], "agrees"), ([-1.0, -1.1, -0.9], "does not"), ([1, -1, 0.5], "cannot be told"),
     ([0.0, 0.0], "cannot be told")],
)  # fmt: skip
def test_a_verdict_needs_an_interval_on_one_side_of_zero(differences, expected):
    assert verdict(differences) == expected
