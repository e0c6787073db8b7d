"""`gradlab.jax`: right derivatives pass, planted defects are caught and named, the calls are JAX's."""

import doctest
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import gradlab
from gradlab import GradientError, Rule, UsageError, verify
from gradlab.cli.docs import pages

pytest.importorskip("jax")

import jax
import jax.numpy as jnp
import jax.test_util
from jax import lax

from gradlab.jax import check_grads, check_jvp, check_vjp
from gradlab.jax.widened import widened
from gradlab.mutants.jax import PLANTED

X = jnp.array([0.5, -1.2, 2.0])
W = jnp.array([[0.3, -0.7], [1.1, 0.4], [-0.2, 0.9]])
Z = jnp.array([0.5 + 1j, -1.2 - 0.3j])
HALVES = X.astype(jnp.bfloat16)


def custom(function, backward, residuals=None, **options):
    """Return a function with this backward rule; residuals are its arguments, unless said otherwise."""
    wrapped = jax.custom_vjp(function, **options)
    residuals = residuals or (lambda *args: args)
    wrapped.defvjp(lambda *args: (function(*args), residuals(*args)), backward)
    return wrapped


def square(x):
    return x**2


def affine(p, x):
    return jnp.tanh(x @ p["w"] + p["b"][0])


def log1pexp(x):
    return jnp.log(1 + jnp.exp(x))


@jax.custom_jvp
def cube(x):
    return x**3


@cube.defjvp
def cube_jvp(primals, tangents):
    return primals[0] ** 3, 3 * primals[0] ** 2 * tangents[0]


@jax.custom_jvp
def wrong_cube(x):
    return x**3


@wrong_cube.defjvp
def wrong_cube_jvp(primals, tangents):
    return primals[0] ** 3, 3 * primals[0] * tangents[0]


def loop(x):
    return lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, jnp.sin(s[1])), (0, x))[1]


def loop_backward(x, g):
    for _ in range(3):
        g, x = g * jnp.cos(x), jnp.sin(x)
    return (g,)


def with_constants(x, k, key, index, mode):
    assert mode == "sum"
    noise = jax.random.normal(key, x.shape)
    return {"a": x[index] * k, "n": index}, jnp.sum(x * noise)


def sine_vjp(x):
    return jnp.sin(x), lambda g: (g * jnp.cos(x),)


RIGHT = {
    "custom_vjp": lambda: check_grads(custom(square, lambda r, g: (2 * r[0] * g,)), (X,)),
    "custom_vjp, by differences": lambda: check_grads(
        custom(square, lambda r, g: (2 * r[0] * g,)), (X,), reference=False
    ),
    "custom_vjp more stable than what it decorates": lambda: check_grads(
        custom(log1pexp, lambda r, g: (g * jax.nn.sigmoid(r[0]),)), (jnp.array([-1.0, 80.0]),)
    ),
    "nondiff_argnums": lambda: check_grads(
        custom(lambda n, x: x**n, lambda n, r, g: (g * n * r[1] ** (n - 1),), nondiff_argnums=(0,)), (3, X)
    ),
    "custom_jvp": lambda: check_grads(cube, (X,)),
    "pytrees": lambda: check_grads(affine, ({"w": W, "b": [jnp.ones(2)]}, X)),
    "constants": lambda: check_grads(
        with_constants, (X, 2.5, jax.random.key(0), jnp.array([0, 1, 1]), "sum"), order=1
    ),
    "complex": lambda: check_grads(lambda z: z**2 + jnp.conj(z) * z, (Z,)),
    "bfloat16": lambda: check_grads(jnp.tanh, (X.astype(jnp.bfloat16),)),
    "bfloat16 beside what f closes over": lambda: check_grads(lambda x: lax.mul(x, HALVES), (HALVES,)),
    "a Python float": lambda: check_grads(jnp.sin, (0.5,)),
    "a kink, where f is compiled": lambda: check_grads(jax.nn.relu, (jnp.linspace(-1, 1, 51),)),
    "f_vjp of integers, float0": lambda: check_vjp(
        lambda x, k: (x * k, k), partial(jax.vjp, lambda x, k: (x * k, k)), (X, jnp.array([1, 2, 3]))
    ),
    "f_vjp by hand": lambda: check_vjp(jnp.sin, sine_vjp, (X,)),
}

FORWARD = {
    "both modes, twice": lambda: check_grads(lambda x: jnp.sin(x) * x[0], (X,), 2),
    "forward mode alone": lambda: check_grads(lambda x: jnp.sin(x) * x[0], (X,), 1, ["fwd"]),
    "forward mode alone, where there is no other": lambda: check_grads(loop, (X,), 1, ["fwd"]),
    "linearized": lambda: check_grads(lambda x: jnp.sin(x) * x[0], (X,), 1, ["rev", "lin"]),
    "complex": lambda: check_grads(lambda z: z**2 + jnp.conj(z) * z, (Z,), 1, ["fwd"]),
    "f_jvp of integers, float0": lambda: check_jvp(
        lambda x, k: (x * k, k), partial(jax.jvp, lambda x, k: (x * k, k)), (X, jnp.array([1, 2, 3]))
    ),
}


@pytest.mark.parametrize("ask", FORWARD.values(), ids=FORWARD)
def test_right_derivative_passes_in_forward_mode(ask):
    assert ask().passed


def test_forward_mode_agrees_by_a_dot_product_without_differences():
    report = check_grads(lambda x: jnp.sin(x) * x[0], (X,))
    assert report.jvp_calls == 0
    assert report.forward_calls == check_grads(lambda x: jnp.sin(x) * x[0], (X,), 1, ["rev"]).forward_calls


def test_function_without_forward_mode_is_checked_without_and_says_so():
    inner = custom(square, lambda r, g: (2 * r[0] * g,))
    (note,) = check_grads(lambda x: inner(x) + 1, (X,)).notes
    assert note.startswith("<lambda> has no forward mode, and none was checked: can't apply forward-mode")
    with pytest.raises(TypeError, match="custom_vjp"):
        check_grads(inner, (X,), modes=["fwd"])


def test_forward_mode_that_a_custom_vjp_is_asked_for_is_said_to_be_missing():
    cube = custom(square, lambda r, g: (2 * r[0] * g,))
    for modes in (["fwd", "rev"], ("fwd", "rev"), ["lin", "rev"]):
        (note,) = check_grads(cube, (X,), modes=modes).notes
        assert note.startswith("square has no forward mode, and none was checked")
    for modes in (None, ["rev"]):
        assert not check_grads(cube, (X,), 2, modes).notes


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_planted_defect_is_caught_and_named(planted):
    with pytest.raises(GradientError) as caught:
        planted.ask(gradlab.jax, planted.wrong)
    assert caught.value.report.failed
    assert planted.named in str(caught.value)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_right_derivative_beside_a_planted_defect_passes(planted):
    assert planted.ask(gradlab.jax, planted.right)


@pytest.mark.parametrize("case", RIGHT)
def test_right_derivative_passes(case):
    assert RIGHT[case]().passed


def test_decorated_function_is_the_reference():
    wrong = custom(square, lambda r, g: (r[0] * g,))
    assert "the reference" in str(check_grads(wrong, (X,), raise_exception=False))
    assert "central differences" in str(check_grads(wrong, (X,), reference=False, raise_exception=False))


def test_decorated_function_without_a_derivative_is_none():
    report = check_grads(custom(loop, lambda r, g: loop_backward(r[0], g)), (X,))
    assert report.notes == ("JAX does not differentiate what f decorates: compared with differences",)


def test_function_that_is_another_in_float64_is_compared_in_its_own_precision():
    def by_its_bits(x):
        return x * (jax.lax.bitcast_convert_type(x, jnp.int32) > 0)

    report = check_grads(by_its_bits, (X,))
    assert report.passed
    assert report.notes == ("f does not return the same in float64: compared in its own precision",)


def test_random_numbers_are_the_same_in_float64():
    report = check_grads(lambda x, key: x * jax.random.normal(key), (X, jax.random.PRNGKey(0)))
    assert report.passed
    assert not report.notes
    assert report.inputs[0].resolution < 1e-3


def test_wrong_entry_beside_what_bfloat16_mixes_with_is_named():
    wrong = custom(lambda x: lax.mul(x, HALVES), lambda r, g: (g * HALVES * jnp.array([1, 1, 2], g.dtype),))
    report = check_grads(wrong, (HALVES,), reference=False, raise_exception=False)
    assert report.inputs[0].wrong_entries == ((2,),)


def repeated(x):
    return lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, 2 * s[1] + HALVES), (0, x))[1]


PROGRAMS = {
    "a scan": lambda x: lax.scan(lambda c, r: (c * r + HALVES[0], c), x[0], x),
    "a while loop": repeated,
    "a branch": lambda x: lax.cond(True, lambda x: lax.mul(x, HALVES), lambda x: x, x),
    "a scatter": lambda x: x.at[jnp.array([1, 1])].add(HALVES[:2]),
    "a reduction": lambda x: lax.reduce(x, jnp.ones((), x.dtype), lax.mul, (0,)),
    "a result of another type": lambda x: lax.dot(x, HALVES, preferred_element_type=jnp.float32),
    "a type that is asked for": lambda x: jnp.sin(x.astype(jnp.float32)).astype(x.dtype),
    "a derivative, computed again": lambda x: jax.vjp(jax.checkpoint(jnp.tanh), x)[1](HALVES)[0],
    "a custom derivative": lambda x: jax.nn.relu(x) + custom(square, lambda r, g: (2 * r[0] * g,))(x),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_of_a_narrow_type_is_evaluated_in_float64(program):
    def function(x):
        return jax.tree.leaves(PROGRAMS[program](x))

    wide = jax.jit(widened(function, {"x": np.asarray(HALVES)}))
    with jax.enable_x64(True):
        exact = wide(HALVES.astype(np.float64))
    assert {y.dtype for y in exact} == {np.dtype(np.float64)}
    for y, rounded in zip(exact, jax.jit(function)(HALVES), strict=True):
        np.testing.assert_allclose(np.asarray(rounded, np.float64), y, rtol=0.02, atol=0.02)


def test_float32_is_compared_in_float64_and_the_setting_stays():
    report = check_grads(lambda x: jnp.sum(jnp.sin(x)), (X,))
    assert report.inputs[0].resolution < 1e-3
    assert jnp.asarray(np.ones(2)).dtype == jnp.float32


def test_function_that_looks_at_its_values_is_called_with_float64():
    report = check_grads(lambda x: jnp.sin(x) if x[0] > 0 else x, (X,))
    assert not report.notes
    assert report.inputs[0].resolution < 1e-3


def test_snippet_is_the_call():
    wrong = custom(square, lambda r, g: (r[0] * g,))
    report = check_grads(wrong, (X,), raise_exception=False)
    assert report.snippet.endswith("gradlab.jax.check_grads(square, (x,), order=1, rng=0)")
    with pytest.raises(GradientError) as caught:
        exec(report.snippet, {"square": wrong})
    assert caught.value.report == report


def test_tolerances_and_steps_are_ignored_with_a_note():
    report = check_grads(jnp.sin, (X,), 1, ["rev"], 1e-2, 1e-2, 1e-3)
    assert report.notes == tuple(
        f"{k} is ignored: error bars and steps are measured" for k in ("atol", "rtol", "eps")
    )
    jax.test_util.check_grads(jnp.sin, (X,), 1, ["rev"], 1e-2, 1e-2, 1e-3)


def test_exception_of_the_function_passes_through():
    def broken(x):
        raise KeyError("no table")

    with pytest.raises(KeyError, match="no table"):
        check_grads(broken, (X,))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_grads(jnp.sin, X), "args is"),
        (lambda: check_grads(jnp.sin, (3,)), "nothing to differentiate|no input"),
        (lambda: check_grads(jnp.argmax, (X,)), "argmax returns no floating-point or complex array"),
        (lambda: check_grads(lambda x: None, (X,), order=2), "<lambda> returns no floating-point"),
        (lambda: check_vjp(lambda x: None, lambda x: (None, lambda g: (g,)), (X,)), "returns no floating"),
        (lambda: check_jvp(lambda x: None, lambda x, dx: (None, None), (X,)), "returns no floating"),
        (lambda: check_vjp(jnp.sin, None, (X,)), "f_vjp is None"),
        (lambda: check_vjp(jnp.sin, lambda x: (jnp.sin(x), lambda g: [g, g]), (X,)), "f_vjp pulls back to"),
    ],
)
def test_mistake_in_the_call_is_named(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_missing_framework_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.delitem(sys.modules, "gradlab.jax")
    with pytest.raises(ModuleNotFoundError, match=r"gradlab-verify\[jax\]"):
        __import__("gradlab.jax")


def test_what_the_page_shows_is_what_one_gets():
    page = pages()["switching"]
    today, now = re.search(r"^\| `(jax\..*)` \| `(gradlab\.jax\..*)` \|$", page, flags=re.M).groups()
    scope = {"jax": jax, "gradlab": gradlab, "f": jnp.sin, "args": (X,)}
    eval(today, scope)
    assert eval(now, scope).passed


RULES = {
    "a gufunc signature": (lambda: Rule.from_jax(jnp.tanh, "(n)"), "pass"),
    "a pytree, integers": (
        lambda: Rule.from_jax(
            lambda p, x, k: affine(p, x)[k], ({"w": W, "b": [jnp.ones(2)]}, X, jnp.array([1, 0]))
        ),
        "pass",
    ),
    "both modes": (lambda: Rule.from_jax(cube, "(n)", modes=("fwd", "rev")), "pass"),
    "a wrong backward rule": (
        lambda: Rule.from_jax(custom(square, lambda r, g: (3 * r[0] * g,)), "(n)"),
        "fail",
    ),
    "the same beside a reference": (
        lambda: Rule.from_jax(custom(square, lambda r, g: (3 * r[0] * g,)), (X,), reference=square),
        "fail",
    ),
    "a wrong rule for tangents": (lambda: Rule.from_jax(wrong_cube, "(n)", modes=["fwd"]), "fail"),
}


@pytest.mark.parametrize(("rule", "verdict"), RULES.values(), ids=RULES)
def test_function_is_a_rule(rule, verdict):
    assert verify(rule(), max_examples=5, raise_exception=False).verdict == verdict


def test_snippet_of_a_rule_is_the_call_of_the_framework():
    wrong = custom(square, lambda r, g: (3 * r[0] * g,))
    report = verify(Rule.from_jax(wrong, "(n)"), max_examples=5, raise_exception=False)
    assert report.snippet.splitlines()[-1] == (
        "with jax.enable_x64(True): gradlab.jax.check_grads(square, (x,), order=1, modes=('rev',), rng=0)"
    )
    with pytest.raises(GradientError, match=r"gradient of x is 1\.5 times too large"):
        exec(report.snippet, {"square": wrong})


@pytest.mark.parametrize("module", ["checks", "widened"])
def test_docstrings(module):
    failed, attempted = doctest.testmod(sys.modules[f"gradlab.jax.{module}"])
    assert attempted > 0
    assert failed == 0


def test_page_shows_what_one_gets():
    page = Path(gradlab.__file__).parent / "docs" / "jax.md"
    failed, attempted = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert attempted > 0
    assert failed == 0
