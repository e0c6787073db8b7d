"""Entries and outputs that are not finite: what is made of them, and that the rest is still checked."""

import numpy as np
import pytest

from gradlab import UsageError, gradcheck, numerical_jacobian, numerical_vjp
from gradlab.point.problem import Problem
from gradlab.point.returned import read_gradients

X = np.array([1.0, np.inf, 2.0, np.nan])
POSITIVE = np.array([4.0, -1.0, 9.0])


def capped(x):
    """Return a function of all entries, of which only the finite ones have a slope."""
    return np.where(np.isfinite(x), np.tanh(x), 1.0) * 2


def d_capped(dy, x):
    return 2 * dy * (1 - np.tanh(x) ** 2)  # NaN where x is


@np.errstate(invalid="ignore")
def root(x):
    return np.sqrt(x)


@np.errstate(invalid="ignore")
def d_root(dy, x):
    return dy / (2 * np.sqrt(x))


class TestInputs:
    def test_entries_that_are_not_finite_are_fixed_and_said_to_be(self):
        problem = Problem(lambda x, s: x * s[0], np.sin, (np.ones(2), np.array([2.0, np.nan, -np.inf])))
        assert set(problem.fixed) == {1}
        np.testing.assert_array_equal(problem.fixed[1], [False, True, True])
        assert problem.notes == ["2 entries of s are not finite and were taken as constants"]

    def test_finite_inputs_have_neither(self):
        problem = Problem(np.sin, np.sin, np.ones(2))
        assert (problem.fixed, problem.notes, problem.left_out) == ({}, [], None)

    @pytest.mark.parametrize("inputs", [np.array([np.inf, np.nan]), np.nan, (np.empty(0), np.array(np.inf))])
    def test_nothing_finite_is_refused(self, inputs):
        with pytest.raises(UsageError, match="and no entry is finite; expected finite inputs"):
            Problem(lambda *inputs: inputs[0], np.sin, inputs)

    def test_finite_entry_of_another_input_is_enough(self):
        problem = Problem(lambda x, s: x, np.sin, (2.0, np.nan))
        assert problem.fixed[1].shape == ()

    def test_input_that_is_not_differentiated_may_hold_anything(self):
        assert Problem(lambda x, s: x, np.sin, (2.0, np.nan), wrt="x").fixed == {}

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_functions_are_evaluated_at_the_entry_itself(self, dtype):
        seen = []

        def forward(x):
            seen.append(x.copy())
            return capped(x)

        def backward(dy, x):
            seen.append(x.copy())
            return d_capped(dy, x)

        x = X.astype(dtype)
        problem = Problem(forward, backward, x)
        moved = np.arange(4.0) + 3
        for values in (
            problem.evaluate({0: moved.astype(problem.value(0).dtype)}),
            np.concatenate(problem.evaluate_entries(np.array([0]), np.array([1]), np.array([5.0]))),
        ):
            assert np.isfinite(values).all()
        problem.call_backward(displaced={0: moved})
        for x in seen:
            np.testing.assert_array_equal(x[[1, 3]], X[[1, 3]])
        np.testing.assert_array_equal(moved, np.arange(4.0) + 3)

    def test_scale_of_the_others_can_be_told(self):
        np.testing.assert_array_equal(Problem(capped, d_capped, X).value(0), [1, 0, 2, 0])

    @pytest.mark.parametrize("at", ["entries that are not finite", "entries that are"])
    def test_gradient_is_compared_at_the_others(self, at):
        def wrong(dy, x):
            return np.where(np.isfinite(x), 1 if "not" in at else 3, 7) * d_capped(dy, np.nan_to_num(x))

        report = gradcheck(capped, wrong, X, raise_exception=False)
        assert report.passed == ("not" in at)
        assert "2 entries of x are not finite and were taken as constants" in report.notes

    def test_gradient_that_is_not_finite_there_is_no_finding(self):
        report = gradcheck(capped, d_capped, X)
        assert report.findings == ()
        gradients, findings = read_gradients(Problem(capped, d_capped, X), np.array([np.nan, 5, 1, np.nan]))
        assert [finding.message for finding in findings] == [
            "gradient of x is nan at x[0] (1 entry not finite)"
        ]
        np.testing.assert_array_equal(gradients[0][1:], [0, 1, 0])


class TestOutputs:
    def test_outputs_that_are_not_finite_are_zero_and_said_to_be(self):
        problem = Problem(root, d_root, POSITIVE, seed=0)
        np.testing.assert_array_equal(problem.left_out, [False, True, False])
        assert problem.notes == ["1 of 3 outputs is not finite and was left out"]
        for vector in (problem.output, problem.given_output, problem.grad_output):
            assert vector[1] == 0
            assert np.isfinite(vector).all()
            assert vector[0] != 0
        np.testing.assert_array_equal(problem.evaluate({0: POSITIVE.copy()}), [2, 0, 3])
        np.testing.assert_array_equal(
            problem.evaluate_entries(np.array([0, 0]), np.array([0, 1]), np.array([12.0, 12.0])),
            [[[4, 0, 3], [2, 0, 3]], [[np.nan, 0, 3], [2, 0, 3]]],
        )

    def test_of_several_outputs_too(self):
        def forward(x):
            return root(x), np.float32(np.inf), x.sum()

        problem = Problem(forward, d_root, POSITIVE)
        np.testing.assert_array_equal(problem.output, [2, 0, 3, 0, 12])
        _, outputs, _ = problem.call_forward()
        assert [np.shape(output) for output in outputs] == [(3,), (), ()]
        assert outputs[1].dtype == np.float32

    def test_upstream_gradient_is_zero_there_whatever_is_asked(self):
        seen = []
        problem = Problem(root, lambda dy, x: seen.append(dy) or d_root(dy, x), POSITIVE)
        problem.call_backward(np.ones(3))
        np.testing.assert_array_equal(seen[0], [1, 0, 1])
        with pytest.raises(UsageError, match="grad_output is zero wherever the output is finite"):
            Problem(root, d_root, POSITIVE, grad_output=np.array([0.0, 1.0, 0.0]))

    def test_where_forward_raises_there_is_no_value_still(self):
        def forward(x):
            if x[0] != 4:
                raise ValueError
            return root(x)

        np.testing.assert_array_equal(
            Problem(forward, d_root, POSITIVE).evaluate({0: np.ones(3)}), [np.nan, 0, np.nan]
        )

    def test_where_none_is_finite_nothing_is_left_out(self):
        problem = Problem(root, d_root, -POSITIVE[[0, 2]])
        assert problem.left_out is None
        assert np.isnan(problem.output).all()

    def test_output_that_overflows_in_the_dtype_given_is_left_out(self):
        with np.errstate(over="ignore"):
            problem = Problem(np.exp, np.sin, np.array([1, 20], dtype=np.float16))
        assert problem.wide
        np.testing.assert_array_equal(problem.left_out, [False, True])

    def test_gradient_that_is_not_finite_there_is_no_finding_and_fixed(self):
        problem = Problem(root, d_root, POSITIVE)
        gradients, findings = read_gradients(problem, problem.call_backward())
        assert findings == []
        np.testing.assert_array_equal(problem.fixed[0], [False, True, False])
        assert gradients[0][1] == 0
        assert problem.notes[1] == (
            "where outputs were left out, 1 entry of x has no finite gradient and was taken as a constant"
        )

    def test_only_the_answer_at_the_point_itself_can_fix_entries(self):
        problem = Problem(root, d_root, POSITIVE)
        read_gradients(problem, np.ones(3))
        _, findings = read_gradients(problem, problem.call_backward())
        assert [finding.kind for finding in findings] == ["not-finite"]

    def test_gradient_without_any_finite_entry_is_a_finding(self):
        _, findings = read_gradients(Problem(root, d_root, POSITIVE), np.full(3, np.nan))
        assert [finding.kind for finding in findings] == ["not-finite"]

    @pytest.mark.parametrize("factor", [1, 2])
    def test_gradient_is_compared_at_the_others(self, factor):
        report = gradcheck(root, lambda dy, x: factor * d_root(dy, x), POSITIVE, raise_exception=False)
        assert report.passed == (factor == 1)
        assert "1 of 3 outputs is not finite and was left out" in report.notes


def test_numerical_gradients_are_nan_where_nothing_could_be_told():
    gradient, error_bar = numerical_vjp(capped, X)
    np.testing.assert_array_equal(np.isnan(gradient), [False, True, False, True])
    np.testing.assert_array_equal(np.isinf(error_bar), [False, True, False, True])
    np.testing.assert_array_equal(
        np.isnan(numerical_jacobian(root, POSITIVE)).all(axis=1), [False, True, False]
    )


def d_square(dy, x):
    return 2 * dy * x


with_budget = pytest.mark.parametrize("max_calls", [None, 40, 9, 5, 2, 1])


@pytest.mark.parametrize("x", [np.array(3.0), 3.0, np.float64(3), np.float32(3), np.array(3, np.float16)])
@with_budget
def test_numbers_without_axes_on_any_budget(x, max_calls):
    right = gradcheck(np.square, d_square, x, max_calls=max_calls, raise_exception=False)
    wrong = gradcheck(np.square, lambda dy, x: dy * x, x, max_calls=max_calls, raise_exception=False)
    assert not right.failed
    assert right.passed or max_calls is not None
    assert not wrong.passed


@pytest.mark.parametrize("nest", [lambda e: e, lambda e: {"e": e}, lambda e: [e]])
@pytest.mark.parametrize("x", [np.ones(2), 2.0, np.array(2.0)])
@with_budget
def test_empty_arrays_beside_others(nest, x, max_calls):
    def backward(dy, e, x):
        return nest(np.zeros((0, 3))), d_square(dy, x)

    inputs = nest(np.empty((0, 3))), x
    report = gradcheck(lambda e, x: x**2, backward, inputs, max_calls=max_calls, raise_exception=False)
    assert not report.failed


def test_nothing_but_empty_arrays_is_no_error():
    problem = Problem(lambda x: x * 2, lambda dy, x: 2 * dy, np.empty((0, 3)))
    assert problem.evaluate({0: np.empty((0, 3))}).shape == (0,)
    report = gradcheck(lambda x: x * 2, lambda dy, x: 2 * dy, np.empty(0))
    assert report.notes == ("no derivative could be compared: x has no entry",)


def test_displaced_array_without_axes_stays_an_array():
    seen = []
    problem = Problem(lambda x: seen.append(type(x)) or x * 1.0, d_square, np.array(3.0))
    problem.evaluate({0: np.float64(2.0)})
    assert seen == [np.ndarray, np.ndarray]
