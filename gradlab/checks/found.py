"""What the checks found at one point: what was compared, what is wrong with it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gradlab.checks.claimed import Claimed
from gradlab.checks.criteria import Criteria
from gradlab.checks.locate import Region
from gradlab.checks.probes import Probes
from gradlab.report import DIFFERENCES, Cause, Finding


@dataclass(frozen=True)
class Compared:
    """What backward, or jvp, claims, beside what forward shows.

    Attributes
    ----------
    role : str
        ``backward`` or ``jvp``.
    criteria : Criteria
        By which it was judged.
    claims : Claimed
        What it claims.
    probes : tuple of Probes
        One for each input, and one for joint directions.
    regions : mapping of int to Region
        Which entries are wrong, by input, where that is known.
    """

    role: str
    criteria: Criteria
    claims: Claimed
    probes: tuple[Probes, ...]
    regions: Mapping[int, Region] = field(default_factory=dict)

    @property
    def wrong(self) -> bool:
        """Whether some probe contradicts it."""
        return any(p.wrong.any() for p in self.probes)


@dataclass(frozen=True)
class Found:
    """What the checks found at one point."""

    findings: tuple[Finding, ...] = ()
    causes: tuple[Cause, ...] = ()
    notes: tuple[str, ...] = ()
    compared: tuple[Compared, ...] = ()
    oracle: str = DIFFERENCES
