"""Some outputs along some directions: each step is evaluated once, and only these outputs are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from gradlab.checks.directions import Directions
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.extrapolation import RATIO
from gradlab.numerics.ladder import differentiate
from gradlab.numerics.step_sizes import usual_step
from gradlab.numerics.table import Table, without_leading_term
from gradlab.point.problem import Problem

BLOCK = 4096  # numbers of a table at a time: a ladder holds some eighty arrays of that size

Enough = Callable[[slice, Array, Array], Mask]  # of a block: whether a value and its error bar are


class Watched:
    """What ``k`` outputs do along ``r`` directions.

    Parameters
    ----------
    problem : Problem
        The point.
    directions : Directions
        The directions.
    outputs : Indices
        Shape ``(k,)``: the outputs.
    """

    def __init__(self, problem: Problem, directions: Directions, outputs: Indices) -> None:
        self.problem, self.directions, self.outputs = problem, directions, outputs
        self._evaluate = directions.evaluator(problem)
        self._steps: dict[float, tuple[Mask, Array, Array]] = {}

    def narrowed(self, rows: Indices, columns: Indices) -> Watched:
        """Return some of the directions and some of the outputs, with all that is known of them."""
        found = Watched(self.problem, self.directions.some(rows), self.outputs[columns])
        for step, (known, up, down) in self._steps.items():
            both = np.ix_(rows, columns)
            found._steps[step] = known[rows], up[both], down[both]
        return found

    def forget_ladder(self) -> None:
        """Keep no more of what was evaluated than `two_differences` needs."""
        usual = usual_step(self.problem.eps)
        self._steps = {step: self._steps[step] for step in (usual, usual / RATIO) if step in self._steps}

    def blocks(self) -> Iterator[slice]:
        """Yield parts of the outputs that are small enough to calculate with."""
        size = max(1, BLOCK // max(1, self.directions.count))
        for start in range(0, self.outputs.size, size):
            yield slice(start, start + size)

    def table(self, part: slice, noise: Array | None = None) -> Table:
        """Return a table of a block of the outputs; ``noise``, shape ``(k,)``, is what they may be off by."""

        def evaluate(rows: Indices, step: float) -> Iterator[tuple[Indices, Array, Array]]:
            up, down = self.sides(rows, step)
            yield rows, up[rows, part], down[rows, part]

        output, noise = self.problem.output[self.outputs[part]], None if noise is None else noise[part]
        return Table(self.directions.count, evaluate, None, output, self.problem.eps, noise=noise)

    def differentiated(
        self, noise: Array, *, rtol: float, enough: Enough | None = None
    ) -> tuple[Array, Array, Array]:
        """Return derivatives, error bars and kinks as `differentiate` does, each of shape ``(r, k)``.

        Parameters
        ----------
        noise : Array
            Shape ``(k,)``: what each output may be off by.
        rtol : float
            The error bar that is narrow enough, relative to what an output does nearby.
        enough : callable, optional
            ``enough(block, value, error_bar)``: what else is good enough, of a block of the outputs.
        """
        found = np.empty((3, self.directions.count, self.outputs.size))
        for part in self.blocks():
            accept = None if enough is None else _of(enough, part)
            found[:, :, part] = differentiate(self.table(part, noise), rtol=rtol, enough=accept)
        value, bar, half_jump = found
        return value, bar, half_jump

    def two_differences(self) -> Array:
        """Return central differences without the leading term of truncation, shape ``(r, k)``."""
        rows, usual = np.arange(self.directions.count), usual_step(self.problem.eps)
        return without_leading_term(
            *(
                (up - down) / (2 * step)
                for step in (usual, usual / RATIO)
                for up, down in [self.sides(rows, step)]
            )
        )

    def sides(self, rows: Indices, step: float) -> tuple[Array, Array]:
        """Return the changes of the outputs on both sides, of all rows, evaluated along some at least."""
        if step not in self._steps:
            shape = self.directions.count, self.outputs.size
            unknown = np.zeros(self.directions.count, dtype=bool)
            self._steps[step] = unknown, np.full(shape, np.nan), np.full(shape, np.nan)
        known, up, down = self._steps[step]
        for block, plus, minus in self._evaluate(rows[~known[rows]], step):
            up[block], down[block], known[block] = plus[:, self.outputs], minus[:, self.outputs], True
        return up, down


def _of(enough: Enough, part: slice) -> Callable[[Array, Array], Mask]:
    return lambda value, bar: enough(part, value, bar)
