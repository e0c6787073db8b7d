"""Arrays that lie in memory in another way: the same answers, or it is told."""

import numpy as np
import pytest
from contracts import check, cube, cube_backward, kinds

from gradlab import Verdict, gradcheck


class TestMemoryLayout:
    def test_backward_that_depends_on_it(self):
        def backward(dy, x):
            in_memory = dy if dy.base is None else np.resize(dy.base, dy.shape)  # whatever its strides
            return cube_backward(in_memory, x)

        assert kinds(cube, backward) == {"depends-on-memory-layout"}

    def test_backward_that_is_not_finite_for_another(self):
        def backward(dy, x):
            return cube_backward(dy, x) * (1.0 if dy.flags.c_contiguous else np.nan)

        assert kinds(cube, backward) == {"depends-on-memory-layout"}

    def test_backward_that_reads_a_column_as_if_it_were_contiguous(self):
        def backward(dy, x):
            in_memory = np.lib.stride_tricks.as_strided(dy, dy.shape, dy[:1].copy().strides)
            return cube_backward(in_memory, x)

        x, dy = np.arange(1.0, 7.0)[:, np.newaxis], np.array([[1.0], [0], [2], [1], [1], [1]])
        assert "depends-on-memory-layout" in kinds(cube, backward, x, grad_output=dy)

    @pytest.mark.parametrize("order", ["K", "A"])
    def test_backward_that_reads_memory_in_its_own_order(self, order):
        def backward(dy, x):
            return dy.ravel(order=order).reshape(dy.shape) * 3 * x**2

        assert "depends-on-memory-layout" in kinds(cube, backward)

    def test_backward_that_needs_an_upstream_gradient_of_numbers_of_its_own(self):
        def backward(dy, x):
            dy = dy.copy() if dy.strides[-1] else 2 * dy  # a broadcast one has strides of zero
            return cube_backward(dy, x)

        assert "depends-on-memory-layout" in kinds(cube, backward)

    def test_forward_that_depends_on_it(self):
        def forward(x):
            return np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape).strides) ** 3

        assert kinds(forward, cube_backward) == {"depends-on-memory-layout"}

    def test_function_that_refuses_gets_a_note(self):
        def backward(dy, x):
            if not dy.flags.c_contiguous:
                raise ValueError("contiguous arrays only")
            return cube_backward(dy, x)

        report = check(cube, backward)
        assert report.verdict is Verdict.PASS
        assert "backward raised ValueError: contiguous arrays only" in report.notes[0]
        assert "note: with arrays that are not contiguous" in str(report)


@pytest.mark.parametrize("order", ["C", "K"])
def test_forward_that_reads_its_inputs_as_they_lie_in_memory_is_told(order):
    def forward(x):
        return np.sin(x.ravel(order).reshape(x.shape))

    x = np.random.default_rng(0).normal(size=(4, 5))
    report = gradcheck(forward, lambda dy, x: dy * np.cos(x), x, raise_exception=False)
    kinds = {finding.kind for finding in report.findings}
    assert kinds == ({"depends-on-memory-layout"} if order == "K" else set())
