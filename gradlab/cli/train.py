"""``gradlab train``: the language model trained, its gradient checked along the way."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab._options import whole_number
from gradlab.cli._files import check_page
from gradlab.cli._terminal import Interruptible, ProgressLine, complain, say
from gradlab.errors import UsageError
from gradlab.runs import INCONCLUSIVE, INTERRUPTED, OK, WRONG

if TYPE_CHECKING:
    from gradlab.networks.corpus import Corpus
    from gradlab.report import Report

CURVE_POINTS = 20  # lines of the loss curve
CURVE_WIDTH = 40  # characters of its longest bar
SPARKS = "▁▂▃▄▅▆▇█"


def add(commands: Any) -> None:
    """Add the command."""
    train = commands.add_parser(
        "train",
        help="train the language model, its gradient checked along the way",
        description="Train the neural language model by gradient descent on real text, and check its "
        "gradient at the parameters that training visits.",
    )
    natural, positive = whole_number(0).argument, whole_number(1).argument
    vocabulary = whole_number(2).argument  # one word, and the one that stands for all others
    train.add_argument(
        "--text", metavar="FILE", help="a UTF-8 text (default: the reference topics that ship with Python)"
    )
    train.add_argument(
        "--steps", type=positive, default=300, metavar="N", help="steps of descent (default: 300)"
    )
    train.add_argument(
        "--checks", type=positive, default=5, metavar="N", help="checks of the gradient (default: 5)"
    )
    train.add_argument(
        "--vocabulary", type=vocabulary, default=1000, metavar="N", help="words kept (default: 1000)"
    )
    train.add_argument(
        "--seed", type=natural, default=0, metavar="N", help="seed of everything random (default: 0)"
    )
    train.add_argument(
        "--prompt", metavar="WORDS", help="what the trained model continues (default: words of the text)"
    )
    train.add_argument("--html", type=Path, metavar="PATH", help="write a page with the loss curve as well")
    train.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, print the loss and the checks as they come, and then what was learnt."""
    from gradlab.networks.corpus import encode, read_text, reference_text

    if arguments.html is not None:
        check_page(arguments.html)
    text = reference_text() if arguments.text is None else read_text(arguments.text)
    corpus = encode(text, vocabulary_size=arguments.vocabulary)
    prompt = _prompt(arguments, corpus)
    say(f"{len(corpus.words)} words, a vocabulary of {len(corpus.vocabulary)}")
    trained = Trained(arguments.steps)
    with Interruptible() as interrupt:
        for _ in _steps(arguments, corpus, trained):
            interrupt.check()
    trained.progress.clear()
    if trained.losses:
        tail, fall = trained.mean, corpus.uniform_loss() - trained.mean
        say(f"\n{sparkline(trained.losses)}")
        say(f"loss {tail:.3f} after {len(trained.losses)} steps, {fall:.3f} below a uniform guess")
    passed = sum(check.passed for check in trained.checks)
    say(f"gradient checks: {passed} of {len(trained.checks)} passed")
    if trained.losses:
        learnt = _learnt(trained.parameters, corpus, prompt, arguments.seed)
        say("\n".join(["", *learnt]))
        if arguments.html is not None:
            from gradlab.reporters.page import write_page
            from gradlab.reporters.trained import page_of_training

            page = page_of_training(corpus, trained.losses, trained.checks, learnt, seed=arguments.seed)
            write_page(arguments.html, page)
    if interrupt.came:
        complain(f"interrupted after {len(trained.losses)} of {arguments.steps} steps")
        return INTERRUPTED
    return _exit_code(trained.checks)


class Trained:
    """A training so far: the losses, the checks, and the parameters after the last step."""

    def __init__(self, steps: int) -> None:
        self.every = max(1, steps // CURVE_POINTS)
        self.losses: list[float] = []
        self.checks: list[Report] = []
        self.parameters: Mapping[str, Any] = {}
        self.progress = ProgressLine(sys.stderr)

    @property
    def mean(self) -> float:
        """The mean of the last losses."""
        last = self.losses[-self.every :]
        return sum(last) / len(last)


def _steps(arguments: argparse.Namespace, corpus: Corpus, trained: Trained) -> Iterator[None]:
    """Train step by step, and print what there is to say of each."""
    import numpy as np

    from gradlab.training import train

    uniform, unigram = corpus.uniform_loss(), corpus.unigram_loss()
    say(f"loss of a uniform guess: {uniform:.3f}; of each word's frequency: {unigram:.3f}\n")
    # From a guess by frequency as far down as a uniform one is up: the fall takes the whole width.
    low = 2 * unigram - uniform
    say(f"step   loss  {f'{low:.1f}':<{CURVE_WIDTH - 4}}{uniform:.1f}")
    rng, progress = np.random.default_rng(arguments.seed), trained.progress
    for step in train(corpus, steps=arguments.steps, checks=arguments.checks, rng=rng):
        yield
        trained.losses.append(step.loss)
        trained.parameters = step.parameters
        bar = progress.bar(step.number / arguments.steps)
        progress.show(f"{bar}step {step.number} of {arguments.steps}")
        if step.number % trained.every == 0 or step.number == 1:
            progress.clear()
            say(f"{step.number:>4}  {trained.mean:.3f}  {_bar(trained.mean, low, uniform)}")
        if step.check is not None:
            trained.checks.append(step.check)
            progress.clear()
            say(f"      {step.check}")


def _prompt(arguments: argparse.Namespace, corpus: Corpus) -> str:
    from gradlab.networks.corpus import WORD
    from gradlab.networks.language_model import CONTEXT
    from gradlab.networks.learnt import opening

    prompt: str = opening(corpus) if arguments.prompt is None else arguments.prompt
    if len(WORD.findall(prompt)) < CONTEXT and arguments.prompt is not None:
        raise UsageError(f"--prompt is {prompt!r}; expected at least {CONTEXT} words")
    return prompt


def _learnt(parameters: Mapping[str, Any], corpus: Corpus, prompt: str, seed: int) -> list[str]:
    """Say what the model has learnt, a line each."""
    import numpy as np

    from gradlab.networks.learnt import continued, frequent, neighbours

    text = continued(parameters, corpus, prompt, rng=np.random.default_rng(seed))
    lines = [f"continued: {text}"]
    if len(corpus.vocabulary) > CURVE_POINTS:
        lines += [
            f"near {word!r}: {', '.join(neighbours(parameters, corpus, word))}" for word in frequent(corpus)
        ]
    return lines


def _bar(loss: float, low: float, high: float) -> str:
    """Return a bar of an axis from ``low`` to ``high``; what is below it has the shortest."""
    share = (loss - low) / (high - low) if high > low else 0.0
    return "#" * max(1, round(CURVE_WIDTH * min(share, 1.0)))


def sparkline(losses: Sequence[float], width: int = 60) -> str:
    """Return a curve on one line, from the lowest of its means to the highest.

    >>> sparkline([8.0, 4.0, 2.0, 1.0], width=4)
    '█▄▂▁'
    """
    size = max(1, -(-len(losses) // width))
    means = [sum(part) / len(part) for k in range(0, len(losses), size) if (part := losses[k : k + size])]
    low, span = min(means), max(means) - min(means)
    return "".join(SPARKS[round((len(SPARKS) - 1) * (mean - low) / span) if span else 0] for mean in means)


def _exit_code(checks: Sequence[Report]) -> int:
    if any(check.failed for check in checks):
        return WRONG
    return INCONCLUSIVE if any(check.inconclusive for check in checks) else OK
