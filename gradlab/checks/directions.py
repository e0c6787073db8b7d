"""Directions in the inputs along which forward and backward are compared: single entries, and joint ones.

A direction is as long as the scales of the entries that it moves, so that a derivative along it is an
influence: what moving these entries by their scales would do to the contracted output, were that linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gradlab.checks.stratum import StratumDirection
from gradlab.numerics import Array, Indices
from gradlab.numerics.scales import exact_displacement, moved_by, sum_and_norm
from gradlab.numerics.table import Evaluate, Table
from gradlab.point.arguments import Displaced
from gradlab.point.moves import InputMoves, runs
from gradlab.point.problem import Problem

BLOCK = 65_536  # output entries on either side that are held at once; more take longer to allocate
SHORT = 8_192  # outputs, beside which what is done once a block matters
LARGE = 2**23  # numbers, 64 MiB, that are held at once where points are evaluated together
ROUNDED = 1e-12  # of an entry: what is left of its displacement by rounding alone, where it has no tangent

ByInput = Mapping[int, Array]  # an array for some inputs, by their positions: a direction, or gradients


@dataclass(frozen=True, eq=False)
class Directions:
    """Some directions: first those in which one entry moves alone, then those in which many do.

    Attributes
    ----------
    position, entries : Indices
        Shape ``(e,)``: the input of each single entry, and its flat index there.
    length : Array
        Shape ``(e,)``: how far it moves, in units of the step.
    joint : tuple of mapping
        For each of the others, the displacement of every input that moves, by position.
    singles, count : int
        How many of the directions are single entries, and how many there are.
    of_inputs : dict of int to slice
        Which of the single entries are those of each input: they stand together.
    divisors : Array
        What a derivative along each has to be divided by to be that of the entry; 1 for joint ones.
    """

    position: Indices
    entries: Indices
    length: Array
    joint: tuple[ByInput, ...] = ()
    singles: int = field(init=False)
    count: int = field(init=False)
    of_inputs: dict[int, slice] = field(init=False)
    divisors: Array = field(init=False)

    def __post_init__(self) -> None:
        """Keep what follows from these, which is asked for again and again."""
        singles, joint = self.entries.size, len(self.joint)
        vars(self).update(
            singles=singles,
            count=singles + joint,
            of_inputs=dict(runs(self.position)),
            divisors=np.concatenate([self.length, np.ones(joint)]) if joint else self.length,
        )

    @classmethod
    def of(
        cls, problem: Problem, entries: Mapping[int, Indices | None], joint: Sequence[ByInput] = ()
    ) -> Directions:
        """Return single entries of some inputs (all that can move, for ``None``), then joint directions."""
        position, index, length = [], [], []
        for i, chosen in entries.items():
            x = problem.value(i)
            every = movable(problem, i) if chosen is None else chosen
            position.append(np.full(every.size, i, dtype=np.intp))
            index.append(every)
            length.append(exact_displacement(x, problem.reach(i)).ravel()[every])
        if not position:
            nothing = np.empty(0, dtype=np.intp)
            return cls(nothing, nothing, np.empty(0), tuple(joint))
        if len(position) == 1:  # most functions that are checked have one small input
            return cls(position[0], index[0], length[0], tuple(joint))
        return cls(np.concatenate(position), np.concatenate(index), np.concatenate(length), tuple(joint))

    def some(self, which: Indices) -> Directions:
        """Return some of the directions; ``which`` ascends, so that those of an input stand together."""
        alone = which[which < self.singles]
        joint = tuple(self.joint[k - self.singles] for k in which[which >= self.singles].tolist())
        return Directions(self.position[alone], self.entries[alone], self.length[alone], joint)

    def with_joint(self, which: Indices, others: Sequence[ByInput]) -> Directions:
        """Return the same with other joint directions in the place of some."""
        joint = list(self.joint)
        for k, other in zip(which.tolist(), others, strict=True):
            joint[k - self.singles] = other
        return Directions(self.position, self.entries, self.length, tuple(joint))

    def project(self, gradients: ByInput) -> Array:
        """Return ``⟨g, d⟩`` for each direction."""
        return self.terms(gradients)[0]

    def spread(self, errors: ByInput) -> Array:
        """Return for each direction what independent errors of the gradients' entries amount to."""
        return self.terms(errors)[1]

    def terms(self, gradients: ByInput) -> tuple[Array, Array]:
        """Return ``⟨g, d⟩`` for each direction, and the norm of the terms that it is the sum of."""
        claim = np.empty(self.count)
        for i, here in self.of_inputs.items():
            claim[here] = gradients[i].ravel()[self.entries[here]] * self.length[here]
        size = np.abs(claim)
        for row, parts in enumerate(self.joint, start=self.singles):
            terms = [sum_and_norm(gradients[i], d) for i, d in parts.items()]
            claim[row], size[row] = sum(total for total, _ in terms), math.hypot(*(size for _, size in terms))
        return claim, size

    def by_input(self, problem: Problem, row: int) -> ByInput:
        """Return one direction as arrays of the inputs' shapes."""
        if row >= self.singles:
            return self.joint[row - self.singles]
        position = int(self.position[row])
        direction = np.zeros(problem.value(position).shape)
        direction.flat[self.entries[row]] = self.length[row]
        return {position: direction}

    def closer(self, problem: Problem) -> Directions | None:
        """Return the same, every entry on the scale of its own magnitude; ``None`` where it is already."""
        length = self.length.copy()
        for i, mine in self.of_inputs.items():
            x, own = problem.value(i), problem.own_magnitude(i)
            index = self.entries[mine]
            exact = exact_displacement(x, np.where(np.isfinite(own), own, 0.0)).ravel()[index]
            length[mine] = np.where(exact > 0, np.minimum(exact, length[mine]), length[mine])
        joint = [_clipped(problem, parts) for parts in self.joint]
        nearer = bool((length < self.length).any()) or any(
            bool((np.abs(new[i]) < np.abs(old[i])).any())
            for new, old in zip(joint, self.joint, strict=True)
            for i in old
        )
        return Directions(self.position, self.entries, length, tuple(joint)) if nearer else None

    def table(
        self,
        problem: Problem,
        upstreams: Array | None,
        *,
        noise: Array | None = None,
        keep: bool = False,
        displaced: Displaced | None = None,
    ) -> Table:
        """Return an empty table of these directions at the point, or at another; the rest as of `Table`."""
        output = problem.evaluate(dict(displaced)) if displaced else problem.output
        evaluate = self.evaluator(problem, displaced)
        return Table(self.count, evaluate, upstreams, output, problem.eps, noise=noise, keep=keep)

    def evaluator(self, problem: Problem, displaced: Displaced | None = None) -> Evaluate:
        """Return the function that a table of these directions calls: what the outputs change by at a step.

        Parameters
        ----------
        problem : Problem
            Whose forward is evaluated; of no more rows than it may be called for, in blocks.
        displaced : mapping of int to array, optional
            Another point: the inputs that differ from the problem's own.
        """
        base = dict(displaced or {})
        output = problem.evaluate(dict(base)) if base else problem.output

        def changes(which: Indices, step: float) -> Iterator[tuple[Indices, Array, Array]]:
            parts = [(True, which)]
            if self.joint:
                parts = [(True, which[which < self.singles]), (False, which[which >= self.singles])]
            for alone, part in parts:
                left = part
                while left.size:
                    rows = left[: self._at_once(problem, alone, output.size)]
                    if not rows.size:
                        return  # no further call is left
                    if alone:
                        place, far = (self.position[rows], self.entries[rows]), step * self.length[rows]
                        plus, minus = problem.evaluate_entries(*place, far, displaced=base)
                    else:
                        plus, minus = self._joint_sides(problem, rows, step, base)
                    if problem.pace.interrupted:
                        return
                    plus -= output  # f(x + h d) − f(x)
                    minus -= output
                    yield rows, plus, minus
                    del plus, minus  # before the next are evaluated: they are as large as the outputs
                    left = left[rows.size :]

        return changes

    def _at_once(self, problem: Problem, alone: bool, outputs: int) -> int:
        """Return how many rows are evaluated together: as many as memory holds, and time and calls allow."""
        if problem.source is not None:
            inputs = 0 if alone else sum(problem.value(k).size for k in problem.wrt)
            rows = LARGE // max(1, inputs + outputs)
        else:
            rows = BLOCK // max(1, outputs) if alone and outputs <= SHORT else 1
        in_time = max(problem.at_once, problem.pace.points_at_once) / 2
        return int(min(max(1, min(rows, in_time)), problem.calls_left // 2))

    def _joint_sides(
        self, problem: Problem, rows: Indices, step: float, base: Displaced
    ) -> tuple[Array, Array]:
        """Return the outputs on both sides along some joint directions, of shape ``(r, m)`` each."""

        # Not `Problem.moved`, which turns back at bounds: a side that is outside has to have no value.
        def sides(row: int) -> Iterator[Displaced]:
            direction = dict(self.joint[row - self.singles])  # made once for both
            for t in (step, -step):
                moved = {i: moved_by(base.get(i, problem.value(i)), d, t) for i, d in direction.items()}
                yield {**base, **moved}

        points = (point for row in rows.tolist() for point in sides(row))
        if problem.source is None:  # each is as large as the inputs: one after the other
            plus, minus = (problem.evaluate(point)[np.newaxis] for point in points)
            return plus, minus
        values = problem.evaluate_moves(InputMoves(tuple(points)))
        return values[0::2], values[1::2]


def _clipped(problem: Problem, parts: ByInput) -> ByInput:
    """Return a joint direction in which no entry moves farther than its own magnitude; tangents stay."""

    def clipped(i: int, d: Array) -> Array:
        own = problem.own_magnitude(i)
        return exact_displacement(problem.value(i), np.clip(d, -own, own))

    if isinstance(parts, StratumDirection):
        return parts.along(clipped(parts.position, parts.direction))
    held = problem.constraints.projections
    return {i: d if i in held else clipped(i, d) for i, d in parts.items()}


def movable(problem: Problem, i: int) -> Indices:
    """Return the flat indices of the entries of an input that are differentiated."""
    if i in problem.fixed:
        return np.flatnonzero(~problem.fixed[i])
    return np.arange(problem.value(i).size)


def count_movable(problem: Problem, i: int) -> int:
    """Return how many entries of an input are differentiated."""
    size = int(problem.value(i).size)
    return size - int(problem.fixed[i].sum()) if i in problem.fixed else size


def along_projections(
    problem: Problem, i: int, *, most: int | None = None, project: Callable[[Array], Array] | None = None
) -> Iterator[ByInput]:
    """Yield what each entry of an input does within its tangents: every direction once, on the input's scale.

    Parameters
    ----------
    problem : Problem
        The point.
    i : int
        An input that has tangents.
    most : int, optional
        How many entries to take.
    project : callable, optional
        Other tangents than its own: ``d -> d``.
    """
    reach, seen = problem.reach(i), set()
    for j in movable(problem, i)[:most]:
        entry = np.zeros(reach.shape)
        entry.flat[j] = reach.flat[j]
        d = problem.direction(i, entry) if project is None else project(entry)
        moves = float(np.max(np.abs(d) / reach))
        if moves <= ROUNDED:
            continue
        d = d / moves + 0.0  # no negative zeros
        if d.tobytes() not in seen:
            seen.add(d.tobytes())
            yield {i: d}
