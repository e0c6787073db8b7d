"""`Rule.from_torch`: a function of PyTorch is verified as any rule is, by the gate too."""

import numpy as np
import pytest

import gradlab
from gradlab import GradientError, Rule
from gradlab.cli import main

pytest.importorskip("torch")

import torch

from gradlab.mutants.torch import functions as planted

torch.set_num_threads(1)  # on a busy machine, threads wait for each other

X = torch.tensor([0.5, -1.2, 2.0], dtype=torch.float64, requires_grad=True)


def test_rule_of_a_function_is_verified():
    assert gradlab.verify(Rule.from_torch(planted.Product, "(n),(n)"), max_examples=5).passed
    wrong = Rule.from_torch(planted.SwappedProduct, (np.array([1.0, 2.0]), np.array([-1.5, 3.0])))
    report = gradlab.verify(wrong, max_examples=1, raise_exception=False)
    assert report.failed
    assert [result.name for result in report.inputs] == ["x", "w"]


def test_snippet_of_a_rule_is_the_call_of_torch():
    wrong = Rule.from_torch(planted.SwappedProduct, (np.array([1.0, 2.0]), np.array([-1.5, 3.0])))
    snippet = gradlab.verify(wrong, max_examples=1, raise_exception=False).snippet
    assert "gradlab.torch.gradcheck(SwappedProduct, (x, w), rng=0)" in snippet
    with pytest.raises(GradientError, match="gradients of x and w are wrong"):
        exec(snippet, {})


def test_rule_of_a_module_has_its_parameters():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh()).double()
    report = gradlab.verify(Rule.from_torch(model, "(n,3)", check_forward_ad=True), max_examples=5)
    assert [result.name for result in report.inputs] == ["input", "_0_weight", "_0_bias"]
    assert report.jvp_calls > 0


@pytest.mark.parametrize(
    "inputs",
    [(X.float(),), lambda rng: (rng.normal(size=3),), gradlab.strategies.inputs("(n)", dtype="float32")],
    ids=["tensors", "function", "strategy"],
)
def test_points_of_a_rule_come_from_anywhere(inputs):
    assert gradlab.verify(Rule.from_torch(planted.Cube, inputs), max_examples=3).passed


def test_rule_takes_trees_kwargs_and_a_seed():
    def drop(p, *, rate):
        return torch.nn.functional.dropout(p["x"], rate)

    rule = Rule.from_torch(drop, ({"x": np.linspace(1, 2, 9)},), kwargs={"rate": 0.4}, seed=0, name="drop")
    report = gradlab.verify(rule, max_examples=5)
    assert (report.name, report.passed) == ("drop", True)


def test_rule_has_a_reference():
    rules = [
        Rule.from_torch(func, (X.float(),), reference=lambda x: x * torch.sigmoid(x))
        for func in (planted.Swish, planted.HalfSwish)
    ]
    right, wrong = (gradlab.verify(rule, max_examples=5, raise_exception=False) for rule in rules)
    assert right.passed
    assert wrong.oracle == "the reference"
    assert wrong.failed


RULES = """
from gradlab import Rule
from gradlab.mutants.torch import functions as planted

right = Rule.from_torch(planted.Cube, "(2)", name="cube")
wrong = Rule.from_torch(planted.LinearCube, "(2)", name="linear")
"""


def test_gate_takes_rules_of_functions(tmp_path, capsys):
    file = tmp_path / "shop.py"
    file.write_text(RULES)
    assert main(["verify", str(file), "--max-examples", "1"]) == 1
    out = capsys.readouterr().out
    assert "FAIL linear" in out
    assert "FAIL cube" not in out
