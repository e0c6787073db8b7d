"""Answers to several upstream gradients: linear but for rounding, or told not to be."""

import numpy as np
import pytest
from contracts import W, X, check, cube, kinds

from gradlab import gradcheck


class TestZero:
    """A gradient that vanishes because terms cancel is rounding: neither nonlinear nor another each time."""

    def test_it_is_linear_and_the_same_twice(self):
        def centred(x, b):
            return (x + b) - (x + b).mean(axis=0)

        def backward(dy, x, b):
            d = dy - dy.mean(axis=0)
            return d, d.sum(axis=0)

        assert kinds(centred, backward, (X, W[:, 0])) == set()

    def test_a_defect_that_is_as_small_beside_something_larger_is_not_excused(self):
        def backward(dy, x, z):
            return 3 * dy, 1e-3 * np.abs(dy)

        assert "nonlinear-in-upstream" in kinds(lambda x, z: 3 * x, backward, (X, X))


class TestUpstream:
    @pytest.mark.parametrize(
        ("backward", "kind"),
        [
            (lambda dy, x: 3 * x**2, "ignores-upstream"),
            (lambda dy, x: 3 * x**2 * dy**2, "nonlinear-in-upstream"),
            (lambda dy, x: 3 * x**2 * np.abs(dy), "nonlinear-in-upstream"),
            (lambda dy, x: 3 * x**2 * dy + 0.01, "nonlinear-in-upstream"),
            (lambda dy, x: 3 * x**2 * dy / np.abs(dy).max(initial=1e-300), "nonlinear-in-upstream"),
            (lambda dy, x: 3 * x**2 * np.sign(dy), "nonlinear-in-upstream"),
        ],
    )
    def test_what_is_not_linear_in_the_upstream_gradient(self, backward, kind):
        assert kind in kinds(cube, backward)

    def test_it_is_said_for_each_input_by_itself(self):
        report = check(lambda x, w: x @ w, lambda dy, x, w: (dy @ w.T, x.T @ np.abs(dy)), (X, W))
        assert {(f.kind, f.input) for f in report.findings if f.check == "contract"} == {
            ("nonlinear-in-upstream", "w")
        }

    def test_loss_that_ignores_its_upstream_gradient(self):
        assert "ignores-upstream" in kinds(lambda x: (x**2).sum(), lambda dl, x: 2 * x)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def d_softmax(dy, x):
    p = softmax(x)
    return p * (dy - (dy * p).sum())


CONFIDENT = [
    [0.0, 22.0],
    [0.0, 20.0, 1.0],
    [28.778, 1.533, -8.909],
    [0.0, 30.0],
    [-0.98, 34.93],
    [0.43, -0.54, 37.22],
    [-0.56, 0.59, 28.62, -1.57, 1.0, -0.1],
]


@pytest.mark.parametrize("x", CONFIDENT)
def test_what_is_rounded_as_the_upstream_gradient_is_linear(x):
    report = gradcheck(softmax, d_softmax, np.array(x), raise_exception=False)
    assert not report.findings


def test_normalization_of_two_numbers_is_linear():
    def forward(x):
        return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-8)

    def backward(dy, x):
        s = np.sqrt(x.var(0) + 1e-8)
        h = (x - x.mean(0)) / s
        return (dy - dy.mean(0) - h * (dy * h).mean(0)) / s

    assert not gradcheck(forward, backward, np.array([[1.0, 2], [6, -4]]), raise_exception=False).findings


@pytest.mark.parametrize("change", [lambda dy: dy + 1e-9 * dy**2, lambda dy: np.clip(dy, -1.5, 1.5), np.tanh])
def test_what_is_not_linear_is_told(change):
    report = gradcheck(
        softmax, lambda dy, x: d_softmax(change(dy), x), np.array([0.5, 1.0, -0.3]), raise_exception=False
    )
    assert "nonlinear-in-upstream" in {finding.kind for finding in report.findings}


def test_what_is_rounded_to_float32_on_the_way_is_not_linear():
    def backward(dy, x):
        return (np.float32(dy) * np.float32(np.cos(x))).astype(float)

    report = gradcheck(np.sin, backward, np.array([0.3, -0.7, 0.9]), raise_exception=False)
    assert report.failed
