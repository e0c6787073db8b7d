"""Reductions: many entries become one number.

::

    mean       Σ_n X[n] / N        dX[n] = dY / N
    variance   Σ (x − m)² / n      dX = 2 (x − m) dV / n
    std        √V                  dX = (x − m) dS / (n S)
    logsumexp  log Σ exp X         dX = softmax(X) dY
    max        max_d X             dX[d] = dY / number of ties, where X[d] is the maximum
    product    Π_d X               dX[d] = dY Π_{e ≠ d} X[e]
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array, nonzero, normal
from gradlab.mutants.model import Case, Defect

MEAN = Case(
    "mean",
    lambda x: x.mean(axis=0),
    lambda dy, x: np.broadcast_to(dy / len(x), x.shape),
    normal((4, 3)),
    defects=(
        Defect(
            "not divided",
            lambda dy, x: np.broadcast_to(dy, x.shape),
            kind="reduction",
            remakes="the gradient of the sum for the mean",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "divided by the size",
            lambda dy, x: np.broadcast_to(dy / x.size, x.shape),
            kind="reduction",
            remakes="divided by all entries instead of those along the axis",
            cause="factor",
        ),
        Defect(
            "not broadcast back",
            lambda dy, x: dy / len(x),
            kind="shape",
            remakes="relies on the caller's broadcasting",
            breaks="shape",
        ),
        Defect(
            "to the first only",
            lambda dy, x: np.where(np.arange(len(x))[:, None] == 0, dy / len(x), 0),
            kind="reduction",
            remakes="written to one row instead of every row",
            cause="zero-where-it-should-not-be",
        ),
    ),
)


def centred(x: Array) -> Array:
    """Return ``x − mean(x)`` along the last axis."""
    return np.asarray(x - x.mean(axis=-1, keepdims=True))


VARIANCE = Case(
    "variance",
    lambda x: x.var(axis=-1),
    lambda dv, x: 2 * dv[:, None] * centred(x) / x.shape[-1],
    normal((3, 5)),
    defects=(
        Defect(
            "no 2",
            lambda dv, x: dv[:, None] * centred(x) / x.shape[-1],
            kind="arithmetic",
            remakes="the factor of the square dropped",
            cause="factor",
        ),
        Defect(
            "n - 1",
            lambda dv, x: 2 * dv[:, None] * centred(x) / (x.shape[-1] - 1),
            kind="reduction",
            remakes="the unbiased variance in one pass and the biased one in the other",
            cause="factor",
        ),
        Defect(
            "not centred",
            lambda dv, x: 2 * dv[:, None] * x / x.shape[-1],
            kind="arithmetic",
            remakes="the gradient of the second moment for that of the variance",
        ),
        Defect(
            "not divided",
            lambda dv, x: 2 * dv[:, None] * centred(x),
            kind="reduction",
            remakes="the gradient of the sum of squares for that of their mean",
            cause="summed-instead-of-averaged",
        ),
    ),
)


STD = Case(
    "std",
    lambda x: x.std(axis=-1),
    lambda ds, x: ds[:, None] * centred(x) / (x.shape[-1] * x.std(axis=-1, keepdims=True)),
    normal((3, 5)),
    defects=(
        Defect(
            "without the square root",
            lambda ds, x: 2 * ds[:, None] * centred(x) / x.shape[-1],
            kind="arithmetic",
            remakes="the gradient of the variance for that of its root",
        ),
        Defect(
            "half",
            lambda ds, x: 0.5 * ds[:, None] * centred(x) / (x.shape[-1] * x.std(axis=-1, keepdims=True)),
            kind="arithmetic",
            remakes="the 1/2 of the square root kept and the 2 of the square lost",
            cause="factor",
        ),
        Defect(
            "epsilon in backward only",
            lambda ds, x: ds[:, None] * centred(x) / (x.shape[-1] * (x.std(axis=-1, keepdims=True) + 1e-5)),
            kind="arithmetic",
            remakes="a guard against division by zero that forward does not have",
        ),
        Defect(
            "absolute deviation",
            lambda ds, x: ds[:, None] * np.sign(centred(x)) / x.shape[-1],
            kind="arithmetic",
            remakes="the mean absolute deviation's derivative",
        ),
    ),
)


def softmax(x: Array) -> Array:
    """Return ``exp(x) / Σ exp(x)`` along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def logsumexp(x: Array) -> Array:
    """Return ``log Σ exp(x)`` along the last axis."""
    top = x.max(axis=-1, keepdims=True)
    return np.asarray(top[..., 0] + np.log(np.exp(x - top).sum(axis=-1)))


def high_row(rng: np.random.Generator) -> tuple[Array]:
    """Draw a square array with one row around 1000, where exp overflows."""
    x = rng.normal(size=(4, 4))
    x[1] += 1000
    return (x,)


def is_largest(x: Array) -> Array:
    """Return where the maximum of each row is."""
    return np.asarray(x == x.max(axis=-1, keepdims=True))


LOGSUMEXP = Case(
    "logsumexp",
    logsumexp,
    lambda dy, x: dy[:, None] * softmax(x),
    high_row,
    defects=(
        Defect(
            "overflows",
            lambda dy, x: dy[:, None] * np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
            kind="overflow",
            remakes="the maximum subtracted in forward and not in backward",
            breaks="finite",
        ),
        Defect(
            "not normalized",
            lambda dy, x: dy[:, None] * np.exp(x - x.max(axis=-1, keepdims=True)),
            kind="arithmetic",
            remakes="the denominator of the softmax dropped",
        ),
        Defect(
            "gradient of the shift subtracted",
            lambda dy, x: dy[:, None] * (softmax(x) - is_largest(x)),
            kind="arithmetic",
            remakes="the subtracted maximum differentiated in one of its two places",
            cause="wrong-on-special-values",
        ),
        Defect(
            "upstream along the other axis",
            lambda dy, x: dy * softmax(x),
            kind="layout",
            remakes="keepdims forgotten, unseen when square",
        ),
        Defect(
            "gradient of the maximum",
            lambda dy, x: dy[:, None] * is_largest(x),
            kind="arithmetic",
            remakes="a hard maximum for the soft one",
        ),
    ),
)


def rows_with_ties(rng: np.random.Generator) -> tuple[Array]:
    """Draw rows of which one has its maximum twice and one three times."""
    x = rng.normal(size=(3, 5))
    x[0, [1, 3]] = x[0].max() + 1
    x[1, [0, 2, 4]] = x[1].max() + 1
    return (x,)


def first_of_all(dy: Array, x: Array) -> Array:
    """Give the gradient to the largest entry of the whole array."""
    dx = np.zeros_like(x)
    row, column = np.unravel_index(x.argmax(), x.shape)
    dx[row, column] = dy[row]
    return dx


MAX = Case(
    "max",
    lambda x: x.max(axis=1),
    lambda dy, x: dy[:, None] * is_largest(x) / is_largest(x).sum(axis=1, keepdims=True),
    rows_with_ties,
    defects=(
        Defect(
            "full gradient to every tie",
            lambda dy, x: dy[:, None] * is_largest(x),
            kind="tie",
            remakes="a mask x == max that is not divided by its sum",
            cause="wrong-on-special-values",
        ),
        Defect(
            "none at ties",
            lambda dy, x: dy[:, None] * (is_largest(x) & (is_largest(x).sum(axis=1, keepdims=True) == 1)),
            kind="tie",
            remakes="only a strict maximum counts",
            cause="wrong-on-special-values",
        ),
        Defect(
            "to every entry",
            lambda dy, x: np.broadcast_to(dy[:, None], x.shape),
            kind="reduction",
            remakes="the gradient of the sum for that of the maximum",
            cause="nonzero-where-it-should-be-zero",
        ),
        Defect(
            "largest of the whole array",
            first_of_all,
            kind="reduction",
            remakes="argmax without its axis",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "halved everywhere there are ties",
            lambda dy, x: (
                dy[:, None] * is_largest(x) / np.maximum(1, 2 * (is_largest(x).sum(1, keepdims=True) > 1))
            ),
            kind="tie",
            remakes="ties taken for pairs",
            cause="wrong-on-special-values",
        ),
    ),
)


def rows_with_zeros(rng: np.random.Generator) -> tuple[Array]:
    """Draw rows of which one has one zero, and another two."""
    x = nonzero(rng, 4, 4)
    x[1, 2] = x[2, 0] = x[2, 3] = 0
    return (x,)


def product_of_others(dy: Array, x: Array) -> Array:
    """Return ``dY Π_{e ≠ d} X[e]`` from products of what stands before and after."""
    ones = np.ones((len(x), 1))
    before = np.cumprod(np.hstack([ones, x[:, :-1]]), axis=1)
    after = np.cumprod(np.hstack([ones, x[:, :0:-1]]), axis=1)[:, ::-1]
    return np.asarray(dy[:, None] * before * after)


PRODUCT = Case(
    "product",
    lambda x: x.prod(axis=1),
    product_of_others,
    rows_with_zeros,
    defects=(
        Defect(
            "divided by the entry",
            lambda dy, x: dy[:, None] * x.prod(axis=1, keepdims=True) / x,
            kind="zero",
            remakes="product / x is 0 / 0 at a zero",
            cause="wrong-on-special-values",
            breaks="finite",
        ),
        Defect(
            "zero at zeros",
            lambda dy, x: dy[:, None] * x.prod(axis=1, keepdims=True) / np.where(x == 0, 1, x),
            kind="zero",
            remakes="a guard against division by zero that returns zero",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "epsilon in the denominator",
            lambda dy, x: dy[:, None] * x.prod(axis=1, keepdims=True) / (x + 1e-12),
            kind="zero",
            remakes="an epsilon that saves from NaN and gives 0",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "only what stands before",
            lambda dy, x: dy[:, None] * np.cumprod(np.hstack([np.ones((len(x), 1)), x[:, :-1]]), axis=1),
            kind="arithmetic",
            remakes="half of the product of all others",
        ),
        Defect(
            "the whole product",
            lambda dy, x: np.broadcast_to(dy[:, None] * x.prod(axis=1, keepdims=True), x.shape),
            kind="arithmetic",
            remakes="not divided by the entry at all",
        ),
    ),
)

CASES = (MEAN, VARIANCE, STD, LOGSUMEXP, MAX, PRODUCT)
