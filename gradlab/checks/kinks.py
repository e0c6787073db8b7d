"""Kinks: which slopes forward has on both sides of the point, and around it.

A gradient at a kink is right when it is a subgradient: along a line through the point, each output by itself
may have any slope between those on its two sides, and the sum any sum of these. Contracting the outputs first
and taking the two slopes of the sum would be wrong: with upstream gradients of both signs a right ReLU at two
zeros then lies outside in 26 % of all directions, at ten zeros in 50 %.

Whether an output has a kink is told by looking at it from small distances: half the jump between its slopes
on both sides is the same from each. By curvature it is smaller from closer by, as the distance is, and a kink
beside the point is not seen from closer than that at all. The closest distance is where rounding would hide
the jump; the slopes themselves are taken from farther away, where they are less rounded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import ByInput
from gradlab.numerics import Array
from gradlab.numerics.scales import random_direction
from gradlab.numerics.step_sizes import SMALLEST_STEP
from gradlab.numerics.table import WHOLE, Table
from gradlab.point.problem import Problem

CLOSE = 2.0**-8  # of the usual step
FARTHER = 16
GONE = 8  # times smaller: a jump that is no longer there
CLEARLY = 64  # times its rounding: a jump that is none of noise
ALIKE = 2  # jumps: what slopes may differ by, by curvature and by other kinks
HIDDEN = 16  # times its rounding: a jump is no longer seen for certain
NEARBY = 64  # random points around a kink, at most: of five equal numbers each has any place in every fifth
NEARBY_DISTANCE = 32  # steps of the differences there: how far away they are, so that most stay on one side
BENDS = 0.01  # of the slope: a larger half jump at the usual step is looked at; no curvature of order one is


@dataclass(frozen=True)
class Slopes:
    """What one row shows close to the point.

    Attributes
    ----------
    lowest, highest : Array
        Shape ``(s,)``, for each upstream gradient: the sums of each output's lower and higher contribution.
        The same where there is no kink.
    error_bar : Array
        Shape ``(s,)``: what they may be off by.
    kinked : array of bool, shape (m,)
        Which outputs have a kink at the point.
    rises : bool
        Whether the slope of all is higher on the far side of the direction.
    unclear : bool
        Whether a jump is so little more than rounding that it may be noise, unless that was measured.
    """

    lowest: Array
    highest: Array
    error_bar: Array
    kinked: npt.NDArray[np.bool_]
    rises: bool
    unclear: bool = False

    @property
    def middle(self) -> Array:
        """The derivative where there is no kink."""
        return (self.lowest + self.highest) / 2


def slopes_at(table: Table, row: int, step: float) -> Slopes | None:
    """Look at one row from small distances; ``None`` where forward has no values there."""
    near, far = (_one_look(table, row, h) for h in (step, FARTHER * step))
    if near is None or far is None:
        return None
    kinked = near.keeps_the_jump_of(far)
    if kinked.any():
        closest = _closest(near, kinked)
        there = _one_look(table, row, closest) if closest < step else None
        if there is not None and (beside := kinked & ~there.keeps_the_jump_of(near)).any():
            near = _past_kinks(table, row, near, there, beside)
            kinked = kinked & ~beside
    # Curvature is the part that grows with the step.
    curved = (far.half_jump - near.half_jump) / (far.step / near.step - 1)
    half_jump = np.where(kinked, near.half_jump - curved, 0.0)
    curved = np.where(kinked, np.abs(curved), 0.0)
    unclear = bool((np.abs(half_jump) < CLEARLY * near.off)[kinked].any())
    u = table.upstreams
    if u is None:  # every output by itself
        half = np.abs(half_jump)
        lowest, highest, bar = near.slope - half, near.slope + half, near.off + curved
        return Slopes(lowest, highest, bar, kinked, bool(half_jump.sum() > 0), unclear)
    middle, half = u @ near.slope, np.abs(u) @ np.abs(half_jump)
    bar = np.sqrt(np.square(u) @ np.square(near.off)) + np.abs(u) @ curved
    return Slopes(middle - half, middle + half, bar, kinked, bool((u @ half_jump).sum() > 0), unclear)


@dataclass(frozen=True)
class _Look:
    """The slope of each output at one step, half the jump between both sides, and what either is off by."""

    step: float
    slope: Array
    half_jump: Array
    off: Array

    def keeps_the_jump_of(self, farther: _Look) -> npt.NDArray[np.bool_]:
        """Return which outputs have the same jump at both steps.

        Of one sign, within a factor of two, over twice its rounding, and between slopes that differ by a few
        jumps at most: what varies over less than either step may show equal jumps by chance.
        """
        here, there = np.abs(self.half_jump), np.abs(farther.half_jump)
        same = np.sign(self.half_jump) == np.sign(farther.half_jump)
        same &= np.abs(self.slope - farther.slope) <= ALIKE * np.fmax(here, there)
        return np.asarray(same & (here > there / 2) & (here < 2 * there) & (here > 2 * self.off))

    def no_longer_sees(self, farther: _Look) -> npt.NDArray[np.bool_]:
        """Return in which outputs the jump that is seen from farther away is gone: it is beside the point."""
        return np.asarray(
            np.abs(self.half_jump) <= np.maximum(2 * self.off, np.abs(farther.half_jump) / GONE)
        )


def _one_look(table: Table, row: int, step: float) -> _Look | None:
    for _, plus, minus in table.evaluate(np.array([row]), step):
        slope, half_jump = (plus[0] - minus[0]) / (2 * step), (plus[0] + minus[0]) / (2 * step)
        if np.isfinite(slope).all():
            return _Look(step, slope, half_jump, WHOLE * table.noise / (2 * step))
    return None


def _past_kinks(table: Table, row: int, near: _Look, closest: _Look, beside: npt.NDArray[np.bool_]) -> _Look:
    """Return a look that takes outputs with a kink beside the point from where that is no longer seen.

    From as far away as that may be: rounding grows with every step closer.
    """
    step = near.step / FARTHER
    while step > closest.step:
        look = _one_look(table, row, step)
        if look is not None and look.no_longer_sees(near)[beside].all():
            break
        step /= FARTHER
    else:
        look = closest
    slope, off = (np.where(beside, getattr(look, name), getattr(near, name)) for name in ("slope", "off"))
    return _Look(near.step, slope, near.half_jump, off)


def _closest(near: _Look, kinked: npt.NDArray[np.bool_]) -> float:
    """Return the smallest step at which rounding does not yet hide the jumps that were seen."""
    rounding = np.max(near.off[kinked] / np.abs(near.half_jump[kinked]))
    step = near.step * 2.0 ** np.ceil(np.log2(max(HIDDEN * rounding, 2.0**-60)))
    return max(float(step), SMALLEST_STEP)


def slopes_around(
    problem: Problem, upstreams: Array | None, direction: ByInput, towards: ByInput, step: float
) -> Iterator[Array]:
    """Yield the derivatives along a direction at points around the kink, of shape ``(s,)`` each.

    Where outputs are coupled, as by a maximum or by sorting, a subgradient need not lie between the slopes
    along a line through the point. It is a mean of derivatives around the point.

    Parameters
    ----------
    problem : Problem
        The point.
    upstreams : Array or None
        Shape ``(s, m)``; ``None`` for every output by itself.
    direction : dict of int to Array
        The direction.
    towards : dict of int to Array
        Where to look first: to the side of each kink whose slope is the analytic one. Where the kinks are
        independent of each other, the analytic gradient is the derivative there.
    step : float
        Of the differences.
    """
    rng = np.random.default_rng(0)
    drawn = (
        {i: random_direction(problem.value(i), rng, problem.scale(i)) for i in problem.wrt}
        for _ in range(NEARBY)
    )
    for look in itertools.chain([dict(towards)] if towards else [], _in_order(problem), drawn):
        if problem.calls_left < 2:
            break
        sides = []
        for h in (step, -step):
            moved = problem.moved(look, NEARBY_DISTANCE * step)
            for i, d in direction.items():
                moved[i] = np.asarray(moved.get(i, problem.value(i)) + h * d, dtype=problem.value(i).dtype)
            changes = problem.evaluate(moved) - problem.output
            sides.append(changes if upstreams is None else upstreams @ changes)
        yield (sides[0] - sides[1]) / (2 * step)


def _in_order(problem: Problem) -> Iterator[dict[int, Array]]:
    """Yield directions in which equal entries become ordered as sorting and maxima order them."""
    places = np.linspace(-2, 2, sum(problem.value(i).size for i in problem.wrt))
    for order in (places, places[::-1]):
        start, look = 0, {}
        for i in problem.wrt:
            x = problem.value(i)
            look[i] = order[start : start + x.size].reshape(x.shape) * problem.scale(i)
            start += x.size
        yield look
