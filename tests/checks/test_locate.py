"""Wrong entries are named; where they lie in no pattern, no wrong region is claimed."""

import numpy as np
import pytest

import gradlab.checks.one_point
from gradlab import gradcheck
from gradlab.checks.locate import locate

RNG = np.random.default_rng(0)
SMALL = RNG.normal(size=(5, 6))
LARGE = RNG.normal(size=(40, 60))
VECTOR = RNG.normal(size=4000)


def check(chosen, x, factor=1.5):
    """Check tanh with a gradient that is wrong at the chosen entries."""

    def backward(u, x):
        dx = u * (1 - np.tanh(x) ** 2)
        dx[chosen] *= factor
        return dx

    return gradcheck(np.tanh, backward, x, raise_exception=False)


def mask_of(chosen, x):
    mask = np.zeros(x.shape, dtype=bool)
    mask[chosen] = True
    return mask


REGIONS = {
    "row": (np.s_[2], "x[2, :]"),
    "last row": (np.s_[-1], "x[-1, :]"),
    "column": (np.s_[:, 4], "x[:, 4]"),
    "block": (np.s_[1:3, 2:5], "x[1:3, 2:5]"),
    "last entry": (np.s_[-1, -1], "x[-1, -1]"),
    "one entry": (np.s_[3, 1], "x[3, 1]"),
    "every second row": (np.s_[::2], "x[::2, :]"),
    "every second column": (np.s_[:, 1::2], "x[:, 1::2]"),
    "every entry": (np.s_[...], "every entry"),
}


@pytest.mark.parametrize(("chosen", "words"), REGIONS.values(), ids=REGIONS)
@pytest.mark.parametrize("x", [SMALL, LARGE], ids=["small", "large"])
def test_region_is_named(chosen, words, x):
    report = check(chosen, x)
    (result,) = report.inputs
    mask = mask_of(chosen, x)
    assert report.failed
    assert result.where.startswith(words)
    assert result.wrong_count == mask.sum()
    assert result.wrong_entries == tuple(tuple(map(int, index)) for index in np.argwhere(mask)[:100])


@pytest.mark.parametrize("x", [SMALL, LARGE, VECTOR], ids=["small", "large", "vector"])
def test_right_rule_has_no_wrong_entries(x):
    report = check(np.s_[:0], x)
    (result,) = report.inputs
    assert report.passed
    assert (result.wrong_count, result.wrong_entries, result.where) == (0, (), "")


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.eye(4), "the diagonal of x"),
        (1 - np.eye(4), "all but the diagonal of x"),
        (np.tri(4), "the lower triangle of x"),
        (np.tri(4).T, "the upper triangle of x"),
    ],
)
def test_part_of_a_small_matrix_is_named(mask, words):
    x = RNG.normal(size=(4, 4))
    assert check(mask.astype(bool), x).inputs[0].where == words


def test_zeros_are_named():
    x = np.array([1.0, 0.0, -2.0, 3.0, 0.0])
    assert check(x == 0, x).inputs[0].where == "the 2 entries where x == 0"


def test_ties_are_named():
    x = np.array([1.0, 2.0, -2.0, 1.0, 3.0])
    assert check([0, 3], x).inputs[0].where == "the 2 entries where x is tied"


def test_entries_of_no_pattern_are_listed():
    chosen = ([0, 1, 3, 4], [5, 0, 2, 3])
    assert check(chosen, SMALL).inputs[0].where == "x[0, 5], x[1, 0], x[3, 2] and 1 more"


@pytest.mark.parametrize("factor", [1.01, 1.1, 2, 0, -1])
@pytest.mark.parametrize("k", [0, 1, 2_777, 3_998, 3_999])
def test_one_entry_of_many_is_named(factor, k):
    result = check(k, VECTOR, factor).inputs[0]
    assert result.wrong_entries == ((k,),)
    assert result.where.startswith("x[-1]" if k == 3_999 else f"x[{k}]")


@pytest.mark.parametrize("index", [(0, 0), (0, 59), (23, 45), (39, 0), (39, 59)])
def test_one_entry_of_a_large_matrix_is_named(index):
    assert check(index, LARGE, 1.1).inputs[0].wrong_entries == (index,)


@pytest.mark.parametrize("k", [0, 2_000, 2_777, 3_999])
def test_entry_of_a_reduction_is_named(k):
    def backward(u, x):
        dx = u * 2 * x / x.size
        dx[k] *= 1.01
        return dx

    report = gradcheck(lambda x: np.mean(x * x), backward, VECTOR, raise_exception=False)
    assert report.inputs[0].wrong_entries == ((k,),)


PATTERNLESS = {
    "two entries": ([3, 15], [5, 25]),
    "five entries": ([3, 10, 17, 25, 39], [5, 9, 25, 40, 0]),
    "four corners": ([0, 0, -1, -1], [0, -1, 0, -1]),
    "two rows": np.s_[[3, 20]],
    "diagonal": (np.arange(40), np.arange(40)),
    "cross": np.add.outer(np.arange(40) == 7, np.arange(60) == 9),
    "half of the entries": np.random.default_rng(5).random((40, 60)) < 0.5,
    "nine in ten": np.random.default_rng(6).random((40, 60)) < 0.9,
    "nine rows in ten": np.arange(40) % 20 > 1,
}


@pytest.mark.parametrize("chosen", PATTERNLESS.values(), ids=PATTERNLESS)
def test_no_wrong_region_is_claimed_for_entries_of_no_pattern(chosen):
    report = check(chosen, LARGE)
    mask = mask_of(chosen, LARGE)
    (result,) = report.inputs
    assert report.failed
    if result.where:
        assert result.wrong_count == mask.sum()
        assert all(mask[index] for index in result.wrong_entries)


def test_rows_in_each_others_place_are_not_said_to_be_a_few_entries():
    """The gradients of both rows are of all sizes, so that their entries lie in several strata."""

    def exchanged(u, x):
        dx = u * (1 - np.tanh(x) ** 2)
        dx[:2] = dx[1::-1]
        return dx

    x = np.random.default_rng(0).normal(size=(60, 60))
    report = gradcheck(np.tanh, exchanged, x, raise_exception=False)
    (result,) = report.inputs
    assert report.failed
    assert result.where == "" or result.wrong_count == 120


def test_zeroed_entries_of_large_values_are_found():
    report = check(LARGE > 2.5, LARGE, 0.0)
    (result,) = report.inputs
    assert result.wrong_count == (LARGE > 2.5).sum()


def test_wrong_input_of_two_is_located_and_the_right_one_is_not():
    def backward(u, x, w):
        dx, dw = u @ w.T, x.T @ u
        dw[17, 3] *= 1.1
        return dx, dw

    x, w = RNG.normal(size=(20, 300)), RNG.normal(size=(300, 10))
    report = gradcheck(lambda x, w: x @ w, backward, (x, w), raise_exception=False)
    of_x, of_w = report.inputs
    assert (of_x.verdict, of_x.wrong_count, of_x.where) == ("pass", 0, "")
    assert of_w.wrong_entries == ((17, 3),)
    assert of_w.where == "w[17, 3]"


def test_both_inputs_that_are_wrong_are_located_each_by_itself():
    def backward(u, x, y):
        dx, dy = u * y, u * x
        dx[5], dy[:, 7] = 1.5 * dx[5], 1.5 * dy[:, 7]
        return dx, dy

    y = RNG.normal(size=LARGE.shape)
    report = gradcheck(lambda x, y: x * y, backward, (LARGE, y), raise_exception=False)
    assert [result.where for result in report.inputs] == ["x[5, :]", "y[:, 7]"]


@pytest.mark.parametrize("k", [0, 2_777, 3_999])
def test_entry_is_named_within_the_calls_of_the_contract(k, monkeypatch):
    counts = []

    def counted(criteria, claims, probes):
        before = criteria.problem.forward_calls
        region = locate(criteria, claims, probes)
        counts.append(criteria.problem.forward_calls - before)
        return region

    monkeypatch.setattr(gradlab.checks.one_point, "locate", counted)
    assert check(k, VECTOR, 1.01).inputs[0].wrong_entries == ((k,),)
    assert 0 < sum(counts) <= 100


@pytest.mark.parametrize("seed", [2, 5, 354, 1095])
def test_entry_that_only_the_direction_of_all_inputs_shows_is_named(seed):
    """Along the direction of its own input alone, what it is off by is below rtol of that."""
    x, w = np.random.default_rng(0).normal(size=(2, 1200))

    def backward(u, x, w):
        dx, dw = u * 2 * x / x.size, u * 3 * w**2 / w.size
        dw[seed] *= 1 + 1e-5
        return dx, dw

    def forward(x, w):
        return np.mean(x * x + w**3)

    report = gradcheck(forward, backward, (x, w), rng=seed, raise_exception=False)
    assert [result.verdict for result in report.inputs] == ["pass", "fail"]
    assert [finding.input for finding in report.findings] == ["w"]
    assert report.inputs[1].wrong_entries == ((seed,),)


@pytest.mark.parametrize("seed", [12, 32, 93])
def test_entry_that_only_the_second_direction_shows_is_named(seed):
    x = np.random.default_rng(0).normal(size=2000)

    def backward(u, x):
        dx = u * 2 * x / x.size
        dx[6 * seed] *= 1 + 1e-5
        return dx

    report = gradcheck(lambda x: np.mean(x * x), backward, x, rng=seed, raise_exception=False)
    assert report.inputs[0].wrong_entries == ((6 * seed,),)


@pytest.mark.parametrize("factor", [1.5, 1.01])
@pytest.mark.parametrize("bad", [[5, 77], [5, 77, 800, 1500]])
@pytest.mark.parametrize("u", [30, 3000])
def test_entries_that_are_right_are_not_named_where_one_difference_is_off_by_truncation(u, bad, factor):
    x = np.random.default_rng(0).normal(size=2000)

    def backward(dy, x):
        dx = u * dy * np.cos(u * x)
        dx[bad] *= factor
        return dx

    report = gradcheck(lambda x: np.sin(u * x).sum(), backward, x, raise_exception=False)
    assert report.failed
    assert {index[0] for index in report.inputs[0].wrong_entries} <= set(bad)
    assert report.inputs[0].wrong_count <= len(bad)
