r"""The directions in which an input may move where not every array of its shape is allowed.

A projection ``(x, d) -> d`` takes a displacement ``d`` of an input ``x`` to one along which ``x`` keeps what
it is, to first order: a symmetric matrix symmetric, a unit vector of length one. With
``gradcheck(..., tangents={"a": symmetric})`` forward and backward are compared along such directions alone:
of a gradient, only what it says of them is defined.

::

    symmetric    (d + dᵀ) / 2                    the last two axes
    triangular   the entries of the triangle     the last two axes
    unit         d − x ⟨x, d⟩ / ⟨x, x⟩           the last axis
    simplex      d − x Σ d / Σ x                 the last axis
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["simplex", "symmetric", "triangular", "unit"]


def symmetric(x: npt.NDArray[Any], d: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the symmetric part of a displacement of matrices, ``(d + dᵀ) / 2``.

    Parameters
    ----------
    x : array, shape (..., n, n)
        The point.
    d : array, shape (..., n, n)
        A displacement.

    Returns
    -------
    array, shape (..., n, n)

    Examples
    --------
    >>> symmetric(np.eye(2), np.array([[0.0, 2.0], [0.0, 0.0]]))
    array([[0., 1.],
           [1., 0.]])
    """
    return np.asarray((d + np.swapaxes(d, -1, -2)) / 2)


def triangular(x: npt.NDArray[Any], d: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a displacement inside the triangle that matrices fill: the upper one, or else the lower.

    Parameters
    ----------
    x : array, shape (..., m, n)
        The point, lower or upper triangular; of a diagonal matrix, the triangle is the lower one.
    d : array, shape (..., m, n)
        A displacement.

    Returns
    -------
    array, shape (..., m, n)

    Examples
    --------
    >>> triangular(np.array([[1.0, 0.0], [3.0, 2.0]]), np.ones((2, 2)))
    array([[1., 0.],
           [1., 1.]])
    """
    upper = not np.tril(x, -1).any() and np.triu(x, 1).any()
    return np.triu(d) if upper else np.tril(d)


def unit(x: npt.NDArray[Any], d: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a displacement along the sphere, ``d − x ⟨x, d⟩ / ⟨x, x⟩``.

    Parameters
    ----------
    x : array, shape (..., n)
        Unit vectors, or others that keep their length.
    d : array, shape (..., n)
        A displacement.

    Returns
    -------
    array, shape (..., n)

    Examples
    --------
    >>> unit(np.array([1.0, 0.0]), np.array([2.0, 3.0]))
    array([0., 3.])
    """
    along = np.sum(x * d, axis=-1, keepdims=True) / np.sum(x * x, axis=-1, keepdims=True)
    return np.asarray(d - x * along)


def simplex(x: npt.NDArray[Any], d: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a displacement of probabilities that keeps their sum, ``d − x Σ d / Σ x``.

    What an entry gains is taken from all in proportion to what they have, so that none that is zero becomes
    negative.

    Parameters
    ----------
    x : array, shape (..., n)
        Probabilities, which sum to one.
    d : array, shape (..., n)
        A displacement.

    Returns
    -------
    array, shape (..., n)

    Examples
    --------
    >>> simplex(np.array([0.25, 0.75, 0.0]), np.array([0.0, 0.0, 1.0]))
    array([-0.25, -0.75,  1.  ])
    """
    return np.asarray(d - x * (np.sum(d, axis=-1, keepdims=True) / np.sum(x, axis=-1, keepdims=True)))
