"""The policy for what is inconclusive, the marker, and the options."""

import pytest

pytest_plugins = ["pytester"]


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
    @settings(brief, max_examples=5)
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
        result.stdout.no_fnmatch_line("*Running(item)*")

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
                f"the marker gradlab was given *{arguments}; expected max_examples (a whole number, at "
                "least 1), seed (a whole number, at least 0), rtol (a number between 0 and 1)"
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
        result.stdout.fnmatch_lines(["gradlab.gradcheck(*, rng=7)"])

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
