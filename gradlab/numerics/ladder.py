"""A ladder: some rows of a table, from long steps to short ones, extrapolated to a step of zero."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array, Indices
from gradlab.numerics.extrapolation import RATIO, Extrapolation, OneSided
from gradlab.numerics.step_sizes import coarse_steps, fine_steps, usual_step
from gradlab.numerics.table import Table

STEEPER = 1.25  # towards an infinite slope, secants grow by 1.4 a step at |x|^¾, by 2 at √x
STEADY = 0.9  # of what they grew by at the step before: at |x|^1.1 that is 0.87, at x log |x| all of it
VISIBLE = 1e-4  # of a slope: half a jump between the slopes of both sides that is called a kink
# Times: of many error bars the narrowest is taken. Without this, 7 of 1,500 derivatives were outside; now 0.
SPARE = 3
MUCH = 0.1  # of an error bar: a narrower one is no chance, of two ways to extrapolate the same
PATIENCE = 2  # steps without gain, after which noise has taken over
# Of the steps in a central difference, and in one of a function whose second derivative jumps, as of a ReLU
# squared: the n-th column removes these.
POWERS = tuple(np.array(both).reshape(2, 1, 1) for both in ((2, 1), (4, 2), (6, 3)))


class Ladder:
    """Richardson extrapolation of some rows of a table, from long steps to short ones.

    Parameters
    ----------
    table : Table
        Where the differences are.
    rows : Indices
        Which rows.

    Attributes
    ----------
    value, error_bar : Array
        The derivatives along the rows, and what they may be off by; NaN and infinite where nothing is known.
    """

    def __init__(self, table: Table, rows: Indices) -> None:
        self.table, self.rows = table, rows
        shape = (rows.size, table.parts)
        self.value, self.error_bar = np.full(shape, np.nan), np.full(shape, np.inf)
        self._central = Extrapolation(POWERS, (2, *shape))
        self._right, self._left = (OneSided(shape) for _ in range(2))
        self._half_jumps: list[tuple[Array, Array]] = []  # between the slopes of both sides, and their noise
        # The differences at the last three steps.
        self._earlier = self._before = self._finest = np.full(shape, np.nan)
        self._last = np.full(shape, np.inf)  # what that is off by, at least

    def add(
        self, step: float, which: npt.NDArray[np.bool_] | None = None, *, note_still: bool = False
    ) -> None:
        """Go down to a step, along all rows or some of them."""
        rows = self.rows if which is None else self.rows[which]
        self.table.take(rows, step, note_still=note_still)
        sides = self.table.steps[step]
        up, down = sides.up[self.rows] / step, -sides.down[self.rows] / step
        noise = self.table.rounding(step)[self.rows]
        if which is not None:
            up[~which] = down[~which] = np.nan
        middle = (up + down) / 2
        self._central.add(middle, noise)
        self._half_jumps.append(((up - down) / 2, noise))
        one_sided = np.isnan(up) != np.isnan(down)
        for side, table in ((up, self._right), (down, self._left)):
            if one_sided.any():
                table.add(np.where(one_sided, side, np.nan), 2 * noise)
            else:
                table.restart()
        finest = np.where(one_sided, np.fmax(up, down), middle)
        known = np.isfinite(finest)
        self._last = np.where(known, noise, self._last)
        self._earlier = np.where(known, self._before, self._earlier)
        self._before = np.where(known, self._finest, self._before)
        self._finest = np.where(known, finest, self._finest)
        self.value, self.error_bar = self._best()

    def gains_at(self, step: float) -> npt.NDArray[np.bool_]:
        """Along which rows a step may narrow an error bar: its rounding is no more than that already."""
        return np.asarray((self.table.rounding(step)[self.rows] <= self.error_bar).any(axis=1))

    @property
    def exhausted(self) -> npt.NDArray[np.bool_]:
        """Along which rows shorter steps only add noise, shape ``(r,)``."""
        one_sided = np.fmax(self._right.stale, self._left.stale)
        stale = np.where(np.isfinite(self._central.error_bar[0]), self._central.stale[0], one_sided)
        return np.asarray(((stale >= PATIENCE) & (self._last >= self.error_bar)).all(axis=1))

    @property
    def grows(self) -> npt.NDArray[np.bool_]:
        """Where differences still grow at the shortest steps, by more than rounding: towards no known end.

        By a part of themselves, or by as much at each step, as a logarithm does. Or the part that is the same
        on both sides, as beside a pole that is closer than the shortest step.
        """
        central = np.abs(self._finest) > STEEPER * np.abs(self._before) + self._last
        drift, before = self._finest - self._before, self._before - self._earlier
        central |= (drift * before > 0) & (np.abs(drift) > STEADY * np.abs(before) + 2 * self._last)
        if len(self._half_jumps) < PATIENCE:
            return np.asarray(central)
        (before, _), (finest, off) = self._half_jumps[-2:]
        return np.asarray(central | (np.abs(finest) > STEEPER * np.abs(before) + off))

    @property
    def half_jump(self) -> Array:
        """By how much the slopes of both sides differ from the value, where they certainly do; else zero."""
        table = Extrapolation((1, 3, 5), self.value.shape)
        for half_jump, noise in self._half_jumps:
            table.add(half_jump, noise)
        size, bar = np.abs(table.value), table.error_bar
        visible = VISIBLE * (np.abs(self._central.value[0]) + size)
        return np.where(size > np.maximum(bar, visible), size + bar, 0.0)

    def _best(self) -> tuple[Array, Array]:
        """Return the derivatives along the rows, and what they may be off by.

        Where a function has values on one side only, they are the derivatives of that side.
        """
        (value, rough), (bar, rough_bar) = self._central.value, self._central.error_bar
        # Odd powers of the step stand for a second derivative that jumps at the point. It may jump beside it,
        # within the shortest step, and what that shows is then as right.
        rough_bar = rough_bar + np.abs(rough - np.nan_to_num(self._finest, nan=np.inf))
        better = (rough_bar < MUCH * bar) & (np.abs(rough - value) <= bar)
        value, bar = np.where(better, rough, value), np.where(better, rough_bar, bar)
        for table in (self._right, self._left):
            # Only where both sides have no values together, and where the slope converges.
            better = ~np.isfinite(bar) & (table.conflicts == 0) & np.isfinite(table.error_bar)
            value, bar = np.where(better, table.value, value), np.where(better, table.error_bar, bar)
        return value, bar


def differentiate(
    table: Table,
    *,
    rtol: float,
    enough: Callable[[Array, Array], npt.NDArray[np.bool_]] | None = None,
) -> tuple[Array, Array, Array]:
    """Differentiate along every row of a table, as well as its function allows, or as ``rtol`` asks for.

    Parameters
    ----------
    table : Table
        Where the differences are, and those that are made are kept.
    rtol : float
        The error bar that is narrow enough, relative to what the function does nearby.
    enough : callable, optional
        ``enough(value, error_bar)``: where these, of shape ``(r, s)``, are good enough whatever ``rtol`` is.

    Returns
    -------
    value, error_bar : Array
        Shape ``(r, s)``; NaN and infinite where nothing is known.
    half_jump : Array
        Shape ``(r, s)``: at a kink, by how much the slopes of both sides differ from the value; else zero.

    Examples
    --------
    >>> def evaluate(rows, h):
    ...     yield rows, np.exp([[1 + h]]) - np.e, np.exp([[1 - h]]) - np.e
    >>> table = Table(1, evaluate, None, np.exp(np.ones(1)), 2.0**-52)
    >>> value, error_bar, half_jump = differentiate(table, rtol=1e-9)
    >>> bool(abs(value[0, 0] - np.e) <= error_bar[0, 0] < 1e-8)
    True
    """
    rows, usual = np.arange(table.count), usual_step(table.eps)
    table.take(rows, usual)
    first, ladder = table.central(usual), Ladder(table, rows)
    for k, step in enumerate([*coarse_steps(table.eps), *fine_steps(table.eps)]):
        value, bar = ladder.value, ladder.error_bar
        # A derivative that cannot be told from zero is measured on what the function does nearby.
        size = np.fmax(np.abs(value), table.secant(usual))
        known = (bar <= rtol * size) | (np.isfinite(bar) & ladder.exhausted[:, np.newaxis])
        if enough is not None:
            known |= enough(value, SPARE * bar)
        if step * RATIO >= usual:  # nor may the shorter usual step contradict it
            known &= ~(np.abs(value - first) > bar + table.rounding(usual) + rtol * size)
        going = np.asarray(~known.all(axis=1))
        if not going.any():
            break
        ladder.add(step, going, note_still=k == 0)
    return ladder.value, SPARE * ladder.error_bar, ladder.half_jump
