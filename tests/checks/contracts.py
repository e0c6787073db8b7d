"""What tests of the contract share: a right rule, and what a check finds wrong with one."""

import numpy as np

from gradlab import gradcheck

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.75]])


def check(forward, backward, inputs=X, **options):
    return gradcheck(forward, backward, inputs, raise_exception=False, **options)


def kinds(*arguments, **options):
    return {finding.kind for finding in check(*arguments, **options).findings}


def cube(x):
    return x**3


def cube_backward(dy, x):
    return 3 * x**2 * dy
