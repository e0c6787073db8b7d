"""Strategies of trees: of arrays to any depth, in every kind of container, with branches that hold none."""

import dataclasses
from collections import namedtuple
from typing import Any

import numpy as np
from hypothesis import strategies as st

Pair = namedtuple("Pair", "weight bias")


@dataclasses.dataclass
class Layer:
    weight: Any
    rest: Any = None
    size: int = 3


ARRAYS = st.integers(0, 99).flatmap(
    lambda seed: st.sampled_from([(), (1,), (2,), (2, 2), (0,)]).map(
        lambda shape: np.random.default_rng(seed).uniform(0.5, 2, shape)
    )
)
NUMBERS = st.sampled_from([0.5, -1.5, 3.0])
CONSTANTS = st.sampled_from([None, 2, "relu", (2, 3), True])
EMPTY = st.sampled_from([(), [], {}]).map(lambda container: type(container)())


def trees(depth):
    """Draw trees of at most this depth; a leaf may be an array, a number, a constant or an empty branch."""
    leaves = st.one_of(ARRAYS, NUMBERS, CONSTANTS, EMPTY)
    if not depth:
        return leaves
    inner = trees(depth - 1)
    return st.one_of(
        leaves,
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["W", "b", 3]), inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Layer, inner, inner),
    )


def items(tree):
    """Return what is in a container, or ``None``."""
    if isinstance(tree, Layer):
        return [tree.weight, tree.rest, tree.size]
    if isinstance(tree, dict):
        return list(tree.values())
    return list(tree) if isinstance(tree, list | tuple) else None


def leaves(tree):
    """Yield the arrays and numbers that are differentiated, in order."""
    inside = items(tree)
    if inside is not None:
        for item in inside:
            yield from leaves(item)
    elif isinstance(tree, float | np.ndarray):
        yield tree


def mapped(function, tree):
    """Return a tree of the same form, with a function of each such leaf, and ``None`` for other leaves."""
    if isinstance(tree, Layer):
        return Layer(mapped(function, tree.weight), mapped(function, tree.rest), None)
    if isinstance(tree, dict):
        return {key: mapped(function, item) for key, item in tree.items()}
    if isinstance(tree, Pair):
        return Pair(*(mapped(function, item) for item in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(function, item) for item in tree)
    return function(tree) if isinstance(tree, float | np.ndarray) else None
