import base64
import doctest
import hashlib
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from pages import BREAKOUT, HOSTILE, hostile_run

import gradlab
from gradlab import UsageError, gradcheck
from gradlab.reporters.drawings import figures_of
from gradlab.reporters.drawings.palette import THEMES

pytest.importorskip("jinja2")

from gradlab.reporters.page import page_of_run, templates

VOID = {"meta", "img", "input", "br"}
X, W = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]), np.array([[1.0, 2.0], [-1.0, 0.5], [0.25, 3.0]])


class Page(HTMLParser):
    """Reads a page; refuses tags that are not closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.seen, self.texts = [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def tags(self, name):
        return [attributes for tag, attributes in self.seen if tag == name]


def wrong(backward=lambda dy, x, w: (dy @ w.T, x.T @ dy * 1.5), **options):
    return gradcheck(np.matmul, backward, (X, W), raise_exception=False, **options)


@pytest.fixture(scope="module")
def run_page():
    return page_of_run(hostile_run())


@pytest.fixture(scope="module")
def report_page():
    return wrong(name=HOSTILE).to_html()


def test_nothing_that_a_rule_is_named_or_says_is_markup(run_page, report_page):
    for text in (run_page, report_page):
        page = Page(text)
        assert not page.tags("img")
        assert len(page.tags("script")) == len(page.tags("style")) == 1
        for tag, attributes in page.seen:
            assert not any(name.startswith("on") for name in attributes), tag
        assert HOSTILE not in text
    assert BREAKOUT not in run_page
    assert HOSTILE in Page(run_page).texts["h2"]


def test_policy_allows_the_script_and_the_style_of_the_page_and_nothing_else(run_page):
    (policy,) = [a["content"] for a in Page(run_page).tags("meta") if "http-equiv" in a]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", run_page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_nothing_is_loaded(run_page):
    assert not re.search(r"url\(|@import|https?:|<link|src=\"", run_page)
    assert all(a["href"].startswith("#") for a in Page(run_page).tags("a"))


def test_rules_have_a_row_each_and_what_does_not_pass_a_section(run_page):
    page = Page(run_page)
    assert [a["data-status"] for a in page.tags("tr") if "data-status" in a] == [
        "fail",
        "fail",
        "known failure",
        "pass",
    ]
    sections = [a["id"] for a in page.tags("section")]
    assert sections == ["rule-1", "rule-2", "rule-3"]
    assert [a["href"] for a in page.tags("a")] == ["#main", *(f"#{id_}" for id_ in sections)]


def test_report_has_its_cause_its_snippet_and_a_picture_of_each_kind():
    report = wrong()
    page = Page(report.to_html())
    said = " ".join(text for texts in page.texts.values() for text in texts)
    assert report.causes[0].message in said
    assert "1.5 times what forward shows" in said
    assert report.snippet in page.texts["code"]
    titles = [title for title in page.texts["b"] if ":" in title or "Jacobian" in title]
    for start in ("Where", "Claim against forward", "Jacobian of x2", "Error against step"):
        assert any(title.startswith(start) for title in titles)


def test_every_picture_says_in_words_what_it_shows(report_page):
    pictures = Page(report_page).tags("svg")
    assert len(pictures) >= 5
    assert all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in pictures)


def test_heat_map_marks_the_wrong_entries_and_no_others():
    def backward(dy, x):
        dx = dy * np.cos(x)
        dx[2, [0, 5, 9]] *= 1.1
        return dx

    report = gradcheck(np.sin, backward, np.linspace(0.1, 1, 40).reshape(4, 10), raise_exception=False)
    picture = next(f for f in figures_of(report, report.pictures) if f.title.startswith("Where"))
    (crosses,) = re.findall(r'<path d="([^"]*)" class="mark', picture.svg)
    (cells,) = re.findall(r'<path d="([^"]*)" class="c5"', picture.svg)
    assert crosses.count("M") == cells.count("M") == report.inputs[0].wrong_count == 3
    assert "wrong at 3 of 40 entries" in picture.alt


def test_steps_are_plotted_one_by_one():
    report = wrong()
    picture = next(f for f in figures_of(report, report.pictures) if f.title.startswith("Error against"))
    (dots,) = re.findall(r'<path d="([^"]*)" class="fwd" stroke-linecap="round"', picture.svg)
    assert dots.count("M") == report.pictures.steps[0].step.size


def test_snippet_of_a_page_is_that_of_the_report_to_the_letter():
    report = wrong()
    assert report.snippet in Page(report.to_html()).texts["code"]


def test_page_is_written_to_a_path(tmp_path):
    report, path = wrong(), tmp_path / "report.html"
    assert report.to_html(path) == path.read_text(encoding="utf-8")


def test_path_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        wrong().to_html(tmp_path / "missing" / "report.html")


def test_page_that_fails_halfway_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda number: os.close(-1))
    with pytest.raises(UsageError, match=r"report\.html cannot be written: Bad file descriptor"):
        wrong().to_html(path)
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_passing_report_has_a_page_too():
    page = Page(wrong(lambda dy, x, w: (dy @ w.T, x.T @ dy)).to_html())
    assert any("right at all" in text.lower() for text in page.texts["figcaption"])


def test_without_jinja2_one_sentence_names_the_extra(monkeypatch):
    templates.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UsageError, match=r"jinja2 is not installed.*gradlab-verify\[html\]"):
        wrong().to_html()


def luminance(colour):
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_text_has_the_contrast_of_AA_on_what_it_stands_on(theme):
    colours = THEMES[theme]
    pairs = [(text, ground) for text in ("ink", "muted", "forward", "claim") for ground in ("paper", "panel")]
    pairs += [("right", "paper"), ("unsure", "paper"), ("on-cell-6", "cell-6")]
    pairs += [("on-cell", f"cell-{k}") for k in range(6)]
    low = {(a, b): c for a, b in pairs if (c := contrast(colours[a], colours[b])) < 4.5}
    assert low == {}


def test_examples_of_the_documentation_run():
    page = Path(gradlab.__file__).parent / "docs" / "html.md"
    failed, attempted = doctest.testfile(str(page), module_relative=False)
    assert attempted > 8
    assert failed == 0
