"""What several answers of backward or jvp break of the contract: asked about further, until it has a name.

Another answer for the same arguments may be one that adds up from call to call, belongs to the last point at
which forward was called, depends on how arrays lie in memory, or is random. One that is not linear may not
depend on its argument at all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradlab.checks.answers import (
    Allowed,
    C,
    FurtherAnswers,
    U,
    asked_backwards,
    forward_elsewhere,
)
from gradlab.checks.maps import Answer, LinearMap
from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.point.raised import RuleRaised
from gradlab.report import Finding
from gradlab.words import told_apart


def compare_answers(
    answers: FurtherAnswers, *, floor: Callable[[int], float], rounding: Callable[[int], Array]
) -> list[Finding]:
    """Compare what backward or jvp returned in several calls.

    Parameters
    ----------
    answers : FurtherAnswers
        What it returned.
    floor : callable
        Returns how large, times the scale of an entry, what is left of terms that cancel may be in an answer.
    rounding : callable
        Returns what a few roundings of the inputs change of an answer; called where something differs.

    Returns
    -------
    list of Finding
        Of kind ``accumulated``, ``not-deterministic``, ``cache-overwritten``, ``depends-on-memory-layout``,
        and ``ignores-upstream``, ``nonlinear-in-upstream``, ``ignores-tangents`` or
        ``nonlinear-in-tangents``.
    """
    linear = answers.linear
    findings: list[Finding | None] = []
    for k, g in answers.first.items():
        if k in answers.right or not np.isfinite(g).all():
            continue  # what is not finite is told already
        uniform, combined = answers.uniform.get(k), answers.combined.get(k)
        allowed = Allowed(linear, k, floor=floor(k), rounding=rounding)
        both = None if uniform is None or combined is None else (uniform, combined)
        if both is not None and allowed.differ(U * g + C * both[0], both[1], g, both[0]) is None:
            continue
        try:
            again = answers.again[k] if k in answers.again else _asked_after_another_point(linear, k)
        except RuleRaised as error:
            if linear.problem.calls_left >= 1:  # or no more may be asked
                message = f"called again at the same point, {error}"
                findings.append(Finding("contract", linear.input(k), "not-deterministic", message))
            continue
        if again is not None and allowed.differ(g, again) is not None:
            findings.append(_not_the_same(linear, k, g, again, allowed))
        elif both is not None:
            findings.append(_not_linear(linear, k, g, *both, allowed))
    return [finding for finding in findings if finding is not None]


def compare_imaginary_parts(
    backward: LinearMap,
    gradients: Answer,
    imaginary: Answer,
    *,
    floor: float,
    rounding: Callable[[int], Array],
) -> list[Finding]:
    """See whether gradients of real inputs that backward returned as complex ones are real but for rounding.

    Parameters
    ----------
    backward : LinearMap
        The map.
    gradients, imaginary : dict of int to Array
        What it returned, and the imaginary parts of that.
    floor, rounding
        As in `compare_answers`; one number for all.

    Returns
    -------
    list of Finding
        Of kind ``gradient-dtype``.
    """
    findings = []
    for i, part in imaginary.items():
        allowed = Allowed(backward, i, floor=floor, rounding=rounding)
        at = allowed.differ(part, np.zeros_like(part), gradients[i])
        if at is not None:
            name = backward.problem.names[i]
            message = (
                f"{backward.what(i)} has an imaginary part, {part.flat[at]:.6g} at {backward.label(i, at)}; "
                f"expected a real one, because {name} is real: return its real part"
            )
            findings.append(Finding("contract", name, "gradient-dtype", message))
    return findings


def _asked_after_another_point(linear: LinearMap, k: int) -> Array | None:
    """Return an answer once more, after forward was called elsewhere in the dtypes given."""
    forward_elsewhere(linear.problem)
    return asked_backwards(linear, k)


def _not_the_same(linear: LinearMap, k: int, g: Array, again: Array, allowed: Allowed) -> Finding:
    """Say why there was another answer in reverse order, after forward was called elsewhere."""
    plain = linear.ask(linear.vector).get(k, np.full_like(g, np.nan))
    at = allowed.differ(g, plain)
    if at is None:
        reverse = asked_backwards(linear, k)
        layout = None if reverse is None else _layout_finding(linear, k, g, reverse, allowed)
        return layout or _stale(linear, k, g, again, allowed.differ(g, again) or 0)
    added = _accumulated(linear, k, g, allowed)
    if added is not None:
        return added
    # Does it help to call forward at this point first?
    try:
        _, _, cache = linear.problem.call_forward()
        fresh = linear.ask(linear.vector, cache=(cache,)).get(k)
    except (RuleRaised, UsageError):
        fresh = None
    if fresh is not None and allowed.differ(g, fresh) is None:
        return _stale(linear, k, g, again, allowed.differ(g, again) or 0)
    first, second = told_apart(g.flat[at], plain.flat[at])
    message = (
        f"{linear.role} is not deterministic: called twice with the same arguments, the {linear.what(k)} is "
        f"{first} and then {second} at {linear.label(k, at)}"
    )
    return Finding("contract", linear.input(k), "not-deterministic", message)


def _accumulated(linear: LinearMap, k: int, g: Array, allowed: Allowed) -> Finding | None:
    """Say that each call adds its own answer to that of the call before, if so.

    Of two calls for ``u`` and one for ``t u``, the third adds ``t`` times what the second does.
    """
    cached = linear.problem.cached
    t = 1.0 if cached else U
    first, second, third = (_afresh(linear, k, times) for times in (1.0, 1.0, t))
    if first is None or second is None or third is None:
        return None
    at = allowed.differ(first, second)
    if at is None or allowed.differ(third - second, t * (second - first), first, second) is not None:
        return None
    if cached and allowed.differ(second - first, g, first, second) is not None:
        return None  # what is added has to be an answer, not a drift
    before, after = told_apart(first.flat[at], second.flat[at])
    message = (
        f"{linear.what(k)} is added to that of the call before: start from zero in each (for the same "
        f"arguments it is {before} and then {after} at {linear.label(k, at)})"
    )
    return Finding("contract", linear.input(k), "accumulated", message)


def _changed(linear: LinearMap, k: int, g: Array, allowed: Allowed) -> Finding | None:
    """Say that the answer is another after forward was called again at the same point, if so."""
    fresh = _afresh(linear, k)
    if fresh is None or (at := allowed.differ(g, fresh)) is None:
        return None
    first, second = told_apart(g.flat[at], fresh.flat[at])
    message = (
        f"the {linear.what(k)} is not deterministic: for the same arguments it is {first} and then "
        f"{second} at {linear.label(k, at)}"
    )
    return Finding("contract", linear.input(k), "not-deterministic", message)


def _afresh(linear: LinearMap, k: int, t: float = 1.0) -> Array | None:
    """Return an answer once more, for ``t u``: that of another call of forward, where that makes a cache."""
    try:
        if not linear.problem.cached:
            return linear.ask(t * linear.vector).get(k)
        _, _, cache = linear.problem.call_forward()
        return linear.ask(linear.vector, cache=(cache,)).get(k)
    except (RuleRaised, UsageError):
        return None


def _stale(linear: LinearMap, k: int, g: Array, later: Array, at: int) -> Finding:
    what = "the cache of one call of forward is overwritten by the next"
    if not linear.problem.cached:
        what = f"{linear.role} depends on the last call of forward, not on its arguments alone"
    word = linear.what(k).partition(" ")[0]
    before, after = told_apart(g.flat[at], later.flat[at])
    message = (
        f"{what}: the {word} at {linear.label(k, at)} is {before}, and {after} after "
        "forward was called at another point"
    )
    return Finding("contract", linear.input(k), "cache-overwritten", message)


def _not_linear(
    linear: LinearMap, k: int, g: Array, uniform: Array, combined: Array, allowed: Allowed
) -> Finding | None:
    """Say why the answers for two arguments do not add up to that for their sum."""
    u, c = linear.vector, linear.uniform
    arguments = (u, g), (c, uniform), (linear.rounded(U * u + C * c), combined)
    # With a cache, the third answer is that of another call of forward; without, one may agree by chance.
    added = _accumulated(linear, k, g, allowed) if linear.problem.cached else None
    changed = added or _changed(linear, k, g, allowed)
    if changed is not None:
        return changed
    for argument, answer in arguments[1:]:
        plain = linear.ask(argument).get(k)
        if plain is not None and allowed.differ(plain, answer) is not None:
            once_more = linear.ask(argument).get(k)
            if once_more is not None and allowed.differ(plain, once_more) is None:
                return _layout_finding(linear, k, plain, answer, allowed)
    zero, minus = (linear.ask(t * u).get(k) for t in (0.0, U))
    if zero is not None and allowed.differ(np.zeros_like(g), zero, g, of_others=True) is not None:
        if minus is not None and allowed.differ(g, minus, of_others=True) is None:
            message = f"{linear.what(k)} does not depend on {linear.argument}: multiply by it"
            return Finding("contract", linear.input(k), f"ignores-{linear.word}", message)
        worst = int(np.argmax(np.abs(zero)))
        what = f"for {linear.argument} = 0 it is {zero.flat[worst]:.6g}, expected 0"
        return _nonlinear(linear, k, what, worst)
    if minus is not None and (at := allowed.differ(U * g, minus, of_others=True)) is not None:
        given, expected = told_apart(minus.flat[at], U * g.flat[at])
        what = f"for −2 × {linear.argument} it is {given}, expected {expected}"
        return _nonlinear(linear, k, what, at)
    where = allowed.differ(U * g + C * uniform, combined, g, uniform, of_others=True)
    return None if where is None else _nonlinear(linear, k, "for a sum of two it is not the sum", where)


def _layout_finding(
    linear: LinearMap, k: int, plain: Array, other: Array, allowed: Allowed
) -> Finding | None:
    at = allowed.differ(plain, other)
    if at is None:
        return None
    contiguous, otherwise = told_apart(plain.flat[at], other.flat[at])
    message = (
        f"{linear.role} depends on the memory layout of its arguments: for contiguous arrays the "
        f"{linear.what(k)} is {contiguous} at {linear.label(k, at)}, otherwise {otherwise}"
    )
    return Finding("contract", linear.input(k), "depends-on-memory-layout", message)


def _nonlinear(linear: LinearMap, k: int, what: str, at: int) -> Finding:
    message = f"{linear.what(k)} is not linear in {linear.argument}: {what} (at {linear.label(k, at)})"
    return Finding("contract", linear.input(k), f"nonlinear-in-{linear.word}", message)
