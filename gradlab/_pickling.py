"""Functions as bytes for other processes and machines, by cloudpickle.

What is installed, there as here, is sent by its name; what is not, such as the functions of a notebook, of
``__main__`` and of the project that is being worked on, as a whole: so that what is evaluated there is what
is here, and no older copy of it.
"""

from __future__ import annotations

import inspect
import io
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from gradlab._modules import is_installed, is_own, of_projects

_registering = threading.Lock()  # what cloudpickle takes as a whole is a setting of the process


def dumped(value: Any) -> bytes:
    """Pickle a value, modules that are not installed as a whole; where that cannot be, by their names.

    Raises
    ------
    ImportError
        When cloudpickle is not installed.
    """
    with suppress(Exception), _as_a_whole():
        return _dumped_as_set(value)
    return _dumped_as_set(value)


def _dumped_as_set(value: Any) -> bytes:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        """Sends a function with its file's name, and by name what decorators hide, as those of Hypothesis."""

        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, types.CodeType):
                return _placed, (value.co_filename, *self.dispatch_table[types.CodeType](value))
            name = _hidden(value)
            return super().reducer_override(value) if name is None else (_unwrapped, name)

    stream = io.BytesIO()
    Pickler(stream).dump(value)
    return stream.getvalue()


@contextmanager
def _as_a_whole() -> Iterator[None]:
    """Have cloudpickle take as a whole what another machine need not have."""
    import cloudpickle

    registered = set(cloudpickle.list_registry_pickle_by_value())
    with _registering, ExitStack() as stack:
        for name in of_projects():
            module = sys.modules.get(name)
            if name == "__main__" or name in registered or getattr(module, "__file__", None) is None:
                continue
            if sys.modules.get(getattr(module, "__name__", "")) is module:
                cloudpickle.register_pickle_by_value(module)
                stack.callback(cloudpickle.unregister_pickle_by_value, module)
        yield


def _placed(file: str, make: Callable[..., types.CodeType], arguments: tuple[Any, ...]) -> types.CodeType:
    return make(*arguments).replace(co_filename=file)


def _hidden(value: Any) -> tuple[str, str, int] | None:
    """Return where a function is that a decorator has hidden behind its own: module, name, how deep."""
    if not inspect.isfunction(value):
        return None
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if not isinstance(module, str) or not (is_own(module) or is_installed(module)):
        return None
    layers = list(_layers(getattr(sys.modules.get(module), name, None)))
    return next(((module, name, depth) for depth, one in enumerate(layers) if depth and one is value), None)


def _layers(function: Any) -> Iterator[Any]:
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def _unwrapped(module: str, name: str, depth: int) -> Any:
    __import__(module)
    return list(_layers(getattr(sys.modules[module], name)))[depth]
