"""Processes in which rules are found and checked, supervised from here.

Whatever a rule does, it does to its process: this one sees how it ended, keeps what was done before, and
starts another. It runs no code of a rule itself.
"""

from __future__ import annotations

import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradlab._modules import hiding
from gradlab.runs.outcomes import ErrorKind, Listed, Options, Progress, Result, RuleError, Said
from gradlab.runs.pickled import sendable
from gradlab.runs.process import Worker
from gradlab.runs.worker import Begun, Check, Find, Listing, Settled

FAREWELL = 5.0  # seconds in which a process that has nothing left to do may end by itself
GLANCE = 0.2  # seconds between two looks at whether processes that say nothing are still there
TARGETS = "gradlab.runs.targets"
# After these a process is gone, or may be in any state.
SPOILING = {ErrorKind.ENDED, ErrorKind.TIMEOUT, ErrorKind.MEMORY, ErrorKind.INTERNAL}


class Pool:
    """Up to ``size`` processes, started when they are needed.

    Parameters
    ----------
    size : int
        How many processes; what is found does not depend on it.
    timeout : float, optional
        Seconds for each rule, and for the import of each target.
    path : sequence of str, optional
        Where modules are imported from; by default as here.
    folder : path, optional
        Where processes are started; by default here.
    finder : str
        The module whose ``find_rules`` gives the rules of a target.

    Attributes
    ----------
    remarks : list of str
        How processes ended for which no rule can be blamed.
    stopped : dict of int to RuleError
        Where rules were, by position, whose check was stopped from here, as by Ctrl-C.
    code : str
        Of the rules that were found last, as `code_of` tells it.
    """

    def __init__(
        self,
        size: int = 1,
        *,
        timeout: float | None = None,
        path: Sequence[str] | None = None,
        folder: Path | None = None,
        finder: str = TARGETS,
    ) -> None:
        self.size, self.timeout, self.folder, self.finder = size, timeout, folder, finder
        self.path = list(sys.path if path is None else path)
        self.remarks: list[str] = []
        self.stopped: dict[int, RuleError] = {}
        self.code = ""
        self._workers: list[Worker] = []
        self._said: queue.SimpleQueue[tuple[Worker, Any]] = queue.SimpleQueue()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(patience=0.0 if kind is not None else FAREWELL)

    def close(self, patience: float = FAREWELL) -> None:
        """End all processes, and those that they started; none is left behind, however this is left."""
        try:
            for worker in self._workers:
                worker.dismiss()
            until = time.monotonic() + patience
            for worker in self._workers:
                if not worker.busy:
                    worker.join(until - time.monotonic())
        finally:
            with _deaf():
                for worker in self._workers:
                    worker.kill()
                self._workers.clear()

    def find(
        self, targets: Sequence[Any], *, pickles: bool = False, coded: bool = False
    ) -> tuple[list[Listed], list[str]]:
        """Return the rules that targets name, each once, and a sentence for each target that names none.

        A target whose import ends the process is left out when it is tried again. With ``pickles``, rules
        can be checked where their targets name nothing; with ``coded``, `code` tells what they are.
        """
        left = dict(enumerate(targets))
        problems: dict[int, str] = {}
        while True:
            numbers = list(left)
            at, listing = self._listed(Find(self.finder, tuple(left.values()), pickles, coded))
            if isinstance(listing, Listing):
                self.code = listing.code
                problems |= {numbers[k]: problem for k, problem in listing.problems.items()}
                return list(listing.rules), [problems[number] for number in sorted(problems)]
            if at is None:  # before the first: it is not for their sake
                hidden = "".join(
                    f"; {file} hides the module {file.stem} from gradlab: expected another name for the file"
                    for file in hiding(self.path)
                )
                return [], [f"no process could be started that finds rules: {listing.message}{hidden}"]
            where = f"\n{_indented(listing.stack)}" if listing.stack else ""
            problems[numbers[at]] = f"{left.pop(numbers[at])} cannot be imported: {listing.message}{where}"

    def check(self, rules: Sequence[Listed], options: Options) -> Said:
        """Check rules, and say what becomes of each as soon as it is known.

        Parameters
        ----------
        rules : sequence of Listed
            From `find`, or `given`.
        options : Options
            What is asked of each.

        Yields
        ------
        position, said : int and (Progress or Result)
            Of one rule, how far its check is, or what came of it; of each rule one result.
        """
        waiting = deque(enumerate(rules))
        unsure: dict[int, str] = {}  # how a process ended in which other rules had been checked before
        try:
            while waiting or any(worker.busy for worker in self._workers):
                yield from self._ask(waiting, options)
                for worker, message in self._messages():
                    if isinstance(message, Begun | Settled | int):
                        worker.note(message)
                    elif isinstance(message, Progress):
                        worker.points = message.points
                        yield worker.position, message
                    elif worker.settled is None and worker.may_be_innocent(message):
                        unsure[worker.position] = worker.doubt(rules[worker.position].name, message)
                        waiting.appendleft((worker.position, rules[worker.position]))
                        self._retire(worker)
                    else:
                        if message.error is not None and message.error.kind in SPOILING:
                            self._retire(worker)
                        # What is said before pictures are taken stands, whatever becomes of these.
                        result = message if message.error is None else worker.settled or message
                        worker.finished(rules[worker.position].name)
                        if result.report is not None and worker.position in unsure:
                            self.remarks.append(unsure[worker.position])
                        yield worker.position, result
        except BaseException:  # nobody wants the rest
            for worker in [worker for worker in self._workers if worker.busy]:
                self.stopped[worker.position] = worker.stop()
                self._retire(worker)
            raise

    def _ask(
        self, waiting: deque[tuple[int, Listed]], options: Options
    ) -> Iterator[tuple[int, Progress | Result]]:
        """Give each process that has nothing to do a rule, and say of which that cannot be done."""
        while waiting and (worker := self._idle()) is not None:
            position, rule = waiting.popleft()
            sent = sendable(rule)
            if isinstance(sent, Result):
                yield position, sent
            else:
                worker.ask(Check(self.finder, sent, options), position)

    def _listed(self, request: Find) -> tuple[int | None, Listing | RuleError]:
        """Ask for a listing; return also at which target it was when there is none."""
        at = None
        worker = self._idle()
        assert worker is not None
        worker.ask(request, 0)
        while True:
            for worker, message in self._messages():
                if isinstance(message, Listing):
                    worker.busy = False
                    return at, message
                if isinstance(message, int):
                    at = message
                    worker.began("")
                else:
                    self._retire(worker)
                    return at, message.error

    def _idle(self) -> Worker | None:
        """Return a process that has nothing to do; a new one, unless there are enough."""
        for worker in self._workers:
            if not worker.busy:
                return worker
        if len(self._workers) >= self.size:
            return None
        self._workers.append(Worker(self._said, self.timeout, self.path, self.folder))
        return self._workers[-1]

    def _messages(self) -> Iterator[tuple[Worker, Any]]:
        """Wait a moment, and give what busy processes say; for one that is gone or late, a result says so."""
        deadlines = [worker.deadline for worker in self._workers if worker.busy]
        patience = min([GLANCE, *(deadline - time.monotonic() for deadline in deadlines)])
        silent = False
        try:
            worker, message = self._said.get(timeout=max(0.0, patience))
        except queue.Empty:
            silent = True
        else:
            if worker in self._workers and worker.busy:
                yield worker, worker.ended() if message is None else message
            elif message is None and worker in self._workers:
                self._retire(worker)  # something that a rule has left behind ended it
        for worker in list(self._workers):
            if worker.busy and time.monotonic() >= worker.deadline:
                yield worker, worker.time_out()
            elif worker.busy and silent and worker.has_ended():
                yield worker, worker.ended()

    def _retire(self, worker: Worker) -> None:
        worker.kill()
        self._workers.remove(worker)


@contextmanager
def _deaf() -> Iterator[None]:
    """Take no notice of Ctrl-C: the second one of an impatient user must not keep processes alive."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
