"""Packing: many leaves in one vector, stepped as one, with names and shapes kept."""

import pickle
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case, differing, random_like

from adam_tutorial import Adam, executors, pack
from adam_tutorial.packing import vector_of
from adam_tutorial.trees import Tree, leaves

TREE = {
    "w": np.zeros((3, 4)),
    "none": np.zeros((0, 2)),
    "rest": (np.zeros(()), [np.zeros(70_000), np.zeros(5)]),
    "last": np.zeros(0),
}
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])


@each_dtype
def test_packed_leaves_are_views_of_one_vector(dtype: Any) -> None:
    tree = random_like(TREE, 0, dtype)
    packed = pack(tree)
    assert differing(packed, tree) == []
    vector = vector_of(leaves(packed))
    assert vector is not None and vector.shape == (70_018,)
    assert np.array_equal(vector, np.concatenate([leaf.ravel() for leaf in leaves(tree)]))
    vector += 1
    assert packed["rest"][0] == vector[12] and packed["w"][0, 0] == vector[0]


def test_packing_copies() -> None:
    tree = random_like(TREE, 0)
    packed = pack(tree)
    packed["w"][...] = 7
    assert not np.any(tree["w"] == 7)


def test_strided_leaves_are_packed_in_the_order_of_their_elements() -> None:
    leaf = np.arange(12.0).reshape(3, 4)
    packed = pack({"a": leaf.T, "b": leaf[::-1, ::2]})
    assert np.array_equal(packed["a"], leaf.T) and np.array_equal(packed["b"], leaf[::-1, ::2])


@pytest.mark.parametrize("tree", [{}, [], ()])
def test_an_empty_tree_is_packed_already(tree: Tree) -> None:
    assert pack(tree) == tree


def test_leaves_of_two_kinds_are_refused_by_name() -> None:
    tree = {"a": np.zeros(2, np.float32), "b": {"c": np.zeros(2)}}
    with pytest.raises(ValueError) as caught:
        pack(tree)
    assert str(caught.value) == (
        "params/b/c is float64 of numpy on cpu, params/a is float32 of numpy on cpu: one vector "
        "holds one kind. Pack them as two trees. Nothing was changed."
    )


def test_what_is_no_array_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"params/b: expected a NumPy or CuPy array, got float"):
        pack({"a": np.zeros(2), "b": 1.0})


@each_dtype
@each_case
def test_a_packed_step_is_the_step(case: Case, dtype: Any) -> None:
    """All the leaves, the empty ones too: packing changes no bit of any other."""
    optimizer, params = case.make(), random_like(TREE, 0, dtype)
    packed, grads = pack(params), pack(random_like(TREE, 1, dtype))
    state, packed_state = optimizer.init(params), optimizer.init(packed)
    assert all(vector_of(leaves(tree)) is not None for tree in packed_state.slots.values())
    for seed in range(3):
        g = random_like(TREE, seed, dtype)
        for leaf, new in zip(leaves(grads), leaves(g), strict=True):
            leaf[...] = new
        optimizer.step(params, g, state)
        optimizer.step(packed, grads, packed_state)
    assert differing([packed, packed_state.slots], [params, state.slots]) == []


def launches(optimizer: Any, params: Tree, grads: Tree, state: Any) -> int:
    """How many executors a step calls."""
    optimizer.step(params, grads, state)
    plan, count = state._checked.plan, 0

    def counted(executor: Any) -> Any:
        def call(*args: Any) -> None:
            nonlocal count
            count += 1
            executor(*args)

        return call

    plan.whole = counted(plan.whole) if plan.whole else None
    plan.leaves = [counted(leaf) for leaf in plan.leaves]
    optimizer.step(params, grads, state)
    return count


def test_a_packed_step_is_one_call() -> None:
    adam, params, grads = Adam(), pack(random_like(TREE, 0)), pack(random_like(TREE, 1))
    assert launches(adam, params, grads, adam.init(params)) == 1


def test_gradients_elsewhere_are_stepped_leaf_by_leaf() -> None:
    adam, params, grads = Adam(), pack(random_like(TREE, 0)), random_like(TREE, 1)
    assert launches(adam, params, grads, adam.init(params)) == 6


def test_gradients_in_another_order_are_not_taken_for_a_vector() -> None:
    """One vector, but b before a: stepping it as a whole would exchange the gradients."""
    adam, params = Adam(), pack({"a": np.zeros(3), "b": np.zeros(3)})
    other = pack({"b": np.full(3, -1.0), "a": np.ones(3)})
    adam.step(params, {"a": other["a"], "b": other["b"]}, adam.init(params))
    assert np.all(params["a"] < 0) and np.all(params["b"] > 0)


def test_new_gradients_in_the_same_places_are_looked_at_again() -> None:
    adam, params = Adam(), pack({"a": np.zeros(3), "b": np.zeros(3)})
    state = adam.init(params)
    for value in (1.0, 2.0):
        adam.step(params, pack({"a": np.full(3, value), "b": np.full(3, value)}), state)
    loose = {"a": np.ones(3), "b": np.ones(3)}
    expected, _ = adam.update(params, loose, state)
    adam.step(params, loose, state)
    assert differing(params, expected) == []


@pytest.mark.parametrize(
    "arrays",
    [
        lambda v: [v[:3]],  # not all of it
        lambda v: [v[3:], v[:3]],  # not in order
        lambda v: [v[:3], v[2:]],  # overlapping, and too many
        lambda v: [v[:2], v[3:]],  # a gap
        lambda v: [v[::2], v[1::2]],  # interleaved
        lambda v: [v[:3], np.zeros(3)],  # two owners
        lambda v: [v[:3], v[3:].view(np.int64)],  # another dtype
        lambda v: [],
    ],
)
def test_what_is_no_vector(arrays: Any) -> None:
    assert vector_of(arrays(np.zeros(6))) is None


def test_a_saved_and_restored_state_is_packed_again() -> None:
    """Pickle makes each leaf an array of its own; the numbers stay right either way."""
    adam, params = Adam(), pack(random_like(TREE, 0))
    state = adam.init(params)
    adam.step(params, pack(random_like(TREE, 1)), state)
    new, new_state = pickle.loads(pickle.dumps((params, state)))
    assert vector_of(leaves(new)) is None
    new, new_state.slots = pack(new), {name: pack(s) for name, s in new_state.slots.items()}
    g = pack(random_like(TREE, 2))
    adam.step(params, g, state)
    adam.step(new, g, new_state)
    assert differing([params, state.slots], [new, new_state.slots]) == []
    assert launches(adam, new, g, new_state) == 1


def test_slots_are_packed_for_packed_parameters_only() -> None:
    adam, params = Adam(), random_like(TREE, 0)
    assert vector_of(leaves(adam.init(params).m)) is None
    assert vector_of(leaves(adam.init(pack(params)).m)) is not None


def test_explain_says_so() -> None:
    adam, params = Adam(), pack(random_like(TREE, 0))
    found = executors.explain(adam, params, adam.init(params))
    assert found.startswith("6 leaves in one vector, if the gradients are packed too: N")
