r"""The derivative of a function along a line, from its values on both sides, with an error bar.

From the values at :math:`\pm h`, relative to that at the centre,

.. math:: \frac{f(h) - f(-h)}{2h} = f'(0) + c_2 h^2 + c_4 h^4 + \dots, \qquad
          \frac{f(h) + f(-h) - 2 f(0)}{h} = f'_+(0) - f'_-(0) + c_1 h + c_3 h^3 + \dots

The first gives the derivative, the second is zero unless there is a kink at the centre, where it gives the
jump between the slopes of both sides. Both are extrapolated to :math:`h \to 0`. At the edge of a domain,
where one side has no values, the other side's :math:`(f(h) - f(0)) / h` is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array
from gradlab.numerics.extrapolation import RATIO, Extrapolation

GROWING = 2  # where the secant of a shorter step is steeper by more, the longer one steps over something
STEEPER = 5 / 4  # the same of the last two steps: towards an infinite slope it is 1.4 at |x|^¾, 2 at √x
WITNESS = 8  # times its rounding: what the finest step must differ by to be believed
KNOWN = 1e-3  # relative error bar with which something is known about a derivative
FINEST = 2.0**-36  # of which every step of float64 is a multiple
LARGEST_STEP = 1 / 8  # of the scale
ROWS = 10  # of a ladder, at most, down to 5e-7 of the scale; few functions need more than five
CLOSE_UP = 2.0**-13  # the first step of a ladder that sees what is closer by: a shorter period, another kink

Sample: TypeAlias = Callable[[float], tuple[Array, Array, float]]


@dataclass(frozen=True)
class Derivative:
    """A derivative and what it may be off by, for each component of the function.

    Attributes
    ----------
    value, error_bar : Array
        Shape ``(m,)``; NaN and infinite where no two steps gave finite values.
    slope : Array
        Shape ``(m,)``: the least secant ``max |f(±h) − f(0)| / h`` of all steps, noise taken off: what the
        function does nearby. It is the scale on which a derivative of zero is told from noise.
    jump, jump_bar : Array
        Shape ``(m,)``: the slope on the right less the slope on the left, and what that may be off by.
    conflicts : Array
        Shape ``(m,)``: how many steps contradicted larger ones.
    """

    value: Array
    error_bar: Array
    slope: Array
    jump: Array
    jump_bar: Array
    conflicts: npt.NDArray[np.int_]

    @property
    def kinked(self) -> npt.NDArray[np.bool_]:
        """Where the slopes of both sides certainly differ."""
        visible = 1e-4 * (np.abs(self.value) + np.abs(self.jump))
        return np.isfinite(self.jump_bar) & (np.abs(self.jump) > np.maximum(self.jump_bar, visible))


def ladder(first: float = LARGEST_STEP, rows: int = ROWS) -> list[float]:
    """Return the steps ``first · ρ^k``.

    >>> ladder(0.125, 3)
    [0.125, 0.03125, 0.0078125]
    """
    return [first * RATIO**k for k in range(rows)]


def cheap_step(eps: float) -> float:
    """Return the step of a single central difference, relative to the scale of the input.

    Truncation, ``h²`` times the third derivative, is then well below what can be asked for, and rounding,
    ``eps / h``, as far below as possible: 2⁻¹⁴ in float64, 2⁻⁸ in float32.
    """
    return float(2.0 ** round(np.log2(np.sqrt(max(1e-7, np.sqrt(eps))) / 5)))


def finest_step(eps: float) -> float:
    """Return the step, relative to the input's scale, that shows whether longer ones step over something.

    Its secant is no derivative, but rounded as little as this tells whether the function is steeper than
    longer steps have it: 2⁻²⁶ in float64, 2⁻¹² in float32, and nowhere below 2⁻³⁰.
    """
    return float(max(FINEST * 2**6, 2.0 ** round(np.log2(eps) / 2)))


def exact_displacement(x: npt.NDArray[np.floating], d: Array) -> Array:
    """Round a displacement so that ``x ± hd`` is exact for every step ``h`` that is used.

    All steps of the ladders are multiples of `FINEST` in float64. Otherwise the points would be rounded by
    ``eps`` relative to ``x``, and a function that changes little along ``d`` would show that instead. The
    direction itself is as good as any other; it keeps ten binary digits at least.

    >>> x = np.array([0.1])
    >>> d = exact_displacement(x, np.array([1 / 3]))
    >>> h = 2.0**-16
    >>> bool((x + h * d) - x == h * d), bool(abs(d - 1 / 3) < 1e-4)
    (True, True)
    """
    digits = np.finfo(x.dtype).nmant - 10  # ten binary digits are left to the direction, at least
    grain = np.spacing((np.abs(x) + np.abs(d)).astype(x.dtype)).astype(np.float64) / max(FINEST, 2.0**-digits)
    rounded = np.round(d / grain) * grain
    return np.where(np.isfinite(rounded) & (rounded != 0), rounded, d)


def scales(x: npt.NDArray[np.floating]) -> Array:
    """Return for each entry the length on which the function is expected to vary.

    That is the entry's own magnitude, but no less than a tenth of the root mean square of all, because an
    entry that happens to be tiny among others is more likely a small value of a large quantity. Where all
    are zero nothing is known, and the answer is 1.

    >>> scales(np.array([10.0, 0.0]))
    array([10.        ,  0.70710678])
    """
    magnitude = np.abs(x, dtype=np.float64)
    largest = float(magnitude.max(initial=0.0))
    if largest == 0.0:
        return np.ones_like(magnitude)
    return np.asarray(np.maximum(magnitude, 0.1 * norm(magnitude) / np.sqrt(magnitude.size)))


def norm(*vectors: Array) -> float:
    """Return the Euclidean norm of some arrays taken together, without overflow.

    >>> norm(np.array([3e300]), np.array([4e300]))
    5e+300
    """
    largest = max((float(np.abs(v).max(initial=0.0)) for v in vectors), default=0.0)
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(sum(float(np.square(v / largest).sum()) for v in vectors)))


def random_direction(x: npt.NDArray[np.floating], rng: np.random.Generator) -> Array:
    """Draw a direction in which every entry moves, each on its own scale and by a different amount.

    Plain signs would cancel on a pair of equal and opposite errors; signs times magnitudes from [1, 2] do
    not.
    """
    direction = rng.uniform(1, 2, x.shape)
    direction *= rng.integers(0, 2, x.shape, dtype=np.int8) * 2 - 1
    direction *= scales(x)
    return exact_displacement(x, direction)


def richardson(
    sample: Sample, steps: Sequence[float], *, noise: Array, eps: float, rtol: float = 0.0
) -> Derivative:
    """Differentiate along a line by extrapolated differences.

    Parameters
    ----------
    sample : callable
        ``sample(h) -> (f(+h) − f(0), f(−h) − f(0), width)``, two arrays of shape ``(m,)``, not finite where
        ``f`` has no values, and the distance between the two points as floating point really took it, in
        units of the line's parameter.
    steps : sequence of float
        A ladder of ratio ``ρ``, largest first.
    noise : Array
        Shape ``(m,)``: what a value of ``f`` may be off by at the centre, at least its rounding.
    eps : float
        The unit of rounding of ``f`` and its input.
    rtol : float, default 0
        Stop as soon as every error bar is below ``rtol`` times the value or the slope nearby.

    Returns
    -------
    Derivative
        The value with the smallest error bar for each component.

    Examples
    --------
    >>> def sample(h):
    ...     return np.exp([1 + h]) - np.e, np.exp([1 - h]) - np.e, 2 * h
    >>> d = richardson(sample, ladder(0.125, 7), noise=6e-16 * np.ones(1), eps=2.2e-16)
    >>> bool(abs(d.value[0] - np.e) <= d.error_bar[0] < 1e-10)
    True
    """

    def least_secant(plus: Array, minus: Array, width: float) -> Array:
        change = np.fmax(np.abs(plus), np.abs(minus))  # of a side without values, the other
        return np.nan_to_num(2 * np.maximum(change - 2 * noise, 0.0) / width)

    plus, minus, width = sample(min(finest_step(eps), steps[-1]))
    close_up = least_secant(plus, minus, width)
    finest = (plus - minus) / width
    finest_bar = WITNESS * rounding(noise, np.fmax(np.abs(plus), np.abs(minus)), width, eps)

    def seen_close_up() -> npt.NDArray[np.bool_]:
        known_to = central.error_bar + finest_bar + KNOWN * rtol * np.abs(finest)
        return (np.abs(central.value - finest) <= known_to) | ~np.isfinite(finest)

    central, jump = Extrapolation((2, 4, 6), noise.size), Extrapolation((1, 3, 5), noise.size)
    right, left = Extrapolation((1, 2, 3), noise.size), Extrapolation((1, 2, 3), noise.size)
    slope = np.full_like(noise, np.inf)
    previous = last = np.full_like(noise, np.inf)  # secants of the last two steps
    for h in steps:
        plus, minus, width = sample(h)
        inside = [width != 0 and bool(np.isfinite(side).all()) for side in (plus, minus)]
        change = np.fmax(np.abs(plus), np.abs(minus))
        if any(inside) and (GROWING * 2 * (change + 2 * noise) / width < close_up).any():
            continue  # it steps over what the function does close by
        if all(inside):
            off = rounding(noise, change, width, eps)
            central.add((plus - minus) / width, off)
            jump.add(2 * (plus + minus) / width, 4 * off)
        else:
            central.restart()  # outside the domain: the table starts again nearer to the point
            jump.restart()
            for ok, side, table in ((inside[0], plus, right), (inside[1], -minus, left)):
                if ok:
                    table.add(2 * side / width, 2 * rounding(noise, np.abs(side), width, eps))
        if any(inside):
            previous, last = last, least_secant(plus, minus, width)
            slope = np.minimum(slope, last)
        # A derivative that cannot be told from zero is measured against the slope nearby.
        size = np.abs(central.value)
        size = np.where(size > central.error_bar, size, np.maximum(size, slope))
        # Two rows without gain: noise has taken over, and smaller steps only add to it. But where nothing is
        # known yet, the steps may still be larger than what the function varies on.
        # (Not where the changes have already sunk into the noise, or where there never was one.)
        exhausted = (central.stale >= 2) & ((central.error_bar <= KNOWN * size) | (last == 0))
        exhausted &= seen_close_up()  # no kink, and no feature of the function, is nearer than the last step
        if (((central.error_bar <= rtol * size) | exhausted) & (last <= GROWING * previous)).all():
            break
    # Secants that still grow at the end belong to a function that varies on less than a step, or to a slope
    # without end: nothing is known but that it may be steeper still.
    growing = last > STEEPER * previous
    slope = np.where(np.isfinite(slope), slope, 0.0)
    # What the finest step contradicts beyond its noise is known no better than that.
    value, error_bar = central.value, central.error_bar
    error_bar = np.where(seen_close_up(), error_bar, np.fmax(error_bar, np.abs(value - finest) + finest_bar))
    for table in (right, left):
        # Only where both sides have no values together, and where the slope converges.
        better = ~np.isfinite(error_bar) & (table.conflicts == 0)
        value, error_bar = np.where(better, table.value, value), np.where(better, table.error_bar, error_bar)
    error_bar = np.where(growing, np.fmax(error_bar, np.abs(value) + last), error_bar)
    return Derivative(value, error_bar, slope, jump.value, jump.error_bar, central.conflicts)


def rounding(noise: Array, change: Array, width: float | Array, eps: float) -> Array:
    """Return the error of a central difference whose values are off by ``noise`` and their own rounding."""
    return np.asarray(2 * (noise + eps * change) / width)
