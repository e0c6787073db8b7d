"""What probes found wrong, as findings: where, and the numbers of both sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradlab.checks.criteria import Criteria
from gradlab.checks.jacobian import columns_of
from gradlab.checks.probes import Probes
from gradlab.checks.regions import describe_region
from gradlab.checks.rows import Rows
from gradlab.checks.tangent_claims import TangentClaims
from gradlab.numerics import Array
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.report import DIFFERENCES, Entry, Finding
from gradlab.words import counted, entries, told_apart

ALIKE, LARGEST = 0.99, 1e300


def wrong_gradients(
    problem: Problem, probes: Sequence[Probes], criteria: Criteria, oracle: str = DIFFERENCES
) -> list[Finding]:
    """Return a finding for each input whose gradient some probe contradicts."""
    return [_wrong_gradient(problem, p, criteria, oracle) for p in _with_wrong_rows(probes)]


def wrong_tangents(
    problem: Problem, claims: TangentClaims, probes: Sequence[Probes], criteria: Criteria
) -> list[Finding]:
    """Return a finding for each input along which some probe contradicts jvp."""
    return [_wrong_tangent(problem, claims, p, criteria) for p in _with_wrong_rows(probes)]


def _with_wrong_rows(probes: Sequence[Probes]) -> list[Probes]:
    wrong = [p for p in probes if np.count_nonzero(p.wrong)]
    if any(p.position is not None for p in wrong):
        return [p for p in wrong if p.position is not None]  # the joint directions have nothing to add
    return wrong


def _wrong_gradient(problem: Problem, probes: Probes, criteria: Criteria, oracle: str) -> Finding:
    mask = probes.wrong
    worst = worst_probe(problem, probes, Disagreement.of(criteria, probes.rows), "backward")
    given, shown = told_apart(worst.analytic, worst.numeric)
    gives = "give" if oracle == DIFFERENCES else "gives"
    numbers = f"backward gives {given}, {oracle} {gives} {shown} ± {worst.error_bar:.1g}"
    who = _whose(problem, probes)
    if probes.position is None or worst.index is None:
        kind = "tangent" if probes.position in problem.constraints.projections else "random direction"
        where = f"along {mask.sum()} of {counted(mask.size, kind)}"
        message = f"gradient of {who} is wrong {where}; along the worst, {numbers}"
    else:
        at = problem.arguments.label(probes.position, worst.index)
        message = (
            f"gradient of {who} is wrong at {mask.sum()} of {_all_probed(problem, probes)}; worst {at}: "
            f"{numbers}"
        )
    kind = "wrong-gradient"
    if probes.imprecise[mask].all():
        kind = "precision"
        message += _digits_lost(problem, probes, "backward")
    return Finding("gradients", None if probes.position is None else who, kind, message)


def _wrong_tangent(problem: Problem, claims: TangentClaims, probes: Probes, criteria: Criteria) -> Finding:
    mask, apart = probes.wrong, Disagreement.of(criteria, probes.rows)
    worst = worst_probe(problem, probes, apart, "jvp")
    outputs = _wrong_outputs(problem, claims, probes, criteria, apart)
    who = _whose(problem, probes)
    given, shown = told_apart(worst.analytic, worst.numeric)
    numbers = f"jvp gives {given}, central differences give {shown} ± {worst.error_bar:.1g}"
    words = _outputs_in_words(problem, outputs)
    if probes.position is None or worst.index is None:
        where, at = f"along {mask.sum()} of {counted(mask.size, 'random direction')} in {who}", ""
    else:
        where = f"along {mask.sum()} of {_all_probed(problem, probes)} of {who}"
        at = f" along {problem.arguments.label(probes.position, worst.index)}"
    if claims.by_output:
        message = f"tangent of {words} is wrong {where}; worst {worst.output}{at}: {numbers}"
    else:
        message = (
            f"tangent of the output is wrong {where}; worst{at or ' along one'}, at {words}: "
            f"contracted with an upstream gradient, {numbers}"
        )
    kind = "wrong-jvp"
    if probes.imprecise[mask].all():
        kind = "jvp-precision"
        message += _digits_lost(problem, probes, "jvp")
    return Finding("jvp", None if probes.position is None else who, kind, message)


def _whose(problem: Problem, probes: Probes) -> str:
    """Name the input that was probed, or all that the wrong ones of joint directions move."""
    if probes.position is not None:
        return problem.names[probes.position]
    rows = probes.rows_where(probes.wrong) - probes.rows.directions.singles
    moved = {i for k in rows.tolist() for i in probes.rows.directions.joint[k]}
    return ", ".join(problem.names[i] for i in problem.wrt if i in moved)


def _all_probed(problem: Problem, probes: Probes) -> str:
    """Say how many entries of an input were probed."""
    assert probes.position is not None
    every = entries(probes.count, paired=problem.arguments.paired[probes.position])
    return f"{every} probed" if probes.unprobed else every


def _digits_lost(problem: Problem, probes: Probes, role: str) -> str:
    position = problem.wrt[0] if probes.position is None else probes.position
    dtype = np.asarray(problem.arguments.values[position]).dtype
    return f"; in float64 {role} is right: it loses digits in {dtype}"


def _wrong_outputs(
    problem: Problem, claims: TangentClaims, probes: Probes, criteria: Criteria, apart: Disagreement
) -> npt.NDArray[np.bool_]:
    """Return which outputs have a wrong tangent along some row, shape ``(m,)``."""
    # A row is condemned by the first of its outputs, when others are known less: along the worst direction,
    # each is looked at by itself.
    none = np.zeros(problem.form.size, dtype=bool)
    known = np.asarray(apart.wrong[probes.which].any(axis=0) if claims.by_output else none)
    k, _ = apart.worst(probes)
    direction = probes.rows.directions.some(np.array([probes.which.start + k]))
    every = TangentClaims(problem, None, claims.positions)
    try:
        tangent, size = (of[0] for of in every.along(direction))
    except RuleRaised:  # when it is called so often
        return known
    numeric, bar = (of[0] * direction.divisors[0] for of in columns_of(problem, direction))
    allowed = bar + criteria.rtol * np.fmax(size, np.abs(numeric))
    wrong = ~(np.abs(tangent - numeric) <= allowed) & np.isfinite(bar)
    return np.asarray(known | wrong)


def _outputs_in_words(problem: Problem, wrong: npt.NDArray[np.bool_]) -> str:
    """Say which outputs are wrong, such as ``output[:, 1]``."""
    form = problem.form
    words = []
    for k, part in enumerate(form.parted(wrong)):
        if part.all() and part.size:
            words.append(form.name(k))
        elif part.any():
            words.append(describe_region(form.label(k, ()), part) or f"some of {form.name(k)}")
    return " and ".join(words) or "some outputs"


@dataclass(frozen=True, eq=False)
class Disagreement:
    """How far both sides are apart along each row, and in each part of the upstream gradient.

    Attributes
    ----------
    error, scale : Array
        Shape ``(r, s)``: the difference relative to a scale, and that.
    wrong : array of bool
        Shape ``(r, s)``, or ``(r, 1)`` where there is but one part: where rows that are wrong differ.
    outputs : Array
        Shape ``(s,)``: how large the outputs are of which each part is.
    """

    error: Array
    scale: Array
    wrong: npt.NDArray[np.bool_]
    outputs: Array

    @classmethod
    @np.errstate(divide="ignore", invalid="ignore")
    def of(cls, criteria: Criteria, rows: Rows) -> Disagreement:
        """Compare both sides along all rows."""
        difference, scale = rows.gap, rows.size
        # A derivative that vanishes is compared on the scale of what forward does nearby.
        scale = np.where(scale > rows.error_bar, scale, np.fmax(scale, rows.movement))
        error = difference / scale
        error[difference == 0] = 0.0
        error[np.isnan(error)] = np.inf
        wrong = rows.wrong[:, np.newaxis]
        outputs = np.abs(criteria.problem.output)
        if rows.table.parts > 1:  # some may agree
            differ = ~(difference <= rows.error_bar + criteria.tolerance(rows))
            wrong = wrong & (differ | ~differ.any(axis=1, keepdims=True))
        if rows.table.upstreams is None:  # what cannot matter is rounding
            error = np.where(criteria.cannot_matter(rows), 0.0, error)
        else:
            total = np.vdot(outputs, np.abs(criteria.problem.grad_output))
            outputs = np.full(error.shape[1], total)
        return cls(error, scale, wrong, outputs)

    def worst(self, probes: Probes) -> tuple[int, int]:
        """Return which of some probes disagrees most, a wrong one if there is one, and in which part."""
        error, wrong = self.error[probes.which], self.wrong[probes.which]
        if np.count_nonzero(wrong):
            error = np.where(wrong, error, -1.0)
        # Of errors that are alike the first is taken, so that rounding does not choose.
        first = int((error >= ALIKE * min(error.max(), LARGEST)).argmax())
        k, part = divmod(first, error.shape[1])
        return k, part


def worst_probe(problem: Problem, probes: Probes, apart: Disagreement, role: str) -> Entry:
    """Return the probe that disagrees most: a wrong one if there is one."""
    k, part = apart.worst(probes)
    row, rows = probes.which.start + k, probes.rows
    length = float(rows.directions.divisors[row])
    index = None
    if probes.by_entry and probes.position is not None:
        flat = probes.index(k)
        index = tuple(map(int, np.unravel_index(flat, problem.value(probes.position).shape)))
    sides = (rows.claim, rows.value, rows.error_bar, apart.scale)
    analytic, numeric, off, scale = (float(side[row, part]) / length for side in sides)
    output = problem.form.label(*problem.form.place(part)) if rows.table.upstreams is None else ""
    effect = _effect(problem, probes.position, index, abs(analytic - numeric), float(apart.outputs[part]))
    return Entry(index, analytic, numeric, off, scale, role, output, effect)


def _effect(
    problem: Problem, position: int | None, index: tuple[int, ...] | None, difference: float, outputs: float
) -> float:
    """Return what a difference does to the outputs, relative to them, when its entry moves by its size."""
    if position is None or not outputs or not math.isfinite(difference):
        return math.inf
    x = problem.value(position)
    size = abs(float(x[index])) if index is not None else 0.0
    size = size or float(np.abs(x).max(initial=0.0))
    return difference * size / outputs if size else math.inf
