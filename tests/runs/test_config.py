import pytest

from gradlab.errors import UsageError
from gradlab.runs.config import KINDS, Settings, read_configuration


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_every_setting_has_a_kind_and_no_other():
    assert set(Settings().as_written()) == set(KINDS)


def test_values_are_read_under_the_names_of_the_fields(tmp_path):
    write(tmp_path, '[tool.gradlab]\ntargets = ["a.b"]\nmax-examples = 7\nrtol = 1e-5\ntimeout = 3\n')
    configuration = read_configuration(tmp_path)
    assert configuration.values == {"targets": ("a.b",), "max_examples": 7, "rtol": 1e-5, "timeout": 3}
    assert configuration.folder == tmp_path


def test_nearest_file_with_the_table_counts(tmp_path):
    write(tmp_path, "[tool.gradlab]\nseed = 1\n")
    write(tmp_path / "a", "[tool.gradlab]\nseed = 2\n")
    write(tmp_path / "a" / "b", "[tool.other]\nseed = 3\n")
    (tmp_path / "a" / "b" / "c").mkdir()
    assert read_configuration(tmp_path / "a" / "b" / "c").values == {"seed": 2}


def test_paths_among_targets_are_relative_to_the_file(tmp_path):
    write(tmp_path, '[tool.gradlab]\ntargets = ["src/rules.py", "src/rules.py:one", "package.module:name"]\n')
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert read_configuration(tmp_path / "deep" / "er").values["targets"] == (
        "../../src/rules.py",
        "../../src/rules.py:one",
        "package.module:name",
    )


def test_without_the_table_there_is_nothing(tmp_path):
    write(tmp_path, "[tool]\nother = 1\n")
    assert read_configuration(tmp_path).values == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("max_examples = 5", "has the unknown key 'max_examples'; did you mean 'max-examples'?"),
        ("xyz = true", "has the unknown key 'xyz'."),
        ("seed = true", "seed is True; expected a whole number, at least 0"),
        ("seed = -1", "seed is -1; expected a whole number, at least 0"),
        ("jobs = 0", "jobs is 0; expected a whole number, at least 1"),
        ("jobs = 2.0", "jobs is 2.0; expected a whole number, at least 1"),
        ("timeout = inf", "timeout is inf; expected a positive number"),
        ("rtol = 1.0", "rtol is 1.0; expected a number between 0 and 1"),
        ("format = 'xml'", "format is 'xml'; expected one of text, json, github"),
        ("targets = 'a.b'", "targets is 'a.b'; expected a list of at least one string"),
        ("targets = []", "targets is []; expected a list of at least one string"),
        ("targets = [1]", "targets is [1]; expected a list of at least one string"),
    ],
)
def test_wrong_entry_is_refused_with_the_known_keys(line, message, tmp_path):
    write(tmp_path, f"[tool.gradlab]\n{line}\n")
    with pytest.raises(UsageError) as caught:
        read_configuration(tmp_path)
    assert message in str(caught.value)
    assert f"The known keys are {', '.join(KINDS)}" in str(caught.value)


@pytest.mark.parametrize("text", ["[tool.gradlab\n", "[tool]\ngradlab = 3\n"])
def test_file_that_cannot_be_read_is_named(text, tmp_path):
    write(tmp_path, text)
    with pytest.raises(UsageError, match=r"pyproject\.toml"):
        read_configuration(tmp_path)
