"""Of which power of two values are multiples: what they were rounded to, as far as values alone tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array, Mask

NARROW = (7, 10)  # digits after the first, of bfloat16 and float16
SURE = 4  # zeros at the end, that come once in 16 times


def binary_grid(values: Array) -> tuple[Array, npt.NDArray[np.int_]]:
    """Return the largest power of two of which all values of a component are multiples.

    Parameters
    ----------
    values : Array
        Shape ``(k, m)``.

    Returns
    -------
    grid : Array
        Shape ``(m,)``; zero where all values are.
    distinct : array of int
        How many different values there are: of few, the grid is no evidence.

    Examples
    --------
    >>> x = np.linspace(1, 2, 7)[:, np.newaxis]
    >>> float(binary_grid(np.float64(np.float32(x)))[0][0]) == 2.0**-23
    True
    >>> float(binary_grid(np.round(x, 3))[0][0]) < 1e-15
    True
    """
    with np.errstate(all="ignore"):
        known = np.where(np.isfinite(values), values, 0.0)
        grid = lowest_digits(known).min(axis=0)
    return np.where(np.isfinite(grid), grid, 0.0), count_distinct(known)


def are_floating(values: Array) -> Mask:
    """Return which components look like floating-point numbers, rather than multiples of one step.

    The lowest digit of the former is the same part of each, that of the latter the same for all. Either ends
    in ``k`` more zeros once in ``2ᵏ⁺¹`` times: the sum of these over all values tells which is likelier. Of
    what comes more than once, as the ends of a range do to which values are clipped, it tells nothing. What
    has as many digits as a narrow dtype is a staircase only if that is likelier by far.

    >>> x = np.exp(np.linspace(-3.3, 3.1, 9))[:, np.newaxis]
    >>> bool(are_floating(np.float64(np.float16(x)))[0]), bool(are_floating(np.round(x * 128) / 128)[0])
    (True, False)
    """
    with np.errstate(all="ignore"):
        digits = np.log2(lowest_digits(np.where(np.isfinite(values), values, 0.0)))
        binade = np.floor(np.log2(np.abs(values)))
        known = np.isfinite(digits) & np.isfinite(binade)
        known &= sum((values == value).astype(np.intp) for value in values) == 1
        parts = [np.where(known, part, np.inf) for part in (digits - binade, digits)]
        least = [part.min(axis=0) for part in parts]
        floating, steps = (
            np.where(known, p - low, 0.0).sum(axis=0) for p, low in zip(parts, least, strict=True)
        )
    return np.asarray((floating < steps) | (np.isin(-least[0], NARROW) & (floating < steps + SURE)))


def lowest_part(values: Array) -> Array:
    """Return what part of a number its lowest digit is, at least, shape ``(m,)``; zero where all are."""
    with np.errstate(all="ignore"):
        parts = lowest_digits(np.where(np.isfinite(values), values, 0.0)) / np.abs(values)
    return np.asarray(np.nan_to_num(np.fmin.reduce(np.where(values != 0, parts, np.nan)), nan=0.0))


def lowest_digits(values: Array) -> Array:
    """Return the largest power of two of which each value is a multiple; infinite for zero."""
    mantissa, exponent = np.frexp(values)
    digits = (np.abs(mantissa) * 2.0**53).astype(np.int64)
    lowest = np.ldexp((digits & -digits).astype(np.float64), exponent - 53)
    return np.where(digits != 0, lowest, np.inf)


def common_multiple(changes: Array, grid: Array) -> npt.NDArray[np.int64]:
    """Return of how many times a grid all changes of a component are multiples; 1 where there are none.

    Whole numbers times 1e8 are multiples of 256, and rounded to nothing of the kind.
    """
    with np.errstate(all="ignore"):
        times = np.abs(changes) / grid
    whole = np.where(times < 2.0**53, times, 1.0).astype(np.int64)
    return np.asarray(np.fmax(np.gcd.reduce(whole, axis=0), 1))


def count_distinct(values: Array) -> npt.NDArray[np.int_]:
    """Return how many different values each component has."""
    with np.errstate(all="ignore"):
        return np.asarray((np.diff(np.sort(values, axis=0), axis=0) != 0).sum(axis=0) + 1)
