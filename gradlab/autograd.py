r"""The derivatives of autograd's primitives, checked: change one import.

=================================================  ==============================================
autograd.test_util                                 gradlab.autograd
=================================================  ==============================================
``check_grads(f, argnum, modes, order)(*args)``    `check_grads`, with the same arguments
``check_vjp(f, x)``                                `check_vjp`, with the same arguments
=================================================  ==============================================

A function is compared with autograd's derivative of it, and so with the rules given to `defvjp` of all
primitives that it calls. Neither a step nor a tolerance is guessed. Each returns a `Report`, which is true
where the derivative is right, and raises `GradientError` where it is not; what the function or a rule raises
itself passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from gradlab._framework import (
    REVERSE,
    Derivative,
    Pull,
    check_in_turn,
    check_jvp,
    check_modes,
    new_name,
    random_like,
)
from gradlab._gradcheck import seed_of
from gradlab._snippet import call_snippet
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.arguments import names_of
from gradlab.point.trees import Leaves, flatten, map_leaves, unflatten
from gradlab.point.values import describe, is_floating
from gradlab.report import Report

try:
    from autograd.core import make_vjp
    from autograd.tracer import isbox
except ModuleNotFoundError:
    text = "gradlab.autograd needs autograd: pip install 'gradlab-verify[autograd]'"
    raise ModuleNotFoundError(text, name="autograd") from None

__all__ = ["check_grads", "check_jvp", "check_vjp"]
__tracebackhide__ = is_deliberate


def check_grads(
    f: Callable[..., Any],
    argnum: int | Sequence[int] = 0,
    modes: Sequence[str] = (REVERSE,),
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
    modes : sequence of str, default ("rev",)
        ``"rev"``; forward mode is not supported yet.
    order : int, default 2
        With 2, the vector-Jacobian product is checked likewise, as a function of the arguments and of the
        upstream gradient, where ``f`` passes; and so on.
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
    check_modes(modes, order)
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
            rtol=rtol,
            name=name,
        )
        derivatives = _derivatives(unary, point, order, title, np.random.default_rng(seed))
        return check_in_turn(
            derivatives, snippet, seed=seed, rtol=rtol, notes=(), raise_exception=raise_exception
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
    if not callable(f):
        raise UsageError(f"f is {describe(f)}; expected a function")
    (argument,), seed = names_of(_plain(f), 1), seed_of(rng)
    title = name or str(getattr(f, "__name__", type(f).__name__))
    derivatives = _derivatives(f, {argument: _floating(x)}, 1, title, np.random.default_rng(seed))
    snippet = partial(call_snippet, "autograd.check_vjp", f, _plain(f), (x,), rtol=rtol, name=name)
    return check_in_turn(
        derivatives, snippet, seed=seed, rtol=rtol, notes=(), raise_exception=raise_exception
    )


def _derivatives(
    f: Callable[..., Any], point: Mapping[str, Any], order: int, title: str, rng: np.random.Generator
) -> Iterator[Derivative]:
    """Yield a function at a point, then its vector-Jacobian product there, as often as ``order`` says."""

    def value(**inputs: Any) -> Any:
        return _leaves(f(*inputs.values()))[0]

    def traced(values: Any) -> Any:
        y = f(*values)
        if isinstance(y, tuple | list | dict) and any(map(isbox, y.values() if isinstance(y, dict) else y)):
            raise UsageError(
                f"f returns {describe(y)}, which autograd does not trace; expected one array, or "
                f"autograd.builtins.{type(y).__name__}(...)"
            )
        return y

    def vjp(**inputs: Any) -> tuple[Any, Pull]:
        pull, y = make_vjp(traced, tuple(inputs.values()))
        outputs, rebuilt = _leaves(y)
        return outputs, lambda grad_output: dict(zip(inputs, pull(rebuilt(grad_output)), strict=True))

    yield Derivative(title, value, vjp, point)
    if order > 1:
        outputs, rebuilt = _leaves(f(*point.values()))
        upstream = rebuilt(map_leaves(partial(random_like, rng=rng), outputs))
        named = {**point, new_name("grad_output", point): upstream}
        yield from _derivatives(partial(_vjp, f), named, order - 1, f"vjp of {title}", rng)


def _vjp(f: Callable[..., Any], *arguments: Any) -> Any:
    """Return the vector-Jacobian product of a function; the upstream gradient is the last argument."""
    *values, grad_output = arguments
    return make_vjp(lambda values: f(*values), tuple(values))[0](grad_output)


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
