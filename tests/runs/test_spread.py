"""Rules checked by executors, whatever becomes of these."""

import functools
import multiprocessing
import os
import signal
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest

import gradlab
from gradlab import Rule, _executors
from gradlab.runs import ErrorKind, spread, there

pytest.importorskip("cloudpickle")


def rules(count=3):
    wrong = Rule("wrong", lambda x: x**2, lambda dy, x: x * dy, "(n)")
    return [wrong, *(Rule(f"right {k}", lambda x: x, lambda dy, x: dy, "(n)") for k in range(count - 1))]


def run(rules, executor=None, **options):
    return gradlab.run(rules, executor=executor, **{"max_examples": 3, **options})


class Executes(Executor):
    """Runs each task at once; what a test does to some of them comes first."""

    def __init__(self, meddle=lambda number: None, workers=1):
        self.meddle, self.count, self._max_workers, self.most, self.open = meddle, 0, workers, 0, 0

    def submit(self, function, *args):
        future = Future()
        self.count += 1
        try:
            self.meddle(self.count)
        except KeyError:
            future.cancel()
            future.set_running_or_notify_cancel()
        except BrokenExecutor as error:
            future.set_exception(error)
        except LookupError as error:
            future.set_exception(error.args[0])
        else:
            future.set_result(function(*args))
        return future


@functools.cache
def checked_here():
    return run(rules()).outcomes


@pytest.fixture
def expected(forks):
    return checked_here()


@pytest.fixture
def quick(monkeypatch):
    """Tasks that only say that they ran."""

    def check(rule, *_):
        return spread._ended(f"{rule.name} was here"), ()

    monkeypatch.setattr(spread, "check_there", check)


def raises(error, *numbers):
    def meddle(number):
        if not numbers or number in numbers:
            raise error

    return meddle


def test_tasks_that_are_cancelled_are_given_again(quick):
    done = run(rules(), Executes(raises(KeyError(), 1, 3)))
    assert [outcome.headline for outcome in done.outcomes] == [f"{rule.name} was here" for rule in rules()]
    assert done.notes == ()


def test_rule_whose_tasks_are_cancelled_again_and_again_is_an_error():
    done = run(rules(2), executor := Executes(raises(KeyError())))
    assert executor.count == 2 * spread.TRIES
    assert {outcome.error.kind for outcome in done.outcomes} == {ErrorKind.ENDED}
    assert done.outcomes[0].headline == "it was given to the executor 4 times, and cancelled there"


def test_rest_is_checked_here_when_the_executor_breaks(quick, expected):
    done = run(rules(), Executes(raises(BrokenExecutor("a process ended"), 2)))
    assert done.outcomes[0].headline == "wrong was here"
    assert done.outcomes[1:] == expected[1:]
    assert done.problems == ()
    assert done.notes[0].startswith("the executor broke (a process ended); ")


def test_rest_is_checked_here_when_the_executor_was_shut_down(expected):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    done = run(rules(), executor)
    assert done.outcomes == expected
    assert "cannot schedule new futures after shutdown" in done.notes[0]
    assert f"note: {done.notes[0]}" in str(done)


def test_executor_that_nobody_works_for_is_not_waited_for_for_ever(expected, monkeypatch):
    class Deserted(Executor):
        _max_workers = 0

        def submit(self, *_):
            return Future()

    for module, name, seconds in (
        (_executors, "DESERTED", 0.0),
        (_executors, "COUNTED", 0.0),
        (spread, "GLANCE", 0.01),
    ):
        monkeypatch.setattr(module, name, seconds)
    done = run(rules(), Deserted())
    assert done.outcomes == expected
    assert "it has had no worker for 0 s" in done.notes[0]


def test_task_that_fails_is_an_error_of_its_rule(quick):
    done = run(rules(), Executes(raises(IndexError(OSError("no room")), 2)))
    assert done.outcomes[1].headline == "the executor could not have it checked: OSError: no room"
    assert done.outcomes[2].headline == "right 1 was here"


def test_other_versions_are_refused_by_the_machine_that_has_them():
    done, _ = there.check_there(None, None, None, ("0.0", "3.1"), "")
    assert done.error.kind is ErrorKind.USAGE
    assert done.error.message.startswith("the machine '")
    assert "has gradlab 0.1.0, not 0.0 and Python 3." in done.error.message


def test_no_more_tasks_are_on_their_way_than_workers_have_use_for(monkeypatch):
    class Counts(ThreadPoolExecutor):
        most = 0

        def submit(self, *args):
            self.most = max(self.most, self._work_queue.qsize() + 1)
            return super().submit(*args)

    monkeypatch.setattr(spread, "check_there", lambda *args: (spread._ended(str(time.sleep(0.01))), ()))
    with Counts(2) as executor:
        assert len(run(rules(40), executor).outcomes) == 40
        assert 1 <= executor.most <= 2 * spread.AHEAD


def test_ctrl_c_cancels_what_waits(monkeypatch):
    def interrupt(outcome):
        raise KeyboardInterrupt

    monkeypatch.setattr(spread, "check_there", lambda *args: (spread._ended(str(time.sleep(0.2))), ()))
    with ThreadPoolExecutor(1) as executor:
        done = run(rules(9), executor, progress=interrupt)
        assert executor._work_queue.qsize() <= 1  # cancelled, and still in the queue
    assert (done.interrupted, len(done.outcomes)) == (True, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that are not copies take seconds to start")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_worker_process_that_is_killed_breaks_the_executor_and_loses_no_rule(expected):
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        first = run(rules(), executor)
        process = executor.submit(os.getpid).result()
        os.kill(process, signal.SIGKILL)
        second = run(rules(), executor)
    assert first.outcomes == second.outcomes == expected
    assert (first.notes, len(second.notes)) == ((), 1)


def test_processes_that_are_kept_end_with_their_worker_and_when_nothing_is_to_do(monkeypatch):
    kept = there._Kept()
    with kept.pool(None) as pool:
        list(pool.check([], None))
    with kept.pool(None) as again:
        assert again is pool
        with kept.pool(None) as other:
            assert other is not pool
    with kept.pool(5.0) as timed:
        assert timed not in (pool, other)
    assert kept.free == [timed]
    monkeypatch.setattr(there, "IDLE", 0.01)
    with kept.pool(5.0):
        pass
    while kept.free:
        time.sleep(0.01)
