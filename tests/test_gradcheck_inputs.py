"""The forms in which functions and inputs are given, and what is refused."""

import numpy as np
import pytest

from gradlab import UsageError, gradcheck

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.75]])


def linear(x, w):
    return x @ w


def linear_backward(dy, x, w):
    return dy @ w.T, x.T @ dy


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


def product(a, b):
    return a * a * b


def product_backward(g, a, b):
    return 2 * a * b * g, a * a * g


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_tuple_of_gradients_has_the_order_of_the_signature_whatever_that_of_the_dict(names):
    inputs = {name: {"a": X, "b": X + 1}[name] for name in names}
    assert gradcheck(product, product_backward, inputs)
    swapped = gradcheck(
        product, lambda *g, **i: product_backward(*g, **i)[::-1], inputs, raise_exception=False
    )
    assert {cause.code for cause in swapped.causes} == {"swapped-inputs"}


def test_tuple_of_gradients_has_the_order_of_the_dict_where_forward_names_no_inputs():
    assert gradcheck(
        lambda **i: i["a"] ** 2 * i["b"],
        lambda g, a, b: product_backward(g, a, b)[::-1],
        {"b": X, "a": X + 1},
    )


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


@pytest.mark.parametrize("gradient", [3, 3.0, np.float64(3), np.int64(3)])
def test_gradient_that_is_a_plain_number_is_compared(gradient):
    assert not gradcheck(lambda x: x**2, lambda dy, x: gradient, 2.0, raise_exception=False)
    assert gradcheck(lambda x: 3 * x, lambda dy, x: gradient * dy, 2.0)


def test_containers_and_keyword_arrays_are_copied_too():
    kept, shift = [np.zeros(2)], np.ones(3)

    def vandal(x, state, shift):
        state[0][:] += 1
        state.append(0)
        shift += 1
        return 2 * x

    options = {"wrt": "x", "kwargs": {"shift": shift}, "raise_exception": False}
    report = gradcheck(vandal, lambda dy, x, state, shift: 2 * dy, (X, kept), **options)
    assert {finding.message for finding in report.findings} == {
        "forward writes to state, which it was given",
        "forward writes to state[0], which it was given",
    }
    np.testing.assert_array_equal(kept, [np.zeros(2)])
    np.testing.assert_array_equal(shift, np.ones(3))


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
            (([[1, 2], [3]],), "x is a list of length 2; expected at least one"),
            ((np.array(["a"]),), "x is a <U1 array of shape .1,."),
            ((np.array([np.inf, np.nan]),), r"x\[0\] is inf, and no entry is finite; expected finite inputs"),
            ({1: X}, "keys are not all strings"),
            (np.ma.array(X, mask=X > 1), "input x is a masked array, .*; expected a plain array"),
            (({"w": np.ma.array(X)},), r"input x\['w'\] is a masked array"),
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
            (
                [1.0, 2.0],
                {},
                r"each number of a list or tuple is an input: expected np.array\(\[…\]\) for one",
            ),
            ((2,), {}, "nothing to differentiate: x is the int 2; expected .* such as 2.0 instead of 2"),
            ((X,), {"wrt": []}, "wrt is a list of length 0; expected at least one name .* the inputs are x"),
            ((X,), {"wrt": 1.5}, "wrt is the float 1.5; expected names or positions"),
            ((X,), {"grad_output": np.full(X.shape, np.nan)}, "grad_output is not finite"),
        ],
    )
    def test_call_that_forward_does_not_take(self, inputs, options, message):
        with pytest.raises(UsageError, match=message):
            gradcheck(lambda x: 2 * x, lambda dy, x: 2 * dy, inputs, **options)
