"""What becomes of each row: right, too small, wrong or open, and at which cost."""

import numpy as np
import pytest
from judging import judged, states

from gradlab import gradcheck
from gradlab.point.resources import Resources


def tanh_backward(dy, x):
    return dy * (1 - np.tanh(x) ** 2)


X = np.array([0.5, -1.0, 1.5])


class TestStates:
    def test_every_row_has_exactly_one(self):
        x = np.array([0.3, -0.7, 25.0])
        _, rows = judged(np.tanh, lambda dy, x: dy / np.cosh(x) ** 2 * np.array([1, 1.01, 1]), x)
        assert states(rows) == ["right", "wrong", "small"]

    def test_right_rule_is_told_by_one_difference_each(self):
        criteria, rows = judged(np.tanh, tanh_backward, X)
        assert states(rows) == ["right"] * 3
        assert criteria.problem.forward_calls == 1 + 2 * 3

    def test_what_cannot_be_seen_is_open(self):
        _, rows = judged(lambda x: 1e20 + x.sum(), lambda dy, x: dy * np.ones(3), X)
        assert states(rows) == ["open"] * 3

    def test_claim_of_zero_that_cannot_be_seen_to_be_wrong_is_no_agreement(self):
        _, rows = judged(lambda x: 1e20 + x.sum(), lambda dy, x: 0 * x, X)
        assert not rows.right.any()

    @pytest.mark.parametrize("defect", [1e-3, 1e-6])
    def test_defect_of_any_size_above_rtol_is_wrong(self, defect):
        _, rows = judged(np.tanh, lambda dy, x: tanh_backward(dy, x) * (1 + defect), X)
        assert states(rows) == ["wrong"] * 3

    def test_not_finite_on_one_side_is_told_by_the_other(self):
        def forward(x):
            return np.where(x <= 1, np.exp(x), np.inf)

        x = np.array([1.0, 0.5])
        _, rows = judged(forward, lambda dy, x: dy * np.exp(x), x)
        assert states(rows) == ["right", "right"]
        _, rows = judged(forward, lambda dy, x: 1.01 * dy * np.exp(x), x)
        assert states(rows) == ["wrong", "wrong"]


class TestTolerance:
    @pytest.mark.parametrize(("rtol", "state"), [(1e-2, "right"), (1e-4, "wrong")])
    def test_rtol_is_relative_to_the_entry(self, rtol, state):
        _, rows = judged(np.tanh, lambda dy, x: 1.001 * tanh_backward(dy, x), X, rtol=rtol)
        assert states(rows) == [state] * 3

    @pytest.mark.parametrize(("atol", "wrong"), [(0.0, 3), (0.9e-3, 3), (1.1e-3, 0)])
    def test_atol_is_a_distance_from_the_derivative_itself(self, atol, wrong):
        _, rows = judged(
            lambda x: x**2, lambda dy, x: dy * (2 * x + 1e-3), 50 * X, atol=atol, upstream=np.ones(3)
        )
        assert rows.wrong.sum() == wrong


class TestInfluence:
    def test_it_is_the_largest_of_what_was_agreed_on(self):
        c = np.array([1.0, 5.0, 2.0])
        criteria, _ = judged(lambda x: c * x, lambda dy, x: c * dy, np.ones(3), upstream=np.ones(3))
        assert criteria.largest_influence == pytest.approx(5)

    def test_claim_alone_has_none(self):
        criteria, _ = judged(lambda x: x, lambda dy, x: 1e9 * dy, np.ones(3), upstream=np.ones(3))
        assert criteria.largest_influence < 10


class TestConfirmation:
    def test_wrong_takes_a_second_ladder(self):
        right, _ = judged(np.tanh, tanh_backward, X)
        wrong, _ = judged(np.tanh, lambda dy, x: 1.01 * tanh_backward(dy, x), X)
        assert wrong.problem.forward_calls > right.problem.forward_calls + 4 * X.size

    def test_only_the_rows_that_disagree_take_it(self):
        calls = []
        for wrong in ([1.01, 1, 1], [1.01, 1.01, 1.01]):
            criteria, _ = judged(np.tanh, lambda dy, x, w=wrong: tanh_backward(dy, x) * w, X)
            calls.append(criteria.problem.forward_calls)
        assert calls[0] < 0.75 * calls[1]

    def test_in_a_narrow_dtype_what_is_right_in_float64_is_imprecise(self):
        def backward(dy, x):
            big = np.asarray(1e5, dtype=x.dtype)
            return dy * ((big + np.cos(x)) - big)

        _, rows = judged(np.sin, backward, X.astype(np.float32), rtol=3e-4)
        assert rows.imprecise[rows.wrong].all()
        assert rows.wrong.any()


@pytest.mark.parametrize("periods", [2**18, 2**20, 2**25])
def test_steps_that_are_whole_periods_do_not_hide_what_is_shorter(periods):
    def forward(x):
        return np.sin(2 * np.pi * x) - 1.5 * x  # every long step shows the straight line alone

    def state(factor):
        def backward(dy, x):
            return factor * dy * (2 * np.pi * np.cos(2 * np.pi * x) - 1.5)

        return states(judged(forward, backward, np.array([float(periods)]))[1])[0]

    assert [state(factor) for factor in (1.0, 0.0, 1.01, 2.0)] == ["right", "wrong", "wrong", "wrong"]


@pytest.mark.parametrize("seed", [28, 41, 73, 78])
def test_look_that_is_too_wide_to_tell_confirms_nothing(seed):
    """From afar ``sin`` is not seen, and from close by what the offset rounds off looks like a kink."""

    def forward(x):
        v = x + 192931658.6
        return v + np.sqrt(1 + np.exp(2 * np.sin(v)))

    def backward(dy, x):
        v = x + 192931658.6
        e = np.exp(2 * np.sin(v))
        return dy * (1 + e * np.cos(v) / np.sqrt(1 + e))

    x = 4e5 * np.random.default_rng(seed).normal(size=8)
    assert gradcheck(forward, backward, x, raise_exception=False).verdict != "fail"


class TestBudget:
    @pytest.mark.parametrize("max_calls", range(1, 40))
    def test_it_is_kept_and_a_right_row_is_never_wrong(self, max_calls):
        def forward(x):
            return np.round(np.cos(x).sum(), 9)

        limited = Resources(max_calls=max_calls)
        criteria, rows = judged(forward, lambda dy, x: -dy * np.sin(x), X, resources=limited)
        assert criteria.problem.forward_calls <= max_calls
        assert not rows.wrong.any()


def test_each_part_is_looked_at_from_as_close_as_it_takes():
    def forward(x):
        return np.stack([1.7 * x, np.sin(x)])

    def backward(dy, x):  # rounded where it is large: that part is known from farther away
        return (dy[0] * 1.7 + dy[1] * np.cos(x)).astype(np.float32)

    x = np.array([1.0112396e8, 1.0521597e8], np.float32)
    dy = np.array([[1.3, -0.7], [1.1, 1.2]], np.float32)
    report = gradcheck(forward, backward, x, grad_output=dy, raise_exception=False)
    assert not report.failed
