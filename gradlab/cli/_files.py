"""Files that are written whole or not at all."""

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


def write_whole(path: Path, text: str) -> None:
    """Write a file such that whoever reads it, and whatever fails, it holds the old text or the new one."""
    path = path.resolve()  # a link stays, and what it points to is written
    if path.exists() and not path.is_file():  # a pipe or a device cannot be replaced
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # a rename may reach the disk before what was written
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
