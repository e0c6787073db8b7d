"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a file such that whoever reads it, and whatever fails, it holds the old text or the new one.

    A file that is there keeps its mode, and a link stays one. What cannot be replaced, such as a pipe, a
    device or a file in a folder that takes no other, is written to as it stands.

    Raises
    ------
    OSError
        When it cannot be written; one that is not to be written to is not replaced either.
    """
    path = Path(path)
    exists = path.exists()
    if exists and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if exists and not (path.is_file() and os.access(path.resolve().parent, os.W_OK)):
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        return
    path = path.resolve()  # what a link points to is written
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # a rename may reach the disk before what was written
        if exists:
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
