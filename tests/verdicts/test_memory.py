"""What lies in memory in another way means the same; what one call leaves behind is no matter of the next."""

import numpy as np
from tables import Row, agree, each_of, normal

BUFFER = np.empty((5, 2))


def as_if_contiguous(a):
    """Read memory as if there were no strides."""
    strides = np.empty(a.shape).strides
    return np.lib.stride_tricks.as_strided(a, a.shape, strides) if min(a.strides) > 0 else a


def d_matmul(dy, x, w):
    return dy @ w.T, x.T @ dy


UPSTREAM = [
    Row(
        "cube",
        lambda x: x**3,
        lambda dy, x: 3 * dy * x * x,
        normal((3, 5)),
        {
            "in order K": lambda dy, x: 3 * dy.ravel(order="K").reshape(dy.shape) * x * x,
            "as if contiguous": lambda dy, x: 3 * as_if_contiguous(dy) * x * x,
            "its bytes": lambda dy, x: (
                3 * np.frombuffer(dy.tobytes(order="A"), dy.dtype).reshape(dy.shape) * x * x
            ),
            "broadcast taken for a number": lambda dy, x: (
                3 * dy / (dy.size if 0 in dy.strides else 1) * x * x
            ),
            "written to": lambda dy, x: np.multiply(dy, 3 * x * x, out=dy),
        },
    ),
    Row(
        "sine of a vector",
        np.sin,
        lambda dy, x: dy * np.cos(x),
        normal(6),
        {"direction ignored": lambda dy, x: (dy[::-1] if dy.strides[0] < 0 else dy) * np.cos(x)},
    ),
    Row(
        "product",
        lambda x, w: x @ w,
        d_matmul,
        normal((4, 3), (3, 4)),
        {
            "Fortran order taken for transposed": lambda dy, x, w: d_matmul(
                dy if dy.flags.c_contiguous else dy.T, x, w
            )
        },
    ),
]

INPUTS = [
    Row(
        "Fortran order",
        lambda x: x * x,
        lambda dy, x: 2 * dy * x,
        (np.asfortranarray(normal((3, 4))[0]),),
        {"in order K": lambda dy, x: 2 * dy * x.ravel(order="K").reshape(x.shape)},
    ),
    Row(
        "output that is a view",
        lambda x: x.T[::-1],
        lambda dy, x: dy[::-1].T,
        normal((3, 4)),
        {"not reversed": lambda dy, x: dy.T, "twice": lambda dy, x: 2 * dy[::-1].T},
    ),
    Row(
        "output that is broadcast",
        lambda x: np.broadcast_to(x, (4, 3)),
        lambda dy, x: dy.sum(axis=0),
        normal(3),
        {"mean": lambda dy, x: dy.mean(axis=0), "first": lambda dy, x: dy[0]},
    ),
    Row(
        "output in one buffer",
        lambda x: np.sinh(x, out=BUFFER),
        lambda dy, x: dy * np.cosh(x),
        normal((5, 2)),
        {"zero": lambda dy, x: 0 * x, "twice": lambda dy, x: 2 * dy * np.cosh(x)},
    ),
]


def layer(x, w):
    y = np.tanh(x @ w)
    return y, {"x": x, "w": w, "y": y}


def d_layer(dy, cache):
    return d_matmul(dy * (1 - cache["y"] ** 2), cache["x"], cache["w"])


def layer_in_one_buffer(x, w):
    np.tanh(x @ w, out=BUFFER)
    return BUFFER.copy(), {"x": x, "w": w, "y": BUFFER}


KEPT = {}


def layer_in_one_dict(x, w):
    KEPT.update(x=x.copy(), w=w.copy(), y=np.tanh(x @ w))
    return KEPT["y"].copy(), KEPT


def spoils(dy, cache):
    cache["y"] *= cache["y"]
    return d_matmul(dy * (1 - cache["y"]), cache["x"], cache["w"])


class LastForward:
    """A rule whose backward uses what forward saw last."""

    def forward(self, x):
        self.x = x.copy()
        return x**3

    def backward(self, dy, x):
        return 3 * dy * self.x**2


def last_forward():
    rule = LastForward()
    return rule.forward, rule.backward


CACHES = [
    Row(
        "layer",
        layer,
        d_layer,
        normal((5, 3), (3, 2)),
        {
            "one buffer": (layer_in_one_buffer, d_layer),
            "one dict": (layer_in_one_dict, d_layer),
            "spoiled by backward": spoils,
        },
        options={"cached": True},
    ),
    Row("cube", lambda x: x**3, lambda dy, x: 3 * dy * x * x, normal(4), {"last input": last_forward()}),
]


@each_of(UPSTREAM)
def test_upstream_gradient_in_any_layout(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(INPUTS)
def test_inputs_and_outputs_in_any_layout(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(CACHES)
def test_cache_of_an_earlier_call(forward, backward, row, expected):
    agree(forward, backward, row, expected)
