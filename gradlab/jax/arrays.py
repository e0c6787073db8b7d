"""Pytrees of JAX, seen as the arrays in them that are differentiated, and the precision they are given in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import jax
import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.point.arguments import names_of
from gradlab.point.options import title_of
from gradlab.point.values import describe

__tracebackhide__ = is_deliberate

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Function: TypeAlias = Callable[..., list[Any]]  # of arrays that are differentiated, and nothing else


def flat(f: Callable[..., Any], args: Sequence[Any]) -> tuple[Function, Arrays]:
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
        if is_inexact(leaf)
    }
    if not inputs:
        raise UsageError("args hold nothing to differentiate; expected a floating-point or complex array")

    def function(*arrays: Any) -> list[Any]:
        outputs = inexact(f(*rebuilt(args, iter(arrays))))
        if not outputs:
            raise UsageError(
                f"{title_of(f)} returns no floating-point or complex array; expected one at least"
            )
        return outputs

    return function, inputs


def rebuilt(args: Sequence[Any], arrays: Iterator[Any]) -> Any:
    """Return arguments with other arrays in the places of the inexact ones."""
    return jax.tree.map(lambda leaf: next(arrays) if is_inexact(leaf) else leaf, tuple(args))


def inexact(y: Any) -> list[Any]:
    """Return those leaves of an output that are differentiated."""
    leaves = [leaf for leaf in jax.tree.leaves(y) if is_inexact(leaf)]
    return [leaf if isinstance(leaf, jax.Array) else jax.numpy.asarray(leaf) for leaf in leaves]


def is_inexact(leaf: Any) -> bool:
    """Whether a leaf is differentiated: a floating-point or complex array or number."""
    dtype = getattr(leaf, "dtype", None)
    return isinstance(leaf, float | complex) or (
        dtype is not None and bool(jax.numpy.issubdtype(dtype, jax.numpy.inexact))
    )


def as_outputs(arrays: Sequence[Any]) -> Any:
    """Return outputs as forward does: one array, or a tuple of several."""
    return np.asarray(arrays[0]) if len(arrays) == 1 else tuple(map(np.asarray, arrays))


def precision(inputs: Arrays, wide: bool) -> AbstractContextManager[Any]:
    """Return what lets float64 through, where the caller's JAX would make it float32."""
    doubles = wide and any(array.dtype in (np.float64, np.complex128) for array in inputs.values())
    return jax.enable_x64(True) if doubles else nullcontext()


def plain(arg: Any) -> Any:
    """Return an argument with NumPy arrays in the places of JAX's, to be written in a snippet."""
    return jax.tree.map(
        lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) and not _is_key(leaf) else leaf, arg
    )


def _is_key(array: Any) -> bool:
    return bool(jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key))
