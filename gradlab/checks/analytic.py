"""What backward itself may be off by: the rounding of its answers, and what a wider dtype changes."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gradlab.checks.directions import Direction, random_joint
from gradlab.checks.reading import Claim
from gradlab.checks.upstream import Upstream
from gradlab.numerics import Array
from gradlab.numerics.noise import OFFSETS, SAFETY, SPACING, noise_level
from gradlab.point.problem import RuleRaised
from gradlab.point.returned import read_gradients

NO_ROUNDING = 0.01  # of a gradient: what jumps by more around the point is a step between the sides of a kink


class Analytic:
    """Backward's side of the comparison.

    Parameters
    ----------
    upstream : Upstream
        The upstream gradient, with what backward returned for each part of it.
    """

    def __init__(self, upstream: Upstream) -> None:
        self.upstream, self.problem = upstream, upstream.problem

    def claim(self, direction: Direction) -> Claim:
        """Return what backward says along a direction."""
        gradients = self.upstream.gradients
        return Claim(
            np.array([direction.project(g) for g in gradients]),
            np.array([direction.spread(g) for g in gradients]),
        )

    def claim_of_entries(self, position: int, count: int) -> Claim:
        """Return what backward says of the first ``count`` entries of one input."""
        value = np.stack([g[position].ravel()[:count] for g in self.upstream.gradients], axis=-1)
        return Claim(value, np.abs(value))

    @cached_property
    def noise(self) -> list[dict[int, Array]]:
        """What each entry that backward returned may be off by, as its answers around the point show."""
        problem, rng = self.problem, np.random.default_rng(0)
        direction = random_joint(problem, dict.fromkeys(problem.wrt), rng).parts
        found = []
        for s, gradients in enumerate(self.upstream.gradients):
            around: dict[int, list[Array]] = {i: [] for i in gradients}
            for k in OFFSETS:
                try:
                    displaced = problem.moved(direction, k * SPACING)
                    returned = problem.call_backward(self.upstream.part(s), displaced=displaced)
                except RuleRaised:
                    return [
                        {i: np.zeros_like(g) for i, g in gradients.items()}
                        for gradients in self.upstream.gradients
                    ]
                nearby, _ = read_gradients(problem, returned)
                for i, gradient in gradients.items():
                    around[i].append(nearby.get(i, gradient).ravel())
            noise = {i: SAFETY * noise_level(values) for i, values in around.items()}
            found.append({i: _rounding(noise[i].reshape(g.shape), g) for i, g in gradients.items()})
        return found

    @cached_property
    def in_float64(self) -> list[dict[int, Array]]:
        """What backward returns when it is given everything in float64; NaN where it does not."""
        found = []
        for s, gradients in enumerate(self.upstream.gradients):
            try:
                returned, _ = read_gradients(
                    self.problem, self.problem.call_backward(self.upstream.part(s), wide=True)
                )
            except RuleRaised:
                returned = {}
            found.append({i: returned.get(i, np.full_like(g, np.nan)) for i, g in gradients.items()})
        return found


def _rounding(noise: Array, gradient: Array) -> Array:
    return np.where(noise <= NO_ROUNDING * np.abs(gradient), noise, 0.0)
