"""What the contract promises, of every form of a derivative: trees, layers, loss and gradients together."""

import copy
import itertools

import numpy as np
import pytest
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from trees import leaves, mapped, trees

from gradlab import check_layer, check_value_and_grad, gradcheck

slow = examples(6)
X, W, B = (np.random.default_rng(k).normal(size=shape) for k, shape in enumerate([(4, 3), (3, 2), 2]))


def half_squares(tree):
    """Return ``Σ_k ½ (k + 1) Σ leaf_k²``."""
    return sum(
        (0.5 * (k + 1) * np.sum(np.square(leaf)) for k, leaf in enumerate(leaves(tree))), np.float64(0)
    )


def gradients(dy, tree, wrong=-1):
    """Return the gradients, that of one leaf twice as large."""
    factors = itertools.count(1)

    def gradient(leaf):
        k = next(factors)
        return dy * k * leaf * (2 if k == wrong + 1 else 1)

    return mapped(gradient, tree)


def frozen(tree):
    return [np.array(leaf) for leaf in leaves(tree)]


@slow
@given(st.integers(0, 4).flatmap(trees), st.data())
def test_every_leaf_of_a_tree_is_checked(tree, data):
    sizes = [np.size(leaf) for leaf in leaves(tree)]
    assume(any(sizes))
    before, structure = frozen(tree), repr(tree)
    report = gradcheck(half_squares, gradients, (tree,))
    assert [result.size for result in report.inputs] == sizes
    assert len({result.name for result in report.inputs}) == len(sizes)
    wrong = data.draw(st.sampled_from([k for k, size in enumerate(sizes) if size]))
    report = gradcheck(
        half_squares, lambda dy, tree: gradients(dy, tree, wrong), (tree,), raise_exception=False
    )
    assert [k for k, result in enumerate(report.inputs) if result.verdict == "fail"] == [wrong]
    assert all(map(np.array_equal, before, frozen(tree)))
    assert repr(tree) == structure


@slow
@given(st.integers(0, 4).flatmap(trees))
def test_a_leaf_is_named_as_python_reaches_it(tree):
    assume(any(np.size(leaf) for leaf in leaves(tree)))
    report = gradcheck(half_squares, gradients, (tree,))
    for result, leaf in zip(report.inputs, leaves(tree), strict=True):
        assert np.array_equal(eval(result.name, {"tree": tree}), leaf)


@slow
@given(st.integers(0, 3).flatmap(trees))
def test_value_and_grad_takes_the_same_trees(tree):
    assume(any(np.size(leaf) for leaf in leaves(tree)))
    check_value_and_grad(lambda tree: (half_squares(tree), (gradients(1.0, tree),)), tree)


class Affine:
    calls = itertools.count()  # which nothing can put back

    def __init__(self, factor=1.0):
        self.W, self.b, self.factor = W.copy(), B.copy(), factor
        self.dW, self.db = np.zeros_like(W), np.zeros_like(B)

    def forward(self, x):
        next(self.calls)
        self.x = x
        return np.tanh(x @ self.W + self.b)

    def backward(self, dy):
        da = dy * (1 - np.tanh(self.x @ self.W + self.b) ** 2)
        self.dW[...] = self.x.T @ da
        self.db[...] = self.factor * da.sum(axis=0)
        return da @ self.W.T


def loss(x, w, b, factor=1.0):
    next(Affine.calls)
    y = np.tanh(x @ w + b)
    da = y * (1 - y**2)
    return 0.5 * np.sum(y**2), da @ w.T, x.T @ da, factor * da.sum(axis=0)


def layer_form(factor, **options):
    return check_layer(Affine(factor), X, raise_exception=False, **options)


def loss_form(factor, **options):
    return check_value_and_grad(loss, X, W, B, kwargs={"factor": factor}, raise_exception=False, **options)


FORMS = pytest.mark.parametrize("form", [layer_form, loss_form])


@FORMS
@pytest.mark.parametrize("factor", [1.0, 2.5])
@slow
@given(seed=st.integers(0, 1000))
def test_the_same_call_gives_an_equal_report_and_writes_to_nothing(form, factor, seed):
    before = copy.deepcopy((X, W, B))
    report = form(factor, rng=seed)
    assert report == form(factor, rng=seed)
    assert report.verdict == ("pass" if factor == 1 else "fail")
    assert all(map(np.array_equal, before, (X, W, B)))


@FORMS
@slow
@given(most=st.integers(1, 80))
def test_max_calls_is_kept_and_makes_no_right_rule_fail(form, most):
    start = next(Affine.calls)
    report = form(1.0, max_calls=most)
    made = next(Affine.calls) - start - 1
    assert made == report.forward_calls <= most
    assert not report.failed, str(report)


@FORMS
def test_max_calls_that_suffices_finds_what_is_wrong(form):
    assert form(2.5, max_calls=200).failed
    assert form(1.0, max_calls=200).passed


@slow
@given(x=st.integers(0, 1000))
def test_state_of_a_layer_is_put_back(x):
    layer = Affine()
    before = copy.deepcopy(vars(layer))
    check_layer(layer, np.random.default_rng(x).normal(size=(2, 3)))
    assert vars(layer).keys() == before.keys()
    assert all(np.array_equal(value, before[name]) for name, value in vars(layer).items())
