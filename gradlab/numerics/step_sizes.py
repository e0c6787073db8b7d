"""The steps of differences, as parts of the scale of the input: a single one, and those of ladders."""

from __future__ import annotations

import functools

import numpy as np

from gradlab.numerics.extrapolation import RATIO

# Of the scale. A ladder begins below it, at 1/8: its steps, each a quarter of the one before, have to end at
# the usual one.
LARGEST_STEP = 1 / 4
SMALLEST_STEP = 2.0**-35
LONG_STEPS = (8.0, 2.0, 0.5)  # above a ladder, for what is too small beside the outputs to be seen below


@functools.cache
def usual_step(eps: float) -> float:
    """Return the step of a single central difference, relative to the scale of the input.

    Truncation, ``h²/6`` times the third derivative, is then well below what can be asked for, and rounding,
    ``eps / h``, as far below as possible: 2⁻¹³ in float64, 2⁻⁷ in float32.

    >>> usual_step(2.0**-52) == 2.0**-13, usual_step(2.0**-23) == 2.0**-7
    (True, True)
    """
    ideal = np.log2(np.sqrt(max(1e-7, np.sqrt(eps))) / 5) + 1
    return float(2.0 ** (2 * round((ideal - 1) / 2) + 1))  # odd powers of two, so that ladders contain it


@functools.cache
def coarse_steps(eps: float) -> tuple[float, ...]:
    """Return the steps of a ladder down to the usual one, which is the last.

    >>> [float(np.log2(h)) for h in coarse_steps(2.0**-52)]
    [-3.0, -5.0, -7.0, -9.0, -11.0, -13.0]
    """
    steps = [usual_step(eps)]
    while steps[0] / RATIO < LARGEST_STEP:
        steps.insert(0, steps[0] / RATIO)
    return tuple(steps)


def fine_steps(eps: float) -> list[float]:
    """Return the steps of a ladder below the usual one, down to a few roundings of the inputs."""
    steps, least = [], max(SMALLEST_STEP, 4 * eps)
    step = usual_step(eps) * RATIO
    while step >= least:
        steps.append(step)
        step *= RATIO
    return steps
