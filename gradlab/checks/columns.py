"""A claimed Jacobian against differences, for every output by itself.

Backward answers for one contraction of all outputs; a Jacobian, or a product with it, answers for each of
them, and one pair of calls of forward tests all. Along a direction ``d`` it claims ``J d``: of a small input,
column by column; of a sparse one, for many columns at once that share no output.

What one difference leaves open is differentiated as well as forward allows, and what is wrong then is judged
as a gradient is, output by output; of a sparse Jacobian, it has to be wrong along a second ladder. Most agree
at once; only what does not is kept, and calculated with in blocks, so that memory grows with that alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gradlab.checks.criteria import Criteria
from gradlab.checks.directions import ByInput, Directions
from gradlab.checks.jacobian_claims import JacobianClaims, Product, vector
from gradlab.checks.judge import FAR_STEP, judge
from gradlab.checks.pairs import Comparison, Pairs, alone, moves_one_each, narrowed
from gradlab.checks.rows import Sides
from gradlab.checks.suspects import OTHER, TRIED
from gradlab.checks.vanishing import INSISTED, look_harder, nothing_was_seen
from gradlab.checks.watched import BLOCK, Watched
from gradlab.checks.widths import COARSE, UNMEASURED
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.extrapolation import RATIO
from gradlab.numerics.rounding import rounding_of_values
from gradlab.numerics.step_sizes import usual_step
from gradlab.point.problem import Problem

_NONE = np.empty(0, dtype=np.intp)


def compare_columns(problem: Problem, product: Product, directions: Directions, *, rtol: float) -> Comparison:
    """Compare ``J d`` with what forward does along each direction.

    Parameters
    ----------
    problem : Problem
        The point, with one input.
    product : callable
        ``product(d) -> J d``, of vectors.
    directions : Directions
        The directions ``d``, all of them joint.
    rtol : float
        The relative difference that the caller does not care about.
    """
    found = Comparison(directions, UNMEASURED * rounding_of_values(problem.output, problem.eps))
    judge = _Judge(problem, product, found, rtol)
    doubtful = [judge.one_difference(rows) for rows in _few(directions.count, problem.output.size)]
    doubtful = judge.doubtful(doubtful)
    for pairs in doubtful:
        judge.two_differences(pairs)
    doubtful = judge.doubtful(doubtful)
    if not judge.criteria.largest_influence:
        doubtful = judge.depending(doubtful)
    outputs = np.unique(np.concatenate([pairs.output for pairs in doubtful])) if doubtful else _NONE
    while doubtful:
        pairs = doubtful.pop()  # so that what was evaluated along these directions is not kept
        unsettled = judge.unsettled(pairs)
        if not unsettled.any():
            continue
        if outputs.size:  # only now noise is worth its calls
            judge.found.noise[outputs] = problem.noise_of(outputs)
            outputs = _NONE
        judge.decide(pairs.narrowed(unsettled))
    if not judge.criteria.largest_agreed and not found.wrong and not found.open:
        judge.insist()
    return found


def _few(directions: int, outputs: int) -> Iterator[Indices]:
    """Yield the numbers of directions that are evaluated together: at large outputs, one at a time."""
    size = max(1, BLOCK // max(1, outputs))
    for start in range(0, directions, size):
        yield np.arange(start, min(start + size, directions))


class _Judge:
    """Settles pairs of a direction and an output; what agrees is what the others are measured by.

    Parameters
    ----------
    problem : Problem
        The point.
    product : callable
        ``product(d) -> J d``.
    found : Comparison
        Where the result is collected.
    rtol : float
        The relative difference that the caller does not care about.
    """

    def __init__(self, problem: Problem, product: Product, found: Comparison, rtol: float) -> None:
        self.problem, self.product, self.found = problem, product, found
        self.criteria, self._movement = Criteria(problem, rtol=rtol, atol=0.0), np.zeros(1)

    def one_difference(self, rows: Indices) -> Pairs:
        """Return the pairs of some directions that one difference does not settle."""
        problem, directions = self.problem, self.found.directions.some(rows)
        watched = Watched(problem, directions, np.arange(problem.output.size))
        claim = self._claims(directions.joint)
        step, kept = usual_step(problem.eps), []
        for part in watched.blocks():
            table = watched.table(part)
            table.take(np.arange(rows.size), step)
            value = table.central(step)
            bar = np.where(np.isfinite(value), table.rounding(step), np.inf)
            sides = Sides(claim[:, part], value, bar)
            self._movement = np.fmax(self._movement, table.movement(step).max(initial=0.0))
            self.criteria.learn(sides, self.criteria.agrees_to_rtol(sides), self._movement)
            row, column = np.nonzero(~self._settled(sides))
            both = sides.claim, sides.value, sides.error_bar
            kept.append((row, column + part.start, *(side[row, column] for side in both)))
        row, column, claims, values, bars = (np.concatenate(arrays) for arrays in zip(*kept, strict=True))
        pairs = Pairs(claims, values, bars, rows, watched, row, column)
        return pairs.narrowed(np.ones(row.size, dtype=bool))

    def two_differences(self, pairs: Pairs) -> None:
        """Take the leading term of truncation away."""
        pairs.value = pairs.watched.two_differences()[pairs.row, pairs.column]
        pairs.error_bar = pairs.error_bar / (1 - RATIO**2)
        self.criteria.learn(pairs, self.criteria.agrees_to_rtol(pairs), self._movement)

    def doubtful(self, given: Sequence[Pairs]) -> list[Pairs]:
        """Return the pairs that are not settled."""
        return narrowed(given, lambda pairs: ~self._settled(pairs))

    def depending(self, given: Sequence[Pairs]) -> list[Pairs]:
        """Return the pairs whose output a very long step moves, or which claim that something does."""

        def moves(pairs: Pairs) -> Mask:
            sides = pairs.watched.sides(np.arange(pairs.rows.size), FAR_STEP)
            still = [side[pairs.row, pairs.column] == 0 for side in sides]
            return np.asarray(~(still[0] & still[1] & (pairs.claim == 0)))

        return narrowed(given, moves)

    def unsettled(self, pairs: Pairs) -> Mask:
        """Return which pairs are not right even as well as forward can be differentiated.

        Noise that was measured because of others does not count here, so that each stands for itself.
        """
        rounding = rounding_of_values(self.problem.output[pairs.watched.outputs], self.problem.eps)
        # Of many outputs, one is off by more than its rounding, and would lead all of them to shorter steps.
        half_jump = pairs.differentiate(UNMEASURED * rounding, self.criteria)
        return ~self._settled(pairs, self.criteria.agrees(pairs) & (half_jump == 0), room=1)

    def decide(self, pairs: Pairs) -> None:
        """Decide what pairs are, now that noise is known."""
        half_jump = pairs.differentiate(self.found.noise[pairs.watched.outputs], self.criteria)
        kinked = half_jump > 0
        told = self.criteria.tells(pairs) | (kinked & (pairs.error_bar <= COARSE * half_jump))
        pairs.error_bar += half_jump  # at a kink, any slope between those on both sides is right
        wrong, small = self.criteria.differs(pairs), self.criteria.is_small(pairs)
        if wrong.any():
            told[wrong], wrong[wrong] = self._judged(pairs.narrowed(wrong))
        undecided = ~(told | small | wrong)
        found = self.found
        found.kinked |= bool(kinked.any())
        found.small += int((small & ~told & ~wrong).sum())
        found.open += int(undecided.sum())
        found.needed = max(found.needed, self.criteria.deciding_rtol(pairs, undecided))
        if wrong.any():
            found.wrong.append(pairs.narrowed(wrong))
            found.wrong[-1].watched.forget_ladder()

    def _judged(self, suspects: Pairs) -> tuple[Mask, Mask]:
        """Return which suspects are right, and which wrong.

        Of single unknowns as the judge says who looks at each output, those first that differ most, relative
        to their size. If all of these are wrong, so are the others; else those are told neither.
        """
        if not moves_one_each(suspects.watched.directions):
            return self._looked_at_again(suspects)
        right, wrong = np.zeros((2, suspects.claim.size), dtype=bool)
        worst = np.argsort(-suspects.gap / suspects.size, kind="stable")[:TRIED]
        for k in dict.fromkeys(suspects.column[worst].tolist()):
            mine = np.sort(worst[suspects.column[worst] == k])
            upstream = np.zeros((1, self.problem.output.size))
            upstream[0, suspects.watched.outputs[k]] = 1.0
            along = alone(suspects.watched.directions.some(suspects.row[mine]))
            rows = judge(self.criteria, along, JacobianClaims(self.problem, self.product, upstream))
            right[mine], wrong[mine] = rows.right, rows.wrong
        wrong |= wrong[worst].all()
        return right, wrong

    def _looked_at_again(self, suspects: Pairs) -> tuple[Mask, Mask]:
        """Return which suspects agree along another ladder that tells enough, and which differ there, too.

        Of many unknowns that move together, the judge would take more calls than are given. The ladder shares
        no step with the first, and is from close by, every unknown on the scale of its own magnitude: a
        function of unknowns of very different sizes may vary on a scale that a step never is.
        """
        directions = suspects.watched.directions.closer(self.problem) or suspects.watched.directions
        scaled = [{i: OTHER * d[i] for i in d} for d in directions.joint]
        outputs = suspects.watched.outputs
        watched = Watched(self.problem, Directions.of(self.problem, {}, scaled), outputs)
        again = replace(suspects, claim=self._claims(scaled)[suspects.row, suspects.output], watched=watched)
        half_jump = again.differentiate(self.found.noise[outputs], self.criteria)
        again.error_bar += half_jump
        differs = self.criteria.differs(again)
        return ~differs & (self.criteria.tells(again) | (half_jump > 0)), differs

    def insist(self) -> None:
        """Look harder where nothing was seen of any entry: it is zero, or was too small to tell."""
        directions = self.found.directions.some(np.arange(self.found.directions.count)[:INSISTED])
        claims = JacobianClaims(self.problem, self.product, self.problem.grad_output[np.newaxis])
        criteria, all_ = Criteria(self.problem, rtol=self.criteria.rtol, atol=0.0), slice(0, directions.count)
        rows = judge(criteria, alone(directions) if moves_one_each(directions) else directions, claims)
        if nothing_was_seen(rows, all_):
            look_harder(criteria, rows, all_)
        doubtful = int((rows.open | rows.wrong).sum())  # in which output, is not known
        if doubtful:
            self.found.open, self.found.needed = doubtful, np.inf

    def _claims(self, directions: Sequence[ByInput]) -> Array:
        """Return ``J d`` for some directions, shape ``(r, m)``."""
        return np.stack([np.asarray(self.product(vector(d)), dtype=np.float64).ravel() for d in directions])

    def _settled(self, sides: Sides, right: Mask | bool = False, room: float = UNMEASURED) -> Mask:
        """Return where both sides agree, or are too small to matter, and count the latter.

        What is settled is not looked at again once noise is known: hence the room for it in error bars.
        """
        agrees = right | self.criteria.agrees_to_rtol(sides)
        small = ~agrees & self.criteria.is_small(sides, factor=room)
        self.found.small += int((small & (sides.size > 0)).sum())
        return agrees | small
