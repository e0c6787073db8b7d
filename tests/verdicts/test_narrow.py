"""bfloat16 and float8, which NumPy lacks: what can be told of them is told, and no more."""

import numpy as np
import pytest
from scipy import special
from tables import FAIL, NOT_FAIL, Row, agree, each_of

from gradlab import GradientError, Rule, UsageError, gradcheck, verify
from gradlab.numerics import dtypes
from gradlab.strategies import inputs

ml_dtypes = pytest.importorskip("ml_dtypes")
BFLOAT16 = ml_dtypes.bfloat16
FLOAT8 = (ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)
UNDECIDED = {"inconclusive"}


def draw(dtype, *shapes):
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)


def product(x, w):
    """Computed in float32, as of numbers that are only stored in fewer bits."""
    return x.astype(np.float32) @ w.astype(np.float32)


def d_product(dy, x, w):
    return dy @ w.astype(np.float32).T, x.astype(np.float32).T @ dy


def stored(backward):
    """Return gradients in the dtype of their inputs."""

    def rounded(dy, *inputs):
        return tuple(g.astype(x.dtype) for g, x in zip(backward(dy, *inputs), inputs, strict=True))

    return rounded


def times(factor):
    return lambda dy, x, w: tuple(factor * g for g in d_product(dy, x, w))


def sine_in(dtype):
    return lambda x: np.sin(x.astype(np.float32)).astype(dtype)


def d_sine_in(dtype, factor=1):
    return lambda dy, x: (factor * dy.astype(np.float32) * np.cos(x.astype(np.float32))).astype(dtype)


ROWS = [
    Row(
        "bfloat16, computed in itself",
        lambda x, w: x * w,
        lambda dy, x, w: (dy * w, dy * x),
        draw(BFLOAT16, 5, 5),
        {
            "sign": lambda dy, x, w: (-dy * w, dy * x),
            "half as large again": lambda dy, x, w: (dy * w, (1.5 * dy * x).astype(BFLOAT16)),
        },
    ),
    Row(
        "bfloat16, computed in float32",
        product,
        d_product,
        draw(BFLOAT16, (3, 4), (4, 2)),
        {"twice": times(2), "stored, with the sign": stored(times(-1))},
    ),
    Row(
        "bfloat16, gradients as the inputs",
        product,
        stored(d_product),
        draw(BFLOAT16, (3, 4), (4, 2)),
        {"swapped": lambda dy, x, w: stored(d_product)(dy, x, w)[::-1]},
    ),
    Row(
        "bfloat16 alone",
        sine_in(BFLOAT16),
        d_sine_in(BFLOAT16),
        draw(BFLOAT16, 6),
        {"sign": d_sine_in(BFLOAT16, -1)},
        right_is=NOT_FAIL,
        wrong_is=FAIL | UNDECIDED,
    ),
    *(
        Row(
            f"{np.dtype(dtype)} as storage",
            product,
            d_product,
            draw(dtype, (3, 4), (4, 2)),
            {"one in a thousand": times(1.001), "sign": times(-1), "sign, stored": stored(times(-1))},
        )
        for dtype in FLOAT8
    ),
    *(
        Row(
            f"{np.dtype(dtype)} gradients have too few digits to tell",
            product,
            stored(d_product),
            draw(dtype, (3, 4), (4, 2)),
            {"half as large again": stored(times(1.5))},
            right_is=UNDECIDED,
            wrong_is=UNDECIDED | FAIL,
        )
        for dtype in FLOAT8
    ),
    *(
        Row(
            f"{np.dtype(dtype)} outputs have too few digits to tell",
            sine_in(dtype),
            d_sine_in(dtype),
            draw(dtype, 6),
            {"twice": d_sine_in(dtype, 2)},
            right_is=UNDECIDED,
            wrong_is=UNDECIDED | FAIL,
        )
        for dtype in FLOAT8
    ),
]


@each_of(ROWS)
def test_narrow_dtypes(forward, backward, row, expected):
    agree(forward, backward, row, expected)


def test_resolution_is_that_of_the_dtype_in_which_is_computed():
    def worst(dtype):
        report = gradcheck(product, d_product, draw(dtype, (3, 4), (4, 2)), raise_exception=False)
        return max(result.resolution for result in report.inputs)

    assert worst(FLOAT8[0]) < 0.1
    assert worst(BFLOAT16) > 0.1


def test_gradient_of_fewer_digits_is_named():
    x = draw(BFLOAT16, 3)

    def backward(dy, x):
        return dy.astype(FLOAT8[0])

    with pytest.raises(GradientError, match="is float8_e4m3fn, and x is bfloat16: digits are lost"):
        gradcheck(lambda x: x, backward, x)


def test_points_are_drawn_in_a_dtype_by_its_name():
    for dtype in ("bfloat16", "float8_e5m2", BFLOAT16):
        rule = Rule("product", product, d_product, inputs("(n,k),(k,m)", dtype=dtype))
        assert verify(rule, max_examples=5)


def test_name_of_no_dtype_is_refused():
    with pytest.raises(UsageError, match="dtype is 'float7'; expected a floating dtype"):
        inputs("(n)", dtype="float7")


def test_without_ml_dtypes_its_extra_is_named(monkeypatch):
    monkeypatch.setattr(dtypes, "NARROW", "no_such_package")
    monkeypatch.setattr(np, "dtype", _unknown)
    with pytest.raises(UsageError, match=r"pip install 'gradlab-verify\[narrow\]'"):
        dtypes.named("bfloat16")


def _unknown(name):
    raise TypeError(name)


def test_integers_of_four_bits_are_constants():
    x, k = np.ones(3), np.ones(3, dtype=ml_dtypes.int4)
    report = gradcheck(lambda x, k: x * k.astype(float), lambda dy, x, k: dy * k.astype(float), (x, k))
    assert [result.name for result in report.inputs] == ["x"]


def test_empty_dtype_of_another_kind_is_no_number():
    assert not dtypes.is_floating(np.dtype([("a", float)]))


def test_order_of_suspects_of_several_inputs_does_not_matter():
    """Of inputs side by side, the worst of one and then the worst of another may be suspects."""
    verdicts = set()
    for seed in (1, 14, 43):
        rng = np.random.default_rng(seed)
        q, k = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (5, 3)))

        def forward(q, k):
            return special.softmax(q @ k.T, axis=-1) @ np.ones(5, dtype=q.dtype)

        def backward(dy, q, k):
            p = special.softmax(q @ k.T, axis=-1)
            d = p * (dy[:, np.newaxis] - (dy[:, np.newaxis] * p).sum(axis=1, keepdims=True))
            return d @ k, d.T @ q

        for draw in range(10):
            verdicts.add(gradcheck(forward, backward, (q, k), rng=draw, raise_exception=False).verdict)
    assert "fail" not in verdicts
