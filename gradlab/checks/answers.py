"""Several answers of backward or jvp: what they are asked for, and when they are the same, and linear.

"The same" is meant up to rounding: a sum may be taken in another order, and an answer that vanishes because
terms cancel is nothing but rounding.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.checks.maps import Answer, LinearMap
from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.numerics.places import GOLDEN
from gradlab.numerics.rounding import rounding_beside_one
from gradlab.numerics.scales import blocks
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.values import reversed_in_memory

U, C = -2.0, 0.5  # whose sum is not 1, so that a constant term shows
SAME = 1e-2  # times the square root of a rounding of the largest entry: 1.5e-10 in float64
FEW = 8  # roundings of it, where these are more: of what backward computes, and of the sum of two answers
ELSEWHERE = 0.3  # times the scale of an entry: another point
SMALLER = 0.6 + 0.3 * (GOLDEN * np.arange(1, 1001) % 1.0)  # times that, no two alike: likewise
ALTERNATING = np.where(np.arange(1000) % 2, SMALLER, -SMALLER)
SMALL_PART = 1e-3  # of an output or answer: what another layout, or a cache, makes of it by mistake is more
CANCELLED = 64  # times what an answer scatters by: what may be left where terms cancel
# Roundings of the outputs, an influence: where an entry is 30 times as large as what it varies over, as that
# of a softmax, terms that cancel leave as many more. At 64, one of 200 confident ones was called nonlinear.
UNSEEN = 4096


@dataclass(frozen=True)
class FurtherAnswers:
    """What backward or jvp returned when it was called first, and in the two calls after that.

    Attributes
    ----------
    linear : LinearMap
        Which of them.
    first : dict of int to Array
        For the argument ``u``.
    uniform, combined : dict of int to Array
        For a uniform ``w`` and for ``U u + C w``, where they are finite.
    again : dict of int to Array
        For ``u`` once more, where one of these is not.
    right : set of int
        Where the three fit together to within rounding of their largest entry: of these nothing is kept.
    """

    linear: LinearMap
    first: Answer
    uniform: Answer
    combined: Answer
    again: Answer
    right: AbstractSet[int]


def forward_elsewhere(problem: Problem) -> None:
    """Call forward at another point: what backward needs of the first must not be lost by that.

    There, not only values are others: so are signs, and which is the largest, that a mask or an index keeps.
    But each entry is about as large as it was: what converges at the one point should at the other.
    """
    for turned in (True, False):
        with contextlib.suppress(RuleRaised, UsageError):  # it may have no value there
            there = {
                i: _turned_over(problem, i, k) if turned else _moved_on(problem, i)
                for k, i in enumerate(problem.wrt)
            }
            problem.call_forward(there)
            return


def _turned_over(problem: Problem, i: int, k: int) -> npt.NDArray[Any]:
    """Return the ``k``-th input with smaller entries, by unequal parts; of other signs, if it has both.

    By which no norm and no even function stays the same, and nothing leaves a domain that holds the input. Of
    every other input, only every other entry has another sign, so that those of products change, too.
    """
    x = problem.value(i)
    nonzero, negative = np.count_nonzero(x), np.count_nonzero(x < 0)
    if i in problem.constraints.projections or not nonzero:
        return _moved_on(problem, i)
    factors = SMALLER if not 0 < negative < nonzero else ALTERNATING if k % 2 else -SMALLER
    factors = factors[: x.size] if x.size <= factors.size else np.resize(factors, x.size)
    there = np.asarray(factors.reshape(x.shape) * x, dtype=x.dtype)
    if nonzero < x.size:
        there = np.where(x == 0, _moved_on(problem, i), there)
    if i in problem.fixed:
        there = np.where(problem.fixed[i], x, there)
    return problem.constraints.boxes[i].clipped(there) if i in problem.constraints.boxes else there


def _moved_on(problem: Problem, i: int) -> npt.NDArray[Any]:
    """Return an input whose entries all move by a part of their scales."""
    return problem.moved({i: problem.direction(i, ELSEWHERE * problem.reach(i))}, 1.0)[i]


def mere_noise(problem: Problem) -> Array:
    """Return what outputs may be off by that are nothing but rounding themselves; zero of the others."""
    noise = problem.given_noise
    return np.where(np.abs(problem.output) <= CANCELLED * noise, noise, 0.0)


def asked_backwards(linear: LinearMap, k: int) -> Array | None:
    """Return an answer once more, of an argument that is reversed in memory, where that is taken."""
    try:
        return linear.ask(linear.vector, finite=False, layout=reversed_in_memory).get(k)
    except RuleRaised:
        return linear.ask(linear.vector, finite=False).get(k)


def may_differ(eps: float) -> float:
    """Return by how much of their largest entry two answers may differ."""
    return max(SAME * math.sqrt(eps), FEW * eps)


def fit_together(one: Array, other: Array, combined: Array, rtol: float) -> bool:
    """Whether ``U one + C other`` is the combined answer, relative to the largest entry of that."""
    one, other, combined = one.ravel(), other.ravel(), combined.ravel()
    off = largest = 0.0
    for block in blocks(one.size):
        expected = U * one[block]
        expected += C * other[block]
        largest = max(largest, _largest(expected))
        expected -= combined[block]
        off = max(off, _largest(expected))
        if not off < math.inf:
            return False  # an overflow tells nothing
    return off <= rtol * largest


def _largest(x: Array) -> float:
    size = float(np.abs(x).max())
    return math.inf if math.isnan(size) else size


class Allowed:
    """By how much two answers about the input or output ``k`` may differ."""

    def __init__(self, linear: LinearMap, k: int, *, floor: float, rounding: Callable[[int], Array]) -> None:
        self.linear, self.k, self.rounding = linear, k, rounding
        self.scale = linear.to_influence(k)
        self.same = may_differ(linear.problem.given_eps)
        self.floor = floor / self.scale

    def differ(self, one: Array, other: Array, *terms: Array, of_others: bool = False) -> int | None:
        """Return where two answers differ by more than rounding can, or ``None``.

        Parameters
        ----------
        one, other : Array
            The answers, of one shape.
        *terms : Array
            What they are sums of, where they are sums.
        of_others : bool
            Whether they are those for other arguments, which are rounded in other ways; else they differ only
            where sums are taken in another order.
        """
        if not one.size:
            return None
        sizes = [np.abs(term).max(initial=0.0, where=np.isfinite(term)) for term in (one, other, *terms)]
        size = float(max(sizes))
        excess = np.abs(one - other) - self.same * size - self.floor
        # Where no call is left to see what forward is off by, any answer may be nothing but such roundings.
        part = 1.0 if self.linear.problem.calls_left < 1 else 0.0 if of_others else SMALL_PART
        excess -= np.fmin(self._roundings_of_one() / self.scale, part * size)
        excess = np.where(np.isnan(excess), np.inf, excess)
        # What takes more to find out is asked for only where it decides.
        others = (self._rounding_of_outputs, self._noise_of_outputs) if of_others else (self._mere_noise,)
        for allowed in (self._scatter, *others):
            if not (excess > 0).any():
                return None
            excess -= allowed() / self.scale
        return int(np.argmax(excess)) if (excess > 0).any() else None

    def _scatter(self) -> float:
        """Return what may be left where terms cancel: of one size, though at some entries it is none."""
        return CANCELLED * float((self.rounding(self.k) * self.scale).max(initial=0.0))

    def _roundings_of_one(self) -> float:
        """Return what terms as large as 1 are rounded by, such as those of ``p - 1`` where ``p`` is nearly 1.

        Inputs that move by a rounding do not show it. What is another answer differs by more of its size.
        """
        problem = self.linear.problem
        if self.linear.role != "backward":
            return CANCELLED * problem.given_eps
        largest = float(np.abs(self.linear.vector).max(initial=0.0))
        rounding = float(rounding_beside_one(problem.output, problem.given_eps).max(initial=0.0))
        return CANCELLED * largest * rounding

    def _rounding_of_outputs(self) -> float:
        """Return what the outputs are rounded by that the answers weigh: forward shows no less of these.

        In ``p (u - Σ u p)``, the gradient of a softmax, it is rounded as ``u`` is, however small ``p`` is.
        """
        return UNSEEN * self.linear.problem.given_eps * self._weighed(np.abs(self.linear.problem.output))

    def _noise_of_outputs(self) -> float:
        """Return the same, of what the outputs may be off by more than that."""
        return CANCELLED * self._weighed(self.linear.problem.given_noise)

    def _mere_noise(self) -> float:
        """Return the same, of outputs that are nothing but rounding: sums in another order are others."""
        return CANCELLED * self._weighed(mere_noise(self.linear.problem))

    def _weighed(self, outputs: Array) -> float:
        u, w = self.linear.vector, self.linear.uniform
        if self.linear.role == "backward":
            return float(((np.abs(U * u) + np.abs(C * w)) * outputs).sum())
        return float(outputs.max(initial=0.0))
