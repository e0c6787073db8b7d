"""Many rules, in this process and in others."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradlab.report import Verdict
from gradlab.run import Options, check_all
from gradlab.run.targets import collect, importable

MIXED = """
import os, subprocess, time
from pathlib import Path
from gradlab import Rule

def make(name, forward=lambda x: x):
    return Rule(name, forward, lambda dy, x: dy, "(n)")

def mark(x, process=None):
    Path(f"started-{process or os.getpid()}").touch()
    return x

def late(x):
    time.sleep(0.05)
    return x

first = make("first", late)
wrong = Rule("wrong", lambda x: x * x, lambda dy, x: 3 * x * dy, "(n)")
none = make("none", lambda x: None)
last = make("last")
def start(x):
    with subprocess.Popen(["sleep", "600"]) as started:
        mark(x, started.pid)

sleeper = make("sleeper", lambda x: time.sleep(600))
starter = make("starter", start)
crash = make("crash", lambda x: os.abort())
leaver = make("leaver", lambda x: os._exit(3))
marked = [make(f"marked {k}", lambda x: time.sleep(600 if mark(x) is x else 0)) for k in range(2)]
"""


@pytest.fixture
def checked(write, project):
    """Check some rules, and return what came of them in the order in which it came."""
    write("mixed.py", MIXED)

    def checked(*names, points=5, **options):
        with importable(project):
            found, problems = collect([f"mixed:{name}" for name in names])
            assert problems == []
            results = {}
            check_all(
                found,
                Options(max_examples=points),
                point=lambda *_: None,
                done=results.__setitem__,
                **options,
            )
        return results

    return checked


def test_reports_do_not_depend_on_the_number_of_processes(checked):
    names = ("wrong", "none", "last")
    alone = checked(*names)
    together = checked(*names, jobs=2)
    assert sorted(together) == [0, 1, 2]
    assert {k: together[k] for k in alone} == alone
    assert alone[0].report.failed
    assert alone[1].report is None
    assert alone[2].report.passed
    assert "rule 'none': forward returned None" in alone[1].problem


def test_rule_that_hangs_is_inconclusive_and_the_others_go_on(checked):
    results = checked("sleeper", "last", timeout=1.0)
    assert results[0].report.verdict is Verdict.INCONCLUSIVE
    assert results[0].report.reason == "not done within the timeout of 1 s, at the first point"
    assert results[0].report.name == "sleeper"
    assert results[1].report.passed


def test_rule_that_was_stopped_is_reproduced_by_the_check_of_the_rule(checked):
    report = checked("leaver", jobs=2, timeout=60.0)[0].report
    assert report.example is None
    assert str(report).splitlines()[1:] == [
        "  reproduce:",
        "    import gradlab",
        "    from mixed import leaver as rule",
        "    gradlab.verify(rule, max_examples=5, rng=0)",
    ]
    pasted = subprocess.run([sys.executable, "-c", report.snippet], capture_output=True, check=False)
    assert pasted.returncode == 3  # as the rule has it


def test_rule_that_is_slow_from_point_to_point_exceeds_the_timeout_too(checked):
    reason = checked("last", points=10**9, timeout=1.0)[0].report.reason
    assert reason.startswith("not done within the timeout of 1 s, after ")
    assert reason.endswith(" points")


def test_rule_within_the_timeout_passes(checked):
    assert checked("last", timeout=600.0)[0].report.passed


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("crash", "its process was ended by SIGABRT, at the first point"),
        ("leaver", "its process ended by itself, with exit code 3, at the first point"),
    ],
)
def test_rule_that_ends_its_process_is_inconclusive_and_the_others_go_on(name, reason, checked):
    results = checked(name, "last", jobs=2)
    assert results[0].report.reason == reason
    assert results[0].report.inconclusive
    assert results[1].report.passed


def test_progress_counts_the_points_of_each_rule(write, project):
    write("mixed.py", MIXED)
    said = []
    with importable(project):
        found, _ = collect(["mixed:last", "mixed:wrong"])
        check_all(
            found,
            Options(max_examples=3),
            jobs=2,
            point=lambda *at: said.append(at),
            done=lambda *_: None,
        )
    assert [points for position, points in said if position == 0] == [1, 2, 3]
    assert (1, 1) in said


def test_module_that_is_another_when_imported_again_is_told(write, project):
    write("fickle.py", f"{MIXED}\nRULES = [make(str(os.getpid()))]\n")
    results = {}
    with importable(project):
        found, _ = collect(["fickle:RULES"])
        check_all(found, Options(), timeout=60.0, point=lambda *_: None, done=results.__setitem__)
    assert "is not number 1 of fickle:RULES when that is imported again" in results[0].problem


def test_defect_of_gradlab_concerns_one_rule(checked, monkeypatch):
    def verify(rule, **options):
        raise ZeroDivisionError(rule.name)

    monkeypatch.setattr("gradlab.run.one.verify", verify)
    problem = checked("last", "wrong")[1].problem
    assert problem.startswith("rule 'wrong' could not be checked, by a defect of gradlab: ZeroDivisionError")
    assert "Traceback" in problem


def start(*arguments):
    command = [sys.executable, "-m", "gradlab", "verify", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(count):
    while len(list(Path.cwd().glob("started-*"))) < count:
        time.sleep(0.05)


def end_of(process):
    """Wait until the process and all that hold its standard output or error have ended; else this fails."""
    with process:
        try:
            return process.communicate(timeout=60)
        finally:
            process.kill()


def test_order_is_that_of_the_rules_whatever_finishes_first(write):
    write("mixed.py", MIXED)
    out, _ = end_of(start("mixed:first", "mixed:last", "--jobs", "2", "--max-examples", "1"))
    assert [row.split()[0] for row in out.splitlines()[1:3]] == ["first", "last"]


def test_ctrl_c_leaves_no_process_behind(write):
    write("mixed.py", MIXED)
    process = start("mixed:last", "mixed:marked", "--jobs", "2", "--max-examples", "2")
    wait_for(2)
    process.send_signal(signal.SIGINT)
    out, err = end_of(process)
    assert process.returncode == 130
    assert "gradlab: interrupted; 1 of 3 rules were checked" in err
    assert "1 rule: 1 pass" in out
    assert "Traceback" not in err
    assert outliving() == []


def outliving():
    """Return which of the processes that marked their start are alive, once their end has had its time."""
    patience = time.monotonic() + 10  # a process closes its output a moment before it is gone
    started = [int(path.name.removeprefix("started-")) for path in Path.cwd().glob("started-*")]
    assert started
    while (left := [process for process in started if alive(process)]) and time.monotonic() < patience:
        time.sleep(0.05)
    return left


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # gone since, or a system that has no such files
        return not Path("/proc/self/stat").exists()
    return state not in "ZX"  # a zombie has ended; that nobody has asked for its exit code is no matter


def test_zombie_is_not_alive():
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert alive(process.pid)
        process.stdin.close()
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # leaves it a zombie
            assert not Path("/proc/self/stat").exists() or not alive(process.pid)
    assert not alive(process.pid)


def test_killed_command_leaves_no_process_behind(write):
    write("mixed.py", MIXED + "RULES = [marked[0], make('both', lambda x: starter.forward(mark(x)))]\n")
    process = start("mixed:RULES", "--jobs", "2")
    wait_for(3)
    process.kill()
    end_of(process)
    assert process.returncode == -signal.SIGKILL
    assert outliving() == []


def test_ctrl_c_twice_leaves_no_process_behind(write):
    write("mixed.py", MIXED)
    process = start("mixed:last", "mixed:marked", "--timeout", "600", "--max-examples", "2")
    wait_for(1)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    end_of(process)
    assert process.returncode == 130
    assert outliving() == []


def test_timeout_ends_what_a_rule_has_started(write):
    write("mixed.py", MIXED)
    process = start("mixed:starter", "--timeout", "1")
    out, err = end_of(process)
    assert process.returncode == 3
    assert "INCONCLUSIVE starter: not done within the timeout of 1 s" in out
    assert err == ""
    assert outliving() == []


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_progress_line_is_shown_on_a_terminal_only(write):
    write("mixed.py", MIXED)
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "gradlab", "verify", "mixed:last", "--jobs", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=False)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "\r\x1b[K1/1 last: point 1" in shown
    assert shown.endswith("\r\x1b[K")
