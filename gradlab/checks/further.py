"""What a ladder leaves open goes further: down to the shortest steps, and up to longer ones than the scale.

Down to the shortest that floating point allows; and what rounding alone leaves open, up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradlab.checks.criteria import Criteria
from gradlab.checks.rows import Rows
from gradlab.checks.short_differences import ShortDifferences
from gradlab.checks.stairs import find_stairs
from gradlab.checks.widths import COARSE, DISCERNING
from gradlab.numerics import Mask
from gradlab.numerics.ladder import Ladder
from gradlab.numerics.step_sizes import LONG_STEPS


def descend_further(criteria: Criteria, rows: Rows, steps: Sequence[float]) -> None:
    """Take the rows that are still open down a ladder of the shortest steps, to the end of resolution."""
    table, chosen = rows.table, np.flatnonzero(rows.open)
    if not chosen.size:
        return
    value, bar = rows.value[chosen], rows.error_bar[chosen]
    claim, closest = rows.claim[chosen], ShortDifferences.closest(criteria, rows, chosen)
    ladder = Ladder(table, chosen)
    for step in steps:
        # It has not ended as long as what is closer to the point contradicts it, by as much as decides.
        decides = ladder.error_bar + DISCERNING * np.abs(claim - ladder.value)
        going = ~ladder.exhausted | (closest.apart(ladder.value) > decides).any(axis=1)
        if not going.any() or criteria.problem.calls_left < 2:
            break
        ladder.add(step, going)
    on_stairs = find_stairs(criteria, rows, chosen, ladder.value, ladder.error_bar)
    # What is closer to the point is the derivative, where it is sharp; longer steps may be sharper still.
    sharp = (ladder.error_bar <= COARSE * np.abs(ladder.value - value)) | ~np.isfinite(bar)
    rows.further[chosen] |= _adopt(rows, ladder, sharp)
    open_, doubtful = rows.open & ~on_stairs, np.zeros(rows.claim.shape, dtype=bool)
    doubtful[chosen] = ladder.grows
    rows.unresolved[chosen] &= ladder.grows.any(axis=1)
    criteria.settle(rows, open_, criteria.agrees(rows), doubtful)
    differs = criteria.differs(rows) & (rows.error_bar <= DISCERNING * rows.gap)
    # What still grows at the end belongs to a slope without end, or to something shorter.
    differs &= ~doubtful
    rows.suspect |= open_ & rows.open & differs.any(axis=1)


def ascend(criteria: Criteria, rows: Rows, steps: Sequence[float]) -> None:
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
    _adopt(rows, ladder)  # what contradicts shorter steps is not taken: what is closer is the derivative
    criteria.settle(rows, rows.open, criteria.agrees(rows))


def _adopt(rows: Rows, ladder: Ladder, instead: Mask | bool = False) -> Mask:
    """Take what a ladder tells more narrowly than is known, and return where that is.

    Where it contradicts what is known, only some are taken ``instead``.
    """
    chosen = ladder.rows
    value, bar = rows.value[chosen], rows.error_bar[chosen]
    agrees = np.abs(ladder.value - value) <= ladder.error_bar + bar
    taken = np.where(agrees, ladder.error_bar < bar, instead)
    rows.value[chosen] = np.where(taken, ladder.value, value)
    rows.error_bar[chosen] = np.where(taken, ladder.error_bar, bar)
    return np.asarray(taken)
