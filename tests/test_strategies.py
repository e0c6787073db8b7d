from collections import Counter
from functools import cache
from random import Random

import hypothesis
import numpy as np
import pytest
from hypothesis import find, given, settings

from gradlab import Rule, UsageError, strategies, verify
from gradlab.strategies import (
    between,
    constant,
    inputs,
    labels,
    one_hot,
    positive,
    probabilities,
    reals,
    spd,
    symmetric,
)
from gradlab.strategies.numbers import steps

KINDS = ("ties", "zeros", "magnitude", "layout")
SQUARES = inputs("(2,2)")


@cache
def drawn(strategy, seed=0, count=100):
    """Draw points in runs of ten, as `verify` does; of one strategy, once for all tests."""
    points = []
    quiet = settings(
        max_examples=10,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def collect(point):
        points.append(point)

    for run in range(count // 10):
        hypothesis.seed(f"{seed}, {run}")(quiet(given(strategy)(collect)))()
    return points


UNHURRIED = settings(
    max_examples=2000,
    database=None,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)


def simplest(strategy, condition=lambda point: True):
    return find(strategy, condition, settings=UNHURRIED, random=Random(0))


class TestSignature:
    def test_a_name_stands_for_one_size(self):
        points = drawn(inputs("(n,d),(d,m),()"))
        assert all(x.shape[1] == w.shape[0] and s.shape == () for x, w, s in points)
        assert {x.shape[0] for x, _, _ in points} == {1, 2, 3, 4}

    def test_a_number_stands_for_itself(self):
        assert {a.shape[1] for (a,) in drawn(inputs("(n,3)"))} == {3}

    def test_outputs_and_blanks_are_ignored(self):
        (x, w) = simplest(inputs("(n, d), (d, m) -> (n, m)"))
        assert x.shape == w.shape == (1, 1)

    def test_largest_sizes_are_the_callers(self):
        shapes = {a.shape for (a,) in drawn(inputs("(n,d)", max_side={"d": 2}))}
        assert {n for n, _ in shapes} == {1, 2, 3, 4}
        assert {d for _, d in shapes} == {1, 2}

    def test_batch_dimensions_broadcast(self):
        points = drawn(inputs("(n,d),(d,m)", broadcast=True), count=100)
        for x, w in points:
            np.broadcast_shapes(x.shape[:-2], w.shape[:-2])
            assert x.shape[-1] == w.shape[-2]
        batches = [(x.shape[:-2], w.shape[:-2]) for x, w in points]
        assert any(len(a) != len(b) for a, b in batches)
        assert any(len(a) == len(b) and 1 in b and a != b for a, b in batches)
        assert any(len(a) == 2 for a, _ in batches)


PLAIN_NUMBERS = {"n": reals, "p": positive, "b": between(-1, 0.25)}


@pytest.mark.parametrize("held", PLAIN_NUMBERS.values(), ids=PLAIN_NUMBERS)
@pytest.mark.parametrize("signature", ["(n,d)", "(8,20)"])
def test_plain_points_have_neither_ties_nor_zeros(held, signature):
    for (a,) in drawn(inputs(signature, elements=held, degenerate=False), count=20):
        assert np.unique(a).size == a.size
        assert np.abs(a).min() > 1e-4
        assert a.flags.c_contiguous


def is_spd(a):
    return (a == a.swapaxes(-1, -2)).all() and (np.linalg.eigvalsh(a) > 0).all()


DOMAINS = {
    "reals": (reals, "(n,n)", np.isfinite),
    "positive": (positive, "(n,n)", lambda a: a > 0),
    "probabilities": (probabilities, "(n,n)", lambda p: (p > 0) & np.isclose(p.sum(-1, keepdims=True), 1)),
    "between": (between(-0.5, 3), "(n,n)", lambda a: (a > -0.5) & (a < 3)),
    "between positive": (between(0, 1), "(n,n)", lambda a: (a > 0) & (a < 1)),
    "symmetric": (symmetric, "(n,n)", lambda a: a == a.swapaxes(-1, -2)),
    "spd": (spd, "(n,n)", is_spd),
    "stacked spd": (spd, "(k,6,6)", is_spd),
    "one_hot": (one_hot, "(n,c)", lambda t: (t.sum(axis=-1) == 1) & (t.max(axis=-1) == 1)),
    "labels": (labels("4"), "(n,4)", lambda t: (t >= 0) & (t < 4)),
    "ignored labels": (labels("4", ignore=-1), "(n,4)", lambda t: (t >= -1) & (t < 4)),
    "constant": (constant(0.5), "(n)", lambda t: t == 0.5),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_every_point_degenerate_or_not_holds_what_it_may_hold(name):
    held, signature, holds = DOMAINS[name]
    points = drawn(inputs(signature, elements=held), count=120)
    for point in points:
        assert np.all(holds(point[0])), (point, point.degenerate)
    possible = held.alterations if isinstance(held, strategies.Elements) else {"layout"}
    assert {point.degenerate for point in points} >= {"", *possible}


def off_the_grid(a):
    return (a * steps(a.shape) / 4 % 1).any()


class TestDegeneratePoints:
    def test_share_is_as_documented(self):
        kinds = Counter(point.degenerate for point in drawn(inputs("(n,d)"), count=250))
        assert kinds[""] == pytest.approx(140, abs=30)
        assert kinds["ties"] == pytest.approx(40, abs=20)
        assert kinds["zeros"] == pytest.approx(40, abs=20)
        assert set(kinds) == {"", *KINDS}

    def test_they_can_be_switched_off(self):
        points = drawn(inputs("(n),(n)", degenerate=False))
        assert {point.degenerate for point in points} == {""}
        assert all(a.all() and np.unique(a).size == a.size for point in points for a in point)

    @pytest.mark.parametrize(
        ("kind", "shows"),
        [
            ("ties", lambda a: np.unique(a).size <= 2),
            ("zeros", lambda a: (a == 0).any()),
            (
                "magnitude",
                lambda a: np.abs(a).max() > 2 or (a * steps(a.shape) / 4 % 1).any(),
            ),  # off the grid
            ("layout", lambda a: not a.flags.c_contiguous or a.ndim == 1 or 1 in a.shape),
        ],
    )
    def test_each_shows_what_it_is(self, kind, shows):
        points = [p for p in drawn(SQUARES, count=300) if p.degenerate == kind]
        assert points
        assert sum(map(shows, (p[0] for p in points))) >= 0.8 * len(points)

    def test_duplicate_and_ignored_labels(self):
        points = drawn(inputs("(n),(c)", elements=(labels("c", ignore=-100), reals)), count=200)
        assert any((t == -100).all() for t, _ in points)
        assert any((t == -100).any() and (t != -100).any() for t, _ in points)
        assert any(len(t) > 2 and (t == t[0]).all() and t[0] >= 0 for t, _ in points)
        assert all((p[0] != -100).any() for p in points if not p.degenerate)

    def test_not_contiguous_memory_reaches_the_rule(self):
        seen = []

        def forward(x):
            seen.append(x.flags.c_contiguous)
            return 2 * x

        verify(Rule("double", forward, lambda dy, x: 2 * dy, "(3,2)"))
        assert 0 < seen.count(False) < len(seen)

    @pytest.mark.parametrize("dtype", [np.float64, np.float32, "float16"])
    def test_numbers_are_exact_in_every_dtype(self, dtype):
        for (a,) in drawn(inputs("(n)", dtype=dtype)):
            assert a.dtype == dtype
            assert np.isfinite(a).all()
            assert (a.astype(float) * 2**14 % 1 == 0).all()


class TestShrinking:
    def test_simplest_point_is_plain_and_of_ones(self):
        point = simplest(inputs("(n,d),(d,m),(n)", elements=(reals, positive, labels("d"))))
        assert [a.tolist() for a in point] == [[[1.0]], [[1.0]], [0]]
        assert point.degenerate == ""

    def test_what_does_not_need_a_degenerate_point_shrinks_to_a_plain_one(self):
        point = simplest(inputs("(n)"), lambda point: point[0].size > 1 or 0 in point[0])
        np.testing.assert_array_equal(point[0], [1, -1])

    def test_what_needs_one_shrinks_to_a_small_one(self):
        assert simplest(inputs("(n)"), lambda point: 0 in point[0])[0].tolist() == [0.0]
        (tied,) = simplest(inputs("(n)"), lambda point: np.unique(point[0]).size < point[0].size)
        assert tied.size == 2


class TestBadInput:
    @pytest.mark.parametrize("signature", ["", "n,d", "(n,d", "(n,),(d)", "(n)(d)", "(3e)", "(²)", "(n)->m"])
    def test_signature_that_cannot_be_read(self, signature):
        with pytest.raises(UsageError, match=r"expected something like '\(n,d\),\(d,m\)'"):
            inputs(signature)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((3,), "signature is the int 3; expected a string"),
            (("(n?,d),(d,m?)",), "has optional dimensions, which are not supported"),
            (("(n),(n)", (reals,)), r"signature '\(n\),\(n\)' names 2 arrays; elements are given for 1"),
            (("(n)", ("rael",)), r"elements\[0\] is the str 'rael'; expected reals, positive, "),
            (("(n)", "reals"), "elements is the str 'reals'; expected reals, positive, "),
            (("(n,c),(n)", (reals, labels)), r"elements\[1\] is labels itself; expected labels\('c'\)"),
            (
                ("(n,c),(n)", (reals, labels("k"))),
                r"elements\[1\] does not fit .* labels\('k'\) .* whose names are c, n",
            ),
            (("(n,m)", spd), r"elements\[0\] does not fit .* dimensions such as \(n,n\), not \(n,m\)"),
            (("()", one_hot), r"elements\[0\] does not fit .* without axes"),
        ],
    )
    def test_one_sentence_says_what_was_given_and_expected(self, arguments, message):
        signature, *elements = arguments
        with pytest.raises(UsageError, match=message):
            inputs(signature, elements=elements[0] if elements else None)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"dtype": int}, "dtype is <class 'int'>; expected a floating dtype such as 'float32'"),
            ({"dtype": "text"}, "dtype is 'text'; expected a floating dtype"),
            ({"max_side": 0}, "max_side is the int 0; expected a whole number, at least 1"),
            ({"max_side": {"k": 2}}, "max_side names 'k'; expected dimensions of the signature: n"),
        ],
    )
    def test_options(self, options, message):
        with pytest.raises(UsageError, match=message):
            inputs("(n)", **options)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: between(1, 0), "between was given the int 1 and the int 0; expected two finite numbers"),
            (lambda: between(0, np.inf), "expected two finite numbers, the lower one first"),
            (lambda: between("a", 1), "between was given the str 'a'"),
            (lambda: labels(3), "labels was given the int 3; expected the name of a dimension"),
            (lambda: labels("c", ignore=0.5), "ignore is the float 0.5; expected an integer such as -100"),
        ],
    )
    def test_elements(self, make, message):
        with pytest.raises(UsageError, match=message):
            make()

    def test_verify_names_the_rule(self):
        with pytest.raises(UsageError, match=r"rule 'square': signature '\(n\?\)' has optional dimensions"):
            verify(Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, "(n?)"))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_reals_and_real_numbers_of_their_precision(dtype):
    for z, x in drawn(inputs("(n),(n)", elements=(reals, positive), dtype=dtype), count=10):
        assert z.dtype == dtype
        assert x.dtype == z.real.dtype


def test_simplest_complex_number_has_both_parts():
    assert simplest(inputs("()", dtype="complex128"))[0] == 1 + 1j
