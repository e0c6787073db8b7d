r"""Another implementation of the same mathematics, with its own derivative, in the place of differences.

With :math:`g` what backward returns and :math:`r` the gradient of the reference, at the same inputs and for
the same upstream gradient, as their own dtypes round them, but computed in float64, an entry is right where

.. math:: |g_j - r_j| \le \text{rounding}(g_j) + \text{rounding}(r_j) + \text{rtol} \cdot \max(|g_j|, |r_j|) .

There is no truncation. Rounding is measured, on both sides: it is what the gradients scatter by at points so
close that they should not. First the values of both forward functions are compared, for gradients of
different functions have no reason to agree.

Where both sides differ, forward itself is asked, by differences: at a kink two subgradients may both be
right, and a reference may be the one that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlab.checks.claims import Claims, claims_of
from gradlab.checks.criteria import Criteria
from gradlab.checks.directions import Directions, movable
from gradlab.checks.found import Compared
from gradlab.checks.judge import judge
from gradlab.checks.plan import plan
from gradlab.checks.precision import find_imprecise
from gradlab.checks.probes import Probes
from gradlab.checks.probing import probe
from gradlab.checks.rows import Rows
from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.scales import scales
from gradlab.numerics.table import WHOLE
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.returned import read_gradients
from gradlab.report import Finding
from gradlab.rule import Rule
from gradlab.words import told_apart

__tracebackhide__ = is_deliberate

ASKED = 64  # entries at a time that forward is asked about: if all of them are wrong, so are the others


def compare_with_reference(
    problem: Problem,
    gradients: dict[int, Array],
    reference: Rule,
    *,
    rtol: float,
    atol: float,
    seed: int,
) -> tuple[list[Compared], list[Finding]]:
    """Compare the outputs with those of a reference, and where these are the same, every gradient.

    Parameters
    ----------
    problem : Problem
        The point.
    gradients : dict of int to Array
        What backward returned.
    reference : Rule
        The reference.
    rtol, atol : float
        The disagreement that the caller does not care about.
    seed : int
        Draws directions, where differences are taken.

    Returns
    -------
    compared : list of Compared
        Every entry by itself; beside kinks, the probes of differences in which many move, too. None where
        the outputs differ.
    findings : list of Finding
        Of kind ``wrong-value``, and of kind ``wrong-reference`` where forward agrees with backward, and not
        with the reference.

    Raises
    ------
    UsageError
        When the reference cannot be evaluated there, or its output has another form.
    """
    witness = reference_problem(problem, reference)
    wrong_value = _wrong_value(problem, witness, rtol=rtol)
    if wrong_value is not None:
        return [], [wrong_value]
    criteria = Criteria(problem, rtol=rtol, atol=atol)
    compared, findings = _compare_gradients(criteria, gradients, witness, seed=seed)
    return [compared], findings


def reference_problem(problem: Problem, reference: Rule) -> Problem:
    """Return a reference made ready at the point of another problem, in float64.

    Raises
    ------
    UsageError
        When the reference cannot be evaluated there, or its output has another form.
    """
    try:
        witness = Problem(
            reference.forward,
            reference.backward,
            problem.arguments.in_float64(),
            cached=reference.cached,
            convention=reference.convention,
        )
    except (UsageError, RuleRaised) as error:
        raise UsageError(f"reference: {error}") from error.__cause__
    given, expected = (
        f"{' and '.join(map(str, form.shapes))}{', complex' * any(form.paired)}"
        for form in (witness.form, problem.form)
    )
    if given != expected:
        raise UsageError(
            f"reference: its forward returns an output of shape {given}; expected {expected}, as of forward"
        )
    return witness


def _wrong_value(problem: Problem, witness: Problem, *, rtol: float) -> Finding | None:
    """Return a finding where both forward functions do not return the same."""
    value, expected = problem.output, witness.output
    kept = np.ones(value.shape, dtype=bool) if problem.left_out is None else ~problem.left_out
    missing = ~np.isfinite(expected) if witness.left_out is None else witness.left_out
    allowed = rtol * scales(np.where(missing, 0.0, expected))
    wrong = kept & (missing | ~(np.abs(value - expected) <= allowed))
    if wrong.any():
        allowed = allowed + WHOLE * (problem.noise + witness.noise)
        wrong &= missing | ~(np.abs(value - expected) <= allowed)
    if not wrong.any():
        return None
    k = int(np.argmax(np.where(wrong, np.abs(value - expected) / allowed, -1.0)))
    given, there = told_apart(value[k], expected[k])
    there = "nothing finite" if missing[k] else there
    count = "" if value.size == 1 else f"at {wrong.sum()} of {value.size} outputs; "
    message = (
        f"forward is not what the reference computes: {count}output entry {k} is {given}, and the "
        f"reference gives {there}; gradients were not compared"
    )
    return Finding("reference", None, "wrong-value", message)


def _compare_gradients(
    criteria: Criteria, gradients: dict[int, Array], witness: Problem, *, seed: int
) -> tuple[Compared, list[Finding]]:
    """Compare every entry of every gradient that backward returned with that of a reference."""
    problem, claims = criteria.problem, claims_of(criteria.problem, gradients)
    exact = Claims(
        witness, claims.upstreams, tuple(_gradients(problem, witness, u) for u in claims.upstreams)
    )
    entries = {i: movable(problem, i) for i in gradients}
    rows = _rows(criteria, Directions.of(problem, entries), claims, exact)
    rows.right |= (rows.size == 0).all(axis=1)  # two zeros say the same
    criteria.settle(rows, rows.open, criteria.agrees(rows))
    rows.error_bar += _rounding(rows, claims)
    criteria.settle(rows, rows.open, criteria.agrees(rows))
    differs = criteria.differs(rows).any(axis=1)
    doubtful = _ask_forward(criteria, rows, np.flatnonzero(rows.open & differs))
    _ask_about_the_rest(criteria, rows, np.flatnonzero(rows.open & ~differs)[:ASKED])
    wrong = np.flatnonzero(rows.wrong)
    find_imprecise(criteria, rows, wrong, rows.error_bar[wrong])
    found = []
    for i in gradients:
        probes = Probes(i, rows, rows.directions.of_inputs.get(i, slice(0, 0)), entries[i].size)
        probes.resolution, probes.too_small = _resolution(criteria, probes), int(probes.small.sum())
        found.append(probes)
    if rows.kinked.any() and not rows.wrong.any():
        # Each of two tied entries may be right by itself, and both together wrong.
        differences, _ = probe(criteria, claims, plan(problem, claims, rtol=criteria.rtol, seed=seed))
        found += [p for p in differences if p.position is None or not p.by_entry]
    compared = Compared("backward", criteria, claims, tuple(found))
    return compared, list(_contradictions(problem, rows, doubtful))


def _gradients(problem: Problem, witness: Problem, upstream: Array) -> dict[int, Array]:
    """Return the gradients of the reference, in float64."""
    try:
        returned = witness.call_backward(upstream)
    except RuleRaised as error:
        raise UsageError(f"reference: {error}") from error.__cause__
    gradients, findings = read_gradients(witness, returned)
    concerned = [f for f in findings if f.input is None or f.input in {problem.names[i] for i in problem.wrt}]
    if concerned:
        raise UsageError(f"reference: {concerned[0].message}")
    return gradients


def _rows(criteria: Criteria, directions: Directions, claims: Claims, exact: Claims) -> Rows:
    """Return both sides along every entry; the error bar is the rounding of the reference."""
    problem = criteria.problem
    claim, value = (
        np.stack([directions.project(g) for g in both.gradients], axis=1) for both in (claims, exact)
    )
    table = directions.table(problem, claims.upstreams)
    table.seen[:] = True
    # Where every derivative vanishes, the output itself is the scale of what its rounding may leave.
    output = np.abs(claims.upstreams) @ np.abs(problem.output)
    rows = Rows(
        directions=directions,
        claims=claims,
        claim=claim,
        terms=np.abs(claim),
        value=value,
        error_bar=np.zeros_like(claim),
        table=table,
        scale=np.broadcast_to(output, claim.shape),
    )
    rows.error_bar = _rounding(rows, exact)
    return rows


def _rounding(rows: Rows, claims: Claims) -> Array:
    """Return what gradients are rounded by along each row: all that they scatter by, where that is all.

    Of an input whose gradient vanishes, two roundings that happen to be equal are no agreement.
    """
    directions = rows.directions
    rounding, scatter, size = (
        np.stack([of(part) for part in parts], axis=1)
        for of, parts in (
            (directions.spread, claims.rounding),
            (directions.spread, claims.changes),
            (directions.project, claims.gradients),
        )
    )
    for i in dict.fromkeys(directions.position.tolist()):
        mine = directions.position == i
        most = scatter[mine].max(axis=0)
        vanishes = np.abs(size[mine]).max(axis=0) <= most
        rounding[mine] = np.where(vanishes, most, rounding[mine])
    return rounding


def _ask_forward(criteria: Criteria, rows: Rows, suspects: Indices) -> Indices:
    """Ask forward, by differences, where both sides differ, those that differ most first.

    What forward cannot tell is wrong, for the reference can; what no call is left to ask about is unprobed.

    Returns
    -------
    array of int
        The rows along which forward agrees with backward and contradicts the reference, at no kink.
    """
    differ = (rows.gap / rows.size)[suspects].max(axis=1, initial=0.0)
    suspects = suspects[np.argsort(-differ, kind="stable")]
    doubtful: list[int] = []
    while suspects.size:
        asked, rest = np.sort(suspects[:ASKED]), suspects[ASKED:]
        shown = judge(criteria, rows.directions.some(asked), rows.claims)
        kinked = asked[shown.kinked]
        rows.kinks.found[kinked], rows.kinks.swing[kinked] = True, shown.kinks.swing[shown.kinked]
        rows.kinks.room[kinked] = shown.kinks.room[shown.kinked]
        # Of the slopes between those on both sides, the reference gives one.
        rows.error_bar[kinked] = np.fmax(rows.error_bar, np.abs(rows.kinks.swing))[kinked]
        rows.right[asked[shown.right & shown.kinked]] = True
        # Differences may agree with both sides: only what they contradict is wrong.
        apart = np.abs(shown.value - rows.value[asked])
        allowed = shown.error_bar + (rows.error_bar + criteria.tolerance(rows))[asked]
        contradicted = shown.right & ~shown.kinked & (apart > allowed).any(axis=1)
        doubtful += asked[contradicted].tolist()
        right = contradicted | (shown.right & shown.kinked)
        spent = criteria.problem.calls_left < 2
        rows.wrong[asked[shown.wrong if spent else ~right]] = True
        if rows.wrong[asked].all():
            rows.wrong[rest] = True
            break
        if spent:
            rows.table.seen[suspects[rows.open[suspects]]] = False
            break
        suspects = rest
    return np.array(doubtful, dtype=np.intp)


def _ask_about_the_rest(criteria: Criteria, rows: Rows, chosen: Indices) -> None:
    """Take forward's word where the reference is rounded too much to tell."""
    if not chosen.size or not criteria.problem.affords(2 * chosen.size):
        return
    shown = judge(criteria, rows.directions.some(chosen), rows.claims)
    rows.take_over(chosen, shown, np.arange(chosen.size))


def _resolution(criteria: Criteria, probes: Probes) -> float | None:
    """Return what the probes of an input were certain to catch, relative to a claim."""
    rows = probes.rows
    difference = np.where(rows.right[:, np.newaxis], rows.gap, 0.0)
    caught = rows.error_bar + criteria.tolerance(rows) + criteria.floor_of_parts(rows) + difference
    size = np.abs(rows.claim)
    right: Mask = (rows.right | rows.wrong) & (size > 0).any(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(size > 0, caught / size, np.inf).min(axis=1)
    seen = relative[probes.which][right[probes.which]]
    return float(seen.max()) if seen.size else None


def _contradictions(problem: Problem, rows: Rows, doubtful: Indices) -> Iterator[Finding]:
    """Say of each input where forward agrees with backward, and not with the reference."""
    for i in dict.fromkeys(rows.directions.position[doubtful].tolist()):
        row = next(k for k in doubtful.tolist() if rows.directions.position[k] == i)
        index = np.unravel_index(int(rows.directions.entries[row]), problem.value(i).shape)
        length = rows.directions.divisors[row]
        given, expected = (float(side[row].sum() / length) for side in (rows.claim, rows.value))
        by_backward, by_reference = told_apart(given, expected)
        message = (
            f"the reference's gradient of {problem.names[i]} is not that of forward: at "
            f"{problem.arguments.label(i, tuple(map(int, index)))} it gives {by_reference}, where backward "
            f"gives {by_backward}, and so do central differences of forward"
        )
        yield Finding("reference", None, "wrong-reference", message)
