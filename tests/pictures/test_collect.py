"""What is drawn is what both sides say: the numbers behind the pictures, against exact derivatives."""

import copy
import pickle

import numpy as np
import pytest

from gradlab import Rule, gradcheck, verify
from gradlab.pictures.collect import CHANGED, LADDERS
from gradlab.pictures.probes import SIDE

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, 2.0], [-1.0, 0.5], [0.25, 3.0]])
U = np.array([[1.0, -2.0], [0.5, 1.5]])
COEFFICIENTS = np.array([3.0, -1.0, 2.0])


def exact(dy, x, w):
    return dy @ w.T, x.T @ dy


def wrong_row(dy, x, w):
    dx, dw = exact(dy, x, w)
    dw[1] *= 1.5
    return dx, dw


def report(backward=wrong_row, inputs=(X, W), **options):
    return gradcheck(np.matmul, backward, inputs, raise_exception=False, **options)


@pytest.fixture(scope="module")
def wrong():
    return report(grad_output=U)


def of(report, name):
    return next(c for c in report.pictures.comparisons if c.name == name)


def test_claims_are_what_backward_returns_and_slopes_are_those_of_forward(wrong):
    for name, claimed, right in zip(("x1", "x2"), wrong_row(U, X, W), exact(U, X, W), strict=True):
        c = of(wrong, name)
        np.testing.assert_array_equal(c.claimed, claimed.ravel())
        assert (np.abs(c.numeric - right.ravel()) <= c.error_bar).all()
        assert (c.error_bar < 1e-9).all()


def test_wrong_probes_are_the_wrong_entries_of_the_report(wrong):
    result = next(r for r in wrong.inputs if r.name == "x2")
    c = of(wrong, "x2")
    marked = [divmod(int(k), 2) for k in np.flatnonzero(c.wrong)]
    assert marked == list(result.wrong_entries) == [(1, 0), (1, 1)]
    assert not of(wrong, "x1").wrong.any()


def test_relative_difference_is_that_of_the_worst_entry(wrong):
    c, worst = of(wrong, "x2"), wrong.worst
    assert c.labels[c.worst] == f"x2[{', '.join(map(str, worst.index))}]"
    assert c.relative[c.worst] == pytest.approx(worst.error, rel=1e-9)


def test_map_has_every_entry_in_its_place(wrong):
    c = of(wrong, "x2")
    np.testing.assert_array_equal(c.claimed[c.cells], wrong_row(U, X, W)[1])
    assert c.row_labels == ("[0]", "[1]", "[2]")
    assert c.labels[int(c.cells[2, 1])] == "x2[2, 1]"


def test_what_is_wrong_is_drawn_first(wrong):
    assert [c.name for c in wrong.pictures.comparisons] == ["x2", "x1"]


def test_factor_is_told_where_all_wrong_claims_have_one(wrong):
    assert of(wrong, "x2").factor == pytest.approx(1.5)
    uneven = report(lambda dy, x, w: (exact(dy, x, w)[0], exact(dy, x, w)[1] * [1.5, 2.0]))
    assert of(uneven, "x2").factor is None


def test_claim_of_a_wrong_entry_stands_far_above_the_error_and_a_right_one_in_it(wrong):
    for s in wrong.pictures.steps:
        assert s.label in ("x2[1, 0]", "x2[1, 1]")
        assert s.distance > 1e6 * s.error_bar
    right = report(exact).pictures.steps[0]
    assert right.distance <= 2 * right.error_bar


def test_error_falls_with_the_step_until_rounding_takes_over():
    s = gradcheck(np.exp, lambda dy, x: dy, np.array([1.0]), raise_exception=False).pictures.steps[0]
    least = int(np.argmin(s.error))
    assert (np.diff(s.step) < 0).all()
    assert 2 < least < s.error.size - 3
    assert s.error[0] > 1e3 * s.error[least] < s.error[-1]
    assert (np.abs(s.difference - s.value) == s.error).all()
    assert abs(s.value - np.exp(1.0) * s.claim) <= 2 * s.error_bar  # the upstream gradient is the claim


def test_no_more_ladders_than_can_be_read():
    assert len(report(lambda dy, x, w: (dy @ w.T * 2, x.T @ dy * 2)).pictures.steps) == LADDERS


def relu(x):
    return COEFFICIENTS * np.maximum(x, 0)


def kinked(at_zero):
    x = np.array([1.0, 0.0, -2.0])
    backward = lambda dy, x: dy * COEFFICIENTS * np.where(x == 0, at_zero, x > 0)  # noqa: E731
    return gradcheck(relu, backward, x, grad_output=np.ones(3), raise_exception=False)


@pytest.mark.parametrize(("at_zero", "outside"), [(2.0, True), (0.5, False)])
def test_kink_has_the_slopes_of_both_sides(at_zero, outside):
    (kink,) = kinked(at_zero).pictures.kinks
    assert kink.label == "x[1]"
    assert (kink.left, kink.right) == pytest.approx((0.0, -1.0))
    assert kink.claim == -at_zero
    assert kink.wrong is outside
    np.testing.assert_allclose(kink.change, -np.maximum(kink.offset, 0), atol=1e-12)


def test_jacobian_is_beside_the_one_that_backward_claims():
    (pair,) = [p for p in report().pictures.jacobians if p.name == "x2"]
    right = np.einsum("ni,jm->nmij", X, np.eye(2)).reshape(4, 6)
    claimed = right.copy()
    claimed[:, 2:4] *= 1.5
    np.testing.assert_allclose(pair.numeric, right, atol=1e-9)
    np.testing.assert_array_equal(pair.claimed, claimed)
    np.testing.assert_array_equal(pair.wrong, claimed != right)
    assert pair.outputs[2] == "output[1, 0]"
    assert pair.entries[3] == "x2[1, 1]"


def test_large_input_is_drawn_in_blocks_and_the_wrong_ones_are_marked(monkeypatch):
    monkeypatch.setattr("gradlab.pictures.collect._seconds_a_call", lambda point: 1e-5)  # on any machine
    x = np.random.default_rng(0).normal(size=(64, 48))

    def backward(dy, x):
        dx = dy * np.cos(x)
        dx[17, 30:40] = 0
        return dx

    c = of(gradcheck(np.sin, backward, x, raise_exception=False), "x")
    assert c.blocks
    assert c.cells.shape == (SIDE, SIDE)
    expected = np.zeros((SIDE, SIDE), dtype=bool)
    expected[17 // 4, 30 // 3 : 39 // 3 + 1] = True
    np.testing.assert_array_equal(c.wrong[c.cells], expected)
    assert c.labels[int(c.cells[4, 10])] == "x[16:20, 30:33]"


def test_vector_is_wrapped():
    x = np.random.default_rng(0).normal(size=70)
    c = of(gradcheck(np.sin, lambda dy, x: dy, x, raise_exception=False), "x")
    assert c.cells.shape == (3, 32)
    assert (c.cells[2, 6:] == -1).all()
    assert c.row_labels == ("[0]", "[32]", "[64]")


def test_jvp_is_drawn_where_it_is_what_is_wrong():
    x = np.array([0.5, 1.0])
    wrong = gradcheck(
        np.sin,
        lambda dy, x: dy * np.cos(x),
        x,
        jvp=lambda dx, x: dx * x,
        grad_output=np.array([2.0, 3.0]),
        raise_exception=False,
    )
    c = of(wrong, "x")
    assert c.role == "jvp"
    np.testing.assert_allclose(c.claimed, [2.0, 3.0] * x)
    assert c.wrong.all()


def test_complex_entries_are_drawn_in_both_parts():
    z = np.array([1 + 2j, -0.5j])
    c = of(gradcheck(np.exp, lambda dy, z: dy * np.exp(z), z, raise_exception=False), "x")
    assert c.labels[:2] == ("x[0].real", "x[0].imag")
    assert c.cells.shape == (2, 2)


def test_reference_is_what_claims_are_drawn_against():
    reference = (np.sin, lambda dy, x: dy * np.cos(x))
    x = np.array([0.5, 1.0])
    wrong = gradcheck(
        np.sin, lambda dy, x: dy, x, reference=reference, grad_output=np.ones(2), raise_exception=False
    )
    np.testing.assert_array_equal(of(wrong, "x").numeric, np.cos(x))


def test_nothing_is_evaluated_until_pictures_are_asked_for_and_then_once():
    calls = []

    def forward(x):
        calls.append(1)
        return np.sin(x)

    wrong = gradcheck(forward, lambda dy, x: dy, np.array([0.5]), raise_exception=False)
    assert len(calls) == wrong.forward_calls
    first = wrong.pictures
    taken = len(calls)
    assert taken > wrong.forward_calls
    assert wrong.pictures is first
    assert len(calls) == taken


def test_budget_of_the_check_is_none_of_the_pictures():
    question = np.sin, lambda dy, x: dy, np.array([0.5])
    calls = gradcheck(*question, raise_exception=False).forward_calls
    wrong = gradcheck(*question, max_calls=calls, raise_exception=False)
    assert wrong.failed
    assert of(wrong, "x").wrong.all()


def test_no_picture_is_drawn_of_inputs_that_were_written_to_since():
    x = np.array([0.5, 1.0])
    wrong = gradcheck(np.sin, lambda dy, x: dy * x, x, raise_exception=False)
    x[:] = 3.0
    assert wrong.pictures.notes == (CHANGED,)
    assert not wrong.pictures.comparisons


def test_function_that_raises_leaves_a_sentence():
    def backward(dy, x):
        raise ValueError("no")

    wrong = gradcheck(np.sin, backward, np.array([0.5]), raise_exception=False)
    assert wrong.pictures.notes == ("no pictures: backward raised ValueError: no",)


def test_origin_is_no_part_of_the_data(wrong):
    elsewhere = pickle.loads(pickle.dumps(wrong))
    assert elsewhere == wrong
    assert elsewhere.pictures is None
    assert copy.deepcopy(wrong).pictures is wrong.pictures
    assert "origin" not in wrong.to_dict()
    assert "origin" not in repr(wrong)


def test_verify_draws_its_simplest_failing_point():
    failing = verify(Rule("double", np.sin, lambda dy, x: dy, "(n)"), raise_exception=False)
    c = of(failing, "x")
    assert c.claimed.size == failing.inputs[0].size
    assert c.wrong.sum() == failing.inputs[0].wrong_count
    passing = verify(Rule("sin", np.sin, lambda dy, x: dy * np.cos(x), "(n)"), max_examples=3)
    assert passing.pictures is None
