"""Where forward is bent: at the point, beside it, or only in its second derivative."""

import numpy as np
from scipy import special
from tables import NOT_FAIL, NOT_PASS, Row, agree, each_of

AT = np.array([0.0, 0.7, -1.2, 0.0])


def at_zero(forward, slope, inside, outside):
    """Return a row for each claim at zero that is a subgradient, beside claims that are none."""

    def claim(t):
        return lambda dy, x: dy * np.where(x == 0, t, slope(x))

    return [
        Row(
            f"{forward.__name__}, {t:g} at zero",
            forward,
            claim(t),
            (AT,),
            {f"{w:g}": claim(w) for w in outside},
        )
        for t in inside
    ]


def relu(x):
    return np.maximum(x, 0)


def leaky_relu(x):
    return np.where(x > 0, x, 0.1 * x)


def constant(gradient):
    return lambda dy, *inputs: dy * np.array(gradient, dtype=float)


def of_a_tie(forward, x, shares, inside, outside):
    """Return a row for each way to share the gradient of equal numbers."""
    wrong = {str(w): constant(shares(*w)) for w in outside}
    return [
        Row(f"{forward.__name__}, {t}", forward, constant(shares(*t)), (np.array(x),), wrong) for t in inside
    ]


SUBGRADIENTS = [
    *at_zero(relu, lambda x: x > 0, (0, 0.5, 1), (2, -0.5, 1.01)),
    *at_zero(leaky_relu, lambda x: np.where(x > 0, 1, 0.1), (0.1, 0.55, 1), (-0.5, 1.5, 0.09)),
    *at_zero(np.abs, np.sign, (-1, 0, 0.5), (1.5, -2)),
    *of_a_tie(
        np.max,
        [1.5, 0.3, 1.5],
        lambda a, b: [a, 0, b],
        ((1, 0), (0.3, 0.7)),
        ((1, 1), (0, 0), (0.5, 0), (2, -1)),
    ),
    *of_a_tie(
        np.median, [1.0, 2.0, 2.0], lambda a, b: [0, a, b], ((1, 0), (0.3, 0.7)), ((1, 1), (0, 0), (0.5, 0))
    ),
    Row(
        "length of a zero vector",
        lambda x: np.sqrt((x * x).sum(axis=1)),
        lambda dy, x: dy[:, None] * np.array([[0, 0], [0.6, 0.8]]),
        (np.array([[0.0, 0.0], [3.0, 4.0]]),),
        {
            "two": lambda dy, x: dy[:, None] * np.array([[2, 0], [0.6, 0.8]]),
            "other row": lambda dy, x: dy[:, None] * np.array([[0, 0], [0.8, 0.6]]),
        },
    ),
]


def beside(gap):
    """Return rows of functions with a kink at a small distance from the point."""
    one_sided = {"wrong_is": NOT_PASS} if gap < 1e-5 else {}
    k = np.array([1.0, 0.5])
    return [
        Row(
            f"abs, {gap:g} beside",
            lambda x: np.abs(x - k),
            lambda dy, x: dy * np.sign(x - k),
            (k + np.array([gap, -gap]),),
            {"sign": lambda dy, x: -dy * np.sign(x - k), "zero": lambda dy, x: 0 * dy},
            **one_sided,
        ),
        Row(
            f"relu, {gap:g} beside",
            lambda x: np.maximum(x - 2, 0),
            lambda dy, x: dy * (x > 2),
            (np.array([2 + gap, 2 - gap, 3.0]),),
            {"other side": constant([0, 1, 1]), "half": constant([0.5, 0.5, 1])},
            **one_sided,
        ),
        Row(
            f"maximum, {gap:g} beside a tie",
            np.max,
            lambda dl, x: dl * (x == x.max()),
            (np.array([1.0, 1.0 + gap, 0.2]),),
            {"other": constant([1, 0, 0]), "halves": constant([0.5, 0.5, 0])},
            **({**one_sided, "right_is": NOT_FAIL} if one_sided else {}),
        ),
    ]


def softplus(x):
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))


def join(name, forward, slope, x, *wrong):
    """Return a row of a function whose slope is continuous and bent at the point."""
    defects = {str(k): (lambda dy, x, w=w: dy * w(x)) for k, w in enumerate(wrong)}
    return Row(name, forward, lambda dy, x: dy * slope(x), (np.array(x),), defects)


JOINS = [
    join(
        "huber",
        lambda d: np.where(np.abs(d) <= 1, d * d / 2, np.abs(d) - 0.5),
        lambda d: np.clip(d, -1, 1),
        [1.0, -1.0, 0.3, 1.5, 0.0],
        lambda d: d,
    ),
    join(
        "elu",
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))),
        [0.0, -0.5, 1.2],
        lambda x: x > 0,
        lambda x: np.where(x > 0, 1, 0.5 * np.exp(np.minimum(x, 0))),
    ),
    join(
        "squared relu",
        lambda x: relu(x) ** 2,
        lambda x: 2 * relu(x),
        [0.0, -0.5, 1.2, 0.3],
        relu,
        lambda x: 2 * x,
    ),
    join(
        "x |x|", lambda x: np.abs(x) * x, lambda x: 2 * np.abs(x), [0.0, -0.5, 1.2], lambda x: 2 * x, np.abs
    ),
    Row(
        "softplus at its threshold",
        softplus,
        lambda dy, x: dy * np.where(x > 20, 1, special.expit(x)),
        (np.array([20.0, 0.5]),),
        {"half": lambda dy, x: dy * np.array([1, 0.5]) * special.expit(x)},
        NOT_FAIL,
    ),
]


@each_of(SUBGRADIENTS)
def test_any_subgradient_passes_and_nothing_else(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of([*beside(1e-3), *beside(1e-7)])
def test_kink_beside_the_point_is_none(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(JOINS)
def test_jump_of_the_second_derivative_is_no_kink(forward, backward, row, expected):
    agree(forward, backward, row, expected)
