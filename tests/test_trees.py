"""Trees: walked in one order, matched by key, rebuilt in their own shape."""

from collections import OrderedDict, namedtuple
from typing import Any

import pytest

from adam_tutorial.trees import leaves, map_leaves, matched, paths, rebuild

Pair = namedtuple("Pair", "weight bias")
TREE = {"z": [1, (2, 3)], "a": Pair(4, {"b": 5}), "none": [], "end": 6}


def test_leaves_come_in_the_order_of_the_tree() -> None:
    assert leaves(TREE) == [1, 2, 3, 4, 5, 6]


def test_one_leaf_is_a_tree() -> None:
    assert leaves(7) == [7]
    assert paths(7) == ["params"]
    assert rebuild(7, [8]) == 8
    assert matched(7, 8) == [8]


def test_paths_are_the_addresses_of_the_leaves() -> None:
    expected = ["params/z/0", "params/z/1/0", "params/z/1/1"]
    expected += ["params/a/0", "params/a/1/b", "params/end"]
    assert paths(TREE) == expected


def test_paths_begin_with_the_root() -> None:
    assert paths({"w": 1}, "grads") == ["grads/w"]


def test_rebuild_keeps_every_kind_of_branch() -> None:
    new = rebuild(TREE, "abcdef")
    assert new == {"z": ["a", ("b", "c")], "a": Pair("d", {"b": "e"}), "none": [], "end": "f"}
    assert type(new["z"][1]) is tuple and type(new["a"]) is Pair
    assert list(new) == list(TREE)


def test_rebuild_undoes_leaves() -> None:
    assert rebuild(TREE, leaves(TREE)) == TREE


def test_map_leaves_applies_a_function_to_each_leaf() -> None:
    squares = map_leaves(lambda x: x * x, TREE)
    assert squares == {"z": [1, (4, 9)], "a": Pair(16, {"b": 25}), "none": [], "end": 36}


def test_map_leaves_meets_the_leaves_of_other_trees_by_key() -> None:
    one, other = {"a": 10, "b": 20}, {"b": 2, "a": 1}
    assert map_leaves(lambda x, y, z: (x, y, z), one, other, one) == {
        "a": (10, 1, 10),
        "b": (20, 2, 20),
    }


def test_matched_follows_the_order_of_the_first_tree() -> None:
    turned = OrderedDict(reversed(TREE.items()))
    assert matched(TREE, turned) == [1, 2, 3, 4, 5, 6]


def test_matched_takes_lists_and_tuples_for_each_other() -> None:
    assert matched([1, (2, 3)], ((4, [5, 6]))) == [4, 5, 6]


MISMATCHES: dict[str, tuple[Any, Any, str]] = {
    "key missing": ({"a": 1, "b": 2}, {"a": 1}, "tree: expected a dict with the keys ['a', 'b']"),
    "key too many": ({"a": 1}, {"a": 1, "b": 2}, "got a dict with the keys ['a', 'b']"),
    "another key": (
        {"a": {"b": 1}},
        {"a": {"c": 1}},
        "tree/a: expected a dict with the keys ['b']",
    ),
    "which keys": ({"a": 1, 0: 2}, {"a": 1, "0": 2}, "; missing: 0; not expected: '0'. Give"),
    "list for dict": ({"a": 1}, [1], "tree: expected a dict with the keys ['a']"),
    "leaf for dict": ({"a": {"b": 1}}, {"a": 1.5}, "got one float"),
    "list too short": ([1, [2, 3]], [1, [2]], "tree/1: expected a list of 2"),
    "list too long": ((1,), (1, 2), "got a tuple of 2"),
    "dict for list": ([1], {0: 1}, "got a dict with the keys ['0']"),
    "leaf for list": ({"x": [[1]]}, {"x": [1]}, "tree/x/0: expected a list of 1"),
    "dict for leaf": ({"a": 1}, {"a": {}}, "tree/a: expected one int"),
    "list for leaf": ([1], [[1]], "tree/0: expected one int"),
}


@pytest.mark.parametrize(("like", "tree", "words"), MISMATCHES.values(), ids=MISMATCHES)
def test_matched_says_where_two_trees_differ(like: Any, tree: Any, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        matched(like, tree)
    assert words in str(caught.value)
    with pytest.raises(ValueError):
        map_leaves(lambda a, b: a, like, tree)


def test_a_mismatch_is_told_in_full() -> None:
    with pytest.raises(ValueError) as caught:
        matched({"enc": {"w": 1, "b": 2}}, {"enc": {"w": 1}}, "grads")
    assert str(caught.value) == (
        "grads/enc: expected a dict with the keys ['b', 'w'], as in the parameters; got a dict "
        "with the keys ['w']; missing: 'b'. Give both trees the same nesting and keys. "
        "Nothing was changed."
    )
