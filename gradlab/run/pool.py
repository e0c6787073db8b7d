"""Processes in which rules are found and checked, supervised from here.

Whatever a rule does, it does to its process: this one sees how it ended, keeps what was done before, and
starts another. It runs no code of a rule itself.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gradlab.run.outcomes import ErrorKind, Listed, Options, Progress, Result, RuleError
from gradlab.run.stacks import dumped
from gradlab.run.worker import LOST, Begun, Check, Find, Listing
from gradlab.words import counted

FAREWELL = 5.0  # seconds in which a process that has nothing left to do may end by itself
GLANCE = 0.2  # seconds between two looks at whether processes that say nothing are still there
LAST_WORDS = 1.0  # seconds in which a process that is told to end writes its stack, and what it said arrives
TARGETS = "gradlab.run.targets"
# After these a process is gone, or may be in any state.
SPOILING = {ErrorKind.ENDED, ErrorKind.TIMEOUT, ErrorKind.MEMORY, ErrorKind.INTERNAL}

BOOT = (
    "import sys, json; sys.path[:], sys.argv[:], stacks = json.loads(sys.argv[1]); "
    "from gradlab.run.worker import main; main(stacks)"
)


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
        self._workers: list[_Worker] = []
        self._said: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()

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

    def find(self, targets: Sequence[Any]) -> tuple[list[Listed], list[str]]:
        """Return the rules that targets name, each once, and a sentence for each target that names none.

        A target whose import ends the process is left out when it is tried again.
        """
        left = dict(enumerate(targets))
        problems: dict[int, str] = {}
        while True:
            numbers = list(left)
            at, listing = self._listed(Find(self.finder, tuple(left.values())))
            if isinstance(listing, Listing):
                problems |= {numbers[k]: problem for k, problem in listing.problems.items()}
                return list(listing.rules), [problems[number] for number in sorted(problems)]
            if at is None:  # before the first: it is not for their sake
                return [], [f"no process could be started that finds rules: {listing.message}"]
            where = f"\n{_indented(listing.stack)}" if listing.stack else ""
            problems[numbers[at]] = f"{left.pop(numbers[at])} cannot be imported: {listing.message}{where}"

    def check(self, rules: Sequence[Listed], options: Options) -> Iterator[tuple[int, Progress | Result]]:
        """Check rules, and say what becomes of each as soon as it is known.

        Parameters
        ----------
        rules : sequence of Listed
            From `find`.
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
                while waiting and (worker := self._idle()) is not None:
                    position, rule = waiting.popleft()
                    worker.ask(Check(self.finder, rule, options), position)
                for worker, message in self._messages():
                    if isinstance(message, Begun):
                        worker.began(message.call)
                    elif isinstance(message, int):
                        worker.began("")  # to import what the rule is in
                    elif isinstance(message, Progress):
                        worker.points = message.points
                        yield worker.position, message
                    elif worker.may_be_innocent(message):
                        unsure[worker.position] = worker.doubt(rules[worker.position].name, message)
                        waiting.appendleft((worker.position, rules[worker.position]))
                        self._retire(worker)
                    else:
                        if message.error is not None and message.error.kind in SPOILING:
                            self._retire(worker)
                        worker.finished(rules[worker.position].name)
                        if message.report is not None and worker.position in unsure:
                            self.remarks.append(unsure[worker.position])
                        yield worker.position, message
        except BaseException:  # nobody wants the rest
            for worker in [worker for worker in self._workers if worker.busy]:
                self.stopped[worker.position] = worker.stop()
                self._retire(worker)
            raise

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

    def _idle(self) -> _Worker | None:
        """Return a process that has nothing to do; a new one, unless there are enough."""
        for worker in self._workers:
            if not worker.busy:
                return worker
        if len(self._workers) >= self.size:
            return None
        self._workers.append(_Worker(self._said, self.timeout, self.path, self.folder))
        return self._workers[-1]

    def _messages(self) -> Iterator[tuple[_Worker, Any]]:
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

    def _retire(self, worker: _Worker) -> None:
        worker.kill()
        self._workers.remove(worker)


class _Worker:
    """One process, seen from here."""

    def __init__(
        self,
        said: queue.SimpleQueue[tuple[_Worker, Any]],
        timeout: float | None,
        path: list[str],
        folder: Path | None,
    ) -> None:
        self.timeout = timeout
        self.busy, self.position, self.deadline = False, 0, math.inf
        self.checked: list[str] = []
        self.stacks = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process lives
        posix = os.name == "posix"
        given = json.dumps([list(map(str, path)), sys.argv, self.stacks.fileno() if posix else None])
        # The flags of this interpreter, such as -W error, as multiprocessing hands them on.
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        self.process = subprocess.Popen(
            [sys.executable, *flags, "-c", BOOT, given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self.stacks.fileno()] if posix else (),
            cwd=folder,
            start_new_session=True,  # Ctrl-C is not for it, and all that it starts can be ended with it
        )
        self.reader = threading.Thread(target=self._read, args=(said,), daemon=True)
        self.reader.start()

    def _read(self, said: queue.SimpleQueue[tuple[_Worker, Any]]) -> None:
        assert self.process.stdout is not None
        with suppress(Exception):  # closed, or by a rule's doing something else than a pickle
            while True:
                said.put((self, pickle.load(self.process.stdout)))
        said.put((self, None))

    def ask(self, request: Find | Check, position: int) -> None:
        assert self.process.stdin is not None
        self.busy, self.position, self.points, self.deadline, self.call = True, position, 0, math.inf, ""
        with suppress(OSError):  # it has ended, which will be noticed
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()

    def began(self, call: str) -> None:
        self.call = call
        self.deadline = math.inf if self.timeout is None else time.monotonic() + self.timeout

    def finished(self, name: str) -> None:
        self.busy = False
        self.checked.append(name)

    def doubt(self, name: str, result: Result) -> str:
        """Say what happened, should the rule turn out not to do it by itself."""
        assert result.error is not None
        others = f"{counted(len(self.checked), 'other rule')}, the last of which was {self.checked[-1]!r}"
        return (
            f"{result.error.message}, while {name!r} was checked after {others}; by itself {name!r} does no "
            "such thing: one of the others has left something behind that does"
        )

    def may_be_innocent(self, result: Result) -> bool:
        """Whether an error may be the doing of a rule that was checked before, in the same process."""
        error = result.error
        return (
            bool(self.checked) and error is not None and error.kind in (ErrorKind.ENDED, ErrorKind.INTERNAL)
        )

    def has_ended(self) -> bool:
        """Whether it is gone without a word, as where a process that it started keeps the channel open."""
        if self.process.poll() is None:
            return False
        self.reader.join(LAST_WORDS)
        return self.reader.is_alive()  # otherwise what it said last has just come

    def time_out(self) -> Result:
        self.kill()
        return self._no_report(ErrorKind.TIMEOUT, f"not done within the timeout of {self.timeout:g} s")

    def stop(self) -> RuleError:
        self.kill()
        error = self._no_report(ErrorKind.ENDED, "stopped").error
        assert error is not None
        return error

    def ended(self) -> Result:
        try:
            code = self.process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        if code in (None, LOST):
            return self._no_report(ErrorKind.ENDED, "it closed what its process is heard by")
        if code < 0:
            name = f"signal {-code}"
            with suppress(ValueError):
                name = signal.Signals(-code).name
            hint = " (which is also what happens when memory runs out)" if name == "SIGKILL" else ""
            return self._no_report(ErrorKind.ENDED, f"its process was ended by {name}{hint}")
        return self._no_report(ErrorKind.ENDED, f"its process ended by itself, with exit code {code}")

    def _no_report(self, kind: ErrorKind, how: str) -> Result:
        if self.call:  # of a rule
            so_far = f"after {counted(self.points, 'point')}" if self.points else "at the first point"
            how = f"{how}, {so_far}"
        return Result(error=RuleError(kind, how, self.stack, self.call or None))

    def dismiss(self) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()  # which the process sees, and ends

    def join(self, patience: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, patience))

    def kill(self) -> None:
        """End the process, and those that it started; where it still runs, it writes its stack first."""
        if self.stacks.closed:
            return
        with suppress(OSError):
            if self.process.poll() is None and self.busy and hasattr(signal, "SIGUSR1"):
                self.process.send_signal(signal.SIGUSR1)
                self.join(LAST_WORDS)
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.reader.join(LAST_WORDS)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with suppress(OSError):
                if stream is self.process.stdin or not self.reader.is_alive():
                    stream.close()
        self.stacks.seek(0)
        self.stack = dumped(self.stacks.read().decode(errors="replace"))
        self.stacks.close()


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
