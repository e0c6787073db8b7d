"""The hyperbolic tangent, entry by entry.

::

    Y = tanh(X)            dL/dX = dL/dY ∘ (1 − Y²)            Ẏ = (1 − Y²) ∘ Ẋ

The derivative needs only the output, which is therefore what forward keeps.
"""

from __future__ import annotations

import numpy as np

from gradlab.rule import Rule
from gradlab.rules._jacobians import Array, elementwise
from gradlab.strategies import inputs


def forward(x: Array) -> tuple[Array, Array]:
    """Return ``Y = tanh(X)``, and ``Y`` once more to keep for the way back."""
    y = np.tanh(x)
    return y, y


def backward(dy: Array, y: Array) -> Array:
    """Return ``dL/dX = dL/dY ∘ (1 − Y²)``.

    >>> backward(np.array([2.0]), np.array([0.5]))
    array([1.5])
    """
    dx: Array = dy * (1 - y**2)
    return dx


def jvp(x_dot: Array, y: Array) -> Array:
    """Return ``Ẏ = (1 − Y²) ∘ Ẋ``.

    >>> jvp(np.array([2.0]), np.array([0.5]))
    array([1.5])
    """
    y_dot: Array = (1 - y**2) * x_dot
    return y_dot


def jacobian(x: Array) -> tuple[Array]:
    """Return ``dY/dX``: ``1 / cosh²(X)`` on the diagonal, a second way to write ``1 − Y²``."""
    return (elementwise(1 / np.cosh(x) ** 2),)


RULE = Rule("tanh", forward, backward, inputs("(n,d)"), cached=True, jvp=jvp, jacobian=jacobian)
