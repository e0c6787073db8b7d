"""What is asked of every point alike, and one point of it: from the functions to the report.

`check_point` is the whole of it: the point is made ready (`gradlab.point.problem`), backward and jvp are
called there (`gradlab.checks.maps`), all checks are run (`gradlab.checks`, where their order stands), and
what they found becomes a report (`gradlab._assemble`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlab._assemble import assemble
from gradlab._in_hypothesis import aside
from gradlab._options import FRACTION, NOT_NEGATIVE, TEXT, whole_number
from gradlab._snippet import Snippet
from gradlab.checks.criteria import default_rtol
from gradlab.checks.found import Found
from gradlab.checks.maps import FirstAnswer, backward_map, jvp_map
from gradlab.checks.one_point import run_checks
from gradlab.errors import GradientError, Interrupted, UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.options import require, title_of
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.resources import UNLIMITED, Resources
from gradlab.point.values import describe
from gradlab.report import Finding, Origin, Report
from gradlab.rule import TORCH, Rule, as_reference

if TYPE_CHECKING:
    from gradlab.pictures import Pictures

__tracebackhide__ = is_deliberate


@dataclass(frozen=True)
class Question:
    """What is asked of every point alike; the fields are those of `gradcheck`.

    With ``explain``, wrong entries are located and causes looked for. ``jacobian`` is the closed form of the
    full Jacobian, a second witness. ``noise_floor`` is that of a `Problem`.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any] | None
    _: KW_ONLY
    jvp: Callable[..., Any] | None = None
    reference: Rule | tuple[Callable[..., Any], Callable[..., Any]] | None = None
    cached: bool = False
    wrt: Any = None
    kwargs: Mapping[str, Any] | None = None
    bounds: Any = None
    tangents: Mapping[str, Callable[..., Any]] | None = None
    rtol: float | None = None
    atol: float | None = None
    probes: str | None = None
    resources: Resources = UNLIMITED
    convention: str = TORCH
    name: str | None = None
    explain: bool = True
    jacobian: Callable[..., Any] | None = None
    noise_floor: Array | None = None

    def __post_init__(self) -> None:
        if self.backward is None and self.jvp is None:
            raise UsageError("backward is None; expected a function (or jvp=, to check forward mode alone)")
        require(FRACTION, rtol=self.rtol)
        require(NOT_NEGATIVE, atol=self.atol)
        if self.probes not in (None, "entries", "directions"):
            raise UsageError(f"probes is {describe(self.probes)}; expected 'entries' or 'directions'")
        require(TEXT, name=self.name)
        if self.reference is not None:
            as_reference(self.reference, self.convention)
        for option in ("reference", "tangents"):
            if self.jvp is not None and getattr(self, option):
                raise UsageError(
                    f"{option} is given beside jvp, which is compared by differences along all directions; "
                    f"expected jvp or {option}: check backward with {option} in another call"
                )

    @property
    def title(self) -> str:
        """The name in reports."""
        return title_of(self.forward, self.name)

    def ready_at(self, inputs: Any, grad_output: Any, seed: int) -> Problem:
        """Make a point ready, calling ``forward``; ``seed`` draws the upstream gradient if none is given."""
        return Problem(
            self.forward,
            self.backward,
            inputs,
            jvp=self.jvp,
            cached=self.cached,
            wrt=self.wrt,
            kwargs=self.kwargs,
            bounds=self.bounds,
            tangents=self.tangents,
            grad_output=grad_output,
            seed=seed,
            resources=self.resources,
            convention=self.convention,
            noise_floor=self.noise_floor,
        )


def check_point(
    question: Question, inputs: Any, *, grad_output: Any = None, seed: int
) -> tuple[Report, BaseException | None]:
    """Check one point; return the report, and what a function under test raised there, if it did."""
    with aside():  # no decorator, which would stand in tracebacks
        return _check_point(question, inputs, grad_output=grad_output, seed=seed)


def _check_point(
    question: Question, inputs: Any, *, grad_output: Any, seed: int
) -> tuple[Report, BaseException | None]:
    started = time.perf_counter()
    original: BaseException | None = None
    problem: Problem | None = None
    rtol: float | None = question.rtol
    try:
        problem = question.ready_at(inputs, grad_output, seed)
        firsts = _first_answers(problem, question, seed)
        # After these, which change `given_eps`: what they return may be in a narrower dtype than the inputs.
        rtol = float(question.rtol or default_rtol(problem.given_eps))
        reference = question.reference
        # What overflows beside the point, or in our own sums, is no matter of the caller's.
        with np.errstate(all="ignore"):
            found = run_checks(
                problem,
                firsts,
                rtol=rtol,
                atol=float(question.atol or 0.0),
                probes=question.probes,
                explain=question.explain,
                jacobian=question.jacobian,
                reference=None if reference is None else as_reference(reference, question.convention),
                seed=seed,
            )
    except RuleRaised as raised:
        original = raised.__cause__
        found = Found(findings=(Finding("contract", None, f"{raised.role}-raises", str(raised)),))
    finally:
        if problem is not None:
            problem.close()
    if problem is not None and problem.pace.interrupted:
        original = KeyboardInterrupt()
    origin = _Pictured(question, inputs, grad_output, seed, rtol)
    report = assemble(question.title, found, problem=problem, started=started, seed=seed, origin=origin)
    return report, original


@dataclass(eq=False, repr=False)
class _Pictured(Origin):
    """One point of a question; its pictures are kept once, when they are asked for."""

    question: Question
    inputs: Any
    grad_output: Any
    seed: int
    rtol: float | None
    kept: Pictures | None = None

    def pictures(self, report: Report) -> Pictures:
        if self.kept is None:
            self.kept = self._take(report)
        return self.kept

    def _take(self, report: Report) -> Pictures:
        from gradlab.pictures import Pictures
        from gradlab.pictures.collect import collect

        resources = replace(self.question.resources, max_calls=None, max_seconds=None, interruptible=False)
        question = replace(self.question, resources=resources)
        try:
            problem = question.ready_at(self.inputs, self.grad_output, self.seed)
        except (RuleRaised, UsageError) as error:  # it did not, when the report was made
            return Pictures(notes=(f"no pictures: {error}",))
        roles = [role for role in ("backward", "jvp") if getattr(question, role) is not None]
        reference = question.reference
        with closing(problem):
            return collect(
                problem,
                report,
                roles=roles,
                rtol=self.rtol or default_rtol(problem.given_eps),
                atol=float(question.atol or 0.0),
                reference=None if reference is None else as_reference(reference, question.convention),
            )


def _first_answers(problem: Problem, question: Question, seed: int) -> dict[str, FirstAnswer]:
    """Call backward and jvp at the point, those that there are, and read what they return."""
    maps = []
    if question.backward is not None:
        maps.append(backward_map(problem))
    if question.jvp is not None:
        maps.append(jvp_map(problem, np.random.default_rng((seed, 1))))
    return {linear.role: FirstAnswer.ask(linear) for linear in maps}


def answered(
    report: Report,
    raised: BaseException | None,
    snippet: Callable[[], Snippet],
    *,
    raise_exception: bool,
    error: type[GradientError] = GradientError,
) -> Report:
    """Return a report that passes; give any other the call that makes it again, and raise it if asked to."""
    __tracebackhide__ = True
    if report.passed:
        return report
    with aside():
        text = snippet()
    report = replace(report, example=text.example, call=text.call)
    if raise_exception and isinstance(raised, KeyboardInterrupt):
        raise Interrupted(report)
    if raise_exception:
        raise error(report) from raised
    return report


def seed_of(rng: int | np.random.Generator | None) -> int:
    """Return the seed that stands for ``rng``: 0 for ``None``, a drawn one for a generator.

    >>> seed_of(None), seed_of(7)
    (0, 7)
    """
    if rng is None:
        return 0
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**32))
    if whole_number(0).accepts(rng):
        return int(rng)
    raise UsageError(f"rng is {describe(rng)}; expected None, a non-negative integer or a numpy Generator")
