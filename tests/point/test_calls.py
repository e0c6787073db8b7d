"""What functions raise: what says something of them is a finding, what is a mistake is a `UsageError`."""

import functools
import math

import numpy as np
import pytest

from gradlab import UsageError, gradcheck

X = np.array([1.0, 2.0])


def decorated(function):
    @functools.wraps(function)
    def passed_on(*arguments):
        return function(*arguments)

    return passed_on


def square(x):
    return x * x


def right(dy, x):
    return 2 * x * dy


def lacks_a_name(dy, x):
    return 2 * x * dout  # noqa: F821 - which is the mistake


def lacks_an_attribute(dy, x):
    return np.twice(x) * dy


def lacks_a_module(dy, x):
    import nothing_of_this_name  # noqa: F401 - which is the mistake


@pytest.mark.parametrize(
    ("forward", "backward", "message"),
    [
        (
            square,
            lambda dy: dy,
            r"backward cannot be called with .*takes 1 positional argument but 2",
        ),
        (square, decorated(lambda dy: dy), r"backward cannot be called with "),
        (square, math.sin, r"backward cannot be called with "),
        (square, lacks_a_name, r"backward raised NameError: name 'dout' .*test_calls\.py, line \d+\)"),
        (
            square,
            lacks_an_attribute,
            r"backward raised AttributeError: module 'numpy' has no attribute",
        ),
        (square, lacks_a_module, r"backward raised ModuleNotFoundError: "),
    ],
)
def test_mistake_is_no_answer(forward, backward, message):
    with pytest.raises(UsageError, match=message) as caught:
        gradcheck(forward, backward, X)
    assert caught.value.__cause__ is not None


def test_keyword_that_does_not_exist_is_a_mistake():
    with pytest.raises(UsageError, match=r"forward\(x\) cannot be called with z: "):
        gradcheck(square, right, {"z": X})


@pytest.mark.parametrize(
    "backward",
    [
        lambda dy, x: dy + None,
        decorated(lambda dy, x: len(3)),
        lambda dy, x: X.twice,
        lambda dy, x: {}["dx"],
    ],
)
def test_exception_inside_of_a_function_is_a_finding(backward):
    report = gradcheck(square, backward, X, raise_exception=False)
    assert report.kinds == {"backward-raises"}


@pytest.mark.parametrize("role", ["forward", "backward"])
def test_want_of_memory_is_no_answer(role):
    def exhausted(*arguments):
        raise MemoryError

    functions = {"forward": square, "backward": right, role: exhausted}
    with pytest.raises(MemoryError):
        gradcheck(functions["forward"], functions["backward"], X)


def test_message_that_cannot_be_printed_is_no_obstacle():
    class Silent(Exception):
        def __str__(self):
            raise KeyboardInterrupt

    def raises(dy, x):
        raise Silent

    report = gradcheck(square, raises, X, raise_exception=False)
    assert report.reason == "backward raised Silent: (its message cannot be printed)"
