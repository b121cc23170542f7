"""Trees of arrays: parameters in the shape people keep them in.

A tree is one array, or a dict, list or tuple of trees. A model's weights, their gradients and an
optimizer's running averages are trees of the same shape. The functions here walk them in one
order, the order of the parameters, and match by key, so that {"w", "b"} meets {"b", "w"} rightly.
"""

# Generated from chapters/descent.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from collections.abc import Callable, Iterable, Iterator
from typing import Any

# %% chapters/descent.ipynb#trees-walk
Array = Any  # a NumPy or CuPy array, or anything that follows NumPy's protocols
Tree = Any  # an Array, or a dict, list or tuple of Trees


def leaves(tree: Tree) -> list[Array]:
    """The arrays of a tree, in order."""
    found: list[Array] = []
    _gather(tree, found)
    return found


def _gather(tree: Tree, found: list[Array]) -> None:
    if isinstance(tree, dict):
        for branch in tree.values():
            _gather(branch, found)
    elif isinstance(tree, (list, tuple)):
        for branch in tree:
            _gather(branch, found)
    else:
        found.append(tree)


def paths(tree: Tree, root: str = "params") -> list[str]:
    """The address of each leaf, in the same order: "params/encoder/w", "params/0"."""
    if isinstance(tree, dict):
        return [path for key, branch in tree.items() for path in paths(branch, f"{root}/{key}")]
    if isinstance(tree, (list, tuple)):
        return [path for i, branch in enumerate(tree) for path in paths(branch, f"{root}/{i}")]
    return [root]


# %% chapters/descent.ipynb#trees-build
def rebuild(like: Tree, values: Iterable[Array]) -> Tree:
    """A tree of the shape of `like` that holds `values`, given in the order of `leaves(like)`."""
    return _build(like, iter(values))


def _build(like: Tree, values: Iterator[Array]) -> Tree:
    if isinstance(like, dict):
        return {key: _build(branch, values) for key, branch in like.items()}
    if isinstance(like, (list, tuple)):
        branches = [_build(branch, values) for branch in like]
        return type(like)(*branches) if hasattr(like, "_fields") else type(like)(branches)
    return next(values)


def map_leaves(function: Callable[..., Array], tree: Tree, *others: Tree) -> Tree:
    """Apply `function` to the leaves of `tree`, and of `others` matched to it."""
    columns = [leaves(tree), *(matched(tree, other) for other in others)]
    return rebuild(tree, map(function, *columns))


# %% chapters/descent.ipynb#trees-match
_BRANCHES = (dict, list, tuple)


def matched(like: Tree, tree: Tree, root: str = "tree") -> list[Array]:
    """The leaves of `tree` in the order of `like`; ValueError says where the two trees differ."""
    if not isinstance(like, _BRANCHES) and not isinstance(tree, _BRANCHES):
        return [tree]
    found: list[Array] = []
    _match(like, tree, (root,), found)
    return found


def _match(like: Tree, tree: Tree, path: tuple[Any, ...], found: list[Array]) -> None:
    if isinstance(like, dict):
        if not isinstance(tree, dict) or tree.keys() != like.keys():
            raise _mismatch(like, tree, path)
        for key, branch in like.items():
            _match(branch, tree[key], (*path, key), found)
    elif isinstance(like, (list, tuple)):
        if not isinstance(tree, (list, tuple)) or len(tree) != len(like):
            raise _mismatch(like, tree, path)
        for i, branch in enumerate(like):
            _match(branch, tree[i], (*path, i), found)
    elif isinstance(tree, (dict, list, tuple)):
        raise _mismatch(like, tree, path)
    else:
        found.append(tree)


# %% chapters/descent.ipynb#trees-mismatch
def _mismatch(like: Tree, tree: Tree, path: tuple[Any, ...]) -> ValueError:
    both = isinstance(like, dict) and isinstance(tree, dict)
    return ValueError(
        f"{'/'.join(map(str, path))}: expected {_shape_of(like)}, as in the parameters; got "
        f"{_shape_of(tree)}{_keys_apart(like, tree) if both else ''}. "
        "Give both trees the same nesting and keys. Nothing was changed."
    )


def _keys_apart(like: dict[Any, Tree], tree: dict[Any, Tree]) -> str:
    missing = [repr(key) for key in like if key not in tree]
    unknown = [repr(key) for key in tree if key not in like]
    found = {"missing": missing, "not expected": unknown}
    return "".join(f"; {what}: {', '.join(keys)}" for what, keys in found.items() if keys)


def _shape_of(tree: Tree) -> str:
    if isinstance(tree, dict):
        return f"a dict with the keys {sorted(map(str, tree))}"
    if isinstance(tree, (list, tuple)):
        return f"a {type(tree).__name__} of {len(tree)}"
    return f"one {type(tree).__name__}"
