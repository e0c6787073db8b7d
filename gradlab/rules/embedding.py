"""The embedding: rows of a table, looked up by integers.

::

    Y[b] = C[i_b]            dL/dC[v] = Σ_{b : i_b = v} dL/dY[b]            Ẏ[b] = Ċ[i_b]

A row that is looked up twice gets both contributions: the backward rule adds, where assigning would keep
only the last.
"""

from __future__ import annotations

import numpy as np

from gradlab.rule import Rule
from gradlab.rules._jacobians import Array
from gradlab.strategies import inputs, labels, reals


def forward(table: Array, index: Array) -> Array:
    """Return ``Y = C[i]``.

    Parameters
    ----------
    table : (V, E)
        One row for each word.
    index : (N, K) integers
        The words, in ``0 … V − 1``; the output has shape (N, K, E).
    """
    return table[index]


def backward(dy: Array, table: Array, index: Array) -> Array:
    """Return ``dL/dC`` of shape (V, E): the upstream gradients of each row's occurrences, added up.

    >>> backward(np.array([[[1.0], [2.0]]]), np.zeros((3, 1)), np.array([[1, 1]])).ravel()
    array([0., 3., 0.])
    """
    dtable = np.zeros_like(table)
    np.add.at(dtable, index, dy)
    return dtable


def jvp(tangents: tuple[Array, None], table: Array, index: Array) -> Array:
    """Return ``Ẏ = Ċ[i]``, for tangents ``(Ċ, None)``: the indices do not move."""
    table_dot, _ = tangents
    return table_dot[index]


def jacobian(table: Array, index: Array) -> tuple[Array]:
    """Return ``dY/dC`` of shape (N, K, E, V, E): ``δ(i[n, k], v) δ_ef``."""
    chosen, columns = np.eye(table.shape[0])[index], np.eye(table.shape[1])
    return (np.einsum("nkv,ef->nkevf", chosen, columns),)


RULE = Rule(
    "embedding",
    forward,
    backward,
    inputs("(v,e),(n,k)", elements=(reals, labels("v"))),
    jvp=jvp,
    jacobian=jacobian,
)
