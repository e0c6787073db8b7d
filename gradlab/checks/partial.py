"""Gradients that are right in part: along the directions in which an input may move, or of one output.

A matrix that is always symmetric has many right gradients, which agree along symmetric directions, and only
one that agrees along all: which of its two triangles forward reads decides. The same holds for unit vectors
and probabilities. Nothing of it is guessed: the gradient is compared along such directions alone, at the
point and at another that keeps to the constraint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from gradlab import tangents
from gradlab.checks.directions import Directions, along_projections
from gradlab.checks.evidence import FEW_ENTRIES, LARGE, MORE_THAN_CONSTANTS, MOST_ENTRIES, Evidence, gather
from gradlab.checks.locate import Region
from gradlab.numerics import Array, Indices
from gradlab.numerics.scales import random_direction
from gradlab.report import Cause

KEPT = 1e-12  # relative: how nearly a point has to keep to a constraint
BESIDE = 0.03  # of the scale: how far away the other point is


@dataclass(frozen=True)
class Constraint:
    """What a point may happen to be, and what it then may be meant to be.

    Attributes
    ----------
    name : str
        Of the projection in `gradlab.tangents`.
    holds : callable
        Whether an array keeps to it.
    only : str
        Along which directions a gradient is right; ``{}`` stands for the input's name.
    always : str
        What the input then is meant to be.
    back : callable
        ``back(moved, x)``: the nearest point that keeps to the constraint, beside one that moved along it.
    """

    name: str
    holds: Callable[[Array], bool]
    only: str
    always: str
    back: Callable[[Array, Array], Array] = lambda moved, x: moved


def _is_symmetric(x: Array) -> bool:
    square = x.ndim >= 2 and x.shape[-1] == x.shape[-2] > 1
    return square and bool(np.abs(x - np.swapaxes(x, -1, -2)).max() <= KEPT * np.abs(x).max())


def _is_triangular(x: Array) -> bool:
    if x.ndim < 2 or x.shape[-1] < 2 or x.shape[-2] < 2:
        return False
    return bool(np.any(x) and (not np.triu(x, 1).any() or not np.tril(x, -1).any()))


def _is_unit(x: Array) -> bool:
    return bool(
        x.ndim and x.shape[-1] > 1 and np.allclose((x * x).sum(axis=-1), 1, rtol=KEPT * x.shape[-1], atol=0)
    )


def _is_simplex(x: Array) -> bool:
    sums = bool(
        x.ndim and x.shape[-1] > 1 and np.allclose(x.sum(axis=-1), 1, rtol=KEPT * x.shape[-1], atol=0)
    )
    return sums and bool((x >= 0).all())


def _of_the_same_length(moved: Array, x: Array) -> Array:
    length = [np.linalg.norm(v, axis=-1, keepdims=True) for v in (x, moved)]
    return np.asarray(moved * (length[0] / length[1]))


CONSTRAINTS = (
    Constraint("symmetric", _is_symmetric, "symmetric directions", "symmetric"),
    Constraint("triangular", _is_triangular, "directions inside the triangle of {}", "triangular"),
    Constraint("simplex", _is_simplex, "directions that keep the sum of {}", "a probability"),
    Constraint(
        "unit", _is_unit, "directions that keep the length of {}", "of unit length", _of_the_same_length
    ),
)


def right_on_constraint(e: Evidence, region: Region | None) -> Cause | None:
    """See whether the gradient is right along all directions that keep the point what it happens to be."""
    if e.gradients is None or e.paired or e.position in e.problem.constraints.projections or e.is_right():
        return None
    for constraint in CONSTRAINTS:
        x = e.value(e.position)
        if not constraint.holds(x):
            continue
        here = _along(e, constraint, x)
        if here is None or here.clear < MORE_THAN_CONSTANTS or not here.is_right():
            continue
        project = getattr(tangents, constraint.name)
        shift = project(x, random_direction(x, np.random.default_rng(4)))
        beside = _along(e, constraint, constraint.back(x + BESIDE * shift, x))
        if beside is None or not beside.is_right():
            continue
        reads = f"; forward reads {_triangle_read(e)}" if constraint.name == "symmetric" else ""
        message = (
            f"gradient of {e.name} is right along {constraint.only.format(e.name)} only{reads}: where "
            f"{e.name} is always {constraint.always}, check it with "
            f"tangents={{{e.name!r}: gradlab.tangents.{constraint.name}}}"
        )
        return Cause("right-on-constraint", message, e.name)
    return None


def triangle_only(e: Evidence, region: Region | None) -> Cause | None:
    """See whether the gradient of a symmetric matrix is right once its triangle is mirrored."""
    x = e.value(e.position)
    if e.paired or not _is_symmetric(x) or e.position in e.problem.constraints.projections or e.is_right():
        return None
    shift = tangents.symmetric(x, random_direction(x, np.random.default_rng(4)))
    beside = gather(
        e.problem, e.position, e.directions, displaced={e.position: x + BESIDE * shift}, rtol=e.rtol
    )
    for side, other, triangle in (("lower", "upper", np.tril), ("upper", "lower", np.triu)):
        if all(found is not None and _is_mirrored(found, triangle) for found in (e, beside)):
            message = (
                f"gradient of {e.name} is that of the {side} triangle only: forward reads the {other} one "
                "too, so add its mirror image"
            )
            return Cause("triangle-only", message, e.name)
    return None


def _is_mirrored(e: Evidence, triangle: Callable[[Array], Array]) -> bool:
    """Whether a gradient is zero outside of a triangle, and right once that is mirrored."""
    if e.gradients is None or any((triangle(g) != g).any() for g in e.gradients):
        return False
    diagonal = np.eye(e.shape[-1])
    return e.agrees([g + np.swapaxes(g * (1 - diagonal), -1, -2) for g in e.gradients])


def one_output_only(e: Evidence, region: Region | None) -> Cause | None:
    """See whether the gradient is that of one output alone: of several, or the first or last of one array."""
    for words, kept in _single_outputs(e):
        alone = _asked(e, np.where(kept, e.upstreams[0], 0.0))
        if alone is None or alone.gradients is None or not alone.is_right() or not alone.gradients[0].any():
            continue
        others = _asked(e, np.where(kept, 0.0, e.upstreams[0]))
        if others is None or others.gradients is None or others.gradients[0].any() or others.is_right():
            continue
        message = f"gradient of {e.name} is that of {words} alone: add what the other outputs contribute"
        return Cause("one-output-only", message, e.name)
    return None


def _along(e: Evidence, constraint: Constraint, x: Array) -> Evidence | None:
    """Return evidence along the directions that a constraint allows at a point."""
    most = MOST_ENTRIES if x.size <= LARGE else FEW_ENTRIES
    project = partial(getattr(tangents, constraint.name), x)
    joint = [*along_projections(e.problem, e.position, most=most, project=project)]
    if not joint:
        return None
    displaced = {**e.displaced, e.position: x}
    return gather(
        e.problem, e.position, Directions.of(e.problem, {}, joint), displaced=displaced, rtol=e.rtol
    )


def _triangle_read(e: Evidence) -> str:
    """Return in words which triangle of a matrix forward depends on."""
    directions, entries = e.single_entries
    moves = np.asarray((np.abs(e.numeric[directions]) > e.error_bar[directions]).any(axis=1), dtype=bool)
    row, column = np.unravel_index(entries, e.shape)[-2:]
    lower, upper = moves[row > column].any(), moves[row < column].any()
    if lower != upper:
        return "the lower triangle" if lower else "the upper triangle"
    return "both triangles"


def _single_outputs(e: Evidence) -> Iterator[tuple[str, Array]]:
    """Yield each of several outputs, or the first and last row of one, in words and as a mask."""
    form = e.problem.form
    if form.several:
        owner = np.repeat(np.arange(len(form.sizes)), form.sizes)
        yield from ((f"output {k}", owner == k) for k, size in enumerate(form.sizes) if size)
    elif form.shapes[0] and form.shapes[0][0] > 1:
        count = form.shapes[0][0]
        row: Indices = np.repeat(np.arange(count), e.output.size // count)
        yield from (("output[0]", np.asarray(row == 0)), ("output[-1]", np.asarray(row == count - 1)))


def _asked(e: Evidence, upstream: Array) -> Evidence | None:
    if not upstream.any():
        return None
    return gather(
        e.problem, e.position, e.directions, displaced=e.displaced, upstreams=(upstream,), rtol=e.rtol
    )
