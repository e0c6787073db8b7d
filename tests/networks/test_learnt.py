import numpy as np
import pytest

from gradlab import UsageError
from gradlab.networks.corpus import encode
from gradlab.networks.learnt import continued, neighbours, next_word, opening

CORPUS = encode("the cat sat on the mat and the dog sat on the log", vocabulary_size=6)
V = len(CORPUS.vocabulary)


def parameters(**changed):
    """Return a model that expects the last word of the context again, almost certainly."""
    w1 = np.concatenate([np.zeros((2 * V, V)), np.eye(V)])
    return {"table": np.eye(V), "w1": w1, "w2": 50 * np.eye(V), **changed}


def test_probabilities_of_the_next_word_sum_to_one():
    p = next_word(parameters(), np.array([[1, 2, 3], [0, 0, 1]]))
    assert p.shape == (2, V)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert list(p.argmax(axis=1)) == [3, 1]


def test_prompt_is_continued_with_what_the_model_expects():
    word = CORPUS.vocabulary[3]
    text = continued(parameters(), CORPUS, f"the on {word}", words=3, rng=np.random.default_rng(0))
    assert text == f"the on {word} {word} {word} {word}"


def test_unknown_word_is_never_said():
    text = continued(parameters(w2=np.zeros((V, V))), CORPUS, "on the mat", rng=np.random.default_rng(0))
    assert "<unknown>" not in text
    assert len(text.split()) == 15


def test_prompt_of_too_few_words_is_refused():
    with pytest.raises(UsageError, match="has 2 words; expected at least 3"):
        continued(parameters(), CORPUS, "the cat", rng=np.random.default_rng(0))


def test_neighbours_point_the_same_way():
    table = np.eye(V)
    table[4] = 5 * table[2] + 0.1
    found = neighbours({"table": table}, CORPUS, CORPUS.vocabulary[2], count=2)
    assert found[0] == CORPUS.vocabulary[4]
    assert CORPUS.vocabulary[2] not in found
    assert "<unknown>" not in found


def test_opening_is_made_of_known_words():
    assert opening(encode("rare the the dull the the the", vocabulary_size=2)) == "the the the"
