"""Which modules every process of this Python has, and which belong to the project that is worked on."""

from __future__ import annotations

import functools
import itertools
import os
import site
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent  # of gradlab
DECISIVE = ("numpy", "scipy", "hypothesis")  # the distributions on which numbers and points depend
NEEDED = ("gradlab", "numpy", "hypothesis", *sorted(sys.stdlib_module_names))


def is_installed(name: str) -> bool:
    """Whether every process of this Python finds a module: it is built in, of the library or installed."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return file.startswith(_installed())
    return getattr(getattr(module, "__spec__", None), "origin", None) in ("built-in", "frozen")


def hiding(path: Sequence[str]) -> list[Path]:
    """Return the files on an import path that come before modules that gradlab needs, under their names.

    >>> hiding([sysconfig.get_path("stdlib")])
    []
    """
    library = os.path.realpath(sysconfig.get_path("stdlib"))
    before = itertools.takewhile(lambda folder: os.path.realpath(folder) != library, path)
    files = (Path(folder, f"{name}.py") for folder in before for name in NEEDED)
    return [file for file in files if file.is_file()]


def of_gradlab() -> list[str]:
    """Return the modules of gradlab that are loaded here."""
    return _by_kind(tuple(sys.modules))[0]


def of_projects() -> list[str]:
    """Return the modules that are loaded here and that no other process need have."""
    return _by_kind(tuple(sys.modules))[1]


@functools.lru_cache(maxsize=1)
def _by_kind(names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return those of some modules that are gradlab's own, and those that are not installed."""
    own = [name for name in names if is_own(name)]
    return own, [name for name in names if not is_own(name) and not is_installed(name)]


def is_own(name: str) -> bool:
    """Whether a module is one of gradlab."""
    return name.partition(".")[0] == "gradlab"


@functools.cache
def _installed() -> tuple[str, ...]:
    """Return the folders of the library and of installed packages."""
    found = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    found.append(site.getusersitepackages())
    return tuple(f"{folder}{os.sep}" for path in found for folder in (path, os.path.realpath(path)))
