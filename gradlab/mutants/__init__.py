"""Planted defects: who checks the checker.

A catalogue of right rules, each with wrong variants that real people write, and a function that shows them
to a checker. Nothing heavy is loaded before `catalogue` or `run` is called.

>>> results = run(cases=[case for case in catalogue() if case.name == "bias_add"])
>>> [(result.name, result.outcome) for result in results][:2]
[('bias_add', 'accepted'), ('bias_add: averaged', 'rejected')]
"""

from __future__ import annotations

from gradlab.mutants.model import BREAKS, CAUSES, KINDS, Case, Defect
from gradlab.mutants.runner import Checker, Result, catalogue, run

__all__ = ["BREAKS", "CAUSES", "KINDS", "Case", "Checker", "Defect", "Result", "catalogue", "run"]
