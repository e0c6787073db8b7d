import contextlib

import hypothesis.extra.numpy  # noqa: F401 - pytester forgets what was first imported in an inner run
import pytest

import gradlab._explain
import gradlab.reporters.text
import gradlab.runs.targets  # noqa: F401 - likewise

with contextlib.suppress(ModuleNotFoundError):
    import autograd.numpy  # noqa: F401 - likewise

FUNCTIONS = """
    import numpy as np
    import pytest
    from gradlab import GradientError, Rule, strategies
    from gradlab.pytest_plugin import InconclusiveWarning, rule_tests
    from hypothesis import HealthCheck, Phase, given, settings

    x = np.array([1.0, 2.0])

    def square(x): return x**2
    def right(dy, x): return 2 * x * dy
    def wrong(dy, x): return x * dy

    def blind(x): return 1e20 + x.sum()  # which is 1e20, whatever x is
    def blind_backward(dy, x): return dy * np.ones_like(x)

    RIGHT = Rule("right", square, right, "(n)")
    WRONG = Rule("wrong", square, wrong, "(n)")
    BLIND = Rule("blind", blind, blind_backward, (np.ones(2),))

    # Hypothesis would run failing tests some 500 times more to explain them.
    brief = settings(phases=[Phase.generate, Phase.shrink], database=None, derandomize=True, deadline=None)
"""


@pytest.fixture
def run(pytester, forks, conftest_that_forks):
    """Run a test file that begins with the functions above."""

    def run(tests, *arguments, ini=""):
        pytester.makeini(f"[pytest]\nfilterwarnings = default\n{ini}")  # the outer run makes them errors
        pytester.makepyfile(FUNCTIONS + tests)
        if "-n" in arguments:
            pytester.makeconftest(conftest_that_forks)
        return pytester.runpytest("-p", "no:cacheprovider", *arguments)

    return run
