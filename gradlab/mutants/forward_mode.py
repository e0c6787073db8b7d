"""Forward mode: rules for tangents, ``Ẏ = J Ẋ``, in place of rules for gradients.

::

    dense           Y = tanh(X W + b)            Ẏ = (1 − Y²) ∘ (Ẋ W + X Ẇ + ḃ)
    solve           y = A⁻¹ b                    ẏ = A⁻¹ (ḃ − Ȧ y)
    mixing          y = M sin x                  ẏ = M (cos x ∘ ẋ)
    shear           y_i = x_i + x_{i+1}²         ẏ_i = ẋ_i + 2 x_{i+1} ẋ_{i+1}
    sine_cosine     y = sin x,  z = cos x        ẏ = cos x ∘ ẋ,  ż = −sin x ∘ ẋ
    relu            Y = max(X, 0)                Ẏ = [X > 0] ∘ Ẋ
    softplus        Y = log(1 + e^X)             Ẏ = Ẋ / (1 + e^−X), in float32
    swish           Y = X / (1 + e^−X)           Ẏ = s (1 + X (1 − s)) ∘ Ẋ,  s = 1 / (1 + e^−X), large
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.mutants._points import Array, around, normal
from gradlab.mutants.model import Case, Defect


def dense(x: Array, w: Array, b: Array) -> Array:
    """Return ``tanh(X W + b)``."""
    return np.asarray(np.tanh(x @ w + b))


def dense_jvp(tangents: tuple[Array, ...], x: Array, w: Array, b: Array) -> Array:
    """Return ``(1 − Y²) ∘ (Ẋ W + X Ẇ + ḃ)``."""
    x_dot, w_dot, b_dot = tangents
    return np.asarray((1 - dense(x, w, b) ** 2) * (x_dot @ w + x @ w_dot + b_dot))


def of_tangents(change: Callable[[Array], Array]) -> Callable[..., Array]:
    """Return the jvp of changed tangents."""
    return lambda tangents, *inputs: dense_jvp(tuple(map(change, tangents)), *inputs)


def first_row_only(tangents: tuple[Array, ...], x: Array, w: Array, b: Array) -> Array:
    """Push the first example through, and no other."""
    y_dot = dense_jvp(tangents, x, w, b)
    y_dot[1:] = 0
    return y_dot


def in_place(tangents: tuple[Array, ...], x: Array, w: Array, b: Array) -> Array:
    """Add up in the tangent of the bias, which is an argument."""
    x_dot, w_dot, b_dot = tangents
    y_dot = np.asarray((1 - dense(x, w, b) ** 2) * (x_dot @ w + x @ w_dot + b_dot))
    b_dot += y_dot.sum(axis=0)
    return y_dot


DENSE = Case(
    "dense_jvp",
    dense,
    dense_jvp,
    normal((4, 3), (3, 2), (2,)),
    forward_mode=True,
    defects=(
        Defect(
            "weights do not move",
            lambda t, x, w, b: (1 - dense(x, w, b) ** 2) * (t[0] @ w + t[2]),
            kind="arithmetic",
            remakes="one term of the product rule: the weights taken for constants",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "one factor too many",
            lambda t, x, w, b: (1 - dense(x, w, b) ** 2) * dense_jvp(t, x, w, b),
            kind="arithmetic",
            remakes="the slope of the activation applied twice",
        ),
        Defect(
            "slope without its square",
            lambda t, x, w, b: (1 - dense(x, w, b)) * (t[0] @ w + x @ t[1] + t[2]),
            kind="arithmetic",
            remakes="the slope of another activation",
        ),
        Defect(
            "the first example only",
            first_row_only,
            kind="indexing",
            remakes="one output of the batch, as in a test with batch size 1",
        ),
        Defect(
            "ignores tangents",
            of_tangents(np.ones_like),
            kind="tangents",
            remakes="the sum of all columns of the Jacobian, whatever is asked for",
            cause="ignores-tangents",
        ),
        Defect(
            "squares tangents",
            of_tangents(np.square),
            kind="tangents",
            remakes="a second-order term: not linear in the tangent",
            cause="nonlinear-in-tangents",
        ),
        Defect(
            "absolute value of tangents",
            of_tangents(np.abs),
            kind="tangents",
            remakes="an uncertainty pushed forward in place of a tangent",
            cause="nonlinear-in-tangents",
        ),
        Defect(
            "writes to its tangent",
            in_place,
            kind="arguments",
            remakes="b_dot += …: another use of the tangent then gets the sum",
            breaks="arguments",
        ),
    ),
)


def solve(a: Array, b: Array) -> Array:
    """Return ``A⁻¹ b``."""
    return np.asarray(np.linalg.solve(a, b))


def solve_jvp(tangents: tuple[Array, Array], a: Array, b: Array) -> Array:
    """Return ``A⁻¹ (ḃ − Ȧ y)``."""
    a_dot, b_dot = tangents
    return solve(a, b_dot - a_dot @ solve(a, b))


SOLVE = Case(
    "solve_jvp",
    solve,
    solve_jvp,
    lambda rng: (rng.normal(size=(3, 3)) + 4 * np.eye(3), rng.normal(size=3)),
    forward_mode=True,
    defects=(
        Defect(
            "Aᵀ in the place of A",
            lambda t, a, b: solve(a.T, t[1] - t[0] @ solve(a, b)),
            kind="layout",
            remakes="the solve of the backward rule copied",
        ),
        Defect(
            "plus Ȧ y",
            lambda t, a, b: solve(a, t[1] + t[0] @ solve(a, b)),
            kind="arithmetic",
            remakes="the sign of the derivative of an inverse",
            cause="sign",
        ),
        Defect(
            "matrix does not move",
            lambda t, a, b: solve(a, t[1]),
            kind="arithmetic",
            remakes="the matrix taken for a constant",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "not solved",
            lambda t, a, b: t[1] - t[0] @ solve(a, b),
            kind="arithmetic",
            remakes="the right-hand side returned before it was solved for",
        ),
    ),
)

MIX = np.array([[0.5, -1.2, 0.3], [0.8, 0.1, -0.7], [-0.4, 0.9, 1.1]])

MIXING = Case(
    "mixing_jvp",
    lambda x: MIX @ np.sin(x),
    lambda x_dot, x: MIX @ (np.cos(x) * x_dot),
    normal((3,)),
    forward_mode=True,
    defects=(
        Defect(
            "transposed",
            lambda x_dot, x: np.cos(x) * (MIX.T @ x_dot),
            kind="layout",
            remakes="the backward rule given for the jvp",
            cause="transposed-jacobian",
        ),
        Defect(
            "inner derivative forgotten",
            lambda x_dot, x: MIX @ x_dot,
            kind="arithmetic",
            remakes="the chain rule without its inner factor",
        ),
        Defect(
            "twice",
            lambda x_dot, x: 2 * MIX @ (np.cos(x) * x_dot),
            kind="arithmetic",
            remakes="both sides of a central difference, not halved",
            cause="factor",
        ),
        Defect(
            "negative",
            lambda x_dot, x: MIX @ (-np.cos(x) * x_dot),
            kind="arithmetic",
            remakes="the sign of the derivative of a cosine",
            cause="sign",
        ),
        Defect(
            "of shape (1, n)",
            lambda x_dot, x: (MIX @ (np.cos(x) * x_dot))[None],
            kind="shape",
            remakes="a batch axis left on a tangent",
            breaks="shape",
        ),
        Defect(
            "output with its tangent",
            lambda x_dot, x: (MIX @ np.sin(x), MIX @ (np.cos(x) * x_dot)),
            kind="shape",
            remakes="the pair that jax.jvp returns",
            breaks="count",
        ),
    ),
)

SHEAR = Case(
    "shear_jvp",
    lambda x: x + np.roll(x, -1) ** 2,
    lambda x_dot, x: x_dot + 2 * np.roll(x * x_dot, -1),
    normal((4,)),
    forward_mode=True,
    defects=(
        Defect(
            "rolled the other way",
            lambda x_dot, x: x_dot + 2 * x * np.roll(x_dot, 1),
            kind="layout",
            remakes="the adjoint of a shift in the place of the shift",
            cause="transposed-jacobian",
        ),
        Defect(
            "only the tangent rolled",
            lambda x_dot, x: x_dot + 2 * x * np.roll(x_dot, -1),
            kind="indexing",
            remakes="value and tangent taken at different places",
        ),
        Defect(
            "last entry not periodic",
            lambda x_dot, x: x_dot + 2 * np.append(x[1:] * x_dot[1:], 0.0),
            kind="indexing",
            remakes="one entry at the boundary forgotten",
        ),
    ),
)


def sine_cosine(x: Array) -> tuple[Array, Array]:
    """Return ``sin x`` and ``cos x``."""
    return np.sin(x), np.cos(x)


SINE_COSINE = Case(
    "sine_cosine_jvp",
    sine_cosine,
    lambda x_dot, x: (np.cos(x) * x_dot, -np.sin(x) * x_dot),
    normal((3,)),
    forward_mode=True,
    defects=(
        Defect(
            "one output only",
            lambda x_dot, x: (np.cos(x) * x_dot, np.zeros_like(x)),
            kind="arithmetic",
            remakes="the second output taken for an auxiliary value",
        ),
        Defect(
            "sign of the second",
            lambda x_dot, x: (np.cos(x) * x_dot, np.sin(x) * x_dot),
            kind="arithmetic",
            remakes="the minus of the cosine's derivative",
        ),
        Defect(
            "outputs exchanged",
            lambda x_dot, x: (-np.sin(x) * x_dot, np.cos(x) * x_dot),
            kind="layout",
            remakes="tangents in another order than the outputs",
        ),
        Defect(
            "ignores tangents",
            lambda x_dot, x: (np.cos(x), -np.sin(x)),
            kind="tangents",
            remakes="derivatives returned that were not multiplied by the tangent",
            cause="ignores-tangents",
        ),
        Defect(
            "second tangent missing",
            lambda x_dot, x: (np.cos(x) * x_dot,),
            kind="shape",
            remakes="an output added to forward and not to jvp",
            breaks="count",
        ),
    ),
)

RELU = Case(
    "relu_jvp",
    lambda x: np.maximum(x, 0),
    lambda x_dot, x: (x > 0) * x_dot,
    lambda rng: (around(0.0, rng, 3, 4),),
    forward_mode=True,
    defects=(
        Defect(
            "gate on the tangent",
            lambda x_dot, x: np.maximum(x_dot, 0),
            kind="tangents",
            remakes="the activation applied to the tangent",
            cause="nonlinear-in-tangents",
        ),
        Defect(
            "gate reversed",
            lambda x_dot, x: (x < 0) * x_dot,
            kind="kink",
            remakes="the wrong side of the kink",
        ),
        Defect(
            "slope 2 at zero",
            lambda x_dot, x: ((x > 0) + 2.0 * (x == 0)) * x_dot,
            kind="kink",
            remakes="both one-sided slopes added twice at the kink",
        ),
    ),
)


def softplus(x: Array) -> Array:
    """Return ``log(1 + e^X)``."""
    return np.asarray(np.logaddexp(x, np.zeros_like(x)))


def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + e^−X)``."""
    return np.asarray(1 / (1 + np.exp(-x)))


SOFTPLUS = Case(
    "softplus_jvp",
    softplus,
    lambda x_dot, x: sigmoid(x) * x_dot,
    lambda rng: (rng.normal(size=(2, 3)).astype(np.float32),),
    forward_mode=True,
    defects=(
        Defect(
            "a thousandth too large",
            lambda x_dot, x: np.float32(1.001) * sigmoid(x) * x_dot,
            kind="precision",
            remakes="a step of finite differences in the place of a derivative",
            cause="factor",
        ),
        Defect(
            "in float16",
            lambda x_dot, x: (sigmoid(x) * x_dot).astype(np.float16),
            kind="precision",
            remakes="tangents kept in half the memory",
        ),
        Defect(
            "slope of the other side",
            lambda x_dot, x: sigmoid(-x) * x_dot,
            kind="arithmetic",
            remakes="the sign in the exponent",
        ),
    ),
)


def swish(x: Array) -> tuple[Array, Any]:
    """Return ``X s`` with ``s = 1 / (1 + e^−X)``, and what serves its derivative."""
    s = sigmoid(x)
    return x * s, s * (1 + x * (1 - s))


def at_one(place: tuple[int, int], change: float, which: str) -> Callable[..., Array]:
    """Return the jvp with one entry of its tangent, or of what it returns, changed by a factor."""

    def jvp(x_dot: Array, slope: Array) -> Array:
        factor = np.ones_like(x_dot)
        factor[place] = change
        return np.asarray(slope * (factor * x_dot) if which == "tangent" else factor * (slope * x_dot))

    return jvp


class Reused:
    """A forward function whose cache is one buffer, written anew by every call."""

    def __init__(self) -> None:
        self.buffer: Array | None = None

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Return swish, and the buffer with its slope."""
        y, slope = swish(x)
        if self.buffer is None or self.buffer.shape != x.shape:
            self.buffer = np.empty_like(slope)
        self.buffer[...] = slope
        return y, self.buffer


SWISH = Case(
    "swish_jvp",
    swish,
    lambda x_dot, slope: slope * x_dot,
    normal((60, 50)),
    cached=True,
    forward_mode=True,
    defects=(
        Defect(
            "one entry of 3,000",
            at_one((31, 17), 1.5, "tangent"),
            kind="sparse",
            remakes="an off-by-one at the seam of two blocks",
        ),
        Defect(
            "one entry lost",
            at_one((0, 49), 0.0, "output"),
            kind="sparse",
            remakes="a loop that ends one too early",
        ),
        Defect(
            "cache overwritten",
            lambda x_dot, slope: slope * x_dot,
            forward=Reused(),
            kind="arguments",
            remakes="a buffer that the next call of forward writes to",
            breaks="stale",
        ),
    ),
)

CASES = (DENSE, SOLVE, MIXING, SHEAR, SINE_COSINE, RELU, SOFTPLUS, SWISH)
