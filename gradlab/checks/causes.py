"""Why a gradient is wrong: causes that were tested, never guessed.

A hypothesis predicts the right gradient from the wrong one. It is named only if the prediction agrees with
what forward shows along every direction that was looked at, for two upstream gradients, within the error
bars; with two more derivatives that are certainly not zero than it has free constants; and again at a second
point nearby, so that no accident of the first one (equal values, a square shape that hides a transpose) is
taken for a cause. Where no such hypothesis holds, what is known of the wrong entries themselves is said:
that all of them are zero, or stand at special values. Otherwise nothing is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gradlab.checks.directions import SingleEntry
from gradlab.checks.evidence import Evidence, entries_and_joint, gather, joint, mirrored, second_point
from gradlab.checks.hypotheses import HYPOTHESES, Hypothesis
from gradlab.checks.locate import Region
from gradlab.checks.regions import Mask, special_values, tied
from gradlab.checks.returned import raw_gradients
from gradlab.numerics import Array
from gradlab.numerics.differences import random_direction
from gradlab.problem import Problem
from gradlab.report import Cause, Finding

LITTLE, OTHER_POINTS = 6, 3  # derivatives that are not zero; points nearby, where there are no more
MORE_THAN_CONSTANTS = 2  # derivatives, besides as many as there are free constants
SAID = (
    "ignores-upstream",
    "nonlinear-in-upstream",
    "precision",
)  # kinds of findings that are their own cause
SHAPE, SPECIAL = "gradient-shape", "wrong-on-special-values"
ZERO = 1e-3  # of the smallest wrong entry: a derivative that is nothing beside it, with its error bar


def find_causes(
    problem: Problem,
    findings: Sequence[Finding],
    regions: Mapping[int, Region],
    *,
    rtol: float,
) -> list[Cause]:
    """Return why gradients are wrong, as far as it can be proven.

    Parameters
    ----------
    problem : Problem
        The point.
    findings : sequence of Finding
        What is wrong there.
    regions : mapping of int to Region
        Which entries are wrong, by input, where that is known.
    rtol : float
        The relative disagreement that the caller does not care about.

    Returns
    -------
    list of Cause
        At most one for each input, besides those that the findings name themselves.
    """
    causes = [Cause(f.kind, f.message, f.input) for f in findings if f.kind in SAID]
    explained = {cause.input for cause in causes} | {f.input for f in findings if f.kind == "not-finite"}
    concerned = {f.input for f in findings if f.kind in ("wrong-gradient", SHAPE)}
    jointly = any(f.kind == "wrong-gradient" and f.input is None for f in findings)
    for i in problem.wrt:
        name, cause = problem.names[i], None
        if not problem.value(i).size:
            continue
        if name in concerned - explained:
            cause = _cause(problem, i, regions.get(i), concerned, rtol=rtol)
        elif jointly:
            cause = _special_together(problem, i, rtol=rtol)
        elif any(f.kind == "not-finite" and f.input == name for f in findings):
            cause = _not_finite(problem, i)
        causes += [cause] if cause is not None else []
    return causes


def _cause(
    problem: Problem, position: int, region: Region | None, wrong_inputs: set[str | None], *, rtol: float
) -> Cause | None:
    rng = np.random.default_rng(0)
    wrong = [] if region is None else [int(k) for k in np.flatnonzero(region.mask)]
    evidence = gather(problem, position, entries_and_joint(problem, position, wrong, rng), rtol=rtol)
    if evidence is None:
        return None
    nearby: list[Evidence] = []
    for hypothesis in itertools.chain.from_iterable(propose(evidence) for propose in HYPOTHESES):
        if not _explains(hypothesis, evidence):
            continue
        nearby = nearby or _nearby(evidence, rng)
        clear = sum(e.clear for e in (evidence, *nearby))
        enough = nearby and clear >= hypothesis.constants + MORE_THAN_CONSTANTS
        if not enough or not all(_explains(hypothesis, e) for e in nearby):
            continue
        if hypothesis.other is not None and hypothesis.other not in wrong_inputs:
            continue  # its own gradient is right where it is
        mirror = mirrored(evidence, rng) if hypothesis.mirrored else None
        if mirror is None or _explains(hypothesis, mirror):
            return Cause(hypothesis.code, hypothesis.message, evidence.name)
    for describe in DESCRIPTIONS:
        for code, message in describe(evidence, region):
            return Cause(code, message, evidence.name)
    return None


def _nearby(evidence: Evidence, rng: np.random.Generator) -> list[Evidence]:
    """Return evidence at other points, several where there is little at one."""
    wanted = 1 if evidence.clear > LITTLE else OTHER_POINTS
    found = (second_point(evidence, rng) for _ in range(wanted))
    return [e for e in found if e is not None]


def _explains(hypothesis: Hypothesis, evidence: Evidence) -> bool:
    """Whether the predicted gradient is right where the one that backward returned is not."""
    predicted = hypothesis.predict(evidence)
    gradients = [g for g in predicted if g is not None and g.shape == evidence.shape]
    if len(gradients) < len(predicted) or not evidence.agrees(gradients):
        return False
    returned = [evidence.gradient(s) for s in range(len(evidence.upstreams))]
    shapes = {returned.get(evidence.position, np.empty(0)).shape for returned in evidence.returned}
    same_shape = shapes == {evidence.shape}
    known = [g for g in returned if g is not None]
    return not (same_shape and len(known) == len(returned) and evidence.agrees(known))


def last_write_wins(e: Evidence, region: Region | None) -> Iterator[tuple[str, str]]:
    """Tell assignment from accumulation: by an upstream that reaches each index only once.

    The wrong entries are those that an integer input names more than once. With the upstream gradient set to
    zero at all but the last occurrence of each index, backward is right; at all but the first, it is not.
    """
    if region is None or e.problem.form.several:
        return
    for j, value in enumerate(e.problem.arguments.values):
        index = np.asarray(value)
        if (
            index.dtype.kind not in "iu"
            or index.ndim == 0
            or index.shape != e.problem.form.shape[: index.ndim]
        ):
            continue
        flat = index.ravel()
        if len(np.unique(flat)) == flat.size:
            continue
        answers = [_restricted(e, _keep(flat, last)) for last in (True, False)]
        if answers == [True, False]:
            name = e.problem.names[j]
            yield (
                "last-write-wins",
                f"gradient of {e.name} keeps the last of the contributions of equal indices in {name}: "
                "add them up, with np.add.at",
            )


def _keep(index: Array, last: bool) -> Array:
    """Return 1 at the last, or first, occurrence of each value of an index vector, 0 elsewhere."""
    order = index[::-1] if last else index
    kept = np.zeros(index.size)
    kept[np.unique(order, return_index=True)[1]] = 1.0
    return kept[::-1] if last else kept


def _restricted(e: Evidence, kept: Array) -> bool | None:
    """Whether backward is right for the upstream gradient where ``kept`` is 1, and 0 elsewhere."""
    per_row = e.output.size // kept.size
    upstream = e.upstreams[0] * np.repeat(kept, per_row)
    found = gather(e.problem, e.position, e.directions, upstreams=(upstream,), rtol=e.rtol)
    gradient = None if found is None else found.gradient(0)
    return None if found is None or gradient is None else found.agrees([gradient])


def diagonal_only(e: Evidence, region: Region | None) -> Iterator[tuple[str, str]]:
    """Compare with the upstream gradient times the diagonal of the Jacobian."""
    single = np.isfinite(e.own_slope)
    if single.sum() < MORE_THAN_CONSTANTS:
        return
    flat = [d.index for d in e.directions if isinstance(d, SingleEntry)]
    gradients = [e.gradient(s) for s in range(len(e.upstreams))]
    wrong = False
    for s, g in enumerate(gradients):
        if g is None:
            return
        expected = e.upstreams[s][flat] * e.own_slope[single]
        tolerance = e.error_bar[single, s] + e.rtol * np.abs(expected)
        if (np.abs(g.ravel()[flat] - expected) > tolerance).any():
            return
        wrong |= bool((np.abs(g.ravel()[flat] - e.numeric[single, s]) > tolerance).any())
    if not wrong:
        return
    yield (
        "diagonal-only",
        f"gradient of {e.name} holds the diagonal of the Jacobian alone: each output depends on other "
        f"entries of {e.name} too",
    )


def zeros(e: Evidence, region: Region | None) -> Iterator[tuple[str, str]]:
    """See whether every wrong entry is zero, or has to be."""
    gradient = e.gradient(0)
    if region is None or gradient is None:
        return
    wrong = gradient[region.mask]
    where = f"at {region.words}" if region.words != "every entry" else "everywhere"
    if not wrong.any():
        yield (
            "zero-where-it-should-not-be",
            f"gradient of {e.name} is zero {where}, where forward does depend on it",
        )
        return
    if region.derivatives is None or not wrong.all():
        return
    # Derivatives that are nothing beside the smallest wrong entry, error bars included.
    if (region.derivatives <= ZERO * np.abs(wrong).min()).all():
        yield (
            "nonzero-where-it-should-be-zero",
            f"gradient of {e.name} is not zero {where}, where forward does not depend on it",
        )


def wrong_on_special_values(e: Evidence, region: Region | None) -> Iterator[tuple[str, str]]:
    """See whether the wrong entries are those at ties, zeros, extremes, or the first or last index."""
    if region is None or not region.exact:
        return
    values = e.value(e.position)
    if region.mask.all():
        where = _where_all_are_special(e, values)
    else:
        where = next(special_values(e.name, region.mask, values), "")
        # What is wrong because of its value is right once it has another.
        where = where if where and _right_apart(e.problem, e.position, rtol=e.rtol) else ""
    if where:
        yield SPECIAL, f"gradient of {e.name} is wrong only {where}: that case is missing"
    elif _at_one_end(region.mask):
        yield SPECIAL, f"gradient of {e.name} is wrong only {_at_one_end(region.mask)}"


def _where_all_are_special(e: Evidence, values: Array) -> str:
    """Name what all entries have in common, if the gradient is right as soon as they have it no longer."""
    if values.any() and not tied(values).all():
        return ""
    if not _right_apart(e.problem, e.position, rtol=e.rtol):
        return ""
    return f"where {e.name} is tied" if values.any() else f"where {e.name} == 0"


def _special_together(problem: Problem, position: int, *, rtol: float) -> Cause | None:
    """See whether entries that are wrong only when they move together are wrong because they are equal."""
    name, values = problem.names[position], problem.value(position)
    others = (problem.value(i) for i in problem.wrt if i != position)
    alike = any((values == other).any() for other in others if other.shape == values.shape)
    if not tied(values).any() and not alike:
        return None
    if not _right_apart(problem, position, rtol=rtol):
        return None
    where = f"where {name} is tied" if tied(values).any() else f"where {name} equals another input"
    return Cause(SPECIAL, f"gradient of {name} is wrong only {where}: that case is missing", name)


def _right_apart(problem: Problem, position: int, *, rtol: float) -> bool:
    """Whether the gradient is right once the entries of an input are moved apart, each by a little."""
    rng = np.random.default_rng(3)
    values = problem.value(position)
    for distance in (0.1, 1e-3):
        displaced = {position: values + distance * random_direction(values, rng)}
        found = gather(problem, position, joint(problem, position, rng), displaced=displaced, rtol=rtol)
        if found is not None:
            gradients = [found.gradient(s) for s in range(len(found.upstreams))]
            known = [g for g in gradients if g is not None]
            return len(known) == len(gradients) and found.agrees(known)
    return False


def _not_finite(problem: Problem, position: int) -> Cause | None:
    """See whether a gradient is not finite exactly at zeros, ties or extremes."""
    raw = raw_gradients(problem, problem.call_backward()).get(position)
    name, values = problem.names[position], problem.value(position)
    if raw is None or raw.shape != values.shape:
        return None
    mask = ~np.isfinite(raw)
    where = next(special_values(name, mask, values), "") if not mask.all() else ""
    if not where:
        return None
    return Cause(SPECIAL, f"gradient of {name} is not finite {where}: that case is missing", name)


def _at_one_end(mask: Mask) -> str:
    for axis, length in enumerate(mask.shape):
        slices = np.moveaxis(mask, axis, 0).reshape(length, -1)
        marked = np.flatnonzero(slices.any(axis=1))
        if length > 2 and len(marked) == 1 and slices[marked[0]].all() and marked[0] in (0, length - 1):
            along = f" of axis {axis}" if mask.ndim > 1 else ""
            return f"at the {'last' if marked[0] else 'first'} index{along}"
    return ""


DESCRIPTIONS = (last_write_wins, diagonal_only, zeros, wrong_on_special_values)
