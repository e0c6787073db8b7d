"""Rule tests in a process of their own, which may crash or exit without ending the run of pytest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from gradlab.pytest_plugin.again import place_of
from gradlab.pytest_plugin.settings import POLICY

if TYPE_CHECKING:
    from gradlab.rule import Rule
    from gradlab.runs import Options, Outcome
    from gradlab.runs.pool import Pool

POOL = pytest.StashKey["Pool"]()


def check_rule(item: pytest.Item, rule: Rule, options: Options) -> Outcome:
    """Return what becomes of the rule of a test: in another process, unless a debugger has to see it."""
    from gradlab.runs import Listed, Outcome, Result

    if not _isolates(item.config):
        from gradlab.runs.one import check

        here = Listed(rule.name, item.nodeid, known_failure=rule.known_failure)
        result = check(rule, options, through=(KeyboardInterrupt, pytest.exit.Exception))
    else:
        here = Listed(rule.name, place_of(item, rule), known_failure=rule.known_failure)
        (result,) = [
            said for _, said in _pool(item.config).check([here], options) if isinstance(said, Result)
        ]
    return Outcome(here, result.report, result.error, result.raised)


def _isolates(config: pytest.Config) -> bool:
    if POLICY not in config.stash:
        return False  # the plugin is not there
    return bool(config.getini("gradlab_isolation")) and not _debugs(config)


def _debugs(config: pytest.Config) -> bool:
    return bool(config.getoption("usepdb") or config.getoption("trace"))


def refuse_timeout(config: pytest.Config) -> None:
    """Refuse a timeout where it could not end a rule, in the process of pytest."""
    timeout = config.getoption("gradlab_timeout")
    if timeout is not None and not config.getini("gradlab_isolation"):
        raise pytest.UsageError(
            f"--gradlab-timeout is {timeout:g}, but gradlab_isolation is false; only in a process of its own "
            "can a rule that takes longer be ended"
        )


def timeout_in_debugger(config: pytest.Config) -> str | None:
    """Return a sentence where a timeout is given and does not hold, as a debugger waits for its user."""
    if config.getoption("gradlab_timeout") is None or not _debugs(config):
        return None
    return "gradlab: rules are checked in this process, for the debugger, and --gradlab-timeout does not hold"


def close(config: pytest.Config) -> None:
    """End the process, if there is one."""
    pool = config.stash.get(POOL, None)
    if pool is not None:
        pool.close()
        del config.stash[POOL]


def _pool(config: pytest.Config) -> Pool:
    """Return the process of this run, which starts at the first check."""
    from gradlab.runs.pool import Pool

    if POOL not in config.stash:
        config.stash[POOL] = Pool(
            timeout=config.getoption("gradlab_timeout"),
            path=list(sys.path),
            folder=config.invocation_params.dir,
            finder="gradlab.pytest_plugin.again",
        )
    return config.stash[POOL]
