"""What is known of a point while its pictures are taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradlab.checks.claimed import Claimed
from gradlab.checks.directions import Directions
from gradlab.numerics import Array
from gradlab.numerics.table import Table
from gradlab.point.problem import Problem
from gradlab.report import InputResult, Report


@dataclass(frozen=True, eq=False)
class Point:
    """A point, the report on it, and what is claimed of it.

    Attributes
    ----------
    problem : Problem
        The point.
    report : Report
        What the check found.
    rtol, atol : float
        Its tolerances.
    claims : dict of str to Claims or TangentClaims
        What backward and jvp claim, by role.
    witness : dict of int to Array
        The gradients of a reference, where there is one.
    """

    problem: Problem
    report: Report
    rtol: float
    atol: float
    claims: dict[str, Claimed]
    witness: dict[int, Array]

    def result(self, i: int) -> InputResult | None:
        """Return what the report says of an input."""
        return next((r for r in self.report.inputs if r.name == self.problem.names[i]), None)

    def role(self, i: int) -> str:
        """Return whose claim is drawn of an input: the one that the report tells of."""
        result = self.result(i)
        role = result.worst.role if result is not None and result.worst is not None else ""
        return role if role in self.claims else next(iter(self.claims))


def table_of(point: Point, directions: Directions) -> Table:
    """Return an empty table of directions, contracted with the upstream gradient."""
    problem = point.problem
    return directions.table(problem, problem.grad_output[np.newaxis], noise=problem.noise)
