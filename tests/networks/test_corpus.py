import numpy as np
import pytest

from gradlab import UsageError
from gradlab.networks.corpus import encode, read_text, reference_text


def test_rare_words_become_unknown():
    corpus = encode("a a a b b c", vocabulary_size=3)
    assert corpus.vocabulary == ("<unknown>", "a", "b")
    np.testing.assert_array_equal(corpus.words, [1, 1, 1, 2, 2, 0])


def test_batches_are_windows_of_the_text():
    corpus = encode("one two three four five six", vocabulary_size=10)
    windows = {tuple(corpus.words[k : k + 4]) for k in range(3)}
    batch = next(corpus.batches(50, np.random.default_rng(0)))
    drawn = {tuple(row) for row in np.column_stack([batch["context"], batch["target"]]).tolist()}
    assert drawn == windows


def test_losses_of_guessing():
    corpus = encode("a b a b c c d d", vocabulary_size=5)
    assert corpus.uniform_loss() == pytest.approx(np.log(5))
    assert corpus.unigram_loss() == pytest.approx(np.log(4))


def test_reference_text_is_english():
    corpus = encode(reference_text(), vocabulary_size=100)
    assert len(corpus.words) > 10_000
    assert "the" in corpus.vocabulary[:3]


def test_text_that_is_too_short():
    with pytest.raises(UsageError, match="the text has 2 words; expected at least 4"):
        encode("two words", vocabulary_size=10)


def test_file_that_is_not_text(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(b"abc\xff\xfe")
    with pytest.raises(UsageError, match=r"image.png is not UTF-8 text: byte 3 is 0xff"):
        read_text(path)
    with pytest.raises(UsageError, match=r"cannot be read: No such file or directory"):
        read_text(tmp_path / "missing.txt")
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory"):
        read_text(tmp_path)
