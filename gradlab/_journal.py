"""A file in which what took long is kept, whatever ends the process: a database of SQLite.

It says what it is about, and serves for nothing else.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from gradlab.errors import UsageError, is_deliberate

__tracebackhide__ = is_deliberate

WAIT = 60.0  # seconds for another process that writes to the same file


class JournalFile:
    """A journal.

    Parameters
    ----------
    path : path
        The file; made where there is none.
    of : str
        What it belongs to, for a message: ``check``, ``run``.
    about : mapping of str to str
        What its rows depend on, each in words for a message: ``{"the inputs": digest}``.
    table : str
        How the table of its rows is declared: ``"rows (point BLOB PRIMARY KEY, outputs BLOB)"``.

    Raises
    ------
    UsageError
        When the file is no journal, or one about something else.
    """

    def __init__(
        self, path: str | os.PathLike[str], of: str, about: Mapping[str, str], *, table: str
    ) -> None:
        self._path, self._of = os.fspath(path), of
        try:  # of the absolute path, for SQLite takes some that are not, such as an empty one, for no file
            self._file = sqlite3.connect(os.path.abspath(self._path), timeout=WAIT, isolation_level=None)
        except (sqlite3.Error, ValueError) as error:  # a path that holds a null character
            raise UsageError(f"journal {self._path!r} cannot be opened: {error}") from error
        try:
            self._begin({"format": f"gradlab {table}", **about}, table)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with self._translated():
            return self._file.execute(query, values).fetchall()

    def write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Write rows, all or none."""
        with self._translated(), self._transaction():
            self._file.executemany(statement, rows)

    def refuse(self, other: Sequence[str]) -> NoReturn:
        """Raise what says that the file is about something else: in what words, as in ``about``."""
        raise UsageError(
            f"journal {self._path} is of another {self._of}: {', '.join(other)} "
            f"{'is' if len(other) == 1 else 'are'} not the same; expected another file, or none yet"
        )

    def _begin(self, about: Mapping[str, str], table: str) -> None:
        with self._translated(), self._transaction():
            tables = {name for (name,) in self._file.execute("SELECT name FROM sqlite_master")}
            if tables and "about" not in tables:
                raise UsageError(
                    f"journal {self._path} is another database; expected another file, or none yet"
                )
            self._file.execute("CREATE TABLE IF NOT EXISTS about (what TEXT PRIMARY KEY, told TEXT)")
            known = dict(self._file.execute("SELECT what, told FROM about"))
            other = [what for what in about if known and known.get(what) != about[what]]
            if other:
                self.refuse(other)
            if not known:
                self._file.execute(f"CREATE TABLE {table}")
                self._file.executemany("INSERT INTO about VALUES (?, ?)", about.items())

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
