"""By what points are evaluated: one after the other, in batches, by workers, or from a journal."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradlab import __version__
from gradlab.numerics.scales import scales
from gradlab.point.batches import Batches
from gradlab.point.drawn import drawn_like
from gradlab.point.evaluation import Evaluation, Source
from gradlab.point.fingerprints import fingerprint
from gradlab.point.journal import AT_ONCE, Journal
from gradlab.point.moves import InputMoves
from gradlab.point.resources import Resources
from gradlab.point.workers import Workers

if TYPE_CHECKING:
    from gradlab.point.problem import Problem

CLOSE_BY = 2.0**-10, -(2.0**-10)  # of the scale of each entry: few are so close to where forward has no value

# What evaluating takes: all else that a problem holds is of no use to workers.
EVALUATING = (
    *("arguments", "constraints", "names", "wrt", "fixed", "changed"),
    *("form", "wide", "left_out", "takes_batch", "_forward", "_cached"),
)


@dataclass(frozen=True)
class Sources:
    """What evaluates points, and the journal that is to be closed in the end.

    Attributes
    ----------
    source : callable or None
        ``None`` where points are evaluated one after the other.
    journal : Journal or None
        In which they are kept.
    width, at_once : int
        How many points it evaluates at the same time, and how many keep it busy.
    """

    source: Source | None = None
    journal: Journal | None = None
    width: int = 1
    at_once: int = 1

    @classmethod
    def of(cls, problem: Problem, call_seconds: float) -> Sources:
        """Return what the resources of a problem ask for."""
        given, width, at_once = problem.resources, 1, 1
        source: Source | None = _batches(problem)
        if given.workers is not None:
            half = evaluating_half(problem)
            workers = Workers(half, given.workers, call_seconds=call_seconds, timeout=given.timeout)
            source, width, at_once = workers, workers.count, workers.at_once
        if given.journal is None:
            return cls(source, None, width, at_once)
        about = {
            "forward": fingerprint(problem.given_forward),
            "the point": fingerprint((problem.names, problem.arguments.values, problem.arguments.kwargs)),
            "the version of gradlab, NumPy or Python": " ".join(
                [__version__, np.__version__, platform.python_version()]
            ),
        }
        journal = _opened(problem, given.journal, about)
        if source is None:
            kept = journal.over(problem.one_by_one, size=max(1, int(AT_ONCE / max(call_seconds, 1e-9))))
        else:  # which give what they have whenever they have it
            kept = journal.over(source, size=None)
        return cls(kept, journal, width, at_once)


def _opened(problem: Problem, path: str | os.PathLike[str], about: Mapping[str, str]) -> Journal:
    """Open a journal, unless ``forward`` is not what it was: at the point, and at one close by.

    At the point alone, the square and the cube of 1 are the same.
    """
    journal = Journal(path, about)
    try:
        with np.errstate(all="ignore"):
            journal.refuse_another("what forward returns there", InputMoves(({},)), problem.here)
            for moves in _close_by(problem):
                if journal.refuse_another("what forward returns close by", moves, problem.here):
                    break
    except BaseException:
        journal.close()
        raise
    return journal


def _close_by(problem: Problem) -> Iterator[InputMoves]:
    """Yield points at which all entries that may move are elsewhere, the second for want of the first."""
    rng, direction = np.random.default_rng(0), {}
    for i in problem.wrt:
        x = problem.value(i)
        direction[i] = problem.direction(i, scales(x) * drawn_like(x, rng))
    for t in CLOSE_BY:
        yield InputMoves((problem.moved(direction, t),))


def evaluating_half(problem: Evaluation) -> Evaluation:
    """Return what evaluates ``forward``, without backward and all else that a problem holds."""
    half = Evaluation.__new__(Evaluation)
    for name in EVALUATING:
        setattr(half, name, getattr(problem, name))
    half.resources = Resources(batched=problem.resources.batched)
    half.source = _batches(half)
    return half


def _batches(problem: Evaluation) -> Batches | None:
    batched = problem.resources.batched
    if batched is not None:
        return Batches(problem, batched, is_compared=True)
    return Batches(problem, problem._forward) if problem.takes_batch else None
