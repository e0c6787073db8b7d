"""Points evaluated by other processes, of this machine or of others.

What travels is the evaluating half of a problem, once to each process that does not have it yet, and lists
of points; what comes back are outputs. The same code runs there, so that it does not show in a report where
a point was evaluated.

A process that ends, whatever ended it, costs time and nothing else: what it had is evaluated again. A point
whose evaluation ends every process that tries has no value.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import itertools
import logging
import os
import pickle
import sys
import threading
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import suppress
from hashlib import blake2b
from typing import Any

import numpy as np

from gradlab._executors import COUNTED, Crew, submit
from gradlab._pickling import dumped
from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Indices
from gradlab.point.evaluation import Evaluation
from gradlab.point.moves import Moves, Outputs, chunks
from gradlab.point.there import MISSING, Answer, Said, Told, Unusable, evaluate_item, evaluate_there
from gradlab.point.values import describe, text_of
from gradlab.words import counted

__tracebackhide__ = is_deliberate

BLOCK_SECONDS = 0.25  # of one process, between two messages: some hundred times what these take
LOT_SECONDS, LOT = 10.0, 2**16  # of one process, and points at most, between two looks at the budget
TOGETHER = 2  # tries of all points at once; then one point at a time, so that it shows which ends a process
ALONE = 2  # tries of a point by itself
GRACE = 30.0  # seconds after which nothing has been heard of calls that should have timed out
IDLE = 60  # seconds after which processes end that have nothing to do
EXTRA = "pip install 'gradlab-verify[workers]'"

logger = logging.getLogger("gradlab")


def block_size(points: int, call_seconds: float, workers: int) -> int:
    """Return how many points travel together: so few that all are busy, so many that the way is short.

    >>> block_size(400, 0.05, 2), block_size(400, 0.05, 100), block_size(400, 60.0, 2)
    (5, 2, 1)
    """
    most = max(1, points // (2 * workers))
    return int(np.clip(BLOCK_SECONDS / max(call_seconds, 1e-9), 1, most))


class Workers:
    """Evaluates points by the processes of an executor.

    Parameters
    ----------
    problem : Evaluation
        The evaluating half of a problem, as it is when this is called first.
    workers : int, callable or Executor
        How many processes of this machine, by ``loky``; or who else: an executor, or a function like `map`.
    call_seconds : float
        How long a call of ``forward`` takes.
    timeout : float, optional
        How long it may take.

    Raises
    ------
    UsageError
        When the functions under test cannot be sent there, or not be used there.
    """

    def __init__(
        self, problem: Evaluation, workers: Any, *, call_seconds: float, timeout: float | None
    ) -> None:
        self._problem, self._timeout, self.call_seconds = problem, timeout, call_seconds
        self._executor = workers if isinstance(workers, Executor) else None
        self._map = workers if self._executor is None and callable(workers) else None
        self._crew = None if self._executor is None else Crew(self._executor)
        if self._crew is not None:
            self.count = self._crew.count()
        else:
            asked = 0 if self._map is not None else int(workers)
            self.count = asked if asked > 0 else os.cpu_count() or 1
        if self._is_here:
            pool = _local_pool(self.count)
            for k in range(self.count):  # which load what they need while this process goes on
                pool.submit(evaluate_there, b"", None, None, k)
        self._payload, self._digest, self._ended = b"", b"", ""
        self._serial = itertools.count()
        self._crashes = False  # whether forward was seen to end its process, all by itself

    @property
    def _is_here(self) -> bool:
        """Whether the processes are of this machine, and nobody else's."""
        return self._map is None and self._executor is None

    @property
    def at_once(self) -> int:
        """How many points keep all processes busy for some time: between two lots, some wait for the last."""
        lot = max(1, LOT_SECONDS / max(self.call_seconds, 1e-9))
        return int(min(self.count * lot, LOT))

    def __call__(self, moves: Moves) -> Iterator[Outputs]:
        """Yield the outputs at some points, in the order in which they become known."""
        if not self._payload:
            self._payload = _pickled(self._problem)
            self._digest = blake2b(self._payload, digest_size=16).digest()
        blocks = list(chunks(len(moves), block_size(len(moves), self.call_seconds, self.count)))
        if self._map is not None:
            blocks = yield from self._mapped(moves, blocks)
        for _ in range(0 if self._crashes else TOGETHER):
            blocks = yield from self._tried(moves, blocks, at_once=len(blocks))
        for row in np.sort(np.concatenate(blocks)).tolist() if blocks else ():
            alone = [np.array([row])]
            for _ in range(1 if self._crashes else ALONE):
                alone = yield from self._tried(moves, alone, at_once=1)
            if alone:
                self._crashes = True
                nothing = np.full((1, self._problem.form.size), np.nan)
                yield Outputs(alone[0], nothing, {0: f"forward ends its process: {self._ended}"})

    def _mapped(self, moves: Moves, blocks: Sequence[Indices]) -> Generator[Outputs, None, list[Indices]]:
        """Yield what a function like map gives, in whatever order; return the blocks that it lost, if any."""
        assert self._map is not None
        left = dict(enumerate(blocks))
        tasks = [(k, self._digest, self._payload, moves.some(block)) for k, block in left.items()]
        gave = ""
        try:
            given = self._map(evaluate_item, tasks)
            for one in given if isinstance(given, Iterable) else [given]:
                if not isinstance(one, Told) or one.number not in left:
                    gave = describe(one)
                    break
                yield self._read(left.pop(one.number), one.said)
        except BrokenExecutor as error:
            self._restart(error)
            return list(left.values())
        if left or gave:
            raise UsageError(
                f"workers, called as map is on {counted(len(tasks), 'item')}, gave {gave or 'no more'} after "
                f"{len(tasks) - len(left)}; expected what the function that it was given returns, once each"
            )
        return []

    def _tried(
        self, moves: Moves, blocks: Sequence[Indices], *, at_once: int
    ) -> Generator[Outputs, None, list[Indices]]:
        """Yield what becomes known of some blocks; return those that were lost with a process."""
        waiting, lost = deque(blocks), list[Indices]()
        running: dict[Future[Said], Indices] = {}
        first = self.count  # so many blocks take the problem with them
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    # One that breaks here has taken nothing from those that wait.
                    future = self._submit(moves.some(waiting[0]), anew=first > 0)
                    running[future] = waiting.popleft()
                    first -= 1
                for future in self._ready(running):
                    said = _said(future)
                    block = running.pop(future)
                    if said == MISSING:
                        waiting.appendleft(block)
                        first = max(first, 0) + 1
                    elif isinstance(said, Exception):
                        lost.append(block)
                        self._ended = f"{type(said).__name__}: {text_of(said)}".partition("\n")[0]
                        if isinstance(said, BrokenExecutor | _Silence):
                            raise said
                    else:
                        yield self._read(block, said)
        except (BrokenExecutor, _Silence) as error:
            self._restart(error)
        finally:
            if running and self._is_here:  # as after Ctrl-C
                _kill(_local_pool(self.count))
            for future in running:
                future.cancel()
        return [*lost, *running.values(), *waiting]

    def _submit(self, moves: Moves, *, anew: bool) -> Future[Said]:
        executor = self._executor or _local_pool(self.count)
        payload = self._payload if anew else None
        return submit(executor, evaluate_there, self._digest, payload, moves, next(self._serial))

    def _ready(self, running: Mapping[Future[Said], Indices]) -> Collection[Future[Said]]:
        """Wait until something becomes known.

        A call that is late ends by itself. Where even that does not happen, as in C, processes of our own are
        not waited for any longer; those of others may have something else to do first, as long as there are
        any.
        """
        patience = None
        if self._crew is not None:
            patience = COUNTED
        elif self._timeout is not None:
            late = GRACE + self._timeout * max(block.size for block in running.values())
            patience = min(late, threading.TIMEOUT_MAX)
        while True:
            ready, _ = concurrent.futures.wait(
                running, timeout=patience, return_when=concurrent.futures.FIRST_COMPLETED
            )
            if ready:
                return ready
            if self._crew is None:
                raise _Silence(f"no answer within the timeout of {self._timeout:g} s")
            self._crew.count()

    def _restart(self, error: Exception) -> None:
        """Have other processes do the rest."""
        self._ended = text_of(error).partition("\n")[0]
        if self._is_here:
            _kill(_local_pool(self.count))
        else:
            logger.warning("the executor is broken (%s): processes of this machine do the rest", self._ended)
            _import_loky("an executor that is broken")
            self._map = self._executor = self._crew = None
            self.count = os.cpu_count() or 1

    def _read(self, block: Indices, said: Answer | Unusable | str) -> Outputs:
        if isinstance(said, Unusable):
            raise UsageError(f"forward cannot be evaluated by the worker on {said.machine}: {said.why}")
        assert isinstance(said, Answer)
        self.call_seconds = max(said.seconds / block.size, 1e-9)
        return Outputs(block, said.outputs.values, said.outputs.obstacles)


class _Silence(Exception):
    """Nothing was heard for too long."""


def _said(future: Future[Said]) -> Said | Exception:
    """Return what a process said, or why it says nothing any more."""
    try:
        return future.result()
    except (BrokenExecutor, CancelledError, OSError) as error:
        return error
    except ImportError as error:
        raise UsageError(f"a worker cannot load gradlab, which evaluates forward there: {error}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] == "distributed":  # KilledWorker, for one
            return error
        raise


def _pickled(problem: Evaluation) -> bytes:
    """Return a problem as bytes, its functions by their code where ``cloudpickle`` is installed."""
    try:
        with suppress(ImportError):
            return dumped(problem)
        return pickle.dumps(problem)
    except Exception as error:
        hint = "" if "cloudpickle" in sys.modules else f"; with cloudpickle, more can: {EXTRA}"
        raise UsageError(f"forward cannot be sent to workers: {text_of(error)}{hint}") from error


def _import_loky(what: str) -> Any:
    try:
        return importlib.import_module("loky")
    except ImportError:
        raise UsageError(f"{what} needs loky, which is not installed: {EXTRA}") from None


def _local_pool(count: int) -> Executor:
    """Return the pool of this process, a new one where the last is broken."""
    pool: Executor = _import_loky(f"workers={count}").get_reusable_executor(max_workers=count, timeout=IDLE)
    return pool


def _kill(pool: Executor) -> None:
    pool.shutdown(kill_workers=True)  # type: ignore[call-arg]
