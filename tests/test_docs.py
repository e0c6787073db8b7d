"""README.md and the pages of `gradlab docs`: whatever they show as code runs, and gives what they show."""

import importlib
import re
import runpy
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gradlab import GradientError
from gradlab.cli import _parser, main
from gradlab.cli.docs import pages
from gradlab.runs.config import read_configuration

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
TEXTS = {"README": (ROOT / "README.md").read_text(encoding="utf-8")} | pages()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)")
FRAMEWORKS = ("torch", "jax", "autograd")

# pytester forgets what was first loaded within its run; NumPy must not be loaded twice, nor rules be doubled.
for module in (
    "numpy",
    "scipy.sparse.linalg",
    "hypothesis",
    "ml_dtypes",
    "gradlab.rules",
    "gradlab.networks",
):
    importlib.import_module(module)


def blocks(name, language):
    """Give each block of a page, the line on which it starts, and the block of text that follows at once."""
    text = TEXTS[name]
    for block, after in pairwise([*FENCE.finditer(text), None]):
        if block[1] == language:
            follows = after is not None and not text[block.end() : after.start()].strip()
            shown = after[2] if follows and after[1] == "text" else None
            yield block[2], text.count("\n", 0, block.start()) + 1, shown


def test_page_of_the_command_line_has_every_option():
    text, known = TEXTS["command-line"], _parser()._subparsers._group_actions[0].choices
    options = {option for command in known.values() for option in command._option_string_actions}
    assert {option for option in options if option not in text} <= {"-h", "--help"}


def is_session(code):
    return ">>> " in code


def is_test_file(code):
    return re.search(r"^def test_", code, flags=re.MULTILINE) is not None


@pytest.fixture
def frameworks(request):
    """Skip without the frameworks that are used; load the others before `pytester` notes what is loaded.

    Whatever is loaded later it forgets, and no framework can be loaded twice.
    """
    given = request.node.callspec.params
    text = given.get("code") or TEXTS[given["name"]]
    for framework in FRAMEWORKS:
        use = rf"^(>>> )?(import|from) {framework}\b|\bgradlab\.{framework}\."
        if re.search(use, text, flags=re.MULTILINE):
            pytest.importorskip(framework)


def assert_same(printed, shown):
    """Compare text; numbers as far as they are written, as pytest's NUMBER does."""
    got, expected = NUMBER.split(printed.strip()), NUMBER.split(shown.strip())
    assert got[::2] == expected[::2]
    for number, written in zip(got[1::2], expected[1::2], strict=True):
        mantissa, _, exponent = written.partition("e")
        unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        assert abs(float(number) - float(written)) <= (unit if unit < 1 else 0)


SCRIPTS = [
    pytest.param(code, shown, id=f"{name}.md:{line}")
    for name in TEXTS
    for code, line, shown in blocks(name, "python")
    if not is_session(code) and not is_test_file(code)
]


@pytest.mark.usefixtures("frameworks")
@pytest.mark.parametrize(("code", "shown"), SCRIPTS)
def test_block_runs_by_itself_and_prints_what_is_shown(code, shown, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("check.py").write_text(code, encoding="utf-8")
    raised = ""
    try:
        runpy.run_path("check.py", run_name="__main__")
    except GradientError as error:
        raised = str(error)
    if shown is not None:
        assert_same(capsys.readouterr().out + raised, shown)
    else:
        assert not raised


@pytest.mark.usefixtures("frameworks")
@pytest.mark.parametrize("name", [name for name in TEXTS if is_session(TEXTS[name])])
def test_session_of_a_page_gives_what_is_shown(name, pytester):
    pytester.makefile(".md", **{name: TEXTS[name]})
    outcome = pytester.runpytest_inprocess(
        "--doctest-glob=*.md", "-o", "doctest_optionflags=NUMBER", "-p", "no:cacheprovider"
    )
    outcome.assert_outcomes(passed=1)


TEST_FILES = [
    pytest.param(code, id=f"{name}.md:{line}")
    for name in TEXTS
    for code, line, _ in blocks(name, "python")
    if not is_session(code) and is_test_file(code)
]


@pytest.fixture
def few_examples():
    """Let Hypothesis draw few examples, for as long as they take."""
    before = settings.get_current_profile_name()
    few = {"max_examples": 5, "deadline": None, "database": None}
    settings.register_profile("few", **few, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("few")
    yield
    settings.load_profile(before)


@pytest.mark.usefixtures("frameworks", "forks", "few_examples")
@pytest.mark.parametrize("code", TEST_FILES)
def test_test_file_passes(code, pytester):
    pytester.makepyfile(code)
    result = pytester.runpytest_inprocess("--gradlab-max-examples=1", "-p", "no:cacheprovider")
    assert result.parseoutcomes().keys() == {"passed"}


SETTINGS = [
    pytest.param(code, id=f"{name}.md:{line}") for name in TEXTS for code, line, _ in blocks(name, "toml")
]


@pytest.mark.parametrize("code", SETTINGS)
def test_settings_that_are_shown_are_taken(code, tmp_path):
    (tmp_path / "pyproject.toml").write_text(code)
    assert "targets" in read_configuration(tmp_path).values


def test_planted_difference_in_what_is_shown_is_seen():
    with pytest.raises(AssertionError):
        assert_same("worst 1.25 ± 5e-13", "worst 1.37 ± 5e-13")
    with pytest.raises(AssertionError):
        assert_same("right at all 6 entries", "right at all 7 entries")
    assert_same("worst 1.25013 ± 5e-13", "worst 1.25 ± 6e-13")


def test_readme_links_every_page():
    linked = re.findall(r"\]\(gradlab/docs/([\w-]+)\.md\)", TEXTS["README"])
    assert set(linked) == set(pages())


def test_readme_is_short():
    assert TEXTS["README"].count("\n") <= 220


def test_checker_of_ones_own_gets_the_table_that_is_shown(tmp_path, monkeypatch, capsys):
    ((code, _, _),) = (block for block in blocks("mutants", "python") if "def along_ones" in block[0])
    ((console, _, _),) = blocks("mutants", "console")
    command, _, shown = console.removeprefix("$ gradlab ").partition("\n")
    (tmp_path / "my_checks.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 1
    seconds = re.compile(r"\d+\.\d$", flags=re.MULTILINE)
    assert seconds.sub("", capsys.readouterr().out) == seconds.sub("", shown)


def test_files_that_contributors_are_sent_to_exist():
    named = set(re.findall(r"[\w/]+\.py\b", TEXTS["contributing"] + TEXTS["engine"]))
    files = [path.as_posix() for folder in ("gradlab", "tests") for path in (ROOT / folder).rglob("*.py")]
    assert {name for name in named if not any(file.endswith(f"/{name}") for file in files)} == set()
