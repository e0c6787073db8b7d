r"""Which directions are probed, and what each probe says.

A probe compares, along one direction :math:`d` in the inputs,

.. math:: \langle u,\, f(x + hd) - f(x - hd) \rangle
          \quad\text{with}\quad
          \langle \mathrm{backward}(u),\, (x + hd) - (x - hd) \rangle .

The outputs are subtracted before they are contracted with the upstream gradient :math:`u`, and the
displacement is the one that floating point really took. One central difference settles a probe when both
sides agree to ``rtol`` and rounding cannot have made them agree. Otherwise the derivative is computed again
from a ladder of steps, with an error bar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.checks.contract import read_gradients
from gradlab.numerics import Array
from gradlab.numerics.differences import (
    Sample,
    cheap_step,
    ladder,
    norm,
    random_direction,
    richardson,
    rounding,
    scales,
)
from gradlab.numerics.jacobian import entry_sample
from gradlab.numerics.noise import OFFSETS, SAFETY, SPACINGS, noise_level
from gradlab.problem import Problem, RuleRaised

Mask: TypeAlias = npt.NDArray[np.bool_]

SMALL = 1000  # entries; up to here every entry is probed by itself
DIRECTIONS = 4  # random directions for each larger input
JOINT_DIRECTIONS = 2  # and for all inputs together
LARGEST_STEP, OTHER_LARGEST_STEP = (
    1 / 8,
    0.07,
)  # of the scale; the second ladder shares no step with the first
ROWS = 7  # down to 3e-5 of the scale
COARSE = 0.1  # with an error bar wider than this part of the gradient, a probe tells nothing


@dataclass(frozen=True)
class Probes:
    """The probes of one input, or of all inputs jointly.

    Attributes
    ----------
    position : int or None
        The input; ``None`` for joint directions in all of them.
    indices : tuple of tuple of int, or None
        The entry that each probe moves; ``None`` where all of them move along a random direction.
    analytic, numeric, error_bar : Array
        Shape ``(k,)``: what backward says, what the forward function shows, and what that may be off by.
    slope : Array
        Shape ``(k,)``: how steep the forward function is nearby, the scale of a derivative that vanishes.
    """

    position: int | None
    indices: tuple[tuple[int, ...], ...] | None
    analytic: Array
    numeric: Array
    error_bar: Array
    slope: Array

    @property
    def size(self) -> Array:
        """The larger of both sides."""
        return np.maximum(np.abs(self.analytic), np.abs(self.numeric))

    @property
    def scale(self) -> Array:
        """What a disagreement is relative to: the larger side, or the slope nearby where both vanish."""
        return np.maximum(self.size, self.slope)

    def wrong(self, rtol: float) -> Mask:
        """Which probes differ by more than the error bar and ``rtol`` together can explain."""
        with np.errstate(invalid="ignore"):
            difference = np.abs(self.analytic - self.numeric)
            explained = difference <= self.error_bar + rtol * self.size
        return ~explained & np.isfinite(self.error_bar)  # a gradient that is NaN agrees with nothing

    def undecided(self, rtol: float) -> Mask:
        """Which probes have an error bar too wide to tell."""
        visible = np.maximum(max(rtol, COARSE) * self.size, rtol * self.slope)
        return ~self.wrong(rtol) & ~(self.error_bar <= visible)

    def deciding_rtol(self) -> float:
        """Return the smallest ``rtol`` at which no probe would be undecided."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(self.error_bar == 0, 0.0, self.error_bar / self.scale)
        return float(ratio.max(initial=0.0))


def probe_gradients(
    problem: Problem, gradients: Mapping[int, Array], *, rtol: float, rng: np.random.Generator
) -> list[Probes]:
    """Probe every gradient that backward returned.

    Parameters
    ----------
    problem : Problem
        The point.
    gradients : mapping of int to Array
        What backward returned, by position.
    rtol : float
        The relative disagreement that the caller does not care about.
    rng : numpy.random.Generator
        Draws the random directions.

    Returns
    -------
    list of Probes
        One for each input, and one for all of them together.
    """
    if not gradients:
        return []
    prober = _Prober(problem, gradients, rtol, rng)
    own = [
        prober.entries(i, gradient)
        if gradient.size <= SMALL
        else prober.directions({i: gradient}, DIRECTIONS, i)
        for i, gradient in gradients.items()
    ]
    return [*own, prober.directions(gradients, JOINT_DIRECTIONS, None)]


class _Prober:
    """Makes probes of one problem."""

    def __init__(
        self, problem: Problem, gradients: Mapping[int, Array], rtol: float, rng: np.random.Generator
    ) -> None:
        self.problem, self.gradients, self.rtol, self.rng = problem, gradients, rtol, rng

    def entries(self, i: int, gradient: Array) -> Probes:
        """Probe each entry of one input by itself."""
        x = self.problem.value(i)
        scale = scales(x).ravel()

        def function(moved: npt.NDArray[np.floating]) -> Array:
            return self.problem.evaluate({i: moved})

        results = [
            self._probe(
                entry_sample(function, x, j, float(scale[j])),
                float(gradient.flat[j]),
                lambda j=j: float(self.analytic_noise[i].flat[j]),  # type: ignore[misc]
            )
            for j in range(x.size)
        ]
        return _collect(i, tuple(np.ndindex(x.shape)), results)

    def directions(self, gradients: Mapping[int, Array], count: int, position: int | None) -> Probes:
        """Probe some inputs jointly along random directions."""
        results = []
        for _ in range(count):
            direction = {i: random_direction(self.problem.value(i), self.rng) for i in gradients}
            analytic = sum(float((gradients[i] * d).sum()) for i, d in direction.items())
            # Where x ± hd is rounded, the step taken differs from the one intended; over the entries these
            # errors add up like a random walk.
            drift = norm(*(g * self.problem.value(i) for i, g in gradients.items()))
            results.append(
                self._probe(
                    self.problem.line(direction),
                    analytic,
                    lambda direction=direction: norm(  # type: ignore[misc]
                        *(self.analytic_noise[i] * d for i, d in direction.items())
                    ),
                    drift,
                )
            )
        return _collect(position, None, results)

    @cached_property
    def analytic_noise(self) -> dict[int, Array]:
        """What each entry that backward returned may be off by, as its answers around the point show.

        A jump of more than a hundredth is no rounding, but a step between the sides of a kink.
        """
        problem, rng = self.problem, np.random.default_rng(0)
        direction = {i: random_direction(problem.value(i), rng) for i in problem.wrt}
        around: dict[int, list[Array]] = {i: [] for i in self.gradients}
        for k in OFFSETS:
            try:
                nearby, _ = read_gradients(
                    problem, problem.call_backward(displaced=problem.moved(direction, k * SPACINGS[0]))
                )
            except RuleRaised:
                return {i: np.zeros_like(gradient) for i, gradient in self.gradients.items()}
            for i, gradient in self.gradients.items():
                around[i].append(nearby.get(i, gradient).ravel())
        noise = {i: SAFETY * noise_level(values) for i, values in around.items()}
        return {
            i: np.where(noise[i] <= 0.01 * np.abs(gradient).ravel(), noise[i], 0.0).reshape(gradient.shape)
            for i, gradient in self.gradients.items()
        }

    def _probe(
        self, sample: Sample, analytic: float, analytic_noise: Callable[[], float], drift: float = 0.0
    ) -> tuple[float, ...]:
        """Return along one line the analytic value, the numeric value, its error bar, the slope nearby."""
        u, y, eps = self.problem.grad_output, self.problem.output, self.problem.eps
        h = cheap_step(eps)
        plus, minus, width = sample(h)
        if width == 0 or not (np.isfinite(plus).all() and np.isfinite(minus).all()):
            return self._escalate(sample, analytic, analytic_noise, drift)
        numeric = float(u @ (plus - minus)) / width
        change = max(abs(float(u @ (plus - y))), abs(float(u @ (minus - y))))
        slope = 2 * change / width
        # An output that is the same on both sides does not depend on this entry and adds no rounding.
        moving = np.where(plus != minus, np.maximum(np.abs(plus), np.abs(minus)), 0.0)
        noise = rounding(eps * (norm(u * moving) + drift), change, h, width, eps)
        tolerance = self.rtol * max(slope, abs(analytic))
        difference = abs(numeric - analytic)
        if difference <= tolerance and noise <= 0.1 * tolerance:
            return analytic, numeric, max(noise, difference), slope
        return self._escalate(sample, analytic, analytic_noise, drift)

    def _escalate(
        self, sample: Sample, analytic: float, analytic_noise: Callable[[], float], drift: float
    ) -> tuple[float, ...]:
        """Differentiate along a ladder of steps; along a second one before calling anything wrong."""
        first = self._ladder(sample, ladder(LARGEST_STEP, ROWS), drift)
        if not self._contradicts(first, analytic):
            return analytic, *first
        second = self._ladder(sample, ladder(OTHER_LARGEST_STEP, ROWS), drift)
        if not self._contradicts(second, analytic):
            return analytic, *second
        # Two ladders that contradict each other are both off by at least their distance.
        value, bar, slope = min(first, second, key=lambda found: found[1])
        return analytic, value, bar + abs(first[0] - second[0]) + analytic_noise(), slope

    def _contradicts(self, found: tuple[float, ...], analytic: float) -> bool:
        value, bar, _ = found
        return not abs(value - analytic) <= bar + self.rtol * max(abs(value), abs(analytic))

    def _ladder(self, sample: Sample, steps: list[float], drift: float) -> tuple[float, float, float]:
        u, y, eps = self.problem.grad_output, self.problem.output, self.problem.eps
        widest = sample(steps[0])

        def contracted(h: float) -> tuple[Array, Array, float]:
            plus, minus, width = widest if h == steps[0] else sample(h)
            return np.atleast_1d(u @ (plus - y)), np.atleast_1d(u @ (minus - y)), width

        # Rounding comes from the outputs that move; if none does, any may hide a slope below its rounding.
        moving = widest[0] != widest[1]
        noise = u * self.problem.noise
        size = norm(noise[moving] if moving.any() else noise)
        found = richardson(
            contracted, steps, noise=np.atleast_1d(size + eps * drift), eps=eps, rtol=0.1 * self.rtol
        )
        return float(found.value[0]), float(found.error_bar[0]), float(found.slope[0])


def _collect(
    position: int | None, indices: tuple[tuple[int, ...], ...] | None, results: list[tuple[float, ...]]
) -> Probes:
    return Probes(position, indices, *np.array(results, dtype=np.float64).reshape(-1, 4).T)
