"""`verify`: many points of one rule, drawn and shrunk by Hypothesis."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis
import numpy as np
from hypothesis import configuration
from hypothesis import strategies as st

from gradlab import strategies
from gradlab._gradcheck import Question, check_point, seed_of
from gradlab._snippet import point_snippet, verify_call
from gradlab.errors import GradientError, UsageError, is_deliberate
from gradlab.report import InputResult, Report, Verdict
from gradlab.rule import Rule
from gradlab.values import describe

__tracebackhide__ = is_deliberate

# Points in one run of Hypothesis: once it has drawn ten, it makes most of them of parts of one that it drew
# before. They are alike in what makes them degenerate: of runs of 100, one in twenty had next to no zeros,
# for an average of 15.
BATCH = 10
ENOUGH = 0.9  # of the points must pass


def verify(
    rule: Rule,
    *,
    max_examples: int = 100,
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    raise_exception: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Check a rule at many points, and shrink a failure to the simplest failing point.

    Every point is checked as by `gradlab.gradcheck`, and against the explicit full Jacobian, built
    numerically and by the rule's closed form.

    Parameters
    ----------
    rule : Rule
        What to check; its ``inputs`` say where points come from. Example inputs are the only point: what
        else is in the domain, such as a row that sums to 1, cannot be told from them.
    max_examples : int, default 100
        How many points to draw.
    rtol : float, optional
        The relative defect that you do not care about, as in `gradlab.gradcheck`.
    rng : int or numpy.random.Generator, optional
        For the points and all that is random at each. ``None`` is a fixed seed: the same call gives the
        same report, whatever Hypothesis profile is loaded.
    raise_exception : bool, default True
        Whether to raise unless the verdict is ``pass``.
    progress : callable, optional
        Called with the number of points checked, after each.

    Returns
    -------
    Report
        ``fail`` if any point fails; else ``pass`` if at least 90 % of the points pass and every input
        passed at least once; else ``inconclusive``.

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
    if not isinstance(max_examples, int | np.integer) or max_examples < 1:
        raise UsageError(f"max_examples is {describe(max_examples)}; expected a positive integer")
    started = time.perf_counter()
    seed = seed_of(rng)
    question = Question(
        rule.forward,
        rule.backward,
        cached=rule.cached,
        rtol=rtol,
        name=rule.name,
        explicit_jacobian=True,
        jacobian=rule.jacobian,
    )
    tally = _Tally()
    drawn = points(rule)
    shrinkable = not callable(rule.inputs)

    def check(inputs: Any) -> None:
        tally.drawn += 1
        if tally.is_known(inputs):
            tally.checked += 1
            hypothesis.reject()
        # What is divided by zero at a point of our making is no matter of the caller's.
        with np.errstate(all="ignore") if _is_degenerate(inputs) else contextlib.nullcontext():
            report, raised = check_point(question, inputs, seed=seed)
        if _outside_the_domain(inputs, report):
            tally.leave_out(report)
            hypothesis.reject()
        tally.add(report, inputs)
        if progress is not None:
            progress(tally.points)
        if report.failed:
            raise _PointFailed(inputs, report, raised)

    failure: _PointFailed | None = None
    try:
        with _hypothesis_writes_elsewhere():
            _run(check, drawn, tally, max_examples=int(max_examples), seed=seed, shrink=shrinkable)
    except _PointFailed as failed:
        failure = failed
    except hypothesis.errors.FlakyFailure as flaky:  # the same point fails now and then
        failure = next((error for error in flaky.exceptions if isinstance(error, _PointFailed)), None)
        if failure is None:
            raise UsageError(f"rule {rule.name!r}: {flaky.exceptions[0]}") from flaky
    except hypothesis.errors.Unsatisfiable as error:
        raise UsageError(f"rule {rule.name!r}: its inputs gave no point: {error}") from error
    except UsageError as error:
        raise UsageError(f"rule {rule.name!r}: {error}") from error.__cause__  # it says the same, and more
    except Exception as error:
        if tally.drawn > tally.checked:
            raise  # not while a point was drawn: the fault is ours
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"rule {rule.name!r}: no point could be drawn: {reason}") from error
    report = tally.summary(
        rule.name, failure.report if failure else None, seed=seed, seconds=time.perf_counter() - started
    )
    if failure is not None:
        explicit = all(finding.check == "jacobian" for finding in report.findings)
        snippet = point_snippet(rule, failure.inputs, rtol=rtol, seed=seed, explicit=explicit)
        report = replace(report, example=snippet.example, call=snippet.call)
    elif not report.passed:
        report = replace(report, call=verify_call(rule, max_examples=max_examples, rtol=rtol, seed=seed))
    if raise_exception and not report.passed:
        raise GradientError(report) from (failure.raised if failure else None)
    return report


def _run(
    check: Callable[[Any], None],
    drawn: st.SearchStrategy[Any],
    tally: _Tally,
    *,
    max_examples: int,
    seed: int,
    shrink: bool,
) -> None:
    """Let Hypothesis check points, a few at a time, and shrink the first that fails."""
    for start in range(0, max_examples, BATCH):
        wanted = min(BATCH, max_examples - start)
        run = hypothesis.settings(
            max_examples=wanted,
            phases=[hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if shrink else [])],
            # Everything that a user's profile could change is set here.
            deadline=None,
            database=None,
            derandomize=False,
            print_blob=False,
            report_multiple_bugs=False,
            stateful_step_count=1,
            suppress_health_check=list(hypothesis.HealthCheck),
            verbosity=hypothesis.Verbosity.quiet,
            backend="hypothesis",
        )(hypothesis.given(drawn)(check))
        try:
            hypothesis.seed(f"{seed}, {start}")(run)()
        except hypothesis.errors.Unsatisfiable:
            if not tally.points:
                raise
            return  # all that there are were checked
        tally.remember()


class _PointFailed(Exception):
    def __init__(self, inputs: Any, report: Report, raised: BaseException | None) -> None:
        super().__init__(report.reason)
        self.inputs, self.report, self.raised = inputs, report, raised


@dataclass
class _Tally:
    """What the points so far have shown; shrinking, after the first failure, is counted only as calls."""

    drawn: int = 0
    checked: int = 0
    left_out: int = 0
    points: int = 0
    passed: int = 0
    failed: int = 0
    forward_calls: int = 0
    backward_calls: int = 0
    reason: str = ""
    notes: dict[str, None] = field(default_factory=dict)
    inputs: dict[str, InputResult] = field(default_factory=dict)
    known: set[Hashable] = field(default_factory=set)
    new: set[Hashable] = field(default_factory=set)

    def is_known(self, inputs: Any) -> bool:
        """Whether a point was checked in an earlier run; within one, the same point has the same answer."""
        return _fingerprint(inputs) in self.known

    def remember(self) -> None:
        self.known |= self.new
        self.new.clear()

    def leave_out(self, report: Report) -> None:
        self._count(report)
        self.left_out += not self.failed

    def add(self, report: Report, inputs: Any) -> None:
        self._count(report)
        if self.failed:
            return
        self.new.add(_fingerprint(inputs))
        self.points += 1
        self.passed += report.passed
        self.failed += report.failed
        if report.inconclusive:
            self.reason = report.reason
        self.notes.update(dict.fromkeys(report.notes))
        for result in report.inputs:
            self.inputs[result.name] = _merge(self.inputs.get(result.name), result)

    def _count(self, report: Report) -> None:
        self.checked += 1
        self.forward_calls += report.forward_calls
        self.backward_calls += report.backward_calls

    def summary(self, name: str, failing: Report | None, *, seed: int, seconds: float) -> Report:
        if failing is not None:
            verdict, reason = Verdict.FAIL, failing.reason
        elif self.passed >= ENOUGH * self.points and all(
            result.verdict is Verdict.PASS for result in self.inputs.values()
        ):
            verdict, reason = Verdict.PASS, ""
        else:
            verdict = Verdict.INCONCLUSIVE
            reason = f"{self.passed} of {self.points} points passed"
            reason += f"; at another, {self.reason}" if self.passed else f"; {self.reason}"
        return Report(
            name=name,
            verdict=verdict,
            reason=reason,
            inputs=failing.inputs if failing is not None else tuple(self.inputs.values()),
            findings=failing.findings if failing is not None else (),
            causes=failing.causes if failing is not None else (),
            notes=failing.notes if failing is not None else (*self.notes, *self._remark()),
            points=self.points,
            points_passed=self.passed,
            points_failed=self.failed,
            example=None,
            forward_calls=self.forward_calls,
            backward_calls=self.backward_calls,
            seconds=seconds,
            seed=seed,
        )

    def _remark(self) -> Iterator[str]:
        if self.left_out:
            yield f"{self.left_out} degenerate points were left out: forward has no finite value there"


def _merge(old: InputResult | None, new: InputResult) -> InputResult:
    """Keep the worst probe over all points; an input counts as right when it passed at least once."""
    if old is None:
        return new
    entries = [result.worst for result in (old, new) if result.worst is not None]
    verdict = Verdict.PASS if Verdict.PASS in (old.verdict, new.verdict) else new.verdict
    seen = [result.resolution for result in (old, new) if result.resolution is not None]
    resolution = max(seen, default=None)  # no point was coarser
    return replace(
        new,
        verdict=verdict,
        resolution=resolution,
        worst=max(entries, key=lambda entry: entry.error, default=None),
    )


def _fingerprint(inputs: Any) -> Hashable:
    """Return what two inputs have in common exactly when they are the same."""
    if isinstance(inputs, np.ndarray) and inputs.dtype != object:
        return str(inputs.dtype), inputs.shape, inputs.strides, inputs.tobytes()
    if isinstance(inputs, Mapping):
        return tuple((name, _fingerprint(value)) for name, value in inputs.items())
    if isinstance(inputs, tuple | list):
        return tuple(map(_fingerprint, inputs))
    return type(inputs), repr(inputs)


def _is_degenerate(inputs: Any) -> bool:
    return isinstance(inputs, strategies.Point) and bool(inputs.degenerate)


def _outside_the_domain(inputs: Any, report: Report) -> bool:
    """Whether ``forward`` has no value at a point that was made degenerate on purpose."""
    return _is_degenerate(inputs) and any(
        finding.input is None and finding.kind in ("forward-raises", "not-finite")
        for finding in report.findings
    )


@contextlib.contextmanager
def _hypothesis_writes_elsewhere() -> Iterator[None]:
    """Keep Hypothesis out of the user's folder: without a database, too, it caches the source it reads."""
    before = vars(configuration)["__hypothesis_home_directory"]
    with tempfile.TemporaryDirectory(prefix="gradlab-") as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(before)


def points(rule: Rule) -> st.SearchStrategy[Any]:
    """Return the strategy that draws a rule's points."""
    inputs = rule.inputs
    if isinstance(inputs, st.SearchStrategy):
        return inputs
    if isinstance(inputs, str):
        try:
            return strategies.inputs(inputs)
        except UsageError as error:
            raise UsageError(f"rule {rule.name!r}: {error}") from None
    if callable(inputs):
        # Large integers would not do: Hypothesis prefers those that it finds in the modules at hand.
        seeds = st.lists(st.integers(0, 99), min_size=5, max_size=5)
        return seeds.map(lambda seed: inputs(np.random.default_rng(seed)))
    if isinstance(inputs, tuple | list | Mapping | np.ndarray):
        return st.just(inputs)
    raise UsageError(
        f"rule {rule.name!r}: inputs is {describe(inputs)}; expected a signature such as '(n,d),(d,m)', "
        "a Hypothesis strategy, a tuple of example inputs, or a function of a numpy Generator"
    )
