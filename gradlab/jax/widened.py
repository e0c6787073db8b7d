"""The program of a function of JAX, evaluated in float64.

A function is traced in the precision that it is given, and what it does to its arguments then done to wider
ones: operation by operation, each value that depends on a float64 is one. What does not is left as it was
traced, so that random numbers, indices and arrays that the function closes over are the same.

Called with wider arguments itself, it may draw other numbers, or refuse to mix them with what it closes over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from gradlab.errors import is_deliberate
from gradlab.jax.arrays import Arrays, Function

__tracebackhide__ = is_deliberate

# In the parameters of operations that do no more than call another program: where that is.
CALLED = ("jaxpr", "call_jaxpr", "fun_jaxpr")
CALLS = (
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
)


def widened(function: Function, inputs: Arrays) -> Function:
    """Return the program of a function at some inputs, to be called with float64 in their places.

    Where the function looks at its values, and has no program, it is returned itself.

    Examples
    --------
    >>> weights = jax.numpy.ones(2, "bfloat16")
    >>> def function(x):
    ...     return [jax.lax.mul(x, weights)]  # which mixes no types
    >>> program = widened(function, {"x": np.ones(2, weights.dtype)})
    >>> with jax.enable_x64(True):
    ...     program(jax.numpy.full(2, 1 / 3))[0].tolist()
    [0.3333333333333333, 0.3333333333333333]
    """
    try:
        program = jax.make_jaxpr(function)(*map(jax.numpy.asarray, inputs.values()))
    except Exception:  # whatever it is, calling the function says it better
        return function
    return lambda *arrays: [*map(_wide, _evaluated(program, arrays))]


def _evaluated(program: ClosedJaxpr, arrays: Sequence[Any]) -> list[Any]:
    """Return the outputs of a program, which are float64 where what they depend on is."""
    jaxpr = program.jaxpr
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, program.consts, strict=True))
    known.update(zip(jaxpr.invars, arrays, strict=True))

    def value(atom: Any) -> Any:
        if not isinstance(atom, Literal):
            return known[atom]
        typed: Any = atom.aval
        return np.asarray(atom.val, typed.dtype)

    for operation in jaxpr.eqns:
        known.update(zip(operation.outvars, _done(operation, [*map(value, operation.invars)]), strict=True))
    return [*map(value, jaxpr.outvars)]


def _done(operation: JaxprEqn, values: list[Any]) -> list[Any]:
    primitive: Any = operation.primitive
    params = operation.params
    if primitive.name in CALLS:
        return _evaluated(_closed(next(params[key] for key in CALLED if key in params)), values)
    if any(array.dtype in (np.float64, np.complex128) for array in values):
        values, params = [*map(_wide, values)], jax.tree.map(_wide_parameter, params)
    done = primitive.bind(*values, **primitive.get_bind_params(params))
    return list(done) if primitive.multiple_results else [done]


def _closed(program: Any) -> ClosedJaxpr:
    return program if isinstance(program, ClosedJaxpr) else ClosedJaxpr(program, ())


def _wide(array: Any) -> Any:
    dtype = _wide_dtype(array.dtype)
    return array if dtype == array.dtype else jax.lax.convert_element_type(array, dtype)


def _wide_dtype(dtype: Any) -> Any:
    """Return float64 for what is real, complex128 for what is complex, and any other type as it is."""
    for kind, wide in ((jax.numpy.floating, np.float64), (jax.numpy.complexfloating, np.complex128)):
        if jax.numpy.issubdtype(dtype, kind):
            return np.dtype(wide)
    return dtype


def _wide_parameter(parameter: Any) -> Any:
    """Return a parameter for operations on float64: the type of a result, or the body of a loop."""
    if isinstance(parameter, np.dtype):
        return _wide_dtype(parameter)
    if not isinstance(parameter, ClosedJaxpr | Jaxpr):
        return parameter
    body = _closed(parameter)
    places: list[Any] = [jax.eval_shape(_wide, aval) for aval in body.in_avals]
    program = jax.make_jaxpr(lambda *arrays: [*map(_wide, _evaluated(body, arrays))])(*places)
    return program if body is parameter else program.jaxpr
