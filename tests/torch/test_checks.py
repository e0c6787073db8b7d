"""`gradlab.torch`: right derivatives pass, planted defects are caught and named, the calls are torch's."""

import doctest
import pickle
import sys
from pathlib import Path

import pytest

import gradlab
from gradlab import GradientError, UsageError
from gradlab.cli import main

pytest.importorskip("torch")

import torch
from torch.autograd import Function
from torch.autograd.gradcheck import GradcheckError

import gradlab.torch.checks
from gradlab.mutants.torch import PLANTED
from gradlab.mutants.torch import functions as planted
from gradlab.torch import arrays, beside, derivatives, functions, gradcheck, gradgradcheck, rules

torch.set_num_threads(1)  # on a busy machine, threads wait for each other

X = torch.tensor([0.5, -1.2, 2.0], dtype=torch.float64, requires_grad=True)
W = torch.tensor([[0.3, -0.7], [1.1, 0.4], [-0.2, 0.9]], dtype=torch.float64)
JAGGED = torch.nested.nested_tensor([torch.ones(3), torch.ones(1)], layout=torch.jagged)
Z = torch.tensor([0.5 + 1j, -1.2 - 0.3j], dtype=torch.complex128)


class Doubled(Function):
    """Changes its input, and says so."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, dy):
        return 2 * dy


class HalfDoubled(Doubled):
    @staticmethod
    def backward(ctx, dy):
        return dy


class SquareAndFloor(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        floor = x.floor()
        ctx.mark_non_differentiable(floor)
        return x**2, floor

    @staticmethod
    def backward(ctx, dy, _):
        return 2 * ctx.saved_tensors[0] * dy


class WithoutCtx(Function):
    @staticmethod
    def forward(x, scale):
        return x * scale

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx, dy):
        return dy * ctx.scale, None


class ConjugatedSquare(planted.Square):
    """Right in reverse mode; in forward mode the conjugate is one too many."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        ctx.save_for_forward(z)
        return z * z

    @staticmethod
    def jvp(ctx, z_dot):
        return 2 * ctx.saved_tensors[0].conj() * z_dot


@torch.library.custom_op("gradlab_tests::cube", mutates_args=())
def cube(x: torch.Tensor, scale: float) -> torch.Tensor:
    return scale * x**3


cube.register_autograd(
    lambda ctx, dy: (3 * ctx.scale * ctx.x**2 * dy, None),
    setup_context=lambda ctx, inputs, output: vars(ctx).update(x=inputs[0], scale=inputs[1]),
)


def affine(p, x, how):
    assert how == "tanh"
    return {"y": torch.tanh(x @ p["w"] + p["b"][0]), "count": 3}


def with_kwargs(x, *, scale, power):
    return scale * x**power


def tree():
    return {"w": W, "b": [torch.zeros(2, dtype=torch.float64)]}


RIGHT = {
    "a function": lambda: gradcheck(torch.sin, X),
    "of a number": lambda: gradcheck(torch.sin, torch.tensor(0.5)),
    "a Function without ctx": lambda: gradcheck(WithoutCtx, (X, 2.0)),
    "an input changed in place and declared": lambda: gradcheck(Doubled, X),
    "an input changed in place by torch": lambda: gradcheck(lambda x: x.mul_(2).sin_(), X),
    "an output that is declared not differentiable": lambda: gradcheck(SquareAndFloor, X),
    "no output that requires a gradient": lambda: gradcheck(lambda x: torch.sign(x.detach()), X),
    "trees and constants": lambda: gradcheck(affine, (tree(), torch.ones(4, 3).double(), "tanh")),
    "kwargs": lambda: gradcheck(with_kwargs, X, kwargs={"scale": X.detach() + 3, "power": 2}),
    "an operator": lambda: gradcheck(torch.ops.gradlab_tests.cube, (X, 2.0)),
    "a custom operator": lambda: gradcheck(cube, (X, 2.0)),
    "a module in training": lambda: gradcheck(
        torch.nn.BatchNorm1d(3), torch.linspace(-1, 2, 15).view(5, 3) ** 2
    ),
    "sparse gradients": lambda: gradcheck(torch.nn.Embedding(4, 2, sparse=True), torch.tensor([1, 2, 1])),
    "a kink": lambda: gradcheck(torch.relu, torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64)),
    "complex, in forward mode too": lambda: gradcheck(
        lambda z: (z**2 * z.conj(), z.abs()), Z, check_forward_ad=True
    ),
    "complex64": lambda: gradcheck(torch.sin, Z.to(torch.complex64)),
    "float16": lambda: gradcheck(lambda x: x * torch.tanh(x), X.half()),
    "bfloat16": lambda: gradcheck(lambda x: x * torch.tanh(x), X.bfloat16()),
    "memory that is not contiguous": lambda: gradcheck(torch.tanh, W.T),
    "an expanded tensor": lambda: gradcheck(torch.tanh, torch.ones(1).double().expand(3)),
    "second order": lambda: gradgradcheck(planted.Product, (X, X), check_fwd_over_rev=False),
    "second order, forward over reverse": lambda: gradgradcheck(torch.tanh, X, X, check_fwd_over_rev=True),
    "second order, without any upstream gradient": lambda: gradgradcheck(torch.tanh, X, torch.zeros(3)),
    "second order, complex": lambda: gradgradcheck(lambda z: z**2 * z.conj(), Z, check_batched_grad=True),
    "forward mode alone": lambda: gradcheck(planted.Cube, X, check_backward_ad=False, check_forward_ad=True),
    "a reference": lambda: gradcheck(planted.Swish, X.bfloat16(), reference=lambda x: x * torch.sigmoid(x)),
    "dropout with a seed": lambda: gradcheck(torch.nn.Dropout(), torch.ones(9), seed=0),
}

# Each with what has to be named.
WRONG = {
    "declared in place": ("x[", lambda: gradcheck(HalfDoubled, X)),
    "a detached output": ("x[", lambda: gradcheck(lambda x: 2 * x.detach(), X)),
    "one leaf of a tree": (
        "p['b'][0][1]",
        lambda: gradcheck(
            lambda p, x: (
                x @ p["w"] + p["b"][0] * torch.tensor([1, 0]) + p["b"][0].detach() * torch.tensor([0, 1])
            ),
            (tree(), X.detach()),
        ),
    ),
    "complex, in forward mode": ("jvp", lambda: gradcheck(ConjugatedSquare, Z)),
    "a reference of another function": (
        "not what the reference computes",
        lambda: gradcheck(torch.sin, X, reference=torch.cos),
    ),
    "a gradient that differs from the reference's": (
        "x[",
        lambda: gradcheck(planted.HalfSwish, X.float(), reference=lambda x: x * torch.sigmoid(x)),
    ),
    "forward mode alone": (
        "tangent",
        lambda: gradcheck(planted.OffCube, X, check_backward_ad=False, check_forward_ad=True),
    ),
    "bfloat16": ("x[", lambda: gradcheck(planted.LinearCube, X.bfloat16())),
    "dropout without a seed": ("seed=0", lambda: gradcheck(torch.nn.Dropout(), torch.ones(9))),
}


def test_what_logarithms_leave_of_second_derivatives_that_are_zero_is_rounding():
    generator = torch.Generator().manual_seed(0)
    x = 5 * torch.randn(5, 5, 5, generator=generator, dtype=torch.float64)
    x[0] = 1e4  # torch computes with logarithms of the upstream gradient beside it
    assert gradgradcheck(torch.logcumsumexp, (x, 0), check_fwd_over_rev=False).passed


@pytest.mark.parametrize("case", RIGHT)
def test_right_derivative_passes(case):
    assert RIGHT[case]().passed


@pytest.mark.parametrize("case", WRONG)
def test_defect_is_caught_and_named(case):
    named, check = WRONG[case]
    with pytest.raises(GradientError) as caught:
        check()
    assert caught.value.report.failed
    assert named in str(caught.value)


@pytest.mark.parametrize("defect", PLANTED, ids=lambda defect: defect.name)
def test_planted_defect_is_caught_and_named(defect):
    with pytest.raises(GradientError) as caught:
        defect.ask(gradlab.torch, defect.wrong)
    assert caught.value.report.failed
    assert defect.named in str(caught.value)


@pytest.mark.parametrize("defect", PLANTED, ids=lambda defect: defect.name)
def test_right_derivative_beside_a_planted_defect_passes(defect):
    assert defect.ask(gradlab.torch, defect.right)


def test_torch_passes_planted_defects_of_its_own_functions():
    functions = {defect.name: defect.wrong for defect in PLANTED}
    for name in ("writes to dy", "dy by its pointer", "x by its pointer", "wrong where asked for alone"):
        func, inputs = functions[name]
        assert torch.autograd.gradcheck(func.apply, inputs)


def test_catalogue_is_shown_by_the_command(capsys):
    assert main(["mutants", "-k", "torch: writes to"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["torch", "1", "1", "0"]


# Each with an option that leaves out what the planted defect breaks.
LEFT_OUT = {
    "check_undefined_grad": planted.BothOrNothing,
    "check_partial_grad": planted.ReusingProduct,
    "check_memory_layout": planted.StridedCube,
    "check_forward_ad": planted.OffCube,
    "check_batched_grad": planted.LoopCube,
}


@pytest.mark.parametrize("option", LEFT_OUT)
def test_what_is_left_out_is_not_looked_at(option):
    func = LEFT_OUT[option]
    point = (X, X) if issubclass(func, planted.Product) else (X,)
    assert gradcheck(func, point, **{option: False}).passed
    assert gradcheck(func, point, **{option: True}, raise_exception=False).failed


def test_forward_mode_is_demanded_or_skipped():
    assert gradcheck(planted.Product, (X, X)).jvp_calls == 1
    with pytest.raises(NotImplementedError):
        gradcheck(planted.Product, (X, X), check_forward_ad=True)


def test_exception_of_a_jvp_is_not_taken_for_its_absence():
    class Broken(planted.Cube):
        @staticmethod
        def jvp(ctx, x_dot):
            raise KeyError("no table")

    with pytest.raises(KeyError, match="no table"):
        gradcheck(Broken, X)


def test_exception_of_the_function_passes_through():
    with pytest.raises(ZeroDivisionError):
        gradcheck(lambda x: 1 / 0, X)


def test_parameters_are_inputs_under_their_own_names():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1, bias=False))
    report = gradcheck(model, torch.ones(4, 3))
    assert [result.name for result in report.inputs] == ["input", "0.weight", "0.bias", "2.weight"]


def test_parameter_that_requires_no_gradient_is_a_constant():
    layer = torch.nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    assert [result.name for result in gradcheck(layer, torch.ones(4, 3)).inputs] == ["input", "weight"]


def test_only_what_requires_a_gradient_is_differentiated():
    report = gradcheck(torch.mul, (X, X.detach()))
    assert len(report.inputs) == 1


def test_module_is_as_it_was():
    layer = torch.nn.BatchNorm1d(3)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    gradcheck(layer, torch.linspace(-1, 2, 15).view(5, 3) ** 2)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert layer.weight.grad is None


def test_tensors_and_generators_are_as_they_were():
    x, state = X.detach().clone(), torch.get_rng_state()
    gradcheck(torch.nn.Dropout(), x, seed=3)
    gradcheck(lambda x: x.mul_(2), x)
    assert torch.equal(x, X.detach())
    assert torch.equal(torch.get_rng_state(), state)


def test_float32_is_compared_in_float64_with_its_constants():
    report = gradcheck(torch.nn.functional.linear, (X.float(), W.T.float()))
    assert report.inputs[0].resolution < 1e-3
    module = torch.nn.BatchNorm1d(3).eval()  # whose buffers are float32
    assert gradcheck(module, torch.ones(2, 3)).inputs[0].resolution < 1e-3


def test_function_that_is_another_in_float64_is_compared_in_its_own_precision():
    report = gradcheck(lambda x: x if x.dtype == torch.float64 else 2 * x, X.float())
    assert report.notes == ("in float64 func returns other numbers: compared in its own precision",)


def test_output_without_a_gradient_is_noted():
    assert gradcheck(SquareAndFloor, X).notes == ("output 1 requires no gradient, and is not compared",)


def test_fast_mode_takes_few_directions():
    x = torch.linspace(1, 2, 200, dtype=torch.float64)
    assert gradcheck(torch.sin, x, fast_mode=True).forward_calls < 50 < gradcheck(torch.sin, x).forward_calls


def test_max_calls_is_a_budget():
    x = torch.linspace(1, 2, 50, dtype=torch.float64)
    assert gradcheck(torch.sin, x, max_calls=20).forward_calls < 30 < gradcheck(torch.sin, x).forward_calls


def test_upstream_gradient_is_given():
    def two(x):
        return x.sin(), x.detach() * 2 + (x - x.detach()) * 3  # the second is wrong

    ones, zeros = torch.ones(3).double(), torch.zeros(3).double()
    assert gradcheck(two, X, grad_outputs=(ones, zeros), check_undefined_grad=False).passed
    assert gradcheck(two, X, grad_outputs=(ones, ones), raise_exception=False).failed


class FloorAndSquare(Function):
    """The output that has no gradient comes first; the other's is wrong where the upstream is negative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        floor = x.floor()
        ctx.mark_non_differentiable(floor)
        return floor, x**2

    @staticmethod
    def backward(ctx, _, dy):
        return 2 * ctx.saved_tensors[0] * dy.abs()


class TestUpstreamBesideOutputsWithoutGradient:
    UP, DOWN = torch.ones(3).double(), -torch.ones(3).double()

    @pytest.mark.parametrize(
        ("grad_outputs", "right"),
        [((DOWN, UP), True), ((UP, DOWN), False), ((None, UP), True), (UP, True), ((DOWN,), False)],
    )
    def test_there_is_one_for_each_output_or_for_each_that_is_compared(self, grad_outputs, right):
        options = {"check_undefined_grad": False, "check_forward_ad": False}
        report = gradcheck(FloorAndSquare, X, grad_outputs=grad_outputs, raise_exception=False, **options)
        assert ("wrong-gradient" in report.kinds) is not right

    def test_gradients_are_differentiated_at_that_of_their_output(self):
        def two(x):
            return x.detach().floor(), x**3

        assert gradgradcheck(two, X, (self.DOWN, self.UP)).inputs[1].name == "grad_output"

    @pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
    @pytest.mark.parametrize(
        ("grad_outputs", "count"),
        [((), 0), ((UP, UP, UP), 3), ((UP, None), 0), ("ones", 0)],
        ids=["none", "three", "none for what is compared", "no tensor"],
    )
    def test_any_other_number_is_refused(self, check, grad_outputs, count):
        expected = "expected 2, one for each output, or 1, one for each that requires a gradient"
        with pytest.raises(UsageError, match=f"grad_outputs has {count} upstream .*; {expected}"):
            check(FloorAndSquare, X, grad_outputs=grad_outputs)

    def test_integers_among_the_outputs_have_none(self):
        m = torch.tensor([[1.0, 3.0], [4.0, 2.0]]).double()
        for given in (torch.ones(2).double(), (torch.ones(2).double(), None)):
            assert gradcheck(lambda x: tuple(x.max(dim=1)), m, grad_outputs=given)


def test_tolerances_are_those_of_the_caller():
    class Off(planted.Cube):
        @staticmethod
        def backward(ctx, dy):
            return planted.Cube.backward(ctx, dy) * 1.0001

    assert gradcheck(Off, X, raise_exception=False, rtol=0).failed
    assert gradcheck(Off, X, rtol=1e-2, check_forward_ad=False).passed


def test_steps_are_ignored_with_a_note():
    report = gradcheck(torch.sin, X, eps=1e-6, nondet_tol=1e-3, masked=True, check_grad_dtypes=False)
    assert [note.partition(" is ignored")[0] for note in report.notes] == ["eps", "nondet_tol", "masked"]


def test_call_of_torch_is_taken_as_it_is():
    options = {
        "eps": 1e-6,
        "atol": 1e-4,
        "raise_exception": False,
        "fast_mode": True,
        "check_batched_grad": True,
    }
    assert torch.autograd.gradcheck(torch.sin, (X,), **options)
    assert gradcheck(torch.sin, (X,), **options)


def test_same_call_gives_an_equal_report():
    assert gradcheck(planted.Product, (X, X), rng=4) == gradcheck(planted.Product, (X, X), rng=4)


def test_snippet_is_the_call():
    x = X.detach().bfloat16().requires_grad_()
    with pytest.raises(GradientError) as caught:
        gradcheck(planted.LinearCube, (x,), check_undefined_grad=False, name="cube")
    report = caught.value.report
    assert report.name == "cube"
    assert "gradlab.torch.gradcheck(LinearCube, (x,), " in report.snippet
    assert "check_undefined_grad=False" in report.snippet
    with pytest.raises(GradientError) as again:
        exec(report.snippet, {})
    assert again.value.report == report


@pytest.mark.parametrize(
    ("check", "wrong"), [(gradcheck, planted.LinearCube), (gradgradcheck, planted.OffTwiceCube)]
)
def test_failure_is_an_error_of_torch_too(check, wrong):
    with pytest.raises(GradcheckError) as caught:
        check(wrong, X)
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, GradientError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.report == caught.value.report


def test_sparse_constant_beside_what_requires_a_gradient_is_taken():
    assert gradcheck(
        torch.sparse.mm, (torch.eye(3, dtype=X.dtype).to_sparse(), torch.ones(3, 2).double().requires_grad_())
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradcheck(None, X), "func is None"),
        (lambda: gradcheck(torch.relu, torch.tensor([1, 2])), "nothing to differentiate"),
        (lambda: gradcheck(torch.sin, torch.eye(2).to_sparse().requires_grad_()), "layout torch.sparse_coo"),
        (
            lambda: gradcheck(lambda s: s.to_dense(), torch.eye(2).to_sparse()),
            "input s is .* torch.sparse_coo",
        ),
        (
            lambda: gradcheck(lambda x: x.to_sparse(), X),
            "output is a tensor of layout .*: return its .to_dense",
        ),
        (
            lambda: gradcheck(torch.sin, torch.ones(2, device="meta")),
            "input .* of the device meta, which has",
        ),
        (lambda: gradcheck(lambda x: x.to("meta"), X), "output is a tensor of the device meta"),
        (lambda: gradcheck(torch.nn.Linear(2, 2, device="meta"), torch.ones(2)), "input weight is .* meta"),
        (lambda: gradcheck(torch.sin, JAGGED), "is a nested tensor"),
        (lambda: gradcheck(lambda x: x > 0, X), "no floating-point tensor"),
        (lambda: gradcheck(torch.sin, X, check_backward_ad=False), "neither reverse nor forward mode"),
        (lambda: gradcheck(torch.sin, X, rtol=2), "rtol is"),
    ],
)
def test_mistake_in_the_call_is_named(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_missing_framework_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "gradlab.torch")
    with pytest.raises(ModuleNotFoundError, match=r"gradlab-verify\[torch\]"):
        __import__("gradlab.torch")


@pytest.mark.parametrize(
    "module", [gradlab.torch.checks, arrays, derivatives, functions, beside, rules, planted]
)
def test_docstrings(module):
    assert (
        doctest.testmod(module, optionflags=doctest.NUMBER if hasattr(doctest, "NUMBER") else 0).failed == 0
    )


def test_what_the_page_shows_is_what_one_gets():
    page = Path(gradlab.__file__).parent / "docs" / "torch.md"
    failed, attempted = doctest.testfile(str(page), module_relative=False)
    assert attempted > 0
    assert failed == 0


def test_second_derivatives_of_what_is_constant_but_for_rounding_are_not_wrong():
    # The correlation of two numbers with two others is 1 or -1.
    x = [[-4.826984902407649, -7.582430495695129], [-0.6046891126565539, -1.5411692216498662]]
    x = torch.tensor([*x, [-1.9719097652168658, -4.146041530864057]], dtype=torch.float64, requires_grad=True)
    assert not gradgradcheck(torch.corrcoef, (x,), raise_exception=False).failed
