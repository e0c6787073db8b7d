import numpy as np
import pytest

from gradlab.checks.regions import describe_region, special_values, tied

SHAPE = (5, 7)
VALUES = np.random.default_rng(0).permutation(35).reshape(SHAPE) - 10.5  # distinct, of both signs, no zero


def marked(chosen, shape=SHAPE):
    mask = np.zeros(shape, dtype=bool)
    mask[chosen] = True
    return mask


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (np.s_[2], "x[2, :]"),
        (np.s_[-1], "x[-1, :]"),
        (np.s_[:, 3], "x[:, 3]"),
        (np.s_[:, -1], "x[:, -1]"),
        (np.s_[1:3, 2:5], "x[1:3, 2:5]"),
        (np.s_[2:, :2], "x[2:, :2]"),
        (np.s_[::2], "x[::2, :]"),
        (np.s_[:, 1::2], "x[:, 1::2]"),
        (np.s_[-1, -1], "x[-1, -1]"),
        (np.s_[1, 2], "x[1, 2]"),
        (np.s_[...], "every entry"),
        (([0, 3], [1, 6]), "x[0, 1], x[3, 6]"),
        (([0, 2, 3], [1, 5, 6]), "x[0, 1], x[2, 5], x[3, 6]"),
        (([0, 2, 3, 3], [1, 5, 6, 0]), "x[0, 1], x[2, 5], x[3, 0] and 1 more"),
    ],
)
def test_indices_in_words(chosen, words):
    assert describe_region("x", marked(chosen)) == words
    assert describe_region("x", marked(chosen), VALUES) == words


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.eye(4), "the diagonal of x"),
        (1 - np.eye(4), "all but the diagonal of x"),
        (np.tri(4), "the lower triangle of x"),
        (np.tri(4).T, "the upper triangle of x"),
        (np.tri(4, k=-1), "the part below the diagonal of x"),
        (np.tri(4, k=-1).T, "the part above the diagonal of x"),
    ],
)
def test_parts_of_a_matrix_in_words(mask, words):
    assert describe_region("x", mask.astype(bool)) == words


@pytest.mark.parametrize("mask", [1 - np.eye(4), np.eye(4), np.tri(4)])
def test_part_of_a_symmetric_matrix_is_named_by_its_indices(mask):
    values = np.arange(16.0).reshape(4, 4)
    symmetric = values + values.T + 10 * np.eye(4) * np.arange(4)
    words = describe_region("x", mask.astype(bool), symmetric)
    assert "diagonal" in words or "triangle" in words


@pytest.mark.parametrize("length", [5, 6, 7])
def test_both_ends_are_named_one_by_one_and_not_as_a_step(length):
    words = describe_region("x", marked([0, -1], (length,)))
    assert words in {f"x[0], x[{length - 1}]", "x[0], x[-1]", "x[0] and x[-1]"}


def test_both_edges_of_an_axis_are_not_named_as_a_step():
    assert "::" not in describe_region("x", marked(np.s_[:, [0, -1]]))


@pytest.mark.parametrize("step", [2, 3])
def test_every_kth_entry_in_words(step):
    assert describe_region("x", marked(np.s_[::step], (12,))) == f"x[::{step}]"


def test_words_of_a_slice_mark_the_same_entries():
    x, rng = np.arange(6 * 5 * 4).reshape(6, 5, 4), np.random.default_rng(0)
    for _ in range(200):
        slices = []
        for length in x.shape:
            first, last = sorted(rng.integers(length, size=2))
            slices.append(slice(int(first), int(last) + 1, int(rng.integers(1, 4))))
        words = describe_region("x", marked(tuple(slices), x.shape))
        if words == "every entry":
            words = "x[...]"
        if " and " in words:
            continue  # two far apart are no slice
        found = np.atleast_1d(eval(f"np.array([{words}])" if "], " in words else words, {"x": x, "np": np}))
        np.testing.assert_array_equal(np.sort(found.ravel()), np.sort(x[tuple(slices)].ravel()))


@pytest.mark.parametrize(
    ("values", "mask", "words"),
    [
        ([0, 1, 0, 2, 3], [1, 0, 1, 0, 0], "the 2 entries where x == 0"),
        ([4, 1, 4, 2, 5], [1, 0, 1, 0, 0], "the 2 entries where x is tied"),
        ([-1, 1, -2, 2, -3], [1, 0, 1, 0, 1], "the 3 entries where x < 0"),
        ([0.5, 1, -2, 2, -3], [1, 1, 0, 1, 0], "the 3 entries where x > 0"),
        ([1, 5, 2, 3, 4], [0, 1, 0, 0, 0], "x[1], the one entry where x is largest"),
        ([3, 5, 2, 0, 4], [0, 0, 0, 1, 0], "x[3], the one entry where x == 0"),
    ],
)
def test_values_in_words(values, mask, words):
    assert describe_region("x", np.array(mask, dtype=bool), np.array(values, dtype=float)) == words


def test_single_entry_of_two_is_not_called_the_largest():
    assert describe_region("x", np.array([False, True]), np.array([1.0, 2.0])) == "x[-1]"


def test_some_of_the_zeros_are_not_called_the_zeros():
    assert list(special_values("x", np.array([1, 0, 0, 0], dtype=bool), np.array([0.0, 0, 1, 2]))) == []


def test_zeros_and_more_are_not_called_the_zeros():
    assert list(special_values("x", np.array([1, 1, 1, 0], dtype=bool), np.array([0.0, 0, -1, 2]))) == []


def test_nothing_marked_has_no_words():
    assert describe_region("x", np.zeros(3, dtype=bool)) == ""


def test_ties_keep_the_shape():
    assert tied(np.array([[1.0, 2.0], [3.0, 1.0]])).tolist() == [[True, False], [False, True]]
