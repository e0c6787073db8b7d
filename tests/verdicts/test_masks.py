"""Entries masked by a very large number, which forward does not see: they set no scale for others."""

import numpy as np
import pytest

from gradlab import gradcheck

LARGEST = float(np.finfo(np.float32).max)


def softmax(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dy, scores):
    y = softmax(scores)
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def log_sum_exp(scores):
    top = scores.max(axis=-1, keepdims=True)
    return top[..., 0] + np.log(np.exp(scores - top).sum(axis=-1))


def log_sum_exp_backward(dy, scores):
    return dy[..., np.newaxis] * softmax(scores)


def rectified(scores):
    return np.maximum(scores + 0.3, 0)


def rectified_backward(dy, scores):
    return dy * (scores > -0.3)


def softplus(scores):
    return np.maximum(scores, 0) + np.log1p(np.exp(-np.abs(scores)))


def softplus_backward(dy, scores):
    return dy * (1 + np.tanh(scores / 2)) / 2


RULES = {
    "softmax": (softmax, softmax_backward),
    "log-sum-exp": (log_sum_exp, log_sum_exp_backward),
    "rectified": (rectified, rectified_backward),
    "softplus": (softplus, softplus_backward),
}


def masked(mask, shape, dtype, *, zeros=False):
    rng = np.random.default_rng(1)
    scores = np.zeros(shape) if zeros else rng.normal(size=shape)
    hidden = rng.random(shape) < 0.3
    hidden[:, 0] = False
    return np.where(hidden, mask, scores).astype(dtype)


@pytest.mark.parametrize("mask", [-1e4, -1e9, -1e30, -LARGEST])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("zeros", [False, True], ids=["scores", "zeros"])
@pytest.mark.parametrize("shape", [(3, 5), (40, 50)], ids=["small", "large"])
@pytest.mark.parametrize("rule", RULES)
def test_right_rules_pass_and_wrong_ones_fail(rule, shape, zeros, dtype, mask):
    forward, backward = RULES[rule]
    scores = masked(mask, shape, dtype, zeros=zeros)

    def tenth_too_large(dy, s):
        gradient = backward(dy, s)
        gradient[:, 0] = 1.1 * gradient[:, 0] + 0.01 * dy.sum()
        return gradient

    def states(rule):
        return str(gradcheck(forward, rule, scores, raise_exception=False).verdict)

    assert [states(backward), states(tenth_too_large)] == ["pass", "fail"]


@pytest.mark.parametrize("mask", [-1e9, -1e30])
def test_scores_are_told_as_well_as_without_masks(mask):
    scores = masked(mask, (3, 5), np.float64)
    report = gradcheck(softmax, softmax_backward, scores)
    assert report.inputs[0].resolution < 1e-6
    assert report.forward_calls <= 2 * scores.size + 30


@pytest.mark.parametrize("offset", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_resolution_of_what_was_judged_on_its_own_scale_is_kept(offset, seed):
    x = 10 ** np.random.default_rng(seed).uniform(-12, 0, 2000)

    def backward(dy, x):
        gradient = dy * (np.log(x) + 1)
        gradient[7] *= 1 + offset
        return gradient

    report = gradcheck(lambda x: x * np.log(x), backward, x, raise_exception=False)
    assert report.failed or offset <= report.inputs[0].resolution
