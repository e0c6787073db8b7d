"""Terms that a gradient may miss: sums of the upstream gradient, and its products with inputs and output."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import methodcaller
from typing import TypeAlias

import numpy as np

from gradlab.checks.evidence import Evidence, Numbers
from gradlab.checks.factors import near

Term: TypeAlias = Callable[[Evidence], list[Numbers]]

Factor: TypeAlias = Callable[[Evidence], Numbers]

MOST_FACTORS = 2  # besides the upstream gradient
NOTHING = 1e-12  # of the terms of a sum: what is left of it by rounding alone
DECIMALS = 6  # of a coefficient that is called by a round number


def terms(e: Evidence) -> dict[str, Term]:
    """Return the terms that are tried, by what they are in words: functions that give one array per upstream.

    They are linear in the upstream gradient, as every gradient is, and of the input's shape.
    """
    problem = e.problem
    output = problem.form.shapes[0]
    if problem.form.several or output != e.shape[: len(output)]:
        return {}
    factors: dict[str, Factor] = {
        problem.names[i]: methodcaller("value", i) for i in problem.wrt if e.value(i).shape in ((), e.shape)
    }
    factors["output"] = lambda e: _spread(e, e.own_output)
    for name, factor in list(factors.items()):
        if np.iscomplexobj(factor(e)):
            factors[f"{name}.conj()"] = partial(_conjugate, factor)
    found: dict[str, Term] = {}
    for count in range(MOST_FACTORS + 1):
        for names in itertools.combinations_with_replacement(factors, count):
            chosen = tuple(factors[name] for name in names)
            found[" * ".join(["grad_output", *names])] = _product(chosen)
    for axis in range(len(output) if output == e.shape else 0):
        found[f"grad_output.sum(axis={axis}, keepdims=True)"] = _sum_along(axis)
    return found


def fitted_coefficient(e: Evidence, term: Term) -> float | None:
    """Return how often a term is missing, from the derivative that most clearly misses something."""
    if e.gradients is None:
        return None
    missing = e.numeric - e.along(e.gradients)
    found = term(e)
    there = e.along(found)
    size = np.stack([e.directions.spread({e.position: e.in_real_numbers(t)}) for t in found], axis=1)
    there[np.abs(there) <= NOTHING * size] = 0.0  # what cancels along a direction is rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        clarity = np.abs(missing) / (e.error_bar + np.finfo(np.float64).tiny) * (there != 0)
    k = np.unravel_index(int(np.argmax(clarity)), clarity.shape)
    if not there[k] or abs(missing[k]) <= e.error_bar[k]:
        return None
    coefficient = float(missing[k] / there[k])
    rounded = round(coefficient, DECIMALS)
    return rounded if rounded and near(coefficient, rounded) else coefficient


def _conjugate(factor: Factor, e: Evidence) -> Numbers:
    return np.conj(factor(e))


def _product(factors: Sequence[Factor]) -> Term:
    def term(e: Evidence) -> list[Numbers]:
        upstreams = (_spread(e, u) for u in e.own_upstreams)
        products = (reduce(np.multiply, (f(e) for f in factors), u) for u in upstreams)
        return [np.broadcast_to(product, e.shape) for product in products]

    return term


def _sum_along(axis: int) -> Term:
    def term(e: Evidence) -> list[Numbers]:
        return [np.broadcast_to(u.sum(axis=axis, keepdims=True), e.shape) for u in e.own_upstreams]

    return term


def _spread(e: Evidence, array: Numbers) -> Numbers:
    """Return an output, or an upstream gradient, with axes of size 1 for those that forward reduces."""
    return array.reshape(array.shape + (1,) * (len(e.shape) - array.ndim))
