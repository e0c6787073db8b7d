"""Explicit Jacobians: the shapes that several rules share."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


def elementwise(slope: Array) -> Array:
    """Return the Jacobian of ``Y = f(X)`` applied entry by entry: zero off the diagonal.

    Parameters
    ----------
    slope : array of any shape
        ``f'(X)``.

    Returns
    -------
    array of shape ``(*slope.shape, *slope.shape)``

    Examples
    --------
    >>> elementwise(np.array([2.0, 3.0]))
    array([[2., 0.],
           [0., 3.]])
    """
    return np.diag(slope.ravel()).reshape(slope.shape * 2)


def chain(outer: Array, inner: Array, *, middle: int) -> Array:
    """Multiply two Jacobians: the chain rule ``dZ/dX = dZ/dY · dY/dX`` with nothing left out.

    Parameters
    ----------
    outer : array of shape ``(*Z.shape, *Y.shape)``
    inner : array of shape ``(*Y.shape, *X.shape)``
    middle : int
        The number of axes of ``Y``, over which the product is summed.

    Returns
    -------
    array of shape ``(*Z.shape, *X.shape)``

    Examples
    --------
    >>> chain(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), middle=1)
    array([[11.]])
    """
    return np.tensordot(outer, inner, axes=middle)
