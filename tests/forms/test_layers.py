"""Layers in the styles in which people write them, right ones beside wrong ones, and what they keep."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from layer_styles import STYLES, AllReturned, Attributes, B, Dicts, Lists, Pairs, Stack, W, X, made

from gradlab import GradientError, Rule, UsageError, check_layer, gradcheck, verify
from gradlab.mutants.layers import LAYERS, Factors, Highway, Tied
from gradlab.runs.one import check
from gradlab.runs.outcomes import Options
from gradlab.runs.source import source_of


def report_of(layer, *inputs, **options):
    return check_layer(layer, *(inputs or (X,)), raise_exception=False, **options)


def kinds(report):
    return {(finding.input, finding.kind) for finding in report.findings}


@pytest.mark.parametrize("style", STYLES)
def test_right_layer_passes_and_its_parameters_are_named(style):
    report = check_layer(made(style), X, **STYLES[style].options)
    assert [result.name for result in report.inputs] == STYLES[style].names


@pytest.mark.parametrize("style", STYLES)
def test_wrong_layer_fails_at_the_parameter_that_is_wrong(style):
    report = report_of(made(style, factor=2.5), **STYLES[style].options)
    assert kinds(report) == {(STYLES[style].names[2], "wrong-gradient")}
    assert [cause.code for cause in report.causes] == ["factor"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_layer_is_left_as_it_was(style, factor):
    layer = made(style, factor)
    before = pickle.dumps(layer)
    report_of(layer, **STYLES[style].options)
    assert pickle.dumps(layer) == before


@pytest.mark.parametrize("style", STYLES)
def test_float32_layer_is_compared_in_float64(style):
    def forward(x, W, b):
        return x @ W + b

    def backward(dy, x, W, b):
        return dy @ W.T, x.T @ dy, dy.sum(axis=0)

    point = tuple(a.astype(np.float32) for a in (X, W, B))
    as_functions = gradcheck(forward, backward, point)
    report = check_layer(made(style, dtype=np.float32), point[0], **STYLES[style].options)
    assert [r.resolution for r in report.inputs] == pytest.approx([r.resolution for r in as_functions.inputs])


@pytest.mark.parametrize("style", STYLES)
def test_verify_takes_a_layer(style):
    rule = Rule.from_layer(made(style), "(n,3)", **STYLES[style].options)
    assert verify(rule, max_examples=3).points == 3


@pytest.mark.parametrize("style", ["attributes", "all returned", "network"])
def test_verify_takes_a_wrong_layer(style):
    wrong = Rule.from_layer(made(style, 2.5), "(n,3)", **STYLES[style].options)
    assert verify(wrong, max_examples=3, raise_exception=False).failed


@pytest.mark.parametrize(
    ("right", "arrays", "options"),
    [
        (Highway, [(3, 3), (3,), (3, 3), (3,)], {}),
        (Tied, [(3, 3), (3,), (3,)], {}),
        (Factors, [(3,), (3, 2)], {"params": ("w", "V")}),
    ],
)
def test_layers_of_the_catalogue(right, arrays, options):
    rng = np.random.default_rng(0)
    params = [rng.normal(size=shape) for shape in arrays]
    check_layer(right(*params), X, **options)
    for name, wrong in LAYERS.items():
        if issubclass(wrong, right):
            report = report_of(wrong(*copy.deepcopy(params)), **options)
            if name == "buffers of the class":  # which each check puts back
                assert kinds(report) >= {("params[0]", "accumulated")}
            assert report.failed, name


class BatchNorm:
    def __init__(self, size):
        self.gamma, self.beta = np.linspace(1, 2, size), np.zeros(size)
        self.running_mean, self.running_var, self.seen = np.zeros(size), np.ones(size), 0

    def forward(self, x, train=True):
        self.seen += 1
        mean, var = (x.mean(axis=0), x.var(axis=0)) if train else (self.running_mean, self.running_var)
        if train:
            self.running_mean *= 0.9
            self.running_mean += 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * var
        self.train, self.std = train, np.sqrt(var + 1e-5)
        self.h = (x - mean) / self.std
        return self.gamma * self.h + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.h).sum(axis=0), dy.sum(axis=0)
        dh = dy * self.gamma
        return self.through_statistics(dh) / self.std if self.train else dh / self.std

    def through_statistics(self, dh):
        return dh - dh.mean(axis=0) - self.h * (dh * self.h).mean(axis=0)


class ConstantStatistics(BatchNorm):
    def through_statistics(self, dh):
        return dh


@pytest.mark.parametrize("train", [True, False])
def test_running_statistics_and_counters_are_put_back(train):
    layer = BatchNorm(3)
    mean = layer.running_mean
    check_layer(layer, X, kwargs={"train": train})
    assert layer.running_mean is mean
    assert not mean.any()
    assert (layer.running_var == 1).all()
    assert layer.seen == 0
    assert not hasattr(layer, "h")


def test_what_stands_in_a_namespace_is_put_back():
    class Counts:
        def __init__(self):
            self.state = SimpleNamespace(calls=0, seen=None)

        def forward(self, x):
            self.state.calls += 1
            self.state.seen = x
            return x**2

        def backward(self, dy):
            return 2 * self.state.seen * dy

    layer = Counts()
    assert check_layer(layer, X).notes == ()
    assert layer.state == SimpleNamespace(calls=0, seen=None)


def test_wrong_statistics_fail_in_training_alone():
    assert report_of(ConstantStatistics(3)).failed
    check_layer(ConstantStatistics(3), X, kwargs={"train": False})


def test_array_without_gradient_is_said_to_be_a_constant():
    report = check_layer(BatchNorm(3), X, kwargs={"train": False})
    assert report.notes == tuple(
        f"{name} has no gradient and was taken as a constant: is it no parameter?"
        for name in ("running_mean", "running_var")
    )


class WithoutBias(Attributes):
    """Its backward stores no gradient of the bias."""

    def backward(self, dLdZ):
        self.dLdW = self.factor * self.A.T @ dLdZ
        return dLdZ @ self.W.T


@pytest.mark.parametrize("factor", [1.0, 5.0])
def test_rule_of_a_layer_says_what_was_taken_for_a_constant(factor):
    rule = Rule.from_layer(WithoutBias(W, B, factor), "(n,3)")
    expected = report_of(WithoutBias(W, B, factor)).notes
    assert expected == ("b has no gradient and was taken as a constant: is it no parameter?",)
    report = verify(rule, max_examples=3, raise_exception=False)
    assert report.verdict == ("pass" if factor == 1 else "fail")
    assert set(expected) <= set(report.notes)
    assert set(expected) <= set(check(rule, Options(max_examples=3)).report.notes)
    told = verify(Rule.from_layer(WithoutBias(W, B), "(n,3)", params=("W",)), max_examples=3)
    assert told.notes == ()


class Dropout:
    def __init__(self, draw, draws_again=False):
        self.draw, self.draws_again = draw, draws_again

    def forward(self, x):
        self.mask = self.draw(x.shape) < 0.5
        return x * self.mask / 0.5

    def backward(self, dy):
        if self.draws_again:
            self.mask = self.draw(dy.shape) < 0.5
        return dy * self.mask / 0.5


def of_numpy(shape):
    return np.random.random(shape)  # noqa: NPY002 - as most layers have it


def test_dropout_passes_under_a_seed_and_fails_where_backward_draws_again():
    check_layer(Dropout(of_numpy), X, seed=0)
    assert report_of(Dropout(of_numpy, draws_again=True), seed=0).failed


def test_dropout_without_a_seed_is_told_of_it():
    report = report_of(Dropout(of_numpy))
    assert kinds(report) == {(None, "not-deterministic")}
    assert any("seed=0" in note for note in report.notes)


def test_generator_of_the_layer_needs_no_seed_and_is_put_back():
    generator = np.random.default_rng(7)
    check_layer(Dropout(generator.random), X)
    assert generator.random() == np.random.default_rng(7).random()
    assert report_of(Dropout(generator.random, draws_again=True)).failed


def test_seed_leaves_the_global_generator_as_it_was():
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    check_layer(Dropout(of_numpy), X, seed=0)
    assert np.random.random() == expected  # noqa: NPY002


def test_accumulated_gradients_are_right_and_said():
    layer = Pairs(W, B)
    layer.dl_dw += 100  # from a step before
    report = check_layer(layer, X, params="param", grads="param")
    (note,) = report.notes
    assert note.startswith("backward adds to the stored gradients of param[0], param[1] (+=)")
    assert layer.dl_dw.min() == 100


class Accumulates(Attributes):
    def __init__(self, *arrays):
        super().__init__(*arrays)
        self.zero()

    def zero(self):
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def backward(self, dLdZ):
        self.dW += self.A.T @ dLdZ
        self.db += dLdZ.sum(axis=0)
        return dLdZ @ self.W.T


class ForgetsTheBias(Accumulates):
    def zero(self):
        self.dW = np.zeros_like(self.W)
        if not hasattr(self, "db"):
            self.db = np.zeros_like(self.b)


@pytest.mark.parametrize("reset", ["zero", lambda layer: layer.zero()])
def test_reset_that_forgets_a_gradient_fails(reset):
    assert check_layer(Accumulates(W, B), X, reset=reset).notes == ()
    report = report_of(ForgetsTheBias(W, B), reset=reset)
    assert kinds(report) == {("b", "accumulated")}
    assert [cause.code for cause in report.causes] == ["accumulated"]


class AccumulatesTheInput(Accumulates):
    def backward(self, dLdZ):
        self.dA = getattr(self, "dA", 0) + super().backward(dLdZ)
        return self.dA


class KeepsTheFirstInput(Attributes):
    def forward(self, A):
        if not hasattr(self, "A"):
            self.A = A
        return A @ self.W + self.b


def test_what_the_step_before_leaves_is_found():
    assert kinds(report_of(AccumulatesTheInput(W, B))) == {("A", "accumulated")}
    assert kinds(report_of(KeepsTheFirstInput(W, B))) == {("W", "cache-overwritten")}


class Recurrent:
    """It starts from the state in which the last call has left it."""

    def __init__(self, W):
        self.W, self.dW, self.h = W, None, np.zeros(W.shape[1])

    def forward(self, x):
        self.x, self.before = x, self.h
        self.h = np.tanh(x @ self.W + self.h)
        return self.h

    def backward(self, dy):
        da = dy * (1 - self.h**2)
        self.dW = np.outer(self.x, da)
        return da @ self.W.T


def test_state_that_is_carried_over_is_said():
    report = check_layer(Recurrent(W.copy()), X[0])
    assert report.notes[-1] == "forward depends on the calls before it; the layer was put back before each"


class Descends(Attributes):
    def backward(self, dLdZ):
        dx = super().backward(dLdZ)
        self.W -= 0.1 * self.dLdW
        self.b = self.b - 0.1 * self.dLdb
        return dx


class ClipsItsInput(Attributes):
    def forward(self, A):
        return super().forward(np.clip(A, -0.5, 0.5, out=A))


def test_layer_that_writes_to_parameters_or_inputs_fails():
    kept = W.copy(), B.copy(), X.copy()
    report = report_of(Descends(W, B))
    assert kinds(report) == {("W", "mutates-input"), ("b", "mutates-input")}
    # Their gradients were taken before, and are not said to be wrong.
    assert [(r.name, r.verdict) for r in report.inputs] == [
        ("A", "pass"),
        ("W", "inconclusive"),
        ("b", "inconclusive"),
    ]
    assert ("A", "mutates-input") in kinds(report_of(ClipsItsInput(W, B)))
    assert all(map(np.array_equal, (W, B, X), kept))


def test_views_of_one_flat_vector_move_with_it():
    class Flat(Attributes):
        def __init__(self, theta):
            super().__init__(theta[:6].reshape(3, 2), theta[6:])
            self.theta = theta

        def backward(self, dLdZ):
            dx = super().backward(dLdZ)
            self.dtheta = np.concatenate([self.dLdW.ravel(), self.factor * self.dLdb])
            return dx

    theta = np.concatenate([W.ravel(), B])
    check_layer(Flat(theta), X, params="theta")
    layer = Flat(theta.astype(np.float32))
    assert not report_of(layer, X.astype(np.float32), params="theta").failed
    layer.factor = 2.0
    assert report_of(layer, X.astype(np.float32), params="theta").failed


def test_read_only_and_scalar_parameters():
    class PReLU:
        def __init__(self, slope, factor=1.0):
            self.slope, self.dslope, self.factor = slope, None, factor

        def forward(self, x):
            self.x = x
            return np.where(x > 0, x, self.slope * x)

        def backward(self, dy):
            self.dslope = self.factor * np.sum(dy * np.where(self.x > 0, 0, self.x))
            return dy * np.where(self.x > 0, 1, self.slope)

    fixed = np.array(0.25)
    fixed.flags.writeable = False
    for slope in (0.25, np.float64(0.25), fixed):
        check_layer(PReLU(slope), X, params="slope")
        assert report_of(PReLU(slope, 2.0), params="slope").failed


def test_labels_are_constants_and_a_loss_layer_takes_its_default_gradient():
    class SoftmaxWithLoss:
        def __init__(self, divides=True):
            self.params, self.grads, self.divides = [], [], divides

        def forward(self, x, t):
            e = np.exp(x - x.max(axis=1, keepdims=True))
            self.y, self.t = e / e.sum(axis=1, keepdims=True), t
            return -np.mean(np.log(self.y[np.arange(len(t)), t]))

        def backward(self, dout=1):
            dx = self.y.copy()
            dx[np.arange(len(self.t)), self.t] -= 1
            return dx * dout / (len(self.t) if self.divides else 1)

    labels = np.array([0, 2, 1, 1])
    check_layer(SoftmaxWithLoss(), X, labels)
    report = report_of(SoftmaxWithLoss(divides=False), X, labels)
    assert [cause.code for cause in report.causes] == ["summed-instead-of-averaged"]


def test_layer_without_parameters():
    class ReLU:
        def forward(self, x):
            self.mask = x <= 0
            out = x.copy()
            out[self.mask] = 0
            return out

        def backward(self, dout):
            dout[self.mask] = 0
            return dout

    # The book writes into what it was given, which here is said.
    assert kinds(report_of(ReLU())) == {(None, "mutates-upstream")}


def test_gradient_that_is_missing_is_named():
    class Forgets(Attributes):
        def backward(self, dLdZ):
            self.dLdW = self.A.T @ dLdZ
            return dLdZ @ self.W.T

    assert kinds(report_of(Forgets(W, B), params=("W", "b"))) == {("b", "gradient-none")}


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (Attributes(W, B), {"forward": "feed"}, "has no method 'feed'; its methods are backward, forward"),
        (Attributes(W, B), {"params": "theta"}, "has no attribute 'theta'; its attributes are W, b, factor"),
        (Attributes(W, B), {"params": 3}, "params is the int 3; expected the name of an attribute"),
        (Attributes(W, B), {"params": ("W", "b"), "grads": ("dW", "db", "dx")}, "grads names 3 attributes"),
        (Attributes(W, B), {"seed": -1}, "seed is the int -1; expected None or a non-negative integer"),
        (Dicts(W, B), {"wrt": "V"}, r"wrt names V, which is not an input; the inputs are x, params\['W'\]"),
    ],
)
def test_malformed_question_is_refused(layer, options, message):
    with pytest.raises(UsageError, match=message):
        check_layer(layer, X, **options)


def test_parameters_that_nobody_names_are_asked_for():
    class Plain:
        def __init__(self):
            self.W, self.b = W, B

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dy):
            return dy @ self.W.T

    with pytest.raises(UsageError, match=r"say what the parameters are: params=\('W', 'b'\)"):
        check_layer(Plain(), X)
    with pytest.raises(UsageError, match="no gradient of W, b was found"):
        check_layer(Plain(), X, params=("W", "b"))
    check_layer(Plain(), X, params=())


class Stores:
    """An affine layer that stores its gradients under names of one's own."""

    def __init__(self, w, names=("W", "dW"), factor=1.0):
        self.name, self.gradient, self.factor = *names, factor
        setattr(self, self.name, w)

    def forward(self, x):
        self.x = x
        return x @ getattr(self, self.name)

    def backward(self, dy):
        setattr(self, self.gradient, self.factor * self.x.T @ dy)
        return dy @ getattr(self, self.name).T


@pytest.mark.parametrize(
    "names",
    [
        ("W", "nabla_W"),
        ("W", "W_gradient"),
        ("W", "dJdW"),
        ("W", "dJ_dW"),
        ("weights", "dweight"),
        ("biases", "grad_bias"),
    ],
)
def test_usual_names_of_gradients_are_found(names):
    report = check_layer(Stores(W, names), X)
    assert [result.name for result in report.inputs] == ["x", names[0]]
    assert kinds(report_of(Stores(W, names, factor=2.0))) == {(names[0], "wrong-gradient")}


def test_integers_with_a_gradient_are_said_to_be_taken_for_a_constant():
    (note,) = check_layer(Stores(np.arange(12).reshape(3, 4)), X).notes
    assert note.startswith("W has a gradient, but holds integers, and was taken as a constant")


def test_table_of_integers_without_a_gradient_is_no_matter():
    class Picks(Stores):
        def __init__(self):
            super().__init__(W)
            self.order = np.array([1, 0])

        def forward(self, x):
            return super().forward(x[self.order])

        def backward(self, dy):
            return super().backward(dy)[self.order]

    assert check_layer(Picks(), X[:2]).notes == ()


def test_loss_whose_backward_takes_nothing_is_refused():
    class Loss:
        def forward(self, y):
            self.y = y
            return (y**2).sum()

        def backward(self):
            return 2 * self.y

    for ask in (lambda: check_layer(Loss(), X), lambda: Rule.from_layer(Loss(), (X,))):
        with pytest.raises(UsageError, match=r"backward\(\) cannot be called with grad_output"):
            ask()


@pytest.mark.parametrize("which", ["forward", "backward"])
def test_what_a_step_raises_is_said_where_no_gradient_was_found(which):
    def broken(*arguments):
        raise KeyError("mask")

    layer = Stores(W)
    setattr(layer, which, broken)
    with pytest.raises(UsageError, match=f"{which} raised KeyError: 'mask'; no gradient of W was found"):
        check_layer(layer, X)


class Named(Stack):
    def __init__(self, *layers):
        self.first, self.second = layers
        self.again = {"all": self.layers}

    @property
    def layers(self):
        return [self.first, self.second]


class Tanh:
    """It keeps what it computes, and its gradient, as arrays."""

    def forward(self, x):
        self.out = np.tanh(x)
        self.mask = np.ones_like(x)
        return self.out

    def backward(self, dout):
        self.dout = dout
        return dout * (1 - self.out**2)


class Rows:
    """An affine layer without a bias, whose subclasses keep its weights elsewhere."""

    def __init__(self, factor=1.0):
        self.factor = factor
        self.keep()

    def keep(self):
        self.w = SimpleNamespace(data=W.copy(), grad=None)

    def weight(self):
        return self.w.data

    def store(self, gradient):
        self.w.grad = gradient

    def forward(self, x):
        self.x = x
        return x @ self.weight()

    def backward(self, dy):
        self.store(self.factor * self.x.T @ dy)
        return dy @ self.weight().T


class InLists(Rows):
    def keep(self):
        self.weights, self.dweights = [W.copy()], [np.zeros_like(W)]

    def weight(self):
        return self.weights[0]

    def store(self, gradient):
        self.dweights[0][...] = gradient


class InADict(Rows):
    def keep(self):
        self.all = {"W": W.copy()}

    def weight(self):
        return self.all["W"]

    def store(self, gradient):
        self.all["dW"] = gradient


class InTheClass(Rows):
    W = W.copy()

    def keep(self):
        pass

    def weight(self):
        return self.W

    def store(self, gradient):
        self.dW = gradient


class InTheClassInFloat32(InTheClass):
    W = W.astype(np.float32)


class OfANumber(Rows):
    def keep(self):
        self.slope, self.dslope = 2.0, 0.0

    def weight(self):
        return self.slope * W

    def store(self, gradient):
        self.dslope = np.sum(gradient * W)


class Replaces(InTheClass):
    """Forward puts an equal array in the place of its parameter."""

    def keep(self):
        self.W = W.copy()

    def weight(self):
        self.W = np.clip(self.W, -100, 100)
        return self.W


def affine(factor=1.0):
    return Attributes(W, B, factor)


def square(factor=1.0):
    return Dicts(W @ W.T, X[0], factor)


INSIDE = {
    "attributes": (lambda f: Named(square(), affine(f)), "second.b"),
    "list": (lambda f: Stack(Tanh(), affine(f)), "layers[1].b"),
    "params of a layer inside": (lambda f: Stack(square(f), affine()), "layers[0].params['b']"),
    "network of networks": (lambda f: Stack(Stack(Tanh(), affine(f))), "layers[0].layers[1].b"),
    "data and grad": (Rows, "w.data"),
    "list of arrays": (InLists, "weights[0]"),
    "dict": (InADict, "all['W']"),
    "class": (InTheClass, "W"),
    "class in float32": (InTheClassInFloat32, "W"),
    "number": (OfANumber, "slope"),
    "replaced by forward": (Replaces, "W"),
}


def checked_both_ways(layer, x):
    """Return what the two checks of a layer say, at one point and at several."""
    rule = Rule.from_layer(layer, (x,))
    return report_of(layer, x), verify(rule, raise_exception=False)


@pytest.mark.parametrize("where", INSIDE)
def test_parameter_is_found_wherever_the_layer_holds_it(where):
    make, name = INSIDE[where]
    x = X.astype(np.float32) if "float32" in where else X
    held = W.copy(), InTheClass.W.copy(), InTheClassInFloat32.W.copy()
    for report in checked_both_ways(make(1.0), x):
        assert report.passed
        assert name in [result.name for result in report.inputs]
        assert report.notes == ()
    for report in checked_both_ways(make(5.0), x):
        assert kinds(report) == {(name, "wrong-gradient")}
    assert all(map(np.array_equal, held, (W, InTheClass.W, InTheClassInFloat32.W)))


def test_path_to_a_parameter_can_be_given():
    layer = Stack(Tanh(), affine(5.0))
    report = report_of(layer, params=("layers[1].W", "layers[1].b"))
    assert kinds(report) == {("layers[1].b", "wrong-gradient")}
    assert check_layer(layer, X, params=("layers[1].W",)).passed
    assert check_layer(layer, X, wrt=("x", "layers[1].W")).passed
    with pytest.raises(UsageError, match=r"has no attribute 'layers\[2\].W'; its attributes are layers"):
        check_layer(layer, X, params=("layers[2].W",))


@pytest.mark.parametrize("make", [Tanh, lambda: Stack(Tanh(), Tanh()), lambda: Stack(Tanh(), affine())])
def test_what_a_step_of_training_has_left_is_no_parameter(make):
    layer = make()
    fresh = [result.name for result in check_layer(layer, X).inputs]
    layer.backward(np.ones_like(layer.forward(X)))
    report = check_layer(layer, X)
    assert [result.name for result in report.inputs] == fresh
    assert report.notes == ()


def test_optimiser_and_data_beside_a_network_are_no_parameters():
    network = Stack(square(), affine())
    arrays = [W, B]
    network.optimizer = SimpleNamespace(params=arrays, momentum=[np.zeros_like(a) for a in arrays], lr=0.1)
    network.data, network.losses = X.copy(), [0.5, 0.25]
    assert check_layer(network, X).notes == ()


class Constants:
    """A time step and a grid, named as if each were the other's gradient, and a kernel of the class."""

    kernel = np.eye(3)

    def __init__(self):
        self.t, self.dt = 2.0, 0.1

    def forward(self, x):
        return x @ self.kernel * self.t

    def backward(self, dy):
        return dy @ self.kernel.T * self.t


def test_constants_that_look_like_parameters_pass_and_are_said():
    names = [note.split()[0] for note in check_layer(Constants(), X).notes]
    assert names == ["kernel", "t"]


def test_grid_is_asked_for_and_not_taken_for_a_parameter():
    layer = Constants()
    layer.kernel, layer.dkernel = np.eye(3), 0.5
    with pytest.raises(UsageError, match=r"say what the parameters are: params=\('kernel',\)"):
        check_layer(layer, X)
    check_layer(layer, X, params=())


def test_parameters_inside_whose_gradients_are_returned_are_asked_for():
    class Returned(AllReturned):
        forward = AllReturned.feedforward
        backward = AllReturned.backprop

    class Outer(Stack):
        def backward(self, dy):
            return self.layers[0].backward(dy)[0]

    layer = Outer(Returned(W, B))
    names = r"\('layers\[0\].W', 'layers\[0\].b'\)"
    with pytest.raises(UsageError, match=f"say what the parameters are: params={names}"):
        check_layer(layer, X)
    with pytest.raises(UsageError, match=f"say what the parameters are: params={names}"):
        Rule.from_layer(layer, (X,))
    check_layer(layer, X, params=())


def test_gradient_that_is_never_stored_fails_at_a_layer_inside():
    class Forgets(Stack):
        def backward(self, dy):
            return dy @ self.layers[0].W.T

    layer = Forgets(affine())
    layer.layers[0].dLdW, layer.layers[0].dLdb = np.zeros_like(W), np.zeros_like(B)
    assert {name for name, _ in kinds(report_of(layer))} == {"layers[0].W", "layers[0].b"}


def test_array_with_two_gradients_is_said_to_be_unchecked():
    one, two = (InTheClass() for _ in range(2))
    one.W = two.W = W @ W.T
    (note,) = check_layer(Stack(one, two), X).notes
    assert note.startswith("layers[0].W and layers[1].W are one array with a gradient each")


def test_lists_of_the_same_arrays_are_checked_once():
    class Listed(Attributes):
        def __init__(self, *args):
            super().__init__(*args)
            self.params, self.grads = [self.W, self.b], [np.zeros_like(W), np.zeros_like(B)]

        def backward(self, dLdZ):
            dx = super().backward(dLdZ)
            self.grads[0][...], self.grads[1][...] = self.dLdW, self.dLdb
            return dx

    names = [result.name for result in check_layer(Stack(Listed(W, B)), X).inputs]
    assert names == ["x", "layers[0].params[0]", "layers[0].params[1]"]
    assert report_of(Stack(Listed(W, B, 5.0))).failed


def test_parameters_that_are_copies_are_refused():
    class Copies(Lists):
        def parameters(self):
            return [p.copy() for p in self.params]

    with pytest.raises(UsageError, match="copies of what is used"):
        check_layer(Copies(W, B), X, params="parameters")


def test_inputs_that_forward_does_not_take_are_refused():
    with pytest.raises(UsageError, match=r"forward\(A\) cannot be called with"):
        check_layer(Attributes(W, B), X, X)


def test_what_the_layer_raises_is_told_and_chained():
    class Raises(Dicts):
        def backward(self, dout):
            raise KeyError("cache")

    layer = Raises(W, B)
    with pytest.raises(GradientError, match="backward raised KeyError") as caught:
        check_layer(layer, X)
    assert isinstance(caught.value.__cause__, KeyError)
    assert not hasattr(layer, "cache")


def test_rule_of_a_layer_is_found_where_its_backward_is_written():
    backward = Rule.from_layer(Attributes(W, B), (X,), params=("W", "b")).backward
    assert source_of(backward) == source_of(Attributes.backward)


def test_snippet_is_the_call_that_was_written():
    layer = made("all returned", 2.5)
    report = report_of(layer, **STYLES["all returned"].options)
    assert report.call == (
        "# define first: layer, an AllReturned\n"
        "gradlab.check_layer(layer, x, params=('W', 'b'), forward='feedforward', backward='backprop', rng=0)"
    )
    with pytest.raises(GradientError) as caught:
        exec(report.snippet, {"layer": layer})
    assert caught.value.report == report
