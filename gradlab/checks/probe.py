r"""One probe: forward and backward compared along one direction.

.. math:: \langle u,\, f(x + hd) - f(x - hd) \rangle
          \quad\text{with}\quad
          \langle \mathrm{backward}(u),\, d \rangle .

The outputs are subtracted before they are contracted with the upstream gradient :math:`u`. One central
difference settles a probe when both sides agree to ``rtol`` and rounding cannot have made them agree.
Otherwise the derivative is computed from a ladder of steps, with an error bar. What contradicts it there is
looked at again: close up, because the function may vary on less than the steps, or have a kink beside the
point; on both sides, in case there is one at the point; and along a second ladder that shares no step with
the first. Only what contradicts all of these is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gradlab.checks.directions import Direction, Joint, SingleEntry, random_joint
from gradlab.checks.kinks import Displacements, Sides, slopes_around, slopes_between_sides
from gradlab.checks.returned import read_gradients
from gradlab.checks.upstream import Upstream
from gradlab.numerics import Array
from gradlab.numerics.differences import (
    GROWING,
    WITNESS,
    Derivative,
    Sample,
    cheap_step,
    ladder,
    norm,
    richardson,
    rounding,
)
from gradlab.numerics.extrapolation import RATIO
from gradlab.numerics.noise import OFFSETS, SAFETY, SMALLEST, SPACING, noise_level
from gradlab.problem import Problem, RuleRaised

LARGEST_STEP = 1 / 8  # of the scale
OTHER = (
    5 / 8
)  # of it, for the second ladder, which shares no step with the first; all are multiples of FINEST
UNKNOWN_NOISE = 4  # roundings: what an estimate of noise finds, times its safety factor
CHEAP_RTOL, LADDER_RTOL = 0.5, 0.1  # of the caller's rtol: what an error bar has to come down to
ROWS = 10  # at most, down to 5e-7 of the scale; few functions need more than five
CLOSE_UP, CLOSE_ROWS = 2.0**-13, 12  # at most, down to 3e-11, half the smallest exact step
PER_OUTPUT = 10_000  # outputs; up to here slopes on both sides are taken for each output by itself
AROUND_BAR = 1e-3  # what slopes around a kink may differ from those at it, by curvature
CURVATURE = 1e-3  # of the slope: what truncation may add to one difference, for third derivatives up to 1e6
COARSE = 0.1  # with an error bar wider than this part of the gradient, a probe tells nothing
STRADDLING = 1e-2  # second difference of an output, relative to its first: a kink, not curvature
BENT = 3e-4  # of the usual first difference; one step of curvature where the slope is none adds half of it
ENOUGH_CURVED = 2  # entries without slope that turn out to be curved, before the rest is taken to be
FEW = 0.01  # of the outputs may straddle a kink and be left out


@dataclass(frozen=True)
class Claim:
    """What backward says along one direction, for each part of the upstream gradient.

    Attributes
    ----------
    value : Array
        Shape ``(s,)``: ``⟨g, d⟩``.
    size : Array
        Shape ``(s,)``: the norm of its terms, which is what a relative error is relative to: the terms may
        happen to cancel.
    """

    value: Array
    size: Array


@dataclass(frozen=True)
class Reading:
    """What one probe found, for each part of the upstream gradient.

    Attributes
    ----------
    claim : Claim
        What backward says.
    numeric, error_bar : Array
        Shape ``(s,)``: what the forward function shows, and what that may be off by. At a
        kink, the numeric value is the slope nearest to the analytic one among those around the point.
    slope : Array
        Shape ``(s,)``: how steep the forward function is nearby, the scale of a derivative that vanishes.
    sides : Sides or None
        At a kink, the slopes between both sides.
    precise : bool
        Whether a contradiction vanishes when backward, too, works in float64.
    blind : Array or None
        Shape ``(s,)``: which change of the claim one difference would have taken for truncation.
    gradients : tuple of dict, or None
        What backward returned for the upstream gradient that was compared, where that is not the whole.
    left_out : int
        How many outputs were left out of it, because they are within one step of a kink.
    """

    claim: Claim
    numeric: Array
    error_bar: Array
    slope: Array
    sides: Sides | None = None
    precise: bool = False
    blind: Array | None = None
    gradients: tuple[dict[int, Array], ...] | None = None
    left_out: int = 0

    @property
    def size(self) -> Array:
        """What the disagreement of both sides is relative to."""
        return np.maximum(self.claim.size, np.maximum(np.abs(self.claim.value), np.abs(self.numeric)))


class Prober:
    """Makes probes of one problem."""

    def __init__(self, upstream: Upstream, *, rtol: float) -> None:
        self.upstream, self.rtol = upstream, rtol
        self.problem: Problem = upstream.problem
        self.curved = self.bent = (
            0  # single entries where curvature, or a kink, was found behind a difference
        )
        # From each kink to the side whose slope backward gives; known once all entries were probed.
        self.towards_the_gradient: dict[int, Array] = {}

    def probe(self, direction: Direction) -> Reading:
        """Compare both sides along one direction."""
        claim = self._claim(direction)
        sample = direction.sample(self.problem)
        pair = sample(cheap_step(self.problem.eps))
        reading = self._cheap(pair, claim)
        if self._settled(reading):
            sides = (
                self._sides_of_a_difference(sample, reading) if isinstance(direction, SingleEntry) else None
            )
            accepted = _accepted(reading)
            return accepted if sides is None else replace(accepted, sides=sides)
        if not np.isfinite(reading.numeric).all():  # the edge of a domain is nearer than one step
            closer = direction.closer(self.problem)
            if closer is not None:
                return self.probe(closer)
        if isinstance(direction, Joint):
            without = self._without_straddling(direction, pair)
            if without is not None and self._settled(without):
                return _accepted(without)
        found = self._escalate(direction, sample, claim)
        # A claim that is off by just the truncation of the one difference would have been settled by it.
        tolerance = self.rtol * np.maximum(reading.slope, claim.size)
        blind = np.abs(reading.numeric - found.numeric) + tolerance
        # Of a derivative that vanishes, how steep the function is at the distance of the one difference.
        found = replace(found, slope=np.fmax(found.slope, reading.slope))
        return replace(found, blind=np.where(reading.error_bar <= CHEAP_RTOL * tolerance, blind, 0.0))

    def disagrees_at_once(self, direction: Direction) -> bool:
        """Whether one central difference contradicts the claim by more than its rounding."""
        pair = direction.sample(self.problem)(cheap_step(self.problem.eps))
        reading = self._cheap(pair, self._claim(direction))
        if not self._beyond_rounding(reading):
            return False
        without = self._without_straddling(direction, pair) if isinstance(direction, Joint) else None
        return without is None or self._beyond_rounding(without)

    def _beyond_rounding(self, reading: Reading) -> bool:
        tolerance = WITNESS * reading.error_bar + self.rtol * np.maximum(reading.slope, reading.claim.size)
        return bool((np.abs(reading.numeric - reading.claim.value) > tolerance).any())

    def contradicts(self, direction: Direction) -> bool:
        """Whether both sides disagree along a direction by more than the error bar of one ladder."""
        claim, seen = self._claim(direction), Displacements(self.problem, direction.sample(self.problem))
        found = self._ladder(seen, ladder(LARGEST_STEP, ROWS), claim)
        return bool(np.isfinite(found.error_bar).all()) and self._contradicts(found, claim)

    def _claim(self, direction: Direction) -> Claim:
        gradients = self.upstream.gradients
        return Claim(
            np.array([direction.project(g) for g in gradients]),
            np.array([direction.spread(g) for g in gradients]),
        )

    def _cheap(self, pair: tuple[Array, Array, float], claim: Claim) -> Reading:
        """One central difference; its error bar knows of rounding alone, not of truncation."""
        problem, upstream = self.problem, self.upstream
        plus, minus, width = pair
        if width == 0:
            return self._nothing(claim)
        up, down = (upstream.contract(side - problem.output) for side in (plus, minus))
        change = np.maximum(np.abs(up), np.abs(down))
        # An output that is the same on both sides does not depend on this direction and adds no rounding.
        off = rounding(problem.eps * upstream.rounding(plus != minus), change, width, problem.eps)
        return Reading(claim, (up - down) / width, off, 2 * change / width)

    def _sides_of_a_difference(self, sample: Sample, reading: Reading) -> Sides | None:
        """Return the slopes on both sides where one difference lies in the middle of two that differ.

        A gradient in the middle of a kink agrees with it at once. Curvature looks like a kink at first, but
        its slopes come together as the step shrinks.
        """
        if (reading.slope - np.abs(reading.numeric) <= STRADDLING * reading.slope).all():
            return None
        if self.curved >= ENOUGH_CURVED and not self.bent:
            return None  # so are the others, and each would cost two calls
        plus, minus, width = sample(cheap_step(self.problem.eps) * RATIO**2)
        if width == 0:
            return None
        right, left = (
            self.upstream.contract(side - self.problem.output) * (sign * 2 / width)
            for side, sign in ((plus, 1), (minus, -1))
        )
        first = reading.slope - np.abs(reading.numeric)
        if not (np.abs(right - left) / 2 > first / 2).any():
            self.curved += 1
            return None
        self.bent += 1
        return Sides(np.minimum(left, right), np.maximum(left, right), bool(right.sum() > left.sum()))

    def _nothing(self, claim: Claim) -> Reading:
        unknown = np.full_like(claim.value, np.nan)
        return Reading(claim, unknown, np.full_like(unknown, np.inf), np.zeros_like(unknown))

    def _settled(self, reading: Reading) -> bool:
        tolerance = self.rtol * np.maximum(reading.slope, reading.claim.size)
        difference = np.abs(reading.numeric - reading.claim.value)
        return bool(((difference <= tolerance) & (reading.error_bar <= CHEAP_RTOL * tolerance)).all())

    def _without_straddling(self, direction: Joint, pair: tuple[Array, Array, float]) -> Reading | None:
        """Leave the few outputs that straddle a kink out of the upstream gradient, and compare again."""
        problem = self.problem
        if self.upstream.labels is not None or problem.form.size < 100:
            return None
        plus, minus, width = pair
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
        if gradients.keys() != self.upstream.gradients[0].keys():
            return None
        plus, minus = (np.where(straddling, problem.output, side) for side in (plus, minus))
        claim = Claim(np.array([direction.project(gradients)]), np.array([direction.spread(gradients)]))
        reading = self._cheap((plus, minus, width), claim)
        return replace(reading, gradients=(gradients,), left_out=int(straddling.sum()))

    def _escalate(self, direction: Direction, sample: Sample, claim: Claim) -> Reading:
        """Differentiate along ladders; on the entries' own scale if that shows more."""
        reading = self._from_ladders(direction, sample, claim)
        told = reading.error_bar <= COARSE * reading.size
        if told.all() and not self._differs(reading):
            return reading
        closer = direction.closer(self.problem)
        if closer is None:
            return reading
        nearer = self.probe(closer)
        # Along many entries this is another derivative; relative error bars can be compared all the same.
        better = _relative(nearer) < min(_relative(reading), COARSE)
        return nearer if better else reading

    def _from_ladders(self, direction: Direction, sample: Sample, claim: Claim) -> Reading:
        seen = Displacements(self.problem, sample)
        first = self._ladder(seen, ladder(LARGEST_STEP, ROWS), claim)
        if not self._contradicts(first, claim) and not first.conflicts.any():
            reading = _reading(first, claim)
            if (reading.error_bar <= COARSE * reading.size).all():
                return reading
        # What was seen from afar may be shorter than the steps: aliased, or beyond a kink. Look closely.
        first, close = self._close_up(seen, first, claim)
        near = _reading(close, claim)
        if not self._contradicts(first, claim):
            reading = _reading(first, claim)
            closer = not self._contradicts(close, claim) and _relative(near) < _relative(reading)
            return near if closer else reading
        decided = bool((near.error_bar <= COARSE * near.size).all())
        if not self._contradicts(close, claim) and decided and not self._agree(first, close):
            return near  # the shorter steps see what the longer ones step over
        return self._confirmed(direction, seen, claim, first, close)

    def _close_up(
        self, seen: Displacements, first: Derivative, claim: Claim
    ) -> tuple[Derivative, Derivative]:
        """Return a ladder of shorter steps, and the first one as it has to be read after that."""
        close = self._ladder(seen, ladder(CLOSE_UP, CLOSE_ROWS), claim)
        least = seen.least_change(self.upstream)
        if ((close.slope == 0) & (least > 0)).any():
            # Shorter steps change nothing: the function is quantised, its quantum the least change seen.
            first = self._ladder(seen, ladder(LARGEST_STEP, ROWS), claim, least)
            close = self._ladder(seen, ladder(CLOSE_UP, CLOSE_ROWS), claim, least)
        if not np.isfinite(first.error_bar).any() and np.isfinite(close.error_bar).all():
            first = close  # all longer steps step over what the function does
        return first, close

    def _confirmed(
        self, direction: Direction, seen: Displacements, claim: Claim, far: Derivative, close: Derivative
    ) -> Reading:
        """Look for a kink at the point, and at a second ladder, before a claim is called wrong."""
        first, between = far, np.zeros(1, dtype=bool)
        near, contradicted = _reading(close, claim), self._contradicts(close, claim)
        if contradicted and self.problem.form.size <= PER_OUTPUT:
            # Of each output by itself: the jumps of two may cancel in the sum.
            sides, bar = self._sides(seen)
            between = (claim.value >= sides.lowest - bar) & (claim.value <= sides.highest + bar)
            if (sides.highest > sides.lowest).any():
                return self._at_a_kink(direction, claim, sides, bar, far)
            if (far.kinked | close.kinked | (far.conflicts > 0)).any():
                first = close  # the kink is beside the point
        if first is far and not self._agree(far, close):
            decided = bool((near.error_bar <= COARSE * near.size).all())
            if not decided or close.conflicts.any():
                unresolved = near.error_bar + np.nan_to_num(np.abs(far.value - close.value), nan=np.inf)
                return replace(near, error_bar=unresolved)
            first = close
        largest = CLOSE_UP if first is close else LARGEST_STEP
        second = self._ladder(seen, ladder(OTHER * largest, ROWS), claim)
        if not self._contradicts(second, claim):
            return _reading(second, claim)
        if between.all():  # where noise hides which of the slopes around it the point has
            return self._at_a_kink(direction, claim, sides, bar, far)
        return self._wrong(direction, claim, first, second, far, close)

    def _agree(self, far: Derivative, close: Derivative) -> bool:
        """Whether a close ladder may see the same derivative as a far one; if it saw nothing, it may.

        Where its secants are steeper than the derivative that the far one found, that one stepped over what
        the function does: secants of a function that levels off shrink with the step, to a slope of nothing.
        """
        known = np.isfinite(far.error_bar) & np.isfinite(close.error_bar)
        near = np.abs(far.value - close.value) <= far.error_bar + close.error_bar
        steeper = close.slope > GROWING * (np.abs(far.value) + far.error_bar)
        return bool(((~known | near) & ~steeper).all())

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
        lost = np.array([direction.spread(noise) for noise in self.analytic_noise])
        precise = False
        if self.problem.wide:
            widened = np.array([direction.project(g) for g in self.gradients_in_float64])
            precise = bool(
                (np.abs(best.value - widened) <= bar + 1e-2 * self.rtol * np.abs(best.value)).all()
            )
        bar = bar + np.finfo(np.float64).tiny  # below it, either side may have been flushed to zero
        slope = np.maximum.reduce([found.slope for found in ladders])
        return Reading(claim, best.value, bar + lost, slope, precise=precise)

    def _differs(self, reading: Reading) -> bool:
        return self.disagreement(reading) > 0

    def disagreement(self, reading: Reading) -> float:
        """Return by how much both sides differ beyond what is explained, relative to their size."""
        with np.errstate(invalid="ignore"):
            excess = np.abs(reading.numeric - reading.claim.value) - reading.error_bar
            excess = excess - self.rtol * reading.size
        return float(np.where(excess <= 0, 0.0, np.nan_to_num(excess / reading.size, nan=np.inf)).max())

    def _contradicts(self, found: Derivative, claim: Claim) -> bool:
        return self._differs(_reading(found, claim))

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

    def _sides(self, seen: Displacements) -> tuple[Sides, Array]:
        far, close = ladder(LARGEST_STEP, ROWS), ladder(CLOSE_UP, CLOSE_ROWS)
        return slopes_between_sides(self.upstream, seen, far, close)

    def _at_a_kink(
        self, direction: Direction, claim: Claim, sides: Sides, bar: Array, whole: Derivative
    ) -> Reading:
        lowest, highest = sides.lowest, sides.highest
        outside = (claim.value < lowest - bar) | (claim.value > highest + bar)
        if outside.any():
            # Where outputs are coupled, a subgradient need not lie between the slopes along a line: compare
            # with what the derivative really is around the point.
            joint, length = direction.joint(self.problem)
            around = slopes_around(self.upstream, joint, self.towards_the_gradient) / length
            lowest, highest = np.fmin(lowest, around.min(axis=0)), np.fmax(highest, around.max(axis=0))
            curvature = AROUND_BAR * np.maximum(np.abs(lowest), np.abs(highest))
            lowest, highest = lowest - curvature, highest + curvature
        return Reading(claim, np.clip(claim.value, lowest, highest), bar, whole.slope, sides)

    @cached_property
    def analytic_noise(self) -> list[dict[int, Array]]:
        """What each entry that backward returned may be off by, as its answers around the point show.

        A jump of more than a hundredth is no rounding, but a step between the sides of a kink.
        """
        problem, rng = self.problem, np.random.default_rng(0)
        direction = random_joint(problem, dict.fromkeys(problem.wrt), rng).parts
        found = []
        for s, gradients in enumerate(self.upstream.gradients):
            around: dict[int, list[Array]] = {i: [] for i in gradients}
            for k in OFFSETS:
                try:
                    displaced = self._in_given_dtype(problem.moved(direction, k * SPACING))
                    returned = problem.call_backward(self.upstream.part(s), displaced=displaced)
                except RuleRaised:
                    return [
                        {i: np.zeros_like(g) for i, g in gradients.items()}
                        for gradients in self.upstream.gradients
                    ]
                nearby, _ = read_gradients(problem, returned)
                for i, gradient in gradients.items():
                    around[i].append(nearby.get(i, gradient).ravel())
            noise = {i: SAFETY * noise_level(values) for i, values in around.items()}
            found.append(
                {
                    i: np.where(noise[i] <= 0.01 * np.abs(g).ravel(), noise[i], 0.0).reshape(g.shape)
                    for i, g in gradients.items()
                }
            )
        return found

    @cached_property
    def gradients_in_float64(self) -> list[dict[int, Array]]:
        """What backward returns when it is given everything in float64; NaN where it does not."""
        found = []
        for s, gradients in enumerate(self.upstream.gradients):
            try:
                returned, _ = read_gradients(
                    self.problem, self.problem.call_backward(self.upstream.part(s), wide=True)
                )
            except RuleRaised:
                returned = {}
            found.append({i: returned.get(i, np.full_like(g, np.nan)) for i, g in gradients.items()})
        return found

    def _in_given_dtype(self, displaced: dict[int, Array]) -> dict[int, Array]:
        return {i: x.astype(self.problem.arguments.value(i).dtype) for i, x in displaced.items()}


def _accepted(reading: Reading) -> Reading:
    """Widen the error bar of a single difference by truncation and by noise that was not estimated.

    Truncation is what both sides still differ by; of the noise, rounding is the least.
    """
    difference = np.abs(reading.numeric - reading.claim.value)
    return replace(reading, error_bar=np.maximum(UNKNOWN_NOISE * reading.error_bar, difference))


def _relative(reading: Reading) -> float:
    return float(np.nan_to_num(reading.error_bar / np.maximum(reading.size, SMALLEST), nan=np.inf).max())


def _reading(found: Derivative, claim: Claim) -> Reading:
    return Reading(claim, found.value, found.error_bar, found.slope)
