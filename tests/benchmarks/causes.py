"""Which causes are named for the planted defects of `gradlab.mutants`, beside what the catalogue calls them.

    python tests/benchmarks/causes.py [SEED ...]

Whether a cause that the catalogue does not give is nevertheless true cannot be judged by a program: these are
printed with their messages, to be read.
"""

import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np

from gradlab.mutants import catalogue
from gradlab.mutants.model import CAUSES
from gradlab.mutants.runner import check, point

BAR = 0.9  # of the defects that the catalogue has a code for


@dataclass(frozen=True)
class Explained:
    """One defect at one point: what the catalogue calls it, and the causes that were named."""

    name: str
    expected: str | None
    seed: int
    causes: tuple
    finding: str

    @property
    def first(self):
        """The code that was named first, if any."""
        return self.causes[0].code if self.causes else None


def explain(cases, seed):
    """Yield what is said of every defect that is caught at one point."""
    for case in cases:
        inputs = point(case, seed)
        for defect in case.defects:
            forward, backward = case.functions(defect)
            with np.errstate(all="ignore"):  # what overflows in a wrong rule is its own matter
                report = check(case, forward, backward, inputs, seed)
            if report.failed:
                name = f"{case.name}: {defect.name}"
                yield Explained(name, defect.cause, seed, report.causes, report.reason)


def table(explained):
    """Print, per code, how often it came first, and the overall rate beside the bar."""
    print(f"{'cause':<32}{'defects':>8}{'first':>7}{'other':>7}{'none':>6}")
    total = Counter()
    for code in (*CAUSES, None):
        of_code = [e for e in explained if e.expected == code]
        counts = Counter(
            "none" if e.first is None else "first" if e.first == code else "other" for e in of_code
        )
        total += counts if code is not None else Counter()
        first = "-" if code is None else counts["first"]
        row = f"{len(of_code):>8}{first:>7}{counts['other']:>7}{counts['none']:>6}"
        print(f"{code or '(no code)':<32}{row}")
    defects = total.total()
    rate = total["first"] / defects
    print(f"{'with a code':<32}{defects:>8}{total['first']:>7}{total['other']:>7}{total['none']:>6}")
    met = "met" if rate >= BAR else "NOT met"
    print(f"\nthe catalogue's code comes first: {rate:.1%} (bar {BAR:.0%}): {met}")


def to_read(explained):
    """Print what the table cannot judge: other causes, causes where the catalogue has none, and silence."""
    for title, chosen in (
        ("another cause first", [e for e in explained if e.expected and e.first not in (None, e.expected)]),
        ("a cause, where the catalogue has none", [e for e in explained if not e.expected and e.first]),
        ("no cause", [e for e in explained if e.expected and not e.first]),
    ):
        print(f"\n{title}: {len(chosen)}")
        for e in sorted(chosen, key=lambda e: (e.expected or "", e.name, e.seed)):
            print(f"  {e.name} (seed {e.seed})" + (f", expected {e.expected}" if e.expected else ""))
            for cause in e.causes:
                print(f"      {cause.code}: {cause.message}")
            if not e.causes:
                print(f"      {e.finding}")


def main(seeds):
    """Print the table and the lists."""
    explained = [e for seed in seeds for e in explain(catalogue(), seed)]
    table(explained)
    to_read(explained)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [0])
