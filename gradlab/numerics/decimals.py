"""Staircases that were written on purpose: outputs that leap by multiples of a round decimal number.

What is rounded to binary digits leaps as well. There the slope is that of all stairs together; on a staircase
it is that of one, none. Neither the height of a leap nor the claim tells which of both it is, but the values
do. Those of ``round(x, 3)`` are multiples of 0.001; floating-point numbers are multiples of powers of two,
or, if they were scaled afterwards, of numbers with many digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradlab.numerics import Array, Mask
from gradlab.numerics.grids import binary_grid, count_distinct

BENT = 1e-9  # of the values, at three close places: what is smooth bends by a square of the spacing, 6e-11
FEW = 8  # different values that are close: as many from afar tell more
ROUND, ALMOST = 3, 1e-6  # decimal digits of a round number, and what it may be off by
MANY = 100  # components, of which none has a step: nor have the others
TERMS = 64  # roundings of the largest value: of the larger terms that it may be the sum of
SPARE = 4  # times what two numbers are off by: what may be left of multiples of each other
ROUNDS = 64  # of Euclid's algorithm, in each of which a number becomes less than half of another
CHANCE = 1e-9


def on_decimal_stairs(
    close: Sequence[Array], afar: Callable[[], Sequence[Array]], output: Array, eps: float, least: float
) -> Mask:
    """Return which outputs leap by multiples of a round decimal number, or stay beside others that do.

    Parameters
    ----------
    close : sequence of Array
        Shape ``(k, m)``: the outputs at equally spaced places close to the point, on each side.
    afar : callable
        Returns more of them, of shape ``(m,)`` each, from farther away.
    output : Array
        Shape ``(m,)``: at the point.
    eps : float
        The unit of rounding.
    least : float
        The least number that counts: finer stairs are taken for rounding whatever they are.
    """
    stepped, values = np.zeros(output.shape, dtype=bool), np.concatenate([output[np.newaxis], *close])
    size = np.abs(values).max(axis=0)
    bends = np.maximum.reduce([np.abs(np.diff(side, n=2, axis=0)).max(axis=0) for side in close])
    bent = np.flatnonzero(bends > BENT * size)
    if bent.size:
        stepped[bent] = decimal_steps(values[:, bent], eps, least)
    few = np.flatnonzero(~stepped & (count_distinct(values) < FEW) & (size > least))
    if few.size and (more := afar()):
        stepped[few] = decimal_steps(np.concatenate([values, more])[:, few], eps, least)
    if stepped.any() and not stepped.all():  # the others may be on wider stairs, or on more regular ones
        others = np.flatnonzero(~stepped)
        stepped[others] = decimal_steps(values[:, others], eps, least)
        stepped |= (values == output).all(axis=0)
    return stepped


def decimal_steps(values: Array, eps: float, least: float = 0.0) -> Mask:
    """Return which components are multiples of a round decimal number: a staircase, and no rounding.

    What was rounded to binary digits, and was scaled afterwards, has a common step as well, in one binade.

    >>> x = np.sqrt(np.arange(2.0, 12.0))[:, np.newaxis]
    >>> values = np.hstack([np.round(x, 4), np.round(1024 * x) / 3072, np.round(8 * x) / 8, x])
    >>> decimal_steps(values, 2.0**-52)
    array([ True, False, False, False])
    """
    if values.shape[1] > MANY and not decimal_steps(values[:, :MANY], eps, least).any():
        return np.zeros(values.shape[1], dtype=bool)  # they are computed alike
    step = common_step(values, eps)
    with np.errstate(all="ignore"):
        digits = step / 10.0 ** (np.floor(np.log10(step)) - ROUND + 1)
        round_ = (step > least) & (np.abs(digits - np.round(digits)) <= ALMOST * digits)
        return np.asarray(round_ & (binary_grid(values)[0] < ALMOST * step))


def common_step(values: Array, eps: float) -> Array:
    """Return the number of which all differences of a component are multiples, if that is no chance.

    Parameters
    ----------
    values : Array
        Shape ``(k, m)``, not finite where nothing is known.
    eps : float
        The unit of rounding.

    Returns
    -------
    Array
        Shape ``(m,)``; zero where there is none, or where as many numbers of no common step would be as close
        to multiples of this, more often than once in a billion times.

    Examples
    --------
    >>> x = np.sqrt(np.arange(2.0, 12.0))[:, np.newaxis]
    >>> common_step(np.round(np.hstack([x, 1 / x]), 4), 2.0**-52).round(10), common_step(x, 2.0**-52)
    (array([0.0001, 0.0001]), array([0.]))
    """
    with np.errstate(all="ignore"):
        off = TERMS * eps * np.fmax.reduce(np.abs(values))
        changes = np.sort(np.abs(values - values[0]), axis=0)  # NaN last
        known = np.zeros_like(off), off, np.ones_like(off)
        last = np.zeros_like(off)
        for change in changes:
            new = change > last + SPARE * off  # what comes again is no evidence
            step, error, chance = (
                np.where(new, after, before)
                for after, before in zip(_shared(change, off, *known), known, strict=True)
            )
            known = step, error, chance
            last = np.where(new, change, last)
        step, _, chance = known
    return np.where(chance < CHANCE, step, 0.0)


def _shared(
    change: Array, off: Array, step: Array, error: Array, chance: Array
) -> tuple[Array, Array, Array]:
    """Return the step that a change shares with others, what that is off by, and how likely it is by chance.

    Euclid's algorithm, of numbers that are known to within an error: what is left within that is nothing.
    """
    one, other, of_one, of_other = change, step, off, error
    fits = other == 0  # the first of all
    step, error = np.where(fits, one, step), np.where(fits, off, error)
    for k in range(ROUNDS):
        times = np.where(fits, 0.0, np.round(one / other))
        rest, of_rest = np.abs(one - times * other), of_one + times * of_other
        now = ~fits & (rest <= SPARE * of_rest)
        if k == 0:  # a multiple of the step that there is, which it tells better
            better = now & (off < error * times)
            chance = np.where(now, chance * np.fmin(1.0, 2 * SPARE * of_rest / other), chance)
            step, error = np.where(better, one / times, step), np.where(better, off / times, error)
        else:
            step, error = np.where(now, other, step), np.where(now, of_other, error)
            chance = np.where(now, 1.0, chance)
        fits = fits | now
        if fits.all():
            break
        one, other = np.where(fits, one, other), np.where(fits, other, rest)
        of_one, of_other = np.where(fits, of_one, of_other), np.where(fits, of_other, of_rest)
    return step, error, np.where(fits, chance, 1.0)
