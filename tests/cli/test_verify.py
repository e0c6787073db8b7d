"""``gradlab verify`` as a gate; what its parts do is tested beside them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gradlab.cli import main

RIGHT = """
from gradlab import Rule
make = lambda name, **options: Rule(name, lambda x: 2 * x, lambda dy, x: 2 * dy, (1.5,), **options)
RULES = [make("one"), make("two")]
"""


def rules_in(out):
    return [row.split()[0] for row in out.split("\n\n")[0].splitlines()[1:]]


def document(capsys):
    return json.loads(capsys.readouterr().out)


def test_current_directory_is_importable_from_the_console_script_too(write):
    write("shop/__init__.py", RIGHT)
    script = Path(sys.executable).with_name("gradlab")
    done = subprocess.run([script, "verify", "shop"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert rules_in(done.stdout) == ["one", "two"]


@pytest.mark.parametrize("name", ["gradlab", "numpy", "random", "types"])
def test_file_that_hides_a_module_of_gradlabs_is_named(name, write, project):
    write("shop.py", RIGHT)
    write(f"{name}.py", "")
    script = Path(sys.executable).with_name("gradlab")
    done = subprocess.run([script, "verify", "shop"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    file = project / f"{name}.py"
    assert f"; {file} hides the module {name} from gradlab: expected another name" in done.stderr


def test_current_directory_is_importable_in_main(write, capsys):
    write("shop/__init__.py", RIGHT)
    assert main(["verify", "shop"]) == 0
    assert rules_in(capsys.readouterr().out) == ["one", "two"]


def test_bad_target_gives_exit_2_but_the_others_are_checked(write, capsys):
    write("shop.py", RIGHT)
    write("raises.py", "1 / 0\n")
    assert main(["verify", "raises", "shop", "missing.py"]) == 2
    out, err = capsys.readouterr()
    assert rules_in(out) == ["one", "two"]
    first, second = err.splitlines()
    assert first.startswith("gradlab: raises cannot be imported: ZeroDivisionError: division by zero")
    assert second == "gradlab: there is no file missing.py"


def test_module_without_rules_is_no_green_gate(write, capsys):
    write("empty.py", "")
    assert main(["verify", "empty"]) == 2
    assert "empty has no rules of its own" in capsys.readouterr().err


def test_k_selects_by_name(write, capsys):
    write("shop.py")
    assert main(["verify", "shop", "-k", "not (cube or blind)"]) == 0
    assert rules_in(capsys.readouterr().out) == ["square"]


def test_k_that_selects_nothing_is_no_green_gate(write, capsys):
    write("shop.py")
    assert main(["verify", "shop", "-k", "sphere"]) == 2
    assert capsys.readouterr().err == "gradlab: -k 'sphere' matches no rule; the targets give 3 rules\n"


@pytest.mark.parametrize(("least", "code"), [(1, 0), (2, 0), (3, 2)])
def test_fewer_rules_than_expected_are_an_error(least, code, write, capsys):
    write("shop.py", RIGHT)
    assert main(["verify", "shop", "--expect-rules", str(least), "-k", "one"]) == code
    out, err = capsys.readouterr()
    assert rules_in(out) == ["one"]
    assert err == ("gradlab: the targets give 2 rules; at least 3 were expected\n" if code else "")


def test_one_rule_is_not_called_rules(write, capsys):
    write("shop.py")
    assert main(["verify", "shop:square", "-k", "sphere", "--expect-rules", "2"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "gradlab: the targets give 1 rule; at least 2 were expected",
        "gradlab: -k 'sphere' matches no rule; the targets give 1 rule",
    ]


def test_seed_points_and_rtol_reach_the_check(write, capsys):
    write(
        "shop.py",
        "from gradlab import Rule\nRULE = Rule('r', lambda x: 2*x, lambda dy, x: 2.001*dy, '(n)')\n",
    )
    options = ["--format", "json", "--seed", "7", "--max-examples", "3"]
    assert main(["verify", "shop", *options]) == 1
    assert main(["verify", "shop", *options, "--rtol", "0.01"]) == 0
    _, text = capsys.readouterr().out.split("\n}\n", 1)
    (report,) = json.loads(text)["reports"]
    assert (report["seed"], report["points"]) == (7, 3)


def test_durations_are_listed_when_asked_for(write, capsys):
    write("shop.py", RIGHT)
    assert main(["verify", "shop", "--durations", "1"]) == 0
    assert "\n\nslowest 1:\n" in capsys.readouterr().out
    assert main(["verify", "shop"]) == 0
    assert "slowest" not in capsys.readouterr().out


TO_DO = "known_failure=('wrong-gradient', 'to do')"
KNOWN = RIGHT + f"RULES.append(Rule('wrong', lambda x: x, lambda dy, x: 2 * dy, (1.5,), {TO_DO}))\n"
FORGOTTEN = RIGHT + f"RULES.append(make('mended', {TO_DO}))\n"


def test_known_failure_is_listed_and_does_not_fail_the_gate(write, capsys):
    write("shop.py", KNOWN)
    assert main(["verify", "shop"]) == 0
    out = capsys.readouterr().out
    assert "XFAIL wrong: known failure: to do" in out
    assert "3 rules: 2 pass, 1 known failure" in out
    assert "FAIL wrong: gradient" not in out


def test_rule_of_forward_mode_alone_is_placed_at_its_jvp(write, capsys):
    write(
        "forward_mode.py",
        """
import numpy as np
from gradlab import Rule

def sine_jvp(t, x):
    return t * np.sin(x)

RULES = [Rule("sine", np.sin, None, "(n)", jvp=sine_jvp)]
""",
    )
    assert main(["verify", "forward_mode", "--format", "json", "--max-examples", "3"]) == 1
    (report,) = document(capsys)["reports"]
    assert [finding["kind"] for finding in report["findings"]] == ["wrong-jvp"]
    assert Path(report["gate"]["file"]).name == "forward_mode.py"
    assert report["gate"]["line"] > 1


def test_notes_of_a_rule_that_passes_are_below_the_table(write, capsys):
    write(
        "shop.py",
        f"{RIGHT}RULES.append(Rule('reciprocal', lambda x: 1 / x, lambda dy, x: -dy / x**2, '(n)'))\n",
    )
    assert main(["verify", "shop"]) == 0
    _, notes, _ = capsys.readouterr().out.split("\n\n")
    assert notes.startswith("note: reciprocal: ")
    assert notes.endswith(" degenerate points were left out: forward has no finite value there")


NAMED = """
from enum import Enum, StrEnum
from gradlab import Rule

class Kind(StrEnum):
    WRONG = "wrong-gradient"

class Name(str, Enum):
    ONE = "one"

RULE = Rule(Name.ONE, lambda x: x, lambda dy, x: 2 * dy, (1.5,), known_failure=(Kind.WRONG, Name.ONE))
"""


def test_names_of_a_class_of_the_users_own_are_text(write, capsys):
    write("shop.py", NAMED)
    assert main(["verify", "shop"]) == 0
    out, err = capsys.readouterr()
    assert "XFAIL one: known failure: one" in out
    assert err == ""


STRICT = """
import numpy as np
from gradlab import Rule

def strict(*args):
    np.seterr(all="raise")
    return args[0] * args[-1]

def square(x):
    return strict(x, x)

RULES = [
    Rule("forward", square, lambda dy, x: 2 * dy * x, "(n)"),
    Rule("backward", lambda x: x * x, lambda dy, x: strict(dy, 2 * x), "(n)"),
    Rule("jvp", lambda x: x * x, None, "(n)", jvp=lambda t, x: strict(t, 2 * x)),
]
"""


def test_error_state_that_a_function_sets_is_its_own(write, capsys):
    write("shop.py", STRICT)
    assert main(["verify", "shop"]) == 0
    assert "3 rules: 3 pass" in capsys.readouterr().out


def test_unexpected_pass_fails_the_gate(write, capsys):
    write("shop.py", FORGOTTEN)
    assert main(["verify", "shop"]) == 1
    out = capsys.readouterr().out
    assert f"XPASS mended: it passes, so {TO_DO} has to be removed from the rule" in out
    assert "3 rules: 2 pass, 1 unexpected pass" in out


LOUD = """
import os
print("imported")
def forward(x):
    print("called")
    os.write(1, b"from C\\n")
    return 2 * x
RULES = [Rule("loud", forward, lambda dy, x: 2 * dy, (1.5,))]
"""


def test_what_rules_print_stays_out_of_the_document(write, capfd):
    write("loud.py", RIGHT + LOUD)
    assert main(["verify", "loud:RULES", "--format", "json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["counts"]["pass"] == 1
    assert {"imported", "called", "from C"} <= set(err.splitlines())


def test_known_failure_hides_no_other(write, capsys):
    text = KNOWN.replace("lambda dy, x: 2 * dy, (1.5,), known", "lambda dy, x: None, (1.5,), known")
    write("shop.py", text)
    assert main(["verify", "shop"]) == 1
    out = capsys.readouterr().out
    assert "FAIL wrong: " in out
    assert "note: known_failure is for wrong-gradient (to do); this is gradient-none" in out


CRASHING_RULE = (
    RIGHT + "import os\nRULES.insert(0, Rule('crash', lambda x: os._exit(0), lambda dy, x: dy, '(n)'))\n"
)


@pytest.mark.parametrize("stop", [[], ["-x"]])
def test_rule_that_ends_its_process_is_an_error_and_x_stops_there(stop, write, capsys):
    write("shop.py", CRASHING_RULE)
    assert main(["verify", "shop", *stop]) == 2
    out = capsys.readouterr().out
    assert "ERROR crash: its process ended by itself, with exit code 0, at the first point" in out
    assert ("3 rules: 1 error, 2 not checked" if stop else "3 rules: 2 pass, 1 error") in out


def test_rules_of_one_name_are_an_error(write, capsys):
    write("shop.py", RIGHT)
    write("more.py", RIGHT)
    assert main(["verify", "shop", "more", "-k", "one"]) == 2
    out, err = capsys.readouterr()
    assert rules_in(out) == ["one", "one"]
    assert err == "gradlab: 2 rules are called 'one', in shop, more; names must differ\n"


def test_list_prints_the_rules_that_are_meant_and_checks_none(write, capsys):
    write("shop.py", CRASHING_RULE)
    assert main(["verify", "shop", "--list", "-k", "not two"]) == 0
    assert capsys.readouterr().out == "crash  shop\none  shop\n"


def test_quiet_leaves_the_table_out(write, capsys):
    write("shop.py")
    assert main(["verify", "shop", "-q"]) == 1
    out = capsys.readouterr().out
    assert "square" not in out
    assert "FAIL cube: " in out


@pytest.mark.parametrize(
    ("options", "variable", "colored"),
    [([], "", False), ([], "FORCE_COLOR", True), (["--color", "always"], "NO_COLOR", True)],
)
def test_colour_is_asked_for(options, variable, colored, write, monkeypatch, capsys):
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    write("shop.py", RIGHT)
    assert main(["verify", "shop", *options]) == 0
    assert ("\x1b[1;32mPASS" in capsys.readouterr().out) == colored


def test_junit_is_written_beside_the_rest(write, project, capsys):
    write("shop.py", CRASHING_RULE)
    assert main(["verify", "shop", "--jobs", "auto", "--junit", "out.xml"]) == 2
    suite = ElementTree.parse(project / "out.xml").getroot()
    assert [case.get("name") for case in suite] == ["crash", "one", "two"]
    assert "3 rules: 2 pass, 1 error" in capsys.readouterr().out


def test_what_rules_print_in_processes_stays_out_of_the_document(write, capfd):
    write("loud.py", f"print('imported')\n{RIGHT}")
    assert main(["verify", "loud", "--format", "json", "--jobs", "2"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["counts"]["pass"] == 2
    assert "imported" in err


# [tool.gradlab]


def test_configuration_names_targets_and_settings_and_options_win(write, capsys):
    write("shop.py", RIGHT.replace("(1.5,)", "'(n)'"))
    write(
        "pyproject.toml", "[tool.gradlab]\ntargets = ['shop']\nformat = 'json'\nseed = 3\nmax-examples = 2\n"
    )
    assert main(["verify", "--seed", "4"]) == 0
    said = document(capsys)
    assert said["settings"] | {"targets": ["shop"], "seed": 4, "max-examples": 2} == said["settings"]
    assert [(one["name"], one["seed"], one["points"]) for one in said["reports"]] == [
        ("one", 4, 2),
        ("two", 4, 2),
    ]


def test_configured_targets_are_found_from_a_folder_below(write, project, monkeypatch, capsys):
    write("shop.py", RIGHT)
    write("src/more.py")
    write("pyproject.toml", "[tool.gradlab]\ntargets = ['shop', 'src/more.py:square']\n")
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    assert main(["verify"]) == 0
    assert rules_in(capsys.readouterr().out) == ["one", "two", "square"]


def test_expected_number_of_the_configuration_is_that_of_its_targets(write, capsys):
    write("shop.py", RIGHT)
    write("pyproject.toml", "[tool.gradlab]\ntargets = ['shop']\nexpect-rules = 3\n")
    assert main(["verify"]) == 2
    assert main(["verify", "shop:RULES"]) == 0
    assert "at least 3 were expected" in capsys.readouterr().err


@pytest.mark.parametrize("table", ["", "[tool.gradlabs]\ntargets = ['shop']\n"])
def test_where_nobody_names_a_rule_it_is_said_that_only_the_built_in_ones_are_checked(
    table, write, project, monkeypatch, capsys
):
    write("shop.py")
    write("pyproject.toml", table)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "page.md"))
    options = ["--format", "github", "--max-examples", "1", "-k", "linear"]
    assert main(["verify", *options]) == 0
    said = "no target is given, and there is no table [tool.gradlab] in a pyproject.toml from"
    assert said in capsys.readouterr().err
    assert "note: no target is given" in (project / "page.md").read_text()
    assert main(["verify", "--format", "json", "--output", "out.json", "--max-examples", "1"]) == 0
    (note,) = json.loads((project / "out.json").read_text())["notes"]
    assert note.startswith(said)


def test_table_without_targets_is_no_green_gate(write, capsys):
    write("shop.py", RIGHT)
    write("pyproject.toml", "[tool.gradlab]\nmax-examples = 1\n")
    assert main(["verify"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "pyproject.toml: [tool.gradlab] has no targets, and none is given; expected" in err
    assert main(["verify", "shop"]) == 0
    assert capsys.readouterr().err == ""


def test_unknown_key_gives_exit_2(write, capsys):
    write("pyproject.toml", "[tool.gradlab]\nmaxexamples = 3\n")
    assert main(["verify", "linear"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "unknown key 'maxexamples'; did you mean 'max-examples'?" in err


# --format and --output


def test_output_gets_the_document_and_standard_output_the_text(write, project, capsys):
    write("shop.py")
    assert main(["verify", "shop", "--format", "json", "--output", "out.json"]) == 1
    assert json.loads((project / "out.json").read_text())["exit_code"] == 1
    assert rules_in(capsys.readouterr().out) == ["square", "cube", "blind"]
    assert not [path for path in project.iterdir() if path.suffix == ".tmp"]


def test_text_may_go_to_a_file_as_well(write, project, capsys):
    write("shop.py")
    assert main(["verify", "shop", "--output", "out.txt"]) == 1
    assert (project / "out.txt").read_text() == capsys.readouterr().out


CRASHING = """
import resource, sys
from gradlab.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
sys.exit(main(["verify", "shop", "--format", "json", "--output", "out.json"]))
"""


def test_writing_that_fails_halfway_leaves_the_old_file(write, project):
    pytest.importorskip("resource")
    write("shop.py", RIGHT)
    write("out.json", "old")
    done = subprocess.run([sys.executable, "-B", "-c", CRASHING], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "gradlab: the report cannot be written: " in done.stderr
    assert "2 rules: 2 pass" in done.stdout
    assert (project / "out.json").read_text() == "old"
    assert not [path for path in project.iterdir() if path.suffix == ".tmp"]


def test_link_stays_a_link(write, project, capsys):
    write("shop.py", RIGHT)
    (project / "out.json").symlink_to(project / "real.json")
    assert main(["verify", "shop", "--format", "json", "--output", "out.json"]) == 0
    assert (project / "out.json").is_symlink()
    assert json.loads((project / "real.json").read_text())["exit_code"] == 0


def test_document_that_goes_to_standard_output_by_its_path_is_alone_there(write):
    write("shop.py", RIGHT)
    command = [
        sys.executable,
        "-m",
        "gradlab",
        "verify",
        "shop",
        "--format",
        "json",
        "--output",
        "/dev/stdout",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["exit_code"] == 0


def test_document_that_goes_to_standard_output_is_alone_there(write, capfd):
    write("shop.py", RIGHT)
    assert main(["verify", "shop", "--format", "json", "--output", "-"]) == 0
    assert json.loads(capfd.readouterr().out)["exit_code"] == 0


def test_output_may_be_a_device(write, capsys):
    write("shop.py", RIGHT)
    assert main(["verify", "shop", "--format", "json", "--output", "/dev/null"]) == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("output", "message"), [(".", "is a folder"), ("no/out.json", "folder that does not exist")]
)
def test_output_that_cannot_be_written_is_refused_before_the_work(output, message, write, capsys):
    write("shop.py", RIGHT)
    assert main(["verify", "shop", "--output", output]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


@pytest.mark.parametrize("option", ["output", "junit"])
@pytest.mark.parametrize("path", ["old.txt", "new.txt"])
def test_what_permissions_forbid_is_refused_before_the_work(
    option, path, write, project, monkeypatch, capsys
):
    write("shop.py", RIGHT)
    write("old.txt", "old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the superuser may do all
    assert main(["verify", "shop", f"--{option}", path]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"gradlab: --{option} {path}: nothing can be written to " in err
    assert (project / "old.txt").read_text() == "old"


def test_standard_output_needs_no_folder(write, monkeypatch, capfd):
    write("shop.py", RIGHT)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert main(["verify", "shop", "--format", "json", "--output", "-"]) == 0
    assert json.loads(capfd.readouterr().out)["exit_code"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "a", "--junit", "./a"], "--output and --junit are both a; expected two paths"),
        (["--output", "d/index.html", "--html", "d"], "--output is the page of --html d; expected two paths"),
        (["--junit", "shop.py"], "--junit shop.py is a file of Python; expected the path of a report"),
        (["--junit", "-"], "--junit is '-'; expected the path of a file"),
        (["--list", "--junit", "a"], "--list checks no rule, and has no report for --junit"),
        (["--list", "--format", "json"], "--list checks no rule, and has no report for --format"),
    ],
)
def test_paths_at_which_one_thing_would_be_lost_are_refused(options, message, write, project, capsys):
    pytest.importorskip("jinja2")
    file = write("shop.py", RIGHT)
    (project / "d").mkdir()
    assert main(["verify", "linear", *options]) == 2
    assert message in capsys.readouterr().err
    assert file.read_text() == RIGHT
    assert sorted(path.name for path in project.iterdir()) == ["d", "shop.py"]


def test_same_device_may_be_given_twice(write, capsys):
    write("shop.py", RIGHT)
    assert main(["verify", "shop", "--output", "/dev/null", "--junit", "/dev/null"]) == 0


def test_report_that_cannot_be_written_keeps_no_other_from_being(write, project, capsys):
    write("shop.py", RIGHT)
    (project / "page").symlink_to("/dev/full")
    if not Path("/dev/full").exists():
        pytest.skip("there is no device that is full")
    assert main(["verify", "shop", "--output", "page", "--junit", "out.xml"]) == 2
    assert "the report cannot be written: " in capsys.readouterr().err
    assert ElementTree.parse(project / "out.xml").getroot().get("tests") == "2"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("where", ["> /dev/full", ">&-"])
def test_standard_output_that_takes_nothing_loses_no_other_report(where, write, project):
    write("shop.py", RIGHT)
    command = f"{sys.executable} -m gradlab verify shop --junit out.xml {where}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("gradlab: standard output cannot be written: ")
    assert ElementTree.parse(project / "out.xml").getroot().get("tests") == "2"


@pytest.mark.parametrize(
    ("options", "table", "said"),
    [
        (["-k", "and"], "", "-k was given 'and'"),
        ([], "[tool.gradlab]\nmaxexamples = 3\n", "unknown key 'maxexamples'"),
    ],
)
def test_report_of_the_last_run_does_not_outlive_a_wrong_call(options, table, said, write, project, capsys):
    write("shop.py", RIGHT)
    command = ["verify", "shop", "--format", "json", "--output", "out.json", "--junit", "out.xml"]
    assert main(command) == 0
    write("pyproject.toml", table)
    assert main([*command, *options]) == 2
    document = json.loads((project / "out.json").read_text())
    assert document["exit_code"] == 2
    assert said in document["problems"][0]
    assert ElementTree.parse(project / "out.xml").getroot().get("errors") == "1"


def test_text_in_a_file_says_what_could_not_be_found(write, project, capsys):
    write("shop.py", RIGHT)
    assert main(["verify", "shop", "missing.py", "--output", "out.txt"]) == 2
    assert (project / "out.txt").read_text().endswith("\nthere is no file missing.py\n")


def test_github_gets_text_annotations_and_a_summary_page(write, project, monkeypatch, capsys):
    write("src/shop.py")
    write("page.md", "before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "page.md"))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project))
    monkeypatch.chdir(project / "src")
    assert main(["verify", "shop", "--format", "github"]) == 1
    out = capsys.readouterr().out
    assert rules_in(out) == ["square", "cube", "blind"]
    assert "\n::error file=src/shop.py,line=6,title=gradlab%3A cube::gradient of x is wrong" in out
    assert "\n::warning file=src/shop.py,line=8,title=gradlab%3A blind::" in out
    page = (project / "page.md").read_text()
    assert page.startswith("before\n### gradlab: 3 rules: 1 pass, 1 fail, 1 inconclusive\n")
    assert main(["verify", "shop", "--format", "text"]) == 1
    assert (project / "page.md").read_text() == page


def test_bad_target_is_annotated(write, capsys):
    assert main(["verify", "missing.py", "--format", "github"]) == 2
    assert "::error title=gradlab::there is no file missing.py" in capsys.readouterr().out


def test_help_fits_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in ([], ["verify"], ["explain"], ["train"]):
        with pytest.raises(SystemExit):
            main([*arguments, "--help"])
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) > 5
        assert max(map(len, lines)) <= 80
