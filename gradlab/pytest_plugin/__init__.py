"""The pytest plugin: the fixture `gradcheck`, tests from lists of rules, and a summary of what was checked.

pytest loads this module at every start, used or not: what is heavy is imported where it is used.
Between the hooks, state lives in pytest's own objects only: which test is running in ``config.stash``, what
was found in ``item.user_properties``.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

import pytest

from gradlab._options import FRACTION, whole_number
from gradlab.errors import UsageError
from gradlab.pytest_plugin.again import COLLECTED_AS
from gradlab.pytest_plugin.checks import Checks
from gradlab.pytest_plugin.isolation import check_rule, close, refuse_timeout, timeout_in_debugger
from gradlab.pytest_plugin.records import RUNNING, Running, is_record, record, summarize
from gradlab.pytest_plugin.reproduction import set_apart
from gradlab.pytest_plugin.settings import (
    POLICY,
    add_options,
    configure,
    raises_undecided,
    refuse_bad_markers,
    settings_of,
)

if TYPE_CHECKING:
    from gradlab.rule import Rule
    from gradlab.runs import Outcome


class InconclusiveWarning(UserWarning):
    """A gradient could not be shown to be right or wrong; issued under ``gradlab_inconclusive = warn``."""


class UncollectedWarning(UserWarning):
    """A test file calls `rule_tests`, and pytest collects no test of it."""


class _KnownFailure(pytest.fail.Exception):  # type: ignore[name-defined,misc] # typed as an attribute
    """A rule is wrong in the way that its ``known_failure`` says."""


MADE = "__gradlab_rule_tests__"  # where a module has what its own lines have made by rule_tests


# What a test file uses.


@pytest.fixture(scope="session")
def gradcheck(request: pytest.FixtureRequest) -> Checks:
    """Fail unless a gradient is right: gradcheck(forward, backward, inputs), as gradlab.gradcheck.

    def test_square(gradcheck):
        gradcheck(lambda x: x**2, lambda dy, x: 2 * x * dy, np.array([1.0, 2.0]))

    Other checks of gradlab are had by their names: gradcheck.jax.check_grads(f, args), gradcheck.scipy.check,
    gradcheck.check_layer.
    It may be called many times in a test, also under hypothesis.given; the summary has one result for each
    function. Without rng= and rtol= it uses those of @pytest.mark.gradlab(seed=..., rtol=...), then
    --gradlab-seed. With raise_exception=False it returns the report: nothing fails and nothing is recorded.
    """
    return Checks(request.config)


def rule_tests(
    rules: Iterable[Rule], *, max_examples: int | None = None, rtol: float | None = None
) -> Callable[..., None]:
    """Return a test function that verifies each rule as a test of its own, whose id is the rule's name.

    Assign it to a name that pytest collects, in a module or a class. The tests are called
    ``test_rules[softmax]`` and so on, and ``pytest -k softmax`` selects one. A rule's ``known_failure`` makes
    an expected failure of its test, which fails once the rule passes. Rules are checked in a process of their
    own, which collects the tests again to find them, so that one that crashes, exits or hangs
    (``--gradlab-timeout``) is an error of its own test alone; ``gradlab_isolation = false`` in the
    configuration, and ``--pdb``, check them in this one.

    Parameters
    ----------
    rules : iterable of Rule
        What to verify, one test each.
    max_examples : int, optional
        How many points to draw for each rule. By default that of ``@pytest.mark.gradlab(max_examples=...)``,
        then of ``--gradlab-max-examples``, then that of `gradlab.verify`.
    rtol : float, optional
        The relative defect that you do not care about. By default that of the marker, then that of
        `gradlab.verify`.

    Raises
    ------
    UsageError
        When there is no rule, or something else among them, or an option has another value.

    Examples
    --------
    >>> from gradlab import Rule
    >>> RULES = [Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, "(n)")]
    >>> test_rules = rule_tests(RULES, max_examples=20)
    """
    from gradlab.point.options import require
    from gradlab.rule import Rule

    require(whole_number(1), max_examples=max_examples)
    require(FRACTION, rtol=rtol)
    if isinstance(rules, Rule) or not isinstance(rules, Iterable):
        raise UsageError(f"rule_tests was given {rules!r}; expected a list of rules")
    rules = list(rules)
    if not rules:
        raise UsageError("rule_tests was given no rules, which would test nothing")
    for rule in rules:
        if not isinstance(rule, Rule):
            raise UsageError(f"rule_tests was given {rule!r} among the rules; expected a Rule")
    twice = [name for name, count in Counter(rule.name for rule in rules).items() if count > 1]
    if twice:
        raise UsageError(f"rule_tests was given more than one rule called {twice[0]!r}; names must differ")

    @pytest.mark.parametrize("rule", [_parameter(rule) for rule in rules])
    def test_rule(instance: object = None, /, *, rule: Rule, request: pytest.FixtureRequest) -> None:
        # In the body of a class it is a method, by `instance`.
        __tracebackhide__ = _speaks_for_itself
        _test_rule(rule, request.node, max_examples=max_examples, rtol=rtol)

    # The tests are the caller's: pytest reports them in the file, and at the line, of the code object.
    caller = sys._getframe(1)
    test_rule.__code__ = test_rule.__code__.replace(
        co_filename=caller.f_code.co_filename, co_firstlineno=caller.f_lineno
    )
    if caller.f_code.co_name == "<module>":
        caller.f_globals.setdefault(MADE, []).append(test_rule)
    return test_rule


def _parameter(rule: Rule) -> Any:
    marks = []
    if rule.known_failure is not None:
        _, reason = rule.known_failure
        marks.append(pytest.mark.xfail(reason=reason, strict=True, raises=_KnownFailure))
    return pytest.param(rule, id=rule.name, marks=marks)


def _test_rule(rule: Rule, item: pytest.Item, **given: Any) -> None:
    __tracebackhide__ = True
    from gradlab.reporters.overview import full
    from gradlab.runs import Options, Status

    settings = settings_of(item.config, item)
    settings |= {name: value for name, value in given.items() if value is not None}
    outcome = check_rule(item, rule, Options(**settings))
    running = item.config.stash.get(RUNNING, None)
    if running is not None:
        running.note(rule.name, *_found(outcome))
    match outcome.status:
        case Status.KNOWN_FAILURE:
            raise _KnownFailure(full(outcome), pytrace=False)
        case Status.UNEXPECTED_PASS:
            pytest.fail(f"XPASS {rule.name}: {outcome.headline}", pytrace=False)
        case Status.FAIL | Status.ERROR:
            pytest.fail(full(outcome), pytrace=False)
        case Status.INCONCLUSIVE if raises_undecided(item.config):
            pytest.fail(full(outcome), pytrace=False)


def _found(outcome: Outcome) -> tuple[str, str]:
    """Return what is written down of a rule, and the reason; whether that was expected, its test tells."""
    from gradlab.runs import Status

    if outcome.report is None or outcome.status is Status.UNEXPECTED_PASS:
        return outcome.status, outcome.headline
    return outcome.report.verdict, outcome.report.reason


def _speaks_for_itself(excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
    return excinfo.errisinstance((UsageError, InconclusiveWarning))


# Before the tests run.


NAMES = ("gradlab", __name__)  # that of the entry point, and the module's


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    """Let the plugin be named twice, as by the entry point and by ``-p gradlab.pytest_plugin``."""
    name = manager.get_name(plugin)
    if plugin is sys.modules[__name__] and name in NAMES:
        for other in NAMES:
            if other != name:
                manager.set_blocked(other)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, read the policy, and refuse a timeout that cannot hold."""
    configure(config)
    refuse_timeout(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say that a timeout does not hold in a debugger."""
    return timeout_in_debugger(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process in which rules were checked."""
    close(config)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Warn of rule tests that a module makes and pytest does not collect.

    All that a module has is there at this point: ids, ``-k``, ``-m`` and ``--lf`` leave tests out later.
    """
    report = yield
    if type(collector) is pytest.Module and report.passed and getattr(collector.obj, "__test__", True):
        collected = {inspect.unwrap(node.obj) for node in report.result if isinstance(node, pytest.Function)}
        for test in getattr(collector.obj, MADE, ()):
            if test not in collected:
                _warn_uncollected(test, report)
    return report


def _warn_uncollected(test: Callable[..., None], report: pytest.CollectReport) -> None:
    where = test.__code__
    warning = UncollectedWarning(
        "pytest collects no test of this rule_tests(...); assign what it returns to a name that pytest "
        "collects, such as test_rules"
    )
    try:
        warnings.warn_explicit(warning, None, where.co_filename, where.co_firstlineno)
    except UncollectedWarning:  # where warnings are errors, this one is an error of the module
        report.outcome = "failed"
        report.longrepr = f"{where.co_filename}:{where.co_firstlineno}: {warning}"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Note by which id a test is collected, which plugins may change afterwards."""
    item.stash[COLLECTED_AS] = item.nodeid


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out Hypothesis's phase ``explain`` where a test uses the fixture and has no settings of its own.

    It runs a failing test some 500 times more, each line traced, which takes a minute, and finds that lines
    of gradlab which write reports were run by failing examples only. The report itself says why it fails.
    """
    if "hypothesis" not in sys.modules:
        return
    from hypothesis import Phase, settings
    from hypothesis.errors import InvalidArgument

    phases = settings().phases  # those of the profile
    brief = settings(phases=[phase for phase in phases if phase is not Phase.explain])
    for item in items:
        if isinstance(item, pytest.Function) and "gradcheck" in item.fixturenames:
            function = getattr(item.obj, "__func__", item.obj)
            if hasattr(function, "hypothesis"):  # which @given leaves there for plugins
                with contextlib.suppress(InvalidArgument):  # it has settings
                    brief(function)


# While a test runs.


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Watch the fixtures, which may check gradients too."""
    __tracebackhide__ = _speaks_for_itself
    # When a test is run again, what its first run found is no longer true.
    item.user_properties[:] = [entry for entry in item.user_properties if not is_record(entry)]
    result = yield from _watch(item)
    refuse_bad_markers(item)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watch the test."""
    __tracebackhide__ = _speaks_for_itself
    return (yield from _watch(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show how a wrong gradient is reproduced where it can be pasted from."""
    report = yield
    if call.excinfo is not None:
        set_apart(report, call.excinfo.value)
    return report


def _watch(item: pytest.Item) -> Generator[None, object, object]:
    """Let one phase of a test run, write down what it checked, and act on what was inconclusive.

    That waits for the end, so that an inconclusive point does not hide a wrong gradient at a later one.
    """
    __tracebackhide__ = _speaks_for_itself  # a warning that was made an error
    running = item.config.stash[RUNNING] = Running(item)
    try:
        result = yield
    finally:
        del item.config.stash[RUNNING]
        item.user_properties += [record(name, *found) for name, found in running.worst.items()]
    undecided = [
        f"{name}: {reason}" for name, (verdict, reason) in running.worst.items() if verdict == "inconclusive"
    ]
    policy = item.config.stash[POLICY]
    if undecided and policy == "skip":
        skipped = pytest.skip.Exception(f"inconclusive: {'; '.join(undecided)}")
        # What pytest does with a skip by a marker: it is listed where the test is, instead of here.
        skipped._use_item_location = True
        raise skipped
    if policy == "warn":
        for text in undecided:
            item.warn(InconclusiveWarning(text))
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List the functions that are wrong or inconclusive, and count all."""
    summarize(terminalreporter, undecided_fails=raises_undecided(config))
