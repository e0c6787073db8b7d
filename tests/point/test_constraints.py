"""Bounds and tangents as they are given: forms, mistakes, and what is called where."""

import numpy as np
import pytest

from gradlab import UsageError, gradcheck, tangents
from gradlab.checks.directions import along_projections
from gradlab.point.bounds import Box
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised

X = np.array([0.0, 1.0, 2.0])


def square(x):
    return x**2


def d_square(dy, x):
    return 2 * dy * x


def product(x, w):
    return x * w["s"]


def d_product(dy, x, w):
    return dy * w["s"], {"s": dy * x}


class TestForms:
    @pytest.mark.parametrize(
        "bounds",
        [
            (0, 2),
            [0, None],
            (None, None),
            {"x": (0, 2)},
            (X, X + 1),
            np.array([0, 2]),
            (-np.inf, np.inf),
            {},
            None,
        ],
    )
    def test_numbers_arrays_and_none(self, bounds):
        assert gradcheck(square, d_square, X, bounds=bounds)

    @pytest.mark.parametrize("name", ["w", "w['s']"])
    def test_names_of_inputs_and_of_arrays_in_them(self, name):
        problem = Problem(product, d_product, (X, {"s": X + 1}), bounds={name: (0, 5)})
        assert set(problem.constraints.boxes) == {1}

    @pytest.mark.parametrize(
        ("bounds", "message"),
        [
            (3, r"bounds of x is the int 3; expected a pair \(low, high\)"),
            ((1, 2, 3), r"bounds of x is a tuple \(int, int, int\); expected a pair \(low, high\)"),
            (("a", 2), r"low bound of x is the str 'a'; expected a number, or an array that broadcasts"),
            (
                (0, np.ones(2)),
                r"high bound of x is a float64 array of shape \(2,\); expected .* shape \(3,\)",
            ),
            ((np.nan, 2), "low bound of x is nan; expected a number, or None for no bound"),
            ((3, 2), r"bounds of x\[0\] are \(3, 2\); expected low <= high"),
            ((0, 1.5), r"x\[2\] is 2, outside its bounds \(0, 1.5\); expected a point inside"),
            ((X, X), "bounds leave no entry of x any room; expected one at least with low < high"),
            ({"y": (0, 1)}, "bounds names y, which is not differentiated; expected one of x"),
        ],
    )
    def test_anything_else_is_refused(self, bounds, message):
        with pytest.raises(UsageError, match=message):
            gradcheck(square, d_square, X, bounds=bounds)

    def test_one_pair_for_two_inputs_is_refused(self):
        with pytest.raises(UsageError, match=r"and x and w\['s'\] are differentiated; expected a dict"):
            gradcheck(product, d_product, (X, {"s": X}), bounds=(0, 3))

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (np.sin, "tangents is an ufunc; expected a dict {name: project}"),
            ({"y": tangents.unit}, "tangents names y, which is not differentiated"),
            ({"x": 3}, r"tangents of x is the int 3; expected a function \(x, d\) -> d"),
            ({"x": lambda x, d: d[:2]}, r"tangents of x gives a float64 array of shape \(2,\); expected"),
            ({"x": lambda x, d: None}, r"tangents of x gives None; expected a displacement of x"),
            ({"x": lambda x, d: d / 0}, "tangents of x gives a displacement that is not finite"),
            ({"x": lambda x, d: 0 * d}, "tangents of x leave no direction at this point"),
            ({"x": lambda x, d: 1 / len("")}, "tangents of x raised ZeroDivisionError"),
        ],
    )
    def test_tangents_that_are_none_are_refused(self, given, message):
        with pytest.raises(UsageError, match=message), np.errstate(all="ignore"):
            gradcheck(square, d_square, X, tangents=given)


class TestBounds:
    def test_functions_are_not_called_outside_whatever_is_asked(self):
        problem = Problem(square, d_square, X, bounds=(0, 2))
        calls = problem.forward_calls
        assert np.isnan(problem.evaluate({0: X - 1})).all()
        plus, minus = problem.evaluate_entries(np.zeros(3, int), np.array([0, 1, 2]), np.full(3, 0.5))
        np.testing.assert_array_equal(np.isnan(plus).all(axis=1), [False, False, True])
        np.testing.assert_array_equal(np.isnan(minus).all(axis=1), [True, False, False])
        assert problem.forward_calls == calls + 4
        with pytest.raises(RuleRaised, match="outside the bounds"):
            problem.call_backward(displaced={0: X + 1})
        assert problem.backward_calls == 0

    @pytest.mark.parametrize("pairs", [[(0, 1), (2, 3)], [[0, 3], [0, None]]])
    @pytest.mark.parametrize("named", [False, True])
    def test_pairs_by_entry_are_not_taken_for_sides(self, pairs, named):
        bounds = {"x": pairs} if named else pairs
        with pytest.raises(
            UsageError, match=r"a pair \(low, high\) for each .*; expected bounds=\(low, high\)"
        ):
            gradcheck(square, d_square, X[:2], bounds=bounds)

    @pytest.mark.parametrize(
        "bounds", [([0, 0], [5, 5]), [np.zeros(2), np.full(2, 5.0)], [0, [5, 5]], [0, 5]]
    )
    def test_two_sides_of_two_entries_are_taken(self, bounds):
        assert gradcheck(square, d_square, X[:2], bounds=bounds)

    def test_equal_bounds_make_a_constant_and_are_said_to(self):
        report = gradcheck(
            square,
            lambda dy, x: 2 * dy * x + [0, 9, 0],
            X,
            bounds=(0, np.array([1, 1, 3])),
            wrt="x",
            raise_exception=False,
        )
        assert report.failed
        low = np.array([-1, 1, 1])
        report = gradcheck(square, lambda dy, x: 2 * dy * x + [0, 9, 0], X, bounds=(low, np.array([1, 1, 3])))
        assert report.notes == ("1 entry of x has equal bounds and was taken as a constant",)

    def test_undecided_says_that_it_is_for_the_bounds(self):
        report = gradcheck(np.sqrt, lambda dy, x: dy * 0, X, bounds=(0, None), raise_exception=False)
        assert "sqrt" in str(report)
        report = gradcheck(
            lambda x: np.sqrt(x).sum(),
            lambda dl, x: dl / np.sqrt(x + 1e-300) / 2,
            X,
            bounds=(0, 9),
            raise_exception=False,
        )
        assert report.inconclusive
        assert "forward is not evaluated, for they are outside the bounds" in report.reason

    def test_box_turns_what_has_no_room_and_leaves_the_rest(self):
        box = Box(np.zeros(3), np.full(3, 2.0))
        np.testing.assert_array_equal(box.turned(X, np.array([-0.5, -0.5, 0.5])), [0.5, -0.5, -0.5])
        np.testing.assert_array_equal(box.turned(X, np.array([0.5, 0.5, -0.5])), [0.5, 0.5, -0.5])
        np.testing.assert_array_equal(box.distance(X), [2, 1, 2])
        np.testing.assert_array_equal(box.reach(X, np.full(3, 0.5)), 0.5)
        np.testing.assert_array_equal(box.reach(X, np.full(3, 9.0)), [2, 1, 2])

    def test_snippet_has_both(self):
        report = gradcheck(
            square,
            lambda dy, x: dy,
            X,
            bounds=(0, None),
            tangents={"x": tangents.simplex},
            raise_exception=False,
        )
        assert "bounds=(0, None)" in report.call
        assert "tangents={'x': gradlab.tangents.simplex}" in report.call


class TestTangents:
    def test_each_direction_of_a_symmetric_matrix_is_probed_once(self):
        problem = Problem(square, d_square, np.eye(3) + 1, tangents={"x": tangents.symmetric})
        directions = [d[0] for d in along_projections(problem, 0)]
        assert len(directions) == 6
        assert all((d == d.T).all() for d in directions)

    def test_functions_see_only_points_along_them(self):
        seen = []

        def forward(a):
            seen.append(a.copy())
            return np.exp(a)

        a = np.eye(3) + 1
        gradcheck(forward, lambda dy, a: dy * np.exp(a), a, tangents={"a": tangents.symmetric})
        assert all(np.abs(a - a.T).max() < 1e-15 for a in seen)

    def test_projection_may_spoil_what_it_is_given(self):
        def project(x, d):
            x[:] = 0
            d -= d.mean()
            return d

        x = X + 1
        assert gradcheck(square, lambda dy, x: 2 * dy * x, x, tangents={"x": project})
        np.testing.assert_array_equal(x, X + 1)

    def test_report_says_along_how_many_it_is_wrong(self):
        report = gradcheck(
            square,
            lambda dy, x: dy * [0, 3, 1],
            X + 1,
            tangents={"x": lambda x, d: d * [0, 1, 1]},
            raise_exception=False,
        )
        assert report.inputs[0].where == "along 2 of 2 tangents"
        assert "along 2 of 2 tangents" in str(report)


def test_tangents_keep_what_they_are_for():
    rng = np.random.default_rng(0)
    d, t = rng.normal(size=(2, 3, 3)), 1e-6
    unit = rng.normal(size=(2, 3, 3))
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    assert np.abs(np.linalg.norm(unit + t * tangents.unit(unit, d), axis=-1) - 1).max() < 1e-11
    p = rng.dirichlet(np.ones(3), size=(2, 3))
    assert np.abs((p + tangents.simplex(p, d)).sum(axis=-1) - 1).max() < 1e-15
    upper, diagonal = np.triu(np.ones((3, 3))), np.eye(3)
    np.testing.assert_array_equal(tangents.triangular(upper, np.ones((3, 3))), upper)
    np.testing.assert_array_equal(tangents.triangular(diagonal, np.ones((3, 3))), upper.T)
    for project, x in ((tangents.unit, unit), (tangents.simplex, p), (tangents.symmetric, d)):
        once = project(x, d)
        np.testing.assert_allclose(project(x, once), once, atol=1e-15)
