r"""Does a function change by leaps, or continuously: what noise is told from kinks by.

Between three equally spaced points a leap of height :math:`q` shows in the second difference,

.. math:: f(a) + f(b) - 2 f(m) ,

as :math:`\pm q` however close they are; a kink shows in proportion to their distance, and what is smooth to
its square. So the half that shows more is halved again and again: what is left of it at the end is noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TypeAlias

import numpy as np

Function: TypeAlias = Callable[[float], float]

INTERVALS = 8  # of one spacing that are looked at first
STARTS = 3  # of them, which show most, are halved
HALVINGS = 12
FOLLOWED = 2  # halves at a time: equal leaps in both halves of one cancel
SHRINKING = 4  # times by which a kink's trace shrinks at least, of 16, in the last four halvings


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
        0 where what is left still shrinks at the end; NaN where the function is not finite.

    Examples
    --------
    >>> leap(lambda t: max(t - 2e-6, 0.0), 1e-5)
    0.0
    >>> round(leap(lambda t: t + 1e-7 * (t > 2e-6), 1e-5), 12)
    1e-07
    """
    value, left = cache(at), []
    for start in _starts(value, spacing):
        *_, before, _, _, _, last = _descend(value, *start)
        left.append(0.0 if last < before / SHRINKING else last)
    return float(np.max(left))


def leaps_by(height: float, at: Function, spacing: float) -> bool:
    """Whether a function leaps by so much, or is not finite; with fewer calls than it takes to say how much.

    >>> leaps_by(5e-8, lambda t: t + 1e-7 * (t > 2e-6), 1e-5)
    True
    """
    value = cache(at)
    return any(_keeps(value, *start, height) for start in _starts(value, spacing))


def _keeps(value: Function, left: float, width: float, height: float) -> bool:
    """Whether, halving after halving, some of the halves bend by so much."""
    bent = [left] if not _bend(value, left, width) < height else []
    for _ in range(HALVINGS):
        halves = [(_bend(value, half, width / 2), half) for left in bent for half in (left, left + width)]
        bent = [half for bend, half in sorted(halves, reverse=True)[:FOLLOWED] if not bend < height]
        width /= 2
    return bool(bent)


def _starts(value: Function, spacing: float) -> list[tuple[float, float]]:
    """Return where those of the first triples begin between which the function bends most, and their widths.

    No two widths are the same: stairs that are as regular as one of them look straight to it.
    """
    triples = [(spacing * (k - INTERVALS / 2), spacing * (1 - k / (2 * INTERVALS))) for k in range(INTERVALS)]
    return sorted(triples, key=lambda triple: _bend(value, *triple), reverse=True)[:STARTS]


def _descend(value: Function, left: float, width: float) -> Iterator[float]:
    """Yield how much the function bends, in the half that bends more each time."""
    yield _bend(value, left, width)
    for _ in range(HALVINGS):
        width /= 2
        if _bend(value, left + 2 * width, width) > _bend(value, left, width):
            left += 2 * width
        yield _bend(value, left, width)


def _bend(value: Function, left: float, width: float) -> float:
    return abs(value(left) + value(left + 2 * width) - 2 * value(left + width))
