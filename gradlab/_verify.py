"""`verify`: many points of one rule, drawn and shrunk by Hypothesis."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis.database import ExampleDatabase

from gradlab import strategies
from gradlab._options import whole_number
from gradlab._points import is_example
from gradlab._question import Question, check_point, seed_of
from gradlab._search import PointFailed, simplest_failure
from gradlab._snippet import point_snippet, verify_call
from gradlab._tally import Tally, content_of
from gradlab.errors import GradientError, UsageError, is_deliberate
from gradlab.point.arguments import names_of
from gradlab.point.nonfinite import says_outputs_left_out
from gradlab.point.options import require
from gradlab.point.resources import Resources
from gradlab.point.values import describe, is_floating
from gradlab.report import Report, Verdict
from gradlab.rule import Rule
from gradlab.words import counted

__tracebackhide__ = is_deliberate

FEWEST = 0.1  # of the points: a right rule of which fewer were checked in time is not called right
LEAST = 1e-3  # seconds, for the first point, which is checked however late it is


def verify(
    rule: Rule,
    *,
    max_examples: int = 100,
    examples: Sequence[Any] = (),
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    max_seconds: float | None = None,
    database: ExampleDatabase | None = None,
    raise_exception: bool = True,
    progress: Callable[[int, str], None] | None = None,
) -> Report:
    """Check a rule at many points, and shrink a failure to the simplest failing point.

    Every point is checked as by `gradlab.gradcheck`, backward and jvp, those that the rule has, and so is its
    closed form of the full Jacobian.

    Parameters
    ----------
    rule : Rule
        What to check; its ``inputs`` say where points come from. Example inputs are the only point: what
        else is in the domain, such as a row that sums to 1, cannot be told from them.
    max_examples : int, default 100
        How many points to draw.
    examples : sequence of tuples, optional
        Points of your own, checked first, as by ``hypothesis.example``: a failing one is reported as it is.
    rtol : float, optional
        The relative defect that you do not care about, as in `gradlab.gradcheck`.
    rng : int or numpy.random.Generator, optional
        For the points and all that is random at each. ``None`` is a fixed seed: the same call gives the
        same report, whatever Hypothesis profile is loaded.
    max_seconds : float, optional
        How long points are drawn, and a failing one shrunk; a check that is running then makes as many calls
        of ``forward`` as fit in, as in `gradlab.gradcheck`. A rule of which less than a tenth of the points
        was checked by then does not pass. To explain a failure may take as long again.
    database : hypothesis.database.ExampleDatabase, optional
        Where the simplest failing point of the rule is kept, for the next call to begin with it. By default
        nothing is kept, so that the same call gives the same report; ``gradlab verify`` and `rule_tests` of
        the pytest plugin use the database of the Hypothesis profile in force, which in CI is none.
    raise_exception : bool, default True
        Whether to raise unless the verdict is ``pass``.
    progress : callable, optional
        Called after each point with the number of points so far, and what is being done: ``"drawing"``, then
        ``"shrinking"`` to a simpler failing point, and once ``"explaining"``.

    Returns
    -------
    Report
        ``fail`` if any point fails; else ``pass`` if at least 90 % of the points pass and every input
        passed at least once, where points without a number to compare do not count; else ``inconclusive``.

    Raises
    ------
    GradientError
        Unless the verdict is ``pass``.
    UsageError
        When the question is malformed at some point, or no point could be drawn.

    Notes
    -----
    A point that `gradlab.strategies.inputs` made degenerate on purpose, and at which ``forward`` raises or
    has no finite value, is outside of the function's domain: it is left out, does not count as a point, and
    is mentioned in the report's notes.

    A point that holds the same as an earlier one is not checked again. Where less than half of the points
    asked for are different, a note says how many are.

    Inside a test that is itself decorated with ``hypothesis.given``, Hypothesis refuses to be nested unless
    that test suppresses ``HealthCheck.nested_given``; use `gradlab.gradcheck` there.

    Examples
    --------
    >>> from gradlab import strategies
    >>> cube = Rule("cube", lambda x: x**3, lambda dy, x: 3 * x**2 * dy, strategies.inputs("(n)"))
    >>> verify(cube, max_examples=20)
    <Report cube: pass at 20 points>
    """
    __tracebackhide__ = True  # IPython looks for it here only
    if not isinstance(rule, Rule):
        raise UsageError(f"verify was given {describe(rule)}; expected a Rule")
    require(whole_number(1), optional=False, max_examples=max_examples)
    if not isinstance(examples, list | tuple):
        raise UsageError(f"examples is {describe(examples)}; expected a list of points, such as [(x, w)]")
    started = time.perf_counter()
    seed = seed_of(rng)
    question = Question(
        rule.forward,
        rule.backward,
        jvp=rule.jvp,
        cached=rule.cached,
        rtol=rtol,
        reference=rule.reference,
        convention=rule.convention,
        name=rule.name,
        explain=False,  # of all points that fail, only the last
        jacobian=rule.jacobian,
    )
    limited = Resources(max_seconds=max_seconds)
    tally = Tally(
        asked=1 if is_example(rule.inputs) else int(max_examples),
        until=math.inf if max_seconds is None else time.monotonic() + max_seconds,
    )

    def _until(end: float) -> Question:
        return replace(question, resources=replace(limited, until=end))

    def check(inputs: Any) -> bool:
        left, point = tally.seconds_left, content_of(inputs)
        if point in tally.known or (tally.drawn and left <= 0):
            return False
        tally.drawn += 1
        in_time = question if max_seconds is None else _until(max(tally.until, time.monotonic() + LEAST))
        report, raised = _check(in_time, inputs, seed=seed)
        if _outside_the_domain(inputs, report):
            tally.leave_out(report, point)
            return False
        tally.add(report, inputs, point)
        if progress is not None:
            progress(tally.points, "shrinking" if tally.failed else "drawing")
        if report.failed:
            raise PointFailed(inputs, report, raised)
        return True

    failure = simplest_failure(
        rule,
        check,
        tally,
        examples=examples,
        max_examples=tally.asked,
        seed=seed,
        database=database,
    )
    asked: dict[str, Any] = {
        "max_examples": max_examples,
        "rtol": rtol,
        "max_seconds": max_seconds,
        "seed": seed,
    }
    failing = None
    if failure is not None:
        if progress is not None:
            progress(tally.points, "explaining")
        failing = _explained(replace(question, explain=True, resources=limited), failure, tally, seed=seed)
    report = tally.summary(rule, failing, seed=seed, seconds=time.perf_counter() - started)
    if tally.seconds_left <= 0:
        drawn = f"max_seconds={max_seconds:g} ended it after {counted(tally.points, 'point')}"
        report = replace(report, notes=(*report.notes, drawn))
        if report.passed and tally.points < FEWEST * max_examples:
            report = replace(report, verdict=Verdict.INCONCLUSIVE, reason=f"{drawn} of {max_examples}")
    if failure is not None:
        explicit = any(finding.check == "jacobian" for finding in report.findings)
        snippet = point_snippet(rule, failure.inputs, rtol=rtol, seed=seed, explicit=explicit)
        # A point that is too large to be written is found again as it was.
        is_found_again = not snippet.complete and not examples
        call = verify_call(rule, **asked) if is_found_again else snippet.call
        notes = (*report.notes, *_domain(question, failure.inputs, report, seed=seed))
        report = replace(report, example=snippet.example, call=call, notes=notes)
    elif not report.passed:
        report = replace(report, call=verify_call(rule, **asked))
    if raise_exception and not report.passed:
        raise GradientError(report) from (failure.raised if failure else None)
    return report


def _check(question: Question, inputs: Any, *, seed: int) -> tuple[Report, BaseException | None]:
    # What is divided by zero at a point of our making is no matter of the caller's.
    with np.errstate(all="ignore") if _is_degenerate(inputs) else contextlib.nullcontext():
        return check_point(question, inputs, seed=seed)


def _explained(question: Question, failure: PointFailed, tally: Tally, *, seed: int) -> Report:
    """Locate what is wrong at the simplest failing point, and look for causes there and at the largest.

    The simplest point is the worst place to tell causes apart: at a single number, or where all are equal,
    every one-constant cause explains what is seen.
    """
    simplest, _ = _check(question, failure.inputs, seed=seed)
    if not simplest.failed:
        return failure.report  # it fails now and then
    if not simplest.causes and tally.largest is not None:
        largest, _ = _check(question, tally.largest, seed=seed)
        shapes = ", ".join(f"{r.name} of {counted(r.size, 'entry', 'entries')}" for r in largest.inputs)
        if largest.causes:
            note = f"the cause was tested at a larger failing point, with {shapes}"
            return replace(simplest, causes=largest.causes, notes=(*simplest.notes, note))
    return simplest


def _domain(question: Question, inputs: Any, report: Report, *, seed: int) -> Iterator[str]:
    """Say how to draw positive numbers, where ``forward`` has no value only for want of these."""
    if not isinstance(inputs, strategies.Point) or not _has_no_value(report):
        return
    for k, (name, x) in enumerate(zip(names_of(question.forward, len(inputs)), inputs, strict=True)):
        if not is_floating(x) or np.iscomplexobj(x) or not (x < 0).any():
            continue
        magnitudes = tuple(np.abs(y) if i == k else y for i, y in enumerate(inputs))
        if not _has_no_value(_check(question, magnitudes, seed=seed)[0]):
            yield (
                f"forward has a value at abs({name}): if {name} has to be positive, say so by "
                "gradlab.strategies.inputs(..., elements=gradlab.strategies.positive)"
            )


def _is_degenerate(inputs: Any) -> bool:
    return isinstance(inputs, strategies.Point) and bool(inputs.degenerate)


def _outside_the_domain(inputs: Any, report: Report) -> bool:
    """Whether ``forward`` has no value, or not all of it, at a point that was made degenerate on purpose."""
    lacking = _has_no_value(report) or any(map(says_outputs_left_out, report.notes))
    return _is_degenerate(inputs) and lacking


def _has_no_value(report: Report) -> bool:
    return any(
        finding.input is None and finding.kind in ("forward-raises", "not-finite")
        for finding in report.findings
    )
