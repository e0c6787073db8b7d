"""The derivatives that one writes for JAX, checked: change one import.

=====================================================  ================================================
jax.test_util                                          gradlab.jax
=====================================================  ================================================
``check_grads(f, args, order, modes)``                 `check_grads`, with the same arguments
``check_vjp(f, f_vjp, args)``                          `check_vjp`, with the same arguments
``check_jvp(f, f_jvp, args)``                          `check_jvp`, with the same arguments
=====================================================  ================================================

Arguments and outputs are any pytrees. Differentiated are the floating-point and complex arrays in them;
integers, random keys and all else are constants. The numerical side works in float64 whether or not the
caller has it switched on; the derivative is asked in the precision given. A `jax.custom_vjp` or
`jax.custom_jvp` is compared with JAX's own derivative of the function that it decorates. Neither a step nor a
tolerance is guessed. Each returns a `Report`, which is true where the derivative is right, and raises
`GradientError` where it is not; what a function raises itself passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab._framework import (
    BOTH,
    FORWARD,
    REVERSE,
    Derivative,
    Pull,
    apart,
    check_in_turn,
    new_name,
    products,
    random_like,
    read_modes,
)
from gradlab._gradcheck import seed_of
from gradlab._snippet import call_snippet, derivative_snippet
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.arguments import names_of
from gradlab.point.values import describe
from gradlab.report import Report

try:
    import jax
except ModuleNotFoundError:
    text = "gradlab.jax needs JAX: pip install 'gradlab-verify[jax]'"
    raise ModuleNotFoundError(text, name="jax") from None

__all__ = ["check_grads", "check_jvp", "check_vjp"]
__tracebackhide__ = is_deliberate

# Entries, from which on compiling a function takes less time than calling it so often: three layers of a
# perceptron, at 76 entries, took 1.6 s of CPU time called and 0.6 s compiled; one primitive differs little.
MANY = 50

LINEARIZED = "lin"  # forward mode by `jax.linearize`
MODES = (*BOTH, LINEARIZED)

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Function: TypeAlias = Callable[..., list[Any]]  # of arrays that are differentiated, and nothing else


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: Sequence[str] = BOTH,
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
    modes : sequence of str, default ("fwd", "rev")
        ``"rev"`` is compared with differences, or with ``reference``; ``"fwd"``, and ``"lin"`` for
        `jax.linearize`, with that: ⟨u, J v⟩ = ⟨Jᵀu, v⟩. They are compared with differences where they do not
        agree, or are alone. A `jax.custom_vjp` has no forward mode; of a function that calls one, this is
        noted.
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
    chosen = given = read_modes(modes, order, MODES)
    if isinstance(f, jax.custom_vjp) and REVERSE in given:
        chosen = (REVERSE,)  # it has no other
    function, inputs = _flat(f, args)
    seed, title = seed_of(rng), _title(f, name)
    notes = _ignored(atol=atol, rtol=rtol, eps=eps)
    wide = _is_same_in_float64(function, inputs)
    if not wide:
        notes.append("in float64 f returns other numbers: compared in its own precision")
    trusted: Any = reference
    if reference is True and wide and isinstance(f, jax.custom_vjp | jax.custom_jvp):
        trusted = f.fun
    witness = None
    if callable(trusted):
        witness = _rule(_flat(trusted, args)[0])
        if trusted is not reference and not _has_derivative(witness, inputs):
            witness = None
            notes.append("JAX does not differentiate what f decorates: compared with differences")
    asked = _Asked(wide, chosen, np.random.default_rng(seed), notes)
    derivatives = _derivatives(asked, function, inputs, order, title, witness=witness)
    comma, without = "," * (len(args) == 1), ", reference=False" * (reference is False)
    snippet = partial(
        call_snippet,
        "jax.check_grads",
        f,
        f,
        [_plain(arg) for arg in args],
        form=f"({{subject}}, ({{inputs}}{comma}), {{options}}{without})",
        order=order,
        modes=None if given == BOTH else given,
        reference=reference if callable(reference) else None,
        name=name,
    )
    return check_in_turn(
        derivatives, snippet, seed=seed, rtol=None, notes=notes, raise_exception=raise_exception
    )


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
    function, inputs = _flat(f, args)
    wide = _is_same_in_float64(function, inputs)
    value = partial(_value, _compiled(function, inputs), wide)
    derivative = Derivative(_title(f, name), value, inputs, vjp=partial(_claimed_vjp, f_vjp, args, wide))
    plain = tuple(_plain(arg) for arg in args)
    snippet = partial(derivative_snippet, "gradlab.jax.check_vjp", f, f_vjp, plain, role="f_vjp", name=name)
    notes, seed = _ignored(atol=atol, rtol=rtol, eps=eps), seed_of(rng)
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
    function, inputs = _flat(f, args)
    wide = _is_same_in_float64(function, inputs)
    value = partial(_value, _compiled(function, inputs), wide)
    push = partial(_claimed_jvp, f_jvp, args, wide)
    derivative = Derivative(_title(f, name), value, inputs, jvps={FORWARD: push})
    plain = tuple(_plain(arg) for arg in args)
    snippet = partial(derivative_snippet, "gradlab.jax.check_jvp", f, f_jvp, plain, role="f_jvp", name=name)
    notes, seed = _ignored(atol=atol, rtol=rtol, eps=eps), seed_of(rng)
    return check_in_turn(
        [derivative], snippet, seed=seed, rtol=None, notes=notes, raise_exception=raise_exception
    )


@dataclass(frozen=True)
class _Asked:
    """What is asked of a function and of its derivatives alike; what is to be said of it is added."""

    wide: bool
    modes: Sequence[str]
    rng: np.random.Generator
    notes: list[str]


def _derivatives(
    asked: _Asked,
    function: Function,
    inputs: Arrays,
    order: int,
    title: str,
    *,
    witness: tuple[Callable[..., Any], Callable[..., Any]] | None = None,
    known: Callable[..., Any] | None = None,
) -> Iterator[Derivative]:
    """Yield a function at a point, then its derivatives there, as functions, as often as ``order`` says."""
    wide = asked.wide
    derivative = Derivative(
        title,
        partial(_value, _compiled(function, inputs), wide),
        inputs,
        vjp=partial(_vjp, function, wide) if REVERSE in asked.modes else None,
        jvps={mode: partial(_jvp, function, mode, wide) for mode in asked.modes if mode != REVERSE},
        known=known,
        reference=witness,
    ).possible(_is_missing, asked.notes)
    yield derivative
    if order < 2:
        return
    count = len(inputs)
    with _precision(inputs, wide):
        outputs = function(*map(jax.numpy.asarray, inputs.values()))
    for mode in derivative.modes:
        named = dict(inputs)
        if mode == REVERSE:
            for output in outputs:
                named[new_name("grad_output", named)] = random_like(output, asked.rng)
            pull = partial(_pulled, function, count)
            yield from _derivatives(asked, pull, named, order - 1, f"vjp of {title}")
        else:
            named |= {new_name(f"d{name}", named): random_like(x, asked.rng) for name, x in inputs.items()}
            push = partial(_pushed, function, mode, count)
            twice = (
                partial(_by_reverse, function, count, wide, named) if REVERSE in derivative.modes else None
            )
            yield from _derivatives(asked, push, named, order - 1, f"jvp of {title}", known=twice)


def _pulled(function: Function, count: int, *arrays: Any) -> list[Any]:
    """Return the vector-Jacobian product of a function; behind its arguments stand upstream gradients."""
    return list(jax.vjp(function, *arrays[:count])[1](list(arrays[count:])))


def _pushed(function: Function, mode: str, count: int, *arrays: Any) -> list[Any]:
    """Return the Jacobian-vector product of a function; behind its arguments stand tangents."""
    return _with_tangents(function, mode, arrays[:count], arrays[count:])[1]


def _with_tangents(
    function: Function, mode: str, primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    if mode == LINEARIZED:
        value, linear = jax.linearize(function, *primals)
        return value, linear(*tangents)
    value, pushed = jax.jvp(function, tuple(primals), tuple(tangents))
    return value, pushed


def _by_reverse(function: Function, count: int, wide: bool, named: Arrays, u: Any, moved: Arrays) -> Any:
    """Return the terms of ⟨u, d(J v)⟩, by what reverse mode says of it: ⟨d(Jᵀu), v⟩ + ⟨Jᵀu, dv⟩."""
    arrays, changes = ([*map(np.asarray, part.values())] for part in (named, moved))
    upstream = list(u) if isinstance(u, tuple) else [u]
    with _precision(named, wide):
        x, dx, *_ = ([*map(jax.numpy.asarray, part)] for part in (arrays[:count], changes[:count]))
        upstream = [*map(jax.numpy.asarray, upstream)]
        pulled, change = jax.jvp(lambda *x: _pulled(function, count, *x, *upstream), tuple(x), tuple(dx))
    return products([*map(np.asarray, [*change, *pulled])], [*arrays[count:], *changes[count:]])


def _is_missing(error: Exception) -> bool:
    """Whether JAX says that a function has no forward mode."""
    return isinstance(error, NotImplementedError) or (
        isinstance(error, TypeError) and "custom_vjp" in str(error)
    )


def _compiled(function: Function, inputs: Arrays) -> Callable[..., Any]:
    """Return a function compiled, where it is called so often that this pays, and where it can be."""
    if sum(array.size for array in inputs.values()) < MANY:
        return function
    try:
        jax.eval_shape(function, *inputs.values())
    except Exception:  # it looks at its values, and is no function for `jax.jit`
        return function
    compiled: Callable[..., Any] = jax.jit(function)
    return compiled


def _value(function: Function, wide: bool, /, **inputs: Any) -> Any:
    with _precision(inputs, wide):
        return _outputs(function(*map(jax.numpy.asarray, inputs.values())))


def _vjp(function: Function, wide: bool, /, **inputs: Any) -> tuple[Any, Pull]:
    with _precision(inputs, wide):
        outputs, pull = jax.vjp(function, *map(jax.numpy.asarray, inputs.values()))

    def gradients(grad_output: Any) -> dict[str, npt.NDArray[Any]]:
        upstream = grad_output if len(outputs) > 1 else (grad_output,)
        with _precision(inputs, wide):
            pulled = pull([jax.numpy.asarray(part) for part in upstream])
        return {name: np.asarray(gradient) for name, gradient in zip(inputs, pulled, strict=True)}

    return _outputs(outputs), gradients


def _jvp(function: Function, mode: str, wide: bool, inputs: Arrays, tangents: Arrays) -> tuple[Any, Any]:
    with _precision(inputs, wide):
        primals, moved = ([*map(jax.numpy.asarray, part.values())] for part in (inputs, tangents))
        value, pushed = _with_tangents(function, mode, primals, moved)
        return _outputs(value), _outputs(pushed)


def _claimed_jvp(
    f_jvp: Callable[..., Any], args: Sequence[Any], wide: bool, inputs: Arrays, tangents: Arrays
) -> tuple[Any, Any]:
    """Call what claims to return a value and its tangents, with other arrays in ``args``."""
    still = jax.tree.map(lambda leaf: np.zeros(np.shape(leaf), jax.dtypes.float0), tuple(args))
    with _precision(inputs, wide):
        primals = _rebuilt(args, map(jax.numpy.asarray, inputs.values()))
        each = map(jax.numpy.asarray, tangents.values())
        moved = jax.tree.map(lambda leaf, none: next(each) if _is_inexact(leaf) else none, primals, still)
        value, pushed = f_jvp(primals, moved)
    found, expected = jax.tree.structure(pushed), jax.tree.structure(value)
    if found != expected:
        raise UsageError(f"f_jvp pushes forward to {found}; expected {expected}, that of the value")
    places = [_is_inexact(leaf) for leaf in jax.tree.leaves(value)]
    kept = [leaf for leaf, place in zip(jax.tree.leaves(pushed), places, strict=True) if place]
    return _outputs(_inexact(value)), _outputs(kept)


def _claimed_vjp(
    f_vjp: Callable[..., Any], args: Sequence[Any], wide: bool, /, **inputs: Any
) -> tuple[Any, Pull]:
    """Call what claims to return a value and its vector-Jacobian product, with other arrays in ``args``."""
    with _precision(inputs, wide):
        y, pull = f_vjp(*_rebuilt(args, map(jax.numpy.asarray, inputs.values())))
    zero = jax.tree.map(lambda leaf: np.zeros(np.shape(leaf), jax.dtypes.float0), y)
    outputs = _inexact(y)

    def gradients(grad_output: Any) -> dict[str, npt.NDArray[Any]]:
        upstream = grad_output if len(outputs) > 1 else (grad_output,)
        with _precision(inputs, wide):
            parts = iter([jax.numpy.asarray(part) for part in upstream])
            cotangents = jax.tree.map(lambda leaf, none: next(parts) if _is_inexact(leaf) else none, y, zero)
            pulled = tuple(pull(cotangents))
        found, expected = jax.tree.structure(pulled), jax.tree.structure(tuple(args))
        if str(found) != str(expected):
            raise UsageError(f"f_vjp pulls back to {found}; expected {expected}, that of args")
        places = [_is_inexact(leaf) for leaf in jax.tree.leaves(tuple(args))]
        kept = [leaf for leaf, place in zip(jax.tree.leaves(pulled), places, strict=True) if place]
        return {name: np.asarray(gradient) for name, gradient in zip(inputs, kept, strict=True)}

    return _outputs(outputs), gradients


def _rule(function: Function) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return forward and backward of a function that JAX differentiates."""
    forward = partial(_value, function, True)
    return forward, lambda grad_output, /, **inputs: _vjp(function, True, **inputs)[1](grad_output)


def _has_derivative(rule: tuple[Callable[..., Any], Callable[..., Any]], inputs: Arrays) -> bool:
    """Whether JAX differentiates a function at a point, and gives numbers."""
    try:
        outputs = rule[0](**inputs)
        ones = jax.tree.map(np.ones_like, outputs)
        return all(np.isfinite(gradient).all() for gradient in rule[1](ones, **inputs).values())
    except Exception:  # whatever it is, there is no derivative
        return False


def _flat(f: Callable[..., Any], args: Sequence[Any]) -> tuple[Function, Arrays]:
    """Return a function of the inexact arrays alone, which returns those in its output; and the arrays."""
    if not callable(f):
        raise UsageError(f"f is {describe(f)}; expected a function")
    if not isinstance(args, tuple | list):
        raise UsageError(f"args is {describe(args)}; expected a tuple of arguments")
    args = tuple(args)
    names = names_of(f, len(args))
    inputs = {
        names[first.idx] + jax.tree_util.keystr(tuple(rest)): np.asarray(jax.numpy.asarray(leaf))
        for (first, *rest), leaf in jax.tree_util.tree_flatten_with_path(args)[0]
        if _is_inexact(leaf)
    }
    if not inputs:
        raise UsageError("args hold nothing to differentiate; expected a floating-point or complex array")
    return lambda *arrays: _inexact(f(*_rebuilt(args, iter(arrays)))), inputs


def _rebuilt(args: Sequence[Any], arrays: Iterator[Any]) -> Any:
    """Return arguments with other arrays in the places of the inexact ones."""
    return jax.tree.map(lambda leaf: next(arrays) if _is_inexact(leaf) else leaf, tuple(args))


def _inexact(y: Any) -> list[Any]:
    return [jax.numpy.asarray(leaf) for leaf in jax.tree.leaves(y) if _is_inexact(leaf)]


def _is_inexact(leaf: Any) -> bool:
    """Whether a leaf is differentiated: a floating-point or complex array or number."""
    dtype = getattr(leaf, "dtype", None)
    return isinstance(leaf, float | complex) or (
        dtype is not None and bool(jax.numpy.issubdtype(dtype, jax.numpy.inexact))
    )


def _outputs(arrays: Sequence[Any]) -> Any:
    """Return outputs as forward does: one array, or a tuple of several."""
    return np.asarray(arrays[0]) if len(arrays) == 1 else tuple(map(np.asarray, arrays))


def _is_same_in_float64(function: Function, inputs: Arrays) -> bool:
    """Whether a function is the same where float64 is on: if it draws random numbers, it is not."""
    doubles = {name: array.astype(np.result_type(array, np.float64)) for name, array in inputs.items()}
    given = _value(function, False, **inputs)
    try:
        wide = _value(function, True, **doubles)
    except Exception:  # such as float32 that it closes over, which does not mix
        return False
    if not isinstance(given, tuple):
        given, wide = (given,), (wide,)
    return not any(starmap(apart, zip(given, wide, strict=True)))


def _precision(inputs: Arrays, wide: bool) -> AbstractContextManager[Any]:
    """Return what lets float64 through, where the caller's JAX would make it float32."""
    doubles = wide and any(array.dtype in (np.float64, np.complex128) for array in inputs.values())
    return jax.enable_x64(True) if doubles else nullcontext()


def _title(f: Any, name: str | None) -> str:
    return name or str(getattr(f, "__name__", type(f).__name__))


def _plain(arg: Any) -> Any:
    """Return an argument with NumPy arrays in the places of JAX's, to be written in a snippet."""
    return jax.tree.map(
        lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) and not _is_key(leaf) else leaf, arg
    )


def _is_key(array: Any) -> bool:
    return bool(jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key))


def _ignored(**options: Any) -> list[str]:
    given = [key for key, value in options.items() if value is not None]
    return [f"{key} is ignored: error bars and steps are measured" for key in given]
