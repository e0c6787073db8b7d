"""Losses of real numbers: residuals, and means over what counts.

::

    square_loss_mean  ½ mean (y − o)²                do = (o − y) / size
    huber             Σ ½ r² or δ(|r| − ½ δ)         do = min(max(r, −δ), δ),  r = o − y
    masked_mean       Σ m x / Σ m                    dx = m / Σ m
    kl_divergence     Σ p log(p / q)                 dp = log(p / q) + 1, dq = −p / q
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array, nonzero, normal
from gradlab.mutants.model import Case, Defect
from gradlab.mutants.reductions import softmax
from gradlab.rules import square_loss

DELTA = 1.5

SQUARE_LOSS = Case(
    "square_loss_mean",
    square_loss.forward_mean,
    square_loss.backward_mean,
    normal((3, 4), (3, 4)),
    defects=(
        Defect(
            "not averaged",
            square_loss.backward,
            kind="reduction",
            remakes="the gradient of the sum for that of the mean",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "divided by the batch",
            lambda dl, o, y: square_loss.backward(dl / len(o), o, y),
            kind="reduction",
            remakes="divided by the rows instead of the entries",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "wrong way round",
            lambda dl, o, y: square_loss.backward_mean(-dl, o, y),
            kind="arithmetic",
            remakes="prediction and target exchanged in the residual",
            cause="sign",
        ),
        Defect(
            "same sign for both",
            lambda dl, o, y: (dl * (o - y) / o.size, dl * (o - y) / o.size),
            kind="arithmetic",
            remakes="the minus of a difference's second operand",
            cause="sign",
        ),
        Defect(
            "factor of the square",
            lambda dl, o, y: square_loss.backward_mean(2 * dl, o, y),
            kind="arithmetic",
            remakes="the ½ in forward forgotten in backward",
            cause="factor",
        ),
        Defect(
            "absolute error",
            lambda dl, o, y: (dl * np.sign(o - y) / o.size, dl * np.sign(y - o) / o.size),
            kind="arithmetic",
            remakes="the derivative of another loss",
        ),
    ),
)


def huber(r: Array) -> Array:
    """Return ``½ r²`` inside of δ and ``δ (|r| − ½ δ)`` outside."""
    size = np.abs(r)
    return np.asarray(np.where(size <= DELTA, 0.5 * r**2, DELTA * (size - 0.5 * DELTA)))


def residuals(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw outputs and targets: small and large residuals, and one at the seam."""
    y = rng.normal(size=(2, 5))
    r = nonzero(rng, 2, 5)
    r[0, :4] = DELTA, -2.5, 3.0, 0.3
    return y + r, y


HUBER = Case(
    "huber",
    lambda o, y: huber(o - y).sum(),
    lambda dl, o, y: (dl * np.clip(o - y, -DELTA, DELTA), -dl * np.clip(o - y, -DELTA, DELTA)),
    residuals,
    defects=(
        Defect(
            "quadratic everywhere",
            lambda dl, o, y: (dl * (o - y), dl * (y - o)),
            kind="arithmetic",
            remakes="only one branch differentiated",
        ),
        Defect(
            "slope 1 outside",
            lambda dl, o, y: (
                dl * np.where(abs(o - y) <= DELTA, o - y, np.sign(o - y)),
                -dl * np.where(abs(o - y) <= DELTA, o - y, np.sign(o - y)),
            ),
            kind="arithmetic",
            remakes="delta dropped, unseen while it is 1",
        ),
        Defect(
            "target taken for a constant",
            lambda dl, o, y: (dl * np.clip(o - y, -DELTA, DELTA), np.zeros_like(y)),
            kind="arithmetic",
            remakes="no gradient for the second operand of a difference",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "zero outside",
            lambda dl, o, y: (dl * (o - y) * (abs(o - y) <= DELTA), dl * (y - o) * (abs(o - y) <= DELTA)),
            kind="arithmetic",
            remakes="the clipped loss's gradient",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "outputs and targets swapped",
            lambda dl, o, y: (-dl * np.clip(o - y, -DELTA, DELTA), dl * np.clip(o - y, -DELTA, DELTA)),
            kind="layout",
            remakes="gradients returned in the wrong order, which for a difference is the wrong sign",
            cause="sign",
        ),
    ),
)


def sequences(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw three padded sequences and the mask of what is no padding."""
    return rng.normal(size=(3, 5)), np.arange(5) < np.array([[5], [3], [1]])


MASKED_MEAN = Case(
    "masked_mean",
    lambda x, mask: (x * mask).sum() / mask.sum(),
    lambda dy, x, mask: dy * mask / mask.sum(),
    sequences,
    defects=(
        Defect(
            "divided by the size",
            lambda dy, x, mask: dy * mask / mask.size,
            kind="mask",
            remakes="padding counted in the mean's denominator",
            cause="factor",
        ),
        Defect(
            "padding not masked",
            lambda dy, x, mask: np.broadcast_to(dy / mask.sum(), x.shape),
            kind="mask",
            remakes="padding gets a gradient",
            cause="nonzero-where-it-should-be-zero",
        ),
        Defect(
            "not divided",
            lambda dy, x, mask: dy * mask,
            kind="reduction",
            remakes="the gradient of the sum for that of the mean",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "mean of each sequence",
            lambda dy, x, mask: dy * mask / mask.sum(axis=1, keepdims=True) / len(x),
            kind="mask",
            remakes="sequences weighted alike in backward, tokens in forward",
        ),
        Defect(
            "mask off by one",
            lambda dy, x, mask: dy * np.roll(mask, 1, axis=1) * mask / mask.sum(),
            kind="mask",
            remakes="a mask shifted by one step",
            cause="zero-where-it-should-not-be",
        ),
    ),
)


KL = Case(
    "kl_divergence",
    lambda p, q: (p * np.log(p / q)).sum(axis=1),
    lambda dy, p, q: (dy[:, None] * (np.log(p / q) + 1), -dy[:, None] * p / q),
    lambda rng: (softmax(rng.normal(size=(3, 4))), softmax(rng.normal(size=(3, 4)))),
    defects=(
        Defect(
            "no + 1",
            lambda dy, p, q: (dy[:, None] * np.log(p / q), -dy[:, None] * p / q),
            kind="arithmetic",
            remakes="p held constant in p log p",
            cause="missing-term",
        ),
        Defect(
            "no minus for q",
            lambda dy, p, q: (dy[:, None] * (np.log(p / q) + 1), dy[:, None] * p / q),
            kind="arithmetic",
            remakes="the sign of log(1 / q)",
            cause="sign",
        ),
        Defect(
            "the other direction",
            lambda dy, p, q: (-dy[:, None] * q / p, dy[:, None] * (np.log(q / p) + 1)),
            kind="layout",
            remakes="KL(q, p) in place of KL(p, q)",
        ),
        Defect(
            "in the wrong order",
            lambda dy, p, q: (-dy[:, None] * p / q, dy[:, None] * (np.log(p / q) + 1)),
            kind="layout",
            remakes="gradients returned in the wrong order",
            cause="swapped-inputs",
        ),
    ),
)

CASES = (SQUARE_LOSS, HUBER, MASKED_MEAN, KL)
