"""The contract's promises for every form: no caller's array is written to, reports repeat, budgets hold."""

import copy

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from gradlab import gradcheck
from gradlab.strategies import inputs

COMPLEX = inputs("(n,k),(k,m)", dtype="complex128")
REAL = inputs("(n,k),(k,m)")


def forward(a, b):
    return np.tanh(a.real @ b.real) + a @ b


def backward(dy, a, b):
    """The adjoint of both terms; of real inputs, its real part."""
    d = dy.real * (1 - np.tanh(a.real @ b.real) ** 2)
    da, db = d @ b.real.T + dy @ b.conj().T, a.real.T @ d + a.conj().T @ dy
    return (da, db) if np.iscomplexobj(a) else (da.real, db.real)


def in_jax_convention(dy, a, b):
    return tuple(np.conj(g) for g in backward(np.conj(dy), a, b))


def narrow(dy, a, b):
    return tuple(g.astype(a.dtype) for g in backward(dy, a, b))


REFERENCE = {"reference": (forward, backward)}
FORMS = {
    "complex": (COMPLEX, backward, {}),
    "complex, as in JAX": (COMPLEX, in_jax_convention, {"convention": "jax"}),
    "complex64": (inputs("(n,k),(k,m)", dtype="complex64"), narrow, {}),
    "reference": (REAL, backward, REFERENCE),
    "reference of a complex rule": (COMPLEX, backward, REFERENCE),
    "reference of a float32 rule": (inputs("(n,k),(k,m)", dtype="float32"), narrow, REFERENCE),
}
FEW = examples(4)  # of a check or three

each_form = pytest.mark.parametrize("form", FORMS)


def conjugated(rule):
    """A defect: every gradient conjugated, doubled and moved, which is wrong for real ones and zeros too."""
    return lambda dy, a, b: tuple(2 * np.conj(g) + dy.sum(dtype=g.dtype) for g in rule(dy, a, b))


def check(form, point, *, wrong=False, **options):
    _, rule, own = FORMS[form]
    rule = conjugated(rule) if wrong else rule
    return gradcheck(forward, rule, point, raise_exception=False, **own, **options)


@each_form
@FEW
@given(data=st.data(), wrong=st.booleans())
def test_right_rule_passes_its_defect_fails_reports_repeat_and_no_array_is_written_to(form, data, wrong):
    point = data.draw(FORMS[form][0])
    before = copy.deepcopy(point)
    reports = {is_wrong: check(form, point, wrong=is_wrong) for is_wrong in (False, True)}
    assert reports[False].passed
    assert not reports[True].passed
    assert check(form, point, wrong=wrong) == reports[wrong]
    for x, y in zip(point, before, strict=True):
        np.testing.assert_array_equal(x, y)


@each_form
@FEW
@given(data=st.data(), most=st.integers(1, 60))
def test_budget_holds_and_fails_no_right_rule(form, data, most):
    report = check(form, data.draw(FORMS[form][0]), max_calls=most)
    assert not report.failed
    assert report.forward_calls <= most


@each_form
@FEW
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_no_seed_makes_a_right_rule_fail(form, data, seed):
    assert not check(form, data.draw(FORMS[form][0]), rng=seed).failed


parts = st.floats(-1e3, 1e3, allow_subnormal=False)


@FEW
@given(st.lists(st.builds(complex, parts, parts), min_size=1, max_size=4), st.integers(0, 9))
def test_conventions_are_each_others_conjugates(numbers, seed):
    z = np.array(numbers)
    rng = np.random.default_rng(seed)
    dy = rng.normal(size=z.shape) + 1j * rng.normal(size=z.shape)
    seen = {}
    for convention in ("torch", "jax"):

        def rule(u, z, convention=convention):
            seen.setdefault(convention, np.array(u))
            return u * 2 * (z if convention == "jax" else np.conj(z))

        upstream = np.conj(dy) if convention == "jax" else dy
        options = {"grad_output": upstream, "convention": convention, "raise_exception": False}
        assert not gradcheck(lambda z: z * z, rule, z, **options).failed
    np.testing.assert_array_equal(seen["torch"], np.conj(seen["jax"]))
