"""Stairs: forward stays on a line close to the point, and leaves it by leaps.

What is rounded on the way to an output, as ``1 + x²`` is in ``log(1 + x²)``, makes stairs that are far higher
than the rounding of the output itself. The shortest steps show one stair, and nothing of the slope of all;
longer ones show the slope, as well as the height of a stair allows. A kink beside the point looks alike, but
there the shortest steps are right: forward leaves the line continuously.

Of a part of an output's terms, stairs may be wider than a ladder is high, and the slope that they hide little
more than ``rtol`` of all: where no more than that is missing, a leap further off explains it, too.
"""

from __future__ import annotations

import numpy as np

from gradlab.checks.criteria import COARSE, SHARP, Criteria
from gradlab.checks.rows import Rows
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.noise import COARSEST
from gradlab.numerics.table import LONG_STEPS, WHOLE, Table, coarse_steps

UNKNOWN = 8  # times a slope: what may hide where no more is known than how far forward moves
HALVINGS = 8  # of a step, to see whether forward leaves a line by a leap
SMOOTH = 3  # power of the step with which what is smooth leaves a line at most, once it is seen to
SEVERAL = 4  # leaps, that a staircase makes where it is looked at from further away
PART = 8  # of what is left of the line at the step before: a leap is no less


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
        Of all rows.
    """
    table, found = rows.table, np.zeros(rows.right.shape, dtype=bool)
    claim, (reach, steepest) = rows.claim[chosen], np.zeros((2, *value.shape))
    missing, from_afar = np.abs(claim - value), np.zeros(value.shape, dtype=bool)
    steps = coarse_steps(table.eps)
    for h in steps:
        if h in table.steps:
            from_afar |= np.abs(claim - table.central(h)[chosen]) <= COARSE * missing
            steepest = np.fmax(steepest, table.secant(h)[chosen])
            reach = np.fmax(reach, table.secant(h)[chosen] * h)
    limit = criteria.rtol * criteria.largest_influence / UNKNOWN
    little = missing <= SHARP * criteria.tolerance(rows)[chosen]
    # A claim that contradicts both is wrong; that of a stair itself, as zero is, may be meant so.
    for k, part in np.argwhere((from_afar | little) & (missing > error_bar)).tolist():
        row = int(chosen[k])
        height = _leap_beside(table, row, part, float(value[k, part]), further=bool(little[k, part]))
        if not from_afar[k, part] and missing[k, part] > WHOLE * height / (2 * steps[0]):
            continue  # more than the leap explains
        if height > COARSEST * reach[k, part]:
            # Few stairs may be what forward is meant to be. Where they cannot matter, they tell no slope.
            negligible = max(abs(float(claim[k, part])), float(steepest[k, part])) <= limit
            height = float(reach[k, part]) if negligible else 0.0
        if height:
            table.note_stairs(row, part, height)
            found[row] = True
    return found


def _leap_beside(table: Table, row: int, part: int, slope: float, *, further: bool) -> float:
    """Return by how much forward leaps where it leaves the straight line that it is close to the point.

    At a kink beside the point it leaves the line continuously, and the answer is zero; at the end of a stair,
    by the stair's height.

    Parameters
    ----------
    table : Table
        The differences.
    row : int
        The direction.
    part : int
        The upstream gradient.
    slope : float
        Of the line, as the shortest steps have it.
    further : bool
        Whether to look further away than any step that was taken, too.
    """

    def off(h: float) -> float:
        table.take(np.array([row]), h)
        sides = table.steps[h]
        distance = abs(sides.up[row, part] - h * slope), abs(sides.down[row, part] + h * slope)
        return float(np.nan_to_num(distance, nan=0.0).max())

    def rounding(h: float) -> float:
        return float(table.rounding(h)[row, part]) * h

    taken = sorted(h for h, sides in table.steps.items() if np.isfinite(sides.up[row, part]))
    if further:
        taken += [h for h in reversed(LONG_STEPS) if h > taken[-1]]
    outside = next((h for h in taken if off(h) > 4 * rounding(h)), None)
    if outside is None or outside == taken[0]:
        return 0.0
    height, inside = off(outside), max(h for h in taken if h < outside)
    if height <= (outside / inside) ** SMOOTH * (off(inside) + rounding(inside)):
        return 0.0
    for _ in range(HALVINGS):
        if off(outside) - off(inside) <= height / PART:
            return 0.0
        middle = (inside + outside) / 2
        if off(middle) > height / 4:
            outside = middle
        else:
            inside = middle
    leap = off(outside) - off(inside)
    if further and max(map(off, taken)) < SEVERAL * leap:
        return 0.0  # one leap is no staircase
    return leap if leap > height / PART else 0.0
