"""What every optimizer promises: one rule, two ways to run it, and refusals that change nothing."""

import copy
import pickle
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cases import CASES, Case, differing, random_like

from adam_tutorial import SGD, SLICE, Adam, AdamHat, Optimizer, State
from adam_tutorial.trees import Array, Tree, leaves, map_leaves

Pair = namedtuple("Pair", "weight bias")
NESTED = {
    "encoder": [np.zeros((3, 4)), (np.zeros(()), np.zeros(0))],
    "head": Pair(np.zeros((2, 1, 2)), np.zeros(SLICE + 1)),
}
TREES = {
    "empty": np.zeros(0),
    "one": np.zeros(1),
    "0-d": np.zeros(()),
    "below a slice": np.zeros(SLICE - 1),
    "a slice": np.zeros(SLICE),
    "above a slice": np.zeros(SLICE + 1),
    "a million": np.zeros(10**6),
    "matrix": np.zeros((300, 400)),
    "nested": NESTED,
    "no leaves": {},
}
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_tree = pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
halves = pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
WITH_SLOTS = [case for case in CASES if case.make().slots]
each_case_with_slots = pytest.mark.parametrize("case", WITH_SLOTS, ids=str)
ALONE = [case for case in CASES if not case.across]
each_case_alone = pytest.mark.parametrize("case", ALONE, ids=str)
UNPULLED = [case for case in CASES if not case.pulls]
each_case_unpulled = pytest.mark.parametrize("case", UNPULLED, ids=str)
WITH_EPS = [case for case in CASES if hasattr(case.make(), "eps")]
each_unpulled_case_with_eps = pytest.mark.parametrize(
    "case", [case for case in WITH_EPS if not case.pulls], ids=str
)
each_case_with_eps = pytest.mark.parametrize("case", WITH_EPS, ids=str)


def copied(tree: Tree) -> Tree:
    return map_leaves(lambda leaf: leaf.copy(), tree)


def everything(params: Tree, state: State) -> Tree:
    """All that a step changes, as one tree."""
    return copy.deepcopy([params, state.slots, state.t, state.scalars])


def after(optimizer: Optimizer, params: Tree, grads: list[Tree]) -> Tree:
    """All that steps in place have made of a copy of `params`."""
    params = copied(params)
    state = optimizer.init(params)
    for g in grads:
        optimizer.step(params, g, state)
    return everything(params, state)


def after_updates(optimizer: Optimizer, params: Tree, grads: list[Tree]) -> Tree:
    """All that pure updates make of `params`."""
    state = optimizer.init(params)
    for g in grads:
        params, state = optimizer.update(params, g, state)
    return everything(params, state)


# --- step is update


@each_dtype
@each_tree
@each_case
def test_step_is_update_bit_for_bit(case: Case, tree: Tree, dtype: Any) -> None:
    params = random_like(tree, 0, dtype)
    grads = [random_like(tree, seed, dtype) for seed in (1, 2, 3)]
    stepped = after(case.make(), params, grads)
    assert differing(stepped, after_updates(case.make(), params, grads)) == []
    assert stepped[2] == 3


@each_case
def test_every_entry_of_every_leaf_moves(case: Case) -> None:
    before, grads = random_like(NESTED, 0), random_like(NESTED, 1)
    now = after(case.make(), before, [grads])[0]
    moved = map_leaves(lambda a, b: np.all(a != b), before, now)
    assert all(leaves(moved))


@each_case_alone
def test_slices_give_the_bits_of_one_coordinate_at_a_time(case: Case) -> None:
    params, grads = (random_like(TREES["above a slice"], 0), random_like(TREES["above a slice"], 1))
    whole = after(case.make(), params, [grads, grads])[0]
    for i in (0, SLICE - 1, SLICE):
        alone = after(case.make(), params[i : i + 1], [grads[i : i + 1]] * 2)[0]
        assert whole[i] == alone[0]


@each_case
def test_gradients_are_matched_by_key(case: Case) -> None:
    params, grads = random_like(NESTED, 0), random_like(NESTED, 1)
    turned = OrderedDict(reversed(grads.items()))
    assert (
        differing(after(case.make(), params, [grads]), after(case.make(), params, [turned])) == []
    )
    assert (
        differing(
            after_updates(case.make(), params, [grads]),
            after_updates(case.make(), params, [turned]),
        )
        == []
    )


@each_case
def test_update_keeps_the_kinds_of_the_branches(case: Case) -> None:
    params = random_like(NESTED, 0)
    new, state = case.make().update(params, params, case.make().init(params))
    for tree in (new, *state.slots.values()):
        assert type(tree) is dict and list(tree) == ["encoder", "head"]
        assert type(tree["encoder"]) is list and type(tree["encoder"][1]) is tuple
        assert type(tree["head"]) is Pair


@each_case
def test_update_leaves_its_arguments_alone(case: Case) -> None:
    optimizer = case.make()
    params, grads = random_like(NESTED, 0), random_like(NESTED, 1)
    params, state = optimizer.update(params, grads, optimizer.init(params))
    before = everything([params, grads], state)
    optimizer.update(params, grads, state)
    assert differing(everything([params, grads], state), before) == []


@each_case
def test_update_returns_arrays_of_their_own(case: Case) -> None:
    optimizer = case.make()
    params, grads = random_like(NESTED, 0), random_like(NESTED, 1)
    state = optimizer.init(params)
    new, new_state = optimizer.update(params, grads, state)
    old = leaves([params, grads, state.slots])
    for array in leaves([new, new_state.slots]):
        assert not any(np.shares_memory(array, other) for other in old)


@each_case
def test_step_returns_none_and_keeps_the_arrays(case: Case) -> None:
    params = random_like(NESTED, 0)
    state = case.make().init(params)
    before = leaves([params, state.slots])
    assert case.make().step(params, random_like(NESTED, 1), state) is None
    assert all(a is b for a, b in zip(before, leaves([params, state.slots]), strict=True))


@each_case
def test_0d_leaves_stay_0d_arrays(case: Case) -> None:
    theta = np.array(1.0)
    new, state = case.make().update(theta, np.array(0.5), case.make().init(theta))
    for leaf in leaves([new, state.slots]):
        assert type(leaf) is np.ndarray and leaf.shape == ()


STRIDES: dict[str, Callable[[Array], Array]] = {
    "Fortran-ordered": np.asfortranarray,
    "strided": lambda g: np.repeat(g, 2, axis=1)[:, ::2],
    "reversed": lambda g: g[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda g: g.T.copy().T,
    "broadcast": lambda g: np.broadcast_to(g[0], g.shape),
    "read-only": lambda g: np.frombuffer(g.tobytes()).reshape(g.shape),
}


@pytest.mark.parametrize("view", STRIDES.values(), ids=STRIDES)
@each_case
def test_gradients_may_have_any_strides(case: Case, view: Callable[[Array], Array]) -> None:
    params, plain = random_like(TREES["matrix"], 0), random_like(TREES["matrix"], 1)
    g = view(plain)
    expected = after(case.make(), params, [np.array(g, order="C")])
    assert differing(after(case.make(), params, [g]), expected) == []
    assert differing(after_updates(case.make(), params, [g])[0], expected[0]) == []


@each_case
def test_gradients_may_share_memory_with_each_other(case: Case) -> None:
    params, g = (random_like({"a": np.zeros(5), "b": np.zeros(5)}, 0), np.arange(1.0, 7.0))
    shared = after(case.make(), params, [{"a": g[:5], "b": g[1:]}])
    apart = after(case.make(), params, [{"a": g[:5].copy(), "b": g[1:].copy()}])
    assert differing(shared, apart) == []


@each_case
def test_parameters_and_gradients_may_be_parts_of_one_vector(case: Case) -> None:
    vector = np.arange(8.0)
    params = {"a": vector[:2], "b": vector[2:4]}
    grads = {"a": vector[4:6], "b": vector[6:]}
    expected = after(case.make(), params, [copied(grads)])
    state = case.make().init(params)
    case.make().step(params, grads, state)
    assert differing(everything(params, state), expected) == []


@each_case
def test_an_empty_leaf_shares_memory_with_nothing(case: Case) -> None:
    vector, g = np.arange(1.0, 5.0), np.arange(1.0, 5.0)
    params = {"a": vector[:2], "empty": vector[2:2], "b": vector[2:]}
    grads = {"a": g[:2], "empty": vector[1:1], "b": g[2:]}
    expected = after(case.make(), params, [copied(grads)])
    state = case.make().init(params)
    case.make().step(params, grads, state)
    assert differing(everything(params, state), expected) == []


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2]])
@each_case
def test_update_takes_parameters_of_any_strides(case: Case, layout: Any) -> None:
    plain, g = random_like(np.zeros((3, 4)), 0), random_like(np.zeros((3, 4)), 1)
    new, state = case.make().update(layout(plain), g, case.make().init(layout(plain)))
    assert differing(new, after(case.make(), plain, [g])[0]) == []
    assert all(slot.flags.c_contiguous for slot in leaves(case.make().init(layout(plain)).slots))


@each_case
def test_a_memmap_is_stepped_in_its_file(case: Case, tmp_path: Any) -> None:
    plain, g = random_like(np.zeros(SLICE + 1), 0), random_like(np.zeros(SLICE + 1), 1)
    theta = np.memmap(tmp_path / "theta", dtype=np.float64, mode="w+", shape=plain.shape)
    theta[:] = plain
    case.make().step(theta, g, case.make().init(theta))
    theta.flush()
    expected = after(case.make(), plain, [g])[0]
    assert (tmp_path / "theta").read_bytes() == expected.tobytes()


@each_case
def test_a_state_serves_other_arrays_of_the_same_shape(case: Case) -> None:
    optimizer = case.make()
    params, other, g = (random_like(NESTED, seed) for seed in (0, 1, 2))
    state = optimizer.init(params)
    optimizer.step(params, g, state)
    expected, expected_state = optimizer.update(other, g, copy.deepcopy(state))
    optimizer.step(other, g, state)
    assert differing(everything(other, state), everything(expected, expected_state)) == []


# --- hyper-parameters and schedules


def values_of(name: str) -> tuple[list[Any], list[Any]]:
    """Values in the range of a hyper-parameter, and values out of it."""
    if name in ("momentum", "rho", "beta1", "beta2", "dampening"):
        return [0, 0.0, 0.5, 0.9375], [-1e-9, 1, 1.5, np.inf, np.nan]
    if name == "decay":
        return [1, 0.5, 2.0**-40], [0, -1e-9, 1.5, np.inf, np.nan]
    return [0, 0.0, 1, 2.0**40], [-1e-9, np.inf, -np.inf, np.nan]


def innermost(optimizer: Any) -> Any:
    """What a wrapper wraps: the optimizer whose fields are the hyper-parameters."""
    return innermost(optimizer.inner) if hasattr(optimizer, "inner") else optimizer


HYPER = [
    pytest.param(case, f.name, id=f"{case}-{f.name}")
    for case in CASES
    for f in fields(innermost(case.make()))
]


@pytest.mark.parametrize(("case", "name"), HYPER)
def test_a_hyper_parameter_in_its_range_is_kept_as_a_python_float(case: Case, name: str) -> None:
    for value in values_of(name)[0]:
        for given in (value, np.float32(value), np.float64(value), np.array(value)):
            kept = getattr(innermost(case.make(**{name: given})), name)
            assert type(kept) is float and kept == float(given)


@pytest.mark.parametrize(("case", "name"), HYPER)
def test_a_hyper_parameter_out_of_its_range_is_refused(case: Case, name: str) -> None:
    for value in values_of(name)[1]:
        with pytest.raises(ValueError, match=rf"^{name} must be .*{float(value)}"):
            case.make(**{name: value})


@pytest.mark.parametrize(
    "value", ["0.5", b"0.5", None, True, np.True_, [0.5], 0.5j, np.complex128(1j), np.ones(2)]
)
@pytest.mark.parametrize(("case", "name"), HYPER)
def test_a_hyper_parameter_that_is_no_number_is_refused(case: Case, name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{name} must be a number, got"):
        case.make(**{name: value})


def test_only_a_hyper_parameter_typed_as_a_schedule_takes_a_function() -> None:
    with pytest.raises(TypeError, match="^beta1 must be a number"):
        Adam(beta1=lambda t: 0.9)  # type: ignore[arg-type]


@each_case
def test_hyper_parameters_are_frozen(case: Case) -> None:
    with pytest.raises(FrozenInstanceError):
        case.make().lr = 1.0  # type: ignore[attr-defined, misc]


@each_case
def test_optimizers_with_the_same_hyper_parameters_are_equal(case: Case) -> None:
    assert case.make() == case.make() != case.make(lr=0.125)
    assert hash(case.make()) == hash(case.make())
    assert pickle.loads(pickle.dumps(case.make())) == case.make()
    assert replace(innermost(case.make()), lr=0.125) == innermost(case.make(lr=0.125))


@each_case
def test_a_schedule_is_called_once_a_step_with_t_from_1(case: Case) -> None:
    called: list[int] = []

    def schedule(t: int) -> float:
        called.append(t)
        return 0.1

    after(case.make(lr=schedule), np.ones(3), [np.ones(3)] * 3)
    after_updates(case.make(lr=schedule), np.ones(3), [np.ones(3)] * 3)
    assert called == [1, 2, 3, 1, 2, 3]
    assert all(type(t) is int for t in called)


@pytest.mark.parametrize("number", [float, np.float64, np.float32, np.array], ids=str)
@each_dtype
@each_case
def test_a_schedule_gives_the_bits_of_its_constants(case: Case, dtype: Any, number: Any) -> None:
    params = g = random_like(NESTED, 0, dtype)
    rates = [0.5, 0.25, 0.125]
    scheduled = after(case.make(lr=lambda t: number(rates[t - 1])), params, [copied(g)] * 3)
    state, theta = case.make().init(params), copied(params)
    for lr in rates:
        case.make(lr=lr).step(theta, copied(g), state)
    assert differing(scheduled, everything(theta, state)) == []
    assert all(leaf.dtype == dtype for leaf in leaves(scheduled[0]))


@pytest.mark.parametrize(
    ("value", "error"),
    [(-1.0, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("x", TypeError)]
    + [(None, TypeError), (True, TypeError), (np.ones(2), TypeError)],
)
@pytest.mark.parametrize("method", ["step", "update"])
@each_case
def test_a_bad_value_of_a_schedule_names_the_step_and_changes_nothing(
    case: Case, method: str, value: Any, error: type[Exception]
) -> None:
    optimizer = case.make(lr=lambda t: 0.1 if t < 3 else value)
    params, g = np.ones(3), np.ones(3)
    state = optimizer.init(params)
    optimizer.step(params, g, state)
    optimizer.step(params, g, state)
    before = everything(params, state)
    with pytest.raises(error, match="^lr at step 3 must be"):
        getattr(optimizer, method)(params, g, state)
    assert differing(everything(params, state), before) == []


def test_hyper_gives_the_values_of_a_step_by_name() -> None:
    adam = Adam(lr=lambda t: 1 / t)
    assert adam.hyper(4) == {"t": 4, "lr": 0.25, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


# --- the state


def first(optimizer: Any, slot: str) -> Callable[[Array], Array]:
    """What a slot begins as, from its parameter."""
    if slot == "a" and hasattr(optimizer, "initial"):
        return lambda leaf: np.full_like(leaf, optimizer.initial)
    return np.copy if slot == "master" else np.zeros_like


@each_case
def test_the_first_state_is_t_0_and_slots_of_zeros(case: Case) -> None:
    params = random_like(NESTED, 0)
    state = case.make().init(params)
    assert type(state.t) is int and state.t == 0 and state.scalars == {}
    assert state.slots.keys() == set(case.make().slots)
    for name, tree in state.slots.items():
        assert differing(map_leaves(first(case.make(), name), params), tree) == []


@each_case
def test_slots_are_attributes_of_the_state(case: Case) -> None:
    state = case.make().init(np.ones(3))
    for name in case.make().slots:
        assert getattr(state, name) is state.slots[name]
    assert not hasattr(state, "nothing")
    with pytest.raises(AttributeError, match="no slot or scalar 'nothing'"):
        state.nothing  # noqa: B018


def test_scalars_are_attributes_of_the_state() -> None:
    assert State(1, {}, {"mu_product": 0.5}).mu_product == 0.5


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda state: pickle.loads(pickle.dumps(state)),
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@each_case
def test_a_copied_state_goes_on_where_the_first_was(case: Case, duplicate: Any) -> None:
    optimizer = case.make()
    params, *grads = (random_like(NESTED, seed) for seed in range(4))
    expected = after(optimizer, params, grads)
    state = optimizer.init(params)
    optimizer.step(params, grads[0], state)
    state = duplicate(state)
    assert state.t == 1
    optimizer.step(params, grads[1], state)
    optimizer.step(params, grads[2], state)
    assert differing(everything(params, state), expected) == []


@pytest.mark.parametrize("duplicate", [COPIES["deepcopy"], COPIES["pickle"]])
@each_case
def test_a_deep_copy_of_a_state_has_arrays_of_its_own(case: Case, duplicate: Any) -> None:
    optimizer, params = case.make(), np.ones(3)
    state = optimizer.init(params)
    optimizer.step(params, np.ones(3), state)
    other = duplicate(state)
    before = everything(params.copy(), state)
    optimizer.step(params.copy(), np.ones(3), other)
    assert differing(everything(params.copy(), state), before) == []
    assert other.t == 2


@each_case
def test_copies_of_parameters_and_state_are_checked_anew(case: Case) -> None:
    optimizer, params = case.make(), np.ones(3)
    state = optimizer.init(params)
    optimizer.step(params, np.ones(3), state)
    optimizer, params, state = copy.deepcopy((optimizer, params, state))
    with pytest.raises(ValueError, match="the gradient shares memory with params"):
        optimizer.step(params, params[:], state)


# --- half precision


@halves
@each_case
def test_half_precision_is_float32_arithmetic_rounded_once(case: Case, dtype: Any) -> None:
    optimizer = case.make()
    theta, state = random_like(np.zeros(1000), 0, dtype), None
    state = wide_state = optimizer.init(theta)
    for seed in (1, 2, 3):
        g = random_like(np.zeros(1000), seed, dtype)
        wide, wide_state = optimizer.update(
            theta.astype(np.float32), g.astype(np.float32), copy.deepcopy(state)
        )
        optimizer.step(theta, g, state)
        assert differing(theta, wide.astype(dtype)) == []
        assert differing(state.slots, wide_state.slots) == []


@halves
@each_tree
@each_case
def test_step_is_update_in_half_precision(case: Case, tree: Tree, dtype: Any) -> None:
    params, g = random_like(tree, 0, dtype), random_like(tree, 1, dtype)
    stepped = after(case.make(), params, [g, g])
    assert differing(stepped, after_updates(case.make(), params, [g, g])) == []
    assert all(leaf.dtype == dtype for leaf in leaves(stepped[0]))


@halves
@each_case
def test_slots_of_half_precision_are_float32(case: Case, dtype: Any) -> None:
    state = case.make().init(np.ones(3, dtype))
    assert all(leaf.dtype == np.float32 for leaf in leaves(state.slots))


@halves
@each_case
def test_half_precision_takes_float32_gradients_unrounded(case: Case, dtype: Any) -> None:
    theta, g = np.ones(3, dtype), np.array([1e-9, 1 / 3, 1e9], np.float32)
    wide, wide_state = case.make().update(
        theta.astype(np.float32), g, case.make().init(theta.astype(np.float32))
    )
    with np.errstate(over="ignore"):  # SGD's third entry leaves the range of float16
        new, slots, *_ = after(case.make(), theta, [g])
        assert differing(new, wide.astype(dtype)) == []
    assert differing(slots, wide_state.slots) == []


# --- epsilon


@each_unpulled_case_with_eps
def test_eps_0_is_legal_and_0_over_0_is_nan_by_the_rule_or_0_by_the_class(case: Case) -> None:
    nothing = {"initial": 0} if hasattr(case.make(), "initial") else {}
    with np.errstate(invalid="ignore"):
        new = after(case.make(eps=0, **nothing), np.ones(2), [np.array([0.0, 1.0])])[0]
    assert np.isfinite(new[1])
    assert new[0] == 1 if case.still else np.isnan(new[0])


@each_unpulled_case_with_eps
def test_a_gradient_of_zero_moves_nothing_where_eps_is_positive(case: Case) -> None:
    assert after(case.make(), np.ones(2), [np.zeros(2)])[0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@each_case_with_eps
def test_an_eps_that_rounds_to_0_in_the_compute_dtype_is_refused(case: Case, dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"params/w: eps = 1e-50 rounds to 0 in float32.*eps=0"):
        case.make(eps=1e-50).init({"w": np.ones(2, dtype)})


@each_case_with_eps
def test_an_eps_that_rounds_to_0_is_refused_by_a_state_that_was_checked(case: Case) -> None:
    theta, g = np.ones(2, np.float32), np.ones(2, np.float32)
    state = case.make().init(theta)
    case.make().step(theta, g, state)
    before = everything(theta, state)
    for method in ("step", "update"):
        with pytest.raises(ValueError, match="eps = 1e-50 rounds to 0"):
            getattr(case.make(eps=1e-50), method)(theta, g, state)
    assert differing(everything(theta, state), before) == []


@each_case_with_eps
def test_a_tiny_eps_is_fine_where_the_compute_dtype_holds_it(case: Case) -> None:
    assert case.make(eps=1e-50).init(np.ones(2)).t == 0
    assert case.make(eps=1e-40).init(np.ones(2, np.float32)).t == 0  # subnormal, and not 0


@halves
@each_unpulled_case_with_eps
def test_eps_guards_half_precision_although_float16_rounds_it_to_0(case: Case, dtype: Any) -> None:
    new = after(case.make(eps=1e-8), np.ones(2, dtype), [np.zeros(2, dtype)])[0]
    assert new.tolist() == [1.0, 1.0]


# --- IEEE rules


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@each_dtype
@each_case_alone
def test_a_bad_gradient_stays_in_its_coordinate(case: Case, dtype: Any, bad: float) -> None:
    params, g = (random_like(np.zeros(SLICE + 9), seed, dtype) for seed in (0, 1))
    clean = after(case.make(), params, [g, g])
    g_bad, where = g.copy(), SLICE + 3
    g_bad[where] = bad
    with np.errstate(invalid="ignore"):
        hit = after(case.make(), params, [g_bad, g])
    assert not np.isfinite(hit[0][where])
    others = [map_leaves(lambda leaf: np.delete(leaf, where), tree[:2]) for tree in (hit, clean)]
    assert differing(*others) == []


@each_case_alone
def test_step_is_update_on_gradients_that_overflow(case: Case) -> None:
    params = np.ones(6, np.float32)
    g = np.array([1e30, -1e30, 3e38, np.inf, np.nan, 1e-40], np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        stepped = after(case.make(), params, [g, g])
        assert differing(stepped, after_updates(case.make(), params, [g, g])) == []


# --- refusals: an error that says where and what, and nothing changed

Args = SimpleNamespace  # optimizer, params, grads, state: what makes a call


def arguments(optimizer: Optimizer) -> Args:
    """Arguments that the optimizer takes, and has taken once: it trusts the arrays it has seen."""
    tree = {"w": np.zeros((3, 2)), "deep": [np.zeros(4), np.zeros(())]}
    params = random_like(tree, 0)
    state = optimizer.init(params)
    optimizer.step(params, random_like(tree, 1), state)
    return Args(optimizer=optimizer, params=params, grads=random_like(tree, 2), state=state)


def given(optimizer: Optimizer, params: Tree, grads: Tree) -> Args:
    """The arguments of a first step."""
    state = optimizer.init(params)
    return Args(optimizer=optimizer, params=params, grads=grads, state=state)


def put(tree: str, *keys: Any, value: Any) -> Callable[[Args], None]:
    """Put a value, or what a function of the value there returns, at a place of one argument."""

    def change(args: Args) -> None:
        branch = getattr(args, tree)
        for key in keys[:-1]:
            branch = branch[key]
        branch[keys[-1]] = value(branch[keys[-1]]) if callable(value) else value

    return change


def point(tree: str, *keys: Any, to: Callable[[Tree], Any]) -> Callable[[Args], None]:
    """Put at a place of one argument what looks at the memory of the parameters."""
    return lambda args: put(tree, *keys, value=to(args.params))(args)


def remove(tree: str, key: str) -> Callable[[Args], None]:
    return lambda args: getattr(args, tree).pop(key)


def whole(**values: Any) -> Callable[[Args], None]:
    return lambda args: vars(args).update(values)


def turned(args: Args) -> None:
    args.grads, args.state = args.state, args.grads


class Metres(np.ndarray):
    """An array with a meaning of its own."""


def masked(leaf: Array) -> Any:
    return np.ma.masked_array(leaf, mask=False)


INT = np.ones((3, 2), np.int64)
TREE_REFUSALS: dict[str, tuple[Callable[[Args], None], type[Exception], list[str]]] = {
    # the tree
    "gradient missing": (
        remove("grads", "w"),
        ValueError,
        ["grads: expected a dict with the keys ['deep', 'w']", "got a dict with the keys ['deep']"],
    ),
    "gradient too many": (
        put("grads", "x", value=np.ones(2)),
        ValueError,
        ["grads: expected", "['deep', 'w']", "got", "['deep', 'w', 'x']"],
    ),
    "list too short": (
        put("grads", "deep", value=[np.ones(4)]),
        ValueError,
        ["grads/deep: expected a list of 2", "got a list of 1"],
    ),
    "array for a list": (
        put("grads", "deep", value=np.ones(4)),
        ValueError,
        ["grads/deep: expected a list of 2", "got one ndarray"],
    ),
    "list for an array": (
        put("grads", "w", value=[np.ones(2)]),
        ValueError,
        ["grads/w: expected one ndarray", "got a list of 1"],
    ),
    "list for a dict": (
        whole(grads=[np.ones(1), np.ones(1)]),
        ValueError,
        ["grads: expected a dict with the keys ['deep', 'w']", "got a list of 2"],
    ),
    # shape and dtype of the gradient
    "gradient shape": (
        put("grads", "deep", 0, value=np.ones(3)),
        ValueError,
        ["params/deep/0", "gradient has shape (3,)", "(4,)"],
    ),
    "gradient transposed": (
        put("grads", "w", value=lambda g: g.T),
        ValueError,
        ["params/w", "(2, 3)", "(3, 2)", "transpose"],
    ),
    "gradient that would broadcast": (
        put("grads", "w", value=np.ones((3, 1))),
        ValueError,
        ["params/w", "(3, 1)", "(3, 2)"],
    ),
    "gradient float32": (
        put("grads", "w", value=lambda g: g.astype(np.float32)),
        TypeError,
        ["params/w: the gradient is float32", "the parameter float64", "g.astype(np.float64)"],
    ),
    "gradient longdouble": (
        put("grads", "w", value=lambda g: g.astype(np.longdouble)),
        TypeError,
        ["params/w: the gradient is", "the parameter float64", "g.astype(np.float64)"],
    ),
    "gradient integers": (put("grads", "w", value=INT), TypeError, ["/w", "floating", "int64"]),
    "gradient complex": (
        put("grads", "w", value=lambda g: g + 0j),
        TypeError,
        ["/w", "floating", "complex128"],
    ),
    "gradient None": (put("grads", "w", value=None), TypeError, ["/w", "array", "NoneType"]),
    "gradient Python number": (
        put("grads", "deep", 1, value=1.0),
        TypeError,
        ["/deep/1", "expected a NumPy or CuPy array", "float"],
    ),
    "gradient NumPy scalar": (
        put("grads", "deep", 1, value=np.float64(1)),
        TypeError,
        ["/deep/1", "expected a NumPy or CuPy array", "float64"],
    ),
    "gradient masked": (put("grads", "w", value=masked), TypeError, ["/w", "MaskedArray"]),
    # the parameters
    "integer parameters": (
        put("params", "w", value=INT.copy()),
        TypeError,
        ["params/w", "floating", "int64", "astype"],
    ),
    "boolean parameters": (
        put("params", "w", value=np.ones((3, 2), bool)),
        TypeError,
        ["params/w", "floating", "bool"],
    ),
    "complex parameters": (
        put("params", "w", value=lambda p: p + 0j),
        TypeError,
        ["params/w", "floating", "complex128"],
    ),
    "Python number": (
        put("params", "deep", 1, value=1.0),
        TypeError,
        ["params/deep/1", "NumPy or CuPy array", "float", "np.asarray"],
    ),
    "NumPy scalar": (
        put("params", "deep", 1, value=np.float64(1)),
        TypeError,
        ["params/deep/1", "NumPy or CuPy array", "float64", "np.asarray"],
    ),
    "no array": (put("params", "w", value="w"), TypeError, ["params/w", "array", "str"]),
    "subclass": (
        put("params", "w", value=lambda p: p.view(Metres)),
        TypeError,
        ["params/w", "Metres", "view(np.ndarray)"],
    ),
    "matrix": (
        put("params", "w", value=lambda p: p.view(np.matrix)),
        TypeError,
        ["params/w", "matrix", "view(np.ndarray)"],
    ),
    "masked array": (put("params", "w", value=masked), TypeError, ["params/w", "MaskedArray"]),
    # the state
    "arguments turned": (turned, TypeError, ["state: expected what init returned", "got dict"]),
    "no state": (whole(state=None), TypeError, ["state: expected what init", "NoneType"]),
    "state of other slots": (
        lambda args: args.state.slots.update(other=copied(args.params)),
        ValueError,
        ["state: expected the slots", "'other'", ".init"],
    ),
}
# what only writing in place asks for
STEP_REFUSALS: dict[str, tuple[Callable[[Args], None], type[Exception], list[str]]] = {
    "Fortran-ordered": (
        put("params", "w", value=np.asfortranarray),
        ValueError,
        ["params/w", "C-contiguous", "np.ascontiguousarray", "`update`"],
    ),
    "strided": (
        put("params", "w", value=lambda p: np.repeat(p, 2, axis=1)[:, ::2]),
        ValueError,
        ["params/w", "C-contiguous"],
    ),
    "read-only": (
        put("params", "w", value=lambda p: np.frombuffer(p.tobytes()).reshape(p.shape)),
        ValueError,
        ["params/w", "read-only", "copy", "`update`"],
    ),
    "read-only after the first step": (
        lambda args: args.params["deep"][0].setflags(write=False),
        ValueError,
        ["params/deep/0", "read-only"],
    ),
    "overlapping views": (
        point("params", "deep", 0, to=lambda params: params["w"].reshape(-1)[:4]),
        ValueError,
        ["params/deep/0", "params/w", "share memory", "tied weights"],
    ),
    "overlap of one element": (
        point("params", "deep", 1, to=lambda params: params["w"][2, 1:].reshape(())),
        ValueError,
        ["params/deep/1", "params/w", "share memory"],
    ),
    "gradient is the parameter": (
        point("grads", "w", to=lambda params: params["w"]),
        ValueError,
        ["params/w: the gradient shares memory with params/w", "copy"],
    ),
    "gradient is a view of another parameter": (
        point("grads", "deep", 0, to=lambda params: params["w"].reshape(-1)[2:]),
        ValueError,
        ["params/deep/0: the gradient shares memory with params/w"],
    ),
    "gradient is a reversed view": (
        point("grads", "w", to=lambda params: params["w"][::-1, ::-1]),
        ValueError,
        ["params/w: the gradient shares memory with params/w"],
    ),
    "gradient is a broadcast view": (
        point("grads", "w", to=lambda params: np.broadcast_to(params["deep"][1], (3, 2))),
        ValueError,
        ["params/w: the gradient shares memory with params/deep/1"],
    ),
    "gradient is a transposed view": (
        point("grads", "w", to=lambda params: params["w"].reshape(2, 3).T),
        ValueError,
        ["params/w: the gradient shares memory with params/w"],
    ),
}


def refuse(method: str, args: Args, error: Any, words: list[str]) -> None:
    """The call raises an error with these words, and leaves every bit as it was."""
    before = snapshot(args)
    with pytest.raises(error) as caught:
        getattr(args.optimizer, method)(args.params, args.grads, args.state)
    message = str(caught.value)
    assert [word for word in words if word not in message] == []
    assert message.endswith("Nothing was changed.")
    assert differing(snapshot(args), before) == []


def snapshot(args: Args) -> Tree:
    """A copy of all that was given, in whatever order it was given."""
    three = (args.params, args.grads, args.state)
    opened = [[x.t, x.slots, x.scalars] if isinstance(x, State) else x for x in three]
    return copy.deepcopy(opened)


@pytest.mark.parametrize("refusal", TREE_REFUSALS.values(), ids=TREE_REFUSALS)
@pytest.mark.parametrize("method", ["step", "update"])
@each_case
def test_step_and_update_refuse(case: Case, method: str, refusal: Any) -> None:
    change, error, words = refusal
    args = arguments(case.make())
    change(args)
    refuse(method, args, error, words)


@pytest.mark.parametrize("refusal", STEP_REFUSALS.values(), ids=STEP_REFUSALS)
@each_case
def test_step_refuses(case: Case, refusal: Any) -> None:
    change, error, words = refusal
    args = arguments(case.make())
    change(args)
    refuse("step", args, error, words)


PARAMETER_REFUSALS = ["integer parameters", "complex parameters", "Python number", "NumPy scalar"]
PARAMETER_REFUSALS += ["subclass", "matrix", "masked array", "no array"]


@pytest.mark.parametrize("name", PARAMETER_REFUSALS)
@each_case
def test_init_refuses(case: Case, name: str) -> None:
    change, error, words = TREE_REFUSALS[name]
    args = arguments(case.make())
    change(args)
    with pytest.raises(error) as caught:
        case.make().init(args.params)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("view", [lambda w: w, lambda w: w[:], lambda w: w[1:]])
@each_case
def test_init_refuses_tied_weights(case: Case, view: Any) -> None:
    w = np.ones((3, 3))
    with pytest.raises(ValueError, match=r"params/a and params/b share memory.*tied weights keep"):
        case.make().init({"a": w, "b": view(w)})


@each_case
def test_step_refuses_tied_weights(case: Case) -> None:
    w, g = np.ones((3, 3)), np.ones((3, 3))
    args = given(case.make(), {"a": w, "b": w.copy()}, {"a": g, "b": g})
    args.params["b"] = w
    words = ["params/a and params/b share memory", "For tied weights keep one leaf"]
    refuse("step", args, ValueError, words)


SLOT_CHANGES: dict[str, tuple[Callable[[Array], Any], type[Exception], list[str]]] = {
    "shape": (lambda slot: np.zeros((2, 3)), ValueError, ["(3, 2)", "(2, 3)"]),
    "dtype": (lambda slot: slot.astype(np.float32), ValueError, ["float64", "float32"]),
    "integers": (lambda slot: slot.astype(int), TypeError, ["floating", "int64"]),
    "subclass": (lambda slot: slot.view(Metres), TypeError, ["Metres"]),
    "number": (lambda slot: 0.0, TypeError, ["array", "float"]),
}
SLOT_CHANGES_OF_STEP: dict[str, tuple[Callable[[Array], Any], type[Exception], list[str]]] = {
    "Fortran-ordered": (np.asfortranarray, ValueError, ["C-contiguous"]),
    "read-only": (lambda s: np.frombuffer(s.tobytes()).reshape(3, 2), ValueError, ["read-only"]),
}
SLOT_ROWS = [
    pytest.param(method, change, id=f"{method}-{name}")
    for method in ("step", "update")
    for name, change in SLOT_CHANGES.items()
] + [pytest.param("step", change, id=name) for name, change in SLOT_CHANGES_OF_STEP.items()]


@pytest.mark.parametrize(("method", "change"), SLOT_ROWS)
@each_case_with_slots
def test_a_slot_that_init_did_not_make_is_refused(case: Case, method: str, change: Any) -> None:
    value, error, words = change
    for slot in case.make().slots:
        args = arguments(case.make())
        args.state.slots[slot]["w"] = value(args.state.slots[slot]["w"])
        refuse(method, args, error, [f"state.{slot} of params/w", *words])


@pytest.mark.parametrize("method", ["step", "update"])
@each_case_with_slots
def test_a_slot_tree_of_another_shape_is_refused(case: Case, method: str) -> None:
    slot = case.make().slots[-1]
    args = arguments(case.make())
    del args.state.slots[slot]["w"]
    refuse(method, args, ValueError, [f"state.{slot}: expected", "['deep', 'w']"])


@pytest.mark.parametrize("method", ["step", "update"])
@each_case_with_slots
def test_parameters_of_another_tree_than_the_state_are_refused(case: Case, method: str) -> None:
    args = arguments(case.make())
    del args.params["w"], args.grads["w"]
    words = ["state.", "expected a dict with the keys ['deep']", "['deep', 'w']"]
    refuse(method, args, ValueError, words)


@pytest.mark.parametrize("method", ["step", "update"])
@each_case_with_slots
def test_a_missing_slot_is_refused(case: Case, method: str) -> None:
    slot = case.make().slots[-1]
    args = arguments(case.make())
    del args.state.slots[slot]
    refuse(method, args, ValueError, ["state: expected the slots", slot, ".init"])


@pytest.mark.parametrize("method", ["step", "update"])
def test_the_state_of_another_optimizer_is_refused(method: str) -> None:
    args = arguments(Adam())
    args.optimizer = SGD(0.1)
    words = ["state: expected the slots [], got ['m', 'v']", "SGD.init"]
    refuse(method, args, ValueError, words)
    args = arguments(SGD(0.1))
    args.optimizer = AdamHat()
    words = ["state: expected the slots ['m', 'v'], got []", "AdamHat.init"]
    refuse(method, args, ValueError, words)


@each_case_with_slots
def test_a_slot_that_is_a_parameter_is_refused(case: Case) -> None:
    slot = case.make().slots[0]
    args = arguments(case.make())
    args.state.slots[slot]["w"] = args.params["w"]
    words = [f"state.{slot} of params/w", "params/w", "share memory"]
    refuse("step", args, ValueError, words)


@each_case_with_slots
def test_a_gradient_that_is_a_view_of_a_slot_is_refused(case: Case) -> None:
    slot = case.make().slots[-1]
    args = arguments(case.make())
    args.grads["w"] = args.state.slots[slot]["w"][:]
    words = [f"params/w: the gradient shares memory with state.{slot} of params/w"]
    refuse("step", args, ValueError, words)


@each_case_with_slots
def test_a_slot_made_read_only_after_the_first_step_is_refused(case: Case) -> None:
    slot = case.make().slots[-1]
    args = arguments(case.make())
    args.state.slots[slot]["w"].flags.writeable = False
    words = [f"state.{slot} of params/w", "read-only"]
    refuse("step", args, ValueError, words)


class Interface:
    """An object that shares an array's memory by its address alone."""

    def __init__(self, array: Array) -> None:
        self.array, self.__array_interface__ = array, array.__array_interface__


SHARED: dict[str, Callable[[Array], Array]] = {
    "a view": lambda array: array[:],
    "a view as another dtype and back": lambda array: array.view(np.int64).view(np.float64),
    "ndarray(buffer=)": lambda array: np.ndarray(array.shape, buffer=array),
    "frombuffer": np.frombuffer,
    "frombuffer of a memoryview": lambda array: np.frombuffer(memoryview(array)),
    "asarray of a memoryview": lambda array: np.asarray(memoryview(array)),
    "DLPack": np.from_dlpack,
    "__array_interface__": lambda array: np.asarray(Interface(array)),
}


@pytest.mark.parametrize("share", SHARED.values(), ids=SHARED)
@each_case
def test_a_gradient_made_from_a_parameter_is_refused(case: Case, share: Any) -> None:
    theta = np.arange(1.0, 5.0)
    args = given(case.make(), theta, share(theta))
    words = ["params: the gradient shares memory with params"]
    refuse("step", args, ValueError, words)


@pytest.mark.parametrize("share", SHARED.values(), ids=SHARED)
@each_case
def test_a_gradient_that_a_parameter_was_made_from_is_refused(case: Case, share: Any) -> None:
    g = np.arange(1.0, 5.0)
    theta = share(g)
    args = given(case.make(), theta, g)
    words = ["params: the gradient shares memory with params"]
    refuse("step", args, ValueError, words)


@each_case
def test_a_gradient_on_the_buffer_of_a_parameter_is_refused(case: Case) -> None:
    buffer = bytearray(np.arange(1.0, 5.0).tobytes())
    theta, g = np.frombuffer(buffer), np.frombuffer(buffer)
    args = given(case.make(), theta, g)
    words = ["params: the gradient shares memory with params"]
    refuse("step", args, ValueError, words)


@each_case
def test_a_gradient_that_runs_backwards_into_a_parameter_is_refused(case: Case) -> None:
    vector = np.arange(1.0, 6.0)
    words = ["params: the gradient shares memory with params"]
    refuse("step", given(case.make(), vector[:2], vector[2:0:-1]), ValueError, words)


@each_case
def test_update_takes_gradients_that_share_memory_with_the_parameters(case: Case) -> None:
    theta = np.arange(1.0, 5.0)
    new, _ = case.make().update(theta, theta, case.make().init(theta))
    assert differing(new, after(case.make(), theta, [theta.copy()])[0]) == []


@pytest.mark.parametrize("name", [name for name in TREE_REFUSALS if name.startswith("gradient ")])
@each_case
def test_a_refused_gradient_is_called_the_gradient(case: Case, name: str) -> None:
    args = arguments(case.make())
    TREE_REFUSALS[name][0](args)
    with pytest.raises((TypeError, ValueError), match="grad"):
        args.optimizer.step(args.params, args.grads, args.state)


def test_the_advice_on_a_gradient_of_bfloat16_can_be_followed() -> None:
    theta = np.ones(2, ml_dtypes.bfloat16)
    with pytest.raises(TypeError, match="bfloat16") as caught:
        SGD(0.1).update(theta, np.ones(2), SGD(0.1).init(theta))
    assert "np.bfloat16" not in str(caught.value)  # NumPy has no such name


# --- the metric


@each_case
def test_the_metric_reproduces_the_step(case: Case) -> None:
    optimizer = case.make()
    theta = random_like(np.zeros(50), 0)
    state = optimizer.init(theta)
    for seed in (1, 2, 3, 4):
        g = random_like(theta, seed)
        before = theta.copy()
        optimizer.step(theta, g, state)
        kept = before - case.shrink(optimizer, state.t) * before
        expected = kept - case.moment(optimizer, state, g) / optimizer.metric(state)
        np.testing.assert_allclose(theta, expected, rtol=1e-14, atol=1e-16)
        assert np.max(np.abs(theta - before)) > 1e-4


@each_case_unpulled
def test_the_metric_takes_the_learning_rate_of_the_step_just_taken(case: Case) -> None:
    metrics = []
    for lr in (0.5, lambda t: {1: 8.0, 2: 0.5}[t]):
        optimizer, theta = case.make(lr=lr), np.ones(3)
        state = optimizer.init(theta)
        for _ in range(2):
            optimizer.step(theta, np.ones(3), state)
        metrics.append(optimizer.metric(state))
    np.testing.assert_array_equal(*metrics)


@each_case
def test_the_metric_is_one_number_or_a_tree_like_the_parameters(case: Case) -> None:
    params, grads = random_like(NESTED, 0), random_like(NESTED, 1)
    new, state = case.make().update(params, grads, case.make().init(params))
    metric = case.make().metric(state)
    if not isinstance(metric, float):
        shapes = map_leaves(lambda h, p: h.shape == p.shape, metric, new)
        assert all(leaves(shapes))


# --- a method of one's own


@dataclass(frozen=True)
class Scaled(Optimizer):
    """Steps of the length lr, whatever the gradient: it takes one number across all leaves."""

    lr: float = 0.5
    slots = ("total",)

    def init_leaf(self, theta: Array) -> tuple[Array, ...]:
        return (np.ones_like(theta),)

    def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
        square = sum(float(np.sum(g * g)) for g in leaves(grads))
        return {"norm": square**0.5, "longest": max(square**0.5, state.scalars.get("longest", 0))}

    @staticmethod
    def rule(theta: Any, g: Any, total: Any, *, lr: float, norm: float) -> tuple[Any, Any]:
        return theta - lr * g / norm, total + g


@dataclass(frozen=True)
class Whole(Optimizer):
    """Steps of the length lr for each leaf: the rule needs a leaf at once, and one number of it."""

    lr: float = 0.5
    slots = ("length",)
    elementwise = False

    def init_leaf(self, theta: Array) -> tuple[Array, ...]:
        return (np.zeros((), theta.dtype),)

    @staticmethod
    def rule(theta: Any, g: Any, length: Any, *, lr: float) -> tuple[Any, Any]:
        norm = np.sqrt(np.sum(g * g))
        return theta - lr * g / norm, length + norm


OWN_PARAMS = {"a": np.zeros(2), "b": np.zeros(2)}
OWN_GRADS = {"a": np.array([3.0, 0.0]), "b": np.array([0.0, 4.0])}


@pytest.mark.parametrize("optimizer", [Scaled(), Whole()], ids=["Scaled", "Whole"])
def test_step_is_update_for_a_method_of_ones_own(optimizer: Optimizer) -> None:
    tree = {"a": np.zeros(2 * SLICE + 1), "b": np.zeros((3, 2))}
    params, *grads = (random_like(tree, seed) for seed in range(4))
    stepped = after(optimizer, params, grads)
    assert differing(stepped, after_updates(optimizer, params, grads)) == []


def test_prepare_offers_the_rule_numbers_by_name() -> None:
    params = after(Scaled(lr=0.5), OWN_PARAMS, [OWN_GRADS])[0]
    assert params["a"].tolist() == [-0.3, 0.0] and params["b"].tolist() == [0.0, -0.4]


def test_what_prepare_returns_is_kept_in_the_scalars() -> None:
    state = Scaled().init(OWN_PARAMS)
    params, state = Scaled().update(OWN_PARAMS, OWN_GRADS, state)
    assert state.scalars == {"norm": 5.0, "longest": 5.0} and state.longest == 5.0
    half = map_leaves(lambda g: g / 2, OWN_GRADS)
    Scaled().step(params, half, state)
    assert state.scalars == {"norm": 2.5, "longest": 5.0}


@pytest.mark.parametrize("method", ["step", "update"])
def test_prepare_is_given_what_the_caller_gave(method: str) -> None:
    seen = []

    class Seeing(Scaled):
        def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
            seen.append((params, grads, state))
            return {"norm": 1.0}

    params = copied(OWN_PARAMS)
    state = Seeing().init(params)
    getattr(Seeing(), method)(params, OWN_GRADS, state)
    ((p, g, s),) = seen
    assert p is params and g is OWN_GRADS and s is state


def test_init_leaf_says_what_a_slot_starts_from() -> None:
    state = Scaled().init(OWN_PARAMS)
    assert state.total["a"].tolist() == [1.0, 1.0]
    Scaled().step(OWN_PARAMS | {"a": np.zeros(2), "b": np.zeros(2)}, OWN_GRADS, state)
    assert state.total["a"].tolist() == [4.0, 1.0]


def test_a_rule_that_is_not_elementwise_sees_whole_leaves() -> None:
    theta = np.zeros(4 * SLICE)
    state = Whole(lr=1.0).init(theta)
    Whole(lr=1.0).step(theta, np.ones(4 * SLICE), state)
    assert state.length == 2 * SLICE**0.5
    assert np.all(theta == -1 / (2 * SLICE**0.5))


def test_an_error_in_prepare_changes_nothing() -> None:
    class Broken(Scaled):
        def prepare(self, params: Tree, grads: Tree, state: State) -> dict[str, float]:
            raise RuntimeError("no number today")

    params = copied(OWN_PARAMS)
    state = Broken().init(params)
    before = everything(params, state)
    with pytest.raises(RuntimeError, match="no number today"):
        Broken().step(params, OWN_GRADS, state)
    assert differing(everything(params, state), before) == []


def test_a_rate_beyond_every_float_is_refused_like_infinity() -> None:
    with pytest.raises(ValueError, match="^lr must be finite and not negative, got inf"):
        SGD(10**400)


def test_parameters_in_the_place_of_a_rate_are_not_printed_whole() -> None:
    with pytest.raises(TypeError, match="^lr must be a number, got {'b'") as refused:
        SGD({"w": np.zeros((1000, 1000)), "b": np.zeros(1000)})  # type: ignore[arg-type]
    assert len(str(refused.value)) < 120
