r"""How noisy is a function: the rounding error of its values, estimated from the values themselves.

Values at equally spaced, very close points are differenced again and again. What is smooth vanishes, what is
noise of standard deviation :math:`\sigma` grows in a known way:

.. math:: \sigma_k^2 = \gamma_k \,\mathrm{mean}_i\, (\Delta^k f_i)^2, \qquad \gamma_k = \frac{(k!)^2}{(2k)!} .

The first level :math:`k` whose estimate agrees with the next two, and whose differences change sign, is
taken.

Source: J. J. Moré and S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) 1292-1314.
"""

from __future__ import annotations

import math

import numpy as np

from gradlab.numerics.differences import Array

OFFSETS = (-3, -2, -1, 0, 1, 2, 3)  # times the spacing; seven points give the six levels that are needed
SPACING = 64  # times the unit of rounding: many roundings apart, yet so close that only noise differs
SAFETY = 3  # standard deviations that an error bar is to cover
AGREEMENT = 4  # three levels agree when the largest is at most this many times the smallest


def noise_level(values: Array) -> Array:
    """Estimate the standard deviation of the noise in each component of a function.

    Parameters
    ----------
    values : Array
        Shape ``(7, m)``: the function at seven equally spaced, very close points.

    Returns
    -------
    Array
        Shape ``(m,)``; 0 where no noise was detected.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> smooth = np.linspace(0, 1e-3, 7)[:, np.newaxis]
    >>> noisy = smooth + 1e-8 * rng.standard_normal((7, 1))
    >>> bool(0.3e-8 < noise_level(noisy)[0] < 3e-8)
    True
    """
    levels, alternates = [], []
    difference = values
    for k in range(1, len(values)):
        difference = np.diff(difference, axis=0)
        gamma = math.factorial(k) ** 2 / math.factorial(2 * k)
        levels.append(np.sqrt(gamma * np.mean(difference**2, axis=0)))
        alternates.append((difference.min(axis=0) < 0) & (difference.max(axis=0) > 0))
    noise = np.zeros(values.shape[1])
    for k in reversed(range(len(levels) - 2)):  # the lowest level that qualifies is written last
        three = np.stack(levels[k : k + 3])
        agree = three.max(axis=0) <= AGREEMENT * three.min(axis=0)
        noise = np.where(agree & alternates[k], levels[k], noise)
    return noise
