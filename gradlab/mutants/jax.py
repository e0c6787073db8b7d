"""Planted defects of derivatives for JAX: `jax.custom_vjp`, `jax.custom_jvp`, vjps and jvps by hand.

::

    square        y = x²                     x̄ = 2 x ȳ,  ẏ = 2 x ẋ
    softmax       y = eˣ / Σ eˣ              x̄ = y ∘ (ȳ − Σ y ȳ)
    weighted      y = x w²                   x̄ = w² ȳ,  w̄ = 2 x w ȳ
    product       Y = X W                    X̄ = Ȳ Wᵀ,  W̄ = Xᵀ Ȳ
    affine        y = tanh(x W + b)
    relu          y = max(x, 0)              x̄ = [x > 0] ∘ ȳ
    mean          y = Σ x / n                x̄ = ȳ / n
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradlab.mutants.planted import Planted

X = jnp.asarray(np.array([0.5, -1.2, 2.0], np.float32))
Z = jnp.asarray(np.array([0.5 + 1j, -1.2 - 0.3j], np.complex64))
W = jnp.asarray(np.array([[0.3, -0.7], [1.1, 0.4], [-0.2, 0.9]], np.float32))
PARAMETERS = {"w": W, "b": [jnp.asarray(np.array([0.5, -0.25], np.float32))]}
SQUARES = (
    jnp.asarray(np.array([[1, 2], [3, -1]], np.float32)),
    jnp.asarray(np.array([[0.5, -1], [2, 1.5]], np.float32)),
)


def with_vjp(function: Any, backward: Any, residuals: Any = lambda *args: args) -> Any:
    """Return a function with a backward rule of its residuals and the upstream gradient."""
    wrapped = jax.custom_vjp(function)
    wrapped.defvjp(lambda *args: (function(*args), residuals(*args)), backward)
    return wrapped


def with_jvp(function: Any, push: Any) -> Any:
    """Return a function of one argument with a rule for its tangent."""
    wrapped = jax.custom_jvp(function)
    wrapped.defjvp(lambda primals, tangents: (function(*primals), push(*primals, *tangents)))
    return wrapped


def square(x: Any) -> Any:
    """Return ``x²``."""
    return x**2


def softmax(x: Any) -> Any:
    """Return ``eˣ / Σ eˣ``."""
    return jnp.exp(x) / jnp.sum(jnp.exp(x))


def weighted(x: Any, w: Any) -> Any:
    """Return ``x w²``."""
    return x * w**2


def affine(p: Any, x: Any) -> Any:
    """Return ``tanh(x W + b)``."""
    return jnp.tanh(x @ p["w"] + p["b"][0])


def product(x: Any, w: Any) -> Any:
    """Return ``X W``."""
    return x @ w


def relu(x: Any) -> Any:
    """Return ``max(x, 0)``."""
    return jnp.maximum(x, 0)


def mean(x: Any) -> Any:
    """Return ``Σ x / n``."""
    return jnp.sum(x) / x.size


def affine_backward(by: Any) -> Callable[..., Any]:
    """Return the backward rule of `affine`, with the gradient of the bias multiplied."""

    def backward(residuals: Any, g: Any) -> Any:
        gradients = jax.vjp(affine, *residuals)[1](g)
        gradients[0]["b"][0] = gradients[0]["b"][0] * by
        return tuple(gradients)

    return backward


def keeping() -> Any:
    """Return `square`, whose rule keeps its residual outside, where the next call replaces it."""
    kept: dict[str, Any] = {}

    def forward(x: Any) -> Any:
        kept["x"] = x
        return x**2, None

    wrapped = jax.custom_vjp(square)
    wrapped.defvjp(forward, lambda residuals, g: (2 * kept["x"] * g,))
    return wrapped


def differentiated_twice(factor: float) -> Any:
    """Return `square`, whose backward rule has a backward rule of its own."""
    inner = with_vjp(lambda x, g: 2 * x * g, lambda r, h: (factor * h * r[1], 2 * r[0] * h))
    return with_vjp(square, lambda r, g: (inner(r[0], g),))


def pushed_twice(factor: float) -> Any:
    """Return `square`, whose rule for tangents has one of its own."""
    slope = with_jvp(lambda x: 2 * x, lambda x, dx: factor * dx)
    return with_jvp(square, lambda x, dx: slope(x) * dx)


RIGHT_SQUARE = with_vjp(square, lambda r, g: (2 * r[0] * g,))

PLANTED: tuple[Planted, ...] = (
    Planted(
        "the sum over classes is missing",
        "check_grads",
        right=(with_vjp(softmax, lambda y, g: (y * (g - jnp.sum(y * g)),), softmax), (X,), 1, ["rev"]),
        wrong=(with_vjp(softmax, lambda y, g: (y * g,), softmax), (X,), 1, ["rev"]),
        named="x[",
        remakes="the diagonal of the Jacobian of softmax taken for all of it",
    ),
    Planted(
        "the residual is the output",
        "check_grads",
        right=(RIGHT_SQUARE, (X,), 1, ["rev"]),
        wrong=(with_vjp(square, lambda y, g: (2 * y * g,), square), (X,), 1, ["rev"]),
        named="x[",
        remakes="fwd returns what bwd does not expect",
    ),
    Planted(
        "residual kept outside",
        "check_grads",
        right=(RIGHT_SQUARE, (X,), 1, ["rev"]),
        wrong=(keeping(), (X,), 1, ["rev"]),
        named="x[",
        remakes="state beside the residuals, as in a class with self.x",
    ),
    Planted(
        "gradients exchanged",
        "check_grads",
        right=(
            with_vjp(weighted, lambda r, g: (r[1] ** 2 * g, 2 * r[0] * r[1] * g)),
            (X, X + 3),
            1,
            ["rev"],
        ),
        wrong=(
            with_vjp(weighted, lambda r, g: (2 * r[0] * r[1] * g, r[1] ** 2 * g)),
            (X, X + 3),
            1,
            ["rev"],
        ),
        named="x[",
        remakes="the order of the gradients is not that of the arguments",
    ),
    Planted(
        "transposed",
        "check_grads",
        right=(with_vjp(product, lambda r, g: (g @ r[1].T, r[0].T @ g)), SQUARES, 1, ["rev"]),
        wrong=(with_vjp(product, lambda r, g: (g @ r[1].T, (r[0].T @ g).T)), SQUARES, 1, ["rev"]),
        named="w[",
        remakes="a square matrix, whose shape does not tell",
    ),
    Planted(
        "one leaf a hundredth off",
        "check_grads",
        right=(with_vjp(affine, affine_backward(jnp.ones(2))), (PARAMETERS, X), 1, ["rev"]),
        wrong=(with_vjp(affine, affine_backward(jnp.array([1, 1.01]))), (PARAMETERS, X), 1, ["rev"]),
        named="p['b'][0][1]",
        remakes="one entry among many, in one random direction of all of them",
    ),
    Planted(
        "one entry a thousandth off",
        "check_grads",
        right=(RIGHT_SQUARE, (X,), 1, ["rev"]),
        wrong=(
            with_vjp(square, lambda r, g: (2 * r[0] * g * jnp.array([1, 1, 1.001]),)),
            (X,),
            1,
            ["rev"],
        ),
        named="x[2]",
        remakes="what a tolerance for float32 lets through",
    ),
    Planted(
        "conjugate, as in another convention",
        "check_grads",
        right=(with_vjp(square, lambda r, g: (g * 2 * r[0],)), (Z,), 1, ["rev"]),
        wrong=(with_vjp(square, lambda r, g: (g * jnp.conj(2 * r[0]),)), (Z,), 1, ["rev"]),
        named="x[",
        remakes="a rule of PyTorch's copied",
    ),
    Planted(
        "stop_gradient on one factor",
        "check_grads",
        right=(lambda x: x * x, (X,), 1, ["rev"]),
        wrong=(lambda x: x * lax.stop_gradient(x), (X,), 1, ["rev"]),
        named="x[",
        remakes="half of a product rule switched off",
    ),
    Planted(
        "rounded to bfloat16 on the way",
        "check_grads",
        right=(RIGHT_SQUARE, (X + 0.1,), 1, ["rev"]),
        wrong=(
            with_vjp(square, lambda r, g: ((2 * r[0] * g).astype(jnp.bfloat16).astype(jnp.float32),)),
            (X + 0.1,),
            1,
            ["rev"],
        ),
        named="x[",
        remakes="a cast that was meant for the forward pass",
    ),
    Planted(
        "slope at negative values too",
        "check_grads",
        right=(with_vjp(relu, lambda r, g: (g * (r[0] > 0),)), (X,), 1, ["rev"]),
        wrong=(with_vjp(relu, lambda r, g: (g,)), (X,), 1, ["rev"]),
        named="x[1]",
        remakes="a mask forgotten, at the entries where it matters",
    ),
    Planted(
        "not divided by the batch",
        "check_grads",
        right=(with_vjp(mean, lambda r, g: (g * jnp.full_like(r[0], 1 / 3),)), (X,), 1, ["rev"]),
        wrong=(with_vjp(mean, lambda r, g: (g * jnp.ones_like(r[0]),)), (X,), 1, ["rev"]),
        named="x[",
        remakes="the gradient of a sum",
    ),
    Planted(
        "rule for tangents, one exponent off",
        "check_grads",
        right=(with_jvp(square, lambda x, dx: 2 * x * dx), (X,), 1),
        wrong=(with_jvp(square, lambda x, dx: 2 * x**2 * dx), (X,), 1),
        named="x[",
        remakes="the power rule without its minus one",
    ),
    Planted(
        "second derivative of a backward rule",
        "check_grads",
        right=(differentiated_twice(2.0), (X,), 2, ["rev"]),
        wrong=(differentiated_twice(1.0), (X,), 2, ["rev"]),
        named="vjp of square",
        remakes="a double backward that was never run",
    ),
    Planted(
        "second derivative of a rule for tangents",
        "check_grads",
        right=(pushed_twice(2.0), (X,), 2),
        wrong=(pushed_twice(1.0), (X,), 2),
        named="of square",
        remakes="likewise, in forward mode",
    ),
    Planted(
        "another value beside the gradient",
        "check_vjp",
        right=(jnp.sin, lambda x: (jnp.sin(x), lambda g: (g * jnp.cos(x),)), (X,)),
        wrong=(jnp.sin, lambda x: (jnp.sin(x) + 1, lambda g: (g * jnp.cos(x),)), (X,)),
        named="the output that comes with the vjp",
        remakes="fwd computes something else than the function",
    ),
    Planted(
        "wrong sign by hand",
        "check_vjp",
        right=(jnp.cos, lambda x: (jnp.cos(x), lambda g: (-g * jnp.sin(x),)), (X,)),
        wrong=(jnp.cos, lambda x: (jnp.cos(x), lambda g: (g * jnp.sin(x),)), (X,)),
        named="x[",
        remakes="the derivative of the cosine",
    ),
    Planted(
        "tangents rectified",
        "check_jvp",
        right=(square, lambda x, dx: (x[0] ** 2, 2 * x[0] * dx[0]), (X,)),
        wrong=(square, lambda x, dx: (x[0] ** 2, 2 * x[0] * jnp.abs(dx[0])), (X,)),
        named="linear in tangents",
        remakes="an uncertainty pushed forward in place of a tangent",
    ),
    Planted(
        "one argument does not move",
        "check_jvp",
        right=(weighted, lambda x, d: (weighted(*x), jax.jvp(weighted, x, d)[1]), (X, X + 3)),
        wrong=(weighted, lambda x, d: (weighted(*x), x[1] ** 2 * d[0]), (X, X + 3)),
        named="w",
        remakes="one term of the product rule",
    ),
)
