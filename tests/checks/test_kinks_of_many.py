"""Kinks of large inputs, whose entries are compared all together: slopes beyond both sides are seen."""

import numpy as np
import pytest

from gradlab import gradcheck

CLIPPED = np.clip(2 * np.random.default_rng(0).normal(size=1500), -1, 1)  # 928 entries are at a bound
FLOORED = np.maximum(np.random.default_rng(0).normal(size=1500), 0)  # 770 are zero


@pytest.mark.parametrize(
    ("forward", "inner", "x", "right"),
    [
        (lambda x: np.clip(x, -1, 1), lambda x: np.abs(x) < 1, CLIPPED, [0.0, 1.0]),
        (lambda x: np.maximum(x, 0), lambda x: x > 0, FLOORED, [0.0, 1.0]),
        (lambda x: np.sum(np.maximum(x, 2)), lambda x: x > 2, FLOORED + 2, [0.0]),
        (lambda x: np.sum(np.maximum(x, 0)), lambda x: x > 0, FLOORED, [0.0]),
        (lambda x: np.sum(np.clip(x, -1, 1)), lambda x: np.abs(x) < 1, CLIPPED, [0.0, 0.5]),
    ],
    ids=["clip", "relu", "sum of maxima", "sum of relu", "sum of clipped"],
)
def test_slope_at_kinks_of_many_entries_has_to_be_between_those_of_both_sides(forward, inner, x, right):
    def verdict(slope):
        backward = lambda dy, x: dy * np.where(inner(x), 1.0, slope)  # noqa: E731
        return gradcheck(forward, backward, x, raise_exception=False).verdict

    assert {verdict(slope) for slope in right} == {"pass"}
    assert {verdict(slope) for slope in (-30.0, -1.0, 3.0)} == {"fail"}


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_sum_that_bends_up_at_some_entries_and_down_at_others_has_any_slope_between(slope):
    backward = lambda dl, x: dl * np.where(np.abs(x) < 1, 1.0, slope)  # noqa: E731
    report = gradcheck(lambda x: np.sum(np.clip(x, -1, 1)), backward, CLIPPED, raise_exception=False)
    assert not report.failed


def test_one_slope_at_a_kink_among_many_entries_is_not_lost():
    x = np.random.default_rng(0).normal(size=1500)
    x[7] = 1.0

    def verdict(slope):
        backward = lambda dy, x: dy * np.where(x == 1, slope, np.abs(x) < 1)  # noqa: E731
        return gradcheck(lambda x: np.clip(x, -1, 1), backward, x, raise_exception=False).verdict

    assert [verdict(slope) for slope in (0.0, 1.0, -30.0, 2.0)] == ["pass", "pass", "fail", "fail"]


@pytest.mark.parametrize("seed", range(3))
def test_sorting_many_equal_numbers_has_any_order_of_them(seed):
    x = np.round(2 * np.random.default_rng(seed).normal(size=1500)) / 2

    def backward(dy, x, factor):
        dx = np.empty_like(x)
        dx[np.argsort(x, kind="stable")] = factor * dy
        return dx

    verdicts = [
        gradcheck(np.sort, lambda dy, x, c=c: backward(dy, x, c), x, raise_exception=False).verdict
        for c in (1, 5, -5)
    ]
    assert verdicts[0] != "fail"
    assert verdicts[1:] == ["fail", "fail"]


@pytest.mark.parametrize("k", [2, 5, 18, 24])
def test_small_error_of_one_entry_beside_many_at_kinks_is_caught(k):
    def backward(dy, x):
        dx = dy * (x > 0)
        dx[k] *= 0.995
        return dx

    assert gradcheck(lambda x: np.maximum(x, 0), backward, FLOORED, raise_exception=False).failed


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("size", [1100, 2500])
def test_what_bends_up_at_some_entries_as_much_as_down_at_others_is_at_a_kink(size, slope):
    """Along one line the slopes of both sides may be equal by chance; those around it are not."""
    for seed in range(6):
        rng = np.random.default_rng(10 * seed + size)
        x = np.round(2 * rng.standard_normal(size)).astype(np.float32) / 2  # a fifth of them zero
        w = (rng.standard_normal((20, size)) / np.sqrt(size)).astype(np.float32)[0]

        def backward(dl, x, factor=1.0, w=w):
            return dl * w * np.where(x > 0, factor, np.where(x == 0, slope, 0.0)).astype(x.dtype)

        forward = lambda x, w=w: np.sum(np.maximum(x, 0) * w)  # noqa: E731
        assert not gradcheck(forward, backward, x, raise_exception=False).failed
        wrong = lambda dl, x, b=backward: b(dl, x, factor=1.01)  # noqa: E731
        assert gradcheck(forward, wrong, x, raise_exception=False).failed


def test_entries_whose_outputs_are_left_out_are_not_said_to_be_too_small():
    backward = lambda dy, x: dy * (np.abs(x) <= 1)  # noqa: E731
    report = gradcheck(lambda x: np.clip(x, -1, 1), backward, CLIPPED)
    assert any("928 of 1500 outputs, at a kink, were left out" in note for note in report.notes)
    assert report.inputs[0].too_small == 0


@pytest.mark.parametrize("seed", range(4))
def test_slope_beyond_both_sides_at_thousands_of_kinks_is_wrong(seed):
    x = np.maximum(np.random.default_rng(seed).standard_normal(3000), 0)

    def verdict(slope):
        backward = lambda dy, x: dy * np.where(x > 0, 1.0, slope)  # noqa: E731
        return gradcheck(lambda x: np.maximum(x, 0), backward, x, raise_exception=False).verdict

    assert [verdict(slope) for slope in (0.0, 1.0, -1.0, 3.0)] == ["pass", "pass", "fail", "fail"]


@pytest.mark.parametrize("weight", [0.03, 3.0])
@pytest.mark.parametrize("slope", [0.0, 1.0], ids=["between", "one side"])
def test_penalized_differences_are_told_where_all_entries_are_at_a_kink(weight, slope):
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=300) * (rng.random(300) < 0.7), 10)  # with a background of zeros
    target = x + 0.1 * rng.normal(size=x.size)

    def forward(x):
        return weight * np.abs(np.diff(x)).sum() + np.square(x - target).sum() / 2

    def backward(dl, x, *, factor=1.0):
        steps = np.diff(x)
        sign = np.where(steps == 0, slope, np.sign(steps))
        return dl * (factor * weight * -np.diff(sign, prepend=0.0, append=0.0) + x - target)

    def verdict(factor):
        rule = lambda dl, x: backward(dl, x, factor=factor)  # noqa: E731
        return gradcheck(forward, rule, x, raise_exception=False).verdict

    assert [verdict(factor) for factor in (1.0, -1.0, 0.0, 2.0)] == ["pass", "fail", "fail", "fail"]


@pytest.mark.parametrize("size", [2, 5])
def test_gradient_that_is_given_to_all_of_several_equal_maxima_is_wrong(size):
    x = np.repeat(np.random.default_rng(0).integers(0, 9, size=1500) / 4, size).reshape(1500, size)

    def shares(x, each):
        ties = x == x.max(axis=1, keepdims=True)
        return ties if each else ties / ties.sum(axis=1, keepdims=True)

    def verdict(each):
        backward = lambda dl, x: dl * shares(x, each)  # noqa: E731
        return gradcheck(lambda x: x.max(axis=1).sum(), backward, x, raise_exception=False).verdict

    assert (verdict(each=False), verdict(each=True)) == ("pass", "fail")
