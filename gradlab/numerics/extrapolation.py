r"""Richardson extrapolation, fed one step at a time.

If :math:`D(h) = D(0) + c_1 h^{p_1} + c_2 h^{p_2} + \dots`, a ladder of steps :math:`h_k = h_0 \rho^k` removes
one power after the other:

.. math:: T_{k,0} = D(h_k), \qquad
          T_{k,j} = \frac{T_{k,j-1} - \rho^{p_j} T_{k-1,j-1}}{1 - \rho^{p_j}} .

Each :math:`T_{k,j}` carries two errors: truncation, estimated from how much the last extrapolation changed
it, and noise, which is carried through the table along with it. The entry with the smallest sum is taken,
for every component of :math:`D` by itself.

Source: C. J. F. Ridders, Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software
4 (1982) 75-76; the error bar by two corrections instead of one, and the carried noise, are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from gradlab.numerics import Array

RATIO = 1 / 4  # ρ: ratio 1/2 costs three more evaluations for the same accuracy
DOUBLE_EPS = float(np.finfo(np.float64).eps)  # the table itself is computed in float64


class Extrapolation:
    """One table of Richardson extrapolation.

    Parameters
    ----------
    powers : sequence of int, or of arrays of them
        ``p_1, p_2, …``, the powers of the step that are removed; of arrays, whose shape has to broadcast with
        that of the estimates, for some estimates in several ways.
    shape : tuple of int
        Of the results: each component is extrapolated by itself.

    Attributes
    ----------
    value, error_bar : Array
        The best so far; NaN and infinite before two steps in a row were added. What is not finite in an
        estimate is no estimate, and the table starts again after it.
    stale : Array
        How many steps ago the error bar last shrank.
    conflicts : Array
        How often a step contradicted the best so far. The smaller step wins: the larger
        one saw something else, such as a kink farther away.
    """

    def __init__(self, powers: Sequence[ArrayLike], shape: tuple[int, ...]) -> None:
        self._weights = [RATIO ** np.asarray(power, dtype=np.float64) for power in powers]
        self.value, self.error_bar = np.full(shape, np.nan), np.full(shape, np.inf)
        self.stale, self.conflicts = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
        self._previous: list[tuple[Array, Array]] = []  # the row above: each T[k-1][j] with its noise

    def add(self, estimate: Array, noise: Array) -> None:
        """Add ``D(h)`` at the next step, ``ρ`` times the last, and what it may be off by."""
        row = [(estimate, noise)]
        for weight, (coarse, coarse_noise) in zip(self._weights, self._previous, strict=False):
            fine, fine_noise = row[-1]
            row.append(
                (
                    (fine - weight * coarse) / (1 - weight),
                    (fine_noise + weight * coarse_noise) / (1 - weight),
                )
            )
        if self._previous:
            self._take(*self._best_of(row))
        self._previous = row

    def restart(self) -> None:
        """Go on as if the next step were the first; what was found stays."""
        self._previous = []

    def _best_of(self, row: list[tuple[Array, Array]]) -> tuple[Array, Array]:
        value, bar = row[0][0], np.full(self.value.shape, np.inf)
        for j, (estimate, noise) in enumerate(row):
            # The very first column has one neighbour only, the others two.
            correction = np.abs(estimate - self._previous[max(j - 1, 0)][0])
            if j:
                correction = np.maximum(correction, np.abs(estimate - row[j - 1][0]))
            total = correction + noise + 4 * DOUBLE_EPS * np.abs(estimate)
            value, bar = np.where(total < bar, estimate, value), np.fmin(total, bar)
        return value, bar

    def _take(self, value: Array, bar: Array) -> None:
        conflict = np.abs(value - self.value) > bar + self.error_bar  # never, as long as there is no value
        better = (bar < self.error_bar) | conflict
        self.value, self.error_bar = (
            np.where(better, value, self.value),
            np.where(better, bar, self.error_bar),
        )
        self.stale = np.where(better, 0, self.stale + np.isfinite(value))
        self.conflicts += conflict
