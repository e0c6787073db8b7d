"""Points evaluated by other processes: equal reports, and nothing lost with a process."""

import importlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import gradlab
from gradlab import _executors, gradcheck
from gradlab.point import workers
from gradlab.point.moves import EntryMoves
from gradlab.point.problem import Problem
from gradlab.point.resources import Resources
from gradlab.point.sources import evaluating_half
from gradlab.point.there import Unusable, evaluate_there
from gradlab.point.workers import Workers, _local_pool

loky = pytest.importorskip("loky", reason="the processes of workers=2 are those of loky")

X = np.random.default_rng(0).normal(size=8)


def backward(dy, x):
    return dy * (1 - np.tanh(x) ** 2)


def wrong(dy, x):
    return dy * (1 - x**2)


def tanh(x):
    return np.tanh(x)


class TestProcesses:
    @pytest.mark.parametrize("rule", [backward, wrong])
    def test_report_is_that_of_one_process(self, rule):
        single = gradcheck(tanh, rule, X, raise_exception=False)
        assert gradcheck(tanh, rule, X, workers=2, raise_exception=False) == single

    def test_function_that_is_defined_here_is_sent_by_its_code(self):
        scale = 2.0
        assert gradcheck(lambda x: scale * np.tanh(x), lambda dy, x: 2 * backward(dy, x), X, workers=2)

    def test_module_that_was_edited_and_loaded_again_is_evaluated_as_it_is_now(self, tmp_path, monkeypatch):
        file = tmp_path / "edited_later.py"
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        file.write_text("import numpy as np\n\ndef forward(x):\n    return np.sin(x)\n")
        module = importlib.import_module("edited_later")
        assert gradcheck(module.forward, lambda dy, x: dy * np.cos(x), X, workers=2)
        file.write_text("import numpy as np\n\ndef forward(x):\n    return np.tanh(x)  # mended\n")
        importlib.reload(module)
        assert gradcheck(module.forward, backward, X, workers=2)

    def test_batches_are_evaluated_there(self):
        assert gradcheck(tanh, backward, X, workers=2, vectorized=True) == gradcheck(tanh, backward, X)

    def test_process_that_is_killed_costs_time_only(self):
        def slow(x):
            time.sleep(0.02)
            return np.tanh(x)

        gradcheck(slow, backward, X, workers=2)  # the processes have started
        process = next(iter(_local_pool(2)._processes))
        timer = threading.Timer(0.1, os.kill, (process, signal.SIGKILL))
        timer.start()
        x = np.tile(X, 3)
        report = gradcheck(slow, backward, x, workers=2)
        timer.join()
        assert report.inputs == gradcheck(tanh, backward, x).inputs
        assert process not in _local_pool(2)._processes

    def test_point_that_ends_its_process_has_no_value(self):
        def crashing(x):
            if x > 0.5:
                os._exit(3)
            return np.tanh(x)

        problem = Problem(crashing, backward, 0.5, resources=Resources(workers=2))
        moves = EntryMoves(np.zeros(3, int), np.zeros(3, int), np.array([0.25, 0.75, 0.375]))
        values = problem.evaluate_moves(moves)
        np.testing.assert_array_equal(values.ravel(), [np.tanh(0.25), np.nan, np.tanh(0.375)])
        assert problem.obstacle.startswith("forward ends its process: ")

    def test_late_point_has_no_value(self):
        def hanging(x):
            while x > 0.5:
                pass
            return np.tanh(x)

        assert gradcheck(hanging, backward, 0.5, workers=2, timeout=0.2).passed


class Broken(Executor):
    """An executor that breaks at once, as one does whose process was killed."""

    _max_workers = 2

    def submit(self, fn, /, *args, **kwargs):
        raise loky.BrokenProcessPool("a process ended abruptly")


class Forgetful(Executor):
    """An executor whose processes have never seen the problem, and lose every third task."""

    _max_workers = 1

    def __init__(self):
        self.tasks = 0

    def submit(self, fn, digest, payload, moves, serial):
        self.tasks += 1
        future = Future()
        if self.tasks % 3 == 0:
            future.set_exception(ConnectionResetError("the worker is gone"))
            return future
        answers = []
        thread = threading.Thread(target=lambda: answers.append(fn(digest, payload, moves, serial)))
        thread.start()
        thread.join()
        future.set_result(answers[0])
        return future


class TestExecutors:
    @pytest.mark.parametrize("executor", [Broken, Forgetful])
    def test_whatever_is_lost_the_report_is_the_same(self, executor):
        single = gradcheck(tanh, wrong, X, raise_exception=False)
        assert gradcheck(tanh, wrong, X, workers=executor(), raise_exception=False) == single

    def test_one_that_was_shut_down(self):
        executor = ThreadPoolExecutor(1)
        executor.shutdown()
        single = gradcheck(tanh, wrong, X, raise_exception=False)
        assert gradcheck(tanh, wrong, X, workers=executor, raise_exception=False) == single

    def test_one_that_nobody_works_for_is_not_waited_for_for_ever(self, monkeypatch):
        class Deserted(Executor):
            _max_workers = 0

            def submit(self, fn, /, *args, **kwargs):
                return Future()

        for module, name in ((_executors, "DESERTED"), (_executors, "COUNTED"), (workers, "COUNTED")):
            monkeypatch.setattr(module, name, 0.01)
        assert gradcheck(tanh, backward, X, workers=Deserted())

    def test_all_workers_of_a_cluster_are_kept_busy(self):
        class Client:
            def nthreads(self):
                return {f"tcp://10.0.0.{k}:1": 4 for k in range(25)}

        cluster = Broken()
        cluster._client = Client()
        half = evaluating_half(Problem(tanh, backward, X))
        assert Workers(half, cluster, call_seconds=1.0, timeout=None).count == 100

    @pytest.mark.filterwarnings("ignore:.*fork")
    def test_process_pool_one_of_whose_processes_is_killed(self):
        def slow(x):
            time.sleep(0.02)
            return np.tanh(x)

        with ProcessPoolExecutor(2) as pool:
            pool.submit(abs, 1).result()
            timer = threading.Timer(0.1, lambda: os.kill(next(iter(pool._processes)), signal.SIGKILL))
            timer.start()
            report = gradcheck(slow, backward, X, workers=pool)
            timer.join()
        assert report.inputs == gradcheck(tanh, backward, X).inputs

    def test_machine_that_lacks_a_module_is_named(self, monkeypatch):
        said = evaluate_there(b"digest", b"cnosuchmodule\nfunction\n.", None, 0)
        assert said.why == "ModuleNotFoundError: No module named 'nosuchmodule'"

        class Elsewhere(Executor):
            def submit(self, fn, /, *args):
                future = Future()
                future.set_result(Unusable("node-17", said.why))
                return future

        message = "cannot be evaluated by the worker on node-17: ModuleNotFoundError: No module named 'nosuch"
        with pytest.raises(gradlab.UsageError, match=message):
            gradcheck(tanh, backward, X, workers=Elsewhere())

    def test_defect_of_gradlab_is_not_taken_for_a_lost_process(self):
        class Defective(Executor):
            def submit(self, fn, /, *args):
                future = Future()
                future.set_exception(IndexError("a defect"))
                return future

        with pytest.raises(IndexError, match="a defect"):
            gradcheck(tanh, backward, X, workers=Defective())


class TestFunctionsLikeMap:
    def test_order_in_which_they_answer_tells_nothing(self):
        single = gradcheck(tanh, wrong, X, raise_exception=False)

        def backwards(function, tasks):
            return map(function, reversed(tasks))

        assert gradcheck(tanh, wrong, X, workers=backwards, raise_exception=False) == single

    @pytest.mark.parametrize(
        ("like", "message"),
        [
            (lambda function, tasks: None, "gave None after 0; expected"),
            (lambda function, tasks: [], "gave no more after 0; expected"),
            (lambda function, tasks: [tanh(0.0) for _ in tasks], "after 0; expected"),
            (lambda function, tasks: [function(tasks[0])] * 2, "after 1; expected"),
        ],
    )
    def test_what_is_none_is_refused(self, like, message):
        with pytest.raises(gradlab.UsageError, match=f"workers, called as map is on .* {message}"):
            gradcheck(tanh, backward, X, workers=like)

    def test_one_whose_executor_breaks(self):
        def broken(function, tasks):
            yield function(tasks[0])
            raise BrokenExecutor("a process ended abruptly")

        single = gradcheck(tanh, wrong, X, raise_exception=False)
        assert gradcheck(tanh, wrong, X, workers=broken, raise_exception=False) == single


def test_what_travels_holds_no_backward():
    problem = Problem(tanh, backward, X, grad_output=np.ones(8))
    half = evaluating_half(problem)
    assert not hasattr(half, "_backward")
    assert not hasattr(half, "grad_output")
    workers = Workers(half, map, call_seconds=1.0, timeout=None)
    assert workers.at_once == workers.count * 10
