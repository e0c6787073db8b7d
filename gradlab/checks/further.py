"""What a ladder leaves open goes further: down to the shortest steps, and up to longer ones than the scale.

Down to the shortest that floating point allows; and what rounding alone leaves open, up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradlab.checks.criteria import COARSE, DISCERNING, Criteria
from gradlab.checks.kinks import FARTHER
from gradlab.checks.rows import Rows
from gradlab.checks.stairs import find_stairs
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.ladder import Ladder
from gradlab.numerics.table import LONG_STEPS, SMALLEST_STEP, usual_step


def descend_further(criteria: Criteria, rows: Rows, steps: list[float]) -> Mask:
    """Take the rows that are still open down a ladder of the shortest steps, to the end of resolution.

    Returns
    -------
    array of bool, shape (r,)
        Which were found to be on the stair of a staircase, and are as open as before.
    """
    table, chosen, on_stairs = rows.table, np.flatnonzero(rows.open), np.zeros(rows.right.shape, dtype=bool)
    if not chosen.size:
        return on_stairs
    value, bar = rows.value[chosen], rows.error_bar[chosen]
    claim, closest = rows.claim[chosen], Closest.of(criteria, rows, chosen)
    ladder = Ladder(table, chosen)
    for step in steps:
        going = ~ladder.exhausted | closest.contradicts(ladder, claim)
        if not going.any() or criteria.problem.calls_left < 2:
            break
        ladder.add(step, going)
    on_stairs = find_stairs(criteria, rows, chosen, ladder.value, ladder.error_bar)
    # What is closer to the point is the derivative, where it is sharp; longer steps may be sharper still.
    moved = np.abs(ladder.value - value)
    sharp = (ladder.error_bar <= COARSE * moved) | ~np.isfinite(bar)
    taken = np.where(moved <= ladder.error_bar + bar, ladder.error_bar < bar, sharp)
    rows.value[chosen] = np.where(taken, ladder.value, value)
    rows.error_bar[chosen] = np.where(taken, ladder.error_bar, bar)
    rows.further[chosen] |= taken
    open_, doubtful = rows.open & ~on_stairs, np.zeros(rows.claim.shape, dtype=bool)
    doubtful[chosen] = ladder.grows
    rows.unresolved[chosen] &= ladder.grows.any(axis=1)
    criteria.settle(rows, open_, criteria.agrees(rows), doubtful)
    differs = criteria.differs(rows) & (rows.error_bar <= DISCERNING * rows.gap)
    # What still grows at the end belongs to a slope without end, or to something shorter.
    differs &= ~doubtful
    rows.suspect |= open_ & rows.open & differs.any(axis=1)
    return on_stairs


def ascend(criteria: Criteria, rows: Rows, steps: list[float]) -> None:
    """Take rows that rounding leaves open up to longer steps: beside 1e16, 1 is seen over a step of 8.

    These may find a row right, and no more: what is bounded, as a sine is, hardly rises over several times
    the scale, whatever its slope is.
    """
    table, chosen = rows.table, np.flatnonzero(rows.open & np.isfinite(rows.error_bar).all(axis=1))
    if not chosen.size or criteria.problem.calls_left < 2 * len(LONG_STEPS) * chosen.size:
        return
    ladder = Ladder(table, chosen)
    for step in steps:
        ladder.add(step)
    rows.learn_movement()
    narrower = np.zeros(rows.value.shape, dtype=bool)
    moved = np.abs(ladder.value - rows.value[chosen])
    narrower[chosen] = ladder.error_bar < rows.error_bar[chosen]
    narrower[chosen] &= moved <= ladder.error_bar + rows.error_bar[chosen]  # what is closer is the derivative
    rows.value[narrower] = ladder.value[narrower[chosen]]
    rows.error_bar[narrower] = ladder.error_bar[narrower[chosen]]
    criteria.settle(rows, rows.open, criteria.agrees(rows))


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


@dataclass(frozen=True)
class Closest:
    """What one difference of each row shows from as close to the point as rounding allows.

    Where both sides are equal, from as close as the row was looked at before, if it was.

    What varies within less than the steps of a ladder does not show there: of ``x + sin(x)``, nothing but
    ``x`` is left at steps that are multiples of the period. A ladder has not ended as long as what is closer
    to the point contradicts it.

    Attributes
    ----------
    value, error_bar : Array
        Shape ``(r, s)``; NaN where no look from closer than the usual step tells anything.
    """

    value: Array
    error_bar: Array

    @classmethod
    def of(cls, criteria: Criteria, rows: Rows, chosen: Indices) -> Closest:
        """Take the differences, as far as there are calls."""
        value, error_bar = np.full((2, chosen.size, rows.table.parts), np.nan)
        steps = closest_steps(criteria, rows, chosen)
        usual = usual_step(rows.table.eps)
        for step in sorted((h for h in rows.table.steps if h < usual), reverse=True):  # those that are known
            known = np.isnan(steps)[:, np.newaxis] & np.isfinite(rows.table.central(step)[chosen])
            value = np.where(known, rows.table.central(step)[chosen], value)
            error_bar = np.where(known, rows.table.rounding(step)[chosen], error_bar)
        closer = steps <= usual / FARTHER
        for step in np.unique(steps[closer]).tolist():
            here = steps == step
            rows.table.take(chosen[here], step)
            value[here] = rows.table.central(step)[chosen[here]]
            error_bar[here] = rows.table.rounding(step)[chosen[here]]
        # That nothing moves over so short a step is no evidence for a claim of nothing.
        nothing = np.fmax(np.abs(value), np.abs(rows.claim[chosen])) <= error_bar
        return cls(np.where(nothing, np.nan, value), error_bar)

    def contradicts(self, ladder: Ladder, claim: Array) -> Mask:
        """Return which rows of a ladder it contradicts, by as much as decides about the claim."""
        allowed = ladder.error_bar + self.error_bar + DISCERNING * np.abs(claim - ladder.value)
        return np.asarray((np.abs(ladder.value - self.value) > allowed).any(axis=1))
