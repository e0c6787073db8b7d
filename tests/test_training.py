import numpy as np

from gradlab.networks.corpus import encode, reference_text
from gradlab.training import train


def test_loss_on_real_text_falls_well_below_a_guess_and_every_check_passes():
    corpus = encode(reference_text(), vocabulary_size=300)
    steps = list(train(corpus, steps=160, checks=2, rng=np.random.default_rng(0)))
    assert [step.number for step in steps if step.check] == [80, 160]
    assert all(step.check.passed for step in steps if step.check)
    last = np.mean([step.loss for step in steps[-20:]])
    assert last < corpus.uniform_loss() - 1.2
    assert last < corpus.unigram_loss()


def test_same_seed_gives_the_same_curve():
    corpus = encode(reference_text()[:20_000], vocabulary_size=50)
    curves = [
        [step.loss for step in train(corpus, steps=5, checks=0, rng=np.random.default_rng(3))]
        for _ in range(2)
    ]
    assert curves[0] == curves[1]
