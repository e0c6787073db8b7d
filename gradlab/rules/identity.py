"""The identity.

::

    Y = X                  dL/dX = dL/dY                  Ẏ = Ẋ

It is the activation of a linear layer, and the rule at which a checker's own errors show.
"""

from __future__ import annotations

import numpy as np

from gradlab.rule import Rule
from gradlab.rules._jacobians import Array, elementwise
from gradlab.strategies import inputs


def forward(x: Array) -> tuple[Array, None]:
    """Return ``X`` itself; there is nothing to keep for the way back."""
    return x, None


def backward(dy: Array, cache: None) -> Array:
    """Return ``dL/dX = dL/dY``."""
    return dy


def jvp(x_dot: Array, cache: None) -> Array:
    """Return ``Ẏ = Ẋ``."""
    return x_dot


def jacobian(x: Array) -> tuple[Array]:
    """Return ``dY/dX = I``, of shape ``(*X.shape, *X.shape)``."""
    return (elementwise(np.ones(x.shape)),)


RULE = Rule("identity", forward, backward, inputs("(n,d)"), cached=True, jvp=jvp, jacobian=jacobian)
