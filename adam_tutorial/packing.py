"""Packing: many small arrays side by side in one vector, so that one loop or one launch steps all.

The tree stays a tree: each leaf is a view with its own name and shape. An optimizer notices that
the leaves fill one vector, and steps that.
"""

# Generated from chapters/executors.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

from typing import Any

import numpy as np

from adam_tutorial.optimizer import check_leaf, memory_owner, memory_span
from adam_tutorial.trees import Array, Tree, leaves, paths, rebuild


# %% chapters/executors.ipynb#packing-pack
def pack(tree: Tree) -> Tree:
    """The same tree, its arrays copied side by side into one new vector; each leaf is a view of it.

    All leaves need one dtype and one device: ValueError names the first that differs. Pack the
    parameters before `init`, which then packs the slots as well, and keep the gradients in a packed
    tree that is filled in place.
    """
    names, arrays = paths(tree), leaves(tree)
    if not arrays:
        return tree
    for name, array in zip(names, arrays, strict=True):
        check_leaf(name, array)
        if (kind := _kind(array)) != (first := _kind(arrays[0])):
            raise ValueError(
                f"{name} is {kind}, {names[0]} is {first}: one vector holds one kind. Pack them as "
                "two trees. Nothing was changed."
            )
    vector = np.empty_like(arrays[0], shape=(sum(array.size for array in arrays),), order="C")
    views, start = [], 0
    for array in arrays:
        view = vector[start : start + array.size].reshape(array.shape)
        view[...] = array
        views.append(view)
        start += array.size
    return rebuild(tree, views)


def _kind(array: Any) -> str:
    library = type(array).__module__.partition(".")[0]
    return f"{array.dtype} of {library} on {getattr(array, 'device', 'cpu')}"


# %% chapters/executors.ipynb#packing-vector
def vector_of(arrays: list[Array]) -> Array | None:
    """The vector that these arrays fill side by side, in this order; None if there is none."""
    if not arrays:
        return None
    vector: Array = memory_owner(arrays[0])
    if type(vector) is not type(arrays[0]) or vector.ndim != 1:
        return None
    if vector.size != sum(array.size for array in arrays):
        return None
    end = None
    for array in arrays:
        if (
            memory_owner(array) is not vector
            or array.dtype != vector.dtype
            or not array.flags.c_contiguous
        ):
            return None
        if (span := memory_span(array)) is not None:  # an empty leaf has no place
            if end not in (None, span[0]):
                return None
            end = span[1]
    return vector
