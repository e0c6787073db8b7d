"""What a Jacobian claims of some outputs, or of sums of them, as the judge takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gradlab.checks.directions import ByInput, Directions
from gradlab.numerics import Array
from gradlab.point.problem import Problem

Product = Callable[[Array], Array]  # J d, of vectors


def vector(direction: ByInput) -> Array:
    """Return a direction in one input as a vector."""
    (d,) = direction.values()
    return np.asarray(d, dtype=np.float64).ravel()


@dataclass(frozen=True, eq=False)
class JacobianClaims:
    """``⟨u, J d⟩`` along directions ``d``; by how much that is rounded, the matrix does not tell.

    Attributes
    ----------
    problem : Problem
        The point, with one input.
    product : callable
        ``product(d) -> J d``.
    upstreams : Array
        Shape ``(s, m)``: with what the outputs are contracted.
    """

    problem: Problem
    product: Product
    upstreams: Array

    def along(self, directions: Directions) -> tuple[Array, Array]:
        """Return what is claimed along each direction, and how large the terms of that are: ``(r, s)``."""
        along = (directions.by_input(self.problem, row) for row in range(directions.count))
        products = np.stack([np.asarray(self.product(vector(d)), np.float64).ravel() for d in along])
        claim = products @ self.upstreams.T
        return claim, np.sqrt(np.square(products) @ np.square(self.upstreams.T))

    def errors_along(self, directions: Directions) -> tuple[Array, Array]:
        """Return none."""
        none = np.zeros((directions.count, len(self.upstreams)))
        return none, none

    def in_float64_along(self, directions: Directions) -> Array:
        """Return NaN: there is but this matrix."""
        return np.full((directions.count, len(self.upstreams)), np.nan)
