"""Runs whose rules are named and say what no page may run; shared by the tests of pages."""

import numpy as np

from gradlab import Rule
from gradlab.runs import Listed, Options, Outcome, Run
from gradlab.runs.one import check, with_pictures

HOSTILE = "<script>alert(1)</script>"
BREAKOUT = "</code></pre></style></title><img src=x onerror=alert(2)>\"' onload=alert(3)"
X = (np.array([[0.5, -1.0], [2.0, 1.5]]), np.array([[1.0, 2.0], [-1.0, 0.5]]))


def raising(dy, x):
    raise ValueError(BREAKOUT)


RULES = [
    Rule("right", np.sin, lambda dy, x: dy * np.cos(x), (np.array([0.5]),)),
    Rule(HOSTILE, np.matmul, lambda dy, x, w: (dy @ w, x.T @ dy), X),
    Rule("raises", np.sin, raising, (np.array([0.5]),)),
    Rule("known", np.sin, lambda dy, x: dy, (np.array([0.5]),), known_failure=("wrong-gradient", BREAKOUT)),
]


def checked(rule, position=0):
    result = with_pictures(check(rule, Options(max_examples=3)))
    listed = Listed(rule.name, "rules", position, rule.known_failure, f"{BREAKOUT}.py", 3)
    return Outcome(listed, result.report, result.error, result.raised, result.pictures)


def run_of(outcomes, problems=()):
    settings = {"max-examples": 3, "seed": 0, "rtol": None, "k": BREAKOUT}
    return Run(tuple(outcomes), tuple(problems), settings, 1.25, len(outcomes))


def hostile_run():
    return run_of([checked(rule, k) for k, rule in enumerate(RULES)], [f"{HOSTILE} cannot be imported"])
