"""What wrong entries have in common: said where no hypothesis of the right gradient holds.

They are indices that occur more than once, what other outputs contribute, all off the diagonal of the
Jacobian, zero or not zero where they must not be, at special values of the input, or at one end of it; or the
gradient is right along those directions in which the input is meant to move. That a value is the reason is
tested: the gradient is right once the input has another one. Adding a description is a function and a line
in `DESCRIPTIONS`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.checks.directions import Directions
from gradlab.checks.evidence import MORE_THAN_CONSTANTS, Evidence, gather
from gradlab.checks.jacobian import columns_of
from gradlab.checks.locate import Region
from gradlab.checks.nearby import apart
from gradlab.checks.partial import one_output_only, right_on_constraint, triangle_only
from gradlab.checks.regions import special_values, tied
from gradlab.numerics import Array, Indices, Mask
from gradlab.point.problem import Problem
from gradlab.point.returned import raw_gradients
from gradlab.point.values import as_array
from gradlab.report import Cause

SPECIAL = "wrong-on-special-values"
MOST_OUTPUTS = 100_000  # derivatives of single outputs that are taken
# Up to this part of the smallest wrong entry, a derivative and its error bar together count as zero.
NEGLIGIBLE = 1e-3


def describe(e: Evidence, region: Region | None) -> Cause | None:
    """Return what the wrong entries of one input have in common, or ``None``."""
    causes = (description(e, region) for description in DESCRIPTIONS)
    return next((cause for cause in causes if cause is not None), None)


def last_write_wins(e: Evidence, region: Region | None) -> Cause | None:
    """Tell assignment from accumulation: by an upstream that reaches each index only once.

    The wrong entries are those that an integer input names more than once. With the upstream gradient set to
    zero at all but the last occurrence of each index, backward is right; at all but the first, it is not.
    """
    if region is None or e.problem.form.several:
        return None
    for name, value in zip(e.problem.names, e.problem.arguments.values, strict=True):
        indices = _repeated_indices(value, e.problem.form.shapes[0])
        if indices is None:
            continue
        if [_is_right_at(e, kept) for kept in (_last(indices), _first(indices))] == [True, False]:
            message = (
                f"{e.claim} keeps the last of the contributions of equal indices in {name}: "
                "add them up, with np.add.at"
            )
            return Cause("last-write-wins", message, e.name)
    return None


def diagonal_only(e: Evidence, region: Region | None) -> Cause | None:
    """Compare with the upstream gradient times the diagonal of the Jacobian."""
    directions, entries = e.single_entries
    length = e.directions.divisors[directions, np.newaxis]
    if e.gradients is None or e.problem.value(e.position).shape != e.problem.form.shape:
        return None
    if not MORE_THAN_CONSTANTS <= entries.size <= MOST_OUTPUTS / e.output.size:
        return None
    columns, _ = columns_of(e.problem, e.directions.some(directions))
    slopes = columns[directions, entries]
    analytic, upstreams = (
        np.stack([g.ravel()[entries] for g in vectors], axis=1)
        for vectors in (map(e.in_real_numbers, e.gradients), e.upstreams)
    )
    diagonal = upstreams * slopes[:, None]
    tolerance = e.error_bar[directions] / length + e.rtol * np.abs(diagonal)
    if not (np.abs(analytic - diagonal) <= tolerance).all():
        return None
    if not (np.abs(analytic - e.numeric[directions] / length) > tolerance).any():
        return None
    message = (
        f"{e.claim} holds the diagonal of the Jacobian alone: each output depends on other "
        f"entries of {e.name} too"
    )
    return Cause("diagonal-only", message, e.name)


def zeros(e: Evidence, region: Region | None) -> Cause | None:
    """See whether every wrong entry is zero, or has to be."""
    if region is None or e.gradients is None:
        return None
    wrong = e.in_real_numbers(e.gradients[0])[region.mask]
    where = f"at {region.words}" if region.words != "every entry" else "everywhere"
    if not wrong.any():
        message = f"{e.claim} is zero {where}, where forward does depend on it"
        return Cause("zero-where-it-should-not-be", message, e.name)
    if region.derivatives is None or not wrong.all():
        return None
    if not (region.derivatives <= NEGLIGIBLE * np.abs(wrong).min()).all():
        return None
    message = f"{e.claim} is not zero {where}, where forward does not depend on it"
    return Cause("nonzero-where-it-should-be-zero", message, e.name)


def wrong_on_special_values(e: Evidence, region: Region | None) -> Cause | None:
    """See whether the wrong entries are those at ties, zeros, extremes, or the first or last index."""
    if region is None or not region.exact:
        return None
    values, mask = e.value(e.position), e.problem.by_entry(e.position, region.mask)
    if region.mask.all():
        where = _in_common(e.name, values)
    else:
        where = next(special_values(e.name, mask, values), "")
    # What is wrong because of its value is right once it has another.
    if where and (_is_right_apart(e.problem, e.position, rtol=e.rtol) or _moves_along(e, region)):
        return Cause(SPECIAL, f"{e.claim} is wrong only {where}: that case is missing", e.name)
    end = _at_one_end(mask)
    return Cause(SPECIAL, f"{e.claim} is wrong only {end}", e.name) if end else None


DESCRIPTIONS = (
    last_write_wins,
    one_output_only,
    triangle_only,
    right_on_constraint,
    diagonal_only,
    zeros,
    wrong_on_special_values,
)


def wrong_together(problem: Problem, position: int, *, rtol: float) -> Cause | None:
    """See whether entries that are wrong only when they move together are wrong because they are equal."""
    name = problem.names[position]
    values, *others = (
        problem.arguments.own(i, problem.value(i))
        for i in sorted(problem.wrt, key=lambda i: (i != position, i))
    )
    alike = any((values == other).any() for other in others if other.shape == values.shape)
    among_themselves = tied(values).any()
    if not (among_themselves or alike) or not _is_right_apart(problem, position, rtol=rtol):
        return None
    where = f"where {name} is tied" if among_themselves else f"where {name} equals another input"
    return Cause(SPECIAL, f"{problem.claim_of(position)} is wrong only {where}: that case is missing", name)


def not_finite(problem: Problem, position: int) -> Cause | None:
    """See whether a gradient is not finite exactly at zeros, ties or extremes."""
    raw = raw_gradients(problem, problem.call_backward()).get(position)
    name = problem.names[position]
    values = problem.arguments.own(position, problem.value(position))
    if raw is None or raw.shape != values.shape:
        return None
    mask = ~np.isfinite(raw)
    where = next(special_values(name, mask, values), "") if not mask.all() else ""
    if not where:
        return None
    return Cause(SPECIAL, f"{problem.claim_of(position)} is not finite {where}: that case is missing", name)


def _repeated_indices(value: Any, output_shape: tuple[int, ...]) -> Indices | None:
    """Return, as a vector, an integer input with one index for each of the output's rows, if some repeat."""
    array = as_array(value)
    if array.dtype.kind not in "iu" or array.ndim == 0 or array.shape != output_shape[: array.ndim]:
        return None
    flat = array.ravel()
    return flat if len(np.unique(flat)) < flat.size else None


def _first(indices: Indices) -> Array:
    """Return 1 at the first occurrence of each index, 0 elsewhere."""
    kept = np.zeros(indices.size)
    kept[np.unique(indices, return_index=True)[1]] = 1.0
    return kept


def _last(indices: Indices) -> Array:
    """Return 1 at the last occurrence of each index, 0 elsewhere."""
    return _first(indices[::-1])[::-1]


def _is_right_at(e: Evidence, kept: Array) -> bool | None:
    """Whether backward is right for an upstream gradient that is zero but where ``kept`` is 1."""
    upstream = e.upstreams[0] * np.repeat(kept, e.output.size // kept.size)
    found = gather(e.problem, e.position, e.directions, upstreams=(upstream,), rtol=e.rtol)
    return None if found is None or found.gradients is None else found.is_right()


def _in_common(name: str, values: Array) -> str:
    """Return in words which special value all entries have, if any."""
    if not values.any():
        return f"where {name} == 0"
    return f"where {name} is tied" if tied(values).all() else ""


def _is_right_apart(problem: Problem, position: int, *, rtol: float) -> bool:
    """Whether the gradient is right once the entries of an input are moved apart, each by a little."""
    found = apart(problem, position, rtol=rtol)
    return found is not None and found.is_right()


def _moves_along(e: Evidence, region: Region) -> bool:
    """Whether one wrong entry is right once another has its value, and the other is wrong then."""
    if region.mask.sum() != 1 or region.mask.all() or e.paired:
        return False
    values = e.value(e.position)
    k = int(np.argmax(region.mask))
    j = int(np.argmax(np.where(region.mask, np.nan, np.abs(values - values.flat[k])) > 0))
    swapped = values.copy()
    swapped.flat[k], swapped.flat[j] = values.flat[j], values.flat[k]
    answers = []
    for index in (k, j):
        entry = Directions.of(e.problem, {e.position: np.array([index])})
        found = gather(e.problem, e.position, entry, displaced={e.position: swapped}, rtol=e.rtol)
        if found is None:
            return False
        answers.append(found.is_right())
    return answers == [True, False]


def _at_one_end(mask: Mask) -> str:
    """Return in words which first or last slice of an axis is wrong, if just that is."""
    for axis, length in enumerate(mask.shape):
        slices = np.moveaxis(mask, axis, 0).reshape(length, -1)
        marked = np.flatnonzero(slices.any(axis=1))
        if length > 2 and len(marked) == 1 and slices[marked[0]].all() and marked[0] in (0, length - 1):
            along = f" of axis {axis}" if mask.ndim > 1 else ""
            return f"at the {'last' if marked[0] else 'first'} index{along}"
    return ""
