"""Scaled dot-product attention, plain and with padding.

::

    S = Q Kᵀ / √d,  A = softmax(S),  Y = A V

    dV = Aᵀ dY,  dA = dY Vᵀ,  dS = A (dA − Σ dA A),  dQ = dS K / √d,  dK = dSᵀ Q / √d

With as many queries as keys, since that is where a forgotten transpose goes unseen. Masked scores are −∞;
the gradients of what is masked are zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradlab.mutants._points import Array, normal
from gradlab.mutants.model import Case, Defect
from gradlab.mutants.reductions import softmax

Gradients = tuple[Array, Array, Array]


def scores(q: Array, k: Array) -> Array:
    """Return ``Q Kᵀ / √d``."""
    return np.asarray(q @ k.T / np.sqrt(q.shape[1]))


def through_softmax(da: Array, a: Array) -> Array:
    """Return ``A (dA − Σ dA A)``."""
    return np.asarray(a * (da - (da * a).sum(axis=-1, keepdims=True)))


def from_weights(dy: Array, q: Array, k: Array, v: Array, a: Array) -> Gradients:
    """Return the gradients, given the attention weights."""
    ds = through_softmax(dy @ v.T, a) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, a.T @ dy


def attention(q: Array, k: Array, v: Array) -> Array:
    """Return ``softmax(Q Kᵀ / √d) V``."""
    return softmax(scores(q, k)) @ v


def backward(dy: Array, q: Array, k: Array, v: Array) -> Gradients:
    """Return the gradients of Q, K and V."""
    return from_weights(dy, q, k, v, softmax(scores(q, k)))


def scaled(factor: Callable[[int], float]) -> Callable[..., Gradients]:
    """Return a backward rule whose gradients of Q and K have another scale."""

    def wrong(dy: Array, q: Array, k: Array, v: Array) -> Gradients:
        dq, dk, dv = backward(dy, q, k, v)
        return dq * factor(q.shape[1]), dk * factor(q.shape[1]), dv

    return wrong


def swapped(dy: Array, q: Array, k: Array, v: Array) -> Gradients:
    """Return dK before dQ."""
    dq, dk, dv = backward(dy, q, k, v)
    return dk, dq, dv


def untransposed(dy: Array, q: Array, k: Array, v: Array) -> Gradients:
    """Leave out the transpose of dS."""
    a = softmax(scores(q, k))
    ds = through_softmax(dy @ v.T, a) / np.sqrt(q.shape[1])
    return ds @ k, ds @ q, a.T @ dy


def softmax_entry_by_entry(dy: Array, q: Array, k: Array, v: Array) -> Gradients:
    """Leave out the sum in the derivative of softmax."""
    a = softmax(scores(q, k))
    ds = (dy @ v.T) * a * (1 - a) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, a.T @ dy


def values_untransposed(dy: Array, q: Array, k: Array, v: Array) -> Gradients:
    """Mix the upstream gradients with A in place of its transpose."""
    dq, dk, _ = backward(dy, q, k, v)
    return dq, dk, softmax(scores(q, k)) @ dy


ATTENTION = Case(
    "attention",
    attention,
    backward,
    normal((3, 4), (3, 4), (3, 2)),
    defects=(
        Defect(
            "scale forgotten",
            scaled(np.sqrt),
            kind="arithmetic",
            remakes="1 / sqrt(d) applied in forward only",
            cause="factor",
        ),
        Defect(
            "scaled twice",
            scaled(lambda d: 1 / float(np.sqrt(d))),
            kind="arithmetic",
            remakes="1 / sqrt(d) applied both to the scores' gradient and to the result",
            cause="factor",
        ),
        Defect(
            "softmax entry by entry",
            softmax_entry_by_entry,
            kind="arithmetic",
            remakes="the sigmoid's derivative for that of softmax, hidden inside a composition",
        ),
        Defect(
            "keys and queries swapped",
            swapped,
            kind="layout",
            remakes="gradients returned in the wrong order, unseen with as many keys as queries",
            cause="swapped-inputs",
        ),
        Defect(
            "score gradient not transposed",
            untransposed,
            kind="layout",
            remakes="transpose forgotten, unseen with as many keys as queries",
        ),
        Defect(
            "weights not transposed",
            values_untransposed,
            kind="layout",
            remakes="transpose forgotten, unseen with as many keys as queries",
        ),
    ),
)


def masked_weights(q: Array, k: Array, seen: Array) -> Array:
    """Return ``softmax(S)`` with ``S = −∞`` where a key is not seen."""
    return softmax(np.where(seen, scores(q, k), -np.inf))


def causal(q: Array) -> Array:
    """Return which keys each query sees: itself and those before."""
    return np.tri(len(q), dtype=bool)


CAUSAL = Case(
    "causal_attention",
    lambda q, k, v: masked_weights(q, k, causal(q)) @ v,
    lambda dy, q, k, v: from_weights(dy, q, k, v, masked_weights(q, k, causal(q))),
    normal((4, 3), (4, 3), (4, 3)),
    defects=(
        Defect(
            "mask forgotten",
            lambda dy, q, k, v: from_weights(dy, q, k, v, softmax(scores(q, k))),
            kind="mask",
            remakes="weights recomputed in backward without the mask",
        ),
        Defect(
            "mask the other way round",
            lambda dy, q, k, v: from_weights(dy, q, k, v, masked_weights(q, k, causal(q).T)),
            kind="mask",
            remakes="the upper triangle for the lower one",
        ),
        Defect(
            "masked to zero",
            lambda dy, q, k, v: from_weights(dy, q, k, v, softmax(scores(q, k) * causal(q))),
            kind="mask",
            remakes="scores multiplied by the mask: exp(0) = 1 still takes part",
        ),
        Defect(
            "itself not seen",
            lambda dy, q, k, v: from_weights(dy, q, k, v, softmax(scores(q, k)) * np.tri(len(q), k=-1)),
            kind="mask",
            remakes="the triangle off by one",
        ),
    ),
)


def weights_without_padding(q: Array, k: Array, valid: Array) -> Array:
    """Return the weights with padded keys unseen."""
    return masked_weights(q, k, valid[None, :])


def padded_forward(q: Array, k: Array, v: Array, valid: Array) -> Array:
    """Return Y, zero for padded queries."""
    return np.asarray(weights_without_padding(q, k, valid) @ v * valid[:, None])


def padded_backward(dy: Array, q: Array, k: Array, v: Array, valid: Array) -> Gradients:
    """Return the gradients; padded queries have none."""
    return from_weights(dy * valid[:, None], q, k, v, weights_without_padding(q, k, valid))


PADDED = Case(
    "padded_attention",
    padded_forward,
    padded_backward,
    lambda rng: (*normal((4, 3), (4, 3), (4, 3))(rng), np.array([True, True, True, False])),
    defects=(
        Defect(
            "padded queries not masked",
            lambda dy, q, k, v, valid: from_weights(dy, q, k, v, weights_without_padding(q, k, valid)),
            kind="mask",
            remakes="padding masked in the keys and not in the queries: gradients leak from padding",
        ),
        Defect(
            "padded keys seen",
            lambda dy, q, k, v, valid: from_weights(dy * valid[:, None], q, k, v, softmax(scores(q, k))),
            kind="mask",
            remakes="weights recomputed in backward without the mask",
        ),
        Defect(
            "padded keys' share kept",
            lambda dy, q, k, v, valid: from_weights(
                dy * valid[:, None], q, k, v, softmax(scores(q, k)) * valid
            ),
            kind="mask",
            remakes="masked after softmax, so that weights no longer sum to 1",
        ),
        Defect(
            "gradient to padded values",
            lambda dy, q, k, v, valid: (
                *padded_backward(dy, q, k, v, valid)[:2],
                np.where(valid[:, None], padded_backward(dy, q, k, v, valid)[2], dy),
            ),
            kind="mask",
            remakes="padding rows passed through by a residual shortcut",
            cause="nonzero-where-it-should-be-zero",
        ),
    ),
)

CASES = (ATTENTION, CAUSAL, PADDED)
