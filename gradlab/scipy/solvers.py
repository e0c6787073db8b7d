"""The call of a solver, checked as it stands."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.optimize
from scipy.optimize import Bounds
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from gradlab._snippet import derivative_snippet
from gradlab.errors import GradientError, UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.values import describe
from gradlab.report import Report, Verdict
from gradlab.scipy.bounds import pairs
from gradlab.scipy.derivatives import check_grad, check_hess, check_hessp, check_jac
from gradlab.scipy.points import read_point

__tracebackhide__ = is_deliberate


def check(
    solver: Callable[..., Any],
    *given: Any,
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    raise_exception: bool = True,
    **options: Any,
) -> Report:
    """Check all derivatives of a call of a solver, before it is made.

    Parameters
    ----------
    solver : callable
        `scipy.optimize.minimize`, `least_squares` or `root`.
    *given, **options
        What it is called with: ``fun``, ``x0``, ``args``, ``jac``, …, by position or by name. What is no
        function, such as ``jac="2-point"``, is left to it. The ``hess`` of a constraint is checked for one
        combination of its components.
    rtol, rng, raise_exception
        As in `gradlab.gradcheck`.

    Returns
    -------
    Report
        Of all derivatives together, each of them one of its inputs.

    Raises
    ------
    GradientError, UsageError
        As `check_grad`; the latter also where the solver does not take such a call, and where there is no
        derivative to check.

    Examples
    --------
    >>> from scipy.optimize import minimize, rosen, rosen_der, rosen_hess
    >>> check(minimize, rosen, [1.3, 0.7], jac=rosen_der, hess=rosen_hess, method="trust-exact")
    <Report rosen: pass at 1 point>
    """
    __tracebackhide__ = True
    called = getattr(solver, "__name__", "")
    if called not in ("minimize", "least_squares", "root"):
        raise UsageError(f"solver is {describe(solver)}; expected minimize, least_squares or root")
    call = _bound(called, given, options)
    fun, jac = call["fun"], call.get("jac")
    x = read_point(call["x0"], flattened=called == "root")  # as that does, whatever axes it has
    common: dict[str, Any] = {"rtol": rtol, "rng": rng, "raise_exception": False}
    args = call.get("args", ())
    notes: list[str] = []
    if not isinstance(args, tuple):  # of another sequence, `least_squares` alone takes each item
        args = tuple(args) if called == "least_squares" and np.iterable(args) else (args,)
    if called == "minimize":
        bounds = call.get("bounds")
        reports, notes = _objective(call, x, args, common)
        constraints = call.get("constraints", ())
        listed = constraints if isinstance(constraints, tuple | list) else [constraints]
        for k, constraint in enumerate(listed):
            reports += _constraint(constraint, f"constraints[{k}]", x, bounds, common)
    elif callable(jac) or jac is True:
        checked = {"fun": fun, "jac": jac, "x0": x, "args": args}
        checked |= {
            key: call[key] for key in ("kwargs", "bounds", "jac_sparsity") if call.get(key) is not None
        }
        if (call.get("options") or {}).get("col_deriv"):
            checked |= {"fun": _transposed(fun, 1)} if jac is True else {"jac": _transposed(jac)}
        reports = [check_jac(**checked, **common)]
    else:
        reports = []
    if not reports:
        raise UsageError(
            f"{called} is given no derivative; expected jac=, hess=, hessp= or those of constraints"
        )
    report = _together(reports, notes, getattr(fun, "__name__", "fun"))
    if report.passed:
        return report
    further = {key: value for key, value in call.items() if key not in ("fun", "x0")}
    shown = derivative_snippet(
        "gradlab.scipy.check", solver, fun, call["x0"], role="fun", **further, rtol=rtol, rng=report.seed
    )
    report = replace(report, example=shown.example, call=shown.call)
    if raise_exception:
        raise GradientError(report)
    return report


def _bound(called: str, given: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call of a solver by their names.

    Raises
    ------
    UsageError
        When it does not take them.
    """
    signature = inspect.signature(getattr(scipy.optimize, called))
    try:
        return signature.bind(*given, **options).arguments
    except TypeError as error:
        names = ", ".join(signature.parameters)
        raise UsageError(f"{called} does not take this call: {error}; expected {names}") from None


def _objective(
    call: Mapping[str, Any], x: Array, args: Sequence[Any], common: Mapping[str, Any]
) -> tuple[list[Report], list[str]]:
    """Check the gradient of what is minimized, and its Hessian in the forms that are given; with notes."""
    fun, jac, bounds = call["fun"], call.get("jac"), call.get("bounds")
    reports, notes = [], []
    if callable(jac) or jac is True:
        reports.append(check_grad(fun, jac, x, *args, bounds=bounds, **common))
    gradient = _second(fun) if jac is True else jac
    for what, check_second in (("hess", check_hess), ("hessp", check_hessp)):
        second = call.get(what)
        if callable(second) and callable(gradient):
            reports.append(check_second(gradient, second, x, args, bounds=bounds, **common))
        elif callable(second):
            notes.append(f"{what} is not checked: it is compared with differences of jac, which is none")
    return reports, notes


def _constraint(constraint: Any, name: str, x: Array, bounds: Any, common: Mapping[str, Any]) -> list[Report]:
    """Check the Jacobian of a constraint, and the Hessian of a combination of its components."""
    fun, jac, hess = (_of(constraint, key) for key in ("fun", "jac", "hess"))
    if not callable(jac) and jac is not True:
        return []
    arguments = _of(constraint, "args") or ()
    box = pairs(bounds, x.size)
    reports = [check_jac(fun, jac, x, arguments, bounds=box, **common)]
    if callable(hess) and callable(jac):
        at = np.clip(x, *box)
        rows = np.size(fun(at))
        # Not all alike, for then a Hessian that mixes components up would look right.
        v = 1 + np.arange(rows) / max(rows, 1)
        combined = check_hess(_combination(jac, v), lambda x: hess(x, v), x, bounds=Bounds(*box), **common)
        reports.append(combined)
    return [_named(report, name) for report in reports]


def _combination(jac: Callable[..., Any], v: Array) -> Callable[..., Any]:
    """Return the gradient of ``v · c(x)``, for a constraint ``c`` with this Jacobian."""

    def gradient(x: Array) -> Array:
        value = jac(x)
        value = value if issparse(value) or isinstance(value, LinearOperator) else np.atleast_2d(value)
        return np.asarray(value.T @ v).ravel()

    return gradient


def _transposed(function: Callable[..., Any], item: int | None = None) -> Callable[..., Any]:
    """Return a function whose matrix, that item of what it returns, is the transpose."""

    @functools.wraps(function)
    def transposed(*args: Any, **kwargs: Any) -> Any:
        returned = function(*args, **kwargs)
        if item is None:
            return np.asarray(returned).T
        return [np.asarray(part).T if k == item else part for k, part in enumerate(returned)]

    return transposed


def _of(constraint: Any, key: str) -> Any:
    return constraint.get(key) if isinstance(constraint, Mapping) else getattr(constraint, key, None)


def _second(fun: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a, **k: fun(*a, **k)[1]


def _together(reports: Sequence[Report], notes: Sequence[str], name: str) -> Report:
    """Return one report of several."""
    verdicts = [report.verdict for report in reports]
    verdict = next((v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE) if v in verdicts), Verdict.PASS)
    first = next((report for report in reports if report.verdict is verdict), reports[0])
    return replace(
        first,
        name=name,
        inputs=tuple(result for report in reports for result in report.inputs),
        findings=tuple(finding for report in reports for finding in report.findings),
        notes=tuple(dict.fromkeys([*(note for report in reports for note in report.notes), *notes])),
        forward_calls=sum(report.forward_calls for report in reports),
        backward_calls=sum(report.backward_calls for report in reports),
        seconds=sum(report.seconds for report in reports),
    )


def _named(report: Report, constraint: str) -> Report:
    """Say of the report of a constraint which it is, wherever its derivative is named."""
    return replace(
        report,
        reason=f"{constraint}: {report.reason}" if report.reason else "",
        inputs=tuple(replace(result, name=f"{constraint}.{result.name}") for result in report.inputs),
        findings=tuple(
            replace(f, input=f"{constraint}.{f.input}", message=f"{constraint}: {f.message}")
            for f in report.findings
        ),
    )
