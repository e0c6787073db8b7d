import functools

import numpy as np
import pytest
from hypothesis.internal.conjecture import providers

from gradlab import UsageError, explain, networks, rules
from gradlab._explain.layout import digits
from gradlab.networks import neuron

X = np.array([[1.0, -2.0]])
OWN = [*rules.RULES, *networks.RULES]


@functools.cache
def explained(name):
    """Give the text of a rule of gradlab's own, of which several tests read a part each."""
    return explain(next(rule for rule in OWN if rule.name == name))


def test_linear_shows_the_block_of_x11_and_its_sum():
    text = explained("linear")
    assert "N = 2, D = 2, M = 3" in text
    assert "dY/dx11 = [w11 w12 w13] = [ 0.7 -1.2  0.4]" in text
    assert "          [  0   0   0]   [   0    0    0]" in text
    assert "(N·M) × (N·D) = 6 × 4" in text
    assert "dL/dx11 = sum(dL/dY ∘ dY/dx11) = 1 × 0.7 + (-0.5) × (-1.2) + 2 × 0.4 = 2.1" in text
    assert "dL/dX = dL/dY · Wᵀ = [[  2.1" in text


def test_linear_compares_three_ways_and_counts_the_cost():
    lines = explained("linear").splitlines()
    agreeing = [line for line in lines if "agree to" in line]
    assert len(agreeing) == 4
    assert all(line.endswith(("agree to 12 or more digits", "agree to all digits")) for line in agreeing)
    assert any(line.split()[:3] == ["1024", "8", "TB"] for line in lines)


def test_neuron_shows_the_chain_the_shared_factor_and_one_step():
    text = explained("neuron")
    _, values = neuron.forward(0.5, -1.2, 1.5, 0.8)
    dw1, dw2, *_ = neuron.backward(1.0, values)
    assert text.count("shared: computed once, used twice") == 1
    assert f"δ      = dL/do · do/da        = {neuron.shared_factor(values):.5g}" in text
    assert f"w1 ← 0.5 − 0.5 × {dw1:.5g} = {0.5 - 0.5 * dw1:.5g}" in text
    assert f"w2 ← -1.2 − 0.5 × ({dw2:.5g}) = {-1.2 - 0.5 * dw2:.5g}" in text
    before, after = next(line for line in text.splitlines() if "before" in line).split(",")
    assert float(after.split()[0]) < float(before.split()[1])


@pytest.mark.parametrize("name", [rule.name for rule in OWN])
def test_every_rule_can_be_explained(name):
    text = explained(name)
    assert name in text
    assert text.isprintable() or all(line.isprintable() for line in text.splitlines())


def test_the_point_shown_is_one_with_a_gradient():
    contraction = explained("language_model").partition("The contraction beside")[2].partition("Forward")[0]
    slopes = [
        float(row.split()[-3]) for row in contraction.splitlines() if row.startswith("  ") and "[" in row
    ]
    assert slopes
    assert any(slopes)


def test_no_number_in_the_source_of_other_modules_decides_which_point_is_shown(monkeypatch):
    def read():
        raise AssertionError("Hypothesis reads the source of what is imported")

    monkeypatch.setattr(providers, "_get_local_constants", read)
    assert "Forward" in explain(rules.softmax.RULE)


def test_a_users_own_rule_is_written_out():
    text = explain(lambda x, w: x * w, lambda dy, x, w: (dy * w, dy * x), (X, 3.0))
    assert "dY/dx[0, 0] = [[3 0]]" in text
    assert "dY/dw = [[ 1 -2]]" in text
    assert "digits that agree" in text


def test_wrong_gradient_is_seen_beside_the_contraction():
    text = explain(lambda x: x**2, lambda dy, x: dy * x, X)
    row = next(line for line in text.splitlines() if line.strip().startswith("x[0, 0] "))
    assert row.split()[-1] == "0"


def test_missing_gradient_is_said():
    text = explain(lambda x, w: x * w, lambda dy, x, w: dy * w, (X, 3.0))
    assert "backward returns 1 gradient; expected 2" in text


def test_point_that_is_too_large():
    with pytest.raises(
        UsageError, match="the Jacobian at this point has 10000 entries; expected at most 600"
    ):
        explain(np.square, lambda dy, x: dy, np.ones(100))


def test_function_that_raises():
    with pytest.raises(UsageError, match="backward raised ZeroDivisionError"):
        explain(np.square, lambda dy, x: 1 / 0, X)


def test_what_is_neither_a_rule_nor_two_functions():
    with pytest.raises(UsageError, match="explain was given the str 'linear'; expected a Rule, or a forward"):
        explain("linear")


def test_digits_that_agree():
    assert digits(1.0, 1.0 + 1e-5) == "5"
    assert digits(1.0, -1.0) == "0"
    assert digits(np.nan, 1.0) == "0"
    assert digits(0.0, 0.0) == "all"


class TestForwardMode:
    def test_product_with_tangents_stands_beside_what_jvp_returns(self):
        text = explain(np.sin, None, np.array([1.0, 2.0]), jvp=lambda t, x: np.cos(x) * t)
        product = text.partition("The product beside what jvp returns:")[2]
        assert [line.split()[-1] for line in product.splitlines() if "[" in line] == ["all", "all"]
        assert "dL/dY" not in text

    def test_wrong_jvp_shows_in_its_row(self):
        def wrong(t, x):
            return np.cos(x) * t * [1, 2]

        text = explain(np.sin, None, np.array([1.0, 2.0]), jvp=wrong)
        product = text.partition("The product beside what jvp returns:")[2]
        assert [line.split()[-1] for line in product.splitlines() if "[" in line] == ["all", "0"]

    def test_rule_with_both_modes_shows_both(self):
        text = explained("softmax")
        assert "The contraction beside what backward returns:" in text
        assert "The product beside what jvp returns:" in text

    def test_linear_multiplies_the_same_jacobian_from_both_sides(self):
        lines = explained("linear").splitlines()
        sums = [line.rpartition(" = ")[2] for line in lines if line.startswith("  sum(dL/d")]
        assert len(sums) == 2
        assert len(set(sums)) == 1
