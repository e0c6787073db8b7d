"""What can be wrong with a rule without any differences: how its functions behave when they are called.

No function writes to what it is given; all answer the same when called again, and for arrays that lie in
memory in another way; backward and jvp answer for the point that they are asked about, not for the last one
at which forward was called; and they are linear, backward in the upstream gradient, jvp in the tangents. With
``u`` that argument and ``w`` another, all of whose entries are one number in memory,

::

    f(w)              after forward was called elsewhere
    f(−2 u + w/2) = −2 f(u) + ½ f(w)      in Fortran order, or from last to first, of inputs that are strided

two calls more tell all that: an answer that is another when it is asked for again, that accumulates from call
to call, that belongs to another point, or depends on the layout, breaks this equation. The contract is looked
at in three places: form, shape and dtype by `point.returned`, when an answer is read; what is written to, and
whether forward repeats itself, here; and so is whether answers are equal and linear, as far as they agree to
`answers.may_differ` of their largest entry, 1.5e-10 in float64: these are kept no longer. The rest, mostly
none, is compared by `breaches.compare_answers` once the probes have shown the scale of rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gradlab.checks.answers import (
    CANCELLED,
    SMALL_PART,
    C,
    FurtherAnswers,
    U,
    asked_backwards,
    fit_together,
    forward_elsewhere,
    may_differ,
    mere_noise,
)
from gradlab.checks.maps import Answer, FirstAnswer, LinearMap
from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.numerics.rounding import height_of_rounding, rounding_beside_one
from gradlab.point.derivatives import ARGUMENTS
from gradlab.point.outputs import flatten
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.values import broadcast_in_memory, reversed_in_memory, transposed_in_memory
from gradlab.report import Finding
from gradlab.words import told_apart

CALLS = 4  # of forward, at most: again, and contiguous where that differs, and elsewhere, tried twice


def call_again(
    problem: Problem, firsts: Mapping[str, FirstAnswer]
) -> tuple[dict[str, FurtherAnswers], list[Finding], list[str]]:
    """Call all functions again in several ways.

    What forward returns, and what is written to, is judged here. Whether the answers of backward and jvp are
    the same and linear is judged by `compare_answers`, after the probes have shown the scale of rounding.

    Parameters
    ----------
    problem : Problem
        The point; all functions have been called there once, and watched.
    firsts : dict of str to FirstAnswer
        What backward or jvp, or both, returned, by role.

    Returns
    -------
    answers : dict of str to FurtherAnswers
        For `compare_answers`, by role.
    findings : list of Finding
        Of kind ``mutates-input``, ``mutates-upstream``, ``mutates-tangents``, ``not-deterministic``,
        ``depends-on-memory-layout`` (of forward), and ``backward-raises`` or ``jvp-raises`` for another
        argument.
    notes : list of str
        What is no defect but worth knowing.
    """
    findings = list(_mutations(problem))
    if findings or problem.calls_left < CALLS + bool(problem.derivative_calls_forward):
        return {}, findings, []  # what is spoiled once answers no second question
    cache, findings, notes = _forward_again(problem)
    if findings:
        return {}, findings, notes
    forward_elsewhere(problem)
    answers = {}
    for role, first in firsts.items():
        found = _two_answers(first.linear, first.answer, cache, notes)
        if isinstance(found, Finding):
            findings.append(found)
        else:
            answers[role] = found
    return answers, findings, list(dict.fromkeys(notes))


def _two_answers(
    linear: LinearMap, first: Answer, cache: tuple[Any] | None, notes: list[str]
) -> FurtherAnswers | Finding:
    u, uniform, takes_strided = linear.vector, linear.uniform, cache is not None
    calls = (
        (uniform, {"layout": broadcast_in_memory if np.count_nonzero(u) == u.size else reversed_in_memory}),
        (
            linear.rounded(U * u + C * uniform),
            {"layout": transposed_in_memory, "scattered": takes_strided, "cache": cache},
        ),
    )
    answers = []
    for argument, how in calls:
        try:
            try:
                answers.append(linear.ask(argument, **how))
            except RuleRaised as error:
                answers.append(linear.ask(argument))
                notes.append(f"with arrays that are not contiguous in memory, {error}")
        except RuleRaised as error:
            return _raised(linear, error)
    other, both = answers
    rtol, right = may_differ(linear.problem.given_eps), set[int]()
    for k in first.keys() & other.keys() & both.keys():
        if fit_together(first[k], other[k], both[k], rtol):
            del other[k], both[k]  # what is right is not kept, and not compared any more
            right.add(k)
    # Another argument may make an answer overflow; that for the same is asked for now: later it may be well.
    unknown = first.keys() - right - (other.keys() & both.keys())
    again = {k: answer for k in unknown if (answer := asked_backwards(linear, k)) is not None}
    return FurtherAnswers(linear, first, other, both, again, frozenset(right))


def written_meanwhile(problem: Problem) -> list[Finding]:
    """Say which inputs forward wrote to at some point beside this one, where calls shared them."""
    return [
        Finding("contract", name, "mutates-input", f"forward writes to {name}, which it was given")
        for name in problem.spoiled()
    ]


def _mutations(problem: Problem) -> Iterator[Finding]:
    for role, what in problem.changed:
        if what == ARGUMENTS.get(role):
            kind = "mutates-upstream" if role == "backward" else "mutates-tangents"
            yield Finding("contract", None, kind, f"{role} writes to {what}, its argument")
        else:
            name = what if what in problem.names else None
            yield Finding("contract", name, "mutates-input", f"{role} writes to {what}, which it was given")


def _forward_again(problem: Problem) -> tuple[tuple[Any] | None, list[Finding], list[str]]:
    """Call forward once more, with inputs that are strided where there are several numbers in one.

    Returns the cache of that call, what is wrong, and what is worth knowing.
    """
    scattered = max([problem.value(i).size for i in problem.wrt]) > 1
    refused: list[str] = []
    for strided in (True, False) if scattered else (False,):
        try:
            _, outputs, cache = problem.call_forward(scattered=strided)
        except (RuleRaised, UsageError) as error:
            if strided:
                refused = [f"with inputs that are not contiguous in memory, {error}"]
                continue
            message = f"called again at the same point, {error}"
            return None, [Finding("contract", None, "not-deterministic", message)], refused
        again = flatten(outputs)
        k = _first_difference(problem, problem.given_output, again)
        if k is None:
            return ((cache,) if strided else None), [], refused
        value = problem.given_output.flat[k]
        before, now = told_apart(value, again.flat[k]) if k < again.size else (f"{value:.6g}", "missing")
        if not strided:
            message = (
                f"forward is not deterministic: called twice with the same inputs, output entry {k} is "
                f"{before} and then {now}; gradients were not compared"
            )
            return None, [Finding("contract", None, "not-deterministic", message)], refused
        _, outputs, _ = problem.call_forward()
        if _first_difference(problem, problem.given_output, flatten(outputs)) is None:
            if _is_noise(problem, problem.given_output, again):
                return (cache,), [], refused
            message = (
                "forward depends on the memory layout of its inputs: for contiguous arrays, output entry "
                f"{k} is {before}, otherwise {now}"
            )
            return None, [Finding("contract", None, "depends-on-memory-layout", message)], refused
    return None, [], refused


def _raised(linear: LinearMap, error: RuleRaised) -> Finding:
    """Tell a function that refuses a number from one that cannot be called twice."""
    try:
        linear.call(linear.vector)
    except RuleRaised as again:
        return Finding("contract", None, "not-deterministic", f"called again at the same point, {again}")
    argument = {"backward": "another upstream gradient", "jvp": "other tangents"}[linear.role]
    return Finding("contract", None, f"{linear.role}-raises", f"for {argument}, {error}")


def _is_noise(problem: Problem, one: Array, other: Array) -> bool:
    """Whether outputs differ by no more than what nearby ones scatter by: sums are taken in another order.

    And by no more than rounding may: what is random scatters, too.
    """
    if one.shape != other.shape:
        return False
    apart = np.abs(one - other)
    little = (apart <= height_of_rounding(one, problem.given_eps)).all()
    # Roundings of 1, as of log(1 + exp(-20)), that are a small part of what is left, need not show nearby.
    rounded = CANCELLED * rounding_beside_one(one, problem.given_eps)
    if (apart <= np.fmin(rounded, SMALL_PART * np.abs(one))).all():
        return True
    # Of outputs that are nothing but rounding, some scatter by none, by chance.
    mere = mere_noise(problem).max(initial=0.0)
    like_them = np.abs(problem.output) <= CANCELLED * mere
    return bool(little and (apart <= CANCELLED * np.fmax(problem.given_noise, mere * like_them)).all())


def _first_difference(problem: Problem, one: Array, other: Array) -> int | None:
    """Return where the outputs of two calls differ by more than rounding can, or ``None``."""
    if other.shape != one.shape:
        return 0
    if not np.count_nonzero(one != other):
        return None  # by far the most frequent
    both = np.isfinite(one) & np.isfinite(other)
    either = np.isfinite(one) | np.isfinite(other)
    if not np.array_equal(both, either):
        return int(np.argmax(~both & either))
    size = float(np.abs(one).max(initial=0.0, where=both))
    differ = both & (np.abs(one - other) > np.sqrt(problem.given_eps) * size)
    return int(np.argmax(differ)) if differ.any() else None
