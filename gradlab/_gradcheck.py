"""`gradcheck`: one point of one rule, checked; runs the checks and assembles the report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from gradlab.checks.contract import read_gradients
from gradlab.checks.gradients import Probes, probe_gradients
from gradlab.checks.jacobian import compare_jacobian
from gradlab.errors import GradientError, UsageError
from gradlab.problem import Problem, RuleRaised
from gradlab.report import Entry, Finding, InputResult, Report, Verdict
from gradlab.values import describe

MAX_WRONG_ENTRIES = 100  # listed in a report


def gradcheck(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Any,
    *,
    cached: bool = False,
    wrt: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    grad_output: Any = None,
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check a backward rule at one point.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs, **kwargs) -> array`` (or a tuple of arrays, for several outputs); with
        ``cached=True``, ``forward(*inputs, **kwargs) -> (output, cache)``.
    backward : callable
        ``backward(grad_output, *inputs, **kwargs) -> gradients``, one per input, as a tuple (a bare array
        when there is one); with ``cached=True``, ``backward(grad_output, cache) -> gradients``.
    inputs : tuple, list, dict or array
        The point. Floating-point arrays and Python floats are differentiated; anything else is a constant,
        passed through untouched, whose gradient may be left out, ``None`` or zeros. With a dict the
        functions are called by keyword, and gradients may come in a dict too.
    cached : bool, default False
        Whether the functions have the form of course notes, ``out, cache``.
    wrt : str, int or sequence of them, optional
        Names or positions of the inputs to differentiate; all floating-point ones by default.
    kwargs : mapping, optional
        Further keyword arguments of both functions (with ``cached=True``, of ``forward`` alone).
    grad_output : array or tuple of arrays, optional
        The upstream gradient ``dL/dY``, of the output's shape; random by default.
    rtol : float, optional
        The relative defect that you do not care about. By default 1e-7 in float64, and the square root
        of the unit of rounding in float32 (3e-4) and float16 (0.03).
    rng : int or numpy.random.Generator, optional
        For the upstream gradient and the random directions. ``None`` is a fixed seed on purpose: the same
        call gives the same report.
    name : str, optional
        What the report calls the rule; by default the name of ``forward``.
    raise_exception : bool, default True
        Whether to raise unless the verdict is ``pass``.

    Returns
    -------
    Report
        The verdict and what it rests on.

    Raises
    ------
    GradientError
        Unless the verdict is ``pass``; an `AssertionError` that carries the report.
    UsageError
        When the question is malformed: no floating-point input, a forward that returns no array, …

    Examples
    --------
    >>> x = np.array([0.5, -1.0, 2.0])
    >>> gradcheck(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), x)
    <Report tanh: pass at 1 point>
    >>> report = gradcheck(np.tanh, lambda dy, x: dy * (1 - x**2), x, raise_exception=False)
    >>> report.inputs[0].wrong_count
    3
    """
    question = Question(forward, backward, cached=cached, wrt=wrt, kwargs=kwargs, rtol=rtol, name=name)
    report, raised = check_point(question, inputs, grad_output=grad_output, seed=seed_of(rng))
    if raise_exception and not report.passed:
        raise GradientError(report) from raised
    return report


@dataclass(frozen=True)
class Question:
    """What is asked of every point alike; the fields are those of `gradcheck`.

    With ``jacobian``, the explicit Jacobian is built as a second witness: numerically, and by that function
    in closed form when it is not ``None``.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    _: KW_ONLY
    cached: bool = False
    wrt: Any = None
    kwargs: Mapping[str, Any] | None = None
    rtol: float | None = None
    name: str | None = None
    explicit_jacobian: bool = False
    jacobian: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        rtol, name = self.rtol, self.name
        if rtol is not None and not (isinstance(rtol, int | float | np.floating) and 0 < rtol < 1):
            raise UsageError(f"rtol is {describe(rtol)}; expected a number between 0 and 1")
        if name is not None and not isinstance(name, str):
            raise UsageError(f"name is {describe(name)}; expected a string")

    @property
    def title(self) -> str:
        """The name in reports."""
        return self.name or str(getattr(self.forward, "__name__", type(self.forward).__name__))


def check_point(
    question: Question, inputs: Any, *, grad_output: Any = None, seed: int
) -> tuple[Report, BaseException | None]:
    """Check one point; return the report, and what a function under test raised there, if it did."""
    started = time.perf_counter()
    generator = np.random.default_rng(seed)
    try:
        problem = Problem(
            question.forward,
            question.backward,
            inputs,
            cached=question.cached,
            wrt=question.wrt,
            kwargs=question.kwargs,
            grad_output=grad_output,
            rng=generator,
        )
    except RuleRaised as raised:
        finding = Finding("contract", None, "forward-raises", str(raised))
        return _report(
            question.title, [finding], [], started=started, seed=seed, calls=(1, 0)
        ), raised.__cause__

    rtol = default_rtol(problem.eps) if question.rtol is None else question.rtol
    cause: BaseException | None = None
    probes: list[Probes] = []
    try:
        returned = problem.call_backward()
    except RuleRaised as raised:
        cause = raised.__cause__
        findings = [Finding("contract", None, "backward-raises", str(raised))]
    else:
        gradients, findings = read_gradients(problem, returned)
        if not np.isfinite(problem.output).all():
            message = "forward returns values that are not finite"
            findings.append(Finding("contract", None, "not-finite", message))
        else:
            # What overflows beside the point, or in our own sums, is no matter of the caller's.
            with np.errstate(all="ignore"):
                probes = probe_gradients(problem, gradients, rtol=rtol, rng=generator)
                findings += _wrong_gradients(problem, probes, rtol)
                if question.explicit_jacobian and not findings:
                    findings += compare_jacobian(problem, gradients, question.jacobian, rtol=rtol)

    report = _report(
        question.title,
        findings,
        [_input_result(problem, i, probes, findings, rtol) for i in problem.wrt],
        started=started,
        seed=seed,
        calls=(problem.forward_calls, problem.backward_calls),
        undecided=_undecided_reason(problem, probes, rtol),
    )
    return report, cause


def seed_of(rng: int | np.random.Generator | None) -> int:
    """Return the seed that stands for ``rng``: 0 for ``None``, a drawn one for a generator.

    >>> seed_of(None), seed_of(7)
    (0, 7)
    """
    if rng is None:
        return 0
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**32))
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        return int(rng)
    raise UsageError(f"rng is {describe(rng)}; expected None, a non-negative integer or a numpy Generator")


def default_rtol(eps: float) -> float:
    """Return the relative defect that a function with this unit of rounding lets one see.

    >>> default_rtol(np.finfo(np.float64).eps)
    1e-07
    """
    return max(1e-7, math.sqrt(eps))


def _wrong_gradients(problem: Problem, probes: list[Probes], rtol: float) -> list[Finding]:
    wrong = [p for p in probes if p.wrong(rtol).any()]
    if any(p.position is not None for p in wrong):
        wrong = [p for p in wrong if p.position is not None]  # the joint directions have nothing to add
    return [_wrong_gradient(problem, p, rtol) for p in wrong]


def _wrong_gradient(problem: Problem, probes: Probes, rtol: float) -> Finding:
    wrong = np.flatnonzero(probes.wrong(rtol))
    worst = _worst(probes, rtol)
    numbers = (
        f"backward gives {worst.analytic:.6g}, central differences give "
        f"{worst.numeric:.6g} ± {worst.error_bar:.1g}"
    )
    names = ", ".join(problem.names[i] for i in problem.wrt)
    who = names if probes.position is None else problem.names[probes.position]
    if worst.index is None:
        where = f"along {wrong.size} of {probes.analytic.size} random directions"
        message = f"gradient of {who} is wrong {where}; along the worst, {numbers}"
    else:
        assert probes.position is not None
        at = problem.arguments.label(probes.position, worst.index)
        where = f"at {wrong.size} of {probes.analytic.size} entries"
        message = f"gradient of {who} is wrong {where}; worst {at}: {numbers}"
    return Finding("gradients", None if probes.position is None else who, "wrong-gradient", message)


def _worst(probes: Probes, rtol: float) -> Entry:
    """Return the probe that disagrees most: a wrong one if there is one."""
    entries = [
        Entry(index, *map(_plain, numbers))
        for index, *numbers in zip(
            probes.indices or [None] * probes.analytic.size,
            probes.analytic,
            probes.numeric,
            probes.error_bar,
            probes.scale,
            strict=True,
        )
    ]
    wrong = probes.wrong(rtol)
    return max(zip(wrong, entries, strict=True), key=lambda pair: (pair[0], pair[1].error))[1]


def _plain(value: np.float64) -> float:
    # Two NaNs are equal in a tuple only when they are one object; equal reports need that.
    return math.nan if np.isnan(value) else float(value)


def _input_result(
    problem: Problem, position: int, probes: list[Probes], findings: list[Finding], rtol: float
) -> InputResult:
    name = problem.names[position]
    own = next((p for p in probes if p.position == position), None)
    wrong: list[tuple[int, ...]] = []
    if own is not None and own.indices is not None:
        wrong = [own.indices[k] for k in np.flatnonzero(own.wrong(rtol))]
    if any(f.input in (name, None) for f in findings):
        verdict = Verdict.FAIL if any(f.input == name for f in findings) else Verdict.INCONCLUSIVE
    else:
        blind = own is None or own.undecided(rtol).any()
        verdict = Verdict.INCONCLUSIVE if blind else Verdict.PASS
    return InputResult(
        name=name,
        verdict=verdict,
        size=problem.value(position).size,
        probed=len(own.indices) if own is not None and own.indices is not None else 0,
        wrong_count=len(wrong),
        wrong_entries=tuple(wrong[:MAX_WRONG_ENTRIES]),
        worst=_worst(own, rtol) if own is not None and own.analytic.size else None,
    )


def _undecided_reason(problem: Problem, probes: list[Probes], rtol: float) -> str:
    """Say why nothing more is known; an empty string when every probe tells."""
    empty = [problem.names[i] for i in problem.wrt if problem.value(i).size == 0]
    if len(empty) == len(problem.wrt):
        return f"{', '.join(empty)} has no entries: there is nothing to compare"
    probed = {p.position for p in probes}
    missing = [problem.names[i] for i in problem.wrt if i not in probed]
    if missing:
        return f"the gradient of {', '.join(missing)} could not be compared"
    undecided = [p for p in probes if p.undecided(rtol).any()]
    if not undecided:
        return ""
    count = sum(int(p.undecided(rtol).sum()) for p in undecided)
    needed = max(p.deciding_rtol() for p in undecided)
    names = ", ".join(
        "joint directions" if p.position is None else problem.names[p.position] for p in undecided
    )
    advice = f"rtol={needed:.1g} would decide" if needed < 1 else "no rtol below 1 would decide"
    return (
        f"the numerical error bar is wider than rtol={rtol:.1g} at {count} probe{'s' * (count != 1)} "
        f"({names}); {advice}"
        + (f"; at some perturbed points, {problem.obstacle}" if problem.obstacle else "")
    )


def _report(
    name: str,
    findings: list[Finding],
    results: list[InputResult],
    *,
    started: float,
    seed: int,
    calls: tuple[int, int],
    undecided: str = "",
) -> Report:
    verdict = Verdict.FAIL if findings else Verdict.INCONCLUSIVE if undecided else Verdict.PASS
    return Report(
        name=name,
        verdict=verdict,
        reason=findings[0].message if findings else undecided,
        inputs=tuple(results),
        findings=tuple(findings),
        points=1,
        points_passed=int(verdict is Verdict.PASS),
        points_failed=int(verdict is Verdict.FAIL),
        example=None,
        forward_calls=calls[0],
        backward_calls=calls[1],
        seconds=time.perf_counter() - started,
        seed=seed,
    )
