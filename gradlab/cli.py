"""The console script: ``gradlab verify``, ``gradlab explain``, ``gradlab train``, ``gradlab mutants``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from gradlab import __version__
from gradlab.errors import UsageError
from gradlab.mutants import command as mutants

if TYPE_CHECKING:
    from gradlab.report import Report

OK, WRONG, USAGE, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130  # 130 is 128 + SIGINT, as shells have it
CURVE_POINTS = 20  # lines of the loss curve
CURVE_WIDTH = 40  # characters of its longest bar


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    0: all passed. 1: something is wrong. 2: the call was wrong. 3: nothing failed, but something is
    inconclusive. 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ½ or θ shows ? instead
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except UsageError as error:
        _complain(str(error))
        return USAGE
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    return code


def _say(text: str) -> None:
    """Print to standard output, also when nobody reads it to the end, as in ``gradlab verify | head``."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The verdict, which is the exit code, does not depend on who reads the table.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str) -> None:
    print(f"gradlab: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradlab", description="Is this backward rule right, and if not, where and why?"
    )
    parser.add_argument("--version", action="version", version=f"gradlab {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    verify = commands.add_parser(
        "verify",
        help="check rules at many points",
        description="Check rules at points drawn by Hypothesis, against central differences and against the "
        "explicit Jacobian. Exit code 0: all pass; 1: something is wrong; 2: wrong call; 3: inconclusive.",
    )
    verify.add_argument(
        "targets",
        nargs="*",
        metavar="RULE",
        help="built-in, or path/to/file.py:name (default: all built-in)",
    )
    verify.add_argument(
        "--max-examples", type=_positive, default=100, metavar="N", help="points for each rule (default: 100)"
    )
    verify.add_argument("--seed", type=_natural, default=0, metavar="N", help="draws the points (default: 0)")
    verify.set_defaults(run=_verify)

    explain = commands.add_parser(
        "explain",
        help="show a rule's derivation with numbers",
        description="Write out a rule's Jacobian at one small point, its contraction with the upstream "
        "gradient, and what backward returns.",
    )
    explain.add_argument("target", metavar="RULE", help="a built-in rule or path/to/file.py:name")
    explain.set_defaults(run=_explain)

    train = commands.add_parser(
        "train",
        help="train the language model, its gradient checked along the way",
        description="Train the neural language model by gradient descent on real text, and check its "
        "gradient at the parameters that training visits.",
    )
    train.add_argument(
        "--text", metavar="FILE", help="a UTF-8 text (default: the reference topics that ship with Python)"
    )
    train.add_argument("--steps", type=_positive, default=300, metavar="N", help="of descent (default: 300)")
    train.add_argument("--checks", type=_natural, default=5, metavar="N", help="of the gradient (default: 5)")
    train.add_argument(
        "--vocabulary",
        type=_vocabulary,
        default=1000,
        metavar="N",
        help="words kept (default: 1000)",
    )
    train.add_argument(
        "--seed", type=_natural, default=0, metavar="N", help="of everything random (default: 0)"
    )
    train.set_defaults(run=_train)

    mutants.add_parser(commands, _say)
    return parser


def _verify(arguments: argparse.Namespace) -> int:
    from gradlab._verify import verify
    from gradlab.reporters import text
    from gradlab.targets import builtin_rules, find_rule

    rules = [find_rule(target) for target in arguments.targets] or list(builtin_rules().values())
    started = time.perf_counter()
    reports: list[Report] = []
    progress = _Progress(sys.stderr)
    malformed: list[str] = []
    with _Interruptible() as interrupt:
        for number, rule in enumerate(rules, start=1):

            def show(points: int, label: str = f"{number}/{len(rules)} {rule.name}: point ") -> None:
                interrupt.check()
                progress.show(f"{label}{points}")

            try:
                report = verify(
                    rule,
                    max_examples=arguments.max_examples,
                    rng=arguments.seed,
                    raise_exception=False,
                    progress=show,
                )
            except UsageError as error:
                malformed.append(str(error))
            else:
                reports.append(report)
    progress.clear()

    _say(text.table(reports))
    for report in reports:
        if not report.passed:
            _say(f"\n{report}")
    _say(f"\n{text.summary(reports)} in {time.perf_counter() - started:.1f} s, seed {arguments.seed}")
    for message in malformed:
        _complain(message)
    if interrupt.came:
        _complain(f"interrupted; {len(reports)} of {len(rules)} rules were checked")
        return INTERRUPTED
    return USAGE if malformed else _exit_code(reports)


def _explain(arguments: argparse.Namespace) -> int:
    from gradlab._explain import explain
    from gradlab.targets import find_rule

    _say(explain(find_rule(arguments.target)))
    return OK


def _train(arguments: argparse.Namespace) -> int:
    import numpy as np

    from gradlab.networks.corpus import encode, read_text, reference_text
    from gradlab.training import train

    text = reference_text() if arguments.text is None else read_text(arguments.text)
    corpus = encode(text, vocabulary_size=arguments.vocabulary)
    uniform = corpus.uniform_loss()
    _say(f"{len(corpus.words)} words, a vocabulary of {len(corpus.vocabulary)}")
    _say(f"loss of a uniform guess: {uniform:.3f}; of each word's frequency: {corpus.unigram_loss():.3f}\n")
    _say("step   loss")

    losses: list[float] = []
    checks: list[Report] = []
    every = max(1, arguments.steps // CURVE_POINTS)
    progress = _Progress(sys.stderr)
    rng = np.random.default_rng(arguments.seed)
    with _Interruptible() as interrupt:
        for step in train(corpus, steps=arguments.steps, checks=arguments.checks, rng=rng):
            interrupt.check()
            losses.append(step.loss)
            progress.show(f"step {step.number} of {arguments.steps}")
            if step.number % every == 0 or step.number == 1:
                mean = float(np.mean(losses[-every:]))
                progress.clear()
                bar = "#" * round(CURVE_WIDTH * mean / uniform)
                _say(f"{step.number:>4}  {mean:.3f}  {bar}")
            if step.check is not None:
                checks.append(step.check)
                progress.clear()
                _say(f"      {step.check}")
    progress.clear()

    if losses:
        tail = float(np.mean(losses[-every:]))
        _say(f"\nloss {tail:.3f} after {len(losses)} steps, {uniform - tail:.3f} below a uniform guess")
    _say(f"gradient checks: {sum(check.passed for check in checks)} of {len(checks)} passed")
    if interrupt.came:
        _complain(f"interrupted after {len(losses)} of {arguments.steps} steps")
        return INTERRUPTED
    return _exit_code(checks)


def _exit_code(reports: Sequence[Report]) -> int:
    if any(report.failed for report in reports):
        return WRONG
    return INCONCLUSIVE if any(report.inconclusive for report in reports) else OK


class _Interruptible:
    """A block that Ctrl-C leaves, after which the program goes on.

    An exception raised by a signal is lost when it happens to arrive inside a destructor or a callback of
    the garbage collector, which Hypothesis has; `check`, called now and then, notices.
    """

    came = False

    def __enter__(self) -> _Interruptible:
        self.handler = signal.signal(signal.SIGINT, self._note)
        self.hook, sys.unraisablehook = sys.unraisablehook, self._lost
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        signal.signal(signal.SIGINT, self.handler)
        sys.unraisablehook = self.hook
        return kind is KeyboardInterrupt

    def check(self) -> None:
        """Leave the block if Ctrl-C has come."""
        if self.came:
            raise KeyboardInterrupt

    def _lost(self, unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            self.hook(unraisable)

    def _note(self, number: int, frame: object) -> None:
        self.came = True
        raise KeyboardInterrupt


class _Progress:
    """One line on a terminal that is written over; nothing in a pipe."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.shown = stream, stream is not None and stream.isatty()

    def show(self, line: str) -> None:
        if self.shown:
            self.stream.write(f"\r\033[K{line}")
            self.stream.flush()

    def clear(self) -> None:
        self.show("")


def _positive(text: str) -> int:
    return _at_least(1, text)


def _natural(text: str) -> int:
    return _at_least(0, text)


def _vocabulary(text: str) -> int:
    return _at_least(2, text)  # one word, and the one that stands for all others


def _at_least(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} was given; expected a whole number, at least {least}")
    return number
