"""Where a layer keeps its parameters and their gradients: attributes, containers, objects that hold one each.

A parameter is named by the attribute that holds it; its gradient stands in another, whose name is one of the
usual ones (`gradient_names`) where nobody says it.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradlab.errors import UsageError, is_deliberate
from gradlab.point.paths import NOTHING, at, attributes_of
from gradlab.point.state import Attribute, Slot, State, put
from gradlab.point.trees import items_of
from gradlab.point.values import describe, is_floating, same

__tracebackhide__ = is_deliberate

DATA, GRAD = ("data", "value"), "grad"  # what an object that holds one parameter calls its two arrays
# What people call the gradient of something, the most usual first.
FORMS = (
    *("d{}", "dLd{}", "d_{}", "grad_{}", "{}_grad", "grad{}", "{}grad", "dL_d{}", "delta_{}", "{}_gradient"),
    *("nabla_{}", "dJd{}", "dJ_d{}"),
)
SINGULAR = {"weights": "weight", "biases": "bias"}  # dweight, of weights
BESIDE = {**dict.fromkeys(DATA, (GRAD,)), "params": ("grads",)}


def gradient_names(name: str) -> list[str]:
    """Return what people call the gradient of something, the most usual first.

    >>> gradient_names("W")[:6]
    ['dW', 'dLdW', 'd_W', 'grad_W', 'W_grad', 'gradW']
    """
    under, bare = ("_" if name.startswith("_") else ""), name.removeprefix("_")
    bases = [bare, *([SINGULAR[bare]] if bare in SINGULAR else [])]
    prefixes = dict.fromkeys((under, ""))
    return [prefix + form.format(base) for prefix in prefixes for base in bases for form in FORMS]


def twin_names(name: str) -> list[str]:
    """Return what may hold the gradient of something beside it, also where both have names of their own.

    >>> twin_names("data")[-1], twin_names("params")[-1]
    ('grad', 'grads')
    """
    return [*gradient_names(name), *BESIDE.get(name, ())]


def names_of_attributes(given: Any, what: str) -> tuple[str, ...]:
    """Return what an option of that name names, as a tuple; refuse what is no name."""
    names = (given,) if isinstance(given, str) else given
    if not (isinstance(names, tuple | list) and all(isinstance(name, str) for name in names)):
        raise UsageError(f"{what} is {describe(given)}; expected the name of an attribute, or several")
    return tuple(names)


class Places:
    """A tree of parameters where something holds it, to be moved there.

    Parameters
    ----------
    tree : object
        The parameters.
    state : State
        Of what holds them: arrays of another dtype can only be put in the place of these.
    slot : pair, optional
        What holds the tree itself, where that is a single number.

    Raises
    ------
    UsageError
        When what is written to the tree would not reach what holds it.
    """

    def __init__(self, tree: Any, state: State, slot: Slot | None = None) -> None:
        self._slots, self._state = list(leaves(tree, slot)), state
        self._references: dict[int, list[Slot]] = {}
        for leaf, place in self._slots:
            if isinstance(leaf, np.ndarray) and not state.reaches(leaf):
                raise UsageError(
                    "the parameters are copies of what is used: moving them would show nothing; expected the "
                    "arrays themselves, or the names of the attributes that hold them"
                )
            if is_floating(leaf) and not isinstance(leaf, np.ndarray) and place is None:
                raise UsageError(
                    "a parameter is a number that cannot be replaced; expected an array of shape ()"
                )

    def write(self, tree: Any) -> None:
        """Put other values there: into the same arrays, where they have the same dtype."""
        for (held, slot), (new, _) in zip(self._slots, leaves(tree), strict=True):
            if isinstance(held, np.ndarray) and held.dtype == new.dtype and held.flags.writeable:
                held[...] = new
            elif isinstance(held, np.ndarray) and held.dtype.kind == "f":
                if id(held) not in self._references:  # what a class holds, its instance can hold instead
                    found = self._state.references(held)
                    self._references[id(held)] = found or [place for place in (slot,) if place is not None]
                for reference in self._references[id(held)]:
                    put(reference, new)
            elif is_floating(held) and slot is not None:
                put(slot, new)


def read_back(written: Any, now: Any) -> None:
    """Write to the arrays of a tree that was put somewhere what stands there now, if that is another."""
    for (new, _), (held, _) in zip(leaves(written), leaves(now), strict=False):
        if isinstance(new, np.ndarray) and new is not held and not same(new, held):
            new[...] = held if np.shape(held) == new.shape else np.nan


def tree_at(layer: Any, path: str, pairs: bool, which: int, default: Any = None) -> Any:
    """Return what stands at a path: a tree, what a method returns, or one side of pairs."""
    value = at(layer, path)
    if value is NOTHING:
        if default is not None:
            return default
        known = ", ".join(attributes_of(layer)) or "none"
        raise UsageError(f"{describe(layer)} has no attribute {path!r}; its attributes are {known}")
    if callable(value):
        value = value()
        value = value if isinstance(value, np.ndarray | Mapping | tuple | list) else list(value)
    return [pair[which] for pair in value] if pairs else value


def leaves(value: Any, slot: Slot | None = None) -> Iterator[tuple[Any, Slot | None]]:
    """Yield the leaves of a tree, each with the place at which another can be put, if there is one."""
    items = items_of(value)
    name = _data_name(value)
    if name is not None:
        yield from leaves(getattr(value, name), (Attribute(value), name))
    elif items is None:
        yield value, slot
    else:
        holds = value if isinstance(value, dict | list) else Attribute(value)
        for key, item in items.items():
            yield from leaves(item, None if isinstance(value, tuple) else (holds, key))


def _data_name(value: Any) -> str | None:
    """Return which attribute holds the array of an object such as ``Parameter(data, grad)``."""
    if isinstance(value, np.ndarray | np.generic) or not hasattr(value, GRAD):
        return None
    return next((name for name in DATA if hasattr(value, name)), None)


def plain(value: Any) -> Any:
    """Return a tree with objects that hold a parameter replaced by what they hold, under the same name."""
    name, items = _data_name(value), items_of(value)
    if name is not None:
        return namedtuple("Parameter", [name])(plain(getattr(value, name)))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if items is None or type(value) not in (tuple, list):
        return value
    return type(value)(map(plain, value))


def of_objects(value: Any) -> Any:
    """Return the gradients that objects such as ``Parameter(data, grad)`` hold."""
    items = items_of(value)
    if _data_name(value) is not None:
        return {_data_name(value): getattr(value, GRAD)}
    if not items or not isinstance(value, dict | list | tuple):
        return NOTHING
    found = {key: of_objects(item) for key, item in items.items()}
    if any(gradient is NOTHING for gradient in found.values()):
        return NOTHING
    return found if isinstance(value, dict) else list(found.values())


def attribute_of(owner: Any, names: Sequence[str], default: Any = None) -> Any:
    """Return the first gradient that an object, or a dict, keeps under one of some names, such as ``dW``."""
    for name in names:
        value = owner.get(name) if isinstance(owner, dict) else getattr(owner, name, None)
        if value is not None and not callable(value):
            return value
    return default


def picked(found: Mapping[Any, Any], name: str, position: int | None = None) -> Any:
    """Return the gradient of a parameter from a dict, by its name or a usual one, or from a list."""
    keys = [key for key in (name, *gradient_names(name), position) if key in found]
    return found[keys[0]] if keys else NOTHING


def renamed(found: Any, value: Any) -> Any:
    """Return gradients under the parameters' own keys, where they have names such as ``dW1``."""
    if not isinstance(found, Mapping) or not isinstance(value, Mapping) or set(found) & set(value):
        return found
    named = {key: picked(found, key) for key in value if isinstance(key, str)}
    named = {key: gradient for key, gradient in named.items() if gradient is not NOTHING}
    return named or found


def grouped(returned: Sequence[Any], values: Sequence[Any], count: int) -> Any:
    """Return gradients that stand one by one behind those of the inputs, as the parameters are nested.

    >>> grouped([10, 20, 30], [{"W": 1.0, "b": 2.0}], 1)
    (10, {'W': 20, 'b': 30})
    """
    own = [sum(1 for _ in leaves(value)) for value in values]
    first = len(returned) - sum(own)
    if len(returned) <= len(values) + count or first < 0:
        return tuple(returned)
    rest = iter(returned[first:])
    return (*returned[:first], *(_filled(value, rest) for value in values))


def _filled(value: Any, rest: Iterator[Any]) -> Any:
    items = items_of(value)
    if items is None:
        return next(rest)
    filled = {key: _filled(item, rest) for key, item in items.items()}
    return filled if isinstance(value, Mapping) else tuple(filled.values())
