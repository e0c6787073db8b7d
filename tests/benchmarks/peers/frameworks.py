"""The planted defects for frameworks, shown to each framework's own checker and to the one that replaces it.

    pip install --editable '.[jax,autograd]'
    python tests/benchmarks/peers/frameworks.py [autograd] [jax] [scipy]

Prints a table for each framework, in Markdown: what its own checker says of a right derivative and of the
wrong one beside it, and what gradlab says. A framework that is not installed is left out, and said to be.
SciPy has no checker of an operator, nor of a product with a Hessian. Its `check_grad` returns a norm: 1e-5 is
accepted here, relative where the gradient is longer than 1. What it has for Jacobians, which is private,
returns an error, of which its documentation calls a few 1e-6 good.
"""

import argparse
import importlib
import importlib.util
import warnings
from functools import partial

import numpy as np

ALL = ("autograd", "jax", "scipy")
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


def own_checkers(framework):
    """Return the module of a framework that has its checkers."""
    if framework == "scipy":
        return SciPy
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
        if importlib.util.find_spec(framework) is None:
            print(f"{framework} is not installed\n")
            continue
        planted = importlib.import_module(f"gradlab.mutants.{framework}").PLANTED
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
    parser.add_argument("frameworks", nargs="*", default=ALL, help=f"some of {', '.join(ALL)} (default: all)")
    main(parser.parse_args().frameworks)
