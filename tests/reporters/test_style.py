import io
import os
import pty

import pytest

from gradlab.reporters.style import Style, style_of, to_ascii


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)
    controller, end = pty.openpty()
    with os.fdopen(end, "w", encoding="utf-8") as stream:
        yield stream
    os.close(controller)


def test_pipe_has_a_fixed_width_and_no_colour(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    assert style_of(io.StringIO()) == Style(width=100, color=False, unicode=True, terminal=False)


def test_terminal_has_its_own_width_and_colour(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    assert style_of(terminal) == Style(width=72, color=True, unicode=True, terminal=True)


@pytest.mark.parametrize(("columns", "width"), [("10", 40), ("400", 120)])
def test_width_stays_readable(terminal, monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    assert style_of(terminal).width == width


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_refused(terminal, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert not style_of(terminal).color


def test_empty_no_color_refuses_nothing(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "")
    assert style_of(terminal).color


@pytest.mark.parametrize(
    ("encoding", "unicode"), [("utf-8", True), ("ascii", False), ("latin-1", False), ("cp1252", False)]
)
def test_encoding_decides_about_characters(encoding, unicode):
    assert style_of(io.TextIOWrapper(io.BytesIO(), encoding=encoding)).unicode is unicode


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 ± 2", "1 +/- 2"),
        ("−2 × grad_output", "-2 x grad_output"),
        ("½ Σ (y − o)²", "1/2 sum (y - o)^2"),
        ("dY Wᵀ", "dY W^T"),
        ("θ, Δβ, η", "theta, Deltabeta, eta"),
        ("'é'", r"'\xe9'"),
        ("plain", "plain"),
    ],
)
def test_transliteration(text, expected):
    assert to_ascii(text) == expected
