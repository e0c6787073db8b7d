"""What a check found, as frozen plain data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gradlab.words import counted

if TYPE_CHECKING:
    import os

    from gradlab.pictures import Pictures

DIFFERENCES, REFERENCE = "central differences", "the reference"
MAX_WRONG_ENTRIES = 100  # listed of one input


class Verdict(StrEnum):
    """The answer of a check."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Entry:
    """One entry of a gradient, or one directional derivative, from both sides.

    Attributes
    ----------
    index : tuple of int or None
        Where it stands in its input; ``None`` for a direction in which many entries move. Of a complex input
        the last is 0 for the real part of an entry, 1 for the imaginary part.
    analytic, numeric : float
        What backward or jvp gives, and what the forward function, or the reference, shows.
    error_bar : float
        What ``numeric`` may be off by.
    scale : float
        What the two are compared on: the larger of them, or the slope of the forward function nearby,
        where that is larger still and both vanish.
    role : str
        Whose ``analytic`` is: ``backward`` or ``jvp``.
    output : str
        Which output is differentiated, such as ``output[0, 1]``; empty where all are contracted with the
        upstream gradient.
    effect : float
        What the difference of the two sides does when the entry moves by its own size: by how much of what
        they are the outputs then change. Infinite where that is not known.
    """

    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    error_bar: float
    scale: float
    role: str = "backward"
    output: str = ""
    effect: float = math.inf

    def __eq__(self, other: object) -> bool:
        return self._told == other._told if isinstance(other, Entry) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._told)

    @property
    def _told(self) -> tuple[object, ...]:
        """All that there is, with a word for NaN: what is not known is equal in equal reports."""
        unknown = (isinstance(value, float) and math.isnan(value) for value in vars(self).values())
        return tuple("nan" if nan else value for nan, value in zip(unknown, vars(self).values(), strict=True))

    @property
    def error(self) -> float:
        """The difference of the two sides, relative to their scale; infinite when one is not finite."""
        if not math.isfinite(self.analytic - self.numeric):
            return math.inf
        return abs(self.analytic - self.numeric) / self.scale if self.scale else 0.0


@dataclass(frozen=True)
class InputResult:
    """What was found about the gradient of one input, or about the jvp along it.

    Attributes
    ----------
    name : str
        The input's name.
    verdict : Verdict
        Whether its gradient is right.
    size, probed : int
        How many entries it has, and how many were probed each by itself. A complex entry is two: its real
        part and its imaginary part.
    wrong_count : int
        How many of these are certainly wrong.
    wrong_entries : tuple of tuple of int
        Their indices, at most `MAX_WRONG_ENTRIES`, as in `Entry`.
    worst : Entry or None
        The probe with the largest disagreement; ``None`` when none was made.
    resolution : float or None
        Any single nonzero entry that changes by more than this part of itself is certain to be caught; the
        entry that is known worst decides. A change below ``rtol`` never fails. ``None`` where nothing was
        probed, or all is zero.
    too_small : int
        How many entries could not be told and cannot matter: error bar included, their influence is below
        ``rtol`` times the largest one of the point.
    where : str
        Which entries are wrong, in words such as ``w[:, 37]`` or ``every entry``; empty where none is, or
        where it is not known.
    paired : bool
        Whether the input is complex, so that its entries are pairs of real numbers.
    """

    name: str
    verdict: Verdict
    size: int
    probed: int
    wrong_count: int
    wrong_entries: tuple[tuple[int, ...], ...]
    worst: Entry | None
    resolution: float | None
    where: str = ""
    too_small: int = 0
    paired: bool = False


KINDS = (
    "accumulated",
    "backward-raises",
    "cache-overwritten",
    "closed-form-jacobian",
    "depends-on-memory-layout",
    "depends-on-needs-input-grad",
    "forward-raises",
    "gradient-count",
    "gradient-dtype",
    "gradient-none",
    "gradient-of-constant",
    "gradient-shape",
    "ignores-tangents",
    "ignores-upstream",
    "jacobian-contraction",
    "jacobian-shape",
    "jvp-is-no-transpose",
    "jvp-precision",
    "jvp-raises",
    "mutates-input",
    "mutates-tangents",
    "mutates-upstream",
    "nonlinear-in-tangents",
    "nonlinear-in-upstream",
    "not-batchable",
    "not-deterministic",
    "not-finite",
    "not-symmetric",
    "outside-pattern",
    "precision",
    "rmatvec-is-no-transpose",
    "tangent-count",
    "tangent-dtype",
    "tangent-none",
    "tangent-shape",
    "undefined-upstream",
    "wrong-gradient",
    "wrong-jacobian",
    "wrong-jvp",
    "wrong-reference",
    "wrong-value",
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with its evidence.

    Attributes
    ----------
    check : str
        The check that found it: ``contract``, ``gradients``, ``jvp``, ``transpose``, ``jacobian`` or
        ``reference``.
    input : str or None
        The input concerned.
    kind : str
        A stable word for this kind of defect, one of `KINDS`.
    message : str
        One sentence for people, with the numbers.
    """

    check: str
    input: str | None
    kind: str
    message: str


@dataclass(frozen=True)
class Cause:
    """A named explanation of a wrong gradient that was tested, not guessed.

    Attributes
    ----------
    code : str
        A stable word for it, such as ``factor`` or ``transposed``.
    message : str
        One sentence for people: what is wrong and what to change.
    input : str or None
        The input whose gradient it explains.
    """

    code: str
    message: str
    input: str | None


class Origin(ABC):
    """Where a report comes from: makes its pictures, and is left behind where the report goes elsewhere."""

    @abstractmethod
    def pictures(self, report: Report) -> Pictures:
        """Return the pictures of the point that a report is about."""

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()

    def __deepcopy__(self, memo: object) -> Origin:
        return self


@dataclass(frozen=True)
class Report:
    """The answer to one question, whether a backward rule is right.

    ``bool(report)`` is ``report.passed``, ``repr`` is one line, ``str`` the full text. The same call
    gives an equal report; only ``seconds`` differs, which is not compared.

    Attributes
    ----------
    name : str
        The rule's name.
    verdict : Verdict
        ``pass``, ``fail`` or ``inconclusive``.
    reason : str
        Why it is not ``pass``; empty otherwise.
    inputs : tuple of InputResult
        One per differentiated input: at the failing point when a point failed, otherwise the worst
        over all points.
    findings : tuple of Finding
        What is wrong.
    causes : tuple of Cause
        Why, simplest first; empty where nothing tested explains all that was seen.
    notes : tuple of str
        What is no defect but worth knowing.
    points, points_passed, points_failed : int
        How many points were checked, and how many of them passed and failed.
    example : str or None
        The inputs of the point as Python text, a line each; ``None`` where the verdict is ``pass``, and
        where many points were inconclusive.
    forward_calls, backward_calls, jvp_calls : int
        What the check cost in calls of the functions.
    seconds : float
        What it cost in time.
    seed : int
        Reproduces the report, as ``rng=seed``.
    call : str or None
        The call that repeats the check with these inputs, as Python text, after the imports of the
        functions that it names; ``None`` where the verdict is ``pass``.
    oracle : str
        What the gradients were compared with: ``central differences`` or ``the reference``.
    origin : Origin or None
        The point and its functions, from which `pictures` are made when they are asked for. It is no part
        of the data: not compared, and left behind where a report is pickled or written.
    """

    name: str
    verdict: Verdict
    reason: str
    inputs: tuple[InputResult, ...]
    findings: tuple[Finding, ...]
    causes: tuple[Cause, ...]
    notes: tuple[str, ...]
    points: int
    points_passed: int
    points_failed: int
    example: str | None
    forward_calls: int
    backward_calls: int
    seconds: float = field(compare=False)
    seed: int
    call: str | None = None
    oracle: str = DIFFERENCES
    jvp_calls: int = 0
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def passed(self) -> bool:
        """Whether the verdict is ``pass``."""
        return self.verdict is Verdict.PASS

    @property
    def failed(self) -> bool:
        """Whether the verdict is ``fail``."""
        return self.verdict is Verdict.FAIL

    @property
    def inconclusive(self) -> bool:
        """Whether the verdict is ``inconclusive``."""
        return self.verdict is Verdict.INCONCLUSIVE

    @property
    def kinds(self) -> set[str]:
        """The kinds of its findings; ``{"inconclusive"}`` where that is the verdict."""
        return {"inconclusive"} if self.inconclusive else {finding.kind for finding in self.findings}

    @property
    def worst(self) -> Entry | None:
        """The probe with the largest relative disagreement over all inputs."""
        entries = [result.worst for result in self.inputs if result.worst is not None]
        return max(entries, key=lambda entry: entry.error, default=None)

    @property
    def pictures(self) -> Pictures | None:
        """The numbers behind the pictures of its point, taken when they are first asked for.

        ``None`` where there is no single point, or it is not known any more: of many points that all pass,
        or of a report from a file or another process.
        """
        return None if self.origin is None else self.origin.pictures(self)

    @property
    def snippet(self) -> str | None:
        """Python text that repeats the check when it is pasted: the imports, the inputs and the call."""
        return None if self.call is None else snippet_of(self.call, self.example)

    # How a report is written is the reporters' matter: deferred, and the only arrows that point upwards.

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data that any JSON writer takes.

        Returns
        -------
        dict
            The attributes of the report under their own names, of its inputs, findings and causes too.
            ``verdict`` is a string, tuples are lists (an index such as ``[0, 1]``), and numbers that are
            not finite are the strings ``"Infinity"``, ``"-Infinity"`` and ``"NaN"``. Besides these there
            are

            ``schema_version``
                1; it grows when a key is removed or changes its meaning, not when one is added.
            ``environment``
                The versions ``gradlab``, ``python`` and ``numpy``, and the ``platform``, of the process
                that calls this.
            ``inputs[k].worst.error``
                The difference of the two sides, relative to ``scale``.

        Examples
        --------
        >>> import json
        >>> import numpy as np
        >>> from gradlab import gradcheck
        >>> report = gradcheck(np.sin, lambda dy, x: dy * np.cos(x), np.array([0.5]))
        >>> data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
        >>> data["schema_version"], data["verdict"], data["inputs"][0]["worst"]["index"]
        (1, 'pass', [0])
        """
        from gradlab.reporters.json import plain

        return plain(self)

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"<Report {self.name}: {self.verdict} at {counted(self.points, 'point')}>"

    def __str__(self) -> str:
        from gradlab.reporters.text import render

        return render(self)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the report as one page, with its pictures; nothing else is needed to open it.

        Parameters
        ----------
        path : path, optional
            Where to; a file that is there is replaced as a whole, or not at all.

        Returns
        -------
        str
            The page.

        Raises
        ------
        UsageError
            Where jinja2, which the extra ``html`` installs, is missing, or the path cannot be written.

        Examples
        --------
        >>> import numpy as np
        >>> from gradlab import gradcheck
        >>> report = gradcheck(np.sin, lambda dy, x: dy * x, np.array([0.5, 1.0]), raise_exception=False)
        >>> page = report.to_html()  # doctest: +SKIP
        """
        from gradlab.reporters.page import page_of, write_page

        text = page_of(self)
        if path is not None:
            write_page(path, text)
        return text

    def plot(self) -> Any:
        """Draw what the report is about with Matplotlib, and return the figure.

        `gradlab.plots` has each of its pictures by itself.

        Raises
        ------
        UsageError
            Where Matplotlib, which the extra ``plot`` installs, is missing, or there is no point to draw.
        """
        from gradlab.plots import overview

        return overview(self)

    def _repr_html_(self) -> str:
        from gradlab.reporters.html import render

        return render(self)


def snippet_of(call: str, example: str | None = None) -> str:
    r"""Return Python text that runs when it is pasted: the imports, the inputs and the call.

    >>> print(snippet_of("from shop import rule\ngradlab.verify(rule, rng=0)"))
    import gradlab
    from shop import rule
    gradlab.verify(rule, rng=0)
    """
    *imports, last = call.splitlines()
    body = "\n".join(filter(None, [*imports, example, last]))
    return f"import gradlab{', numpy as np' if 'np.' in body else ''}\n{body}"
