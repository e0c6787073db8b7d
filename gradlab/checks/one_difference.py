r"""One central difference along a direction, and whether that settles the comparison.

.. math:: \langle u,\, f(x + hd) - f(x - hd) \rangle / 2h

The outputs are subtracted before they are contracted with the upstream gradient :math:`u`. Where both sides
agree to ``rtol``, and rounding cannot have made them agree, nothing more is asked.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gradlab.checks.reading import Claim, Reading
from gradlab.checks.upstream import Upstream
from gradlab.numerics import Array
from gradlab.numerics.differences import WITNESS, rounding

CHEAP_RTOL = 0.5  # of the caller's rtol: what rounding may have made of one difference
UNKNOWN_NOISE = 4  # roundings: what an estimate of noise finds, times its safety factor
LONGEST = 16  # times the usual step: truncation may then be as large as rtol, for third derivatives of 1
BLOCK = 16_384  # output entries on either side that are held at once; more take longer to allocate


def one_difference(upstream: Upstream, claim: Claim, plus: Array, minus: Array, width: Array) -> Reading:
    """Read central differences; their error bars know of rounding alone, not of truncation.

    Parameters
    ----------
    upstream : Upstream
        Contracts the outputs.
    claim : Claim
        What backward says.
    plus, minus : Array
        Shape ``(..., m)``: the outputs at ``x ± hd``.
    width : Array
        Shape ``(...,)``: ``2h``; zero where floating point did not tell the points apart.
    """
    problem, width = upstream.problem, width[..., np.newaxis]
    up, down = (upstream.contract(side - problem.output) for side in (plus, minus))
    change = np.maximum(np.abs(up), np.abs(down))
    # An output that is the same on both sides does not depend on this direction and adds no rounding.
    noise = problem.eps * upstream.rounding(plus != minus)
    with np.errstate(all="ignore"):
        numeric, off = (up - down) / width, rounding(noise, change, width, problem.eps)
        slope = 2 * change / width
    known = width > 0
    return Reading(
        claim, np.where(known, numeric, np.nan), np.where(known, off, np.inf), np.where(known, slope, 0.0)
    )


def differences_of_entries(
    upstream: Upstream, claim: Claim, position: int, entries: npt.NDArray[np.intp], step: Array
) -> Reading:
    """Take one difference for each of ``k`` entries of an input.

    Parameters
    ----------
    upstream : Upstream
        Contracts the outputs, of many entries at a time.
    claim : Claim
        What backward says of each, shape ``(k, s)``.
    position : int
        The input.
    entries : array of int, shape (k,)
        Their flat indices.
    step : Array
        Shape ``(k,)``: how far they are moved to either side.
    """
    problem = upstream.problem
    x = problem.value(position)
    displacement = step.astype(x.dtype)
    points = x.ravel()[entries] + displacement, x.ravel()[entries] - displacement
    # The width that floating point really took.
    width = points[0].astype(np.float64) - points[1].astype(np.float64)
    rows = max(1, BLOCK // max(1, problem.form.size))
    readings = []
    for start in range(0, entries.size, rows):
        block = slice(start, start + rows)
        plus, minus = (problem.evaluate_entries(position, entries[block], to[block]) for to in points)
        readings.append(one_difference(upstream, claim.rows(block), plus, minus, width[block]))
    if not readings:
        return Reading.unknown(0, len(upstream.gradients))
    numeric, error_bar, slope = (
        np.concatenate([getattr(reading, name) for reading in readings])
        for name in ("numeric", "error_bar", "slope")
    )
    return Reading(claim, numeric, error_bar, slope)


def settled(reading: Reading, rtol: float) -> npt.NDArray[np.bool_]:
    """Return where both sides agree to ``rtol`` and rounding cannot have made them agree."""
    tolerance = reading.tolerance(rtol)
    difference = np.abs(reading.numeric - reading.claim.value)
    agrees = (difference <= tolerance) & (reading.error_bar <= CHEAP_RTOL * tolerance)
    agrees &= np.isfinite(reading.numeric)  # an infinite change tolerates anything
    return np.asarray(agrees.all(axis=-1))


def lengthening(reading: Reading, rtol: float) -> Array:
    """Return how much longer a step has to be for rounding to be told from a defect.

    1 where it need not be, where the two sides disagree by more than rounding, and where a step that is so
    much longer would show truncation instead.
    """
    tolerance = reading.tolerance(rtol)
    difference = np.abs(reading.numeric - reading.claim.value)
    agrees = (difference <= tolerance + UNKNOWN_NOISE * reading.error_bar).all(axis=-1)
    return np.where(agrees, _longer(reading.error_bar, tolerance), 1.0)


def foreseen_lengthening(upstream: Upstream, claim: Claim, step: Array, rtol: float) -> Array:
    """Return what `lengthening` will, before a difference is taken: where there is but one output, else 1."""
    problem = upstream.problem
    if problem.form.size != 1:
        return np.ones_like(step)  # it depends on which outputs move
    off = problem.eps * upstream.rounding(np.ones(1, dtype=bool)) / step[:, np.newaxis]
    return _longer(off, rtol * claim.size)


def _longer(off: Array, tolerance: Array) -> Array:
    """Return the least power of two that brings rounding down to the tolerance; 1 if that is too much."""
    with np.errstate(all="ignore"):
        longer = np.exp2(np.ceil(np.log2((off / (CHEAP_RTOL * tolerance)).max(axis=-1))))
    return np.where((longer > 1) & (longer <= LONGEST), longer, 1.0)


def accepted(reading: Reading) -> Reading:
    """Widen the error bar of a difference by truncation and by noise that was not estimated.

    Truncation is what both sides still differ by; of the noise, rounding is the least.
    """
    difference = np.abs(reading.numeric - reading.claim.value)
    return replace(reading, error_bar=np.maximum(UNKNOWN_NOISE * reading.error_bar, difference))


def blind_to(reading: Reading, numeric: Array, rtol: float) -> Array:
    """Return which change of the claim would have been settled, being off by just the truncation."""
    tolerance = reading.tolerance(rtol)
    blind = np.abs(reading.numeric - numeric) + tolerance
    return np.where(reading.error_bar <= CHEAP_RTOL * tolerance, blind, 0.0)


def beyond_rounding(reading: Reading, rtol: float) -> bool:
    """Whether a difference contradicts the claim by more than its rounding."""
    tolerance = WITNESS * reading.error_bar + reading.tolerance(rtol)
    return bool((np.abs(reading.numeric - reading.claim.value) > tolerance).any())
