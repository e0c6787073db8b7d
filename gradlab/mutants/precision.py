"""Single precision, behind float64 arrays or in the open.

::

    hidden_float32  tanh, computed in float32 behind float64 arrays
    small_angle     x − sin x in float32       1 − cos x loses all digits, 2 sin²(x / 2) none
    saturated       y = σ(x) in float32        y (1 − y) loses digits, y σ(−x) none
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array, nonzero
from gradlab.mutants.model import Case, Defect


def tanh_in_single(x: Array) -> Array:
    """Return ``tanh(x)``, computed in float32."""
    return np.tanh(x.astype(np.float32)).astype(np.float64)


HIDDEN_FLOAT32 = Case(
    "hidden_float32",
    tanh_in_single,
    lambda dy, x: dy * (1 - np.tanh(x) ** 2),
    lambda rng: (nonzero(rng, 5),),
    defects=(
        Defect(
            "one per cent off",
            lambda dy, x: 1.01 * dy * (1 - np.tanh(x) ** 2),
            kind="precision",
            remakes="a defect behind the noise of single precision",
            cause="factor",
        ),
        Defect(
            "without the square",
            lambda dy, x: dy * (1 - np.tanh(x)),
            kind="precision",
            remakes="1 - y in place of 1 - y**2, behind the noise of single precision",
        ),
        Defect(
            "minus",
            lambda dy, x: -dy * (1 - np.tanh(x) ** 2),
            kind="precision",
            remakes="a sign, where small steps see only steps of float32",
            cause="sign",
        ),
    ),
)


def small_angles(rng: np.random.Generator) -> tuple[Array]:
    """Draw small numbers in float32."""
    return (rng.uniform(1e-3, 3e-3, 5).astype(np.float32),)


SMALL_ANGLE = Case(
    "small_angle",
    lambda x: x - np.sin(x),
    lambda dy, x: 2 * dy * np.sin(x / 2) ** 2,
    small_angles,
    defects=(
        Defect(
            "cancels",
            lambda dy, x: dy * (1 - np.cos(x)),
            kind="precision",
            remakes="1 - cos x, which is 0 in float32 where x is small",
            cause="precision",
        ),
        Defect(
            "half",
            lambda dy, x: dy * np.sin(x / 2) ** 2,
            kind="precision",
            remakes="the 2 of 2 sin²(x / 2) lost while saving the digits",
            cause="factor",
        ),
        Defect(
            "no square",
            lambda dy, x: 2 * dy * np.sin(x / 2),
            kind="precision",
            remakes="the square lost while saving the digits",
        ),
        Defect(
            "in half precision",
            lambda dy, x: (2 * dy * np.sin(x / 2) ** 2).astype(np.float16).astype(np.float32),
            kind="precision",
            remakes="gradients cast to float16, where these are subnormal",
            cause="precision",
        ),
    ),
)


def saturating(rng: np.random.Generator) -> tuple[Array]:
    """Draw numbers in float32 where the sigmoid is within 1e-5 of 1."""
    return (rng.uniform(9, 12, 5).astype(np.float32),)


def logistic(x: Array) -> Array:
    """Return ``1 / (1 + exp(−x))``."""
    return np.asarray(1 / (1 + np.exp(-x)))


SATURATED = Case(
    "saturated",
    logistic,
    lambda dy, x: dy * logistic(x) * logistic(-x),
    saturating,
    defects=(
        Defect(
            "cancels",
            lambda dy, x: dy * logistic(x) * (1 - logistic(x)),
            kind="precision",
            remakes="y (1 - y) of a saturated unit in single precision",
            cause="precision",
        ),
        Defect(
            "dead",
            lambda dy, x: np.zeros_like(x),
            kind="precision",
            remakes="small gradients flushed to zero",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "square of the output",
            lambda dy, x: dy * logistic(x) ** 2,
            kind="arithmetic",
            remakes="y for 1 - y",
        ),
    ),
)

CASES = (HIDDEN_FLOAT32, SMALL_ANGLE, SATURATED)
