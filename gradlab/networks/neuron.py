"""The single neuron: two weights, one pair (x, y), and the chain rule by hand.

::

    b = w1 x,   h = tanh(b),   a = w2 h,   o = tanh(a),   L = ½ (y − o)²

    δ        = dL/do · do/da = −(y − o)(1 − o²)          the shared factor
    dL/dw2   = δ h
    dL/dw1   = δ w2 (1 − h²) x

    ḣ        = (1 − h²)(ẇ1 x + w1 ẋ)                     forward mode goes the other way
    ȯ        = (1 − o²)(ẇ2 h + w2 ḣ)
    L̇        = (y − o)(ẏ − ȯ)

Both gradients contain ``δ``. Backward computes it once and uses it twice; that is all there is to
backpropagation, and what makes it cheap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradlab.rule import Rule
from gradlab.rules._jacobians import Array
from gradlab.strategies import between, inputs


class Values(NamedTuple):
    """Every number on the way forward, kept for the way back."""

    w1: Array
    w2: Array
    x: Array
    y: Array
    b: Array
    h: Array
    a: Array
    o: Array


def forward(w1: Array, w2: Array, x: Array, y: Array) -> tuple[Array, Values]:
    """Return ``L = ½ (y − tanh(w2 tanh(w1 x)))²`` and the numbers on the way; all arguments are scalars.

    >>> loss, values = forward(0.0, 1.0, 1.0, 1.0)
    >>> float(loss)
    0.5
    """
    b = w1 * x
    h = np.tanh(b)
    a = w2 * h
    o = np.tanh(a)
    return 0.5 * (y - o) ** 2, Values(w1, w2, x, y, b, h, a, o)


def backward(dl: Array, v: Values) -> tuple[Array, Array, Array, Array]:
    """Return ``dL/dw1``, ``dL/dw2``, ``dL/dx`` and ``dL/dy``, each times the upstream ``dl``."""
    delta = dl * shared_factor(v)
    db = delta * v.w2 * (1 - v.h**2)
    return db * v.x, delta * v.h, db * v.w1, dl * (v.y - v.o)


def shared_factor(v: Values) -> Array:
    """Return ``δ = dL/do · do/da = −(y − o)(1 − o²)``."""
    do_da: Array = 1 - v.o**2
    return -(v.y - v.o) * do_da


def jvp(tangents: tuple[Array, Array, Array, Array], v: Values) -> Array:
    """Return ``L̇ = (y − o)(ẏ − ȯ)``, for tangents ``(ẇ1, ẇ2, ẋ, ẏ)``."""
    w1_dot, w2_dot, x_dot, y_dot = tangents
    h_dot = (1 - v.h**2) * (w1_dot * v.x + v.w1 * x_dot)
    o_dot = (1 - v.o**2) * (w2_dot * v.h + v.w2 * h_dot)
    l_dot: Array = (v.y - v.o) * (y_dot - o_dot)
    return l_dot


def jacobian(w1: Array, w2: Array, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """Return the four derivatives, each chain written out, with ``1 / cosh²`` in place of ``1 − tanh²``."""
    dh_db = 1 / np.cosh(w1 * x) ** 2
    do_da = 1 / np.cosh(w2 * np.tanh(w1 * x)) ** 2
    error = np.tanh(w2 * np.tanh(w1 * x)) - y
    return (
        error * do_da * w2 * dh_db * x,
        error * do_da * np.tanh(w1 * x),
        error * do_da * w2 * dh_db * w1,
        -error,
    )


# As in `layer`, tanh stays away from 1, where both derivations lose their digits.
POINTS = inputs("(),(),(),()", elements=between(-2, 2))
RULE = Rule("neuron", forward, backward, POINTS, cached=True, jvp=jvp, jacobian=jacobian)
