"""The fixture `gradcheck`."""

from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]


class TestFixture:
    def test_right_gradient_passes(self, run):
        run("    def test(gradcheck): assert gradcheck(square, right, x).passed").assert_outcomes(passed=1)

    def test_wrong_gradient_fails_with_the_report(self, run):
        result = run("    def test(gradcheck): gradcheck(square, wrong, x)")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                ">*gradcheck(square, wrong, x)",
                "E*GradientError: FAIL square: gradient of x is wrong",
                "test_*.py:*: GradientError",
                "-* gradlab: reproduce -*",
                "import gradlab, numpy as np",
                "gradlab.gradcheck(square, wrong, x, rng=0)",
            ]
        )

    @pytest.mark.parametrize("style", ["short", "line", "native"])
    def test_snippet_can_be_pasted_whatever_the_traceback(self, run, style):
        result = run("    def test(gradcheck): gradcheck(square, wrong, x)", f"--tb={style}")
        result.stdout.fnmatch_lines(
            ["import gradlab, numpy as np", "gradlab.gradcheck(square, wrong, x, rng=0)"]
        )

    def test_frames_of_gradlab_are_hidden(self, run):
        result = run(
            """
    def raises(dy, x): raise KeyError("mine")
    def test(gradcheck): gradcheck(square, raises, x)
    """
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E*KeyError: 'mine'", "E*backward raised KeyError: 'mine'"])
        result.stdout.no_fnmatch_line("*derivatives.py*")
        result.stdout.no_fnmatch_line("*pytest_plugin.py*")

    def test_malformed_question_is_told_at_the_callers_line(self, run):
        result = run("    def test(gradcheck): gradcheck(square, right, 'text')")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E*UsageError: inputs is the str 'text'; *", "test_*.py:*: UsageError"])

    def test_report_asked_for_fails_nothing_and_is_not_recorded(self, run):
        result = run(
            "    def test(gradcheck): assert gradcheck(square, wrong, x, raise_exception=False).failed"
        )
        result.assert_outcomes(passed=1)
        result.stdout.no_fnmatch_line("*gradlab checked*")

    @pytest.mark.parametrize(("own", "explained"), [("", False), ("@settings(derandomize=True)", True)])
    def test_hypothesis_explains_only_with_settings_of_the_tests_own(self, run, own, explained):
        result = run(
            f"""
    class TestMethods:
        {own}
        @given(strategies.inputs("(n)", degenerate=False))
        def test(self, gradcheck, inputs):
            if inputs[0].size > 1:
                raise ValueError("more than one")
    """
        )
        result.assert_outcomes(failed=1)
        assert ("Explanation:" in result.stdout.str()) == explained

    def test_hypothesis_shrinks_to_the_simplest_point_and_one_record_stays(self, run):
        result = run(
            """
    def only_one_row(dy, x, w): return dy @ w.T, x.T @ dy / len(x)

    @brief
    @given(strategies.inputs("(n,d),(d,m)"))
    def test(gradcheck, inputs): gradcheck(np.matmul, only_one_row, inputs)

    @settings(brief, max_examples=5)
    @given(strategies.inputs("(n)"))
    def test_right(gradcheck, inputs): gradcheck(square, right, inputs)
    """,
            "--junitxml=results.xml",
        )
        result.assert_outcomes(failed=1, passed=1)
        simplest = [r"inputs = \(array\(\[\[ 1\.\],", r" +\[-1\.\]\]\), array\(\[\[1\.\]\]\)\)"]
        result.stdout.re_match_lines(simplest)
        result.stdout.fnmatch_lines(
            ["FAIL matmul (*): * wrong at 1 of 1 entry*", "gradlab checked 2 functions: 1 fail, 1 pass"]
        )
        names = [entry.get("name") for entry in ElementTree.parse("results.xml").iter("property")]
        assert [name for name in names if name.startswith("gradlab")] == ["gradlab.matmul", "gradlab.square"]

    def test_hypothesis_does_not_shrink_a_failure_to_an_inconclusive_point(self, run):
        result = run(
            """
    @brief
    @given(strategies.inputs("(n)"))
    def test(gradcheck, inputs):
        if len(inputs[0]) > 1:
            gradcheck(square, wrong, inputs)
        else:
            gradcheck(blind, blind_backward, np.ones(2), name="square")
    """,
            "-rA",
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*FAIL square: gradient*", "*INCONCLUSIVE square: *"])

    def test_other_checks_are_had_by_their_names_and_noted_likewise(self, run):
        result = run(
            """
    def norm(x): return np.sum(x**2)
    def grad(x): return 2 * x
    def test_right(gradcheck): assert gradcheck.scipy.check_grad(norm, grad, x)
    def test_wrong(gradcheck): gradcheck.scipy.check_grad(norm, lambda x: x, x)
    def test_seed(gradcheck): assert gradcheck.gradgradcheck(
        square, right, x, double_backward=lambda ddx, dy, x: (2 * x * ddx, 2 * dy * ddx)).seed == 7
    def test_unknown(gradcheck):
        for name in (lambda: gradcheck.keras, lambda: gradcheck.scipy.minimize):
            with pytest.raises(AttributeError, match="expected one of"): name()
    """,
            "--gradlab-seed=7",
        )
        result.assert_outcomes(passed=3, failed=1)
        result.stdout.fnmatch_lines(
            ["gradlab.scipy.check_grad(norm, grad, x0, rng=7)", "*norm*grad is wrong at 2 of 2 entries*"]
        )

    def test_check_that_returns_a_function_is_noted_when_that_is_called(self, run):
        pytest.importorskip("autograd")
        result = run(
            """
    import autograd.numpy as anp
    def test(gradcheck):
        check = gradcheck.autograd.check_grads(lambda x: anp.sum(x**2), order=1)
        assert check(x)
        gradcheck.autograd.check_grads(anp.tanh, order=1, raise_exception=False)(x)
    """
        )
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["*1 pass*"])

    def test_fixtures_may_check_too(self, run):
        result = run(
            """
    @pytest.fixture(scope="module")
    def checked(gradcheck): return gradcheck(square, wrong, x)

    def test(checked): pass
    """
        )
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(
            ["FAIL square (*): gradient of x is wrong*", "gradlab checked 1 *: 1 fail"]
        )

    def test_unittest_class_gets_it_by_a_fixture(self, run):
        result = run(
            """
    import unittest

    class TestSquare(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def _gradcheck(self, gradcheck): self.gradcheck = gradcheck

        def test_right(self): self.gradcheck(square, right, x)
        def test_wrong(self): self.gradcheck(square, wrong, x)
    """
        )
        result.assert_outcomes(failed=1, passed=1)
        result.stdout.fnmatch_lines(["FAIL square (*): *", "gradlab checked 1 function: 1 fail"])
