"""Differences by `torch.vmap`: the same report in fewer calls, or one point at a time."""

import numpy as np
import pytest

from gradlab import UsageError

pytest.importorskip("torch")

import torch
from torch.autograd import Function

from gradlab.mutants.torch import functions as planted
from gradlab.torch import gradcheck, gradgradcheck
from gradlab.torch.batches import OneByOne, in_batches
from gradlab.torch.functions import point_of

torch.set_num_threads(1)  # on a busy machine, threads wait for each other

X = torch.linspace(-1.0, 2.0, 12, dtype=torch.float64)
W = torch.linspace(0.2, 1.4, 20, dtype=torch.float64).view(4, 5)


def looks_at_values(x):
    return x * (2 if x.sum() > -100 else 3)


def writes_to_a_constant(x):
    total = torch.zeros((), dtype=x.dtype)
    for part in x:
        total.add_(part**2)
    return total


def rounded_by_numpy(x):
    return torch.from_numpy(np.round(x.detach().numpy())) * x


class OffInBatches(Function):
    """Right, and its rule for batches is of another function."""

    @staticmethod
    def forward(x):
        return x**2

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, dy):
        return 2 * ctx.saved_tensors[0] * dy

    @staticmethod
    def vmap(info, in_dims, x):
        return x**2 + 1, in_dims[0]


ALONE = {
    "control flow by values": looks_at_values,
    "a constant changed in place": writes_to_a_constant,
    "NumPy": rounded_by_numpy,
    "a Function without a rule for batches": planted.Cube,
    "another rule for batches": OffInBatches,
    "a random draw": torch.nn.functional.dropout,
}

TOGETHER = {
    "an elementwise function": (torch.sin, X),
    "products, that add in another order": (torch.matmul, (X.view(3, 4), W)),
    "several outputs": (lambda x: (x.cumsum(0), x.prod()), X),
    "a module": (torch.nn.LayerNorm(4, dtype=torch.float64), X.view(3, 4)),
    "complex numbers": (torch.exp, torch.complex(X, X.flip(0))),
    "an input changed in place": (lambda x: x.mul_(2).sin(), X),
    "float32": (torch.tanh, X.float()),
}


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@pytest.mark.parametrize("case", TOGETHER)
def test_right_derivative_passes_in_fewer_calls(case, check):
    func, inputs = TOGETHER[case]
    calls = []

    def counting(*args):
        calls.append(None)
        return func(*args)

    made = []
    for vectorized in (True, False):
        assert check(counting, inputs, vectorized=vectorized).passed
        made.append(len(calls))
        calls.clear()
    together, alone = made
    assert together < alone - 10


@pytest.mark.parametrize("wrong", [False, True])
def test_report_is_that_of_single_points(wrong):
    def func(x):
        return x**2 + (x - x.detach()) * torch.arange(12) * 1e-3 * wrong

    one, other = (gradcheck(func, X, vectorized=v, raise_exception=False) for v in (None, False))
    assert one.verdict == other.verdict == ("fail" if wrong else "pass")
    assert one.inputs == other.inputs
    assert one.findings == other.findings


@pytest.mark.parametrize("case", ALONE)
def test_where_vmap_does_not_do_points_are_evaluated_by_themselves(case):
    func = ALONE[case]
    seed = None if case != "a random draw" else 0
    assert gradcheck(func, X, seed=seed).passed
    if seed is None:
        with pytest.raises(UsageError, match=r"under torch\.vmap"):
            gradcheck(func, X, vectorized=True)


def test_draws_from_a_seed_are_those_of_single_points():
    batched = in_batches(point_of(torch.nn.functional.dropout, X, seed=0, name=None), required=True)
    outputs = batched(**{"input": np.tile(X.numpy(), (9, 1))})
    assert (outputs == outputs[0]).all()


def test_batch_in_which_a_point_raises_is_taken_one_by_one():
    batched = in_batches(point_of(torch.linalg.cholesky, torch.eye(2).double(), seed=None, name=None))
    stacked = np.tile(np.eye(2), (9, 1, 1))
    assert batched(**{"input[0]": stacked}).shape == (9, 2, 2)
    stacked[3] *= -1
    with pytest.raises(OneByOne):
        batched(**{"input[0]": stacked})
    assert batched(**{"input[0]": -stacked[3:4].repeat(9, axis=0)}).shape == (9, 2, 2)


def test_few_points_are_no_matter_for_a_batch():
    batched = in_batches(point_of(torch.sin, X, seed=None, name=None))
    with pytest.raises(OneByOne):
        batched(**{"input[0]": X.numpy()[np.newaxis]})


def test_planted_defect_is_caught_in_batches():
    def half(x):
        return x.sin() - (x.sin() - x.sin().detach()) / 2

    report = gradcheck(half, X, vectorized=True, raise_exception=False)
    assert report.inputs[0].wrong_count == X.numel()


def test_option_is_true_false_or_none():
    with pytest.raises(UsageError, match="vectorized is the int 3; expected True, False or None"):
        gradcheck(torch.sin, X, vectorized=3)
