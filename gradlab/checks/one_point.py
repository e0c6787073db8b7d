"""All checks of one point: the contract, the table of differences, the dot-product test, and the causes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gradlab.checks.answers import FurtherAnswers
from gradlab.checks.breaches import compare_answers, compare_imaginary_parts
from gradlab.checks.causes import find_causes, own_causes
from gradlab.checks.claimed import Claimed
from gradlab.checks.claims import Claims, claims_of
from gradlab.checks.contract import call_again, written_meanwhile
from gradlab.checks.criteria import Criteria
from gradlab.checks.findings import wrong_gradients, wrong_tangents
from gradlab.checks.found import Compared, Found
from gradlab.checks.jacobian import compare_jacobian
from gradlab.checks.locate import locate
from gradlab.checks.maps import FirstAnswer
from gradlab.checks.plan import Plan, plan
from gradlab.checks.probing import probe
from gradlab.checks.reference import compare_with_reference
from gradlab.checks.tangent_claims import TangentClaims
from gradlab.checks.transpose import not_transposed
from gradlab.numerics import Array
from gradlab.numerics.table import Table
from gradlab.point.problem import Problem
from gradlab.point.transposed import with_transposed_jvp
from gradlab.report import DIFFERENCES, REFERENCE, Cause, Finding
from gradlab.rule import Rule

EXPLAINED = 100  # entries, up to which jvp is asked along every one of them, to say why it is wrong


def run_checks(
    problem: Problem,
    firsts: Mapping[str, FirstAnswer],
    *,
    rtol: float,
    atol: float,
    probes: str | None,
    explain: bool,
    jacobian: Callable[..., Any] | None,
    reference: Rule | None = None,
    seed: int,
) -> Found:
    """Run all checks of a point at which all functions gave an answer.

    Parameters
    ----------
    problem : Problem
        The point.
    firsts : dict of str to FirstAnswer
        What backward or jvp returned, or both in this order, by role.
    rtol, atol, probes, jacobian
        As in `gradlab.gradcheck` and `gradlab.Rule`.
    explain : bool
        Whether wrong entries are located, and causes looked for.
    reference : Rule, optional
        With whose gradients those of backward, which there is alone then, are compared.
    seed : int
        Draws random directions.
    """
    findings = [finding for one in firsts.values() for finding in one.findings]
    if np.count_nonzero(np.isfinite(problem.output)) < problem.output.size:
        message = "forward returns values that are not finite"
        return Found((*findings, Finding("contract", None, "not-finite", message)))
    answers, breaches, more = call_again(problem, firsts)
    findings, notes = [*findings, *breaches], [*problem.notes, *more]
    if any(_leaves_no_number(finding) for finding in findings):
        return Found(tuple(findings), notes=tuple(notes))
    if reference is None:
        oracle = DIFFERENCES
        compared, more = _compare_with_differences(
            problem, firsts, rtol=rtol, atol=atol, probes=probes, seed=seed
        )
        notes += more
    else:
        oracle = REFERENCE
        compared, contradictions = compare_with_reference(
            problem, firsts["backward"].answer, reference, rtol=rtol, atol=atol, seed=seed
        )
        findings += contradictions
    findings += written_meanwhile(problem)
    for role, first in firsts.items():
        findings += _breaches(first, answers.get(role), compared)
    transpose, more = _compare_transposes(firsts, compared, rtol=rtol)
    # What says where it is wrong comes before what says that something is.
    findings, notes = [*findings, *_wrong_findings(problem, compared, oracle), *transpose], [*notes, *more]
    causes: list[Cause] = []
    if explain and findings:
        with problem.remembering():  # several hypotheses are tested by the same differences
            compared, causes = _explain(problem, findings, compared, rtol=rtol)
    if jacobian is not None and compared and not findings:
        gradients = firsts["backward"].answer if "backward" in firsts else {}
        probed = compared[-1].probes  # those of jvp, if there is one, which have every output
        rows = next((p.rows for p in probed if p.by_entry), probed[0].rows)
        findings += compare_jacobian(problem, gradients, rows, jacobian, rtol=rtol)
    return Found(tuple(findings), tuple(causes), tuple(notes), tuple(compared), oracle)


def _leaves_no_number(finding: Finding) -> bool:
    """Whether there is no number of forward, or of jvp, to compare with."""
    return finding.kind == "not-deterministic" and finding.input is None


def _compare_with_differences(
    problem: Problem,
    firsts: Mapping[str, FirstAnswer],
    *,
    rtol: float,
    atol: float,
    probes: str | None,
    seed: int,
) -> tuple[list[Compared], list[str]]:
    """Compare backward, or jvp, or both with one table of differences, along the directions of a plan.

    Of both, jvp is compared first, for a table of every output by itself serves backward too; backward stands
    first in what is returned. A jvp that did not return every output is not compared.
    """
    notes: list[str] = []
    choose = partial(plan, problem, probes=probes, seed=seed)

    def compare(role: str, claims: Claimed, chosen: Plan, known: Table | None = None) -> Compared:
        criteria = Criteria(problem, rtol=rtol, atol=atol)
        found, more = probe(criteria, claims, chosen, known)
        notes.extend(note for note in more if note not in notes)
        return Compared(role, criteria, claims, tuple(found))

    backward, jvp = firsts.get("backward"), firsts.get("jvp")
    claims = None if backward is None else claims_of(problem, backward.answer)
    if jvp is None or len(jvp.answer) < len(problem.form.shapes):
        if claims is None:
            return [], notes
        return [compare("backward", claims, choose(claims, rtol=rtol))], notes
    pushed = TangentClaims(problem, None, problem.wrt, claims)
    chosen = choose(pushed)
    of_jvp = compare("jvp", pushed.where_there_is_room(chosen.directions.count), chosen)
    if claims is None:
        return [of_jvp], notes
    known = of_jvp.probes[0].rows.table if of_jvp.probes else None
    if set(claims.positions) != set(problem.wrt):  # some gradient is missing
        chosen, known = choose(claims, rtol=rtol), None
    return [compare("backward", claims, chosen, known), of_jvp], notes


def _breaches(
    first: FirstAnswer, again: FurtherAnswers | None, compared: Sequence[Compared]
) -> list[Finding]:
    """Compare the answers of several calls, on the scale of rounding that the probes have shown."""
    linear = first.linear
    own = next((c for c in compared if c.role == linear.role), None)
    if own is None:
        return []
    criteria = own.criteria
    vanishing = {p.position for p in own.probes if not np.count_nonzero(p.right | p.wrong)}

    def floor(k: int) -> float:
        # Of what is too small to matter, so is what several answers differ by.
        small = linear.role == "backward" and k in vanishing
        return max(criteria.floor, criteria.negligible if small else 0.0)

    def rounding(k: int) -> Array:
        return own.claims.rounding_of_answer(k, first.answer, linear.vector, vanishing)

    findings = [] if again is None else compare_answers(again, floor=floor, rounding=rounding)
    answer, imaginary = first.answer, first.imaginary
    return findings + compare_imaginary_parts(
        linear, answer, imaginary, floor=criteria.floor, rounding=rounding
    )


def _compare_transposes(
    firsts: Mapping[str, FirstAnswer], compared: Sequence[Compared], *, rtol: float
) -> tuple[list[Finding], list[str]]:
    """Make the dot-product test of backward and jvp, and say which of both the differences contradict."""
    if len(firsts) < 2 or len(compared) < 2:
        return [], []
    ours, theirs = compared
    assert isinstance(ours.claims, Claims)
    assert isinstance(theirs.claims, TangentClaims)
    backward, jvp = firsts["backward"], firsts["jvp"]
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
