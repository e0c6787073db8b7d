"""Planted defects of functions written for PyTorch: what gradlab says, and torch's own checker by default.

    pip install --editable '.[torch]'
    python tests/benchmarks/peers/torch_functions.py

Prints a table in Markdown. Torch's checker is called as users call it, with the options of the case alone.
"""

import warnings

import torch

from gradlab.mutants.torch import CASES
from gradlab.torch import gradcheck, gradgradcheck


def gradlab_says(case, func):
    check = gradgradcheck if case.second else gradcheck
    report = check(func, case.inputs(), seed=case.seed, raise_exception=False, **case.options)
    return " ".join([str(report.verdict), *sorted(report.kinds)])


def torch_says(case, func):
    check = torch.autograd.gradgradcheck if case.second else torch.autograd.gradcheck
    applied = func.apply if isinstance(func, type) else func

    def seeded(*tensors):
        if case.seed is not None:
            torch.manual_seed(case.seed)
        return applied(*tensors)

    try:
        return "pass" if check(seeded, case.inputs(), raise_exception=False, **case.options) else "fail"
    except Exception as error:
        return f"raises {type(error).__name__}"


def main():
    warnings.simplefilter("ignore")
    print(f"PyTorch {torch.__version__}\n\n| function | defect | gradlab | torch |\n|---|---|---|---|")
    missed = alarms = count = 0
    for case in CASES:
        other = torch_says(case, case.func)
        alarms += other != "pass"
        print(f"| {case.name} | – | {gradlab_says(case, case.func)} | {other} |", flush=True)
        for defect in case.defects:
            other = torch_says(case, defect.func)
            missed, count = missed + (other == "pass"), count + 1
            print(f"| | {defect.name} | {gradlab_says(case, defect.func)} | {other} |", flush=True)
    print(f"\ntorch passes {missed} of {count} defects, and fails {alarms} of {len(CASES)} right functions")


if __name__ == "__main__":
    main()
