r"""Does a function change by leaps, or continuously: what noise is told from kinks by.

Between three equally spaced points a leap of height :math:`q` shows in the second difference,

.. math:: f(a) + f(b) - 2 f(m) ,

as :math:`\pm q` however close they are; a kink shows in proportion to their distance, and what is smooth to
its square. So the half that shows more is halved again and again: what is left of it at the end is noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

INTERVALS = 8  # that are looked at first
STARTS = 3  # of them that show most are followed: equal leaps in both halves cancel
HALVINGS = 12


def leap(at: Callable[[float], float], spacing: float, *, enough: float = np.inf) -> float:
    """Return the largest change that stays when the function is looked at ever closer.

    Parameters
    ----------
    at : callable
        The function along a line.
    spacing : float
        How far apart the first points are, on both sides of 0.
    enough : float
        A leap as large as this ends the search.

    Returns
    -------
    float
        NaN where the function is not finite.

    Examples
    --------
    >>> leap(lambda t: max(t - 2e-6, 0.0), 1e-5) < 1e-8
    True
    >>> round(leap(lambda t: t + 1e-7 * (t > 2e-6), 1e-5), 12)
    1e-07
    """
    value = cache(at)

    def bend(left: float, width: float) -> float:
        return abs(value(left) + value(left + 2 * width) - 2 * value(left + width))

    starts = [spacing * (k - INTERVALS / 2) for k in range(INTERVALS - 1)]
    largest = 0.0
    for start in sorted(starts, key=lambda left: bend(left, spacing), reverse=True)[:STARTS]:
        left, width = start, spacing
        for _ in range(HALVINGS):
            width /= 2
            if bend(left + 2 * width, width) > bend(left, width):
                left += 2 * width
        largest = float(np.maximum(largest, bend(left, width)))  # NaN if it is
        if largest >= enough:
            break
    return largest
