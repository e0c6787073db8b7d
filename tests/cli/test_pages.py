import sys

import pytest

from gradlab.cli import main
from gradlab.cli.docs import pages


def test_without_a_page_all_are_listed(capsys):
    assert main(["docs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(pages())
    assert lines[list(pages()).index("verdicts")].split(maxsplit=1)[1] == "What a verdict means"


@pytest.mark.parametrize("name", ["forms", "forms.md"])
def test_page_is_printed_as_it_is_in_a_pipe(name, capsys):
    assert main(["docs", name]) == 0
    assert capsys.readouterr().out.rstrip() == pages()["forms"].rstrip()


@pytest.mark.parametrize(
    ("name", "hint"), [("form", "did you mean 'forms'?"), ("zzz", "expected one of autograd, benchmarks, ")]
)
def test_unknown_page_is_a_usage_error_that_names_what_there_is(name, hint, capsys):
    assert main(["docs", name]) == 2
    assert capsys.readouterr().err.startswith(f"gradlab: there is no page '{name}'; {hint}")


def test_terminal_without_rich_gets_the_page_as_it_is(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["docs", "forms"]) == 0
    assert capsys.readouterr().out.startswith("# In which form is your derivative?")


def test_terminal_with_rich_gets_the_page_laid_out(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["docs", "forms"]) == 0
    out = capsys.readouterr().out
    assert "In which form is your derivative?" in out
    assert not out.startswith("# ")
