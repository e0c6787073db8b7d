"""Where a rule test is, and how another process finds its rule: by collecting it again, as xdist does."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

import pytest

from gradlab.errors import UsageError
from gradlab.rule import Rule

# What would write to the terminal or to files, or put the stack of a crash elsewhere.
LEFT_OUT = ("terminal", "cacheprovider", "faulthandler")


@dataclass(frozen=True)
class Place:
    """The test of a rule.

    Attributes
    ----------
    test : str
        Its id.
    arguments : tuple of str
        Of pytest, to collect the tests of its file.
    """

    test: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return self.test


def place_of(item: pytest.Item) -> Place:
    """Return where a test is."""
    config = item.config
    arguments = [f"--rootdir={config.rootpath}", f"--import-mode={config.getoption('importmode')}"]
    if config.inipath is not None:
        arguments += ["-c", str(config.inipath)]
    for plugin in (*config.getoption("plugins"), *(f"no:{name}" for name in LEFT_OUT)):
        arguments += ["-p", plugin]
    # What a configuration adds to each call, such as -n, is not for this one.
    for setting in (*(config.getoption("override_ini") or ()), "addopts=", "filterwarnings="):
        arguments += ["-o", setting]
    return Place(
        item.nodeid,
        (*arguments, "--collect-only", "--assert=plain", "--capture=no", str(item.path)),
    )


def find_rules(place: Place) -> list[Rule]:
    """Return the one rule of a test.

    Raises
    ------
    UsageError
        When the test is not collected again.
    """
    rules, problems = _collected(place.arguments)
    if place.test not in rules:
        raise UsageError("; ".join([f"{place.test} is not collected", *problems]))
    return [rules[place.test]]


@functools.cache
def _collected(arguments: tuple[str, ...]) -> tuple[dict[str, Rule], list[str]]:
    """Collect a file and return the rules of its tests, and why parts of it could not be collected."""
    kept = _Kept()
    os.environ.pop("PYTEST_ADDOPTS", None)
    pytest.main(list(arguments), plugins=[kept])
    return kept.rules, kept.problems


class _Kept:
    """A plugin that keeps what is collected."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.problems: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problems.append(str(report.longrepr).strip().rpartition("\n")[2])

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            rule = getattr(item, "callspec", None) and item.callspec.params.get("rule")  # type: ignore[attr-defined]
            if isinstance(rule, Rule):
                self.rules[item.nodeid] = rule
