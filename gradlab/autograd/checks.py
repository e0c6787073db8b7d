"""The checks that `autograd.test_util` has, by the same names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from gradlab._derivative import BOTH, FORWARD, REVERSE
from gradlab._framework import check_in_turn, read_modes
from gradlab._options import is_integer
from gradlab._question import seed_of
from gradlab._snippet import call_snippet
from gradlab.autograd.derivatives import Asked, derivatives, floating
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.arguments import names_of
from gradlab.point.options import title_of
from gradlab.point.values import describe
from gradlab.report import Report

__tracebackhide__ = is_deliberate


def check_grads(
    f: Callable[..., Any],
    argnum: int | Sequence[int] = 0,
    modes: Sequence[str] = BOTH,
    order: int = 2,
    *,
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Callable[..., Report]:
    """Return a function that checks the derivatives of ``f`` where it is called, as autograd's does.

    Parameters
    ----------
    f : callable
        ``f(*args, **kwargs)`` returns an array, or a tuple, list or dict of ``autograd.builtins``.
    argnum : int or sequence of int, default 0
        Which arguments to differentiate. They are arrays, numbers, or tuples, lists and dicts of them.
    modes : sequence of str, default ("fwd", "rev")
        ``"rev"`` is compared with differences, and ``"fwd"`` with that: ⟨u, J v⟩ = ⟨Jᵀu, v⟩; with differences
        where they do not agree, or where it is alone. A primitive without a jvp has no forward mode, which is
        noted.
    order : int, default 2
        With 2, the derivatives themselves are differentiated too, in both modes: the vector-Jacobian product
        as a function of the arguments and of the upstream gradient, the Jacobian-vector product as one of the
        arguments and of the tangents; and so on.
    rtol, rng, name, raise_exception
        As in `gradlab.gradcheck`.

    Returns
    -------
    callable
        ``(*args, **kwargs) -> Report``.

    Raises
    ------
    GradientError
        By what is returned, unless the derivatives are right.
    UsageError
        When the question is malformed.

    Examples
    --------
    >>> import autograd.numpy as anp
    >>> check_grads(lambda x, w: anp.tanh(x @ w), (0, 1))(np.ones((2, 3)), np.full(3, 0.1))
    <Report <lambda>: pass at 1 point>
    >>> from autograd.extend import defvjp, primitive
    >>> @primitive
    ... def square(x):
    ...     return x**2
    >>> defvjp(square, lambda y, x: lambda g: x * g)  # the factor 2 is missing
    >>> report = check_grads(square, raise_exception=False)(np.array([0.5, 2.0, 1.0]))
    >>> print(report.causes[0].message)
    gradient of x is 2 times too small: multiply it by 2
    """
    chosen = read_modes(modes, order)
    if not callable(f):
        raise UsageError(f"f is {describe(f)}; expected a function")

    def check(*args: Any, **kwargs: Any) -> Report:
        __tracebackhide__ = True
        positions = _positions(argnum, len(args))
        seed = seed_of(rng)

        def unary(*chosen: Any) -> Any:
            given = list(args)
            for position, value in zip(positions, chosen, strict=True):
                given[position] = value
            return f(*given, **kwargs)

        names = names_of(_plain(f), len(args))
        point = {names[k]: floating(args[k], f"argument {names[k]} is") for k in positions}
        title = title_of(f, name)
        snippet = partial(
            call_snippet,
            "autograd.check_grads",
            f,
            _plain(f),
            args,
            form="({subject}, {options})({inputs})",
            keywords=kwargs,
            argnum=argnum or None,
            order=order,
            modes=None if set(chosen) == set(BOTH) else chosen,
            rtol=rtol,
            name=name,
        )
        asked = Asked(chosen, np.random.default_rng(seed), [])
        in_turn = derivatives(asked, unary, point, order, title)
        return check_in_turn(
            in_turn, snippet, seed=seed, rtol=rtol, notes=asked.notes, raise_exception=raise_exception
        )

    return check


def check_vjp(
    f: Callable[[Any], Any],
    x: Any,
    *,
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check the vector-Jacobian product of a function of one argument.

    Parameters
    ----------
    f : callable
        As in `check_grads`.
    x : array, number, or tuple, list or dict of them
        The point.
    rtol, rng, name, raise_exception
        As in `gradlab.gradcheck`.

    Returns
    -------
    Report

    Raises
    ------
    GradientError, UsageError
        As `check_grads`.

    Examples
    --------
    >>> import autograd.numpy as anp
    >>> check_vjp(lambda p: anp.sum(p["w"] ** 2) * p["b"], {"w": np.array([1.0, 2.0]), "b": 0.5})
    <Report <lambda>: pass at 1 point>
    """
    __tracebackhide__ = True
    return _check_unary("check_vjp", REVERSE, f, x, rtol, rng, name, raise_exception)


def check_jvp(
    f: Callable[[Any], Any],
    x: Any,
    *,
    rtol: float | None = None,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check the Jacobian-vector product of a function of one argument.

    Parameters
    ----------
    f, x, rtol, rng, name, raise_exception
        As in `check_vjp`.

    Returns
    -------
    Report

    Raises
    ------
    GradientError, UsageError
        As `check_grads`.

    Examples
    --------
    >>> from autograd.extend import defjvp, primitive
    >>> @primitive
    ... def square(x):
    ...     return x**2
    >>> defjvp(square, lambda g, y, x: 2 * x * g)
    >>> check_jvp(square, np.array([0.5, 2.0, 1.0]))
    <Report square: pass at 1 point>
    """
    __tracebackhide__ = True
    return _check_unary("check_jvp", FORWARD, f, x, rtol, rng, name, raise_exception)


def _check_unary(
    called: str,
    mode: str,
    f: Callable[[Any], Any],
    x: Any,
    rtol: float | None,
    rng: int | np.random.Generator | None,
    name: str | None,
    raise_exception: bool,
) -> Report:
    __tracebackhide__ = True
    if not callable(f):
        raise UsageError(f"f is {describe(f)}; expected a function")
    (argument,), seed = names_of(_plain(f), 1), seed_of(rng)
    title = title_of(f, name)
    asked = Asked((mode,), np.random.default_rng(seed), [])
    in_turn = derivatives(asked, f, {argument: floating(x, f"argument {argument} is")}, 1, title)
    snippet = partial(call_snippet, f"autograd.{called}", f, _plain(f), (x,), rtol=rtol, name=name)
    return check_in_turn(in_turn, snippet, seed=seed, rtol=rtol, notes=(), raise_exception=raise_exception)


def _plain(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function behind a primitive, which has its signature."""
    return getattr(f, "fun", f)


def _positions(argnum: Any, count: int) -> tuple[int, ...]:
    several = argnum if isinstance(argnum, tuple | list) else (argnum,)
    if not several or not all(is_integer(k) and -count <= k < count for k in several):
        raise UsageError(f"argnum is {describe(argnum)}; expected positions among the {count} arguments")
    positions = tuple(int(k) % count for k in several)
    if len(set(positions)) < len(positions):
        raise UsageError(f"argnum is {argnum!r}; expected each argument once")
    return positions
