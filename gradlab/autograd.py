r"""The derivatives of autograd's primitives, checked: change one import.

=================================================  ==============================================
autograd.test_util                                 gradlab.autograd
=================================================  ==============================================
``check_grads(f, argnum, modes, order)(*args)``    `check_grads`, with the same arguments
``check_vjp(f, x)``                                `check_vjp`, with the same arguments
``check_jvp(f, x)``                                `check_jvp`, with the same arguments
=================================================  ==============================================

A function is compared with autograd's derivative of it, and so with the rules given to `defvjp` and `defjvp`
of all primitives that it calls. Neither a step nor a tolerance is guessed. Each returns a `Report`, which is true
where the derivative is right, and raises `GradientError` where it is not; what the function or a rule raises
itself passes through.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradlab._framework import (
    BOTH,
    FORWARD,
    REVERSE,
    Derivative,
    Pull,
    check_in_turn,
    new_name,
    products,
    random_like,
    read_modes,
)
from gradlab._gradcheck import seed_of
from gradlab._snippet import call_snippet
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.arguments import names_of
from gradlab.point.trees import Leaves, flatten, map_leaves, unflatten
from gradlab.point.values import describe, is_floating
from gradlab.report import Report

try:
    from autograd.core import make_jvp, make_vjp
    from autograd.tracer import isbox
except ModuleNotFoundError:
    text = "gradlab.autograd needs autograd: pip install 'gradlab-verify[autograd]'"
    raise ModuleNotFoundError(text, name="autograd") from None

__all__ = ["check_grads", "check_jvp", "check_vjp"]
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
        point = {names[k]: _floating(args[k]) for k in positions}
        title = name or str(getattr(f, "__name__", type(f).__name__))
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
        asked = _Asked(chosen, np.random.default_rng(seed), [])
        derivatives = _derivatives(asked, unary, point, order, title)
        return check_in_turn(
            derivatives, snippet, seed=seed, rtol=rtol, notes=asked.notes, raise_exception=raise_exception
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
    title = name or str(getattr(f, "__name__", type(f).__name__))
    asked = _Asked((mode,), np.random.default_rng(seed), [])
    derivatives = _derivatives(asked, f, {argument: _floating(x)}, 1, title)
    snippet = partial(call_snippet, f"autograd.{called}", f, _plain(f), (x,), rtol=rtol, name=name)
    return check_in_turn(
        derivatives, snippet, seed=seed, rtol=rtol, notes=(), raise_exception=raise_exception
    )


@dataclass(frozen=True)
class _Asked:
    """What is asked of a function and of its derivatives alike; what is to be said of it is added."""

    modes: Sequence[str]
    rng: np.random.Generator
    notes: list[str]


def _derivatives(
    asked: _Asked,
    f: Callable[..., Any],
    point: Mapping[str, Any],
    order: int,
    title: str,
    known: Callable[..., Any] | None = None,
) -> Iterator[Derivative]:
    """Yield a function at a point, then its derivatives there, as functions, as often as ``order`` says."""

    def value(**inputs: Any) -> Any:
        return _leaves(f(*inputs.values()))[0]

    def vjp(**inputs: Any) -> tuple[Any, Pull]:
        pull, y = make_vjp(partial(_traced, f), tuple(inputs.values()))
        outputs, rebuilt = _leaves(y)
        return outputs, lambda grad_output: dict(zip(inputs, pull(rebuilt(grad_output)), strict=True))

    def jvp(inputs: Mapping[str, Any], tangents: Mapping[str, Any]) -> tuple[Any, Any]:
        y, moved = make_jvp(partial(_traced, f), tuple(inputs.values()))(tuple(tangents.values()))
        return _leaves(y)[0], _leaves(moved)[0]

    derivative = Derivative(
        title,
        value,
        point,
        vjp=vjp if REVERSE in asked.modes else None,
        jvps={FORWARD: jvp} if FORWARD in asked.modes else {},
        known=known,
    ).possible(lambda error: isinstance(error, NotImplementedError), asked.notes)
    yield derivative
    if order < 2:
        return
    outputs, rebuilt = _leaves(f(*point.values()))
    drawn = partial(random_like, rng=asked.rng)
    for mode in derivative.modes:
        if mode == REVERSE:
            upstream = rebuilt(map_leaves(drawn, outputs))
            named = {**point, new_name("grad_output", point): upstream}
            yield from _derivatives(asked, partial(_vjp, f), named, order - 1, f"vjp of {title}")
        else:
            tangents = {new_name(f"d{name}", point): map_leaves(drawn, x) for name, x in point.items()}
            named = {**point, **tangents}
            twice = partial(_by_reverse, f, point, tangents, rebuilt) if derivative.vjp is not None else None
            yield from _derivatives(asked, partial(_jvp, f), named, order - 1, f"jvp of {title}", twice)


def _traced(f: Callable[..., Any], values: Any) -> Any:
    """Call a function of several arguments with a tuple of them, as autograd traces it."""
    y = f(*values)
    if isinstance(y, tuple | list | dict) and any(map(isbox, y.values() if isinstance(y, dict) else y)):
        raise UsageError(
            f"f returns {describe(y)}, which autograd does not trace; expected one array, or "
            f"autograd.builtins.{type(y).__name__}(...)"
        )
    return y


def _vjp(f: Callable[..., Any], *arguments: Any) -> Any:
    """Return the vector-Jacobian product of a function; the upstream gradient is the last argument."""
    *values, grad_output = arguments
    return make_vjp(lambda values: f(*values), tuple(values))[0](grad_output)


def _jvp(f: Callable[..., Any], *arguments: Any) -> Any:
    """Return the Jacobian-vector product of a function; behind its arguments stand their tangents."""
    count = len(arguments) // 2
    return make_jvp(lambda values: f(*values), arguments[:count])(arguments[count:])[1]


def _by_reverse(
    f: Callable[..., Any],
    point: Mapping[str, Any],
    tangents: Mapping[str, Any],
    rebuilt: Callable[[Any], Any],
    u: Any,
    moved: Mapping[str, Any],
) -> Any:
    """Return the terms of ⟨u, d(J v)⟩, by what reverse mode says of it: ⟨d(Jᵀu), v⟩ + ⟨Jᵀu, dv⟩."""
    changes, count = list(moved.values()), len(point)
    upstream = rebuilt(u)
    gradients = make_jvp(lambda values: _vjp(f, *values, upstream), tuple(point.values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where f is linear, its Jacobian does not depend on x
        pulled, change = gradients(tuple(changes[:count]))
    return products([change, pulled], [list(tangents.values()), changes[count:]])


def _plain(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function behind a primitive, which has its signature."""
    return getattr(f, "fun", f)


def _leaves(y: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the arrays in an output, in the form of forward, and what puts others in their places."""
    leaves: Leaves = []
    tree = flatten("y", _floating(y), leaves)
    places = [k for k, (_, leaf) in enumerate(leaves) if is_floating(leaf)]
    several = not isinstance(tree, int)

    def rebuilt(arrays: Any) -> Any:
        new = dict(zip(places, arrays if several else (arrays,), strict=True))
        return unflatten(tree, [new.get(k, leaf) for k, (_, leaf) in enumerate(leaves)])

    arrays = tuple(leaves[k][1] for k in places)
    return arrays if several else arrays[0], rebuilt


def _floating(value: Any) -> Any:
    """Return a value with floats in the place of integers: to autograd, these are differentiable too."""
    if isinstance(value, dict):
        return {key: _floating(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(map(_floating, value))
    return value if np.asarray(value).dtype.kind in "fc" else np.asarray(value, dtype=np.float64)


def _positions(argnum: Any, count: int) -> tuple[int, ...]:
    several = argnum if isinstance(argnum, tuple | list) else (argnum,)
    if not all(isinstance(k, int) and not isinstance(k, bool) and -count <= k < count for k in several):
        raise UsageError(f"argnum is {describe(argnum)}; expected positions among the {count} arguments")
    return tuple(k % count for k in several)
