"""Stairs: what is rounded on the way to an output hides none of its slope, and lets none pass."""

import numpy as np
import pytest
from judging import judged, states


def first(forward, backward, x, **options):
    """Return what becomes of the first entry."""
    with np.errstate(all="ignore"):
        _, rows = judged(forward, backward, np.array(x), **options)
    return states(rows)[0]


def rounded_on_the_way(x):
    return np.log(1 + x * x)  # 1 + x² is a multiple of 2⁻⁵², far more than the rounding of its logarithm


@pytest.mark.parametrize("x", [-8.37083242884024e-07, 9.521783642566185e-07, 1.401416711034468e-06])
def test_slope_of_stairs_is_told_as_well_as_their_height_allows(x):
    def state(kept):
        def backward(dy, x):
            return dy * 2 * x / (1 + x * x) * np.array([kept, 1.0])

        return first(rounded_on_the_way, backward, [x, 1.0])

    assert [state(kept) for kept in (1.0, 0.8, 2.0)] == ["right", "wrong", "wrong"]


@pytest.mark.parametrize("x", [[1.454e-07, -5.146e-06], [3.252e-07, -6.615e-06]])
def test_entry_on_a_stair_is_not_called_wrong(x):
    def forward(x):
        return rounded_on_the_way(np.minimum(x, np.arctan(250_000 * x)))

    def backward(dy, x):
        v = np.minimum(x, np.arctan(250_000 * x))
        slope = np.where(x > 0, 1.0, 250_000 / (1 + (250_000 * x) ** 2))
        return dy * 2 * v / (1 + v * v) * slope

    assert first(forward, backward, x) in ("right", "small")


def test_stairs_of_some_of_the_terms_are_wider_than_a_ladder_is_high():
    def forward(x):
        return x + 5.0 * rounded_on_the_way(x)

    def state(defect):
        return first(
            forward, lambda dy, x: dy * (1 + defect + 10 * x / (1 + x * x)), [1.2254865869647668e-08]
        )

    assert [state(defect) for defect in (0.0, 1e-6, -1e-6)] == ["right", "wrong", "wrong"]


@pytest.mark.parametrize("height", [1e-3, 1.0, 1e3])
def test_slope_beside_one_leap_is_that_at_the_point(height):
    def forward(x):
        return np.where(x > 1 + 1e-5, x + height, x)

    assert [first(forward, lambda dy, x, c=c: c * dy, [1.0]) for c in (1, 2, 0)] == [
        "right",
        "wrong",
        "wrong",
    ]


def test_few_high_stairs_are_what_forward_is_meant_to_be():
    assert [first(np.round, lambda dy, x, c=c: c * dy, [10.3]) for c in (0, 1)] == ["small", "wrong"]


def test_one_leap_far_away_excuses_nothing():
    def state(defect):
        return first(lambda x: 2 * x + 1e-5 * (x > 3), lambda dy, x: 2 * dy * (1 + defect), [1.0])

    assert [state(defect) for defect in (0.0, 4.5e-7)] == ["right", "wrong"]
