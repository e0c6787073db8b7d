"""Random smooth functions whose derivative is known: programs run on numbers or on dual numbers.

A program is a list of steps, each an elementary function with a random scale, or a sum or product with an
earlier value. Run on a dual number in extended precision it gives the exact derivative, up to 1e-18.
"""

from dataclasses import dataclass

import numpy as np

WIDE = np.longdouble


@dataclass(frozen=True)
class Dual:
    """A number and its derivative."""

    value: np.longdouble
    slope: np.longdouble

    def __add__(self, other):
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other):
        return Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)


# name: (function, derivative); all smooth on the whole line
ELEMENTARY = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "arctan": (np.arctan, lambda x: 1 / (1 + x * x)),
    "bell": (lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "root": (lambda x: np.sqrt(1 + x * x), lambda x: x / np.sqrt(1 + x * x)),
    "cube": (lambda x: x * x * x / 3, lambda x: x * x),
}


def random_program(rng):
    """Draw a program of two to six steps."""
    steps = []
    for _ in range(rng.integers(2, 7)):
        name = rng.choice(list(ELEMENTARY))
        # exp and cube grow: they are given smaller arguments
        scale = rng.uniform(0.2, 1.0) if name in ("exp", "cube") else rng.uniform(0.2, 3.0)
        steps.append((str(name), float(np.float32(scale)), str(rng.choice(["chain", "add", "multiply"]))))
    return steps


def run(program, x):
    """Run a program on a number or array, in its own dtype."""
    scaled = x.dtype.type
    value = x
    for name, scale, combine in program:
        new = ELEMENTARY[name][0](scaled(scale) * value)
        value = new if combine == "chain" else new + value if combine == "add" else new * value
    return value


def run_dual(program, x):
    """Run a program on a dual number; return its value and its exact derivative."""
    value = Dual(WIDE(x), WIDE(1))
    for name, scale, combine in program:
        function, slope = ELEMENTARY[name]
        inner = WIDE(scale) * value.value
        new = Dual(function(inner), slope(inner) * WIDE(scale) * value.slope)
        value = new if combine == "chain" else new + value if combine == "add" else new * value
    return value
