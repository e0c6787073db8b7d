"""`gradcheck`: one point of one rule, from the call to the report.

`check_point` is the whole of it: the point is made ready (`gradlab.point.problem`), backward and jvp are
called there (`gradlab.checks.maps`), all checks are run (`gradlab.checks`, where their order stands), and
what they found becomes a report (`gradlab._assemble`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlab._assemble import assemble
from gradlab._in_hypothesis import aside
from gradlab._snippet import Snippet, gradcheck_snippet
from gradlab.checks.criteria import default_rtol
from gradlab.checks.maps import FirstAnswer, backward_map, jvp_map
from gradlab.checks.one_point import Found, run_checks
from gradlab.errors import GradientError, Interrupted, UsageError, is_deliberate
from gradlab.point.functions import RuleRaised
from gradlab.point.problem import Problem
from gradlab.point.resources import UNLIMITED, Resources
from gradlab.point.values import describe
from gradlab.report import Finding, Origin, Report
from gradlab.rule import TORCH, Rule, as_reference

if TYPE_CHECKING:
    from gradlab.pictures import Pictures

__tracebackhide__ = is_deliberate


def gradcheck(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    inputs: Any,
    *,
    jvp: Callable[..., Any] | None = None,
    reference: Rule | tuple[Callable[..., Any], Callable[..., Any]] | None = None,
    cached: bool = False,
    wrt: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    grad_output: Any = None,
    bounds: Any = None,
    tangents: Mapping[str, Callable[..., Any]] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    probes: str | None = None,
    rng: int | np.random.Generator | None = None,
    max_calls: int | None = None,
    max_seconds: float | None = None,
    timeout: float | None = None,
    workers: int | Callable[..., Any] | Executor | None = None,
    vectorized: bool = False,
    journal: str | os.PathLike[str] | None = None,
    convention: str = TORCH,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check a backward rule, a forward-mode rule, or both, at one point.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs, **kwargs) -> array`` (or a tuple of arrays, for several outputs); with
        ``cached=True``, ``forward(*inputs, **kwargs) -> (output, cache)``.
    backward : callable or None
        ``backward(grad_output, *inputs, **kwargs) -> gradients``, one per input, as a tuple (a bare array
        when there is one); with ``cached=True``, ``backward(grad_output, cache) -> gradients``. ``None``
        where only ``jvp`` is checked.
    inputs : tuple, list, dict or array
        The point. Floating-point and complex arrays and numbers are differentiated; else it is a constant,
        passed through untouched, whose gradient may be left out, ``None`` or zeros. With a dict the
        functions are called by keyword, and gradients may come in a dict too. An input may itself be a
        tuple, list, dict, named tuple or dataclass of arrays, to any depth; so is its gradient then.
    jvp : callable, optional
        Forward mode: ``jvp(tangents, *inputs, **kwargs) -> tangents of the output``; with ``cached=True``,
        ``jvp(tangents, cache)``, for the cache that serves ``Jᵀu`` serves ``J v``. ``tangents`` has one for
        every input, in its shape and nested as it is (a bare array when there is one input): ``None`` for a
        constant, zeros for an input that ``wrt`` leaves out. What is returned has the form of the output.
        Every output is compared along each direction; with ``backward`` too, so is ``⟨u, J v⟩`` with
        ``⟨Jᵀu, v⟩``. Not yet of complex numbers, nor beside ``reference`` or the option ``tangents``.
    reference : Rule or tuple of two functions, optional
        Another implementation of the same mathematics whose derivative is trusted: a pair
        ``(forward, backward)`` of the plain form, whatever ``cached`` says, or a `gradlab.Rule`. It is given
        the same numbers in float64 (complex128). First both outputs are compared, then every entry of every
        gradient, to within rounding, which is measured; forward is differenced only where these differ.
    cached : bool, default False
        Whether the functions have the form of course notes, ``out, cache``.
    wrt : str, int or sequence of them, optional
        Names or positions of the inputs to differentiate, or names of arrays in them, such as ``p['W']``;
        all floating-point ones by default.
    kwargs : mapping, optional
        Further keyword arguments of both functions (with ``cached=True``, of ``forward`` alone).
    grad_output : array or tuple of arrays, optional
        The upstream gradient ``dL/dY``, of the output's shape; random by default.
    bounds : dict of str to pair, or pair, optional
        ``{name: (low, high)}``, or one pair where one array is differentiated: numbers, arrays that
        broadcast to the input, or ``None``. Neither function is called outside; an entry at a bound is
        compared on its inner side, one with ``low == high`` is a constant.
    tangents : dict of str to callable, optional
        ``{name: project}``: gradients are compared along the directions ``project(x, d)`` alone, where not
        every array is allowed: symmetric matrices, unit vectors, probabilities. `gradlab.tangents` has
        these; your own is a function ``(x, d) -> d``.
    rtol : float, optional
        The relative defect that you do not care about. By default 1e-7 in float64, and the square root
        of the unit of rounding in float32 (3e-4) and float16 (0.03); 0.13 in bfloat16.
    atol : float, optional
        The absolute defect of an entry that you do not care about; 0 by default.
    probes : {"entries", "directions"}, optional
        Whether every entry is probed by itself, or random directions of all of them, whose number does not
        grow with the size; by default entries up to 1000 of them in an input.
    rng : int or numpy.random.Generator, optional
        For the upstream gradient and the random directions. ``None`` is a fixed seed on purpose: the same
        call gives the same report.
    max_calls : int, optional
        How often ``forward`` may be called at most. What is then left unprobed is said in the report.
    max_seconds : float, optional
        How long the check may take, as far as calls of ``forward`` take it: as many of these are made as fit
        in, by the time that the first one takes. Where that is not enough for all entries, random directions
        are compared. Before a check whose calls take more than a second, the logger ``gradlab`` warns what is
        ahead, and tells at level INFO how far it is.
    timeout : float, optional
        How long one call of a function may take, in seconds. A point at which forward takes longer has no
        value. The functions are called in threads of their own.
    workers : int, callable or concurrent.futures.Executor, optional
        Who evaluates ``forward`` beside the point: so many processes of this machine (-1: one for each
        processor), an executor, such as Dask's ``client.get_executor()``, or a function like `map`. The
        report is that of one process; one that is lost is replaced. Functions are sent by ``cloudpickle``
        where that is installed.
    vectorized : bool, default False
        Whether ``forward`` takes many points at once: every differentiated input, and what is returned, then
        has one more axis, the first, also where it is called with one point. ``backward`` has it not.
    journal : path, optional
        A file in which what ``forward`` returned is kept, so that the same check, started again after
        whatever ended it, goes on from there. It serves as long as forward and the point are the same.
    convention : {"torch", "jax"}, default "torch"
        How ``backward`` writes the gradient of a real loss ``L`` by a complex ``z = x + iy``, and takes
        ``grad_output``: ``dL/dx + i dL/dy``, as torch and TensorFlow do, so that ``z - lr * gradient``
        descends, and the rule of ``f(z)`` multiplies by ``conj(f'(z))``; or ``dL/dx - i dL/dy``, as JAX and
        autograd do, whose rule multiplies by ``f'(z)``. Real rules are the same in both.
    name : str, optional
        What the report calls the rule; by default the name of ``forward``.
    raise_exception : bool, default True
        Whether to raise unless the verdict is ``pass``.

    Returns
    -------
    Report
        The verdict and what it rests on.

    Raises
    ------
    GradientError
        Unless the verdict is ``pass``; an `AssertionError` that carries the report.
    UsageError
        When the question is malformed: no floating-point input, a forward that returns no array, a function
        that does not take these arguments or uses a name that does not exist, …

    Examples
    --------
    >>> x = np.array([0.5, -1.0, 2.0])
    >>> gradcheck(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), x)
    <Report tanh: pass at 1 point>
    >>> report = gradcheck(np.tanh, lambda dy, x: dy * (1 - x**2), x, raise_exception=False)
    >>> report.inputs[0].wrong_count
    3
    >>> gradcheck(np.tanh, None, x, jvp=lambda dx, x: (1 - np.tanh(x) ** 2) * dx)
    <Report tanh: pass at 1 point>
    >>> at_zero = np.array([0.0, 2.0])
    >>> gradcheck(lambda x: x**1.5, lambda dy, x: 1.5 * dy * np.sqrt(x), at_zero, bounds=(0, None))
    <Report <lambda>: pass at 1 point>
    """
    __tracebackhide__ = True  # IPython looks for it here only
    question = Question(
        forward,
        backward,
        jvp=jvp,
        reference=reference,
        cached=cached,
        wrt=wrt,
        kwargs=kwargs,
        bounds=bounds,
        tangents=tangents,
        rtol=rtol,
        atol=atol,
        probes=probes,
        resources=Resources(
            max_calls=max_calls,
            max_seconds=max_seconds,
            timeout=timeout,
            workers=workers,
            vectorized=vectorized,
            journal=journal,
            interruptible=True,
        ),
        convention=convention,
        name=name,
    )
    report, raised = check_point(question, inputs, grad_output=grad_output, seed=seed_of(rng))
    snippet = partial(
        gradcheck_snippet,
        forward,
        backward,
        inputs,
        kwargs=kwargs,
        grad_output=grad_output,
        seed=report.seed,
        jvp=jvp,
        reference=reference,
        cached=bool(cached),
        wrt=wrt,
        bounds=bounds,
        tangents=tangents,
        rtol=rtol,
        atol=atol,
        probes=probes,
        max_calls=max_calls,
        vectorized=bool(vectorized),
        convention=None if convention == TORCH else convention,
        name=name,
    )
    return answered(report, raised, snippet, raise_exception=raise_exception)


@dataclass(frozen=True)
class Question:
    """What is asked of every point alike; the fields are those of `gradcheck`.

    With ``explain``, wrong entries are located and causes looked for. ``jacobian`` is the closed form of the
    full Jacobian, a second witness.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any] | None
    _: KW_ONLY
    jvp: Callable[..., Any] | None = None
    reference: Rule | tuple[Callable[..., Any], Callable[..., Any]] | None = None
    cached: bool = False
    wrt: Any = None
    kwargs: Mapping[str, Any] | None = None
    bounds: Any = None
    tangents: Mapping[str, Callable[..., Any]] | None = None
    rtol: float | None = None
    atol: float | None = None
    probes: str | None = None
    resources: Resources = UNLIMITED
    convention: str = TORCH
    name: str | None = None
    explain: bool = True
    jacobian: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if self.backward is None and self.jvp is None:
            raise UsageError("backward is None; expected a function (or jvp=, to check forward mode alone)")
        rtol, name = self.rtol, self.name
        if rtol is not None and not (isinstance(rtol, int | float | np.floating) and 0 < rtol < 1):
            raise UsageError(f"rtol is {describe(rtol)}; expected a number between 0 and 1")
        atol = self.atol
        if atol is not None and not (isinstance(atol, int | float | np.floating) and 0 <= atol < math.inf):
            raise UsageError(f"atol is {describe(atol)}; expected a number, zero or more")
        if self.probes not in (None, "entries", "directions"):
            raise UsageError(f"probes is {describe(self.probes)}; expected 'entries' or 'directions'")
        if name is not None and not isinstance(name, str):
            raise UsageError(f"name is {describe(name)}; expected a string")
        if self.reference is not None:
            as_reference(self.reference, self.convention)
        for option in ("reference", "tangents"):
            if self.jvp is not None and getattr(self, option):
                raise UsageError(
                    f"{option} is given beside jvp, which is compared by differences along all directions; "
                    f"expected jvp or {option}: check backward with {option} in another call"
                )

    @property
    def title(self) -> str:
        """The name in reports."""
        return self.name or str(getattr(self.forward, "__name__", type(self.forward).__name__))

    def at(self, inputs: Any, grad_output: Any, rng: np.random.Generator) -> Problem:
        """Make a point ready; ``rng`` draws the upstream gradient where none is given."""
        return Problem(
            self.forward,
            self.backward,
            inputs,
            jvp=self.jvp,
            cached=self.cached,
            wrt=self.wrt,
            kwargs=self.kwargs,
            bounds=self.bounds,
            tangents=self.tangents,
            grad_output=grad_output,
            rng=rng,
            resources=self.resources,
            convention=self.convention,
        )


@dataclass(eq=False, repr=False)
class _Point(Origin):
    """One point of a question; its pictures are taken once, when they are asked for."""

    question: Question
    inputs: Any
    grad_output: Any
    seed: int
    taken: Pictures | None = None

    def pictures(self, report: Report) -> Pictures:
        if self.taken is None:
            self.taken = self._take(report)
        return self.taken

    def _take(self, report: Report) -> Pictures:
        from gradlab.pictures import Pictures
        from gradlab.pictures.collect import collect

        resources = replace(self.question.resources, max_calls=None, max_seconds=None, interruptible=False)
        question = replace(self.question, resources=resources)
        try:
            problem = question.at(self.inputs, self.grad_output, np.random.default_rng(self.seed))
        except (RuleRaised, UsageError) as error:  # it did not, when the report was made
            return Pictures(notes=(f"no pictures: {error}",))
        roles = [role for role in ("backward", "jvp") if getattr(question, role) is not None]
        reference = question.reference
        with closing(problem):
            return collect(
                problem,
                report,
                roles=roles,
                rtol=question.rtol or default_rtol(problem.given_eps),
                atol=question.atol or 0.0,
                reference=None if reference is None else as_reference(reference, question.convention),
            )


def check_point(
    question: Question, inputs: Any, *, grad_output: Any = None, seed: int
) -> tuple[Report, BaseException | None]:
    """Check one point; return the report, and what a function under test raised there, if it did."""
    with aside():
        return _check_point(question, inputs, grad_output=grad_output, seed=seed)


def _check_point(
    question: Question, inputs: Any, *, grad_output: Any, seed: int
) -> tuple[Report, BaseException | None]:
    started = time.perf_counter()
    generator = np.random.default_rng(seed)
    original: BaseException | None = None
    problem: Problem | None = None
    try:
        problem = question.at(inputs, grad_output, generator)
        firsts = _first_answers(problem, question, generator)
        rtol = question.rtol or default_rtol(problem.given_eps)
        reference = question.reference
        # What overflows beside the point, or in our own sums, is no matter of the caller's.
        with np.errstate(all="ignore"):
            found = run_checks(
                problem,
                firsts,
                rtol=rtol,
                atol=question.atol or 0.0,
                probes=question.probes,
                explain=question.explain,
                jacobian=question.jacobian,
                reference=None if reference is None else as_reference(reference, question.convention),
                rng=generator,
            )
    except RuleRaised as raised:
        original = raised.__cause__
        found = Found(findings=(Finding("contract", None, f"{raised.role}-raises", str(raised)),))
    finally:
        if problem is not None:
            problem.close()
    if problem is not None and problem.pace.interrupted:
        original = KeyboardInterrupt()
    origin = _Point(question, inputs, grad_output, seed)
    report = assemble(question.title, found, problem=problem, started=started, seed=seed, origin=origin)
    return report, original


def _first_answers(problem: Problem, question: Question, rng: np.random.Generator) -> list[FirstAnswer]:
    """Call backward and jvp at the point, those that there are, and read what they return."""
    maps = []
    if question.backward is not None:
        maps.append(backward_map(problem))
    if question.jvp is not None:
        maps.append(jvp_map(problem, rng))
    return [FirstAnswer.of(linear) for linear in maps]


def answered(
    report: Report,
    raised: BaseException | None,
    snippet: Callable[[], Snippet],
    *,
    raise_exception: bool,
) -> Report:
    """Return a report that passes; give any other the call that makes it again, and raise it if asked to."""
    __tracebackhide__ = True
    if report.passed:
        return report
    with aside():
        text = snippet()
    report = replace(report, example=text.example, call=text.call)
    if raise_exception and isinstance(raised, KeyboardInterrupt):
        raise Interrupted(report)
    if raise_exception:
        raise GradientError(report) from raised
    return report


def seed_of(rng: int | np.random.Generator | None) -> int:
    """Return the seed that stands for ``rng``: 0 for ``None``, a drawn one for a generator.

    >>> seed_of(None), seed_of(7)
    (0, 7)
    """
    if rng is None:
        return 0
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**32))
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        return int(rng)
    raise UsageError(f"rng is {describe(rng)}; expected None, a non-negative integer or a numpy Generator")
