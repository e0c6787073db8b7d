"""Leaps: by how much forward leaves, at once, the straight line that it is close to the point.

A leap of some height explains that a slope is not seen, as far as that would have led no higher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gradlab.numerics import Array, Mask
from gradlab.numerics.rounding import height_of_rounding
from gradlab.numerics.step_sizes import LONG_STEPS
from gradlab.numerics.table import WHOLE, Changes, Table

FAR_STEPS = tuple(8.0 * 4.0**k for k in range(1, 10))  # beyond the long ones, as far as what is seen at all
HALVINGS = 12  # of a step, to see whether forward leaves a line by a leap
SMOOTH = 3  # power of the step with which what is smooth leaves a line at most, once it is seen to
SEVERAL = 4  # leaps, that a staircase makes where it is looked at from further away
NONE = 0.0, 0.0  # a slope of zero, that is no estimate
PART = 64  # of what is left of the line at the step before: a leap is no less


def explains(height: Array | float, missing: Array | float, seen: float) -> Mask:
    """Whether a leap explains that, over a step at which none is seen yet, a slope is missing."""
    return np.asarray(missing * min(seen, LONG_STEPS[0]) <= height)


def highest_rounding(table: Table) -> Array:
    """Return how high a leap of the contracted outputs may be for rounding, shape ``(s,)``."""
    return table.peak(np.where(table.stepped, 0.0, height_of_rounding(table.output, table.eps)))


def rests_on_a_stair(table: Table, row: int) -> bool:
    """Whether forward, which does not move along a row, leaps by a rounding where it does."""
    return any(leap_beside(table, row, part, NONE) > 0 for part in range(table.parts))


def leap_beside(table: Table, row: int, part: int, slope: tuple[float, float], missing: float = 0.0) -> float:
    """Return by how much forward leaps where it leaves the straight line that it is close to the point.

    At a kink beside the point it leaves the line continuously, and the answer is zero; at the end of a stair,
    by the stair's height, on one side at least. It is zero, too, for leaps that do not explain what is
    missing, for one alone, and for what is no higher than the rounding that is known of anyway.

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
    """
    taken = {h for h, sides in table.steps.items() if np.isfinite(sides.up[row, part])}
    steps = sorted({*taken, *LONG_STEPS, *FAR_STEPS})
    highest = float(highest_rounding(table)[part])
    lines = (_Line(table, row, part, slope, move) for move in SIDES)
    return max(line.leap(steps, missing, highest) for line in lines)


# Of each side by itself, for there may be a kink on the other; and of both, where curvature cancels.
SIDES: tuple[Callable[[Changes], Array], ...] = (
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
        rounding = float(self.table.rounding_along(self.row, h)[self.part])
        return self.off(h) > (WHOLE * rounding + self.slope[1]) * h

    def leap(self, steps: list[float], missing: float, highest: float) -> float:
        """By how much forward leaps where it leaves the line, as in `leap_beside`."""
        inside = 0.0
        for outside in steps:
            # A staircase as steep as is missing would have been left for the next stair before.
            if not explains(highest, missing, inside):
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
        known = float(self.table.rounding_along(self.row, outside)[self.part]) * outside
        if not max(height / PART, known) < leap <= highest or not explains(leap, missing, inside):
            return 0.0
        return leap if any(self.off(h) >= SEVERAL * leap for h in steps) else 0.0
