"""Tests made of a list of rules."""

import pytest

from gradlab import Rule, UsageError
from gradlab.pytest_plugin import rule_tests

pytest_plugins = ["pytester"]

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

    def test_in_a_class_they_are_its_tests(self, run):
        result = run(
            """
    class TestRules:
        test_rules = pytest.mark.gradlab(max_examples=5)(rule_tests([RIGHT, WRONG]))
    """,
            "-v",
        )
        result.assert_outcomes(failed=1, passed=1)
        result.stdout.re_match_lines([r"test_\w+\.py::TestRules::test_rules\[wrong\] FAILED.*"])
        result.stdout.fnmatch_lines(["FAIL wrong: gradient of x is wrong*"])

    def test_keyword_selects_one(self, run):
        run(RULES, "-k", "right", "--gradlab-max-examples=5").assert_outcomes(passed=1, deselected=1)

    def test_failure_shows_the_report_alone(self, run):
        result = run(RULES, "--gradlab-max-examples=5")
        lines = result.stdout.lines
        start = next(k for k, line in enumerate(lines) if "test_rules[wrong]" in line)
        stop = next(k for k, line in enumerate(lines) if "= gradlab =" in line)
        assert lines[start + 1].startswith("FAIL wrong: gradient of x is wrong")
        assert lines[stop - 1] == "gradlab.gradcheck(rule.forward, rule.backward, (x,), rng=0)"
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
            ["FAIL broken: *", '    File "*test_*.py", line *, in raises', "    KeyError: 'mine'"]
        )
        result.stdout.no_fnmatch_line("*derivatives.py*")

    def test_malformed_rule_is_told_in_a_line(self, run):
        result = run("    test_rules = rule_tests([Rule('odd', square, right, 'n,d')])")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["ERROR odd: signature is 'n,d'; expected*"])
        result.stdout.no_fnmatch_line("*_verify.py*")

    @pytest.mark.parametrize(
        ("policy", "arguments"), [("fail", ()), ("skip", ()), ("warn", ()), ("fail", ("--runxfail",))]
    )
    def test_known_failure_is_expected_as_long_as_it_is_not_right(self, run, policy, arguments):
        result = run(
            """
    from dataclasses import replace

    KINDS = {"right": "wrong-gradient", "wrong": "wrong-gradient", "blind": "inconclusive"}
    RULES = [RIGHT, WRONG, BLIND, Rule("malformed", square, right, "n,d")]
    test_rules = rule_tests([
        replace(rule, known_failure=(KINDS.get(rule.name, "wrong-gradient"), f"{rule.name}: ticket 12"))
        for rule in RULES
    ])
    """,
            "-rx",
            *arguments,
            "--gradlab-max-examples=5",
            ini=f"gradlab_inconclusive = {policy}",
        )
        result.stdout.fnmatch_lines(
            [
                "XPASS right: it passes, so known_failure=('wrong-gradient', *) has to be removed*",
                "ERROR malformed: signature is*",
            ]
        )
        result.stdout.no_fnmatch_line("*_KnownFailure*")
        if arguments:  # pytest forgets which tests are expected to fail
            result.assert_outcomes(failed=4)
            return
        result.assert_outcomes(xfailed=2, failed=2)
        result.stdout.fnmatch_lines(
            [
                "UNEXPECTED PASS right (*): it passes, so known_failure=*",
                "gradlab checked 4 functions: 1 error, 1 unexpected pass, 2 fail as expected",
                "XFAIL *test_rules[[]wrong[]] - wrong: ticket 12",
            ]
        )

    def test_what_is_given_goes_before_the_marker_and_the_marker_before_the_option(self, run):
        result = run(
            """
    COUNTED = Rule("counted", blind, blind_backward, "(n)")
    by_call = rule_tests([COUNTED], max_examples=2, rtol=1e-3)
    test_call = pytest.mark.gradlab(max_examples=3)(by_call)
    test_marker = pytest.mark.gradlab(max_examples=3)(rule_tests([COUNTED]))
    test_option = rule_tests([COUNTED])
    """,
            "--gradlab-max-examples=4",
        )
        result.assert_outcomes(failed=3)
        for count in (2, 3, 4):
            result.stdout.fnmatch_lines([f"INCONCLUSIVE counted: 0 of {count} points passed*"])

    def test_rtol_given_lets_a_small_defect_pass(self, run):
        result = run(
            """
    small = Rule("small", square, lambda dy, x: 2.001 * x * dy, "(n)")
    test_loose = rule_tests([small], rtol=0.01, max_examples=5)
    test_strict = rule_tests([small], max_examples=5)
    """
        )
        result.assert_outcomes(passed=1, failed=1)

    @pytest.mark.parametrize("made", ["rules_test = rule_tests([WRONG])", "rule_tests([WRONG])"])
    def test_what_no_test_is_collected_of_is_warned_of(self, run, made):
        tests = f"    {made}\n    def test(): pass"
        result = run(tests)
        result.assert_outcomes(passed=1, warnings=1)
        result.stdout.fnmatch_lines(["*test_*.py:*: UncollectedWarning: pytest collects no test of this*"])
        result = run(tests, "-W", "error::gradlab.pytest_plugin.UncollectedWarning")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*test_*.py:*: pytest collects no test of this rule_tests(...)*"])

    @pytest.mark.parametrize(
        "arguments",
        [
            ("-k", "other"),
            ("-m", "not slow"),
            ("--deselect", "test_what_is_collected_and_left_out_is_not_warned_of.py::test_rules"),
            ("test_what_is_collected_and_left_out_is_not_warned_of.py::test_other",),
            ("--doctest-modules", "-k", "other"),
        ],
    )
    def test_what_is_collected_and_left_out_is_not_warned_of(self, run, arguments):
        result = run(
            """
    import functools

    def timed(test):
        @functools.wraps(test)
        def run(*args, **kwargs): return test(*args, **kwargs)
        return run

    test_rules = pytest.mark.slow(rule_tests([WRONG]))
    test_timed = pytest.mark.slow(timed(rule_tests([WRONG])))

    class TestInClass:
        test_rules = pytest.mark.slow(staticmethod(rule_tests([WRONG])))

    def test_other(): pass
    """,
            *arguments,
            ini="markers = slow",
        )
        assert result.parseoutcomes()["passed"] == 1
        assert "warnings" not in result.parseoutcomes()

    @pytest.mark.parametrize("rules", [[], 3, [3], Rule("f", abs, abs, "(n)")])
    def test_what_is_no_list_of_rules_is_refused(self, rules):
        with pytest.raises(UsageError, match="rule_tests was given"):
            rule_tests(rules)
