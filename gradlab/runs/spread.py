"""Rules checked by the workers of an executor, of which any may be lost without a rule being lost."""

from __future__ import annotations

import queue
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import closing
from typing import Any

from gradlab._executors import Crew, submit
from gradlab.runs.outcomes import ErrorKind, Listed, Options, Result, RuleError, Said
from gradlab.runs.pickled import sendable
from gradlab.runs.pool import Pool
from gradlab.runs.there import check_there, versions
from gradlab.words import counted

GLANCE = 0.2  # seconds between two looks at whether Ctrl-C has come
AHEAD = 2  # tasks for each worker: one that it works at, and one that waits for it there
TRIES = 4  # how often a rule is given to an executor that loses it, as Dask gives a task to workers that die


class Spread:
    """Checks rules by an executor, and has what `Pool` has: `check`, ``remarks`` and ``stopped``.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        What runs each rule as a task. It is left as it was.
    pool : Pool
        Checks here what is left, should the executor break; its ``timeout`` holds for all.
    note : callable
        Called with a sentence on what happened on the way and changes no outcome.
    """

    def __init__(self, executor: Executor, pool: Pool, note: Callable[[str], None]) -> None:
        self.executor, self.pool, self.note = executor, pool, note
        self.remarks = pool.remarks
        self.stopped: dict[int, RuleError] = {}
        self._crew = Crew(executor)

    def check(self, rules: Sequence[Listed], options: Options) -> Said:
        """Check rules, as `Pool.check` does; of what is checked elsewhere, only the end is heard.

        No more are sent than the workers have use for, so that of a long run neither the rules nor their
        results are ever in one place at once.
        """
        left = dict(enumerate(rules))
        try:
            for position, result in self._from_workers(rules, options):
                del left[position]
                yield position, result
            return
        except BrokenExecutor as error:
            why = " ".join(str(error).split())
            number = counted(len(left), "rule")
            self.note(
                f"the executor broke ({why}); {number} had yet to be checked, which is done on this machine"
            )
        positions = list(left)
        try:
            with closing(self.pool.check(list(left.values()), options)) as messages:
                for k, said in messages:
                    yield positions[k], said
        finally:
            self.stopped.update((positions[k], error) for k, error in self.pool.stopped.items())

    def _from_workers(self, rules: Sequence[Listed], options: Options) -> Iterator[tuple[int, Result]]:
        run = uuid.uuid4().hex
        done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        waiting = deque(range(len(rules)))
        running: dict[Future[Any], int] = {}
        lost: Counter[int] = Counter()
        try:
            while waiting or running:
                while waiting and len(running) < AHEAD * self._crew.count():
                    position = waiting.popleft()
                    sent = sendable(rules[position])
                    if isinstance(sent, Result):
                        yield position, sent
                        continue
                    ticket = f"{run}-{position}-{lost[position]}"
                    task = (sent, options, self.pool.timeout, versions(), ticket)
                    future = submit(self.executor, check_there, *task)
                    running[future] = position
                    future.add_done_callback(done.put)
                try:
                    future = done.get(timeout=GLANCE)
                except queue.Empty:
                    self._crew.count()
                    continue
                position = running.pop(future)
                if not future.cancelled():
                    yield position, self._result(future)
                    continue
                lost[position] += 1  # as where all workers are restarted
                if lost[position] < TRIES:
                    waiting.appendleft(position)
                else:
                    yield position, _ended(f"it was given to the executor {TRIES} times, and cancelled there")
        except BrokenExecutor:
            running.clear()  # there is nothing left to cancel
            raise
        finally:
            for future in running:
                future.cancel()

    def _result(self, future: Future[Any]) -> Result:
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            raise error
        if error is not None:
            return _failed(error)
        result, remarks = future.result()
        self.remarks += remarks
        found: Result = result
        return found


def _failed(error: BaseException) -> Result:
    """Say why an executor has no result for a rule."""
    last = getattr(error, "last_worker", None)
    if last is not None:  # KilledWorker, of Dask
        return _ended(f"each worker that it was given to died, the last of them {last.address}")
    said = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, ModuleNotFoundError):
        return Result(error=RuleError(ErrorKind.USAGE, f"a worker of the executor cannot check it: {said}"))
    return _ended(f"the executor could not have it checked: {said}")


def _ended(how: str) -> Result:
    return Result(error=RuleError(ErrorKind.ENDED, how))
