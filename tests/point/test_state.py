"""What objects hold is found, and put back."""

import functools
import itertools
import random
import types
from collections import OrderedDict, defaultdict, deque

import numpy as np
import pytest

from gradlab import UsageError
from gradlab.point.state import State, put


class Layer:
    def __init__(self, **attributes):
        vars(self).update(attributes)


class Slotted:
    __slots__ = ("a", "b")


def test_arrays_are_put_back_in_place():
    array = np.ones((2, 2))
    layer = Layer(w=array, view=array[0], backwards=array[::-1])
    state = State(layer)
    array += 1
    layer.w = None
    state.restore()
    assert layer.w is array
    assert (array == 1).all()
    assert np.shares_memory(layer.view, array)


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: {"a": 1, "b": 2}, lambda d: d.pop("a")),
        (lambda: OrderedDict(a=1, b=2), lambda d: d.move_to_end("a")),
        (lambda: defaultdict(list, a=1), lambda d: d["new"]),
        (lambda: [1, 2], lambda items: items.append(3)),
        (lambda: {1, 2}, lambda items: items.add(3)),
        (lambda: deque([1, 2]), lambda items: items.popleft()),
        (lambda: np.array([1, None], dtype=object), lambda items: items.__setitem__(1, "x")),
    ],
)
def test_containers_are_put_back(make, change):
    layer = Layer(inner=[make()])
    state = State(layer)
    change(layer.inner[0])
    state.restore()
    kept, expected = layer.inner[0], make()
    assert list(kept) == list(expected)
    assert type(kept) is type(expected)


def test_attributes_that_are_new_go_and_slots_are_put_back():
    layer, slotted = Layer(a=1), Slotted()
    slotted.a = 1
    layer.slotted = slotted
    state = State(layer)
    layer.cache = slotted.b = 2
    slotted.a = 3
    state.restore()
    assert vars(layer) == {"a": 1, "slotted": slotted}
    assert slotted.a == 1
    assert not hasattr(slotted, "b")


@pytest.mark.parametrize(
    ("generator", "draw"),
    [
        (np.random.default_rng(0), lambda g: g.random()),
        (np.random.RandomState(0), lambda g: g.random()),
        (random.Random(0), lambda g: g.random()),
    ],
)
def test_generators_are_put_back_also_alone(generator, draw):
    layer = Layer(generator=generator, calls=0)
    state = State(layer)
    first = draw(generator)
    layer.calls = 1
    state.restore_generators()
    assert (draw(generator), layer.calls) == (first, 1)
    state.restore()
    assert (draw(generator), layer.calls) == (first, 0)


COUNTED = Layer(calls=0)


def test_what_a_function_reaches_is_put_back():
    kept = Layer(calls=0)
    number = 0

    def closes_over():
        nonlocal number
        number += 1
        kept.calls += 1

    def names_a_global():
        COUNTED.calls += 1

    def default(layer=Layer(calls=0)):  # noqa: B008 - it is what is looked at
        layer.calls += 1
        return layer.calls

    partial = functools.partial(closes_over)
    for function in (closes_over, names_a_global, default, partial, types.MethodType(Layer.__init__, kept)):
        state = State(function)
        for call in (closes_over, names_a_global, default):
            if call is function or function is partial:
                call()
        state.restore()
    assert number == kept.calls == COUNTED.calls - 1 == 0
    assert default() == 2  # of which the last was made with another function's state


def test_what_contains_itself_is_walked_once():
    layer = Layer()
    layer.me = [layer]
    state = State(layer)
    layer.me.clear()
    state.restore()
    assert layer.me == [layer]


def test_other_libraries_are_left_alone():
    counter = itertools.count()
    state = State(Layer(counter=counter, path=types.SimpleNamespace))
    next(counter)
    state.restore()
    assert next(counter) == 1


@pytest.mark.parametrize("inside", [lambda names: names, lambda names: {"of": [names]}])
def test_a_namespace_is_no_library_s_own(inside):
    names = types.SimpleNamespace(calls=0, mean=np.zeros(2))
    state = State(Layer(held=inside(names)))
    names.calls += 1
    names.mean += 1
    names.new = names.calls
    state.restore()
    assert vars(names).keys() == {"calls", "mean"}
    assert names.calls == 0
    assert not names.mean.any()


def test_all_references_to_an_array_are_found():
    array = np.ones(2)
    layer = Layer(w=array, named={"w": array}, listed=[array, None])
    for reference in State(layer).references(array):
        put(reference, "other")
    assert vars(layer) == {"w": "other", "named": {"w": "other"}, "listed": ["other", None]}


@pytest.mark.parametrize(
    "also", [lambda a: (a,), lambda a: a[:1], lambda a: lambda: a, lambda a: functools.partial(print, a)]
)
def test_array_that_cannot_be_replaced_everywhere_is_refused(also):
    array = np.ones(2)
    with pytest.raises(UsageError, match="it has to stay"):
        State(Layer(w=array, also=also(array))).references(array)
