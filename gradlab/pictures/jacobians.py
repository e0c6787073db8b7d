"""The explicit Jacobian of a small point beside the one that is claimed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradlab.checks.directions import Directions, movable
from gradlab.checks.jacobian import columns_of
from gradlab.checks.tangent_claims import TangentClaims
from gradlab.numerics import Array
from gradlab.pictures.data import JacobianPair
from gradlab.pictures.known import Point
from gradlab.pictures.probes import grid_of
from gradlab.point.outputs import OutputForm
from gradlab.point.raised import RuleRaised
from gradlab.point.returned import read_gradients
from gradlab.report import Verdict

READABLE = 400  # entries, up to which a Jacobian can be read
SIDES = 24  # of its rows and columns
PARTS = (".real", ".imag")


def jacobian_pairs(point: Point, chosen: Sequence[int]) -> Iterator[JacobianPair]:
    """Yield the Jacobians of inputs that are small enough, of those that are wrong if one is."""
    problem, form = point.problem, point.problem.form
    if not 1 < form.size <= SIDES:
        return  # that of one output is its gradient
    results = [(i, point.result(i)) for i in chosen]
    wrong = [i for i, result in results if result is not None and result.verdict is Verdict.FAIL]
    for i in wrong or chosen[:1]:
        entries = movable(problem, i)
        if i in problem.constraints.projections or not 0 < entries.size <= SIDES:
            continue
        if form.size * entries.size > READABLE:
            continue
        directions = Directions.of(problem, {i: entries})
        claimed = _claimed_jacobian(point, i, directions)
        if claimed is None:
            continue
        numeric, bars = (part.T for part in columns_of(problem, directions))
        scale = np.fmax(np.abs(claimed), np.abs(numeric))
        yield JacobianPair(
            name=problem.names[i],
            role=point.role(i),
            numeric=numeric,
            error_bar=bars,
            claimed=claimed,
            wrong=~(np.abs(claimed - numeric) <= bars + point.rtol * scale + point.atol),
            outputs=tuple(_outputs(form)),
            entries=grid_of(problem, i).labels,
        )


def _outputs(form: OutputForm) -> Iterator[str]:
    """Name every entry of the outputs, of complex ones both parts."""
    for k, (shape, paired) in enumerate(zip(form.shapes, form.paired, strict=True)):
        for index in np.ndindex(shape):
            yield from (form.label(k, index) + part for part in (PARTS if paired else ("",)))


def _claimed_jacobian(point: Point, i: int, directions: Directions) -> Array | None:
    """Return the Jacobian that backward claims, row by row, or jvp, column by column."""
    problem = point.problem
    if point.role(i) == "jvp":
        columns, _ = TangentClaims(problem, None, problem.wrt).along(directions)
        return np.asarray((columns / directions.divisors[:, np.newaxis]).T)
    rows = []
    try:
        for unit in np.eye(problem.form.size):
            gradients, _ = read_gradients(problem, problem.call_backward(unit))
            if i not in gradients:
                return None
            rows.append(gradients[i].ravel()[directions.entries])
    except RuleRaised:
        return None
    return np.stack(rows)
