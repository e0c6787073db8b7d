"""Rules that are sent to other processes and machines as they are.

With each function goes where it is to be had, for the report to say.
"""

from __future__ import annotations

import inspect
import pickle
import socket
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from gradlab._pickling import dumped
from gradlab.errors import UsageError
from gradlab.runs.outcomes import ErrorKind, Listed, Result, RuleError

if TYPE_CHECKING:
    from gradlab._snippet.names import Origin
    from gradlab.rule import Rule

DEPTH = 5  # functions that use functions, in what is said of one that cannot be pickled


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
        return Pickled(dumped(told), shown)
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


def _culprit(rule: Rule) -> str:
    """Say which part of a rule cannot be pickled, and why."""
    for field in fields(rule):
        if (why := _why_not(getattr(rule, field.name))) is not None:
            return f"its {field.name} {_path_to(getattr(rule, field.name))}cannot be pickled: {why}"
    return f"its parts can be pickled, but not together: {_why_not(rule)}"


def _why_not(value: Any) -> str | None:
    try:
        dumped(value)
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
