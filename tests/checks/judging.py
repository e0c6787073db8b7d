"""The judge by itself: what becomes of each entry, without what is done after a failure."""

from gradlab.checks.claims import claims_of
from gradlab.checks.criteria import Criteria
from gradlab.checks.directions import Directions
from gradlab.checks.judge import judge
from gradlab.point.problem import Problem
from gradlab.point.returned import read_gradients


def judged(forward, backward, x, *, rtol=1e-7, atol=0.0, upstream=None, **options):
    """Judge every entry of one input by itself; return what it was measured by, and the rows."""
    problem = Problem(forward, backward, x, grad_output=upstream, **options)
    gradients, _ = read_gradients(problem, problem.call_backward())
    criteria = Criteria(problem, rtol=rtol, atol=atol)
    return criteria, judge(criteria, Directions.of(problem, {0: None}), claims_of(problem, gradients))


def states(rows):
    """Return one word for each row."""
    names = ("right", "small", "wrong", "open")
    return ["/".join(n for n in names if getattr(rows, n)[k]) for k in range(rows.right.size)]
