"""``gradlab train``: the language model trained, its gradient checked along the way."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradlab.cli._options import of_kind
from gradlab.cli._terminal import Interruptible, ProgressLine, complain, say
from gradlab.run import INCONCLUSIVE, INTERRUPTED, OK, WRONG
from gradlab.run.config import whole_number

if TYPE_CHECKING:
    from gradlab.report import Report

CURVE_POINTS = 20  # lines of the loss curve
CURVE_WIDTH = 40  # characters of its longest bar


def add(commands: Any) -> None:
    """Add the command."""
    train = commands.add_parser(
        "train",
        help="train the language model, its gradient checked along the way",
        description="Train the neural language model by gradient descent on real text, and check its "
        "gradient at the parameters that training visits.",
    )
    natural, positive = of_kind(whole_number(0)), of_kind(whole_number(1))
    vocabulary = of_kind(whole_number(2))  # one word, and the one that stands for all others
    train.add_argument(
        "--text", metavar="FILE", help="a UTF-8 text (default: the reference topics that ship with Python)"
    )
    train.add_argument(
        "--steps", type=positive, default=300, metavar="N", help="steps of descent (default: 300)"
    )
    train.add_argument(
        "--checks", type=natural, default=5, metavar="N", help="checks of the gradient (default: 5)"
    )
    train.add_argument(
        "--vocabulary", type=vocabulary, default=1000, metavar="N", help="words kept (default: 1000)"
    )
    train.add_argument(
        "--seed", type=natural, default=0, metavar="N", help="seed of everything random (default: 0)"
    )
    train.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, and print the loss and the checks as they come."""
    import numpy as np

    from gradlab.networks.corpus import encode, read_text, reference_text
    from gradlab.training import train

    text = reference_text() if arguments.text is None else read_text(arguments.text)
    corpus = encode(text, vocabulary_size=arguments.vocabulary)
    uniform = corpus.uniform_loss()
    say(f"{len(corpus.words)} words, a vocabulary of {len(corpus.vocabulary)}")
    say(f"loss of a uniform guess: {uniform:.3f}; of each word's frequency: {corpus.unigram_loss():.3f}\n")
    say("step   loss")

    losses: list[float] = []
    checks: list[Report] = []
    every = max(1, arguments.steps // CURVE_POINTS)
    progress = ProgressLine(sys.stderr)
    rng = np.random.default_rng(arguments.seed)
    with Interruptible() as interrupt:
        for step in train(corpus, steps=arguments.steps, checks=arguments.checks, rng=rng):
            interrupt.check()
            losses.append(step.loss)
            progress.show(f"step {step.number} of {arguments.steps}")
            if step.number % every == 0 or step.number == 1:
                mean = float(np.mean(losses[-every:]))
                progress.clear()
                bar = "#" * round(CURVE_WIDTH * mean / uniform)
                say(f"{step.number:>4}  {mean:.3f}  {bar}")
            if step.check is not None:
                checks.append(step.check)
                progress.clear()
                say(f"      {step.check}")
    progress.clear()

    if losses:
        tail = float(np.mean(losses[-every:]))
        say(f"\nloss {tail:.3f} after {len(losses)} steps, {uniform - tail:.3f} below a uniform guess")
    say(f"gradient checks: {sum(check.passed for check in checks)} of {len(checks)} passed")
    if interrupt.came:
        complain(f"interrupted after {len(losses)} of {arguments.steps} steps")
        return INTERRUPTED
    return _exit_code(checks)


def _exit_code(checks: Sequence[Report]) -> int:
    if any(check.failed for check in checks):
        return WRONG
    return INCONCLUSIVE if any(check.inconclusive for check in checks) else OK
