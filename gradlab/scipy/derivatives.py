"""One derivative by itself: a gradient, a Jacobian, a Hessian, or the product with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import LinearOperator

from gradlab._jacobian import Asked, check_derivative, real_array
from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.values import describe
from gradlab.report import Report
from gradlab.scipy.bounds import pairs, sides, unbounded
from gradlab.scipy.points import read_point

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
    seed: int | np.random.Generator | None = None,
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
    seed : int or Generator, optional
        The older name of ``rng``, which SciPy's function takes too; it goes before that, which the fixture
        ``gradcheck`` gives.

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
    x = read_point(x0)
    ignored = [key for key, value in (("epsilon", epsilon), ("direction", direction)) if value is not None]
    asked = Asked(
        "gradlab.scipy.check_grad",
        "grad",
        func,
        grad,
        x,
        pairs(bounds, x.size),
        args,
        scalar=True,
        rtol=rtol,
        rng=rng if seed is None else seed,
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
    jac_sparsity: Any = None,
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
    jac_sparsity : array_like or sparse array, shape (m, n), optional
        Where the Jacobian may have entries, as in `least_squares`: of a sparse one every stored entry counts,
        of an array what is not zero. Columns that share no output are then moved together, so that every
        entry of a `LinearOperator` is compared by itself in few calls. What ``fun`` or ``jac`` has outside of
        the pattern is a finding. By default that of a sparse Jacobian.
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
    x = read_point(x0)
    asked = Asked(
        "gradlab.scipy.check_jac",
        "jac",
        fun,
        jac,
        x,
        sides(bounds, x.size),
        args,
        kwargs or {},
        sparsity=jac_sparsity,
        rtol=rtol,
        rng=rng,
        name=name,
        options={
            "args": args or None,
            "kwargs": kwargs,
            "bounds": None if unbounded(bounds) else bounds,
            "jac_sparsity": jac_sparsity,
        },
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
    x = read_point(x0)
    asked = Asked(
        "gradlab.scipy.check_hess",
        "hess",
        grad,
        hess,
        x,
        pairs(bounds, x.size),
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
    x = read_point(x0)
    n = x.size

    def operator(x: Array, *arguments: Any) -> LinearOperator:
        def product(p: Array) -> Any:
            returned = hessp(x.copy(), np.array(p, dtype=np.float64).ravel(), *arguments)
            value = real_array(returned, "hessp")
            if value.size != n:
                raise UsageError(f"hessp returns {describe(returned)}; expected an array of shape ({n},)")
            return value

        return LinearOperator((n, n), matvec=product, rmatvec=product, dtype=np.float64)

    if not callable(hessp):
        raise UsageError(f"hessp is {describe(hessp)}; expected a function")
    asked = Asked(
        "gradlab.scipy.check_hessp",
        "hessp",
        grad,
        operator,
        x,
        pairs(bounds, n),
        args,
        symmetric=True,
        rtol=rtol,
        rng=rng,
        name=name,
        options={"args": args or None, "bounds": bounds},
        shown=hessp,
    )
    return check_derivative(asked, raise_exception=raise_exception)
