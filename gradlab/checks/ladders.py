"""What one difference leaves open goes down the same ladder of steps together, level by level.

Longer steps are rounded less, shorter ones step over less. From a quarter of the scale down to the usual step
all agrees for most functions. What does not is taken down to the shortest steps that floating point allows,
and what rounding alone leaves open up to longer ones than the scale.
"""

from __future__ import annotations

import numpy as np

from gradlab.checks.criteria import COARSE, Criteria
from gradlab.checks.kinks import leaps_beside
from gradlab.checks.rows import Rows
from gradlab.numerics import Array
from gradlab.numerics.table import LONG_STEPS, Ladder

LADDER = 0.1  # of rtol: what the error bar of a ladder has to come down to
# Of a disagreement: an error bar with which no shorter step is needed to see it.
CLEAR, VERY_CLEAR = 1e-2, 1e-9
DISCERNING = 0.3  # of a disagreement: an error bar that is narrower tells which side is right


def descend(criteria: Criteria, rows: Rows, steps: list[float]) -> None:
    """Take the open rows down a ladder to the usual step, until each is settled, or suspect.

    What the ladder says must not be contradicted by the first difference, whose step is the shortest.
    """
    table, chosen, among = rows.table, np.flatnonzero(rows.open), rows.open
    first, off = table.central(steps[-1]), table.rounding(steps[-1])
    ladder = Ladder(table, chosen)
    single = rows.single[:, np.newaxis]
    rows.error_bar[chosen] = np.inf

    def compare(enough: Array | float) -> None:
        gap = np.where(np.isfinite(first), np.abs(rows.value - first), 0.0)
        spare, difference = rows.error_bar + off, np.abs(rows.claim - rows.value)
        agrees = ~criteria.differs(rows) & (rows.error_bar <= LADDER * criteria.rtol * rows.scale)
        allowed = off + criteria.tolerance(rows) + np.where(np.abs(first) <= off, criteria.floor, 0.0)
        contradicted = np.abs(rows.claim - first) > allowed
        criteria.settle(rows, among, agrees & (gap <= spare + criteria.tolerance(rows)), contradicted)
        differs = criteria.differs(rows) & (rows.error_bar <= enough * difference)
        differs &= gap <= spare + CLEAR * difference
        differs[chosen] &= ~ladder.grows
        rows.suspect |= rows.open & among & differs.any(axis=1)

    for step in steps:
        # A step at which rounding is more than the error bar already adds nothing but noise.
        tells = (table.rounding(step)[chosen] <= ladder.error_bar).any(axis=1)
        going = rows.open[chosen] & tells
        if not going.any() or criteria.problem.calls_left < 2:
            break
        ladder.add(step, going)
        _read(rows, ladder)
        compare(np.where(single, VERY_CLEAR, CLEAR))  # of an entry, another step tells more
    compare(CLEAR)
    # What longer steps tell is known no better than the usual one agrees with them.
    gap = np.where(np.isfinite(first), np.abs(rows.value - first) - off, np.inf)
    rows.error_bar[rows.open] = np.fmax(rows.error_bar, gap)[rows.open]
    criteria.settle(rows, rows.open, criteria.agrees(rows))


def descend_further(criteria: Criteria, rows: Rows, steps: list[float]) -> None:
    """Take the rows that are still open down a ladder of the shortest steps, to the end of resolution."""
    table, chosen = rows.table, np.flatnonzero(rows.open)
    if not chosen.size:
        return
    value, bar = rows.value[chosen], rows.error_bar[chosen]
    ladder = Ladder(table, chosen)
    for step in steps:
        going = ~ladder.exhausted
        if not going.any() or criteria.problem.calls_left < 2:
            break
        ladder.add(step, going)
    # What is closer to the point is the derivative, where it is sharp; longer steps may be sharper still.
    gap = np.abs(ladder.value - value)
    sharp = (ladder.error_bar <= COARSE * gap) | ~np.isfinite(bar)
    closer = np.where(gap <= ladder.error_bar + bar, ladder.error_bar < bar, sharp)
    rows.value[chosen] = np.where(closer, ladder.value, value)
    rows.error_bar[chosen] = np.where(closer, ladder.error_bar, bar)
    open_ = rows.open
    criteria.settle(rows, open_, criteria.agrees(rows))
    differs = criteria.differs(rows) & (rows.error_bar <= DISCERNING * np.abs(rows.claim - rows.value))
    # Differences that still grow at the end belong to a slope without end, or to something shorter.
    differs[chosen] &= ~ladder.grows
    rows.suspect |= open_ & rows.open & differs.any(axis=1)
    # What agrees with longer steps alone is wrong beside a kink, and anyone's guess on a staircase.
    agreed = (np.abs(rows.claim[chosen] - value) <= bar + COARSE * gap).all(axis=1)
    for k in np.flatnonzero(agreed & rows.suspect[chosen]).tolist():
        if leaps_beside(table, int(chosen[k]), rows.value[chosen[k]], steps):
            rows.suspect[chosen[k]] = False
            rows.value[chosen[k]], rows.error_bar[chosen[k]] = value[k], np.abs(value[k])


def ascend(criteria: Criteria, rows: Rows, steps: list[float]) -> None:
    """Take rows that rounding leaves open up to longer steps: beside 1e16, 1 is seen over a step of 8."""
    table, chosen = rows.table, np.flatnonzero(rows.open & np.isfinite(rows.error_bar).all(axis=1))
    if not chosen.size or criteria.problem.calls_left < 2 * len(LONG_STEPS) * chosen.size:
        return
    ladder = Ladder(table, chosen)
    for step in steps:
        ladder.add(step)
        rows.movement[chosen] = np.fmax(rows.movement[chosen], table.movement(step)[chosen])
    narrower = np.zeros(rows.value.shape, dtype=bool)
    gap = np.abs(ladder.value - rows.value[chosen])
    narrower[chosen] = ladder.error_bar < rows.error_bar[chosen]
    narrower[chosen] &= gap <= ladder.error_bar + rows.error_bar[chosen]  # what is closer is the derivative
    rows.value[narrower] = ladder.value[narrower[chosen]]
    rows.error_bar[narrower] = ladder.error_bar[narrower[chosen]]
    criteria.settle(rows, rows.open, criteria.agrees(rows))
    differs = narrower & criteria.differs(rows)
    differs &= rows.error_bar <= DISCERNING * np.abs(rows.claim - rows.value)
    rows.suspect |= rows.open & differs.any(axis=1)


def _read(rows: Rows, ladder: Ladder) -> None:
    """Take over what a ladder found for its rows that are open, as far as it found anything."""
    chosen = ladder.rows
    known = np.isfinite(ladder.error_bar) & rows.open[chosen][:, np.newaxis]
    rows.value[chosen] = np.where(known, ladder.value, rows.value[chosen])
    rows.error_bar[chosen] = np.where(known, ladder.error_bar, rows.error_bar[chosen])
