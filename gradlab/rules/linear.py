"""The linear map of a batch of rows.

::

    Y = X W                dL/dX = dL/dY · Wᵀ                Ẏ = Ẋ W + X Ẇ
                           dL/dW = Xᵀ · dL/dY

with X (N, D), W (D, M), Y (N, M).
"""

from __future__ import annotations

import numpy as np

from gradlab.rule import Rule
from gradlab.rules._jacobians import Array
from gradlab.strategies import inputs


def forward(x: Array, w: Array) -> Array:
    """Return ``Y = X W``.

    Parameters
    ----------
    x : (N, D)
    w : (D, M)
    """
    return x @ w


def backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Return ``dL/dX = dL/dY · Wᵀ`` of shape (N, D) and ``dL/dW = Xᵀ · dL/dY`` of shape (D, M).

    >>> backward(np.array([[1.0]]), np.array([[2.0, 3.0]]), np.array([[4.0], [5.0]]))
    (array([[4., 5.]]), array([[2.],
           [3.]]))
    """
    return dy @ w.T, x.T @ dy


def jvp(tangents: tuple[Array, Array], x: Array, w: Array) -> Array:
    """Return ``Ẏ = Ẋ W + X Ẇ`` of shape (N, M), for tangents ``(Ẋ, Ẇ)``.

    >>> jvp((np.array([[1.0, 0.0]]), np.zeros((2, 1))), np.array([[2.0, 3.0]]), np.array([[4.0], [5.0]]))
    array([[4.]])
    """
    x_dot, w_dot = tangents
    y_dot: Array = x_dot @ w + x @ w_dot
    return y_dot


def jacobian(x: Array, w: Array) -> tuple[Array, Array]:
    """Return the two full Jacobians, of shapes (N, M, N, D) and (N, M, D, M).

    ``dY[n, m] / dX[i, d] = δ_ni W[d, m]`` and ``dY[n, m] / dW[d, k] = X[n, d] δ_mk``.
    """
    rows, columns = np.eye(x.shape[0]), np.eye(w.shape[1])
    return np.einsum("ni,dm->nmid", rows, w), np.einsum("nd,mk->nmdk", x, columns)


RULE = Rule("linear", forward, backward, inputs("(n,d),(d,m)"), jvp=jvp, jacobian=jacobian)
