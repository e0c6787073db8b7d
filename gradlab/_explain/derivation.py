"""Any small rule, written out: the blocks of its Jacobian, their contraction, and what backward returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab._explain.layout import digits, factor, labelled, number
from gradlab.checks.jacobian import contract, full_jacobian
from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.point.problem import Problem, RuleRaised
from gradlab.point.returned import read_gradients
from gradlab.rule import Rule

PRINTABLE = 600  # entries of all blocks together


def page(rule: Rule, inputs: Any, *, seed: int) -> str:
    """Return the derivation of a rule at one point.

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
            cached=rule.cached,
            convention=rule.convention,
            rng=np.random.default_rng(seed),
        )
        returned = problem.call_backward()
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
    gradients, findings = read_gradients(problem, returned)
    lines = [f"{rule.name}, written out at one small point", ""]
    lines += [
        labelled(name, value) for name, value in zip(problem.names, problem.arguments.values, strict=True)
    ]
    y, u = (vector.reshape(problem.form.shape) for vector in (problem.output, problem.grad_output))
    lines += [labelled("Y", y), labelled("dL/dY", u)]
    for i in problem.wrt:
        lines += ["", *_input(problem, i, u)]
    lines += ["", "The contraction beside what backward returns:", "", *_comparison(problem, gradients)]
    lines += [f"  {finding.message}" for finding in findings]
    return "\n".join(lines)


def _input(problem: Problem, i: int, u: Array) -> list[str]:
    name = problem.names[i]
    jacobian, _ = full_jacobian(problem, i)
    lines = [
        f"Every entry of {name} by itself: its block of the Jacobian, times dL/dY entry by entry, summed."
    ]
    for index in np.ndindex(problem.value(i).shape):
        label = problem.arguments.label(i, index)
        # Central differences leave 1e-12 where there is nothing; six digits are shown.
        block = jacobian[(..., *index)].round(9) + 0.0
        lines += ["", labelled(f"dY/d{label}", block), f"  dL/d{label} = {sum_of_products(u, block)}"]
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
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    return ["  " + "  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
