"""Kinks: a subgradient passes, anything else fails, at the point and beside it."""

from functools import partial

import numpy as np
import pytest
from judging import judged, states

from gradlab import Verdict, gradcheck

ZEROS = np.array([0.0, 0.0, 1.5, -0.75, 0.0])
TIED = np.array([2.0, 2.0, 1.0])


def relu(x):
    return np.maximum(x, 0)


def verdict(forward, backward, x, **options):
    return gradcheck(forward, backward, x, raise_exception=False, **options).verdict


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_any_slope_between_both_sides_passes(at_zero):
    report = gradcheck(relu, lambda dy, x: dy * np.where(x == 0, at_zero, x > 0), ZEROS)
    assert at_zero == 0.5 or "forward has a kink at x[0] and 2 more" in report.notes[0]


@pytest.mark.parametrize("at_zero", [2.0, -1.0, 1.01])
def test_slope_outside_fails(at_zero):
    assert verdict(relu, lambda dy, x: dy * np.where(x == 0, at_zero, x > 0), ZEROS) is Verdict.FAIL


def test_defect_elsewhere_is_not_hidden_by_a_kink():
    assert verdict(relu, lambda dy, x: dy * (x > 0) * np.where(x == 1.5, 1.01, 1), ZEROS) is Verdict.FAIL


@pytest.mark.parametrize("gradient", [[0.5, 0.5, 0], [1, 0, 0], [0, 1, 0], [0.25, 0.75, 0]])
def test_subgradient_of_a_tied_maximum_passes(gradient):
    assert verdict(lambda x: x.max(), lambda dy, x: dy * np.array(gradient), TIED) is Verdict.PASS


@pytest.mark.parametrize("gradient", [[1, 1, 0], [0, 0, 0], [0.5, 0.5, 0.5], [-1, 2, 0]])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_no_subgradient_of_a_tied_maximum_fails(gradient, seed):
    report = gradcheck(
        lambda x: x.max(), lambda dy, x: dy * np.array(gradient, float), TIED, rng=seed, raise_exception=False
    )
    assert report.failed


@pytest.mark.parametrize("seed", range(5))
def test_independent_kinks_of_both_signs_in_one_number_pass(seed):
    rng = np.random.default_rng(seed)
    c, choice = rng.normal(size=12), rng.integers(0, 2, 12)
    x = np.concatenate([np.zeros(9), rng.normal(size=3)])
    report = gradcheck(
        lambda x: c @ relu(x),
        lambda dy, x: dy * c * np.where(x == 0, choice, x > 0),
        x,
        raise_exception=False,
    )
    assert report.passed


@pytest.mark.parametrize(("of_x", "of_z", "expected"), [(1, 1, "pass"), (-1, 0, "pass"), (1.5, 1, "fail")])
def test_kinks_that_cancel_along_a_line_are_kinks_nevertheless(of_x, of_z, expected):
    x, z = np.zeros((2, 4))
    report = gradcheck(
        lambda x, z: np.abs(x).sum() - np.abs(z).sum(),
        lambda dy, x, z: (dy * np.full(4, of_x), -dy * np.full(4, of_z)),
        (x, z),
        raise_exception=False,
    )
    assert report.verdict == expected


def test_kink_beside_the_point_is_not_crossed():
    x = np.array([1e-7, -1e-7, 1.0, -2.0])
    assert verdict(relu, lambda dy, x: dy * (x > 0), x) is Verdict.PASS
    assert verdict(relu, lambda dy, x: dy * (x > 1e-6), x) is not Verdict.PASS


def test_twenty_thousand_kinks_cost_no_more_calls():
    x = np.random.default_rng(0).normal(size=20_000)
    report = gradcheck(relu, lambda dy, x: dy * (x > 0), x)
    assert report.forward_calls <= 64
    assert verdict(relu, lambda dy, x: dy * (x > 0.001), x) is Verdict.FAIL


@pytest.mark.parametrize("wrong", [1.02, 1.2])
def test_defect_in_a_large_input_is_not_hidden_by_kinks_in_other_outputs(wrong):
    x = np.random.default_rng(0).normal(size=2000)
    x[:10] = 0
    steepest = np.where(np.arange(x.size) == x.argmax(), wrong, 1)
    right = gradcheck(relu, lambda dy, x: dy * (x >= 0), x)
    assert right.inputs[0].resolution < 1e-3
    assert verdict(relu, lambda dy, x: dy * (x >= 0) * steepest, x) == "fail"


def loss(x):
    return (relu(x) + 0.1 * x).sum() ** 2


def loss_backward(dy, x, *, above=0.0, largest=1.0):
    slope = (x > above) + 0.1
    slope[np.argmax(x)] *= largest
    return 2 * dy * (relu(x) + 0.1 * x).sum() * slope


def with_zeros(count):
    x = np.random.default_rng(0).normal(size=20_000)
    x[:count] = 0
    return x


def test_thousands_of_entries_at_a_kink_hide_no_other():
    report = gradcheck(loss, loss_backward, with_zeros(5000))
    assert "5000 entries of x, at a kink, were compared only all together" in report.notes
    assert report.forward_calls <= 64
    assert verdict(loss, partial(loss_backward, largest=-1.0), with_zeros(5000)) == "fail"


def test_entries_at_a_kink_that_backward_does_not_show_leave_the_others_open():
    assert verdict(loss, partial(loss_backward, above=1e-3), with_zeros(5000)) != "pass"
    assert verdict(loss, partial(loss_backward, above=1e-3), with_zeros(0)) == "fail"


def test_where_all_of_many_entries_are_at_a_kink_nothing_is_seen():
    report = gradcheck(
        lambda x: relu(x).sum(), lambda dy, x: dy * (x > 0), np.zeros(2000), raise_exception=False
    )
    assert report.verdict == "inconclusive"
    assert report.reason == "whatever the gradient of x is, a kink hides it"


def test_infinite_slope_is_not_called_wrong():
    assert (
        verdict(
            np.sqrt, lambda dy, x: dy / (2 * np.sqrt(np.where(x > 0, x, 1))) * (x > 0), np.array([0.0, 1.0])
        )
        is not Verdict.FAIL
    )


@pytest.mark.parametrize("seed", [0, 34])  # at the second, kinks were once taken for noise, and a defect seen
def test_thousands_of_kinks_in_one_number_are_no_noise(seed):
    rng = np.random.default_rng(seed)
    point = rng.normal(size=(40, 40)), rng.normal(size=(40, 60)) / 10, rng.normal(size=(60, 5)) / 14

    def loss(x, w, v):
        return (relu(x @ w) @ v).sum() ** 2

    def backward(dy, x, w, v, *, leak=0.0):
        z = x @ w
        dh = 2 * dy * (relu(z) @ v).sum()
        dz = dh * v.sum(axis=1) * ((z > 0) + leak)
        return dz @ w.T, x.T @ dz, dh * relu(z).sum(axis=0)[:, np.newaxis] * np.ones(v.shape)

    assert verdict(loss, backward, point, rng=seed) == "pass"
    assert verdict(loss, partial(backward, leak=0.1), point, rng=seed) == "fail"


def clip(x):
    return np.clip(x, -1, 1)


@pytest.mark.parametrize("seed", range(4))
def test_entries_at_a_kink_and_just_beside_it_pass(seed):
    x = np.array([1.0, 1 + 1e-7, 1 - 1e-7, -1 + 1e-7, 1.7, -2.3, 3.1, 0.6, -0.6, -0.7, -0.25, 0.2])
    assert verdict(clip, lambda dy, x: dy * (np.abs(x) < 1), x, rng=seed) == "pass"
    assert verdict(clip, lambda dy, x: dy * (np.abs(x) < 1 - 1e-6), x, rng=seed) == "fail"


@pytest.mark.parametrize("seed", range(4))
def test_what_is_nearly_tied_is_not_tied(seed):
    a = np.array([-1.7678, -0.4374, 1.09784, 0.55026])
    b = a + np.array([0.0, 0.0, 1e-7, -1e-7])

    def backward(dy, a, b, *, tolerance=0.0):
        tied = np.abs(a - b) <= tolerance
        return dy * np.where(tied, 0.5, a > b), dy * np.where(tied, 0.5, b > a)

    assert verdict(np.maximum, backward, (a, b), rng=seed) == "pass"
    assert verdict(np.maximum, partial(backward, tolerance=1e-6), (a, b), rng=seed) == "fail"


def sort_backward(dy, x):
    gradient = np.zeros_like(x)
    gradient[np.argsort(x, kind="stable")] = dy
    return gradient


@pytest.mark.parametrize("seed", range(8))
def test_order_of_equal_numbers_is_free_but_their_sum_is_known(seed):
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=8))  # three to five of them are equal
    assert verdict(np.sort, sort_backward, x, rng=seed) == "pass"

    def one_entry_zero(dy, x):
        gradient = sort_backward(dy, x)
        gradient[seed % x.size] = 0
        return gradient

    assert verdict(np.sort, one_entry_zero, x, rng=seed) == "fail"


def test_order_of_numbers_that_are_all_equal_is_free():
    assert verdict(np.sort, sort_backward, np.ones(8)) == "pass"


@pytest.mark.parametrize("seed", range(5))
def test_shares_of_numbers_equal_in_two_inputs_add_up_to_the_whole(seed):
    a = np.array([0.0, 2.0, -3.0, 0.5])
    b = np.array([0.0, 2.0, -3.0, 1.5])

    def backward(dy, a, b, *, share):
        tied = a == b
        return dy * np.where(tied, share, a > b), dy * np.where(tied, 0.4, b > a)

    assert verdict(np.maximum, partial(backward, share=0.6), (a, b), rng=seed) == "pass"
    assert verdict(np.maximum, partial(backward, share=0.59), (a, b), rng=seed) == "fail"


@pytest.mark.parametrize("distance", [1e-5, 1e-6, 1e-7, 1e-8])
def test_kink_beside_the_point_and_outputs_of_other_magnitudes_pass(distance):
    x, k = np.array([0.7, 1.3]), np.array([0.7 * (1 + distance), 50.0])

    def forward(x):
        return np.abs(x - k) * np.exp(x)

    def backward(dy, x, *, side=1.0):
        return -dy * np.exp(x) * (np.array([side, 1.0]) + x - k)

    assert verdict(forward, backward, x) == "pass"
    assert verdict(forward, partial(backward, side=-1.0), x) == "fail"


@pytest.mark.parametrize("seed", range(6))
def test_stairs_on_a_slope_are_noise_and_not_kinks(seed):
    x = np.random.default_rng(seed).normal(size=3)

    def forward(x):
        return x + 0.3 * np.round(x * x, 6)

    assert verdict(forward, lambda dy, x: dy * (1 + 0.6 * x), x) != "fail"
    assert verdict(forward, lambda dy, x: dy * np.ones(3), x) == "fail"


@pytest.mark.parametrize("bend", [lambda t: np.sin(300 * t) / 300, lambda t: np.expm1(300 * t) / 300])
def test_kink_that_is_small_beside_curvature_is_one_nevertheless(bend):
    def forward(x):
        return x + bend(x - 1) + 0.01 * np.abs(x - 1)

    def state(slope):
        _, rows = judged(forward, lambda dy, x: dy * slope, np.ones(1))
        return states(rows)[0]

    assert [state(slope) for slope in (2.0, 2.008, 1.992)] == ["right"] * 3
    assert [state(slope) for slope in (2.03, 1.97)] == ["wrong"] * 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slopes_at_a_kink_are_told_behind_single_precision(dtype):
    def forward(x):
        return (np.abs(x.astype(np.float32)) + np.float32(3)).astype(dtype)

    def verdict(slope):
        def backward(dy, x):
            return dy * np.where(x == 0, slope, np.sign(x)).astype(dtype)

        x = np.array([0.0, 1.0, -2.0], dtype=dtype)
        return gradcheck(forward, backward, x, raise_exception=False).verdict

    assert [verdict(slope) for slope in (-1.0, -0.5, 0.0, 1.0)] == ["pass"] * 4
    assert [verdict(slope) for slope in (-1.1, 1.2)] == ["fail"] * 2


def test_kink_of_one_part_is_told_though_the_other_shows_nothing():
    def relu(x):
        return np.maximum(x, 0)

    x = np.array([0.0, 1e-7, -1e-7, 1.7948])  # small outputs are a part of their own
    with np.errstate(all="ignore"):
        _, rows = judged(relu, lambda dy, x: dy * (x > 0), x)
    assert states(rows)[0] == "right"


@pytest.mark.parametrize("x", [[4.15642819882917e-07, 100.0], [-4.4e-5, 1e4]])
def test_second_derivative_that_jumps_beside_the_point(x):
    def forward(x):
        return np.sum(np.maximum(x, 0) ** 2)

    assert verdict(forward, lambda dy, x: 2 * dy * np.maximum(x, 0), np.array(x)) == "pass"


@pytest.mark.parametrize(
    ("weight", "w"), [(1e-3, [2.1370507923480078e-06, 1000.0]), (1e-4, [13040.0, 0.28, -0.007])]
)
def test_small_kink_beside_a_large_loss_is_not_called_wrong(weight, w):
    def forward(w):
        return np.sum((w - 1) ** 2) + weight * np.sum(np.abs(w))

    assert verdict(forward, lambda dy, w: dy * (2 * (w - 1) + weight * np.sign(w)), np.array(w)) != "fail"
