"""The catalogue in forward mode: right rules are right, and defects wrong, by differences of their own.

Nothing of gradlab's engine is used here: five-point differences on both sides of the point, of every output
along every entry, so that a kink gives the interval in which every right slope lies.
"""

import copy

import numpy as np
import pytest

from gradlab.mutants import catalogue
from gradlab.mutants.runner import point

SEEDS = range(3)
STENCIL = np.array([48, -36, 16, -3]) / 12  # f'(0) h = Σ c_k (f(kh) − f(0)) + O(h⁵)
CASES = [case for case in catalogue() if case.forward_mode]
LONG, SHORT = 1e-3, 1e-8  # steps; the short one for what has a kink 1e-7 beside a number


def vector(returned):
    parts = returned if isinstance(returned, tuple) else (returned,)
    return np.concatenate([np.asarray(part, float).ravel() for part in parts])


def forward_of(case, inputs):
    returned = case.forward(*inputs)
    return vector(returned[0] if case.cached else returned)


def pushed(case, defect, inputs, tangents, elsewhere=None):
    """Return what jvp gives; with ``elsewhere``, after forward was called there."""
    forward, jvp = case.functions(defect)
    inputs, tangents = copy.deepcopy(inputs), copy.deepcopy(tangents)
    arguments = inputs
    if case.cached:
        arguments = (forward(*inputs)[1],)
        if elsewhere is not None:
            forward(*elsewhere)
    with np.errstate(all="ignore"):
        return jvp(tangents[0] if len(tangents) == 1 else tangents, *arguments)


def some_entries(inputs, rng):
    for i, x in enumerate(inputs):
        chosen = range(x.size) if x.size <= 100 else [0, 49, 31 * 50 + 17, *rng.integers(x.size, size=5)]
        yield from ((i, int(k)) for k in chosen)


def unit(inputs, i, k):
    tangents = [np.zeros_like(x) for x in inputs]
    tangents[i].flat[k] = 1
    return tuple(tangents)


def slopes(case, inputs, i, k, step):
    """Return both one-sided slopes of every output along one entry, in float64."""

    def at(t):
        moved = [np.array(x, float) for x in inputs]
        moved[i].flat[k] += t
        return forward_of(case, moved)

    start = at(0.0)
    sides = [
        sum(c * (at(s * n * step) - start) for n, c in enumerate(STENCIL, 1)) / (s * step) for s in (1, -1)
    ]
    return np.sort(sides, axis=0)


def disagreement(case, defect, inputs, rng):
    """Return by how much jvp leaves the slopes of both sides, relative to the tolerance; at worst."""
    worst, single = 0.0, inputs[0].dtype == np.float32
    step, rtol = (SHORT if case.name == "relu_jvp" else LONG), (1e-5 if single else 1e-7)
    for i, k in some_entries(inputs, rng):
        low, high = slopes(case, inputs, i, k, step)
        claim = vector(pushed(case, defect, inputs, unit(inputs, i, k)))
        if claim.shape != low.shape:
            return np.inf
        tolerance = rtol * (np.abs(low) + np.abs(high)) + 1e-15 / step
        worst = max(worst, ((low - claim) / tolerance).max(), ((claim - high) / tolerance).max())
    return worst


def shape_of(returned):
    return tuple(part.shape for part in returned) if isinstance(returned, tuple) else returned.shape


def tangents_of(inputs, rng):
    return tuple(rng.uniform(1, 2, x.shape).astype(x.dtype) for x in inputs)


def has_another_form(case, defect, inputs, rng):
    tangents = tangents_of(inputs, rng)
    returned = case.forward(*inputs)
    return shape_of(pushed(case, defect, inputs, tangents)) != shape_of(
        returned[0] if case.cached else returned
    )


def writes_to_tangents(case, defect, inputs, rng):
    tangents = tangents_of(inputs, rng)
    given = copy.deepcopy(tangents)
    _, jvp = case.functions(defect)
    arguments = (case.functions(defect)[0](*inputs)[1],) if case.cached else inputs
    jvp(given[0] if len(given) == 1 else given, *arguments)
    return not all(map(np.array_equal, given, tangents))


def is_stale(case, defect, inputs, rng):
    tangents, elsewhere = tangents_of(inputs, rng), tuple(x + 1 for x in inputs)
    here = vector(pushed(case, defect, inputs, tangents))
    return not np.allclose(here, vector(pushed(case, defect, inputs, tangents, elsewhere)))


def is_not_linear_or_wrong(case, defect, inputs, rng):
    tangents = tangents_of(inputs, rng)
    plus, minus = (vector(pushed(case, defect, inputs, [s * t for t in tangents])) for s in (1, -1))
    return not np.allclose(plus, -minus) or disagreement(case, defect, inputs, rng) > 1


BREAKS = {
    "gradient": is_not_linear_or_wrong,
    "shape": has_another_form,
    "count": has_another_form,
    "arguments": writes_to_tangents,
    "stale": is_stale,
}


def test_there_are_a_dozen_defects_and_more():
    assert sum(len(case.defects) for case in CASES) >= 12


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_right_rule_agrees_with_one_sided_differences(case):
    for seed in SEEDS:
        assert disagreement(case, None, point(case, seed), np.random.default_rng(seed)) <= 1


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_defect_is_wrong_in_the_way_that_it_declares(case, seed):
    inputs = point(case, seed)
    breaks = {
        defect.name: BREAKS[defect.breaks](case, defect, inputs, np.random.default_rng(seed))
        for defect in case.defects
    }
    assert breaks == dict.fromkeys(breaks, True)
    # The same question asked of the right rule is answered with no.
    assert not any(broken(case, None, inputs, np.random.default_rng(seed)) for broken in BREAKS.values())
