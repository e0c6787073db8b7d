"""Inputs in any nesting: what is differentiated, what the functions get, what is refused."""

import dataclasses
import enum
from collections import namedtuple

import numpy as np
import pytest

from gradlab import UsageError, gradcheck, numerical_jacobian, numerical_vjp
from gradlab.point.arguments import Arguments
from gradlab.point.problem import Problem

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.75]])
B = np.array([0.5, -0.25])
Params = namedtuple("Params", "W b")


@dataclasses.dataclass(frozen=True)
class Layer:
    weight: np.ndarray
    bias: np.ndarray
    activation: str = "tanh"


class Colour(enum.Enum):
    RED = 1.0


def affine(x, p):
    return x @ p["W"] + p["b"]


def affine_backward(dy, x, p):
    return dy @ p["W"].T, {"W": x.T @ dy, "b": dy.sum(axis=0)}


def arguments(*inputs, forward=lambda *args: args[0], wrt=None):
    return Arguments(forward, inputs, wrt=wrt, kwargs=None)


class TestNesting:
    def test_leaves_are_named_below_the_names_of_the_signature(self):
        report = gradcheck(affine, affine_backward, (X, {"W": W, "b": B}))
        assert [result.name for result in report.inputs] == ["x", "p['W']", "p['b']"]

    def test_wrong_leaf_is_named(self):
        def wrong(dy, x, p):
            dx, dp = affine_backward(dy, x, p)
            return dx, dp | {"b": dy.mean(axis=0)}

        report = gradcheck(affine, wrong, (X, {"W": W, "b": B}), raise_exception=False)
        assert {finding.input for finding in report.findings} == {"p['b']"}
        assert "p['b'][0]" in report.reason

    def test_functions_get_the_types_that_the_caller_gave(self):
        seen = []

        def forward(layers, scale):
            seen.append((type(layers), type(layers[0]), type(layers[1]), layers[0].activation, type(scale)))
            return scale * (layers[0].weight + layers[1].W * layers[1].b)

        def backward(dy, layers, scale):
            first, (w, b) = layers
            return [Layer(scale * dy, None), Params(scale * dy * b, scale * dy * w)], (
                dy * (first.weight + w * b)
            ).sum()

        gradcheck(forward, backward, ([Layer(B, None), Params(B, B)], 2.0))
        assert set(seen) == {(list, Layer, Params, "tanh", float)}

    def test_caller_s_containers_are_never_written_to(self):
        p = {"W": W.copy(), "b": B.copy()}

        def vandal(x, p):
            y = affine(x, p)
            p["W"][:] = 7
            p.clear()
            return y

        report = gradcheck(vandal, affine_backward, (X, p), raise_exception=False)
        np.testing.assert_array_equal(p["W"], W)
        assert {
            "forward writes to p, which it was given",
            "forward writes to p['W'], which it was given",
        } == {finding.message for finding in report.findings}

    def test_keyword_inputs_may_be_nested(self):
        def backward(dy, *, x, p):
            dx, dp = affine_backward(dy, x, p)
            return {"p": dp, "x": dx}

        assert gradcheck(lambda *, x, p: affine(x, p), backward, {"x": X, "p": {"W": W, "b": B}})

    def test_dataclass_by_itself_is_one_input(self):
        assert gradcheck(
            lambda layer: layer.weight * layer.bias,
            lambda dy, layer: Layer(dy * layer.bias, dy * layer.weight),
            Layer(B, B),
        )

    def test_numerical_gradients_have_the_form_of_the_inputs(self):
        gradients, error_bars = numerical_vjp(affine, (X, {"W": W, "b": B, "name": "affine"}))
        np.testing.assert_allclose(gradients[1]["b"], [2, 2])
        assert gradients[1]["name"] is None
        assert error_bars[1]["W"].shape == W.shape
        jacobian = numerical_jacobian(lambda layer: layer.weight + 3 * layer.bias, (Layer(B, B),))[0]
        np.testing.assert_allclose(jacobian.bias, 3 * np.eye(2), atol=1e-9)
        assert jacobian.activation is None

    def test_cached_form(self):
        def forward(x, p):
            return affine(x, p), (x, p)

        assert gradcheck(
            forward, lambda dy, cache: affine_backward(dy, *cache), (X, {"W": W, "b": B}), cached=True
        )


class TestWrt:
    @pytest.mark.parametrize(
        ("wrt", "names"),
        [
            ("p", ["p['W']", "p['layers'][0]", "p['layers'][1]"]),
            (1, ["p['W']", "p['layers'][0]", "p['layers'][1]"]),
            (-1, ["p['W']", "p['layers'][0]", "p['layers'][1]"]),
            ("p['W']", ["p['W']"]),
            ("p['layers']", ["p['layers'][0]", "p['layers'][1]"]),
            (["x", "p['layers'][1]"], ["x", "p['layers'][1]"]),
        ],
    )
    def test_leaves_inputs_and_containers_can_be_chosen(self, wrt, names):
        inputs = (X, {"W": W, "n": 3, "layers": [B, B]})
        problem = Problem(lambda x, p: x, np.sin, inputs, wrt=wrt)
        assert [problem.names[i] for i in problem.wrt] == names

    def test_name_that_is_the_beginning_of_another_stands_for_itself(self):
        found = Arguments(lambda **p: p["a"], {"a": X, "a.b": X}, wrt="a", kwargs=None)
        assert found.wrt == (0,)

    def test_tree_of_constants_is_refused(self):
        with pytest.raises(UsageError, match="wrt names i, which is a tree of constants"):
            arguments(X, [np.array([1]), np.array([2])], forward=lambda x, i: x, wrt="i")


class TestConstants:
    @pytest.mark.parametrize(
        "constant",
        [
            3,
            True,
            None,
            "text",
            b"bytes",
            np.tanh,
            slice(2),
            Ellipsis,
            Colour.RED,
            np.dtype(float),
            np.float32,
            np.random.default_rng(0),
            np.array([1, 2]),
            np.array([True]),
            np.array(["a"]),
            np.int64(3),
            {1.0, 2.0},
            object(),
        ],
    )
    def test_constant_is_passed_through_by_itself_and_in_a_container(self, constant):
        found = arguments(X, constant, {"c": constant, "x": X})
        assert found.floating == (0, 3)
        leaves = found.fresh({})
        assert all(type(leaf) is type(constant) for leaf in leaves[1:3])

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (np.array([None, 1.0]), r"an object array of shape \(2,\).*np.asarray\(.*, dtype=float\)"),
            (np.zeros(2, dtype="O,f"), "what its entries are cannot be known"),
        ],
    )
    def test_arrays_of_unknown_kind_are_refused_by_name(self, value, message):
        for inputs, name in (((X, value), r"args\[1\]"), ((X, {"a": [value]}), r"args\[1\]\['a'\]\[0\]")):
            with pytest.raises(UsageError, match=f"input {name} is .*{message}"):
                arguments(*inputs)

    @pytest.mark.parametrize("protocol", ["__array__", "__dlpack__", "__array_interface__"])
    def test_array_of_another_library_is_refused_by_name(self, protocol):
        tensor = type("Tensor", (), {protocol: lambda self: None, "__module__": "lib.inner"})()
        message = r"is a Tensor of lib, not a NumPy array: convert it with np.asarray\({}\)"
        for inputs, name in (((X, tensor), r"args\[1\]"), (([tensor],), r"args\[0\]\[0\]"), ((tensor,), "")):
            with pytest.raises(UsageError, match=message.format(name) if name else "Tensor of lib"):
                arguments(*inputs)
        with pytest.raises(UsageError, match="input x is a Tensor of lib"):
            Arguments(lambda x: x, tensor, wrt=None, kwargs=None)
