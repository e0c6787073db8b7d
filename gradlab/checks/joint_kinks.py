"""Directions in which entries at kinks move together: what each of them by itself does not show."""

from __future__ import annotations

import numpy as np

from gradlab.checks.rows import Rows
from gradlab.numerics import Array
from gradlab.point.problem import Problem


class JointKinks:
    """The entries at kinks, and three directions in them.

    ``towards`` leads to the side of each kink whose slope backward gives. ``across`` moves each entry by its
    scale in the direction in which backward's slope deviates from the middle of both sides: two equal entries
    of a maximum, each given the full gradient, agree with one side each, and only moved together show twice
    the slope that there is. ``together`` moves entries of equal value by the same amount, so that those tied
    stay tied: whatever share of the gradient each of them gets, the sum is known.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.towards: dict[int, Array] = {}
        self.across: dict[int, Array] = {}
        self._steps: dict[tuple[int, int], float] = {}

    @property
    def together(self) -> dict[int, Array]:
        """The third direction; its step suits the entry that varies on the shortest length."""
        rng = np.random.default_rng(0)
        step = float(np.exp2(np.floor(np.log2(min(self._steps.values())))))
        amounts: dict[float, float] = {}
        direction = {i: np.zeros_like(d) for i, d in self.across.items()}
        for i, j in self._steps:
            value = float(self.problem.value(i).flat[j])
            if value not in amounts:
                amounts[value] = step * rng.choice([-1.0, 1.0]) * rng.uniform(1, 2)
            direction[i].flat[j] = amounts[value]
        return direction

    def add(self, rows: Rows) -> None:
        """Note the entries at which two sides were found."""
        for row in np.flatnonzero(rows.kinked[: rows.directions.singles]).tolist():
            i, j = int(rows.directions.position[row]), int(rows.directions.entries[row])
            step = float(rows.directions.length[row])
            for directions in (self.towards, self.across):
                directions.setdefault(i, np.zeros(self.problem.value(i).shape))
            gradient, middle, half = rows.claim[row].sum(), rows.middle[row].sum(), rows.swing[row].sum() / 2
            # Of a gradient in the middle, the same side for all entries.
            nearer_highest = abs(gradient - middle - half) <= 1.001 * abs(gradient - middle + half)
            self.towards[i].flat[j] = step if nearer_highest == rows.rises[row] else -step
            self.across[i].flat[j] = step * np.sign(gradient - middle)
            self._steps[i, j] = step
