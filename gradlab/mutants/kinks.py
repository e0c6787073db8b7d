"""Activations with a kink, at points of which some are at the kink, and some 1e-7 beside it.

::

    relu     max(x, 0)                  leaky_relu  max(x, 0) + a min(x, 0)
    abs      |x|                        maximum     max(a, b)
    clip     min(max(x, −1), 1)

At a kink any slope between those on both sides is right; of equal numbers each may get a share of the
gradient, and the shares must add up to one.
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array, around, nonzero
from gradlab.mutants.model import Case, Defect

LEAK = 0.1


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
            cause="zero-where-it-should-not-be",
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

CASES = (RELU, LEAKY_RELU, ABS, MAXIMUM, CLIP)
