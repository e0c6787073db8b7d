"""One layer: a linear map, then an activation.

::

    Y = f(X W)        dL/dA = dL/dY ∘ f'(A),  A = X W
                      dL/dX = dL/dA · Wᵀ,     dL/dW = Xᵀ · dL/dA
                  Ẏ = f'(A) ∘ (Ẋ W + X Ẇ)

with ``f`` the identity or tanh, each a rule with a cache of its own.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from gradlab.rule import Rule
from gradlab.rules import identity, linear, tanh
from gradlab.rules._jacobians import Array, chain
from gradlab.strategies import between, inputs


def layer(activation: ModuleType) -> Rule:
    """Compose ``linear`` with the rule in the module ``activation``: ``identity`` or ``tanh``.

    Examples
    --------
    >>> import numpy as np
    >>> y, cache = layer(tanh).forward(np.zeros((1, 2)), np.ones((2, 3)))
    >>> y
    array([[0., 0., 0.]])
    """

    def forward(x: Array, w: Array) -> tuple[Array, Any]:
        y, kept = activation.forward(linear.forward(x, w))
        return y, (x, w, kept)

    def backward(dy: Array, cache: Any) -> tuple[Array, Array]:
        x, w, kept = cache
        return linear.backward(activation.backward(dy, kept), x, w)

    def jvp(tangents: tuple[Array, Array], cache: Any) -> Array:
        x, w, kept = cache
        y_dot: Array = activation.jvp(linear.jvp(tangents, x, w), kept)
        return y_dot

    def jacobian(x: Array, w: Array) -> tuple[Array, ...]:
        (dy_da,) = activation.jacobian(linear.forward(x, w))
        return tuple(chain(dy_da, da, middle=2) for da in linear.jacobian(x, w))

    name = f"layer_{activation.RULE.name}"
    # Where tanh is 1 but for 1e-12, 1 − tanh² in backward has other digits than 1 / cosh² in the closed form.
    points = inputs("(n,d),(d,m)", elements=between(-1, 1))
    return Rule(name, forward, backward, points, cached=True, jvp=jvp, jacobian=jacobian)


IDENTITY = layer(identity)
TANH = layer(tanh)
