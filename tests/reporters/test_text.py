from dataclasses import replace

import numpy as np
import pytest

from gradlab import Cause, Rule, gradcheck, verify
from gradlab.reporters.style import PLAIN, Style
from gradlab.reporters.text import render
from gradlab.rules import linear

X = np.array([[0.5, -1.0], [2.0, 1.5]])
W = np.array([[1.0, -2.0], [0.5, 3.0]])


def check(backward, **options):
    return gradcheck(linear.forward, backward, (X, W), name="linear", raise_exception=False, **options)


def with_place(report, name, where):
    inputs = tuple(replace(item, where=where) if item.name == name else item for item in report.inputs)
    return replace(report, inputs=inputs)


def two_defects(dy, x, w):
    return dy @ w, (x.T @ dy) * [1, 1 + 1e-6]


RIGHT = check(linear.backward)
WRONG = check(lambda dy, x, w: (dy @ w, x.T @ dy))
BOTH_WRONG = check(two_defects)
UNDECIDED = gradcheck(
    lambda x: np.array([x[0], 1e20 + x[1]]),
    lambda dy, x: dy,
    np.ones(2),
    raise_exception=False,
)


def test_passing_report_is_one_line():
    assert render(RIGHT) == (
        "PASS linear: x and w right at all 8 entries; a relative error above 2e-07 would have shown"
    )


def test_passing_report_of_very_many_inputs_is_still_one_line():
    inputs = {f"parameter_{k}": np.ones(2) for k in range(30)}
    report = gradcheck(
        lambda **given: sum(value.sum() for value in given.values()),
        lambda dy, **given: {name: dy * np.ones(2) for name in given},
        inputs,
    )
    assert render(report).count("\n") == 0
    assert "parameter_0, parameter_1, parameter_2 and 27 more right at all 60 entries" in render(report)


def test_first_line_names_what_is_wrong_and_what_is_right():
    assert render(WRONG).splitlines()[0] == "FAIL linear: gradient of x is wrong; w is right"
    assert render(BOTH_WRONG).splitlines()[0] == "FAIL linear: gradients of x and w are wrong"


def test_line_of_a_wrong_input_has_both_numbers_and_the_error_bar():
    lines = render(WRONG).splitlines()
    worst = WRONG.inputs[0].worst
    place = f"x[{', '.join(map(str, worst.index))}]"
    assert lines[1].startswith("  x  wrong at all 4 entries; resolution ")
    assert lines[2] == (
        f"     worst {place}: backward {worst.analytic:.6g}, "
        f"central differences {worst.numeric:.6g} ± {worst.error_bar:.1g}; "
        f"relative difference {worst.error:.2g}"
    )


def test_line_of_a_right_input_says_what_would_have_shown():
    assert "  w  right at all 4 entries; resolution 2e-07" in render(WRONG).splitlines()


def test_place_of_the_wrong_entries_is_said():
    assert "w  wrong at 2 of 4 entries: w[:, 1]; resolution" in render(with_place(BOTH_WRONG, "w", "w[:, 1]"))


def test_place_is_said_also_of_a_large_input():
    report = gradcheck(np.tanh, lambda dy, x: dy, np.linspace(1, 2, 2000), raise_exception=False)
    assert "  x  wrong at all 2000 entries" in render(report)
    assert "along the worst direction: backward " in render(report)


def test_worst_input_comes_first_and_right_ones_last():
    report = check(lambda dy, x, w: ((dy @ w.T) * 1.001, -x.T @ dy))
    assert [line[2] for line in render(report).splitlines()[1:5:2]] == ["w", "x"]
    assert [
        line[2] for line in render(check(lambda dy, x, w: (dy @ w.T, -x.T @ dy))).splitlines()[1:4:2]
    ] == ["w", "x"]


def test_each_number_is_said_once():
    for report in (WRONG, BOTH_WRONG):
        text = render(report).partition("reproduce")[0]
        for result in report.inputs:
            assert text.count(f"{result.worst.numeric:.6g} ±") <= 1
    assert render(WRONG).count(f"{WRONG.inputs[0].worst.numeric:.6g} ±") == 1


def test_numbers_that_differ_late_are_written_until_they_differ():
    report = check(lambda dy, x, w: (dy @ w.T, (x.T @ dy) * (1 + 1e-6)))
    line = next(line for line in render(report).splitlines() if "worst" in line)
    analytic = line.split("backward ")[1].split(",")[0]
    numeric = line.split("differences ")[1].split(" ±")[0]
    assert analytic != numeric
    assert float(analytic) / float(numeric) == pytest.approx(1 + 1e-6, rel=1e-7)


def test_finding_without_a_line_of_its_own_is_said_in_its_words():
    report = check(lambda dy, x, w: ((dy @ w.T)[None], -x.T @ dy))
    text = render(report)
    assert (
        text.splitlines()[0] == "FAIL linear: gradient of x has shape (1, 2, 2); expected (2, 2), that of x"
    )
    assert "  w  wrong at all 4 entries" in text
    report = check(lambda dy, x, w: ((dy @ w.T)[None], (x.T @ dy)[None]))
    assert "  also: gradient of w has shape (1, 2, 2)" in render(report)


def test_causes_are_given_with_their_codes_in_order():
    causes = (Cause("factor", "gradient of x is twice too large", "x"), Cause("sign", "or else", None))
    lines = render(replace(WRONG, causes=causes)).splitlines()
    first = lines.index("  cause (factor): gradient of x is twice too large")
    assert lines[first + 1] == "  cause (sign): or else"


def test_inconclusive_report_says_why_and_shows_the_widest_bar():
    first, second, third, *_ = render(UNDECIDED).splitlines()
    assert first.startswith(
        "INCONCLUSIVE <lambda>: the numerical error bar is too wide to tell at 2 probes (x)"
    )
    assert second == "  x  could not tell"
    assert third.startswith("     worst x[1]: backward ")


def test_report_of_many_points_counts_them():
    rule = Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy / len(x), "(n)")
    report = verify(rule, raise_exception=False)
    counted = f"  {report.points} points: {report.points_passed} passed, 1 failed"
    assert counted in render(report).splitlines()
    assert "  reproduce at the simplest failing point found:" in render(report).splitlines()


def test_lines_keep_to_the_width_and_hang_under_their_first_word():
    cause = Cause("factor", "word " * 60, "x")
    for width in (60, 80, 120):
        lines = render(replace(WRONG, causes=(cause,)), Style(width=width)).splitlines()
        body = lines[1 : lines.index("  reproduce:")]
        assert max(map(len, body)) <= width
        start = next(k for k, line in enumerate(lines) if line.startswith("  cause (factor): word"))
        assert lines[start + 1].startswith(" " * len("  cause (factor): ") + "word")


def test_index_and_number_with_its_bar_are_not_torn_apart():
    for width in range(40, 120):
        text = render(WRONG, Style(width=width))
        assert f"x[{', '.join(map(str, WRONG.inputs[0].worst.index))}]" in text
        assert f"{WRONG.inputs[0].worst.numeric:.6g} ± " in text


def test_first_line_is_whole_except_on_a_terminal():
    report = replace(UNDECIDED, reason="reason " * 40)
    assert len(render(report).splitlines()[0]) > 200
    words, _, _ = render(report, Style(width=80, terminal=True)).partition("  reproduce:")
    assert max(map(len, words.splitlines())) <= 80


def test_snippet_can_be_pasted_as_it_stands():
    for style in (PLAIN, Style(width=40), Style(width=40, terminal=True)):
        assert render(WRONG, style).endswith(f"\n  reproduce:\n{WRONG.snippet}")


def test_report_of_very_many_inputs_fits_on_a_screen():
    inputs = {f"w{k}": np.ones(2) for k in range(9)}
    report = gradcheck(
        lambda **given: sum(value.sum() for value in given.values()),
        lambda dy, **given: {name: 2 * dy * value for name, value in given.items()},
        inputs,
        raise_exception=False,
    )
    text = render(report)
    assert "  and 3 more in report.inputs: 3 wrong" in text
    assert text.count("\n") < 30


def test_message_of_any_form_stays_on_its_line():
    report = replace(UNDECIDED, reason="two\nlines\x1b[31m", notes=("three\r\nlines",))
    text = render(report)
    assert text.splitlines()[0] == r"INCONCLUSIVE <lambda>: two lines\x1b[31m"
    assert "  note: three lines" in text.splitlines()


def test_colour_is_given_to_verdicts_and_changes_nothing_else():
    colored = render(WRONG, Style(color=True))
    assert colored.startswith("\033[1;31mFAIL\033[0m linear: ")
    assert "\033[1;32mright\033[0m" in colored
    assert colored.replace("\033[1;31m", "").replace("\033[1;32m", "").replace("\033[0m", "") == render(WRONG)


def test_ascii_alone_where_there_is_no_more():
    report = replace(WRONG, name="θ", notes=("½ dY Wᵀ",))
    text = render(report, Style(unicode=False))
    assert text.isascii()
    assert text.startswith("FAIL theta: ")
    assert " +/- " in text
    assert "note: 1/2 dY W^T" in text


def test_one_line_and_truth():
    assert repr(WRONG) == "<Report linear: fail at 1 point>"
    assert bool(RIGHT)
    assert not bool(WRONG)
