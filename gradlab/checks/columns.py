"""A claimed Jacobian against differences, for every output by itself.

Backward answers for one contraction of all outputs; a Jacobian, or a product with it, answers for each of
them, and one pair of calls of forward tests all. Along a direction ``d`` it claims ``J d``: of a small input,
column by column; of a sparse one, for many columns at once that share no output.

What one difference leaves open is differentiated as well as forward allows, and what is wrong then has to be
wrong along a second ladder, which shares no step with the first. Most outputs agree at once; only what does
not is kept, and calculated with in blocks, so that memory grows with that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gradlab.checks.criteria import COARSE, NOTHING, SHARP, UNMEASURED
from gradlab.checks.directions import ByInput, Directions
from gradlab.checks.jacobian import ACCURACY
from gradlab.checks.judge import FAR_STEP
from gradlab.checks.suspects import OTHER
from gradlab.checks.watched import BLOCK, Watched
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.extrapolation import RATIO
from gradlab.numerics.noise import rounding_of_values
from gradlab.numerics.table import usual_step
from gradlab.point.problem import Problem

_NONE = np.empty(0, dtype=np.intp)

Product = Callable[[Array], Array]


@dataclass(eq=False)
class Pairs:
    """Some pairs of a direction and an output, of a few directions that are evaluated together.

    Attributes
    ----------
    rows : Indices
        Shape ``(r,)``: which of all directions these are.
    watched : Watched
        What the outputs do along them.
    row, column : Indices
        Shape ``(p,)``: of each pair, the direction and the output, as ``watched`` counts them.
    claim, value, error_bar : Array
        Shape ``(p,)``: what the Jacobian claims, beside what forward shows.
    """

    rows: Indices
    watched: Watched
    row: Indices
    column: Indices
    claim: Array
    value: Array
    error_bar: Array

    @property
    def output(self) -> Indices:
        """The output of each pair."""
        return np.asarray(self.watched.outputs[self.column])

    @property
    def scale(self) -> Array:
        """What a difference is relative to: the larger side."""
        return np.asarray(np.fmax(np.abs(self.claim), np.nan_to_num(np.abs(self.value))))

    def narrowed(self, which: Mask) -> Pairs:
        """Return some of the pairs, which watch no more than they need."""
        rows, row = np.unique(self.row[which], return_inverse=True)
        columns, column = np.unique(self.column[which], return_inverse=True)
        numbers = (array[which] for array in (self.claim, self.value, self.error_bar))
        return Pairs(self.rows[rows], self.watched.narrowed(rows, columns), row, column, *numbers)

    def differentiated(
        self, watched: Watched, noise: Array, enough: Callable[[Array, Array, Array], Mask]
    ) -> tuple[Array, Array, Array]:
        """Return derivatives, error bars and kinks; ``enough(claim, value, error_bar)`` needs no better."""
        claims = np.full((self.rows.size, self.watched.outputs.size), np.nan)  # where there is no pair
        claims[self.row, self.column] = self.claim

        def known(part: slice, value: Array, bar: Array) -> Mask:
            return np.asarray(np.isnan(claims[:, part]) | enough(claims[:, part], value, bar))

        found = watched.differentiated(noise, rtol=ACCURACY, enough=known)
        value, bar, half_jump = (array[self.row, self.column] for array in found)
        return value, bar, half_jump


@dataclass(eq=False)
class Comparison:
    """What a Jacobian claims along some directions, beside what forward shows of its ``m`` outputs.

    Attributes
    ----------
    directions : Directions
        The displacements of the input.
    noise : Array
        Shape ``(m,)``: what the outputs may be off by, measured where it had to be.
    wrong : list of Pairs
        Where both sides certainly differ.
    open : int
        At how many pairs nothing can be told.
    needed : float
        The smallest ``rtol`` at which none of these would be open.
    small : int
        At how many what cannot be told is too small to matter; zeros that are right are none of them.
    kinked : bool
        Whether a kink was found, where any slope between both sides is right.
    """

    directions: Directions
    noise: Array
    wrong: list[Pairs] = field(default_factory=list)
    open: int = 0
    needed: float = 0.0
    small: int = 0
    kinked: bool = False


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
    if not judge.influence:
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
        self.problem, self.product, self.found, self.rtol = problem, product, found, rtol
        self._agreed = self._largest = 0.0
        self._rounding = found.noise.copy()

    @property
    def influence(self) -> float:
        """The largest agreement.

        Where every derivative vanishes, as at a minimum, what forward does nearby is all that there is.
        """
        return self._agreed or self._largest

    def one_difference(self, rows: Indices) -> Pairs:
        """Return the pairs of some directions that one difference does not settle."""
        problem, directions = self.problem, self.found.directions.some(rows)
        watched = Watched(problem, directions, np.arange(problem.output.size))
        claim = self._claims(directions.joint)
        step, kept = usual_step(problem.eps), []
        for part in watched.blocks():
            table = watched.table(part, self.found.noise)
            table.take(np.arange(rows.size), step)
            value = table.central(step)
            bar = np.where(np.isfinite(value), table.rounding(step), np.inf)
            sides = claim[:, part], value, bar
            self._learn(*sides)
            nearby = np.nan_to_num(table.secant(step), posinf=0.0)
            self._largest = max(self._largest, float(nearby.max(initial=0.0)))
            row, column = np.nonzero(~self._settled(*sides))
            kept.append((row, column + part.start, *(side[row, column] for side in sides)))
        row, column, claims, values, bars = (np.concatenate(arrays) for arrays in zip(*kept, strict=True))
        pairs = Pairs(rows, watched, row, column, claims, values, bars)
        return pairs.narrowed(np.ones(row.size, dtype=bool))

    def two_differences(self, pairs: Pairs) -> None:
        """Take the leading term of truncation away."""
        pairs.value = pairs.watched.two_differences()[pairs.row, pairs.column]
        pairs.error_bar = pairs.error_bar / (1 - RATIO**2)
        self._learn(pairs.claim, pairs.value, pairs.error_bar)

    def doubtful(self, given: Sequence[Pairs]) -> list[Pairs]:
        """Return the pairs that are not settled."""
        return _narrowed(given, lambda pairs: ~self._settled(pairs.claim, pairs.value, pairs.error_bar))

    def depending(self, given: Sequence[Pairs]) -> list[Pairs]:
        """Return the pairs whose output a very long step moves, or which claim that something does."""

        def moves(pairs: Pairs) -> Mask:
            sides = pairs.watched.sides(np.arange(pairs.rows.size), FAR_STEP)
            still = [side[pairs.row, pairs.column] == 0 for side in sides]
            return np.asarray(~(still[0] & still[1] & (pairs.claim == 0)))

        return _narrowed(given, moves)

    def unsettled(self, pairs: Pairs) -> Mask:
        """Return which pairs are not right even as well as forward can be differentiated.

        Noise that was measured because of others does not count here, so that each stands for itself.
        """
        value, bar, half_jump = pairs.differentiated(pairs.watched, self._rounding, self._agrees_or_is_small)
        sides = pairs.claim, value, bar
        right = self._narrow(*sides) & ~self._differs(*sides) & (half_jump == 0)
        return np.asarray(~self._settled(*sides, right))

    def decide(self, pairs: Pairs) -> None:
        """Decide what pairs are, now that noise is known."""
        value, bar, half_jump = pairs.differentiated(
            pairs.watched, self.found.noise, self._agrees_or_is_small
        )
        kinked = half_jump > 0
        told = self._narrow(pairs.claim, value, bar) | (kinked & (bar <= COARSE * half_jump))
        # At a kink, any slope between those on both sides is right.
        pairs.value, pairs.error_bar = value, bar + half_jump
        sides = pairs.claim, pairs.value, pairs.error_bar
        wrong, small = self._differs(*sides), self._is_small(*sides)
        if wrong.any():
            suspects = pairs.narrowed(wrong)
            agrees, also_told = self._looked_at_again(suspects)
            told[wrong] &= ~agrees | also_told
            wrong[wrong] = ~agrees
        undecided = ~(told | small | wrong)
        found = self.found
        found.kinked |= bool(kinked.any())
        found.small += int((small & ~told & ~wrong).sum())
        found.open += int(undecided.sum())
        # Either the error bar is narrow enough, or what it may hide too small to matter.
        hidden = (np.abs(pairs.claim) + np.abs(pairs.value) + pairs.error_bar) / self.influence
        needed = np.nan_to_num(np.fmin(pairs.error_bar / pairs.scale, hidden), nan=np.inf)[undecided]
        found.needed = max(found.needed, float(needed.max(initial=0.0)))
        if wrong.any():
            found.wrong.append(pairs.narrowed(wrong))
            found.wrong[-1].watched.forget_ladder()

    def _looked_at_again(self, suspects: Pairs) -> tuple[Mask, Mask]:
        """Return which suspects agree along another ladder, and of which that tells enough.

        It shares no step with the first, and is from close by, every unknown on the scale of its own
        magnitude: a function of unknowns of very different sizes may vary on a scale that a step never is.
        """
        directions = suspects.watched.directions.closer(self.problem) or suspects.watched.directions
        scaled = [{i: OTHER * d[i] for i in d} for d in directions.joint]
        claim = self._claims(scaled)[suspects.row, suspects.output]
        watched = Watched(self.problem, Directions.of(self.problem, {}, scaled), suspects.watched.outputs)
        found = suspects.differentiated(watched, self.found.noise, lambda c, v, b: np.zeros(v.shape, bool))
        value, bar, half_jump = found
        sides = claim, value, bar + half_jump
        return ~self._differs(*sides), self._narrow(*sides) | (half_jump > 0)

    def _claims(self, directions: Sequence[ByInput]) -> Array:
        """Return ``J d`` for some directions, shape ``(r, m)``."""
        return np.stack([np.asarray(self.product(vector(d)), dtype=np.float64).ravel() for d in directions])

    def _learn(self, claim: Array, value: Array, bar: Array) -> None:
        agreed = np.where(self._agrees(claim, value, bar), np.abs(claim), 0.0)
        self._agreed = max(self._agreed, float(agreed.max(initial=0.0)))
        self._largest = max(self._largest, float(_size(claim, value).max(initial=0.0)))

    def _settled(self, claim: Array, value: Array, bar: Array, right: Mask | bool = False) -> Mask:
        """Return where both sides agree, or are too small to matter, and count the latter."""
        agrees, small = right | self._agrees(claim, value, bar), self._is_small(claim, value, bar)
        self.found.small += int((small & ~agrees & ((claim != 0) | (value != 0))).sum())
        return agrees | small

    def _agrees_or_is_small(self, claim: Array, value: Array, bar: Array) -> Mask:
        return self._agrees(claim, value, bar) | self._is_small(claim, value, bar)

    def _agrees(self, claim: Array, value: Array, bar: Array) -> Mask:
        size = _size(claim, value)
        close = np.abs(claim - value) <= self.rtol * size
        return np.asarray(close & (bar <= UNMEASURED * SHARP * self.rtol * size))

    def _is_small(self, claim: Array, value: Array, bar: Array) -> Mask:
        """Return what is too small to matter, unless it certainly differs."""
        small = np.abs(claim) + np.abs(value) + bar <= self.rtol * self.influence
        return np.asarray(small & ~self._differs(claim, value, bar))

    def _narrow(self, claim: Array, value: Array, bar: Array) -> Mask:
        return np.asarray(bar <= max(COARSE, self.rtol) * _size(claim, value))

    def _differs(self, claim: Array, value: Array, bar: Array) -> Mask:
        # A claim that vanishes is a rounding of the largest, and so may what forward shows be.
        nothing = NOTHING * self.problem.given_eps * self.influence
        allowed = bar + self.rtol * _size(claim, value) + np.where(np.abs(value) <= bar, nothing, 0.0)
        return np.asarray(np.isfinite(bar) & (np.abs(claim - value) > allowed))


def _size(claim: Array, value: Array) -> Array:
    return np.asarray(np.fmax(np.abs(claim), np.nan_to_num(np.abs(value))))


def vector(direction: ByInput) -> Array:
    """Return a direction in one input as a vector."""
    (d,) = direction.values()
    return np.asarray(d, dtype=np.float64).ravel()


def _narrowed(given: Sequence[Pairs], which: Callable[[Pairs], Mask]) -> list[Pairs]:
    """Return some of the pairs, without those directions of which none is left."""
    found = []
    for pairs in given:
        kept = which(pairs)
        if kept.all() and kept.size:
            found.append(pairs)
        elif kept.any():
            found.append(pairs.narrowed(kept))
    return found
