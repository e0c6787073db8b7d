"""Numbers that are drawn: of either sign, none of them small, none of them on a grid."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array

Seed: TypeAlias = int | tuple[int, ...]

SHORT = 1000  # entries, up to which what takes longer to make than to keep is kept


def drawn_upstream(seed: Seed, size: int) -> Array:
    """Draw an upstream gradient, the same each time for a seed."""
    return _kept(seed, size).copy() if size <= SHORT else _drawn(seed, size)


def _drawn(seed: Seed, size: int) -> Array:
    return drawn_like(np.empty(size), np.random.default_rng(seed))


_kept = lru_cache(maxsize=64)(_drawn)


def drawn_like(x: npt.NDArray[Any], rng: np.random.Generator) -> Array:
    """Draw numbers between 1 and 2 of either sign, none of them on a grid, in the shape of an array."""
    drawn = np.asarray(rng.random(x.shape) + 1)
    drawn *= 2 * np.asarray(rng.integers(2, size=x.shape)) - 1  # `choice` takes twice as long
    return drawn
