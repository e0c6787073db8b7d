"""Evidence at other points, where what holds by accident at the first one does not."""

from __future__ import annotations

import numpy as np

from gradlab.checks.directions import Directions
from gradlab.checks.evidence import JOINT_DIRECTIONS, Evidence, gather, joint_directions
from gradlab.numerics import Array
from gradlab.numerics.scales import exact_displacement, random_direction
from gradlab.point.problem import Problem

# One other point is enough, unless at most LITTLE derivatives at the first are certainly not zero.
LITTLE, SEVERAL = 6, 3
# How far away the others are, relative to each number: between these two, and if forward has no value there,
# between the next two. Farther away, an iteration may no longer end.
DISTANCES = ((0.02, 0.06), (1e-3, 3e-3))
# How far equal entries are moved apart, on their scale, and if forward has no value there.
APART = (0.1, 1e-3)


def nearby(first: Evidence, rng: np.random.Generator) -> list[Evidence]:
    """Return evidence at points nearby; an empty list where forward or backward gives no numbers there."""
    found = (_another(first, rng) for _ in range(1 if first.clear > LITTLE else SEVERAL))
    return [e for e in found if e is not None]


def mirrored(first: Evidence, rng: np.random.Generator) -> Evidence | None:
    """Return evidence where the input has the opposite sign; ``None`` where forward has no value there.

    At numbers of one sign, a forgotten absolute value looks like a sign or a factor.
    """
    problem, position = first.problem, first.position
    displaced = {position: -problem.value(position)}
    directions = _own_scale(problem, position, rng, at=displaced[position])
    found = gather(problem, position, directions, displaced=displaced, rtol=first.rtol)
    return found if found is not None and _same_shape(first, found) else None


def apart(problem: Problem, position: int, *, rtol: float) -> Evidence | None:
    """Return evidence where the entries of one input, equal ones and zeros too, are moved apart."""
    rng = np.random.default_rng(3)
    values = problem.value(position)
    for distance in APART:
        shift = problem.direction(position, random_direction(values, rng, problem.reach(position)))
        displaced = problem.moved({position: shift}, distance)
        joint = joint_directions(problem, position, rng)
        directions = Directions.of(problem, {}, joint)
        found = gather(problem, position, directions, displaced=displaced, rtol=rtol)
        if found is not None:
            return found
    return None


def _another(first: Evidence, rng: np.random.Generator) -> Evidence | None:
    """Move every differentiated input by some part of its own magnitude, so that its sign stays.

    Zeros become positive, where forward has a value there.
    """
    problem, position = first.problem, first.position
    for least, most in DISTANCES:
        for zeros_too in (True, False):
            shift = {}
            for i in problem.wrt:
                x = problem.value(i)
                zeros = problem.scale(i) * (x == 0) if zeros_too else 0.0
                shift[i] = problem.direction(i, (x + zeros) * rng.uniform(least, most, x.shape))
            displaced = problem.moved(shift, 1.0)
            directions = _own_scale(problem, position, rng, at=displaced[position])
            found = gather(problem, position, directions, displaced=displaced, rtol=first.rtol)
            if found is not None:
                return found if _same_shape(first, found) else None
    return None


def _own_scale(problem: Problem, position: int, rng: np.random.Generator, *, at: Array) -> Directions:
    """Return joint directions that move each entry by its own magnitude, and so within most domains."""
    x = problem.value(position)
    size = np.where(x == 0, problem.scale(position), np.abs(x))
    drawn = (random_direction(np.ones(x.shape), rng) for _ in range(JOINT_DIRECTIONS))
    joint = [{position: problem.direction(position, exact_displacement(x, d * size), at=at)} for d in drawn]
    return Directions.of(problem, {}, joint)


def _same_shape(one: Evidence, other: Evidence) -> bool:
    """Whether backward returned gradients of the same shape at both points."""
    return one.returned_shape(one.position) == other.returned_shape(other.position)
