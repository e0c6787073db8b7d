"""From what is typed on a command line to rules."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from pathlib import Path

from gradlab import networks, rules
from gradlab.errors import UsageError
from gradlab.rule import Rule
from gradlab.values import describe


def builtin_rules() -> dict[str, Rule]:
    """Return the built-in rules and networks by name.

    >>> "linear" in builtin_rules()
    True
    """
    return {rule.name: rule for rule in (*rules.RULES, *networks.RULES)}


def find_rule(target: str) -> Rule:
    """Return the rule that a target names: a built-in one, or ``path/to/file.py:name``.

    Raises
    ------
    UsageError
        When there is no such rule, or the file cannot be imported.
    """
    path, colon, name = target.rpartition(":")
    if colon and path.endswith(".py"):
        return _from_file(Path(path), name)
    known = builtin_rules()
    if target in known:
        return known[target]
    close = difflib.get_close_matches(target, known, n=1)
    raise UsageError(
        f"there is no rule {target!r}{f'; did you mean {close[0]!r}?' if close else '.'} "
        f"The built-in rules are {', '.join(known)}; your own are named as path/to/file.py:name"
    )


def _from_file(path: Path, name: str) -> Rule:
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    module_name = f"_gradlab_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and pickle look modules up by name
    try:
        spec.loader.exec_module(module)
        known = hasattr(module, name)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    if not known:
        found = [key for key, value in vars(module).items() if isinstance(value, Rule)]
        raise UsageError(f"{path} has no {name!r}; the rules in it are {', '.join(found) or 'none'}")
    rule = getattr(module, name)
    if not isinstance(rule, Rule):
        raise UsageError(f"{path}:{name} is {describe(rule)}; expected a gradlab.Rule")
    return rule
