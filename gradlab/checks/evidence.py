"""What is known about the gradient of one input at one point: backward's answers beside the truth.

Causes are hypotheses about backward, and are tested against this: derivatives along some directions, for two
upstream gradients at once, each with an error bar.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import ByInput, Directions, along_projections, movable
from gradlab.numerics import Array, Indices
from gradlab.numerics.ladder import differentiate
from gradlab.numerics.scales import random_direction
from gradlab.point.pairs import as_complex
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.returned import in_real_numbers, raw_gradients

Numbers: TypeAlias = npt.NDArray[Any]  # real or complex ones

# Up to LARGE entries, MOST_ENTRIES are looked at one by one, in a larger input FEW_ENTRIES.
LARGE, MOST_ENTRIES, FEW_ENTRIES = 1000, 64, 6
JOINT_DIRECTIONS = 2  # besides those
ACCURACY = 1e-9  # of a derivative, as of the explicit Jacobian
CLEAR = 10  # error bars: from here on a derivative is certainly not zero
MORE_THAN_CONSTANTS = 2  # derivatives, besides as many as there are free constants, that prove something


@dataclass(frozen=True)
class Evidence:
    """Backward and forward at one point, for one input.

    Attributes
    ----------
    problem : Problem
        The functions.
    position : int
        The input.
    displaced : mapping of int to array
        The inputs that differ from the problem's own point, in real numbers.
    output : Array
        What forward returns there, as one vector of ``m`` entries.
    upstreams : tuple of Array
        ``s`` upstream gradients, as vectors.
    returned : tuple of dict
        What backward returns for each, by position, each gradient in the shape in which it was returned,
        and complex where it was: what is proposed is proposed in the terms of the caller's own functions.
    directions : Directions
        ``k`` directions in this input.
    numeric, error_bar : Array
        Shape ``(k, s)``: the derivative of ``⟨u, y⟩`` along each.
    rtol : float
        The relative disagreement that the caller does not care about.
    """

    problem: Problem
    position: int
    displaced: Mapping[int, Any]
    output: Array
    upstreams: tuple[Array, ...]
    returned: tuple[Mapping[int, Numbers], ...]
    directions: Directions
    numeric: Array
    error_bar: Array
    rtol: float

    @property
    def name(self) -> str:
        """The input's name."""
        return self.problem.names[self.position]

    @property
    def claim(self) -> str:
        """What causes are about: ``gradient of x``, or ``jvp along x``."""
        return self.problem.claim_of(self.position)

    @property
    def shape(self) -> tuple[int, ...]:
        """The input's shape, as the caller sees it."""
        return self.problem.arguments.shape(self.position)

    @property
    def paired(self) -> bool:
        """Whether the input is complex."""
        return self.problem.arguments.paired[self.position]

    @property
    def gradients(self) -> list[Numbers] | None:
        """What backward gave for this input, one per upstream, in its shape; ``None`` of another size."""
        returned = self.returned_for(self.position)
        if returned is None or any(g.size != int(np.prod(self.shape)) for g in returned):
            return None
        return [g.reshape(self.shape) for g in returned]

    @property
    def single_entries(self) -> tuple[Indices, Indices]:
        """Which directions move one entry alone, and its flat index in the input."""
        return np.arange(self.directions.singles), self.directions.entries

    @property
    def clear(self) -> int:
        """How many independent derivatives are certainly not zero.

        Of the upstream gradients only as many are independent as there are outputs, of the directions as
        there are entries.
        """
        independent = min(len(self.upstreams), self.output.size)
        seen = np.abs(self.numeric) > CLEAR * self.error_bar + self.rtol * np.abs(self.numeric)
        entries = self.problem.value(self.position).size
        return min(int(seen[:, :independent].sum()), entries * independent)

    def value(self, position: int) -> Numbers:
        """Return an input at this point, complex where it is."""
        return self.problem.arguments.own(position, self.real_value(position))

    def real_value(self, position: int) -> Array:
        """Return an input at this point in real numbers."""
        return np.asarray(self.displaced.get(position, self.problem.value(position)), dtype=np.float64)

    @property
    def own_output(self) -> Numbers:
        """The output, where there is one alone, in its shape, and complex where it is."""
        numbers = self.output.reshape(self.problem.form.shape)
        return as_complex(numbers) if self.problem.form.paired[0] else numbers

    @property
    def own_upstreams(self) -> list[Numbers]:
        """The upstream gradients of a single output, in its shape, as backward takes them."""
        return [np.asarray(self.problem.form.wide.upstream(u)) for u in self.upstreams]

    def returned_for(self, position: int) -> list[Numbers] | None:
        """Return what backward gave for an input, one per upstream, in any shape; ``None`` where nothing."""
        if any(position not in gradients for gradients in self.returned):
            return None
        return [gradients[position] for gradients in self.returned]

    def returned_shape(self, position: int) -> tuple[int, ...] | None:
        """Return the shape of what backward gave for an input, for the first upstream."""
        return self.returned[0][position].shape if position in self.returned[0] else None

    def in_real_numbers(self, gradient: Numbers) -> Array:
        """Return a gradient of this input as directions are: that of a complex input as pairs."""
        return in_real_numbers(self.problem, self.position, gradient)

    def along(self, gradients: Sequence[Numbers]) -> Array:
        """Return ``⟨g, d⟩`` for one gradient per upstream, along every direction: shape ``(k, s)``."""
        real = map(self.in_real_numbers, gradients)
        return np.stack([self.directions.project({self.position: g}) for g in real], axis=1)

    @property
    def gap(self) -> float:
        """How far what backward returned is from what forward shows, at most; infinite for another shape."""
        gradients = self.gradients
        if gradients is None or self.returned_shape(self.position) != self.shape:
            return math.inf
        return float(np.abs(self.along(gradients) - self.numeric).max(initial=0.0))

    def agrees(self, gradients: Sequence[Numbers], within: float = math.inf) -> bool:
        """Whether gradients, one per upstream, are what forward shows along every direction.

        To ``rtol``, and ``within`` so much of it.
        """
        real = map(self.in_real_numbers, gradients)
        size = np.stack([self.directions.spread({self.position: g}) for g in real], axis=1)
        tolerance = self.error_bar + np.fmin(self.rtol * np.maximum(size, np.abs(self.numeric)), within)
        return bool((np.abs(self.along(gradients) - self.numeric) <= tolerance).all())

    def is_right(self) -> bool:
        """Whether the gradients that backward returned are what forward shows along every direction.

        Only the numbers count: a gradient of another shape but the same size may be right.
        """
        gradients = self.gradients
        return gradients is not None and self.agrees(gradients)


def gather(
    problem: Problem,
    position: int,
    directions: Directions,
    *,
    displaced: Mapping[int, Any] | None = None,
    upstreams: tuple[Array, ...] | None = None,
    rtol: float,
) -> Evidence | None:
    """Evaluate forward and backward around one point; ``None`` where one of them gives no numbers there."""
    displaced = displaced or {}
    output = problem.evaluate(dict(displaced)) if displaced else problem.output
    if not np.isfinite(output).all():
        return None
    upstreams = _upstreams(problem) if upstreams is None else upstreams
    returned = []
    try:
        for u in upstreams:
            returned.append(raw_gradients(problem, problem.call_backward(u, displaced=displaced)))
    except RuleRaised:
        return None
    # Nothing can be said of a backward that answers now in one shape, now in another.
    if len({g[position].shape if position in g else None for g in returned}) > 1:
        return None
    table = directions.table(problem, np.stack(upstreams), noise=problem.noise, displaced=displaced)
    numeric, error_bar, half_jump = differentiate(table, rtol=ACCURACY)
    # Where forward has no values on either side, or a kink, nothing is known.
    known = np.flatnonzero((np.isfinite(error_bar) & (half_jump == 0)).all(axis=1))
    if not known.size:
        return None
    return Evidence(
        problem,
        position,
        displaced,
        output,
        upstreams,
        tuple(returned),
        directions.some(known),
        numeric[known],
        error_bar[known],
        rtol,
    )


def entries_and_joint(
    problem: Problem, position: int, wanted: Sequence[int], rng: np.random.Generator
) -> Directions:
    """Return single entries, those wanted first, then others, and a few joint directions, of one input."""
    entries = movable(problem, position)
    most = MOST_ENTRIES if entries.size <= LARGE else FEW_ENTRIES
    if position in problem.constraints.projections:
        joint = [*along_projections(problem, position, most=most), *joint_directions(problem, position, rng)]
        return Directions.of(problem, {}, joint)
    first = list(wanted)[: most // 2]
    room = min(entries.size, most) - len(first)
    if entries.size <= most:
        others = sorted(set(entries.tolist()) - set(first))
    else:
        others = [int(k) for k in rng.choice(entries, room, replace=False) if k not in set(first)]
    chosen = np.array([*first, *others[:room]], dtype=np.intp)
    joint = joint_directions(problem, position, rng) if entries.size > 1 else []
    return Directions.of(problem, {position: chosen}, joint)


def joint_directions(problem: Problem, position: int, rng: np.random.Generator) -> list[ByInput]:
    """Return a few directions in which every entry of one input moves."""
    x = problem.value(position)
    drawn = (random_direction(x, rng, problem.reach(position)) for _ in range(JOINT_DIRECTIONS))
    return [{position: problem.direction(position, d)} for d in drawn]


def _upstreams(problem: Problem) -> tuple[Array, ...]:
    rng = np.random.default_rng(2)
    other = rng.uniform(1, 2, problem.form.size) * rng.choice([-1.0, 1.0], problem.form.size)
    other[problem.grad_output == 0] = 0.0  # what is left out stays so
    return problem.grad_output, problem.form.rounded(other)
