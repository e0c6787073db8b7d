"""The JSON schema of reports, and that reports are as it says."""

import json

import numpy as np
import pytest

from gradlab import Rule, gradcheck, verify
from gradlab.reporters.json import render, schema
from gradlab.runs import ErrorKind, Listed, Options, Outcome, Run, Status
from gradlab.runs.config import Settings
from gradlab.runs.one import check

jsonschema = pytest.importorskip("jsonschema", reason="the extra gradlab-verify[test] brings jsonschema")

X = np.array([1.0, 2.0])
RULES = [
    Rule("right", lambda x: x * x, lambda dy, x: 2 * x * dy, "(n)"),
    Rule("wrong", lambda x: x * x, lambda dy, x: x * dy, "(n)", known_failure=("wrong-gradient", "to do")),
    Rule("blind", lambda x: 1e20 + x.sum(), lambda dy, x: dy * np.ones_like(x), (X,)),
    Rule("infinite", lambda x: x, lambda dy, x: dy * np.inf, (X,)),
    Rule("raises", lambda x: x, lambda dy, x: {}[0], (X,)),
    Rule("malformed", lambda x: x, lambda dy, x: dy, "n,d"),
    Rule("called wrongly", lambda x: x, lambda dy: dy, (X,)),
]


def validator(of=None):
    whole = schema()
    jsonschema.Draft202012Validator.check_schema(whole)
    part = {} if of is None else {"$ref": f"#/$defs/{of}", "$defs": whole["$defs"]}
    return jsonschema.Draft202012Validator(part or whole)


@pytest.fixture(scope="module")
def document():
    outcomes = []
    for position, rule in enumerate(RULES):
        result = check(rule, Options(max_examples=3))
        listed = Listed(rule.name, "shop", position, rule.known_failure)
        outcomes.append(Outcome(listed, result.report, result.error, result.raised))
    settings = {**Settings().as_written(), "k": ""}
    return json.loads(render(Run(tuple(outcomes), ("no file a.py",), settings, 1.0, len(outcomes))))


def test_run_is_as_the_schema_says(document):
    validator().validate(document)
    statuses = [one["gate"]["status"] for one in document["reports"] + document["errors"]]
    assert statuses == ["pass", "known_failure", "inconclusive", "fail", "fail", "error", "error"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("selected"),
        lambda document: document["reports"][0].pop("gate"),
        lambda document: document["reports"][0].update(verdict="perhaps"),
        lambda document: document["errors"][0].update(kind="crash"),
        lambda document: document["reports"][1]["inputs"][0]["worst"].update(error=None),
    ],
)
def test_schema_refuses_what_is_not_so(spoil, document):
    spoiled = json.loads(json.dumps(document))
    spoil(spoiled)
    assert not validator().is_valid(spoiled)


def test_report_by_itself_is_as_the_schema_says():
    for report in (
        gradcheck(np.sin, lambda dy, x: dy * np.cos(x), X),
        gradcheck(np.sin, None, X, jvp=lambda dx, x: dx * np.sin(x), raise_exception=False),
        verify(RULES[1], max_examples=3, raise_exception=False),
    ):
        validator("report").validate(json.loads(json.dumps(report.to_dict(), allow_nan=False)))


def test_schema_knows_every_word():
    known = schema()["$defs"]
    assert known["error"]["properties"]["kind"]["enum"] == list(ErrorKind)
    assert known["gate"]["properties"]["status"]["enum"] == [str(one).replace(" ", "_") for one in Status]
