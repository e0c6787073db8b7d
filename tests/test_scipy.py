"""`gradlab.scipy`: right derivatives in all of SciPy's forms pass, planted defects are caught and named."""

import doctest
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import (
    Bounds,
    NonlinearConstraint,
    least_squares,
    minimize,
    root,
    rosen,
    rosen_der,
    rosen_hess,
    rosen_hess_prod,
)
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import gradlab
from gradlab import GradientError, UsageError
from gradlab.mutants.scipy import PLANTED
from gradlab.scipy import check, check_grad, check_hess, check_hessp, check_jac

X = np.array([1.3, 0.7, 0.8, 1.9])


def changed(function, index, by=1.001):
    def wrong(*args):
        answer = np.array(function(*args), dtype=float)
        answer[index] *= by
        return answer

    return wrong


def fun(x):
    return np.array([x[0] ** 2 + x[1] ** 2 - 1, x[0] - x[1], x[2] * x[3] + np.exp(x[0])])


def jac(x):
    return np.array([[2 * x[0], 2 * x[1], 0, 0], [1, -1, 0, 0], [np.exp(x[0]), 0, x[3], x[2]]])


def chain(x):
    y = 2 * np.sin(x)
    y[1:] += x[:-1] ** 2
    y[:-1] -= np.exp(x[1:])
    return y


def chain_jac(x):
    return diags_array([2 * x[:-1], 2 * np.cos(x), -np.exp(x[1:])], offsets=[-1, 0, 1]).tocsr()


def without_upper(x):
    return diags_array([2 * x[:-1], 2 * np.cos(x)], offsets=[-1, 0]).tocsr()


def one_entry_of_chain(x):
    wrong = chain_jac(x).tolil()
    wrong[17, 18] *= 1.01
    return wrong.tocsr()


def keyword(x, a, *, b):
    return a * fun(x) + b


RIGHT = {
    "gradient": lambda: check_grad(rosen, rosen_der, X),
    "gradient, func returns both": lambda: check_grad(lambda x: (rosen(x), rosen_der(x)), True, X),
    "gradient, args": lambda: check_grad(lambda x, a: a * rosen(x), lambda x, a: a * rosen_der(x), X, 3.0),
    "gradient of one unknown": lambda: check_grad(lambda x: float(x[0] ** 2), lambda x: 2 * x[0], 1.5),
    "gradient, func returns an array": lambda: check_grad(lambda x: np.array([rosen(x)]), rosen_der, X),
    "gradient at bounds": lambda: check_grad(
        rosen, rosen_der, X, bounds=[(1.3, None), (0.7, 0.7), (0, 0.8), (None, 9)]
    ),
    "gradient, Bounds": lambda: check_grad(rosen, rosen_der, X, bounds=Bounds(X, np.inf)),
    "gradient, many unknowns": lambda: check_grad(rosen, rosen_der, np.linspace(-1, 1, 1500)),
    "gradient at a kink": lambda: check_grad(lambda x: np.abs(x).sum(), np.sign, np.array([0.0, 1.0, -2.0])),
    "gradient at a kink, of one side": lambda: check_grad(
        lambda x: np.maximum(x, 0).sum(), lambda x: (x >= 0) * 1.0, np.array([0.0, 1.0, -2.0])
    ),
    "Jacobian": lambda: check_jac(fun, jac, X),
    "Jacobian, lists": lambda: check_jac(lambda x: list(fun(x)), lambda x: jac(x).tolist(), list(X)),
    "Jacobian, fun returns both": lambda: check_jac(lambda x: (fun(x), jac(x)), True, X),
    "Jacobian, args and kwargs": lambda: check_jac(keyword, lambda x, a, b: a * jac(x), X, (2.0,), {"b": 1}),
    "Jacobian at bounds": lambda: check_jac(fun, jac, X, bounds=([1.3, 0, 0, 0], [2, 0.7, 0.8, 3])),
    "sparse Jacobian": lambda: check_jac(chain, chain_jac, X),
    "operator": lambda: check_jac(chain, lambda x: aslinearoperator(chain_jac(x)), X),
    "operator without a transpose": lambda: check_jac(
        chain, lambda x: LinearOperator((4, 4), matvec=lambda v: chain_jac(x) @ v), X
    ),
    "Hessian": lambda: check_hess(rosen_der, rosen_hess, X),
    "sparse Hessian": lambda: check_hess(rosen_der, lambda x: csr_array(rosen_hess(x)), X),
    "product with a Hessian": lambda: check_hessp(rosen_der, rosen_hess_prod, X),
}


@pytest.mark.parametrize("ask", RIGHT.values(), ids=RIGHT)
def test_right_derivative_passes(ask):
    report = ask()
    assert report
    assert report.call is None


G, J = {"raise_exception": False}, {"raise_exception": False}
WRONG = {
    "gradient entry": (lambda: check_grad(rosen, changed(rosen_der, 2), X, **G), "wrong-jacobian", "[2]"),
    "gradient at a kink": (
        lambda: check_grad(
            lambda x: np.abs(x).sum(), lambda x: np.where(x == 0, 2, np.sign(x)), np.array([0.0, 1.0]), **G
        ),
        "wrong-jacobian",
        "[0]",
    ),
    "gradient negated": (
        lambda: check_grad(rosen, lambda x: -rosen_der(x), X, **G),
        "wrong-jacobian",
        "4 of 4",
    ),
    "gradient too short": (
        lambda: check_grad(rosen, lambda x: rosen_der(x)[1:], X, **G),
        "jacobian-shape",
        "(3,)",
    ),
    "gradient at a bound": (
        lambda: check_grad(rosen, changed(rosen_der, 0, 0), X, bounds=Bounds(X, np.inf), **G),
        "wrong-jacobian",
        "[0]",
    ),
    "gradient, one of many": (
        lambda: check_grad(rosen, changed(rosen_der, 777, 1.5), np.linspace(-1, 1, 1500), **G),
        "wrong-jacobian",
        "wrong at 1 of 1500 entries; worst [777]",
    ),
    "gradient writes to x": (
        lambda: check_grad(rosen, lambda x: np.multiply(rosen_der(x), 1, out=x), X, **G),
        "mutates-input",
        "grad writes to x",
    ),
    "other answer when called again": (
        lambda: check_grad(rosen, lambda x, seen=[]: seen.append(1) or rosen_der(x) * len(seen), X, **G),
        "not-deterministic",
        "two answers",
    ),
    "Jacobian entry": (lambda: check_jac(fun, changed(jac, (2, 3)), X, **J), "wrong-jacobian", "[2, 3]"),
    "Jacobian by one part in 1e6": (
        lambda: check_jac(fun, changed(jac, (0, 1), 1 + 1e-6), X, **J),
        "wrong-jacobian",
        "wrong at 1 of 12 entries; worst [0, 1]",
    ),
    "Jacobian transposed": (
        lambda: check_jac(fun, lambda x: jac(x).T, X, **J),
        "jacobian-shape",
        "it is transposed",
    ),
    "square Jacobian transposed": (
        lambda: check_jac(chain, lambda x: chain_jac(x).T.tocsr(), X, **J),
        "wrong-jacobian",
        "jac is wrong at 6 of 16 entries",
    ),
    "Jacobian with a zero too many": (
        lambda: check_jac(fun, changed(jac, (2, 0), 0), X, **J),
        "wrong-jacobian",
        "worst [2, 0]: jac gives 0",
    ),
    "sparse entry": (
        lambda: check_jac(chain, one_entry_of_chain, np.linspace(0, 1, 200), **J),
        "wrong-jacobian",
        "wrong at 1 of 40000 entries; worst [17, 18]",
    ),
    "pattern too small": (
        lambda: check_jac(chain, without_upper, np.linspace(0, 1, 50), **J),
        "outside-pattern",
        "no entry at 49 places",
    ),
    "rmatvec is matvec": (
        lambda: check_jac(
            chain,
            lambda x: LinearOperator(
                (4, 4), matvec=lambda v: chain_jac(x) @ v, rmatvec=lambda v: chain_jac(x) @ v
            ),
            X,
            **J,
        ),
        "rmatvec-is-no-transpose",
        "⟨u, J v⟩",
    ),
    "operator, entry": (
        lambda: check_jac(
            chain, lambda x: aslinearoperator(changed(lambda x: chain_jac(x).toarray(), (1, 2))(x)), X, **J
        ),
        "wrong-jacobian",
        "[1, 2]",
    ),
    "Hessian not symmetric": (
        lambda: check_hess(rosen_der, changed(rosen_hess, (0, 1)), X, **J),
        "not-symmetric",
        "[0, 1] is",
    ),
    "Hessian doubled on the diagonal": (
        lambda: check_hess(rosen_der, lambda x: rosen_hess(x) * (1 + np.eye(4)), X, **J),
        "wrong-jacobian",
        "4 of 16",
    ),
    "product with a Hessian": (
        lambda: check_hessp(rosen_der, lambda x, p: rosen_hess_prod(x, p) + p, X, **J),
        "wrong-jacobian",
        "4 of 16",
    ),
    "product of no symmetric matrix": (
        lambda: check_hessp(rosen_der, lambda x, p: rosen_hess_prod(x, p) * [1, 1, 1, 2], X, **J),
        "not-symmetric",
        "hessp is not the product with a symmetric matrix",
    ),
}


@pytest.mark.parametrize(("ask", "kind", "message"), WRONG.values(), ids=WRONG)
def test_planted_defect_fails_and_is_named(ask, kind, message):
    report = ask()
    assert report.failed
    found = [finding.message for finding in report.findings if finding.kind == kind]
    assert any(message in text for text in found), report
    assert report.call.splitlines()[-1].startswith("gradlab.scipy.check_")


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_defect_of_the_catalogue_fails_and_is_named(planted):
    with pytest.raises(GradientError) as caught:
        planted.ask(gradlab.scipy, planted.wrong)
    assert caught.value.report.failed
    assert planted.named in str(caught.value)
    assert planted.ask(gradlab.scipy, planted.right)


def test_sparse_jacobian_of_ten_thousand_unknowns_costs_tens_of_calls():
    x = np.random.default_rng(0).normal(size=10_000)
    assert check_jac(chain, chain_jac, x).forward_calls < 50


def test_failure_raises_and_the_report_is_no_number():
    with pytest.raises(GradientError, match="FAIL rosen: grad is wrong at 1 of 4 entries"):
        check_grad(rosen, changed(rosen_der, 2), X)
    with pytest.raises(TypeError):
        assert check_grad(rosen, rosen_der, X) < 1e-6


def test_steps_of_scipy_are_ignored_with_a_note_and_equal_calls_give_equal_reports():
    reports = [check_grad(rosen, rosen_der, X, epsilon=1e-6, direction="random", rng=3) for _ in range(2)]
    assert reports[0] == reports[1]
    assert [note.split()[0] for note in reports[0].notes] == ["epsilon", "direction"]
    assert check_grad(rosen, rosen_der, X, seed=3, rng=4).seed == reports[0].seed == 3


def test_function_is_not_called_outside_the_bounds_and_x0_is_moved_inside():
    def inside(x):
        assert ((x >= 1) & (x <= 2)).all()
        return rosen(x)

    report = check_grad(inside, rosen_der, [0.5, 1.5, 2.0], bounds=[(1, 2)] * 3)
    assert report.notes == ("x0 is outside the bounds, and was moved to them",)


def test_own_exceptions_pass_through():
    with pytest.raises(ZeroDivisionError):
        check_grad(lambda x: 1 / 0, rosen_der, X)
    with pytest.raises(ZeroDivisionError):
        check_grad(rosen, lambda x: 1 / 0, X)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: check_grad(rosen, "2-point", X), "grad is the str '2-point'; expected a function, or True"),
        (lambda: check_grad(fun, jac, X), r"func returns a float64 array of shape \(3,\); expected a number"),
        (lambda: check_grad(rosen, rosen_der, X, bounds=(0, 1)), "expected a pair .* for each of 4 unknowns"),
        (lambda: check_jac(fun, jac, X, bounds=([0, 0], [1, 1])), "expected numbers for each of 4 unknowns"),
        (lambda: check_jac(fun, lambda x: "J", X), "jac returns the str 'J'; expected an array of real"),
        (lambda: check_hessp(rosen_der, None, X), "hessp is None; expected a function"),
        (lambda: check(np.sum, rosen, X, jac=rosen_der), "expected minimize, least_squares or root"),
        (lambda: check(minimize, rosen, X, jac="2-point"), "minimize is given no derivative"),
        (lambda: check_grad(lambda x: np.nan, rosen_der, X), "the function is not finite at x0"),
        (
            lambda: check_jac(lambda x: x + 1j * x**3, lambda x: np.eye(4), X),
            r"fun returns a complex128 array of shape \(4,\); expected an array of real numbers",
        ),
        (lambda: check_jac(np.copy, lambda x: np.eye(4) + 1j, X), "jac returns a complex128 array"),
        (lambda: check_jac(np.copy, lambda x: csr_array(np.eye(4) + 1j), X), "csr_array of dtype complex128"),
        (lambda: check_jac(np.copy, lambda x: [[1], [2, 3]], X), "jac returns a list of length 2; expected"),
        (lambda: check_grad(lambda x: None, rosen_der, X), "func returns None; expected an array of real"),
        (lambda: check_grad(rosen, True, X), "expected a value and its derivative, for grad is True"),
        (
            lambda: check_hess(rosen, rosen_hess, X),
            r"grad returns the float64 .*; expected a gradient of shape \(4,\)",
        ),
        (
            lambda: check_hess(lambda x: (rosen(x), rosen_der(x)), rosen_hess, X),
            r"grad returns a tuple \(float64, ndarray\); expected an array of real numbers",
        ),
        (lambda: check_hessp(np.copy, lambda x, p: x @ p, X), r"hessp returns .* expected .* shape \(4,\)"),
        (lambda: check_hessp(np.copy, lambda x, p: p + 1j, X), "hessp returns a complex128 array"),
        (
            lambda: check(minimize, rosen, X, jac=rosen_der, hes=rosen_hess),
            "minimize does not take this call: got an unexpected keyword argument 'hes'; expected fun, x0, ",
        ),
        (lambda: check(root, fun, X, jac=jac, bounds=(0, 1)), "unexpected keyword argument 'bounds'"),
        (lambda: check(minimize, rosen, jac=rosen_der), "missing a required argument: 'x0'"),
        (
            lambda: check_grad(rosen, rosen_der, X + 1j),
            r"x0 is a complex128 array of shape \(4,\); expected real",
        ),
        (lambda: check_jac(fun, jac, list(X + 0j)), "x0 is a list of length 4; expected real"),
        (lambda: check_hess(rosen_der, rosen_hess, X[None]), r"shape \(1, 4\); expected .* along one axis"),
        (
            lambda: check_hessp(rosen_der, rosen_hess_prod, "abc"),
            "x0 is the str 'abc'; expected real numbers",
        ),
        (
            lambda: check_grad(rosen, rosen_der, [[1.0], [1.0, 2.0]]),
            "x0 is a list of length 2; expected real",
        ),
        (lambda: check_grad(rosen, rosen_der, [1.0, "b"]), "x0 is a list of length 2; expected real numbers"),
        (
            lambda: check_grad(rosen, rosen_der, [1.0, rosen]),
            "x0 is a list of length 2; expected real numbers",
        ),
        (
            lambda: check(minimize, rosen, X[np.newaxis], jac=rosen_der),
            "expected real numbers along one axis",
        ),
    ],
)
def test_malformed_questions_are_refused(ask, message):
    with pytest.raises(UsageError, match=message):
        ask()


def hess_of_fun(x, v):
    return np.diag([2 * v[0] + np.exp(x[0]) * v[2], 2 * v[0], 0, 0]) + v[2] * np.eye(4)[[0, 1, 3, 2]] * (
        np.arange(4) > 1
    ) * (np.arange(4)[:, np.newaxis] > 1)


def transposed(x):
    return chain_jac(x).toarray().T


CONSTRAINTS = [
    NonlinearConstraint(fun, 0, 1, jac=jac),
    {"type": "eq", "fun": lambda x: x[0] - 1, "jac": lambda x: np.eye(4)[0]},
]


@pytest.mark.parametrize(
    ("solver", "function", "options", "inputs"),
    [
        (minimize, rosen, {"jac": rosen_der, "hess": rosen_hess, "bounds": Bounds(0, 5)}, ["grad", "hess"]),
        (
            minimize,
            rosen,
            {"jac": rosen_der, "hessp": rosen_hess_prod, "method": "trust-ncg"},
            ["grad", "hessp"],
        ),
        (
            minimize,
            rosen,
            {"jac": rosen_der, "constraints": CONSTRAINTS, "method": "SLSQP"},
            ["grad", "constraints[0].jac", "constraints[1].jac"],
        ),
        (minimize, lambda x: (rosen(x), rosen_der(x)), {"jac": True, "hess": rosen_hess}, ["grad", "hess"]),
        (least_squares, fun, {"jac": jac, "bounds": (0, [2, 2, 2, 1.9])}, ["jac"]),
        (root, chain, {"jac": lambda x: chain_jac(x).toarray()}, ["jac"]),
        (root, chain, {"jac": transposed, "method": "lm", "options": {"col_deriv": True}}, ["jac"]),
        (
            minimize,
            rosen,
            {"jac": rosen_der, "constraints": NonlinearConstraint(fun, 0, 1, jac=jac, hess=hess_of_fun)},
            ["grad", "constraints[0].jac", "constraints[0].hess"],
        ),
    ],
)
def test_call_of_a_solver_is_checked_as_it_stands(solver, function, options, inputs):
    report = check(solver, function, X, **options)
    assert report
    assert [result.name for result in report.inputs] == inputs


def scaled(x, a):
    return a * chain(x)


def scaled_jac(x, a):
    return a * chain_jac(x).toarray()


@pytest.mark.parametrize(
    "call",
    [
        (least_squares, fun, X, jac),
        (minimize, lambda x, a, b: a * rosen(x) + b, X, (2.0, 1.0), "BFGS", lambda x, a, b: a * rosen_der(x)),
        (root, scaled, X, 2.0, "hybr", scaled_jac),
    ],
)
def test_arguments_by_position_are_those_of_the_solver(call):
    assert check(*call)


def test_list_is_one_argument_but_to_least_squares():
    of_list = check(root, lambda x, a: scaled(x, *a), X, [2.0], jac=lambda x, a: scaled_jac(x, *a))
    assert of_list
    assert check(least_squares, scaled, X, scaled_jac, args=[2.0])


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("transposes", [True, False])
def test_columns_of_a_function_that_returns_both_are_those_of_its_derivatives(transposes, factor):
    """SciPy solves with the transpose of what comes with the value: other numbers than those are wrong."""

    def both(x):
        derivative = factor * chain_jac(x).toarray()
        return chain(x), derivative.T if transposes else derivative

    report = check(root, both, X, jac=True, options={"col_deriv": 1}, raise_exception=False)
    assert report.passed is (transposes and factor == 1)


def both_of_rosen(x):
    return rosen(x), rosen_der(x)


def double_hess_prod(x, p):
    return 2 * rosen_hess_prod(x, p)


@pytest.mark.parametrize(
    ("ask", "call"),
    [
        (
            lambda: check(minimize, both_of_rosen, X, jac=True, hessp=double_hess_prod, rng=0),
            "gradlab.scipy.check(minimize, both_of_rosen, x0, jac=True, hessp=double_hess_prod, rng=0)",
        ),
        (
            lambda: check(root, chain, X, jac=chain_jac_dense, options={"col_deriv": 1}, rng=0),
            "gradlab.scipy.check(root, chain, x0, jac=chain_jac_dense, options={'col_deriv': 1}, rng=0)",
        ),
    ],
)
def test_call_that_repeats_a_check_is_that_of_the_solver(ask, call):
    with pytest.raises(GradientError) as caught:
        ask()
    report = caught.value.report
    assert report.call.splitlines()[-1] == call
    with pytest.raises(GradientError) as again:
        exec(report.snippet, {})
    assert again.value.report.reason == report.reason


def chain_jac_dense(x):
    return chain_jac(x).toarray()


def test_point_of_root_is_taken_along_one_axis_as_root_takes_it():
    assert check(root, chain, X.reshape(2, 2), jac=lambda x: chain_jac(x).toarray())


@pytest.mark.parametrize("x0", [[1, 2, 1, 2], [True, False], range(3), X.astype(np.float32), 2])
def test_points_of_other_numbers_are_taken(x0):
    assert check_grad(lambda x: np.sum(x**3), lambda x: 3 * x**2, x0)


def test_function_is_no_constraint_for_its_name():
    def constraints_total(x):
        return rosen(x)

    report = check(minimize, constraints_total, X, jac=changed(rosen_der, 1), raise_exception=False)
    assert report.inputs[0].name == "grad"
    assert report.findings[0].input == "grad"
    assert report.reason.startswith("grad is wrong at 1 of 4 entries")


def test_constraint_with_a_wrong_derivative_is_named():
    wrong = NonlinearConstraint(fun, 0, 1, jac=changed(jac, (2, 3)))
    with pytest.raises(GradientError) as raised:
        check(minimize, rosen, X, jac=rosen_der, constraints=[CONSTRAINTS[0], wrong])
    report = raised.value.report
    assert [result.verdict for result in report.inputs] == ["pass", "pass", "fail"]
    assert report.reason.startswith("constraints[1]: jac is wrong at 1 of 12 entries; worst [2, 3]")


def test_hessian_of_a_constraint_that_mixes_its_components_up_is_named():
    wrong = NonlinearConstraint(fun, 0, 1, jac=jac, hess=lambda x, v: hess_of_fun(x, v[::-1]))
    with pytest.raises(GradientError, match=r"constraints\[0\]: hess is wrong"):
        check(minimize, rosen, X, jac=rosen_der, constraints=wrong)


def test_hessian_beside_no_gradient_is_said_not_to_be_checked():
    report = check(minimize, rosen, X, hess=rosen_hess, constraints=CONSTRAINTS)
    assert report.notes == ("hess is not checked: it is compared with differences of jac, which is none",)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: check_grad(rosen, rosen_der, np.ones(3)),
        lambda: check_grad(lambda x: 3.0, np.zeros_like, X),
        lambda: check_hess(lambda x: np.array([3.0, 2.0]), lambda x: np.zeros((2, 2)), X[:2]),
    ],
)
def test_derivative_that_vanishes_passes(ask):
    assert ask()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: check_grad(rosen, lambda x: rosen_der(x) + 1e-6, np.ones(3)),
        lambda: check_grad(lambda x: 3.0, lambda x: np.full_like(x, 1e-9), X),
        lambda: check_hess(lambda x: np.array([3.0, 2.0]), lambda x: 1e-9 * np.eye(2), X[:2]),
    ],
)
def test_derivative_that_should_vanish_fails(ask):
    with pytest.raises(GradientError):
        ask()


@pytest.mark.parametrize("by", [1, 2])
def test_overflow_of_an_influence_is_no_agreement(by):
    report = check_jac(np.exp, lambda x: by * np.diag(np.exp(x)), [709.0, 1.0], raise_exception=False)
    assert report.verdict == {1: "inconclusive", 2: "fail"}[by]


@pytest.mark.parametrize(("off", "passes"), [(1e-7, True), (1e-3, False)])
def test_halves_of_a_float32_hessian_are_the_same_up_to_rounding(off, passes):
    exact = np.array([[2.0, 1.3], [1.3, -1.0]])
    hess = (exact + off * np.array([[0.0, 1.0], [-1.0, 0.0]])).astype(np.float32)
    report = check_hess(lambda x: exact @ x, lambda x: hess, np.ones(2), rtol=1e-6, raise_exception=False)
    assert report.passed is passes


FLAT = {
    "cos": (lambda x: 1 - np.cos(x), np.sin),
    "cosh": (lambda x: np.cosh(x) - 1, np.sinh),
    "log": (lambda x: np.log(1 + x**2), lambda x: 2 * x / (1 + x**2)),
}


@pytest.mark.parametrize("size", [1e-5, 1e-6, 1e-7, 1e-8])
@pytest.mark.parametrize(("fun", "slope"), FLAT.values(), ids=FLAT)
def test_what_is_flat_to_rounding_is_not_called_wrong_nor_is_a_gradient_of_zero_right(fun, slope, size):
    for seed in range(3):
        x = size * np.random.default_rng(seed).standard_normal(3)
        for factor in (0, 1, 2):
            reports = (
                check_grad(
                    lambda x: fun(x).sum(), lambda x, c=factor: c * slope(x), x, raise_exception=False
                ),
                check_jac(fun, lambda x, c=factor: np.diag(c * slope(x)), x, raise_exception=False),
            )
            assert not any(report.failed if factor == 1 else report.passed for report in reports)


@pytest.mark.parametrize("size", [1e3, 1e4])
def test_steps_of_whole_periods_do_not_condemn(size):
    for seed in range(6):
        x = size * np.random.default_rng(seed).standard_normal(20)
        right = check_jac(
            lambda x: np.sin(50 * x), lambda x: np.diag(50 * np.cos(50 * x)), x, raise_exception=False
        )
        wrong = check_jac(
            lambda x: np.sin(50 * x), lambda x: np.diag(50 * np.sin(50 * x)), x, raise_exception=False
        )
        assert not right.failed
        assert wrong.failed


def test_page_shows_what_one_gets():
    page = Path(gradlab.__file__).parent / "docs" / "scipy.md"
    failed, attempted = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert attempted > 0
    assert failed == 0
