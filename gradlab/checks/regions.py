"""Sets of entries in words: ``w[:, 37]``, ``x[-1]``, "every entry", "the 3 entries where x == 0"."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Mask

ENOUGH = 4  # entries, for the largest to be a special one
FEWEST = 3  # indices that are called a step
LISTED = 3  # single entries that are named one by one


def describe_region(name: str, mask: Mask, values: npt.NDArray[np.inexact] | None = None) -> str:
    """Return in words which entries of an array a mask marks.

    What the index tells comes first (a slice of each axis, a diagonal, a triangle), then what the values tell
    (zeros, ties, signs, extremes), then a list.

    Parameters
    ----------
    name : str
        The array's name.
    mask : array of bool
        In the array's shape.
    values : array, optional
        The array.

    Examples
    --------
    >>> marked = np.zeros((4, 6), dtype=bool)
    >>> marked[:, 2] = True
    >>> describe_region("w", marked)
    'w[:, 2]'
    >>> describe_region("x", np.array([True, False, True, False]), np.array([0.0, 1.0, 0.0, 2.0]))
    'the 2 entries where x == 0'
    """
    if not mask.any():
        return ""
    if mask.all():
        return "every entry"
    count = int(mask.sum())
    block, part = _block(mask), _matrix_part(mask)
    special = next(special_values(name, mask, values), "") if values is not None else ""
    if special and count > 1 and not part and (block is None or ":" not in block.split(", ")):
        return f"the {count} entries {special}"
    if block is not None:
        return f"{name}[{block}]" + (f", the one entry {special}" if special and count == 1 else "")
    if part:
        return f"{part} of {name}"
    indices = [tuple(int(k) for k in index) for index in np.argwhere(mask)[:LISTED]]
    listed = ", ".join(f"{name}[{', '.join(map(str, index))}]" for index in indices)
    return listed if count <= LISTED else f"{listed} and {count - LISTED} more"


def describe_parts(name: str, mask: Mask, values: npt.NDArray[np.complexfloating] | None = None) -> str:
    """Return in words which real and imaginary parts of a complex array a mask of pairs marks.

    >>> marked = np.zeros((4, 2), dtype=bool)
    >>> marked[:, 1] = True
    >>> describe_parts("z", marked)
    'the imaginary part of every entry'
    """
    both, either = np.asarray(mask.all(axis=-1)), np.asarray(mask.any(axis=-1))
    if np.array_equal(both, either):
        return describe_region(name, both, values)
    for k, part in enumerate(("real", "imaginary")):
        if not mask[..., 1 - k].any():
            return f"the {part} part of {describe_region(name, mask[..., k], values)}"
    return f"parts of {describe_region(name, either, values)}"


def special_values(name: str, mask: Mask, values: npt.NDArray[np.inexact]) -> Iterator[str]:
    """Yield in words each property of the values that the marked entries have, and no others.

    >>> list(special_values("x", np.array([True, False, True, False]), np.array([2.0, 1.0, 2.0, 0.0])))
    ['where x is tied', 'where x is largest']
    """
    properties = {f"where {name} == 0": values == 0, f"where {name} is tied": tied(values)}
    if values.size >= ENOUGH:  # of two entries, one is always the larger
        size, called = (np.abs(values), f"abs({name})") if np.iscomplexobj(values) else (values, name)
        properties[f"where {called} is largest"] = size == size.max()
        properties[f"where {called} is smallest"] = size == size.min()
    if mask.sum() > 1 and not np.iscomplexobj(values):
        properties[f"where {name} > 0"], properties[f"where {name} < 0"] = values > 0, values < 0
    yield from (words for words, has in properties.items() if np.array_equal(has, mask))


def tied(values: npt.NDArray[np.inexact]) -> Mask:
    """Return which entries equal another one.

    >>> tied(np.array([1.0, 2.0, 1.0]))
    array([ True, False,  True])
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse].reshape(values.shape) > 1)


def _block(mask: Mask) -> str | None:
    """Return the index expression of a mask that is a slice of every axis, such as ``:, 37``."""
    marked = [np.flatnonzero(mask.any(axis=_others(mask.ndim, axis))) for axis in range(mask.ndim)]
    if int(mask.sum()) != int(np.prod([len(indices) for indices in marked])):
        return None
    slices = [_slice(indices, length) for indices, length in zip(marked, mask.shape, strict=True)]
    return ", ".join(s for s in slices if s is not None) if all(slices) else None


def _others(ndim: int, axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(ndim) if other != axis)


def _slice(indices: npt.NDArray[np.intp], length: int) -> str | None:
    """Return ``:``, ``7``, ``-1``, ``2:5`` or ``::2``; ``None`` for what is no slice."""
    first, last, count = int(indices[0]), int(indices[-1]), len(indices)
    if count == length:
        return ":"
    if count == 1:
        return "-1" if first == length - 1 else str(first)
    steps = np.diff(indices)
    step = int(steps[0])
    if (steps != step).any() or (step > 1 and count < FEWEST):
        return None
    start = str(first) if first else ""
    stop = "" if last + step >= length else str(last + 1)
    return f"{start}:{stop}" + (f":{step}" if step > 1 else "")


def _matrix_part(mask: Mask) -> str:
    if mask.ndim != 2:
        return ""
    rows, columns = np.indices(mask.shape)
    below, above = np.asarray(rows > columns), np.asarray(rows < columns)
    parts: dict[str, Mask] = {
        "the diagonal": ~(below | above),
        "all but the diagonal": below | above,
        "the upper triangle": ~below,
        "the lower triangle": ~above,
        "the part above the diagonal": above,
        "the part below the diagonal": below,
    }
    return next((words for words, part in parts.items() if np.array_equal(part, mask)), "")
