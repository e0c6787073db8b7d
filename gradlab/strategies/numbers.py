"""Readable numbers, all different: what most arrays are drawn from."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st

Shape: TypeAlias = tuple[int, ...]
Sizes: TypeAlias = Mapping[str, int]
Arrays: TypeAlias = st.SearchStrategy[Any]

LARGEST = 2  # of the readable numbers
BIT = st.booleans()


@functools.lru_cache
def below(bound: int) -> st.SearchStrategy[int]:
    """Draw an integer from zero up; kept, because a strategy costs more to make than to draw from."""
    return st.integers(0, bound - 1)


@functools.lru_cache
def distinct(shape: Shape, *, signed: bool) -> Arrays:
    """Draw arrays of readable numbers other than zero, all different."""
    # Multiples of a power of two, 1/16 where there is room, are exact in every floating dtype.
    points = grid(-2 * LARGEST, 2 * LARGEST, 2 * steps(shape))
    return sample(shape, tuple(v for v in points if abs(v) <= LARGEST and (signed or v > 0)))


@functools.lru_cache
def sample(shape: Shape, values: Sequence[float], *, unique: bool = True) -> Arrays:
    """Draw arrays of some of these values, all different if asked to, the first of them the simplest.

    As ``hypothesis.extra.numpy.arrays`` does, which makes its strategies anew for each array.
    """
    size, dtype = math.prod(shape), np.asarray(values).dtype
    drawn = st.lists(st.sampled_from(values), min_size=size, max_size=size, unique=unique)
    return drawn.map(lambda entries: np.array(entries, dtype=dtype).reshape(shape))


@functools.lru_cache
def grid(low: float, high: float, steps: int) -> tuple[float, ...]:
    """Return the points strictly between two bounds that are not zero, the simplest first."""
    points = {low + (high - low) * k / steps for k in range(1, steps)}
    return tuple(sorted((v for v in points if low < v < high and v), key=_simplest_first))


def steps(shape: Shape) -> int:
    """Return how many steps a grid has that leaves plenty of room for an array of this shape."""
    return max(64, 4 << int(np.prod(shape)).bit_length())


def _simplest_first(value: float) -> tuple[int, float, bool]:
    return Fraction(value).denominator, abs(value), value < 0
