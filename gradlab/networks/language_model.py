"""The neural language model: the next word from three words before it.

::

    X = [c1; c2; c3],  c_k = C[i_k]          H = tanh(X W1)
    P = softmax(H W2)                        L = −1/B Σ_b log P[b, t_b]

with the examples as rows: context i (B, 3), target t (B,), embeddings C (V, E), W1 (3E, H), W2 (H, V).
A word that occurs twice in a context gets both contributions to its row of ``dL/dC``.

Source: Y. Bengio, R. Ducharme, P. Vincent, C. Jauvin, A neural probabilistic language model, JMLR 3 (2003),
without its direct connections and biases. It is composed of the rules embedding, layer, linear and
softmax_cross_entropy, and of nothing else.
"""

from __future__ import annotations

from typing import Any

from gradlab.networks import layer
from gradlab.rule import Rule
from gradlab.rules import cross_entropy, embedding, linear
from gradlab.rules._jacobians import Array, chain
from gradlab.strategies import inputs, labels, reals

CONTEXT = 3


def forward(table: Array, w1: Array, w2: Array, context: Array, target: Array) -> tuple[Array, Any]:
    """Return the mean cross-entropy of the next word, a number, and the caches of the parts.

    Parameters
    ----------
    table : (V, E)
        The embeddings, one row for each word.
    w1 : (3E, H)
    w2 : (H, V)
    context : (B, 3) integers
        The three words before.
    target : (B,) integers
        The word that followed.
    """
    c = embedding.forward(table, context)
    x = c.reshape(len(context), -1)
    h, hidden = layer.TANH.forward(x, w1)
    loss, output = cross_entropy.forward_logits(linear.forward(h, w2), target)
    return loss, (c.shape, hidden, (h, w2), output, (table, context))


def backward(dl: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Return ``dL/dC``, ``dL/dW1`` and ``dL/dW2``: each part's backward rule, last part first."""
    shape, hidden, projection, output, lookup = cache
    dz = cross_entropy.backward_logits(dl, output)
    dh, dw2 = linear.backward(dz, *projection)
    assert layer.TANH.backward is not None
    dx, dw1 = layer.TANH.backward(dh, hidden)
    return embedding.backward(dx.reshape(shape), *lookup), dw1, dw2


def jvp(tangents: tuple[Array, Array, Array, None, None], cache: Any) -> Array:
    """Return ``L̇`` for tangents ``(Ċ, Ẇ1, Ẇ2, None, None)``: each part's jvp, first part first."""
    table_dot, w1_dot, w2_dot, *_ = tangents
    _, hidden, projection, output, lookup = cache
    c_dot = embedding.jvp((table_dot, None), *lookup)
    x_dot = c_dot.reshape(len(c_dot), -1)
    assert layer.TANH.jvp is not None
    h_dot = layer.TANH.jvp((x_dot, w1_dot), hidden)
    z_dot = linear.jvp((h_dot, w2_dot), *projection)
    return cross_entropy.jvp_logits((z_dot, None), output)


def jacobian(table: Array, w1: Array, w2: Array, context: Array, target: Array) -> tuple[Array, Array, Array]:
    """Return the three rows of the Jacobian, as the product of the parts' explicit Jacobians."""
    c = embedding.forward(table, context)
    x = c.reshape(len(context), -1)
    h, _ = layer.TANH.forward(x, w1)
    (dc_dtable,) = embedding.jacobian(table, context)
    assert layer.TANH.jacobian is not None
    dh_dx, dh_dw1 = layer.TANH.jacobian(x, w1)
    dz_dh, dz_dw2 = linear.jacobian(h, w2)
    (dl_dz,) = cross_entropy.jacobian_logits(linear.forward(h, w2), target)
    dx_dtable = dc_dtable.reshape(*x.shape, *table.shape)
    dl_dh = chain(dl_dz, dz_dh, middle=2)
    dl_dx = chain(dl_dh, dh_dx, middle=2)
    return (
        chain(dl_dx, dx_dtable, middle=2),
        chain(dl_dh, dh_dw1, middle=2),
        chain(dl_dz, dz_dw2, middle=2),
    )


def _stacked(point: tuple[Array, ...]) -> tuple[Array, ...]:
    """Stack the three parts of W1, which were drawn apart since a signature has no products of sizes."""
    table, w1, *rest = point
    return table, w1.reshape(-1, w1.shape[-1]), *rest


# Words repeat often, since there are few of them. No ties among the weights: they may make a gradient cancel,
# to zero in the closed form and to 1e-16 in backward, and the comparison of both is a relative one.
POINTS = inputs(
    f"(v,e),({CONTEXT},e,h),(h,v),(b,{CONTEXT}),(b)",
    elements=(reals, reals, reals, labels("v"), labels("v")),
    max_side={"v": 4, "e": 2, "h": 3, "b": 3},
    degenerate=False,
).map(_stacked)
RULE = Rule("language_model", forward, backward, POINTS, cached=True, jvp=jvp, jacobian=jacobian)
