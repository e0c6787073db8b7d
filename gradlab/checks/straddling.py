"""Kinks that one difference straddles: seen in the middle of two slopes, or in a few outputs of many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import Joint
from gradlab.checks.kinks import Sides
from gradlab.checks.one_difference import UNKNOWN_NOISE, one_difference
from gradlab.checks.reading import Claim, Reading
from gradlab.checks.upstream import Upstream
from gradlab.numerics import Array
from gradlab.numerics.differences import Sample, cheap_step, norm
from gradlab.numerics.extrapolation import RATIO
from gradlab.point.problem import RuleRaised
from gradlab.point.returned import read_gradients

STRADDLING = 1e-2  # second difference of an output, relative to its first: a kink, not curvature
# Of the first difference that outputs usually have: one that has none is then not taken for kinked because it
# is curved, which at the usual step adds half of this.
BENT = 3e-4
ROUNDINGS = 16  # of an output: second differences below it are none
FEW = 0.01  # of the outputs may straddle a kink and be left out
MOST = 0.5  # of the claim has to stay: an entry by itself among many outputs may be curved, not kinked


def looks_bent(reading: Reading) -> npt.NDArray[np.bool_]:
    """Return where one difference lies in the middle of two that differ: at a kink, or by curvature."""
    missing = reading.slope - np.abs(reading.numeric)
    return np.asarray((missing > STRADDLING * reading.slope).any(axis=-1))


def sides_of_a_difference(upstream: Upstream, sample: Sample, reading: Reading) -> Sides | None:
    """Return the slopes on both sides where they differ as much closer to the point; ``None`` by curvature.

    A gradient in the middle of a kink agrees with one difference at once. Curvature looks like a kink at
    first, but its slopes come together as the step shrinks.
    """
    problem = upstream.problem
    plus, minus, width = sample(cheap_step(problem.eps) * RATIO**2)
    if width == 0:
        return None
    right, left = (
        upstream.contract(side - problem.output) * (sign * 2 / width)
        for side, sign in ((plus, 1), (minus, -1))
    )
    first = reading.slope - np.abs(reading.numeric)
    off = 2 * problem.eps * upstream.rounding(plus != minus) / width
    if not (np.abs(right - left) / 2 > first / 2 + UNKNOWN_NOISE * off).any():
        return None
    return Sides(np.minimum(left, right), np.maximum(left, right), bool(right.sum() > left.sum()))


def without_straddling(
    upstream: Upstream, direction: Joint, plus: Array, minus: Array, width: Array
) -> Reading | None:
    """Leave the few outputs that straddle a kink out of the upstream gradient, and compare again."""
    problem = upstream.problem
    if upstream.labels is not None or FEW * problem.form.size < 1:
        return None
    second = np.abs(plus + minus - 2 * problem.output)
    first = np.abs(plus - minus)
    # A jump between slopes stands out beside the slopes of other outputs too, which curvature where an
    # output has none does not.
    usual = norm(first) / np.sqrt(first.size)
    visible = np.maximum(STRADDLING * first, BENT * usual)
    visible = np.maximum(visible, ROUNDINGS * problem.eps * np.abs(problem.output))
    straddling = second > visible
    if not 0 < straddling.sum() <= FEW * problem.form.size:
        return None
    kept = np.where(straddling, 0.0, problem.grad_output)
    try:
        gradients, _ = read_gradients(problem, problem.call_backward(kept))
    except RuleRaised:
        return None
    if gradients.keys() != upstream.gradients[0].keys():
        return None
    plus, minus = (np.where(straddling, problem.output, side) for side in (plus, minus))
    claim = Claim(np.array([direction.project(gradients)]), np.array([direction.spread(gradients)]))
    if claim.size[0] < MOST * direction.spread(upstream.gradients[0]):
        return None
    reading = one_difference(upstream, claim, plus, minus, width)
    return replace(reading, gradients=(gradients,), left_out=int(straddling.sum()))
