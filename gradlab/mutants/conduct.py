"""Conduct: what a rule does beyond the numbers, shown on one layer of a network and on dropout.

::

    dense    Y = tanh(X W + b)          dA = dY (1 − Y²),  dX = dA Wᵀ,  dW = Xᵀ dA,  db = Σ_n dA[n]
    dropout  Y = X m / (1 − p)          dX = dY m / (1 − p),  m drawn from the seed that forward is given
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradlab.mutants._points import Array, normal
from gradlab.mutants.model import Case, Defect

Gradients = tuple[Array, Array, Array]


def dense(x: Array, w: Array, b: Array) -> Array:
    """Return ``tanh(X W + b)``."""
    return np.asarray(np.tanh(x @ w + b))


def backward(dy: Array, x: Array, w: Array, b: Array) -> Gradients:
    """Return the gradients of X, W and b."""
    da = dy * (1 - dense(x, w, b) ** 2)
    return da @ w.T, x.T @ da, da.sum(axis=0)


def of_upstream(change: Callable[[Array], Array]) -> Callable[..., Gradients]:
    """Return the backward rule applied to a changed upstream gradient."""
    return lambda dy, x, w, b: backward(change(dy), x, w, b)


def scales_upstream(dy: Array, x: Array, w: Array, b: Array) -> Gradients:
    """Compute dA in the upstream gradient."""
    dy *= 1 - dense(x, w, b) ** 2
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def reuses_input(dy: Array, x: Array, w: Array, b: Array) -> Gradients:
    """Write into the input, after it was used."""
    gradients = backward(dy, x, w, b)
    x += 1e-3
    return gradients


def updates_weights(dy: Array, x: Array, w: Array, b: Array) -> Gradients:
    """Take a step of descent."""
    gradients = backward(dy, x, w, b)
    w -= 0.1 * gradients[1]
    return gradients


def forward_in_place(x: Array, w: Array, b: Array) -> Array:
    """Clip the weights while passing."""
    y = dense(x, w, b)
    np.clip(w, -0.01, 0.01, out=w)
    return y


DENSE = Case(
    "dense",
    dense,
    backward,
    normal((4, 3), (3, 2), (2,)),
    defects=(
        Defect(
            "ignores upstream",
            of_upstream(np.ones_like),
            kind="upstream",
            remakes="the gradient of the sum of all outputs, whatever is asked for",
            cause="ignores-upstream",
        ),
        Defect(
            "squares upstream",
            of_upstream(np.square),
            kind="upstream",
            remakes="multiplied by the upstream gradient twice",
            cause="nonlinear-in-upstream",
        ),
        Defect(
            "absolute value of upstream",
            of_upstream(np.abs),
            kind="upstream",
            remakes="a magnitude where a signed number belongs",
            cause="nonlinear-in-upstream",
        ),
        Defect(
            "sign of upstream",
            of_upstream(np.sign),
            kind="upstream",
            remakes="sign descent built into the layer",
            cause="nonlinear-in-upstream",
        ),
        Defect(
            "upstream normalized",
            of_upstream(lambda dy: dy / np.linalg.norm(dy)),
            kind="upstream",
            remakes="gradient normalization built into the layer",
            cause="nonlinear-in-upstream",
        ),
        Defect(
            "upstream of the first example for all",
            of_upstream(lambda dy: np.broadcast_to(dy[0], dy.shape)),
            kind="upstream",
            remakes="a loss that is the same for all examples",
        ),
    ),
)

DENSE_CONTRACT = Case(
    "dense_contract",
    dense,
    backward,
    normal((4, 3), (3, 2), (2,)),
    defects=(
        Defect(
            "upstream scaled in place",
            scales_upstream,
            kind="arguments",
            remakes="dY *= 1 - Y**2: a second branch then gets the changed gradient",
            breaks="arguments",
        ),
        Defect(
            "input changed",
            reuses_input,
            kind="arguments",
            remakes="the input's buffer reused",
            breaks="arguments",
        ),
        Defect(
            "weights updated",
            updates_weights,
            kind="arguments",
            remakes="the optimizer's step taken inside backward",
            breaks="arguments",
        ),
        Defect(
            "weights clipped by forward",
            backward,
            forward=forward_in_place,
            kind="arguments",
            remakes="a constraint enforced in place by forward",
            breaks="arguments",
        ),
        Defect(
            "bias of shape (1, n)",
            lambda dy, x, w, b: (*backward(dy, x, w, b)[:2], backward(dy, x, w, b)[2][None]),
            kind="shape",
            remakes="keepdims=True for an input of shape (n,)",
            breaks="shape",
        ),
        Defect(
            "None for the bias",
            lambda dy, x, w, b: (*backward(dy, x, w, b)[:2], None),
            kind="shape",
            remakes="an input taken to need no gradient",
            breaks="count",
        ),
        Defect(
            "two gradients for three inputs",
            lambda dy, x, w, b: backward(dy, x, w, b)[:2],
            kind="shape",
            remakes="the bias added to forward and not to backward",
            breaks="count",
        ),
    ),
)

DROPPED = 0.25


def kept(x: Array, seed: int | None) -> Array:
    """Return the mask: which entries are kept."""
    return np.asarray(np.random.default_rng(seed).random(x.shape) >= DROPPED)


DROPOUT = Case(
    "dropout",
    lambda x, seed: x * kept(x, seed) / (1 - DROPPED),
    lambda dy, x, seed: dy * kept(x, seed) / (1 - DROPPED),
    lambda rng: (rng.normal(size=(5, 6)), int(rng.integers(1000))),
    defects=(
        Defect(
            "mask drawn anew",
            lambda dy, x, seed: dy * kept(x, None) / (1 - DROPPED),
            kind="arguments",
            remakes="a mask drawn in backward in place of forward's: each call answers differently",
            breaks="repeat",
        ),
        Defect(
            "not scaled",
            lambda dy, x, seed: dy * kept(x, seed),
            kind="arithmetic",
            remakes="the division by the kept share in forward only",
            cause="factor",
        ),
        Defect(
            "not masked",
            lambda dy, x, seed: dy / (1 - DROPPED),
            kind="mask",
            remakes="dropped units get a gradient",
            cause="nonzero-where-it-should-be-zero",
        ),
        Defect(
            "another mask",
            lambda dy, x, seed: dy * kept(x, seed + 1) / (1 - DROPPED),
            kind="mask",
            remakes="the random state advanced between forward and backward",
        ),
    ),
)

CASES = (DENSE, DENSE_CONTRACT, DROPOUT)
