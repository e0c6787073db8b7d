"""Softmax over the last axis.

::

    Y_k = exp(Z_k) / Σ_j exp(Z_j)            dL/dZ = Y ∘ (dL/dY − Σ_k dL/dY_k Y_k)
                                             Ẏ = Y ∘ (Ż − Σ_k Ż_k Y_k)

Every row is a Jacobian ``diag(Y) − Y Yᵀ`` of its own; the second term, with the sum over the row, is the
one that is easily forgotten. It is symmetric, and so backward and jvp are the same formula.
"""

from __future__ import annotations

import numpy as np

from gradlab.rule import Rule
from gradlab.rules._jacobians import Array
from gradlab.strategies import inputs


def forward(z: Array) -> tuple[Array, Array]:
    """Return ``Y = softmax(Z)``, and ``Y`` once more to keep for the way back.

    The largest entry is subtracted first, which changes nothing but keeps ``exp`` from overflowing.

    >>> forward(np.array([0.0, 1000.0]))[0]
    array([0., 1.])
    """
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, y


def backward(dy: Array, y: Array) -> Array:
    """Return ``dL/dZ = Y ∘ (dL/dY − Σ_k dL/dY_k Y_k)``."""
    dz: Array = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    return dz


def jvp(z_dot: Array, y: Array) -> Array:
    """Return ``Ẏ = Y ∘ (Ż − Σ_k Ż_k Y_k)``."""
    y_dot: Array = y * (z_dot - (z_dot * y).sum(axis=-1, keepdims=True))
    return y_dot


def jacobian(z: Array) -> tuple[Array]:
    """Return ``dY/dZ`` of shape (N, C, N, C): ``δ_nm (δ_ck Y[n, c] − Y[n, c] Y[n, k])``."""
    y, _ = forward(z)
    rows, classes = np.eye(y.shape[0]), np.eye(y.shape[1])
    same = np.einsum("nm,ck,nc->ncmk", rows, classes, y)
    return (same - np.einsum("nm,nc,nk->ncmk", rows, y, y),)


RULE = Rule("softmax", forward, backward, inputs("(n,c)"), cached=True, jvp=jvp, jacobian=jacobian)
