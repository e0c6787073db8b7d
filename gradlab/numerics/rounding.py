"""What values are rounded by, as far as that is known without looking at others."""

from __future__ import annotations

import numpy as np

from gradlab.numerics import Array

SUBNORMAL = float(np.finfo(np.float64).smallest_subnormal)
# Power of eps: leaps of that part of an output, 5.5e-7, may be rounding. At 1/2, the slope of stairs of 3e-7
# was called wrong; at 1/3, that of 1e-5 · floor(x) was not known to be zero, as that of 1e-6 · floor(x) still
# is not.
ROUNDED = 2 / 5
CERTAINLY = 4  # times that of the largest output: of 1, 2.2e-6, for solvers stop at the sixth decimal
BESIDE_ONE = 5 / 12  # likewise: 3.0e-7, a few roundings of 1 to float32


def rounding_of_values(output: Array, eps: float) -> Array:
    """Return the rounding of a function's values: relative, but no less than that of subnormal numbers."""
    return np.asarray(eps * np.abs(output) + SUBNORMAL)


def rounding_beside_one(output: Array, eps: float) -> Array:
    """Return what outputs are rounded by if they are what is left of terms as large as 1.

    Of ``log(1 + exp(-50))`` that is nothing. Whether an output was computed so, its value does not show.
    """
    return np.asarray(eps * np.fmax(np.abs(output), 1.0))


def height_of_rounding(output: Array, eps: float) -> Array:
    """Return how high a leap of outputs may be for rounding: relative, but no less than of 1 to float32."""
    return np.asarray(np.fmax(eps**ROUNDED * np.abs(output), eps**BESIDE_ONE))
