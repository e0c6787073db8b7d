"""Why a gradient is wrong: causes that were tested, never guessed.

A hypothesis predicts the right gradient from the wrong one. It is named only if the prediction agrees with
what forward shows along every direction that was looked at, for two upstream gradients, within the error
bars; with two more derivatives that are certainly not zero than it has free constants; and again at a second
point nearby, so that no accident of the first one (equal values, a square shape that hides a transpose) is
taken for a cause. Where no such hypothesis holds, the wrong entries themselves are described, if they have
something in common. Otherwise nothing is said.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from gradlab.checks.descriptions import describe, not_finite, wrong_together
from gradlab.checks.evidence import LARGE, MORE_THAN_CONSTANTS, Evidence, entries_and_joint, gather
from gradlab.checks.hypotheses import HYPOTHESES, Hypothesis
from gradlab.checks.locate import Region
from gradlab.checks.nearby import mirrored, nearby
from gradlab.point.problem import Problem
from gradlab.report import Cause, Finding

# Kinds of findings that say why by themselves.
OWN_CAUSE = (
    "accumulated",
    "ignores-upstream",
    "nonlinear-in-upstream",
    "precision",
    "ignores-tangents",
    "nonlinear-in-tangents",
    "jvp-precision",
)
PART = 0.01  # of what is wrong: what a hypothesis leaves of it, at most. A defect of few rtol fits many
FEW = 4  # entries that are wrong in a large input
WRONG = {"backward": ("wrong-gradient", "gradient-shape"), "jvp": ("wrong-jvp",)}
NOT_FINITE = "not-finite"


def own_causes(findings: Sequence[Finding]) -> list[Cause]:
    """Return the causes that findings name themselves."""
    return [Cause(f.kind, f.message, f.input) for f in findings if f.kind in OWN_CAUSE]


def find_causes(
    problem: Problem,
    findings: Sequence[Finding],
    regions: Mapping[int, Region],
    *,
    rtol: float,
) -> list[Cause]:
    """Return why gradients are wrong, as far as it can be proven.

    Parameters
    ----------
    problem : Problem
        The point; for a jvp, `TransposedJvp`.
    findings : sequence of Finding
        What is wrong there.
    regions : mapping of int to Region
        Which entries are wrong, by input, where that is known.
    rtol : float
        The relative disagreement that the caller does not care about.

    Returns
    -------
    list of Cause
        At most one for each input, of those that the findings do not name themselves.
    """
    causes: list[Cause] = []
    kinds = WRONG[problem.role]
    nonfinite = {f.input for f in findings if f.kind == NOT_FINITE}
    explained = {cause.input for cause in own_causes(findings)} | nonfinite
    wrong = {f.input for f in findings if f.kind in kinds}
    jointly = any(f.kind == kinds[0] and f.input is None for f in findings)
    for i in problem.wrt:
        name, cause = problem.names[i], None
        if not problem.value(i).size:
            continue
        if name in wrong - explained:
            cause = _cause(problem, i, regions.get(i), wrong, rtol=rtol)
        elif jointly:
            cause = wrong_together(problem, i, rtol=rtol)
        elif name in nonfinite:
            cause = not_finite(problem, i)
        if cause is not None:
            causes.append(cause)
    return causes


def _cause(
    problem: Problem, position: int, region: Region | None, wrong_inputs: set[str | None], *, rtol: float
) -> Cause | None:
    """Return the first hypothesis that is proven, or else what the wrong entries have in common."""
    rng = np.random.default_rng(0)
    if region is not None and region.mask.size > LARGE and region.mask.sum() < FEW:
        return None  # what a hypothesis says of nearly all entries is not seen at these
    wrong = [] if region is None else [int(k) for k in np.flatnonzero(region.mask)]
    evidence = gather(problem, position, entries_and_joint(problem, position, wrong, rng), rtol=rtol)
    if evidence is None:
        return None
    return _proven(evidence, wrong_inputs, rng) or describe(evidence, region)


def _proven(evidence: Evidence, wrong_inputs: set[str | None], rng: np.random.Generator) -> Cause | None:
    """Return the first hypothesis that holds here, nearby and, where signs matter, at the mirrored point."""
    others: list[Evidence] = []
    for hypothesis in itertools.chain.from_iterable(
        propose(evidence) for propose in HYPOTHESES[evidence.problem.role]
    ):
        if not _explains(hypothesis, evidence):
            continue
        others = others or nearby(evidence, rng)
        clear = sum(e.clear for e in (evidence, *others))
        if not others or clear < hypothesis.constants + MORE_THAN_CONSTANTS:
            continue
        if not all(_explains(hypothesis, e) for e in others):
            continue
        if not wrong_inputs.issuperset(hypothesis.others):
            continue  # their own gradients are right as they are
        mirror = mirrored(evidence, rng) if hypothesis.mirrored else None
        if mirror is None or _explains(hypothesis, mirror):
            return Cause(hypothesis.code, hypothesis.message, evidence.name)
    return None


def _explains(hypothesis: Hypothesis, evidence: Evidence) -> bool:
    """Whether the predicted gradient is right where the one that backward returned is not."""
    predicted = hypothesis.predict(evidence)
    if predicted is None or any(g.shape != evidence.shape for g in predicted):
        return False
    if not evidence.agrees(predicted, within=PART * evidence.gap):
        return False
    return evidence.returned_shape(evidence.position) != evidence.shape or not evidence.is_right()
