r"""Does a function change by leaps, or continuously: what noise is told from kinks by.

Between three equally spaced points a leap of height :math:`q` shows in the second difference,

.. math:: f(a) + f(b) - 2 f(m) ,

as :math:`\pm q` however close they are; a kink shows in proportion to their distance, and what is smooth to
its square. So the half that shows more is halved again and again: what is left of it at the end is noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np

Function: TypeAlias = Callable[[float], float]

INTERVALS = 8  # that are looked at first
STARTS = 3  # of them that show most are followed: equal leaps in both halves cancel
HALVINGS = 12


def leap(at: Function, spacing: float) -> float:
    """Return the largest change that stays when the function is looked at ever closer.

    Parameters
    ----------
    at : callable
        The function along a line.
    spacing : float
        How far apart the first points are, on both sides of 0.

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
    return float(np.max([_descend(value, start, spacing) for start in _starts(value, spacing)]))


def leaps_by(height: float, at: Function, spacing: float) -> bool:
    """Whether a function leaps by so much, or is not finite; with fewer calls than it takes to say how much.

    >>> leaps_by(5e-8, lambda t: t + 1e-7 * (t > 2e-6), 1e-5)
    True
    """
    value = cache(at)
    return any(not _descend(value, start, spacing, height) < height for start in _starts(value, spacing))


def _starts(value: Function, spacing: float) -> list[float]:
    """Return where those of the first points begin between which the function bends most."""
    starts = [spacing * (k - INTERVALS / 2) for k in range(INTERVALS - 1)]
    return sorted(starts, key=lambda left: _bend(value, left, spacing), reverse=True)[:STARTS]


def _descend(value: Function, left: float, width: float, least: float = 0.0) -> float:
    """Return what is left of a bend after halving, or after less of it is left than asked for."""
    for _ in range(HALVINGS):
        if _bend(value, left, width) < least:
            break
        width /= 2
        if _bend(value, left + 2 * width, width) > _bend(value, left, width):
            left += 2 * width
    return _bend(value, left, width)


def _bend(value: Function, left: float, width: float) -> float:
    return abs(value(left) + value(left + 2 * width) - 2 * value(left + width))
