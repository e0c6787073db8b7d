"""A whole run: as text, as JSON, and for GitHub."""

import json
import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from gradlab import gradcheck
from gradlab.report import Cause, Finding, Verdict
from gradlab.reporters import github
from gradlab.reporters import json as json_reporter
from gradlab.reporters.junit import render_junit
from gradlab.reporters.overview import overview
from gradlab.reporters.style import Style
from gradlab.runs import ErrorKind, Listed, Outcome, RuleError, Run, Status

POINT = 2.0
CALL = "from shop import crashed as rule\ngradlab.verify(rule, rng=0)"


def report(name, slope, **changes):
    checked = gradcheck(
        lambda x: x * x, lambda dy, x: slope * x * dy, POINT, name=name, raise_exception=False
    )
    return replace(checked, **{"causes": (), **changes})


def outcome(found, line, known_failure=None):
    return Outcome(Listed(found.name, "shop", 0, known_failure, "shop.py", line), found)


RIGHT = outcome(report("right", 2.0, seconds=0.5), 3)
WRONG = outcome(report("wrong", 2.5, seconds=2.0), 7)
WORSE = outcome(report("worse", -2.0, seconds=1.0), 9)
UNCLEAR = outcome(replace(report("unclear", 2.0), verdict=Verdict.INCONCLUSIVE, reason="no time"), 11)
KNOWN = outcome(report("known", 2.5), 13, ("wrong-gradient", "a | to be derived"))
FORGOTTEN = outcome(report("forgotten", 2.0), 15, ("wrong-gradient", "was wrong"))


CRASHED = Outcome(
    Listed("crashed", "shop", 1, None, "shop.py", 17),
    None,
    RuleError(
        ErrorKind.ENDED, "its process was ended by SIGSEGV", 'File "shop.py", line 18, in forward', CALL
    ),
)


def run_of(*outcomes, problems=(), interrupted=False):
    settings = {"seed": 5, "jobs": 1, "max-examples": 100}
    return Run(outcomes, problems, settings, 1.25, len(outcomes), interrupted)


@pytest.mark.parametrize(
    ("outcomes", "problems", "code"),
    [
        ([RIGHT], [], 0),
        ([RIGHT, KNOWN], [], 0),
        ([KNOWN], [], 0),
        ([RIGHT, WRONG, UNCLEAR], [], 1),
        ([RIGHT, FORGOTTEN, UNCLEAR], [], 1),
        ([RIGHT, UNCLEAR], [], 3),
        ([RIGHT, WRONG], ["there is no file a.py"], 2),
        ([RIGHT, WRONG, CRASHED], [], 2),
        ([], [], 2),
    ],
)
def test_exit_code(outcomes, problems, code):
    assert run_of(*outcomes, problems=problems).exit_code == code
    assert run_of(*outcomes, problems=problems, interrupted=True).exit_code == 130


@pytest.mark.parametrize(
    ("found", "kind", "status"),
    [
        (WRONG, "wrong-gradient", Status.KNOWN_FAILURE),
        (WRONG, "mutates-input", Status.FAIL),
        (WRONG, "inconclusive", Status.FAIL),
        (UNCLEAR, "inconclusive", Status.KNOWN_FAILURE),
        (UNCLEAR, "wrong-gradient", Status.INCONCLUSIVE),
        (RIGHT, "wrong-gradient", Status.UNEXPECTED_PASS),
        (CRASHED, "wrong-gradient", Status.ERROR),
    ],
)
def test_known_failure_excuses_its_own_kind_alone(found, kind, status):
    assert replace(found, rule=replace(found.rule, known_failure=(kind, "to do"))).status is status


def test_known_failure_with_another_beside_it_is_a_failure():
    also = Finding("contract", "x", "mutates-input", "backward writes to x")
    both = replace(KNOWN, report=replace(KNOWN.report, findings=(*KNOWN.report.findings, also)))
    assert both.status is Status.FAIL
    note = "known_failure is for wrong-gradient (a | to be derived); this is mutates-input, wrong-gradient"
    assert note in overview(run_of(both))


def test_summary_counts_every_status():
    assert run_of(RIGHT, RIGHT, WRONG, UNCLEAR, KNOWN, FORGOTTEN).summary() == (
        "6 rules: 2 pass, 1 fail, 1 inconclusive, 1 known failure, 1 unexpected pass"
    )


def test_text_has_the_table_then_failures_then_known_ones_then_the_counts():
    text = overview(run_of(RIGHT, WRONG, KNOWN, FORGOTTEN, UNCLEAR, CRASHED))
    table, wrong, unclear, crashed, listed, summary = text.split("\n\n")
    assert [line.split()[:2] for line in table.splitlines()] == [
        ["rule", "verdict"],
        ["right", "PASS"],
        ["wrong", "FAIL"],
        ["known", "XFAIL"],
        ["forgotten", "XPASS"],
        ["unclear", "INCONCLUSIVE"],
        ["crashed", "ERROR"],
    ]
    assert wrong.startswith("FAIL wrong: gradient of x is wrong")
    assert unclear.startswith("INCONCLUSIVE unclear: no time")
    assert listed.splitlines() == [
        "XPASS forgotten: it passes, so known_failure=('wrong-gradient', 'was wrong') has to be removed from "
        "the rule",
        "XFAIL known: known failure: a | to be derived",
    ]
    assert crashed.splitlines() == [
        "ERROR crashed: its process was ended by SIGSEGV",
        "  where it was, most recent call last:",
        '    File "shop.py", line 18, in forward',
        "  reproduce:",
        "import gradlab",
        "from shop import crashed as rule",
        "gradlab.verify(rule, rng=0)",
    ]
    assert summary.startswith("6 rules: 1 pass, 1 fail, 1 inconclusive, 1 error")
    assert summary.endswith(" in 1.2 s, seed 5")


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (2, ["slowest 2:", "  2.00 s  wrong", "  1.00 s  worse"]),
        (0, ["durations, slowest first:", "  2.00 s  wrong", "  1.00 s  worse", "  0.50 s  right"]),
    ],
)
def test_durations_are_listed_when_asked_for(most, expected):
    run = run_of(RIGHT, WRONG, WORSE)
    assert "\n".join(expected) + "\n\n" in overview(run, durations=most)
    assert " s  wrong" not in overview(run)


def test_json_has_everything_and_no_bare_infinity():
    infinite = replace(WRONG.report.inputs[0], resolution=math.inf)
    odd = replace(WRONG, report=replace(WRONG.report, inputs=(infinite,), seconds=math.nan))
    text = json_reporter.render(run_of(RIGHT, odd, KNOWN, CRASHED, problems=("there is no file ½.py",)))
    document = json.loads(text, parse_constant=lambda constant: pytest.fail(f"a bare {constant}"))
    assert list(document) == [
        "schema_version", "environment", "seed", "settings", "selected", "reports", "errors", "counts",
        "problems", "notes", "seconds", "exit_code",
    ]  # fmt: skip
    assert document["settings"] == {"seed": 5, "jobs": 1, "max-examples": 100}
    assert document["counts"] == {
        "pass": 1, "fail": 1, "inconclusive": 0, "error": 1, "known_failure": 1, "unexpected_pass": 0,
    }  # fmt: skip
    assert [one["name"] for one in document["reports"]] == ["right", "wrong", "known"]
    assert document["reports"][2]["gate"] == {
        "status": "known_failure",
        "target": "shop",
        "known_failure": {"kind": "wrong-gradient", "reason": "a | to be derived"},
        "file": "shop.py",
        "line": 13,
    }
    assert document["selected"] == len(document["reports"]) + len(document["errors"])
    (error,) = document["errors"]
    assert {key: error[key] for key in ("name", "kind", "message", "call")} == {
        "name": "crashed", "kind": "ended", "message": "its process was ended by SIGSEGV", "call": CALL,
    }  # fmt: skip
    assert document["problems"] == ["there is no file ½.py"]
    assert document["exit_code"] == 2
    assert text.isascii()
    assert text.endswith("}\n")
    assert {"gradlab", "python", "numpy", "scipy", "hypothesis"} <= set(document["environment"])


def test_json_keeps_what_the_report_says_of_itself():
    document = json.loads(json_reporter.render(run_of(WRONG)))
    said = json.loads(json.dumps(WRONG.report.to_dict()))
    assert {
        key: value for key, value in document["reports"][0].items() if key not in ("gate", "raised")
    } == said


def test_annotation_is_an_error_at_the_line_of_backward():
    assert github.annotate(run_of(RIGHT, WRONG, KNOWN)) == (
        f"::error file=shop.py,line=7,title=gradlab%3A wrong::{WRONG.report.reason}"
    )


def test_inconclusive_is_a_warning_and_an_unexpected_pass_an_error():
    first, second = github.annotate(run_of(UNCLEAR, FORGOTTEN)).splitlines()
    assert first.startswith(
        "::error file=shop.py,line=15,title=gradlab%3A forgotten::it passes, so known_failure="
    )
    assert second == "::warning file=shop.py,line=11,title=gradlab%3A unclear::no time"


def test_what_would_end_a_command_is_escaped():
    odd = replace(
        WRONG,
        rule=replace(WRONG.rule, name="a,b:c%\nd", file="odd,\n:%.py"),
        report=replace(WRONG.report, reason="1 %: x,\r\n::error::y"),
    )
    assert github.annotate(run_of(odd)) == (
        "::error file=odd%2C%0A%3A%25.py,line=7,title=gradlab%3A a%2Cb%3Ac%25%0Ad::1 %25: x,%0D%0A::error::y"
    )


def test_cause_and_place_are_part_of_the_annotation():
    found = replace(
        WRONG.report,
        causes=(Cause("factor", "1.25 times too large", "x"), Cause("other", "less simple", "x")),
        inputs=(replace(WRONG.report.inputs[0], size=6, wrong_count=2, where="x[:, 1]"),),
    )
    marks = github.annotate(run_of(replace(WRONG, report=found)))
    assert marks.endswith("%0A1.25 times too large%0Awrong: x[:, 1]")


def test_place_is_left_out_of_the_annotation_where_all_is_wrong():
    found = replace(WRONG.report, inputs=(replace(WRONG.report.inputs[0], where="every entry"),))
    assert "every entry" not in github.annotate(run_of(replace(WRONG, report=found)))


def test_rule_without_a_file_is_annotated_without_one():
    nowhere = replace(WRONG, rule=replace(WRONG.rule, file=None, line=None))
    assert github.annotate(run_of(nowhere)).startswith("::error title=gradlab%3A wrong::gradient")


def test_only_the_ten_worst_are_annotated_and_the_rest_counted():
    many = [outcome(report(f"r{k}", 2.0 + k), 7) for k in range(1, 13)]
    lines = github.annotate(run_of(UNCLEAR, *many, RIGHT)).splitlines()
    titles = [line.split("title=gradlab%3A ")[1].split("::")[0] for line in lines[:-1]]
    assert titles == [f"r{k}" for k in range(12, 2, -1)]
    assert lines[-1].startswith("::notice title=gradlab::3 more not annotated")


def test_problems_come_first():
    lines = github.annotate(run_of(WRONG, problems=("there is no file a.py",))).splitlines()
    assert lines[0] == "::error title=gradlab::there is no file a.py"
    assert len(lines) == 2


def test_nothing_is_annotated_when_all_is_well():
    assert github.annotate(run_of(RIGHT, KNOWN)) == ""


def test_page_has_a_row_for_what_is_not_right_and_escapes_names():
    odd = outcome(replace(WRONG.report, name="a|b_<c>\n`d`", reason="bad"), 7)
    page = github.page(run_of(RIGHT, odd, UNCLEAR, KNOWN, problems=("no file *.py",)))
    assert "### gradlab: 4 rules: 1 pass, 1 fail, 1 inconclusive, 1 known failure" in page
    assert "| a\\|b\\_\\<c\\> \\`d\\` | fail | bad | shop.py:7 |" in page
    assert "| known | known failure | a \\| to be derived | shop.py:13 |" in page
    assert "| right |" not in page
    assert "- no file \\*.py" in page
    assert page.endswith("1.2 s, seed 5, exit code 2\n")


def test_page_without_trouble_has_no_table():
    assert github.page(run_of(RIGHT)) == "### gradlab: 1 rule: 1 pass\n\n1.2 s, seed 5, exit code 0\n"


def test_page_says_the_cause_of_what_fails_but_not_of_what_is_known():
    causes = (Cause("factor", "1.25 times too large", "x"), Cause("other", "less simple", "x"))
    failed, known = (replace(one, report=replace(one.report, causes=causes)) for one in (WRONG, KNOWN))
    page = github.page(run_of(failed, known))
    assert "; cause: 1.25 times too large | shop.py:7 |" in page
    assert page.count("cause:") == 1


def test_columns_of_the_table_are_aligned():
    header, right, wrong = overview(run_of(RIGHT, WRONG)).splitlines()[:3]
    assert header.index("points") + len("points") == right.index(" 1 ") + 2
    assert len(right) == len(header) == len(wrong)


def test_table_keeps_to_the_width_and_to_its_columns_in_colour():
    long = replace(RIGHT, rule=replace(RIGHT.rule, name="a_very_long_name_of_a_rule" * 5))
    plain = overview(run_of(long, WRONG), style=Style(width=80)).split("\n\n")[0]
    assert max(map(len, plain.splitlines())) <= 80
    colored = overview(run_of(long, WRONG), style=Style(width=80, color=True)).split("\n\n")[0]
    assert colored.replace("\033[1;31m", "").replace("\033[1;32m", "").replace("\033[0m", "") == plain


def test_error_is_annotated_first_with_where_it_was():
    first, _ = github.annotate(run_of(WRONG, CRASHED)).splitlines()
    assert first == (
        "::error file=shop.py,line=17,title=gradlab%3A crashed::its process was ended by SIGSEGV%0A"
        'File "shop.py", line 18, in forward'
    )


def test_junit_has_a_case_for_each_rule():
    text = render_junit(run_of(RIGHT, WRONG, UNCLEAR, KNOWN, FORGOTTEN, CRASHED, problems=("no\x00file",)))
    suite = ElementTree.fromstring(text)
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "7", "failures": "3", "errors": "2", "skipped": "1",
    }  # fmt: skip
    assert [[child.tag for child in case] for case in suite] == [
        [], ["failure"], ["failure"], ["skipped"], ["failure"], ["error"], ["error"],
    ]  # fmt: skip
    assert "FAIL wrong: gradient of x is wrong" in suite[1][0].text
