"""Training the language model by gradient descent, its gradient checked at the parameters that it visits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, tee

import numpy as np

from gradlab._gradcheck import gradcheck
from gradlab.networks import language_model
from gradlab.networks.corpus import Corpus
from gradlab.networks.descent import gradient_descent
from gradlab.report import Report
from gradlab.rules._jacobians import Array

EMBEDDING, HIDDEN, BATCH = 24, 48, 256
LEARNING_RATE = 3.0


@dataclass(frozen=True)
class TrainingStep:
    """One step.

    Attributes
    ----------
    number : int
        From 1 up.
    loss : float
        Before it.
    check : Report or None
        Of the gradient, where one was made.
    parameters : mapping of str to array
        After it.
    """

    number: int
    loss: float
    check: Report | None
    parameters: Mapping[str, Array]


def train(corpus: Corpus, *, steps: int, checks: int, rng: np.random.Generator) -> Iterator[TrainingStep]:
    """Train the neural language model on a corpus.

    Parameters
    ----------
    corpus : Corpus
        From `gradlab.networks.corpus.encode`.
    steps : int
        Of gradient descent, each on a batch of its own.
    checks : int
        How often the gradient is checked along the way, the last time at the last step.
    rng : numpy.random.Generator
        For the first parameters and the batches.

    Yields
    ------
    TrainingStep
    """
    batches, again = tee(islice(corpus.batches(BATCH, rng), steps))  # one for descent, one for the checks
    parameters = initial_parameters(len(corpus.vocabulary), rng)
    checked = {round(steps * k / checks) for k in range(1, checks + 1)} if checks else set()
    for step in gradient_descent(language_model.RULE, parameters, batches, learning_rate=LEARNING_RATE):
        report, batch = None, next(again)
        if step.number in checked:
            report = gradcheck(
                language_model.forward,
                language_model.backward,
                {**parameters, **batch},
                cached=True,
                rng=step.number,
                name=f"language_model at step {step.number}",
                raise_exception=False,
            )
        yield TrainingStep(step.number, step.loss, report, step.parameters)
        parameters = step.parameters


def initial_parameters(words: int, rng: np.random.Generator) -> dict[str, Array]:
    """Draw parameters of variance one over the number of terms that each is summed with."""
    fan_in = language_model.CONTEXT * EMBEDDING
    return {
        "table": rng.standard_normal((words, EMBEDDING)),
        "w1": rng.standard_normal((fan_in, HIDDEN)) / np.sqrt(fan_in),
        "w2": rng.standard_normal((HIDDEN, words)) / np.sqrt(HIDDEN),
    }
