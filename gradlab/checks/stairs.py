"""Stairs: forward stays on a line close to the point, and leaves it by leaps.

What is rounded on the way to an output, as ``1 + x²`` is in ``log(1 + x²)``, makes stairs that are far higher
than the rounding of the output itself. The shortest steps show one stair, and nothing of the slope of all;
longer ones show the slope, as well as the height of a stair allows, and some show no step at all. A kink
beside the point looks alike, but there the shortest steps are right: forward leaves the line continuously.

Stairs that are as high as what `ROUNDED` allows are taken for rounding. Higher ones may be what forward is
meant to be, as of ``round(x, 3)``, and have the slope of one stair: none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gradlab.checks.criteria import COARSE, SHARP, Criteria
from gradlab.checks.rows import Rows
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.table import LONG_STEPS, WHOLE, Changes, Table, coarse_steps, usual_step

# Power of eps: leaps of that part of one, 5.5e-7, or of an output that is larger, may be rounding. At 1/2,
# the slope of stairs of 3e-7 was called wrong; at 1/3, that of 1e-5 · floor(x) was not known to be zero, as
# that of 1e-6 · floor(x) still is not.
ROUNDED = 2 / 5
FAR_STEPS = tuple(8.0 * 4.0**k for k in range(1, 10))  # beyond the long ones, as far as what is seen at all
LOOKED = 16  # parts of a row, where outputs are judged by themselves
HALVINGS = 12  # of a step, to see whether forward leaves a line by a leap
SMOOTH = 3  # power of the step with which what is smooth leaves a line at most, once it is seen to
SEVERAL = 4  # leaps, that a staircase makes where it is looked at from further away
NONE = 0.0, 0.0  # a slope of zero, that is no estimate
PART = 64  # of what is left of the line at the step before: a leap is no less


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
    table, highest, of_one = rows.table, _rounded(rows.table), _rounded(rows.table, power=1.0)
    tolerance = criteria.tolerance(rows)[chosen]
    heights, doubtful = np.zeros(rows.claim.shape), np.zeros(rows.claim.shape, dtype=bool)
    missing = np.abs(rows.claim[chosen] - value)
    doubtful[chosen] = missing > error_bar + tolerance
    # The slope of a stair may be claimed, as zero is, where another was seen from farther away.
    gap = np.abs(rows.value[chosen] - value)
    doubtful[chosen] |= gap > error_bar + COARSE * np.fmax(np.abs(value), np.abs(rows.value[chosen]))
    missing = np.fmax(missing, gap)
    # Beside terms that are smooth no leap is seen; where little is missing, one rounding may explain it.
    slight = doubtful[chosen] & ~table.on_stairs[chosen, np.newaxis] & (missing <= SHARP * tolerance)
    slight &= missing * coarse_steps(table.eps)[0] <= WHOLE * of_one
    heights[chosen] = np.where(slight, of_one, 0.0)
    for k, row in enumerate(chosen.tolist()):
        parts = np.flatnonzero(doubtful[row])
        for part in parts[np.argsort(-missing[k, parts], kind="stable")[:LOOKED]].tolist():
            slope = value[k, part], error_bar[k, part]
            leap = _leap_beside(table, row, part, slope, missing[k, part], highest[part])
            heights[row, part] = max(heights[row, part], leap)
    # What does not move at all may be on a stair that is too wide to be seen: as high as those of others.
    still = table.secant(usual_step(table.eps)) == 0
    shared = heights.max(axis=0)
    for part in np.flatnonzero((shared == 0) & (still & doubtful).any(axis=0)).tolist():
        shared[part] = _leap_of_another(rows, part, highest[part])
    explained = still & doubtful & (np.abs(rows.claim) * LONG_STEPS[0] <= shared)
    heights = np.where(explained, np.fmax(heights, shared), heights)
    # Nor is it certain, beside stairs, that it is too small to matter.
    beside = still & rows.small[:, np.newaxis] & (heights > 0).any(axis=0)
    for row, part in np.argwhere(beside)[:LOOKED].tolist():
        heights[row, part] = _leap_beside(table, row, part, NONE, 0.0, highest[part])
    for row, part in np.argwhere(heights > 0).tolist():
        table.note_stairs(row, part, heights[row, part])
    found = np.asarray((heights > 0).any(axis=1))
    rows.small &= ~found
    return found


def _leap_of_another(rows: Rows, part: int, highest: float) -> float:
    """Return by how much forward leaps along the row that moves least of all that do."""
    moved = np.where(rows.steepest[:, part] > 0, rows.steepest[:, part], np.inf)
    row = int(np.argmin(moved))
    if not np.isfinite(moved[row]):
        return 0.0
    usual = usual_step(rows.table.eps)
    slope = rows.table.central(usual)[row, part], rows.table.rounding(usual)[row, part]
    return _leap_beside(rows.table, row, part, slope, 0.0, highest)


def rests_on_a_stair(table: Table, row: int) -> bool:
    """Whether forward, which does not move along a row, leaps by a rounding where it does."""
    highest = _rounded(table)
    return any(_leap_beside(table, row, part, NONE, 0.0, highest[part]) > 0 for part in range(table.parts))


def _rounded(table: Table, power: float = ROUNDED) -> Array:
    """Return how high a leap of the contracted outputs may be for rounding, shape ``(s,)``."""
    sizes: Array = table.eps**power * np.fmax(np.abs(table.output), 1.0)
    return sizes if table.upstreams is None else np.abs(table.upstreams * sizes).max(axis=1, initial=0.0)


def _leap_beside(
    table: Table, row: int, part: int, slope: tuple[float, float], missing: float, highest: float
) -> float:
    """Return by how much forward leaps where it leaves the straight line that it is close to the point.

    At a kink beside the point it leaves the line continuously, and the answer is zero; at the end of a stair,
    by the stair's height, on one side at least. It is zero, too, for leaps that do not explain what is
    missing, and for one alone.

    Parameters
    ----------
    table : Table
        The differences.
    row : int
        The direction.
    part : int
        The upstream gradient.
    slope : (float, float)
        Of the line, as the shortest steps have it, and what that may be off by.
    missing : float
        How far that is from what it may be.
    highest : float
        Leap that is rounding.
    """
    taken = {h for h, sides in table.steps.items() if np.isfinite(sides.up[row, part])}
    steps = sorted({*taken, *LONG_STEPS, *FAR_STEPS})
    lines = (_Line(table, row, part, slope, move) for move in MOVES)
    return max(line.leap(steps, missing, highest) for line in lines)


# Of each side by itself, for there may be a kink on the other; and of both, where curvature cancels.
MOVES: tuple[Callable[[Changes], Array], ...] = (
    lambda sides: sides.up,
    lambda sides: -sides.down,
    lambda sides: (sides.up - sides.down) / 2,
)


@dataclass(frozen=True)
class _Line:
    """A straight line through the point, beside one part of what forward does along a row."""

    table: Table
    row: int
    part: int
    slope: tuple[float, float]
    move: Callable[[Changes], Array]

    def off(self, h: float) -> float:
        """How far forward is off the line at a step; zero where it has no value."""
        self.table.take(np.array([self.row]), h)
        distance = self.move(self.table.steps[h])[self.row, self.part] - h * self.slope[0]
        return float(np.nan_to_num(abs(distance), nan=0.0))

    def left(self, h: float) -> bool:
        """Whether that is more than rounding, and more than the slope may be off by."""
        rounding = float(self.table.rounding(h)[self.row, self.part])
        return self.off(h) > (WHOLE * rounding + self.slope[1]) * h

    def leap(self, steps: list[float], missing: float, highest: float) -> float:
        """By how much forward leaps where it leaves the line, as in `_leap_beside`."""
        inside = 0.0
        for outside in steps:
            # A staircase as steep as is missing would have been left for the next stair before.
            if missing * min(inside, LONG_STEPS[0]) > highest:
                return 0.0
            if self.left(outside):
                break
            inside = outside
        else:
            return 0.0
        height = self.off(outside)
        if not inside or height <= (outside / inside) ** SMOOTH * self.off(inside):
            return 0.0
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if self.left(middle) else (middle, outside)
        leap = self.off(outside) - self.off(inside)
        if not height / PART < leap <= highest or missing * min(inside, LONG_STEPS[0]) > leap:
            return 0.0
        return leap if any(self.off(h) >= SEVERAL * leap for h in steps) else 0.0
