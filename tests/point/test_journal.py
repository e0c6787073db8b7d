"""The journal: what was evaluated is not evaluated again, and nothing else is taken for it."""

import importlib
import os
import signal
import sqlite3
import sys
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
        assert ": the point, what forward returns there are not the same" in self.refusal(path, x=x)

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


class TestFingerprint:
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
