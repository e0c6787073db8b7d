"""`gradlab.autograd`: right primitives pass, planted defects are caught and named."""

import doctest
import re
import subprocess
import sys

import numpy as np
import pytest

import gradlab
from gradlab import GradientError, UsageError
from gradlab.cli.docs import pages

pytest.importorskip("autograd")

import autograd
import autograd.numpy as anp
from autograd import test_util
from autograd.builtins import tuple as traced_tuple
from autograd.extend import defvjp, primitive

from gradlab.autograd import check_grads, check_jvp, check_vjp

X = np.array([0.5, -1.2, 2.0])
W = np.array([[0.3, -0.7], [1.1, 0.4], [-0.2, 0.9]])
Z = np.array([0.5 + 1j, -1.2 - 0.3j])


def of(function, *vjps, **options):
    """Return a primitive with these vector-Jacobian products."""
    wrapped = primitive(function)
    defvjp(wrapped, *vjps, **options)
    return wrapped


def square(x):
    return x**2


def product(x, w):
    return x @ w


kept = {}


def keeping(x):
    kept["x"] = x
    return x**2


def softmax(x):
    return np.exp(x) / np.sum(np.exp(x))


RIGHT = {
    "primitive": lambda: check_grads(of(square, lambda y, x: lambda g: 2 * x * g))(X),
    "NumPy's own": lambda: check_grads(anp.tanh)(X),
    "two arguments": lambda: check_grads(anp.dot, (0, 1))(X, W),
    "the second argument": lambda: check_grads(anp.dot, 1)(X, W),
    "a keyword": lambda: check_grads(lambda x, *, k: x**k)(X, k=3),
    "an integer is differentiated": lambda: check_grads(anp.sin)(3),
    "complex": lambda: check_grads(lambda z: z**2 + anp.conj(z) * z)(Z),
    "complex to real": lambda: check_grads(lambda z: anp.abs(z) ** 2)(Z),
    "order 3": lambda: check_grads(anp.sin, order=3)(X),
    "a dict": lambda: check_vjp(lambda p: anp.sum(p["w"] ** 2) * p["b"], {"w": X, "b": 0.5}),
    "several outputs": lambda: check_grads(lambda x: traced_tuple((anp.sin(x), anp.sum(x))))(X),
    "a list": lambda: check_vjp(lambda p: p[0] * p[1][0], [X, (2.0,)]),
    "a kink": lambda: check_grads(lambda x: anp.maximum(x, 0.0), order=1)(np.array([0.0, 1.0, -1.0])),
    "float32": lambda: check_grads(anp.tanh, order=1)(X.astype(np.float32)),
    "constant": lambda: check_grads(lambda x, w: x**2 + 0 * anp.sum(w), (0, 1), order=1)(X, W),
}

# Each with the entry or the input that has to be named.
WRONG = {
    "missing factor": ("x[", lambda: check_grads(of(square, lambda y, x: lambda g: x * g))(X)),
    "wrong sign": ("x[", lambda: check_grads(of(np.cos, lambda y, x: lambda g: g * np.sin(x)))(X)),
    "missing term": (
        "x[",
        lambda: check_grads(of(softmax, lambda y, x: lambda g: g * y))(X),
    ),
    "arguments exchanged": (
        "a[",
        lambda: check_grads(
            of(
                lambda a, b: a * b**2,
                lambda y, a, b: lambda g: 2 * a * b * g,
                lambda y, a, b: lambda g: b**2 * g,
            ),
            (0, 1),
        )(X, X + 3),
    ),
    "transposed": (
        "w[",
        lambda: check_grads(
            of(product, lambda y, x, w: lambda g: g @ w.T, lambda y, x, w: lambda g: (x.T @ g).T), 1
        )(np.arange(9.0).reshape(3, 3) - 2, np.eye(3)),
    ),
    "stale residual": ("x[", lambda: check_grads(of(keeping, lambda y, x: lambda g: 2 * kept["x"] * g))(X)),
    "zero where it is not": (
        "x[1]",
        lambda: check_grads(of(square, lambda y, x: lambda g: 2 * np.maximum(x, 0) * g))(X),
    ),
    "rounded to float32": (
        "x[",
        lambda: check_grads(of(np.exp, lambda y, x: lambda g: (g * y).astype(np.float32).astype(float)))(X),
    ),
    "complex, the other convention": (
        "z[",
        lambda: check_grads(of(lambda z: z**2, lambda y, z: lambda g: g * np.conj(2 * z)))(Z),
    ),
    "upstream gradient ignored": (
        "x[",
        lambda: check_grads(of(square, lambda y, x: lambda g: 2 * x))(X),
    ),
    "one entry, a thousandth off": (
        "x[2]",
        lambda: check_grads(of(square, lambda y, x: lambda g: 2 * x * g * np.array([1, 1, 1.001])))(X),
    ),
    "averaged": (
        "a[",
        lambda: check_grads(of(np.sum, lambda y, x: lambda g: g * np.ones_like(x) / x.size))(X),
    ),
    "second order": (
        "vjp of square",
        lambda: check_grads(
            of(
                square,
                lambda y, x: (
                    lambda g: of(
                        lambda x, g: 2 * x * g,
                        lambda y, x, g: lambda h: h * g,
                        lambda y, x, g: lambda h: 2 * x * h,
                    )(x, g)
                ),
            )
        )(X),
    ),
    "writes to the upstream gradient": (
        "grad_output",
        lambda: check_grads(of(square, lambda y, x: lambda g: scaled(g, x)))(X),
    ),
}


def scaled(g, x):
    g *= 2 * x
    return g


@pytest.mark.parametrize("case", RIGHT)
def test_right_derivative_passes(case):
    assert RIGHT[case]().passed


@pytest.mark.parametrize("case", WRONG)
def test_planted_defect_is_caught_and_named(case):
    named, check = WRONG[case]
    with pytest.raises(GradientError) as caught:
        check()
    assert caught.value.report.failed
    assert named in str(caught.value)


def test_snippet_is_the_call():
    wrong = of(square, lambda y, x: lambda g: x * g)
    report = check_grads(wrong, raise_exception=False, order=1)(X)
    assert report.snippet.endswith("gradlab.autograd.check_grads(square, order=1, rng=0)(x)")
    with pytest.raises(GradientError) as caught:
        exec(report.snippet, {"square": wrong})
    assert caught.value.report == report


def test_call_with_keywords_is_written_with_them():
    report = check_grads(of(lambda x, k: x**k, lambda y, x, k: lambda g: g * x), raise_exception=False)(
        X, k=3
    )
    assert report.call.endswith("order=2, rng=0)(x, k=3)")


def test_same_call_gives_the_same_report():
    assert check_grads(anp.tanh)(X) == check_grads(anp.tanh)(X)


def test_random_numbers_of_the_caller_are_left_alone():
    np.random.seed(0)  # noqa: NPY002 - which autograd's own check draws from
    expected = np.random.RandomState(0).uniform()
    check_grads(anp.tanh)(X)
    assert np.random.uniform() == expected  # noqa: NPY002 - likewise


def test_exception_of_the_function_passes_through():
    def broken(x):
        raise KeyError("no table")

    with pytest.raises(KeyError, match="no table"):
        check_grads(broken)(X)


def test_primitive_without_a_vjp_says_so_as_in_autograd():
    with pytest.raises(NotImplementedError, match="VJP"):
        check_grads(primitive(square))(X)


def test_plain_tuple_is_refused_with_what_to_use():
    with pytest.raises(UsageError, match=r"autograd\.builtins\.tuple"):
        check_grads(lambda x: (x, x))(X)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_grads(anp.sin, modes=("reverse",)), "modes is"),
        (lambda: check_grads(anp.sin, order=0), "order is"),
        (lambda: check_grads(anp.sin, argnum=1)(X), "argnum is"),
        (lambda: check_grads(3.0), "f is the float"),
    ],
)
def test_mistake_in_the_call_is_named(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_positional_order_is_that_of_autograd():
    test_util.check_grads(anp.dot, 1, ["rev"], 1)(X, W)
    assert check_grads(anp.dot, 1, ["rev"], 1)(X, W).passed


def test_import_of_gradlab_loads_no_framework():
    code = "import sys, gradlab; gradlab.gradcheck; print({'autograd', 'jax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_missing_framework_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "autograd.core", None)
    monkeypatch.delitem(sys.modules, "gradlab.autograd")
    with pytest.raises(ModuleNotFoundError, match=r"gradlab-verify\[autograd\]"):
        __import__("gradlab.autograd")


def test_what_the_page_shows_is_what_one_gets():
    page = pages()["switching"]
    today, now = re.search(
        r"^\| `(autograd\..*)` \| `(gradlab\.autograd\..*)` \|$", page, flags=re.M
    ).groups()
    scope = {"autograd": autograd, "gradlab": gradlab, "f": anp.sin, "x": X}
    eval(today, scope)
    assert eval(now, scope).passed


def test_docstrings():
    failed, attempted = doctest.testmod(gradlab.autograd.checks)
    assert attempted > 0
    assert failed == 0
