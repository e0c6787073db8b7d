"""Where a rule test is, and how another process finds its rule: by collecting it again, as a worker of xdist.

That process is given the arguments of this one, from which plugins and conftest files make the same
configuration, and what xdist gives to its workers. Its session starts and never ends: what hooks have set up
holds while rules are checked, and what they take down in the end is left to this process.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import pickle
import sys
import types
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gradlab.errors import UsageError
from gradlab.rule import Rule

COLLECTED_AS = pytest.StashKey[str]()
WORKER = "gw0"  # as xdist calls its first

# What takes hold while arguments are read: nothing is captured, and warning filters are left out.
ARGUMENTS = ("--capture=no", "-p", "no:warnings")

# Options that are not handed on, as far as there are any, and what is there instead.
LEFT_OUT: dict[str, Any] = {
    "capture": "no",
    "pythonwarnings": None,
    # What would leave the test out, or end before it is found.
    "maxfail": 0,
    "lf": False,
    "failedfirst": False,
    "stepwise": False,
    "pyargs": False,
    # What this process writes, and where.
    "xmlpath": None,
    "report_log": None,
    "log_file": os.devnull,
    "pastebin": None,
    "cacheclear": False,
    "basetemp": None,
    "no_cov": True,
    # The workers of pytest-xdist.
    "numprocesses": None,
    "maxprocesses": None,
    "dist": "no",
    "distload": False,
    "tx": [],
    "looponfail": False,
}


@dataclass(frozen=True)
class Call:
    """How pytest was called.

    Attributes
    ----------
    arguments : tuple of str
        As they were given; the configuration and the environment add theirs again.
    settings : bytes
        The options by their names, as far as they are plain values, and what xdist gives to a worker.
        They are pickled.
    """

    arguments: tuple[str, ...]
    settings: bytes


CALL = pytest.StashKey[Call]()


@dataclass(frozen=True)
class Place:
    """The test of a rule.

    Attributes
    ----------
    test : str
        Its id.
    file : str
        Where it is collected.
    call : Call
        That of pytest.
    code : str
        Of its rule, as `_code_of` tells it.
    """

    test: str
    file: str
    call: Call
    code: str

    def __str__(self) -> str:
        return self.test


def place_of(item: pytest.Item, rule: Rule) -> Place:
    """Return where the test of a rule is."""
    stash = item.config.stash
    if CALL not in stash:
        stash[CALL] = _call_of(item.config)
    # By the id that it had first: with --dist=loadgroup, xdist appends to that.
    test = item.stash.get(COLLECTED_AS, item.nodeid)
    return Place(test, str(item.path), stash[CALL], _code_of(rule))


def _call_of(config: pytest.Config) -> Call:
    given = [str(argument) for argument in config.invocation_params.args]
    end = given.index("--") if "--" in given else len(given)
    own = [*ARGUMENTS, *(["--no-cov"] if hasattr(config.option, "no_cov") else [])]
    options = {name: value for name, value in vars(config.option).items() if _is_plain(value)}
    settings = {**options, **{name: value for name, value in LEFT_OUT.items() if name in vars(config.option)}}
    return Call((*given[:end], *own, *given[end:]), pickle.dumps((settings, _workerinput(config))))


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in (bool, int, float, str)


def _workerinput(config: pytest.Config) -> dict[str, Any] | None:
    """Return what xdist has given to this worker, or would give to its first one; without xdist, nothing."""
    if hasattr(config, "workerinput"):
        given: dict[str, Any] = config.workerinput
        return given
    if not config.pluginmanager.hasplugin("xdist"):
        return None  # plugins that know xdist rely on what they themselves have given to workers
    given = {"workerid": WORKER, "workercount": 1, "testrunuid": uuid.uuid4().hex, "mainargv": sys.argv}
    # pytest-cov, which is off, would give something only where xdist has workers.
    cov = config.pluginmanager.get_plugin("_cov")
    configure_node = config.pluginmanager.subset_hook_caller("pytest_configure_node", [cov])
    configure_node(node=SimpleNamespace(config=config, workerinput=given, gateway=SimpleNamespace(id=WORKER)))
    return given


def find_rules(place: Place) -> list[Rule]:
    """Return the one rule of a test.

    Raises
    ------
    UsageError
        When pytest cannot be started again, or does not collect the test again, or of another rule.
    """
    with _unseen():
        rules, problems = _collected(place.call, place.file)
    if place.test not in rules:
        raise UsageError("; ".join([f"{place.test} is not collected", *problems]))
    if _code_of(rules[place.test]) != place.code:
        raise UsageError("its functions are others when it is collected again")
    return [rules[place.test]]


def _code_of(rule: Rule) -> str:
    """Return a digest of what the functions of a rule are, by name and bytecode.

    What they refer to is left out: tests may change it, and it may differ from process to process. So this
    shows a rule that was chosen in another way, not each that would compute something else.
    """
    from gradlab.point.fingerprints import fingerprint

    told, seen = [], set()
    waiting: deque[Any] = deque([rule.forward, rule.backward, rule.jvp])
    while waiting:
        part = waiting.popleft()
        if id(part) not in seen:
            seen.add(id(part))
            named = part if isinstance(part, types.FunctionType) else type(part)
            told.append((named.__module__, named.__qualname__, getattr(named, "__code__", None)))
            waiting.extend(_inside(part))
    return fingerprint(told)


def _inside(part: object) -> list[Any]:
    """Return what a function calls by another way than its name."""
    match part:
        case types.MethodType():
            return [part.__func__]
        case functools.partial():
            return [part.func]
        case types.FunctionType():
            held = []
            for cell in part.__closure__ or ():
                with contextlib.suppress(ValueError):  # it is still empty
                    held.append(cell.cell_contents)
            return [value for value in held if callable(value)]
    return [wrapped] if callable(wrapped := inspect.getattr_static(part, "__wrapped__", None)) else []


@functools.cache
def _collected(call: Call, file: str) -> tuple[dict[str, Rule], list[str]]:
    """Collect a file and return the rules of its tests, and why parts of it could not be collected."""
    session, kept = _session(call)
    kept.rules, kept.problems = {}, []
    session.config.args[:] = [file]
    session.config.hook.pytest_collection(session=session)
    return kept.rules, kept.problems


@functools.cache
def _session(call: Call) -> tuple[pytest.Session, _Kept]:
    """Start a session of pytest, which collects nothing yet."""
    from _pytest.config import _prepareconfig  # what pytest-xdist starts its workers by

    options, workerinput = pickle.loads(call.settings)
    os.environ.setdefault("PYTEST_XDIST_WORKER", WORKER)
    kept = _Kept()
    try:
        config = _prepareconfig(list(call.arguments), [kept])
        vars(config.option).update(options)
        if workerinput is not None:
            config.workerinput, config.workeroutput = workerinput, {}  # type: ignore[attr-defined]
        if config.pluginmanager.hasplugin("faulthandler"):
            # Stacks of crashes go where the other process looks for them.
            config.pluginmanager.unregister(name="faulthandler")
        config.hook.pytest_cmdline_main(config=config)
    except (Exception, pytest.exit.Exception) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"pytest cannot be started again in another process: {type(error).__name__}: {said}; hooks can "
            "tell that process by PYTEST_XDIST_WORKER, and gradlab_isolation = false does without it"
        ) from error
    if kept.session is None:
        raise UsageError("a hook pytest_cmdline_main does something else than to collect tests")
    return kept.session, kept


class _Kept:
    """A plugin that starts a session, and keeps what is collected."""

    def __init__(self) -> None:
        self.session: pytest.Session | None = None
        self.rules: dict[str, Rule] = {}
        self.problems: list[str] = []

    def pytest_cmdline_main(self, config: pytest.Config) -> pytest.ExitCode:
        """Do what pytest does, up to the collection: plugins and conftest files have had their turn."""
        config._do_configure()
        self.session = pytest.Session.from_config(config)
        config.hook.pytest_sessionstart(session=self.session)
        return pytest.ExitCode.OK

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problems.append(str(report.longrepr).strip().rpartition("\n")[2])

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Keep a rule, whether or not its test is deselected later on."""
        rule = getattr(item, "callspec", None) and item.callspec.params.get("rule")  # type: ignore[attr-defined]
        if isinstance(rule, Rule):
            self.rules[item.nodeid] = rule


@contextlib.contextmanager
def _unseen() -> Iterator[None]:
    """Write nothing to the terminal: the other process does."""
    with contextlib.redirect_stdout(_nowhere()):
        yield


@functools.cache
def _nowhere() -> Any:
    """Return a file that stays open: what is collected may keep it."""
    return Path(os.devnull).open("w", encoding="utf-8")
