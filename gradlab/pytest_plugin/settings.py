"""What the pytest plugin is told: its options, its marker, which goes before them, and the policy.

The policy says what an inconclusive verdict does to a test.
"""

from __future__ import annotations

from typing import Any

import pytest

from gradlab._options import FRACTION, SECONDS, whole_number

POLICIES = ("fail", "skip", "warn")  # what an inconclusive verdict does to a test
POLICY = pytest.StashKey[str]()


def add_options(parser: pytest.Parser) -> None:
    """Add the options, in a group of their own, and the policy."""
    group = parser.getgroup("gradlab", "gradlab: are hand-written gradients right")
    group.addoption(
        "--gradlab-max-examples",
        type=whole_number(1).argument,
        metavar="N",
        help="points for each rule of gradlab.pytest_plugin.rule_tests (default: 100)",
    )
    group.addoption(
        "--gradlab-seed",
        type=whole_number(0).argument,
        metavar="N",
        help="draws the points, upstream gradients and directions (default: 0)",
    )
    group.addoption(
        "--gradlab-timeout",
        type=SECONDS.argument,
        metavar="SECONDS",
        help="a rule of rule_tests that takes longer is an error (default: no limit)",
    )
    parser.addini(
        "gradlab_isolation",
        "check the rules of gradlab.pytest_plugin.rule_tests in a process of their own (default: true)",
        type="bool",
        default=True,
    )
    parser.addini(
        "gradlab_inconclusive",
        "what an inconclusive verdict does to a gradlab test: fail, skip or warn (default: fail)",
        default="fail",
    )


def configure(config: pytest.Config) -> None:
    """Register the marker and read the policy."""
    config.addinivalue_line(
        "markers",
        "gradlab(max_examples, seed, rtol): what the fixture gradcheck (seed, rtol) and rule tests (all "
        "three) use in this test, unless the call says otherwise.",
    )
    policy = config.getini("gradlab_inconclusive")
    if policy not in POLICIES:
        raise pytest.UsageError(f"gradlab_inconclusive is {policy!r}; expected one of {', '.join(POLICIES)}")
    config.stash[POLICY] = policy


def raises_undecided(config: pytest.Config) -> bool:
    """Whether an inconclusive verdict fails a test, as it does without the plugin."""
    return config.stash.get(POLICY, "fail") == "fail"


MARKER_ARGUMENTS = {"max_examples": whole_number(1), "seed": whole_number(0), "rtol": FRACTION}


def settings_of(config: pytest.Config, item: pytest.Item | None) -> dict[str, Any]:
    """Return what the options and, over them, the markers of a test set; the closest marker wins."""
    options = {name: config.getoption(f"gradlab_{name}", None) for name in ("max_examples", "seed")}
    settings = {name: value for name, value in options.items() if value is not None}
    for marker in reversed(list(item.iter_markers("gradlab")) if item is not None else []):
        settings |= marker.kwargs
    return settings


def refuse_bad_markers(item: pytest.Item) -> None:
    """Fail a test whose marker cannot be read."""
    for marker in item.iter_markers("gradlab"):
        wrong = [f"the positional argument {value!r}" for value in marker.args]
        for name, value in marker.kwargs.items():
            if name not in MARKER_ARGUMENTS or not MARKER_ARGUMENTS[name].accepts(value):
                wrong.append(f"{name}={value!r}")
        if wrong:
            known = ", ".join(f"{name} ({kind.expected})" for name, kind in MARKER_ARGUMENTS.items())
            pytest.fail(f"the marker gradlab was given {', '.join(wrong)}; expected {known}", pytrace=False)
