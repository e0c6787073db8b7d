"""Whether a function is the one that it was: what tells so across processes."""

from __future__ import annotations

import functools
import pickle
import types
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import numpy as np

from gradlab._modules import is_installed

SIZE = 16  # bytes
ATOMS = (str, bytes, int, float, complex, types.EllipsisType, types.NoneType)


def fingerprint(value: Any) -> str:
    """Return a digest of a function, by its code and what it refers to, or of another value.

    Of a function, that is its bytecode, its defaults, what it closes over, and the functions that it calls,
    through all of them that are not installed; not where it stands, nor how it is laid out.

    >>> def scaled(factor):
    ...     return lambda x: factor * x
    >>> fingerprint(scaled(2.0)) == fingerprint(scaled(2.0))
    True
    >>> fingerprint(scaled(2.0)) == fingerprint(scaled(3.0))
    False
    """
    told = blake2b(digest_size=SIZE)
    for part in _parts(value, {}):
        told.update(part)
        told.update(b"\0")
    return told.hexdigest()


def _parts(value: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """Yield what a value is made of; what refers to itself is told once."""
    if isinstance(value, ATOMS):
        yield f"{type(value).__name__} {value!r}".encode()
        return
    if id(value) in seen:
        yield b"again"
        return
    seen[id(value)] = value  # and thereby kept, for an object that is gone may leave its id to another
    yield f"{type(value).__module__}.{type(value).__qualname__}".encode()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield f"{value.dtype.str} {value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, set | frozenset):
        yield from sorted(b"".join(_parts(item, seen)) for item in value)
    else:
        for item in _inside(value):
            yield from _parts(item, seen)


def _inside(value: Any) -> Iterable[Any]:
    """Return what a value refers to and depends on."""
    match value:
        case types.FunctionType():
            return _inside_function(value)
        case types.CodeType():
            return value.co_code, value.co_consts, value.co_names
        case types.MethodType():
            return value.__func__, value.__self__
        case functools.partial():
            return value.func, value.args, value.keywords
        case tuple() | list():
            return value
        case dict():
            return list(value.items())
        case type() | types.ModuleType() | types.BuiltinFunctionType() | np.ufunc():
            return getattr(value, "__module__", None), getattr(value, "__qualname__", value.__name__)
    return _inside_object(value)


def _inside_function(function: types.FunctionType) -> Iterator[Any]:
    yield from (function.__qualname__, function.__code__, function.__defaults__, function.__kwdefaults__)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is still empty
            yield "empty"
    names = _names(function.__code__)
    for name in names:
        used = function.__globals__.get(name)
        if isinstance(used, types.ModuleType) and not is_installed(used.__name__):
            # Which of the names stand behind that of a module is not known: those that it has.
            yield from (_of_project(vars(used)[one]) for one in names if one in vars(used))
        else:
            yield _of_project(used)


def _of_project(used: Any) -> Any:
    """Return what tells of a global: a function itself unless it is installed, nothing of what may change."""
    if isinstance(used, types.FunctionType):
        return (used.__module__, used.__qualname__) if is_installed(used.__module__) else used
    return used if isinstance(used, float | int | str | tuple | np.ndarray) else None


def _names(code: types.CodeType) -> list[str]:
    """Return the names that a function refers to, and those that functions in it do."""
    inner = [name for const in code.co_consts if isinstance(const, types.CodeType) for name in _names(const)]
    return [*code.co_names, *inner]


def _inside_object(value: Any) -> Iterator[Any]:
    """Yield the code of an object that is called, and its state as far as it can be told."""
    call = getattr(type(value), "__call__", None)  # noqa: B004 - its code is wanted, not whether there is any
    if isinstance(call, types.FunctionType):
        yield call
    if hasattr(value, "__wrapped__"):
        yield value.__wrapped__
    if hasattr(value, "__dict__"):
        yield vars(value)
        return
    try:
        yield pickle.dumps(value)
    except Exception:  # an open file, a socket
        yield "not told"
