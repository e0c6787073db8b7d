"""What a trained language model has learnt: words that it continues with, and words that it takes for alike.

::

    P[· | i1 i2 i3] = softmax(tanh([C[i1]; C[i2]; C[i3]] W1) W2)        the next word
    cos(C[i], C[j]) = ⟨C[i], C[j]⟩ / (‖C[i]‖ ‖C[j]‖)                    how alike two words are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradlab.errors import UsageError
from gradlab.networks import layer
from gradlab.networks.corpus import UNKNOWN, WORD, Corpus
from gradlab.networks.language_model import CONTEXT
from gradlab.rules import embedding, linear, softmax
from gradlab.rules._jacobians import Array

SHARPER = 0.7  # temperature: likely words are taken more often than the model says, for it has learnt little


def next_word(parameters: Mapping[str, Array], context: Array) -> Array:
    """Return the probabilities of the next word.

    Parameters
    ----------
    parameters : mapping
        ``table`` (V, E), ``w1`` (3E, H) and ``w2`` (H, V).
    context : (B, 3) integers
        The words before.

    Returns
    -------
    (B, V)
    """
    x = embedding.forward(parameters["table"], context).reshape(len(context), -1)
    h, _ = layer.TANH.forward(x, parameters["w1"])
    p, _ = softmax.forward(linear.forward(h, parameters["w2"]))
    return p


def continued(
    parameters: Mapping[str, Array],
    corpus: Corpus,
    prompt: str,
    *,
    words: int = 12,
    rng: np.random.Generator,
) -> str:
    """Continue a prompt with words drawn from what the model expects; never with the unknown one.

    Raises
    ------
    UsageError
        When the prompt has fewer than three words.
    """
    given = WORD.findall(prompt.lower())
    if len(given) < CONTEXT:
        raise UsageError(f"the prompt {prompt!r} has {len(given)} words; expected at least {CONTEXT}")
    index = {word: k for k, word in enumerate(corpus.vocabulary)}
    known = [index.get(word, 0) for word in given]
    for _ in range(words):
        chance = next_word(parameters, np.array([known[-CONTEXT:]]))[0] ** (1 / SHARPER)
        chance[corpus.vocabulary.index(UNKNOWN)] = 0.0
        known.append(int(rng.choice(len(chance), p=chance / chance.sum())))
    return " ".join([*given, *(corpus.vocabulary[k] for k in known[len(given) :])])


def neighbours(parameters: Mapping[str, Array], corpus: Corpus, word: str, *, count: int = 4) -> list[str]:
    """Return the words whose embeddings point most nearly the same way as that of ``word``."""
    table = parameters["table"]
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    k = corpus.vocabulary.index(word)
    alike = unit @ unit[k]
    alike[[0, k]] = -np.inf  # the unknown word, and itself
    return [corpus.vocabulary[j] for j in np.argsort(-alike)[:count]]


def frequent(corpus: Corpus, *, count: int = 5) -> Sequence[str]:
    """Return the most frequent words of some length, of which something can be learnt."""
    return [word for word in corpus.vocabulary[1:] if len(word) > CONTEXT][:count]


def opening(corpus: Corpus) -> str:
    """Return the first three known words in a row of the text, as a prompt."""
    known = np.flatnonzero(corpus.words)
    for start in known:
        window = corpus.words[start : start + CONTEXT]
        if len(window) == CONTEXT and window.all():
            return " ".join(corpus.vocabulary[k] for k in window)
    return " ".join(corpus.vocabulary[k] for k in corpus.words[:CONTEXT])
