"""Bounds hold whatever they are, and wherever the point lies between them."""

import numpy as np
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from gradlab import gradcheck

SIZES = st.sampled_from([0.0, 1e-300, 1e-12, 1e-6, 1e-3, 0.3, 1.0, 50.0, np.inf])  # of the room on a side
PLACES = st.sampled_from([0.0, 1e-8, 0.4, -1.0, 2.5, -1e3])


@st.composite
def bounded_points(draw):
    """Draw a point, at corners, edges or inside of its bounds, of which at least one entry has room."""
    n, dtype = draw(st.integers(1, 5)), draw(st.sampled_from([np.float64, np.float32]))
    x = np.array([draw(PLACES) for _ in range(n)], dtype=dtype)
    low = np.array([value - draw(SIZES) for value in x.astype(float)])
    high = np.array([value + draw(SIZES) for value in x.astype(float)])
    if (low == high).all():
        high[0] = x[0] + 1.0
    return x, low, high


class Recorded:
    """A smooth rule, in either form, that notes whether it was called outside of its bounds."""

    def __init__(self, seed, low, high, size, *, cached, factor=1.0):
        rng = np.random.default_rng(seed)
        self.w, self.low, self.high = rng.normal(size=(3, size)), low, high
        self.cached, self.factor, self.outside, self.calls = cached, factor, [], 0

    def __call__(self, x):
        self.calls += 1
        self.see(x)
        y = np.sin(self.w @ x) + 0.5 * x.sum()
        return (y, x) if self.cached else y

    def see(self, x):
        if not ((x >= self.low) & (x <= self.high)).all():
            self.outside.append(x)

    def backward(self, dy, x):
        self.see(x)
        return (self.factor * (self.w.T @ (dy * np.cos(self.w @ x)) + 0.5 * dy.sum())).astype(x.dtype)


def check(rule, x, **options):
    with np.errstate(all="ignore"):
        return gradcheck(
            rule,
            rule.backward,
            x,
            cached=rule.cached,
            bounds=(rule.low, rule.high),
            raise_exception=False,
            **options,
        )


@given(
    point=bounded_points(),
    seed=st.integers(0, 2**32 - 1),
    cached=st.booleans(),
    factor=st.sampled_from([1.0, -1.0, 1.1]),
    probes=st.sampled_from([None, "directions"]),
    max_calls=st.sampled_from([None, 5, 20, 60]),
)
@examples(20)
def test_bounds_hold_and_no_right_rule_fails(point, seed, cached, factor, probes, max_calls):
    x, low, high = point
    given_arrays = [array.copy() for array in point]
    # In a narrow dtype, a point at a bound may lie outside by the rounding of the bound.
    rule = Recorded(seed, np.minimum(low, x), np.maximum(high, x), x.size, cached=cached, factor=factor)
    report = check(rule, x, probes=probes, max_calls=max_calls)
    assert rule.outside == []
    assert report.forward_calls == rule.calls
    assert max_calls is None or rule.calls <= max_calls
    assert not report.failed if factor == 1 else not report.passed, str(report)
    for before, after in zip(given_arrays, point, strict=True):
        np.testing.assert_array_equal(before, after)
    assert check(rule, x, probes=probes, max_calls=max_calls) == report


@given(
    seed=st.integers(0, 2**32 - 1),
    at=st.sampled_from(["low", "high", "corner"]),
    log_room=st.integers(-12, 0),
)
@examples(8)
def test_points_at_or_near_a_bound_are_decided(seed, at, log_room):
    rng = np.random.default_rng(seed)
    x = rng.uniform(1, 2, 4)
    near = x - 10.0**log_room * rng.choice([0, 1], 4)
    low, high = {
        "low": (near, np.full(4, np.inf)),
        "high": (np.full(4, -np.inf), 2 * x - near),
        "corner": (x, x + 3),
    }[at]
    right, wrong = (Recorded(seed, low, high, 4, cached=False, factor=factor) for factor in (1, 1 + 1e-4))
    assert check(right, x).passed
    assert check(wrong, x).failed
