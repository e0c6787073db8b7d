import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import strategies as st

from gradlab import GradientError, Rule, UsageError, Verdict, strategies, verify
from gradlab.rules import linear
from gradlab.words import counted


def square(x):
    return x**2


def square_backward(dy, x):
    return 2 * x * dy


def test_report_counts_points_and_calls():
    report = verify(Rule("square", square, square_backward, "(n)"), max_examples=30)
    assert report.passed
    assert (report.points, report.points_passed, report.points_failed) == (30, 30, 0)
    assert report.forward_calls > 30
    assert 30 < report.backward_calls <= 8 * 30


def blind_at(*numbers):
    """Return a rule whose forward hides its gradient behind a large constant at some of 20 points."""
    return Rule(
        "blind at times",
        lambda x, k: (1e20 if k in numbers else 0.0) + x.sum(),
        lambda dy, x, k: dy * np.ones_like(x),
        lambda rng: (rng.uniform(0.5, 1.0, 2), int(rng.integers(20))),
    )


def test_points_at_which_it_could_not_tell_are_told_beside_those_that_pass():
    report = verify(blind_at(0))
    untold = report.points - report.points_passed
    assert 0 < untold <= 10
    assert f"x right at {report.points_passed} of 100 points; at {untold} it could not tell; " in str(report)
    (note,) = report.notes
    assert note.startswith(f"at {untold} of 100 points it could not tell; at the last of them, the numerical")
    assert "x right at 100 points; a relative error above" in str(verify(blind_at()))


def test_what_forward_raised_at_points_that_were_left_out_is_said():
    def reciprocal(x):
        if not x.all():
            raise ZeroDivisionError("there is no 1/0")
        return 1 / x

    (note,) = verify(Rule("reciprocal", reciprocal, lambda dy, x: -dy / x**2, "(n)")).notes
    assert note.endswith(
        "degenerate points were left out: there, forward raised ZeroDivisionError: there is no 1/0"
    )


def test_failure_is_shrunk_to_the_simplest_failing_point():
    def missing_factor(dy, x, w):
        return dy @ w.T, x.T @ dy / len(x)  # right at batch size 1

    with pytest.raises(GradientError) as caught:
        verify(replace(linear.RULE, backward=missing_factor))
    report = caught.value.report
    assert report.example == "x = np.array([[1.0], [-1.0]])\nw = np.array([[1.0]])"
    assert report.points_failed == 1
    assert str(report).endswith(f":\n{report.snippet}")


WRONG = """
import hypothesis
from gradlab import Rule, verify

hypothesis.settings.register_profile("hasty", max_examples=1, derandomize=True)
hypothesis.settings.load_profile("hasty")
print(verify(Rule("wrong", lambda x: x**2, lambda dy, x: x * dy, "(n)"), raise_exception=False))
"""


def test_same_call_gives_an_equal_report_under_any_hypothesis_profile():
    wrong = Rule("wrong", square, lambda dy, x: x * dy, "(n)")
    first = verify(wrong, raise_exception=False)
    assert verify(wrong, raise_exception=False) == first
    elsewhere = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, text=True, check=True)
    assert elsewhere.stdout == f"{first}\n"
    assert verify(wrong, rng=1, raise_exception=False).seed == 1


@pytest.mark.parametrize(
    "inputs",
    [
        "(n,d)",
        strategies.inputs("(n,d)"),
        st.tuples(st.floats(1, 2)),
        (np.array([1.0, 2.0]),),
        {"x": np.array([1.0, 2.0])},
        lambda rng: (rng.normal(size=3),),
    ],
)
def test_points_come_from_any_source(inputs):
    assert verify(Rule("square", square, square_backward, inputs), max_examples=10)
    wrong = verify(
        Rule("square", square, lambda dy, x: dy * x, inputs), max_examples=10, raise_exception=False
    )
    assert wrong.failed
    assert wrong.example.startswith("x = ")


def test_each_of_a_few_points_is_checked_once():
    few = st.sampled_from([(np.array([float(k)]),) for k in range(1, 24)])
    assert verify(Rule("square", square, square_backward, few)).points == 23


def test_points_of_which_the_repr_shows_nothing_are_told_apart():
    def forward(x, matrix):
        return matrix @ x

    points = st.integers(1, 50).map(lambda k: (np.array([1.0, 2.0]), sp.csr_array(np.diag([float(k), 1.0]))))
    wrong = Rule("sparse", forward, lambda dy, x, matrix: (dy, None), points)
    assert verify(wrong, raise_exception=False).failed
    right = Rule("sparse", forward, lambda dy, x, matrix: (matrix.T @ dy, None), points)
    assert 10 < verify(right).points <= 50


def test_points_of_unknown_objects_are_told_apart():
    points = st.integers(1, 3).map(lambda k: (np.array([1.0]), lambda x: x**k))
    right = Rule("apply", lambda x, f: f(x), lambda dy, x, f: (dy * f(1.0 + 1e-20), None), points)
    assert verify(right, max_examples=20, raise_exception=False).failed


def test_few_different_points_are_told():
    few = st.sampled_from([(np.array([float(k)]),) for k in range(1, 24)])
    (note,) = verify(Rule("square", square, square_backward, few)).notes
    assert note == "inputs gave 23 different points of the 100 asked for: they repeat, or are hard to draw"
    assert not verify(Rule("square", square, square_backward, few), max_examples=40).notes
    constant = Rule("square", square, square_backward, lambda rng: (np.ones(2),))
    assert "inputs gave 1 different point of the 100" in verify(constant).notes[0]


@pytest.mark.parametrize("more", [(), (lambda: 1,), (np.random.default_rng(0),)], ids=["", "code", "state"])
def test_example_is_one_point_and_that_is_no_matter(more):
    def forward(x, *more):
        for one in more:
            getattr(one, "normal", one)()
        return x**2

    given = Rule(
        "square", forward, lambda dy, x, *more: (2 * x * dy, *(None for _ in more)), (np.ones(2), *more)
    )
    report = verify(given)
    assert (report.points, report.notes) == (1, ())


def test_rule_that_is_wrong_only_now_and_then_fails():
    calls = iter(range(10**6))

    def flaky(dy, x):
        return square_backward(dy, x) * (1 + (next(calls) == 5))

    assert verify(Rule("flaky", square, flaky, "(n)"), raise_exception=False).failed


def test_what_is_seldom_decided_is_inconclusive():
    rule = Rule("blind", lambda x: 1e20 + x.sum(), lambda dy, x: dy * np.ones(2), (np.ones(2),))
    report = verify(rule, raise_exception=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "0 of 1 point passed; the numerical error bar" in report.reason


class TestPointsWithoutANumber:
    EMPTY = (np.empty((0, 3)),)

    @pytest.mark.parametrize(
        ("forward", "inputs", "reason"),
        [
            (square, EMPTY, "at 1 point, no derivative could be compared: x has no entry"),
            (
                lambda x: x[:0],
                "(n)",
                "at 10 points, no derivative could be compared: forward returns no number",
            ),
        ],
        ids=["no entry", "no output"],
    )
    def test_alone_they_show_nothing(self, forward, inputs, reason):
        def backward(dy, x):
            return np.zeros_like(x)

        report = verify(Rule("empty", forward, backward, inputs), max_examples=10, raise_exception=False)
        assert (report.verdict, report.reason) == (Verdict.INCONCLUSIVE, reason)
        json.dumps(report.to_dict())
        assert reason in report._repr_html_()

    def test_beside_others_they_are_ordinary(self):
        some = st.sampled_from([self.EMPTY, (np.ones((1, 3)),), (np.ones((0, 2)),)])
        report = verify(Rule("square", square, square_backward, some), max_examples=10)
        assert report.points == 3
        assert not any("could be compared" in note for note in report.notes)

    def test_they_do_not_make_up_for_points_that_cannot_tell(self):
        points = [(np.empty((0, k)),) for k in range(20)] + [(np.ones(2),)]
        blind = Rule(
            "blind", lambda x: 1e20 + x.sum(), lambda dy, x: dy * np.ones_like(x), st.sampled_from(points)
        )
        report = verify(blind, raise_exception=False)
        assert report.inconclusive
        assert "the numerical error bar is too wide" in report.reason

    def test_an_input_is_not_right_for_being_empty(self):
        def forward(x, w):
            return np.concatenate([1e20 + x, w])

        def backward(dy, x, w):
            return dy[: len(x)], dy[len(x) :]

        points = st.sampled_from(
            [(np.empty(0), np.full(k, 2.0)) for k in range(1, 20)] + [(np.ones(2), np.ones(1))]
        )
        report = verify(Rule("blind", forward, backward, points), raise_exception=False)
        assert report.inconclusive
        assert verify(Rule("sight", lambda x, w: np.concatenate([x, w]), backward, points))

    def test_broken_contract_fails_there(self):
        report = verify(Rule("square", square, lambda dy, x: dy.T, self.EMPTY), raise_exception=False)
        assert report.kinds == {"gradient-shape"}


def test_exception_of_the_rule_is_the_cause():
    with pytest.raises(GradientError, match="backward raised KeyError") as caught:
        verify(Rule("broken", square, lambda dy, x: {}[0], "(n)"))
    assert isinstance(caught.value.__cause__, KeyError)


def test_progress_is_told_after_each_point():
    seen = []
    verify(
        Rule("square", square, square_backward, "(n)"), max_examples=5, progress=lambda *now: seen.append(now)
    )
    assert seen == [(points, "drawing") for points in range(1, 6)]


def test_progress_says_what_is_done_about_a_failure():
    seen = []
    wrong = Rule("square", square, lambda dy, x: 3 * x * dy, "(n)")
    verify(wrong, raise_exception=False, progress=lambda points, doing: seen.append(doing))
    assert list(dict.fromkeys(seen)) == ["shrinking", "explaining"]


class TestMaxSeconds:
    def rule(self, backward):
        def forward(x):
            time.sleep(0.002)
            return np.tanh(x)

        return Rule("tanh", forward, backward, "(n)")

    def test_what_is_known_by_then_counts_and_is_said(self):
        rule = self.rule(lambda dy, x: dy * (1 - np.tanh(x) ** 2))
        report = verify(rule, max_seconds=0.5, max_examples=1000, raise_exception=False)
        assert report.points < 1000
        assert report.notes[-1] == f"max_seconds=0.5 ended it after {counted(report.points, 'point')}"

    def test_few_points_are_no_pass(self):
        rule = self.rule(lambda dy, x: dy * (1 - np.tanh(x) ** 2))
        report = verify(rule, max_seconds=1e-6, raise_exception=False)
        assert report.inconclusive
        assert "max_seconds=1e-06" in report.reason
        assert "max_seconds=1e-06" in report.call

    def test_limit_is_told_as_it_was_given(self):
        rule = self.rule(lambda dy, x: dy * (1 - np.tanh(x) ** 2))
        report = verify(rule, max_seconds=0.25, raise_exception=False)
        told = [note for note in report.notes if "max_seconds" in note]
        assert told
        assert all("max_seconds=0.25" in note for note in told)

    def test_failure_is_shrunk_as_long_as_there_is_time(self):
        report = verify(self.rule(lambda dy, x: dy), max_seconds=0.5, raise_exception=False)
        assert report.failed

    def test_time_that_is_enough_changes_nothing(self):
        rule = Rule("tanh", np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), "(n)")
        assert verify(rule, max_examples=5, max_seconds=600) == verify(rule, max_examples=5)


class TestBadInput:
    def test_what_is_not_a_rule(self):
        with pytest.raises(UsageError, match="verify was given a function; expected a Rule"):
            verify(square)

    @pytest.mark.parametrize("signature", ["", "n,d", "(n,d", "(n,),(d)"])
    def test_signature_that_cannot_be_read(self, signature):
        with pytest.raises(UsageError, match=r"expected something like '\(n,d\),\(d,m\)'"):
            verify(Rule("square", square, square_backward, signature))

    def test_inputs_of_no_known_kind(self):
        with pytest.raises(UsageError, match="inputs is the int 3; expected a signature"):
            verify(Rule("square", square, square_backward, 3))

    def test_strategy_that_gives_no_point(self):
        with pytest.raises(UsageError, match="its inputs gave no point"):
            verify(Rule("square", square, square_backward, st.just(np.ones(2)).filter(lambda x: False)))

    def test_number_of_points(self):
        with pytest.raises(UsageError, match="max_examples is the int 0; expected a whole number"):
            verify(Rule("square", square, square_backward, "(n)"), max_examples=0)

    def test_name_and_functions_of_a_rule(self):
        with pytest.raises(UsageError, match="a rule's name is 3; expected a non-empty string"):
            Rule(3, square, square_backward, "(n)")
        with pytest.raises(UsageError, match="backward is None; expected a function"):
            Rule("square", square, None, "(n)")
        with pytest.raises(UsageError, match="notes is 'a note'; expected a tuple of strings"):
            Rule("square", square, square_backward, "(n)", notes="a note")

    @pytest.mark.parametrize("backward", [square_backward, lambda dy, x: x * dy])
    def test_notes_of_a_rule_are_in_its_report(self, backward):
        rule = Rule("square", square, backward, "(n)", notes=("b is a constant",))
        assert "b is a constant" in verify(rule, max_examples=3, raise_exception=False).notes


@pytest.mark.parametrize(
    "jacobian",
    [
        lambda x: (),
        lambda x: (np.diag(2 * x), 1),
        lambda x: (np.diag(2 * x) + 1j,),
        lambda x: 1 / 0,
        lambda: None,
        lambda x: "text",
    ],
)
def test_closed_form_of_a_wrong_form_is_a_finding(jacobian):
    report = verify(Rule("square", square, square_backward, "(n)", jacobian=jacobian), raise_exception=False)
    assert [finding.kind for finding in report.findings] == ["closed-form-jacobian"]


@pytest.mark.parametrize(
    "inputs",
    [
        lambda rng: 1 / 0,
        lambda: (np.ones(2),),
        lambda rng: "text",
        st.just(1).map(lambda value: 1 / 0),
        st.integers(5, 1),
        "(²)",
        st.none(),
    ],
)
def test_inputs_that_cannot_be_drawn_name_the_rule(inputs):
    with pytest.raises(UsageError, match="rule 'square': "):
        verify(Rule("square", square, square_backward, inputs))
