"""What another process does: evaluate some points, and say what became of them."""

from __future__ import annotations

import pickle
import platform
import threading
import time
from dataclasses import dataclass
from typing import TypeAlias

from gradlab.point.evaluation import Evaluation
from gradlab.point.moves import Moves, Outputs
from gradlab.point.values import text_of

MISSING = "the problem is not here yet"
_HERE = threading.local()


@dataclass(frozen=True)
class Answer:
    """What a process says of some points: their outputs, and how long that took."""

    outputs: Outputs
    seconds: float


@dataclass(frozen=True)
class Unusable:
    """Why a process cannot evaluate anything: what it lacks, and where it is."""

    machine: str
    why: str


Said: TypeAlias = Answer | Unusable | str


@dataclass(frozen=True)
class Told:
    """What a process says of one of the items that a function like `map` was given."""

    number: int
    said: Said


def evaluate_there(digest: bytes, payload: bytes | None, moves: Moves | None, serial: int) -> Said:
    """Evaluate some points, in whatever process this is called.

    Parameters
    ----------
    digest, payload : bytes
        The evaluating half of a problem, pickled, and the digest by which it is known after the first time.
    moves : Moves
        The points.
    serial : int
        Tells equal tasks apart, for executors that take them for one, as Dask's does.
    """
    known: tuple[bytes, Evaluation] | None = getattr(_HERE, "known", None)  # of this thread alone
    if known is None or known[0] != digest:
        if payload is None:
            return MISSING
        try:
            known = _HERE.known = (digest, pickle.loads(payload))
        except Exception as error:  # a module that is not there, or is another one
            return Unusable(platform.node(), f"{type(error).__name__}: {text_of(error)}")
    assert moves is not None
    started = time.perf_counter()
    found = known[1].gathered(moves)
    return Answer(found, time.perf_counter() - started)


def evaluate_item(task: tuple[int, bytes, bytes, Moves]) -> Told:
    """Do the same for one item of those that a function like `map` is given."""
    number, digest, payload, moves = task
    return Told(number, evaluate_there(digest, payload, moves, serial=0))
