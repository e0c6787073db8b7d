"""Where one process ends: what workers and batches gain, what a point costs on its way, and what is foreseen.

Run: python tests/benchmarks/scale.py [--dask]

Measured in one run: a slow forward by one process and by two, a forward that takes a batch, and the bytes of
a point on the wire; with ``--dask`` also what a point costs over a cluster of Dask on this machine. From
these constants the same division into blocks is simulated with 1 to 10,000 workers: a scheduler that hands
out one task at a time, and workers that take whatever comes.
"""

import heapq
import pickle
import sys
import time

import numpy as np

from gradlab import gradcheck
from gradlab.point.moves import EntryMoves, Outputs
from gradlab.point.workers import block_size

SLOW, ENTRIES = 0.05, 200  # seconds of a call, entries of its input
AT_MOST = {"two workers": 0.6, "a batch": 0.2}
TASK = (
    1e-3  # seconds that a scheduler takes for a task, where none is measured; Dask's own page says the same
)
SIMULATED = ((0.05, 200), (1.0, 1_000), (60.0, 1_000), (60.0, 100_000))  # seconds of a call, entries
WORKERS = (1, 2, 10, 100, 1_000, 10_000)


def slow(x):
    time.sleep(SLOW)
    return np.tanh(x)


def backward(dy, x):
    return dy * (1 - np.tanh(x) ** 2)


STEPS, H = 1_000, 0.01


def swing(u):
    """Return the energy of a pendulum that was pushed 1,000 times, by one series of pushes or by many."""
    angle, speed = np.full(u.shape[:-1], 0.5), np.zeros(u.shape[:-1])
    for k in range(STEPS):
        speed = speed + H * (u[..., k] - np.sin(angle))
        angle = angle + H * speed
    return speed**2 / 2 - np.cos(angle)


def swing_backward(dy, u):
    """The adjoint, back in time: of what `swing` computes, step by step."""
    angles, angle, speed = np.empty(STEPS), 0.5, 0.0
    for k in range(STEPS):
        angles[k] = angle
        speed = speed + H * (u[k] - np.sin(angle))
        angle = angle + H * speed
    gradient, of_speed, of_angle = np.empty(STEPS), dy * speed, dy * np.sin(angle)
    for k in reversed(range(STEPS)):
        of_speed = of_speed + H * of_angle
        gradient[k] = H * of_speed
        of_angle = of_angle - H * np.cos(angles[k]) * of_speed
    return gradient


def seconds(repeats=1, *arguments, **options):
    """Return how long a passing check takes at best."""
    best = np.inf
    for _ in range(repeats):
        started = time.perf_counter()
        assert gradcheck(*arguments, **options)
        best = min(best, time.perf_counter() - started)
    return best


def measured():
    """Print what workers and batches gain."""
    x = np.random.default_rng(0).normal(size=ENTRIES)
    one = seconds(1, slow, backward, x)
    two = seconds(1, slow, backward, x, workers=2)
    u = np.random.default_rng(0).normal(size=STEPS)
    loop, batch = (seconds(1, swing, swing_backward, u, vectorized=v) for v in (False, True))
    for what, ratio in (("two workers", two / one), ("a batch", batch / loop)):
        met = "yes" if ratio <= AT_MOST[what] else "NO"
        print(f"{what:20} {ratio:6.2f} of the loop's time   bar {AT_MOST[what]}   {met}")
    print(f"({ENTRIES} entries, {SLOW} s a call: {one:.1f} s; {u.size} pushes: {loop:.1f} s)")
    for outputs in (1, 1_000):
        k = 100
        moves = EntryMoves(np.zeros(k, int), np.arange(k), np.ones(k))
        there = len(pickle.dumps(moves)) / k
        back = len(pickle.dumps(Outputs(np.arange(k), np.ones((k, outputs)), {}))) / k
        print(f"a point of {outputs:5} outputs: {there:.0f} bytes there, {back:.0f} back, in blocks of {k}")


def of_a_task():
    """Return how long a block takes over a cluster of this machine, beside its evaluation."""
    from distributed import Client, LocalCluster

    quick = 0.01  # seconds of a call
    x = np.random.default_rng(0).normal(size=ENTRIES)

    def forward(x):
        time.sleep(quick)
        return np.tanh(x)

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        executor = client.get_executor()
        seconds(1, forward, backward, x[:4], workers=executor)  # all is loaded there
        spent = seconds(1, forward, backward, x, workers=executor)
    alone = seconds(1, forward, backward, x)
    blocks = 2 * ENTRIES / block_size(2 * ENTRIES, quick, 1)
    more = 1e3 * (spent - alone)
    print(f"over Dask: {more / (2 * ENTRIES):.2f} ms a point, {more / blocks:.1f} ms a block")
    return more / blocks / 1e3


def simulate(call, entries, workers, task):
    """Return how long the rows of a right rule take, and how many tasks they are."""
    points = 2 * entries
    size = block_size(points, call, workers)
    blocks = [min(size, points - start) for start in range(0, points, size)]
    free = [0.0] * min(workers, len(blocks))  # when each worker is free again
    handed = 0.0
    for block in blocks:
        handed = max(handed + task, heapq.heappop(free))  # one after the other
        heapq.heappush(free, handed + block * call)
    return max(free), len(blocks)


def main():
    measured()
    task = of_a_task() if "--dask" in sys.argv else TASK
    print(f"\nsimulated with {1e3 * task:.1f} ms a task: times faster than one process (tasks)")
    print(f"{'a call':>8} {'entries':>8}" + "".join(f"{workers:>16,}" for workers in WORKERS))
    for call, entries in SIMULATED:
        line = f"{call:>6g} s {entries:>8,}"
        for workers in WORKERS:
            spent, tasks = simulate(call, entries, workers, task)
            line += f"{2 * entries * call / spent:>8,.1f} {f'({tasks:,})':>7}"
        print(line)


if __name__ == "__main__":
    main()
