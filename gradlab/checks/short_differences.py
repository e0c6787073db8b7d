"""What single differences close to the point say of a ladder of longer steps, and of a claim.

A difference over a short step is rounded more than a ladder is, but steps over nothing: a kink beside the
point, or what varies within less than the steps of a ladder, shows there alone. So a ladder is believed only
as far as they do not contradict it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradlab.checks.criteria import Criteria
from gradlab.checks.kinks import FARTHER
from gradlab.checks.rows import Rows
from gradlab.checks.widths import DISCERNING
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.step_sizes import SMALLEST_STEP, usual_step


@dataclass(frozen=True)
class ShortDifferences:
    """Single differences of some rows, over steps no longer than the usual one.

    Attributes
    ----------
    seen : list of (Array, Array)
        What each shows, and what that is off by, of shape ``(r, s)``, from the shortest on; NaN where it was
        not taken.
    """

    seen: list[tuple[Array, Array]]

    @classmethod
    def of(cls, rows: Rows, chosen: Indices | slice = slice(None), *, first: bool = True) -> ShortDifferences:
        """Read from the table all that were taken: the ``first``, of the usual step, and any from closer."""
        table, usual = rows.table, usual_step(rows.table.eps)
        steps = sorted(h for h in table.steps if h < usual or (first and h == usual))
        return cls([(table.central(h)[chosen], table.rounding(h)[chosen]) for h in steps])

    @classmethod
    def closest(cls, criteria: Criteria, rows: Rows, chosen: Indices) -> ShortDifferences:
        """Take one of each row, from as close to the point as rounding allows, if there are calls.

        Where both sides are equal, it is the closest that the row was looked at by before. That nothing moves
        over so short a step is no evidence for a claim of nothing: none is told, then.
        """
        table, usual = rows.table, usual_step(rows.table.eps)
        value, off = np.full((2, chosen.size, table.parts), np.nan)
        steps = closest_steps(criteria, rows, chosen)
        for there, rounding in reversed(cls.of(rows, chosen, first=False).seen):
            known = np.isnan(steps)[:, np.newaxis] & np.isfinite(there)
            value, off = np.where(known, there, value), np.where(known, rounding, off)
        for step in np.unique(steps[steps <= usual / FARTHER]).tolist():
            here = steps == step
            table.take(chosen[here], step)
            value[here], off[here] = table.central(step)[chosen[here]], table.rounding(step)[chosen[here]]
        nothing = np.fmax(np.abs(value), np.abs(rows.claim[chosen])) <= off
        return cls([(np.where(nothing, np.nan, value), off)])

    def apart(self, value: Array) -> Array:
        """Return how far a value is from them, beyond what they may be off by; NaN where none was taken."""
        return np.asarray(np.fmax.reduce([np.abs(value - there) - off for there, off in self.seen]))

    def contradict(self, claim: Array, allowed: Array, of_nothing: float) -> Mask:
        """Return which claims any of them contradicts, by more than is allowed.

        That is more by what a claim may be off by ``of_nothing``, where they do not differ from zero.
        """
        found = np.zeros(claim.shape, dtype=bool)
        for there, off in self.seen:
            rounding = np.where(np.abs(there) <= off, of_nothing, 0.0)
            found |= np.abs(claim - there) > off + allowed + rounding
        return found

    def support(self, claim: Array, tolerance: Array, value: Array, error_bar: Array) -> Mask:
        """Return which claims the closest that tells supports: it contradicts the value, and not the claim.

        Of a kink beside the point, whose jump is little more than rounding, no ladder of short steps tells.
        """
        told = supported = np.zeros(claim.shape, dtype=bool)
        for there, off in self.seen:
            of_claim, of_value = (
                np.abs(claim - there) > off + tolerance,
                np.abs(value - there) > off + error_bar,
            )
            supported = supported | (~told & of_value & ~of_claim)
            told = told | of_value | of_claim
        return supported


def closest_steps(criteria: Criteria, rows: Rows, chosen: Indices) -> Array:
    """Return the shortest step at which rounding lets one difference tell which side is right, of each row.

    In the parts where both sides differ, or in all where none does. NaN where both sides are equal.
    """
    usual, differs = usual_step(rows.table.eps), criteria.differs(rows)[chosen]
    asked = differs | ~differs.any(axis=1, keepdims=True)
    difference = np.where(asked, rows.gap[chosen], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = rows.table.rounding(usual)[chosen] / (DISCERNING * difference)  # of the usual step
        part = np.where(np.isfinite(part), part, -np.inf).max(axis=1)
        steps = usual * 2.0 ** np.ceil(np.log2(np.fmax(part, SMALLEST_STEP)))
    return np.where(part >= 0, np.fmax(steps, SMALLEST_STEP), np.nan)
