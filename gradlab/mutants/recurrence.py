"""Recurrence: the same weights at every time step, and gradients that go back through all of them.

::

    rnn    h_t = tanh(x_t U + h_{t−1} W + b)             Y = all h_t
    gated  z_t = σ(x_t U + h_{t−1} W),  c_t = tanh(x_t V)
           h_t = (1 − z_t) h_{t−1} + z_t c_t             Y = the last h_t

and two compositions from gradlab itself: the single neuron and the neural language model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.mutants._points import Array, normal
from gradlab.mutants.activations import sigmoid
from gradlab.mutants.model import Case, Defect
from gradlab.networks import language_model, neuron

H = 3


def rnn(x: Array, u: Array, w: Array, b: Array) -> tuple[Array, Any]:
    """Return all states, of shape (T, H), starting from zero.

    Parameters
    ----------
    x : (T, D)
    u : (D, H)
    w : (H, H)
    b : (H,)
    """
    h = np.zeros((len(x) + 1, H))
    for t in range(len(x)):
        h[t + 1] = np.tanh(x[t] @ u + h[t] @ w + b)
    return h[1:], (x, u, w, h)


def rnn_steps(dy: Array, w: Array, h: Array, *, carry: Array | None = None) -> Array:
    """Return ``da_t = (dY_t + da_{t+1} Wᵀ)(1 − h_t²)`` of all steps, last step first."""
    back = w.T if carry is None else carry
    da = np.zeros((len(dy) + 1, H))
    for t in reversed(range(len(dy))):
        da[t] = (dy[t] + da[t + 1] @ back) * (1 - h[t + 1] ** 2)
    return da[:-1]


def rnn_backward(dy: Array, cache: Any) -> tuple[Array, Array, Array, Array]:
    """Return the gradients of x, U, W and b."""
    x, u, w, h = cache
    da = rnn_steps(dy, w, h)
    return da @ u.T, x.T @ da, h[:-1].T @ da, da.sum(axis=0)


def with_carry(choose: Any) -> Any:
    """Return a backward rule that carries gradients back in time by another matrix than ``Wᵀ``."""

    def wrong(dy: Array, cache: Any) -> tuple[Array, Array, Array, Array]:
        x, u, w, h = cache
        da = rnn_steps(dy, w, h, carry=choose(w))
        return da @ u.T, x.T @ da, h[:-1].T @ da, da.sum(axis=0)

    return wrong


def state_after(dy: Array, cache: Any) -> tuple[Array, Array, Array, Array]:
    """Multiply by the state after the step."""
    x, u, w, h = cache
    da = rnn_steps(dy, w, h)
    return da @ u.T, x.T @ da, h[1:].T @ da, da.sum(axis=0)


def bias_of_one_step(dy: Array, cache: Any) -> tuple[Array, Array, Array, Array]:
    """Keep the bias gradient of the step that comes last in the loop."""
    x, u, w, h = cache
    da = rnn_steps(dy, w, h)
    return da @ u.T, x.T @ da, h[:-1].T @ da, da[0]


def averaged_over_time(dy: Array, cache: Any) -> tuple[Array, Array, Array, Array]:
    """Average over the steps."""
    dx, du, dw, db = rnn_backward(dy, cache)
    return dx, du / len(dy), dw / len(dy), db / len(dy)


def last_step_only(dy: Array, cache: Any) -> tuple[Array, Array, Array, Array]:
    """Begin with the last output's gradient and add no other's."""
    return rnn_backward(dy * (np.arange(len(dy)) == len(dy) - 1)[:, None], cache)


RNN = Case(
    "rnn",
    rnn,
    rnn_backward,
    normal((4, 2), (2, H), (H, H), (H,)),
    cached=True,
    defects=(
        Defect(
            "not through time",
            with_carry(np.zeros_like),
            kind="recurrence",
            remakes="the state detached at every step",
        ),
        Defect(
            "recurrent weights not transposed",
            with_carry(lambda w: w),
            kind="layout",
            remakes="transpose forgotten, unseen since recurrent weights are square",
        ),
        Defect(
            "state after the step",
            state_after,
            kind="recurrence",
            remakes="h[t] in place of h[t - 1] in the recurrent weights' gradient",
        ),
        Defect(
            "bias of one step",
            bias_of_one_step,
            kind="recurrence",
            remakes="= in place of += in the loop over time",
        ),
        Defect(
            "averaged over time",
            averaged_over_time,
            kind="recurrence",
            remakes="shared weights averaged over the time steps",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "last output only",
            last_step_only,
            kind="recurrence",
            remakes="the gradients of earlier outputs dropped",
        ),
    ),
)


def gated(x: Array, u: Array, w: Array, v: Array) -> tuple[Array, Any]:
    """Return the last state, of shape (H,), starting from ½.

    Parameters
    ----------
    x : (T, D)
    u, v : (D, H)
    w : (H, H)
    """
    h, kept = np.full(H, 0.5), []
    for step in x:
        z, c = sigmoid(step @ u + h @ w), np.tanh(step @ v)
        kept.append((step, z, c, h))
        h = (1 - z) * h + z * c
    return h, (x, u, w, v, kept)


def gated_backward(
    dh: Array, cache: Any, *, direct: float = 1, through_gate: float = 1, gate: float = 1, slope: Any = None
) -> tuple[Array, Array, Array, Array]:
    """Return the gradients of x, U, W and V; the keywords weigh the paths, for the wrong variants."""
    x, u, w, v, kept = cache
    dx, du, dw, dv = (np.zeros_like(a) for a in (x, u, w, v))
    for t in reversed(range(len(x))):
        step, z, c, h = kept[t]
        da = gate * dh * (c - h) * (z * (1 - z) if slope is None else slope(z))
        dc = dh * z * (1 - c**2)
        dx[t] = da @ u.T + dc @ v.T
        du += np.outer(step, da)
        dw += np.outer(h, da)
        dv += np.outer(step, dc)
        dh = direct * dh * (1 - z) + through_gate * da @ w.T
    return dx, du, dw, dv


GATED = Case(
    "gated_unit",
    gated,
    gated_backward,
    normal((3, 2), (2, H), (H, H), (2, H)),
    cached=True,
    defects=(
        Defect(
            "direct path lost",
            lambda dh, cache: gated_backward(dh, cache, direct=0),
            kind="recurrence",
            remakes="the state that is carried over gets no gradient",
        ),
        Defect(
            "path through the gate lost",
            lambda dh, cache: gated_backward(dh, cache, through_gate=0),
            kind="recurrence",
            remakes="the gate's dependence on the state forgotten",
        ),
        Defect(
            "gate's sign",
            lambda dh, cache: gated_backward(dh, cache, gate=-1),
            kind="arithmetic",
            remakes="h - c in place of c - h: the gate's two ends exchanged",
        ),
        Defect(
            "derivative of tanh for the gate",
            lambda dh, cache: gated_backward(dh, cache, slope=lambda z: 1 - z**2),
            kind="arithmetic",
            remakes="the other activation's derivative",
        ),
        Defect(
            "steps in the wrong order",
            lambda dh, cache: gated_backward(
                dh, (*cache[:4], [(s, z, c, h) for s, z, c, h in cache[4]][::-1])
            ),
            kind="recurrence",
            remakes="the stored values of the steps read forwards where time runs backwards",
        ),
    ),
)


def slope_dropped(dl: Array, v: neuron.Values) -> tuple[Array, ...]:
    """Leave ``1 − o²`` out of δ."""
    delta = dl * -(v.y - v.o)
    db = delta * v.w2 * (1 - v.h**2)
    return db * v.x, delta * v.h, db * v.w1, dl * (v.y - v.o)


def weights_swapped(dl: Array, v: neuron.Values) -> tuple[Array, ...]:
    """Return the gradient of w2 before that of w1."""
    dw1, dw2, dx, dy = neuron.backward(dl, v)
    return dw2, dw1, dx, dy


def outer_weight_dropped(dl: Array, v: neuron.Values) -> tuple[Array, ...]:
    """Leave w2 out of the chain."""
    dw1, dw2, dx, dy = neuron.backward(dl, v)
    return dw1 / v.w2, dw2, dx / v.w2, dy


def target_sign(dl: Array, v: neuron.Values) -> tuple[Array, ...]:
    """Return the output's gradient for the target's."""
    return (*neuron.backward(dl, v)[:3], dl * (v.o - v.y))


NEURON = Case(
    "neuron",
    neuron.forward,
    neuron.backward,
    lambda rng: tuple(np.asarray(value) for value in (0.7, -1.3, 0.9, 0.4) + 0.1 * rng.normal(size=4)),
    cached=True,
    defects=(
        Defect(
            "output slope dropped",
            slope_dropped,
            kind="arithmetic",
            remakes="the output activation's derivative left out of the shared factor",
        ),
        Defect(
            "weights swapped",
            weights_swapped,
            kind="layout",
            remakes="gradients returned in the wrong order",
            cause="swapped-inputs",
        ),
        Defect(
            "outer weight dropped",
            outer_weight_dropped,
            kind="arithmetic",
            remakes="a factor in the middle of the chain left out",
        ),
        Defect(
            "target's sign",
            target_sign,
            kind="arithmetic",
            remakes="the minus of a difference's second operand",
            cause="sign",
        ),
    ),
)


def small_model(rng: np.random.Generator) -> tuple[Array, ...]:
    """Draw a small language model with a batch of contexts in which words repeat."""
    context = np.array([[0, 1, 0], [2, 2, 2], [3, 0, 1]])
    return (*normal((4, 2), (6, 3), (3, 4))(rng), context, np.array([1, 3, 0]))


def with_table(change: Any) -> Any:
    """Return a backward rule with another gradient of the embeddings."""

    def wrong(dl: Array, cache: Any) -> tuple[Array, ...]:
        dtable, dw1, dw2 = language_model.backward(dl, cache)
        return change(dtable, cache[4][1]), dw1, dw2

    return wrong


def not_averaged(dl: Array, cache: Any) -> tuple[Array, ...]:
    """Multiply by the batch size."""
    return language_model.backward(dl * len(cache[4][1]), cache)


def hidden_averaged(dl: Array, cache: Any) -> tuple[Array, ...]:
    """Divide the hidden weights' gradient by the batch size once more."""
    dtable, dw1, dw2 = language_model.backward(dl, cache)
    return dtable, dw1 / len(cache[4][1]), dw2


LANGUAGE_MODEL = Case(
    "language_model",
    language_model.forward,
    language_model.backward,
    small_model,
    cached=True,
    defects=(
        Defect(
            "embeddings averaged over occurrences",
            with_table(lambda dtable, context: dtable / np.bincount(context.ravel())[:, None]),
            kind="indexing",
            remakes="gradients scaled by frequency without being asked to",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "unknown word without gradient",
            with_table(lambda dtable, _: dtable * (np.arange(len(dtable)) > 0)[:, None]),
            kind="mask",
            remakes="row 0 taken for padding where it is a word",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "not averaged",
            not_averaged,
            kind="reduction",
            remakes="the gradient of the summed loss for that of the mean",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "hidden weights averaged twice",
            hidden_averaged,
            kind="reduction",
            remakes="divided by the batch size in the loss and in the layer",
            cause="averaged-instead-of-summed",
        ),
    ),
)

CASES = (RNN, GATED, NEURON, LANGUAGE_MODEL)
