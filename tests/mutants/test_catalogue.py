from collections import Counter

import pytest

from gradlab.mutants import BREAKS, CAUSES, KINDS, catalogue

CASES = catalogue()
DEFECTS = [defect for case in CASES for defect in case.defects]


def test_there_are_many_rules_with_several_defects_each():
    assert len(CASES) >= 25
    assert len(DEFECTS) >= 130
    assert {case.name: len(case.defects) for case in CASES if not 3 <= len(case.defects) <= 8} == {}


def test_names_tell_them_apart():
    names = [f"{case.name}: {defect.name}" for case in CASES for defect in case.defects]
    assert len(set(names)) == len(names)
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_several_defects(kind):
    assert sum(defect.kind == kind for defect in DEFECTS) >= 3


def test_kinds_causes_and_ways_to_break_are_those_declared():
    assert {defect.kind for defect in DEFECTS} == set(KINDS)
    assert {defect.cause for defect in DEFECTS} - {None} == set(CAUSES)
    assert {defect.breaks for defect in DEFECTS} == set(BREAKS)


def test_every_cause_occurs_more_than_once_and_over_many_rules():
    counts = Counter(defect.cause for defect in DEFECTS if defect.cause)
    assert min(counts.values()) >= 2
    assert counts.total() >= 60
    assert sum(any(defect.cause for defect in case.defects) for case in CASES) >= 15


def test_every_defect_says_what_it_remakes():
    assert [defect.name for defect in DEFECTS if len(defect.remakes.split()) < 3] == []


def test_a_plain_rule_answers_as_its_cached_form_does():
    import numpy as np

    (case,) = [case for case in CASES if case.name == "softmax"]
    (z,) = case.point(np.random.default_rng(0))
    dy = np.ones(z.shape) * [1, 2, 3, 4]
    for defect in (None, *case.defects):
        forward, backward = case.functions(defect)
        plain_forward, plain_backward = case.plain(defect)
        y, cache = forward(z)
        assert np.array_equal(plain_forward(z), y)
        assert np.array_equal(plain_backward(dy, z), backward(dy, cache))
