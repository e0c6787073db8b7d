"""One process in which rules are checked, seen from the one that supervises it."""

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
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradlab.runs.outcomes import ErrorKind, Result, RuleError
from gradlab.runs.stacks import dumped
from gradlab.runs.worker import LOST, Begun, Check, Find, Settled
from gradlab.words import counted

LAST_WORDS = 1.0  # seconds in which a process that is told to end writes its stack, and what it said arrives

BOOT = (
    "import sys, json; sys.path[:], sys.argv[:], stacks = json.loads(sys.argv[1]); "
    "from gradlab.runs.worker import main; main(stacks)"
)


class Worker:
    """One process, seen from here."""

    def __init__(
        self,
        said: queue.SimpleQueue[tuple[Worker, Any]],
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

    def _read(self, said: queue.SimpleQueue[tuple[Worker, Any]]) -> None:
        assert self.process.stdout is not None
        with suppress(Exception):  # closed, or by a rule's doing something else than a pickle
            while True:
                said.put((self, pickle.load(self.process.stdout)))
        said.put((self, None))

    def ask(self, request: Find | Check, position: int) -> None:
        """Send a request, for the rule at a position."""
        assert self.process.stdin is not None
        self.busy, self.position, self.points, self.deadline, self.call = True, position, 0, math.inf, ""
        self.settled: Result | None = None
        with suppress(OSError):  # it has ended, which will be noticed
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()

    def note(self, message: Begun | Settled | int) -> None:
        """Note how far it is: with an import, with a rule, or with all but the pictures of one."""
        if isinstance(message, Settled):
            self.settled = message.result
        else:
            self.began("" if isinstance(message, int) else message.call)

    def began(self, call: str) -> None:
        """Start the clock: of a rule, with the call that checks it again, or of an import."""
        self.call = call
        self.deadline = math.inf if self.timeout is None else time.monotonic() + self.timeout

    def finished(self, name: str) -> None:
        """Note that a rule is done."""
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
        """End the process, which took too long, and say so."""
        self.kill()
        return self._no_report(ErrorKind.TIMEOUT, f"not done within the timeout of {self.timeout:g} s")

    def stop(self) -> RuleError:
        """End the process, and say where it was."""
        self.kill()
        error = self._no_report(ErrorKind.ENDED, "stopped").error
        assert error is not None
        return error

    def ended(self) -> Result:
        """Say how the process ended."""
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
        """Tell the process that there is nothing left to do."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()  # which the process sees, and ends

    def join(self, patience: float) -> None:
        """Wait until the process has ended, but not for long."""
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
