"""Rules checked in other processes, whatever these do."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from gradlab import Rule
from gradlab.cli import main
from gradlab.report import snippet_of
from gradlab.runs import ErrorKind, Options, Progress, Result
from gradlab.runs.one import check
from gradlab.runs.pool import Pool

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


LEFT_BEHIND = """
LEFT = []
def leave(x):
    LEFT.append(1)
    return x
def hit(x):
    if LEFT:
        os._exit(0)  # as a thread would that the other rule started
    return x
RULES = [make("leaves something", leave), last, make("hit", hit)]
"""


@pytest.fixture
def checked(write, project):
    """Check some rules, and return what came of them."""
    write("mixed.py", MIXED)

    def checked(*names, points=5, **options):
        with Pool(options.pop("size", 1), path=[str(project), *sys.path], **options) as pool:
            found, problems = pool.find([f"mixed:{name}" for name in names])
            assert problems == []
            said = list(pool.check(found, Options(max_examples=points)))
            assert pool.remarks == []
        return {position: one for position, one in said if isinstance(one, Result)}

    return checked


def test_reports_do_not_depend_on_the_number_of_processes(checked, monkeypatch):
    # What one run keeps for the next would be checked first there.
    monkeypatch.setattr("gradlab.runs.one._database", lambda: None)
    names = ("wrong", "none", "last")
    alone = checked(*names)
    together = checked(*names, size=2)
    assert sorted(together) == [0, 1, 2]
    assert {k: together[k] for k in alone} == alone
    assert alone[0].report.failed
    assert alone[1].report is None
    assert alone[2].report.passed
    assert alone[1].error.kind is ErrorKind.USAGE
    assert "forward returned None" in alone[1].error.message


def test_rule_that_hangs_is_an_error_that_says_where_and_the_others_go_on(checked):
    results = checked("sleeper", "last", points=1, timeout=4.0)
    error = results[0].error
    assert error.kind is ErrorKind.TIMEOUT
    assert error.message == "not done within the timeout of 4 s, at the first point"
    assert error.stack.endswith("lambda x: time.sleep(600))")
    assert "mixed.py" in error.stack
    assert "gradlab" not in error.stack
    assert results[1].error is None
    assert results[1].report.passed


def test_rule_that_was_stopped_is_reproduced_by_the_check_of_the_rule(checked):
    call = checked("leaver")[0].error.call
    assert call.splitlines() == [
        "from mixed import leaver as rule",
        "gradlab.verify(rule, max_examples=5, rng=0)",
    ]
    pasted = subprocess.run([sys.executable, "-c", snippet_of(call)], capture_output=True, check=False)
    assert pasted.returncode == 3  # as the rule has it


def test_rule_that_is_slow_from_point_to_point_exceeds_the_timeout_too(checked):
    message = checked("last", points=10**9, timeout=1.0)[0].error.message
    assert message.startswith("not done within the timeout of 1 s, after ")
    assert message.endswith(" points")


def test_rule_within_the_timeout_passes(checked):
    assert checked("last", timeout=600.0)[0].report.passed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("crash", "its process was ended by SIGABRT, at the first point"),
        ("leaver", "its process ended by itself, with exit code 3, at the first point"),
    ],
)
def test_rule_that_ends_its_process_is_an_error_and_the_others_go_on(name, message, checked):
    results = checked(name, "last")
    assert results[0].error.message == message
    assert results[0].error.kind is ErrorKind.ENDED
    assert results[1].report.passed


def test_stack_of_a_crash_is_that_of_the_rule(checked):
    assert checked("crash")[0].error.stack.count("mixed.py") == 1


def test_rule_is_not_blamed_for_what_another_left_behind(write, project):
    write("mixed.py", MIXED + LEFT_BEHIND)
    with Pool(path=[str(project), *sys.path]) as pool:
        found, _ = pool.find(["mixed:RULES"])
        results = dict(pool.check(found, Options(max_examples=5)))
    assert [results[k].report.passed for k in range(3)] == [True, True, True]
    (remark,) = pool.remarks
    assert remark.startswith("its process ended by itself, with exit code 0")
    assert "while 'hit' was checked after 2 other rules, the last of which was 'last'" in remark


def test_processes_are_kept_from_one_check_to_the_next(write, project):
    write("mixed.py", MIXED + "RULES = [make(str(os.getpid()), late)]\n")
    with Pool(path=[str(project), *sys.path]) as pool:
        (first,), _ = pool.find(["mixed:RULES"])
        (second,), _ = pool.find(["mixed:RULES"])
    assert first == second


def test_progress_counts_the_points_of_each_rule(write, project):
    write("mixed.py", MIXED)
    with Pool(2, path=[str(project), *sys.path]) as pool:
        found, _ = pool.find(["mixed:last", "mixed:wrong"])
        said = list(pool.check(found, Options(max_examples=3)))
    *drawing, _ = [now for position, now in said if position == 0]
    assert drawing == [Progress(points, "drawing") for points in (1, 2, 3)]
    assert (1, Progress(1, "shrinking")) in said


def test_module_that_is_another_when_imported_again_is_told(write, project):
    write("fickle.py", f"{MIXED}\nRULES = [make(f'{{k}} {{os.getpid()}}') for k in range(2)]\n")
    with Pool(2, path=[str(project), *sys.path]) as pool:
        found, _ = pool.find(["fickle:RULES"])
        results = [one for _, one in pool.check(found, Options(5)) if isinstance(one, Result)]
    errors = [one.error for one in results if one.error is not None]
    assert len(errors) == 1
    assert "is not found again as number" in errors[0].message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import os; os._exit(0)",
            "ends.py cannot be imported: its process ended by itself, with exit code 0",
        ),
        ("raise KeyboardInterrupt", "ends.py cannot be imported: KeyboardInterrupt"),
        ("import time; time.sleep(600)", "ends.py cannot be imported: not done within the timeout of 2 s"),
        ("import os; os.abort()", "ends.py cannot be imported: its process was ended by SIGABRT"),
    ],
)
def test_import_that_ends_its_process_leaves_the_other_targets(text, message, write, project):
    write("mixed.py", MIXED)
    write("ends.py", text)
    with Pool(timeout=2.0, path=[str(project), *sys.path]) as pool:
        found, problems = pool.find(["mixed:first", "nothing", "ends.py", "mixed:last", "mixed:first"])
    assert [one.name for one in found] == ["first", "last"]
    assert "there is no rule or module 'nothing'" in problems[0]
    assert problems[1].startswith(message)
    assert len(problems) == 2


def test_defect_of_gradlab_concerns_one_rule(monkeypatch):
    def verify(rule, **options):
        raise ZeroDivisionError(rule.name)

    monkeypatch.setattr("gradlab.runs.one.verify", verify)
    error = check(Rule("wrong", abs, abs, "(n)"), Options()).error
    assert error.kind is ErrorKind.INTERNAL
    assert error.message == "it could not be checked, by a defect of gradlab: ZeroDivisionError: wrong"
    assert "test_pool.py" in error.stack


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


def test_rows_come_as_rules_are_done(write, capsys):
    write("mixed.py", MIXED)
    assert main(["verify", "mixed:first", "mixed:last", "--jobs", "2", "--max-examples", "3"]) == 0
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()[1:3]] == ["last", "first"]


def test_ctrl_c_leaves_no_process_behind(write):
    write("mixed.py", MIXED)
    process = start("mixed:last", "mixed:marked", "--jobs", "2", "--max-examples", "2")
    wait_for(2)
    process.send_signal(signal.SIGINT)
    out, err = end_of(process)
    assert process.returncode == 130
    assert "gradlab: interrupted; 1 of 3 rules were checked" in err
    assert "gradlab: marked 1: stopped, at the first point\n  where it was, most recent call last:\n" in err
    assert "time.sleep(600 if" in err
    assert "3 rules: 1 pass, 2 not checked" in out
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
    assert process.returncode == 2
    assert "ERROR starter: not done within the timeout of 1 s" in out
    assert err == ""
    assert outliving() == []


def read_or_end(descriptor):
    """Read from a terminal, whose end is an error on Linux."""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_progress_line_is_shown_on_a_terminal_only(write):
    write("mixed.py", MIXED)
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "gradlab", "verify", "mixed:last", "--max-examples", "5"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=False)
    os.close(theirs)
    shown = b"".join(iter(partial(read_or_end, ours), b"")).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "1/1 last: drawing, point 1" in shown  # behind a bar, where it takes long
    assert shown.endswith("\r\x1b[K")
