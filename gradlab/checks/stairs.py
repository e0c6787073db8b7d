"""Stairs: forward stays on a line close to the point, and leaves it by leaps.

What is rounded on the way to an output, as ``1 + x²`` is in ``log(1 + x²)``, makes stairs that are far higher
than the rounding of the output itself. The shortest steps show one stair, and nothing of the slope of all;
longer ones show the slope, as well as the height of a stair allows, and some show no step at all. A kink
beside the point looks alike, but there the shortest steps are right: forward leaves the line continuously.

Stairs as high as `rounding.ROUNDED` allows are taken for rounding. Higher ones may be what forward is meant
to be, as of ``round(x, 3)``, and have the slope of one stair: none. Whether such a claim of nothing may be
called wrong is asked in `scattering`. That stairs of round decimal numbers are on purpose is seen from the
values themselves (`numerics.decimals`).
"""

from __future__ import annotations

import numpy as np

from gradlab.checks.criteria import Criteria
from gradlab.checks.leaps import explains, leap_beside
from gradlab.checks.rows import Rows
from gradlab.checks.widths import COARSE
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.step_sizes import LONG_STEPS, SMALLEST_STEP, usual_step

LOOKED = 16  # parts of a row, where outputs are judged by themselves


def find_stairs(criteria: Criteria, rows: Rows, chosen: Indices, value: Array, error_bar: Array) -> Mask:
    """Find out which rows are on a stair; note in the table how high it is: that is the rounding there.

    Parameters
    ----------
    criteria : Criteria
        Of the point.
    rows : Rows
        What is known of all directions, at longer steps too.
    chosen : Indices
        Some of them.
    value, error_bar : Array
        What short steps show along these, of shape ``(chosen, s)``.

    Returns
    -------
    array of bool, shape (r,)
        Of all rows; these are open.
    """
    slope, off = np.zeros(rows.claim.shape), np.zeros(rows.claim.shape)
    slope[chosen], off[chosen] = value, error_bar
    among = rows.mask(chosen)[:, np.newaxis]
    # Of the slope that short steps show, either the claim is missing, or what was seen from farther away: the
    # slope of a stair may be claimed, as zero is.
    unclaimed, unseen = np.abs(rows.claim - slope), np.abs(rows.value - slope)
    doubtful = unclaimed > off + criteria.tolerance(rows)
    doubtful |= unseen > off + COARSE * np.fmax(np.abs(slope), np.abs(rows.value))
    doubtful &= among
    missing = np.where(doubtful, np.fmax(unclaimed, unseen), 0.0)
    heights = np.zeros(missing.shape)
    for row in np.flatnonzero(doubtful.any(axis=1)).tolist():
        parts = np.flatnonzero(doubtful[row])
        for part in parts[np.argsort(-missing[row, parts], kind="stable")[:LOOKED]].tolist():
            line = slope[row, part], off[row, part]
            heights[row, part] = leap_beside(rows.table, row, part, line, missing[row, part])
    # What does not move at all may be on the stair of another row, one that is too wide to be seen.
    still = doubtful & (rows.table.secant(usual_step(rows.table.eps)) == 0)
    shared = heights.max(axis=0)
    still &= explains(shared, np.abs(rows.claim), LONG_STEPS[0])
    heights = np.fmax(heights, np.where(still, shared, 0.0))
    for row, part in np.argwhere(heights > 0).tolist():
        rows.table.note_stairs(row, part, heights[row, part])
    return np.asarray((heights > 0).any(axis=1))


def settle_on_stairs(criteria: Criteria, rows: Rows) -> None:
    """Settle open rows on a staircase that was written on purpose: its slope is zero, exactly.

    Only if every output leaps by multiples of a round decimal number, or stays; and only rows along which
    nothing moves over three of the shortest steps: at once, right or wrong.
    """
    table, which = rows.table, np.flatnonzero(rows.open)
    if not table.stepped.all():
        return
    for step in (SMALLEST_STEP, 10 * SMALLEST_STEP, 64 * SMALLEST_STEP):
        table.take(which, step)
        which = which[(table.secant(step)[which] == 0).all(axis=1)]  # none that no call was left for
    rows.value[which] = rows.error_bar[which] = 0.0
    flat = rows.mask(which)
    criteria.settle(rows, flat, ~criteria.differs(rows))
    rows.wrong |= flat & rows.open
