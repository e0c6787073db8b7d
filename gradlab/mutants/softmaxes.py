"""Softmax and its logarithm.

::

    softmax      Y = exp Z / Σ exp Z      dZ = Y (dY − Y·dY)
    log_softmax  Y = Z − log Σ exp Z      dZ = dY − softmax(Z) Σ dY
"""

from __future__ import annotations

from gradlab.mutants._points import normal
from gradlab.mutants.model import Case, Defect
from gradlab.mutants.reductions import logsumexp
from gradlab.mutants.reductions import softmax as softmax_of
from gradlab.rules import softmax

SOFTMAX = Case(
    "softmax",
    softmax.forward,
    softmax.backward,
    normal((3, 4)),
    cached=True,
    defects=(
        Defect(
            "diagonal only",
            lambda dy, y: dy * y * (1 - y),
            kind="arithmetic",
            remakes="the sigmoid's derivative for each class by itself",
            cause="diagonal-only",
        ),
        Defect(
            "sum over the row dropped",
            lambda dy, y: dy * y,
            kind="arithmetic",
            remakes="the denominator treated as a constant",
        ),
        Defect(
            "sum over the batch",
            lambda dy, y: y * (dy - (dy * y).sum(axis=0)),
            kind="reduction",
            remakes="the wrong axis summed",
        ),
        Defect(
            "sum over everything",
            lambda dy, y: y * (dy - (dy * y).sum()),
            kind="reduction",
            remakes="sum() without its axis, right for one example",
        ),
        Defect(
            "keeps the logits",
            softmax.backward,
            forward=lambda z: (softmax.forward(z)[0], z),
            kind="arithmetic",
            remakes="the input cached where the formula is written for the output",
        ),
    ),
)


LOG_SOFTMAX = Case(
    "log_softmax",
    lambda z: z - logsumexp(z)[:, None],
    lambda dy, z: dy - softmax_of(z) * dy.sum(axis=1, keepdims=True),
    normal((3, 4)),
    defects=(
        Defect(
            "upstream taken for a one-hot",
            lambda dy, z: dy - softmax_of(z),
            kind="upstream",
            remakes="right for the negative log-likelihood of one label, wrong for any other loss",
            cause="nonlinear-in-upstream",
        ),
        Defect(
            "normalizer constant",
            lambda dy, z: dy,
            kind="arithmetic",
            remakes="the denominator treated as a constant",
        ),
        Defect(
            "diagonal only",
            lambda dy, z: dy * (1 - softmax_of(z)),
            kind="arithmetic",
            remakes="each class by itself",
            cause="diagonal-only",
        ),
        Defect(
            "averaged",
            lambda dy, z: dy - softmax_of(z) * dy.mean(axis=1, keepdims=True),
            kind="reduction",
            remakes="mean where the sum over the row belongs",
        ),
    ),
)

CASES = (SOFTMAX, LOG_SOFTMAX)
