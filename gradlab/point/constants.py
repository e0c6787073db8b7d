"""Which inputs are certain to be constants: what else might hold arrays is refused, not taken for one."""

from __future__ import annotations

import enum
import functools
import inspect
from typing import Any

import numpy as np

from gradlab.point.libraries import is_of_a_library
from gradlab.point.trees import items_of

ATOMS = (str, bytes, bool, int, float, np.generic, np.ndarray, type(None), type, enum.Enum)


def is_constant(value: Any) -> bool:
    """Whether a value that is not differentiated is certain to hold nothing that could be.

    >>> is_constant("relu"), is_constant(np.tanh), is_constant((2, None))
    (True, True, True)
    >>> class Params:
    ...     def __init__(self):
    ...         self.W = np.ones(2)
    >>> is_constant(Params()), is_constant({"layer": Params()})
    (False, False)
    """
    if isinstance(value, ATOMS) or inspect.isroutine(value):
        return True
    items = items_of(value)
    if items is not None:
        return all(map(is_constant, items.values()))
    if isinstance(value, set | frozenset):
        return all(map(is_constant, value))
    if isinstance(value, functools.partial):
        return True
    if is_of_a_library(value) or not _has_attributes(value):
        return True
    return callable(value) and not any(
        isinstance(held, np.ndarray) for held in getattr(value, "__dict__", {}).values()
    )


def _has_attributes(value: Any) -> bool:
    return hasattr(value, "__dict__") or any("__slots__" in vars(kind) for kind in type(value).__mro__)
