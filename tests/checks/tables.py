"""Tables of right rules, each beside wrong ones: what gradcheck has to say of all of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gradlab import gradcheck

PASS, FAIL = {"pass"}, {"fail"}
NOT_FAIL, NOT_PASS = {"pass", "inconclusive"}, {"fail", "inconclusive"}


@dataclass(frozen=True)
class Row:
    """A right rule at one point, and defects of its backward rule.

    A defect may be a pair of functions, where forward too is another.
    """

    name: str
    forward: Callable[..., Any]
    right: Callable[..., Any]
    inputs: tuple[Any, ...]
    wrong: dict[str, Any]
    right_is: set[str] = field(default_factory=PASS.copy)
    wrong_is: set[str] = field(default_factory=FAIL.copy)
    options: dict[str, Any] = field(default_factory=dict)


def normal(*shapes, seed=0, dtype=float):
    """Draw a point."""
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in shapes)


def each_of(rows):
    """Parametrize a test with the right rule and all defects of each row."""

    def questions():
        for row in rows:
            yield pytest.param(row.forward, row.right, row, row.right_is, id=f"{row.name}: right")
            for name, defect in row.wrong.items():
                forward, backward = defect if isinstance(defect, tuple) else (row.forward, defect)
                yield pytest.param(forward, backward, row, row.wrong_is, id=f"{row.name}: {name}")

    return pytest.mark.parametrize(("forward", "backward", "row", "expected"), list(questions()))


def agree(forward, backward, row, expected):
    """Fail unless the verdict is as expected."""
    with np.errstate(all="ignore"):
        report = gradcheck(forward, backward, row.inputs, raise_exception=False, **row.options)
    assert report.verdict in expected, str(report)
