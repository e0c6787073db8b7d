"""All cases, family by family."""

from __future__ import annotations

from gradlab.mutants import (
    activations,
    attention,
    conduct,
    convolutions,
    differential_equations,
    implicit,
    indexing,
    linear_algebra,
    losses,
    normalizations,
    numerics,
    recurrence,
    reductions,
)
from gradlab.mutants.model import Case

CASES: tuple[Case, ...] = (
    *activations.CASES,
    *reductions.CASES,
    *indexing.CASES,
    *linear_algebra.CASES,
    *normalizations.CASES,
    *attention.CASES,
    *losses.CASES,
    *convolutions.CASES,
    *recurrence.CASES,
    *implicit.CASES,
    *differential_equations.CASES,
    *numerics.CASES,
    *conduct.CASES,
)
