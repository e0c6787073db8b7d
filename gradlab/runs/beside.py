"""What targets import from beside themselves: a process has one module of a name, and folders may have two.

``a/rules.py`` and ``b/rules.py`` may each import the ``helpers`` of its own folder. The second would be given
those of the first, and be checked with another's functions: it is refused instead. What is imported is read
from the text, for an import inside a function happens when another target's folder may come first.
"""

from __future__ import annotations

import ast
import functools
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from gradlab._modules import is_installed, is_own
from gradlab.errors import UsageError

_homes: dict[
    str, tuple[Path, Path]
] = {}  # of targets by their modules' names: the file, what it imports from


def refuse_others_modules(name: str, path: Path, folder: Path, typed: object) -> None:
    """Refuse a target that would be given a module of another target's in the place of its own.

    Parameters
    ----------
    name : str
        Of the target's module.
    path : Path
        Its file.
    folder : Path
        From which it imports.
    typed : object
        What the user calls it.

    Raises
    ------
    UsageError
        When a target of another folder imports another file under a name that this one imports.
    """
    others = {
        other: home
        for other, home in _homes.items()
        if other != name and other in sys.modules and home[1] != folder
    }
    mine = imported_from(path, folder) if others else {}
    for other, own_folder in others.values():
        theirs = imported_from(other, own_folder)
        for module in sorted(mine.keys() & theirs.keys()):
            if mine[module] != theirs[module]:
                raise UsageError(
                    f"{typed} imports {module}, which is {mine[module]}, but under that name {other} has "
                    f"{theirs[module]}, and a process has one module of a name; expected the two files in "
                    "separate runs, or modules of different names"
                )
    _homes[name] = path, folder


@functools.cache
def imported_from(path: Path, folder: Path) -> dict[str, Path]:
    """Return the modules of a folder that a file imports, also by way of others, by their full names."""
    found: dict[str, Path] = {}
    waiting = [path]
    while waiting:
        for name in _imports(waiting.pop(), folder):
            file = None if name in found else _file(name, folder)
            if file is not None and not is_own(name) and not is_installed(name):
                found[name] = file.resolve()
                waiting.append(file)
    return found


def _imports(path: Path, folder: Path) -> Iterator[str]:
    """Yield what the imports of a file may mean, and the packages that these are in."""
    try:
        with tokenize.open(path) as text:
            tree = ast.parse(text.read())
    except (OSError, SyntaxError, ValueError):  # of which the import will tell
        return
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(path.relative_to(folder).parts[: -node.level]) if node.level else []
            base += [node.module] if node.module else []
            names = [".".join([*base, alias.name]) for alias in node.names]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _file(name: str, folder: Path) -> Path | None:
    place = folder.joinpath(*name.split("."))
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)
