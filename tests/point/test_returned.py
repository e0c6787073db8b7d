"""Each defect that needs no numbers has a finding of its own kind; beside each, what is allowed."""

import numpy as np
import pytest

from gradlab import gradcheck

X = np.array([[0.5, -1.0], [2.0, 1.5]])


def findings(backward, inputs=(X,), forward=lambda *inputs: 2 * inputs[0], **options):
    report = gradcheck(forward, backward, inputs, raise_exception=False, **options)
    return {finding.kind: finding for finding in report.findings}


def test_nothing_is_found_in_a_right_rule():
    assert findings(lambda dy, x: 2 * dy) == {}
    assert findings(lambda dy, x: (2 * dy,)) == {}
    assert findings(lambda dy, x: [2 * dy]) == {}


@pytest.mark.parametrize("count", [0, 2, 3])
def test_wrong_number_of_gradients(count):
    found = findings(lambda dy, x: (2 * dy,) * count)
    assert f"backward returns {count} gradient" in found["gradient-count"].message
    assert "expected 1, one for each of" in found["gradient-count"].message


def test_gradients_for_floating_inputs_alone_are_enough():
    inputs = (X, np.array([1, 2]), 3.0)
    right = (lambda dy, *inputs: (2 * dy, 0.0), lambda dy, *inputs: (2 * dy, None, 0.0))
    assert [findings(backward, inputs) for backward in right] == [{}, {}]


def test_dict_with_an_unknown_name():
    found = findings(lambda dy, x: {"x": 2 * dy, "z": dy}, {"x": X}, forward=lambda x: 2 * x)
    assert "a gradient for z; the inputs are x" in found["gradient-count"].message


def test_none_for_a_differentiated_input():
    found = findings(lambda dy, x: None)
    assert "is None; expected an array of shape (2, 2)" in found["gradient-none"].message


@pytest.mark.parametrize("shape", [(4,), (1, 2, 2), (2,)])
def test_wrong_shape(shape):
    found = findings(lambda dy, x: np.resize(2 * dy, shape))
    assert f"has shape {shape}; expected (2, 2)" in found["gradient-shape"].message


def test_numbers_of_a_wrong_shape_are_still_compared():
    assert set(findings(lambda dy, x: (2 * dy).ravel())) == {"gradient-shape"}
    assert set(findings(lambda dy, x: (3 * dy).ravel())) == {"gradient-shape", "wrong-gradient"}


@pytest.mark.parametrize("gradient", ["text", {"a": 1}, np.array([["a", "b"]]), X + 1j, object()])
def test_what_is_not_an_array_of_real_numbers(gradient):
    found = findings(lambda dy, x: (gradient,))
    assert "expected a float64 array" in found["gradient-dtype"].message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad):
    def backward(dy, x):
        dx = 2 * dy
        dx[1, 0] = bad
        return dx

    report = gradcheck(lambda x: 2 * x, backward, X, raise_exception=False)
    assert report.failed
    assert report.findings[0].kind == "not-finite"
    assert f"is {bad} at x[1, 0] (1 entry not finite)" in report.findings[0].message
    assert report == gradcheck(lambda x: 2 * x, backward, X, raise_exception=False)
