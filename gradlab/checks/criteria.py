r"""When a row is settled: the claim :math:`c` beside a value :math:`v` with an error bar :math:`b`.

- both *differ* where :math:`|c - v| > b +` what cancellation may leave + ``rtol`` · size + ``atol`` · scale
  (``atol`` is of a derivative, all others are influences); wrong is what still does so from close by and
  along a second ladder, by the rules of ``suspects`` (at a kink, of ``judge_kinks``; on a staircase, of
  ``stairs``)
- *right* where they do not, and :math:`b` is a small part of their size, a tenth. After one difference, in
  `Criteria.accept`, where :math:`|c - v| \le` ``rtol`` · size + ``atol`` · scale and :math:`b \le` 5 ``rtol``
  · size; along many entries, other bars do, as `Criteria.widest_bar` and `Criteria.accept` say. What may hide
  behind these is told by ``resolution``
- *too small to matter* where :math:`|c| + |v| + b` is less than ``rtol`` of the largest influence, and both
  sides do not differ

Where the upstream gradient is in parts, a row is right if one part is, and the others are or cannot matter.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from gradlab.checks.directions import ByInput
from gradlab.checks.rows import Rows, Sides
from gradlab.checks.widths import BLUNT, CERTAIN, COARSE, SHARP, UNMEASURED
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.step_sizes import usual_step
from gradlab.point.problem import Problem

ROUNDINGS = 16  # of what is right in the same part, or of 1 for an rtol: how far a claim may be off
NOTHING = 64  # of all outputs: what is less, over an influence, a quarter of the scale does not show in them
# Of the largest influence: a claim of less is zero, where forward shows nothing. Attention multiplies what
# is left of terms that cancel by its logits: of 400 points with logits of some 100, 18 were undecided at 64,
# and 13 at 256.
LEFT_OF_CANCELLED = 256
COARSEST_RTOL = 0.5  # by default, in float8, or suggested: above it, a gradient twice as large may pass


@functools.cache
def default_rtol(eps: float) -> float:
    """Return the relative defect that a function with this unit of rounding lets one see.

    >>> default_rtol(np.finfo(np.float64).eps)
    1e-07
    """
    return min(max(1e-7, math.sqrt(eps), ROUNDINGS * eps), COARSEST_RTOL)


def left_of_cancelled(influence: float, eps: float) -> float:
    """Return what may be left of terms that cancel: some roundings of the largest influence.

    In few digits these are fewer, for so many would be more than what matters.
    """
    return float(min(LEFT_OF_CANCELLED * eps, max(NOTHING * eps, default_rtol(eps))) * influence)


class Criteria:
    """What a disagreement is measured by, at one point.

    Its formulas are those of any `Sides`, of rows as of the columns of a Jacobian. It settles rows, too: each
    that is settled may raise the largest influence, by which the others are measured. After one difference
    `accept` does, where both sides agree to ``rtol`` and the error bar is no more than a few of these; along
    a ladder, `ladders.descend` by narrower bars; at its end `agrees`, by bars that tell anything at all. All
    of them end in `settle`.

    Parameters
    ----------
    problem : Problem
        The point.
    rtol, atol : float
        The relative and the absolute defect that the caller does not care about.

    Attributes
    ----------
    largest_influence : float
        The largest influence so far, in which "too small to matter" is measured: of all rows on which both
        sides agreed, the largest that both claim; where none did, how far any direction moves the outputs.
    largest_agreed : float
        The same of rows on which both sides agreed, alone; zero where none did.
    steepest : float
        The largest derivative that both sides claimed so far, where they agreed.
    kinks_were_found : bool
        Whether any row is at one.
    towards : dict of int to Array
        From each kink to the side whose slope backward gives; known once all entries were probed.
    """

    def __init__(self, problem: Problem, *, rtol: float, atol: float) -> None:
        self.problem, self.rtol, self.atol = problem, rtol, atol
        self.largest_influence = self.steepest = self.largest_agreed = 0.0
        self.kinks_were_found = False
        self.towards: ByInput = {}
        self._hidden = self._floor_of_all = 0.0
        if problem.noise_floor is not None:
            hidden = np.abs(problem.output) <= problem.noise_floor
            self._hidden = float(np.abs(problem.grad_output[hidden] * problem.noise_floor[hidden]).sum())
            self._floor_of_all = self._hidden if hidden.all() else 0.0

    def accept(self, rows: Rows, which: Mask, doubtful: Mask | bool = False) -> None:
        """Settle rows that agree to ``rtol``, with an error bar that hides little more.

        Their error bars are widened: truncation is what both sides still differ by; noise that was not
        measured may exceed rounding. What is ``doubtful`` is as in `settle`.
        """
        agrees = self.agrees_to_rtol(rows)
        self.settle(rows, which, agrees, doubtful)
        noise = rows.error_bar if rows.table.noise_is_measured else UNMEASURED * rows.error_bar
        if rows.directions.joint:  # none, where every entry moves by itself
            agrees |= self._accept_within_rounding(rows, which, agrees, noise)
        widened = agrees & which[:, np.newaxis]
        rows.error_bar = np.where(widened, np.fmax(noise, rows.gap), rows.error_bar)

    def agrees_to_rtol(self, sides: Sides) -> Mask:
        """Return where both sides agree to ``rtol``, with an error bar that hides little more."""
        size = sides.size
        close = sides.gap <= self.tolerance(sides, size)
        return np.asarray(close & (sides.error_bar <= self.widest_bar(sides, size)))

    def tolerance(self, sides: Sides, size: Array | None = None) -> Array:
        """Return the disagreement that the caller does not care about, or that underflow explains.

        ``size`` is that of both sides, if it is known already.
        """
        absolute = (self.atol + self.problem.given_tiny) * sides.divisors
        return np.asarray(self.rtol * (sides.size if size is None else size) + absolute)

    def widest_bar(self, sides: Sides, size: Array) -> Array:
        """Return the error bar up to which an agreement to ``rtol`` settles a row."""
        enough = np.where(sides.single, SHARP * self.rtol, max(SHARP * self.rtol, BLUNT))
        return np.asarray(enough[..., np.newaxis] * size)

    def _accept_within_rounding(self, rows: Rows, which: Mask, agrees: Mask, bar: Array) -> Mask:
        """Settle rows of many entries that agree within rounding alone, where it hides little: no ladders.

        Returns
        -------
        array of bool, shape (r, s)
            Where they do.
        """
        left = which & rows.open & ~rows.single
        within = (rows.gap <= rows.error_bar) & (CERTAIN * bar <= self.negligible)
        agrees = agrees | (within & ~self.cannot_matter(rows) & left[:, np.newaxis])
        self.settle(rows, left, agrees)
        return agrees

    def settle(self, rows: Rows, which: Mask, agrees: Mask, doubtful: Mask | bool = False) -> None:
        """Settle rows that agree in some part of the upstream gradient, and in the others cannot matter.

        What is ``doubtful``, because something else contradicts it, does not count as too small to matter. A
        row of which claim and value are both exactly zero becomes small, never right.
        """
        agreed = which[:, np.newaxis] & agrees
        self.learn(rows, agreed, rows.movement)  # first: it sets what is too small
        enough = agrees
        if np.count_nonzero(agreed) < np.count_nonzero(which) * rows.table.parts:  # some do not: seldom
            small = self.is_small(rows) & ~np.asarray(doubtful) & ~rows.unresolved[:, np.newaxis]
            enough = agrees | small
        settled = which & enough.all(axis=1)
        # That nothing agrees with nothing shows nothing: it is too small, not right.
        rows.right |= settled & (agreed & ((rows.terms != 0) | (rows.value != 0))).any(axis=1)
        rows.small |= settled & ~rows.right & ~rows.strict

    def is_small(self, sides: Sides, *, factor: float = 1.0) -> Mask:
        """Return what is too small to matter, with error bars ``factor`` times, and may be right."""
        return np.asarray(self.cannot_matter(sides, factor=factor) & ~self.differs(sides))

    def cannot_matter(self, sides: Sides, *, factor: float = 1.0) -> Mask:
        """Return where what is left to hide is too small to matter, with error bars ``factor`` times."""
        most = np.abs(sides.claim) + np.abs(sides.value) + factor * sides.error_bar
        return np.asarray(most <= self.negligible)

    def differs(self, sides: Sides) -> Mask:
        """Return where both sides differ by more than the error bar and the tolerance can explain.

        Where ``|c - v| > b + rtol · size + atol · scale + r``: ``r`` is what the claim may be rounded by, 16
        roundings of what is right in the same part; or 256 of the largest influence, where forward shows
        nothing, ``|v| <= b``. (`floor_of_parts`, `floor_of_nothing`: beside an ordinary row, next to none.)
        """
        nothing = np.abs(sides.value) <= sides.error_bar
        rounding = np.where(nothing, self.floor_of_nothing(sides), self.floor_of_parts(sides))
        allowed = sides.error_bar + rounding + self.tolerance(sides)
        return np.asarray(~(sides.gap <= allowed) & np.isfinite(sides.error_bar))  # NaN differs

    def learn(self, sides: Sides, agrees: Mask, movement: Array) -> None:
        """Take the largest influence from where both sides agree.

        Where every derivative vanishes, or is but a rounding of that, it is what forward does nearby:
        ``movement``.
        """
        agreed = np.fmin(np.abs(sides.claim), np.abs(sides.value))
        self.largest_agreed = max(self.largest_agreed, float(agreed[agrees].max(initial=0.0)))
        self.steepest = max(self.steepest, float((agreed / sides.divisors)[agrees].max(initial=0.0)))
        moved = float(movement.max(initial=0.0))
        vanishes = self.largest_agreed <= left_of_cancelled(moved, self.problem.given_eps)
        self.largest_influence = moved if vanishes else self.largest_agreed

    def settle_too_small(self, rows: Rows, which: Mask, doubtful: Mask | bool = False) -> None:
        """Settle rows that can hide nothing, without any agreement; what moves may raise the influence."""
        self.settle(rows, which, np.zeros(rows.claim.shape, dtype=bool), doubtful)

    def accept_others(self, rows: Rows, which: Mask, value: Array, error_bar: Array) -> None:
        """Settle rows by other values where these agree; what stays open keeps those that it has."""
        before = rows.value, rows.error_bar
        rows.value = np.where(which[:, np.newaxis], value, before[0])
        rows.error_bar = np.where(which[:, np.newaxis], error_bar, before[1])
        self.accept(rows, which)
        still = (which & rows.open)[:, np.newaxis]
        rows.value = np.where(still, before[0], rows.value)
        rows.error_bar = np.where(still, before[1], rows.error_bar)

    def measure_noise(self, rows: Rows) -> None:
        """Measure what forward's values are off by, and see whether what was settled still is."""
        table = rows.table
        if table.noise_is_measured:
            return
        table.know_noise(self.problem.noise, self.problem.stepped)
        wider = table.rounding(usual_step(table.eps))
        kinked = rows.kinked[:, np.newaxis]
        rows.error_bar = np.where(kinked, rows.error_bar, np.fmax(rows.error_bar, wider))
        wide = (rows.error_bar > COARSE * rows.size) & ~self.cannot_matter(rows)
        rows.right &= ~wide.any(axis=1) | rows.kinked
        rows.small &= self.cannot_matter(rows).all(axis=1)

    @property
    def negligible(self) -> float:
        """What is too small to matter: ``rtol`` of the largest influence.

        Of the default at most, where nothing agreed yet: what forward does farther away is a rough scale.
        """
        rtol = self.rtol if self.largest_agreed else min(self.rtol, default_rtol(self.problem.given_eps))
        return rtol * self.largest_influence

    @property
    def floor(self) -> float:
        """How far a claim may be off where forward shows nothing: by roundings of the largest influence.

        Or by what outputs below the noise floor contribute: as far as that is too small to matter beside
        others, if there are any.
        """
        rounding = left_of_cancelled(self.largest_influence, self.problem.given_eps)
        return float(max(rounding, min(self._hidden, self.negligible), self._floor_of_all))

    def floor_of_nothing(self, sides: Sides) -> Array:
        """Return the same, or what roundings of the steepest derivative are, as far as that cannot matter."""
        steep = left_of_cancelled(self.steepest, self.problem.given_eps) * sides.divisors
        return np.asarray(np.fmax(self.floor, np.fmin(steep, self.negligible)))

    def floor_of_parts(self, sides: Sides) -> Array:
        """Return how far a claim may be off elsewhere: by roundings of what is right in its own part.

        Outputs of other magnitudes are known better than those of the largest.
        """
        rounding = ROUNDINGS * self.problem.given_eps * sides.known_of_parts
        return np.asarray(np.fmax(rounding, self._floor_of_all))

    def agrees(self, sides: Sides) -> Mask:
        """Return where both sides agree, with error bars narrow enough to tell something."""
        return np.asarray(~self.differs(sides) & self.tells(sides))

    def tells(self, sides: Sides) -> Mask:
        """Return where error bars are narrow enough to tell something."""
        enough = np.where(sides.strict, 1 / CERTAIN, COARSE)[..., np.newaxis]
        return np.asarray(self.uncertainty(sides) <= np.fmax(enough, self.rtol) * sides.size)

    def uncertainty(self, sides: Sides) -> Array:
        """Return the error bar, and where forward shows nothing, what a claim may be off by, too.

        There a claim of as much as rounding is not told from none, however narrow the error bar is.
        """
        nothing = np.abs(sides.value) <= sides.error_bar
        return np.asarray(sides.error_bar + np.where(nothing, self.floor_of_nothing(sides), 0.0))

    def deciding_rtol(self, sides: Sides, which: Indices | Mask) -> float:
        """Return the smallest ``rtol`` at which none of some that are open would be.

        Either both sides agree then, with an error bar that is narrow enough, or what it may hide is too
        small to matter.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            bar = np.fmax(sides.error_bar, sides.gap)
            narrow = np.where(bar == 0, 0.0, bar / sides.size)
            most = np.abs(sides.claim) + np.abs(sides.value) + bar
            small = most / self.largest_influence if self.largest_agreed else np.full_like(most, np.inf)
            small = np.where(np.expand_dims(sides.strict, -1), np.inf, small)
        return float(np.nan_to_num(np.fmin(narrow, small)[which], nan=np.inf).max(initial=0.0))
