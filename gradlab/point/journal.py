"""What ``forward`` returned, kept in a file, so that it need not be asked again.

The file is a database of SQLite: what was written to it stays, whatever ends the process. A row holds all
outputs at one point; that they are of the same function at the same inputs is told by what is written about
them. A gradient has no part in it: after `backward` was mended, the rows still serve.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gradlab.errors import UsageError, is_deliberate
from gradlab.point.evaluation import Source
from gradlab.point.moves import Moves, Outputs, chunks

__tracebackhide__ = is_deliberate

FORMAT = "gradlab journal of forward, format 1"
WAIT = 60.0  # seconds for another process that writes to the same file
AT_ONCE = 0.25  # seconds of evaluation that a crash may lose, or one call


class Journal:
    """Evaluations of one function beside one point.

    Parameters
    ----------
    path : path
        The file; made where there is none.
    about : mapping of str to str
        What the rows depend on, each in words for a message: ``{"the inputs": digest}``.

    Raises
    ------
    UsageError
        When the file is no journal, or one about something else.
    """

    def __init__(self, path: str | os.PathLike[str], about: Mapping[str, str]) -> None:
        self._path = os.fspath(path)
        try:
            self._file = sqlite3.connect(self._path, timeout=WAIT, isolation_level=None)
        except sqlite3.Error as error:
            raise UsageError(f"journal {self._path} cannot be opened: {error}") from error
        try:
            self._begin({"format": FORMAT, **about})
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def over(self, source: Source, *, size: int | None) -> Source:
        """Return a source that asks another one only for what is not in the file, so many points at a time.

        With ``None``, for all at once.
        """

        def kept(moves: Moves) -> Iterator[Outputs]:
            keys = moves.keys()
            known = {k: row for k, key in enumerate(keys) if (row := self._row(key)) is not None}
            if known:
                yield Outputs(np.array(list(known)), np.stack(list(known.values())), {})
            left = np.array([k for k in range(len(moves)) if k not in known], dtype=np.intp)
            for chunk in chunks(left.size, size or max(1, left.size)):
                which = left[chunk]
                for found in source(moves.some(which)):
                    self._write([keys[k] for k in which[found.which].tolist()], found)
                    yield Outputs(which[found.which], found.values, found.obstacles)

        return kept

    def _begin(self, about: Mapping[str, str]) -> None:
        with self._translated(), self._transaction():
            self._file.execute("CREATE TABLE IF NOT EXISTS about (what TEXT PRIMARY KEY, told TEXT)")
            self._file.execute("CREATE TABLE IF NOT EXISTS rows (point BLOB PRIMARY KEY, outputs BLOB)")
            known = dict(self._file.execute("SELECT what, told FROM about"))
            if not known:
                self._file.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        other = [what for what in about if known and known.get(what) != about[what]]
        if other:
            raise UsageError(
                f"journal {self._path} is of another check: {', '.join(other)} "
                f"{'is' if len(other) == 1 else 'are'} not the same; expected another file, or none yet"
            )

    def _row(self, key: bytes) -> Any:
        with self._translated():
            found = self._file.execute("SELECT outputs FROM rows WHERE point = ?", (key,)).fetchone()
        return None if found is None else np.frombuffer(found[0])

    def _write(self, keys: list[bytes], found: Outputs) -> None:
        """Keep what has a value: why there is none may be the machine."""
        rows = [
            (key, values.tobytes())
            for row, (key, values) in enumerate(zip(keys, found.values, strict=True))
            if row not in found.obstacles
        ]
        with self._translated(), self._transaction():
            self._file.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?)", rows)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UsageError(f"journal {self._path} cannot be used: {error}") from error
