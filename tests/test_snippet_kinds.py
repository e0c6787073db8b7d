"""Whatever a user may be told, in whatever form he asked: what the report offers for pasting says it again.

Each snippet runs by itself, in an empty namespace: what it names, it imports.
"""

import time

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der
from scipy.sparse import diags_array
from scipy.sparse.linalg import LinearOperator

import gradlab
from gradlab import (
    GradientError,
    Rule,
    check_layer,
    check_value_and_grad,
    gradcheck,
    gradgradcheck,
    tangents,
    verify,
)
from gradlab.report import KINDS

X = np.array([0.5, -1.0, 2.0])
W = np.array([[2.0, 1.0], [-1.5, 0.5], [0.25, 3.0]])
SPD = np.array([[2.0, 0.5], [0.5, 1.0]])


def square(x):
    return x**2


def half(dy, x):
    return x * dy


def right(dy, x):
    return 2 * x * dy


def half_jvp(dx, x):
    return x * dx


def right_jvp(dx, x):
    return 2 * x * dx


def product(x, w):
    return x @ w


def product_backward(dy, x, w):
    return w @ dy, np.outer(x, dy)


def product_jvp(tangents, x, w):
    return tangents[0] @ w + x @ tangents[1]


def scaled(x, k):
    return k * x


def weighted(x, k):
    return x * k.sum()


def half_weighted(dy, x, k):
    return dy * k.sum() / 2, None


# One function for each way to be wrong, called after what is said of it.


def raises(*args):
    raise KeyError("mine")


def one_of_two(dy, x, w):
    return w @ dy


def none_of_one(dy, x, w):
    return None, np.outer(x, dy)


def as_text(dy, x):
    return np.array(["a"] * len(x))


def transposed(dy, x, w):
    return w @ dy, np.outer(dy, x)


def of_a_constant(dy, x, k):
    return k * dy, np.sum(dy * x)


def without_upstream(dy, x):
    return 2 * x


def squared_upstream(dy, x):
    return 2 * x * dy * abs(dy)


def nan_inside(dy, x):
    return np.where(x > 1, np.nan, 2 * x * dy)


def writing_input(dy, x):
    x *= 2
    return x * dy


def writing_upstream(dy, x):
    dy *= 2
    return x * dy


def at_random(dy, x):
    return 2 * x * dy * (1 + 1e-3 * (time.perf_counter_ns() % 997))


def by_layout(dy, x):
    return (2 if x.flags.c_contiguous else 3) * x * dy


def losing_digits(dy, x):
    x = x + x.dtype.type(1e3)
    return 2 * (x - x.dtype.type(1e3)) * dy


def one_tangent_more(dx, x):
    return 2 * x * dx, dx


def no_tangent(dx, x):
    return None


def text_tangent(dx, x):
    return np.array(["a"] * len(x))


def longer_tangent(dx, x):
    return np.ones(len(x) + 1)


def without_tangents(dx, x):
    return 2 * x


def squared_tangents(dx, x):
    return 2 * x * dx * abs(dx)


def writing_tangents(dx, x):
    dx *= 2
    return x * dx


def losing_digits_jvp(dx, x):
    x = x + x.dtype.type(1e3)
    return 2 * (x - x.dtype.type(1e3)) * dx


KEPT = {}


def keeping(x):
    KEPT["x"] = x
    return x**2, KEPT


def from_kept(dy, cache):
    return 2 * cache["x"] * dy


def cached(x):
    return x**2, x


def half_from_cache(dy, cache):
    return cache * dy


def half_tree(dy, p):
    return {"a": dy * p["b"], "b": dy * p["a"] / 2}


def tree_product(p):
    return p["a"] * p["b"]


def logdet(a):
    return 2 * np.log(np.diag(np.linalg.cholesky(a))).sum()


def half_logdet(dl, a):
    return dl * np.linalg.inv(a) / 2


def half_complex(dy, z):
    return np.conj(z) * dy


def cube_backward(dy, x):
    return 3 * x**2 * dy


def half_double(ddx, dy, x):
    return 3 * x**2 * ddx, 3 * x * dy * ddx


def cube(x):
    return x**3


def another(x):
    return x**2 + 1


def cosine(dy, x):
    return dy * np.cos(x)


class Doubling:
    def __init__(self):
        self.params, self.grads = {"w": np.array([1.0, 2.0, 3.0])}, {}

    def forward(self, x):
        self.x = x
        return x * self.params["w"]

    def backward(self, dy):
        self.grads["w"] = 2 * self.x * dy
        return dy * self.params["w"]


class Adding(Doubling):
    def __init__(self):
        super().__init__()
        self.grads = {"w": np.zeros(3)}

    def backward(self, dy):
        self.grads["w"] += self.x * dy
        return dy * self.params["w"]

    def zero_grad(self):
        """Forget to."""


LAYER, ADDING = Doubling(), Adding()
TOTAL = {"w": np.zeros(3)}


def half_loss(w):
    return np.sum(w**2), w


def adding_loss(w):
    TOTAL["w"] += 2 * w
    return np.sum(w**2), TOTAL["w"]


def chain(x):
    return np.array([x[0] ** 2, x[0] * x[1], x[2]])


def diagonal(x):
    return diags_array([2 * x[0], x[0], 1.0])


def wrong_jac(x):
    return np.array([[x[0], 0, 0], [x[1], x[0], 0], [0, 0, 1]])


def two_by_two(x):
    return np.eye(2)


def right_jac(x):
    return np.array([[2 * x[0], 0, 0], [x[1], x[0], 0], [0, 0, 1.0]])


def operator(x):
    return LinearOperator((3, 3), matvec=lambda v: right_jac(x) @ v, rmatvec=lambda v: right_jac(x) @ v)


def half_rosen(x):
    return rosen_der(x) / 2


def lopsided(x):
    return np.triu(np.ones((2, 2)))


def gradient(x):
    return np.array([x[0] + x[1], x[1] + x[0]])


def as_tuple(x):
    return (np.diag(2 * x), 1)


def noisy(x):
    return 1e10 + np.sum(np.sin(x))


def slightly_wrong(dy, x):
    return dy * np.cos(x) * 1.00001


def jacobian(x):
    return (np.cos(x),)


WRONG = Rule("square", square, half, "(n)")
BOTH_WAYS = Rule("both", square, None, "(n)", jvp=half_jvp)
TRUSTED = Rule("trusted", square, right, "(n)")
BESIDE = Rule("beside", square, half, "(n)", reference=(square, right))
IN_A_LIST = [Rule("cached", cached, half_from_cache, "(n)", cached=True)]
MISSHAPEN = Rule("misshapen", square, right, "(n)", jacobian=as_tuple)
CONTRACTED = Rule("contracted", noisy, slightly_wrong, "(n)", jacobian=jacobian)
CONJUGATED = Rule("conjugated", square, half_complex, (np.array([1 + 2j, 0.5 - 1j]),), convention="jax")
NO_VALUE = Rule("reciprocal", raises, half, "(n)")
LAID_OUT = Rule("layout", square, by_layout, "(3,2)")
DOUBLED = Rule.from_layer(LAYER, "(n,3)")
LARGE = Rule("large", weighted, half_weighted, lambda rng: (rng.normal(size=2), np.arange(101)))
SINGLE = X.astype(np.float32) / 1000

NO = {"raise_exception": False}
CASES = {
    # kind, then the form
    "backward-raises": lambda: gradcheck(square, raises, X, **NO),
    "forward-raises": lambda: gradcheck(raises, half, X, **NO),
    "gradient-count": lambda: gradcheck(product, one_of_two, (X, W), **NO),
    "gradient-none": lambda: gradcheck(product, none_of_one, (X, W), **NO),
    "gradient-dtype": lambda: gradcheck(square, as_text, X, **NO),
    "gradient-shape": lambda: gradcheck(product, transposed, {"x": X, "w": W}, **NO),
    "gradient-of-constant": lambda: gradcheck(scaled, of_a_constant, (X, 3), **NO),
    "ignores-upstream": lambda: gradcheck(square, without_upstream, X, **NO),
    "nonlinear-in-upstream": lambda: gradcheck(square, squared_upstream, X, **NO),
    "not-finite": lambda: gradcheck(square, nan_inside, X, **NO),
    "mutates-input": lambda: gradcheck(square, writing_input, X, **NO),
    "mutates-upstream": lambda: gradcheck(square, writing_upstream, X, **NO),
    "not-deterministic": lambda: gradcheck(square, at_random, X, **NO),
    "depends-on-memory-layout": lambda: gradcheck(square, by_layout, W, **NO),
    "precision": lambda: gradcheck(square, losing_digits, SINGLE, **NO),
    "cache-overwritten": lambda: gradcheck(keeping, from_kept, X, cached=True, **NO),
    "wrong-gradient": lambda: gradcheck(square, half, X, **NO),
    "wrong-gradient cached": lambda: gradcheck(cached, half_from_cache, X, cached=True, **NO),
    "wrong-gradient tree": lambda: gradcheck(tree_product, half_tree, ({"a": X, "b": X + 1},), **NO),
    "wrong-gradient kwargs": lambda: gradcheck(
        np.square, half, X, wrt="x", rtol=1e-3, max_calls=90, rng=4, name="n", grad_output=X + 1, **NO
    ),
    "wrong-gradient bounds": lambda: gradcheck(square, half, abs(X), bounds=(0, None), **NO),
    "wrong-gradient bounds by name": lambda: gradcheck(
        square, half, abs(X), bounds={"x": (np.zeros(3), X + 5)}, **NO
    ),
    "wrong-gradient tangents": lambda: gradcheck(
        logdet, half_logdet, SPD, tangents={"a": tangents.symmetric}, **NO
    ),
    "wrong-gradient complex": lambda: gradcheck(square, half_complex, np.array([1 + 2j]), **NO),
    "wrong-gradient complex jax": lambda: gradcheck(
        square, half_complex, np.array([1 + 2j]), convention="jax", **NO
    ),
    "wrong-gradient directions": lambda: gradcheck(square, half, X, probes="directions", **NO),
    "wrong-gradient reference": lambda: gradcheck(square, half, X, reference=(square, right), **NO),
    "wrong-gradient reference rule": lambda: gradcheck(square, half, X, reference=TRUSTED, **NO),
    "wrong-value reference": lambda: gradcheck(square, right, X, reference=(another, right), **NO),
    "wrong-reference": lambda: gradcheck(np.sin, cosine, X, reference=(np.sin, half), **NO),
    "jvp-raises": lambda: gradcheck(square, None, X, jvp=raises, **NO),
    "wrong-jvp": lambda: gradcheck(square, None, X, jvp=half_jvp, **NO),
    "jvp-is-no-transpose": lambda: gradcheck(square, half, X, jvp=right_jvp, **NO),
    "jvp-precision": lambda: gradcheck(square, None, SINGLE, jvp=losing_digits_jvp, **NO),
    "tangent-count": lambda: gradcheck(square, None, X, jvp=one_tangent_more, **NO),
    "tangent-none": lambda: gradcheck(square, None, X, jvp=no_tangent, **NO),
    "tangent-dtype": lambda: gradcheck(square, None, X, jvp=text_tangent, **NO),
    "tangent-shape": lambda: gradcheck(square, None, X, jvp=longer_tangent, **NO),
    "ignores-tangents": lambda: gradcheck(square, None, X, jvp=without_tangents, **NO),
    "nonlinear-in-tangents": lambda: gradcheck(square, None, X, jvp=squared_tangents, **NO),
    "mutates-tangents": lambda: gradcheck(square, None, X, jvp=writing_tangents, **NO),
    "wrong-gradient gradgradcheck": lambda: gradgradcheck(
        cube, cube_backward, X, double_backward=half_double, **NO
    ),
    "wrong-gradient layer": lambda: check_layer(LAYER, X, **NO),
    "accumulated layer": lambda: check_layer(ADDING, X, reset="zero_grad", **NO),
    "wrong-gradient value_and_grad": lambda: check_value_and_grad(half_loss, X, **NO),
    "accumulated value_and_grad": lambda: check_value_and_grad(adding_loss, X, **NO),
    "wrong-jacobian grad": lambda: gradlab.scipy.check_grad(rosen, half_rosen, X, **NO),
    "wrong-jacobian jac": lambda: gradlab.scipy.check_jac(chain, wrong_jac, X, **NO),
    "jacobian-shape": lambda: gradlab.scipy.check_jac(chain, two_by_two, X, **NO),
    "outside-pattern": lambda: gradlab.scipy.check_jac(chain, diagonal, X, **NO),
    "rmatvec-is-no-transpose": lambda: gradlab.scipy.check_jac(chain, operator, X, **NO),
    "not-symmetric": lambda: gradlab.scipy.check_hess(gradient, lopsided, X[:2], **NO),
    "wrong-jacobian minimize": lambda: gradlab.scipy.check(minimize, rosen, X, jac=half_rosen, **NO),
    "wrong-gradient verify": lambda: verify(WRONG, **NO),
    "wrong-gradient verify in a list": lambda: verify(IN_A_LIST[0], **NO),
    "wrong-gradient verify reference": lambda: verify(BESIDE, **NO),
    "wrong-gradient verify complex": lambda: verify(CONJUGATED, **NO),
    "wrong-gradient verify layer": lambda: verify(DOUBLED, **NO),
    "wrong-gradient verify large": lambda: verify(LARGE, max_examples=3, **NO),
    "wrong-jvp verify": lambda: verify(BOTH_WAYS, **NO),
    "forward-raises verify": lambda: verify(NO_VALUE, **NO),
    "depends-on-memory-layout verify": lambda: verify(LAID_OUT, **NO),
    "closed-form-jacobian": lambda: verify(MISSHAPEN, **NO),
    "jacobian-contraction": lambda: verify(CONTRACTED, **NO),
}
# What only a drop-in for a framework says: its tests paste it.
ELSEWHERE = {"wrong-value", "depends-on-needs-input-grad", "not-batchable", "undefined-upstream"}


def told(report):
    return [(finding.check, finding.input, finding.kind) for finding in report.findings]


@pytest.mark.parametrize("case", CASES)
def test_snippet_says_the_same_again(case):
    report = CASES[case]()
    assert case.partition(" ")[0] in {finding.kind for finding in report.findings}, report
    with pytest.raises(GradientError) as caught:
        exec(report.snippet, {})
    again = caught.value.report
    assert told(again) == told(report)
    assert again.seed == report.seed


def test_every_kind_is_pasted():
    assert {case.partition(" ")[0] for case in CASES} | ELSEWHERE == set(KINDS)
