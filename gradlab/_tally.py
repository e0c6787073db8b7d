"""What many points of one rule have shown together."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradlab.point.emptiness import says_nothing
from gradlab.report import DIFFERENCES, InputResult, Report, Verdict
from gradlab.rule import Rule
from gradlab.strategies import Point
from gradlab.words import counted

ENOUGH = 0.9  # of the points that have something to compare must pass
MANY = 0.5  # of the points asked for: where fewer are different, it is said how many are
NO_VALUE = "forward has no finite value there"


@dataclass
class Tally:
    """What the points so far have shown; shrinking, after the first failure, is counted only as calls."""

    asked: int  # points
    until: float = math.inf  # by the clock of `time.monotonic`
    drawn: int = 0
    checked: int = 0
    points: int = 0
    passed: int = 0
    failed: int = 0
    forward_calls: int = 0
    backward_calls: int = 0
    jvp_calls: int = 0
    reason: str = ""
    empty: int = 0  # points that pass because they have nothing to compare: they show nothing of the rule
    nothing: str = ""  # what was said of the last of them
    oracle: str = DIFFERENCES
    left_out: list[str] = field(default_factory=list)  # why, of each point
    notes: dict[str, None] = field(default_factory=dict)
    inputs: dict[str, InputResult] = field(default_factory=dict)
    largest: Any = None  # failing point
    size: int = 0  # its entries
    known: set[Hashable] = field(default_factory=set)

    @property
    def seconds_left(self) -> float:
        """How much time there is for further points."""
        return self.until - time.monotonic()

    def leave_out(self, report: Report, point: Hashable) -> None:
        self.known.add(point)
        self._count(report)
        if not self.failed:
            raised = (finding.message for finding in report.findings if finding.kind == "forward-raises")
            self.left_out.append(next(raised, NO_VALUE))

    def add(self, report: Report, inputs: Any, point: Hashable) -> None:
        self._count(report)
        size = sum(result.size for result in report.inputs)
        if report.failed and size > self.size:
            self.largest, self.size = inputs, size
        if not report.failed:
            self.known.add(point)
        if self.failed:
            return
        self.points += 1
        self.passed += report.passed
        self.oracle = report.oracle
        self.failed += report.failed
        if report.inconclusive:
            self.reason = report.reason
        nothing = next(filter(says_nothing, report.notes), None)
        if nothing is not None and report.passed:
            self.empty, self.nothing = self.empty + 1, nothing
            return
        self.notes.update(dict.fromkeys(report.notes))
        for result in report.inputs:
            self.inputs[result.name] = _merge(self.inputs.get(result.name), result)

    def _count(self, report: Report) -> None:
        self.checked += 1
        self.forward_calls += report.forward_calls
        self.backward_calls += report.backward_calls
        self.jvp_calls += report.jvp_calls

    def summary(self, rule: Rule, failing: Report | None, *, seed: int, seconds: float) -> Report:
        compared = self.points - self.empty
        if failing is not None:
            verdict, reason = Verdict.FAIL, failing.reason
        elif self.empty and not compared:
            verdict, reason = Verdict.INCONCLUSIVE, f"at {counted(self.points, 'point')}, {self.nothing}"
        elif self.passed - self.empty >= ENOUGH * compared and all(
            result.verdict is Verdict.PASS for result in self.inputs.values()
        ):
            verdict, reason = Verdict.PASS, ""
        else:
            verdict = Verdict.INCONCLUSIVE
            reason = f"{self.passed} of {counted(self.points, 'point')} passed"
            reason += f"; at another, {self.reason}" if self.passed else f"; {self.reason}"
        notes = failing.notes if failing is not None else (*self._remarks(verdict), *self.notes)
        return Report(
            name=rule.name,
            verdict=verdict,
            reason=reason,
            inputs=failing.inputs if failing is not None else tuple(self.inputs.values()),
            findings=failing.findings if failing is not None else (),
            causes=failing.causes if failing is not None else (),
            notes=(*notes, *rule.notes),
            points=self.points,
            points_passed=self.passed,
            points_failed=self.failed,
            example=None,
            forward_calls=self.forward_calls,
            backward_calls=self.backward_calls,
            jvp_calls=self.jvp_calls,
            seconds=seconds,
            seed=seed,
            oracle=self.oracle,
            origin=failing.origin if failing is not None else None,
        )

    def _remarks(self, verdict: Verdict) -> Iterator[str]:
        """Say at which points nothing was found out, where others decide, and where few were drawn."""
        undecided = self.points - self.passed
        if verdict is Verdict.PASS and undecided:
            last = ":" if undecided == 1 else "; at the last of them,"
            yield f"at {undecided} of {counted(self.points, 'point')} it could not tell{last} {self.reason}"
        without, raised = (
            [why for why in self.left_out if (why == NO_VALUE) is same] for same in (True, False)
        )
        if without:
            yield f"{_were_left_out(without)}: {NO_VALUE}"
        if raised:
            where = "there" if len(set(raised)) == 1 else "at the first of them"
            yield f"{_were_left_out(raised)}: {where}, {raised[0]}"
        different = self.points + len(self.left_out)
        if different < MANY * self.asked and self.seconds_left > 0:
            given = counted(different, "different point")
            yield f"inputs gave {given} of the {self.asked} asked for: they repeat, or are hard to draw"


def _were_left_out(points: Sequence[object]) -> str:
    return f"{counted(len(points), 'degenerate point')} {'was' if len(points) == 1 else 'were'} left out"


def _merge(old: InputResult | None, new: InputResult) -> InputResult:
    """Keep the worst probe over all points; an input counts as right when it passed at least once."""
    if old is None or not old.size:
        return new
    if not new.size:
        return old  # nothing of it was compared
    entries = [result.worst for result in (old, new) if result.worst is not None]
    verdict = Verdict.PASS if Verdict.PASS in (old.verdict, new.verdict) else new.verdict
    seen = [result.resolution for result in (old, new) if result.resolution is not None]
    resolution = max(seen, default=None)  # no point was coarser
    return replace(
        new,
        verdict=verdict,
        resolution=resolution,
        worst=max(entries, key=lambda entry: entry.error, default=None),
    )


def content_of(inputs: Any) -> Hashable:
    """Return what two points have in common exactly when all that they hold is the same.

    What an object holds is told by its pickle; one that has none is the same as itself alone.

    >>> content_of((1.0, "relu")) == content_of((1.0, "relu")), content_of([1.0]) == content_of([2.0])
    (True, False)
    """
    kind = type(inputs)
    if kind is np.ndarray and not inputs.dtype.hasobject:
        return inputs.dtype, inputs.shape, inputs.strides, inputs.tobytes()
    if kind in (tuple, list, Point):
        return kind, tuple(map(content_of, inputs))
    if kind is dict:
        return kind, tuple((content_of(name), content_of(value)) for name, value in inputs.items())
    try:
        return pickle.dumps(inputs)
    except Exception:  # a lambda, an open file
        return _Itself(inputs)


@dataclass(frozen=True, eq=False)
class _Itself:
    """An object, kept so that no other one is taken for it."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)
