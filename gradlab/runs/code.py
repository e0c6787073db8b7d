"""What the code of rules is, so that what was found of other code is not taken for theirs."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from sys import modules
from typing import Any

from gradlab._modules import is_installed, is_own
from gradlab._snippet.calls import homes_of
from gradlab._snippet.names import origin_of
from gradlab.point.fingerprints import SIZE, fingerprint
from gradlab.rule import Rule


def code_of(rules: Iterable[Rule]) -> str:
    """Return a digest of all that is written of some rules.

    That are the files of the modules that define them, and of those that these import, as far as they are
    not installed; and the functions and inputs by themselves, for those that were typed into a session.

    >>> from gradlab.rules import linear, tanh
    >>> code_of([linear.RULE]) == code_of([linear.RULE]), code_of([linear.RULE]) == code_of([tanh.RULE])
    (True, False)
    """
    told = blake2b(digest_size=SIZE)
    homes: set[str] = set()
    for rule in rules:
        for part in _parts(rule):
            told.update(fingerprint(part).encode())
            homes.add(str(getattr(part, "__module__", None)))
        origin = origin_of(rule, *homes_of(rule))
        homes |= {*homes_of(rule), "" if origin is None else origin.module}
    for name, file in sorted(_files(homes)):
        told.update(name.encode() + b"\0" + blake2b(file.read_bytes()).digest())
    return told.hexdigest()


def _parts(rule: Rule) -> Iterator[Any]:
    """Yield what a rule is made of, and the rule that it refers to."""
    yield from (rule.name, rule.cached, rule.convention)
    yield from (rule.forward, rule.backward, rule.jvp, rule.jacobian, rule.inputs)
    if isinstance(rule.reference, Rule):
        yield from _parts(rule.reference)
    else:
        yield from rule.reference or ()


def _files(names: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield the files of modules, and of those that they refer to, that are not installed."""
    waiting = deque(names)
    seen = set(waiting)
    while waiting:
        name = waiting.popleft()
        module = modules.get(name)
        if module is None or is_own(name) or is_installed(name):
            continue
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).is_file():
            yield name, Path(file)
        for value in list(vars(module).values()):
            other = value.__name__ if isinstance(value, types.ModuleType) else _home(value)
            if isinstance(other, str) and other not in seen:
                seen.add(other)
                waiting.append(other)


def _home(value: Any) -> Any:
    try:
        return getattr(value, "__module__", None)
    except Exception:  # a module may hold anything
        return None
