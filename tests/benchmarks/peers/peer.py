"""What a peer is, and how it is shown a rule: constants left out, in the dtype that it wants."""

import warnings
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from importlib import metadata

import numpy as np

ENTRIES = 100_000  # more than these one by one take minutes to hours


CONVENTIONS = "complex gradients: each has a convention of its own, if any"


class NotApplicable(Exception):
    """The peer cannot be asked this; it has missed nothing."""


@dataclass(frozen=True)
class Peer:
    """A checker of gradients.

    Attributes
    ----------
    name : str
        The function that is called.
    package : str
        The distribution that it comes in; empty for what is written here.
    check : callable
        ``check(f, b, xs, rng) -> bool``: whether it accepts.
    every_entry : bool
        Whether it checks each entry by itself; otherwise along random directions.
    single : bool
        Whether it makes provision for float32. The others' documentation asks for double precision, or they
        convert to it: they are given the same numbers in float64.
    shapes : bool
        Whether the shape of a gradient is its matter. Otherwise what it belongs to sees to that: PyTorch sums
        a broadcast gradient to the input's shape, `jax.custom_vjp` refuses another one, vectors have none.
    traced : bool
        Whether tracemalloc sees what it allocates.
    variant : bool
        Whether it differs from another one in its tolerance only, and costs the same.
    """

    name: str
    package: str
    check: Callable[..., bool]
    _: KW_ONLY
    every_entry: bool = False
    single: bool = False
    shapes: bool = False
    traced: bool = True
    variant: bool = False

    @property
    def version(self):
        """The version installed; ``None`` where there is none."""
        try:
            return metadata.version(self.package) if self.package else ""
        except metadata.PackageNotFoundError:
            return None

    def checker(self, seed):
        """Return it in the form that `gradlab.mutants.run` takes."""

        def checker(forward, backward, inputs):
            if any(map(np.iscomplexobj, inputs)):
                raise NotApplicable(CONVENTIONS)
            f, b, xs = of_floating(forward, backward, inputs, double=not self.single)
            if self.every_entry and sum(x.size for x in xs) > ENTRIES:
                raise NotApplicable("too large to check every entry")
            reshaped = False

            def watched(dy, *values):
                nonlocal reshaped
                gradients = b(dy, *values)
                if len(gradients) == len(xs):
                    reshaped |= any(np.shape(g) != x.shape for g, x in zip(gradients, xs, strict=True))
                return gradients

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                accepted = self.check(_real(f), watched, xs, np.random.default_rng(seed))
            if accepted and reshaped and not self.shapes:
                raise NotApplicable("the shape of a gradient is not its matter")
            return accepted

        return checker


def _real(f):
    def forward(*values):
        output = f(*values)
        if np.iscomplexobj(output):
            raise NotApplicable(CONVENTIONS)
        return output

    return forward


def of_floating(forward, backward, inputs, *, double):
    """Return the functions of the floating-point inputs alone, and these; the others are constants."""
    places = [i for i, value in enumerate(inputs) if np.asarray(value).dtype.kind == "f"]
    xs = [np.asarray(inputs[i], dtype=float if double else None) for i in places]

    def complete(values):
        given = list(inputs)
        for i, value in zip(places, values, strict=True):
            given[i] = value
        return given

    def b(dy, *values):
        gradients = backward(dy, *complete(values))
        return gradients if isinstance(gradients, tuple) else (gradients,)

    return lambda *values: forward(*complete(values)), b, xs
