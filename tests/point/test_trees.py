"""Containers come apart into leaves that are named by their paths, and together again as they were."""

import dataclasses
import types
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

from gradlab import UsageError
from gradlab.point.trees import flatten, positions, replaced, unflatten

X = np.array([1.0, 2.0])
Params = namedtuple("Params", "W b")


@dataclasses.dataclass
class Layer:
    weight: object
    bias: object
    activation: str = "tanh"


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    weight: object
    size: int = dataclasses.field(default=2, init=False)


def leaves_of(value):
    leaves = []
    return flatten("p", value, leaves), leaves


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (X, ["p"]),
        (2.0, ["p"]),
        ([X, (X, 3)], ["p[0]", "p[1][0]", "p[1][1]"]),
        ({"W": X, 3: X}, ["p['W']", "p[3]"]),
        (Params(X, [X]), ["p.W", "p.b[0]"]),
        ([Layer(X, None)], ["p[0].weight", "p[0].bias", "p[0].activation"]),
        (Frozen(X), ["p.weight", "p.size"]),
    ],
)
def test_leaves_are_named_as_python_writes_the_path(value, names):
    _, leaves = leaves_of(value)
    assert [name for name, _ in leaves] == names


@pytest.mark.parametrize("value", [(2, 3), ["a", "b"], {"axis": None}, [], Layer(1, 2), {"f": [np.tanh]}])
def test_container_without_an_array_is_one_leaf(value):
    tree, leaves = leaves_of(value)
    assert tree == 0
    assert leaves == [("p", value)]


@pytest.mark.parametrize(
    "value",
    [
        [1.0, (2.0,)],
        {"b": 1.0, "a": 2.0},
        Params(1.0, 2.0),
        Layer(1.0, [2.0]),
        Frozen(1.0),
        OrderedDict(b=1.0, a=2.0),
        defaultdict(list, a=1.0),
        types.MappingProxyType({"a": 1.0}),
    ],
)
def test_what_is_put_together_again_is_equal_of_the_same_type_and_new(value):
    tree, leaves = leaves_of(value)
    again = unflatten(tree, [leaf for _, leaf in leaves])
    assert again == value
    assert type(again) is type(value)
    assert again is not value
    assert list(positions(tree)) == list(range(len(leaves)))


def test_containers_are_built_around_other_leaves():
    tree, _ = leaves_of({"layers": [Frozen(X), Params(X, 1)], "scale": 2.0})
    again = unflatten(tree, ["w", "size", "W", "b", "s"])
    assert again["layers"][0].weight == "w"
    assert again == {"layers": [again["layers"][0], Params("W", "b")], "scale": "s"}


def test_container_that_contains_itself_is_refused():
    loop = [X]
    loop.append(loop)
    with pytest.raises(UsageError, match=r"input p\[1\] contains itself"):
        leaves_of(loop)


def test_one_array_in_two_places_is_two_leaves():
    shared = [X]
    _, leaves = leaves_of([shared, shared])
    assert [name for name, _ in leaves] == ["p[0][0]", "p[1][0]"]


def test_replaced_items_and_changed_lengths_are_seen():
    tree, leaves = leaves_of({"W": X, "layers": [X]})
    values = [value for _, value in leaves]
    container = unflatten(tree, values)
    assert list(replaced(tree, container, values)) == []
    container["W"] = X.copy()
    container["layers"].append(X)
    assert list(replaced(tree, container, values)) == ["p['W']", "p['layers']"]
