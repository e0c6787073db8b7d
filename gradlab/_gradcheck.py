"""`gradcheck`: one point of one rule, asked in one call; `gradlab.checks` says which way it goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

from gradlab._question import Question, answered, check_point, seed_of
from gradlab._snippet import gradcheck_snippet
from gradlab.errors import is_deliberate
from gradlab.point.resources import Resources
from gradlab.report import Report
from gradlab.rule import TORCH, Rule

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
        functions are called by keyword, and gradients may come in a dict too; in a tuple, they have the order
        of the arguments of ``forward``. An input may itself be a tuple, list, dict, named tuple or dataclass
        of arrays, to any depth; so is its gradient then.
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
        broadcast to the input, or ``None``; no pairs for each entry, as SciPy takes. Neither function is
        called outside; an entry at a bound is compared on its inner side, one with ``low == high`` is a
        constant.
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
    # What changes no verdict, such as time and who evaluates, need not be repeated.
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
