"""PyTorch's operators, which it differentiates itself: what gradlab says of them, and torch's own checker.

    pip install --editable '.[torch]' expecttest
    python tests/benchmarks/op_db.py [--mode reverse forward second complex] [--samples 3] [--every 1]

The operator database is the material of PyTorch's own tests. Shown are the first samples of each operator
that has derivatives, with at most 200 entries that require a gradient, in float64 (complex128). Every failure
is listed by name, beside what `torch.autograd.gradcheck` says in its slow mode. Times are CPU times of one
thread, of both checkers in the same run.
"""

import argparse
import os
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # read when PyTorch is imported, below

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils import _pytree as pytree

from gradlab.point.raised import RuleRaised
from gradlab.torch import gradcheck, gradgradcheck
from gradlab.torch.beside import Beside
from gradlab.torch.functions import point_of

ENTRIES = 200
HEAD = ("mode", "checks", "pass", "fail", "undecided", "error", "torch: pass / fail / error")
HEAD += ("s", "torch: s", "ratio")
MODES = ("reverse", "forward", "second", "complex")
PEERS = {
    "reverse": {"check_forward_ad": False},
    "forward": {"check_backward_ad": False, "check_forward_ad": True, "check_undefined_grad": False},
    "complex": {"check_forward_ad": False},
}


@dataclass
class Said:
    """What a checker said of the samples, and in what CPU time."""

    answers: list = field(default_factory=list)
    seconds: float = 0.0

    def ask(self, checker, *arguments):
        started = time.process_time()
        try:
            answer = checker(*arguments)
        except Exception as error:
            answer = f"error: {type(error).__name__}: {' '.join(str(error).split())}"
        self.seconds += time.process_time() - started
        self.answers.append(answer)
        return answer


def samples(mode, most, every):
    """Yield names, functions and inputs; of every n-th sample only."""
    dtype = torch.complex128 if mode == "complex" else torch.float64
    number = 0
    for op in op_db:
        supported = op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")
        if mode == "forward":
            supported = supported and op.supports_forward_ad
        if mode == "second":
            supported = supported and op.supports_gradgrad
        if not supported:
            continue
        torch.manual_seed(0)
        title, count = f"{op.name}{'.' * bool(op.variant_test_name)}{op.variant_test_name}", 0
        for k, sample in enumerate(op.sample_inputs("cpu", dtype, requires_grad=True)):
            function, inputs = as_function(op, sample)
            if not inputs or not 0 < sum(x.numel() for x in inputs) <= ENTRIES:
                continue
            count += 1
            if count > most:
                break
            number += 1
            if number % every == 0:
                yield f"{title} {k}", op, function, inputs


def as_function(op, sample):
    """Return a sample as a function of the tensors that require a gradient, as PyTorch's own tests do."""
    leaves, structure = pytree.tree_flatten(((sample.input, *sample.args), sample.kwargs))
    places = [k for k, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]

    def function(*tensors):
        new = dict(zip(places, tensors, strict=True))
        args, kwargs = pytree.tree_unflatten([new.get(k, leaf) for k, leaf in enumerate(leaves)], structure)
        output = op.gradcheck_wrapper(op.get_op(), *args, **kwargs)
        return sample.output_process_fn_grad(output) if sample.output_process_fn_grad else output

    inputs = tuple(leaves[k].detach().requires_grad_() for k in places)
    return (function, inputs) if all(x.layout is torch.strided for x in inputs) else (function, ())


def gradlab_says(mode, function, inputs):
    options = {"seed": 0, "raise_exception": False}
    if mode == "forward":  # by the dot-product test alone: differences are taken only where that fails
        try:
            message = Beside(point_of(function, inputs, seed=0, name=None), 0).forward_mode(None)
        except RuleRaised as error:
            raise error.__cause__ from None
        if message is None:
            return "pass"
        report = gradcheck(function, inputs, check_forward_ad=True, **options)
        return f"{report.verdict}: {report.reason or message}"
    if mode == "second":
        report = gradgradcheck(function, inputs, check_fwd_over_rev=False, **options)
    else:
        report = gradcheck(function, inputs, check_forward_ad=False, **options)
    return str(report.verdict) + (f": {report.reason}" if report.reason else "")


def torch_says(mode, op, function, inputs):
    def seeded(*tensors):
        torch.default_generator.manual_seed(0)
        return function(*tensors)

    options = {"raise_exception": False, "nondet_tol": op.gradcheck_nondet_tol, "fast_mode": False}
    if mode == "second":
        return torch.autograd.gradgradcheck(seeded, inputs, **options)
    return torch.autograd.gradcheck(seeded, inputs, **options, **PEERS[mode])


def measure(mode, most, every, show):
    """Print what both checkers say in one mode."""
    ours, theirs, unlike = Said(), Said(), []
    for name, op, function, inputs in samples(mode, most, every):
        answer = ours.ask(gradlab_says, mode, function, inputs)
        other = theirs.ask(torch_says, mode, op, function, inputs)
        if answer != "pass":
            unlike.append(f"- {name}: {answer[:400]} (torch: {other})")
            if show:
                print(unlike[-1], file=sys.stderr, flush=True)
    kinds = Counter(answer.partition(":")[0] for answer in ours.answers)
    peer = Counter({True: "pass", False: "fail"}.get(answer, "error") for answer in theirs.answers)
    row = [mode, len(ours.answers)]
    row += [kinds[kind] for kind in ("pass", "fail", "inconclusive", "error")]
    row += [f"{peer['pass']} / {peer['fail']} / {peer['error']}"]
    row += [f"{ours.seconds:.1f}", f"{theirs.seconds:.1f}", f"{ours.seconds / theirs.seconds:.2f}"]
    return row, unlike


def main(arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"PyTorch {torch.__version__}; first {arguments.samples} samples of each operator with", end=" ")
    print(f"at most {ENTRIES} entries, every {arguments.every}.\n")
    print(f"| {' | '.join(HEAD)} |\n|---{'|--:' * (len(HEAD) - 1)}|", flush=True)
    lists = {}
    for mode in arguments.mode:
        row, lists[mode] = measure(mode, arguments.samples, arguments.every, arguments.verbose)
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    for mode, lines in lists.items():
        print(f"\n{mode}: not passed\n", *(lines or ["- none"]), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="PyTorch's operators, checked by gradlab and by torch.")
    parser.add_argument("--mode", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--samples", type=int, default=3, help="of each operator, at most (default: 3)")
    parser.add_argument("--every", type=int, default=1, help="take every n-th sample only (default: 1)")
    parser.add_argument("--verbose", action="store_true", help="print failures as they come, to stderr")
    main(parser.parse_args())
