"""A whole run as a JUnit file, which most systems for continuous integration show."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from gradlab.reporters.text import render
from gradlab.runs import Outcome, Run, Status

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # by XML 1.0
ELEMENTS = {
    Status.FAIL: "failure",
    Status.UNEXPECTED_PASS: "failure",
    Status.INCONCLUSIVE: "failure",  # JUnit has no word for it, and it does not pass
    Status.ERROR: "error",
    Status.KNOWN_FAILURE: "skipped",
}


def render_junit(run: Run) -> str:
    """Return the run as XML; what concerns no single rule is a test case that is called ``gradlab``.

    >>> "1" == ElementTree.fromstring(
    ...     render_junit(Run((), ("there is no file a.py",), {"seed": 0}, 0.0, 0))
    ... ).get("errors")
    True
    """
    failures = len(run.having(*(status for status, name in ELEMENTS.items() if name == "failure")))
    suite = ElementTree.Element(
        "testsuite",
        name="gradlab",
        tests=str(len(run.outcomes) + len(run.problems)),
        failures=str(failures),
        errors=str(len(run.having(Status.ERROR)) + len(run.problems)),
        skipped=str(len(run.having(Status.KNOWN_FAILURE))),
        time=f"{run.seconds:.3f}",
    )
    for outcome in run.outcomes:
        _add(suite, outcome)
    for problem in run.problems:
        case = ElementTree.SubElement(suite, "testcase", classname="gradlab", name="gradlab")
        _say(case, "error", problem.splitlines()[0], problem)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: ElementTree.Element, outcome: Outcome) -> None:
    rule, report, error = outcome.rule, outcome.report, outcome.error
    seconds = report.seconds if report is not None else 0.0
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_allowed(str(rule.target)),
        name=_allowed(rule.name),
        time=f"{seconds:.3f}",
    )
    if rule.file is not None:
        case.set("file", _allowed(rule.file))
        case.set("line", str(rule.line))
    if outcome.status in ELEMENTS:
        text = render(report) if report is not None else error.stack if error is not None else ""
        _say(case, ELEMENTS[outcome.status], outcome.headline, text)


def _say(case: ElementTree.Element, name: str, message: str, text: str) -> None:
    ElementTree.SubElement(case, name, message=_allowed(message)).text = _allowed(text)


def _allowed(text: str) -> str:
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
