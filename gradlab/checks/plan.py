r"""Along which directions a point is probed.

Of small inputs, of up to 1,000 entries, every entry is probed by itself: the table of differences is then
the Jacobian. Large ones are probed along random directions, whose number does not grow with the size. So
that entries of small gradients are not drowned by large ones, the entries are sorted into `strata` of similar
influence. That shows a change of any one entry, for all of them move. A relative error :math:`\delta` of many
cancels along it, to within ``rtol``, with a chance of about ``rtol`` / :math:`\delta`. So one more direction
moves all entries of all large inputs; where ``rtol`` is no fine one, every stratum has a second direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradlab.checks.claimed import Claimed
from gradlab.checks.criteria import default_rtol
from gradlab.checks.directions import ByInput, Directions, along_projections, count_movable
from gradlab.checks.strata import along_strata, another
from gradlab.errors import UsageError
from gradlab.point.problem import Problem

SMALL = 1000  # entries; up to here every entry is probed by itself
# In all calls that small inputs take: beside a large one, they are seldom worth more.
MOST_NUMBERS = 2**24
FINE = 1e-5  # rtol, up to which one direction a stratum is enough


@dataclass(frozen=True, eq=False)
class Plan:
    """Along which directions a point is probed.

    Attributes
    ----------
    directions : Directions
        The entries of some inputs, then random directions in the others.
    of_inputs : dict of int to slice
        Which of them move each input alone: they stand together.
    of_all : slice
        Which one moves all large inputs, if there are any.
    """

    directions: Directions
    of_inputs: Mapping[int, slice]
    of_all: slice


def plan(
    problem: Problem,
    claims: Claimed,
    *,
    rtol: float = 0.0,
    probes: str | None = None,
    seed: int,
) -> Plan:
    """Choose the directions along which every input is probed.

    Parameters
    ----------
    problem : Problem
        The point.
    claims : Claimed
        By which the entries of large inputs are sorted into strata.
    rtol : float
        The part of all influence below which an entry needs no stratum of its own.
    probes : {"entries", "directions", None}
        How; by size for ``None``.
    seed : int
        Draws the random directions.

    Raises
    ------
    UsageError
        When the tangents of an input leave no direction.
    """
    # Every entry of a small input; of a large one, or along tangents, directions in that input alone.
    size = {i: count_movable(problem, i) for i in claims.positions}
    singly = [i for i in size if probes == "entries" or (probes is None and problem.value(i).size <= SMALL)]
    if probes is None and _is_dear(problem, size, singly):  # directions tell less, but of all entries
        singly = [i for i in singly if size[i] == 1]
    by_entry = [i for i in singly if i not in problem.constraints.projections]
    nothing = dict.fromkeys(size, slice(0, 0))
    if len(by_entry) == len(size):
        directions = Directions.of(problem, dict.fromkeys(by_entry))
        return Plan(directions, {**nothing, **directions.of_inputs}, slice(0, 0))
    rng = np.random.default_rng((seed, 3))
    fine = max(rtol, default_rtol(problem.given_eps)) <= FINE
    joint: list[ByInput] = []
    rows: dict[int, slice] = {}  # of the joint directions, which move an input
    for i, count in size.items():
        first = len(joint)
        if i in singly and i in problem.constraints.projections:
            joint += along_projections(problem, i)
            if count and len(joint) == first:
                raise UsageError(f"tangents of {problem.names[i]} leave no direction at this point")
        elif i not in singly and count:
            joint += along_strata(claims, i, rtol, rng, twice=not fine)
        if len(joint) > first:
            rows[i] = slice(first, len(joint))
    large = {i: joint[some.start] for i, some in rows.items() if i not in singly and fine}
    together = {i: another(problem, i, along, rng) for i, along in large.items()}
    joint += [together] * bool(together)
    directions = Directions.of(problem, dict.fromkeys(by_entry), joint)
    single = directions.singles  # which stand first
    after = {i: slice(single + some.start, single + some.stop) for i, some in rows.items()}
    of_all = slice(directions.count - bool(together), directions.count)
    return Plan(directions, {**nothing, **after, **directions.of_inputs}, of_all)


def _is_dear(problem: Problem, size: Mapping[int, int], singly: Sequence[int]) -> bool:
    """Whether entries of small inputs take more calls than are left, or long ones beside a large input."""
    calls = 2 * sum([size[i] for i in singly])
    if len(singly) == len(size) or calls + 2 > problem.calls_left:
        return calls + 2 > problem.calls_left
    return calls * (sum(problem.value(i).size for i in size) + problem.output.size) > MOST_NUMBERS
