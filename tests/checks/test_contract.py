"""How functions behave when they are called: each defect has its finding, and right rules have none."""

import numpy as np
import pytest
from contracts import W, X, check, cube, cube_backward, kinds

from gradlab import gradcheck


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


def unit(x, kept):
    kept[...] = np.linalg.norm(x)
    return x / kept, (x.copy(), kept)


def d_unit(dy, kept):
    x, n = kept
    return dy / n - x * (dy @ x) / n**3


def cubed(x, kept):
    kept[...] = x**2
    return x**3, kept


@pytest.mark.parametrize(
    ("forward", "backward"), [(unit, d_unit), (cubed, lambda dy, kept: 3 * dy * kept)], ids=["norm", "square"]
)
@pytest.mark.parametrize(
    "x",
    [[3.0, 4.0], [1.0, 2.0, 1.0], np.linspace(-1, 1, 5), [-2.0, 2.0], [1.0, 1.0, 1.0], [0.0, 1.0]],
    ids=str,
)
def test_cache_is_seen_to_be_overwritten_however_symmetric_the_input_is(forward, backward, x):
    x = np.asarray(x)
    buffer = np.empty(() if forward is unit else x.shape)
    report = gradcheck(lambda x: forward(x, buffer), backward, x, cached=True, raise_exception=False)
    assert "cache-overwritten" in {finding.kind for finding in report.findings}


def test_cache_of_the_second_input_is_seen_to_be_overwritten():
    w, x = np.random.default_rng(0).standard_normal((2, 5))
    buffer = np.empty(())

    def forward(w, x):
        buffer[...] = x.std()
        return w * buffer, (w.copy(), x.copy(), buffer)

    def backward(dy, kept):
        w, x, spread = kept
        return dy * spread, (dy @ w) * (x - x.mean()) / (x.size * spread)

    report = gradcheck(forward, backward, (w, x), cached=True, raise_exception=False)
    assert "cache-overwritten" in {finding.kind for finding in report.findings}


def test_what_converges_at_the_point_is_called_where_it_does():
    def series(p):
        first, ratio = p
        total, term, terms = 0.0, first, 0
        while abs(term) > 1e-17:
            total, term, terms = total + term, term * ratio, terms + 1
            assert terms < 10_000
        return total

    def backward(dl, p):
        first, ratio = p
        return dl * np.array([1 / (1 - ratio), first / (1 - ratio) ** 2])

    assert gradcheck(series, backward, np.array([2.0, 0.3]), raise_exception=False).passed


def relu_kept(x, kept):
    np.greater(x, 0, out=kept)
    return x * kept, kept


def leaky_kept(x, kept):
    kept[...] = np.where(x > 0, 1.0, 0.1)
    return x * kept, kept


def largest_kept(x, kept):
    kept[...] = np.arange(x.size) == np.argmax(x)
    return np.max(x), kept


def sorted_kept(x, kept):
    kept[...] = np.argsort(x)
    return x[kept], kept


def unsorted(dy, kept):
    dx = np.empty_like(dy)
    dx[kept] = dy
    return dx


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [8, 20])
def test_mask_of_a_product_is_seen_to_be_overwritten(size, seed):
    s, y = np.random.default_rng(seed).standard_normal((2, size))
    s[0], s[1] = y[0], -y[1]  # of both signs
    buffer = np.empty(size, bool)

    def forward(s, y):
        np.greater(s * y, 0, out=buffer)
        return s * y * buffer, (s.copy(), y.copy(), buffer)

    report = gradcheck(
        forward,
        lambda dz, c: (dz * c[1] * c[2], dz * c[0] * c[2]),
        (s, y),
        cached=True,
        raise_exception=False,
    )
    assert "cache-overwritten" in {finding.kind for finding in report.findings}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [2, 3, 12])
@pytest.mark.parametrize(
    ("forward", "backward", "dtype"),
    [
        (relu_kept, lambda dy, kept: dy * kept, bool),
        (leaky_kept, lambda dy, kept: dy * kept, float),
        (largest_kept, lambda dy, kept: dy * kept, float),
        (sorted_kept, unsorted, int),
    ],
    ids=["mask", "slopes", "largest", "order"],
)
def test_cache_that_holds_no_values_is_seen_to_be_overwritten(forward, backward, dtype, size, seed):
    x = np.random.default_rng(seed).standard_normal(size)
    x[0] = -x[1]  # of both signs
    buffer = np.empty(size, dtype)
    overwritten = gradcheck(lambda x: forward(x, buffer), backward, x, cached=True, raise_exception=False)
    assert "cache-overwritten" in {finding.kind for finding in overwritten.findings}
    right = lambda x: forward(x, np.empty(size, dtype))  # noqa: E731
    assert gradcheck(right, backward, x, cached=True, raise_exception=False).passed


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
