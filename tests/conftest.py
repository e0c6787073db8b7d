import gc
import os
import subprocess
import sys
import traceback
import types
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

# Before NumPy is loaded, and for all processes that tests start: matrices are small, and there are as many
# processes as cores, whose threads would wait for each other.
for library in ("OPENBLAS", "MKL", "OMP"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

RULES = """
import numpy as np
from gradlab import Rule

square = Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, (np.ones(2),))
cube = Rule("cube", lambda x: x**3, lambda dy, x: 3 * x * dy, (np.full(2, 2.0),))
ones = np.ones(2)
blind = Rule("blind", lambda x: 1e20 + x.sum(), lambda dy, x: dy * ones, (ones,))
number = 3
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty folder that is the current one, outside of any workflow; its modules are forgotten."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and tmp_path in Path(file).parents:
            del sys.modules[name]


@pytest.fixture
def write(project):
    """Write a file of the project: a right rule, a wrong one and an inconclusive one, or other text."""

    def write(path, text=RULES):
        file = project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


class Fork(subprocess.Popen):
    """A process that is a copy of this one, where all is imported, and runs the code of ``python -c``."""

    def __init__(self, command, *, pass_fds=(), **options):
        run = partial(_run_and_exit, command[-2:], {0, 1, 2, *pass_fds})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads, of which the copy has none
            super().__init__(command, preexec_fn=run, pass_fds=pass_fds, **options)


def _run_and_exit(command, kept):
    code, *arguments = command
    ended = 1
    gc.freeze()  # or each collection would write to, and so copy, all that this process has
    try:
        for low, high in pairwise([*sorted(kept), os.sysconf("SC_OPEN_MAX")]):
            os.closerange(low + 1, high)  # with them that by which Popen is told that the process runs
        warnings.resetwarnings()
        sys.argv[:] = ["-c", *arguments]
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - all three until the end
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        exec(code, {"__name__": "__main__"})
        ended = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(ended)


@pytest.fixture(scope="session")
def imported():
    """Load what all processes need, before `pytester` notes what is loaded: it forgets the rest."""
    import numpy.random

    from gradlab.runs import one, process, source, targets

    return numpy.random, one, process, source, targets


@pytest.fixture
def forks(imported, monkeypatch):
    """Start processes in which rules are checked in milliseconds; those of a command are real ones."""
    if hasattr(os, "fork"):
        forking = types.SimpleNamespace(**{**vars(subprocess), "Popen": Fork})
        monkeypatch.setattr("gradlab.runs.process.subprocess", forking)


@pytest.fixture(scope="session")
def conftest_that_forks():
    """Give a ``conftest.py`` with which the processes of pytest-xdist make copies of themselves, too."""
    every_test = "@pytest.fixture(autouse=True)\ndef _forks(forks):\n    pass\n"
    return f"{Path(__file__).read_text()}\n\n{every_test}"
