"""Trees of inputs: nested tuples, lists, dicts, named tuples and dataclasses, seen as a list of leaves.

A leaf is named by the path to it, as it would be written in Python: ``p['W1']``, ``layers[0].bias``. A
container in which there is no array and no real number, such as ``shape=(2, 3)``, is one leaf by itself.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from gradlab.errors import UsageError, is_deliberate
from gradlab.point.values import is_numeric

__tracebackhide__ = is_deliberate

Leaves: TypeAlias = list[tuple[str, Any]]


@dataclass(frozen=True)
class Node:
    """A container.

    Attributes
    ----------
    name : str
        The path to it.
    keys : tuple
        Under which its children stand in it: indices, keys, or names of fields.
    paths : tuple of str
        The paths to its children.
    children : tuple of Node or int
        The containers in it, and of its leaves the positions among all leaves.
    rebuild : callable
        Makes such a container of a list of children.
    ordered, keyed : bool
        Whether the children have an order, and whether they have names: those of a list have an order, those
        of a dict have names, fields and arguments have both.
    """

    name: str
    keys: tuple[Any, ...]
    paths: tuple[str, ...]
    children: tuple[Tree, ...]
    rebuild: Callable[[list[Any]], Any]
    ordered: bool = True
    keyed: bool = True


Tree: TypeAlias = Node | int


def flatten(name: str, value: Any, leaves: Leaves) -> Tree:
    """Append the leaves of a value, with their paths, to a list; return the containers around them.

    Raises
    ------
    UsageError
        When a container contains itself.

    Examples
    --------
    >>> leaves = []
    >>> tree = flatten("p", {"W": 1.0, "layers": [2.0, (3.0, "relu")], "shape": (2, 3)}, leaves)
    >>> [path for path, _ in leaves]
    ["p['W']", "p['layers'][0]", "p['layers'][1][0]", "p['layers'][1][1]", "p['shape']"]
    >>> unflatten(tree, [10, 20, 30, 40, 50])
    {'W': 10, 'layers': [20, (30, 40)], 'shape': 50}
    """
    return _flatten(name, value, leaves, ())[0]


def unflatten(tree: Tree, leaves: Sequence[Any]) -> Any:
    """Return new containers around some leaves; the leaves themselves are not copied."""
    if isinstance(tree, int):
        return leaves[tree]
    return tree.rebuild([leaves[c] if type(c) is int else unflatten(c, leaves) for c in tree.children])


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """Return a tree with a function of each leaf in its place.

    >>> map_leaves(lambda x: 2 * x, {"W": 1.0, "layers": [2.0, 3.0]})
    {'W': 2.0, 'layers': [4.0, 6.0]}
    """
    if isinstance(value, np.ndarray):
        return function(value)  # by far the most frequent
    leaves: Leaves = []
    tree = flatten("", value, leaves)
    return unflatten(tree, [function(leaf) for _, leaf in leaves])


def leaves_like(tree: Tree, value: Any) -> dict[int, Any] | None:
    """Return the leaves of a value by position, where its containers are those of the tree in kind and size.

    >>> tree = flatten("p", {"W": 1.0, "layers": [2.0, 3.0]}, [])
    >>> leaves_like(tree, {"W": 10, "layers": [20, 30]}), leaves_like(tree, {"W": 10})
    ({0: 10, 1: 20, 2: 30}, None)
    """
    found: dict[int, Any] = {}
    return found if _put(tree, value, found) else None


def _put(tree: Tree, value: Any, found: dict[int, Any]) -> bool:
    if isinstance(tree, int):
        found[tree] = value
        return True
    kind = type(value)
    if kind is dict and tree.keyed and tuple(value) == tree.keys:
        items = value.values()
    elif (kind is tuple or kind is list) and tree.ordered and len(value) == len(tree.keys):
        items = value
    else:
        return False
    for child, item in zip(tree.children, items, strict=True):
        if type(child) is int:
            found[child] = item
        elif not _put(child, item, found):
            return False
    return True


def positions(tree: Tree) -> Iterator[int]:
    """Yield the positions of the leaves of a tree."""
    if isinstance(tree, int):
        yield tree
    else:
        for child in tree.children:
            yield from positions(child)


def replaced(tree: Tree, value: Any, leaves: Sequence[Any]) -> Iterator[str]:
    """Yield the paths at which containers made by `unflatten` do not hold any more what they held."""
    if isinstance(tree, int):
        return
    items = items_of(value)
    if items is None or tuple(items) != tree.keys:
        yield tree.name
        return
    for path, child, item in zip(tree.paths, tree.children, items.values(), strict=True):
        if not isinstance(child, int):
            yield from replaced(child, item, leaves)
        elif item is not leaves[child]:
            yield path


def items_of(value: Any) -> dict[Any, Any] | None:
    """Return what is in a container, under its indices, keys or names of fields; ``None`` for no container.

    >>> items_of([5, 6]), items_of(5)
    ({0: 5, 1: 6}, None)
    """
    if isinstance(value, np.ndarray):
        return None  # by far the most frequent
    if is_record(value):
        if isinstance(value, tuple):
            return dict(zip(value._fields, value, strict=True))  # type: ignore[attr-defined]
        names = [field.name for field in dataclasses.fields(value)]
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    if isinstance(value, Mapping):
        return dict(value)
    return dict(enumerate(value)) if isinstance(value, tuple | list) else None


def is_record(value: Any) -> bool:
    """Whether a value is a named tuple or an instance of a dataclass."""
    if isinstance(value, tuple):
        return hasattr(value, "_fields") and hasattr(value, "_make")
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _flatten(name: str, value: Any, leaves: Leaves, around: tuple[int, ...]) -> tuple[Tree, bool]:
    """Return the tree of a value, and whether there is a numeric leaf in it."""
    start, items = len(leaves), items_of(value)
    if items is not None:
        if id(value) in around:
            raise UsageError(f"input {name} contains itself; expected a tree of arrays")
        form = ".{}" if is_record(value) else "[{!r}]"
        keys = tuple(items)
        paths = tuple(name + form.format(key) for key in keys)
        inner = (*around, id(value))
        inside = zip(paths, items.values(), strict=True)
        found = [_flatten(path, item, leaves, inner) for path, item in inside]
        children = tuple(child for child, _ in found)
        if any(numeric for _, numeric in found):
            ordered, keyed = not isinstance(value, Mapping), not isinstance(value, tuple | list)
            if is_record(value):
                ordered = keyed = True
            return Node(name, keys, paths, children, _builder(value, keys), ordered, keyed), True
        del leaves[start:]
    leaves.append((name, value))
    return start, is_numeric(value)


def _builder(value: Any, keys: tuple[Any, ...]) -> Callable[[list[Any]], Any]:
    """Return the function that makes a container like this one of other children."""
    kind = type(value)
    if kind is list:
        return list
    if isinstance(value, tuple):
        return kind._make if is_record(value) else kind
    if kind is dict:
        return lambda children: dict(zip(keys, children, strict=True))
    if isinstance(value, Mapping) and not isinstance(value, dict) and not is_record(value):
        try:
            kind(dict(value))
        except Exception:  # it has to be made in another way
            kind = dict
        return lambda children: kind(dict(zip(keys, children, strict=True)))

    def build(children: list[Any]) -> Any:
        # A subclass, or a dataclass, may have more to it than its constructor takes.
        twin = copy.copy(value)
        if isinstance(twin, list):
            twin[:] = children
        elif isinstance(twin, dict):
            twin.update(zip(keys, children, strict=True))
        else:
            for key, child in zip(keys, children, strict=True):
                object.__setattr__(twin, key, child)  # also where it is frozen
        return twin

    return build
