"""Whose classes an object is of: a library's own hold nothing of those who call it."""

from __future__ import annotations

import sys
from typing import Any

# What these packages define is no container of somebody's parameters or state: a path, a date, a logger.
LIBRARIES = sys.stdlib_module_names | {"numpy", "scipy", "pytest", "_pytest", "pluggy", "hypothesis"}
HOLDING = {"types"}  # of these, some are: SimpleNamespace


def is_of_a_library(value: Any) -> bool:
    """Whether an object is of a class of a library that holds nothing of its user's.

    >>> from types import SimpleNamespace
    >>> is_of_a_library(sys.stdout), is_of_a_library(SimpleNamespace(W=1.0))
    (True, False)
    """
    return type(value).__module__.partition(".")[0] in LIBRARIES - HOLDING
