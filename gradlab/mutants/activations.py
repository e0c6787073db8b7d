"""Smooth activations.

::

    gelu      ½ x (1 + tanh k(x + c x³))     sigmoid  1 / (1 + exp(−x))
    softplus  log(1 + exp(βx)) / β           tanh     (exp(x) − exp(−x)) / (exp(x) + exp(−x))
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array, nonzero, normal
from gradlab.mutants.model import Case, Defect
from gradlab.rules import tanh

BETA = 2.0

C, K = 0.044715, np.sqrt(2 / np.pi)


def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + exp(−x))``, which never overflows in this form."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def gelu(x: Array) -> Array:
    """Return ``½ x (1 + tanh k(x + c x³))``."""
    return np.asarray(0.5 * x * (1 + np.tanh(K * (x + C * x**3))))


def gelu_backward(dy: Array, x: Array, inner: float = 3 * C) -> Array:
    """Return ``dY ∘ (½ (1 + t) + ½ x (1 − t²) k (1 + 3c x²))``."""
    t = np.tanh(K * (x + C * x**3))
    return np.asarray(dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * K * (1 + inner * x**2)))


def exact_gelu_backward(dy: Array, x: Array) -> Array:
    """Return ``dY ∘ (Φ(x) + x φ(x))``, the derivative of ``x Φ(x)``."""
    from scipy.special import ndtr

    return np.asarray(dy * (ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)))


GELU = Case(
    "gelu",
    gelu,
    gelu_backward,
    lambda rng: (nonzero(rng, 3, 4),),
    defects=(
        Defect(
            "derivative of the exact gelu",
            exact_gelu_backward,
            kind="arithmetic",
            remakes="backward of the exact function beside the forward of its approximation",
        ),
        Defect(
            "no 3 from the cube",
            lambda dy, x: gelu_backward(dy, x, inner=C),
            kind="arithmetic",
            remakes="the exponent lost when a power was differentiated",
        ),
        Defect(
            "half of the product rule",
            lambda dy, x: dy * 0.5 * (1 + np.tanh(K * (x + C * x**3))),
            kind="arithmetic",
            remakes="the gate treated as a constant",
        ),
        Defect(
            "derivative of the sigmoid form",
            lambda dy, x: dy * sigmoid(1.702 * x) * (1 + 1.702 * x * (1 - sigmoid(1.702 * x))),
            kind="arithmetic",
            remakes="backward of another approximation than forward's",
        ),
    ),
)


SIGMOID = Case(
    "sigmoid",
    lambda x: (sigmoid(x), sigmoid(x)),
    lambda dy, y: dy * y * (1 - y),
    normal((3, 4)),
    cached=True,
    defects=(
        Defect(
            "derivative at the output",
            lambda dy, y: dy * sigmoid(y) * (1 - sigmoid(y)),
            kind="arithmetic",
            remakes="the function applied once more to what is already its output",
        ),
        Defect(
            "derivative of tanh",
            lambda dy, y: dy * (1 - y**2),
            kind="arithmetic",
            remakes="the other activation's derivative",
        ),
        Defect(
            "without 1 - y",
            lambda dy, y: dy * y,
            kind="arithmetic",
            remakes="one factor of the derivative dropped",
            cause="missing-term",
        ),
        Defect(
            "minus",
            lambda dy, y: dy * y * (y - 1),
            kind="arithmetic",
            remakes="the sign of exp(-x) lost in the quotient rule",
            cause="sign",
        ),
        Defect(
            "keeps the input",
            lambda dy, x: dy * x * (1 - x),
            forward=lambda x: (sigmoid(x), x),
            kind="arithmetic",
            remakes="the input cached where the formula is written for the output",
        ),
        Defect(
            "upstream forgotten",
            lambda dy, y: y * (1 - y),
            kind="upstream",
            remakes="the local derivative returned as the gradient",
            cause="ignores-upstream",
        ),
    ),
)


TANH = Case(
    "tanh",
    tanh.forward,
    tanh.backward,
    normal((3, 4)),
    cached=True,
    defects=(
        Defect(
            "without the square",
            lambda dy, y: dy * (1 - y),
            kind="arithmetic",
            remakes="1 - y in place of 1 - y**2",
        ),
        Defect(
            "minus",
            lambda dy, y: dy * (y**2 - 1),
            kind="arithmetic",
            remakes="the two terms of a difference exchanged",
            cause="sign",
        ),
        Defect(
            "twice",
            lambda dy, y: 2 * dy * (1 - y**2),
            kind="arithmetic",
            remakes="the inner derivative of 2 sigmoid(2x) - 1 counted once too often",
            cause="factor",
        ),
        Defect(
            "upstream squared",
            lambda dy, y: dy**2 * (1 - y**2),
            kind="upstream",
            remakes="multiplied by the upstream gradient both in the layer and in its caller",
            cause="nonlinear-in-upstream",
        ),
        Defect(
            "upstream added",
            lambda dy, y: dy + (1 - y**2),
            kind="upstream",
            remakes="a sum where the chain rule has a product",
            cause="nonlinear-in-upstream",
        ),
    ),
)


def softplus(x: Array) -> Array:
    """Return ``log(1 + exp(βx)) / β``."""
    return np.asarray(np.logaddexp(0, BETA * x) / BETA)


def wide_points(rng: np.random.Generator) -> tuple[Array]:
    """Draw numbers of which one is far to the right, where exp overflows."""
    x = rng.normal(size=(3, 4))
    x[0, 0] = 800
    return (x,)


SOFTPLUS = Case(
    "softplus",
    softplus,
    lambda dy, x: dy * sigmoid(BETA * x),
    wide_points,
    defects=(
        Defect(
            "inner derivative counted",
            lambda dy, x: dy * BETA * sigmoid(BETA * x),
            kind="arithmetic",
            remakes="the division by beta in the forward forgotten",
            cause="factor",
        ),
        Defect(
            "without beta",
            lambda dy, x: dy * sigmoid(x),
            kind="arithmetic",
            remakes="a parameter added to forward and not to backward",
        ),
        Defect(
            "overflows",
            lambda dy, x: dy * np.exp(BETA * x) / (1 + np.exp(BETA * x)),
            kind="overflow",
            remakes="exp(x) / (1 + exp(x)) gives inf / inf for large x",
            cause="wrong-on-special-values",
            breaks="finite",
        ),
        Defect(
            "linear too early",
            lambda dy, x: dy * np.where(x > 0.5, 1, sigmoid(BETA * x)),
            kind="arithmetic",
            remakes="a threshold for the linear part compared with x in place of beta x",
        ),
        Defect(
            "switched off when large",
            lambda dy, x: dy * np.where(x > 100, 0, sigmoid(BETA * x)),
            kind="overflow",
            remakes="a guard against overflow that returns zero",
            cause="zero-where-it-should-not-be",
        ),
    ),
)

CASES = (GELU, SIGMOID, TANH, SOFTPLUS)
