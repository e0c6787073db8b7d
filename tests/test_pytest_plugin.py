import re
import subprocess
import sys
from xml.etree import ElementTree

import hypothesis.extra.numpy  # noqa: F401 - pytester forgets what was first imported in an inner run
import pytest

import gradlab
import gradlab._explain
import gradlab.reporters.text
import gradlab.targets  # noqa: F401 - likewise
from gradlab import Rule, UsageError
from gradlab.pytest_plugin import rule_tests

pytest_plugins = ["pytester"]

FUNCTIONS = """
    import numpy as np
    import pytest
    from gradlab import GradientError, Rule, strategies
    from gradlab.pytest_plugin import InconclusiveWarning, rule_tests
    from hypothesis import HealthCheck, Phase, given, settings

    x = np.array([1.0, 2.0])
    slopes = np.array([1.0, 1e-17])

    def square(x): return x**2
    def right(dy, x): return 2 * x * dy
    def wrong(dy, x): return x * dy

    def blind(x): return x @ slopes  # the second slope is below the rounding of the first
    def blind_backward(dy, x): return dy * slopes

    RIGHT = Rule("right", square, right, "(n)")
    WRONG = Rule("wrong", square, wrong, "(n)")
    BLIND = Rule("blind", blind, blind_backward, (np.ones(2),))

    # Hypothesis would run failing tests some 500 times more to explain them.
    brief = settings(phases=[Phase.generate, Phase.shrink], database=None, derandomize=True)
"""


@pytest.fixture
def run(pytester):
    """Run a test file that begins with the functions above."""

    def run(tests, *arguments, ini=""):
        pytester.makeini(f"[pytest]\nfilterwarnings = default\n{ini}")  # the outer run makes them errors
        pytester.makepyfile(FUNCTIONS + tests)
        return pytester.runpytest("-p", "no:cacheprovider", *arguments)

    return run


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
                "E*gradlab.gradcheck(square, wrong, x, rng=0)",
                "test_*.py:*: GradientError",
            ]
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
        result.stdout.no_fnmatch_line("*problem.py*")
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

    @brief
    @given(strategies.inputs("(n)"))
    def test_right(gradcheck, inputs): gradcheck(square, right, inputs)
    """,
            "--junitxml=results.xml",
        )
        result.assert_outcomes(failed=1, passed=1)
        simplest = [r"inputs = \(array\(\[\[ 1\.\],", r" +\[-1\.\]\]\), array\(\[\[1\.\]\]\)\)"]
        result.stdout.re_match_lines(simplest)
        result.stdout.fnmatch_lines(
            ["FAIL matmul (*): * wrong at 1 of 1 entries*", "gradlab checked 2 functions: 1 fail, 1 pass"]
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


RULES = """
    test_rules = rule_tests([RIGHT, WRONG])
"""


class TestRuleTests:
    def test_ids_are_the_names_and_the_tests_stand_in_the_callers_file(self, run):
        result = run(RULES, "-v", "--gradlab-max-examples=5")
        result.assert_outcomes(failed=1, passed=1)
        result.stdout.re_match_lines(
            [r"test_\w+\.py::test_rules\[right\] PASSED.*", r"test_\w+\.py::test_rules\[wrong\] FAILED.*"]
        )

    def test_keyword_selects_one(self, run):
        run(RULES, "-k", "right", "--gradlab-max-examples=5").assert_outcomes(passed=1, deselected=1)

    def test_failure_shows_the_report_alone(self, run):
        result = run(RULES, "--gradlab-max-examples=5")
        lines = result.stdout.lines
        start = next(k for k, line in enumerate(lines) if "test_rules[wrong]" in line)
        stop = next(k for k, line in enumerate(lines) if "= gradlab =" in line)
        assert lines[start + 1].startswith("FAIL wrong: gradient of x is wrong")
        assert lines[stop - 1] == "    gradlab.gradcheck(rule.forward, rule.backward, (x,), rng=0)"
        assert stop - start < 20

    def test_exception_of_a_rule_shows_where_it_was_raised(self, run):
        result = run(
            """
    def raises(dy, x):
        raise KeyError("mine")

    test_rules = rule_tests([Rule("broken", square, raises, "(n)")])
    """
        )
        result.stdout.fnmatch_lines(
            ["FAIL broken: *", '  File "*test_*.py", line *, in raises', "KeyError: 'mine'"]
        )
        result.stdout.no_fnmatch_line("*problem.py*")

    def test_malformed_rule_is_told_in_a_line(self, run):
        result = run("    test_rules = rule_tests([Rule('odd', square, right, 'n,d')])")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E*UsageError: rule 'odd': signature is 'n,d'; expected*"])
        result.stdout.no_fnmatch_line("*_verify.py*")

    @pytest.mark.parametrize("policy", ["fail", "skip", "warn"])
    def test_known_failure_is_expected_as_long_as_it_is_not_right(self, run, policy):
        result = run(
            """
    from dataclasses import replace

    RULES = [RIGHT, WRONG, BLIND, Rule("malformed", square, right, "n,d")]
    test_rules = rule_tests([replace(rule, known_failure=f"{rule.name}: ticket 12") for rule in RULES])
    """,
            "-rx",
            "--gradlab-max-examples=5",
            ini=f"gradlab_inconclusive = {policy}",
        )
        result.assert_outcomes(xfailed=2, failed=2)
        result.stdout.fnmatch_lines(
            [
                "[[]XPASS(strict)[]] right: ticket 12",
                "E*UsageError: rule 'malformed'*",
                "gradlab checked 3 functions: 2 fail as expected, 1 pass",
                "XFAIL *test_rules[[]wrong[]] - wrong: ticket 12",
            ]
        )

    def test_what_is_given_goes_before_the_marker_and_the_marker_before_the_option(self, run):
        result = run(
            """
    SEEN = []
    def seen(rng):
        SEEN.append(1)
        return (x,)

    SQUARE = Rule("square", square, right, seen)
    by_call = rule_tests([SQUARE], max_examples=2, rtol=1e-3)
    test_call = pytest.mark.gradlab(max_examples=3)(by_call)
    test_marker = pytest.mark.gradlab(max_examples=3)(rule_tests([SQUARE]))
    test_option = rule_tests([SQUARE])

    @pytest.fixture(autouse=True)
    def count(request):
        SEEN.clear()
        yield
        print(request.node.name, len(SEEN))
    """,
            "-s",
            "--gradlab-max-examples=4",
        )
        result.assert_outcomes(passed=3)
        for name, count in (("call", 2), ("marker", 3), ("option", 4)):
            result.stdout.fnmatch_lines([f"*test_{name}[[]square[]] {count}"])

    def test_rtol_given_lets_a_small_defect_pass(self, run):
        result = run(
            """
    small = Rule("small", square, lambda dy, x: 2.001 * x * dy, "(n)")
    test_loose = rule_tests([small], rtol=0.01, max_examples=5)
    test_strict = rule_tests([small], max_examples=5)
    """
        )
        result.assert_outcomes(passed=1, failed=1)

    @pytest.mark.parametrize("rules", [[], 3, [3], Rule("f", abs, abs, "(n)")])
    def test_what_is_no_list_of_rules_is_refused(self, rules):
        with pytest.raises(UsageError, match="rule_tests was given"):
            rule_tests(rules)


class TestSummary:
    EVERYTHING = """
    test_rules = rule_tests([RIGHT, WRONG, BLIND], max_examples=5)

    def test_expected(gradcheck):
        with pytest.raises(GradientError):
            gradcheck(square, wrong, x, name="known to be wrong")

    @pytest.mark.parametrize("scale", [1, 2])
    def test_scaled(gradcheck, scale): gradcheck(square, wrong, scale * x, name="scaled")

    def test_other(): assert False
    """

    @pytest.mark.parametrize("arguments", [(), ("-n", "2"), ("-q",), ("--import-mode=importlib",)])
    def test_lists_what_is_not_right_and_counts_the_rest(self, run, arguments):
        result = run(self.EVERYTHING, *arguments)
        assert result.parseoutcomes() == {"failed": 5, "passed": 2}
        lines = [
            line for line in result.stdout.lines if re.match(r"FAIL |INCONCLUSIVE |gradlab checked", line)
        ]
        summary = lines[-4:]
        assert sorted(line.split(":")[0] for line in summary) == sorted(
            [
                "FAIL wrong (test_lists_what_is_not_right_and_counts_the_rest.py)",
                "FAIL scaled (test_lists_what_is_not_right_and_counts_the_rest.py, 2 tests)",
                "INCONCLUSIVE blind (test_lists_what_is_not_right_and_counts_the_rest.py)",
                "gradlab checked 5 functions",
            ]
        )
        assert summary[-1].endswith(": 2 fail, 1 inconclusive, 1 fail as expected, 1 pass")

    def test_all_right_is_one_line_and_none_when_quiet(self, run):
        tests = "    def test(gradcheck): gradcheck(square, right, x)"
        run(tests).stdout.fnmatch_lines(["gradlab checked 1 function: 1 pass"])
        run(tests, "-q").stdout.no_fnmatch_line("*gradlab checked*")

    @pytest.mark.parametrize("workers", ["0", "1"])
    def test_records_reach_the_junit_file(self, run, workers):
        run(self.EVERYTHING, "--junitxml=results.xml", "-n", workers)
        properties = {
            (case.get("name"), entry.get("name")): entry.get("value")
            for case in ElementTree.parse("results.xml").iter("testcase")
            for entry in case.iter("property")
        }
        assert len(properties) == 6
        assert properties["test_rules[right]", "gradlab.right"] == "pass"
        assert properties["test_rules[wrong]", "gradlab.wrong"].startswith(
            "fail: gradient of x is wrong at 1"
        )
        assert properties["test_rules[blind]", "gradlab.blind"].startswith(
            "inconclusive: 0 of 1 point passed"
        )

    def test_long_reasons_are_cut_and_lines_are_joined(self, run):
        run(
            """
    def raises(x): raise ValueError("a very long\\nreason " * 100)
    def test(gradcheck): gradcheck(raises, right, x, name="two\\nlines")
    """,
            "--junitxml=results.xml",
        )
        (entry,) = ElementTree.parse("results.xml").iter("property")
        assert entry.get("name") == "gradlab.two lines"
        assert 250 < len(entry.get("value")) <= 300

    def test_foreign_properties_are_left_alone(self, run):
        result = run("    def test(record_property): record_property('gradlab.version', '1')")
        result.assert_outcomes(passed=1)
        result.stdout.no_fnmatch_line("*gradlab checked*")


class TestInconclusive:
    TESTS = """
    test_rules = rule_tests([BLIND])
    def test_fixture(gradcheck): gradcheck(blind, blind_backward, x)
    def test_hides_no_failure(gradcheck):
        gradcheck(blind, blind_backward, x)
        gradcheck(square, wrong, x)
    """

    def test_fails_by_default(self, run):
        run(self.TESTS).assert_outcomes(failed=3)

    def test_skip_gives_the_reason_at_the_test(self, run):
        result = run(self.TESTS, "-rs", ini="gradlab_inconclusive = skip")
        result.assert_outcomes(skipped=2, failed=1)
        result.stdout.re_match_lines(
            [
                r"INCONCLUSIVE blind \(.*",
                r"SKIPPED \[1\] test_\w+\.py:\d+: inconclusive: blind: 0 of 1 point passed; the num.*",
                r"SKIPPED \[1\] test_\w+\.py:\d+: inconclusive: blind: the numerical error bar is too wide.*",
            ]
        )

    def test_warn_warns_once_for_each_function(self, run):
        tests = (
            self.TESTS
            + """
    @brief
    @given(strategies.inputs("(n)"))
    def test_many(gradcheck, inputs): gradcheck(blind, blind_backward, x)
    """
        )
        result = run(tests, ini="gradlab_inconclusive = warn")
        result.assert_outcomes(passed=3, failed=1, warnings=3)
        result.stdout.fnmatch_lines(
            ["*InconclusiveWarning: blind: the numerical error bar is too wide to tell*"]
        )

    def test_warning_can_be_made_an_error(self, run):
        options = [
            "-o",
            "gradlab_inconclusive=warn",
            "-W",
            "error::gradlab.pytest_plugin.InconclusiveWarning",
        ]
        result = run(self.TESTS, *options)
        result.assert_outcomes(failed=3)
        result.stdout.fnmatch_lines(["E*InconclusiveWarning: blind: *"])
        result.stdout.no_fnmatch_line("*_Running(item)*")

    def test_value_that_is_not_known_lists_those_that_are(self, run):
        result = run("", ini="gradlab_inconclusive = ignore")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["ERROR: gradlab_inconclusive is 'ignore'; expected one of fail, skip, warn"]
        )


class TestMarkerAndOptions:
    def test_marker_is_registered(self, run):
        tests = "    @pytest.mark.gradlab(seed=1)\n    def test(): pass"
        run(tests, "--strict-markers").assert_outcomes(passed=1)

    @pytest.mark.parametrize(
        "arguments",
        ["seeds=1", "seed=-1", "seed='1'", "rtol=2", "rtol='1'", "max_examples=0", "max_examples=True", "3"],
    )
    def test_marker_that_cannot_be_read_lists_what_is_known(self, run, arguments):
        result = run(f"    @pytest.mark.gradlab({arguments})\n    def test(): pass")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(
            [
                f"the marker gradlab was given *{arguments}; expected max_examples (a positive integer), "
                "seed (a non-negative integer), rtol (a number between 0 and 1)"
            ]
        )

    def test_seed_is_that_of_the_call_then_the_closest_marker_then_the_option(self, run):
        result = run(
            """
    pytestmark = pytest.mark.gradlab(seed=2)

    @pytest.mark.gradlab(seed=3)
    def test_call(gradcheck): assert gradcheck(square, right, x, rng=4).seed == 4

    @pytest.mark.gradlab(seed=3)
    def test_own_marker(gradcheck): assert gradcheck(square, right, x).seed == 3

    @pytest.mark.gradlab(rtol=1e-3)
    def test_module_marker(gradcheck): assert gradcheck(square, right, x).seed == 2
    """,
            "--gradlab-seed=1",
        )
        result.assert_outcomes(passed=3)

    def test_seed_of_the_command_line_reaches_fixture_and_rules(self, run):
        result = run(
            """
    def test(gradcheck): assert gradcheck(square, right, x).seed == 7
    test_rules = rule_tests([WRONG])
    """,
            "--gradlab-seed=7",
        )
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["    gradlab.gradcheck(*, rng=7)"])

    def test_rtol_is_that_of_the_call_then_the_marker(self, run):
        result = run(
            """
    def nearly(dy, x): return 2.001 * x * dy

    @pytest.mark.gradlab(rtol=0.01)
    def test_marker(gradcheck): gradcheck(square, nearly, x)

    @pytest.mark.gradlab(rtol=0.01)
    def test_call(gradcheck): gradcheck(square, nearly, x, rtol=1e-5)
    """
        )
        result.assert_outcomes(passed=1, failed=1)

    @pytest.mark.parametrize("option", ["--gradlab-max-examples=0", "--gradlab-seed=-1", "--gradlab-seed=x"])
    def test_option_out_of_range_is_a_usage_error(self, run, option):
        result = run("", option)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*was given; expected a whole number, at least *"])

    def test_help_has_a_group_of_its_own(self, run):
        run("", "--help").stdout.fnmatch_lines(
            [
                "gradlab: *:",
                "  --gradlab-max-examples=N*",
                "  --gradlab-seed=N*",
                "  gradlab_inconclusive (string):*",
            ]
        )

    def test_fixtures_tells_how_to_use_it(self, run):
        result = run("", "--fixtures")
        result.stdout.fnmatch_lines(["gradcheck [[]session scope[]]*", "*gradcheck(forward, backward, *"])


class TestPresence:
    def test_unused_prints_nothing(self, run):
        assert "gradlab" not in re.sub(
            r"plugins: .*|rootdir: .*|test_unused.*", "", run("    def test(): pass").stdout.str()
        )

    def test_suite_without_the_fixture_runs_without_the_plugin(self, run):
        result = run(
            """
    import gradlab

    def test(): gradlab.gradcheck(square, right, x)
    test_rules = gradlab.pytest_plugin.rule_tests([RIGHT, WRONG, BLIND], max_examples=5)
    """,
            "-p",
            "no:gradlab",
        )
        result.assert_outcomes(passed=2, failed=2)
        result.stdout.no_fnmatch_line("*gradlab checked*")

    def test_a_test_that_runs_again_is_judged_by_its_last_run(self, run, pytester):
        pytester.makeconftest(
            """
    from _pytest.runner import runtestprotocol

    def pytest_runtest_protocol(item):
        runtestprotocol(item, log=False)
        for report in runtestprotocol(item, log=False):
            item.ihook.pytest_runtest_logreport(report=report)
        return True
    """
        )
        result = run(
            """
    BACKWARDS = iter([wrong, right])
    def test(gradcheck): gradcheck(square, next(BACKWARDS), x)
    """
        )
        result.stdout.fnmatch_lines(["gradlab checked 1 function: 1 pass"])

    def test_loading_it_imports_nothing_heavy(self):
        code = (
            "import sys, gradlab; gradlab.pytest_plugin.rule_tests; "
            "print([m for m in ('numpy', 'scipy', 'hypothesis') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"
