"""What is wrong only in the dtype given: backward loses digits there, and is right in float64."""

from __future__ import annotations

import numpy as np

from gradlab.checks.criteria import NOTHING, Criteria
from gradlab.checks.rows import Rows
from gradlab.numerics import Array, Indices


def find_imprecise(criteria: Criteria, rows: Rows, wrong: Indices, error_bar: Array) -> None:
    """Mark which wrong rows are right in float64, and settle those that are too small to matter.

    Digits that are lost of a derivative that nobody sees beside others are no defect, nor is what forward is
    rounded by where that shows no derivative at all: a row that has to be found right is open, then.

    Parameters
    ----------
    criteria : Criteria
        Of the point.
    rows : Rows
        All of them.
    wrong : Indices
        Some that are wrong in the dtype given.
    error_bar : Array
        Shape ``(wrong, s)``: of ``value``, without the rounding of the claim.
    """
    problem = criteria.problem
    if not problem.wide or not wrong.size:
        return
    exact = rows.claims.in_float64_along(rows.directions.some(wrong))
    allowed = error_bar + criteria.tolerance(rows)[wrong] / 100
    imprecise = (np.abs(exact - rows.value[wrong]) <= allowed).all(axis=1)
    off = problem.given_eps * np.abs(problem.output) + problem.given_noise
    hidden = NOTHING * float((np.abs(problem.grad_output) * off).sum())
    nothing = np.abs(rows.value) <= rows.error_bar
    seen = ~nothing | (rows.gap > hidden)
    large = (rows.size > criteria.negligible) | rows.strict[:, np.newaxis]
    matters = (criteria.differs(rows) & seen & large)[wrong].any(axis=1)
    rows.imprecise[wrong] = imprecise
    rows.small[wrong] = imprecise & ~matters & ~rows.strict[wrong]
    rows.wrong[wrong] = ~imprecise | matters
