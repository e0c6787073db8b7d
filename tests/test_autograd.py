"""`gradlab.autograd`: right primitives pass, planted defects are caught and named."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

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
from autograd.extend import defjvp, defvjp, primitive

from gradlab.autograd import check_grads, check_vjp
from gradlab.mutants.autograd import PLANTED

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
    "order 4, forward mode alone": lambda: check_grads(anp.sin, modes=["fwd"], order=4)(0.5),
    "an empty dict": lambda: check_grads(lambda p, x: p.get("w", x) ** 2, (0, 1))({}, 2.0),
    "a dict": lambda: check_vjp(lambda p: anp.sum(p["w"] ** 2) * p["b"], {"w": X, "b": 0.5}),
    "several outputs": lambda: check_grads(lambda x: traced_tuple((anp.sin(x), anp.sum(x))))(X),
    "a list": lambda: check_vjp(lambda p: p[0] * p[1][0], [X, (2.0,)]),
    "a kink": lambda: check_grads(lambda x: anp.maximum(x, 0.0), order=1)(np.array([0.0, 1.0, -1.0])),
    "float32": lambda: check_grads(anp.tanh, order=1)(X.astype(np.float32)),
    "constant": lambda: check_grads(lambda x, w: x**2 + 0 * anp.sum(w), (0, 1), order=1)(X, W),
}


@pytest.mark.parametrize("case", RIGHT)
def test_right_derivative_passes(case):
    assert RIGHT[case]().passed


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_planted_defect_is_caught_and_named(planted):
    with pytest.raises(GradientError) as caught:
        planted.ask(gradlab.autograd, planted.wrong)
    assert caught.value.report.failed
    assert planted.named in str(caught.value)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_right_derivative_beside_a_planted_defect_passes(planted):
    assert planted.ask(gradlab.autograd, planted.right)


def in_both_modes(by=2.0):
    """Return a primitive that is right in reverse mode, with a factor in forward mode."""
    function = of(square, lambda y, x: lambda g: 2 * x * g)
    defjvp(function, lambda g, y, x: by * x * g)
    return function


def test_forward_mode_agrees_by_a_dot_product_without_differences():
    report = check_grads(in_both_modes(), order=1)(X)
    assert report.passed
    assert report.jvp_calls == 0
    assert not report.notes


def test_wrong_forward_mode_is_found_by_differences_beside_a_right_reverse_mode():
    report = check_grads(in_both_modes(2.002), order=1, raise_exception=False)(X)
    assert report.reason.startswith("tangent of the output is wrong along 3 of 3 entries of x")
    assert report.causes[0].message == "jvp along x is 1.001 times too large: divide it by 1.001"


def test_primitive_without_forward_mode_is_checked_without_and_says_so():
    (note,) = check_grads(of(square, lambda y, x: lambda g: 2 * x * g))(X).notes
    assert note.startswith("square has no forward mode, and none was checked: JVP of square")
    with pytest.raises(NotImplementedError, match="JVP"):
        check_grads(of(square, lambda y, x: lambda g: 2 * x * g), modes=["fwd"])(X)


def test_second_derivative_that_only_forward_mode_gets_wrong_is_named():
    slope = primitive(lambda x, g: 2 * x * g)
    defvjp(slope, lambda y, x, g: lambda h: 2 * h * g, lambda y, x, g: lambda h: 2 * x * h)
    defjvp(slope, lambda h, y, x, g: 2 * h * g, lambda h, y, x, g: 3 * x * h)
    wrong = of(square, lambda y, x: lambda g: slope(x, g))
    defjvp(wrong, lambda g, y, x: 2 * x * g)
    report = check_grads(wrong, raise_exception=False)(X)
    assert report.name == "vjp of square"
    assert report.reason.startswith("tangent of the output is wrong along 3 of 3 entries of grad_output")


@pytest.mark.parametrize("wrong_entry", [False, True])
def test_second_derivative_that_is_wrong_in_one_of_many_entries_is_named(wrong_entry):
    x, factor = np.linspace(0.5, 2.0, 30), np.ones(30)
    factor[17] += 1e-3 * wrong_entry
    slope = primitive(lambda x, g: 2 * x * g)
    defvjp(slope, lambda y, x, g: lambda h: 2 * h * g * factor, lambda y, x, g: lambda h: 2 * x * h)
    report = check_grads(
        of(square, lambda y, x: lambda g: slope(x, g)), modes=["rev"], raise_exception=False
    )(x)
    assert report.failed == wrong_entry
    if wrong_entry:
        assert report.name == "vjp of square"
        assert report.inputs[0].wrong_entries == ((17,),)


def test_second_derivative_that_directions_cannot_tell_is_told_by_entries():
    x = np.linspace(1e-3, 2e-3, 30, dtype=np.float32)  # in all of them together, what is too small adds up
    assert check_grads(anp.sin, modes=["rev"])(x).passed


def test_derivative_of_forward_mode_alone_is_compared_with_that_of_reverse_mode():
    twice = primitive(lambda x, g: 2 * x * g)  # the jvp of square, whose own rules are wrong
    defvjp(twice, lambda y, x, g: lambda h: h * g, lambda y, x, g: lambda h: 2 * x * h)
    defjvp(twice, lambda h, y, x, g: h * g, lambda h, y, x, g: 2 * x * h)
    wrong = of(square, lambda y, x: lambda g: 2 * x * g)
    defjvp(wrong, lambda g, y, x: twice(x, g))
    right = of(square, lambda y, x: lambda g: 2 * x * g)
    defjvp(right, lambda g, y, x: 2 * x * g)
    report = check_grads(wrong, raise_exception=False)(X)
    assert report.failed
    assert report.name == "jvp of square"
    assert check_grads(right)(X).passed


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
        (lambda: check_grads(lambda x: None)(X), "f returns None; expected a number, an array, or a tuple"),
        (lambda: check_vjp(lambda x: None, X), "f returns None; expected a number"),
        (lambda: check_grads(lambda x, s: x, (0, 1))(X, "abc"), "argument s is the str 'abc'; expected"),
        (
            lambda: gradlab.autograd.check_jvp(lambda p: p["w"], {"w": X, "s": "abc"}),
            "argument p is the str 'abc'; expected",
        ),
        (lambda: check_grads(anp.sin, argnum=1)(X), "argnum is"),
        (
            lambda: check_grads(anp.sin, argnum=())(X),
            r"argnum is .*; expected positions among the 1 arguments",
        ),
        (lambda: check_grads(anp.sin, argnum=True)(X), "argnum is the bool True; expected positions"),
        (
            lambda: check_grads(anp.dot, argnum=(0, 0))(X, W),
            r"argnum is \(0, 0\); expected each argument once",
        ),
        (
            lambda: check_grads(anp.dot, argnum=[1, -1])(X, W),
            r"argnum is \[1, -1\]; expected each argument once",
        ),
        (lambda: check_grads(anp.sin, name=3)(X), "name is the int 3; expected a string"),
        (lambda: check_grads(3.0), "f is the float"),
    ],
)
def test_mistake_in_the_call_is_named(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize("argnum", [np.int64(1), (np.int64(0), -1), [1]])
def test_positions_may_be_those_of_numpy(argnum):
    assert check_grads(anp.dot, argnum)(X, W)


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


def test_page_shows_what_one_gets():
    page = Path(gradlab.__file__).parent / "docs" / "autograd.md"
    failed, attempted = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert attempted > 0
    assert failed == 0
