"""Whether what scatters at close places is noise, or something continuous that is very steep.

Halved again and again where it bends most, the latter becomes straight, and noise does not.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from gradlab.numerics import Array
from gradlab.numerics.places import GOLDEN, IRREGULAR, PER_SIDE, SPACING, At

# Halvings of the spacing: at √x, which shrinks slowest of what is continuous, a thousandth is left.
HALVINGS = 20
HEIGHT = 0.05  # of three standard deviations: what is left of a leap
STARTS, FOLLOWED = 3, 2  # places at a time: equal leaps in both halves of one cancel
SURE = 3  # halvings: in one of them, noise happens to bend less
LATER, SHRUNK = 15, 0.2  # halvings, in which noise does not shrink to a fifth, and a cube root to less
SPOILT, OUTLYING = 3, 32  # bends, by one break alone, if they are so many times the next
POLE = 32  # times steeper than it looked: no leap, but an infinite value beside the point


def smooth_within(at: At, output: Array, height: Array) -> float:
    """Return within what length outputs do not scatter by about so much, looked at where they bend most.

    All outputs are looked at together, each in units of its own height; where that is infinite, it is left
    out. Zero if they leap within any length, and where no more may be asked for.
    """
    centre = np.where(np.isfinite(height), output, 0.0)
    # From a half to one and a half, no two alike: what one output does, and another less, does not cancel.
    weights = 0.5 + (0.5 + GOLDEN * np.arange(output.size)) % 1.0

    @cache
    def value(t: float) -> float:
        seen = at(t)
        return np.nan if seen is None else float(np.nansum(weights * ((seen - centre) / height)))

    def bend(left: float, width: float) -> float:
        return value(left) + value(left + 2 * width) - 2 * value(left + width)

    starts = [(k * step, step) for step in (SPACING, -IRREGULAR * SPACING) for k in range(PER_SIDE - 1)]
    whole = {start: bend(*start) for start in starts}
    ranked = sorted(starts, key=lambda start: -abs(whole[start]))
    straight = OUTLYING * abs(whole[ranked[SPOILT]])
    places = [start for start in ranked if not abs(whole[start]) > straight][:STARTS]
    most, bends = max(1.0, *(abs(whole[start]) for start in places)), list[float]()
    for _ in range(HALVINGS):
        parts = {(left, w / 2): whole[start, w] / 4 for start, w in places for left in (start, start + w)}
        whole = {half: bend(*half) for half in parts}
        if any(map(np.isnan, whole.values())):
            return 0.0
        # Of what is smooth, each half bends by a quarter of the whole.
        beyond = {half: abs(whole[half] - smooth) for half, smooth in parts.items()}
        places = sorted(beyond, key=lambda half: -beyond[half])[:FOLLOWED]
        bends.append(beyond[places[0]])
        last = bends[-SURE:]
        width = min(abs(w) for _, w in parts)
        if len(last) == SURE and (max(last) <= HEIGHT or min(last) > POLE * most):
            return width
    # Of many outputs, ever fewer leap as places become narrower: noise adds up like a root of their number.
    leaps = max(last) * math.sqrt(np.isfinite(height).sum()) >= SHRUNK * max(bends[-LATER:][:SURE])
    return 0.0 if leaps else width
