"""`gradcheck` inside a test of Hypothesis that is the user's own."""

import importlib
import time

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import DeadlineExceeded, FlakyFailure

import gradlab
from gradlab import GradientError, gradcheck
from gradlab.scipy import check_grad

brief = settings(max_examples=2, database=None, deadline=200)
POINTS = st.sampled_from([np.array([1.0, 2.0]), np.array([0.5, 3.0])])


@pytest.fixture
def clock(monkeypatch):
    """What goes by is what is said to go by."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def right(dy, x):
    return 2 * x * dy


class TestDeadline:
    def test_slow_right_rule_keeps_to_it(self, clock):
        def slow(x):
            clock(1.0)
            return x**2

        @brief
        @given(POINTS)
        def test(x):
            assert gradcheck(slow, right, x)

        test()

    def test_so_does_a_derivative_for_scipy(self, clock):
        def slow(x):
            clock(1.0)
            return x @ x

        @brief
        @given(POINTS)
        def test(x):
            assert check_grad(slow, lambda x: 2 * x, x)

        test()

    def test_what_the_test_does_besides_counts(self, clock):
        @brief
        @given(POINTS)
        def test(x):
            gradcheck(np.square, right, x)
            clock(1.0)

        with pytest.raises((DeadlineExceeded, FlakyFailure)):
            test()

    def test_first_use_of_a_name_which_imports_it_does_not(self, clock, monkeypatch):
        imported = importlib.import_module

        def slow(name):
            clock(1.0 * name.startswith("gradlab"))
            return imported(name)

        monkeypatch.setattr(importlib, "import_module", slow)

        @brief
        @given(POINTS)
        def test(x):
            vars(gradlab).pop("gradcheck", None)
            assert gradlab.gradcheck(np.square, right, x)

        test()


def test_lines_of_a_check_are_no_explanation_of_a_failure():
    seen = []

    @settings(max_examples=5, database=None, deadline=None, phases=set(Phase))
    @given(st.integers(0, 3))
    def test(n):
        if n > 1:
            seen.append(n)
            gradcheck(np.square, lambda dy, x: dy, np.arange(1.0, n + 1))

    with pytest.raises(GradientError) as caught:
        test()
    assert seen[-1] == 2
    notes = "\n".join(caught.value.__notes__)
    assert "n=2" in notes
    assert "checks" not in notes
