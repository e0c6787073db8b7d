"""Stairs: what is rounded on the way to an output hides none of its slope, and lets none pass."""

import numpy as np
import pytest
from judging import judged, states

from gradlab import gradcheck
from gradlab.checks.leaps import leap_beside
from gradlab.numerics.step_sizes import coarse_steps, fine_steps
from gradlab.numerics.table import Table


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


# Each returns what its rounding leaves of a small number: all, a few stairs, or nothing at all.
ROUNDED_ON_THE_WAY = {
    "log(1 + x^2)": (rounded_on_the_way, lambda x: 2 * x / (1 + x * x)),
    "log(cosh(x))": (lambda x: np.log(np.cosh(x)), np.tanh),
    "sqrt(1 + x^2) - 1": (lambda x: np.sqrt(1 + x * x) - 1, lambda x: x / np.sqrt(1 + x * x)),
    "1 - cos(x)": (lambda x: 1 - np.cos(x), np.sin),
    "(1 + x)^3 - 1": (lambda x: (1 + x) ** 3 - 1, lambda x: 3 * (1 + x) ** 2),
    "sigmoid(x) - 1/2": (lambda x: 1 / (1 + np.exp(-x)) - 0.5, lambda x: 0.25 / np.cosh(x / 2) ** 2),
}


@pytest.mark.parametrize("x", [3e-7, -4.6578616e-8, 1.5e-8, 1.24e-9, -1.117857e-11, 8.162293e-11])
@pytest.mark.parametrize("name", ROUNDED_ON_THE_WAY)
def test_what_rounding_on_the_way_hides_is_neither_wrong_nor_zero(name, x):
    forward, slope = ROUNDED_ON_THE_WAY[name]

    def verdict(factor):
        def backward(dy, x):
            return dy * factor * slope(x)

        return str(gradcheck(forward, backward, np.array([x]), raise_exception=False).verdict)

    assert verdict(1.0) != "fail"
    assert verdict(0.0) != "pass"


@pytest.mark.parametrize("x", [3.22885198e-09, -2.75873764e-12])
def test_stair_beside_a_kink_is_not_called_wrong(x):
    def forward(x):
        return np.maximum(rounded_on_the_way(x), np.minimum(x, -x))

    report = gradcheck(forward, lambda dy, x: dy * 2 * x, np.array([x]), raise_exception=False)
    assert not report.failed


def test_what_never_moves_may_be_on_a_stair_of_its_neighbours():
    def forward(x):  # whichever of the first two moves, the other is zero
        y = rounded_on_the_way(x)
        return np.minimum(y[0], y[1]) + y[2]

    def backward(dy, x):
        return dy * 2 * x * np.array([1, 0, 1])

    x = np.array([1e-9, 2e-9, 4e-8])
    assert not gradcheck(forward, backward, x, raise_exception=False).failed


@pytest.mark.parametrize(
    ("forward", "x"),
    [
        (lambda x: np.maximum(x, 0.0), -3e-9),  # it leaves zero continuously
        (lambda x: 1.0 * (x > 0), -3.0),  # by one leap, far higher than any rounding
        (lambda x: np.round(x, 3), 0.10023),
        (lambda x: 0 * x, 1.0),
    ],
    ids=["dead relu", "threshold", "three decimals", "zero"],
)
def test_what_is_constant_close_to_the_point_has_the_slope_zero(forward, x):
    def verdict(slope):
        return gradcheck(
            forward, lambda dy, x: slope * dy * np.ones_like(x), np.array([x]), raise_exception=False
        ).verdict

    assert [str(verdict(slope)) for slope in (0.0, 1e-3, 1.0)] == ["pass", "fail", "fail"]


def test_neighbours_of_stairs_are_not_called_wrong():
    def forward(x):
        return rounded_on_the_way(np.maximum(x, 0.0))

    def backward(dy, x):
        return dy * 2 * np.maximum(x, 0.0)

    x = np.array([-1.0, 1.5e-6, -2e-6])  # -1 moves nothing, so that it sets no scale
    assert not gradcheck(forward, backward, x, raise_exception=False).failed


@pytest.mark.parametrize("x", [-7.503888976201423e-08, 3.111357797702733e-07, -2.204716571581345e-07])
def test_stairs_beside_curvature_are_not_called_wrong(x):
    def forward(x):
        return x + rounded_on_the_way(x) + 3e6 * x * x

    def state(defect):
        def backward(dy, x):
            return dy * (1 + defect) * (1 + 2 * x / (1 + x * x) + 6e6 * x)

        return first(forward, backward, [x])

    assert [state(defect) for defect in (0.0, 1e-4)] == ["right", "wrong"]


def test_claim_of_as_much_as_rounding_is_not_right_where_forward_shows_nothing():
    x = np.array([5.9169529e-06, 3.8546896e-06], np.float32)

    def forward(x):  # one of float32 as far as both
        return np.log(np.cosh(x.astype(np.float32)))

    def verdict(first):
        factors = np.array([first, 1], np.float32)
        report = gradcheck(forward, lambda dy, x: factors * dy * np.tanh(x), x, raise_exception=False)
        return str(report.verdict)

    assert [verdict(factor) for factor in (1, 0, 2)] == ["inconclusive"] * 3


def test_end_of_a_stair_is_no_kink():
    def forward(x):
        return (1e3 * (1 - np.cos(x.astype(np.float32)))).astype(np.float32)

    def backward(dy, x):
        return (dy * 1e3 * np.sin(x) * np.array([0.5, 1])).astype(np.float32)

    x = np.array([-0.00413338, 0.00402494], np.float32)
    report = gradcheck(forward, backward, x, raise_exception=False)
    assert not report.passed
    assert not any("kink" in note for note in report.notes)


def test_rounding_by_chance_is_no_leap_beside_what_bends():
    size, bend, slope = 1.0137903983354566, 5.751768734437537e-05, 1.9182872173235963e-06

    def forward(t):
        return np.atleast_1d(size + slope * t + bend * (1 - np.cos(t)))

    def evaluate(rows, step):
        yield rows, (forward(step) - forward(0.0))[np.newaxis], (forward(-step) - forward(0.0))[np.newaxis]

    eps = 2.0**-52
    table = Table(1, evaluate, None, forward(0.0), eps)
    for step in [*coarse_steps(eps), *fine_steps(eps)[:3]]:
        table.take(np.array([0]), step)
    assert leap_beside(table, 0, 0, (slope, 1e-8 * slope), 5e-7 * slope) == 0
