"""The table of differences, and the ladder that goes down it."""

import numpy as np
import pytest

from gradlab.numerics.ladder import Ladder, differentiate
from gradlab.numerics.step_sizes import coarse_steps, fine_steps, usual_step
from gradlab.numerics.table import Table

EPS = float(np.finfo(np.float64).eps)


def table_of(function, x, d, *, upstreams=None, keep=False, noise=None):
    """Return the table of a function of vectors along some directions, and what it was asked for."""
    output, asked = function(x), []

    def evaluate(rows, step):
        asked.append((rows.tolist(), step))
        for row in rows:
            sides = ((function(x + t * d[row]) - output)[np.newaxis] for t in (step, -step))
            yield np.array([row]), *sides

    noise = None if noise is None else np.full(output.shape, noise)
    return Table(len(d), evaluate, upstreams, output, EPS, noise=noise, keep=keep), asked


def derivative(function, x, *, scale=1.0, noise=None):
    """Return the derivative of a function of one number, its error bar and its swing."""
    table, _ = table_of(function, np.array([x]), np.array([[scale]]), noise=noise)
    with np.errstate(invalid="ignore", divide="ignore"):
        return [float(part[0, 0]) for part in differentiate(table, rtol=1e-9)]


class TestSteps:
    @pytest.mark.parametrize("eps", [EPS, 2.0**-23, 2.0**-10])
    def test_ladder_holds_the_usual_step_once(self, eps):
        steps = [*coarse_steps(eps), *fine_steps(eps)]
        assert steps.count(usual_step(eps)) == 1
        assert (np.diff(np.log2(steps)) == -2).all()

    def test_no_step_is_below_the_rounding_of_the_inputs(self):
        assert all(step >= 4 * 2.0**-10 for step in fine_steps(2.0**-10))


class TestEvaluation:
    D = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -2.0]])
    X = np.array([0.5, -1.0])

    def test_rows_are_contracted_with_every_upstream_gradient(self):
        a = np.array([[1.0, 2.0], [3.0, -4.0], [0.5, 0.25]])
        u = np.array([[1.0, -1.0, 2.0], [0.0, 1.0, 0.0]])
        table, _ = table_of(lambda x: a @ x, self.X, self.D, upstreams=u)
        table.take(np.arange(3), 1 / 8)
        np.testing.assert_allclose(table.central(1 / 8), self.D @ a.T @ u.T, rtol=1e-14)

    def test_nothing_is_evaluated_twice(self):
        table, asked = table_of(np.sin, self.X, self.D)
        for rows in ([0, 2], [0, 1, 2], [0, 1, 2]):
            table.take(np.array(rows), 1 / 8)
        assert asked == [([0, 2], 1 / 8), ([1], 1 / 8)]

    def test_rows_that_were_not_evaluated_are_not_seen(self):
        table, _ = table_of(np.sin, self.X, self.D)
        table.take(np.array([1]), 1 / 8)
        assert table.seen.tolist() == [False, True, False]

    def test_jacobian_is_kept_of_the_usual_step_and_extrapolated_with_a_longer_one(self):
        table, _ = table_of(np.tanh, self.X, self.D, upstreams=np.ones((1, 2)), keep=True)
        exact = self.D / np.cosh(self.X) ** 2
        table.take(np.arange(3), 1 / 8)
        assert np.isnan(table.jacobian).all()
        table.take(np.arange(3), usual_step(EPS))
        np.testing.assert_allclose(table.jacobian, exact, atol=1e-7)
        table.take(np.arange(3), 4 * usual_step(EPS))
        np.testing.assert_allclose(table.jacobian, exact, atol=1e-10)

    def test_row_moves_where_an_output_does_or_has_no_value(self):
        d = np.eye(3)
        table, _ = table_of(lambda x: np.array([x[0], np.sqrt(x[1])]), np.array([1.0, 0.0, 1.0]), d)
        with np.errstate(invalid="ignore"):
            table.take(np.arange(3), 1 / 8)
        assert table.moved.tolist() == [True, True, False]


class TestRounding:
    def test_it_grows_as_the_step_shrinks(self):
        table, _ = table_of(np.cos, np.zeros(1), np.ones((1, 1)))
        assert table.rounding(1 / 64)[0, 0] == pytest.approx(4 * table.rounding(1 / 16)[0, 0])

    def test_output_that_stays_over_a_long_step_adds_less_than_its_rounding(self):
        bars = []
        for note_still in (False, True):
            table, _ = table_of(
                lambda x: np.array([1e10, x[0]]), np.ones(1), np.ones((1, 1)), upstreams=np.ones((1, 2))
            )
            table.take(np.array([0]), 1 / 8, note_still=note_still)
            bars.append(float(table.rounding(usual_step(EPS))[0, 0]))
        assert bars[1] < 1e-2 * bars[0]

    def test_output_without_a_value_on_one_side_is_not_seen_to_stay(self):
        table, _ = table_of(lambda x: np.where(x <= 1, 1e10, np.nan), np.ones(1), np.ones((1, 1)))
        before = table.rounding(usual_step(EPS))
        table.take(np.array([0]), 1 / 8, note_still=True)
        assert table.rounding(usual_step(EPS)) == before

    def test_movement_is_what_is_certainly_no_rounding(self):
        table, _ = table_of(lambda x: 1e16 + x, np.ones(1), np.ones((1, 1)))
        for step in (1 / 8, 2.0**20):
            table.take(np.array([0]), step)
        assert table.movement(1 / 8)[0, 0] == 0
        assert table.movement(2.0**20)[0, 0] == pytest.approx(1, rel=1e-3)


class TestDerivative:
    @pytest.mark.parametrize(
        ("function", "slope", "x"),
        [
            (np.sin, np.cos, 1.0),
            (np.exp, np.exp, 3.0),
            (np.tanh, lambda x: 1 / np.cosh(x) ** 2, 0.3),
            (lambda x: x**5, lambda x: 5 * x**4, -1.5),
            (lambda x: 1 / x, lambda x: -1 / x**2, 0.7),
        ],
    )
    def test_error_bar_covers_the_truth_and_is_narrow(self, function, slope, x):
        value, bar, swing = derivative(function, x, scale=abs(x))
        truth = slope(x) * abs(x)
        assert abs(value - truth) <= bar <= 1e-8 * abs(truth)
        assert swing == 0

    def test_wrong_derivative_lies_outside_the_error_bar(self):
        value, bar, _ = derivative(np.sin, 1.0)
        assert abs(value - np.cos(1.0) * (1 + 1e-8)) > bar

    def test_steps_outside_the_domain_are_dropped(self):
        value, bar, _ = derivative(np.log, 0.01)
        assert abs(value - 100) <= bar < 1e-3

    def test_one_side_is_enough_where_the_other_has_no_values(self):
        value, bar, _ = derivative(lambda x: np.where(x >= 1, np.exp(x), np.nan), 1.0)
        assert abs(value - np.e) <= bar < 1e-5

    def test_nothing_finite_leaves_an_infinite_error_bar(self):
        _, bar, _ = derivative(lambda x: np.where(x == 1, 1.0, np.nan), 1.0)
        assert np.isinf(bar)

    def test_noise_widens_the_error_bar(self):
        quiet, noisy = (derivative(np.sin, 1.0, noise=noise)[1] for noise in (1e-16, 1e-6))
        assert noisy > 1e3 * quiet

    @pytest.mark.parametrize("height", [1.0, 0.1, 1e-2])
    def test_kink_at_the_point_has_the_middle_slope_and_a_swing(self, height):
        value, bar, swing = derivative(lambda x: np.sin(x) + height * np.abs(x - 1), 1.0)
        assert abs(value - np.cos(1)) <= bar
        assert height <= swing <= 1.1 * height

    def test_kink_beside_the_point_has_none(self):
        value, bar, swing = derivative(lambda x: np.abs(x - 1.001), 1.0)
        assert abs(value + 1) <= bar
        assert swing == 0


class TestLadder:
    def test_it_is_exhausted_where_shorter_steps_only_add_noise(self):
        table, asked = table_of(np.sin, np.ones(1), np.ones((1, 1)))
        ladder = Ladder(table, np.array([0]))
        for step in [*coarse_steps(EPS), *fine_steps(EPS)]:
            if not ladder.exhausted[0]:
                ladder.add(step)
        assert ladder.exhausted[0]
        assert asked[-1][1] > fine_steps(EPS)[-1]

    def test_only_rows_that_are_still_going_are_evaluated(self):
        table, asked = table_of(np.sin, np.ones(2), np.eye(2))
        ladder = Ladder(table, np.arange(2))
        ladder.add(1 / 8)
        ladder.add(1 / 32, np.array([False, True]))
        assert asked == [([0, 1], 1 / 8), ([1], 1 / 32)]

    @pytest.mark.parametrize(("function", "grows"), [(np.sqrt, True), (np.sin, False), (np.abs, False)])
    def test_slope_without_end_is_told(self, function, grows):
        table, _ = table_of(lambda x: np.sign(x) * function(np.abs(x)), np.zeros(1), np.ones((1, 1)))
        ladder = Ladder(table, np.array([0]))
        for step in coarse_steps(EPS):
            ladder.add(step)
        assert ladder.grows[0, 0] == grows
