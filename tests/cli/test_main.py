import os
import signal
import subprocess
import sys
import time

import pytest

import gradlab
from gradlab.cli import main


@pytest.fixture
def file(write):
    return write("rules.py")


def test_verify_passes_the_built_in_rules_it_is_given(capsys):
    assert main(["verify", "linear", "neuron", "--max-examples", "5"]) == 0
    out, err = capsys.readouterr()
    header, *rows = out.splitlines()
    assert header.split() == ["rule", "verdict", "points", "forward", "calls", "worst", "error"]
    assert [row.split()[:3] for row in rows[:2]] == [["linear", "PASS", "5"], ["neuron", "PASS", "5"]]
    assert rows[-1].startswith("2 rules: 2 pass in ")
    assert err == ""  # no progress line in a pipe


def test_verify_checks_every_built_in_rule_by_default(capsys):
    assert main(["verify", "--max-examples", "1"]) == 0
    assert "13 rules: 13 pass" in capsys.readouterr().out


def test_wrong_rule_of_a_file_gives_exit_1_and_its_report(file, capsys):
    assert main(["verify", f"{file}:square", f"{file}:cube"]) == 1
    out = capsys.readouterr().out
    assert "FAIL cube: gradient of x is wrong" in out
    assert "2 rules: 1 pass, 1 fail" in out


def test_inconclusive_alone_gives_exit_3(file, capsys):
    assert main(["verify", f"{file}:blind"]) == 3
    assert "INCONCLUSIVE blind" in capsys.readouterr().out


def test_explain_prints_a_derivation(file, capsys):
    assert main(["explain", "linear"]) == 0
    assert "[w11 w12 w13]" in capsys.readouterr().out
    assert main(["explain", f"{file}:square"]) == 0
    assert "dY/dx[0]" in capsys.readouterr().out


@pytest.fixture
def text(tmp_path, monkeypatch):
    """Give the path of a text of few words, for a model that is as small."""
    for name, size in (("EMBEDDING", 3), ("HIDDEN", 6), ("BATCH", 32)):
        monkeypatch.setattr(f"gradlab.training.{name}", size)
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat and the dog sat on the cat " * 40)
    return str(path)


def test_train_prints_the_curve_and_the_checks(text, capsys):
    assert main(["train", "--text", text, "--steps", "60", "--checks", "2"]) == 0
    out = capsys.readouterr().out
    curve = [float(line.split()[1]) for line in out.splitlines() if line.endswith("#")]
    assert curve[-1] < 0.5 * curve[0]
    assert "PASS language_model at step 30" in out
    assert "gradient checks: 2 of 2 passed" in out


def test_train_with_a_wrong_gradient_gives_exit_1(text, monkeypatch, capsys):
    monkeypatch.setattr(
        "gradlab.networks.language_model.cross_entropy.backward_logits", lambda dl, cache: cache[0]
    )
    assert main(["train", "--text", text, "--steps", "2", "--checks", "1"]) == 1
    assert "FAIL language_model at step 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "sofmax"], "there is no rule or module 'sofmax'; did you mean 'softmax'?"),
        (["explain", "nothing"], "The built-in rules are identity, tanh, linear"),
        (["explain", "missing.py:rule"], "there is no file missing.py"),
        (["explain", "{file}:nothing"], "has no 'nothing'; the rules in it are square, cube, blind"),
        (["verify", "{file}:number"], "is the int 3; expected a gradlab.Rule"),
        (["train", "--text", "missing.txt"], "missing.txt cannot be read"),
    ],
)
def test_wrong_call_gives_exit_2_and_one_sentence(arguments, message, file, capsys):
    assert main([argument.format(file=file) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "--max-examples", "0"], "'0' was given; expected a whole number, at least 1"),
        (["train", "--checks", "0"], "'0' was given; expected a whole number, at least 1"),
        (["verify", "--seed", "-1"], "'-1' was given; expected a whole number, at least 0"),
        (["train", "--vocabulary", "many"], "'many' was given; expected a whole number, at least 2"),
        (
            ["verify", "linear", "--maximum", "3"],
            "gradlab verify: error: unrecognized arguments: --maximum 3",
        ),
        (["verify", "--colour", "always"], "usage: gradlab verify [-h]"),
        ([], "COMMAND"),
        (["unknown"], "invalid choice: 'unknown'"),
    ],
)
def test_wrong_options_give_exit_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_file_that_cannot_be_imported(tmp_path, capsys):
    path = tmp_path / "broken.py"
    path.write_text("def (:\n")
    assert main(["verify", f"{path}:rule"]) == 2
    assert "cannot be imported: SyntaxError" in capsys.readouterr().err


def test_module_runs_as_the_console_script():
    done = subprocess.run(
        [sys.executable, "-m", "gradlab", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"gradlab {gradlab.__version__}\n"


def test_stream_without_unicode_and_a_closed_pipe_are_survived():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = f"{sys.executable} -m gradlab explain linear | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("linear: Y = X W")
    assert "Traceback" not in done.stderr


def test_verdict_does_not_depend_on_who_reads_it(file):
    command = f"{sys.executable} -m gradlab verify {file}:cube | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


def test_malformed_rule_is_named_and_the_others_are_still_checked(tmp_path, capsys):
    path = tmp_path / "two.py"
    path.write_text(
        "from gradlab import Rule\n"
        "none = Rule('none', lambda x: None, lambda dy, x: dy, '(n)')\n"
        "leaver = Rule('leaver', lambda x: exit(0), lambda dy, x: dy, '(n)')\n"
    )
    assert main(["verify", f"{path}:none", "tanh", f"{path}:leaver", "--max-examples", "5"]) == 2
    out = capsys.readouterr().out
    assert "ERROR none: forward returned None" in out
    assert "forward raised SystemExit" in out
    assert "3 rules: 1 pass, 1 fail, 1 error" in out


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interrupt_ends_with_what_was_done_so_far(name, tmp_path):
    path, begun = tmp_path / "slow.py", tmp_path / "begun"
    path.write_text(
        "import pathlib\n"
        "from gradlab import Rule\n"
        "def forward(x):\n"
        f"    pathlib.Path({str(begun)!r}).touch()\n"
        "    return x\n"
        "slow = Rule('slow', forward, lambda dy, x: dy, '(n)')\n"
    )
    junit = tmp_path / "out.xml"
    command = [sys.executable, "-m", "gradlab", "verify", str(path), "linear", "--max-examples", "1000000"]
    command += ["--junit", str(junit)]
    number = getattr(signal, name)
    before = signal.signal(number, signal.default_int_handler)  # nohup, say, has its children ignore SIGHUP
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(number, before)
    while not begun.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    assert process.returncode == 130
    assert "rules: " in out or "rule: " in out
    assert "interrupted; 0 of 2 rules were checked" in err
    assert "interrupted; 0 of 2 rules were checked" in junit.read_text()
    assert "Traceback" not in err
