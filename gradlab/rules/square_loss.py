"""The square loss, summed over all entries or averaged over them.

::

    L = ½ Σ (y − o)²         dL/do = −(y − o)         dL/dy = y − o         L̇ = Σ (y − o)(ẏ − ȯ)

and each divided by the number of entries for the mean. It is a rule of two inputs, the output ``o`` of a
network and the target ``y``.
"""

from __future__ import annotations

import numpy as np

from gradlab.rule import Rule
from gradlab.rules._jacobians import Array
from gradlab.strategies import inputs


def forward(o: Array, y: Array) -> Array:
    """Return ``L = ½ Σ (y − o)²``, a number.

    >>> float(forward(np.array([1.0, 2.0]), np.array([0.0, 4.0])))
    2.5
    """
    return np.asarray(0.5 * np.sum((y - o) ** 2))


def backward(dl: Array, o: Array, y: Array) -> tuple[Array, Array]:
    """Return ``dL/do = −(y − o)`` and ``dL/dy = y − o``, each times the upstream ``dl``."""
    return -dl * (y - o), dl * (y - o)


def jvp(tangents: tuple[Array, Array], o: Array, y: Array) -> Array:
    """Return ``L̇ = Σ (y − o)(ẏ − ȯ)``, a number, for tangents ``(ȯ, ẏ)``.

    >>> float(jvp((np.array([1.0]), np.array([0.0])), np.array([2.0]), np.array([5.0])))
    -3.0
    """
    o_dot, y_dot = tangents
    return np.asarray(np.sum((y - o) * (y_dot - o_dot)))


def jacobian(o: Array, y: Array) -> tuple[Array, Array]:
    """Return the rows ``dL/do`` and ``dL/dy``, of the inputs' shapes, since ``L`` is a number."""
    return o - y, y - o


def forward_mean(o: Array, y: Array) -> Array:
    """Return ``L = ½ mean((y − o)²)``, a number."""
    return np.asarray(0.5 * np.mean((y - o) ** 2))


def backward_mean(dl: Array, o: Array, y: Array) -> tuple[Array, Array]:
    """Return the gradients of the sum, divided by the number of entries."""
    return backward(dl / o.size, o, y)


def jvp_mean(tangents: tuple[Array, Array], o: Array, y: Array) -> Array:
    """Return the tangent of the sum, divided by the number of entries."""
    return np.asarray(jvp(tangents, o, y) / o.size)


def jacobian_mean(o: Array, y: Array) -> tuple[Array, Array]:
    """Return the rows of the sum, divided by the number of entries."""
    return (o - y) / o.size, (y - o) / o.size


POINTS = inputs("(n,d),(n,d)")
SUM = Rule("square_loss_sum", forward, backward, POINTS, jvp=jvp, jacobian=jacobian)
MEAN = Rule("square_loss_mean", forward_mean, backward_mean, POINTS, jvp=jvp_mean, jacobian=jacobian_mean)
