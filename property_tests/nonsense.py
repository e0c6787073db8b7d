"""Values and functions that nobody should hand to a checker."""

import numpy as np

X = np.array([[0.5, -1.0], [2.0, 1.5]])


def constant(value):
    return lambda *arguments: value


def raises(*arguments):
    raise RuntimeError("garbage")


def exits(*arguments):
    raise SystemExit(3)


class Counter:
    """A function whose answers depend on how often it was called."""

    def __init__(self, answers):
        self.answers, self.calls = answers, 0

    def __call__(self, *arguments):
        self.calls += 1
        answer = self.answers[self.calls % len(self.answers)]
        return answer(*arguments) if callable(answer) else answer


VALUES = [
    None,
    "text",
    b"bytes",
    3,
    True,
    1j,
    [],
    [1.0, 2.0],
    (),
    {},
    {"x": X},
    object(),
    np.nan,
    np.array("text"),
    np.array([1, 2]),
    np.array([X, None], dtype=object),
    X + 1j,
    np.full((2, 2), np.nan),
    np.full((2, 2), np.inf),
    np.zeros((0, 3)),
    np.zeros((2, 2, 2)),
    np.zeros(3),
    np.ma.masked_all((2, 2)),
    (X, None),
    (X, "text"),
    ((X,), X),
    (X, X, X),
    np.datetime64("2026-01-01"),
    type,
]
FUNCTIONS = [
    *map(constant, VALUES),
    raises,
    exits,
    lambda: X,
    lambda *arguments: arguments[-1],
    lambda *arguments: arguments[0][:1],
    lambda *arguments: arguments[0].T,
    lambda *arguments: np.random.default_rng().normal(size=(2, 2)),
    lambda *arguments: arguments[0].fill(7),
    lambda *arguments: np.multiply(arguments[0], 2, out=arguments[0]),
]


def unsteady():
    """Return functions whose answers change from call to call, new ones each time."""
    return [Counter([lambda *a: 2 * a[0], value]) for value in (None, "text", X[:1], np.nan, raises, X * 3)]
