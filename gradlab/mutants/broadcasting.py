"""Broadcasting: what is used for many entries gets the sum of their gradients.

::

    bias_add     X + b             db = Σ_n dY[n]
    scale_rows   s[n] X[n]         ds[n] = Σ_d dY[n, d] X[n, d]
    temperature  X / t             dt = −Σ dY X / t²
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import normal
from gradlab.mutants.model import Case, Defect

BIAS_ADD = Case(
    "bias_add",
    lambda x, b: x + b,
    lambda dy, x, b: (dy, dy.sum(axis=0)),
    normal((4, 3), (3,)),
    defects=(
        Defect(
            "averaged",
            lambda dy, x, b: (dy, dy.mean(axis=0)),
            kind="reduction",
            remakes="bias gradient averaged over the batch instead of summed",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "not summed",
            lambda dy, x, b: (dy, dy),
            kind="reduction",
            remakes="gradient of a broadcast operand not summed",
            cause="not-summed-over-broadcast",
            breaks="shape",
        ),
        Defect(
            "shape (1, n)",
            lambda dy, x, b: (dy, dy.sum(axis=0, keepdims=True)),
            kind="shape",
            remakes="keepdims=True: an optimizer then broadcasts the bias to a matrix",
            breaks="shape",
        ),
        Defect(
            "last example only",
            lambda dy, x, b: (dy, dy[-1]),
            kind="reduction",
            remakes="assigned in a loop over the batch instead of added",
        ),
        Defect(
            "summed over everything",
            lambda dy, x, b: (dy, np.full_like(b, dy.sum())),
            kind="reduction",
            remakes="sum() without its axis",
        ),
    ),
)


SCALE_ROWS = Case(
    "scale_rows",
    lambda x, s: x * s[:, None],
    lambda dy, x, s: (dy * s[:, None], (dy * x).sum(axis=1)),
    normal((4, 4), (4,)),  # square: the wrong axis has the right length
    defects=(
        Defect(
            "summed over the other axis",
            lambda dy, x, s: (dy * s[:, None], (dy * x).sum(axis=0)),
            kind="reduction",
            remakes="wrong axis, unseen when square",
        ),
        Defect(
            "columns scaled",
            lambda dy, x, s: (dy * s, (dy * x).sum(axis=1)),
            kind="layout",
            remakes="a vector broadcast along the last axis, unseen when square",
        ),
        Defect(
            "averaged",
            lambda dy, x, s: (dy * s[:, None], (dy * x).mean(axis=1)),
            kind="reduction",
            remakes="mean where the sum over a broadcast axis belongs",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "not summed",
            lambda dy, x, s: (dy * s[:, None], dy * x),
            kind="reduction",
            remakes="gradient of a broadcast operand not summed",
            cause="not-summed-over-broadcast",
            breaks="shape",
        ),
        Defect(
            "without the other factor",
            lambda dy, x, s: (dy * s[:, None], dy.sum(axis=1)),
            kind="arithmetic",
            remakes="the gradient of a product taken for that of a sum",
        ),
    ),
)


TEMPERATURE = Case(
    "temperature",
    lambda x, t: x / t,
    lambda dy, x, t: (dy / t, np.asarray(-(dy * x).sum() / t**2)),
    lambda rng: (rng.normal(size=(3, 4)), np.asarray(rng.uniform(1.5, 3))),
    defects=(
        Defect(
            "no minus",
            lambda dy, x, t: (dy / t, np.asarray((dy * x).sum() / t**2)),
            kind="arithmetic",
            remakes="the sign of the derivative of a reciprocal",
            cause="sign",
        ),
        Defect(
            "not squared",
            lambda dy, x, t: (dy / t, np.asarray(-(dy * x).sum() / t)),
            kind="arithmetic",
            remakes="-1 / t in place of -1 / t**2",
            cause="factor",
        ),
        Defect(
            "averaged",
            lambda dy, x, t: (dy / t, np.asarray(-(dy * x).mean() / t**2)),
            kind="reduction",
            remakes="mean over all entries for a shared scalar",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "not summed",
            lambda dy, x, t: (dy / t, -dy * x / t**2),
            kind="reduction",
            remakes="gradient of a scalar that was broadcast, not summed",
            cause="not-summed-over-broadcast",
            breaks="shape",
        ),
        Defect(
            "shape (1,)",
            lambda dy, x, t: (dy / t, np.array([-(dy * x).sum() / t**2])),
            kind="shape",
            remakes="an array of one entry for a scalar",
            breaks="shape",
        ),
    ),
)

CASES = (BIAS_ADD, SCALE_ROWS, TEMPERATURE)
