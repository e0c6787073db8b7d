"""Whether values stay as they are while code uses them, as far as that code shows.

A function may count its calls in a global list, or keep what it has computed in an object. Such state is no
part of what it computes, and differs each time that it is looked at.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from gradlab._modules import is_installed, is_own

ATOMS = (str, bytes, int, float, complex, np.generic, types.EllipsisType, types.NoneType)
CODE = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, np.ufunc)
STEADY = (*ATOMS, *CODE, property, staticmethod, classmethod, np.ndarray)
CONTAINERS = (tuple, list, set, frozenset, deque)
# Modules of the library that define what holds values; objects of others are at work: loggers, locks, files.
HOLDING = {"builtins", "collections", "types", "functools", "operator", "fractions", "decimal", "datetime"}
HOLDING |= {"pathlib", "enum"}
RANDOM = (np.random.Generator, np.random.BitGenerator, np.random.RandomState)
# The instructions by which a function changes what it refers to, and methods that have none of their own.
WRITING = {"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE", "STORE_ATTR", "DELETE_ATTR", "STORE_GLOBAL"}
CHANGING = {"append", "appendleft", "extend", "insert", "add", "update", "setdefault", "pop", "popitem"}
CHANGING |= {"remove", "discard", "clear", "sort", "reverse", "fill"}
MAKING = {"__init__", "__new__", "__post_init__", "__setstate__"}  # methods that are there to write


def is_elsewhere(thing: Any) -> bool:
    """Whether a class or function is installed, and the same wherever its package has the same version."""
    home = getattr(thing, "__module__", None)
    if not isinstance(home, str):
        return False
    known = home if home in sys.modules else home.partition(".")[0]  # compiled code may say what it likes
    return is_own(home) or is_installed(known)


def holds_values(kind: type) -> bool:
    """Whether an object of an installed class is what it holds, and not something at work.

    >>> import logging
    >>> holds_values(types.SimpleNamespace), holds_values(logging.Logger), holds_values(np.random.Generator)
    (True, False, False)
    """
    home = kind.__module__.partition(".")[0]
    return home in HOLDING or (home not in sys.stdlib_module_names and not issubclass(kind, RANDOM))


def is_steady(value: Any, *, among: Iterable[types.CodeType] = ()) -> bool:
    """Whether nothing in a value is seen to be changed by its own methods, or by some functions.

    Where a function writes is not looked at, only whether it writes to anything but a variable.

    Parameters
    ----------
    value : object
        The value.
    among : iterable of code
        The functions that refer to it.
    """
    if not isinstance(value, (*STEADY, tuple, frozenset)) and any(map(writes, among)):
        return False
    waiting, known = [value], dict[int, Any]()
    while waiting:
        item = waiting.pop()
        if isinstance(item, STEADY) or id(item) in known:
            continue
        known[id(item)] = item
        kind = type(item)
        if is_elsewhere(kind):
            if kind.__module__.partition(".")[0] not in HOLDING:
                return False
        elif any(map(writes, methods(kind))):
            return False
        waiting += held(item)
    return True


def held(value: Any) -> Iterator[Any]:
    """Yield what is in a container or an object."""
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, CONTAINERS):
        yield from value
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, types.MethodType):
        yield from (value.__func__, value.__self__)
    yield from attributes(value).values()


def attributes(value: Any) -> dict[str, Any]:
    """Return the attributes that an object has of its own, but for those that are computed when asked for."""
    kinds = type(value).__mro__
    slots = [vars(kind).get("__slots__", ()) for kind in kinds if not is_elsewhere(kind)]
    names = [name for some in slots for name in ([some] if isinstance(some, str) else some)]
    own = {name: getattr(value, name) for name in names if hasattr(value, name) and name != "__dict__"}
    own |= getattr(value, "__dict__", {})
    return {
        name: item
        for name, item in own.items()
        if not any(isinstance(vars(kind).get(name), functools.cached_property) for kind in kinds)
    }


def methods(kind: type) -> Iterator[types.CodeType]:
    """Yield the code of a class and of those that it derives from, but for what makes an object."""
    for base in kind.__mro__:
        for name, value in [] if is_elsewhere(base) else list(vars(base).items()):
            functions = (value.fget, value.fset) if isinstance(value, property) else (value,)
            for function in functions:
                code = getattr(getattr(function, "__func__", function), "__code__", None)
                if isinstance(code, types.CodeType) and name not in MAKING:
                    yield code


def writes(code: types.CodeType) -> bool:
    """Whether a function, or one in it, may change what it refers to.

    >>> writes((lambda x: x + 1).__code__), writes((lambda x: x.append(1)).__code__)
    (False, True)
    """
    inner = any(writes(const) for const in code.co_consts if isinstance(const, types.CodeType))
    return inner or bool(CHANGING & {*code.co_names}) or any(_steps(code, WRITING))


def stored(code: types.CodeType) -> set[str]:
    """Return the names of the attributes that a function writes."""
    return {str(step.argval) for step in _steps(code, {"STORE_ATTR", "DELETE_ATTR"})}


def _steps(code: types.CodeType, by: set[str]) -> Iterator[dis.Instruction]:
    return (step for step in dis.get_instructions(code) if step.opname in by)
