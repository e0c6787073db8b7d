"""Where along a line through the point values are looked at, to see what they may be off by."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gradlab.numerics import Array

# The spacing is 64 roundings of float32, relative to the input's scale: a function that computes in float32
# shows its steps, and what is smooth leaves a fourth power of it, 3e-21. (A third would be two roundings of
# float64, and a hundred where each entry moves by twice its scale, and a third derivative is ten.)
SPACING = 64 * float(np.finfo(np.float32).eps)
PER_SIDE = 8  # points
IRREGULAR = 0.73  # of the spacing, on the other side
# From afar: up to eight times the scale, where an input that is nothing beside 1e16 has changed it.
AFAR = (0.11, -0.13, 0.9, -1.1, 4.3, -3.7, 8.9, -9.7)
# Where some entries and outputs come near zero: of narrow numbers, these have the finest digits.
BETWEEN = (
    0.23,
    -0.29,
    0.37,
    -0.41,
    *np.outer((0.53, 0.59, 0.66, 0.73, 0.81, 0.93), (1, -1)).ravel().tolist(),
)

GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it lie as evenly between whole numbers as any can

At = Callable[[float], "Array | None"]  # the outputs at a distance; None where no more may be asked for


def close_places(spacing: float = SPACING) -> list[list[float]]:
    """Return where along a line noise is looked for, on each side of the point."""
    return [[k * step for k in range(1, PER_SIDE + 1)] for step in (spacing, -IRREGULAR * spacing)]
