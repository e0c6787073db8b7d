"""How functions behave when they are called: each defect has its finding, and right rules have none."""

import numpy as np
import pytest

from gradlab import Verdict, gradcheck

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.75]])


def check(forward, backward, inputs=X, **options):
    return gradcheck(forward, backward, inputs, raise_exception=False, **options)


def kinds(*arguments, **options):
    return {finding.kind for finding in check(*arguments, **options).findings}


def cube(x):
    return x**3


def cube_backward(dy, x):
    return 3 * x**2 * dy


def test_right_rules_have_no_finding():
    assert kinds(cube, cube_backward) == set()
    assert kinds(lambda x, w: x @ w, lambda dy, x, w: (dy @ w.T, x.T @ dy), (X, W)) == set()
    assert kinds(lambda x: (x @ W, x), lambda dy, x: dy @ W.T, cached=True) == set()


class TestMutation:
    def test_forward_that_writes_to_its_input(self):
        def forward(x):
            y = x**3
            x *= 2
            return y

        report = check(forward, cube_backward)
        assert [f.kind for f in report.findings if f.check == "contract"] == ["mutates-input"]
        assert report.findings[0].message == "forward writes to x, which it was given"

    def test_backward_that_writes_to_its_input(self):
        def backward(dy, x):
            x **= 2
            return 3 * x * dy

        assert "backward writes to x" in check(cube, backward).findings[0].message

    def test_backward_may_put_what_it_found_into_its_cache(self):
        def backward(dy, cache):
            cache["dx"] = 3 * cache["x"] ** 2 * dy
            return cache["dx"]

        assert check(lambda x: (x**3, {"dx": None, "x": x}), backward, cached=True).passed

    def test_backward_that_writes_to_its_cache(self):
        def backward(dy, cache):
            cache["x"] **= 2
            return 3 * cache["x"] * dy

        report = check(lambda x: (x**3, {"x": x}), backward, cached=True)
        assert report.findings[0].kind == "mutates-input"
        assert "its cache" in report.findings[0].message

    def test_backward_that_writes_to_the_upstream_gradient(self):
        def backward(dy, x):
            dy *= 3 * x**2
            return dy

        assert kinds(cube, backward) == {"mutates-upstream"}

    def test_constants_count_too(self):
        def forward(x, index):
            y = x[index]
            index[:] = 0
            return y

        assert "mutates-input" in kinds(forward, lambda dy, x, index: dy, (X, np.array([0, 1])))


class TestDeterminism:
    def test_random_forward_is_said_to_be_so_instead_of_a_wrong_gradient(self):
        rng = np.random.default_rng(0)
        report = check(lambda x: x * rng.integers(0, 2, x.shape), lambda dy, x: dy)
        assert [f.kind for f in report.findings] == ["not-deterministic"]
        assert report.findings[0].message.startswith("forward is not deterministic")

    def test_random_backward_is_told_apart(self):
        rng = np.random.default_rng(0)
        report = check(cube, lambda dy, x: cube_backward(dy, x) * rng.uniform(0.5, 1.5))
        found = next(f for f in report.findings if f.kind == "not-deterministic")
        assert found.message.startswith("backward is not deterministic")
        assert found.input == "x"

    def test_function_that_fails_the_second_time(self):
        calls = iter([1])

        def once(dy, x):
            next(calls)
            return cube_backward(dy, x)

        assert "not-deterministic" in kinds(cube, once)

    def test_rounding_in_another_order_is_the_same_answer(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=200)

        def shuffled_sum(x):
            return x[rng.permutation(x.size)].sum()

        assert kinds(shuffled_sum, lambda dy, x: dy * np.ones_like(x), x) == set()

    def test_cache_that_the_next_forward_overwrites(self):
        buffer = np.empty((2, 2))

        def forward(x, w):
            np.tanh(x @ w, out=buffer)
            return buffer.copy(), (x, w, buffer)

        def own_cache(x, w):
            y = np.tanh(x @ w)
            return y, (x, w, y)

        def backward(dy, cache):
            x, w, y = cache
            dz = dy * (1 - y**2)
            return dz @ w.T, x.T @ dz

        assert kinds(own_cache, backward, (X, W), cached=True) == set()
        assert "cache-overwritten" in kinds(forward, backward, (X, W), cached=True)

    def test_backward_that_remembers_the_last_forward(self):
        seen = []

        def forward(x):
            seen.append(x.copy())
            return x**3

        report = check(forward, lambda dy, x: cube_backward(dy, seen[-1]))
        assert "cache-overwritten" in {finding.kind for finding in report.findings}
        assert "backward depends on the last call of forward" in str(report.findings)


class TestZero:
    """A gradient that vanishes because terms cancel is rounding: neither nonlinear nor another each time."""

    def test_it_is_linear_and_the_same_twice(self):
        def centred(x, b):
            return (x + b) - (x + b).mean(axis=0)

        def backward(dy, x, b):
            d = dy - dy.mean(axis=0)
            return d, d.sum(axis=0)

        assert kinds(centred, backward, (X, W[:, 0])) == set()

    def test_a_defect_that_is_as_small_beside_something_larger_is_not_excused(self):
        def backward(dy, x, z):
            return 3 * dy, 1e-3 * np.abs(dy)

        assert "nonlinear-in-upstream" in kinds(lambda x, z: 3 * x, backward, (X, X))


class TestUpstream:
    @pytest.mark.parametrize(
        ("backward", "kind"),
        [
            (lambda dy, x: 3 * x**2, "ignores-upstream"),
            (lambda dy, x: 3 * x**2 * dy**2, "nonlinear-in-upstream"),
            (lambda dy, x: 3 * x**2 * np.abs(dy), "nonlinear-in-upstream"),
            (lambda dy, x: 3 * x**2 * dy + 0.01, "nonlinear-in-upstream"),
            (lambda dy, x: 3 * x**2 * dy / np.abs(dy).max(initial=1e-300), "nonlinear-in-upstream"),
            (lambda dy, x: 3 * x**2 * np.sign(dy), "nonlinear-in-upstream"),
        ],
    )
    def test_what_is_not_linear_in_the_upstream_gradient(self, backward, kind):
        assert kind in kinds(cube, backward)

    def test_it_is_said_for_each_input_by_itself(self):
        report = check(lambda x, w: x @ w, lambda dy, x, w: (dy @ w.T, x.T @ np.abs(dy)), (X, W))
        assert {(f.kind, f.input) for f in report.findings if f.check == "contract"} == {
            ("nonlinear-in-upstream", "w")
        }

    def test_loss_that_ignores_its_upstream_gradient(self):
        assert "ignores-upstream" in kinds(lambda x: (x**2).sum(), lambda dl, x: 2 * x)


class TestMemoryLayout:
    def test_backward_that_depends_on_it(self):
        def backward(dy, x):
            in_memory = dy if dy.base is None else np.resize(dy.base, dy.shape)  # whatever its strides
            return cube_backward(in_memory, x)

        assert kinds(cube, backward) == {"depends-on-memory-layout"}

    def test_backward_that_is_not_finite_for_another(self):
        def backward(dy, x):
            return cube_backward(dy, x) * (1.0 if dy.flags.c_contiguous else np.nan)

        assert kinds(cube, backward) == {"depends-on-memory-layout"}

    def test_backward_that_reads_a_column_as_if_it_were_contiguous(self):
        def backward(dy, x):
            in_memory = np.lib.stride_tricks.as_strided(dy, dy.shape, dy[:1].copy().strides)
            return cube_backward(in_memory, x)

        x, dy = np.arange(1.0, 7.0)[:, np.newaxis], np.array([[1.0], [0], [2], [1], [1], [1]])
        assert "depends-on-memory-layout" in kinds(cube, backward, x, grad_output=dy)

    @pytest.mark.parametrize("order", ["K", "A"])
    def test_backward_that_reads_memory_in_its_own_order(self, order):
        def backward(dy, x):
            return dy.ravel(order=order).reshape(dy.shape) * 3 * x**2

        assert "depends-on-memory-layout" in kinds(cube, backward)

    def test_backward_that_needs_an_upstream_gradient_of_numbers_of_its_own(self):
        def backward(dy, x):
            dy = dy.copy() if dy.strides[-1] else 2 * dy  # a broadcast one has strides of zero
            return cube_backward(dy, x)

        assert "depends-on-memory-layout" in kinds(cube, backward)

    def test_forward_that_depends_on_it(self):
        def forward(x):
            return np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape).strides) ** 3

        assert kinds(forward, cube_backward) == {"depends-on-memory-layout"}

    def test_function_that_refuses_gets_a_note(self):
        def backward(dy, x):
            if not dy.flags.c_contiguous:
                raise ValueError("contiguous arrays only")
            return cube_backward(dy, x)

        report = check(cube, backward)
        assert report.verdict is Verdict.PASS
        assert "backward raised ValueError: contiguous arrays only" in report.notes[0]
        assert "note: with arrays that are not contiguous" in str(report)


class TestReturned:
    """What is returned: for constants, in which dtype."""

    SCALE = np.array([1, 2, 3])

    @pytest.mark.parametrize("answer", [(), (None,), (np.zeros(3),), (0 * SCALE,)])
    def test_gradient_of_a_constant_is_left_out_none_or_zeros(self, answer):
        assert kinds(lambda x, s: x * s, lambda dy, x, s: (dy * s, *answer), (X, self.SCALE)) == set()

    def test_gradient_of_a_constant_that_is_not_zero_is_a_finding(self):
        report = check(lambda x, s: x * s, lambda dy, x, s: (dy * s, (dy * x).sum(axis=0)), (X, self.SCALE))
        assert [finding.kind for finding in report.findings] == ["gradient-of-constant"]

    def test_input_that_is_not_asked_about_may_have_any_gradient(self):
        def backward(dy, x, w):
            return dy @ w.T, 99 * x.T @ dy

        assert kinds(lambda x, w: x @ w, backward, (X, W), wrt="x") == set()
        assert kinds(lambda x, w: x @ w, backward, (X, W)) == {"wrong-gradient"}

    def test_gradient_in_a_narrower_dtype_is_a_finding(self):
        report = check(cube, lambda dy, x: cube_backward(dy, x).astype(np.float32))
        assert "gradient-dtype" in {finding.kind for finding in report.findings}

    def test_gradient_in_a_wider_dtype_is_none(self):
        assert kinds(cube, lambda dy, x: cube_backward(dy, x).astype(float), X.astype(np.float32)) == set()


class TestAccumulated:
    """What each call adds to the answer of the call before."""

    @pytest.mark.parametrize("left", [0.0, 7.0])
    def test_gradient_that_each_call_adds_to_is_named(self, left):
        total = np.full(X.shape, left)

        def backward(dy, x):
            np.add(total, cube_backward(dy, x), out=total)
            return total

        report = check(cube, backward)
        assert "accumulated" in {finding.kind for finding in report.findings}
        assert [cause.code for cause in report.causes] == ["accumulated"]

    def test_gradient_that_drifts_is_not_deterministic(self):
        drift = iter(range(10_000))
        found = kinds(cube, lambda dy, x: cube_backward(dy, x) * (1 + next(drift)))
        assert "not-deterministic" in found
        assert "accumulated" not in found

    @pytest.mark.parametrize("added", [False, True])
    def test_cache_to_which_each_forward_adds(self, added):
        total = np.zeros(X.shape)

        def forward(x):
            if added:
                np.add(total, 3 * x**2, out=total)
            return x**3, total.copy() if added else 3 * x**2

        found = kinds(forward, lambda dy, slope: dy * slope, cached=True)
        assert found == ({"accumulated"} if added else set())


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def d_softmax(dy, x):
    p = softmax(x)
    return p * (dy - (dy * p).sum())


CONFIDENT = [
    [0.0, 22.0],
    [0.0, 20.0, 1.0],
    [28.778, 1.533, -8.909],
    [0.0, 30.0],
    [-0.98, 34.93],
    [0.43, -0.54, 37.22],
    [-0.56, 0.59, 28.62, -1.57, 1.0, -0.1],
]


@pytest.mark.parametrize("x", CONFIDENT)
def test_what_is_rounded_as_the_upstream_gradient_is_linear(x):
    report = gradcheck(softmax, d_softmax, np.array(x), raise_exception=False)
    assert not report.findings


def test_normalization_of_two_numbers_is_linear():
    def forward(x):
        return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-8)

    def backward(dy, x):
        s = np.sqrt(x.var(0) + 1e-8)
        h = (x - x.mean(0)) / s
        return (dy - dy.mean(0) - h * (dy * h).mean(0)) / s

    assert not gradcheck(forward, backward, np.array([[1.0, 2], [6, -4]]), raise_exception=False).findings


@pytest.mark.parametrize("change", [lambda dy: dy + 1e-9 * dy**2, lambda dy: np.clip(dy, -1.5, 1.5), np.tanh])
def test_what_is_not_linear_is_told(change):
    report = gradcheck(
        softmax, lambda dy, x: d_softmax(change(dy), x), np.array([0.5, 1.0, -0.3]), raise_exception=False
    )
    assert "nonlinear-in-upstream" in {finding.kind for finding in report.findings}


def test_what_is_rounded_to_float32_on_the_way_is_not_linear():
    def backward(dy, x):
        return (np.float32(dy) * np.float32(np.cos(x))).astype(float)

    report = gradcheck(np.sin, backward, np.array([0.3, -0.7, 0.9]), raise_exception=False)
    assert report.failed


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_cache_in_a_buffer_is_seen_to_be_overwritten_however_little_that_changes(scale):
    buffer = np.empty((5, 2))

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def forward(x, w, shared):
        z = x @ w
        kept = buffer if shared else np.empty((5, 2))
        kept[...] = z
        return sigmoid(z), (x, w, kept)

    def backward(dy, cache):
        x, w, z = cache
        dz = dy * sigmoid(z) * sigmoid(-z)
        return dz @ w.T, x.T @ dz

    inputs = (
        scale * np.random.default_rng(0).normal(size=(5, 3)),
        np.random.default_rng(1).normal(size=(3, 2)),
    )
    for shared in (False, True):
        report = gradcheck(
            lambda x, w, shared=shared: forward(x, w, shared),
            backward,
            inputs,
            cached=True,
            raise_exception=False,
        )
        assert ("cache-overwritten" in {finding.kind for finding in report.findings}) == shared


@pytest.mark.parametrize("order", ["C", "K"])
def test_forward_that_reads_its_inputs_as_they_lie_in_memory_is_told(order):
    def forward(x):
        return np.sin(x.ravel(order).reshape(x.shape))

    x = np.random.default_rng(0).normal(size=(4, 5))
    report = gradcheck(forward, lambda dy, x: dy * np.cos(x), x, raise_exception=False)
    kinds = {finding.kind for finding in report.findings}
    assert kinds == ({"depends-on-memory-layout"} if order == "K" else set())
