"""Whether backward and jvp are each other's transpose: ⟨u, J v⟩ = ⟨Jᵀu, v⟩.

It needs no differences, and holds up to rounding for any upstream gradient ``u`` and any tangents ``v``. That
one of both is wrong it tells for certain; which one, the table of differences.
"""

from __future__ import annotations

import numpy as np

from gradlab.checks.claims import Claims
from gradlab.checks.maps import Answer, FirstAnswer
from gradlab.checks.tangent_claims import TangentClaims
from gradlab.numerics import Array
from gradlab.numerics.scales import norm
from gradlab.point.outputs import flatten
from gradlab.point.tangents import parted
from gradlab.words import told_apart


def not_transposed(
    backward: FirstAnswer, jvp: FirstAnswer, claims: Claims, pushed: TangentClaims, *, rtol: float
) -> str | None:
    """Return what both sides of the dot-product test are, where they differ; ``None`` where they agree.

    Parameters
    ----------
    backward, jvp : FirstAnswer
        What they returned for ``u`` and for ``v``.
    claims, pushed : Claims, TangentClaims
        The same, of which the rounding can be measured.
    rtol : float
        The relative disagreement that the caller does not care about.
    """
    problem, u = backward.linear.problem, backward.linear.vector
    gradients, tangents, v = backward.answer, jvp.answer, parted(problem, jvp.linear.vector)
    if len(tangents) < len(problem.form.shapes) or any(i not in gradients for i in v):
        return None  # there is nothing to compare
    forward_terms = u * flatten([tangents[k] for k in range(len(tangents))])
    reverse_terms = flatten([gradients[i] * v[i] for i in v])
    left, right = float(forward_terms.sum()), float(reverse_terms.sum())
    difference = abs(left - right)
    scale = max(norm(forward_terms), norm(reverse_terms))
    sums = problem.given_eps * np.sqrt(max(forward_terms.size, reverse_terms.size)) * scale
    if difference <= rtol * scale + sums:
        return None
    rounding = _rounding(claims, pushed, u, v, tangents)
    if difference <= rtol * scale + sums + rounding:
        return None
    by_jvp, by_backward = told_apart(left, right)
    return (
        f"jvp and backward are not each other's transpose: for an upstream gradient u and tangents v, "
        f"⟨u, J v⟩ is {by_jvp} by jvp, and ⟨Jᵀu, v⟩ is {by_backward} by backward"
    )


def _rounding(
    claims: Claims, pushed: TangentClaims, u: Array, v: dict[int, Array], tangents: Answer
) -> float:
    """Return what both sides may be off by, because what they are sums of scatters."""
    tangent = flatten([tangents[k] for k in range(len(tangents))])
    of_jvp = norm(u * pushed.of_output(tangent, v, vanishes=True))
    of_backward = sum(norm(*(part[i] * v[i] for i in v)) for part in claims.changes)
    return of_jvp + of_backward
