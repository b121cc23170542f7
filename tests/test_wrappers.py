"""Wrappers: what the rule inside gets to see, who is asked before a step, and which leaves are different."""

import copy
import math
import pickle
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from cases import differing, random_like

from adam_tutorial import (
    L2,
    SGD,
    Adam,
    Clipped,
    Groups,
    Guarded,
    MasterWeights,
    Maximize,
    Momentum,
    Optimizer,
    State,
    Wrapper,
    executors,
)
from adam_tutorial.trees import Array, Tree, leaves, map_leaves
from adam_tutorial.wrappers import all_finite, global_norm, settings_of, with_settings

PARAMS = {"layer": {"w": np.ones((3, 2)), "bias": np.ones(2)}, "scale": np.ones(())}
both_ways = pytest.mark.parametrize("method", ["step", "update"])


@dataclass(frozen=True)
class Seen(Optimizer):
    """Moves every parameter to the gradient that its rule saw; remembers the greatest length so far."""

    factor: float = 1.0

    @staticmethod
    def rule(theta: Any, g: Any, *, factor: float) -> tuple[Any]:
        return (0 * theta + factor * g,)


@dataclass(frozen=True)
class Longest(SGD):
    """SGD that looks at all gradients: its scalars hold their length, and the greatest so far."""

    lr: float = 0.5  # type: ignore[assignment]

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        norm = global_norm(grads)
        return {"norm": norm, "longest": max(norm, state.scalars.get("longest", 0.0))}

    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float, longest: float) -> tuple[Any]:
        return (theta - lr * g / longest,)


def taken(
    method: Optimizer, params: Tree, grads: list[Tree], way: str = "step"
) -> tuple[Tree, State]:
    """Parameters and state after a step for each of `grads`, the arguments left alone."""
    params = map_leaves(lambda leaf: np.array(leaf), params)
    state = method.init(params)
    for g in grads:
        if way == "step":
            method.step(params, g, state)
        else:
            params, state = method.update(params, g, state)
    return params, state


def seen(method: Optimizer, theta: Any, g: Any) -> Any:
    return taken(method, np.asarray(theta, float), [np.asarray(g, float)])[0].tolist()


# --- what the rule sees


def test_l2_adds_the_decay_times_the_parameter() -> None:
    assert seen(L2(Seen(), weight_decay=0.25), [4.0, -8.0], [1.0, 1.0]) == [2.0, -1.0]


def test_maximize_turns_the_gradient_round() -> None:
    assert seen(Maximize(Seen()), [4.0, 4.0], [1.0, -3.0]) == [-1.0, 3.0]


def test_the_outer_wrapper_sees_the_gradient_first() -> None:
    assert seen(Maximize(L2(Seen(), weight_decay=0.5)), [2.0], [8.0]) == [-7.0]
    assert seen(L2(Maximize(Seen()), weight_decay=0.5), [2.0], [8.0]) == [-9.0]
    assert seen(Clipped(L2(Seen(), 1.0), max_norm=4.0), [2.0], [8.0]) == [6.0]
    assert seen(L2(Clipped(Seen(), 4.0), weight_decay=1.0), [2.0], [8.0]) == [4.0]


def test_a_schedule_of_the_decay_is_asked_once_a_step() -> None:
    asked: list[int] = []

    def decay(t: int) -> float:
        asked.append(t)
        return float(t)

    params, _ = taken(L2(Seen(), weight_decay=decay), np.ones(1), [np.zeros(1)] * 3)
    assert asked == [1, 2, 3] and params.tolist() == [6.0]


def test_a_wrapper_of_ones_own_is_one_short_function() -> None:
    class Signs(Wrapper):
        @staticmethod
        def gradient(theta: Any, g: Any) -> Any:
            return np.sign(g)

    assert seen(Signs(Seen()), [1.0, 1.0, 1.0], [-3.0, 0.0, 0.5]) == [-1.0, 0.0, 1.0]


def test_the_composed_rule_is_compiled() -> None:
    method = Clipped(L2(Maximize(Adam()), 0.1), 1.0)
    params = random_like(np.zeros(executors.COMPILE_SIZE), 0, np.float32)
    state = method.init(params)
    method.step(params, params.copy(), state)
    assert isinstance(state._checked.plan.leaves[0], executors.CpuLeaf)  # type: ignore[union-attr]


@dataclass(frozen=True)
class Whole(SGD):
    """Steps as long as lr: the rule needs a leaf at once."""

    lr: float = 0.5  # type: ignore[assignment]
    elementwise = False

    @staticmethod
    def rule(theta: Any, g: Any, *, lr: float) -> tuple[Any]:
        return (theta - lr * g / np.sqrt(np.sum(g * g)),)


@both_ways
def test_a_wrapper_around_a_rule_of_whole_leaves_needs_whole_leaves(method: str) -> None:
    wrapped = Maximize(Clipped(Whole(), max_norm=1.0))
    assert not wrapped.elementwise and Maximize(SGD(0.1)).elementwise
    theta, g = np.zeros(2 * executors.SLICE), np.ones(2 * executors.SLICE)
    new, state = taken(wrapped, theta, [g], method)
    assert np.all(new == 0.5 / 256) and state.clip == 1 / 256
    assert "it needs whole leaves" in executors.explain(wrapped, theta, wrapped.init(theta))


@pytest.mark.parametrize("inner", [Whole(), Maximize(Whole())], ids=["Whole", "Maximize"])
def test_groups_of_a_method_of_whole_leaves_are_refused(inner: Any) -> None:
    with pytest.raises(TypeError, match=f"^inner: {type(inner).__name__} needs whole leaves"):
        Groups(inner, {"*": {"lr": 0.1}})


# --- clipping


@pytest.mark.parametrize("way", ["step", "update"])
def test_the_length_is_that_of_all_leaves(way: str) -> None:
    params = {"a": np.zeros(1), "b": np.zeros((1, 1))}
    g = {"a": np.array([6.0]), "b": np.array([[8.0]])}
    new, state = taken(Clipped(Seen(), max_norm=5.0), params, [g], way)
    assert new["a"].tolist() == [3.0] and new["b"].tolist() == [[4.0]]
    assert state.clip == 0.5


@pytest.mark.parametrize("length", [0.0, 0.25, 1.0])
def test_a_gradient_within_the_limit_is_not_touched(length: float) -> None:
    g = np.array([0.6, -0.8]) * length
    new, state = taken(Clipped(Seen(), max_norm=1.0), np.zeros(2), [g])
    assert new.tolist() == g.tolist() and state.clip == 1.0


SCALES = [1e-320, 1e-200, 1e-160, 1e-155, 1e-30, 1.0, 1e30, 1e200, 1e307]


@pytest.mark.parametrize("scale", SCALES)
def test_the_length_neither_overflows_nor_underflows(scale: float) -> None:
    tree = [np.array([2.0, 4.0]) * scale, np.array(4.0) * scale]
    rounding = 1e-3 if scale < 1e-300 else 1e-15
    assert global_norm(tree) == pytest.approx(6 * scale, rel=rounding, abs=0)


def test_many_squares_too_small_to_be_exact_are_not_added_as_they_are() -> None:
    g = np.full(10**6, 3e-157)  # a square has 10 bits left, and their sum is no small number
    assert global_norm(g) == pytest.approx(3e-154, rel=1e-12, abs=0)


def test_where_the_squares_fit_the_length_is_the_root_of_their_sum() -> None:
    for seed in range(20):
        g = random_like(np.zeros(7), seed)
        assert global_norm(g) == math.sqrt(np.sum(g * g))


def test_a_length_beyond_every_float_still_clips() -> None:
    g = np.full(4, 1.7e308)
    assert global_norm(g) == np.finfo(float).max
    new, _ = taken(Clipped(Seen(), max_norm=1e10), np.zeros(4), [g])
    assert np.all(new > 9e9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_length_is_added_in_float64(dtype: Any) -> None:
    g = np.full(300, np.finfo(dtype).max)
    assert global_norm(g) == pytest.approx(float(np.finfo(dtype).max) * math.sqrt(300), rel=1e-15)


def test_the_length_of_nothing_is_0() -> None:
    assert global_norm({}) == global_norm([np.zeros(0)]) == global_norm(np.zeros(3)) == 0.0


def test_entries_that_are_not_finite_show_in_the_length() -> None:
    assert global_norm([np.array([1.0, -np.inf]), np.ones(2)]) == np.inf
    assert math.isnan(global_norm([np.array([np.nan, 1.0]), np.ones(2)]))
    assert math.isnan(global_norm([np.array([np.nan, np.inf])]))


def test_an_infinite_gradient_stops_the_finite_entries() -> None:
    with np.errstate(invalid="ignore"):
        new, state = taken(Clipped(Seen(), 1.0), np.ones(2), [np.array([np.inf, 7.0])])
    assert state.clip == 0.0 and math.isnan(new[0]) and new[1] == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_clipping_is_torchs_up_to_its_1e_6(seed: int) -> None:
    torch = pytest.importorskip("torch")
    tree = random_like({"a": np.zeros((3, 4)), "b": np.zeros(5)}, seed)
    new, _ = taken(Clipped(Seen(), max_norm=0.5), tree, [tree])
    tensors = [
        torch.nn.Parameter(torch.zeros(leaf.shape, dtype=torch.float64)) for leaf in leaves(tree)
    ]
    for tensor, leaf in zip(tensors, leaves(tree), strict=True):
        tensor.grad = torch.from_numpy(leaf.copy())
    norm = float(torch.nn.utils.clip_grad_norm_(tensors, 0.5))
    for tensor, leaf in zip(tensors, leaves(new), strict=True):
        np.testing.assert_allclose(tensor.grad.numpy() * (norm + 1e-6) / norm, leaf, rtol=1e-13)


@pytest.mark.parametrize("limit", [-1.0, math.inf, math.nan])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="^max_norm must be finite and not negative"):
        Clipped(SGD(1.0), max_norm=limit)


def test_a_limit_of_0_stops_everything() -> None:
    new, _ = taken(Clipped(SGD(1.0), max_norm=0.0), np.ones(2), [np.ones(2), np.zeros(2)])
    assert new.tolist() == [1.0, 1.0]


# --- gradients that are not finite

BAD = {
    "layer": {"w": np.array([[0, np.nan], [0, 0], [np.inf, 0]]), "bias": np.zeros(2)},
    "scale": np.array(-np.inf),
}


@both_ways
def test_a_guard_raises_and_names_the_leaves_and_changes_nothing(method: str) -> None:
    guarded = Guarded(Adam(0.1))
    params, state = taken(guarded, PARAMS, [random_like(PARAMS, 0)])
    before = copy.deepcopy([params, state.slots, state.t, state.scalars])
    with pytest.raises(
        FloatingPointError, match=r"^step 2: .*params/layer/w \(2 of 6\), params/scale \(1 of 1\)\."
    ):
        getattr(guarded, method)(params, BAD, state)
    assert differing([params, state.slots, state.t, state.scalars], before) == []


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (
            "abc",
            r"not all gradients are finite: params/a \(1 of 1\), params/b .*, params/c [^,]*\)\.",
        ),
        ("abcd", r"params/a .*, params/b .*, params/c \(1 of 1\) and 1 more leaves\."),
        ("abcde", r"params/a .*, params/b .*, params/c \(1 of 1\) and 2 more leaves\."),
    ],
)
def test_a_guard_names_three_leaves_and_counts_the_others(bad: str, words: str) -> None:
    params = {name: np.ones(1) for name in "abcdef"}
    grads = {name: np.full(1, np.nan if name in bad else 1.0) for name in params}
    with pytest.raises(FloatingPointError, match=words):
        Guarded(SGD(0.1)).update(params, grads, SGD(0.1).init(params))


@both_ways
def test_a_skipped_step_changes_nothing_but_its_count(method: str) -> None:
    guarded = Guarded(Adam(0.1), nonfinite="skip")
    good = [random_like(PARAMS, seed) for seed in (0, 1, 2)]
    hit, state = taken(guarded, PARAMS, [good[0], BAD, good[1], BAD, good[2]], method)
    params, other = taken(Adam(0.1), PARAMS, good)
    assert differing([hit, state.slots], [params, other.slots]) == []
    assert state.t == 3 and state.skipped == 2


def test_a_skipped_update_returns_arrays_of_their_own() -> None:
    guarded = Guarded(Adam(0.1), nonfinite="skip")
    state = guarded.init(PARAMS)
    params, new = guarded.update(PARAMS, BAD, state)
    assert new is not state and state.scalars == {} and new.scalars == {"skipped": 1}
    for one, other in zip(leaves([params, new.slots]), leaves([PARAMS, state.slots]), strict=True):
        assert not np.shares_memory(one, other) and differing(one, other) == []


def test_propagate_does_not_look(monkeypatch: Any) -> None:
    monkeypatch.delattr("adam_tutorial.wrappers.all_finite")
    guarded = Guarded(SGD(0.5), nonfinite="propagate")
    new, state = taken(guarded, np.ones(2), [np.array([np.nan, 1.0])])
    assert math.isnan(new[0]) and new[1] == 0.5 and state.scalars == {}


def test_a_policy_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="nonfinite must be one of .*'raise'.*got 'ignore'"):
        Guarded(SGD(0.1), nonfinite="ignore")


def test_finite_is_asked_of_every_leaf() -> None:
    assert all_finite(PARAMS) and all_finite({}) and all_finite([np.zeros(0)])
    assert not all_finite(BAD) and not all_finite([np.ones(2), np.array(np.inf)])


@pytest.mark.parametrize(
    "method",
    [
        Guarded(Clipped(Adam(0.1), 1.0), "skip"),
        Clipped(Guarded(Adam(0.1), "skip"), 1.0),
        L2(Guarded(Adam(0.1), "skip"), 0.0),
        Groups(Guarded(Adam(0.1), "skip"), {"scale": {"lr": 0.2}}),
    ],
    ids=lambda method: type(method).__name__,
)
def test_a_guard_works_at_any_place(method: Any) -> None:
    with np.errstate(invalid="ignore"):
        params, state = taken(method, PARAMS, [BAD])
    assert differing(params, PARAMS) == [] and state.t == 0
    assert sum(n for name, n in state.scalars.items() if name.startswith("skipped")) == 1


# --- who prepares, and from what


@pytest.mark.parametrize(
    ("wrap", "length"),
    [(Maximize, 5.0), (lambda m: L2(m, 1.0), 41**0.5), (lambda m: Clipped(m, 2.5), 2.5)],
)
@both_ways
def test_what_is_inside_prepares_from_the_gradient_that_its_rule_sees(
    method: str, wrap: Any, length: float
) -> None:
    _, state = taken(wrap(Longest()), np.ones(2), [np.array([3.0, 4.0])], method)
    assert state.norm == pytest.approx(length, rel=1e-15)


@pytest.mark.parametrize(
    "wrap", [Maximize, lambda m: L2(m, 1.0), lambda m: Clipped(m, 9.0), Guarded]
)
def test_what_is_inside_prepares_from_the_parameters_too(wrap: Any) -> None:
    class Far(Longest):
        def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
            return {"norm": global_norm(params), "longest": global_norm(grads)}

    _, state = taken(wrap(Far()), np.array([5.0, 12.0]), [np.array([0.0, 0.5])])
    assert state.norm == 13.0 and state.longest != 13.0


def test_what_is_inside_prepares_with_the_decay_of_its_step() -> None:
    method = L2(Longest(lr=0.0), weight_decay=lambda t: float(t))
    for steps, norm in ((1, 5.0), (2, 7.0), (3, 9.0)):
        _, state = taken(method, np.array([2.0]), [np.array([3.0])] * steps)
        assert state.norm == norm  # 3 + 2 t


def test_no_gradient_is_changed_for_a_method_that_prepares_nothing() -> None:
    calls = []

    class Counting(Wrapper):
        @staticmethod
        def gradient(theta: Any, g: Any) -> Any:
            calls.append(g)
            return g

    method = Counting(Maximize(SGD(1.0)))
    method.update(np.ones(2), np.ones(2), method.init(np.ones(2)))
    assert len(calls) == 1


def test_scalars_of_the_step_before_reach_what_is_inside() -> None:
    gs = [np.array([3.0, 4.0]), np.array([0.0, 1.0])]
    _, state = taken(Maximize(L2(Clipped(Longest(), 4.0), 0.0)), np.zeros(2), gs)
    assert state.norm == 1.0 and state.longest == 4.0 and state.clip == 1.0


# --- groups


def test_the_first_selector_that_fits_decides() -> None:
    groups: Any = {"*/bias": {"factor": 2.0}, 1: {"factor": 3.0}, "layer/*": {"factor": 5.0}}
    new, _ = taken(Groups(Seen(), groups), PARAMS, [map_leaves(np.ones_like, PARAMS)])
    assert new["layer"]["bias"].tolist() == [2.0, 2.0]
    assert np.all(new["layer"]["w"] == 5.0) and new["scale"] == 1.0


def test_a_selector_is_a_pattern_a_number_of_dimensions_or_a_function() -> None:
    def small(path: str, leaf: Array) -> bool:
        return bool(leaf.size == 2) and path == "layer/bias"

    chosen: list[tuple[Any, str]] = [("scale", "scale"), (0, "scale"), (2, "w"), (small, "bias")]
    for selector, name in chosen:
        new, _ = taken(
            Groups(Seen(), {selector: {"factor": 7.0}}), PARAMS, [map_leaves(np.ones_like, PARAMS)]
        )
        values = {**new["layer"], "scale": new["scale"]}
        assert {key for key, leaf in values.items() if np.all(leaf == 7.0)} == {name}


@both_ways
def test_each_group_moves_as_it_would_alone(method: str) -> None:
    grads = [random_like(PARAMS, seed) for seed in range(5)]
    inner = L2(Adam(lambda t: 0.1 / t, eps=1e-3), weight_decay=0.3)
    settings = {"lr": 0.02, "weight_decay": 0.0, "beta1": 0.5}
    new, state = taken(Groups(inner, {1: settings}), PARAMS, grads, method)
    plain, _ = taken(inner, PARAMS, grads)
    bias, other = taken(
        with_settings(inner, settings),
        {"b": PARAMS["layer"]["bias"]},
        [{"b": g["layer"]["bias"]} for g in grads],
    )  # type: ignore[index]
    assert differing(new["layer"]["bias"], bias["b"]) == []
    assert differing([new["layer"]["w"], new["scale"]], [plain["layer"]["w"], plain["scale"]]) == []
    assert differing(state.m["layer"]["bias"], other.m["b"]) == [] and state.t == 5


def test_a_limit_outside_is_for_all_leaves_and_inside_for_each_group() -> None:
    params, g = {"a": np.zeros(1), "b": np.zeros(1)}, {"a": np.array([3.0]), "b": np.array([4.0])}
    outside, _ = taken(Clipped(Groups(Seen(), {"b": {"factor": 10.0}}), 2.5), params, [g])
    assert [outside["a"][0], outside["b"][0]] == [1.5, 20.0]
    inside, state = taken(Groups(Clipped(Seen(), 2.5), {"b": {"max_norm": 2.0}}), params, [g])
    assert [inside["a"][0], inside["b"][0]] == [2.5, 2.0]
    assert state.scalars == {"clip[0]": 2.5 / 3.0, "clip[1]": 0.5}


def test_the_running_numbers_of_a_group_are_its_own() -> None:
    params = {"a": np.zeros(1), "b": np.zeros(1)}
    grads = [
        {"a": np.array([a]), "b": np.array([b])} for a, b in ((8.0, 1.0), (2.0, 4.0), (1.0, 2.0))
    ]
    new, state = taken(Groups(Longest(), {"b": {"lr": 1.0}}), params, grads)
    assert state.scalars == {"norm[0]": 1.0, "longest[0]": 8.0, "norm[1]": 2.0, "longest[1]": 4.0}
    assert new["a"].tolist() == [-0.5 * (1 + 2 / 8 + 1 / 8)]
    assert new["b"].tolist() == [-(1 + 1 + 2 / 4)]


def test_groups_are_compiled_and_packed_leaf_by_leaf() -> None:
    params = random_like({"a": np.zeros(executors.COMPILE_SIZE), "b": np.zeros(9)}, 0)
    method = Groups(Adam(), {"b": {"lr": 0.1}})
    state = method.init(params)
    method.step(params, random_like(params, 1), state)
    assert executors.explain(method, params, state).count("\n") == 1
    assert len(state._checked.plan.groups) == 2  # type: ignore[union-attr]


@both_ways
def test_a_bad_number_of_one_group_changes_nothing_in_another(method: str) -> None:
    late = {"scale": {"lr": lambda t: -1.0 if t == 2 else 1.0}}
    groups = Groups(SGD(0.1), late)
    params, state = taken(groups, PARAMS, [random_like(PARAMS, 0)])
    before = copy.deepcopy([params, state.t])
    with pytest.raises(ValueError, match="lr at step 2 must be finite and not negative, got -1"):
        getattr(groups, method)(params, random_like(PARAMS, 1), state)
    assert differing([params, state.t], before) == []


def test_the_metric_of_groups_is_that_of_each() -> None:
    groups = Groups(Adam(0.5), {1: {"lr": 0.25}})
    grads = random_like(PARAMS, 0)
    _, state = taken(groups, PARAMS, [grads])
    h = groups.metric(state)
    np.testing.assert_allclose(h["layer"]["w"], (np.abs(grads["layer"]["w"]) + 1e-8) / 0.5)
    np.testing.assert_allclose(h["layer"]["bias"], (np.abs(grads["layer"]["bias"]) + 1e-8) / 0.25)


def test_a_metric_that_is_one_number_fills_the_leaves_of_its_group() -> None:
    groups = Groups(Momentum(0.5), {1: {"lr": 0.25}})
    h = groups.metric(taken(groups, PARAMS, [PARAMS])[1])
    assert np.all(h["layer"]["w"] == 2.0) and h["layer"]["bias"].tolist() == [4.0, 4.0]
    assert h["scale"] == 2.0


def test_the_gradients_of_a_group_are_found_by_name() -> None:
    params = {"a": np.zeros(1), "b": np.zeros(1)}
    turned = {"b": np.array([4.0]), "a": np.array([3.0])}
    state = taken(Groups(Longest(), {"b": {"lr": 1.0}}), params, [turned])[1]
    assert state.scalars == {"norm[0]": 3.0, "longest[0]": 3.0, "norm[1]": 4.0, "longest[1]": 4.0}


def test_leaves_with_one_path_are_kept_apart() -> None:
    params = {"a/b": np.full(1, 3.0), "a": {"b": np.full(1, 5.0)}}
    groups = Groups(Adam(0.5, eps=0), {"a/*": {"lr": 0.25}})
    _, state = groups.update(params, params, groups.init(params))
    assert [h.item() for h in leaves(groups.metric(state))] == [12.0, 20.0]


def test_groups_without_slots_have_no_metric() -> None:
    groups = Groups(SGD(0.5), {1: {"lr": 0.25}})
    with pytest.raises(TypeError, match="which leaves form groups"):
        groups.metric(groups.init(PARAMS))


@pytest.mark.parametrize("call", ["init", "update"])
def test_a_selector_that_fits_no_leaf_is_refused_and_the_leaves_are_named(call: str) -> None:
    groups = Groups(SGD(0.5), {"*/bais": {"lr": 0.25}})
    with pytest.raises(
        ValueError, match=r"'\*/bais' fits no leaf\. The leaves are layer/w, layer/bias, scale"
    ):
        groups.init(PARAMS) if call == "init" else groups.update(
            PARAMS, PARAMS, SGD(1.0).init(PARAMS)
        )


def test_a_selector_in_the_shadow_of_another_is_no_mistake() -> None:
    Groups(SGD(0.5), {"*": {"lr": 0.25}, "scale": {"lr": 1.0}}).init(PARAMS)


def test_an_empty_tree_has_no_leaf_to_fit() -> None:
    assert taken(Groups(Adam(), {"*/b": {"lr": 1.0}}), {}, [{}])[1].t == 1


def test_wrong_groups_are_refused_when_they_are_made() -> None:
    with pytest.raises(
        ValueError, match=r"group 'w': Adam has no hyper-parameter 'lrr'; it has lr, beta1"
    ):
        Groups(Adam(), {"w": {"lrr": 0.1}})
    with pytest.raises(
        ValueError, match=r"group 1: beta1 must be at least 0 and below 1, got 1\.5"
    ):
        Groups(Adam(), {1: {"beta1": 1.5}})
    with pytest.raises(TypeError, match=r"a selector is a pattern.*got 1\.5"):
        Groups(Adam(), {1.5: {}})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match=r"a selector is a pattern.*got True"):
        Groups(Adam(), {True: {}})
    with pytest.raises(TypeError, match="expected one dict"):
        Groups(Adam(), [("w", {})])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not one in another"):
        Groups(L2(Groups(Adam(), {}), 0.1), {})


def test_eps_of_a_group_is_checked_for_its_own_leaves() -> None:
    params = {"a": np.ones(2, np.float32), "b": np.ones(2)}
    Groups(Adam(), {"b": {"eps": 1e-60}}).init(params)
    with pytest.raises(ValueError, match="params/a: eps = 1e-60 rounds to 0 in float32"):
        Groups(Adam(), {"a": {"eps": 1e-60}}).init(params)


def test_torchs_own_groups_take_the_place_of_ours() -> None:
    torch = pytest.importorskip("torch")
    from adam_tutorial.torch_adapter import TorchOptimizer

    with pytest.raises(TypeError, match="torch has parameter groups of its own"):
        TorchOptimizer([torch.zeros(2)], Clipped(Groups(Adam(), {}), 1.0))


# --- settings


NESTED = Clipped(L2(Adam(lr=0.1), weight_decay=0.2), max_norm=3.0)


def test_settings_are_found_by_name_in_whatever_wrapper() -> None:
    assert settings_of(NESTED) == {"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.2, "max_norm": 3.0}  # fmt: skip
    changed = with_settings(NESTED, {"lr": 0.5, "weight_decay": 0.0})
    assert changed == Clipped(L2(Adam(lr=0.5), weight_decay=0.0), max_norm=3.0)
    assert with_settings(NESTED, {}) == NESTED


def test_a_setting_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="Clipped has no hyper-parameter 'momentum'; it has lr"):
        with_settings(NESTED, {"momentum": 0.9})


def test_two_settings_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="L2 has weight_decay already"):
        L2(L2(SGD(0.1), 0.1), 0.1)
    with pytest.raises(TypeError, match="Maximize has max_norm already"):
        Clipped(Maximize(Clipped(SGD(0.1), 1.0)), 2.0)


@pytest.mark.parametrize("inner", [None, Adam, 0.1])
def test_what_is_no_optimizer_is_refused(inner: Any) -> None:
    with pytest.raises(TypeError, match="^inner: expected an optimizer"):
        Maximize(inner)


def test_hyper_is_that_of_all_layers() -> None:
    assert L2(SGD(lambda t: t), 0.5).hyper(3) == {"t": 3, "lr": 3.0, "weight_decay": 0.5}
    assert NESTED.hyper(2) == {"t": 2, "lr": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.2, "max_norm": 3.0}  # fmt: skip


def test_wrappers_are_values() -> None:
    assert pickle.loads(pickle.dumps(NESTED)) == NESTED == copy.deepcopy(NESTED)
    grouped = Groups(NESTED, {"w": {"lr": 0.3}})
    assert pickle.loads(pickle.dumps(grouped)) == grouped != Groups(NESTED, {"w": {"lr": 0.4}})
    assert hash(grouped) == hash(Groups(NESTED, {"w": {"lr": 0.3}}))


@pytest.mark.parametrize(
    "make",
    [
        lambda m: MasterWeights(Groups(m, {"a": {"lr": 0.5}})),
        lambda m: Groups(MasterWeights(m), {"a": {"lr": 0.5}}),
    ],
)
def test_master_weights_and_groups_go_around_each_other(make: Any) -> None:
    params = {"a": np.ones(3, np.float16), "b": np.ones(3, np.float16)}
    new, state = taken(make(Adam(0.25)), params, [map_leaves(np.ones_like, params)])
    assert np.all(new["a"] == 0.5) and np.all(new["b"] == 0.75)
    assert state.slots["master"]["a"].dtype == np.float32


def test_another_rate_is_another_method_with_the_same_state() -> None:
    gs = [random_like(np.zeros(3), seed) for seed in range(6)]
    planned, _ = taken(Adam(lambda t: 0.1 if t <= 3 else 0.01), np.ones(3), gs)
    theta, adam = np.ones(3), Adam(0.1)
    state = adam.init(theta)
    for t, g in enumerate(gs, start=1):
        adam = replace(adam, lr=0.01) if t == 4 else adam
        adam.step(theta, g, state)
    assert differing(theta, planned) == [] and adam.hyper(state.t + 1)["lr"] == 0.01


def test_a_group_has_a_dict_of_settings():
    with pytest.raises(TypeError, match=r"group 'b': expected a dict of settings, .*got 0.0"):
        Groups(Adam(), {"b": 0.0})
