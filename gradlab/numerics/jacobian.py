"""The explicit full Jacobian, built numerically column by column."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array
from gradlab.numerics.differences import (
    Sample,
    exact_displacement,
    ladder,
    richardson,
    scales,
)

Vector: TypeAlias = npt.NDArray[np.floating]


def jacobian(
    function: Callable[[Vector], Array],
    x: Vector,
    *,
    output: Array,
    noise: Array,
    eps: float,
    rtol: float = 1e-9,
) -> tuple[Array, Array]:
    """Build ``dY/dX`` for a function of one array.

    Column ``j`` is the derivative along the ``j``-th entry of ``x``. This is the second witness for a
    backward rule: it costs ``n · m`` numbers where a vector-Jacobian product needs ``n + m``.

    Parameters
    ----------
    function : callable
        Takes an array like ``x`` (which it may keep), returns a vector of shape ``(m,)``.
    x : array
        Any shape, ``n`` entries.
    output, noise : Array
        ``function(x)`` and what it may be off by, both of shape ``(m,)``.
    eps : float
        The unit of rounding of ``function``.
    rtol : float
        The relative accuracy at which a column is accurate enough.

    Returns
    -------
    jacobian, error_bars : Array
        Both of shape ``(m, n)``.

    Examples
    --------
    >>> x = np.array([1.0, 2.0])
    >>> J, error_bars = jacobian(lambda x: x**2, x, output=x**2, noise=2.2e-16 * x**2, eps=2.2e-16)
    >>> J.round(9) + 0.0
    array([[2., 0.],
           [0., 4.]])
    """
    columns, error_bars = np.empty((output.size, x.size)), np.empty((output.size, x.size))
    scale = exact_displacement(x, scales(x)).ravel()
    for j in range(x.size):
        column = richardson(
            from_centre(entry_sample(function, x, j, float(scale[j])), output),
            ladder(),
            noise=noise,
            eps=eps,
            rtol=rtol,
        )
        # At a kink the value is in the middle, and the bar reaches to the slopes of both sides.
        half = np.where(column.kinked, np.abs(column.jump) / 2 + column.jump_bar, 0.0)
        columns[:, j], error_bars[:, j] = column.value, column.error_bar + half
    return columns, error_bars


def from_centre(sample: Sample, output: Array) -> Sample:
    """Subtract ``f(0)`` from both sides, as `richardson` takes them."""

    def subtracted(h: float) -> tuple[Array, Array, float]:
        plus, minus, width = sample(h)
        return plus - output, minus - output, width

    return subtracted


def entry_sample(function: Callable[[Vector], Array], x: Vector, j: int, scale: float) -> Sample:
    """Return the function of a step along the ``j``-th entry: ``f(+h)``, ``f(−h)`` and the width."""

    def sample(h: float) -> tuple[Array, Array, float]:
        plus, minus = x.copy(), x.copy()
        plus.flat[j] += h * scale
        minus.flat[j] -= h * scale
        # The displacement that floating point really took, read before the arrays are given away.
        width = float(plus.flat[j]) - float(minus.flat[j])
        return function(plus), function(minus), width

    return sample
