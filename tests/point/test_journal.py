"""The journal: what was evaluated is not evaluated again, and nothing else is taken for it."""

import importlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing, nullcontext
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gradlab
from gradlab import gradcheck
from gradlab.point.fingerprints import fingerprint

X = np.random.default_rng(0).normal(size=(3, 4))


COUNTED = []


@pytest.fixture(autouse=True)
def _counted():
    COUNTED.clear()


def simulation(x):
    COUNTED.append(1)
    return np.tanh(x)


def backward(dy, x):
    return dy * (1 - np.tanh(x) ** 2)


def wrong(dy, x):
    return dy * (1 - x**2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "simulation.journal"


class TestAgain:
    @pytest.mark.parametrize("rule", [backward, wrong])
    def test_same_check_gives_an_equal_report_with_few_calls(self, path, rule):
        plain = gradcheck(simulation, rule, X, raise_exception=False)
        COUNTED.clear()
        first = gradcheck(simulation, rule, X, journal=path, raise_exception=False)
        made = len(COUNTED)
        again = gradcheck(simulation, rule, X, journal=path, raise_exception=False)
        assert plain == first == again
        assert len(COUNTED) - made <= 6  # the contract, which is about calls themselves

    def test_what_is_read_does_not_tell_how_long_a_call_takes(self, path):
        x = np.linspace(0.1, 0.9, 300)

        def slow(x):
            COUNTED.append(1)
            time.sleep(0.002)
            return np.tanh(x)

        options = {"journal": path, "probes": "entries", "raise_exception": False}
        gradcheck(slow, backward, x, max_calls=300, **options)
        COUNTED.clear()
        gradcheck(slow, backward, x, max_seconds=0.2, **options)
        assert len(COUNTED) <= 101  # and not the 300 that are left

    def test_mended_backward_uses_what_the_wrong_one_showed(self, path):
        gradcheck(simulation, wrong, X, journal=path, raise_exception=False)
        COUNTED.clear()
        assert gradcheck(simulation, backward, X, journal=path)
        assert len(COUNTED) <= 6

    def test_points_without_a_value_are_tried_again(self, path):
        def forward(x):
            if (x < 0.5).any():
                raise ValueError("below the domain")
            return x**1.5

        given = (forward, lambda dy, x: dy * 1.5 * np.sqrt(x), np.array([0.5, 2.0]))
        plain = gradcheck(*given)
        assert gradcheck(*given, journal=path) == plain == gradcheck(*given, journal=path)

    def test_workers_fill_it_too(self, path):
        plain = gradcheck(simulation, wrong, X, raise_exception=False)
        assert gradcheck(simulation, wrong, X, journal=path, workers=map, raise_exception=False) == plain
        COUNTED.clear()
        assert gradcheck(simulation, wrong, X, journal=path, raise_exception=False) == plain
        assert len(COUNTED) <= 6


class TestRefused:
    def refusal(self, path, forward=simulation, x=X, **options):
        gradcheck(simulation, backward, X, journal=path)
        before = path.read_bytes()
        with pytest.raises(gradlab.UsageError, match="is of another check: ") as caught:
            gradcheck(forward, backward, x, journal=path, raise_exception=False, **options)
        assert path.read_bytes() == before
        return str(caught.value)

    def test_another_point(self, path):
        x = X.copy()
        x[1, 2] = np.nextafter(x[1, 2], 1)
        assert ": the point is not the same" in self.refusal(path, x=x)

    def test_another_function(self, path):
        def other(x):
            COUNTED.append(1)
            return np.tanh(x) + 0.0

        assert "forward is not the same" in self.refusal(path, other)

    def test_function_that_computes_something_else_by_something_not_seen(self, path, monkeypatch):
        def scaled(x):
            return np.tanh(x) * float(os.environ["GRADLAB_TEST_SCALE"])

        monkeypatch.setenv("GRADLAB_TEST_SCALE", "1.0")
        gradcheck(scaled, backward, X, journal=path)
        monkeypatch.setenv("GRADLAB_TEST_SCALE", "1.000000000000001")
        with pytest.raises(
            gradlab.UsageError, match="other check: what forward returns there is not the same"
        ):
            gradcheck(scaled, backward, X, journal=path)

    def test_function_with_other_values_close_by_alone(self, path, monkeypatch):
        def power(x):
            return x ** int(os.environ["GRADLAB_TEST_POWER"])

        given = (power, lambda dy, x: 2 * x * dy, np.ones(2))
        monkeypatch.setenv("GRADLAB_TEST_POWER", "2")
        assert gradcheck(*given, journal=path)
        monkeypatch.setenv("GRADLAB_TEST_POWER", "3")
        with pytest.raises(gradlab.UsageError, match="check: what forward returns close by is not the same"):
            gradcheck(*given, journal=path)

    def test_function_that_differs_from_call_to_call_is_not(self, path):
        rng = np.random.default_rng(0)

        def noisy(x):
            return np.tanh(x) + 1e-9 * rng.normal(size=x.shape)

        first = gradcheck(noisy, backward, X, journal=path, raise_exception=False)
        again = gradcheck(noisy, backward, X, journal=path, raise_exception=False)
        assert (first.verdict, first.inputs[0].verdict) == (again.verdict, again.inputs[0].verdict)

    def test_point_with_no_value_on_one_side_of_it_is_not(self, path):
        def forward(x):
            if (x < 1).any():
                raise ValueError("below the domain")
            return x**2

        given = (forward, lambda dy, x: 2 * x * dy, np.array([1.0]))
        options = {"bounds": {"x": (1.0, np.inf)}, "journal": path}
        assert gradcheck(*given, **options) == gradcheck(*given, **options)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (
                "class M:\n    def run(self, x): return x**2\ndef forward(x):\n    return M().run(x)",
                "class M:\n    def run(self, x): return x**3\ndef forward(x):\n    return M().run(x)",
            ),
            (
                "P = {'k': 2}\ndef forward(x):\n    return x ** P['k']",
                "P = {'k': 3}\ndef forward(x):\n    return x ** P['k']",
            ),
        ],
        ids=["class", "dict"],
    )
    def test_module_that_was_edited(self, path, before, after):
        def made(source):
            space = {"__name__": "here"}
            exec(source, space)
            return space["forward"]

        given = (lambda dy, x: 2 * x * dy, np.ones(2))
        assert gradcheck(made(before), *given, journal=path)
        assert gradcheck(made(before), *given, journal=path)
        with pytest.raises(gradlab.UsageError, match="another check: forward is not the same"):
            gradcheck(made(after), *given, journal=path)

    @pytest.mark.parametrize("line", ["import shapes", "from shapes import act"])
    def test_function_that_uses_another_of_a_module_that_was_edited(self, path, tmp_path, monkeypatch, line):
        call = "act(x)" if line.startswith("from") else "shapes.act(x)"
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        (tmp_path / "uses.py").write_text(f"{line}\n\ndef forward(x):\n    return {call}\n")
        for act, refused in (("np.tanh(x)", False), ("2 * np.tanh(x)", True)):
            (tmp_path / "shapes.py").write_text(f"import numpy as np\n\ndef act(x):\n    return {act}\n")
            for name in ("shapes", "uses"):
                monkeypatch.delitem(sys.modules, name, raising=False)
            forward = importlib.import_module("uses").forward
            with pytest.raises(gradlab.UsageError, match="forward is not") if refused else nullcontext():
                gradcheck(forward, backward, np.zeros(2), journal=path)

    def test_another_version(self, path, monkeypatch):
        gradcheck(simulation, backward, X, journal=path)
        monkeypatch.setattr("gradlab.point.sources.__version__", "99")
        with pytest.raises(
            gradlab.UsageError, match="the version of gradlab, NumPy or Python is not the same"
        ):
            gradcheck(simulation, backward, X, journal=path)

    def test_file_that_is_no_journal_is_left_as_it_is(self, path):
        path.write_text("precious notes\n" * 100)
        with pytest.raises(gradlab.UsageError, match="cannot be used: file is not a database"):
            gradcheck(simulation, backward, X, journal=path)
        assert path.read_text() == "precious notes\n" * 100

    def test_database_of_something_else(self, path):
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE about (what TEXT, told TEXT)")
            other.execute("INSERT INTO about VALUES ('owner', 'somebody')")
        other.close()
        with pytest.raises(gradlab.UsageError, match="is of another check: format"):
            gradcheck(simulation, backward, X, journal=path)

    def test_database_without_what_a_journal_says_of_itself_is_left_as_it_is(self, path):
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE precious (notes TEXT)")
        before = path.read_bytes()
        with pytest.raises(gradlab.UsageError, match="is another database; expected another file"):
            gradcheck(simulation, backward, X, journal=path)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("name", ["", "null\0character"])
    def test_name_that_no_file_can_have(self, name):
        with pytest.raises(gradlab.UsageError, match=r"journal '.*' cannot be opened"):
            gradcheck(simulation, backward, X, journal=name)

    def test_folder_that_does_not_exist(self, tmp_path):
        with pytest.raises(gradlab.UsageError, match=r"journal .*nowhere.* cannot be opened"):
            gradcheck(simulation, backward, X, journal=tmp_path / "nowhere" / "j")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed, which takes copies of this one")
@pytest.mark.filterwarnings("ignore:.*fork")
class TestKilled:
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(moments=st.lists(st.floats(0.0, 0.06), min_size=5, max_size=5))
    def test_whenever_it_is_killed_the_next_one_goes_on(self, moments, tmp_path_factory):
        """Killed fifty times in all, five times one after the other."""
        path = tmp_path_factory.mktemp("killed") / "journal"

        def slow(x):
            time.sleep(0.002)
            return np.tanh(x)

        def resume():
            with patch("gradlab.point.sources.AT_ONCE", 1e-9):  # each call is kept by itself
                return gradcheck(slow, backward, X, journal=path)

        kept = 0
        for moment in moments:
            process = os.fork()
            if not process:
                try:
                    resume()
                finally:
                    os._exit(0)
            time.sleep(moment)
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            now = rows_in(path)
            assert now >= kept
            kept = now
        plain = gradcheck(simulation, backward, X)
        report = resume()
        assert (report.inputs, report.forward_calls) == (plain.inputs, plain.forward_calls)


def rows_in(path):
    """Return how many evaluations a journal holds."""
    with closing(sqlite3.connect(path)) as file:
        try:
            return file.execute("SELECT count(*) FROM rows").fetchone()[0]
        except sqlite3.OperationalError:  # killed before there was a table
            return 0


def of_source(source, **names):
    """Return the fingerprint of the ``f`` that a module defines."""
    space = {"__name__": "here", **names}
    exec(source, space)
    return fingerprint(space["f"])


def titled(text):
    """Return some sources by their titles."""
    return {title: source.strip() for title, source in re.findall(r"# (.*)\n((?:[^#].*\n|\n)+)", text)}


USES = titled("""
# class
class M:
    def run(self, x):
        return x**POWER
def f(x):
    return M().run(x)
# class that it derives from
class A:
    k = POWER
class M(A):
    pass
def f(x):
    return x**M.k
# property
class M:
    @property
    def k(self):
        return POWER
def f(x):
    return x**M().k
# static method
class M:
    @staticmethod
    def k():
        return POWER
def f(x):
    return x**M.k()
# instance
class M:
    pass
m = M()
m.k = POWER
def f(x):
    return x**m.k
# slots
class M:
    __slots__ = ("k",)
m = M()
m.k = POWER
def f(x):
    return x**m.k
# callable object
class M:
    def __call__(self, x):
        return x**POWER
m = M()
def f(x):
    return m(x)
# bound method
class M:
    def run(self, x):
        return x**POWER
run = M().run
def f(x):
    return run(x)
# dict
P = {"k": POWER}
def f(x):
    return x**P["k"]
# list
P = [[POWER], 2]
def f(x):
    return x**P[0][0]
# functions in a dict, where something is written to
P = {"k": lambda x: x**POWER}
def f(x):
    y = 0 * x
    y[:] = P["k"](x)
    return y
# partial function
import functools
g = functools.partial(pow, exp=POWER)
def f(x):
    return g(x)
# function with a cache
import functools
@functools.lru_cache
def g(x):
    return x**POWER
def f(x):
    return g(x)
# array of objects
import numpy as np
P = np.array([POWER, None])
def f(x):
    return x**P[0]
# namespace
import types
P = types.SimpleNamespace(k=POWER)
def f(x):
    return x**P.k
""")
CHANGED = titled("""
# counter
N = []
def f(x):
    N.append(1)
    return x
# cache
C = {}
def f(x):
    C[x] = x
    return C[x]
# object by its own method
class M:
    def run(self, x):
        self.last = x
        return x
m = M()
def f(x):
    return m.run(x)
# class by its own method
class M:
    n = 0
    def run(self, x):
        M.n += 1
        return x
def f(x):
    return M().run(x)
# random generator
import numpy as np
rng = np.random.default_rng(0)
def f(x):
    return x + rng.normal()
# random generator of an object
import numpy as np
class M:
    def __init__(self):
        self.rng = np.random.default_rng(0)
    def run(self, x):
        return x + self.rng.normal()
f = M().run
# logger
import logging
log = logging.getLogger("gradlab of a test")
def f(x):
    log.info(x)
    return x
""")


NAMED = """
NAMES = {"one", "two", "three", ("four", 4)}
FROZEN = [frozenset(NAMES), (1, 2), (1, 2)]


def named(x):
    return x if x in NAMES else FROZEN, (1, 2)

"""


class TestFingerprint:
    @pytest.mark.parametrize("source", USES.values(), ids=USES)
    def test_what_a_function_names_counts(self, source):
        two, again, three = (of_source(source.replace("POWER", power)) for power in ("2", "2", "3"))
        assert two == again != three

    @pytest.mark.parametrize("source", CHANGED.values(), ids=CHANGED)
    def test_what_a_call_changes_does_not(self, source):
        space = {"__name__": "here"}
        exec(source, space)
        before = fingerprint(space["f"])
        space["f"](1.0)
        assert fingerprint(space["f"]) == before

    def test_what_is_in_a_list_is_told_from_what_is_behind_it(self):
        assert fingerprint(([1], 2)) != fingerprint(([1, 2],))

    def test_long_chain_is_told_to_its_end(self):
        def chain(end):
            class Node:
                def __init__(self, next):
                    self.next = next

            node = end
            for _ in range(5000):
                node = Node(node)
            return of_source("def f(x): return P", P=node)

        assert chain(1) == chain(1) != chain(2)

    def test_module_behind_a_module_counts(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        (tmp_path / "told_outer").mkdir()
        (tmp_path / "told_outer" / "__init__.py").write_text("from told_outer import inner\n")
        digests = []
        for factor in (2, 2, 3):
            (tmp_path / "told_outer" / "inner.py").write_text(f"def act(x):\n    return {factor} * x\n")
            for name in ("told_outer", "told_outer.inner"):
                monkeypatch.delitem(sys.modules, name, raising=False)
            space = {"told_outer": importlib.import_module("told_outer"), "__name__": "here"}
            exec("def f(x):\n    return told_outer.inner.act(x)", space)
            digests.append(fingerprint(space["f"]))
        assert digests[0] == digests[1] != digests[2]

    def test_every_process_tells_the_same(self, tmp_path):
        """Whatever the seed of its hashes, and whether the code is compiled or read."""
        sources = [source.replace("POWER", "2") for source in [*USES.values(), *CHANGED.values()]]
        made = "".join(
            f"def made_{k}():\n{textwrap.indent(source, '    ')}\n    return f\n\n"
            for k, source in enumerate(sources)
        )
        (tmp_path / "told.py").write_text(f"{NAMED}\n{made}")
        script = (
            "import told\nfrom hypothesis import strategies as st\nfrom gradlab import strategies\n"
            "from gradlab.point.fingerprints import fingerprint\n"
            f"made = [getattr(told, f'made_{{k}}')() for k in range({len(sources)})]\n"
            "drawn = [strategies.inputs('(n)', elements=strategies.between(0, 1)), st.just([object()]),\n"
            "    st.integers(1, 2).map(lambda k: (k,)), st.lists(st.floats()).flatmap(st.just)]\n"
            "print(fingerprint([told.named, *made, *drawn]))"
        )
        answers = set()
        for seed in ("0", "1", "2"):
            environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
            command = [sys.executable, "-c", script]
            answers.add(subprocess.check_output(command, env={**os.environ, **environment}))
        assert len(answers) == 1

    def test_code_defaults_closures_and_helpers_count(self):
        def helper(x):
            return x

        def made(constant, default=1, other=helper):
            return lambda x, y=default: other(x) * constant + y

        assert fingerprint(made(2.0)) == fingerprint(made(2.0))
        assert len({fingerprint(f) for f in (made(2.0), made(3.0), made(2.0, 5), made(2.0, 1, np.sin))}) == 4

    def test_helper_of_the_same_module_counts(self):
        space = {"__name__": "here"}
        exec("def helper(x):\n    return x\ndef f(x):\n    return helper(x)", space)
        before = fingerprint(space["f"])
        exec("def helper(x):\n    return 2 * x", space)
        assert fingerprint(space["f"]) != before

    def test_layout_and_place_do_not(self):
        first, second = {"__name__": "here"}, {"__name__": "here"}
        exec("def f(x):\n    return x + 1", first)
        exec("\n\ndef f(x):\n    # it adds\n    return x + 1", second)
        assert fingerprint(first["f"]) == fingerprint(second["f"])

    def test_arrays_count_by_their_numbers(self):
        assert fingerprint(X) == fingerprint(X.copy())
        assert len({fingerprint(x) for x in (X, X.T, X.astype(np.float32), -X)}) == 4

    def test_state_of_an_object_counts_and_a_cycle_ends(self):
        class Model:
            def __init__(self, w):
                self.w, self.me = w, self

            def loss(self, x):
                return x * self.w

        assert fingerprint(Model(1.0).loss) == fingerprint(Model(1.0).loss) != fingerprint(Model(2.0).loss)
