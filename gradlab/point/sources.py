"""By what points are evaluated: one after the other, in batches, by workers, or from a journal."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import numpy as np

from gradlab import __version__
from gradlab.point.batches import Batches
from gradlab.point.evaluation import Evaluation, Source
from gradlab.point.fingerprints import fingerprint
from gradlab.point.journal import AT_ONCE, Journal
from gradlab.point.resources import Resources
from gradlab.point.workers import Workers

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
    def of(cls, problem: Evaluation, call_seconds: float) -> Sources:
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
            "what forward returns there": fingerprint(problem.output),
            "the version of gradlab, NumPy or Python": " ".join(
                [__version__, np.__version__, platform.python_version()]
            ),
        }
        journal = Journal(given.journal, about)
        if source is None:
            kept = journal.over(problem.one_by_one, size=max(1, int(AT_ONCE / max(call_seconds, 1e-9))))
        else:  # which give what they have whenever they have it
            kept = journal.over(source, size=None)
        return cls(kept, journal, width, at_once)


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
