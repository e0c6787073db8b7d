"""The checks that `jax.test_util` has, by the same names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from gradlab._derivative import BOTH, FORWARD, REVERSE, Derivative, Pull
from gradlab._framework import check_in_turn, ignored, read_modes
from gradlab._question import seed_of
from gradlab._snippet import call_snippet, derivative_snippet
from gradlab.errors import UsageError, is_deliberate
from gradlab.jax.arrays import Arrays, as_outputs, flat, inexact, is_inexact, plain, precision, rebuilt
from gradlab.jax.derivatives import (
    MODES,
    Asked,
    derivatives,
    has_derivative,
    numerical,
    rule,
)
from gradlab.point.options import title_of
from gradlab.point.values import describe
from gradlab.report import Report

__tracebackhide__ = is_deliberate

IGNORED = dict.fromkeys(("atol", "rtol", "eps"), "error bars and steps are measured")


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: Sequence[str] | None = None,
    atol: Any = None,
    rtol: Any = None,
    eps: Any = None,
    *,
    reference: Callable[..., Any] | bool = True,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check the derivatives of a function, as `jax.test_util.check_grads` does.

    Parameters
    ----------
    f : callable
        ``f(*args)`` returns a pytree.
    args : sequence of pytrees
        The point.
    order : int, default 1
        With 2, the derivatives themselves are differentiated too, in each mode: the vector-Jacobian product
        as a function of the arguments and of the upstream gradient, the Jacobian-vector product as one of the
        arguments and of the tangents; and so on.
    modes : sequence of str, optional
        ``"rev"`` is compared with differences, or with ``reference``; ``"fwd"``, and ``"lin"`` for
        `jax.linearize`, with that: ⟨u, J v⟩ = ⟨Jᵀu, v⟩. They are compared with differences where they do not
        agree, or are alone. By default ``("fwd", "rev")``; of a `jax.custom_vjp`, which has no forward mode,
        ``("rev",)``. Where forward mode is asked for beside reverse mode, also of a function that calls a
        `jax.custom_vjp`, and there is none, a note says so.
    atol, rtol, eps : optional
        Ignored with a note: error bars and steps are measured.
    reference : callable or bool, default True
        A function of the same arguments whose derivative by JAX is trusted. By default that which a
        `jax.custom_vjp` or `jax.custom_jvp` decorates, where JAX can differentiate it; with ``False`` none.
        Differences are then taken only where the gradients differ.
    rng, name, raise_exception
        As in `gradlab.gradcheck`.

    Returns
    -------
    Report

    Raises
    ------
    GradientError
        Unless the derivatives are right.
    UsageError
        When the question is malformed.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> check_grads(lambda p, x: jnp.tanh(x @ p["w"]), ({"w": jnp.ones(3)}, jnp.full((2, 3), 0.1)), order=2)
    <Report <lambda>: pass at 1 point>
    >>> @jax.custom_vjp
    ... def cube(x):
    ...     return x**3
    >>> cube.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x * g,))  # the square is missing
    >>> check_grads(cube, (jnp.array([0.5, 2.0]),), raise_exception=False).inputs[0].wrong_entries
    ((0,), (1,))
    """
    __tracebackhide__ = True
    default = (REVERSE,) if isinstance(f, jax.custom_vjp) else BOTH  # that has no other
    chosen = read_modes(default if modes is None else modes, order, MODES)
    function, inputs = flat(f, args)
    seed, title = seed_of(rng), title_of(f, name)
    notes = ignored(IGNORED, atol=atol, rtol=rtol, eps=eps)
    value, wide = numerical(function, inputs)
    if not wide:
        notes.append("f does not return the same in float64: compared in its own precision")
    trusted: Any = reference
    if reference is True and wide and isinstance(f, jax.custom_vjp | jax.custom_jvp):
        trusted = f.fun
    witness = None
    if callable(trusted):
        decorated = flat(trusted, args)[0]
        if trusted is reference or has_derivative(decorated, inputs):
            witness = rule(decorated)
        else:
            notes.append("JAX does not differentiate what f decorates: compared with differences")
    asked = Asked(wide, chosen, np.random.default_rng(seed), notes)
    in_turn = derivatives(asked, function, inputs, order, title, value=value, witness=witness)
    comma, without = "," * (len(args) == 1), ", reference=False" * (reference is False)
    snippet = partial(
        call_snippet,
        "jax.check_grads",
        f,
        f,
        [plain(arg) for arg in args],
        form=f"({{subject}}, ({{inputs}}{comma}), {{options}}{without})",
        order=order,
        modes=None if modes is None else chosen,
        reference=reference if callable(reference) else None,
        name=name,
    )
    return check_in_turn(in_turn, snippet, seed=seed, rtol=None, notes=notes, raise_exception=raise_exception)


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: Any = None,
    rtol: Any = None,
    eps: Any = None,
    *,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check a function that returns values and a vector-Jacobian product, as `jax.vjp` does.

    Parameters
    ----------
    f : callable
        ``f(*args)`` returns a pytree.
    f_vjp : callable
        ``f_vjp(*args) -> (value, pull)``, such as ``partial(jax.vjp, f)``; ``pull`` takes a pytree like
        ``value`` and returns a tuple like ``args``.
    args, atol, rtol, eps, rng, name, raise_exception
        As in `check_grads`.

    Returns
    -------
    Report

    Raises
    ------
    GradientError, UsageError
        As `check_grads`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> def sine_and_pull(x):
    ...     return jnp.sin(x), lambda g: (g * jnp.cos(x),)
    >>> check_vjp(jnp.sin, sine_and_pull, (jnp.array([0.5, 2.0]),))
    <Report sin: pass at 1 point>
    """
    __tracebackhide__ = True
    if not callable(f_vjp):
        raise UsageError(f"f_vjp is {describe(f_vjp)}; expected a function")
    function, inputs = flat(f, args)
    value, wide = numerical(function, inputs)
    derivative = Derivative(title_of(f, name), value, inputs, vjp=partial(_claimed_vjp, f_vjp, args, wide))
    point = tuple(plain(arg) for arg in args)
    snippet = partial(derivative_snippet, "gradlab.jax.check_vjp", f, f_vjp, point, role="f_vjp", name=name)
    notes, seed = ignored(IGNORED, atol=atol, rtol=rtol, eps=eps), seed_of(rng)
    return check_in_turn(
        [derivative], snippet, seed=seed, rtol=None, notes=notes, raise_exception=raise_exception
    )


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[..., Any],
    args: Sequence[Any],
    atol: Any = None,
    rtol: Any = None,
    eps: Any = None,
    *,
    rng: int | np.random.Generator | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check a function that returns values and a Jacobian-vector product, as `jax.jvp` does.

    Parameters
    ----------
    f : callable
        ``f(*args)`` returns a pytree.
    f_jvp : callable
        ``f_jvp(args, tangents) -> (value, tangents of the value)``, such as ``partial(jax.jvp, f)``;
        ``tangents`` is a tuple like ``args``, with `jax.dtypes.float0` in the place of integers.
    args, atol, rtol, eps, rng, name, raise_exception
        As in `check_grads`.

    Returns
    -------
    Report

    Raises
    ------
    GradientError, UsageError
        As `check_grads`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> def sine_and_push(primals, tangents):
    ...     (x,), (dx,) = primals, tangents
    ...     return jnp.sin(x), jnp.cos(x) * dx
    >>> check_jvp(jnp.sin, sine_and_push, (jnp.array([0.5, 2.0]),))
    <Report sin: pass at 1 point>
    """
    __tracebackhide__ = True
    if not callable(f_jvp):
        raise UsageError(f"f_jvp is {describe(f_jvp)}; expected a function")
    function, inputs = flat(f, args)
    value, wide = numerical(function, inputs)
    push = partial(_claimed_jvp, f_jvp, args, wide)
    derivative = Derivative(title_of(f, name), value, inputs, jvps={FORWARD: push})
    point = tuple(plain(arg) for arg in args)
    snippet = partial(derivative_snippet, "gradlab.jax.check_jvp", f, f_jvp, point, role="f_jvp", name=name)
    notes, seed = ignored(IGNORED, atol=atol, rtol=rtol, eps=eps), seed_of(rng)
    return check_in_turn(
        [derivative], snippet, seed=seed, rtol=None, notes=notes, raise_exception=raise_exception
    )


def _claimed_vjp(
    f_vjp: Callable[..., Any], args: Sequence[Any], wide: bool, /, **inputs: Any
) -> tuple[Any, Pull]:
    """Call what claims to return a value and its vector-Jacobian product, with other arrays in ``args``."""
    with precision(inputs, wide):
        y, pull = f_vjp(*rebuilt(args, map(jax.numpy.asarray, inputs.values())))
    zero = jax.tree.map(lambda leaf: np.zeros(np.shape(leaf), jax.dtypes.float0), y)
    outputs = inexact(y)

    def gradients(grad_output: Any) -> dict[str, npt.NDArray[Any]]:
        upstream = grad_output if len(outputs) > 1 else (grad_output,)
        with precision(inputs, wide):
            parts = iter([jax.numpy.asarray(part) for part in upstream])
            cotangents = jax.tree.map(lambda leaf, none: next(parts) if is_inexact(leaf) else none, y, zero)
            pulled = tuple(pull(cotangents))
        found, expected = jax.tree.structure(pulled), jax.tree.structure(tuple(args))
        if str(found) != str(expected):
            raise UsageError(f"f_vjp pulls back to {found}; expected {expected}, that of args")
        places = [is_inexact(leaf) for leaf in jax.tree.leaves(tuple(args))]
        kept = [leaf for leaf, place in zip(jax.tree.leaves(pulled), places, strict=True) if place]
        return {name: np.asarray(gradient) for name, gradient in zip(inputs, kept, strict=True)}

    return as_outputs(outputs), gradients


def _claimed_jvp(
    f_jvp: Callable[..., Any], args: Sequence[Any], wide: bool, inputs: Arrays, tangents: Arrays
) -> tuple[Any, Any]:
    """Call what claims to return a value and its tangents, with other arrays in ``args``."""
    still = jax.tree.map(lambda leaf: np.zeros(np.shape(leaf), jax.dtypes.float0), tuple(args))
    with precision(inputs, wide):
        primals = rebuilt(args, map(jax.numpy.asarray, inputs.values()))
        each = map(jax.numpy.asarray, tangents.values())
        moved = jax.tree.map(lambda leaf, none: next(each) if is_inexact(leaf) else none, primals, still)
        value, pushed = f_jvp(primals, moved)
    found, expected = jax.tree.structure(pushed), jax.tree.structure(value)
    if str(found) != str(expected):
        raise UsageError(f"f_jvp pushes forward to {found}; expected {expected}, that of the value")
    places = [is_inexact(leaf) for leaf in jax.tree.leaves(value)]
    kept = [leaf for leaf, place in zip(jax.tree.leaves(pushed), places, strict=True) if place]
    return as_outputs(inexact(value)), as_outputs(kept)
