"""From what the checks found to a report.

A finding makes the verdict *fail*. Without one, a probe that is open, too blunt or not made makes it
*inconclusive*, and `_undecided_reason` says why. What is left is a *pass*. What is said of each input stands
beside that, and decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from gradlab.checks.criteria import COARSEST_RTOL, Criteria
from gradlab.checks.findings import Disagreement, worst_probe
from gradlab.checks.found import Compared, Found
from gradlab.checks.locate import Region
from gradlab.checks.probes import Probes
from gradlab.checks.rows import Rows
from gradlab.point.problem import Problem
from gradlab.report import MAX_WRONG_ENTRIES, InputResult, Origin, Report, Verdict
from gradlab.words import counted, rounded_up


def assemble(
    name: str,
    found: Found,
    *,
    problem: Problem | None = None,
    started: float,
    seed: int,
    origin: Origin | None = None,
) -> Report:
    """Return the report of one point; without a problem, of one at which forward raised."""
    findings, notes = found.findings, found.notes
    inputs: tuple[InputResult, ...] = ()
    reason, calls = "", (1, 0, 0)
    if problem is not None:
        by_input: dict[int | None, list[tuple[Compared, Probes]]] = {}
        for one in found.compared:
            for p in one.probes:
                by_input.setdefault(p.position, []).append((one, p))
        rows = {p.rows: one.criteria for one in found.compared for p in one.probes}
        apart = {of: Disagreement.of(criteria, of) for of, criteria in rows.items()}
        blind = {p for one in found.compared for p in one.probes if p.unprobed or p.undecided}
        inputs = tuple(
            [_input_result(problem, i, found, by_input.get(i, []), apart, blind) for i in problem.wrt]
        )
        reason = _undecided_reason(problem, found.compared, blind)  # none where all is decided
        if not reason and problem.pace.interrupted:
            reason = "Ctrl-C ended it before all was compared"
        calls = (problem.forward_calls, problem.backward_calls, problem.jvp_calls)
        kinks = dict.fromkeys(note for one in found.compared for note in _kinks(problem, one.probes))
        notes = (*notes, *kinks)
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
        jvp_calls=calls[2],
        seconds=time.perf_counter() - started,
        seed=seed,
        oracle=found.oracle,
        origin=None if problem is None else origin,
    )


def _input_result(
    problem: Problem,
    position: int,
    found: Found,
    probed: Sequence[tuple[Compared, Probes]],
    apart: Mapping[Rows, Disagreement],
    blind: AbstractSet[Probes],
) -> InputResult:
    """Return what was found about one input, by backward, by jvp, or by both.

    How far both sides are ``apart`` is told by the tables that its probes are rows of; ``blind`` ones tell
    too little.
    """
    seen = [(one, p) for one, p in probed if p.probed]
    # Of backward and jvp, the one that is wrong is told of, or else the first.
    wrong_ones = [(one, p) for one, p in seen if np.count_nonzero(p.wrong)]
    compared, own = next(iter(wrong_ones or probed), (None, None))
    region = compared.regions.get(position) if compared is not None else None
    x = problem.value(position)
    wrong = _wrong_entries(own, region, x.shape) if wrong_ones else []
    worst = [worst_probe(problem, p, apart[p.rows], one.role) for one, p in wrong_ones or seen]
    return InputResult(
        name=problem.names[position],
        verdict=_verdict_on_input(problem.names[position], [p for _, p in probed], found, blind),
        size=x.size,
        probed=own.probed if own is not None and own.by_entry else 0,
        wrong_count=int(region.mask.sum()) if region is not None else len(wrong),
        wrong_entries=tuple(wrong[:MAX_WRONG_ENTRIES]),
        worst=max(worst, key=lambda entry: entry.error, default=None),
        resolution=max((p.resolution for _, p in seen if p.resolution is not None), default=None),
        where=region.words if region is not None else _wrong_along_projections(problem, own),
        too_small=own.too_small if own is not None and own.probed else 0,
        paired=problem.arguments.paired[position],
    )


def _verdict_on_input(name: str, own: Sequence[Probes], found: Found, blind: AbstractSet[Probes]) -> Verdict:
    """Return the verdict on one input, of which ``own`` are the probes."""
    findings = found.findings
    # That backward and jvp do not fit together says nothing of an input, once it is known where.
    localized = any(f.check != "transpose" for f in findings)
    # What is wrong with no input by itself leaves all of them undecided.
    if any(f.input in (name, None) for f in findings if f.check != "transpose" or not localized):
        # One that is written to may have the right gradient; the check does not go on to say so.
        wrong = any(f.input == name and f.kind != "mutates-input" for f in findings)
        return Verdict.FAIL if wrong else Verdict.INCONCLUSIVE
    # Backward and jvp must each have probed it.
    told = len(own) >= max(1, len(found.compared)) and blind.isdisjoint(own)
    return Verdict.PASS if told else Verdict.INCONCLUSIVE


def _wrong_entries(
    probes: Probes | None, region: Region | None, shape: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """Return which entries are wrong, as far as they are known; of a region, the first."""
    if region is not None:
        return [tuple(map(int, index)) for index in np.argwhere(region.mask)[:MAX_WRONG_ENTRIES]]
    if probes is None or not probes.by_entry:
        return []
    flat = [probes.index(k) for k in probes.wrong.nonzero()[0].tolist()]
    return [tuple(int(axis) for axis in np.unravel_index(k, shape)) for k in flat]


def _wrong_along_projections(problem: Problem, probes: Probes | None) -> str:
    """Say along how many tangents a gradient is wrong; an empty string where it has none, or is not."""
    if probes is None or probes.position not in problem.constraints.projections:
        return ""
    wrong = probes.wrong
    return f"along {wrong.sum()} of {counted(wrong.size, 'tangent')}" if wrong.any() else ""


def _undecided_reason(problem: Problem, compared: Sequence[Compared], blind: AbstractSet[Probes]) -> str:
    """Say why nothing more is known; an empty string when every probe tells."""
    if not compared:
        return f"the gradient of {', '.join(problem.names[i] for i in problem.wrt)} could not be compared"
    return next(filter(None, [_why_undecided(problem, one, blind) for one in compared]), "")


def _why_undecided(problem: Problem, compared: Compared, blind: AbstractSet[Probes]) -> str:
    probes = compared.probes
    probed = {p.position for p in probes}
    missing = [problem.names[i] for i in problem.wrt if i not in probed]
    if missing:
        return f"the gradient of {', '.join(missing)} could not be compared"
    if blind.isdisjoint(probes):
        return ""
    left_out = [
        f"{p.unprobed} in {problem.names[p.position]}"
        for p in probes
        if p.unprobed and p.position is not None
    ]
    if left_out:
        return f"{problem.budget} left entries unprobed: {', '.join(left_out)}"
    undecided = [p for p in probes if p.undecided]
    count = sum(int(p.open.sum()) for p in undecided)
    names = ", ".join(
        "joint directions" if p.position is None else problem.names[p.position] for p in undecided
    )
    why = f"; at some perturbed points, {problem.obstacle}" if problem.obstacle else ""
    if not count:
        worst = max((p.resolution for p in undecided if p.resolution is not None), default=None)
        if worst is None:
            kinked = any(p.kinked.any() for p in undecided)
            hidden = "a kink hides it" if kinked else "too little moves to see it"
            return f"whatever the gradient of {names} is, {hidden}"
        return f"a change by up to {worst:.0e} times the gradient of {names} itself could have been missed"
    if problem.calls_left < 2:
        return f"{problem.budget} left {counted(count, 'probe')} ({names}) undecided"
    needed = max(compared.criteria.deciding_rtol(p.rows, p.rows_where(p.open)) for p in undecided)
    # What an rtol that is finer than the one given would decide is open for other reasons.
    decides = compared.criteria.rtol < needed < COARSEST_RTOL
    advice = f"rtol={rounded_up(needed)} would decide" if decides else "no rtol would decide"
    at = f"at {counted(count, 'probe')} ({names}); {advice}{why}"
    if not decides and any(_is_contradicted(compared.criteria, p) for p in undecided):
        return f"forward has one slope close by and another farther away {at}"
    return f"the numerical error bar is too wide to tell {at}"


def _is_contradicted(criteria: Criteria, probes: Probes) -> bool:
    """Whether some open probe is known well enough to tell, but other steps say something else."""
    rows, tells = probes.rows, criteria.tells(probes.rows) | (probes.rows.error_bar < probes.rows.gap)
    differs = criteria.differs(rows)
    known = np.logical_or((tells & differs).any(axis=1), (tells & ~differs).all(axis=1))
    return bool(np.count_nonzero(probes.open & known[probes.which]))


def _kinks(problem: Problem, probes: Sequence[Probes]) -> list[str]:
    notes = []
    for p in probes:
        kinked = p.kinked
        if p.position is not None and np.count_nonzero(kinked):
            at = ""
            if p.by_entry:
                index = np.unravel_index(p.index(int(np.argmax(kinked))), problem.value(p.position).shape)
                at = f" at {problem.arguments.label(p.position, tuple(int(k) for k in index))}"
                at += f" and {kinked.sum() - 1} more" if kinked.sum() > 1 else ""
            notes.append(f"forward has a kink{at}: any slope between those on both sides passes")
    return notes
