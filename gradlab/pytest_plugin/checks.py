"""The checks of gradlab as a test uses them: with its seed and its tolerance, and noted for the summary."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from gradlab.errors import GradientError, UsageError
from gradlab.pytest_plugin.records import RUNNING
from gradlab.pytest_plugin.settings import raises_undecided, settings_of

if TYPE_CHECKING:
    from gradlab.report import Report

# What is had by its name: the modules of frameworks, and what checks a single point.
MODULES = ("autograd", "jax", "scipy", "torch")
FUNCTIONS = ("check_layer", "check_value_and_grad", "gradgradcheck")

Exc = TypeVar("Exc", bound=BaseException)


class Checks:
    """What the fixture is: `gradlab.gradcheck`, and the other checks by their names."""

    def __init__(self, config: pytest.Config) -> None:
        from gradlab._gradcheck import gradcheck

        self._config = config
        functools.update_wrapper(self, gradcheck)
        self._gradcheck = _noted(config, gradcheck)

    def __call__(self, *args: Any, **options: Any) -> Report:
        """Check a gradient, as `gradlab.gradcheck`."""
        __tracebackhide__ = True
        report: Report = self._gradcheck(*args, **options)
        return report

    def __getattr__(self, name: str) -> Any:
        """Return another check, or a module of them."""
        if name in MODULES:
            return _Members(self._config, importlib.import_module(f"gradlab.{name}"))
        if name in FUNCTIONS:
            import gradlab

            return _noted(self._config, getattr(gradlab, name))
        known = ", ".join((*MODULES, *FUNCTIONS))
        raise AttributeError(f"the fixture gradcheck has no {name!r}; expected one of {known}")


class _Members:
    """The checks of one module."""

    def __init__(self, config: pytest.Config, module: ModuleType) -> None:
        self._config, self._module = config, module

    def __getattr__(self, name: str) -> Any:
        if name not in self._module.__all__:
            known = ", ".join(self._module.__all__)
            raise AttributeError(f"{self._module.__name__} has no {name!r}; expected one of {known}")
        return _noted(self._config, getattr(self._module, name))


def _noted(config: pytest.Config, check: Callable[..., Any]) -> Callable[..., Any]:
    """Return a check that uses the settings of the test that runs, and notes there what it says."""
    takes = inspect.signature(check).parameters

    @functools.wraps(check)
    def checked(*args: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        running = config.stash.get(RUNNING, None)
        settings = settings_of(config, running.item if running is not None else None)
        for option, setting in (("rng", "seed"), ("rtol", "rtol")):
            if option in takes and options.get(option) is None and settings.get(setting) is not None:
                options[option] = settings[setting]
        asked = functools.partial(check, *args, **options)
        if not options.get("raise_exception", True):
            return asked()
        if takes_further(check):
            return lambda *further, **keywords: answer(lambda: asked()(*further, **keywords))
        return answer(asked)

    def answer(asked: Callable[[], Report]) -> Report:
        __tracebackhide__ = True
        failure = None
        try:
            report = asked()
        except GradientError as error:
            report, failure = error.report, _without_own_frames(error).with_traceback(None)
        except UsageError as error:
            raise error.with_traceback(None)  # noqa: B904 - it is the same exception, without the frames
        running = config.stash.get(RUNNING, None)
        if running is not None:
            running.note(report.name, report.verdict, report.reason)
        # On two lines: Hypothesis tells failures apart by the line, and would shrink one kind to the other.
        if failure is not None and report.failed:
            raise failure
        if failure is not None and raises_undecided(config):
            raise failure
        return report

    return checked


def takes_further(check: Callable[..., Any]) -> bool:
    """Whether a check returns a function that checks, as that of autograd does."""
    return str(inspect.signature(check).return_annotation).startswith("Callable")


def _without_own_frames(error: Exc) -> Exc:
    """Drop what an exception's traceback, and that of its cause, have of gradlab before the user's code."""
    if error.__cause__ is not None:
        _without_own_frames(error.__cause__)
    rest = error.__traceback__
    while rest is not None and rest.tb_frame.f_globals.get("__name__", "").partition(".")[0] == "gradlab":
        rest = rest.tb_next
    return error.with_traceback(rest)
