"""Points that find what shows seldom, and at which right rules of many kinds still pass.

`tests/benchmarks/detection.py` does the same for more seeds.
"""

import numpy as np
import pytest
from ordinary_rules import RIGHT, WRONG, wrong_rule

from gradlab import gradcheck, verify


class Found(KeyboardInterrupt):
    """Ends a check, as Ctrl-C does: to shrink what was found takes a hundred times as long as to find it."""


def stop_when_found(points, doing):
    if doing == "shrinking":
        raise Found


@pytest.mark.parametrize("why", [why for why in WRONG if not why.startswith("large")])
def test_rule_that_is_wrong_at_few_points_is_found_by_default(why):
    with pytest.raises(Found):
        verify(wrong_rule(why), progress=stop_when_found)


@pytest.mark.parametrize("name", RIGHT)
def test_right_rule_passes_at_degenerate_points_too(name):
    verify(RIGHT[name], max_examples=30)  # two of five are degenerate


def test_rule_that_is_wrong_for_large_numbers_is_found_with_more_points():
    # One point in twenty has numbers above 5.
    with pytest.raises(Found):
        verify(wrong_rule("large: clipped above 5"), max_examples=400, progress=stop_when_found)


def test_right_rule_passes_where_two_kinks_cancel():
    relu = RIGHT["relu"]
    gradcheck(relu.forward, relu.backward, np.array([[1.0], [0.0], [0.0]]), rng=1)
