"""Where a process that knows nothing yet gets an object from: a module, a file, or whoever pastes."""

from __future__ import annotations

import inspect
import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from gradlab._modules import is_installed, is_own, of_gradlab, of_projects

MAIN = "__main__"
CONTAINERS = (list, tuple, dict)
SEARCHED, DEPTH = 1000, 3  # items of a list that are looked at, and lists within lists
# Where objects are to be had that came as they are from another process, where no import gives them.
_sent: dict[int, tuple[weakref.ref[Any], Origin]] = {}


@dataclass(frozen=True)
class Origin:
    """Where an object is.

    Attributes
    ----------
    module : str
        Of which module it is an attribute; ``__main__`` where it is of the session that is typed in.
    path : str
        What it is called there, such as ``Layer.forward`` or ``RULES[0]``.
    folder : str or None
        What has to be put on ``sys.path`` for the module to be found.
    file : str or None
        The module's file, where no import gives it.
    """

    module: str
    path: str
    folder: str | None = None
    file: str | None = None


def origin_of(value: Any, *homes: str) -> Origin | None:
    """Return where an object can be had from; ``None`` where nothing but the running program has it.

    Parameters
    ----------
    value : object
        A function, a class, a rule, a layer, a large array.
    *homes : str
        Modules to look in first.

    Examples
    --------
    >>> from gradlab.rules import linear
    >>> origin_of(linear.forward).module, origin_of(linear.RULE).path
    ('gradlab.rules.linear', 'RULE')
    >>> origin_of(lambda x: x) is None
    True
    """
    reference, origin = _sent.get(id(value), (None, None))
    if reference is not None and reference() is value:
        return origin
    for module, path in _places(value, homes):
        found = _reached(module, path)
        if found is not None:
            return found
    return None


def remember(value: Any, origin: Origin) -> None:
    """Have `origin_of` say of an object that another process sent what it says there."""
    key = id(value)
    with suppress(TypeError):  # of what cannot be referred to so
        _sent[key] = weakref.ref(value, lambda _: _sent.pop(key, None)), origin


def is_typed_here(function: Any) -> bool:
    """Whether a function was typed into a session, such as that of a notebook, and is in no file."""
    return source_line(function) is None


def source_line(function: Any) -> tuple[str, int] | None:
    """Return the file and the first line of a function; ``None`` where it is in no file."""
    try:
        code = inspect.unwrap(function).__code__
    except (AttributeError, ValueError):
        return None
    return (shown(code.co_filename), code.co_firstlineno) if os.path.isfile(code.co_filename) else None


def own_name(function: Any) -> str | None:
    """Return the name that a function was defined by, such as ``f`` or ``Layer.forward``, if it has one."""
    qualified = getattr(function, "__qualname__", None)
    if not isinstance(qualified, str) or not is_free(function):
        return None
    name = qualified.rpartition("<locals>.")[2]
    given = getattr(function, "__name__", name)
    if name.rpartition(".")[2] != given and given != "<lambda>":
        name = str(given)  # a decorator's function, called like the one that it decorates
    return name if all(part.isidentifier() for part in name.split(".")) else None


def is_free(function: Any) -> bool:
    """Whether a function belongs to no object, so that its name is all there is to it."""
    owner = getattr(function, "__self__", None)
    return owner is None or isinstance(owner, type | ModuleType)


def shown(path: str | Path) -> str:
    """Return a path as one would type it in the current folder."""
    path = Path(path).resolve()
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _places(value: Any, homes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the modules that have an object, with what it is called there, the likeliest first."""
    own, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(own, str) and isinstance(name, str) and is_free(value):
        # Where it is public, such as scipy.optimize for what scipy.optimize._optimize defines.
        public = own.partition("._")[0]
        yield from ((module, name) for module in (public, own) if _is_at(value, module, name))
    likely = [home for home in (*homes, own, type(value).__module__, MAIN) if isinstance(home, str)]
    # An object may be anywhere, a function is where it was defined.
    others = [] if inspect.isroutine(value) else [*of_gradlab(), *of_projects()]
    for module in dict.fromkeys([*likely, *others]):
        attributes = dict(getattr(sys.modules.get(module), "__dict__", {}))
        yield from ((module, name) for name, held in attributes.items() if held is value)
        yield from ((module, path) for path in _in_containers(value, attributes))


def _is_at(value: Any, module: str, path: str) -> bool:
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    # Each access to a class method gives a new object around the same function.
    return found is not None and getattr(found, "__func__", found) is getattr(value, "__func__", value)


def _in_containers(value: Any, attributes: dict[str, Any]) -> Iterator[str]:
    for name, held in attributes.items():
        if name.isidentifier():
            yield from _within(value, held, name, DEPTH)


def _within(value: Any, held: Any, path: str, depth: int) -> Iterator[str]:
    """Yield what an object is called in a container, or in one that this holds."""
    if not depth or type(held) not in CONTAINERS or len(held) > SEARCHED:
        return
    for key, item in held.items() if type(held) is dict else enumerate(held):
        if isinstance(key, int | str) and (item is value or type(item) in CONTAINERS):
            at = f"{path}[{key!r}]"
            yield from [at] if item is value else _within(value, item, at, depth - 1)


def _reached(name: str, path: str) -> Origin | None:
    """Return how another process gets at what a module has, if it does."""
    module = sys.modules.get(name)
    if not path.partition("[")[0].replace(".", "_").isidentifier():
        return None  # such as <lambda>
    if name == MAIN:
        return Origin(name, path) if getattr(module, "__file__", None) is None else None
    if is_own(name) or is_installed(name):
        return Origin(name, path)
    file = getattr(module, "__file__", None)
    if file is None or not os.path.isfile(file):
        return None
    folder = _folder_of(name, Path(file))
    if folder is None:
        return Origin(name, path, shown(Path(file).parent), shown(file))
    return Origin(name, path, None if str(folder) in (os.getcwd(), *_python_path()) else shown(folder))


def _folder_of(name: str, file: Path) -> Path | None:
    """Return the folder on ``sys.path`` from which a file is imported by a name; ``None`` if from none."""
    parts = [*name.split("."), *(["__init__"] if file.stem == "__init__" else [])]
    whole = file.resolve()
    stem = whole.name.partition(".")[0]
    return whole.parents[len(parts) - 1] if [*whole.parts[-len(parts) : -1], stem] == parts else None


def _python_path() -> list[str]:
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [os.path.abspath(folder) for folder in folders if folder]
