"""Values at the edge: not finite, empty, without axes, with few calls; and constants among the inputs."""

import math

import numpy as np
from scipy import special
from tables import NOT_FAIL, NOT_PASS, Row, agree, each_of, normal

MASKED = np.where(np.tri(3) > 0, normal((3, 3))[0], -np.inf)
SOME_NAN = np.array([0.4, np.nan, -1.2, np.nan, 2.0])


def d_softmax(dy, x):
    p = special.softmax(x, axis=-1)
    return p * (dy - (dy * p).sum(axis=-1, keepdims=True))


NOT_FINITE = [
    Row(
        "masked softmax",
        lambda s: special.softmax(s, axis=-1),
        d_softmax,
        (MASKED,),
        {"sum forgotten": lambda dy, s: special.softmax(s, axis=-1) * dy},
    ),
    Row(
        "mask that is added",
        lambda s, m: special.softmax(s + m, axis=-1),
        lambda dy, s, m: (d_softmax(dy, s + m),) * 2,
        (normal((3, 3))[0], np.where(np.tri(3) > 0, 0.0, -np.inf)),
        {"s": lambda dy, s, m: (2 * d_softmax(dy, s + m), d_softmax(dy, s + m))},
    ),
    Row(
        "missing numbers",
        lambda x: np.nansum(x * x) / 3,
        lambda dl, x: dl * np.nan_to_num(2 * x) / 3,
        (SOME_NAN,),
        {"mean of all": lambda dl, x: dl * np.nan_to_num(2 * x) / 5},
    ),
    Row(
        "infinite entry",
        lambda x: np.tanh(x) + np.exp(-np.abs(x)),
        lambda dy, x: dy * (1 - np.tanh(x) ** 2 - np.sign(x) * np.exp(-np.abs(x))),
        (np.array([0.4, np.inf, -1.2]),),
        {"sign": lambda dy, x: dy * (1 - np.tanh(x) ** 2 + np.exp(-np.abs(x)))},
    ),
    Row(
        "logarithm of a mask",
        lambda x, m: x * x + np.log(m),
        lambda dy, x, m: np.where(m > 0, 2 * dy * x, 0),
        (*normal(4), np.array([1, 0, 1, 1])),
        {"three": lambda dy, x, m: np.where(m > 0, 3 * dy * x, 0)},
    ),
    Row(
        "outputs that overflow",
        np.exp,
        lambda dy, x: np.where(x > 700, 0, dy * np.exp(np.minimum(x, 700))),
        (np.array([0.5, 800.0, -0.3]),),
        {"half": lambda dy, x: np.where(x > 700, 0, 0.5 * dy * np.exp(np.minimum(x, 700)))},
    ),
]

EMPTY = [
    Row("alone", lambda x: 2 * x, lambda dy, x: 2 * dy, (np.empty((0, 3)),), {"shape": lambda dy, x: dy.T}),
    Row(
        "beside others",
        lambda x, y: np.concatenate([2 * x, 3 * y]),
        lambda dy, x, y: (2 * dy[:0], 3 * dy),
        (np.empty(0), *normal(3)),
        {"y": lambda dy, x, y: (2 * dy[:0], 2 * dy)},
    ),
    Row(
        "batch",
        lambda x, w: x @ w,
        lambda dy, x, w: (dy @ w.T, x.T @ dy),
        (np.empty((0, 3)), *normal((3, 2))),
        {
            "shape": lambda dy, x, w: (dy @ w.T, (x.T @ dy).T),
            "ones": lambda dy, x, w: (dy @ w.T, np.ones((3, 2))),
        },
    ),
    Row(
        "sum",
        np.sum,
        lambda dl, x: dl * np.ones_like(x),
        (np.empty((2, 0)),),
        {"shape": lambda dl, x: np.empty((0, 2))},
    ),
]

NUMBERS = [
    Row(
        "no axes, no budget",
        lambda x, y: x * x * y,
        lambda dy, x, y: (2 * dy * x * y, dy * x * x),
        (np.array(1.5), 0.4),
        {
            "x": lambda dy, x, y: (dy * x * y, dy * x * x),
            "y": lambda dy, x, y: (2 * dy * x * y, 2 * dy * x),
        },
    ),
    *(
        Row(
            f"two numbers, {calls} calls",
            lambda x, y: x * math.sin(y),
            lambda dy, x, y: (dy * math.sin(y), dy * x * math.cos(y)),
            (2.0, 0.7),
            {
                "y": lambda dy, x, y: (dy * math.sin(y), dy * math.cos(y)),
                "zero": lambda dy, x, y: (0.0, dy * x * math.cos(y)),
            },
            NOT_FAIL,
            NOT_PASS,
            {"max_calls": calls},
        )
        for calls in (4, 8, 20)
    ),
    *(
        Row(
            f"arrays, a number and nothing, {calls} calls",
            lambda x, s, e: s * np.tanh(x) + e.sum(),
            lambda dy, x, s, e: (dy * s * (1 - np.tanh(x) ** 2), np.sum(dy * np.tanh(x)), e),
            (*normal((5, 6)), np.array(1.3), np.empty(0)),
            {
                "s": lambda dy, x, s, e: (dy * s * (1 - np.tanh(x) ** 2), 0 * s, e),
                "x": lambda dy, x, s, e: (-dy * s * (1 - np.tanh(x) ** 2), np.sum(dy * np.tanh(x)), e),
            },
            NOT_FAIL,
            NOT_PASS,
            {"max_calls": calls},
        )
        for calls in (4, 8, 20)
    ),
]


def d_gather(dy, x, i):
    d = np.zeros_like(x)
    np.add.at(d, i, dy)
    return d


def d_gather_assigned(dy, x, i):
    d = np.zeros_like(x)
    d[i] = dy
    return d


CONSTANTS = [
    Row(
        "mask",
        lambda x, m: np.where(m, x, 0),
        lambda dy, x, m: (np.where(m, dy, 0), None),
        (*normal((3, 4)), np.arange(12).reshape(3, 4) % 3 > 0),
        {
            "its gradient": lambda dy, x, m: (np.where(m, dy, 0), dy * x),
            "ignored": lambda dy, x, m: (dy, None),
        },
    ),
    Row(
        "indices",
        lambda x, i: x[i],
        lambda dy, x, i: (d_gather(dy, x, i), np.zeros(i.shape)),
        (*normal((4, 2)), np.array([0, 2, 2, 3])),
        {
            "duplicate lost": lambda dy, x, i: (d_gather_assigned(dy, x, i), None),
            "their gradient": lambda dy, x, i: (d_gather(dy, x, i), dy.sum(axis=1)),
        },
    ),
    Row(
        "word",
        lambda x, kind: np.tanh(x) if kind == "tanh" else x,
        lambda dy, x, kind: (dy * (1 - np.tanh(x) ** 2), None),
        (*normal(4), "tanh"),
        {
            "its gradient": lambda dy, x, kind: (dy * (1 - np.tanh(x) ** 2), 1.0),
            "other": lambda dy, x, kind: dy,
        },
    ),
    Row(
        "exponent",
        lambda x, n: x**n,
        lambda dy, x, n: (dy * n * x ** (n - 1), None),
        (np.abs(normal(4)[0]) + 1, 3),
        {
            "its gradient": lambda dy, x, n: (dy * n * x ** (n - 1), np.sum(dy * x**n * np.log(x))),
            "forgotten": lambda dy, x, n: dy * x ** (n - 1),
        },
    ),
]


@each_of(NOT_FINITE)
def test_not_finite(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(EMPTY)
def test_empty(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(NUMBERS)
def test_numbers_and_few_calls(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(CONSTANTS)
def test_constants(forward, backward, row, expected):
    agree(forward, backward, row, expected)
