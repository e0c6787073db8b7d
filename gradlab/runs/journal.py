"""What was found of rules, kept in a file, so that a run that was ended goes on where it was."""

from __future__ import annotations

import os
import pickle
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from importlib import metadata
from typing import Protocol

from gradlab._journal import JournalFile
from gradlab._modules import DECISIVE
from gradlab.runs.outcomes import Listed, Options, Result, RuleError, Said

TABLE = "reports (position INTEGER PRIMARY KEY, said BLOB, checksum BLOB)"


class Checker(Protocol):
    """What checks rules: a `Pool`, or a `Spread`."""

    stopped: dict[int, RuleError]

    def check(self, rules: Sequence[Listed], options: Options) -> Said:
        """Check rules, and say what becomes of each as soon as it is known."""
        ...


@contextmanager
def journaled(
    checker: Checker,
    path: str | os.PathLike[str] | None,
    rules: Sequence[Listed],
    options: Options,
    code: str,
) -> Iterator[Checker]:
    """Return what checks the same, but for rules of which the journal has a report; without a path, itself.

    Why a rule has no report may be the machine: errors are not kept.

    Parameters
    ----------
    checker : Checker
        What checks the others.
    path : path or None
        Of the journal.
    rules : sequence of Listed
        All.
    options : Options
        What is asked of them.
    code : str
        What `code_of` says of them.

    Raises
    ------
    UsageError
        When the file is no journal, or that of another run.
    """
    if path is None:
        yield checker
        return
    file = JournalFile(path, "run", _about(rules, options, code), table=TABLE)
    try:
        yield _Journaled(checker, file, checker.stopped)
    finally:
        file.close()


@dataclass
class _Journaled:
    checker: Checker
    file: JournalFile
    stopped: dict[int, RuleError]

    def check(self, rules: Sequence[Listed], options: Options) -> Said:
        known: dict[int, Result] = {}
        for position, said, checksum in self.file.read("SELECT * FROM reports"):
            if _checksum(said) == checksum:
                known[position] = pickle.loads(said)
        yield from sorted(known.items())
        left = [position for position in range(len(rules)) if position not in known]
        try:
            with closing(self.checker.check([rules[position] for position in left], options)) as messages:
                for k, message in messages:
                    if isinstance(message, Result) and message.report is not None:
                        said = pickle.dumps(message)
                        row = left[k], said, _checksum(said)
                        self.file.write("INSERT OR REPLACE INTO reports VALUES (?, ?, ?)", [row])
                    yield left[k], message
        finally:
            stopped = {left[k]: error for k, error in self.stopped.items()}
            self.stopped.clear()
            self.stopped.update(stopped)


def _about(rules: Sequence[Listed], options: Options, code: str) -> Mapping[str, str]:
    versions = {name: metadata.version(name) for name in DECISIVE}
    named = [(rule.name, str(rule.target)) for rule in rules]
    from gradlab import __version__

    return {
        "the list of rules": blake2b(repr(named).encode("utf-8", "surrogatepass")).hexdigest(),
        "the set of options": repr(asdict(options)),
        "the code of the rules": code,
        "the version of gradlab, Python or a package": repr(
            {"gradlab": __version__, "python": platform.python_version(), **versions}
        ),
    }


def _checksum(said: bytes) -> bytes:
    return blake2b(said, digest_size=16).digest()
