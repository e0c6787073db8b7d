"""What can be wrong with a rule without any differences: how its functions behave when they are called.

Neither function writes to what it is given; both answer the same when called again, and for arrays that lie
in memory in another way; backward answers for the point that it is asked about, not for the last one at which
forward was called; and it is linear in the upstream gradient. With ``u`` the upstream gradient and ``c``
another, all of whose entries are one number in memory,

::

    backward(u)       again, with u in reverse order, after forward was called elsewhere
    backward(c)
    backward(−2 u + c/2) = −2 backward(u) + ½ backward(c)      in Fortran order, of inputs that are strided

three calls tell all that. Only what differs is asked about further, so that it can be named.

"The same" is meant up to rounding: a sum may be taken in another order, and a gradient that vanishes because
terms cancel is nothing but rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.numerics.scales import scales
from gradlab.point.outputs import flatten
from gradlab.point.problem import Problem, RuleRaised
from gradlab.point.returned import read_gradients
from gradlab.point.values import broadcast_in_memory, reversed_in_memory, transposed_in_memory
from gradlab.report import Finding

Gradients = dict[int, Array]

CALLS = 3  # of forward
CONSTANT = 1.5  # every entry of another upstream gradient
U, C = -2.0, 0.5  # whose sum is not 1, so that a constant term shows
ELSEWHERE = 0.3  # times the scale of an entry: another point
SAME = 1e-2  # times the square root of a rounding of the largest entry: 1.5e-10 in float64
FEW = 8  # roundings of it, where these are more: of what backward computes, and of the sum of two answers
ROUNDINGS = 64  # of the largest influence of the point: what may be left where terms cancel


@dataclass(frozen=True)
class Answers:
    """What backward returned in the three calls, and what it has to be up to rounding.

    Attributes
    ----------
    again, constant, combined : dict of int to Array
        By position; ``None`` where backward raised or was not called.
    notes : tuple of str
        What is no defect but worth knowing.
    """

    again: Gradients | None = None
    constant: Gradients | None = None
    combined: Gradients | None = None
    notes: tuple[str, ...] = ()


def call_again(problem: Problem, gradients: Gradients) -> tuple[Answers, list[Finding]]:
    """Call both functions again in several ways.

    Parameters
    ----------
    problem : Problem
        The point; forward and backward have been called there once, and watched.
    gradients : dict of int to Array
        What backward returned.

    Returns
    -------
    answers : Answers
        For `compare_answers`, once the scale of rounding at the point is known.
    findings : list of Finding
        Of kind ``mutates-input``, ``mutates-upstream``, ``not-deterministic``,
        ``depends-on-memory-layout`` (of forward), and ``backward-raises`` for another upstream.
    """
    findings = list(_mutations(problem))
    if findings or problem.calls_left < CALLS + bool(problem.calls_forward):
        return Answers(), findings  # what is spoiled once answers no second question
    cache, findings, notes = _forward_again(problem)
    if findings:
        return Answers(notes=tuple(notes)), findings
    _forward_elsewhere(problem)
    u = problem.grad_output
    constant = problem.form.rounded(np.where(u == 0, 0.0, CONSTANT))
    one_number = broadcast_in_memory if (u != 0).all() else None
    combined = problem.form.rounded(U * u + C * constant)
    calls = (
        (u, {"layout": reversed_in_memory}),
        (constant, {"layout": one_number}),
        (combined, {"layout": transposed_in_memory, "scattered": cache is not None, "cache": cache}),
    )
    same, answers = _same(problem.given_eps), []
    for upstream, how in calls:
        try:
            try:
                answer = _ask(problem, upstream, **how)
            except RuleRaised as error:
                answer = _ask(problem, upstream)
                notes.append(f"with arrays that are not contiguous in memory, {error}")
        except RuleRaised as error:
            return Answers(notes=tuple(notes)), [_raised(problem, error)]
        if upstream is u:  # most answers are the same, and need not be kept twice
            answer |= {i: g for i, g in gradients.items() if i in answer and _close(g, answer[i], same)}
        answers.append(answer)
    again, other, both = answers
    for i, g in gradients.items():  # nor where they are what they have to be
        if i in other and i in both and again.get(i) is g:
            expected = U * g
            expected += C * other[i]
            if _close(expected, both[i], same):
                del again[i], other[i], both[i]
    return Answers(again, other, both, tuple(dict.fromkeys(notes))), []


def compare_answers(
    problem: Problem,
    gradients: Gradients,
    answers: Answers,
    *,
    influence: float,
    rounding: Callable[[int], Array],
) -> list[Finding]:
    """Compare what backward returned in several calls.

    Parameters
    ----------
    problem : Problem
        The point.
    gradients : dict of int to Array
        What backward returned first.
    answers : Answers
        What it returned then.
    influence : float
        The largest influence of an entry at the point: its rounding is what may be left of terms that cancel.
    rounding : callable
        Returns what a few roundings of the inputs change of a gradient; called where something differs.

    Returns
    -------
    list of Finding
        Of kind ``accumulated``, ``not-deterministic``, ``cache-overwritten``, ``depends-on-memory-layout``,
        ``ignores-upstream`` and ``nonlinear-in-upstream``.
    """
    if answers.again is None or answers.constant is None or answers.combined is None:
        return []
    findings: list[Finding] = []
    for i, g in gradients.items():
        again, constant, combined = (a.get(i) for a in (answers.again, answers.constant, answers.combined))
        if again is None or constant is None or combined is None:
            continue
        allowed = _Allowed(problem, i, influence, rounding)
        if allowed.differ(g, again) is not None:
            finding: Finding | None = _not_the_same(problem, i, g, again, allowed)
        elif allowed.differ(U * g + C * constant, combined, g, constant) is not None:
            finding = _not_linear(problem, i, g, constant, combined, allowed)
        else:
            continue
        if finding is not None:
            findings.append(finding)
    return findings


def compare_imaginary_parts(
    problem: Problem,
    gradients: Gradients,
    imaginary: Gradients,
    *,
    influence: float,
    rounding: Callable[[int], Array],
) -> list[Finding]:
    """See whether gradients of real inputs that backward returned as complex ones are real but for rounding.

    Parameters
    ----------
    problem, gradients, influence, rounding
        As in `compare_answers`.
    imaginary : dict of int to Array
        The imaginary parts.

    Returns
    -------
    list of Finding
        Of kind ``gradient-dtype``.
    """
    findings = []
    for i, part in imaginary.items():
        allowed = _Allowed(problem, i, influence, rounding)
        k = allowed.differ(part, np.zeros_like(part), gradients[i])
        if k is not None:
            name, at = problem.names[i], problem.arguments.label(i, _index(problem, i, k))
            message = (
                f"gradient of {name} has an imaginary part, {part.flat[k]:.6g} at {at}; expected a real one, "
                f"because {name} is real: return its real part"
            )
            findings.append(Finding("contract", name, "gradient-dtype", message))
    return findings


class _Allowed:
    """By how much two answers for one input may differ."""

    def __init__(self, problem: Problem, i: int, influence: float, rounding: Callable[[int], Array]) -> None:
        self.problem, self.i, self.rounding = problem, i, rounding
        eps = problem.given_eps
        self.same = _same(eps)
        self.floor = ROUNDINGS * eps * influence / scales(problem.value(i))

    def differ(self, one: Array, other: Array, *terms: Array) -> int | None:
        """Return where two answers differ by more than rounding can, or ``None``.

        Parameters
        ----------
        one, other : Array
            The answers, of the input's shape.
        *terms : Array
            What they are sums of, where they are sums.
        """
        if not one.size:
            return None
        size = max(float(np.abs(term).max(initial=0.0)) for term in (one, other, *terms))
        excess = np.abs(one - other) - self.same * size - self.floor
        if not (excess > 0).any():
            return None
        # Rounding is of one size throughout an input, though at some entries it happens to be none.
        scale = scales(self.problem.value(self.i))
        excess -= ROUNDINGS * float((self.rounding(self.i) * scale).max(initial=0.0)) / scale
        return int(np.argmax(excess)) if (excess > 0).any() else None


def _same(eps: float) -> float:
    """Return by how much of their largest entry two answers may differ."""
    return max(SAME * float(np.sqrt(eps)), FEW * eps)


def _close(one: Array, other: Array, rtol: float) -> bool:
    """Whether two answers are the same, relative to their largest entry."""
    return not one.size or _largest(one - other) <= rtol * max(_largest(one), _largest(other))


def _largest(x: Array) -> float:
    return max(float(x.max()), -float(x.min()))


def _mutations(problem: Problem) -> Iterator[Finding]:
    for role, what in problem.changed:
        if what == "grad_output":
            yield Finding("contract", None, "mutates-upstream", f"{role} writes to grad_output, its argument")
        else:
            name = what if what in problem.names else None
            yield Finding("contract", name, "mutates-input", f"{role} writes to {what}, which it was given")


def _forward_again(problem: Problem) -> tuple[tuple[Any] | None, list[Finding], list[str]]:
    """Call forward once more, with inputs that are strided where there are several numbers in one.

    Returns the cache of that call, what is wrong, and what is worth knowing.
    """
    scattered = any(problem.value(i).size > 1 for i in problem.wrt)
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
        now = f"{again.flat[k]:.6g}" if k < again.size else "missing"
        if not strided:
            message = (
                f"forward is not deterministic: called twice with the same inputs, output entry {k} is "
                f"{problem.given_output.flat[k]:.6g} and then {now}; gradients were not compared"
            )
            return None, [Finding("contract", None, "not-deterministic", message)], refused
        _, outputs, _ = problem.call_forward()
        if _first_difference(problem, problem.given_output, flatten(outputs)) is None:
            message = (
                "forward depends on the memory layout of its inputs: for contiguous arrays, output entry "
                f"{k} is {problem.given_output.flat[k]:.6g}, otherwise {now}"
            )
            return None, [Finding("contract", None, "depends-on-memory-layout", message)], refused
    return None, [], refused


def _forward_elsewhere(problem: Problem) -> None:
    """Call forward at another point: what backward needs of the first must not be lost by that."""
    there = {i: problem.direction(i, ELSEWHERE * problem.reach(i)) for i in problem.wrt}
    problem.evaluate(problem.moved(there, 1.0))


def _ask(problem: Problem, upstream: Array, **how: Any) -> Gradients:
    """Return what backward makes of an upstream gradient, where it can be compared."""
    returned, _ = read_gradients(problem, problem.call_backward(upstream, **how))
    return {i: g for i, g in returned.items() if np.isfinite(g).all()}


def _raised(problem: Problem, error: RuleRaised) -> Finding:
    """Tell a backward that refuses a number from one that cannot be called twice."""
    try:
        problem.call_backward()
    except RuleRaised as again:
        return Finding("contract", None, "not-deterministic", f"called again at the same point, {again}")
    return Finding("contract", None, "backward-raises", f"for another upstream gradient, {error}")


def _not_the_same(problem: Problem, i: int, g: Array, again: Array, allowed: _Allowed) -> Finding:
    """Say why backward gave another answer in reverse order, after forward was called elsewhere."""
    name = problem.names[i]
    plain = _ask(problem, problem.grad_output).get(i, np.full_like(g, np.nan))
    k = allowed.differ(g, plain)
    if k is None:
        reverse = _ask(problem, problem.grad_output, layout=reversed_in_memory).get(i)
        layout = None if reverse is None else _layout_finding(problem, i, g, reverse, allowed)
        return layout or _stale(problem, i, g, again, allowed.differ(g, again) or 0)
    added = _accumulated(problem, i, g, allowed)
    if added is not None:
        return added
    # Does it help to call forward at this point first?
    try:
        _, _, cache = problem.call_forward()
        fresh = _ask(problem, problem.grad_output, cache=(cache,)).get(i)
    except (RuleRaised, UsageError):
        fresh = None
    if fresh is not None and allowed.differ(g, fresh) is None:
        return _stale(problem, i, g, plain, k)
    at = problem.arguments.label(i, _index(problem, i, k))
    message = (
        f"backward is not deterministic: called twice with the same arguments, the gradient of {name} is "
        f"{g.flat[k]:.6g} and then {plain.flat[k]:.6g} at {at}"
    )
    return Finding("contract", name, "not-deterministic", message)


def _accumulated(problem: Problem, i: int, g: Array, allowed: _Allowed) -> Finding | None:
    """Say that each call adds its own answer to that of the call before, if so.

    Of two calls for ``u`` and one for ``t u``, the third adds ``t`` times what the second does.
    """
    t = 1.0 if problem.cached else U
    first, second, third = (_afresh(problem, i, upstream) for upstream in (1.0, 1.0, t))
    if first is None or second is None or third is None:
        return None
    k = allowed.differ(first, second)
    if k is None or allowed.differ(third - second, t * (second - first), first, second) is not None:
        return None
    if problem.cached and allowed.differ(second - first, g, first, second) is not None:
        return None  # what is added has to be an answer, not a drift
    name, at = problem.names[i], problem.arguments.label(i, _index(problem, i, k))
    message = (
        f"gradient of {name} is added to that of the call before: start from zero in each (for the same "
        f"arguments it is {first.flat[k]:.6g} and then {second.flat[k]:.6g} at {at})"
    )
    return Finding("contract", name, "accumulated", message)


def _changed(problem: Problem, i: int, g: Array, allowed: _Allowed) -> Finding | None:
    """Say that the gradient is another after forward was called again at the same point, if so."""
    fresh = _afresh(problem, i)
    if fresh is None or (k := allowed.differ(g, fresh)) is None:
        return None
    at = problem.arguments.label(i, _index(problem, i, k))
    message = (
        f"the gradient of {problem.names[i]} is not deterministic: for the same arguments it is "
        f"{g.flat[k]:.6g} and then {fresh.flat[k]:.6g} at {at}"
    )
    return Finding("contract", problem.names[i], "not-deterministic", message)


def _afresh(problem: Problem, i: int, t: float = 1.0) -> Array | None:
    """Return a gradient once more, for ``t u``: that of another call of forward, where that makes a cache."""
    try:
        if not problem.cached:
            return _ask(problem, t * problem.grad_output).get(i)
        _, _, cache = problem.call_forward()
        return _ask(problem, problem.grad_output, cache=(cache,)).get(i)
    except (RuleRaised, UsageError):
        return None


def _stale(problem: Problem, i: int, g: Array, later: Array, k: int) -> Finding:
    what = "the cache of one call of forward is overwritten by the next"
    if not problem.cached:
        what = "backward depends on the last call of forward, not on its arguments alone"
    at = problem.arguments.label(i, _index(problem, i, k))
    message = (
        f"{what}: the gradient at {at} is {g.flat[k]:.6g}, and {later.flat[k]:.6g} after forward was called "
        "at another point"
    )
    return Finding("contract", problem.names[i], "cache-overwritten", message)


def _not_linear(
    problem: Problem, i: int, g: Array, constant: Array, combined: Array, allowed: _Allowed
) -> Finding | None:
    """Say why the answers for two upstream gradients do not add up to that for their sum."""
    name, u = problem.names[i], problem.grad_output
    if problem.cached:  # the third answer is that of another call of forward
        changed = _accumulated(problem, i, g, allowed) or _changed(problem, i, g, allowed)
        if changed is not None:
            return changed
    c = problem.form.rounded(np.where(u == 0, 0.0, CONSTANT))
    for upstream, answer in ((c, constant), (problem.form.rounded(U * u + C * c), combined)):
        plain = _ask(problem, upstream).get(i)
        if plain is not None and allowed.differ(plain, answer) is not None:
            return _layout_finding(problem, i, plain, answer, allowed)
    zero, minus = (_ask(problem, t * u).get(i) for t in (0.0, U))
    if zero is not None and allowed.differ(np.zeros_like(g), zero, g) is not None:
        if minus is not None and allowed.differ(g, minus) is None:
            message = f"gradient of {name} does not depend on grad_output: multiply by it"
            return Finding("contract", name, "ignores-upstream", message)
        worst = int(np.argmax(np.abs(zero)))
        what = f"for grad_output = 0 it is {zero.flat[worst]:.6g}, expected 0"
        return _nonlinear(problem, i, what, worst)
    if minus is not None and (k := allowed.differ(U * g, minus)) is not None:
        what = f"for −2 × grad_output it is {minus.flat[k]:.6g}, expected −2 × {g.flat[k]:.6g}"
        return _nonlinear(problem, i, what, k)
    where = allowed.differ(U * g + C * constant, combined, g, constant)
    return None if where is None else _nonlinear(problem, i, "for a sum of two it is not the sum", where)


def _layout_finding(
    problem: Problem, i: int, plain: Array, other: Array, allowed: _Allowed
) -> Finding | None:
    k = allowed.differ(plain, other)
    if k is None:
        return None
    message = (
        "backward depends on the memory layout of its arguments: for contiguous arrays the gradient of "
        f"{problem.names[i]} is {plain.flat[k]:.6g} at {problem.arguments.label(i, _index(problem, i, k))}, "
        f"otherwise {other.flat[k]:.6g}"
    )
    return Finding("contract", problem.names[i], "depends-on-memory-layout", message)


def _nonlinear(problem: Problem, i: int, what: str, k: int) -> Finding:
    where = problem.arguments.label(i, _index(problem, i, k))
    message = f"gradient of {problem.names[i]} is not linear in grad_output: {what} (at {where})"
    return Finding("contract", problem.names[i], "nonlinear-in-upstream", message)


def _index(problem: Problem, i: int, k: int) -> tuple[int, ...]:
    return tuple(int(axis) for axis in np.unravel_index(k, problem.value(i).shape))


def _first_difference(problem: Problem, one: Array, other: Array) -> int | None:
    """Return where the outputs of two calls differ by more than rounding can, or ``None``."""
    if other.shape != one.shape:
        return 0
    if not one.size:
        return None
    both = np.isfinite(one) & np.isfinite(other)
    either = np.isfinite(one) | np.isfinite(other)
    if not np.array_equal(both, either):
        return int(np.argmax(~both & either))
    size = float(np.abs(one).max(initial=0.0, where=both))
    differ = both & (np.abs(one - other) > np.sqrt(problem.given_eps) * size)
    return int(np.argmax(differ)) if differ.any() else None
