"""Scales of inputs that hold numbers of very different magnitudes: what forward does not see sets none.

The scale of an entry is no less than a tenth of the root mean square of all (`numerics.scales`). Where scores
are masked with -1e9, that is no length over which a softmax varies. So entries that are far below all larger
ones of their input are moved together. If forward is no parabola over the usual step on the scale of all, and
far more of one on the scale that they have by themselves, and moves with them about as far as with the larger
ones, or farther, they have the latter. Else they may be small by rounding alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gradlab.numerics import Array
from gradlab.numerics.rounding import rounding_of_values
from gradlab.numerics.scales import gaps, moved_by, random_direction, scales
from gradlab.numerics.step_sizes import usual_step
from gradlab.numerics.table import WHOLE
from gradlab.point.evaluation import Evaluation

# Of how far forward moves: half a millionth of what it moves by is what a central difference is off by then.
BENDS = 1e-5
LESS = 8  # times closer to a parabola
ABOUT = 1e-3  # times as far: what moves forward less could become too small to matter
CALLS = 9  # that one gap takes


def floors(point: Evaluation, i: int) -> Iterator[tuple[float, float]]:
    """Yield the scales of entries that are far smaller than others, where it is not that of all.

    Parameters
    ----------
    point : Evaluation
        With its output known; forward is called up to nine times for each gap between magnitudes.
    i : int
        The input.

    Yields
    ------
    below, floor : float
        Entries whose magnitude is below the first have the second as their scale, at least; from the largest
        on, so that what comes later counts.
    """
    x = point.value(i)
    scale, between = None, [*gaps(x), 0.0]
    for below, above in pairwise(between):
        magnitude = np.abs(x)
        scale = scales(x) if scale is None else scale
        these = (magnitude < below) & (magnitude >= above)
        floor = float(scales(x[these]).min())
        own = np.where(magnitude < below, np.maximum(magnitude, floor), scale)
        if point.calls_left < CALLS:
            return
        if (together := _Movement.of(point, i, scale * these)).bends <= BENDS:
            continue
        alone = _Movement.of(point, i, own * these)
        larger = _Movement.of(point, i, magnitude * (magnitude >= below))
        if LESS * alone.bends < together.bends and alone.far >= ABOUT * larger.far:
            yield below, floor
            scale = own


@dataclass(frozen=True)
class _Movement:
    """How far all outputs move over the usual step, and how far from a parabola they are: some are at a kink.

    Both are zero where that is within rounding, and what it bends by infinite where forward has no value.
    """

    far: float
    bent: float

    @classmethod
    def of(cls, point: Evaluation, i: int, lengths: Array) -> _Movement:
        x, step = point.value(i), usual_step(point.eps)
        d = random_direction(x, np.random.default_rng(0), lengths)
        plus, minus, half = (
            point.evaluate({i: moved_by(x, d, t)}) - point.output for t in (step, -step, step / 2)
        )
        parabola = (plus - minus) / 4 + (plus + minus) / 8  # at half the step
        rounding = WHOLE * rounding_of_values(point.output, point.eps)
        moved, apart = np.maximum(np.abs(plus), np.abs(minus)), np.abs(half - parabola)
        far, bent = (float(np.maximum(seen - rounding, 0.0).sum()) for seen in (moved, apart))
        return cls(far, bent) if np.isfinite(far + bent) else cls(0.0, np.inf)

    @property
    def bends(self) -> float:
        """How far from a parabola it is, relative to how far it moves; infinite where it does not."""
        return self.bent / self.far if self.far > 0 else np.inf
