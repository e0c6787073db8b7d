"""Planted defects of autograd's primitives: what is given to `defvjp` and `defjvp`.

::

    square        y = x²            x̄ = 2 x ȳ,  ẏ = 2 x ẋ
    cosine        y = cos x         x̄ = −sin x ∘ ȳ
    softmax       y = eˣ / Σ eˣ     x̄ = y ∘ (ȳ − Σ y ȳ)
    weighted      y = a b²          ā = b² ȳ,  b̄ = 2 a b ȳ
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from autograd.extend import defjvp, defvjp, primitive

from gradlab.mutants.planted import Planted

X = np.array([0.5, -1.2, 2.0])
Z = np.array([0.5 + 1j, -1.2 - 0.3j])
REVERSE: dict[str, Any] = {"modes": ["rev"], "order": 1}
TWICE: dict[str, Any] = {"modes": ["rev"], "order": 2}


def of(function: Callable[..., Any], *vjps: Any, jvps: tuple[Any, ...] = ()) -> Any:
    """Return a primitive with these rules."""
    wrapped = primitive(function)
    if vjps:
        defvjp(wrapped, *vjps)
    if jvps:
        defjvp(wrapped, *jvps)
    return wrapped


def square(x: Any) -> Any:
    """Return ``x²``."""
    return x**2


def softmax(x: Any) -> Any:
    """Return ``eˣ / Σ eˣ``."""
    return np.exp(x) / np.sum(np.exp(x))


def weighted(a: Any, b: Any) -> Any:
    """Return ``a b²``."""
    return a * b**2


def keeping() -> Any:
    """Return `square`, whose rule uses what the last call kept."""
    kept: dict[str, Any] = {}

    def forward(x: Any) -> Any:
        kept["x"] = x
        return x**2

    return of(forward, lambda y, x: lambda g: 2 * kept["x"] * g)


def in_place(g: Any, x: Any) -> Any:
    """Multiply the upstream gradient itself."""
    g *= 2 * x
    return g


def slope(of_x: float, of_g: float) -> Any:
    """Return ``2 x g`` with rules of its own, and factors in front of them."""
    return of(
        lambda x, g: 2 * x * g,
        lambda y, x, g: lambda h: of_x * h * g,
        lambda y, x, g: lambda h: of_g * x * h,
        jvps=(lambda h, y, x, g: of_x * h * g, lambda h, y, x, g: of_g * x * h),
    )


def twice(of_x: float, of_g: float) -> Any:
    """Return `square`, whose rules are differentiated in their turn."""
    inner = slope(of_x, of_g)
    return of(square, lambda y, x: lambda g: inner(x, g))


def pushed(by: float) -> Any:
    """Return `square`, right in reverse mode, with a factor in forward mode."""
    return of(square, lambda y, x: lambda g: 2 * x * g, jvps=(lambda g, y, x: by * x * g,))


RIGHT_SQUARE = of(square, lambda y, x: lambda g: 2 * x * g)
RIGHT_WEIGHTED = of(weighted, lambda y, a, b: lambda g: b**2 * g, lambda y, a, b: lambda g: 2 * a * b * g)

PLANTED: tuple[Planted, ...] = (
    Planted(
        "factor",
        "check_grads",
        right=(RIGHT_SQUARE,),
        wrong=(of(square, lambda y, x: lambda g: x * g),),
        at=(X,),
        options=REVERSE,
        named="x[",
        remakes="the power rule's factor",
    ),
    Planted(
        "sign",
        "check_grads",
        right=(of(np.cos, lambda y, x: lambda g: -g * np.sin(x)),),
        wrong=(of(np.cos, lambda y, x: lambda g: g * np.sin(x)),),
        at=(X,),
        options=REVERSE,
        named="x[",
        remakes="the derivative of the cosine",
    ),
    Planted(
        "the sum over classes is missing",
        "check_grads",
        right=(of(softmax, lambda y, x: lambda g: y * (g - np.sum(y * g))),),
        wrong=(of(softmax, lambda y, x: lambda g: g * y),),
        at=(X,),
        options=REVERSE,
        named="x[",
        remakes="the diagonal of the Jacobian of softmax taken for all of it",
    ),
    Planted(
        "arguments exchanged",
        "check_grads",
        right=(RIGHT_WEIGHTED, (0, 1)),
        wrong=(
            of(weighted, lambda y, a, b: lambda g: 2 * a * b * g, lambda y, a, b: lambda g: b**2 * g),
            (0, 1),
        ),
        at=(X, X + 3),
        options=REVERSE,
        named="a[",
        remakes="the order of the rules is not that of the arguments",
    ),
    Planted(
        "one entry a millionth off",
        "check_grads",
        right=(RIGHT_SQUARE,),
        wrong=(of(square, lambda y, x: lambda g: 2 * x * g * np.array([1, 1, 1 + 1e-6])),),
        at=(X,),
        options=REVERSE,
        named="x[2]",
        remakes="a constant with six digits, at one entry",
    ),
    Planted(
        "residual kept outside",
        "check_grads",
        right=(RIGHT_SQUARE,),
        wrong=(keeping(),),
        at=(X,),
        options=REVERSE,
        named="x[",
        remakes="state beside the arguments, as in a class with self.x",
    ),
    Planted(
        "writes to the upstream gradient",
        "check_grads",
        right=(RIGHT_SQUARE,),
        wrong=(of(square, lambda y, x: lambda g: in_place(g, x)),),
        at=(X,),
        options=REVERSE,
        named="grad_output",
        remakes="an in-place product, which another use of the gradient then sees",
    ),
    Planted(
        "rounded to float32",
        "check_grads",
        right=(of(np.exp, lambda y, x: lambda g: g * y),),
        wrong=(of(np.exp, lambda y, x: lambda g: (g * y).astype(np.float32).astype(float)),),
        at=(X,),
        options=REVERSE,
        named="x[",
        remakes="a cast on the way",
    ),
    Planted(
        "conjugate, as in another convention",
        "check_grads",
        right=(of(square, lambda y, z: lambda g: g * 2 * z),),
        wrong=(of(square, lambda y, z: lambda g: g * np.conj(2 * z)),),
        at=(Z,),
        options=REVERSE,
        named="x[",
        remakes="a rule of PyTorch's copied",
    ),
    Planted(
        "forward mode a thousandth off",
        "check_grads",
        right=(pushed(2.0),),
        wrong=(pushed(2.002),),
        at=(X,),
        options={"order": 1},
        named="tangent of the output",
        remakes="a constant that stands in two places, corrected in one",
    ),
    Planted(
        "tangents rectified",
        "check_jvp",
        right=(of(square, jvps=(lambda g, y, x: 2 * x * g,)), X),
        wrong=(of(square, jvps=(lambda g, y, x: 2 * x * np.abs(g),)), X),
        named="linear in tangents",
        remakes="an uncertainty pushed forward in place of a tangent",
    ),
    Planted(
        "second derivative",
        "check_grads",
        right=(twice(2.0, 2.0),),
        wrong=(twice(1.0, 2.0),),
        at=(X,),
        options=TWICE,
        named="vjp of square",
        remakes="a rule of a rule that was never run",
    ),
)
