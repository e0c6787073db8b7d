"""Places inside an object, named as Python reaches them: ``fc1.W``, ``layers[0].W``, ``weights['out']``."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

from gradlab.point.libraries import is_of_a_library
from gradlab.point.state import Attribute, Slot
from gradlab.point.trees import is_record

NOTHING: Any = object()


class Step(NamedTuple):
    """One step of a path: to an attribute, or to an item of a container."""

    key: Any
    is_item: bool = False


def at(root: Any, path: str, default: Any = NOTHING) -> Any:
    """Return what a path leads to.

    >>> class Net:
    ...     layers = [{"W": 1.0}]
    >>> at(Net(), "layers[0]['W']"), at(Net(), "layers[1]", None)
    (1.0, None)
    """
    value, steps = root, steps_of(path)
    for step in steps or ():
        value = taken(value, step)
    return default if steps is None or value is NOTHING else value


def place_of(root: Any, path: str) -> tuple[Any, Any]:
    """Return what holds the end of a path, and under which key or name."""
    *before, last = steps_of(path) or (Step(path),)
    return functools.reduce(taken, before, root), last.key


def slot_of(root: Any, path: str) -> Slot | None:
    """Return the end of a path as a place for `put`; ``None`` for that of a tuple, which has none."""
    owner, key = place_of(root, path)
    if isinstance(owner, tuple):
        return None
    return (owner if isinstance(owner, dict | list) else Attribute(owner)), key


def taken(owner: Any, step: Step) -> Any:
    """Return what one step leads to, `NOTHING` where it leads nowhere."""
    if not step.is_item:
        return getattr(owner, step.key, NOTHING)
    try:
        return owner[step.key]
    except (LookupError, TypeError):
        return NOTHING


def further(path: str, step: Step) -> str:
    """Return a path that goes one step further."""
    return f"{path}[{step.key!r}]" if step.is_item else f"{path}.{step.key}".removeprefix(".")


def parts_of(value: Any) -> dict[Step, Any]:
    """Return what an object or a container holds, each under the step to it; nothing for those of libraries.

    Of an object, these are its attributes and those data of its class that it has none of its own for.
    """
    if isinstance(value, dict):
        return {Step(key, is_item=True): item for key, item in value.items()}
    if isinstance(value, tuple) and is_record(value):
        return {Step(name): getattr(value, name) for name in type(value)._fields}  # type: ignore[attr-defined]
    if isinstance(value, list | tuple):
        return {Step(k, is_item=True): item for k, item in enumerate(value)}
    if isinstance(value, type) or is_of_a_library(value):
        return {}
    named = {**attributes_of_class(type(value)), **attributes_of(value)}
    return {Step(name): held for name, held in named.items()}


def attributes_of(value: Any) -> dict[str, Any]:
    """Return the attributes that an object has by itself, also those in slots."""
    slots = [name for kind in type(value).__mro__ for name in _slot_names(kind) if hasattr(value, name)]
    return {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in slots}}


def attributes_of_class(kind: type) -> dict[str, Any]:
    """Return what a class holds for its instances: its data, not its methods and other descriptors."""
    return {
        name: held
        for base in reversed(kind.__mro__)
        for name, held in vars(base).items()
        if not name.startswith("__") and not hasattr(type(held), "__get__")
    }


def held_by_classes(root: Any, path: str) -> Iterator[Any]:
    """Yield what a path leads through that a class holds, and no instance."""
    owner = root
    for step in steps_of(path) or ():
        value = taken(owner, step)
        if not step.is_item and attributes_of_class(type(owner)).get(step.key, NOTHING) is value:
            yield value
        owner = value


@functools.lru_cache(maxsize=1024)
def steps_of(path: str) -> tuple[Step, ...] | None:
    """Return the steps of a path, ``None`` where it is not one.

    >>> steps_of("layers[0].W"), steps_of("W + 1")
    ((Step(key='layers', is_item=False), Step(key=0, is_item=True), Step(key='W', is_item=False)), None)
    """
    if not path:
        return ()
    steps = []
    try:
        node = ast.parse(f"_.{path}", mode="eval").body
        while isinstance(node, ast.Attribute | ast.Subscript):
            if isinstance(node, ast.Subscript):
                steps.append(Step(ast.literal_eval(node.slice), is_item=True))
            else:
                steps.append(Step(node.attr))
            node = node.value
    except (SyntaxError, ValueError):
        return None
    return tuple(steps[::-1]) if isinstance(node, ast.Name) else None


def _slot_names(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    return [slots] if isinstance(slots, str) else [s for s in slots if s not in ("__dict__", "__weakref__")]
