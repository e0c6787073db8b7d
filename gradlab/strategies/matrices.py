"""Symmetric matrices, and positive definite ones, and how they are made degenerate without ceasing to be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from gradlab.strategies import degenerate
from gradlab.strategies.degenerate import Alteration, Array
from gradlab.strategies.numbers import LARGEST, Arrays, Shape, Sizes, distinct, grid, sample
from gradlab.strategies.signature import Core


def symmetric(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw symmetric matrices of readable numbers, and stacks of them.

    Whatever is drawn, the forward function is differentiated with respect to every entry by itself: one that
    reads only a triangle, as a Cholesky factorization does, should make its argument symmetric first.

    >>> from hypothesis import find
    >>> find(symmetric((2, 2)), lambda a: True)
    array([[ 1.,  2.],
           [ 2., -2.]])
    """
    return distinct(shape, signed=True).map(mirrored)


def spd(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw symmetric positive definite matrices, and stacks of them, all well conditioned.

    The diagonal is between 1 and 2. The entries beside it are so small that their sum along a row is below 1,
    hence no eigenvalue is below ``1 / n``.

    >>> from hypothesis import find
    >>> find(spd((2, 2)), lambda a: True)
    array([[1.  , 0.25],
           [0.25, 1.  ]])
    """
    n = shape[-1]
    from_one = tuple(v for v in grid(0, 2 * LARGEST, 64) if 1 <= v <= LARGEST)
    room = LARGEST * 2.0 ** n.bit_length()
    diagonal = sample(shape[:-1], from_one, unique=False)

    def matrix(drawn: tuple[Array, Array]) -> Array:
        beside, on = drawn
        return np.where(np.eye(n, dtype=bool), on[..., None], mirrored(beside) / room)

    return st.tuples(distinct(shape, signed=True), diagonal).map(matrix)


def mirrored(a: Array) -> Array:
    """Return symmetric matrices with the lower triangles of these."""
    return np.tril(a) + np.tril(a, -1).swapaxes(-1, -2)


def not_square(core: Core, names: Sequence[str]) -> str:
    """Say what is wrong with the dimensions of a matrix; nothing where the last two are the same."""
    if len(core) >= 2 and core[-1] == core[-2]:
        return ""
    return f"a matrix that is symmetric has dimensions such as (n,n), not ({','.join(core)})"


def _tied_definite(draw: st.DrawFn, a: Array) -> Array:
    """Give matrices one value on the diagonal and one beside it: eigenvalues that coincide."""
    on = np.broadcast_to(a[..., :1, :1], a.shape)
    return np.where(np.eye(a.shape[-1], dtype=bool), on, np.broadcast_to(a[..., -1:, :1], a.shape))


def _without_some_beside(draw: st.DrawFn, a: Array) -> Array:
    thinned = mirrored(degenerate.zeros(draw, a))
    return np.where(np.eye(a.shape[-1], dtype=bool), a, thinned)


def _scaled_as_a_whole(draw: st.DrawFn, a: Array) -> Array:
    return a * degenerate.power(draw)


DEFINITE: dict[str, Alteration] = {
    "ties": _tied_definite,
    "zeros": _without_some_beside,
    "magnitude": _scaled_as_a_whole,
}
