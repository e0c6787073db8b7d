r"""The derivative of a function along a line, by central differences, with an error bar.

With :math:`D(h) = (f(h) - f(-h)) / 2h = f'(0) + c_2 h^2 + c_4 h^4 + \dots`, Richardson extrapolation over a
ladder of steps :math:`h_k = h_0 \rho^k` removes one power after the other:

.. math:: T_{k,0} = D(h_k), \qquad T_{k,j} = \frac{T_{k,j-1} - \rho^{2j} T_{k-1,j-1}}{1 - \rho^{2j}}.

Each :math:`T_{k,j}` carries two errors: truncation, estimated from how much the last step of extrapolation
changed it, and rounding, which is carried through the table along with it. The entry with the smallest sum
of both is taken, for every component of :math:`f` by itself.

Source: C. J. F. Ridders, Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software
4 (1982) 75-76; the error bar by two corrections instead of one is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Sample: TypeAlias = Callable[[float], tuple[Array, Array, float]]

RATIO = 1 / 4  # ρ: ratio 1/2 costs three more evaluations for the same accuracy
ORDERS = 3  # powers h², h⁴, h⁶ are removed; beyond that rounding outweighs the gain
DOUBLE_EPS = float(np.finfo(np.float64).eps)  # the table itself is computed in float64


@dataclass(frozen=True)
class Derivative:
    """A derivative and what it may be off by, for each component of the function.

    Attributes
    ----------
    value, error_bar : Array
        Shape ``(m,)``; NaN and infinite where no two steps gave finite values.
    slope : Array
        Shape ``(m,)``: ``max |f(±h) − f(0)| / h`` at the largest step, what the function does nearby. It is
        the scale on which a derivative of zero is told from noise.
    """

    value: Array
    error_bar: Array
    slope: Array


def ladder(first: float, rows: int) -> list[float]:
    """Return the steps ``first · ρ^k``.

    >>> ladder(0.125, 3)
    [0.125, 0.03125, 0.0078125]
    """
    return [first * RATIO**k for k in range(rows)]


def cheap_step(eps: float) -> float:
    """Return the step of a single central difference, relative to the scale of the input.

    It balances truncation ``h²`` against rounding ``eps / h``; in float64 it is about 1e-5.
    """
    return 2 * float(np.cbrt(eps))


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
    rms = largest * np.sqrt(np.mean((magnitude / largest) ** 2))  # squares do not overflow
    return np.asarray(np.maximum(magnitude, 0.1 * rms))


def norm(*vectors: Array) -> float:
    """Return the Euclidean norm of some arrays taken together, without overflow.

    >>> norm(np.array([3e300]), np.array([4e300]))
    5e+300
    """
    largest = max((float(np.abs(v).max(initial=0.0)) for v in vectors), default=0.0)
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(sum(float(((v / largest) ** 2).sum()) for v in vectors)))


def random_direction(x: npt.NDArray[np.floating], rng: np.random.Generator) -> Array:
    """Draw a direction in which every entry moves, each on its own scale and by a different amount.

    Plain signs would cancel on a pair of equal and opposite errors; signs times magnitudes from [1, 2] do
    not.
    """
    signs = rng.choice([-1.0, 1.0], x.shape)
    return np.asarray(signs * rng.uniform(1, 2, x.shape) * scales(x))


def richardson(
    sample: Sample, steps: Sequence[float], *, noise: Array, eps: float, rtol: float = 0.0
) -> Derivative:
    """Differentiate along a line by extrapolated central differences.

    Parameters
    ----------
    sample : callable
        ``sample(h) -> (f(+h) − f(0), f(−h) − f(0), width)``, two arrays of shape ``(m,)`` and the distance
        between the two points as floating point really took it, in units of the line's parameter.
    steps : sequence of float
        A ladder of ratio `RATIO`, largest first.
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
    value, error_bar = np.full_like(noise, np.nan), np.full_like(noise, np.inf)
    slope = np.zeros_like(noise)
    previous: list[tuple[Array, Array]] = []  # the row above: each T[k-1][j] with its rounding error
    stale = np.zeros(noise.shape, dtype=int)  # rows since the error bar last shrank
    for h in steps:
        plus, minus, width = sample(h)
        if width == 0 or not (np.isfinite(plus).all() and np.isfinite(minus).all()):
            previous = []  # outside the domain: the table starts again nearer to the point
            continue
        change = np.maximum(np.abs(plus), np.abs(minus))
        if not slope.any():
            slope = 2 * change / width
        row = [((plus - minus) / width, rounding(noise, change, h, width, eps))]
        for j in range(1, min(len(previous), ORDERS) + 1):
            weight = RATIO ** (2 * j)
            (fine, fine_noise), (coarse, coarse_noise) = row[j - 1], previous[j - 1]
            row.append(
                (
                    (fine - weight * coarse) / (1 - weight),
                    (fine_noise + weight * coarse_noise) / (1 - weight),
                )
            )
        stale += bool(previous)
        for j, (estimate, carried) in enumerate(row if previous else []):
            # The very first column has one neighbour only, the others two.
            correction = np.abs(estimate - previous[max(j - 1, 0)][0])
            if j:
                correction = np.maximum(correction, np.abs(estimate - row[j - 1][0]))
            bar = correction + carried + 4 * DOUBLE_EPS * np.abs(estimate)
            better = bar < error_bar
            value, error_bar = np.where(better, estimate, value), np.where(better, bar, error_bar)
            stale[better] = 0
        # Two rows without gain: rounding has taken over, and smaller steps only add to it.
        if ((error_bar <= rtol * np.maximum(np.abs(value), slope)) | (stale >= 2)).all():
            break
        previous = row
    return Derivative(value, error_bar, slope)


Numbers = TypeVar("Numbers", float, Array)


def rounding(noise: Numbers, change: Numbers, h: float, width: float, eps: float) -> Numbers:
    """Return the rounding error of one central difference.

    Both values are off by ``noise``, and by ``eps`` of what they changed. The two points are rounded too, by
    ``eps`` relative to an input that is ``1/h`` times larger than the displacement, which changes the values
    by ``eps / h`` of their change.
    """
    return 2 * (noise + eps * change * (1 + 1 / h)) / width
