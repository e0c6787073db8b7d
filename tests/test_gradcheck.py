import pickle
import traceback

import numpy as np
import pytest

from gradlab import GradientError, UsageError, Verdict, gradcheck
from gradlab.rules import cross_entropy, square_loss

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.75]])


def linear(x, w):
    return x @ w


def linear_backward(dy, x, w):
    return dy @ w.T, x.T @ dy


def wrong_linear_backward(dy, x, w):
    return dy @ w.T, -x.T @ dy


def test_right_rule_passes():
    report = gradcheck(linear, linear_backward, (X, W))
    assert report.verdict is Verdict.PASS
    assert report
    assert [result.name for result in report.inputs] == ["x", "w"]


def test_wrong_rule_raises_an_assertion_error_that_carries_the_report():
    with pytest.raises(AssertionError, match="gradient of w is wrong; x is right") as caught:
        gradcheck(linear, wrong_linear_backward, (X, W))
    assert isinstance(caught.value, GradientError)
    assert caught.value.report.failed


def test_right_input_is_told_from_the_wrong_one():
    report = gradcheck(linear, wrong_linear_backward, (X, W), raise_exception=False)
    assert {result.name: result.verdict for result in report.inputs} == {"x": "pass", "w": "fail"}
    assert report.inputs[1].wrong_entries == tuple(np.ndindex(W.shape))


def test_one_wrong_entry_is_named():
    def backward(dy, x, w):
        dx, dw = linear_backward(dy, x, w)
        dw[2, 1] *= 1.001
        return dx, dw

    report = gradcheck(linear, backward, (X, W), raise_exception=False)
    assert report.inputs[1].wrong_entries == ((2, 1),)
    assert report.inputs[1].worst.index == (2, 1)


def test_same_call_gives_an_equal_report():
    reports = [gradcheck(linear, wrong_linear_backward, (X, W), raise_exception=False) for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[0].seed == 0


def test_seed_of_a_generator_reproduces_the_report():
    report = gradcheck(linear, linear_backward, (X, W), rng=np.random.default_rng(5))
    assert report == gradcheck(linear, linear_backward, (X, W), rng=report.seed)


def test_forward_calls_are_within_two_per_entry_and_twelve():
    report = gradcheck(linear, linear_backward, (X, W))
    assert report.forward_calls <= 2 * (X.size + W.size) + 12
    assert report.backward_calls <= 8


def test_rule_that_ignores_the_upstream_gradient_fails():
    assert not gradcheck(np.sin, lambda dy, x: np.cos(x), X, raise_exception=False)


@pytest.mark.parametrize("size", [1, 30, 20_000])
def test_gradient_of_zero_is_right_at_a_minimum(size):
    o = np.linspace(-1, 1, size)
    rule = square_loss.SUM
    assert gradcheck(rule.forward, rule.backward, (o, o.copy()))


def test_minimum_which_might_be_a_kink_costs_two_differences_an_entry():
    o = np.linspace(-1, 1, 4)
    rule = square_loss.SUM
    assert gradcheck(rule.forward, rule.backward, (o, o.copy())).forward_calls <= 4 * (2 * o.size) + 12


def test_gradient_of_zero_does_not_pass_where_forward_is_on_a_stair():
    def forward(x):
        return np.tanh(x.astype(np.float16)).astype(np.float64)

    assert not gradcheck(forward, lambda dy, x: 0 * x, np.array([0.3, -0.7, 0.9]), raise_exception=False)


def test_large_input_costs_few_calls_and_a_wrong_one_is_caught():
    x = np.random.default_rng(0).normal(size=20_000)
    report = gradcheck(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), x)
    assert report.forward_calls <= 64
    assert not gradcheck(np.tanh, lambda dy, x: dy * (1 - np.tanh(x)), x, raise_exception=False)


def test_curvature_of_many_entries_costs_few_calls_too():
    x = np.random.default_rng(0).normal(size=10**6)
    assert gradcheck(lambda x: np.mean(x * x), lambda dl, x: dl * 2 * x / x.size, x).forward_calls <= 32


def test_edge_of_a_domain_is_approached_and_not_crossed():
    x = np.array([1e-3, 1.0, 5.0])
    assert gradcheck(np.log, lambda dy, x: dy / x, x)
    assert not gradcheck(np.log, lambda dy, x: dy / x**2, x, raise_exception=False)


def test_what_cannot_be_seen_is_inconclusive_with_the_reason():
    with pytest.raises(GradientError, match="error bar is too wide to tell") as caught:
        gradcheck(lambda x: 1e20 + x.sum(), lambda dy, x: dy * np.ones(2), np.ones(2))
    assert caught.value.report.verdict is Verdict.INCONCLUSIVE


def test_entry_that_is_too_small_to_be_seen_is_too_small_to_matter():
    slopes = np.array([1.0, 1e-17])
    report = gradcheck(lambda x: x @ slopes, lambda dy, x: dy * slopes, np.ones(2))
    assert report.inputs[0].too_small == 1


@pytest.mark.parametrize("claimed", [1e-3, -1e-5])
def test_entry_that_is_too_small_to_be_seen_may_not_claim_to_matter(claimed):
    def backward(dy, x):
        return dy * np.array([1.0, claimed])

    assert gradcheck(lambda x: x @ np.array([1.0, 1e-17]), backward, np.ones(2), raise_exception=False).failed


def test_forward_that_raises_is_a_finding_with_its_own_message():
    def forward(x):
        raise KeyError("no such thing")

    with pytest.raises(GradientError, match=r"forward raised KeyError: 'no such thing'") as caught:
        gradcheck(forward, forward, X)
    assert caught.value.report.findings[0].kind == "forward-raises"
    assert isinstance(caught.value.__cause__, KeyError)


def test_backward_that_raises_is_a_finding_with_its_own_traceback():
    def backward(dy, x):
        return dy / {}["mine"]

    with pytest.raises(GradientError, match="backward raised KeyError: 'mine'") as caught:
        gradcheck(np.sin, backward, X)
    assert 'dy / {}["mine"]' in "".join(traceback.format_exception(caught.value))


def test_forward_that_is_not_finite_is_a_finding():
    with np.errstate(divide="ignore"):
        report = gradcheck(np.log, lambda dy, x: dy, np.array([0.0, 0.0]), raise_exception=False)
    assert [finding.kind for finding in report.findings] == ["not-finite"]


def test_error_survives_pickling():
    with pytest.raises(GradientError) as caught:
        gradcheck(linear, wrong_linear_backward, (X, W))
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.report == caught.value.report
    assert str(again) == str(caught.value)


def test_input_without_entries_holds_the_contract_and_nothing_to_compare():
    x = np.zeros((0, 3))
    assert gradcheck(lambda x: x**2, lambda dy, x: 2 * dy * x, x)
    assert not gradcheck(lambda x: x**2, lambda dy, x: (2 * dy * x).T, x, raise_exception=False)


def test_backward_that_loses_digits_is_not_called_wrong():
    def forward(z):
        return np.log1p(np.exp(-z))

    z = np.array([25.0, 3.0])
    exact = gradcheck(forward, lambda dy, z: -dy / (1 + np.exp(z)), z)
    rounded = gradcheck(forward, lambda dy, z: dy * (1 / (1 + np.exp(-z)) - 1), z, raise_exception=False)
    assert exact.passed
    assert not rounded.failed


@pytest.mark.parametrize("logit", [20.0, 25.0, 30.0, 35.0])
def test_plateau_of_a_quantised_function_is_no_evidence(logit):
    rule = cross_entropy.LOGITS
    z, target = np.array([[logit, 0.0, 1.0]]), np.array([0])
    report = gradcheck(rule.forward, rule.backward, (z, target), cached=True, raise_exception=False)
    assert not report.failed


def test_reason_names_what_stood_in_the_way():
    def forward(x):
        if not (x == X).all():
            raise ValueError("only here")
        return x

    report = gradcheck(forward, lambda dy, x: dy, X, raise_exception=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "forward raised ValueError: only here" in report.reason


@pytest.mark.parametrize("scale", [1e-310, 1e-150, 1e150, 1e300])
def test_extreme_magnitudes_raise_no_warning_and_no_false_alarm(scale):
    x = scale * np.array([1.0, 2.0])
    assert not gradcheck(lambda x: 2 * x, lambda dy, x: 2 * dy, x, raise_exception=False).failed
    assert not gradcheck(lambda x: 2 * x, lambda dy, x: 2 * dy, x[:1], raise_exception=False).failed


class TestTolerance:
    @pytest.mark.parametrize(("atol", "passes"), [(None, False), (0.9e-3, False), (1.1e-3, True)])
    def test_atol_is_the_distance_from_a_derivative_that_does_not_matter(self, atol, passes):
        def backward(dy, x):
            return dy * (2 * x + 1e-3)

        report = gradcheck(
            lambda x: x**2, backward, X, grad_output=np.ones(X.shape), atol=atol, raise_exception=False
        )
        assert report.passed == passes

    @pytest.mark.parametrize(("rtol", "passes"), [(None, False), (0.9e-3, False), (1.1e-3, True)])
    def test_rtol_is_the_part_of_a_derivative_that_does_not_matter(self, rtol, passes):
        report = gradcheck(np.sin, lambda dy, x: 1.001 * dy * np.cos(x), X, rtol=rtol, raise_exception=False)
        assert report.passed == passes

    def test_atol_hides_no_defect_of_another_entry(self):
        def backward(dy, x):
            return dy * x * np.array([4, 2.1])  # off by 0.002 and by 0.1

        x, u = np.array([1e-3, 1.0]), np.ones(2)
        report = gradcheck(lambda x: x**2, backward, x, atol=0.05, grad_output=u, raise_exception=False)
        assert report.inputs[0].wrong_entries == ((1,),)


class TestProbes:
    @pytest.mark.parametrize("probes", ["entries", "directions"])
    @pytest.mark.parametrize("size", [5, 1500])
    def test_either_way_a_right_rule_passes_and_a_wrong_entry_is_caught(self, probes, size):
        x = np.random.default_rng(0).normal(size=size)

        def wrong(dy, x):
            dx = dy * np.cos(x)
            dx[3] *= 1.01
            return dx

        assert gradcheck(np.sin, lambda dy, x: dy * np.cos(x), x, probes=probes)
        assert gradcheck(np.sin, wrong, x, probes=probes, raise_exception=False).failed

    def test_number_of_directions_does_not_grow_with_the_size(self):
        x = np.random.default_rng(0).normal(size=800)
        calls = [
            gradcheck(np.sin, lambda dy, x: dy * np.cos(x), x, probes=probes).forward_calls
            for probes in ("directions", "entries")
        ]
        assert calls[0] <= 32 < 2 * x.size <= calls[1]

    def test_every_entry_of_a_large_input_is_probed_where_that_is_asked_for(self):
        x = np.random.default_rng(0).normal(size=1500)
        report = gradcheck(np.sin, lambda dy, x: dy * np.cos(x), x, probes="entries")
        assert report.inputs[0].probed == 1500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"atol": -1.0}, "atol is the float -1.0; expected a number, zero or more"),
        ({"atol": np.inf}, "atol is the float inf; expected a number, zero or more"),
        ({"probes": "all"}, "probes is the str 'all'; expected 'entries' or 'directions'"),
    ],
)
def test_malformed_option_is_a_usage_error(options, message):
    with pytest.raises(UsageError, match=message):
        gradcheck(np.sin, lambda dy, x: dy * np.cos(x), X, **options)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        pytest.param(np.tanh, lambda dy, x: dy * (np.tanh(x) ** 2 - 1), id="sign"),
        pytest.param(np.exp, lambda dy, x: 2 * dy * np.exp(x), id="twice"),
        pytest.param(lambda x: x**3, lambda dy, x: 2 * x**2 * dy, id="another factor"),
    ],
)
def test_what_forward_shows_of_a_wrong_entry_is_told_to_many_digits(forward, backward):
    worst = gradcheck(forward, backward, X, raise_exception=False).inputs[0].worst
    assert worst.error_bar < 1e-6 * abs(worst.numeric)
