"""Functions that return a loss and its gradients together, in the forms in which people write them."""

import itertools

import numpy as np
import pytest
from scipy import optimize

from gradlab import GradientError, UsageError, check_value_and_grad

X, Y, W, B = (np.random.default_rng(k).normal(size=shape) for k, shape in enumerate([(5, 3), 5, 3, ()]))
B = float(B)
PARAMS = {"W": W, "b": np.array([B])}


def report_of(function, *inputs, **options):
    return check_value_and_grad(function, *inputs, raise_exception=False, **options)


def kinds(report):
    return {(finding.input, finding.kind) for finding in report.findings}


def names(report):
    return [result.name for result in report.inputs]


def residual(w, b=0.0):
    return X @ w + b - Y


def minimized(w, factor=1.0):
    e = residual(w)
    return 0.5 * e @ e, factor * X.T @ e


def with_arguments(w, X, y, factor=1.0):
    e = X @ w - y
    return 0.5 * e @ e, factor * X.T @ e


def data_first(X, y, W, factor=1.0):
    return with_arguments(W, X, y, factor)


def several(w, b, factor=1.0):
    e = residual(w, b)
    return 0.5 * e @ e, X.T @ e, factor * e.sum()


def gradients_first(w, b, X, y, factor=1.0):
    e = X @ w + b - y
    return {"dw": X.T @ e, "db": factor * e.sum()}, np.squeeze(0.5 * np.dot(e[None], e[:, None]))


def tree(X, y, params, factor=1.0):
    e = X @ params["W"] + params["b"] - y
    return 0.5 * np.sum(e**2), {"W": X.T @ e, "b": np.array([factor * e.sum()])}


def nested(layers, factor=1.0):
    h = np.tanh(X @ layers[0]["W"][:, None])
    e = h @ layers[1]["W"] - Y
    dh = np.outer(e, layers[1]["W"]) * (1 - h**2)
    return 0.5 * e @ e, [{"W": (X.T @ dh)[:, 0]}, {"W": factor * h.T @ e}]


def written(x, grad, factor=1.0):
    if grad.size > 0:
        grad[:] = factor * X.T @ residual(x)
    return float(0.5 * residual(x) @ residual(x))


FORMS = {
    "jac=True": (minimized, (W,), ["w"]),
    "jac=True, with args": (with_arguments, (W, X, Y), ["w"]),
    "data first": (data_first, (X, Y, W), ["W"]),
    "loss, *gradients": (several, (W, B), ["w", "b"]),
    "gradients, loss": (gradients_first, (W, B, X, Y), ["w", "b"]),
    "dict of parameters": (tree, (X, Y, PARAMS), ["params['W']", "params['b']"]),
    "list of layers": (nested, ([{"W": W}, {"W": np.ones(1)}],), ["layers[0]['W']", "layers[1]['W']"]),
    "written": (written, (W,), ["x"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_right_function_passes_and_its_inputs_are_named(form):
    function, inputs, expected = FORMS[form]
    assert names(check_value_and_grad(function, *inputs)) == expected


@pytest.mark.parametrize("form", FORMS)
def test_wrong_function_fails_at_the_input_that_is_wrong(form):
    function, inputs, expected = FORMS[form]
    report = report_of(function, *inputs, kwargs={"factor": 2.5})
    assert kinds(report) == {(expected[-1], "wrong-gradient")}


def test_inputs_without_gradient_are_said_to_be_constants():
    assert check_value_and_grad(data_first, X, Y, W).notes == (
        "X and y have no gradient and were taken as constants",
    )
    assert check_value_and_grad(data_first, X, Y, W, wrt="W").notes == ()


def test_gradient_that_fits_no_input_is_no_constant():
    report = report_of(lambda X, y, W: (data_first(X, y, W)[0], np.ones(7)), X, Y, W)
    assert {kind for _, kind in kinds(report)} == {"gradient-count"}
    report = report_of(lambda w, b: (several(w, b)[0], {"w": X.T @ residual(w, b), "beta": 1.0}), W, B)
    assert {kind for _, kind in kinds(report)} == {"gradient-count"}


def test_gradients_in_the_report_are_those_that_the_function_returned():
    report = report_of(minimized, W, kwargs={"factor": 2.5})
    worst = report.inputs[0].worst
    assert worst.analytic == pytest.approx(minimized(W, 2.5)[1][worst.index])


def test_one_call_serves_loss_and_gradient():
    calls = itertools.count()  # which nothing can put back

    def counted(w):
        next(calls)
        return minimized(w)

    report = check_value_and_grad(counted, W)
    assert report.forward_calls == next(calls) <= 2 * W.size + 3


def test_functions_of_scipy():
    def rosenbrock(x):
        return optimize.rosen(x), optimize.rosen_der(x)

    check_value_and_grad(rosenbrock, W)
    assert optimize.minimize(rosenbrock, W, jac=True).success


def test_entries_that_a_callback_does_not_write_are_found():
    def incomplete(x, grad):
        if grad.size > 0:
            grad[1:] = 2 * x[1:]
        return float(x @ x)

    def adds(x, grad):
        if grad.size > 0:
            grad += 2 * x
        return float(x @ x)

    for function in (incomplete, adds):
        report = report_of(function, W)
        assert kinds(report) == {("x", "not-finite")}
        assert report.notes[-1].startswith("grad holds nan when")


class Model:
    """A network of a course: ``loss(X, y)`` reads ``params`` and returns their gradients."""

    def __init__(self, regularizes=True, adds=False):
        rng = np.random.default_rng(0)
        self.params = {"W1": 0.5 * rng.normal(size=(3, 4)), "W2": rng.normal(size=4)}
        self.grads = {name: np.zeros_like(p) for name, p in self.params.items()}
        self.regularizes, self.adds, self.calls, self.losses = regularizes, adds, 0, []

    def loss(self, X, y, reg=0.1):
        self.calls += 1
        w1, w2 = self.params.values()
        h = np.tanh(X @ w1)
        e = h @ w2 - y
        loss = np.mean(e**2) + reg * sum(np.sum(w**2) for w in self.params.values())
        self.losses.append(loss)
        d = 2 * e / len(y)
        dh = np.outer(d, w2) * (1 - h**2)
        grads = {"W1": X.T @ dh, "W2": h.T @ d + 2 * reg * w2}
        if self.regularizes:
            grads["W1"] += 2 * reg * w1
        if self.adds:
            for name, gradient in grads.items():
                self.grads[name] += gradient
            grads = self.grads
        return loss, grads


def test_parameters_of_a_model_are_moved_in_place():
    model = Model()
    report = check_value_and_grad(model.loss, X, Y, params=model.params)
    assert names(report) == ["params['W1']", "params['W2']"]
    report = report_of(Model(regularizes=False).loss, X, Y, params=Model(regularizes=False).params)
    assert report.failed
    model = Model(regularizes=False)
    report = report_of(model.loss, X, Y, params=model.params)
    assert kinds(report) == {("params['W1']", "wrong-gradient")}
    assert [cause.code for cause in report.causes] == ["missing-term"]


@pytest.mark.parametrize("options", [{}, {"regularizes": False}, {"adds": True}])
def test_model_that_is_closed_over_is_left_as_it_was(options):
    model = Model(**options)
    before = {name: (p, p.copy()) for name, p in {**model.params, **model.grads}.items()}

    def f(X, y):
        return model.loss(X, y)

    report_of(f, X, Y, params=model.params)
    assert (model.calls, model.losses) == (0, [])
    for name, p in {**model.params, **model.grads}.items():
        assert p is before[name][0]
        assert np.array_equal(p, before[name][1])


def test_accumulated_gradient_is_named_and_not_called_nonlinear():
    model = Model(adds=True)
    report = report_of(model.loss, X, Y, params=model.params)
    assert kinds(report) == {("params['W1']", "accumulated"), ("params['W2']", "accumulated")}
    assert {cause.code for cause in report.causes} == {"accumulated"}


def test_gradient_that_changes_from_call_to_call_is_not_deterministic():
    drift = iter(range(1000))
    report = report_of(lambda w: (minimized(w)[0], minimized(w)[1] * (1 + 0.1 * next(drift))), W)
    assert ("w", "not-deterministic") in kinds(report)


def test_function_that_writes_to_its_input_fails():
    def clips(w):
        loss = minimized(w)
        np.clip(w, -0.1, 0.1, out=w)
        return loss

    kept = W.copy()
    assert kinds(report_of(clips, W)) == {("w", "mutates-input")}
    assert np.array_equal(W, kept)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (np.sum, r"returned the float64 .*; expected \(loss, gradients\), or an argument"),
        (lambda w: (w, w), r"returned a tuple \(ndarray, ndarray\); expected \(loss, gradients\)"),
        ("loss", "was given the str 'loss'; expected a function"),
    ],
)
def test_what_is_no_loss_with_gradients_is_refused(function, message):
    with pytest.raises(UsageError, match=message):
        check_value_and_grad(function, W)


def test_parameters_that_the_function_does_not_read_are_refused():
    with pytest.raises(UsageError, match="a parameter is a number that cannot be replaced"):
        check_value_and_grad(minimized, W, params=(1.0, 2.0))


def test_what_the_function_raises_is_chained():
    def fails(w):
        raise ZeroDivisionError("no data")

    with pytest.raises(GradientError, match="raised ZeroDivisionError") as caught:
        check_value_and_grad(fails, W)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_snippet_is_the_call_that_was_written():
    report = report_of(minimized, W, kwargs={"factor": 2.5})
    assert report.call.endswith("gradlab.check_value_and_grad(minimized, w, kwargs={'factor': 2.5}, rng=0)")
    with pytest.raises(GradientError) as caught:
        exec(report.snippet, {"minimized": minimized})
    assert caught.value.report == report
    model = Model(regularizes=False)
    report = report_of(model.loss, X, Y, params=model.params)
    assert report.call == (
        "# define first: model, a Model\n"
        "gradlab.check_value_and_grad(model.loss, X, y, params=model.params, rng=0)"
    )


def test_loss_is_evaluated_by_others():
    def least_squares(w, x, y):
        e = x @ w - y
        return 0.5 * e @ e, x.T @ e

    plain = check_value_and_grad(least_squares, W, X, Y, wrt="w")
    assert check_value_and_grad(least_squares, W, X, Y, wrt="w", workers=map) == plain


def test_loss_of_a_model_whose_parameters_are_moved_is_evaluated_by_others():
    class Linear:
        def __init__(self):
            self.params = {"w": W.copy()}

        def loss(self, x):
            y = x @ self.params["w"]
            return y @ y, {"w": 2 * x.T @ y}

    model = Linear()
    plain = check_value_and_grad(model.loss, X, params=model.params)
    assert check_value_and_grad(model.loss, X, params=model.params, workers=map) == plain
    np.testing.assert_array_equal(model.params["w"], W)
