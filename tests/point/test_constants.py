"""What is neither an array, a number nor a known constant is refused, not taken for a constant."""

import enum
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gradlab import UsageError, gradcheck
from gradlab.point.constants import is_constant


class Mode(enum.Enum):
    SAME = 1


@dataclass
class Options:
    stride: int
    padding: Any = None


class Params:
    def __init__(self):
        self.W = np.ones(2)


class Activation:
    def __init__(self, slope=None):
        self.slope = slope

    def __call__(self, x):
        return x


CONSTANTS = [
    *(2, True, None, "relu", b"x", Ellipsis, slice(2), range(3), np.int64(2), np.arange(3), {1, 2}),
    *(np.tanh, len, lambda x: x, partial(np.sum, axis=0), float, np.dtype("f4"), Mode.SAME),
    *(Path("x"), re.compile("x"), np.random.default_rng(0), Options(1), (2, [None]), Activation()),
]
OTHERS = [Params(), SimpleNamespace(W=np.ones(2)), [Params()], Options(1, Params()), Activation(np.ones(2))]


@pytest.mark.parametrize("value", CONSTANTS, ids=lambda value: type(value).__name__)
def test_known_constant(value):
    assert is_constant(value)
    gradcheck(lambda x, c: 2 * x, lambda dy, x, c: 2 * dy, (np.ones(2), value))


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: type(value).__name__)
def test_what_may_hold_arrays_is_refused_and_passes_as_keyword(value):
    assert not is_constant(value)
    with pytest.raises(
        UsageError, match=r"input c.* is an? .*, which is neither an array, a number nor a kn"
    ):
        gradcheck(lambda x, c: 2 * x, lambda dy, x, c: 2 * dy, (np.ones(2), value))
    gradcheck(lambda x, *, c: 2 * x, lambda dy, x, *, c: 2 * dy, np.ones(2), kwargs={"c": value})
