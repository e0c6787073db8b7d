from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from gradlab import Cause, Finding, gradcheck

TAGS = {"div", "span", "table", "thead", "tbody", "tr", "th", "td", "pre", "details", "summary"}
TAGS |= {"figure", "figcaption", "b", "style"}
DRAWN = {"svg", "path", "text", "rect", "circle", "title"}
HOSTILE = "<script>alert('&\"')</script>"


class Strict(HTMLParser):
    """Reads a fragment; refuses tags that are not closed in order."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.seen, self.text, self.cells = [], [], "", []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.append((tag, dict(attributes)))
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.cells[-1] += data


def read(report):
    parser = Strict()
    parser.feed(report._repr_html_())
    parser.close()
    assert parser.open == []
    return parser


def report(**options):
    return gradcheck(
        lambda x, w: x @ w,
        lambda dy, x, w: (dy @ w.T, 2 * x.T @ dy),
        (np.ones((2, 2)), np.ones((2, 1))),
        name="linear",
        raise_exception=False,
        **options,
    )


WRONG = report()


def test_table_has_a_row_for_each_input_failures_first():
    cells = read(WRONG).cells
    assert cells[0] == "input"
    assert cells[7:9] == ["w", "wrong"]
    assert cells[14:16] == ["x", "right"]


def test_table_has_both_numbers_with_the_error_bar():
    worst = WRONG.inputs[1].worst
    assert f"{worst.analytic:.6g}" in read(WRONG).cells
    assert f"{worst.numeric:.6g} ± {worst.error_bar:.1g}" in read(WRONG).cells


def test_cause_note_and_snippet_are_shown():
    text = read(replace(WRONG, causes=(Cause("factor", "twice too large", "w"),), notes=("a kink",))).text
    assert "cause (factor): twice too large" in text
    assert "note: a kink" in text
    assert WRONG.snippet in text


def test_passing_report_is_one_sentence():
    passing = gradcheck(np.sin, lambda dy, x: dy * np.cos(x), np.array([0.5]))
    assert read(passing).text == str(passing)


def test_pictures_are_drawn_with_words_for_those_who_do_not_see_them():
    pictures = [attributes for tag, attributes in read(WRONG).seen if tag == "svg"]
    assert len(pictures) >= 3
    assert all(attributes["role"] == "img" and len(attributes["aria-label"]) > 20 for attributes in pictures)


def test_slow_check_says_how_to_get_its_pictures():
    parser = read(replace(WRONG, seconds=60.0))
    assert "svg" not in {tag for tag, _ in parser.seen}
    assert "report.to_html(path)" in parser.text


def test_everything_that_users_name_is_escaped():
    finding = Finding("contract", None, "not-finite", HOSTILE)
    hostile = replace(
        WRONG,
        name=HOSTILE,
        reason=HOSTILE,
        findings=(finding, finding),
        causes=(Cause(HOSTILE, HOSTILE, HOSTILE),),
        notes=(HOSTILE,),
        inputs=tuple(replace(item, name=HOSTILE, where=HOSTILE) for item in WRONG.inputs),
        example=HOSTILE,
    )
    parser = read(hostile)
    assert parser.text.count(HOSTILE) > 8
    assert {tag for tag, _ in parser.seen} <= TAGS | DRAWN


def test_nothing_is_loaded_and_nothing_runs():
    parser = read(WRONG)
    for tag, attributes in parser.seen:
        if tag not in DRAWN:
            assert set(attributes) <= {"style"}
        assert not any(name.startswith("on") or "href" in name or name == "src" for name in attributes)
        assert "url(" not in attributes.get("style", "")
    assert "url(" not in parser.text
    assert "@import" not in parser.text


def test_text_is_in_the_colours_of_the_theme_but_for_badges_with_their_own_background():
    for _, attributes in read(WRONG).seen:
        style = attributes.get("style", "")
        if "color:#" in style.replace("background:#", ""):
            assert "background:#" in style
