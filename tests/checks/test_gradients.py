"""Budgets, precision, resolution: what the probes are made to see."""

from functools import partial

import numpy as np
import pytest

from gradlab import Verdict, gradcheck
from gradlab.numerics.step_sizes import usual_step


def normal(size, seed=0):
    return np.random.default_rng(seed).normal(size=size)  # the same in whatever order tests run


def tanh_backward(dy, x):
    return dy * (1 - np.tanh(x) ** 2)


@pytest.mark.parametrize("claim", [1e-12, 0.0])
def test_entry_that_is_claimed_not_to_matter_is_seen_where_it_does(claim):
    def wrong(dy, x):
        dx = tanh_backward(dy, x)
        dx[7] *= claim
        return dx

    assert not gradcheck(np.tanh, wrong, normal(5000), raise_exception=False)


def test_small_input_beside_a_large_one_takes_few_calls():
    def wrong(dy, x, scale):
        d_scale = np.sum(dy * x, axis=0)
        d_scale[7] *= 1.01
        return dy * scale, d_scale

    inputs = normal((60, 500)), normal(500, seed=1)
    report = gradcheck(np.multiply, lambda dy, x, scale: (dy * scale, np.sum(dy * x, axis=0)), inputs)
    assert report.forward_calls <= 32
    report = gradcheck(np.multiply, wrong, inputs, raise_exception=False)
    assert [(one.verdict, one.wrong_entries) for one in report.inputs] == [
        (Verdict.PASS, ()),
        (Verdict.FAIL, ((7,),)),
    ]


@pytest.mark.parametrize("size", [1e-3, 1e-6])
def test_defect_in_small_entries_of_a_large_input_is_not_drowned(size):
    c = np.where(np.arange(5000) % 10, 1.0, size)
    x = normal(5000)

    def wrong(dy, x):
        return dy * np.where(c == 1.0, 1.0, 1.01) * c * np.cos(x)

    assert gradcheck(lambda x: c * np.sin(x), lambda dy, x: dy * c * np.cos(x), x)
    assert not gradcheck(lambda x: c * np.sin(x), wrong, x, raise_exception=False)


def test_gradient_that_is_zero_where_it_should_not_be_is_seen():
    x = normal(5000)

    def forgets(dy, x):
        dx = tanh_backward(dy, x)
        dx[::100] = 0
        return dx

    assert not gradcheck(np.tanh, forgets, x, raise_exception=False)


def test_defect_in_small_outputs_is_not_drowned():
    c = np.array([1.0, 1e16, 1.0, 1e16])
    x = np.array([0.5, -1.0, 2.0, 1.5])
    w = np.array([1.0, 1e-3, 0.0, 0.0])  # every output depends on x[0], by very different amounts

    def forward(x):
        return c * np.sin(x + w * x[0])

    def backward(dy, x):
        inner = dy * c * np.cos(x + w * x[0])
        dx = inner.copy()
        dx[0] += w @ inner
        return dx

    def wrong(dy, x):
        dx = backward(dy, x)
        dx[0] += 1e-3 * (dy * c * np.cos(x + w * x[0]))[0]
        return dx

    assert gradcheck(forward, backward, x)
    assert not gradcheck(forward, wrong, x, raise_exception=False)


@pytest.mark.parametrize("slope", [1e-4, 1e-8])
def test_small_entry_beside_a_large_one(slope):
    c = np.array([1.0, slope])
    assert gradcheck(lambda x: x @ c, lambda dy, x: dy * c, np.ones(2))
    wrong = gradcheck(lambda x: x @ c, lambda dy, x: dy * c * [1, 1.01], np.ones(2), raise_exception=False)
    assert wrong.inputs[0].wrong_entries == ((1,),)


class TestBudget:
    X, W = normal((8, 6)), normal((6, 5), seed=1)

    def check(self, max_calls, backward=lambda dy, x, w: (dy @ w.T, x.T @ dy)):
        return gradcheck(
            lambda x, w: x @ w, backward, (self.X, self.W), max_calls=max_calls, raise_exception=False
        )

    @pytest.mark.parametrize("max_calls", [1, 2, 3, 5, 10, 20, 50, 1000])
    def test_it_is_never_exceeded(self, max_calls):
        assert self.check(max_calls).forward_calls <= max_calls
        wrong = self.check(max_calls, lambda dy, x, w: (dy @ w.T, 2 * x.T @ dy))
        assert wrong.forward_calls <= max_calls
        assert not wrong.passed

    def test_what_is_left_unprobed_is_said(self):
        report = self.check(5)
        assert report.verdict is Verdict.INCONCLUSIVE
        assert report.reason.startswith("max_calls=5 left entries unprobed: ")
        assert "30 in w" in report.reason
        assert report.inputs[1].resolution is None

    def test_right_rule_is_not_called_wrong_for_want_of_calls(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=11)[3:]

        def check(backward, max_calls):
            return gradcheck(
                lambda x: np.round(np.cos(x).sum(), 9),
                backward,
                x,
                max_calls=max_calls,
                raise_exception=False,
            )

        assert not any(check(lambda dy, x: -dy * np.sin(x), calls).failed for calls in range(40, 80))
        assert check(lambda dy, x: -1.1 * dy * np.sin(x), 1000).failed

    def test_few_calls_are_spent_on_directions(self):
        assert self.check(20).passed


class TestPrecision:
    def test_narrow_inputs_are_compared_in_float64(self):
        x = normal(6)
        for dtype in (np.float32, np.float16):
            report = gradcheck(np.tanh, tanh_backward, x.astype(dtype))
            # Backward's rounding; none of central differences.
            assert 0 < report.inputs[0].worst.error < 8 * np.finfo(dtype).eps

    def test_wrong_formula_in_float32_is_wrong(self):
        report = gradcheck(
            np.tanh,
            lambda dy, x: 1.01 * tanh_backward(dy, x),
            normal(6).astype("f4"),
            raise_exception=False,
        )
        assert [finding.kind for finding in report.findings] == ["wrong-gradient"]

    def test_backward_that_loses_digits_in_float32_is_told_apart(self):
        def backward(dy, x):
            big = np.asarray(1e5, dtype=x.dtype)
            return dy * ((big + np.cos(x)) - big)  # right, but for the rounding of 1e5

        x = np.array([0.3, 0.8, 1.2], dtype=np.float32)
        assert gradcheck(np.sin, backward, x.astype(float))
        report = gradcheck(np.sin, backward, x, raise_exception=False)
        assert [finding.kind for finding in report.findings] == ["precision"]
        assert "in float64 backward is right: it loses digits in float32" in report.reason

    @pytest.mark.parametrize("reference", [None, (np.tanh, lambda dy, x: dy / np.cosh(x) ** 2)])
    def test_digits_that_a_saturated_entry_loses_beside_others_do_not_matter(self, reference):
        def backward(dy, x):
            big = np.asarray(100, dtype=x.dtype)
            return dy * ((big + 1 - np.tanh(x) ** 2) - big)

        saturated, others = np.array([6.4], dtype=np.float32), np.array([0.5, -1.0], dtype=np.float32)
        asked = {"reference": reference, "raise_exception": False}
        alone = gradcheck(np.tanh, backward, saturated, **asked)
        assert [finding.kind for finding in alone.findings] == ["precision"]
        beside = gradcheck(np.tanh, backward, np.concatenate([saturated, others]), **asked)
        assert beside.passed
        assert beside.inputs[0].too_small == 1

    def test_function_that_works_in_float32_alone(self):
        def forward(x):
            return np.tanh(x.astype(np.float32))

        x = normal(5).astype(np.float32)
        assert gradcheck(forward, tanh_backward, x)
        assert not gradcheck(forward, lambda dy, x: 1.1 * tanh_backward(dy, x), x, raise_exception=False)

    def test_float32_hidden_behind_float64(self):
        def forward(x):
            return np.tanh(x.astype(np.float32)).astype(float)

        x = normal(5)
        assert gradcheck(forward, tanh_backward, x)
        assert not gradcheck(forward, lambda dy, x: 1.01 * tanh_backward(dy, x), x, raise_exception=False)


@pytest.mark.parametrize("decimals", [6, 9])
def test_solver_that_stops_early(decimals):
    x = np.random.default_rng(1).normal(size=4)

    def forward(x):
        return np.round(np.cos(x), decimals)

    assert gradcheck(forward, lambda dy, x: -dy * np.sin(x), x)
    assert not gradcheck(forward, lambda dy, x: -1.05 * dy * np.sin(x), x, raise_exception=False)


def test_offset_that_swallows_digits():
    x = np.random.default_rng(0).normal(size=5)

    def forward(x):
        return (1e8 + np.sin(x)) - 1e8

    assert gradcheck(forward, lambda dy, x: dy * np.cos(x), x)
    assert not gradcheck(forward, lambda dy, x: 1.05 * dy * np.cos(x), x, raise_exception=False)


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
def test_functions_of_any_scale(factor):
    x = normal(4)
    assert gradcheck(lambda x: factor * np.sin(x), lambda dy, x: factor * dy * np.cos(x), x)
    assert gradcheck(lambda x: np.sin(x / factor), lambda dy, x: dy * np.cos(x / factor) / factor, factor * x)
    assert not gradcheck(
        lambda x: factor * np.sin(x), lambda dy, x: 1.001 * factor * dy * np.cos(x), x, raise_exception=False
    )


def test_defect_above_the_resolution_fails_and_below_rtol_passes():
    x = normal(7)
    resolution = gradcheck(np.tanh, tanh_backward, x).inputs[0].resolution
    assert 1e-7 <= resolution < 1e-6
    for entry in range(x.size):

        def changed(dy, x, by, entry=entry):
            dx = tanh_backward(dy, x)
            dx[entry] *= 1 + by
            return dx

        assert not gradcheck(
            np.tanh, lambda dy, x: changed(dy, x, 1.01 * resolution), x, raise_exception=False
        )
        assert gradcheck(np.tanh, lambda dy, x: changed(dy, x, 0.9e-7), x)


class TestKindsOfInput:
    def test_read_only_and_strided_arrays(self):
        x = normal((4, 6))[:, ::2]
        x.flags.writeable = False
        assert gradcheck(np.tanh, tanh_backward, x)

    def test_subclasses_reach_the_functions(self):
        class Named(np.ndarray):
            pass

        seen = set()

        def forward(x):
            seen.add(type(x))
            return np.tanh(np.asarray(x))

        assert gradcheck(forward, lambda dy, x: tanh_backward(dy, np.asarray(x)), normal(3).view(Named))
        assert seen == {Named}

    def test_inputs_that_share_memory_are_independent(self):
        x = normal(3)
        assert gradcheck(lambda a, b: a * b, lambda dy, a, b: (dy * b, dy * a), (x, x))

    def test_zero_dimensional_arrays_and_scalars(self):
        assert gradcheck(
            lambda a, b: a * b, lambda dy, a, b: (dy * b, dy * a), (np.array(2.0), np.float64(3.0))
        )

    def test_boolean_and_integer_inputs_are_constants(self):
        mask, index = np.array([True, False, True]), np.array([2, 0])
        x = normal(3)

        def forward(x, mask, index):
            return (x * mask)[index]

        def backward(dy, x, mask, index):
            dx = np.zeros_like(x)
            np.add.at(dx, index, dy)
            return dx * mask

        assert gradcheck(forward, backward, (x, mask, index))

    def test_one_empty_input_among_others(self):
        assert gradcheck(
            lambda a, b: np.concatenate([a, b]),
            lambda dy, a, b: (dy[:0], dy),
            (np.zeros(0), normal(3)),
        )


@pytest.mark.parametrize("forward", [np.log, np.square])
def test_entry_far_smaller_than_all_others_is_compared(forward):
    x = np.concatenate([[1e-6], np.ones(2000)])
    slope = {np.log: lambda x: 1 / x, np.square: lambda x: 2 * x}[forward]

    def first_entry_wrong(dy, x):
        return dy * slope(x) * np.where(np.arange(x.size) == 0, 1.5, 1.0)

    assert gradcheck(forward, lambda dy, x: dy * slope(x), x)
    assert gradcheck(forward, first_entry_wrong, x, raise_exception=False).failed


@pytest.mark.parametrize("factor", [1.01, -1.0, 1e6])
def test_infinite_change_on_one_side_settles_nothing(factor):
    x = np.array([1.0, 0.5, 0.2])

    def forward(x):
        return np.where(x <= 1, np.exp(x), np.inf)

    def backward(dy, x, *, first=1.0):
        return dy * np.exp(x) * np.array([first, 1.0, 1.0])

    assert gradcheck(forward, backward, x)
    assert gradcheck(forward, partial(backward, first=factor), x, raise_exception=False).failed


@pytest.mark.parametrize("seed", [0, 1000])  # at the second, a wave once was a kink
def test_functions_that_vary_on_far_less_than_the_input(seed):
    rng = np.random.default_rng(seed)
    near_a_pole, far_out = np.append(1 + 0.1 * rng.normal(size=2), 0.0), 1e8 * rng.normal(size=6)

    def reciprocal_backward(dy, x, *, power=2.0):
        return -dy / (x + 1e-8) ** power

    def sine_backward(dy, x, *, kept=1.0):
        return dy * np.cos(x) * np.where(np.arange(x.size) == 0, kept, 1.0)

    for forward, backward, wrong, x in (
        (lambda x: 1 / (x + 1e-8), reciprocal_backward, partial(reciprocal_backward, power=1.9), near_a_pole),
        (lambda x: np.sin(x).sum(), sine_backward, partial(sine_backward, kept=0.0), far_out),
    ):
        assert gradcheck(forward, backward, x, rng=seed)
        assert gradcheck(forward, wrong, x, rng=seed, raise_exception=False).failed


def test_claim_that_equals_the_first_difference_by_chance_is_not_told_by_it():
    step = usual_step(2.0**-52)

    def forward(x):
        return np.sin(1000 * x)

    def backward(dy, x):
        return dy * (forward(x + step) - forward(x - step)) / (2 * step)

    x = np.array([1.0])
    assert gradcheck(forward, lambda dy, x: dy * 1000 * np.cos(1000 * x), x)
    report = gradcheck(forward, backward, x, raise_exception=False)
    off = (1000 * step) ** 2 / 6
    assert report.failed or report.inputs[0].resolution > off


def test_digits_that_forward_rounds_off_as_well_are_no_defect():
    def backward(dy, x):
        return dy * np.exp(-x) * np.exp(x) - dy * np.exp(x) * np.exp(-x)

    for seed in range(16, 22):
        x = np.random.default_rng(seed).normal(size=6).astype(np.float32)
        report = gradcheck(lambda x: np.exp(x) * np.exp(-x), backward, x, raise_exception=False)
        assert not report.failed
