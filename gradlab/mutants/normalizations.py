"""Normalizations: every entry of the output depends on every entry of its group.

::

    standardize    H = (X − m) / s                dX = (dH − mean(dH) − H mean(dH H)) / s
    layer_norm     over each row,  Y = γ H + β    batch_norm  over each column
    l2_normalize   Y = x / |x|                    dx = (dY − Y (Y·dY)) / |x|
    weight_norm    W = g v / |v|                  dg = dW·v / |v|, dv = g (dW − v̂ (v̂·dW)) / |v|
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.mutants._points import Array, normal
from gradlab.mutants.model import Case, Defect

EPSILON = 1e-5


def standardize(x: Array, axis: int) -> tuple[Array, Array]:
    """Return ``H`` and ``s = √(var + ε)``."""
    s = np.sqrt(x.var(axis=axis, keepdims=True) + EPSILON)
    return np.asarray((x - x.mean(axis=axis, keepdims=True)) / s), s


def standardize_backward(dh: Array, h: Array, s: Array, axis: int) -> Array:
    """Return ``(dH − mean(dH) − H mean(dH H)) / s``."""
    return np.asarray(
        (dh - dh.mean(axis=axis, keepdims=True) - h * (dh * h).mean(axis=axis, keepdims=True)) / s
    )


def layer_norm(x: Array, gamma: Array, beta: Array) -> tuple[Array, Any]:
    """Standardize each row."""
    h, s = standardize(x, 1)
    return gamma * h + beta, (x, h, s, gamma)


def layer_norm_backward(dy: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Return the gradients of X, γ and β."""
    _, h, s, gamma = cache
    return standardize_backward(dy * gamma, h, s, 1), (dy * h).sum(axis=0), dy.sum(axis=0)


def std_constant(dy: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Leave out the path through the standard deviation."""
    _, _, s, gamma = cache
    dh = dy * gamma
    return (dh - dh.mean(axis=1, keepdims=True)) / s, *layer_norm_backward(dy, cache)[1:]


def mean_constant(dy: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Leave out the path through the mean."""
    _, h, s, gamma = cache
    dh = dy * gamma
    return (dh - h * (dh * h).mean(axis=1, keepdims=True)) / s, *layer_norm_backward(dy, cache)[1:]


def gamma_of_the_input(dy: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Multiply by the input in place of the standardized one."""
    dx, _, dbeta = layer_norm_backward(dy, cache)
    return dx, (dy * cache[0]).sum(axis=0), dbeta


def over_the_batch(dy: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Take the means along the wrong axis."""
    _, h, s, gamma = cache
    return standardize_backward(dy * gamma, h, s, 0), *layer_norm_backward(dy, cache)[1:]


def epsilon_outside(dy: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Add ε to the root in place of the variance."""
    x, h, _, gamma = cache
    s = x.std(axis=1, keepdims=True) + EPSILON
    return standardize_backward(dy * gamma, h, s, 1), *layer_norm_backward(dy, cache)[1:]


def gamma_forgotten(dy: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Leave γ out of the chain."""
    _, h, s, _ = cache
    return standardize_backward(dy, h, s, 1), *layer_norm_backward(dy, cache)[1:]


def standardizes_in_place(x: Array, gamma: Array, beta: Array) -> tuple[Array, Any]:
    """Write the standardized entries into the input."""
    h, s = standardize(x, 1)
    x[...] = h
    return gamma * h + beta, (x, h, s, gamma)


LAYER_NORM = Case(
    "layer_norm",
    layer_norm,
    layer_norm_backward,
    normal((3, 4), (4,), (4,)),
    cached=True,
    defects=(
        Defect(
            "std constant",
            std_constant,
            kind="arithmetic",
            remakes="forgets the derivative of the standard deviation",
        ),
        Defect(
            "mean constant",
            mean_constant,
            kind="arithmetic",
            remakes="forgets the derivative of the mean",
        ),
        Defect(
            "gamma's gradient from the input",
            gamma_of_the_input,
            kind="arithmetic",
            remakes="the input used where the standardized input belongs",
        ),
        Defect(
            "means over the batch",
            over_the_batch,
            kind="reduction",
            remakes="batch normalization's axis",
        ),
        Defect(
            "epsilon outside the root",
            epsilon_outside,
            kind="arithmetic",
            remakes="sqrt(var) + eps in backward, sqrt(var + eps) in forward",
        ),
        Defect(
            "gamma left out",
            gamma_forgotten,
            kind="arithmetic",
            remakes="the gain left out of the chain to the input, unseen while it is 1",
        ),
        Defect(
            "in place",
            layer_norm_backward,
            forward=standardizes_in_place,
            kind="arguments",
            remakes="x -= mean; x /= std in forward: the residual branch gets the normalized input",
            breaks="arguments",
        ),
    ),
)


def batch_norm(x: Array, gamma: Array, beta: Array) -> Array:
    """Standardize each column."""
    return np.asarray(gamma * standardize(x, 0)[0] + beta)


def batch_norm_backward(dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of X, γ and β."""
    h, s = standardize(x, 0)
    return standardize_backward(dy * gamma, h, s, 0), (dy * h).sum(axis=0), dy.sum(axis=0)


def statistics_constant(dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    """Take mean and standard deviation for constants, as at inference."""
    _, s = standardize(x, 0)
    return dy * gamma / s, *batch_norm_backward(dy, x, gamma, beta)[1:]


def unbiased(dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    """Divide by N − 1 in the term of the variance."""
    h, s = standardize(x, 0)
    dh = dy * gamma
    dx = (dh - dh.mean(axis=0) - h * (dh * h).sum(axis=0) / (len(x) - 1)) / s
    return np.asarray(dx), *batch_norm_backward(dy, x, gamma, beta)[1:]


def averaged(dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    """Average γ and β's gradients over the batch."""
    dx, dgamma, dbeta = batch_norm_backward(dy, x, gamma, beta)
    return dx, dgamma / len(x), dbeta / len(x)


def not_summed(dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    """Leave out the sum for γ."""
    dx, _, dbeta = batch_norm_backward(dy, x, gamma, beta)
    return dx, dy * standardize(x, 0)[0], dbeta


def swapped(dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    """Return β's gradient before γ's."""
    dx, dgamma, dbeta = batch_norm_backward(dy, x, gamma, beta)
    return dx, dbeta, dgamma


BATCH_NORM = Case(
    "batch_norm",
    batch_norm,
    batch_norm_backward,
    normal((5, 3), (3,), (3,)),
    defects=(
        Defect(
            "statistics constant",
            statistics_constant,
            kind="arithmetic",
            remakes="inference mode's backward used in training",
        ),
        Defect(
            "n - 1",
            unbiased,
            kind="reduction",
            remakes="the unbiased variance in one pass and the biased one in the other",
        ),
        Defect(
            "parameters averaged",
            averaged,
            kind="reduction",
            remakes="parameter gradients averaged over the batch",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "gamma not summed",
            not_summed,
            kind="reduction",
            remakes="gradient of a broadcast operand not summed",
            cause="not-summed-over-broadcast",
            breaks="shape",
        ),
        Defect(
            "gamma and beta swapped",
            swapped,
            kind="layout",
            remakes="gradients returned in the wrong order",
            cause="swapped-inputs",
        ),
    ),
)


def length(x: Array) -> Array:
    """Return each row's Euclidean norm, as a column."""
    return np.asarray(np.sqrt((x * x).sum(axis=-1, keepdims=True)))


def along(a: Array, b: Array) -> Array:
    """Return each row's dot product, as a column."""
    return np.asarray((a * b).sum(axis=-1, keepdims=True))


L2_NORMALIZE = Case(
    "l2_normalize",
    lambda x: x / length(x),
    lambda dy, x: (dy - x * along(x, dy) / length(x) ** 2) / length(x),
    normal((3, 4)),
    defects=(
        Defect(
            "length constant",
            lambda dy, x: dy / length(x),
            kind="arithmetic",
            remakes="forgets the derivative of the norm",
        ),
        Defect(
            "entry by entry",
            lambda dy, x: dy * (1 - (x / length(x)) ** 2) / length(x),
            kind="arithmetic",
            remakes="the quotient rule applied to each entry by itself",
            cause="diagonal-only",
        ),
        Defect(
            "projection not normalized",
            lambda dy, x: (dy - x * along(x, dy)) / length(x),
            kind="arithmetic",
            remakes="x in place of x / |x| in the projection, unseen for unit vectors",
        ),
        Defect(
            "projection over all rows",
            lambda dy, x: (dy - x * (x * dy).sum() / length(x) ** 2) / length(x),
            kind="reduction",
            remakes="sum() without its axis",
        ),
        Defect(
            "projection added",
            lambda dy, x: (dy + x * along(x, dy) / length(x) ** 2) / length(x),
            kind="arithmetic",
            remakes="the sign of one term",
        ),
    ),
)


def weight_norm_backward(dw: Array, g: Array, v: Array) -> tuple[Array, Array]:
    """Return ``dg = dW·v / |v|`` and ``dv = g (dW − v̂ (v̂·dW)) / |v|``."""
    unit = v / length(v)
    return along(dw, unit)[:, 0], g[:, None] * (dw - unit * along(unit, dw)) / length(v)


WEIGHT_NORM = Case(
    "weight_norm",
    lambda g, v: g[:, None] * v / length(v),
    weight_norm_backward,
    normal((3,), (3, 4)),
    defects=(
        Defect(
            "no projection",
            lambda dw, g, v: (weight_norm_backward(dw, g, v)[0], g[:, None] * dw / length(v)),
            kind="arithmetic",
            remakes="forgets the derivative of the norm",
        ),
        Defect(
            "gain left out",
            lambda dw, g, v: (
                weight_norm_backward(dw, g, v)[0],
                weight_norm_backward(dw, g, v)[1] / g[:, None],
            ),
            kind="arithmetic",
            remakes="the gain left out of the chain, unseen while it is 1",
        ),
        Defect(
            "gain's gradient not normalized",
            lambda dw, g, v: (along(dw, v)[:, 0], weight_norm_backward(dw, g, v)[1]),
            kind="arithmetic",
            remakes="v in place of v / |v|",
        ),
        Defect(
            "gain's gradient averaged",
            lambda dw, g, v: ((dw * v / length(v)).mean(axis=1), weight_norm_backward(dw, g, v)[1]),
            kind="reduction",
            remakes="mean where the sum over a broadcast axis belongs",
            cause="averaged-instead-of-summed",
        ),
    ),
)

CASES = (LAYER_NORM, BATCH_NORM, L2_NORMALIZE, WEIGHT_NORM)
