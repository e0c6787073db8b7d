"""Bounds in the forms of SciPy's functions: `Bounds`, a pair of arrays, or a pair for each unknown.

Between the last two nothing tells at two unknowns, so that each function takes what its model takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.values import describe

__tracebackhide__ = is_deliberate


def unbounded(bounds: Any) -> bool:
    """Whether these are the bounds that `least_squares` has by default."""
    return (
        isinstance(bounds, tuple)
        and len(bounds) == 2
        and all(np.ndim(b) == 0 and np.isinf(b) for b in bounds)
    )


def pairs(bounds: Any, n: int) -> tuple[Array, Array]:
    """Return lower and upper bounds from what `minimize` takes: one pair for each unknown, or `Bounds`."""
    if bounds is None or hasattr(bounds, "lb"):
        return sides(bounds, n)
    given = list(bounds)
    if len(given) != n or any(np.size(pair) != 2 for pair in given):
        raise UsageError(
            f"bounds is {describe(bounds)}; expected a pair (low, high) for each of {n} unknowns, or Bounds"
        )
    return sides(tuple(zip(*given, strict=True)), n)


def sides(bounds: Any, n: int) -> tuple[Array, Array]:
    """Return lower and upper bounds from what `least_squares` takes: a pair of arrays, or `Bounds`."""
    if bounds is None:
        bounds = (-np.inf, np.inf)
    both = (bounds.lb, bounds.ub) if hasattr(bounds, "lb") else tuple(bounds)
    if len(both) != 2:
        raise UsageError(f"bounds is {describe(bounds)}; expected a pair of arrays (lower, upper), or Bounds")
    found = []
    for side, nothing in zip(both, (-np.inf, np.inf), strict=True):
        values = [
            nothing if value is None else value for value in np.atleast_1d(np.asarray(side, dtype=object))
        ]
        try:
            found.append(np.broadcast_to(np.array(values, dtype=np.float64), (n,)))
        except (TypeError, ValueError):
            raise UsageError(
                f"bounds is {describe(bounds)}; expected numbers for each of {n} unknowns"
            ) from None
    return found[0], found[1]
