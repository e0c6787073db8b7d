"""What Matplotlib is given is what the report holds."""

import sys

import numpy as np
import pytest

from gradlab import Rule, UsageError, gradcheck, plots, verify

X, W = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]), np.array([[1.0, 2.0], [-1.0, 0.5], [0.25, 3.0]])


@pytest.fixture
def matplotlib():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    yield matplotlib
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="module")
def report():
    def backward(dy, x, w):
        dw = x.T @ dy
        dw[1] *= 1.5
        return dy @ w.T, dw

    return gradcheck(np.matmul, backward, (X, W), raise_exception=False)


@pytest.fixture(scope="module")
def kinked():
    x = np.array([1.0, 0.0])
    return gradcheck(lambda x: np.maximum(x, 0), lambda dy, x: 2 * dy * (x >= 0), x, raise_exception=False)


def test_heat_map_is_the_relative_difference_with_a_cross_at_each_wrong_entry(matplotlib, report):
    ax = plots.heat_map(report)
    c = report.pictures.comparisons[0]
    shown = ax.images[0].get_array()
    wrong = np.isin(np.arange(6).reshape(3, 2), np.flatnonzero(c.wrong))
    np.testing.assert_allclose(shown[wrong], np.log10(c.relative[c.wrong]))
    (crosses,) = ax.lines
    assert sorted(zip(crosses.get_ydata(), crosses.get_xdata(), strict=True)) == [(1, 0), (1, 1)]


def test_scatter_is_claims_against_slopes(matplotlib, report):
    ax = plots.scatter(report, "x1")
    c = next(c for c in report.pictures.comparisons if c.name == "x1")
    np.testing.assert_array_equal(ax.containers[0].lines[0].get_xydata(), np.stack([c.numeric, c.claimed], 1))


def test_steps_are_the_error_of_differences_and_the_claim(matplotlib, report):
    ax = plots.steps(report)
    s = report.pictures.steps[0]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.stack([s.step, s.error], axis=1))
    assert ax.lines[-1].get_ydata()[0] == s.distance


def test_kink_is_forward_on_both_sides(matplotlib, kinked):
    ax = plots.kink(kinked)
    k = kinked.pictures.kinks[0]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.stack([k.offset, k.change], axis=1))


def test_jacobians_are_side_by_side(matplotlib, report):
    figure = plots.jacobians(report)
    pair = report.pictures.jacobians[0]
    for ax, values in zip(figure.axes, (pair.numeric, pair.claimed), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), values)


def test_plot_draws_all_there_is(matplotlib, report, kinked):
    titles = [ax.get_title() for ax in report.plot().axes]
    for start in ("gradient of x2", "claim against forward: x2", "error against step", "Jacobian: forward"):
        assert any(title.startswith(start) for title in titles)
    assert any(ax.get_title() == "kink at x[1]" for ax in kinked.plot().axes)


def test_unknown_input_is_refused_with_those_there_are(matplotlib, report):
    with pytest.raises(UsageError, match="input is 'b'; expected one of x2, x1"):
        plots.heat_map(report, "b")
    with pytest.raises(UsageError, match="which is 7; the report has 2 pictures"):
        plots.steps(report, 7)


def test_report_without_a_point_is_refused(matplotlib):
    passing = verify(Rule("sin", np.sin, lambda dy, x: dy * np.cos(x), "(n)"), max_examples=3)
    with pytest.raises(UsageError, match="sin has no point to draw"):
        passing.plot()


def test_without_matplotlib_one_sentence_names_the_extra(monkeypatch, report):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"Matplotlib is not installed.*gradlab-verify\[plot\]"):
        report.plot()
