"""What a run of `gradlab verify`, or of pytest, keeps for the next one."""

import hypothesis
import pytest
from hypothesis import configuration

from gradlab import Rule
from gradlab.runs.one import check
from gradlab.runs.outcomes import Options


@pytest.fixture
def home(tmp_path):
    """The folder that Hypothesis writes to, under the profile that it has outside of CI."""
    before, profile = vars(configuration)["__hypothesis_home_directory"], hypothesis.settings.default
    hypothesis.settings.load_profile("default")
    folder = tmp_path / ".hypothesis"
    configuration.set_hypothesis_home_dir(folder)
    yield folder
    configuration.set_hypothesis_home_dir(before)
    hypothesis.settings.register_profile("before", profile)
    hypothesis.settings.load_profile("before")


def first_point(backward):
    """Check a rule, and return its report and the point that it was first called at."""
    seen = []

    def forward(x):
        seen.append(x.tolist())
        return x**2

    result = check(Rule("square", forward, backward, "(n)"), Options())
    return result.report, seen[0]


def wrong_at_two(dy, x):
    return (2 + (x.size > 1)) * x * dy


def test_second_run_starts_with_the_failing_point(home):
    first, start = first_point(wrong_at_two)
    assert start != [1.0, -1.0]
    second, start = first_point(wrong_at_two)
    assert start == [1.0, -1.0]
    assert (second.points, second.example) == (1, first.example)
    assert (home / ".gitignore").is_file()


def test_right_rule_leaves_nothing_behind(home):
    report, _ = first_point(lambda dy, x: 2 * x * dy)
    assert report.passed
    assert not home.exists()


def test_nothing_is_kept_under_the_profile_for_ci(home):
    hypothesis.settings.load_profile("ci")
    _, start = first_point(wrong_at_two)
    assert first_point(wrong_at_two)[1] == start
    assert not home.exists()


def test_folder_that_cannot_be_written_is_no_matter(home):
    home.parent.joinpath("file").write_text("")
    configuration.set_hypothesis_home_dir(home.parent / "file" / ".hypothesis")
    report, _ = first_point(wrong_at_two)
    assert report.example == "x = np.array([1.0, -1.0])"
    assert [path.name for path in home.parent.iterdir()] == ["file"]
