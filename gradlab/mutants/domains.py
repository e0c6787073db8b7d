"""Forward functions that raise just outside of their domain.

::

    logarithm     log x, raises for x ≤ 0           within 1e-6 and 1e-9 of the edge
    table_lookup  linear interpolation in a table   at both edges themselves
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array
from gradlab.mutants.model import Case, Defect


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

CASES = (LOGARITHM, TABLE_LOOKUP)
