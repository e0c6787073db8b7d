"""All checks of one point: the contract, the dot-product test, the table of differences, and the causes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gradlab.checks.answers import FurtherAnswers, compare_answers, compare_imaginary_parts
from gradlab.checks.causes import find_causes, own_causes
from gradlab.checks.claims import Claims, claims_of
from gradlab.checks.contract import call_again
from gradlab.checks.criteria import Criteria
from gradlab.checks.findings import wrong_gradients, wrong_tangents
from gradlab.checks.found import Compared, Found
from gradlab.checks.jacobian import compare_jacobian
from gradlab.checks.locate import locate
from gradlab.checks.maps import Answer, FirstAnswer
from gradlab.checks.plan import Plan, plan
from gradlab.checks.probing import probe
from gradlab.checks.reference import compare_with_reference
from gradlab.checks.tangent_claims import TangentClaims, tangent_claims
from gradlab.checks.transpose import not_transposed
from gradlab.point.problem import Problem
from gradlab.point.transposed import with_transposed_jvp
from gradlab.report import DIFFERENCES, REFERENCE, Cause, Finding
from gradlab.rule import Rule

EXPLAINED = 100  # entries, up to which jvp is asked along every one of them, to say why it is wrong


def run_checks(
    problem: Problem,
    firsts: Sequence[FirstAnswer],
    *,
    rtol: float,
    atol: float,
    probes: str | None,
    explain: bool,
    jacobian: Callable[..., Any] | None,
    reference: Rule | None = None,
    rng: np.random.Generator,
) -> Found:
    """Run all checks of a point at which all functions gave an answer.

    Parameters
    ----------
    problem : Problem
        The point.
    firsts : sequence of FirstAnswer
        What backward or jvp returned, or both in this order.
    rtol, atol, probes, jacobian
        As in `gradlab.gradcheck` and `gradlab.Rule`.
    explain : bool
        Whether wrong entries are located, and causes looked for.
    reference : Rule, optional
        With whose gradients those of backward, which there is alone then, are compared.
    rng : numpy.random.Generator
        Draws random directions.
    """
    findings = [finding for one in firsts for finding in one.findings]
    if not np.isfinite(problem.output).all():
        message = "forward returns values that are not finite"
        return Found((*findings, Finding("contract", None, "not-finite", message)))
    answers, breaches, more = call_again(problem, firsts)
    findings, notes = [*findings, *breaches], [*problem.notes, *more]
    if any(_leaves_no_number(finding) for finding in findings):
        return Found(tuple(findings), notes=tuple(notes))
    if reference is None:
        oracle = DIFFERENCES
        compared, more = _compare_with_differences(
            problem, firsts, rtol=rtol, atol=atol, probes=probes, rng=rng
        )
        notes += more
    else:
        oracle = REFERENCE
        compared, contradictions = compare_with_reference(
            problem, firsts[0].answer, reference, rtol=rtol, atol=atol, rng=rng
        )
        findings += contradictions
    for one in firsts:
        findings += _compare_answers(one, answers.get(one.linear.role), compared)
    transpose, more = _compare_transposes(firsts, compared, rtol=rtol)
    # What says where it is wrong comes before what says that something is.
    findings, notes = [*findings, *_wrong_findings(problem, compared, oracle), *transpose], [*notes, *more]
    causes: list[Cause] = []
    if explain and findings:
        with problem.remembering():  # several hypotheses are tested by the same differences
            compared, causes = _explain(problem, findings, compared, rtol=rtol)
    if jacobian is not None and compared and not findings:
        rows = compared[-1].probes[0].rows  # those of jvp, if there is one, which have every output
        findings += compare_jacobian(problem, _gradients(firsts) or {}, rows, jacobian, rtol=rtol)
    return Found(tuple(findings), tuple(causes), tuple(notes), tuple(compared), oracle)


def _leaves_no_number(finding: Finding) -> bool:
    """Whether there is no number of forward, or of jvp, to compare with."""
    return finding.kind == "not-deterministic" and finding.input is None


def _compare_with_differences(
    problem: Problem,
    firsts: Sequence[FirstAnswer],
    *,
    rtol: float,
    atol: float,
    probes: str | None,
    rng: np.random.Generator,
) -> tuple[list[Compared], list[str]]:
    """Compare both claims with one table of differences: jvp's, output by output, serves backward too.

    Hence jvp is judged first where there are both; backward stands first in what is returned.
    """
    compared: list[Compared] = []
    notes: list[str] = []
    chosen: Plan | None = None
    gradients = _gradients(firsts)
    claims = None if gradients is None else claims_of(problem, gradients)
    if any(one.linear.role == "jvp" and _complete(problem, one.answer) for one in firsts):
        for_the_plan = TangentClaims(problem, None, problem.wrt, claims)
        chosen = plan(problem, for_the_plan, probes=probes, rng=rng)
        pushed = tangent_claims(problem, chosen.directions.count, problem.wrt, claims)
        criteria = Criteria(problem, rtol=rtol, atol=atol)
        found, notes = probe(criteria, pushed, chosen)
        compared.append(Compared("jvp", criteria, pushed, tuple(found)))
    if claims is not None:
        criteria = Criteria(problem, rtol=rtol, atol=atol)
        known = compared[0].probes[0].rows.table if compared and compared[0].probes else None
        if chosen is None or set(claims.positions) != set(problem.wrt):  # some gradient is missing
            chosen, known = plan(problem, claims, rtol=rtol, probes=probes, rng=rng), None
        found, more = probe(criteria, claims, chosen, known)
        notes = list(dict.fromkeys([*notes, *more]))
        compared.insert(0, Compared("backward", criteria, claims, tuple(found)))
    return compared, notes


def _gradients(firsts: Sequence[FirstAnswer]) -> Answer | None:
    """Return what backward returned first; ``None`` where there is only jvp."""
    return next((one.answer for one in firsts if one.linear.role == "backward"), None)


def _complete(problem: Problem, answer: Answer) -> bool:
    """Whether jvp returned something that can be compared for every output."""
    return len(answer) == len(problem.form.shapes)


def _compare_answers(
    first: FirstAnswer, again: FurtherAnswers | None, compared: Sequence[Compared]
) -> list[Finding]:
    """Compare the answers of several calls, on the scale of rounding that the probes have shown."""
    linear = first.linear
    own = next((c for c in compared if c.role == linear.role), None)
    if own is None:
        return []
    floor = own.criteria.floor
    vanishing = {p.position for p in own.probes if not (p.right | p.wrong).any()}
    rounding = partial(
        own.claims.rounding_of_answer, answer=first.answer, argument=linear.vector, vanishing=vanishing
    )
    findings = [] if again is None else compare_answers(again, floor=floor, rounding=rounding)
    answer, imaginary = first.answer, first.imaginary
    return findings + compare_imaginary_parts(linear, answer, imaginary, floor=floor, rounding=rounding)


def _compare_transposes(
    firsts: Sequence[FirstAnswer], compared: Sequence[Compared], *, rtol: float
) -> tuple[list[Finding], list[str]]:
    """Make the dot-product test of backward and jvp, and say which of both the differences contradict."""
    if len(firsts) < 2 or len(compared) < 2:
        return [], []
    ours, theirs = compared
    assert isinstance(ours.claims, Claims)
    assert isinstance(theirs.claims, TangentClaims)
    backward, jvp = firsts
    message = not_transposed(backward, jvp, ours.claims, theirs.claims, rtol=rtol)
    if message is None:
        return [], []
    wrong = [c.role for c in compared if c.wrong]
    if not wrong and any(p.kinked.any() for c in compared for p in c.probes):
        return [], [f"{message}; at a kink each may take another slope between those on both sides"]
    which = " and ".join(wrong) or "neither of them"
    message = f"{message}; central differences contradict {which}"
    return [Finding("transpose", None, "jvp-is-no-transpose", message)], []


def _wrong_findings(problem: Problem, compared: Sequence[Compared], oracle: str) -> list[Finding]:
    findings: list[Finding] = []
    for one in compared:
        if isinstance(one.claims, TangentClaims):
            findings += wrong_tangents(problem, one.claims, one.probes, one.criteria)
        else:
            findings += wrong_gradients(problem, one.probes, one.criteria, oracle)
    return findings


def _explain(
    problem: Problem, findings: Sequence[Finding], compared: Sequence[Compared], *, rtol: float
) -> tuple[list[Compared], list[Cause]]:
    """Locate wrong entries, and look for causes of them."""
    located, causes = [], own_causes(findings)
    for one in compared:
        regions = {}
        for p in one.probes:
            region = locate(one.criteria, one.claims, p) if p.wrong.any() else None
            if region is not None and p.position is not None:
                regions[p.position] = region
        located.append(replace(one, regions=regions))
    for one in located:
        if one.role == "backward":
            causes += find_causes(problem, findings, one.regions, rtol=rtol)
        elif sum(problem.value(i).size for i in problem.wrt) <= EXPLAINED:
            with with_transposed_jvp(problem) as transposed:
                causes += find_causes(transposed, findings, one.regions, rtol=rtol)
    return located, causes
