"""Defects that are small beside everything else, or far away in a large array.

::

    wide_entries  Σ c_i sin x_i, c from 1 to 1e-8        one gradient, entries 1e8 apart
    wide_outputs  Y = (1e8 sin x, 1e-8 cos x)            outputs 1e16 apart
    offset        1e8 + Σ sin x                          rounding of 1e-8
    million       x², one million entries                one of them wrong
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradlab.mutants._points import Array
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
            cause="zero-where-it-should-not-be",
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
            cause="sign",
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
            cause="zero-where-it-should-not-be",
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
            cause="zero-where-it-should-not-be",
        ),
    ),
)

CASES = (WIDE_ENTRIES, WIDE_OUTPUTS, OFFSET, ONE_IN_A_MILLION)
