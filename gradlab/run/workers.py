"""Rules checked in processes of their own, which can be killed: one at a time in each."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from gradlab._snippet import verify_call
from gradlab.errors import UsageError
from gradlab.report import Report, Verdict
from gradlab.rule import Rule
from gradlab.run.one import Options, Result, check
from gradlab.run.targets import Found, find_rules
from gradlab.words import counted

FAREWELL = 5.0  # seconds in which a process that has nothing left to do may end by itself


def check_in_processes(
    found: Sequence[Found],
    options: Options,
    *,
    jobs: int,
    timeout: float | None,
    point: Callable[[int, int], None],
    done: Callable[[int, Result], None],
) -> None:
    """Check rules in at most ``jobs`` processes; the arguments are those of `gradlab.run.check_all`.

    However this ends, no process is left behind.
    """
    waiting = deque(enumerate(found))
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.busy for worker in workers):
            idle = [worker for worker in workers if not worker.busy]
            for _ in range(min(jobs - len(workers), len(waiting) - len(idle))):
                workers.append(_Worker(options, timeout))
                idle.append(workers[-1])
            for worker in idle[: len(waiting)]:
                worker.give(*waiting.popleft())
            busy = [worker for worker in workers if worker.busy]
            until = min(worker.deadline for worker in busy)
            patience = None if until == math.inf else max(0.0, until - time.monotonic())
            spoken = wait([worker.connection for worker in busy], patience)
            for worker in busy:
                result = worker.listen(point) if worker.connection in spoken else None
                if result is None and time.monotonic() >= worker.deadline:
                    result = worker.time_out()
                if result is not None:
                    done(worker.position, result)
                    worker.busy = False
            workers = [worker for worker in workers if worker.alive]
        for worker in workers:
            worker.dismiss()
    finally:
        with _deaf():
            for worker in workers:
                worker.kill()


class _Worker:
    """One process, seen from here."""

    def __init__(self, options: Options, timeout: float | None) -> None:
        self.options, self.timeout = options, timeout
        self.busy, self.alive = False, True
        # A fresh interpreter everywhere: a fork of a process whose BLAS has threads may hang.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, options))
        self.process.start()
        theirs.close()

    def give(self, position: int, one: Found) -> None:
        self.position, self.rule = position, one.rule
        self.busy, self.points, self.deadline = True, 0, math.inf
        self.began = time.monotonic()
        with suppress(OSError):  # it has died; `listen` will say so
            self.connection.send((one.target, one.position, one.rule.name))

    def listen(self, point: Callable[[int, int], None]) -> Result | None:
        """Take one message, and return the result if it is one."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            return self._died()
        if isinstance(message, Result):
            return message
        if message == 0:  # the rule is found: from here on the time is the rule's
            self.began = time.monotonic()
            self.deadline = math.inf if self.timeout is None else self.began + self.timeout
        else:
            self.points = message
            point(self.position, message)
        return None

    def time_out(self) -> Result:
        self.kill()
        return self._no_verdict(f"not done within the timeout of {self.timeout:g} s")

    def _died(self) -> Result:
        self.process.join(FAREWELL)
        code = self.process.exitcode
        self.kill()
        if code is not None and code < 0:
            with suppress(ValueError):
                return self._no_verdict(f"its process was ended by {signal.Signals(-code).name}")
        return self._no_verdict(f"its process ended by itself, with exit code {code}")

    def _no_verdict(self, reason: str) -> Result:
        options = self.options
        so_far = f"after {counted(self.points, 'point')}" if self.points else "at the first point"
        return Result(
            Report(
                name=self.rule.name,
                verdict=Verdict.INCONCLUSIVE,
                reason=f"{reason}, {so_far}",
                inputs=(),
                findings=(),
                causes=(),
                notes=(),
                points=0,
                points_passed=0,
                points_failed=0,
                example=None,
                forward_calls=0,
                backward_calls=0,
                seconds=time.monotonic() - self.began,
                seed=options.seed,
                # The point is in the process that has ended: what can be repeated is the check of the rule.
                call=verify_call(
                    self.rule, max_examples=options.max_examples, rtol=options.rtol, seed=options.seed
                ),
            )
        )

    def dismiss(self) -> None:
        self.connection.close()  # which the process sees, and ends
        self.process.join(FAREWELL)

    def kill(self) -> None:
        """End the process, and those that it started."""
        if not self.alive:
            return
        self.alive = False
        self.connection.close()
        if self.process.is_alive():
            if hasattr(os, "killpg") and self.process.pid is not None:
                with suppress(OSError):  # it has not come as far as to lead a group
                    os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
        self.process.join()
        self.process.close()


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


def _work(connection: Connection[Any, Any], options: Options) -> None:
    """Check what is asked for until there is nothing more; the whole life of a process."""
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own: Ctrl-C is the parent's matter, and all of it can be killed at once
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout = sys.stderr  # standard output is the parent's report
    with suppress(EOFError, OSError):
        while True:
            target, position, name = connection.recv()
            try:
                rule = _find_again(target, position, name)
            except UsageError as error:
                connection.send(Result(None, str(error)))
                continue
            connection.send(0)
            connection.send(check(rule, options, connection.send))


def _find_again(target: str, position: int, name: str) -> Rule:
    found = find_rules(target)
    if len(found) <= position or found[position].name != name:
        raise UsageError(
            f"rule {name!r} is not number {position + 1} of {target} when that is imported again; "
            "what a module defines must not depend on chance"
        )
    return found[position]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)  # this process, and those that it started
        os._exit(1)
