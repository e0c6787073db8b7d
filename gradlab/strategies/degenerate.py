"""Ways to make a drawn array degenerate: ties, zeros, large and tiny numbers, memory that is not contiguous.

Each takes ``draw``, with which it makes its choices, and an array that it may keep but not write to. It
alters an array that was drawn as any other: a degenerate point therefore costs Hypothesis more choices than
the plain one that it came from, and a failure that does not need it shrinks to the plain one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from gradlab.point.values import strided
from gradlab.strategies.numbers import BIT, below

Array: TypeAlias = npt.NDArray[Any]
Alteration: TypeAlias = Callable[[st.DrawFn, Array], Array]

# Powers of two keep numbers readable and exact. Upwards, exp of a sum of a few of them must stay finite, and
# tanh must not come so close to 1 that 1 − tanh² has no digits left. Half of the draws are upwards.
POWERS = (2, -1, 2, -4, 2, -10)


def ties(draw: st.DrawFn, array: Array) -> Array:
    """Leave one or two different values.

    >>> from hypothesis import find
    >>> find(st.composite(ties)(np.array([1.0, 2.0, 3.0])), lambda x: True)
    array([1., 1., 1.])
    """
    if array.size < 2:
        return array
    one, other = array.flat[0], array.flat[draw(below(array.size))]
    if one == other:
        return np.full_like(array, one)
    return np.asarray(np.where(_some(draw, array.shape), other, one))


def zeros(draw: st.DrawFn, array: Array) -> Array:
    """Set one, some or all entries to zero."""
    return set_some(draw, array, 0)


def magnitude(draw: st.DrawFn, array: Array) -> Array:
    """Multiply all entries, or some, by a power of two."""
    scaled = array * power(draw)
    return scaled if draw(BIT) else np.where(_some(draw, array.shape), scaled, array)


def power(draw: st.DrawFn) -> float:
    """Draw one of a few powers of two."""
    return float(2.0 ** POWERS[draw(below(len(POWERS)))])


def layout(draw: st.DrawFn, array: Array) -> Array:
    """Give an array with the same entries whose memory is not in C order, or not contiguous.

    >>> from hypothesis import find
    >>> find(st.composite(layout)(np.ones((2, 3))), lambda x: True).flags.c_contiguous
    False
    """
    if array.ndim == 0:
        return array
    kinds: list[Callable[[Array], Array]] = [strided, _backwards]
    if array.ndim > 1:
        kinds.insert(0, np.asfortranarray)
    rearranged: Array = kinds[draw(below(len(kinds)))](array)
    return rearranged


def set_some(draw: st.DrawFn, array: Array, value: Any) -> Array:
    """Set one, some or all entries to a value; which ones is drawn."""
    if draw(below(4)) == 3:
        return np.full_like(array, value)
    return np.where(_some(draw, array.shape), np.asarray(value, dtype=array.dtype), array)


def _some(draw: st.DrawFn, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Draw at least one entry, else about half of them."""
    size = int(np.prod(shape))
    if not size:
        return np.zeros(shape, dtype=bool)
    mask = np.array([draw(BIT) for _ in range(size)])
    mask[draw(below(size))] = True
    return mask.reshape(shape)


def _backwards(array: Array) -> Array:
    return np.ascontiguousarray(array[::-1])[::-1]
