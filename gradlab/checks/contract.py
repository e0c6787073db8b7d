"""What can be wrong with a rule without any differences: how its functions behave when they are called.

Neither function writes to what it is given, both answer the same when called again and for arrays that are
not contiguous, and backward is linear in the upstream gradient. "The same" is meant up to rounding: a sum may
be taken in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.point.outputs import flatten
from gradlab.point.problem import Problem, RuleRaised
from gradlab.point.returned import read_gradients
from gradlab.report import Finding

Gradients = dict[int, Array]

CALLS = 2  # of forward
ZERO = 1e4  # roundings of the gradient; backward(0) is a product with zero, and exact but for odd formulas
ADDITIVE = 1e-3  # of the gradient: terms that cancel inside backward leave their rounding in a sum


def check_contract(problem: Problem, gradients: Gradients) -> tuple[list[Finding], list[str]]:
    """Call both functions again in several ways.

    Parameters
    ----------
    problem : Problem
        The point; forward and backward have been called there once, and watched.
    gradients : dict of int to Array
        What backward returned.

    Returns
    -------
    findings : list of Finding
        Of kind ``mutates-input``, ``mutates-upstream``, ``not-deterministic``, ``ignores-upstream``,
        ``nonlinear-in-upstream``, ``depends-on-memory-layout``, and ``backward-raises`` for another upstream.
    notes : list of str
        What is no defect but worth knowing, such as a function that refuses some arrays.
    """
    findings = list(_mutations(problem))
    if findings or not problem.affords(CALLS):
        return findings, []  # what is spoiled once answers no second question
    findings += _repeated(problem, gradients)
    if findings:
        return findings, []
    findings += _linearity(problem, gradients)
    scattered, notes = _memory_layout(problem, gradients)
    return findings + scattered, notes


def _mutations(problem: Problem) -> Iterator[Finding]:
    for role, what in problem.changed:
        if what == "grad_output":
            yield Finding("contract", None, "mutates-upstream", f"{role} writes to grad_output, its argument")
        else:
            name = what if what in problem.names else None
            yield Finding("contract", name, "mutates-input", f"{role} writes to {what}, which it was given")


def _repeated(problem: Problem, gradients: Gradients) -> Iterator[Finding]:
    """Call each function once more with the same arguments."""
    try:
        _, outputs, cache = problem.call_forward()
    except (RuleRaised, UsageError) as error:
        yield Finding("contract", None, "not-deterministic", f"called again at the same point, {error}")
        return
    again = flatten(outputs)
    k = _first_difference(problem, problem.given_output, again)
    if k is not None:
        message = (
            "forward is not deterministic: called twice with the same inputs, output entry "
            f"{k} is {problem.given_output.flat[k]:.6g} and then {_at(again, k)}; gradients were not compared"
        )
        yield Finding("contract", None, "not-deterministic", message)
        return
    try:
        second, _ = read_gradients(problem, problem.call_backward(cache=(cache,)))
    except RuleRaised as error:
        yield Finding("contract", None, "not-deterministic", f"called again at the same point, {error}")
        return
    for i, gradient in gradients.items():
        k = _first_difference(problem, gradient, second.get(i))
        if k is not None:
            name = problem.names[i]
            message = (
                "backward is not deterministic: called twice with the same arguments, the gradient of "
                f"{name} is {gradient.flat[k]:.6g} and then {_at(second.get(i), k)} at flat index {k}"
            )
            yield Finding("contract", name, "not-deterministic", message)


def _linearity(problem: Problem, gradients: Gradients) -> Iterator[Finding]:
    """Compare backward at 0, −2u, and u + v with what linearity makes of it."""
    u = problem.grad_output
    v = problem.form.rounded(np.random.default_rng(1).uniform(0.5, 1.5, u.size) * np.roll(u, 1))
    close = np.sqrt(problem.given_eps)
    try:
        linear = dict(gradients)  # as far as is known
        for i, answer in _answer(problem, gradients, np.zeros_like(u)).items():
            size = _largest(gradients[i])
            if _largest(answer) > ZERO * problem.given_eps * size:
                del linear[i]
                doubled = _answer(problem, gradients, -2 * u).get(i, answer)
                if _largest(doubled - gradients[i]) <= close * size:
                    message = f"gradient of {problem.names[i]} does not depend on grad_output: multiply by it"
                    yield Finding("contract", problem.names[i], "ignores-upstream", message)
                else:
                    k = int(np.argmax(np.abs(answer)))
                    yield _nonlinear(
                        problem, i, f"for grad_output = 0 it is {answer.flat[k]:.6g}, expected 0", k
                    )
        for i, answer in _answer(problem, linear, -2 * u).items():
            error = answer + 2 * gradients[i]
            if _largest(error) > close * 2 * _largest(gradients[i]):
                k = int(np.argmax(np.abs(error)))
                what = (
                    f"for −2 × grad_output it is {answer.flat[k]:.6g}, "
                    f"expected −2 × {gradients[i].flat[k]:.6g}"
                )
                yield _nonlinear(problem, i, what, k)
                del linear[i]
        remainder = _answer(problem, linear, problem.form.rounded(u + v))
        for i, answer in _answer(problem, linear, v).items():
            largest = max(_largest(gradients[i]), _largest(answer))
            if i not in remainder:
                continue
            remainder[i] -= answer
            remainder[i] -= gradients[i]
            if _largest(remainder[i]) > max(ADDITIVE, 32 * problem.given_eps) * largest:
                k = int(np.argmax(np.abs(remainder[i])))
                yield _nonlinear(problem, i, "for a sum of two it is not the sum", k)
    except RuleRaised as error:
        yield Finding("contract", None, "backward-raises", f"for another upstream gradient, {error}")


def _answer(problem: Problem, gradients: Gradients, upstream: Array) -> Gradients:
    """Return what backward makes of another upstream gradient, where it can be compared."""
    returned, _ = read_gradients(problem, problem.call_backward(upstream))
    return {
        i: returned[i]
        for i, gradient in gradients.items()
        if i in returned and np.isfinite(returned[i]).all() and np.isfinite(gradient).all()
    }


def _largest(array: Array) -> float:
    return max(float(array.max(initial=0.0)), -float(array.min(initial=0.0)))


def _nonlinear(problem: Problem, i: int, what: str, k: int) -> Finding:
    index = tuple(int(axis) for axis in np.unravel_index(k, problem.value(i).shape))
    where = problem.arguments.label(i, index)
    message = f"gradient of {problem.names[i]} is not linear in grad_output: {what} (at {where})"
    return Finding("contract", problem.names[i], "nonlinear-in-upstream", message)


def _memory_layout(problem: Problem, gradients: Gradients) -> tuple[list[Finding], list[str]]:
    """Call both functions with arrays that are not contiguous in memory."""
    findings: list[Finding] = []
    if max(problem.form.size, *(problem.value(i).size for i in problem.wrt)) <= 1:
        return [], []  # one number is always contiguous
    try:
        _, outputs, cache = problem.call_forward(scattered=True)
    except (RuleRaised, UsageError) as error:
        return [], [f"with inputs that are not contiguous in memory, {error}"]
    k = _first_difference(problem, problem.given_output, flatten(outputs))
    if k is not None:
        message = (
            "forward depends on the memory layout of its inputs: for contiguous arrays, output entry "
            f"{k} is {problem.given_output.flat[k]:.6g}, otherwise {_at(flatten(outputs), k)}"
        )
        return [Finding("contract", None, "depends-on-memory-layout", message)], []
    try:
        returned, _ = read_gradients(problem, problem.call_backward(scattered=True, cache=(cache,)))
    except RuleRaised as error:
        return [], [f"with arrays that are not contiguous in memory, {error}"]
    for i, gradient in gradients.items():
        k = _first_difference(problem, gradient, returned.get(i))
        if k is not None:
            name = problem.names[i]
            message = (
                f"backward depends on the memory layout of its arguments: for contiguous arrays the gradient "
                f"of {name} is {gradient.flat[k]:.6g} at flat index {k}, otherwise {_at(returned.get(i), k)}"
            )
            findings.append(Finding("contract", name, "depends-on-memory-layout", message))
    return findings, []


def _first_difference(problem: Problem, one: Array, other: Array | None) -> int | None:
    """Return where two answers differ by more than rounding can, or ``None``."""
    if other is None or other.shape != one.shape:
        return 0
    if not one.size:
        return None
    both = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(both, np.isfinite(one) | np.isfinite(other)):
        return int(np.argmax(~both & (np.isfinite(one) | np.isfinite(other))))
    size = float(np.abs(one).max(initial=0.0, where=both))
    differ = both & (np.abs(one - other) > np.sqrt(problem.given_eps) * size)
    return int(np.argmax(differ)) if differ.any() else None


def _at(answer: Any, k: int) -> str:
    return (
        f"{answer.flat[k]:.6g}" if answer is not None and k < answer.size else "missing, or of another shape"
    )
