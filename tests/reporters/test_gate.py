"""A whole run: as text, as JSON, and for GitHub."""

import json
import math
from dataclasses import replace

import pytest

from gradlab import gradcheck
from gradlab.report import Cause, Verdict
from gradlab.reporters import github
from gradlab.reporters import json as json_reporter
from gradlab.reporters.overview import overview
from gradlab.run import Outcome, Run, Status

POINT = 2.0


def report(name, slope, **changes):
    checked = gradcheck(
        lambda x: x * x, lambda dy, x: slope * x * dy, POINT, name=name, raise_exception=False
    )
    return replace(checked, **{"causes": (), **changes})


RIGHT = Outcome(report("right", 2.0, seconds=0.5), "shop", None, "shop.py", 3)
WRONG = Outcome(report("wrong", 2.5, seconds=2.0), "shop", None, "shop.py", 7)
WORSE = Outcome(report("worse", -2.0, seconds=1.0), "shop", None, "shop.py", 9)
UNCLEAR = Outcome(
    replace(report("unclear", 2.0), verdict=Verdict.INCONCLUSIVE, reason="no time"),
    "shop",
    None,
    "shop.py",
    11,
)
KNOWN = Outcome(report("known", 2.5), "shop", "a | to be derived", "shop.py", 13)
FORGOTTEN = Outcome(report("forgotten", 2.0), "shop", "was wrong", "shop.py", 15)


def run_of(*outcomes, problems=(), interrupted=False):
    return Run(outcomes, problems, {"seed": 5, "jobs": 1}, 1.25, interrupted)


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
        ([], [], 2),
    ],
)
def test_exit_code(outcomes, problems, code):
    assert run_of(*outcomes, problems=problems).exit_code == code
    assert run_of(*outcomes, problems=problems, interrupted=True).exit_code == 130


def test_known_failure_that_is_inconclusive_is_still_one_and_says_so():
    outcome = replace(UNCLEAR, known_failure="noisy")
    assert outcome.status is Status.KNOWN_FAILURE
    assert outcome.headline == "noisy (this time inconclusive)"


def test_summary_counts_every_status():
    assert run_of(RIGHT, RIGHT, WRONG, UNCLEAR, KNOWN, FORGOTTEN).summary() == (
        "6 rules: 2 pass, 1 fail, 1 inconclusive, 1 known failure, 1 unexpected pass"
    )


def test_text_has_the_table_then_failures_then_known_ones_then_the_counts():
    text = overview(run_of(RIGHT, WRONG, KNOWN, FORGOTTEN, UNCLEAR))
    table, wrong, unclear, listed, summary = text.split("\n\n")
    assert [line.split()[0] for line in table.splitlines()] == [
        "rule",
        "right",
        "wrong",
        "forgotten",
        "unclear",
    ]
    assert wrong.startswith("FAIL wrong: gradient of x is wrong")
    assert unclear.startswith("INCONCLUSIVE unclear: no time")
    assert listed.splitlines() == [
        "XPASS forgotten: it passes, so known_failure='was wrong' has to be removed from the rule",
        "XFAIL known: known failure: a | to be derived",
    ]
    assert summary.startswith("5 rules: 1 pass, 1 fail")
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
    text = json_reporter.render(run_of(RIGHT, odd, KNOWN, problems=("there is no file ½.py",)))
    document = json.loads(text, parse_constant=lambda constant: pytest.fail(f"a bare {constant}"))
    assert list(document) == [
        "schema_version", "environment", "seed", "settings", "reports", "counts", "problems", "seconds",
        "exit_code",
    ]  # fmt: skip
    assert document["settings"] == {"seed": 5, "jobs": 1}
    assert document["counts"] == {
        "pass": 1, "fail": 1, "inconclusive": 0, "known_failure": 1, "unexpected_pass": 0,
    }  # fmt: skip
    assert [one["name"] for one in document["reports"]] == ["right", "wrong", "known"]
    assert document["reports"][2]["gate"] == {
        "status": "known_failure",
        "target": "shop",
        "known_failure": "a | to be derived",
        "file": "shop.py",
        "line": 13,
    }
    assert document["problems"] == ["there is no file ½.py"]
    assert document["exit_code"] == 2
    assert text.isascii()
    assert text.endswith("}\n")
    assert {"gradlab", "python", "numpy", "scipy", "hypothesis"} <= set(document["environment"])


def test_json_keeps_what_the_report_says_of_itself():
    document = json.loads(json_reporter.render(run_of(WRONG)))
    said = json.loads(json.dumps(WRONG.report.to_dict()))
    assert {key: value for key, value in document["reports"][0].items() if key != "gate"} == said


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
        report=replace(WRONG.report, name="a,b:c%\nd", reason="1 %: x,\r\n::error::y"),
        file="odd,\n:%.py",
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
    nowhere = replace(WRONG, file=None, line=None)
    assert github.annotate(run_of(nowhere)).startswith("::error title=gradlab%3A wrong::gradient")


def test_only_the_ten_worst_are_annotated_and_the_rest_counted():
    many = [replace(WRONG, report=report(f"r{k}", 2.0 + k)) for k in range(1, 13)]
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
    odd = replace(WRONG, report=replace(WRONG.report, name="a|b_<c>\n`d`", reason="bad"))
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
