"""All cases, family by family."""

from __future__ import annotations

from gradlab.mutants import (
    activations,
    attention,
    broadcasting,
    classification,
    complex_numbers,
    conduct,
    convolutions,
    differential_equations,
    domains,
    factorizations,
    implicit,
    indexing,
    kinks,
    layers,
    losses,
    normalizations,
    precision,
    products,
    recurrence,
    reductions,
    scales,
    softmaxes,
)
from gradlab.mutants.model import Case

CASES: tuple[Case, ...] = (
    *activations.CASES,
    *kinks.CASES,
    *broadcasting.CASES,
    *reductions.CASES,
    *indexing.CASES,
    *products.CASES,
    *factorizations.CASES,
    *complex_numbers.CASES,
    *normalizations.CASES,
    *softmaxes.CASES,
    *attention.CASES,
    *losses.CASES,
    *classification.CASES,
    *convolutions.CASES,
    *recurrence.CASES,
    *implicit.CASES,
    *differential_equations.CASES,
    *scales.CASES,
    *precision.CASES,
    *domains.CASES,
    *conduct.CASES,
    *layers.CASES,
)
