r"""How noisy is a function: the error of its values, estimated from the values themselves.

Values at equally spaced, very close points are differenced again and again. What is smooth vanishes level by
level, while noise of standard deviation :math:`\sigma` stays, multiplied in a known way:

.. math:: \sigma_k^2 = \gamma_k \,\mathrm{mean}_i\, (\Delta^k f_i)^2, \qquad \gamma_k = \frac{(k!)^2}{(2k)!} .

The third and fourth differences are used: what is smooth has vanished there, and of seven points they leave
four and three values. The larger of both is taken, erring on the side of more noise.

Source: J. J. Moré and S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) 1292-1314.
They search for a level that agrees with its neighbours; from seven points that search finds nothing for about
half of all functions whose values are quantised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradlab.numerics import Array

# The first spacing is 64 roundings of float32, relative to the input's scale: so wide that a function which
# computes in float32 behind float64 arrays, or adds 1e8 and takes it away again, shows its steps; so close
# that what is smooth vanishes after three or four differences.
SPACING = 64 * float(np.finfo(np.float32).eps)
CLOSER, FARTHER = 1 / 64, 64  # where the first spacing shows too much, or nothing
LOUD = 1e3  # times its rounding: noise that has to be told from a kink
SMALLEST = float(np.finfo(np.float64).smallest_subnormal)  # subnormal numbers are rounded by this
OFFSETS = (-3, -2, -1, 0, 1, 2, 3)  # times the spacing
LEVELS = (3, 4)
BLOCK = 100_000  # components at a time
SAFETY = 3  # standard deviations that an error bar is to cover


def noise_level(values: Sequence[Array]) -> Array:
    """Estimate the standard deviation of the noise in each component of a function.

    Parameters
    ----------
    values : sequence of Array
        Seven of shape ``(m,)``: the function at seven equally spaced, very close points.

    Returns
    -------
    Array
        Shape ``(m,)``; NaN where a value is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> smooth = np.linspace(0, 1e-3, 7)[:, np.newaxis]
    >>> noisy = smooth + 1e-8 * rng.standard_normal((7, 1))
    >>> bool(0.3e-8 < noise_level(noisy)[0] < 3e-8)
    True
    """
    size = values[0].size
    noise = np.empty(size)
    for start in range(0, size, BLOCK):  # the differences of a large output would be many times its size
        block = np.stack([value[start : start + BLOCK] for value in values])
        estimates = []
        for k in LEVELS:
            gamma = math.factorial(k) ** 2 / math.factorial(2 * k)
            estimates.append(np.sqrt(gamma * np.mean(np.diff(block, n=k, axis=0) ** 2, axis=0)))
        noise[start : start + BLOCK] = np.maximum(*estimates)
    return noise


def told_from_traces(far: Array, near: Array, nearest: Array, floor: Array) -> Array:
    """Tell noise from what else shows at three spacings, each `CLOSER` times the last.

    Noise is the same at all of them. The trace of a kink shrinks in proportion to the spacing, and that of
    strong curvature by its third power. A quantised function may by chance show nothing at one spacing, hence
    the second largest of the three. NaN is where a function stays the same, and shows nothing.

    Parameters
    ----------
    far, near, nearest, floor : Array
        Shape ``(m,)``: the estimates at the three spacings, and the rounding that is always there.

    Examples
    --------
    >>> f = np.array([1e-3, 1e-3, 1e-3])
    >>> told_from_traces(f, np.array([1e-3, 0.0, 1e-3 / 64]), np.array([2e-3, 1e-3, 1e-3 / 64**2]), f * 1e-9)
    array([1.e-03, 1.e-03, 1.e-12])
    """
    estimates = np.stack([far, near, nearest])
    known = np.isfinite(estimates).sum(axis=0)
    ordered = np.sort(np.where(np.isfinite(estimates), estimates, -1.0), axis=0)
    second = np.where(known >= 2, ordered[1], ordered[2])
    with np.errstate(divide="ignore", invalid="ignore"):
        shrinking = [(ratio > CLOSER / 2) & (ratio < CLOSER * 2) for ratio in (near / far, nearest / near)]
    return np.where(shrinking[0] & shrinking[1], floor, np.maximum(second, floor))
