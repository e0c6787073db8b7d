"""Products of matrices, often square, where a forgotten transpose goes unseen.

::

    linear          X W             dX = dY Wᵀ, dW = Xᵀ dY
    batched_matmul  A[b] B[b]       dA[b] = dY[b] B[b]ᵀ, dB[b] = A[b]ᵀ dY[b]
    shared_matmul   A[b] W          dW = Σ_b A[b]ᵀ dY[b]
    bilinear        xᵀ A z          dx = A z, dA = x zᵀ, dz = Aᵀ x
    quadratic_form  xᵀ A x          dx = (A + Aᵀ) x, dA = x xᵀ
    trace           tr(A X B)       dA = (X B)ᵀ, dX = (B A)ᵀ, dB = (A X)ᵀ
    contract        Σ_j X[ijk] w[j] dX[ijk] = dY[ik] w[j], dw[j] = Σ dY[ik] X[ijk]
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array, normal
from gradlab.mutants.model import Case, Defect
from gradlab.rules import linear

LINEAR = Case(
    "linear",
    linear.forward,
    linear.backward,
    normal((5, 3), (3, 2)),
    defects=(
        Defect(
            "averaged over the batch",
            lambda dy, x, w: (dy @ w.T, x.T @ dy / len(x)),
            kind="reduction",
            remakes="weight gradient divided by the batch size although the loss was not",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "weight gradient transposed",
            lambda dy, x, w: (dy @ w.T, dy.T @ x),
            kind="layout",
            remakes="weights stored the other way round",
            cause="transposed",
            breaks="shape",
        ),
        Defect(
            "in the wrong order",
            lambda dy, x, w: (x.T @ dy, dy @ w.T),
            kind="layout",
            remakes="gradients returned in the wrong order",
            cause="swapped-inputs",
            breaks="shape",
        ),
        Defect(
            "one gradient only",
            lambda dy, x, w: x.T @ dy,
            kind="shape",
            remakes="the gradient of the layer's input not returned",
            breaks="count",
        ),
        Defect(
            "weight decay left in",
            lambda dy, x, w: (dy @ w.T, x.T @ dy + 1e-3 * w),
            kind="upstream",
            remakes="a regularizer added in the layer's backward",
            cause="missing-term",
        ),
    ),
)


SQUARE = Case(
    "linear_square",
    linear.forward,
    linear.backward,
    normal((3, 3), (3, 3)),
    defects=(
        Defect(
            "no transpose for the input",
            lambda dy, x, w: (dy @ w, x.T @ dy),
            kind="layout",
            remakes="transpose forgotten, unseen when square",
            cause="transposed",
        ),
        Defect(
            "no transpose for the weights",
            lambda dy, x, w: (dy @ w.T, x @ dy),
            kind="layout",
            remakes="transpose forgotten, unseen when the batch is as large as the input",
            cause="transposed",
        ),
        Defect(
            "weight gradient transposed",
            lambda dy, x, w: (dy @ w.T, dy.T @ x),
            kind="layout",
            remakes="the two factors exchanged, unseen when square",
            cause="transposed",
        ),
        Defect(
            "in the wrong order",
            lambda dy, x, w: (x.T @ dy, dy @ w.T),
            kind="layout",
            remakes="gradients returned in the wrong order, unseen when square",
            cause="swapped-inputs",
        ),
        Defect(
            "elementwise",
            lambda dy, x, w: (dy * w.T, x.T * dy),
            kind="arithmetic",
            remakes="* in place of @, unseen when square",
        ),
    ),
)


def turned(a: Array) -> Array:
    """Return a stack of transposed matrices."""
    return np.swapaxes(a, -1, -2)


BATCHED = Case(
    "batched_matmul",
    lambda a, b: a @ b,
    lambda dy, a, b: (dy @ turned(b), turned(a) @ dy),
    normal((3, 3, 3), (3, 3, 3)),
    defects=(
        Defect(
            ".T on a stack",
            lambda dy, a, b: (dy @ b.T, turned(a) @ dy),
            kind="layout",
            remakes=".T, which reverses all axes, on a stack of matrices",
        ),
        Defect(
            "no transpose",
            lambda dy, a, b: (dy @ b, turned(a) @ dy),
            kind="layout",
            remakes="transpose forgotten, unseen when square",
            cause="transposed",
        ),
        Defect(
            "each result transposed",
            lambda dy, a, b: (b @ turned(dy), turned(a) @ dy),
            kind="layout",
            remakes="the factors exchanged, unseen when square",
            cause="transposed",
        ),
        Defect(
            "same gradient for all matrices",
            lambda dy, a, b: (dy @ turned(b), np.broadcast_to((turned(a) @ dy).sum(axis=0), b.shape)),
            kind="reduction",
            remakes="summed over the batch although every matrix has its own",
        ),
    ),
)


SHARED = Case(
    "shared_matmul",
    lambda a, w: a @ w,
    lambda dy, a, w: (dy @ w.T, (turned(a) @ dy).sum(axis=0)),
    normal((4, 2, 3), (3, 2)),
    defects=(
        Defect(
            "not summed over the batch",
            lambda dy, a, w: (dy @ w.T, turned(a) @ dy),
            kind="reduction",
            remakes="gradient of a broadcast operand not summed",
            cause="not-summed-over-broadcast",
            breaks="shape",
        ),
        Defect(
            "averaged over the batch",
            lambda dy, a, w: (dy @ w.T, (turned(a) @ dy).mean(axis=0)),
            kind="reduction",
            remakes="mean over the batch axis",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "last of the batch",
            lambda dy, a, w: (dy @ w.T, turned(a[-1]) @ dy[-1]),
            kind="reduction",
            remakes="assigned in a loop over the batch",
        ),
    ),
)


BILINEAR = Case(
    "bilinear",
    lambda x, a, z: x @ a @ z,
    lambda dl, x, a, z: (dl * (a @ z), dl * np.outer(x, z), dl * (a.T @ x)),
    normal((4,), (4, 4), (4,)),
    defects=(
        Defect(
            "matrix gradient transposed",
            lambda dl, x, a, z: (dl * (a @ z), dl * np.outer(z, x), dl * (a.T @ x)),
            kind="layout",
            remakes="the outer product the wrong way round",
            cause="transposed",
        ),
        Defect(
            "matrix taken for symmetric",
            lambda dl, x, a, z: (dl * (a.T @ z), dl * np.outer(x, z), dl * (a.T @ x)),
            kind="layout",
            remakes="Aᵀ for A, unseen when symmetric",
            cause="transposed",
        ),
        Defect(
            "vectors swapped",
            lambda dl, x, a, z: (dl * (a.T @ x), dl * np.outer(x, z), dl * (a @ z)),
            kind="layout",
            remakes="the gradients of two inputs of the same shape exchanged",
            cause="swapped-inputs",
        ),
        Defect(
            "diagonal of the outer product",
            lambda dl, x, a, z: (dl * (a @ z), dl * np.diag(x * z), dl * (a.T @ x)),
            kind="arithmetic",
            remakes="x * z in place of outer(x, z)",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "upstream forgotten",
            lambda dl, x, a, z: (a @ z, np.outer(x, z), a.T @ x),
            kind="upstream",
            remakes="a loss that is taken to be the last node",
            cause="ignores-upstream",
        ),
    ),
)


QUADRATIC = Case(
    "quadratic_form",
    lambda x, a: x @ a @ x,
    lambda dl, x, a: (dl * ((a + a.T) @ x), dl * np.outer(x, x)),
    normal((4,), (4, 4)),
    defects=(
        Defect(
            "matrix taken for symmetric",
            lambda dl, x, a: (dl * 2 * (a @ x), dl * np.outer(x, x)),
            kind="arithmetic",
            remakes="2 A x in place of (A + Aᵀ) x",
        ),
        Defect(
            "one place of two",
            lambda dl, x, a: (dl * (a @ x), dl * np.outer(x, x)),
            kind="arithmetic",
            remakes="an input that is used twice gets one contribution",
        ),
        Defect(
            "off-diagonal counted twice",
            lambda dl, x, a: (dl * ((a + a.T) @ x), dl * np.outer(x, x) * (2 - np.eye(len(x)))),
            kind="arithmetic",
            remakes="the derivative for a symmetric matrix's free entries",
        ),
    ),
)


TRACE = Case(
    "trace",
    lambda a, x, b: np.trace(a @ x @ b),
    lambda dl, a, x, b: (dl * (x @ b).T, dl * (b @ a).T, dl * (a @ x).T),
    normal((3, 3), (3, 3), (3, 3)),
    defects=(
        Defect(
            "numerator layout",
            lambda dl, a, x, b: (dl * (x @ b).T, dl * (b @ a), dl * (a @ x).T),
            kind="layout",
            remakes="a formula from a table in the other layout",
            cause="transposed",
        ),
        Defect(
            "factors in the wrong order",
            lambda dl, a, x, b: (dl * (x @ b).T, dl * (a @ b).T, dl * (a @ x).T),
            kind="layout",
            remakes="the cyclic order of a trace lost",
        ),
        Defect(
            "outer factors swapped",
            lambda dl, a, x, b: (dl * (a @ x).T, dl * (b @ a).T, dl * (x @ b).T),
            kind="layout",
            remakes="the gradients of two inputs of the same shape exchanged",
            cause="swapped-inputs",
        ),
        Defect(
            "upstream forgotten",
            lambda dl, a, x, b: ((x @ b).T, (b @ a).T, (a @ x).T),
            kind="upstream",
            remakes="the formula of a table copied without the chain rule",
            cause="ignores-upstream",
        ),
    ),
)


CONTRACT = Case(
    "contract",
    lambda x, w: np.einsum("ijk,j->ik", x, w),
    lambda dy, x, w: (np.einsum("ik,j->ijk", dy, w), np.einsum("ik,ijk->j", dy, x)),
    normal((3, 3, 3), (3,)),
    defects=(
        Defect(
            "axes in another order",
            lambda dy, x, w: (np.einsum("ik,j->ikj", dy, w), np.einsum("ik,ijk->j", dy, x)),
            kind="layout",
            remakes="letters of an einsum exchanged, unseen when all sizes are equal",
            cause="transposed",
        ),
        Defect(
            "wrong axis kept",
            lambda dy, x, w: (np.einsum("ik,j->ijk", dy, w), np.einsum("ik,ijk->i", dy, x)),
            kind="layout",
            remakes="the wrong letter after the arrow",
        ),
        Defect(
            "reshaped instead of transposed",
            lambda dy, x, w: (np.multiply.outer(dy, w).reshape(x.shape), np.einsum("ik,ijk->j", dy, x)),
            kind="layout",
            remakes="reshape where an axis must be moved",
            cause="transposed",
        ),
        Defect(
            "averaged over one axis",
            lambda dy, x, w: (np.einsum("ik,j->ijk", dy, w), np.einsum("ik,ijk->j", dy, x) / len(x)),
            kind="reduction",
            remakes="divided by the batch size",
            cause="averaged-instead-of-summed",
        ),
    ),
)

CASES = (LINEAR, SQUARE, BATCHED, SHARED, BILINEAR, QUADRATIC, TRACE, CONTRACT)
