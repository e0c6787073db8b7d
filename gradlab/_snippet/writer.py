"""What a snippet is written with: it knows which names are taken, and what has to be imported for them."""

from __future__ import annotations

import functools
import inspect
import keyword
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradlab._snippet.literals import known_name, literal
from gradlab._snippet.names import MAIN, Origin, origin_of, own_name, source_line
from gradlab.point.values import describe
from gradlab.rule import Rule

INLINE = 40  # characters of an option that stands in the call itself rather than on a line of its own
ROOM = 6000  # characters of all inputs together: some 300 numbers
RESERVED = ("np", "gradlab", "sys", "runpy", "functools", *keyword.kwlist)


@dataclass(frozen=True)
class Snippet:
    """Two parts of a text; pasted in this order, after the imports of ``gradlab`` and ``np``, they run.

    Attributes
    ----------
    example : str
        The inputs, a line each; where options need a line of their own, these too.
    call : str
        The call, after the imports of the functions that it names.
    complete : bool
        Whether every input is written out.
    """

    example: str
    call: str
    complete: bool = True


class Writer:
    """Collects the lines of one snippet.

    What is named in the call comes first, by `name`, then the inputs, by `assign` and `option`; `snippet`
    puts all of it together.
    """

    def __init__(self) -> None:
        self._taken: dict[str, Any] = dict.fromkeys(RESERVED, RESERVED)  # what each name stands for
        self._modules: dict[str, None] = {}
        self._folders: dict[str, None] = {}
        self._files: dict[str, str] = {}
        self._imports: dict[str, dict[str, None]] = {}
        self._definitions: list[str] = []
        self._missing: list[str] = []
        self._lines: list[str] = []
        self._room = ROOM
        self._complete = True

    def name(self, role: str, value: Any, *homes: str, alias: bool = False) -> str:
        """Return what to call a function or an object.

        Parameters
        ----------
        role : str
            What to call it where it has no name of its own, and with ``alias`` in any case.
        value : object
            The function or object; ``None`` and ``True`` stand for themselves.
        *homes : str
            Modules in which it may be found.
        """
        known = str(value) if value is None or value is True else known_name(value)
        known = known or next((name for name, held in self._taken.items() if held is value), None)
        if known is not None:
            return known
        owner, method = getattr(value, "__self__", None), getattr(value, "__name__", "")
        if inspect.ismethod(value) and not isinstance(owner, type) and getattr(owner, method, None) == value:
            return f"{self.name(type(owner).__name__.lower(), owner)}.{method}"
        origin = origin_of(value, *homes)
        if origin is not None:
            return self._bring(role, value, origin, alias=alias)
        text = self._text(value) if isinstance(value, functools.partial) else None
        return self._lack(role, value) if text is None else self._define(role, text, value)

    def assign(self, name: str, value: Any) -> str:
        """Give a value a line of its own, and return the variable."""
        text = self._text(value)
        if text is not None and len(text) <= self._room:
            self._room -= len(text)
            variable = self.free(name)
            self._lines.append(f"{variable} = {text}")
            return variable
        origin = origin_of(value) if text is None else None
        if origin is not None:
            return self._bring(name, value, origin, alias=True)
        self._complete = False
        variable = self.free(name)
        self._lines.append(f"# {variable} is {_described(value)}")
        return variable

    def option(self, name: str, value: Any) -> str:
        """Return what stands for an option in the call; a longer one gets a line of its own."""
        text = self._text(value)
        return text if text is not None and len(text) <= INLINE else self.assign(name, value)

    def options(self, values: Mapping[str, Any]) -> list[str]:
        """Return keyword arguments for those options that are not ``None`` or ``False``."""
        return [
            f"{name}={self.option(name, value)}"
            for name, value in values.items()
            if value is not None and value is not False
        ]

    def items(self, values: Mapping[str, Any], role: str | None = None) -> str:
        """Return a dict whose values are options."""
        pairs = (f"{key!r}: {self.option(role or key, value)}" for key, value in values.items())
        return f"{{{', '.join(pairs)}}}"

    def free(self, name: str, value: Any = None) -> str:
        """Take an identifier for a variable, such as ``input_0`` for ``input[0]``, that is not yet taken."""
        variable = re.sub(r"\W", "_", name.removesuffix("]"))
        while not variable.isidentifier() or variable in self._taken:
            variable = f"{variable}_" if variable.isidentifier() else f"_{variable}"
        self._taken[variable] = value
        return variable

    def snippet(self, call: str) -> Snippet:
        """Return the whole, with the call as its last line."""
        modules = sorted([*self._modules, *(["sys"] if self._folders else [])])
        lines = [f"import {', '.join(modules)}"] if modules else []
        lines += [f"sys.path.insert(0, {folder!r})" for folder in self._folders]
        lines += [f"from {module} import {', '.join(names)}" for module, names in self._imports.items()]
        lines += self._definitions
        if self._missing:
            lines.append(f"# define first: {'; '.join(self._missing)}")
        return Snippet("\n".join(self._lines), "\n".join([*lines, call]), self._complete)

    def _text(self, value: Any) -> str | None:
        """Return a literal, and import what it names."""
        found: dict[str, tuple[Any, Origin]] = {}

        def named(part: Any) -> str | None:
            known = known_name(part)
            if known is not None or not (inspect.isroutine(part) or isinstance(part, type)):
                return known
            origin = origin_of(part)
            if origin is None or not origin.path.isidentifier() or origin.file is not None:
                return None
            if self._taken.get(origin.path, part) is not part:
                return None
            found[origin.path] = part, origin
            return origin.path

        text = literal(value, named)
        if text is not None:
            for name, (part, origin) in found.items():
                self._bring(name, part, origin)
            self._modules.update({"functools": None} if "functools.partial(" in text else {})
        return text

    def _bring(self, role: str, value: Any, origin: Origin, *, alias: bool = False) -> str:
        """Import what has an origin, and return its name."""
        base = re.split(r"\W", origin.path)[0]
        rest = origin.path.removeprefix(base)
        if origin.folder is not None:
            self._folders[origin.folder] = None
        if origin.file is not None:
            return self._define(role, f"{self._run(origin.file)}[{base!r}]{rest}", value)
        holder = getattr(sys.modules.get(origin.module), base, value)  # which may be in another process
        variable = self.free(role, value) if alias and not rest else self._hold(base, holder)
        if origin.module != MAIN:
            name = base if variable == base else f"{base} as {variable}"
            self._imports.setdefault(origin.module, {})[name] = None
        elif variable != base:
            self._definitions.append(f"{variable} = {base}")
        return self._define(role, f"{variable}{rest}", value) if "[" in rest else f"{variable}{rest}"

    def _run(self, file: str) -> str:
        """Return the variable that holds what a file defines."""
        if file not in self._files:
            self._modules["runpy"] = None
            self._files[file] = self._define(Path(file).stem, f"runpy.run_path({file!r})")
        return self._files[file]

    def _define(self, role: str, text: str, value: Any = None) -> str:
        variable = self.free(role, value)
        self._definitions.append(f"{variable} = {text}")
        return variable

    def _hold(self, name: str, value: Any) -> str:
        """Take a name for a value, another one where it stands for something else."""
        if self._taken.setdefault(name, value) is value:
            return name
        return self.free(name, value)

    def _lack(self, role: str, value: Any) -> str:
        """Return the name of what only whoever pastes can define, and say so."""
        place, name = source_line(value), own_name(value)
        base = name.partition(".")[0] if name else role
        if name is None or self._taken.get(base, value) is not value:
            name = self._hold(role, value)
        else:
            self._taken[base] = value
            if place is None:  # it was typed in where this will be pasted
                return name
        at = f" at {place[0]}:{place[1]}" if place else ""
        self._missing.append(f"{name}, {_described(value)}{at}")
        return name


def _described(value: Any) -> str:
    if isinstance(value, Rule):
        return f"the Rule {value.name!r}"
    called = str(getattr(value, "__qualname__", "")).rpartition("<locals>.")[2]
    return "a lambda" if called == "<lambda>" else describe(value)
