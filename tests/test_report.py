import ast
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

import gradlab
from gradlab import Cause, Report, Rule, Verdict, gradcheck, verify
from gradlab.report import KINDS, Entry, Finding, InputResult


def through_json(report):
    return json.loads(json.dumps(report.to_dict(), allow_nan=False))


def wrong_report():
    return gradcheck(np.tanh, lambda dy, x: dy * x, np.array([[0.5, 1.0]]), raise_exception=False)


def test_dict_has_the_report_s_own_names():
    report = wrong_report()
    data = through_json(report)
    for name in ("name", "verdict", "reason", "points", "notes", "forward_calls", "seed", "example", "call"):
        given = getattr(report, name)
        assert data[name] == (list(given) if isinstance(given, tuple) else given)
    assert data["findings"][0]["kind"] == "wrong-gradient"


def test_dict_names_its_schema_and_environment():
    data = through_json(wrong_report())
    assert data["schema_version"] == 1
    assert data["environment"]["gradlab"] == gradlab.__version__
    assert data["environment"]["numpy"] == np.__version__
    assert set(data["environment"]) == {"gradlab", "python", "numpy", "platform"}


def test_dict_has_indices_as_lists_and_the_error_of_the_worst_entry():
    report = wrong_report()
    result = through_json(report)["inputs"][0]
    assert result["wrong_entries"] == [[0, 0], [0, 1]]
    assert result["worst"]["index"] == list(report.inputs[0].worst.index)
    assert result["worst"]["error"] == report.inputs[0].worst.error


def test_dict_of_numbers_that_are_not_finite():
    entry = Entry(None, math.inf, float("nan"), -math.inf, 1.0)
    assert entry == Entry(None, math.inf, float("nan"), -math.inf, 1.0)
    assert entry != Entry(None, math.inf, 0.0, -math.inf, 1.0)
    result = InputResult("x", Verdict.FAIL, 1, 0, 0, (), entry, None)
    data = through_json(replace(wrong_report(), inputs=(result,)))
    worst = data["inputs"][0]["worst"]
    assert (worst["analytic"], worst["numeric"], worst["error_bar"]) == ("Infinity", "NaN", "-Infinity")
    assert worst["error"] == "Infinity"
    assert data["inputs"][0]["resolution"] is None


def test_dict_of_every_kind_of_report_is_json():
    def raising(dy, x):
        raise ValueError("\ud800 \x00")

    reports = [
        gradcheck(np.sin, lambda dy, x: dy * np.cos(x), np.array([0.5])),
        gradcheck(np.tanh, lambda dy, x: x * np.nan, np.ones(2), raise_exception=False),
        gradcheck(np.tanh, raising, np.ones(2), raise_exception=False),
        verify(Rule("cube", lambda x: x**3, lambda dy, x: x * dy, "(n)"), raise_exception=False),
    ]
    for report in reports:
        assert through_json(report)["verdict"] == report.verdict


def test_dict_is_plain_data():
    def types(value):
        yield type(value)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from types(item)

    report = replace(wrong_report(), causes=(Cause("factor", "twice", "x"),))
    assert set(types(report.to_dict())) <= {dict, list, str, int, float, bool, type(None)}


def test_report_made_by_hand_is_shown_in_every_form():
    finding = Finding("gradients", "x", "wrong-gradient", "wrong")
    result = InputResult("x", Verdict.FAIL, 10**6, 0, 1, (), None, None, where="x[3]")
    report = Report(
        name="rule",
        verdict=Verdict.FAIL,
        reason="wrong",
        inputs=(result,),
        findings=(finding,),
        causes=(),
        notes=(),
        points=1,
        points_passed=0,
        points_failed=1,
        example=None,
        forward_calls=1,
        backward_calls=1,
        seconds=0.0,
        seed=3,
    )
    assert str(report).splitlines() == [
        "FAIL rule: gradient of x is wrong",
        "  x  wrong at 1 of 1000000 entries: x[3]",
        "  reproduce with rng=3",
    ]
    assert "x[3]" in report._repr_html_()
    assert report.snippet is None
    assert through_json(report)["call"] is None


def test_kinds_are_those_that_checks_find():
    """Words of each call of `Finding`, and assignments to `kind`, are kinds; and all kinds are words.

    A word of which only the end is written, such as ``f"{word}-shape"``, is that of every kind that ends so.
    """
    found, written, ends = set(), set(), set()
    for path in Path(gradlab.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            words = []
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Finding", "finding"):
                words = [argument for argument in node.args[:3] if isinstance(argument, ast.Constant)]
                texts = [argument for argument in node.args[:3] if isinstance(argument, ast.JoinedStr)]
                last = [text.values[-1] for text in texts if isinstance(text.values[-1], ast.Constant)]
                ends |= {part.value for part in last if part.value.startswith("-")}
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "kind":
                words = [one for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
            elif isinstance(node, ast.Constant) and path.name != "report.py":
                written.add(node.value)
            found |= {word.value for word in words if isinstance(word.value, str)}
    assert {end for end in ends if not any(kind.endswith(end) for kind in KINDS)} == set()
    written |= {kind for kind in KINDS if kind.endswith(tuple(ends))}
    assert set(KINDS) - written == set()
    assert {word for word in found if "-" in word} - set(KINDS) == set()
