"""Options are read alike by all checks: NumPy's numbers are numbers, truth values are none."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

import gradlab
from gradlab import Rule, UsageError, strategies
from gradlab._framework import ignored
from gradlab._options import FRACTION, NOT_NEGATIVE, SECONDS, whole_number
from gradlab.runs import Options
from gradlab.runs.one import check

X = np.array([0.5, -1.0])


def square(x):
    return x**2


def backward(dy, x):
    return 2 * x * dy


def double_backward(ddx, dy, x):
    return 2 * x * ddx, 2 * dy * ddx


def value_and_grad(x):
    return x @ x, 2 * x


SQUARE = Rule("square", square, backward, (X,))
CHECKS = {
    "gradcheck": lambda **options: gradlab.gradcheck(square, backward, X, **options),
    "gradgradcheck": lambda **options: gradlab.gradgradcheck(
        square, backward, X, double_backward=double_backward, **options
    ),
    "check_value_and_grad": lambda **options: gradlab.check_value_and_grad(value_and_grad, X, **options),
    "scipy.check_grad": lambda **options: gradlab.scipy.check_grad(rosen, rosen_der, X, **options),
    "verify": lambda **options: gradlab.verify(SQUARE, **options),
    "rule_tests": lambda **options: gradlab.pytest_plugin.rule_tests([SQUARE], **options),
}
NAMED = [name for name in CHECKS if name not in ("verify", "rule_tests")]


@pytest.mark.parametrize("ask", CHECKS.values(), ids=CHECKS)
class TestRtol:
    @pytest.mark.parametrize(
        "rtol", [1e-3, np.float32(1e-3), np.float64(1e-3), np.float16(1e-3), np.longdouble(1e-3)]
    )
    def test_any_number_between_0_and_1_is_taken(self, ask, rtol):
        assert ask(rtol=rtol)

    @pytest.mark.parametrize("rtol", [True, 0, 1, -1e-3, np.nan, "0.1", 1e-3j, np.array([1e-3])])
    def test_all_else_is_refused(self, ask, rtol):
        with pytest.raises(UsageError, match=r"rtol is .*; expected a number between 0 and 1"):
            ask(rtol=rtol)


@pytest.mark.parametrize("ask", [CHECKS[name] for name in NAMED], ids=NAMED)
@pytest.mark.parametrize("name", [3, 7.0, b"square", ["square"]])
def test_name_that_is_no_string_is_refused(ask, name):
    with pytest.raises(UsageError, match=r"name is .*; expected a string"):
        ask(name=name)


@pytest.mark.parametrize("ask", [CHECKS[name] for name in NAMED], ids=NAMED)
def test_name_is_that_of_the_report(ask):
    assert "cube" in ask(name="cube").name


@pytest.mark.parametrize("name", ["verify", "rule_tests"])
class TestMaxExamples:
    @pytest.mark.parametrize("count", [3, np.int64(3), np.uint8(3)])
    def test_any_positive_integer_is_taken(self, name, count):
        assert CHECKS[name](max_examples=count)

    @pytest.mark.parametrize("count", [True, 0, 2.0, "3", np.float64(2)])
    def test_all_else_is_refused(self, name, count):
        with pytest.raises(UsageError, match=r"max_examples is .*; expected a whole number, at least 1"):
            CHECKS[name](max_examples=count)


def test_numbers_of_numpy_reach_the_rule_of_a_test():
    report = check(SQUARE, Options(max_examples=np.int64(2), seed=np.int64(1), rtol=np.float32(1e-3))).report
    assert (report.verdict, report.seed) == ("pass", 1)


def test_huge_values_do_not_overflow_in_the_dtype_of_a_narrow_rtol():
    def forward(x):
        return 1e200 * x

    assert gradlab.gradcheck(forward, lambda dy, x: 1e200 * dy, X, rtol=np.float16(1e-3), atol=np.float16(0))


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (whole_number(2), [2, np.int8(2), 10**400], [1, 2.0, True, np.bool_(True), "2", None, np.array(3)]),
        (FRACTION, [0.5, np.float32(0.5)], [0, 1, False, None, np.inf, np.nan, "0.5", 0.5j]),
        (NOT_NEGATIVE, [0, 0.0, 3, np.float32(2)], [-1, True, np.inf, np.nan, None]),
        (SECONDS, [1, 0.5, np.int64(2)], [0, True, np.inf, np.nan, 10**400, None, "1"]),
    ],
)
def test_kinds_of_values(kind, right, wrong):
    assert [value for value in right if kind.accepts(value) is not True] == []
    assert [value for value in wrong if kind.accepts(value) is not False] == []


def test_sides_of_points_are_read_alike():
    with pytest.raises(UsageError, match="max_side is the bool True; expected a whole number, at least 1"):
        strategies.inputs("(n)", max_side=True)


def test_array_that_is_ignored_is_noted():
    reasons = {"atol": "it is measured"}
    for given in (1e-3, np.array([1e-3, 1e-3]), np.zeros(2), [1e-3], {"float32": 1e-3}):
        assert ignored(reasons, atol=given) == ["atol is ignored: it is measured"]
    for absent in (None, False, 0, 0.0, np.float32(0)):
        assert ignored(reasons, atol=absent) == []
