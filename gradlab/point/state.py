"""The state of objects that functions under test change as they run: saved, and put back.

A layer keeps its cache, running means, counters and random generators in itself; a function may close over a
model. What they hold is found by walking through attributes, containers and closures. Arrays are put back in
place, so that everything that refers to them, a view or another object, sees it.
"""

from __future__ import annotations

import copy
import functools
import random
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError
from gradlab.point.libraries import is_of_a_library

ATOMS = (str, bytes, int, float, complex, type(None), type, types.ModuleType, types.BuiltinFunctionType)

Slot = tuple[Any, Any]
_MISSING: Any = object()


class State:
    """What some objects hold at this moment, with all that they refer to.

    Parameters
    ----------
    *roots : object
        Objects or functions; of a function, what it closes over, and the global variables that it names.

    Examples
    --------
    >>> layer = types.SimpleNamespace(mean=np.zeros(2), calls=0)
    >>> state = State(layer.__dict__)
    >>> layer.mean += 1
    >>> layer.calls, layer.cache = 1, "new"
    >>> state.restore()
    >>> layer
    namespace(mean=array([0., 0.]), calls=0)
    """

    def __init__(self, *roots: object) -> None:
        self._arrays: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []
        self._dicts: list[tuple[Any, dict[Any, Any]]] = []
        self._sequences: list[tuple[Any, list[Any]]] = []
        self._slots: list[tuple[Any, str, Any]] = []
        self._cells: list[tuple[types.CellType, Any]] = []
        self._generators: list[tuple[Callable[[Any], Any], Any]] = []
        self._immutable: list[Any] = []  # what is referred to from where nothing else can be put
        queue = [item for root in roots for item in (root, *_global_variables(root))]
        seen: dict[int, Any] = {}  # which keeps them alive, so that no identity is given again
        while queue:
            value = queue.pop()
            if id(value) not in seen and not isinstance(value, ATOMS):
                seen[id(value)] = value
                queue += self._save(value, is_root=any(value is root for root in roots))

    def restore(self) -> None:
        """Put everything back."""
        for mapping, items in self._dicts:
            if list(mapping) != list(items) or any(mapping[key] is not items[key] for key in items):
                mapping.clear()
                mapping.update(items)
        for sequence, kept in self._sequences:
            if isinstance(sequence, list):
                sequence[:] = kept
            elif isinstance(sequence, np.ndarray):
                sequence[...] = np.array(kept, dtype=object).reshape(sequence.shape)
            else:  # a set or a deque
                sequence.clear()
                sequence.update(kept) if isinstance(sequence, set) else sequence.extend(kept)
        for owner, name, value in self._slots:
            if value is not _MISSING:
                object.__setattr__(owner, name, value)
            elif hasattr(owner, name):
                object.__delattr__(owner, name)
        for cell, value in self._cells:
            cell.cell_contents = value
        for array, was in self._arrays:
            if array.flags.writeable:
                array[...] = was
        self.restore_generators()

    def restore_generators(self) -> None:
        """Put random generators back, and nothing else."""
        for put, state in self._generators:
            put(copy.deepcopy(state))

    def reaches(self, array: npt.NDArray[Any]) -> bool:
        """Whether the objects refer to an array, or to one that shares its memory."""
        return any(other is array or np.may_share_memory(other, array) for other, _ in self._arrays)

    def references(self, array: npt.NDArray[Any]) -> list[Slot]:
        """Return all places that hold this array, as pairs for `put`.

        Raises
        ------
        UsageError
            When there is one at which no other array can be put: a tuple, a closure, or a view.
        """
        fixed = any(item is array for item in self._immutable)
        others = (other for other, _ in self._arrays if other is not array)
        if fixed or any(np.may_share_memory(other, array) for other in others):
            raise UsageError("a parameter is referred to by a tuple, a closure or a view; it has to stay")
        found = [(mapping, key) for mapping, items in self._dicts for key, v in items.items() if v is array]
        for sequence, kept in self._sequences:
            if isinstance(sequence, list):
                found += [(sequence, k) for k, v in enumerate(kept) if v is array]
        return found + [(Attribute(owner), name) for owner, name, v in self._slots if v is array]

    def _save(self, value: Any, *, is_root: bool) -> Iterable[Any]:
        """Save what one object holds; return what to look into next."""
        if isinstance(value, np.ndarray) and value.dtype != object:
            self._arrays.append((value, np.array(value)))
            return ()
        if isinstance(value, list | set | deque | np.ndarray):
            kept = list(value.ravel()) if isinstance(value, np.ndarray) else list(value)
            self._sequences.append((value, kept))
            return kept
        if isinstance(value, dict):
            self._dicts.append((value, dict(value)))
            return value.values()
        if isinstance(value, tuple | frozenset):
            self._immutable += value
            return value
        if isinstance(value, types.FunctionType):
            return self._save_closure(value)
        if isinstance(value, types.MethodType):
            return value.__self__, value.__func__
        if isinstance(value, functools.partial):
            self._immutable += [*value.args, *value.keywords.values()]
            return value.func, *value.args, *value.keywords.values()
        if _save_generator(value, self._generators):
            return ()
        if is_of_a_library(value) and not is_root:  # such as a logger: it is not a layer's own
            return ()
        return self._save_attributes(value)

    def _save_closure(self, function: types.FunctionType) -> Iterable[Any]:
        filled = [cell for cell in function.__closure__ or () if _contents(cell) is not _MISSING]
        self._cells += [(cell, cell.cell_contents) for cell in filled]
        inside = [*(cell.cell_contents for cell in filled), *(function.__defaults__ or ())]
        self._immutable += inside
        return inside

    def _save_attributes(self, value: Any) -> Iterator[Any]:
        for kind in type(value).__mro__:
            slots = vars(kind).get("__slots__", ())
            for name in [slots] if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__"):
                    held = getattr(value, name, _MISSING)
                    self._slots.append((value, name, held))
                    yield held
        if isinstance(getattr(value, "__dict__", None), dict):
            yield value.__dict__


class Attribute:
    """The attributes of an object, seen as a mapping that can be written to.

    >>> layer = types.SimpleNamespace(slope=1.0)
    >>> put((Attribute(layer), "slope"), 2.0)
    >>> layer.slope
    2.0
    """

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def __setitem__(self, name: str, value: Any) -> None:
        object.__setattr__(self.owner, name, value)


def put(slot: Slot, value: Any) -> None:
    """Put a value where a slot says."""
    container, key = slot
    container[key] = value


def _global_variables(function: Any) -> Iterator[Any]:
    """Yield the global variables that a function names, as far as they may hold state."""
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):
        return
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if not isinstance(value, ATOMS):
            yield value


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is still empty
        return _MISSING


def _save_generator(value: Any, generators: list[tuple[Callable[[Any], Any], Any]]) -> bool:
    """Save a random generator's state; return whether the value is one."""
    if isinstance(value, np.random.Generator):
        value = value.bit_generator
    if isinstance(value, np.random.BitGenerator):
        generators.append((functools.partial(setattr, value, "state"), copy.deepcopy(value.state)))
    elif isinstance(value, np.random.RandomState):
        generators.append((value.set_state, value.get_state()))
    elif isinstance(value, random.Random):
        generators.append((value.setstate, value.getstate()))
    else:
        return False
    return True
