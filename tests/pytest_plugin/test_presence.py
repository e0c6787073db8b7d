"""The plugin where it is not used, or not there, or loaded by itself."""

import re
import subprocess
import sys

pytest_plugins = ["pytester"]


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

    def test_it_may_be_named_besides(self, run, pytester, monkeypatch):
        tests = "    def test(gradcheck): gradcheck(square, right, x)"
        run(tests, "-p", "gradlab.pytest_plugin").assert_outcomes(passed=1)
        pytester.makeconftest('pytest_plugins = ["gradlab.pytest_plugin"]')
        run(tests).assert_outcomes(passed=1)
        run(tests, "-p", "gradlab.pytest_plugin").assert_outcomes(passed=1)
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        run(tests).assert_outcomes(passed=1)

    def test_loading_it_imports_nothing_heavy(self):
        code = (
            "import sys, gradlab; gradlab.pytest_plugin.rule_tests; "
            "print([m for m in ('numpy', 'scipy', 'hypothesis') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"
