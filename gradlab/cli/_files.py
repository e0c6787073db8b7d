"""Files that are to be written: what would be in the way is said before the work is done."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gradlab.errors import UsageError


def check_writable(path: Path, option: str) -> None:
    """Refuse a path that cannot be written, before the work is done whose result it is for."""
    if path.is_dir():
        raise UsageError(f"--{option} {path} is a folder; expected the path of a file")
    if not path.parent.is_dir():
        raise UsageError(f"--{option} {path} is in a folder that does not exist")
    written = path if path.exists() else path.resolve().parent
    if not os.access(written, os.W_OK):
        raise UsageError(f"--{option} {path}: nothing can be written to {written}")


def check_page(path: Path, option: str = "html") -> None:
    """Refuse a page that cannot be written, or without what it is written with, before the work is done."""
    from gradlab.reporters.page import templates

    check_writable(path, option)
    templates()


def check_folder(path: Path, option: str) -> None:
    """Refuse a folder that cannot be made, and pages without what they are written with, before the work."""
    from gradlab.reporters.page import templates

    existing = next((folder for folder in (path, *path.parents) if folder.exists()), path)
    if not existing.is_dir():
        raise UsageError(f"--{option} {path}: {existing} is a file; expected a folder")
    if not os.access(existing, os.W_OK):
        raise UsageError(f"--{option} {path}: nothing can be written to {existing}")
    templates()


def is_standard_output(path: Path | None) -> bool:
    """Whether a path is what standard output goes to, such as ``/dev/stdout`` or ``-``."""
    if path is None:
        return False
    if str(path) == "-":
        return True
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # there is no such file, or standard output is none
        return False
