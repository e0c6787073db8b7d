"""``--html``: what commands write as pages."""

import sys

import pytest

from gradlab import verify
from gradlab.cli import main
from gradlab.cli._terminal import bar
from gradlab.cli.train import sparkline

jinja2 = pytest.importorskip("jinja2")

DYING = """
import os
import numpy as np
from gradlab import Rule

calls = 0

def forward(x):
    global calls
    calls += 1
    if calls > {calls}:
        os._exit(7)
    return np.sin(x)

rule = Rule("dying", forward, lambda dy, x: dy, (np.array([0.5]),))
"""


def test_verify_writes_a_page_into_a_folder_that_it_makes(write, project, capsys):
    write("shop.py")
    assert main(["verify", "shop", "--html", "reports/today"]) != 0
    page = (project / "reports/today/index.html").read_text(encoding="utf-8")
    for name in ("square", "cube", "blind"):
        assert f"<code>{name}</code>" in page
    assert "Heat map of x, 1 row of 2 cells: wrong at all 2 entries" in page


def test_verdict_stands_where_pictures_end_the_process(write, project, capsys):
    namespace = {}
    exec(DYING.format(calls=10**9), namespace)
    verify(namespace["rule"], raise_exception=False)
    write("dying.py", DYING.format(calls=namespace["calls"]))
    assert main(["verify", "dying.py", "--html", "out"]) == 1
    out, err = capsys.readouterr()
    assert "FAIL dying" in out
    assert err == ""


@pytest.mark.parametrize("command", [["verify", "shop"], ["explain", "linear"], ["train"]])
def test_without_jinja2_the_work_is_not_begun(command, write, monkeypatch, capsys):
    from gradlab.reporters.page import templates

    templates.cache_clear()
    write("shop.py")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main([*command, "--html", "out"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "gradlab-verify[html]" in err


def test_folder_that_is_a_file_is_refused(write, capsys):
    write("shop.py")
    write("out", "")
    assert main(["verify", "shop", "--html", "out"]) == 2
    assert "out is a file; expected a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("linear", "The contraction, for each entry of w"),
        ("neuron", "δ = dL/do · do/da = −0.8472: shared, computed once and used twice"),
        ("language_model", "embedding:"),
    ],
)
def test_explain_draws_the_derivation(rule, said, project, capsys):
    assert main(["explain", rule, "--html"]) == 0
    assert capsys.readouterr().out == f"{rule}.html is written\n"
    page = (project / f"{rule}.html").read_text(encoding="utf-8")
    assert said in page
    assert "is not" not in page


def test_bar_says_how_much_time_is_left():
    assert bar(0.0, 5.0) == "[--------------------]  "
    assert bar(0.5, 3.0) == "[##########----------] 0:03 left  "
    assert bar(1.5, 3.0) == "[####################] 0:00 left  "


def test_sparkline_goes_from_the_highest_to_the_lowest():
    assert sparkline([3.0, 3.0], width=2) == "▁▁"
    assert sparkline(list(range(120, 0, -1)), width=8) == "█▇▆▅▄▃▂▁"
