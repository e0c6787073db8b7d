"""Rules that are sent to other processes and machines as they are, by cloudpickle.

What is installed, there as here, is sent by its name; what is not, such as the functions of a notebook, of
``__main__`` and of the project that is being worked on, as a whole: so that what is checked there is what is
here, and no older copy of it. With each function goes where it is to be had, for the report to say.
"""

from __future__ import annotations

import inspect
import pickle
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from gradlab.errors import UsageError
from gradlab.runs.outcomes import ErrorKind, Listed, Result, RuleError

if TYPE_CHECKING:
    from gradlab._snippet.names import Origin
    from gradlab.rule import Rule

DEPTH = 5  # functions that use functions, in what is said of one that cannot be pickled
_registering = threading.Lock()  # what cloudpickle takes as a whole is a setting of the process


@dataclass(frozen=True)
class Given:
    """A rule of this process, as the target of a `Listed`: what shows as it, and where it is to be had."""

    rule: Rule
    shown: str
    origin: Origin | None

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True)
class Pickled:
    """A rule for another process, as the target of a `Listed`; where it could not be pickled, why."""

    data: bytes
    shown: str
    problem: str = ""

    def __str__(self) -> str:
        return self.shown


def given(rule: Rule, position: int) -> Listed:
    """Return a rule of this process as one that can be checked in others."""
    from gradlab._snippet.calls import homes_of
    from gradlab._snippet.names import origin_of
    from gradlab.runs.source import source_of

    origin = origin_of(rule, *homes_of(rule))
    shown = f"rules[{position}]" if origin is None else f"{origin.file or origin.module}:{origin.path}"
    file, line = source_of(rule.backward or rule.jvp or rule.forward) or (None, None)
    return Listed(rule.name, Given(rule, shown, origin), position, rule.known_failure, file, line)


def sendable(listed: Listed) -> Listed | Result:
    """Return a rule in a form that another process understands, or why there is none."""
    target = listed.target
    if isinstance(target, Given):
        target = pickled(target.rule, target.shown, target.origin)
    if isinstance(target, Pickled) and target.problem:
        return Result(error=RuleError(ErrorKind.USAGE, target.problem))
    return replace(listed, target=target)


def pickled(rule: Rule, shown: str, origin: Origin | None) -> Pickled:
    """Pickle a rule, and with it where it and its functions are to be had.

    Raises
    ------
    UsageError
        When cloudpickle is not installed.
    """
    from gradlab._snippet.names import origin_of

    parts = (part for part in (rule.forward, rule.backward, rule.jvp, rule.reference) if part is not None)
    origins = [(rule, origin), *((part, origin_of(part)) for part in parts)]
    told = rule, [(part, place) for part, place in origins if place is not None]
    try:
        return Pickled(_dumped(told), shown)
    except ImportError as error:
        if error.name != "cloudpickle":
            raise
        raise UsageError(
            "rules are sent to other processes by cloudpickle, which is not installed: "
            "pip install 'gradlab-verify[run]'"
        ) from None
    except Exception:
        return Pickled(b"", shown, f"it cannot be sent to another process: {_culprit(rule)}")


def unpickled(listed: Listed) -> Rule:
    """Return a rule that another process has sent.

    Raises
    ------
    UsageError
        When something that it needs is not here.
    """
    from gradlab._snippet.names import remember

    try:
        rule, origins = pickle.loads(listed.target.data)
    except Exception as error:
        raise UsageError(_unknown_here(error)) from error
    for part, origin in origins:
        remember(part, origin)
    found: Rule = rule
    return found


def _unknown_here(error: Exception) -> str:
    machine = socket.gethostname()
    if isinstance(error, ModuleNotFoundError):
        return f"there is no module {error.name!r} on the machine {machine!r}, and the rule needs it"
    return f"it cannot be loaded on the machine {machine!r}: {type(error).__name__}: {error}"


def _dumped(value: Any) -> bytes:
    """Pickle a value, modules that are not installed as a whole; where that cannot be, by their names."""
    with suppress(Exception), _as_a_whole():
        return _dumped_as_set(value)
    return _dumped_as_set(value)


def _dumped_as_set(value: Any) -> bytes:
    import io

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

    from gradlab._snippet.names import of_projects

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
    from gradlab._snippet.names import is_installed

    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if not isinstance(module, str) or not (module.partition(".")[0] == "gradlab" or is_installed(module)):
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


def _culprit(rule: Rule) -> str:
    """Say which part of a rule cannot be pickled, and why."""
    for field in fields(rule):
        if (why := _why_not(getattr(rule, field.name))) is not None:
            return f"its {field.name} {_path_to(getattr(rule, field.name))}cannot be pickled: {why}"
    return f"its parts can be pickled, but not together: {_why_not(rule)}"


def _why_not(value: Any) -> str | None:
    try:
        _dumped(value)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _path_to(value: Any, depth: int = DEPTH) -> str:
    """Say what it is that a function uses and that cannot be pickled; nothing where that is not known."""
    if not depth or not inspect.isfunction(value):
        return ""
    try:
        used = inspect.getclosurevars(value)
    except Exception:
        return ""
    for name, held in {**used.nonlocals, **used.globals}.items():
        if held is not value and _why_not(held) is not None:
            return f"uses {name!r}, which {_path_to(held, depth - 1)}"
    return ""
