"""From what the checks found to a Report."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gradlab.checks.criteria import Criteria
from gradlab.checks.gradients import Probes
from gradlab.checks.locate import Region
from gradlab.point.problem import Problem
from gradlab.report import DIFFERENCES, Cause, Entry, Finding, InputResult, Report, Verdict
from gradlab.words import counted, entries, rounded_up

MAX_WRONG_ENTRIES = 100  # listed in a report
ALIKE, LARGEST = 0.99, 1e300
MOST_RTOL = 0.5  # that is worth suggesting: above it, a gradient twice as large may pass


@dataclass(frozen=True)
class Found:
    """What the checks found at one point."""

    findings: tuple[Finding, ...] = ()
    causes: tuple[Cause, ...] = ()
    notes: tuple[str, ...] = ()
    probes: tuple[Probes, ...] = ()
    regions: Mapping[int, Region] = field(default_factory=dict)
    criteria: Criteria | None = None
    oracle: str = DIFFERENCES


def assemble(name: str, found: Found, *, problem: Problem | None = None, started: float, seed: int) -> Report:
    """Return the report of one point; without a problem, of one at which forward raised."""
    findings, probes, notes = found.findings, found.probes, found.notes
    inputs: tuple[InputResult, ...] = ()
    reason, calls = "", (1, 0)
    if problem is not None:
        inputs = tuple(_input_result(problem, i, found) for i in problem.wrt)
        reason = _undecided_reason(problem, found.criteria, probes)
        calls = (problem.forward_calls, problem.backward_calls)
        notes = (*notes, *_kinks(problem, probes))
    verdict = Verdict.FAIL if findings else Verdict.INCONCLUSIVE if reason else Verdict.PASS
    return Report(
        name=name,
        verdict=verdict,
        reason=findings[0].message if findings else reason,
        inputs=inputs,
        findings=findings,
        causes=found.causes,
        notes=notes,
        points=1,
        points_passed=int(verdict is Verdict.PASS),
        points_failed=int(verdict is Verdict.FAIL),
        example=None,
        forward_calls=calls[0],
        backward_calls=calls[1],
        seconds=time.perf_counter() - started,
        seed=seed,
        oracle=found.oracle,
    )


def wrong_gradients(problem: Problem, probes: Sequence[Probes], oracle: str = DIFFERENCES) -> list[Finding]:
    """Return a finding for each input whose gradient some probe contradicts."""
    wrong = [p for p in probes if p.mask(p.rows.wrong).any()]
    if any(p.position is not None for p in wrong):
        wrong = [p for p in wrong if p.position is not None]  # the joint directions have nothing to add
    return [_wrong_gradient(problem, p, oracle) for p in wrong]


def _wrong_gradient(problem: Problem, probes: Probes, oracle: str) -> Finding:
    mask = probes.mask(probes.rows.wrong)
    worst = _worst(problem, probes)
    numbers = (
        f"backward gives {worst.analytic:.6g}, {oracle} {'give' if oracle == DIFFERENCES else 'gives'} "
        f"{worst.numeric:.6g} ± {worst.error_bar:.1g}"
    )
    names = ", ".join(problem.names[i] for i in problem.wrt)
    who = names if probes.position is None else problem.names[probes.position]
    if probes.position is None or worst.index is None:
        kind = "tangent" if probes.position in problem.constraints.tangents else "random direction"
        where = f"along {mask.sum()} of {counted(mask.size, kind)}"
        message = f"gradient of {who} is wrong {where}; along the worst, {numbers}"
    else:
        at = problem.arguments.label(probes.position, worst.index)
        all_of_them = entries(mask.size, paired=problem.arguments.paired[probes.position])
        all_of_them += " probed" if probes.unprobed else ""
        message = f"gradient of {who} is wrong at {mask.sum()} of {all_of_them}; worst {at}: {numbers}"
    kind = "wrong-gradient"
    if probes.mask(probes.rows.imprecise)[mask].all():
        kind = "precision"
        position = problem.wrt[0] if probes.position is None else probes.position
        dtype = np.asarray(problem.arguments.values[position]).dtype
        message += f"; in float64 backward is right: it loses digits in {dtype}"
    return Finding("gradients", None if probes.position is None else who, kind, message)


def _worst(problem: Problem, probes: Probes) -> Entry:
    """Return the probe that disagrees most: a wrong one if there is one."""
    rows, which = probes.rows, probes.which
    claim, value, bar = rows.claim[which], rows.value[which], rows.error_bar[which]
    difference, scale = np.abs(claim - value), rows.scale[which]
    # A derivative that vanishes is compared on the scale of what forward does nearby.
    scale = np.where(scale > bar, scale, np.fmax(scale, rows.secant[which]))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(difference == 0, 0.0, difference / scale)
    error[np.isnan(error)] = np.inf
    wrong = probes.mask(rows.wrong)
    if wrong.any():
        error = np.where(wrong[:, np.newaxis], error, -1.0)
    # Of errors that are alike the first is taken, so that rounding does not choose.
    k, part = np.unravel_index(int(np.argmax(error >= ALIKE * min(error.max(), LARGEST))), error.shape)
    length = float(rows.directions.lengths[which[k]])
    index = None
    if probes.by_entry and probes.position is not None:
        flat = probes.index(int(k))
        index = tuple(int(axis) for axis in np.unravel_index(flat, problem.value(probes.position).shape))
    numbers = (claim[k, part], value[k, part], bar[k, part], scale[k, part])
    return Entry(index, *(_plain(number / length) for number in numbers))


def _plain(value: float | np.float64) -> float:
    # Two NaNs are equal in a tuple only when they are one object; equal reports need that.
    return math.nan if np.isnan(value) else float(value)


def _input_result(problem: Problem, position: int, found: Found) -> InputResult:
    name, findings = problem.names[position], found.findings
    shape = problem.value(position).shape
    own = next((p for p in found.probes if p.position == position), None)
    probed = own is not None and bool(own.mask(own.rows.seen).any())
    region = found.regions.get(position)
    wrong: list[tuple[int, ...]] = []
    if region is not None:
        wrong = [tuple(map(int, index)) for index in np.argwhere(region.mask)[:MAX_WRONG_ENTRIES]]
    elif own is not None and own.by_entry:
        flat = [own.index(int(k)) for k in np.flatnonzero(own.mask(own.rows.wrong))]
        wrong = [tuple(int(axis) for axis in np.unravel_index(k, shape)) for k in flat]
    if any(f.input in (name, None) for f in findings):
        verdict = Verdict.FAIL if any(f.input == name for f in findings) else Verdict.INCONCLUSIVE
    else:
        nothing = own is None or (bool(own.which.size) and not probed)
        blind = own is None or nothing or own.unprobed or open_rows(own).any() or own.blunt
        verdict = Verdict.INCONCLUSIVE if blind else Verdict.PASS
    return InputResult(
        name=name,
        verdict=verdict,
        size=problem.value(position).size,
        probed=int(own.mask(own.rows.seen).sum()) if own is not None and own.by_entry else 0,
        wrong_count=int(region.mask.sum()) if region is not None else len(wrong),
        wrong_entries=tuple(wrong[:MAX_WRONG_ENTRIES]),
        worst=_worst(problem, own) if own is not None and probed else None,
        resolution=own.resolution if own is not None and probed else None,
        where=region.words if region is not None else _wrong_tangents(problem, own),
        too_small=own.too_small if own is not None and probed else 0,
        paired=problem.arguments.paired[position],
    )


def _wrong_tangents(problem: Problem, probes: Probes | None) -> str:
    """Say along how many tangents a gradient is wrong; an empty string where it has none, or is not."""
    if probes is None or probes.position not in problem.constraints.tangents:
        return ""
    wrong = probes.mask(probes.rows.wrong)
    return f"along {wrong.sum()} of {counted(wrong.size, 'tangent')}" if wrong.any() else ""


def open_rows(probes: Probes) -> npt.NDArray[np.bool_]:
    """Return which probes tell nothing."""
    return probes.mask(probes.rows.open)


def _undecided_reason(problem: Problem, criteria: Criteria | None, probes: Sequence[Probes]) -> str:
    """Say why nothing more is known; an empty string when every probe tells."""
    probed = {p.position for p in probes}
    missing = [problem.names[i] for i in problem.wrt if i not in probed]
    if missing:
        return f"the gradient of {', '.join(missing)} could not be compared"
    left_out = [
        f"{p.unprobed} in {problem.names[p.position]}"
        for p in probes
        if p.unprobed and p.position is not None
    ]
    if left_out:
        return f"max_calls={problem.max_calls} left entries unprobed: {', '.join(left_out)}"
    undecided = [p for p in probes if open_rows(p).any() or p.blunt]
    if not undecided or criteria is None:
        return ""
    count = sum(int(open_rows(p).sum()) for p in undecided)
    names = ", ".join(
        "joint directions" if p.position is None else problem.names[p.position] for p in undecided
    )
    why = f"; at some perturbed points, {problem.obstacle}" if problem.obstacle else ""
    if not count:
        worst = max(p.resolution or 0.0 for p in undecided)
        return f"nothing below {worst:.0e} times the gradient of {names} itself would have been seen"
    needed = max(criteria.deciding_rtol(p.rows, p.which[open_rows(p)]) for p in undecided)
    advice = f"rtol={rounded_up(needed)} would decide" if needed < MOST_RTOL else "no rtol would decide"
    return (
        f"the numerical error bar is too wide to tell at {counted(count, 'probe')} ({names}); {advice}{why}"
    )


def _kinks(problem: Problem, probes: Sequence[Probes]) -> list[str]:
    notes = []
    for p in probes:
        kinked = p.mask(p.rows.kinked)
        if p.position is not None and kinked.any():
            at = ""
            if p.by_entry:
                index = np.unravel_index(p.index(int(np.argmax(kinked))), problem.value(p.position).shape)
                at = f" at {problem.arguments.label(p.position, tuple(int(k) for k in index))}"
                at += f" and {kinked.sum() - 1} more" if kinked.sum() > 1 else ""
            notes.append(f"forward has a kink{at}: any slope between those on both sides passes")
    return notes
