r"""How noisy is a function: the error of its values, estimated from the values themselves.

Values at equally spaced, very close points are differenced again and again. What is smooth vanishes level by
level, while noise of standard deviation :math:`\sigma` stays, multiplied in a known way:

.. math:: \sigma_k^2 = \gamma_k \,\mathrm{mean}_i\, (\Delta^k f_i)^2, \qquad \gamma_k = \frac{(k!)^2}{(2k)!} .

The third and fourth differences are used: what is smooth has vanished there, and of seven points they leave
four and three values. The larger of both is taken, erring on the side of more noise.

Source: J. J. Moré and S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) 1292-1314.
They search for a level that agrees with its neighbours; from seven points that search finds nothing for about
half of all functions whose values are quantised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array
from gradlab.numerics.differences import GROWING
from gradlab.numerics.leaps import leap, leaps_by

# The first spacing is 64 roundings of float32, relative to the input's scale: so wide that a function which
# computes in float32 behind float64 arrays, or adds 1e8 and takes it away again, shows its steps; so close
# that what is smooth vanishes after three or four differences.
SPACING = 64 * float(np.finfo(np.float32).eps)
CLOSER, FARTHER, ZOOMS = 1 / 64, 64, 4  # where the first spacing shows too much, or nothing
SHRINKS = 1 / 8  # a kink's trace shrinks by 64, that of curvature by its third power, and nothing by more
WHOLE, COMMON = 1e-9, 1e-6  # of the largest change: what counts as zero, and as a common divisor
LOUD = 30  # times its rounding: what has to be told from such traces
MOST_LOUD = 4  # outputs that are looked at for leaps, each of which takes as many calls as four looks
STRAIGHT = 1e-3  # of a step: what curvature adds to it
KINKLIKE = 0.02  # of the spread of the values: a kink among them leaves a trace of about a tenth
RESOLVED = 0.01  # of the spread of the values: less noise than that is a smooth function seen as such
SMALLEST = float(np.finfo(np.float64).smallest_subnormal)  # subnormal numbers are rounded by this
OFFSETS = (-3, -2, -1, 0, 1, 2, 3)  # times the spacing
LEVELS = (3, 4)
BLOCK = 100_000  # components at a time
SAFETY = 3  # standard deviations that an error bar is to cover


Values: TypeAlias = Callable[[int, float], Sequence[Array] | None]


@dataclass(frozen=True)
class Look:
    """What equally spaced values show of each output; all arrays are of shape ``(m,)``.

    Attributes
    ----------
    noise : Array
        `SAFETY` standard deviations.
    same : array of bool
        Whether the output has one value at all points.
    spread : Array
        The largest value less the smallest.
    quantum : Array
        Of which number all changes are multiples; 0 where there is none.
    hinged : array of bool
        Whether the output is constant on one side and a straight line on the other.
    """

    noise: Array
    same: npt.NDArray[np.bool_]
    spread: Array
    quantum: Array
    hinged: npt.NDArray[np.bool_]


def function_noise(values: Values, at: Callable[[float], Array], floor: Array) -> Array:
    """Return what each output of a function may be off by.

    Seven values along each of two lines show it. Where an output stays the same on all of them, it is looked
    at from farther away, for a quantum of which its changes are multiples. Where they show more than
    rounding, it is looked at from closer and closer: noise stays; what shrinks as smooth functions do, or
    turns out to be a smooth function that is steeper than was seen from farther away, is none. Where a few
    outputs still show more, halving tells leaps from kinks that are many or near.

    Parameters
    ----------
    values : callable
        ``values(line, spacing)``: the outputs at `OFFSETS` times the spacing along one of two lines through
        the point, arrays of shape ``(m,)``; ``None`` when no more may be asked for.
    floor : Array
        Shape ``(m,)``: the rounding of the outputs.

    Returns
    -------
    Array
        Shape ``(m,)``, nowhere below ``floor``.

    Examples
    --------
    >>> def at(t):
    ...     return 1e8 + np.sin([1 + t]) - 1e8
    >>> def values(line, spacing):
    ...     return [at(k * spacing) for k in OFFSETS]
    >>> bool(1e-9 < function_noise(values, at, np.array([2e-16]))[0] < 1e-6)
    True
    """
    first = _look(values, (0, 1), SPACING, floor)
    if first is None:
        return floor
    noise, same, steepness = first.noise, first.same, first.spread / SPACING
    kinklike, hinged = noise > KINKLIKE * first.spread, first.hinged
    for k in (1, 2):
        if not same.any():
            break
        far = _look(values, (0, 1), SPACING * FARTHER**k, floor)
        if far is None:
            break
        noise, same = np.where(same & (far.quantum > 0), far.quantum, noise), same & far.same
    shrinking = loud = noise > LOUD * floor
    steeper = np.zeros_like(loud)
    for k in range(1, ZOOMS + 1):
        if not loud.any():
            break
        near = _look(values, (0,), SPACING * CLOSER**k, floor)
        if near is None:
            break  # what was not looked at more closely stays noise
        # What vanishes at once, faster than fourth differences do, vanishes by chance: the function is
        # quantised. What shrank before as a kink's trace does, and now is gone, was one.
        by_chance = (10 * near.noise < noise * CLOSER**4) & (noise * CLOSER**3 > 10 * floor) & (k == 1)
        shrinks = shrinking & ~near.same & ~by_chance & (near.noise < SHRINKS * noise)
        # A smooth function is seen as such where it is steeper than from afar, or as steep, and what looked
        # like noise was comparable to its changes, as the trace of a kink is and a small jump is not.
        growth, resolved = (
            near.spread / (SPACING * CLOSER**k * steepness),
            near.noise < RESOLVED * near.spread,
        )
        smooth = loud & resolved & (growth > np.where(kinklike, 1 / 4, GROWING))
        steeper |= loud & resolved & (growth > 1 / CLOSER)
        smooth |= hinged & near.same  # now all the points are on the flat side
        kinklike, hinged = near.noise > KINKLIKE * near.spread, near.hinged
        noise = np.where(shrinking & ~shrinks & ~near.same, np.fmax(noise, near.noise), noise)
        noise = np.where(shrinks | smooth, near.noise, noise)
        loud = loud & (noise > LOUD * floor)
        shrinking = loud & (shrinks | smooth)
    # Of a few outputs it can be known. (Not of what stays the same so close by: its quantum is from afar. Nor
    # of what is far steeper than it looked: it varies on less, and a leap may be a pole beside the point.)
    few = np.flatnonzero((first.noise > LOUD * floor) & ~first.same & ~steeper)
    if few.size <= MOST_LOUD:
        seen = cache(lambda t: at(t)[few])  # by all of them together
        for k, j in enumerate(few):
            component = _component(seen, k)
            if leaps_by(float(first.noise[j]) / (10 * SAFETY), component, SPACING):
                noise[j] = first.noise[j]
            elif noise[j] > LOUD * floor[j]:
                noise[j] = SAFETY * leap(component, SPACING)
    return np.fmax(noise, floor)  # NaN, at the edge of a domain, shows nothing


def _component(at: Callable[[float], Array], j: int) -> Callable[[float], float]:
    return lambda t: float(at(t)[j])


def _look(values: Values, lines: Sequence[int], spacing: float, like: Array) -> Look | None:
    """Return what values along some lines show, or ``None`` when no more may be asked for."""
    noise, spread, steps = (np.zeros_like(like) for _ in range(3))
    same, hinged = np.ones(like.shape, dtype=bool), np.ones(like.shape, dtype=bool)
    for line in lines:
        seen = values(line, spacing)
        if seen is None and line == lines[0]:
            return None
        if seen is None:
            break
        noise = np.fmax(noise, SAFETY * noise_level(seen))
        same &= all_same(seen)
        spread = np.fmax(spread, reduce(np.maximum, seen) - reduce(np.minimum, seen))
        if spacing > SPACING:
            steps = np.fmax(steps, quantum(seen))
        hinged &= _hinge(seen) | _hinge(seen[::-1])
    return Look(noise, same, spread, steps, hinged)


def _hinge(values: Sequence[Array]) -> npt.NDArray[np.bool_]:
    """Return where the first three values are the same, and the last three on a straight line."""
    step, last = values[-2] - values[-3], values[-1] - values[-2]
    straight = (last != 0) & (np.abs(last - step) <= STRAIGHT * np.abs(last))
    return np.asarray((values[0] == values[1]) & (values[1] == values[2]) & straight)


def noise_level(values: Sequence[Array]) -> Array:
    """Estimate the standard deviation of the noise in each component of a function.

    Parameters
    ----------
    values : sequence of Array
        Seven of shape ``(m,)``: the function at seven equally spaced, very close points.

    Returns
    -------
    Array
        Shape ``(m,)``; NaN where a value is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> smooth = np.linspace(0, 1e-3, 7)[:, np.newaxis]
    >>> noisy = smooth + 1e-8 * rng.standard_normal((7, 1))
    >>> bool(0.3e-8 < noise_level(noisy)[0] < 3e-8)
    True
    """
    size = values[0].size
    noise = np.empty(size)
    for start in range(0, size, BLOCK):  # the differences of a large output would be many times its size
        block = np.stack([value[start : start + BLOCK] for value in values])
        estimates = []
        for k in LEVELS:
            gamma = math.factorial(k) ** 2 / math.factorial(2 * k)
            estimates.append(np.sqrt(gamma * np.mean(np.diff(block, n=k, axis=0) ** 2, axis=0)))
        noise[start : start + BLOCK] = np.maximum(*estimates)
    return noise


def all_same(values: Sequence[Array]) -> npt.NDArray[np.bool_]:
    """Return which components have one value at all points.

    >>> all_same([np.array([1.0, 1.0]), np.array([1.0, 2.0])])
    array([ True, False])
    """
    same = np.ones(values[0].shape, dtype=bool)
    for value in values[1:]:
        same &= value == values[0]
    return same


def quantum(values: Sequence[Array]) -> Array:
    """Return of which number all changes of a component are multiples; 0 where there is none.

    It is the greatest common divisor of the changes, by Euclid's algorithm, which for a function that is not
    quantised runs down to rounding. Fewer than three changes, or changes all alike, are no evidence.

    >>> quantum([np.array([v]) for v in (0.0, 0.5, 0.5, 2.0, 3.0)])
    array([0.5])
    >>> quantum([np.array([v]) for v in (0.0, 1.0, 2.1, 3.3141, 4.7)])
    array([0.])
    """
    changes = np.abs(np.diff(np.stack(values), axis=0))
    nothing = WHOLE * changes.max(axis=0)
    divisor = changes[0]
    for change in changes[1:]:
        remainder = change
        while (remainder > nothing).any():
            open_ = remainder > nothing
            divisor, remainder = (
                np.where(open_, remainder, divisor),
                np.where(open_, np.where(divisor > 0, np.fmod(divisor, remainder), 0.0), remainder),
            )
    evidence = ((changes > 0).sum(axis=0) >= 3) & (changes != changes[:1]).any(axis=0)
    return np.where(evidence & (divisor > nothing / WHOLE * COMMON), divisor, 0.0)
