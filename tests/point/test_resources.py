"""Budgets, timeouts and batches: what evaluating forward may take, and that no verdict depends on it."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import gradlab
from gradlab import gradcheck
from gradlab.point.resources import Resources

X = np.random.default_rng(0).normal(size=12)


def tanh_backward(dy, x):
    return dy * (1 - np.tanh(x) ** 2)


def wrong_backward(dy, x):
    return dy * (1 - x**2)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def softmax_backward(dy, x):
    s = softmax(x)
    return s * (dy - dy @ s)


@pytest.fixture
def clock(monkeypatch):
    """The clock by which a check measures calls; it goes on only where a test says so."""
    clock = SimpleNamespace(now=0.0)
    told = SimpleNamespace(perf_counter=lambda: clock.now, monotonic=lambda: clock.now)
    for module in ("evaluation", "pace", "problem"):
        monkeypatch.setattr(f"gradlab.point.{module}.time", told)
    return clock


class Client:
    """Has what one of Dask has, and is no executor."""

    def submit(self, function, *args):
        raise AssertionError

    def get_executor(self):
        raise AssertionError


class TestOptions:
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            *(("max_calls", value) for value in (0, 1.5, True)),
            *(("max_seconds", value) for value in (0, -1.0, np.inf, "1", 10**400)),
            *(("timeout", value) for value in (0, True, [1.0], np.complex128(1))),
            *(("workers", value) for value in (0, -2, 1.5, True, "two", ThreadPoolExecutor, Client())),
            *(("vectorized", value) for value in (1, "yes", np.tanh)),
            *(("journal", value) for value in (1, b"bytes", True)),
        ],
    )
    def test_bad_one_is_named_with_what_is_expected(self, option, value):
        with pytest.raises(gradlab.UsageError, match=f"{option} is .*; expected"):
            gradcheck(np.tanh, tanh_backward, X, **{option: value})

    def test_by_default_points_are_evaluated_one_after_the_other(self):
        assert not Resources(max_calls=5, max_seconds=1, timeout=1).evaluates_elsewhere

    def test_time_may_be_longer_than_any_clock_tells(self):
        assert gradcheck(np.tanh, tanh_backward, X, timeout=1e300, max_seconds=1e300)


class TestVectorized:
    def test_true_may_be_that_of_numpy(self):
        batches = []

        def forward(x):
            batches.append(len(x))
            return softmax(x)

        assert gradcheck(forward, softmax_backward, X, vectorized=np.True_)
        assert max(batches) > 1
        assert batches[0] == 1

    @pytest.mark.parametrize("backward", [tanh_backward, wrong_backward])
    def test_report_is_that_of_single_points(self, backward):
        single = gradcheck(np.tanh, backward, X, raise_exception=False)
        batched = gradcheck(np.tanh, backward, X, vectorized=True, raise_exception=False)
        assert (batched.inputs, batched.findings, batched.causes) == (
            single.inputs,
            single.findings,
            single.causes,
        )
        assert batched.forward_calls == single.forward_calls

    def test_forward_is_called_a_few_times(self):
        sizes = []

        def forward(x):
            sizes.append(len(x))
            return softmax(x)

        report = gradcheck(forward, softmax_backward, X, vectorized=True)
        assert sum(sizes) >= report.forward_calls
        assert len(sizes) <= report.forward_calls - 2 * X.size + 5

    def test_several_inputs_and_outputs_constants_and_keywords(self):
        def forward(x, w, labels, *, scale):
            assert labels.shape == (2,)
            y = np.einsum("bnd,bdm->bnm", x, w)
            return scale * y, (y**2).sum(axis=(1, 2))

        def backward(grads, x, w, labels, *, scale):
            dy = scale * grads[0] + 2 * grads[1] * (x @ w)
            return dy @ w.T, x.T @ dy, None

        rng = np.random.default_rng(1)
        inputs = (rng.normal(size=(3, 2)), rng.normal(size=(2, 4)), np.array([0, 1]))
        assert gradcheck(forward, backward, inputs, kwargs={"scale": 2.0}, vectorized=True)

    def test_trees_and_numbers_take_the_axis_too(self):
        def forward(p):
            return p["w"] * p["b"][:, np.newaxis]

        def backward(dy, p):
            return {"w": dy * p["b"], "b": float(dy @ p["w"])}

        assert gradcheck(forward, backward, ({"w": X, "b": 1.5},), vectorized=True)

    def test_complex_numbers(self):
        z = X[:3] + 1j * X[3:6]
        assert gradcheck(np.square, lambda dy, z: dy * np.conj(2 * z), z, vectorized=True)

    def test_large_inputs_are_compared_along_directions(self):
        x = np.random.default_rng(0).normal(size=3000)
        report = gradcheck(np.tanh, wrong_backward, x, vectorized=True, raise_exception=False)
        assert report.failed
        assert gradcheck(np.tanh, tanh_backward, x, vectorized=True)

    def test_bounds_are_kept(self):
        seen = []

        def forward(x):
            seen.append(x.min())
            return np.sqrt(x)

        x = np.array([0.0, 1.0, 4.0])
        gradcheck(forward, lambda dy, x: dy / 2 / np.sqrt(x), x[1:], bounds=(1.0, None), vectorized=True)
        assert min(seen) >= 1.0

    def test_forward_that_mixes_close_points_little_is_refused(self):
        def mean(x):
            return np.broadcast_to(np.tanh(x).mean(axis=0), x.shape)

        with pytest.raises(gradlab.UsageError, match="a batch of 3, returned other numbers"):
            gradcheck(mean, lambda dy, x: np.zeros_like(x), X, vectorized=True)

    def test_ctrl_c_while_points_are_compared_ends_the_evaluation(self):
        batches = []

        def forward(x):
            batches.append(len(x))
            if len(x) > 1:
                raise KeyboardInterrupt
            return np.tanh(x)

        report = gradcheck(forward, tanh_backward, X, vectorized=True, raise_exception=False)
        assert report.verdict == "inconclusive"
        assert sum(size > 1 for size in batches) == 1

    def test_forward_that_sorts_the_batch_is_refused(self):
        with pytest.raises(gradlab.UsageError, match="a batch of 3, returned other numbers"):
            gradcheck(lambda x: np.sort(np.tanh(x), axis=0), tanh_backward, X, vectorized=True)

    def test_forward_that_raises_far_away_is_compared_from_close_by(self):
        def mean(x):
            if abs(x - X[:3]).max() > 0.02:
                raise ValueError("far away")
            return np.broadcast_to(np.tanh(x).mean(axis=0), x.shape)

        with pytest.raises(gradlab.UsageError, match="a batch of 3, returned other numbers"):
            gradcheck(mean, lambda dy, x: np.zeros_like(x), X[:3], vectorized=True)

    def test_forward_that_takes_one_point_at_a_time_is_called_so(self):
        def one(x):
            if len(x) > 1:
                raise ValueError("one at a time")
            return np.tanh(x)

        report = gradcheck(one, wrong_backward, X, vectorized=True, raise_exception=False)
        assert report.inputs == gradcheck(np.tanh, wrong_backward, X, raise_exception=False).inputs

    def test_point_without_a_value_costs_the_batch_nothing_else(self):
        def forward(x):
            if (x < 0.5).any():
                raise ValueError("below the domain")
            return x**1.5

        assert gradcheck(forward, lambda dy, x: dy * 1.5 * np.sqrt(x), np.array([0.5, 2.0]), vectorized=True)

    @pytest.mark.parametrize(
        ("forward", "message"),
        [
            (lambda x: x.sum(), "first axis of what it returns is that of the batch"),
            (lambda x: np.exp(x) / np.exp(x).sum(), "other numbers than for each point by itself"),
            (lambda x: x[:1], "called with a batch of"),
        ],
        ids=["no axis", "mixed", "first point only"],
    )
    def test_forward_that_takes_no_batch_is_refused(self, forward, message):
        with pytest.raises(gradlab.UsageError, match=message):
            gradcheck(forward, lambda dy, x: dy * np.ones_like(x), X, vectorized=True)

    def test_cache_is_refused(self):
        with pytest.raises(gradlab.UsageError, match="without a cache"):
            gradcheck(lambda x: (x, x), lambda dy, x: dy, X, cached=True, vectorized=True)

    def test_call_that_makes_it_again_says_so(self):
        report = gradcheck(np.tanh, wrong_backward, X, vectorized=True, raise_exception=False)
        assert "vectorized=True" in report.call


class TestMaxSeconds:
    def test_directions_come_before_entries(self, clock):
        def forward(x):
            clock.now += 0.001
            return np.tanh(x)

        x = np.random.default_rng(0).normal(size=900)
        report = gradcheck(forward, tanh_backward, x, max_seconds=1.0)
        assert report.inputs[0].probed == 0  # two thousand calls do not fit into a second
        report = gradcheck(forward, wrong_backward, x, max_seconds=1.0, raise_exception=False)
        assert report.failed

    def test_what_is_left_out_is_said(self, clock):
        def forward(x):
            clock.now += 0.005
            return np.tanh(x)

        report = gradcheck(
            forward, tanh_backward, np.tile(X, 5), probes="entries", max_seconds=0.2, raise_exception=False
        )
        assert report.inconclusive
        assert report.reason.startswith("max_seconds=0.2 left entries unprobed: ")

    def test_time_that_is_enough_changes_nothing(self):
        assert gradcheck(np.tanh, tanh_backward, X, max_seconds=60) == gradcheck(np.tanh, tanh_backward, X)


class TestTimeout:
    def test_late_point_has_no_value(self):
        never = threading.Event()

        def forward(x):
            if x[0] > 0.5:
                never.wait(20)
            return np.abs(x)

        # The derivative of the other side is all that can be known, and is enough.
        report = gradcheck(forward, lambda dy, x: dy, np.array([0.5, 1.0]), timeout=0.05)
        assert report.passed

    def test_backward_that_hangs_is_a_finding(self):
        report = gradcheck(np.tanh, lambda dy, x: time.sleep(20), X, timeout=0.05, raise_exception=False)
        assert [finding.kind for finding in report.findings] == ["backward-raises"]
        assert "no answer within the timeout of 0.05 s" in report.reason

    def test_in_time_nothing_changes(self):
        assert gradcheck(np.tanh, tanh_backward, X, timeout=60) == gradcheck(np.tanh, tanh_backward, X)


class TestWorkers:
    @pytest.mark.parametrize("backward", [tanh_backward, wrong_backward])
    def test_report_is_that_of_one_process(self, backward):
        single = gradcheck(np.tanh, backward, X, raise_exception=False)
        with ThreadPoolExecutor(3) as executor:
            assert gradcheck(np.tanh, backward, X, workers=executor, raise_exception=False) == single
        assert gradcheck(np.tanh, backward, X, workers=map, raise_exception=False) == single

    def test_obstacles_are_told_as_if_there_were_none(self):
        def forward(x):
            if x[0] != 0.5:
                raise ValueError("nowhere else")
            return np.tanh(x)

        given = (forward, tanh_backward, np.array([0.5, 1.0]))
        with ThreadPoolExecutor(2) as executor:
            report = gradcheck(*given, workers=executor, raise_exception=False)
        assert report == gradcheck(*given, raise_exception=False)
        assert "nowhere else" in report.reason

    def test_function_that_cannot_be_sent_is_named(self):
        lock = threading.Lock()

        def forward(x):
            with lock:
                return np.tanh(x)

        with pytest.raises(gradlab.UsageError, match=r"forward cannot be sent to workers: .*pickle"):
            gradcheck(forward, tanh_backward, X, workers=map)


class TestForesight:
    def test_slow_check_says_what_is_ahead_and_what_less_would_tell(self, caplog, clock):
        def simulate(x):
            clock.now += 2
            return np.tanh(x)

        gradcheck(simulate, tanh_backward, np.tile(X, 3))
        warning = next(record for record in caplog.records if record.levelno == logging.WARNING)
        assert warning.name == "gradlab"
        assert warning.getMessage().startswith("simulate: a call takes 2 s, and at least 72 calls")
        assert "are ahead, about 2.4 min; max_seconds=64" in warning.getMessage()
        assert "would compare random directions instead of entries" in warning.getMessage()

    def test_fast_one_says_nothing(self, caplog):
        gradcheck(np.tanh, tanh_backward, X)
        assert not caplog.records


class TestCtrlC:
    def forward_interrupted_at(self, call):
        calls = []

        def forward(x):
            calls.append(x)
            if len(calls) == call:
                raise KeyboardInterrupt
            return np.tanh(x)

        return forward

    def test_what_is_known_is_reported_as_inconclusive(self):
        forward = self.forward_interrupted_at(8)
        report = gradcheck(forward, tanh_backward, X, raise_exception=False)
        assert report.inconclusive
        assert report.reason.startswith("Ctrl-C left entries unprobed: ")

    def test_exception_ends_what_the_check_is_part_of(self):
        with pytest.raises(KeyboardInterrupt) as caught:
            gradcheck(self.forward_interrupted_at(8), tanh_backward, X)
        assert isinstance(caught.value, gradlab.GradientError)
        assert caught.value.report.inconclusive

    def test_before_the_first_answer_there_is_nothing_to_report(self):
        with pytest.raises(KeyboardInterrupt) as caught:
            gradcheck(self.forward_interrupted_at(1), tanh_backward, X, raise_exception=False)
        assert not isinstance(caught.value, gradlab.GradientError)

    def test_verify_ends(self):
        rule = gradlab.Rule("tanh", self.forward_interrupted_at(8), tanh_backward, (X,))
        with pytest.raises(KeyboardInterrupt):
            gradlab.verify(rule, raise_exception=False)


def test_numbers_do_not_depend_on_how_many_points_are_evaluated_at_a_time(monkeypatch):
    w = np.random.default_rng(2).normal(size=(12, 37))

    def forward(x):
        return np.tanh(x @ w)

    def backward(dy, x):
        return (1 + 1e-3) * (dy * (1 - np.tanh(x @ w) ** 2)) @ w.T

    whole = gradcheck(forward, backward, X, raise_exception=False)
    for block in (1, 3 * 37, 5 * 37):
        monkeypatch.setattr("gradlab.checks.directions.BLOCK", block)
        assert gradcheck(forward, backward, X, raise_exception=False) == whole
