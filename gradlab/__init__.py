"""gradlab answers one question: is this backward rule right, and if not, where and why.

A *rule* is a forward function and the backward rule that claims to be its gradient. gradlab compares
what the backward rule returns with what the forward function itself does when its inputs move.

>>> import numpy as np
>>> import gradlab
>>> def forward(x, w):
...     return x @ w
>>> def backward(dy, x, w):
...     return dy @ w.T, x.T @ dy
>>> report = gradlab.gradcheck(forward, backward, (np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])))
>>> report.passed
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gradlab._in_hypothesis import aside

if TYPE_CHECKING:
    from gradlab import autograd as autograd
    from gradlab import jax as jax
    from gradlab import plots as plots
    from gradlab import pytest_plugin as pytest_plugin
    from gradlab import scipy as scipy
    from gradlab import strategies as strategies
    from gradlab import tangents as tangents
    from gradlab import torch as torch
    from gradlab._explain import explain as explain
    from gradlab._gradcheck import gradcheck as gradcheck
    from gradlab._gradgradcheck import gradgradcheck as gradgradcheck
    from gradlab._numerical import numerical_jacobian as numerical_jacobian
    from gradlab._numerical import numerical_vjp as numerical_vjp
    from gradlab._value_and_grad import check_value_and_grad as check_value_and_grad
    from gradlab._verify import verify as verify
    from gradlab.errors import GradientError as GradientError
    from gradlab.errors import UsageError as UsageError
    from gradlab.layers import check_layer as check_layer
    from gradlab.report import Cause as Cause
    from gradlab.report import Finding as Finding
    from gradlab.report import InputResult as InputResult
    from gradlab.report import Report as Report
    from gradlab.report import Verdict as Verdict
    from gradlab.rule import Rule as Rule
    from gradlab.runs.run import run as run

__version__ = "0.1.0"

# Each public name is loaded when it is first used, so that `import gradlab` costs nothing beyond Python.
_HOME = {
    "Cause": "gradlab.report",
    "Finding": "gradlab.report",
    "GradientError": "gradlab.errors",
    "InputResult": "gradlab.report",
    "Report": "gradlab.report",
    "Rule": "gradlab.rule",
    "UsageError": "gradlab.errors",
    "Verdict": "gradlab.report",
    "check_layer": "gradlab.layers",
    "check_value_and_grad": "gradlab._value_and_grad",
    "explain": "gradlab._explain",
    "gradcheck": "gradlab._gradcheck",
    "gradgradcheck": "gradlab._gradgradcheck",
    "numerical_jacobian": "gradlab._numerical",
    "numerical_vjp": "gradlab._numerical",
    "run": "gradlab.runs.run",
    "verify": "gradlab._verify",
}

# Modules that are used by their name, as in `gradlab.strategies.inputs`; loaded likewise.
_MODULES = ("autograd", "jax", "plots", "pytest_plugin", "scipy", "strategies", "tangents", "torch")

__all__ = [
    "Cause",
    "Finding",
    "GradientError",
    "InputResult",
    "Report",
    "Rule",
    "UsageError",
    "Verdict",
    "check_layer",
    "check_value_and_grad",
    "explain",
    "gradcheck",
    "gradgradcheck",
    "numerical_jacobian",
    "numerical_vjp",
    "run",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME and name not in _MODULES:
        raise AttributeError(f"module 'gradlab' has no attribute {name!r}")
    with aside():
        if name in _MODULES:
            return importlib.import_module(f"gradlab.{name}")  # which binds the name, too
        value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES, "__version__"])
