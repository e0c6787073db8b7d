"""Rules that do to their process what a rule should not; `NAMES` says what each is, `GOOD` are right ones."""

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress

import numpy as np

from gradlab import Rule


class Leaving(BaseException):
    """What is no Exception."""


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Unspeakable(BaseException):
    def __str__(self):
        raise KeyboardInterrupt

    __repr__ = __str__


def _raise(error):
    raise error


def _forget_recursion(x):
    return _forget_recursion(x)


def _exhaust(x):
    return np.ones((10**7, 10**8)) @ x


def _crash(x):
    ctypes.string_at(0)
    return x


FORKED = []


def _fork(x):
    if not FORKED:
        FORKED.append(True)
        os.fork()  # the copy goes on as if it were the process
    return x


def _linger(x):
    """Leave a child that keeps all descriptors, and die."""
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    os._exit(0)


def _close_all(x):
    os.closerange(3, 200)
    return x


def _close_output(x):
    with suppress(OSError):
        os.close(1)
        os.close(2)
    return x


def _print_from_c(x):
    os.write(1, b'{"printed": "by C"}\n')
    print("printed by Python", flush=True)
    return x


def _write_everywhere(x):
    for descriptor in range(200):
        try:
            os.write(descriptor, b"rubbish")
        except OSError:
            continue
    return x


def _exit_later(x):
    threading.Timer(0.05, os._exit, [0]).start()
    time.sleep(0.1)
    return x


def _stop(x):
    os.kill(os.getpid(), signal.SIGSTOP)


def _hang(x):
    while True:
        time.sleep(0.01)


def _hang_in_c(x):
    ctypes.PyDLL(None).sleep(60)  # keeps the interpreter's lock


def _read(x):
    input()
    return x


def _leave_folder(x):
    os.chdir("/")
    return x


def _small_stack(x):
    sys.setrecursionlimit(60)
    return x


def same(dy, x):
    return dy


def hostile(name, forward, backward=same):
    return Rule(name, forward, backward, "(n)")


# Each with the statuses that are right for it.
PASSING, FAILING, BROKEN = ("pass",), ("fail",), ("error",)
HOSTILE = {
    "keyboard interrupt": (lambda x: _raise(KeyboardInterrupt), BROKEN),
    "own base exception": (lambda x: _raise(Leaving("bye")), BROKEN),
    "generator exit": (lambda x: _raise(GeneratorExit), BROKEN),
    "unprintable base exception": (lambda x: _raise(Unspeakable), BROKEN),
    "os exit 0": (lambda x: os._exit(0), BROKEN),
    "segfault": (_crash, BROKEN),
    "sigkill": (lambda x: os.kill(os.getpid(), signal.SIGKILL), BROKEN),
    "sigterm to the group": (lambda x: os.killpg(0, signal.SIGTERM), BROKEN),
    "alarm": (lambda x: signal.alarm(1) or time.sleep(60), BROKEN),
    "memory": (_exhaust, BROKEN),
    "closes all descriptors": (_close_all, BROKEN),
    "writes to all descriptors": (_write_everywhere, BROKEN),
    "lingering child": (_linger, BROKEN),
    "exits from a thread": (_exit_later, BROKEN),
    "small stack": (_small_stack, PASSING),
    "sys exit 0": (lambda x: sys.exit(0), FAILING),
    "unprintable exception": (lambda x: _raise(Unprintable), FAILING),
    "recursion": (_forget_recursion, FAILING),
    "reads standard input": (_read, FAILING),
    "stop iteration": (lambda x: _raise(StopIteration), FAILING),
    "interrupts itself": (lambda x: os.kill(os.getpid(), signal.SIGINT) or x, PASSING),
    "closes output": (_close_output, PASSING),
    "prints": (_print_from_c, PASSING),
    "forks": (_fork, PASSING),
    "changes folder": (_leave_folder, PASSING),
}
HANGING = {"hangs": _hang, "hangs in C": _hang_in_c, "stops": _stop}

GOOD = [hostile(f"good {k}", lambda x: x) for k in range(3)]
RULES = [GOOD[0], *(hostile(name, forward) for name, (forward, _) in HOSTILE.items()), *GOOD[1:]]
HANGERS = [hostile(name, forward) for name, forward in HANGING.items()]
