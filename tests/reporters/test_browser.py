"""Pages in a real browser: the system's Chromium, driven by Playwright; skipped where either is missing."""

import os
import shutil

import pytest
from pages import HOSTILE, RULES, hostile_run

from gradlab.reporters.explained import page_of_rule
from gradlab.reporters.page import page_of_run
from gradlab.rules import linear

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("jinja2")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def browser():
    root = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=root)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("html") / "index.html"
    path.write_text(page_of_run(hostile_run()), encoding="utf-8")
    return path


@pytest.fixture
def open_page(browser, path):
    """Open the page of a run as a reader has it; whatever the console says, or runs, is a failure."""
    contexts, said = [], []

    def open_page(*, file=path, width=1100, height=800, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: said.append(request.url) if "file:" not in request.url else None)
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def names(page):
    return page.locator("#rules tbody tr:visible td:first-child").all_inner_texts()


def test_page_opens_without_a_word_in_the_console_and_runs_nothing_of_a_rule(open_page):
    page = open_page()
    assert names(page) == [HOSTILE, "raises", "known", "right"]
    assert page.locator("img").count() == 0


def test_status_filters_and_words_search(open_page):
    page = open_page()
    page.get_by_role("button", name="pass 1").click()
    assert names(page) == ["right"]
    assert page.locator("#count").inner_text() == "1 of 4 rules shown"
    page.get_by_role("button", name="all", exact=True).click()
    page.get_by_label("Search").fill("ALERT(1)")
    assert names(page) == [HOSTILE]
    page.get_by_label("Search").fill("")
    assert len(names(page)) == 4


def test_columns_sort_both_ways(open_page):
    page = open_page()
    page.get_by_role("button", name="rule").click()
    assert names(page) == sorted([rule.name for rule in RULES], key=str.lower)
    page.get_by_role("button", name="rule").click()
    assert names(page)[0] == "right"
    page.get_by_role("button", name="forward calls").click()
    calls = [int(text) for text in page.locator("#rules tbody td:nth-child(4)").all_inner_texts()]
    assert calls == sorted(calls, reverse=True)
    head = page.locator("#rules th", has_text="forward calls")
    assert head.get_attribute("aria-sort") == "descending"


def test_keyboard_reaches_and_uses_everything(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.get_by_role("button", name="fail 2").focus()
    page.keyboard.press("Enter")
    assert len(names(page)) == 2


def test_copy_copies_the_snippet(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    snippet = page.locator(".snippet").first
    snippet.get_by_role("button", name="Copy").click()
    snippet.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == snippet.locator("code").inner_text()
    assert page.locator("#said").inner_text() == "Copied to the clipboard"


@pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(13, 17, 23)")])
def test_theme_is_that_of_the_reader(open_page, scheme, ground):
    page = open_page(color_scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    cell = page.locator("svg .c6").first
    assert cell.evaluate("e => getComputedStyle(e).fill") in ("rgb(193, 39, 45)", "rgb(255, 123, 114)")


def test_narrow_window_needs_no_scrolling_to_the_side(open_page):
    page = open_page(width=400)
    page.locator("section.rule").last.scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_print_is_light_and_leaves_the_controls_out(open_page):
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator(".tools").is_visible()
    assert not page.locator(".copy").first.is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_page_reads_without_script(open_page):
    page = open_page(java_script_enabled=False)
    assert len(names(page)) == 4
    assert not page.locator(".tools").is_visible()
    assert page.locator("svg").first.is_visible()


def test_derivation_opens_too(open_page, tmp_path):
    file = tmp_path / "linear.html"
    file.write_text(page_of_rule(linear.RULE), encoding="utf-8")
    page = open_page(file=file, width=400)
    assert page.locator("h1").inner_text() == "linear: the derivation"
    assert page.evaluate("document.documentElement.scrollWidth") == 400
