"""Directions that one difference does not settle: ladders of steps, each with an error bar.

What contradicts a claim there is looked at again: close up, because the function may vary on less than the
steps, or have a kink beside the point; on both sides, in case there is one at the point; and along a second
ladder that shares no step with the first. Only what contradicts all of these is wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradlab.checks.analytic import Analytic
from gradlab.checks.directions import Direction
from gradlab.checks.kinks import Displacements, Sides, slopes_around, slopes_between_sides
from gradlab.checks.reading import COARSE, LADDER_RTOL, Claim, Reading
from gradlab.numerics import Array
from gradlab.numerics.differences import (
    CLOSE_UP,
    GROWING,
    LARGEST_STEP,
    Derivative,
    Sample,
    ladder,
    richardson,
)

# Of the largest step, for the second ladder, which shares none with the first; all are multiples of FINEST.
OTHER = 5 / 8
CLOSE_ROWS = 12  # of the close-up, at most, down to 3e-11, twice FINEST
PER_OUTPUT = 10_000  # outputs; up to here slopes on both sides are taken for each output by itself
AROUND_BAR = 1e-3  # what slopes around a kink may differ from those at it, by curvature


class Ladders:
    """Compares claims with derivatives from ladders of steps.

    Parameters
    ----------
    analytic : Analytic
        Backward's side.
    rtol : float
        The relative disagreement that the caller does not care about.

    Attributes
    ----------
    towards_the_gradient : dict of int to Array
        From each kink to the side whose slope backward gives; known once all entries were probed.
    """

    def __init__(self, analytic: Analytic, *, rtol: float) -> None:
        self.analytic, self.rtol = analytic, rtol
        self.upstream, self.problem = analytic.upstream, analytic.problem
        self.towards_the_gradient: dict[int, Array] = {}

    def read(self, direction: Direction, sample: Sample, claim: Claim) -> Reading:
        """Compare a claim along a direction."""
        seen = Displacements(self.problem, sample)
        first = self._ladder(seen, ladder(), claim)
        if not self._contradicts(first, claim) and not first.conflicts.any():
            reading = Reading.of(first, claim)
            if reading.sharp:
                return reading
        # What was seen from afar may be shorter than the steps: aliased, or beyond a kink. Look closely.
        first, close = self._close_up(seen, first, claim)
        near = Reading.of(close, claim)
        reading = Reading.of(first, claim)
        blurred = not reading.sharp and near.sharp and self._contradicts(close, claim)
        if not self._contradicts(first, claim) and not blurred:
            return reading if self._contradicts(close, claim) else reading.narrowed(near)
        if not self._contradicts(close, claim) and near.sharp and not _agree(first, close):
            return near  # the shorter steps see what the longer ones step over
        return self._confirmed(direction, seen, claim, first, close)

    def contradicts(self, direction: Direction) -> bool:
        """Whether both sides disagree along a direction by more than the error bar of one ladder."""
        claim = self.analytic.claim(direction)
        seen = Displacements(self.problem, direction.sample(self.problem))
        found = self._ladder(seen, ladder(), claim)
        return bool(np.isfinite(found.error_bar).all()) and self._contradicts(found, claim)

    def _contradicts(self, found: Derivative, claim: Claim) -> bool:
        return Reading.of(found, claim).disagreement(self.rtol) > 0

    def _ladder(
        self, seen: Displacements, steps: list[float], claim: Claim, quantum: Array | float = 0.0
    ) -> Derivative:
        problem, upstream = self.problem, self.upstream
        plus, minus, _ = seen(steps[0])
        moving = plus != minus
        # Noise comes from the outputs that move; where none does, any may hide a slope below its rounding.
        noise = upstream.spread(np.where(moving, problem.noise, 0.0))
        silent = (noise == 0) & (claim.value != 0)
        noise = np.maximum(np.where(silent, upstream.spread(problem.noise), noise), quantum)

        def contracted(h: float) -> tuple[Array, Array, float]:
            plus, minus, width = seen(h)
            return upstream.contract(plus), upstream.contract(minus), width

        return richardson(contracted, steps, noise=noise, eps=problem.eps, rtol=LADDER_RTOL * self.rtol)

    def _close_up(
        self, seen: Displacements, first: Derivative, claim: Claim
    ) -> tuple[Derivative, Derivative]:
        """Return a ladder of shorter steps, and the first one as it has to be read after that."""
        close = self._ladder(seen, ladder(CLOSE_UP, CLOSE_ROWS), claim)
        matters = self._contradicts(first, claim) or self._contradicts(close, claim)
        matters = matters or bool((close.error_bar < first.error_bar).any())
        least = np.where(matters & (close.slope == 0), seen.least_change(self.upstream), 0.0)
        if any(least[s] > 0 and seen.leaps(self.upstream, s, float(least[s])) for s in range(least.size)):
            # Shorter steps change nothing: the function is quantised, its quantum the least change seen.
            first = self._ladder(seen, ladder(), claim, least)
            close = self._ladder(seen, ladder(CLOSE_UP, CLOSE_ROWS), claim, least)
        if not np.isfinite(first.error_bar).any() and np.isfinite(close.error_bar).all():
            first = close  # all longer steps step over what the function does
        return first, close

    def _confirmed(
        self, direction: Direction, seen: Displacements, claim: Claim, far: Derivative, close: Derivative
    ) -> Reading:
        """Look for a kink at the point, and at a second ladder, before a claim is called wrong."""
        first, between = far, np.zeros(1, dtype=bool)
        near, contradicted = Reading.of(close, claim), self._contradicts(close, claim)
        if contradicted and self.problem.form.size <= PER_OUTPUT:
            # Of each output by itself: the jumps of two may cancel in the sum.
            sides, bar = self._sides(seen)
            between = (claim.value >= sides.lowest - bar) & (claim.value <= sides.highest + bar)
            if (sides.highest > sides.lowest).any():
                return self._at_a_kink(direction, claim, sides, bar, far)
            if (far.kinked | close.kinked | (far.conflicts > 0)).any():
                first = close  # the kink is beside the point
        if first is far and not _agree(far, close):
            if not near.sharp or close.conflicts.any():
                unresolved = near.error_bar + np.nan_to_num(np.abs(far.value - close.value), nan=np.inf)
                return replace(near, error_bar=unresolved)
            first = close
        largest = CLOSE_UP if first is close else LARGEST_STEP
        second = self._ladder(seen, ladder(OTHER * largest), claim)
        if not self._contradicts(second, claim) or not np.isfinite(second.error_bar).all():
            return Reading.of(second, claim)  # where no call is left for it, nothing is known
        if between.all():  # where noise hides which of the slopes around it the point has
            return self._at_a_kink(direction, claim, sides, bar, far)
        return self._wrong(direction, claim, first, second, far, close)

    def _wrong(self, direction: Direction, claim: Claim, *ladders: Derivative) -> Reading:
        """Return what ladders found that contradict the claim, with all that may excuse it."""
        best = min(ladders, key=lambda found: float(np.nan_to_num(found.error_bar, nan=np.inf).max()))
        bar = best.error_bar
        for other in ladders:
            # Ladders that nearly agree are off by their distance: an iteration that stops here a step sooner
            # than there looks smooth from each. One that is far off stepped over something.
            distance = np.abs(other.value - best.value)
            unexplained = distance > best.error_bar + other.error_bar
            off = np.where(unexplained & (distance <= COARSE * np.abs(best.value)), distance, 0.0)
            bar = np.maximum(bar, best.error_bar + off)
        lost = np.array([direction.spread(noise) for noise in self.analytic.noise])
        imprecise = False
        if self.problem.wide:
            widened = np.array([direction.project(g) for g in self.analytic.in_float64])
            imprecise = bool(
                (np.abs(best.value - widened) <= bar + 1e-2 * self.rtol * np.abs(best.value)).all()
            )
        bar = bar + np.finfo(np.float64).tiny  # below it, either side may have been flushed to zero
        slope = np.maximum.reduce([found.slope for found in ladders])
        return Reading(claim, best.value, bar + lost, slope, imprecise=imprecise)

    def _sides(self, seen: Displacements) -> tuple[Sides, Array]:
        far, close = ladder(), ladder(CLOSE_UP, CLOSE_ROWS)
        return slopes_between_sides(self.upstream, seen, far, close)

    def _at_a_kink(
        self, direction: Direction, claim: Claim, sides: Sides, bar: Array, whole: Derivative
    ) -> Reading:
        lowest, highest = sides.lowest, sides.highest
        # Where outputs are coupled, a subgradient need not lie between the slopes along a line: compare with
        # what the derivative really is around the point, until the claim is no longer outside.
        if _outside(claim, lowest - bar, highest + bar):
            joint, length = direction.joint(self.problem)
            curvature = np.zeros_like(bar)
            for slope in slopes_around(self.upstream, joint, self.towards_the_gradient):
                lowest, highest = np.fmin(lowest, slope / length), np.fmax(highest, slope / length)
                curvature = AROUND_BAR * np.maximum(np.abs(lowest), np.abs(highest))
                if not _outside(claim, lowest - curvature, highest + curvature):
                    break
            lowest, highest = lowest - curvature, highest + curvature
        return Reading(claim, np.clip(claim.value, lowest, highest), bar, whole.slope, sides)


def _outside(claim: Claim, lowest: Array, highest: Array) -> bool:
    return bool(((claim.value < lowest) | (claim.value > highest)).any())


def _agree(far: Derivative, close: Derivative) -> bool:
    """Whether a close ladder may see the same derivative as a far one; if it saw nothing, it may.

    Where its secants are steeper than the derivative that the far one found, that one stepped over what
    the function does: secants of a function that levels off shrink with the step, to a slope of nothing.
    """
    known = np.isfinite(far.error_bar) & np.isfinite(close.error_bar)
    near = np.abs(far.value - close.value) <= far.error_bar + close.error_bar
    steeper = close.slope > GROWING * (np.abs(far.value) + far.error_bar)
    return bool(((~known | near) & ~steeper).all())
