"""Rules that are hard to check: the defect is small, far away, or behind noise.

::

    wide_entries   Σ c_i sin x_i, c from 1 to 1e-8            one gradient, entries 1e8 apart
    wide_outputs   Y = (1e8 sin x, 1e-8 cos x)                outputs 1e16 apart
    offset         1e8 + Σ sin x                              noise of 1e-8
    hidden_float32 tanh, computed in float32 behind float64 arrays
    logarithm      log x, raises for x ≤ 0                    within 1e-6 of the edge
    table_lookup   linear interpolation, raises outside       at the edge itself
    million        x², one million entries
    small_angle    x − sin x in float32                       1 − cos x loses all digits, 2 sin²(x/2) none
    saturated      σ(x) in float32                            1 − y loses digits, σ(−x) none
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradlab.mutants._points import Array, nonzero
from gradlab.mutants.model import Case, Defect

WEIGHTS = np.array([1.0, 1e-2, 1e-4, 1e-6, 1e-8])


def only_small(wrong: float) -> Callable[[Array, Array], Array]:
    """Return a backward rule whose smallest entry is wrong by a factor."""

    def backward(dy: Array, x: Array) -> Array:
        dx = dy * WEIGHTS * np.cos(x)
        dx[-1] *= wrong
        return np.asarray(dx)

    return backward


WIDE_ENTRIES = Case(
    "wide_entries",
    lambda x: (WEIGHTS * np.sin(x)).sum(),
    lambda dy, x: dy * WEIGHTS * np.cos(x),
    lambda rng: (rng.uniform(0.5, 1.2, len(WEIGHTS)),),
    defects=(
        Defect(
            "smallest entry one per cent off",
            only_small(1.01),
            kind="scales",
            remakes="a defect below the norm of the whole gradient: a norm-wise comparison sees 1e-10",
            cause="wrong-on-special-values",
        ),
        Defect(
            "smallest entry zero",
            only_small(0),
            kind="scales",
            remakes="small gradients cut off",
            cause="wrong-on-special-values",
        ),
        Defect(
            "smallest entry's sign",
            only_small(-1),
            kind="scales",
            remakes="a sign in a term that is much smaller than the others",
            cause="wrong-on-special-values",
        ),
        Defect(
            "rounded to 1e-6",
            lambda dy, x: np.round(dy * WEIGHTS * np.cos(x), 6),
            kind="scales",
            remakes="gradients written out with six digits behind the point",
        ),
    ),
)


def wide_outputs(x: Array) -> Array:
    """Return ``(1e8 sin x, 1e-8 cos x)``."""
    return np.concatenate([1e8 * np.sin(x), 1e-8 * np.cos(x)])


def wide_backward(dy: Array, x: Array, *, large: float = 1, small: float = 1) -> Array:
    """Return both outputs' contributions; the keywords make the wrong variants."""
    first, second = np.split(dy, 2)
    return np.asarray(large * first * 1e8 * np.cos(x) - small * second * 1e-8 * np.sin(x))


WIDE_OUTPUTS = Case(
    "wide_outputs",
    wide_outputs,
    wide_backward,
    lambda rng: (rng.uniform(0.5, 1.2, 3),),
    defects=(
        Defect(
            "small output dropped",
            lambda dy, x: wide_backward(dy, x, small=0),
            kind="outputs",
            remakes="the gradient of a second output ignored",
        ),
        Defect(
            "small output's sign",
            lambda dy, x: wide_backward(dy, x, small=-1),
            kind="outputs",
            remakes="a sign that shows in no norm",
        ),
        Defect(
            "small output one per cent off",
            lambda dy, x: wide_backward(dy, x, small=1.01),
            kind="outputs",
            remakes="a defect of 1e-18 of the gradient",
        ),
        Defect(
            "large output one in 1e5 off",
            lambda dy, x: wide_backward(dy, x, large=1 + 1e-5),
            kind="outputs",
            remakes="a constant with too few digits",
            cause="factor",
        ),
    ),
)

OFFSET = Case(
    "offset",
    lambda x: 1e8 + np.sin(x).sum(),
    lambda dy, x: dy * np.cos(x),
    lambda rng: (rng.uniform(0.5, 1.2, 4),),
    defects=(
        Defect(
            "no derivative of the sine",
            lambda dy, x: dy * np.sin(x),
            kind="offset",
            remakes="a loss with a large constant: small steps see only rounding",
        ),
        Defect(
            "minus",
            lambda dy, x: -dy * np.cos(x),
            kind="offset",
            remakes="the derivative of cos for that of sin",
        ),
        Defect(
            "one per cent off",
            lambda dy, x: 1.01 * dy * np.cos(x),
            kind="offset",
            remakes="a constant with too few digits, below the noise of small steps",
            cause="factor",
        ),
        Defect(
            "last entry zero",
            lambda dy, x: dy * np.cos(x) * (np.arange(len(x)) < len(x) - 1),
            kind="offset",
            remakes="a loop that ends one entry too early",
            cause="wrong-on-special-values",
        ),
    ),
)


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


def logarithm(x: Array) -> Array:
    """Return ``log x``."""
    if (x <= 0).any():
        raise ValueError("logarithm of a number that is not positive")
    return np.log(x)


def close_to_zero(rng: np.random.Generator) -> tuple[Array]:
    """Draw positive numbers, of which two are within 1e-6 of zero."""
    x = rng.uniform(0.5, 2, 5)
    x[:2] = 1e-6, 1e-9
    return (x,)


LOGARITHM = Case(
    "logarithm",
    logarithm,
    lambda dy, x: dy / x,
    close_to_zero,
    defects=(
        Defect(
            "epsilon in the denominator",
            lambda dy, x: dy / (x + 1e-8),
            kind="domain",
            remakes="a guard against division by zero that forward does not have",
        ),
        Defect(
            "clipped from below",
            lambda dy, x: dy / np.maximum(x, 1e-7),
            kind="domain",
            remakes="inputs clipped in backward and not in forward",
            cause="wrong-on-special-values",
        ),
        Defect(
            "logarithm to base 2",
            lambda dy, x: dy / (x * np.log(2)),
            kind="domain",
            remakes="the derivative of log2 for that of log",
            cause="factor",
        ),
        Defect(
            "zero close to the edge",
            lambda dy, x: dy * (x > 1e-5) / x,
            kind="domain",
            remakes="gradients switched off where they are large",
            cause="zero-where-it-should-not-be",
        ),
    ),
)

VALUES = np.array([0.0, 1.0, -1.0, 2.0, 0.5])


def interpolate(x: Array) -> Array:
    """Return the piecewise linear function through ``VALUES`` at 0, 1, 2, 3, 4."""
    if ((x < 0) | (x > len(VALUES) - 1)).any():
        raise ValueError("outside of the table")
    return np.asarray(np.interp(x, np.arange(len(VALUES)), VALUES))


def slope(x: Array) -> Array:
    """Return the slope of the interval of each number; at the right end, of the last one."""
    return np.asarray(np.diff(VALUES)[np.minimum(x.astype(int), len(VALUES) - 2)])


TABLE_LOOKUP = Case(
    "table_lookup",
    interpolate,
    lambda dy, x: dy * slope(x),
    lambda rng: (np.concatenate([[0.0, 4.0], np.arange(4) + rng.uniform(0.2, 0.8, 4)]),),
    defects=(
        Defect(
            "zero at the ends",
            lambda dy, x: dy * slope(x) * ((x > 0) & (x < 4)),
            kind="domain",
            remakes="the ends of a table taken for outside",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "next interval",
            lambda dy, x: dy * slope(np.minimum(x + 1, 4)),
            kind="domain",
            remakes="an interval's index off by one",
        ),
        Defect(
            "central difference of the table",
            lambda dy, x: dy * np.gradient(VALUES)[x.astype(int)],
            kind="domain",
            remakes="the derivative of a smoother interpolation",
        ),
    ),
)

MILLION = 1_000_000


def at_one_entry(change: Callable[[Array], None]) -> Callable[[Array, Array], Array]:
    """Return a backward rule for ``x²`` that is changed at one entry of a million."""

    def backward(dy: Array, x: Array) -> Array:
        dx = 2 * dy * x
        change(dx)
        return dx

    return backward


def off_by_ten_per_cent(dx: Array) -> None:
    """Change one entry."""
    dx[271_828] *= 1.1


def exchanged(dx: Array) -> None:
    """Exchange two entries."""
    dx[[314_159, 718_281]] = dx[[718_281, 314_159]]


def last_forgotten(dx: Array) -> None:
    """Leave the last entry out."""
    dx[-1] = 0


ONE_IN_A_MILLION = Case(
    "million",
    lambda x: x * x,
    lambda dy, x: 2 * dy * x,
    lambda rng: (rng.uniform(0.5, 2, MILLION),),
    defects=(
        Defect(
            "one entry ten per cent off",
            at_one_entry(off_by_ten_per_cent),
            kind="sparse",
            remakes="a race between two threads that loses one update",
        ),
        Defect(
            "two entries exchanged",
            at_one_entry(exchanged),
            kind="sparse",
            remakes="a collision in an index: errors that cancel in a sum",
            cause="permuted",
        ),
        Defect(
            "last entry forgotten",
            at_one_entry(last_forgotten),
            kind="sparse",
            remakes="a loop over blocks that ends one entry too early",
            cause="wrong-on-special-values",
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

CASES = (
    WIDE_ENTRIES,
    WIDE_OUTPUTS,
    OFFSET,
    HIDDEN_FLOAT32,
    LOGARITHM,
    TABLE_LOOKUP,
    ONE_IN_A_MILLION,
    SMALL_ANGLE,
    SATURATED,
)
