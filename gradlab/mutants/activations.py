"""Activations: functions of single entries, most of them with a kink.

::

    relu        max(x, 0)                         leaky_relu  max(x, 0) + a min(x, 0)
    gelu        ½ x (1 + tanh k(x + c x³))        sigmoid     1 / (1 + exp(−x))
    softplus    log(1 + exp(βx)) / β              abs         |x|
    maximum     max(a, b)                         clip        min(max(x, −1), 1)

At a kink any slope between those on both sides is right.
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array, around, nonzero, normal
from gradlab.mutants.model import Case, Defect
from gradlab.rules import tanh

LEAK = 0.1
BETA = 2.0
C, K = 0.044715, np.sqrt(2 / np.pi)


def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + exp(−x))``, which never overflows in this form."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def in_place_relu(dy: Array, x: Array) -> Array:
    """Zero the upstream gradient itself."""
    dy[x <= 0] = 0
    return dy


RELU = Case(
    "relu",
    lambda x: np.maximum(x, 0),
    lambda dy, x: dy * (x > 0),
    lambda rng: (around(0, rng, 3, 4),),
    defects=(
        Defect(
            "passed straight through",
            lambda dy, x: dy,
            kind="arithmetic",
            remakes="the derivative of the activation left out of the chain",
            cause="nonzero-where-it-should-be-zero",
        ),
        Defect(
            "gate reversed",
            lambda dy, x: dy * (x < 0),
            kind="arithmetic",
            remakes="the comparison the wrong way round",
        ),
        Defect(
            "gated by the upstream gradient",
            lambda dy, x: dy * (dy > 0),
            kind="upstream",
            remakes="guided backpropagation left switched on",
            cause="nonlinear-in-upstream",
        ),
        Defect(
            "dead zone beside the kink",
            lambda dy, x: dy * (x > 1e-6),
            kind="kink",
            remakes="compared with a small epsilon in place of zero",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "open just below the kink",
            lambda dy, x: dy * (x > -1e-6),
            kind="kink",
            remakes="compared with a tolerance, as in isclose",
            cause="nonzero-where-it-should-be-zero",
        ),
        Defect(
            "in place",
            in_place_relu,
            kind="arguments",
            remakes="an in-place activation that overwrites the gradient which a second branch still needs",
            breaks="arguments",
        ),
    ),
)

LEAKY_RELU = Case(
    "leaky_relu",
    lambda x: np.maximum(x, 0) + LEAK * np.minimum(x, 0),
    lambda dy, x: dy * np.where(x > 0, 1, LEAK),
    lambda rng: (around(0, rng, 3, 4),),
    defects=(
        Defect(
            "zero at the kink",
            lambda dy, x: dy * ((x > 0) + LEAK * (x < 0)),
            kind="kink",
            remakes="two branches with strict comparisons, so that at 0 neither is taken",
            cause="wrong-on-special-values",
        ),
        Defect(
            "both slopes at the kink",
            lambda dy, x: dy * ((x >= 0) + LEAK * (x <= 0)),
            kind="kink",
            remakes="two branches that overlap at 0",
            cause="wrong-on-special-values",
        ),
        Defect(
            "without the leak",
            lambda dy, x: dy * (x > 0),
            kind="arithmetic",
            remakes="backward of the plain rectifier kept after the forward was changed",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "gradient of the slope",
            lambda dy, x: dy * np.where(x > 0, 1, LEAK * x),
            kind="arithmetic",
            remakes="the value of the negative branch in place of its derivative",
        ),
        Defect(
            "gate beside the kink",
            lambda dy, x: dy * np.where(x > 1e-6, 1, LEAK),
            kind="kink",
            remakes="compared with a small epsilon in place of zero",
        ),
    ),
)


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
            cause="wrong-on-special-values",
        ),
    ),
)


def quotient_by_absolute(dy: Array, x: Array) -> Array:
    """Return ``dY x / |x|``, which is not a number at 0."""
    return np.asarray(dy * (x / np.abs(x)))


ABS = Case(
    "abs",
    np.abs,
    lambda dy, x: dy * np.sign(x),
    lambda rng: (around(0, rng, 3, 4),),
    defects=(
        Defect(
            "without the sign",
            lambda dy, x: dy,
            kind="arithmetic",
            remakes="the absolute value taken for the identity",
        ),
        Defect(
            "smoothed",
            lambda dy, x: dy * x / np.sqrt(x**2 + 1e-12),
            kind="kink",
            remakes="an epsilon against division by zero, in backward only",
        ),
        Defect(
            "not a number at zero",
            quotient_by_absolute,
            kind="zero",
            remakes="x / |x| at x = 0",
            cause="wrong-on-special-values",
            breaks="finite",
        ),
        Defect(
            "absolute value of the upstream gradient",
            lambda dy, x: np.abs(dy) * np.sign(x),
            kind="upstream",
            remakes="abs applied to the whole product",
            cause="nonlinear-in-upstream",
        ),
        Defect(
            "one side of the kink for both",
            lambda dy, x: dy * np.where(np.abs(x) < 1e-6, 1, np.sign(x)),
            kind="kink",
            remakes="numbers close to zero treated as positive",
        ),
    ),
)


def pair_with_tie(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw two arrays with equal entries, and with entries 1e-7 apart."""
    a = rng.normal(size=(3, 4))
    b = a + nonzero(rng, 3, 4)
    b.flat[:4] = a.flat[:4] + np.array([0, 0, 1e-7, -1e-7])
    return a, b


MAXIMUM = Case(
    "maximum",
    np.maximum,
    lambda dy, a, b: (dy * ((a > b) + 0.5 * (a == b)), dy * ((b > a) + 0.5 * (a == b))),
    pair_with_tie,
    defects=(
        Defect(
            "full gradient to both at a tie",
            lambda dy, a, b: (dy * (a >= b), dy * (b >= a)),
            kind="tie",
            remakes="two comparisons with >=",
            cause="wrong-on-special-values",
        ),
        Defect(
            "none at a tie",
            lambda dy, a, b: (dy * (a > b), dy * (b > a)),
            kind="tie",
            remakes="two comparisons with >",
            cause="wrong-on-special-values",
        ),
        Defect(
            "swapped",
            lambda dy, a, b: (dy * (b > a), dy * (a >= b)),
            kind="layout",
            remakes="gradients returned in the wrong order",
            cause="swapped-inputs",
        ),
        Defect(
            "second input forgotten",
            lambda dy, a, b: (dy * (a >= b), np.zeros_like(b)),
            kind="arithmetic",
            remakes="one branch of a merge gets no gradient",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "tied within a tolerance",
            lambda dy, a, b: (
                dy * np.where(np.isclose(a, b, atol=1e-6), 0.5, a > b),
                dy * np.where(np.isclose(a, b, atol=1e-6), 0.5, b > a),
            ),
            kind="tie",
            remakes="isclose where only equal values are tied",
        ),
    ),
)


def around_the_bounds(rng: np.random.Generator) -> tuple[Array]:
    """Draw numbers inside and outside of −1 … 1, at a bound, and 1e-7 beside it."""
    x = rng.choice([-1.0, 1.0], (3, 4)) * rng.uniform(0.2, 0.8, (3, 4))
    x.flat[:7] = 1, 1 + 1e-7, 1 - 1e-7, -1 + 1e-7, 1.7, -2.3, 3.1
    return (x,)


CLIP = Case(
    "clip",
    lambda x: np.clip(x, -1, 1),
    lambda dy, x: dy * (np.abs(x) < 1),
    around_the_bounds,
    defects=(
        Defect(
            "passed straight through",
            lambda dy, x: dy,
            kind="arithmetic",
            remakes="a straight-through estimator taken for the gradient",
            cause="nonzero-where-it-should-be-zero",
        ),
        Defect(
            "lower bound only",
            lambda dy, x: dy * (x > -1),
            kind="arithmetic",
            remakes="the second condition forgotten",
            cause="nonzero-where-it-should-be-zero",
        ),
        Defect(
            "clips the gradient",
            lambda dy, x: np.clip(dy, -1, 1) * (np.abs(x) < 1),
            kind="upstream",
            remakes="gradient clipping mixed up with the gradient of clipping",
            cause="nonlinear-in-upstream",
        ),
        Defect(
            "closed too early",
            lambda dy, x: dy * (np.abs(x) < 1 - 1e-6),
            kind="kink",
            remakes="bounds moved inwards by an epsilon",
            cause="zero-where-it-should-not-be",
        ),
    ),
)

CASES = (RELU, LEAKY_RELU, GELU, SIGMOID, TANH, SOFTPLUS, ABS, MAXIMUM, CLIP)
