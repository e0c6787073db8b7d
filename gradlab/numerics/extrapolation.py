r"""Richardson extrapolation, fed one step at a time.

If :math:`D(h) = D(0) + c_1 h^{p_1} + c_2 h^{p_2} + \dots`, a ladder of steps :math:`h_k = h_0 \rho^k` removes
one power after the other:

.. math:: T_{k,0} = D(h_k), \qquad
          T_{k,j} = \frac{T_{k,j-1} - \rho^{p_j} T_{k-1,j-1}}{1 - \rho^{p_j}} .

Each :math:`T_{k,j}` carries two errors: truncation, estimated from how far it is from the coarser of the two
estimates that it is made of, and noise, which is carried through the table along with it. The entry with the
smallest sum is taken, for every component of :math:`D` by itself.

Where the leading power is not known, as of :math:`x^{3/2}` at the edge of its domain, three steps in a row
give it (Aitken's :math:`\Delta^2`): with :math:`q = (D_k - D_{k-1}) / (D_{k-1} - D_{k-2})`, which is
:math:`\rho^p`,

.. math:: T_k = D_k + (D_k - D_{k-1}) \frac{q}{1 - q} .

Source: C. J. F. Ridders, Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software
4 (1982) 75-76; the carried noise is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from gradlab.numerics import Array

RATIO = 1 / 4  # ρ, of successive steps: 1/2 costs three more evaluations for the same accuracy
AITKEN = 3  # estimates that a power is read from
# q: that of a step itself is 1/4; above the first, the power is another; above the second, there is no limit.
SLOW, SLOWEST = 0.4, 0.95
RESOLVED = 4  # times its noise: a difference of two estimates that tells q
# Two of the largest steps may agree by chance, as of 103 outputs of 20,000 at their bounds, and contradict
# the next: that is forgotten after so many steps that agree to this part of it.
AGREED, FORGIVEN = 2, 0.01
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
        one saw something else, such as a kink farther away. That is forgotten once smaller steps have agreed
        far more closely; without a limit, they never do.
    """

    def __init__(self, powers: Sequence[ArrayLike], shape: tuple[int, ...]) -> None:
        self._weights = [RATIO ** np.asarray(power, dtype=np.float64) for power in powers]
        self.value, self.error_bar = np.full(shape, np.nan), np.full(shape, np.inf)
        self.stale, self.conflicts = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
        self._agreed, self._gap = np.zeros(shape, dtype=int), np.zeros(shape)
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
            # The finer one is nearer, by the weight.
            correction = np.abs(estimate - self._previous[max(j - 1, 0)][0])
            total = correction + noise + 4 * DOUBLE_EPS * np.abs(estimate)
            value, bar = np.where(total < bar, estimate, value), np.fmin(total, bar)
        return value, bar

    def _take(self, value: Array, bar: Array) -> None:
        gap = np.abs(value - self.value)
        conflict = gap > bar + self.error_bar  # never, as long as there is no value
        better = (bar < self.error_bar) | conflict
        self.value, self.error_bar = (
            np.where(better, value, self.value),
            np.where(better, bar, self.error_bar),
        )
        self.stale = np.where(better, 0, self.stale + np.isfinite(value))
        self._gap = np.where(conflict, gap, self._gap)
        agrees = ~conflict & (bar <= FORGIVEN * self._gap)
        self._agreed = np.where(conflict, 0, self._agreed + agrees)
        self.conflicts = np.where(self._agreed >= AGREED, 0, self.conflicts + conflict)


class OneSided:
    """One table for differences of one side alone, where the leading power of the step need not be whole.

    As long as successive estimates come closer as fast as the step itself, whole powers are removed; where
    they do not, as of :math:`x^{3/2}` at the edge of its domain, that of Aitken is.

    Parameters
    ----------
    shape : tuple of int
        Of the estimates.

    Attributes
    ----------
    value, error_bar, stale, conflicts : Array
        As of an `Extrapolation`.

    Examples
    --------
    >>> table = OneSided((1,))
    >>> for h in RATIO ** np.arange(8.0):
    ...     table.add(np.array([3 + h**0.3]), np.zeros(1))
    >>> table.value.round(12), bool(table.error_bar[0] < 1e-12)
    (array([3.]), True)
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._whole, self._any = Extrapolation((1, 2, 3, 4, 5), shape), _Aitken(shape)
        self._choose()

    def add(self, estimate: Array, noise: Array) -> None:
        """Add ``D(h)`` at the next step, ``ρ`` times the last, and what it may be off by."""
        self._whole.add(estimate, noise)
        self._any.add(estimate, noise)
        self._choose()

    def restart(self) -> None:
        """Go on as if the next step were the first; what was found stays."""
        self._whole.restart()
        self._any.restart()

    def _choose(self) -> None:
        slow = self._any.slow
        self.value, self.error_bar, self.stale, self.conflicts = (
            np.where(slow, getattr(self._any, name), getattr(self._whole, name))
            for name in ("value", "error_bar", "stale", "conflicts")
        )


class _Aitken(Extrapolation):
    """One table of Aitken extrapolation.

    Attributes
    ----------
    slow : array of bool
        Where estimates last came closer more slowly than the step, by more than noise.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__((), shape)
        self.slow = np.zeros(shape, dtype=bool)
        self._estimates: list[tuple[Array, Array]] = []
        self._before = np.full(shape, np.nan)

    def add(self, estimate: Array, noise: Array) -> None:
        self._estimates = [*self._estimates[-2:], (estimate, noise)]
        if len(self._estimates) < AITKEN:
            return
        (first, first_noise), (second, second_noise), _ = self._estimates
        before, now = second - first, estimate - second
        with np.errstate(divide="ignore", invalid="ignore"):
            q = now / before
            resolved = np.abs(now) > RESOLVED * (noise + second_noise)
            resolved &= np.abs(before) > RESOLVED * (second_noise + first_noise)
            self.slow = np.where(resolved, q > SLOW, self.slow)
            q = np.where((q < SLOWEST) & (q > 0), q, np.nan)
            value = estimate + now * q / (1 - q)
            # By how much the value moves with an error of any of the three; and what is left of a sequence
            # whose steps shrink as these do.
            amplified = (noise + second_noise + first_noise) / (1 - q) ** 2
            total = np.abs(value - self._before) / (1 - q) + amplified + 4 * DOUBLE_EPS * np.abs(value)
        self._take(value, np.where(np.isfinite(total), total, np.inf))
        self._before = value

    def restart(self) -> None:
        self._estimates, self._before = [], np.full_like(self._before, np.nan)
