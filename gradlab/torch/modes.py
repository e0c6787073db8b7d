"""A point of a function of PyTorch checked: reverse mode, what is asked beside, and forward mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gradlab._framework import report_of, summed
from gradlab._question import Question
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.raised import RuleRaised
from gradlab.point.resources import Resources
from gradlab.point.values import describe
from gradlab.report import Finding, Report, Verdict
from gradlab.rule import Rule
from gradlab.torch.arrays import array_of
from gradlab.torch.batches import in_batches
from gradlab.torch.beside import Beside
from gradlab.torch.derivatives import Point
from gradlab.torch.upstream import given_upstream

__tracebackhide__ = is_deliberate


def check_modes(
    point: Point,
    *,
    number: int,
    backward: bool,
    forward: bool | None,
    beside: Sequence[str],
    notes: Sequence[str],
    max_calls: int | None,
    vectorized: bool | None,
    grad_outputs: Any = None,
    reference: Point | None = None,
    **options: Any,
) -> Report:
    """Check a function: reverse mode by differences, then what is asked beside, then forward mode.

    Parameters
    ----------
    point : Point
        The function.
    number : int
        Seeds all that is drawn.
    backward, forward : bool or None
        Which modes are checked; with ``None``, forward mode where there is one.
    beside : sequence of str
        Methods of `Beside`.
    notes : sequence of str
        What is to be said of the question.
    max_calls, vectorized, grad_outputs
        As in `gradlab.torch.gradcheck`.
    reference : Point, optional
        A function of the same variables, whose derivative is trusted.
    **options
        Of a `Question`.

    Returns
    -------
    Report
        The worst of those of both modes, with what was found beside.
    """
    if not backward and not forward:
        raise UsageError("neither reverse nor forward mode is to be checked; expected one of them")
    resources = partial(_resources, max_calls=max_calls, vectorized=vectorized)
    if not backward:
        pairs = point.in_pairs()
        question = Question(
            pairs.forward,
            None,
            jvp=pairs.jvp,
            cached=True,
            resources=resources(pairs),
            name=point.title,
            **options,
        )
        return _together(point, [report_of(question, pairs.arrays, seed=number)], notes=notes)
    trusted = None
    if reference is not None:
        trusted = Rule("reference", reference.forward, reference.backward, (), cached=True)
    question = Question(
        point.forward,
        point.backward,
        cached=True,
        reference=trusted,
        resources=resources(point),
        name=point.title,
        **options,
    )
    upstream = None if grad_outputs is None else _upstream(point, grad_outputs)
    reports = [report_of(question, point.arrays, grad_output=upstream, seed=number)]
    if reports[0].failed:
        return _together(point, reports, notes=notes)
    again = Beside(point, number)
    findings = [finding for check in beside for finding in getattr(again, check)()]
    if forward is not False and not findings:
        of_pairs = {**options, "resources": resources(point.in_pairs())}
        reports += _forward_mode(point, again, required=bool(forward), number=number, **of_pairs)
    return _together(point, reports, findings, notes=notes, calls=again.calls)


def _resources(point: Point, max_calls: int | None, vectorized: bool | None) -> Resources:
    if vectorized not in (None, True, False):
        raise UsageError(f"vectorized is {describe(vectorized)}; expected True, False or None")
    batched = None if vectorized is False else in_batches(point, required=bool(vectorized))
    return Resources(max_calls=max_calls, batched=batched)


def _forward_mode(
    point: Point, again: Beside, *, required: bool, number: int, **options: Any
) -> list[Report]:
    """Check forward mode where there is one: by differences only what is no transpose of reverse mode."""
    try:
        disagreement = again.forward_mode(options["rtol"])
    except RuleRaised as error:
        original = error.__cause__
        assert original is not None
        if isinstance(original, NotImplementedError) and not required:
            return []
        raise original from None
    if disagreement is None:
        return []
    pairs = point.in_pairs()
    question = Question(
        pairs.forward, pairs.backward, jvp=pairs.jvp, cached=True, name=point.title, **options
    )
    return [report_of(question, pairs.arrays, seed=number)]


def _together(
    point: Point,
    reports: Sequence[Report],
    findings: Sequence[Finding] = (),
    *,
    notes: Sequence[str],
    calls: Mapping[str, int] | None = None,
) -> Report:
    """Return the worst of several reports, with what was found beside, and all calls counted."""
    order = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
    worst = max(reports, key=lambda report: order.index(report.verdict))
    if findings:
        worst = replace(
            worst,
            verdict=Verdict.FAIL,
            reason=findings[0].message,
            findings=(*worst.findings, *findings),
            inputs=tuple(
                replace(result, verdict=Verdict.FAIL)
                if any(finding.input == result.name for finding in findings)
                else result
                for result in worst.inputs
            ),
            points_passed=0,
            points_failed=1,
        )
    hints = [*point.notes, *notes]
    if "not-deterministic" in worst.kinds and point.seed is None:
        hints.append("where func draws from torch's generators, seed=0 makes it draw the same in each call")
    return summed(worst, reports, notes=hints, calls=calls)


def _upstream(point: Point, grad_outputs: Any) -> Any:
    arrays = tuple(map(array_of, given_upstream(point, grad_outputs)))
    return arrays if len(point.kept) > 1 else arrays[0]
