"""How often `verify`, with its default settings, finds rules that are wrong at few points only.

    python tests/benchmarks/detection.py [seeds]

Beside it: the verdicts on right rules of many kinds, over the same seeds.
"""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "property_tests"))

from ordinary_rules import RIGHT, WRONG, wrong_rule

from gradlab import verify


def main(seeds):
    print(f"{'defect':40}found in {seeds} seeds, at point (mean, latest)")
    for why in WRONG:
        reports = [verify(wrong_rule(why), rng=seed, raise_exception=False) for seed in range(seeds)]
        at = [report.points for report in reports if report.failed]
        print(f"{why:40}{len(at) / seeds:6.0%}{sum(at) / max(len(at), 1):8.1f}{max(at, default=0):6}")
    print(f"\n{'right rule':40}verdicts, fewest points passed, most seconds")
    for name, rule in RIGHT.items():
        reports = [verify(rule, rng=seed, raise_exception=False) for seed in range(seeds)]
        verdicts = Counter(str(report.verdict) for report in reports)
        passed = min(report.points_passed for report in reports)
        print(f"{name:40}{dict(verdicts)} {passed} {max(report.seconds for report in reports):.1f}")
        for report in reports:
            if report.failed:
                print(report)
                break


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
