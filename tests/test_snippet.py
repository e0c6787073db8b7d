"""What a report offers for pasting is pasted here."""

import collections
import dataclasses
import functools
import inspect
import re

import numpy as np
import pytest

from gradlab import GradientError, Rule, gradcheck, verify
from gradlab._snippet import PRINTABLE, literal
from gradlab.rules import linear

X = np.random.default_rng(0).normal(size=(3, 2))
W = np.random.default_rng(1).normal(size=(2, 2))


def pasted(report, **names):
    """Run the snippet of a report that is not a pass; return the report that it ends in."""
    with pytest.raises(GradientError) as caught:
        exec(report.snippet, names)
    return caught.value.report


def line_of(function):
    return inspect.getsourcelines(function)[1]


def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.mean(axis=0)


def scaled(x, scale=1.0, shift=None, f=None):
    return (x if f is None else f(x)) * scale + (0 if shift is None else shift)


def scaled_backward(dy, x, scale=1.0, shift=None, f=None):
    return 2 * dy * scale


class Layer:
    @staticmethod
    def forward(x):
        return x**2

    @staticmethod
    def backward(dy, x):
        return x * dy


class Scaling:
    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return self.factor * x

    def backward(self, dy, x):
        return dy


@dataclasses.dataclass
class Parameters:
    a: np.ndarray
    b: list


Pair = collections.namedtuple("Pair", "a b")
SCALING = Scaling(3.0)
LARGE = np.linspace(1, 2, PRINTABLE + 1)
CUBE = Rule("cube", lambda x: x**3, lambda dy, x: x * dy, "(n)")
WRONG_FORM = Rule("form", linear.forward, linear.backward, "(n,d),(d,m)", jacobian=lambda x, w: (x, w))


class TestPasting:
    def test_gradcheck_with_a_cache(self):
        report = gradcheck(affine, affine_backward, (X, W, np.ones(2)), cached=True, raise_exception=False)
        again = pasted(report, affine=affine, affine_backward=affine_backward)
        assert again == report

    def test_every_option_is_in_the_call(self):
        report = gradcheck(
            scaled,
            scaled_backward,
            (X,),
            wrt=["x"],
            kwargs={"scale": 3.0, "shift": X * 2, "f": np.tanh},
            grad_output=X + 1,
            rtol=1e-4,
            max_calls=40,
            name="renamed",
            rng=5,
            raise_exception=False,
        )
        for option in ("wrt=['x']", "'scale': 3.0", "'f': np.tanh", "rtol=0.0001", "max_calls=40", "rng=5"):
            assert option in report.call
        assert pasted(report, scaled=scaled, scaled_backward=scaled_backward) == report

    @pytest.mark.parametrize("inputs", [X, [X], (X,), {"x": X}, 0.1, X.astype(np.float32), {"x": 1e-300}])
    def test_inputs_in_every_form(self, inputs):
        report = gradcheck(scaled, scaled_backward, inputs, raise_exception=False)
        assert pasted(report, scaled=scaled, scaled_backward=scaled_backward) == report

    def test_generator_is_replaced_by_the_seed_it_gave(self):
        rng = np.random.default_rng(7)
        report = gradcheck(scaled, scaled_backward, X, rng=rng, raise_exception=False)
        assert f"rng={report.seed}" in report.call
        assert pasted(report, scaled=scaled, scaled_backward=scaled_backward) == report

    def test_inconclusive_check(self):
        report = gradcheck(linear.forward, linear.backward, (X, W), max_calls=5, raise_exception=False)
        assert report.inconclusive
        assert pasted(report) == report

    def test_functions_that_can_be_imported_are(self):
        report = gradcheck(linear.forward, lambda dy, x, w: (dy, dy), (X[:2], W), raise_exception=False)
        assert "from gradlab.rules.linear import forward\n" in report.snippet
        assert pasted(report, backward=lambda dy, x, w: (dy, dy)).findings == report.findings

    def test_functions_without_a_name_are_named_once_with_their_place(self):
        forward, backward = (lambda x: 2 * x), (lambda dy, x: dy)
        report = gradcheck(forward, backward, X, raise_exception=False)
        (line,) = [line for line in report.snippet.splitlines() if line.startswith("#")]
        assert re.fullmatch(
            r"# define first: forward, a lambda at tests/test_snippet.py:\d+; "
            r"backward, a lambda at tests/test_snippet.py:\d+",
            line,
        )
        assert pasted(report, forward=forward, backward=backward) == report

    def test_local_functions_are_named_with_their_place(self):
        def local(x):
            return scaled(x)

        report = gradcheck(local, scaled_backward, X, raise_exception=False)
        assert (
            f"# define first: local, a function at tests/test_snippet.py:{line_of(local)}\n" in report.snippet
        )
        assert pasted(report, local=local) == report

    def test_functions_that_were_typed_in_are_at_hand(self):
        names = {}
        exec("def forward(x): return x**2\ndef backward(dy, x): return x * dy", names)
        report = gradcheck(names["forward"], names["backward"], X, raise_exception=False)
        assert "#" not in report.snippet
        assert pasted(report, **names) == report

    def test_partial_of_a_function_is_written(self):
        report = gradcheck(functools.partial(scaled, scale=2.0), np.multiply, X, raise_exception=False)
        assert "\nforward = functools.partial(scaled, scale=2.0)\n" in report.snippet
        assert pasted(report) == report

    def test_methods_are_those_of_their_object(self):
        class Stateful:
            def forward(self, x):
                return x**2

            def backward(self, dy, x):
                return dy

        layer = Stateful()
        report = gradcheck(layer.forward, layer.backward, X, raise_exception=False)
        assert "# define first: stateful, a Stateful\n" in report.snippet
        assert pasted(report, stateful=layer) == report

    def test_object_of_a_module_is_taken_from_there(self):
        report = gradcheck(SCALING.forward, SCALING.backward, X, raise_exception=False)
        assert "gradlab.gradcheck(SCALING.forward, SCALING.backward, x, rng=0)" in report.snippet
        assert pasted(report) == report

    def test_functions_of_a_class_are_named_with_it(self):
        report = gradcheck(Layer.forward, Layer.backward, X, raise_exception=False)
        assert "gradlab.gradcheck(Layer.forward, Layer.backward, x, " in report.call
        assert pasted(report, Layer=Layer) == report

    def test_functions_of_the_same_name_are_told_apart(self):
        def make(factor):
            def apply(*args):
                return factor * args[0]

            return apply

        one, other = make(1.0), make(2.0)
        report = gradcheck(one, other, X, raise_exception=False)
        assert report.call.endswith("gradlab.gradcheck(apply, backward, args_0, rng=0)")
        assert pasted(report, apply=one, backward=other) == report

    def test_names_of_inputs_do_not_hide_functions_or_modules(self):
        def x(np, x, gradlab):
            return np * x * gradlab

        def backward(dy, np, x, gradlab):
            return dy, dy, dy

        report = gradcheck(x, backward, (X, X, X), raise_exception=False)
        assert pasted(report, x=x, backward=backward) == report

    def test_large_input_is_described_and_taken_from_where_it_is_pasted(self):
        large = LARGE.copy()
        report = gradcheck(scaled, scaled_backward, large, raise_exception=False)
        assert report.example == f"# x is a float64 array of shape ({PRINTABLE + 1},)"
        assert pasted(report, scaled=scaled, scaled_backward=scaled_backward, x=large) == report

    def test_large_input_of_a_module_is_taken_from_there(self):
        report = gradcheck(scaled, scaled_backward, LARGE, raise_exception=False)
        assert "import scaled, scaled_backward, LARGE as x\n" in report.snippet
        assert pasted(report) == report

    def test_many_inputs_are_written_as_far_as_a_screen_has_room(self):
        inputs = {f"x{k}": np.random.default_rng(k).normal(size=PRINTABLE) for k in range(5)}
        report = gradcheck(
            lambda **x: sum(x.values()),
            lambda dy, **x: dict.fromkeys(x, dy / 2),
            inputs,
            raise_exception=False,
        )
        assert len(report.snippet) < 8000
        assert report.example.endswith(f"# x4 is a float64 array of shape ({PRINTABLE},)")

    def test_function_among_the_inputs(self):
        def forward(x, f):
            return f(x)

        def backward(dy, x, f):
            return dy * x

        report = gradcheck(forward, backward, (X, np.tanh), raise_exception=False)
        assert pasted(report, forward=forward, backward=backward) == report
        report = gradcheck(forward, backward, (X, linear.np.tanh), raise_exception=False)
        assert "f = np.tanh" in report.example

    @pytest.mark.parametrize("form", [lambda p: (p,), lambda p: [p], lambda p: {"p": p}])
    def test_nested_inputs_are_written_out(self, form):
        def forward(p):
            return p["W"][0] * p["b"][0] * p["n"]

        def backward(dy, p):
            return ({"W": [dy], "b": (dy,)},)

        tree = form({"W": [X], "b": (X + 1,), "n": 3})
        report = gradcheck(forward, backward, tree, wrt="p['W']", raise_exception=False)
        assert report.failed
        assert report.example.startswith("p = {'W': [np.array(")
        assert pasted(report, forward=forward, backward=backward) == report

    @pytest.mark.parametrize("kind", [Pair, Parameters], ids=["named tuple", "dataclass"])
    def test_named_tuples_and_dataclasses_are_written(self, kind):
        tree = kind(X, [X])
        forward, backward = (lambda p: p.a * p.b[0]), (lambda dy, p: kind(dy, [dy]))
        report = gradcheck(forward, backward, (tree,), raise_exception=False)
        assert report.example.startswith(f"p = {kind.__name__}(a=np.array(")
        assert pasted(report, forward=forward, backward=backward).inputs == report.inputs

    def test_point_that_verify_found(self):
        report = verify(CUBE, rng=3, rtol=1e-5, raise_exception=False)
        assert "gradlab.gradcheck(rule.forward, rule.backward, (x,), rtol=1e-05, rng=3)" in report.call
        again = pasted(report, rule=CUBE)
        assert (again.verdict, again.inputs) == (report.verdict, report.inputs)

    def test_rule_that_can_be_imported_is(self, monkeypatch):
        wrong = Rule("linear", linear.forward, lambda dy, x, w: (dy, dy), (X[:2], W))
        monkeypatch.setattr(linear, "RULE", wrong)
        report = verify(wrong, raise_exception=False)
        assert "from gradlab.rules.linear import RULE as rule" in report.snippet
        assert pasted(report).inputs == report.inputs

    def test_point_at_which_only_the_explicit_jacobian_is_wrong(self):
        report = verify(WRONG_FORM, raise_exception=False)
        assert {finding.check for finding in report.findings} == {"jacobian"}
        assert pasted(report, rule=WRONG_FORM).findings == report.findings

    def test_inconclusive_verify(self):
        rule = Rule("blind", lambda x: 1e20 + x.sum(), lambda dy, x: dy * np.ones(2), (np.ones(2),))
        report = verify(rule, max_examples=7, raise_exception=False)
        assert report.snippet.endswith(
            "# define first: rule, the Rule 'blind'\ngradlab.verify(rule, max_examples=7, rng=0)"
        )
        assert pasted(report, rule=rule) == report


def test_nothing_is_written_for_a_pass(monkeypatch):
    def fail(*args, **options):
        raise AssertionError("a passing check pays for no text")

    monkeypatch.setattr("gradlab._gradcheck.gradcheck_snippet", fail)
    monkeypatch.setattr("gradlab._verify.point_snippet", fail)
    report = gradcheck(linear.forward, linear.backward, (X, W))
    assert (report.example, report.call, report.snippet) == (None, None, None)
    assert verify(linear.RULE, max_examples=5).snippet is None


@pytest.mark.parametrize(
    "value",
    [
        *(np.random.default_rng(0).normal(size=(2, 3)).astype(dtype) for dtype in "efdg"),
        np.ones(2, dtype=">f4"),
        np.array([np.nan, np.inf, -np.inf]),
        np.array([1e-310, -0.0, 5e-324, 1.7976931348623157e308]),
        np.array(2.5),
        np.arange(3),
        np.arange(3, dtype=np.uint8),
        np.array([[True, False]]),
        np.array(["a", "é\n"]),
        np.zeros((0, 2)),
        np.float32(0.1),
        np.float64("nan"),
        np.longdouble("inf"),
        np.bool_(True),
        float("-inf"),
        True,
        None,
        "text'\"",
        (1, [2.0, np.ones(1)], {"a": (np.int8(3),)}),
        (),
        np.float32,
    ],
)
def test_value_is_written_exactly(value):
    again = eval(literal(value), {"np": np})
    assert type(again) is type(value)
    np.testing.assert_equal(again, value)
    if isinstance(value, np.ndarray):
        assert again.dtype == value.dtype


@pytest.mark.parametrize(
    "value",
    [
        np.ones(PRINTABLE + 1),
        "x" * (PRINTABLE + 1),
        [0] * (PRINTABLE + 1),
        object(),
        np.ma.array([1.0], mask=[True]),
        np.array([None]),
        np.array([(1, 2.0)], dtype="i,f"),
        (object(),),
        {"a": object()},
        lambda: None,
    ],
)
def test_value_that_cannot_be_written_is_not(value):
    assert literal(value) is None


class TestComplex:
    @pytest.mark.parametrize(
        "value",
        [
            np.array([1 - 2j, 0.1 + 1e-17j]),
            np.array([[0.1 + 0.2j]], dtype=np.complex64),
            np.array([complex(-0.0, 1), complex(1, -0.0), complex(np.inf, np.nan)]),
            np.complex64(0.1 - 0.3j),
            2.5 - 1j,
            np.zeros((0, 2), dtype=complex),
        ],
        ids=repr,
    )
    def test_numbers_are_written_exactly(self, value):
        again = eval(literal(value))
        assert type(again) is type(value)
        assert np.asarray(again).tobytes() == np.asarray(value).tobytes()

    def test_convention_is_part_of_the_call(self):
        def backward(dy, x):
            return 3 * x * dy

        x = np.array([1 + 1j])
        report = gradcheck(np.square, backward, x, convention="jax", raise_exception=False)
        assert pasted(report, backward=backward) == report
        rule = Rule("square", np.square, backward, (x,), convention="jax")
        report = verify(rule, raise_exception=False)
        assert "convention='jax'" in report.call or "rule" in report.call

    def test_pair_of_references_is_written_by_its_functions(self):
        report = gradcheck(
            np.sin,
            lambda dy, x: dy,
            X,
            reference=(np.sin, lambda dy, x: dy * np.cos(x)),
            raise_exception=False,
        )
        assert "reference=(np.sin, reference_backward)" in report.call
        again = pasted(report, backward=lambda dy, x: dy, reference_backward=lambda dy, x: dy * np.cos(x))
        assert again.findings == report.findings
