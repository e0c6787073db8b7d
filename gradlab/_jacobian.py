"""One claimed Jacobian, gradient or Hessian at one point: what is asked of it, and the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from gradlab._in_hypothesis import aside
from gradlab._options import FRACTION, TEXT
from gradlab._question import seed_of
from gradlab._snippet import derivative_snippet
from gradlab.checks.claimed_jacobian import ClaimedJacobian
from gradlab.checks.columns import compare_columns
from gradlab.checks.criteria import default_rtol
from gradlab.checks.entries import WrongEntries, wrong_entries
from gradlab.checks.pairs import Comparison
from gradlab.checks.sparsity import read_pattern
from gradlab.errors import GradientError, UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.options import require, title_of
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.values import describe
from gradlab.report import MAX_WRONG_ENTRIES, Entry, Finding, InputResult, Report, Verdict
from gradlab.words import counted, rounded_up, told_apart

__tracebackhide__ = is_deliberate


@dataclass(frozen=True)
class Asked:
    """A function, what is claimed to be its derivative, and where.

    Attributes
    ----------
    check, what : str
        The call that asks, such as ``gradlab.scipy.check_jac``, and what it calls the derivative.
    fun, derivative : callable
        The function; its derivative, or ``True`` where it returns both.
    x0 : Array
        The point, of shape ``(n,)``.
    args, kwargs
        Further arguments of both.
    box : tuple of Array
        The lower and the upper bounds, of shape ``(n,)``.
    scalar, symmetric : bool
        Whether the derivative is a gradient, and whether it is a Hessian.
    rtol, rng, name
        As in `gradlab.gradcheck`.
    sparsity : array_like or sparse array, optional
        Shape ``(m, n)``: where the derivative may have entries.
    notes : sequence of str
        What is to be said of the question.
    options : mapping
        What the call was given besides, for the snippet.
    shown : object
        What the snippet calls the derivative, where that is not ``derivative``.
    """

    check: str
    what: str
    fun: Callable[..., Any]
    derivative: Any
    x0: Array
    box: tuple[Array, Array]
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    scalar: bool = False
    symmetric: bool = False
    rtol: float | None = None
    rng: int | np.random.Generator | None = None
    name: str | None = None
    sparsity: Any = None
    notes: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    shown: Any = None

    def __post_init__(self) -> None:
        if not callable(self.fun):
            raise UsageError(f"the function is {describe(self.fun)}; expected a callable")
        if self.derivative is not True and not callable(self.derivative):
            raise UsageError(f"{self.what} is {describe(self.derivative)}; expected a function, or True")
        require(FRACTION, rtol=self.rtol)
        require(TEXT, name=self.name)

    def value(self, x: Array) -> Array:
        """Return what the function gives, as a vector."""
        given = self._returned(x, 0)
        called = "func" if self.scalar else "grad" if self.symmetric else "fun"
        value = real_array(given, called)
        if self.scalar and value.size != 1:
            raise UsageError(f"{called} returns {describe(given)}; expected a number: check_jac takes more")
        if self.symmetric and value.size != x.size:
            raise UsageError(f"{called} returns {describe(given)}; expected a gradient of shape ({x.size},)")
        return value.ravel()

    def claim(self, x: Array) -> Any:
        """Return what its derivative is claimed to be: a real array, a sparse one or an operator."""
        if self.derivative is True:
            given = self._returned(x, 1)
        else:
            given = self.derivative(x, *self.args, **self.kwargs)
        if not hasattr(given, "matvec") and not issparse(given):
            return real_array(given, self.what)
        if given.dtype is not None and given.dtype.kind == "c":
            raise UsageError(
                f"{self.what} returns {describe(given)} of dtype {given.dtype}; expected real numbers"
            )
        return given

    def _returned(self, x: Array, item: int) -> Any:
        """Return what the function gives; of a function that returns both, one of them."""
        returned = self.fun(x, *self.args, **self.kwargs)
        if self.derivative is not True:
            return returned
        try:
            return returned[item]
        except (TypeError, LookupError):
            raise UsageError(
                f"the function returns {describe(returned)}; expected a value and its derivative, for "
                f"{self.what} is True"
            ) from None


def real_array(given: Any, called: str) -> npt.NDArray[Any]:
    """Return what a function gives as an array of real numbers, in its own precision.

    Raises
    ------
    UsageError
        When it is none.
    """
    try:
        array = np.asarray(given)
        if given is not None and array.dtype.kind not in "cSUMm":
            return array if array.dtype.kind == "f" else array.astype(np.float64)
    except (TypeError, ValueError):  # a ragged list, or what is no number
        pass
    raise UsageError(f"{called} returns {describe(given)}; expected an array of real numbers")


def check_derivative(asked: Asked, *, raise_exception: bool) -> Report:
    """Compare a derivative with differences of its function; a function's own exception passes through."""
    __tracebackhide__ = True
    with aside():
        report = _checked(asked)
    if raise_exception and not report.passed:
        raise GradientError(report)
    return report


def _checked(asked: Asked) -> Report:
    started, seed = time.perf_counter(), seed_of(asked.rng)
    x = np.clip(asked.x0, *asked.box)
    try:
        problem = Problem(asked.value, asked.claim, x, bounds=asked.box)
    except RuleRaised as raised:
        raise raised.__cause__ or raised from None
    if problem.left_out is not None or not np.isfinite(problem.output).all():
        raise UsageError("the function is not finite at x0; expected a point inside its domain")
    shape = (problem.output.size, x.size)
    pattern = None if asked.sparsity is None else read_pattern("jac_sparsity", asked.sparsity, shape)
    claimed = ClaimedJacobian(
        asked.what,
        asked.claim(x.copy()),
        shape,
        scalar=asked.scalar,
        symmetric=asked.symmetric,
        rtol=float(asked.rtol or 0.0),
        pattern=pattern,
    )
    with np.errstate(all="ignore"):
        findings = [*_written(problem), *claimed.findings(asked.claim, x)]
        result = InputResult(asked.what, Verdict.PASS, shape[0] * shape[1], 0, 0, (), None, None)
        reason, kinked = "", False
        if not claimed.unreadable:
            rtol = float(asked.rtol or default_rtol(problem.eps))
            directions = claimed.directions(problem, np.random.default_rng(seed))
            compared = compare_columns(problem, claimed.product, directions, rtol=rtol)
            wrong = wrong_entries(problem, claimed.product, claimed.entries, claimed.known, compared)
            findings += _findings(asked, claimed, wrong)
            result = _result(claimed, wrong, compared.small)
            reason, kinked = _undecided(asked, problem, compared), compared.kinked
    verdict = Verdict.FAIL if findings else Verdict.INCONCLUSIVE if reason else Verdict.PASS
    kinks = ["fun has a kink at x0: any slope between those on both sides passes"] if kinked else []
    moved = ["x0 is outside the bounds, and was moved to them"] if (x != asked.x0).any() else []
    report = Report(
        name=title_of(asked.fun, asked.name),
        verdict=verdict,
        reason=findings[0].message if findings else reason,
        inputs=(replace(result, verdict=verdict),),
        findings=tuple(findings),
        causes=(),
        notes=(*problem.notes, *asked.notes, *moved, *kinks),
        points=1,
        points_passed=int(verdict is Verdict.PASS),
        points_failed=int(verdict is Verdict.FAIL),
        example=None,
        forward_calls=problem.forward_calls,
        backward_calls=1 if claimed.misshapen or claimed.operator else 2,
        seconds=time.perf_counter() - started,
        seed=seed,
    )
    if report.passed:
        return report
    derivative = asked.derivative if asked.shown is None else asked.shown
    options = {**asked.options, "rtol": asked.rtol, "rng": seed}
    snippet = derivative_snippet(asked.check, asked.fun, derivative, asked.x0, role=asked.what, **options)
    return replace(report, example=snippet.example, call=snippet.call)


def _written(problem: Problem) -> list[Finding]:
    return [
        Finding("contract", "x", "mutates-input", "the function writes to x, which it was given")
        for _ in problem.changed[:1]
    ]


def _index(claimed: ClaimedJacobian, wrong: WrongEntries, k: int) -> tuple[int, ...]:
    output, unknown = int(wrong.output[k]), int(wrong.unknown[k])
    return (unknown,) if claimed.scalar else (output, unknown)


def _findings(asked: Asked, claimed: ClaimedJacobian, wrong: WrongEntries) -> list[Finding]:
    """Return one finding for wrong entries, and one for those that are missing from a pattern."""
    what, outside = claimed.what, claimed.outside(wrong.output, wrong.unknown)
    size = claimed.shape[1] if claimed.scalar else claimed.shape[0] * claimed.shape[1]
    found = []
    for kind, entries in (("wrong-jacobian", ~outside), ("outside-pattern", outside)):
        count = int(entries.sum())
        if not count:
            continue
        k = int(np.argmax(np.where(entries, wrong.error, -1.0)))
        given, shown = told_apart(wrong.claim[k], wrong.value[k])
        numbers = (
            f"worst {[*_index(claimed, wrong, k)]}: {what} gives {given}, differences give "
            f"{shown} ± {wrong.error_bar[k]:.1g}"
        )
        message = f"{what} is wrong at {count} of {counted(size, 'entry', 'entries')}; {numbers}"
        if kind == "outside-pattern":
            pattern = what if asked.sparsity is None else "jac_sparsity"
            message = f"{pattern} has no entry at {counted(count, 'place')} where fun depends on x; {numbers}"
        found.append(Finding("jacobian", what, kind, message))
    if wrong.lost.size:
        also, first = " also" if found else "", int(wrong.lost[0])
        which = f"output {first}" if wrong.lost.size == 1 else f"{wrong.lost.size} outputs, the first {first}"
        message = f"{what} is{also} wrong in {which}, at several unknowns that were not told apart"
        found.append(Finding("jacobian", what, "wrong-jacobian", message))
    return found


def _result(claimed: ClaimedJacobian, wrong: WrongEntries, too_small: int) -> InputResult:
    size, count = claimed.shape[0] * claimed.shape[1], wrong.output.size
    worst = None
    if count:
        k = int(np.argmax(wrong.error))
        claim, value = float(wrong.claim[k]), float(wrong.value[k])
        index = _index(claimed, wrong, k)
        worst = Entry(index, claim, value, float(wrong.error_bar[k]), max(abs(claim), abs(value)))
    listed = tuple(_index(claimed, wrong, k) for k in range(min(count, MAX_WRONG_ENTRIES)))
    return InputResult(
        claimed.what, Verdict.PASS, size, claimed.compared, count, listed, worst, None, too_small=too_small
    )


def _undecided(asked: Asked, problem: Problem, compared: Comparison) -> str:
    """Say why nothing more is known; an empty string where everything is."""
    if not compared.open:
        return ""
    needed = compared.needed
    advice = f"rtol={rounded_up(needed)} would decide" if needed < 1 / 2 else "no rtol would decide"
    why = f"; at some perturbed points, {problem.obstacle}" if problem.obstacle else ""
    count = counted(compared.open, "entry", "entries")
    return f"the numerical error bar of {asked.what} is too wide to tell at {count}; {advice}{why}"
