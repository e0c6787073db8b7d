import numpy as np
import pytest

from gradlab.mutants import Case, Defect, catalogue, run

CASES = {case.name: case for case in catalogue()}
SQUARE = Case(
    "square",
    lambda x: x * x,
    lambda dy, x: 2 * dy * x,
    lambda rng: (rng.normal(size=3),),
    defects=(
        Defect("no 2", lambda dy, x: dy * x, kind="arithmetic", remakes="the factor lost"),
        Defect("nothing wrong", lambda dy, x: dy * (x + x), kind="arithmetic", remakes="no defect at all"),
    ),
)
WRONG = Case("wrong", SQUARE.forward, SQUARE.defects[0].backward, SQUARE.point, defects=())


def test_gradcheck_is_the_checker_by_default():
    right, no_2, equal = run(cases=[SQUARE])
    assert (right.outcome, no_2.outcome, equal.outcome) == ("accepted", "rejected", "accepted")
    assert no_2.caught
    assert equal.missed
    assert not right.missed
    assert not right.false_alarm


def test_right_rule_that_is_rejected_is_a_false_alarm():
    (result,) = run(cases=[WRONG])
    assert result.false_alarm


@pytest.mark.parametrize(
    ("checker", "outcome"),
    [
        (lambda forward, backward, inputs: 1, "accepted"),
        (lambda forward, backward, inputs: np.False_, "rejected"),
        (lambda forward, backward, inputs: None, "rejected"),
        (lambda forward, backward, inputs: pytest.approx(1).no_such, "error"),
    ],
)
def test_what_a_checker_returns_is_its_verdict(checker, outcome):
    assert {result.outcome for result in run(checker, [SQUARE])} == {outcome}


def test_assertion_error_is_a_rejection_and_its_text_is_kept():
    def checker(forward, backward, inputs):
        raise AssertionError("not equal")

    assert {(result.outcome, result.message) for result in run(checker, [SQUARE])} == {
        ("rejected", "not equal")
    }


def test_cached_rules_are_shown_to_other_checkers_in_the_plain_form():
    def checker(forward, backward, inputs):
        y = forward(*inputs)
        return isinstance(y, np.ndarray) and backward(np.ones_like(y), *inputs).shape == inputs[0].shape

    assert {result.outcome for result in run(checker, [CASES["softmax"]])} == {"accepted"}


def test_points_depend_on_the_seed_and_not_on_the_selection():
    seen = []

    def checker(forward, backward, inputs):
        seen.append(inputs[0])

    run(checker, [SQUARE, CASES["tanh"]], seed=1)
    alone = len(seen)
    run(checker, [CASES["tanh"]], seed=1)
    run(checker, [CASES["tanh"]], seed=2)
    assert np.array_equal(seen[alone - 1], seen[alone])
    assert not np.array_equal(seen[alone], seen[-1])


def test_what_one_rule_or_checker_writes_into_the_point_is_not_seen_by_the_next():
    seen = []

    def checker(forward, backward, inputs):
        seen.append(inputs[0].copy())
        inputs[0][...] = 0

    run(checker, [SQUARE])
    assert np.array_equal(seen[0], seen[1])
    (case,) = [case for case in catalogue() if case.name == "dense_contract"]
    results = run(cases=[case])
    assert [result.outcome for result in results] == ["accepted"] + ["rejected"] * len(case.defects)


def test_forward_calls_are_counted():
    (right, *_) = run(lambda forward, backward, inputs: [forward(*inputs) for _ in range(3)], [SQUARE])
    assert right.forward_calls == 3


def test_same_seed_gives_same_results():
    def told(results):
        return [(result.name, result.outcome, result.message, result.forward_calls) for result in results]

    cases = [CASES["tanh"], CASES["embedding"], CASES["max"]]
    assert told(run(cases=cases, seed=3)) == told(run(cases=cases, seed=3))


def test_rules_with_constrained_inputs_are_shown_only_to_those_that_can_be_told():
    constrained = [case for case in CASES.values() if case.bounds or case.tangents]
    assert len(constrained) >= 4
    assert run(lambda forward, backward, inputs: False, constrained) == ()
    assert {result.outcome for result in run(cases=constrained[:1])} == {"accepted", "rejected"}
