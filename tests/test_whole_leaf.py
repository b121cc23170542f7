"""What every optimizer promises, for the methods that need whole leaves: the rows of `WHOLE`.

The same promises as in test_optimizer.py, test_packing.py, test_duck.py and test_torch_adapter.py,
on parameters that these methods accept.
"""

import copy
import pickle
from collections import OrderedDict
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cases import IN_DOMAIN, WHOLE, Case, differing, random_like
from test_duck import ducks, hidden

from adam_tutorial import Optimizer, State, backends, executors, pack
from adam_tutorial.optimizer import compute_dtype
from adam_tutorial.trees import Tree, leaves, map_leaves

TREE = {
    "conv": np.zeros((4, 3, 5)),
    "rest": [np.zeros((30, 7)), (np.zeros(9), np.zeros(()))],
    "empty": np.zeros((2, 0)),
}
DTYPES = [np.float64, np.float32, np.float16, np.dtype(ml_dtypes.bfloat16)]
each_case = pytest.mark.parametrize("case", WHOLE, ids=str)
each_of_vectors = pytest.mark.parametrize(
    "case", [case for case in WHOLE if case not in IN_DOMAIN], ids=str
)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
both_ways = pytest.mark.parametrize("method", ["step", "update"])


def taken(
    optimizer: Optimizer, params: Tree, grads: list[Tree], method: str = "step"
) -> tuple[Tree, State]:
    params = copy.deepcopy(params)
    state = optimizer.init(params)
    for g in grads:
        if method == "step":
            optimizer.step(params, g, state)
        else:
            params, state = optimizer.update(params, g, state)
    return params, state


def everything(params: Tree, state: State) -> Tree:
    return copy.deepcopy([params, state.slots, state.t, state.scalars])


def fortran(leaf: Any) -> Any:
    return np.array(leaf, order="F")  # np.asfortranarray gives a number an axis


def trees(case: Case, dtype: Any = np.float64, count: int = 3) -> tuple[Tree, list[Tree]]:
    params = case.fit(random_like(TREE, 0, dtype))
    return params, [random_like(TREE, seed, dtype) for seed in range(1, count + 1)]


@each_dtype
@each_case
def test_step_is_update_bit_for_bit(case: Case, dtype: Any) -> None:
    params, grads = trees(case, dtype)
    stepped = everything(*taken(case.make(), params, grads))
    assert differing(stepped, everything(*taken(case.make(), params, grads, "update"))) == []
    assert all(leaf.dtype == dtype for leaf in leaves(stepped[0]))
    assert all(leaf.dtype == compute_dtype(np.dtype(dtype)) for leaf in leaves(stepped[1]))


@each_case
def test_every_entry_of_every_leaf_moves(case: Case) -> None:
    params, grads = trees(case)
    moved = map_leaves(lambda a, b: np.all(a != b), params, taken(case.make(), params, grads)[0])
    if case.name == "InSimplex":  # a whole of one share has nowhere to go
        assert not moved["rest"][1][1]
        moved["rest"][1] = moved["rest"][1][:1]
    assert all(leaves(moved))


@each_case
def test_gradients_are_matched_by_key_and_may_have_any_strides(case: Case) -> None:
    params, (g, *_) = trees(case)
    turned = OrderedDict(reversed(map_leaves(fortran, g).items()))
    for method in ("step", "update"):
        found = [everything(*taken(case.make(), params, [each], method)) for each in (g, turned)]
        if case.name == "Clipped":  # the length of all gradients is added in another order
            for a, b in zip(leaves(found[0]), leaves(found[1]), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12)
        else:
            assert differing(*found) == []


@each_case
def test_update_takes_parameters_of_any_strides(case: Case) -> None:
    params, (g, *_) = trees(case)
    turned = map_leaves(fortran, params)
    state = case.make().init(turned)
    assert all(slot.flags.c_contiguous for slot in leaves(state.slots))
    new, _ = case.make().update(turned, g, state)
    assert differing(new, taken(case.make(), params, [g])[0]) == []


@each_case
def test_update_leaves_its_arguments_alone_and_returns_arrays_of_its_own(case: Case) -> None:
    params, grads = trees(case)
    state = case.make().init(params)
    before = everything([params, grads], state)
    new, new_state = case.make().update(params, grads[0], state)
    assert differing(everything([params, grads], state), before) == []
    old = leaves([params, grads, state.slots])
    for array in leaves([new, new_state.slots]):
        assert not any(np.shares_memory(array, other) for other in old)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
@each_case
def test_copies_go_on_where_the_first_were(case: Case, way: Any) -> None:
    params, grads = trees(case)
    expected = everything(*taken(case.make(), params, grads))
    params, state = taken(case.make(), params, grads[:1])
    params, state, optimizer = way((params, state, case.make()))
    for g in grads[1:]:
        optimizer.step(params, g, state)
    assert differing(everything(params, state), expected) == []


@each_case
def test_methods_with_the_same_fields_are_equal_and_have_one_hash(case: Case) -> None:
    assert case.make() == case.make() != case.make(lr=0.125)
    assert hash(case.make()) == hash(case.make())


@each_case
def test_a_schedule_is_what_its_numbers_are(case: Case) -> None:
    params, grads = trees(case)
    rates = [0.01, 0.002, 0.005]
    scheduled = everything(*taken(case.make(lr=lambda t: rates[t - 1]), params, grads))
    state = case.make().init(params)
    for lr, g in zip(rates, grads, strict=True):
        params, state = case.make(lr=lr).update(params, g, state)
    assert differing(scheduled, everything(params, state)) == []


def _too_large(params: Tree, state: State, g: Tree) -> Tree:
    return {**g, "empty": np.zeros((1, 0))}


def _no_leaf(params: Tree, state: State, g: Tree) -> Tree:
    return {name: leaf for name, leaf in g.items() if name != "empty"}


def _other_v(params: Tree, state: State, g: Tree) -> Tree:
    state.v["conv"] = np.zeros((4, 3, 5))
    return g


def _other_m(params: Tree, state: State, g: Tree) -> Tree:
    state.m["rest"][0] = np.zeros((30, 7), np.float32)
    return g


REFUSED = [
    (_too_large, "params/empty: the gradient has shape"),
    (_no_leaf, "grads: expected a dict"),
    (_other_v, r"state.v of params/conv: expected shape \(4, 3, 1\).*got shape \(4, 3, 5\)"),
    (_other_m, r"state.m of params/rest/0: expected shape .* float64 .*got .* float32"),
]


@both_ways
@pytest.mark.parametrize(("spoil", "words"), REFUSED, ids=lambda x: getattr(x, "__name__", ""))
@each_of_vectors
def test_what_does_not_fit_is_refused_and_nothing_has_changed(
    case: Case, spoil: Any, words: str, method: str
) -> None:
    params, grads = trees(case)
    params, state = taken(case.make(), params, grads[:1])
    g = spoil(params, state, grads[1])
    before = everything(params, state)
    with pytest.raises(ValueError, match=words):
        getattr(case.make(), method)(params, g, state)
    assert differing(everything(params, state), before) == []


@each_case
def test_an_eps_that_rounds_to_0_is_refused(case: Case) -> None:
    with pytest.raises(ValueError, match="params/conv: eps = 1e-50 rounds to 0 in float32"):
        case.make(eps=1e-50).init(trees(case, np.float32)[0])


@each_case
def test_packed_parameters_take_the_same_step(case: Case) -> None:
    params, grads = trees(case)
    expected = taken(case.make(), params, grads)
    packed = pack(params)
    state = case.make().init(packed)
    for g in grads:
        case.make().step(packed, pack(g), state)
    assert differing(everything(packed, state), everything(*expected)) == []


@both_ways
@each_case
def test_ducks_get_the_bits_of_numpy(case: Case, method: str) -> None:
    params, grads = trees(case)
    found, state = taken(case.make(), ducks(params), [ducks(g) for g in grads], method)
    expected, expected_state = taken(case.make(), params, grads, method)
    assert differing(hidden([found, state.slots]), [expected, expected_state.slots]) == []


@each_case
def test_explain_says_which_leaves_are_whole(case: Case) -> None:
    params, _ = trees(case)
    text = executors.explain(case.make(), params, case.make().init(params))
    assert text.count("it needs whole leaves") == (5 if case in IN_DOMAIN else 4)
    assert ("params/rest/1/1: NumPy, slices" in text) == (case not in IN_DOMAIN)


@pytest.mark.skipif("cupy" not in backends.available(), reason="needs CuPy and an NVIDIA GPU")
@each_dtype
@each_case
def test_a_gpu_takes_nearly_the_same_step(case: Case, dtype: Any) -> None:
    """It adds in another order."""
    params, grads = trees(case, dtype)
    there = backends.to(params, "cupy")
    found, state = taken(case.make(), there, [backends.to(g, "cupy") for g in grads])
    assert {backends.of(leaf) for leaf in leaves([found, state.slots])} == {"cupy"}
    tolerance = 1e-12 if dtype == np.float64 else 1e-5 if dtype == np.float32 else 2e-2
    for a, b in zip(leaves(backends.to(found, "numpy")), leaves(taken(case.make(), params, grads)[0]), strict=True):  # fmt: skip
        np.testing.assert_allclose(a.astype(float), b.astype(float), atol=tolerance)


def test_torch_parameters_take_the_same_steps() -> None:
    torch = pytest.importorskip("torch")
    from adam_tutorial.torch_adapter import TorchOptimizer

    shapes = {"w": (5, 3), "none": (), "long": (2, 40_000)}
    for case in WHOLE:
        arrays = case.fit(random_like({k: np.zeros(s) for k, s in shapes.items()}, 0))
        tensors = {k: torch.tensor(a, requires_grad=True) for k, a in arrays.items()}
        optimizer, method = TorchOptimizer(tensors.items(), case.make()), case.make()
        state = method.init(arrays)
        for seed in range(1, 6):
            if seed == 4:  # a checkpoint, read again
                saved = copy.deepcopy(optimizer.state_dict())
                optimizer = TorchOptimizer(tensors.items(), case.make())
                optimizer.load_state_dict(saved)
            grads = random_like(arrays, seed)
            for name, p in tensors.items():
                p.grad = torch.tensor(grads[name])
            method.step(arrays, grads, state)
            optimizer.step()
        assert all(p.detach().numpy().tobytes() == arrays[k].tobytes() for k, p in tensors.items())
