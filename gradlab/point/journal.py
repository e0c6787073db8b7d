"""What ``forward`` returned, kept in a file, so that it need not be asked again.

The file is a database of SQLite: what was written to it stays, whatever ends the process. A row holds all
outputs at one point; that they are of the same function at the same inputs is told by what is written about
them, and by two of the rows, which are evaluated anew: no code shows what is in a file that ``forward``
reads. A gradient has no part in it: after `backward` was mended, the rows still serve.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gradlab._journal import JournalFile
from gradlab.errors import is_deliberate
from gradlab.point.evaluation import Source
from gradlab.point.moves import Moves, Outputs, chunks

__tracebackhide__ = is_deliberate

TABLE = "rows (point BLOB PRIMARY KEY, outputs BLOB)"
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
        self._file = JournalFile(path, "check", about, table=TABLE)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def refuse_another(self, what: str, moves: Moves, evaluate: Callable[[Moves], Outputs]) -> bool:
        """Refuse the file where a function has another value at a point than the one in it; else keep it.

        A function whose value differs from one call to the next is not refused: that says nothing.

        Parameters
        ----------
        what : str
            The value in words, for a message.
        moves : Moves
            The one point.
        evaluate : callable
            The function, which is always evaluated in the same way.

        Returns
        -------
        bool
            Whether the function has a value there.

        Raises
        ------
        UsageError
            When the file is refused.
        """
        (key,) = moves.keys()
        key = b"anew " + key  # for a batch, or a worker, may round differently
        before, found = self._row(key), evaluate(moves)
        if found.obstacles:
            return False
        if before is None:
            self._write([key], found)
        elif before.tobytes() != found.values.tobytes() == evaluate(moves).values.tobytes():
            self._file.refuse([what])
        return True

    def over(self, source: Source, *, size: int | None) -> Source:
        """Return a source that asks another one only for what is not in the file, so many points at a time.

        With ``None``, for all at once.
        """

        def kept(moves: Moves) -> Iterator[Outputs]:
            keys = moves.keys()
            known = {k: row for k, key in enumerate(keys) if (row := self._row(key)) is not None}
            if known:
                yield Outputs(np.array(list(known)), np.stack(list(known.values())), {}, read=len(known))
            left = np.array([k for k in range(len(moves)) if k not in known], dtype=np.intp)
            for chunk in chunks(left.size, size or max(1, left.size)):
                which = left[chunk]
                for found in source(moves.some(which)):
                    self._write([keys[k] for k in which[found.which].tolist()], found)
                    yield Outputs(which[found.which], found.values, found.obstacles)

        return kept

    def _row(self, key: bytes) -> Any:
        found = self._file.read("SELECT outputs FROM rows WHERE point = ?", key)
        return np.frombuffer(found[0][0]) if found else None

    def _write(self, keys: list[bytes], found: Outputs) -> None:
        """Keep what has a value: why there is none may be the machine."""
        rows = [
            (key, values.tobytes())
            for row, (key, values) in enumerate(zip(keys, found.values, strict=True))
            if row not in found.obstacles
        ]
        self._file.write("INSERT OR REPLACE INTO rows VALUES (?, ?)", rows)
