"""Second order: the backward rule of a backward rule."""

import numpy as np
import pytest
from scipy.special import softmax

from gradlab import GradientError, UsageError, gradgradcheck
from gradlab.rules import tanh

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 2))


def product(x, w):
    return x @ w


def backward(dy, x, w):
    return dy @ w.T, x.T @ dy


def double_backward(grad_gradients, dy, x, w):
    gx, gw = grad_gradients
    return gx @ w + x @ gw, dy @ gw.T, gx.T @ dy


def check(double_backward, *functions, inputs=(X, W), **options):
    forward, first = functions or (product, backward)
    return gradgradcheck(
        forward, first, inputs, double_backward=double_backward, raise_exception=False, **options
    )


def test_right_rule_passes_for_the_upstream_gradient_and_every_input():
    report = check(double_backward)
    assert report.passed
    assert report.name == "gradient of product"
    assert [result.name for result in report.inputs] == ["grad_output", "x", "w"]


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        (lambda g, dy, x, w: (g[0] @ w, *double_backward(g, dy, x, w)[1:]), "grad_output"),
        (lambda g, dy, x, w: (g[0] @ w + x @ g[1], -dy @ g[1].T, g[0].T @ dy), "x"),
        (lambda g, dy, x, w: (g[0] @ w + x @ g[1], dy @ g[1].T, 2 * g[0].T @ dy), "w"),
    ],
    ids=["term missing", "sign", "factor"],
)
def test_wrong_rule_fails_and_the_input_is_named(wrong, at):
    report = check(wrong)
    assert [finding.input for finding in report.findings] == [at]
    assert any("backward is double_backward" in note for note in report.notes)


def test_raises_unless_it_passes():
    with pytest.raises(GradientError, match="FAIL gradient of product"):
        gradgradcheck(product, backward, (X, W), double_backward=lambda g, *i: i)


def test_single_input_gets_a_bare_array():
    def second(ddx, dy, x):
        return np.cos(x) * ddx, -np.sin(x) * dy * ddx

    def first(dy, x):
        return np.cos(x) * dy

    for inputs in (X, (X,)):
        assert check(second, np.sin, first, inputs=inputs).passed
        assert check(lambda ddx, dy, x: (np.cos(x) * ddx, -dy * ddx), np.sin, first, inputs=inputs).failed


def test_constants_get_none_and_need_no_gradient():
    def picked(table, index):
        return table[index] ** 2

    def first(dy, table, index):
        gradient = np.zeros_like(table)
        np.add.at(gradient, index, 2 * table[index] * dy)
        return gradient

    def second(grad_gradients, dy, table, index):
        g, nothing = grad_gradients
        assert nothing is None
        gradient = np.zeros_like(table)
        np.add.at(gradient, index, 2 * dy * g[index])
        return 2 * table[index] * g[index], gradient

    assert check(second, picked, first, inputs=(X, np.array([0, 2, 0]))).passed


def doubled(dy, x):
    return 2 * dy


@pytest.mark.parametrize("inputs", [X, {"x": X}])
def test_none_stands_for_zeros(inputs):
    def second(ddx, grad_output, x):
        return 2 * (ddx["x"] if isinstance(ddx, dict) else ddx), None

    assert check(second, lambda x: 2 * x, doubled, inputs=inputs).passed


def test_none_in_the_place_of_what_is_not_zero_fails():
    report = check(lambda ddx, dy, x: (2 * x * ddx, None), np.square, lambda dy, x: 2 * x * dy, inputs=X)
    assert report.reason.startswith("gradient of x is wrong at 12 of 12 entries")


def test_input_that_wrt_leaves_out_has_zeros_upstream():
    def second(grad_gradients, dy, x, w):
        assert not grad_gradients[1].any()
        return double_backward(grad_gradients, dy, x, w)

    report = check(second, wrt="x")
    assert report.passed
    assert [result.name for result in report.inputs] == ["grad_output", "x"]


def test_cached_rules_are_given_plain_second_derivatives():
    def second(ddx, dy, x):
        y = np.tanh(x)
        return (1 - y**2) * ddx, -2 * y * (1 - y**2) * dy * ddx

    assert check(second, tanh.forward, tanh.backward, inputs=X, cached=True).passed


def test_several_outputs_have_a_tuple_of_upstream_gradients():
    def forward(x):
        return x**2, x**3

    def first(dys, x):
        return 2 * x * dys[0] + 3 * x**2 * dys[1]

    def second(g, dys, x):
        return (2 * x * g, 3 * x**2 * g), (2 * dys[0] + 6 * x * dys[1]) * g

    assert check(second, forward, first, inputs=X).passed
    wrong = check(lambda g, dys, x: ((2 * x * g, 3 * x * g), second(g, dys, x)[1]), forward, first, inputs=X)
    assert [finding.input for finding in wrong.findings] == ["grad_output[1]"]


def test_inputs_by_keyword():
    def second(grad_gradients, grad_output, x, w):
        found = double_backward((grad_gradients["x"], grad_gradients["w"]), grad_output, x, w)
        return dict(zip(("grad_output", "x", "w"), found, strict=True))

    named = check(second, product, backward, inputs={"x": X, "w": W})
    assert named.passed


def test_upstream_gradient_that_is_given_is_the_point():
    dy = RNG.normal(size=(4, 2))
    seen = []

    def second(g, dy, x, w):
        seen.append(dy.copy())
        return double_backward(g, dy, x, w)

    assert check(second, grad_output=dy).passed
    assert any(np.array_equal(other, dy) for other in seen)


def test_no_argument_is_written_to_and_the_report_is_the_same():
    before = X.copy(), W.copy()
    assert check(double_backward) == check(double_backward)
    assert all(map(np.array_equal, before, (X, W)))


def masked_attention(gap, *, of_upstream=1.0, of_x=1.0):
    """Return forward, backward and double backward of ``(softmax(x) ∘ mask) w``, and a point."""
    w, mask = 100 * RNG.normal(size=(3, 4)), 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 1]])
    x = np.array([[0, gap, 0.1], [0.3, -0.7, 1.1], [-0.4, 0.9, 0.2]])

    def pull(p, d):
        return p * (d - (p * d).sum(axis=-1, keepdims=True))

    def forward(x):
        return (softmax(x, axis=-1) * mask) @ w

    def backward(dy, x):
        return pull(softmax(x, axis=-1), dy @ w.T * mask)

    def double_backward(g, dy, x):
        p, dp = softmax(x, axis=-1), dy @ w.T * mask
        r = g * dp - g * (dp * p).sum(axis=-1, keepdims=True) - dp * (g * p).sum(axis=-1, keepdims=True)
        return of_upstream * (pull(p, g) * mask) @ w, of_x * pull(p, r)

    return forward, backward, double_backward, x


@pytest.mark.parametrize("gap", [35.0, 36.3, 37.0, 40.0])
def test_gradient_that_absorbed_what_is_left_of_it_decides_nothing(gap):
    *functions, second, x = masked_attention(gap)  # p is 1 and 1e-16: the gradient of x[0] is rounding
    assert check(second, *functions, inputs=x).passed


@pytest.mark.parametrize(("which", "named"), [("of_upstream", "grad_output"), ("of_x", "x")])
def test_small_defect_beside_a_gradient_that_is_rounding_is_caught(which, named):
    *functions, second, x = masked_attention(36.3, **{which: 1 + 1e-6})
    assert [finding.input for finding in check(second, *functions, inputs=x).findings] == [named]


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_small_output_of_its_own_is_no_rounding_of_a_large_one(factor):
    def forward(a, b):
        return np.stack([1e8 * a**2, 1e-8 * b**2])

    def first(dy, a, b):
        return 2e8 * a * dy[0], 2e-8 * b * dy[1]

    def second(g, dy, a, b):
        return np.stack([2e8 * a * g[0], 2e-8 * b * g[1]]), 2e8 * dy[0] * g[0], factor * 2e-8 * dy[1] * g[1]

    a, b = RNG.normal(size=(2, 3))
    assert check(second, forward, first, inputs=(a, b)).passed == (factor == 1)


class TestBadInput:
    def test_no_function(self):
        with pytest.raises(UsageError, match="double_backward is None; expected a function"):
            gradgradcheck(product, backward, (X, W), double_backward=None)
        with pytest.raises(UsageError, match="backward is the int 3; expected a function"):
            gradgradcheck(product, 3, (X, W), double_backward=double_backward)

    def test_backward_without_gradients(self):
        with pytest.raises(UsageError, match="gradient of x is None; expected an array"):
            check(double_backward, product, lambda dy, x, w: (None, x.T @ dy))

    def test_forward_with_an_argument_of_that_name(self):
        with pytest.raises(UsageError, match="forward has an argument grad_output"):
            check(double_backward, lambda grad_output: grad_output, lambda dy, x: dy, inputs=X)


def test_snippet_calls_gradgradcheck():
    report = check(lambda g, dy, x, w: (g[0] @ w, dy @ g[1].T, g[0].T @ dy))
    assert report.snippet.splitlines()[-1] == (
        "gradlab.gradgradcheck(product, backward, (x, w), double_backward=double_backward, rng=0)"
    )


def test_complex_numbers_in_torchs_convention():
    def square_backward(dy, z):
        return 2 * np.conj(z) * dy

    functions = lambda z: z * z, square_backward
    z = np.array([1 + 2j, 0.5 - 1j])
    right = check(lambda g, dy, z: (2 * z * g, 2 * np.conj(g) * dy), *functions, inputs=z)
    assert right.passed
    wrong = check(lambda g, dy, z: (2 * z * g, 2 * g * dy), *functions, inputs=z)
    assert [finding.input for finding in wrong.findings] == ["z"]
