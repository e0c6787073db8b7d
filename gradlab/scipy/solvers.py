"""The call of a solver, checked as it stands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

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
    fun: Callable[..., Any],
    x0: npt.ArrayLike,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    raise_exception: bool = True,
    **ignored: Any,
) -> Report:
    """Check all derivatives of a call of a solver, before it is made.

    Parameters
    ----------
    solver : callable
        `scipy.optimize.minimize`, `least_squares` or `root`.
    fun, x0, args, kwargs, jac, hess, hessp, bounds, constraints
        As the solver takes them; what is no function, such as ``"2-point"``, is left to it. The ``hess`` of a
        constraint is checked for one combination of its components.
    rtol, rng, raise_exception
        As in `gradlab.gradcheck`.
    **ignored
        What else the solver takes.

    Returns
    -------
    Report
        Of all derivatives together, each of them one of its inputs.

    Raises
    ------
    GradientError, UsageError
        As `check_grad`; the latter also where there is no derivative to check.

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
    x = read_point(x0, flattened=called == "root")  # as that does, whatever axes it has
    common: dict[str, Any] = {"rtol": rtol, "rng": rng, "raise_exception": False}
    given = args if isinstance(args, tuple | list) else (args,)
    notes: list[str] = []
    if called == "minimize":
        reports = _objective(fun, jac, hess, hessp, x, given, bounds, common, notes)
        listed = constraints if isinstance(constraints, tuple | list) else [constraints]
        for k, constraint in enumerate(listed):
            reports += _constraint(constraint, f"constraints[{k}]", x, bounds, common)
    elif callable(jac) or jac is True:
        box = {"bounds": bounds} if bounds is not None else {}
        box["jac_sparsity"] = ignored.get("jac_sparsity")
        if (ignored.get("options") or {}).get("col_deriv") and callable(jac):
            jac = _transposed(jac)
        reports = [check_jac(fun, jac, x, given, kwargs, **box, **common)]
    else:
        reports = []
    if not reports:
        raise UsageError(
            f"{called} is given no derivative; expected jac=, hess=, hessp= or those of constraints"
        )
    return _together(reports, notes, getattr(fun, "__name__", "fun"), raise_exception)


def _objective(
    fun: Callable[..., Any],
    jac: Any,
    hess: Any,
    hessp: Any,
    x: Array,
    args: Sequence[Any],
    bounds: Any,
    common: Mapping[str, Any],
    notes: list[str],
) -> list[Report]:
    """Check the gradient of what is minimized, and its Hessian in the forms that are given."""
    reports = []
    if callable(jac) or jac is True:
        reports.append(check_grad(fun, jac, x, *args, bounds=bounds, **common))
    gradient = _second(fun) if jac is True else jac
    for what, second, check_second in (("hess", hess, check_hess), ("hessp", hessp, check_hessp)):
        if callable(second) and callable(gradient):
            reports.append(check_second(gradient, second, x, args, bounds=bounds, **common))
        elif callable(second):
            notes.append(f"{what} is not checked: it is compared with differences of jac, which is none")
    return reports


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


def _transposed(jac: Callable[..., Any]) -> Callable[..., Any]:
    return functools.wraps(jac)(lambda *a, **k: np.asarray(jac(*a, **k)).T)


def _of(constraint: Any, key: str) -> Any:
    return constraint.get(key) if isinstance(constraint, Mapping) else getattr(constraint, key, None)


def _second(fun: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a, **k: fun(*a, **k)[1]


def _together(reports: Sequence[Report], notes: Sequence[str], name: str, raise_exception: bool) -> Report:
    """Return one report of several."""
    verdicts = [report.verdict for report in reports]
    verdict = next((v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE) if v in verdicts), Verdict.PASS)
    first = next((report for report in reports if report.verdict is verdict), reports[0])
    report = replace(
        first,
        name=name,
        inputs=tuple(result for report in reports for result in report.inputs),
        findings=tuple(finding for report in reports for finding in report.findings),
        notes=tuple(dict.fromkeys([*(note for report in reports for note in report.notes), *notes])),
        forward_calls=sum(report.forward_calls for report in reports),
        backward_calls=sum(report.backward_calls for report in reports),
        seconds=sum(report.seconds for report in reports),
    )
    if raise_exception and not report.passed:
        raise GradientError(report)
    return report


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
