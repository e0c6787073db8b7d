"""Inputs and outputs that are not finite, around which nothing can be compared.

Such an entry of an input is a constant: it stays what it is wherever the function is evaluated. Such an
output is left out: it counts as zero, and so does its upstream gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array, Mask
from gradlab.words import counted


def not_finite(values: Mapping[int, npt.NDArray[Any]]) -> dict[int, Mask]:
    """Return which entries are not finite, of those arrays that have such entries."""
    finite = {i: np.asarray(np.isfinite(value)) for i, value in values.items()}
    return {i: ~mask for i, mask in finite.items() if np.count_nonzero(mask) < mask.size}


def without_value(given: Array, output: Array) -> Mask | None:
    """Return which outputs, seen in two dtypes, are to be left out; ``None`` where none or all would be.

    >>> some, none = np.array([1.0, np.inf, np.nan]), np.array([np.nan])
    >>> without_value(some, some), without_value(none, none)
    (array([False,  True,  True]), None)
    """
    known = np.isfinite(given)
    if output is not given:
        known &= np.isfinite(output)
    return ~known if 0 < np.count_nonzero(known) < known.size else None


def zeroed(parts: Sequence[Any], mask: Mask) -> list[Any]:
    """Return some arrays with zeros where a mask over all of them, flattened, says so."""
    ends = np.cumsum([np.size(part) for part in parts])[:-1]
    pairs = zip(parts, np.split(mask, ends), strict=True)
    return [np.where(own.reshape(np.shape(part)), np.zeros_like(part), part)[()] for part, own in pairs]


def about_entries(name: str, mask: Mask) -> str:
    """Say that entries of an input are not finite, and what is made of them.

    >>> about_entries("s", np.array([True, False]))
    '1 entry of s is not finite and was taken as a constant'
    """
    one = "is not finite and was taken as a constant"
    return (
        f"{_entries(name, mask)} {one if mask.sum() == 1 else 'are not finite and were taken as constants'}"
    )


def about_gradient(name: str, mask: Mask) -> str:
    """Say that entries of an input have no finite gradient, which was accepted as outputs were left out.

    >>> about_gradient("x", np.array([True, True]))
    'where outputs were left out, 2 entries of x have no finite gradient and were taken as constants'
    """
    one, more = "has no finite gradient and was taken as a constant", "have no finite gradient and were taken"
    what = one if mask.sum() == 1 else f"{more} as constants"
    return f"where outputs were left out, {_entries(name, mask)} {what}"


def about_outputs(mask: Mask) -> str:
    """Say that outputs are not finite, and what is made of them.

    >>> about_outputs(np.array([True, True, False]))
    '2 of 3 outputs are not finite and were left out'
    """
    count = int(mask.sum())
    is_, was = ("is", "was") if count == 1 else ("are", "were")
    return f"{count} of {counted(mask.size, 'output')} {is_} not finite and {was} left out"


def says_outputs_left_out(note: str) -> bool:
    """Whether a note is one of `about_outputs`."""
    return " outputs " in note and note.endswith("left out") and "not finite" in note


def _entries(name: str, mask: Mask) -> str:
    return f"{counted(int(mask.sum()), 'entry', 'entries')} of {name}"
