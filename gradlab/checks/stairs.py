"""Stairs: forward stays on a line close to the point, and leaves it by leaps.

What is rounded on the way to an output, as ``1 + x²`` is in ``log(1 + x²)``, makes stairs that are far higher
than the rounding of the output itself. The shortest steps show one stair, and nothing of the slope of all;
longer ones show the slope, as well as the height of a stair allows, and some show no step at all. A kink
beside the point looks alike, but there the shortest steps are right: forward leaves the line continuously.

Stairs that are as high as what `noise.ROUNDED` allows are taken for rounding. Higher ones may be what forward
is meant to be, as of ``round(x, 3)``, and have the slope of one stair: none.
"""

from __future__ import annotations

import numpy as np

from gradlab.checks.criteria import COARSE, SHARP, Criteria
from gradlab.checks.leaps import NONE, explains, leap_beside, one_rounding
from gradlab.checks.rows import Rows
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.table import LONG_STEPS, WHOLE, coarse_steps, usual_step

LOOKED = 16  # parts of a row, where outputs are judged by themselves; and rows that seemed too small


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
    among = np.isin(np.arange(rows.right.size), chosen)[:, np.newaxis]
    # Of the slope that short steps show, either the claim is missing, or what was seen from farther away: the
    # slope of a stair may be claimed, as zero is.
    unclaimed, unseen = np.abs(rows.claim - slope), np.abs(rows.value - slope)
    doubtful = unclaimed > off + criteria.tolerance(rows)
    doubtful |= unseen > off + COARSE * np.fmax(np.abs(slope), np.abs(rows.value))
    doubtful &= among
    missing = np.where(doubtful, np.fmax(unclaimed, unseen), 0.0)
    heights = _of_one_rounding(criteria, rows, missing)
    for row in np.flatnonzero(doubtful.any(axis=1)).tolist():
        parts = np.flatnonzero(doubtful[row])
        for part in parts[np.argsort(-missing[row, parts], kind="stable")[:LOOKED]].tolist():
            leap = leap_beside(rows.table, row, part, (slope[row, part], off[row, part]), missing[row, part])
            heights[row, part] = max(heights[row, part], leap)
    still = rows.table.secant(usual_step(rows.table.eps)) == 0
    heights = np.fmax(heights, _of_another(rows, still & doubtful, heights))
    heights = np.fmax(heights, _of_what_seemed_too_small(rows, still, heights))
    for row, part in np.argwhere(heights > 0).tolist():
        rows.table.note_stairs(row, part, heights[row, part])
    found = np.asarray((heights > 0).any(axis=1))
    rows.small &= ~found
    return found


def _of_one_rounding(criteria: Criteria, rows: Rows, missing: Array) -> Array:
    """Return the height of one rounding where that explains what is missing, as far as it is slight.

    Beside terms that are smooth no leap is seen.
    """
    height, longest = one_rounding(rows.table), coarse_steps(rows.table.eps)[0]
    slight = (missing > 0) & ~rows.table.on_stairs[:, np.newaxis]
    slight &= missing <= SHARP * criteria.tolerance(rows)
    return np.where(slight & explains(WHOLE * height, missing, longest), height, 0.0)


def _of_another(rows: Rows, still: Mask, heights: Array) -> Array:
    """Return how high the stairs of other rows are, for those that do not move at all, if that explains it.

    They may be on one that is too wide to be seen.
    """
    shared = heights.max(axis=0)
    for part in np.flatnonzero((shared == 0) & still.any(axis=0)).tolist():
        shared[part] = _leap_of_what_moves_least(rows, part)
    return np.where(still & explains(shared, np.abs(rows.claim), LONG_STEPS[0]), shared, 0.0)


def _leap_of_what_moves_least(rows: Rows, part: int) -> float:
    """Return by how much forward leaps along the row that moves least of all that do."""
    moved = np.fmax(rows.nearby, rows.afar)[:, part]
    moved = np.where(moved > 0, moved, np.inf)
    row = int(np.argmin(moved))
    if not np.isfinite(moved[row]):
        return 0.0
    usual = usual_step(rows.table.eps)
    slope = rows.table.central(usual)[row, part], rows.table.rounding_along(row, usual)[part]
    return leap_beside(rows.table, row, part, slope)


def _of_what_seemed_too_small(rows: Rows, still: Mask, heights: Array) -> Array:
    """Return the same of rows that do not move: beside stairs it is not certain that they cannot matter."""
    beside = still & rows.small[:, np.newaxis] & (heights > 0).any(axis=0)
    found = np.zeros(heights.shape)
    for row, part in np.argwhere(beside)[:LOOKED].tolist():
        found[row, part] = leap_beside(rows.table, row, part, NONE)
    return found
