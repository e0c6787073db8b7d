"""Whether a function is the one that it was: what tells so across processes."""

from __future__ import annotations

import functools
import re
import types
from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import numpy as np

from gradlab._modules import is_installed
from gradlab.point.changing import (
    ATOMS,
    attributes,
    held,
    holds_values,
    is_elsewhere,
    is_steady,
    methods,
    stored,
)
from gradlab.point.values import is_foreign

SIZE = 16  # bytes
END = object()
# What Python itself writes into a class, and what only tells where it stands or how it is to be read.
AUTOMATIC = {"__dict__", "__weakref__", "__module__", "__qualname__", "__doc__", "_abc_impl"}
AUTOMATIC |= {"__firstlineno__", "__static_attributes__", "__annotations__", "__annotations_cache__"}
AUTOMATIC |= {"__annotate__", "__annotate_func__"}
# Of a strategy of Hypothesis, what it is made of; all else that it has at hand depends on its use so far.
STRATEGY = (
    *("function", "_LazyStrategy__args", "_LazyStrategy__kwargs", "_transformations"),
    *("elements", "base", "expand", "original_strategies"),
)


def fingerprint(value: Any) -> str:
    """Return a digest of a function, by its code and what it refers to, or of another value.

    Of a function, that is its bytecode, its defaults, what it closes over, and the functions, classes and
    values that it names, through all of them that are not installed; not where it stands, nor how it is laid
    out. Of an object, it is the code of its class and what it holds. A global variable that is changed by the
    code around it, such as a counter or a cache, is told by the code that is in it, and nothing else.

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
    around = [iter((value,))]
    while around:
        item = next(around[-1], END)
        if item is END:
            around.pop()
            yield b"."  # what follows is behind it, not in it
        elif isinstance(item, ATOMS):
            yield f"{type(item).__name__} {item!r}".encode("utf-8", "surrogatepass")
        elif id(item) in seen:
            yield b"again"
        else:
            if not isinstance(item, tuple | frozenset):  # the compiler makes one of two, as it likes
                seen[id(item)] = item  # and thereby kept, or its id might be given to another
            yield f"{type(item).__module__}.{type(item).__qualname__}".encode()
            if isinstance(item, set | frozenset):
                inside = iter(sorted(b"\0".join(_parts(one, dict(seen))) for one in item))
            else:
                inside = iter(_inside(item))
            around.append(inside)


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
        case property():
            return value.fget, value.fset
        case staticmethod() | classmethod():
            return (value.__func__,)
        case type() if not is_elsewhere(value):
            return _inside_class(value)
        case type() | types.ModuleType() | types.BuiltinFunctionType() | np.ufunc():
            return getattr(value, "__module__", None), getattr(value, "__qualname__", value.__name__)
        case np.ndarray():
            numbers = value.ravel().tolist() if value.dtype.hasobject else value.tobytes()
            return str(value.dtype), value.shape, numbers
        case tuple() | list() | deque():
            return *value, *_inside_instance(value)
        case dict():
            return *value.items(), getattr(value, "default_factory", None), *_inside_instance(value)
    return _inside_object(value)


def _inside_function(function: types.FunctionType) -> Iterator[Any]:
    code = function.__code__
    yield from (function.__qualname__, code, function.__defaults__, function.__kwdefaults__)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is still empty
            yield "empty"
    names = _names(code)
    spaces, known = deque([function.__globals__]), {id(function.__globals__)}
    while spaces:
        space = spaces.popleft()
        for used in (space.get(name) for name in names):
            if not isinstance(used, types.ModuleType):
                yield _of_variable(used, [code])
            elif not is_installed(used.__name__) and id(vars(used)) not in known:
                # Which of the names stand behind that of a module is not known: those that it has.
                known.add(id(vars(used)))
                spaces.append(vars(used))


def _of_variable(used: Any, codes: Iterable[types.CodeType]) -> Any:
    """Return what tells of a variable that some functions refer to: of what may change, the code in it."""
    if isinstance(used, types.FunctionType | type):
        return (used.__module__, used.__qualname__) if is_elsewhere(used) else used
    if is_steady(used, among=codes):
        return used
    code = [item for item in held(used) if isinstance(item, types.FunctionType | type)]
    return type(used), [_of_variable(item, ()) for item in code]


def _names(code: types.CodeType) -> list[str]:
    """Return the names that a function refers to, and those that functions in it do."""
    inner = [name for const in code.co_consts if isinstance(const, types.CodeType) for name in _names(const)]
    return [*code.co_names, *inner]


def _inside_class(kind: type) -> Iterator[Any]:
    """Yield what a class is made of; what its own methods change is state."""
    yield kind.__bases__
    codes = list(methods(kind))
    left_out = AUTOMATIC.union(*map(stored, codes))
    for name, value in sorted(vars(kind).items()):
        if name not in left_out:
            yield name, _of_variable(value, codes)


def _inside_object(value: Any) -> Iterator[Any]:
    """Yield the state of an object as far as it can be told, and its class unless that is installed."""
    kind = type(value)
    if (array := _as_numpy(value)) is not None:
        yield array
    elif not is_elsewhere(kind):
        yield from _inside_instance(value)
    elif kind.__module__.partition(".")[0] == "hypothesis":
        yield re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
        yield [getattr(value, name, None) for name in STRATEGY]
    elif holds_values(kind):
        yield from [attributes(value)] if hasattr(value, "__dict__") else _reduced(value)


def _inside_instance(value: Any) -> Iterator[Any]:
    """Yield the class of an object and its attributes, unless the class is installed."""
    if not is_elsewhere(type(value)):
        yield from (type(value), attributes(value))


def _as_numpy(value: Any) -> Any:
    """Return an array of another library as one of NumPy; ``None`` for what is none, or cannot be read."""
    if not is_foreign(value):
        return None
    try:
        array = np.asarray(value.detach() if hasattr(value, "detach") else value)
    except Exception:  # it is on a device
        return None
    return None if array.dtype.hasobject else array


def _reduced(value: Any) -> Iterator[Any]:
    """Yield what a copy of an object would be made of."""
    try:
        made = value.__reduce_ex__(4)
        yield made if isinstance(made, str) else [*made[:3], *(list(more or ()) for more in made[3:5])]
    except Exception:  # an open file, a socket
        yield "not told"
