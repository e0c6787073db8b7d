"""Text as numbers: a vocabulary of the most frequent words, and contexts of three with the next word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gradlab.errors import UsageError
from gradlab.networks.language_model import CONTEXT
from gradlab.rules._jacobians import Array

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
UNKNOWN = "<unknown>"


@dataclass(frozen=True)
class Corpus:
    """A text, encoded.

    Attributes
    ----------
    vocabulary : tuple of str
        The words, most frequent first after the one that stands for all others.
    words : (T,) integers
        The text as indices into the vocabulary.
    """

    vocabulary: tuple[str, ...]
    words: Array

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        """Draw batches without end: ``context`` of shape (size, 3) and ``target`` of shape (size,)."""
        while True:
            starts = rng.integers(0, len(self.words) - CONTEXT, size)
            windows = self.words[starts[:, np.newaxis] + np.arange(CONTEXT + 1)]
            yield {"context": windows[:, :CONTEXT], "target": windows[:, CONTEXT]}

    def uniform_loss(self) -> float:
        """Return the cross-entropy of a uniform guess, ``log V``."""
        return float(np.log(len(self.vocabulary)))

    def unigram_loss(self) -> float:
        """Return the cross-entropy of guessing each word by how frequent it is: the text's entropy."""
        counts = np.bincount(self.words)
        share = counts[counts > 0] / len(self.words)
        return float(-np.sum(share * np.log(share)))


def encode(text: str, *, vocabulary_size: int) -> Corpus:
    """Split a text into lower-case words and number them.

    Parameters
    ----------
    text : str
        Any text with letters.
    vocabulary_size : int
        How many words at most; rarer ones become ``<unknown>``.

    Raises
    ------
    UsageError
        When the text has too few words for one context and the word that follows.

    Examples
    --------
    >>> corpus = encode("The cat and the dog.", vocabulary_size=3)
    >>> corpus.vocabulary, corpus.words
    (('<unknown>', 'the', 'cat'), array([1, 2, 0, 1, 0]))
    """
    words = WORD.findall(text.lower())
    if len(words) <= CONTEXT:
        raise UsageError(f"the text has {len(words)} words; expected at least {CONTEXT + 1}")
    frequent = [word for word, _ in Counter(words).most_common(vocabulary_size - 1)]
    vocabulary = (UNKNOWN, *frequent)
    index = {word: k for k, word in enumerate(vocabulary)}
    return Corpus(vocabulary, np.array([index.get(word, 0) for word in words]))


def reference_text() -> str:
    """Return the reference topics that ship with Python: real English, some 60,000 words."""
    from pydoc_data.topics import topics

    return "\n".join(topics.values())


def read_text(path: str | Path) -> str:
    """Read a text file.

    Raises
    ------
    UsageError
        When there is no such file, or it is not UTF-8 text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; expected a text file") from None
