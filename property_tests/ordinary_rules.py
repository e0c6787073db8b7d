"""Right rules of many kinds, and wrong ones that are wrong at few points only."""

from dataclasses import replace

import numpy as np

from gradlab import Rule
from gradlab.strategies import between, inputs, labels, positive, probabilities, reals, spd

IGNORED = -100


def unbroadcast(gradient, shape):
    """Sum over the axes along which an array of this shape was broadcast."""
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    ones = tuple(k for k, side in enumerate(shape) if side == 1)
    return gradient.sum(axis=ones, keepdims=True)


def swap(a):
    return a.swapaxes(-1, -2)


def max_first(dy, x):
    dx = np.zeros_like(x)
    np.put_along_axis(dx, x.argmax(axis=-1)[..., None], dy[..., None], axis=-1)
    return dx


def max_split(dy, x):
    largest = x == x.max(axis=-1, keepdims=True)
    return dy[..., None] * largest / largest.sum(axis=-1, keepdims=True)


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def layer_norm(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    s = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return centred / s, (centred / s, s)


def layer_norm_backward(dy, cache):
    y, s = cache
    return (dy - dy.mean(axis=-1, keepdims=True) - y * (dy * y).mean(axis=-1, keepdims=True)) / s


def gather_backward(dy, table, index):
    dtable = np.zeros_like(table)
    np.add.at(dtable, index, dy)
    return dtable


def masked_cross_entropy(z, target):
    kept = target != IGNORED
    rows = np.arange(len(z))[kept]
    return -np.sum(log_softmax(z)[rows, target[kept]]) / max(kept.sum(), 1)


def masked_cross_entropy_backward(dl, z, target):
    kept = target != IGNORED
    dz = np.exp(log_softmax(z))
    dz[np.arange(len(z))[kept], target[kept]] -= 1
    return dl * dz * kept[:, None] / max(kept.sum(), 1)


def log_det(a):
    # A Cholesky factorization reads the lower triangle only.
    factor = np.linalg.cholesky((a + a.T) / 2)
    return 2 * np.log(np.diag(factor)).sum()


def inverse_backward(dy, a):
    y = np.linalg.inv(a)
    return -y.T @ dy @ y.T


def prod_backward(dy, x):
    others = np.where(np.eye(len(x), dtype=bool), 1.0, x).prod(axis=1)
    return dy * others


RIGHT = {
    rule.name: rule
    for rule in (
        Rule("relu", lambda x: np.maximum(x, 0), lambda dy, x: dy * (x > 0), "(n,d)"),
        Rule("abs", np.abs, lambda dy, x: dy * np.sign(x), "(n,d)"),
        Rule("clip", lambda x: np.clip(x, -1, 1), lambda dy, x: dy * (np.abs(x) < 1), "(n,d)"),
        Rule("max_first", lambda x: x.max(axis=-1), max_first, "(n,d)"),
        Rule("max_split", lambda x: x.max(axis=-1), max_split, "(n,d)"),
        Rule("sqrt", np.sqrt, lambda dy, x: dy / (2 * np.sqrt(x)), inputs("(n)", elements=positive)),
        Rule("log", np.log, lambda dy, p: dy / p, inputs("(n,c)", elements=probabilities)),
        Rule(
            "logit",
            lambda p: np.log(p / (1 - p)),
            lambda dy, p: dy / (p * (1 - p)),
            inputs("(n)", elements=between(0, 1)),
        ),
        Rule("reciprocal", lambda x: 1 / x, lambda dy, x: -dy / x**2, "(n)"),
        Rule("exp", np.exp, lambda dy, x: dy * np.exp(x), "(n)"),
        Rule("multiply", np.multiply, lambda dy, x, w: (dy * w, dy * x), "(n),(n)"),
        Rule("prod", lambda x: x.prod(), prod_backward, "(n)"),
        Rule(
            "log_softmax",
            log_softmax,
            lambda dy, z: dy - np.exp(log_softmax(z)) * dy.sum(axis=-1, keepdims=True),
            "(n,c)",
        ),
        Rule("layer_norm", layer_norm, layer_norm_backward, "(n,d)", cached=True),
        Rule(
            "gather",
            lambda table, index: table[index],
            gather_backward,
            inputs("(v,e),(n)", elements=(reals, labels("v"))),
        ),
        Rule(
            "masked_cross_entropy",
            masked_cross_entropy,
            masked_cross_entropy_backward,
            inputs("(n,c),(n)", elements=(reals, labels("c", ignore=IGNORED))),
        ),
        Rule("log_det", log_det, lambda dy, a: dy * np.linalg.inv(a), inputs("(n,n)", elements=spd)),
        Rule("inverse", np.linalg.inv, inverse_backward, inputs("(n,n)", elements=spd)),
        Rule(
            "add",
            np.add,
            lambda dy, x, y: (unbroadcast(dy, x.shape), unbroadcast(dy, y.shape)),
            inputs("(),()", broadcast=True),
        ),
        Rule(
            "batched_matmul",
            np.matmul,
            lambda dy, x, w: (unbroadcast(dy @ swap(w), x.shape), unbroadcast(swap(x) @ dy, w.shape)),
            inputs("(n,d),(d,m)", broadcast=True, max_side=3),
        ),
        Rule(
            "tanh_layer",
            lambda x, w: np.tanh(x @ w),
            lambda dy, x, w: (
                dy * (1 - np.tanh(x @ w) ** 2) @ w.T,
                x.T @ (dy * (1 - np.tanh(x @ w) ** 2)),
            ),
            "(n,d),(d,m)",
        ),
        Rule("affine", lambda x, b: x + b, lambda dy, x, b: (dy, dy.sum(axis=0)), "(n,d),(d)"),
    )
}


def assigned(dy, table, index):
    dtable = np.zeros_like(table)
    dtable[index] = dy
    return dtable


def with_ignored(dl, z, target):
    dz = np.exp(log_softmax(z))
    dz[np.arange(len(z)), np.where(target == IGNORED, 0, target)] -= 1
    return dl * dz / len(z)


def over_the_batch(dl, z, target):
    kept = target != IGNORED
    return masked_cross_entropy_backward(dl, z, target) * max(kept.sum(), 1) / len(z)


def quotient(dy, x):
    with np.errstate(all="ignore"):
        return dy * x.prod() / x


def quotients(dy, x, w):
    with np.errstate(all="ignore"):
        return dy * (x * w) / x, dy * x


# Why each is wrong, and where: the rule, and the backward in place of the right one.
WRONG = {
    "batch: no division by its size": ("masked_cross_entropy", lambda *a: with_ignored(*a) * len(a[1])),
    "batch: mean in place of a sum": ("affine", lambda dy, x, b: (dy, dy.mean(axis=0))),
    "batch: only the first row": ("affine", lambda dy, x, b: (dy, dy[0])),
    "duplicates: assigned, not added": ("gather", assigned),
    "ties: all of them get the whole": (
        "max_first",
        lambda dy, x: dy[:, None] * (x == x.max(axis=-1, keepdims=True)),
    ),
    "ties: none of them gets any": (
        "max_first",
        lambda dy, x: max_first(dy, x) * ((x == x.max(axis=-1, keepdims=True)).sum(-1, keepdims=True) == 1),
    ),
    "ties: of the whole array": ("exp", lambda dy, x: dy * np.exp(x) * (1 + (np.unique(x).size < x.size))),
    "zero: slope outside both sides": ("abs", lambda dy, x: dy * np.where(x == 0, 2, np.sign(x))),
    "zero: product divided by the factor": ("prod", quotient),
    "zero: 0 / 0 in an entry": ("multiply", quotients),
    "zero: a constant slope": ("exp", lambda dy, x: dy * np.where(x == 0, 0.5, np.exp(x))),
    "ignored: not left out": ("masked_cross_entropy", with_ignored),
    "ignored: counted in the mean": ("masked_cross_entropy", over_the_batch),
    "size 1: not summed along it": (
        "add",
        lambda dy, x, y: (dy.sum(axis=tuple(range(dy.ndim - x.ndim))), unbroadcast(dy, y.shape)),
    ),
    "large: clipped above 5": ("exp", lambda dy, x: dy * np.exp(np.minimum(x, 5))),
    "small: a threshold of 1/100": ("exp", lambda dy, x: dy * np.where(np.abs(x) < 0.01, 0, np.exp(x))),
}


def wrong_rule(why):
    """Return the rule with that defect."""
    name, backward = WRONG[why]
    return replace(RIGHT[name], name=why, backward=backward)
