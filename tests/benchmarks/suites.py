"""The frameworks' own tests, with their checkers replaced by gradlab's: judges that were not written here.

    python tests/benchmarks/suites.py autograd PATH/TO/autograd [pytest options]
    python tests/benchmarks/suites.py jax PATH/TO/jax [pytest options]
    python tests/benchmarks/suites.py scipy [PATH/TO/scipy] [pytest options]

With ``--limit SECONDS`` the tests run in a random order, always the same, and no further one is begun when
the time is over.

A path is that of a checkout whose version is the installed one; SciPy brings its tests with it. Every call of
a checker there is made by both, with the same arguments. SciPy's tests have none: each derivative that they
hand to a solver is checked. Prints how often both said what, the CPU times, and every call of which gradlab
says something else than "pass". Tests that fail by themselves do so with or without it.
"""

import argparse
import collections
import contextlib
import functools
import importlib.util
import inspect
import os
import random
import time
import traceback
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gradlab import UsageError

PASS, UNDECIDED = "pass", "inconclusive"


class Collected:
    """What both checkers said, and how long it took them; a plugin of pytest that prints it at the end."""

    def __init__(self, title):
        self.title, self.seconds, self.limit, self.asking = title, [0.0, 0.0], None, False
        self.started = time.monotonic()
        self.counts = collections.Counter()
        self.differing = collections.defaultdict(list)  # what was said -> in which tests

    def ask(self, place, call):
        """Return what one of both checkers says: its verdict, and what there is to be read."""
        started, self.asking = time.process_time(), True
        try:
            report = call()
            return (PASS, "") if report is None else (str(report.verdict), str(report))
        except NotImplementedError:
            raise  # there is no derivative, which the tests may expect
        except UsageError as error:
            return "no question", str(error)
        except AssertionError as error:
            return ("fail", str(error)) if place == 0 else ("its own AssertionError", str(error))
        except Exception as error:
            return type(error).__name__, traceback.format_exc(limit=-3) + str(error)
        finally:
            self.seconds[place] += time.process_time() - started
            self.asking = False

    def both(self, theirs, ours):
        """Ask both checkers; return what the peer's own said."""
        own = ("", "") if theirs is None else self.ask(0, theirs)
        mine = self.ask(1, ours)
        self.counts[own[0], mine[0]] += 1
        if mine[0] != PASS:
            test = os.environ.get("PYTEST_CURRENT_TEST", "").removesuffix(" (call)")
            own_words = "" if theirs is None else f"the peer's own: {own[0]}; "
            self.differing[f"  {own_words}gradlab: {mine[0]}\n  {mine[1]}"].append(test)
        return own

    def pytest_collection_modifyitems(self, items):
        """Take a random sample, where the time is limited."""
        if self.limit is not None:
            random.Random(0).shuffle(items)

    def pytest_runtest_setup(self, item):
        """Stop when the time is over."""
        if self.limit is not None and time.monotonic() - self.started > self.limit:
            item.session.shouldstop = "the time is over"

    def pytest_unconfigure(self):
        """Print what was collected."""
        total = sum(self.counts.values())
        print(f"\n{self.title}: {total} checks\n")
        print("| the peer's own | gradlab | checks |\n|---|---|--:|")
        for (own, mine), count in self.counts.most_common():
            print(f"| {own or '–'} | {mine} | {count} |")
        undecided = sum(count for (_, mine), count in self.counts.items() if mine == UNDECIDED)
        print(
            f"\nundecided: {undecided / max(total, 1):.2%}; CPU time of gradlab {self.seconds[1]:.1f} s",
            end="",
        )
        if self.seconds[0]:
            print(
                f", of the peer's own {self.seconds[0]:.1f} s, ratio {self.seconds[1] / self.seconds[0]:.2f}",
                end="",
            )
        print()
        for text, tests in self.differing.items():
            print(f"\n- {len(tests)} × {tests[0]}\n{text}")


def autograd(path, options):
    """Run autograd's tests."""
    from autograd import test_util

    from gradlab.autograd import check_grads

    collected, own = Collected("autograd's own suite"), test_util.check_grads

    def both(f, argnum=0, modes=("fwd", "rev"), order=2):
        if collected.asking:  # for the derivatives of f, autograd's own calls itself by this name
            return own(f, argnum, modes, order)

        def check(*args, **kwargs):
            def theirs():
                own(f, argnum, list(modes), order)(*args, **kwargs)

            def ours():
                return check_grads(f, argnum, modes, order, raise_exception=False)(*args, **kwargs)

            state = np.random.get_state()  # noqa: NPY002 - the peer draws from there
            verdict, message = collected.both(theirs, ours)
            np.random.set_state(state)  # noqa: NPY002 - likewise
            if verdict == "fail":
                raise AssertionError(message)

        return check

    test_util.check_grads = both
    return collected, [str(path / "tests"), *options]


def jax(path, options):
    """Run those of JAX's tests that are about derivatives: of lax, and of nn."""
    import jax.test_util
    from jax._src import public_test_util, test_util

    from gradlab.jax import check_grads

    collected, own = Collected("JAX's lax_autodiff_test and nn_test"), public_test_util.check_grads

    def both(f, args, order, modes=("fwd", "rev"), atol=None, rtol=None, eps=None):
        def theirs():
            own(f, args, order, modes, atol, rtol, eps)

        def ours():
            return check_grads(f, args, order, modes, atol, rtol, eps, raise_exception=False)

        collected.both(theirs, ours)

    for module in (public_test_util, test_util, jax.test_util):
        module.check_grads = both
    tests = [str(path / "tests" / f"{name}.py") for name in ("lax_autodiff_test", "nn_test")]
    return collected, [*([] if any(option.endswith(".py") for option in options) else tests), *options]


# The arguments of SciPy's older interfaces that are no method of `minimize`: function, derivative, point.
FMIN = ("fmin_bfgs", "fmin_cg", "fmin_ncg", "fmin_l_bfgs_b", "fmin_tnc", "fmin_slsqp")
SOLVERS = ("minimize", "least_squares", "root")


def scipy(path, options):
    """Run the tests of scipy.optimize; each derivative that is handed to a solver is checked before."""
    from scipy import optimize
    from scipy.optimize import _numdiff

    from gradlab.scipy import check, check_grad, check_hess, check_hessp, check_jac

    collected, quiet = Collected("the derivatives in scipy.optimize's own tests"), {"raise_exception": False}

    def reports(name, a):
        """Yield a check of each derivative in a call of a solver, given its arguments by name."""
        if name in SOLVERS:
            given = {
                key: a[key]
                for key in ("args", "kwargs", "jac", "hess", "hessp", "bounds", "constraints")
                if a.get(key) is not None
            }
            listed = given.get("constraints", ())
            listed = listed if isinstance(listed, tuple | list) else [listed]
            jacs = [c.get("jac") if isinstance(c, dict) else getattr(c, "jac", None) for c in listed]
            derivatives = [*jacs, *(given.get(key) for key in ("jac", "hess", "hessp"))]
            if not any(callable(derivative) or derivative is True for derivative in derivatives):
                return
            yield partial(check, getattr(optimize, name), a["fun"], a["x0"], **given, **quiet)
            return
        args = a.get("args", ())
        args = args if isinstance(args, tuple) else (args,)
        fun, fprime = a.get("f", a.get("func")), a.get("fprime", a.get("Dfun"))
        box = {"bounds": a["bounds"]} if a.get("bounds") else {}
        if not callable(fprime):
            return
        if name in FMIN:
            yield partial(check_grad, fun, fprime, a["x0"], *args, **box, **quiet)
            if callable(a.get("fhess")):
                yield partial(check_hess, fprime, a["fhess"], a["x0"], args, **quiet)
            if callable(a.get("fhess_p")):
                yield partial(check_hessp, fprime, a["fhess_p"], a["x0"], args, **quiet)
        elif not a.get("col_deriv"):
            yield partial(check_jac, fun, fprime, a["x0"], args, **quiet)

    def watched(name, solver):
        @functools.wraps(solver)
        def called(*args, **kwargs):
            with contextlib.suppress(TypeError):  # that the solver will raise, too
                bound = inspect.signature(solver).bind(*args, **kwargs)
                bound.apply_defaults()
                for ask in reports(name, bound.arguments):
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        collected.both(None, ask)
            return solver(*args, **kwargs)

        return called

    def check_derivative(fun, jac, x0, bounds=(-np.inf, np.inf), args=(), kwargs=None):
        collected.both(None, partial(check_jac, fun, jac, x0, args, kwargs, bounds=bounds, **quiet))
        return own(fun, jac, x0, bounds, args, kwargs)

    own, _numdiff.check_derivative = _numdiff.check_derivative, check_derivative
    for name in (*SOLVERS, *FMIN, "fsolve", "leastsq"):
        setattr(optimize, name, watched(name, getattr(optimize, name)))
    where = ["--pyargs", "scipy.optimize.tests"]
    return collected, [*where, "-p", "no:cacheprovider", *([str(path)] if path else []), *options]


def main(suite, path, limit, options):
    """Run one suite."""
    if importlib.util.find_spec(suite) is None:
        raise SystemExit(f"{suite} is not installed")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    collected, arguments = {"autograd": autograd, "jax": jax, "scipy": scipy}[suite](path, options)
    collected.limit = limit
    quiet = ["-q", "--no-header", "-p", "no:xdist", "-W", "ignore", "--tb=line", "--rootdir", "/"]
    pytest.main([*quiet, *arguments], plugins=[collected])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", choices=("autograd", "jax", "scipy"))
    parser.add_argument("path", nargs="?", type=Path, help="a checkout; SciPy's tests are installed with it")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="after which no further test is begun")
    known, further = parser.parse_known_args()
    if known.path is None and known.suite != "scipy":
        parser.error(f"expected the path of a checkout of {known.suite}")
    main(known.suite, known.path, known.limit, further)
