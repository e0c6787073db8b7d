"""Inputs that may not be every array of their shape: bounds, and tangents."""

import numpy as np
import pytest
from scipy import special
from tables import NOT_FAIL, NOT_PASS, Row, agree, each_of, normal

from gradlab import gradcheck, tangents

FROM_ZERO = {"bounds": (0, None)}
WIDE = np.random.default_rng(0).uniform(0, 3, 3000)
WIDE[:700], WIDE[900:1200] = 0, 3


def nowhere_negative(f):
    def forward(x):
        assert (x >= 0).all(), "outside"
        return f(x)

    return forward


AT_A_BOUND = [
    Row(
        "power three halves",
        nowhere_negative(lambda x: x**1.5),
        lambda dy, x: 1.5 * dy * np.sqrt(x),
        (np.array([0.0, 2.0, 0.5]),),
        {"one at zero": lambda dy, x: dy * np.where(x > 0, 1.5 * np.sqrt(x), 1)},
        options=FROM_ZERO,
    ),
    Row(
        "power in between",
        nowhere_negative(lambda x: np.exp(x) * x**2.2),
        lambda dy, x: dy * np.exp(x) * (x**2.2 + 2.2 * x**1.2),
        (np.array([0.0, 1.0, 0.3]),),
        {"one at zero": lambda dy, x: dy * np.where(x > 0, np.exp(x) * (x**2.2 + 2.2 * x**1.2), 1)},
        options=FROM_ZERO,
    ),
    Row(
        "square root: no slope at zero",
        nowhere_negative(np.sqrt),
        lambda dy, x: dy / (2 * np.sqrt(np.maximum(x, 1e-30))),
        (np.array([0.0, 2.0, 0.5]),),
        {"zero at zero": lambda dy, x: np.where(x > 0, dy / (2 * np.sqrt(np.maximum(x, 1e-30))), 0)},
        NOT_FAIL,
        NOT_PASS,
        FROM_ZERO,
    ),
    Row(
        "logarithm of one and more",
        nowhere_negative(np.log1p),
        lambda dy, x: dy / (1 + x),
        (np.array([0.0, 2.0, 1e-9, 0.5]),),
        {
            "zero at the bound": lambda dy, x: np.where(x > 0, dy / (1 + x), 0),
            "half at the bound": lambda dy, x: np.where(x > 0, 1, 0.5) * dy / (1 + x),
            "logarithm": lambda dy, x: dy / np.maximum(x, 1e-12),
        },
        options=FROM_ZERO,
    ),
    Row(
        "logarithm close to its bound",
        nowhere_negative(np.log),
        lambda dy, x: dy / x,
        (np.array([1e-6, 2.0, 1e-3, 0.5]),),
        {"epsilon": lambda dy, x: dy / (x + 1e-9)},
        options=FROM_ZERO,
    ),
    Row(
        "one side of an absolute value",
        nowhere_negative(np.abs),
        lambda dy, x: dy,
        (np.array([0.0, 2.0]),),
        {
            "zero at the kink": lambda dy, x: dy * np.sign(x),
            "other side": lambda dy, x: np.where(x > 0, dy, -dy),
        },
        options=FROM_ZERO,
    ),
    Row(
        "a box, its corners and what is narrow",
        lambda x: np.sin(x) * x.sum(),
        lambda dy, x: dy * np.cos(x) * x.sum() + (dy * np.sin(x)).sum(),
        (np.array([0.0, 1.0, 0.5, 0.5, 0.7]),),
        {"diagonal": lambda dy, x: dy * np.cos(x) * x.sum()},
        options={"bounds": (0, np.array([1, 1, 0.5 + 1e-9, 0.5, np.inf]))},
    ),
    Row(
        "nothing depends on what is at the bound",
        lambda x: np.tanh(x[1:]),
        lambda dy, x: np.concatenate([[0], dy * (1 - np.tanh(x[1:]) ** 2)]),
        (np.array([0.0, 2.0]),),
        {"its slope": lambda dy, x: np.concatenate([[1], dy * (1 - np.tanh(x[1:]) ** 2)])},
        options=FROM_ZERO,
    ),
    Row(
        "an input of which nothing is used, at its bound",
        lambda x, s: np.tanh(x),
        lambda dy, x, s: (dy * (1 - np.tanh(x) ** 2), np.zeros_like(s)),
        (np.array([1.0, 2.0]), np.zeros(2)),
        {"its slope": lambda dy, x, s: (dy * (1 - np.tanh(x) ** 2), np.ones_like(s))},
        options={"bounds": {"s": (0, 1)}},
    ),
    Row(
        "many at their bounds",
        lambda x: np.sin(x) * x,
        lambda dy, x: dy * (np.sin(x) + x * np.cos(x)),
        (WIDE,),
        {
            "all at the upper bound": lambda dy, x: dy * (np.sin(x) + x * np.cos(x)) * (x < 3),
            "one at the lower": lambda dy, x: dy * (np.sin(x) + x * np.cos(x)) + (np.arange(3000) == 5),
            "one inside": lambda dy, x: dy * (np.sin(x) + x * np.cos(x)) + (np.arange(3000) == 800),
        },
        options={"bounds": (0, 3)},
    ),
    Row(
        "float32 at a bound that it cannot hold",
        np.exp,
        lambda dy, x: dy * np.exp(x),
        (np.array([0.1, 0.7, 0.4], dtype=np.float32),),
        {"zero at the bounds": lambda dy, x: dy * np.exp(x) * (x == np.float32(0.4))},
        options={"bounds": (0.1, 0.7)},
    ),
]

SPD = np.array([[2.0, 0.5, 0.3], [0.5, 1.5, -0.4], [0.3, -0.4, 1.0]])
UNIT = normal((2, 4))[0] / np.linalg.norm(normal((2, 4))[0], axis=1, keepdims=True)
P, Q = np.array([0.2, 0.5, 0.3]), np.array([0.1, 0.2, 0.7])


def strictly_symmetric(f):
    def forward(a):
        assert np.allclose(a, a.T, rtol=1e-12, atol=1e-14), "not symmetric"
        return f(a)

    return forward


def logdet(a):
    return 2 * np.log(np.diag(np.linalg.cholesky(a))).sum()


ALONG_TANGENTS = [
    Row(
        "log det, textbook",
        strictly_symmetric(logdet),
        lambda dl, a: dl * np.linalg.inv(a),
        (SPD,),
        {
            "half": lambda dl, a: dl * np.linalg.inv(a) / 2,
            "diagonal": lambda dl, a: dl * np.diag(np.diag(np.linalg.inv(a))),
        },
        options={"tangents": {"a": tangents.symmetric}},
    ),
    Row(
        "largest eigenvalue",
        lambda a: np.linalg.eigvalsh(a)[-1],
        lambda dl, a: dl * np.outer(np.linalg.eigh(a)[1][:, -1], np.linalg.eigh(a)[1][:, -1]),
        (SPD,),
        {"smallest": lambda dl, a: dl * np.outer(np.linalg.eigh(a)[1][:, 0], np.linalg.eigh(a)[1][:, 0])},
        options={"tangents": {"a": tangents.symmetric}},
    ),
    Row(
        "on the sphere, projected or not",
        lambda v: np.exp(v).sum(axis=1),
        lambda dy, v: tangents.unit(v, dy[:, None] * np.exp(v)),
        (UNIT,),
        {
            "sign": lambda dy, v: -dy[:, None] * np.exp(v),
            "one row": lambda dy, v: dy[:, None] * np.exp(v) * [[1], [0]],
        },
        options={"tangents": {"v": tangents.unit}},
    ),
    Row(
        "relative entropy on the simplex",
        lambda p: (special.xlogy(p, p) - p * np.log(Q)).sum(),
        lambda dl, p: dl * np.log(p / Q),
        (P,),
        {"reversed": lambda dl, p: -dl * Q / p, "half": lambda dl, p: dl * np.log(p / Q) / 2},
        options={"tangents": {"p": tangents.simplex}, "bounds": (0, 1)},
    ),
    Row(
        "a corner of the simplex",
        lambda p: np.exp(p).prod() + (p**2).sum(),
        lambda dl, p: dl * (np.exp(p).prod() + 2 * p),
        (np.array([1.0, 0.0, 0.0]),),
        {"half": lambda dl, p: dl * p, "at zero": lambda dl, p: dl * np.where(p > 0, 2 * p, 1)},
        options={"tangents": {"p": tangents.simplex}, "bounds": (0, 1)},
    ),
    Row(
        "a triangle",
        lambda l: l @ l.T,
        lambda dy, l: (dy + dy.T) @ l,
        (np.linalg.cholesky(SPD),),
        {"half the diagonal": lambda dy, l: np.tril((dy + dy.T) @ l) * (1 - np.eye(3) / 2)},
        options={"tangents": {"l": tangents.triangular}},
    ),
    Row(
        "one's own: the sum of two inputs' entries stays",
        lambda x, y: x**2 * y,
        lambda dy, x, y: (2 * dy * x * y + 5 * dy.sum(), dy * x**2),
        normal(4, 4),
        {"two": lambda dy, x, y: (dy * x * y, dy * x**2), "other": lambda dy, x, y: (2 * dy * x * y, dy * x)},
        options={"tangents": {"x": lambda x, d: d - d.mean()}},
    ),
    Row(
        "many probabilities",
        lambda p: (p**2 * np.arange(1, 2001)).sum(),
        lambda dl, p: dl * (2 * p * np.arange(1, 2001) - 3),
        (np.random.default_rng(1).dirichlet(np.ones(2000)),),
        {"half": lambda dl, p: dl * p * np.arange(1, 2001)},
        options={"tangents": {"p": tangents.simplex}},
    ),
]


@each_of(AT_A_BOUND)
def test_bounds(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(ALONG_TANGENTS)
def test_tangents(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@pytest.mark.parametrize("seed", [3433615, 0, 1, 2])
def test_side_that_is_alone_is_looked_at_from_close_by(seed):
    """Over the steps of a ladder the wave is not seen, only the straight line below it."""
    w = np.random.default_rng(seed).normal(size=(3, 4))
    x = np.array([0.4, -1e3, -1e3, -1e3])
    bounds = np.array([0.1, -1e3 - 1e-12, -1050, -1001]), np.array([0.4, -1e3 + 1e-6, -1e3 + 1e-6, -999])

    def verdict(factor):
        def backward(dy, x):
            return factor * (w.T @ (dy * np.cos(w @ x)) + 0.5 * dy.sum())

        return gradcheck(
            lambda x: np.sin(w @ x) + 0.5 * x.sum(),
            backward,
            x,
            bounds=bounds,
            probes="directions",
            raise_exception=False,
        ).verdict

    assert verdict(1) != "fail"
    assert verdict(-1) == verdict(3) == "fail"
