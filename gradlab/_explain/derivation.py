"""Any small rule, written out: its Jacobian, block by block, beside what backward and jvp return."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab._explain.layout import digits, factor, labelled, number
from gradlab.checks.jacobian import contract, full_jacobian
from gradlab.checks.maps import Answer, LinearMap, backward_map, jvp_map
from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.tangents import parted
from gradlab.report import Finding
from gradlab.rule import Rule

PRINTABLE = 600  # entries of all blocks together


def page(rule: Rule, inputs: Any, *, seed: int) -> str:
    """Return the derivation of a rule at one point.

    Raises
    ------
    UsageError
        When the point has too many entries to print, or a function raises there.
    """
    problem, returned = prepare(rule, inputs, seed=seed)
    lines = [f"{rule.name}, written out at one small point", ""]
    lines += [
        labelled(name, value) for name, value in zip(problem.names, problem.arguments.values, strict=True)
    ]
    y, u = (vector.reshape(problem.form.shape) for vector in (problem.output, problem.grad_output))
    lines.append(labelled("Y", y))
    if rule.backward is not None:
        lines.append(labelled("dL/dY", u))
    for i in problem.wrt:
        lines += ["", *_input(problem, i, u if rule.backward is not None else None)]
    for linear, (answer, findings) in returned:
        if linear.role == "backward":
            lines += ["", "The contraction beside what backward returns:", "", *_comparison(problem, answer)]
        else:
            lines += ["", *_forward_mode(linear, answer)]
        lines += [f"  {finding.message}" for finding in findings]
    return "\n".join(lines)


def prepare(
    rule: Rule, inputs: Any, *, grad_output: Array | None = None, seed: int
) -> tuple[Problem, list[tuple[LinearMap, tuple[Answer, list[Finding]]]]]:
    """Make a small point ready, and read what backward and jvp return there.

    Raises
    ------
    UsageError
        When the point has too many entries to print, or a function raises there.
    """
    try:
        problem = Problem(
            rule.forward,
            rule.backward,
            inputs,
            jvp=rule.jvp,
            cached=rule.cached,
            convention=rule.convention,
            grad_output=grad_output,
            seed=seed,
        )
        maps = [backward_map(problem)] if rule.backward is not None else []
        maps += [jvp_map(problem, np.random.default_rng([seed, 1]))] if rule.jvp is not None else []
        returned = [(linear, linear.read(linear.call(linear.vector))) for linear in maps]
    except RuleRaised as raised:
        raise UsageError(f"{rule.name}: {raised}") from raised.__cause__
    if not np.isfinite(problem.output).all():
        raise UsageError(
            f"{rule.name}: forward returns values that are not finite; expected a point inside its domain"
        )
    entries = problem.output.size * sum(problem.value(i).size for i in problem.wrt)
    if entries > PRINTABLE:
        raise UsageError(
            f"{rule.name}: the Jacobian at this point has {entries} entries; "
            f"expected at most {PRINTABLE}, to be readable"
        )
    return problem, returned


def _input(problem: Problem, i: int, u: Array | None) -> list[str]:
    name = problem.names[i]
    jacobian, _ = full_jacobian(problem, i)
    contracted = "" if u is None else ", times dL/dY entry by entry, summed"
    lines = [f"Every entry of {name} by itself: its block of the Jacobian{contracted}."]
    for index in np.ndindex(problem.value(i).shape):
        label = problem.arguments.label(i, index)
        # Central differences leave 1e-12 where there is nothing; six digits are shown.
        block = jacobian[(..., *index)].round(9) + 0.0
        lines += ["", labelled(f"dY/d{label}", block)]
        if u is not None:
            lines.append(f"  dL/d{label} = {sum_of_products(u, block)}")
    return lines


def sum_of_products(u: Array, block: Array) -> str:
    """Write out ``Σ dL/dY · dY/dx``, the terms that are zero left out.

    >>> sum_of_products(np.array([1.0, 2.0]), np.array([0.0, -3.0]))
    '2 × (-3) = -6'
    """
    pairs = zip(u.ravel(), block.ravel(), strict=True)
    terms = [f"{factor(a)} × {factor(b)}" for a, b in pairs if b != 0]
    total = number(float((u * block).sum()))
    return f"{' + '.join(terms)} = {total}" if terms else "0"


def _comparison(problem: Problem, gradients: dict[int, Array]) -> list[str]:
    rows = [("entry", "contraction", "backward", "digits that agree")]
    for i in problem.wrt:
        jacobian, bars = full_jacobian(problem, i)
        shape = problem.value(i).shape
        contracted = contract(problem.grad_output, jacobian, shape)
        rounding = contract(np.abs(problem.grad_output), bars, shape)
        for index in np.ndindex(shape):
            label = problem.arguments.label(i, index)
            if i not in gradients:
                rows.append((label, number(contracted[index]), "-", "-"))
                continue
            ours, theirs = float(contracted[index]), float(gradients[i][index])
            agree = "all" if abs(ours - theirs) <= rounding[index] < 1e-9 else digits(ours, theirs)
            rows.append((label, number(ours), number(theirs), agree))
    return _aligned(rows)


def _forward_mode(linear: LinearMap, answer: Answer) -> list[str]:
    """Write out for every output entry what its derivatives sum up to along tangents of the inputs."""
    problem, form = linear.problem, linear.problem.form
    tangents = parted(problem, linear.vector)
    jacobians = {i: full_jacobian(problem, i) for i in tangents}
    lines = ["Forward mode: every entry of Y by itself, its derivatives times the tangents, summed.", ""]
    lines += [labelled(f"d{problem.names[i]}", tangent) for i, tangent in tangents.items()]
    lines.append("")
    rows = [("entry", "product", "jvp", "digits that agree")]
    for flat in range(form.size):
        k, index = form.place(flat)
        label = f"d{form.label(k, index)}".replace("doutput", "dY", 1)
        derivatives = {i: j.reshape(form.size, *tangents[i].shape)[flat] for i, (j, _) in jacobians.items()}
        block = np.concatenate([d.ravel() for d in derivatives.values()]).round(9) + 0.0
        lines.append(f"  {label} = {sum_of_products(linear.vector, block)}")
        ours = float(sum(np.vdot(derivatives[i], tangents[i]) for i in tangents))
        bars = (bar.reshape(form.size, -1)[flat] for _, bar in jacobians.values())
        rounding = sum(np.abs(t).ravel() @ bar for t, bar in zip(tangents.values(), bars, strict=True))
        if k not in answer:
            rows.append((label, number(ours), "-", "-"))
            continue
        theirs = float(answer[k][index])
        agree = "all" if abs(ours - theirs) <= rounding < 1e-9 else digits(ours, theirs)
        rows.append((label, number(ours), number(theirs), agree))
    return [*lines, "", "The product beside what jvp returns:", "", *_aligned(rows)]


def _aligned(rows: list[tuple[str, str, str, str]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    return ["  " + "  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
