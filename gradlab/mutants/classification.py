"""Losses of labels: what is averaged, over which rows, and what the label itself gets.

::

    cross_entropy          −mean log P[n, t]                     dP[n, t] = −1 / (N P[n, t])
    softmax_cross_entropy  mean (log Σ exp Z − Z[t])             dZ = (softmax(Z) − onehot(t)) / N
    ignored_labels         the same over labels t ≥ 0            divided by how many there are
    label_smoothing        q = (1 − ε) onehot + ε / C            dZ = (softmax(Z) − q) / N
    hinge                  mean Σ_{j ≠ t} max(0, 1 + Z_j − Z_t)  dZ_j = [inside] / N, dZ_t = −Σ dZ_j
    focal                  mean −(1 − p)^γ log p, p = σ(z)       dz = (1 − p)^γ (γ p log p − (1 − p)) / N
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array, normal
from gradlab.mutants.activations import sigmoid
from gradlab.mutants.model import Case, Defect
from gradlab.mutants.reductions import logsumexp, softmax
from gradlab.rules import cross_entropy

ROWS, CLASSES = 4, 5

SMOOTHING, GAMMA = 0.1, 2.0


def onehot(target: Array) -> Array:
    """Return ``onehot(t)``; all zero for labels below zero."""
    return np.asarray(target[:, None] == np.arange(CLASSES))


def logits(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw logits and labels."""
    return rng.normal(size=(ROWS, CLASSES)), rng.integers(CLASSES, size=ROWS)


def probabilities(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw rows of probabilities and labels."""
    z, target = logits(rng)
    return softmax(z), target


CROSS_ENTROPY = Case(
    "cross_entropy",
    cross_entropy.forward,
    cross_entropy.backward,
    probabilities,
    defects=(
        Defect(
            "every class",
            lambda dl, p, target: -dl / (len(p) * p),
            kind="arithmetic",
            remakes="the one-hot label left out",
            cause="nonzero-where-it-should-be-zero",
        ),
        Defect(
            "no minus",
            lambda dl, p, target: -cross_entropy.backward(dl, p, target),
            kind="arithmetic",
            remakes="the likelihood for the loss",
            cause="sign",
        ),
        Defect(
            "not averaged",
            lambda dl, p, target: len(p) * cross_entropy.backward(dl, p, target),
            kind="reduction",
            remakes="the gradient of the sum for that of the mean",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "clipped probabilities",
            lambda dl, p, target: cross_entropy.backward(dl, np.maximum(p, 0.2), target),
            kind="arithmetic",
            remakes="clipped in backward and not in forward",
        ),
        Defect(
            "fused with softmax",
            lambda dl, p, target: dl * (p - onehot(target)) / len(p),
            kind="arithmetic",
            remakes="the gradient of the logits for that of the probabilities",
        ),
    ),
)


SOFTMAX_CROSS_ENTROPY = Case(
    "softmax_cross_entropy",
    cross_entropy.forward_logits,
    cross_entropy.backward_logits,
    logits,
    cached=True,
    defects=(
        Defect(
            "label not subtracted",
            lambda dl, cache: dl * cache[0] / ROWS,
            kind="arithmetic",
            remakes="the probabilities returned for the errors",
        ),
        Defect(
            "not averaged",
            lambda dl, cache: dl * (cache[0] - onehot(cache[1])),
            kind="reduction",
            remakes="the gradient of the sum for that of the mean",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "divided by the size",
            lambda dl, cache: dl * (cache[0] - onehot(cache[1])) / cache[0].size,
            kind="reduction",
            remakes="divided by the entries instead of the rows",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "upstream forgotten",
            lambda dl, cache: (cache[0] - onehot(cache[1])) / ROWS,
            kind="upstream",
            remakes="a loss that is taken to be the last node",
            cause="ignores-upstream",
        ),
        Defect(
            "wrong way round",
            lambda dl, cache: dl * (onehot(cache[1]) - cache[0]) / ROWS,
            kind="arithmetic",
            remakes="label minus probability",
            cause="sign",
        ),
        Defect(
            "labels off by one",
            lambda dl, cache: dl * (cache[0] - onehot((cache[1] + 1) % CLASSES)) / ROWS,
            kind="indexing",
            remakes="labels counted from 1",
        ),
    ),
)


def ignoring(z: Array, target: Array) -> Array:
    """Return the mean cross-entropy over the labels that are not negative."""
    rows = np.flatnonzero(target >= 0)
    return np.asarray(np.mean(logsumexp(z[rows]) - z[rows, target[rows]]))


def ignoring_backward(dl: Array, z: Array, target: Array) -> Array:
    """Return ``(softmax(Z) − onehot(t)) / count``, zero in ignored rows."""
    counted = (target >= 0)[:, None]
    return np.asarray(dl * counted * (softmax(z) - onehot(target)) / counted.sum())


IGNORED_LABELS = Case(
    "ignored_labels",
    ignoring,
    ignoring_backward,
    lambda rng: (rng.normal(size=(ROWS, CLASSES)), np.array([0, 3, -1, 1])),
    defects=(
        Defect(
            "divided by all rows",
            lambda dl, z, target: ignoring_backward(dl, z, target) * (target >= 0).sum() / len(target),
            kind="mask",
            remakes="ignored labels counted in the mean's denominator",
            cause="factor",
        ),
        Defect(
            "ignored rows get probabilities",
            lambda dl, z, target: dl * (softmax(z) - onehot(target)) / (target >= 0).sum(),
            kind="mask",
            remakes="the label masked and the probabilities not",
            cause="nonzero-where-it-should-be-zero",
        ),
        Defect(
            "label -1 is the last class",
            lambda dl, z, target: dl * (softmax(z) - np.eye(CLASSES)[target]) / (target >= 0).sum(),
            kind="mask",
            remakes="the ignore index used as an index",
            cause="nonzero-where-it-should-be-zero",
        ),
        Defect(
            "label 0 ignored too",
            lambda dl, z, target: ignoring_backward(dl, z, target) * (target > 0)[:, None],
            kind="mask",
            remakes="labels > 0 in place of >= 0",
            cause="zero-where-it-should-not-be",
        ),
    ),
)


def smoothed(target: Array, classes: int) -> Array:
    """Return ``(1 − ε) onehot(t) + ε / classes``."""
    return np.asarray((1 - SMOOTHING) * onehot(target) + SMOOTHING / classes)


LABEL_SMOOTHING = Case(
    "label_smoothing",
    lambda z, target: np.mean(logsumexp(z) - (smoothed(target, CLASSES) * z).sum(axis=1)),
    lambda dl, z, target: dl * (softmax(z) - smoothed(target, CLASSES)) / len(z),
    logits,
    defects=(
        Defect(
            "labels not smoothed",
            lambda dl, z, target: dl * (softmax(z) - onehot(target)) / len(z),
            kind="arithmetic",
            remakes="an option added to forward and not to backward",
        ),
        Defect(
            "spread over the other classes",
            lambda dl, z, target: dl * (softmax(z) - smoothed(target, CLASSES - 1)) / len(z),
            kind="arithmetic",
            remakes="epsilon / (C - 1) in one pass and epsilon / C in the other",
            cause="missing-term",
        ),
        Defect(
            "not averaged",
            lambda dl, z, target: dl * (softmax(z) - smoothed(target, CLASSES)),
            kind="reduction",
            remakes="the gradient of the sum for that of the mean",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "only the label scaled",
            lambda dl, z, target: dl * (softmax(z) - (1 - SMOOTHING) * onehot(target)) / len(z),
            kind="arithmetic",
            remakes="the uniform part dropped",
            cause="missing-term",
        ),
    ),
)


def margins(z: Array, target: Array) -> Array:
    """Return ``1 + Z_j − Z_t``, and −1 at the label itself."""
    own = z[np.arange(len(z)), target][:, None]
    return np.asarray(np.where(onehot(target), -1, 1 + z - own))


def hinge_backward(dl: Array, z: Array, target: Array) -> Array:
    """Return 1 for each class inside the margin, and minus their number for the label."""
    inside = margins(z, target) > 0
    return np.asarray(dl * (inside - onehot(target) * inside.sum(axis=1, keepdims=True)) / len(z))


def logits_on_the_margin(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw logits of which one is exactly at the margin, and one 1e-7 inside it."""
    z, target = rng.normal(size=(ROWS, CLASSES)), np.array([1, 0, 4, 2])
    z[0, 1] = z[1, 0] = 0.5
    z[0, 0] = -0.5
    z[1, 1] = -0.5 + 1e-7
    return z, target


HINGE = Case(
    "hinge",
    lambda z, target: np.maximum(0, margins(z, target)).sum() / len(z),
    hinge_backward,
    logits_on_the_margin,
    defects=(
        Defect(
            "nothing for the label",
            lambda dl, z, target: hinge_backward(dl, z, target) * ~onehot(target),
            kind="arithmetic",
            remakes="the gradient of the correct class's score forgotten",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "once for the label",
            lambda dl, z, target: dl * ((margins(z, target) > 0) * 1.0 - onehot(target)) / len(z),
            kind="arithmetic",
            remakes="-1 for the correct class, not once for each margin violated",
        ),
        Defect(
            "no margin",
            lambda dl, z, target: hinge_backward(dl, z + onehot(target), target),
            kind="arithmetic",
            remakes="scores compared without the 1",
        ),
        Defect(
            "not averaged",
            lambda dl, z, target: len(z) * hinge_backward(dl, z, target),
            kind="reduction",
            remakes="the gradient of the sum for that of the mean",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "margin with a tolerance",
            lambda dl, z, target: hinge_backward(dl, z + 1e-6 * onehot(target), target),
            kind="kink",
            remakes="compared with a small epsilon in place of zero",
        ),
    ),
)


def focal(z: Array) -> Array:
    """Return ``mean −(1 − p)^γ log p`` with ``p = σ(z)``, for labels that are all 1."""
    p = sigmoid(z)
    return np.asarray(np.mean(-((1 - p) ** GAMMA) * np.log(p)))


def focal_backward(dl: Array, z: Array) -> Array:
    """Return ``(1 − p)^γ (γ p log p − (1 − p)) / N``."""
    p = sigmoid(z)
    return np.asarray(dl * (1 - p) ** GAMMA * (GAMMA * p * np.log(p) - (1 - p)) / z.size)


FOCAL = Case(
    "focal",
    focal,
    focal_backward,
    normal((6,)),
    defects=(
        Defect(
            "modulating factor constant",
            lambda dl, z: -dl * (1 - sigmoid(z)) ** (GAMMA + 1) / z.size,
            kind="arithmetic",
            remakes="the weight detached from the graph",
        ),
        Defect(
            "gamma not in front",
            lambda dl, z: (
                dl * (1 - sigmoid(z)) ** GAMMA * (sigmoid(z) * np.log(sigmoid(z)) - (1 - sigmoid(z))) / z.size
            ),
            kind="arithmetic",
            remakes="the exponent lost when a power was differentiated",
        ),
        Defect(
            "no minus",
            lambda dl, z: -focal_backward(dl, z),
            kind="arithmetic",
            remakes="the likelihood for the loss",
            cause="sign",
        ),
        Defect(
            "gradient of the probabilities",
            lambda dl, z: focal_backward(dl, z) / (sigmoid(z) * (1 - sigmoid(z))),
            kind="arithmetic",
            remakes="the derivative of the sigmoid left out of the chain",
        ),
    ),
)

CASES = (CROSS_ENTROPY, SOFTMAX_CROSS_ENTROPY, IGNORED_LABELS, LABEL_SMOOTHING, HINGE, FOCAL)
