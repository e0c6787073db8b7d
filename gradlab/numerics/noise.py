r"""What a function's values may be off by, read from the values themselves.

Three things make an output noisier than the rounding of its own dtype, ``eps · |y|``:

*Scatter.* Values at equally spaced, very close points are differenced four times. What is smooth vanishes;
noise of standard deviation :math:`\sigma` stays, multiplied by :math:`\sqrt{70}` (Moré and Wild: the
coefficients 1, 4, 6, 4, 1 squared and summed). The points lie on one side of the point at a time, so that a
kink at the point itself is in none of the differences; and the fifth largest of them counts, so that a kink
or a jump beside the point, which spoils four, is no noise; nor is one on each side, between values that do
not change at all, as of a staircase. On both sides the spacing is not the same: a staircase that is as
regular as one of them looks straight. A scatter that is much larger than rounding may still be something
continuous that is very steep: halved again and again where it is largest, that shrinks, and noise does not
(`smoothness`). What is smooth from closer by is differenced there.

*A coarser grid.* Floating point rounds to multiples of a power of two. If all values of an output are
multiples of a larger one than its own dtype has (float32 behind float64 arrays, ``1e8 + sin(x) - 1e8``), then
that is what they were rounded to. A staircase that was written on purpose, such as ``round(x, 3)``, has
other multiples, or steps that are large beside its values; so do whole numbers times any other, whose changes
are multiples of more than a power of two.

*A coarse grid seen from afar.* Where close points give but a few different values, more are taken from up to
ten times the scale, some of them where inputs are near zero. Floating-point numbers are rounded by the same
part of each: small ones have finer digits, by which they are told from a staircase, and it is the most
digits of all that tell what the value at the point is rounded by. Of a value of zero they tell nothing.

Source: J. J. Moré and S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) 1292-1314;
the sides, the halving and the grid are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from gradlab.numerics import Array, Mask
from gradlab.numerics.decimals import on_decimal_stairs
from gradlab.numerics.grids import are_floating, binary_grid, common_multiple, count_distinct, lowest_part
from gradlab.numerics.places import AFAR, BETWEEN, IRREGULAR, PER_SIDE, SPACING, At, close_places
from gradlab.numerics.rounding import CERTAINLY, ROUNDED, rounding_of_values
from gradlab.numerics.scales import FINEST
from gradlab.numerics.smoothness import smooth_within

SMOOTH = 2.0**-12  # of a length within which outputs are smooth: a fourth power of it is left, 3.5e-15
ORDER = 4  # of differences; as many can one break be in
# Of the fifth largest of ten fourth differences, over a standard deviation of the values: 0.75 in the median,
# of normal noise, and from 0.3 to 1.4 in nine of ten.
GAIN = 0.7 * float(np.sqrt(70.0))
SAFETY = 3  # standard deviations that an error bar is to cover
LOUD = 30  # times its rounding: a scatter that may be something else, such as a steep smooth function
COARSEST = 2.0**-9  # of the values: a grid of float16 is half of it, a coarser one is no rounding
COARSEST_STEP = 2.0**-12  # likewise, where all values are multiples of one step: of a converter to few bits
EXPLAINED = 8  # times the grid: a scatter that is nothing but rounding to it
ENDING = 4  # times coarser a grid looks where the smallest value of all ends in zeros, as one in eight does
OWN = 16  # times the spacing of the largest value: a grid that is neither its own nor that of the inputs
DISTINCT = 3  # values: fewer are no evidence of a grid
# Of many outputs, some show next to no noise by chance: of 100,000 in float32, ten a fiftieth of the median.
# They are computed alike; none is taken for so much less noisy than half of them are.
MANY, UNLIKE = 100, 0.1
BLOCK = 4096  # components at a time: differences of a large output would be many times its size


@dataclass(frozen=True, eq=False)
class Noise:
    """What the outputs of a function may be off by.

    Attributes
    ----------
    values : Array
        Shape ``(m,)``, nowhere below ``eps · |output|``.
    stepped : array of bool, shape (m,)
        Which outputs leap by multiples of a round decimal number, or stay while others do: that is no noise.
    spacing : float
        Of close places, so close that nothing but noise is left where values are differenced.
    """

    values: Array
    stepped: Mask
    spacing: float


def output_noise(lines: Sequence[At], output: Array, eps: float, *, leaps: bool = True) -> Noise:
    """Return what each output of a function may be off by.

    Parameters
    ----------
    lines : sequence of callable
        Each ``at(t)``: the outputs, shape ``(m,)``, at a distance of ``t`` along a line through the point in
        which every entry of the inputs moves on its own scale; ``None`` when no more may be asked for. Noise
        that happens to be regular along one shows along another.
    output : Array
        Shape ``(m,)``: the outputs at the point.
    eps : float
        The unit of rounding of the dtype that the function computes in, as far as that is known.
    leaps : bool
        Whether to make sure that what scatters much is noise, and not only steep, or a staircase on purpose.

    Examples
    --------
    >>> f = lambda t: 1e8 + np.sin([1 + t]) - 1e8
    >>> noise = output_noise([f], f(0.0), 2.2e-16).values
    >>> bool(1e-9 < noise[0] < 1e-7)
    True
    >>> f = lambda t: np.round(np.sin([1 + t]), 5)
    >>> output_noise([f], f(0.0), 2.2e-16).stepped
    array([ True])
    """
    seen = _Seen(lines, output, eps)
    for at in lines:
        sides = _sides(at)
        if sides is None:
            break
        scattered, loud = seen.look(sides, leaps=leaps)
        if leaps and loud.any():
            scattered = seen.without_what_is_steep(at, scattered, loud)
        seen.noise = np.fmax(seen.noise, np.where(seen.stepped, 0.0, scattered))
    noise = np.fmax(seen.noise, _coarser_grid(seen))
    if output.size >= MANY:
        noise = np.fmax(noise, _least_of_many(noise, seen))
    return Noise(noise, seen.stepped, seen.spacing)


class _Seen:
    """What was seen of the values of ``m`` outputs along lines through the point.

    Parameters
    ----------
    lines, output, eps
        As of `output_noise`.

    Attributes
    ----------
    noise, stepped, spacing
        As of `Noise`, so far.
    grid, reach : Array
        Shape ``(m,)``: of which power of two close values are multiples, infinite where of none; and how
        large they are.
    few : array of bool, shape (m,)
        Of which outputs there are but a few different ones.
    """

    def __init__(self, lines: Sequence[At], output: Array, eps: float) -> None:
        self.lines, self.output, self.eps = lines, output, eps
        self.noise, self.spacing = rounding_of_values(output, eps), SPACING
        self.stepped, self.few = np.zeros(output.shape, dtype=bool), np.ones(output.shape, dtype=bool)
        self.grid, self.reach = np.full_like(output, np.inf), np.abs(output)

    @cached_property
    def afar(self) -> list[Array]:
        """More values, from farther away; NaN, at the edge of a domain, shows nothing."""
        places = (*AFAR, *BETWEEN) if self.lines else ()
        return [value for t in places if (value := self.lines[0](t)) is not None]

    def look(self, sides: list[list[Array]], *, leaps: bool) -> tuple[Array, Mask]:
        """Return what outputs scatter by along a line, and where by so much that it may be something else."""
        output, eps = self.output, self.eps
        scattered, usual, moves = (np.zeros_like(output) for _ in range(3))
        least = float(CERTAINLY * eps**ROUNDED * np.abs(output).max(initial=0.0))
        for start in range(0, output.size, BLOCK):
            part = slice(start, start + BLOCK)
            values = [np.stack([output[part], *(v[part] for v in side)]) for side in sides]
            scattered[part] = SAFETY * scatter(values)
            largest = np.fmax.reduce([np.fmax.reduce(np.abs(side)) for side in values])
            moves[part] = _usual([np.abs(side[1:] - side[0]) for side in values])
            usual[part] = _usual([np.abs(side[1:]) for side in values])
            self.reach[part] = np.fmax(self.reach[part], largest)
            shown, distinct = binary_grid(np.concatenate(values))
            self.grid[part] = np.fmin(self.grid[part], np.where(shown > 0, shown, np.inf))
            self.few[part] &= distinct < DISTINCT
            if leaps:
                close = [side[1:] for side in values]
                self.stepped[part] |= on_decimal_stairs(
                    close, partial(self._afar, part), output[part], eps, least
                )
        # Of the values along the line, for an output may be zero at the point alone; and of the inputs there.
        loud = scattered > LOUD * (rounding_of_values(usual, eps) + eps * moves / SPACING)
        return scattered, loud & (scattered > EXPLAINED * np.where(np.isfinite(self.grid), self.grid, 0.0))

    def without_what_is_steep(self, at: At, scattered: Array, loud: Mask) -> Array:
        """Return what outputs scatter by without what is smooth from closer by: that is differenced there."""
        width = smooth_within(at, self.output, np.where(loud, scattered, np.inf))
        if not width:
            return scattered
        # What is smooth within less than the finest step scatters there, too, and that is no noise.
        rest: Array | float = 0.0
        if width > FINEST:
            self.spacing = min(self.spacing, max(SMOOTH * width, FINEST / IRREGULAR))
            rest = _scatter_at(at, self.output, self.spacing)
        return np.where(loud, rest, scattered)

    def _afar(self, part: slice) -> list[Array]:
        return [value[part] for value in self.afar]


def _least_of_many(noise: Array, seen: _Seen) -> Array:
    """Return the least noise of each of many outputs, which are computed alike."""
    reach = seen.reach
    known = np.isfinite(reach) & (reach > 0)
    told = known & (noise <= COARSEST * reach)  # of outputs that are nothing but noise, others are no kind
    typical = float(np.median(noise[told] / reach[told])) if told.any() else 0.0
    return np.where(known & ~seen.stepped, UNLIKE * typical * reach, 0.0)


def _coarser_grid(seen: _Seen) -> Array:
    """Return what the outputs were rounded to, shape ``(m,)``, where that is more than their own dtype does.

    More values are taken where close ones are few, or their grid is unclear.
    """
    output, eps, few, reach = seen.output, seen.eps, seen.few.copy(), seen.reach
    grid = np.where(np.isfinite(seen.grid), seen.grid, 0.0)
    unclear, spread, floating = few | (grid > COARSEST * reach), np.zeros_like(few), np.zeros_like(output)
    if unclear.any() and seen.afar:
        values = np.stack([output, *seen.afar])
        also, _ = binary_grid(values)
        also *= np.where(few, common_multiple(values - output, also), 1)
        size = np.where(np.isinf(values), np.nan, np.abs(values))
        # What is so large that its own digits end above a grid is a multiple of it whatever it is.
        distinct = count_distinct(np.where(np.spacing(size) < also, values, output))
        # A floating-point number has finer digits the smaller it is, unlike what was rounded to whole
        # numbers on purpose.
        least = np.fmin.reduce(np.where(size > 0, size, np.inf))
        largest = np.fmax.reduce(size)
        nearest = np.where(output != 0, ENDING * least, 0.0)  # others tell nothing of a zero
        reach = np.where(few, nearest, np.fmax(reach, largest))
        # Of values of very different magnitudes, the smallest may have next to no digits.
        spread = few & (also <= np.sqrt(eps) * np.fmax(largest, 1.0))
        spread &= also > OWN * np.spacing(largest)  # else these are the digits of so large a number
        grid = np.where(few, also, np.fmin(grid, np.where(also > 0, also, np.inf)))
        floating = np.where(few, np.abs(output) * lowest_part(values), 0.0)
        few &= distinct < DISTINCT
        few |= ~are_floating(values) & (also > COARSEST_STEP * np.abs(output))  # on purpose
    told = ~few & ((grid <= COARSEST * reach) | spread) & (grid > 2 * np.spacing(np.abs(output)))
    return np.where(told, np.fmax(grid, floating), 0.0)


def scatter(sides: Sequence[Array]) -> Array:
    """Estimate the standard deviation of the noise in each component of a function.

    Parameters
    ----------
    sides : sequence of Array
        Each of shape ``(k, m)``: the function at ``k`` equally spaced, very close points of one side; from
        both together, at least ten fourth differences.

    Returns
    -------
    Array
        Shape ``(m,)``; zero where no value is finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> smooth = np.linspace(0, 1e-3, 9)[:, np.newaxis]
    >>> right, left = smooth + 1e-8 * rng.standard_normal((2, 9, 1))
    >>> bool(0.3e-8 < scatter([right, left])[0] < 3e-8)
    True
    """
    differences = np.abs(np.concatenate([_bends(side) for side in sides]))
    differences[~np.isfinite(differences)] = 0.0
    return np.asarray(np.sort(differences, axis=0)[-ORDER - 1] / GAIN)


def _usual(sides: Sequence[Array]) -> Array:
    """Return the largest of some sizes, without those that one pole beside the point may spoil: ``(m,)``."""
    sizes = np.nan_to_num(np.concatenate(sides), nan=0.0)
    return np.asarray(np.sort(sizes, axis=0)[-ORDER - 1])


def _bends(side: Array) -> Array:
    """Return the fourth differences; none where values change once alone: at the edge of a stair."""
    once = (side[1:] != side[:-1]).sum(axis=0) <= 1
    return np.where(once, 0.0, np.diff(side, n=ORDER, axis=0))


def _scatter_at(at: At, output: Array, spacing: float) -> Array | float:
    """Return what outputs scatter by at places so close that nothing else is left of what is smooth.

    Of an offset that forward subtracts there is far more rounding in them than their own; zero where no more
    may be asked for.
    """
    sides = _sides(at, spacing)
    return SAFETY * scatter([np.stack([output, *side]) for side in sides]) if sides else 0.0


def _sides(at: At, spacing: float = SPACING) -> list[list[Array]] | None:
    """Return the values at all close places, side by side; ``None`` where no more may be asked for."""
    sides = [[value for t in side if (value := at(t)) is not None] for side in close_places(spacing)]
    return sides if all(len(side) == PER_SIDE for side in sides) else None
