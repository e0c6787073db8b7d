"""What stands at the end of a run, and in the JUnit file."""

import re
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]


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

    @pytest.mark.parametrize("arguments", [("-n", "2"), ("-q", "--import-mode=importlib")])
    def test_lists_what_is_not_right_counts_the_rest_and_records_all(self, run, arguments):
        result = run(self.EVERYTHING, "--junitxml=results.xml", *arguments)
        assert result.parseoutcomes() == {"failed": 5, "passed": 2}
        lines = [
            line for line in result.stdout.lines if re.match(r"FAIL |INCONCLUSIVE |gradlab checked", line)
        ]
        summary = lines[-4:]
        assert sorted(line.split(":")[0] for line in summary) == sorted(
            [
                "FAIL wrong (test_lists_what_is_not_right_counts_the_rest_and_records_all.py)",
                "FAIL scaled (test_lists_what_is_not_right_counts_the_rest_and_records_all.py, 2 tests)",
                "INCONCLUSIVE blind (test_lists_what_is_not_right_counts_the_rest_and_records_all.py)",
                "gradlab checked 5 functions",
            ]
        )
        assert summary[-1].endswith(": 2 fail, 1 inconclusive, 1 fail without failing the test, 1 pass")
        self.check_records()

    def test_failure_is_expected_only_where_the_test_is_marked_so(self, run):
        result = run(
            """
    from concurrent.futures import ThreadPoolExecutor

    @pytest.mark.xfail
    def test_marked(gradcheck): gradcheck(square, wrong, x, name="marked")

    def test_lost(gradcheck):
        with ThreadPoolExecutor() as pool:
            pool.submit(gradcheck, square, wrong, x, name="lost")
    """
        )
        result.assert_outcomes(passed=1, xfailed=1)
        result.stdout.fnmatch_lines(
            ["gradlab checked 2 functions: 1 fail without failing the test, 1 fail as expected"]
        )

    def check_records(self):
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

    def test_all_right_is_one_line_and_none_when_quiet(self, run):
        tests = "    def test(gradcheck): gradcheck(square, right, x)"
        run(tests).stdout.fnmatch_lines(["gradlab checked 1 function: 1 pass"])
        run(tests, "-q").stdout.no_fnmatch_line("*gradlab checked*")

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
