"""The point at which a derivative is checked, as SciPy's functions take it: real numbers along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.values import describe

__tracebackhide__ = is_deliberate


def read_point(x0: Any, *, flattened: bool = False) -> Array:
    """Return a copy of a point as an array of shape ``(n,)``; one of more axes only if it is to be flattened.

    Raises
    ------
    UsageError
        When a solver would refuse it, or make something else of it.

    Examples
    --------
    >>> read_point([1, 2]), read_point(3), read_point([[1], [2]], flattened=True)
    (array([1., 2.]), array([3.]), array([1., 2.]))
    """
    try:
        given = np.ravel(x0) if flattened else np.atleast_1d(np.asarray(x0))
        if given.ndim == 1 and given.dtype.kind not in "cSU":
            return given.astype(np.float64)
    except (TypeError, ValueError):  # a ragged list, or an object that is no number
        pass
    raise UsageError(f"x0 is {describe(x0)}; expected real numbers along one axis")
