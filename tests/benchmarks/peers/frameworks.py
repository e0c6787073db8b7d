"""The planted defects for frameworks, shown to each framework's own checker and to the one that replaces it.

    pip install --editable '.[jax,autograd,torch]'
    python tests/benchmarks/peers/frameworks.py [autograd] [jax] [scipy] [torch]

Prints a table for each framework, in Markdown: what its own checker says of a right derivative and of the
wrong one beside it, and what gradlab says. A framework that is not installed is left out, and said to be.
SciPy has no checker of an operator, nor of a product with a Hessian. Its `check_grad` returns a norm: 1e-5 is
accepted here, relative where the gradient is longer than 1. What it has for Jacobians, which is private,
returns an error, of which its documentation calls a few 1e-6 good. PyTorch's is called as users call it, with
the options of the defect alone.
"""

import argparse
import importlib
import warnings
from functools import partial

import numpy as np

from gradlab.mutants.frameworks import NAMES, is_installed, load

NONE = "has none"


class SciPy:
    """SciPy's checkers, by the names of those that replace them."""

    @staticmethod
    def check_grad(func, grad, x0, bounds=None):
        """Accept a gradient."""
        from scipy.optimize import check_grad

        x = np.array(x0, dtype=float)
        return check_grad(func, grad, x.copy()) <= 1e-5 * max(1.0, np.linalg.norm(grad(x.copy())))

    @staticmethod
    def check_jac(fun, jac, x0):
        """Accept a Jacobian."""
        from scipy.optimize._numdiff import check_derivative
        from scipy.sparse.linalg import LinearOperator

        if isinstance(jac(np.array(x0, dtype=float)), LinearOperator):
            return NONE
        return check_derivative(fun, jac, np.array(x0, dtype=float)) <= 5e-6

    check_hess = check_jac

    @staticmethod
    def check_hessp(grad, hessp, x0):
        """There is none."""
        return NONE


class PyTorch:
    """PyTorch's checkers, of a `Function` by itself, and of functions that draw with a seed."""

    @staticmethod
    def gradcheck(func, inputs, **options):
        """Accept a gradient."""
        return _of_torch("gradcheck", func, inputs, **options)

    @staticmethod
    def gradgradcheck(func, inputs, **options):
        """Accept a second derivative."""
        return _of_torch("gradgradcheck", func, inputs, **options)


def _of_torch(check, func, inputs, *, seed=None, **options):
    import torch

    applied = func.apply if isinstance(func, type) else func
    copies = [
        x.detach().clone().requires_grad_(x.requires_grad) for x in inputs
    ]  # it lets func write to them

    def seeded(*tensors):
        if seed is not None:
            torch.manual_seed(seed)
        return applied(*tensors)

    return getattr(torch.autograd, check)(seeded, copies, raise_exception=False, **options)


def own_checkers(framework):
    """Return the module of a framework that has its checkers."""
    if framework in ("scipy", "torch"):
        return {"scipy": SciPy, "torch": PyTorch}[framework]
    return importlib.import_module({"jax": "jax.test_util", "autograd": "autograd.test_util"}[framework])


def said(ask):
    """Return what a checker says, in a word."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = ask()
    except AssertionError:
        return "rejected"
    except Exception as error:
        return f"raises {type(error).__name__}"
    if isinstance(answer, str):
        return answer
    return "accepted" if answer is None or answer else "rejected"


def main(frameworks):
    """Print the tables."""
    for framework in frameworks:
        if not is_installed(framework):
            print(f"{framework} is not installed\n")
            continue
        planted = load(framework).defects
        sides = own_checkers(framework), importlib.import_module(f"gradlab.{framework}")
        rows = []
        for defect in planted:
            np.random.seed(0)  # noqa: NPY002 - autograd draws from there
            answers = [
                said(partial(defect.ask, side, arguments))
                for side in sides
                for arguments in (defect.right, defect.wrong)
            ]
            rows.append((defect.name, f"`{defect.check}`", *answers))
        print(f"| {framework}: defect | asked by | its own: right | wrong | gradlab: right | wrong |")
        print("|---|---|---|---|---|---|")
        for row in rows:
            print(f"| {' | '.join(row)} |")
        missed = [sum(row[k] != "rejected" for row in rows) for k in (3, 5)]
        alarms = [sum(row[k] not in ("accepted", NONE) for row in rows) for k in (2, 4)]
        print(
            f"\n{len(rows)} defects: missed by its own checker {missed[0]}, by gradlab {missed[1]};", end=" "
        )
        print(f"right derivatives that are not accepted: {alarms[0]}, {alarms[1]}\n", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="The planted defects for frameworks, shown to both checkers."
    )
    parser.add_argument(
        "frameworks", nargs="*", default=NAMES, help=f"some of {', '.join(NAMES)} (default: all)"
    )
    main(parser.parse_args().frameworks)
