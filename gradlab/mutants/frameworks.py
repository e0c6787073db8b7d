"""The planted defects for frameworks, shown to the checks of gradlab that replace those of each."""

from __future__ import annotations

import importlib
import importlib.util
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from gradlab.mutants.planted import Planted
from gradlab.mutants.runner import OUTCOMES, Result

NAMES = ("scipy", "autograd", "jax", "torch")


@dataclass(frozen=True, eq=False)
class Framework:
    """A framework with its planted defects.

    Attributes
    ----------
    name : str
        As it is imported.
    defects : tuple of Planted
        Each beside its right derivative.
    """

    name: str
    defects: tuple[Planted, ...]


def is_installed(name: str) -> bool:
    """Whether a framework can be imported, which takes a while, and is not done here."""
    return importlib.util.find_spec(name) is not None


def load(name: str) -> Framework:
    """Import a framework, and return its planted defects.

    >>> [defect.check for defect in load("scipy").defects][:2]
    ['check_grad', 'check_grad']
    """
    return Framework(name, importlib.import_module(f"gradlab.mutants.{name}").PLANTED)


def framework_results(framework: Framework) -> Iterator[Result]:
    """Yield what gradlab says of each right derivative, and then of the wrong one in its place."""
    checks = importlib.import_module(f"gradlab.{framework.name}")
    for planted in framework.defects:
        for defect, arguments in ((None, planted.right), (planted, planted.wrong)):
            causes: tuple[str, ...] = ()
            calls, started = 0, time.perf_counter()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of the framework, and of what overflows in a wrong rule
                    report = planted.ask(checks, arguments, raise_exception=False)
                outcome, said, calls = OUTCOMES[report.verdict], report.reason, report.forward_calls
                causes = tuple(cause.code for cause in report.causes)
            except Exception as error:
                outcome, said = "error", f"{type(error).__name__}: {error}"
            message = said if defect or not said else f"beside {planted.name}: {said}"
            seconds = time.perf_counter() - started
            yield Result(framework, defect, 0, outcome, message, causes, calls, seconds)
