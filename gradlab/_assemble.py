"""From what the checks found to a Report."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gradlab.checks.gradients import Probes
from gradlab.checks.locate import Region
from gradlab.point.problem import Problem
from gradlab.report import Cause, Entry, Finding, InputResult, Report, Verdict
from gradlab.words import counted, rounded_up

MAX_WRONG_ENTRIES = 100  # listed in a report
ALIKE = 0.99


@dataclass(frozen=True)
class Found:
    """What the checks found at one point."""

    findings: tuple[Finding, ...] = ()
    causes: tuple[Cause, ...] = ()
    notes: tuple[str, ...] = ()
    probes: tuple[Probes, ...] = ()
    regions: Mapping[int, Region] = field(default_factory=dict)


def assemble(name: str, found: Found, *, problem: Problem | None = None, started: float, seed: int) -> Report:
    """Return the report of one point; without a problem, of one at which forward raised."""
    findings, probes, notes = found.findings, found.probes, found.notes
    inputs: tuple[InputResult, ...] = ()
    reason, calls = "", (1, 0)
    if problem is not None:
        inputs = tuple(_input_result(problem, i, found) for i in problem.wrt)
        reason = _undecided_reason(problem, probes)
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
    )


def wrong_gradients(problem: Problem, probes: Sequence[Probes]) -> list[Finding]:
    """Return a finding for each input whose gradient some probe contradicts."""
    wrong = [p for p in probes if p.readings.wrong.any()]
    if any(p.position is not None for p in wrong):
        wrong = [p for p in wrong if p.position is not None]  # the joint directions have nothing to add
    return [_wrong_gradient(problem, p) for p in wrong]


def _wrong_gradient(problem: Problem, probes: Probes) -> Finding:
    mask = probes.readings.wrong
    worst = _worst(probes)
    numbers = (
        f"backward gives {worst.analytic:.6g}, central differences give "
        f"{worst.numeric:.6g} ± {worst.error_bar:.1g}"
    )
    names = ", ".join(problem.names[i] for i in problem.wrt)
    who = names if probes.position is None else problem.names[probes.position]
    if probes.position is None or worst.index is None:
        where = f"along {mask.sum()} of {counted(mask.size, 'random direction')}"
        message = f"gradient of {who} is wrong {where}; along the worst, {numbers}"
    else:
        at = problem.arguments.label(probes.position, worst.index)
        entries = counted(mask.size, "entry", "entries") + (" probed" if probes.unprobed else "")
        message = f"gradient of {who} is wrong at {mask.sum()} of {entries}; worst {at}: {numbers}"
    kind = "wrong-gradient"
    if probes.readings.imprecise[mask].all():
        kind = "precision"
        dtype = problem.arguments.value(problem.wrt[0] if probes.position is None else probes.position).dtype
        message += f"; in float64 backward is right: it loses digits in {dtype}"
    return Finding("gradients", None if probes.position is None else who, kind, message)


def _worst(probes: Probes) -> Entry:
    """Return the probe that disagrees most: a wrong one if there is one."""
    readings = probes.readings
    error, wrong = readings.error, readings.wrong
    if wrong.any():
        error = np.where(wrong[:, np.newaxis], error, -1.0)
    # Of errors that are alike the first is taken, so that rounding does not choose.
    k, part = np.unravel_index(np.argmax(error >= ALIKE * error.max()), error.shape)
    index = probes.indices[k] if probes.indices is not None else None
    numbers = (readings.analytic, readings.numeric, readings.error_bar, readings.scale)
    return Entry(index, *(_plain(array[k, part]) for array in numbers))


def _plain(value: np.float64) -> float:
    # Two NaNs are equal in a tuple only when they are one object; equal reports need that.
    return math.nan if np.isnan(value) else float(value)


def _input_result(problem: Problem, position: int, found: Found) -> InputResult:
    name, findings = problem.names[position], found.findings
    own = next((p for p in found.probes if p.position == position), None)
    probed = own is not None and own.readings.analytic.size > 0
    region = found.regions.get(position)
    wrong: list[tuple[int, ...]] = []
    if region is not None:
        wrong = [tuple(map(int, index)) for index in np.argwhere(region.mask)[:MAX_WRONG_ENTRIES]]
    elif own is not None and own.indices is not None:
        wrong = [own.indices[k] for k in np.flatnonzero(own.readings.wrong)]
    if any(f.input in (name, None) for f in findings):
        verdict = Verdict.FAIL if any(f.input == name for f in findings) else Verdict.INCONCLUSIVE
    else:
        blind = own is None or not probed or own.unprobed or own.readings.undecided.any()
        verdict = Verdict.INCONCLUSIVE if blind else Verdict.PASS
    return InputResult(
        name=name,
        verdict=verdict,
        size=problem.value(position).size,
        probed=len(own.indices) if own is not None and own.indices is not None else 0,
        wrong_count=int(region.mask.sum()) if region is not None else len(wrong),
        wrong_entries=tuple(wrong[:MAX_WRONG_ENTRIES]),
        worst=_worst(own) if own is not None and probed else None,
        resolution=_resolution(own) if own is not None and probed else None,
        where=region.words if region is not None else "",
    )


def _resolution(probes: Probes) -> float | None:
    resolution = probes.overall_resolution()
    return None if probes.unprobed or math.isnan(resolution) else resolution


def _undecided_reason(problem: Problem, probes: Sequence[Probes]) -> str:
    """Say why nothing more is known; an empty string when every probe tells."""
    empty = [problem.names[i] for i in problem.wrt if problem.value(i).size == 0]
    if len(empty) == len(problem.wrt):
        return f"{', '.join(empty)} has no entries: there is nothing to compare"
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
    undecided = [p for p in probes if p.readings.undecided.any()]
    if not undecided:
        return ""
    count = sum(int(p.readings.undecided.sum()) for p in undecided)
    needed = max(p.readings.deciding_rtol() for p in undecided)
    names = ", ".join(
        "joint directions" if p.position is None else problem.names[p.position] for p in undecided
    )
    advice = f"rtol={rounded_up(needed)} would decide" if needed < 1 else "no rtol below 1 would decide"
    why = f"; at some perturbed points, {problem.obstacle}" if problem.obstacle else ""
    return (
        f"the numerical error bar is too wide to tell at {counted(count, 'probe')} ({names}); {advice}{why}"
    )


def _kinks(problem: Problem, probes: Sequence[Probes]) -> list[str]:
    notes = []
    left_out = max((p.readings.left_out for p in probes), default=0)
    if left_out:
        notes.append(
            f"{left_out} of {problem.form.size} outputs, within one step of a kink, were left out: "
            "entries that matter only there are unchecked"
        )
    for p in probes:
        if p.position is not None and p.readings.kinked.any():
            at = ""
            if p.indices is not None:
                first = problem.arguments.label(p.position, p.indices[int(np.argmax(p.readings.kinked))])
                at = f" at {first}" + (
                    f" and {p.readings.kinked.sum() - 1} more" if p.readings.kinked.sum() > 1 else ""
                )
            notes.append(f"forward has a kink{at}: any slope between those on both sides passes")
    return notes
