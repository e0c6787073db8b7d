"""From what is typed on a command line to rules."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
import traceback
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from gradlab import networks, rules
from gradlab._modules import FOLDER, is_installed
from gradlab.errors import UsageError
from gradlab.point.values import describe, text_of
from gradlab.rule import Rule
from gradlab.runs.beside import refuse_others_modules

PRIVATE = "_gradlab_target_"  # how a file is called whose own name another module has
CONTAINERS = (list, tuple, dict, set, frozenset)
FORMS = "a built-in rule, package.module or path/to/file.py, the last two also with :name"

_let_in: set[str] = set()  # folders of files, from which nothing could be imported before


def builtin_rules() -> dict[str, Rule]:
    """Return the built-in rules and networks by name.

    >>> "linear" in builtin_rules()
    True
    """
    return {rule.name: rule for rule in (*rules.RULES, *networks.RULES)}


@contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """Make folders importable, as ``python -m`` does with the current one."""
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    try:
        yield
    finally:
        sys.path[:] = before


def find_rule(target: str) -> Rule:
    """Return the one rule that a target names.

    Raises
    ------
    UsageError
        When there is none, or more than one.
    """
    found = find_rules(target)
    if len(found) > 1:
        names = ", ".join(rule.name for rule in found)
        raise UsageError(
            f"{target} names {len(found)} rules ({names}); expected one, as in {target}:{found[0].name}"
        )
    return found[0]


def find_rules(target: str) -> list[Rule]:
    """Return the rules that a target names, in order of definition, at least one.

    Parameters
    ----------
    target : str
        A built-in rule; ``package.module`` or ``path/to/file.py``, for the module attributes that are
        rules, or lists, tuples, sets and dictionaries that hold some (imported built-in rules are not counted
        as a module's own); or one of those two with ``:name``, for one attribute.

    Raises
    ------
    UsageError
        When there is no such module, file or rule, or it cannot be imported.
    """
    place, name = _split(target)
    if name is None and place in builtin_rules():
        return [_builtin(place)]
    module = _load(Path(place)) if place.endswith(".py") else _import(place)
    if name is not None:
        return _named(module, place, name)
    own = _own_rules(module)
    if not own and getattr(module, "__file__", None) is None and Path(place).is_dir():
        raise UsageError(_unknown(place))
    if not own:
        raise UsageError(
            f"{place} has no rules of its own; expected a gradlab.Rule, or a list of them, in the module"
        )
    return own


def _split(target: str) -> tuple[str, str | None]:
    if target.endswith(".py"):
        return target, None  # also C:\path\to\file.py
    place, colon, name = target.rpartition(":")
    return (place, name) if colon else (target, None)


def _builtin(name: str) -> Rule:
    path = _origin(name)
    if path is not None:  # a gate that checks the wrong one of two would be green for no reason
        here = Path.cwd()
        path = path.relative_to(here) if path.is_relative_to(here) else path
        raise UsageError(
            f"{name!r} is a built-in rule, and there is also {path}; write {path} for the file, "
            "gradlab.rules:RULES or gradlab.networks:RULES for the built-in rules"
        )
    return builtin_rules()[name]


def _import(place: str) -> ModuleType:
    if not all(part.isidentifier() for part in place.split(".")):
        raise UsageError(_unknown(place))
    sys.path.sort(key=_let_in.__contains__)  # a module is not to be that beside a file
    try:
        module = _imported(place, place)
    except UsageError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and f"{place}.".startswith(f"{cause.name}."):
            raise UsageError(_unknown(place)) from cause
        raise
    if module.__spec__ is not None and module.__spec__.has_location and not is_installed(place):
        path = Path(str(module.__spec__.origin)).resolve()
        above = place.count(".") + (path.name == "__init__.py")
        refuse_others_modules(place, path, path.parents[above], place)
    return module


def _imported(name: str, typed: str | Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise _broken(typed, error) from error


def _unknown(place: str) -> str:
    path = Path(place)
    if place and path.is_dir():
        return f"{place} is a folder; expected a file in it, such as {path / 'rules.py'}"
    if path.is_file():
        return f"{place} is no file of Python; expected {FORMS}"
    if place.endswith(":"):
        return f"there is no rule or module {place!r}; expected {place.rstrip(':')}:name, with one colon"
    if not all(part.isidentifier() for part in place.split(".")):
        return f"there is no rule or module {place!r}; expected {FORMS}"
    if place in builtin_rules():
        return f"{place!r} is a built-in rule, and no module; expected {place} alone"
    if "." in place:
        return f"there is no module {place!r}; a rule in a module is named as package.module:name"
    known = builtin_rules()
    close = difflib.get_close_matches(place, known, n=1)
    return (
        f"there is no rule or module {place!r}{f'; did you mean {close[0]!r}?' if close else '.'} "
        f"The built-in rules are {', '.join(known)}; your own are named as package.module or "
        "path/to/file.py, or one of them as path/to/file.py:name"
    )


def _broken(place: str | Path, error: BaseException) -> UsageError:
    """Say in one sentence what an import raised, and where."""
    message = " ".join(text_of(error).split())
    frames = list(traceback.extract_tb(error.__traceback__))
    if isinstance(error, UsageError):  # the line that asked gradlab wrongly, not the one that refused
        frames = [frame for frame in frames if _is_of_user(frame.filename)] or frames
    where = ""
    if frames and not isinstance(error, SyntaxError):  # whose message says where
        where = f" ({frames[-1].filename}, line {frames[-1].lineno})"
    return UsageError(f"{place} cannot be imported: {type(error).__name__}: {message}{where}")


def _is_of_user(file: str) -> bool:
    """Whether a line is neither one of gradlab nor one that a dataclass made, which is in no file."""
    return not (file.startswith("<") or Path(file).is_relative_to(FOLDER))


def _load(path: Path) -> ModuleType:
    """Import a file: under the name that an import would use, where there is one; else by itself."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    typed, path = path, path.resolve()
    if (path.parent / "__init__.py").is_file():
        return _load_from_package(path, typed)
    _let_import(path.parent)
    is_free = _origin(path.stem) == path
    code = f"{zlib.crc32(str(path).encode('utf-8', 'surrogateescape')):x}"
    name = path.stem if is_free else f"{PRIVATE}{path.stem}_{code}"
    refuse_others_modules(name, path, path.parent, typed)
    if is_free:
        return _imported(name, typed)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look modules up by name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _broken(typed, error) from error
    return module


def _origin(name: str) -> Path | None:
    """Return the file that would be imported under a name, if that is free for it."""
    if not name.isidentifier() or name in sys.stdlib_module_names:
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a module without a spec, such as __main__
        return None
    return Path(spec.origin).resolve() if spec is not None and spec.origin is not None else None


def _load_from_package(path: Path, typed: Path) -> ModuleType:
    parts = [] if path.stem == "__init__" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    _let_import(folder)
    name = ".".join(parts)
    refuse_others_modules(name, path, folder, typed)
    module = _imported(name, typed)
    origin = getattr(module, "__file__", None)
    if origin is None or Path(origin).resolve() != path:
        raise UsageError(f"{path} is the module {name}, but {name} is imported from {origin}")
    return module


def _let_import(folder: Path) -> None:
    """Put a folder first among those that modules are imported from, now and by its functions later on."""
    if str(folder) not in sys.path:
        _let_in.add(str(folder))
    sys.path[:] = [str(folder), *(place for place in sys.path if place != str(folder))]


def _own_rules(module: ModuleType) -> list[Rule]:
    found = {id(rule): rule for value in vars(module).values() for rule in _rules_in(value)}
    if module.__name__.partition(".")[0] != "gradlab":
        for rule in builtin_rules().values():
            found.pop(id(rule), None)
    return list(found.values())


def _rules_in(value: object) -> list[Rule]:
    return [leaf for leaf in _leaves([value]) if isinstance(leaf, Rule)]


def _leaves(container: Any, around: tuple[int, ...] = ()) -> Iterator[Any]:
    """Yield what a container holds, at any depth: of dictionaries the values, of sets the rules by name."""
    if isinstance(container, dict):
        members = list(container.values())
    elif isinstance(container, set | frozenset):  # whose order is another one in each process
        members = sorted(container, key=lambda member: member.name if isinstance(member, Rule) else "")
    else:
        members = container
    around = (*around, id(container))
    for member in members:
        if not isinstance(member, CONTAINERS):
            yield member
        elif id(member) not in around:
            yield from _leaves(member, around)


def _named(module: ModuleType, place: str, name: str) -> list[Rule]:
    """Return what an attribute holds; else the rule that reports call so."""
    try:
        value = getattr(module, name)
    except AttributeError:
        called = [rule for rule in _own_rules(module) if rule.name == name]
        if called:
            return called
        attributes = [key for key, value in list(vars(module).items()) if _rules_in(value)]
        raise UsageError(
            f"{place} has no {name!r}; the rules in it are {', '.join(attributes) or 'none'}"
        ) from None
    except Exception as error:  # a module may compute its attributes
        raise UsageError(f"{place}:{name} raised {type(error).__name__}: {text_of(error)}") from error
    found = _rules_in(value)
    others = [leaf for leaf in _leaves([value]) if not isinstance(leaf, Rule | str)]  # strings are labels
    if not found or others:
        beside = f" with {describe(others[0])} in it" if found else ""
        raise UsageError(
            f"{place}:{name} is {describe(value)}{beside}; expected a gradlab.Rule or a list of them"
        )
    return list({id(rule): rule for rule in found}.values())
