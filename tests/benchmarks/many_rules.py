"""What it costs to have rules checked by a cluster of Dask: bytes, time, and what a scheduler holds.

    python tests/benchmarks/many_rules.py

The scheduler and the client are in this process, two workers in others: what a rule costs here, and in no
worker, is the price of the cluster.
"""

import argparse
import logging
import pickle
import statistics
import time

import distributed
import numpy as np

import gradlab
from gradlab import Rule
from gradlab.rules import RULES
from gradlab.runs import Options, Outcome
from gradlab.runs.one import check
from gradlab.runs.pickled import given, sendable
from gradlab.runs.spread import AHEAD


def square(k):
    return Rule(f"square {k}", lambda x: x**2, lambda dy, x: 2 * x * dy, (np.array([1.0, 2.0]),))


def sizes():
    """Print how many bytes go to a worker for a rule, and come back."""
    wrong = Rule("wrong", lambda x: x**2, lambda dy, x: 3 * x * dy, "(n)")
    options = Options(max_examples=20, keep=False)
    print("bytes         to the worker   back")
    for name, rules in (("square", [square(0)]), ("wrong", [wrong]), ("built-in rules", RULES)):
        there = statistics.mean(len(pickle.dumps(sendable(given(rule, 0)))) for rule in rules)
        back = statistics.mean(len(pickle.dumps(check(rule, options))) for rule in rules)
        print(f"{name:15}{there:12.0f}{back:8.0f}")


def tasks(count):
    """Print what a rule costs the process that has the scheduler, and how many it holds."""
    held = []

    def look(outcome: Outcome):
        held.append(len(cluster.scheduler.tasks))

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        executor = client.get_executor()
        gradlab.run([square(k) for k in range(4)], executor=executor, max_examples=1)  # all is loaded
        times = []
        for number in (0, count):
            started = time.process_time()
            done = gradlab.run(
                [square(k) for k in range(number + 1)], executor=executor, max_examples=1, progress=look
            )
            times.append(time.process_time() - started)
            assert done.passed
    print(f"processor time of client and scheduler: {(times[1] - times[0]) / count * 1e3:.1f} ms a rule")
    print(
        f"tasks that the scheduler held at once: {max(held)} of {count + 1}, "
        f"with 2 workers ({AHEAD} for each)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rules", type=int, default=500)
    arguments = parser.parse_args()
    sizes()
    tasks(arguments.rules)
