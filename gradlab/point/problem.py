"""One point made ready: the functions under test, the inputs, the upstream gradient, and how to move."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.numerics.dtypes import is_storage, limits
from gradlab.numerics.noise import Noise
from gradlab.numerics.places import SPACING, close_places
from gradlab.numerics.scales import are_alike, scales
from gradlab.point.bounds import about_constants
from gradlab.point.drawn import SHORT, Seed, drawn_upstream
from gradlab.point.emptiness import about_nothing
from gradlab.point.evaluation import Evaluation
from gradlab.point.lengths import floors
from gradlab.point.lines import measured_noise
from gradlab.point.nonfinite import about_entries, about_outputs, without_value
from gradlab.point.outputs import OutputForm, flatten
from gradlab.point.raised import RuleRaised
from gradlab.point.resources import UNLIMITED, Resources
from gradlab.rule import TORCH

if TYPE_CHECKING:
    from gradlab.point.journal import Journal

__tracebackhide__ = is_deliberate


class Problem(Evaluation):
    """One tuple of inputs and one upstream gradient, with the functions to evaluate there.

    Here stands what is learnt at the point itself. ``call_forward``, ``calls_left`` and all counting are in
    `point.functions`, ``call_backward`` and ``call_jvp`` in `point.derivatives`, ``value``, ``evaluate`` and
    ``evaluate_entries`` in `point.evaluation`.

    The numerical side works in float64 wherever forward does so when it is given float64, at the inputs as
    their own dtype rounds them; backward and jvp are called in the dtype given.

    Parameters
    ----------
    forward : callable
        As in `gradlab.gradcheck`.
    backward, jvp : callable or None
        Likewise; neither is needed where only the forward side is wanted.
    inputs : tuple, list, dict, array, float or Arguments
        As in `gradlab.gradcheck`, or those of another problem, with its ``wrt`` and ``kwargs``.
    cached : bool
        Whether ``forward`` returns ``(output, cache)``.
    wrt, kwargs
        As in `gradlab.gradcheck`.
    bounds, tangents
        As in `gradlab.gradcheck`.
    grad_output : array or tuple of arrays, optional
        The upstream gradient, of the output's shape.
    seed : int or tuple of int, optional
        Draws the upstream gradient where none is given; without it, it is all ones.
    resources : Resources
        How often ``forward`` may be called, and by what it is evaluated.
    convention : {"torch", "jax"}
        In which complex gradients are written, see `gradlab.point.pairs`.
    noise_floor : Array, optional
        As an attribute; none by default.

    Attributes
    ----------
    arguments : Arguments
        The inputs, their names, and which are differentiated.
    constraints : Constraints
        How they may move. Neither function is called outside of the bounds, whatever is asked for.
    form : OutputForm
        The form of the outputs.
    given_output, output : Array
        ``Y``, all outputs at the point as one vector: in the dtype given, and on the numerical side.
    grad_output : Array
        ``dL/dY``, alike.
    noise_floor : Array or None
        Below which size each output may be nothing but rounding, where that was measured.
    wide : bool
        Whether the numerical side works in a wider dtype than the one given.
    eps, given_eps : float
        The unit of rounding of the numerical side, and of the coarsest dtype in which something is computed.
    given_tiny : float
        The smallest normal number of the narrowest dtype given: below it is zero.
    forward_calls, backward_calls, jvp_calls : int
        How often each function was called.
    fixed : dict of int to array of bool
        Which entries of an input are constants, where there are any: those that are not finite, or have
        equal bounds, and those whose gradient is not finite, beside outputs that are left out. Whatever is
        asked for there, the functions are evaluated at the entry itself.
    fixed_is_final : bool
        Whether an answer of backward has been read; `fixed` then stays as it is.
    left_out : array of bool or None
        Which of all outputs are not finite, and are zero, like their upstream gradient, in all that is
        returned here; ``None`` where all are finite, or none is.
    notes : list of str
        What to say of these entries and outputs, and where there is none of either.
    changed : list of (str, str)
        Which function wrote to what at the point, such as ``("forward", "x")``.
    obstacle : str
        Why ``forward`` had no value at the last displaced point where it had none; empty otherwise.

    Raises
    ------
    UsageError
        When the question is malformed.
    RuleRaised
        When ``forward`` raises at the point itself.
    MemoryError
        When a function under test raises it, here and in all calls.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any] | None,
        inputs: Any,
        *,
        jvp: Callable[..., Any] | None = None,
        cached: bool = False,
        wrt: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        bounds: Any = None,
        tangents: Any = None,
        grad_output: Any = None,
        seed: Seed | None = None,
        resources: Resources = UNLIMITED,
        convention: str = TORCH,
        noise_floor: Array | None = None,
    ) -> None:
        super().__init__(
            forward,
            backward,
            inputs,
            jvp=jvp,
            cached=cached,
            wrt=wrt,
            kwargs=kwargs,
            bounds=bounds,
            tangents=tangents,
            resources=resources,
            convention=convention,
        )
        self.notes = [about_entries(self.names[i], self.by_entry(i, mask)) for i, mask in self.fixed.items()]
        self._fix_equal_bounds()
        self.fixed_is_final = False
        self._scales: dict[int, Array] = {}
        self._floors: dict[int, tuple[tuple[float, float], ...]] = {}

        started = time.perf_counter()
        several, outputs, self._cache = self.call_forward(watch=True)
        self.pace.measured(time.perf_counter() - started, 1)
        self.form = OutputForm.of(several, outputs, convention)
        self._refuse_complex_tangents()
        self.given_output = flatten(outputs)
        own = [self.arguments.value(i).dtype for i in self.wrt]
        known = [limits(dtype) for dtype in (*self.form.dtypes, *[d for d in own if not is_storage(d)])]
        self.given_eps = max([float(of.eps) for of in known])
        self.given_tiny = max([float(of.tiny) for of in known])
        entries = {self.names[i]: self.arguments.value(i).size for i in self.wrt}
        self.notes += about_nothing(entries, outputs=self.given_output.size)
        self.output, self.wide, self.eps = self._widened(max([float(limits(dtype).eps) for dtype in own]))
        self.noise_floor = noise_floor
        left_out = without_value(self.given_output, self.output)
        if left_out is not None:
            outputs_left_out = self.form.by_entry(left_out)
            self.left_out = left_out = self.form.by_number(outputs_left_out)
            self.given_output[left_out] = self.output[left_out] = 0
            self.notes.append(about_outputs(outputs_left_out))
        if grad_output is not None:
            self.grad_output = self.form.read_upstream(grad_output)
        elif seed is None:
            self.grad_output = np.ones_like(self.output)
        else:
            # With all ones, a rule that ignores it or mixes its entries up would look right.
            upstream = drawn_upstream(seed, self.output.size)
            self.grad_output = self.form.rounded(upstream)  # as rounded as what backward sees of it
        if self.left_out is not None:
            self.grad_output[self.left_out] = 0
            if not self.grad_output.any():
                raise UsageError("grad_output is zero wherever the output is finite; expected otherwise")
        self._journal: Journal | None = None
        if resources.evaluates_elsewhere:
            self._choose_source()

    def _choose_source(self) -> None:
        """Have points beside this one evaluated by what the caller gave for it."""
        from gradlab.point.sources import Sources

        chosen = Sources.of(self, self.pace.call_seconds)
        self.source, self._journal, self.at_once = chosen.source, chosen.journal, chosen.at_once
        self.pace.spread(chosen.width)

    def close(self) -> None:
        """Close the journal, if there is one: nothing more is evaluated."""
        if self._journal is not None:
            self._journal.close()

    def _refuse_complex_tangents(self) -> None:
        if self._jvp is not None and (any(self.arguments.paired) or any(self.form.paired)):
            raise UsageError("jvp is given where numbers are complex; expected real inputs and outputs")

    def _fix_equal_bounds(self) -> None:
        """Take entries that have no room for constants."""
        if not self.constraints.boxes:
            return
        for i, box in self.constraints.boxes.items():
            constant = box.constant
            if constant.any():
                self.fixed[i] = constant | self.fixed.get(i, np.zeros_like(constant))
                self.notes.append(about_constants(self.names[i], box))
        if not any(i not in self.fixed or not self.fixed[i].all() for i in self.wrt):
            names = ", ".join(self.names[i] for i in self.wrt)
            raise UsageError(
                f"bounds leave no entry of {names} any room; expected one at least with low < high"
            )

    def _widened(self, eps_of_inputs: float) -> tuple[Array, bool, float]:
        """Return the output on the numerical side, whether inputs are wider there than given, and its eps.

        They are given in float64 where forward then answers in float64, or at least more precisely than the
        inputs are.
        """
        as_given = self.given_output, False, self.given_eps
        if max(self.given_eps, eps_of_inputs) <= np.finfo(np.float64).eps:
            return as_given
        try:
            _, outputs, _ = self.call_forward(wide=True)
        except (RuleRaised, UsageError):
            return as_given
        form = OutputForm.of(self.form.several, outputs, self.convention)
        eps = max(float(limits(dtype).eps) for dtype in form.dtypes)
        more = eps <= np.finfo(np.float64).eps or eps < eps_of_inputs
        accepts = form.shapes == self.form.shapes and form.paired == self.form.paired and more
        return (flatten(outputs), True, eps) if accepts else as_given

    def reach(self, position: int) -> Array:
        """Return how far each entry of an input is moved: its scale, or the room if that is less; to read."""
        scale = self.scale(position)
        box = self.constraints.boxes.get(position)
        return scale if box is None else box.reach(self.value(position), scale)

    def scale(self, position: int) -> Array:
        """Return the length on which forward may be expected to vary with each entry; to read only.

        Of short inputs it is kept.
        """
        if position in self._scales:
            return self._scales[position]
        x = self.value(position)
        scale = scales(x)
        if position not in self._floors:
            self._floors[position] = () if are_alike(x) else tuple(floors(self, position))
        for below, floor in self._floors[position]:
            magnitude = np.abs(x)
            scale = np.where(magnitude < below, np.maximum(magnitude, floor), scale)
        if scale.size <= SHORT:
            self._scales[position] = scale
        return scale

    def own_magnitude(self, position: int) -> Array:
        """Return the length within which each entry keeps its sign, and its bounds; infinite for zeros."""
        return self.constraints.own_magnitude(position, self.value(position))

    def direction(self, position: int, d: Array, *, at: Array | None = None) -> Array:
        """Return a direction in which an input may move: ``d``, with room on one side, constants held.

        Parameters
        ----------
        position : int
            The input.
        d : Array
            The displacement that is wanted.
        at : Array, optional
            Where the input is; at the point itself by default.
        """
        x = self.value(position) if at is None else at
        d = self.constraints.direction(position, x, d)
        return np.where(self.fixed[position], 0.0, d) if position in self.fixed else d

    def moved(self, direction: Mapping[int, Array], t: float) -> dict[int, npt.NDArray[Any]]:
        """Return the inputs at ``x + td``, those that the direction names.

        Entries that have no room on that side go the same way on the other, as far as there is any.
        """
        points = {i: (self.value(i), d) for i, d in direction.items()}
        moved = {i: np.asarray(x + t * d, dtype=x.dtype) for i, (x, d) in points.items()}
        for i, box in self.constraints.boxes.items():
            if i not in moved or i in self.constraints.projections:
                continue
            x, d = points[i]
            turned = box.turned(x, np.sign(t) * d)
            moved[i] = box.clipped(np.asarray(x + abs(t) * turned, dtype=x.dtype))
        return moved

    @property
    def noise_is_known(self) -> bool:
        """Whether `noise` was measured already."""
        return "_measured" in self.__dict__

    @property
    def noise(self) -> Array:
        """What each output may be off by: its dtype's rounding, or more where its values show more.

        It is measured, from evaluations close to the point, when it is first needed.
        """
        return self._measured.values

    @property
    def stepped(self) -> npt.NDArray[np.bool_]:
        """Which outputs were seen then to leap by multiples of a round decimal number, shape ``(m,)``."""
        return self._measured.stepped

    @property
    def close_places(self) -> list[list[float]]:
        """Where along a line, on each side, nothing but noise is left of values, as far as that is known."""
        return close_places(self._measured.spacing if self.noise_is_known else SPACING)

    @cached_property
    def _measured(self) -> Noise:
        return measured_noise(self, np.arange(self.output.size))

    @property
    def given_noise(self) -> Array:
        """What each output may be off by in the dtype given, where `noise` is that of a wider one."""
        return np.asarray(self.noise * (self.given_eps / self.eps))

    def noise_of(self, outputs: npt.NDArray[np.intp], *, leaps: bool = True) -> Array:
        """Measure what some outputs may be off by: of a few among many, that takes less of everything.

        Without ``leaps``, what scatters is noise, as in `output_noise`.
        """
        return measured_noise(self, outputs, leaps=leaps).values
