"""The pictures of one point, taken from forward and from what is claimed of it.

A report says what is wrong; it does not keep the numbers of every entry. They are taken again when pictures
are asked for, so that a check costs nothing more without them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradlab.checks.claimed import Claimed
from gradlab.checks.claims import Claims, upstreams_by_magnitude
from gradlab.checks.directions import Directions, movable
from gradlab.checks.reference import reference_problem
from gradlab.checks.tangent_claims import TangentClaims
from gradlab.numerics import Array
from gradlab.numerics.ladder import differentiate
from gradlab.numerics.step_sizes import usual_step
from gradlab.pictures.along import kink_at, steps_along
from gradlab.pictures.data import Comparison, Pictures
from gradlab.pictures.jacobians import jacobian_pairs
from gradlab.pictures.known import Point, table_of
from gradlab.pictures.probes import ENTRIES, SIDE, Grid, grid_of
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.returned import read_gradients
from gradlab.report import REFERENCE, Report, Verdict
from gradlab.rule import Rule

ACCURACY = 1e-9  # of the numerical side, relative
ROUGHLY = 1e-6  # the same for blocks of entries
INPUTS = 8  # drawn, failures first
LADDERS = 3  # of the worst probes
KINKS = 2
SAME = 1e-6  # of a claim: what backward says now, beside what the report has
SECONDS = 20.0  # that pictures of one point may take, about
CALLS = 8  # of forward, for each probe, about
CHANGED = (
    "no pictures: the functions do not give the numbers of the report again; "
    "inputs that were written to since, or chance, do that"
)


def collect(
    problem: Problem,
    report: Report,
    *,
    roles: Sequence[str],
    rtol: float,
    atol: float = 0.0,
    reference: Rule | None = None,
) -> Pictures:
    """Take the pictures of a point.

    Parameters
    ----------
    problem : Problem
        The point, made ready with the functions and the upstream gradient of the check.
    report : Report
        What the check found there.
    roles : sequence of str
        ``backward`` or ``jvp``, or both: the functions that there are.
    rtol, atol : float
        Its tolerances.
    reference : Rule, optional
        With what it compared, where that was not forward itself.
    """
    if not np.isfinite(problem.output).all():
        return Pictures(notes=("no pictures: forward returns values that are not finite",))
    try:
        claims = _claims(problem, roles)
    except RuleRaised as raised:
        return Pictures(notes=(f"no pictures: {raised}",))
    if not claims:
        return Pictures(notes=("no pictures: nothing that was returned can be compared",))
    witness = {}
    if reference is not None and report.oracle == REFERENCE:
        witness = _witness(problem, reference)
    point = Point(problem, report, rtol, atol, claims, witness)
    with np.errstate(all="ignore"):  # what overflows beside the point is no matter of the caller's
        if not _same(point):
            return Pictures(notes=(CHANGED,))
        return _collect(point)


def _claims(problem: Problem, roles: Sequence[str]) -> dict[str, Claimed]:
    """Return what backward and jvp claim, of those that there are, contracted with the upstream gradient."""
    whole = problem.grad_output[np.newaxis]
    claims: dict[str, Claimed] = {}
    if "backward" in roles:
        gradients, _ = read_gradients(problem, problem.call_backward())
        if gradients:
            claims["backward"] = Claims(problem, whole, (gradients,))
    if "jvp" in roles:
        claims["jvp"] = TangentClaims(problem, whole, problem.wrt)
    return claims


def _witness(problem: Problem, reference: Rule) -> dict[int, Array]:
    """Return the gradients of a reference."""
    twin = reference_problem(problem, reference)
    return read_gradients(twin, twin.call_backward(problem.grad_output))[0]


def _same(point: Point) -> bool:
    """Whether the claims are those that the report speaks of."""
    if len(upstreams_by_magnitude(point.problem)) > 1:
        return True  # the report has them in parts
    for i in point.problem.wrt:
        result, claims = point.result(i), point.claims.get("backward")
        worst = result.worst if result is not None else None
        if worst is None or worst.index is None or worst.role != "backward" or worst.output:
            continue
        if not isinstance(claims, Claims) or i not in claims.gradients[0]:
            continue
        now = float(claims.gradients[0][i][worst.index])
        if not (now == worst.analytic or abs(now - worst.analytic) <= SAME * worst.scale):
            return not np.isfinite(worst.analytic) and not np.isfinite(now)
    return True


def _collect(point: Point) -> Pictures:
    problem = point.problem
    chosen, notes = _chosen(point)
    side = _affordable(point)
    seen = []
    for i in chosen:
        large = problem.value(i).size > ENTRIES
        if large and side < 2:
            notes.append(
                f"no picture of {problem.names[i]}: at {_seconds_a_call(point):.2g} s for each call of "
                f"forward it would take longer than {SECONDS:.0f} s"
            )
            continue
        seen.append((i, *_compare(point, i, side)))
    # At a kink, differences say less than the slopes of both sides.
    worst = [(i, grid, c, k) for i, grid, c, kinks in seen for k in _worst_probes(c) if not kinks[k]]
    worst.sort(key=lambda one: -float(np.nan_to_num(one[2].relative[one[3]], nan=np.inf)))
    if not worst and not any(
        c.wrong.any() for _, _, c, _ in seen
    ):  # of a right gradient, too, the fall and rise of the error says what can be resolved
        worst = [(i, grid, c, _largest(c)) for i, grid, c, _ in seen[:1] if c.claimed.size]
    worst = _spread(worst)
    steps = tuple(steps_along(point, grid, c, k) for _, grid, c, k in worst)
    kinked = [
        (not c.wrong[k], kink_at(point, grid, c, int(k)))
        for _, grid, c, kinks in seen
        if not c.blocks
        for k in sorted(np.flatnonzero(kinks), key=lambda k: not c.wrong[k])[:KINKS]
    ]
    kinked.sort(key=lambda pair: pair[0])
    return Pictures(
        comparisons=tuple(c for _, _, c, _ in seen),
        steps=steps,
        kinks=tuple(kink for _, kink in kinked[:KINKS]),
        jacobians=tuple(jacobian_pairs(point, chosen)),
        notes=tuple(notes),
    )


def _chosen(point: Point) -> tuple[list[int], list[str]]:
    """Return which inputs are drawn, failures first."""
    order = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}

    def urgency(i: int) -> int:
        result = point.result(i)
        return order[result.verdict] if result is not None else 3

    able = [i for i in point.problem.wrt if movable(point.problem, i).size and _is_claimed(point, i)]
    ordered = sorted(able, key=urgency)
    left = [point.problem.names[i] for i in ordered[INPUTS:]]
    notes = [f"not drawn: {', '.join(left[:INPUTS])}{' and others' * (len(left) > INPUTS)}"] if left else []
    return ordered[:INPUTS], notes


def _is_claimed(point: Point, i: int) -> bool:
    return i in point.claims[point.role(i)].positions


def _seconds_a_call(point: Point) -> float:
    return point.report.seconds / max(1, point.report.forward_calls)


def _affordable(point: Point) -> int:
    """Return into how many blocks a side of a large input can be cut in the time that there is."""
    blocks = SECONDS / (CALLS * max(_seconds_a_call(point), 1e-9))
    return int(min(SIDE, np.sqrt(blocks)))


def _compare(point: Point, i: int, side: int) -> tuple[Grid, Comparison, npt.NDArray[np.bool_]]:
    """Return the probes of an input, what both sides say along each, and at which there is a kink."""
    problem = point.problem
    grid = grid_of(problem, i, side=side)
    role = point.role(i)
    parts = [_both_sides(point, role, directions, grid.blocks) for directions in grid.parts()]
    claim, size, value, bar, swing, nearby = (np.concatenate(of) for of in zip(*parts, strict=True))
    value = np.where(swing > 0, np.clip(claim, value - swing, value + swing), value)
    # What vanishes on both sides is compared on the scale of what forward does nearby.
    scale = np.fmax(np.fmax(np.abs(claim), np.abs(value)), size if grid.blocks else 0.0)
    scale = np.where(scale > bar, scale, np.fmax(scale, nearby))
    wrong = _wrong(point, i, grid, np.abs(claim - value) > bar + point.rtol * scale + point.atol)
    comparison = Comparison(
        name=problem.names[i],
        role=role,
        claimed=claim,
        numeric=value,
        error_bar=bar,
        scale=scale,
        wrong=wrong | ~np.isfinite(claim),
        labels=grid.labels,
        cells=grid.cells,
        row_labels=grid.row_labels,
        blocks=grid.blocks,
    )
    return grid, comparison, swing > 0


def _both_sides(point: Point, role: str, directions: Directions, blocks: bool) -> list[Array]:
    """Return the claims along directions, the size of their terms, and what forward shows.

    That is the slope, its error bar, by what the slopes of both sides of a kink differ from it, and how far
    forward moves nearby.
    """
    found = list(point.claims[role].along(directions))
    if point.witness:
        value = directions.project(point.witness)[:, np.newaxis]
        found += [value, np.zeros_like(value), np.zeros_like(value), np.abs(value)]
    else:
        table = table_of(point, directions)
        found += differentiate(table, rtol=ROUGHLY if blocks else ACCURACY)
        found.append(table.secant(usual_step(table.eps)))
    return [part[:, 0] / directions.divisors for part in found]


def _wrong(point: Point, i: int, grid: Grid, differs: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which probes are wrong: those that the report names, where it names them all."""
    result = point.result(i)
    if result is None:
        return differs
    if result.verdict is Verdict.PASS:
        return np.zeros_like(differs)
    if not grid.blocks and result.wrong_count and result.wrong_count == len(result.wrong_entries):
        shape = point.problem.value(i).shape
        flat = [int(np.ravel_multi_index(index, shape)) if index else 0 for index in result.wrong_entries]
        return np.isin(grid.index, flat)
    return differs


def _worst_probes(c: Comparison) -> list[int]:
    """Return the wrong probes whose relative difference is largest."""
    wrong = np.flatnonzero(c.wrong)
    size = np.nan_to_num(c.relative[wrong], nan=np.inf)
    return [int(k) for k in wrong[np.argsort(-size, kind="stable")][:LADDERS]]


def _largest(c: Comparison) -> int:
    return int(np.argmax(np.nan_to_num(np.abs(c.claimed))))


def _spread(worst: Sequence[tuple[int, Grid, Comparison, int]]) -> list[tuple[int, Grid, Comparison, int]]:
    """Take the worst probe of each input, then what is left, up to `LADDERS`."""
    first = {i: k for k, (i, *_) in reversed(list(enumerate(worst)))}
    order = sorted(range(len(worst)), key=lambda k: (first[worst[k][0]] != k, k))
    return [worst[k] for k in order[:LADDERS]]
