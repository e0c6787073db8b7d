r"""One central difference along a direction, and whether that settles the comparison.

.. math:: \langle u,\, f(x + hd) - f(x - hd) \rangle / 2h

The outputs are subtracted before they are contracted with the upstream gradient :math:`u`. Where both sides
agree to ``rtol``, and rounding cannot have made them agree, nothing more is asked.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import Joint
from gradlab.checks.kinks import Sides
from gradlab.checks.reading import Claim, Reading
from gradlab.checks.returned import read_gradients
from gradlab.checks.upstream import Upstream
from gradlab.numerics import Array
from gradlab.numerics.differences import WITNESS, Sample, cheap_step, norm, rounding
from gradlab.numerics.extrapolation import RATIO
from gradlab.problem import RuleRaised

CHEAP_RTOL = 0.5  # of the caller's rtol: what rounding may have made of one difference
UNKNOWN_NOISE = 4  # roundings: what an estimate of noise finds, times its safety factor
STRADDLING = 1e-2  # second difference of an output, relative to its first: a kink, not curvature
BENT = 3e-4  # of the usual first difference; one step of curvature where the slope is none adds half of it
LONGEST = 16  # times the usual step: truncation may then be as large as rtol, for third derivatives of 1
FEW = 0.01  # of the outputs may straddle a kink and be left out
MOST = 0.5  # of the claim has to stay: an entry by itself among many outputs may be curved, not kinked
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
    tolerance = rtol * np.maximum(reading.slope, reading.claim.size)
    difference = np.abs(reading.numeric - reading.claim.value)
    agrees = (difference <= tolerance) & (reading.error_bar <= CHEAP_RTOL * tolerance)
    return np.asarray(agrees.all(axis=-1))


def lengthening(reading: Reading, rtol: float) -> Array:
    """Return how much longer a step has to be for rounding to be told from a defect.

    1 where it need not be, where the two sides disagree by more than rounding, and where a step that is so
    much longer would show truncation instead.
    """
    tolerance = rtol * np.maximum(reading.slope, reading.claim.size)
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
    tolerance = rtol * np.maximum(reading.slope, reading.claim.size)
    blind = np.abs(reading.numeric - numeric) + tolerance
    return np.where(reading.error_bar <= CHEAP_RTOL * tolerance, blind, 0.0)


def beyond_rounding(reading: Reading, rtol: float) -> bool:
    """Whether a difference contradicts the claim by more than its rounding."""
    tolerance = WITNESS * reading.error_bar + rtol * np.maximum(reading.slope, reading.claim.size)
    return bool((np.abs(reading.numeric - reading.claim.value) > tolerance).any())


def looks_bent(reading: Reading) -> npt.NDArray[np.bool_]:
    """Return where one difference lies in the middle of two that differ: at a kink, or by curvature."""
    missing = reading.slope - np.abs(reading.numeric)
    return np.asarray((missing > STRADDLING * reading.slope).any(axis=-1))


def sides_of_a_difference(upstream: Upstream, sample: Sample, reading: Reading) -> Sides | None:
    """Return the slopes on both sides where they differ as much closer to the point; ``None`` by curvature.

    A gradient in the middle of a kink agrees with one difference at once. Curvature looks like a kink at
    first, but its slopes come together as the step shrinks.
    """
    problem = upstream.problem
    plus, minus, width = sample(cheap_step(problem.eps) * RATIO**2)
    if width == 0:
        return None
    right, left = (
        upstream.contract(side - problem.output) * (sign * 2 / width)
        for side, sign in ((plus, 1), (minus, -1))
    )
    first = reading.slope - np.abs(reading.numeric)
    off = 2 * problem.eps * upstream.rounding(plus != minus) / width
    if not (np.abs(right - left) / 2 > first / 2 + UNKNOWN_NOISE * off).any():
        return None
    return Sides(np.minimum(left, right), np.maximum(left, right), bool(right.sum() > left.sum()))


def without_straddling(
    upstream: Upstream, direction: Joint, plus: Array, minus: Array, width: Array
) -> Reading | None:
    """Leave the few outputs that straddle a kink out of the upstream gradient, and compare again."""
    problem = upstream.problem
    if upstream.labels is not None or FEW * problem.form.size < 1:
        return None
    second = np.abs(plus + minus - 2 * problem.output)
    first = np.abs(plus - minus)
    # A jump between slopes stands out beside the slopes of other outputs too, which curvature where an
    # output has none does not.
    usual = norm(first) / np.sqrt(first.size)
    visible = np.maximum(STRADDLING * first, BENT * usual)
    visible = np.maximum(visible, 16 * problem.eps * np.abs(problem.output))
    straddling = second > visible
    if not 0 < straddling.sum() <= FEW * problem.form.size:
        return None
    kept = np.where(straddling, 0.0, problem.grad_output)
    try:
        gradients, _ = read_gradients(problem, problem.call_backward(kept))
    except RuleRaised:
        return None
    if gradients.keys() != upstream.gradients[0].keys():
        return None
    plus, minus = (np.where(straddling, problem.output, side) for side in (plus, minus))
    claim = Claim(np.array([direction.project(gradients)]), np.array([direction.spread(gradients)]))
    if claim.size[0] < MOST * direction.spread(upstream.gradients[0]):
        return None
    reading = one_difference(upstream, claim, plus, minus, width)
    return replace(reading, gradients=(gradients,), left_out=int(straddling.sum()))
