"""A trusted second implementation in the place of differences."""

import numpy as np
import pytest
from tables import Row, agree, each_of, normal

from gradlab import GradientError, Rule, UsageError, gradcheck, verify
from gradlab.strategies import inputs

X, W = normal((4, 3), (3, 2))
Z = X[0] + 1j * X[1]


def forward(x, w):
    return np.tanh(x @ w)


def backward(dy, x, w):
    d = dy * (1 - np.tanh(x @ w) ** 2)
    return d @ w.T, x.T @ d


REFERENCE = forward, backward


def offset(x):
    """A function that differences of float64 cannot see to more than six digits, and less."""
    return 1e10 + np.sum(np.sin(x))


def relu(x):
    return np.maximum(x, 0)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def d_softmax(dy, z):
    y = softmax(z)
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def slow_softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def d_slow_softmax(dy, z):
    y = slow_softmax(z)
    return np.einsum("...i,...ij->...j", dy, y[..., :, None] * (np.eye(z.shape[-1]) - y[..., None, :]))


def centred(x):
    return np.tanh(x - x.mean(axis=0))


def d_centred(dy, x, scale=1.0):
    d = dy * (1 - centred(x) ** 2)
    return scale * (d - d.mean(axis=0))


def shifted(x, b):
    """Shift all rows alike, and take the shift off again: the gradient of ``b`` is nothing but rounding."""
    return centred(x + b)


ROWS = [
    Row(
        "two inputs",
        forward,
        backward,
        (X, W),
        {
            "one entry, by one in a million": lambda dy, x, w: (
                backward(dy, x, w)[0],
                backward(dy, x, w)[1] * np.where(np.arange(6).reshape(3, 2) == 3, 1 + 1e-6, 1),
            ),
            "twice": lambda dy, x, w: (2 * backward(dy, x, w)[0], backward(dy, x, w)[1]),
            "zero": lambda dy, x, w: (0 * x, backward(dy, x, w)[1]),
            "another forward": (lambda x, w: forward(x, w) + 1e-3, backward),
        },
        options={"reference": REFERENCE},
    ),
    Row(
        "in float32",
        forward,
        lambda dy, x, w: tuple(g.astype(np.float32) for g in backward(dy, x, w)),
        normal((4, 3), (3, 2), dtype=np.float32),
        {"one in a hundred": lambda dy, x, w: tuple(np.float32(1.01) * g for g in backward(dy, x, w))},
        options={"reference": REFERENCE},
    ),
    Row(
        "in float16, forward in float16 alone",
        lambda x: np.sin(x).astype(np.float16),
        lambda dy, x: dy * np.cos(x),
        normal((5,), dtype=np.float16),
        {"half": lambda dy, x: dy * np.cos(x) / 2, "one in ten": lambda dy, x: dy * np.cos(x) * 1.1},
        options={"reference": (np.sin, lambda dy, x: dy * np.cos(x))},
    ),
    Row(
        "behind an offset",
        offset,
        lambda dy, x: dy * np.cos(x),
        (X[0],),
        {"one in a million": lambda dy, x: dy * np.cos(x) * (1 + 1e-6 * (x > 0))},
        options={"reference": (offset, lambda dy, x: dy * np.cos(x))},
    ),
    Row(
        "written otherwise",
        softmax,
        d_softmax,
        (X,),
        {"diagonal alone": lambda dy, z: dy * softmax(z) * (1 - softmax(z))},
        options={"reference": (slow_softmax, d_slow_softmax)},
    ),
    Row(
        "zero by invariance",
        shifted,
        lambda dy, x, b: (d_centred(dy, x + b), d_centred(dy, x + b).sum(axis=0)),
        (X, X[0]),
        {"of the shift": lambda dy, x, b: (d_centred(dy, x + b), dy.sum(axis=0))},
        options={"reference": (shifted, lambda dy, x, b: (d_centred(dy, x + b), np.zeros_like(b)))},
    ),
    Row(
        "all zero by invariance",
        lambda b: np.tanh((X + b) - (X + b).mean(axis=0)),
        lambda dy, b: d_centred(dy, X + b).sum(axis=0),
        (X[0],),
        {"not zero": lambda dy, b: d_centred(dy, X + b).sum(axis=0) + 1e-3 * dy[0]},
        options={
            "reference": (
                lambda b: np.tanh((X + b) - (X + b).mean(axis=0)),
                lambda dy, b: d_centred(dy, X + b, 1 + 1e-9).sum(axis=0),
            )
        },
    ),
    Row(
        "at a kink, with another subgradient",
        relu,
        lambda dy, x: dy * (x >= 0),
        (np.array([0.0, 1.0, -1.0]),),
        {
            "outside of both slopes": lambda dy, x: dy * (x >= 0) * np.where(x == 0, 3, 1),
            "beside the kink": lambda dy, x: dy * (x > -2),
        },
        options={"reference": (relu, lambda dy, x: dy * (x > 0))},
    ),
    Row(
        "dict, constants and several outputs",
        lambda p, k: (p["a"] ** k, p["b"].sum()),
        lambda dy, p, k: {"a": dy[0] * k * p["a"] ** (k - 1), "b": np.full(3, dy[1])},
        ({"a": X[0], "b": X[1]}, 3),
        {"exponent": lambda dy, p, k: {"a": dy[0] * p["a"] ** (k - 1), "b": np.full(3, dy[1])}},
        options={
            "reference": (
                lambda q, n: (q["a"] * q["a"] * q["a"], q["b"].sum()),
                lambda dy, q, n: {"a": 3 * dy[0] * q["a"] ** 2, "b": dy[1] * np.ones(3)},
            )
        },
    ),
    Row(
        "by name, some of the inputs",
        lambda x, w: x * w,
        lambda dy, x, w: {"x": dy * w, "w": None},
        {"x": X, "w": X + 1},
        {"other": lambda dy, x, w: {"x": dy * x, "w": None}},
        options={"reference": (lambda x, w: w * x, lambda dy, x, w: {"x": w * dy}), "wrt": "x"},
    ),
    Row(
        "with a cache",
        lambda x, w: (forward(x, w), (x, w)),
        lambda dy, cache: backward(dy, *cache),
        (X, W),
        {"sign": lambda dy, cache: tuple(-g for g in backward(dy, *cache))},
        options={"reference": REFERENCE, "cached": True},
    ),
    Row(
        "complex",
        lambda z: z * z,
        lambda dy, z: 2 * dy * z.conj(),
        (Z,),
        {"no conjugate": lambda dy, z: 2 * dy * z},
        options={"reference": (np.square, lambda dy, z: 2 * z.conj() * dy)},
    ),
    Row(
        "a rule in the other convention",
        lambda z: z * z,
        lambda dy, z: 2 * dy * z.conj(),
        (Z,),
        {"no conjugate": lambda dy, z: 2 * dy * z},
        options={"reference": Rule("square", np.square, lambda dy, z: 2 * z * dy, (), convention="jax")},
    ),
    Row(
        "output that is not finite",
        np.log,
        lambda dy, x: dy / x,
        (np.array([0.0, 1.0, 2.0]),),
        {"square": lambda dy, x: dy / x**2},
        options={"reference": (np.log, lambda dy, x: dy / x)},
    ),
    Row(
        "large",
        np.tanh,
        lambda dy, x: dy * (1 - np.tanh(x) ** 2),
        normal(5000),
        {
            "one entry": lambda dy, x: dy * (1 - np.tanh(x) ** 2) * np.where(np.arange(5000) == 7, 1.1, 1),
            "every entry": lambda dy, x: dy * (1 - x**2),
        },
        options={"reference": (np.tanh, lambda dy, x: dy / np.cosh(x) ** 2)},
    ),
]


@each_of(ROWS)
def test_compared_with_a_reference(forward, backward, row, expected):
    agree(forward, backward, row, expected)


def test_no_differences_are_taken_of_a_right_rule():
    report = gradcheck(forward, backward, (X, W), reference=REFERENCE)
    assert report.forward_calls == 3  # at the point, again, and elsewhere
    assert report.oracle == "the reference"


def test_reference_tells_what_differences_cannot():
    wrong, reference = ROWS[3].wrong["one in a million"], ROWS[3].options["reference"]
    assert not gradcheck(offset, wrong, X[0], raise_exception=False).failed
    report = gradcheck(offset, wrong, X[0], reference=reference, raise_exception=False)
    assert {finding.kind for finding in report.findings} == {"wrong-gradient"}
    assert report.inputs[0].where


def test_value_is_compared_before_the_gradient():
    def elsewhere(x, w):
        y = forward(x, w)
        y[2, 1] += 1e-3
        return y

    report = gradcheck(elsewhere, backward, (X, W), reference=REFERENCE, raise_exception=False)
    assert [finding.kind for finding in report.findings] == ["wrong-value"]
    assert "at 1 of 8 outputs; output entry 5 is" in report.reason
    assert {result.verdict for result in report.inputs} == {"inconclusive"}


def test_reference_that_is_wrong_itself_is_told_from_backward():
    def twice(dy, x, w):
        dx, dw = backward(dy, x, w)
        return dx, 2 * dw

    report = gradcheck(forward, backward, (X, W), reference=(forward, twice), raise_exception=False)
    assert [finding.kind for finding in report.findings] == ["wrong-reference"]
    assert "the reference's gradient of w is not that of forward: at w[0, 0]" in report.reason


def test_message_names_the_reference():
    wrong = ROWS[0].wrong["twice"]
    with pytest.raises(GradientError, match=r"the reference -?[0-9.]+ ±") as caught:
        gradcheck(forward, wrong, (X, W), reference=REFERENCE)
    assert "central differences" not in str(caught.value)
    assert "the reference gives" in caught.value.report.findings[0].message
    assert "the reference" in caught.value.report._repr_html_()


def test_reference_sees_the_quantised_inputs_in_float64():
    seen = []

    def sine(x):
        seen.append(x.copy())
        return np.sin(x)

    x = X.astype(np.float32)
    assert gradcheck(np.sin, lambda dy, x: dy * np.cos(x), x, reference=(sine, lambda dy, x: dy * np.cos(x)))
    assert seen[0].dtype == np.float64
    np.testing.assert_array_equal(seen[0], x)


def test_digits_that_float32_loses_are_called_precision():
    def cancelling(dy, x):
        return dy * ((x + 1000) - 1000)

    report = gradcheck(
        lambda x: x * x / 2,
        cancelling,
        np.float32([1e-3, 2e-3]),
        reference=(lambda x: x * x / 2, lambda dy, x: dy * x),
        raise_exception=False,
    )
    assert {finding.kind for finding in report.findings} == {"precision"}


def test_jax_is_a_reference_for_a_rule_in_numpy():
    jax = pytest.importorskip("jax")

    def reference_forward(x, w):
        return np.asarray(jax.numpy.tanh(x @ w))

    def reference_backward(dy, x, w):
        return tuple(map(np.asarray, jax.vjp(lambda x, w: jax.numpy.tanh(x @ w), x, w)[1](dy)))

    reference = reference_forward, reference_backward
    with jax.enable_x64(True):
        assert gradcheck(forward, backward, (X, W), reference=reference)
        for wrong in ("zero", "twice"):
            assert gradcheck(
                forward, ROWS[0].wrong[wrong], (X, W), reference=reference, raise_exception=False
            ).failed


def test_custom_rule_of_jax_against_the_function_itself():
    jax = pytest.importorskip("jax")

    def function(z):
        return jax.numpy.abs(z) ** 2 * z

    def rule_of(fwd_bwd):
        rule = jax.custom_vjp(function)
        rule.defvjp(lambda z: (function(z), z), fwd_bwd)
        return lambda dy, z: np.asarray(jax.vjp(rule, z)[1](dy)[0])

    def value(z):
        return np.asarray(function(z))

    # As jax.vjp has it, in which no conjugate stands before z̄ but that of the other variable.
    right = rule_of(lambda z, u: (2 * abs(z) ** 2 * u + jax.numpy.conj(z) ** 2 * jax.numpy.conj(u),))
    wrong = rule_of(lambda z, u: (2 * abs(z) ** 2 * u + z**2 * jax.numpy.conj(u),))
    with jax.enable_x64(True):
        reference = value, lambda dy, z: np.asarray(jax.vjp(function, z)[1](dy)[0])
        assert gradcheck(value, right, Z, reference=reference, convention="jax")
        report = gradcheck(value, wrong, Z, reference=reference, convention="jax", raise_exception=False)
        assert report.failed


def test_rule_with_a_reference_is_verified_by_it():
    rule = Rule("affine", forward, backward, inputs("(n,d),(d,m)"), reference=REFERENCE)
    report = verify(rule, max_examples=20)
    assert report.oracle == "the reference"
    assert report.forward_calls <= 4 * 20
    wrong = Rule("affine", forward, ROWS[0].wrong["twice"], inputs("(n,d),(d,m)"), reference=REFERENCE)
    assert verify(wrong, max_examples=20, raise_exception=False).failed


def test_budget_does_not_make_a_right_rule_fail():
    for calls in range(1, 8):
        report = gradcheck(
            forward, backward, (X, W), reference=REFERENCE, max_calls=calls, raise_exception=False
        )
        assert not report.failed
        assert report.forward_calls <= calls


def test_budget_that_ends_at_a_kink_leaves_it_open():
    row = next(row for row in ROWS if row.name.startswith("at a kink"))
    verdicts = []
    for calls in range(1, 40):
        report = gradcheck(
            row.forward, row.right, row.inputs, max_calls=calls, raise_exception=False, **row.options
        )
        assert report.forward_calls <= calls
        verdicts.append(str(report.verdict))
        if report.inconclusive and calls > 3:
            assert f"max_calls={calls} left " in report.reason
    assert set(verdicts) == {"inconclusive", "pass"}


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (forward, "expected a pair of functions, forward"),
        ((forward,), "expected a pair of functions, forward"),
        ((forward, 3), "expected a pair of functions, forward"),
        ((lambda x: x, backward), "reference: forward.* cannot be called with x, w"),
        ((lambda x, w: 1 / 0, backward), "reference: forward raised ZeroDivisionError"),
        ((lambda x, w: [1.0], backward), "reference: forward returned a list of length 1"),
        ((lambda x, w: forward(x, w).T, backward), r"output of shape \(2, 4\); expected \(4, 2\)"),
        ((lambda x, w: forward(x, w) + 0j, backward), r"shape \(4, 2\), complex; expected \(4, 2\)"),
        ((forward, lambda dy, x, w: dy), "reference: backward returns"),
        ((forward, lambda dy, x, w: (None, w)), "reference: gradient of x is None"),
        ((forward, lambda dy, x, w: 1 / 0), "reference: backward raised ZeroDivisionError"),
    ],
)
def test_reference_that_cannot_be_compared_is_a_question_ill_posed(reference, message):
    with pytest.raises(UsageError, match=message):
        gradcheck(forward, backward, (X, W), reference=reference)
