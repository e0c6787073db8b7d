"""Hypothesis strategies for the inputs of rules.

`inputs` draws tuples of arrays from a signature such as ``"(n,d),(d,m)"``; the other names say what each
array holds. Most points are plain: readable numbers, all different within an array, since a tie would hide a
transpose, and a zero a missing factor. A share of them is degenerate on purpose, as `inputs` describes.
Values shrink towards 1, shapes towards size 1, and degenerate points towards plain ones.
"""

from gradlab.strategies.elements import (
    Elements,
    between,
    constant,
    labels,
    one_hot,
    positive,
    probabilities,
    reals,
)
from gradlab.strategies.matrices import spd, symmetric
from gradlab.strategies.points import MAX_SIDE, Point, inputs

__all__ = [
    "MAX_SIDE",
    "Elements",
    "Point",
    "between",
    "constant",
    "inputs",
    "labels",
    "one_hot",
    "positive",
    "probabilities",
    "reals",
    "spd",
    "symmetric",
]
