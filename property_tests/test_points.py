"""Points that find what shows seldom, and at which right rules of many kinds still pass."""

import pytest
from ordinary_rules import RIGHT, WRONG, wrong_rule

from gradlab import verify


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("why", [why for why in WRONG if not why.startswith("large")])
def test_rule_that_is_wrong_at_few_points_is_found_by_default(why, seed):
    report = verify(wrong_rule(why), rng=seed, raise_exception=False)
    assert report.failed, str(report)


def known(name, seed):
    if (name, seed) != ("relu", 1):
        return ()
    return pytest.mark.xfail(reason="the jumps of two outputs cancel when contracted, and no kink is seen")


@pytest.mark.parametrize(
    ("name", "seed"),
    [pytest.param(name, seed, marks=known(name, seed)) for name in RIGHT for seed in range(2)],
)
def test_right_rule_passes_at_degenerate_points_too(name, seed):
    verify(RIGHT[name], rng=seed)


def test_rule_that_is_wrong_for_large_numbers_is_found_with_more_points():
    # One point in twenty has numbers above 5.
    assert verify(wrong_rule("large: clipped above 5"), max_examples=400, raise_exception=False).failed
