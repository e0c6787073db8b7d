"""Kinks: which slopes the forward function has on both sides of the point, and around it.

A gradient at a kink is right when it is a subgradient: along a line through the point, each output by itself
may have any slope between those on its two sides, and the sum any sum of these. Contracting the outputs first
and taking the two slopes of the sum would be wrong: with upstream gradients of both signs a right ReLU at two
zeros then lies outside in 26 % of all directions, at ten zeros in 50 %.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gradlab.checks.directions import Joint
from gradlab.checks.upstream import Upstream
from gradlab.numerics import Array
from gradlab.numerics.differences import Sample, ladder, random_direction, richardson, scales
from gradlab.numerics.leaps import INTERVALS, leaps_by
from gradlab.point.problem import Problem

ZOOM, FARTHER_ZOOM = 2.0**-12, 2.0**-16  # from the close-up to where a kink still has its jump
LEAP = 0.1  # of the least change seen: less is left of a kink as it is looked at ever closer
KEPT = 1_000_000  # output entries of all samples together that are kept
NEARBY = 64  # random points around a kink, at most: of five equal numbers each has any place in every fifth
NEARBY_DISTANCE = 1e-4  # how far away they are
NEARBY_STEP = 1e-6  # of the differences there, which stay on one side


@dataclass(frozen=True)
class Sides:
    """The slopes between both sides of a kink.

    Attributes
    ----------
    lowest, highest : Array
        Shape ``(s,)``, for each part of the upstream gradient: the sums of each output's lower and higher
        contribution.
    rises : bool
        Whether the slope of all parts together is higher on the right.
    """

    lowest: Array
    highest: Array
    rises: bool


class Displacements:
    """The outputs' displacements along a line, each step evaluated once as long as the outputs are small."""

    def __init__(self, problem: Problem, sample: Sample) -> None:
        self.problem, self.sample = problem, sample
        self._kept: dict[float, tuple[Array, Array, float]] = {}

    def __call__(self, h: float) -> tuple[Array, Array, float]:
        """Return ``f(x + hd) − f(x)``, ``f(x − hd) − f(x)`` and the width; NaN once no call is left."""
        if h in self._kept:
            return self._kept[h]
        if not self.problem.affords(2):
            unknown = np.full_like(self.problem.output, np.nan)
            return unknown, unknown, 2 * h
        plus, minus, width = self.sample(h)
        plus -= self.problem.output
        minus -= self.problem.output
        if (len(self._kept) + 1) * 2 * plus.size > KEPT:
            self._kept.clear()  # the last one stays: a ladder begins by looking at its first step
        self._kept[h] = plus, minus, width
        return plus, minus, width

    def least_change(self, upstream: Upstream) -> Array:
        """Return the smallest change of each part of the contracted outputs that any step showed, or 0."""
        least = np.full(len(upstream.gradients), np.inf)
        for plus, minus, _ in self._kept.values():
            for side in (plus, minus):
                change = np.abs(upstream.contract(side))
                least = np.where(change > 0, np.fmin(least, change), least)
        return np.where(np.isfinite(least), least, 0.0)

    def leaps(self, upstream: Upstream, part: int, least: float) -> bool:
        """Whether one part of the contracted outputs leaps to the least change that any step showed."""

        def at(t: float) -> float:
            if not t:
                return 0.0
            plus, minus, _ = self(abs(t))
            return float(upstream.contract(plus if t > 0 else minus)[part])

        moving = [h for h in list(self._kept) if at(h) or at(-h)]
        if not moving:
            return True  # large outputs are not kept: nothing tells that it does not
        return leaps_by(LEAP * least, at, min(moving) * 2 / INTERVALS)


def slopes_between_sides(
    upstream: Upstream, seen: Displacements, steps: list[float], close_steps: list[float]
) -> tuple[Sides, Array]:
    """Return the range of slopes between both sides, outputs taken one by one, and what it may be off by.

    Parameters
    ----------
    upstream : Upstream
        Contracts the outputs.
    seen : Displacements
        Along the line.
    steps, close_steps : list of float
        The ladder that showed a kink, and one close up, which shows whether it is at the point or beside it.

    Returns
    -------
    sides : Sides
        The range.
    error_bar : Array
        Shape ``(s,)``.
    """
    problem = upstream.problem
    widest = seen(steps[0])
    noise = np.where(widest[0] != widest[1], problem.noise, 0.0)  # what does not move has none
    far = richardson(seen, steps, noise=noise, eps=problem.eps)
    close = richardson(seen, close_steps, noise=noise, eps=problem.eps)
    suspicious = far.kinked | (far.conflicts > 0) | close.kinked
    # Zoomed in on, a kink at the point keeps its jump; strong curvature, and a kink beside it, lose it.
    height = np.where(far.kinked, np.abs(far.jump), np.abs(close.jump))
    visible, at_the_point = np.zeros_like(suspicious), np.zeros_like(suspicious)
    value, bar, jump, jump_bar = far.value, far.error_bar, np.zeros_like(height), np.zeros_like(height)
    for zoom in (ZOOM, FARTHER_ZOOM):
        there = richardson(seen, ladder(close_steps[0] * zoom, 3), noise=noise, eps=problem.eps)
        seen_there = suspicious & (there.jump_bar < height / 2)
        same_jump = np.abs(np.abs(there.jump) - height) < height / 10 + there.jump_bar
        at_the_point = np.where(seen_there, same_jump, at_the_point)
        other = seen_there & ~same_jump  # there may be a smaller kink at the point than beside it
        value, bar = np.where(other, there.value, value), np.where(other, there.error_bar, bar)
        jump = np.where(other, np.where(there.kinked, there.jump, 0.0), jump)
        jump_bar = np.where(other, np.where(there.kinked, there.jump_bar, 0.0), jump_bar)
        visible |= seen_there
    unknown = suspicious & ~visible & (np.abs(height) > 0)

    for table, there_is in ((close, at_the_point & ~far.kinked), (far, at_the_point & far.kinked)):
        value, bar = np.where(there_is, table.value, value), np.where(there_is, table.error_bar, bar)
        jump, jump_bar = np.where(there_is, table.jump, jump), np.where(there_is, table.jump_bar, jump_bar)
    # Where noise hides whether the jump stays, anything between both sides may be the slope.
    value, bar = np.where(unknown, far.value, value), np.where(unknown, far.error_bar + height, bar)

    sign = np.sign(problem.grad_output)
    middle, swing = upstream.contract(value), upstream.contract(sign * np.abs(jump) / 2)
    error_bar = upstream.contract(sign * (bar + jump_bar / 2))
    rises = bool(upstream.contract(jump).sum() > 0)
    return Sides(middle - swing, middle + swing, rises), error_bar


def slopes_around(upstream: Upstream, direction: Joint, towards: Mapping[int, Array]) -> Iterator[Array]:
    """Yield the derivatives along a direction at points around the kink, of shape ``(s,)`` each.

    Parameters
    ----------
    upstream : Upstream
        Contracts the outputs.
    direction : Joint
        The direction.
    towards : mapping of int to Array
        Where to look first: to the side of each kink whose slope is the analytic one. Where the kinks are
        independent of each other, the analytic gradient is the derivative there.
    """
    problem, rng = upstream.problem, np.random.default_rng(0)
    drawn = ({i: random_direction(problem.value(i), rng) for i in problem.wrt} for _ in range(NEARBY))
    for look in itertools.chain([dict(towards)] if towards else [], _in_order(problem), drawn):
        if not problem.affords(2):
            break
        sides = []
        for h in (NEARBY_STEP, -NEARBY_STEP):
            moved = problem.moved(look, NEARBY_DISTANCE)
            for i, d in direction.parts.items():
                moved[i] = np.asarray(moved.get(i, problem.value(i)) + h * d, dtype=problem.value(i).dtype)
            sides.append(upstream.contract(problem.evaluate(moved) - problem.output))
        yield (sides[0] - sides[1]) / (2 * NEARBY_STEP)


def _in_order(problem: Problem) -> Iterator[dict[int, Array]]:
    """Yield directions in which equal entries become ordered as sorting and maxima order them."""
    places = np.linspace(-2, 2, sum(problem.value(i).size for i in problem.wrt))
    for order in (places, places[::-1]):
        start, look = 0, {}
        for i in problem.wrt:
            x = problem.value(i)
            look[i] = order[start : start + x.size].reshape(x.shape) * scales(x)
            start += x.size
        yield look
