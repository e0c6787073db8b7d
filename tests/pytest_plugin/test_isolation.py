"""The process in which rules of `rule_tests` are checked: it finds those that pytest was asked to test."""

import pytest

pytest_plugins = ["pytester"]

IMPLEMENTATIONS = """
CHOSEN = "slow"
def gw0(dy, x): return 2 * x * dy  # for a choice by the name of a worker
def slow(dy, x): return 2 * x * dy
def fast(dy, x): return x * dy
"""
TESTS = """
import impls
from gradlab import Rule
from gradlab.pytest_plugin import rule_tests

square = Rule("square", lambda x: x**2, getattr(impls, impls.CHOSEN), "(n)")
test_rules = rule_tests([square], max_examples=5)
"""
CALLED = TESTS.replace("getattr(impls, impls.CHOSEN)", "lambda dy, x: getattr(impls, impls.CHOSEN)(dy, x)")
OPTION = """
import impls
def pytest_addoption(parser): parser.addoption("--impl", default="slow")
"""


@pytest.fixture
def suite(pytester):
    """Write a suite, and return how it is run: its processes are real ones, which import all of it again."""

    def suite(conftest, tests=TESTS, ini=""):
        pytester.makeini(f"[pytest]\n{ini}")
        pytester.makeconftest(OPTION + conftest)
        pytester.makepyfile(impls=IMPLEMENTATIONS, test_rules=tests)

        def run(*arguments):
            return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

        return run

    return suite


class TestConfiguration:
    CONFIGURE = "def pytest_configure(config): impls.CHOSEN = config.option.impl"

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--impl=fast",),
            ("--impl", "fast", "-n", "1", "--dist=loadgroup"),
            ("-x", "--impl=fast", "-W", "error", "--", "test_rules.py"),
        ],
    )
    def test_options_choose_the_rule_that_is_checked(self, suite, arguments):
        run = suite(self.CONFIGURE)
        run(*arguments).assert_outcomes(failed=1)

    def test_options_of_the_file_and_of_the_environment_choose_it(self, suite, monkeypatch):
        suite(self.CONFIGURE, ini="addopts = --impl=fast")().assert_outcomes(failed=1)
        run = suite(self.CONFIGURE)
        run().assert_outcomes(passed=1)
        monkeypatch.setenv("PYTEST_ADDOPTS", "--impl=fast")
        run().assert_outcomes(failed=1)

    def test_what_hooks_of_the_session_choose_holds_while_rules_are_checked(self, suite):
        run = suite(
            """
def pytest_sessionstart(session): impls.CHOSEN = session.config.option.impl
def pytest_sessionfinish(session): impls.CHOSEN = "slow"
def pytest_unconfigure(config): impls.CHOSEN = "slow"
""",
            CALLED,
        )
        run("--impl=fast").assert_outcomes(failed=1)

    @pytest.mark.parametrize(
        "backward",
        [
            "getattr(impls, impls.CHOSEN)",
            "(lambda backward: lambda dy, x: backward(dy, x))(getattr(impls, impls.CHOSEN))",
            "functools.partial(getattr(impls, impls.CHOSEN))",
        ],
    )
    def test_rule_that_is_chosen_in_another_way_is_not_taken_for_it(self, suite, backward, monkeypatch):
        monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # that of a worker that runs this test
        tests = f"import functools\n{TESTS}".replace("getattr(impls, impls.CHOSEN)", backward)
        run = suite("import os\nimpls.CHOSEN = os.environ.get('PYTEST_XDIST_WORKER', 'fast')", tests)
        result = run()
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["ERROR square: *its functions are others when it is collected again*"])

    def test_test_in_a_group_of_xdist_is_found(self, suite):
        run = suite("", TESTS + '\nimport pytest\ntest_rules = pytest.mark.xdist_group("one")(test_rules)\n')
        run("-n", "1", "--dist=loadgroup").assert_outcomes(passed=1)

    def test_tests_that_plugins_leave_out_of_one_file_are_found(self, suite, pytester):
        run = suite(
            """
def pytest_collection_modifyitems(config, items):
    if len(items) < 3:  # as one that runs a part of the suite, such as pytest-split
        items.clear()
""",
        )
        pytester.makepyfile(test_more="def test_one(): pass\ndef test_two(): pass")
        run().assert_outcomes(passed=3)


class TestTimeout:
    def test_is_refused_where_it_could_not_end_a_rule(self, suite):
        run = suite("", ini="gradlab_isolation = false")
        run().assert_outcomes(passed=1)
        result = run("--gradlab-timeout=60")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: --gradlab-timeout is 60, but gradlab_isolation is false; *"])

    def test_debugger_says_that_it_does_not_hold(self, suite):
        run = suite("")
        sentence = "gradlab: *--gradlab-timeout does not hold"
        result = run("--gradlab-timeout=60", "--pdb")
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines([sentence])
        run("--gradlab-timeout=60").stdout.no_fnmatch_line(sentence)
        run("--pdb").stdout.no_fnmatch_line(sentence)


class TestSession:
    def test_what_is_taken_down_in_the_end_is_there_while_rules_are_checked(self, suite, pytester):
        run = suite(
            """
import shutil
from pathlib import Path

DATA = Path(__file__).with_name("data")

def pytest_sessionstart(session): DATA.mkdir(exist_ok=True)
def pytest_sessionfinish(session): shutil.rmtree(DATA)
""",
            TESTS + "\ndef test_data():\n    from conftest import DATA\n    assert DATA.is_dir()\n",
        )
        result = run()
        result.assert_outcomes(passed=2)
        assert result.ret == pytest.ExitCode.OK
        assert not (pytester.path / "data").exists()

    @pytest.mark.parametrize(
        "told", ["hasattr(session.config, 'workerinput')", "os.environ.get('PYTEST_XDIST_WORKER')"]
    )
    def test_hooks_can_tell_it_as_they_tell_workers_of_xdist(self, suite, told):
        run = suite(
            f"""
import os
from pathlib import Path

def pytest_sessionstart(session):
    if not {told}:
        Path(__file__).with_name("data").mkdir()
"""
        )
        run().assert_outcomes(passed=1)

    def test_session_that_cannot_start_twice_is_an_error_that_says_so(self, suite):
        run = suite(
            """
from pathlib import Path
def pytest_sessionstart(session): Path(__file__).with_name("data").mkdir()
"""
        )
        result = run()
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["ERROR square: *pytest cannot be started again *FileExists*"])

    def test_session_starts_once_for_all_files(self, suite, pytester):
        run = suite(
            """
from pathlib import Path
def pytest_sessionstart(session):
    with Path(__file__).with_name("started").open("a") as file: file.write("once ")
"""
        )
        pytester.makepyfile(test_more=TESTS)
        run().assert_outcomes(passed=2)
        assert (pytester.path / "started").read_text() == "once once "

    def test_reports_and_logs_are_those_of_the_first_process(self, suite, pytester):
        run = suite("", TESTS + "\ndef test_log():\n    import logging\n    logging.error('logged')\n")
        run("--log-file=out.log", "--junitxml=out.xml", "-k", "log or rules").assert_outcomes(passed=2)
        assert "logged" in (pytester.path / "out.log").read_text()
        assert (pytester.path / "out.xml").read_text().count("<testcase") == 2
