r"""The derivatives that one hands to `scipy.optimize`, checked: change one import.

====================================  =========================================
SciPy                                 gradlab
====================================  =========================================
``check_grad(func, grad, x0, *args)``  `check_grad`, with the same arguments
``least_squares(fun, x0, jac=jac)``    `check_jac`\\ ``(fun, jac, x0)``
``minimize(..., hess=hess)``           `check_hess`\\ ``(grad, hess, x0)``
``minimize(..., hessp=hessp)``         `check_hessp`\\ ``(grad, hessp, x0)``
====================================  =========================================

`check` takes the call of a solver itself. Neither a step nor a tolerance is guessed; what is wrong is named
``[i, j]``, output and unknown. Each returns a `Report`, which is true where the derivative is right, and
raises `GradientError` where it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import LinearOperator

from gradlab._jacobian import Asked, check_derivative
from gradlab.errors import GradientError, UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.values import describe
from gradlab.report import Report, Verdict

__all__ = ["check", "check_grad", "check_hess", "check_hessp", "check_jac"]
__tracebackhide__ = is_deliberate


def check_grad(
    func: Callable[..., Any],
    grad: Any,
    x0: npt.ArrayLike,
    *args: Any,
    bounds: Any = None,
    epsilon: Any = None,
    direction: str | None = None,
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check the gradient of a scalar function, as `scipy.optimize.check_grad` does.

    Parameters
    ----------
    func : callable
        ``func(x, *args) -> float``.
    grad : callable or True
        ``grad(x, *args) -> array, shape (n,)``; with ``True``, ``func`` returns both.
    x0 : array_like, shape (n,)
        The point.
    *args
        Further arguments of both functions.
    bounds : Bounds or sequence of pairs, optional
        As in `scipy.optimize.minimize`: ``func`` is not called outside; a point outside is moved to them.
    epsilon, direction : optional
        Ignored with a note: steps are measured, and every entry is checked.
    rtol, rng, name, raise_exception
        As in `gradlab.gradcheck`.

    Returns
    -------
    Report
        Not a number, as SciPy's function: ``check_grad(...) < 1e-6`` raises `TypeError`.

    Raises
    ------
    GradientError
        Unless the gradient is right.
    UsageError
        When the question is malformed.

    Examples
    --------
    >>> from scipy.optimize import rosen, rosen_der
    >>> check_grad(rosen, rosen_der, [1.3, 0.7, 0.8])
    <Report rosen: pass at 1 point>
    """
    __tracebackhide__ = True
    ignored = [key for key, value in (("epsilon", epsilon), ("direction", direction)) if value is not None]
    asked = Asked(
        "gradlab.scipy.check_grad",
        "grad",
        func,
        grad,
        x0,
        _pairs(bounds, np.size(x0)),
        args,
        scalar=True,
        rtol=rtol,
        rng=rng,
        name=name,
        notes=[f"{key} is ignored: steps and directions are chosen by what func shows" for key in ignored],
        options={"*args": args, "bounds": bounds},
    )
    return check_derivative(asked, raise_exception=raise_exception)


def check_jac(
    fun: Callable[..., Any],
    jac: Any,
    x0: npt.ArrayLike,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    bounds: Any = (-np.inf, np.inf),
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check the Jacobian of a vector function, as one hands it to `least_squares` or `root`.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args, **kwargs) -> array, shape (m,)``.
    jac : callable or True
        ``jac(x, *args, **kwargs)`` returns an array of shape ``(m, n)``, a sparse one, or a `LinearOperator`;
        with ``True``, ``fun`` returns both. Columns of a sparse one that share no output are checked
        together.
    x0 : array_like, shape (n,)
        The point.
    args, kwargs
        Further arguments of both functions.
    bounds : Bounds or pair of arrays, optional
        As in `scipy.optimize.least_squares`.
    rtol, rng, name, raise_exception
        As in `gradlab.gradcheck`.

    Returns
    -------
    Report
        Findings are ``wrong-jacobian``, ``outside-pattern``, ``jacobian-shape`` and
        ``rmatvec-is-no-transpose``.

    Raises
    ------
    GradientError, UsageError
        As `check_grad`.

    Examples
    --------
    >>> def circle(x):
    ...     return np.array([x[0] ** 2 + x[1] ** 2 - 1, x[0] - x[1]])
    >>> check_jac(circle, lambda x: np.array([[2 * x[0], 2 * x[1]], [1, -1]]), [0.5, 2.0])
    <Report circle: pass at 1 point>
    """
    __tracebackhide__ = True
    asked = Asked(
        "gradlab.scipy.check_jac",
        "jac",
        fun,
        jac,
        x0,
        _sides(bounds, np.size(x0)),
        args,
        kwargs or {},
        rtol=rtol,
        rng=rng,
        name=name,
        options={"args": args or None, "kwargs": kwargs, "bounds": None if _unbounded(bounds) else bounds},
    )
    return check_derivative(asked, raise_exception=raise_exception)


def check_hess(
    grad: Callable[..., Any],
    hess: Callable[..., Any],
    x0: npt.ArrayLike,
    args: Sequence[Any] = (),
    *,
    bounds: Any = None,
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check a Hessian: against differences of the gradient, and against its own transpose.

    Parameters
    ----------
    grad : callable
        ``grad(x, *args) -> array, shape (n,)``, which `check_grad` checks.
    hess : callable
        ``hess(x, *args)`` returns an array of shape ``(n, n)``, a sparse one, or a `LinearOperator`.
    x0, args, bounds, rtol, rng, name, raise_exception
        As in `check_grad`.

    Returns
    -------
    Report
        Its findings are those of `check_jac`, and ``not-symmetric``.

    Raises
    ------
    GradientError, UsageError
        As `check_grad`.

    Examples
    --------
    >>> from scipy.optimize import rosen_der, rosen_hess
    >>> check_hess(rosen_der, rosen_hess, [1.3, 0.7, 0.8])
    <Report rosen_der: pass at 1 point>
    """
    __tracebackhide__ = True
    asked = Asked(
        "gradlab.scipy.check_hess",
        "hess",
        grad,
        hess,
        x0,
        _pairs(bounds, np.size(x0)),
        args,
        symmetric=True,
        rtol=rtol,
        rng=rng,
        name=name,
        options={"args": args or None, "bounds": bounds},
    )
    return check_derivative(asked, raise_exception=raise_exception)


def check_hessp(
    grad: Callable[..., Any],
    hessp: Callable[..., Any],
    x0: npt.ArrayLike,
    args: Sequence[Any] = (),
    *,
    bounds: Any = None,
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check the product of a Hessian with a vector: against differences of the gradient, and its symmetry.

    Parameters
    ----------
    grad : callable
        ``grad(x, *args) -> array, shape (n,)``, which `check_grad` checks.
    hessp : callable
        ``hessp(x, p, *args) -> array, shape (n,)``.
    x0, args, bounds, rtol, rng, name, raise_exception
        As in `check_grad`.

    Returns
    -------
    Report
        Its findings are those of `check_hess`.

    Raises
    ------
    GradientError, UsageError
        As `check_grad`.

    Examples
    --------
    >>> from scipy.optimize import rosen_der, rosen_hess_prod
    >>> check_hessp(rosen_der, rosen_hess_prod, [1.3, 0.7, 0.8])
    <Report rosen_der: pass at 1 point>
    """
    __tracebackhide__ = True
    n = np.size(x0)

    def operator(x: Array, *arguments: Any) -> LinearOperator:
        def product(p: Array) -> Any:
            return hessp(x.copy(), np.array(p, dtype=np.float64).ravel(), *arguments)

        return LinearOperator((n, n), matvec=product, rmatvec=product, dtype=np.float64)

    if not callable(hessp):
        raise UsageError(f"hessp is {describe(hessp)}; expected a function")
    asked = Asked(
        "gradlab.scipy.check_hessp",
        "hessp",
        grad,
        operator,
        x0,
        _pairs(bounds, n),
        args,
        symmetric=True,
        rtol=rtol,
        rng=rng,
        name=name,
        options={"args": args or None, "bounds": bounds},
        shown=hessp,
    )
    return check_derivative(asked, raise_exception=raise_exception)


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
        As the solver takes them; what is no function, such as ``"2-point"``, is left to it.
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
    common: dict[str, Any] = {"rtol": rtol, "rng": rng, "raise_exception": False}
    given = args if isinstance(args, tuple | list) else (args,)
    reports: list[Report] = []
    if called == "minimize":
        if callable(jac) or jac is True:
            reports.append(check_grad(fun, jac, x0, *given, bounds=bounds, **common))
        gradient = jac if callable(jac) else None
        if jac is True:
            gradient = _second(fun)
        if gradient is not None and callable(hess):
            reports.append(check_hess(gradient, hess, x0, given, bounds=bounds, **common))
        if gradient is not None and callable(hessp):
            reports.append(check_hessp(gradient, hessp, x0, given, bounds=bounds, **common))
        reports += [
            replace(_check_constraint(constraint, x0, bounds, common), name=f"constraints[{k}]")
            for k, constraint in enumerate(
                constraints if isinstance(constraints, tuple | list) else [constraints]
            )
            if callable(_of(constraint, "jac")) or _of(constraint, "jac") is True
        ]
    elif callable(jac) or jac is True:
        box = {"bounds": bounds} if bounds is not None else {}
        reports.append(check_jac(fun, jac, x0, given, kwargs, **box, **common))
    if not reports:
        raise UsageError(
            f"{called} is given no derivative; expected jac=, hess=, hessp= or those of constraints"
        )
    return _together(reports, getattr(fun, "__name__", "fun"), raise_exception)


def _check_constraint(constraint: Any, x0: npt.ArrayLike, bounds: Any, common: Mapping[str, Any]) -> Report:
    arguments = _of(constraint, "args") or ()
    box = _pairs(bounds, np.size(x0))
    return check_jac(_of(constraint, "fun"), _of(constraint, "jac"), x0, arguments, bounds=box, **common)


def _of(constraint: Any, key: str) -> Any:
    return constraint.get(key) if isinstance(constraint, Mapping) else getattr(constraint, key, None)


def _second(fun: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a, **k: fun(*a, **k)[1]


def _together(reports: Sequence[Report], name: str, raise_exception: bool) -> Report:
    """Return one report of several; the inputs of those of constraints are named after them."""
    reports = [_renamed(report) for report in reports]
    verdicts = [report.verdict for report in reports]
    verdict = next((v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE) if v in verdicts), Verdict.PASS)
    first = next((report for report in reports if report.verdict is verdict), reports[0])
    report = replace(
        first,
        name=name,
        inputs=tuple(result for report in reports for result in report.inputs),
        findings=tuple(finding for report in reports for finding in report.findings),
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        forward_calls=sum(report.forward_calls for report in reports),
        backward_calls=sum(report.backward_calls for report in reports),
        seconds=sum(report.seconds for report in reports),
    )
    if raise_exception and not report.passed:
        raise GradientError(report)
    return report


def _renamed(report: Report) -> Report:
    """Say of a report of a constraint which it is, wherever its derivative is named."""
    if not report.name.startswith("constraints"):
        return report
    return replace(
        report,
        reason=f"{report.name}: {report.reason}" if report.reason else "",
        inputs=tuple(replace(result, name=f"{report.name}.{result.name}") for result in report.inputs),
        findings=tuple(
            replace(f, input=f"{report.name}.{f.input}", message=f"{report.name}: {f.message}")
            for f in report.findings
        ),
    )


def _unbounded(bounds: Any) -> bool:
    return (
        isinstance(bounds, tuple)
        and len(bounds) == 2
        and all(np.ndim(b) == 0 and np.isinf(b) for b in bounds)
    )


def _pairs(bounds: Any, n: int) -> tuple[Array, Array]:
    """Return lower and upper bounds from what `minimize` takes: one pair for each unknown, or `Bounds`."""
    if bounds is None or hasattr(bounds, "lb"):
        return _sides(bounds, n)
    pairs = list(bounds)
    if len(pairs) != n or any(np.size(pair) != 2 for pair in pairs):
        raise UsageError(
            f"bounds is {describe(bounds)}; expected a pair (low, high) for each of {n} unknowns, or Bounds"
        )
    return _sides(tuple(zip(*pairs, strict=True)), n)


def _sides(bounds: Any, n: int) -> tuple[Array, Array]:
    """Return lower and upper bounds from what `least_squares` takes: a pair of arrays, or `Bounds`."""
    if bounds is None:
        bounds = (-np.inf, np.inf)
    sides = (bounds.lb, bounds.ub) if hasattr(bounds, "lb") else tuple(bounds)
    if len(sides) != 2:
        raise UsageError(f"bounds is {describe(bounds)}; expected a pair of arrays (lower, upper), or Bounds")
    found = []
    for side, nothing in zip(sides, (-np.inf, np.inf), strict=True):
        values = [
            nothing if value is None else value for value in np.atleast_1d(np.asarray(side, dtype=object))
        ]
        try:
            found.append(np.broadcast_to(np.array(values, dtype=np.float64), (n,)))
        except (TypeError, ValueError):
            raise UsageError(
                f"bounds is {describe(bounds)}; expected numbers for each of {n} unknowns"
            ) from None
    return found[0], found[1]
