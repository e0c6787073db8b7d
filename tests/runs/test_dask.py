"""Rules checked on a real cluster of Dask, of which workers are killed."""

import contextlib
import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time

import numpy as np
import pytest

import gradlab
from gradlab import Rule, UsageError
from gradlab._executors import workers
from gradlab.cli import main
from gradlab.runs import ErrorKind, Status, cluster

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

COUNTS = (1, 2, 4)
X = np.array([0.5, -1.0, 2.0, 0.25, -0.125])


def tanh_backward(dy, x):
    return dy * (1 - np.tanh(x) ** 2)


def twice_too_large(dy, x):
    return 2 * tanh_backward(dy, x)


class Cluster(distributed.LocalCluster):
    """May be told of the end of a worker before it is told of its start: of one killed while starting."""

    def _update_worker_status(self, op, msg):
        with contextlib.suppress(KeyError):
            super()._update_worker_status(op, msg)


@pytest.fixture(scope="module")
def dask_cluster():
    """Workers that are copies of a process that has loaded what they need."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        context = distributed.utils.get_mp_context()
        context.set_forkserver_preload(["distributed", "gradlab.runs.there"])
        with Cluster(
            n_workers=COUNTS[0], threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as started:
            yield started


@pytest.fixture
def client(dask_cluster, forks):
    with distributed.Client(dask_cluster, set_as_default=False) as client:
        yield client


def rules():
    wrong = Rule("wrong", lambda x: x**2, lambda dy, x: x * dy, "(n)")
    none = Rule("none", lambda x: None, lambda dy, x: dy, "(n)")
    return [wrong, none, *slow(4)]


def slow(count):
    def forward(x):
        time.sleep(0.02)
        return x

    return [Rule(f"slow {k}", forward, lambda dy, x: dy, "(n)") for k in range(count)]


def run(rules, client=None, **options):
    executor = None if client is None else client.get_executor()
    return gradlab.run(rules, executor=executor, **{"max_examples": 2, **options})


def test_reports_are_equal_with_any_number_of_workers(dask_cluster, client):
    expected = run(rules()).outcomes
    for count in COUNTS:
        dask_cluster.scale(count)
        client.wait_for_workers(count)
        assert workers(client.get_executor()) == count
        done = run(rules(), client)
        assert done.outcomes == expected
        assert (done.notes, done.problems) == ((), ())


def test_one_check_is_equal_with_any_number_of_workers_that_evaluate_its_points(dask_cluster, client):
    single = gradlab.gradcheck(np.tanh, twice_too_large, X, raise_exception=False)
    for count in COUNTS:
        dask_cluster.scale(count)
        client.wait_for_workers(count)
        spread = gradlab.gradcheck(
            np.tanh, twice_too_large, X, workers=client.get_executor(), raise_exception=False
        )
        assert spread == single


def test_worker_that_is_killed_while_it_evaluates_changes_nothing(dask_cluster, client):
    def simulate(x):
        time.sleep(0.01)
        return np.tanh(x)

    dask_cluster.scale(COUNTS[-1])  # none is on its way out when all are asked
    client.wait_for_workers(COUNTS[-1])
    victim = next(iter(client.run(os.getpid).values()))
    timer = threading.Timer(0.1, os.kill, (victim, signal.SIGKILL))
    timer.start()
    x = np.tile(X, 5)
    report = gradlab.gradcheck(simulate, tanh_backward, x, workers=client.get_executor())
    timer.join()
    assert report.inputs == gradlab.gradcheck(np.tanh, tanh_backward, x).inputs


def test_worker_that_is_killed_in_the_middle_changes_nothing(client):
    def kill(outcome):
        seen.append(outcome)
        if len(seen) == 1:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    seen = []
    done = run(slow(8), client, progress=kill)
    assert [outcome.status for outcome in done.outcomes] == [Status.PASS] * 8
    assert (done.notes, done.problems) == ((), ())


def test_tasks_that_the_scheduler_forgets_in_the_middle_are_given_again(client):
    """As by ``client.restart()``, which cancels all."""

    def forget(outcome):
        seen.append(outcome)
        if len(seen) == 1:
            # Not what has ended: forgotten before its result was fetched, Dask says nothing of it at all.
            unfinished = [key for key, state in list(client.futures.items()) if state.status == "pending"]
            client.cancel([distributed.Future(key, client) for key in unfinished])

    seen = []
    done = run(slow(8), client, progress=forget)
    assert [outcome.status for outcome in done.outcomes] == [Status.PASS] * 8


def test_rule_whose_every_worker_dies_is_an_error_and_the_others_go_on(dask_cluster, client, monkeypatch):
    monkeypatch.setattr(dask_cluster.scheduler, "allowed_failures", 0)
    kills = Rule("kills", lambda x: os.kill(os.getppid(), signal.SIGKILL), lambda dy, x: dy, "(n)")
    done = run([kills, *slow(1)], client)
    assert done.outcomes[0].error.kind is ErrorKind.ENDED
    assert done.outcomes[0].headline.startswith(
        "each worker that it was given to died, the last of them tcp:"
    )
    # What the same worker had still to do is given to another one, unless it was at work at that, too.
    assert len(done.outcomes) == 2


def test_rule_that_hangs_ends_by_the_timeout_and_the_worker_goes_on(client):
    hangs = Rule("hangs", lambda x: time.sleep(600), lambda dy, x: dy, "(n)")
    (outcome,) = run([hangs], client, timeout=1).outcomes
    assert outcome.headline == "not done within the timeout of 1 s, at the first point"
    assert "time.sleep(600)" in outcome.error.stack
    assert run(slow(1), client)


def test_module_that_a_machine_lacks_is_named_with_it(client, write, project, monkeypatch):
    write(
        "stock.py",
        "import threading\nLOCK = threading.Lock()\n\ndef forward(x):\n    with LOCK:\n        return x\n",
    )
    monkeypatch.syspath_prepend(project)
    stock = importlib.import_module("stock")
    done = run([Rule("stocked", stock.forward, lambda dy, x: dy, "(n)")], client)
    assert done.outcomes[0].error.kind is ErrorKind.USAGE
    machine = socket.gethostname()
    assert done.outcomes[0].headline == (
        f"there is no module 'stock' on the machine {machine!r}, and the rule needs it"
    )


def test_command_checks_files_that_the_machines_do_not_have(client, write, capsys):
    write("shop.py")
    arguments = ["verify", "shop.py", "--max-examples", "2"]
    assert main(arguments) == 1
    here = capsys.readouterr()
    assert main([*arguments, "--dask", client.scheduler.address]) == 1
    there = capsys.readouterr()
    assert here.err == there.err == ""
    assert "from shop import cube as rule" in there.out
    # Below the table, whose rows come as they are done, and above the time that it took.
    assert there.out.split("\n\n")[1:-1] == here.out.split("\n\n")[1:-1]


def test_address_of_nothing_is_a_sentence(capsys, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.1)
    assert main(["verify", "linear", "--dask", "tcp://127.0.0.1:1"]) == 2
    assert main(["verify", "linear", "--dask", "nonsense"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("gradlab: no scheduler of Dask answers at 'tcp://127.0.0.1:1' (OSError: ")
    assert second.endswith("; expected its address, such as tcp://10.0.0.1:8786")


def test_scheduler_without_workers_is_told_of(client, monkeypatch):
    notes = []
    monkeypatch.setattr(distributed.Client, "nthreads", lambda self: {})
    with cluster.cluster(client.scheduler.address, notes.append):
        pass
    assert notes == [f"the scheduler at {client.scheduler.address} has no workers yet; rules wait for them"]


def test_without_distributed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'gradlab-verify\[dask\]'"), cluster.cluster("", print):
        pass
