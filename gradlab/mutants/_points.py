"""Drawing points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Point: TypeAlias = Callable[[np.random.Generator], tuple[Any, ...]]


def normal(*shapes: tuple[int, ...]) -> Point:
    """Return a point of normally distributed arrays.

    >>> x, w = normal((2, 3), (3,))(np.random.default_rng(0))
    >>> x.shape, w.shape
    ((2, 3), (3,))
    """
    return lambda rng: tuple(np.asarray(rng.normal(size=shape)) for shape in shapes)


def nonzero(rng: np.random.Generator, *shape: int) -> Array:
    """Draw numbers of either sign whose size is between ½ and 2."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 2, shape)


def around(kink: float, rng: np.random.Generator, *shape: int) -> Array:
    """Draw numbers on both sides of a kink, the first three at it and 1e-7 beside it on either side."""
    x = kink + nonzero(rng, *shape)
    x.flat[:3] = kink, kink + 1e-7, kink - 1e-7
    return x


def labels_with_duplicates(rng: np.random.Generator, classes: int, *shape: int) -> Array:
    """Draw indices below ``classes``, of which the first and the last are equal."""
    index = rng.integers(classes, size=shape)
    index.flat[-1] = index.flat[0]
    return index
