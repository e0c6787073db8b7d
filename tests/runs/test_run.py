"""`gradlab.run`: many rules, wherever they are defined."""

import importlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import gradlab
from gradlab import Rule, UsageError
from gradlab.runs import ErrorKind, Status, pickled
from gradlab.strategies import inputs

pytest.importorskip("cloudpickle")

FACTOR = 2.0


def times(x):
    return FACTOR * x


def make(name, forward=lambda x: x**2, backward=lambda dy, x: times(x) * dy, points="(n)", **more):
    return Rule(name, forward, backward, points, **more)


def run(*rules, **options):
    return gradlab.run(rules, **{"max_examples": 5, **options})


def test_reports_are_those_of_the_command_line_in_the_order_of_the_rules(write):
    write("shop.py")
    done = run("shop.py", make("doubled"), jobs=2)
    assert [outcome.rule.name for outcome in done.outcomes] == ["square", "cube", "blind", "doubled"]
    verdicts = [outcome.status for outcome in done.outcomes]
    assert verdicts == [Status.PASS, Status.FAIL, Status.INCONCLUSIVE, Status.PASS]
    assert done.reports[1].call.splitlines()[0].startswith("from shop import cube")
    assert (done.exit_code, bool(done), done.problems) == (1, False, ())
    assert repr(done) == "<Run 4 rules: 2 pass, 1 fail, 1 inconclusive>"
    assert repr(replace(done, problems=("there is no file a.py",))).endswith("1 inconclusive; 1 problem>")
    assert "4 rules: 2 pass, 1 fail, 1 inconclusive in " in str(done)


def test_closure_is_checked_as_it_is():
    factor = np.array([3.0])
    right = make("right", lambda x: factor * x, lambda dy, x: factor * dy)
    wrong = make("wrong", lambda x: factor * x, lambda dy, x: 2 * dy)
    done = run(right, wrong)
    assert [outcome.status for outcome in done.outcomes] == [Status.PASS, Status.FAIL]


def test_report_says_where_a_rule_that_was_sent_is_to_be_had(write, project, monkeypatch):
    write("shelf.py")
    monkeypatch.syspath_prepend(project)
    (sent,) = run(importlib.import_module("shelf").cube).outcomes
    (named,) = run("shelf:cube").outcomes
    assert "from shelf import cube as rule" in sent.report.call.splitlines()
    assert (sent.report, sent.rule.target) == (named.report, named.rule.target)


@pytest.mark.parametrize(
    "points",
    [
        "(n)",
        inputs("(n)"),
        st.tuples(arrays(float, 3, elements=st.floats(0.5, 1.0).filter(bool).map(abs))),
        (np.array([1.0, 2.0]),),
    ],
    ids=["signature", "gradlab", "hypothesis", "example"],
)
def test_points_of_every_kind_are_sent(points):
    assert run(make("square", points=points))


def test_rule_that_cannot_be_pickled_is_an_error_that_names_the_part_and_the_others_go_on():
    lock = threading.Lock()

    def guarded(x):
        with lock:
            return x

    done = run(make("locked", lambda x: 2 * guarded(x)), make("square"))
    assert done.outcomes[0].error.kind is ErrorKind.USAGE
    assert done.outcomes[0].headline == (
        "it cannot be sent to another process: its forward uses 'guarded', which uses 'lock', which "
        "cannot be pickled: TypeError: cannot pickle '_thread.lock' object"
    )
    assert done.outcomes[1].status is Status.PASS
    assert done.exit_code == 2


def test_without_cloudpickle_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(UsageError, match=r"pip install 'gradlab-verify\[run\]'"):
        run(make("square"))


def test_rule_that_hangs_or_ends_its_process_is_an_error_of_its_own():
    hangs = make("hangs", lambda x: threading.Event().wait(600))
    leaves = make("leaves", lambda x: os._exit(3))
    done = run(leaves, make("square"))
    assert [outcome.headline for outcome in done.outcomes] == [
        "its process ended by itself, with exit code 3, at the first point",
        "",
    ]
    late = run(hangs, timeout=1.0).outcomes[0]
    assert late.headline == "not done within the timeout of 1 s, at the first point"


def test_names_that_are_alike_and_targets_of_nothing_are_problems():
    done = run(make("square"), make("square"), "nothing.py")
    assert [outcome.status for outcome in done.outcomes] == [Status.PASS] * 2
    assert done.problems[0] == "there is no file nothing.py"
    assert done.problems[1].startswith("2 rules are called 'square', in ")
    assert done.exit_code == 2


def test_known_failure_is_known():
    wrong = make("wrong", backward=lambda dy, x: dy, known_failure=("wrong-gradient", "not yet"))
    assert run(wrong).counts[Status.KNOWN_FAILURE] == 1


def test_progress_is_told_of_each_outcome_and_ctrl_c_gives_what_is_known():
    def tell(outcome):
        told.append(outcome)
        raise KeyboardInterrupt

    told = []
    done = run(make("first"), make("second"), progress=tell)
    assert list(done.outcomes) == told
    assert (done.interrupted, done.selected, done.exit_code) == (True, 2, 130)
    assert done.problems == ("interrupted; 1 of 2 rules were checked",)


@pytest.mark.parametrize(
    ("rules", "options", "message"),
    [
        ([], {}, "no rules"),
        (make("square"), {}, r"run was given Rule\('square'\); expected a list of rules"),
        ([abs], {}, "among the rules; expected a Rule or a target"),
        ([make("square")], {"jobs": 0}, "jobs is 0; expected a whole number, at least 1, or auto"),
        ([make("square")], {"timeout": -1}, "timeout is -1; expected a positive number"),
        ([make("square")], {"timeout": 10**400}, "timeout is 10+; expected a positive number"),
        ([make("square")], {"progress": 3}, "progress is the int 3; expected a function"),
        ({"square": make("square")}, {}, "run was given {'square': .*; expected a list of rules"),
        ([make("square")], {"max_examples": 0}, "max_examples is 0; expected a whole number, at least 1"),
        ([make("square")], {"rtol": 2}, "rtol is 2; expected a number between 0 and 1"),
        ([make("square")], {"executor": 4}, "executor is 4; expected a concurrent.futures.Executor"),
    ],
)
def test_malformed_call_is_refused(rules, options, message):
    with pytest.raises(UsageError, match=message):
        gradlab.run(rules, **options)


def test_numbers_may_be_those_of_numpy():
    assert gradlab.run(
        [make("square")], max_examples=np.int64(2), rtol=np.float64(1e-6), max_seconds=np.float32(60)
    )


def test_client_of_dask_is_told_how_it_is_an_executor():
    class Client:
        def get_executor(self): ...

    with pytest.raises(UsageError, match=r"expected its client\.get_executor\(\)"):
        run(make("square"), executor=Client())


def test_threads_give_the_same_reports_and_share_no_process():
    rules = [make("square"), make("wrong", backward=lambda dy, x: dy), make("leaves", lambda x: os._exit(3))]
    with ThreadPoolExecutor(2) as executor:
        assert run(*rules, executor=executor).outcomes == run(*rules).outcomes


def test_what_is_installed_goes_by_name_and_what_is_not_goes_whole():
    by_name = pickled.pickled(make("tanh", np.tanh, gradlab.rules.tanh.backward), "there", None).data
    assert b"gradlab.rules.tanh" in by_name
    whole = pickled.pickled(make("times", times), "there", None).data
    assert b"FACTOR" in whole
