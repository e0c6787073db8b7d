"""What is known about the gradient of one input at one point: backward's answers beside the truth.

Causes are hypotheses about backward, and are tested against this: derivatives along some directions, for two
upstream gradients at once, each with an error bar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import Direction, Joint, SingleEntry
from gradlab.numerics import Array
from gradlab.numerics.differences import (
    CLOSE_UP,
    LARGEST_STEP,
    exact_displacement,
    ladder,
    norm,
    random_direction,
    richardson,
    scales,
)
from gradlab.point.problem import Problem, RuleRaised
from gradlab.point.returned import raw_gradients

Indices: TypeAlias = npt.NDArray[np.intp]

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
        The inputs that differ from the problem's own point.
    output : Array
        What forward returns there, as one vector of ``m`` entries.
    upstreams : tuple of Array
        ``s`` upstream gradients, as vectors.
    returned : tuple of dict
        What backward returns for each, by position, each gradient in the shape in which it was returned.
    directions : tuple of Direction
        ``k`` directions in this input.
    numeric, error_bar : Array
        Shape ``(k, s)``: the derivative of ``⟨u, y⟩`` along each.
    own_slope : Array
        Shape ``(k,)``: for a single entry, the derivative of the output entry of the same index; NaN
        otherwise, and where input and output differ in shape.
    rtol : float
        The relative disagreement that the caller does not care about.
    """

    problem: Problem
    position: int
    displaced: Mapping[int, Any]
    output: Array
    upstreams: tuple[Array, ...]
    returned: tuple[Mapping[int, Array], ...]
    directions: tuple[Direction, ...]
    numeric: Array
    error_bar: Array
    own_slope: Array
    rtol: float

    @property
    def name(self) -> str:
        """The input's name."""
        return self.problem.names[self.position]

    @property
    def shape(self) -> tuple[int, ...]:
        """The input's shape."""
        return self.problem.value(self.position).shape

    @property
    def gradients(self) -> list[Array] | None:
        """What backward gave for this input, one per upstream, in its shape; ``None`` of another size."""
        returned = self.returned_for(self.position)
        if returned is None or any(g.size != int(np.prod(self.shape)) for g in returned):
            return None
        return [g.reshape(self.shape) for g in returned]

    @property
    def single_entries(self) -> tuple[Indices, Indices]:
        """Which directions move one entry alone, and its flat index in the input."""
        found = [(k, d.index) for k, d in enumerate(self.directions) if isinstance(d, SingleEntry)]
        directions, entries = np.array(found, dtype=np.intp).reshape(-1, 2).T
        return directions, entries

    @property
    def clear(self) -> int:
        """How many independent derivatives are certainly not zero.

        Of the upstream gradients only as many are independent as there are outputs, of the directions as
        there are entries.
        """
        independent = min(len(self.upstreams), self.output.size)
        seen = np.abs(self.numeric) > CLEAR * self.error_bar + self.rtol * np.abs(self.numeric)
        entries = int(np.prod(self.shape))
        return min(int(seen[:, :independent].sum()), entries * independent)

    def value(self, position: int) -> Array:
        """Return an input at this point."""
        return np.asarray(self.displaced.get(position, self.problem.value(position)), dtype=np.float64)

    def returned_for(self, position: int) -> list[Array] | None:
        """Return what backward gave for an input, one per upstream, in any shape; ``None`` where nothing."""
        if any(position not in gradients for gradients in self.returned):
            return None
        return [gradients[position] for gradients in self.returned]

    def returned_shape(self, position: int) -> tuple[int, ...] | None:
        """Return the shape of what backward gave for an input, for the first upstream."""
        return self.returned[0][position].shape if position in self.returned[0] else None

    def along(self, gradients: Sequence[Array]) -> Array:
        """Return ``⟨g, d⟩`` for one gradient per upstream, along every direction: shape ``(k, s)``."""
        return np.array([[d.project({self.position: g}) for g in gradients] for d in self.directions])

    def agrees(self, gradients: Sequence[Array]) -> bool:
        """Whether gradients, one per upstream, are what forward shows along every direction."""
        size = np.array([[d.spread({self.position: g}) for g in gradients] for d in self.directions])
        tolerance = self.error_bar + self.rtol * np.maximum(size, np.abs(self.numeric))
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
    directions: Sequence[Direction],
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
    derivatives = [_derivative(problem, position, d, displaced, output, upstreams) for d in directions]
    # Where forward has no values on either side, or a kink, nothing is known.
    known = [k for k, (_, bar, _) in enumerate(derivatives) if np.isfinite(bar).all()]
    if not known:
        return None
    numeric, error_bar, own = (
        np.array(column) for column in zip(*(derivatives[k] for k in known), strict=True)
    )
    return Evidence(
        problem,
        position,
        displaced,
        output,
        upstreams,
        tuple(returned),
        tuple(directions[k] for k in known),
        numeric,
        error_bar,
        own,
        rtol,
    )


def entries_and_joint(
    problem: Problem, position: int, wanted: Sequence[int], rng: np.random.Generator
) -> list[Direction]:
    """Return single entries, those wanted first, then others, and a few joint directions, of one input."""
    x = problem.value(position)
    lengths = exact_displacement(x, scales(x)).ravel()
    most = MOST_ENTRIES if x.size <= LARGE else FEW_ENTRIES
    first = list(wanted)[: most // 2]
    room = min(x.size, most) - len(first)
    if x.size <= most:
        others = sorted(set(range(x.size)) - set(first))
    else:
        others = [int(k) for k in rng.choice(x.size, room, replace=False) if k not in set(first)]
    entries: list[Direction] = [SingleEntry(position, k, float(lengths[k])) for k in [*first, *others[:room]]]
    return entries if x.size == 1 else [*entries, *joint(problem, position, rng)]


def joint(problem: Problem, position: int, rng: np.random.Generator) -> list[Direction]:
    """Return a few directions in which every entry of one input moves."""
    x = problem.value(position)
    return [Joint({position: random_direction(x, rng)}) for _ in range(JOINT_DIRECTIONS)]


def _upstreams(problem: Problem) -> tuple[Array, ...]:
    rng = np.random.default_rng(2)
    other = rng.uniform(1, 2, problem.form.size) * rng.choice([-1.0, 1.0], problem.form.size)
    return problem.grad_output, problem.form.rounded(other)


def _derivative(
    problem: Problem,
    position: int,
    direction: Direction,
    displaced: Mapping[int, Any],
    output: Array,
    upstreams: Sequence[Array],
) -> tuple[Array, Array, float]:
    """Differentiate ``⟨u, y⟩`` for each upstream, and the output of the same index, along a direction."""
    parts, length = direction.joint(problem)
    base = {i: np.asarray(displaced.get(i, problem.value(i))) for i in parts.parts}
    rows = list(upstreams)
    if isinstance(direction, SingleEntry) and problem.form.shape == problem.value(position).shape:
        rows.append(np.eye(1, output.size, direction.index)[0])

    def at(t: float) -> Array:
        moved = {i: base[i] + t * d for i, d in parts.parts.items()}
        change = problem.evaluate({**displaced, **moved}) - output
        return np.array([u @ change for u in rows])

    noise = np.array([norm(u * problem.noise) for u in rows])
    kinked = True
    for step in (LARGEST_STEP, CLOSE_UP):  # the second where the first meets a kink
        found = richardson(
            lambda h: (at(h), at(-h), 2 * h), ladder(step), noise=noise, eps=problem.eps, rtol=ACCURACY
        )
        kinked = bool(found.kinked.any() or found.conflicts.any())
        if not kinked:
            break
    value, bar = found.value / length, np.where(kinked, np.inf, found.error_bar / length)
    s = len(upstreams)
    return value[:s], bar[:s], float(value[s]) if len(rows) > s else np.nan
