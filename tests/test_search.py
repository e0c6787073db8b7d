"""The simplest failing point is one at which the failure is plain to see."""

import numpy as np
import pytest
from hypothesis.database import InMemoryExampleDatabase

from gradlab import Rule, UsageError, gradcheck, verify
from gradlab._search import PLAIN, SHOWN, plainness
from gradlab.strategies import between, inputs

EPS = 1e-5


def normalized(x):
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + EPS)


def normalized_backward(dy, x):
    std = np.sqrt(x.var(axis=-1, keepdims=True) + EPS)
    h = (x - x.mean(axis=-1, keepdims=True)) / std
    return (dy - dy.mean(axis=-1, keepdims=True) - h * (dy * h).mean(axis=-1, keepdims=True)) / std


def simplest(forward, backward, points, **options):
    return verify(Rule("rule", forward, backward, points), raise_exception=False, **options)


class TestPlainness:
    def test_normalization_is_not_shrunk_to_where_it_is_saturated(self):
        report = simplest(normalized, lambda dy, x: normalized_backward(dy, x) / 2, "(n)")
        entry = report.inputs[0].worst
        assert min(abs(entry.analytic), abs(entry.numeric)) > 0.01, report.example

    def test_the_saturated_point_fails_but_not_plainly(self):
        report = gradcheck(
            normalized,
            lambda dy, x: normalized_backward(dy, x) / 2,
            np.array([[1.0, -1.0]]),
            raise_exception=False,
        )
        assert report.failed
        assert report.inputs[0].worst.error > PLAIN
        assert report.inputs[0].worst.effect < SHOWN
        assert plainness(report) < 0.1

    def test_far_end_of_a_sigmoid_is_avoided(self):
        report = simplest(
            lambda x: np.tanh(8 * x),
            lambda dy, x: 4 * dy * (1 - np.tanh(8 * x) ** 2),
            inputs("()", elements=between(-2, 2)),
        )
        assert abs(report.inputs[0].worst.numeric) > SHOWN

    def test_defect_that_is_small_everywhere_is_found_all_the_same(self):
        report = simplest(lambda x: x**2, lambda dy, x: 2.0001 * x * dy, "(n)")
        assert report.failed
        assert report.example == "x = np.array([1.0])"

    def test_what_is_wrong_otherwise_than_by_a_number_is_plain(self):
        report = simplest(lambda x: x**2, lambda dy, x: 2 * x, "(n)")
        assert report.findings[0].kind == "ignores-upstream"
        assert plainness(report) == 1


class TestDatabase:
    def first_points(self, rule, database):
        seen = []

        def forward(x):
            seen.append(x.tolist())
            return x**2

        rule = Rule(rule, forward, lambda dy, x: (2 + (x.size > 2)) * x * dy, "(n)")
        report = verify(rule, database=database, raise_exception=False)
        assert report.failed
        return seen, report

    def test_next_run_starts_with_the_failing_point(self):
        database = InMemoryExampleDatabase()
        before, first = self.first_points("square", database)
        after, second = self.first_points("square", database)
        assert before[0] != [1.0, -1.0, 2.0]
        assert after[0] == [1.0, -1.0, 2.0]
        assert second.points == 1
        assert (second.example, second.findings) == (first.example, first.findings)

    def test_rules_have_points_of_their_own(self):
        database = InMemoryExampleDatabase()
        self.first_points("square", database)
        after, _ = self.first_points("another", database)
        assert after[0] != [1.0, -1.0, 2.0]

    def test_point_that_no_longer_fails_is_forgotten(self):
        database = InMemoryExampleDatabase()
        self.first_points("square", database)
        kept = sum(map(len, database.data.values()))
        right = Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, "(n)")
        assert kept > 0
        assert verify(right, database=database).passed
        assert sum(map(len, database.data.values())) < kept

    def test_nothing_is_kept_by_default(self):
        _, first = self.first_points("square", None)
        _, second = self.first_points("square", None)
        assert second == first


class TestExamples:
    def test_they_are_checked_first_and_not_shrunk(self):
        points = [(np.array([3.0]),), (np.array([5.0, 7.0]),)]
        rule = Rule("square", lambda x: x**2, lambda dy, x: (2 + (x.size > 1)) * x * dy, "(n)")
        report = verify(rule, examples=points, raise_exception=False)
        assert report.points == 2
        assert report.example == "x = np.array([5.0, 7.0])"

    def test_they_count_beside_those_that_are_drawn(self):
        rule = Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, "(n)")
        assert verify(rule, examples=[(np.array([1e3]),)], max_examples=5).points == 6

    def test_what_is_no_list_of_points(self):
        rule = Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, "(n)")
        with pytest.raises(UsageError, match=r"examples is a float64 array .*; expected a list of points"):
            verify(rule, examples=np.ones(2))
