"""Lengths and directions: how far an entry is moved, and by which amounts many are moved together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array
from gradlab.numerics.dtypes import limits

HUGE = 1e100  # squares of what is below can be summed, and above its inverse
FINEST_DIGITS = 36
FINEST = 2.0**-FINEST_DIGITS  # of which every step in float64 is a multiple
BLOCK, SHORTEST = 8192, 1024  # entries
DOUBLE_DIGITS = int(np.finfo(np.float64).nmant)
ONE = 1023  # the exponent of 1, as it is stored in float64
GAP = 10  # binary digits, about three decimal ones, between numbers and far larger ones
DIGITS = 10  # binary digits that a direction keeps at least, however coarse the grid of its points


def scales(x: npt.NDArray[np.floating]) -> Array:
    """Return for each entry the length on which the function is expected to vary.

    That is the entry's own magnitude, but no less than a tenth of the root mean square of all, because an
    entry that happens to be tiny among others is more likely a small value of a large quantity. Where all
    are zero nothing is known, and the answer is 1. Entries that are not finite count as zero.

    >>> scales(np.array([10.0, 0.0]))
    array([10.        ,  0.70710678])
    """
    magnitude: Array = np.asarray(np.abs(np.asarray(x, dtype=np.float64)))
    largest = float(magnitude.max(initial=0.0))
    if not math.isfinite(largest):
        magnitude[~np.isfinite(magnitude)] = 0.0
        largest = float(magnitude.max(initial=0.0))
    if largest == 0.0:
        return np.ones_like(magnitude)
    unit = 1.0 if 1 / HUGE < largest < HUGE else largest
    relative = (magnitude if unit == 1.0 else magnitude / unit).ravel()
    floor = 0.1 * unit * math.sqrt(_square(relative) / relative.size)
    np.maximum(magnitude, floor, out=magnitude)
    return magnitude


def are_alike(x: npt.NDArray[np.floating]) -> bool:
    """Whether short inputs, as most are, have no `gaps`: looking for them takes four times as long.

    >>> are_alike(np.array([0.3, -2.0])), are_alike(np.array([0.0, -2.0]))
    (True, False)
    """
    if not 0 < x.size <= SHORTEST:
        return False
    magnitude = np.abs(x)
    return bool(magnitude.max() <= 2.0**GAP * magnitude.min())


def gaps(x: npt.NDArray[np.floating]) -> Iterator[float]:
    """Yield, from the largest on, magnitudes that are about 1,000 times or more those of all smaller entries.

    Zeros stand for 1, if that is far less than all others.

    >>> [f"{gap:.0e}" for gap in gaps(np.array([0.3, -2.0, 0.0, 1e-5, -1e9]))]
    ['5e+08', '2e-01']
    >>> [f"{gap:.0e}" for gap in gaps(np.array([0.0, -1e9]))], [*gaps(np.arange(-2.0, 9.0))]
    (['5e+08'], [])
    """
    flat = x.ravel()
    count = np.zeros(2 * ONE + 2, dtype=np.intp)
    for block in blocks(flat.size):
        stored = np.ascontiguousarray(flat[block], dtype=np.float64).view(np.int64) >> DOUBLE_DIGITS
        count += np.bincount(stored & (2 * ONE + 1), minlength=count.size)
    exponents = np.flatnonzero(count[1:-1]) + 1 - ONE  # of all but zeros, and what is not finite
    if count[0] and exponents.size and exponents[0] > 0:
        exponents = np.concatenate([[0], exponents])
    for k in np.flatnonzero(np.diff(exponents) >= GAP)[::-1].tolist():
        yield 2.0 ** float(exponents[k + 1])


@np.errstate(all="ignore")
def exact_displacement(x: npt.NDArray[np.floating], d: Array) -> Array:
    """Round a displacement so that ``x ± hd`` is exact for every step ``h`` that is used.

    All steps are multiples of `FINEST` in float64. Otherwise the points would be rounded by ``eps`` relative
    to ``x``, and a function that changes little along ``d`` would show that instead. The direction itself
    is as good as any other.

    >>> x = np.array([0.1])
    >>> d = exact_displacement(x, np.array([1 / 3]))
    >>> h = 2.0**-16
    >>> bool((x + h * d) - x == h * d), bool(abs(d - 1 / 3) < 1e-4)
    (True, True)
    """
    digits = max(int(limits(x.dtype).nmant) - FINEST_DIGITS, DIGITS)  # that are kept
    # To add a number is to round to its own grid: that of the points, times 2 to the digits of the steps.
    coarse = np.abs(np.asarray(x, dtype=np.float64)) + np.abs(d)
    coarse *= 2.0 ** (DOUBLE_DIGITS - digits)
    rounded = d + coarse
    rounded -= coarse
    exact = np.isfinite(rounded) & (rounded != 0)
    every = np.count_nonzero(exact) == exact.size
    return np.asarray(rounded if every else np.where(exact, rounded, d))


def both_sides(x: npt.NDArray[Any], d: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return ``x + d`` and ``x - d``, in the dtype of ``x``, exactly as far away from it as each other.

    A point across a power of two is rounded to a coarser grid than that of ``x``, and the middle of both
    would be another than ``x``. Beside a minimum, where the slope is next to none, the curvature shows that.

    >>> x, d = np.array([1 - 2.0**-53]), np.array([2.0**-20])
    >>> plus, minus = both_sides(x, d)
    >>> bool((x + d) - x == x - (x - d)), bool(plus - x == x - minus)
    (False, True)
    """
    if x.dtype.kind == "c":
        sides = zip(both_sides(x.real, np.real(d)), both_sides(x.imag, np.imag(d)), strict=True)
        plus, minus = ((real + 1j * imag).astype(x.dtype) for real, imag in sides)
        return plus, minus
    plus, minus = np.asarray(x + d), np.asarray(x - d)
    if plus.dtype != x.dtype:
        plus, minus = plus.astype(x.dtype), minus.astype(x.dtype)
    with np.errstate(invalid="ignore"):
        apart = plus - minus
    rounded = apart != d + d
    if np.count_nonzero(rounded):
        rounded &= np.isfinite(apart)
        outer = rounded & (np.abs(plus) >= np.abs(minus))
        inner = rounded & ~outer
        minus[outer] = x[outer] - (plus[outer] - x[outer])
        plus[inner] = x[inner] + (x[inner] - minus[inner])
    return plus, minus


def moved_by(x: npt.NDArray[Any], d: npt.NDArray[Any], t: float) -> npt.NDArray[Any]:
    """Return ``x + td``, as far from ``x`` as ``x - td`` is: the first of `both_sides`, block by block."""
    flat, along, there = x.ravel(), d.ravel(), np.empty(x.size, x.dtype)
    for block in blocks(x.size):
        there[block], _ = both_sides(flat[block], t * along[block])
    return there.reshape(x.shape)


def finest_displacement(x: npt.NDArray[np.floating], d: Array) -> Array:
    """Return the smallest displacement about as large as ``d`` that `exact_displacement` leaves as it is.

    >>> float(finest_displacement(np.ones(1), np.ones(1))[0]) == 2.0**-51 / FINEST
    True
    """
    digits = np.finfo(x.dtype).nmant - DIGITS
    with np.errstate(all="ignore"):
        reach = (np.abs(x) + np.abs(d)).astype(x.dtype, copy=False)
        return np.asarray(np.spacing(reach), dtype=np.float64) / max(FINEST, 2.0**-digits)


def random_direction(
    x: npt.NDArray[np.floating], rng: np.random.Generator, reach: Array | None = None
) -> Array:
    """Draw a direction in which every entry moves, each on its own scale and by a different amount.

    Plain signs would cancel on a pair of equal and opposite errors; signs times magnitudes from [1, 2] do
    not. The scale is that of `scales`, or given as ``reach``.
    """
    length = (scales(x) if reach is None else reach).ravel()
    flat, direction = x.ravel(), np.empty(x.size)
    for block in blocks(x.size):
        d = rng.random(length[block].size)  # `uniform` takes longer
        d *= 2
        d -= 1
        d += np.copysign(1, d)
        d *= length[block]
        direction[block] = exact_displacement(flat[block], d)
    return direction.reshape(x.shape)


def blocks(size: int) -> Iterator[slice]:
    """Yield the parts of a long vector, so short that what is calculated on the way stays in the cache.

    Nor is it much beside the vector itself.
    """
    length = min(BLOCK, max(size // 8, SHORTEST))
    for start in range(0, size, length):
        yield slice(start, start + length)


def sum_and_norm(one: Array, other: Array) -> tuple[float, float]:
    """Return the sum and the Euclidean norm of the products of two arrays' entries.

    >>> sum_and_norm(np.array([3.0, 2.0]), np.array([1.0, 2.0]))
    (7.0, 5.0)
    """
    one, other = one.ravel(), other.ravel()
    total, square = 0.0, 0.0
    for block in blocks(one.size):
        products = one[block] * other[block]
        total += float(products.sum())
        square += float(np.vdot(products, products))
    return total, math.sqrt(square) if 1 / HUGE < square < HUGE else norm(one * other)


def norm(*vectors: Array) -> float:
    """Return the Euclidean norm of some arrays taken together, without overflow.

    >>> norm(np.array([3e300]), np.array([4e300]))
    5e+300
    """
    square = sum(map(_square, vectors))
    if 1 / HUGE < square < HUGE:
        return math.sqrt(square)
    largest = max((max(float(v.max()), -float(v.min())) for v in vectors if v.size), default=0.0)
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(sum(float(np.square(v / largest).sum()) for v in vectors)))


def _square(vector: Array) -> float:
    """Return the sum of squares; of a long vector by blocks, for which BLAS starts no threads."""
    flat = vector.ravel()
    return sum(float(np.vdot(flat[block], flat[block])) for block in blocks(flat.size))
