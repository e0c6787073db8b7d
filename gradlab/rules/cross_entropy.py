"""Cross-entropy against integer labels, the mean over the batch: of probabilities, and of logits.

::

    L = −1/N Σ_n log P[n, t_n]               dL/dP[n, k] = −δ(k, t_n) / (N P[n, t_n])
                                             L̇ = −1/N Σ_n Ṗ[n, t_n] / P[n, t_n]

    P = softmax(Z), fused with the above:    dL/dZ = (P − onehot(t)) / N
                                             L̇ = 1/N Σ_nk Ż[n, k] (P − onehot(t))[n, k]

The fused form never divides by a probability nor takes its logarithm, and is right for logits of ±1000,
where the probability of the label may be too small for a floating-point number.
"""

from __future__ import annotations

import numpy as np

from gradlab.rule import Rule
from gradlab.rules import softmax
from gradlab.rules._jacobians import Array
from gradlab.strategies import inputs, labels, probabilities, reals


def forward(p: Array, target: Array) -> Array:
    """Return ``L = −1/N Σ_n log P[n, t_n]``, a number.

    Parameters
    ----------
    p : (N, C)
        Probabilities.
    target : (N,) integers
        The labels, in ``0 … C − 1``.
    """
    return np.asarray(-np.log(p[np.arange(len(target)), target]).sum() / len(target))


def backward(dl: Array, p: Array, target: Array) -> Array:
    """Return ``dL/dP`` of shape (N, C): ``−1 / (N P[n, t_n])`` at the labels, zero elsewhere."""
    dp = np.zeros_like(p)
    rows = np.arange(len(target))
    dp[rows, target] = -dl / (len(target) * p[rows, target])
    return dp


def jvp(tangents: tuple[Array, None], p: Array, target: Array) -> Array:
    """Return ``L̇ = −1/N Σ_n Ṗ[n, t_n] / P[n, t_n]``, a number, for tangents ``(Ṗ, None)``."""
    p_dot, _ = tangents
    rows = np.arange(len(target))
    return np.asarray(-(p_dot[rows, target] / p[rows, target]).sum() / len(target))


def jacobian(p: Array, target: Array) -> tuple[Array]:
    """Return the row ``dL/dP`` of shape (N, C), written with one-hot labels."""
    row: Array = -one_hot(target, p.shape[1]) / p / len(target)
    return (row,)


def forward_logits(z: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return ``L = 1/N Σ_n (log Σ_k exp Z[n, k] − Z[n, t_n])``, and what backward needs.

    Parameters
    ----------
    z : (N, C)
        Logits.
    target : (N,) integers
        The labels.

    Examples
    --------
    >>> loss, _ = forward_logits(np.array([[1000.0, -1000.0]]), np.array([1]))
    >>> float(loss)
    2000.0
    """
    losses = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(target)), target]
    p, _ = softmax.forward(z)
    return np.asarray(losses.sum() / len(target)), (p, target)


def backward_logits(dl: Array, cache: tuple[Array, Array]) -> Array:
    """Return ``dL/dZ = (P − onehot(t)) / N`` of shape (N, C)."""
    p, target = cache
    dz: Array = dl * (p - one_hot(target, p.shape[1])) / len(target)
    return dz


def jvp_logits(tangents: tuple[Array, None], cache: tuple[Array, Array]) -> Array:
    """Return ``L̇ = 1/N Σ_nk Ż[n, k] (P − onehot(t))[n, k]``, a number, for tangents ``(Ż, None)``."""
    z_dot, _ = tangents
    p, target = cache
    return np.asarray(np.sum(z_dot * (p - one_hot(target, p.shape[1]))) / len(target))


def jacobian_logits(z: Array, target: Array) -> tuple[Array]:
    """Return the row ``dL/dZ`` of shape (N, C), through the explicit Jacobian of softmax."""
    p, _ = softmax.forward(z)
    (dp_dz,) = softmax.jacobian(z)
    (dl_dp,) = jacobian(p, target)
    return (np.einsum("nc,ncmk->mk", dl_dp, dp_dz),)


def one_hot(target: Array, classes: int) -> Array:
    """Return ``onehot(t)`` of shape (N, C).

    >>> one_hot(np.array([1, 0]), 2)
    array([[0., 1.],
           [1., 0.]])
    """
    return np.asarray(np.eye(classes)[target])


PROBABILITIES = Rule(
    "cross_entropy",
    forward,
    backward,
    inputs("(n,c),(n)", elements=(probabilities, labels("c"))),
    jvp=jvp,
    jacobian=jacobian,
)
LOGITS = Rule(
    "softmax_cross_entropy",
    forward_logits,
    backward_logits,
    inputs("(n,c),(n)", elements=(reals, labels("c"))),
    cached=True,
    jvp=jvp_logits,
    jacobian=jacobian_logits,
)
