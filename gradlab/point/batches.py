"""Many points in one call of a ``forward`` that takes a batch of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array, Indices
from gradlab.numerics.scales import scales
from gradlab.point.evaluation import Evaluation
from gradlab.point.moves import EntryMoves, InputMoves, Moves, Outputs, chunks
from gradlab.point.outputs import split
from gradlab.point.pairs import as_pairs
from gradlab.point.raised import OUTSIDE
from gradlab.point.values import describe

__tracebackhide__ = is_deliberate

BATCH = 2**20  # numbers in the inputs and outputs of one call: 8 MiB
APART = (0.3, 1e-2, 1e-4)  # times the scale of each entry: between points that are compared
SAME = 1e-4  # relative: a function that computes a point beside others as by itself is far closer


class Batches:
    """Evaluates points by a function that takes every differentiated input with one more axis, the first.

    What it computes for a point does not depend on the others in a batch, but for rounding: before the first
    batch, points that are far from each other are evaluated in one, and each by itself. Where it raises,
    points are evaluated one after the other.

    Parameters
    ----------
    problem : Evaluation
        The point.
    batched : callable
        The function: it takes the inputs as ``forward`` does, and returns outputs with the same first axis.
    is_compared : bool
        Whether it compares itself.

    Raises
    ------
    UsageError
        When it returns anything else, or other numbers.
    """

    def __init__(
        self, problem: Evaluation, batched: Callable[..., Any], *, is_compared: bool = False
    ) -> None:
        self._problem, self._batched, self._compared = problem, batched, is_compared

    def __call__(self, moves: Moves) -> Iterator[Outputs]:
        """Yield the outputs at some points."""
        problem = self._problem
        entries = sum(problem.value(i).size for i in problem.wrt) + problem.form.size
        if not len(moves):  # as after Ctrl-C, which may have come while points were compared
            return
        if not self._compared:
            self._compared = self._compare()
        if not self._compared:
            yield problem.here(moves)
            return
        for which in chunks(len(moves), max(1, BATCH // entries)):
            yield self._evaluated(moves, which)

    def _evaluated(self, moves: Moves, which: Indices) -> Outputs:
        """Evaluate a batch; where that raises, each of its points by itself."""
        problem, some = self._problem, moves.some(which)
        inside = np.array([_is_inside(problem, some, k) for k in range(len(some))])
        rows = np.flatnonzero(inside)
        obstacles = dict.fromkeys(np.flatnonzero(~inside).tolist(), OUTSIDE)
        values = np.full((which.size, problem.form.size), np.nan)
        try:
            if rows.size:
                values[rows] = self._call(some.some(rows))
        except (MemoryError, UsageError):
            raise
        except (Exception, SystemExit):
            for row in rows.tolist():
                alone = problem.here(some.some(np.array([row])))
                values[row] = alone.values[0]
                if alone.obstacles:
                    obstacles[row] = alone.obstacles[0]
        if problem.left_out is not None:
            values[:, problem.left_out] = 0
        return Outputs(which, values, obstacles)

    def _call(self, moves: Moves) -> Array:
        problem, count = self._problem, len(moves)
        leaves = problem.arguments.fresh({}, wide=problem.wide)
        for i in problem.wrt:
            leaves[i] = problem.arguments.own(i, _stacked(problem, moves, i))
        positional, keyword = problem.arguments.passed(leaves)
        several, outputs, _ = split(self._batched(*positional, **keyword), cached=False)
        shapes = [(count, *shape) for shape in problem.form.shapes]
        if several != problem.form.several or [np.shape(output) for output in outputs] != shapes:
            found = " and ".join(describe(output) for output in outputs)
            expected = " and ".join(map(str, shapes))
            raise UsageError(
                f"forward, called with a batch of {count}, returned {found}; with vectorized=True expected "
                f"{expected}: the axis of the batch, then those of the output"
            )
        parts = [as_pairs(output).reshape(count, -1).astype(np.float64) for output in outputs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _compare(self) -> bool:
        """Refuse a function that mixes the points of a batch; return false where it raises.

        Points of differences are so close to each other that a mean over them would pass for each.
        """
        for share in APART:
            points = self._apart(share)
            try:
                together = self._call(points)
            except (MemoryError, UsageError):
                raise
            except (Exception, SystemExit):  # as where the other point is no longer in its domain
                continue
            apart = self._problem.here(points).values
            if self._problem.left_out is not None:
                together[:, self._problem.left_out] = 0
            scale = np.abs(apart).max(initial=0.0, where=np.isfinite(apart))
            if np.allclose(together, apart, rtol=0, atol=SAME * scale, equal_nan=True):
                return True
            raise UsageError(
                f"forward, called with a batch of {len(points)}, returned other numbers than for each point "
                "by itself; with vectorized=True the first axis of its inputs counts points, which have "
                "nothing to do with each other"
            )
        return False

    def _apart(self, share: float) -> InputMoves:
        """Return the point itself, then one on each side of it: neither ascending nor descending."""
        problem, constraints = self._problem, self._problem.constraints
        sides: list[dict[int, npt.NDArray[Any]]] = [{}, {}]
        for i in problem.wrt:
            x = problem.value(i)
            length = constraints.boxes[i].reach(x, scales(x)) if i in constraints.boxes else scales(x)
            d = constraints.direction(i, x, share * length)
            for side, sign in zip(sides, (1, -1), strict=True):
                side[i] = (x + sign * d).astype(x.dtype)
        return InputMoves(({}, *map(constraints.clipped, sides)))


def _stacked(problem: Evaluation, moves: Moves, i: int) -> npt.NDArray[Any]:
    """Return one input at all points, in real numbers, with their axis in front."""
    own = problem.value(i)
    if isinstance(moves, EntryMoves):
        x = moves.base.get(i, own)
        stacked = np.broadcast_to(x, (len(moves), *x.shape))
        mine = np.flatnonzero(moves.position == i)
        if mine.size:
            stacked = stacked.copy()
            stacked.reshape(len(moves), -1)[mine, moves.entries[mine]] = moves.values[mine]
    else:
        stacked = np.stack([point.get(i, own) for point in moves.points])
    if i in problem.fixed:
        stacked = np.where(problem.fixed[i], problem.arguments.value(i), stacked).astype(own.dtype)
    return stacked


def _is_inside(problem: Evaluation, moves: Moves, k: int) -> bool:
    """Whether one of the points is within the bounds; entries are moved only where they have room."""
    return isinstance(moves, EntryMoves) or problem.constraints.allow(moves.points[k])
