import pickle
import traceback

import numpy as np
import pytest

import gradlab
from gradlab import GradientError, UsageError, Verdict, gradcheck

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.75]])


def linear(x, w):
    return x @ w


def linear_backward(dy, x, w):
    return dy @ w.T, x.T @ dy


def wrong_linear_backward(dy, x, w):
    return dy @ w.T, -x.T @ dy


def test_right_rule_passes():
    report = gradcheck(linear, linear_backward, (X, W))
    assert report.verdict is Verdict.PASS
    assert report
    assert [result.name for result in report.inputs] == ["x", "w"]


def test_wrong_rule_raises_an_assertion_error_that_carries_the_report():
    with pytest.raises(AssertionError, match="gradient of w is wrong; x is right") as caught:
        gradcheck(linear, wrong_linear_backward, (X, W))
    assert isinstance(caught.value, GradientError)
    assert caught.value.report.failed


def test_right_input_is_told_from_the_wrong_one():
    report = gradcheck(linear, wrong_linear_backward, (X, W), raise_exception=False)
    assert {result.name: result.verdict for result in report.inputs} == {"x": "pass", "w": "fail"}
    assert report.inputs[1].wrong_entries == tuple(np.ndindex(W.shape))


def test_one_wrong_entry_is_named():
    def backward(dy, x, w):
        dx, dw = linear_backward(dy, x, w)
        dw[2, 1] *= 1.001
        return dx, dw

    report = gradcheck(linear, backward, (X, W), raise_exception=False)
    assert report.inputs[1].wrong_entries == ((2, 1),)
    assert report.inputs[1].worst.index == (2, 1)


def test_same_call_gives_an_equal_report():
    reports = [gradcheck(linear, wrong_linear_backward, (X, W), raise_exception=False) for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[0].seed == 0


def test_seed_of_a_generator_reproduces_the_report():
    report = gradcheck(linear, linear_backward, (X, W), rng=np.random.default_rng(5))
    assert report == gradcheck(linear, linear_backward, (X, W), rng=report.seed)


def test_forward_calls_are_within_two_per_entry_and_twelve():
    report = gradcheck(linear, linear_backward, (X, W))
    assert report.forward_calls <= 2 * (X.size + W.size) + 12
    assert report.backward_calls <= 8


def test_functions_in_the_form_of_course_notes():
    def forward(x, w):
        return x @ w, (x, w)

    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ dout

    assert gradcheck(forward, backward, (X, W), cached=True)
    assert not gradcheck(
        forward,
        lambda dout, cache: (dout @ cache[1].T, cache[0].T),
        (X, W),
        cached=True,
        raise_exception=False,
    )


def test_dict_inputs_are_passed_by_keyword_and_gradients_may_come_in_a_dict():
    def backward(dy, *, x, w):
        dx, dw = linear_backward(dy, x, w)
        return {"w": dw, "x": dx}

    report = gradcheck(lambda *, x, w: x @ w, backward, {"x": X, "w": W})
    assert [result.name for result in report.inputs] == ["x", "w"]


def test_one_array_is_one_input():
    assert gradcheck(np.sin, lambda dy, x: dy * np.cos(x), X)


def test_python_floats_and_scalars_are_differentiated():
    seen = []

    def forward(a, b):
        seen.append(type(a))
        return a * b

    assert gradcheck(forward, lambda dy, a, b: (dy * b, dy * a), (2.0, np.float32(3.0)))
    assert set(seen) == {float}


def test_integers_are_constants_whose_gradient_may_be_left_out_or_none_or_zero():
    def forward(table, index):
        return table[index]

    def backward(dy, table, index):
        dtable = np.zeros_like(table)
        np.add.at(dtable, index, dy)
        return dtable

    index = np.array([0, 1, 1])
    for wrap in (
        lambda dtable: dtable,
        lambda dtable: (dtable, None),
        lambda dtable: (dtable, np.zeros(3)),
    ):
        assert gradcheck(
            forward, lambda dy, t, i, wrap=wrap: wrap(backward(dy, t, i)), (X, np.minimum(index, 1))
        )


def test_wrt_narrows_by_name_and_by_position():
    def only_x_right(dy, x, w):
        return dy @ w.T, np.zeros_like(w)

    assert gradcheck(linear, only_x_right, (X, W), wrt="x")
    assert gradcheck(linear, only_x_right, (X, W), wrt=[0])
    assert gradcheck(linear, lambda dy, x, w: dy @ w.T, (X, W), wrt="x")
    assert not gradcheck(linear, only_x_right, (X, W), wrt=("x", "w"), raise_exception=False)


def test_kwargs_reach_both_functions():
    def backward(dy, x, *, power):
        return power * x ** (power - 1) * dy

    assert gradcheck(lambda x, *, power: x**power, backward, X, kwargs={"power": 3})


def test_upstream_gradient_can_be_given():
    seen = []

    def backward(dy, x, w):
        seen.append(dy)
        return linear_backward(dy, x, w)

    given = np.arange(4.0).reshape(2, 2)
    gradcheck(linear, backward, (X, W), grad_output=given)
    np.testing.assert_array_equal(seen[0], given)


def test_rule_that_ignores_the_upstream_gradient_fails():
    assert not gradcheck(np.sin, lambda dy, x: np.cos(x), X, raise_exception=False)


def test_several_outputs_take_a_tuple_of_upstream_gradients():
    def forward(x):
        return np.sin(x), x.sum()

    def backward(upstream, x):
        dsin, dsum = upstream
        return dsin * np.cos(x) + dsum

    assert gradcheck(forward, backward, X)
    assert not gradcheck(forward, lambda u, x: u[0] * np.cos(x), X, raise_exception=False)


def test_callers_arrays_are_never_written_to():
    x, w = X.copy(), W.copy()

    def vandal(x, w):
        y = x @ w
        x[:] = 7
        w[:] = 7
        return y

    gradcheck(vandal, lambda dy, x, w: (dy, dy), (x, w), raise_exception=False)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(w, W)


def test_forward_that_returns_its_argument_or_one_buffer_passes():
    buffer = np.empty_like(X)

    def into_buffer(x):
        return np.multiply(x, 2, out=buffer)

    assert gradcheck(lambda x: x, lambda dy, x: dy, X)
    assert gradcheck(into_buffer, lambda dy, x: 2 * dy, X)


@pytest.mark.parametrize("size", [1, 30, 20_000])
def test_gradient_of_zero_is_right_at_a_minimum(size):
    o = np.linspace(-1, 1, size)
    rule = gradlab.rules.square_loss.SUM
    assert gradcheck(rule.forward, rule.backward, (o, o.copy()))


def test_large_input_costs_few_calls_and_a_wrong_one_is_caught():
    x = np.random.default_rng(0).normal(size=50_000)
    report = gradcheck(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), x)
    assert report.forward_calls <= 64
    assert not gradcheck(np.tanh, lambda dy, x: dy * (1 - np.tanh(x)), x, raise_exception=False)


def test_edge_of_a_domain_is_approached_and_not_crossed():
    x = np.array([1e-3, 1.0, 5.0])
    assert gradcheck(np.log, lambda dy, x: dy / x, x)
    assert not gradcheck(np.log, lambda dy, x: dy / x**2, x, raise_exception=False)


def test_what_cannot_be_seen_is_inconclusive_with_the_reason():
    x = np.array([1.0, 1.0])
    slopes = np.array([1.0, 1e-17])
    with pytest.raises(GradientError, match="error bar is too wide to tell") as caught:
        gradcheck(lambda x: x @ slopes, lambda dy, x: dy * slopes, x)
    assert caught.value.report.verdict is Verdict.INCONCLUSIVE


def test_forward_that_raises_is_a_finding_with_its_own_message():
    def forward(x):
        raise KeyError("no such thing")

    with pytest.raises(GradientError, match=r"forward raised KeyError: 'no such thing'") as caught:
        gradcheck(forward, forward, X)
    assert caught.value.report.findings[0].kind == "forward-raises"
    assert isinstance(caught.value.__cause__, KeyError)


def test_backward_that_raises_is_a_finding_with_its_own_traceback():
    def backward(dy, x):
        return dy / undefined_name  # noqa: F821 - a typing error, as it happens

    with pytest.raises(GradientError, match="backward raised NameError") as caught:
        gradcheck(np.sin, backward, X)
    assert "undefined_name" in "".join(traceback.format_exception(caught.value))


def test_forward_that_is_not_finite_is_a_finding():
    with np.errstate(divide="ignore"):
        report = gradcheck(np.log, lambda dy, x: dy, np.array([0.0, 1.0]), raise_exception=False)
    assert [finding.kind for finding in report.findings] == ["not-finite"]


def test_error_survives_pickling():
    with pytest.raises(GradientError) as caught:
        gradcheck(linear, wrong_linear_backward, (X, W))
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.report == caught.value.report
    assert str(again) == str(caught.value)


class TestBadInput:
    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ("words", "inputs is the str 'words'; expected a tuple"),
            (None, "inputs is None; expected a tuple"),
            (object(), "inputs is an object; expected a tuple"),
            ((), "no input was given; expected at least one floating-point NumPy array or float"),
            ((np.array([1, 2]),), "x is an int64 array of shape .2,.; expected at least one floating-point"),
            ((["a", "b"],), "x is a list of length 2; expected at least one"),
            (([[1.0, 2.0], [3.0]],), "x is a list of length 2; expected at least one"),
            ((np.array(["a"]),), "x is a <U1 array of shape .1,."),
            ((np.array([1.0 + 2.0j]),), "complex inputs are not supported"),
            ((1.0 + 2.0j,), "complex inputs are not supported"),
            ((np.array([1.0, np.nan]),), r"x\[1\] is nan; expected finite inputs"),
            ({1: X}, "keys are not all strings"),
        ],
    )
    def test_inputs(self, inputs, message):
        with pytest.raises(UsageError, match=message):
            gradcheck(lambda x: x, lambda dy, x: dy, inputs)

    @pytest.mark.parametrize(
        ("output", "message"),
        [
            (None, r"forward returned None; expected a floating-point array \(is a return statement missing"),
            ("text", "forward returned the str 'text'; expected"),
            ([1.0, 2.0], "forward returned a list of length 2; expected"),
            (np.array([1, 2]), r"forward returned an int64 array of shape \(2,\); expected"),
            ((X, {"x": X}), r"a tuple \(ndarray, dict\); expected .* pass cached=True"),
        ],
    )
    def test_output(self, output, message):
        with pytest.raises(UsageError, match=message):
            gradcheck(lambda x: output, lambda dy, x: dy, X)

    def test_cached_without_a_cache(self):
        with pytest.raises(UsageError, match=r"with cached=True it is expected to return \(output, cache\)"):
            gradcheck(lambda x: x, lambda dy, cache: dy, X, cached=True)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"wrt": "z"}, "wrt names z, which is not an input; the inputs are x"),
            ({"wrt": 3}, "wrt names 3, which is not an input"),
            ({"rtol": -1.0}, "rtol is the float -1.0; expected a number between 0 and 1"),
            ({"rng": "seed"}, "rng is the str 'seed'; expected None"),
            ({"kwargs": [1]}, "kwargs is a list of length 1; expected a dict"),
            ({"name": 3}, "name is the int 3; expected a string"),
            ({"grad_output": np.ones(5)}, r"grad_output has shape \(5,\); expected \(2, 3\)"),
            ({"grad_output": "ones"}, "grad_output is the str 'ones'; expected"),
        ],
    )
    def test_options(self, options, message):
        with pytest.raises(UsageError, match=message):
            gradcheck(lambda x: x, lambda dy, x: dy, X, **options)

    def test_wrt_that_names_a_constant(self):
        with pytest.raises(UsageError, match="wrt names index, which is an int64 array"):
            gradcheck(lambda x, index: x, lambda dy, x, index: dy, (X, np.array([1])), wrt="index")

    def test_what_is_not_a_function(self):
        with pytest.raises(UsageError, match="backward is None; expected a function"):
            gradcheck(np.sin, None, X)

    @pytest.mark.parametrize(
        ("inputs", "options", "message"),
        [
            ((X, X), {}, r"forward\(x\) cannot be called with x, input\[0\]: too many positional"),
            ({"y": X}, {}, r"forward\(x\) cannot be called with y: missing a required argument: 'x'"),
            ({"x": X}, {"kwargs": {"x": X}}, "kwargs gives x, which inputs gives too"),
            ((X,), {"kwargs": {"k": 1}}, "cannot be called with x, k: got an unexpected keyword"),
            ((X,), {"wrt": 1.5}, "wrt is the float 1.5; expected names or positions"),
            ((X,), {"grad_output": np.full(X.shape, np.nan)}, "grad_output is not finite"),
        ],
    )
    def test_call_that_forward_does_not_take(self, inputs, options, message):
        with pytest.raises(UsageError, match=message):
            gradcheck(lambda x: 2 * x, lambda dy, x: 2 * dy, inputs, **options)


@pytest.mark.parametrize("gradient", [3, 3.0, np.float64(3), np.int64(3)])
def test_gradient_that_is_a_plain_number_is_compared(gradient):
    assert not gradcheck(lambda x: x**2, lambda dy, x: gradient, 2.0, raise_exception=False)
    assert gradcheck(lambda x: 3 * x, lambda dy, x: gradient * dy, 2.0)


def test_input_without_entries_is_inconclusive():
    report = gradcheck(lambda x: x**2, lambda dy, x: dy, np.zeros((0, 3)), raise_exception=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "x has no entries" in report.reason


def test_containers_and_keyword_arrays_are_copied_too():
    kept, shift = [np.zeros(2)], np.ones(3)

    def vandal(x, state, shift):
        state[0][:] += 1
        state.append(0)
        shift += 1
        return 2 * x

    gradcheck(vandal, lambda dy, x, state, shift: 2 * dy, (X, kept), kwargs={"shift": shift})
    np.testing.assert_array_equal(kept, [np.zeros(2)])
    np.testing.assert_array_equal(shift, np.ones(3))


def test_backward_that_loses_digits_is_not_called_wrong():
    def forward(z):
        return np.log1p(np.exp(-z))

    z = np.array([25.0, 3.0])
    exact = gradcheck(forward, lambda dy, z: -dy / (1 + np.exp(z)), z)
    rounded = gradcheck(forward, lambda dy, z: dy * (1 / (1 + np.exp(-z)) - 1), z, raise_exception=False)
    assert exact.passed
    assert not rounded.failed


@pytest.mark.parametrize("logit", [20.0, 25.0, 30.0, 35.0])
def test_plateau_of_a_quantised_function_is_no_evidence(logit):
    rule = gradlab.rules.cross_entropy.LOGITS
    z, target = np.array([[logit, 0.0, 1.0]]), np.array([0])
    report = gradcheck(rule.forward, rule.backward, (z, target), cached=True, raise_exception=False)
    assert not report.failed


def test_reason_names_what_stood_in_the_way():
    def forward(x):
        if not (x == X).all():
            raise ValueError("only here")
        return x

    report = gradcheck(forward, lambda dy, x: dy, X, raise_exception=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "forward raised ValueError: only here" in report.reason


@pytest.mark.parametrize("scale", [1e-310, 1e-150, 1e150, 1e300])
def test_extreme_magnitudes_raise_no_warning_and_no_false_alarm(scale):
    x = scale * np.array([1.0, 2.0])
    assert not gradcheck(lambda x: 2 * x, lambda dy, x: 2 * dy, x, raise_exception=False).failed
    assert not gradcheck(lambda x: 2 * x, lambda dy, x: 2 * dy, x[:1], raise_exception=False).failed
