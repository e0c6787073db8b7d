"""Functions that are constant but for rounding: nothing else has a scale, and their gradient is none."""

import numpy as np
import pytest
from scipy import special

from gradlab import gradcheck

# Constants whose value is nothing but rounding: there is no scale but that.

CONSTANTS = {
    "mean of what is centred": (lambda x: (x - x.mean()).mean(), lambda dl, x: 0 * x),
    "trace of a commutator": (
        lambda x: np.trace(x.reshape(3, 3) @ WEIGHTS - WEIGHTS @ x.reshape(3, 3)),
        lambda dl, x: 0 * x,
    ),
    "mean of what is standardized": (lambda x: ((x - x.mean()) / x.std()).mean(), lambda dl, x: 0 * x),
}
WEIGHTS = np.random.default_rng(99).standard_normal((3, 3))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("forward", "backward"), CONSTANTS.values(), ids=CONSTANTS)
def test_constant_that_is_rounding_has_no_gradient(forward, backward, seed):
    x = np.random.default_rng(seed).standard_normal(9)
    assert gradcheck(forward, backward, x, raise_exception=False).passed
    wrong = lambda dl, x: backward(dl, x) + 1e-6 * dl  # noqa: E731
    assert not gradcheck(forward, wrong, x, raise_exception=False).passed


@pytest.mark.parametrize("seed", range(1, 6))
def test_what_is_left_of_a_constant_by_backward_alone_is_not_called_wrong(seed):
    x = np.random.default_rng(seed).standard_normal(10)
    report = gradcheck(  # forward is 0 everywhere, backward a rounding of dy here and there
        lambda x: np.cbrt(x**3) - x,
        lambda dy, x: dy * x**2 / np.cbrt(x**3) ** 2 - dy,
        x,
        raise_exception=False,
    )
    assert not report.failed, str(report)


def test_outputs_that_are_rounding_may_depend_on_the_layout():
    def log_softmax(x):
        return special.log_softmax(x, axis=1)

    def backward(dy, x):
        d = dy[:, np.newaxis] * special.softmax(log_softmax(x), axis=1)
        return d - special.softmax(x, axis=1) * d.sum(axis=1, keepdims=True)

    x = np.random.default_rng(0).standard_normal((40, 40))
    forward = lambda x: special.logsumexp(log_softmax(x), axis=1)  # noqa: E731
    assert gradcheck(forward, backward, x, raise_exception=False).passed


def test_gradients_that_are_rounding_may_depend_on_the_layout():
    def centred(a):
        return a - a.mean(axis=1, keepdims=True)

    def backward(dy, x):
        return centred(dy[:, np.newaxis] * np.ones_like(x) / x.shape[1])

    x = np.random.default_rng(0).standard_normal((20, 33))
    report = gradcheck(lambda x: centred(x).mean(axis=1), backward, x, raise_exception=False)
    assert not report.failed, str(report)


@pytest.mark.parametrize("large", [1e8, 1e10])
def test_backward_that_loses_the_digits_that_forward_loses_is_linear(large):
    x = np.random.default_rng(0).standard_normal(4)
    report = gradcheck(
        lambda x: (large * x + np.sin(x)) - large * x,
        lambda dy, x: (dy * large + dy * np.cos(x)) - dy * large,
        x,
        raise_exception=False,
    )
    assert not report.failed, str(report)


def test_noise_of_one_output_excuses_no_other_from_depending_on_the_layout():
    def forward(x):
        twice = 1.0 if x.flags.c_contiguous else 2.0
        return np.array([(1e8 + np.sin(x[0])) - 1e8, twice * 1e-7 * np.sin(x[1])])

    def backward(dy, x):
        return dy * np.array([1.0, 1e-7]) * np.cos(x)

    report = gradcheck(forward, backward, np.array([0.7, 1.3]), raise_exception=False)
    assert "depends-on-memory-layout" in {finding.kind for finding in report.findings}


@pytest.mark.parametrize(
    ("forward", "size", "least"),
    [
        (lambda x: np.cosh(x) ** 2 - np.sinh(x) ** 2, 0.1, 20),
        (lambda x: (x + 1) ** 3 - x**3 - 3 * x * x - 3 * x - 1, 1.0, 17),
        (lambda x: (x + 1) * (x - 1) - x * x + 1, 10.0, 18),
    ],
    ids=["hyperbolic", "cubes", "squares"],
)
def test_terms_that_cancel_are_rounded_more_the_larger_they_are(forward, size, least):
    """What forward does farther away is rounding of larger numbers, and no scale."""
    verdicts = [
        [
            gradcheck(forward, lambda dy, x, c=c: c * dy * x, x, raise_exception=False).verdict
            for c in (0, 1e-3)
        ]
        for x in size * np.random.default_rng(0).standard_normal((20, 5))
    ]
    assert sum(zero == "pass" for zero, _ in verdicts) >= least
    assert not any(zero == "fail" for zero, _ in verdicts)
    assert all(wrong == "fail" for _, wrong in verdicts)


@pytest.mark.parametrize("seed", range(4))
def test_gradient_that_is_rounding_states_no_resolution(seed):
    """How much of it could be wrong is not told: a claim of as much as rounding is none."""
    x = (0.3 + np.random.default_rng(seed).random(7)).astype(np.float32)
    report = gradcheck(
        lambda x: np.arctan(x) + np.arctan(1 / x), lambda dy, x: dy * (1 / (1 + x * x) - 1 / (x * x + 1)), x
    )
    assert report.inputs[0].resolution is None
    assert report.inputs[0].too_small == x.size


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [3, 7])
def test_rounding_of_backward_is_zero_where_outputs_are_zero(size, seed):
    """Nothing moves, and nothing else has a scale: roundings of 1 are no gradient."""
    x = np.random.default_rng(seed).standard_normal(size)
    right, wrong = (
        gradcheck(
            lambda x: np.cbrt(x**3) - x,
            lambda dy, x, c=c: dy * x * x / np.cbrt(x**3) ** 2 - c * dy,
            x,
            raise_exception=False,
        )
        for c in (1, 0)
    )
    assert right.passed
    assert wrong.failed


def bernstein(t):
    return sum(c * t**k * (1 - t) ** (4 - k) for k, c in enumerate((1.0, 4.0, 6.0, 4.0, 1.0)))


def d_bernstein(dy, t, terms=5):
    def term(k, c):
        return c * (k * t ** max(k - 1, 0) * (1 - t) ** (4 - k) - (4 - k) * t**k * (1 - t) ** max(3 - k, 0))

    return dy * sum(term(k, c) for k, c in [*enumerate((1.0, 4.0, 6.0, 4.0, 1.0))][:terms])


def test_sum_of_basis_functions_has_no_gradient():
    """Rounding of larger numbers, which forward shows farther away, is no scale for that of backward."""
    points = np.random.default_rng(0).uniform(0.1, 0.9, (20, 6))
    verdicts = [gradcheck(bernstein, d_bernstein, t, raise_exception=False).verdict for t in points]
    assert verdicts.count("pass") >= 17
    assert "fail" not in verdicts
    missing = lambda dy, t: d_bernstein(dy, t, terms=4)  # noqa: E731
    assert all(gradcheck(bernstein, missing, t, raise_exception=False).failed for t in points)


@pytest.mark.parametrize("seed", range(8))
def test_attention_to_values_that_are_all_alike_has_no_gradient(seed):
    rng = np.random.default_rng(seed)
    q, k = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (5, 3)))

    def forward(q, k):
        return special.softmax(q @ k.T, axis=-1) @ np.ones((5, 2), dtype=q.dtype)

    def backward(dy, q, k, factor=1.0):
        p, d = (
            special.softmax(q @ k.T, axis=-1),
            dy.sum(axis=1, keepdims=True) * np.ones((1, 5), dtype=dy.dtype),
        )
        d = p * (d - factor * (d * p).sum(axis=1, keepdims=True))
        return d @ k, d.T @ q

    assert not gradcheck(forward, backward, (q, k), raise_exception=False).failed
    wrong = lambda dy, q, k: backward(dy, q, k, factor=0.0)  # noqa: E731
    assert gradcheck(forward, wrong, (q, k), raise_exception=False).failed


@pytest.mark.parametrize("seed", range(12))
def test_constant_that_is_itself_rounded_at_the_point(seed):
    """On the side where it is less rounded, every value differs from it by the same."""
    x = 1.5 * (1 + 0.05 * np.random.default_rng(seed).random(1))
    right = gradcheck(
        lambda x: np.cosh(x) ** 2 - np.sinh(x) ** 2,
        lambda dy, x: dy * np.sinh(2 * x) - 2 * dy * np.sinh(x) * np.cosh(x),
        x,
        raise_exception=False,
    )
    assert right.passed


@pytest.mark.parametrize("seed", [5, 51, 77])
def test_claims_of_a_constant_may_be_twice_what_they_scatter_by(seed):
    def backward(dy, x):
        mean, each = np.mean(x), dy / x.size * np.ones_like(x)
        return each / mean + np.sum(-each * x / mean**2) / x.size

    x = np.random.default_rng(seed).random(7) + 0.2
    report = gradcheck(lambda x: np.mean(x / np.mean(x)), backward, x, rng=seed, raise_exception=False)
    assert report.passed


@pytest.mark.parametrize("seed", range(3))
def test_constant_that_overflows_far_away(seed):
    """And is zero there; as many scales away as show anything, it is one."""

    def probabilities(x):
        return np.exp(x - np.log(np.exp(x).sum()))

    def backward(dy, x):
        y = probabilities(x)
        return dy * y - dy * y.sum() * np.exp(x) / np.exp(x).sum()

    x = 2 * np.random.default_rng(seed).normal(size=7)
    right, wrong = (
        gradcheck(lambda x: probabilities(x).sum(), rule, x, raise_exception=False)
        for rule in (backward, lambda dy, x: dy * probabilities(x))
    )
    assert right.passed
    assert wrong.failed
