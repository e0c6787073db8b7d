"""Which calls a function takes; mistakes that keep it from being called, which say nothing of a gradient."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from gradlab.errors import UsageError
from gradlab.point.values import describe, text_of


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return the signature of a function; ``None`` where it has none, as some built-in functions.

    NumPy tells the signatures of its ufuncs in later versions only: here they are the same in all.

    >>> signature_of(np.add), signature_of(np.tanh)
    (<Signature (x1, x2, /, out=None, **kwargs)>, <Signature (x, /, out=None, **kwargs)>)
    """
    if isinstance(function, np.ufunc):
        kinds = inspect.Parameter
        names = ["x"] if function.nin == 1 else [f"x{k}" for k in range(1, function.nin + 1)]
        takes = [kinds(name, kinds.POSITIONAL_ONLY) for name in names]
        out = kinds("out", kinds.POSITIONAL_OR_KEYWORD, default=None)
        return inspect.Signature([*takes, out, kinds("kwargs", kinds.VAR_KEYWORD)])
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def positional_names(function: Callable[..., Any]) -> tuple[tuple[str, ...], str]:
    """Return the names of the positional arguments of a function, and of what takes the rest: ``*args``.

    What a signature says; of a plain function its code says the same, in a twentieth of the time.

    >>> positional_names(lambda x, w, *rest, scale=1: x), positional_names(np.add)
    ((('x', 'w'), 'rest'), (('x1', 'x2', 'out'), ''))
    """
    if isinstance(function, FunctionType) and not vars(function):  # where `__signature__` would be
        code = function.__code__
        taken = code.co_argcount
        rest = code.co_varnames[taken + code.co_kwonlyargcount] if code.co_flags & inspect.CO_VARARGS else ""
        return code.co_varnames[:taken], rest
    signature = signature_of(function)
    takes = [] if signature is None else list(signature.parameters.values())
    names = tuple(p.name for p in takes if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    return names, next((p.name for p in takes if p.kind is p.VAR_POSITIONAL), "")


def refuse_mistake(
    role: str,
    function: Callable[..., Any],
    error: BaseException,
    positional: Sequence[Any],
    keyword: Mapping[str, Any],
) -> None:
    """Raise where what a function raised says nothing of what it computes.

    That is a mistake in how it is called, a name that does not exist, or a want of memory.

    Parameters
    ----------
    role : str
        ``forward`` or ``backward``.
    function : callable
        What was called.
    error : BaseException
        What it raised.
    positional, keyword : sequence and mapping
        The arguments.

    Raises
    ------
    UsageError
        When it does not take such arguments, or uses a name or a module that does not exist.
    MemoryError
        When that is what it raised.
    """
    if isinstance(error, MemoryError):
        raise error
    if isinstance(error, TypeError) and not _takes(function, error, positional, keyword):
        given = [describe(value) for value in positional]
        given += [f"{name}=…" for name in keyword]
        raise UsageError(f"{role} cannot be called with {', '.join(given)}: {text_of(error)}") from error
    if _names_nothing(error):
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise UsageError(
            f"{role} raised {type(error).__name__}: {text_of(error)} ({frame.filename}, line {frame.lineno})"
        ) from error


def _takes(
    function: Callable[..., Any], error: TypeError, positional: Sequence[Any], keyword: Mapping[str, Any]
) -> bool:
    if error.__traceback__ is not None and error.__traceback__.tb_next is None:
        return False  # raised by the call, before a line of the function
    signature = signature_of(function)
    if signature is None:
        return True
    try:
        signature.bind(*positional, **keyword)
    except TypeError:  # a decorator has passed on what its function does not take
        return False
    return True


def _names_nothing(error: BaseException) -> bool:
    if isinstance(error, AttributeError):
        return isinstance(error.obj, ModuleType)
    return isinstance(error, NameError | ImportError)
