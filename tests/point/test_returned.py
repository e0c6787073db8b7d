"""Each defect that needs no numbers has a finding of its own kind; beside each, what is allowed."""

import dataclasses
from collections import namedtuple

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


@pytest.mark.parametrize("gradient", ["text", {"a": 1}, np.array([["a", "b"]]), object()])
def test_what_is_not_an_array_of_real_numbers(gradient):
    found = findings(lambda dy, x: (gradient,))
    assert "expected a float64 array" in found["gradient-dtype"].message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad):
    def backward(dy, x):
        dx = 2 * dy
        dx[1, 0] = bad
        return dx

    report, again = (gradcheck(lambda x: 2 * x, backward, X, raise_exception=False) for _ in range(2))
    assert report.failed
    assert report.findings[0].kind == "not-finite"
    assert f"is {bad} at x[1, 0] (1 entry not finite)" in report.findings[0].message
    assert report == again


P = {"W": X, "b": X[0], "name": "layer"}
Params = namedtuple("Params", "W b")


@dataclasses.dataclass
class Layer:
    W: object
    b: object


def layer(p):
    return p["W"] * p["b"]


def d_layer(dy, p):
    return {"W": dy * p["b"], "b": (dy * p["W"]).sum(axis=0)}


def record(p):
    return p.W * p.b


def d_record(dy, p):
    return dy * p.b, (dy * p.W).sum(axis=0)


class TestNested:
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda dp: dp,
            lambda dp: (dp,),
            lambda dp: [dp],
            lambda dp: {"p": dp},
            lambda dp: dp | {"name": None},
            lambda dp: dp | {"name": 0},
        ],
    )
    def test_gradient_of_a_single_dict_may_stand_alone_and_leave_out_constants(self, wrap):
        assert findings(lambda dy, p: wrap(d_layer(dy, p)), (P,), layer) == {}

    def test_dict_is_by_argument_where_inputs_are(self):
        right = findings(lambda dy, p: {"p": d_layer(dy, p)}, {"p": P}, layer)
        report = gradcheck(layer, d_layer, {"p": P}, raise_exception=False)
        assert right == {}
        assert [finding.message for finding in report.findings] == [
            "backward returns a gradient for W, b; the inputs are p",
            "gradient of p is missing; what backward returns has W, b",
        ]

    @pytest.mark.parametrize(
        "wrap", [lambda d: d, lambda d: (d,), lambda d: (list(d),), lambda d: Params(*d)]
    )
    def test_gradient_of_a_single_list_may_stand_alone(self, wrap):
        def forward(p):
            return p[0] * p[1]

        def backward(dy, p):
            return wrap((dy * p[1], (dy * p[0]).sum(axis=0)))

        assert findings(backward, ([X, X[0]],), forward) == {}

    @pytest.mark.parametrize("kind", [Params, Layer])
    @pytest.mark.parametrize(
        "wrap",
        [
            Params,
            Layer,
            lambda w, b: (w, b),
            lambda w, b: [w, b],
            lambda w, b: {"b": b, "W": w},
        ],
    )
    def test_gradient_of_fields_may_come_in_any_form_that_names_or_orders_them(self, kind, wrap):
        def backward(dy, p, x):
            return wrap(*d_record(dy, p)), np.zeros_like(x)

        assert findings(backward, (kind(X, X[0]), X), lambda p, x: record(p)) == {}

    @pytest.mark.parametrize(
        ("change", "name", "message"),
        [
            (lambda dp: {"W": dp["W"]}, "p['b']", "p['b'] is missing; what backward returns for p has W"),
            (lambda dp: {}, "p['b']", "p['b'] is missing; what backward returns for p has nothing"),
            (lambda dp: dp | {"z": 1}, None, "gradient of p has a gradient for z; p has W, b, name"),
            (
                lambda dp: dp["W"],
                None,
                "p is a float64 array of shape (2, 2); expected a dict with",
            ),
            (
                lambda dp: list(dp.values()),
                None,
                "p is a list of length 2; expected a dict with one for",
            ),
        ],
    )
    def test_container_of_another_structure(self, change, name, message):
        found = findings(lambda dy, p, x: (change(d_layer(dy, p)), 0 * x), (P, X), lambda p, x: layer(p))[
            "gradient-count"
        ]
        assert message in found.message
        assert found.input == name

    @pytest.mark.parametrize("count", [1, 3])
    def test_list_of_another_length(self, count):
        found = findings(lambda dy, p: ([dy] * count,), ([X, X],), lambda p: p[0] + p[1])
        assert "gradient of p has" in found["gradient-count"].message
        assert "expected 2, one for each of p[0], p[1]" in found["gradient-count"].message

    def test_defect_of_a_leaf_is_said_of_the_leaf(self):
        found = findings(lambda dy, p: d_layer(dy, p) | {"b": dy}, (P,), layer)["gradient-shape"]
        assert found.input == "p['b']"
        assert "gradient of p['b'] has shape (2, 2); expected (2,), that of p['b']" in found.message
        assert findings(lambda dy, p: None, (P,), layer)["gradient-none"].input in ("p['W']", "p['b']")

    def test_leaves_that_wrt_leaves_out_may_be_missing(self):
        assert findings(lambda dy, p: {"W": dy * p["b"]}, (P,), layer, wrt="p['W']") == {}


class TestConstants:
    INPUTS = (X, np.array([1, 0]), "mode", [np.array([2])])

    @pytest.mark.parametrize(
        "rest",
        [(None, None, None), (np.zeros(2), 0, [None]), (np.zeros(2, int), None, [0.0]), (0.0, None, None)],
    )
    def test_none_and_zeros_are_fine(self, rest):
        assert findings(lambda dy, *inputs: (2 * dy, *rest), self.INPUTS) == {}

    @pytest.mark.parametrize(
        ("rest", "message"),
        [
            (([0.0, 3.0], None, None), "inputs[1] is a list of length 2; expected None or zeros"),
            ((np.array([0.0, 3.0]), None, None), "inputs[1] is 3 at [1]; expected None or zeros, because"),
            ((None, None, [np.ones(1)]), "inputs[3][0] is 1 at [0]; expected None or zeros, because"),
            (
                (5.0, None, None),
                "inputs[1] is 5; expected None or zeros, because inputs[1] is an int64 array",
            ),
        ],
    )
    def test_anything_else_is_found(self, rest, message):
        found = findings(lambda dy, *inputs: (2 * dy, *rest), self.INPUTS)
        assert set(found) == {"gradient-of-constant"}
        assert f"gradient of {message}" in found["gradient-of-constant"].message

    def test_constants_may_be_kept_in_a_copy_of_the_inputs(self):
        p = {"W": X, "b": X[0], "axes": (0, 1), "n": 3, "mode": "fast"}
        assert findings(lambda dy, p: p | d_layer(dy, p), (p,), layer) == {}
        wrong = findings(lambda dy, p: p | d_layer(dy, p) | {"n": 2}, (p,), layer)["gradient-of-constant"]
        assert wrong.message == "gradient of p['n'] is 2; expected None or zeros, because p['n'] is the int 3"

    def test_input_that_wrt_leaves_out_may_have_any(self):
        assert findings(lambda dy, x, y: (2 * dy, 7 * dy), (X, X), lambda x, y: 2 * x, wrt="x") == {}


@pytest.mark.parametrize(
    ("given", "returned", "narrow"),
    [
        (np.float64, np.float32, True),
        (np.float64, np.float16, True),
        (np.float32, np.float16, True),
        (np.float32, np.float64, False),
        (np.float32, np.float32, False),
        (np.float64, np.int64, False),
    ],
)
def test_gradient_narrower_than_its_input(given, returned, narrow):
    found = findings(
        lambda dy, x: np.full(x.shape, 2, dtype=returned), X.astype(given), lambda x: 2 * x.sum()
    )
    assert ("gradient-dtype" in found) == narrow
    if narrow:
        assert found["gradient-dtype"].message == (
            f"gradient of x is {np.dtype(returned)}, and x is {np.dtype(given)}: digits are lost"
        )


def test_python_float_has_no_precision_of_its_own():
    def backward(dy, a, x):
        return (dy * x).sum(), a * dy

    assert findings(backward, (2.0, X.astype(np.float32)), lambda a, x: a * x) == {}
