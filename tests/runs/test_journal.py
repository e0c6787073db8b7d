"""Runs that are ended and go on."""

import importlib
import os
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import strategies as st

import gradlab
from gradlab import Rule, UsageError, strategies
from gradlab.cli import main
from gradlab.runs import Status
from gradlab.runs.code import code_of

pytest.importorskip("cloudpickle")


def rules(count=3):
    wrong = Rule("wrong", lambda x: x**2, lambda dy, x: x * dy, "(n)")
    return [*(Rule(f"right {k}", lambda x: x, lambda dy, x: dy, "(n)") for k in range(count - 1)), wrong]


def run(rules, journal=None, **options):
    return gradlab.run(rules, journal=journal, **{"max_examples": 3, **options})


def rows(path):
    return sqlite3.connect(path).execute("SELECT position, said FROM reports ORDER BY position").fetchall()


def test_run_goes_on_where_it_was_ended_and_gives_an_equal_report(tmp_path):
    def end(outcome):
        raise KeyboardInterrupt

    path = tmp_path / "journal"
    assert run(rules(), path, progress=end).interrupted
    assert [position for position, _ in rows(path)] == [0]
    before = rows(path)
    second = run(rules(), path)
    assert second.outcomes == run(rules()).outcomes
    assert rows(path)[:1] == before
    assert run(rules(), path).outcomes == second.outcomes


def test_error_is_looked_at_again(tmp_path):
    path, left = tmp_path / "journal", tmp_path / "left"

    def forward(x):
        if not left.exists():
            left.touch()
            os._exit(3)
        return x

    leaves = [Rule("leaves", forward, lambda dy, x: dy, "(n)")]
    assert run(leaves, path).outcomes[0].status is Status.ERROR
    assert run(leaves, path).outcomes[0].status is Status.PASS


def test_row_that_was_spoilt_is_checked_again(tmp_path):
    path = tmp_path / "journal"
    first = run(rules(), path)
    with sqlite3.connect(path) as file:
        file.execute("UPDATE reports SET said = ? WHERE position = 1", (b"spoilt",))
    assert run(rules(), path).outcomes == first.outcomes
    assert b"spoilt" not in [said for _, said in rows(path)]


@pytest.mark.parametrize(
    ("again", "options", "what"),
    [
        (rules(2), {}, "the list of rules, the code of the rules are not"),
        (rules(), {"max_examples": 4}, "the set of options is not"),
        (rules(), {"rng": 1}, "the set of options is not"),
        (
            [*rules()[:2], Rule("wrong", lambda x: x**2, lambda dy, x: 2 * x * dy, "(n)")],
            {},
            "the code of the rules is not",
        ),
    ],
    ids=["rules", "points", "seed", "code"],
)
def test_journal_of_another_run_is_refused(again, options, what, tmp_path):
    path = tmp_path / "journal"
    run(rules(), path)
    with pytest.raises(UsageError, match=rf"journal .* is of another run: {what} the same"):
        run(again, path, **options)


class Power:
    def __init__(self, k):
        self.k = k

    def __call__(self, x):
        return x**self.k


def relu(inputs):
    return Rule("relu", lambda x: np.where(x > 0, x**2, 0), lambda dy, x: 2 * x * dy, inputs)


def power(k):
    return Rule("power", Power(k), lambda dy, x: 2 * x * dy, "(n)")


def referring(name, factor):
    other = Rule(name, lambda x: factor * x**2, Power(1), "(n)")
    return Rule("refers", lambda x: x**2, lambda dy, x: 2 * x * dy, "(n)", reference=other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: relu({"x": np.array([1.0, 2.0])}), lambda: relu({"x": np.array([-1.0, 2.0])})),
        (lambda: relu(np.array([1.0, 2.0])), lambda: relu(np.array([-1.0, 2.0]))),
        (lambda: power(2), lambda: power(3)),
        (lambda: relu(st.tuples(st.floats(1, 2))), lambda: relu(st.tuples(st.floats(-1, 2)))),
        (lambda: relu(strategies.inputs("(n)")), lambda: relu(strategies.inputs("(n,m)"))),
        (
            lambda: relu(strategies.inputs("(n)", elements=strategies.between(1, 2))),
            lambda: relu(strategies.inputs("(n)", elements=strategies.between(-1, 2))),
        ),
        (lambda: referring("trusted", 1.0), lambda: referring("trusted", 2.0)),
    ],
    ids=["dict", "array", "callable object", "strategy", "signature", "elements", "reference"],
)
def test_all_that_a_rule_is_made_of_is_its_code(one, other):
    assert code_of([one()]) == code_of([one()]) != code_of([other()])


def test_report_of_other_inputs_is_not_taken_for_this_one(tmp_path):
    path = tmp_path / "journal"
    assert run([relu({"x": np.array([1.0, 2.0])})], path)
    assert run([relu({"x": np.array([1.0, 2.0])})], path)
    with pytest.raises(UsageError, match="another run: the code of the rules is not the same"):
        run([relu({"x": np.array([-1.0, 2.0])})], path)


def test_use_of_a_strategy_does_not_change_what_it_is():
    rule = power(2)
    for inputs in (strategies.inputs("(n)"), st.integers(1, 3).map(lambda k: (np.ones(k),))):
        rule = Rule("power", Power(2), lambda dy, x: 2 * x * dy, inputs)
        before = code_of([rule])
        assert gradlab.verify(rule, max_examples=3)
        assert code_of([rule]) == before


def test_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "journal"
    path.write_text("no database, and long enough to be seen as none" * 20)
    with pytest.raises(UsageError, match="cannot be used: file is not a database"):
        run(rules(), path)
    with pytest.raises(UsageError, match="cannot be opened"):
        run(rules(), tmp_path)


def test_code_of_what_a_module_imports_is_part_of_its_own(write, project, monkeypatch):
    monkeypatch.syspath_prepend(project)
    write("inner.py", "def twice(x):\n    return 2 * x\n")
    write(
        "outer.py",
        "import inner\nfrom gradlab import Rule\n"
        "RULE = Rule('twice', lambda x: inner.twice(x), lambda dy, x: 2 * dy, '(n)')\n",
    )
    outer = importlib.import_module("outer")
    before = code_of([outer.RULE])
    assert code_of([outer.RULE]) == before
    write("inner.py", "def twice(x):\n    return 3 * x\n")
    assert code_of([outer.RULE]) != before


def test_command_that_is_killed_goes_on(write, capsys):
    write(
        "slow.py",
        "import time\nfrom gradlab import Rule\n\ndef forward(x):\n    time.sleep(0.02)\n    return x\n\n"
        "RULES = [Rule(f'slow {k}', forward, lambda dy, x: dy, '(n)') for k in range(4)]\n",
    )
    arguments = ["verify", "slow.py", "--max-examples", "3", "--journal", "journal"]
    with subprocess.Popen([sys.executable, "-m", "gradlab", *arguments], stdout=subprocess.PIPE) as process:
        assert any(b"slow 0" in line for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    kept = len(rows("journal"))
    assert 1 <= kept < 4
    assert main(arguments) == 0
    assert "4 rules: 4 pass" in capsys.readouterr().out
    assert len(rows("journal")) == 4
    assert main([*arguments[:3], "4", *arguments[4:]]) == 2
    assert "is of another run: the set of options is not the same" in capsys.readouterr().err
