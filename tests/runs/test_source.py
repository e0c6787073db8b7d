import functools
from pathlib import Path

import numpy as np
import pytest

from gradlab.runs.source import source_of


def plain(dy, x):
    return dy


def decorate(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)

    return wrapper


@decorate
def decorated(dy, x):
    return dy


class Layer:
    def __call__(self, dy, x):
        return dy

    def backward(self, dy, x):
        return dy


LINES = Path(__file__).read_text().splitlines()


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (plain, "def plain(dy, x):"),
        (decorated, "@decorate"),
        (functools.partial(functools.partial(plain, 1.0), 2.0), "def plain(dy, x):"),
        (Layer(), "    def __call__(self, dy, x):"),
        (Layer().backward, "    def backward(self, dy, x):"),
        (Layer, "class Layer:"),
    ],
)
def test_function_is_found_behind_what_wraps_it(function, line):
    file, number = source_of(function)
    assert file == __file__
    assert LINES[number - 1] == line


@pytest.mark.parametrize("function", [len, np.tanh, np.add.reduce, eval("lambda dy, x: dy")])
def test_function_without_a_file_has_no_place(function):
    assert source_of(function) is None
